/*
 * ops/block_matmul.h - matrices in blocks (tensor/quant.h): W is [rows][bytes of a row], the
 * attribute `type` is ggml's number; the columns follow from both.
 */
#ifndef MAAS_OPS_BLOCK_MATMUL_H
#define MAAS_OPS_BLOCK_MATMUL_H

#include "graph/op.h"
#include "tensor/quant.h"

enum { MAAS_BLOCK_X, MAAS_BLOCK_W, MAAS_BLOCK_BIAS }; /* inputs of BlockMatMul */

typedef struct maas_block_w {
    const maas_quant *q;
    int64_t n, k;     /* rows and columns of W */
    size_t row_bytes; /* of W */
} maas_block_w;

/* Of a node and the type of W, whose shape is known. E_INVALID with words. */
maas_status maas_block_w_of(const maas_node *n, int rank, const int64_t *dims, maas_block_w *out,
                            maas_err *err);

#endif
