/* Draws have the probabilities they should; bounds cut where they say; the same seed, the same
 * draw. */
#include "maas_test.h"

#include "base/mem.h"
#include "lm/engine/sampler_int.h"

enum { V = 50, DRAWS = 20000, CONTEXT = 4096 };

static void logits_of(float *l)
{
    for (int i = 0; i < V; i++)
        l[i] = 3 * (float)sin(i * 1.7) - 0.05f * (float)i;
}

/* ---- the definitions, step by step, by sorting everything ---- */

typedef struct left { /* candidates that are left */
    int n, token[V];
    double logit[V], p[V];
} left;

static void sort_by(left *x, const double *key_of_token)
{
    for (int i = 0; i < x->n; i++)
        for (int k = i + 1; k < x->n; k++)
            if (key_of_token[x->token[k]] > key_of_token[x->token[i]]) {
                const int t = x->token[i];
                const double l = x->logit[i];
                x->token[i] = x->token[k];
                x->logit[i] = x->logit[k];
                x->token[k] = t;
                x->logit[k] = l;
            }
}

static void softmax(left *x)
{
    double total = 0, by[V] = {0};
    for (int i = 0; i < x->n; i++)
        by[x->token[i]] = x->logit[i];
    sort_by(x, by);
    for (int i = 0; i < x->n; i++)
        total += exp(x->logit[i] - x->logit[0]);
    for (int i = 0; i < x->n; i++)
        x->p[i] = exp(x->logit[i] - x->logit[0]) / total;
}

static void drop_below(left *x, double floor) /* sorted */
{
    while (x->n > 1 && x->logit[x->n - 1] < floor)
        x->n--;
}

static void ref_top_n_sigma(left *x, double sigmas)
{
    double mean = 0, var = 0;
    softmax(x);
    for (int i = 0; i < x->n; i++)
        mean += x->logit[i] / x->n;
    for (int i = 0; i < x->n; i++)
        var += pow(x->logit[i] - mean, 2) / x->n;
    drop_below(x, x->logit[0] - sigmas * sqrt(var));
}

static void ref_typical(left *x, double mass)
{
    double entropy = 0, shifted[V] = {0}, of[V] = {0}, sum = 0;
    int n = 0;
    softmax(x);
    for (int i = 0; i < x->n; i++)
        entropy -= x->p[i] * log(x->p[i]);
    for (int i = 0; i < x->n; i++) {
        shifted[x->token[i]] = -fabs(-log(x->p[i]) - entropy);
        of[x->token[i]] = x->p[i];
    }
    sort_by(x, shifted);
    while (n < x->n && sum <= mass)
        sum += of[x->token[n++]];
    x->n = n;
}

static void ref_top_p(left *x, double mass)
{
    double sum = 0;
    int n = 0;
    softmax(x);
    while (n < x->n && (sum < mass || n == 0))
        sum += x->p[n++];
    x->n = n;
}

static void ref_xtc(left *x, double threshold) /* when it is its turn */
{
    int n = 0;
    softmax(x);
    while (n < x->n && x->p[n] >= threshold)
        n++;
    for (int i = 0; n > 1 && i + n - 1 < x->n; i++) {
        x->token[i] = x->token[i + n - 1];
        x->logit[i] = x->logit[i + n - 1];
    }
    x->n -= n > 1 ? n - 1 : 0;
}

/* Mirostat: Basu et al., 2021, with its estimate from 100 tokens, and the plain cut of version 2.
 */
static void ref_mirostat(left *x, int version, double mu)
{
    double tb = 0, tt = 0;
    softmax(x);
    if (version == 2) {
        int n = 0;
        while (n < x->n && -log2(x->p[n]) <= mu)
            n++;
        x->n = n ? n : 1;
        return;
    }
    for (int i = 0; i < 99 && i + 1 < x->n; i++) {
        const double t = log((i + 2.0) / (i + 1.0));
        tb += t * log(x->p[i] / x->p[i + 1]);
        tt += t * t;
    }
    const double s_hat = tb / tt, e = s_hat - 1;
    const double k = pow(e * pow(2, mu) / (1 - pow(V, -e)), 1 / s_hat);
    x->n = k < 1 ? 1 : k < x->n ? (int)k : x->n;
}

/* turn: XTC's */
static void reference(const float *l, const maas_sampling *p, bool turn, double *out)
{
    left x = {.n = V};
    for (int i = 0; i < V; i++) {
        x.token[i] = i;
        x.logit[i] = (double)l[i];
        out[i] = 0;
    }
    if (p->top_n_sigma > 0 && !p->mirostat)
        ref_top_n_sigma(&x, (double)p->top_n_sigma);
    softmax(&x);
    if (p->top_k > 0 && p->top_k < x.n && !p->mirostat)
        x.n = p->top_k;
    if (p->typical_p < 1 && !p->mirostat)
        ref_typical(&x, (double)p->typical_p);
    if (p->top_p < 1 && !p->mirostat)
        ref_top_p(&x, (double)p->top_p);
    softmax(&x);
    if (p->min_p > 0 && !p->mirostat)
        drop_below(&x, x.logit[0] + log((double)p->min_p));
    if (p->xtc_probability > 0 && turn && !p->mirostat)
        ref_xtc(&x, (double)p->xtc_threshold);
    for (int i = 0; i < x.n; i++)
        x.logit[i] /= (double)p->temperature;
    if (p->mirostat)
        ref_mirostat(&x, p->mirostat, 2 * (double)p->mirostat_tau);
    softmax(&x);
    for (int i = 0; i < x.n; i++)
        out[x.token[i]] = x.p[i];
}

static void expected(const float *l, const maas_sampling *p, double *out)
{
    double with[V];
    const double often = p->xtc_probability > 0 ? (double)p->xtc_probability : 0;
    reference(l, p, true, with);
    reference(l, p, false, out);
    for (int i = 0; i < V; i++)
        out[i] += often * (with[i] - out[i]);
}

static void check(const maas_sampling *p, const char *what)
{
    float l[V];
    double want[V], chi = 0;
    int seen[V] = {0}, cells = 0;
    maas_sampler *s = NULL;
    maas_err err = {0};
    logits_of(l);
    expected(l, p, want);
    EXPECT_EQ(maas_sampler_create(V, CONTEXT, &s, &err), MAAS_OK);
    for (int i = 0; i < DRAWS; i++)
        seen[maas_sampler_draw(s, p, l, NULL, 0, (uint64_t)i)]++;
    for (int i = 0; i < V; i++) {
        EXPECT_MSG(want[i] > 0 || seen[i] == 0, "%s: token %d was cut, and came", what, i);
        if (want[i] * DRAWS > 5) {
            chi += pow(seen[i] - want[i] * DRAWS, 2) / (want[i] * DRAWS);
            cells++;
        }
    }
    /* mean cells - 1, deviation sqrt(2 cells): five of them */
    EXPECT_MSG(chi < cells + 5 * sqrt(2.0 * cells) + 5, "%s: chi square %g of %d", what, chi,
               cells);
    maas_sampler_destroy(s);
}

static const struct {
    const char *what;
    maas_sampling p; /* where it is zero, as usual */
} draws[] = {
#define CASE(what, ...)                                                                            \
    {                                                                                              \
        what,                                                                                      \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
    CASE("plain", .seed = 0),
    CASE("cold", .temperature = 0.5f),
    CASE("top_k", .temperature = 0.5f, .top_k = 7),
    CASE("top_p", .top_p = 0.8f),
    CASE("top_p of nearly all", .top_p = 0.999f, .temperature = 2),
    CASE("min_p", .temperature = 2, .min_p = 0.1f),
    CASE("those three", .temperature = 2, .top_k = 12, .top_p = 0.9f, .min_p = 0.1f),
    CASE("typical_p", .typical_p = 0.5f),
    CASE("typical_p of nearly all", .typical_p = 0.99f, .temperature = 1.5f),
    CASE("typical_p of few", .typical_p = 0.05f),
    CASE("top_n_sigma", .top_n_sigma = 1),
    CASE("top_n_sigma, hot", .top_n_sigma = 0.4f, .temperature = 5),
    CASE("xtc", .xtc_probability = 1, .xtc_threshold = 0.05f),
    CASE("xtc at times", .xtc_probability = 0.4f, .xtc_threshold = 0.08f),
    CASE("xtc off", .xtc_probability = 1, .xtc_threshold = 0.5f),
    CASE("all cuts", .top_n_sigma = 2, .top_k = 20, .typical_p = 0.95f, .top_p = 0.9f,
         .min_p = 0.02f, .xtc_probability = 0.5f, .xtc_threshold = 0.1f, .temperature = 1.3f),
    CASE("mirostat", .mirostat = 1, .mirostat_tau = 1),
    CASE("mirostat of much", .mirostat = 1, .mirostat_tau = 3, .temperature = 0.7f, .top_k = 1),
    CASE("mirostat 2", .mirostat = 2, .mirostat_tau = 1.2f),
    CASE("mirostat 2 of little", .mirostat = 2, .mirostat_tau = 0.1f),
#undef CASE
};

static maas_sampling case_of(size_t i)
{
    const maas_sampling usual = MAAS_SAMPLING_INIT;
    maas_sampling p = draws[i].p;
    p.temperature = p.temperature > 0 ? p.temperature : usual.temperature;
    p.top_p = p.top_p > 0 ? p.top_p : usual.top_p;
    p.typical_p = p.typical_p > 0 ? p.typical_p : usual.typical_p;
    p.mirostat_tau = p.mirostat_tau > 0 ? p.mirostat_tau : usual.mirostat_tau;
    p.mirostat_eta = usual.mirostat_eta;
    p.repeat_penalty = usual.repeat_penalty;
    return p;
}

static void draws_have_their_probabilities(void)
{
    for (size_t i = 0; i < sizeof draws / sizeof *draws; i++) {
        const maas_sampling p = case_of(i);
        check(&p, draws[i].what);
    }
    EXPECT_EQ(maas_mem_live(), 0);
}

/* The state follows its rule at every draw, and what is drawn surprises as much as was asked. */
static void mirostat_keeps_its_surprise(void)
{
    float l[V];
    maas_sampler *s = NULL;
    maas_err err = {0};
    logits_of(l);
    EXPECT_EQ(maas_sampler_create(V, CONTEXT, &s, &err), MAAS_OK);
    for (int version = 1; version <= 2; version++) {
        maas_sampling_state state = {0};
        maas_sampling p = MAAS_SAMPLING_INIT;
        p.mirostat = version;
        p.mirostat_tau = 1.5f;
        p.state = &state;
        double mu = 3, sum = 0;
        for (int i = 0; i < DRAWS / 4; i++) {
            left x = {.n = V};
            for (int k = 0; k < V; k++) {
                x.token[k] = k;
                x.logit[k] = (double)l[k];
            }
            ref_mirostat(&x, version, mu);
            softmax(&x);
            const int32_t token = maas_sampler_draw(s, &p, l, NULL, 0, (uint64_t)i);
            int at = 0;
            while (at < x.n && x.token[at] != token)
                at++;
            EXPECT_MSG(at < x.n, "version %d, draw %d: token %d was cut", version, i, token);
            mu -= 0.1 * (-log2(x.p[at]) - 1.5);
            sum += -log2(x.p[at]);
            EXPECT_NEAR(state.mu, mu, 1e-3);
            mu = (double)state.mu;
        }
        EXPECT_NEAR(sum / (DRAWS / 4), 1.5, 0.05);
    }
    maas_sampler_destroy(s);
}

/* DRY by its definition: each place where the last tokens stand as well, as far as they do. */
static void ref_dry(const maas_sampling *p, const int32_t *t, int n, int start, double *out)
{
    const int far = p->dry_last < 0 || p->dry_last > n ? n : p->dry_last;
    int longest[V] = {0};
    for (int end = n - 1; end > n - far; end--) { /* a token that follows a repeat */
        int len = 0;
        while (len < end - (n - far) && len < n - start && t[end - 1 - len] == t[n - 1 - len])
            len++;
        longest[t[end]] = len > longest[t[end]] ? len : longest[t[end]];
    }
    for (int i = 0; i < V; i++)
        out[i] -= longest[i] >= p->dry_allowed
                      ? (double)p->dry_multiplier *
                            pow((double)p->dry_base, longest[i] - p->dry_allowed)
                      : 0;
}

static void dry_is_its_definition(void)
{
    maas_sampler *s = NULL;
    maas_err err = {0};
    uint32_t state = 7;
    int costs = 0;
    EXPECT_EQ(maas_sampler_create(V, CONTEXT, &s, &err), MAAS_OK);
    for (int round = 0; round < 2000; round++) {
        int32_t t[64];
        double want[V];
        maas_sampling_state from = {0};
        maas_sampling p = MAAS_SAMPLING_INIT;
        const int n = 1 + round % 64, words = 1 + round / 64 % 4;
        for (int i = 0; i < n; i++)
            t[i] = (int32_t)((state = state * 1664525 + 1013904223) >> 24) % words;
        p.dry_multiplier = 0.8f;
        p.dry_base = 1.1f;
        p.dry_allowed = 1 + round % 3;
        p.dry_last = round % 5 ? -1 : round % 40;
        from.dry_start = round % 2 ? (uint32_t)(round % 7) : 0;
        p.state = &from;
        s->p = &p;
        s->tokens = t;
        s->n_tokens = (uint32_t)n;
        for (int i = 0; i < V; i++)
            want[i] = s->logits[i] = (float)i;
        ref_dry(&p, t, n, (int)from.dry_start < n ? (int)from.dry_start : n, want);
        maas_draw_dry(s);
        for (int i = 0; i < V; i++) {
            EXPECT_NEAR(s->logits[i], want[i], 1e-4 * (1 + fabs(want[i])));
            EXPECT_EQ(s->count[i], 0);
            costs += want[i] < i;
        }
    }
    EXPECT(costs > 1000);
    maas_sampler_destroy(s);
}

/* One token all the time: the longest repeats there are. Its cost stays a number, and thousands of
 * draws over thousands of tokens end. */
static void long_repeats_are_bounded(void)
{
    static int32_t t[CONTEXT];
    float l[V] = {[0] = 5, [7] = 1};
    maas_sampler *s = NULL;
    maas_err err = {0};
    maas_sampling p = MAAS_SAMPLING_INIT;
    p.temperature = 0;
    EXPECT_EQ(maas_sampler_create(V, CONTEXT, &s, &err), MAAS_OK);
    EXPECT_EQ(maas_sampler_draw(s, &p, l, t, CONTEXT, 0), 0);
    p.dry_multiplier = 1;
    for (int i = 0; i < 2000; i++)
        EXPECT_EQ(maas_sampler_draw(s, &p, l, t, CONTEXT, 0), 7);
    EXPECT(isfinite(s->logits[0]));
    maas_sampler_destroy(s);
}

/* Logits of a broken model: some token of the vocabulary, whatever the steps. */
static void broken_logits_give_a_token(void)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f};
    maas_sampler *s = NULL;
    maas_err err = {0};
    EXPECT_EQ(maas_sampler_create(V, CONTEXT, &s, &err), MAAS_OK);
    for (size_t k = 0; k < sizeof draws / sizeof *draws; k++) {
        const maas_sampling p = case_of(k);
        for (int i = 0; i < 500; i++) {
            float l[V];
            for (int v = 0; v < V; v++)
                l[v] = bad[i < 5 ? i : (v * 7 + i * (v + 3)) % 5];
            const int32_t token = maas_sampler_draw(s, &p, l, NULL, 0, (uint64_t)i);
            EXPECT(token >= 0 && token < V);
        }
    }
    maas_sampler_destroy(s);
}

static void penalties_and_bias_move_logits(void)
{
    float l[V] = {0};
    const maas_logit_bias bias = {9, 5};
    const int32_t before[] = {3, 3, 3, 4};
    maas_sampling p = MAAS_SAMPLING_INIT;
    maas_sampler *s = NULL;
    maas_err err = {0};
    EXPECT_EQ(maas_sampler_create(V, CONTEXT, &s, &err), MAAS_OK);
    p.temperature = 0;
    l[3] = 2;
    l[4] = 1.5f;
    l[5] = 1;
    EXPECT_EQ(maas_sampler_draw(s, &p, l, before, 4, 0), 3);
    p.frequency_penalty = 0.5f; /* 2 - 3 * 0.5 = 0.5; 1.5 - 0.5 = 1 */
    EXPECT_EQ(maas_sampler_draw(s, &p, l, before, 4, 0), 4);
    p.presence_penalty = 0.25f; /* 0.75 */
    EXPECT_EQ(maas_sampler_draw(s, &p, l, before, 4, 0), 5);
    p.repeat_last = 1; /* sees token 4 alone */
    EXPECT_EQ(maas_sampler_draw(s, &p, l, before, 4, 0), 3);
    p.bias = &bias;
    p.n_bias = 1;
    EXPECT_EQ(maas_sampler_draw(s, &p, l, before, 4, 0), 9);
    maas_sampler_destroy(s);
}

static void logprobs_are_those_of_the_model(void)
{
    float l[V];
    double total = 0;
    maas_logprob top[5];
    maas_sampler *s = NULL;
    maas_err err = {0};
    logits_of(l);
    for (int i = 0; i < V; i++)
        total += exp((double)l[i]);
    EXPECT_EQ(maas_sampler_create(V, CONTEXT, &s, &err), MAAS_OK);
    const float got = maas_sampler_logprobs(s, l, 17, 5, top);
    EXPECT_NEAR(got, (double)l[17] - log(total), 1e-5);
    for (int i = 0; i < 5; i++) {
        int better = 0;
        for (int k = 0; k < V; k++)
            better += l[k] > l[top[i].token];
        EXPECT_EQ(better, i);
        EXPECT_NEAR(top[i].logprob, (double)l[top[i].token] - log(total), 1e-5);
    }
    maas_sampler_destroy(s);
}

static const mt_case cases[] = {
    MT_CASE(draws_have_their_probabilities),  MT_CASE(mirostat_keeps_its_surprise),
    MT_CASE(dry_is_its_definition),           MT_CASE(long_repeats_are_bounded),
    MT_CASE(broken_logits_give_a_token),      MT_CASE(penalties_and_bias_move_logits),
    MT_CASE(logprobs_are_those_of_the_model),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
