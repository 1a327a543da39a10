/*
 * learn/classic/bayes.c - naive Bayes: inputs are independent within a class.
 *
 *   gaussian     normal, with mean and variance a class; variances get a share of the largest
 *   multinomial  counts: weights are logarithms of each input's share of its class
 *   bernoulli    yes or no: above `binarize` or not
 *
 * All three give sums of logarithms a class, which softmax turns into chances.
 */
#include <math.h>

#include "learn/classic/dense.h"

#include "base/ban.h"

typedef struct bayes_recipe {
    maas_dense_recipe dense;
    int kind;
    double alpha, smoothing, binarize;
    bool fit_prior;
} bayes_recipe;

#define AT(f) offsetof(bayes_recipe, f)

enum { GAUSSIAN, MULTINOMIAL, BERNOULLI };
static const char *const kind_names[] = {"gaussian", "multinomial", "bernoulli", NULL};

static const maas_param rows[] = {
    {"distribution", MAAS_PARAM_CHOICE, AT(kind), .preset = GAUSSIAN, .choices = kind_names,
     .help = "of an input within a class"},
    {"alpha", MAAS_PARAM_NUM, AT(alpha), 1e-10, 1e12, 1,
     .help = "multinomial, bernoulli: added to counts"},
    {"var_smoothing", MAAS_PARAM_NUM, AT(smoothing), 0, 1e6, 1e-9,
     .help = "gaussian: share of the largest variance that is added to all"},
    {"binarize", MAAS_PARAM_NUM, AT(binarize), -1e12, 1e12, 0,
     .help = "bernoulli: inputs above it are a yes"},
    {"fit_prior", MAAS_PARAM_BOOL, AT(fit_prior), .preset = 1,
     .help = "classes are as frequent as in the data; false: all the same"},
    DENSE_WEIGHT,
    DENSE_ROWS(MAAS_SCALING_NONE),
};

typedef struct bayes_fit {
    double *prior; /* [k] logarithms */
    double *a, *c; /* [k][d]: means and deviations, or weights and (bernoulli) their constants */
} bayes_fit;

static double weight_of(const maas_dense *s, int64_t i)
{
    return s->weight ? s->weight[i] : 1;
}

/* mass [k]: weight of each class. */
static void priors(const maas_dense *s, const double *mass, double *out)
{
    const bayes_recipe *r = s->recipe;
    const int64_t k = s->target.n_classes;
    double sum = 0;
    for (int64_t c = 0; c < k; c++)
        sum += mass[c];
    for (int64_t c = 0; c < k; c++) /* a class that only validation rows have is never said */
        out[c] = mass[c] > 0 ? log(r->fit_prior ? mass[c] / sum : 1 / (double)k) : -1e30;
}

/* ---- gaussian ---- */

static void add_moments(const maas_dense *s, bayes_fit *f, double *mass)
{
    const int64_t d = s->d;
    for (int64_t i = 0; i < s->n; i++) {
        const int64_t c = s->codes[i];
        const double w = weight_of(s, i);
        if (w == 0)
            continue;
        mass[c] += w;
        for (int64_t j = 0; j < d; j++) {
            const double x = s->x[i * d + j], delta = x - f->a[c * d + j];
            f->a[c * d + j] += delta * w / mass[c];
            f->c[c * d + j] += w * delta * (x - f->a[c * d + j]);
        }
    }
}

/* The largest variance of a column over all rows, whatever their class. */
static double largest_variance(const maas_dense *s)
{
    double most = 0;
    for (int64_t j = 0; j < s->d; j++) {
        double mean = 0, m2 = 0;
        for (int64_t i = 0; i < s->n; i++) {
            const double delta = s->x[i * s->d + j] - mean;
            mean += delta / (double)(i + 1);
            m2 += delta * (s->x[i * s->d + j] - mean);
        }
        most = fmax(most, m2 / (double)s->n);
    }
    return most;
}

static maas_status fit_gaussian(maas_dense *s, bayes_fit *f, double *mass, maas_err *err)
{
    const bayes_recipe *r = s->recipe;
    const int64_t k = s->target.n_classes, d = s->d;
    const double floor = r->smoothing * largest_variance(s);
    add_moments(s, f, mass);
    for (int64_t i = 0; i < k * d; i++) {
        const double var = (mass[i / d] > 0 ? f->c[i] / mass[i / d] : 0) + floor;
        if (!(var > 0) && mass[i / d] > 0)
            return maas_fail(err, MAAS_E_INVALID,
                             "input %lld is the same in all rows of a class: params.var_smoothing "
                             "above 0 is needed",
                             (long long)(i % d) + 1);
        f->c[i] = var > 0 ? sqrt(var) : 1;
    }
    return MAAS_OK;
}

/* ---- counts ---- */

static maas_status add_counts(maas_dense *s, bayes_fit *f, double *mass, maas_err *err)
{
    const bayes_recipe *r = s->recipe;
    const int64_t d = s->d;
    for (int64_t i = 0; i < s->n; i++) {
        const int64_t c = s->codes[i];
        const double w = weight_of(s, i);
        mass[c] += w;
        for (int64_t j = 0; j < d; j++) {
            const double x = s->x[i * d + j];
            if (r->kind == MULTINOMIAL && x < 0)
                return maas_fail(err, MAAS_E_INVALID,
                                 "row %lld has the input %g after preparation: multinomial takes "
                                 "counts, scaling none or unit helps",
                                 (long long)s->split.train.at[i] + 1, x);
            f->a[c * d + j] += w * (r->kind == BERNOULLI ? x > r->binarize : x);
        }
    }
    return MAAS_OK;
}

static maas_status fit_counts(maas_dense *s, bayes_fit *f, double *mass, maas_err *err)
{
    const bayes_recipe *r = s->recipe;
    const int64_t k = s->target.n_classes, d = s->d;
    MAAS_TRY(add_counts(s, f, mass, err));
    for (int64_t c = 0; c < k; c++) {
        double sum = 0;
        for (int64_t j = 0; j < d; j++)
            sum += f->a[c * d + j] + r->alpha;
        for (int64_t j = 0; j < d; j++) {
            const double n = f->a[c * d + j] + r->alpha;
            if (r->kind == MULTINOMIAL) {
                f->a[c * d + j] = log(n / sum);
                continue;
            }
            const double yes = n / (mass[c] + 2 * r->alpha);
            f->a[c * d + j] = log(yes) - log1p(-yes);
            f->c[c * d + j] = log1p(-yes);
        }
    }
    return MAAS_OK;
}

static maas_status fit(maas_dense *s, maas_err *err)
{
    const bayes_recipe *r = s->recipe;
    const int64_t k = s->target.n_classes;
    bayes_fit *f = maas_work_array(&s->work, 1, 1, sizeof *f, "classes", err);
    double *m = f ? maas_work_doubles(&s->work, k, 2 * s->d + 2, "classes", err) : NULL;
    if (!m)
        return MAAS_E_NOMEM;
    *f = (bayes_fit){.prior = m, .a = m + 2 * k, .c = m + 2 * k + k * s->d};
    s->fit = f;
    MAAS_TRY((r->kind == GAUSSIAN ? fit_gaussian : fit_counts)(s, f, m + k, err));
    priors(s, m + k, f->prior);
    return MAAS_OK;
}

/* ---- nodes ---- */

/* prior - sum log deviation - |(x - mean) / deviation|^2 / 2 */
static maas_vid gaussian_sums(const maas_dense *s, maas_builder *b, maas_vid x)
{
    const bayes_fit *f = s->fit;
    const int64_t k = s->target.n_classes, d = s->d;
    double *m = maas_arena_array(s->work.arena, (size_t)(k * (d + 1)), sizeof *m);
    if (!m) {
        b->status = maas_fail(b->err, MAAS_E_NOMEM, "classes of the model");
        return MAAS_NO_VALUE;
    }
    double *constant = m + k * d;
    for (int64_t i = 0; i < k * d; i++) {
        m[i] = 1 / f->c[i];
        constant[i / d] -= log(f->c[i]);
    }
    for (int64_t c = 0; c < k; c++)
        constant[c] += f->prior[c];
    maas_vid rows_of = maas_b_op2(b, "Unsqueeze", x, maas_b_i64s(b, (int64_t[]){1}, 1));
    maas_vid away = maas_b_op2(b, "Sub", rows_of,
                               maas_dense_const(b, "means", 3, (int64_t[]){1, k, d}, f->a));
    away = maas_b_op2(b, "Mul", away, maas_dense_const(b, "scales", 3, (int64_t[]){1, k, d}, m));
    maas_vid d2 = maas_dense_reduce(b, "ReduceSumSquare", away, 2, false);
    return maas_b_op2(b, "Sub", maas_dense_const(b, "constants", 1, &k, constant),
                      maas_b_op2(b, "Mul", d2, maas_b_f32(b, 0.5f)));
}

static maas_vid count_sums(const maas_dense *s, maas_builder *b, maas_vid x)
{
    const bayes_recipe *r = s->recipe;
    const bayes_fit *f = s->fit;
    const int64_t k = s->target.n_classes;
    double *constant = maas_arena_array(s->work.arena, (size_t)k, sizeof *constant);
    if (!constant) {
        b->status = maas_fail(b->err, MAAS_E_NOMEM, "classes of the model");
        return MAAS_NO_VALUE;
    }
    for (int64_t c = 0; c < k; c++) {
        constant[c] = f->prior[c];
        for (int64_t j = 0; j < s->d; j++)
            constant[c] += f->c[c * s->d + j];
    }
    if (r->kind == BERNOULLI)
        x = maas_dense_cast(b, maas_b_op2(b, "Greater", x, maas_b_f32(b, (float)r->binarize)),
                            MAAS_F32);
    maas_vid z = maas_dense_times_rows(b, x, "weights", f->a, k, s->d);
    return maas_b_op2(b, "Add", z, maas_dense_const(b, "constants", 1, &k, constant));
}

static void build(const maas_dense *s, maas_builder *b, maas_vid x)
{
    const bayes_recipe *r = s->recipe;
    maas_vid z = (r->kind == GAUSSIAN ? gaussian_sums : count_sums)(s, b, x);
    maas_b_output(b, "label", maas_matrix_label(&s->target, b, z));
    maas_b_output(b, "probabilities", maas_dense_softmax(b, z));
}

static const maas_dense_kind kind = {.classes = true, .fit = fit, .build = build};

static maas_status train(const maas_train_job *job, maas_train_result *out, maas_err *err)
{
    return maas_dense_train(job, &kind, out, err);
}

const maas_learner maas_learner_naive_bayes = {
    .name = "naive_bayes",
    .help = "chances of classes from each input by itself",
    .rows = rows,
    .n_rows = MAAS_COUNT(rows),
    .recipe_size = sizeof(bayes_recipe),
    .settle = maas_dense_settle,
    .train = train,
};
