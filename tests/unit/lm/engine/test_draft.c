/* A draft model changes nothing of an answer, however well or badly it guesses; and gives back what
 * it took, however a request ends. */
#include "modes.h"

typedef struct pair { /* a model, and one that proposes to it */
    rig r;
    tiny t;
    maas_lm_source *source;
    maas_lm *model;
    maas_tokenizer *tokenizer;
} pair;

/* seed 3: the same model once more, which is always right about the best token; another one hardly
 * ever is. */
static maas_budget draft_budget;
static void pair_open(pair *p, uint64_t seed, size_t cache_bytes, size_t draft_bytes, int max_rows)
{
    draft_budget = (maas_budget){.limit = (size_t)1 << 40};
    const maas_lm_opts o = {.n_threads = 1,
                            .budget = &draft_budget,
                            .cache_bytes = draft_bytes,
                            .max_seqs = 6,
                            .max_rows = max_rows};
    *p = (pair){0};
    rig_open(&p->r, cache_bytes, 6, 64);
    maas_engine_destroy(p->r.engine);
    const maas_lm_file f = {"model.gguf", tiny_make(&p->t, MAAS_Q_Q8_0, seed)};
    maas_err *err = &p->r.err;
    EXPECT_EQ(maas_lm_source_open(&f, 1, NULL, &p->source, err), MAAS_OK);
    EXPECT_EQ(maas_tokenizer_create(p->source, NULL, &p->tokenizer, err), MAAS_OK);
    EXPECT_EQ(maas_tokenizer_same(p->r.tokenizer, p->tokenizer, err), MAAS_OK);
    EXPECT_EQ(maas_lm_create(p->source, &o, &p->model, err), MAAS_OK);
    const maas_engine_opts e = {.chunk = 24, .max_waiting = 100, .drafts = 7, .draft = p->model};
    EXPECT_EQ(maas_engine_create(p->r.model, p->r.tokenizer, &e, &p->r.engine, err), MAAS_OK);
    EXPECT_STR(err->msg, "");
}

static void expect_all_given_back(pair *p)
{
    maas_engine_stats s;
    maas_engine_stats_of(p->r.engine, &s);
    EXPECT_EQ(s.blocks, s.blocks_free);
    EXPECT(s.draft_blocks > 0);
    EXPECT_EQ(s.draft_blocks, s.draft_blocks_free);
}

static void pair_close(pair *p)
{
    maas_lm *model = p->model;
    expect_all_given_back(p);
    maas_engine_destroy(p->r.engine);
    p->r.engine = NULL;
    maas_lm_destroy(model);
    maas_tokenizer_destroy(p->tokenizer);
    maas_lm_source_close(p->source);
    tiny_reset(&p->t);
    rig_close(&p->r);
}

/* One after the other, asked and by itself; then again over what is in the caches. */
static void alone_nothing_changes(void)
{
    static heard plain[MANY], h[MANY];
    uint64_t right[2];
    plain_answers(plain, NULL);
    for (uint64_t seed = 3; seed <= 4; seed++) {
        maas_engine_stats s;
        uint64_t drafted = 0, accepted = 0;
        pair p;
        pair_open(&p, seed, 1 << 22, 1 << 22, 64);
        for (int k = 0; k < 2 * MANY; k++) {
            const int i = k % MANY;
            EXPECT_EQ(ask_mode_by(&p.r, i, k % 5 ? 1 + k % 17 : -1, MAAS_BY_DRAFT, NULL, &h[i]),
                      MAAS_OK);
            run_all(&p.r);
            expect_equal(&h[i], &plain[i], i, seed == 3 ? "its own draft" : "another's");
            drafted += h[i].timing.drafted;
            accepted += h[i].timing.accepted;
            if (seed == 3 && i % N_MODES == 0 && k % 5) /* greedy */
                EXPECT_EQ(h[i].timing.drafted, h[i].timing.accepted);
        }
        maas_engine_stats_of(p.r.engine, &s);
        EXPECT_EQ(s.drafted, drafted);
        EXPECT_EQ(s.accepted, accepted);
        EXPECT(drafted > 1000);
        right[seed - 3] = accepted;
        pair_close(&p);
    }
    EXPECT_MSG(right[0] > 2 * right[1], "%d and %d were right", (int)right[0], (int)right[1]);
}

/* Many at once: with room, with a cache that makes some give way, with a draft cache for one or
 * two, and with a draft model whose steps hold few rows. */
static void in_a_crowd_nothing_changes(void)
{
    static heard plain[MANY], h[MANY];
    static const struct {
        const char *what;
        size_t cache, draft;
        int rows;
    } rows[] = {{"in a crowd", 1 << 22, 1 << 22, 64},
                {"put off", 16 * 16 * 512, 1 << 22, 64},
                {"a small draft cache", 1 << 22, 16 * 1024, 64},
                {"few rows", 1 << 22, 1 << 22, 4}};
    plain_answers(plain, NULL);
    for (size_t c = 0; c < MAAS_COUNT(rows); c++) {
        maas_engine_stats s;
        pair p;
        pair_open(&p, 3, rows[c].cache, rows[c].draft, rows[c].rows);
        for (int i = 0; i < MANY; i++)
            EXPECT_EQ(ask_mode_by(&p.r, i, i % 4 ? 8 : -1, (maas_proposer)(i % 3), NULL, &h[i]),
                      MAAS_OK);
        run_all(&p.r);
        for (int i = 0; i < MANY; i++)
            expect_equal(&h[i], &plain[i], i, rows[c].what);
        maas_engine_stats_of(p.r.engine, &s);
        EXPECT(s.accepted > 0);
        EXPECT_EQ(s.preemptions > 0, c == 1);
        pair_close(&p);
    }
}

static uint32_t steps_of(pair *p, int32_t drafts, heard *h)
{
    uint32_t n = 0;
    EXPECT_EQ(ask_mode_by(&p->r, 0, drafts, MAAS_BY_DRAFT, NULL, h), MAAS_OK);
    for (; n < 1000 && maas_engine_step(p->r.engine); n++)
        ;
    return n;
}

static void a_good_draft_saves_steps(void)
{
    static heard h;
    pair p;
    pair_open(&p, 3, 1 << 22, 1 << 22, 64);
    const uint32_t plain = steps_of(&p, 0, &h), fast = steps_of(&p, 7, &h);
    EXPECT_MSG(fast * 4 < plain, "%u steps, %u with a draft model", plain, fast);
    EXPECT_EQ(h.timing.drafted, h.timing.accepted);
    pair_close(&p);
}

/* In the middle of it: cancelled, held, let go. */
static void all_is_given_back(void)
{
    static heard h[3], plain[MANY];
    maas_engine_stats s;
    pair p;
    plain_answers(plain, NULL);
    pair_open(&p, 3, 1 << 22, 1 << 22, 64);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(ask_mode_by(&p.r, i, 4, MAAS_BY_DRAFT, NULL, &h[i]), MAAS_OK);
    for (int i = 0; i < 12; i++)
        maas_engine_step(p.r.engine);
    maas_engine_stats_of(p.r.engine, &s);
    EXPECT(s.draft_blocks_free < s.draft_blocks);
    maas_engine_cancel(p.r.engine, h[1].id);
    maas_engine_hold(p.r.engine, h[0].id, true);
    maas_engine_hold(p.r.engine, h[2].id, true);
    run_all(&p.r);
    EXPECT(h[1].done && !h[0].done && !h[2].done);
    EXPECT_EQ(h[1].finish, MAAS_LM_CANCELLED);
    expect_all_given_back(&p);
    maas_engine_hold(p.r.engine, h[0].id, false);
    run_all(&p.r);
    expect_equal(&h[0], &plain[0], 0, "held");
    maas_engine_cancel_all(p.r.engine);
    run_all(&p.r);
    pair_close(&p);
}

static void who_has_none_cannot_ask_for_it(void)
{
    static heard h;
    rig r;
    rig_open(&r, 1 << 22, 8, 64);
    EXPECT_EQ(ask_mode_by(&r, 0, 4, MAAS_BY_DRAFT, NULL, &h), MAAS_E_INVALID);
    EXPECT_MSG(strstr(r.err.msg, "no draft model"), "%s", r.err.msg);
    rig_close(&r);
}

/* A model with a few tokens more, and one whose token has another name. */
/* No memory for a plan of its steps: told once, counted, and the answers are those of the model; a
 * request that asks for it gets one, too. */
static void without_it_answers_go_on(void)
{
    static heard plain[MANY], h[MANY];
    plain_answers(plain, NULL);
    for (int by = 0; by < 2; by++) {
        maas_engine_stats s;
        pair p;
        int told = 0;
        pair_open(&p, 3, 0, 0, 64);
        draft_budget.limit = draft_budget.used;
        for (int i = 0; i < MANY; i++)
            EXPECT_EQ(ask_mode_by(&p.r, i, 8, by ? MAAS_BY_DRAFT : MAAS_BY_ANY, NULL, &h[i]),
                      MAAS_OK);
        for (int i = 0; i < 20000 && maas_engine_step(p.r.engine); i++) {
            const maas_err *why = maas_engine_draft_failure(p.r.engine);
            told += why != NULL;
            EXPECT(!why || (why->code == MAAS_E_NOMEM && why->msg[0]));
        }
        maas_engine_stats_of(p.r.engine, &s);
        EXPECT_EQ(told, 1);
        EXPECT_EQ(s.draft_failures, 1);
        for (int i = 0; i < MANY; i++)
            expect_equal(&h[i], &plain[i], i, "without it");
        draft_budget.limit = (size_t)1 << 40;
        pair_close(&p);
    }
}

static void another_vocabulary_is_refused(void)
{
    static const char *const more[] = {"zzz", NULL}, *const other[] = {"zzy", NULL};
    static const struct {
        const char *const *a, *const *b;
        const char *words;
    } rows[] = {{more, NULL, "260 tokens, the other 259"},
                {more, other, "token 259 is 'zzz' in one, 'zzy' in the other"},
                {more, more, NULL}};
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        tiny t[2];
        maas_lm_source *s[2];
        maas_tokenizer *v[2];
        maas_err err = {0};
        for (int k = 0; k < 2; k++) {
            tiny_script = k ? rows[i].b : rows[i].a;
            const maas_lm_file f = {"model.gguf", tiny_make(&t[k], MAAS_Q_Q8_0, 3)};
            EXPECT_EQ(maas_lm_source_open(&f, 1, NULL, &s[k], &err), MAAS_OK);
            EXPECT_EQ(maas_tokenizer_create(s[k], NULL, &v[k], &err), MAAS_OK);
        }
        EXPECT_EQ(maas_tokenizer_same(v[0], v[1], &err), rows[i].words ? MAAS_E_INVALID : MAAS_OK);
        EXPECT_MSG(!rows[i].words || strstr(err.msg, rows[i].words), "%s", err.msg);
        for (int k = 0; k < 2; k++) {
            maas_tokenizer_destroy(v[k]);
            maas_lm_source_close(s[k]);
            tiny_reset(&t[k]);
        }
    }
    tiny_script = NULL;
    EXPECT_EQ(maas_mem_live(), 0);
}

static const mt_case cases[] = {
    MT_CASE(alone_nothing_changes),          MT_CASE(in_a_crowd_nothing_changes),
    MT_CASE(a_good_draft_saves_steps),       MT_CASE(all_is_given_back),
    MT_CASE(who_has_none_cannot_ask_for_it), MT_CASE(another_vocabulary_is_refused),
    MT_CASE(without_it_answers_go_on),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
