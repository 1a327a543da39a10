/*
 * learn/compress/byte_product.h - products of bytes in the operators that ONNX has for them. Only
 * for the files of this folder.
 *
 *   x ──► bytes ──► MatMulInteger(bytes, W) ──► Cast ──► Mul(scales) ──► Add(bias)
 *
 * Weights are symmetric (no zero point), what goes in is unsigned with a zero point. Sums are exact
 * in 32 bits; the kernels of ours multiply bytes here, and so do those of other runtimes.
 *
 * Threads: one at a time. Fails: sticky in the builder.
 */
#ifndef MAAS_LEARN_COMPRESS_BYTE_PRODUCT_H
#define MAAS_LEARN_COMPRESS_BYTE_PRODUCT_H

#include "learn/compress/weights.h"

typedef struct maas_byte_input { /* what goes in, as bytes */
    maas_vid bytes, zero;
    maas_vid scale;    /* a value of the graph, or */
    float known_scale; /* a number, where scale is MAAS_NO_VALUE */
} maas_byte_input;

/* Writes the product in the place of the node. */
maas_status maas_byte_dense(maas_builder *b, const maas_dense *d, const maas_bytes_opts *o,
                            const maas_byte_input *x);

typedef struct maas_conv {
    maas_nid node;
    maas_vid x, w, bias;
} maas_conv;
/* Is the node a convolution with constant weights of floats? */
bool maas_conv_of(const maas_graph *g, maas_nid n, int64_t min_elements, maas_conv *out);
maas_status maas_byte_conv(maas_builder *b, const maas_conv *c, const maas_bytes_opts *o,
                           const maas_byte_input *x);

#endif
