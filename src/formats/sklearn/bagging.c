/*
 * formats/sklearn/bagging.c - BaggingClassifier, BaggingRegressor: the mean of estimators that each
 * see some of the columns (estimators_features_, which may repeat).
 *
 * Classifiers inside were fitted on numbers of classes and may know only some of them. One without
 * probabilities gives its vote instead. Where all estimators are trees, one forest is the model.
 */
#include <string.h>

#include "base/mem.h"
#include "formats/sklearn/parts.h"
#include "formats/sklearn/tree.h"

#include "base/ban.h"

typedef struct bag {
    const maas_pk *list, *columns;
    int64_t n, n_features;
    int64_t n_classes; /* 0: a regressor */
} bag;

static maas_status read_bag(maas_sk *s, const maas_pk *est, bag *o)
{
    MAAS_TRY(maas_sk_int(s, est, "n_features_in_", &o->n_features));
    MAAS_TRY(maas_sk_items(s, est, "estimators_", &o->list, &o->n));
    o->columns = maas_pk_attr(est, "estimators_features_");
    if (maas_pk_count(o->columns) != o->n)
        return maas_sk_fail(s, MAAS_E_FORMAT, "estimators_features_ has %lld items, expected %lld",
                            (long long)maas_pk_count(o->columns), (long long)o->n);
    return MAAS_OK;
}

static bool all_trees(const bag *o)
{
    for (int64_t i = 0; i < o->n; i++)
        if (!maas_sk_is_tree(maas_pk_at(o->list, i)))
            return false;
    return true;
}

/* classes_ of an estimator inside: numbers of the ensemble's classes. */
static maas_status check_numbers(maas_sk *s, const maas_tensor *classes, int64_t number,
                                 int64_t n_classes)
{
    const int64_t *c = classes && classes->dtype == MAAS_I64 ? classes->data : NULL;
    for (int64_t k = 0; c && k < classes->dims[0]; k++)
        if (c[k] < 0 || c[k] >= n_classes)
            c = NULL;
    return c ? MAAS_OK
             : maas_sk_fail(s, MAAS_E_FORMAT,
                            "estimators_[%lld].classes_ are not numbers from 0 to %lld",
                            (long long)number, (long long)n_classes - 1);
}

/* ---- trees ---- */

typedef struct spread {
    maas_sk_leaf shares;
    double *own;          /* [width] what the tree says of its classes */
    const int64_t *which; /* [width] their numbers in the ensemble */
} spread;

static void spread_leaf(const maas_sk_tree *t, int64_t node, double *out, maas_sk_leaf *leaf)
{
    spread *p = leaf->user;
    p->shares.fn(t, node, p->own, &p->shares);
    for (int32_t k = 0; k < p->shares.n; k++)
        out[p->which[k]] = p->own[k];
}

static maas_status add_tree(maas_sk *s, const bag *o, int64_t i, maas_forest *f)
{
    AUTO(maas_sk_tree_reset) maas_sk_tree t = {0};
    const maas_pk *est = maas_pk_at(o->list, i);
    const maas_tensor *columns, *classes;
    MAAS_TRY(maas_sk_columns_of(s, maas_pk_at(o->columns, i), i, o->n_features, &columns));
    MAAS_TRY(maas_sk_tree_read(s, est, i, columns->dims[0], &t));
    if (o->n_classes == 0) {
        maas_sk_leaf leaf = maas_sk_leaf_values(1);
        if (t.n_outputs != 1 || t.width != 1)
            return maas_sk_fail(s, MAAS_E_FORMAT, "%s gives more than one number", t.place);
        return maas_sk_tree_add(s, &t, columns->data, &leaf, f);
    }
    MAAS_TRY(maas_sk_classes(s, est, "classes_", t.width, &classes));
    MAAS_TRY(check_numbers(s, classes, i, o->n_classes));
    if (t.n_outputs != 1)
        return maas_sk_fail(s, MAAS_E_FORMAT, "%s is of several targets", t.place);
    spread p = {.shares = maas_sk_leaf_classes(s, t.width),
                .own = maas_arena_array(&t.arena, (size_t)t.width, sizeof(double)),
                .which = classes->data};
    maas_sk_leaf leaf = {.fn = spread_leaf, .user = &p, .n = (int32_t)o->n_classes};
    if (!p.own)
        return maas_sk_fail(s, MAAS_E_NOMEM, "reading a tree");
    return maas_sk_tree_add(s, &t, columns->data, &leaf, f);
}

static maas_status sum_of_trees(maas_sk *s, const bag *o, const maas_sk_table *in, maas_vid *out)
{
    AUTO(maas_sk_auto_forest) maas_forest *f = NULL;
    MAAS_TRY(maas_sk_forest_create(s, o->n_features, o->n_classes ? o->n_classes : 1, &f));
    for (int64_t i = 0; i < o->n; i++)
        MAAS_TRY(add_tree(s, o, i, f));
    *out = maas_sk_forest_run(s, f, maas_sk_narrow(s, maas_sk_matrix(s, in, o->n_features)));
    return s->b.status;
}

/* ---- any estimator ---- */

/* p [n, some classes] -> [n, n_classes], zeros for the others. */
static maas_vid all_classes(maas_sk *s, maas_vid p, const maas_tensor *classes, int64_t n_classes)
{
    const int64_t n_own = classes->dims[0], *which = classes->data;
    if (n_own == n_classes)
        return p;
    maas_tensor *to = maas_sk_new_array(s, n_own, n_classes);
    if (!to)
        return MAAS_NO_VALUE;
    for (int64_t k = 0; k < n_own; k++)
        maas_sk_f64_of(to)[k * n_classes + which[k]] = 1;
    return maas_sk_affine(s, p, to, NULL);
}

static maas_status share_of(maas_sk *s, const bag *o, int64_t i, const maas_sk_table *rows,
                            maas_vid *out)
{
    maas_sk_out e;
    const maas_pk *est = maas_pk_at(o->list, i);
    MAAS_TRY(maas_sk_decode(s, est, rows, o->n_classes ? MAAS_SK_LABEL : MAAS_SK_VALUE, &e,
                            "estimators_[%d]", (int)i));
    if (o->n_classes == 0) {
        *out = maas_sk_as_column(s, e.value);
        return s->b.status;
    }
    MAAS_TRY(check_numbers(s, e.classes, i, o->n_classes));
    if (e.probabilities != MAAS_NO_VALUE) {
        *out = all_classes(s, e.probabilities, e.classes, o->n_classes);
        return s->b.status;
    }
    maas_vid named = maas_b_op2(&s->b, "Equal", maas_sk_upright(s, e.label),
                                maas_sk_range(s, o->n_classes));
    *out = maas_sk_cast(s, named, MAAS_F64);
    return s->b.status;
}

static maas_status sum(maas_sk *s, const bag *o, const maas_sk_table *in, maas_vid *out)
{
    const maas_sk_table all = maas_sk_table_of(maas_sk_matrix(s, in, o->n_features), o->n_features);
    for (int64_t i = 0; i < o->n; i++) {
        const maas_tensor *columns;
        maas_sk_table rows;
        maas_vid one = MAAS_NO_VALUE;
        MAAS_TRY(maas_sk_columns_of(s, maas_pk_at(o->columns, i), i, o->n_features, &columns));
        MAAS_TRY(maas_sk_take(s, &all, columns->data, columns->dims[0], &rows));
        MAAS_TRY(share_of(s, o, i, &rows, &one));
        *out = i ? MAAS_SK_ADD(s, *out, one) : one;
    }
    return s->b.status;
}

/* ---- answers ---- */

static maas_status mean(maas_sk *s, const bag *o, const maas_sk_table *in, maas_vid *out)
{
    *out = MAAS_NO_VALUE;
    MAAS_TRY(all_trees(o) ? sum_of_trees(s, o, in, out) : sum(s, o, in, out));
    *out = MAAS_SK_DIV(s, *out, maas_sk_f64(s, (double)o->n));
    return s->b.status;
}

static maas_status classifier(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                              unsigned need, maas_sk_out *out)
{
    bag o = {0};
    MAAS_TRY(read_bag(s, est, &o));
    MAAS_TRY(maas_sk_classes(s, est, "classes_", -1, &out->classes));
    o.n_classes = out->classes->dims[0];
    if (o.n_classes < 1)
        return maas_sk_fail(s, MAAS_E_FORMAT, "classes_ is empty");
    MAAS_TRY(mean(s, &o, in, &out->probabilities));
    out->label = maas_sk_label(s, maas_sk_argmax(s, out->probabilities), out->classes);
    return s->b.status;
}

static maas_status regressor(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                             maas_sk_out *out)
{
    bag o = {0};
    MAAS_TRY(read_bag(s, est, &o));
    MAAS_TRY(mean(s, &o, in, &out->value));
    out->value = maas_sk_flat(s, out->value);
    return s->b.status;
}

#define BAGGING "sklearn.ensemble._bagging sklearn.ensemble.bagging"
const maas_sk_row maas_sk_bagging[] = {
    {"BaggingClassifier", BAGGING, MAAS_SK_CLASSIFIER, classifier},
    {"BaggingRegressor", BAGGING, MAAS_SK_REGRESSOR, regressor},
    {0},
};
