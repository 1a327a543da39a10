/* learn/compress/dense_chain.c - following a value from node to node. */
#include "learn/compress/dense_chain.h"

#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

maas_nid maas_chain_reader(const maas_graph *g, maas_vid v)
{
    if (maas_graph_n_uses(g, v) != 1)
        return MAAS_NO_NODE;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        for (int k = 0; !g->nodes[i].dead && k < g->nodes[i].n_in; k++)
            if (g->nodes[i].in[k] == v)
                return (maas_nid)i;
    return MAAS_NO_NODE; /* an output of the graph */
}

/* A constant beside the neurons: one number for all, or one for each (then it is noted). */
static bool beside(const maas_graph *g, maas_vid v, int64_t n, maas_dense_chain *out)
{
    if (v == MAAS_NO_VALUE)
        return true;
    const maas_value *c = maas_graph_at(g, v);
    const maas_tensor *t = &c->init;
    if (!(c->flags & MAAS_VALUE_CONST) || !t->data)
        return false;
    if (maas_n_elems(t) == 1)
        return true;
    if (t->dtype != MAAS_F32 || maas_n_elems(t) != n || t->dims[t->rank - 1] != n ||
        maas_graph_n_uses(g, v) != 1 || out->n_vectors == MAAS_MAX_CHAIN_VECTORS)
        return false;
    out->vectors[out->n_vectors++] = v;
    return true;
}

/* Does the node work on each neuron alone? */
static bool passes_on(const maas_graph *g, const maas_node *n, maas_vid x, int64_t width,
                      maas_dense_chain *out)
{
    const bool norm = !*n->op->domain && strcmp(n->op->name, "BatchNormalization") == 0;
    const int8_t rank = maas_graph_at(g, x)->type.rank;
    if ((!(n->op->flags & MAAS_OP_ELEMENTWISE) && !(norm && rank == 2)) || n->n_out < 1)
        return false;
    for (int k = 1; k < n->n_out; k++)
        if (n->out[k] != MAAS_NO_VALUE)
            return false;
    for (int k = 0; k < n->n_in; k++)
        if (n->in[k] != x && !beside(g, n->in[k], width, out))
            return false;
    return true;
}

static bool single(const maas_graph *g, maas_vid v)
{
    return maas_graph_n_uses(g, v) == 1;
}

bool maas_dense_chain_of(const maas_graph *g, maas_nid first, maas_dense_chain *out)
{
    *out = (maas_dense_chain){0};
    if (!maas_dense_of(g, first, &out->first) || !single(g, out->first.w) ||
        !beside(g, out->first.bias, out->first.out, out))
        return false;
    maas_vid x = g->nodes[first].out[0];
    for (;;) {
        const maas_nid next = maas_chain_reader(g, x);
        if (next == MAAS_NO_NODE)
            return false;
        if (maas_dense_of(g, next, &out->second))
            return out->second.x == x && out->second.in == out->first.out &&
                   single(g, out->second.w);
        if (!passes_on(g, &g->nodes[next], x, out->first.out, out))
            return false;
        x = g->nodes[next].out[0];
    }
}

/* Some columns of [rows][width]. */
static maas_status keep_columns(maas_graph *g, maas_vid v, int64_t rows, int64_t width,
                                const int64_t *kept, int64_t n, maas_err *err)
{
    maas_tensor t = maas_graph_at(g, v)->init;
    const float *from = t.data;
    t.dims[t.rank - 1] = n;
    MAAS_TRY(maas_weight_room(g, &t, err));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < n; k++)
            ((float *)t.data)[r * n + k] = from[r * width + kept[k]];
    maas_weight_set(g, v, &t);
    return MAAS_OK;
}

static maas_status keep_rows(maas_graph *g, maas_vid v, int64_t width, const int64_t *kept,
                             int64_t n, maas_err *err)
{
    maas_tensor t = maas_graph_at(g, v)->init;
    const float *from = t.data;
    t.dims[0] = n;
    MAAS_TRY(maas_weight_room(g, &t, err));
    for (int64_t k = 0; k < n; k++)
        memcpy((float *)t.data + k * width, from + kept[k] * width, (size_t)width * sizeof *from);
    maas_weight_set(g, v, &t);
    return MAAS_OK;
}

maas_status maas_dense_chain_keep(maas_graph *g, const maas_dense_chain *c, const int64_t *kept,
                                  int64_t n, maas_err *err)
{
    const maas_dense *a = &c->first, *b = &c->second;
    MAAS_TRY(a->transposed ? keep_rows(g, a->w, a->in, kept, n, err)
                           : keep_columns(g, a->w, a->in, a->out, kept, n, err));
    MAAS_TRY(b->transposed ? keep_columns(g, b->w, b->out, b->in, kept, n, err)
                           : keep_rows(g, b->w, b->out, kept, n, err));
    for (int i = 0; i < c->n_vectors; i++)
        MAAS_TRY(keep_columns(g, c->vectors[i], 1, a->out, kept, n, err));
    return MAAS_OK;
}
