/*
 * Conv: y[n][m][o] = b[m] + sum over c, k of x[n][c][o * stride - pad + k * dilation] w[m][c][k],
 * over any number of spatial axes, channels in groups that do not see each other.
 * ConvGrad (ai.maas): (dY, X, W) -> dX, dW, dB.
 */
#include "ops/conv_int.h"

#include "base/ban.h"

/* ---- shapes ---- */

maas_status maas_conv_infer(const maas_infer *q, const maas_type *x, const maas_type *weights,
                            maas_dtype t, maas_type *out, maas_err *err)
{
    const maas_type any = maas_type_tensor(t, MAAS_MAX_RANK,
                                           (const int64_t[]){-1, -1, -1, -1, -1, -1, -1, -1});
    const maas_type *wt = weights->rank >= 0 ? weights : &any, *xt = x->rank >= 0 ? x : &any;
    int64_t groups;
    maas_window w;
    int n;
    *out = any;
    out->rank = MAAS_RANK_UNKNOWN;
    MAAS_TRY(maas_conv_groups(q->node, &groups, err));
    MAAS_TRY(maas_conv_axes(x, weights, &n, err));
    if (n < 0)
        return MAAS_OK;
    MAAS_TRY(maas_window_init(&w, q->node, n, wt->dims + 2, err));
    MAAS_TRY(maas_conv_channels(xt->dims[1], groups, wt->dims[1], "X", err));
    MAAS_TRY(maas_conv_channels(wt->dims[0], groups, MAAS_DIM_UNKNOWN, "Y", err));
    out->rank = (int8_t)(n + 2);
    out->dims[0] = xt->dims[0];
    out->dims[1] = wt->dims[0];
    return maas_window_fit(&w, xt->dims + 2, out->dims + 2, err);
}

maas_status maas_conv_added(const maas_infer *q, maas_type *y, maas_err *err)
{
    const maas_type *z = &q->in[0];
    if (z->dtype != y->dtype)
        return maas_fail(err, MAAS_E_INVALID, "Z and Y must have the same type");
    if (z->rank >= 0 && y->rank >= 0 && z->rank != y->rank)
        return maas_fail(err, MAAS_E_INVALID, "Z has rank %d, Y %d", z->rank, y->rank);
    for (int i = 0; i < y->rank && z->rank >= 0; i++)
        MAAS_TRY(maas_dim_same(z->dims[i], y->dims[i], &y->dims[i], "Z and Y", err));
    return MAAS_OK;
}

static maas_status conv_infer(maas_infer *q, maas_err *err)
{
    MAAS_TRY(maas_conv_infer(q, &q->in[0], &q->in[1], (maas_dtype)q->in[0].dtype, &q->out[0], err));
    return maas_conv_vector(q, 2, q->in[1].rank < 0 ? MAAS_DIM_UNKNOWN : q->in[1].dims[0], err);
}

static maas_status grad_infer(maas_infer *q, maas_err *err)
{
    maas_type y;
    MAAS_TRY(maas_conv_infer(q, &q->in[1], &q->in[2], (maas_dtype)q->in[1].dtype, &y, err));
    return maas_conv_grad_types(q, &y, q->in[2].rank < 0 ? MAAS_DIM_UNKNOWN : q->in[2].dims[0],
                                err);
}

/* ---- running ---- */

static maas_status conv_reference(const maas_call *c, maas_err *err)
{
    maas_conv v;
    MAAS_TRY(maas_conv_init(&v, c->node, &c->in[0], &c->in[1], &c->out[0], err));
    maas_conv_forward(&v, &c->in[0], &c->in[1], maas_c_in(c, 2), &c->out[0]);
    return MAAS_OK;
}

static maas_status grad_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *dy = &c->in[0], *x = &c->in[1], *w = &c->in[2];
    const maas_tensor *dx = maas_c_out(c, 0), *dw = maas_c_out(c, 1), *db = maas_c_out(c, 2);
    maas_conv v;
    MAAS_TRY(maas_conv_init(&v, c->node, x, w, dy, err));
    if (dx)
        maas_conv_backward(&v, dy, w, NULL, dx);
    if (dw)
        maas_conv_weights(&v, dy, x, dw);
    if (db)
        maas_conv_bias(dy, db);
    return MAAS_OK;
}

static int64_t conv_flops(const maas_call *c)
{
    maas_conv v;
    return maas_conv_init(&v, c->node, &c->in[0], &c->in[1], &c->out[0], NULL) == MAAS_OK
               ? maas_conv_flops(&v)
               : 0;
}

static int64_t grad_flops(const maas_call *c)
{
    maas_conv v;
    int64_t n;
    if (maas_conv_init(&v, c->node, &c->in[1], &c->in[2], &c->in[0], NULL) != MAAS_OK)
        return 0;
    return __builtin_mul_overflow(maas_conv_flops(&v), 2, &n) ? INT64_MAX : n;
}

static void conv_gradient(maas_grad *g)
{
    maas_conv_gradient(g, "ConvGrad");
}

/* ---- examples and rows ---- */

#define N_CASES 18
static const struct {
    int rank, group, bias;
    const char *auto_pad;
    int64_t x[5], w[5], strides[3], dilations[3], pads[6];
} cases[N_CASES] = {
    {4, 1, 1, NULL, {2, 3, 5, 6}, {4, 3, 3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}},
    {4, 1, 0, NULL, {1, 4, 5, 4}, {6, 4, 1, 1}, {1, 1}, {1, 1}, {0}},
    {4, 1, 1, NULL, {1, 3, 9, 8}, {16, 3, 3, 3}, {2, 2}, {1, 1}, {0, 1, 2, 1}},
    {4, 4, 1, NULL, {2, 4, 6, 5}, {4, 1, 3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}},
    {4, 3, 0, NULL, {1, 3, 7, 7}, {6, 1, 3, 2}, {2, 1}, {1, 2}, {1, 0, 0, 1}},
    {4, 2, 1, NULL, {1, 4, 5, 5}, {6, 2, 2, 3}, {1, 2}, {2, 1}, {1, 2, 1, 0}},
    {3, 1, 1, NULL, {2, 3, 9}, {4, 3, 3}, {2}, {2}, {2, 1}},
    {3, 1, 0, "SAME_UPPER", {1, 2, 7}, {3, 2, 4}, {2}, {1}, {0}},
    {4, 1, 1, "SAME_LOWER", {1, 2, 5, 6}, {3, 2, 2, 4}, {1, 2}, {1, 1}, {0}},
    {4, 1, 0, "VALID", {1, 2, 5, 6}, {3, 2, 2, 3}, {1, 1}, {2, 1}, {0}},
    {5, 1, 1, NULL, {1, 2, 4, 3, 5}, {3, 2, 2, 2, 3}, {1, 2, 1}, {1, 1, 2}, {1, 0, 1, 0, 1, 2}},
    {4, 1, 1, NULL, {0, 3, 5, 6}, {4, 3, 3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}},
    {4, 1, 1, NULL, {1, 32, 7, 7}, {32, 32, 3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}},
    {4, 32, 1, NULL, {1, 32, 9, 9}, {32, 1, 3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}},
    {4, 1, 0, NULL, {2, 17, 4, 5}, {33, 17, 1, 1}, {1, 1}, {1, 1}, {0}},
    {4, 20, 0, NULL, {2, 20, 8, 7}, {20, 1, 5, 5}, {1, 1}, {1, 1}, {2, 2, 2, 2}},
    {4, 1, 1, NULL, {2, 16, 8, 6}, {32, 16, 1, 1}, {2, 2}, {1, 1}, {0}},
    {4, 1, 1, NULL, {1, 3, 10, 8}, {4, 3, 2, 3}, {3, 4}, {1, 1}, {0, 1, 0, 0}},
};

static int attrs_of(int k, maas_attr a[5])
{
    const int n = cases[k].rank - 2;
    a[0] = MAAS_A_INTS("strides", cases[k].strides, n);
    a[1] = MAAS_A_INTS("dilations", cases[k].dilations, n);
    a[2] = MAAS_A_INT("group", cases[k].group);
    a[3] = MAAS_A_INTS("kernel_shape", cases[k].w + 2, n);
    a[4] = cases[k].auto_pad ? MAAS_A_STR("auto_pad", cases[k].auto_pad)
                             : MAAS_A_INTS("pads", cases[k].pads, 2 * n);
    return 5;
}

static void conv_example(maas_example *e)
{
    const int k = e->variant / 2;
    maas_dtype t = maas_ex_float(e);
    maas_attr a[5];
    maas_vid in[3] = {maas_ex_in(e, t, -1, 1, cases[k].rank, cases[k].x),
                      maas_ex_in(e, t, -1, 1, cases[k].rank, cases[k].w)};
    if (cases[k].bias)
        in[2] = maas_ex_in(e, t, -1, 1, 1, cases[k].w);
    const uint32_t n = (uint32_t)attrs_of(k, a);
    maas_b_node(e->b, "Conv", a, n, in, cases[k].bias ? 3 : 2, NULL, 1);
}

static void grad_example(maas_example *e)
{
    const int k = e->variant / 2;
    maas_dtype t = maas_ex_float(e);
    maas_attr a[5];
    maas_vid out[3];
    const maas_node node = {.attr = a, .n_attr = (uint16_t)attrs_of(k, a)};
    const maas_type xt = maas_type_tensor(t, cases[k].rank, cases[k].x),
                    wt = maas_type_tensor(t, cases[k].rank, cases[k].w);
    const maas_infer q = {.node = &node};
    maas_type y;
    maas_conv_infer(&q, &xt, &wt, t, &y, NULL);
    const maas_vid in[3] = {maas_ex_in(e, t, -1, 1, y.rank, y.dims),
                            maas_ex_in(e, t, -1, 1, xt.rank, xt.dims),
                            maas_ex_in(e, t, -1, 1, wt.rank, wt.dims)};
    maas_b_node(e->b, "ConvGrad", a, node.n_attr, in, 3, out, 2 + (uint32_t)cases[k].bias);
}

static const maas_io_schema in[] = {MAAS_REQ("X", "T", MAAS_DTS_FLOAT),
                                    MAAS_REQ("W", "T", MAAS_DTS_FLOAT),
                                    MAAS_OPT("B", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema out[] = {MAAS_REQ("Y", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema grad_in[] = {MAAS_REQ("dY", "T", MAAS_DTS_FLOAT),
                                         MAAS_REQ("X", "T", MAAS_DTS_FLOAT),
                                         MAAS_REQ("W", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema grad_out[] = {MAAS_REQ("dX", "T", MAAS_DTS_FLOAT),
                                          MAAS_OPT("dW", "T", MAAS_DTS_FLOAT),
                                          MAAS_OPT("dB", "T", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {
    {"auto_pad", MAAS_ATTR_STRING, false}, {"dilations", MAAS_ATTR_INTS, false},
    {"group", MAAS_ATTR_INT, false},       {"kernel_shape", MAAS_ATTR_INTS, false},
    {"pads", MAAS_ATTR_INTS, false},       {"strides", MAAS_ATTR_INTS, false}};

const maas_op maas_op_Conv = {
    .domain = "",
    .name = "Conv",
    .since = 11,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 2 * N_CASES,
    .tolerance = 1e-4,
    .infer = conv_infer,
    .reference = conv_reference,
    .flops = conv_flops,
    .example = conv_example,
    .gradient = conv_gradient,
};

const maas_op maas_op_ConvGrad = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "ConvGrad",
    .since = 1,
    MAAS_SCHEMA(grad_in, grad_out),
    MAAS_ATTRS(attrs),
    .n_examples = 2 * N_CASES,
    .tolerance = 1e-4,
    .infer = grad_infer,
    .reference = grad_reference,
    .flops = grad_flops,
    .example = grad_example,
    .no_gradient = MAAS_SECOND_ORDER,
};
