/* ops/gather_int.h - addresses of elements and blocks: what gathering and scattering share. */
#ifndef MAAS_OPS_GATHER_INT_H
#define MAAS_OPS_GATHER_INT_H

#include "ops/ops_int.h"

/* GatherElements, ScatterElements: one index for each element. The output is as the indices. */
maas_status maas_elements_infer(maas_infer *q, maas_err *err);
/* Where element w (of the indices) lies in x, its axis replaced by the index; strides are x's. */
maas_status maas_element_at(const maas_tensor *x, const maas_tensor *at, const maas_walk *w,
                            int axis, const int64_t *strides, int64_t *out, maas_err *err);

/* GatherND, ScatterND: the last axis of the indices addresses a block of the data. */
typedef struct maas_nd {
    int64_t batch, per_batch, k, block; /* products of sizes; k: length of one address */
    int n_batch;
} maas_nd;
maas_nd maas_nd_of(const maas_tensor *x, const maas_tensor *at, int n_batch);
/* First element of the block that address i (over all batches) means. */
maas_status maas_nd_at(const maas_nd *m, const maas_tensor *x, const maas_tensor *at, int64_t i,
                       int64_t *out, maas_err *err);

maas_vid maas_b_zeros_like(maas_builder *b, maas_vid x);

#endif
