/*
 * learn/compress/spec.h - what a compression shall do, as plain values. Only for the files of this
 * folder and their tests.
 *
 * Owns: nothing; lists live in the arena of the reader, JSON stays borrowed. Threads: read-only
 * once read.
 */
#ifndef MAAS_LEARN_COMPRESS_SPEC_H
#define MAAS_LEARN_COMPRESS_SPEC_H

#include "learn/param.h"

typedef struct maas_step_spec { /* one flat struct for all steps: each uses its own fields */
    int type;                   /* index into maas_compress_steps */
    double sparsity, ratio, energy, percentile, threshold, alpha, lr, temperature, weight;
    double feature_weight;
    const json_t *features; /* borrowed; NULL: only answers are learned from */
    const json_t *student;  /* borrowed; NULL: the model goes on */
    int64_t rank, bits, min_elements, rows, fine_tune;
    int method, format, by, scope, ranges;
    bool per_channel, reduce_range, gradual, compute;
} maas_step_spec;

typedef struct maas_compress_target {
    bool on;
    double size_ratio, latency_ratio; /* NaN: not asked for */
} maas_compress_target;

typedef struct maas_compress_spec {
    maas_param_list steps; /* of maas_step_spec */
    maas_compress_target target;
    const json_t *metric;  /* borrowed: name of a scorer; NULL: accuracy or r2 */
    const json_t *teacher; /* borrowed: a version, for whoever finds it; NULL: the parent */
    double max_metric_drop;
    double validation; /* NaN: as the parent's recipe held out, else a fifth */
    int64_t seed;      /* -1: of the parent's recipe, else 0 */
    int64_t fine_tune; /* epochs that a search of steps may spend after pruning */
    bool shuffle;      /* not a parameter: of the parent's recipe */
} maas_compress_spec;

maas_status maas_compress_spec_read(const json_t *j, maas_arena *a, maas_compress_spec *out,
                                    maas_err *err);
/* {"type",...} of one step, every parameter with its value. NULL: no memory. */
json_t *maas_step_dump(const maas_step_spec *s);

#endif
