/*
 * kernels/row_ops.h - the element-wise operators with vector code, for f32: each has kernels of its
 * own and can be a part of a FusedElementwise. U: one operand, B: two.
 */
#ifndef MAAS_KERNELS_ROW_OPS_H
#define MAAS_KERNELS_ROW_OPS_H

#include "kernels/kernel.h"

#define MAAS_ROW_OPS(U, B)                                                                         \
    B(Add, ADD)                                                                                    \
    B(Sub, SUB)                                                                                    \
    B(Mul, MUL)                                                                                    \
    B(Div, DIV)                                                                                    \
    U(Neg, NEG)                                                                                    \
    U(Abs, ABS)                                                                                    \
    U(Sqrt, SQRT)                                                                                  \
    U(Exp, EXP)                                                                                    \
    U(Log, LOG)                                                                                    \
    U(Reciprocal, RECIPROCAL)                                                                      \
    U(Relu, RELU)                                                                                  \
    U(Sigmoid, SIGMOID)                                                                            \
    U(Tanh, TANH)                                                                                  \
    B(ReluGrad, RELU_GRAD)                                                                         \
    B(SigmoidGrad, SIGMOID_GRAD)                                                                   \
    B(TanhGrad, TANH_GRAD)

#define MAAS_DECLARE_OP(Name, NAME) extern const maas_op maas_op_##Name;
MAAS_ROW_OPS(MAAS_DECLARE_OP, MAAS_DECLARE_OP)
#undef MAAS_DECLARE_OP

/* Reads an input of a fused program, nothing else. */
extern const maas_op maas_op_Cast;
static inline bool maas_row_cast(maas_dtype from)
{
    return from == MAAS_U8 || from == MAAS_I32;
}

bool maas_row_op(const maas_op *op); /* is it one of these? (Cast is not) */

/* The program of a FusedElementwise node; operands are numbered inputs first, then constants, then
 * the results of the instructions. */
#define MAAS_FUSED_MAX_IN    16
#define MAAS_FUSED_MAX_OUT   8
#define MAAS_FUSED_MAX_STEPS 64

#endif
