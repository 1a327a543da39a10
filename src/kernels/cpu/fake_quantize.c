/*
 * FakeQuantize, its gradient, and FakeQuantizeWeights in f32 (ops/fake_quantize.c): what training
 * for codes does with every input and weight of a product, so one walk over memory each.
 */
#include "kernels/cpu/isa.h"
#include "ops/fake_quantize.h"

#include <math.h>

#include "base/mem.h"
#include "base/ban.h"

extern const maas_op maas_op_FakeQuantize, maas_op_FakeQuantizeGrad, maas_op_FakeQuantizeWeights;

enum { GRAIN = 1024, MOST_LEVELS = 65535 };
static const float magic = 12582912.0f; /* 1.5 * 2^23: adding it leaves whole numbers */

INLINE float clamped(float v, float least, float most)
{
    v = v == v ? v : 0;
    v = v > least ? v : least;
    return v < most ? v : most;
}

/* ---- values of a range ---- */

static maas_code_range range_of(const maas_call *c, int first)
{
    return maas_code_range_of((double)*(const float *)c->in[first].data,
                              (double)*(const float *)c->in[first + 1].data,
                              maas_attr_i(c->node, "levels", 255), MAAS_F32);
}

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    return c->in[0].dtype == MAAS_F32 && maas_attr_i(c->node, "levels", 255) <= MOST_LEVELS;
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const maas_code_range r = range_of(c, 1);
    const float s = (float)r.scale, least = (float)-r.zero, most = (float)(r.levels - r.zero);
    const float *restrict x = c->in[0].data;
    float *y = c->out[0].data;
    int64_t from, to;
    maas_share(maas_n_elems(&c->in[0]), GRAIN, ithr, nthr, &from, &to);
    for (int64_t i = from; i < to; i++) {
        const float v = clamped(x[i] / s, least, most);
        y[i] = (v + magic - magic) * s;
    }
    return MAAS_OK;
}

/* ---- its gradient: a code is clamped when it rounds to one beyond the ends ---- */

typedef struct ends {
    _Alignas(64) double below, above;
} ends;

static maas_status grad_prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    c->scratch_bytes = (size_t)c->n_threads * sizeof(ends);
    return MAAS_OK;
}

INLINE float beyond(float v, float least, float most)
{
    v = clamped(v, least - 1, most + 1) + magic - magic;
    return v < least ? -1.0f : v > most ? 1.0f : 0.0f;
}

static ends sums_of(const float *dy, const float *x, int64_t n, float s, float least, float most)
{
    ends e = {0, 0};
    for (int64_t i = 0; i < n; i++) {
        const float b = beyond(x[i] / s, least, most);
        e.below += b < 0 ? (double)dy[i] : 0;
        e.above += b > 0 ? (double)dy[i] : 0;
    }
    return e;
}

static float *wanted(const maas_call *c, int k)
{
    return k < c->n_out && c->out[k].dtype != MAAS_DT_NONE ? c->out[k].data : NULL;
}

static void add_up(const maas_call *c, const ends *parts, int nthr)
{
    double below = 0, above = 0;
    for (int i = 0; i < nthr; i++) {
        below += parts[i].below;
        above += parts[i].above;
    }
    if (wanted(c, 1))
        *wanted(c, 1) = (float)below;
    if (wanted(c, 2))
        *wanted(c, 2) = (float)above;
}

static maas_status grad_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const maas_code_range r = range_of(c, 2);
    const float s = (float)r.scale, least = (float)-r.zero, most = (float)(r.levels - r.zero);
    const float *dy = c->in[0].data, *x = c->in[1].data;
    float *dx = c->out[0].data;
    ends *parts = c->scratch;
    int64_t from, to;
    maas_share(maas_n_elems(&c->in[1]), GRAIN, ithr, nthr, &from, &to);
    if (wanted(c, 1) || wanted(c, 2))
        parts[ithr] = sums_of(dy + from, x + from, to - from, s, least, most);
    for (int64_t i = from; i < to; i++)
        dx[i] = beyond(x[i] / s, least, most) != 0 ? 0 : dy[i];
    maas_call_barrier();
    if (ithr == 0 && (wanted(c, 1) || wanted(c, 2)))
        add_up(c, parts, nthr);
    return MAAS_OK;
}

/* ---- weights: a scale for each channel ---- */

typedef struct rows {
    int64_t outer, n, inner;
} rows;

static void rows_of(const maas_call *c, rows *r)
{
    const maas_type t = maas_type_of(&c->in[0]);
    if (maas_weight_rows_of(c->node, &t, &r->outer, &r->n, &r->inner, NULL) != MAAS_OK)
        *r = (rows){0};
}

static bool weights_fit(const maas_call *c, const maas_cpu *cpu)
{
    rows r;
    rows_of(c, &r);
    return c->in[0].dtype == MAAS_F32 && r.n > 0 &&
           maas_attr_i(c->node, "limit", 127) <= MOST_LEVELS / 2;
}

static maas_status weights_prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    rows r;
    rows_of(c, &r);
    c->scratch_bytes = (size_t)r.n * sizeof(float);
    return MAAS_OK;
}

static void rounded_row(const float *w, float *y, int64_t n, float s, float limit)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (clamped(w[i] / s, -limit, limit) + magic - magic) * s;
}

/* Channels side by side in memory: rows of all of them, one scale an element. */
static void side_by_side(const rows *r, const float *w, float *y, float *scale, int64_t from,
                         int64_t to, float limit)
{
    for (int64_t c = from; c < to; c++)
        scale[c] = 0;
    for (int64_t o = 0; o < r->outer; o++)
        for (int64_t c = from; c < to; c++) {
            const float v = fabsf(w[o * r->n + c]);
            scale[c] = v > scale[c] ? v : scale[c];
        }
    for (int64_t c = from; c < to; c++)
        scale[c] = scale[c] > 0 ? scale[c] / limit : 1;
    for (int64_t o = 0; o < r->outer; o++)
        for (int64_t c = from; c < to; c++)
            y[o * r->n + c] = (clamped(w[o * r->n + c] / scale[c], -limit, limit) + magic - magic) *
                              scale[c];
}

static float largest(const float *w, int64_t n)
{
    float most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fabsf(w[i]) > most ? fabsf(w[i]) : most;
    return most;
}

static maas_status weights_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    rows r;
    rows_of(c, &r);
    const float *w = c->in[0].data, limit = (float)maas_attr_i(c->node, "limit", 127);
    float *y = c->out[0].data;
    int64_t from, to;
    maas_share(r.n, r.inner == 1 ? 16 : 1, ithr, nthr, &from, &to);
    if (r.inner == 1) {
        side_by_side(&r, w, y, c->scratch, from, to, limit);
        return MAAS_OK;
    }
    for (int64_t k = from; k < to; k++) {
        float most = 0;
        for (int64_t o = 0; o < r.outer; o++)
            most = fmaxf(most, largest(w + (o * r.n + k) * r.inner, r.inner));
        const float s = most > 0 ? most / limit : 1;
        for (int64_t o = 0; o < r.outer; o++)
            rounded_row(w + (o * r.n + k) * r.inner, y + (o * r.n + k) * r.inner, r.inner, s,
                        limit);
    }
    return MAAS_OK;
}

const maas_kernel ISA(maas_kernels_fake_quantize)[] = {
    {.op = &maas_op_FakeQuantize, .name = "FakeQuantize." ISA_TEXT, .fits = fits, .run = run},
    {.op = &maas_op_FakeQuantizeGrad,
     .name = "FakeQuantizeGrad." ISA_TEXT,
     .flags = MAAS_KERNEL_BARRIER,
     .fits = fits,
     .prepare = grad_prepare,
     .release = maas_free,
     .run = grad_run},
    {.op = &maas_op_FakeQuantizeWeights,
     .name = "FakeQuantizeWeights." ISA_TEXT,
     .fits = weights_fit,
     .prepare = weights_prepare,
     .release = maas_free,
     .run = weights_run},
    {0}};
