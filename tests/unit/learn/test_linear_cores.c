/*
 * tests/unit/learn/test_linear_cores.c - linear models by what defines their optimum: the gradient
 * is zero, or within the penalty's kink.
 */
#include "numbers.h"

#include "learn/cores/lin_logit.h"
#include "learn/cores/lin_solve.h"
#include "learn/cores/linalg.h"

enum { N = 150, D = 7 };

typedef struct lines {
    desk k;
    double *x, *y, *w;
    maas_lin_data p;
    maas_lin_fit fit;
} lines;

static void lines_open(lines *s, int64_t n, int64_t d, int64_t t, bool weights)
{
    desk_open(&s->k, (uint64_t)(n + d));
    s->x = desk_random(&s->k, n, d);
    s->y = desk_zeros(&s->k, n * t);
    s->w = desk_zeros(&s->k, n);
    for (int64_t i = 0; i < n; i++) {
        s->x[i * d] = s->x[i * d] * 1000 + 5000; /* columns of different size */
        s->w[i] = (double)(i % 3);
        for (int64_t k = 0; k < t; k++)
            s->y[i * t + k] = 3 + 0.002 * s->x[i * d] - 2 * s->x[i * d + 1] * (double)(k + 1) +
                              0.1 * maas_rng_normal(&s->k.rng);
    }
    s->p = (maas_lin_data){s->x, s->y, weights ? s->w : NULL, n, d, t};
    s->fit = (maas_lin_fit){desk_zeros(&s->k, t * d), desk_zeros(&s->k, t), 0, 0};
}

/* X'(w (y - X b - a)) for target k: what the penalty must balance; [d], and the intercept's last.
 */
static void slopes(const lines *s, int64_t k, double *out)
{
    const maas_lin_data *p = &s->p;
    memset(out, 0, (size_t)(p->d + 1) * sizeof *out);
    for (int64_t i = 0; i < p->n; i++) {
        const double *b = s->fit.coef + k * p->d;
        double rest = p->y[i * p->t + k] - s->fit.intercept[k];
        rest -= maas_dot(p->x + i * p->d, b, p->d);
        rest *= p->w ? p->w[i] : 1;
        for (int64_t j = 0; j < p->d; j++)
            out[j] += rest * p->x[i * p->d + j];
        out[p->d] += rest;
    }
}

static void ridge_balances_its_penalty(void)
{
    for (int weights = 0; weights < 2; weights++)
        for (int a = 0; a < 3; a++) {
            lines s;
            double g[D + 1];
            const maas_lin_opts o = {.alpha = a * 2.5, .intercept = true};
            lines_open(&s, N, D, 2, weights);
            DESK_OK(s.k, maas_ridge_fit(&s.k.work, &s.p, &o, &s.fit, &s.k.err));
            for (int k = 0; k < 2; k++) {
                slopes(&s, k, g);
                for (int j = 0; j < D; j++)
                    EXPECT_NEAR(g[j], o.alpha * s.fit.coef[k * D + j], j ? 1e-8 : 1e-4);
                EXPECT_NEAR(g[D], 0, 1e-8);
            }
            maas_arena_reset(&s.k.arena);
        }
}

/* A column twice, a constant one, more columns than rows: the residuals are as small as they get,
 * and equal columns share. */
static void dependent_columns_have_the_shortest_answer(void)
{
    static const int64_t shapes[][2] = {{N, D}, {5, D}, {1, D}};
    for (size_t c = 0; c < MAAS_COUNT(shapes); c++) {
        const int64_t n = shapes[c][0];
        lines s;
        double g[D + 1];
        const maas_lin_opts o = {.intercept = true};
        lines_open(&s, n, D, 1, false);
        for (int64_t i = 0; i < n; i++) {
            s.x[i * D] = s.x[i * D + 2];
            s.x[i * D + 4] = s.x[i * D + 3];
            s.x[i * D + 5] = 4.5;
            s.y[i] = 3 * s.x[i * D + 3] + s.x[i * D + 1];
        }
        DESK_OK(s.k, maas_ridge_fit(&s.k.work, &s.p, &o, &s.fit, &s.k.err));
        slopes(&s, 0, g);
        for (int j = 0; j <= D; j++)
            EXPECT_NEAR(g[j], 0, 1e-8);
        EXPECT_NEAR(s.fit.coef[3], s.fit.coef[4], 1e-10);
        EXPECT_NEAR(s.fit.coef[5], 0, 1e-12);
        if (n == N)
            EXPECT_NEAR(s.fit.coef[3], 1.5, 1e-9);
        maas_arena_reset(&s.k.arena);
    }
}

static void elastic_net_is_at_its_kinks(void)
{
    static const int64_t rows[] = {N, D / 2}; /* through X'X; through the residual */
    static const double ratios[] = {1, 0.5, 0};
    for (size_t c = 0; c < MAAS_COUNT(rows); c++)
        for (size_t r = 0; r < MAAS_COUNT(ratios); r++)
            for (int positive = 0; positive < 2; positive++) {
                lines s;
                double g[D + 1];
                const int64_t n = rows[c];
                const maas_lin_opts o = {0.3, ratios[r], true, positive, 100000, 1e-12};
                lines_open(&s, n, D, 1, false);
                for (int64_t i = 0; i < n; i++)
                    s.x[i * D] /= 1000;
                DESK_OK(s.k, maas_elastic_fit(&s.k.work, &s.p, &o, &s.fit, &s.k.err));
                EXPECT_MSG(s.fit.gap <= 1e-12 && s.fit.n_iter > 0,
                           "rows %d ratio %g positive %d: gap %g in %d", (int)n, o.ratio, positive,
                           s.fit.gap, (int)s.fit.n_iter);
                slopes(&s, 0, g);
                const double l1 = o.alpha * o.ratio * (double)n;
                const double l2 = o.alpha * (1 - o.ratio) * (double)n;
                for (int j = 0; j < D; j++) {
                    const double b = s.fit.coef[j], slope = g[j] - l2 * b;
                    if (b != 0)
                        EXPECT_NEAR(slope, copysign(l1, b), 2e-4 * (double)n);
                    else
                        EXPECT((positive ? slope : fabs(slope)) <= l1 + 1e-5 * (double)n);
                    EXPECT(!positive || b >= 0);
                }
                maas_arena_reset(&s.k.arena);
            }
}

/* ---- logistic ---- */

typedef struct classes {
    desk k;
    double *x, *w, *coef, *intercept;
    int32_t *codes;
} classes;

static void classes_open(classes *s, int64_t k)
{
    desk_open(&s->k, (uint64_t)k);
    s->x = desk_random(&s->k, N, D);
    s->w = desk_zeros(&s->k, N);
    s->coef = desk_zeros(&s->k, k * D);
    s->intercept = desk_zeros(&s->k, k);
    s->codes = (int32_t *)desk_zeros(&s->k, N);
    for (int i = 0; i < N; i++) {
        s->x[i * D] = s->x[i * D] * 100 + 300;
        const double v = (s->x[i * D] - 300) / 100 + s->x[i * D + 1] + maas_rng_normal(&s->k.rng);
        s->codes[i] = (int32_t)fmin(fmax(floor((v + 2) / 4 * (double)k), 0), (double)k - 1);
        s->w[i] = 0.5 + i % 2;
    }
}

/* Gradient of the mean loss, plainly. */
static void gradient(const classes *s, int64_t k, double *g, double *g0)
{
    const int64_t r = k == 2 ? 1 : k;
    double sum_w = 0;
    memset(g, 0, (size_t)(r * D) * sizeof *g);
    memset(g0, 0, (size_t)r * sizeof *g0);
    for (int i = 0; i < N; i++)
        sum_w += s->w[i];
    for (int i = 0; i < N; i++) {
        double z[8], sum = 0;
        for (int c = 0; c < r; c++)
            sum += z[c] = exp(maas_dot(s->x + i * D, s->coef + c * D, D) + s->intercept[c]);
        for (int c = 0; c < r; c++) {
            const double p = r == 1 ? z[0] / (1 + z[0]) : z[c] / sum;
            const double e = (p - (s->codes[i] == (r == 1 ? 1 : c))) * s->w[i] / sum_w;
            for (int j = 0; j < D; j++)
                g[c * D + j] += e * s->x[i * D + j];
            g0[c] += e;
        }
    }
}

static void logistic_is_at_its_optimum(void)
{
    static const double ratios[] = {0, 1, 0.4};
    for (int64_t k = 2; k <= 4; k++)
        for (size_t q = 0; q < MAAS_COUNT(ratios); q++) {
            classes s;
            classes_open(&s, k);
            const maas_logit_data p = {s.x, s.codes, s.w, N, D, k};
            const maas_logit_opts o = {5, ratios[q], true, 5000, 1e-9};
            maas_descent_end end;
            DESK_OK(s.k, maas_logit_fit(&s.k.work, &p, &o, s.coef, s.intercept, &end, &s.k.err));
            EXPECT_MSG(end.converged, "k %d ratio %g: %d steps", (int)k, ratios[q],
                       (int)end.n_iter);
            double g[4 * D], g0[4];
            gradient(&s, k, g, g0);
            const double l1 = 5 * o.ratio / N, l2 = 5 * (1 - o.ratio) / N; /* sum w is N */
            for (int i = 0; i < (k == 2 ? 1 : k) * D; i++) {
                const double b = s.coef[i], slope = g[i] + l2 * b;
                if (b != 0)
                    EXPECT_NEAR(slope, l1 > 0 ? -copysign(l1, b) : 0, 2e-8);
                else
                    EXPECT(fabs(slope) <= l1 + 2e-8);
            }
            for (int c = 0; c < (k == 2 ? 1 : k); c++)
                EXPECT_NEAR(g0[c], 0, 2e-8);
            maas_arena_reset(&s.k.arena);
        }
}

static bool never(void *user)
{
    (void)user;
    return true;
}

static void cancelled_and_out_of_memory_are_said(void)
{
    classes s;
    classes_open(&s, 3);
    const maas_logit_data p = {s.x, s.codes, NULL, N, D, 3};
    const maas_logit_opts o = {1, 0, true, 100, 1e-9};
    maas_descent_end end;
    const maas_train_hooks hooks = {.cancelled = never};
    s.k.work.hooks = &hooks;
    EXPECT_EQ(maas_logit_fit(&s.k.work, &p, &o, s.coef, s.intercept, &end, &s.k.err),
              MAAS_E_CANCELLED);
    maas_arena small;
    maas_budget budget = {.limit = 1000};
    maas_arena_init(&small, &budget);
    s.k.work = (maas_work){.arena = &small, .n_threads = 1};
    s.k.err = (maas_err){0};
    EXPECT_EQ(maas_logit_fit(&s.k.work, &p, &o, s.coef, s.intercept, &end, &s.k.err), MAAS_E_NOMEM);
    EXPECT(strstr(s.k.err.msg, "memory") != NULL);
    maas_arena_reset(&small);
    EXPECT_EQ(budget.used, 0);
    maas_arena_reset(&s.k.arena);
}

static const mt_case cases[] = {
    MT_CASE(ridge_balances_its_penalty), MT_CASE(dependent_columns_have_the_shortest_answer),
    MT_CASE(elastic_net_is_at_its_kinks), MT_CASE(logistic_is_at_its_optimum),
    MT_CASE(cancelled_and_out_of_memory_are_said)};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
