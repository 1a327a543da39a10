/*
 * learn/subset.h - some rows of a data set as a data set of its own: copied, so that a learner sees
 * what it always sees. Statistics are not carried over (they are of other rows).
 *
 * Owns: the copies (maas_subset_reset), charged to the budget. Borrows: names and manifest of the
 * original, which must outlive it. Threads: making one at a time; read-only then.
 */
#ifndef MAAS_LEARN_SUBSET_H
#define MAAS_LEARN_SUBSET_H

#include "base/arena.h"
#include "learn/dataset.h"

typedef struct maas_subset {
    maas_dataset data; /* .maps NULL: never maas_dataset_close it */
    maas_arena arena;
} maas_subset;

/* rows[n]: numbers of rows of `d`, in the order they shall have; may repeat. */
maas_status maas_subset_make(const maas_dataset *d, const uint32_t *rows, int64_t n,
                             maas_budget *budget, maas_subset *out, maas_err *err);
void maas_subset_reset(maas_subset *s);

#endif
