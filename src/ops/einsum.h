/*
 * ops/einsum.h - the equation of an Einsum as a table of labels: which label each axis of each
 * operand and of the result has. Letters are labels 0..51; the axes that an ellipsis stands for are
 * labels from 52 on, counted from the right, so that they broadcast.
 */
#ifndef MAAS_OPS_EINSUM_H
#define MAAS_OPS_EINSUM_H

#include "graph/op.h"

#define MAAS_EINSUM_MAX_IN 16
#define MAAS_EINSUM_LABELS (52 + MAAS_MAX_RANK)

typedef struct maas_einsum {
    int n_in;
    int8_t rank[MAAS_EINSUM_MAX_IN + 1]; /* [n_in] is the result */
    uint8_t label[MAAS_EINSUM_MAX_IN + 1][MAAS_MAX_RANK];
} maas_einsum;

/* The equation of a node whose operands have these ranks. */
maas_status maas_einsum_read(const maas_node *n, const int8_t *ranks, int n_in, maas_einsum *out,
                             maas_err *err);

#endif
