/*
 * ops/rotary.h - shapes of RotaryEmbedding, read from its node and its data's dimensions.
 *
 * Threads: any. Fails: E_INVALID says which dimension does not fit.
 */
#ifndef MAAS_OPS_ROTARY_H
#define MAAS_OPS_ROTARY_H

#include "graph/op.h"

typedef struct maas_rotary {
    int64_t batch, heads, len, size, pairs; /* MAAS_DIM_UNKNOWN in inference */
    bool packed;      /* [batch][len][heads * size]; else [batch][heads][len][size] */
    bool interleaved; /* pairs are neighbours; else a number of each half */
} maas_rotary;

maas_status maas_rotary_of(const maas_node *n, const int64_t *dims, int rank, maas_rotary *out,
                           maas_err *err);
/* Where in the data head h of row i (of batch * len) begins. */
static inline int64_t maas_rotary_at(const maas_rotary *r, int64_t i, int64_t h)
{
    const int64_t b = i / r->len, s = i % r->len;
    return (r->packed ? i * r->heads + h : (b * r->heads + h) * r->len + s) * r->size;
}

#endif
