#include "lm/engine/engine_int.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

enum { MAX_WAITING = 256, CHUNK = 128 };

/* ---- what is asked ---- */

static maas_status check_ask(const maas_engine *e, const maas_ask *ask, maas_err *err)
{
    if (!ask->n_tokens)
        return maas_fail(err, MAAS_E_INVALID, "the prompt is empty");
    if (ask->n_tokens >= (uint32_t)e->info->n_context)
        return maas_fail(err, MAAS_E_TOO_LARGE,
                         "the prompt has %u tokens, the context of the model holds %d with the "
                         "answer",
                         ask->n_tokens, e->info->n_context);
    if (ask->grammar && maas_grammar_n_logits(ask->grammar) != e->info->n_vocab)
        return maas_fail(err, MAAS_E_INVALID, "the grammar is of another vocabulary");
    if (ask->by == MAAS_BY_DRAFT && !e->drafter)
        return maas_fail(err, MAAS_E_INVALID, "the model has no draft model that could propose");
    if (ask->adapter > (uint32_t)e->info->n_adapters)
        return maas_fail(err, MAAS_E_INVALID, "adapter %u of %d", ask->adapter,
                         e->info->n_adapters);
    if (ask->adapter && !isfinite(ask->strength))
        return maas_fail(err, MAAS_E_INVALID, "the strength of an adapter must be a number");
    for (uint32_t i = 0; i < ask->n_tokens; i++)
        if (ask->tokens[i] < 0 || ask->tokens[i] >= e->info->n_vocab)
            return maas_fail(err, MAAS_E_INVALID, "token %d of the prompt is not in the vocabulary",
                             ask->tokens[i]);
    return MAAS_OK;
}

/* What is in front of a new request, at the pace of late. */
static uint32_t wait_ms(const maas_engine *e)
{
    const double ms = e->token_ns * 64 * (double)(e->n_waiting + e->running.n) * 1e-6;
    return ms < 100 ? 100 : ms > 60000 ? 60000 : (uint32_t)ms;
}

maas_status maas_engine_submit(maas_engine *e, const maas_ask *ask, maas_lm_on *on, void *user,
                               uint64_t *out_id, uint32_t *retry_ms, maas_err *err)
{
    MAAS_TRY(check_ask(e, ask, err));
    request *r = maas_request_create(ask, (uint32_t)e->info->n_context, e->t);
    if (!r)
        return maas_fail(err, MAAS_E_NOMEM, "a request of %u tokens", ask->n_tokens);
    r->on = on;
    r->user = user;
    pthread_mutex_lock(&e->lock);
    const bool closed = e->closed;
    const bool full = e->n_waiting >= e->opts.max_waiting && !ask->belongs;
    if (full && retry_ms)
        *retry_ms = wait_ms(e);
    if (!full && !closed) {
        *out_id = r->id = ++e->next_id;
        push(&e->inbox, r);
        e->n_waiting++;
        e->stats.requests++;
    }
    pthread_mutex_unlock(&e->lock);
    if (full || closed)
        maas_request_destroy(r);
    if (closed)
        return maas_fail(err, MAAS_E_UNAVAILABLE, "the model is being unloaded");
    if (full)
        return maas_fail(err, MAAS_E_BUSY, "%u requests are waiting", e->opts.max_waiting);
    if (e->wake)
        e->wake(e->wake_user);
    return MAAS_OK;
}

/* Lists of the stepping thread change under the lock, too, so that others may look at them. */
static request *find(const maas_engine *e, uint64_t id)
{
    const list *all[] = {&e->inbox, &e->waiting, &e->running};
    for (size_t i = 0; i < MAAS_COUNT(all); i++)
        for (request *r = all[i]->head; r; r = r->next)
            if (r->id == id)
                return r;
    return NULL;
}

void maas_engine_cancel(maas_engine *e, uint64_t id)
{
    pthread_mutex_lock(&e->lock);
    request *r = find(e, id);
    if (r)
        r->cancelled = e->cancels = true;
    pthread_mutex_unlock(&e->lock);
    if (r && e->wake)
        e->wake(e->wake_user);
}

void maas_engine_hold(maas_engine *e, uint64_t id, bool on)
{
    pthread_mutex_lock(&e->lock);
    request *r = find(e, id);
    if (r)
        r->hold = on;
    pthread_mutex_unlock(&e->lock);
    if (r && !on && e->wake)
        e->wake(e->wake_user);
}

void maas_engine_cancel_all(maas_engine *e)
{
    list *all[] = {&e->inbox, &e->waiting, &e->running};
    pthread_mutex_lock(&e->lock);
    e->closed = true;
    for (size_t i = 0; i < MAAS_COUNT(all); i++)
        for (request *r = all[i]->head; r; r = r->next)
            r->cancelled = e->cancels = true;
    pthread_mutex_unlock(&e->lock);
    if (e->wake)
        e->wake(e->wake_user);
}

/* ---- life ---- */

static maas_status open_drafter(maas_engine *e, maas_lm *m, maas_err *err)
{
    if (e->info->n_states)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "%s has no use for a draft model: proposals that were wrong cannot be "
                         "taken out of its state",
                         e->info->arch);
    e->wants = maas_calloc((size_t)e->info->max_seqs, sizeof *e->wants);
    if (!e->wants)
        return maas_fail(err, MAAS_E_NOMEM, "a draft model");
    MAAS_TRY(maas_drafter_create(m, e->info->n_vocab, e->opts.chunk, &e->drafter, err));
    e->stats.draft_blocks = e->stats.draft_blocks_free = maas_drafter_n_free(e->drafter);
    return MAAS_OK;
}

static maas_status open_cache(maas_engine *e, maas_err *err)
{
    if (e->info->n_states)
        MAAS_TRY(maas_states_create(e->info->n_states, &e->states, err));
    return e->info->n_blocks ? maas_blocks_create(e->info->n_blocks, &e->blocks, err) : MAAS_OK;
}

maas_status maas_engine_create(maas_lm *m, const maas_tokenizer *t, const maas_engine_opts *o,
                               maas_engine **out, maas_err *err)
{
    maas_engine *e = maas_calloc(1, sizeof *e);
    if (!e)
        return maas_fail(err, MAAS_E_NOMEM, "an engine");
    e->m = m;
    e->t = t;
    e->info = maas_lm_about(m);
    e->opts.max_waiting = o->max_waiting ? o->max_waiting : MAX_WAITING;
    e->opts.chunk = o->chunk ? o->chunk : CHUNK;
    e->opts.drafts = o->drafts;
    pthread_mutex_init(&e->lock, NULL);
    list_init(&e->inbox);
    list_init(&e->waiting);
    list_init(&e->running);
    const size_t seqs = (size_t)e->info->max_seqs;
    e->seqs = maas_calloc(seqs, sizeof *e->seqs);
    e->out_rows = maas_calloc((size_t)e->info->max_rows, sizeof *e->out_rows);
    e->tokens = maas_calloc((size_t)e->info->max_rows, sizeof *e->tokens);
    e->stats.blocks_free = e->info->n_blocks;
    maas_status st = open_cache(e, err);
    if (st == MAAS_OK && o->draft)
        st = open_drafter(e, o->draft, err);
    if (st == MAAS_OK)
        st = maas_sampler_create(e->info->n_vocab, (uint32_t)e->info->n_context, &e->sampler, err);
    if (st == MAAS_OK && (!e->seqs || !e->out_rows || !e->tokens))
        st = maas_fail(err, MAAS_E_NOMEM, "an engine");
    if (st == MAAS_OK && maas_tokenizer_n(t) > e->info->n_vocab)
        st = maas_fail(err, MAAS_E_FORMAT, "%d tokens have names, the model knows %d",
                       maas_tokenizer_n(t), e->info->n_vocab);
    if (st == MAAS_OK)
        *out = e;
    else
        maas_engine_destroy(e);
    return st;
}

void maas_engine_destroy(maas_engine *e)
{
    if (!e)
        return;
    list *all[] = {&e->inbox, &e->waiting, &e->running};
    for (size_t i = 0; i < MAAS_COUNT(all); i++)
        for (request *r; (r = pop(all[i]));)
            maas_request_destroy(r);
    maas_blocks_destroy(e->blocks);
    maas_drafter_destroy(e->drafter);
    maas_free(e->wants);
    maas_states_destroy(e->states);
    maas_sampler_destroy(e->sampler);
    pthread_mutex_destroy(&e->lock);
    maas_free(e->seqs);
    maas_free(e->masked);
    maas_free(e->out_rows);
    maas_free(e->tokens);
    maas_free(e);
}

const maas_err *maas_engine_draft_failure(maas_engine *e)
{
    const maas_err *why = e->draft_failure;
    e->draft_failure = NULL;
    return why;
}

void maas_engine_on_wake(maas_engine *e, void (*wake)(void *user), void *user)
{
    e->wake = wake;
    e->wake_user = user;
}

void maas_engine_stats_of(maas_engine *e, maas_engine_stats *out)
{
    pthread_mutex_lock(&e->lock);
    *out = e->stats;
    out->waiting = e->n_waiting;
    out->running = e->running.n;
    out->blocks = e->info->n_blocks;
    pthread_mutex_unlock(&e->lock);
}
