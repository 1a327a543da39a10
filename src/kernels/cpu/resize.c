/*
 * Resize of the last two axes, floats and bytes. Where an element comes from and with which weights
 * is worked out once, by the operator's own rules (ops/resize.h). Sums are separable: rows are put
 * together and columns are, in the order that leaves the least work across a row, which needs
 * gathering; an enlarged row is kept for the next ones that need it.
 */
#include "kernels/cpu/isa.h"

#include "base/mem.h"
#include "ops/resize.h"
#include "base/ban.h"

extern const maas_op maas_op_Resize;

#define MAX_TABLE (1 << 24) /* weights of one axis */

/* Element j is the sum over t of weight[t][j] * source[at[t][j]]. */
typedef struct table {
    int64_t in, out;
    int taps;
    bool same, twice; /* twice: the linear pattern 1/4 3/4, 3/4 1/4; or each element two times */
    int32_t *at;
    float *weight;
} table;

typedef struct state {
    table y, x;
    int64_t planes;
    bool nearest, bytes, columns_first;
    size_t per_thread; /* floats of scratch */
} state;

/* ---- fits and prepare ---- */

static const maas_tensor *given(const maas_call *c, int i)
{
    return i < c->n_in && c->in[i].dtype != MAAS_DT_NONE ? &c->in[i] : NULL;
}

static bool plan_of(const maas_call *c, maas_resize *r)
{
    const maas_tensor *x = &c->in[0], *scales = given(c, 2), *sizes = given(c, 3);
    if (x->rank < 1 || (scales && !scales->data) || (sizes && !sizes->data) || given(c, 1))
        return false;
    if (maas_resize_plan(c->node, x, NULL, scales, sizes, r, NULL) != MAAS_OK)
        return false;
    for (int i = 0; i < r->rank; i++) {
        const maas_resize_axis *a = &r->axis[i];
        if (a->out != c->out[0].dims[i] || (i < r->rank - 2 && !a->same))
            return false;
        if (a->in > INT32_MAX || a->out > MAX_TABLE / a->taps)
            return false;
    }
    return true;
}

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    maas_resize r;
    return (c->in[0].dtype == MAAS_F32 || c->in[0].dtype == MAAS_U8) && plan_of(c, &r);
}

/* Does row j of the table hold exactly this? */
static bool is_pair(const table *t, int64_t j, int64_t a, int64_t b, float wa, float wb)
{
    const float *w = t->weight;
    return t->at[j] == a && t->at[t->out + j] == b && w[j] == wa && w[t->out + j] == wb;
}

static bool is_twice(const table *t, bool nearest)
{
    bool yes = t->out == 2 * t->in && t->in > 2 && t->taps == (nearest ? 1 : 2);
    for (int64_t j = 0; yes && nearest && j < t->out; j++)
        yes = t->at[j] == j / 2;
    for (int64_t j = 1; yes && !nearest && j < t->out - 1; j++)
        yes = j & 1 ? is_pair(t, j, j / 2, j / 2 + 1, 0.75f, 0.25f)
                    : is_pair(t, j, j / 2 - 1, j / 2, 0.25f, 0.75f);
    return yes;
}

static bool table_of(const maas_resize *r, int axis, table *t)
{
    const int64_t n = axis < 0 ? 1 : r->axis[axis].out;
    *t = (table){.in = axis < 0 ? 1 : r->axis[axis].in,
                 .out = n,
                 .taps = axis < 0 ? 1 : r->axis[axis].taps,
                 .same = axis < 0 || r->axis[axis].same};
    t->at = maas_calloc((size_t)(n * t->taps) + 1, sizeof *t->at);
    t->weight = maas_calloc((size_t)(n * t->taps) + 1, sizeof *t->weight);
    if (!t->at || !t->weight)
        return false;
    t->weight[0] = 1; /* of the one row that a vector has */
    for (int64_t j = 0; j < n && axis >= 0; j++) {
        const maas_resize_at at = maas_resize_look(r, axis, j);
        for (int k = 0; k < at.n; k++) {
            t->at[k * n + j] = (int32_t)maas_resize_input(r, axis, &at, k);
            t->weight[k * n + j] = (float)maas_resize_weight(r, axis, &at, k);
        }
    }
    return true;
}

static void release(void *p)
{
    state *s = p;
    if (!s)
        return;
    maas_free(s->y.at);
    maas_free(s->y.weight);
    maas_free(s->x.at);
    maas_free(s->x.weight);
    maas_free(s);
}

static maas_status prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    maas_resize r;
    state *s = plan_of(c, &r) ? maas_calloc(1, sizeof *s) : NULL;
    if (!s || !table_of(&r, r.rank - 2, &s->y) || !table_of(&r, r.rank - 1, &s->x)) {
        release(s);
        return maas_fail(err, MAAS_E_NOMEM, "preparing Resize");
    }
    s->nearest = r.mode == MAAS_RESIZE_NEAREST;
    s->bytes = c->in[0].dtype == MAAS_U8;
    s->planes = maas_dims_product(c->in[0].dims, 0, r.rank > 1 ? r.rank - 2 : 0);
    s->x.twice = is_twice(&s->x, s->nearest);
    s->columns_first = s->y.in < s->y.out;
    /* the rows that are kept, their numbers, one row as floats, one sum */
    const int64_t kept = s->columns_first ? s->y.taps * (s->x.out + 2) : 0;
    const int64_t wide = s->x.in > s->x.out ? s->x.in : s->x.out;
    s->per_thread = (size_t)(kept + 2 * wide + 63) / 16 * 16;
    c->state = s;
    if (!s->nearest)
        c->scratch_bytes = s->per_thread * sizeof(float) * (size_t)c->n_threads;
    return MAAS_OK;
}

/* ---- rows ---- */

/* Bytes to floats and back; floats are whole and in range by then. */
#if defined(MAAS_ISA_AVX512)
INLINE vf load_bytes(const uint8_t *p)
{
    return (vf)_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
INLINE void keep_bytes(uint8_t *p, vf v)
{
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(_mm512_cvttps_epi32((__m512)v)));
}
#elif defined(MAAS_ISA_AVX2)
INLINE vf load_bytes(const uint8_t *p)
{
    return (vf)_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}
INLINE void keep_bytes(uint8_t *p, vf v)
{
    const __m256i whole = _mm256_cvttps_epi32((__m256)v);
    const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(whole),
                                           _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(words, words));
}
#else
INLINE vf load_bytes(const uint8_t *p)
{
    return (vf){p[0], p[1], p[2], p[3]};
}
INLINE void keep_bytes(uint8_t *p, vf v)
{
    for (int i = 0; i < VW; i++)
        p[i] = (uint8_t)v[i];
}
#endif

/* To the nearest, to the even one in the middle, as the reference rounds. */
INLINE float to_byte(float v)
{
    v = v > 0 ? v < 255 ? v : 255.0f : 0.0f;
    return v + 12582912.0f - 12582912.0f;
}

static void store_bytes(uint8_t *y, const float *x, int64_t n)
{
    int64_t i = 0;
    for (; i + VW <= n; i += VW) {
        const vf v = v_min(v_max(v_load(x + i), v_all(0)), v_all(255));
        keep_bytes(y + i, v + 12582912.0f - 12582912.0f);
    }
    for (; i < n; i++)
        y[i] = (uint8_t)to_byte(x[i]);
}

/* sum = weight * row, or sum += weight * row */
static void add_floats(float *sum, const float *row, float weight, int64_t n, bool first)
{
    int64_t i = 0;
    for (; i + VW <= n; i += VW)
        v_store(sum + i,
                first ? v_load(row + i) * weight : v_load(sum + i) + v_load(row + i) * weight);
    for (; i < n; i++)
        sum[i] = first ? row[i] * weight : sum[i] + row[i] * weight;
}

static void add_bytes(float *sum, const uint8_t *row, float weight, int64_t n, bool first)
{
    int64_t i = 0;
    for (; i + VW <= n; i += VW)
        v_store(sum + i, first ? load_bytes(row + i) * weight
                               : v_load(sum + i) + load_bytes(row + i) * weight);
    for (; i < n; i++)
        sum[i] = first ? row[i] * weight : sum[i] + row[i] * weight;
}

/* Two rows at once: the most common sum. */
static void mix_floats(float *y, const float *a, const float *b, float wa, float wb, int64_t n)
{
    int64_t i = 0;
    for (; i + VW <= n; i += VW)
        v_store(y + i, v_load(a + i) * wa + v_load(b + i) * wb);
    for (; i < n; i++)
        y[i] = a[i] * wa + b[i] * wb;
}

#if ISA_BYTES == 64
#define LOW_HALVES  0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH_HALVES 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif ISA_BYTES == 32
#define LOW_HALVES  0, 8, 1, 9, 2, 10, 3, 11
#define HIGH_HALVES 4, 12, 5, 13, 6, 14, 7, 15
#else
#define LOW_HALVES  0, 4, 1, 5
#define HIGH_HALVES 2, 6, 3, 7
#endif

INLINE void store_alternating(float *y, vf even, vf odd)
{
    v_store(y, __builtin_shufflevector(even, odd, LOW_HALVES));
    v_store(y + VW, __builtin_shufflevector(even, odd, HIGH_HALVES));
}

INLINE vf gather(const float *x, const int32_t *at)
{
#if defined(MAAS_ISA_AVX512)
    return (vf)_mm512_i32gather_ps(_mm512_loadu_si512(at), x, 4);
#elif defined(MAAS_ISA_AVX2)
    return (vf)_mm256_i32gather_ps(x, _mm256_loadu_si256((const __m256i *)at), 4);
#else
    return (vf){x[at[0]], x[at[1]], x[at[2]], x[at[3]]};
#endif
}

INLINE float one_column(const table *t, const float *x, int64_t j)
{
    float sum = 0;
    for (int k = 0; k < t->taps; k++)
        sum += t->weight[k * t->out + j] * x[t->at[k * t->out + j]];
    return sum;
}

static void columns_twice(const table *t, float *y, const float *x)
{
    int64_t i = 1;
    y[0] = one_column(t, x, 0);
    y[1] = one_column(t, x, 1);
    for (; i + VW < t->in; i += VW) {
        const vf a = v_load(x + i - 1), b = v_load(x + i), c = v_load(x + i + 1);
        store_alternating(y + 2 * i, a * 0.25f + b * 0.75f, b * 0.75f + c * 0.25f);
    }
    for (int64_t j = 2 * i; j < t->out; j++)
        y[j] = one_column(t, x, j);
}

static void columns_pair(const table *t, float *y, const float *x)
{
    const int32_t *a = t->at, *b = t->at + t->out;
    const float *wa = t->weight, *wb = t->weight + t->out;
    int64_t j = 0;
    for (; j + VW <= t->out; j += VW)
        v_store(y + j, gather(x, a + j) * v_load(wa + j) + gather(x, b + j) * v_load(wb + j));
    for (; j < t->out; j++)
        y[j] = one_column(t, x, j);
}

static void columns(const table *t, float *y, const float *x)
{
    if (t->same) {
        memcpy(y, x, (size_t)t->out * sizeof *y);
        return;
    }
    if (t->twice || t->taps == 2) {
        (t->twice ? columns_twice : columns_pair)(t, y, x);
        return;
    }
    int64_t j = 0;
    for (; j + VW <= t->out; j += VW) {
        vf sum = {0};
        for (int k = 0; k < t->taps; k++)
            sum += gather(x, t->at + k * t->out + j) * v_load(t->weight + k * t->out + j);
        v_store(y + j, sum);
    }
    for (; j < t->out; j++)
        y[j] = one_column(t, x, j);
}

/* ---- sums ---- */

typedef struct work {
    const state *s;
    const maas_call *c;
    float *kept, *wide, *sum; /* kept: [taps][out columns] */
    int64_t *number;          /* of the row that is kept in each place; -1: none */
} work;

static const void *row_of(const work *w, int64_t plane, int64_t row)
{
    const size_t elem = w->s->bytes ? 1 : sizeof(float);
    return (const char *)w->c->in[0].data +
           (size_t)((plane * w->s->y.in + row) * w->s->x.in) * elem;
}

static const float *enlarged(work *w, int64_t plane, int64_t row)
{
    const state *s = w->s;
    const int64_t place = row % s->y.taps, number = plane * s->y.in + row;
    float *y = w->kept + place * s->x.out;
    const void *x = row_of(w, plane, row);
    if (w->number[place] == number)
        return y;
    w->number[place] = number;
    if (s->bytes) {
        add_bytes(w->wide, x, 1, s->x.in, true);
        x = w->wide;
    }
    columns(&s->x, y, x);
    return y;
}

/* Columns of the rows that are needed, then the sum over rows. */
static void columns_then_rows(work *w, int64_t plane, int64_t i, float *y)
{
    const table *t = &w->s->y;
    const int64_t n = w->s->x.out;
    if (t->taps == 2) {
        const float *a = enlarged(w, plane, t->at[i]);
        const float *b = enlarged(w, plane, t->at[t->out + i]);
        mix_floats(y, a, b, t->weight[i], t->weight[t->out + i], n);
        return;
    }
    for (int k = 0; k < t->taps; k++)
        add_floats(y, enlarged(w, plane, t->at[k * t->out + i]), t->weight[k * t->out + i], n,
                   k == 0);
}

static void rows_then_columns(work *w, int64_t plane, int64_t i, float *y)
{
    const table *t = &w->s->y;
    const int64_t n = w->s->x.in;
    bool first = true;
    for (int k = 0; k < t->taps; k++) {
        const float weight = t->weight[k * t->out + i];
        const void *x = row_of(w, plane, t->at[k * t->out + i]);
        if (weight == 0 && (!first || k < t->taps - 1))
            continue;
        if (w->s->bytes)
            add_bytes(w->wide, x, weight, n, first);
        else if (t->same) {
            columns(&w->s->x, y, x);
            return;
        } else
            add_floats(w->wide, x, weight, n, first);
        first = false;
    }
    columns(&w->s->x, y, w->wide);
}

static void sum_rows(const maas_call *c, int ithr, int64_t from, int64_t to)
{
    const state *s = c->state;
    const int64_t n = s->x.out, taps = s->columns_first ? s->y.taps : 0;
    const int64_t wide = s->x.in > n ? s->x.in : n;
    float *mine = (float *)c->scratch + (size_t)ithr * s->per_thread;
    work w = {.s = s, .c = c, .number = (int64_t *)mine, .kept = mine + 2 * taps};
    w.wide = w.kept + taps * n;
    w.sum = w.wide + wide;
    for (int64_t k = 0; k < taps; k++)
        w.number[k] = -1;
    for (int64_t i = from; i < to; i++) {
        float *y = s->bytes ? w.sum : (float *)c->out[0].data + i * n;
        (s->columns_first ? columns_then_rows : rows_then_columns)(&w, i / s->y.out, i % s->y.out,
                                                                   y);
        if (s->bytes)
            store_bytes((uint8_t *)c->out[0].data + i * n, y, n);
    }
}

/* ---- nearest ---- */

static void pick_floats(const table *t, float *y, const float *x)
{
    int64_t j = 0;
    for (; t->twice && j + 2 * VW <= t->out; j += 2 * VW)
        store_alternating(y + j, v_load(x + j / 2), v_load(x + j / 2));
    for (; j + VW <= t->out; j += VW)
        v_store(y + j, gather(x, t->at + j));
    for (; j < t->out; j++)
        y[j] = x[t->at[j]];
}

static void pick_bytes(const table *t, uint8_t *y, const uint8_t *x)
{
    if (t->twice)
        for (int64_t j = 0; j < t->in; j++)
            y[2 * j] = y[2 * j + 1] = x[j];
    else
        for (int64_t j = 0; j < t->out; j++)
            y[j] = x[t->at[j]];
}

static void pick_rows(const maas_call *c, int64_t from, int64_t to)
{
    const state *s = c->state;
    const work w = {.s = s, .c = c};
    const size_t bytes = (size_t)s->x.out * (s->bytes ? 1 : sizeof(float));
    for (int64_t i = from; i < to; i++) {
        char *y = (char *)c->out[0].data + (size_t)i * bytes;
        const int64_t k = i % s->y.out;
        const void *x = row_of(&w, i / s->y.out, s->y.at[k]);
        if (i > from && k > 0 && s->y.at[k] == s->y.at[k - 1])
            memcpy(y, y - bytes, bytes);
        else if (s->x.same)
            memcpy(y, x, bytes);
        else if (s->bytes)
            pick_bytes(&s->x, (uint8_t *)y, x);
        else
            pick_floats(&s->x, (float *)y, x);
    }
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const state *s = c->state;
    int64_t from, to;
    maas_share(s->planes * s->y.out, 4, ithr, nthr, &from, &to);
    if (s->x.out == 0 || from == to)
        return MAAS_OK;
    if (s->nearest)
        pick_rows(c, from, to);
    else
        sum_rows(c, ithr, from, to);
    return MAAS_OK;
}

const maas_kernel ISA(maas_kernels_resize)[] = {{.op = &maas_op_Resize,
                                                 .name = "Resize." ISA_TEXT,
                                                 .fits = fits,
                                                 .prepare = prepare,
                                                 .release = release,
                                                 .run = run},
                                                {0}};
