/*
 * Y = act(alpha op(A) op(B) + beta C) for MatMul, Gemm and FusedGemm.
 *
 *        n ->  panels of columns                   The panel of B is packed into the scratch of the
 *      +------+------+--                           thread that uses it, or once, at plan time, when
 *   m  | tile | tile |      <- TILE_M rows         B is constant, or read in place when few rows of
 *   |  +------+------+--                           tiles would pay for packing; a column of tiles
 *   v  | tile | tile |                             then runs down A with the panel in cache. What
 *      +------+------+--                           follows the sums (bias, activation) is done on
 *                                                  each tile while it is in L1.
 *
 * Threads form a grid over panels and rows, or share the sums and add them up.
 */
#include "kernels/cpu/gemm_pack.h"
#include "kernels/cpu/gemm_tile.h"

#include "base/mem.h"
#include "base/ban.h"

#define MAX_KC 256 /* rows of a panel: 64 KiB at most, streams from L2 at full speed */
/* Where columns of A are rows in memory each step of a tile takes a line of its own: a shorter
 * panel leaves them room in L1. */
#define MAX_KC_ACROSS 128
#define GROUP         4 /* panels that rows of A meet one after the other, while they are in L1 */
#define MAX_PARTS     (1 << 16) /* elements of Y, where threads may share the sums */
#define LEAST_K       32        /* of a share of them */
#define JOIN_WORK     32768     /* multiplications in the time of a barrier */
/* B in place: this many rows of tiles at most, rows of B so close that a panel is in few pages. */
#define IN_PLACE_TILES 16
#define IN_PLACE_ROW   2048 /* bytes */

typedef struct gemm_state {
    maas_gemm_args g; /* attributes read and shapes worked out once */
    int64_t max_kc;
    int n_threads;
    real *panels; /* B, block after block of k; NULL: packed in every run */
} gemm_state;

static int64_t blocks_of(int64_t n, int64_t size)
{
    return n > size ? (n + size - 1) / size : 1;
}

INLINE vf slope_or_act(vf y, vf v, maas_gemm_act act)
{
    switch (act) { /* constant at every call: one branch is left */
    case MAAS_GEMM_RELU:
        return v_pick((y > 0) | (y != y), y, (vf){0});
    case MAAS_GEMM_SIGMOID:
        return v_sigmoid(y);
    case MAAS_GEMM_TANH:
        return v_tanh(y);
    case MAAS_GEMM_RELU_GRAD:
        return v_pick(v > 0, y, (vf){0});
    case MAAS_GEMM_NONE:
        break;
    }
    return y;
}

INLINE void finish_row(const maas_gemm_args *g, real *y, const real *c, const real *v, int64_t n,
                       maas_gemm_act act)
{
    int64_t i = 0;
    const real first = c ? c[0] : 0;
    for (; i < n; i += VW) {
        const int64_t left = n - i;
        vf yv = left >= VW ? v_load(y + i) : v_load_part(y + i, left, 0);
        yv = yv * g->alpha;
        if (c && g->c_col)
            yv += g->beta * (left >= VW ? v_load(c + i) : v_load_part(c + i, left, 0));
        else if (c)
            yv += g->beta * v_all(first);
        const vf vv = !v ? (vf){0} : left >= VW ? v_load(v + i) : v_load_part(v + i, left, 0);
        yv = slope_or_act(yv, vv, act);
        if (left >= VW)
            v_store(y + i, yv);
        else
            v_store_part(y + i, yv, left);
    }
}

static void finish(const maas_gemm_args *g, int64_t i0, int64_t i1, int64_t j, int64_t w)
{
    if (!g->c && g->act == MAAS_GEMM_NONE && g->alpha == 1)
        return;
    for (int64_t i = i0; i < i1; i++) {
        real *y = (real *)g->y + i * g->n + j;
        const real *c = g->c ? (const real *)g->c + i * g->c_row + j * g->c_col : NULL;
        const real *v = g->v ? (const real *)g->v + i * g->n + j : NULL;
        if (g->act == MAAS_GEMM_RELU)
            finish_row(g, y, c, v, w, MAAS_GEMM_RELU);
        else if (g->act == MAAS_GEMM_SIGMOID)
            finish_row(g, y, c, v, w, MAAS_GEMM_SIGMOID);
        else if (g->act == MAAS_GEMM_TANH)
            finish_row(g, y, c, v, w, MAAS_GEMM_TANH);
        else if (g->act == MAAS_GEMM_RELU_GRAD)
            finish_row(g, y, c, v, w, MAAS_GEMM_RELU_GRAD);
        else
            finish_row(g, y, c, v, w, MAAS_GEMM_NONE);
    }
}

/* A tile whose columns do not fill whole vectors goes through a buffer of its own. */
static void run_tile(const maas_gemm_args *g, const real *a, const real *panel, int64_t b_row,
                     int64_t kc, int64_t i0, int64_t i1, int64_t j, int64_t w, bool first)
{
    const int64_t nv = (w + VW - 1) / VW, rows = i1 - i0;
    tile_fn *run = tiles[nv - 1][rows - 1];
    real *y = (real *)g->y + i0 * g->n + j;
    if (w == nv * VW) {
        run(kc, a, g->a_row, g->a_col, panel, b_row, y, g->n, first);
        return;
    }
    real part[TILE_M * TILE_N];
    for (int64_t i = 0; i < rows && !first; i++)
        memcpy(part + i * nv * VW, y + i * g->n, (size_t)w * sizeof *y);
    run(kc, a, g->a_row, g->a_col, panel, b_row, part, nv * VW, first);
    for (int64_t i = 0; i < rows; i++)
        memcpy(y + i * g->n, part + i * nv * VW, (size_t)w * sizeof *y);
}

typedef struct share {
    int64_t m0, m1, p0, p1, k0, k1; /* rows, panels, steps of the sums */
    bool by_k;                      /* all of Y, a part of each sum */
} share;

/*
 * The cut that is done first. Multiplications are those of the busiest thread; what it reads of A
 * and B was often written by another core, which takes as long as FOREIGN multiplications each.
 * Where all is equal threads share the rows, as element-wise steps do before and after. A cut of
 * the sums reads least of A and B, and of a weight just the rows that its thread moved in the last
 * step; but then parts of Y are written, read and added up.
 */
#define FOREIGN 28
static double work_of(double m, double n, double k)
{
    return k * (n * m + FOREIGN * (n + m));
}

static bool may_cut_sums(const gemm_state *s)
{
    const maas_gemm_args *g = &s->g;
    return s->n_threads > 1 && !s->panels && g->n_batch == 1 && g->k >= 2 * LEAST_K &&
           g->m * g->n <= MAX_PARTS;
}

static share share_of(const gemm_state *state, int ithr, int nthr)
{
    const maas_gemm_args *g = &state->g;
    const int64_t panels = blocks_of(g->n, TILE_N), rows = blocks_of(g->m, TILE_M);
    const double all_n = (double)(panels * TILE_N), all_m = (double)(rows * TILE_M);
    int best = 1;
    double best_work = INFINITY;
    for (int tn = 1; tn <= nthr; tn++) {
        if (nthr % tn)
            continue;
        const int64_t tm = nthr / tn;
        const double work = work_of((double)((rows + tm - 1) / tm * TILE_M),
                                    (double)((panels + tn - 1) / tn * TILE_N), (double)g->k);
        if (work < best_work) {
            best = tn;
            best_work = work;
        }
    }
    share s = {.m1 = g->m, .p1 = panels, .k1 = g->k};
    if (nthr > 1 && may_cut_sums(state) && g->k >= LEAST_K * nthr &&
        work_of(all_m, all_n, (double)g->k / nthr) + JOIN_WORK + FOREIGN * all_m * all_n <
            best_work) {
        s.by_k = true;
        maas_share(g->k, 1, ithr, nthr, &s.k0, &s.k1);
        return s;
    }
    maas_share(g->m, TILE_M, ithr / best, nthr / best, &s.m0, &s.m1);
    maas_share(panels, 1, ithr % best, best, &s.p0, &s.p1);
    return s;
}

static bool in_place(const maas_gemm_args *g, int64_t tile_rows, int64_t w)
{
    return g->b_col == 1 && w % VW == 0 && tile_rows <= IN_PLACE_TILES &&
           (tile_rows == 1 || g->b_row * (int64_t)sizeof(real) <= IN_PLACE_ROW);
}

/* Panels [p0, p1) and rows [k0, k1) of B, ready to be multiplied with. */
typedef struct slab {
    int64_t k0, k1, p0, p1;
    bool first, last; /* of the blocks of k */
    const real *panel[GROUP];
    int64_t b_row[GROUP];
    const real *next; /* what is multiplied after this, when it was packed at plan time */
    int64_t n_next;
} slab;

static int64_t width_of(const maas_gemm_args *g, int64_t p)
{
    const int64_t left = g->n - p * TILE_N;
    return left < TILE_N ? left : TILE_N;
}

static void find_panels(const gemm_state *s, const maas_gemm_args *g, int64_t tile_rows, real *mine,
                        slab *b)
{
    const int64_t padded_n = (g->n + VW - 1) / VW * VW, kc = b->k1 - b->k0;
    for (int64_t p = b->p0; p < b->p1; p++) {
        const int64_t i = p - b->p0, j = p * TILE_N, w = width_of(g, p);
        b->b_row[i] = (w + VW - 1) / VW * VW;
        if (s->panels) {
            b->panel[i] = s->panels + b->k0 * padded_n + j * kc;
        } else if (in_place(g, tile_rows, w)) {
            b->panel[i] = (const real *)g->b + b->k0 * g->b_row + j;
            b->b_row[i] = g->b_row;
        } else {
            real *to = mine + i * TILE_N * kc;
            pack_panel(to, g, g->b, b->k0, kc, j, w);
            b->panel[i] = to;
        }
    }
}

/* The slab after this one, as its address and size. */
static void find_next(const gemm_state *s, const maas_gemm_args *g, const share *sh, slab *b)
{
    const int64_t padded_n = (g->n + VW - 1) / VW * VW;
    const int64_t p = b->last ? b->p1 : b->p0, k0 = b->last ? 0 : b->k1;
    const int64_t end = p + GROUP < sh->p1 ? p + GROUP : sh->p1;
    b->next = s->panels;
    b->n_next = 0;
    if (!s->panels || p >= sh->p1)
        return;
    const int64_t kc = g->k - k0 < b->k1 - b->k0 ? g->k - k0 : b->k1 - b->k0;
    const int64_t columns = (end * TILE_N < padded_n ? end * TILE_N : padded_n) - p * TILE_N;
    b->next += k0 * padded_n + p * TILE_N * kc;
    b->n_next = columns * kc;
}

/* Asks for part i of n of it: weights come from far, and the first tiles would wait for all. */
static void fetch_ahead(const slab *b, int64_t i, int64_t n)
{
    const char *from = (const char *)(b->next + b->n_next * i / n);
    const char *to = (const char *)(b->next + b->n_next * (i + 1) / n);
    for (; from < to; from += 64)
        __builtin_prefetch(from, 0, 2);
}

static void multiply_rows(const maas_gemm_args *g, const slab *b, int64_t t, int64_t tile_rows,
                          int64_t i0, int64_t i1)
{
    const int64_t panels = b->p1 - b->p0;
    const real *a = (const real *)g->a + i0 * g->a_row + b->k0 * g->a_col;
    for (int64_t p = b->p0; p < b->p1; p++) {
        const int64_t i = p - b->p0, j = p * TILE_N, w = width_of(g, p);
        if (b->n_next)
            fetch_ahead(b, t * panels + i, tile_rows * panels);
        run_tile(g, a, b->panel[i], b->b_row[i], b->k1 - b->k0, i0, i1, j, w, b->first);
        if (b->last)
            finish(g, i0, i1, j, w);
    }
}

/* `mine`: room for a group of panels. */
static void multiply(const gemm_state *state, const maas_gemm_args *g, real *mine, share s)
{
    const int64_t k = s.k1 - s.k0, n_blocks = blocks_of(k, state->max_kc);
    const int64_t rows = s.m1 - s.m0, tile_rows = blocks_of(rows, TILE_M);
    if (rows <= 0 || g->n == 0)
        return;
    for (int64_t p = s.p0; p < s.p1; p += GROUP)
        for (int64_t i = 0; i < n_blocks; i++) {
            slab b = {.k0 = s.k0 + k * i / n_blocks,
                      .k1 = s.k0 + k * (i + 1) / n_blocks,
                      .p0 = p,
                      .p1 = p + GROUP < s.p1 ? p + GROUP : s.p1,
                      .first = i == 0,
                      .last = i == n_blocks - 1 && !s.by_k};
            find_panels(state, g, tile_rows, mine, &b);
            find_next(state, g, &s, &b);
            for (int64_t t = 0; t < tile_rows; t++)
                multiply_rows(g, &b, t, tile_rows, s.m0 + rows * t / tile_rows,
                              s.m0 + rows * (t + 1) / tile_rows);
        }
}

static size_t size_of_panels(const gemm_state *s)
{
    const int64_t panels = blocks_of(s->g.n, TILE_N), kc = s->g.k < MAX_KC ? s->g.k : MAX_KC;
    return (size_t)(kc * TILE_N * (panels < GROUP ? panels : GROUP));
}

/* In elements; of whole lines. */
static size_t size_of_parts(const gemm_state *s)
{
    return may_cut_sums(s) ? (size_t)blocks_of(s->g.m * s->g.n, TILE_N) * TILE_N : 0;
}

static size_t scratch_of_thread(const gemm_state *s)
{
    return (size_of_panels(s) + size_of_parts(s)) * sizeof(real);
}

/* Threads have summed their parts; each adds up all parts of some rows. */
static void add_parts(const gemm_state *s, const maas_gemm_args *g, const real *parts, int ithr,
                      int nthr)
{
    const size_t from_thread = scratch_of_thread(s) / sizeof(real);
    int64_t r0, r1;
    maas_share(g->m, 1, ithr, nthr, &r0, &r1);
    real *y = g->y;
    for (int64_t i = r0 * g->n; i < r1 * g->n; i += VW) {
        const int64_t left = r1 * g->n - i;
        vf sum = {0};
        for (int t = 0; t < nthr; t++) {
            const real *p = parts + (size_t)t * from_thread + i;
            sum += left >= VW ? v_load(p) : v_load_part(p, left, 0);
        }
        if (left >= VW)
            v_store(y + i, sum);
        else
            v_store_part(y + i, sum, left);
    }
    finish(g, r0, r1, 0, g->n);
}

static void multiply_by_k(const gemm_state *state, const maas_gemm_args *g, real *scratch, share s,
                          int ithr, int nthr)
{
    const size_t from_thread = scratch_of_thread(state) / sizeof(real);
    real *parts = scratch + size_of_panels(state);
    maas_gemm_args mine = *g;
    mine.y = parts + (size_t)ithr * from_thread;
    multiply(state, &mine, scratch + (size_t)ithr * from_thread, s);
    maas_call_barrier();
    add_parts(state, g, parts, ithr, nthr);
}

static maas_status pack_all(gemm_state *s, maas_err *err)
{
    const maas_gemm_args *g = &s->g;
    const int64_t padded_n = (g->n + VW - 1) / VW * VW, n_blocks = blocks_of(g->k, s->max_kc);
    s->panels = maas_aligned(64, (size_t)(padded_n * g->k) * sizeof(real) + 64);
    if (!s->panels)
        return maas_fail(err, MAAS_E_NOMEM, "packing weights");
    for (int64_t block = 0; block < n_blocks; block++) {
        const int64_t k0 = g->k * block / n_blocks, k1 = g->k * (block + 1) / n_blocks;
        for (int64_t j = 0; j < g->n; j += TILE_N)
            pack_panel(s->panels + k0 * padded_n + j * (k1 - k0), g, g->b, k0, k1 - k0, j,
                       g->n - j < TILE_N ? g->n - j : TILE_N);
    }
    return MAAS_OK;
}

static void gemm_release(void *p)
{
    gemm_state *s = p;
    maas_free(s->panels);
    maas_free(s);
}

static maas_status gemm_prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    gemm_state *s = maas_calloc(1, sizeof *s);
    if (!s)
        return maas_fail(err, MAAS_E_NOMEM, "preparing a matrix product");
    maas_gemm_args_of(c, REAL_DTYPE, &s->g);
    s->n_threads = c->n_threads;
    s->max_kc = s->g.a_col == 1 ? MAX_KC : MAX_KC_ACROSS;
    if (s->g.b && s->g.n_batch == 1) {
        maas_status st = pack_all(s, err);
        if (st != MAAS_OK) {
            gemm_release(s);
            return st;
        }
    } else {
        c->scratch_bytes = scratch_of_thread(s) * (size_t)c->n_threads;
    }
    c->state = s;
    return MAAS_OK;
}

static maas_status gemm_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const gemm_state *state = c->state;
    maas_gemm_args g = state->g;
    maas_gemm_args_point(c, &g);
    real *mine = (real *)((char *)c->scratch + scratch_of_thread(state) * (size_t)ithr);
    const share s = share_of(state, ithr, nthr);
    if (s.by_k) {
        multiply_by_k(state, &g, c->scratch, s, ithr, nthr);
        return MAAS_OK;
    }
    for (int64_t i = 0; i < g.n_batch; i++) {
        multiply(state, &g, mine, s);
        g.a = (const real *)g.a + g.m * g.k;
        g.b = (const real *)g.b + g.k * g.n;
        g.y = (real *)g.y + g.m * g.n;
    }
    return MAAS_OK;
}

#if defined(MAAS_HAVE_DNNL) && !defined(MAAS_REAL64)
#define LARGE 2e8 /* flop: from here on packing A pays, which oneDNN does and we do not */
#else
#define LARGE INFINITY
#endif

static bool gemm_fits(const maas_call *c, const maas_cpu *cpu)
{
    maas_gemm_args g;
    return maas_gemm_args_of(c, REAL_DTYPE, &g) &&
           (g.act != MAAS_GEMM_NONE || 2.0 * (double)g.m * (double)g.n * (double)g.k < LARGE);
}

#define ROW(which)                                                                                 \
    {                                                                                              \
        .op = &maas_op_##which, .name = #which "." ISA_TEXT, .flags = MAAS_KERNEL_BARRIER,         \
        .fits = gemm_fits, .prepare = gemm_prepare, .release = gemm_release, .run = gemm_run       \
    }
const maas_kernel ISA(maas_kernels_gemm)[] = {
#ifndef MAAS_REAL64
    ROW(FusedGemm), /* made of f32 alone */
#endif
    ROW(Gemm),
    ROW(MatMul),
    {0}};
