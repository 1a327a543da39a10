/*
 * ops/fused_conv.h - FusedConv and FusedConvAdd (ai.maas): a convolution with what follows it.
 *
 *   FusedConv     (   X, W, B?, S?)   y = a(S[m] * conv(X, W)[m] + B[m])
 *   FusedConvAdd  (Z, X, W, B?, S?)   y = a(S[m] * conv(X, W)[m] + B[m] + Z), may overwrite Z
 *
 * Y is of the type of X, or as the attribute `to` says. Where X is BFLOAT16 and W is FLOAT, S[m]
 * W[m] is rounded to bfloat16, as X is; sums are of floats.
 *
 * a: `activations`, one after the other, each with two numbers of `params`.
 *
 * X and Y may be in blocks of channels: a row-major array [N][ceil(C / b)][d..][b]. What fills the
 * last block up is zero where it comes out of a convolution and anything finite where it goes in. X
 * is in blocks when it has one axis more than W, Y (and Z) when the attribute `block` says b.
 * ToBlocks and FromBlocks go between the two; element-wise operators need not know.
 */
#ifndef MAAS_OPS_FUSED_CONV_H
#define MAAS_OPS_FUSED_CONV_H

#include "ops/window.h"

#define MAAS_MAX_CONV_ACTS 4

typedef enum maas_conv_act_kind {
    MAAS_CONV_RELU,
    MAAS_CONV_LEAKY_RELU, /* a: slope               */
    MAAS_CONV_CLIP,       /* a, b: bounds           */
    MAAS_CONV_SIGMOID,
    MAAS_CONV_TANH,
    MAAS_CONV_HARD_SWISH,
    MAAS_CONV_HARD_SIGMOID, /* clip(a x + b, 0, 1)    */
    MAAS_CONV_SWISH,        /* x sigmoid(a x)         */
    MAAS_CONV_ELU,          /* a                      */
    MAAS_CONV_LINEAR,       /* a x + b                */
    MAAS_N_CONV_ACTS
} maas_conv_act_kind;
extern const char *const maas_conv_act_names[MAAS_N_CONV_ACTS];

typedef struct maas_conv_act {
    maas_conv_act_kind kind;
    float a, b;
} maas_conv_act;
double maas_conv_activate(const maas_conv_act *act, double x);
/* Attributes `activations` and `params`; act holds MAAS_MAX_CONV_ACTS. */
maas_status maas_conv_acts_read(const maas_node *node, maas_conv_act *act, int *n, maas_err *err);

typedef struct maas_fused_conv {
    maas_conv v;              /* groups, windows, sizes without blocks; points into px, py */
    maas_tensor px, py;       /* shapes without blocks                                     */
    int64_t x_block, y_block; /* 0: not in blocks                                          */
    const maas_tensor *x, *w, *b, *s, *z; /* b, s, z may be NULL */
    bool half;                            /* S W in bfloat16 */
    maas_conv_act act[MAAS_MAX_CONV_ACTS];
    int n_acts;
} maas_fused_conv;
/* Of a verified call of FusedConv, FusedConvAdd or Conv; data may be absent. Not to be copied. */
maas_status maas_fused_conv_init(maas_fused_conv *f, const maas_call *c, maas_err *err);

/* [N,C,d..] in blocks of b, and what is known of the other way when there are `channels`. */
maas_type maas_type_blocked(const maas_type *t, int64_t b);
maas_type maas_type_unblocked(const maas_type *t, int64_t channels);
/* Are the blocks of a type those that hold `channels`? Symbols may. */
maas_status maas_check_blocks(const maas_type *t, int64_t channels, maas_err *err);

#endif
