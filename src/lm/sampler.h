/*
 * lm/sampler.h - the next token from logits.
 *
 * The steps, in llama.cpp's order: bias, penalties, DRY; top_n_sigma, top_k, typical_p, top_p,
 * min_p, XTC, each over what the one before left; temperature; the draw. Mirostat stands in for all
 * that cut. The draw is a function of seed and position, with Mirostat also of the draws before:
 * the same seed gives the same answer in any company.
 *
 * Owns: buffers of the vocabulary's and the context's size. Threads: one at a time.
 */
#ifndef MAAS_LM_SAMPLER_H
#define MAAS_LM_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct maas_logit_bias {
    int32_t token;
    float bias; /* added to its logit */
} maas_logit_bias;

/* What a request's draws leave to those that follow; all zero at first. */
typedef struct maas_sampling_state {
    bool begun;
    float mu;           /* of Mirostat: the surprise it allows, in bits */
    uint32_t dry_start; /* tokens of the sequence that no repeat of DRY reaches back into */
} maas_sampling_state;

typedef struct maas_sampling {
    float temperature;                    /* 0: the largest logit */
    float top_p, min_p, typical_p;        /* 1, 0, 1: off */
    int32_t top_k;                        /* 0: off */
    float top_n_sigma;                    /* 0 and less: off */
    float xtc_probability, xtc_threshold; /* 0: off */
    int32_t mirostat;                     /* 0: off; 1, 2: its version */
    float mirostat_tau, mirostat_eta;     /* surprise aimed at, in bits; how fast */
    float dry_multiplier, dry_base;       /* 0: off */
    int32_t dry_allowed, dry_last;        /* a repeat that costs nothing; as repeat_last */
    float repeat_penalty, frequency_penalty, presence_penalty; /* 1, 0, 0: off */
    int32_t repeat_last; /* how far back penalties look; -1: everywhere */
    uint64_t seed;
    const maas_logit_bias *bias;
    uint32_t n_bias;
    maas_sampling_state *state; /* NULL: as at the first draw */
} maas_sampling;
#define MAAS_SAMPLING_INIT                                                                         \
    {                                                                                              \
        .temperature = 1, .top_p = 1, .typical_p = 1, .repeat_penalty = 1, .repeat_last = 64,      \
        .xtc_threshold = 0.1f, .mirostat_tau = 5, .mirostat_eta = 0.1f, .dry_base = 1.75f,         \
        .dry_allowed = 2, .dry_last = -1                                                           \
    }

/* How a model is sampled when nobody says: as its files have it (GGUF's general.sampling.*, or
 * generation_config.json; what is not among them is off), else temperature 0.8, top_k 40, top_p
 * 0.95, min_p 0.05. Values out of range count as not there. */
struct maas_lm_source;
maas_sampling maas_sampling_of(const struct maas_lm_source *s);

#define MAAS_MAX_TOP 20
typedef struct maas_logprob {
    int32_t token;
    float logprob; /* natural logarithm of the model's probability, before anything is changed */
} maas_logprob;

typedef struct maas_sampler maas_sampler;
maas_status maas_sampler_create(int32_t n_vocab, uint32_t n_context, maas_sampler **out,
                                maas_err *err);
void maas_sampler_destroy(maas_sampler *s); /* NULL is fine */
/* tokens: the sequence so far, at most n_context (penalties look at all of them); position: of the
 * token that is drawn. */
int32_t maas_sampler_draw(maas_sampler *s, const maas_sampling *p, const float *logits,
                          const int32_t *tokens, uint32_t n_tokens, uint64_t position);
/* The n most probable tokens, best first, and the token that was drawn. */
float maas_sampler_logprobs(const maas_sampler *s, const float *logits, int32_t token, int n,
                            maas_logprob *out);

#endif
