/*
 * MatMulInteger and QLinearMatMul: products of bytes, summed exactly in 32 bits.
 *
 * B is packed in panels of columns, groups of rows next to each other, 4 bytes for each column:
 * four signed bytes where the processor multiplies bytes (VNNI: unsigned A, signed B; the other
 * kind is turned by flipping its top bit), else two 16-bit numbers.
 */
#include "kernels/cpu/int8_product.h"

#include "base/mem.h"
#include "base/ban.h"

extern const maas_op maas_op_MatMulInteger, maas_op_QLinearMatMul;

/* ---- one product: who is who ---- */

static const maas_tensor *input(const maas_call *c, int i)
{
    return i < c->n_in && c->in[i].dtype != MAAS_DT_NONE ? &c->in[i] : NULL;
}

/* Stacks of matrices go together when they are as many; one B serves all rows of A. */
static bool sizes_of(product *p)
{
    const maas_tensor *a = p->a, *b = p->b;
    if (a->rank < 1 || b->rank < 2 || (b->rank > 2 && a->rank != b->rank))
        return false;
    p->k = a->dims[a->rank - 1];
    p->n = b->dims[b->rank - 1];
    p->batch = p->a_mats = maas_dims_product(b->dims, 0, b->rank - 2);
    for (int i = 0; b->rank > 2 && i < b->rank - 2; i++)
        if (a->dims[i] != b->dims[i])
            return false;
    p->m = maas_dims_product(a->dims, b->rank > 2 ? b->rank - 2 : 0, a->rank - 1);
    return p->batch > 0 && p->m > 0 && p->n > 0 && p->k > 0 && p->k < 1 << 24;
}

static bool product_of(const maas_call *c, product *p)
{
    if (c->node->op == &maas_op_MatMulInteger)
        *p = (product){
            .a = &c->in[0], .b = &c->in[1], .a_zero = input(c, 2), .b_zero = input(c, 3)};
    else
        *p = (product){.a = &c->in[0],
                       .a_scale = &c->in[1],
                       .a_zero = &c->in[2],
                       .b = &c->in[3],
                       .b_scale = &c->in[4],
                       .b_zero = &c->in[5],
                       .scale = &c->in[6],
                       .zero = &c->in[7]};
    return is_byte(p->a) && is_byte(p->b) && sizes_of(p);
}

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    product p;
    return product_of(c, &p) && (!p.scale || p.scale->dtype == MAAS_F32);
}

/* ---- packing B ---- */

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

static void multiply(const maas_call *c, const product *p, const packed *b, int64_t from,
                     int64_t to)
{
    const int64_t each = p->amx ? TALL : ROWS, blocks = (p->m + each - 1) / each;
    spot at = {.panel = -1};
    for (int64_t i = from; i < to; i++) {
        const int64_t panel = i / blocks, first = i % blocks * each;
        if (at.panel != panel)
            place_of(p, b->sums + panel * PANEL, panel, &at);
        multiply_rows(c, p, b->data + panel * panel_bytes(p), &at, first,
                      (int)(p->m - first < each ? p->m - first : each));
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
#if defined(HAS_QUADS)
    st->quad = p.quad = cpu->HAS_QUADS;
#endif
#if defined(MAAS_ISA_AVX512)
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
