/* lm/engine/sampler_int.h - a draw on its way through the steps. Only for sampler*.c. */
#ifndef MAAS_LM_ENGINE_SAMPLER_INT_H
#define MAAS_LM_ENGINE_SAMPLER_INT_H

#include "lm/sampler.h"

typedef struct maas_candidate {
    float key; /* its logit */
    int32_t token;
} maas_candidate;

struct maas_sampler {
    int32_t n;
    uint32_t n_context;
    float *logits;        /* [n] as the steps before candidates left them */
    maas_candidate *kept; /* [n] */
    uint32_t *count;      /* [n] of a step; zero between them */
    uint32_t *repeats;    /* [n_context] of DRY */

    /* the draw at hand */
    const maas_sampling *p;
    const int32_t *tokens;
    uint32_t n_tokens;
    uint64_t position;
    int32_t n_kept, n_sorted; /* n_sorted: the first so many are the best, best first */
};

/* Steps over logits: sampler_logits.c. */
void maas_draw_bias(maas_sampler *s);
void maas_draw_penalties(maas_sampler *s);
void maas_draw_dry(maas_sampler *s);

/* Steps over candidates, of which one is left at least: sampler_cuts.c. */
void maas_draw_collect(maas_sampler *s); /* logits to candidates */
void maas_draw_top_n_sigma(maas_sampler *s);
void maas_draw_top_k(maas_sampler *s);
void maas_draw_typical(maas_sampler *s);
void maas_draw_top_p(maas_sampler *s);
void maas_draw_min_p(maas_sampler *s);
void maas_draw_xtc(maas_sampler *s);
void maas_draw_temperature(maas_sampler *s);
void maas_draw_sort(maas_sampler *s, int32_t n);     /* the best n, if there are so many */
void maas_draw_above(maas_sampler *s, double floor); /* those of at least that key, and the best */
double maas_draw_mass(maas_sampler *s, float *max);  /* of exp(key - max) */
int32_t maas_draw_best(const maas_sampler *s);       /* which one */

/* Number `position` of stream `which` of the request's seed, in [0, 1). */
double maas_draw_unit(const maas_sampler *s, uint64_t which);

#endif
