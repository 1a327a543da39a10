/*
 * learn/tune/batch.c - a graph that was exported for one size of batch, opened to any.
 *
 * What makes such a graph fixed are the inputs' types and shapes that Reshape takes, which begin
 * with that size. Both become the batch. That is right when every row of the result is what its row
 * of the input gives, which is looked at node by node: whatever depends on an input begins with the
 * batch, has it nowhere else, and was not computed along it. A graph that came with a batch of any
 * size is believed: whoever exported it said so.
 */
#include "learn/tune/tune_int.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#include "base/ban.h"

/* Operators that keep shapes and yet may mix rows, where their `axis` is not 0 or they have none.
 */
static const char *const mixers[] = {
    "MeanVarianceNormalization", "CumSum",  "CumProd",  "ReverseSequence", "Scan",  "Loop", "If",
    "ScatterElements",           "Scatter", "GatherND", "ScatterND",       "Einsum"};

static maas_status refuse(const maas_graph *g, const maas_node *n, const char *why, maas_err *err)
{
    return maas_fail(err, MAAS_E_UNSUPPORTED,
                     "the model is for batches of one size, and %s '%.100s' %s: export it with a "
                     "batch of any size",
                     n->op->name, maas_tune_name(g, n), why);
}

static bool mixes(const maas_graph *g, const maas_node *n)
{
    static const char *const steps[] = {"LSTM", "GRU", "RNN"}; /* first come steps of time */
    const maas_attr *axis = maas_node_attr(n, "axis");
    const int rank = n->n_out && n->out[0] >= 0 ? maas_graph_at(g, n->out[0])->type.rank : 0;
    for (size_t i = 0; i < MAAS_COUNT(mixers); i++)
        if (maas_tune_is(n, mixers[i]))
            return true;
    for (size_t i = 0; i < MAAS_COUNT(steps); i++)
        if (maas_tune_is(n, steps[i]) && maas_attr_i(n, "layout", 0) == 0)
            return true;
    return axis && axis->type == MAAS_ATTR_INT && (axis->u.i == 0 || axis->u.i == -rank);
}

static bool begins_with(const maas_type *t, int64_t batch)
{
    if (t->tag != MAAS_TYPE_TENSOR || t->rank < 1 || t->dims[0] != batch)
        return false;
    for (int d = 1; d < t->rank; d++)
        if (t->dims[d] == batch)
            return false;
    return true;
}

static maas_status check_rows(const maas_graph *g, int64_t batch, const bool *depends,
                              maas_err *err)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const maas_node *n = &g->nodes[i];
        if (n->n_out == 0 || n->out[0] < 0 || !depends[n->out[0]])
            continue;
        if (mixes(g, n))
            return refuse(g, n, "may compute across rows", err);
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k] >= 0 && !begins_with(&maas_graph_at(g, n->out[k])->type, batch))
                return refuse(g, n, "makes something that does not begin with the batch", err);
    }
    return MAAS_OK;
}

static void find_dependents(const maas_graph *g, bool *depends)
{
    for (uint32_t i = 0; i < g->n_inputs; i++)
        depends[g->inputs[i]] = true;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const maas_node *n = &g->nodes[i];
        bool any = false;
        for (int k = 0; k < n->n_in; k++)
            any |= n->in[k] >= 0 && depends[n->in[k]];
        for (int k = 0; k < n->n_out && any && !(n->op->flags & MAAS_OP_SHAPE_ONLY); k++)
            if (n->out[k] >= 0)
                depends[n->out[k]] = true;
    }
}

/* Reshape to {size, ...} becomes Reshape to {0, ...}: as many rows as come in. */
static maas_status open_reshape(maas_graph *g, uint32_t at, int64_t size, int *n_made,
                                maas_err *err)
{
    const maas_node *n = &g->nodes[at];
    const maas_tensor *shape = n->n_in == 2 && n->in[1] >= 0 ? &maas_graph_at(g, n->in[1])->init
                                                             : NULL;
    if (!shape || !shape->data || shape->dtype != MAAS_I64 || shape->rank != 1 ||
        shape->dims[0] < 1 || shape->dims[0] > MAAS_MAX_RANK || maas_attr_i(n, "allowzero", 0) ||
        ((const int64_t *)shape->data)[0] != size)
        return MAAS_OK;
    int64_t dims[MAAS_MAX_RANK];
    memcpy(dims, shape->data, (size_t)shape->dims[0] * sizeof *dims);
    dims[0] = 0;
    const maas_tensor t = maas_tensor_of(MAAS_I64, 1, shape->dims, dims);
    char name[48];
    maas_vid v;
    do
        snprintf(name, sizeof name, "batch.shape.%d", (*n_made)++);
    while (maas_graph_find(g, name) != MAAS_NO_VALUE);
    MAAS_TRY(maas_graph_const(g, name, &t, true, &v, err));
    g->nodes[at].in[1] = v;
    return MAAS_OK;
}

static maas_status open_fixed(maas_graph *g, int64_t batch, int64_t size, maas_err *err)
{
    AUTO_FREE bool *depends = maas_calloc(g->n_values, sizeof *depends);
    maas_err why = {0};
    int n_made = 0;
    if (!depends)
        return maas_fail(err, MAAS_E_NOMEM, "looking at %u values", g->n_values);
    find_dependents(g, depends);
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (maas_tune_is(&g->nodes[i], "Reshape") && depends[g->nodes[i].out[0]])
            MAAS_TRY(open_reshape(g, i, size, &n_made, err));
    maas_graph_forget_types(g);
    const maas_status st = maas_graph_infer(g, &why);
    if (st != MAAS_OK)
        return maas_fail(err, st == MAAS_E_NOMEM ? st : MAAS_E_UNSUPPORTED,
                         "the model is for batches of %lld and takes no others: %s; export it with "
                         "a batch of any size",
                         (long long)size, why.msg);
    return check_rows(g, batch, depends, err);
}

maas_status maas_tune_open_batch(maas_graph *g, maas_err *err)
{
    int64_t batch, size = MAAS_DIM_UNKNOWN;
    if (g->n_inputs == 0)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "the model has no inputs to train it by");
    MAAS_TRY(maas_graph_symbol(g, "batch", &batch, err));
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        maas_value *v = maas_graph_at(g, g->inputs[i]);
        if (v->type.tag != MAAS_TYPE_TENSOR || v->type.rank < 1)
            return maas_fail(err, MAAS_E_UNSUPPORTED,
                             "input '%.100s' is no tensor with a row for every example", v->name);
        if (v->type.dims[0] >= 0 && size >= 0 && v->type.dims[0] != size)
            return maas_fail(err, MAAS_E_UNSUPPORTED,
                             "input '%.100s' has %lld rows, another input has %lld", v->name,
                             (long long)v->type.dims[0], (long long)size);
        size = v->type.dims[0] >= 0 ? v->type.dims[0] : size;
        v->type.dims[0] = batch;
    }
    if (size >= 0)
        return open_fixed(g, batch, size, err);
    maas_graph_forget_types(g);
    return maas_graph_infer(g, err);
}
