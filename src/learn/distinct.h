/*
 * learn/distinct.h - the different values of a column: class labels and categories.
 *
 * Owns: its arrays; text points into the column. Threads: one at a time.
 * Fails: E_INVALID naming the column when there are more than `max_kept` kinds of values (labels),
 * E_NOMEM.
 */
#ifndef MAAS_LEARN_DISTINCT_H
#define MAAS_LEARN_DISTINCT_H

#include "learn/columns.h"

typedef struct maas_key {
    maas_str text;  /* STRING columns; p NULL otherwise */
    int64_t number; /* whole-number columns             */
    int64_t count;
} maas_key;

typedef struct maas_distinct {
    const maas_ds_column *col;
    maas_key *keys; /* sorted by number or by bytes; those taken over as they came */
    int64_t n;
    size_t cap;
    uint32_t *slots; /* private: hash table of key number + 1 */
    size_t n_slots;
    uint64_t salt;
} maas_distinct;

/* Looks at rows[0..n); NULL: at rows 0..n-1. Missing text is no value. */
maas_status maas_distinct_build(maas_distinct *d, const maas_ds_column *col, const uint32_t *rows,
                                int64_t n, maas_err *err);
/* Only the `max` most frequent stay. */
void maas_distinct_keep(maas_distinct *d, int64_t max);
/* Takes over known keys (an update's): `keys` are copied, in their order. */
maas_status maas_distinct_from(maas_distinct *d, const maas_ds_column *col, const maas_key *keys,
                               int64_t n, maas_err *err);
/* Number of the key of row i, -1 when there is none. */
int32_t maas_distinct_find(const maas_distinct *d, int64_t row);
void maas_distinct_reset(maas_distinct *d);

#endif
