/* serve/sequences: one request has a sequence at a time, in order; budgets, limits, idleness. */
#include "serve/sequences.h"

#include <pthread.h>
#include <semaphore.h>
#include <string.h>

#include "maas_test.h"

static maas_sequence_name named(const char *id)
{
    return (maas_sequence_name){1, "m", {id, strlen(id)}};
}

static maas_sequences *table(uint64_t idle_ns, uint32_t max, maas_budget *b)
{
    const maas_sequences_opts o = {.idle_ns = idle_ns, .max = max, .budget = b};
    maas_sequences *s = NULL;
    maas_err err = {0};
    EXPECT_EQ(maas_sequences_create(&o, &s, &err), MAAS_OK);
    return s;
}

static maas_status stage(maas_sequence *q, int64_t v, maas_err *err)
{
    const int64_t one = 1;
    const maas_tensor t = maas_tensor_of(MAAS_I64, 1, &one, &v);
    return maas_sequence_stage(q, 0, 1, &t, err);
}

static int64_t state(const maas_sequence *q)
{
    const maas_tensor *t = maas_sequence_state(q, 0);
    return t ? *(const int64_t *)t->data : -1;
}

static void what_is_kept_is_found(void)
{
    maas_budget b = {0};
    maas_sequences *s = table(UINT64_MAX, 10, &b);
    const maas_sequence_name n = named("a");
    maas_sequence *q;
    maas_err err = {0};
    EXPECT_EQ(maas_sequence_enter(s, &n, NULL, &q, &err), MAAS_OK);
    EXPECT_EQ(maas_sequence_begin(q, false, &err), MAAS_E_INVALID);
    maas_sequence_leave(s, q, MAAS_SEQUENCE_FAILED);
    EXPECT_EQ(maas_sequences_n(s), 0);
    for (int i = 0; i < 3; i++) {
        maas_sequence *other;
        EXPECT_EQ(maas_sequence_enter(s, &n, NULL, &q, &err), MAAS_OK);
        EXPECT_EQ(maas_sequence_enter(s, &n, NULL, &other, &err), MAAS_OK);
        EXPECT(other == NULL);
        EXPECT_EQ(maas_sequence_begin(q, i == 0, &err), MAAS_OK);
        EXPECT_EQ(state(q), i - 1);
        EXPECT_EQ(maas_sequence_version(q), i);
        maas_sequence_set_version(q, i + 1);
        EXPECT_EQ(stage(q, i, &err), MAAS_OK);
        maas_sequence_leave(s, q, MAAS_SEQUENCE_KEEP);
    }
    EXPECT_EQ(maas_sequence_enter(s, &n, NULL, &q, &err), MAAS_OK);
    EXPECT_EQ(stage(q, 99, &err), MAAS_OK);
    maas_sequence_leave(s, q, MAAS_SEQUENCE_FAILED); /* as if it never was */
    EXPECT_EQ(maas_sequence_enter(s, &n, NULL, &q, &err), MAAS_OK);
    EXPECT_EQ(state(q), 2);
    EXPECT_EQ(b.used, 8);
    maas_sequence_leave(s, q, MAAS_SEQUENCE_OVER);
    EXPECT_EQ(maas_sequences_n(s), 0);
    EXPECT_EQ(b.used, 0);
    maas_sequences_destroy(s);
}

static void limits_hold(void)
{
    maas_budget b = {.limit = 4};
    maas_sequences *s = table(UINT64_MAX, 100, &b);
    maas_sequence *q[100], *more;
    maas_err err = {0};
    char id[100][8];
    for (int i = 0; i < 100; i++) {
        snprintf(id[i], sizeof id[i], "%d", i);
        const maas_sequence_name n = named(id[i]);
        EXPECT_EQ(maas_sequence_enter(s, &n, NULL, &q[i], &err), MAAS_OK);
        EXPECT_EQ(maas_sequence_begin(q[i], true, &err), MAAS_OK);
    }
    const maas_sequence_name n = named("one too many");
    EXPECT_EQ(maas_sequence_enter(s, &n, NULL, &more, &err), MAAS_E_BUSY);
    EXPECT_EQ(stage(q[0], 1, &err), MAAS_E_NOMEM);
    EXPECT_EQ(b.used, 0);
    for (int i = 0; i < 100; i++)
        maas_sequence_leave(s, q[i], i % 2 ? MAAS_SEQUENCE_OVER : MAAS_SEQUENCE_KEEP);
    EXPECT_EQ(maas_sequences_n(s), 50);
    maas_sequences_destroy(s);
}

static void idle_ones_are_forgotten(void)
{
    maas_sequences *s = table(0, 10, NULL);
    const maas_sequence_name n = named("a"), held = named("held");
    maas_sequence *q, *h;
    maas_err err = {0};
    EXPECT_EQ(maas_sequence_enter(s, &held, NULL, &h, &err), MAAS_OK);
    EXPECT_EQ(maas_sequence_begin(h, true, &err), MAAS_OK);
    EXPECT_EQ(maas_sequence_enter(s, &n, NULL, &q, &err), MAAS_OK);
    EXPECT_EQ(maas_sequence_begin(q, true, &err), MAAS_OK);
    maas_sequence_leave(s, q, MAAS_SEQUENCE_KEEP);
    EXPECT_EQ(maas_sequence_enter(s, &n, NULL, &q, &err), MAAS_OK); /* before any sweep */
    EXPECT_EQ(maas_sequence_begin(q, false, &err), MAAS_E_INVALID);
    EXPECT_EQ(maas_sequence_begin(q, true, &err), MAAS_OK);
    maas_sequence_leave(s, q, MAAS_SEQUENCE_KEEP);
    EXPECT_EQ(maas_sequences_n(s), 2);
    maas_sequences_sweep(s);
    EXPECT_EQ(maas_sequences_n(s), 1); /* the held one */
    maas_sequence_leave(s, h, MAAS_SEQUENCE_OVER);
    maas_sequences_destroy(s);
}

/* ---- threads ---- */

enum { THREADS = 8, TURNS = 500 };

typedef struct worker {
    maas_sequences *s;
    sem_t turn;
} worker;

static void on_turn(maas_sequence_wait *w)
{
    sem_post(&((worker *)w->user)->turn);
}

static void *add(void *arg)
{
    worker *me = arg;
    const maas_sequence_name n = named("shared");
    for (int i = 0; i < TURNS; i++) {
        maas_sequence_wait wait = {.go = on_turn, .user = me};
        maas_sequence *q;
        maas_err err = {0};
        EXPECT_EQ(maas_sequence_enter(me->s, &n, &wait, &q, &err), MAAS_OK);
        if (!q) {
            sem_wait(&me->turn);
            q = wait.sequence;
        }
        EXPECT_EQ(maas_sequence_begin(q, false, &err), MAAS_OK);
        EXPECT_EQ(stage(q, state(q) + 1, &err), MAAS_OK);
        maas_sequence_leave(me->s, q, MAAS_SEQUENCE_KEEP);
    }
    return NULL;
}

static void turns_come_one_after_the_other(void)
{
    maas_sequences *s = table(UINT64_MAX, 10, NULL);
    const maas_sequence_name n = named("shared");
    maas_sequence *q;
    maas_err err = {0};
    pthread_t threads[THREADS];
    worker w[THREADS];
    EXPECT_EQ(maas_sequence_enter(s, &n, NULL, &q, &err), MAAS_OK);
    EXPECT_EQ(maas_sequence_begin(q, true, &err), MAAS_OK);
    EXPECT_EQ(stage(q, 0, &err), MAAS_OK);
    maas_sequence_leave(s, q, MAAS_SEQUENCE_KEEP);
    for (int i = 0; i < THREADS; i++) {
        w[i].s = s;
        sem_init(&w[i].turn, 0, 0);
        pthread_create(&threads[i], NULL, add, &w[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        sem_destroy(&w[i].turn);
    }
    EXPECT_EQ(maas_sequence_enter(s, &n, NULL, &q, &err), MAAS_OK);
    EXPECT_EQ(state(q), THREADS * TURNS);
    maas_sequence_leave(s, q, MAAS_SEQUENCE_OVER);
    maas_sequences_destroy(s);
}

int main(int argc, char **argv)
{
    static const mt_case cases[] = {MT_CASE(what_is_kept_is_found), MT_CASE(limits_hold),
                                    MT_CASE(idle_ones_are_forgotten),
                                    MT_CASE(turns_come_one_after_the_other)};
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
