/*
 * learn/compress/dense_chain.h - two dense layers with nothing between them but what works on each
 * neuron alone: there a neuron can be taken out, and nobody else notices. Only for the files of
 * this folder and their tests.
 *
 *   first ──► activations, sums and products with a number a neuron ──► second
 *
 * Owns: nothing. Threads: one at a time.
 */
#ifndef MAAS_LEARN_COMPRESS_DENSE_CHAIN_H
#define MAAS_LEARN_COMPRESS_DENSE_CHAIN_H

#include "learn/compress/weights.h"

enum { MAAS_MAX_CHAIN_VECTORS = 32 };

typedef struct maas_dense_chain {
    maas_dense first, second;
    maas_vid vectors[MAAS_MAX_CHAIN_VECTORS]; /* constants with a number for each neuron */
    int n_vectors;
} maas_dense_chain;

/* The node that alone reads v; MAAS_NO_NODE when there are others, or it is an output. */
maas_nid maas_chain_reader(const maas_graph *g, maas_vid v);
/* The chain that starts at this node; false when none does. Every value between, and every constant
 * of it, is read there alone. */
bool maas_dense_chain_of(const maas_graph *g, maas_nid first, maas_dense_chain *out);
/* Neurons kept[0..n), rising, stay; the others' columns, rows and numbers go. */
maas_status maas_dense_chain_keep(maas_graph *g, const maas_dense_chain *c, const int64_t *kept,
                                  int64_t n, maas_err *err);

#endif
