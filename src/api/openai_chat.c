/* api/openai_chat.c - /v1/chat/completions, whole and streamed. */
#include <string.h>

#include "api/openai.h"
#include "api/openai_int.h"
#include "base/mem.h"
#include "base/ban.h"

#define CHUNK "chat.completion.chunk"

/* One token: {"token","logprob","bytes","top_logprobs"}. */
static void put_logprob(maas_talk *t, int32_t token, float logprob, maas_buf *b)
{
    const maas_str s = maas_tokenizer_piece(maas_lm_service_tokenizer(t->service), token);
    maas_buf_str(b, "{\"token\":");
    maas_openai_put_str(b, s);
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

/* ---- events ---- */

static const char *finish_name(const maas_talk_choice *c)
{
    const char *name = maas_talk_finish_name(c->finish);
    return c->n_calls && strcmp(name, "stop") == 0 ? "tool_calls" : name;
}

static void chat_begin(maas_talk *t, maas_buf *b)
{
    maas_openai_begin(t, CHUNK, b);
    maas_buf_str(b, "\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,"
                    "\"finish_reason\":null");
    maas_openai_end(b);
}

static void chat_token(maas_talk *t, const maas_lm_event *ev)
{
    maas_buf *b = &maas_talk_at(t)->logprobs;
    if (t->ask.n_logprobs < 0)
        return;
    maas_buf_str(b, b->n ? "," : "");
    put_logprobs(t, ev, b);
}

/* After the delta: the tokens that were since the last event, and how it ended. */
static void end_delta(maas_talk *t, const char *finish, maas_buf *b)
{
    maas_buf *logs = &maas_talk_at(t)->logprobs;
    if (logs->n)
        maas_buf_printf(b, "},\"logprobs\":{\"content\":[%s]},\"finish_reason\":", logs->p);
    else
        maas_buf_str(b, "},\"logprobs\":null,\"finish_reason\":");
    maas_buf_clear(logs);
    maas_buf_printf(b, finish ? "\"%s\",\"stop_reason\":" : "null", finish);
    if (finish)
        maas_talk_put_stop(t, maas_talk_at(t)->stop, b);
    maas_openai_end(b);
}

static void put_call(const maas_talk_item *i, maas_str arguments, maas_buf *b)
{
    maas_buf_printf(b, "\"id\":\"%s\",\"type\":\"function\",\"function\":{\"name\":", i->id);
    maas_openai_put_str(b, (maas_str){i->name.p, i->name.n});
    maas_buf_str(b, ",\"arguments\":");
    maas_openai_put_str(b, arguments);
    maas_buf_str(b, "}}");
}

static void chat_item(maas_talk *t, const maas_talk_item *i, maas_buf *b)
{
    if (i->kind != MAAS_SAID_CALL)
        return;
    maas_openai_begin(t, CHUNK, b);
    maas_buf_printf(b, "\"delta\":{\"tool_calls\":[{\"index\":%zu,",
                    maas_talk_call_index(maas_talk_at(t), i));
    put_call(i, (maas_str){"", 0}, b);
    maas_buf_char(b, ']');
    end_delta(t, NULL, b);
}

static void chat_text(maas_talk *t, const maas_talk_item *i, maas_str text, maas_buf *b)
{
    maas_openai_begin(t, CHUNK, b);
    if (i->kind == MAAS_SAID_CALL)
        maas_buf_printf(b, "\"delta\":{\"tool_calls\":[{\"index\":%zu,\"function\":{\"arguments\":",
                        maas_talk_call_index(maas_talk_at(t), i));
    else
        maas_buf_printf(b, "\"delta\":{\"%s\":",
                        i->kind == MAAS_SAID_REASONING ? "reasoning_content" : "content");
    maas_openai_put_str(b, text);
    maas_buf_str(b, i->kind == MAAS_SAID_CALL ? "}}]" : "");
    end_delta(t, NULL, b);
}

static void chat_end(maas_talk *t, maas_buf *b)
{
    maas_openai_begin(t, CHUNK, b);
    maas_buf_str(b, "\"delta\":{");
    end_delta(t, finish_name(maas_talk_at(t)), b);
}

static void chat_close(maas_talk *t, maas_buf *b)
{
    maas_openai_close(t, CHUNK, b);
}

/* ---- whole ---- */

static void put_calls(const maas_talk_choice *c, maas_buf *b)
{
    const char *before = ",\"tool_calls\":[{";
    for (size_t k = 0; k < c->n_items; k++)
        if (c->items[k].kind == MAAS_SAID_CALL) {
            const maas_buf *text = &c->items[k].text;
            maas_buf_str(b, before);
            put_call(&c->items[k], (maas_str){text->p, text->n}, b);
            before = ",{";
        }
    maas_buf_str(b, c->n_calls ? "]" : "");
}

static void put_message(const maas_talk_choice *c, maas_buf *b)
{
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(b->max);
    maas_talk_put_items(c, MAAS_SAID_CONTENT, &text);
    maas_buf_str(b, "{\"role\":\"assistant\",\"content\":");
    if (c->n_calls && !text.n)
        maas_buf_str(b, "null");
    else
        maas_openai_put_str(b, (maas_str){text.p, text.n});
    b->failed |= text.failed;
    maas_buf_clear(&text);
    maas_talk_put_items(c, MAAS_SAID_REASONING, &text);
    if (text.n) {
        maas_buf_str(b, ",\"reasoning_content\":");
        maas_openai_put_str(b, (maas_str){text.p, text.n});
    }
    b->failed |= text.failed;
    put_calls(c, b);
    maas_buf_str(b, ",\"refusal\":null}");
}

static void chat_whole(maas_talk *t, maas_buf *b)
{
    maas_openai_put_head(t, "chat.completion", b);
    maas_buf_str(b, ",\"choices\":[");
    for (int32_t i = 0; i < t->n; i++) {
        const maas_talk_choice *c = &t->choices[i];
        maas_buf_printf(b, "%s{\"index\":%d,\"message\":", i ? "," : "", i);
        put_message(c, b);
        maas_buf_str(b, ",\"logprobs\":");
        if (t->ask.n_logprobs >= 0)
            maas_buf_printf(b, "{\"content\":[%s]}", c->logprobs.p ? c->logprobs.p : "");
        else
            maas_buf_str(b, "null");
        maas_buf_printf(b, ",\"finish_reason\":\"%s\",\"stop_reason\":", finish_name(c));
        maas_talk_put_stop(t, c->stop, b);
        maas_buf_char(b, '}');
    }
    maas_buf_str(b, "],");
    maas_openai_put_usage(t, b);
    maas_buf_char(b, '}');
}

static const maas_talk_writers chat_writers = {.content_type = "text/event-stream; charset=utf-8",
                                               .begin = chat_begin,
                                               .item_begin = chat_item,
                                               .item_text = chat_text,
                                               .end = chat_end,
                                               .close = chat_close,
                                               .failed = maas_openai_failed,
                                               .whole = chat_whole,
                                               .token = chat_token};

/* ---- the request ---- */

static maas_status chat_prompt(maas_talk *t, maas_err *err)
{
    MAAS_TRY(maas_talk_tools(t, json_object_get(t->body, "tools"),
                             json_object_get(t->body, "tool_choice"),
                             json_object_get(t->body, "parallel_tool_calls"), err));
    return maas_talk_chat(t, json_object_get(t->body, "messages"),
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
    if (json_object_get(t->body, "functions") || json_object_get(t->body, "function_call"))
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "'functions' and 'function_call' are not read; 'tools' and 'tool_choice' "
                         "are");
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
