/* Draws have the probabilities they should; bounds cut where they say; the same seed, the same
 * draw. */
#include "maas_test.h"

#include "base/mem.h"
#include "lm/sampler.h"

enum { V = 50, DRAWS = 20000 };

static void logits_of(float *l)
{
    for (int i = 0; i < V; i++)
        l[i] = 3 * (float)sin(i * 1.7) - 0.05f * (float)i;
}

/* The probabilities after temperature, top_k, top_p and min_p, by sorting everything. */
static void expected(const float *l, const maas_sampling *p, double *out)
{
    int order[V];
    double q[V], total = 0, sum = 0, kept = 0;
    for (int i = 0; i < V; i++) {
        order[i] = i;
        total += q[i] = exp((double)l[i] / (double)p->temperature);
        out[i] = 0;
    }
    for (int i = 0; i < V; i++)
        for (int k = i + 1; k < V; k++)
            if (q[order[k]] > q[order[i]]) {
                const int o = order[i];
                order[i] = order[k];
                order[k] = o;
            }
    for (int i = 0; i < V; i++) {
        const bool in = (p->top_k <= 0 || i < p->top_k) &&
                        (i == 0 || sum < (double)p->top_p * total) &&
                        (i == 0 || q[order[i]] >= (double)p->min_p * q[order[0]]);
        sum += q[order[i]];
        if (in)
            kept += out[order[i]] = q[order[i]];
    }
    for (int i = 0; i < V; i++)
        out[i] /= kept;
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
    EXPECT_EQ(maas_sampler_create(V, &s, &err), MAAS_OK);
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

static void draws_have_their_probabilities(void)
{
    maas_sampling p = MAAS_SAMPLING_INIT;
    check(&p, "plain");
    p.temperature = 0.5f;
    check(&p, "cold");
    p.top_k = 7;
    check(&p, "top_k");
    p.top_k = 0;
    p.top_p = 0.8f;
    check(&p, "top_p");
    p.top_p = 0.999f;
    p.temperature = 2;
    check(&p, "top_p of nearly all");
    p.top_p = 1;
    p.min_p = 0.1f;
    check(&p, "min_p");
    p.top_k = 12;
    p.top_p = 0.9f;
    check(&p, "all three");
    EXPECT_EQ(maas_mem_live(), 0);
}

static void penalties_and_bias_move_logits(void)
{
    float l[V] = {0};
    const maas_logit_bias bias = {9, 5};
    const int32_t before[] = {3, 3, 3, 4};
    maas_sampling p = MAAS_SAMPLING_INIT;
    maas_sampler *s = NULL;
    maas_err err = {0};
    EXPECT_EQ(maas_sampler_create(V, &s, &err), MAAS_OK);
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
    EXPECT_EQ(maas_sampler_create(V, &s, &err), MAAS_OK);
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
    MT_CASE(draws_have_their_probabilities),
    MT_CASE(penalties_and_bias_move_logits),
    MT_CASE(logprobs_are_those_of_the_model),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
