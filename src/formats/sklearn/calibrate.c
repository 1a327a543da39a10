/* CalibratedClassifierCV, and IsotonicRegression, which is one of its calibrators. */
#include "formats/sklearn/prep.h"

#include "base/ban.h"

/* ---- lines through points ---- */

maas_vid sk_on_line(maas_sk *s, maas_vid x, const double *xs, const double *ys, int64_t n)
{
    double *slopes = maas_sk_alloc(s, (size_t)n, sizeof *slopes);
    if (!slopes)
        return MAAS_NO_VALUE;
    for (int64_t i = 0; i + 1 < n; i++)
        slopes[i] = (ys[i + 1] - ys[i]) / (xs[i + 1] - xs[i]);
    maas_vid points = maas_sk_f64s(s, xs, n);
    /* the last point that is not above x; the first one for what is below all */
    maas_vid above = sk_number(s, sk_op2(s, "GreaterOrEqual", x, points));
    maas_vid at = sk_op2(s, "Sub", maas_sk_reduce(s, "ReduceSum", above, true), maas_sk_f64(s, 1));
    at = maas_sk_cast(s, sk_op2(s, "Max", at, maas_sk_f64(s, 0)), MAAS_I64);
    maas_vid low = maas_sk_f64(s, xs[0]), high = maas_sk_f64(s, xs[n - 1]);
    maas_vid held = sk_op3(s, "Clip", x, low, high);
    maas_vid from = sk_op2(s, "Gather", points, at);
    maas_vid slope = sk_op2(s, "Gather", maas_sk_f64s(s, slopes, n), at);
    maas_vid rise = sk_op2(s, "Mul", slope, sk_op2(s, "Sub", held, from));
    return sk_op2(s, "Add", rise, sk_op2(s, "Gather", maas_sk_f64s(s, ys, n), at));
}

/* ---- IsotonicRegression ---- */

typedef struct thresholds {
    int64_t n;
    const double *x, *y;
} thresholds;

static maas_status thresholds_of(maas_sk *s, const maas_pk *est, thresholds *t)
{
    const maas_tensor *x, *y;
    t->n = -1;
    MAAS_TRY(maas_sk_array(s, est, "X_thresholds_", MAAS_F64, 1, &t->n, &x));
    MAAS_TRY(maas_sk_array(s, est, "y_thresholds_", MAAS_F64, 1, &t->n, &y));
    if (t->n < 1)
        return maas_sk_fail(s, MAAS_E_FORMAT, "X_thresholds_ is empty");
    t->x = x->data;
    t->y = y->data;
    for (int64_t i = 1; i < t->n; i++)
        if (!(t->x[i] > t->x[i - 1]))
            return maas_sk_fail(s, MAAS_E_FORMAT, "X_thresholds_ does not rise at %lld",
                                (long long)i);
    return MAAS_OK;
}

/* x [n, 1] to the fitted line; outside of it as out_of_bounds says. */
static maas_status isotonic_of(maas_sk *s, const maas_pk *est, maas_vid x, maas_vid *out)
{
    static const char *const bounds[] = {"nan", "clip", "raise", NULL};
    thresholds t;
    int bound;
    MAAS_TRY(thresholds_of(s, est, &t));
    MAAS_TRY(maas_sk_word(s, est, "out_of_bounds", bounds, 0, &bound));
    maas_vid y = sk_on_line(s, x, t.x, t.y, t.n);
    if (bound != 1 && t.n > 1) { /* a line of one point is everywhere */
        maas_vid low = sk_op2(s, "Less", x, maas_sk_f64(s, t.x[0]));
        maas_vid high = sk_op2(s, "Greater", x, maas_sk_f64(s, t.x[t.n - 1]));
        maas_vid outside = sk_op2(s, "Or", low, high);
        maas_vid gone = maas_sk_f64(s, NAN);
        if (bound == 2) { /* an index that is not there */
            maas_vid at = maas_sk_cast(s, outside, MAAS_I64);
            gone = sk_call_it(s, sk_op2(s, "Gather", maas_sk_f64s(s, (const double[]){0}, 1), at),
                              "a value outside of the fitted range (out_of_bounds='raise')");
        }
        y = sk_op3(s, "Where", outside, gone, y);
    }
    *out = y;
    return s->b.status;
}

static maas_status isotonic_regression(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                       unsigned need, maas_sk_out *out)
{
    maas_vid y;
    MAAS_TRY(isotonic_of(s, est, maas_sk_matrix(s, in, 1), &y));
    out->value = maas_sk_flat(s, y);
    return s->b.status;
}

/* ---- calibrators ---- */

static maas_status sigmoid_of(maas_sk *s, const maas_pk *est, maas_vid x, maas_vid *out)
{
    double a, b;
    MAAS_TRY(maas_sk_double(s, est, "a_", &a));
    MAAS_TRY(maas_sk_double(s, est, "b_", &b));
    x = sk_op2(s, "Add", sk_op2(s, "Mul", x, maas_sk_f64(s, a)), maas_sk_f64(s, b));
    *out = sk_op1(s, "Sigmoid", sk_op1(s, "Neg", x));
    return s->b.status;
}

static maas_status calibrated_score(maas_sk *s, const maas_pk *calibrator, maas_vid x,
                                    maas_vid *out)
{
    if (maas_sk_is(calibrator, "_SigmoidCalibration"))
        return sigmoid_of(s, calibrator, x, out);
    if (maas_sk_is(calibrator, "IsotonicRegression"))
        return isotonic_of(s, calibrator, x, out);
    return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "calibrator %s", maas_pk_kind_text(calibrator));
}

/* Softmax of the scores times beta; probabilities are taken back to logits first. */
static maas_status temperature(maas_sk *s, const maas_pk *calibrator, const maas_sk_out *got,
                               int64_t n_classes, maas_vid *out)
{
    double beta;
    MAAS_TRY(maas_sk_double(s, calibrator, "beta_", &beta));
    maas_vid x = got->scores;
    if (x == MAAS_NO_VALUE) {
        maas_vid tiny = maas_sk_f64(s, 2.220446049250313e-16);
        x = sk_op1(s, "Log", sk_op2(s, "Add", got->probabilities, tiny));
    } else if (n_classes == 2) {
        maas_vid both[] = {sk_op1(s, "Neg", x), x};
        x = maas_sk_concat(s, both, 2, 1);
    }
    *out = maas_sk_softmax(s, sk_op2(s, "Mul", x, maas_sk_f64(s, beta)));
    return s->b.status;
}

/* ---- one calibrated classifier: [n, n_classes] ---- */

/* Where class i of the inner classifier is among all classes. */
static int64_t class_place(const maas_tensor *all, const maas_tensor *inner, int64_t i)
{
    for (int64_t k = 0; k < maas_n_elems(all); k++) {
        if (all->dtype != inner->dtype)
            return -1;
        if (all->dtype == MAAS_STRING) {
            const maas_str a = ((const maas_str *)all->data)[k];
            const maas_str b = ((const maas_str *)inner->data)[i];
            if (a.n == b.n && memcmp(a.p, b.p, a.n) == 0)
                return k;
        } else if (maas_tensor_get(all, k) == maas_tensor_get(inner, i)) {
            return k;
        }
    }
    return -1;
}

/* Rows divided by their sum; what sums to nothing has no preference. */
static maas_vid share(maas_sk *s, maas_vid p, int64_t n)
{
    maas_vid sum = maas_sk_reduce(s, "ReduceSum", p, true);
    maas_vid none = sk_op2(s, "Equal", sum, maas_sk_f64(s, 0));
    maas_vid safe = sk_op3(s, "Where", none, maas_sk_f64(s, 1), sum);
    return sk_op3(s, "Where", none, maas_sk_f64(s, 1.0 / (double)n), sk_op2(s, "Div", p, safe));
}

/* [n, 1] of zeros, as many as x has rows. */
static maas_vid zeros_like(maas_sk *s, maas_vid x)
{
    maas_vid first = maas_sk_gather(s, x, (int64_t[]){0}, 1, 1);
    maas_vid any = sk_op2(s, "Or", sk_op1(s, "IsNaN", first), sk_op2(s, "Equal", first, first));
    return sk_op2(s, "Sub", sk_number(s, any), maas_sk_f64(s, 1));
}

/* What the inner classifier of two classes says of the second one: [n, 1]. */
static maas_vid second_class(maas_sk *s, const maas_sk_out *got)
{
    return got->scores != MAAS_NO_VALUE
               ? got->scores
               : maas_sk_gather(s, got->probabilities, (int64_t[]){1}, 1, 1);
}

/* One calibrator a class of the inner classifier, each on its column of the responses. A class that
 * the inner one never saw has none. */
static maas_status one_by_one(maas_sk *s, const maas_pk *calibrators, const maas_sk_out *got,
                              const maas_tensor *classes, maas_vid *out)
{
    const int64_t n = maas_n_elems(classes), n_inner = maas_n_elems(got->classes);
    maas_vid *parts = maas_sk_alloc(s, (size_t)n, sizeof *parts);
    if (!parts)
        return s->b.status;
    maas_vid response = n_inner == 2                   ? second_class(s, got)
                        : got->scores == MAAS_NO_VALUE ? got->probabilities
                                                       : got->scores;
    maas_vid none = zeros_like(s, response);
    for (int64_t i = 0; i < n; i++)
        parts[i] = none;
    for (int64_t i = 0; i < (n_inner == 2 ? 1 : n_inner); i++) {
        const int64_t k = class_place(classes, got->classes, i);
        if (k < 0)
            return maas_sk_fail(s, MAAS_E_FORMAT, "estimator has a class that is not in classes");
        maas_vid x = maas_sk_gather(s, response, &i, 1, 1);
        MAAS_TRY(calibrated_score(s, maas_pk_at(calibrators, i), x, &parts[k]));
    }
    *out = share(s, maas_sk_concat(s, parts, (uint32_t)n, 1), n);
    return s->b.status;
}

static maas_status calibrated_one(maas_sk *s, const maas_pk *one, int64_t number,
                                  const maas_sk_table *in, maas_vid *out)
{
    const char *inner = maas_pk_attr(one, "estimator") ? "estimator" : "base_estimator";
    const maas_pk *calibrators = maas_pk_attr(one, "calibrators");
    const maas_tensor *classes;
    maas_sk_out got;
    MAAS_TRY(maas_sk_decode(s, maas_pk_attr(one, inner), in, MAAS_SK_LABEL, &got,
                            "calibrated_classifiers_[%lld]", (long long)number));
    MAAS_TRY(maas_sk_classes(s, one, "classes", -1, &classes));
    const int64_t n = maas_n_elems(classes);
    if (!got.classes || n < 2 ||
        (got.scores == MAAS_NO_VALUE && got.probabilities == MAAS_NO_VALUE))
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "the classifier inside has no response");
    const maas_pk *first = maas_pk_at(calibrators, 0);
    if (maas_sk_is(first, "_TemperatureScaling"))
        return temperature(s, first, &got, n, out);
    if (n > 2)
        return one_by_one(s, calibrators, &got, classes, out);
    maas_vid x = second_class(s, &got);
    MAAS_TRY(calibrated_score(s, first, x, &x));
    *out = maas_sk_both(s, x);
    return s->b.status;
}

/* Probabilities a rounding error above 1 are 1. */
static maas_vid at_most_one(maas_sk *s, maas_vid p)
{
    maas_vid one = maas_sk_f64(s, 1);
    maas_vid above = sk_op2(s, "Greater", p, one);
    maas_vid near = sk_op2(s, "LessOrEqual", p, maas_sk_f64(s, 1 + 1e-5));
    return sk_op3(s, "Where", sk_op2(s, "And", above, near), one, p);
}

static maas_status calibrated_classifier(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                         unsigned need, maas_sk_out *out)
{
    const maas_pk *list = maas_pk_attr(est, "calibrated_classifiers_");
    const int64_t n = maas_pk_count(list);
    maas_vid sum = MAAS_NO_VALUE;
    MAAS_TRY(maas_sk_classes(s, est, "classes_", -1, &out->classes));
    if (n < 1)
        return maas_sk_fail(s, MAAS_E_FORMAT, "calibrated_classifiers_ is %s, expected a list",
                            maas_pk_kind_text(list));
    for (int64_t i = 0; i < n; i++) {
        maas_vid p;
        MAAS_TRY(calibrated_one(s, maas_pk_at(list, i), i, in, &p));
        p = at_most_one(s, p);
        sum = i ? sk_op2(s, "Add", sum, p) : p;
    }
    out->probabilities = n > 1 ? sk_op2(s, "Div", sum, maas_sk_f64(s, (double)n)) : sum;
    out->label = maas_sk_label(s, maas_sk_argmax(s, out->probabilities), out->classes);
    return s->b.status;
}

const maas_sk_row maas_sk_calibrate[] = {
    {"CalibratedClassifierCV", "sklearn.calibration", MAAS_SK_CLASSIFIER, calibrated_classifier},
    {"IsotonicRegression", "sklearn.isotonic", MAAS_SK_REGRESSOR, isotonic_regression},
    {0},
};
