/*
 * kernels/cpu/gemm_pack.h - columns of B as a panel: rows next to each other, padded with zeros to
 * whole vectors.
 */
#ifndef MAAS_KERNELS_CPU_GEMM_PACK_H
#define MAAS_KERNELS_CPU_GEMM_PACK_H

#include "kernels/cpu/isa.h"
#include "kernels/gemm_args.h"

#define UNROLL_LANES _Pragma("GCC unroll 16")

/* Lane j of the first: of a where bit d of j is clear, else of b from d lanes before; of the second
 * likewise, the other way round. */
INLINE void swap_lanes(vf *a, vf *b, const int d)
{
    static const real_bits lanes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const vi lane = *(const vi_any *)lanes, crossed = (lane & d) != 0;
    const vf x = *a, y = *b;
    *a = v_shuffle(x, y, (lane ^ (crossed & d)) + (crossed & VW));
    *b = v_shuffle(x, y, (lane ^ (~crossed & d)) + (crossed & VW));
}

/* to[k][i] = from[i][k], a square of VW by VW */
INLINE void transpose_square(real *to, int64_t to_row, const real *from, int64_t from_row)
{
    vf v[VW];
    UNROLL_LANES for (int i = 0; i < VW; i++)
    {
        v[i] = v_load(from + i * from_row);
    }
    UNROLL_LANES for (int d = 1; d < VW; d *= 2)
    {
        UNROLL_LANES for (int i = 0; i < VW; i++)
        {
            if (!(i & d))
                swap_lanes(&v[i], &v[i | d], d);
        }
    }
    UNROLL_LANES for (int k = 0; k < VW; k++)
    {
        v_store(to + k * to_row, v[k]);
    }
}

/* Columns of B are rows in memory. */
static void pack_columns(real *to, int64_t width, const real *from, int64_t b_col, int64_t kc,
                         int64_t w)
{
    const int64_t whole_k = kc - kc % VW;
    int64_t i = 0;
    for (; i + VW <= w; i += VW)
        for (int64_t k = 0; k < whole_k; k += VW)
            transpose_square(to + k * width + i, width, from + i * b_col + k, b_col);
    for (int64_t k = 0; k < kc; k++)
        for (int64_t c = k < whole_k ? i : 0; c < width; c++)
            to[k * width + c] = c < w ? from[c * b_col + k] : 0;
}

/* Columns [j, j + w) of rows [k0, k0 + kc) of B. */
static void pack_panel(real *to, const maas_gemm_args *g, const real *b, int64_t k0, int64_t kc,
                       int64_t j, int64_t w)
{
    const int64_t width = (w + VW - 1) / VW * VW;
    const real *from = b + k0 * g->b_row + j * g->b_col;
    if (g->b_col != 1) {
        pack_columns(to, width, from, g->b_col, kc, w);
        return;
    }
    for (int64_t k = 0; k < kc; k++, from += g->b_row, to += width) {
        memcpy(to, from, (size_t)w * sizeof *to);
        for (int64_t i = w; i < width; i++)
            to[i] = 0;
    }
}

#endif
