/* Many requests on one encoder: each gets what it would get alone, once; a queue that is full says
 * so, a client that is gone is dropped, closing ends what is under way. */
#include "maas_test.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "lm/tiny_encoder.h"
#include "serve/embedder.h"

enum { MAX_TEXTS = 24 };

typedef struct rig {
    tiny t;
    maas_lm_source *source;
    maas_encoder *encoder;
    maas_lanes *lanes;
    maas_embedder *embedder;
} rig;

static void rig_open(rig *r, uint32_t max_waiting)
{
    maas_err err = {0};
    const maas_lm_file f = {"model.gguf", tiny_encoder_make(&r->t, 0, MAAS_Q_F32, 1, 5, NULL)};
    const maas_encoder_opts o = {.n_threads = 1, .max_rows = 128};
    EXPECT_EQ(maas_lm_source_open(&f, 1, NULL, &r->source, &err), MAAS_OK);
    EXPECT_EQ(maas_encoder_create(r->source, &o, &r->encoder, &err), MAAS_OK);
    EXPECT_EQ(maas_lanes_create(2, 1, &r->lanes, &err), MAAS_OK);
    EXPECT_EQ(
        maas_embedder_create(r->encoder, r->lanes, max_waiting, NULL, NULL, &r->embedder, &err),
        MAAS_OK);
}

static void rig_close(rig *r)
{
    maas_embedder_close(r->embedder);
    maas_lanes_destroy(r->lanes);
    maas_embedder_destroy(r->embedder);
    maas_encoder_destroy(r->encoder);
    maas_lm_source_close(r->source);
    tiny_reset(&r->t);
    EXPECT_EQ(maas_mem_live(), 0);
}

typedef struct request {
    maas_embed_ask ask;
    maas_encoder_text texts[MAX_TEXTS];
    int32_t tokens[MAX_TEXTS][ENC_CONTEXT];
    float out[MAX_TEXTS][ENC_EMBD];
    _Atomic int done;
    _Atomic bool gone;
    maas_err why;
} request;

static void done(void *user, const maas_err *why)
{
    request *q = user;
    if (why)
        q->why = *why;
    atomic_fetch_add(&q->done, 1);
}

static bool is_gone(void *user)
{
    return atomic_load(&((request *)user)->gone);
}

static void fill(request *q, uint64_t seed, uint32_t n)
{
    maas_rng rng;
    maas_rng_seed(&rng, seed);
    for (uint32_t i = 0; i < n; i++) {
        const int32_t len = 1 + (int32_t)maas_rng_below(&rng, i % 5 ? 20 : ENC_CONTEXT);
        for (int32_t k = 0; k < len; k++)
            q->tokens[i][k] = (int32_t)maas_rng_below(&rng, ENC_VOCAB);
        q->texts[i] = (maas_encoder_text){q->tokens[i], len, len, q->out[i]};
    }
    q->ask = (maas_embed_ask){.texts = q->texts, .n = n, .done = done, .gone = is_gone, .user = q};
}

static void wait_for(request *q)
{
    for (int i = 0; i < 20000 && !atomic_load(&q->done); i++)
        usleep(1000);
    EXPECT_EQ(atomic_load(&q->done), 1);
}

typedef struct client {
    rig *r;
    uint64_t seed;
    request q;
} client;

static void *ask_some(void *user)
{
    client *c = user;
    maas_err err = {0};
    fill(&c->q, c->seed, 1 + (uint32_t)c->seed % MAX_TEXTS);
    EXPECT_EQ(maas_embedder_submit(c->r->embedder, &c->q.ask, &err), MAAS_OK);
    wait_for(&c->q);
    return NULL;
}

static void each_gets_its_own(void)
{
    enum { N = 16 };
    client *clients = maas_calloc(N, sizeof *clients);
    request *alone = maas_calloc(1, sizeof *alone);
    pthread_t threads[N];
    maas_embedder_stats s;
    uint64_t texts = 0;
    rig r;
    rig_open(&r, 0);
    for (int i = 0; i < N; i++) {
        clients[i] = (client){.r = &r, .seed = 100 + (uint64_t)i};
        pthread_create(&threads[i], NULL, ask_some, &clients[i]);
    }
    for (int i = 0; i < N; i++)
        pthread_join(threads[i], NULL);
    maas_embedder_stats_of(r.embedder, &s);
    for (int i = 0; i < N; i++) {
        const uint32_t n = 1 + (uint32_t)clients[i].seed % MAX_TEXTS;
        texts += n;
        EXPECT_STR(clients[i].q.why.msg, "");
        fill(alone, clients[i].seed, n);
        for (uint32_t k = 0; k < n; k++) {
            EXPECT_EQ(maas_encoder_run(r.encoder, &alone->texts[k], 1, NULL), MAAS_OK);
            EXPECT_EQ(memcmp(alone->out[k], clients[i].q.out[k], sizeof alone->out[k]), 0);
        }
    }
    EXPECT_EQ(s.requests, N);
    EXPECT_EQ(s.texts, texts);
    EXPECT(s.runs < texts && s.padded >= s.tokens && s.waiting == 0);
    maas_free(clients);
    maas_free(alone);
    rig_close(&r);
}

/* Work that holds both lanes until it is told. */
typedef struct plug {
    maas_queue queue;
    maas_work work;
    _Atomic bool go;
} plug;

static void hold_lane(void *user, maas_work *list, int n_threads)
{
    plug *p = user;
    (void)list;
    (void)n_threads;
    while (!atomic_load(&p->go))
        usleep(500);
}

static void full_gone_and_closed(void)
{
    request *q = maas_calloc(4, sizeof *q);
    plug plugs[2] = {0};
    maas_err err = {0};
    rig r;
    rig_open(&r, 3);
    for (int i = 0; i < 2; i++) {
        maas_queue_init(&plugs[i].queue, hold_lane, &plugs[i], 1);
        EXPECT_EQ(maas_queue_submit(r.lanes, &plugs[i].queue, &plugs[i].work, &err), MAAS_OK);
    }
    for (int i = 0; i < 4; i++) {
        fill(&q[i], (uint64_t)i, 3);
        EXPECT_EQ(maas_embedder_submit(r.embedder, &q[i].ask, &err), i < 3 ? MAAS_OK : MAAS_E_BUSY);
    }
    atomic_store(&q[1].gone, true);
    for (int i = 0; i < 2; i++)
        atomic_store(&plugs[i].go, true);
    for (int i = 0; i < 3; i++)
        wait_for(&q[i]);
    EXPECT_EQ(q[0].why.code, MAAS_OK);
    EXPECT_EQ(q[1].why.code, MAAS_E_CANCELLED);
    EXPECT_EQ(q[2].why.code, MAAS_OK);
    EXPECT_EQ(atomic_load(&q[3].done), 0);
    for (int i = 0; i < 2; i++)
        maas_queue_detach(r.lanes, &plugs[i].queue);
    maas_embedder_close(r.embedder);
    memset(q, 0, sizeof *q);
    fill(q, 1, 2);
    EXPECT_EQ(maas_embedder_submit(r.embedder, &q->ask, &(maas_err){0}), MAAS_OK);
    wait_for(q);
    EXPECT_EQ(q->why.code, MAAS_E_UNAVAILABLE);
    maas_free(q);
    rig_close(&r);
}

/* A text that the encoder refuses takes its own request with it, and no other. */
static void a_failure_is_its_own(void)
{
    request *q = maas_calloc(2, sizeof *q);
    rig r;
    rig_open(&r, 0);
    fill(&q[0], 1, 4);
    fill(&q[1], 2, MAX_TEXTS);
    for (int i = 0; i < 4; i++) {
        q[0].texts[i].n = ENC_CONTEXT - i;
        q[0].tokens[i][0] = ENC_VOCAB;
    }
    for (int i = 0; i < MAX_TEXTS; i++)
        q[1].texts[i].n = 1 + i % 8;
    EXPECT_EQ(maas_embedder_submit(r.embedder, &q[0].ask, NULL), MAAS_OK);
    EXPECT_EQ(maas_embedder_submit(r.embedder, &q[1].ask, NULL), MAAS_OK);
    wait_for(&q[0]);
    wait_for(&q[1]);
    EXPECT_EQ(q[0].why.code, MAAS_E_INVALID);
    EXPECT_EQ(q[1].why.code, MAAS_OK);
    maas_free(q);
    rig_close(&r);
}

static const mt_case cases[] = {
    MT_CASE(each_gets_its_own),
    MT_CASE(full_gone_and_closed),
    MT_CASE(a_failure_is_its_own),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
