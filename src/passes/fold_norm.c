/*
 * BatchNormalization with constant statistics is an affine function of each channel:
 *
 *   Y = BatchNormalization(X, ..)   becomes   Y = Add(Mul(X, s), b)
 *
 * which the convolution before it takes in (fuse_conv.c), or element-wise fusion.
 */
#include "passes/pass_int.h"

#include <math.h>

#include "base/mem.h"
#include "ops/build.h"
#include "base/ban.h"

static const float *vector_of(const maas_graph *g, maas_vid v, int64_t n)
{
    if (!maas_value_is(g, v, MAAS_VALUE_CONST))
        return NULL;
    const maas_tensor *t = &maas_graph_at(g, v)->init;
    return t->dtype == MAAS_F32 && t->rank == 1 && t->dims[0] == n ? t->data : NULL;
}

static bool is_candidate(const maas_graph *g, const maas_node *n, const float *v[4])
{
    if (maas_attr_i(n, "training_mode", 0) != 0 || n->n_in != 5 || n->n_out != 1 || n->out[0] < 0)
        return false;
    const maas_type *x = &maas_graph_at(g, n->in[0])->type;
    if (x->tag != MAAS_TYPE_TENSOR || x->dtype != MAAS_F32 || x->rank < 2 || x->dims[1] < 1)
        return false;
    for (int i = 0; i < 4; i++)
        if (!(v[i] = vector_of(g, n->in[i + 1], x->dims[1])))
            return false;
    return true;
}

static maas_status channel_const(maas_graph *g, const maas_type *x, float *data, maas_vid *out,
                                 maas_err *err)
{
    int64_t dims[MAAS_MAX_RANK] = {x->dims[1], 1, 1, 1, 1, 1, 1, 1};
    const maas_tensor t = maas_tensor_of(MAAS_F32, x->rank - 1, dims, data);
    return maas_graph_const(g, NULL, &t, true, out, err);
}

static maas_status rewrite(maas_graph *g, uint32_t i, const float *v[4], maas_err *err)
{
    const maas_type x = maas_graph_at(g, g->nodes[i].in[0])->type;
    const size_t c = (size_t)x.dims[1];
    const double epsilon = maas_attr_f(&g->nodes[i], "epsilon", 1e-5f);
    AUTO_FREE float *s = maas_calloc(2 * c, sizeof *s);
    if (!s)
        return maas_fail(err, MAAS_E_NOMEM, "folding '%s'", g->nodes[i].name);
    for (size_t k = 0; k < c; k++) {
        const double scale = v[0][k] / sqrt(v[3][k] + epsilon);
        s[k] = (float)scale;
        s[c + k] = (float)(v[1][k] - v[2][k] * scale);
    }
    maas_vid in[2] = {g->nodes[i].in[0]}, product = MAAS_NO_VALUE, shift;
    MAAS_TRY(channel_const(g, &x, s, &in[1], err));
    MAAS_TRY(channel_const(g, &x, s + c, &shift, err));
    MAAS_TRY(maas_graph_value(g, NULL, &x, &product, err));
    MAAS_TRY(maas_graph_node(g, maas_op_find("", "Mul", MAAS_OPSET), g->nodes[i].name, in, 2,
                             &product, 1, NULL, err));
    maas_node *n = &g->nodes[i];
    n->op = maas_op_find("", "Add", MAAS_OPSET);
    n->in[0] = product;
    n->in[1] = shift;
    n->n_in = 2;
    n->n_attr = 0;
    return MAAS_OK;
}

maas_status maas_pass_fold_norm(maas_graph *g, const maas_pass_opts *o, maas_err *err)
{
    const maas_op *norm = maas_op_find("", "BatchNormalization", MAAS_OPSET);
    const uint32_t n_nodes = g->n_nodes;
    const float *v[4];
    bool any = false;
    for (uint32_t i = 0; i < n_nodes; i++) {
        if (g->nodes[i].dead || g->nodes[i].op != norm || !is_candidate(g, &g->nodes[i], v))
            continue;
        MAAS_TRY(rewrite(g, i, v, err));
        any = true;
    }
    return any ? maas_graph_compact(g, err) : MAAS_OK;
}
