/*
 * formats/sklearn/decomposition.c - projections: PCA, IncrementalPCA, TruncatedSVD, FastICA,
 * FactorAnalysis, KernelPCA.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "formats/sklearn/distances.h"
#include "formats/sklearn/parts.h"

#include "base/ban.h"

static maas_status read_components(maas_sk *s, const maas_pk *est, const maas_tensor **out)
{
    int64_t dims[2] = {-1, -1};
    MAAS_TRY(maas_sk_int(s, est, "n_features_in_", &dims[1]));
    MAAS_TRY(maas_sk_array(s, est, "components_", MAAS_F64, 2, dims, out));
    return dims[0] > 0 && dims[1] > 0 ? MAAS_OK
                                      : maas_sk_fail(s, MAAS_E_FORMAT, "components_ is empty");
}

/* (x - mean) c', with mean NULL: zeros */
static maas_vid project(maas_sk *s, const maas_sk_table *in, const maas_tensor *c,
                        const maas_tensor *mean)
{
    maas_vid x = maas_sk_matrix(s, in, c->dims[1]);
    if (mean)
        x = MAAS_SK_SUB(s, x, maas_sk_const(s, mean));
    return maas_sk_linear(s, x, c, NULL);
}

static maas_status pca(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                       maas_sk_out *out)
{
    const maas_tensor *c, *mean = NULL, *variance;
    bool whiten;
    MAAS_TRY(read_components(s, est, &c));
    int64_t k = c->dims[0], f = c->dims[1];
    if (maas_sk_has(est, "mean_"))
        MAAS_TRY(maas_sk_array(s, est, "mean_", MAAS_F64, 1, &f, &mean));
    MAAS_TRY(maas_sk_bool_or(s, est, "whiten", false, &whiten));
    maas_vid y = project(s, in, c, mean);
    if (whiten) {
        maas_tensor *scale = maas_sk_new_array(s, k, 0);
        MAAS_TRY(maas_sk_array(s, est, "explained_variance_", MAAS_F64, 1, &k, &variance));
        if (!scale)
            return s->b.status;
        for (int64_t i = 0; i < k; i++) {
            const double d = sqrt(maas_sk_f64_of(variance)[i]);
            maas_sk_f64_of(scale)[i] = d > DBL_EPSILON ? d : DBL_EPSILON;
        }
        y = MAAS_SK_DIV(s, y, maas_sk_const(s, scale));
    }
    out->transformed = maas_sk_table_of(y, k);
    return s->b.status;
}

static maas_status truncated_svd(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                 unsigned need, maas_sk_out *out)
{
    const maas_tensor *c;
    MAAS_TRY(read_components(s, est, &c));
    out->transformed = maas_sk_table_of(project(s, in, c, NULL), c->dims[0]);
    return s->b.status;
}

/* Only whitened sources have a mean_. */
static maas_status fast_ica(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                            maas_sk_out *out)
{
    const maas_tensor *c, *mean = NULL;
    MAAS_TRY(read_components(s, est, &c));
    int64_t f = c->dims[1];
    if (maas_sk_has(est, "mean_"))
        MAAS_TRY(maas_sk_array(s, est, "mean_", MAAS_F64, 1, &f, &mean));
    out->transformed = maas_sk_table_of(project(s, in, c, mean), c->dims[0]);
    return s->b.status;
}

/* ---- factor analysis ---- */

/* Inverse of the symmetric positive matrix a [k][k], in place, by Gauss and Jordan. */
static bool invert(double *a, int64_t k)
{
    for (int64_t p = 0; p < k; p++) {
        const double pivot = a[p * k + p];
        if (!(fabs(pivot) > 0))
            return false;
        a[p * k + p] = 1;
        for (int64_t j = 0; j < k; j++)
            a[p * k + j] /= pivot;
        for (int64_t i = 0; i < k; i++) {
            const double factor = a[i * k + p];
            if (i == p || factor == 0)
                continue;
            a[i * k + p] = 0;
            for (int64_t j = 0; j < k; j++)
                a[i * k + j] -= factor * a[p * k + j];
        }
    }
    return true;
}

/* scaled = c / noise; inner = (1 + scaled c')^-1 */
static bool factor_weights(const double *c, const double *noise, int64_t k, int64_t f,
                           double *scaled, double *inner)
{
    for (int64_t i = 0; i < k * f; i++)
        scaled[i] = c[i] / noise[i % f];
    for (int64_t a = 0; a < k; a++)
        for (int64_t b = 0; b < k; b++) {
            double sum = a == b;
            for (int64_t j = 0; j < f; j++)
                sum += scaled[a * f + j] * c[b * f + j];
            inner[a * k + b] = sum;
        }
    return invert(inner, k);
}

static maas_status factor_analysis(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                   unsigned need, maas_sk_out *out)
{
    enum { MAX_FACTORS = 1024 }; /* the inverse costs their cube */
    const maas_tensor *c, *mean, *noise;
    MAAS_TRY(read_components(s, est, &c));
    int64_t k = c->dims[0], f = c->dims[1];
    if (k > MAX_FACTORS)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "components_ has %lld rows, at most %d are read",
                            (long long)k, MAX_FACTORS);
    MAAS_TRY(maas_sk_array(s, est, "mean_", MAAS_F64, 1, &f, &mean));
    MAAS_TRY(maas_sk_array(s, est, "noise_variance_", MAAS_F64, 1, &f, &noise));
    maas_tensor *scaled = maas_sk_new_array(s, k, f), *inner = maas_sk_new_array(s, k, k);
    if (!scaled || !inner)
        return s->b.status;
    if (!factor_weights(c->data, noise->data, k, f, scaled->data, inner->data))
        return maas_sk_fail(s, MAAS_E_FORMAT, "components_ and noise_variance_ do not go together");
    maas_vid y = maas_sk_affine(s, project(s, in, scaled, mean), inner, NULL);
    out->transformed = maas_sk_table_of(y, k);
    return s->b.status;
}

/* ---- kernels ---- */

typedef enum kernel { LINEAR, POLY, RBF, SIGMOID, COSINE } kernel;

typedef struct kernel_params {
    int kernel;
    double gamma, degree, coef0;
} kernel_params;

static maas_status read_kernel(maas_sk *s, const maas_pk *est, int64_t f, kernel_params *o)
{
    static const char *const words[] = {"linear", "poly", "rbf", "sigmoid", "cosine", NULL};
    if (maas_sk_has(est, "kernel") && maas_pk_kind_of(maas_pk_attr(est, "kernel")) != MAAS_PK_STR)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "kernel is %s, not a name",
                            maas_pk_kind_text(maas_pk_attr(est, "kernel")));
    MAAS_TRY(maas_sk_word(s, est, "kernel", words, LINEAR, &o->kernel));
    MAAS_TRY(maas_sk_double_or(s, est, maas_sk_has(est, "gamma_") ? "gamma_" : "gamma",
                               1 / (double)f, &o->gamma));
    MAAS_TRY(maas_sk_double_or(s, est, "degree", 3, &o->degree));
    return maas_sk_double_or(s, est, "coef0", 1, &o->coef0);
}

/* [n, m]: of each row with each training row */
static maas_vid kernel_values(maas_sk *s, maas_vid x, const maas_tensor *rows,
                              const kernel_params *o)
{
    maas_builder *b = &s->b;
    if (o->kernel == COSINE || o->kernel == RBF) {
        const maas_sk_metric metric = {o->kernel == RBF ? MAAS_SK_SQEUCLIDEAN : MAAS_SK_COSINE, 0};
        maas_vid d = maas_sk_distances(s, x, rows, &metric);
        return o->kernel == RBF ? maas_b_op1(b, "Exp", MAAS_SK_MUL(s, d, maas_sk_f64(s, -o->gamma)))
                                : MAAS_SK_SUB(s, maas_sk_f64(s, 1), d);
    }
    maas_vid k = maas_sk_linear(s, x, rows, NULL);
    if (o->kernel == LINEAR)
        return k;
    k = MAAS_SK_ADD(s, MAAS_SK_MUL(s, k, maas_sk_f64(s, o->gamma)), maas_sk_f64(s, o->coef0));
    return o->kernel == SIGMOID ? maas_b_op1(b, "Tanh", k)
                                : maas_b_op2(b, "Pow", k, maas_sk_f64(s, o->degree));
}

/* eigenvectors / sqrt(eigenvalues), zeros where the eigenvalue is none */
static maas_status read_alphas(maas_sk *s, const maas_pk *est, int64_t m, const maas_tensor **out)
{
    const bool named = maas_sk_has(est, "eigenvectors_");
    int64_t dims[2] = {m, -1};
    const maas_tensor *vectors, *values;
    MAAS_TRY(
        maas_sk_array(s, est, named ? "eigenvectors_" : "alphas_", MAAS_F64, 2, dims, &vectors));
    MAAS_TRY(
        maas_sk_array(s, est, named ? "eigenvalues_" : "lambdas_", MAAS_F64, 1, &dims[1], &values));
    maas_tensor *a = maas_sk_new_array(s, m, dims[1]);
    if (dims[1] < 1)
        return maas_sk_fail(s, MAAS_E_FORMAT, "there are no components");
    if (!a)
        return s->b.status;
    for (int64_t i = 0; i < m * dims[1]; i++) {
        const double lambda = maas_sk_f64_of(values)[i % dims[1]];
        if (lambda != 0)
            maas_sk_f64_of(a)[i] = maas_sk_f64_of(vectors)[i] / sqrt(lambda);
    }
    *out = a;
    return MAAS_OK;
}

static maas_status kernel_pca(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                              unsigned need, maas_sk_out *out)
{
    const maas_pk *center = maas_pk_attr(est, "_centerer");
    const maas_tensor *rows, *mean, *alphas;
    kernel_params o = {0};
    double all;
    int64_t dims[2] = {-1, -1};
    MAAS_TRY(maas_sk_int(s, est, "n_features_in_", &dims[1]));
    MAAS_TRY(maas_sk_array(s, est, "X_fit_", MAAS_F64, 2, dims, &rows));
    if (dims[0] < 1 || dims[1] < 1)
        return maas_sk_fail(s, MAAS_E_FORMAT, "X_fit_ is empty");
    MAAS_TRY(read_kernel(s, est, dims[1], &o));
    MAAS_TRY(maas_sk_array(s, center, "K_fit_rows_", MAAS_F64, 1, dims, &mean));
    MAAS_TRY(maas_sk_double(s, center, "K_fit_all_", &all));
    MAAS_TRY(read_alphas(s, est, dims[0], &alphas));
    maas_vid k = kernel_values(s, maas_sk_matrix(s, in, dims[1]), rows, &o);
    maas_vid own = maas_sk_reduce(s, "ReduceMean", k, true);
    k = MAAS_SK_SUB(s, MAAS_SK_SUB(s, k, maas_sk_const(s, mean)), own);
    k = MAAS_SK_ADD(s, k, maas_sk_f64(s, all));
    out->transformed = maas_sk_table_of(maas_sk_affine(s, k, alphas, NULL), alphas->dims[1]);
    return s->b.status;
}

#define DECOMPOSITION "sklearn.decomposition."
const maas_sk_row maas_sk_decomposition[] = {
    {"FactorAnalysis", DECOMPOSITION "_factor_analysis " DECOMPOSITION "factor_analysis",
     MAAS_SK_TRANSFORMER, factor_analysis},
    {"FastICA", DECOMPOSITION "_fastica " DECOMPOSITION "fastica_", MAAS_SK_TRANSFORMER, fast_ica},
    {"IncrementalPCA", DECOMPOSITION "_incremental_pca " DECOMPOSITION "incremental_pca",
     MAAS_SK_TRANSFORMER, pca},
    {"KernelPCA", DECOMPOSITION "_kernel_pca " DECOMPOSITION "kernel_pca", MAAS_SK_TRANSFORMER,
     kernel_pca},
    {"PCA", DECOMPOSITION "_pca " DECOMPOSITION "pca", MAAS_SK_TRANSFORMER, pca},
    {"TruncatedSVD", DECOMPOSITION "_truncated_svd " DECOMPOSITION "truncated_svd",
     MAAS_SK_TRANSFORMER, truncated_svd},
    {0},
};
