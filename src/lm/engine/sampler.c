#include "lm/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ops/noise.h"
#include "base/ban.h"

typedef struct candidate {
    float logit;
    int32_t token;
} candidate;

struct maas_sampler {
    int32_t n;
    float *logits;   /* [n] changed */
    candidate *kept; /* [n] */
    uint16_t *count; /* [n] times in the window; zero between calls */
};

maas_status maas_sampler_create(int32_t n_vocab, maas_sampler **out, maas_err *err)
{
    maas_sampler *s = maas_calloc(1, sizeof *s);
    if (s) {
        s->n = n_vocab;
        s->logits = maas_alloc((size_t)n_vocab * sizeof *s->logits);
        s->kept = maas_alloc((size_t)n_vocab * sizeof *s->kept);
        s->count = maas_calloc((size_t)n_vocab, sizeof *s->count);
    }
    if (!s || !s->logits || !s->kept || !s->count) {
        maas_sampler_destroy(s);
        return maas_fail(err, MAAS_E_NOMEM, "a sampler over %d tokens", n_vocab);
    }
    *out = s;
    return MAAS_OK;
}

void maas_sampler_destroy(maas_sampler *s)
{
    if (!s)
        return;
    maas_free(s->logits);
    maas_free(s->kept);
    maas_free(s->count);
    maas_free(s);
}

/* ---- bias and penalties ---- */

static bool penalizes(const maas_sampling *p)
{
    return p->repeat_penalty != 1 || p->frequency_penalty != 0 || p->presence_penalty != 0;
}

static void penalize(maas_sampler *s, const maas_sampling *p, const int32_t *tokens, uint32_t n)
{
    const uint32_t far = p->repeat_last < 0 || (uint32_t)p->repeat_last > n
                             ? n
                             : (uint32_t)p->repeat_last;
    const int32_t *from = tokens + (n - far);
    for (uint32_t i = 0; i < far; i++)
        s->count[from[i]] += s->count[from[i]] < UINT16_MAX;
    for (uint32_t i = 0; i < far; i++) {
        float *l = &s->logits[from[i]];
        if (!s->count[from[i]])
            continue; /* done already */
        *l = *l > 0 ? *l / p->repeat_penalty : *l * p->repeat_penalty;
        *l -= p->frequency_penalty * (float)s->count[from[i]] + p->presence_penalty;
        s->count[from[i]] = 0;
    }
}

static int32_t largest(const float *l, int32_t n)
{
    int32_t best = 0;
    for (int32_t i = 1; i < n; i++)
        if (l[i] > l[best])
            best = i;
    return best;
}

/* ---- what is left to draw from ---- */

static int by_logit(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return x->token < y->token ? -1 : x->token > y->token;
}

/* Those within `depth` of the largest, best first. */
static int32_t collect(maas_sampler *s, float floor)
{
    int32_t n = 0;
    for (int32_t i = 0; i < s->n; i++)
        if (s->logits[i] >= floor)
            s->kept[n++] = (candidate){s->logits[i], i};
    qsort(s->kept, (size_t)n, sizeof *s->kept, by_logit);
    return n;
}

/* How many of the n kept, which are sorted, reach top_p; n + 1: more are needed. */
static int32_t reach(const maas_sampler *s, int32_t n, double mass, float max, double total)
{
    double sum = 0;
    for (int32_t i = 0; i < n; i++) {
        sum += exp((double)(s->kept[i].logit - max));
        if (sum >= mass * total)
            return i + 1;
    }
    return n + 1;
}

/* Sorted candidates: few where probabilities fall fast, all if they must be. */
static int32_t keep(maas_sampler *s, const maas_sampling *p, float max, double total)
{
    float depth = 8;
    int32_t n = 0, cut;
    for (;; depth *= 2) {
        n = collect(s, depth < 512 ? max - depth : -INFINITY);
        cut = p->top_p < 1 ? reach(s, n, (double)p->top_p, max, total) : n;
        const bool enough = n == s->n || depth >= 512 || (p->top_k > 0 && n >= p->top_k) ||
                            (p->top_p < 1 && cut <= n) || (p->min_p > 0 && logf(p->min_p) > -depth);
        if (enough)
            break;
    }
    n = cut < n ? cut : n;
    n = p->top_k > 0 && p->top_k < n ? p->top_k : n;
    while (p->min_p > 0 && n > 1 && s->kept[n - 1].logit - max < logf(p->min_p))
        n--;
    return n > 0 ? n : 1;
}

static int32_t draw_kept(const maas_sampler *s, int32_t n, float max, double u)
{
    double total = 0;
    for (int32_t i = 0; i < n; i++)
        total += exp((double)(s->kept[i].logit - max));
    for (int32_t i = 0; i < n; i++) {
        u -= exp((double)(s->kept[i].logit - max)) / total;
        if (u < 0)
            return s->kept[i].token;
    }
    return s->kept[0].token;
}

static int32_t draw_any(const maas_sampler *s, float max, double total, double u)
{
    int32_t last = 0;
    u *= total;
    for (int32_t i = 0; i < s->n; i++) {
        const double e = exp((double)(s->logits[i] - max));
        u -= e;
        last = e > 0 ? i : last;
        if (u < 0)
            return i;
    }
    return last;
}

int32_t maas_sampler_draw(maas_sampler *s, const maas_sampling *p, const float *logits,
                          const int32_t *tokens, uint32_t n_tokens, uint64_t position)
{
    const bool changed = p->n_bias || penalizes(p);
    if (p->temperature <= 0 && !changed)
        return largest(logits, s->n);
    memcpy(s->logits, logits, (size_t)s->n * sizeof *logits);
    for (uint32_t i = 0; i < p->n_bias; i++)
        if (p->bias[i].token >= 0 && p->bias[i].token < s->n)
            s->logits[p->bias[i].token] += p->bias[i].bias;
    if (penalizes(p))
        penalize(s, p, tokens, n_tokens);
    if (p->temperature <= 0)
        return largest(s->logits, s->n);
    for (int32_t i = 0; i < s->n; i++)
        s->logits[i] /= p->temperature;
    const float max = s->logits[largest(s->logits, s->n)];
    const double u = maas_noise_unit(maas_noise_mix(p->seed), (int64_t)position);
    double total = 0;
    for (int32_t i = 0; i < s->n; i++)
        total += exp((double)(s->logits[i] - max));
    if (p->top_k <= 0 && p->top_p >= 1 && p->min_p <= 0)
        return draw_any(s, max, total, u);
    return draw_kept(s, keep(s, p, max, total), max, u);
}

/* ---- probabilities ---- */

float maas_sampler_logprobs(const maas_sampler *s, const float *logits, int32_t token, int n,
                            maas_logprob *out)
{
    const float max = logits[largest(logits, s->n)];
    double total = 0;
    int have = 0;
    for (int32_t i = 0; i < s->n; i++)
        total += exp((double)(logits[i] - max));
    const double shift = (double)max + log(total);
    for (int32_t i = 0; i < s->n && n > 0; i++) {
        if (have == n && logits[i] <= logits[out[have - 1].token])
            continue;
        int at = have < n ? have++ : n - 1;
        for (; at > 0 && logits[i] > logits[out[at - 1].token]; at--)
            out[at] = out[at - 1];
        out[at].token = i;
    }
    for (int i = 0; i < have; i++)
        out[i].logprob = (float)((double)logits[out[i].token] - shift);
    return (float)((double)logits[token] - shift);
}
