/*
 * learn/metrics.h - how good predictions are.
 *
 *   classes   loss, accuracy, f1 (macro for k > 2), auc (mean of one-against-rest for k > 2)
 *   numbers   loss, rmse, mae, r2, in units of the target
 *
 * Owns: what it collects (maas_score_reset). Threads: one at a time.
 */
#ifndef MAAS_LEARN_METRICS_H
#define MAAS_LEARN_METRICS_H

#include "learn/target.h"

typedef struct maas_score { /* running sums over batches */
    const maas_target *t;
    int64_t rows;
    double loss;            /* summed over rows */
    int64_t right;          /* classes          */
    double abs_err, sq_err; /* numbers          */
    double mean, m2;        /* numbers: of the true values */
    int64_t n_values;
    bool keep;      /* also what auc and f1 need, row by row */
    float *chances; /* [cap][k] or, for two classes, [cap] chance of class 1 */
    int32_t *truth, *guess;
    int64_t cap;
    maas_budget *budget;
    size_t charged;
} maas_score;

/* `keep_rows`: how many rows will come when auc and f1 are wanted; 0: running sums only. With very
 * many classes and rows there is no auc (MAX_CHANCES in metrics.c). */
maas_status maas_score_init(maas_score *s, const maas_target *t, int64_t keep_rows,
                            maas_budget *budget, maas_err *err);
void maas_score_clear(maas_score *s);
void maas_score_reset(maas_score *s);
/* z: [n][outputs] as the network gives it; `loss` is the mean of these rows. */
void maas_score_add(maas_score *s, const float *z, const uint32_t *rows, int64_t n, double loss);
void maas_score_add_samples(maas_score *s, const float *z, const maas_samples *samples,
                            double loss);
/* Adds "<prefix>loss", "<prefix>accuracy", ... to `o`; false: no memory. */
bool maas_score_json(const maas_score *s, const char *prefix, json_t *o);

/* Area under the ROC curve of `score` for truth[i] == positive, ties counted half; NaN when one
 * side is empty. `order` is scratch [n]. */
double maas_auc(const float *score, int64_t stride, const int32_t *truth, int32_t positive,
                int64_t n, uint32_t *order);
/* Normalised discounted cumulative gain of the first k of n (k 0: all): gains >= 0 as they are,
 * discount 1/log2(place + 1), equal scores share the mean of their places; 0 where all gains are.
 * As scikit-learn's ndcg_score. `order` is scratch [n]. */
double maas_ndcg(const float *score, const float *gain, int64_t n, int64_t k, uint32_t *order);
/* F1 of class 1 for two classes, the mean over all classes for more. */
double maas_f1(const int32_t *truth, const int32_t *guess, int64_t n, int64_t k,
               int64_t *scratch3k);

typedef struct maas_stop_metric { /* what early stopping may watch */
    const char *name;
    bool higher_is_better;
} maas_stop_metric;
extern const maas_stop_metric maas_stop_metrics[];
extern const char *const maas_stop_metric_names[]; /* NULL-ended, same order */
enum { MAAS_STOP_AUTO };                           /* val_loss with validation rows, else loss */

#endif
