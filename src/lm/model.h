/*
 * lm/model.h - a language model in memory: its graph, plans for numbers of rows, and the paged
 * cache of keys and values. One step computes any mixture of pieces of prompts and single tokens of
 * many sequences.
 *
 * The cache is blocks of MAAS_PAGE tokens. Whose they are is the caller's business: a sequence
 * names the blocks of its tokens in order, and may share those that are full with others.
 *
 * Some architectures keep a state instead (n_states, of the same size however long the sequence
 * is): a sequence names the one that is its own. What is in it is the tokens before, all of them:
 * no step can take one back, and nothing of it is shared. A sequence begins anew at past 0.
 *
 * A row's logits depend on its sequence alone: not on what else is in the step, nor on how the
 * tokens before it were cut into steps.
 *
 * Owns: graph, plans, cache. Borrows: the source (weights stay in the mapped file; repacked copies
 * are the kernels'). Threads: one at a time. Fails: E_UNSUPPORTED names the architecture, E_INVALID
 * and E_FORMAT the key or weight, E_NOMEM.
 */
#ifndef MAAS_LM_MODEL_H
#define MAAS_LM_MODEL_H

#include "lm/source.h"
#include "ops/paged_attention.h"

typedef struct maas_lm maas_lm;

/* What the cache keeps of a number: a half; or a byte, and a float for each token and head that its
 * bytes are multiplied by, which takes a little more than half of that. Not for latent attention,
 * whose one vector is partly normed and partly not: E_UNSUPPORTED. */
typedef enum maas_lm_cache { MAAS_LM_CACHE_F16, MAAS_LM_CACHE_Q8 } maas_lm_cache;
maas_status maas_lm_cache_of(const char *name, maas_lm_cache *out, maas_err *err); /* "f16", "q8" */

typedef struct maas_lm_opts {
    int n_threads;       /* 0: all cores */
    maas_budget *budget; /* of the cache and of plans; may be NULL; must outlive the model */
    size_t cache_bytes;  /* of keys and values, and of states; 0: 256 MiB, or what all sequences */
                         /* of a step could fill if that is less                              */
    maas_lm_cache cache;
    uint32_t max_context; /* tokens of one sequence; 0: as many as the model was trained for */
    int32_t max_rows;     /* of a step; 0: 512 */
    int32_t max_seqs;     /* sequences of a step; 0: 64 */
    bool hidden;          /* a step gives what logits are made of: [n_out][n_embd], normed */
} maas_lm_opts;

typedef struct maas_lm_info {
    char arch[64];
    uint64_t n_params;
    size_t weight_bytes, block_bytes; /* of a block of the cache, all layers */
    size_t state_bytes;               /* of a sequence, all layers; 0: none are kept */
    int32_t n_vocab, n_embd, n_layers, n_heads, n_kv_heads, n_context; /* n_context: one sequence */
    int32_t n_context_train, n_blocks, max_rows, max_seqs;
    int32_t n_adapters; /* of the source: they are all there, a sequence names one */
    int32_t n_states;   /* as many as max_seqs, or 0. n_blocks is 0 where states are all it keeps */
} maas_lm_info;

/* The architectures that are known, one after the other: false when there is no i-th. */
bool maas_lm_known(size_t i, const char **name, const char **what);
/* All keys and weights that a step needs are there and have their shapes. */
maas_status maas_lm_check(const maas_lm_source *s, maas_lm_info *out, maas_err *err);
maas_status maas_lm_create(const maas_lm_source *s, const maas_lm_opts *o, maas_lm **out,
                           maas_err *err);
void maas_lm_destroy(maas_lm *m); /* NULL is fine */
const maas_lm_info *maas_lm_about(const maas_lm *m);

typedef struct maas_lm_seq {
    int32_t n;             /* rows of it in this step: the next positions, at least 1 */
    int32_t past;          /* tokens of it already in the cache */
    const int32_t *blocks; /* [ceil((past + n) / MAAS_PAGE)] of the cache */
    int32_t adapter;       /* from 1; 0: none */
    float strength;        /* of the adapter: what it adds is multiplied by it */
    int32_t state;         /* of n_states, its own in this step; nothing else when there are none */
} maas_lm_seq;

typedef struct maas_lm_batch {
    const int32_t *tokens; /* of all sequences, one after the other; in the vocabulary */
    const maas_lm_seq *seqs;
    const int32_t *out_rows; /* rows (of the step) whose logits are wanted, rising */
    int32_t n_seqs, n_out;
} maas_lm_batch;

/* *logits: [n_out][n_vocab], until the next step. Nothing is allocated once the numbers of rows
 * that come have been seen. When it fails, the cache blocks written are undefined, others intact.
 */
maas_status maas_lm_step(maas_lm *m, const maas_lm_batch *b, const float **logits, maas_err *err);

#endif
