/*
 * learn/trainer.h - the run behind every learner that is trained by gradients.
 *
 * A run is set up once (recipe, rows, constants, graphs, plans) and then loops: gather a batch, run
 * the plan, add up the score. Nothing is allocated in the loop of an epoch.
 *
 *   trainer.c         job -> run -> result
 *   trainer_setup.c   recipe of a job or an update, split of the rows, graphs and plans
 *   trainer_epoch.c   one epoch, evaluation, early stopping
 *   trainer_state.c   checkpoints, best weights, optimizer state
 *
 * Owns: everything but job and data. Threads: the caller's, which leads those of the plan.
 */
#ifndef MAAS_LEARN_TRAINER_H
#define MAAS_LEARN_TRAINER_H

#include "learn/augment.h"
#include "learn/checkpoint.h"
#include "learn/graph_edges.h"
#include "learn/metrics.h"
#include "learn/model.h"
#include "learn/negatives.h"
#include "learn/split.h"
#include "learn/train.h"
#include "learn/tune/tune.h"
#include "runtime/plan.h"

typedef struct maas_runner { /* a graph ready for one number of rows */
    maas_plan *plan;
    maas_exec *exec;
    int64_t rows;  /* 0: not made */
    void **inputs; /* of the features */
    const maas_features *features;
    bool nodes;                  /* of a graph: its one input is which they are */
    maas_samples now;            /* [rows] of the data set: this run's */
    const maas_augment *augment; /* of a training step; NULL: pictures stay as they are */
    uint64_t seed;               /* of what they become in this run */
} maas_runner;

typedef struct maas_fit {
    const maas_train_job *job;
    const char *learner;
    maas_arena arena; /* of the recipe */
    maas_recipe recipe;
    json_t *params; /* what the recipe was read from */
    maas_split split;
    maas_rows train, val; /* of the split */
    maas_negatives negatives;
    maas_samples order;       /* rows of this epoch, shuffled, with those made up */
    maas_samples val_samples; /* validation rows with those made up once for all epochs */
    maas_ranking ranking;     /* of validation rows */
    maas_features features;
    maas_augment augment;
    maas_target target;
    maas_soft soft;   /* a teacher's answers */
    maas_tune tune;   /* g NULL: the layers are those of the recipe */
    maas_edges edges; /* n_nodes 0: rows are no nodes */
    maas_model_parts parts;
    maas_train_graph train_graph;
    maas_train_graph
        sum_graph; /* of the batches of a step but its last one; g NULL: there is one */
    maas_graph *eval_graph;
    maas_vars *vars;
    maas_runner full, tail;           /* of a training step */
    maas_runner sum;                  /* of batches that only add to one */
    maas_runner eval_full, eval_tail; /* of evaluation      */
    maas_runner rank_full, rank_tail; /* of the ranking     */
    maas_score score, val_score;
    maas_rng rng; /* order of rows and masks; part of a checkpoint */

    uint8_t fingerprint[MAAS_SHA256_BYTES];
    int64_t epoch, steps_per_epoch; /* epochs done */
    int64_t step, base_step;        /* steps of this run; of the optimizer's life before it */
    double best;                    /* of the watched metric */
    int64_t best_epoch, bad_epochs;
    float **best_copies; /* by number of variable; NULL: not kept */
    json_t *history;
    uint64_t last_progress_ns, epoch_start_ns, checkpoint_ns, checkpoint_cost_ns;
} maas_fit;

maas_status maas_train_network(const maas_train_job *job, maas_train_result *out, maas_err *err);

maas_status maas_fit_setup(maas_fit *r, const maas_train_job *job, maas_err *err);
void maas_fit_reset(maas_fit *r);
maas_status maas_runner_init(maas_fit *r, const maas_graph *g, int64_t rows, bool training,
                             maas_runner *out, maas_err *err);
void maas_runner_reset(maas_runner *x);
/* Inputs that a batch fills before its target; rows of a step. */
uint32_t maas_fit_n_raw(const maas_fit *r);
int64_t maas_fit_batch(const maas_fit *r);

/* One epoch and what follows it; *out_stop when early stopping says so. */
maas_status maas_fit_epoch(maas_fit *r, bool *out_stop, maas_err *err);
/* The rows of the next epoch, drawn and shuffled. */
void maas_fit_order(maas_fit *r);
/* Scores what validation has, or all of `order`, with the weights as they are. */
maas_status maas_fit_evaluate(maas_fit *r, const maas_samples *s, maas_score *score, maas_err *err);
/* NDCG of the ranking; NaN: there is none. */
maas_status maas_fit_rank(maas_fit *r, double *out, maas_err *err);
bool maas_fit_should_stop(const maas_fit *r);
void maas_fit_progress(maas_fit *r, double fraction, const json_t *metrics, bool always);

maas_status maas_fit_fingerprint(maas_fit *r, maas_err *err);
maas_status maas_fit_checkpoint(maas_fit *r, maas_err *err);
maas_status maas_fit_resume(maas_fit *r, maas_span state, maas_err *err);
maas_status maas_fit_load_optimizer(maas_fit *r, maas_span state, maas_err *err);
maas_status maas_fit_save_optimizer(maas_fit *r, maas_buf *out, maas_err *err);
maas_status maas_fit_keep_best(maas_fit *r, maas_err *err); /* allocates the copies */
void maas_fit_copy_best(maas_fit *r, bool back);

#endif
