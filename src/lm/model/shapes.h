/*
 * lm/model/shapes.h - plans of a language model for numbers of rows and of logits, at most one for
 * each two powers of two. One runs at a time, so all have one memory for what they compute: as much
 * as the largest wants.
 *
 * Owns: plans, executors, that memory (of the budget). Threads: one at a time. Fails: E_NOMEM; when
 * memory ends while executors move, all shapes are gone and will be made again.
 */
#ifndef MAAS_LM_SHAPES_H
#define MAAS_LM_SHAPES_H

#include "runtime/plan.h"

typedef struct maas_lm_shape {
    struct maas_lm_shape *next;
    int64_t rows, outs;
    maas_plan *plan;
    maas_exec *exec; /* inputs hold nothing from one run to the next */
} maas_lm_shape;

typedef struct maas_lm_shapes {
    maas_lm_shape *all;
    void *block; /* of all executors */
    size_t bytes;
    maas_budget *budget; /* it is taken from */
} maas_lm_shapes;

maas_lm_shape *maas_lm_shape_find(const maas_lm_shapes *s, int64_t rows, int64_t outs); /* NULL */
/* Takes the plan, also when it fails. */
maas_status maas_lm_shape_add(maas_lm_shapes *s, int64_t rows, int64_t outs, maas_plan *plan,
                              maas_vars *vars, maas_budget *budget, maas_lm_shape **out,
                              maas_err *err);
void maas_lm_shapes_reset(maas_lm_shapes *s);

#endif
