/*
 * learn/recipe.h - what to train by gradients, as plain values: the request's "params" after
 * checking.
 *
 * The rows behind it are in network.c (which learner takes what) and in the tables of layers,
 * losses, optimizers and schedules. Dumped as JSON it travels in the model file ("maas.recipe"), so
 * that a later update rebuilds the same training graph.
 *
 * Owns: nothing; lists live in the arena of the reader. Threads: read-only once read.
 */
#ifndef MAAS_LEARN_RECIPE_H
#define MAAS_LEARN_RECIPE_H

#include "learn/preparation.h"

#define MAAS_EPOCHS_AUTO 0 /* as many as the linear learners need, see trainer.c */

typedef struct maas_layer_spec { /* one flat struct for all kinds: each uses its own fields */
    int type;                    /* index into maas_layer_kinds                             */
    const json_t *name, *inputs; /* borrowed: how layers are wired; NULL: a chain           */
    int64_t units, size, dim, filters, dilation, groups;
    const json_t *kernel_size, *stride, *padding, *shape; /* borrowed; NULL: the default */
    int activation, init;
    int tower, measure; /* maas_tower; maas_measure */
    int aggregate;      /* of sage_conv */
    bool normalize;
    bool bias, with_numbers, learned;
    int64_t heads;
    bool bidirectional, return_sequences, mask_zero, causal, per_step;
    double temperature;
    double rate, momentum, epsilon, alpha, beta; /* alpha, beta: NaN when not given */
} maas_layer_spec;

typedef struct maas_loss_spec {
    int type; /* index into maas_losses */
    double delta;
} maas_loss_spec;

typedef struct maas_optimizer_spec {
    int type; /* index into maas_optimizers */
    double lr, momentum, rho, beta1, beta2, epsilon;
    bool nesterov;
} maas_optimizer_spec;

typedef struct maas_schedule_spec {
    int type; /* index into maas_schedules */
    int64_t warmup, every;
    double factor, final;
} maas_schedule_spec;

typedef struct maas_early_spec {
    bool on;
    int64_t patience;
    double min_delta;
    int metric; /* index into maas_stop_metrics */
    bool restore_best;
} maas_early_spec;

typedef enum maas_scaling {
    MAAS_SCALING_AUTO,
    MAAS_SCALING_STANDARD,
    MAAS_SCALING_UNIT,
    MAAS_SCALING_NONE,
    MAAS_SCALING_MINMAX, /* as UNIT, for bytes, too */
    MAAS_SCALING_ROBUST
} maas_scaling;

typedef enum maas_task { MAAS_TASK_ANY, MAAS_TASK_CLASSES, MAAS_TASK_VALUES } maas_task;

typedef enum maas_solver { MAAS_SOLVER_AUTO, MAAS_SOLVER_EXACT, MAAS_SOLVER_SGD } maas_solver;
typedef enum maas_penalty {
    MAAS_PENALTY_L2,
    MAAS_PENALTY_L1,
    MAAS_PENALTY_ELASTIC,
    MAAS_PENALTY_NONE
} maas_penalty;

typedef struct maas_exact_spec { /* of linear_regression and logistic_regression */
    int solver, penalty;         /* maas_solver, maas_penalty */
    double c, l1_ratio, tol;
    int64_t max_iter;
    const json_t *weight; /* borrowed: name of a column, or NULL */
} maas_exact_spec;

typedef enum maas_tune_form { MAAS_TUNE_FORM_AUTO, MAAS_TUNE_FORM_PROBABILITIES } maas_tune_form;
typedef enum maas_tune_norm { MAAS_TUNE_NORM_TRAINED, MAAS_TUNE_NORM_KEPT } maas_tune_norm;

typedef struct maas_tune_spec {                 /* of fine_tune; a new head is in `layers` */
    const json_t *freeze, *head_after, *output; /* borrowed; freeze is a list of texts, or NULL */
    int form, batch_norm;                       /* maas_tune_form, maas_tune_norm */
} maas_tune_spec;

enum { MAAS_FLIP_NONE, MAAS_FLIP_HORIZONTAL, MAAS_FLIP_VERTICAL }; /* bits; both is 3 */
enum { MAAS_CHANNELS_AUTO, MAAS_CHANNELS_FIRST, MAAS_CHANNELS_LAST };

typedef struct maas_augment_spec { /* of pictures that are learned from: augment.h */
    bool on;
    int flip, channels;
    int64_t crop, cutout;
    double brightness, contrast;
} maas_augment_spec;
typedef enum maas_serve { MAAS_SERVE_NODES, MAAS_SERVE_GRAPH } maas_serve;

typedef struct maas_graph_spec { /* of params.graph, see graph_edges.h */
    bool on;
    const json_t *edges, *source, *target, *weight, *id, *split; /* borrowed: names, or NULL */
    bool directed;
    int serve; /* maas_serve */
} maas_graph_spec;

typedef struct maas_recipe {
    maas_param_list layers; /* of maas_layer_spec */
    maas_loss_spec loss;
    maas_optimizer_spec optimizer;
    maas_schedule_spec schedule;
    maas_early_spec early;
    maas_augment_spec augment;
    double weight_decay, clip_norm, validation;
    int64_t epochs, batch_size, accumulate, seed, max_categories;
    int scaling, target_scaling;             /* maas_scaling; for the target AUTO or NONE */
    const json_t *categories, *hash_buckets; /* borrowed: see maas_features_opts; or NULL */
    const json_t *towers;                    /* borrowed: see towers.h; or NULL */
    int64_t negatives, ndcg_at, ndcg_candidates;
    int negatives_from;         /* maas_negatives_from */
    const json_t *class_weight; /* borrowed: "balanced" or {"label": weight}; NULL: none */
    bool keep_optimizer, shuffle;
    maas_task task; /* set by the learner, not by a parameter */
    maas_exact_spec exact;
    maas_preparation preparation;
    maas_tune_spec tune;
    maas_graph_spec graph;
} maas_recipe;

#endif
