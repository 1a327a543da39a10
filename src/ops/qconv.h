/*
 * ops/qconv.h - FusedQLinearConv and FusedQLinearConvAdd (ai.maas): a convolution of bytes with
 * channels last, and what follows it.
 *
 *   FusedQLinearConv     (   X, W, S, B?)
 *   FusedQLinearConvAdd  (Z, X, W, S, B?)   may overwrite Z
 *
 *   r = S[m] (sum (X - x_zero) W + B[m])
 *   r = round(clip(r, low, high)) step         where `middle` is [low, high, step]: what a file
 *                                              quantizes before it adds
 *   r = a(r + z_scale (Z - z_zero))            a: `activations` as FusedConv has them
 *   y = r, or saturate(round(r) + y_zero)      as `to` says: FLOAT, UINT8, INT8
 *
 * X, Y and Z are [N][d..][C], W is [M][C / group][k..] of INT8. All is done in single precision in
 * this order, rounding to even, as runtimes do that quantizers are tuned for. A kernel may contract
 * a product and a sum: bytes may differ by one where a result lies in the middle between two.
 */
#ifndef MAAS_OPS_QCONV_H
#define MAAS_OPS_QCONV_H

#include "ops/fused_conv.h"

typedef struct maas_qconv {
    maas_conv v;                          /* points into px, py */
    maas_tensor px, py;                   /* shapes with channels second */
    const maas_tensor *x, *w, *s, *b, *z; /* b, z may be NULL */
    int32_t x_zero, y_zero, z_zero;
    float z_scale, low, high, step; /* of `middle`; step 0: there is none */
    maas_conv_act act[MAAS_MAX_CONV_ACTS];
    int n_acts;
} maas_qconv;
/* Of a verified call; data may be absent. Not to be copied. */
maas_status maas_qconv_init(maas_qconv *q, const maas_call *c, maas_err *err);

/* [N,C,d..] as [N,d..,C] and back. */
maas_type maas_type_channels_last(const maas_type *t);
maas_type maas_type_channels_second(const maas_type *t);

#endif
