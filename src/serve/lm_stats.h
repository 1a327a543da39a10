/*
 * serve/lm_stats.h - what the requests of one language model were like, once they have ended:
 * times and sizes as histograms, and how they ended. Lock-free; a token counts as a microsecond.
 */
#ifndef MAAS_SERVE_LM_STATS_H
#define MAAS_SERVE_LM_STATS_H

#include "lm/engine.h"
#include "serve/histogram.h"

typedef struct maas_lm_stats {
    maas_histogram queue, prompt, decode, total; /* parts of a request, and all of it */
    maas_histogram first_token, per_token;       /* from its start; of each that followed */
    maas_histogram prompt_tokens, tokens;
    _Atomic uint64_t ended[MAAS_LM_DEADLINE + 1], failed; /* by maas_lm_finish */
} maas_lm_stats;

/* ev: DONE or FAILED. */
void maas_lm_stats_add(maas_lm_stats *s, const maas_lm_event *ev);

#endif
