/*
 * kernels/cpu/block_i8mm.h - pairs of rows of X with one tile of a packed matrix, by smmla: eight
 * columns of two rows of X with those of two rows of W are four sums. Included once, after
 * block_tile.h.
 *
 * Four rows of W at a time; sums, and the floats they become, stay as the instruction makes them,
 * {x0 w0, x0 w1, x1 w0, x1 w1} and the same of w2 and w3, until they are stored. They are made in
 * the order of block_tile.h: the bits are the same. A row that is left alone goes by sdot.
 */

#define I8MM INLINE __attribute__((target("arch=armv8.2-a+dotprod+i8mm")))

enum { MOST_PAIRS = 4 };

/* {v0, v1, v0, v1}; or of v2, v3. */
INLINE vf twice(vf v, const int half)
{
    const float64x2_t d = (float64x2_t)v;
    return (vf)(half ? vzip2q_f64(d, d) : vzip1q_f64(d, d));
}
INLINE vi twice_i(vi v, const int half)
{
    return (vi)twice((vf)v, half);
}

/* {a, a, b, b} */
INLINE vf each_f(float a, float b)
{
    return (vf)vcombine_f32(vdup_n_f32(a), vdup_n_f32(b));
}
INLINE vi each_i(int32_t a, int32_t b)
{
    return (vi)vcombine_s32(vdup_n_s32(a), vdup_n_s32(b));
}

typedef int32x4_t pair_sums[MOST_PAIRS][2];

/* 16 columns, from group `from` on. */
I8MM void pair_groups(const shape f, const int pairs, const uint8_t *p, vb table, const x_rows *x,
                      const int from, pair_sums sum)
{
    UNROLL for (int t = from; t < from + 4; t += 2)
    {
        const int32x4_t w0 = (int32x4_t)signed_codes(f, p, table, t);
        const int32x4_t w1 = (int32x4_t)signed_codes(f, p, table, t + 1);
        const int8x16_t low = (int8x16_t)vzip1q_s32(w0, w1), high = (int8x16_t)vzip2q_s32(w0, w1);
        UNROLL for (int r = 0; r < pairs; r++)
        {
            const int8_t *code = x->code + 64 * r + 4 * t;
            const int8x16_t xv = vcombine_s8(vld1_s8(code), vld1_s8(code + 32));
            sum[r][0] = vmmlaq_s32(sum[r][0], xv, low);
            sum[r][1] = vmmlaq_s32(sum[r][1], xv, high);
        }
    }
}

/* y += what a block adds; of rows of W: one half of four. s: the block's scales, from these rows
 * on. */
INLINE void pair_scale(const shape f, const int pairs, const int half, const uint8_t *s,
                       const heads *h, const x_rows *x, const pair_sums sum, const pair_sums more,
                       vf y[MOST_PAIRS][2])
{
    const bool is_k2 = f.scales == MAAS_BLOCK_K2;
    const vf d = twice(scales_of(f, s, 0, h->d), half), min = twice(h->min, half);
    vi s0 = {0}, s1 = {0};
    vf m = {0};
    if (is_halved(f)) {
        s0 = twice_i(is_k2 ? unsigned_bytes(s) : signed_bytes(s), half);
        s1 = twice_i(is_k2 ? unsigned_bytes(s + 16) : signed_bytes(s + 16), half);
    }
    UNROLL for (int r = 0; r < pairs; r++)
    {
        const int32_t *sums = x->half + 4 * r;
        const vf xd = each_f(x->d[2 * r], x->d[2 * r + 1]);
        const vf xs = each_f(x->sum[2 * r], x->sum[2 * r + 1]);
        const vi all = (vi)sum[r][half];
        y[r][half] = v_fma(floats(is_halved(f) ? all * s0 + (vi)more[r][half] * s1 : all), d * xd,
                           y[r][half]);
        if (f.scales == MAAS_BLOCK_DM)
            m = twice(halves(s + 32), half);
        if (f.scales == MAAS_BLOCK_K4)
            m = -(min * floats(twice_i(unsigned_bytes(s + 16), half)));
        if (f.scales == MAAS_BLOCK_DM || f.scales == MAAS_BLOCK_K4)
            y[r][half] = v_fma(m, xs, y[r][half]);
        if (is_k2)
            y[r][half] = v_fma(
                floats(twice_i(unsigned_bytes(s + 32), half) * each_i(sums[0], sums[2]) +
                       twice_i(unsigned_bytes(s + 48), half) * each_i(sums[1], sums[3])),
                -(min * xd), y[r][half]);
    }
}

INLINE void store_pair(const target *to, int64_t lane, float *y, const vf pair[2])
{
    const float64x2_t low = (float64x2_t)pair[0], high = (float64x2_t)pair[1];
    const vf rows[2] = {(vf)vzip1q_f64(low, high), (vf)vzip2q_f64(low, high)};
    const int64_t left = to->n - lane;
    for (int i = 0; i < 2 && left > 0; i++)
        if (left >= VW)
            v_store(y + i * to->row, rows[i]);
        else
            v_store_part(y + i * to->row, rows[i], left);
}

/* Rows of X with four of W, from row `lane` of the tile on. */
I8MM void pair_tile(const shape f, const int pairs, const maas_block_form *form, const uint8_t *p,
                    int64_t lane, x_rows x, int64_t k, const target *to)
{
    const maas_block_form sizes = {.low = f.low, .high = f.high, .scales = f.scales};
    const size_t part = maas_block_part_bytes(&sizes), head = maas_block_head_bytes(&sizes);
    const size_t wide = f.scales == MAAS_BLOCK_D || f.scales == MAAS_BLOCK_DM ? 2 : 1;
    const int64_t left = to->n - lane;
    const vf bias = !to->bias || left <= 0 ? (vf){0}
                    : left >= VW           ? v_load(to->bias + lane)
                                           : v_load_part(to->bias + lane, left, 0);
    const int zero = is_signed(f) ? 0 : -form->zero;
    heads h = {{0}, {0}};
    vb table = {0};
    vf y[MOST_PAIRS][2];
    if (f.values)
        table = table_of(form->values) + (uint8_t)(is_signed(f) ? 0 : form->zero);
    UNROLL for (int r = 0; r < pairs; r++)
    {
        y[r][0] = twice(bias, 0);
        y[r][1] = twice(bias, 1);
    }
    for (int64_t b = 0; b < k / 32; b++) {
        pair_sums sum, more;
        if (head && b % 8 == 0) {
            h.d = halves(p + 2 * lane) * form->unit;
            h.min = head == 64 ? halves(p + 32 + 2 * lane) : h.d;
            p += head;
        }
        UNROLL for (int r = 0; r < pairs; r++)
        {
            const int32_t *s = x.half + 4 * r;
            const int32_t a = is_halved(f) ? s[0] : s[0] + s[1],
                          c = is_halved(f) ? s[2] : s[2] + s[3];
            sum[r][0] = sum[r][1] = (int32x4_t)each_i(zero * a, zero * c);
            more[r][0] = more[r][1] = (int32x4_t)each_i(zero * s[1], zero * s[3]);
        }
        __builtin_prefetch(p + 2048);
        pair_groups(f, pairs, p + 4 * lane, table, &x, 0, sum);
        pair_groups(f, pairs, p + 4 * lane, table, &x, 4, is_halved(f) ? more : sum);
        const uint8_t *scales = p + 64 * (f.low + f.high) + (size_t)lane * wide;
        pair_scale(f, pairs, 0, scales, &h, &x, sum, more, y);
        pair_scale(f, pairs, 1, scales, &h, &x, sum, more, y);
        p += part;
        next_block(&x);
    }
    UNROLL for (int r = 0; r < pairs; r++)
    {
        store_pair(to, lane, to->y + 2 * r * to->row + lane, y[r]);
    }
}

I8MM void all_pairs(const shape f, const maas_block_form *form, const uint8_t *p, const bytes *b,
                    target to)
{
    for (int64_t r = 0; r < b->rows;) {
        const x_rows x = x_rows_at(b, r);
        const int64_t left = b->rows - r;
        const int n = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        if (n == 1)
            tile_quads(f, 1, TILE_VECS, form, p, 0, x, b->k, &to);
        for (int64_t lane = 0; n > 1 && lane < MAAS_BLOCK_TILE; lane += VW)
            if (n == 8)
                pair_tile(f, 4, form, p, lane, x, b->k, &to);
            else if (n == 4)
                pair_tile(f, 2, form, p, lane, x, b->k, &to);
            else
                pair_tile(f, 1, form, p, lane, x, b->k, &to);
        to.y += n * to.row;
        r += n;
    }
}

#define BLOCK_SHAPE(name, low, high, values, top, scales)                                          \
    __attribute__((target("arch=armv8.2-a+dotprod+i8mm"))) static void name##_tiles(               \
        const maas_block_form *form, const uint8_t *p, const bytes *b, target to)                  \
    {                                                                                              \
        all_pairs((shape){low, high, values, top, scales}, form, p, b, to);                        \
    }
#include "kernels/cpu/block_shapes.def"
#undef BLOCK_SHAPE
