#include "lm/sampler.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "lm/engine/sampler_int.h"
#include "base/ban.h"

maas_status maas_sampler_create(int32_t n_vocab, uint32_t n_context, maas_sampler **out,
                                maas_err *err)
{
    maas_sampler *s = maas_calloc(1, sizeof *s);
    if (s) {
        s->n = n_vocab;
        s->n_context = n_context;
        s->logits = maas_alloc((size_t)n_vocab * sizeof *s->logits);
        s->kept = maas_alloc((size_t)n_vocab * sizeof *s->kept);
        s->count = maas_calloc((size_t)n_vocab, sizeof *s->count);
        s->repeats = maas_alloc(((size_t)n_context + 1) * sizeof *s->repeats);
    }
    if (!s || !s->logits || !s->kept || !s->count || !s->repeats) {
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
    maas_free(s->repeats);
    maas_free(s);
}

static int32_t largest(const float *l, int32_t n)
{
    int32_t best = 0;
    for (int32_t i = 1; i < n; i++)
        if (l[i] > l[best])
            best = i;
    return best;
}

/* ---- the steps ---- */

#define APPLIES(name, when)                                                                        \
    static bool applies_##name(const maas_sampling *p)                                             \
    {                                                                                              \
        return when;                                                                               \
    }
APPLIES(bias, p->n_bias)
APPLIES(penalties, p->repeat_penalty != 1 || p->frequency_penalty != 0 || p->presence_penalty != 0)
APPLIES(dry, p->dry_multiplier != 0 && p->dry_base >= 1 && p->dry_last != 0)
APPLIES(top_n_sigma, p->top_n_sigma > 0)
APPLIES(top_k, p->top_k > 0)
APPLIES(typical, p->typical_p < 1)
APPLIES(top_p, p->top_p < 1)
APPLIES(min_p, p->min_p > 0)
APPLIES(xtc, p->xtc_probability > 0 && p->xtc_threshold <= 0.5f)
APPLIES(temperature, p->temperature > 0 && p->temperature != 1)
#undef APPLIES

enum {
    MOVES_BEST = 1, /* another token may be the best after it: matters at temperature 0, too */
    MIROSTAT = 2,   /* also with Mirostat */
};
typedef struct step {
    const char *name;
    bool (*applies)(const maas_sampling *p);
    void (*run)(maas_sampler *s);
    unsigned what;
} step;

static const step logit_steps[] = {
    {"bias", applies_bias, maas_draw_bias, MOVES_BEST | MIROSTAT},
    {"penalties", applies_penalties, maas_draw_penalties, MOVES_BEST | MIROSTAT},
    {"dry", applies_dry, maas_draw_dry, MOVES_BEST | MIROSTAT},
};
static const step cut_steps[] = {
    {"top_n_sigma", applies_top_n_sigma, maas_draw_top_n_sigma, 0},
    {"top_k", applies_top_k, maas_draw_top_k, 0},
    {"typical_p", applies_typical, maas_draw_typical, MOVES_BEST},
    {"top_p", applies_top_p, maas_draw_top_p, 0},
    {"min_p", applies_min_p, maas_draw_min_p, 0},
    {"xtc", applies_xtc, maas_draw_xtc, MOVES_BEST},
    {"temperature", applies_temperature, maas_draw_temperature, MIROSTAT},
};

static bool takes(const step *x, const maas_sampling *p)
{
    return x->applies(p) && (!p->mirostat || (x->what & MIROSTAT));
}

static bool moves_best(const step *steps, size_t n, const maas_sampling *p)
{
    for (size_t i = 0; i < n; i++)
        if ((steps[i].what & MOVES_BEST) && takes(&steps[i], p))
            return true;
    return false;
}

static void run_steps(maas_sampler *s, const step *steps, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (takes(&steps[i], s->p))
            steps[i].run(s);
}

/* ---- the draw ---- */

/* One of the candidates, whose keys become weights; *p: its probability among them. */
static int32_t pick(maas_sampler *s, double *p)
{
    const int32_t best = maas_draw_best(s);
    const float max = s->kept[best].key;
    double total = 0, left;
    for (int32_t i = 0; i < s->n_kept; i++)
        total += (double)(s->kept[i].key = expf(s->kept[i].key - max));
    left = maas_draw_unit(s, 0) * total;
    int32_t at = best; /* where rounding, or an infinite logit, leaves nobody */
    for (int32_t i = 0; i < s->n_kept; i++) {
        left -= (double)s->kept[i].key;
        if (left < 0) {
            at = i;
            break;
        }
    }
    *p = (double)s->kept[at].key / total;
    return s->kept[at].token;
}

/* Mirostat: how many tokens have the surprise mu in a Zipf distribution like this one's. */
static void cut_zipf(maas_sampler *s, double mu)
{
    enum { TOP = 100 };
    double tb = 0, tt = 0;
    maas_draw_sort(s, TOP);
    for (int32_t i = 0; i + 1 < s->n_sorted && i + 1 < TOP; i++) {
        const double t = log((double)(i + 2) / (double)(i + 1));
        tb += t * (double)(s->kept[i].key - s->kept[i + 1].key);
        tt += t * t;
    }
    const double zipf = tb / tt, e = zipf - 1;
    const double k = pow(e * exp2(mu) / (1 - pow(s->n, -e)), 1 / zipf);
    if (!(k < s->n_kept)) /* or no number: all alike, or one alone */
        return;
    maas_draw_sort(s, (int32_t)k);
    s->n_kept = k >= 1 ? (int32_t)k : 1;
    s->n_sorted = s->n_kept;
}

/* Mirostat 2: those of no more surprise than mu. */
static void cut_surprise(maas_sampler *s, double mu)
{
    float max;
    const double total = maas_draw_mass(s, &max);
    maas_draw_above(s, (double)max + log(total) - mu * log(2));
}

static int32_t draw_mirostat(maas_sampler *s)
{
    const maas_sampling *p = s->p;
    maas_sampling_state fresh = {0}, *x = p->state ? p->state : &fresh;
    double q;
    if (!x->begun)
        *x = (maas_sampling_state){true, 2 * p->mirostat_tau, x->dry_start};
    (p->mirostat == 1 ? cut_zipf : cut_surprise)(s, (double)x->mu);
    const int32_t token = pick(s, &q);
    if (q > 0)
        x->mu -= p->mirostat_eta * (float)(-log2(q) - (double)p->mirostat_tau);
    return token;
}

int32_t maas_sampler_draw(maas_sampler *s, const maas_sampling *p, const float *logits,
                          const int32_t *tokens, uint32_t n_tokens, uint64_t position)
{
    const bool greedy = p->temperature <= 0;
    const bool changed = moves_best(logit_steps, MAAS_COUNT(logit_steps), p);
    double q;
    if (greedy && !changed && !moves_best(cut_steps, MAAS_COUNT(cut_steps), p))
        return largest(logits, s->n);
    s->p = p;
    s->tokens = tokens;
    s->n_tokens = n_tokens;
    s->position = position;
    memcpy(s->logits, logits, (size_t)s->n * sizeof *logits);
    run_steps(s, logit_steps, MAAS_COUNT(logit_steps));
    maas_draw_collect(s);
    run_steps(s, cut_steps, MAAS_COUNT(cut_steps));
    if (greedy)
        return s->kept[maas_draw_best(s)].token;
    return p->mirostat ? draw_mirostat(s) : pick(s, &q);
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
