/* lm/model/graph_int.h - the graph of a step while it is written; shared by the files graph*.c
 * only. */
#ifndef MAAS_LM_GRAPH_INT_H
#define MAAS_LM_GRAPH_INT_H

#include "base/buf.h"
#include "lm/model/model_int.h"

/* The builder's error is sticky: after the first failure nothing more is written. */
typedef struct maas_lm_writer {
    maas_builder b;
    const maas_lm_source *s;
    const maas_lm_hyper *h;
    maas_vid at, seq, table, state;
    maas_vid adapter, strength; /* of the rows; MAAS_NO_VALUE: there are no adapters */
    struct {
        maas_vid cosine, sine; /* [1][rows][rope_size / 2] */
    } turn[2];                 /* of global and of local layers */
    maas_buf used;             /* weights that were asked for: pointers */
    int64_t n_blocks, n_states;
    int64_t layer; /* names of weights are those of this one; -1: of the whole model */
} maas_lm_writer;

/* ---- weights (graph_weights.c) ---- */

const maas_lm_weight *maas_lmg_find(maas_lm_writer *w, const char *name, bool needed);
void maas_lmg_wrong_shape(maas_lm_writer *w, const char *name, int64_t rows, int64_t cols);
/* A vector of floats, borrowed from the file; MAAS_NO_VALUE when it is not there and not needed. */
maas_vid maas_lmg_vector(maas_lm_writer *w, const char *name, int64_t n, bool needed);
/* A matrix of floats that was found to be one, with its two sizes. */
maas_vid maas_lmg_floats2(maas_lm_writer *w, const maas_lm_weight *t);
/* A matrix as rows of blocks; *type: ggml's number. */
maas_vid maas_lmg_matrix(maas_lm_writer *w, const char *name, int64_t rows, int64_t cols,
                         int64_t *type);
/* n matrices, one after the other. */
maas_vid maas_lmg_experts(maas_lm_writer *w, const char *name, int64_t n, int64_t rows,
                          int64_t cols, int64_t *type);
/* n numbers of a weight of any shape that has as many, as floats of the caller's (maas_free); NULL:
 * it is not there (which is an error when it is needed), or is no such thing. */
float *maas_lmg_numbers(maas_lm_writer *w, const char *name, int64_t n, bool needed);
maas_vid maas_lmg_reshape(maas_lm_writer *w, maas_vid x, int rank, const int64_t *dims);
/* x itself when `by` is 1, or 0: not given. */
maas_vid maas_lmg_times(maas_lm_writer *w, maas_vid x, double by);
/* x W^T (+ bias), with `name`.weight and `name`.bias if there is one. */
maas_vid maas_lmg_linear(maas_lm_writer *w, maas_vid x, const char *name, int64_t rows,
                         int64_t cols);
/* Of a matrix of `all` rows those from `from` on: several matrices may lie in one. */
maas_vid maas_lmg_linear_part(maas_lm_writer *w, maas_vid x, const char *name, int64_t all,
                              int64_t from, int64_t rows, int64_t cols);
/* y, which is x times those rows of a weight, with what adapters add (graph_adapters.c). */
maas_vid maas_lmg_adapted(maas_lm_writer *w, maas_vid y, maas_vid x, const char *name, int64_t all,
                          int64_t from, int64_t rows, int64_t cols);
/* A tensor of an adapter that nothing above read would be another adapter. */
int maas_lmg_by_address(const void *a, const void *b); /* of w->used */
void maas_lmg_refuse_adapters(maas_lm_writer *w);      /* w->used: sorted */
/* The architecture's norm, with `name`.weight, and `name`.bias if there is one. */
maas_vid maas_lmg_norm(maas_lm_writer *w, maas_vid x, const char *name, int64_t n);
maas_vid maas_lmg_norm_by(maas_lm_writer *w, maas_vid x, maas_vid scale, maas_vid bias, int64_t n);
/* The architecture's activation times `up`; its activation alone when that is MAAS_NO_VALUE. */
maas_vid maas_lmg_act(maas_lm_writer *w, maas_vid gate, maas_vid up);

/* ---- parts of a layer; x: [rows][n_embd], normed ---- */

typedef struct maas_lm_qkv {
    maas_vid q, k, v; /* [rows][heads * size] each */
} maas_lm_qkv;
maas_vid maas_lmg_attention(maas_lm_writer *w, maas_vid x);
maas_vid maas_lmg_latent(maas_lm_writer *w, maas_vid x); /* attention of LATENT */
maas_vid maas_lmg_mixer(maas_lm_writer *w, maas_vid x);  /* of STATE: over the sequence's state */
/* Over the cache, which gets the new keys and values: [rows][heads * v_size]. */
maas_vid maas_lmg_attend(maas_lm_writer *w, maas_lm_qkv p);
/* The first rope_size numbers of each head, where this layer does that. */
maas_vid maas_lmg_turned(maas_lm_writer *w, maas_vid x, int64_t heads, int64_t size);
/* x [rows][slots or 1][cols] through the matrices (of n) that ids [rows][slots] name. */
maas_vid maas_lmg_by_id(maas_lm_writer *w, maas_vid x, maas_vid ids, const char *name, int64_t n,
                        int64_t rows, int64_t cols);
maas_vid maas_lmg_feed_forward(maas_lm_writer *w, maas_vid x);
/* Fills w->turn. */
void maas_lmg_positions(maas_lm_writer *w);

#endif
