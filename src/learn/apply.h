/*
 * learn/apply.h - a trained model asked about the rows of a data set: what scoring, searching and
 * explaining share.
 *
 * Which columns feed which input is read from the model's own metadata ("maas.columns",
 * features.h); a model without it has one input, fed by all columns but the target in their order.
 * Rows are run in chunks through one plan.
 *
 * Owns: the outputs (maas_applied_reset), charged to the budget. Threads: any number at once, each
 * with its own call. Fails: E_INVALID naming input or column; what the run says.
 */
#ifndef MAAS_LEARN_APPLY_H
#define MAAS_LEARN_APPLY_H

#include "graph/graph.h"
#include "learn/dataset.h"

typedef struct maas_applied {
    maas_tensor *out; /* [n_out], in the order of the graph's outputs, [rows, ...] */
    uint32_t n_out;
    double seconds; /* of running, plan making not counted */
    maas_arena arena;
} maas_applied;

/* target: a column that is no feature; NULL: none. */
maas_status maas_apply(const maas_graph *g, const maas_dataset *d, const char *target,
                       int n_threads, maas_budget *budget, maas_applied *out, maas_err *err);
void maas_applied_reset(maas_applied *a);
/* Output by name; NULL when the model has none. */
const maas_tensor *maas_applied_find(const maas_applied *a, const maas_graph *g, const char *name);

#endif
