/*
 * formats/lightgbm/lightgbm_int.h - what is shared in this directory; nobody outside includes it.
 *
 *   lightgbm.c (lines, header) ──► lgb_tree, one at a time ──tree.c──► forest
 */
#ifndef MAAS_FORMATS_LIGHTGBM_INT_H
#define MAAS_FORMATS_LIGHTGBM_INT_H

#include "formats/boosted.h"
#include "formats/doc.h"

enum {
    LGB_MAX_FEATURES = 1 << 20,
    LGB_MAX_TARGETS = 1 << 20, /* scores x (1 + features) of models with linear leaves */
    /* bits of decision_type; missing type: 0 none, 1 zero, 2 NaN */
    LGB_CATEGORICAL = 1,
    LGB_DEFAULT_LEFT = 2,
    LGB_MISSING_SHIFT = 2,
    LGB_DECISION_BITS = 15
};

/* A tree as the file has it, one array a line. Reused from tree to tree. */
typedef struct lgb_tree {
    maas_numbers feature, left, right, decision; /* I32 [leaves - 1]; child < 0: leaf ~child */
    maas_numbers threshold, node_cover;          /* F64 [leaves - 1] */
    maas_numbers leaf_value, leaf_cover;         /* F64 [leaves] */
    maas_numbers cat_begin;                      /* I32: words before each set, and the end */
    maas_numbers cat_words;                      /* I32: 32 bits each */
    /* linear leaves: value = constant + sum of coefficient * feature */
    maas_numbers constant, n_used; /* F64, I32 [leaves] */
    maas_numbers used, slope;      /* I32, F64: of all leaves, one after the other */
    int64_t n_leaves, is_linear;
    maas_numbers what, step, used_begin, set_taken; /* I32: scratch of tree.c */
} lgb_tree;

typedef struct lgb_model {
    const maas_boosted_opts *opts;
    maas_boosted m; /* being made */
    lgb_tree tree;
    maas_span rest; /* of the file */
    int64_t line;   /* number of the line read last, from 1 */
    int64_t per_iteration, last_feature;
    bool average;
    maas_span objective, names, infos, version, categories; /* as they stand in the file */
} lgb_model;

/* Appends x->tree, which counts for `score`, to the forest. */
maas_status lgb_add_tree(lgb_model *x, int32_t score, maas_err *err);
/* Up to a blank or the end; blanks before it are skipped. */
maas_span lgb_take_word(maas_span *s);
/* x->m.categories, which are JSON, become x->m.codes if they can. */
maas_status lgb_set_codes(lgb_model *x, maas_err *err);

#endif
