/*
 * formats/catboost/catboost_int.h - what is shared in this directory; nobody outside includes it.
 *
 *   catboost.c (what the model means) ─┬─ trees.c (symmetric trees) ──────┐
 *                                      └─ grown.c (Depthwise, Lossguide) ─┴─► forest
 *
 * While trees are read, their nodes name float features by CatBoost's own count of them, which
 * cat_finish turns into columns of the data.
 */
#ifndef MAAS_FORMATS_CATBOOST_INT_H
#define MAAS_FORMATS_CATBOOST_INT_H

#include "formats/boosted.h"
#include "formats/doc.h"

enum {
    CAT_MAX_DEPTH = 16, /* CatBoost's own bound */
    CAT_MAX_COLUMNS = 1 << 20
};

typedef struct cat_feature {
    int64_t index, column; /* among float features; in the data */
    bool nan_is_high;      /* NaN counts as larger than every border; else as smaller */
    maas_str name;
} cat_feature;

typedef struct cat_split {
    double border;
    int64_t feature; /* among float features */
} cat_split;

typedef struct cat_model {
    const maas_boosted_opts *opts;
    maas_boosted m; /* being made */
    maas_doc *doc;
    cat_feature *features;
    size_t n_features, cap_features;
    int64_t last_column; /* of features of any kind */
    cat_feature feature; /* being read */
    /* a symmetric tree, or a split and a leaf of the other kind */
    cat_split splits[CAT_MAX_DEPTH];
    size_t n_splits;
    cat_split split;
    bool split_is_float;
    maas_numbers values, weights, bias; /* F64 */
    double scale;
    int64_t n_scores; /* 0: not known yet */
    char loss[48], label_type[16];
    maas_numbers class_numbers; /* F64 */
    maas_str *class_names;
    size_t n_names, cap_names;
} cat_model;

/* An object {"split_type": "FloatFeature", ...} into x->split; others are refused by their type. */
maas_status cat_read_split(void *ctx, maas_doc *d, maas_err *err);
/* The number of values of a leaf is the same everywhere. */
maas_status cat_set_scores(cat_model *x, int64_t n, maas_err *err);
/* Leaf values values[at .. at + n_scores) become weights; first and count of *to. */
maas_status cat_add_leaf(cat_model *x, size_t at, maas_tree_node *to, maas_err *err);

maas_status cat_read_symmetric(void *ctx, maas_doc *d,
                               maas_err *err);                     /* an item of oblivious_trees */
maas_status cat_read_grown(void *ctx, maas_doc *d, maas_err *err); /* an item of trees */

#endif
