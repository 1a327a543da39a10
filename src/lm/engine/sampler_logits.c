#include <math.h>
#include <string.h>

#include "lm/engine/sampler_int.h"
#include "base/ban.h"

void maas_draw_bias(maas_sampler *s)
{
    const maas_sampling *p = s->p;
    for (uint32_t i = 0; i < p->n_bias; i++)
        if (p->bias[i].token >= 0 && p->bias[i].token < s->n)
            s->logits[p->bias[i].token] += p->bias[i].bias;
}

/* How many of the last tokens a step looks at; -1: all. */
static uint32_t window(const maas_sampler *s, int32_t last)
{
    return last < 0 || (uint32_t)last > s->n_tokens ? s->n_tokens : (uint32_t)last;
}

void maas_draw_penalties(maas_sampler *s)
{
    const maas_sampling *p = s->p;
    const uint32_t far = window(s, p->repeat_last);
    const int32_t *from = s->tokens + (s->n_tokens - far);
    for (uint32_t i = 0; i < far; i++)
        s->count[from[i]]++;
    for (uint32_t i = 0; i < far; i++) {
        float *l = &s->logits[from[i]];
        if (!s->count[from[i]])
            continue; /* done already */
        *l = *l > 0 ? *l / p->repeat_penalty : *l * p->repeat_penalty;
        *l -= p->frequency_penalty * (float)s->count[from[i]] + p->presence_penalty;
        s->count[from[i]] = 0;
    }
}

/* ---- DRY: what would go on with a repeat costs more the longer the repeat is ---- */

/* z[k]: how many of the last tokens stand as well before the last k, among the last n. The Z
 * function of the tokens read backwards: work is linear, whatever repeats. */
static void find_repeats(const int32_t *end, uint32_t n, uint32_t *z)
{
    uint32_t lt = 0, rt = 0; /* the match that reaches furthest: [lt, rt) */
    for (uint32_t k = 1; k < n; k++) {
        uint32_t len = k < rt ? z[k - lt] : 0;
        len = k < rt && len > rt - k ? rt - k : len;
        while (k + len < n && end[-1 - (int64_t)len] == end[-1 - (int64_t)(k + len)])
            len++;
        z[k] = len;
        if (k + len > rt) {
            lt = k;
            rt = k + len;
        }
    }
}

/* base ^ more, which shall stay a float. */
static float dry_cost(const maas_sampling *p, uint32_t more)
{
    const double most = 88.7; /* the logarithm of the largest float */
    const double power = (double)more * log((double)p->dry_base);
    return p->dry_multiplier * (float)exp(power < most ? power : most);
}

void maas_draw_dry(maas_sampler *s)
{
    const maas_sampling *p = s->p;
    const int32_t *end = s->tokens + s->n_tokens;
    uint32_t n = window(s, p->dry_last);
    n = n < s->n_context ? n : s->n_context;
    const uint32_t start = p->state ? p->state->dry_start : 0;
    const uint32_t most = s->n_tokens - (start < s->n_tokens ? start : s->n_tokens);
    const uint32_t least = p->dry_allowed > 1 ? (uint32_t)p->dry_allowed : 1;
    if (n <= least || most < least)
        return;
    find_repeats(end, n, s->repeats);
    for (uint32_t k = 1; k < n; k++) {
        uint32_t *longest = &s->count[end[-(int64_t)k]]; /* of repeats that this token followed */
        const uint32_t len = s->repeats[k] < most ? s->repeats[k] : most;
        *longest = len >= least && len > *longest ? len : *longest;
    }
    for (uint32_t k = 1; k < n; k++) {
        const int32_t token = end[-(int64_t)k];
        if (s->count[token])
            s->logits[token] -= dry_cost(p, s->count[token] - (uint32_t)p->dry_allowed);
        s->count[token] = 0;
    }
}
