/* lm/model/model_int.h - shared by the files of this folder only. */
#ifndef MAAS_LM_MODEL_INT_H
#define MAAS_LM_MODEL_INT_H

#include "lm/model.h"
#include "ops/build.h"

/* What makes an architecture: one row of arch.c. Everything else is hyperparameters. */
enum {
    MAAS_ARCH_ROPE_HALVES = 1,  /* pairs are the halves of a head; else neighbours              */
    MAAS_ARCH_QK_NORM = 2,      /* queries and keys are normalized, head by head                */
    MAAS_ARCH_POST_NORM = 4,    /* what attention and feed-forward return is normalized, too    */
    MAAS_ARCH_GELU = 8,         /* the gate is tanh-Gelu; else SiLU                             */
    MAAS_ARCH_EMBED_SCALE = 16, /* embeddings times the square root of their width             */
    MAAS_ARCH_SOFTCAP = 32      /* of scores and logits, as the file says                      */
};
typedef struct maas_lm_arch {
    const char *name;
    uint32_t flags;
    int local_of; /* with a sliding window: all but each local_of-th layer look back as far only; */
                  /* 1: every layer                                                              */
    double local_base; /* rotary base of those layers; 0: the same */
    const char *what;
} maas_lm_arch;
extern const maas_lm_arch maas_lm_archs[];
extern const size_t maas_lm_n_archs;
const maas_lm_arch *maas_lm_arch_of(maas_str name); /* NULL */

typedef struct maas_lm_hyper {
    const maas_lm_arch *arch;
    int64_t n_vocab, n_embd, n_layers, n_ff, n_heads, n_kv_heads, size, v_size, rope_size, window;
    int64_t n_context;
    double eps, rope_base, rope_scale, score_cap, logit_cap;
    float score_scale; /* of q . k; 0: 1 / sqrt(size) */
    bool hidden;       /* the step ends with the last norm: no logits */
} maas_lm_hyper;
maas_status maas_lm_hyper_read(const maas_lm_source *s, maas_lm_hyper *out, maas_err *err);
/* Does layer i look back over the window only? */
static inline bool maas_lm_is_local(const maas_lm_hyper *h, int64_t i)
{
    return h->window && h->arch->local_of &&
           (h->arch->local_of == 1 || (i + 1) % h->arch->local_of);
}

/* Inputs of the graph, in order. */
enum { MAAS_LM_TOKENS, MAAS_LM_AT, MAAS_LM_SEQ, MAAS_LM_TABLE, MAAS_LM_OUT_ROWS, MAAS_LM_N_IN };

/* The graph of one step: tokens, at, seq [rows]; table [max_seqs][max_blocks]; out_rows [outs] ->
 * logits [outs][n_vocab], or hidden [outs][n_embd]. Cache variables have n_blocks blocks. */
maas_status maas_lm_graph(const maas_lm_source *s, const maas_lm_hyper *h, int64_t n_blocks,
                          int64_t max_seqs, int64_t max_blocks, maas_budget *budget,
                          maas_graph **out, maas_err *err);

#endif
