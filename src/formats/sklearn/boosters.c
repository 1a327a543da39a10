/*
 * formats/sklearn/boosters.c - boosters of XGBoost and LightGBM in a pickle: the wrappers for
 * scikit-learn hold the library's own model file, which its reader understands.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "formats/boosted.h"
#include "formats/sklearn/parts.h"

#include "base/ban.h"

typedef maas_status decode_fn(maas_span file, const maas_boosted_opts *o, maas_boosted *out,
                              maas_err *err);

/* The model file: under `handle` or `_handle` of the booster. */
static maas_status model_file(maas_sk *s, const maas_pk *booster, maas_span *out)
{
    const maas_pk *v = maas_pk_attr(booster, "handle");
    if (!v)
        v = maas_pk_attr(booster, "_handle");
    if (!maas_pk_to_bytes(v, out) || out->n == 0)
        return maas_sk_fail(s, MAAS_E_FORMAT, "the booster holds %s, expected its model file",
                            maas_pk_kind_text(v));
    return MAAS_OK;
}

static maas_status read_booster(maas_sk *s, const maas_pk *booster, decode_fn *decode,
                                const maas_boosted_opts *o, maas_boosted *out)
{
    maas_span file;
    maas_err why = {0};
    MAAS_TRY(model_file(s, booster, &file));
    maas_status st = decode(file, o, out, &why);
    return st == MAAS_OK ? MAAS_OK : maas_sk_fail(s, st, "%s", why.msg);
}

/* The wrapper's own word for a missing cell, NaN unless it says so. */
static maas_status with_gaps(maas_sk *s, const maas_pk *est, maas_vid *x)
{
    double missing = NAN;
    if (maas_sk_has(est, "missing") && !maas_pk_to_double(maas_pk_attr(est, "missing"), &missing))
        return maas_sk_fail(s, MAAS_E_FORMAT, "missing is no number");
    if (!isnan(missing))
        *x = maas_b_op3(&s->b, "Where", maas_b_op2(&s->b, "Equal", *x, maas_sk_f64(s, missing)),
                        maas_sk_f64(s, NAN), *x);
    return s->b.status;
}

/* Labels of the booster are numbers; the wrapper may know what they stand for. */
static maas_status classes_of(maas_sk *s, const maas_pk *est, const maas_boosted *m,
                              const maas_boosted_out *o, maas_sk_out *out)
{
    const char *name = maas_sk_has(est, "_classes") ? "_classes" : "classes_";
    if (maas_sk_has(est, name)) {
        MAAS_TRY(maas_sk_classes(s, est, name, m->n_classes, &out->classes));
        out->label = maas_sk_label(s, o->label, out->classes);
        return s->b.status;
    }
    maas_tensor *t = maas_sk_alloc(s, 1, sizeof *t);
    int64_t *numbers = maas_sk_alloc(s, (size_t)m->n_classes, sizeof *numbers);
    if (!t || !numbers)
        return s->b.status;
    for (int32_t k = 0; k < m->n_classes; k++)
        numbers[k] = m->class_ints ? m->class_ints[k] : k;
    const int64_t n = m->n_classes;
    *t = maas_tensor_of(MAAS_I64, 1, &n, numbers);
    out->classes = t;
    out->label = o->label;
    return MAAS_OK;
}

static maas_vid wide(maas_sk *s, maas_vid v)
{
    return v == MAAS_NO_VALUE ? v : maas_sk_cast(s, v, MAAS_F64);
}

static maas_status answer(maas_sk *s, const maas_pk *est, const maas_boosted *m,
                          const maas_sk_table *in, maas_sk_out *out)
{
    maas_boosted_out o;
    maas_vid x = maas_sk_matrix(s, in, m->n_features);
    MAAS_TRY(with_gaps(s, est, &x));
    maas_boosted_build(m, &s->b, x, &o);
    MAAS_TRY(s->b.status);
    out->probabilities = wide(s, o.probabilities);
    out->scores = wide(s, o.scores);
    out->value = wide(s, o.value);
    if (m->task != MAAS_BOOST_VALUES)
        MAAS_TRY(classes_of(s, est, m, &o, out));
    return s->b.status;
}

static maas_status wrapper(maas_sk *s, const maas_pk *est, const maas_pk *booster,
                           decode_fn *decode, const maas_boosted_opts *o, const maas_sk_table *in,
                           maas_sk_out *out)
{
    AUTO(maas_boosted_reset) maas_boosted m = {0};
    MAAS_TRY(read_booster(s, booster, decode, o, &m));
    if (m.dtype == MAAS_F32) { /* estimators around it compute in F64: one form of trees for all */
        m.dtype = MAAS_F64;
        m.single_rows = true;
    }
    if (out->role == MAAS_SK_META)
        out->role = m.task == MAAS_BOOST_VALUES ? MAAS_SK_REGRESSOR : MAAS_SK_CLASSIFIER;
    if ((out->role == MAAS_SK_CLASSIFIER) != (m.task != MAAS_BOOST_VALUES))
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "the objective %s does not go with it",
                            m.objective ? m.objective : "");
    return answer(s, est, &m, in, out);
}

/* After early stopping the wrapper uses the trees up to the best iteration. */
static maas_status xgboost(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                           maas_sk_out *out)
{
    const maas_boosted_opts o = {.budget = s->arena->budget, .best_iteration = true};
    return wrapper(s, est, maas_pk_attr(est, "_Booster"), maas_xgboost_decode, &o, in, out);
}

static maas_status lightgbm(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                            maas_sk_out *out)
{
    maas_boosted_opts o = {.budget = s->arena->budget};
    MAAS_TRY(maas_sk_int_or(s, est, "_best_iteration", 0, &o.n_iterations));
    if (o.n_iterations < 0)
        o.n_iterations = 0;
    return wrapper(s, est, maas_pk_attr(est, "_Booster"), maas_lightgbm_decode, &o, in, out);
}

/* A booster without a wrapper. */
static maas_status xgboost_booster(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                   unsigned need, maas_sk_out *out)
{
    const maas_boosted_opts o = {.budget = s->arena->budget};
    return wrapper(s, est, est, maas_xgboost_decode, &o, in, out);
}

static maas_status lightgbm_booster(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                    unsigned need, maas_sk_out *out)
{
    maas_boosted_opts o = {.budget = s->arena->budget};
    MAAS_TRY(maas_sk_int_or(s, est, "best_iteration", 0, &o.n_iterations));
    if (o.n_iterations < 0)
        o.n_iterations = 0;
    return wrapper(s, est, est, maas_lightgbm_decode, &o, in, out);
}

const maas_sk_row maas_sk_boosters[] = {
    {"Booster", "lightgbm.basic", MAAS_SK_META, lightgbm_booster},
    {"Booster", "xgboost.core", MAAS_SK_META, xgboost_booster},
    {"LGBMClassifier", "lightgbm.sklearn", MAAS_SK_CLASSIFIER, lightgbm},
    {"LGBMRanker", "lightgbm.sklearn", MAAS_SK_REGRESSOR, lightgbm},
    {"LGBMRegressor", "lightgbm.sklearn", MAAS_SK_REGRESSOR, lightgbm},
    {"XGBClassifier", "xgboost.sklearn", MAAS_SK_CLASSIFIER, xgboost},
    {"XGBRanker", "xgboost.sklearn", MAAS_SK_REGRESSOR, xgboost},
    {"XGBRFClassifier", "xgboost.sklearn", MAAS_SK_CLASSIFIER, xgboost},
    {"XGBRFRegressor", "xgboost.sklearn", MAAS_SK_REGRESSOR, xgboost},
    {"XGBRegressor", "xgboost.sklearn", MAAS_SK_REGRESSOR, xgboost},
    {0},
};
