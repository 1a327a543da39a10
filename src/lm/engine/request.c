#include "lm/engine/request.h"

#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "base/ban.h"

enum { PAGE = MAAS_PAGE };

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
    r->blocks = maas_alloc(((size_t)r->end / PAGE + 1) * sizeof *r->blocks);
    maas_logit_bias *bias = bias_bytes ? maas_alloc(bias_bytes) : NULL;
    if (!r->tokens || !r->blocks || (bias_bytes && !bias) ||
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
    maas_free(r->blocks);
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

static int32_t parent_of(const request *r)
{
    return r->n_full ? r->blocks[r->n_full - 1] : -1;
}

/* What keys and values depend on beside tokens: the adapter, and how much of it. */
static uint64_t kind_of(const request *r)
{
    uint32_t strength = 0;
    memcpy(&strength, &r->ask.strength, sizeof strength);
    return r->ask.adapter ? (uint64_t)r->ask.adapter << 32 | strength : 0;
}

void maas_request_adopt(request *r, maas_blocks *b)
{
    while ((r->n_full + 1) * PAGE < r->n_tokens) {
        const int32_t i = maas_blocks_find(b, parent_of(r), kind_of(r),
                                           r->tokens + r->n_full * PAGE);
        if (i < 0)
            break;
        r->blocks[r->n_blocks++] = i;
        r->n_full++;
    }
    r->past = r->n_full * PAGE;
    if (!r->first_ns)
        r->cached = r->past;
}

bool maas_request_reserve(request *r, maas_blocks *b, uint32_t n_tokens)
{
    while (r->n_blocks * PAGE < n_tokens) {
        const int32_t i = maas_blocks_take(b);
        if (i < 0)
            return false;
        r->blocks[r->n_blocks++] = i;
    }
    return true;
}

void maas_request_advance(request *r, maas_blocks *b, uint32_t n)
{
    r->past += n;
    while ((r->n_full + 1) * PAGE <= r->past) {
        int32_t *i = &r->blocks[r->n_full];
        *i = maas_blocks_fill(b, *i, parent_of(r), kind_of(r), r->tokens + r->n_full * PAGE);
        r->n_full++;
    }
}

void maas_request_trim(request *r, maas_blocks *b)
{
    while (r->n_blocks * PAGE > r->past + PAGE)
        maas_blocks_give(b, r->blocks[--r->n_blocks]);
}

void maas_request_release(request *r, maas_blocks *b)
{
    while (r->n_blocks)
        maas_blocks_give(b, r->blocks[--r->n_blocks]);
    r->past = r->n_full = 0;
}
