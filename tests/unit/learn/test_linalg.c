/* tests/unit/learn/test_linalg.c - products against plain loops, factors against what they factor.
 */
#include "numbers.h"

#include "learn/cores/decompose.h"
#include "learn/cores/linalg.h"

static void products_are_those_of_plain_loops(void)
{
    static const int64_t sizes[][3] = {{1, 1, 1},   {4, 8, 3},     {5, 9, 300}, {33, 17, 64},
                                       {2, 100, 7}, {100, 2, 513}, {19, 24, 1}};
    for (size_t s = 0; s < MAAS_COUNT(sizes); s++)
        for (int flip = 0; flip < 2; flip++) {
            const int64_t m = sizes[s][0], n = sizes[s][1], k = sizes[s][2];
            desk d;
            desk_open(&d, s + 1);
            double *a = desk_random(&d, m, k), *b = desk_random(&d, k, n);
            double *c = desk_random(&d, m, n), *want = desk_zeros(&d, m * n);
            const maas_side left = flip ? (maas_side){a, 1, m} : (maas_side){a, k, 1};
            for (int64_t i = 0; i < m; i++)
                for (int64_t j = 0; j < n; j++)
                    for (int64_t p = 0; p < k; p++)
                        want[i * n + j] += a[i * left.row + p * left.col] * b[p * n + j];
            maas_dgemm(&d.work, m, n, k, left, (maas_side){b, n, 1}, c, false);
            for (int64_t i = 0; i < m * n; i++)
                EXPECT_NEAR(c[i], want[i], 1e-11);
            maas_dgemm(&d.work, m, n, k, left, (maas_side){b, n, 1}, c, true);
            for (int64_t i = 0; i < m * n; i++)
                EXPECT_NEAR(c[i], 2 * want[i], 1e-11);
            maas_arena_reset(&d.arena);
        }
}

static void cholesky_solves_and_inverts(void)
{
    desk d;
    desk_open(&d, 3);
    enum { N = 23 };
    double *x = desk_random(&d, 60, N), *g = desk_zeros(&d, N * N), *b = desk_random(&d, N, 1);
    double *l = desk_zeros(&d, N * N), *inv = desk_zeros(&d, N * N), *z = desk_zeros(&d, N);
    maas_gram(&d.work, x, 60, N, g);
    memcpy(l, g, N * N * sizeof *g);
    memcpy(z, b, N * sizeof *z);
    EXPECT(maas_cholesky(l, N, 0));
    maas_cholesky_solve(l, N, z);
    for (int i = 0; i < N; i++)
        EXPECT_NEAR(maas_dot(g + i * N, z, N), b[i], 1e-10);
    memcpy(inv, l, N * N * sizeof *l);
    maas_lower_invert(inv, N);
    for (int i = 0; i < N; i++)
        for (int j = 0; j <= i; j++) {
            double s = 0;
            for (int k = j; k <= i; k++)
                s += l[i * N + k] * inv[k * N + j];
            EXPECT_NEAR(s, i == j, 1e-12);
        }
    for (int i = 0; i < N; i++) /* a column twice: not definite */
        g[i * N + 5] = g[i * N + 4];
    for (int i = 0; i < N; i++)
        g[5 * N + i] = g[4 * N + i];
    g[5 * N + 5] = g[4 * N + 4];
    EXPECT(!maas_cholesky(g, N, 1e-10));
    maas_arena_reset(&d.arena);
}

static void eigenvectors_rebuild_their_matrix(void)
{
    static const int64_t sizes[] = {1, 2, 3, 10, 57, 130};
    for (size_t s = 0; s < MAAS_COUNT(sizes); s++)
        for (int kind = 0; kind < 3; kind++) { /* full rank, low rank, diagonal with equals */
            const int64_t n = sizes[s], rank = kind == 1 ? (n + 3) / 4 : n + 5;
            desk d;
            desk_open(&d, s + 10);
            double *x = desk_random(&d, rank, n), *g = desk_zeros(&d, n * n);
            double *v = desk_zeros(&d, n * n), *values = desk_zeros(&d, n);
            maas_gram(&d.work, x, rank, n, g);
            for (int64_t i = 0; kind == 2 && i < n * n; i++)
                g[i] = i % (n + 1) ? 0 : (double)(i % 3);
            memcpy(v, g, (size_t)(n * n) * sizeof *g);
            DESK_OK(d, maas_eigh(&d.work, v, n, values, &d.err));
            double top = 1;
            for (int64_t i = 0; i < n; i++)
                top = fmax(top, fabs(values[i]));
            for (int64_t i = 0; i < n; i++) {
                EXPECT(i == 0 || values[i] >= values[i - 1]);
                for (int64_t j = 0; j < n; j++) {
                    EXPECT_NEAR(maas_dot(v + i * n, v + j * n, n), i == j, 1e-11);
                    double sum = 0;
                    for (int64_t k = 0; k < n; k++)
                        sum += values[k] * v[k * n + i] * v[k * n + j];
                    EXPECT_NEAR(sum, g[i * n + j], 1e-12 * top * (double)n);
                }
            }
            maas_arena_reset(&d.arena);
        }
}

/* Rows of rank 3 in 12 columns plus a little noise: both ways must find the same. */
static void components_are_orthonormal_and_explain(void)
{
    for (int wide = 0; wide < 2; wide++) {
        const int64_t n = wide ? 12 : 80, d = wide ? 80 : 12;
        desk k;
        desk_open(&k, 5);
        double *a = desk_random(&k, n, 3), *b = desk_random(&k, 3, d), *x = desk_zeros(&k, n * d);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < d; j++)
                x[i * d + j] = 7 + 1e-3 * maas_rng_normal(&k.rng) + 3 * a[i * 3] * b[j] +
                               2 * a[i * 3 + 1] * b[d + j] + a[i * 3 + 2] * b[2 * d + j];
        maas_directions all, share;
        DESK_OK(k, maas_decompose(&k.work, x, n, d, true, 0, 1, 0, &all, &k.err));
        DESK_OK(k, maas_decompose(&k.work, x, n, d, true, 0, 0.999, 0, &share, &k.err));
        EXPECT_EQ(share.k, 3);
        double sum = 0;
        for (int64_t c = 0; c < all.k; c++)
            sum += all.singular[c] * all.singular[c];
        EXPECT_NEAR(sum / all.total, 1, 1e-12);
        for (int64_t c = 0; c < 3; c++)
            for (int64_t e = 0; e < 3; e++)
                EXPECT_NEAR(maas_dot(all.components + c * d, share.components + e * d, d), c == e,
                            1e-9);
        EXPECT(maas_decompose(&k.work, x, n, d, true, 13, 1, 0, &all, &k.err) == MAAS_E_INVALID);
        maas_arena_reset(&k.arena);
    }
}

static void large_sides_go_by_subspace(void)
{
    const int64_t n = 1600, d = 1550, r = 4;
    desk k;
    desk_open(&k, 9);
    double *a = desk_random(&k, n, r), *b = desk_random(&k, r, d), *x = desk_zeros(&k, n * d);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++)
            for (int64_t c = 0; c < r; c++)
                x[i * d + j] += (double)(r - c) * a[i * r + c] * b[c * d + j];
    maas_directions out;
    DESK_OK(k, maas_decompose(&k.work, x, n, d, false, r, 1, 1, &out, &k.err));
    double sum = 0;
    for (int64_t c = 0; c < r; c++) {
        sum += out.singular[c] * out.singular[c];
        for (int64_t e = 0; e < r; e++)
            EXPECT_NEAR(maas_dot(out.components + c * d, out.components + e * d, d), c == e, 1e-8);
    }
    EXPECT_NEAR(sum / out.total, 1, 1e-9);
    EXPECT(maas_decompose(&k.work, x, n, d, false, 0, 0.9, 1, &out, &k.err) == MAAS_E_INVALID);
    maas_arena_reset(&k.arena);
}

static const mt_case cases[] = {
    MT_CASE(products_are_those_of_plain_loops), MT_CASE(cholesky_solves_and_inverts),
    MT_CASE(eigenvectors_rebuild_their_matrix), MT_CASE(components_are_orthonormal_and_explain),
    MT_CASE(large_sides_go_by_subspace)};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
