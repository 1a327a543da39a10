#include "lm/engine/engine_int.h"

#include <string.h>

#include "base/sys.h"
#include "base/ban.h"

/* ---- the end of a request ---- */

static void count_end(maas_engine *e, const maas_lm_timing *t)
{
    maas_engine_stats *s = &e->stats;
    s->prompt_tokens += t->prompt_tokens;
    s->cached_tokens += t->cached_tokens;
    s->tokens += t->tokens;
    s->drafted += t->drafted;
    s->accepted += t->accepted;
    s->queue_ns += t->queue_ns;
    s->prompt_ns += t->prompt_ns;
    s->decode_ns += t->decode_ns;
    if (t->tokens) {
        const double ns = (double)(t->prompt_ns + t->decode_ns) / t->tokens;
        e->token_ns = e->token_ns > 0 ? 0.9 * e->token_ns + 0.1 * ns : ns;
    }
}

/* whole: no step failed on the way. Keys and values are not kept with a state: it is of no use
 * without them. */
static void give_back(maas_engine *e, request *r, bool whole)
{
    if (e->states)
        maas_request_give_state(r, e->states, whole && !e->blocks);
    maas_pages_release(&r->pages, e->blocks);
    if (e->drafter)
        maas_drafter_release(e->drafter, &r->draft);
}

void maas_engine_end(maas_engine *e, list *from, request *r, maas_lm_finish finish,
                     const maas_err *error)
{
    maas_lm_event ev = {.kind = error ? MAAS_LM_FAILED : MAAS_LM_DONE,
                        .finish = finish,
                        .stop = r->answer.stop,
                        .error = error};
    maas_request_timing(r, &ev.timing);
    pthread_mutex_lock(&e->lock);
    take_out(from, r);
    e->n_waiting -= from == &e->waiting;
    count_end(e, &ev.timing);
    pthread_mutex_unlock(&e->lock);
    give_back(e, r, !error);
    if (!(finish == MAAS_LM_STOP && r->answer.held.n == 0))
        maas_answer_finish(&r->answer);
    else
        maas_buf_clear(&r->answer.told);
    ev.text = (maas_str){r->answer.told.p ? r->answer.told.p : "", r->answer.told.n};
    r->on(r->user, &ev);
    maas_request_destroy(r);
}

static bool overdue(const request *r, uint64_t now)
{
    return r->ask.deadline_ns && now >= r->ask.deadline_ns;
}

static void end_marked(maas_engine *e, list *l)
{
    const uint64_t now = maas_now_ns();
    for (request *r = l->head, *next; r; r = next) {
        next = r->next;
        pthread_mutex_lock(&e->lock);
        const bool cancelled = r->cancelled;
        pthread_mutex_unlock(&e->lock);
        if (cancelled || overdue(r, now))
            maas_engine_end(e, l, r, cancelled ? MAAS_LM_CANCELLED : MAAS_LM_DEADLINE, NULL);
    }
}

/* ---- making a step ---- */

/* Its blocks are others' now; those that are full may still be there when its turn comes again. */
static void put_off(maas_engine *e, request *r)
{
    give_back(e, r, true);
    r->rows = r->drafts = 0;
    pthread_mutex_lock(&e->lock);
    take_out(&e->running, r);
    push_front(&e->waiting, r);
    e->n_waiting++;
    pthread_mutex_unlock(&e->lock);
}

/* The youngest gives way, so that the oldest gets on. */
static bool preempt_for(maas_engine *e, const request *r)
{
    request *last = e->running.head;
    while (last && last->next)
        last = last->next;
    if (!last || last == r)
        return false;
    put_off(e, last);
    pthread_mutex_lock(&e->lock);
    e->stats.preemptions++;
    pthread_mutex_unlock(&e->lock);
    return true;
}

static void note_held(list *l)
{
    for (request *r = l->head; r; r = r->next)
        r->held = r->hold;
}

static void collect(maas_engine *e)
{
    pthread_mutex_lock(&e->lock);
    for (request *r; (r = pop(&e->inbox));)
        push(&e->waiting, r);
    const bool cancels = e->cancels;
    e->cancels = false;
    note_held(&e->waiting);
    note_held(&e->running);
    pthread_mutex_unlock(&e->lock);
    if (cancels || e->waiting.n || e->running.n) {
        end_marked(e, &e->waiting);
        end_marked(e, &e->running);
    }
    for (request *r = e->running.head, *next; r; r = next) {
        next = r->next;
        if (r->held)
            put_off(e, r);
    }
}

/* As long as the whole prompt fits beside what runs. */
static void admit(maas_engine *e)
{
    request *r = e->waiting.head;
    for (request *next; r && e->running.n < (uint32_t)e->info->max_seqs; r = next) {
        next = r->next;
        if (r->held)
            continue;
        const int32_t need = (int32_t)(r->n_tokens / MAAS_PAGE + 1);
        if (e->blocks && e->running.n && need > maas_blocks_n_free(e->blocks))
            break;
        pthread_mutex_lock(&e->lock);
        take_out(&e->waiting, r);
        push(&e->running, r);
        e->n_waiting--;
        pthread_mutex_unlock(&e->lock);
        r->started_ns = r->started_ns ? r->started_ns : maas_now_ns();
        if (e->states) /* one for each place */
            maas_request_take_state(r, e->states);
        else
            maas_request_adopt(r, e->blocks);
    }
}

/* How many rows each gets: one to those that write; prompts share what is left, the oldest first.
 */
static void share_rows(maas_engine *e)
{
    uint32_t left = (uint32_t)e->info->max_rows, writing = 0;
    for (request *r = e->running.head; r; r = r->next) {
        r->rows = r->n_tokens - r->pages.past == 1;
        writing += r->rows;
    }
    left -= writing < left ? writing : left;
    left = writing && left > e->opts.chunk ? e->opts.chunk : left;
    for (request *r = e->running.head; r; r = r->next) {
        const uint32_t need = r->n_tokens - r->pages.past;
        if (need == 1)
            continue;
        r->rows = need < left ? need : left;
        left -= r->rows;
    }
}

static void reserve_all(maas_engine *e)
{
    for (request *r = e->running.head; r; r = r->next)
        while (r->rows && !maas_pages_reserve(&r->pages, e->blocks, r->pages.past + r->rows))
            if (!preempt_for(e, r)) {
                r->rows = 0; /* the youngest itself: it waits until others end */
                break;
            }
}

static maas_status run(maas_engine *e, const float **logits, maas_err *err)
{
    maas_lm_batch b = {.tokens = e->tokens, .seqs = e->seqs, .out_rows = e->out_rows};
    const uint64_t begin = maas_now_ns();
    int32_t row = 0;
    for (request *r = e->running.head; r; r = r->next) {
        if (!r->rows)
            continue;
        memcpy(e->tokens + row, r->tokens + r->pages.past, r->rows * sizeof *e->tokens);
        e->seqs[b.n_seqs++] = (maas_lm_seq){(int32_t)r->rows, (int32_t)r->pages.past,
                                            r->pages.blocks,  (int32_t)r->ask.adapter,
                                            r->ask.strength,  r->state};
        row += (int32_t)r->rows;
        for (uint32_t i = request_writes(r) ? r->drafts + 1 : 0; i > 0; i--)
            e->out_rows[b.n_out++] = row - (int32_t)i;
    }
    MAAS_TRY(b.n_seqs ? maas_lm_step(e->m, &b, logits, err) : MAAS_OK);
    if (b.n_out == row && row)
        maas_pace_add(&e->pace, (uint32_t)row, maas_now_ns() - begin);
    return MAAS_OK;
}

static void fail_all(maas_engine *e, const maas_err *err)
{
    while (e->running.head)
        maas_engine_end(e, &e->running, e->running.head, MAAS_LM_STOP, err);
}

static void note_blocks(maas_engine *e)
{
    pthread_mutex_lock(&e->lock);
    e->stats.blocks_free = e->blocks ? maas_blocks_n_free(e->blocks) : 0;
    e->stats.draft_blocks_free = e->drafter ? maas_drafter_n_free(e->drafter) : 0;
    pthread_mutex_unlock(&e->lock);
}

bool maas_engine_step(maas_engine *e)
{
    maas_err err = {0};
    const float *logits = NULL;
    collect(e);
    admit(e);
    share_rows(e);
    reserve_all(e);
    maas_engine_propose(e);
    if (!e->running.n) {
        note_blocks(e);
        return false;
    }
    if (run(e, &logits, &err) != MAAS_OK) {
        fail_all(e, &err);
        return true;
    }
    for (request *r = e->running.head, *next; r; r = next) {
        next = r->next;
        if (r->rows)
            logits = maas_engine_take_rows(e, r, logits);
    }
    note_blocks(e);
    return true;
}
