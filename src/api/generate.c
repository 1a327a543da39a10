/*
 * api/generate.c - /v2/models/{m}/generate and generate_stream, whose parameters may stand in
 * `parameters` or beside it; /tokenize and /detokenize as vLLM and llama-server have them.
 */
#include "api/generate.h"

#include <string.h>

#include "api/reply.h"
#include "api/talk.h"
#include "base/mem.h"
#include "base/sys.h"
#include "base/ban.h"

enum { DEFAULT_TOKENS = 20 }; /* as the protocol has it */

static void put_str(maas_buf *b, const char *s)
{
    maas_buf_json_str(b, s, strlen(s));
}

static void put_output(const maas_talk *t, const char *p, size_t n, maas_buf *b)
{
    const json_t *id = json_object_get(t->body, "id");
    maas_buf_char(b, '{');
    if (json_is_string(id)) {
        maas_buf_str(b, "\"id\":");
        put_str(b, json_string_value(id));
        maas_buf_char(b, ',');
    }
    maas_buf_str(b, "\"model_name\":");
    put_str(b, maas_lm_service_name(t->service));
    maas_buf_printf(b, ",\"model_version\":\"%lld\",\"text_output\":",
                    (long long)maas_lm_service_version(t->service));
    maas_buf_json_str(b, p ? p : "", p ? n : 0);
    maas_buf_char(b, '}');
}

static void item_text(maas_talk *t, const maas_talk_item *i, maas_str text, maas_buf *b)
{
    (void)i;
    maas_buf_str(b, "data: ");
    put_output(t, text.p, text.n, b);
    maas_buf_str(b, "\n\n");
}

static void failed(maas_talk *t, const maas_err *err, maas_buf *b)
{
    (void)t;
    maas_buf_str(b, "data: {\"error\":");
    put_str(b, err->msg);
    maas_buf_str(b, "}\n\n");
}

static void whole(maas_talk *t, maas_buf *b)
{
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(b->max);
    maas_talk_put_items(&t->choices[0], MAAS_SAID_CONTENT, &text);
    b->failed |= text.failed;
    put_output(t, text.p, text.n, b);
}

static const maas_talk_writers writers = {.content_type = "text/event-stream; charset=utf-8",
                                          .item_text = item_text,
                                          .failed = failed,
                                          .whole = whole};

/* `timeout`: microseconds, as the protocol has it. */
static maas_status read_timeout(maas_talk *t, maas_err *err)
{
    const json_t *v = json_object_get(t->body, "timeout");
    const json_int_t us = json_integer_value(v), most = INT64_MAX / 2000;
    if (v && !json_is_null(v) && (!json_is_integer(v) || us < 0 || us > most))
        return maas_fail(err, MAAS_E_INVALID, "'timeout' must be microseconds");
    if (us)
        t->ask.deadline_ns = maas_now_ns() + (uint64_t)us * 1000;
    return MAAS_OK;
}

static maas_status read_generate(maas_talk *t, maas_err *err)
{
    const json_t *text = json_object_get(t->body, "text_input");
    MAAS_TRY(maas_talk_params(t, err));
    MAAS_TRY(read_timeout(t, err));
    if (!t->ask.max_tokens)
        t->ask.max_tokens = DEFAULT_TOKENS;
    if (!json_is_string(text))
        return maas_fail(err, MAAS_E_INVALID, "'text_input' must be a text");
    return maas_talk_text(t, text, err);
}

static bool generate(maas_req *r, bool stream)
{
    maas_err err = {0};
    json_t *body = NULL;
    if (maas_body_object(r, &body, &err) != MAAS_OK) {
        maas_req_fail(r, &err);
        return true;
    }
    json_t *more = json_object_get(body, "parameters");
    if (json_is_object(more))
        json_object_update_missing(body, more);
    json_object_del(body, "n");
    json_object_set_new(body, "stream", json_boolean(stream));
    return maas_talk_run(maas_talk_open(r, body, &err, maas_req_param(r, 0), "", &writers),
                         read_generate);
}

static bool generate_on_io(maas_req *r)
{
    return generate(r, false);
}

static bool stream_on_io(maas_req *r)
{
    return generate(r, true);
}

void maas_oip_generate(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, generate_on_io);
}

void maas_oip_generate_stream(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, stream_on_io);
}

/* ---- tokens ---- */

static maas_status encode(maas_talk *t, maas_err *err)
{
    const json_t *text = json_object_get(t->body, "prompt");
    const json_t *messages = json_object_get(t->body, "messages");
    const json_t *begin = json_object_get(t->body, "add_special_tokens");
    if (messages)
        return maas_talk_chat(t, messages, NULL, err);
    if (!text)
        text = json_object_get(t->body, "content");
    if (!json_is_string(text))
        return maas_fail(err, MAAS_E_INVALID, "'prompt' must be a text");
    return maas_tokenizer_encode(maas_lm_service_tokenizer(t->service),
                                 (maas_str){json_string_value(text), json_string_length(text)},
                                 json_is_false(begin) ? 0 : MAAS_TOKENS_BEGIN | MAAS_TOKENS_END,
                                 &t->prompt, err);
}

static bool tokenize_on_io(maas_req *r)
{
    maas_err err = {0};
    maas_talk *t = maas_talk_create(r, "", &writers);
    if (!t)
        return true;
    if (encode(t, &err) == MAAS_OK) {
        const size_t n = t->prompt.n / sizeof(int32_t);
        maas_buf b = MAAS_BUF_IN(maas_req_arena(r), (size_t)1 << 30);
        maas_buf_printf(&b, "{\"count\":%zu,\"max_model_len\":%d,\"tokens\":[", n,
                        maas_lm_service_about(t->service)->n_context);
        for (size_t i = 0; i < n; i++) {
            int32_t id;
            memcpy(&id, t->prompt.p + i * sizeof id, sizeof id);
            maas_buf_printf(&b, i ? ",%d" : "%d", id);
        }
        maas_buf_str(&b, "]}");
        maas_reply_json(r, 200, &b);
    } else {
        maas_req_fail(r, &err);
    }
    maas_talk_drop(t);
    return true;
}

void maas_tokenize(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, tokenize_on_io);
}

static maas_status decode(maas_talk *t, maas_buf *out, maas_err *err)
{
    const maas_tokenizer *k = maas_lm_service_tokenizer(t->service);
    const json_t *ids = json_object_get(t->body, "tokens");
    if (!json_is_array(ids))
        return maas_fail(err, MAAS_E_INVALID, "'tokens' must be a list of tokens");
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *v = json_array_get(ids, i);
        const int32_t id = (int32_t)json_integer_value(v);
        if (!json_is_integer(v) || json_integer_value(v) != id || id < 0 ||
            id >= maas_tokenizer_n(k))
            return maas_fail(err, MAAS_E_INVALID, "'tokens[%zu]' is not a token of this model", i);
        maas_buf_add(&t->prompt, &id, sizeof id);
    }
    if (t->prompt.failed)
        return maas_fail(err, MAAS_E_TOO_LARGE, "'tokens' is too long");
    maas_tokenizer_decode(k, (const int32_t *)(const void *)t->prompt.p,
                          (uint32_t)(t->prompt.n / sizeof(int32_t)), true, out);
    return MAAS_OK;
}

static bool detokenize_on_io(maas_req *r)
{
    maas_err err = {0};
    maas_talk *t = maas_talk_create(r, "", &writers);
    if (!t)
        return true;
    maas_buf text = MAAS_BUF_IN(maas_req_arena(r), (size_t)256 << 20);
    if (decode(t, &text, &err) == MAAS_OK) {
        maas_buf b = MAAS_BUF_IN(maas_req_arena(r), (size_t)1 << 30);
        maas_buf_str(&b, "{\"prompt\":");
        maas_buf_json_str(&b, text.p ? text.p : "", text.n);
        maas_buf_str(&b, ",\"content\":");
        maas_buf_json_str(&b, text.p ? text.p : "", text.n);
        maas_buf_char(&b, '}');
        b.failed |= text.failed;
        maas_reply_json(r, 200, &b);
    } else {
        maas_req_fail(r, &err);
    }
    maas_talk_drop(t);
    return true;
}

void maas_detokenize(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, detokenize_on_io);
}
