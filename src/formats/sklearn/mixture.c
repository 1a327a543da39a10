/*
 * formats/sklearn/mixture.c - Gaussian densities: GaussianMixture, BayesianGaussianMixture,
 * EllipticEnvelope.
 *
 *   log share of component k = log weight[k] + log det(L[k]) - (|(x - mean[k]) L[k]|^2
 *                              + f log 2 pi) / 2,    L L' = its precision
 *
 * The Bayesian mixture adds what it expects of weights and precisions, constants of the file.
 */
#include <math.h>
#include <string.h>

#include "formats/sklearn/parts.h"

#include "base/ban.h"

typedef enum shape { FULL, TIED, DIAGONAL, SPHERICAL } shape;

typedef struct mixture {
    int64_t n, f; /* components, features */
    int shape;
    const double *mean; /* [n][f] */
    const double *chol; /* precisions_cholesky_, by shape */
    double *constant;   /* [n] everything that does not depend on the row */
} mixture;

static maas_status read_shape(maas_sk *s, const maas_pk *est, mixture *m)
{
    static const char *const words[] = {"full", "tied", "diag", "spherical", NULL};
    static const int ranks[] = {3, 2, 2, 1};
    const maas_tensor *mean, *chol;
    int64_t dims[3] = {-1, -1, 0};
    MAAS_TRY(maas_sk_word(s, est, "covariance_type", words, FULL, &m->shape));
    MAAS_TRY(maas_sk_int(s, est, "n_features_in_", &dims[1]));
    MAAS_TRY(maas_sk_array(s, est, "means_", MAAS_F64, 2, dims, &mean));
    m->n = dims[0];
    m->f = dims[1];
    if (m->n < 1 || m->f < 1)
        return maas_sk_fail(s, MAAS_E_FORMAT, "means_ is empty");
    int64_t full[3] = {m->n, m->f, m->f}, tied[2] = {m->f, m->f};
    MAAS_TRY(maas_sk_array(s, est, "precisions_cholesky_", MAAS_F64, ranks[m->shape],
                           m->shape == TIED ? tied : full, &chol));
    m->mean = mean->data;
    m->chol = chol->data;
    m->constant = maas_sk_alloc(s, (size_t)m->n, sizeof *m->constant);
    return s->b.status;
}

/* log det of a component's factor */
static double log_det(const mixture *m, int64_t k)
{
    double sum = 0;
    for (int64_t j = 0; j < m->f; j++)
        sum += log(m->shape == FULL       ? m->chol[(k * m->f + j) * m->f + j]
                   : m->shape == TIED     ? m->chol[j * m->f + j]
                   : m->shape == DIAGONAL ? m->chol[k * m->f + j]
                                          : m->chol[k]);
    return sum;
}

/* ---- squared distances in units of the component, [n_rows, n] ---- */

static maas_vid sum_of_squares(maas_sk *s, maas_vid y) /* [n, k, f] -> [n, k] */
{
    return maas_sk_reduce(s, "ReduceSum", maas_sk_square(s, y), false);
}

static maas_vid full(maas_sk *s, const mixture *m, maas_vid x)
{
    const int64_t n = m->n, f = m->f;
    maas_tensor *w = maas_sk_new_array(s, f, n * f), *bias = maas_sk_new_array(s, n * f, 0);
    if (!w || !bias)
        return MAAS_NO_VALUE;
    for (int64_t k = 0; k < n; k++)
        for (int64_t i = 0; i < f; i++)
            for (int64_t j = 0; j < f; j++) {
                const double v = m->chol[(k * f + i) * f + j];
                maas_sk_f64_of(w)[i * n * f + k * f + j] = v;
                maas_sk_f64_of(bias)[k * f + j] -= m->mean[k * f + i] * v;
            }
    maas_vid y = maas_sk_affine(s, x, w, bias);
    return sum_of_squares(
        s, maas_b_op2(&s->b, "Reshape", y, maas_b_i64s(&s->b, (int64_t[]){-1, n, f}, 3)));
}

static maas_vid tied(maas_sk *s, const mixture *m, maas_vid x)
{
    const int64_t n = m->n, f = m->f, dims[2] = {f, f};
    maas_tensor *centre = maas_sk_new_array(s, n, f);
    if (!centre)
        return MAAS_NO_VALUE;
    for (int64_t k = 0; k < n; k++)
        for (int64_t i = 0; i < f; i++)
            for (int64_t j = 0; j < f; j++)
                maas_sk_f64_of(centre)[k * f + j] += m->mean[k * f + i] * m->chol[i * f + j];
    const maas_tensor w = maas_tensor_of(MAAS_F64, 2, dims, (void *)(uintptr_t)m->chol);
    maas_vid y = maas_sk_affine(s, x, &w, NULL);
    y = maas_b_op2(&s->b, "Unsqueeze", y, maas_b_i64s(&s->b, (int64_t[]){1}, 1));
    return sum_of_squares(s, MAAS_SK_SUB(s, y, maas_sk_const(s, centre)));
}

/* DIAGONAL and SPHERICAL: x^2 p - 2 x (mean p) + sum(mean^2 p), p the precisions. */
static maas_vid by_feature(maas_sk *s, const mixture *m, maas_vid x)
{
    const int64_t n = m->n, f = m->f;
    maas_tensor *p = maas_sk_new_array(s, n, f), *slope = maas_sk_new_array(s, n, f);
    maas_tensor *bias = maas_sk_new_array(s, n, 0);
    if (!p || !slope || !bias)
        return MAAS_NO_VALUE;
    for (int64_t k = 0; k < n; k++)
        for (int64_t j = 0; j < f; j++) {
            const double c = m->chol[m->shape == DIAGONAL ? k * f + j : k];
            const double mean = m->mean[k * f + j];
            maas_sk_f64_of(p)[k * f + j] = c * c;
            maas_sk_f64_of(slope)[k * f + j] = -2 * mean * c * c;
            maas_sk_f64_of(bias)[k] += mean * mean * c * c;
        }
    return MAAS_SK_ADD(s, maas_sk_linear(s, x, slope, bias),
                       maas_sk_linear(s, maas_sk_square(s, x), p, NULL));
}

static maas_status answer(maas_sk *s, const mixture *m, const maas_sk_table *in, maas_sk_out *out)
{
    static maas_vid (*const distance[])(maas_sk *, const mixture *,
                                        maas_vid) = {full, tied, by_feature, by_feature};
    const double two_pi = 6.28318530717958647693;
    for (int64_t k = 0; k < m->n; k++)
        m->constant[k] += log_det(m, k) - 0.5 * (double)m->f * log(two_pi);
    maas_vid d = distance[m->shape](s, m, maas_sk_matrix(s, in, m->f));
    maas_vid shares = MAAS_SK_SUB(s, maas_sk_f64s(s, m->constant, m->n),
                                  MAAS_SK_MUL(s, d, maas_sk_f64(s, 0.5)));
    out->label = maas_sk_argmax(s, shares);
    out->probabilities = maas_sk_softmax(s, shares);
    return s->b.status;
}

static maas_status gaussian_mixture(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                    unsigned need, maas_sk_out *out)
{
    mixture m = {0};
    const maas_tensor *weight;
    MAAS_TRY(read_shape(s, est, &m));
    MAAS_TRY(maas_sk_array(s, est, "weights_", MAAS_F64, 1, &m.n, &weight));
    for (int64_t k = 0; k < m.n; k++)
        m.constant[k] = log(maas_sk_f64_of(weight)[k]);
    return answer(s, &m, in, out);
}

/* ---- the Bayesian mixture ---- */

/* Derivative of log gamma for x > 0: up to where the asymptotic series is exact in F64. */
static double digamma(double x)
{
    double sum = 0;
    if (!(x > 0))
        return NAN;
    for (; x < 12; x++)
        sum -= 1 / x;
    const double r = 1 / (x * x);
    return sum + log(x) - 0.5 / x -
           r * (1.0 / 12 -
                r * (1.0 / 120 -
                     r * (1.0 / 252 - r * (1.0 / 240 - r * (1.0 / 132 - r * 691.0 / 32760)))));
}

/* One number a component; a tied mixture has one for all. */
static maas_status each_or_one(maas_sk *s, const maas_pk *est, const char *name, int64_t n,
                               double *out)
{
    const maas_tensor *given = maas_pk_array(maas_pk_attr(est, name)), *t;
    const bool many = given && given->rank == 1;
    MAAS_TRY(maas_sk_array(s, est, name, MAAS_F64, many, many ? &n : NULL, &t));
    for (int64_t k = 0; k < n; k++)
        out[k] = maas_sk_f64_of(t)[many ? k : 0];
    return MAAS_OK;
}

/* Expected log weights: of a stick that is broken again and again, or of shares of a whole. */
static maas_status expected_weights(maas_sk *s, const maas_pk *est, mixture *m)
{
    const maas_pk *v = maas_pk_attr(est, "weight_concentration_");
    const maas_tensor *a, *b;
    if (maas_pk_kind_of(v) == MAAS_PK_TUPLE) {
        double before = 0;
        MAAS_TRY(maas_sk_array_of(s, maas_pk_at(v, 0), "weight_concentration_[0]", MAAS_F64, 1,
                                  &m->n, false, &a));
        MAAS_TRY(maas_sk_array_of(s, maas_pk_at(v, 1), "weight_concentration_[1]", MAAS_F64, 1,
                                  &m->n, false, &b));
        for (int64_t k = 0; k < m->n; k++) {
            const double x = maas_sk_f64_of(a)[k], y = maas_sk_f64_of(b)[k];
            m->constant[k] = digamma(x) - digamma(x + y) + before;
            before += digamma(y) - digamma(x + y);
        }
        return MAAS_OK;
    }
    double sum = 0;
    MAAS_TRY(maas_sk_array(s, est, "weight_concentration_", MAAS_F64, 1, &m->n, &a));
    for (int64_t k = 0; k < m->n; k++)
        sum += maas_sk_f64_of(a)[k];
    for (int64_t k = 0; k < m->n; k++)
        m->constant[k] = digamma(maas_sk_f64_of(a)[k]) - digamma(sum);
    return MAAS_OK;
}

static maas_status bayesian_mixture(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                    unsigned need, maas_sk_out *out)
{
    mixture m = {0};
    MAAS_TRY(read_shape(s, est, &m));
    double *freedom = maas_sk_alloc(s, (size_t)m.n, sizeof *freedom);
    double *precision = maas_sk_alloc(s, (size_t)m.n, sizeof *precision);
    if (!freedom || !precision)
        return s->b.status;
    MAAS_TRY(expected_weights(s, est, &m));
    MAAS_TRY(each_or_one(s, est, "degrees_of_freedom_", m.n, freedom));
    MAAS_TRY(each_or_one(s, est, "mean_precision_", m.n, precision));
    const double f = (double)m.f;
    for (int64_t k = 0; k < m.n; k++) {
        double lambda = f * log(2);
        for (int64_t j = 0; j < m.f; j++)
            lambda += digamma(0.5 * (freedom[k] - (double)j));
        m.constant[k] += 0.5 * (lambda - f / precision[k]) - 0.5 * f * log(freedom[k]);
    }
    return answer(s, &m, in, out);
}

/* ---- one Gaussian, and what is far from it ---- */

static maas_status elliptic_envelope(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                     unsigned need, maas_sk_out *out)
{
    int64_t f;
    double offset;
    bool stored;
    const maas_tensor *location, *precision;
    MAAS_TRY(maas_sk_int(s, est, "n_features_in_", &f));
    MAAS_TRY(maas_sk_bool_or(s, est, "store_precision", true, &stored));
    if (!stored)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED,
                            "store_precision is False: the file has no precision_");
    int64_t dims[2] = {f, f};
    MAAS_TRY(maas_sk_array(s, est, "location_", MAAS_F64, 1, dims, &location));
    MAAS_TRY(maas_sk_array(s, est, "precision_", MAAS_F64, 2, dims, &precision));
    MAAS_TRY(maas_sk_double(s, est, "offset_", &offset));
    maas_vid d = MAAS_SK_SUB(s, maas_sk_matrix(s, in, f), maas_sk_const(s, location));
    maas_vid q = maas_sk_reduce(s, "ReduceSum",
                                MAAS_SK_MUL(s, maas_sk_affine(s, d, precision, NULL), d), true);
    out->scores = MAAS_SK_SUB(s, maas_b_op1(&s->b, "Neg", q), maas_sk_f64(s, offset));
    out->label = maas_sk_inlier(s, out->scores, 0, true);
    return s->b.status;
}

const maas_sk_row maas_sk_mixture[] = {
    {"BayesianGaussianMixture",
     "sklearn.mixture._bayesian_mixture sklearn.mixture.bayesian_mixture", MAAS_SK_CLUSTERER,
     bayesian_mixture},
    {"EllipticEnvelope",
     "sklearn.covariance._elliptic_envelope sklearn.covariance.elliptic_envelope", MAAS_SK_OUTLIER,
     elliptic_envelope},
    {"GaussianMixture", "sklearn.mixture._gaussian_mixture sklearn.mixture.gaussian_mixture",
     MAAS_SK_CLUSTERER, gaussian_mixture},
    {0},
};
