/* The engine over a tiny model: what a request gets does not depend on company, on the cache, on
 * how prompts were cut, or on being put off; everything ends, and ends as it says. */
#include "engine_rig.h"

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
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
