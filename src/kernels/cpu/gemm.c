/*
 * Y = act(alpha op(A) op(B) + beta C) for MatMul, Gemm and FusedGemm.
 *
 *        n ->  panels of TILE_N columns            The panel of B (kc x TILE_N) is packed into the
 *      +------+------+--                           scratch of the thread that uses it, or once, at
 *   m  | tile | tile |      <- TILE_M rows         plan time, when B is constant; a column of tiles
 *   |  +------+------+--                           then runs down A with the panel in cache. What
 *   v  | tile | tile |                             follows the sums (bias, activation) is done on
 *      +------+------+--                           each tile while it is in L1.
 *
 * Threads form a grid over panels and tile rows: whole panels first, because packing is then never
 * done twice.
 */
#include "kernels/cpu/gemm_tile.h"

#include "base/mem.h"
#include "kernels/gemm_args.h"
#include "base/ban.h"

#define MAX_KC 256 /* rows of a packed panel: 64 KiB at most, streams from L2 at full speed */

typedef struct gemm_state {
    maas_gemm_args g; /* attributes read and shapes worked out once */
    real *panels;     /* B, block after block of k; NULL: packed in every run */
} gemm_state;

static int64_t blocks_of(int64_t n, int64_t size)
{
    return n > size ? (n + size - 1) / size : 1;
}

/* Columns [j, j + w) of rows [k0, k0 + kc) of B, padded with zeros to whole vectors. */
static void pack_panel(real *to, const maas_gemm_args *g, const real *b, int64_t k0, int64_t kc,
                       int64_t j, int64_t w)
{
    const int64_t width = (w + VW - 1) / VW * VW;
    const real *from = b + k0 * g->b_row + j * g->b_col;
    for (int64_t k = 0; k < kc; k++, from += g->b_row, to += width) {
        if (g->b_col == 1)
            memcpy(to, from, (size_t)w * sizeof *to);
        else
            for (int64_t i = 0; i < w; i++)
                to[i] = from[i * g->b_col];
        for (int64_t i = w; i < width; i++)
            to[i] = 0;
    }
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
static void run_tile(const maas_gemm_args *g, const real *a, const real *panel, int64_t kc,
                     int64_t i0, int64_t i1, int64_t j, int64_t w, bool first)
{
    const int64_t nv = (w + VW - 1) / VW, rows = i1 - i0;
    tile_fn *run = tiles[nv - 1][rows - 1];
    real *y = (real *)g->y + i0 * g->n + j;
    if (w == nv * VW) {
        run(kc, a, g->a_row, g->a_col, panel, y, g->n, first);
        return;
    }
    real part[TILE_M * TILE_N];
    for (int64_t i = 0; i < rows && !first; i++)
        memcpy(part + i * nv * VW, y + i * g->n, (size_t)w * sizeof *y);
    run(kc, a, g->a_row, g->a_col, panel, part, nv * VW, first);
    for (int64_t i = 0; i < rows; i++)
        memcpy(y + i * g->n, part + i * nv * VW, (size_t)w * sizeof *y);
}

typedef struct share {
    int64_t m0, m1, p0, p1; /* rows, panels */
} share;

/* The grid with the least work for its busiest thread. */
static share share_of(const maas_gemm_args *g, int ithr, int nthr)
{
    const int64_t panels = blocks_of(g->n, TILE_N), rows = blocks_of(g->m, TILE_M);
    int best = 1;
    int64_t best_work = INT64_MAX;
    for (int tn = 1; tn <= nthr; tn++) {
        if (nthr % tn)
            continue;
        const int64_t tm = nthr / tn, my_panels = (panels + tn - 1) / tn;
        /* packing a panel costs about as much as half a row of tiles */
        const int64_t work = my_panels * (2 * ((rows + tm - 1) / tm) + 1);
        if (work < best_work) {
            best = tn;
            best_work = work;
        }
    }
    share s;
    maas_share(g->m, TILE_M, ithr / best, nthr / best, &s.m0, &s.m1);
    maas_share(panels, 1, ithr % best, best, &s.p0, &s.p1);
    return s;
}

/* `ready`: all panels, packed at plan time; else NULL and each goes to `mine` first. */
static void multiply(const maas_gemm_args *g, const real *ready, real *mine, share s)
{
    const int64_t n_blocks = blocks_of(g->k, MAX_KC), tile_rows = blocks_of(s.m1 - s.m0, TILE_M);
    const int64_t padded_n = (g->n + VW - 1) / VW * VW;
    if (s.m1 <= s.m0 || g->n == 0)
        return;
    for (int64_t block = 0; block < n_blocks; block++) {
        const int64_t k0 = g->k * block / n_blocks, k1 = g->k * (block + 1) / n_blocks;
        for (int64_t p = s.p0; p < s.p1; p++) {
            const int64_t j = p * TILE_N, w = g->n - j < TILE_N ? g->n - j : TILE_N;
            const real *panel = mine;
            if (ready)
                panel = ready + k0 * padded_n + j * (k1 - k0);
            else
                pack_panel(mine, g, g->b, k0, k1 - k0, j, w);
            for (int64_t t = 0; t < tile_rows; t++) {
                const int64_t i0 = s.m0 + (s.m1 - s.m0) * t / tile_rows;
                const int64_t i1 = s.m0 + (s.m1 - s.m0) * (t + 1) / tile_rows;
                run_tile(g, (const real *)g->a + i0 * g->a_row + k0 * g->a_col, panel, k1 - k0, i0,
                         i1, j, w, block == 0);
                if (block == n_blocks - 1)
                    finish(g, i0, i1, j, w);
            }
        }
    }
}

static size_t scratch_of_thread(void)
{
    return (size_t)MAX_KC * TILE_N * sizeof(real);
}

static maas_status pack_all(gemm_state *s, maas_err *err)
{
    const maas_gemm_args *g = &s->g;
    const int64_t padded_n = (g->n + VW - 1) / VW * VW, n_blocks = blocks_of(g->k, MAX_KC);
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
    if (s->g.b && s->g.n_batch == 1) {
        maas_status st = pack_all(s, err);
        if (st != MAAS_OK) {
            gemm_release(s);
            return st;
        }
    } else {
        c->scratch_bytes = scratch_of_thread() * (size_t)c->n_threads;
    }
    c->state = s;
    return MAAS_OK;
}

static maas_status gemm_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const gemm_state *state = c->state;
    maas_gemm_args g = state->g;
    maas_gemm_args_point(c, &g);
    real *mine = (real *)((char *)c->scratch + scratch_of_thread() * (size_t)ithr);
    const share s = share_of(&g, ithr, nthr);
    for (int64_t i = 0; i < g.n_batch; i++) {
        multiply(&g, state->panels, mine, s);
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
        .op = &maas_op_##which, .name = #which "." ISA_TEXT, .fits = gemm_fits,                    \
        .prepare = gemm_prepare, .release = gemm_release, .run = gemm_run                          \
    }
const maas_kernel ISA(maas_kernels_gemm)[] = {
#ifndef MAAS_REAL64
    ROW(FusedGemm), /* made of f32 alone */
#endif
    ROW(Gemm),
    ROW(MatMul),
    {0}};
