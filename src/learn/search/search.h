/*
 * learn/search/search.h - the best of many: every candidate is trained and measured on every fold,
 * the best one is trained again on all rows and becomes the model.
 *
 *   "search": {"strategy":"grid|random|halving", "param_grid" | "distributions", "n_iter", "seed",
 * "cv", "scoring", "factor", "min_rows"}
 *
 *   grid      all points of param_grid                     random   n_iter points drawn from
 * distributions halving   all of either, on few rows at first; each round keeps the best 1/factor
 * and gives them factor times the rows (successive halving, Jamieson and Talwalkar 2016)
 *
 * Fits run side by side, one a thread (n_threads of the job); the order in which they end does not
 * change the result. Progress carries a leaderboard; a checkpoint holds every score so far, so that
 * a resumed search repeats no fit.
 *
 * The report (maas_train_result.report) has the names of scikit-learn's cv_results_: best_params,
 * best_score, trials: [{params, split_test_scores, mean_test_score, std_test_score,
 * rank_test_score, mean_fit_time, ...}].
 *
 * Threads: the caller's leads; hooks are called on it, except `cancelled`, which any thread may
 * call. Fails: E_INVALID naming the field; what the candidates said when all of them failed.
 */
#ifndef MAAS_LEARN_SEARCH_SEARCH_H
#define MAAS_LEARN_SEARCH_SEARCH_H

#include "learn/search/candidates.h"
#include "learn/search/folds.h"
#include "learn/train.h"

/* What can be said without data: unknown fields, every candidate against its learner. */
maas_status maas_search_check(const char *learner, const json_t *params, const json_t *search,
                              maas_err *err);
/* job->learner and ->params are the base of all candidates. */
maas_status maas_search(const maas_train_job *job, const json_t *search, maas_train_result *out,
                        maas_err *err);

/* The same over a list of candidates that somebody else made (learner "auto"). */
typedef struct maas_search_plan {
    const maas_candidates *candidates;
    const maas_cv *cv;
    const char *scoring; /* NULL: accuracy or r2 */
    bool halving;
    int64_t factor, min_rows; /* halving; min_rows 0: so that the last round has all rows */
    uint64_t seed;
    double seconds; /* no fit starts later than this after the first one; 0: no limit */
} maas_search_plan;
maas_status maas_search_run(const maas_train_job *job, const maas_search_plan *plan,
                            maas_train_result *out, maas_err *err);

#endif
