/*
 * BlockMatMul in two ways.
 *
 * Products of bytes (VNNI): X is rounded to bytes with a scale for each 32 of them, the weights are
 * packed 16 rows side by side (kernels/block_pack.h), and every 32 columns the exact sums of bytes
 * are scaled into floats. For any type: some rows of W at a time become floats, which stay in the
 * nearest cache.
 *
 * Either way a row of Y is summed in one order, however many rows there are.
 */
#include "kernels/block_pack.h"
#include "kernels/cpu/row_dots.h"

#include "base/mem.h"
#include "base/ban.h"

extern const maas_op maas_op_BlockMatMul;

static const maas_tensor *bias_of(const maas_call *c)
{
    return c->n_in > MAAS_BLOCK_BIAS && c->in[MAAS_BLOCK_BIAS].dtype != MAAS_DT_NONE
               ? &c->in[MAAS_BLOCK_BIAS]
               : NULL;
}

static bool shape_of(const maas_call *c, maas_block_w *w, int64_t *rows)
{
    const maas_tensor *x = &c->in[MAAS_BLOCK_X], *t = &c->in[MAAS_BLOCK_W];
    *w = (maas_block_w){0};
    if (maas_block_w_of(c->node, t->rank, t->dims, w, NULL) != MAAS_OK || w->k <= 0 || w->n <= 0)
        return false;
    *rows = maas_n_elems(x) / w->k;
    return w->k <= 1 << 20;
}

#if defined(MAAS_ISA_AVX512)
/* ---- X in bytes ---- */

#define VNNI __attribute__((target("avx512vnni")))

typedef struct bytes { /* X, rounded */
    int8_t *code;      /* [rows][k]                              */
    float *d;          /* [rows][k / 32]: x = d * code           */
    float *sum;        /* [rows][k / 32]: d times the sum of 32  */
    int32_t *half;     /* [rows][k / 16]: the sum of 16          */
} bytes;

static size_t line(size_t n)
{
    return (n + 63) / 64 * 64;
}
static size_t bytes_of(int64_t rows, int64_t k)
{
    return line((size_t)(rows * k)) + 2 * line((size_t)(rows * (k / 32)) * sizeof(float)) +
           line((size_t)(rows * (k / 16)) * sizeof(int32_t));
}
static bytes bytes_at(char *p, int64_t rows, int64_t k)
{
    bytes b = {.code = (int8_t *)p};
    p += line((size_t)(rows * k));
    b.d = (float *)(void *)p;
    p += line((size_t)(rows * (k / 32)) * sizeof(float));
    b.sum = (float *)(void *)p;
    p += line((size_t)(rows * (k / 32)) * sizeof(float));
    b.half = (int32_t *)(void *)p;
    return b;
}

static void round_row(const float *x, int64_t k, int8_t *code, float *d, float *sum, int32_t *half)
{
    for (int64_t b = 0; b < k / 32; b++, x += 32, code += 32) {
        const __m512 lo = _mm512_loadu_ps(x), hi = _mm512_loadu_ps(x + 16);
        const float top = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(lo), _mm512_abs_ps(hi)));
        const float by = top > 0 ? 127 / top : 0;
        const __m512i a = _mm512_cvtps_epi32(_mm512_mul_ps(lo, _mm512_set1_ps(by)));
        const __m512i z = _mm512_cvtps_epi32(_mm512_mul_ps(hi, _mm512_set1_ps(by)));
        _mm_storeu_si128((__m128i *)(void *)code, _mm512_cvtsepi32_epi8(a));
        _mm_storeu_si128((__m128i *)(void *)(code + 16), _mm512_cvtsepi32_epi8(z));
        half[2 * b] = _mm512_reduce_add_epi32(a);
        half[2 * b + 1] = _mm512_reduce_add_epi32(z);
        d[b] = top / 127;
        sum[b] = d[b] * (float)(half[2 * b] + half[2 * b + 1]);
    }
}

/* ---- 32 columns of a tile with R rows of X ---- */

enum { MOST_ROWS = 8 };

INLINE __m512i load(const uint8_t *p)
{
    return _mm512_loadu_si512(p);
}
INLINE __m512 halves(const uint8_t *p) /* 16 of them */
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
INLINE __m512 bytes16(const uint8_t *p)
{
    return _mm512_cvtepi32_ps(
        _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)));
}

/* A shift of bytes by n bits toward the top, or the bottom; what crosses bytes is masked away. */
INLINE __m512i shifted(__m512i x, const int n, const char mask)
{
    const __m512i s = n >= 0 ? _mm512_slli_epi16(x, (unsigned)(n >= 0 ? n : 0))
                             : _mm512_srli_epi16(x, (unsigned)(n < 0 ? -n : 0));
    return _mm512_and_si512(s, _mm512_set1_epi8(mask));
}

/* Codes of columns 4t .. 4t + 3 of 16 rows. */
INLINE __m512i codes(const int low, const int high, const uint8_t *p, const int t)
{
    if (low == 8)
        return load(p + 64 * t);
    __m512i c = shifted(load(p + 64 * (t / 2)), t % 2 ? -4 : 0, 15);
    if (high == 1)
        c = _mm512_or_si512(c, shifted(load(p + 256), 4 - t, 16));
    if (high == 2)
        c = _mm512_or_si512(c, shifted(load(p + 256 + 64 * (t / 4)), 4 - 2 * (t % 4), 48));
    return c;
}

typedef struct rows { /* R rows of X at one block of 32 columns */
    const int8_t *code;
    const float *d, *sum;
    const int32_t *half;
    int64_t k;
} rows;

/* sum[r] (a vector: 16 rows of W) of four groups of 4 columns, from group `from` on. */
VNNI INLINE void four_groups(const maas_block_form f, const int n, const uint8_t *p, const rows *x,
                             const int from, __m512i *sum)
{
    UNROLL for (int t = from; t < from + 4; t++)
    {
        const __m512i w = codes(f.low, f.high, p, t);
        UNROLL for (int r = 0; r < n; r++)
        {
            int32_t four;
            memcpy(&four, x->code + r * x->k + 4 * t, sizeof four);
            sum[r] = _mm512_dpbusd_epi32(sum[r], w, _mm512_set1_epi32(four));
        }
    }
}

/* What a zero point takes away, known before. */
INLINE __m512i start_at(const maas_block_form f, int32_t sum)
{
    return f.zero ? _mm512_set1_epi32(-(int32_t)f.zero * sum) : _mm512_setzero_si512();
}

typedef struct heads { /* scales of 256 columns */
    __m512 d, min;
} heads;

VNNI INLINE void one_part(const maas_block_form f, const int n, const uint8_t *p, const heads *h,
                          const rows *x, __m512 *y)
{
    const uint8_t *s = p + 64 * (f.low + f.high);
    __m512i sum[MOST_ROWS], more[MOST_ROWS];
    const int64_t h_row = x->k / 16, d_row = x->k / 32;
    UNROLL for (int r = 0; r < n; r++)
    {
        const int32_t *half = x->half + r * h_row;
        sum[r] = start_at(f, f.scales == MAAS_BLOCK_K6 ? half[0] : half[0] + half[1]);
        more[r] = start_at(f, half[1]);
    }
    four_groups(f, n, p, x, 0, sum);
    four_groups(f, n, p, x, 4, f.scales == MAAS_BLOCK_K6 ? more : sum);
    const __m512 d = f.scales == MAAS_BLOCK_K4   ? _mm512_mul_ps(h->d, bytes16(s))
                     : f.scales == MAAS_BLOCK_K6 ? h->d
                                                 : halves(s);
    const __m512 m = f.scales == MAAS_BLOCK_K4   ? _mm512_mul_ps(h->min, bytes16(s + 16))
                     : f.scales == MAAS_BLOCK_DM ? halves(s + 32)
                                                 : _mm512_setzero_ps();
    const __m512i s0 = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)s));
    const __m512i s1 = _mm512_cvtepi8_epi32(
        _mm_loadu_si128((const __m128i *)(const void *)(s + 16)));
    UNROLL for (int r = 0; r < n; r++)
    {
        __m512i total = sum[r];
        if (f.scales == MAAS_BLOCK_K6)
            total = _mm512_add_epi32(_mm512_mullo_epi32(sum[r], s0),
                                     _mm512_mullo_epi32(more[r], s1));
        y[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(total),
                               _mm512_mul_ps(d, _mm512_set1_ps(x->d[r * d_row])), y[r]);
        if (f.scales == MAAS_BLOCK_DM)
            y[r] = _mm512_fmadd_ps(m, _mm512_set1_ps(x->sum[r * d_row]), y[r]);
        if (f.scales == MAAS_BLOCK_K4)
            y[r] = _mm512_fnmadd_ps(m, _mm512_set1_ps(x->sum[r * d_row]), y[r]);
    }
}

typedef struct target { /* 16 columns of Y, or fewer */
    float *y;
    const float *bias; /* NULL: none */
    int64_t row;       /* floats from a row of Y to the next */
    __mmask16 mask;
} target;

VNNI INLINE void tile(const maas_block_form f, const int n, const uint8_t *p, rows x,
                      const target *to)
{
    __m512 y[MOST_ROWS];
    heads h = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    UNROLL for (int r = 0; r < n; r++)
    {
        y[r] = to->bias ? _mm512_maskz_loadu_ps(to->mask, to->bias) : _mm512_setzero_ps();
    }
    const size_t part = maas_block_part_bytes(&f);
    for (int64_t b = 0; b < x.k / 32; b++) {
        if (maas_block_head_bytes(&f) && b % 8 == 0) {
            h.d = halves(p);
            h.min = f.scales == MAAS_BLOCK_K4 ? halves(p + 32) : h.d;
            p += maas_block_head_bytes(&f);
        }
        _mm_prefetch((const char *)p + 2048, _MM_HINT_T0);
        one_part(f, n, p, &h, &x, y);
        p += part;
        x.code += 32;
        x.d++;
        x.sum++;
        x.half += 2;
    }
    UNROLL for (int r = 0; r < n; r++)
    {
        _mm512_mask_storeu_ps(to->y + r * to->row, to->mask, y[r]);
    }
}

/* All rows of X with one tile: eight at a time, then what is left. */
VNNI INLINE void all_rows(const maas_block_form f, const uint8_t *p, const bytes *b, int64_t n_rows,
                          int64_t k, target to)
{
    for (int64_t r = 0; r < n_rows;) {
        const rows x = {b->code + r * k, b->d + r * (k / 32), b->sum + r * (k / 32),
                        b->half + r * (k / 16), k};
        const int64_t left = n_rows - r;
        const int n = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        if (n == 8)
            tile(f, 8, p, x, &to);
        else if (n == 4)
            tile(f, 4, p, x, &to);
        else if (n == 2)
            tile(f, 2, p, x, &to);
        else
            tile(f, 1, p, x, &to);
        to.y += n * to.row;
        r += n;
    }
}

typedef void tile_fn(const uint8_t *p, const bytes *b, int64_t n_rows, int64_t k, target to);
#define FORM(name, type, low, high, zero, scales)                                                  \
    VNNI static void name(const uint8_t *p, const bytes *b, int64_t n_rows, int64_t k, target to)  \
    {                                                                                              \
        all_rows((maas_block_form){type, low, high, zero, scales}, p, b, n_rows, k, to);           \
    }
FORM(q4_0_rows, MAAS_Q_Q4_0, 4, 0, 8, MAAS_BLOCK_D)
FORM(q4_1_rows, MAAS_Q_Q4_1, 4, 0, 0, MAAS_BLOCK_DM)
FORM(q5_0_rows, MAAS_Q_Q5_0, 4, 1, 16, MAAS_BLOCK_D)
FORM(q5_1_rows, MAAS_Q_Q5_1, 4, 1, 0, MAAS_BLOCK_DM)
FORM(q8_0_rows, MAAS_Q_Q8_0, 8, 0, 128, MAAS_BLOCK_D)
FORM(q4_k_rows, MAAS_Q_Q4_K, 4, 0, 0, MAAS_BLOCK_K4)
FORM(q5_k_rows, MAAS_Q_Q5_K, 4, 1, 0, MAAS_BLOCK_K4)
FORM(q6_k_rows, MAAS_Q_Q6_K, 4, 2, 32, MAAS_BLOCK_K6)

static const struct {
    uint32_t type;
    tile_fn *fn;
} tile_fns[] = {{MAAS_Q_Q4_0, q4_0_rows}, {MAAS_Q_Q4_1, q4_1_rows}, {MAAS_Q_Q5_0, q5_0_rows},
                {MAAS_Q_Q5_1, q5_1_rows}, {MAAS_Q_Q8_0, q8_0_rows}, {MAAS_Q_Q4_K, q4_k_rows},
                {MAAS_Q_Q5_K, q5_k_rows}, {MAAS_Q_Q6_K, q6_k_rows}};

static tile_fn *tile_fn_of(uint32_t type)
{
    for (size_t i = 0; i < MAAS_COUNT(tile_fns); i++)
        if (tile_fns[i].type == type)
            return tile_fns[i].fn;
    return NULL;
}

/* ---- the row: products of bytes ---- */

static bool vnni_fits(const maas_call *c, const maas_cpu *cpu)
{
    maas_block_w w;
    int64_t n;
    return cpu->avx512_vnni && shape_of(c, &w, &n) && c->in[MAAS_BLOCK_W].data &&
           tile_fn_of(w.q->id) && maas_block_form_of(w.q->id);
}

/* Little of X is rounded by every thread for itself, which is cheaper than to wait for others. */
static bool is_private(int64_t n, int64_t k)
{
    return n * k <= 1 << 14;
}

static maas_status vnni_prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    maas_block_w w;
    int64_t n;
    const maas_block_pack *pack;
    if (!shape_of(c, &w, &n))
        return maas_fail(err, MAAS_E_INTERNAL, "BlockMatMul without a shape");
    MAAS_TRY(maas_block_pack_acquire(&w, c->in[MAAS_BLOCK_W].data, &pack, err));
    c->state = (void *)(uintptr_t)pack;
    c->scratch_bytes = bytes_of(n, w.k) * (is_private(n, w.k) ? (size_t)c->n_threads : 1);
    return MAAS_OK;
}

static void round_rows(const maas_call *c, const bytes *b, int64_t k, int64_t from, int64_t to)
{
    const float *x = c->in[MAAS_BLOCK_X].data;
    for (int64_t r = from; r < to; r++)
        round_row(x + r * k, k, b->code + r * k, b->d + r * (k / 32), b->sum + r * (k / 32),
                  b->half + r * (k / 16));
}

static maas_status vnni_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const maas_block_pack *p = c->state;
    const maas_tensor *bias = bias_of(c);
    const int64_t n = maas_n_elems(&c->in[MAAS_BLOCK_X]) / p->k;
    const int64_t tiles = (p->n + MAAS_BLOCK_TILE - 1) / MAAS_BLOCK_TILE;
    tile_fn *fn = tile_fn_of(p->form->type);
    int64_t from, to;
    bytes b;
    if (is_private(n, p->k)) {
        b = bytes_at((char *)c->scratch + bytes_of(n, p->k) * (size_t)ithr, n, p->k);
        round_rows(c, &b, p->k, 0, n);
    } else {
        b = bytes_at(c->scratch, n, p->k);
        maas_share(n, 1, ithr, nthr, &from, &to);
        round_rows(c, &b, p->k, from, to);
        maas_call_barrier();
    }
    maas_share(tiles, 1, ithr, nthr, &from, &to);
    for (int64_t t = from; t < to; t++) {
        const int64_t at = t * MAAS_BLOCK_TILE, left = p->n - at;
        const target y = {(float *)c->out[0].data + at,
                          bias ? (const float *)bias->data + at : NULL, p->n,
                          (__mmask16)(left >= MAAS_BLOCK_TILE ? 0xffff : (1u << left) - 1)};
        fn(p->data + (size_t)t * p->tile_bytes, &b, n, p->k, y);
    }
    return MAAS_OK;
}
#endif

/* ---- the row: any type, in floats ---- */

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    maas_block_w w;
    int64_t n;
    return shape_of(c, &w, &n);
}

static maas_status prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    maas_block_w w;
    int64_t n;
    if (!shape_of(c, &w, &n))
        return maas_fail(err, MAAS_E_INTERNAL, "BlockMatMul without a shape");
    c->scratch_bytes = row_dots_bytes(w.k) * (size_t)c->n_threads;
    return MAAS_OK;
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const maas_tensor *bias = bias_of(c);
    const float *x = c->in[MAAS_BLOCK_X].data;
    maas_block_w w;
    int64_t n, from, to;
    if (!shape_of(c, &w, &n))
        return maas_fail(err, MAAS_E_INTERNAL, "BlockMatMul without a shape");
    float *rows_w = (float *)(void *)((char *)c->scratch + row_dots_bytes(w.k) * (size_t)ithr);
    maas_share(w.n, DOT_COLS, ithr, nthr, &from, &to);
    for (int64_t at = from; at < to; at += DOT_COLS) {
        const int cols = (int)(to - at < DOT_COLS ? to - at : DOT_COLS);
        const float *add = bias ? (const float *)bias->data + at : NULL;
        float *y = (float *)c->out[0].data + at;
        for (int j = 0; j < DOT_COLS; j++)
            if (j < cols)
                w.q->to_f32((const uint8_t *)c->in[MAAS_BLOCK_W].data +
                                (size_t)(at + j) * w.row_bytes,
                            rows_w + j * w.k, w.k);
            else
                memset(rows_w + j * w.k, 0, (size_t)w.k * sizeof *rows_w);
        row_dots(n, x, rows_w, w.k, y, w.n, cols, add);
    }
    return MAAS_OK;
}

const maas_kernel ISA(maas_kernels_block_matmul)[] = {
#if defined(MAAS_ISA_AVX512)
    {.op = &maas_op_BlockMatMul,
     .name = "BlockMatMul.vnni",
     .flags = MAAS_KERNEL_BARRIER,
     .fits = vnni_fits,
     .prepare = vnni_prepare,
     .release = maas_block_pack_release,
     .run = vnni_run},
#endif
    {.op = &maas_op_BlockMatMul,
     .name = "BlockMatMul." ISA_TEXT,
     .fits = fits,
     .prepare = prepare,
     .release = maas_free,
     .run = run},
    {0}};
