/*
 * kernels/cpu/row_dots.h - rows of f32 times a few columns that lie as rows of k numbers: products
 * with weights that are converted as they are read, or were unpacked a few rows at a time and stay
 * in the nearest cache.
 *
 * An element of Y is summed in one order, whatever is computed with it.
 */
#ifndef MAAS_KERNELS_CPU_ROW_DOTS_H
#define MAAS_KERNELS_CPU_ROW_DOTS_H

#include "kernels/cpu/isa.h"

enum { DOT_COLS = 4, DOT_ROWS = ISA_TILE_VEC == 4 ? 4 : 3 }; /* what registers have room for */

#ifndef UNROLL
#define UNROLL _Pragma("GCC unroll 8")
#endif

typedef enum dot_kind { DOT_F32, DOT_F16, DOT_BF16 } dot_kind;

static inline size_t dot_bytes(dot_kind kind)
{
    return kind == DOT_F32 ? 4 : 2;
}

INLINE vf halves_to_floats(const uint16_t *h)
{
#if defined(MAAS_ISA_AVX512)
    return (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)h));
#elif defined(MAAS_ISA_AVX2)
    return (vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)h));
#elif defined(MAAS_ISA_NEON)
    return (vf)vcvt_f32_f16((float16x4_t)vld1_u16(h));
#else
    vf v;
    for (int i = 0; i < VW; i++)
        v[i] = maas_f16_to_f32(h[i]);
    return v;
#endif
}

/* VW elements of a row, at any address. */
INLINE vf w_whole(const dot_kind kind, const void *p)
{
    typedef uint16_t shorts __attribute__((vector_size(VW * 2)));
    uint16_t h[VW];
    shorts two;
    vf v;
    if (kind == DOT_F32) {
        memcpy(&v, p, sizeof v);
        return v;
    }
    if (kind == DOT_F16) {
        memcpy(h, p, sizeof h);
        return halves_to_floats(h);
    }
    memcpy(&two, p, sizeof two);
    return (vf)(__builtin_convertvector(two, vi) << 16);
}
/* Elements i .. i + VW - 1 of a row of k; those past its end are zeros. */
INLINE vf w_load(const dot_kind kind, const void *row, int64_t i, int64_t k)
{
    const uint8_t *p = (const uint8_t *)row + (size_t)i * dot_bytes(kind);
    uint8_t last[VW * sizeof(float)] = {0};
    if (__builtin_expect(i + VW <= k, 1))
        return w_whole(kind, p);
    memcpy(last, p, (size_t)(k - i) * dot_bytes(kind));
    return w_whole(kind, last);
}

INLINE void dots(const int rows, const dot_kind kind, const float *x, const void *w, size_t w_row,
                 int64_t k, float *y, int64_t y_row, int cols, const float *bias)
{
    vf sum[DOT_ROWS][DOT_COLS] = {{{0}}};
    const uint8_t *at[DOT_COLS]; /* columns that are not there are the last one again */
    for (int j = 0; j < DOT_COLS; j++)
        at[j] = (const uint8_t *)w + (size_t)(j < cols ? j : cols - 1) * w_row;
    for (int64_t i = 0; i < k; i += VW) {
        vf wv[DOT_COLS];
        UNROLL for (int j = 0; j < DOT_COLS; j++)
        {
            wv[j] = w_load(kind, at[j], i, k);
        }
        UNROLL for (int r = 0; r < rows; r++)
        {
            const vf xv = i + VW <= k ? v_load(x + r * k + i)
                                      : v_load_part(x + r * k + i, k - i, 0);
            UNROLL for (int j = 0; j < DOT_COLS; j++)
            {
                sum[r][j] += xv * wv[j];
            }
        }
    }
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < cols; j++)
            y[r * y_row + j] = v_sum(sum[r][j]) + (bias ? bias[j] : 0);
}

/* y[n][y_row], columns 0..cols - 1 = x[n][k] * w[cols][k]^T + bias[cols]; bias: NULL is none.
 * w_row: bytes from one row of w to the next.
 */
INLINE void row_dots(const dot_kind kind, int64_t n, const float *x, const void *w, size_t w_row,
                     int64_t k, float *y, int64_t y_row, int cols, const float *bias)
{
    int64_t r = 0;
    for (; r + DOT_ROWS <= n; r += DOT_ROWS)
        dots(DOT_ROWS, kind, x + r * k, w, w_row, k, y + r * y_row, y_row, cols, bias);
    for (; r < n; r++)
        dots(1, kind, x + r * k, w, w_row, k, y + r * y_row, y_row, cols, bias);
}

/* Bytes for DOT_COLS rows of k floats, a whole number of cache lines. */
static inline size_t row_dots_bytes(int64_t k)
{
    return ((size_t)(DOT_COLS * k) * sizeof(float) + 63) / 64 * 64;
}

#endif
