/*
 * ops/ml_int.h - what the operators of ai.onnx.ml share beside forest_post.h: rows and features of
 * a table.
 */
#ifndef MAAS_OPS_ML_INT_H
#define MAAS_OPS_ML_INT_H

#include "ops/forest_post.h"
#include "ops/ops_int.h"

/* Numbers of a feature table: what the standard calls T1 of most of these operators. */
#define MAAS_DTS_FEATURES (MAAS_DTS_FULL | MAAS_DTS_INDEX)

double maas_logistic(double x);

/* X of [features] or [rows, features]; sizes may be unknown. E_INVALID for other ranks. */
maas_status maas_table_shape(const maas_type *x, int64_t *rows, int64_t *features, maas_err *err);
static inline int64_t maas_table_rows(const maas_tensor *x)
{
    return x->rank == 1 ? 1 : x->dims[0];
}

#endif
