/*
 * serve/lm_usage.h - what each API key asked of one language model: requests that ended, tokens,
 * and time.
 *
 * Owns: a row a key, the first MAAS_LM_USAGE_KEYS that came; the rest, and those for whom there is
 * no memory, count together as "other". Threads: any; one lock, a leaf.
 */
#ifndef MAAS_SERVE_LM_USAGE_H
#define MAAS_SERVE_LM_USAGE_H

#include <pthread.h>

#include "lm/engine.h"

enum { MAAS_LM_USAGE_KEYS = 1024, MAAS_LM_USAGE_ID = 12 };

typedef struct maas_lm_usage_row {
    char key[MAAS_LM_USAGE_ID]; /* the public id of an API key */
    uint64_t requests, prompt_tokens, cached_tokens, tokens;
    uint64_t first_ns;  /* to the first token, waiting included: a sum over `begun` requests */
    uint64_t decode_ns; /* after it */
    uint64_t begun;     /* requests that had a token */
} maas_lm_usage_row;

typedef struct maas_lm_usage {
    pthread_mutex_t lock;
    maas_lm_usage_row *rows;
    size_t n, cap;
    maas_lm_usage_row other;
} maas_lm_usage;

void maas_lm_usage_init(maas_lm_usage *u);
void maas_lm_usage_reset(maas_lm_usage *u);
/* key: "" counts nobody (a server without keys). ev: DONE or FAILED. */
void maas_lm_usage_add(maas_lm_usage *u, const char *key, const maas_lm_event *ev);
/* The i-th row, copied, in the order in which keys came; "other" is the last one, if it has
 * anything. false: there are no more. */
bool maas_lm_usage_at(maas_lm_usage *u, size_t i, maas_lm_usage_row *out);

#endif
