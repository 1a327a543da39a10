/*
 * passes/fuse_int8.h - operators on quantized tensors with channels last, for the files of that
 * pass: fuse_int8.c walks, fuse_int8_conv.c writes convolutions.
 */
#ifndef MAAS_PASSES_FUSE_INT8_H
#define MAAS_PASSES_FUSE_INT8_H

#include "ops/build.h"
#include "passes/pass_int.h"

typedef struct maas_int8 {
    maas_graph *g;
    maas_builder b;
    maas_vid *twin;    /* [n_values] the value with channels last; MAAS_NO_VALUE */
    uint32_t *uses;    /* [n_values] before the pass */
    maas_nid *reader;  /* [n_values] a node that reads it */
    uint32_t n_values; /* before the pass */
} maas_int8;

typedef struct maas_codes { /* bytes with one scale and one zero point for all */
    maas_vid q;
    maas_dtype dtype;
    float scale;
    int32_t zero;
} maas_codes;

/* Floats that DequantizeLinear makes of such bytes; what the QuantizeLinear makes that alone reads
 * v, whose node is *out_node. */
bool maas_codes_of(const maas_int8 *w, maas_vid v, maas_codes *out);
bool maas_codes_next(const maas_int8 *w, maas_vid v, maas_codes *out, maas_nid *out_node);
bool maas_int8_number(const maas_int8 *w, maas_vid v, maas_dtypes allowed, double *out);
const maas_node *maas_int8_producer(const maas_int8 *w, maas_vid v); /* NULL */
maas_nid maas_int8_only_reader(const maas_int8 *w, maas_vid v);      /* or MAAS_NO_NODE */
bool maas_int8_is(const maas_node *n, const char *op);
bool maas_int8_is_picture(const maas_int8 *w, maas_vid v); /* [N,C,d..], all sizes known */
maas_vid maas_int8_last(maas_int8 *w, maas_vid v);         /* its twin, made when there is none */
/* y is what `twin` is with channels second from now on. */
void maas_int8_give(maas_int8 *w, maas_vid y, maas_vid twin);

/* Node i becomes one on bytes; false: it stays. */
bool maas_int8_conv(maas_int8 *w, maas_nid i);
bool maas_int8_qlinear_conv(maas_int8 *w, maas_nid i);
bool maas_int8_gemm(maas_int8 *w, maas_nid i);
bool maas_int8_add(maas_int8 *w, maas_nid i);

#endif
