/*
 * lm/engine/request.h - a request on its way: its tokens, its blocks of the cache, what was said;
 * and lists of requests. Only for the engine. Threads: the stepping one, but for creating.
 */
#ifndef MAAS_LM_ENGINE_REQUEST_H
#define MAAS_LM_ENGINE_REQUEST_H

#include "lm/engine.h"
#include "lm/engine/answer.h"
#include "lm/engine/blocks.h"
#include "lm/engine/breaks.h"
#include "lm/engine/draft.h"
#include "lm/engine/pages.h"
#include "lm/engine/speculate.h"
#include "lm/engine/states.h"

typedef struct request {
    struct request *next; /* in one of the lists */
    uint64_t id;
    maas_lm_on *on;
    void *user;
    maas_ask ask;                 /* tokens, stops, bias: see below */
    maas_sampling_state sampling; /* what draws left behind */
    maas_breaks breaks;           /* of DRY */
    maas_answer answer;
    maas_matcher *matcher; /* of a grammar, from the first token on */
    int32_t *tokens;       /* [end] prompt and answer; behind them, what is proposed */
    uint32_t n_tokens;
    maas_pages pages;      /* of a context */
    int32_t state;         /* its own of the model's states, while it runs; -1: none */
    maas_draft draft;      /* what a draft model keeps of it */
    uint32_t end;          /* tokens at which LENGTH ends it */
    uint32_t rows, drafts; /* in the step that is made; drafts: proposed ones among them */
    maas_guess guess;      /* how proposals fared */
    uint64_t submitted_ns, started_ns, first_ns;
    uint32_t cached;
    bool held;            /* as of the last collect */
    bool cancelled, hold; /* under the lock */
} request;

/* room: tokens of a context. NULL: no memory. */
request *maas_request_create(const maas_ask *ask, uint32_t room, const maas_tokenizer *t);
void maas_request_destroy(request *r); /* which has no blocks; NULL is fine */
void maas_request_add(request *r, int32_t token, const maas_tokenizer *t);
void maas_request_timing(const request *r, maas_lm_timing *t);

/* What keys and values depend on beside tokens: the adapter, and how much of it. */
uint64_t maas_request_kind(const request *r);
void maas_request_adopt(request *r, maas_blocks *b); /* what others computed */
/* A state of its own, and what is in it; and gives it back, where `whole` says that it is known. */
void maas_request_take_state(request *r, maas_states *s);
void maas_request_give_state(request *r, maas_states *s, bool whole);
void maas_request_advance(request *r, maas_blocks *b, uint32_t n);

typedef struct list {
    request *head, **tail;
    uint32_t n;
} list;

static inline void list_init(list *l)
{
    *l = (list){.tail = &l->head};
}
static inline void push(list *l, request *r)
{
    r->next = NULL;
    *l->tail = r;
    l->tail = &r->next;
    l->n++;
}
static inline void push_front(list *l, request *r)
{
    r->next = l->head;
    l->tail = l->head ? l->tail : &r->next;
    l->head = r;
    l->n++;
}
static inline request *pop(list *l)
{
    request *r = l->head;
    if (!r)
        return NULL;
    l->head = r->next;
    l->tail = l->head ? l->tail : &l->head;
    l->n--;
    return r;
}
static inline void take_out(list *l, request *r)
{
    request **p = &l->head;
    while (*p != r)
        p = &(*p)->next;
    *p = r->next;
    l->tail = &l->head;
    for (request *q = l->head; q; q = q->next)
        l->tail = &q->next;
    l->n--;
}

#endif
