/*
 * kernels/cpu/gemm_tile.h - the inner product of blocks, C[mr][nv * VW] += A[mr][kc] B[kc][nv *
 * VW].
 *
 * A is read where it is, by strides: a broadcast costs the same from a row or a column, so A is
 * never packed or transposed. All sums of a tile live in registers; every combination of rows and
 * vectors is its own function.
 */
#ifndef MAAS_KERNELS_CPU_GEMM_TILE_H
#define MAAS_KERNELS_CPU_GEMM_TILE_H

#include "kernels/cpu/isa.h"

#define TILE_M 6
#define TILE_N (ISA_TILE_VEC * VW)

/* b_row, c_row: elements from a row to the next */
typedef void tile_fn(int64_t kc, const real *a, int64_t a_row, int64_t a_col, const real *b,
                     int64_t b_row, real *c, int64_t c_row, bool first);

/* x86 addresses base + {1, 2} * stride for free: one pointer serves three rows. */
#define UNROLL _Pragma("GCC unroll 16")
INLINE void tile(const int mr, const int nv, int64_t kc, const real *a, int64_t a_row,
                 int64_t a_col, const real *b, int64_t b_row, real *c, int64_t c_row, bool first)
{
    vf sum[TILE_M][ISA_TILE_VEC];
    UNROLL for (int i = 0; i < mr; i++)
    {
        UNROLL for (int j = 0; j < nv; j++)
        {
            sum[i][j] = first ? (vf){0} : v_load(c + i * c_row + j * VW);
        }
    }
    const real *a3 = a + 3 * a_row;
    for (int64_t k = 0; k < kc; k++, b += b_row, a += a_col, a3 += a_col) {
        vf bv[ISA_TILE_VEC];
        UNROLL for (int j = 0; j < nv; j++)
        {
            bv[j] = v_load(b + j * VW);
        }
        UNROLL for (int i = 0; i < mr; i++)
        {
            const vf av = v_all((i < 3 ? a : a3)[i % 3 * a_row]);
            UNROLL for (int j = 0; j < nv; j++)
            {
                sum[i][j] += av * bv[j];
            }
        }
    }
    UNROLL for (int i = 0; i < mr; i++)
    {
        UNROLL for (int j = 0; j < nv; j++)
        {
            v_store(c + i * c_row + j * VW, sum[i][j]);
        }
    }
}

#define TILE(mr, nv)                                                                               \
    static void tile_##mr##_##nv(int64_t kc, const real *a, int64_t a_row, int64_t a_col,          \
                                 const real *b, int64_t b_row, real *c, int64_t c_row, bool first) \
    {                                                                                              \
        tile(mr, nv, kc, a, a_row, a_col, b, b_row, c, c_row, first);                              \
    }
#define TILES(nv) TILE(1, nv) TILE(2, nv) TILE(3, nv) TILE(4, nv) TILE(5, nv) TILE(6, nv)
#define TILE_ROW(nv)                                                                               \
    {                                                                                              \
        tile_1_##nv, tile_2_##nv, tile_3_##nv, tile_4_##nv, tile_5_##nv, tile_6_##nv               \
    }
TILES(1)
TILES(2)
#if ISA_TILE_VEC == 4
TILES(3)
TILES(4)
#endif
static tile_fn *const tiles[ISA_TILE_VEC][TILE_M] = {
    TILE_ROW(1),
    TILE_ROW(2),
#if ISA_TILE_VEC == 4
    TILE_ROW(3),
    TILE_ROW(4),
#endif
};

#endif
