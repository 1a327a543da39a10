/*
 * lm/engine.h - many requests on one language model: continuous batching. Every step takes the next
 * token of each sequence that writes, and as much of waiting prompts as there is room for.
 *
 * Prompts that begin alike share what was computed. When the cache is full, the youngest sequence
 * gives its blocks back and is computed again later; its answer does not change.
 *
 * Owns: requests, the cache's book-keeping. Borrows: model and tokenizer. Threads: submit, cancel
 * and hold from any; step from one at a time, which calls `on`. Fails: E_BUSY when the queue is
 * full, E_TOO_LARGE when a prompt does not fit the context (nothing is ever cut), E_INVALID.
 */
#ifndef MAAS_LM_ENGINE_H
#define MAAS_LM_ENGINE_H

#include "lm/grammar.h"
#include "lm/model.h"
#include "lm/sampler.h"
#include "lm/tokenizer.h"

typedef struct maas_engine maas_engine;

typedef struct maas_engine_opts {
    uint32_t max_waiting; /* requests; 0: 256 */
    uint32_t chunk;       /* rows of prompts in a step while others write; 0: 128 */
    uint32_t drafts;      /* tokens proposed, at most; 0: none */
    maas_lm *draft;       /* proposes them, instead of prompt lookup; of the same vocabulary: see */
                          /* maas_tokenizer_same. Borrowed, stepped by the engine; NULL: none     */
} maas_engine_opts;

typedef enum maas_proposer {              /* whose proposals a request wants */
                             MAAS_BY_ANY, /* the draft model's, if there is one; else prompt
                                             lookup's */
                             MAAS_BY_DRAFT,
                             MAAS_BY_LOOKUP
} maas_proposer;

typedef struct maas_ask { /* copied */
    const int32_t *tokens;
    uint32_t n_tokens;
    uint32_t max_tokens;        /* 0: as many as the context holds */
    uint32_t min_tokens;        /* before that many, nothing ends the answer */
    maas_sampling sampling;     /* its state is the engine's */
    const maas_str *dry_breaks; /* texts that no repeat of DRY reaches back over */
    uint32_t n_dry_breaks;
    const maas_str *stops; /* texts that end the answer, and are not part of it */
    uint32_t n_stops;
    bool ignore_end;       /* tokens that end a text do not */
    bool show_special;     /* control tokens are part of the text, by their names */
    int n_logprobs;        /* -1: none; how many alternatives of each token are told */
    bool belongs;          /* to a request that was let in: a full queue takes it, too */
    int32_t drafts;        /* tokens proposed, at most; -1: as the engine has it */
    maas_proposer by;      /* BY_DRAFT without a draft model: E_INVALID */
    uint64_t deadline_ns;  /* of the monotonic clock; 0: none */
    uint32_t adapter;      /* of the model's, from 1; 0: none */
    float strength;        /* of it: 1 as it was trained */
    maas_grammar *grammar; /* what the answer must fit; counted again; NULL: anything */
} maas_ask;

typedef enum maas_lm_event_kind { MAAS_LM_TOKEN, MAAS_LM_DONE, MAAS_LM_FAILED } maas_lm_event_kind;
typedef enum maas_lm_finish {
    MAAS_LM_STOP,   /* an end token, or a stop text */
    MAAS_LM_LENGTH, /* max_tokens, or the context */
    MAAS_LM_CANCELLED,
    MAAS_LM_DEADLINE
} maas_lm_finish;

typedef struct maas_lm_timing {
    uint64_t queue_ns, prompt_ns, decode_ns; /* waiting; to the first token; the rest */
    uint32_t prompt_tokens, cached_tokens, tokens;
    uint32_t drafted, accepted; /* tokens proposed, and those of them that were right */
} maas_lm_timing;

typedef struct maas_lm_event { /* what it points to lives during the call */
    maas_lm_event_kind kind;
    int32_t token;
    maas_str text; /* whole characters; may be empty; of DONE: what was held back; of a control
                      token that is not shown: what was held back before it */
    float logprob;
    const maas_logprob *top;
    int n_top;
    maas_lm_finish finish;
    int32_t stop;          /* of DONE: which stop text ended it; -1: none did */
    maas_lm_timing timing; /* of DONE and FAILED */
    const maas_err *error; /* of FAILED */
} maas_lm_event;

/* Called on the stepping thread, in order; must not block. After DONE or FAILED never again. */
typedef void maas_lm_on(void *user, const maas_lm_event *ev);

maas_status maas_engine_create(maas_lm *m, const maas_tokenizer *t, const maas_engine_opts *o,
                               maas_engine **out, maas_err *err);
void maas_engine_destroy(maas_engine *e); /* requests that are left get no event; NULL is fine */

/* *retry_ms, of E_BUSY: when it may be worth to come again. */
maas_status maas_engine_submit(maas_engine *e, const maas_ask *ask, maas_lm_on *on, void *user,
                               uint64_t *out_id, uint32_t *retry_ms, maas_err *err);
/* Ends it with DONE (CANCELLED) in the next step; unknown ids are nothing. */
void maas_engine_cancel(maas_engine *e, uint64_t id);
void maas_engine_cancel_all(maas_engine *e); /* from then on submit is E_UNAVAILABLE */
/* A request that is held gets nothing, and has no place among those that run, until it is let go:
 * its reader is behind. Ends as others do. */
void maas_engine_hold(maas_engine *e, uint64_t id, bool on);
/* One step. False: there was nothing to do. */
bool maas_engine_step(maas_engine *e);
/* After a step: the draft model failed in it, and proposes no more; answers go on without it. Told
 * once; NULL: it did not. The stepping thread. */
const maas_err *maas_engine_draft_failure(maas_engine *e);
/* Called, on the thread that submits, when there is work after there was none. */
void maas_engine_on_wake(maas_engine *e, void (*wake)(void *user), void *user);

typedef struct maas_engine_stats {
    uint32_t waiting, running;
    int32_t blocks, blocks_free;
    int32_t draft_blocks, draft_blocks_free; /* of the draft model's cache */
    uint64_t requests, prompt_tokens, cached_tokens, tokens, preemptions, drafted, accepted;
    uint64_t draft_failures; /* steps of the draft model: after the first it makes none */
    uint64_t queue_ns, prompt_ns, decode_ns; /* sums over finished requests */
} maas_engine_stats;
void maas_engine_stats_of(maas_engine *e, maas_engine_stats *out); /* any thread */

#endif
