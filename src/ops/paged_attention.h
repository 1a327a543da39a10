/*
 * ops/paged_attention.h - shapes of PagedAttention: rows of many sequences, whose keys and values
 * lie in blocks of a cache that a table names.
 *
 *   cache_k [blocks][kv_heads][size][16]     the keys of 16 tokens side by side
 *   cache_v [blocks][kv_heads][16][v_size]
 *   table   [sequences][blocks of one]       where the k-th block of a sequence lies
 *
 * In halves; or in bytes, where a head of a block has MAAS_PAGE_SCALE rows (of keys) or columns (of
 * values) more: room for 16 floats behind its bytes, what the bytes of a token are multiplied by.
 */
#ifndef MAAS_OPS_PAGED_ATTENTION_H
#define MAAS_OPS_PAGED_ATTENTION_H

#include <math.h>

#include "graph/op.h"

#define MAAS_PAGE       16 /* tokens of a block */
#define MAAS_PAGE_SCALE 4  /* bytes of each beside its own, in a cache of bytes */

enum {
    MAAS_PAGED_Q,       /* [rows][heads * size]                                    */
    MAAS_PAGED_CACHE_K, /* its new content is output 1                             */
    MAAS_PAGED_CACHE_V, /* output 2                                                */
    MAAS_PAGED_K,       /* [rows][kv_heads * size]                                 */
    MAAS_PAGED_V,       /* [rows][kv_heads * v_size]                               */
    MAAS_PAGED_AT,      /* [rows] position in the sequence                         */
    MAAS_PAGED_SEQ,     /* [rows] row of the table; -1: the row is padding         */
    MAAS_PAGED_TABLE,
    MAAS_PAGED_N_IN,
    MAAS_PAGED_SINK = MAAS_PAGED_N_IN /* [heads] optional: a score more, of a value that is 0     */
};

typedef struct maas_paged {
    int64_t rows, heads, kv_heads, size, v_size, n_blocks, n_seqs, max_blocks;
    int64_t window; /* tokens that are seen, with itself; 0: all */
    float scale, softcap;
    int64_t k_bytes, v_bytes; /* of a head of a block */
    bool bytes;               /* caches of bytes; else of halves */
    const float *sink;        /* NULL: none, or not there yet */
} maas_paged;

/* E_INVALID when shapes do not go together. dims: of all inputs, all known. */
maas_status maas_paged_of(const maas_call *c, maas_paged *out, maas_err *err);

/* What n numbers are in bytes: each times 1 / *scale, to the nearest; -127 to 127. Of what is not
 * finite the scale is NaN. */
static inline float maas_page_scale(const float *x, int64_t n, float *scale)
{
    float most = 0, odd = 0;
    for (int64_t i = 0; i < n; i++) {
        const float a = fabsf(x[i]);
        most = a > most ? a : most;
        odd += x[i] * 0;
    }
    *scale = most / 127 + odd;
    return most > 0 ? 127 / most : 0;
}
static inline int8_t maas_page_byte(float x, float by)
{
    const float y = rintf(x * by);
    return (int8_t)(y >= 127 ? 127 : y >= -127 ? y : -127);
}

#endif
