/* Ways to sample, a request each: for tests that proposals of any kind change nothing. */
#ifndef TESTS_LM_ENGINE_MODES_H
#define TESTS_LM_ENGINE_MODES_H

#include "engine_rig.h"

static const maas_logit_bias some_bias = {TINY_N_SPECIAL + 65, 2};
static const maas_str some_breaks[] = {{"A", 1}, {"the", 3}};
static const struct {
    const char *what;
    maas_sampling p; /* where it is zero, as usual */
    int n_logprobs;
    const char *grammar;
} modes[] = {
    {"greedy", {.seed = 1}, -1},
    {"plain", {.temperature = 0.3f}, -1},
    {"cuts", {.temperature = 0.5f, .top_k = 12, .top_p = 0.9f, .min_p = 0.02f}, -1},
    {"typical", {.temperature = 0.5f, .typical_p = 0.7f}, 3},
    {"sigma", {.temperature = 0.4f, .top_n_sigma = 1}, -1},
    {"xtc", {.temperature = 0.4f, .xtc_probability = 0.3f, .xtc_threshold = 0.05f}, -1},
    {"mirostat", {.temperature = 0.6f, .mirostat = 1, .mirostat_tau = 1}, -1},
    {"mirostat 2", {.temperature = 0.6f, .mirostat = 2, .mirostat_tau = 1}, 2},
    {"dry", {.dry_multiplier = 0.2f, .seed = 3}, 0},
    {"dry and warm", {.temperature = 0.3f, .dry_multiplier = 0.1f}, -1},
    {"penalties", {.frequency_penalty = 0.02f, .presence_penalty = 0.1f, .seed = 5}, 1},
    {"bias", {.temperature = 0.3f, .bias = &some_bias, .n_bias = 1}, -1},
    {"grammar", {.seed = 2}, -1, "root ::= (\"ab\" [c-f] [0-9]? \", \")*"},
    {"grammar, warm", {.temperature = 0.5f}, 1, "root ::= ([a-h] [a-h] [0-3] \" \"?)*"},
    {"grammar and mirostat",
     {.temperature = 0.7f, .mirostat = 2, .mirostat_tau = 1},
     -1,
     "root ::= ([a-h] [0-3])*"},
};
enum { N_MODES = sizeof modes / sizeof *modes, EACH = 3, MANY = N_MODES * EACH, LONG = 60 };

static inline maas_grammar *grammar_of(rig *r, const char *text)
{
    const maas_grammar_part part = {.kind = MAAS_GRAMMAR_GBNF, .text = {text, strlen(text)}};
    const maas_grammar_spec spec = {.parts = &part, .n_parts = 1};
    maas_vocab *v = NULL;
    maas_grammar *g = NULL;
    EXPECT_EQ(maas_vocab_create(r->tokenizer, maas_lm_about(r->model)->n_vocab, NULL, &v, &r->err),
              MAAS_OK);
    EXPECT_EQ(maas_grammar_create(&spec, v, NULL, &g, &r->err), MAAS_OK);
    EXPECT_STR(r->err.msg, "");
    maas_vocab_unref(v);
    return g;
}

/* Prompt of a few words over and over, so that what follows can be looked up. */
static inline maas_status ask_mode_by(rig *r, int i, int32_t drafts, maas_proposer by,
                                      const maas_str *stop, heard *h)
{
    const maas_sampling usual = MAAS_SAMPLING_INIT;
    int32_t tokens[128];
    maas_ask a = {.tokens = tokens,
                  .n_tokens = 20 + (uint32_t)(i * 7 % 40),
                  .max_tokens = LONG,
                  .ignore_end = true,
                  .n_logprobs = modes[i % N_MODES].n_logprobs,
                  .drafts = drafts,
                  .by = by,
                  .stops = stop,
                  .n_stops = stop != NULL,
                  .dry_breaks = some_breaks,
                  .n_dry_breaks = 2,
                  .sampling = modes[i % N_MODES].p};
    for (uint32_t k = 0; k < a.n_tokens; k++)
        tokens[k] = TINY_N_SPECIAL + (int32_t)((k % 9 * 17 + (uint32_t)i) % 256);
    a.sampling.top_p = a.sampling.top_p > 0 ? a.sampling.top_p : 1;
    a.sampling.typical_p = a.sampling.typical_p > 0 ? a.sampling.typical_p : 1;
    a.sampling.repeat_penalty = 1;
    a.sampling.repeat_last = a.sampling.dry_last = -1;
    a.sampling.mirostat_eta = usual.mirostat_eta;
    a.sampling.dry_base = usual.dry_base;
    a.sampling.dry_allowed = usual.dry_allowed;
    a.sampling.seed += (uint64_t)i;
    a.grammar = modes[i % N_MODES].grammar ? grammar_of(r, modes[i % N_MODES].grammar) : NULL;
    *h = (heard){0};
    const maas_status st = maas_engine_submit(r->engine, &a, hear, h, &h->id, NULL, &r->err);
    maas_grammar_unref(a.grammar);
    return st;
}

static inline maas_status ask_mode(rig *r, int i, int32_t drafts, const maas_str *stop, heard *h)
{
    return ask_mode_by(r, i, drafts, MAAS_BY_ANY, stop, h);
}

static inline void expect_equal(const heard *a, const heard *b, int i, const char *how)
{
    EXPECT_MSG(a->n == b->n && memcmp(a->tokens, b->tokens, a->n * sizeof *a->tokens) == 0 &&
                   memcmp(a->logprobs, b->logprobs, a->n * sizeof *a->logprobs) == 0 &&
                   strcmp(a->text, b->text) == 0 && a->finish == b->finish,
               "%s, %s: another answer", modes[i % N_MODES].what, how);
}

static inline void plain_answers(heard *out, const maas_str *stop)
{
    rig r;
    rig_open(&r, 1 << 22, 8, 64);
    for (int i = 0; i < MANY; i++) {
        EXPECT_EQ(ask_mode(&r, i, 0, stop, &out[i]), MAAS_OK);
        run_all(&r);
        EXPECT(out[i].done && !out[i].failed);
        EXPECT_EQ(out[i].timing.drafted, 0);
    }
    rig_close(&r);
}

#endif
