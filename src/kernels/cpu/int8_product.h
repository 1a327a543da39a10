/*
 * kernels/cpu/int8_product.h - what products of bytes have in common: panels of B (packed by those
 * that include this) times rows of A, zero points and bias, 32-bit sums or codes as result.
 *
 * Zero points come off at the end, by the sums of rows and columns:
 *
 *   sum (a - za)(b - zb) = sum ab - za sum b - zb (sum a - k za)
 */
#ifndef MAAS_KERNELS_CPU_INT8_PRODUCT_H
#define MAAS_KERNELS_CPU_INT8_PRODUCT_H

#include "kernels/cpu/int8_tile.h"

typedef struct product {
    const maas_tensor *a, *b, *a_zero, *b_zero;          /* zeros may be NULL */
    const maas_tensor *a_scale, *b_scale, *scale, *zero; /* QLinearMatMul: scale and zero of Y */
    const maas_tensor *bias;                             /* of rows, i32; may be NULL */
    const int32_t *row_sums;                             /* of A; NULL: counted where needed */
    int64_t a_mats;                                      /* matrices of A that take turns */
    int64_t batch, m, k, n;                              /* batch: matrices of B */
    bool quad;                                           /* groups of four bytes */
    bool amx;                                            /* and 64 of them are a tile's row */
} product;

static bool is_byte(const maas_tensor *t)
{
    return t->dtype == MAAS_U8 || t->dtype == MAAS_I8;
}

/* ---- panels ---- */

static int64_t groups_of(const product *p)
{
    return p->amx ? (p->k + 63) / 64 * 16 : p->quad ? (p->k + 3) / 4 : (p->k + 1) / 2;
}

static int64_t panels_of(const product *p)
{
    return (p->n + PANEL - 1) / PANEL;
}

static int64_t panel_bytes(const product *p)
{
    return groups_of(p) * PANEL * WORD;
}

static int number(const maas_tensor *t, int64_t i)
{
    return t->dtype == MAAS_I8 ? ((const int8_t *)t->data)[i] : ((const uint8_t *)t->data)[i];
}

/* ---- zero points, scales, storing ---- */

/* One for all, one for each, or those of a matrix again and again: divisions are rare. */
static int64_t index_of(const maas_tensor *t, int64_t i)
{
    const int64_t n = maas_n_elems(t);
    return i < n ? i : n == 1 ? 0 : i % n;
}

static int zero_at(const maas_tensor *t, int64_t i)
{
    return t ? number(t, index_of(t, i)) : 0;
}

static float scale_at(const maas_tensor *t, int64_t i)
{
    return ((const float *)t->data)[index_of(t, i)];
}

/* What flipping the top bit added. */
static int a_shift(const product *p)
{
    return p->quad && p->a->dtype == A_FLIPPED ? A_SHIFT : 0;
}
static int b_shift(const product *p)
{
    return p->quad && p->b->dtype == MAAS_U8 ? -128 : 0;
}

typedef struct spot {
    int64_t panel, row, to, j0, w; /* of all matrices: panel, row of A, of Y; columns */
    const int32_t *column_sums;
    int32_t b_zero[PANEL];
    bool any_zero, one_zero; /* of b_zero: not 0; all the same */
    int a_shift;             /* of what was multiplied last */
    float by[PANEL];         /* QLinearMatMul: scales of A, at row `by_row`, and B over that of Y */
    int64_t by_row;
} spot;

static void place_of(const product *p, const int32_t *column_sums, int64_t panel, spot *at)
{
    const int64_t no = panel / panels_of(p);
    at->panel = panel;
    at->by_row = -1;
    at->j0 = panel % panels_of(p) * PANEL;
    at->w = p->n - at->j0 < PANEL ? p->n - at->j0 : PANEL;
    at->column_sums = column_sums;
    at->one_zero = !p->b_zero || maas_n_elems(p->b_zero) == 1;
    const int32_t first = zero_at(p->b_zero, 0) + b_shift(p);
    for (int64_t j = 0; j < PANEL; j++)
        at->b_zero[j] = first;
    at->any_zero = first != 0;
    for (int64_t j = 0; j < at->w && !at->one_zero; j++) {
        at->b_zero[j] = zero_at(p->b_zero, no * p->n + at->j0 + j) + b_shift(p);
        at->any_zero |= at->b_zero[j] != 0;
    }
}

static uint32_t sum_of_row(const product *p, int64_t row, int shift)
{
    const uint8_t *a = (const uint8_t *)p->a->data + row * p->k;
    uint32_t sum = p->row_sums ? (uint32_t)p->row_sums[row] : 0;
    if (!p->row_sums && p->a->dtype == MAAS_I8)
        for (int64_t k = 0; k < p->k; k++)
            sum += (uint32_t)(int8_t)a[k];
    else if (!p->row_sums)
        for (int64_t k = 0; k < p->k; k++)
            sum += a[k];
    return sum + (uint32_t)(shift * p->k);
}

static void scales_of(const product *p, spot *at)
{
    const int64_t column = at->panel / panels_of(p) * p->n + at->j0;
    const float sa = scale_at(p->a_scale, at->row), scale = ((const float *)p->scale->data)[0];
    if (at->by_row >= 0 && maas_n_elems(p->a_scale) == 1)
        return;
    at->by_row = at->row;
    const vf first = v_all(sa * ((const float *)p->b_scale->data)[0] / scale);
    for (int v = 0; v < VECS; v++)
        v_store(at->by + v * VW, first);
    for (int64_t j = 0; j < at->w && maas_n_elems(p->b_scale) > 1; j++)
        at->by[j] = sa * scale_at(p->b_scale, column + j) / scale;
}

/* What belongs to every column, and what to each, comes off the sums. */
INLINE vi less_zeros(const spot *at, const int32_t *sums, int v, int32_t za, int32_t rest,
                     int32_t all)
{
    vi s = w_load(sums + v * VW) + all;
    if (za)
        s -= za * w_load(at->column_sums + v * VW);
    if (rest)
        s -= rest * w_load(at->b_zero + v * VW);
    return s;
}

/* To bytes: rounding a number that was clamped first gives the same, since the ends are whole. */
INLINE void put_codes(uint8_t *y, vi sum, vf by, vf least, vf most, int32_t zero)
{
    typedef uint8_t bytes __attribute__((vector_size(VW)));
    const float magic = 12582912.0f;
    vf v = __builtin_convertvector(sum, vf) * by;
    v = v_min(v_max(v_pick(v == v, v, (vf){0}), least), most);
    const vi whole = __builtin_convertvector(v + magic - magic, vi) + zero;
    const bytes code = __builtin_convertvector(whole, bytes);
    memcpy(y, &code, sizeof code);
}

static void finish_codes(const product *p, spot *at, const int32_t *sums, int32_t za, int32_t rest,
                         int32_t all, uint8_t *y)
{
    const int zero = number(p->zero, 0), lo = p->zero->dtype == MAAS_I8 ? -128 : 0;
    const vf least = v_all((float)(lo - zero)), most = v_all((float)(lo + 255 - zero));
    uint8_t codes[PANEL];
    scales_of(p, at);
    for (int v = 0; v < VECS; v++)
        put_codes(codes + v * VW, less_zeros(at, sums, v, za, rest, all), v_load(at->by + v * VW),
                  least, most, zero);
    memcpy(y, codes, (size_t)at->w);
}

static void finish(const maas_call *c, const product *p, spot *at, int32_t *sums)
{
    const int64_t to = at->to * p->n + at->j0;
    const uint32_t za = (uint32_t)(zero_at(p->a_zero, at->row) + at->a_shift);
    uint32_t rest = 0, all = p->bias ? (uint32_t)((const int32_t *)p->bias->data)[at->row] : 0;
    if (at->any_zero)
        rest = sum_of_row(p, at->row, at->a_shift) - (uint32_t)p->k * za;
    if (at->one_zero) {
        all -= (uint32_t)at->b_zero[0] * rest;
        rest = 0;
    }
    if (p->scale) {
        finish_codes(p, at, sums, (int32_t)za, (int32_t)rest, (int32_t)all,
                     (uint8_t *)c->out[0].data + to);
        return;
    }
    for (int v = 0; v < VECS; v++)
        *(vi_any *)(sums + v * VW) = less_zeros(at, sums, v, (int32_t)za, (int32_t)rest,
                                                (int32_t)all);
    memcpy((int32_t *)c->out[0].data + to, sums, (size_t)at->w * sizeof *sums);
}

/* ---- rows of A times a panel ---- */

/* Four bytes are taken where they lie; a last group that is not full, from a copy. */
static void quad_sums(const product *p, const uint8_t *b, int64_t row, int rows, int32_t *sums)
{
    const uint8_t *a = (const uint8_t *)p->a->data + row * p->k;
    const uint32_t flip = p->a->dtype == A_FLIPPED ? 0x80808080u : 0;
    const int64_t whole = p->k / 4, left = p->k % 4;
    quad_tiles[rows - 1](whole, a, p->k, flip, b, sums, true);
    if (!left)
        return;
    uint8_t last[ROWS * WORD] = {0};
    for (int i = 0; i < rows; i++)
        memcpy(last + i * WORD, a + i * p->k + whole * 4, (size_t)left);
    quad_tiles[rows - 1](1, last, WORD, flip, b + whole * PANEL * WORD, sums, false);
}

static void pair_sums(const product *p, const uint8_t *b, int64_t row, int rows, int32_t *sums)
{
    int16_t wide[ROWS][BLOCK];
    for (int64_t k0 = 0; k0 < p->k; k0 += BLOCK) {
        const int64_t n = p->k - k0 < BLOCK ? p->k - k0 : BLOCK;
        for (int i = 0; i < rows; i++) {
            const uint8_t *a = (const uint8_t *)p->a->data + (row + i) * p->k + k0;
            if (p->a->dtype == MAAS_I8)
                for (int64_t k = 0; k < n; k++)
                    wide[i][k] = (int8_t)a[k];
            else
                for (int64_t k = 0; k < n; k++)
                    wide[i][k] = a[k];
            if (n % 2)
                wide[i][n] = 0;
        }
        pair_tiles[rows - 1]((n + 1) / 2, (const uint8_t *)wide, sizeof *wide, 0,
                             b + k0 / 2 * PANEL * WORD, sums, k0 == 0);
    }
}

/* As many rows as one way takes at once; gives how many. */
static int some_sums(const product *p, const uint8_t *b, spot *at, int rows, int32_t *sums)
{
#if defined(MAAS_ISA_AVX512)
    if (p->amx && rows >= HALF) {
        const int n = rows >= TALL ? TALL : HALF;
        tile_sums(p->k, (const uint8_t *)p->a->data + at->row * p->k, b, n, p->a->dtype == MAAS_I8,
                  sums);
        at->a_shift = 0; /* nothing was flipped */
        return n;
    }
#endif
    const int n = rows < ROWS ? rows : ROWS;
    (p->quad ? quad_sums : pair_sums)(p, b, at->row, n, sums);
    at->a_shift = a_shift(p);
    return n;
}

/* Rows `first` on of the panel at `data`. */
static void multiply_rows(const maas_call *c, const product *p, const uint8_t *data, spot *at,
                          int64_t first, int rows)
{
    const int64_t no = at->panel / panels_of(p);
    int32_t sums[TALL * PANEL];
    at->row = no % p->a_mats * p->m + first;
    at->to = no * p->m + first;
    while (rows > 0) {
        const int n = some_sums(p, data, at, rows, sums);
        for (int r = 0; r < n; r++, at->row++, at->to++)
            finish(c, p, at, sums + r * PANEL);
        rows -= n;
    }
}

#endif
