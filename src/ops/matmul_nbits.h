/*
 * ops/matmul_nbits.h - the weights of MatMulNBits (com.microsoft): [N][K], each row in blocks along
 * K with a scale and a zero point each, codes of 2, 4 or 8 bits packed into bytes, lowest first.
 */
#ifndef MAAS_OPS_MATMUL_NBITS_H
#define MAAS_OPS_MATMUL_NBITS_H

#include "graph/op.h"

enum {
    MAAS_NBITS_A,
    MAAS_NBITS_B,
    MAAS_NBITS_SCALES,
    MAAS_NBITS_ZEROS,
    MAAS_NBITS_GROUPS,
    MAAS_NBITS_BIAS
};

typedef struct maas_nbits {
    int64_t n, k, block, blocks; /* blocks of a row                      */
    int bits;                    /* of a code                            */
    int64_t blob, zero_row;      /* bytes of a block; of a row's zeros   */
} maas_nbits;

/* Of the attributes; E_INVALID with words when they make no sense. */
maas_status maas_nbits_of(const maas_node *n, maas_nbits *out, maas_err *err);

static inline unsigned maas_nbits_code(const maas_nbits *w, const uint8_t *b, int64_t n, int64_t k)
{
    const int64_t in_block = k % w->block, bit = in_block * w->bits;
    const uint8_t byte = b[(n * w->blocks + k / w->block) * w->blob + bit / 8];
    return byte >> bit % 8 & ((1u << w->bits) - 1);
}
/* The zero point of a block; `zeros` NULL: the middle. */
double maas_nbits_zero(const maas_nbits *w, const maas_tensor *zeros, int64_t n, int64_t block);

#endif
