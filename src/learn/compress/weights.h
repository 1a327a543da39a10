/*
 * learn/compress/weights.h - which constants of a graph are weights, and what steps do with them.
 * Only for the files of this folder and their tests.
 *
 * A weight is a constant of floats of two dimensions or more that an operator multiplies with (rows
 * of a table in weights.c). Biases, scales and what prepares columns are not: they are few, and
 * rounding them costs more than it saves.
 *
 * Owns: lists are in the caller's arena. Threads: one at a time. Fails: E_NOMEM.
 */
#ifndef MAAS_LEARN_COMPRESS_WEIGHTS_H
#define MAAS_LEARN_COMPRESS_WEIGHTS_H

#include "ops/build.h"

typedef struct maas_weight {
    maas_vid v;
    int axis;                /* of the channels: outputs of a product, filters of a convolution */
    int64_t outer, n, inner; /* elements before, along and after the axis */
} maas_weight;

typedef struct maas_weight_list {
    maas_weight *at;
    size_t n;
    int64_t n_elems; /* of all together */
} maas_weight_list;

/* Weights of at least min_elements, in the order of the nodes, each once. E_UNSUPPORTED when there
 * are none. */
maas_status maas_weights_find(const maas_graph *g, int64_t min_elements, maas_arena *a,
                              maas_weight_list *out, maas_err *err);
static inline const float *maas_weight_data(const maas_graph *g, maas_vid v)
{
    return maas_graph_at(g, v)->init.data;
}
/* Other numbers of the same or another shape in the place of a constant of this graph alone: data
 * is in the graph's arena. */
void maas_weight_set(maas_graph *g, maas_vid v, const maas_tensor *t);
/* A constant named after another one ("layers.0.weight" and "int8"), data in the graph's arena. */
maas_vid maas_weight_const(maas_builder *b, maas_vid after, const char *what, const maas_tensor *t);
/* Memory of the graph for the numbers of `t`, whose data it becomes. */
maas_status maas_weight_room(maas_graph *g, maas_tensor *t, maas_err *err);

/* ---- products: MatMul, and Gemm of a row and a matrix ---- */
typedef struct maas_dense {
    maas_nid node;
    maas_vid x, w, bias; /* bias: MAAS_NO_VALUE without */
    int64_t in, out;
    bool transposed;   /* w is [out][in] */
    float alpha, beta; /* of Gemm; else 1 */
} maas_dense;

typedef struct maas_dense_list {
    maas_dense *at;
    size_t n;
} maas_dense_list;

/* All with constant weights of floats. May be none. */
maas_status maas_dense_find(const maas_graph *g, int64_t min_elements, maas_arena *a,
                            maas_dense_list *out, maas_err *err);
/* Is this node one? */
bool maas_dense_of(const maas_graph *g, maas_nid n, maas_dense *out);
static inline float maas_dense_at(const maas_dense *d, const float *w, int64_t i, int64_t o)
{
    return d->transposed ? w[o * d->in + i] : w[i * d->out + o];
}
/* y takes the place of what the node made; the node is dead. */
void maas_dense_replace(maas_builder *b, maas_nid node, maas_vid y);

/* ---- bytes ---- */
typedef struct maas_bytes_opts {
    bool per_channel;
    int limit; /* 127, or 63 where sums of two products must fit 16 bits */
} maas_bytes_opts;
/* q = round(w / scale) within +-limit, scale = largest |w| of the channel / limit; scale[n] or [1].
 */
void maas_weight_to_bytes(const float *w, const maas_weight *at, const maas_bytes_opts *o,
                          int8_t *q, float *scale);

#endif
