/*
 * ConvInteger: a convolution of bytes less their zero points, summed in 32 bits, which wrap.
 * QLinearConv: the same plus a bias, scaled, rounded and saturated to bytes again. Scales and zero
 * points of the weights are one for all or one for each output channel; pads are real zeros.
 */
#include "ops/conv_int.h"
#include "ops/quantize.h"

#include "base/ban.h"

/* ---- scales and zero points ---- */

static maas_status check_param(const maas_type *p, int64_t channels, const char *what,
                               maas_err *err)
{
    if (p->tag == MAAS_TYPE_NONE || p->rank <= 0)
        return MAAS_OK;
    const int64_t n = p->dims[0];
    if (p->rank != 1 || (n >= 0 && n != 1 && channels >= 0 && n != channels))
        return maas_fail(err, MAAS_E_INVALID, "%s must be one number%s", what,
                         channels == 1 ? "" : ", or one for each output channel");
    return MAAS_OK;
}

static double param(const maas_tensor *p, int64_t channel)
{
    return p ? maas_ld(p, maas_n_elems(p) == 1 ? 0 : channel) : 0;
}

/* ---- the sum of whole numbers under one window ---- */

typedef struct sums {
    maas_conv v;
    const maas_tensor *x, *w, *x_zero, *w_zero;
} sums;

static int64_t sum_at(const sums *s, int64_t batch, int64_t channel, const int64_t *place)
{
    const maas_conv *v = &s->v;
    const int64_t g = channel / v->narrow_c;
    const int64_t x = (batch * v->groups + g) * v->wide_c * v->wide_n;
    const int64_t w = channel * v->wide_c * v->kernel_n;
    const double xz = param(s->x_zero, 0), wz = param(s->w_zero, channel);
    double sum = 0;
    maas_taps t;
    for (maas_taps_init(&t, &v->w, v->wide, place); t.left; maas_taps_step(&t))
        for (int64_t c = 0; c < v->wide_c; c++)
            sum += (maas_ld(s->x, x + c * v->wide_n + t.at) - xz) *
                   (maas_ld(s->w, w + c * v->kernel_n + t.k) - wz);
    return (int64_t)sum;
}

/* ---- ConvInteger ---- */

static int64_t channels_of(const maas_type *w)
{
    return w->rank < 1 ? MAAS_DIM_UNKNOWN : w->dims[0];
}

static maas_status integer_infer(maas_infer *q, maas_err *err)
{
    MAAS_TRY(check_param(&q->in[2], 1, "x_zero_point", err));
    MAAS_TRY(check_param(&q->in[3], channels_of(&q->in[1]), "w_zero_point", err));
    return maas_conv_infer(q, &q->in[0], &q->in[1], MAAS_I32, &q->out[0], err);
}

static maas_status integer_reference(const maas_call *c, maas_err *err)
{
    sums s = {.x = &c->in[0], .w = &c->in[1], .x_zero = maas_c_in(c, 2), .w_zero = maas_c_in(c, 3)};
    int32_t *y = c->out[0].data;
    MAAS_TRY(maas_ref_check(c, err));
    MAAS_TRY(maas_conv_init(&s.v, c->node, s.x, s.w, &c->out[0], err));
    const int64_t channels = s.v.groups * s.v.narrow_c;
    for (int64_t p = 0; p < s.v.batch * channels; p++) {
        int64_t place[MAAS_WINDOW_AXES] = {0};
        for (int64_t o = 0; o < s.v.narrow_n; o++, maas_place_next(place, s.v.narrow, s.v.w.n))
            y[p * s.v.narrow_n + o] = (int32_t)(uint64_t)sum_at(&s, p / channels, p % channels,
                                                                place);
    }
    return MAAS_OK;
}

static int64_t flops_of(const maas_call *c, const maas_tensor *w)
{
    maas_conv v;
    return maas_conv_init(&v, c->node, &c->in[0], w, &c->out[0], NULL) == MAAS_OK
               ? maas_conv_flops(&v)
               : 0;
}

static int64_t integer_flops(const maas_call *c)
{
    return flops_of(c, &c->in[1]);
}

/* ---- QLinearConv ---- */

enum { X, X_SCALE, X_ZERO, W, W_SCALE, W_ZERO, Y_SCALE, Y_ZERO, BIAS };

static maas_status qlinear_infer(maas_infer *q, maas_err *err)
{
    static const char *const names[] = {
        [X_SCALE] = "x_scale",     [X_ZERO] = "x_zero_point", [W_SCALE] = "w_scale",
        [W_ZERO] = "w_zero_point", [Y_SCALE] = "y_scale",     [Y_ZERO] = "y_zero_point"};
    const int64_t channels = channels_of(&q->in[W]);
    for (int i = X_SCALE; i <= Y_ZERO; i++)
        if (names[i])
            MAAS_TRY(
                check_param(&q->in[i], i == W_SCALE || i == W_ZERO ? channels : 1, names[i], err));
    MAAS_TRY(maas_conv_vector(q, BIAS, channels, err));
    return maas_conv_infer(q, &q->in[X], &q->in[W], (maas_dtype)q->in[Y_ZERO].dtype, &q->out[0],
                           err);
}

/* Scaled in single precision, as runtimes do that quantizers are tuned for. */
static maas_status qlinear_reference(const maas_call *c, maas_err *err)
{
    sums s = {.x = &c->in[X], .w = &c->in[W], .x_zero = &c->in[X_ZERO], .w_zero = &c->in[W_ZERO]};
    const maas_tensor *y = &c->out[0], *bias = maas_c_in(c, BIAS);
    MAAS_TRY(maas_ref_check(c, err));
    MAAS_TRY(maas_conv_init(&s.v, c->node, s.x, s.w, y, err));
    const int64_t channels = s.v.groups * s.v.narrow_c;
    const double zero = maas_ld(&c->in[Y_ZERO], 0);
    double lo, hi;
    maas_quant_range((maas_dtype)y->dtype, &lo, &hi);
    for (int64_t p = 0; p < s.v.batch * channels; p++) {
        const int64_t m = p % channels;
        int64_t place[MAAS_WINDOW_AXES] = {0};
        const float scale = (float)param(&c->in[X_SCALE], 0) * (float)param(&c->in[W_SCALE], m) /
                            (float)param(&c->in[Y_SCALE], 0);
        for (int64_t o = 0; o < s.v.narrow_n; o++, maas_place_next(place, s.v.narrow, s.v.w.n)) {
            const int64_t sum = sum_at(&s, p / channels, m, place) +
                                (bias ? maas_tensor_get_i64(bias, m) : 0);
            maas_st_i64(y, p * s.v.narrow_n + o,
                        (int64_t)maas_quant_round((double)((float)sum * scale), zero, lo, hi));
        }
    }
    return MAAS_OK;
}

static int64_t qlinear_flops(const maas_call *c)
{
    return flops_of(c, &c->in[W]);
}

/* ---- examples ---- */

static const struct shape {
    int rank, group;
    int64_t x[5], w[5], strides[3], dilations[3], pads[6];
} shapes[] = {
    {4, 1, {2, 3, 5, 6}, {4, 3, 3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}},
    {4, 1, {1, 4, 5, 4}, {6, 4, 1, 1}, {1, 1}, {1, 1}, {0}},
    {4, 4, {2, 4, 6, 5}, {4, 1, 3, 3}, {2, 1}, {1, 1}, {1, 1, 1, 1}},
    {4, 2, {1, 4, 5, 5}, {6, 2, 2, 3}, {1, 2}, {2, 1}, {1, 2, 1, 0}},
    {3, 1, {2, 3, 9}, {4, 3, 3}, {2}, {2}, {2, 1}},
    {5, 1, {1, 2, 4, 3, 5}, {3, 2, 2, 2, 3}, {1, 2, 1}, {1, 1, 2}, {1, 0, 1, 0, 1, 2}},
    {4, 1, {0, 3, 5, 6}, {4, 3, 3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}},
    {4, 1, {1, 32, 9, 9}, {24, 32, 3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}},
};
static const maas_dtype pairs[][2] = {
    {MAAS_U8, MAAS_I8}, {MAAS_U8, MAAS_U8}, {MAAS_I8, MAAS_I8}, {MAAS_I8, MAAS_U8}};

static maas_vid operand(maas_example *e, maas_dtype t, int rank, const int64_t *dims)
{
    double lo, hi;
    maas_quant_range(t, &lo, &hi);
    return maas_ex_in(e, t, lo, hi + 1, rank, dims);
}

static maas_vid param_example(maas_example *e, maas_dtype t, int64_t n, double lo, double hi)
{
    double v[64];
    MAAS_CHECK(n <= (int64_t)MAAS_COUNT(v));
    for (int64_t i = 0; i < n; i++)
        v[i] = lo + (hi - lo) * maas_rng_unit(e->rng);
    return n == 1 ? maas_b_scalar(e->b, t, v[0]) : maas_b_vector(e->b, t, v, (int)n);
}

static uint32_t attrs_of(const struct shape *s, maas_attr a[4])
{
    const int n = s->rank - 2;
    a[0] = MAAS_A_INTS("strides", s->strides, n);
    a[1] = MAAS_A_INTS("dilations", s->dilations, n);
    a[2] = MAAS_A_INT("group", s->group);
    a[3] = MAAS_A_INTS("pads", s->pads, 2 * n);
    return 4;
}

static void integer_example(maas_example *e)
{
    const int v = e->variant;
    const struct shape *s = &shapes[v % (int)MAAS_COUNT(shapes)];
    const maas_dtype *t = pairs[(v + v / (int)MAAS_COUNT(shapes)) % 4];
    maas_attr a[4];
    const uint32_t n = attrs_of(s, a);
    maas_vid in[4] = {operand(e, t[0], s->rank, s->x), operand(e, t[1], s->rank, s->w),
                      MAAS_NO_VALUE, MAAS_NO_VALUE};
    if (v % 4)
        in[2] = param_example(e, t[0], 1, 0, 9);
    if (v % 4 != 2)
        in[3] = param_example(e, t[1], v % 2 ? s->w[0] : 1, 0, 9);
    maas_b_node(e->b, "ConvInteger", a, n, in, v % 4 == 2 ? 3 : 4, NULL, 1);
}

static void qlinear_example(maas_example *e)
{
    const int v = e->variant;
    const struct shape *s = &shapes[v % (int)MAAS_COUNT(shapes)];
    const maas_dtype *t = pairs[(v + v / (int)MAAS_COUNT(shapes)) % 4];
    const int64_t m = s->w[0], each = v % 2 ? m : 1;
    maas_attr a[4];
    maas_vid in[9];
    const uint32_t n = attrs_of(s, a);
    in[X] = operand(e, t[0], s->rank, s->x);
    in[X_SCALE] = param_example(e, MAAS_F32, 1, 0.01, 0.02);
    in[X_ZERO] = param_example(e, t[0], 1, 0, 9);
    in[W] = operand(e, t[1], s->rank, s->w);
    in[W_SCALE] = param_example(e, MAAS_F32, each, 0.01, 0.02);
    in[W_ZERO] = param_example(e, t[1], v % 3 ? each : 1, 0, 9);
    in[Y_SCALE] = param_example(e, MAAS_F32, 1, 0.1, 0.3);
    in[Y_ZERO] = param_example(e, t[0], 1, 0, 30);
    if (v % 4 != 1)
        in[BIAS] = param_example(e, MAAS_I32, m, -900, 900);
    maas_b_node(e->b, "QLinearConv", a, n, in, v % 4 == 1 ? 8 : 9, NULL, 1);
}

/* ---- rows ---- */

#define F32S MAAS_DT_BIT(MAAS_F32)
static const maas_io_schema integer_in[] = {MAAS_REQ("x", "T1", MAAS_DTS_QUANT8),
                                            MAAS_REQ("w", "T2", MAAS_DTS_QUANT8),
                                            MAAS_OPT("x_zero_point", "T1", MAAS_DTS_QUANT8),
                                            MAAS_OPT("w_zero_point", "T2", MAAS_DTS_QUANT8)};
static const maas_io_schema integer_out[] = {MAAS_REQ("y", NULL, MAAS_DT_BIT(MAAS_I32))};
static const maas_io_schema qlinear_in[] = {MAAS_REQ("x", "T1", MAAS_DTS_QUANT8),
                                            MAAS_REQ("x_scale", NULL, F32S),
                                            MAAS_REQ("x_zero_point", "T1", MAAS_DTS_QUANT8),
                                            MAAS_REQ("w", "T2", MAAS_DTS_QUANT8),
                                            MAAS_REQ("w_scale", NULL, F32S),
                                            MAAS_REQ("w_zero_point", "T2", MAAS_DTS_QUANT8),
                                            MAAS_REQ("y_scale", NULL, F32S),
                                            MAAS_REQ("y_zero_point", "T3", MAAS_DTS_QUANT8),
                                            MAAS_OPT("B", NULL, MAAS_DT_BIT(MAAS_I32))};
static const maas_io_schema qlinear_out[] = {MAAS_REQ("y", "T3", MAAS_DTS_QUANT8)};
static const maas_attr_schema attrs[] = {
    {"auto_pad", MAAS_ATTR_STRING, false}, {"dilations", MAAS_ATTR_INTS, false},
    {"group", MAAS_ATTR_INT, false},       {"kernel_shape", MAAS_ATTR_INTS, false},
    {"pads", MAAS_ATTR_INTS, false},       {"strides", MAAS_ATTR_INTS, false}};

const maas_op maas_op_ConvInteger = {
    .domain = "",
    .name = "ConvInteger",
    .since = 10,
    MAAS_SCHEMA(integer_in, integer_out),
    MAAS_ATTRS(attrs),
    .n_examples = 20,
    .infer = integer_infer,
    .reference = integer_reference,
    .flops = integer_flops,
    .example = integer_example,
    .no_gradient = "its inputs are whole numbers",
};

const maas_op maas_op_QLinearConv = {
    .domain = "",
    .name = "QLinearConv",
    .since = 10,
    MAAS_SCHEMA(qlinear_in, qlinear_out),
    MAAS_ATTRS(attrs),
    .n_examples = 20,
    .infer = qlinear_infer,
    .reference = qlinear_reference,
    .flops = qlinear_flops,
    .example = qlinear_example,
    .no_gradient = "rounding has no slope",
};
