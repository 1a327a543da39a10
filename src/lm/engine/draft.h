/*
 * lm/engine/draft.h - a second, smaller model of the same vocabulary that says what may come next:
 * the best token after each, several in a row, for all requests that want some at once.
 *
 * It has a cache of its own, whose blocks a request gives back when it ends or is put off. A
 * request that the cache has no room for gets no proposals; so does one whose text the model has
 * not read yet: it reads a piece of it in every step.
 *
 * Owns: the blocks' book-keeping. Borrows: the model. Threads: the stepping one.
 */
#ifndef MAAS_LM_ENGINE_DRAFT_H
#define MAAS_LM_ENGINE_DRAFT_H

#include "lm/engine/pages.h"
#include "lm/engine/speculate.h"
#include "lm/model.h"

typedef struct maas_drafter maas_drafter;

typedef struct maas_draft {       /* of one request; all zero at first */
    maas_pages pages;             /* of tokens that were drawn */
    int32_t fed[MAAS_MAX_DRAFTS]; /* proposals behind them that are in the cache, too */
    uint32_t n_fed;
} maas_draft;

typedef struct maas_draft_want {
    maas_draft *draft;
    int32_t *tokens;   /* proposals are written behind them */
    uint32_t n_tokens; /* drawn */
    uint32_t room;     /* of tokens: the longest it may become */
    uint32_t n;    /* in: how many are wanted, at most MAAS_MAX_DRAFTS; out: how many there are */
    uint32_t rows; /* the drafter's: in the step that is made */
} maas_draft_want;

/* n_vocab: of the model that checks: others are not proposed. chunk: rows of text that is read in a
 * step while others write. */
maas_status maas_drafter_create(maas_lm *m, int32_t n_vocab, uint32_t chunk, maas_drafter **out,
                                maas_err *err);
void maas_drafter_destroy(maas_drafter *d); /* NULL is fine */
void maas_drafter_propose(maas_drafter *d, maas_draft_want *w, uint32_t n);
/* Why its last step failed: from then on nothing is to be asked of it. NULL: none did. */
const maas_err *maas_drafter_failure(const maas_drafter *d);
/* What one proposal of one request costs, lately; 0: not known. */
double maas_drafter_ns(const maas_drafter *d);
void maas_drafter_release(maas_drafter *d, maas_draft *x); /* its blocks; x may have none */
int32_t maas_drafter_n_free(const maas_drafter *d);        /* blocks */

#endif
