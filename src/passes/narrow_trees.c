/*
 * Trees behind Cast(float -> double) look at the floats themselves: their splits stay doubles, and
 * a float is compared as the double it is, so every row goes the same way, through nodes of half
 * the size. The type of the sums is that of the weights and does not change.
 */
#include "passes/pass_int.h"

#include <string.h>

#include "ops/build.h"
#include "base/ban.h"

static bool is_trees(const maas_op *op)
{
    static const char *const names[] = {"TreeEnsemble", "TreeEnsembleRegressor",
                                        "TreeEnsembleClassifier"};
    for (size_t i = 0; i < MAAS_COUNT(names); i++)
        if (strcmp(op->domain, MAAS_DOMAIN_ML) == 0 && strcmp(op->name, names[i]) == 0)
            return true;
    return false;
}

/* The floats that v was made of; v itself when it was not. */
static maas_vid floats_of(const maas_graph *g, maas_vid v, const maas_op *cast)
{
    if (v < 0 || g->values[v].producer == MAAS_NO_NODE || g->values[v].type.dtype != MAAS_F64)
        return v;
    const maas_node *n = &g->nodes[g->values[v].producer];
    if (n->op != cast || n->n_in < 1 || n->in[0] < 0)
        return v;
    return g->values[n->in[0]].type.dtype == MAAS_F32 ? n->in[0] : v;
}

maas_status maas_pass_narrow_trees(maas_graph *g, const maas_pass_opts *o, maas_err *err)
{
    const maas_op *cast = maas_op_find("", "Cast", MAAS_OPSET);
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (!g->nodes[i].dead && is_trees(g->nodes[i].op) && g->nodes[i].n_in > 0)
            g->nodes[i].in[0] = floats_of(g, g->nodes[i].in[0], cast);
    return MAAS_OK;
}
