/*
 * formats/sklearn/tree.h - fitted trees (sklearn.tree._tree.Tree) as trees of one maas_forest.
 *
 *   estimator.tree_ ──maas_sk_tree_read──► checked columns ──maas_sk_tree_add──► nodes of the
 * forest
 *
 * What a leaf says is up to the ensemble: it gives a function from leaf to one number a target.
 * scikit-learn compares x rounded to F32 with thresholds in F64; maas_sk_forest_run does so.
 *
 * Owns: a tree read owns its columns (maas_sk_tree_reset); values are borrowed from the pickle.
 * Threads: as formats/sklearn/sklearn.h. Fails: E_FORMAT naming attribute and node.
 */
#ifndef MAAS_FORMATS_SKLEARN_TREE_H
#define MAAS_FORMATS_SKLEARN_TREE_H

#include "formats/sklearn/sklearn.h"
#include "ops/forest.h"

typedef struct maas_sk_tree {
    maas_arena arena; /* of the columns; not of `values` */
    int64_t n_nodes, n_features;
    int64_t n_outputs, width;    /* values [n_nodes, n_outputs, width]                     */
    const int64_t *left, *right; /* a leaf has left < 0; children come after their parent  */
    const int64_t *feature;      /* of inner nodes: 0 .. n_features - 1                    */
    const double *threshold;     /* of inner nodes: not NaN                                */
    const double *cover;         /* weighted_n_node_samples                                */
    const int64_t *n_rows;       /* n_node_samples                                         */
    const uint8_t *missing_left; /* NULL: written before 1.3, NaN goes right               */
    const double *values;
    char place[48]; /* "estimators_[3].tree_", for messages */
} maas_sk_tree;

/* Reads est.tree_. number: which of estimators_ it is, -1: none. n_features: of the rows it is
 * given, -1: any. */
maas_status maas_sk_tree_read(maas_sk *s, const maas_pk *est, int64_t number, int64_t n_features,
                              maas_sk_tree *out);
void maas_sk_tree_reset(maas_sk_tree *t);

/* What leaf `node` adds to targets first .. first + n of the forest: out[n], zeros on entry. */
typedef struct maas_sk_leaf maas_sk_leaf;
struct maas_sk_leaf {
    void (*fn)(const maas_sk_tree *t, int64_t node, double *out, maas_sk_leaf *leaf);
    void *user;
    int32_t first, n; /* fn may move `first` */
};

/* Appends one tree. columns: the forest's number of the tree's feature i; NULL: the same. */
maas_status maas_sk_tree_add(maas_sk *s, const maas_sk_tree *t, const int64_t *columns,
                             maas_sk_leaf *leaf, maas_forest *f);

maas_status maas_sk_forest_create(maas_sk *s, int64_t n_features, int64_t n_targets,
                                  maas_forest **out);
void maas_sk_auto_forest(maas_forest **f);
/* Sums of the trees for rows x [n, n_features] F64: [n, n_targets] F64. x is compared as it is. */
maas_vid maas_sk_forest_run(maas_sk *s, const maas_forest *f, maas_vid x);

/* Is it an estimator with a tree_ and nothing but it? */
bool maas_sk_is_tree(const maas_pk *est);
/* Leaves of a classifier as predict_proba gives them, for trees of width n_classes. Since 1.5 the
 * file has fractions; before, weights or fractions that predict_proba divides by their sum. */
maas_sk_leaf maas_sk_leaf_classes(const maas_sk *s, int64_t n_classes);
/* Leaves of a regressor, for trees of width 1. */
maas_sk_leaf maas_sk_leaf_values(int64_t n_outputs);

#endif
