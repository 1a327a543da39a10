/*
 * learn/forest/grow.h - one decision tree on binned columns.
 *
 *   rows ──► node: statistics ──► best cut over drawn columns ──► rows parted in place ──► children
 *
 * The rows of a tree lie in one array; a node is a stretch of it. What a node costs is decided by
 * its size and its weights:
 *
 *   cells.c   classes by Gini, whole weights, at most 32767 in a node, columns of few bins:
 *             counted in 16 bits, four columns at once, nothing touched but bins that occur
 *   ranks.c   such nodes, columns of many bins: sorted by code, walked in whole numbers
 *   scan.c    all else, in doubles: a histogram (many rows, few bins), or rows sorted by
 *             counting and walked one by one
 *
 * All look at every place between two different values, so the cut is exact as long as bins are
 * (bins.h), and sums of whole weights are the same numbers everywhere.
 *
 * Classes: S_k is the weight of class k in a node. Numbers: S_k is the weighted sum of the k-th
 * number, from its mean over the data. Gini and squared error then are the same formula: a cut is
 * the better the larger the sum of S_k^2 / W over both sides.
 *
 * Owns: its scratch, charged to the budget. Threads: a grower one at a time; the data read-only.
 * Fails: E_NOMEM; E_CANCELLED when `stop` was set.
 */
#ifndef MAAS_LEARN_FOREST_GROW_H
#define MAAS_LEARN_FOREST_GROW_H

#include <stdatomic.h>

#include "learn/forest/bins.h"

typedef enum maas_criterion {
    MAAS_CRITERION_AUTO, /* gini for classes, squared_error for numbers */
    MAAS_CRITERION_GINI,
    MAAS_CRITERION_ENTROPY,
    MAAS_CRITERION_LOG_LOSS, /* another name of entropy */
    MAAS_CRITERION_SQUARED_ERROR
} maas_criterion;

typedef struct maas_sample {
    uint32_t row;  /* of the bins */
    float weight;  /* > 0 */
    uint32_t code; /* class; numbers: the row again, which is where its numbers are */
} maas_sample;

typedef struct maas_grow_data {
    const maas_bins *bins;
    bool is_class;
    bool entropy;
    int32_t n_stats;     /* K: classes, or numbers of a target row */
    const double *y;     /* numbers: [rows][K], from their mean; or NULL */
    const double *means; /* [K] what was taken away */
    int32_t max_features;
    bool random_cuts; /* extra trees: one cut a column, anywhere between its extremes */
    bool isolate;     /* isolation forest: as random_cuts, whatever the target says */
    int64_t max_depth, max_leaf_nodes, min_split, min_leaf;
    double min_leaf_weight, min_gain; /* min_gain: of the node's share of the whole */
    atomic_bool *stop;                /* or NULL */
    bool (*poll)(void *); /* sets `stop` when true; asked by the grower that `polls`; or NULL */
    void *poll_user;
    maas_budget *budget;
} maas_grow_data;

typedef struct maas_cut {
    int32_t feature; /* < 0: none */
    uint32_t code;   /* codes <= it go left */
    bool missing_left;
    double split; /* values <= it go left; NaN: between bin `code` and the next */
    double gain;  /* of the formula above; only compared within a node */
} maas_cut;

#define MAAS_N_LOGS 4096
#define MAAS_NEAR   8192 /* codes that are copied */
#define MAAS_NARROW 256  /* bins that are counted one by one */

typedef struct maas_grown_node {
    int32_t feature; /* < 0: a leaf */
    uint32_t code;
    int32_t left, right;
    uint32_t first, count; /* leaf: of values */
    double split;
    float cover;   /* weight of its rows */
    uint32_t rows; /* how many */
    bool missing_left;
} maas_grown_node;

typedef struct maas_grown_value {
    int32_t target;
    double value;
} maas_grown_value;

typedef struct maas_grown {
    maas_grown_node *nodes;
    maas_grown_value *values; /* of leaves: shares of classes that occur, or K numbers */
    size_t n_nodes, cap_nodes, n_values, cap_values, charged;
    double *importances; /* [n_cols] what its cuts took from the impurity, of a sum of 1; or 0 */
    maas_budget *budget;
} maas_grown;

typedef struct maas_node_stats {
    double w, q;    /* sum of weights; numbers: weighted sum of squares */
    double *s;      /* [K] */
    double squares; /* sum of s^2 */
    uint32_t n;     /* rows */
    bool pure;      /* all targets are equal */
} maas_node_stats;

/* Nodes of classes, by Gini, of whole weights whose sum is at most this, are counted in 16 bits. */
#define MAAS_CELL_WEIGHT  32767
#define MAAS_CELL_CLASSES 128
#define MAAS_RANK_WEIGHT  511 /* of a row in ranks.c */
#define MAAS_RANK_BITS    11
#define MAAS_CELL_COLUMNS 4 /* at once */

typedef struct maas_brief { /* what counting needs of a row */
    uint32_t at;            /* of its first code */
    uint16_t code, weight;
} maas_brief;

/* All that a thread needs besides the data. */
typedef struct maas_grower {
    const maas_grow_data *d;
    int64_t cap; /* rows */
    /* Codes of row r of a sample: codes_of[r * columns]. Of all rows, or of those of one small
     * node, copied so that all nodes below it find them near (gather_rows in grow.c). */
    const uint16_t *codes_of;
    uint16_t *near; /* [MAAS_NEAR] */
    maas_sample *samples, *spare;
    uint16_t *codes;                  /* [cap] of the column looked at */
    uint64_t *keys, *keys2;           /* [cap] code << 32 | place */
    uint32_t counts[MAAS_NARROW + 1]; /* rows of each code, then gaps: columns of few bins */
    double *hist;                     /* [n_hist] */
    int64_t n_hist;
    double *left, *gaps;   /* [K] running sums */
    double *logs;          /* [MAAS_N_LOGS] n log2 n */
    int32_t *features;     /* permutation */
    maas_node_stats stats; /* of the node looked at */
    maas_rng rng;
    maas_arena arena;
    /* cells.c: [MAAS_CELL_COLUMNS][MAAS_NARROW][n_lanes], and one of each bin; all zero between two
     * nodes */
    int16_t *cells;
    uint32_t *tally;                       /* of a bin: rows << 16 | weight */
    int16_t *all, *left16;                 /* [n_lanes] of the node, and on the left */
    maas_brief *brief;                     /* [cap] of the node */
    int32_t n_lanes;                       /* classes in whole vectors; 0: they are not for cells */
    uint32_t buckets[1 << MAAS_RANK_BITS]; /* ranks.c */
    bool in_cells;                         /* the node is: `all` and `brief` are of it */

    bool packed; /* weights of this tree are small whole numbers, and so are classes */
    bool light;  /* none is above MAAS_RANK_WEIGHT */
    bool polls;  /* on the thread whose hooks may be called */
    int64_t n_since_poll;
} maas_grower;

maas_status maas_grower_init(maas_grower *g, const maas_grow_data *d, int64_t cap, maas_err *err);
void maas_grower_reset(maas_grower *g);
/* Grows from samples[0..n), which are reordered. Draws from g->rng alone. */
maas_status maas_grower_tree(maas_grower *g, int64_t n, maas_grown *out, maas_err *err);
void maas_grown_reset(maas_grown *t);

/* ---- between the files of this folder ---- */
/* The best cut of samples[from..to), whose statistics are in g->stats; feature < 0: none. */
maas_cut maas_cut_find(maas_grower *g, int64_t from, int64_t to);
/* Impurity of a node: gini, entropy (bits) or variance. */
double maas_impurity(const maas_grow_data *d, const maas_node_stats *s);
/* Sorts keys by their upper half, of which all lie in low..high. */
void maas_sort_codes(uint64_t *keys, uint64_t *spare, int64_t n, uint32_t low, uint32_t high);
/* The leaf that a row of the bins, or of values, ends in; of several rows at once, since a walk is
 * nothing but waiting for the next node. */
enum { MAAS_WALKS = 8 };
void maas_grown_leaves(const maas_grown *t, const uint16_t *const codes[MAAS_WALKS],
                       const maas_grown_node *out[MAAS_WALKS]);
const maas_grown_node *maas_grown_leaf(const maas_grown *t, const uint16_t *codes);
const maas_grown_node *maas_grown_leaf_of(const maas_grown *t, const float *x, int64_t step);

#endif
