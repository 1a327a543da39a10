/*
 * learn/model.h - the three graphs of one training run, which share their weights by name.
 *
 *   train   raw batch, y, step scalars, masks  ->  loss, z      with gradients and bindings; when
 *           gradients of several batches make a step, once more: what only adds them up
 *   eval    raw batch, y                       ->  loss, z
 *   export  the model's inputs                 ->  label + probabilities, or value
 *
 * z is the last value of the network: logits for cross entropies, else (scaled) numbers.
 *
 * Owns: graphs. Borrows: features, target, recipe. Fails: E_INVALID naming the layer, E_UNSUPPORTED
 * naming the operator.
 */
#ifndef MAAS_LEARN_MODEL_H
#define MAAS_LEARN_MODEL_H

#include "learn/features.h"
#include "learn/optimizers.h"
#include "learn/target.h"
#include "learn/teach.h"

typedef struct maas_model_parts {
    const maas_features *features;
    const maas_target *target;
    const maas_soft *soft;               /* rows NULL: nobody teaches */
    const maas_teaching *teaching;       /* its hidden layers; or NULL */
    const struct maas_tune *tune;        /* learn/tune/tune.h: the layers are a graph; or NULL */
    const struct maas_fake_bytes *bytes; /* products that shall be of bytes; NULL: none */
    const struct maas_edges *edges;      /* graph_edges.h: rows are nodes; NULL: of no graph */
    const maas_tensor *table; /* of a graph that serves its nodes: z of all of them, for export */
    struct maas_vars *vars;   /* with it: weights that an update finds in the file */
    maas_recipe *recipe;      /* sizes left open are filled in */
    const char *learner;
    const maas_graph *parent; /* or NULL */
    maas_budget *budget;
} maas_model_parts;

enum { MAAS_OUT_LOSS, MAAS_OUT_Z }; /* outputs of train and eval graphs */

typedef struct maas_train_graph {
    maas_graph *g;
    /* Numbers of graph inputs; MAAS_NO_INPUT: it has none. */
    uint32_t y, answers, hints, lr, epsilon, rate, share; /* hints: the first of them */
    maas_net_mask *masks;
    size_t n_masks;
    uint32_t n_weights;
} maas_train_graph;
#define MAAS_NO_INPUT UINT32_MAX

/* Fills in what the recipe leaves to the data: units of the last layer, size of an embedding. */
maas_status maas_model_resolve(const maas_model_parts *p, maas_err *err);
/* rng: of the first values of weights. `adds`: gradients are added up and nothing moves
 * (maas_step_inputs); weights are those of the other graph, and rng is NULL. */
maas_status maas_model_train_graph(const maas_model_parts *p, maas_rng *rng, bool adds,
                                   maas_train_graph *out, maas_err *err);
void maas_train_graph_reset(maas_train_graph *t);
maas_status maas_model_eval_graph(const maas_model_parts *p, maas_graph **out, maas_err *err);
/* Weights and running statistics, not optimizer state. */
bool maas_is_model_variable(const char *name);
maas_status maas_model_export_graph(const maas_model_parts *p, maas_graph **out, maas_err *err);

#endif
