/*
 * learn/compress/ranges.h - between which two numbers a value of the graph lies, seen over some
 * rows. Only for the files of this folder and their tests.
 *
 *   minmax      the smallest and the largest
 *   percentile  so many of a hundred; the rest is cut off, half at each end
 *   entropy     the cut at which the codes tell most of the distribution (least Kullback-Leibler
 *               divergence, as Migacz 2017 has it), over a histogram
 *
 * Zero always lies within, so that it has a code of its own. Owns: nothing. Threads: one at a time.
 */
#ifndef MAAS_LEARN_COMPRESS_RANGES_H
#define MAAS_LEARN_COMPRESS_RANGES_H

#include "learn/compress/step.h"

enum { MAAS_RANGE_MINMAX, MAAS_RANGE_PERCENTILE, MAAS_RANGE_ENTROPY };
enum { MAAS_RANGE_BINS = 2048 };
extern const char *const maas_range_methods[];

typedef struct maas_range {
    float lo, hi;
} maas_range;

/* Values `wanted` of call->g over spec->rows rows. E_INVALID for a value that is not finite. */
maas_status maas_ranges_measure(const maas_step_call *c, const maas_vid *wanted, uint32_t n,
                                maas_range *out, maas_err *err);
/* From a histogram of values in [lo, hi]: for tests, too. */
maas_range maas_range_of_histogram(const double *bins, float lo, float hi, int method,
                                   double percentile);

#endif
