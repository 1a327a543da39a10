/*
 * ops/expert_matmul.h - shapes of ExpertMatMul: every row goes through the matrices that it names.
 *
 *   X   [rows][slots or 1][k]
 *   W   [experts][n][bytes of a row]    blocks (tensor/quant.h), the attribute `type` is ggml's
 * number ids [rows][slots]                   which matrix Y   [rows][slots][n]
 */
#ifndef MAAS_OPS_EXPERT_MATMUL_H
#define MAAS_OPS_EXPERT_MATMUL_H

#include "ops/block_matmul.h"

enum { MAAS_EXPERT_X, MAAS_EXPERT_W, MAAS_EXPERT_IDS };

typedef struct maas_experts {
    maas_block_w w; /* one of them */
    int64_t n_experts, rows, slots;
    bool shared; /* X has one row for all slots */
} maas_experts;

/* Of a call whose shapes are known. */
maas_status maas_experts_of(const maas_call *c, maas_experts *out, maas_err *err);
/* The row of X, counted in rows of k numbers, that slot i (of rows * slots) reads. */
static inline int64_t maas_experts_row(const maas_experts *e, int64_t i)
{
    return e->shared ? i / e->slots : i;
}

#endif
