/*
 * learn/compress/measure.h - what a model is worth: bytes of its file, time of a row, score on rows
 * that were held out. Only for the files of this folder and their tests.
 *
 * Owns: its copy of the rows and the parent's plan (maas_measure_reset). Borrows: job, graphs.
 * Threads: one at a time. Fails: as running the model does; E_INVALID when it cannot be scored.
 */
#ifndef MAAS_LEARN_COMPRESS_MEASURE_H
#define MAAS_LEARN_COMPRESS_MEASURE_H

#include "learn/compress/spec.h"
#include "learn/scorers.h"
#include "learn/split.h"
#include "learn/subset.h"
#include "learn/train.h"

typedef struct maas_measured {
    size_t bytes;
    double size_ratio, latency_us, latency_ratio; /* ratios: over the parent */
    double metric, drop;                          /* drop: what the parent has more */
} maas_measured;

struct maas_probe; /* a model ready for one row */

typedef struct maas_measure {
    const maas_train_job *job;
    const maas_scorer *scorer;
    maas_subset held_out; /* what is measured on */
    maas_split split;
    maas_subset seen; /* what steps may look at; made when asked for */
    struct maas_probe *parent;
    maas_measured before;
} maas_measure;

/* Deals the rows and measures job->parent. */
maas_status maas_measure_init(maas_measure *m, const maas_train_job *job,
                              const maas_compress_spec *spec, maas_err *err);
void maas_measure_reset(maas_measure *m);
/* `file`: the model as it would be published. */
maas_status maas_measure_file(const maas_measure *m, maas_span file, maas_measured *out,
                              maas_err *err);

/* For maas_step_call.see; user: the maas_measure. */
maas_status maas_measure_seen(void *user, const maas_dataset **out, maas_err *err);

/* Fills in what `spec` leaves to the recipe of the parent: share, seed and order of the rows. */
void maas_held_out_as_parent(const maas_graph *parent, maas_compress_spec *spec);

#endif
