/*
 * kernels/cpu/block_tile.h - all rows of X with one tile of a packed matrix, by one way to multiply
 * bytes. Included once for each way, after block_bytes.h and with
 *
 *   WAY(name)   names of this way
 *   WAY_FLAGS   attributes of functions that use its instructions
 *   WAY_QUADS   vpdpbusd as a function of (sum, w, x); without it products are summed by pairs in
 *               16 bits (vpmaddubsw), which must not saturate
 *   WAY_LANES   NEON: the same with sdot (block_groups_neon.h)
 *
 * and takes these names back. Sums of bytes are exact and floats are summed in one order: every
 * way, every set and any number of rows give the same bits.
 */

#ifndef MAAS_KERNELS_CPU_BLOCK_TILE_H
#define MAAS_KERNELS_CPU_BLOCK_TILE_H

/* Sums of pairs need weights as signed numbers when unsigned ones are too large for 16 bits: 255 *
 * 128 * 2. Magnitudes go up to 128 and X to 127: 128 * 127 * 2 = 32512. */
INLINE bool is_signed(const shape f)
{
    return f.top > 127;
}
/* How many sums of pairs of unsigned weights with bytes fit 16 bits, four at most. */
INLINE int slack(const shape f)
{
    const int n = 32767 / (2 * 128 * f.top);
    return n < 4 ? n : 4;
}

typedef struct heads { /* scales of 256 columns */
    vf d, min;
} heads;

/* d = 2^(e - 128), of which the smallest two are subnormal. */
INLINE vf powers(vi e)
{
    const vi small = e < 2;
    return (vf)((small & (0x00200000 + (e & 1) * 0x00200000)) | (~small & ((e - 1) << 23)));
}

INLINE vf scales_of(const shape f, const uint8_t *s, const int64_t lane, vf head)
{
    switch (f.scales) {
    case MAAS_BLOCK_K4:
        return head * floats(unsigned_bytes(s + lane));
    case MAAS_BLOCK_K2:
    case MAAS_BLOCK_K6:
        return head;
    case MAAS_BLOCK_E8:
        return powers(unsigned_bytes(s + lane));
    default:
        return halves(s + 2 * lane);
    }
}

INLINE bool is_halved(const shape f) /* scales of 16 columns each */
{
    return f.scales == MAAS_BLOCK_K6 || f.scales == MAAS_BLOCK_K2;
}

#endif

#if defined(MAAS_ISA_NEON)
#include "kernels/cpu/block_groups_neon.h"
#else
/* sum[r][v] (VW rows of W) of four groups of 4 columns, from group `from` on. */
WAY_FLAGS INLINE void WAY(four_groups)(const shape f, const int n, const int vecs, const uint8_t *p,
                                       vb table, const x_rows *x, const int from,
                                       vi sum[MOST_ROWS][TILE_VECS])
{
#ifndef WAY_QUADS
    vh two[MOST_ROWS][TILE_VECS];
#endif
    UNROLL for (int t = from; t < from + 4; t++)
    {
        UNROLL for (int v = 0; v < vecs; v++)
        {
            vb w = codes(f, p + v * ISA_BYTES, t);
            if (f.values)
                w = looked_up(table, w);
#ifndef WAY_QUADS
            if (is_signed(f) && !f.values)
                w ^= 128;
            const vb size = is_signed(f) ? magnitude(w) : w;
            const int within = is_signed(f) ? 0 : (t - from) % slack(f);
            const bool is_last = is_signed(f) || within == slack(f) - 1;
#endif
            UNROLL for (int r = 0; r < n; r++)
            {
                int32_t four;
                memcpy(&four, x->code + r * 32 + 4 * t, sizeof four);
                const vb xv = (vb)(four - (vi){0});
#ifdef WAY_QUADS
                sum[r][v] = WAY_QUADS(sum[r][v], w, xv);
#else
                const vh now = pairs(size, is_signed(f) ? with_sign(xv, w) : xv);
                two[r][v] = within ? two[r][v] + now : now;
                if (is_last)
                    sum[r][v] += wide(two[r][v]);
#endif
            }
        }
    }
}
#endif

/* What a zero point takes away, known before. */
INLINE vi WAY(start_at)(const shape f, int zero, int32_t sum)
{
#ifndef WAY_QUADS
    if (is_signed(f))
        return (vi){0};
#endif
    return -zero * sum - (vi){0};
}

WAY_FLAGS INLINE void WAY(one_part)(const shape f, const int n, const int vecs, int zero,
                                    const uint8_t *p, vb table, int64_t lane, const heads *h,
                                    const x_rows *x, vf y[MOST_ROWS][TILE_VECS])
{
    const uint8_t *s = p + 64 * (f.low + f.high);
    vi sum[MOST_ROWS][TILE_VECS], more[MOST_ROWS][TILE_VECS];
    UNROLL for (int r = 0; r < n; r++)
    {
        const int32_t *half = x->half + 2 * r;
        UNROLL for (int v = 0; v < vecs; v++)
        {
            sum[r][v] = WAY(start_at)(f, zero, is_halved(f) ? half[0] : half[0] + half[1]);
            more[r][v] = WAY(start_at)(f, zero, half[1]);
        }
    }
    WAY(four_groups)(f, n, vecs, p + 4 * lane, table, x, 0, sum);
    WAY(four_groups)(f, n, vecs, p + 4 * lane, table, x, 4, is_halved(f) ? more : sum);
    UNROLL for (int v = 0; v < vecs; v++)
    {
        const int64_t at = lane + v * VW;
        const vf d = scales_of(f, s, at, h[v].d);
        const vi s0 = f.scales == MAAS_BLOCK_K2 ? unsigned_bytes(s + at) : signed_bytes(s + at);
        const vi s1 = f.scales == MAAS_BLOCK_K2   ? unsigned_bytes(s + 16 + at)
                      : f.scales == MAAS_BLOCK_K6 ? signed_bytes(s + 16 + at)
                                                  : s0;
        UNROLL for (int r = 0; r < n; r++)
        {
            const int32_t *half = x->half + 2 * r;
            const vf xd = v_all(x->d[r]), xs = v_all(x->sum[r]);
            const vi total = is_halved(f) ? sum[r][v] * s0 + more[r][v] * s1 : sum[r][v];
            y[r][v] = v_fma(floats(total), d * xd, y[r][v]);
            if (f.scales == MAAS_BLOCK_DM)
                y[r][v] = v_fma(halves(s + 32 + 2 * at), xs, y[r][v]);
            if (f.scales == MAAS_BLOCK_K4)
                y[r][v] = v_fma(-(h[v].min * floats(unsigned_bytes(s + 16 + at))), xs, y[r][v]);
            if (f.scales == MAAS_BLOCK_K2)
                y[r][v] = v_fma(floats(unsigned_bytes(s + 32 + at) * half[0] +
                                       unsigned_bytes(s + 48 + at) * half[1]),
                                -(h[v].min * xd), y[r][v]);
        }
    }
}

/* n rows of X with `vecs` vectors of the tile's rows, from row `lane` on. */
WAY_FLAGS INLINE void WAY(tile)(const shape f, const int n, const int vecs,
                                const maas_block_form *form, const uint8_t *p, int64_t lane,
                                x_rows x, int64_t k, const target *to)
{
    vf y[MOST_ROWS][TILE_VECS];
    heads h[TILE_VECS] = {{{0}, {0}}};
    vb table = {0};
    if (f.values)
        table = table_of(form->values);
#ifndef WAY_QUADS
    if (!is_signed(f))
#endif
        table += form->zero;
    UNROLL for (int v = 0; v < vecs; v++)
    {
        const int64_t at = lane + v * VW, left = to->n - at;
        const vf bias = !to->bias || left <= 0 ? (vf){0}
                        : left >= VW           ? v_load(to->bias + at)
                                               : v_load_part(to->bias + at, left, 0);
        UNROLL for (int r = 0; r < n; r++)
        {
            y[r][v] = bias;
        }
    }
    const maas_block_form sizes = {.low = f.low, .high = f.high, .scales = f.scales};
    const size_t part = maas_block_part_bytes(&sizes), head = maas_block_head_bytes(&sizes);
    for (int64_t b = 0; b < k / 32; b++) {
        if (head && b % 8 == 0) {
            UNROLL for (int v = 0; v < vecs; v++)
            {
                h[v].d = halves(p + 2 * (lane + v * VW)) * form->unit;
                h[v].min = head == 64 ? halves(p + 32 + 2 * (lane + v * VW)) : h[v].d;
            }
            p += head;
        }
        __builtin_prefetch(p + 2048);
        WAY(one_part)(f, n, vecs, form->zero, p, table, lane, h, &x, y);
        p += part;
        next_block(&x);
    }
    UNROLL for (int v = 0; v < vecs; v++)
    {
        const int64_t at = lane + v * VW, left = to->n - at;
        UNROLL for (int r = 0; r < n; r++)
        {
            if (left >= VW)
                v_store(to->y + r * to->row + at, y[r][v]);
            else if (left > 0)
                v_store_part(to->y + r * to->row + at, y[r][v], left);
        }
    }
}

/* As many rows of X at a time as registers hold, then what is left. Where a tile is more than a
 * vector wide, many rows take its vectors in turn: they come from the nearest cache again. */
WAY_FLAGS INLINE void WAY(all_rows)(const shape f, const maas_block_form *form, const uint8_t *p,
                                    const bytes *b, target to)
{
    for (int64_t r = 0; r < b->rows;) {
        const x_rows x = x_rows_at(b, r);
        const int64_t left = b->rows - r;
        const int n = left >= MOST_ROWS ? MOST_ROWS : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        if (n == MOST_ROWS)
            for (int64_t lane = 0; lane < MAAS_BLOCK_TILE; lane += VW)
                WAY(tile)(f, MOST_ROWS, 1, form, p, lane, x, b->k, &to);
        else if (n == 4 && TILE_VECS > 2)
            for (int64_t lane = 0; lane < MAAS_BLOCK_TILE; lane += VW)
                WAY(tile)(f, 4, 1, form, p, lane, x, b->k, &to);
        else if (n == 4)
            WAY(tile)(f, 4, TILE_VECS, form, p, 0, x, b->k, &to);
        else if (n == 2)
            WAY(tile)(f, 2, TILE_VECS, form, p, 0, x, b->k, &to);
        else
            WAY(tile)(f, 1, TILE_VECS, form, p, 0, x, b->k, &to);
        to.y += n * to.row;
        r += n;
    }
}

#define BLOCK_SHAPE(name, low, high, values, top, scales)                                          \
    WAY_FLAGS static void WAY(name)(const maas_block_form *form, const uint8_t *p, const bytes *b, \
                                    target to)                                                     \
    {                                                                                              \
        WAY(all_rows)((shape){low, high, values, top, scales}, form, p, b, to);                    \
    }
#include "kernels/cpu/block_shapes.def"
#undef BLOCK_SHAPE

#undef WAY
#undef WAY_FLAGS
#undef WAY_QUADS
