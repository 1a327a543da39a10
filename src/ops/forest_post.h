/*
 * ops/forest_post.h - what happens after the sums: post-transforms, and which label wins. As ONNX
 * Runtime does it, oddities included; where it contradicts the standard on two classes that both
 * have weights, the standard is followed: the label is the class of the largest score.
 *
 * Threads: pure functions. Fails: never.
 */
#ifndef MAAS_OPS_FOREST_POST_H
#define MAAS_OPS_FOREST_POST_H

#include "graph/op.h"

typedef enum maas_post { /* numbers of TreeEnsemble-5 post_transform */
                         MAAS_POST_NONE,
                         MAAS_POST_SOFTMAX,
                         MAAS_POST_LOGISTIC,
                         MAAS_POST_SOFTMAX_ZERO,
                         MAAS_POST_PROBIT,
                         MAAS_POST_BAD
} maas_post;

/* The attribute post_transform, text or number. */
maas_post maas_post_of(const maas_node *n);
/* In place over the n scores of a row. Of a single one only PROBIT is taken. */
void maas_post_apply(double *s, int64_t n, maas_post how);

/* How a TreeEnsembleClassifier votes. */
typedef struct maas_votes {
    int64_t n_classes;
    maas_post post;
    bool single; /* two classes, one score: of the second */
    bool second; /* two classes, weights for the second only */
    /* No weight is below zero: a score of two classes is a probability, compared with a half. */
    bool positive;
    const maas_attr *ints, *strings; /* labels: one of them */
} maas_votes;
maas_status maas_votes_of(const maas_node *n, maas_votes *out, maas_err *err);
/* s: sums of a row, base included: one when `single`, else n_classes; NaN: nobody voted for that
 * class. Writes n_classes scores and returns the number of the label. */
int64_t maas_votes_count(const maas_votes *v, double *s, float *scores);

#endif
