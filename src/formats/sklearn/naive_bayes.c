/*
 * formats/sklearn/naive_bayes.c - Gaussian, multinomial, Bernoulli, complement and categorical
 * naive Bayes: joint logarithms of class and row [n, n_classes]; the largest is the label, their
 * softmax the probabilities.
 */
#include <math.h>
#include <stdio.h>

#include "formats/sklearn/parts.h"

#include "base/ban.h"

static maas_status read_classes(maas_sk *s, const maas_pk *est, maas_sk_out *out, int64_t *n)
{
    MAAS_TRY(maas_sk_classes(s, est, "classes_", -1, &out->classes));
    *n = out->classes->dims[0];
    return *n >= 1 ? MAAS_OK : maas_sk_fail(s, MAAS_E_FORMAT, "classes_ is empty");
}

static maas_status answer(maas_sk *s, maas_vid joint, maas_sk_out *out)
{
    out->label = maas_sk_label(s, maas_sk_argmax(s, joint), out->classes);
    out->probabilities = maas_sk_softmax(s, joint);
    return s->b.status;
}

/* ---- Gaussian ---- */

/* One class: the log of its share of all rows with these values. [n, 1] */
static maas_vid gaussian_class(maas_sk *s, maas_vid x, const double *mean, const double *var,
                               double prior, int64_t f)
{
    double constant = log(prior);
    for (int64_t j = 0; j < f; j++)
        constant -= 0.5 * log(2 * 3.14159265358979323846 * var[j]);
    maas_vid d = maas_sk_square(s, MAAS_SK_SUB(s, x, maas_sk_f64s(s, mean, f)));
    d = maas_sk_reduce(s, "ReduceSum", MAAS_SK_DIV(s, d, maas_sk_f64s(s, var, f)), true);
    return MAAS_SK_SUB(s, maas_sk_f64(s, constant), MAAS_SK_MUL(s, d, maas_sk_f64(s, 0.5)));
}

static maas_status gaussian(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                            maas_sk_out *out)
{
    int64_t dims[2];
    const maas_tensor *mean, *var, *prior;
    MAAS_TRY(read_classes(s, est, out, &dims[0]));
    MAAS_TRY(maas_sk_int(s, est, "n_features_in_", &dims[1]));
    MAAS_TRY(maas_sk_array(s, est, "theta_", MAAS_F64, 2, dims, &mean));
    MAAS_TRY(maas_sk_array(s, est, maas_sk_has(est, "var_") ? "var_" : "sigma_", MAAS_F64, 2, dims,
                           &var));
    MAAS_TRY(maas_sk_array(s, est, "class_prior_", MAAS_F64, 1, dims, &prior));
    const int64_t n = dims[0], f = dims[1];
    maas_vid *each = maas_sk_alloc(s, (size_t)n, sizeof *each);
    if (!each)
        return s->b.status;
    maas_vid x = maas_sk_matrix(s, in, f);
    for (int64_t c = 0; c < n; c++)
        each[c] = gaussian_class(s, x, maas_sk_f64_of(mean) + c * f, maas_sk_f64_of(var) + c * f,
                                 maas_sk_f64_of(prior)[c], f);
    return answer(s, maas_sk_concat(s, each, (uint32_t)n, 1), out);
}

/* ---- counts ---- */

typedef struct counts {
    int64_t n, f; /* classes, features */
    const maas_tensor *log_prob, *log_prior;
} counts;

static maas_status read_counts(maas_sk *s, const maas_pk *est, maas_sk_out *out, counts *o)
{
    MAAS_TRY(read_classes(s, est, out, &o->n));
    MAAS_TRY(maas_sk_int(s, est, "n_features_in_", &o->f));
    int64_t dims[2] = {o->n, o->f};
    MAAS_TRY(maas_sk_array(s, est, "feature_log_prob_", MAAS_F64, 2, dims, &o->log_prob));
    return maas_sk_array(s, est, "class_log_prior_", MAAS_F64, 1, dims, &o->log_prior);
}

static maas_status multinomial(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                               unsigned need, maas_sk_out *out)
{
    counts o;
    MAAS_TRY(read_counts(s, est, out, &o));
    maas_vid x = maas_sk_matrix(s, in, o.f);
    return answer(s, maas_sk_linear(s, x, o.log_prob, o.log_prior), out);
}

/* The prior only matters where there is one class, and then nothing else does. */
static maas_status complement(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                              unsigned need, maas_sk_out *out)
{
    counts o;
    MAAS_TRY(read_counts(s, est, out, &o));
    maas_vid x = maas_sk_matrix(s, in, o.f);
    return answer(s, maas_sk_linear(s, x, o.log_prob, o.n == 1 ? o.log_prior : NULL), out);
}

static maas_status bernoulli(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                             maas_sk_out *out)
{
    counts o;
    double above;
    MAAS_TRY(read_counts(s, est, out, &o));
    maas_tensor *slope = maas_sk_new_array(s, o.n, o.f), *bias = maas_sk_new_array(s, o.n, 0);
    if (!slope || !bias)
        return s->b.status;
    for (int64_t c = 0; c < o.n; c++) {
        double sum = maas_sk_f64_of(o.log_prior)[c];
        for (int64_t j = 0; j < o.f; j++) {
            const double yes = maas_sk_f64_of(o.log_prob)[c * o.f + j], no = log(1 - exp(yes));
            maas_sk_f64_of(slope)[c * o.f + j] = yes - no;
            sum += no;
        }
        maas_sk_f64_of(bias)[c] = sum;
    }
    maas_vid x = maas_sk_matrix(s, in, o.f);
    if (maas_sk_has(est, "binarize")) {
        MAAS_TRY(maas_sk_double(s, est, "binarize", &above));
        x = maas_sk_cast(s, maas_b_op2(&s->b, "Greater", x, maas_sk_f64(s, above)), MAAS_F64);
    }
    return answer(s, maas_sk_linear(s, x, slope, bias), out);
}

/* ---- categories ---- */

/* [n, n_classes] of one column, whose cells are the numbers of its categories. */
static maas_status category(maas_sk *s, const maas_pk *list, int64_t j, int64_t n_classes,
                            maas_vid x, maas_vid *out)
{
    char what[48];
    int64_t dims[2] = {n_classes, -1};
    const maas_tensor *logs;
    snprintf(what, sizeof what, "feature_log_prob_[%lld]", (long long)j);
    MAAS_TRY(maas_sk_array_of(s, maas_pk_at(list, j), what, MAAS_F64, 2, dims, false, &logs));
    maas_tensor *by_category = maas_sk_new_array(s, dims[1], n_classes);
    if (!by_category)
        return s->b.status;
    for (int64_t c = 0; c < n_classes; c++)
        for (int64_t k = 0; k < dims[1]; k++)
            maas_sk_f64_of(by_category)[k * n_classes + c] = maas_sk_f64_of(logs)[c * dims[1] + k];
    maas_vid which = maas_sk_flat(s, maas_sk_gather(s, x, &j, 1, 1));
    *out = maas_b_op2(&s->b, "Gather", maas_sk_const(s, by_category),
                      maas_sk_cast(s, which, MAAS_I64));
    return s->b.status;
}

static maas_status categorical(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                               unsigned need, maas_sk_out *out)
{
    int64_t n, f, n_lists;
    const maas_pk *list;
    const maas_tensor *prior;
    maas_vid joint = MAAS_NO_VALUE, one = MAAS_NO_VALUE;
    MAAS_TRY(read_classes(s, est, out, &n));
    MAAS_TRY(maas_sk_int(s, est, "n_features_in_", &f));
    MAAS_TRY(maas_sk_array(s, est, "class_log_prior_", MAAS_F64, 1, &n, &prior));
    MAAS_TRY(maas_sk_items(s, est, "feature_log_prob_", &list, &n_lists));
    if (n_lists != f)
        return maas_sk_fail(s, MAAS_E_FORMAT, "feature_log_prob_ has %lld items, expected %lld",
                            (long long)n_lists, (long long)f);
    maas_vid x = maas_sk_matrix(s, in, f);
    for (int64_t j = 0; j < f; j++) {
        MAAS_TRY(category(s, list, j, n, x, &one));
        joint = j ? MAAS_SK_ADD(s, joint, one) : one;
    }
    return answer(s, MAAS_SK_ADD(s, joint, maas_sk_const(s, prior)), out);
}

#define BAYES "sklearn.naive_bayes"
const maas_sk_row maas_sk_naive_bayes[] = {
    {"BernoulliNB", BAYES, MAAS_SK_CLASSIFIER, bernoulli},
    {"CategoricalNB", BAYES, MAAS_SK_CLASSIFIER, categorical},
    {"ComplementNB", BAYES, MAAS_SK_CLASSIFIER, complement},
    {"GaussianNB", BAYES, MAAS_SK_CLASSIFIER, gaussian},
    {"MultinomialNB", BAYES, MAAS_SK_CLASSIFIER, multinomial},
    {0},
};
