#include "api/talk.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/auth.h"
#include "api/reply.h"
#include "base/mem.h"
#include "base/ban.h"

enum { MAX_CHOICES = 16, MAX_STOPS = 16, MAX_BIAS = 1024 };
#define MAX_STOP_BYTES 1024
#define MAX_REPLY      ((size_t)64 << 20)

/* ---- parameters: one table, whatever the dialect ---- */

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
    {"max_tokens", WHOLE, 1, 1 << 30, AT(ask.max_tokens)},
    {"max_completion_tokens", WHOLE, 1, 1 << 30, AT(ask.max_tokens)},
    {"min_tokens", WHOLE, 0, 1 << 30, AT(ask.min_tokens)},
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

static maas_status read_stops(maas_talk *t, const json_t *v, maas_err *err)
{
    const size_t n = json_is_array(v) ? json_array_size(v) : 1;
    if (n > MAX_STOPS)
        return maas_fail(err, MAAS_E_INVALID, "'stop' may have %d texts", MAX_STOPS);
    maas_str *s = maas_arena_array(maas_req_arena(t->req), n + 1, sizeof *s);
    if (!s)
        return maas_fail(err, MAAS_E_NOMEM, "memory for 'stop'");
    for (size_t i = 0; i < n; i++) {
        const json_t *text = json_is_array(v) ? json_array_get(v, i) : v;
        if (!json_is_string(text) || json_string_length(text) > MAX_STOP_BYTES)
            return maas_fail(err, MAAS_E_INVALID, "'stop' must be texts of at most %d bytes",
                             MAX_STOP_BYTES);
        if (json_string_length(text))
            s[t->ask.n_stops++] = (maas_str){json_string_value(text), json_string_length(text)};
    }
    t->ask.stops = s;
    return MAAS_OK;
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

static bool is_given(const json_t *v)
{
    return v && !json_is_null(v);
}

maas_status maas_talk_params(maas_talk *t, maas_err *err)
{
    const json_t *seed = json_object_get(t->body, "seed"), *v;
    t->n = 1;
    t->ask.sampling = (maas_sampling)MAAS_SAMPLING_INIT;
    t->ask.n_logprobs = -1;
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
        MAAS_TRY(read_stops(t, v, err));
    if (is_given(v = json_object_get(t->body, "logit_bias")))
        MAAS_TRY(read_bias(t, v, err));
    t->include_usage = json_is_true(
        json_object_get(json_object_get(t->body, "stream_options"), "include_usage"));
    t->choices = maas_arena_array(maas_req_arena(t->req), (size_t)t->n, sizeof *t->choices);
    if (!t->choices)
        return maas_fail(err, MAAS_E_NOMEM, "memory for an answer");
    for (int32_t i = 0; i < t->n; i++) {
        t->choices[i].text.max = MAX_REPLY;
        t->choices[i].logprobs.max = MAX_REPLY;
    }
    return MAAS_OK;
}

const char *maas_talk_finish_name(maas_lm_finish f)
{
    return f == MAAS_LM_LENGTH || f == MAAS_LM_DEADLINE ? "length" : "stop";
}

/* ---- from the engine ---- */

static void reset(maas_talk *t)
{
    for (int32_t i = 0; t->choices && i < t->n; i++) {
        maas_buf_reset(&t->choices[i].text);
        maas_buf_reset(&t->choices[i].logprobs);
    }
    maas_buf_reset(&t->prompt);
    json_decref(t->body);
    maas_lm_service_unref(t->service);
}

/* False: the peer is gone. */
static bool send(maas_talk *t, maas_buf *b)
{
    const bool ok = !b->failed && (!b->n || maas_req_stream_write(t->req, b->p, b->n));
    maas_buf_reset(b);
    if (!ok && !t->gone) {
        t->gone = true;
        maas_engine_cancel(maas_lm_service_engine(t->service), t->engine_id);
    }
    return ok;
}

static void on_event(void *user, const maas_lm_event *ev);

/* The choice at hand goes to the engine; each has a seed of its own. */
static maas_status submit(maas_talk *t, uint32_t *retry_ms, maas_err *err)
{
    maas_ask ask = t->ask;
    ask.tokens = (const int32_t *)(const void *)t->prompt.p;
    ask.n_tokens = (uint32_t)(t->prompt.n / sizeof(int32_t));
    ask.sampling.seed += (uint64_t)t->choice;
    return maas_engine_submit(maas_lm_service_engine(t->service), &ask, on_event, t, &t->engine_id,
                              retry_ms, err);
}

static void add_timing(maas_talk *t, const maas_lm_timing *x)
{
    t->timing.queue_ns += x->queue_ns;
    t->timing.prompt_ns += x->prompt_ns;
    t->timing.decode_ns += x->decode_ns;
    t->timing.prompt_tokens = x->prompt_tokens;
    t->timing.cached_tokens += t->choice == 0 ? x->cached_tokens : 0;
    t->timing.tokens += x->tokens;
}

static void finish_stream(maas_talk *t)
{
    maas_buf b = MAAS_BUF_INIT(MAX_REPLY);
    maas_req *r = t->req;
    t->writers->close(t, &b);
    send(t, &b);
    reset(t);
    maas_req_stream_end(r);
}

static void finish_whole(maas_talk *t)
{
    maas_buf b = MAAS_BUF_INIT(MAX_REPLY);
    maas_req *r = t->req;
    t->writers->whole(t, &b);
    reset(t);
    maas_req_reply_buf(r, 200, "application/json", &b);
    maas_req_resume(r);
}

static void give_up(maas_talk *t, const maas_err *err)
{
    maas_req *r = t->req;
    maas_buf b = MAAS_BUF_INIT(MAX_REPLY);
    if (t->streaming) {
        t->writers->failed(t, err, &b);
        send(t, &b);
        reset(t);
        maas_req_stream_end(r);
    } else {
        reset(t);
        maas_req_fail(r, err);
        maas_req_resume(r);
    }
}

/* The stream begins with the first thing there is to say, so that what fails before has a status of
 * its own. */
static void begin_choice(maas_talk *t)
{
    if (!t->stream || t->begun)
        return;
    maas_buf b = MAAS_BUF_INIT(MAX_REPLY);
    if (!t->streaming)
        maas_req_stream_begin(t->req, 200, t->writers->content_type);
    t->begun = t->streaming = true;
    t->writers->begin(t, &b);
    send(t, &b);
}

static void next_choice(maas_talk *t)
{
    maas_err err = {0};
    if (++t->choice < t->n && !t->gone) {
        t->begun = false;
        if (submit(t, NULL, &err) != MAAS_OK)
            give_up(t, &err);
        return;
    }
    if (t->stream)
        finish_stream(t);
    else
        finish_whole(t);
}

static void on_piece(maas_talk *t, const maas_lm_event *ev)
{
    if (t->stream) {
        maas_buf b = MAAS_BUF_INIT(MAX_REPLY);
        t->writers->piece(t, ev, &b);
        send(t, &b);
        return;
    }
    t->writers->piece(t, ev, &t->choices[t->choice].logprobs);
    maas_buf_add(&t->choices[t->choice].text, ev->text.p, ev->text.n);
    if (!t->gone && maas_req_gone(t->req)) {
        t->gone = true;
        maas_engine_cancel(maas_lm_service_engine(t->service), t->engine_id);
    }
}

static void on_event(void *user, const maas_lm_event *ev)
{
    maas_talk *t = user;
    if (ev->kind != MAAS_LM_FAILED)
        begin_choice(t);
    if (ev->kind == MAAS_LM_TOKEN) {
        on_piece(t, ev);
        return;
    }
    if (ev->kind == MAAS_LM_FAILED) {
        give_up(t, ev->error);
        return;
    }
    add_timing(t, &ev->timing);
    t->choices[t->choice].finish = ev->finish;
    if (t->stream) {
        maas_buf b = MAAS_BUF_INIT(MAX_REPLY);
        t->writers->end(t, ev, &b);
        send(t, &b);
    } else {
        maas_buf_add(&t->choices[t->choice].text, ev->text.p, ev->text.n);
    }
    next_choice(t);
}

/* ---- to the engine ---- */

static maas_status open_talk(maas_talk *t, maas_req *r, const char *model, maas_err *err)
{
    maas_app *app = maas_app_of(r);
    if (!model && app->conf.default_model && *app->conf.default_model)
        model = app->conf.default_model;
    if (!model)
        return maas_fail(err, MAAS_E_INVALID, "'model' is missing");
    MAAS_TRY(maas_may_use_model(r, model, err));
    return maas_models_load_lm(app->models, maas_caller(r)->tenant, model, &t->service, err);
}

maas_talk *maas_talk_open(maas_req *r, json_t *body, const maas_err *why, const char *model,
                          const char *id_prefix, const maas_talk_writers *w)
{
    maas_err err = {0};
    maas_talk *t = body ? maas_arena_alloc(maas_req_arena(r), sizeof *t) : NULL;
    maas_status st = !body ? maas_fail(&err, why->code, "%s", why->msg)
                     : t   ? open_talk(t, r, model, &err)
                           : maas_fail(&err, MAAS_E_NOMEM, "memory for a request");
    if (st != MAAS_OK) {
        json_decref(body);
        maas_req_fail(r, &err);
        return NULL;
    }
    t->req = r;
    t->writers = w;
    t->body = body;
    t->prompt.max = (size_t)64 << 20;
    t->created = maas_wall_ms() / 1000;
    snprintf(t->id, sizeof t->id, "%s%.36s", id_prefix, maas_req_id(r));
    return t;
}

maas_talk *maas_talk_create(maas_req *r, const char *id_prefix, const maas_talk_writers *w)
{
    maas_err err = {0};
    json_t *body = NULL;
    if (maas_body_object(r, &body, &err) != MAAS_OK)
        body = NULL;
    return maas_talk_open(r, body, &err, json_string_value(json_object_get(body, "model")),
                          id_prefix, w);
}

maas_status maas_talk_chat(maas_talk *t, const json_t *messages, const json_t *tools,
                           const json_t *more, maas_err *err)
{
    const maas_chat *chat;
    maas_rendered text;
    MAAS_TRY(maas_lm_service_chat(t->service, &chat, err));
    MAAS_TRY(maas_chat_render(chat, messages, tools, more, &text, err));
    maas_status st = maas_tokenizer_encode_pieces(maas_lm_service_tokenizer(t->service),
                                                  text.pieces, text.n, 0, &t->prompt, err);
    maas_rendered_reset(&text);
    return st;
}

maas_status maas_talk_text(maas_talk *t, const json_t *text, maas_err *err)
{
    return maas_tokenizer_encode(maas_lm_service_tokenizer(t->service),
                                 (maas_str){json_string_value(text), json_string_length(text)},
                                 MAAS_TOKENS_BEGIN, &t->prompt, err);
}

bool maas_talk_run(maas_talk *t, maas_status (*read)(maas_talk *t, maas_err *err))
{
    maas_err err = {0};
    if (!t)
        return true;
    if (read(t, &err) == MAAS_OK)
        maas_talk_start(t);
    else
        maas_talk_fail(t, &err);
    return false;
}

void maas_talk_drop(maas_talk *t)
{
    reset(t);
}

void maas_talk_fail(maas_talk *t, const maas_err *err)
{
    maas_req *r = t->req;
    reset(t);
    maas_req_fail(r, err);
    maas_req_resume(r);
}

static maas_status check_context(const maas_talk *t, maas_err *err)
{
    const maas_lm_info *about = maas_lm_service_about(t->service);
    const size_t n = t->prompt.n / sizeof(int32_t);
    if (n < (size_t)about->n_context)
        return MAAS_OK;
    return maas_fail(err, MAAS_E_INVALID,
                     "context_length_exceeded: the prompt has %zu tokens, the context holds %d "
                     "with the answer",
                     n, about->n_context);
}

void maas_talk_start(maas_talk *t)
{
    maas_err err = {0};
    uint32_t retry_ms = 0;
    char text[16];
    maas_status st = check_context(t, &err);
    if (st == MAAS_OK)
        st = submit(t, &retry_ms, &err);
    if (st == MAAS_OK)
        return; /* the lane may have answered already */
    if (st == MAAS_E_BUSY) {
        snprintf(text, sizeof text, "%u", retry_ms);
        maas_req_set_header(t->req, "retry-after-ms", text);
        snprintf(text, sizeof text, "%u", retry_ms / 1000 + 1);
        maas_req_set_header(t->req, "Retry-After", text);
    }
    maas_talk_fail(t, &err);
}
