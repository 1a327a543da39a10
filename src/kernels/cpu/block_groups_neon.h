/*
 * kernels/cpu/block_groups_neon.h - sums of four groups of columns by NEON: for each way of
 * block_tile.h, which includes it. Weights are signed bytes: codes of seven bits at most are, with
 * their zero point taken off before.
 *
 *   WAY_LANES   sdot with a lane of X as a function of (sum, w, x, lane); without it products are
 *               summed in 16 bits, as many as fit
 */

#ifndef MAAS_KERNELS_CPU_BLOCK_GROUPS_NEON_H
#define MAAS_KERNELS_CPU_BLOCK_GROUPS_NEON_H

/* Columns 4t .. 4t + 3 of VW rows of W. */
INLINE vb signed_codes(const shape f, const uint8_t *p, vb table, const int t)
{
    const vb w = codes(f, p, t);
    return f.values ? looked_up(table, w) : is_signed(f) ? w ^ 128 : w;
}

#endif

/* sum[r][v] (VW rows of W) of four groups of 4 columns, from group `from` on. */
WAY_FLAGS INLINE void WAY(four_groups)(const shape f, const int n, const int vecs, const uint8_t *p,
                                       vb table, const x_rows *x, const int from,
                                       vi sum[MOST_ROWS][TILE_VECS])
{
    UNROLL for (int v = 0; v < vecs; v++)
    {
        int8x16_t w[4];
        UNROLL for (int t = 0; t < 4; t++)
        {
            w[t] = (int8x16_t)signed_codes(f, p + v * ISA_BYTES, table, from + t);
        }
        UNROLL for (int r = 0; r < n; r++)
        {
            const int8x16_t xv = vld1q_s8(x->code + r * 32 + 4 * from);
            int32x4_t s = (int32x4_t)sum[r][v];
#ifdef WAY_LANES
            s = WAY_LANES(s, w[0], xv, 0);
            s = WAY_LANES(s, w[1], xv, 1);
            s = WAY_LANES(s, w[2], xv, 2);
            s = WAY_LANES(s, w[3], xv, 3);
#else
            int16x8_t low = {0}, high = {0};
            const int most = is_signed(f) ? 1 : slack(f);
            UNROLL for (int t = 0; t < 4; t++)
            {
                const int8x16_t four = (int8x16_t)vdupq_n_s32(((int32x4_t)xv)[t]);
                low = vmlal_s8(low, vget_low_s8(w[t]), vget_low_s8(four));
                high = vmlal_high_s8(high, w[t], four);
                if ((t + 1) % most == 0 || t == 3) {
                    s = vpadalq_s16(s, vpaddq_s16(low, high));
                    low = high = (int16x8_t){0};
                }
            }
#endif
            sum[r][v] = (vi)s;
        }
    }
}
#undef WAY_LANES
