/*
 * lm/sampler.h - the next token from logits.
 *
 * The order is: bias and penalties, temperature, then top_k, top_p, min_p over what is left. The
 * draw is a function of (seed, position): the same seed gives the same answer in any company.
 *
 * Owns: a buffer of the vocabulary's size. Threads: one at a time.
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

typedef struct maas_sampling {
    float temperature;                                         /* 0: the largest logit */
    float top_p, min_p;                                        /* 1 and 0: off */
    int32_t top_k;                                             /* 0: off */
    float repeat_penalty, frequency_penalty, presence_penalty; /* 1, 0, 0: off */
    int32_t repeat_last; /* how far back penalties look; -1: everywhere */
    uint64_t seed;
    const maas_logit_bias *bias;
    uint32_t n_bias;
} maas_sampling;
#define MAAS_SAMPLING_INIT                                                                         \
    {                                                                                              \
        .temperature = 1, .top_p = 1, .repeat_penalty = 1, .repeat_last = 64                       \
    }

#define MAAS_MAX_TOP 20
typedef struct maas_logprob {
    int32_t token;
    float logprob; /* natural logarithm of the model's probability, before anything is changed */
} maas_logprob;

typedef struct maas_sampler maas_sampler;
maas_status maas_sampler_create(int32_t n_vocab, maas_sampler **out, maas_err *err);
void maas_sampler_destroy(maas_sampler *s); /* NULL is fine */
/* tokens: the sequence so far, of which n_prompt are the prompt (penalties look at all of them);
 * position: of the token that is drawn. */
int32_t maas_sampler_draw(maas_sampler *s, const maas_sampling *p, const float *logits,
                          const int32_t *tokens, uint32_t n_tokens, uint64_t position);
/* The n most probable tokens, best first, and the token that was drawn. */
float maas_sampler_logprobs(const maas_sampler *s, const float *logits, int32_t token, int n,
                            maas_logprob *out);

#endif
