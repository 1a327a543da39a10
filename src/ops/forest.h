/*
 * ops/forest.h - trees in memory: what readers and learners make, and what the operators
 * TreeEnsemble, TreeEnsembleRegressor and TreeEnsembleClassifier of ai.onnx.ml carry.
 *
 *   inner node:  x[feature] <mode> split  ? go to `yes` : go to `no`     (NaN: `yes` if
 * missing_yes, else `no`) member node: x[feature] is one of members[first .. first + count)    (NaN
 * as above) leaf:        weights[first .. first + count) are added, each to its target
 *
 * Result of a row: base[t] + aggregate over the trees of what their leaves say for t. Trees share
 * one array of nodes; every node belongs to one tree and is reached once (maas_forest_verify).
 *
 * Features are compared as doubles whatever the dtype of the rows is, so a double split decides a
 * float feature exactly as the maker's code does.
 *
 * Owns: everything, charged to the budget. Threads: building one at a time; a finished forest is
 * read-only. Fails: E_NOMEM past the budget; E_FORMAT naming tree and node.
 */
#ifndef MAAS_OPS_FOREST_H
#define MAAS_OPS_FOREST_H

#include "ops/build.h"

#define MAAS_FOREST_MAX_TARGETS (1 << 20)

typedef enum maas_split_mode { /* numbers of TreeEnsemble-5 nodes_modes */
                               MAAS_SPLIT_LEQ,
                               MAAS_SPLIT_LT,
                               MAAS_SPLIT_GTE,
                               MAAS_SPLIT_GT,
                               MAAS_SPLIT_EQ,
                               MAAS_SPLIT_NEQ,
                               MAAS_SPLIT_MEMBER,
                               MAAS_SPLIT_LEAF
} maas_split_mode;

typedef struct maas_tree_node {
    double split;          /* not for MEMBER, LEAF; never NaN */
    int32_t feature;       /* 0 .. n_features - 1 */
    int32_t yes, no;       /* numbers of nodes */
    uint32_t first, count; /* LEAF: of weights; MEMBER: of members */
    float cover;  /* training rows (or their weight) that came here; 0: not known; for SHAP */
    uint8_t mode; /* maas_split_mode */
    bool missing_yes;
} maas_tree_node;

typedef struct maas_leaf_weight {
    double weight;
    int32_t target; /* 0 .. n_targets - 1 */
} maas_leaf_weight;

typedef enum maas_forest_aggregate { /* numbers of TreeEnsemble-5 aggregate_function */
                                     MAAS_FOREST_AVERAGE,
                                     MAAS_FOREST_SUM,
                                     MAAS_FOREST_MIN,
                                     MAAS_FOREST_MAX
} maas_forest_aggregate;

typedef struct maas_forest {
    maas_budget *budget; /* borrowed; may be NULL */
    maas_tree_node *nodes;
    maas_leaf_weight *weights;
    double *members;
    int32_t *roots; /* one a tree */
    double *base;   /* [n_targets]; NULL: zeros */
    uint32_t n_nodes, n_weights, n_members, n_trees;
    int32_t n_features, n_targets;
    maas_forest_aggregate aggregate;
    uint32_t caps[4]; /* private: capacities of nodes, weights, members, roots */
} maas_forest;

maas_status maas_forest_create(int32_t n_features, int32_t n_targets, maas_forest_aggregate how,
                               maas_budget *budget, maas_forest **out, maas_err *err);
void maas_forest_destroy(maas_forest *f); /* NULL is fine */
/* For whoever knows how many there are, once, before anything was added: as many nodes, weights and
 * trees, all of them to be written by the caller. */
maas_status maas_forest_reserve(maas_forest *f, uint64_t n_nodes, uint64_t n_weights,
                                uint32_t n_trees, maas_err *err);
/* Each appends and returns the number of what it appended through *out (may be NULL). Children may
 * be filled in later: f->nodes[i].yes = j. Arrays move when they grow. */
maas_status maas_forest_add_tree(maas_forest *f, int32_t root, maas_err *err);
maas_status maas_forest_add_node(maas_forest *f, const maas_tree_node *node, int32_t *out,
                                 maas_err *err);
maas_status maas_forest_add_weight(maas_forest *f, int32_t target, double weight, uint32_t *out,
                                   maas_err *err);
maas_status maas_forest_add_member(maas_forest *f, double value, uint32_t *out, maas_err *err);
maas_status maas_forest_set_base(maas_forest *f, const double *base, maas_err *err); /* copied */
/* Everything a loop over the trees may rely on without looking: numbers in range, no NaN split,
 * each node reached exactly once and from one parent only, no cycle. Linear, no recursion. */
maas_status maas_forest_verify(const maas_forest *f, maas_err *err);

/* One row, plainly: x[n_features], out[n_targets], base included. For tests, learners and
 * explanations; f was verified. */
void maas_forest_row(const maas_forest *f, const double *x, double *out);
/* Its parts: does x go to `yes` at an inner node; the leaf of a tree; votes without base, NaN for
 * a target that no leaf of the row speaks of. */
bool maas_forest_decides(const maas_forest *f, const maas_tree_node *n, double x);
int32_t maas_forest_leaf(const maas_forest *f, uint32_t tree, const double *x);
void maas_forest_votes(const maas_forest *f, const double *x, double *out);

/* ---- graphs ---- */
/* The operator that says `f` for rows x [n, n_features] (F32 or F64): raw sums [n, n_targets]. With
 * F64 rows and `exact` the sums come out F64, else F32 (accumulated in double either way). Verifies
 * f. */
maas_vid maas_b_forest(maas_builder *b, const maas_forest *f, maas_vid x, bool exact);
/* A classifier: out[0] label [n] (INT64 or STRING), out[1] scores [n, n_classes] F32 after `post`
 * ("NONE", "SOFTMAX", "LOGISTIC", ...). Label by the largest double sum, the first of equals.
 * Exactly one of ints, strings: n_classes labels (two at least). n_targets is n_classes, or 1 for
 * two classes: a single score s for the second, with "LOGISTIC" a margin (scores sigmoid(-s),
 * sigmoid(s)), with "NONE" a probability (1 - s, s). */
void maas_b_forest_classifier(maas_builder *b, const maas_forest *f, maas_vid x,
                              const int64_t *ints, const maas_str *strings, uint32_t n_classes,
                              const char *post, maas_vid out[2]);
/* The forest that a node of one of the three operators carries; n_features of the input row (< 0:
 * not known). */
maas_status maas_forest_of_node(const maas_node *n, int64_t n_features, maas_budget *budget,
                                maas_forest **out, maas_err *err);

#endif
