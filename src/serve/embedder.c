#include "serve/embedder.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/sys.h"
#include "base/ban.h"

struct maas_embedder {
    maas_encoder *encoder;
    maas_lanes *lanes;
    maas_queue queue;
    void (*hold)(void *user, bool on);
    void *user;
    maas_work again; /* queued while asks are under way, so that other models have their turn */
    uint32_t max_waiting;
    _Atomic uint32_t waiting;
    _Atomic bool closing;
    _Atomic uint64_t requests, texts, tokens, runs, padded, busy_ns;
    /* on the lane alone */
    maas_embed_ask *head, **tail;
    maas_encoder_text *batch; /* [room of the shortest] */
};

static void run(void *user, maas_work *list, int n_threads);

static void hold(void *user, bool on)
{
    maas_embedder *e = user;
    if (e->hold)
        e->hold(e->user, on);
}

/* ---- life ---- */

maas_status maas_embedder_create(maas_encoder *encoder, maas_lanes *lanes, uint32_t max_waiting,
                                 void (*hold_user)(void *user, bool on), void *user,
                                 maas_embedder **out, maas_err *err)
{
    const int32_t most = maas_encoder_room(encoder, maas_encoder_length(encoder, 1));
    maas_embedder *e = maas_calloc(1, sizeof *e);
    if (e)
        e->batch = maas_calloc((size_t)most, sizeof *e->batch);
    if (!e || !e->batch) {
        maas_free(e);
        return maas_fail(err, MAAS_E_NOMEM, "an encoder's queue");
    }
    e->encoder = encoder;
    e->lanes = lanes;
    e->hold = hold_user;
    e->user = user;
    e->max_waiting = max_waiting ? max_waiting : 256;
    e->tail = &e->head;
    maas_queue_init(&e->queue, run, e, e->max_waiting + 1);
    e->queue.hold = hold;
    *out = e;
    return MAAS_OK;
}

void maas_embedder_destroy(maas_embedder *e)
{
    if (!e)
        return;
    maas_free(e->batch);
    maas_free(e);
}

void maas_embedder_close(maas_embedder *e)
{
    if (!e)
        return;
    atomic_store(&e->closing, true);
    maas_queue_detach(e->lanes, &e->queue);
}

const maas_encoder_info *maas_embedder_about(const maas_embedder *e)
{
    return maas_encoder_about(e->encoder);
}

void maas_embedder_stats_of(maas_embedder *e, maas_embedder_stats *out)
{
    *out = (maas_embedder_stats){.requests = atomic_load(&e->requests),
                                 .texts = atomic_load(&e->texts),
                                 .tokens = atomic_load(&e->tokens),
                                 .runs = atomic_load(&e->runs),
                                 .padded = atomic_load(&e->padded),
                                 .busy_ns = atomic_load(&e->busy_ns),
                                 .waiting = atomic_load(&e->waiting)};
}

/* ---- asking ---- */

static int by_length(const void *a, const void *b)
{
    const maas_encoder_text *x = a, *y = b;
    return x->n < y->n ? -1 : x->n > y->n;
}

maas_status maas_embedder_submit(maas_embedder *e, maas_embed_ask *ask, maas_err *err)
{
    ask->at = 0;
    ask->next = NULL;
    qsort(ask->texts, ask->n, sizeof *ask->texts, by_length);
    if (atomic_fetch_add(&e->waiting, 1) >= e->max_waiting) {
        atomic_fetch_sub(&e->waiting, 1);
        return maas_fail(err, MAAS_E_BUSY, "%u requests are waiting for this model already",
                         e->max_waiting);
    }
    maas_status st = maas_queue_submit(e->lanes, &e->queue, &ask->work, err);
    if (st != MAAS_OK)
        atomic_fetch_sub(&e->waiting, 1);
    return st;
}

/* ---- on a lane ---- */

/* *link is what points to the ask, which is the caller's from here on. */
static void finish(maas_embedder *e, maas_embed_ask **link, const maas_err *why)
{
    maas_embed_ask *ask = *link;
    *link = ask->next;
    if (!*link)
        e->tail = link;
    atomic_fetch_sub(&e->waiting, 1);
    atomic_fetch_add(&e->requests, 1);
    ask->done(ask->user, why);
}

static void fail_all(maas_embedder *e, const char *words)
{
    maas_err why = {0};
    maas_fail(&why, MAAS_E_UNAVAILABLE, "%s", words);
    while (e->head)
        finish(e, &e->head, &why);
}

static void drop_gone(maas_embedder *e)
{
    maas_err why = {0};
    maas_fail(&why, MAAS_E_CANCELLED, "the client is gone");
    for (maas_embed_ask **at = &e->head; *at;)
        if ((*at)->gone && (*at)->gone((*at)->user))
            finish(e, at, &why);
        else
            at = &(*at)->next;
}

/* Texts of the length that comes first, as many as there is room for, of whatever asks. */
static int32_t collect(maas_embedder *e, int32_t *out_length)
{
    const int32_t length = maas_encoder_length(e->encoder, e->head->texts[e->head->at].n);
    const int32_t room = maas_encoder_room(e->encoder, length);
    int32_t n = 0;
    for (maas_embed_ask *a = e->head; a && n < room; a = a->next)
        while (a->at < a->n && n < room &&
               maas_encoder_length(e->encoder, a->texts[a->at].n) == length)
            e->batch[n++] = a->texts[a->at++];
    *out_length = length;
    return n;
}

static void count(maas_embedder *e, int32_t n, int32_t length, uint64_t began)
{
    uint64_t tokens = 0;
    for (int32_t i = 0; i < n; i++)
        tokens += (uint64_t)e->batch[i].n;
    atomic_fetch_add(&e->texts, (uint64_t)n);
    atomic_fetch_add(&e->tokens, tokens);
    atomic_fetch_add(&e->padded, (uint64_t)n * (uint64_t)length);
    atomic_fetch_add(&e->runs, 1);
    atomic_fetch_add(&e->busy_ns, maas_now_ns() - began);
}

static bool has_part(const maas_embedder *e, const maas_embed_ask *a, int32_t n)
{
    for (int32_t i = 0; a->at > 0 && i < n; i++)
        if (e->batch[i].out == a->texts[a->at - 1].out)
            return true;
    return false;
}

/* Asks whose last text was in the run are done; one that failed takes all who took part with it. */
static void settle(maas_embedder *e, int32_t n, maas_status st, const maas_err *why)
{
    for (maas_embed_ask **at = &e->head; *at;) {
        maas_embed_ask *a = *at;
        if (st != MAAS_OK && has_part(e, a, n))
            finish(e, at, why);
        else if (a->at == a->n)
            finish(e, at, NULL);
        else
            at = &a->next;
    }
}

/* The first goes to the end. */
static void rotate(maas_embedder *e)
{
    maas_embed_ask *first = e->head;
    if (!first || !first->next)
        return;
    e->head = first->next;
    first->next = NULL;
    *e->tail = first;
    e->tail = &first->next;
}

static void step(maas_embedder *e)
{
    maas_err err = {0};
    int32_t length = 0;
    const uint64_t began = maas_now_ns();
    const maas_embed_ask *first = e->head;
    const int32_t n = collect(e, &length);
    const maas_status st = maas_encoder_run(e->encoder, e->batch, n, &err);
    count(e, n, length, began);
    settle(e, n, st, &err);
    if (e->head == first) /* there is more of it: it has had its turn */
        rotate(e);
}

static void run(void *user, maas_work *list, int n_threads)
{
    maas_embedder *e = user;
    maas_err err = {0};
    (void)n_threads;
    for (maas_work *w = list, *next; w; w = next) {
        next = w->next;
        if (w == &e->again)
            continue;
        maas_embed_ask *a = (maas_embed_ask *)(void *)w;
        *e->tail = a;
        e->tail = &a->next;
    }
    if (atomic_load(&e->closing))
        fail_all(e, "the model was unloaded");
    drop_gone(e);
    if (e->head)
        step(e);
    if (e->head && maas_queue_submit(e->lanes, &e->queue, &e->again, &err) != MAAS_OK)
        fail_all(e, "the server is shutting down");
}
