/* api/openai.c - /v1/chat/completions and /v1/completions, whole and streamed. */
#include "api/openai.h"

#include <inttypes.h>
#include <string.h>

#include "api/auth.h"
#include "api/reply.h"
#include "api/talk.h"
#include "base/mem.h"
#include "base/ban.h"

/* ---- what both write ---- */

static void put_str(maas_buf *b, maas_str s)
{
    maas_buf_json_str(b, s.p ? s.p : "", s.n);
}

static void put_head(maas_talk *t, const char *object, maas_buf *b)
{
    const char *model = maas_lm_service_name(t->service);
    maas_buf_str(b, "{\"id\":");
    maas_buf_json_str(b, t->id, strlen(t->id));
    maas_buf_printf(b, ",\"object\":\"%s\",\"created\":%" PRIu64 ",\"model\":", object, t->created);
    maas_buf_json_str(b, model, strlen(model));
}

static void put_usage(const maas_talk *t, maas_buf *b)
{
    const maas_lm_timing *x = &t->timing;
    maas_buf_printf(b,
                    "\"usage\":{\"prompt_tokens\":%u,\"completion_tokens\":%u,\"total_tokens\":%u,"
                    "\"prompt_tokens_details\":{\"cached_tokens\":%u}},\"timings\":",
                    x->prompt_tokens, x->tokens, x->prompt_tokens + x->tokens, x->cached_tokens);
    maas_talk_put_timings(t, b);
}

static void begin_event(maas_talk *t, const char *object, maas_buf *b)
{
    maas_buf_str(b, "data: ");
    put_head(t, object, b);
    maas_buf_printf(b, ",\"choices\":[{\"index\":%d,", t->choice);
}

static void end_event(maas_buf *b)
{
    maas_buf_str(b, "}]}\n\n");
}

static void close_stream(maas_talk *t, const char *object, maas_buf *b)
{
    if (t->include_usage) {
        maas_buf_str(b, "data: ");
        put_head(t, object, b);
        maas_buf_str(b, ",\"choices\":[],");
        put_usage(t, b);
        maas_buf_str(b, "}\n\n");
    }
    maas_buf_str(b, "data: [DONE]\n\n");
}

static void put_failure(maas_talk *t, const maas_err *err, maas_buf *b)
{
    maas_buf_str(b, "data: {\"error\":{\"message\":");
    maas_buf_json_str(b, err->msg, strlen(err->msg));
    maas_buf_str(b, ",\"type\":\"api_error\",\"param\":null,\"code\":null}}\n\n");
}

/* One token: {"token","logprob","bytes","top_logprobs"}. */
static void put_logprob(maas_talk *t, int32_t token, float logprob, maas_buf *b)
{
    const maas_str s = maas_tokenizer_piece(maas_lm_service_tokenizer(t->service), token);
    maas_buf_str(b, "{\"token\":");
    put_str(b, s);
    maas_buf_printf(b, ",\"logprob\":%.6g,\"bytes\":[", (double)logprob);
    for (size_t i = 0; i < s.n; i++)
        maas_buf_printf(b, i ? ",%d" : "%d", (uint8_t)s.p[i]);
    maas_buf_str(b, "]");
}

static void put_logprobs(maas_talk *t, const maas_lm_event *ev, maas_buf *b)
{
    put_logprob(t, ev->token, ev->logprob, b);
    maas_buf_str(b, ",\"top_logprobs\":[");
    for (int i = 0; i < ev->n_top; i++) {
        maas_buf_str(b, i ? "," : "");
        put_logprob(t, ev->top[i].token, ev->top[i].logprob, b);
        maas_buf_char(b, '}');
    }
    maas_buf_str(b, "]}");
}

/* ---- chat ---- */

#define CHUNK "chat.completion.chunk"

static void chat_begin(maas_talk *t, maas_buf *b)
{
    begin_event(t, CHUNK, b);
    maas_buf_str(b, "\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,"
                    "\"finish_reason\":null");
    end_event(b);
}

static void chat_piece(maas_talk *t, const maas_lm_event *ev, maas_buf *b)
{
    if (!t->stream) {
        if (t->ask.n_logprobs >= 0) {
            maas_buf_str(b, b->n ? "," : "");
            put_logprobs(t, ev, b);
        }
        return;
    }
    if (!ev->text.n && t->ask.n_logprobs < 0)
        return;
    begin_event(t, CHUNK, b);
    maas_buf_str(b, "\"delta\":{\"content\":");
    put_str(b, ev->text);
    maas_buf_str(b, "},\"logprobs\":");
    if (t->ask.n_logprobs >= 0) {
        maas_buf_str(b, "{\"content\":[");
        put_logprobs(t, ev, b);
        maas_buf_str(b, "]}");
    } else {
        maas_buf_str(b, "null");
    }
    maas_buf_str(b, ",\"finish_reason\":null");
    end_event(b);
}

static void chat_end(maas_talk *t, const maas_lm_event *ev, maas_buf *b)
{
    begin_event(t, CHUNK, b);
    maas_buf_str(b, "\"delta\":{");
    if (ev->text.n) {
        maas_buf_str(b, "\"content\":");
        put_str(b, ev->text);
    }
    maas_buf_printf(b, "},\"logprobs\":null,\"finish_reason\":\"%s\"",
                    maas_talk_finish_name(ev->finish));
    end_event(b);
}

static void chat_close(maas_talk *t, maas_buf *b)
{
    close_stream(t, CHUNK, b);
}

static void chat_whole(maas_talk *t, maas_buf *b)
{
    put_head(t, "chat.completion", b);
    maas_buf_str(b, ",\"choices\":[");
    for (int32_t i = 0; i < t->n; i++) {
        const maas_talk_choice *c = &t->choices[i];
        maas_buf_printf(
            b, "%s{\"index\":%d,\"message\":{\"role\":\"assistant\",\"content\":", i ? "," : "", i);
        put_str(b, (maas_str){c->text.p, c->text.n});
        maas_buf_str(b, ",\"refusal\":null},\"logprobs\":");
        if (t->ask.n_logprobs >= 0)
            maas_buf_printf(b, "{\"content\":[%s]}", c->logprobs.p ? c->logprobs.p : "");
        else
            maas_buf_str(b, "null");
        maas_buf_printf(b, ",\"finish_reason\":\"%s\"}", maas_talk_finish_name(c->finish));
    }
    maas_buf_str(b, "],");
    put_usage(t, b);
    maas_buf_char(b, '}');
}

static const maas_talk_writers chat_writers = {"text/event-stream; charset=utf-8",
                                               chat_begin,
                                               chat_piece,
                                               chat_end,
                                               chat_close,
                                               put_failure,
                                               chat_whole};

/* What is not there yet is refused, not ignored: the answer would be another than was asked for. */
static maas_status refuse_unknown(const maas_talk *t, maas_err *err)
{
    const json_t *format = json_object_get(t->body, "response_format");
    const char *type = json_string_value(json_object_get(format, "type"));
    const json_t *tools = json_object_get(t->body, "tools");
    const json_t *choice = json_object_get(t->body, "tool_choice");
    const char *how = json_string_value(choice);
    if (json_is_object(format) && (!type || strcmp(type, "text") != 0))
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "'response_format' of type '%.40s' is not supported yet",
                         type ? type : "?");
    if (json_array_size(tools) && choice && (!how || strcmp(how, "required") == 0))
        return maas_fail(err, MAAS_E_UNSUPPORTED, "'tool_choice' can be none or auto");
    if (json_object_get(t->body, "grammar") || json_object_get(t->body, "json_schema"))
        return maas_fail(err, MAAS_E_UNSUPPORTED, "grammars are not supported yet");
    return MAAS_OK;
}

static maas_status chat_prompt(maas_talk *t, maas_err *err)
{
    const json_t *tools = json_object_get(t->body, "tools");
    const char *how = json_string_value(json_object_get(t->body, "tool_choice"));
    const bool use = json_array_size(tools) && !(how && strcmp(how, "none") == 0);
    return maas_talk_chat(t, json_object_get(t->body, "messages"), use ? tools : NULL,
                          json_object_get(t->body, "chat_template_kwargs"), err);
}

static maas_status chat_logprobs(maas_talk *t, maas_err *err)
{
    const json_t *top = json_object_get(t->body, "top_logprobs");
    if (!json_is_true(json_object_get(t->body, "logprobs")))
        return MAAS_OK;
    t->ask.n_logprobs = 0;
    if (!top || json_is_null(top))
        return MAAS_OK;
    if (!json_is_integer(top) || json_integer_value(top) < 0 ||
        json_integer_value(top) > MAAS_MAX_TOP)
        return maas_fail(err, MAAS_E_INVALID, "'top_logprobs' must be a number from 0 to %d",
                         MAAS_MAX_TOP);
    t->ask.n_logprobs = (int)json_integer_value(top);
    return MAAS_OK;
}

static maas_status read_chat(maas_talk *t, maas_err *err)
{
    MAAS_TRY(maas_talk_params(t, err));
    MAAS_TRY(refuse_unknown(t, err));
    MAAS_TRY(chat_logprobs(t, err));
    return chat_prompt(t, err);
}

static bool chat_on_io(maas_req *r)
{
    return maas_talk_run(maas_talk_create(r, "chatcmpl-", &chat_writers), read_chat);
}

void maas_openai_chat(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, chat_on_io);
}

/* ---- completions ---- */

static void text_begin(maas_talk *t, maas_buf *b)
{
    (void)t;
    (void)b;
}

static void text_piece(maas_talk *t, const maas_lm_event *ev, maas_buf *b)
{
    if (!t->stream || !ev->text.n)
        return;
    begin_event(t, "text_completion", b);
    maas_buf_str(b, "\"text\":");
    put_str(b, ev->text);
    maas_buf_str(b, ",\"logprobs\":null,\"finish_reason\":null");
    end_event(b);
}

static void text_end(maas_talk *t, const maas_lm_event *ev, maas_buf *b)
{
    begin_event(t, "text_completion", b);
    maas_buf_str(b, "\"text\":");
    put_str(b, ev->text);
    maas_buf_printf(b, ",\"logprobs\":null,\"finish_reason\":\"%s\"",
                    maas_talk_finish_name(ev->finish));
    end_event(b);
}

static void text_close(maas_talk *t, maas_buf *b)
{
    close_stream(t, "text_completion", b);
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
    put_head(t, "text_completion", b);
    maas_buf_str(b, ",\"choices\":[");
    for (int32_t i = 0; i < t->n; i++) {
        const maas_talk_choice *c = &t->choices[i];
        AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(b->max);
        put_echo(t, &text);
        maas_buf_add(&text, c->text.p ? c->text.p : "", c->text.n);
        maas_buf_printf(b, "%s{\"index\":%d,\"text\":", i ? "," : "", i);
        put_str(b, (maas_str){text.p, text.n});
        maas_buf_printf(b, ",\"logprobs\":null,\"finish_reason\":\"%s\"}",
                        maas_talk_finish_name(c->finish));
    }
    maas_buf_str(b, "],");
    put_usage(t, b);
    maas_buf_char(b, '}');
}

static const maas_talk_writers text_writers = {"text/event-stream; charset=utf-8",
                                               text_begin,
                                               text_piece,
                                               text_end,
                                               text_close,
                                               put_failure,
                                               text_whole};

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

static maas_status read_text(maas_talk *t, maas_err *err)
{
    const json_t *logprobs = json_object_get(t->body, "logprobs");
    const json_t *suffix = json_object_get(t->body, "suffix");
    MAAS_TRY(maas_talk_params(t, err));
    if (json_is_number(logprobs) || json_is_string(suffix))
        return maas_fail(err, MAAS_E_UNSUPPORTED, "'%s' is not supported yet",
                         json_is_string(suffix) ? "suffix" : "logprobs");
    if (!json_object_get(t->body, "max_tokens"))
        t->ask.max_tokens = 16; /* as OpenAI has it */
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
