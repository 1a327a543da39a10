/*
 * QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear between f32 and whole numbers of 8 and
 * 16 bits: one scale for all, or one for each place of an axis. A run is what shares a scale, or,
 * on the last axis, one walk along all of them.
 */
#include "kernels/cpu/isa.h"
#include "ops/quantize.h"

#include "base/mem.h"
#include "base/ban.h"

extern const maas_op maas_op_QuantizeLinear, maas_op_DequantizeLinear,
    maas_op_DynamicQuantizeLinear;

enum { GRAIN = 1024 };
static const float magic = 12582912.0f; /* 1.5 * 2^23: adding it leaves whole numbers */

/* ---- runs ---- */

typedef struct runs {
    int64_t total, length, places; /* elements; of a run; runs until scales repeat */
    bool along;                    /* a scale for each element of a run, not for the run */
} runs;

static const maas_tensor *zero_of(const maas_call *c)
{
    return c->n_in > 2 && c->in[2].dtype != MAAS_DT_NONE ? &c->in[2] : NULL;
}

static bool runs_of(const maas_call *c, runs *r)
{
    maas_quant_map m;
    const maas_type x = maas_type_of(&c->in[0]), s = maas_type_of(&c->in[1]);
    if (maas_quant_map_of(c->node, &x, &s, 1, &m, NULL) != MAAS_OK || m.by_inner || m.by_outer)
        return false;
    const maas_tensor *zero = zero_of(c);
    if (zero && maas_n_elems(zero) != maas_n_elems(&c->in[1]))
        return false;
    r->total = maas_n_elems(&c->in[0]);
    r->along = m.by_axis && m.inner == 1;
    r->length = !m.by_axis ? r->total : r->along ? m.n : m.inner;
    r->places = !m.by_axis || r->along ? 1 : m.n;
    return r->total > 0;
}

/* ---- rows ---- */

/* s and z point at one number, or with `along` at one for each element. */
typedef void row_to(const float *x, const float *s, const void *z, bool along, void *y, int64_t n);
typedef void row_from(const void *x, const float *s, const void *z, bool along, float *y,
                      int64_t n);

/* Clamped before it is rounded: the ends are whole numbers. */
INLINE int32_t rounded(float v, float least, float most)
{
    v = v == v ? v : 0;
    v = v > least ? v : least;
    v = v < most ? v : most;
    return (int32_t)(v + magic - magic);
}

#define ROWS_OF(name, type, lo, hi)                                                                \
    static void to_##name(const float *x, const float *s, const void *zeros, bool along, void *to, \
                          int64_t n)                                                               \
    {                                                                                              \
        const type *z = zeros;                                                                     \
        type *y = to;                                                                              \
        const int32_t z0 = z ? z[0] : 0;                                                           \
        const float s0 = s[0], least = (float)(lo - z0), most = (float)(hi - z0);                  \
        if (!along)                                                                                \
            for (int64_t i = 0; i < n; i++)                                                        \
                y[i] = (type)(rounded(x[i] / s0, least, most) + z0);                               \
        else if (!z)                                                                               \
            for (int64_t i = 0; i < n; i++)                                                        \
                y[i] = (type)rounded(x[i] / s[i], lo, hi);                                         \
        else                                                                                       \
            for (int64_t i = 0; i < n; i++)                                                        \
                y[i] = (type)(rounded(x[i] / s[i], (float)(lo - z[i]), (float)(hi - z[i])) +       \
                              z[i]);                                                               \
    }                                                                                              \
    static void from_##name(const void *from, const float *s, const void *zeros, bool along,       \
                            float *y, int64_t n)                                                   \
    {                                                                                              \
        const type *x = from, *z = zeros;                                                          \
        const int32_t z0 = z ? z[0] : 0;                                                           \
        const float s0 = s[0];                                                                     \
        if (!along)                                                                                \
            for (int64_t i = 0; i < n; i++)                                                        \
                y[i] = (float)(x[i] - z0) * s0;                                                    \
        else if (!z)                                                                               \
            for (int64_t i = 0; i < n; i++)                                                        \
                y[i] = (float)x[i] * s[i];                                                         \
        else                                                                                       \
            for (int64_t i = 0; i < n; i++)                                                        \
                y[i] = (float)(x[i] - z[i]) * s[i];                                                \
    }
ROWS_OF(u8, uint8_t, 0, UINT8_MAX)
ROWS_OF(i8, int8_t, INT8_MIN, INT8_MAX)
ROWS_OF(u16, uint16_t, 0, UINT16_MAX)
ROWS_OF(i16, int16_t, INT16_MIN, INT16_MAX)

static const struct type {
    maas_dtype t;
    row_to *to;
    row_from *from;
} types[] = {
    {MAAS_U8, to_u8, from_u8},    {MAAS_I8, to_i8, from_i8}, {MAAS_U16, to_u16, from_u16},
    {MAAS_I16, to_i16, from_i16}, {MAAS_U4, NULL, from_u8},  {MAAS_I4, NULL, from_i8},
    {MAAS_U2, NULL, from_u8},     {MAAS_I2, NULL, from_i8},
};

static const struct type *type_of(maas_dtype t)
{
    for (size_t i = 0; i < MAAS_COUNT(types); i++)
        if (types[i].t == t)
            return &types[i];
    return NULL;
}

/* One walk over a share of the elements: parts of runs. */
static void walk(const maas_call *c, const runs *r, int ithr, int nthr, const struct type *to,
                 const struct type *from)
{
    const maas_tensor *zero = zero_of(c);
    const size_t x_size = maas_dtype_size((maas_dtype)c->in[0].dtype);
    const size_t y_size = maas_dtype_size((maas_dtype)c->out[0].dtype);
    const size_t z_size = zero ? maas_dtype_size((maas_dtype)zero->dtype) : 0;
    int64_t at, end;
    maas_share(r->total, GRAIN, ithr, nthr, &at, &end);
    while (at < end) {
        const int64_t in_run = at % r->length, rest = r->length - in_run;
        const int64_t n = rest < end - at ? rest : end - at;
        const int64_t k = r->along ? in_run : at / r->length % r->places;
        const char *x = (const char *)c->in[0].data + (size_t)at * x_size;
        char *y = (char *)c->out[0].data + (size_t)at * y_size;
        const float *s = (const float *)c->in[1].data + k;
        const void *z = zero ? (const char *)zero->data + (size_t)k * z_size : NULL;
        if (to)
            to->to((const float *)(const void *)x, s, z, r->along, y, n);
        else
            from->from(x, s, z, r->along, (float *)(void *)y, n);
        at += n;
    }
}

/* ---- QuantizeLinear, DequantizeLinear ---- */

static int64_t attr_of(const maas_call *c, const char *name)
{
    return maas_attr_i(c->node, name, 0);
}

static bool to_fits(const maas_call *c, const maas_cpu *cpu)
{
    runs r;
    const struct type *t = type_of((maas_dtype)c->out[0].dtype);
    const int64_t precision = attr_of(c, "precision");
    return c->in[0].dtype == MAAS_F32 && c->in[1].dtype == MAAS_F32 && t && t->to &&
           (precision == 0 || precision == MAAS_F32) && runs_of(c, &r);
}

static maas_status to_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    runs r;
    runs_of(c, &r);
    walk(c, &r, ithr, nthr, type_of((maas_dtype)c->out[0].dtype), NULL);
    return MAAS_OK;
}

static bool from_fits(const maas_call *c, const maas_cpu *cpu)
{
    runs r;
    return c->out[0].dtype == MAAS_F32 && c->in[1].dtype == MAAS_F32 &&
           type_of((maas_dtype)c->in[0].dtype) && runs_of(c, &r);
}

static maas_status from_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    runs r;
    runs_of(c, &r);
    walk(c, &r, ithr, nthr, NULL, type_of((maas_dtype)c->in[0].dtype));
    return MAAS_OK;
}

/* ---- DynamicQuantizeLinear: the ranges of the shares, a meeting, the codes ---- */

typedef struct range {
    _Alignas(64) float lo, hi;
} range;

static bool dynamic_fits(const maas_call *c, const maas_cpu *cpu)
{
    return maas_n_elems(&c->in[0]) > 0;
}

static maas_status dynamic_prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    c->scratch_bytes = (size_t)c->n_threads * sizeof(range);
    return MAAS_OK;
}

static range range_of(const float *x, int64_t n)
{
    vf lo = {0}, hi = {0};
    int64_t i = 0;
    for (; i + VW <= n; i += VW) {
        const vf v = v_load(x + i);
        lo = v_min(v, lo); /* the second where either is no number */
        hi = v_max(v, hi);
    }
    if (i < n) {
        const vf v = v_load_part(x + i, n - i, 0);
        lo = v_min(v, lo);
        hi = v_max(v, hi);
    }
    return (range){-v_greatest(-lo), v_greatest(hi)};
}

static maas_status dynamic_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const float *x = c->in[0].data;
    range *ranges = c->scratch;
    int64_t from, to;
    maas_share(maas_n_elems(&c->in[0]), GRAIN, ithr, nthr, &from, &to);
    ranges[ithr] = range_of(x + from, to - from);
    maas_call_barrier();
    float ends[2] = {0, 0}, scale;
    uint8_t zero;
    for (int i = 0; i < nthr; i++) {
        ends[0] = ranges[i].lo < ends[0] ? ranges[i].lo : ends[0];
        ends[1] = ranges[i].hi > ends[1] ? ranges[i].hi : ends[1];
    }
    maas_quant_dynamic(ends, 2, &scale, &zero);
    to_u8(x + from, &scale, &zero, false, (uint8_t *)c->out[0].data + from, to - from);
    if (ithr == 0 && c->n_out > 1 && c->out[1].data)
        *(float *)c->out[1].data = scale;
    if (ithr == 0 && c->n_out > 2 && c->out[2].data)
        *(uint8_t *)c->out[2].data = zero;
    return MAAS_OK;
}

const maas_kernel ISA(maas_kernels_quantize)[] = {{.op = &maas_op_QuantizeLinear,
                                                   .name = "QuantizeLinear." ISA_TEXT,
                                                   .fits = to_fits,
                                                   .run = to_run},
                                                  {.op = &maas_op_DequantizeLinear,
                                                   .name = "DequantizeLinear." ISA_TEXT,
                                                   .fits = from_fits,
                                                   .run = from_run},
                                                  {.op = &maas_op_DynamicQuantizeLinear,
                                                   .name = "DynamicQuantizeLinear." ISA_TEXT,
                                                   .flags = MAAS_KERNEL_BARRIER,
                                                   .fits = dynamic_fits,
                                                   .prepare = dynamic_prepare,
                                                   .release = maas_free,
                                                   .run = dynamic_run},
                                                  {0}};
