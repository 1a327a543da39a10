/* api/talk_report.c - what dialects say alike about an answer that is made. */
#include "api/talk.h"

#include "base/ban.h"

void maas_talk_put_stop(const maas_talk *t, int32_t stop, maas_buf *b)
{
    if (stop >= 0 && (uint32_t)stop < t->ask.n_stops)
        maas_buf_json_str(b, t->ask.stops[stop].p, t->ask.stops[stop].n);
    else
        maas_buf_str(b, "null");
}

static void put_pace(const char *what, uint32_t n, uint64_t ns, maas_buf *b)
{
    const double ms = (double)ns * 1e-6, each = n ? ms / n : 0;
    maas_buf_printf(b,
                    ",\"%s_n\":%u,\"%s_ms\":%.3f,\"%s_per_token_ms\":%.3f,\"%s_per_second\":%.3f",
                    what, n, what, ms, what, each, what, each > 0 ? 1000 / each : 0);
}

void maas_talk_put_timings(const maas_talk *t, maas_buf *b)
{
    const maas_lm_timing *x = &t->timing;
    maas_buf_printf(b, "{\"queue_ms\":%.3f,\"cache_n\":%u", (double)x->queue_ns * 1e-6,
                    x->cached_tokens);
    put_pace("prompt", x->prompt_tokens - x->cached_tokens, x->prompt_ns, b);
    put_pace("predicted", x->tokens, x->decode_ns, b);
    if (x->drafted)
        maas_buf_printf(b, ",\"draft_n\":%u,\"draft_n_accepted\":%u", x->drafted, x->accepted);
    maas_buf_char(b, '}');
}
