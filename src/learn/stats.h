/*
 * learn/stats.h - statistics of a column in one pass and bounded memory.
 *
 * As JSON: numbers {"count","missing","mean","std","min","max","quantiles":{"0.01"..},"distinct",
 * "top"}, text {"count","missing","distinct","top"}. count: values that are there; missing: the
 * others (NaN, or no text); elements are counted, so an image counts 784 times. std is that of the
 * population. top: the at most ten most frequent of text and of whole numbers with few values.
 * "approximate": true when quantiles, distinct or top are estimates (sample.h, counts.h say how
 * good). Mean and deviation by Chan's pairwise update: stable for any offset and length.
 *
 * Owns: its sketches. Threads: one at a time. Fails: E_NOMEM.
 */
#ifndef MAAS_LEARN_STATS_H
#define MAAS_LEARN_STATS_H

#include <jansson.h>

#include "tensor/tensor.h"

typedef struct maas_stats maas_stats;
/* n_cols: of the table, which share a fixed amount of memory. */
maas_status maas_stats_create(maas_dtype t, uint32_t n_cols, maas_stats **out, maas_err *err);
void maas_stats_destroy(maas_stats *s);
maas_status maas_stats_add(maas_stats *s, const maas_tensor *values, maas_err *err);
/* A new reference. */
maas_status maas_stats_json(maas_stats *s, json_t **out, maas_err *err);

#endif
