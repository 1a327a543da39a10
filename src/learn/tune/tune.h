/*
 * learn/tune/tune.h - training that goes on from any ONNX graph: learner `fine_tune`.
 *
 *   parent's graph ──► prepared once: batch of any size, weights that move, where it ends
 *                        │ clone          │ clone          │ clone
 *                        ▼                ▼                ▼
 *                      train            eval             export       (learn/model.h)
 *
 * Ids of values are those of the prepared graph in all three, so what is known of a value (it is a
 * weight, a statistic) is known in each. Weights keep the names that they had.
 *
 * Owns: its graph (maas_tune_reset). Borrows: the parent, whose constants it reads. Threads:
 * read-only once prepared. Fails: E_INVALID naming pattern, head, column or input; E_UNSUPPORTED
 * naming the node.
 */
#ifndef MAAS_LEARN_TUNE_TUNE_H
#define MAAS_LEARN_TUNE_TUNE_H

#include "learn/features.h"
#include "learn/target.h"

enum {                         /* maas_tune.role, of each value */
       MAAS_TUNE_WEIGHT = 1,   /* a constant that is trained                                     */
       MAAS_TUNE_FROZEN = 2,   /* it would be, but a pattern says no                             */
       MAAS_TUNE_STATISTIC = 4 /* mean or variance of a normalization that follows its batches */
};

typedef enum maas_tune_tail {
    MAAS_TUNE_PLAIN,
    MAAS_TUNE_SOFTMAX,
    MAAS_TUNE_LOG_SOFTMAX,
    MAAS_TUNE_SIGMOID
} maas_tune_tail;

typedef struct maas_tune {
    maas_graph *g;
    const maas_recipe *recipe;
    bool new_head, probabilities; /* the output is probabilities, made by nobody knows what */
    maas_vid out;                 /* the output that is trained                    */
    maas_vid z;                   /* before its last activation                    */
    maas_vid features;            /* what a new head reads; else MAAS_NO_VALUE     */
    maas_tune_tail tail;
    bool labelled; /* outputs are those of our own classifiers: label, probabilities */
    uint8_t *role; /* [g->n_values] */
    uint32_t n_weights, n_frozen;
    char prefix[16]; /* of the names of a new head's weights: "head", or another that is free */
    json_t *dropped; /* names of outputs that a new head leaves nothing of */
    maas_budget *budget;
} maas_tune;

/* `data` and `target` say which classes the labels of a kept head are. The recipe's loss is
 * settled: what the end of the graph wants where the request says nothing. */
maas_status maas_tune_init(maas_tune *t, const maas_graph *parent, maas_recipe *recipe,
                           const maas_dataset *data, const char *target, maas_budget *budget,
                           maas_err *err);
void maas_tune_reset(maas_tune *t);
/* Columns become the model's only input, or go to its inputs by their names. */
bool maas_tune_by_name(const maas_tune *t);
/* Cells travel as floats: what an input takes as whole numbers must be ones that a float has. */
maas_status maas_tune_check_cells(const maas_tune *t, const maas_features *fs, maas_err *err);

/* A graph that begins as the prepared one, with weights and statistics as variables. */
maas_status maas_tune_clone(const maas_tune *t, maas_budget *budget, maas_graph **out,
                            maas_err *err);
/* Training and evaluation: the graph's inputs are fed by raw columns; after y was made an input,
 * body() gives what the loss wants. */
void maas_tune_inputs(const maas_tune *t, const maas_features *fs, maas_net *net);
maas_vid maas_tune_body(const maas_tune *t, const maas_target *target, maas_net *net);
/* The served model: outputs, labels. */
void maas_tune_export(const maas_tune *t, const maas_target *target, maas_net *net);
/* The list of layers that "head": NAME stands for, and which names there are. */
const json_t *maas_tune_head(const char *name);
void maas_tune_head_names(maas_buf *out);
/* {"trained":n, "frozen":n, "dropped_outputs":[..]}; NULL: no memory. */
json_t *maas_tune_report(const maas_tune *t);

#endif
