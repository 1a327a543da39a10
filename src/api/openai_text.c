/* api/openai_text.c - /v1/completions, whole and streamed. */
#include <string.h>

#include "api/openai.h"
#include "api/openai_int.h"
#include "base/mem.h"
#include "base/ban.h"

#define OBJECT "text_completion"

/* ---- logprobs ---- */

typedef struct record { /* one token, in maas_talk_choice.logprobs; its n_top alternatives follow */
    int32_t token, n_top;
    float logprob;
    uint32_t offset; /* characters of the answer before it */
} record;

static maas_str piece(const maas_talk *t, int32_t token)
{
    return maas_tokenizer_piece(maas_lm_service_tokenizer(t->service), token);
}

static void text_token(maas_talk *t, const maas_lm_event *ev)
{
    maas_talk_choice *c = maas_talk_at(t);
    const record r = {ev->token, ev->n_top, ev->logprob, c->n_characters};
    const maas_str s = piece(t, ev->token);
    if (t->ask.n_logprobs < 0)
        return;
    for (size_t i = 0; i < s.n; i++)
        c->n_characters += ((uint8_t)s.p[i] & 0xc0) != 0x80;
    maas_buf_add(&c->logprobs, &r, sizeof r);
    maas_buf_add(&c->logprobs, ev->top, (size_t)ev->n_top * sizeof *ev->top);
}

static void put_token(const maas_talk *t, const record *r, maas_buf *b)
{
    maas_openai_put_str(b, piece(t, r->token));
}
static void put_logprob(const maas_talk *t, const record *r, maas_buf *b)
{
    (void)t;
    maas_buf_printf(b, "%.6g", (double)r->logprob);
}
static void put_top(const maas_talk *t, const record *r, maas_buf *b)
{
    const maas_logprob *top = (const maas_logprob *)(const void *)(r + 1);
    maas_buf_char(b, '{');
    for (int32_t i = 0; i < r->n_top; i++) {
        maas_buf_str(b, i ? "," : "");
        maas_openai_put_str(b, piece(t, top[i].token));
        maas_buf_printf(b, ":%.6g", (double)top[i].logprob);
    }
    maas_buf_char(b, '}');
}
static void put_offset(const maas_talk *t, const record *r, maas_buf *b)
{
    (void)t;
    maas_buf_printf(b, "%u", r->offset);
}

/* The tokens since the last time, as the member "logprobs". */
static void put_logprobs(const maas_talk *t, maas_buf *logs, maas_buf *b)
{
    static const struct {
        const char *name;
        void (*put)(const maas_talk *t, const record *r, maas_buf *b);
    } lists[] = {{"tokens", put_token},
                 {"token_logprobs", put_logprob},
                 {"top_logprobs", put_top},
                 {"text_offset", put_offset}};
    if (t->ask.n_logprobs < 0 || logs->failed) {
        maas_buf_str(b, "\"logprobs\":null");
        return;
    }
    for (size_t i = 0; i < MAAS_COUNT(lists); i++) {
        maas_buf_printf(b, "%s\"%s\":[", i ? "," : "\"logprobs\":{", lists[i].name);
        for (size_t at = 0; at < logs->n;) {
            const record *r = (const record *)(const void *)(logs->p + at);
            maas_buf_str(b, at ? "," : "");
            lists[i].put(t, r, b);
            at += sizeof *r + (size_t)r->n_top * sizeof(maas_logprob);
        }
        maas_buf_char(b, ']');
    }
    maas_buf_char(b, '}');
    maas_buf_clear(logs);
}

static void text_item(maas_talk *t, const maas_talk_item *i, maas_str text, maas_buf *b)
{
    (void)i;
    maas_openai_begin(t, OBJECT, b);
    maas_buf_str(b, "\"text\":");
    maas_openai_put_str(b, text);
    maas_buf_char(b, ',');
    put_logprobs(t, &maas_talk_at(t)->logprobs, b);
    maas_buf_str(b, ",\"finish_reason\":null");
    maas_openai_end(b);
}

static void text_end(maas_talk *t, maas_buf *b)
{
    maas_openai_begin(t, OBJECT, b);
    maas_buf_str(b, "\"text\":\"\",");
    put_logprobs(t, &maas_talk_at(t)->logprobs, b);
    maas_buf_printf(b, ",\"finish_reason\":\"%s\",\"stop_reason\":",
                    maas_talk_finish_name(maas_talk_at(t)->finish));
    maas_talk_put_stop(t, maas_talk_at(t)->stop, b);
    maas_openai_end(b);
}

static void text_close(maas_talk *t, maas_buf *b)
{
    maas_openai_close(t, OBJECT, b);
}

static void put_echo(maas_talk *t, maas_buf *out)
{
    if (t->echo)
        maas_tokenizer_decode(maas_lm_service_tokenizer(t->service),
                              (const int32_t *)(const void *)t->prompt.p,
                              (uint32_t)(t->prompt.n / sizeof(int32_t)), false, out);
}

static void text_whole(maas_talk *t, maas_buf *b)
{
    maas_openai_put_head(t, OBJECT, b);
    maas_buf_str(b, ",\"choices\":[");
    for (int32_t i = 0; i < t->n; i++) {
        maas_talk_choice *c = &t->choices[i];
        AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(b->max);
        put_echo(t, &text);
        maas_talk_put_items(c, MAAS_SAID_CONTENT, &text);
        maas_buf_printf(b, "%s{\"index\":%d,\"text\":", i ? "," : "", i);
        maas_openai_put_str(b, (maas_str){text.p, text.n});
        maas_buf_char(b, ',');
        put_logprobs(t, &c->logprobs, b);
        maas_buf_printf(
            b, ",\"finish_reason\":\"%s\",\"stop_reason\":", maas_talk_finish_name(c->finish));
        maas_talk_put_stop(t, c->stop, b);
        maas_buf_char(b, '}');
    }
    maas_buf_str(b, "],");
    maas_openai_put_usage(t, b);
    maas_buf_char(b, '}');
}

static const maas_talk_writers text_writers = {.content_type = "text/event-stream; charset=utf-8",
                                               .item_text = text_item,
                                               .end = text_end,
                                               .close = text_close,
                                               .failed = maas_openai_failed,
                                               .whole = text_whole,
                                               .token = text_token};

static maas_status prompt_of_ids(maas_talk *t, const json_t *ids, maas_err *err)
{
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *v = json_array_get(ids, i);
        const int32_t id = (int32_t)json_integer_value(v);
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > INT32_MAX)
            return maas_fail(err, MAAS_E_INVALID, "'prompt' must be a text or a list of tokens");
        maas_buf_add(&t->prompt, &id, sizeof id);
    }
    return t->prompt.failed ? maas_fail(err, MAAS_E_TOO_LARGE, "'prompt' is too long") : MAAS_OK;
}

/* A text, tokens, or a list with one of them. */
static maas_status text_prompt(maas_talk *t, maas_err *err)
{
    const json_t *p = json_object_get(t->body, "prompt"), *first = json_array_get(p, 0);
    if (json_is_array(p) && json_array_size(p) == 1 &&
        (json_is_string(first) || json_is_array(first)))
        p = first;
    if (json_is_array(p) && json_array_size(p) && json_is_integer(json_array_get(p, 0)))
        return prompt_of_ids(t, p, err);
    if (!json_is_string(p))
        return maas_fail(err, MAAS_E_INVALID, "'prompt' must be one text or one list of tokens");
    return maas_talk_text(t, p, err);
}

/* How many alternatives of each token are told: up to five, as OpenAI has it, or what we have. */
static maas_status text_logprobs(maas_talk *t, const json_t *n, maas_err *err)
{
    if (!n || json_is_null(n) || json_is_false(n))
        return MAAS_OK;
    if (!json_is_integer(n) || json_integer_value(n) < 0 || json_integer_value(n) > MAAS_MAX_TOP)
        return maas_fail(err, MAAS_E_INVALID, "'logprobs' must be a number from 0 to %d",
                         MAAS_MAX_TOP);
    if (t->echo)
        return maas_fail(err, MAAS_E_INVALID,
                         "'logprobs' with 'echo': the prompt has no probabilities here");
    t->ask.n_logprobs = (int)json_integer_value(n);
    return MAAS_OK;
}

static maas_status read_text(maas_talk *t, maas_err *err)
{
    const json_t *logprobs = json_object_get(t->body, "logprobs");
    const json_t *suffix = json_object_get(t->body, "suffix");
    MAAS_TRY(maas_talk_params(t, err));
    MAAS_TRY(text_logprobs(t, logprobs, err));
    if (!json_object_get(t->body, "max_tokens"))
        t->ask.max_tokens = 16; /* as OpenAI has it */
    if (json_is_string(suffix) && json_string_length(suffix))
        return maas_talk_suffix(t, json_object_get(t->body, "prompt"), suffix, err);
    return text_prompt(t, err);
}

static bool complete_on_io(maas_req *r)
{
    return maas_talk_run(maas_talk_create(r, "cmpl-", &text_writers), read_text);
}

void maas_openai_complete(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, complete_on_io);
}
