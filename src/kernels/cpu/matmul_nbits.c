/*
 * MatMulNBits in f32: four rows of the weights at a time are unpacked to floats, which stay in the
 * nearest cache, and multiplied with all rows of A.
 */
#include "kernels/cpu/row_dots.h"
#include "ops/matmul_nbits.h"

#include "base/mem.h"
#include "base/ban.h"

extern const maas_op maas_op_MatMulNBits;

enum { LONGEST = 1 << 20 };

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

static void all_rows(const maas_call *c, const maas_nbits *w, const float *weights, int64_t n,
                     int cols)
{
    const maas_tensor *bias = input(c, MAAS_NBITS_BIAS);
    const float *a = c->in[MAAS_NBITS_A].data;
    const float *add = bias ? (const float *)bias->data + n : NULL;
    float *y = (float *)c->out[0].data + n;
    const int64_t rows = maas_n_elems(&c->in[MAAS_NBITS_A]) / w->k;
    row_dots(DOT_F32, rows, a, weights, (size_t)w->k * sizeof *weights, w->k, y, w->n, cols, add);
}

/* ---- the row ---- */

static maas_status prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    maas_nbits w;
    MAAS_TRY(maas_nbits_of(c->node, &w, err));
    c->scratch_bytes = row_dots_bytes(w.k) * (size_t)c->n_threads;
    return MAAS_OK;
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    maas_nbits w;
    int64_t from, to;
    MAAS_TRY(maas_nbits_of(c->node, &w, err));
    float *weights = (float *)(void *)((char *)c->scratch + row_dots_bytes(w.k) * (size_t)ithr);
    maas_share(w.n, DOT_COLS, ithr, nthr, &from, &to);
    for (int64_t n = from; n < to; n += DOT_COLS) {
        const int cols = (int)(to - n < DOT_COLS ? to - n : DOT_COLS);
        for (int j = 0; j < cols; j++)
            unpack_row(c, &w, n + j, weights + j * w.k);
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
