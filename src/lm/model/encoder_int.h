/* lm/model/encoder_int.h - shared by the encoder's files of this folder only. */
#ifndef MAAS_LM_ENCODER_INT_H
#define MAAS_LM_ENCODER_INT_H

#include "lm/encoder.h"
#include "ops/build.h"

/* What makes an architecture: one row of encoder_arch.c. */
enum {
    MAAS_ENC_POSITIONS = 1, /* an embedding for each position */
    MAAS_ENC_ROTARY = 2,    /* queries and keys are turned, in halves of a head */
    MAAS_ENC_GATED = 4,  /* feed-forward: act(gate x) * (up x); gate may be the first half of up */
    MAAS_ENC_SILU = 8,   /* act; else Gelu */
    MAAS_ENC_ALIBI = 32, /* scores fall with the distance, head by head */
    MAAS_ENC_PRE_NORM = 16 /* norms before attention and feed-forward; else after, of the sum */
};
typedef struct maas_enc_arch {
    const char *name;
    uint32_t flags;
    int global_of; /* each global_of-th layer, from the first, sees all; the others the window */
    const char *what;
} maas_enc_arch;

typedef struct maas_enc_hyper {
    const maas_enc_arch *arch;
    int64_t n_vocab, n_embd, n_layers, n_ff, n_heads, n_context, n_types, window, pooling;
    int64_t size, n_positions; /* of a head; that have an embedding */
    double eps, rope_base, rope_base_local, alibi;
} maas_enc_hyper;

const maas_enc_arch *maas_enc_arch_of(maas_str name); /* NULL */
maas_status maas_enc_hyper_read(const maas_lm_source *s, maas_enc_hyper *out, maas_err *err);

/* Inputs of the graph: tokens, types [texts][length] i32; at [texts][length] i64; valid [texts]
 * i64; rows [texts] i64, of all tokens, unless pooling is the mean. Output: [texts][n], or of the
 * mean all tokens [texts][length][n]. */
enum { MAAS_ENC_TOKENS, MAAS_ENC_TYPES, MAAS_ENC_AT, MAAS_ENC_VALID, MAAS_ENC_ROWS, MAAS_ENC_N_IN };
maas_status maas_enc_graph(const maas_lm_source *s, const maas_enc_hyper *h, maas_budget *budget,
                           maas_graph **out, maas_err *err);

/* Language models that are pooled (encoder_causal.c): the steps of lm/model.h over a cache that
 * lives for one run. */
typedef struct maas_enc_causal maas_enc_causal;
bool maas_enc_is_causal(const maas_lm_source *s);
maas_status maas_enc_causal_check(const maas_lm_source *s, maas_encoder_info *out, maas_err *err);
maas_status maas_enc_causal_create(const maas_lm_source *s, const maas_encoder_opts *o,
                                   maas_enc_causal **out, maas_encoder_info *info, maas_err *err);
void maas_enc_causal_destroy(maas_enc_causal *c); /* NULL is fine */
int32_t maas_enc_causal_room(const maas_enc_causal *c, int32_t length);
maas_status maas_enc_causal_run(maas_enc_causal *c, const maas_encoder_text *texts, int32_t n,
                                maas_err *err);
/* The mean of `rows` sums, of length 1. */
void maas_enc_settle(const double *sum, int64_t rows, int64_t n, bool unit, float *out);

#endif
