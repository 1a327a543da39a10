/*
 * ops/attention.h - an Attention node read once: sizes, strides, masks. For the operator and its
 * kernel.
 *
 *   scores of query i and key j = softcap(scale q k) + bias;  Y = softmax over j of them, times V
 *
 * Keys are those of `past` and then those of K. What a query may see is one range of keys (cache
 * length, causal frontier, window) and a mask in it. Query head h reads head h / (heads /
 * kv_heads).
 */
#ifndef MAAS_OPS_ATTENTION_H
#define MAAS_OPS_ATTENTION_H

#include "graph/op.h"

enum {
    MAAS_ATTN_Q,
    MAAS_ATTN_K,
    MAAS_ATTN_V,
    MAAS_ATTN_MASK,
    MAAS_ATTN_PAST_K,
    MAAS_ATTN_PAST_V,
    MAAS_ATTN_VALID
};

typedef struct maas_attn_view { /* elements between batch rows, heads and positions */
    int64_t batch, head, step;
} maas_attn_view;

typedef struct maas_attn {
    int64_t batch, heads, kv_heads, q_len, past, kv_len, size, v_size;
    maas_attn_view q, k, v, y;      /* of K and V: the new ones */
    const maas_tensor *mask;        /* NULL: none */
    int64_t mask_step[4], mask_len; /* batch, head, query, key (0: broadcast); keys it has */
    const maas_tensor *valid;       /* keys in use of every batch row; NULL: all */
    int64_t left, right;            /* window; -1: no bound */
    bool causal;
    double scale, softcap; /* softcap 0: none */
    int output;            /* what output 3 is: 0 scores, 1 capped, 2 biased, 3 probabilities */
} maas_attn;

maas_attn maas_attn_of(const maas_call *c);
/* Keys [from, to) that query i of batch row b may see; to <= from: none. */
void maas_attn_range(const maas_attn *a, int64_t b, int64_t i, int64_t *from, int64_t *to);

maas_status maas_attn_infer(maas_infer *q, maas_err *err);

#endif
