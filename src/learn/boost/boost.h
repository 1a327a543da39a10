/*
 * learn/boost/boost.h - gradient_boosting: trees that correct each other, by XGBoost's library.
 *
 *   rows.c   what it takes; objectives        data.c    rows as XGBoost's tables
 *   xgb.c    the library                      train.c   rounds, early stopping, the model
 *
 * The library trains; its model is read back by the reader of XGBoost files and becomes nodes of
 * the graph, so that what is served is what any uploaded model of XGBoost would be.
 *
 * Owns: everything; what the library allocates is charged by an estimate. Threads: the caller's;
 * the library starts its own. The same job gives the same bytes for the same number of threads.
 */
#ifndef MAAS_LEARN_BOOST_BOOST_H
#define MAAS_LEARN_BOOST_BOOST_H

#include "learn/boost/xgb.h"
#include "learn/matrix.h"
#include "learn/metrics.h"

typedef struct maas_boost_recipe {
    int task, objective, grow_policy, eval_metric;
    int64_t n_estimators, max_depth, max_leaves, max_bin, early_stopping_rounds, max_categories,
        max_cat_to_onehot, seed;
    double learning_rate, min_child_weight, gamma, max_delta_step, subsample, colsample_bytree,
        colsample_bylevel, colsample_bynode, reg_alpha, reg_lambda, scale_pos_weight, validation;
    const json_t *class_weight, *sample_weight, *group, *monotone_constraints; /* checked */
    bool categorical;
} maas_boost_recipe;

typedef enum maas_xgb_kind { MAAS_XGB_CLASSES, MAAS_XGB_NUMBERS, MAAS_XGB_RANKS } maas_xgb_kind;

typedef struct maas_objective {
    const char *name; /* as XGBoost calls it */
    maas_xgb_kind kind;
    double min, max;    /* what its targets may be */
    bool open;          /* `min` itself is not allowed */
    int64_t n_classes;  /* 0: any */
    const char *metric; /* watched unless said */
} maas_objective;
extern const maas_objective maas_objectives[];
extern const char *const maas_objective_names[];
enum {
    MAAS_OBJECTIVE_AUTO,
    MAAS_OBJECTIVE_BINARY,
    MAAS_OBJECTIVE_SOFTPROB,
    MAAS_OBJECTIVE_SQUARED
};

typedef struct maas_eval_metric {
    const char *name;
    bool higher_is_better;
    unsigned kinds; /* bits of maas_xgb_kind it makes sense for */
} maas_eval_metric;
extern const maas_eval_metric maas_eval_metrics[];
extern const size_t maas_n_eval_metrics;

typedef struct maas_boost_table { /* rows in the library's hands */
    maas_xgb_handle d;
    const uint32_t *rows; /* of the data set, in the order of the table */
    int64_t n;
} maas_boost_table;

typedef struct maas_boost_run {
    const maas_train_job *job;
    const maas_xgb *x;
    maas_boost_recipe recipe;
    const maas_objective *objective;
    const maas_eval_metric *metric;
    maas_arena arena;
    maas_split split;
    maas_target target;
    maas_matrix matrix;
    maas_boost_table train, val; /* val.n 0: none */
    maas_xgb_handle booster;
    size_t charged;
    int64_t n_rounds; /* of the model */
    json_t *rounds, *importances;
} maas_boost_run;

/* Rows of both tables, checked targets, weights, groups. */
maas_status maas_boost_data(maas_boost_run *r, maas_err *err);
/* Settles the objective that "auto" means for this target, and the metric. */
maas_status maas_boost_settle(maas_boost_run *r, maas_err *err);
maas_status maas_train_boosting(const maas_train_job *job, maas_train_result *out, maas_err *err);

#endif
