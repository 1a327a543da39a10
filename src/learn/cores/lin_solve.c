/*
 * learn/cores/lin_solve.c - least squares and ridge through the normal equations of whichever side
 * is smaller.
 *
 * Cholesky of X'X squares the condition of X; two steps of refinement with residuals of X itself
 * bring the answer back to what a factorization of X would give as long as the Cholesky succeeds.
 * Where it does not (columns depend on each other, or more columns than rows), eigenvectors give
 * the shortest answer.
 */
#include "learn/cores/lin_solve.h"

#include <math.h>

#include "learn/cores/linalg.h"

#include "base/ban.h"

#define TINY_PIVOT 1e-10 /* 1 - R^2 of a column on those before it */
#define TINY_VALUE 1e-13 /* eigenvalues below this share of the largest (times the size) are 0 */

static double weight_of(const maas_lin_data *p, int64_t i)
{
    return p->w ? p->w[i] : 1;
}

static void add_means(const maas_lin_data *p, maas_lin_centred *c)
{
    for (int64_t i = 0; i < p->n; i++) {
        const double w = weight_of(p, i) / c->sum_w;
        for (int64_t k = 0; k < p->d; k++)
            c->x_mean[k] += w * p->x[i * p->d + k];
        for (int64_t k = 0; k < p->t; k++)
            c->y_mean[k] += w * p->y[i * p->t + k];
    }
}

maas_status maas_lin_centre(maas_work *w, const maas_lin_data *p, bool intercept, bool columns,
                            maas_lin_centred *out, maas_err *err)
{
    double *means = maas_work_doubles(w, 1, p->d + p->t, "means", err);
    out->x = means ? maas_work_doubles(w, p->n, p->d, "centred rows", err) : NULL;
    out->y = out->x ? maas_work_doubles(w, p->n, p->t, "centred targets", err) : NULL;
    if (!out->y)
        return MAAS_E_NOMEM;
    out->x_mean = means;
    out->y_mean = means + p->d;
    out->sum_w = 0;
    for (int64_t i = 0; i < p->n; i++)
        out->sum_w += weight_of(p, i);
    if (!(out->sum_w > 0))
        return maas_fail(err, MAAS_E_INVALID, "the weights of all rows are 0");
    if (intercept)
        add_means(p, out);
    const int64_t row = columns ? 1 : p->d, col = columns ? p->n : 1;
    for (int64_t i = 0; i < p->n; i++) {
        const double root = sqrt(weight_of(p, i));
        for (int64_t k = 0; k < p->d; k++)
            out->x[i * row + k * col] = root * (p->x[i * p->d + k] - out->x_mean[k]);
        for (int64_t k = 0; k < p->t; k++)
            out->y[k * p->n + i] = root * (p->y[i * p->t + k] - out->y_mean[k]);
    }
    return MAAS_OK;
}

void maas_lin_intercepts(const maas_lin_data *p, const maas_lin_centred *c, maas_lin_fit *out)
{
    for (int64_t k = 0; k < p->t; k++)
        out->intercept[k] = c->y_mean[k] - maas_dot(c->x_mean, out->coef + k * p->d, p->d);
}

/* ---- more rows than columns, and they are independent ---- */

/* b += (X'X + alpha)^-1 (X'(y - X b) - alpha b) */
static void improve(maas_work *w, const maas_lin_data *p, const maas_lin_centred *c, double alpha,
                    const double *l, const double *y, double *b, double *rest, double *step)
{
    maas_times(w, c->x, p->n, p->d, b, 0, rest);
    for (int64_t i = 0; i < p->n; i++)
        rest[i] = y[i] - rest[i];
    maas_times_t(w, c->x, p->n, p->d, rest, step);
    for (int64_t k = 0; k < p->d; k++)
        step[k] -= alpha * b[k];
    maas_cholesky_solve(l, p->d, step);
    for (int64_t k = 0; k < p->d; k++)
        b[k] += step[k];
}

static maas_status by_cholesky(maas_work *w, const maas_lin_data *p, const maas_lin_centred *c,
                               double alpha, double *gram, maas_lin_fit *out, maas_err *err)
{
    double *scratch = maas_work_doubles(w, 1, p->n + p->d, "residuals", err);
    if (!scratch)
        return MAAS_E_NOMEM;
    for (int64_t k = 0; k < p->t; k++) {
        double *b = out->coef + k * p->d;
        memset(b, 0, (size_t)p->d * sizeof *b);
        for (int pass = 0; pass < 3; pass++) {
            MAAS_TRY(maas_work_go_on(w, (double)k / (double)p->t, "solving", err));
            improve(w, p, c, alpha, gram, c->y + k * p->n, b, scratch, scratch + p->n);
        }
    }
    return MAAS_OK;
}

/* ---- by eigenvectors ---- */

/* z = V f(value) V' r, where f is 1 / (value + alpha), or 0 for values that are nothing but
 * rounding. v has the vectors as rows. */
static void through_vectors(const double *v, const double *values, int64_t m, double alpha,
                            const double *r, double *z)
{
    memset(z, 0, (size_t)m * sizeof *z);
    const double least = TINY_VALUE * (double)m * values[m - 1];
    for (int64_t i = 0; i < m; i++) {
        if (values[i] <= least && alpha == 0)
            continue;
        const double f = maas_dot(v + i * m, r, m) / (fmax(values[i], 0) + alpha);
        for (int64_t k = 0; k < m; k++)
            z[k] += f * v[i * m + k];
    }
}

static maas_status by_vectors(maas_work *w, const maas_lin_data *p, const maas_lin_centred *c,
                              double alpha, maas_lin_fit *out, maas_err *err)
{
    const bool dual = p->d > p->n;
    const int64_t m = dual ? p->n : p->d;
    double *g = maas_work_doubles(w, m, m, "products of columns", err);
    double *values = g ? maas_work_doubles(w, 2, m, "eigenvalues", err) : NULL;
    if (!values)
        return MAAS_E_NOMEM;
    if (dual)
        MAAS_TRY(maas_gram_rows(w, c->x, p->n, p->d, g, err));
    else
        maas_gram(w, c->x, p->n, p->d, g);
    MAAS_TRY(maas_eigh(w, g, m, values, err));
    double *scratch = values + m;
    for (int64_t k = 0; k < p->t; k++) {
        double *b = out->coef + k * p->d;
        if (dual) {
            through_vectors(g, values, m, alpha, c->y + k * p->n, scratch);
            maas_times_t(w, c->x, p->n, p->d, scratch, b);
        } else {
            maas_times_t(w, c->x, p->n, p->d, c->y + k * p->n, scratch);
            through_vectors(g, values, m, alpha, scratch, b);
        }
    }
    return MAAS_OK;
}

maas_status maas_ridge_fit(maas_work *w, const maas_lin_data *p, const maas_lin_opts *o,
                           maas_lin_fit *out, maas_err *err)
{
    maas_lin_centred c;
    MAAS_TRY(maas_lin_centre(w, p, o->intercept, false, &c, err));
    bool solved = false;
    if (p->d <= p->n) {
        double *g = maas_work_doubles(w, p->d, p->d, "products of columns", err);
        if (!g)
            return MAAS_E_NOMEM;
        maas_gram(w, c.x, p->n, p->d, g);
        for (int64_t k = 0; k < p->d; k++)
            g[k * p->d + k] += o->alpha;
        solved = maas_cholesky(g, p->d, TINY_PIVOT);
        if (solved)
            MAAS_TRY(by_cholesky(w, p, &c, o->alpha, g, out, err));
    }
    if (!solved)
        MAAS_TRY(by_vectors(w, p, &c, o->alpha, out, err));
    maas_lin_intercepts(p, &c, out);
    return MAAS_OK;
}
