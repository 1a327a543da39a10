/*
 * learn/fake_bytes.h - training for products of bytes (quantization-aware training: Jacob et al.
 * 2018, arXiv 1712.05877): what goes into products, and their weights, is rounded to the codes that
 * it will have, and gradients go straight through the rounding.
 *
 *   x ──► FakeQuantize(low, high) ──┐
 *   w ──► FakeQuantizeWeights ──────┴──► MatMul, Gemm, Conv
 *
 * Products are known by the names of their weights, which are the same in the graph that is served
 * and in those of training and evaluation.
 *
 * Owns: nothing. Threads: read-only. Fails: E_UNSUPPORTED naming a weight that no product has.
 */
#ifndef MAAS_LEARN_FAKE_BYTES_H
#define MAAS_LEARN_FAKE_BYTES_H

#include "learn/net.h"

typedef struct maas_fake_product {
    const char *weight;
    uint32_t input; /* number of the range of what goes in; products of one input share it */
} maas_fake_product;

typedef struct maas_fake_range {
    float low, high; /* zero between them */
} maas_fake_range;

typedef struct maas_fake_bytes {
    const maas_fake_product *at;
    size_t n;
    const maas_fake_range *ranges;
    bool learned;     /* ranges are weights, too: variables of maas_fake_range_name */
    bool per_channel; /* of weights */
    int limit;        /* the largest code of a weight */
} maas_fake_bytes;

/* "codes.<input>.low", ".high" */
void maas_fake_range_name(uint32_t input, bool high, char out[40]);
/* Into the layers that were written, before their gradient is. `f` NULL: nothing. */
void maas_fake_bytes_insert(const maas_fake_bytes *f, maas_net *net);

#endif
