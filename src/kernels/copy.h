/*
 * kernels/copy.h - an array of elements moved from one set of strides to another: what Transpose,
 * Slice, Expand, Concat, Split, Tile and the like are. Dimensions of one place are dropped, those
 * that walk together merged, and the best inner loop is chosen: whole rows, rows of one value,
 * squares of a transpose, single steps.
 *
 * Owns nothing. Threads: run is called by each with its share.
 */
#ifndef MAAS_KERNELS_COPY_H
#define MAAS_KERNELS_COPY_H

#include "kernels/kernel.h"

#define MAAS_COPY_RANK (2 * MAAS_MAX_RANK)

typedef enum maas_copy_kind {
    MAAS_COPY_NOTHING, /* no elements                                        */
    MAAS_COPY_ROWS,    /* the last dimension is dense on both sides          */
    MAAS_COPY_FILL,    /* ... dense in the target, one value in the source   */
    MAAS_COPY_SQUARES, /* ... in the target, another one is so in the source */
    MAAS_COPY_STEPS    /* anything else                                      */
} maas_copy_kind;

typedef struct maas_copy {
    int rank;
    size_t elem; /* bytes */
    int64_t dims[MAAS_COPY_RANK];
    int64_t to[MAAS_COPY_RANK], from[MAAS_COPY_RANK]; /* strides in bytes       */
    int64_t to_at, from_at;                           /* bytes of the first one */
    maas_copy_kind kind;                              /* by maas_copy_plan      */
    int64_t n_rows; /* what threads share: all but the last dimension; bands of squares */
} maas_copy;

/* dims and strides (in elements) are filled in by the caller; at most MAAS_COPY_RANK of them. */
void maas_copy_plan(maas_copy *c);
void maas_copy_run(const maas_copy *c, void *to, const void *from, int ithr, int nthr);

#endif
