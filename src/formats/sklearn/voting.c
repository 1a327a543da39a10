/*
 * formats/sklearn/voting.c - VotingClassifier, VotingRegressor, StackingClassifier,
 * StackingRegressor: estimators that all see the rows, and what is made of their answers.
 *
 * Classifiers inside were fitted on the numbers of the classes.
 */
#include <string.h>

#include "formats/sklearn/parts.h"

#include "base/ban.h"

/* ---- votes ---- */

typedef struct jury {
    const maas_pk *list;
    int64_t n;
    double *weights; /* [n]; NULL: all alike */
    double total;
} jury;

/* `weights` has one for every estimator that was given; those dropped have no place in
 * estimators_. */
static maas_status read_weights(maas_sk *s, const maas_pk *est, jury *o)
{
    const maas_pk *given = maas_pk_attr(est, "estimators");
    const double *w;
    o->total = (double)o->n;
    if (!maas_sk_has(est, "weights"))
        return MAAS_OK;
    MAAS_TRY(maas_sk_numbers(s, est, "weights", maas_pk_count(given), &w));
    o->weights = maas_sk_alloc(s, (size_t)o->n, sizeof *o->weights);
    if (!o->weights)
        return s->b.status;
    int64_t kept = 0;
    o->total = 0;
    for (int64_t i = 0; i < maas_pk_count(given); i++) {
        if (maas_sk_is_word(maas_pk_at(maas_pk_at(given, i), 1), "drop"))
            continue;
        if (kept < o->n)
            o->weights[kept] = w[i];
        o->total += w[i];
        kept++;
    }
    if (kept != o->n || !(o->total != 0))
        return maas_sk_fail(s, MAAS_E_FORMAT, "weights are for %lld estimators, there are %lld",
                            (long long)kept, (long long)o->n);
    return MAAS_OK;
}

static maas_status read_jury(maas_sk *s, const maas_pk *est, jury *o)
{
    MAAS_TRY(maas_sk_items(s, est, "estimators_", &o->list, &o->n));
    return read_weights(s, est, o);
}

static maas_vid weighed(maas_sk *s, const jury *o, int64_t i, maas_vid v)
{
    return o->weights ? MAAS_SK_MUL(s, v, maas_sk_f64(s, o->weights[i])) : v;
}

/* One classifier's part in the sum: probabilities, or its vote. */
static maas_status part_of(maas_sk *s, const jury *o, int64_t i, bool hard, int64_t n_classes,
                           const maas_sk_table *in, maas_vid *out)
{
    maas_sk_out e;
    MAAS_TRY(maas_sk_decode(s, maas_pk_at(o->list, i), in,
                            hard ? MAAS_SK_LABEL : MAAS_SK_PROBABILITIES, &e, "estimators_[%d]",
                            (int)i));
    MAAS_TRY(maas_sk_encoded(s, &e, n_classes));
    if (!hard && e.classes->dims[0] != n_classes)
        return maas_sk_fail(s, MAAS_E_FORMAT, "estimators_[%lld] knows %lld classes of %lld",
                            (long long)i, (long long)e.classes->dims[0], (long long)n_classes);
    *out = e.probabilities;
    if (hard) {
        maas_vid named = maas_b_op2(&s->b, "Equal", maas_sk_upright(s, e.label),
                                    maas_sk_range(s, n_classes));
        *out = maas_sk_cast(s, named, MAAS_F64);
    }
    *out = weighed(s, o, i, *out);
    return s->b.status;
}

static maas_status voting_classifier(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                     unsigned need, maas_sk_out *out)
{
    static const char *const ways[] = {"hard", "soft", NULL};
    jury o = {0};
    int way;
    maas_vid sum = MAAS_NO_VALUE, part = MAAS_NO_VALUE;
    MAAS_TRY(maas_sk_word(s, est, "voting", ways, 0, &way));
    MAAS_TRY(maas_sk_classes(s, est, "classes_", -1, &out->classes));
    MAAS_TRY(read_jury(s, est, &o));
    for (int64_t i = 0; i < o.n; i++) {
        MAAS_TRY(part_of(s, &o, i, way == 0, out->classes->dims[0], in, &part));
        sum = i ? MAAS_SK_ADD(s, sum, part) : part;
    }
    if (way == 1)
        sum = out->probabilities = MAAS_SK_DIV(s, sum, maas_sk_f64(s, o.total));
    out->label = maas_sk_label(s, maas_sk_argmax(s, sum), out->classes);
    return s->b.status;
}

static maas_status voting_regressor(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                    unsigned need, maas_sk_out *out)
{
    jury o = {0};
    maas_vid sum = MAAS_NO_VALUE;
    MAAS_TRY(read_jury(s, est, &o));
    for (int64_t i = 0; i < o.n; i++) {
        maas_sk_out e;
        MAAS_TRY(maas_sk_decode(s, maas_pk_at(o.list, i), in, MAAS_SK_VALUE, &e, "estimators_[%d]",
                                (int)i));
        maas_vid part = weighed(s, &o, i, maas_sk_as_column(s, e.value));
        sum = i ? MAAS_SK_ADD(s, sum, part) : part;
    }
    out->value = maas_sk_flat(s, MAAS_SK_DIV(s, sum, maas_sk_f64(s, o.total)));
    return s->b.status;
}

/* ---- stacks ---- */

/* What an estimator answers, as columns for the one on top. Of two probabilities one is enough. */
static maas_status level_of(maas_sk *s, const maas_pk *inside, int64_t i, int method,
                            int64_t n_classes, const maas_sk_table *in, maas_sk_table *out)
{
    static const unsigned needs[] = {MAAS_SK_PROBABILITIES, MAAS_SK_SCORES, 0};
    maas_sk_out e;
    MAAS_TRY(maas_sk_decode(s, inside, in, needs[method], &e, "estimators_[%d]", (int)i));
    maas_vid v = method == 0 ? e.probabilities : e.scores;
    if (method == 0 && n_classes == 2)
        v = maas_sk_gather(s, v, (int64_t[]){1}, 1, 1);
    if (method == 2) {
        v = e.value != MAAS_NO_VALUE ? e.value : e.label;
        if (v == MAAS_NO_VALUE)
            return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "estimators_[%lld] does not predict",
                                (long long)i);
        if (e.value == MAAS_NO_VALUE && (!e.classes || e.classes->dtype == MAAS_STRING))
            return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "estimators_[%lld] answers text",
                                (long long)i);
        v = maas_sk_cast(s, maas_sk_as_column(s, v), MAAS_F64);
    }
    const maas_type *t = maas_b_type(&s->b, v);
    if (!t)
        return s->b.status;
    if (t->rank != 2 || t->dims[1] < 1)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "estimators_[%lld] answers no matrix",
                            (long long)i);
    *out = maas_sk_table_of(v, t->dims[1]);
    return MAAS_OK;
}

static maas_status method_of(maas_sk *s, const maas_pk *methods, int64_t i, int *out)
{
    static const char *const words[] = {"predict_proba", "decision_function", "predict"};
    const maas_pk *v = maas_pk_at(methods, i);
    for (*out = 0; *out < (int)MAAS_COUNT(words); ++*out)
        if (maas_sk_is_word(v, words[*out]))
            return MAAS_OK;
    return maas_sk_fail(s, MAAS_E_FORMAT, "stack_method_[%lld] is no name of a method",
                        (long long)i);
}

/* The rows that the final estimator sees. */
static maas_status levels(maas_sk *s, const maas_pk *est, int64_t n_classes,
                          const maas_sk_table *in, maas_sk_table *out)
{
    const maas_pk *list, *methods;
    int64_t n, n_methods;
    bool passthrough;
    MAAS_TRY(maas_sk_items(s, est, "estimators_", &list, &n));
    MAAS_TRY(maas_sk_items(s, est, "stack_method_", &methods, &n_methods));
    MAAS_TRY(maas_sk_bool_or(s, est, "passthrough", false, &passthrough));
    if (n_methods != n)
        return maas_sk_fail(s, MAAS_E_FORMAT, "stack_method_ has %lld items, expected %lld",
                            (long long)n_methods, (long long)n);
    maas_sk_table *parts = maas_sk_alloc(s, (size_t)n + 1, sizeof *parts);
    if (!parts)
        return s->b.status;
    for (int64_t i = 0; i < n; i++) {
        int method;
        MAAS_TRY(method_of(s, methods, i, &method));
        MAAS_TRY(level_of(s, maas_pk_at(list, i), i, method, n_classes, in, &parts[i]));
    }
    parts[n] = *in;
    return maas_sk_side_by_side(s, parts, n + passthrough, out);
}

static maas_status stacking_classifier(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                       unsigned need, maas_sk_out *out)
{
    maas_sk_table top;
    maas_sk_out e;
    MAAS_TRY(maas_sk_classes(s, est, "classes_", -1, &out->classes));
    const int64_t n_classes = out->classes->dims[0];
    MAAS_TRY(levels(s, est, n_classes, in, &top));
    MAAS_TRY(maas_sk_decode(s, maas_pk_attr(est, "final_estimator_"), &top, MAAS_SK_LABEL, &e,
                            "final_estimator_"));
    MAAS_TRY(maas_sk_encoded(s, &e, n_classes));
    out->label = maas_sk_label(s, e.label, out->classes);
    out->scores = e.scores;
    if (e.classes->dims[0] == n_classes)
        out->probabilities = e.probabilities;
    return s->b.status;
}

static maas_status stacking_regressor(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                      unsigned need, maas_sk_out *out)
{
    maas_sk_table top;
    maas_sk_out e;
    MAAS_TRY(levels(s, est, 0, in, &top));
    MAAS_TRY(maas_sk_decode(s, maas_pk_attr(est, "final_estimator_"), &top, MAAS_SK_VALUE, &e,
                            "final_estimator_"));
    out->value = e.value;
    return s->b.status;
}

#define VOTING   "sklearn.ensemble._voting sklearn.ensemble.voting sklearn.ensemble.voting_classifier"
#define STACKING "sklearn.ensemble._stacking"
const maas_sk_row maas_sk_voting[] = {
    {"StackingClassifier", STACKING, MAAS_SK_CLASSIFIER, stacking_classifier},
    {"StackingRegressor", STACKING, MAAS_SK_REGRESSOR, stacking_regressor},
    {"VotingClassifier", VOTING, MAAS_SK_CLASSIFIER, voting_classifier},
    {"VotingRegressor", VOTING, MAAS_SK_REGRESSOR, voting_regressor},
    {0},
};
