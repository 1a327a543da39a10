/* serve/instance_int.h - the inside of an instance; only for instance.c, run.c, batches.c,
 * states.c. */
#ifndef MAAS_SERVE_INSTANCE_INT_H
#define MAAS_SERVE_INSTANCE_INT_H

#include <stdatomic.h>

#include "serve/instance.h"
#include "serve/plans.h"

struct maas_instance {
    /* written by create, then read-only */
    const char *name;
    int64_t version;
    uint64_t uid;
    maas_instance_opts opts;
    maas_map map;
    maas_graph *graph;
    maas_arena arena; /* names, ports */
    maas_port *in, *out;
    bool batches;      /* dims[0] of all inputs and outputs is a batch of independent rows */
    int64_t max_rows;  /* largest bucket */
    int64_t row_flops; /* of one row, for choosing threads */
    maas_state *states;
    uint32_t n_states;
    /* any thread */
    maas_plans plans;
    maas_queue queue;
    maas_instance_stats stats;
    _Alignas(64) _Atomic uint32_t refs;
};

/* serve/batches.c: do rows influence each other? By structure, then by a trial with random rows. */
bool maas_rows_are_independent(maas_instance *m);
maas_status maas_instance_find_states(maas_instance *m, maas_err *err); /* serve/states.c */
/* Input types with dims[0] = rows. in[i] NULL: the port's own dims (which must be concrete). */
void maas_instance_types(const maas_instance *m, const maas_tensor *in, int64_t rows,
                         maas_type *out);
static inline int64_t maas_bucket(int64_t rows)
{
    return rows <= 1 ? 1 : (int64_t)1 << (64 - __builtin_clzll((uint64_t)rows - 1));
}

#endif
