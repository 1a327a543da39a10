/*
 * kernels/gemm_args.h - one description for MatMul, Gemm and FusedGemm, so that every kernel of
 * products serves all three. Strides are in elements; batches are dense.
 */
#ifndef MAAS_KERNELS_GEMM_ARGS_H
#define MAAS_KERNELS_GEMM_ARGS_H

#include "kernels/kernel.h"

extern const maas_op maas_op_FusedGemm, maas_op_Gemm, maas_op_MatMul;

typedef enum maas_gemm_act {
    MAAS_GEMM_NONE,
    MAAS_GEMM_RELU,
    MAAS_GEMM_SIGMOID,
    MAAS_GEMM_TANH,
    MAAS_GEMM_RELU_GRAD /* the product where v > 0, else 0 */
} maas_gemm_act;

typedef struct maas_gemm_args {
    int64_t n_batch, m, n, k;
    const void *a, *b, *c, *v; /* c: addend, NULL none; v [m][n]: of RELU_GRAD  */
    void *y;                   /* [m][n] dense */
    int64_t a_row, a_col, b_row, b_col, c_row, c_col; /* c strides are 0 where it is broadcast */
    float alpha, beta;
    bool has_c, has_v;
    maas_gemm_act act;
} maas_gemm_args;

/* False when the call is not a product of matrices of this dtype and of these forms. */
bool maas_gemm_args_of(const maas_call *c, maas_dtype t, maas_gemm_args *out);
void maas_gemm_args_point(const maas_call *c, maas_gemm_args *g); /* the pointers of this run */

#endif
