/*
 * MatMulInteger and QLinearMatMul: products of bytes, summed exactly in 32 bits.
 *
 * B is packed in panels of columns, groups of rows next to each other, 4 bytes for each column:
 * four signed bytes where the processor multiplies bytes (VNNI: unsigned A, signed B; the other
 * kind is turned by flipping its top bit), else two 16-bit numbers. Zero points come off at the
 * end, by the sums of rows and columns:
 *
 *   sum (a - za)(b - zb) = sum ab - za sum b - zb (sum a - k za)
 */
#include "kernels/cpu/isa.h"

#if !defined(MAAS_ISA_AVX512) && !defined(MAAS_ISA_AVX2) && defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/mem.h"
#include "base/ban.h"

extern const maas_op maas_op_MatMulInteger, maas_op_QLinearMatMul;

enum { TALL = 32, HALF = TALL / 2 }; /* rows of a block where there are tile registers */
enum { ROWS = 6, VECS = ISA_TILE_VEC, PANEL = ISA_TILE_VEC * VW, BLOCK = 512 };
enum { WORD = 4 }; /* bytes of a group, of one row or column */

/* ---- one product: who is who ---- */

typedef struct product {
    const maas_tensor *a, *b, *a_zero, *b_zero;          /* zeros may be NULL */
    const maas_tensor *a_scale, *b_scale, *scale, *zero; /* QLinearMatMul: scale and zero of Y */
    int64_t batch, m, k, n;                              /* batch: matrices of B */
    bool quad;                                           /* groups of four bytes */
    bool amx;                                            /* and 64 of them are a tile's row */
} product;

static const maas_tensor *input(const maas_call *c, int i)
{
    return i < c->n_in && c->in[i].dtype != MAAS_DT_NONE ? &c->in[i] : NULL;
}

static bool is_byte(const maas_tensor *t)
{
    return t->dtype == MAAS_U8 || t->dtype == MAAS_I8;
}

/* Stacks of matrices go together when they are as many; one B serves all rows of A. */
static bool sizes_of(product *p)
{
    const maas_tensor *a = p->a, *b = p->b;
    if (a->rank < 1 || b->rank < 2 || (b->rank > 2 && a->rank != b->rank))
        return false;
    p->k = a->dims[a->rank - 1];
    p->n = b->dims[b->rank - 1];
    p->batch = maas_dims_product(b->dims, 0, b->rank - 2);
    for (int i = 0; b->rank > 2 && i < b->rank - 2; i++)
        if (a->dims[i] != b->dims[i])
            return false;
    p->m = maas_dims_product(a->dims, b->rank > 2 ? b->rank - 2 : 0, a->rank - 1);
    return p->batch > 0 && p->m > 0 && p->n > 0 && p->k > 0 && p->k < 1 << 24;
}

static bool product_of(const maas_call *c, product *p)
{
    if (c->node->op == &maas_op_MatMulInteger)
        *p = (product){&c->in[0], &c->in[1], input(c, 2), input(c, 3), NULL, NULL, NULL,
                       NULL,      0,         0,           0,           0,    false};
    else
        *p = (product){&c->in[0], &c->in[3], &c->in[2], &c->in[5], &c->in[1], &c->in[4], &c->in[6],
                       &c->in[7], 0,         0,         0,         0,         false};
    return is_byte(p->a) && is_byte(p->b) && sizes_of(p);
}

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    product p;
    return product_of(c, &p) && (!p.scale || p.scale->dtype == MAAS_F32);
}

/* ---- tiles: sums [rows][PANEL] of `groups` words of each row ---- */

#define UNROLL _Pragma("GCC unroll 16")

INLINE vi w_load(const int32_t *p)
{
    return *(const vi_any *)p;
}

/* Two products of 16 bits, added, in each lane. */
INLINE vi dot_pairs(vi sum, vi a, vi b)
{
#if defined(MAAS_ISA_AVX512)
    return sum + (vi)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(MAAS_ISA_AVX2)
    return sum + (vi)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    return sum + (vi)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
    for (int i = 0; i < VW; i++)
        sum[i] += (int16_t)a[i] * (int16_t)b[i] + (a[i] >> 16) * (b[i] >> 16);
    return sum;
#endif
}

#if defined(MAAS_ISA_AVX512)
#define VNNI __attribute__((target("avx512vnni")))
VNNI INLINE vi dot_quads(vi sum, vi a, vi b)
{
    return (vi)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
}
#endif

typedef void tile_fn(int64_t groups, const uint8_t *a, int64_t a_row, uint32_t flip,
                     const uint8_t *b, int32_t *sums, bool first);

#define TILE_BODY(rows, dot)                                                                       \
    vi sum[ROWS][VECS];                                                                            \
    UNROLL for (int i = 0; i < rows; i++)                                                          \
    {                                                                                              \
        UNROLL for (int v = 0; v < VECS; v++)                                                      \
        {                                                                                          \
            sum[i][v] = first ? (vi){0} : w_load(sums + i * PANEL + v * VW);                       \
        }                                                                                          \
    }                                                                                              \
    for (int64_t g = 0; g < groups; g++, a += WORD, b += PANEL * WORD) {                           \
        vi bv[VECS];                                                                               \
        UNROLL for (int v = 0; v < VECS; v++)                                                      \
        {                                                                                          \
            bv[v] = w_load((const int32_t *)(const void *)(b + v * VW * WORD));                    \
        }                                                                                          \
        UNROLL for (int i = 0; i < rows; i++)                                                      \
        {                                                                                          \
            uint32_t word;                                                                         \
            memcpy(&word, a + i * a_row, WORD);                                                    \
            const vi av = (int32_t)(word ^ flip) - (vi){0};                                        \
            UNROLL for (int v = 0; v < VECS; v++)                                                  \
            {                                                                                      \
                sum[i][v] = dot(sum[i][v], av, bv[v]);                                             \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    UNROLL for (int i = 0; i < rows; i++)                                                          \
    {                                                                                              \
        UNROLL for (int v = 0; v < VECS; v++)                                                      \
        {                                                                                          \
            *(vi_any *)(sums + i * PANEL + v * VW) = sum[i][v];                                    \
        }                                                                                          \
    }
#define TILE(kind, rows, attribute)                                                                \
    attribute static void kind##_##rows(int64_t groups, const uint8_t *a, int64_t a_row,           \
                                        uint32_t flip, const uint8_t *b, int32_t *sums,            \
                                        bool first)                                                \
    {                                                                                              \
        TILE_BODY(rows, dot_##kind)                                                                \
    }
#define TILES(kind, attribute)                                                                     \
    TILE(kind, 1, attribute)                                                                       \
    TILE(kind, 2, attribute)                                                                       \
    TILE(kind, 3, attribute)                                                                       \
    TILE(kind, 4, attribute) TILE(kind, 5, attribute) TILE(kind, 6, attribute)
#define TILE_ROW(kind)                                                                             \
    {                                                                                              \
        kind##_1, kind##_2, kind##_3, kind##_4, kind##_5, kind##_6                                 \
    }
TILES(pairs, )
static tile_fn *const pair_tiles[ROWS] = TILE_ROW(pairs);
#if defined(MAAS_ISA_AVX512)
TILES(quads, VNNI)
static tile_fn *const quad_tiles[ROWS] = TILE_ROW(quads);
#else
#define quad_tiles pair_tiles /* never asked for */
#endif

/* ---- packing B ---- */

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

typedef struct packed {
    uint8_t *data; /* [batch][panels][groups][PANEL] words */
    int32_t *sums; /* [batch][panels][PANEL]: of columns, as packed */
} packed;

static size_t packed_bytes(const product *p)
{
    const int64_t panels = p->batch * panels_of(p);
    return (size_t)(panels * (panel_bytes(p) + PANEL * (int64_t)sizeof(int32_t)));
}

static packed packed_at(const product *p, void *memory)
{
    const int64_t panels = p->batch * panels_of(p);
    return (packed){memory, (int32_t *)(void *)((char *)memory + panels * panel_bytes(p))};
}

static int number(const maas_tensor *t, int64_t i)
{
    return t->dtype == MAAS_I8 ? ((const int8_t *)t->data)[i] : ((const uint8_t *)t->data)[i];
}

static void pack_panel(const product *p, const packed *to, int64_t at)
{
    const int64_t j0 = at % panels_of(p) * PANEL, w = p->n - j0 < PANEL ? p->n - j0 : PANEL;
    const int64_t from = at / panels_of(p) * p->k * p->n + j0;
    const int each = p->quad ? 4 : 2;
    const uint8_t flip = p->quad && p->b->dtype == MAAS_U8 ? 0x80 : 0;
    uint8_t *out = to->data + at * panel_bytes(p);
    int32_t *sums = to->sums + at * PANEL;
    memset(out, 0, (size_t)panel_bytes(p));
    memset(sums, 0, PANEL * sizeof *sums);
    for (int64_t k = 0; k < p->k; k++) {
        const uint8_t *row = (const uint8_t *)p->b->data + from + k * p->n;
        uint8_t *group = out + k / each * PANEL * WORD;
        if (p->quad)
            for (int64_t j = 0; j < w; j++) {
                const uint8_t v = row[j] ^ flip;
                group[j * WORD + k % 4] = v;
                sums[j] += (int8_t)v;
            }
        else
            for (int64_t j = 0; j < w; j++) {
                const int v = p->b->dtype == MAAS_I8 ? (int8_t)row[j] : row[j];
                const int16_t wide = (int16_t)v;
                memcpy(group + j * WORD + k % 2 * 2, &wide, sizeof wide);
                sums[j] += v;
            }
    }
}

/* ---- zero points, scales, storing ---- */

static int zero_at(const maas_tensor *t, int64_t i)
{
    return t ? number(t, i % maas_n_elems(t)) : 0;
}

static float scale_at(const maas_tensor *t, int64_t i)
{
    return ((const float *)t->data)[i % maas_n_elems(t)];
}

/* What flipping the top bit added. */
static int a_shift(const product *p)
{
    return p->quad && p->a->dtype == MAAS_I8 ? 128 : 0;
}
static int b_shift(const product *p)
{
    return p->quad && p->b->dtype == MAAS_U8 ? -128 : 0;
}

typedef struct place {
    int64_t panel, row, j0, w; /* of all matrices: panel and row; columns */
    const int32_t *column_sums;
    int32_t b_zero[PANEL];
    bool any_zero;   /* of b_zero */
    int a_shift;     /* of what was multiplied last */
    float by[PANEL]; /* QLinearMatMul: scales of A, at row `by_row`, and B over that of Y */
    int64_t by_row;
} place;

static void place_of(const product *p, const packed *b, int64_t panel, place *at)
{
    const int64_t no = panel / panels_of(p);
    at->panel = panel;
    at->by_row = -1;
    at->j0 = panel % panels_of(p) * PANEL;
    at->w = p->n - at->j0 < PANEL ? p->n - at->j0 : PANEL;
    at->column_sums = b->sums + panel * PANEL;
    at->any_zero = false;
    for (int64_t j = 0; j < at->w; j++) {
        at->b_zero[j] = zero_at(p->b_zero, no * p->n + at->j0 + j) + b_shift(p);
        at->any_zero |= at->b_zero[j] != 0;
    }
}

static uint32_t sum_of_row(const product *p, int64_t row, int shift)
{
    const uint8_t *a = (const uint8_t *)p->a->data + row * p->k;
    uint32_t sum = 0;
    if (p->a->dtype == MAAS_I8)
        for (int64_t k = 0; k < p->k; k++)
            sum += (uint32_t)(int8_t)a[k];
    else
        for (int64_t k = 0; k < p->k; k++)
            sum += a[k];
    return sum + (uint32_t)(shift * p->k);
}

static void take_zeros(const product *p, const place *at, int32_t *sums)
{
    const uint32_t za = (uint32_t)(zero_at(p->a_zero, at->row) + at->a_shift);
    const uint32_t rest = at->any_zero ? sum_of_row(p, at->row, at->a_shift) - (uint32_t)p->k * za
                                       : 0;
    for (int64_t j = 0; j < at->w; j++)
        sums[j] = (int32_t)((uint32_t)sums[j] - za * (uint32_t)at->column_sums[j] -
                            (uint32_t)at->b_zero[j] * rest);
}

static void scales_of(const product *p, place *at)
{
    const int64_t column = at->panel / panels_of(p) * p->n + at->j0;
    const float sa = scale_at(p->a_scale, at->row), scale = ((const float *)p->scale->data)[0];
    if (at->by_row >= 0 && maas_n_elems(p->a_scale) == 1)
        return;
    at->by_row = at->row;
    for (int64_t j = 0; j < at->w; j++)
        at->by[j] = sa * scale_at(p->b_scale, column + j) / scale;
}

/* To bytes: rounding a number that was clamped first gives the same, since the ends are whole. */
static void store_codes(const product *p, const place *at, const int32_t *sums, uint8_t *y)
{
    const float magic = 12582912.0f;
    const int zero = number(p->zero, 0), lo = p->zero->dtype == MAAS_I8 ? -128 : 0;
    const float least = (float)(lo - zero), most = (float)(lo + 255 - zero);
    for (int64_t j = 0; j < at->w; j++) {
        float v = (float)sums[j] * at->by[j];
        v = v == v ? v : 0;
        v = v > least ? v : least;
        v = v < most ? v : most;
        y[j] = (uint8_t)((int32_t)(v + magic - magic) + zero);
    }
}

static void finish(const maas_call *c, const product *p, place *at, int32_t *sums)
{
    const int64_t to = at->row * p->n + at->j0;
    take_zeros(p, at, sums);
    if (!p->scale) {
        memcpy((int32_t *)c->out[0].data + to, sums, (size_t)at->w * sizeof *sums);
        return;
    }
    scales_of(p, at);
    store_codes(p, at, sums, (uint8_t *)c->out[0].data + to);
}

/* ---- rows of A times a panel ---- */

/* Four bytes are taken where they lie; a last group that is not full, from a copy. */
static void quad_sums(const product *p, const uint8_t *b, int64_t row, int rows, int32_t *sums)
{
    const uint8_t *a = (const uint8_t *)p->a->data + row * p->k;
    const uint32_t flip = p->a->dtype == MAAS_I8 ? 0x80808080u : 0;
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

#if defined(MAAS_ISA_AVX512)
/* ---- tile registers: 16 rows of 64 bytes. A is read where it lies, signed or not. ---- */

typedef struct tile_config { /* as the processor reads it */
    uint8_t palette, start, zero[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_config;

#define TILES_TARGET __attribute__((target("amx-tile")))
TILES_TARGET static void tiles_on(void)
{
    tile_config t = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        t.row_bytes[i] = 64;
        t.rows[i] = 16;
    }
    _tile_loadconfig(&t);
}

TILES_TARGET static void tiles_off(void)
{
    _tile_release();
}

/* The last bytes of rows that end within a tile. */
static void copy_end(const product *p, const uint8_t *a, int rows, uint8_t *out)
{
    const int64_t whole = p->k / 64 * 64;
    memset(out, 0, (size_t)rows * 64);
    for (int i = 0; i < rows; i++)
        memcpy(out + i * 64, a + i * p->k + whole, (size_t)(p->k - whole));
}

#define DOT(c, a, b)                                                                               \
    do {                                                                                           \
        if (is_signed)                                                                             \
            _tile_dpbssd(c, a, b);                                                                 \
        else                                                                                       \
            _tile_dpbusd(c, a, b);                                                                 \
    } while (0)

/* 32 rows, half of a panel. */
INLINE void tall_half(const product *p, const uint8_t *a, const uint8_t *end, const uint8_t *b,
                      const bool is_signed, int32_t *sums)
{
    const int64_t steps = (p->k + 63) / 64, whole = p->k / 64, b_row = PANEL * WORD;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t s = 0; s < steps; s++, b += 16 * b_row) {
        const uint8_t *from = s < whole ? a + s * 64 : end;
        const int64_t row = s < whole ? p->k : 64;
        _tile_loadd(4, from, row);
        _tile_loadd(5, from + HALF * row, row);
        _tile_loadd(6, b, b_row);
        _tile_loadd(7, b + 64, b_row);
        DOT(0, 4, 6);
        DOT(1, 4, 7);
        DOT(2, 5, 6);
        DOT(3, 5, 7);
    }
    _tile_stored(0, sums, b_row);
    _tile_stored(1, sums + 16, b_row);
    _tile_stored(2, sums + HALF * PANEL, b_row);
    _tile_stored(3, sums + HALF * PANEL + 16, b_row);
}

/* 16 rows, a panel. */
INLINE void half_whole(const product *p, const uint8_t *a, const uint8_t *end, const uint8_t *b,
                       const bool is_signed, int32_t *sums)
{
    const int64_t steps = (p->k + 63) / 64, whole = p->k / 64, b_row = PANEL * WORD;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t s = 0; s < steps; s++, b += 16 * b_row) {
        _tile_loadd(4, s < whole ? a + s * 64 : end, s < whole ? p->k : 64);
        _tile_loadd(5, b, b_row);
        _tile_loadd(6, b + 64, b_row);
        _tile_loadd(7, b + 128, b_row);
        DOT(0, 4, 5);
        _tile_loadd(5, b + 192, b_row);
        DOT(1, 4, 6);
        DOT(2, 4, 7);
        DOT(3, 4, 5);
    }
    _tile_stored(0, sums, b_row);
    _tile_stored(1, sums + 16, b_row);
    _tile_stored(2, sums + 32, b_row);
    _tile_stored(3, sums + 48, b_row);
}

INLINE void tile_sums_of(const product *p, const uint8_t *b, int64_t row, int rows,
                         const bool is_signed, int32_t *sums)
{
    const uint8_t *a = (const uint8_t *)p->a->data + row * p->k;
    uint8_t end[TALL * 64];
    if (p->k % 64)
        copy_end(p, a, rows, end);
    if (rows == TALL) {
        tall_half(p, a, end, b, is_signed, sums);
        tall_half(p, a, end, b + PANEL / 2 * WORD, is_signed, sums + PANEL / 2);
    } else {
        half_whole(p, a, end, b, is_signed, sums);
    }
}

static void tile_sums(const product *p, const uint8_t *b, int64_t row, int rows, int32_t *sums)
{
    if (p->a->dtype == MAAS_I8)
        tile_sums_of(p, b, row, rows, true, sums);
    else
        tile_sums_of(p, b, row, rows, false, sums);
}
#endif

/* As many rows as one way takes at once; gives how many. */
static int some_sums(const product *p, const uint8_t *b, place *at, int rows, int32_t *sums)
{
#if defined(MAAS_ISA_AVX512)
    if (p->amx && rows >= HALF) {
        const int n = rows >= TALL ? TALL : HALF;
        tile_sums(p, b, at->row, n, sums);
        at->a_shift = 0; /* nothing was flipped */
        return n;
    }
#endif
    const int n = rows < ROWS ? rows : ROWS;
    (p->quad ? quad_sums : pair_sums)(p, b, at->row, n, sums);
    at->a_shift = a_shift(p);
    return n;
}

static void multiply(const maas_call *c, const product *p, const packed *b, int64_t from,
                     int64_t to)
{
    const int64_t each = p->amx ? TALL : ROWS, blocks = (p->m + each - 1) / each;
    place at = {.panel = -1};
    for (int64_t i = from; i < to; i++) {
        const int64_t panel = i / blocks, first = i % blocks * each;
        const uint8_t *data = b->data + panel * panel_bytes(p);
        int rows = (int)(p->m - first < each ? p->m - first : each);
        int32_t sums[TALL * PANEL];
        if (at.panel != panel)
            place_of(p, b, panel, &at);
        at.row = panel / panels_of(p) * p->m + first;
        while (rows > 0) {
            const int n = some_sums(p, data, &at, rows, sums);
            for (int r = 0; r < n; r++, at.row++)
                finish(c, p, &at, sums + r * PANEL);
            rows -= n;
        }
    }
}

/* ---- the row ---- */

typedef struct state {
    bool quad, amx;
    void *packed; /* of constant weights; NULL: each run packs, into scratch */
} state;

static void release(void *p)
{
    state *st = p;
    maas_free(st->packed);
    maas_free(st);
}

static maas_status prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    product p;
    state *st = maas_calloc(1, sizeof *st);
    if (!st)
        return maas_fail(err, MAAS_E_NOMEM, "preparing %s", c->node->op->name);
    product_of(c, &p);
#if defined(MAAS_ISA_AVX512)
    st->quad = p.quad = cpu->avx512_vnni;
    st->amx = p.amx = cpu->amx_int8;
#endif
    c->state = st;
    if (!p.b->data) {
        c->scratch_bytes = packed_bytes(&p);
        return MAAS_OK;
    }
    if (!(st->packed = maas_alloc(packed_bytes(&p)))) {
        maas_free(st);
        return maas_fail(err, MAAS_E_NOMEM, "packing the weights of %s", c->node->op->name);
    }
    const packed to = packed_at(&p, st->packed);
    for (int64_t i = 0; i < p.batch * panels_of(&p); i++)
        pack_panel(&p, &to, i);
    return MAAS_OK;
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const state *st = c->state;
    product p;
    int64_t from, to;
    product_of(c, &p);
    p.quad = st->quad;
    p.amx = st->amx;
    const packed b = packed_at(&p, st->packed ? st->packed : c->scratch);
    const int64_t each = p.amx ? TALL : ROWS;
    const int64_t panels = p.batch * panels_of(&p), blocks = (p.m + each - 1) / each;
    if (!st->packed) {
        maas_share(panels, 1, ithr, nthr, &from, &to);
        for (int64_t i = from; i < to; i++)
            pack_panel(&p, &b, i);
        maas_call_barrier();
    }
    maas_share(panels * blocks, 1, ithr, nthr, &from, &to);
#if defined(MAAS_ISA_AVX512)
    if (p.amx)
        tiles_on();
#endif
    multiply(c, &p, &b, from, to);
#if defined(MAAS_ISA_AVX512)
    if (p.amx)
        tiles_off();
#endif
    return MAAS_OK;
}

#define ROW(Name)                                                                                  \
    {                                                                                              \
        .op = &maas_op_##Name, .name = #Name "." ISA_TEXT, .flags = MAAS_KERNEL_BARRIER,           \
        .fits = fits, .prepare = prepare, .release = release, .run = run                           \
    }
const maas_kernel ISA(maas_kernels_gemm_int8)[] = {ROW(MatMulInteger), ROW(QLinearMatMul), {0}};
