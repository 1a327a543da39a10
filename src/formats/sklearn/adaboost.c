/*
 * formats/sklearn/adaboost.c - AdaBoostClassifier (SAMME, SAMME.R), AdaBoostRegressor.
 *
 *   SAMME      the class an estimator names gets its weight, the others their share of minus that
 *   SAMME.R    (before 1.6) classes get logarithms of the estimator's probabilities, centered
 *   regressor  the weighted median of the estimators' answers
 *
 * Where all estimators are trees, their leaves say all this and one forest is the model.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "formats/sklearn/parts.h"
#include "formats/sklearn/tree.h"

#include "base/ban.h"

typedef struct boost {
    const maas_pk *list; /* of estimators */
    int64_t n, n_features, n_classes;
    const double *weights; /* [n] */
    double total;          /* of all weights in the file, as the maker divides */
    bool real;             /* SAMME.R */
    double other;          /* SAMME: times the weight, for classes that were not named */
    const maas_tensor *classes;
} boost;

static maas_status read_boost(maas_sk *s, const maas_pk *est, boost *o)
{
    int64_t dims[1] = {-1};
    const maas_tensor *w;
    MAAS_TRY(maas_sk_int(s, est, "n_features_in_", &o->n_features));
    MAAS_TRY(maas_sk_items(s, est, "estimators_", &o->list, &o->n));
    MAAS_TRY(maas_sk_array(s, est, "estimator_weights_", MAAS_F64, 1, dims, &w));
    if (dims[0] < o->n)
        return maas_sk_fail(s, MAAS_E_FORMAT, "estimator_weights_ has %lld items, expected %lld",
                            (long long)dims[0], (long long)o->n);
    o->weights = w->data;
    for (int64_t i = 0; i < dims[0]; i++)
        o->total += o->weights[i];
    if (!(o->total != 0))
        return maas_sk_fail(s, MAAS_E_FORMAT, "estimator_weights_ add up to nothing");
    return MAAS_OK;
}

static bool all_trees(const boost *o)
{
    for (int64_t i = 0; i < o->n; i++)
        if (!maas_sk_is_tree(maas_pk_at(o->list, i)))
            return false;
    return true;
}

/* ---- classes, by trees ---- */

typedef struct vote {
    const boost *o;
    double weight;
    maas_sk_leaf shares;
} vote;

static void vote_of_leaf(const maas_sk_tree *t, int64_t node, double *out, maas_sk_leaf *leaf)
{
    vote *v = leaf->user;
    const int32_t n = leaf->n;
    v->shares.fn(t, node, out, &v->shares);
    if (v->o->real) {
        double mean = 0;
        for (int32_t k = 0; k < n; k++) {
            out[k] = log(out[k] < DBL_EPSILON ? DBL_EPSILON : out[k]);
            mean += out[k];
        }
        for (int32_t k = 0; k < n; k++)
            out[k] = (n - 1) * (out[k] - (1.0 / n) * mean);
        return;
    }
    int32_t best = 0;
    for (int32_t k = 1; k < n; k++)
        if (out[k] > out[best])
            best = k;
    for (int32_t k = 0; k < n; k++)
        out[k] = k == best ? v->weight : v->o->other * v->weight;
}

/* The classes of a tree must be those of the ensemble, which it was fitted on. */
static maas_status check_tree(maas_sk *s, const maas_pk *est, const maas_sk_tree *t, const boost *o)
{
    const maas_tensor *classes;
    MAAS_TRY(maas_sk_classes(s, est, "classes_", o->n_classes, &classes));
    if (t->n_outputs != 1 || t->width != o->n_classes)
        return maas_sk_fail(s, MAAS_E_FORMAT,
                            "%s.values has %lld x %lld numbers a node, expected 1 x %lld", t->place,
                            (long long)t->n_outputs, (long long)t->width, (long long)o->n_classes);
    return MAAS_OK;
}

static maas_status votes_of_trees(maas_sk *s, const boost *o, const maas_sk_table *in,
                                  maas_vid *out)
{
    AUTO(maas_sk_auto_forest) maas_forest *f = NULL;
    vote v = {.o = o, .shares = maas_sk_leaf_classes(s, o->n_classes)};
    maas_sk_leaf leaf = {.fn = vote_of_leaf, .user = &v, .n = (int32_t)o->n_classes};
    MAAS_TRY(maas_sk_forest_create(s, o->n_features, o->n_classes, &f));
    for (int64_t i = 0; i < o->n; i++) {
        AUTO(maas_sk_tree_reset) maas_sk_tree t = {0};
        const maas_pk *est = maas_pk_at(o->list, i);
        MAAS_TRY(maas_sk_tree_read(s, est, i, o->n_features, &t));
        MAAS_TRY(check_tree(s, est, &t, o));
        v.weight = o->weights[i];
        MAAS_TRY(maas_sk_tree_add(s, &t, NULL, &leaf, f));
    }
    *out = maas_sk_forest_run(s, f, maas_sk_narrow(s, maas_sk_matrix(s, in, o->n_features)));
    return s->b.status;
}

/* ---- classes, by any estimator ---- */

static maas_vid real_vote(maas_sk *s, const boost *o, maas_vid p)
{
    p = maas_b_op2(&s->b, "Max", p, maas_sk_f64(s, DBL_EPSILON));
    maas_vid logs = maas_b_op1(&s->b, "Log", p);
    maas_vid centered = MAAS_SK_SUB(s, logs, maas_sk_reduce(s, "ReduceMean", logs, true));
    return MAAS_SK_MUL(s, centered, maas_sk_f64(s, (double)(o->n_classes - 1)));
}

static maas_vid discrete_vote(maas_sk *s, const boost *o, const maas_sk_out *e, double weight)
{
    maas_vid which = maas_sk_upright(s, maas_sk_class_number(s, e->label, o->classes));
    maas_vid named = maas_b_op2(&s->b, "Equal", which, maas_sk_range(s, o->n_classes));
    return maas_b_op3(&s->b, "Where", named, maas_sk_f64(s, weight),
                      maas_sk_f64(s, o->other * weight));
}

static maas_status votes(maas_sk *s, const boost *o, const maas_sk_table *in, maas_vid *out)
{
    const maas_sk_table rows = maas_sk_table_of(maas_sk_matrix(s, in, o->n_features),
                                                o->n_features);
    *out = MAAS_NO_VALUE;
    for (int64_t i = 0; i < o->n; i++) {
        maas_sk_out e;
        MAAS_TRY(maas_sk_decode(s, maas_pk_at(o->list, i), &rows,
                                o->real ? MAAS_SK_PROBABILITIES : MAAS_SK_LABEL, &e,
                                "estimators_[%d]", (int)i));
        if (!e.classes || !maas_sk_same_classes(e.classes, o->classes))
            return maas_sk_fail(s, MAAS_E_FORMAT, "estimators_[%lld] knows other classes",
                                (long long)i);
        maas_vid v = o->real ? real_vote(s, o, e.probabilities)
                             : discrete_vote(s, o, &e, o->weights[i]);
        *out = i ? MAAS_SK_ADD(s, *out, v) : v;
    }
    return s->b.status;
}

/* ---- the classifier ---- */

static maas_status read_classifier(maas_sk *s, const maas_pk *est, boost *o)
{
    static const char *const words[] = {"SAMME", "SAMME.R", "deprecated", NULL};
    int algorithm = 0;
    MAAS_TRY(read_boost(s, est, o));
    MAAS_TRY(maas_sk_word(s, est, "algorithm", words, 0, &algorithm));
    o->real = algorithm == 1;
    MAAS_TRY(maas_sk_classes(s, est, "classes_", -1, &o->classes));
    o->n_classes = o->classes->dims[0];
    if (o->n_classes < 2)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "classes_ has %lld items, expected at least 2",
                            (long long)o->n_classes);
    if (!s->version || s->version >= 10301) /* before, they got nothing */
        o->other = -1 / (double)(o->n_classes - 1);
    return MAAS_OK;
}

static maas_status classifier(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                              unsigned need, maas_sk_out *out)
{
    boost o = {0};
    maas_vid sums = MAAS_NO_VALUE;
    maas_builder *b = &s->b;
    MAAS_TRY(read_classifier(s, est, &o));
    MAAS_TRY(all_trees(&o) ? votes_of_trees(s, &o, in, &sums) : votes(s, &o, in, &sums));
    sums = MAAS_SK_DIV(s, sums, maas_sk_f64(s, o.total));
    out->classes = o.classes;
    if (o.n_classes > 2) {
        out->scores = sums;
        out->label = maas_sk_label(s, maas_sk_argmax(s, sums), o.classes);
        maas_vid z = MAAS_SK_DIV(s, sums, maas_sk_f64(s, (double)(o.n_classes - 1)));
        out->probabilities = maas_sk_softmax(s, z);
        return b->status;
    }
    maas_vid first = maas_sk_gather(s, sums, (int64_t[]){0}, 1, 1);
    maas_vid second = maas_sk_gather(s, sums, (int64_t[]){1}, 1, 1);
    out->scores = MAAS_SK_SUB(s, second, first);
    maas_vid above = maas_b_op2(b, "Greater", maas_sk_flat(s, out->scores), maas_sk_f64(s, 0));
    out->label = maas_sk_label(s, above, o.classes);
    const maas_vid both[2] = {maas_b_op1(b, "Neg", out->scores), out->scores};
    maas_vid z = MAAS_SK_DIV(s, maas_sk_concat(s, both, 2, 1), maas_sk_f64(s, 2));
    out->probabilities = maas_sk_softmax(s, z);
    return b->status;
}

/* ---- the regressor ---- */

/* Answers of all estimators: [n, estimators]. */
static maas_status answers_of_trees(maas_sk *s, const boost *o, const maas_sk_table *in,
                                    maas_vid *out)
{
    AUTO(maas_sk_auto_forest) maas_forest *f = NULL;
    maas_sk_leaf leaf = maas_sk_leaf_values(1);
    MAAS_TRY(maas_sk_forest_create(s, o->n_features, o->n, &f));
    for (int64_t i = 0; i < o->n; i++) {
        AUTO(maas_sk_tree_reset) maas_sk_tree t = {0};
        MAAS_TRY(maas_sk_tree_read(s, maas_pk_at(o->list, i), i, o->n_features, &t));
        if (t.n_outputs != 1 || t.width != 1)
            return maas_sk_fail(s, MAAS_E_FORMAT, "%s gives more than one number", t.place);
        leaf.first = (int32_t)i;
        MAAS_TRY(maas_sk_tree_add(s, &t, NULL, &leaf, f));
    }
    *out = maas_sk_forest_run(s, f, maas_sk_narrow(s, maas_sk_matrix(s, in, o->n_features)));
    return s->b.status;
}

static maas_status answers(maas_sk *s, const boost *o, const maas_sk_table *in, maas_vid *out)
{
    const maas_sk_table rows = maas_sk_table_of(maas_sk_matrix(s, in, o->n_features),
                                                o->n_features);
    maas_vid *each = maas_sk_alloc(s, (size_t)o->n, sizeof *each);
    if (!each)
        return s->b.status;
    for (int64_t i = 0; i < o->n; i++) {
        maas_sk_out e;
        MAAS_TRY(maas_sk_decode(s, maas_pk_at(o->list, i), &rows, MAAS_SK_VALUE, &e,
                                "estimators_[%d]", (int)i));
        each[i] = maas_sk_as_column(s, e.value);
    }
    *out = maas_sk_concat(s, each, (uint32_t)o->n, 1);
    return s->b.status;
}

/* The first of the sorted answers at which half of the weight is reached. */
static maas_vid weighted_median(maas_sk *s, const boost *o, maas_vid each)
{
    maas_builder *b = &s->b;
    const maas_attr order[] = {MAAS_A_INT("axis", 1), MAAS_A_INT("largest", 0),
                               MAAS_A_INT("sorted", 1)};
    const maas_vid in[2] = {each, maas_b_i64s(b, &o->n, 1)};
    maas_vid sorted[2];
    maas_b_node(b, "TopK", order, 3, in, 2, sorted, 2);
    maas_vid weights = maas_b_op2(b, "Gather", maas_sk_f64s(s, o->weights, o->n), sorted[1]);
    maas_vid so_far = maas_b_op2(b, "CumSum", weights, maas_b_i64(b, 1));
    maas_vid all = maas_sk_gather(s, so_far, (int64_t[]){o->n - 1}, 1, 1);
    maas_vid reached = maas_b_op2(b, "GreaterOrEqual", so_far,
                                  MAAS_SK_MUL(s, all, maas_sk_f64(s, 0.5)));
    maas_vid where = maas_sk_upright(s, maas_sk_argmax(s, maas_sk_cast(s, reached, MAAS_F64)));
    const maas_attr axis = MAAS_A_INT("axis", 1);
    return maas_b_node(b, "GatherElements", &axis, 1, (maas_vid[]){sorted[0], where}, 2, NULL, 1);
}

static maas_status regressor(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                             maas_sk_out *out)
{
    boost o = {0};
    maas_vid each = MAAS_NO_VALUE;
    MAAS_TRY(read_boost(s, est, &o));
    MAAS_TRY(all_trees(&o) ? answers_of_trees(s, &o, in, &each) : answers(s, &o, in, &each));
    out->value = maas_sk_flat(s, weighted_median(s, &o, each));
    return s->b.status;
}

#define BOOST "sklearn.ensemble._weight_boosting sklearn.ensemble.weight_boosting"
const maas_sk_row maas_sk_adaboost[] = {
    {"AdaBoostClassifier", BOOST, MAAS_SK_CLASSIFIER, classifier},
    {"AdaBoostRegressor", BOOST, MAAS_SK_REGRESSOR, regressor},
    {0},
};
