/*
 * learn/train.h - from a data set and a recipe to a trained graph.
 *
 * A learner is a row of the learners table (learn/learners.def). All end as an ONNX graph that
 * takes raw values: imputation and scaling are nodes of it. `maas_train` is called by the worker
 * process; it knows no registry and no server.
 *
 * Threads: the caller's thread leads `n_threads`. Deterministic: the same spec, data, seed, machine
 * and thread count give a bit-identical artifact.
 */
#ifndef MAAS_LEARN_TRAIN_H
#define MAAS_LEARN_TRAIN_H

#include "graph/graph.h"
#include "learn/dataset.h"
#include "learn/param.h"

struct maas_vars;       /* runtime/plan.h */
struct maas_fake_bytes; /* learn/fake_bytes.h */

typedef struct maas_train_hooks {
    void *user;
    /* fraction 0..1; metrics of the epoch or NULL (borrowed for the call); a word on what is done.
     */
    void (*progress)(void *user, double fraction, const json_t *metrics, const char *note);
    bool (*cancelled)(void *user);
    /* A resumable state, at the end of epochs; NULL when nobody keeps it. */
    maas_status (*checkpoint)(void *user, maas_span state, maas_err *err);
    /* After each step of a network with the share of steps that is done; may change weights.
     * NULL: nobody does. */
    void (*stepped)(void *user, struct maas_vars *vars, double done);
    void *stepped_user;
} maas_train_hooks;

/* Answers of another model to all rows of the data, see learn/teach.h. Only networks take them. */
typedef struct maas_teaching {
    const float *values; /* [rows][width]: chances of the teacher's classes, or numbers */
    int64_t width;
    const json_t *labels; /* the teacher's classes in their order; NULL: numbers */
    double temperature, weight;
    const struct maas_hint *hints; /* learn/hints.h: [n_hints], hidden layers of the teacher */
    size_t n_hints;
    double hint_weight;
} maas_teaching;

typedef struct maas_train_job {
    const char *learner;  /* "network", "linear_regression", "logistic_regression" */
    const json_t *params; /* the request's "params"; unknown keys are refused by name */
    const maas_dataset *data;
    const maas_dataset *edges; /* of params.graph; NULL: none */
    const char *target;        /* column name; NULL: none, where the learner has no_target */
    int n_threads;
    maas_budget *budget;
    /* kind: update. The parent's graph and optimizer state ({NULL,0} when not kept). */
    const maas_graph *parent;
    maas_span parent_state;
    const maas_teaching *teaching;       /* NULL: learns from the target alone */
    const struct maas_fake_bytes *bytes; /* what is trained for products of bytes; NULL: nothing */
    const maas_graph
        *teacher;     /* kind: compress. Whose answers distillation takes; NULL: parent's */
    maas_span resume; /* a checkpoint to go on from, or {NULL,0} */
    const maas_train_hooks *hooks;
    /* Whoever only asks the model, as a fit of a search does, takes its graph: `graph` and
     * `graph_bytes` of the result, by the learners that maas_matrix_end serves; the others write
     * the file all the same. */
    bool want_graph;
} maas_train_job;

typedef struct maas_train_result {
    maas_buf onnx;        /* the model file; empty when there is a graph                       */
    maas_graph *graph;    /* in the place of the file, or NULL (want_graph)             */
    uint64_t graph_bytes; /* how long its file would be                                 */
    maas_buf state;       /* optimizer state for a later update; .n 0 when not kept            */
    json_t *metrics;      /* final: {"loss":..,"accuracy":..,"val_loss":..,"epochs":[...]}    */
    json_t *report; /* what the job's result says beside the version (a search's trials); NULL */
} maas_train_result;

maas_status maas_train(const maas_train_job *job, maas_train_result *out, maas_err *err);
void maas_train_result_reset(maas_train_result *r);
/* Checks a spec without data, at the door: names the field that is wrong. */
maas_status maas_train_check(const char *learner, const json_t *params, maas_err *err);

/* A learner is a constant of its own file, named in learners.def. */
typedef struct maas_learner {
    const char *name, *help;
    const maas_param *rows; /* what it takes; offsets count from the start of its recipe */
    size_t n_rows;
    size_t recipe_size; /* of the plain struct that params are read into */
    /* What a row alone cannot say: checks the recipe as read, and fills in what follows from it.
     * `params` as they came, or NULL. NULL: nothing to say. */
    maas_status (*settle)(void *recipe, const json_t *params, maas_arena *a, maas_err *err);
    maas_status (*train)(const maas_train_job *job, maas_train_result *out, maas_err *err);
    bool updates;    /* goes on from a parent version: kind "update"                         */
    bool any_parent; /* goes on from any graph, and from nothing else                         */
    bool no_target;  /* learns from inputs alone: job->target may be NULL, or a column to skip */
} maas_learner;
extern const maas_learner *const maas_learners[];
extern const size_t maas_n_learners;

const maas_learner *maas_learner_find(const char *name); /* NULL */
/* Reads and checks everything that can be checked without data, into a struct of recipe_size. Lists
 * go into the arena, JSON rows stay borrowed from `params`. */
maas_status maas_learner_read(const char *learner, const json_t *params, maas_arena *a, void *out,
                              maas_err *err);
/* {"learner","params"} with every parameter: "maas.recipe" of the model file. NULL: no memory. */
json_t *maas_learner_dump(const char *learner, const void *recipe);
/* The parameters of a learner as JSON for documentation; NULL: unknown learner or no memory. */
json_t *maas_learner_params_json(const char *learner);

#endif
