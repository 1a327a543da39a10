/*
 * ExpertMatMul: rows that chose the same matrix are brought together, so that each matrix is
 * unpacked once for many of them. Every thread has a share of the columns of all matrices.
 *
 * A row is summed in the same order in any company: row_dots.h.
 */
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

static size_t line(size_t n)
{
    return (n + 63) / 64 * 64;
}

/* NULL: sizes only. Returns the bytes of one. */
static size_t room_at(char *p, const maas_experts *e, room *out)
{
    const size_t k = (size_t)e->w.k,
                 parts[] = {row_dots_bytes(e->w.k), line(TOGETHER * k * sizeof(float)),
                            line(TOGETHER * DOT_COLS * sizeof(float)),
                            line((size_t)(e->rows * e->slots) * sizeof(int32_t)),
                            line((size_t)(e->n_experts + 1) * sizeof(int32_t))};
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
static maas_status sort(const maas_call *c, const maas_experts *e, const room *r, maas_err *err)
{
    const maas_tensor *ids = &c->in[MAAS_EXPERT_IDS];
    const int32_t n = (int32_t)(e->rows * e->slots);
    memset(r->from, 0, (size_t)(e->n_experts + 1) * sizeof *r->from);
    for (int32_t i = 0; i < n; i++) {
        int64_t id = maas_tensor_get_i64(ids, i);
        id = id < 0 ? id + e->n_experts : id;
        if (id < 0 || id >= e->n_experts)
            return maas_fail(err, MAAS_E_INVALID, "index %lld is outside of 0 .. %lld",
                             (long long)maas_tensor_get_i64(ids, i), (long long)e->n_experts - 1);
        r->from[id + 1]++;
    }
    for (int64_t i = 0; i < e->n_experts; i++)
        r->from[i + 1] += r->from[i];
    for (int32_t i = 0; i < n; i++) { /* from[id] moves to the end of id, and back below */
        const int64_t id = maas_tensor_get_i64(ids, i);
        r->order[r->from[id < 0 ? id + e->n_experts : id]++] = i;
    }
    memmove(r->from + 1, r->from, (size_t)e->n_experts * sizeof *r->from);
    r->from[0] = 0;
    return MAAS_OK;
}

/* Columns from .. to of n slots that chose the matrix w. */
static void multiply(const maas_call *c, const maas_experts *e, const room *r, const uint8_t *w,
                     const int32_t *slot, int n, int64_t from, int64_t to)
{
    const size_t bytes = (size_t)e->w.k * sizeof(float);
    float *y = c->out[0].data;
    for (int i = 0; i < n; i++)
        memcpy(r->x + i * e->w.k,
               (const float *)c->in[MAAS_EXPERT_X].data + maas_experts_row(e, slot[i]) * e->w.k,
               bytes);
    for (int64_t at = from; at < to; at += DOT_COLS) {
        const int cols = (int)(to - at < DOT_COLS ? to - at : DOT_COLS);
        for (int j = 0; j < cols; j++)
            e->w.q->to_f32(w + (size_t)(at + j) * e->w.row_bytes, r->w + j * e->w.k, e->w.k);
        row_dots(DOT_F32, n, r->x, r->w, bytes, e->w.k, r->y, DOT_COLS, cols, NULL);
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
    MAAS_TRY(sort(c, &e, &r, err));
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

const maas_kernel ISA(maas_kernels_expert_matmul)[] = {{.op = &maas_op_ExpertMatMul,
                                                        .name = "ExpertMatMul." ISA_TEXT,
                                                        .fits = fits,
                                                        .prepare = prepare,
                                                        .release = maas_free,
                                                        .run = run},
                                                       {0}};
