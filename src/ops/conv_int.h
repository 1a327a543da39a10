/*
 * ops/conv_int.h - what Conv and ConvTranspose share: each is the other's gradient.
 */
#ifndef MAAS_OPS_CONV_INT_H
#define MAAS_OPS_CONV_INT_H

#include "ops/ops_int.h"
#include "ops/window.h"

/* narrow = wide * weights (+ bias [groups * narrow_c]) */
void maas_conv_forward(const maas_conv *v, const maas_tensor *wide, const maas_tensor *weights,
                       const maas_tensor *bias, const maas_tensor *narrow);
/* wide = narrow spread by the weights (+ bias [groups * wide_c]) */
void maas_conv_backward(const maas_conv *v, const maas_tensor *narrow, const maas_tensor *weights,
                        const maas_tensor *bias, const maas_tensor *wide);
/* weights = sum over the places of narrow * wide */
void maas_conv_weights(const maas_conv *v, const maas_tensor *narrow, const maas_tensor *wide,
                       const maas_tensor *weights);
void maas_conv_bias(const maas_tensor *dy, const maas_tensor *db); /* sum of each channel */
int64_t maas_conv_flops(const maas_conv *v);

/* Groups of a node: E_INVALID below 1. */
maas_status maas_conv_groups(const maas_node *node, int64_t *out, maas_err *err);
/* Spatial axes of ranks that agree and are possible; -1: neither rank is known. */
maas_status maas_conv_axes(const maas_type *x, const maas_type *weights, int *out_n, maas_err *err);
/* Channels, symbols or not, that are `groups` times `each`. */
maas_status maas_conv_channels(int64_t all, int64_t groups, int64_t each, const char *what,
                               maas_err *err);
/* Input i, when there is one, is a vector of n. */
maas_status maas_conv_vector(const maas_infer *q, int i, int64_t n, maas_err *err);
/* Z (input 0), which is added, has type and shape of `y`; y learns what only Z knows. */
maas_status maas_conv_added(const maas_infer *q, maas_type *y, maas_err *err);
/* dY (input 0) has the shape of `y`; outputs dX, dW, dB are as inputs 1, 2 and `n_bias`. */
maas_status maas_conv_grad_types(maas_infer *q, const maas_type *y, int64_t n_bias, maas_err *err);
/* din from one node `op` (dY, X, W) -> (dX, dW, dB) with the attributes of the forward node. */
void maas_conv_gradient(maas_grad *g, const char *op);

#endif
