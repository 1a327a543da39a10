/*
 * learn/cores/dgemm.c - one micro kernel for products: a tile of 4 x 8 sums in registers over a
 * stretch of k, with a's element broadcast and eight of b's side by side. a may have any strides,
 * so x' x, x y and x' y are the same code. The tile is compiled for AVX2 and AVX-512, too, and
 * chosen at run time.
 */
#include "learn/cores/linalg.h"

#include "base/ban.h"

#define TILE_M  4
#define TILE_N  8
#define BLOCK_K 256 /* 256 x 8 doubles of b: 16 KiB, half of a first-level cache */
#define GRAIN_M 16  /* rows of c a piece */

typedef double v8 __attribute__((vector_size(64), aligned(8)));

typedef struct product {
    int64_t m, n, k;
    maas_side a, b;
    double *c;
    bool add;
    void (*tile)(const struct product *g, int64_t i, int64_t j, int64_t k0, int64_t k1);
} product;

static inline __attribute__((always_inline)) void tile_of(const product *g, int64_t i, int64_t j,
                                                          int64_t k0, int64_t k1)
{
    v8 sum[TILE_M] = {0};
    const double *a = g->a.p + i * g->a.row, *b = g->b.p + j;
    const int64_t ar = g->a.row, ac = g->a.col, br = g->b.row;
    for (int64_t k = k0; k < k1; k++) {
        const v8 v = *(const v8 *)(b + k * br);
        for (int r = 0; r < TILE_M; r++)
            sum[r] += v * a[r * ar + k * ac];
    }
    for (int r = 0; r < TILE_M; r++)
        *(v8 *)(g->c + (i + r) * g->n + j) += sum[r];
}

static void tile_plain(const product *g, int64_t i, int64_t j, int64_t k0, int64_t k1)
{
    tile_of(g, i, j, k0, k1);
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static void tile_avx2(const product *g, int64_t i, int64_t j,
                                                          int64_t k0, int64_t k1)
{
    tile_of(g, i, j, k0, k1);
}

__attribute__((target("avx512f,avx2,fma"))) static void
tile_avx512(const product *g, int64_t i, int64_t j, int64_t k0, int64_t k1)
{
    tile_of(g, i, j, k0, k1);
}
#endif

/* What is left at the edges. */
static void corner(const product *g, int64_t i0, int64_t i1, int64_t j0, int64_t j1, int64_t k0,
                   int64_t k1)
{
    for (int64_t i = i0; i < i1; i++)
        for (int64_t j = j0; j < j1; j++) {
            double s = 0;
            for (int64_t k = k0; k < k1; k++)
                s += g->a.p[i * g->a.row + k * g->a.col] * g->b.p[k * g->b.row + j];
            g->c[i * g->n + j] += s;
        }
}

static void piece(void *user, int64_t from, int64_t to)
{
    const product *g = user;
    if (!g->add)
        memset(g->c + from * g->n, 0, (size_t)((to - from) * g->n) * sizeof *g->c);
    const int64_t full_n = g->n / TILE_N * TILE_N, full_m = from + (to - from) / TILE_M * TILE_M;
    for (int64_t k0 = 0; k0 < g->k; k0 += BLOCK_K) {
        const int64_t k1 = k0 + BLOCK_K < g->k ? k0 + BLOCK_K : g->k;
        for (int64_t j = 0; j < full_n; j += TILE_N)
            for (int64_t i = from; i < full_m; i += TILE_M)
                g->tile(g, i, j, k0, k1);
        corner(g, from, full_m, full_n, g->n, k0, k1);
        corner(g, full_m, to, 0, g->n, k0, k1);
    }
}

void maas_dgemm(const maas_work *w, int64_t m, int64_t n, int64_t k, maas_side a, maas_side b,
                double *c, bool add)
{
    MAAS_CHECK(b.col == 1);
    product g = {m, n, k, a, b, c, add, tile_plain};
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        g.tile = tile_avx512;
    else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        g.tile = tile_avx2;
#endif
    maas_work_share(w, m, GRAIN_M, piece, &g);
}
