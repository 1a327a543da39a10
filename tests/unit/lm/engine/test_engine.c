/* The engine over a tiny model: what a request gets does not depend on company, on the cache, on
 * how prompts were cut, or on being put off; everything ends, and ends as it says. */
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

static void rig_open_with(rig *r, size_t cache_bytes, int max_seqs, int max_rows, uint32_t n)
{
    *r = (rig){0};
    const maas_span file = tiny_make(&r->t, MAAS_Q_Q8_0, 3);
    const maas_lm_file f[] = {
        {"model.gguf", file},
        {"adapters/one.gguf", tiny_adapter_make(&r->a[0], file, "llama", MAAS_Q_F32, 4, 1, 5)},
        {"adapters/two.gguf", tiny_adapter_make(&r->a[1], file, "llama", MAAS_Q_F16, 4, 1, 6)}};
    const maas_lm_opts o = {
        .n_threads = 1, .cache_bytes = cache_bytes, .max_seqs = max_seqs, .max_rows = max_rows};
    const maas_engine_opts e = {.chunk = 24, .max_waiting = 100};
    EXPECT_EQ(maas_lm_source_open(f, 1 + n, NULL, &r->source, &r->err), MAAS_OK);
    EXPECT_EQ(maas_tokenizer_create(r->source, NULL, &r->tokenizer, &r->err), MAAS_OK);
    EXPECT_EQ(maas_lm_create(r->source, &o, &r->model, &r->err), MAAS_OK);
    EXPECT_EQ(maas_engine_create(r->model, r->tokenizer, &e, &r->engine, &r->err), MAAS_OK);
    EXPECT_STR(r->err.msg, "");
}

static void rig_open(rig *r, size_t cache_bytes, int max_seqs, int max_rows)
{
    rig_open_with(r, cache_bytes, max_seqs, max_rows, 0);
}

static void rig_close(rig *r)
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

static void hear(void *user, const maas_lm_event *ev)
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
    EXPECT_EQ(ask(&r, 1, 5, 0, &h[1]), MAAS_E_UNAVAILABLE);
    rig_close(&r);
}

/* Held ones stand still and take no room; let go, they go on as if nothing had been. */
static void held_ones_wait(void)
{
    static heard plain[3], h[3], other[8];
    maas_engine_stats s;
    rig r;
    for (int i = 0; i < 3; i++)
        alone(i, 0, &plain[i]);
    rig_open(&r, 16 * 16 * 512, 3, 64);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(ask(&r, i, LENGTH, 0, &h[i]), MAAS_OK);
    for (int i = 0; i < 5; i++)
        maas_engine_step(r.engine);
    for (int i = 0; i < 3; i++)
        maas_engine_hold(r.engine, h[i].id, true);
    maas_engine_hold(r.engine, 12345, true);
    const uint32_t n = h[0].n;
    run_all(&r); /* ends: nobody runs */
    EXPECT(h[0].n == n && !h[0].done && !h[1].done && !h[2].done);
    maas_engine_stats_of(r.engine, &s);
    EXPECT_EQ(s.running, 0);
    EXPECT_EQ(s.blocks_free, s.blocks);
    for (int i = 0; i < 8; i++) /* as many as there are places, and more */
        EXPECT_EQ(ask(&r, 10 + i, LENGTH, 0, &other[i]), MAAS_OK);
    run_all(&r);
    for (int i = 0; i < 8; i++)
        EXPECT(other[i].done);
    EXPECT(!h[0].done);
    maas_engine_hold(r.engine, h[0].id, false);
    maas_engine_hold(r.engine, h[1].id, false);
    maas_engine_cancel(r.engine, h[2].id);
    run_all(&r);
    expect_same(&h[0], &plain[0], 0);
    expect_same(&h[1], &plain[1], 1);
    EXPECT(h[2].done && h[2].finish == MAAS_LM_CANCELLED);
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

/* Where every byte breaks, DRY sees no repeat; where none does, it changes the answer. */
static void breaks_of_dry_count(void)
{
    static char bytes[256];
    static maas_str all[256];
    static heard plain, broken, whole;
    int32_t tokens[128];
    maas_ask a = {.tokens = tokens,
                  .n_tokens = prompt_of(4, tokens),
                  .max_tokens = 60,
                  .ignore_end = true,
                  .n_logprobs = -1,
                  .sampling = MAAS_SAMPLING_INIT};
    rig r;
    for (int i = 0; i < 256; i++) {
        bytes[i] = (char)i;
        all[i] = (maas_str){&bytes[i], 1};
    }
    rig_open(&r, 1 << 22, 8, 64);
    a.sampling.temperature = 0;
    EXPECT_EQ(maas_engine_submit(r.engine, &a, hear, &plain, &plain.id, NULL, &r.err), MAAS_OK);
    a.sampling.dry_multiplier = 3;
    EXPECT_EQ(maas_engine_submit(r.engine, &a, hear, &whole, &whole.id, NULL, &r.err), MAAS_OK);
    a.dry_breaks = all;
    a.n_dry_breaks = 256;
    EXPECT_EQ(maas_engine_submit(r.engine, &a, hear, &broken, &broken.id, NULL, &r.err), MAAS_OK);
    run_all(&r);
    EXPECT(plain.done && broken.done && whole.done);
    EXPECT(memcmp(plain.tokens, whole.tokens, sizeof plain.tokens) != 0);
    EXPECT(memcmp(plain.tokens, broken.tokens, sizeof plain.tokens) == 0);
    rig_close(&r);
}

/* ---- speculation ---- */

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

static maas_grammar *grammar_of(rig *r, const char *text)
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
static maas_status ask_mode(rig *r, int i, int32_t drafts, const maas_str *stop, heard *h)
{
    const maas_sampling usual = MAAS_SAMPLING_INIT;
    int32_t tokens[128];
    maas_ask a = {.tokens = tokens,
                  .n_tokens = 20 + (uint32_t)(i * 7 % 40),
                  .max_tokens = LONG,
                  .ignore_end = true,
                  .n_logprobs = modes[i % N_MODES].n_logprobs,
                  .drafts = drafts,
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

static void expect_equal(const heard *a, const heard *b, int i, const char *how)
{
    EXPECT_MSG(a->n == b->n && memcmp(a->tokens, b->tokens, a->n * sizeof *a->tokens) == 0 &&
                   memcmp(a->logprobs, b->logprobs, a->n * sizeof *a->logprobs) == 0 &&
                   strcmp(a->text, b->text) == 0 && a->finish == b->finish,
               "%s, %s: another answer", modes[i % N_MODES].what, how);
}

static void plain_answers(heard *out, const maas_str *stop)
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

/* One after the other, and again over what the first round left in the cache: right tokens are
 * there, wrong ones are not. */
static void guesses_change_nothing_alone(void)
{
    static heard plain[MANY], guessed[MANY];
    uint64_t drafted = 0, accepted = 0;
    maas_engine_stats s;
    rig r;
    plain_answers(plain, NULL);
    rig_open(&r, 1 << 22, 8, 64);
    for (int k = 0; k < 3 * MANY; k++) {
        const int i = k % MANY;
        EXPECT_EQ(ask_mode(&r, i, k < 2 * MANY ? 1 + k % 17 : 0, NULL, &guessed[i]), MAAS_OK);
        run_all(&r);
        expect_equal(&guessed[i], &plain[i], i, "alone");
        drafted += guessed[i].timing.drafted;
        accepted += guessed[i].timing.accepted;
    }
    maas_engine_stats_of(r.engine, &s);
    EXPECT_EQ(s.drafted, drafted);
    EXPECT_EQ(s.accepted, accepted);
    EXPECT_MSG(accepted > MANY && accepted < drafted, "%d of %d", (int)accepted, (int)drafted);
    EXPECT_EQ(s.blocks, s.blocks_free);
    rig_close(&r);
}

static void guesses_change_nothing_in_a_crowd(void)
{
    static heard plain[MANY], guessed[MANY];
    static const size_t caches[] = {1 << 22, 16 * 16 * 512};
    plain_answers(plain, NULL);
    for (size_t c = 0; c < 2; c++) {
        maas_engine_stats s;
        rig r;
        rig_open(&r, caches[c], 6, 64);
        for (int i = 0; i < MANY; i++)
            EXPECT_EQ(ask_mode(&r, i, 8, NULL, &guessed[i]), MAAS_OK);
        run_all(&r);
        for (int i = 0; i < MANY; i++)
            expect_equal(&guessed[i], &plain[i], i, c ? "put off" : "in a crowd");
        maas_engine_stats_of(r.engine, &s);
        EXPECT(s.accepted > 0);
        EXPECT_EQ(s.preemptions > 0, c == 1);
        EXPECT_EQ(s.blocks, s.blocks_free);
        rig_close(&r);
    }
}

static void guesses_end_where_a_stop_text_does(void)
{
    static heard plain[MANY], guessed[MANY];
    static const maas_str stop = {"E", 1};
    int stopped = 0;
    rig r;
    plain_answers(plain, &stop);
    rig_open(&r, 1 << 22, 8, 64);
    for (int i = 0; i < MANY; i++) {
        EXPECT_EQ(ask_mode(&r, i, 12, &stop, &guessed[i]), MAAS_OK);
        run_all(&r);
        expect_equal(&guessed[i], &plain[i], i, "stopped");
        stopped += guessed[i].finish == MAAS_LM_STOP;
    }
    EXPECT(stopped > 0 && stopped < MANY);
    rig_close(&r);
}

/* As the engine has it: who is alone is not slowed for long by guesses that fail, and steps are
 * fewer where they do not. */
static void the_engine_weighs_guesses_by_itself(void)
{
    static heard h;
    rig r;
    rig_open(&r, 1 << 22, 8, 64);
    maas_engine_destroy(r.engine);
    const maas_engine_opts e = {.drafts = 7};
    EXPECT_EQ(maas_engine_create(r.model, r.tokenizer, &e, &r.engine, &r.err), MAAS_OK);
    for (int i = 0; i < N_MODES; i++) {
        static heard plain;
        EXPECT_EQ(ask_mode(&r, i, 0, NULL, &plain), MAAS_OK);
        run_all(&r);
        EXPECT_EQ(ask_mode(&r, i, -1, NULL, &h), MAAS_OK);
        run_all(&r);
        expect_equal(&h, &plain, i, "by itself");
    }
    maas_engine_stats s;
    maas_engine_stats_of(r.engine, &s);
    EXPECT(s.drafted > 0);
    rig_close(&r);
}

/* One prompt by turns with no adapter, either, and one of them by half: the same answers as alone,
 * those without one as a model that has none; and no block is shared across. */
static maas_status ask_adapted(rig *r, int i, heard *h)
{
    static const float strengths[] = {1, 1, 1, 0.5f};
    int32_t tokens[128];
    maas_ask a = {.tokens = tokens,
                  .n_tokens = prompt_of(3, tokens),
                  .max_tokens = LENGTH,
                  .ignore_end = true,
                  .n_logprobs = -1,
                  .adapter = (uint32_t[]){0, 1, 2, 1}[i % 4],
                  .strength = strengths[i % 4],
                  .sampling = MAAS_SAMPLING_INIT};
    *h = (heard){0};
    return maas_engine_submit(r->engine, &a, hear, h, &h->id, NULL, &r->err);
}

static void adapters_stand_beside_each_other(void)
{
    static heard single[4], together[12], base;
    int32_t tokens[128];
    rig r;
    EXPECT(prompt_of(3, tokens) > 2 * MAAS_PAGE);
    for (int i = 0; i < 4; i++) {
        rig_open_with(&r, 1 << 22, 8, 64, 2);
        EXPECT_EQ(ask_adapted(&r, i, &single[i]), MAAS_OK);
        run_all(&r);
        rig_close(&r);
    }
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < i; k++)
            EXPECT(memcmp(single[i].tokens, single[k].tokens, sizeof single[i].tokens) != 0);
    rig_open(&r, 1 << 22, 8, 64);
    EXPECT_EQ(ask_adapted(&r, 0, &base), MAAS_OK);
    run_all(&r);
    expect_same(&base, &single[0], 0);
    EXPECT_EQ(ask_adapted(&r, 1, &base), MAAS_E_INVALID);
    rig_close(&r);
    rig_open_with(&r, 1 << 22, 8, 64, 2);
    for (int i = 0; i < 12; i++) {
        EXPECT_EQ(ask_adapted(&r, i, &together[i]), MAAS_OK);
        if (i == 3 || i == 7)
            run_all(&r);
    }
    run_all(&r);
    for (int i = 0; i < 12; i++) {
        expect_same(&together[i], &single[i % 4], i);
        EXPECT_MSG((together[i].timing.cached_tokens > 0) == (i > 3), "request %d: %u cached", i,
                   together[i].timing.cached_tokens);
    }
    rig_close(&r);
}

static const mt_case cases[] = {
    MT_CASE(adapters_stand_beside_each_other),
    MT_CASE(company_changes_nothing),
    MT_CASE(preemption_changes_nothing),
    MT_CASE(what_does_not_fit_is_refused_with_numbers),
    MT_CASE(a_full_queue_says_when_to_come_again),
    MT_CASE(cancelled_and_late_ones_end),
    MT_CASE(held_ones_wait),
    MT_CASE(stop_texts_are_not_told),
    MT_CASE(breaks_of_dry_count),
    MT_CASE(guesses_change_nothing_alone),
    MT_CASE(guesses_change_nothing_in_a_crowd),
    MT_CASE(guesses_end_where_a_stop_text_does),
    MT_CASE(the_engine_weighs_guesses_by_itself),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
