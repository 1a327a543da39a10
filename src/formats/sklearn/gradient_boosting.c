/*
 * formats/sklearn/gradient_boosting.c - GradientBoostingClassifier, GradientBoostingRegressor.
 *
 *   raw = init + learning_rate * (what trees say), one column a class (one for two classes)
 *
 * `init` is a constant that the loss makes of the mean target, or any estimator's answer through
 * the loss's link.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "formats/sklearn/parts.h"
#include "formats/sklearn/tree.h"

#include "base/ban.h"

typedef enum link_kind { IDENTITY, LOGIT, LOG } link_kind;

/* Two generations of loss classes; the older one is of versions before 1.4. */
typedef struct loss {
    const char *name;
    link_kind link;
    double slope;   /* LOGIT: probability = sigmoid(slope * raw)                          */
    bool tie_first; /* LOGIT: raw 0 is the first class                                    */
    bool centered;  /* LOG: the link takes the mean logarithm off                         */
} loss;

static const loss losses[] = {
    {"AbsoluteError", IDENTITY, 1, false, false},
    {"BinomialDeviance", LOGIT, 1, true, false},
    {"ExponentialLoss", LOGIT, 2, false, false},
    {"HalfBinomialLoss", LOGIT, 1, false, false},
    {"HalfMultinomialLoss", LOG, 1, false, true},
    {"HalfSquaredError", IDENTITY, 1, false, false},
    {"HuberLoss", IDENTITY, 1, false, false},
    {"HuberLossFunction", IDENTITY, 1, false, false},
    {"LeastAbsoluteError", IDENTITY, 1, false, false},
    {"LeastSquaresError", IDENTITY, 1, false, false},
    {"MultinomialDeviance", LOG, 1, false, false},
    {"PinballLoss", IDENTITY, 1, false, false},
    {"QuantileLossFunction", IDENTITY, 1, false, false},
};

static maas_status find_loss(maas_sk *s, const maas_pk *est, bool classes, const loss **out)
{
    const char *name = maas_sk_has(est, "_loss") ? "_loss" : "loss_";
    const maas_pk *v = maas_pk_attr(est, name);
    for (size_t i = 0; i < MAAS_COUNT(losses); i++)
        if (maas_sk_is(v, losses[i].name) && classes == (losses[i].link != IDENTITY)) {
            *out = &losses[i];
            return MAAS_OK;
        }
    return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "%s is %s, which is not known", name,
                        maas_pk_kind_text(v));
}

/* ---- trees ---- */

static void scaled_value(const maas_sk_tree *t, int64_t node, double *out, maas_sk_leaf *leaf)
{
    out[0] = *(const double *)leaf->user * t->values[node];
}

static maas_status add_tree(maas_sk *s, const maas_pk *est, int64_t number, maas_sk_leaf *leaf,
                            maas_forest *f)
{
    AUTO(maas_sk_tree_reset) maas_sk_tree t = {0};
    MAAS_TRY(maas_sk_tree_read(s, est, number, f->n_features, &t));
    if (t.n_outputs != 1 || t.width != 1)
        return maas_sk_fail(s, MAAS_E_FORMAT,
                            "%s.values has %lld x %lld numbers a node, expected "
                            "one",
                            t.place, (long long)t.n_outputs, (long long)t.width);
    return maas_sk_tree_add(s, &t, NULL, leaf, f);
}

/* Sums of the trees: [n, n_raw]. */
static maas_status trees(maas_sk *s, const maas_pk *est, int64_t n_features, int64_t n_raw,
                         maas_vid x, maas_vid *out)
{
    AUTO(maas_sk_auto_forest) maas_forest *f = NULL;
    const maas_pk *list;
    int64_t n;
    double rate;
    MAAS_TRY(maas_sk_double(s, est, "learning_rate", &rate));
    MAAS_TRY(maas_sk_items(s, est, "estimators_", &list, &n));
    if (n % n_raw)
        return maas_sk_fail(s, MAAS_E_FORMAT, "estimators_ has %lld trees, expected %lld a round",
                            (long long)n, (long long)n_raw);
    MAAS_TRY(maas_sk_forest_create(s, n_features, n_raw, &f));
    maas_sk_leaf leaf = {.fn = scaled_value, .user = &rate, .n = 1};
    for (int64_t i = 0; i < n; i++) {
        leaf.first = (int32_t)(i % n_raw);
        MAAS_TRY(add_tree(s, maas_pk_at(list, i), i, &leaf, f));
    }
    *out = maas_sk_forest_run(s, f, x);
    return s->b.status;
}

/* ---- what the rounds begin with ---- */

/* Probabilities of `init` keep this distance from 0 and 1; it shrank in 1.8. */
static double margin(const maas_sk *s)
{
    return s->version && s->version < 10800 ? FLT_EPSILON : DBL_EPSILON;
}

static double clipped(double p, double eps)
{
    return p < eps ? eps : p > 1 - eps ? 1 - eps : p;
}

/* Class shares -> raw, in place; n numbers become n (LOG) or 1 (LOGIT). */
static void link_shares(const loss *l, double eps, double *p, int64_t n)
{
    if (l->link == LOGIT) {
        const double q = clipped(p[1], eps);
        p[0] = log(q / (1 - q)) / l->slope;
        return;
    }
    double mean = 0;
    for (int64_t k = 0; k < n; k++) {
        p[k] = log(clipped(p[k], eps));
        mean += p[k] / (double)n;
    }
    for (int64_t k = 0; k < n && l->centered; k++)
        p[k] -= mean;
}

static maas_status constant_init(maas_sk *s, const maas_pk *init, const loss *l, int64_t n_classes,
                                 maas_vid *out)
{
    const maas_tensor *v;
    if (l->link == IDENTITY) {
        int64_t dims[2] = {1, 1};
        MAAS_TRY(maas_sk_array(s, init, "constant_", MAAS_F64, 2, dims, &v));
        *out = maas_sk_f64s(s, v->data, 1);
        return s->b.status;
    }
    MAAS_TRY(maas_sk_array(s, init, "class_prior_", MAAS_F64, 1, &n_classes, &v));
    double *raw = maas_sk_alloc(s, (size_t)n_classes, sizeof *raw);
    if (!raw)
        return s->b.status;
    memcpy(raw, v->data, (size_t)n_classes * sizeof *raw);
    link_shares(l, margin(s), raw, n_classes);
    *out = maas_sk_f64s(s, raw, l->link == LOGIT ? 1 : n_classes);
    return s->b.status;
}

static bool is_constant(const maas_pk *init)
{
    return maas_sk_is(init, "DummyRegressor") ||
           (maas_sk_is(init, "DummyClassifier") &&
            maas_sk_is_word(maas_pk_attr(init, "strategy"), "prior"));
}

/* The answer of an estimator through the link: [n, n_raw]. */
static maas_status estimated_init(maas_sk *s, const maas_pk *init, const loss *l, int64_t n_classes,
                                  const maas_sk_table *rows, maas_vid *out)
{
    maas_sk_out o;
    maas_builder *b = &s->b;
    const unsigned need = l->link == IDENTITY ? MAAS_SK_VALUE : MAAS_SK_PROBABILITIES;
    MAAS_TRY(maas_sk_decode(s, init, rows, need, &o, "init_"));
    if (l->link == IDENTITY) {
        *out = maas_sk_as_column(s, o.value);
        return b->status;
    }
    if (!o.classes || o.classes->dims[0] != n_classes)
        return maas_sk_fail(s, MAAS_E_FORMAT, "init_ knows other classes");
    const double eps = margin(s);
    maas_vid p = l->link == LOG ? o.probabilities
                                : maas_sk_gather(s, o.probabilities, (int64_t[]){1}, 1, 1);
    p = maas_sk_clip(s, p, eps, 1 - eps);
    if (l->link == LOGIT) {
        maas_vid odds = MAAS_SK_DIV(s, p, MAAS_SK_SUB(s, maas_sk_f64(s, 1), p));
        *out = MAAS_SK_DIV(s, maas_b_op1(b, "Log", odds), maas_sk_f64(s, l->slope));
        return b->status;
    }
    *out = maas_b_op1(b, "Log", p);
    if (l->centered)
        *out = MAAS_SK_SUB(s, *out, maas_sk_reduce(s, "ReduceMean", *out, true));
    return b->status;
}

/* Raw predictions [n, n_raw]. */
static maas_status raw_scores(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                              const loss *l, int64_t n_classes, maas_vid *out)
{
    const maas_pk *init = maas_pk_attr(est, "init_");
    const int64_t n_raw = l->link == LOG ? n_classes : 1;
    int64_t n_features;
    maas_vid start = MAAS_NO_VALUE;
    MAAS_TRY(maas_sk_int(s, est, "n_features_in_", &n_features));
    maas_vid x = maas_sk_narrow(s, maas_sk_matrix(s, in, n_features));
    MAAS_TRY(trees(s, est, n_features, n_raw, x, out));
    if (maas_sk_is_word(init, "zero"))
        return MAAS_OK;
    if (is_constant(init)) {
        MAAS_TRY(constant_init(s, init, l, n_classes, &start));
    } else {
        const maas_sk_table rows = maas_sk_table_of(x, n_features);
        MAAS_TRY(estimated_init(s, init, l, n_classes, &rows, &start));
    }
    *out = MAAS_SK_ADD(s, start, *out);
    return s->b.status;
}

/* ---- answers ---- */

static maas_status classifier(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                              unsigned need, maas_sk_out *out)
{
    const loss *l;
    int64_t n_classes;
    maas_builder *b = &s->b;
    MAAS_TRY(find_loss(s, est, true, &l));
    MAAS_TRY(maas_sk_classes(s, est, "classes_", -1, &out->classes));
    n_classes = out->classes->dims[0];
    if (n_classes < 2 || (l->link == LOGIT && n_classes != 2))
        return maas_sk_fail(s, MAAS_E_FORMAT, "classes_ has %lld items with the loss %s",
                            (long long)n_classes, l->name);
    MAAS_TRY(raw_scores(s, est, in, l, n_classes, &out->scores));
    if (l->link == LOG) {
        out->probabilities = maas_sk_softmax(s, out->scores);
        out->label = maas_sk_label(s, maas_sk_argmax(s, out->scores), out->classes);
        return b->status;
    }
    maas_vid scaled = MAAS_SK_MUL(s, out->scores, maas_sk_f64(s, l->slope));
    out->probabilities = maas_sk_both(s, maas_b_op1(b, "Sigmoid", scaled));
    maas_vid second = maas_b_op2(b, l->tie_first ? "Greater" : "GreaterOrEqual",
                                 maas_sk_flat(s, out->scores), maas_sk_f64(s, 0));
    out->label = maas_sk_label(s, second, out->classes);
    return b->status;
}

static maas_status regressor(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                             maas_sk_out *out)
{
    const loss *l;
    maas_vid raw;
    MAAS_TRY(find_loss(s, est, false, &l));
    MAAS_TRY(raw_scores(s, est, in, l, 1, &raw));
    out->value = maas_sk_flat(s, raw);
    return s->b.status;
}

#define BOOSTING "sklearn.ensemble._gb sklearn.ensemble.gradient_boosting"
const maas_sk_row maas_sk_gradient_boosting[] = {
    {"GradientBoostingClassifier", BOOSTING, MAAS_SK_CLASSIFIER, classifier},
    {"GradientBoostingRegressor", BOOSTING, MAAS_SK_REGRESSOR, regressor},
    {0},
};
