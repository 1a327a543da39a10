/*
 * learn/compress/conv_chain.h - a convolution and what reads its channels, with nothing between
 * them but what works on each channel alone: there a channel can be taken out. Only for the files
 * of this folder.
 *
 *   first ──► activations, normalization, pools ──► second convolution, or Flatten and a dense
 * layer
 *
 * Owns: nothing. Threads: one at a time.
 */
#ifndef MAAS_LEARN_COMPRESS_CONV_CHAIN_H
#define MAAS_LEARN_COMPRESS_CONV_CHAIN_H

#include "learn/compress/byte_product.h"
#include "learn/compress/dense_chain.h"

typedef struct maas_conv_chain {
    maas_conv first;
    int64_t n;       /* channels of it */
    maas_vid x, w;   /* what the second reads, and its weights */
    int64_t before;  /* of the second's weights: elements before the channels, */
    int64_t spatial; /* those that belong to one channel, */
    int64_t after;   /* and those behind */
    int axis;        /* where the channels are */
    maas_vid vectors[MAAS_MAX_CHAIN_VECTORS]; /* constants with a number a channel */
    int n_vectors;
} maas_conv_chain;

/* The chain that starts at this node; false when none does. */
bool maas_conv_chain_of(const maas_graph *g, maas_nid first, maas_conv_chain *out);
/* Channels kept[0..n), rising, stay. */
maas_status maas_conv_chain_keep(maas_graph *g, const maas_conv_chain *c, const int64_t *kept,
                                 int64_t n, maas_err *err);

#endif
