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
#include "lm/said.h"
#include "serve/lm_service.h"

#define MAAS_TALK_MAX_REPLY ((size_t)64 << 20) /* bytes of one answer */

typedef struct maas_talk maas_talk;

typedef struct maas_talk_item { /* a part of an answer, see lm/said.h */
    maas_said_kind kind;
    bool ok;             /* of a call that has ended: its arguments are an object of JSON */
    char id[40];         /* of a call */
    maas_buf name, text; /* of a call: of the tool; its arguments */
} maas_talk_item;

typedef struct maas_talk_choice { /* what one choice became, so far */
    maas_talk_item *items;
    size_t n_items, items_cap;
    uint32_t n_calls;      /* that are ok */
    uint32_t n_characters; /* of tokens, where they are counted */
    maas_buf logprobs;
    maas_lm_finish finish;
    int32_t stop; /* as of the event */
    /* while it is made */
    maas_talk *talk;
    uint64_t engine_id;
    maas_said *said;
    bool begun, over;
} maas_talk_choice;

typedef struct maas_talk_hold { /* while the peer is behind */
    maas_lm_service *service;   /* a reference while `on` */
    maas_talk *talk;
    _Atomic bool on;
} maas_talk_hold;
/* What a dialect writes; NULL: nothing. Of a stream: a choice begins, its items begin, grow and end
 * one after the other, the choice ends; then the stream closes. The choice at hand is
 * t->choices[t->choice]. */
typedef struct maas_talk_writers {
    const char *content_type; /* of a stream */
    bool whole_calls;         /* calls of a stream are told at once: item_end alone */
    void (*begin)(maas_talk *t, maas_buf *out);
    void (*item_begin)(maas_talk *t, const maas_talk_item *i, maas_buf *out);
    void (*item_text)(maas_talk *t, const maas_talk_item *i, maas_str text, maas_buf *out);
    void (*item_end)(maas_talk *t, const maas_talk_item *i, maas_buf *out);
    void (*end)(maas_talk *t, maas_buf *out);
    void (*close)(maas_talk *t, maas_buf *out);
    void (*failed)(maas_talk *t, const maas_err *err, maas_buf *out); /* within a stream */
    void (*whole)(maas_talk *t, maas_buf *out);                       /* not streamed */
    void (*token)(maas_talk *t, const maas_lm_event *ev); /* each, before what it adds; any reply */
} maas_talk_writers;

struct maas_talk {
    maas_req *req;
    maas_lm_service *service; /* a reference */
    const maas_talk_writers *writers;
    maas_ask ask;
    maas_buf prompt; /* int32_t ids */
    json_t *body;    /* a reference: texts of the ask live in it */
    bool stream, include_usage, echo;
    int32_t n, choice; /* choices wanted; which the writers write of now */
    uint64_t created;  /* seconds since 1970 */
    char id[48];
    maas_talk_choice *choices;   /* [n] */
    maas_lm_timing timing;       /* sums over choices */
    int32_t n_submitted, n_open; /* of choices; submitted and not ended */
    maas_err failed;             /* why the answer cannot be given */
    maas_talk_hold hold;
    uint32_t n_events;    /* of a writer that numbers them */
    bool gone, streaming; /* the peer; the stream has begun */

    json_t *tools; /* a reference, as OpenAI writes them; NULL: none */
    bool one_call; /* the first call ends the answer */
    bool must_call;
    const char *must_name; /* with must_call: the tool; NULL: any */
    const maas_said_style *style;
    maas_said_style own_style; /* when it is not the model's */
    struct {                   /* what the answer shall look like */
        const char *name;      /* of the parameter that says it */
        maas_grammar_part *parts;
        uint32_t n;    /* 0: anything */
        json_t *owned; /* a schema that came as text */
    } format;
    maas_said *said; /* of the choice at hand */
    maas_buf out;    /* what the writers wrote and is not sent */
    bool in_thought, no_memory;
    bool thought_over;         /* the prompt has begun the reasoning, and ended it */
    uint32_t reasoning_tokens; /* a sum over choices */
};

/* Parameters that every dialect has under OpenAI's names, and what the answer shall look like
 * (api/talk_format.h); E_INVALID names the one that is wrong. */
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
/* `tools` of a request in OpenAI's words, its tool_choice and whether calls may be many; before
 * maas_talk_chat. */
maas_status maas_talk_tools(maas_talk *t, const json_t *tools, const json_t *choice,
                            const json_t *parallel, maas_err *err);
/* The prompt of a conversation with the tools of t (more: lm/chat.h), or of a text as it is. */
maas_status maas_talk_chat(maas_talk *t, const json_t *messages, const json_t *more, maas_err *err);
maas_status maas_talk_text(maas_talk *t, const json_t *text, maas_err *err);
/* The prompt for what is between two texts; the same of a `prompt` and its `suffix`. */
maas_status maas_talk_fill(maas_talk *t, const maas_fill *f, maas_err *err);
maas_status maas_talk_suffix(maas_talk *t, const json_t *prefix, const json_t *suffix,
                             maas_err *err);
/* Reads a body and starts what it says; false: an engine replies later. NULL: replied already. */
bool maas_talk_run(maas_talk *t, maas_status (*read)(maas_talk *t, maas_err *err));
void maas_talk_fail(maas_talk *t, const maas_err *err); /* instead of starting it */
void maas_talk_drop(maas_talk *t);                      /* instead: the caller replies */
const char *maas_talk_finish_name(maas_lm_finish f);    /* "stop", "length" */
/* The stop text `stop` as JSON, or null; and the object `timings` as llama-server has it. */
void maas_talk_put_stop(const maas_talk *t, int32_t stop, maas_buf *b);
void maas_talk_put_timings(const maas_talk *t, maas_buf *b);

/* All items of a kind, one after the other, as one text. */
void maas_talk_put_items(const maas_talk_choice *c, maas_said_kind kind, maas_buf *out);
/* Where a call stands among the calls of its choice. */
size_t maas_talk_call_index(const maas_talk_choice *c, const maas_talk_item *i);
static inline maas_talk_choice *maas_talk_at(maas_talk *t)
{
    return &t->choices[t->choice];
}

#endif
