/*
 * learn/compress/probe.h - the time that one row takes, and what values have while rows run. Only
 * for the files of this folder and their tests.
 *
 * Owns: plan and executor. Borrows: graph, rows, job. Threads: one at a time.
 */
#ifndef MAAS_LEARN_COMPRESS_PROBE_H
#define MAAS_LEARN_COMPRESS_PROBE_H

#include "graph/graph.h"
#include "learn/dataset.h"
#include "learn/train.h"

typedef struct maas_probe maas_probe;

/* The model ready for one row of d, on one thread. */
maas_status maas_probe_open(const maas_graph *g, const maas_dataset *d, const maas_train_job *job,
                            maas_probe **out, maas_err *err);
void maas_probe_close(maas_probe *p); /* NULL is fine */
/* Median microseconds of a run of each, taken in turns, so that what else the machine does meets
 * both. b NULL: a alone. */
maas_status maas_probe_race(maas_probe *a, maas_probe *b, double *out_a, double *out_b,
                            maas_err *err);

/* Calls fn with each of the values `wanted` of g while it runs over at most n_rows rows of d,
 * evenly taken from all; of a value that has no row for each row, too. */
typedef maas_status maas_calibrate_fn(void *user, uint32_t which, const maas_tensor *t,
                                      maas_err *err);
maas_status maas_calibrate(const maas_graph *g, const maas_dataset *d, const maas_train_job *job,
                           int64_t n_rows, const maas_vid *wanted, uint32_t n_wanted,
                           maas_calibrate_fn *fn, void *user, maas_err *err);

#endif
