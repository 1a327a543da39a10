/*
 * ops/lora_add.h - shapes of LoraAdd: what an adapter adds to a product with a matrix.
 *
 *   Y        [rows][n]
 *   X        [rows][k]
 *   A        [ranks][k]      of all adapters, one after the other
 *   B        [ranks][n]      likewise, transposed: a row for each rank
 *   from     [adapters + 1]  where the ranks of each begin, rising from 0 to `ranks`
 *   ids      [rows]          the adapter of a row; negative: none
 *   strength [rows]
 */
#ifndef MAAS_OPS_LORA_ADD_H
#define MAAS_OPS_LORA_ADD_H

#include "graph/op.h"

enum {
    MAAS_LORA_Y,
    MAAS_LORA_X,
    MAAS_LORA_A,
    MAAS_LORA_B,
    MAAS_LORA_FROM,
    MAAS_LORA_IDS,
    MAAS_LORA_STRENGTH,
    MAAS_LORA_N_IN
};

typedef struct maas_lora_span {
    int64_t from, to; /* ranks of an adapter; the same: none */
} maas_lora_span;

/* Of one row; E_INVALID: an adapter that is not there, or a table that is none. */
maas_status maas_lora_of(const maas_call *c, int64_t row, maas_lora_span *out, maas_err *err);

#endif
