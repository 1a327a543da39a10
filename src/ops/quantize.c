/*
 * QuantizeLinear y = round(x / scale) + zero point, saturated, and DequantizeLinear
 * y = (x - zero point) * scale; one scale for all, for each place of an axis, or for each block
 * along it.
 */
#include "ops/quantize.h"
#include "ops/ops_int.h"

#include "tensor/small.h"
#include "base/ban.h"

/* ---- shared ---- */

void maas_quant_range(maas_dtype t, double *lo, double *hi)
{
    const maas_dtype_info *d = maas_dtype_describe(t);
    const bool is_signed = d->kind == MAAS_KIND_INT;
    *lo = is_signed ? -ldexp(1, d->file_bits - 1) : 0;
    *hi = ldexp(1, d->file_bits - is_signed) - 1;
}

double maas_quant_precision(maas_dtype t, double v)
{
    switch (t) {
    case MAAS_F64:
        return v;
    case MAAS_F16:
        return maas_f16_to_f32(maas_f32_to_f16((float)v));
    case MAAS_BF16:
        return maas_bf16_to_f32(maas_f32_to_bf16((float)v));
    default:
        return (float)v;
    }
}

static bool unequal(int64_t a, int64_t b)
{
    return a >= 0 && b >= 0 && a != b;
}

static maas_status blocks_of(const maas_type *x, const maas_type *scale, int axis, int64_t block,
                             maas_quant_map *m, maas_err *err)
{
    if (scale->rank != x->rank)
        return maas_fail(err, MAAS_E_INVALID, "the scale of blocks has rank %d, its tensor %d",
                         scale->rank, x->rank);
    for (int i = 0; i < x->rank; i++) {
        const int64_t n = x->dims[i], want = i != axis || n < 0 ? n : n / block + (n % block != 0);
        if (unequal(scale->dims[i], want))
            return maas_fail(err, MAAS_E_INVALID, "axis %d of the scale has %lld places, not %lld",
                             i, (long long)scale->dims[i], (long long)want);
    }
    m->block = block;
    m->by_axis = m->inner;
    m->by_inner = 1;
    m->by_outer = m->inner * (m->n / block + (m->n % block != 0));
    return MAAS_OK;
}

maas_status maas_quant_map_of(const maas_node *n, const maas_type *x, const maas_type *scale,
                              int64_t axis, maas_quant_map *out, maas_err *err)
{
    const int64_t block = maas_attr_i(n, "block_size", 0);
    const bool one = scale->rank == 0 || (scale->rank == 1 && scale->dims[0] == 1);
    int at;
    if (block < 0)
        return maas_fail(err, MAAS_E_INVALID, "attribute 'block_size' is negative");
    *out = (maas_quant_map){.outer = 1, .n = 1, .inner = 1, .block = 1};
    if (x->rank < 0 || scale->rank < 0)
        return MAAS_OK;
    if (one && !block) {
        out->n = maas_dim_product(x->dims, 0, x->rank);
        return MAAS_OK;
    }
    MAAS_TRY(maas_axis(maas_attr_i(n, "axis", axis), x->rank, &at, err));
    out->outer = maas_dim_product(x->dims, 0, at);
    out->n = x->dims[at];
    out->inner = maas_dim_product(x->dims, at + 1, x->rank);
    if (block)
        return blocks_of(x, scale, at, block, out, err);
    if (scale->rank != 1)
        return maas_fail(err, MAAS_E_INVALID, "the scale has rank %d and there is no block_size",
                         scale->rank);
    if (unequal(scale->dims[0], out->n))
        return maas_fail(err, MAAS_E_INVALID, "%lld scales for %lld places of axis %d",
                         (long long)scale->dims[0], (long long)out->n, at);
    out->by_axis = 1;
    return MAAS_OK;
}

static maas_status same_shape(const maas_type *scale, const maas_type *zero, maas_err *err)
{
    bool ok = zero->tag == MAAS_TYPE_NONE || scale->rank < 0 || zero->rank < 0 ||
              scale->rank == zero->rank;
    /* one element is one element: exporters mix [] and [1] */
    const bool one = (scale->rank == 0 || (scale->rank == 1 && scale->dims[0] <= 1)) &&
                     (zero->rank == 0 || (zero->rank == 1 && zero->dims[0] <= 1));
    for (int i = 0; ok && zero->tag != MAAS_TYPE_NONE && i < zero->rank && i < scale->rank; i++)
        ok = !unequal(scale->dims[i], zero->dims[i]);
    return ok || one
               ? MAAS_OK
               : maas_fail(err, MAAS_E_INVALID, "scale and zero point must have the same shape");
}

static maas_quant_map map_of_call(const maas_call *c)
{
    maas_quant_map m;
    const maas_type x = maas_type_of(&c->in[0]), scale = maas_type_of(&c->in[1]);
    maas_status st = maas_quant_map_of(c->node, &x, &scale, 1, &m, NULL);
    MAAS_CHECK(st == MAAS_OK); /* maas_ref_check came before */
    return m;
}

/* ---- QuantizeLinear ---- */

static maas_status type_attr(const maas_infer *q, const char *name, maas_dtypes allowed,
                             maas_dtype *out, maas_err *err)
{
    const int64_t t = maas_attr_i(q->node, name, 0);
    if (t && (t < 0 || t >= 32 || !maas_dtype_in((maas_dtype)t, allowed)))
        return maas_fail(err, MAAS_E_INVALID, "attribute '%s': data type %lld is not allowed", name,
                         (long long)t);
    *out = (maas_dtype)t;
    return MAAS_OK;
}

static maas_status checked_map(const maas_infer *q, maas_err *err)
{
    maas_quant_map m;
    MAAS_TRY(maas_quant_map_of(q->node, &q->in[0], &q->in[1], 1, &m, err));
    return same_shape(&q->in[1], &q->in[2], err);
}

#define CODES  (MAAS_DTS_QUANT16 | MAAS_DTS_F8 | MAAS_DTS_F6 | MAAS_DT_BIT(MAAS_F4E2M1))
#define HALVES (MAAS_DT_BIT(MAAS_F16) | MAAS_DT_BIT(MAAS_BF16))
#define REALS  (MAAS_DT_BIT(MAAS_F32) | HALVES)

static maas_status quantize_infer(maas_infer *q, maas_err *err)
{
    maas_dtype to = MAAS_DT_NONE, precision = MAAS_DT_NONE;
    MAAS_TRY(type_attr(q, "output_dtype", CODES, &to, err));
    MAAS_TRY(type_attr(q, "precision", MAAS_DTS_FLOAT, &precision, err));
    if (maas_q_has(q, 2) && to && q->in[2].dtype != to)
        return maas_fail(err, MAAS_E_INVALID, "output_dtype is %s, the zero point %s",
                         maas_dtype_describe(to)->onnx,
                         maas_dtype_describe((maas_dtype)q->in[2].dtype)->onnx);
    MAAS_TRY(checked_map(q, err));
    q->out[0] = q->in[0];
    q->out[0].dtype = maas_q_has(q, 2) ? q->in[2].dtype : to ? (uint8_t)to : MAAS_U8;
    return MAAS_OK;
}

typedef struct quantizer {
    const maas_tensor *x, *zero, *y;
    maas_dtype precision;
    double lo, hi; /* of integers */
    bool saturate, whole;
} quantizer;

static void quantize_one(const quantizer *q, int64_t i, double scale, double zero)
{
    const double v = maas_quant_precision(q->precision, maas_ld(q->x, i) / scale);
    if (q->whole)
        maas_st_i64(q->y, i, (int64_t)maas_quant_round(v, zero, q->lo, q->hi));
    else
        ((uint8_t *)q->y->data)[i] = maas_small_of((maas_dtype)q->y->dtype, v + zero, q->saturate);
}

static maas_status quantize_reference(const maas_call *c, maas_err *err)
{
    MAAS_TRY(maas_ref_check(c, err));
    const maas_quant_map m = map_of_call(c);
    const maas_tensor *scale = &c->in[1];
    quantizer q = {.x = &c->in[0], .zero = maas_c_in(c, 2), .y = &c->out[0]};
    const maas_dtype t = (maas_dtype)q.y->dtype;
    q.precision = (maas_dtype)maas_attr_i(c->node, "precision", 0);
    if (!q.precision)
        q.precision = (maas_dtype)scale->dtype;
    q.saturate = maas_attr_i(c->node, "saturate", 1) != 0;
    q.whole = !maas_is_float(t);
    if (q.whole)
        maas_quant_range(t, &q.lo, &q.hi);
    int64_t i = 0;
    for (int64_t o = 0; o < m.outer; o++)
        for (int64_t a = 0; a < m.n; a++)
            for (int64_t k = 0; k < m.inner; k++, i++) {
                const int64_t s = maas_quant_at(&m, o, a) + k * m.by_inner;
                quantize_one(&q, i, maas_ld(scale, s), q.zero ? maas_ld(q.zero, s) : 0);
            }
    return MAAS_OK;
}

/* ---- DequantizeLinear ---- */

static maas_status dequantize_infer(maas_infer *q, maas_err *err)
{
    maas_dtype to = MAAS_DT_NONE;
    MAAS_TRY(type_attr(q, "output_dtype", REALS, &to, err));
    if (!to && q->in[1].dtype == MAAS_F8E8M0)
        return maas_fail(err, MAAS_E_INVALID, "with a scale of float8e8m0 output_dtype is needed");
    MAAS_TRY(checked_map(q, err));
    q->out[0] = q->in[0];
    q->out[0].dtype = to ? (uint8_t)to : q->in[1].dtype;
    return MAAS_OK;
}

static maas_status dequantize_reference(const maas_call *c, maas_err *err)
{
    MAAS_TRY(maas_ref_check(c, err));
    const maas_quant_map m = map_of_call(c);
    const maas_tensor *x = &c->in[0], *scale = &c->in[1], *zero = maas_c_in(c, 2);
    int64_t i = 0;
    for (int64_t o = 0; o < m.outer; o++)
        for (int64_t a = 0; a < m.n; a++)
            for (int64_t k = 0; k < m.inner; k++, i++) {
                const int64_t s = maas_quant_at(&m, o, a) + k * m.by_inner;
                const double z = zero ? maas_ld(zero, s) : 0;
                maas_st(&c->out[0], i, (maas_ld(x, i) - z) * maas_ld(scale, s));
            }
    return MAAS_OK;
}

/* ---- examples ---- */

/* How the scale lies: 0 one for all, 1 for each place of an axis, 2 for blocks. */
static const struct shape {
    int rank, lies;
    int64_t dims[4], axis, block, scale[4];
} shapes[] = {
    {2, 0, {3, 37}, 1, 0, {0}},         {3, 1, {2, 3, 19}, 1, 0, {3}},
    {2, 1, {4, 33}, -1, 0, {33}},       {2, 2, {2, 7}, 1, 3, {2, 3}},
    {3, 2, {4, 3, 5}, 0, 2, {2, 3, 5}}, {1, 0, {0}, 0, 0, {0}},
    {4, 1, {2, 5, 3, 3}, 1, 0, {5}},    {1, 1, {6}, 0, 0, {6}},
};

static const struct types {
    maas_dtype x, scale, code;
    int shape;
    bool zero;
} types[] = {
    {MAAS_F32, MAAS_F32, MAAS_U8, 0, true},       {MAAS_F32, MAAS_F32, MAAS_I8, 0, false},
    {MAAS_F32, MAAS_F32, MAAS_I8, 1, true},       {MAAS_F32, MAAS_F32, MAAS_U8, 2, true},
    {MAAS_F32, MAAS_F32, MAAS_I4, 3, true},       {MAAS_F16, MAAS_F16, MAAS_U4, 4, false},
    {MAAS_BF16, MAAS_BF16, MAAS_I16, 5, true},    {MAAS_F32, MAAS_F32, MAAS_U16, 6, true},
    {MAAS_F32, MAAS_F32, MAAS_F8E4M3FN, 0, true}, {MAAS_F16, MAAS_F32, MAAS_F8E5M2, 1, false},
    {MAAS_F32, MAAS_F32, MAAS_F4E2M1, 3, false},  {MAAS_F32, MAAS_F32, MAAS_U2, 7, true},
    {MAAS_F32, MAAS_F8E8M0, MAAS_I2, 3, false},   {MAAS_BF16, MAAS_F32, MAAS_F6E2M3, 1, true},
    {MAAS_F32, MAAS_F32, MAAS_U8, 4, true},       {MAAS_F32, MAAS_F32, MAAS_I8, 6, false},
};

static maas_vid scales(maas_example *e, const struct shape *s, maas_dtype t, bool zero)
{
    double cells[64];
    maas_tensor x = {.dtype = (uint8_t)t, .data = cells};
    x.rank = (uint8_t)(s->lies == 0 ? 0 : s->lies == 1 ? 1 : s->rank);
    memcpy(x.dims, s->scale, sizeof s->scale);
    const int64_t n = maas_n_elems(&x);
    MAAS_CHECK(n <= (int64_t)MAAS_COUNT(cells));
    const bool small = maas_dtype_in(t, MAAS_DTS_SMALL_FLOAT);
    for (int64_t i = 0; i < n; i++) {
        const double u = maas_rng_unit(e->rng);
        maas_tensor_set(&x, i, !zero ? 0.01 + u / 8 : small ? 0 : floor(3 * u));
    }
    return maas_b_const(e->b, NULL, &x);
}

static uint32_t place_attrs(maas_attr *attr, const struct shape *s)
{
    uint32_t n = 0;
    if (s->lies)
        attr[n++] = MAAS_A_INT("axis", s->axis);
    if (s->block)
        attr[n++] = MAAS_A_INT("block_size", s->block);
    return n;
}

static void quantize_example(maas_example *e)
{
    const struct types *t = &types[e->variant];
    const struct shape *s = &shapes[t->shape];
    maas_attr attr[4];
    uint32_t n = place_attrs(attr, s);
    maas_vid in[3] = {maas_ex_in(e, t->x, -9, 9, s->rank, s->dims), scales(e, s, t->scale, false)};
    if (t->zero)
        in[2] = scales(e, s, t->code, true);
    else
        attr[n++] = MAAS_A_INT("output_dtype", t->code);
    maas_b_node(e->b, "QuantizeLinear", attr, n, in, t->zero ? 3 : 2, NULL, 1);
}

static void dequantize_example(maas_example *e)
{
    const struct types *t = &types[e->variant];
    const struct shape *s = &shapes[t->shape];
    maas_attr attr[4];
    uint32_t n = place_attrs(attr, s);
    double lo = -6, hi = 6;
    if (!maas_is_float(t->code))
        maas_quant_range(t->code, &lo, &hi);
    maas_vid in[3] = {maas_ex_in(e, t->code, lo, hi + 1, s->rank, s->dims),
                      scales(e, s, t->scale, false)};
    if (t->zero)
        in[2] = scales(e, s, t->code, true);
    if (t->scale == MAAS_F8E8M0 || t->x != t->scale)
        attr[n++] = MAAS_A_INT("output_dtype", t->x);
    maas_b_node(e->b, "DequantizeLinear", attr, n, in, t->zero ? 3 : 2, NULL, 1);
}

/* ---- rows ---- */

#define SCALES (REALS | MAAS_DT_BIT(MAAS_F8E8M0))
static const maas_io_schema quantize_in[] = {
    MAAS_REQ("x", "T1", REALS | MAAS_DT_BIT(MAAS_I32)),
    MAAS_REQ("y_scale", "T2", SCALES | MAAS_DT_BIT(MAAS_I32)),
    MAAS_OPT("y_zero_point", "T3", CODES)};
static const maas_io_schema quantize_out[] = {MAAS_REQ("y", "T3", CODES)};
static const maas_io_schema dequantize_in[] = {
    MAAS_REQ("x", "T1", CODES | MAAS_DT_BIT(MAAS_I32)), MAAS_REQ("x_scale", "T2", SCALES),
    MAAS_OPT("x_zero_point", "T1", CODES | MAAS_DT_BIT(MAAS_I32))};
static const maas_io_schema dequantize_out[] = {MAAS_REQ("y", NULL, REALS)};
static const maas_attr_schema attrs[] = {{"axis", MAAS_ATTR_INT, false},
                                         {"block_size", MAAS_ATTR_INT, false},
                                         {"output_dtype", MAAS_ATTR_INT, false},
                                         {"precision", MAAS_ATTR_INT, false},
                                         {"saturate", MAAS_ATTR_INT, false}};

const maas_op maas_op_QuantizeLinear = {
    .domain = "",
    .name = "QuantizeLinear",
    .since = 23,
    MAAS_SCHEMA(quantize_in, quantize_out),
    MAAS_ATTRS(attrs),
    .n_examples = MAAS_COUNT(types),
    .infer = quantize_infer,
    .reference = quantize_reference,
    .flops = maas_flops_out,
    .example = quantize_example,
    .no_gradient = "rounding has no slope",
};

const maas_op maas_op_DequantizeLinear = {
    .domain = "",
    .name = "DequantizeLinear",
    .since = 13,
    MAAS_SCHEMA(dequantize_in, dequantize_out),
    .attr = attrs,
    .n_attr = 3,
    .n_examples = MAAS_COUNT(types),
    .tolerance = 1e-6,
    .infer = dequantize_infer,
    .reference = dequantize_reference,
    .flops = maas_flops_out,
    .example = dequantize_example,
    .no_gradient = "codes of quantized numbers do not vary",
};
