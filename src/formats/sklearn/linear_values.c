/*
 * formats/sklearn/linear_values.c - regressors that are x . coef + intercept, with a link or
 * without.
 *
 * coef_ [f] predicts [n]; coef_ [t, f] predicts [n, t]. intercept_ is a number or has t of them,
 * whichever release wrote it.
 */
#include <string.h>

#include "formats/sklearn/linear.h"
#include "base/ban.h"

/* A vector as one row. */
static const maas_tensor *as_row(maas_sk *s, const maas_tensor *t)
{
    maas_tensor *row = maas_sk_alloc(s, 1, sizeof *row);
    if (row)
        *row = maas_tensor_of(MAAS_F64, 2, (int64_t[]){1, maas_n_elems(t)}, t->data);
    return row;
}

maas_status maas_sk_coef(maas_sk *s, const maas_pk *est, const char *name, int64_t k,
                         maas_sk_coefs *out)
{
    const maas_pk *v = maas_pk_attr(est, name);
    const maas_tensor *a = maas_pk_array(v);
    out->flat = a && a->rank == 1;
    if (out->flat) {
        int64_t dims[1] = {-1};
        MAAS_TRY(maas_sk_array(s, est, name, MAAS_F64, 1, dims, &a));
        if (!(out->coef = as_row(s, a)))
            return s->b.status;
    } else {
        MAAS_TRY(maas_sk_array(s, est, name, MAAS_F64, 2, (int64_t[]){-1, -1}, &out->coef));
    }
    out->k = out->coef->dims[0];
    out->f = out->coef->dims[1];
    if (k >= 0 && out->k != k)
        return maas_sk_fail(s, MAAS_E_FORMAT, "%s has %lld rows, expected %lld", name,
                            (long long)out->k, (long long)k);
    return out->k && out->f ? MAAS_OK : maas_sk_fail(s, MAAS_E_FORMAT, "%s is empty", name);
}

/* One number stands for all: fit_intercept=False leaves 0.0. */
maas_status maas_sk_intercept(maas_sk *s, const maas_pk *est, const char *name, int64_t k,
                              const maas_tensor **out)
{
    double one;
    if (!maas_pk_to_double(maas_pk_attr(est, name), &one))
        return maas_sk_array(s, est, name, MAAS_F64, 1, &k, out);
    MAAS_TRY(maas_sk_double(s, est, name, &one));
    double *all = maas_sk_alloc(s, (size_t)k, sizeof *all);
    maas_tensor *t = maas_sk_alloc(s, 1, sizeof *t);
    if (!all || !t)
        return s->b.status;
    for (int64_t i = 0; i < k; i++)
        all[i] = one;
    *t = maas_tensor_of(MAAS_F64, 1, &k, all);
    *out = t;
    return MAAS_OK;
}

maas_status maas_sk_coefs_of(maas_sk *s, const maas_pk *est, int64_t k, maas_sk_coefs *out)
{
    MAAS_TRY(maas_sk_coef(s, est, "coef_", k, out));
    return maas_sk_intercept(s, est, "intercept_", out->k, &out->intercept);
}

/* x . coef + intercept: [n, k] */
static maas_status raw_value(maas_sk *s, const maas_pk *est, const maas_sk_table *in, maas_vid *out,
                             bool *flat)
{
    maas_sk_coefs c;
    MAAS_TRY(maas_sk_coefs_of(s, est, -1, &c));
    *out = maas_sk_linear(s, maas_sk_matrix(s, in, c.f), c.coef, c.intercept);
    *flat = c.flat;
    return s->b.status;
}

static maas_status linear(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                          maas_sk_out *out)
{
    bool flat;
    MAAS_TRY(raw_value(s, est, in, &out->value, &flat));
    if (flat)
        out->value = maas_sk_flat(s, out->value);
    return s->b.status;
}

/* SGD, passive-aggressive: one output, whatever shape coef_ has. */
static maas_status linear_flat(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                               unsigned need, maas_sk_out *out)
{
    bool flat;
    MAAS_TRY(raw_value(s, est, in, &out->value, &flat));
    out->value = maas_sk_flat(s, out->value);
    return s->b.status;
}

static maas_status linear_exp(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                              unsigned need, maas_sk_out *out)
{
    MAAS_TRY(linear_flat(s, est, in, need, out));
    out->value = maas_b_op1(&s->b, "Exp", out->value);
    return s->b.status;
}

/* link "auto": identity for the normal distribution (power <= 0), log for the others. */
static maas_status tweedie(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                           maas_sk_out *out)
{
    enum { AUTO_LINK, IDENTITY, LOG };
    static const char *const links[] = {"auto", "identity", "log", NULL};
    int link;
    double power;
    MAAS_TRY(maas_sk_word(s, est, "link", links, AUTO_LINK, &link));
    MAAS_TRY(maas_sk_double_or(s, est, "power", 0, &power));
    const bool identity = link == IDENTITY || (link == AUTO_LINK && power <= 0);
    return identity ? linear_flat(s, est, in, need, out) : linear_exp(s, est, in, need, out);
}

/* RANSAC keeps what it found in an estimator of its own. */
static maas_status ransac(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                          maas_sk_out *out)
{
    MAAS_TRY(
        maas_sk_decode(s, maas_pk_attr(est, "estimator_"), in, MAAS_SK_VALUE, out, "estimator_"));
    out->role = MAAS_SK_REGRESSOR;
    return MAAS_OK;
}

#define MODULE(new, old) "sklearn.linear_model." new " sklearn.linear_model." old
#define REGRESSOR(name, modules, decode)                                                           \
    {                                                                                              \
        name, modules, MAAS_SK_REGRESSOR, decode                                                   \
    }
#define BASE  MODULE("_base", "base")
#define RIDGE MODULE("_ridge", "ridge")
#define CD    MODULE("_coordinate_descent", "coordinate_descent")
#define LARS  MODULE("_least_angle", "least_angle")
#define OMP   MODULE("_omp", "omp")
#define BAYES MODULE("_bayes", "bayes")
#define SGD   MODULE("_stochastic_gradient", "stochastic_gradient")
#define GLM   "sklearn.linear_model._glm.glm"

const maas_sk_row maas_sk_linear_values[] = {
    REGRESSOR("ARDRegression", BAYES, linear),
    REGRESSOR("BayesianRidge", BAYES, linear),
    REGRESSOR("ElasticNet", CD, linear),
    REGRESSOR("ElasticNetCV", CD, linear),
    REGRESSOR("GammaRegressor", GLM, linear_exp),
    REGRESSOR("HuberRegressor", MODULE("_huber", "huber"), linear),
    REGRESSOR("Lars", LARS, linear),
    REGRESSOR("LarsCV", LARS, linear),
    REGRESSOR("Lasso", CD, linear),
    REGRESSOR("LassoCV", CD, linear),
    REGRESSOR("LassoLars", LARS, linear),
    REGRESSOR("LassoLarsCV", LARS, linear),
    REGRESSOR("LassoLarsIC", LARS, linear),
    REGRESSOR("LinearRegression", BASE, linear),
    REGRESSOR("LinearSVR", "sklearn.svm._classes sklearn.svm.classes", linear_flat),
    REGRESSOR("MultiTaskElasticNet", CD, linear),
    REGRESSOR("MultiTaskElasticNetCV", CD, linear),
    REGRESSOR("MultiTaskLasso", CD, linear),
    REGRESSOR("MultiTaskLassoCV", CD, linear),
    REGRESSOR("OrthogonalMatchingPursuit", OMP, linear),
    REGRESSOR("OrthogonalMatchingPursuitCV", OMP, linear),
    REGRESSOR("PassiveAggressiveRegressor", MODULE("_passive_aggressive", "passive_aggressive"),
              linear_flat),
    REGRESSOR("PoissonRegressor", GLM, linear_exp),
    REGRESSOR("QuantileRegressor", "sklearn.linear_model._quantile", linear),
    REGRESSOR("RANSACRegressor", MODULE("_ransac", "ransac"), ransac),
    REGRESSOR("Ridge", RIDGE, linear),
    REGRESSOR("RidgeCV", RIDGE, linear),
    REGRESSOR("SGDRegressor", SGD, linear_flat),
    REGRESSOR("TheilSenRegressor", MODULE("_theil_sen", "theil_sen"), linear),
    REGRESSOR("TweedieRegressor", GLM, tweedie),
    {0},
};
