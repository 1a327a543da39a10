#include "lm/engine.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "lm/engine/blocks.h"
#include "lm/engine/constrain.h"
#include "lm/engine/request.h"
#include "base/ban.h"

enum { MAX_WAITING = 256, CHUNK = 128 };

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
    maas_engine_stats stats;
    double token_ns; /* of one token of one request, lately */

    /* the stepping thread alone */
    list waiting, running; /* by age */
    maas_blocks *blocks;
    maas_sampler *sampler;
    float *masked;     /* [n_vocab] logits that a grammar leaves; made when one comes */
    maas_lm_seq *seqs; /* [max_seqs] */
    maas_pace pace;
    int32_t *tokens, *out_rows; /* [max_rows] */
};

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
    const bool full = e->n_waiting >= e->opts.max_waiting;
    if (full && retry_ms)
        *retry_ms = wait_ms(e);
    if (!full) {
        *out_id = r->id = ++e->next_id;
        push(&e->inbox, r);
        e->n_waiting++;
        e->stats.requests++;
    }
    pthread_mutex_unlock(&e->lock);
    if (full) {
        maas_request_destroy(r);
        return maas_fail(err, MAAS_E_BUSY, "%u requests are waiting", e->opts.max_waiting);
    }
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
    for (size_t i = 0; i < MAAS_COUNT(all); i++)
        for (request *r = all[i]->head; r; r = r->next)
            r->cancelled = e->cancels = true;
    pthread_mutex_unlock(&e->lock);
    if (e->wake)
        e->wake(e->wake_user);
}

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

/* r is in `from`; error: FAILED. */
static void end(maas_engine *e, list *from, request *r, maas_lm_finish finish,
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
    maas_request_release(r, e->blocks);
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
            end(e, l, r, cancelled ? MAAS_LM_CANCELLED : MAAS_LM_DEADLINE, NULL);
    }
}

/* ---- making a step ---- */

/* Its blocks are others' now; those that are full may still be there when its turn comes again. */
static void put_off(maas_engine *e, request *r)
{
    maas_request_release(r, e->blocks);
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
        if (e->running.n && need > maas_blocks_n_free(e->blocks))
            break;
        pthread_mutex_lock(&e->lock);
        take_out(&e->waiting, r);
        push(&e->running, r);
        e->n_waiting--;
        pthread_mutex_unlock(&e->lock);
        r->started_ns = r->started_ns ? r->started_ns : maas_now_ns();
        maas_request_adopt(r, e->blocks);
    }
}

/* How many rows each gets: one to those that write; prompts share what is left, the oldest first.
 */
static void share_rows(maas_engine *e)
{
    uint32_t left = (uint32_t)e->info->max_rows, writing = 0;
    for (request *r = e->running.head; r; r = r->next) {
        r->rows = r->n_tokens - r->past == 1;
        writing += r->rows;
    }
    left -= writing < left ? writing : left;
    left = writing && left > e->opts.chunk ? e->opts.chunk : left;
    for (request *r = e->running.head; r; r = r->next) {
        const uint32_t need = r->n_tokens - r->past;
        if (need == 1)
            continue;
        r->rows = need < left ? need : left;
        left -= r->rows;
    }
}

static uint32_t padded(uint32_t n)
{
    uint32_t size = 1;
    while (size < n)
        size *= 2;
    return size;
}

/* Proposals for r; `spare` rows would cost nothing, or are all that may be (alone). */
static uint32_t propose(maas_engine *e, request *r, uint32_t spare, bool alone)
{
    uint32_t most = r->ask.drafts < 0 ? e->opts.drafts : (uint32_t)r->ask.drafts;
    most = most < MAAS_MAX_DRAFTS ? most : MAAS_MAX_DRAFTS;
    most = most < spare ? most : spare;
    most = most < r->end - r->n_tokens - 1 ? most : r->end - r->n_tokens - 1;
    const uint32_t n = most ? maas_lookup(r->tokens, r->n_tokens, most) : 0;
    const uint32_t k = !alone              ? maas_drafts_among(&r->guess, spare, n)
                       : r->ask.drafts < 0 ? maas_drafts_alone(&r->guess, &e->pace, n)
                                           : n; /* as it was asked for */
    if (n && !k)
        maas_guess_passed(&r->guess);
    return k;
}

/* Rows that the model would compute as padding check proposals; who is alone may have more. */
static void add_drafts(maas_engine *e)
{
    const bool alone = e->running.n == 1;
    uint32_t rows = 0, outs = 0;
    for (request *r = e->running.head; r; r = r->next) {
        rows += r->rows;
        outs += r->rows && r->past + r->rows == r->n_tokens;
    }
    const uint32_t size = padded(rows) < (uint32_t)e->info->max_rows ? padded(rows)
                                                                     : (uint32_t)e->info->max_rows;
    const uint32_t of_outs = padded(outs) - outs;
    uint32_t spare = size - rows < of_outs ? size - rows : of_outs;
    spare = alone ? (uint32_t)e->info->max_rows - rows : spare;
    for (request *r = e->running.head; r && spare; r = r->next) {
        if (r->rows != 1 || r->past + 1 != r->n_tokens)
            continue;
        r->drafts = propose(e, r, spare, alone);
        if (!maas_request_reserve(r, e->blocks, r->past + 1 + r->drafts)) {
            r->drafts = 0; /* nobody gives way for a guess */
            maas_request_trim(r, e->blocks);
        }
        r->rows += r->drafts;
        spare -= r->drafts;
    }
}

static void reserve_all(maas_engine *e)
{
    for (request *r = e->running.head; r; r = r->next)
        while (r->rows && !maas_request_reserve(r, e->blocks, r->past + r->rows))
            if (!preempt_for(e, r)) {
                r->rows = 0; /* the youngest itself: it waits until others end */
                break;
            }
}

/* Whose logits come: the last row, and those of proposals. */
static bool writes(const request *r)
{
    return r->rows && r->past + r->rows == r->n_tokens + r->drafts;
}

static maas_status run(maas_engine *e, const float **logits, maas_err *err)
{
    maas_lm_batch b = {.tokens = e->tokens, .seqs = e->seqs, .out_rows = e->out_rows};
    const uint64_t begin = maas_now_ns();
    int32_t row = 0;
    for (request *r = e->running.head; r; r = r->next) {
        if (!r->rows)
            continue;
        memcpy(e->tokens + row, r->tokens + r->past, r->rows * sizeof *e->tokens);
        e->seqs[b.n_seqs++] = (maas_lm_seq){(int32_t)r->rows, (int32_t)r->past, r->blocks};
        row += (int32_t)r->rows;
        for (uint32_t i = writes(r) ? r->drafts + 1 : 0; i > 0; i--)
            e->out_rows[b.n_out++] = row - (int32_t)i;
    }
    MAAS_TRY(b.n_seqs ? maas_lm_step(e->m, &b, logits, err) : MAAS_OK);
    if (b.n_out == row && row)
        maas_pace_add(&e->pace, (uint32_t)row, maas_now_ns() - begin);
    return MAAS_OK;
}

/* ---- a token ---- */

static maas_str text_of(const maas_engine *e, const request *r, int32_t token)
{
    return r->ask.show_special && maas_tokenizer_is_special(e->t, token)
               ? maas_tokenizer_name(e->t, token)
               : maas_tokenizer_piece(e->t, token);
}

static int32_t draw(maas_engine *e, request *r, const float *logits)
{
    const uint32_t n = r->n_tokens - r->ask.n_tokens;
    const int32_t token = maas_sampler_draw(e->sampler, &r->ask.sampling, logits, r->tokens,
                                            r->n_tokens, n);
    if (n >= r->ask.min_tokens || !maas_tokenizer_is_end(e->t, token))
        return token;
    /* too early to end: the best that does not */
    int32_t best = -1;
    for (int32_t i = 0; i < e->info->n_vocab; i++)
        if (!maas_tokenizer_is_end(e->t, i) && (best < 0 || logits[i] > logits[best]))
            best = i;
    return best < 0 ? token : best;
}

/* As draw, of what the grammar leaves: *out -1 when that is nothing. Without chance, the best of
 * all tokens is the best of those that may come, if it is one of them. */
static maas_status draw_fitting(maas_engine *e, request *r, const float *logits, int32_t *out,
                                maas_err *err)
{
    const bool no_end = r->ask.ignore_end || r->n_tokens - r->ask.n_tokens < r->ask.min_tokens;
    const bool greedy = r->ask.sampling.temperature <= 0;
    bool fits = false;
    uint32_t n;
    *out = greedy ? draw(e, r, logits) : -1;
    if (!r->matcher)
        MAAS_TRY(maas_matcher_create(r->ask.grammar, &r->matcher, err));
    if (greedy && !(no_end && maas_tokenizer_is_end(e->t, *out)))
        MAAS_TRY(maas_matcher_allows(r->matcher, *out, &fits, err));
    if (!fits) {
        if (!e->masked && !(e->masked = maas_calloc((size_t)e->info->n_vocab, sizeof *e->masked)))
            return maas_fail(err, MAAS_E_NOMEM, "memory for a grammar");
        MAAS_TRY(
            maas_constrain(r->matcher, e->t, no_end, logits, e->info->n_vocab, e->masked, &n, err));
        *out = n ? draw(e, r, e->masked) : -1;
    }
    return *out < 0 || maas_tokenizer_is_end(e->t, *out)
               ? MAAS_OK
               : maas_matcher_accept(r->matcher, *out, err);
}

/* False: it was the last one, and r is gone. */
static bool take_token(maas_engine *e, request *r, const float *logits)
{
    maas_logprob top[MAAS_MAX_TOP];
    maas_err err = {0};
    int32_t token = -1;
    if (!r->ask.grammar)
        token = draw(e, r, logits);
    else if (draw_fitting(e, r, logits, &token, &err) != MAAS_OK || token < 0) {
        end(e, &e->running, r, MAAS_LM_STOP, err.code ? &err : NULL);
        return false;
    }
    maas_lm_event ev = {.kind = MAAS_LM_TOKEN, .token = token};
    if (!r->first_ns)
        r->first_ns = maas_now_ns();
    if (r->ask.n_logprobs >= 0) {
        ev.n_top = r->ask.n_logprobs < MAAS_MAX_TOP ? r->ask.n_logprobs : MAAS_MAX_TOP;
        ev.logprob = maas_sampler_logprobs(e->sampler, logits, token, ev.n_top, top);
        ev.top = top;
    }
    maas_request_add(r, token, e->t);
    if (!r->ask.ignore_end && maas_tokenizer_is_end(e->t, token)) {
        end(e, &e->running, r, MAAS_LM_STOP, NULL);
        return false;
    }
    bool stop = r->matcher && maas_matcher_must_end(r->matcher);
    if (!r->ask.show_special && maas_tokenizer_is_special(e->t, token))
        maas_answer_finish(&r->answer); /* what was before it is told before it */
    else
        stop |= maas_answer_add(&r->answer, text_of(e, r, token));
    ev.text = (maas_str){r->answer.told.p ? r->answer.told.p : "", r->answer.told.n};
    const bool last = stop || r->n_tokens >= r->end;
    r->on(r->user, &ev);
    if (last)
        end(e, &e->running, r, stop ? MAAS_LM_STOP : MAAS_LM_LENGTH, NULL);
    return !last;
}

/* A token from each row that was asked for, as long as the row after it was made for that token.
 * What is in the cache is shared once it is known to be so. */
static const float *take_rows(maas_engine *e, request *r, const float *logits)
{
    const uint32_t n_out = writes(r) ? r->drafts + 1 : 0, drafts = r->drafts;
    const float *after = logits + (size_t)n_out * (size_t)e->info->n_vocab;
    r->guess.drafted += drafts;
    r->drafts = 0;
    maas_request_advance(r, e->blocks, n_out ? r->rows - drafts : r->rows);
    for (uint32_t i = 0; i < n_out; i++, logits += e->info->n_vocab) {
        const int32_t proposed = i < drafts ? r->tokens[r->n_tokens] : -1;
        const uint32_t at = r->n_tokens;
        if (!take_token(e, r, logits))
            return after;
        if (i == drafts)
            break;
        maas_guess_checked(&r->guess, r->tokens[at] == proposed);
        if (r->tokens[at] != proposed)
            break;
        maas_request_advance(r, e->blocks, 1);
    }
    if (drafts)
        maas_request_trim(r, e->blocks);
    return after;
}

static void fail_all(maas_engine *e, const maas_err *err)
{
    while (e->running.head)
        end(e, &e->running, e->running.head, MAAS_LM_STOP, err);
}

static void note_blocks(maas_engine *e)
{
    pthread_mutex_lock(&e->lock);
    e->stats.blocks_free = maas_blocks_n_free(e->blocks);
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
    add_drafts(e);
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
            logits = take_rows(e, r, logits);
    }
    note_blocks(e);
    return true;
}

/* ---- life ---- */

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
    maas_status st = maas_blocks_create(e->info->n_blocks, &e->blocks, err);
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
    maas_sampler_destroy(e->sampler);
    pthread_mutex_destroy(&e->lock);
    maas_free(e->seqs);
    maas_free(e->masked);
    maas_free(e->out_rows);
    maas_free(e->tokens);
    maas_free(e);
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
