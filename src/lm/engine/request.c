#include "lm/engine/request.h"

#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "base/ban.h"

/* Tokens that came since the last call. */
static void note_breaks(request *r, const maas_tokenizer *t)
{
    while (r->breaks.n_texts && r->breaks.n_tokens < r->n_tokens) {
        const int32_t token = r->tokens[r->breaks.n_tokens];
        if (maas_breaks_add(&r->breaks, maas_tokenizer_is_special(t, token)
                                            ? maas_tokenizer_name(t, token)
                                            : maas_tokenizer_piece(t, token)))
            r->sampling.dry_start = r->breaks.n_tokens;
    }
}

request *maas_request_create(const maas_ask *ask, uint32_t room, const maas_tokenizer *t)
{
    const size_t bias_bytes = ask->sampling.n_bias * sizeof *ask->sampling.bias;
    request *r = maas_calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->ask = *ask;
    r->ask.sampling.bias = NULL;
    if (ask->grammar)
        maas_grammar_ref(ask->grammar);
    r->end = ask->max_tokens && ask->max_tokens < room - ask->n_tokens
                 ? ask->n_tokens + ask->max_tokens
                 : room;
    r->tokens = maas_alloc((size_t)r->end * sizeof *r->tokens);
    r->pages.blocks = maas_alloc(((size_t)r->end / MAAS_PAGE + 1) * sizeof *r->pages.blocks);
    maas_logit_bias *bias = bias_bytes ? maas_alloc(bias_bytes) : NULL;
    if (!r->tokens || !r->pages.blocks || (bias_bytes && !bias) ||
        !maas_answer_init(&r->answer, ask->stops, ask->n_stops) ||
        !maas_breaks_init(&r->breaks, ask->dry_breaks, ask->n_dry_breaks)) {
        maas_free(bias);
        maas_request_destroy(r);
        return NULL;
    }
    if (bias)
        memcpy(bias, ask->sampling.bias, bias_bytes);
    r->ask.sampling.bias = bias;
    r->ask.sampling.state = &r->sampling;
    memcpy(r->tokens, ask->tokens, ask->n_tokens * sizeof *r->tokens);
    r->n_tokens = ask->n_tokens;
    note_breaks(r, t);
    r->state = -1;
    r->submitted_ns = maas_now_ns();
    return r;
}

void maas_request_destroy(request *r)
{
    if (!r)
        return;
    maas_answer_reset(&r->answer);
    maas_breaks_reset(&r->breaks);
    maas_matcher_destroy(r->matcher);
    maas_grammar_unref(r->ask.grammar);
    maas_free((void *)(uintptr_t)r->ask.sampling.bias);
    maas_free(r->tokens);
    maas_free(r->pages.blocks);
    maas_free(r->draft.pages.blocks);
    maas_free(r);
}

void maas_request_add(request *r, int32_t token, const maas_tokenizer *t)
{
    r->tokens[r->n_tokens++] = token;
    note_breaks(r, t);
}

void maas_request_timing(const request *r, maas_lm_timing *t)
{
    const uint64_t now = maas_now_ns(), start = r->started_ns ? r->started_ns : now;
    const uint64_t first = r->first_ns ? r->first_ns : now;
    *t = (maas_lm_timing){.queue_ns = start - r->submitted_ns,
                          .prompt_ns = first > start ? first - start : 0,
                          .decode_ns = now > first ? now - first : 0,
                          .prompt_tokens = r->ask.n_tokens,
                          .cached_tokens = r->cached,
                          .tokens = r->n_tokens - r->ask.n_tokens,
                          .drafted = r->guess.drafted,
                          .accepted = r->guess.accepted};
}

/* ---- its blocks ---- */

uint64_t maas_request_kind(const request *r)
{
    uint32_t strength = 0;
    memcpy(&strength, &r->ask.strength, sizeof strength);
    return r->ask.adapter ? (uint64_t)r->ask.adapter << 32 | strength : 0;
}

void maas_request_adopt(request *r, maas_blocks *b)
{
    maas_pages_adopt(&r->pages, b, maas_request_kind(r), r->tokens, r->n_tokens);
    if (!r->first_ns)
        r->cached = r->pages.past;
}

void maas_request_take_state(request *r, maas_states *s)
{
    r->state = maas_states_take(s, maas_request_kind(r), r->tokens, r->n_tokens, &r->pages.past);
    if (!r->first_ns)
        r->cached = r->pages.past;
}

void maas_request_give_state(request *r, maas_states *s, bool whole)
{
    if (r->state < 0)
        return;
    maas_states_give(s, r->state, maas_request_kind(r), r->tokens, whole ? r->pages.past : 0);
    r->state = -1;
}

void maas_request_advance(request *r, maas_blocks *b, uint32_t n)
{
    maas_pages_advance(&r->pages, b, maas_request_kind(r), r->tokens, n);
}
