/*
 * learn/forest/forest.h - random_forest, extra_trees, decision_tree, isolation_forest: many trees
 * on the same bins.
 *
 *   rows.c    what the learners take      train.c   rows, weights, the trees in parallel
 *   bins.c    columns as codes            score.c   out of bag, validation, importances
 *   grow.c    a tree (cut.c, cells.c,     export.c  the trees as a graph
 *             ranks.c, scan.c, sort.c:  isolation.c  isolation_forest, from the same parts
 *             its cuts)
 *
 * Every tree draws from a generator of its own, seeded by its number; scores are summed in the
 * order of the trees. So the model is the same whatever the number of threads.
 *
 * Owns: everything, charged to the job's budget. Threads: the caller's leads n_threads; hooks are
 * called on it alone.
 */
#ifndef MAAS_LEARN_FOREST_FOREST_H
#define MAAS_LEARN_FOREST_FOREST_H

#include "learn/forest/grow.h"
#include "learn/metrics.h"
#include "ops/forest.h"

typedef struct maas_forest_recipe {
    int task, criterion; /* auto, classification, regression; maas_criterion */
    int64_t n_estimators, max_depth, max_leaf_nodes, max_categories, seed;
    double min_samples_split, min_samples_leaf; /* rows, or a share below 1 */
    double min_weight_fraction_leaf, min_impurity_decrease, validation;
    const json_t *max_features, *max_samples, *class_weight, *sample_weight; /* checked by settle */
    const json_t *contamination;                                             /* isolation_forest  */
    bool bootstrap, oob_score;
    bool random_cuts; /* of the learner, not a parameter */
} maas_forest_recipe;

typedef struct maas_forest_run {
    const maas_train_job *job;
    maas_forest_recipe recipe;
    maas_arena arena; /* of the recipe */
    maas_split split;
    maas_target target;
    maas_matrix matrix;
    maas_bins bins;
    maas_grow_data data;
    int64_t n_draws;    /* rows drawn for a tree (bootstrap), else all */
    uint32_t *class_of; /* [train rows]; NULL: numbers */
    float *weights;     /* [train rows]; NULL: all 1   */
    bool balance_each;  /* class_weight balanced_subsample */
    double *up_to;      /* bootstrap: sums of the weights up to each row; else NULL */
    maas_grown *trees;
    maas_grower *growers; /* one a thread */
    int n_threads;
    atomic_bool stop;
    atomic_int failed; /* maas_status of the first failure */
    atomic_llong n_done;
    json_t *importances;
} maas_forest_run;

maas_status maas_train_forest(const maas_train_job *job, maas_train_result *out, maas_err *err);

/* ---- between the files of this folder ---- */
/* Columns a node looks at; rows a tree draws. `preset` where nothing is said. */
int32_t maas_forest_max_features(const json_t *v, double preset, int64_t n_cols);
int64_t maas_forest_max_samples(const json_t *v, int64_t n_rows);
uint64_t maas_forest_seed(const maas_forest_run *r, int64_t tree); /* of its generator */
/* How often tree i draws each of the train rows: counts[rows]. */
void maas_forest_draw(const maas_forest_run *r, int64_t tree, maas_rng *rng, uint32_t *counts);
/* Grows all trees; `fill` makes the samples of a tree and gives their number. */
typedef int64_t maas_fill_fn(maas_forest_run *r, int64_t tree, maas_grower *g);
maas_status maas_forest_grow(maas_forest_run *r, maas_fill_fn *fill, maas_err *err);
void maas_forest_run_reset(maas_forest_run *r);
/* {"impurity": {"column": share}} */
maas_status maas_forest_importances(maas_forest_run *r, maas_err *err);
maas_status maas_forest_metrics(maas_forest_run *r, json_t **out, maas_err *err);
/* What the trees say for rows (of the bins, or of the data): sums[n][k], added up in the order of
 * the trees. */
void maas_forest_sums(const maas_forest_run *r, const uint32_t *rows, bool by_bins, int64_t n,
                      int64_t k, double *sums);
/* The trees as the operators' form; each value times `scale`. */
maas_status maas_forest_of_grown(const maas_forest_run *r, maas_forest_aggregate how,
                                 int32_t n_targets, double scale, maas_forest **out, maas_err *err);
maas_status maas_forest_export(const maas_forest_run *r, maas_train_result *out, maas_err *err);

#endif
