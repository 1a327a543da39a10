/* learn/hints.c - hidden values by name, averaged, and their part of the loss. */
#include "learn/hints.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/ban.h"

/* ---- by name ---- */

static bool is_one_of(const maas_node *n, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(n->op->name, names[i]) == 0)
            return true;
    return false;
}

static const maas_node *reader_of(const maas_graph *g, maas_vid v)
{
    for (uint32_t i = 0; i < g->n_nodes; i++)
        for (int k = 0; !g->nodes[i].dead && k < g->nodes[i].n_in; k++)
            if (g->nodes[i].in[k] == v && g->nodes[i].n_out && g->nodes[i].out[0] >= 0)
                return &g->nodes[i];
    return NULL;
}

/* What a weight is multiplied to, behind what only changes how it is written. */
static maas_vid product_of(const maas_graph *g, maas_vid w)
{
    static const char *const forms[] = {"Transpose", "Reshape",          "Cast",
                                        "Identity",  "DequantizeLinear", "FakeQuantizeWeights"};
    for (int depth = 0; depth < 8; depth++) {
        const maas_node *n = reader_of(g, w);
        if (!n)
            return MAAS_NO_VALUE;
        w = n->out[0];
        if (!is_one_of(n, forms, MAAS_COUNT(forms)))
            return w;
    }
    return MAAS_NO_VALUE;
}

maas_vid maas_hint_find(const maas_graph *g, const char *name)
{
    char weight[160];
    maas_vid v = maas_graph_find(g, name);
    if (v == MAAS_NO_VALUE && strlen(name) < 150) {
        snprintf(weight, sizeof weight, "%s.weight", name);
        v = maas_graph_find(g, weight);
    }
    if (v != MAAS_NO_VALUE)
        return maas_graph_at(g, v)->producer == MAAS_NO_NODE &&
                       !(maas_graph_at(g, v)->flags & MAAS_VALUE_INPUT)
                   ? product_of(g, v)
                   : v;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (strcmp(g->nodes[i].name, name) == 0 && g->nodes[i].n_out)
            return g->nodes[i].out[0];
    return MAAS_NO_VALUE;
}

/* ---- averaged ---- */

/* Of three dimensions the second are channels behind these, else steps. */
static bool channels_second(const maas_graph *g, maas_vid v)
{
    static const char *const ops[] = {"Conv", "ConvTranspose", "BatchNormalization", "MaxPool",
                                      "AveragePool"};
    const maas_nid n = maas_graph_at(g, v)->producer;
    return n != MAAS_NO_NODE && is_one_of(&g->nodes[n], ops, MAAS_COUNT(ops));
}

maas_vid maas_hint_pooled(maas_builder *b, maas_vid v)
{
    if (b->status != MAAS_OK)
        return MAAS_NO_VALUE;
    const maas_type *t = maas_b_type(b, v);
    const maas_attr keep = MAAS_A_INT("keepdims", 0);
    int64_t axes[MAAS_MAX_RANK];
    int n = 0;
    if (t->tag != MAAS_TYPE_TENSOR || t->dtype != MAAS_F32 || t->rank < 2) {
        b->status = maas_fail(b->err, MAAS_E_INVALID, "'%.100s' is no row of floats for each row",
                              maas_graph_at(b->g, v)->name);
        return MAAS_NO_VALUE;
    }
    if (t->rank == 3 && !channels_second(b->g, v))
        axes[n++] = 1;
    for (int i = 2; i < t->rank && n == i - 2; i++)
        axes[n++] = i;
    const maas_vid in[2] = {v, n ? maas_b_i64s(b, axes, n) : MAAS_NO_VALUE};
    return n ? maas_b_node(b, "ReduceMean", &keep, 1, in, 2, NULL, 1) : v;
}

/* ---- the loss ---- */

/* The matrix from the network's width to the teacher's: fresh, whatever training goes on from. */
static maas_vid projected(maas_net *net, int i, maas_vid h, int64_t have, int64_t want)
{
    const char *prefix = net->prefix;
    const maas_graph *parent = net->parent;
    net->prefix = "hint";
    net->parent = NULL;
    const maas_vid w = maas_net_weight_add(net, i, "weight", 2, (int64_t[]){have, want},
                                           MAAS_INIT_GLOROT_UNIFORM, have, want);
    net->prefix = prefix;
    net->parent = parent;
    return maas_b_op2(&net->b, "MatMul", h, w);
}

static maas_vid hint_loss(const maas_hint *hint, int i, maas_net *net)
{
    maas_builder *b = &net->b;
    const maas_attr keep = MAAS_A_INT("keepdims", 0);
    char name[32];
    snprintf(name, sizeof name, "hint.%d", i);
    const maas_vid t = maas_b_input(b, name, MAAS_F32, 2, (int64_t[]){net->batch, hint->width});
    maas_vid h = maas_hint_find(b->g, hint->name), mean = MAAS_NO_VALUE;
    if (h == MAAS_NO_VALUE)
        maas_net_fail(net, MAAS_E_INVALID,
                      "features: the network that is trained has no weight, value or node '%.100s'",
                      hint->name);
    h = maas_hint_pooled(b, h);
    if (b->status != MAAS_OK)
        return MAAS_NO_VALUE;
    const int64_t have = maas_net_row(net, h);
    if (have <= 0)
        maas_net_fail(net, MAAS_E_UNSUPPORTED, "features: the width of '%.100s' is not known",
                      hint->name);
    h = have == hint->width ? maas_b_op2(b, "Mul", h, maas_b_f32(b, 1 / hint->scale))
                            : projected(net, i, h, have, hint->width);
    const maas_vid off = maas_b_op2(b, "Sub", h, t), square = maas_b_op2(b, "Mul", off, off);
    return maas_b_node(b, "ReduceMean", &keep, 1, &square, 1, &mean, 1);
}

maas_vid maas_hints_loss(const maas_teaching *t, maas_net *net, maas_vid loss)
{
    maas_builder *b = &net->b;
    for (size_t i = 0; i < t->n_hints && b->status == MAAS_OK; i++) {
        const maas_vid part = hint_loss(&t->hints[i], (int)i, net);
        loss = maas_b_op2(b, "Add", loss,
                          maas_b_op2(b, "Mul", part, maas_b_f32(b, (float)t->hint_weight)));
    }
    return loss;
}

void maas_hint_gather(const maas_hint *h, const uint32_t *rows, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++)
        memcpy(out + i * h->width, h->values + rows[i] * h->width, (size_t)h->width * sizeof *out);
}
