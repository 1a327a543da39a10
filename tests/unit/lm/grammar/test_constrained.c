/* The engine with grammars, over a tiny model with random weights: every answer fits, and is the
 * same alone, in company, and when it was put off on the way. */
#include "maas_test.h"

#include "base/json.h"
#include "base/mem.h"
#include "lm/engine.h"
#include "lm/tiny.h"

static const char schema_text[] =
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":12},\"n\":{"
    "\"type\":\"integer\",\"minimum\":-5,\"maximum\":500},"
    "\"list\":{\"type\":\"array\",\"items\":{\"type\":\"boolean\"},\"maxItems\":4}},\"required\":["
    "\"name\",\"n\"],\"additionalProperties\":false}";

typedef struct rig {
    tiny t;
    maas_lm_source *source;
    maas_lm *model;
    maas_tokenizer *tokenizer;
    maas_engine *engine;
    maas_vocab *vocab;
    maas_grammar *grammar;
    maas_err err;
} rig;

static maas_status make_grammar(rig *r, maas_grammar_kind kind, const char *text,
                                maas_grammar **out)
{
    maas_grammar_part p = {.kind = kind, .text = {text, strlen(text)}};
    const maas_grammar_spec s = {.parts = &p, .n_parts = 1};
    json_t *j = kind == MAAS_GRAMMAR_SCHEMA ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    p.json = j;
    maas_status st = maas_grammar_create(&s, r->vocab, NULL, out, &r->err);
    json_decref(j);
    return st;
}

static void rig_open(rig *r, size_t cache_bytes, int max_seqs)
{
    *r = (rig){0};
    const maas_lm_file f = {"model.gguf", tiny_make(&r->t, MAAS_Q_Q8_0, 3)};
    const maas_lm_opts o = {
        .n_threads = 1, .cache_bytes = cache_bytes, .max_seqs = max_seqs, .max_rows = 64};
    const maas_engine_opts e = {.chunk = 24, .max_waiting = 100};
    EXPECT_EQ(maas_lm_source_open(&f, 1, NULL, &r->source, &r->err), MAAS_OK);
    EXPECT_EQ(maas_tokenizer_create(r->source, NULL, &r->tokenizer, &r->err), MAAS_OK);
    EXPECT_EQ(maas_lm_create(r->source, &o, &r->model, &r->err), MAAS_OK);
    EXPECT_EQ(maas_engine_create(r->model, r->tokenizer, &e, &r->engine, &r->err), MAAS_OK);
    EXPECT_EQ(
        maas_vocab_create(r->tokenizer, maas_lm_about(r->model)->n_vocab, NULL, &r->vocab, &r->err),
        MAAS_OK);
    EXPECT_EQ(make_grammar(r, MAAS_GRAMMAR_SCHEMA, schema_text, &r->grammar), MAAS_OK);
    EXPECT_STR(r->err.msg, "");
}

static void rig_close(rig *r)
{
    maas_grammar_unref(r->grammar);
    maas_vocab_unref(r->vocab);
    maas_engine_destroy(r->engine);
    maas_lm_destroy(r->model);
    maas_tokenizer_destroy(r->tokenizer);
    maas_lm_source_close(r->source);
    tiny_reset(&r->t);
    EXPECT_EQ(maas_mem_live(), 0);
}

typedef struct heard {
    char text[2048];
    uint32_t n;
    bool done, failed;
    maas_lm_finish finish;
    char why[360];
} heard;

static void hear(void *user, const maas_lm_event *ev)
{
    heard *h = user;
    EXPECT(!h->done);
    strncat(h->text, ev->text.p ? ev->text.p : "", ev->text.n);
    h->n += ev->kind == MAAS_LM_TOKEN;
    if (ev->kind == MAAS_LM_TOKEN)
        return;
    h->done = true;
    h->failed = ev->kind == MAAS_LM_FAILED;
    h->finish = ev->finish;
    if (h->failed)
        snprintf(h->why, sizeof h->why, "%s", ev->error->msg);
}

static maas_ask ask_of(int i, int32_t *tokens, maas_grammar *g)
{
    maas_ask a = {.tokens = tokens,
                  .n_tokens = 8 + (uint32_t)(i * 5 % 30),
                  .max_tokens = g ? 200 : 50,
                  .n_logprobs = -1,
                  .sampling = MAAS_SAMPLING_INIT,
                  .grammar = g};
    for (uint32_t k = 0; k < a.n_tokens; k++)
        tokens[k] = TINY_N_SPECIAL + (int32_t)(((uint32_t)i * 31 + k * 7) % 256);
    a.sampling.temperature = i % 3 ? 1.0f : 0;
    a.sampling.top_k = i % 3 == 2 ? 20 : 0;
    a.sampling.seed = (uint64_t)i;
    return a;
}

static void submit(rig *r, const maas_ask *a, heard *h)
{
    uint64_t id;
    *h = (heard){0};
    EXPECT_EQ(maas_engine_submit(r->engine, a, hear, h, &id, NULL, &r->err), MAAS_OK);
}

static void run_all(rig *r)
{
    for (int i = 0; i < 20000 && maas_engine_step(r->engine); i++)
        ;
}

static void expect_fits(const heard *h, int i)
{
    json_t *j = json_loads(h->text, 0, NULL);
    EXPECT_MSG(h->done && !h->failed && h->finish == MAAS_LM_STOP, "answer %d did not end: %s %s",
               i, h->text, h->why);
    const json_t *n = json_object_get(j, "n");
    EXPECT_MSG(json_is_string(json_object_get(j, "name")) && json_is_integer(n) &&
                   json_integer_value(n) >= -5 && json_integer_value(n) <= 500,
               "answer %d does not fit: %s", i, h->text);
    json_decref(j);
}

enum { N = 18 };

static void an_answer_fits_and_company_changes_nothing(void)
{
    static heard alone[N], together[N], again[N], small[N];
    int32_t tokens[64];
    rig r;
    for (int i = 0; i < N; i++) {
        rig_open(&r, 1 << 22, 8);
        const maas_ask a = ask_of(i, tokens, i % 4 ? r.grammar : NULL);
        submit(&r, &a, &alone[i]);
        run_all(&r);
        if (i % 4)
            expect_fits(&alone[i], i);
        rig_close(&r);
    }
    heard *const rounds[] = {together, again, small};
    rig_open(&r, 1 << 22, 8);
    for (int round = 0; round < 3; round++) {
        if (round == 2) { /* a cache for two: the others are put off on the way */
            rig_close(&r);
            rig_open(&r, (size_t)40 << 10, 8);
        }
        for (int i = 0; i < N; i++) {
            const maas_ask a = ask_of(i, tokens, i % 4 ? r.grammar : NULL);
            submit(&r, &a, &rounds[round][i]);
        }
        run_all(&r);
        for (int i = 0; i < N; i++)
            EXPECT_MSG(strcmp(rounds[round][i].text, alone[i].text) == 0,
                       "round %d, request %d: %s, alone %s", round, i, rounds[round][i].text,
                       alone[i].text);
    }
    maas_engine_stats s;
    maas_engine_stats_of(r.engine, &s);
    EXPECT_MSG(s.preemptions > 0, "nothing was put off");
    rig_close(&r);
}

static void it_ends_as_it_says(void)
{
    int32_t tokens[64];
    heard h;
    rig r;
    maas_grammar *g;
    rig_open(&r, 1 << 22, 8);

    maas_ask a = ask_of(1, tokens, r.grammar);
    a.max_tokens = 3;
    submit(&r, &a, &h);
    run_all(&r);
    EXPECT(h.finish == MAAS_LM_LENGTH && h.n == 3 && h.text[0] == '{');

    EXPECT_EQ(make_grammar(&r, MAAS_GRAMMAR_REGEX, "ab{2}|c", &g), MAAS_OK);
    a = ask_of(1, tokens, g); /* nothing but the end can come: no step is made for it */
    submit(&r, &a, &h);
    run_all(&r);
    EXPECT(h.finish == MAAS_LM_STOP && (strcmp(h.text, "abb") == 0 || strcmp(h.text, "c") == 0));
    EXPECT_EQ(h.n, strlen(h.text));
    a.ignore_end = true; /* and this one is not answered longer than it fits */
    submit(&r, &a, &h);
    run_all(&r);
    EXPECT(h.finish == MAAS_LM_STOP && (strcmp(h.text, "abb") == 0 || strcmp(h.text, "c") == 0));
    maas_grammar_unref(g);

    EXPECT_EQ(make_grammar(&r, MAAS_GRAMMAR_REGEX, "x*", &g), MAAS_OK);
    a = ask_of(2, tokens, g); /* too early to end: what fits goes on */
    a.min_tokens = 7;
    a.max_tokens = 30;
    submit(&r, &a, &h);
    run_all(&r);
    EXPECT_MSG(h.n >= 7 && strspn(h.text, "x") == strlen(h.text) && strlen(h.text) >= 7, "%s",
               h.text);
    maas_grammar_unref(g);

    EXPECT_EQ(make_grammar(&r, MAAS_GRAMMAR_GBNF, "root ::= ((\"a\"{1,3000}){1,3000}){1,3000}", &g),
              MAAS_OK);
    a = ask_of(2, tokens, g);
    submit(&r, &a, &h);
    run_all(&r);
    EXPECT_MSG(h.done && (!h.failed || strstr(h.why, "too many ways")), "%s", h.why);
    maas_grammar_unref(g);
    rig_close(&r);
}

static void a_grammar_of_another_vocabulary_is_refused(void)
{
    static const maas_str pieces[] = {{"a", 1}, {"", 0}};
    static const bool ends[] = {false, true};
    int32_t tokens[64];
    uint64_t id;
    heard h = {0};
    rig r;
    rig_open(&r, 1 << 22, 8);
    maas_vocab *v;
    maas_grammar *g;
    const maas_grammar_part p = {.kind = MAAS_GRAMMAR_TEXT, .text = {"aa", 2}};
    const maas_grammar_spec s = {.parts = &p, .n_parts = 1};
    EXPECT_EQ(maas_vocab_of_pieces(pieces, ends, 2, NULL, &v, &r.err), MAAS_OK);
    EXPECT_EQ(maas_grammar_create(&s, v, NULL, &g, &r.err), MAAS_OK);
    const maas_ask a = ask_of(0, tokens, g);
    EXPECT_EQ(maas_engine_submit(r.engine, &a, hear, &h, &id, NULL, &r.err), MAAS_E_INVALID);
    maas_grammar_unref(g);
    maas_vocab_unref(v);
    rig_close(&r);
}

int main(int argc, char **argv)
{
    static const mt_case cases[] = {
        MT_CASE(an_answer_fits_and_company_changes_nothing),
        MT_CASE(it_ends_as_it_says),
        MT_CASE(a_grammar_of_another_vocabulary_is_refused),
    };
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
