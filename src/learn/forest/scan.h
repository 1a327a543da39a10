/*
 * learn/forest/scan.h - every place where a column of a node can be cut, from left to right.
 * Private to this folder.
 */
#ifndef MAAS_LEARN_FOREST_SCAN_H
#define MAAS_LEARN_FOREST_SCAN_H

#include "learn/forest/grow.h"

typedef struct maas_stretch { /* a column in a node; g->codes has the codes of its rows */
    const maas_sample *s;
    int64_t n;
    int32_t feature;
    uint32_t low, high; /* codes that occur */
    bool narrow;        /* g->counts has the rows of each code */
    int64_t n_gaps;     /* their sums are in g->gaps */
    double w_gaps;
} maas_stretch;

typedef struct maas_best {
    maas_cut cut; /* `split` is filled in at the end, from `next` */
    uint32_t next;
    bool gaps_seen;
    int64_t n_left;
} maas_best;

/* Sums on the left of a place; the right is what is missing to the whole node.
 *   gini     q: sum of left^2, p: of left * whole, so that right^2 needs no sums of its own
 *   entropy  q: sum of x log x on the left, p: on the right */
typedef struct maas_running {
    double wl, q, p;
    int64_t nl;
} maas_running;

/* What a cut leaves, q / wl + r / wr, is surely below `best`, said without dividing: with a margin
 * of more than rounding can make. Sums of squares q, r >= 0 are exact; best may be minus infinity.
 */
static inline bool maas_cut_is_worse(double q, double r, double wl, double wr, double best)
{
    return q * wr + r * wl < best * (wl * wr) * (1 - 1e-13);
}

/* ---- cells.c: columns of at most MAAS_NARROW bins without gaps ---- */
int32_t maas_cells_lanes(int32_t n_classes);
/* Statistics of a node, unless it weighs too much. */
bool maas_cells_sum(maas_grower *g, const maas_sample *s, int64_t n);
/* All places of some columns, the first drawn first, when g->in_cells; false: each of them has one
 * value in this node. */
typedef struct maas_columns {
    int32_t column[MAAS_CELL_COLUMNS];
    int n;
    int64_t n_rows;
} maas_columns;
bool maas_scan_cells(maas_grower *g, const maas_columns *c, maas_best *best);
/* A place, if it is better; of a column without gaps. */
void maas_best_keep(maas_best *best, int32_t column, double gain, uint32_t code, uint32_t next,
                    int64_t n_left);

/* ---- ranks.c: columns of more bins without gaps, when g->in_cells and weights are light ---- */
bool maas_scan_ranks(maas_grower *g, int64_t n, int32_t column, maas_best *best);

/* ---- scan.c ---- */
/* As maas_scan, from the bins at once, where that is possible (else false): *out_any says whether
 * the column has two different values in this node. Only n, s and feature of the stretch are set.
 */
bool maas_scan_whole(maas_grower *g, maas_stretch *st, maas_best *best, bool *out_any);
/* All places of the stretch; better ones replace *best. */
void maas_scan(maas_grower *g, const maas_stretch *st, maas_best *best);
/* The place after `code` alone, the next code that occurs being `next`. */
void maas_scan_one(maas_grower *g, const maas_stretch *st, uint32_t code, uint32_t next,
                   maas_best *best);

#endif
