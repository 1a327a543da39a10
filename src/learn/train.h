/*
 * learn/train.h - from a data set and a recipe to a trained graph.
 *
 * A learner is a row of the learners table (learn/learners.c). All end as an ONNX graph that takes
 * raw values: imputation and scaling are nodes of it. `maas_train` is called by the worker
 * process; it knows no registry and no server.
 *
 * Threads: the caller's thread leads `n_threads`. Deterministic: the same spec, data, seed, machine
 * and thread count give a bit-identical artifact.
 */
#ifndef MAAS_LEARN_TRAIN_H
#define MAAS_LEARN_TRAIN_H

#include "graph/graph.h"
#include "learn/dataset.h"

typedef struct maas_train_hooks {
    void *user;
    /* fraction 0..1; metrics of the epoch or NULL (borrowed for the call); a word on what is done.
     */
    void (*progress)(void *user, double fraction, const json_t *metrics, const char *note);
    bool (*cancelled)(void *user);
    /* A resumable state, at the end of epochs; NULL when nobody keeps it. */
    maas_status (*checkpoint)(void *user, maas_span state, maas_err *err);
} maas_train_hooks;

typedef struct maas_train_job {
    const char *learner;  /* "network", "linear_regression", "logistic_regression" */
    const json_t *params; /* the request's "params"; unknown keys are refused by name */
    const maas_dataset *data;
    const char *target; /* column name */
    int n_threads;
    maas_budget *budget;
    /* kind: update. The parent's graph and optimizer state ({NULL,0} when not kept). */
    const maas_graph *parent;
    maas_span parent_state;
    maas_span resume; /* a checkpoint to go on from, or {NULL,0} */
    const maas_train_hooks *hooks;
} maas_train_job;

typedef struct maas_train_result {
    maas_buf onnx;   /* the model file                                                    */
    maas_buf state;  /* optimizer state for a later update; .n 0 when not kept            */
    json_t *metrics; /* final: {"loss":..,"accuracy":..,"val_loss":..,"epochs":[...]}    */
} maas_train_result;

maas_status maas_train(const maas_train_job *job, maas_train_result *out, maas_err *err);
void maas_train_result_reset(maas_train_result *r);
/* Checks a spec without data, at the door: names the field that is wrong. */
maas_status maas_train_check(const char *learner, const json_t *params, maas_err *err);

typedef struct maas_learner {
    const char *name, *help;
    const char *const *params; /* NULL-ended names it takes */
    maas_status (*check)(const json_t *params, maas_err *err);
    maas_status (*train)(const maas_train_job *job, maas_train_result *out, maas_err *err);
} maas_learner;
extern const maas_learner maas_learners[];
extern const size_t maas_n_learners;

#endif
