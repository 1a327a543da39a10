/* ops/shap_int.h - shared by shap.c and shap_against.c only. */
#ifndef MAAS_OPS_SHAP_INT_H
#define MAAS_OPS_SHAP_INT_H

#include "ops/shap.h"

/* Rows that are walked side by side: all go through every node, only where they would go differs.
 */
enum { MAAS_SHAP_LANES = 4 };
typedef double maas_shap_lanes __attribute__((vector_size(MAAS_SHAP_LANES * sizeof(double))));

/* A node on the way from the root to where the walk is. */
typedef struct maas_shap_frame {
    int32_t node, next;   /* next: children that were walked */
    int32_t feature;      /* of the edge that leads here */
    int32_t before;       /* the frame above whose edge has the same feature; -1 */
    double z, o;          /* all edges of that feature so far; against: o is which way, see there */
    maas_shap_lanes goes; /* by covers: o of each row */
} maas_shap_frame;

struct maas_shap {
    const maas_forest *f;
    maas_budget *budget;
    size_t charged;
    bool covers;
    int32_t depth;         /* edges of the longest way */
    int32_t unique;        /* the most features on one way */
    int32_t n_points;      /* of the largest quadrature */
    int32_t n_speak;       /* the most targets that the leaves of one tree speak of */
    int32_t *tree_points;  /* [n_trees] points that are enough for the tree */
    double *at, *weight;   /* quadratures of 1, 2, ... n_points points, one after the other */
    double *share;         /* [unique + 1][unique + 1] p! q! / (p + q + 1)! */
    double *expected;      /* [n_targets] */
    uint32_t *speak_first; /* [n_trees + 1] into speak */
    int32_t *speak;        /* targets that the leaves of a tree speak of */
};

/* Scratch: frames[depth + 1], last[n_features], slot[n_targets], then doubles[depth + 1][...]. */
typedef struct maas_shap_scratch_view {
    maas_shap_frame *frames;
    int32_t *last; /* [n_features] frame of the edge that asked for the feature last; -1 */
    int32_t *slot; /* [n_targets] place of a target among those of the tree */
    double *doubles;
} maas_shap_scratch_view;
maas_shap_scratch_view maas_shap_open(const maas_shap *s, void *scratch);

#endif
