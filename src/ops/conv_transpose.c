/*
 * ConvTranspose: every element of x is spread by the weights [C][M / group][k..], which is what
 * the gradient of Conv does: x is the narrow side, y the wide one.
 * ConvTransposeGrad (ai.maas): (dY, X, W) -> dX, dW, dB.
 */
#include "ops/conv_int.h"

#include <inttypes.h>

#include "base/ban.h"

/* ---- shapes ---- */

/* Pads that leave `wide` of the natural size: too few are no pads at all. */
static void split_pads(maas_window *w, int a, int64_t total)
{
    const int64_t t = total > 0 ? total : 0, less = t / 2;
    w->before[a] = w->auto_pad == MAAS_PAD_SAME_UPPER ? less : t - less;
    w->after[a] = t - w->before[a];
}

static maas_status fit_axis(maas_window *w, int a, int64_t narrow, int64_t padding, int64_t asked,
                            int64_t *wide, maas_err *err)
{
    int64_t natural, same; /* natural: stride * (narrow - 1) + padding + extent */
    if (__builtin_mul_overflow(w->stride[a], narrow, &same) ||
        __builtin_mul_overflow(w->stride[a], narrow - 1, &natural) ||
        __builtin_add_overflow(natural, padding, &natural) ||
        __builtin_add_overflow(natural, maas_window_extent(w, a), &natural))
        return maas_fail(err, MAAS_E_TOO_LARGE, "spatial axis %d has too many elements", a);
    *wide = asked;
    if (asked == MAAS_DIM_UNKNOWN &&
        (w->auto_pad == MAAS_PAD_SAME_UPPER || w->auto_pad == MAAS_PAD_SAME_LOWER))
        *wide = same;
    if (*wide >= 0)
        split_pads(w, a, natural - *wide);
    else
        *wide = natural - w->before[a] - w->after[a];
    return *wide >= 0 ? MAAS_OK
                      : maas_fail(err, MAAS_E_INVALID,
                                  "spatial axis %d: pads cut off more than there is", a);
}

static maas_status output_padding(const maas_node *node, const maas_window *w, int64_t *out,
                                  maas_err *err)
{
    uint32_t n;
    const int64_t *v = maas_attr_ints(node, "output_padding", &n);
    if (v && n != (uint32_t)w->n)
        return maas_fail(err, MAAS_E_INVALID, "output_padding has %u numbers, must have %d", n,
                         w->n);
    for (int a = 0; a < w->n; a++) {
        out[a] = v ? v[a] : 0;
        const int64_t most = w->stride[a] > w->dilation[a] ? w->stride[a] : w->dilation[a];
        if (out[a] < 0 || (out[a] > 0 && out[a] >= most))
            return maas_fail(err, MAAS_E_INVALID,
                             "output_padding %" PRId64 " must be below stride or dilation", out[a]);
    }
    return MAAS_OK;
}

static maas_status output_shape(const maas_node *node, const maas_window *w, const int64_t **out,
                                maas_err *err)
{
    uint32_t n;
    const int64_t *v = maas_attr_ints(node, "output_shape", &n);
    *out = v;
    if (!v)
        return MAAS_OK;
    if (n == (uint32_t)w->n + 2) /* some writers name batch and channels, too */
        *out = v = v + 2;
    else if (n != (uint32_t)w->n)
        return maas_fail(err, MAAS_E_INVALID, "output_shape has %u numbers, must have %d", n, w->n);
    for (int a = 0; a < w->n; a++)
        if (v[a] < 0)
            return maas_fail(err, MAAS_E_INVALID, "output_shape: %" PRId64 " is not possible",
                             v[a]);
    return MAAS_OK;
}

maas_status maas_window_fit_transposed(maas_window *w, const maas_node *node, const int64_t *narrow,
                                       int64_t *wide, maas_err *err)
{
    int64_t padding[MAAS_WINDOW_AXES];
    const int64_t *asked;
    MAAS_TRY(output_padding(node, w, padding, err));
    MAAS_TRY(output_shape(node, w, &asked, err));
    for (int a = 0; a < w->n; a++) {
        const int64_t want = asked ? asked[a] : MAAS_DIM_UNKNOWN;
        wide[a] = want;
        if (narrow[a] > 0 && w->kernel[a] >= 0)
            MAAS_TRY(fit_axis(w, a, narrow[a], padding[a], want, &wide[a], err));
        else if (narrow[a] == 0 && !asked)
            wide[a] = 0;
    }
    return MAAS_OK;
}

/* The type of the result, and its channels. */
static maas_status result(const maas_infer *q, const maas_type *x, const maas_type *weights,
                          maas_type *out, maas_err *err)
{
    const maas_type any = maas_type_tensor((maas_dtype)x->dtype, MAAS_MAX_RANK,
                                           (const int64_t[]){-1, -1, -1, -1, -1, -1, -1, -1});
    const maas_type *wt = weights->rank >= 0 ? weights : &any, *xt = x->rank >= 0 ? x : &any;
    int64_t groups;
    maas_window w;
    *out = any;
    out->rank = MAAS_RANK_UNKNOWN;
    MAAS_TRY(maas_conv_groups(q->node, &groups, err));
    int n;
    MAAS_TRY(maas_conv_axes(x, weights, &n, err));
    if (n < 0)
        return MAAS_OK;
    MAAS_TRY(maas_window_init(&w, q->node, n, wt->dims + 2, err));
    int64_t c;
    MAAS_TRY(maas_dim_same(xt->dims[1], wt->dims[0], &c, "channels of X and the weights", err));
    MAAS_TRY(maas_conv_channels(c, groups, MAAS_DIM_UNKNOWN, "X", err));
    out->rank = (int8_t)(n + 2);
    out->dims[0] = xt->dims[0];
    if (wt->dims[1] >= 0 && __builtin_mul_overflow(wt->dims[1], groups, &out->dims[1]))
        return maas_fail(err, MAAS_E_TOO_LARGE, "the result has too many channels");
    return maas_window_fit_transposed(&w, q->node, xt->dims + 2, out->dims + 2, err);
}

static maas_status transpose_infer(maas_infer *q, maas_err *err)
{
    MAAS_TRY(result(q, &q->in[0], &q->in[1], &q->out[0], err));
    return maas_conv_vector(q, 2, q->out[0].rank < 0 ? MAAS_DIM_UNKNOWN : q->out[0].dims[1], err);
}

static maas_status grad_infer(maas_infer *q, maas_err *err)
{
    maas_type y;
    MAAS_TRY(result(q, &q->in[1], &q->in[2], &y, err));
    return maas_conv_grad_types(q, &y, y.rank < 0 ? MAAS_DIM_UNKNOWN : y.dims[1], err);
}

/* ---- running ---- */

static maas_status transpose_reference(const maas_call *c, maas_err *err)
{
    maas_conv v;
    MAAS_TRY(maas_conv_init_transposed(&v, c->node, &c->out[0], &c->in[1], &c->in[0], err));
    maas_conv_backward(&v, &c->in[0], &c->in[1], maas_c_in(c, 2), &c->out[0]);
    return MAAS_OK;
}

static maas_status grad_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *dy = &c->in[0], *x = &c->in[1], *w = &c->in[2];
    const maas_tensor *dx = maas_c_out(c, 0), *dw = maas_c_out(c, 1), *db = maas_c_out(c, 2);
    maas_conv v;
    MAAS_TRY(maas_conv_init_transposed(&v, c->node, dy, w, x, err));
    if (dx)
        maas_conv_forward(&v, dy, w, NULL, dx);
    if (dw)
        maas_conv_weights(&v, x, dy, dw);
    if (db)
        maas_conv_bias(dy, db);
    return MAAS_OK;
}

static int64_t flops_of(const maas_call *c, const maas_tensor *wide, const maas_tensor *weights,
                        const maas_tensor *narrow, int64_t times)
{
    maas_conv v;
    int64_t n;
    if (maas_conv_init_transposed(&v, c->node, wide, weights, narrow, NULL) != MAAS_OK)
        return 0;
    return __builtin_mul_overflow(maas_conv_flops(&v), times, &n) ? INT64_MAX : n;
}

static int64_t transpose_flops(const maas_call *c)
{
    return flops_of(c, &c->out[0], &c->in[1], &c->in[0], 1);
}

static int64_t grad_flops(const maas_call *c)
{
    return flops_of(c, &c->in[0], &c->in[2], &c->in[1], 2);
}

static void transpose_gradient(maas_grad *g)
{
    maas_conv_gradient(g, "ConvTransposeGrad");
}

/* ---- examples and rows ---- */

#define N_CASES 11
static const struct {
    int rank, group, bias;
    const char *auto_pad;
    int64_t x[5], w[5], strides[3], dilations[3], pads[6], padding[3], shape[3];
} cases[N_CASES] = {
    {4, 1, 1, NULL, {2, 3, 3, 4}, {3, 2, 3, 3}, {1, 1}, {1, 1}, {0}, {0}, {0}},
    {4, 1, 0, NULL, {1, 2, 3, 4}, {2, 3, 3, 2}, {2, 3}, {1, 1}, {1, 0, 0, 1}, {1, 0}, {0}},
    {4, 2, 1, NULL, {1, 4, 3, 3}, {4, 2, 2, 3}, {2, 1}, {1, 2}, {1, 1, 0, 1}, {0, 1}, {0}},
    {3, 1, 1, NULL, {2, 2, 4}, {2, 3, 3}, {2}, {2}, {1, 2}, {1}, {0}},
    {4, 1, 0, "SAME_UPPER", {1, 2, 3, 3}, {2, 2, 3, 3}, {2, 2}, {1, 1}, {0}, {0}, {0}},
    {4, 1, 0, "SAME_LOWER", {1, 2, 3, 3}, {2, 2, 4, 3}, {2, 1}, {1, 1}, {0}, {0}, {0}},
    {4, 1, 1, NULL, {1, 1, 3, 3}, {1, 2, 3, 3}, {3, 2}, {1, 1}, {0}, {0}, {10, 8}},
    {5, 1, 1, NULL, {1, 2, 2, 3, 2}, {2, 2, 2, 3, 2}, {2, 1, 2}, {1, 1, 1}, {0}, {0}, {0}},
    {4, 1, 0, NULL, {1, 2, 0, 3}, {2, 2, 3, 3}, {1, 1}, {1, 1}, {0}, {0}, {0}},
    {4, 1, 1, NULL, {1, 16, 4, 5}, {16, 16, 2, 2}, {2, 2}, {1, 1}, {0}, {0}, {0}},
    {4, 1, 0, NULL, {1, 2, 3, 2}, {2, 1, 2, 2}, {1, 1}, {3, 2}, {0}, {2, 1}, {0}},
};

static int attrs_of(int k, maas_attr a[5])
{
    const int n = cases[k].rank - 2;
    a[0] = MAAS_A_INTS("strides", cases[k].strides, n);
    a[1] = MAAS_A_INTS("dilations", cases[k].dilations, n);
    a[2] = MAAS_A_INT("group", cases[k].group);
    a[3] = cases[k].auto_pad ? MAAS_A_STR("auto_pad", cases[k].auto_pad)
                             : MAAS_A_INTS("pads", cases[k].pads, 2 * n);
    a[4] = cases[k].shape[0] ? MAAS_A_INTS("output_shape", cases[k].shape, n)
                             : MAAS_A_INTS("output_padding", cases[k].padding, n);
    return 5;
}

static void transpose_example(maas_example *e)
{
    const int k = e->variant / 2;
    maas_dtype t = maas_ex_float(e);
    const int64_t channels = cases[k].w[1] * cases[k].group;
    maas_attr a[5];
    maas_vid in[3] = {maas_ex_in(e, t, -1, 1, cases[k].rank, cases[k].x),
                      maas_ex_in(e, t, -1, 1, cases[k].rank, cases[k].w)};
    if (cases[k].bias)
        in[2] = maas_ex_in(e, t, -1, 1, 1, &channels);
    const uint32_t n = (uint32_t)attrs_of(k, a);
    maas_b_node(e->b, "ConvTranspose", a, n, in, cases[k].bias ? 3 : 2, NULL, 1);
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
    result(&q, &xt, &wt, &y, NULL);
    const maas_vid in[3] = {maas_ex_in(e, t, -1, 1, y.rank, y.dims),
                            maas_ex_in(e, t, -1, 1, xt.rank, xt.dims),
                            maas_ex_in(e, t, -1, 1, wt.rank, wt.dims)};
    maas_b_node(e->b, "ConvTransposeGrad", a, node.n_attr, in, 3, out, 2 + (uint32_t)cases[k].bias);
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
    {"auto_pad", MAAS_ATTR_STRING, false},     {"dilations", MAAS_ATTR_INTS, false},
    {"group", MAAS_ATTR_INT, false},           {"kernel_shape", MAAS_ATTR_INTS, false},
    {"output_padding", MAAS_ATTR_INTS, false}, {"output_shape", MAAS_ATTR_INTS, false},
    {"pads", MAAS_ATTR_INTS, false},           {"strides", MAAS_ATTR_INTS, false}};

const maas_op maas_op_ConvTranspose = {
    .domain = "",
    .name = "ConvTranspose",
    .since = 11,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 2 * N_CASES,
    .tolerance = 1e-4,
    .infer = transpose_infer,
    .reference = transpose_reference,
    .flops = transpose_flops,
    .example = transpose_example,
    .gradient = transpose_gradient,
};

const maas_op maas_op_ConvTransposeGrad = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "ConvTransposeGrad",
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
