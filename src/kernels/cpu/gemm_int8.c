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
#include "kernels/cpu/int8_tile.h"

#include "base/mem.h"
#include "base/ban.h"

extern const maas_op maas_op_MatMulInteger, maas_op_QLinearMatMul;

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

/* As many rows as one way takes at once; gives how many. */
static int some_sums(const product *p, const uint8_t *b, place *at, int rows, int32_t *sums)
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
