/*
 * learn/cores/decompose.h - the directions in which rows differ most: principal components,
 * truncated singular value decomposition.
 *
 * Exact through eigenvectors of the smaller of X'X and XX' up to MAAS_EXACT_SIDE; beyond it a
 * subspace iteration from a random start, which needs the number of components to be given.
 * Each direction's sign makes its largest element positive.
 *
 * Owns: nothing; the result lives in the arena of the work. Fails: E_NOMEM, E_CANCELLED, E_INVALID.
 */
#ifndef MAAS_LEARN_CORES_DECOMPOSE_H
#define MAAS_LEARN_CORES_DECOMPOSE_H

#include "learn/cores/work.h"

#define MAAS_EXACT_SIDE 1500

typedef struct maas_directions {
    int64_t k, d;
    double *components; /* [k][d] of length 1 */
    double *singular;   /* [k] descending */
    double *mean;       /* [d]; zeros when not centred */
    double total;       /* sum of all squared singular values */
} maas_directions;

/* k: how many, or 0 for as many as make up `share` of the total (1: all that are not rounding). */
maas_status maas_decompose(maas_work *w, const double *x, int64_t n, int64_t d, bool centre,
                           int64_t k, double share, uint64_t seed, maas_directions *out,
                           maas_err *err);

#endif
