/* ops/forest_write.h - a forest being written as nodes of a graph; for the files that do it. */
#ifndef MAAS_OPS_FOREST_WRITE_H
#define MAAS_OPS_FOREST_WRITE_H

#include "ops/forest_int.h"

typedef struct maas_forest_text {
    const maas_forest *f;
    maas_vid x;
    maas_builder *b;
    maas_arena arena;                     /* lists that are only needed for writing */
    bool doubles;                         /* rows of F64 */
    bool members, many, covers, negative; /* MEMBER nodes; leaves of no or several weights; ... */
    int32_t *order, *number, *tree;       /* [n_order]; number: [n_nodes] node -> place in order */
    uint32_t n_order;
    uint32_t *start, *weight_start; /* [n_trees + 1] of each tree, in order and in its weights */
    uint32_t
        checked; /* what the operator's infer notes of a forest that was verified (ml_trees.c) */
} maas_forest_text;

/* Verifies the forest. */
maas_status maas_forest_text_init(maas_forest_text *t, maas_builder *b, const maas_forest *f,
                                  maas_vid x);
void maas_forest_text_reset(maas_forest_text *t);
/* fn for each tree, by as many threads as the builder has; what it makes must not depend on them.
 */
void maas_forest_each_tree(const maas_forest_text *t, void (*fn)(void *arg, int64_t tree, int ithr),
                           void *arg);
/* Does a leaf of every row speak of every target? */
maas_status maas_forest_listen(maas_forest_text *t, bool *out_heard, maas_err *err);

typedef struct maas_split {
    uint8_t mode;
    double split;
} maas_split;
/* An inner node in words that both forms of ONNX have, exact for the dtype of the rows. */
typedef struct maas_said {
    int32_t yes, no;
    bool missing_yes;
    maas_split split;
} maas_said;
maas_said maas_forest_say(const maas_forest_text *t, const maas_tree_node *n);

/* Numbers as FLOATS `name` for rows of floats (NULL: as a tensor too), else as TENSOR `tensor`. */
bool maas_put_numbers(maas_forest_text *t, const char *name, const char *tensor, const double *v,
                      uint32_t n, maas_attr *out);

typedef struct maas_v3_names {
    const char *trees, *nodes, *ids, *weights, *tensor;
} maas_v3_names;
enum { MAAS_V3_ATTRS = 16 };
/* Nodes and weights; the number of attributes written, 0 when memory is short. */
uint32_t maas_put_v3(maas_forest_text *t, const maas_v3_names *names, maas_attr *attr);

#endif
