/* formats/sklearn/discriminant.c - linear and quadratic discriminant analysis. */
#include <math.h>
#include <string.h>

#include "formats/sklearn/linear.h"
#include "base/ban.h"

/* ---- linear ---- */

/* (x - xbar) . scalings[:, :n]; the solver "eigen" does not move x, "lsqr" has no transform. */
static maas_status project(maas_sk *s, const maas_pk *est, maas_vid x, int64_t f,
                           maas_sk_table *out)
{
    enum { SVD, EIGEN, LSQR };
    static const char *const solvers[] = {"svd", "eigen", "lsqr", NULL};
    int64_t dims[2] = {f, -1}, n;
    const maas_tensor *scalings, *mean;
    int solver;
    MAAS_TRY(maas_sk_word(s, est, "solver", solvers, SVD, &solver));
    if (solver == LSQR || !maas_sk_has(est, "scalings_"))
        return MAAS_OK;
    MAAS_TRY(maas_sk_array(s, est, "scalings_", MAAS_F64, 2, dims, &scalings));
    MAAS_TRY(maas_sk_int_or(s, est, "_max_components", dims[1], &n));
    if (n < 1)
        return maas_sk_fail(s, MAAS_E_FORMAT, "_max_components is %lld", (long long)n);
    n = n < dims[1] ? n : dims[1];
    if (solver == SVD) {
        MAAS_TRY(maas_sk_array(s, est, "xbar_", MAAS_F64, 1, &f, &mean));
        x = maas_b_op2(&s->b, "Sub", x, maas_sk_const(s, mean));
    }
    maas_vid y = maas_sk_affine(s, x, scalings, NULL);
    if (n < dims[1]) {
        maas_vid from = maas_b_i64s(&s->b, (int64_t[]){0}, 1), to = maas_b_i64s(&s->b, &n, 1);
        const maas_vid first[4] = {y, from, to, maas_b_i64s(&s->b, (int64_t[]){1}, 1)};
        y = maas_b_node(&s->b, "Slice", NULL, 0, first, 4, NULL, 1);
    }
    *out = maas_sk_table_of(y, n);
    return s->b.status;
}

static maas_status lda(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                       maas_sk_out *out)
{
    maas_sk_coefs c;
    MAAS_TRY(maas_sk_classes(s, est, "classes_", -1, &out->classes));
    const int64_t n = out->classes->dims[0];
    MAAS_TRY(maas_sk_coefs_of(s, est, n == 2 ? 1 : n, &c));
    maas_vid x = maas_sk_matrix(s, in, c.f);
    out->scores = maas_sk_linear(s, x, c.coef, c.intercept);
    out->label = maas_sk_label_of_scores(s, out->scores, out->classes);
    out->probabilities = n == 2 ? maas_sk_both(s, maas_sk_sigmoid(s, out->scores))
                                : maas_sk_softmax(s, out->scores);
    return project(s, est, x, c.f, &out->transformed);
}

/* ---- quadratic ---- */

typedef struct gaussian { /* of one class */
    maas_tensor mean;     /* [f]    */
    maas_tensor turn;     /* [f, r] */
    double constant;      /* log prior - half the sum of log variances */
} gaussian;

static maas_status read_gaussian(maas_sk *s, const maas_pk *est, int64_t i, int64_t f, gaussian *g)
{
    const maas_tensor *rotation, *scaling;
    int64_t dims[2] = {f, -1};
    MAAS_TRY(maas_sk_array_of(s, maas_pk_at(maas_pk_attr(est, "rotations_"), i), "rotations_",
                              MAAS_F64, 2, dims, false, &rotation));
    MAAS_TRY(maas_sk_array_of(s, maas_pk_at(maas_pk_attr(est, "scalings_"), i), "scalings_",
                              MAAS_F64, 1, &dims[1], false, &scaling));
    double *turn = maas_sk_alloc(s, (size_t)maas_n_elems(rotation), sizeof *turn);
    const double *from = rotation->data, *variance = scaling->data;
    for (int64_t c = 0; turn && c < dims[1]; c++) {
        if (!(variance[c] > 0))
            return maas_sk_fail(s, MAAS_E_FORMAT, "scalings_[%lld] holds %g", (long long)i,
                                variance[c]);
        g->constant -= 0.5 * log(variance[c]);
        for (int64_t r = 0; r < f; r++)
            turn[r * dims[1] + c] = from[r * dims[1] + c] * pow(variance[c], -0.5);
    }
    g->turn = maas_tensor_of(MAAS_F64, 2, dims, turn);
    return s->b.status;
}

/* log posterior of one class [n, 1], up to what all classes share */
static maas_vid posterior(maas_sk *s, maas_vid x, const gaussian *g)
{
    maas_builder *b = &s->b;
    maas_vid z = maas_b_op2(b, "Sub", x, maas_sk_const(s, &g->mean));
    z = maas_sk_affine(s, z, &g->turn, NULL);
    z = maas_sk_reduce(s, "ReduceSum", maas_b_op2(b, "Mul", z, z), true);
    z = maas_b_op2(b, "Mul", z, maas_sk_f64(s, -0.5));
    return maas_b_op2(b, "Add", z, maas_sk_f64(s, g->constant));
}

static maas_status qda(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                       maas_sk_out *out)
{
    const maas_tensor *means, *priors;
    MAAS_TRY(maas_sk_classes(s, est, "classes_", -1, &out->classes));
    const int64_t k = out->classes->dims[0];
    int64_t dims[2] = {k, -1};
    MAAS_TRY(maas_sk_array(s, est, "means_", MAAS_F64, 2, dims, &means));
    MAAS_TRY(maas_sk_array(s, est, "priors_", MAAS_F64, 1, dims, &priors));
    maas_vid x = maas_sk_matrix(s, in, dims[1]);
    maas_vid *score = maas_sk_alloc(s, (size_t)k, sizeof *score);
    for (int64_t i = 0; score && i < k; i++) {
        gaussian g = {.constant = log(((const double *)priors->data)[i])};
        g.mean = maas_tensor_of(MAAS_F64, 1, &dims[1], (double *)means->data + i * dims[1]);
        MAAS_TRY(read_gaussian(s, est, i, dims[1], &g));
        score[i] = posterior(s, x, &g);
    }
    MAAS_TRY(s->b.status);
    maas_vid all = maas_sk_concat(s, score, (uint32_t)k, 1);
    out->label = maas_sk_label(s, maas_sk_argmax(s, all), out->classes);
    out->probabilities = maas_sk_softmax(s, all);
    out->scores = k == 2 ? maas_b_op2(&s->b, "Sub", score[1], score[0]) : all;
    return s->b.status;
}

#define MODULES "sklearn.discriminant_analysis"

const maas_sk_row maas_sk_discriminant[] = {
    {"LinearDiscriminantAnalysis", MODULES, MAAS_SK_CLASSIFIER, lda},
    {"QuadraticDiscriminantAnalysis", MODULES, MAAS_SK_CLASSIFIER, qda},
    {0},
};
