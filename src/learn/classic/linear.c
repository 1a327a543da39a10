/*
 * learn/classic/linear.c - weighted sums of the inputs that predict numbers: ridge, lasso and
 * elastic net by name, and the exact way of linear_regression.
 *
 * Objectives are scikit-learn's (learn/cores/lin_solve.h), on the prepared inputs and the target as
 * it is. The model file scales its sums by the target's mean and deviation under the names that
 * networks use, so an update by gradients goes on from it.
 */
#include "learn/classic/linear.h"

#include <math.h>

#include "learn/classic/dense.h"
#include "learn/cores/lin_solve.h"

#include "base/ban.h"

typedef struct linear_recipe {
    maas_dense_recipe dense;
    double alpha, ratio, tol;
    int64_t max_iter;
    bool intercept, positive;
} linear_recipe;

#define AT(f) offsetof(linear_recipe, f)
#define ALPHA(text)                                                                                \
    {                                                                                              \
        "alpha", MAAS_PARAM_NUM, AT(alpha), 0, 1e12, 1, .help = text                               \
    }
#define INTERCEPT                                                                                  \
    {                                                                                              \
        "fit_intercept", MAAS_PARAM_BOOL, AT(intercept), .preset = 1,                              \
                                                         .help = "add a constant, free of penalty" \
    }
#define DESCENT_ROWS                                                                               \
    {"tol",                                                                                        \
     MAAS_PARAM_NUM,                                                                               \
     AT(tol),                                                                                      \
     0,                                                                                            \
     1,                                                                                            \
     1e-6,                                                                                         \
     .help = "duality gap at which it is solved, in units of |y|^2"},                              \
        {"max_iter",                                                                               \
         MAAS_PARAM_INT,                                                                           \
         AT(max_iter),                                                                             \
         1,                                                                                        \
         1e9,                                                                                      \
         10000,                                                                                    \
         .help = "passes over the coordinates"},                                                   \
    {                                                                                              \
        "positive", MAAS_PARAM_BOOL, AT(positive), .preset = 0, .help = "no weight below 0"        \
    }

static const maas_param ridge_rows[] = {
    ALPHA("penalty alpha |w|^2 beside the sum of squared errors"),
    INTERCEPT,
    DENSE_WEIGHT,
    DENSE_ROWS(MAAS_SCALING_AUTO),
};
static const maas_param lasso_rows[] = {
    ALPHA("penalty alpha |w|_1 beside half the mean squared error"),
    INTERCEPT,
    DESCENT_ROWS,
    DENSE_WEIGHT,
    DENSE_ROWS(MAAS_SCALING_AUTO),
};
static const maas_param elastic_rows[] = {
    ALPHA("penalty alpha (l1_ratio |w|_1 + (1 - l1_ratio)/2 |w|^2) beside half the mean squared "
          "error"),
    {"l1_ratio", MAAS_PARAM_NUM, AT(ratio), 0, 1, 0.5,
     .help = "share of the absolute part: 1 is the lasso, 0 ridge"},
    INTERCEPT,
    DESCENT_ROWS,
    DENSE_WEIGHT,
    DENSE_ROWS(MAAS_SCALING_AUTO),
};

/* ---- fitting ---- */

static maas_status room_for_fit(maas_dense *s, maas_err *err)
{
    const int64_t t = s->target.width;
    maas_lin_fit *f = maas_work_array(&s->work, 1, 1, sizeof *f, "weights", err);
    if (!f)
        return MAAS_E_NOMEM;
    f->coef = maas_work_doubles(&s->work, t, s->d, "weights", err);
    f->intercept = f->coef ? maas_work_doubles(&s->work, 1, t, "weights", err) : NULL;
    s->fit = f;
    return f->intercept ? MAAS_OK : MAAS_E_NOMEM;
}

static maas_lin_data data_of(const maas_dense *s)
{
    return (maas_lin_data){s->x, s->y, s->weight, s->n, s->d, s->target.width};
}

static maas_lin_opts opts_of(const linear_recipe *r)
{
    return (maas_lin_opts){.alpha = r->alpha,
                           .ratio = r->ratio,
                           .intercept = r->intercept,
                           .positive = r->positive,
                           .max_iter = r->max_iter,
                           .tol = r->tol};
}

static maas_status fit_ridge(maas_dense *s, maas_err *err)
{
    const maas_lin_data p = data_of(s);
    const maas_lin_opts o = opts_of(s->recipe);
    MAAS_TRY(room_for_fit(s, err));
    return maas_ridge_fit(&s->work, &p, &o, s->fit, err);
}

static maas_status fit_elastic(maas_dense *s, maas_err *err)
{
    const maas_lin_data p = data_of(s);
    const maas_lin_opts o = opts_of(s->recipe);
    MAAS_TRY(room_for_fit(s, err));
    maas_lin_fit *f = s->fit;
    MAAS_TRY(maas_elastic_fit(&s->work, &p, &o, f, err));
    int64_t zeros = 0;
    for (int64_t i = 0; i < p.t * p.d; i++)
        zeros += f->coef[i] == 0;
    MAAS_TRY(maas_dense_note_json(s, "n_iter", json_integer(f->n_iter), err));
    MAAS_TRY(maas_dense_note_json(s, "converged", json_boolean(f->gap <= o.tol), err));
    MAAS_TRY(maas_dense_note_json(s, "zero_weights", json_integer(zeros), err));
    return maas_dense_note(s, "duality_gap", f->gap, err);
}

/* l2/2 |w|^2 beside the mean squared error is n l2/2 |w|^2 beside their sum. */
static maas_status fit_least_squares(maas_dense *s, maas_err *err)
{
    const maas_recipe *r = s->recipe;
    const maas_lin_data p = data_of(s);
    double sum_w = 0;
    for (int64_t i = 0; i < s->n; i++)
        sum_w += s->weight ? s->weight[i] : 1;
    const maas_lin_opts o = {.alpha = r->weight_decay / 2 * sum_w, .intercept = true};
    MAAS_TRY(room_for_fit(s, err));
    return maas_ridge_fit(&s->work, &p, &o, s->fit, err);
}

/* ---- nodes ---- */

/* Mean and deviation of target k. */
static void unit_of(const maas_dense *s, int64_t k, double *mean, double *deviation)
{
    double m2 = 0;
    *mean = 0;
    for (int64_t i = 0; i < s->n; i++) {
        const double y = s->y[i * s->target.width + k], d = y - *mean;
        *mean += d / (double)(i + 1);
        m2 += d * (y - *mean);
    }
    *deviation = sqrt(m2 / (double)s->n);
    *deviation = *deviation > 0 && (float)*deviation > 0 ? *deviation : 1;
}

static void build(const maas_dense *s, maas_builder *b, maas_vid x)
{
    const maas_lin_fit *f = s->fit;
    const int64_t t = s->target.width;
    double *m = maas_arena_array(s->work.arena, (size_t)(t * (s->d + 3)), sizeof *m);
    if (!m) {
        b->status = maas_fail(b->err, MAAS_E_NOMEM, "weights of the model");
        return;
    }
    double *w = m, *bias = m + t * s->d, *shift = bias + t, *scale = shift + t;
    for (int64_t k = 0; k < t; k++) {
        unit_of(s, k, &shift[k], &scale[k]);
        for (int64_t j = 0; j < s->d; j++)
            w[j * t + k] = f->coef[k * s->d + j] / scale[k];
        bias[k] = (f->intercept[k] - shift[k]) / scale[k];
    }
    maas_vid z = maas_b_op3(b, "Gemm", x, maas_dense_const(b, "weight", 2, (int64_t[]){s->d, t}, w),
                            maas_dense_const(b, "bias", 1, &t, bias));
    z = maas_b_op2(b, "Mul", z, maas_dense_const(b, "input.target_scale", 1, &t, scale));
    z = maas_b_op2(b, "Add", z, maas_dense_const(b, "input.target_shift", 1, &t, shift));
    maas_dense_values(s, b, z);
}

/* ---- learners ---- */

static const maas_dense_kind ridge_kind = {.values = true, .fit = fit_ridge, .build = build};
static const maas_dense_kind elastic_kind = {.values = true, .fit = fit_elastic, .build = build};

static maas_dense_recipe head_of(const void *recipe)
{
    const maas_recipe *r = recipe;
    return (maas_dense_recipe){.validation = r->validation,
                               .seed = r->seed,
                               .max_categories = r->max_categories,
                               .shuffle = r->shuffle,
                               .scaling = r->scaling,
                               .weight = r->exact.weight,
                               .preparation = r->preparation};
}

static const maas_dense_kind least_squares_kind = {
    .values = true, .head = head_of, .fit = fit_least_squares, .build = build};

maas_status maas_train_least_squares(const maas_train_job *job, maas_train_result *out,
                                     maas_err *err)
{
    return maas_dense_train(job, &least_squares_kind, out, err);
}

/* Numbers a row has, text as so many categories as the statistics of its column say. */
static double width_of(const maas_dataset *data, const char *target, int64_t max_categories)
{
    double d = 0;
    for (uint32_t i = 0; i < data->n_cols; i++) {
        const maas_ds_column *c = &data->cols[i];
        if (target && strcmp(c->desc.name, target) == 0)
            continue;
        if (c->desc.dtype != MAAS_STRING) {
            d += (double)maas_column_width(c);
            continue;
        }
        const json_t *kinds = json_object_get(c->stats, "distinct");
        d += fmin(kinds ? json_number_value(kinds) : 1, (double)max_categories);
    }
    return d;
}

bool maas_exact_fits(const maas_train_job *job, int64_t max_categories)
{
    const double d = width_of(job->data, job->target, max_categories);
    const double n = (double)job->data->n_rows;
    return !job->budget || !job->budget->limit ||
           24 * n * d + 24 * d * d < 0.9 * (double)job->budget->limit;
}

static maas_status train_ridge(const maas_train_job *job, maas_train_result *out, maas_err *err)
{
    return maas_dense_train(job, &ridge_kind, out, err);
}

static maas_status train_elastic(const maas_train_job *job, maas_train_result *out, maas_err *err)
{
    return maas_dense_train(job, &elastic_kind, out, err);
}

static maas_status settle_lasso(void *recipe, const json_t *params, maas_arena *a, maas_err *err)
{
    ((linear_recipe *)recipe)->ratio = 1;
    return maas_dense_settle(recipe, params, a, err);
}

#define LINEAR(name_, help_, rows_, settle_, train_)                                               \
    const maas_learner maas_learner_##name_ = {                                                    \
        .name = #name_,                                                                            \
        .help = help_,                                                                             \
        .rows = rows_,                                                                             \
        .n_rows = MAAS_COUNT(rows_),                                                               \
        .recipe_size = sizeof(linear_recipe),                                                      \
        .settle = settle_,                                                                         \
        .train = train_,                                                                           \
    }
LINEAR(ridge, "a weighted sum of the inputs, weights held small by their squares", ridge_rows,
       maas_dense_settle, train_ridge);
LINEAR(lasso, "a weighted sum of few inputs: a penalty on absolute weights makes many 0",
       lasso_rows, settle_lasso, train_elastic);
LINEAR(elastic_net, "between ridge and lasso", elastic_rows, maas_dense_settle, train_elastic);
