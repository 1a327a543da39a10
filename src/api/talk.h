/*
 * api/talk.h - a request to a language model on its way: from the parameters that all dialects
 * share to an engine, and what comes back to a dialect that writes it.
 *
 * A dialect reads its own body into a maas_talk (on the io thread), gives it a table of writers,
 * and calls maas_talk_start; from then on the writers run on the lane's thread, and the reply is
 * theirs.
 *
 * Lifetime: a talk lives in the request's arena, until the reply is sent.
 */
#ifndef MAAS_API_TALK_H
#define MAAS_API_TALK_H

#include "api/app.h"
#include "base/json.h"
#include "serve/lm_service.h"

typedef struct maas_talk maas_talk;

typedef struct maas_talk_writers {
    const char *content_type;                                            /* of a stream */
    void (*begin)(maas_talk *t, maas_buf *out);                          /* of each choice     */
    void (*piece)(maas_talk *t, const maas_lm_event *ev, maas_buf *out); /* of a stream        */
    void (*end)(maas_talk *t, const maas_lm_event *ev, maas_buf *out);   /* of a choice, streamed */
    void (*close)(maas_talk *t, maas_buf *out);                          /* of the whole stream */
    void (*failed)(maas_talk *t, const maas_err *err, maas_buf *out);    /* within a stream    */
    void (*whole)(maas_talk *t, maas_buf *out);                          /* not streamed       */
} maas_talk_writers;

typedef struct maas_talk_choice { /* what one choice became, not streamed */
    maas_buf text, logprobs;
    maas_lm_finish finish;
} maas_talk_choice;

struct maas_talk {
    maas_req *req;
    maas_lm_service *service; /* a reference */
    const maas_talk_writers *writers;
    maas_ask ask;
    maas_buf prompt; /* int32_t ids */
    json_t *body;    /* a reference: texts of the ask live in it */
    bool stream, include_usage, echo;
    int32_t n, choice; /* choices wanted; which is made now */
    uint64_t created;  /* seconds since 1970 */
    char id[48];
    maas_talk_choice *choices; /* [n] */
    maas_lm_timing timing;     /* sums over choices */
    uint64_t engine_id;
    bool gone;
};

/* Parameters that every dialect has under OpenAI's names; E_INVALID names the one that is wrong. */
maas_status maas_talk_params(maas_talk *t, maas_err *err);
/* The request becomes the engine's; replies when it cannot. Always called last. */
void maas_talk_start(maas_talk *t);
/* A talk for the model of body.model: on the io thread; replies and returns NULL when there is
 * none. */
maas_talk *maas_talk_create(maas_req *r, const char *id_prefix, const maas_talk_writers *w);
void maas_talk_fail(maas_talk *t, const maas_err *err); /* instead of starting it */
const char *maas_talk_finish_name(maas_lm_finish f);    /* "stop", "length" */

#endif
