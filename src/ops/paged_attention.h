/*
 * ops/paged_attention.h - shapes of PagedAttention: rows of many sequences, whose keys and values
 * lie in blocks of a cache that a table names.
 *
 *   cache_k [blocks][kv_heads][size][16]     the keys of 16 tokens side by side
 *   cache_v [blocks][kv_heads][16][v_size]
 *   table   [sequences][blocks of one]       where the k-th block of a sequence lies
 */
#ifndef MAAS_OPS_PAGED_ATTENTION_H
#define MAAS_OPS_PAGED_ATTENTION_H

#include "graph/op.h"

#define MAAS_PAGE 16 /* tokens of a block */

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
    const float *sink; /* NULL: none, or not there yet */
} maas_paged;

/* E_INVALID when shapes do not go together. dims: of all inputs, all known. */
maas_status maas_paged_of(const maas_call *c, maas_paged *out, maas_err *err);

#endif
