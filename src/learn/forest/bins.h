/*
 * learn/forest/bins.h - columns as small whole numbers that keep the order of their values.
 *
 * A column with at most MAAS_MAX_BINS different values has one bin a value, so that a tree finds
 * every cut there is; with more, bins hold about equally many rows. The codes of one row lie side
 * by side: a node's rows are scattered over the table, and all columns of a row are then one or two
 * cache lines.
 *
 * Owns: its arrays, in an arena charged to the budget. Threads: read-only once made.
 * Fails: E_NOMEM.
 */
#ifndef MAAS_LEARN_FOREST_BINS_H
#define MAAS_LEARN_FOREST_BINS_H

#include "learn/matrix.h"

#define MAAS_MAX_BINS    65535u
#define MAAS_BIN_MISSING 65535u /* the code of a gap */

typedef struct maas_bin_column {
    uint32_t n;        /* bins; 0: nothing but gaps        */
    float *low, *high; /* [n] smallest and largest of each */
    bool has_missing;
} maas_bin_column;

typedef struct maas_bins {
    int64_t n_rows; /* those learned from: row i of the codes is row train->at[i] of the data */
    int32_t n_cols;
    maas_bin_column *cols;
    uint16_t *codes; /* [n_rows][n_cols] */
    maas_arena arena;
} maas_bins;

/* `m`: by column. */
maas_status maas_bins_init(maas_bins *b, const maas_matrix *m, const maas_rows *train,
                           int n_threads, maas_budget *budget, maas_err *err);
void maas_bins_reset(maas_bins *b);
/* Between the values of bins `code` and `next` > code: what goes left is <= it. */
double maas_bins_between(const maas_bins *b, int32_t col, uint32_t code, uint32_t next);

#endif
