/*
 * kernels/rows.h - a broadcast cut into rows. Neighbouring dimensions along which every operand
 * steps evenly are merged first, so the common cases are one row or a plain list of rows:
 *
 *   [64,128] + [64,128]  one row of 8192        [64,128] + [128]  64 rows of 128
 *   [64,128] + []        one row of 8192        [64,128] + [64,1] 64 rows of 128
 *
 * Short rows may be taken together when what is not the same in each of them is one after the
 * other: [900,16] + [16] is one row of 14400 whose second operand repeats, a tile.
 */
#ifndef MAAS_KERNELS_ROWS_H
#define MAAS_KERNELS_ROWS_H

#include "kernels/kernel.h"

#define MAAS_ROWS_IN 16 /* operands */

typedef struct maas_rows {
    int n_in, rank; /* outer dimensions */
    int64_t inner;  /* elements of a row of the output */
    int64_t total;  /* elements of the output          */
    int64_t dims[MAAS_MAX_RANK], stride[MAAS_ROWS_IN][MAAS_MAX_RANK]; /* outer, in elements */
    int step[MAAS_ROWS_IN];                                           /* within a row: 0 or 1 */
    int64_t tile;             /* 0, or a divisor of MAAS_TILE: the period of tiled operands */
    bool tiled[MAAS_ROWS_IN]; /* step is 0; what is at the place repeats every `tile` elements */
} maas_rows;

#define MAAS_TILE 512 /* elements of a row that a kernel takes at once when there are tiles */

/* Shapes must broadcast to `out`. */
void maas_rows_of(maas_rows *r, const maas_tensor *out, const maas_tensor *in, int n_in);

/* Takes short rows together, if it can. Kernels that ask for it must fill tiles, and take shares
 * and parts of rows in multiples of MAAS_TILE. */
void maas_rows_tile(maas_rows *r);

/* Walks one thread's share: while (w.n > 0) { rows or parts of rows } */
typedef struct maas_row_walk {
    const maas_rows *r;
    int64_t out, end;         /* elements of the output: this part starts, the share ends */
    int64_t n;                /* elements of this part */
    int64_t at[MAAS_ROWS_IN]; /* where each operand starts */
} maas_row_walk;
void maas_row_walk_init(maas_row_walk *w, const maas_rows *r, int64_t grain, int ithr, int nthr);
void maas_row_walk_step(maas_row_walk *w);

#endif
