/* lm/engine/engine_int.h - an engine from within. Only for engine.c, propose.c, step.c and token.c.
 */
#ifndef MAAS_LM_ENGINE_INT_H
#define MAAS_LM_ENGINE_INT_H

#include <pthread.h>

#include "lm/engine/request.h"

struct maas_engine {
    maas_lm *m;
    const maas_tokenizer *t;
    const maas_lm_info *info;
    maas_engine_opts opts;
    void (*wake)(void *user);
    void *wake_user;

    pthread_mutex_t lock; /* of what follows */
    list inbox;
    uint64_t next_id;
    uint32_t n_waiting; /* inbox and waiting */
    bool cancels;       /* somebody was cancelled */
    bool closed;        /* all were: nobody comes any more */
    maas_engine_stats stats;
    double token_ns; /* of one token of one request, lately */

    /* the stepping thread alone */
    list waiting, running; /* by age */
    maas_blocks *blocks;   /* NULL: the model keeps no keys and values */
    maas_states *states;   /* NULL: it keeps none */
    maas_sampler *sampler;
    float *masked;     /* [n_vocab] logits that a grammar leaves; made when one comes */
    maas_lm_seq *seqs; /* [max_seqs] */
    maas_pace pace;
    maas_drafter *drafter;         /* NULL: there is no draft model */
    maas_draft_want *wants;        /* [max_seqs], of it */
    const maas_err *draft_failure; /* that nobody was told of; NULL: none */
    int32_t *tokens, *out_rows;    /* [max_rows] */
};

/* Takes r out of `from`, tells how it ended (error: FAILED), and frees it. */
void maas_engine_end(maas_engine *e, list *from, request *r, maas_lm_finish finish,
                     const maas_err *error);
/* Draws from r's rows of a step that was made; where those of the next request begin. r may be gone
 * after it. */
const float *maas_engine_take_rows(maas_engine *e, request *r, const float *logits);

/* Proposals for those that write, where they are worth their rows (propose.c). */
void maas_engine_propose(maas_engine *e);

/* Whose logits come: the last row, and those of proposals. */
static inline bool request_writes(const request *r)
{
    return r->rows && r->pages.past + r->rows == r->n_tokens + r->drafts;
}

#endif
