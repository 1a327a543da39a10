/*
 * ops/ml_int.h - what the operators of ai.onnx.ml share: rows and features of a table, and the
 * transforms of scores that classifiers and regressors end with.
 */
#ifndef MAAS_OPS_ML_INT_H
#define MAAS_OPS_ML_INT_H

#include "ops/ops_int.h"

/* Numbers of a feature table: what the standard calls T1 of most of these operators. */
#define MAAS_DTS_FEATURES (MAAS_DTS_FULL | MAAS_DTS_INDEX)

typedef enum maas_post {
    MAAS_POST_NONE,
    MAAS_POST_SOFTMAX,
    MAAS_POST_LOGISTIC,
    MAAS_POST_SOFTMAX_ZERO,
    MAAS_POST_PROBIT,
    MAAS_POST_BAD
} maas_post;
maas_post maas_post_of(const maas_node *n); /* attribute post_transform */
/* In place over the scores of one row. SOFTMAX_ZERO leaves what is zero at zero. */
void maas_post_apply(float *y, int64_t n, maas_post how);
double maas_logistic(double x);

/* X of [features] or [rows, features]; sizes may be unknown. E_INVALID for other ranks. */
maas_status maas_table_shape(const maas_type *x, int64_t *rows, int64_t *features, maas_err *err);
static inline int64_t maas_table_rows(const maas_tensor *x)
{
    return x->rank == 1 ? 1 : x->dims[0];
}

#endif
