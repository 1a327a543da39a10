#include "lm/engine/engine_int.h"

#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "lm/engine/constrain.h"
#include "base/ban.h"

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
        maas_engine_end(e, &e->running, r, MAAS_LM_STOP, err.code ? &err : NULL);
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
        maas_engine_end(e, &e->running, r, MAAS_LM_STOP, NULL);
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
        maas_engine_end(e, &e->running, r, stop ? MAAS_LM_STOP : MAAS_LM_LENGTH, NULL);
    return !last;
}

/* A token from each row that was asked for, as long as the row after it was made for that token.
 * What is in the cache is shared once it is known to be so. */
const float *maas_engine_take_rows(maas_engine *e, request *r, const float *logits)
{
    const uint32_t n_out = request_writes(r) ? r->drafts + 1 : 0, drafts = r->drafts;
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
        maas_pages_trim(&r->pages, e->blocks);
    return after;
}
