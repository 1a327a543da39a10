/*
 * Estimators that stand for another one: searches (their best_estimator_), frozen estimators, and
 * classifiers whose threshold was moved.
 */
#include "formats/sklearn/prep.h"

#include "base/ban.h"

static maas_status search(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                          maas_sk_out *out)
{
    if (!maas_sk_has(est, "best_estimator_"))
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED,
                            "there is no best_estimator_: search with refit=True");
    return maas_sk_decode(s, maas_pk_attr(est, "best_estimator_"), in, need, out,
                          "best_estimator_");
}

static maas_status frozen(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                          maas_sk_out *out)
{
    return maas_sk_decode(s, maas_pk_attr(est, "estimator"), in, need, out, "estimator");
}

/* ---- thresholds ---- */

/* Is pos_label the first class? None means the second one. */
static maas_status positive_is_first(maas_sk *s, const maas_pk *pos, const maas_tensor *classes,
                                     bool *out)
{
    maas_str text;
    double number;
    *out = false;
    if (maas_pk_kind_of(pos) == MAAS_PK_NONE)
        return MAAS_OK;
    for (int i = 0; i < 2; i++) {
        bool same;
        if (classes->dtype == MAAS_STRING) {
            const maas_str c = ((const maas_str *)classes->data)[i];
            same = maas_pk_to_str(pos, &text) && text.n == c.n && memcmp(text.p, c.p, c.n) == 0;
        } else {
            same = maas_pk_to_double(pos, &number) && number == maas_tensor_get(classes, i);
        }
        *out = same && i == 0;
        if (same)
            return MAAS_OK;
    }
    return maas_sk_fail(s, MAAS_E_FORMAT, "pos_label is none of the classes");
}

/* The response of the positive class; probabilities first, as the maker's "auto" has it. */
static maas_status response_of(maas_sk *s, const maas_pk *est, const maas_sk_out *got, bool first,
                               bool *proba, maas_vid *y)
{
    static const char *const methods[] = {"auto", "predict_proba", "decision_function", NULL};
    int method;
    MAAS_TRY(maas_sk_word(s, est, "response_method", methods, 0, &method));
    *proba = method != 2 && got->probabilities != MAAS_NO_VALUE;
    if (*proba)
        *y = maas_sk_gather(s, got->probabilities, (int64_t[]){first ? 0 : 1}, 1, 1);
    else if (method == 1 || got->scores == MAAS_NO_VALUE)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "response_method '%s' is not there",
                            methods[method]);
    else
        *y = first ? sk_op1(s, "Neg", got->scores) : got->scores;
    return s->b.status;
}

static maas_status with_threshold(maas_sk *s, const maas_pk *est, const maas_pk *pos,
                                  const char *attribute, const maas_sk_table *in, maas_sk_out *out)
{
    bool first, proba;
    double threshold;
    maas_str word;
    maas_vid y;
    MAAS_TRY(
        maas_sk_decode(s, maas_pk_attr(est, "estimator_"), in, MAAS_SK_LABEL, out, "estimator_"));
    const maas_tensor *classes = out->classes;
    if (!classes || maas_n_elems(classes) != 2)
        return maas_sk_fail(s, MAAS_E_FORMAT, "estimator_ has no two classes");
    MAAS_TRY(positive_is_first(s, pos, classes, &first));
    MAAS_TRY(response_of(s, est, out, first, &proba, &y));
    if (maas_pk_to_str(maas_pk_attr(est, attribute), &word))
        threshold = proba ? 0.5 : 0; /* "auto" */
    else
        MAAS_TRY(maas_sk_double(s, est, attribute, &threshold));
    maas_vid above = sk_op2(s, first ? "Less" : "GreaterOrEqual", maas_sk_flat(s, y),
                            maas_sk_f64(s, threshold));
    out->label = maas_sk_label(s, above, classes);
    return s->b.status;
}

static maas_status fixed_threshold(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                   unsigned need, maas_sk_out *out)
{
    return with_threshold(s, est, maas_pk_attr(est, "pos_label"), "threshold", in, out);
}

/* The scorer knows which label is positive: in its arguments, or in those of its function. */
static maas_status tuned_threshold(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                   unsigned need, maas_sk_out *out)
{
    const maas_pk *scorer = maas_pk_attr(est, "_curve_scorer");
    const maas_pk *pos = maas_pk_get(maas_pk_attr(scorer, "_kwargs"), "pos_label");
    return with_threshold(s, est, pos, "best_threshold_", in, out);
}

#define SEARCH    "sklearn.model_selection._search"
#define HALVING   "sklearn.model_selection._search_successive_halving"
#define THRESHOLD "sklearn.model_selection._classification_threshold"
const maas_sk_row maas_sk_search[] = {
    {"GridSearchCV", SEARCH, MAAS_SK_META, search},
    {"RandomizedSearchCV", SEARCH, MAAS_SK_META, search},
    {"HalvingGridSearchCV", HALVING, MAAS_SK_META, search},
    {"HalvingRandomSearchCV", HALVING, MAAS_SK_META, search},
    {"FrozenEstimator", "sklearn.frozen._frozen", MAAS_SK_META, frozen},
    {"FixedThresholdClassifier", THRESHOLD, MAAS_SK_META, fixed_threshold},
    {"TunedThresholdClassifierCV", THRESHOLD, MAAS_SK_META, tuned_threshold},
    {0},
};
