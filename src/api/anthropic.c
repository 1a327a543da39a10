/* api/anthropic.c - /v1/messages, whole and as Anthropic's events, and count_tokens. */
#include "api/anthropic.h"

#include <string.h>

#include "api/anthropic_int.h"
#include "api/reply.h"
#include "api/talk.h"
#include "base/mem.h"
#include "base/ban.h"

static void put_str(maas_buf *b, const char *s)
{
    maas_buf_json_str(b, s, strlen(s));
}

static void put_event(maas_buf *b, const char *type)
{
    maas_buf_printf(b, "event: %s\ndata: {\"type\":\"%s\"", type, type);
}

static void end_event(maas_buf *b)
{
    maas_buf_str(b, "}\n\n");
}

/* What ended the answer, and which of the texts that end one, if it was one. */
static void put_stop(const maas_talk *t, const maas_talk_choice *c, maas_buf *b)
{
    const bool cut = strcmp(maas_talk_finish_name(c->finish), "length") == 0;
    maas_buf_printf(b, "\"stop_reason\":\"%s\",\"stop_sequence\":",
                    cut            ? "max_tokens"
                    : c->n_calls   ? "tool_use"
                    : c->stop >= 0 ? "stop_sequence"
                                   : "end_turn");
    maas_talk_put_stop(t, c->stop, b);
}

static void put_head(const maas_talk *t, maas_buf *b)
{
    maas_buf_str(b, "{\"id\":");
    put_str(b, t->id);
    maas_buf_str(b, ",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
    put_str(b, maas_lm_service_name(t->service));
}

/* What was read from the cache is told apart from the other input, as clients add the two. */
static void put_usage(const maas_talk *t, maas_buf *b)
{
    const maas_lm_timing *x = &t->timing;
    maas_buf_printf(b,
                    "\"usage\":{\"input_tokens\":%u,\"cache_read_input_tokens\":%u,"
                    "\"cache_creation_input_tokens\":0,\"output_tokens\":%u}",
                    x->prompt_tokens - x->cached_tokens, x->cached_tokens, x->tokens);
}

static void message_begin(maas_talk *t, maas_buf *b)
{
    put_event(b, "message_start");
    maas_buf_str(b, ",\"message\":");
    put_head(t, b);
    maas_buf_printf(b,
                    ",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{"
                    "\"input_tokens\":%zu,\"output_tokens\":0}}",
                    t->prompt.n / sizeof(int32_t));
    end_event(b);
}

/* ---- blocks: an item is one ---- */

/* How each kind of item is called, where its text is, and what an event adds to it. */
static const struct {
    const char *type, *text, *delta, *more;
} blocks[] = {
    [MAAS_SAID_CONTENT] = {"text", "text", "text_delta", "text"},
    [MAAS_SAID_REASONING] = {"thinking", "thinking", "thinking_delta", "thinking"},
    [MAAS_SAID_CALL] = {"tool_use", "input", "input_json_delta", "partial_json"},
};

/* text: NULL while the block is empty. */
static void put_block(const maas_talk_item *i, const maas_buf *text, maas_buf *b)
{
    const bool call = i->kind == MAAS_SAID_CALL;
    maas_buf_printf(b, "{\"type\":\"%s\",", blocks[i->kind].type);
    if (call) {
        maas_buf_printf(b, "\"id\":\"%s\",\"name\":", i->id);
        maas_buf_json_str(b, i->name.p, i->name.n);
        maas_buf_char(b, ',');
    }
    maas_buf_printf(b, "\"%s\":", blocks[i->kind].text);
    if (call)
        maas_buf_add(b, text ? text->p : "{}", text ? text->n : 2);
    else
        maas_buf_json_str(b, text ? text->p : "", text ? text->n : 0);
    maas_buf_str(b, i->kind == MAAS_SAID_REASONING ? ",\"signature\":\"\"}" : "}");
}

static void put_block_event(maas_talk *t, const char *type, const maas_talk_item *i, maas_buf *b)
{
    put_event(b, type);
    maas_buf_printf(b, ",\"index\":%zu", (size_t)(i - maas_talk_at(t)->items));
}

static void block_begin(maas_talk *t, const maas_talk_item *i, maas_buf *b)
{
    put_block_event(t, "content_block_start", i, b);
    maas_buf_str(b, ",\"content_block\":");
    put_block(i, NULL, b);
    end_event(b);
}

static void block_text(maas_talk *t, const maas_talk_item *i, maas_str text, maas_buf *b)
{
    put_block_event(t, "content_block_delta", i, b);
    maas_buf_printf(b, ",\"delta\":{\"type\":\"%s\",\"%s\":", blocks[i->kind].delta,
                    blocks[i->kind].more);
    maas_buf_json_str(b, text.p, text.n);
    maas_buf_char(b, '}');
    end_event(b);
}

static void block_end(maas_talk *t, const maas_talk_item *i, maas_buf *b)
{
    put_block_event(t, "content_block_stop", i, b);
    end_event(b);
}

static void message_end(maas_talk *t, maas_buf *b)
{
    put_event(b, "message_delta");
    maas_buf_str(b, ",\"delta\":{");
    put_stop(t, maas_talk_at(t), b);
    maas_buf_str(b, "},");
    put_usage(t, b);
    end_event(b);
}

static void message_close(maas_talk *t, maas_buf *b)
{
    (void)t;
    put_event(b, "message_stop");
    end_event(b);
}

static void message_failed(maas_talk *t, const maas_err *err, maas_buf *b)
{
    (void)t;
    put_event(b, "error");
    maas_buf_str(b, ",\"error\":{\"type\":\"api_error\",\"message\":");
    put_str(b, err->msg);
    maas_buf_char(b, '}');
    end_event(b);
}

static void message_whole(maas_talk *t, maas_buf *b)
{
    const maas_talk_choice *c = &t->choices[0];
    put_head(t, b);
    maas_buf_str(b, ",\"content\":[");
    for (size_t i = 0; i < c->n_items; i++) {
        maas_buf_str(b, i ? "," : "");
        put_block(&c->items[i], &c->items[i].text, b);
    }
    maas_buf_str(b, "],");
    put_stop(t, c, b);
    maas_buf_char(b, ',');
    put_usage(t, b);
    maas_buf_char(b, '}');
}

static const maas_talk_writers writers = {.content_type = "text/event-stream; charset=utf-8",
                                          .begin = message_begin,
                                          .item_begin = block_begin,
                                          .item_text = block_text,
                                          .item_end = block_end,
                                          .end = message_end,
                                          .close = message_close,
                                          .failed = message_failed,
                                          .whole = message_whole};

/* ---- the request ---- */

/* The tools, and what is said of them, in OpenAI's words. */
static maas_status read_tools(maas_talk *t, maas_err *err)
{
    const json_t *choice = json_object_get(t->body, "tool_choice");
    const char *how = json_string_value(json_object_get(choice, "type"));
    const bool one = json_is_true(json_object_get(choice, "disable_parallel_tool_use"));
    AUTO(maas_json_unref) json_t *tools = NULL;
    AUTO(maas_json_unref) json_t *ours = NULL;
    MAAS_TRY(maas_anthropic_tools(json_object_get(t->body, "tools"), &tools, err));
    if (how && strcmp(how, "tool") == 0)
        ours = json_pack("{s:{s:O?}}", "function", "name", json_object_get(choice, "name"));
    else if (how)
        ours = json_string(strcmp(how, "any") == 0 ? "required" : how);
    return maas_talk_tools(t, tools, ours ? ours : choice, one ? json_false() : NULL, err);
}

/* Variables of the template: whether it shall think. */
static json_t *more_of(const json_t *body)
{
    json_t *more = json_deep_copy(json_object_get(body, "chat_template_kwargs"));
    const char *think = json_string_value(
        json_object_get(json_object_get(body, "thinking"), "type"));
    if (!json_is_object(more)) {
        json_decref(more);
        more = json_object();
    }
    if (think)
        json_object_set_new(more, "enable_thinking", json_boolean(strcmp(think, "disabled") != 0));
    return more;
}

static maas_status prompt_of(maas_talk *t, maas_err *err)
{
    AUTO(maas_json_unref) json_t *all = json_array();
    AUTO(maas_json_unref) json_t *more = more_of(t->body);
    if (!json_array_size(json_object_get(t->body, "messages")))
        return maas_fail(err, MAAS_E_INVALID, "'messages' must be a list of at least one message");
    MAAS_TRY(read_tools(t, err));
    MAAS_TRY(maas_anthropic_conversation(t->body, all, err));
    return maas_talk_chat(t, all, more, err);
}

static maas_status read_messages(maas_talk *t, maas_err *err)
{
    json_t *stops = json_object_get(t->body, "stop_sequences");
    if (stops)
        json_object_set(t->body, "stop", stops);
    if (!json_object_get(t->body, "max_tokens"))
        return maas_fail(err, MAAS_E_INVALID, "'max_tokens' is missing");
    json_object_del(t->body, "n");
    MAAS_TRY(maas_talk_params(t, err));
    return prompt_of(t, err);
}

static bool messages_on_io(maas_req *r)
{
    return maas_talk_run(maas_talk_create(r, "msg_", &writers), read_messages);
}

void maas_anthropic_messages(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, messages_on_io);
}

static bool count_on_io(maas_req *r)
{
    maas_err err = {0};
    maas_talk *t = maas_talk_create(r, "", &writers);
    if (!t)
        return true;
    maas_status st = prompt_of(t, &err);
    if (st == MAAS_OK)
        maas_reply_tree(
            r, 200,
            json_pack("{s:I}", "input_tokens", (json_int_t)(t->prompt.n / sizeof(int32_t))));
    else
        maas_req_fail(r, &err);
    maas_talk_drop(t);
    return true;
}

void maas_anthropic_count(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, count_on_io);
}
