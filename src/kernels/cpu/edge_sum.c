/*
 * EdgeSum. Edges that are known when the plan is made are laid out by target once: a thread has a
 * run of rows with its share of the edges, and keeps the sums of a row in registers. Others are
 * looked through by every thread, which takes those to its own rows. Either way a row is summed in
 * the order of its edges: no thread writes another's rows, and any number gives the same bits.
 */
#include "kernels/cpu/isa.h"
#include "ops/edge_sum.h"

#include "base/mem.h"
#include "base/ban.h"

extern const maas_op maas_op_EdgeSum;

enum { WIDE = 64, NARROW = 16, AHEAD = 12 };

typedef struct sorted {
    int64_t n_rows, n;
    int64_t *first;       /* [n_rows + 1] edges of a row */
    uint32_t *from, *nth; /* [n] by target: source; number in the lists, where its weight is */
} sorted;

static bool fits(const maas_call *c, const maas_cpu *cpu)
{
    return c->in[MAAS_EDGE_X].dtype == MAAS_F32 && c->in[MAAS_EDGE_X].dims[0] <= UINT32_MAX &&
           c->in[MAAS_EDGE_FROM].dims[0] <= UINT32_MAX;
}

static void release(void *state)
{
    sorted *s = state;
    if (!s)
        return;
    maas_free(s->first);
    maas_free(s->from);
    maas_free(s->nth);
    maas_free(s);
}

static maas_status count(const maas_call *c, sorted *s, maas_err *err)
{
    for (int64_t k = 0; k < s->n; k++) {
        int64_t from, to;
        MAAS_TRY(maas_edge_of(c, k, &from, &to, err));
        s->first[to + 1]++;
    }
    for (int64_t i = 0; i < s->n_rows; i++)
        s->first[i + 1] += s->first[i];
    return MAAS_OK;
}

/* Stable: edges of a row stay in their order. Each row's start moves to its end, and back. */
static maas_status place(const maas_call *c, sorted *s, maas_err *err)
{
    for (int64_t k = 0; k < s->n; k++) {
        int64_t from, to;
        MAAS_TRY(maas_edge_of(c, k, &from, &to, err));
        const int64_t at = s->first[to]++;
        s->from[at] = (uint32_t)from;
        s->nth[at] = (uint32_t)k;
    }
    for (int64_t i = s->n_rows; i > 0; i--)
        s->first[i] = s->first[i - 1];
    s->first[0] = 0;
    return MAAS_OK;
}

static maas_status prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    if (!c->in[MAAS_EDGE_FROM].data || !c->in[MAAS_EDGE_TO].data)
        return MAAS_OK;
    sorted *s = maas_calloc(1, sizeof *s);
    if (!s)
        return maas_fail(err, MAAS_E_NOMEM, "edges");
    s->n_rows = c->in[MAAS_EDGE_X].dims[0];
    s->n = c->in[MAAS_EDGE_FROM].dims[0];
    s->first = maas_calloc((size_t)s->n_rows + 1, sizeof *s->first);
    s->from = maas_calloc((size_t)s->n + 1, sizeof *s->from);
    s->nth = maas_calloc((size_t)s->n + 1, sizeof *s->nth);
    maas_status st = s->first && s->from && s->nth
                         ? count(c, s, err)
                         : maas_fail(err, MAAS_E_NOMEM, "%lld edges", (long long)s->n);
    if (st == MAAS_OK)
        st = place(c, s, err);
    if (st != MAAS_OK) {
        release(s);
        return st;
    }
    c->state = s;
    return MAAS_OK;
}

/* Columns at .. at + width of one row; the width is known where this is written into. */
static inline __attribute__((always_inline)) void sum_columns(const sorted *s, const float *x,
                                                              const float *w, int64_t row,
                                                              int64_t d, int64_t at, int width,
                                                              float *y)
{
    float sum[WIDE];
    for (int j = 0; j < width; j++)
        sum[j] = 0;
    const int64_t end = s->first[row + 1];
    for (int64_t k = s->first[row]; k < end; k++) {
        if (k + AHEAD < s->n)
            for (int j = 0; j < width; j += 16)
                __builtin_prefetch(x + s->from[k + AHEAD] * d + at + j);
        const float *from = x + s->from[k] * d + at, by = w[s->nth[k]];
        for (int j = 0; j < width; j++)
            sum[j] += by * from[j];
    }
    for (int j = 0; j < width; j++)
        y[row * d + at + j] = sum[j];
}

static void sum_row(const sorted *s, const float *x, const float *w, int64_t row, int64_t d,
                    float *y)
{
    int64_t at = 0;
    for (; at + WIDE <= d; at += WIDE)
        sum_columns(s, x, w, row, d, at, WIDE, y);
    for (; at + NARROW <= d; at += NARROW)
        sum_columns(s, x, w, row, d, at, NARROW, y);
    if (at < d)
        sum_columns(s, x, w, row, d, at, (int)(d - at), y);
}

/* The first row whose edges begin at or after this share of all edges and rows. */
static int64_t row_at(const sorted *s, int ithr, int nthr)
{
    const int64_t goal = (s->n + s->n_rows) * ithr / nthr;
    int64_t lo = 0, hi = s->n_rows;
    while (lo < hi) {
        const int64_t mid = lo + (hi - lo) / 2;
        if (s->first[mid] + mid < goal)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static maas_status run_listed(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const int64_t rows = c->in[MAAS_EDGE_X].dims[0], d = c->in[MAAS_EDGE_X].dims[1];
    const int64_t first = rows * ithr / nthr, last = rows * (ithr + 1) / nthr;
    const int64_t n = c->in[MAAS_EDGE_FROM].dims[0];
    const float *x = c->in[MAAS_EDGE_X].data, *w = c->in[MAAS_EDGE_WEIGHT].data;
    float *y = c->out[0].data;
    memset(y + first * d, 0, (size_t)((last - first) * d) * sizeof *y);
    for (int64_t k = 0; k < n; k++) {
        int64_t from, to;
        MAAS_TRY(maas_edge_of(c, k, &from, &to, err));
        for (int64_t j = 0; to >= first && to < last && j < d; j++)
            y[to * d + j] += w[k] * x[from * d + j];
    }
    return MAAS_OK;
}

static maas_status run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const sorted *s = c->state;
    if (!s)
        return run_listed(c, ithr, nthr, err);
    const int64_t last = row_at(s, ithr + 1, nthr);
    for (int64_t row = row_at(s, ithr, nthr); row < last; row++)
        sum_row(s, c->in[MAAS_EDGE_X].data, c->in[MAAS_EDGE_WEIGHT].data, row,
                c->in[MAAS_EDGE_X].dims[1], c->out[0].data);
    return MAAS_OK;
}

const maas_kernel ISA(maas_kernels_edge_sum)[] = {{.op = &maas_op_EdgeSum,
                                                   .name = "EdgeSum." ISA_TEXT,
                                                   .fits = fits,
                                                   .prepare = prepare,
                                                   .release = release,
                                                   .run = run},
                                                  {0}};
