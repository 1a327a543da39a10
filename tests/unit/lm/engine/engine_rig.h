/* An engine over a tiny model, and what it tells: for the tests of this folder. */
#ifndef TESTS_LM_ENGINE_RIG_H
#define TESTS_LM_ENGINE_RIG_H

#include "maas_test.h"

#include "base/mem.h"
#include "lm/engine.h"
#include "lm/tiny_adapter.h"

typedef struct rig {
    tiny t;
    tiny_adapter a[2];
    maas_lm_source *source;
    maas_lm *model;
    maas_tokenizer *tokenizer;
    maas_engine *engine;
    maas_err err;
} rig;

/* n: adapters. */
static inline void rig_open_as(rig *r, const maas_lm_opts *o, uint32_t n)
{
    *r = (rig){0};
    const maas_span file = tiny_make(&r->t, MAAS_Q_Q8_0, 3);
    const maas_lm_file f[] = {
        {"model.gguf", file},
        {"adapters/one.gguf", tiny_adapter_make(&r->a[0], file, "llama", MAAS_Q_F32, 4, 1, 5)},
        {"adapters/two.gguf", tiny_adapter_make(&r->a[1], file, "llama", MAAS_Q_F16, 4, 1, 6)}};
    const maas_engine_opts e = {.chunk = 24, .max_waiting = 100};
    EXPECT_EQ(maas_lm_source_open(f, 1 + n, NULL, &r->source, &r->err), MAAS_OK);
    EXPECT_EQ(maas_tokenizer_create(r->source, NULL, &r->tokenizer, &r->err), MAAS_OK);
    EXPECT_EQ(maas_lm_create(r->source, o, &r->model, &r->err), MAAS_OK);
    EXPECT_EQ(maas_engine_create(r->model, r->tokenizer, &e, &r->engine, &r->err), MAAS_OK);
    EXPECT_STR(r->err.msg, "");
}

static inline void rig_open_with(rig *r, size_t cache_bytes, int max_seqs, int max_rows, uint32_t n)
{
    const maas_lm_opts o = {
        .n_threads = 1, .cache_bytes = cache_bytes, .max_seqs = max_seqs, .max_rows = max_rows};
    rig_open_as(r, &o, n);
}

static inline void rig_open(rig *r, size_t cache_bytes, int max_seqs, int max_rows)
{
    rig_open_with(r, cache_bytes, max_seqs, max_rows, 0);
}

static inline void rig_close(rig *r)
{
    maas_engine_destroy(r->engine);
    maas_lm_destroy(r->model);
    maas_tokenizer_destroy(r->tokenizer);
    maas_lm_source_close(r->source);
    tiny_reset(&r->t);
    tiny_adapter_reset(&r->a[0]);
    tiny_adapter_reset(&r->a[1]);
    EXPECT_EQ(maas_mem_live(), 0);
}

typedef struct heard {
    int32_t tokens[512];
    float logprobs[512];
    uint32_t n;
    bool done, failed;
    maas_lm_finish finish;
    maas_lm_timing timing;
    char text[2048];
    uint64_t id;
} heard;

static inline void hear(void *user, const maas_lm_event *ev)
{
    heard *h = user;
    EXPECT(!h->done);
    strncat(h->text, ev->text.p ? ev->text.p : "", ev->text.n);
    if (ev->kind == MAAS_LM_TOKEN) {
        h->logprobs[h->n] = ev->logprob + (ev->n_top ? ev->top[ev->n_top - 1].logprob : 0);
        h->tokens[h->n++] = ev->token;
        return;
    }
    h->done = true;
    h->failed = ev->kind == MAAS_LM_FAILED;
    h->finish = ev->finish;
    h->timing = ev->timing;
}

/* Prompt i: its own length and content; every third begins like the others. */
static inline uint32_t prompt_of(int i, int32_t *out)
{
    const uint32_t n = 5 + (uint32_t)(i * 13 % 60);
    for (uint32_t k = 0; k < n; k++)
        out[k] = TINY_N_SPECIAL + (int32_t)((i % 3 ? (uint32_t)i * 31 + k * 7 : k * 7) % 256);
    return n;
}

static inline maas_status ask(rig *r, int i, uint32_t max_tokens, float temperature, heard *h)
{
    int32_t tokens[128];
    maas_ask a = {.tokens = tokens,
                  .n_tokens = prompt_of(i, tokens),
                  .max_tokens = max_tokens,
                  .ignore_end = true,
                  .n_logprobs = -1,
                  .sampling = MAAS_SAMPLING_INIT};
    a.sampling.temperature = temperature;
    a.sampling.seed = (uint64_t)i;
    *h = (heard){0};
    return maas_engine_submit(r->engine, &a, hear, h, &h->id, NULL, &r->err);
}

static inline void run_all(rig *r)
{
    for (int i = 0; i < 20000 && maas_engine_step(r->engine); i++)
        ;
}

enum { N = 24, LENGTH = 30 };

static inline void alone(int i, float temperature, heard *out)
{
    rig r;
    rig_open(&r, 1 << 22, 8, 64);
    EXPECT_EQ(ask(&r, i, LENGTH, temperature, out), MAAS_OK);
    run_all(&r);
    EXPECT(out->done && !out->failed);
    EXPECT_EQ(out->n, LENGTH);
    EXPECT_EQ(out->finish, MAAS_LM_LENGTH);
    rig_close(&r);
}

static inline void expect_same(const heard *a, const heard *b, int i)
{
    EXPECT_MSG(a->n == b->n && memcmp(a->tokens, b->tokens, a->n * sizeof *a->tokens) == 0,
               "request %d has another answer", i);
}

#endif
