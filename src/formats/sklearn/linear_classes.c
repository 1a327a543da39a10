/*
 * formats/sklearn/linear_classes.c - classifiers whose scores are x . coef + intercept.
 *
 * Two classes have one row of coefficients, and a score above 0 means the second. What becomes of
 * the scores is the difference between them.
 */
#include <string.h>

#include "formats/sklearn/linear.h"
#include "base/ban.h"

maas_vid maas_sk_label_of_scores(maas_sk *s, maas_vid scores, const maas_tensor *classes)
{
    if (classes->dims[0] > 2)
        return maas_sk_label(s, maas_sk_argmax(s, scores), classes);
    return maas_sk_label(
        s, maas_b_op2(&s->b, "Greater", maas_sk_flat(s, scores), maas_sk_f64(s, 0)), classes);
}

maas_vid maas_sk_one_vs_rest(maas_sk *s, maas_vid scores, int64_t n_classes)
{
    maas_vid p = maas_sk_sigmoid(s, scores);
    return n_classes == 2 ? maas_sk_both(s, p) : maas_sk_normalize(s, p);
}

/* label, scores, classes of those that have coef_, intercept_ and `classes`. */
static maas_status scores_of(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                             const maas_tensor *classes, maas_sk_out *out)
{
    const int64_t n = classes->dims[0];
    maas_sk_coefs c;
    if (n < 2)
        return maas_sk_fail(s, MAAS_E_FORMAT, "it knows one class only");
    out->classes = classes;
    MAAS_TRY(maas_sk_coefs_of(s, est, n == 2 ? 1 : n, &c));
    out->scores = maas_sk_linear(s, maas_sk_matrix(s, in, c.f), c.coef, c.intercept);
    out->label = maas_sk_label_of_scores(s, out->scores, classes);
    return s->b.status;
}

static maas_status scores_only(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                               unsigned need, maas_sk_out *out)
{
    const maas_tensor *classes;
    MAAS_TRY(maas_sk_classes(s, est, "classes_", -1, &classes));
    return scores_of(s, est, in, classes, out);
}

/* ---- logistic regression ---- */

/* Which of the two ways to probabilities: the rule of predict_proba over the releases. */
static maas_status is_one_vs_rest(maas_sk *s, const maas_pk *est, int64_t n_classes, bool *out)
{
    enum { AUTO_MULTI, DEPRECATED, OVR, WARN, MULTINOMIAL };
    static const char *const words[] = {"auto", "deprecated", "ovr", "warn", "multinomial", NULL};
    int multi;
    const maas_pk *solver = maas_pk_attr(est, "solver");
    MAAS_TRY(maas_sk_word(s, est, "multi_class", words, AUTO_MULTI, &multi));
    const bool own_ovr = maas_sk_is_word(solver, "liblinear") ||
                         (maas_sk_is_word(solver, "newton-cholesky") && s->version < 10600);
    *out = multi == OVR || multi == WARN || (multi != MULTINOMIAL && (n_classes == 2 || own_ovr));
    return MAAS_OK;
}

static maas_status logistic(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                            maas_sk_out *out)
{
    bool ovr;
    MAAS_TRY(scores_only(s, est, in, need, out));
    const int64_t n = out->classes->dims[0];
    MAAS_TRY(is_one_vs_rest(s, est, n, &ovr));
    if (ovr) {
        out->probabilities = maas_sk_one_vs_rest(s, out->scores, n);
        return s->b.status;
    }
    maas_vid z = out->scores;
    if (n == 2) { /* multinomial of two: -z and z */
        const maas_vid both[2] = {maas_b_op1(&s->b, "Neg", z), z};
        z = maas_sk_concat(s, both, 2, 1);
    }
    out->probabilities = maas_sk_softmax(s, z);
    return s->b.status;
}

/* ---- stochastic gradient descent ---- */

/* modified_huber: (clip(score, -1, 1) + 1) / 2; rows where every class has 0 are uniform. */
static maas_vid modified_huber(maas_sk *s, maas_vid scores, int64_t n_classes)
{
    maas_builder *b = &s->b;
    maas_vid p = maas_b_op3(b, "Clip", scores, maas_sk_f64(s, -1), maas_sk_f64(s, 1));
    p = maas_b_op2(b, "Div", maas_b_op2(b, "Add", p, maas_sk_f64(s, 1)), maas_sk_f64(s, 2));
    if (n_classes == 2)
        return maas_sk_both(s, p);
    maas_vid sum = maas_sk_reduce(s, "ReduceSum", p, true);
    maas_vid none = maas_b_op2(b, "Equal", sum, maas_sk_f64(s, 0));
    p = maas_b_op3(b, "Where", none, maas_sk_f64(s, 1), p);
    return maas_sk_normalize(s, p);
}

static maas_status sgd(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                       maas_sk_out *out)
{
    const maas_pk *loss = maas_pk_attr(est, "loss");
    MAAS_TRY(scores_only(s, est, in, need, out));
    const int64_t n = out->classes->dims[0];
    if (maas_sk_is_word(loss, "log_loss") || maas_sk_is_word(loss, "log"))
        out->probabilities = maas_sk_one_vs_rest(s, out->scores, n);
    else if (maas_sk_is_word(loss, "modified_huber"))
        out->probabilities = modified_huber(s, out->scores, n);
    return s->b.status;
}

/* score = x . coef - offset; 1 where it is not negative. */
static maas_status sgd_one_class(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                 unsigned need, maas_sk_out *out)
{
    maas_sk_coefs c;
    const maas_tensor *offset;
    MAAS_TRY(maas_sk_coef(s, est, "coef_", 1, &c));
    MAAS_TRY(maas_sk_intercept(s, est, "offset_", 1, &offset));
    maas_vid z = maas_sk_linear(s, maas_sk_matrix(s, in, c.f), c.coef, NULL);
    out->scores = maas_b_op2(&s->b, "Sub", z, maas_sk_const(s, offset));
    out->label = maas_sk_inlier(s, out->scores, 0, true);
    return s->b.status;
}

/* ---- ridge: labels are in the binarizer that made the targets ---- */

static maas_status ridge(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                         maas_sk_out *out)
{
    const maas_pk *binarizer = maas_pk_attr(est, "_label_binarizer");
    const maas_tensor *classes;
    if (maas_sk_is_word(maas_pk_attr(binarizer, "y_type_"), "multilabel-indicator"))
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "several labels a row cannot be said");
    MAAS_TRY(maas_sk_classes(s, binarizer, "classes_", -1, &classes));
    return scores_of(s, est, in, classes, out);
}

#define MODULE(new, old) "sklearn.linear_model." new " sklearn.linear_model." old
#define CLASSIFIER(name, modules, decode)                                                          \
    {                                                                                              \
        name, modules, MAAS_SK_CLASSIFIER, decode                                                  \
    }
#define SGD      MODULE("_stochastic_gradient", "stochastic_gradient")
#define LOGISTIC MODULE("_logistic", "logistic")
#define RIDGE    MODULE("_ridge", "ridge")

const maas_sk_row maas_sk_linear_classes[] = {
    CLASSIFIER("LinearSVC", "sklearn.svm._classes sklearn.svm.classes", scores_only),
    CLASSIFIER("LogisticRegression", LOGISTIC, logistic),
    CLASSIFIER("LogisticRegressionCV", LOGISTIC, logistic),
    CLASSIFIER("PassiveAggressiveClassifier", MODULE("_passive_aggressive", "passive_aggressive"),
               scores_only),
    CLASSIFIER("Perceptron", MODULE("_perceptron", "perceptron"), scores_only),
    CLASSIFIER("RidgeClassifier", RIDGE, ridge),
    CLASSIFIER("RidgeClassifierCV", RIDGE, ridge),
    CLASSIFIER("SGDClassifier", SGD, sgd),
    {"SGDOneClassSVM", SGD, MAAS_SK_OUTLIER, sgd_one_class},
    {0},
};
