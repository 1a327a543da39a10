/*
 * Numbers as they come back from codes (ai.maas), while training for it: what QuantizeLinear and
 * DequantizeLinear make of them, with a gradient that goes straight through the rounding
 * (Bengio, Leonard and Courville 2013; Jacob et al. 2018).
 *
 *   FakeQuantize(x, low, high)  ->  y      levels: the largest code, 255 unless said
 *       low and high are moved to have zero between them; scale = (high - low) / levels,
 *       zero = round(-low / scale); y = (clamp(round(x / scale) + zero, 0, levels) - zero) * scale
 *   FakeQuantizeGrad(dy, x, low, high)  ->  dx, dlow, dhigh
 *       dy goes to x where its code was not clamped, else it is added to that end of the range
 *   FakeQuantizeWeights(w)  ->  y          axis: of channels with a scale each; one scale without
 *       scale = largest |w| / limit; y = round(w / scale) * scale; the gradient is that of y
 */
#include "ops/fake_quantize.h"
#include "ops/ops_int.h"
#include "ops/quantize.h"

#include "base/ban.h"

maas_code_range maas_code_range_of(double low, double high, int64_t levels, maas_dtype t)
{
    maas_code_range r = {.levels = (double)levels};
    low = low < 0 ? low : 0;
    high = high > 0 ? high : 0;
    const double width = maas_quant_precision(t, high - low);
    r.scale = width > 0 ? maas_quant_precision(t, width / (double)levels) : 1;
    r.zero = rint(maas_quant_precision(t, -low / r.scale));
    r.zero = r.zero > r.levels ? r.levels : r.zero;
    return r;
}

static int64_t levels_of(const maas_node *n)
{
    return maas_attr_i(n, "levels", 255);
}

/* ---- FakeQuantize ---- */

static maas_status check_whole(const maas_node *n, const char *name, int64_t v, maas_err *err)
{
    return v >= 1 && v <= (int64_t)1 << 48
               ? MAAS_OK
               : maas_fail(err, MAAS_E_INVALID, "attribute '%s' is %lld, not 1 to 2^48", name,
                           (long long)v);
}

static maas_status check_ends(const maas_infer *q, int first, maas_err *err)
{
    MAAS_TRY(check_whole(q->node, "levels", levels_of(q->node), err));
    for (int i = first; i < first + 2; i++)
        if (q->in[i].rank > 0)
            return maas_fail(err, MAAS_E_INVALID, "'%s' has rank %d, it is one number",
                             q->node->op->in[i].name, q->in[i].rank);
    return MAAS_OK;
}

static maas_status infer(maas_infer *q, maas_err *err)
{
    MAAS_TRY(check_ends(q, 1, err));
    return maas_infer_like(q, err);
}

/* The code before it is clamped. */
static double code_of(const maas_code_range *r, double x, maas_dtype t)
{
    const double v = maas_quant_precision(t, x / r->scale);
    return (v != v ? 0 : rint(v)) + r->zero;
}

static maas_code_range range_of_call(const maas_call *c, int first)
{
    return maas_code_range_of(maas_ld(&c->in[first], 0), maas_ld(&c->in[first + 1], 0),
                              levels_of(c->node), (maas_dtype)c->in[first].dtype);
}

static maas_status reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    const maas_code_range r = range_of_call(c, 1);
    for (int64_t i = 0, n = maas_n_elems(x); i < n; i++) {
        const double q = code_of(&r, maas_ld(x, i), (maas_dtype)x->dtype);
        maas_st(&c->out[0], i, ((q < 0 ? 0 : q > r.levels ? r.levels : q) - r.zero) * r.scale);
    }
    return MAAS_OK;
}

static void gradient(maas_grad *g)
{
    const maas_vid in[4] = {g->dout[0], g->node->in[0], g->node->in[1], g->node->in[2]};
    const maas_attr levels = MAAS_A_INT("levels", levels_of(g->node));
    const bool ends = g->want[1] || g->want[2];
    maas_vid out[3] = {MAAS_NO_VALUE, MAAS_NO_VALUE, MAAS_NO_VALUE};
    maas_b_node(g->b, "FakeQuantizeGrad", &levels, 1, in, 4, out, ends ? 3 : 1);
    for (int i = 0; i < 3; i++)
        if (g->want[i])
            g->din[i] = out[i];
}

/* With 2^40 levels there is no rounding to speak of, so differences see the gradient. */
static const struct example {
    int rank;
    int64_t dims[4], levels;
    maas_dtype t;
    int64_t axis; /* of weights; -9: none */
} examples[] = {
    {2, {3, 37}, 255, MAAS_F32, 1},      {1, {29}, (int64_t)1 << 40, MAAS_F64, -9},
    {4, {2, 5, 3, 7}, 255, MAAS_F32, 0}, {3, {2, 3, 4}, (int64_t)1 << 40, MAAS_F64, 1},
    {1, {0}, 255, MAAS_F32, -9},         {0, {0}, 15, MAAS_F32, -9},
    {2, {40, 130}, 127, MAAS_F32, -1},   {1, {5000}, 65535, MAAS_F32, -9},
    {3, {3, 4, 700}, 63, MAAS_F32, 1},
};

static maas_vid one_number(maas_example *e, maas_dtype t, double lo, double hi)
{
    return maas_ex_in(e, t, lo, hi, 0, NULL);
}

static void example(maas_example *e)
{
    const struct example *x = &examples[e->variant];
    const maas_attr levels = MAAS_A_INT("levels", x->levels);
    const maas_vid in[3] = {maas_ex_in(e, x->t, -3, 3, x->rank, x->dims),
                            one_number(e, x->t, -2, -1), one_number(e, x->t, 1, 2)};
    maas_b_node(e->b, "FakeQuantize", &levels, 1, in, 3, NULL, 1);
}

/* ---- FakeQuantizeGrad ---- */

static maas_status grad_infer(maas_infer *q, maas_err *err)
{
    MAAS_TRY(check_ends(q, 2, err));
    if (q->in[0].rank >= 0 && q->in[1].rank >= 0 && q->in[0].rank != q->in[1].rank)
        return maas_fail(err, MAAS_E_INVALID, "dy has rank %d, x has rank %d", q->in[0].rank,
                         q->in[1].rank);
    q->out[0] = q->in[1];
    for (int i = 0; i < q->out[0].rank && q->in[0].rank >= 0; i++)
        MAAS_TRY(maas_dim_same(q->in[0].dims[i], q->in[1].dims[i], &q->out[0].dims[i], "dy", err));
    for (int k = 1; k < q->node->n_out; k++)
        maas_q_out(q, k, (maas_dtype)q->in[1].dtype, 0, NULL);
    return MAAS_OK;
}

static maas_status grad_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *dy = &c->in[0], *x = &c->in[1], *low = maas_c_out(c, 1),
                      *high = maas_c_out(c, 2);
    const maas_code_range r = range_of_call(c, 2);
    double below = 0, above = 0;
    for (int64_t i = 0, n = maas_n_elems(x); i < n; i++) {
        const double q = code_of(&r, maas_ld(x, i), (maas_dtype)x->dtype), d = maas_ld(dy, i);
        below += q < 0 ? d : 0;
        above += q > r.levels ? d : 0;
        maas_st(&c->out[0], i, q < 0 || q > r.levels ? 0 : d);
    }
    if (low)
        maas_st(low, 0, below);
    if (high)
        maas_st(high, 0, above);
    return MAAS_OK;
}

static void grad_example(maas_example *e)
{
    const struct example *x = &examples[e->variant];
    const maas_attr levels = MAAS_A_INT("levels", x->levels);
    const maas_vid in[4] = {maas_ex_in(e, x->t, -1, 1, x->rank, x->dims),
                            maas_ex_in(e, x->t, -3, 3, x->rank, x->dims),
                            one_number(e, x->t, -2, -1), one_number(e, x->t, 1, 2)};
    maas_vid out[3] = {MAAS_NO_VALUE, MAAS_NO_VALUE, MAAS_NO_VALUE};
    maas_b_node(e->b, "FakeQuantizeGrad", &levels, 1, in, 4, out, e->variant % 3 ? 3 : 1);
}

/* ---- FakeQuantizeWeights ---- */

maas_status maas_weight_rows_of(const maas_node *n, const maas_type *w, int64_t *outer,
                                int64_t *channels, int64_t *inner, maas_err *err)
{
    int at;
    *outer = *channels = *inner = 1;
    if (w->rank < 0)
        return MAAS_OK;
    if (!maas_node_attr(n, "axis")) {
        *inner = maas_dim_product(w->dims, 0, w->rank);
        return MAAS_OK;
    }
    MAAS_TRY(maas_axis(maas_attr_i(n, "axis", 0), w->rank, &at, err));
    *outer = maas_dim_product(w->dims, 0, at);
    *channels = w->dims[at];
    *inner = maas_dim_product(w->dims, at + 1, w->rank);
    return MAAS_OK;
}

static maas_status weights_infer(maas_infer *q, maas_err *err)
{
    int64_t outer, n, inner;
    MAAS_TRY(check_whole(q->node, "limit", maas_attr_i(q->node, "limit", 127), err));
    MAAS_TRY(maas_weight_rows_of(q->node, &q->in[0], &outer, &n, &inner, err));
    return maas_infer_like(q, err);
}

static double largest(const maas_tensor *w, int64_t outer, int64_t n, int64_t inner, int64_t c)
{
    double most = 0;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = (o * n + c) * inner, end = i + inner; i < end; i++)
            most = fabs(maas_ld(w, i)) > most ? fabs(maas_ld(w, i)) : most;
    return most;
}

static maas_status weights_reference(const maas_call *c, maas_err *err)
{
    int64_t outer, n, inner;
    const maas_tensor *w = &c->in[0];
    const maas_dtype t = (maas_dtype)w->dtype;
    const maas_type type = maas_type_of(w);
    const double limit = (double)maas_attr_i(c->node, "limit", 127);
    MAAS_TRY(maas_weight_rows_of(c->node, &type, &outer, &n, &inner, err));
    for (int64_t k = 0; k < n; k++) {
        const double most = largest(w, outer, n, inner, k),
                     scale = most > 0 ? maas_quant_precision(t, most / limit) : 1;
        for (int64_t o = 0; o < outer; o++)
            for (int64_t i = (o * n + k) * inner, end = i + inner; i < end; i++) {
                const double q = maas_quant_round(maas_quant_precision(t, maas_ld(w, i) / scale), 0,
                                                  -limit, limit);
                maas_st(&c->out[0], i, q * scale);
            }
    }
    return MAAS_OK;
}

static void weights_gradient(maas_grad *g)
{
    g->din[0] = g->dout[0];
}

static void weights_example(maas_example *e)
{
    const struct example *x = &examples[e->variant];
    const maas_attr attr[] = {MAAS_A_INT("limit", x->levels), MAAS_A_INT("axis", x->axis)};
    const maas_vid in = maas_ex_in(e, x->t, -1, 1, x->rank, x->dims);
    maas_b_node(e->b, "FakeQuantizeWeights", attr, x->axis == -9 ? 1 : 2, &in, 1, NULL, 1);
}

/* ---- rows ---- */

static const maas_io_schema in[] = {MAAS_REQ("x", "T", MAAS_DTS_FULL),
                                    MAAS_REQ("low", "T", MAAS_DTS_FULL),
                                    MAAS_REQ("high", "T", MAAS_DTS_FULL)};
static const maas_io_schema out[] = {MAAS_REQ("y", "T", MAAS_DTS_FULL)};
static const maas_io_schema grad_in[] = {
    MAAS_REQ("dy", "T", MAAS_DTS_FULL), MAAS_REQ("x", "T", MAAS_DTS_FULL),
    MAAS_REQ("low", "T", MAAS_DTS_FULL), MAAS_REQ("high", "T", MAAS_DTS_FULL)};
static const maas_io_schema grad_out[] = {MAAS_REQ("dx", "T", MAAS_DTS_FULL),
                                          MAAS_OPT("dlow", "T", MAAS_DTS_FULL),
                                          MAAS_OPT("dhigh", "T", MAAS_DTS_FULL)};
static const maas_io_schema weights_in[] = {MAAS_REQ("w", "T", MAAS_DTS_FULL)};
static const maas_attr_schema levels[] = {{"levels", MAAS_ATTR_INT, false}};
static const maas_attr_schema weights_attrs[] = {{"axis", MAAS_ATTR_INT, false},
                                                 {"limit", MAAS_ATTR_INT, false}};

const maas_op maas_op_FakeQuantize = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "FakeQuantize",
    .since = 1,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(levels),
    .n_examples = MAAS_COUNT(examples),
    .tolerance = 1e-6,
    .infer = infer,
    .reference = reference,
    .flops = maas_flops_out,
    .example = example,
    .gradient = gradient,
};

const maas_op maas_op_FakeQuantizeGrad = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "FakeQuantizeGrad",
    .since = 1,
    MAAS_SCHEMA(grad_in, grad_out),
    MAAS_ATTRS(levels),
    .n_examples = MAAS_COUNT(examples),
    .tolerance = 1e-4, /* sums of thousands */
    .infer = grad_infer,
    .reference = grad_reference,
    .flops = maas_flops_out,
    .example = grad_example,
    .no_gradient = "it is the gradient of FakeQuantize",
};

const maas_op maas_op_FakeQuantizeWeights = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "FakeQuantizeWeights",
    .since = 1,
    MAAS_SCHEMA(weights_in, out),
    MAAS_ATTRS(weights_attrs),
    .n_examples = MAAS_COUNT(examples),
    .tolerance = 1e-6,
    .infer = weights_infer,
    .reference = weights_reference,
    .flops = maas_flops_out,
    .example = weights_example,
    .gradient = weights_gradient,
};
