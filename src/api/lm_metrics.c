/* api/lm_metrics.c - /metrics of language models: vLLM's metrics, named for us. */
#include <stdio.h>
#include <string.h>

#include "api/metrics.h"
#include "base/ban.h"

typedef struct lm_metric {
    const char *name, *type, *words;
} lm_metric;

static const lm_metric numbers[] = {
    {"maas_lm_requests_total", "counter", "Requests to a language model."},
    {"maas_lm_prompt_tokens_total", "counter", "Tokens of prompts."},
    {"maas_lm_cached_tokens_total", "counter", "Tokens of prompts that were in the cache."},
    {"maas_lm_tokens_total", "counter", "Tokens generated."},
    {"maas_lm_draft_tokens_total", "counter", "Tokens proposed by prompt lookup or a draft model."},
    {"maas_lm_accepted_tokens_total", "counter", "Proposed tokens that were right."},
    {"maas_lm_draft_failures_total", "counter", "Steps of a draft model that failed."},
    {"maas_lm_preemptions_total", "counter", "Sequences that gave their cache back."},
    {"maas_lm_queue_seconds_total", "counter", "Time that finished requests waited."},
    {"maas_lm_prompt_seconds_total", "counter", "Time of finished requests to the first token."},
    {"maas_lm_decode_seconds_total", "counter", "Time of finished requests after it."},
    {"maas_lm_waiting", "gauge", "Requests that wait for a place in the batch."},
    {"maas_lm_running", "gauge", "Sequences in the batch."},
    {"maas_lm_cache_blocks", "gauge", "Blocks of the cache of keys and values."},
    {"maas_lm_cache_blocks_free", "gauge", "Those that nobody uses."},
    {"maas_lm_cache_usage_ratio", "gauge", "The share of the cache that sequences use."},
    {"maas_lm_cache_hit_ratio", "gauge", "The share of prompts that was in the cache."},
};

static const lm_metric encoder_numbers[] = {
    {"maas_encoder_requests_total", "counter", "Requests to an encoder."},
    {"maas_encoder_texts_total", "counter", "Texts, or pairs of texts, encoded."},
    {"maas_encoder_tokens_total", "counter", "Tokens of texts."},
    {"maas_encoder_padded_tokens_total", "counter", "Tokens computed, padding included."},
    {"maas_encoder_runs_total", "counter", "Runs, of some texts each."},
    {"maas_encoder_busy_seconds_total", "counter", "Time of runs."},
    {"maas_encoder_waiting", "gauge", "Requests under way."},
};

static const struct {
    const char *name, *words;
    size_t at; /* in maas_lm_stats */
    double unit;
} histograms[] = {
#define AT(f) offsetof(maas_lm_stats, f)
    {"maas_lm_time_to_first_token_seconds", "Time to the first token, waiting included.",
     AT(first_token), 1e-6},
    {"maas_lm_time_per_output_token_seconds", "Time of a token after the first, a request's mean.",
     AT(per_token), 1e-6},
    {"maas_lm_request_queue_time_seconds", "Time that a request waited.", AT(queue), 1e-6},
    {"maas_lm_request_prefill_time_seconds", "Time of a request's prompt.", AT(prompt), 1e-6},
    {"maas_lm_request_decode_time_seconds", "Time after a request's first token.", AT(decode),
     1e-6},
    {"maas_lm_e2e_request_latency_seconds", "Time of a request.", AT(total), 1e-6},
    {"maas_lm_request_prompt_tokens", "Tokens of a request's prompt.", AT(prompt_tokens), 1},
    {"maas_lm_request_generation_tokens", "Tokens generated for a request.", AT(tokens), 1},
#undef AT
};

typedef struct writer {
    maas_buf *b;
    size_t i; /* of numbers, or of histograms */
} writer;

static void put_labels(char *out, size_t size, const maas_lm_service *m)
{
    snprintf(out, size, "model=\"%s\",version=\"%lld\"", maas_lm_service_name(m),
             (long long)maas_lm_service_version(m));
}

static double share(double part, double all)
{
    return all > 0 ? part / all : 0;
}

static void number_of(void *user, maas_lm_service *m)
{
    const writer *w = user;
    char labels[MAAS_MAX_NAME + 64];
    maas_engine_stats s;
    if (!maas_lm_service_engine(m))
        return;
    maas_engine_stats_of(maas_lm_service_engine(m), &s);
    const double values[] = {(double)s.requests,
                             (double)s.prompt_tokens,
                             (double)s.cached_tokens,
                             (double)s.tokens,
                             (double)s.drafted,
                             (double)s.accepted,
                             (double)s.draft_failures,
                             (double)s.preemptions,
                             (double)s.queue_ns * 1e-9,
                             (double)s.prompt_ns * 1e-9,
                             (double)s.decode_ns * 1e-9,
                             s.waiting,
                             s.running,
                             s.blocks,
                             s.blocks_free,
                             share(s.blocks - s.blocks_free, s.blocks),
                             share((double)s.cached_tokens, (double)s.prompt_tokens)};
    _Static_assert(MAAS_COUNT(values) == MAAS_COUNT(numbers), "a value for each metric");
    put_labels(labels, sizeof labels, m);
    maas_buf_printf(w->b, "%s{%s} %.10g\n", numbers[w->i].name, labels, values[w->i]);
}

static void encoder_number_of(void *user, maas_lm_service *m)
{
    const writer *w = user;
    char labels[MAAS_MAX_NAME + 64];
    maas_embedder_stats s;
    if (!maas_lm_service_embedder(m))
        return;
    maas_embedder_stats_of(maas_lm_service_embedder(m), &s);
    const double values[] = {(double)s.requests, (double)s.texts, (double)s.tokens,
                             (double)s.padded,   (double)s.runs,  (double)s.busy_ns * 1e-9,
                             s.waiting};
    _Static_assert(MAAS_COUNT(values) == MAAS_COUNT(encoder_numbers), "a value for each metric");
    put_labels(labels, sizeof labels, m);
    maas_buf_printf(w->b, "%s{%s} %.10g\n", encoder_numbers[w->i].name, labels, values[w->i]);
}

static void histogram_of(void *user, maas_lm_service *m)
{
    const writer *w = user;
    char labels[MAAS_MAX_NAME + 64];
    const char *all = (const char *)maas_lm_service_stats(m);
    if (!maas_lm_service_engine(m))
        return;
    put_labels(labels, sizeof labels, m);
    maas_metric_histogram(w->b, histograms[w->i].name, labels,
                          (const maas_histogram *)(const void *)(all + histograms[w->i].at),
                          histograms[w->i].unit);
}

static void ends_of(void *user, maas_lm_service *m)
{
    static const char *const names[] = {"stop", "length", "cancelled", "deadline"};
    char labels[MAAS_MAX_NAME + 64];
    const maas_lm_stats *s = maas_lm_service_stats(m);
    _Static_assert(MAAS_COUNT(names) == MAAS_COUNT(s->ended), "a name for each end");
    if (!maas_lm_service_engine(m))
        return;
    put_labels(labels, sizeof labels, m);
    for (size_t i = 0; i <= MAAS_COUNT(names); i++)
        maas_buf_printf(
            user, "maas_lm_request_ends_total{%s,finished_reason=\"%s\"} %llu\n", labels,
            i < MAAS_COUNT(names) ? names[i] : "error",
            (unsigned long long)atomic_load(i < MAAS_COUNT(names) ? &s->ended[i] : &s->failed));
}

/* ---- of each API key ---- */

static const struct {
    const char *name, *words;
    size_t at; /* in maas_lm_usage_row */
    double unit;
} usages[] = {
#define AT(f) offsetof(maas_lm_usage_row, f)
    {"maas_lm_key_requests_total", "Requests of an API key that ended.", AT(requests), 1},
    {"maas_lm_key_prompt_tokens_total", "Tokens of their prompts.", AT(prompt_tokens), 1},
    {"maas_lm_key_cached_tokens_total", "Those that were in the cache.", AT(cached_tokens), 1},
    {"maas_lm_key_tokens_total", "Tokens generated for them.", AT(tokens), 1},
    {"maas_lm_key_answered_total", "Those that had a first token.", AT(begun), 1},
    {"maas_lm_key_first_token_seconds_total", "Their time to it, waiting included.", AT(first_ns),
     1e-9},
    {"maas_lm_key_decode_seconds_total", "Their time after it.", AT(decode_ns), 1e-9},
#undef AT
};

static void usage_of(void *user, maas_lm_service *m)
{
    const writer *w = user;
    char labels[MAAS_MAX_NAME + 64];
    maas_lm_usage_row row;
    put_labels(labels, sizeof labels, m);
    for (size_t i = 0; maas_lm_usage_at(maas_lm_service_usage(m), i, &row); i++) {
        uint64_t x;
        memcpy(&x, (const char *)&row + usages[w->i].at, sizeof x);
        maas_buf_printf(w->b, "%s{%s,key=\"%s\"} %.10g\n", usages[w->i].name, labels, row.key,
                        (double)x * usages[w->i].unit);
    }
}

void maas_metrics_lm(const maas_app *app, maas_buf *b)
{
    writer w = {b, 0};
    for (; w.i < MAAS_COUNT(numbers); w.i++) {
        maas_metric_head(b, numbers[w.i].name, numbers[w.i].type, numbers[w.i].words);
        maas_models_each_lm(app->models, number_of, &w);
    }
    for (w.i = 0; w.i < MAAS_COUNT(encoder_numbers); w.i++) {
        maas_metric_head(b, encoder_numbers[w.i].name, encoder_numbers[w.i].type,
                         encoder_numbers[w.i].words);
        maas_models_each_lm(app->models, encoder_number_of, &w);
    }
    for (w.i = 0; w.i < MAAS_COUNT(histograms); w.i++) {
        maas_metric_head(b, histograms[w.i].name, "histogram", histograms[w.i].words);
        maas_models_each_lm(app->models, histogram_of, &w);
    }
    for (w.i = 0; w.i < MAAS_COUNT(usages); w.i++) {
        maas_metric_head(b, usages[w.i].name, "counter", usages[w.i].words);
        maas_models_each_lm(app->models, usage_of, &w);
    }
    maas_metric_head(b, "maas_lm_request_ends_total", "counter", "Requests that ended, by reason.");
    maas_models_each_lm(app->models, ends_of, b);
}
