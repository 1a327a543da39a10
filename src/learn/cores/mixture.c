/*
 * learn/cores/mixture.c - mixtures of Gaussians by expectation and maximization, begun with
 * k-means.
 *
 * Densities go through a factor of the inverse covariance: with covariance L L', the factor is the
 * transposed inverse of L, and |(x - mean) factor|^2 is the Mahalanobis distance.
 */
#include "learn/cores/cluster.h"

#include <math.h>

#include "learn/cores/linalg.h"

#include "base/ban.h"

#define LOG_2PI 1.8378770664093453

typedef struct em {
    const maas_points *p;
    const maas_mixture_opts *o;
    double *r;       /* [n][k] scores, then responsibilities */
    double *rows;    /* [n][d] scratch: rows minus a mean, maybe weighted */
    double *mass;    /* [k] */
    double *cov;     /* [d][d] or [d] */
    double *through; /* [n][d] rows times a factor */
    maas_mixture_fit *fit;
} em;

int64_t maas_mixture_factors(int covariance, int64_t k, int64_t d)
{
    static const struct {
        bool each, square;
    } shapes[] = {
        [MAAS_COVARIANCE_FULL] = {true, true},
        [MAAS_COVARIANCE_TIED] = {false, true},
        [MAAS_COVARIANCE_DIAG] = {true, false},
        [MAAS_COVARIANCE_SPHERICAL] = {true, false},
    };
    return (shapes[covariance].each ? k : 1) * d * (shapes[covariance].square ? d : 1);
}

static bool is_square(int covariance)
{
    return covariance == MAAS_COVARIANCE_FULL || covariance == MAAS_COVARIANCE_TIED;
}

static double *factor_of(const maas_mixture_fit *f, int covariance, int64_t c, int64_t d)
{
    const int64_t each = is_square(covariance) ? d * d : d;
    return f->factors + (covariance == MAAS_COVARIANCE_TIED ? 0 : c) * each;
}

/* ---- scores ---- */

static void minus(const maas_points *p, const double *mean, const double *times, double *out)
{
    for (int64_t i = 0; i < p->n; i++)
        for (int64_t j = 0; j < p->d; j++)
            out[i * p->d + j] = (p->x[i * p->d + j] - mean[j]) * (times ? times[j] : 1);
}

static void score(maas_work *w, const maas_points *p, int covariance, int64_t k,
                  const maas_mixture_fit *f, double *rows, double *through, double *out)
{
    const int64_t n = p->n, d = p->d;
    for (int64_t c = 0; c < k; c++) {
        const double *factor = factor_of(f, covariance, c, d), *z = rows;
        const bool square = is_square(covariance);
        minus(p, f->means + c * d, square ? NULL : factor, rows);
        if (square) {
            maas_dgemm(w, n, d, d, (maas_side){rows, d, 1}, (maas_side){factor, d, 1}, through,
                       false);
            z = through;
        }
        for (int64_t i = 0; i < n; i++)
            out[i * k + c] = f->log_norm[c] - 0.5 * maas_dot(z + i * d, z + i * d, d);
    }
}

maas_status maas_mixture_scores(maas_work *w, const maas_points *p, int covariance, int64_t k,
                                const maas_mixture_fit *fit, double *scores, maas_err *err)
{
    double *rows = maas_work_doubles(w, 2 * p->n, p->d, "rows", err);
    if (!rows)
        return MAAS_E_NOMEM;
    score(w, p, covariance, k, fit, rows, rows + p->n * p->d, scores);
    return MAAS_OK;
}

/* Scores to responsibilities; returns the mean log-likelihood. */
static double expect(const em *s)
{
    const int64_t k = s->o->k;
    double sum = 0;
    for (int64_t i = 0; i < s->p->n; i++) {
        double *z = s->r + i * k, top = z[0], all = 0;
        for (int64_t c = 1; c < k; c++)
            top = fmax(top, z[c]);
        for (int64_t c = 0; c < k; c++)
            all += z[c] = exp(z[c] - top);
        for (int64_t c = 0; c < k; c++)
            z[c] /= all;
        sum += top + log(all);
    }
    return sum / (double)s->p->n;
}

/* ---- parameters from responsibilities ---- */

static void means_of(maas_work *w, const em *s)
{
    const int64_t n = s->p->n, d = s->p->d, k = s->o->k;
    memset(s->mass, 0, (size_t)k * sizeof *s->mass);
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < k; c++)
            s->mass[c] += s->r[i * k + c];
    maas_dgemm(w, k, d, n, (maas_side){s->r, 1, k}, (maas_side){s->p->x, d, 1}, s->fit->means,
               false);
    for (int64_t c = 0; c < k; c++) {
        s->mass[c] += 10 * 2.220446049250313e-16; /* a component that has lost its rows */
        s->fit->weights[c] = s->mass[c] / (double)n;
        for (int64_t j = 0; j < d; j++)
            s->fit->means[c * d + j] /= s->mass[c];
    }
}

/* cov += or = sum_i r_ic (x_i - mean_c)(x_i - mean_c)' */
static void scatter(maas_work *w, const em *s, int64_t c, bool add)
{
    const int64_t n = s->p->n, d = s->p->d, k = s->o->k;
    minus(s->p, s->fit->means + c * d, NULL, s->rows);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++)
            s->through[i * d + j] = s->r[i * k + c] * s->rows[i * d + j];
    maas_dgemm(w, d, d, n, (maas_side){s->through, 1, d}, (maas_side){s->rows, d, 1}, s->cov, add);
}

/* cov / mass + floor -> factor; returns log |factor|. */
static maas_status factorize(const em *s, double mass, double *factor, double *out_log_det,
                             maas_err *err)
{
    const int64_t d = s->p->d;
    for (int64_t i = 0; i < d * d; i++)
        s->cov[i] /= mass;
    for (int64_t j = 0; j < d; j++)
        s->cov[j * d + j] += s->o->floor;
    if (!maas_cholesky(s->cov, d, 1e-15))
        return maas_fail(err, MAAS_E_INVALID,
                         "a component has collapsed: fewer components, or a larger reg_covar");
    maas_lower_invert(s->cov, d);
    *out_log_det = 0;
    for (int64_t j = 0; j < d; j++) {
        *out_log_det += log(s->cov[j * d + j]);
        for (int64_t i = 0; i < d; i++)
            factor[j * d + i] = j <= i ? s->cov[i * d + j] : 0;
    }
    return MAAS_OK;
}

/* Variances of the columns within a component -> one over their roots. */
static double spread(const em *s, int64_t c, double *factor)
{
    const int64_t n = s->p->n, d = s->p->d, k = s->o->k;
    double *var = s->cov, log_det = 0, mean = 0;
    memset(var, 0, (size_t)d * sizeof *var);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++) {
            const double v = s->p->x[i * d + j] - s->fit->means[c * d + j];
            var[j] += s->r[i * k + c] * v * v;
        }
    for (int64_t j = 0; j < d; j++) {
        var[j] = var[j] / s->mass[c] + s->o->floor;
        mean += var[j] / (double)d;
    }
    for (int64_t j = 0; j < d; j++) {
        factor[j] = 1 / sqrt(s->o->covariance == MAAS_COVARIANCE_SPHERICAL ? mean : var[j]);
        log_det += log(factor[j]);
    }
    return log_det;
}

static maas_status maximize(maas_work *w, const em *s, maas_err *err)
{
    const int64_t d = s->p->d, k = s->o->k;
    const int how = s->o->covariance;
    double log_det = 0;
    means_of(w, s);
    if (how == MAAS_COVARIANCE_TIED) {
        for (int64_t c = 0; c < k; c++)
            scatter(w, s, c, c > 0);
        MAAS_TRY(factorize(s, (double)s->p->n, s->fit->factors, &log_det, err));
    }
    for (int64_t c = 0; c < k; c++) {
        double *factor = factor_of(s->fit, how, c, d);
        if (how == MAAS_COVARIANCE_FULL) {
            scatter(w, s, c, false);
            MAAS_TRY(factorize(s, s->mass[c], factor, &log_det, err));
        } else if (how != MAAS_COVARIANCE_TIED) {
            log_det = spread(s, c, factor);
        }
        s->fit->log_norm[c] = log(s->fit->weights[c]) - 0.5 * (double)d * LOG_2PI + log_det;
    }
    return MAAS_OK;
}

/* ---- the run ---- */

static maas_status begin(maas_work *w, em *s, uint64_t seed, int32_t *label, maas_err *err)
{
    const int64_t n = s->p->n, k = s->o->k;
    const maas_kmeans_opts km = {.k = k, .n_init = 1, .max_iter = 300, .tol = 1e-4, .seed = seed};
    maas_kmeans_fit groups = {.centres = s->fit->means, .label = label};
    MAAS_TRY(maas_kmeans_run(w, s->p, &km, &groups, err));
    memset(s->r, 0, (size_t)(n * k) * sizeof *s->r);
    for (int64_t i = 0; i < n; i++)
        s->r[i * k + label[i]] = 1;
    return maximize(w, s, err);
}

static maas_status iterate(maas_work *w, em *s, maas_err *err)
{
    const maas_mixture_opts *o = s->o;
    double before = -INFINITY;
    s->fit->converged = false;
    for (s->fit->n_iter = 0; s->fit->n_iter < o->max_iter && !s->fit->converged;) {
        MAAS_TRY(maas_work_go_on(w, (double)s->fit->n_iter / (double)o->max_iter, "mixture", err));
        score(w, s->p, o->covariance, o->k, s->fit, s->rows, s->through, s->r);
        const double now = expect(s);
        MAAS_TRY(maximize(w, s, err));
        s->fit->n_iter++;
        s->fit->mean_log_likelihood = now;
        s->fit->converged = fabs(now - before) < o->tol;
        before = now;
    }
    return MAAS_OK;
}

static maas_status fit_arrays(maas_work *w, const maas_mixture_opts *o, int64_t d,
                              maas_mixture_fit *f, maas_err *err)
{
    const int64_t k = o->k, n = maas_mixture_factors(o->covariance, k, d);
    double *m = maas_work_doubles(w, 1, 2 * k + k * d + n, "components", err);
    if (!m)
        return MAAS_E_NOMEM;
    *f = (maas_mixture_fit){.weights = m, .log_norm = m + k, .means = m + 2 * k};
    f->factors = f->means + k * d;
    return MAAS_OK;
}

maas_status maas_mixture_run(maas_work *w, const maas_points *p, const maas_mixture_opts *o,
                             maas_mixture_fit *out, maas_err *err)
{
    const int64_t n = p->n, d = p->d;
    maas_mixture_fit fit[2];
    MAAS_TRY(fit_arrays(w, o, d, &fit[0], err));
    MAAS_TRY(fit_arrays(w, o, d, &fit[1], err));
    em s = {.p = p, .o = o};
    s.r = maas_work_doubles(w, n, o->k, "responsibilities", err);
    s.rows = s.r ? maas_work_doubles(w, 2 * n, d, "rows", err) : NULL;
    s.cov = s.rows ? maas_work_doubles(w, d, d, "covariance", err) : NULL;
    s.mass = s.cov ? maas_work_doubles(w, 1, o->k, "weights", err) : NULL;
    int32_t *label = s.mass ? maas_work_array(w, 1, n, sizeof *label, "labels", err) : NULL;
    if (!label)
        return MAAS_E_NOMEM;
    s.through = s.rows + n * d;
    int best = 1;
    for (int64_t i = 0; i < o->n_init; i++) {
        s.fit = &fit[1 - best];
        MAAS_TRY(begin(w, &s, o->seed + (uint64_t)i, label, err));
        MAAS_TRY(iterate(w, &s, err));
        if (i == 0 || s.fit->mean_log_likelihood > fit[best].mean_log_likelihood)
            best = 1 - best;
    }
    *out = fit[best];
    return MAAS_OK;
}
