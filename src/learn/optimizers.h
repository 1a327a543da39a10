/*
 * learn/optimizers.h - how weights follow their gradients, as nodes of the training graph; and how
 * the learning rate moves over time.
 *
 * State of an optimizer is variables named "optimizer.<slot>.<weight>", so that it can be kept for
 * an update. What changes from step to step (learning rate, bias corrections) are scalar inputs.
 *
 * Fails: sticky in the builder. Threads: any.
 */
#ifndef MAAS_LEARN_OPTIMIZERS_H
#define MAAS_LEARN_OPTIMIZERS_H

#include "learn/net.h"

typedef struct maas_step_inputs {
    maas_vid lr, epsilon; /* scalars; as the optimizer's `scalars` gives them  */
    maas_vid rate;        /* the learning rate itself; only decoupled decay needs it */
    maas_vid share;       /* of the batch in the rows of a step; MAAS_NO_VALUE: it is all of them */
    bool adds;            /* with a share: gradients are only added up, nothing moves */
} maas_step_inputs;

typedef struct maas_optimizer {
    maas_variant doc;
    const char *slots[3]; /* names of the state kept for each weight, NULL-ended */
    bool decoupled;       /* weight decay shrinks the weight itself, not through the gradient */
    /* The new weight; state[i] is the variable of slot i and new_state[i] gets its next value. */
    maas_vid (*build)(maas_builder *b, const maas_optimizer_spec *s, const maas_step_inputs *in,
                      maas_vid w, maas_vid g, const maas_vid *state, maas_vid *new_state);
    /* Scalars for step 1, 2, ...; NULL: lr as it is, no epsilon. */
    void (*scalars)(const maas_optimizer_spec *s, int64_t step, double lr, float *out_lr,
                    float *out_epsilon);
} maas_optimizer;

enum { MAAS_OPTIMIZER_SGD, MAAS_OPTIMIZER_ADAM, MAAS_N_OPTIMIZERS = 6 };
extern const maas_optimizer maas_optimizers[MAAS_N_OPTIMIZERS];

/* Adds the nodes and bindings that move every weight of `net` against its gradient. With a share,
 * gradients of several batches meet in variables "optimizer.sum.<weight>", which are 0 after a
 * step; tables then have dense gradients. */
void maas_optimizer_build(maas_net *net, maas_vid loss, const maas_step_inputs *in);

typedef struct maas_schedule {
    maas_variant doc;
    /* Factor on the base rate after `done` of `total` steps, `per_epoch` steps an epoch. */
    double (*factor)(const maas_schedule_spec *s, int64_t done, int64_t total, int64_t per_epoch);
} maas_schedule;

enum { MAAS_SCHEDULE_CONSTANT, MAAS_SCHEDULE_COSINE, MAAS_N_SCHEDULES = 6 };
extern const maas_schedule maas_schedules[MAAS_N_SCHEDULES];
/* With the warm-up applied: from lr/warmup up to lr in the first `warmup` steps. */
double maas_schedule_factor(const maas_schedule_spec *s, int64_t done, int64_t total,
                            int64_t per_epoch);

#endif
