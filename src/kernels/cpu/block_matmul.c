/*
 * BlockMatMul in two ways.
 *
 * Products of bytes: X is rounded to bytes with a scale for each 32 of them, the weights are packed
 * 16 rows side by side (kernels/block_pack.h), and every 32 columns the exact sums of bytes are
 * scaled into floats. For types that are not packed: some rows of W at a time become floats, which
 * stay in the nearest cache.
 *
 * Either way a row of Y is summed in one order, however many rows there are; products of bytes give
 * the same bits on every processor that has AVX2, and on every one that has NEON.
 */
#include "kernels/cpu/isa.h"
#if defined(ISA_BYTE_PRODUCTS)
#include "kernels/cpu/block_bytes.h"
#endif
#include "kernels/block_pack.h"
#include "kernels/cpu/row_dots.h"

#include "base/mem.h"
#include "base/ban.h"

extern const maas_op maas_op_BlockMatMul;

static const maas_tensor *bias_of(const maas_call *c)
{
    return c->n_in > MAAS_BLOCK_BIAS && c->in[MAAS_BLOCK_BIAS].dtype != MAAS_DT_NONE
               ? &c->in[MAAS_BLOCK_BIAS]
               : NULL;
}

static bool shape_of(const maas_call *c, maas_block_w *w, int64_t *rows)
{
    const maas_tensor *x = &c->in[MAAS_BLOCK_X], *t = &c->in[MAAS_BLOCK_W];
    *w = (maas_block_w){0};
    if (maas_block_w_of(c->node, t->rank, t->dims, w, NULL) != MAAS_OK || w->k <= 0 || w->n <= 0)
        return false;
    *rows = maas_n_elems(x) / w->k;
    return w->k <= 1 << 20;
}

#if defined(ISA_BYTE_PRODUCTS)

/* ---- loops over tiles, for each way to multiply bytes ---- */

#define WAY(name) name##_pairs
#define WAY_FLAGS
#include "kernels/cpu/block_tile.h"

#define WAY(name) name##_quads
#if defined(MAAS_ISA_AVX512)
#define WAY_FLAGS             __attribute__((target("avx512vnni")))
#define WAY_QUADS(sum, w, xv) (vi) _mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(w), (__m512i)(xv))
#define HAS_QUADS             avx512_vnni
#elif defined(MAAS_ISA_NEON)
#define WAY_FLAGS __attribute__((target("arch=armv8.2-a+dotprod")))
#define WAY_LANES vdotq_laneq_s32
#define HAS_QUADS dotprod
#else
#define WAY_FLAGS __attribute__((target("avxvnni")))
#define WAY_QUADS(sum, w, xv)                                                                      \
    (vi) _mm256_dpbusd_avx_epi32((__m256i)(sum), (__m256i)(w), (__m256i)(xv))
#define HAS_QUADS avx_vnni
#endif
#include "kernels/cpu/block_tile.h"

#if defined(MAAS_ISA_AVX512)
#include "kernels/cpu/block_amx.h"
#define TILES_OF(name) name##_tiles
#define HAS_TILES      amx_int8
#elif defined(MAAS_ISA_NEON)
#include "kernels/cpu/block_i8mm.h"
#define TILES_OF(name) name##_tiles
#define HAS_TILES      i8mm
#else
#define TILES_OF(name) NULL
#define HAS_TILES      amx_int8
#endif

static const struct {
    shape f;
    tile_fn *pairs, *quads, *tiles;
} shapes[] = {
#define BLOCK_SHAPE(name, low, high, values, top, scales)                                          \
    {{low, high, values, top, scales}, name##_pairs, name##_quads, TILES_OF(name)},
#include "kernels/cpu/block_shapes.def"
#undef BLOCK_SHAPE
};

tile_fn *ISA(maas_block_tile_of)(uint32_t type, const maas_cpu *cpu)
{
    maas_block_form form;
    if (!maas_block_form_of(type, &form))
        return NULL;
    for (size_t i = 0; i < MAAS_COUNT(shapes); i++) {
        const shape *f = &shapes[i].f;
        if (f->low == form.low && f->high == form.high && f->scales == form.scales &&
            f->values == (form.values != NULL) && form.top <= f->top)
            return cpu->HAS_TILES && shapes[i].tiles ? shapes[i].tiles
                   : cpu->HAS_QUADS                  ? shapes[i].quads
                                                     : shapes[i].pairs;
    }
    return NULL;
}

/* ---- the row: products of bytes ---- */

static bool bytes_fit(const maas_call *c, const maas_cpu *cpu)
{
    maas_block_w w;
    int64_t n;
    return shape_of(c, &w, &n) && c->in[MAAS_BLOCK_W].data && ISA(maas_block_tile_of)(w.q->id, cpu);
}

/* Little of X is rounded by every thread for itself, which is cheaper than to wait for others. */
static bool is_private(int64_t n, int64_t k)
{
    return n * k <= 1 << 14;
}

static maas_status bytes_prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    maas_block_w w;
    int64_t n;
    if (!shape_of(c, &w, &n))
        return maas_fail(err, MAAS_E_INTERNAL, "BlockMatMul without a shape");
    c->scratch_bytes = bytes_of(n, w.k) * (is_private(n, w.k) ? (size_t)c->n_threads : 1) +
                       tile_room(w.k, maas_block_tile_bytes(&w)) * (size_t)c->n_threads;
    return packed_make(c, &w, c->in[MAAS_BLOCK_W].data, cpu, err);
}

static maas_status bytes_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const packed *s = c->state;
    const maas_block_pack *p = s->pack;
    const maas_tensor *bias = bias_of(c);
    const int64_t tiles = (p->n + MAAS_BLOCK_TILE - 1) / MAAS_BLOCK_TILE;
    const int64_t n = maas_n_elems(&c->in[MAAS_BLOCK_X]) / p->k;
    const size_t room_bytes = tile_room(p->k, p->tile_bytes);
    int64_t from, to;
    int8_t *room = (int8_t *)c->scratch + room_bytes * (size_t)ithr;
    char *at = (char *)c->scratch + room_bytes * (size_t)nthr;
    bytes b;
    if (is_private(n, p->k)) {
        b = bytes_at(at + bytes_of(n, p->k) * (size_t)ithr, n, p->k);
        round_rows(c->in[MAAS_BLOCK_X].data, &b, 0, n);
    } else {
        b = bytes_at(at, n, p->k);
        maas_share(n, 1, ithr, nthr, &from, &to);
        round_rows(c->in[MAAS_BLOCK_X].data, &b, from, to);
        maas_call_barrier();
    }
    b.room = room;
    maas_share(tiles, 1, ithr, nthr, &from, &to);
    for (int64_t t = from; t < to; t++) {
        const int64_t col = t * MAAS_BLOCK_TILE, left = p->n - col;
        const target y = {(float *)c->out[0].data + col,
                          bias ? (const float *)bias->data + col : NULL, p->n,
                          left < MAAS_BLOCK_TILE ? left : MAAS_BLOCK_TILE};
        s->fn(&p->form, maas_block_pack_tile(p, t, (uint8_t *)room + tile_bytes(p->k)), &b, y);
    }
    return MAAS_OK;
}
#endif

/* ---- the row: any type, in floats ---- */

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    maas_block_w w;
    int64_t n;
    return shape_of(c, &w, &n);
}

static maas_status prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    maas_block_w w;
    int64_t n;
    if (!shape_of(c, &w, &n))
        return maas_fail(err, MAAS_E_INTERNAL, "BlockMatMul without a shape");
    c->scratch_bytes = row_dots_bytes(w.k) * (size_t)c->n_threads;
    return MAAS_OK;
}

/* Halves are converted where they are used, or once for many rows of X. */
static void convert(const maas_quant *q, const uint8_t *row, int64_t k, float *out)
{
    const dot_kind kind = q->id == MAAS_Q_F16 ? DOT_F16 : DOT_BF16;
    if (q->id != MAAS_Q_F16 && q->id != MAAS_Q_BF16) {
        q->to_f32(row, out, k);
        return;
    }
    for (int64_t i = 0; i < k; i += VW) {
        const vf v = kind == DOT_F16 ? w_load(DOT_F16, row, i, k) : w_load(DOT_BF16, row, i, k);
        if (i + VW <= k)
            v_store(out + i, v);
        else
            v_store_part(out + i, v, k - i);
    }
}

/* All rows of X with `cols` rows of W. */
static void some_columns(const maas_block_w *w, int64_t n, const float *x, const uint8_t *rows,
                         int cols, const float *bias, float *room, float *y)
{
    if (w->q->id == MAAS_Q_F32) {
        row_dots(DOT_F32, n, x, rows, w->row_bytes, w->k, y, w->n, cols, bias);
    } else if (w->q->id == MAAS_Q_F16 && n <= 2 * DOT_ROWS) {
        row_dots(DOT_F16, n, x, rows, w->row_bytes, w->k, y, w->n, cols, bias);
    } else if (w->q->id == MAAS_Q_BF16 && n <= 2 * DOT_ROWS) {
        row_dots(DOT_BF16, n, x, rows, w->row_bytes, w->k, y, w->n, cols, bias);
    } else {
        for (int j = 0; j < cols; j++)
            convert(w->q, rows + (size_t)j * w->row_bytes, w->k, room + j * w->k);
        row_dots(DOT_F32, n, x, room, (size_t)w->k * sizeof *room, w->k, y, w->n, cols, bias);
    }
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const maas_tensor *bias = bias_of(c);
    maas_block_w w;
    int64_t n, from, to;
    if (!shape_of(c, &w, &n))
        return maas_fail(err, MAAS_E_INTERNAL, "BlockMatMul without a shape");
    float *room = (float *)(void *)((char *)c->scratch + row_dots_bytes(w.k) * (size_t)ithr);
    maas_share(w.n, DOT_COLS, ithr, nthr, &from, &to);
    for (int64_t at = from; at < to; at += DOT_COLS) {
        const int cols = (int)(to - at < DOT_COLS ? to - at : DOT_COLS);
        some_columns(&w, n, c->in[MAAS_BLOCK_X].data,
                     (const uint8_t *)c->in[MAAS_BLOCK_W].data + (size_t)at * w.row_bytes, cols,
                     bias ? (const float *)bias->data + at : NULL, room,
                     (float *)c->out[0].data + at);
    }
    return MAAS_OK;
}

const maas_kernel ISA(maas_kernels_block_matmul)[] = {
#if defined(ISA_BYTE_PRODUCTS)
    {.op = &maas_op_BlockMatMul,
     .name = "BlockMatMul.bytes." ISA_TEXT,
     .flags = MAAS_KERNEL_BARRIER,
     .fits = bytes_fit,
     .prepare = bytes_prepare,
     .release = packed_release,
     .run = bytes_run},
#endif
    {.op = &maas_op_BlockMatMul,
     .name = "BlockMatMul." ISA_TEXT,
     .fits = fits,
     .prepare = prepare,
     .release = maas_free,
     .run = run},
    {0}};
