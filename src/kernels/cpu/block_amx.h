/*
 * kernels/cpu/block_amx.h - many rows of X with one tile of a packed matrix, by the tile registers
 * of AMX: 16 rows of X with 16 of W and 32 columns are one product, whose sums go to memory and are
 * scaled there. Included once, after block_tile.h.
 *
 * The tile of W becomes signed bytes once, in the room of the thread. Sums of bytes are exact and
 * floats are summed in the order of block_tile.h: the bits are the same. What has few rows goes by
 * block_tile.h, which reads the packed tile only once.
 */

#include "kernels/cpu/tiles.h"

enum {
    FEW_ROWS = 13, /* a group costs as if it were full, and W is unpacked: fewer go by vpdpbusd */
    STAGE = 4,     /* blocks of which the sums are made ahead */
    W_BLOCK = 16 * MAAS_BLOCK_COLS /* bytes of 32 columns of a tile of W     */
};

/* Registers: 0 and 1 are sums; 2 is X, 3 is W, of 32 columns; 4 and 5 of 16. */
TILES_TARGET INLINE void tiles_for_blocks(void)
{
    static const tile_config t = {
        .palette = 1, .row_bytes = {64, 64, 32, 64, 16, 64}, .rows = {16, 16, 16, 8, 16, 4}};
    _tile_loadconfig(&t);
}

/* A tile of W as signed bytes, [k / 32][8][64]. */
INLINE void unpack(const shape f, const maas_block_form *form, const uint8_t *p, int64_t k,
                   int8_t *w)
{
    const maas_block_form sizes = {.low = f.low, .high = f.high, .scales = f.scales};
    const size_t part = maas_block_part_bytes(&sizes), head = maas_block_head_bytes(&sizes);
    const vb zero = (vb){0} + form->zero;
    vb table = {0};
    if (f.values)
        table = table_of(form->values);
    for (int64_t b = 0; b < k / 32; b++, p += part, w += W_BLOCK) {
        if (b % 8 == 0)
            p += head;
        UNROLL for (int t = 0; t < 8; t++)
        {
            const vb c = codes(f, p, t);
            const vb v = f.values ? looked_up(table, c) : c - zero;
            memcpy(w + 64 * t, &v, sizeof v);
        }
    }
}

typedef struct block_sums {
    _Alignas(64) int32_t all[GROUP][16], more[GROUP][16]; /* more: of the second 16 columns */
} block_sums;

TILES_TARGET INLINE void multiply(const shape f, const int8_t *x, const int8_t *w, block_sums *s)
{
    if (!is_halved(f)) {
        _tile_zero(0);
        _tile_loadd(2, x, 32);
        _tile_loadd(3, w, 64);
        _tile_dpbssd(0, 2, 3);
        _tile_stored(0, s->all, 64);
        return;
    }
    _tile_zero(0);
    _tile_loadd(4, x, 32);
    _tile_loadd(5, w, 64);
    _tile_dpbssd(0, 4, 5);
    _tile_stored(0, s->all, 64);
    _tile_zero(1);
    _tile_loadd(4, x + 16, 32);
    _tile_loadd(5, w + W_BLOCK / 2, 64);
    _tile_dpbssd(1, 4, 5);
    _tile_stored(1, s->more, 64);
}

/* Codes with a zero point in their middle, of six bits at most: 16 * 32 * 127 * 128 * 2 < 2^24, so
 * that floats hold the sum of both halves. */
INLINE bool is_exact_in_floats(const shape f)
{
    return !f.values && f.top <= 63;
}

INLINE vf total_of(const shape f, const block_sums *s, const int r, vi s0, vi s1)
{
    const vi all = *(const vi_any *)s->all[r];
    if (!is_halved(f))
        return floats(all);
    const vi more = *(const vi_any *)s->more[r];
    if (is_exact_in_floats(f))
        return v_fma(floats(more), floats(s1), floats(all) * floats(s0));
    return floats(all * s0 + more * s1);
}

/* y += what a block adds. s: the block's scales. */
INLINE void scale(const shape f, const block_sums *sums, const uint8_t *s, const heads *h,
                  const x_rows *x, vf y[GROUP])
{
    const vf d = scales_of(f, s, 0, h->d);
    const vi s0 = f.scales == MAAS_BLOCK_K2 ? unsigned_bytes(s) : signed_bytes(s);
    const vi s1 = f.scales == MAAS_BLOCK_K2   ? unsigned_bytes(s + 16)
                  : f.scales == MAAS_BLOCK_K6 ? signed_bytes(s + 16)
                                              : s0;
    vf m = {0};
    if (f.scales == MAAS_BLOCK_DM)
        m = halves(s + 32);
    if (f.scales == MAAS_BLOCK_K4)
        m = -(h->min * floats(unsigned_bytes(s + 16)));
    _Pragma("GCC unroll 16") for (int r = 0; r < GROUP; r++)
    {
        const vf xd = v_all(x->d[r]);
        y[r] = v_fma(total_of(f, sums, r, s0, s1), d * xd, y[r]);
        if (f.scales == MAAS_BLOCK_DM || f.scales == MAAS_BLOCK_K4)
            y[r] = v_fma(m, v_all(x->sum[r]), y[r]);
        if (f.scales == MAAS_BLOCK_K2)
            y[r] = v_fma(floats(unsigned_bytes(s + 32) * x->half[2 * r] +
                                unsigned_bytes(s + 48) * x->half[2 * r + 1]),
                         -(h->min * xd), y[r]);
    }
}

/* The products of blocks from `b` on, a stage of them at most. */
TILES_TARGET INLINE void multiply_stage(const shape f, const int8_t *x, int64_t x_block,
                                        const int8_t *w, int64_t b, int64_t n, block_sums s[STAGE])
{
    const int64_t end = b + STAGE < n ? b + STAGE : n;
    for (; b < end; b++, s++)
        multiply(f, x + b * x_block, w + b * W_BLOCK, s);
}

/* A group of X. What tiles have stored cannot be read at once: sums of one stage are made while
 * those of the one before are scaled. */
TILES_TARGET INLINE void group(const shape f, const maas_block_form *form, const uint8_t *p,
                               const int8_t *w, x_rows x, int64_t k, const target *to)
{
    const maas_block_form sizes = {.low = f.low, .high = f.high, .scales = f.scales};
    const size_t part = maas_block_part_bytes(&sizes), head = maas_block_head_bytes(&sizes);
    const int64_t n = k / 32, x_block = 32 * x.step;
    const int8_t *code = x.code;
    block_sums sums[2][STAGE];
    vf y[GROUP];
    heads h = {{0}, {0}};
    const vf bias = !to->bias ? (vf){0} : v_load_part(to->bias, to->n, 0);
    _Pragma("GCC unroll 16") for (int r = 0; r < GROUP; r++) y[r] = bias;
    multiply_stage(f, code, x_block, w, 0, n, sums[0]);
    for (int64_t b = 0; b < n; b++) {
        if (b % STAGE == 0)
            multiply_stage(f, code, x_block, w, b + STAGE, n, sums[(b / STAGE + 1) % 2]);
        if (head && b % 8 == 0) {
            h.d = halves(p) * form->unit;
            h.min = head == 64 ? halves(p + 32) : h.d;
            p += head;
        }
        scale(f, &sums[b / STAGE % 2][b % STAGE], p + 64 * (f.low + f.high), &h, &x, y);
        p += part;
        next_block(&x);
    }
    _Pragma("GCC unroll 16") for (int r = 0; r < GROUP; r++)
    {
        if (r < x.step)
            v_store_part(to->y + r * to->row, y[r], to->n);
    }
}

TILES_TARGET INLINE void all_groups(const shape f, const maas_block_form *form, const uint8_t *p,
                                    const bytes *b, target to)
{
    unpack(f, form, p, b->k, b->room);
    tiles_for_blocks();
    for (int64_t r = 0; r < b->rows; r += GROUP, to.y += GROUP * to.row)
        group(f, form, p, b->room, x_rows_at(b, r), b->k, &to);
    tiles_off();
}

#define BLOCK_SHAPE(name, low, high, values, top, scales)                                          \
    TILES_TARGET static void name##_tiles(const maas_block_form *form, const uint8_t *p,           \
                                          const bytes *b, target to)                               \
    {                                                                                              \
        if (b->rows < FEW_ROWS)                                                                    \
            name##_quads(form, p, b, to);                                                          \
        else                                                                                       \
            all_groups((shape){low, high, values, top, scales}, form, p, b, to);                   \
    }
#include "kernels/cpu/block_shapes.def"
#undef BLOCK_SHAPE
