/*
 * formats/xgboost/xgboost_int.h - what the three readers of XGBoost's files fill, and what becomes
 * of it. Nobody outside of this directory includes it.
 *
 *   json.c (JSON and UBJSON)  ─┐
 *   binary.c (0.90 to 2.0)    ─┴─► xgb_model: arrays of one tree at a time ─tree.c─► forest
 *                                  parameters ───────────────────────────model.c─► maas_boosted
 */
#ifndef MAAS_FORMATS_XGBOOST_INT_H
#define MAAS_FORMATS_XGBOOST_INT_H

#include "formats/boosted.h"
#include "formats/doc.h"

enum {
    XGB_MAX_SCORES = MAAS_MAX_COLUMNS,
    XGB_MAX_FEATURES = 1 << 20,
    XGB_MAX_CATEGORY = 1 << 24 /* XGBoost's own bound: floats count exactly up to here */
};

/* A tree as the files have it: one array a field, one item a node. Reused from tree to tree. */
typedef struct xgb_tree {
    maas_numbers left, right, feature, default_left; /* I32; left -1: a leaf */
    maas_numbers split;                              /* F32; of a leaf: its value */
    maas_numbers kind;                               /* I32, 1: categories; may be empty */
    maas_numbers cover;                              /* F32; may be empty */
    /* Sets of categories that go right: of node cat_nodes[i], cats[cat_begin[i]..+cat_size[i]). */
    maas_numbers cats, cat_nodes, cat_begin, cat_size;
    /* Leaves with a value for each score: [leaf][vector], or by node in base_weights. */
    maas_numbers leaf_weights, base_weights; /* F32 */
    int64_t vector;                          /* values of a leaf; 0, 1: one */
    int64_t leaves_seen;                     /* scratch of tree.c, as what follows */
    maas_numbers order, cat_of;              /* I32 */
} xgb_tree;

typedef struct xgb_model {
    const maas_boosted_opts *opts;
    maas_boosted m; /* being made */
    xgb_tree tree;
    maas_numbers first_weight;              /* I32: a tree's first weight in the forest */
    maas_numbers tree_info, indptr;         /* I32: score of a tree; trees before an iteration */
    maas_numbers weight_drop, linear;       /* F32: dart; gblinear [n_features + 1][n_scores] */
    maas_numbers code_offsets, code_values; /* I32, F64: categories of one feature */
    maas_boost_codes *codes;                /* of n_codes features */
    size_t n_codes, cap_codes;
    bool codes_unclear;
    maas_numbers base_score; /* F32 */
    int64_t n_class, n_feature, n_target, n_parallel, vector;
    int64_t best_iteration; /* -1: the file does not say */
    int64_t version[3];
    bool base_is_margin; /* files of before 1.0 */
    char objective[64], booster[16];
    maas_str *names, *types;
    size_t n_names, n_types, cap_names, cap_types;
} xgb_model;

/* Appends x->tree to the forest, children after their parent; nodes that nothing reaches (pruned
 * ones stay in the file) are left out. Targets are filled in by xgb_finish. */
maas_status xgb_add_tree(xgb_model *x, maas_err *err);
/* What the codes of the next feature stand for: x->code_offsets and _values. */
maas_status xgb_add_codes(xgb_model *x, maas_err *err);
maas_status xgb_read_document(xgb_model *x, maas_span file, maas_err *err);
maas_status xgb_read_binary(xgb_model *x, maas_span file, maas_err *err);
/* Does the binary form begin here? */
bool xgb_is_binary(maas_span file);
/* Parameters and trees become x->m. */
maas_status xgb_finish(xgb_model *x, maas_err *err);

#endif
