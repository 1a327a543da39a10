/* The engine over a tiny model: what a request gets does not depend on company, on the cache, on
 * how prompts were cut, or on being put off; everything ends, and ends as it says. */
#include "maas_test.h"

#include "base/mem.h"
#include "lm/engine.h"
#include "lm/tiny.h"

typedef struct rig {
    tiny t;
    maas_lm_source *source;
    maas_lm *model;
    maas_tokenizer *tokenizer;
    maas_engine *engine;
    maas_err err;
} rig;

static void rig_open(rig *r, size_t cache_bytes, int max_seqs, int max_rows)
{
    *r = (rig){0};
    const maas_lm_file f = {"model.gguf", tiny_make(&r->t, MAAS_Q_Q8_0, 3)};
    const maas_lm_opts o = {
        .n_threads = 1, .cache_bytes = cache_bytes, .max_seqs = max_seqs, .max_rows = max_rows};
    const maas_engine_opts e = {.chunk = 24, .max_waiting = 100};
    EXPECT_EQ(maas_lm_source_open(&f, 1, NULL, &r->source, &r->err), MAAS_OK);
    EXPECT_EQ(maas_tokenizer_create(r->source, NULL, &r->tokenizer, &r->err), MAAS_OK);
    EXPECT_EQ(maas_lm_create(r->source, &o, &r->model, &r->err), MAAS_OK);
    EXPECT_EQ(maas_engine_create(r->model, r->tokenizer, &e, &r->engine, &r->err), MAAS_OK);
    EXPECT_STR(r->err.msg, "");
}

static void rig_close(rig *r)
{
    maas_engine_destroy(r->engine);
    maas_lm_destroy(r->model);
    maas_tokenizer_destroy(r->tokenizer);
    maas_lm_source_close(r->source);
    tiny_reset(&r->t);
    EXPECT_EQ(maas_mem_live(), 0);
}

typedef struct heard {
    int32_t tokens[512];
    uint32_t n;
    bool done, failed;
    maas_lm_finish finish;
    maas_lm_timing timing;
    char text[2048];
    uint64_t id;
} heard;

static void hear(void *user, const maas_lm_event *ev)
{
    heard *h = user;
    EXPECT(!h->done);
    strncat(h->text, ev->text.p ? ev->text.p : "", ev->text.n);
    if (ev->kind == MAAS_LM_TOKEN) {
        h->tokens[h->n++] = ev->token;
        return;
    }
    h->done = true;
    h->failed = ev->kind == MAAS_LM_FAILED;
    h->finish = ev->finish;
    h->timing = ev->timing;
}

/* Prompt i: its own length and content; every third begins like the others. */
static uint32_t prompt_of(int i, int32_t *out)
{
    const uint32_t n = 5 + (uint32_t)(i * 13 % 60);
    for (uint32_t k = 0; k < n; k++)
        out[k] = TINY_N_SPECIAL + (int32_t)((i % 3 ? (uint32_t)i * 31 + k * 7 : k * 7) % 256);
    return n;
}

static maas_status ask(rig *r, int i, uint32_t max_tokens, float temperature, heard *h)
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

static void run_all(rig *r)
{
    for (int i = 0; i < 20000 && maas_engine_step(r->engine); i++)
        ;
}

enum { N = 24, LENGTH = 30 };

static void alone(int i, float temperature, heard *out)
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

static void expect_same(const heard *a, const heard *b, int i)
{
    EXPECT_MSG(a->n == b->n && memcmp(a->tokens, b->tokens, a->n * sizeof *a->tokens) == 0,
               "request %d has another answer", i);
}

static void company_changes_nothing(void)
{
    static heard single[N], together[N], again[N];
    rig r;
    for (int i = 0; i < N; i++)
        alone(i, i % 2 ? 0.8f : 0, &single[i]);
    rig_open(&r, 1 << 22, 8, 64);
    for (int i = 0; i < N; i++)
        EXPECT_EQ(ask(&r, i, LENGTH, i % 2 ? 0.8f : 0, &together[i]), MAAS_OK);
    run_all(&r);
    for (int i = 0; i < N; i++) /* now the cache knows them */
        EXPECT_EQ(ask(&r, i, LENGTH, i % 2 ? 0.8f : 0, &again[i]), MAAS_OK);
    run_all(&r);
    uint32_t cached = 0;
    for (int i = 0; i < N; i++) {
        EXPECT(together[i].done && again[i].done);
        expect_same(&together[i], &single[i], i);
        expect_same(&again[i], &single[i], i);
        cached += again[i].timing.cached_tokens;
    }
    EXPECT(cached > 100);
    rig_close(&r);
}

/* A cache for two sequences or so: some must give way, and come back. */
static void preemption_changes_nothing(void)
{
    static heard single[N], crowded[N];
    maas_engine_stats s;
    rig r;
    for (int i = 0; i < N; i++)
        alone(i, 0, &single[i]);
    rig_open(&r, 16 * 16 * 512, 8, 64);
    EXPECT(maas_lm_about(r.model)->n_blocks < 40);
    for (int i = 0; i < N; i++)
        EXPECT_EQ(ask(&r, i, LENGTH, 0, &crowded[i]), MAAS_OK);
    run_all(&r);
    for (int i = 0; i < N; i++)
        expect_same(&crowded[i], &single[i], i);
    maas_engine_stats_of(r.engine, &s);
    EXPECT(s.preemptions > 0);
    EXPECT_EQ(s.blocks, s.blocks_free);
    rig_close(&r);
}

static void what_does_not_fit_is_refused_with_numbers(void)
{
    static int32_t tokens[TINY_CONTEXT + 1];
    maas_ask a = {.tokens = tokens, .n_tokens = TINY_CONTEXT, .sampling = MAAS_SAMPLING_INIT};
    uint64_t id;
    rig r;
    rig_open(&r, 1 << 22, 8, 64);
    EXPECT_EQ(maas_engine_submit(r.engine, &a, hear, NULL, &id, NULL, &r.err), MAAS_E_TOO_LARGE);
    EXPECT_MSG(strstr(r.err.msg, "256"), "%s", r.err.msg);
    a.n_tokens = 0;
    r.err = (maas_err){0};
    EXPECT_EQ(maas_engine_submit(r.engine, &a, hear, NULL, &id, NULL, &r.err), MAAS_E_INVALID);
    a.n_tokens = 1;
    tokens[0] = TINY_VOCAB;
    EXPECT_EQ(maas_engine_submit(r.engine, &a, hear, NULL, &id, NULL, &r.err), MAAS_E_INVALID);
    rig_close(&r);
}

static void a_full_queue_says_when_to_come_again(void)
{
    static heard h[101];
    uint32_t retry = 0;
    rig r;
    rig_open(&r, 1 << 22, 8, 64);
    for (int i = 0; i < 100; i++)
        EXPECT_EQ(ask(&r, i, 1, 0, &h[i]), MAAS_OK);
    int32_t token = 5;
    const maas_ask a = {.tokens = &token, .n_tokens = 1, .sampling = MAAS_SAMPLING_INIT};
    uint64_t id;
    EXPECT_EQ(maas_engine_submit(r.engine, &a, hear, &h[100], &id, &retry, &r.err), MAAS_E_BUSY);
    EXPECT(retry > 0);
    run_all(&r);
    for (int i = 0; i < 100; i++)
        EXPECT(h[i].done);
    rig_close(&r);
}

static void cancelled_and_late_ones_end(void)
{
    static heard h[3];
    rig r;
    rig_open(&r, 1 << 22, 8, 64);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(ask(&r, i, 100, 0, &h[i]), MAAS_OK);
    for (int i = 0; i < 10; i++)
        maas_engine_step(r.engine);
    maas_engine_cancel(r.engine, h[1].id);
    maas_engine_cancel(r.engine, 12345);
    maas_engine_step(r.engine);
    EXPECT(h[1].done);
    EXPECT_EQ(h[1].finish, MAAS_LM_CANCELLED);
    EXPECT(!h[0].done && !h[2].done);
    maas_engine_cancel_all(r.engine);
    run_all(&r);
    EXPECT(h[0].done && h[2].done);
    rig_close(&r);
}

static void stop_texts_are_not_told(void)
{
    static heard plain, cut;
    rig r;
    rig_open(&r, 1 << 22, 8, 64);
    EXPECT_EQ(ask(&r, 4, 40, 0, &plain), MAAS_OK);
    run_all(&r);
    size_t at = 3; /* two characters that are their bytes */
    while (plain.text[at] &&
           !((uint8_t)plain.text[at] < 0x80 && (uint8_t)plain.text[at + 1] < 0x80))
        at++;
    EXPECT(plain.text[at] && plain.text[at + 1]);
    const char text[3] = {plain.text[at], plain.text[at + 1], 0};
    const maas_str stop = {text, 2};
    int32_t tokens[128];
    maas_ask a = {.tokens = tokens,
                  .n_tokens = prompt_of(4, tokens),
                  .max_tokens = 40,
                  .ignore_end = true,
                  .n_logprobs = -1,
                  .stops = &stop,
                  .n_stops = 1,
                  .sampling = MAAS_SAMPLING_INIT};
    a.sampling.temperature = 0;
    EXPECT_EQ(maas_engine_submit(r.engine, &a, hear, &cut, &cut.id, NULL, &r.err), MAAS_OK);
    run_all(&r);
    EXPECT(cut.done);
    EXPECT_EQ(cut.finish, MAAS_LM_STOP);
    const char *first = strstr(plain.text, text);
    EXPECT_EQ(strlen(cut.text), (size_t)(first - plain.text));
    EXPECT(strncmp(cut.text, plain.text, strlen(cut.text)) == 0);
    rig_close(&r);
}

static const mt_case cases[] = {
    MT_CASE(company_changes_nothing),
    MT_CASE(preemption_changes_nothing),
    MT_CASE(what_does_not_fit_is_refused_with_numbers),
    MT_CASE(a_full_queue_says_when_to_come_again),
    MT_CASE(cancelled_and_late_ones_end),
    MT_CASE(stop_texts_are_not_told),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
