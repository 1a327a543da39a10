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

#define MAAS_TALK_MAX_REPLY ((size_t)64 << 20) /* bytes of one answer */

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
    int32_t stop; /* as of the event */
} maas_talk_choice;

typedef struct maas_talk_hold { /* while the peer is behind */
    maas_lm_service *service;   /* a reference while `on` */
    uint64_t id;
    _Atomic bool on;
} maas_talk_hold;

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
    maas_talk_hold hold;
    uint32_t n_events;           /* of a writer that numbers them */
    bool gone, streaming, begun; /* the peer; the stream; the choice at hand */
};

/* Parameters that every dialect has under OpenAI's names; E_INVALID names the one that is wrong. */
maas_status maas_talk_params(maas_talk *t, maas_err *err);
/* The request becomes the engine's; replies when it cannot. Always called last. */
void maas_talk_start(maas_talk *t);
/* A talk for the model of body.model: on the io thread; replies and returns NULL when there is
 * none. */
maas_talk *maas_talk_create(maas_req *r, const char *id_prefix, const maas_talk_writers *w);
/* The same for a body that the dialect has brought into OpenAI's names (takes it; NULL: `why`), and
 * a model that it names in its own way (NULL: the default model). */
maas_talk *maas_talk_open(maas_req *r, json_t *body, const maas_err *why, const char *model,
                          const char *id_prefix, const maas_talk_writers *w);
/* The prompt of a conversation (tools, more: lm/chat.h), or of a text as it is. */
maas_status maas_talk_chat(maas_talk *t, const json_t *messages, const json_t *tools,
                           const json_t *more, maas_err *err);
maas_status maas_talk_text(maas_talk *t, const json_t *text, maas_err *err);
/* Reads a body and starts what it says; false: an engine replies later. NULL: replied already. */
bool maas_talk_run(maas_talk *t, maas_status (*read)(maas_talk *t, maas_err *err));
void maas_talk_fail(maas_talk *t, const maas_err *err); /* instead of starting it */
void maas_talk_drop(maas_talk *t);                      /* instead: the caller replies */
const char *maas_talk_finish_name(maas_lm_finish f);    /* "stop", "length" */
/* The stop text `stop` as JSON, or null; and the object `timings` as llama-server has it. */
void maas_talk_put_stop(const maas_talk *t, int32_t stop, maas_buf *b);
void maas_talk_put_timings(const maas_talk *t, maas_buf *b);

#endif
