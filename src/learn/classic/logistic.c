/*
 * learn/classic/logistic.c - the exact way of logistic_regression: L-BFGS to the optimum of
 * scikit-learn's objective, on the prepared inputs.
 */
#include <math.h>

#include "learn/classic/dense.h"
#include "learn/classic/linear.h"
#include "learn/cores/lin_logit.h"

#include "base/ban.h"

typedef struct logistic_fit {
    int64_t rows; /* of weights */
    double *coef, *intercept;
} logistic_fit;

/* l2 of the gradient way is in units of the mean loss, C in units of the sum. */
static maas_logit_opts opts_of(const maas_dense *s)
{
    const maas_recipe *r = s->recipe;
    const maas_exact_spec *e = &r->exact;
    static const double ratios[] = {
        [MAAS_PENALTY_NONE] = 0, [MAAS_PENALTY_L2] = 0, [MAAS_PENALTY_L1] = 1};
    double sum_w = 0;
    for (int64_t i = 0; i < s->n; i++)
        sum_w += s->weight ? s->weight[i] : 1;
    maas_logit_opts o = {.inverse_c = r->weight_decay > 0 ? r->weight_decay * sum_w : 1 / e->c,
                         .ratio = e->penalty == MAAS_PENALTY_ELASTIC ? e->l1_ratio
                                                                     : ratios[e->penalty],
                         .intercept = true,
                         .max_iter = e->max_iter,
                         .tol = e->tol};
    if (e->penalty == MAAS_PENALTY_NONE)
        o.inverse_c = 0;
    return o;
}

static maas_status fit(maas_dense *s, maas_err *err)
{
    const int64_t k = s->target.n_classes;
    logistic_fit *f = maas_work_array(&s->work, 1, 1, sizeof *f, "weights", err);
    if (!f)
        return MAAS_E_NOMEM;
    f->rows = k == 2 ? 1 : k;
    f->coef = maas_work_doubles(&s->work, f->rows, s->d + 1, "weights", err);
    if (!f->coef)
        return MAAS_E_NOMEM;
    f->intercept = f->coef + f->rows * s->d;
    s->fit = f;
    const maas_logit_data p = {s->x, s->codes, s->weight, s->n, s->d, k};
    const maas_logit_opts o = opts_of(s);
    maas_descent_end end;
    MAAS_TRY(maas_logit_fit(&s->work, &p, &o, f->coef, f->intercept, &end, err));
    MAAS_TRY(maas_dense_note_json(s, "n_iter", json_integer(end.n_iter), err));
    return maas_dense_note_json(s, "converged", json_boolean(end.converged), err);
}

static void build(const maas_dense *s, maas_builder *b, maas_vid x)
{
    const logistic_fit *f = s->fit;
    double *w = maas_arena_array(s->work.arena, (size_t)(f->rows * s->d), sizeof *w);
    if (!w) {
        b->status = maas_fail(b->err, MAAS_E_NOMEM, "weights of the model");
        return;
    }
    for (int64_t c = 0; c < f->rows; c++)
        for (int64_t j = 0; j < s->d; j++)
            w[j * f->rows + c] = f->coef[c * s->d + j];
    maas_vid weight = maas_dense_const(b, "weight", 2, (int64_t[]){s->d, f->rows}, w);
    maas_vid bias = maas_dense_const(b, "bias", 1, &f->rows, f->intercept);
    maas_dense_logits(s, b, maas_b_op3(b, "Gemm", x, weight, bias));
}

static maas_dense_recipe head_of(const void *recipe)
{
    const maas_recipe *r = recipe;
    return (maas_dense_recipe){.validation = r->validation,
                               .seed = r->seed,
                               .max_categories = r->max_categories,
                               .shuffle = r->shuffle,
                               .scaling = r->scaling,
                               .class_weight = r->class_weight,
                               .weight = r->exact.weight,
                               .preparation = r->preparation};
}

static const maas_dense_kind logistic_kind = {
    .classes = true, .head = head_of, .fit = fit, .build = build};

maas_status maas_train_logistic(const maas_train_job *job, maas_train_result *out, maas_err *err)
{
    return maas_dense_train(job, &logistic_kind, out, err);
}
