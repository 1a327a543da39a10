/*
 * learn/split.h - which rows are learned from, and which are kept apart to measure on.
 *
 * Both lists ascend. The same seed, number of rows and share give the same split.
 *
 * Owns: the lists, charged to the budget (maas_split_reset). Threads: read-only once made.
 * Fails: E_INVALID when a side would be empty, E_TOO_LARGE, E_NOMEM.
 */
#ifndef MAAS_LEARN_SPLIT_H
#define MAAS_LEARN_SPLIT_H

#include "base/arena.h"
#include "base/status.h"
#include "base/sys.h"

typedef struct maas_rows {
    uint32_t *at;
    int64_t n;
} maas_rows;

typedef struct maas_split {
    maas_rows train, val;
    uint32_t *order; /* [n_rows] scratch of the caller, charged with the rest */
    maas_budget *budget;
    size_t charged;
} maas_split;

/* `share` of the rows, rounded down, are for validation: at random, or the last ones. */
maas_status maas_split_init(maas_split *s, int64_t n_rows, double share, bool at_random,
                            maas_rng *rng, maas_budget *budget, maas_err *err);
void maas_split_reset(maas_split *s);

#endif
