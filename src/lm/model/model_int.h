/* lm/model/model_int.h - shared by the files of this folder only. */
#ifndef MAAS_LM_MODEL_INT_H
#define MAAS_LM_MODEL_INT_H

#include "lm/model.h"
#include "ops/build.h"

/* What makes an architecture: one row of arch.c. Everything else is hyperparameters, and which
 * weights there are: biases, queries, keys and values in one matrix, gate and up in one, experts.
 */
enum {
    MAAS_ARCH_ROPE_HALVES = 1 << 0,  /* pairs are the halves of a head; else neighbours           */
    MAAS_ARCH_QK_NORM = 1 << 1,      /* queries and keys are normalized                           */
    MAAS_ARCH_QK_NORM_MAY = 1 << 2,  /* likewise, where the weights are there                     */
    MAAS_ARCH_POST_NORM = 1 << 3,    /* what attention and feed-forward return is normalized, too */
    MAAS_ARCH_NO_PRE_NORM = 1 << 4,  /* what they read is not                                     */
    MAAS_ARCH_LAYER_NORM = 1 << 5,   /* norms take the mean away, too                             */
    MAAS_ARCH_BARE_NORM = 1 << 6,    /* norms have no weights                                     */
    MAAS_ARCH_PLAIN = 1 << 7,        /* feed-forward has no gate                                  */
    MAAS_ARCH_PARALLEL = 1 << 8,     /* feed-forward reads what attention reads, not its result   */
    MAAS_ARCH_PARALLEL_KEY = 1 << 9, /* likewise, unless use_parallel_residual is false        */
    MAAS_ARCH_PARALLEL_MAY = 1 << 10,   /* likewise, where there is no ffn_norm                   */
    MAAS_ARCH_EMBED_SCALE = 1 << 11,    /* embeddings times the square root of their width        */
    MAAS_ARCH_SOFTCAP = 1 << 12,        /* of scores and logits, as the file says                 */
    MAAS_ARCH_POSITIONS = 1 << 13,      /* learned positions; nothing is turned                   */
    MAAS_ARCH_ROUTER_SUM = 1 << 14,     /* the weights of the chosen experts are made to sum to 1 */
    MAAS_ARCH_SCALES = 1 << 15,         /* of embeddings, residuals and scores, as the file says  */
    MAAS_ARCH_LOGIT_TIMES = 1 << 16,    /* logits times logit_scale                               */
    MAAS_ARCH_LOGIT_BY = 1 << 17,       /* logits divided by logit_scale                          */
    MAAS_ARCH_LOCAL_UNSCALED = 1 << 18, /* rotary scaling is not for local layers                */
    MAAS_ARCH_GLOBAL_UNTURNED = 1 << 19, /* with a window, layers that are not local do not turn */
    MAAS_ARCH_ROUTER_SIGMOID = 1 << 20,  /* experts are ranked by sigmoids, unless the file says */
    MAAS_ARCH_LATENT = 1 << 21,          /* keys and values are kept as one short vector         */
    MAAS_ARCH_QK_NORM_LATE = 1 << 22, /* QK_NORM comes after turning                             */
    MAAS_ARCH_SINKS = 1 << 23, /* heads have a score more, which takes and gives nothing          */
    MAAS_ARCH_ROUTER_CHOSEN =
        1 << 24,               /* the softmax is over the chosen experts, unless the file says */
    MAAS_ARCH_STATE = 1 << 25, /* layers have a state, and neither attention nor feed-forward */
    MAAS_ARCH_STATE_HEADS = 1 << 26 /* one decay for each head, not for each channel and state    */
};
enum { MAAS_ACT_SILU, MAAS_ACT_GELU, MAAS_ACT_GELU_TANH, MAAS_ACT_RELU2, MAAS_ACT_CLAMPED };
typedef struct maas_lm_arch {
    const char *name;
    uint32_t flags;
    uint32_t act;    /* MAAS_ACT_ */
    int local_of;    /* with a sliding window: all but each local_of-th layer look back as far */
                     /* only; 1: every layer; 0: the window is not looked at                   */
    int unturned_of; /* each unturned_of-th layer does not turn queries and keys; 0: all do    */
    const char *ffn_norm; /* what the norm before feed-forward is called; NULL: ffn_norm */
    double local_base;    /* rotary base of local layers; 0: the same */
    int wide_layers; /* with so many layers, scores are scaled by n_embd / n_heads, not by the  */
                     /* size of a head                                                          */
    const char *what;
} maas_lm_arch;
extern const maas_lm_arch maas_lm_archs[];
extern const size_t maas_lm_n_archs;
const maas_lm_arch *maas_lm_arch_of(maas_str name); /* NULL */

enum { MAAS_LM_MAX_LAYERS = 1024 };

/* Softmax over all experts, sigmoids, softmax over those that were chosen: numbers of the format.
 */
enum { MAAS_ROUTER_SOFTMAX = 1, MAAS_ROUTER_SIGMOID, MAAS_ROUTER_CHOSEN };

typedef struct maas_lm_hyper {
    const maas_lm_arch *arch;
    int64_t n_vocab, n_embd, n_layers, n_ff, n_heads, n_kv_heads, size, v_size, rope_size, window;
    int64_t n_context; /* trained for */
    int64_t n_rows;    /* the longest sequence there will be */
    /* experts: router is one of MAAS_ROUTER_; groups of which some are used, 0: they are one */
    int64_t n_experts, n_used, n_expert_ff, router, n_groups, n_used_groups;
    int64_t q_rank, kv_rank, latent_size, latent_v_size; /* LATENT: widths, sizes of a head */
    /* STATE: channels, states of each, inputs that the convolution sees, heads (or the rank of the
     * step), groups of heads that share what a state takes in and gives */
    int64_t ssm_inner, ssm_states, ssm_taps, ssm_rank, ssm_groups;
    int64_t n_next; /* layers at the end that guess tokens further ahead: not used */
    double eps, rope_base, local_base, score_cap, logit_cap;
    double score_scale; /* of q . k; 0: 1 / sqrt(size) */
    double embed_scale, residual_scale, logit_scale, expert_scale, clamp; /* clamp of q, k, v */
    bool parallel, router_sum, unturned;
    bool hidden;    /* the step ends with the last norm: no logits */
    bool bytes;     /* keys and values are kept in bytes */
    bool halves;    /* rotary pairs are the halves of a head */
    bool ssm_norms; /* STATE without heads: step, input and output are normed, without weights */
    struct {
        double scale;      /* of positions: 1 / factor */
        double original;   /* context before it was stretched */
        double size;       /* of cosines and sines */
        double fast, slow; /* YaRN: turns in `original` from which, up to which */
        bool yarn;
    } rope;
    uint64_t local[MAAS_LM_MAX_LAYERS / 64]; /* layers that look back over the window only */
} maas_lm_hyper;
maas_status maas_lm_hyper_read(const maas_lm_source *s, maas_lm_hyper *out, maas_err *err);
static inline bool maas_lm_is_local(const maas_lm_hyper *h, int64_t i)
{
    return h->local[i / 64] >> (i % 64) & 1;
}
/* Channels that the convolution of a layer with a state sees. */
static inline int64_t maas_lm_conv_channels(const maas_lm_hyper *h)
{
    return h->ssm_inner +
           (h->arch->flags & MAAS_ARCH_STATE_HEADS ? 2 * h->ssm_groups * h->ssm_states : 0);
}
/* Does it turn queries and keys? */
static inline bool maas_lm_is_turned(const maas_lm_hyper *h, int64_t i)
{
    return !h->unturned && !(h->arch->flags & MAAS_ARCH_POSITIONS) &&
           !(h->arch->unturned_of && (i + 1) % h->arch->unturned_of == 0) &&
           !(h->arch->flags & MAAS_ARCH_GLOBAL_UNTURNED && h->window && !maas_lm_is_local(h, i));
}
/* Have local layers rotary angles of their own? */
static inline bool maas_lm_local_turn(const maas_lm_hyper *h)
{
    return h->window && (h->local_base > 0 || h->arch->flags & MAAS_ARCH_LOCAL_UNSCALED);
}

/* Inputs of the graph, in order. */
enum {
    MAAS_LM_TOKENS,
    MAAS_LM_AT,
    MAAS_LM_SEQ,
    MAAS_LM_TABLE,
    MAAS_LM_OUT_ROWS,
    MAAS_LM_STATE,
    MAAS_LM_N_IN
};
/* Behind them, when there are adapters: which, -1: none, and how much of it [rows]. */
enum { MAAS_LM_ADAPTER = MAAS_LM_N_IN, MAAS_LM_STRENGTH, MAAS_LM_N_IN_ADAPTED };

/* The graph of one step: tokens, at, seq, state [rows]; table [max_seqs][max_blocks]; out_rows
 * [outs] -> logits [outs][n_vocab], or hidden [outs][n_embd]. Cache variables have n_blocks blocks,
 * or max_seqs states. */
maas_status maas_lm_graph(const maas_lm_source *s, const maas_lm_hyper *h, int64_t n_blocks,
                          int64_t max_seqs, int64_t max_blocks, maas_budget *budget,
                          maas_graph **out, maas_err *err);

#endif
