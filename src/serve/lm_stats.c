#include "serve/lm_stats.h"

#include "base/ban.h"

void maas_lm_stats_add(maas_lm_stats *s, const maas_lm_event *ev)
{
    const maas_lm_timing *t = &ev->timing;
    if (ev->kind == MAAS_LM_FAILED) {
        atomic_fetch_add_explicit(&s->failed, 1, memory_order_relaxed);
        return;
    }
    atomic_fetch_add_explicit(&s->ended[ev->finish], 1, memory_order_relaxed);
    maas_hist_add(&s->queue, t->queue_ns);
    maas_hist_add(&s->total, t->queue_ns + t->prompt_ns + t->decode_ns);
    maas_hist_add(&s->prompt_tokens, (uint64_t)t->prompt_tokens * 1000);
    maas_hist_add(&s->tokens, (uint64_t)t->tokens * 1000);
    if (!t->tokens) /* it ended while it waited, or in its prompt */
        return;
    maas_hist_add(&s->prompt, t->prompt_ns);
    maas_hist_add(&s->decode, t->decode_ns);
    maas_hist_add(&s->first_token, t->queue_ns + t->prompt_ns);
    if (t->tokens > 1)
        maas_hist_add(&s->per_token, t->decode_ns / (t->tokens - 1));
}
