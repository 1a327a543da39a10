/*
 * learn/importance.h - how much a model leans on each column: what its score loses when the cells
 * of the column are dealt out anew among the rows (permutation importance; Breiman 2001, as
 * scikit-learn's permutation_importance).
 *
 * Threads: the caller's. Deterministic for a seed. Fails: what running and scoring the model say.
 */
#ifndef MAAS_LEARN_IMPORTANCE_H
#define MAAS_LEARN_IMPORTANCE_H

#include "base/json.h"
#include "graph/graph.h"
#include "learn/dataset.h"

typedef struct maas_importance_opts {
    const char *target;
    const char *scoring; /* NULL: accuracy or r2 */
    int64_t repeats;     /* dealings of each column */
    int64_t max_rows;    /* taken evenly from the data set */
    uint64_t seed;
    int n_threads;
    maas_budget *budget;
    bool (*cancelled)(void *user); /* may be NULL; asked between columns */
    void *user;
} maas_importance_opts;

/* {"scoring","score","rows","repeats","columns":[{"name","mean","std"}]}, the largest mean first.
 */
maas_status maas_permutation_importance(const maas_graph *g, const maas_dataset *d,
                                        const maas_importance_opts *o, json_t **out, maas_err *err);

#endif
