/* learn/scorers.c - the table of scorers; formulas as in scikit-learn's user guide, chapter 3.4. */
#include "learn/scorers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/ban.h"

/* ---- classes ---- */

static double accuracy(const maas_judged *j, double *scratch)
{
    (void)scratch;
    int64_t right = 0;
    for (int64_t i = 0; i < j->n; i++)
        right += j->truth[i] == j->guess[i];
    return (double)right / (double)j->n;
}

/* Per class: how many are it, are said to be it, and are both. */
typedef struct confusion {
    double *is, *said, *both; /* [k] */
} confusion;

static confusion confuse(const maas_judged *j, double *scratch)
{
    confusion c = {scratch, scratch + j->k, scratch + 2 * j->k};
    memset(scratch, 0, (size_t)(3 * j->k) * sizeof *scratch);
    for (int64_t i = 0; i < j->n; i++) {
        const int32_t t = j->truth[i], g = j->guess[i];
        if (t >= 0)
            c.is[t]++;
        if (g >= 0)
            c.said[g]++;
        if (t >= 0 && t == g)
            c.both[t]++;
    }
    return c;
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

static double precision_of(const confusion *c, int64_t k)
{
    return ratio(c->both[k], c->said[k]);
}

static double recall_of(const confusion *c, int64_t k)
{
    return ratio(c->both[k], c->is[k]);
}

static double f1_of(const confusion *c, int64_t k)
{
    return ratio(2 * c->both[k], c->is[k] + c->said[k]);
}

typedef double (*class_measure)(const confusion *c, int64_t k);

/* Mean over the classes that appear on either side; weighted: by how many are of the class. */
static double over_classes(const maas_judged *j, double *scratch, class_measure measure,
                           bool weighted)
{
    const confusion c = confuse(j, scratch);
    double sum = 0, weight = 0;
    for (int64_t k = 0; k < j->k; k++) {
        const double w = weighted ? c.is[k] : c.is[k] + c.said[k] > 0;
        sum += w * measure(&c, k);
        weight += w;
    }
    return ratio(sum, weight);
}

static double second_class(const maas_judged *j, double *scratch, class_measure measure)
{
    if (j->k != 2)
        return NAN;
    const confusion c = confuse(j, scratch);
    return measure(&c, 1);
}

static double balanced_accuracy(const maas_judged *j, double *scratch)
{
    const confusion c = confuse(j, scratch);
    double sum = 0, n = 0;
    for (int64_t k = 0; k < j->k; k++)
        if (c.is[k] > 0) {
            sum += recall_of(&c, k);
            n++;
        }
    return ratio(sum, n);
}

#define MEASURE(name)                                                                              \
    static double name(const maas_judged *j, double *s)                                            \
    {                                                                                              \
        return second_class(j, s, name##_of);                                                      \
    }                                                                                              \
    static double name##_macro(const maas_judged *j, double *s)                                    \
    {                                                                                              \
        return over_classes(j, s, name##_of, false);                                               \
    }                                                                                              \
    static double name##_weighted(const maas_judged *j, double *s)                                 \
    {                                                                                              \
        return over_classes(j, s, name##_of, true);                                                \
    }
MEASURE(f1)
MEASURE(precision)
MEASURE(recall)
#undef MEASURE

static double neg_log_loss(const maas_judged *j, double *scratch)
{
    (void)scratch;
    double sum = 0;
    for (int64_t i = 0; i < j->n; i++) {
        double row = 0;
        for (int64_t k = 0; k < j->k; k++)
            row += j->chances[i * j->k + k];
        double p = j->truth[i] < 0 || row <= 0 ? 0 : j->chances[i * j->k + j->truth[i]] / row;
        sum += log(fmax(p, 2.220446049250313e-16));
    }
    return sum / (double)j->n;
}

typedef struct ranked {
    double chance;
    bool positive;
} ranked;

static int by_chance(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    return (x->chance > y->chance) - (x->chance < y->chance);
}

/* Area under the ROC curve for class k against the rest: the share of pairs in the right order,
 * ties half. */
static double auc_of(const maas_judged *j, int64_t k, ranked *r)
{
    double pairs = 0, below = 0, positives = 0;
    for (int64_t i = 0; i < j->n; i++) {
        r[i] = (ranked){j->chances[i * j->k + k], j->truth[i] == k};
        positives += r[i].positive;
    }
    qsort(r, (size_t)j->n, sizeof *r, by_chance);
    for (int64_t i = 0, end; i < j->n; i = end) {
        double yes = 0, no = 0;
        for (end = i; end < j->n && r[end].chance == r[i].chance; end++)
            r[end].positive ? yes++ : no++;
        pairs += yes * (below + no / 2);
        below += no;
    }
    return positives > 0 && below > 0 ? pairs / (positives * below) : NAN;
}

static double roc_auc(const maas_judged *j, double *scratch)
{
    AUTO_FREE ranked *r = maas_calloc((size_t)j->n, sizeof *r);
    (void)scratch;
    if (!r)
        return NAN;
    if (j->k == 2)
        return auc_of(j, 1, r);
    double sum = 0;
    for (int64_t k = 0; k < j->k; k++)
        sum += auc_of(j, k, r);
    return sum / (double)j->k;
}

/* ---- numbers: the mean over the columns ---- */

static double over_columns(const maas_judged *j, double (*of)(const maas_judged *j, int64_t c))
{
    double sum = 0;
    for (int64_t c = 0; c < j->k; c++)
        sum += of(j, c);
    return sum / (double)j->k;
}

static double squared_error(const maas_judged *j, int64_t c)
{
    double sum = 0;
    for (int64_t i = 0; i < j->n; i++) {
        const double d = j->want[i * j->k + c] - j->got[i * j->k + c];
        sum += d * d;
    }
    return sum / (double)j->n;
}

static double absolute_error(const maas_judged *j, int64_t c)
{
    double sum = 0;
    for (int64_t i = 0; i < j->n; i++)
        sum += fabs(j->want[i * j->k + c] - j->got[i * j->k + c]);
    return sum / (double)j->n;
}

static double root_squared_error(const maas_judged *j, int64_t c)
{
    return sqrt(squared_error(j, c));
}

static double variance(const maas_judged *j, int64_t c, bool of_errors)
{
    double mean = 0, m2 = 0;
    for (int64_t i = 0; i < j->n; i++) {
        const double x = j->want[i * j->k + c] - (of_errors ? j->got[i * j->k + c] : 0),
                     d = x - mean;
        mean += d / (double)(i + 1);
        m2 += d * (x - mean);
    }
    return m2 / (double)j->n;
}

/* 1 - a / b; for a constant truth 1 when it is met and 0 when not, as scikit-learn has it. */
static double explained(double a, double b)
{
    return b > 0 ? 1 - a / b : a > 0 ? 0 : 1;
}

static double r2_of(const maas_judged *j, int64_t c)
{
    return explained(squared_error(j, c), variance(j, c, false));
}

static double explained_variance_of(const maas_judged *j, int64_t c)
{
    return explained(variance(j, c, true), variance(j, c, false));
}

static double max_error_of(const maas_judged *j, int64_t c)
{
    double most = 0;
    for (int64_t i = 0; i < j->n; i++)
        most = fmax(most, fabs(j->want[i * j->k + c] - j->got[i * j->k + c]));
    return most;
}

#define NUMBERS(name, sign, of)                                                                    \
    static double name(const maas_judged *j, double *scratch)                                      \
    {                                                                                              \
        (void)scratch;                                                                             \
        return sign over_columns(j, of);                                                           \
    }
NUMBERS(r2, +, r2_of)
NUMBERS(explained_variance, +, explained_variance_of)
NUMBERS(neg_mean_squared_error, -, squared_error)
NUMBERS(neg_root_mean_squared_error, -, root_squared_error)
NUMBERS(neg_mean_absolute_error, -, absolute_error)
NUMBERS(neg_max_error, -, max_error_of)
#undef NUMBERS

#define CLASSES(name, text)                                                                        \
    {                                                                                              \
#name, text, .for_classes = true, .score = name                                            \
    }
#define VALUES(name, text)                                                                         \
    {                                                                                              \
#name, text, .score = name                                                                 \
    }
const maas_scorer maas_scorers[] = {
    CLASSES(accuracy, "share of right labels"),
    CLASSES(balanced_accuracy, "recall, averaged over the classes"),
    CLASSES(f1, "F1 of the second of two classes"),
    CLASSES(f1_macro, "F1, averaged over the classes"),
    CLASSES(f1_weighted, "F1, averaged by how frequent the classes are"),
    CLASSES(precision, "precision of the second of two classes"),
    CLASSES(precision_macro, "precision, averaged over the classes"),
    CLASSES(precision_weighted, "precision, averaged by how frequent the classes are"),
    CLASSES(recall, "recall of the second of two classes"),
    CLASSES(recall_macro, "recall, averaged over the classes"),
    CLASSES(recall_weighted, "recall, averaged by how frequent the classes are"),
    {"roc_auc", "area under the ROC curve; more than two classes: mean of one against the rest",
     true, true, roc_auc},
    {"neg_log_loss", "mean logarithm of the chance given to the truth", true, true, neg_log_loss},
    VALUES(r2, "share of the variance that is explained"),
    VALUES(explained_variance, "the same, whatever the mean error"),
    VALUES(neg_mean_squared_error, "mean squared error, negative"),
    VALUES(neg_root_mean_squared_error, "its root, negative"),
    VALUES(neg_mean_absolute_error, "mean absolute error, negative"),
    VALUES(neg_max_error, "largest absolute error, negative"),
};
const size_t maas_n_scorers = MAAS_COUNT(maas_scorers);

maas_status maas_scorer_find(const char *name, bool classes, const maas_scorer **out, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf known = MAAS_BUF_INIT(4096);
    name = name ? name : classes ? "accuracy" : "r2";
    for (size_t i = 0; i < maas_n_scorers; i++) {
        if (maas_scorers[i].for_classes != classes)
            continue;
        if (strcmp(maas_scorers[i].name, name) == 0) {
            *out = &maas_scorers[i];
            return MAAS_OK;
        }
        maas_buf_printf(&known, "%s%s", known.n ? ", " : "", maas_scorers[i].name);
    }
    return maas_fail(err, MAAS_E_INVALID, "there is no scoring '%.64s' for %s; known: %s", name,
                     classes ? "classes" : "numbers", known.p ? known.p : "");
}

maas_status maas_score_judged(const maas_scorer *s, maas_judged *j, double *out, maas_err *err)
{
    double *scratch = maas_arena_array(&j->arena, (size_t)(3 * j->k), sizeof *scratch);
    if (!scratch)
        return maas_fail(err, MAAS_E_NOMEM, "memory for scoring");
    if (s->for_classes != j->is_class)
        return maas_fail(err, MAAS_E_INVALID, "scoring '%s' is for %s, the model answers %s",
                         s->name, s->for_classes ? "classes" : "numbers",
                         j->is_class ? "classes" : "numbers");
    if (s->needs_chances && !j->chances)
        return maas_fail(err, MAAS_E_INVALID,
                         "scoring '%s' needs probabilities, the model gives none", s->name);
    *out = s->score(j, scratch);
    return MAAS_OK;
}
