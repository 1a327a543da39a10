/* graph/graph_int.h - shared by the files of this room only. */
#ifndef MAAS_GRAPH_GRAPH_INT_H
#define MAAS_GRAPH_GRAPH_INT_H

#include "graph/graph.h"

/*
 * Text to index. Open addressing, linear probing, at most 3/4 full; keys are borrowed (they live in
 * an arena). Names come from model files: the hash is keyed, so that nobody can choose names that
 * all collide.
 */
typedef struct maas_name_slot {
    const char *key; /* NULL: free */
    uint32_t index;
} maas_name_slot;

typedef struct maas_names {
    maas_name_slot *slot;
    uint32_t cap, n; /* cap: 0 or a power of two */
    uint64_t seed;
} maas_names;

typedef struct maas_graph_tables { /* what maas_graph.names points to */
    maas_names values, symbols, meta;
} maas_graph_tables;

#define MAAS_NAME_NONE UINT32_MAX

uint32_t maas_names_find(const maas_names *t, const char *key); /* MAAS_NAME_NONE */
/* The key must be absent. False when there is no memory; the table is then unchanged. */
bool maas_names_add(maas_names *t, maas_arena *a, const char *key, uint32_t index);
void maas_names_remove(maas_names *t, const char *key); /* absent is fine */
bool maas_names_clone(const maas_names *from, maas_names *to, maas_arena *a);

static inline maas_graph_tables *maas_graph_tables_of(const maas_graph *g)
{
    return g->names;
}

enum { /* places in maas_graph.caps */
       MAAS_CAP_VALUES,
       MAAS_CAP_NODES,
       MAAS_CAP_INPUTS,
       MAAS_CAP_OUTPUTS,
       MAAS_CAP_BINDINGS,
       MAAS_CAP_META,
       MAAS_CAP_SYMBOLS
};

/* *array (of `size`-byte items, in the arena) gets room for one item after the first n. */
bool maas_graph_room(maas_graph *g, void *array, int which, uint32_t n, size_t size);
maas_status maas_graph_no_memory(const maas_graph *g, maas_err *err);
/* A checked view or, with `copy`, a copy in the arena: 64-byte aligned, strings with their bytes.
 */
maas_status maas_graph_take_tensor(maas_graph *g, const maas_tensor *t, bool copy, maas_tensor *out,
                                   maas_err *err);
/* A child graph joins the lifetime of g. */
maas_status maas_graph_adopt(maas_graph *g, maas_graph *child, maas_err *err);

static inline bool maas_vid_ok(const maas_graph *g, maas_vid v)
{
    return v >= 0 && (uint32_t)v < g->n_values;
}

#endif
