/*
 * learn/search/folds.h - which rows train and which are measured, fold by fold. The rules are
 * scikit-learn's, so the same `seed` gives the folds of the same random_state:
 *
 *   kfold       KFold: runs of rows, the first (rows % folds) one longer; `shuffle`: of a shuffled
 * order stratified  StratifiedKFold: each class spread evenly over the folds, classes in order of
 * appearance group       GroupKFold: rows of a group stay together; the largest group goes to the
 * lightest fold time        TimeSeriesSplit: each fold is measured on what comes after what it
 * trained on
 *
 * Owns: its arrays (maas_folds_reset), charged to the budget. Threads: read-only once made.
 * Fails: E_INVALID naming the field or the column.
 */
#ifndef MAAS_LEARN_SEARCH_FOLDS_H
#define MAAS_LEARN_SEARCH_FOLDS_H

#include "base/arena.h"
#include "base/json.h"
#include "learn/dataset.h"

typedef enum maas_cv_kind {
    MAAS_CV_AUTO,
    MAAS_CV_KFOLD,
    MAAS_CV_STRATIFIED,
    MAAS_CV_GROUP,
    MAAS_CV_TIME
} maas_cv_kind;

typedef struct maas_cv {
    int kind; /* maas_cv_kind; AUTO: stratified for classes, kfold for numbers, as scikit-learn
                 chooses */
    int64_t folds;
    bool shuffle;
    int64_t seed;      /* 0 .. 2^32 - 1 */
    const char *group; /* column, for GROUP; borrowed from the JSON */
} maas_cv;

/* "cv": a number of folds, or {"folds","kind","shuffle","seed","group"}; NULL: 5 folds. `where`
 * names it. */
maas_status maas_cv_read(const json_t *j, const char *where, maas_cv *out, maas_err *err);

typedef struct maas_fold {
    uint32_t *train, *test; /* row numbers, rising */
    int64_t n_train, n_test;
} maas_fold;

typedef struct maas_folds {
    maas_fold *at;
    int64_t n;
    maas_arena arena;
} maas_folds;

/* `classes`: the target is classes (stratify when AUTO). Rows: fewer than 2^32. */
maas_status maas_folds_make(const maas_cv *cv, const maas_dataset *d, const char *target,
                            bool classes, maas_budget *budget, maas_folds *out, maas_err *err);
void maas_folds_reset(maas_folds *f);

#endif
