/*
 * learn/compress/step.h - what a step of compression is: a row of the table in steps.c. Only for
 * the files of this folder and their tests.
 *
 * A step changes call->g in place, or puts another graph there (fine-tuning trains a new one). It
 * says what it did in call->said, for the table of trials. It must leave a graph that verifies.
 */
#ifndef MAAS_LEARN_COMPRESS_STEP_H
#define MAAS_LEARN_COMPRESS_STEP_H

#include "learn/compress/spec.h"
#include "learn/train.h"

typedef struct maas_step_call {
    maas_graph *g; /* owned by the call; the step may replace it */
    const maas_step_spec *spec;
    const maas_train_job *job;       /* data, target, threads, budget, hooks */
    const maas_compress_spec *whole; /* how rows are held out */
    /* Rows that steps may learn from and calibrate on; made by `see` when first asked for
     * (maas_step_seen), because they are a copy. */
    const maas_dataset *seen;
    maas_status (*see)(void *user, const maas_dataset **out, maas_err *err);
    void *see_user;
    const struct maas_fake_bytes *bytes; /* what its training is for; NULL: nothing else */
    json_t *said;                        /* object */
} maas_step_call;

typedef struct maas_compress_step {
    maas_variant doc;
    /* The weights stay weights that a learner can go on from; else the version ends training. */
    bool trainable;
    maas_status (*apply)(maas_step_call *c, maas_err *err);
} maas_compress_step;

enum { MAAS_N_COMPRESS_STEPS = 15 };
extern const maas_compress_step maas_compress_steps[MAAS_N_COMPRESS_STEPS];

#define MAAS_STEP_AT(f) offsetof(maas_step_spec, f)

/* One file a step or family: its rows, and what it does. */
extern const maas_param maas_step_float_rows[1], maas_step_bf16_rows[2], maas_step_int8_rows[2],
    maas_step_dynamic_rows[3], maas_step_static_rows[7], maas_step_qat_rows[10],
    maas_step_smooth_rows[2], maas_step_prune_rows[5], maas_step_neurons_rows[5],
    maas_step_low_rank_rows[3], maas_step_cluster_rows[2], maas_step_clip_rows[2],
    maas_step_distil_rows[7], maas_step_blocks_rows[4], maas_step_channels_rows[4];

maas_status maas_step_f16(maas_step_call *c, maas_err *err);
maas_status maas_step_bf16(maas_step_call *c, maas_err *err);
maas_status maas_step_int8(maas_step_call *c, maas_err *err);
maas_status maas_step_dynamic_int8(maas_step_call *c, maas_err *err);
maas_status maas_step_static_int8(maas_step_call *c, maas_err *err);
maas_status maas_step_qat(maas_step_call *c, maas_err *err);
maas_status maas_step_smooth_quant(maas_step_call *c, maas_err *err);
maas_status maas_step_prune_magnitude(maas_step_call *c, maas_err *err);
maas_status maas_step_prune_neurons(maas_step_call *c, maas_err *err);
maas_status maas_step_prune_channels(maas_step_call *c, maas_err *err);
maas_status maas_step_prune_blocks(maas_step_call *c, maas_err *err);
maas_status maas_step_low_rank(maas_step_call *c, maas_err *err);
maas_status maas_step_cluster(maas_step_call *c, maas_err *err);
maas_status maas_step_clip(maas_step_call *c, maas_err *err);
maas_status maas_step_distil(maas_step_call *c, maas_err *err);

/* ---- apply.c ---- */
/* One step with its words in front of an error; the graph is verified, and told whether it can be
 * trained on. */
maas_status maas_compress_apply(maas_step_call *c, maas_err *err);
/* Before call->seen is looked at. */
maas_status maas_step_seen(maas_step_call *c, maas_err *err);
/* A learner cannot go on from what is no weight any more: the recipe says which step did that. */
maas_status maas_compress_end_training(maas_graph *g, const char *step, maas_err *err);

/* ---- fine_tune.c ---- */
/* Called after each step of training with how much of it is done, to keep zeros zero. */
typedef struct maas_tuning {
    void (*fn)(void *user, struct maas_vars *vars, double done);
    void *user;
} maas_tuning;
/* spec->fine_tune epochs over the seen rows; call->g becomes the trained graph. 0 epochs: nothing.
 * teaching, each: may be NULL. E_UNSUPPORTED when the model was not trained here by a learner that
 * goes on. */
maas_status maas_fine_tune(maas_step_call *c, const maas_teaching *teaching,
                           const maas_tuning *each, maas_err *err);
/* The same by any learner and parameters; parent NULL: from fresh weights. */
maas_status maas_step_train(maas_step_call *c, const char *learner, const json_t *params,
                            const maas_graph *parent, const maas_teaching *teaching,
                            const maas_tuning *each, maas_err *err);

#endif
