/* learn/metrics.c - running sums for every batch; ranks and confusion counts at the end of an
 * epoch. */
#include "learn/metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

#include "base/ban.h"

#define STOP_METRICS(X)                                                                            \
    X("auto", false)                                                                               \
    X("val_loss", false)                                                                           \
    X("val_accuracy", true)                                                                        \
    X("val_f1", true)                                                                              \
    X("val_auc", true)                                                                             \
    X("val_ndcg", true)                                                                            \
    X("val_rmse", false)                                                                           \
    X("val_mae", false)                                                                            \
    X("val_r2", true)                                                                              \
    X("loss", false)                                                                               \
    X("accuracy", true)                                                                            \
    X("rmse", false)

const maas_stop_metric maas_stop_metrics[] = {
#define X(n, up) {n, up},
    STOP_METRICS(X)
#undef X
};
const char *const maas_stop_metric_names[] = {
#define X(n, up) n,
    STOP_METRICS(X)
#undef X
        NULL};

/* ---- formulas ---- */

typedef struct ranking {
    const float *score;
    int64_t stride;
} ranking;

static int by_score(const void *pa, const void *pb, void *arg)
{
    const ranking *r = arg;
    const float a = r->score[*(const uint32_t *)pa * r->stride],
                b = r->score[*(const uint32_t *)pb * r->stride];
    return (a > b) - (a < b);
}

/* Mann-Whitney: the sum of the ranks of the positives, where ties share the mean of their ranks. */
double maas_auc(const float *score, int64_t stride, const int32_t *truth, int32_t positive,
                int64_t n, uint32_t *order)
{
    ranking r = {score, stride};
    for (int64_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    qsort_r(order, (size_t)n, sizeof *order, by_score, &r);
    double rank_sum = 0, n_positive = 0;
    for (int64_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && by_score(&order[i], &order[j], &r) == 0; j++) {
        }
        const double rank = (double)(i + 1 + j) / 2; /* of places i+1..j */
        for (int64_t k = i; k < j; k++)
            if (truth[order[k]] == positive) {
                rank_sum += rank;
                n_positive++;
            }
    }
    const double n_negative = (double)n - n_positive;
    if (n_positive == 0 || n_negative == 0)
        return NAN;
    return (rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative);
}

/* Gains discounted from the best on; what ties shares the mean gain. */
static double discounted(const ranking *r, const float *gain, int64_t n, int64_t k,
                         const uint32_t *order)
{
    double sum = 0;
    for (int64_t i = 0, j; i < k; i = j) { /* places from the best on: order counts up */
        double gains = 0, places = 0;
        for (j = i; j < n && by_score(&order[n - 1 - i], &order[n - 1 - j], (void *)r) == 0; j++) {
            gains += (double)gain[order[n - 1 - j]];
            places += j < k ? 1 / log2((double)j + 2) : 0;
        }
        sum += gains / (double)(j - i) * places;
    }
    return sum;
}

double maas_ndcg(const float *score, const float *gain, int64_t n, int64_t k, uint32_t *order)
{
    ranking by[2] = {{gain, 1}, {score, 1}};
    double sums[2];
    k = k == 0 || k > n ? n : k;
    for (int i = 0; i < 2; i++) {
        for (int64_t j = 0; j < n; j++)
            order[j] = (uint32_t)j;
        qsort_r(order, (size_t)n, sizeof *order, by_score, &by[i]);
        sums[i] = discounted(&by[i], gain, n, k, order);
    }
    return sums[0] > 0 ? sums[1] / sums[0] : 0;
}

double maas_f1(const int32_t *truth, const int32_t *guess, int64_t n, int64_t k, int64_t *scratch3k)
{
    int64_t *hits = scratch3k, *said = hits + k, *was = said + k;
    memset(scratch3k, 0, (size_t)k * 3 * sizeof *scratch3k);
    for (int64_t i = 0; i < n; i++) {
        hits[truth[i]] += truth[i] == guess[i];
        said[guess[i]]++;
        was[truth[i]]++;
    }
    double sum = 0;
    for (int64_t c = k == 2 ? 1 : 0; c < k; c++) /* 2pr/(p+r) = 2 hits / (said + was); 0/0 is 0 */
        sum += said[c] + was[c] ? 2.0 * (double)hits[c] / (double)(said[c] + was[c]) : 0;
    return k == 2 ? sum : sum / (double)k;
}

/* ---- collecting ---- */

/* Chances a row: one number is enough for two classes. */
static int64_t n_chances(const maas_target *t)
{
    return t->n_classes == 2 ? 1 : t->n_classes;
}

#define MAX_CHANCES (1 << 26) /* 256 MiB: above it f1 must do */

static void *kept(maas_score *s, int64_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow((size_t)n, size, &bytes) ||
        (s->budget && !maas_budget_take(s->budget, bytes)))
        return NULL;
    s->charged += s->budget ? bytes : 0;
    return maas_calloc(bytes ? bytes : 1, 1);
}

maas_status maas_score_init(maas_score *s, const maas_target *t, int64_t keep_rows,
                            maas_budget *budget, maas_err *err)
{
    *s = (maas_score){
        .t = t, .cap = keep_rows, .keep = keep_rows > 0 && t->is_class, .budget = budget};
    if (!s->keep)
        return MAAS_OK;
    const bool ranks = keep_rows <= MAX_CHANCES / n_chances(t);
    s->chances = ranks ? kept(s, keep_rows * n_chances(t), sizeof *s->chances) : NULL;
    s->truth = kept(s, keep_rows, sizeof *s->truth);
    s->guess = kept(s, keep_rows, sizeof *s->guess);
    if ((s->chances || !ranks) && s->truth && s->guess)
        return MAAS_OK;
    maas_score_reset(s);
    return maas_fail(err, MAAS_E_NOMEM, "scores of %lld rows", (long long)keep_rows);
}

void maas_score_reset(maas_score *s)
{
    maas_free(s->chances);
    maas_free(s->truth);
    maas_free(s->guess);
    if (s->budget)
        maas_budget_give(s->budget, s->charged);
    *s = (maas_score){0};
}

void maas_score_clear(maas_score *s)
{
    s->rows = s->right = s->n_values = 0;
    s->loss = s->abs_err = s->sq_err = s->mean = s->m2 = 0;
}

static int32_t largest(const float *z, int64_t k)
{
    int32_t best = 0;
    for (int64_t c = 1; c < k; c++)
        best = z[c] > z[best] ? (int32_t)c : best;
    return best;
}

/* Ranks within a class are compared between rows, so logits must become chances first. */
static void keep_row(maas_score *s, int64_t i, const float *z, int64_t k)
{
    if (k == 1) { /* one logit: its order is that of its chance */
        s->chances[i] = z[0];
        return;
    }
    double top = z[largest(z, k)], sum = 0;
    for (int64_t c = 0; c < k; c++)
        sum += exp(z[c] - top);
    if (k == 2)
        s->chances[i] = z[1] - z[0];
    else
        for (int64_t c = 0; c < k; c++)
            s->chances[i * k + c] = (float)(exp(z[c] - top) / sum);
}

static void add_classes(maas_score *s, const float *z, const maas_samples *from)
{
    const int64_t k = s->t->loss == MAAS_LOSS_BINARY ? 1 : s->t->n_classes;
    for (int64_t i = 0; i < from->n; i++, z += k) {
        const int32_t truth = maas_target_code(s->t, from, i),
                      guess = k == 1 ? z[0] > 0 : largest(z, k);
        s->right += truth == guess;
        if (!s->keep || s->rows + i >= s->cap)
            continue;
        s->truth[s->rows + i] = truth;
        s->guess[s->rows + i] = guess;
        if (s->chances)
            keep_row(s, s->rows + i, z, k);
    }
}

static void add_values(maas_score *s, const float *z, const uint32_t *rows, int64_t n)
{
    const maas_target *t = s->t;
    const bool chance = maas_losses[t->loss].activation == MAAS_ACTIVATION_SIGMOID;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < t->width; k++, z++) {
            const double unit = t->scaled ? t->scale[k] : 1, shift = t->scaled ? t->shift[k] : 0;
            const double truth = t->values[rows[i] * t->width + k] * unit + shift;
            const double e = (chance ? 1 / (1 + exp(-(double)*z)) : *z * unit + shift) - truth;
            s->abs_err += fabs(e);
            s->sq_err += e * e;
            s->n_values++;
            const double d = truth - s->mean;
            s->mean += d / (double)s->n_values;
            s->m2 += d * (truth - s->mean);
        }
}

void maas_score_add_samples(maas_score *s, const float *z, const maas_samples *samples, double loss)
{
    if (s->t->is_class)
        add_classes(s, z, samples);
    else
        add_values(s, z, samples->rows, samples->n);
    s->loss += loss * (double)samples->n;
    s->rows += samples->n;
}

void maas_score_add(maas_score *s, const float *z, const uint32_t *rows, int64_t n, double loss)
{
    const maas_samples samples = {.rows = (uint32_t *)rows, .n = n};
    maas_score_add_samples(s, z, &samples, loss);
}

/* ---- reporting ---- */

static bool put(json_t *o, const char *prefix, const char *name, double v)
{
    char key[64];
    snprintf(key, sizeof key, "%s%s", prefix, name);
    return !isfinite(v) || json_object_set_new(o, key, json_real(v)) == 0; /* JSON knows no NaN */
}

static bool put_ranks(const maas_score *s, const char *prefix, json_t *o)
{
    const int64_t n = s->rows < s->cap ? s->rows : s->cap, k = s->t->n_classes,
                  step = n_chances(s->t);
    AUTO_FREE uint32_t *order = maas_calloc((size_t)n + 1, sizeof *order);
    AUTO_FREE int64_t *scratch = maas_calloc((size_t)k * 3, sizeof *scratch);
    if (!order || !scratch || !put(o, prefix, "f1", maas_f1(s->truth, s->guess, n, k, scratch)))
        return false;
    if (!s->chances)
        return true;
    if (k == 2)
        return put(o, prefix, "auc", maas_auc(s->chances, 1, s->truth, 1, n, order));
    if (k > 100) /* a sort a class: not worth it for very many */
        return true;
    double sum = 0, seen = 0;
    for (int64_t c = 0; c < k; c++) {
        double auc = maas_auc(s->chances + c, step, s->truth, (int32_t)c, n, order);
        sum += isnan(auc) ? 0 : auc;
        seen += !isnan(auc);
    }
    return put(o, prefix, "auc", sum / seen);
}

bool maas_score_json(const maas_score *s, const char *prefix, json_t *o)
{
    const double n = (double)s->rows, m = (double)s->n_values;
    if (!put(o, prefix, "loss", s->loss / n))
        return false;
    if (s->t->is_class)
        return put(o, prefix, "accuracy", (double)s->right / n) &&
               (!s->keep || put_ranks(s, prefix, o));
    return put(o, prefix, "rmse", sqrt(s->sq_err / m)) && put(o, prefix, "mae", s->abs_err / m) &&
           put(o, prefix, "r2", 1 - s->sq_err / s->m2);
}
