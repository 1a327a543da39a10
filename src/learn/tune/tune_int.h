/* learn/tune/tune_int.h - the parts of maas_tune_init, in the order in which they run. Only for the
 * files of this folder. */
#ifndef MAAS_LEARN_TUNE_TUNE_INT_H
#define MAAS_LEARN_TUNE_TUNE_INT_H

#include "learn/tune/tune.h"

/* batch.c: the first dimension of the inputs becomes "batch", where that changes no row. */
maas_status maas_tune_open_batch(maas_graph *g, maas_err *err);
/* end.c: out, z, tail, features; the loss that fits. */
maas_status maas_tune_find_end(maas_tune *t, maas_err *err);
/* weights.c: roles. */
maas_status maas_tune_find_weights(maas_tune *t, maas_err *err);
/* graphs.c: no weight is called as something of a training graph is. */
maas_status maas_tune_free_names(maas_tune *t, maas_err *err);
/* labels.c: "maas.target" of the prepared graph, for a head that stays. */
maas_status maas_tune_find_labels(maas_tune *t, maas_recipe *recipe, const maas_dataset *data,
                                  const char *target, maas_err *err);

static inline const maas_node *maas_tune_producer(const maas_graph *g, maas_vid v)
{
    const maas_nid n = v == MAAS_NO_VALUE ? MAAS_NO_NODE : maas_graph_at(g, v)->producer;
    return n == MAAS_NO_NODE ? NULL : &g->nodes[n];
}
static inline bool maas_tune_is(const maas_node *n, const char *op)
{
    return n && strcmp(n->op->name, op) == 0;
}
/* A node in messages: its name, or where it has none that of what it makes. */
static inline const char *maas_tune_name(const maas_graph *g, const maas_node *n)
{
    return *n->name || n->n_out == 0 || n->out[0] < 0 ? n->name : maas_graph_at(g, n->out[0])->name;
}

#endif
