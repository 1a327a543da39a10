/*
 * MatMulNBits in f32: four rows of the weights at a time are unpacked to floats, which stay in the
 * nearest cache, and multiplied with all rows of A.
 */
#include "kernels/cpu/isa.h"
#include "ops/matmul_nbits.h"

#include "base/mem.h"
#include "base/ban.h"

extern const maas_op maas_op_MatMulNBits;

enum { COLS = 4, ROWS = 4, LONGEST = 1 << 20 };

static const maas_tensor *input(const maas_call *c, int i)
{
    return i < c->n_in && c->in[i].dtype != MAAS_DT_NONE ? &c->in[i] : NULL;
}

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    const maas_tensor *zeros = input(c, MAAS_NBITS_ZEROS);
    maas_nbits w;
    return maas_nbits_of(c->node, &w, NULL) == MAAS_OK && w.k <= LONGEST &&
           c->in[MAAS_NBITS_A].dtype == MAAS_F32 && c->in[MAAS_NBITS_SCALES].dtype == MAAS_F32 &&
           (!zeros || zeros->dtype == MAAS_U8 || zeros->dtype == MAAS_F32) &&
           !input(c, MAAS_NBITS_GROUPS) && maas_n_elems(&c->in[MAAS_NBITS_A]) > 0;
}

/* ---- unpacking ---- */

/* VW codes of four bits, as whole numbers. */
INLINE vi four_bits(const uint8_t *b)
{
#if defined(MAAS_ISA_AVX512)
    const __m128i x = _mm_loadl_epi64((const __m128i *)b);
    const __m512i twice = _mm512_cvtepu8_epi32(_mm_unpacklo_epi8(x, x));
    const __m512i shift = _mm512_set1_epi64((int64_t)4 << 32); /* every other one by four */
    return (vi)_mm512_and_si512(_mm512_srlv_epi32(twice, shift), _mm512_set1_epi32(15));
#elif defined(MAAS_ISA_AVX2)
    int32_t four;
    memcpy(&four, b, sizeof four);
    const __m128i x = _mm_cvtsi32_si128(four);
    const __m256i twice = _mm256_cvtepu8_epi32(_mm_unpacklo_epi8(x, x));
    const __m256i shift = _mm256_set1_epi64x((int64_t)4 << 32);
    return (vi)_mm256_and_si256(_mm256_srlv_epi32(twice, shift), _mm256_set1_epi32(15));
#else
    vi v;
    for (int i = 0; i < VW; i++)
        v[i] = b[i / 2] >> i % 2 * 4 & 15;
    return v;
#endif
}

/* One block; the last one of a row may be short. */
static void unpack_block(int bits, const uint8_t *b, int64_t n, float zero, float scale, float *out)
{
    int64_t i = 0;
    if (bits == 8)
        for (; i < n; i++)
            out[i] = ((float)b[i] - zero) * scale;
    else if (bits == 4)
        for (; i + VW <= n; i += VW)
            v_store(out + i, (__builtin_convertvector(four_bits(b + i / 2), vf) - zero) * scale);
    const int each = 8 / bits, mask = (1 << bits) - 1;
    for (; i < n; i++)
        out[i] = ((float)(b[i / each] >> i % each * bits & mask) - zero) * scale;
}

static void unpack_row(const maas_call *c, const maas_nbits *w, int64_t n, float *out)
{
    const maas_tensor *zeros = input(c, MAAS_NBITS_ZEROS);
    const float *scales = (const float *)c->in[MAAS_NBITS_SCALES].data + n * w->blocks;
    const uint8_t *b = (const uint8_t *)c->in[MAAS_NBITS_B].data + n * w->blocks * w->blob;
    for (int64_t i = 0; i < w->blocks; i++) {
        const int64_t left = w->k - i * w->block;
        unpack_block(w->bits, b + i * w->blob, left < w->block ? left : w->block,
                     (float)maas_nbits_zero(w, zeros, n, i), scales[i], out + i * w->block);
    }
}

/* ---- products of rows ---- */

#define UNROLL _Pragma("GCC unroll 4")

INLINE void dots(const int rows, const float *a, const float *w, int64_t k, float *y, int64_t y_row,
                 int cols, const float *bias)
{
    vf sum[ROWS][COLS] = {{{0}}};
    int64_t i = 0;
    for (; i < k; i += VW) {
        vf wv[COLS];
        UNROLL for (int j = 0; j < COLS; j++)
        {
            wv[j] = i + VW <= k ? v_load(w + j * k + i) : v_load_part(w + j * k + i, k - i, 0);
        }
        UNROLL for (int r = 0; r < rows; r++)
        {
            const vf av = i + VW <= k ? v_load(a + r * k + i)
                                      : v_load_part(a + r * k + i, k - i, 0);
            UNROLL for (int j = 0; j < COLS; j++)
            {
                sum[r][j] += av * wv[j];
            }
        }
    }
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < cols; j++)
            y[r * y_row + j] = v_sum(sum[r][j]) + (bias ? bias[j] : 0);
}

static void all_rows(const maas_call *c, const maas_nbits *w, const float *weights, int64_t n,
                     int cols)
{
    const maas_tensor *bias = input(c, MAAS_NBITS_BIAS);
    const float *a = c->in[MAAS_NBITS_A].data;
    const float *add = bias ? (const float *)bias->data + n : NULL;
    float *y = (float *)c->out[0].data + n;
    const int64_t rows = maas_n_elems(&c->in[MAAS_NBITS_A]) / w->k;
    int64_t r = 0;
    for (; r + ROWS <= rows; r += ROWS)
        dots(ROWS, a + r * w->k, weights, w->k, y + r * w->n, w->n, cols, add);
    for (; r < rows; r++)
        dots(1, a + r * w->k, weights, w->k, y + r * w->n, w->n, cols, add);
}

/* ---- the row ---- */

static size_t scratch_of(const maas_nbits *w)
{
    return ((size_t)(COLS * w->k) * sizeof(float) + 63) / 64 * 64;
}

static maas_status prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    maas_nbits w;
    MAAS_TRY(maas_nbits_of(c->node, &w, err));
    c->scratch_bytes = scratch_of(&w) * (size_t)c->n_threads;
    return MAAS_OK;
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    maas_nbits w;
    int64_t from, to;
    MAAS_TRY(maas_nbits_of(c->node, &w, err));
    float *weights = (float *)(void *)((char *)c->scratch + scratch_of(&w) * (size_t)ithr);
    maas_share(w.n, COLS, ithr, nthr, &from, &to);
    for (int64_t n = from; n < to; n += COLS) {
        const int cols = (int)(to - n < COLS ? to - n : COLS);
        for (int j = 0; j < COLS; j++)
            if (j < cols)
                unpack_row(c, &w, n + j, weights + j * w.k);
            else
                memset(weights + j * w.k, 0, (size_t)w.k * sizeof *weights);
        all_rows(c, &w, weights, n, cols);
    }
    return MAAS_OK;
}

const maas_kernel ISA(maas_kernels_matmul_nbits)[] = {{.op = &maas_op_MatMulNBits,
                                                       .name = "MatMulNBits." ISA_TEXT,
                                                       .fits = fits,
                                                       .prepare = prepare,
                                                       .release = maas_free,
                                                       .run = run},
                                                      {0}};
