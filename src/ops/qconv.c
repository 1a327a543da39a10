/* FusedQLinearConv, FusedQLinearConvAdd and MaxPoolLast, which stands between them. */
#include "ops/qconv.h"

#include "ops/conv_int.h"
#include "ops/pool_int.h"
#include "ops/quantize.h"

#include "base/ban.h"

/* ---- shapes ---- */

maas_type maas_type_channels_last(const maas_type *t)
{
    maas_type r = *t;
    for (int i = 1; i < t->rank; i++)
        r.dims[i] = t->dims[i + 1 < t->rank ? i + 1 : 1];
    return r;
}

maas_type maas_type_channels_second(const maas_type *t)
{
    maas_type r = *t;
    for (int i = 1; i < t->rank; i++)
        r.dims[i] = t->dims[i == 1 ? t->rank - 1 : i - 1];
    return r;
}

static maas_tensor second(const maas_tensor *t)
{
    const maas_type last = maas_type_of(t), u = maas_type_channels_second(&last);
    return maas_tensor_of((maas_dtype)t->dtype, u.rank, u.dims, NULL);
}

static bool adds(const maas_node *n)
{
    return strcmp(n->op->name, "FusedQLinearConvAdd") == 0;
}

/* ---- attributes ---- */

static maas_status read_middle(maas_qconv *q, const maas_node *n, maas_err *err)
{
    const maas_attr *a = maas_node_attr(n, "middle");
    q->step = 0;
    if (!a)
        return MAAS_OK;
    if (a->n != 3 || !(a->u.floats[0] <= a->u.floats[1]) || !(a->u.floats[2] > 0))
        return maas_fail(err, MAAS_E_INVALID,
                         "attribute 'middle' must be low, high and a step above 0");
    q->low = a->u.floats[0];
    q->high = a->u.floats[1];
    q->step = a->u.floats[2];
    return MAAS_OK;
}

static maas_status read_byte(const maas_node *n, const char *name, int32_t *out, maas_err *err)
{
    const int64_t v = maas_attr_i(n, name, 0);
    *out = (int32_t)v;
    return v >= -128 && v <= 255
               ? MAAS_OK
               : maas_fail(err, MAAS_E_INVALID, "attribute '%s' is %lld, no code of a byte", name,
                           (long long)v);
}

static maas_status read_attrs(maas_qconv *q, const maas_node *n, maas_err *err)
{
    MAAS_TRY(read_byte(n, "x_zero", &q->x_zero, err));
    MAAS_TRY(read_byte(n, "y_zero", &q->y_zero, err));
    MAAS_TRY(read_byte(n, "z_zero", &q->z_zero, err));
    q->z_scale = maas_attr_f(n, "z_scale", 1);
    MAAS_TRY(read_middle(q, n, err));
    return maas_conv_acts_read(n, q->act, &q->n_acts, err);
}

#define TO (MAAS_DTS_QUANT8 | MAAS_DT_BIT(MAAS_F32))

static maas_status qconv_types(const maas_infer *q, int first, maas_type *out, maas_err *err)
{
    const maas_type *x = &q->in[first], *w = &q->in[first + 1];
    const int64_t to = maas_attr_i(q->node, "to", MAAS_U8);
    const int64_t channels = w->rank < 0 ? MAAS_DIM_UNKNOWN : w->dims[0];
    maas_qconv v;
    MAAS_TRY(read_attrs(&v, q->node, err));
    if (to < 0 || to >= 32 || !maas_dtype_in((maas_dtype)to, TO))
        return maas_fail(err, MAAS_E_INVALID, "attribute 'to': data type %lld is not allowed",
                         (long long)to);
    const maas_type plain = maas_type_channels_second(x);
    MAAS_TRY(maas_conv_infer(q, &plain, w, (maas_dtype)to, out, err));
    *out = maas_type_channels_last(out);
    for (int i = 2; i < 4; i++)
        MAAS_TRY(maas_conv_vector(q, first + i, channels, err));
    return MAAS_OK;
}

static maas_status qconv_infer(maas_infer *q, maas_err *err)
{
    return qconv_types(q, 0, &q->out[0], err);
}

static maas_status add_infer(maas_infer *q, maas_err *err)
{
    MAAS_TRY(qconv_types(q, 1, &q->out[0], err));
    return maas_conv_added(q, &q->out[0], err);
}

/* ---- running ---- */

maas_status maas_qconv_init(maas_qconv *q, const maas_call *c, maas_err *err)
{
    const int first = adds(c->node);
    *q = (maas_qconv){.x = &c->in[first], .w = &c->in[first + 1], .s = &c->in[first + 2]};
    q->b = maas_c_in(c, first + 3);
    q->z = first ? &c->in[0] : NULL;
    MAAS_TRY(read_attrs(q, c->node, err));
    q->px = second(q->x);
    q->py = second(&c->out[0]);
    return maas_conv_init(&q->v, c->node, &q->px, q->w, &q->py, err);
}

static int64_t one_sum(const maas_qconv *q, int64_t n, int64_t m, const int64_t *place)
{
    const maas_conv *v = &q->v;
    const int64_t channels = v->groups * v->wide_c, from = m / v->narrow_c * v->wide_c;
    double sum = 0;
    maas_taps t;
    for (maas_taps_init(&t, &v->w, v->wide, place); t.left; maas_taps_step(&t))
        for (int64_t c = 0; c < v->wide_c; c++)
            sum += (maas_ld(q->x, (n * v->wide_n + t.at) * channels + from + c) - q->x_zero) *
                   maas_ld(q->w, (m * v->wide_c + c) * v->kernel_n + t.k);
    return (int64_t)sum;
}

static void one(const maas_qconv *q, const maas_tensor *y, int64_t n, int64_t m, int64_t o,
                const int64_t *place)
{
    const int64_t at = (n * q->v.narrow_n + o) * q->v.groups * q->v.narrow_c + m;
    float r = (float)one_sum(q, n, m, place) + (q->b ? (float)maas_ld(q->b, m) : 0);
    r *= (float)maas_ld(q->s, m);
    if (q->step > 0)
        r = rintf(fminf(fmaxf(r, q->low), q->high)) * q->step;
    if (q->z)
        r += q->z_scale * ((float)maas_ld(q->z, at) - (float)q->z_zero);
    for (int i = 0; i < q->n_acts; i++)
        r = (float)maas_conv_activate(&q->act[i], (double)r);
    if (y->dtype == MAAS_F32) {
        ((float *)y->data)[at] = r;
        return;
    }
    double lo, hi;
    maas_quant_range((maas_dtype)y->dtype, &lo, &hi);
    maas_st_i64(y, at, (int64_t)maas_quant_round((double)r, q->y_zero, lo, hi));
}

static maas_status qconv_reference(const maas_call *c, maas_err *err)
{
    maas_qconv q;
    MAAS_TRY(maas_qconv_init(&q, c, err));
    const int64_t channels = q.v.groups * q.v.narrow_c;
    for (int64_t n = 0; n < q.v.batch; n++) {
        int64_t place[MAAS_WINDOW_AXES] = {0};
        for (int64_t o = 0; o < q.v.narrow_n; o++, maas_place_next(place, q.v.narrow, q.v.w.n))
            for (int64_t m = 0; m < channels; m++)
                one(&q, &c->out[0], n, m, o, place);
    }
    return MAAS_OK;
}

static int64_t qconv_flops(const maas_call *c)
{
    maas_qconv q;
    return maas_qconv_init(&q, c, NULL) == MAAS_OK ? maas_conv_flops(&q.v) : 0;
}

/* ---- MaxPoolLast: MaxPool of [N][d..][C] ---- */

static maas_status pool_infer(maas_infer *q, maas_err *err)
{
    const maas_type plain = maas_type_channels_second(&q->in[0]);
    MAAS_TRY(maas_pool_type(q, &plain, (maas_dtype)plain.dtype, &q->out[0], err));
    q->out[0] = maas_type_channels_last(&q->out[0]);
    return MAAS_OK;
}

static maas_status pool_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0], wide = second(x), narrow = second(y);
    const int64_t channels = wide.dims[1];
    maas_pool p;
    MAAS_TRY(maas_pool_init(&p, c->node, &wide, &narrow, err));
    double least, most;
    maas_quant_range((maas_dtype)x->dtype, &least, &most);
    for (int64_t i = 0; i < p.planes; i++) {
        const int64_t n = i / channels, ch = i % channels;
        int64_t place[MAAS_WINDOW_AXES] = {0};
        for (int64_t o = 0; o < p.narrow_n; o++, maas_place_next(place, p.narrow, p.w.n)) {
            double best = least;
            maas_taps t;
            for (maas_taps_init(&t, &p.w, p.wide, place); t.left; maas_taps_step(&t))
                best = fmax(best, maas_ld(x, (n * p.wide_n + t.at) * channels + ch));
            maas_st(y, (n * p.narrow_n + o) * channels + ch, best);
        }
    }
    return MAAS_OK;
}

static int64_t pool_flops(const maas_call *c)
{
    return maas_n_elems(&c->out[0]);
}

/* ---- examples ---- */

#define N_CASES 14
static const struct {
    maas_dtype x, y;
    int group, bias, middle, n_acts;
    const char *act;
    float params[2];
    int64_t in[4], w[4]; /* [N][H][W][C], [M][C / group][k][k] */
    int64_t stride, dilation, pad, x_zero, y_zero, z_zero;
} cases[N_CASES] = {
    {MAAS_U8, MAAS_U8, 1, 1, 0, 1, "Relu", {0}, {2, 5, 6, 16}, {24, 16, 1, 1}, 1, 1, 0, 0, 0, 0},
    {MAAS_U8, MAAS_U8, 1, 1, 1, 1, "Relu", {0}, {1, 7, 7, 32}, {16, 32, 3, 3}, 1, 1, 1, 0, 3, 5},
    {MAAS_U8, MAAS_I8, 1, 0, 1, 0, "", {0}, {1, 6, 5, 20}, {12, 20, 3, 3}, 2, 1, 1, 9, -4, 2},
    {MAAS_I8, MAAS_I8, 1, 1, 0, 0, "", {0}, {1, 6, 5, 24}, {40, 24, 1, 1}, 1, 1, 0, -7, -3, -1},
    {MAAS_I8, MAAS_U8, 1, 1, 1, 1, "Clip", {-20, 90}, {1, 5, 5, 8}, {6, 8, 3, 3}, 1, 2, 2, 3, 8, 1},
    {MAAS_U8, MAAS_F32, 1, 1, 0, 1, "Relu", {0}, {1, 9, 9, 3}, {24, 3, 3, 3}, 2, 1, 1, 5, 0, 0},
    {MAAS_U8, MAAS_F32, 1, 1, 0, 0, "", {0}, {2, 4, 4, 64}, {32, 64, 1, 1}, 1, 1, 0, 0, 0, 0},
    {MAAS_U8, MAAS_U8, 32, 1, 0, 1, "Relu", {0}, {1, 6, 6, 32}, {32, 1, 3, 3}, 1, 1, 1, 2, 1, 0},
    {MAAS_U8, MAAS_U8, 2, 1, 0, 0, "", {0}, {1, 5, 5, 32}, {32, 16, 3, 3}, 1, 1, 1, 4, 6, 0},
    {MAAS_U8, MAAS_U8, 1, 1, 1, 1, "Relu", {0}, {2, 9, 12, 3}, {3, 3, 3, 3}, 1, 1, 1, 0, 0, 129},
    {MAAS_U8, MAAS_U8, 1, 1, 0, 1, "Relu", {0}, {2, 9, 12, 3}, {3, 3, 3, 3}, 1, 1, 1, 129, 0, 129},
    {MAAS_U8, MAAS_U8, 1, 1, 0, 0, "", {0}, {2, 5, 6, 8}, {24, 8, 1, 1}, 2, 1, 0, 0, 135, 2},
    {MAAS_U8, MAAS_U8, 1, 1, 1, 1, "Relu", {0}, {2, 3, 3, 24}, {24, 24, 3, 3}, 1, 1, 1, 0, 0, 135},
    {MAAS_U8, MAAS_U8, 1, 1, 0, 1, "Relu", {0}, {0, 5, 6, 16}, {24, 16, 1, 1}, 1, 1, 0, 0, 0, 0},
};

static maas_vid numbers(maas_example *e, maas_dtype t, int rank, const int64_t *dims, double lo,
                        double hi)
{
    float room[24 * 24 * 9];
    maas_tensor x = maas_tensor_of(t, rank, dims, room);
    const int64_t n = maas_n_elems(&x);
    MAAS_CHECK(n <= (int64_t)MAAS_COUNT(room));
    for (int64_t i = 0; i < n; i++) {
        const double r = lo + (hi - lo) * maas_rng_unit(e->rng);
        maas_tensor_set(&x, i, t == MAAS_F32 ? r : floor(r));
    }
    return maas_b_const(e->b, NULL, &x);
}

static void example_of(maas_example *e, const char *op)
{
    const int k = e->variant, first = strcmp(op, "FusedQLinearConvAdd") == 0;
    const maas_str name = {cases[k].act, strlen(cases[k].act)};
    const int64_t s = cases[k].stride, d = cases[k].dilation, p = cases[k].pad;
    const int64_t m = cases[k].w[0];
    const uint32_t n = (uint32_t)cases[k].n_acts;
    const float middle[] = {-90, 80, 0.7371f};
    const maas_attr a[] = {
        MAAS_A_INTS("strides", ((const int64_t[]){s, s}), 2),
        MAAS_A_INTS("dilations", ((const int64_t[]){d, d}), 2),
        MAAS_A_INTS("pads", ((const int64_t[]){p, p, p, p}), 4),
        MAAS_A_INT("group", cases[k].group),
        MAAS_A_INT("to", cases[k].y),
        MAAS_A_INT("x_zero", cases[k].x_zero),
        MAAS_A_INT("y_zero", cases[k].y_zero),
        {.name = "activations", .type = MAAS_ATTR_STRINGS, .n = n, .u.strings = &name},
        {.name = "params", .type = MAAS_ATTR_FLOATS, .n = 2 * n, .u.floats = cases[k].params},
        MAAS_A_INT("z_zero", cases[k].z_zero),
        MAAS_A_FLOAT("z_scale", 0.8137f),
        {.name = "middle", .type = MAAS_ATTR_FLOATS, .n = 3, .u.floats = middle}};
    const uint32_t n_attr = (uint32_t)MAAS_COUNT(a) - !cases[k].middle;
    double lo, hi;
    maas_vid in[5];
    maas_quant_range(cases[k].x, &lo, &hi);
    in[first] = maas_ex_in(e, cases[k].x, lo, hi + 1, 4, cases[k].in);
    in[first + 1] = numbers(e, MAAS_I8, 4, cases[k].w, -128, 128);
    const double by = 90 /
                      (60 * 128 * sqrt((double)(cases[k].w[1] * cases[k].w[2] * cases[k].w[3])));
    in[first + 2] = numbers(e, MAAS_F32, 1, &m, by, 2 * by);
    in[first + 3] = cases[k].bias ? numbers(e, MAAS_F32, 1, &m, -5000, 5000) : MAAS_NO_VALUE;
    if (first) {
        const maas_type x = maas_type_tensor(cases[k].x, 4, cases[k].in),
                        w = maas_type_tensor(MAAS_I8, 4, cases[k].w),
                        plain = maas_type_channels_second(&x);
        const maas_node node = {.attr = (maas_attr *)(uintptr_t)a, .n_attr = 4};
        const maas_infer q = {.node = &node};
        maas_type y;
        maas_conv_infer(&q, &plain, &w, cases[k].y, &y, NULL);
        y = maas_type_channels_last(&y);
        if (cases[k].y != MAAS_F32)
            maas_quant_range(cases[k].y, &lo, &hi);
        in[0] = maas_ex_in(e, cases[k].y, lo, hi + 1, 4, y.dims);
    }
    maas_b_node(e->b, op, a, n_attr, in, (uint32_t)(first + (cases[k].bias ? 4 : 3)), NULL, 1);
}

static void qconv_example(maas_example *e)
{
    example_of(e, "FusedQLinearConv");
}

static void add_example(maas_example *e)
{
    example_of(e, "FusedQLinearConvAdd");
}

static void pool_example(maas_example *e)
{
    const int k = e->variant / 2 % MAAS_N_POOLS;
    const maas_dtype t = e->variant % 2 ? MAAS_I8 : MAAS_U8;
    const maas_pool_case *p = &maas_pool_cases[k];
    const maas_type plain = maas_type_tensor(t, p->rank, p->x), x = maas_type_channels_last(&plain);
    double lo, hi;
    maas_quant_range(t, &lo, &hi);
    const maas_vid v = maas_ex_in(e, t, lo, hi + 1, x.rank, x.dims);
    maas_attr a[5];
    maas_pool_attrs(k, a);
    maas_b_node(e->b, "MaxPoolLast", a, 5, &v, 1, NULL, 1);
}

/* ---- rows ---- */

#define F32S MAAS_DT_BIT(MAAS_F32)
#define CONV_IN                                                                                    \
    MAAS_REQ("X", NULL, MAAS_DTS_QUANT8), MAAS_REQ("W", NULL, MAAS_DT_BIT(MAAS_I8)),               \
        MAAS_REQ("S", NULL, F32S), MAAS_OPT("B", NULL, F32S)
static const maas_io_schema conv_in[] = {CONV_IN};
static const maas_io_schema add_in[] = {MAAS_REQ("Z", NULL, TO), CONV_IN};
static const maas_io_schema conv_out[] = {MAAS_REQ("Y", NULL, TO)};
static const maas_io_schema pool_in[] = {MAAS_REQ("X", "T", MAAS_DTS_QUANT8)};
static const maas_io_schema pool_out[] = {MAAS_REQ("Y", "T", MAAS_DTS_QUANT8)};
#define WINDOW_ATTRS                                                                               \
    {"auto_pad", MAAS_ATTR_STRING, false}, {"dilations", MAAS_ATTR_INTS, false},                   \
        {"kernel_shape", MAAS_ATTR_INTS, false}, {"pads", MAAS_ATTR_INTS, false},                  \
    {                                                                                              \
        "strides", MAAS_ATTR_INTS, false                                                           \
    }
static const maas_attr_schema conv_attrs[] = {WINDOW_ATTRS,
                                              {"group", MAAS_ATTR_INT, false},
                                              {"to", MAAS_ATTR_INT, false},
                                              {"x_zero", MAAS_ATTR_INT, false},
                                              {"y_zero", MAAS_ATTR_INT, false},
                                              {"z_zero", MAAS_ATTR_INT, false},
                                              {"z_scale", MAAS_ATTR_FLOAT, false},
                                              {"middle", MAAS_ATTR_FLOATS, false},
                                              {"activations", MAAS_ATTR_STRINGS, false},
                                              {"params", MAAS_ATTR_FLOATS, false}};
static const maas_attr_schema pool_attrs[] = {WINDOW_ATTRS, {"ceil_mode", MAAS_ATTR_INT, false}};

const maas_op maas_op_FusedQLinearConv = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "FusedQLinearConv",
    .since = 1,
    MAAS_SCHEMA(conv_in, conv_out),
    MAAS_ATTRS(conv_attrs),
    .n_examples = N_CASES,
    .tolerance = 1e-5,
    .infer = qconv_infer,
    .reference = qconv_reference,
    .flops = qconv_flops,
    .example = qconv_example,
    .no_gradient = "rounding has no slope",
};

const maas_op maas_op_FusedQLinearConvAdd = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "FusedQLinearConvAdd",
    .since = 1,
    .flags = MAAS_OP_INPLACE,
    MAAS_SCHEMA(add_in, conv_out),
    MAAS_ATTRS(conv_attrs),
    .n_examples = N_CASES,
    .tolerance = 1e-5,
    .infer = add_infer,
    .reference = qconv_reference,
    .flops = qconv_flops,
    .example = add_example,
    .no_gradient = "rounding has no slope",
};

const maas_op maas_op_MaxPoolLast = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "MaxPoolLast",
    .since = 1,
    MAAS_SCHEMA(pool_in, pool_out),
    MAAS_ATTRS(pool_attrs),
    .n_examples = 2 * MAAS_N_POOLS,
    .infer = pool_infer,
    .reference = pool_reference,
    .flops = pool_flops,
    .example = pool_example,
    .no_gradient = "its inputs are whole numbers",
};
