/*
 * serve/embedder.h - many requests on one encoder: texts of one padded length, of whatever
 * requests, make a run; requests take turns, so that a long one does not keep a short one waiting.
 *
 * Borrows: the encoder, and an ask until its `done`. Threads: submit from any; runs, and `done`, on
 * a lane. Lifetime: close first, which ends what is under way. Fails: E_BUSY when too many wait.
 */
#ifndef MAAS_SERVE_EMBEDDER_H
#define MAAS_SERVE_EMBEDDER_H

#include "lm/encoder.h"
#include "sched/lane.h"

typedef struct maas_embedder maas_embedder;

typedef struct maas_embed_ask {
    maas_work work;           /* first: what waits in the queue */
    maas_encoder_text *texts; /* checked by the caller; put into another order */
    uint32_t n;
    /* All have their answers, or why not. On a lane, once; the ask is the caller's again. */
    void (*done)(void *user, const maas_err *why);
    bool (*gone)(void *user); /* nobody waits for it any longer; may be NULL */
    void *user;
    /* private */
    struct maas_embed_ask *next;
    uint32_t at; /* texts that were in a run */
} maas_embed_ask;

typedef struct maas_embedder_stats {
    uint64_t requests, texts, tokens, runs, padded, busy_ns; /* padded: tokens of runs */
    uint32_t waiting;                                        /* requests */
} maas_embedder_stats;

/* hold: as of maas_queue, of `user`. max_waiting 0: 256 requests. */
maas_status maas_embedder_create(maas_encoder *encoder, maas_lanes *lanes, uint32_t max_waiting,
                                 void (*hold)(void *user, bool on), void *user, maas_embedder **out,
                                 maas_err *err);
void maas_embedder_destroy(maas_embedder *e); /* NULL is fine */
/* Requests under way fail with E_UNAVAILABLE; waits until no lane works for it. NULL is fine. */
void maas_embedder_close(maas_embedder *e);
maas_status maas_embedder_submit(maas_embedder *e, maas_embed_ask *ask, maas_err *err);
const maas_encoder_info *maas_embedder_about(const maas_embedder *e);
void maas_embedder_stats_of(maas_embedder *e, maas_embedder_stats *out);

#endif
