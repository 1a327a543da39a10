/*
 * ops/linear.h - the weights that a node LinearClassifier or LinearRegressor (ai.onnx.ml) carries
 * in its attributes; for their reference code and for kernels.
 *
 * Everything is borrowed from the node. Fails: E_INVALID with what does not fit together.
 */
#ifndef MAAS_OPS_LINEAR_H
#define MAAS_OPS_LINEAR_H

#include "ops/forest_post.h"

typedef struct maas_linear {
    const float *w, *bias; /* [n_target][n_feature], [n_target] or NULL */
    int64_t n_feature, n_target;
    const maas_attr *words, *ints; /* labels of a classifier: one of them */
    int64_t n_label;               /* columns of the scores */
    maas_post post;
} maas_linear;

/* n_feature: of the rows; below zero when not known. */
maas_status maas_linear_of(const maas_node *n, int64_t n_feature, bool classifier, maas_linear *out,
                           maas_err *err);
/* From the raw scores s[n_target] of a row to its n_label scores, in place; returns the number of
 * the label. */
int64_t maas_linear_finish(const maas_linear *l, double *s);

#endif
