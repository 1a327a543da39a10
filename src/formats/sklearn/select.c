/*
 * Selection of features. Every selector comes down to a set of columns that stay; how it is found
 * differs: SelectKBest, SelectPercentile, SelectFpr, SelectFdr, SelectFwe, GenericUnivariateSelect,
 * SelectFromModel, RFE, RFECV, SequentialFeatureSelector, VarianceThreshold.
 */
#include "base/num.h"
#include "formats/sklearn/importance.h"
#include "formats/sklearn/prep.h"

#include "base/ban.h"

static maas_status take_kept(maas_sk *s, const maas_sk_table *in, const bool *keep, int64_t n,
                             maas_sk_out *out)
{
    int64_t *which = maas_sk_alloc(s, (size_t)n, sizeof *which), n_kept = 0;
    if (!which)
        return s->b.status;
    for (int64_t i = 0; i < n; i++)
        if (keep[i])
            which[n_kept++] = i;
    if (n_kept == 0)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "no feature is selected: nothing comes out");
    return maas_sk_take(s, in, which, n_kept, &out->transformed);
}

static bool *mask_of(maas_sk *s, int64_t n)
{
    return maas_sk_alloc(s, (size_t)n, sizeof(bool));
}

/* ---- by scores of single features ---- */

typedef struct ranked {
    double score;
    int64_t at;
} ranked;

/* Rising, of equals the earlier first: a stable sort. */
static int by_score(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static ranked *rank(maas_sk *s, const double *score, double sign, int64_t n)
{
    ranked *r = maas_sk_alloc(s, (size_t)n, sizeof *r);
    for (int64_t i = 0; r && i < n; i++)
        r[i] = (ranked){sign * score[i], i};
    if (r)
        sk_sort(s, r, n, sizeof *r, by_score);
    return r;
}

/* An array attribute of one number a feature; NaN becomes the least number there is. */
static maas_status scores_of(maas_sk *s, const maas_pk *est, const char *name, int64_t *n,
                             double **out)
{
    const maas_tensor *t;
    MAAS_TRY(maas_sk_array_nan(s, est, name, MAAS_F64, 1, n, &t));
    *out = maas_sk_alloc(s, (size_t)*n, sizeof **out);
    if (!*out)
        return s->b.status;
    for (int64_t i = 0; i < *n; i++) {
        const double v = ((const double *)t->data)[i];
        (*out)[i] = v == v ? v : -1.7976931348623157e308;
    }
    return MAAS_OK;
}

typedef maas_status pick_fn(maas_sk *s, const maas_pk *est, const char *param, int64_t *n,
                            bool **keep);

static maas_status pick_best(maas_sk *s, const maas_pk *est, const char *param, int64_t *n,
                             bool **keep)
{
    double *score;
    int64_t k;
    maas_str all;
    MAAS_TRY(scores_of(s, est, "scores_", n, &score));
    if (maas_pk_to_str(maas_pk_attr(est, param), &all))
        k = *n;
    else
        MAAS_TRY(maas_sk_int(s, est, param, &k));
    ranked *r = rank(s, score, 1, *n);
    *keep = mask_of(s, *n);
    if (!r || !*keep)
        return s->b.status;
    for (int64_t i = *n > k ? *n - k : 0; i < *n; i++)
        (*keep)[r[i].at] = true;
    return MAAS_OK;
}

/* numpy.percentile: linear between neighbours, from the nearer one. */
static double percentile_of(const ranked *sorted, int64_t n, double percent)
{
    const double at = (double)(n - 1) * percent / 100;
    const int64_t lo = (int64_t)at, hi = lo + 1 < n ? lo + 1 : lo;
    const double a = sorted[lo].score, b = sorted[hi].score, t = at - (double)lo;
    return t < 0.5 ? a + (b - a) * t : b - (b - a) * (1 - t);
}

static maas_status pick_percentile(maas_sk *s, const maas_pk *est, const char *param, int64_t *n,
                                   bool **keep)
{
    double *score, percent;
    MAAS_TRY(scores_of(s, est, "scores_", n, &score));
    MAAS_TRY(maas_sk_double(s, est, param, &percent));
    if (!(percent >= 0 && percent <= 100))
        return maas_sk_fail(s, MAAS_E_FORMAT, "%s is not within 0 and 100", param);
    ranked *r = rank(s, score, 1, *n);
    *keep = mask_of(s, *n);
    if (!r || !*keep || *n == 0 || percent == 0)
        return s->b.status;
    const double threshold = percent == 100 ? -INFINITY : percentile_of(r, *n, 100 - percent);
    int64_t room = (int64_t)((double)*n * percent / 100);
    for (int64_t i = 0; i < *n; i++) {
        (*keep)[i] = score[i] > threshold;
        room -= (*keep)[i];
    }
    for (int64_t i = 0; i < *n && room > 0; i++)
        if (score[i] == threshold) {
            (*keep)[i] = true;
            room--;
        }
    return MAAS_OK;
}

static maas_status p_values(maas_sk *s, const maas_pk *est, const char *param, int64_t *n,
                            const double **p, double *alpha, bool **keep)
{
    const maas_tensor *t;
    MAAS_TRY(maas_sk_array_nan(s, est, "pvalues_", MAAS_F64, 1, n, &t));
    MAAS_TRY(maas_sk_double(s, est, param, alpha));
    *p = t->data;
    *keep = mask_of(s, *n);
    return s->b.status;
}

static maas_status pick_fpr(maas_sk *s, const maas_pk *est, const char *param, int64_t *n,
                            bool **keep)
{
    const double *p;
    double alpha;
    MAAS_TRY(p_values(s, est, param, n, &p, &alpha, keep));
    for (int64_t i = 0; i < *n; i++)
        (*keep)[i] = p[i] < alpha;
    return MAAS_OK;
}

static maas_status pick_fwe(maas_sk *s, const maas_pk *est, const char *param, int64_t *n,
                            bool **keep)
{
    const double *p;
    double alpha;
    MAAS_TRY(p_values(s, est, param, n, &p, &alpha, keep));
    for (int64_t i = 0; i < *n; i++)
        (*keep)[i] = p[i] < alpha / (double)*n;
    return MAAS_OK;
}

/* Benjamini and Hochberg: up to the largest p-value below its share of alpha. */
static maas_status pick_fdr(maas_sk *s, const maas_pk *est, const char *param, int64_t *n,
                            bool **keep)
{
    const double *p;
    double alpha, largest = -1;
    MAAS_TRY(p_values(s, est, param, n, &p, &alpha, keep));
    ranked *r = rank(s, p, 1, *n);
    if (!r)
        return s->b.status;
    for (int64_t i = 0; i < *n; i++)
        if (r[i].score <= alpha / (double)*n * (double)(i + 1))
            largest = fmax(largest, r[i].score);
    for (int64_t i = 0; i < *n; i++)
        (*keep)[i] = p[i] <= largest;
    return MAAS_OK;
}

static maas_status select_by(maas_sk *s, const maas_pk *est, const maas_sk_table *in, pick_fn *pick,
                             const char *param, maas_sk_out *out)
{
    int64_t n = in->n_cols;
    bool *keep = NULL;
    MAAS_TRY(pick(s, est, param, &n, &keep));
    return take_kept(s, in, keep, n, out);
}

#define UNIVARIATE(name, pick, param)                                                              \
    static maas_status name(maas_sk *s, const maas_pk *est, const maas_sk_table *in,               \
                            unsigned need, maas_sk_out *out)                                       \
    {                                                                                              \
        return select_by(s, est, in, pick, param, out);                                            \
    }
UNIVARIATE(select_k_best, pick_best, "k")
UNIVARIATE(select_percentile, pick_percentile, "percentile")
UNIVARIATE(select_fpr, pick_fpr, "alpha")
UNIVARIATE(select_fdr, pick_fdr, "alpha")
UNIVARIATE(select_fwe, pick_fwe, "alpha")

static maas_status generic_univariate(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                      unsigned need, maas_sk_out *out)
{
    static const char *const modes[] = {"percentile", "k_best", "fpr", "fdr", "fwe", NULL};
    static pick_fn *const picks[] = {pick_percentile, pick_best, pick_fpr, pick_fdr, pick_fwe};
    int mode;
    MAAS_TRY(maas_sk_word(s, est, "mode", modes, 0, &mode));
    return select_by(s, est, in, picks[mode], "param", out);
}

/* ---- by a mask that is stored, by variances ---- */

static maas_status by_support(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                              unsigned need, maas_sk_out *out)
{
    int64_t n = in->n_cols;
    const maas_tensor *t;
    MAAS_TRY(maas_sk_array(s, est, "support_", MAAS_I64, 1, &n, &t));
    bool *keep = mask_of(s, n);
    if (!keep)
        return s->b.status;
    for (int64_t i = 0; i < n; i++)
        keep[i] = ((const int64_t *)t->data)[i] != 0;
    return take_kept(s, in, keep, n, out);
}

/* RFE and RFECV select where rows are asked for, and predict with the estimator that was fitted on
 * what they keep where they stand last. */
static maas_status eliminated(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                              unsigned need, maas_sk_out *out)
{
    maas_sk_out kept = {0};
    MAAS_TRY(by_support(s, est, in, need, &kept));
    if (need & MAAS_SK_TRANSFORMED)
        out->role = MAAS_SK_TRANSFORMER;
    else
        MAAS_TRY(maas_sk_decode(s, maas_pk_attr(est, "estimator_"), &kept.transformed, need, out,
                                "estimator_"));
    out->transformed = kept.transformed;
    return s->b.status;
}

static maas_status variance_threshold(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                      unsigned need, maas_sk_out *out)
{
    int64_t n = in->n_cols;
    const maas_tensor *t;
    double threshold;
    MAAS_TRY(maas_sk_array_nan(s, est, "variances_", MAAS_F64, 1, &n, &t));
    MAAS_TRY(maas_sk_double_or(s, est, "threshold", 0, &threshold));
    bool *keep = mask_of(s, n);
    if (!keep)
        return s->b.status;
    for (int64_t i = 0; i < n; i++)
        keep[i] = ((const double *)t->data)[i] > threshold;
    return take_kept(s, in, keep, n, out);
}

/* ---- by the importances of a model ---- */

static double middle_of(maas_sk *s, const double *score, int64_t n, bool median)
{
    double sum = 0;
    if (!median) {
        for (int64_t i = 0; i < n; i++)
            sum += score[i];
        return sum / (double)n;
    }
    const ranked *r = rank(s, score, 1, n);
    return !r ? 0 : n % 2 ? r[n / 2].score : (r[n / 2 - 1].score + r[n / 2].score) / 2;
}

static bool is_one(const maas_pk *est, const char *name)
{
    double v;
    return maas_pk_to_double(maas_pk_attr(est, name), &v) && fabs(v - 1) <= 1e-8 + 1e-5;
}

/* Models whose penalty makes coefficients zero have a fixed threshold. */
static bool is_sparse(const maas_pk *est)
{
    maas_str penalty;
    if (maas_pk_to_str(maas_pk_attr(est, "penalty"), &penalty) && penalty.n == 2 &&
        memcmp(penalty.p, "l1", 2) == 0)
        return true;
    const char *name = strrchr(maas_pk_class(est), '.');
    if (name && strstr(name, "Lasso"))
        return true;
    return ((maas_sk_is(est, "ElasticNet") || maas_sk_is(est, "LogisticRegression")) &&
            is_one(est, "l1_ratio")) ||
           (maas_sk_is(est, "ElasticNetCV") && is_one(est, "l1_ratio_"));
}

static void skip_blanks(maas_span *text)
{
    while (text->n && text->p[0] == ' ')
        maas_span_skip(text, 1);
}

/* "mean", "median", "1.25*mean": a scale and a reference. */
static bool read_threshold(maas_str text, double *scale, bool *median)
{
    maas_span rest = maas_span_of(text.p, text.n);
    *scale = 1;
    skip_blanks(&rest);
    if (maas_num_f64(&rest, scale)) {
        skip_blanks(&rest);
        if (!rest.n || rest.p[0] != '*')
            return false;
        maas_span_skip(&rest, 1);
        skip_blanks(&rest);
    }
    while (rest.n && rest.p[rest.n - 1] == ' ')
        rest.n--;
    *median = maas_span_is(rest, "median");
    return *median || maas_span_is(rest, "mean");
}

/* None, a number, or what read_threshold reads. */
static maas_status threshold_of(maas_sk *s, const maas_pk *est, const maas_pk *model,
                                const double *score, int64_t n, double *out)
{
    const maas_pk *v = maas_pk_attr(est, "threshold");
    maas_str text = {"mean", 4};
    double scale;
    bool median;
    if (maas_pk_to_double(v, out))
        return MAAS_OK;
    *out = 1e-5;
    if (maas_pk_kind_of(v) == MAAS_PK_NONE && is_sparse(model))
        return MAAS_OK;
    if (maas_pk_kind_of(v) != MAAS_PK_NONE && !maas_pk_to_str(v, &text))
        return maas_sk_fail(s, MAAS_E_FORMAT, "threshold is %s", maas_pk_kind_text(v));
    if (!read_threshold(text, &scale, &median))
        return maas_sk_fail(s, MAAS_E_FORMAT, "threshold is '%.*s'",
                            (int)(text.n < 40 ? text.n : 40), text.p);
    *out = scale * middle_of(s, score, n, median);
    return s->b.status;
}

static maas_status select_from_model(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                     unsigned need, maas_sk_out *out)
{
    const maas_pk *model = maas_sk_has(est, "estimator_") ? maas_pk_attr(est, "estimator_")
                                                          : maas_pk_attr(est, "estimator");
    int64_t n, most;
    double order, threshold;
    maas_str getter = {"auto", 4};
    MAAS_TRY(sk_n_features(s, model, in, &n));
    MAAS_TRY(maas_sk_double_or(s, est, "norm_order", 1, &order));
    const maas_pk *v = maas_pk_attr(est, "importance_getter");
    if (maas_pk_kind_of(v) != MAAS_PK_NONE &&
        (!maas_pk_to_str(v, &getter) || getter.n != 4 || memcmp(getter.p, "auto", 4) != 0))
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "importance_getter is not 'auto'");
    double *score = maas_sk_alloc(s, (size_t)n, sizeof *score);
    bool *keep = mask_of(s, n);
    if (!score || !keep)
        return s->b.status;
    MAAS_TRY(sk_importances(s, model, order, n, score));
    MAAS_TRY(threshold_of(s, est, model, score, n, &threshold));
    MAAS_TRY(maas_sk_int_or(s, est, "max_features_", n, &most));
    if (!maas_sk_has(est, "max_features_") && maas_sk_has(est, "max_features"))
        MAAS_TRY(maas_sk_int(s, est, "max_features", &most));
    const ranked *r = rank(s, score, -1, n);
    for (int64_t i = 0; r && i < n && i < most; i++)
        keep[r[i].at] = !(score[r[i].at] < threshold);
    return s->b.status != MAAS_OK ? s->b.status : take_kept(s, in, keep, n, out);
}

#define UNI  "sklearn.feature_selection._univariate_selection"
#define SELF "sklearn.feature_selection."
const maas_sk_row maas_sk_select[] = {
    {"SelectKBest", UNI, MAAS_SK_TRANSFORMER, select_k_best},
    {"SelectPercentile", UNI, MAAS_SK_TRANSFORMER, select_percentile},
    {"SelectFpr", UNI, MAAS_SK_TRANSFORMER, select_fpr},
    {"SelectFdr", UNI, MAAS_SK_TRANSFORMER, select_fdr},
    {"SelectFwe", UNI, MAAS_SK_TRANSFORMER, select_fwe},
    {"GenericUnivariateSelect", UNI, MAAS_SK_TRANSFORMER, generic_univariate},
    {"SelectFromModel", SELF "_from_model", MAAS_SK_TRANSFORMER, select_from_model},
    {"SequentialFeatureSelector", SELF "_sequential", MAAS_SK_TRANSFORMER, by_support},
    {"VarianceThreshold", SELF "_variance_threshold", MAAS_SK_TRANSFORMER, variance_threshold},
    {"RFE", SELF "_rfe", MAAS_SK_META, eliminated},
    {"RFECV", SELF "_rfe", MAAS_SK_META, eliminated},
    {0},
};
