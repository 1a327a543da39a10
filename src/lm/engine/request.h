/* lm/engine/request.h - a request on its way, and lists of them. Only for engine.c. */
#ifndef MAAS_LM_ENGINE_REQUEST_H
#define MAAS_LM_ENGINE_REQUEST_H

#include "lm/engine.h"
#include "lm/engine/answer.h"
#include "lm/engine/breaks.h"

typedef struct request {
    struct request *next; /* in one of the lists */
    uint64_t id;
    maas_lm_on *on;
    void *user;
    maas_ask ask;                 /* tokens, stops, bias: see below */
    maas_sampling_state sampling; /* what draws left behind */
    maas_breaks breaks;           /* of DRY */
    maas_answer answer;
    int32_t *tokens;           /* [n_context] prompt and answer */
    uint32_t n_tokens, past;   /* past: in the cache */
    int32_t *blocks;           /* [blocks of a context] */
    uint32_t n_blocks, n_full; /* n_full: filled and known */
    uint32_t end;              /* tokens at which LENGTH ends it */
    uint32_t rows;             /* in the step that is made */
    uint64_t submitted_ns, started_ns, first_ns;
    uint32_t cached;
    bool cancelled; /* under the lock */
} request;

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
