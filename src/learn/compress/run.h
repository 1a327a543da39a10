/* learn/compress/run.h - shared by compress.c (steps that were given) and reach.c (a target that
 * was given). Nobody else includes it. */
#ifndef MAAS_LEARN_COMPRESS_RUN_H
#define MAAS_LEARN_COMPRESS_RUN_H

#include "learn/compress/measure.h"
#include "learn/compress/step.h"

typedef struct maas_compressing {
    const maas_train_job *job;
    const maas_compress_spec *spec;
    maas_measure measure;
    json_t *trials; /* the table */
} maas_compressing;

typedef struct maas_chain { /* steps one after the other, and where they led */
    json_t *steps;
    maas_buf file;
    maas_measured measured;
} maas_chain;
maas_status maas_chain_init(maas_chain *c, maas_err *err);
void maas_chain_reset(maas_chain *c);

/* All steps on the parent; every intermediate model is a row of the table. Progress goes from
 * `from` to `to`. */
maas_status maas_compress_chain(maas_compressing *x, const maas_step_spec *steps, size_t n,
                                double from, double to, maas_chain *out, maas_err *err);
maas_status maas_compress_note(maas_compressing *x, json_t *steps, const maas_measured *m,
                               json_t *said, maas_err *err);
/* Tries chains of its own until one reaches spec->target within the drop. */
maas_status maas_compress_reach(maas_compressing *x, maas_chain *best, maas_err *err);

/* Rung i of its ladder as JSON, for tests: a list of steps. NULL: no memory. */
json_t *maas_compress_rung(size_t i, int64_t fine_tune);
extern const size_t maas_n_compress_rungs;

#endif
