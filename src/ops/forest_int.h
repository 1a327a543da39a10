/* ops/forest_int.h - how the three tree operators say a forest; for their files only. */
#ifndef MAAS_OPS_FOREST_INT_H
#define MAAS_OPS_FOREST_INT_H

#include "ops/forest.h"
#include "ops/forest_post.h"

typedef enum maas_tree_kind {
    MAAS_TREES_V5,
    MAAS_TREES_REGRESSOR,
    MAAS_TREES_CLASSIFIER
} maas_tree_kind;

maas_tree_kind maas_trees_kind(const maas_node *n);

/* A list of numbers that an attribute holds, as floats or as doubles. */
typedef struct maas_numbers {
    const float *f;
    const double *d;
    uint32_t n;
} maas_numbers;
static inline double maas_number(const maas_numbers *l, uint32_t i)
{
    return l->d ? l->d[i] : l->f[i];
}
/* FLOATS `name` or a TENSOR `tensor` of floats or doubles (either name may be NULL); n = 0 when
 * both are absent. E_INVALID when both are there. */
maas_status maas_numbers_of(const maas_node *n, const char *name, const char *tensor,
                            maas_numbers *out, maas_err *err);
/* A list of integers of exactly `count`; optional ones may be absent: *out = NULL. */
maas_status maas_ints_of(const maas_node *n, const char *name, uint32_t count, bool optional,
                         const int64_t **out, maas_err *err);

/* maas_forest_verify in parts. What is not said of one tree; then one that lies from its root to
 * the next root as it is walked: a node, all below its `yes`, all below its `no`. False: it lies
 * otherwise, or something is wrong, which maas_forest_verify says. `wait`: scratch of as many as
 * the tree has nodes. All trees true: f is what maas_forest_verify takes. */
maas_status maas_forest_verify_whole(const maas_forest *f, maas_err *err);
bool maas_forest_tree_in_order(const maas_forest *f, uint32_t tree, int32_t *wait);

maas_status maas_forest_read_v3(const maas_node *n, bool classifier, int64_t n_features,
                                maas_budget *budget, maas_forest **out, maas_err *err);
maas_status maas_forest_read_v5(const maas_node *n, int64_t n_features, maas_budget *budget,
                                maas_forest **out, maas_err *err);
/* Number of features: `given`, else the largest that is used and one. */
maas_status maas_feature_count(const int64_t *features, uint32_t n, int64_t given, int32_t *out,
                               maas_err *err);
/* Covers are kept when they are what covers must be: above zero, and the sum of those below. */
void maas_forest_keep_covers(maas_forest *f);

#endif
