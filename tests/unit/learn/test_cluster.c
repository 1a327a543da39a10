/* tests/unit/learn/test_cluster.c - groups against brute force, and against where rows were drawn.
 */
#include "numbers.h"

#include "learn/cores/cluster.h"

enum { D = 5 };

/* n rows around k centres that are `apart`; row i belongs to i % k. */
static double *blobs(desk *k, int64_t n, int64_t groups, double apart)
{
    double *c = desk_random(k, groups, D), *x = desk_random(k, n, D);
    for (int64_t i = 0; i < n; i++)
        for (int j = 0; j < D; j++)
            x[i * D + j] += apart * c[i % groups * D + j];
    return x;
}

static double d2(const double *a, const double *b)
{
    double sum = 0;
    for (int j = 0; j < D; j++)
        sum += (a[j] - b[j]) * (a[j] - b[j]);
    return sum;
}

static void nearest_is_that_of_brute_force(void)
{
    desk k;
    desk_open(&k, 4);
    const maas_points p = {blobs(&k, 3001, 7, 3), 3001, D};
    double *c = desk_random(&k, 9, D), *got = desk_zeros(&k, p.n);
    int32_t *label = (int32_t *)desk_zeros(&k, p.n);
    maas_nearest s;
    DESK_OK(k, maas_nearest_init(&k.work, &p, 9, &s, &k.err));
    maas_nearest_set(&s, c);
    const double sum = maas_nearest_all(&k.work, &s, label, got);
    double want = 0;
    for (int64_t i = 0; i < p.n; i++) {
        int best = 0;
        for (int g = 1; g < 9; g++)
            best = d2(p.x + i * D, c + g * D) < d2(p.x + i * D, c + best * D) ? g : best;
        EXPECT_EQ(label[i], best);
        EXPECT_NEAR(got[i], d2(p.x + i * D, c + best * D), 1e-9);
        want += got[i];
    }
    EXPECT_NEAR(sum, want, 1e-6);
    maas_arena_reset(&k.arena);
}

static void kmeans_finds_what_is_apart(void)
{
    for (int batch = 0; batch < 2; batch++)
        for (int start = 0; start < 2; start++) {
            desk k;
            desk_open(&k, 8);
            const maas_points p = {blobs(&k, 2000, 4, 20), 2000, D};
            maas_kmeans_fit fit = {.centres = desk_zeros(&k, 4 * D),
                                   .label = (int32_t *)desk_zeros(&k, p.n)};
            const maas_kmeans_opts o = {.k = 4,
                                        .n_init = start ? 10 : 2,
                                        .max_iter = 100,
                                        .batch = batch ? 200 : 0,
                                        .tol = 1e-4,
                                        .seed = 3,
                                        .random_start = start};
            DESK_OK(k, maas_kmeans_run(&k.work, &p, &o, &fit, &k.err));
            for (int64_t i = 4; i < p.n; i++)
                EXPECT_EQ(fit.label[i], fit.label[i % 4]);
            EXPECT(fit.inertia < 1.1 * (double)(p.n * D));
            k.work.n_threads = 1; /* the same bits, whoever shares the work */
            maas_kmeans_fit again = {.centres = desk_zeros(&k, 4 * D),
                                     .label = (int32_t *)desk_zeros(&k, p.n)};
            DESK_OK(k, maas_kmeans_run(&k.work, &p, &o, &again, &k.err));
            EXPECT(memcmp(fit.centres, again.centres, 4 * D * sizeof(double)) == 0);
            maas_arena_reset(&k.arena);
        }
}

static void kmeans_of_hard_rows(void)
{
    desk k;
    desk_open(&k, 1);
    double same[6 * D], centres[6 * D];
    int32_t label[6];
    for (int i = 0; i < 6 * D; i++)
        same[i] = 2;
    maas_points p = {same, 6, D};
    maas_kmeans_fit fit = {.centres = centres, .label = label};
    maas_kmeans_opts o = {.k = 3, .n_init = 2, .max_iter = 10, .seed = 1};
    DESK_OK(k, maas_kmeans_run(&k.work, &p, &o, &fit, &k.err)); /* more groups than kinds of rows */
    EXPECT_NEAR(fit.inertia, 0, 1e-12);
    o.k = 7;
    EXPECT_EQ(maas_kmeans_run(&k.work, &p, &o, &fit, &k.err), MAAS_E_INVALID);
    EXPECT(strstr(k.err.msg, "7 groups of 6 rows") != NULL);
    maas_arena_reset(&k.arena);
}

/* The textbook way: expand from each core row in order. */
static void plain_dbscan(const maas_points *p, double eps, int64_t least, int32_t *label)
{
    int32_t groups = 0;
    static int64_t queue[4000];
    for (int64_t i = 0; i < p->n; i++)
        label[i] = -2;
    for (int64_t i = 0; i < p->n; i++) {
        if (label[i] >= 0)
            continue;
        int64_t head = 0, tail = 0, g = -1;
        queue[tail++] = i;
        while (head < tail) {
            const int64_t row = queue[head++];
            int64_t n = 0;
            for (int64_t j = 0; j < p->n; j++)
                n += d2(p->x + row * D, p->x + j * D) <= eps * eps;
            if (row == i && n < least)
                break;
            if (g < 0)
                g = groups++;
            label[row] = (int32_t)g;
            for (int64_t j = 0; n >= least && j < p->n; j++)
                if (label[j] < 0 && label[j] != -3 &&
                    d2(p->x + row * D, p->x + j * D) <= eps * eps) {
                    label[j] = -3; /* in the queue */
                    queue[tail++] = j;
                }
        }
    }
    for (int64_t i = 0; i < p->n; i++)
        label[i] = label[i] < 0 ? -1 : label[i];
}

static void dbscan_is_that_of_brute_force(void)
{
    static const double eps[] = {0.8, 1.6, 2.2, 4};
    for (size_t e = 0; e < MAAS_COUNT(eps); e++) {
        desk k;
        desk_open(&k, e);
        const maas_points p = {blobs(&k, 1100, 3, 4), 1100, D};
        int32_t *got = (int32_t *)desk_zeros(&k, p.n), *want = (int32_t *)desk_zeros(&k, p.n), n;
        bool *core = (bool *)desk_zeros(&k, p.n);
        DESK_OK(k, maas_dbscan_run(&k.work, &p, eps[e], 5, got, core, &n, &k.err));
        plain_dbscan(&p, eps[e], 5, want);
        int bad = 0, top = -1;
        for (int64_t i = 0; i < p.n; i++) {
            bad += got[i] != want[i];
            top = got[i] > top ? got[i] : top;
        }
        EXPECT_EQ(bad, 0);
        EXPECT_EQ(n, top + 1);
        maas_arena_reset(&k.arena);
    }
}

static void mixtures_find_where_rows_were_drawn(void)
{
    for (int how = MAAS_COVARIANCE_FULL; how <= MAAS_COVARIANCE_SPHERICAL; how++) {
        desk k;
        desk_open(&k, 2);
        const maas_points p = {blobs(&k, 3000, 3, 8), 3000, D};
        const maas_mixture_opts o = {3, 1, 100, how, 1e-6, 1e-6, 5};
        maas_mixture_fit fit;
        DESK_OK(k, maas_mixture_run(&k.work, &p, &o, &fit, &k.err));
        EXPECT(fit.converged);
        for (int c = 0; c < 3; c++)
            EXPECT_NEAR(fit.weights[c], 1.0 / 3, 0.01);
        /* unit variances: entropy of D normals and of the choice */
        EXPECT_NEAR(fit.mean_log_likelihood, -D * 0.5 * (log(2 * M_PI) + 1) - log(3), 0.06);
        double *z = desk_zeros(&k, p.n * 3), sum = 0;
        DESK_OK(k, maas_mixture_scores(&k.work, &p, how, 3, &fit, z, &k.err));
        for (int64_t i = 0; i < p.n; i++) {
            const double *v = z + i * 3, top = fmax(v[0], fmax(v[1], v[2]));
            sum += top + log(exp(v[0] - top) + exp(v[1] - top) + exp(v[2] - top));
        }
        EXPECT_NEAR(sum / (double)p.n, fit.mean_log_likelihood, 1e-5);
        maas_arena_reset(&k.arena);
    }
}

static void silhouette_is_that_of_its_definition(void)
{
    desk k;
    desk_open(&k, 6);
    enum { N = 90 };
    const maas_points p = {blobs(&k, N, 3, 2), N, D};
    int32_t label[N];
    double got, want = 0;
    for (int i = 0; i < N; i++)
        label[i] = i % 3;
    for (int i = 0; i < N; i++) {
        double mean[3] = {0};
        for (int j = 0; j < N; j++)
            mean[j % 3] += sqrt(d2(p.x + i * D, p.x + j * D)) / (j % 3 == i % 3 ? 29 : 30);
        const double a = mean[i % 3], b = fmin(mean[(i + 1) % 3], mean[(i + 2) % 3]);
        want += (b - a) / fmax(a, b) / N;
    }
    DESK_OK(k, maas_silhouette(&k.work, &p, label, 3, &got, &k.err));
    EXPECT_NEAR(got, want, 1e-12);
    memset(label, 0, sizeof label);
    DESK_OK(k, maas_silhouette(&k.work, &p, label, 3, &got, &k.err));
    EXPECT(isnan(got));
    maas_arena_reset(&k.arena);
}

static const mt_case cases[] = {MT_CASE(nearest_is_that_of_brute_force),
                                MT_CASE(kmeans_finds_what_is_apart),
                                MT_CASE(kmeans_of_hard_rows),
                                MT_CASE(dbscan_is_that_of_brute_force),
                                MT_CASE(mixtures_find_where_rows_were_drawn),
                                MT_CASE(silhouette_is_that_of_its_definition)};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
