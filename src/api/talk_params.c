/* api/talk_params.c - what every dialect may say of an answer: one table, under OpenAI's names. */
#include "api/talk_format.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/sys.h"
#include "base/ban.h"

enum { MAX_CHOICES = 16, MAX_STOPS = 16, MAX_BIAS = 1024 };
#define MAX_STOP_BYTES 1024

typedef enum kind { REAL, WHOLE, FLAG } kind;
typedef struct param {
    const char *name;
    kind kind;
    double min, max;
    size_t at; /* in maas_talk: float, int32_t or uint32_t, bool */
} param;

#define AT(f) offsetof(maas_talk, f)
static const param params[] = {
    {"temperature", REAL, 0, 2, AT(ask.sampling.temperature)},
    {"top_p", REAL, 0, 1, AT(ask.sampling.top_p)},
    {"min_p", REAL, 0, 1, AT(ask.sampling.min_p)},
    {"top_k", WHOLE, -1, 1 << 20, AT(ask.sampling.top_k)},
    {"frequency_penalty", REAL, -2, 2, AT(ask.sampling.frequency_penalty)},
    {"presence_penalty", REAL, -2, 2, AT(ask.sampling.presence_penalty)},
    {"repetition_penalty", REAL, 0.01, 10, AT(ask.sampling.repeat_penalty)},
    {"repeat_penalty", REAL, 0.01, 10, AT(ask.sampling.repeat_penalty)},
    {"repeat_last_n", WHOLE, -1, 1 << 20, AT(ask.sampling.repeat_last)},
    {"typical_p", REAL, 0, 1, AT(ask.sampling.typical_p)},
    {"top_n_sigma", REAL, -1, 100, AT(ask.sampling.top_n_sigma)},
    {"xtc_probability", REAL, 0, 1, AT(ask.sampling.xtc_probability)},
    {"xtc_threshold", REAL, 0, 1, AT(ask.sampling.xtc_threshold)},
    {"mirostat", WHOLE, 0, 2, AT(ask.sampling.mirostat)},
    {"mirostat_tau", REAL, 0, 100, AT(ask.sampling.mirostat_tau)},
    {"mirostat_eta", REAL, 0, 1, AT(ask.sampling.mirostat_eta)},
    {"dry_multiplier", REAL, 0, 100, AT(ask.sampling.dry_multiplier)},
    {"dry_base", REAL, 1, 10, AT(ask.sampling.dry_base)},
    {"dry_allowed_length", WHOLE, 1, 1 << 20, AT(ask.sampling.dry_allowed)},
    {"dry_penalty_last_n", WHOLE, -1, 1 << 20, AT(ask.sampling.dry_last)},
    {"max_tokens", WHOLE, 1, 1 << 30, AT(ask.max_tokens)},
    {"max_completion_tokens", WHOLE, 1, 1 << 30, AT(ask.max_tokens)},
    {"min_tokens", WHOLE, 0, 1 << 30, AT(ask.min_tokens)},
    {"speculative.n_max", WHOLE, 0, 64, AT(ask.drafts)},
    {"n", WHOLE, 1, MAX_CHOICES, AT(n)},
    {"ignore_eos", FLAG, 0, 0, AT(ask.ignore_end)},
    {"stream", FLAG, 0, 0, AT(stream)},
    {"echo", FLAG, 0, 0, AT(echo)},
};
#undef AT

static maas_status read_param(maas_talk *t, const param *p, const json_t *v, maas_err *err)
{
    char *at = (char *)t + p->at;
    const double x = json_number_value(v);
    if (p->kind == FLAG) {
        if (!json_is_boolean(v))
            return maas_fail(err, MAAS_E_INVALID, "'%s' must be true or false", p->name);
        *(bool *)(void *)at = json_is_true(v);
        return MAAS_OK;
    }
    if (!json_is_number(v) || !(x >= p->min && x <= p->max) || (p->kind == WHOLE && x != floor(x)))
        return maas_fail(err, MAAS_E_INVALID, "'%s' must be a %snumber from %g to %g", p->name,
                         p->kind == WHOLE ? "whole " : "", p->min, p->max);
    if (p->kind == REAL)
        *(float *)(void *)at = (float)x;
    else
        *(int32_t *)(void *)at = (int32_t)x;
    return MAAS_OK;
}

typedef struct texts {
    const char *name;
    size_t max, max_bytes; /* how many; of each */
    size_t at, n_at;       /* in maas_talk */
} texts;
static const texts stops = {"stop", MAX_STOPS, MAX_STOP_BYTES, offsetof(maas_talk, ask.stops),
                            offsetof(maas_talk, ask.n_stops)};
static const texts dry_breaks = {"dry_sequence_breakers", MAX_STOPS, 40,
                                 offsetof(maas_talk, ask.dry_breaks),
                                 offsetof(maas_talk, ask.n_dry_breaks)};

/* A text, or a list of some. */
static maas_status read_texts(maas_talk *t, const texts *x, const json_t *v, maas_err *err)
{
    const size_t n = json_is_array(v) ? json_array_size(v) : 1;
    uint32_t *have = (uint32_t *)(void *)((char *)t + x->n_at);
    if (n > x->max)
        return maas_fail(err, MAAS_E_INVALID, "'%s' may have %zu texts", x->name, x->max);
    maas_str *s = maas_arena_array(maas_req_arena(t->req), n + 1, sizeof *s);
    if (!s)
        return maas_fail(err, MAAS_E_NOMEM, "memory for '%s'", x->name);
    *have = 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *text = json_is_array(v) ? json_array_get(v, i) : v;
        if (!json_is_string(text) || json_string_length(text) > x->max_bytes)
            return maas_fail(err, MAAS_E_INVALID, "'%s' must be texts of at most %zu bytes",
                             x->name, x->max_bytes);
        if (json_string_length(text))
            s[(*have)++] = (maas_str){json_string_value(text), json_string_length(text)};
    }
    *(const maas_str **)(void *)((char *)t + x->at) = s;
    return MAAS_OK;
}

static void default_breaks(maas_talk *t)
{
    static const maas_str usual[] = {{"\n", 1}, {":", 1}, {"\"", 1}, {"*", 1}}; /* llama.cpp's */
    t->ask.dry_breaks = usual;
    t->ask.n_dry_breaks = MAAS_COUNT(usual);
}

static maas_status read_bias(maas_talk *t, const json_t *v, maas_err *err)
{
    const size_t n = json_object_size(v);
    const char *key;
    json_t *value;
    if (!json_is_object(v) || n > MAX_BIAS)
        return maas_fail(err, MAAS_E_INVALID, "'logit_bias' must be an object of at most %d tokens",
                         MAX_BIAS);
    maas_logit_bias *b = maas_arena_array(maas_req_arena(t->req), n + 1, sizeof *b);
    if (!b)
        return maas_fail(err, MAAS_E_NOMEM, "memory for 'logit_bias'");
    t->ask.sampling.bias = b;
    json_object_foreach((json_t *)(uintptr_t)v, key, value)
    {
        char *end;
        const long token = strtol(key, &end, 10);
        const double x = json_number_value(value);
        if (!*key || *end || token < 0 || token > INT32_MAX || !json_is_number(value) ||
            !(x >= -100 && x <= 100))
            return maas_fail(err, MAAS_E_INVALID,
                             "'logit_bias' must give tokens numbers from -100 to 100");
        b[t->ask.sampling.n_bias++] = (maas_logit_bias){(int32_t)token, (float)x};
    }
    return MAAS_OK;
}

/* llama.cpp's way to say who proposes. */
static maas_status read_proposer(maas_talk *t, const json_t *v, maas_err *err)
{
    static const struct {
        const char *name;
        maas_proposer by;
    } rows[] = {{"none", MAAS_BY_ANY}, {"draft", MAAS_BY_DRAFT}, {"lookup", MAAS_BY_LOOKUP}};
    for (size_t i = 0; i < MAAS_COUNT(rows); i++)
        if (json_is_string(v) && strcmp(json_string_value(v), rows[i].name) == 0) {
            t->ask.by = rows[i].by;
            t->ask.drafts = i ? t->ask.drafts : 0;
            return MAAS_OK;
        }
    return maas_fail(err, MAAS_E_INVALID,
                     "'speculative.type' must be \"none\", \"draft\" or \"lookup\"");
}

static bool is_given(const json_t *v)
{
    return v && !json_is_null(v);
}

/* llama.cpp's way to name adapters, by their numbers: [{"id": 0, "scale": 1}]. */
static maas_status read_lora(maas_talk *t, const json_t *v, maas_err *err)
{
    const int32_t n = maas_lm_service_about(t->service)->n_adapters;
    const json_t *x;
    size_t i;
    if (!json_is_array(v))
        return maas_fail(err, MAAS_E_INVALID, "'lora' must be a list of {id, scale}");
    t->ask.adapter = 0;
    json_array_foreach(v, i, x)
    {
        const json_t *id = json_object_get(x, "id"), *scale = json_object_get(x, "scale");
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= n)
            return maas_fail(err, MAAS_E_INVALID,
                             "'lora[%zu].id' must be the number of an adapter, and the model has "
                             "%d, from 0",
                             i, n);
        if (!json_is_number(scale) || !(fabs(json_number_value(scale)) <= 1000))
            return maas_fail(err, MAAS_E_INVALID,
                             "'lora[%zu].scale' must be a number from -1000 to 1000", i);
        if (json_number_value(scale) == 0)
            continue;
        if (t->ask.adapter)
            return maas_fail(err, MAAS_E_UNSUPPORTED,
                             "'lora' names more than one adapter: a request can have one");
        t->ask.adapter = (uint32_t)json_integer_value(id) + 1;
        t->ask.strength = (float)json_number_value(scale);
    }
    return MAAS_OK;
}

maas_status maas_talk_params(maas_talk *t, maas_err *err)
{
    const json_t *seed = json_object_get(t->body, "seed"), *v;
    t->n = 1;
    t->ask.sampling = maas_lm_service_sampling(t->service);
    t->ask.n_logprobs = -1;
    t->ask.drafts = -1;
    for (size_t i = 0; i < MAAS_COUNT(params); i++)
        if (is_given(v = json_object_get(t->body, params[i].name)))
            MAAS_TRY(read_param(t, &params[i], v, err));
    if (is_given(seed) && !json_is_integer(seed))
        return maas_fail(err, MAAS_E_INVALID, "'seed' must be a whole number");
    if (is_given(seed))
        t->ask.sampling.seed = (uint64_t)json_integer_value(seed);
    else
        maas_random_bytes(&t->ask.sampling.seed, sizeof t->ask.sampling.seed);
    if (is_given(v = json_object_get(t->body, "stop")))
        MAAS_TRY(read_texts(t, &stops, v, err));
    if (t->ask.sampling.dry_multiplier > 0)
        default_breaks(t);
    if (is_given(v = json_object_get(t->body, "dry_sequence_breakers")))
        MAAS_TRY(read_texts(t, &dry_breaks, v, err));
    if (is_given(v = json_object_get(t->body, "logit_bias")))
        MAAS_TRY(read_bias(t, v, err));
    if (is_given(v = json_object_get(t->body, "speculative.type")))
        MAAS_TRY(read_proposer(t, v, err));
    if (is_given(v = json_object_get(t->body, "lora")))
        MAAS_TRY(read_lora(t, v, err));
    t->include_usage = json_is_true(
        json_object_get(json_object_get(t->body, "stream_options"), "include_usage"));
    t->choices = maas_arena_array(maas_req_arena(t->req), (size_t)t->n, sizeof *t->choices);
    if (!t->choices)
        return maas_fail(err, MAAS_E_NOMEM, "memory for an answer");
    for (int32_t i = 0; i < t->n; i++) {
        t->choices[i].logprobs.max = MAAS_TALK_MAX_REPLY;
        t->choices[i].stop = -1;
    }
    return maas_talk_format(t, err);
}
