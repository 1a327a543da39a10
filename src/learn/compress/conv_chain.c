/* learn/compress/conv_chain.c - following channels from node to node. */
#include "learn/compress/conv_chain.h"

#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

static bool is_one_of(const maas_node *n, const char *const *names)
{
    for (int i = 0; names[i]; i++)
        if (!*n->op->domain && strcmp(n->op->name, names[i]) == 0)
            return true;
    return false;
}

static bool note(const maas_graph *g, maas_vid v, maas_conv_chain *out)
{
    if (maas_graph_n_uses(g, v) != 1 || out->n_vectors == MAAS_MAX_CHAIN_VECTORS)
        return false;
    out->vectors[out->n_vectors++] = v;
    return true;
}

/* A constant of floats with a number for each channel: a list, or one that stands at the channels
 * of a value of that rank. One number for all: nothing to note. */
static bool beside(const maas_graph *g, maas_vid v, int rank, bool list, maas_conv_chain *out)
{
    if (v == MAAS_NO_VALUE)
        return true;
    const maas_value *c = maas_graph_at(g, v);
    const maas_tensor *t = &c->init;
    if (!(c->flags & MAAS_VALUE_CONST) || !t->data)
        return false;
    if (!list && maas_n_elems(t) == 1)
        return true;
    const int at = list ? 0 : t->rank - (rank - 1);
    if (t->dtype != MAAS_F32 || at < 0 || maas_n_elems(t) != out->n || t->dims[at] != out->n)
        return false;
    return note(g, v, out);
}

/* Does the node work on each channel alone? */
static bool passes_on(const maas_graph *g, const maas_node *n, maas_vid x, maas_conv_chain *out)
{
    static const char *const pools[] = {"MaxPool", "AveragePool", "GlobalAveragePool",
                                        "GlobalMaxPool", NULL};
    static const char *const norms[] = {"BatchNormalization", NULL};
    const bool norm = is_one_of(n, norms);
    const int rank = maas_graph_at(g, x)->type.rank;
    if (rank < 3 || (!(n->op->flags & MAAS_OP_ELEMENTWISE) && !norm && !is_one_of(n, pools)))
        return false;
    for (int k = 1; k < n->n_out; k++)
        if (n->out[k] != MAAS_NO_VALUE)
            return false;
    for (int k = 0; k < n->n_in; k++)
        if (n->in[k] != x && !beside(g, n->in[k], rank, norm, out))
            return false;
    return true;
}

/* The second: a convolution over all channels at once. */
static bool ends_at_conv(const maas_graph *g, maas_nid id, maas_conv_chain *out)
{
    maas_conv second;
    if (!maas_conv_of(g, id, 1, &second) || second.x != out->x ||
        maas_attr_i(&g->nodes[id], "group", 1) != 1)
        return false;
    const maas_tensor *t = &maas_graph_at(g, second.w)->init;
    out->w = second.w;
    out->axis = 1;
    out->before = t->dims[0];
    out->spatial = 1;
    out->after = maas_dims_product(t->dims, 2, t->rank);
    return t->dims[1] == out->n && maas_graph_n_uses(g, second.w) == 1;
}

/* Or Flatten and a dense layer: a channel is a run of its rows. */
static bool ends_at_dense(const maas_graph *g, maas_nid id, maas_conv_chain *out)
{
    static const char *const flatten[] = {"Flatten", NULL};
    maas_dense d;
    if (!is_one_of(&g->nodes[id], flatten) || maas_attr_i(&g->nodes[id], "axis", 1) != 1)
        return false;
    const maas_vid flat = g->nodes[id].out[0];
    const maas_nid next = maas_chain_reader(g, flat);
    if (next == MAAS_NO_NODE || !maas_dense_of(g, next, &d) || d.x != flat || d.in % out->n != 0)
        return false;
    out->w = d.w;
    out->axis = d.transposed;
    out->spatial = d.in / out->n;
    out->before = d.transposed ? d.out : 1;
    out->after = d.transposed ? 1 : d.out;
    return maas_graph_n_uses(g, d.w) == 1;
}

bool maas_conv_chain_of(const maas_graph *g, maas_nid first, maas_conv_chain *out)
{
    *out = (maas_conv_chain){0};
    if (!maas_conv_of(g, first, 1, &out->first) || maas_attr_i(&g->nodes[first], "group", 1) != 1 ||
        maas_graph_n_uses(g, out->first.w) != 1)
        return false;
    out->n = maas_graph_at(g, out->first.w)->init.dims[0];
    if (out->first.bias != MAAS_NO_VALUE && !note(g, out->first.bias, out))
        return false;
    out->x = g->nodes[first].out[0];
    for (;;) {
        const maas_nid next = maas_chain_reader(g, out->x);
        if (next == MAAS_NO_NODE)
            return false;
        if (ends_at_conv(g, next, out) || ends_at_dense(g, next, out))
            return true;
        if (!passes_on(g, &g->nodes[next], out->x, out))
            return false;
        out->x = g->nodes[next].out[0];
    }
}

/* Of [before][n][run] some of the n. */
static maas_status keep(maas_graph *g, maas_vid v, int axis, int64_t before, int64_t n, int64_t run,
                        const int64_t *kept, int64_t n_kept, maas_err *err)
{
    maas_tensor t = maas_graph_at(g, v)->init;
    const float *from = t.data;
    t.dims[axis] = t.dims[axis] / n * n_kept;
    MAAS_TRY(maas_weight_room(g, &t, err));
    float *to = t.data;
    for (int64_t b = 0; b < before; b++)
        for (int64_t k = 0; k < n_kept; k++, to += run)
            memcpy(to, from + (b * n + kept[k]) * run, (size_t)run * sizeof *to);
    maas_weight_set(g, v, &t);
    return MAAS_OK;
}

maas_status maas_conv_chain_keep(maas_graph *g, const maas_conv_chain *c, const int64_t *kept,
                                 int64_t n, maas_err *err)
{
    const maas_tensor *w = &maas_graph_at(g, c->first.w)->init;
    MAAS_TRY(keep(g, c->first.w, 0, 1, c->n, maas_dims_product(w->dims, 1, w->rank), kept, n, err));
    MAAS_TRY(keep(g, c->w, c->axis, c->before, c->n, c->spatial * c->after, kept, n, err));
    for (int i = 0; i < c->n_vectors; i++) {
        const maas_tensor *t = &maas_graph_at(g, c->vectors[i])->init;
        int axis = 0;
        while (t->dims[axis] != c->n)
            axis++;
        MAAS_TRY(keep(g, c->vectors[i], axis, 1, c->n, 1, kept, n, err));
    }
    return MAAS_OK;
}
