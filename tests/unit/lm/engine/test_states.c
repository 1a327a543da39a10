/* Models that keep a state instead of keys and values, behind an engine: company, chunks, waiting,
 * being held and begun again change nothing; what cannot be had with a state is refused. */
#include "engine_rig.h"

#include "lm/engine/states.h"
#include "lm/model/model_int.h"

static void open_as(rig *r, const char *arch, size_t cache_bytes, int max_seqs, uint32_t chunk)
{
    *r = (rig){0};
    const maas_lm_file f = {"model.gguf", tiny_make_of(&r->t, tiny_arch_of(arch), MAAS_Q_Q8_0, 3)};
    const maas_lm_opts o = {
        .n_threads = 1, .cache_bytes = cache_bytes, .max_seqs = max_seqs, .max_rows = 64};
    const maas_engine_opts e = {.chunk = chunk, .max_waiting = 100, .drafts = 4};
    EXPECT_EQ(maas_lm_source_open(&f, 1, NULL, &r->source, &r->err), MAAS_OK);
    EXPECT_EQ(maas_tokenizer_create(r->source, NULL, &r->tokenizer, &r->err), MAAS_OK);
    EXPECT_EQ(maas_lm_create(r->source, &o, &r->model, &r->err), MAAS_OK);
    EXPECT_EQ(maas_engine_create(r->model, r->tokenizer, &e, &r->engine, &r->err), MAAS_OK);
    EXPECT_STR(r->err.msg, "");
}

static size_t names_of(const char **out)
{
    size_t n = 0;
    for (size_t i = 0; i < maas_lm_n_archs; i++)
        if (maas_lm_archs[i].flags & MAAS_ARCH_STATE)
            out[n++] = maas_lm_archs[i].name;
    EXPECT(n >= 2);
    return n;
}

static void each_alone(const char *arch, float temperature, heard *out)
{
    for (int i = 0; i < N; i++) {
        rig r;
        open_as(&r, arch, 1 << 22, 8, 24);
        EXPECT_EQ(ask(&r, i, LENGTH, temperature, &out[i]), MAAS_OK);
        run_all(&r);
        EXPECT(out[i].done && !out[i].failed);
        EXPECT_EQ(out[i].n, LENGTH);
        rig_close(&r);
    }
}

/* All at once, with room for `seqs` states, the rest waits; some are held for a while, and begin
 * again in whatever state is free then. */
static void together(const char *arch, int seqs, uint32_t chunk, bool hold, float temperature,
                     const heard *want)
{
    static heard h[N];
    maas_engine_stats s;
    rig r;
    open_as(&r, arch, 1 << 22, 8, chunk);
    const size_t state = maas_lm_about(r.model)->state_bytes;
    rig_close(&r);
    open_as(&r, arch, state * (size_t)seqs + state / 2, 8, chunk);
    const maas_lm_info *info = maas_lm_about(r.model);
    EXPECT_EQ(info->n_states, seqs);
    EXPECT_EQ(info->max_seqs, seqs);
    EXPECT_EQ(info->n_blocks, 0);
    EXPECT_EQ(info->n_context, TINY_CONTEXT);
    for (int i = 0; i < N; i++)
        EXPECT_EQ(ask(&r, i, LENGTH, temperature, &h[i]), MAAS_OK);
    for (int step = 0; hold && step < 60; step++) {
        maas_engine_step(r.engine);
        maas_engine_hold(r.engine, h[step % N].id, true);
        maas_engine_hold(r.engine, h[(step + N - 3) % N].id, false);
    }
    for (int i = 0; i < N; i++)
        maas_engine_hold(r.engine, h[i].id, false);
    run_all(&r);
    for (int i = 0; i < N; i++) {
        EXPECT(h[i].done && !h[i].failed);
        expect_same(&h[i], &want[i], i);
        EXPECT_EQ(h[i].timing.drafted, 0);
    }
    maas_engine_stats_of(r.engine, &s);
    EXPECT(s.running == 0 && s.waiting == 0 && s.blocks == 0 && s.blocks_free == 0);
    rig_close(&r);
}

static void company_and_turns_change_nothing(void)
{
    static heard want[N];
    const char *all[64];
    for (size_t i = names_of(all); i-- > 0;)
        for (int warm = 0; warm < 2; warm++) {
            const float temperature = warm ? 0.8f : 0;
            each_alone(all[i], temperature, want);
            together(all[i], 8, 24, false, temperature, want);
            together(all[i], 3, 5, false, temperature, want);
            together(all[i], 1, 24, false, temperature, want);
            together(all[i], 3, 7, true, temperature, want);
        }
}

/* ---- what is kept ---- */

static maas_status ask_tokens(rig *r, const int32_t *tokens, uint32_t n, float temperature,
                              heard *h)
{
    maas_ask a = {.tokens = tokens,
                  .n_tokens = n,
                  .max_tokens = LENGTH,
                  .ignore_end = true,
                  .n_logprobs = 1,
                  .sampling = MAAS_SAMPLING_INIT};
    a.sampling.temperature = temperature;
    *h = (heard){0};
    return maas_engine_submit(r->engine, &a, hear, h, &h->id, NULL, &r->err);
}

static void expect_answer(const heard *h, const heard *want, uint32_t cached)
{
    EXPECT(h->done && !h->failed);
    expect_same(h, want, 0);
    EXPECT(memcmp(h->logprobs, want->logprobs, want->n * sizeof *h->logprobs) == 0);
    EXPECT_EQ(h->timing.cached_tokens, cached);
}

/* The next turn begins with all that was said: it goes on from the state at the end of that, with
 * the answer that it has from the beginning; until somebody else needed the place. */
static void a_conversation_goes_on(void)
{
    static heard first, second, h, other[2];
    int32_t tokens[256];
    for (int warm = 0; warm < 2; warm++) {
        const float temperature = warm ? 0.8f : 0;
        const uint32_t n = prompt_of(4, tokens), said = n + LENGTH - 1;
        rig r;
        open_as(&r, "mamba2", 1 << 22, 2, 24);
        EXPECT_EQ(ask_tokens(&r, tokens, n, temperature, &first), MAAS_OK);
        run_all(&r);
        memcpy(tokens + n, first.tokens, LENGTH * sizeof *tokens);
        const uint32_t turn = n + LENGTH + prompt_of(5, tokens + n + LENGTH);
        rig_close(&r);
        open_as(&r, "mamba2", 1 << 22, 2, 24);
        EXPECT_EQ(ask_tokens(&r, tokens, turn, temperature, &second), MAAS_OK);
        run_all(&r);
        EXPECT_EQ(second.timing.cached_tokens, 0);
        EXPECT_EQ(ask_tokens(&r, tokens, n, temperature, &h), MAAS_OK);
        run_all(&r);
        expect_answer(&h, &first, 0);
        EXPECT_EQ(ask_tokens(&r, tokens, turn, temperature, &h), MAAS_OK);
        run_all(&r);
        expect_answer(&h, &second, said);
        EXPECT_EQ(ask_tokens(&r, tokens, n, temperature, &h), MAAS_OK);
        run_all(&r);
        for (int i = 0; i < 2; i++)
            EXPECT_EQ(ask(&r, 7 + i, LENGTH, 0, &other[i]), MAAS_OK);
        run_all(&r);
        EXPECT_EQ(ask_tokens(&r, tokens, turn, temperature, &h), MAAS_OK);
        run_all(&r);
        expect_answer(&h, &second, 0);
        rig_close(&r);
    }
}

static void states_know_their_tokens(void)
{
    static const int32_t a[] = {1, 2, 3, 4, 5}, b[] = {1, 2, 9, 4, 5};
    static int32_t many[MAAS_STATES_MAX_KEPT + 2];
    maas_states *s = NULL;
    uint32_t past = 7;
    EXPECT_EQ(maas_states_create(3, &s, NULL), MAAS_OK);
    const int32_t one = maas_states_take(s, 0, a, 5, &past);
    EXPECT_EQ(past, 0);
    const int32_t two = maas_states_take(s, 0, a, 5, &past);
    const int32_t three = maas_states_take(s, 0, a, 5, &past);
    EXPECT(one >= 0 && two >= 0 && three >= 0 && one != two && two != three && one != three);
    EXPECT_EQ(maas_states_take(s, 0, a, 5, &past), -1);
    EXPECT_EQ(maas_states_n_free(s), 0);
    maas_states_give(s, one, 0, a, 2);
    maas_states_give(s, two, 0, a, 4);
    maas_states_give(s, three, 0, b, 4);
    EXPECT_EQ(maas_states_take(s, 0, a, 5, &past), two); /* the longest */
    EXPECT_EQ(past, 4);
    maas_states_give(s, two, 0, a, 4);
    EXPECT_EQ(maas_states_take(s, 0, a, 4, &past), one); /* the last token is not in it */
    EXPECT_EQ(past, 2);
    EXPECT_EQ(maas_states_take(s, 1, a, 5, &past), three); /* another kind: the oldest one */
    EXPECT_EQ(past, 0);
    maas_states_give(s, three, 1, a, 0); /* nobody knows what is in it: the first that is taken */
    EXPECT_EQ(maas_states_take(s, 0, b, 5, &past), three);
    EXPECT_EQ(past, 0);
    maas_states_give(s, three, 0, many, MAAS_STATES_MAX_KEPT + 1); /* too long */
    EXPECT_EQ(maas_states_take(s, 0, many, MAAS_STATES_MAX_KEPT + 2, &past), three);
    EXPECT_EQ(past, 0);
    EXPECT_EQ(maas_states_n_free(s), 1);
    maas_states_destroy(s);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void steps_have_a_state_each(void)
{
    const int32_t tokens[] = {1, 2};
    const maas_lm_seq seqs[] = {{1, 0, NULL, .state = 1},
                                {1, 0, NULL, .state = 1},
                                {1, 0, NULL, .state = 8},
                                {1, 0, NULL, .state = -1}};
    const int32_t row = 0;
    const float *logits;
    rig r;
    open_as(&r, "mamba2", 1 << 22, 8, 24);
    for (int i = 1; i < 4; i++) {
        const maas_lm_seq two[] = {seqs[0], seqs[i]};
        const maas_lm_batch b = {tokens, two, &row, 2, 1};
        r.err = (maas_err){0};
        EXPECT_EQ(maas_lm_step(r.model, &b, &logits, &r.err), MAAS_E_INVALID);
        EXPECT_MSG(
            strstr(r.err.msg, i == 1 ? "sequences 0 and 1 have one state, 1" : "sequence 1: state"),
            "%s", r.err.msg);
    }
    rig_close(&r);
}

/* As what proposes, and as what checks. */
static void nothing_is_proposed(void)
{
    static const char *const pairs[][3] = {{"mamba2", "llama", "cannot be a draft model"},
                                           {"llama", "mamba2", "has no use for a draft model"}};
    for (size_t i = 0; i < 2; i++) {
        rig r, d;
        maas_engine *e = NULL;
        open_as(&d, pairs[i][0], 1 << 22, 8, 24);
        open_as(&r, pairs[i][1], 1 << 22, 8, 24);
        const maas_engine_opts o = {.draft = d.model};
        EXPECT_EQ(maas_engine_create(r.model, r.tokenizer, &o, &e, &r.err), MAAS_E_UNSUPPORTED);
        EXPECT_MSG(strstr(r.err.msg, pairs[i][2]), "%s", r.err.msg);
        maas_engine_destroy(d.engine);
        maas_lm_destroy(d.model);
        maas_tokenizer_destroy(d.tokenizer);
        maas_lm_source_close(d.source);
        tiny_reset(&d.t);
        rig_close(&r);
    }
}

static void bytes_are_refused(void)
{
    rig r = {0};
    maas_lm *m = NULL;
    open_as(&r, "mamba2", 1 << 22, 8, 24);
    const maas_lm_opts o = {.cache = MAAS_LM_CACHE_Q8};
    EXPECT_EQ(maas_lm_create(r.source, &o, &m, &r.err), MAAS_E_UNSUPPORTED);
    EXPECT_MSG(strstr(r.err.msg, "mamba2 keeps a state of floats"), "%s", r.err.msg);
    rig_close(&r);
}

static const mt_case cases[] = {
    MT_CASE(company_and_turns_change_nothing),
    MT_CASE(a_conversation_goes_on),
    MT_CASE(states_know_their_tokens),
    MT_CASE(steps_have_a_state_each),
    MT_CASE(nothing_is_proposed),
    MT_CASE(bytes_are_refused),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
