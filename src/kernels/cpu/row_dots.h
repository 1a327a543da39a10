/*
 * kernels/cpu/row_dots.h - rows of f32 times a few columns that lie as rows of k floats: products
 * with weights that are unpacked a few rows at a time and stay in the nearest cache.
 */
#ifndef MAAS_KERNELS_CPU_ROW_DOTS_H
#define MAAS_KERNELS_CPU_ROW_DOTS_H

#include "kernels/cpu/isa.h"

enum { DOT_COLS = 4, DOT_ROWS = 4 };

#define UNROLL _Pragma("GCC unroll 8")

INLINE void dots(const int rows, const float *x, const float *w, int64_t k, float *y, int64_t y_row,
                 int cols, const float *bias)
{
    vf sum[DOT_ROWS][DOT_COLS] = {{{0}}};
    for (int64_t i = 0; i < k; i += VW) {
        vf wv[DOT_COLS];
        UNROLL for (int j = 0; j < DOT_COLS; j++)
        {
            wv[j] = i + VW <= k ? v_load(w + j * k + i) : v_load_part(w + j * k + i, k - i, 0);
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

/* y[n][y_row], columns 0..cols - 1 = x[n][k] * w[DOT_COLS][k]^T + bias[cols]; bias: NULL is none.
 * w has all DOT_COLS rows, whatever cols.
 */
INLINE void row_dots(int64_t n, const float *x, const float *w, int64_t k, float *y, int64_t y_row,
                     int cols, const float *bias)
{
    int64_t r = 0;
    for (; r + DOT_ROWS <= n; r += DOT_ROWS)
        dots(DOT_ROWS, x + r * k, w, k, y + r * y_row, y_row, cols, bias);
    for (; r < n; r++)
        dots(1, x + r * k, w, k, y + r * y_row, y_row, cols, bias);
}

/* Bytes for the DOT_COLS rows of w, a whole number of cache lines. */
static inline size_t row_dots_bytes(int64_t k)
{
    return ((size_t)(DOT_COLS * k) * sizeof(float) + 63) / 64 * 64;
}

#endif
