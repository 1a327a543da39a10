/* lm/engine: tokens that are proposed change nothing of an answer. */
#include "modes.h"

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

static const mt_case cases[] = {
    MT_CASE(guesses_change_nothing_alone),
    MT_CASE(guesses_change_nothing_in_a_crowd),
    MT_CASE(guesses_end_where_a_stop_text_does),
    MT_CASE(the_engine_weighs_guesses_by_itself),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
