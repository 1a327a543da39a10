/*
 * ExpertMatMul: rows that chose the same matrix are brought together, so that each matrix is read
 * once for many of them. Every thread has a share of the columns of all matrices. As BlockMatMul,
 * by products of bytes where the type is packed and a matrix is whole tiles, else in floats.
 *
 * A row is summed in the same order in any company, as BlockMatMul sums it: block_tile.h,
 * row_dots.h.
 */
#include "kernels/cpu/isa.h"
#if defined(ISA_BYTE_PRODUCTS)
#include "kernels/cpu/block_bytes.h"
#endif
#include "kernels/cpu/row_dots.h"
#include "ops/expert_matmul.h"

#include "base/mem.h"
#include "base/ban.h"

extern const maas_op maas_op_ExpertMatMul;

enum { TOGETHER = 64 }; /* rows that are multiplied at once */

typedef struct room { /* scratch of one thread */
    float *w;         /* [DOT_COLS][k] */
    float *x;         /* [TOGETHER][k] */
    float *y;         /* [TOGETHER][DOT_COLS] */
    int32_t *order;   /* [rows * slots], by expert */
    int32_t *from;    /* [experts + 1] */
} room;

static size_t lines(size_t n)
{
    return (n + 63) / 64 * 64;
}

/* NULL: sizes only. Returns the bytes of one. */
static size_t room_at(char *p, const maas_experts *e, room *out)
{
    const size_t k = (size_t)e->w.k,
                 parts[] = {row_dots_bytes(e->w.k), lines(TOGETHER * k * sizeof(float)),
                            lines(TOGETHER * DOT_COLS * sizeof(float)),
                            lines((size_t)(e->rows * e->slots) * sizeof(int32_t)),
                            lines((size_t)(e->n_experts + 1) * sizeof(int32_t))};
    void **to[] = {(void **)&out->w, (void **)&out->x, (void **)&out->y, (void **)&out->order,
                   (void **)&out->from};
    size_t n = 0;
    for (size_t i = 0; i < MAAS_COUNT(parts); i++) {
        if (p)
            *to[i] = p + n;
        n += parts[i];
    }
    return n;
}

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    maas_experts e;
    return maas_experts_of(c, &e, NULL) == MAAS_OK && e.w.k > 0 && e.w.n > 0 && e.w.k <= 1 << 20 &&
           e.n_experts < 1 << 20 && e.rows < 1 << 20 && e.slots < 1 << 10;
}

static maas_status prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    maas_experts e;
    room r;
    MAAS_TRY(maas_experts_of(c, &e, err));
    c->scratch_bytes = room_at(NULL, &e, &r) * (size_t)c->n_threads;
    return MAAS_OK;
}

/* Slots by the expert they name, in their order. */
static maas_status sort(const maas_call *c, const maas_experts *e, int32_t *order, int32_t *from,
                        maas_err *err)
{
    const maas_tensor *ids = &c->in[MAAS_EXPERT_IDS];
    const int32_t n = (int32_t)(e->rows * e->slots);
    memset(from, 0, (size_t)(e->n_experts + 1) * sizeof *from);
    for (int32_t i = 0; i < n; i++) {
        int64_t id = maas_tensor_get_i64(ids, i);
        id = id < 0 ? id + e->n_experts : id;
        if (id < 0 || id >= e->n_experts)
            return maas_fail(err, MAAS_E_INVALID, "index %lld is outside of 0 .. %lld",
                             (long long)maas_tensor_get_i64(ids, i), (long long)e->n_experts - 1);
        from[id + 1]++;
    }
    for (int64_t i = 0; i < e->n_experts; i++)
        from[i + 1] += from[i];
    for (int32_t i = 0; i < n; i++) { /* from[id] moves to the end of id, and back below */
        const int64_t id = maas_tensor_get_i64(ids, i);
        order[from[id < 0 ? id + e->n_experts : id]++] = i;
    }
    memmove(from + 1, from, (size_t)e->n_experts * sizeof *from);
    from[0] = 0;
    return MAAS_OK;
}

/* Columns from .. to of n slots that chose the matrix w. */
static void multiply(const maas_call *c, const maas_experts *e, const room *r, const uint8_t *w,
                     const int32_t *slot, int n, int64_t from, int64_t to)
{
    const size_t row_bytes = (size_t)e->w.k * sizeof(float);
    float *y = c->out[0].data;
    for (int i = 0; i < n; i++)
        memcpy(r->x + i * e->w.k,
               (const float *)c->in[MAAS_EXPERT_X].data + maas_experts_row(e, slot[i]) * e->w.k,
               row_bytes);
    for (int64_t at = from; at < to; at += DOT_COLS) {
        const int cols = (int)(to - at < DOT_COLS ? to - at : DOT_COLS);
        for (int j = 0; j < cols; j++)
            e->w.q->to_f32(w + (size_t)(at + j) * e->w.row_bytes, r->w + j * e->w.k, e->w.k);
        row_dots(DOT_F32, n, r->x, r->w, row_bytes, e->w.k, r->y, DOT_COLS, cols, NULL);
        for (int i = 0; i < n; i++)
            memcpy(y + slot[i] * e->w.n + at, r->y + i * DOT_COLS, (size_t)cols * sizeof *y);
    }
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    maas_experts e;
    room r = {0};
    int64_t from, to;
    MAAS_TRY(maas_experts_of(c, &e, err));
    room_at((char *)c->scratch + room_at(NULL, &e, &r) * (size_t)ithr, &e, &r);
    MAAS_TRY(sort(c, &e, r.order, r.from, err));
    maas_share(e.w.n, DOT_COLS, ithr, nthr, &from, &to);
    for (int64_t i = 0; i < e.n_experts && from < to; i++) {
        const uint8_t *w = (const uint8_t *)c->in[MAAS_EXPERT_W].data +
                           (size_t)(i * e.w.n) * e.w.row_bytes;
        for (int32_t k = r.from[i]; k < r.from[i + 1]; k += TOGETHER)
            multiply(c, &e, &r, w, r.order + k,
                     r.from[i + 1] - k < TOGETHER ? r.from[i + 1] - k : TOGETHER, from, to);
    }
    return MAAS_OK;
}

#if defined(ISA_BYTE_PRODUCTS)
/* ---- products of bytes ---- */

typedef struct desk { /* scratch of one thread */
    char *x;          /* TOGETHER rows in bytes, those that chose the matrix at hand */
    int8_t *room;
    float *y; /* [TOGETHER][MAAS_BLOCK_TILE] */
    int32_t *order, *from;
} desk;

static int64_t rows_of_x(const maas_experts *e)
{
    return e->shared ? e->rows : e->rows * e->slots;
}

/* p NULL: sizes only. Returns the bytes of one. */
static size_t desk_at(char *p, const maas_experts *e, desk *out)
{
    const size_t x = bytes_of(TOGETHER, e->w.k),
                 w = tile_room(e->w.k, maas_block_tile_bytes(&e->w));
    const size_t y = lines(TOGETHER * MAAS_BLOCK_TILE * sizeof(float));
    const size_t order = lines((size_t)(e->rows * e->slots) * sizeof(int32_t));
    const size_t from = lines((size_t)(e->n_experts + 1) * sizeof(int32_t));
    if (p)
        *out = (desk){.x = p + w,
                      .room = (int8_t *)p,
                      .y = (float *)(void *)(p + w + x),
                      .order = (int32_t *)(void *)(p + w + x + y),
                      .from = (int32_t *)(void *)(p + w + x + y + order)};
    return w + x + y + order + from;
}

static bool bytes_fit(const maas_call *c, const maas_cpu *cpu)
{
    maas_experts e;
    return fits(c, cpu) && maas_experts_of(c, &e, NULL) == MAAS_OK &&
           e.w.n % MAAS_BLOCK_TILE == 0 && e.w.k % MAAS_BLOCK_COLS == 0 &&
           c->in[MAAS_EXPERT_W].data && ISA(maas_block_tile_of)(e.w.q->id, cpu);
}

static maas_status bytes_prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    maas_experts e;
    MAAS_TRY(maas_experts_of(c, &e, err));
    maas_block_w all = e.w;
    all.n *= e.n_experts;
    c->scratch_bytes = bytes_of(rows_of_x(&e), e.w.k) +
                       desk_at(NULL, &e, NULL) * (size_t)c->n_threads;
    return packed_make(c, &all, c->in[MAAS_EXPERT_W].data, cpu, err);
}

/* The rounded rows of X that n slots read, side by side. */
static void gather(const maas_experts *e, const bytes *all, const int32_t *slot, const bytes *to)
{
    for (int64_t i = 0; i < to->rows; i++) {
        int64_t step, to_step, at = place_in(all, maas_experts_row(e, slot[i]), &step);
        int64_t to_at = place_in(to, i, &to_step);
        for (int64_t c = 0; c < to->k; c += 32, at += step, to_at += to_step) {
            memcpy(to->code + 32 * to_at, all->code + 32 * at, 32);
            to->d[to_at] = all->d[at];
            to->sum[to_at] = all->sum[at];
            memcpy(to->half + 2 * to_at, all->half + 2 * at, 2 * sizeof *to->half);
        }
    }
}

/* Tiles from .. to of expert `which`, with n slots that chose it. */
static void multiply_bytes(const maas_call *c, const maas_experts *e, const bytes *x, float *part,
                           int64_t which, const int32_t *slot, int64_t from, int64_t to)
{
    const packed *s = c->state;
    const maas_block_pack *p = s->pack;
    float *y = c->out[0].data;
    for (int64_t t = from; t < to; t++) {
        const int64_t tile = which * (e->w.n / MAAS_BLOCK_TILE) + t;
        s->fn(&p->form, maas_block_pack_tile(p, tile, (uint8_t *)x->room + tile_bytes(e->w.k)), x,
              (target){part, NULL, MAAS_BLOCK_TILE, MAAS_BLOCK_TILE});
        for (int64_t i = 0; i < x->rows; i++)
            memcpy(y + slot[i] * e->w.n + t * MAAS_BLOCK_TILE, part + i * MAAS_BLOCK_TILE,
                   MAAS_BLOCK_TILE * sizeof *y);
    }
}

static maas_status bytes_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    maas_experts e;
    desk d = {0};
    int64_t from, to;
    MAAS_TRY(maas_experts_of(c, &e, err));
    const size_t shared = bytes_of(rows_of_x(&e), e.w.k);
    const bytes all = bytes_at(c->scratch, rows_of_x(&e), e.w.k);
    desk_at((char *)c->scratch + shared + desk_at(NULL, &e, NULL) * (size_t)ithr, &e, &d);
    maas_share(rows_of_x(&e), 1, ithr, nthr, &from, &to);
    round_rows(c->in[MAAS_EXPERT_X].data, &all, from, to);
    maas_call_barrier();
    MAAS_TRY(sort(c, &e, d.order, d.from, err));
    maas_share(e.w.n / MAAS_BLOCK_TILE, 1, ithr, nthr, &from, &to);
    for (int64_t i = 0; i < e.n_experts && from < to; i++)
        for (int32_t at = d.from[i], n; at < d.from[i + 1]; at += n) {
            n = d.from[i + 1] - at < TOGETHER ? d.from[i + 1] - at : TOGETHER;
            bytes x = bytes_at(d.x, n, e.w.k);
            x.room = d.room;
            gather(&e, &all, d.order + at, &x);
            multiply_bytes(c, &e, &x, d.y, i, d.order + at, from, to);
        }
    return MAAS_OK;
}
#endif

const maas_kernel ISA(maas_kernels_expert_matmul)[] = {
#if defined(ISA_BYTE_PRODUCTS)
    {.op = &maas_op_ExpertMatMul,
     .name = "ExpertMatMul.bytes." ISA_TEXT,
     .flags = MAAS_KERNEL_BARRIER,
     .fits = bytes_fit,
     .prepare = bytes_prepare,
     .release = packed_release,
     .run = bytes_run},
#endif
    {.op = &maas_op_ExpertMatMul,
     .name = "ExpertMatMul." ISA_TEXT,
     .fits = fits,
     .prepare = prepare,
     .release = maas_free,
     .run = run},
    {0}};
