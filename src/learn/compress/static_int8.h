/*
 * learn/compress/static_int8.h - products and convolutions of a graph turned to bytes, in three
 * moves: which there are, the ranges of what goes into them, the nodes. Only for the files of this
 * folder.
 *
 * Owns: nothing; lists are in the caller's arena. Borrows: the call. Threads: one at a time.
 */
#ifndef MAAS_LEARN_COMPRESS_STATIC_INT8_H
#define MAAS_LEARN_COMPRESS_STATIC_INT8_H

#include "learn/compress/byte_product.h"
#include "learn/compress/ranges.h"

typedef struct maas_static_quant {
    maas_step_call *c;
    maas_builder b;
    maas_bytes_opts bytes;
    maas_dense_list dense;
    maas_conv *conv;
    size_t n_conv;
    maas_vid *x; /* [n]: what goes into them, each once */
    maas_range *range;
    maas_byte_input *input; /* [n]; bytes MAAS_NO_VALUE: not made */
    uint32_t n;
} maas_static_quant;

extern const char *const maas_static_formats[];

/* Those of c->g. E_UNSUPPORTED when there are none. */
maas_status maas_static_collect(maas_step_call *c, maas_arena *a, maas_static_quant *s,
                                maas_err *err);
/* The place of x in s->x; s->n: nothing of bytes reads it. */
uint32_t maas_static_number(const maas_static_quant *s, maas_vid x);
/* s->range on the seen rows, as c->spec says. */
maas_status maas_static_measure(maas_static_quant *s, maas_err *err);
/* Nodes of c->g, with s->range; says the ranges. */
maas_status maas_static_write(maas_static_quant *s, maas_err *err);

#endif
