/* api/responses.c - POST /v1/responses, whole and as its events. Stateless: the whole conversation
 * is in `input`. */
#include "api/responses.h"

#include <inttypes.h>
#include <string.h>

#include "api/reply.h"
#include "api/responses_int.h"
#include "api/talk.h"
#include "base/mem.h"
#include "base/ban.h"

static void put_str(maas_buf *b, const char *s)
{
    maas_buf_json_str(b, s, strlen(s));
}

/* ---- items: what a model said, each with a name of its own ---- */

static void put_id(const maas_talk *t, const maas_talk_item *i, maas_buf *b)
{
    static const char *const prefixes[] = {
        [MAAS_SAID_CONTENT] = "msg", [MAAS_SAID_REASONING] = "rs", [MAAS_SAID_CALL] = "fc"};
    maas_buf_printf(b, "%s_%s_%zu", prefixes[i->kind], t->id + 5,
                    (size_t)(i - t->choices[0].items));
}

static void put_item_text(const maas_talk_item *i, maas_buf *b)
{
    maas_buf_json_str(b, i->text.p ? i->text.p : "", i->text.n);
}

static void put_part(const maas_talk_item *i, maas_buf *b)
{
    maas_buf_str(b, i->kind == MAAS_SAID_REASONING
                        ? "{\"type\":\"reasoning_text\",\"text\":"
                        : "{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":");
    put_item_text(i, b);
    maas_buf_char(b, '}');
}

static void put_item(const maas_talk *t, const maas_talk_item *i, const char *status, maas_buf *b)
{
    static const char *const heads[] = {
        [MAAS_SAID_CONTENT] = "\"type\":\"message\",\"role\":\"assistant\",\"content\":[",
        [MAAS_SAID_REASONING] = "\"type\":\"reasoning\",\"summary\":[],\"content\":[",
        [MAAS_SAID_CALL] = "\"type\":\"function_call\",\"arguments\":"};
    maas_buf_str(b, "{\"id\":\"");
    put_id(t, i, b);
    maas_buf_printf(b, "\",\"status\":\"%s\",%s", status, heads[i->kind]);
    if (i->kind == MAAS_SAID_CALL) {
        put_item_text(i, b);
        maas_buf_printf(b, ",\"call_id\":\"%s\",\"name\":", i->id);
        maas_buf_json_str(b, i->name.p, i->name.n);
    } else if (strcmp(status, "in_progress") != 0) {
        put_part(i, b);
    }
    maas_buf_str(b, i->kind == MAAS_SAID_CALL ? "}" : "]}");
}

static void put_items(const maas_talk *t, const char *status, maas_buf *b)
{
    const maas_talk_choice *c = &t->choices[0];
    for (size_t k = 0; k < c->n_items; k++) {
        const bool cut = k + 1 == c->n_items || !c->items[k].ok;
        maas_buf_str(b, k ? "," : "");
        put_item(t, &c->items[k], cut ? status : "completed", b);
    }
}

static const char *status_of(const maas_talk *t)
{
    const bool cut = strcmp(maas_talk_finish_name(t->choices[0].finish), "length") == 0;
    return cut ? "incomplete" : "completed";
}

/* What the request said, or what it is without. */
static void put_json(const json_t *v, const char *otherwise, maas_buf *b)
{
    if (v && !json_is_null(v))
        maas_json_dump(v, b);
    else
        maas_buf_str(b, otherwise);
}

static void put_response(const maas_talk *t, const char *status, maas_buf *b)
{
    const maas_lm_timing *x = &t->timing;
    const bool running = strcmp(status, "in_progress") == 0;
    maas_buf_str(b, "{\"id\":");
    put_str(b, t->id);
    maas_buf_printf(b, ",\"object\":\"response\",\"created_at\":%" PRIu64 ",\"status\":\"%s\",",
                    t->created, status);
    maas_buf_str(b, "\"model\":");
    put_str(b, maas_lm_service_name(t->service));
    maas_buf_printf(b, ",\"error\":null,\"incomplete_details\":%s,\"output\":[",
                    strcmp(status, "incomplete") == 0 ? "{\"reason\":\"max_output_tokens\"}"
                                                      : "null");
    if (!running)
        put_items(t, status, b);
    maas_buf_printf(
        b, "],\"parallel_tool_calls\":%s,\"tool_choice\":", t->one_call ? "false" : "true");
    put_json(json_object_get(t->body, "tool_choice"), "\"auto\"", b);
    maas_buf_str(b, ",\"tools\":");
    put_json(json_object_get(t->body, "tools"), "[]", b);
    maas_buf_str(b, ",\"store\":false,\"usage\":");
    if (running)
        maas_buf_str(b, "null}");
    else
        maas_buf_printf(b,
                        "{\"input_tokens\":%u,\"input_tokens_details\":{\"cached_tokens\":%u,"
                        "\"cache_write_tokens\":0},\"output_tokens\":%u,\"output_tokens_details\":{"
                        "\"reasoning_tokens\":%u},\"total_tokens\":%u}}",
                        x->prompt_tokens, x->cached_tokens, x->tokens, t->reasoning_tokens,
                        x->prompt_tokens + x->tokens);
}

/* ---- events ---- */

static void begin_event(maas_talk *t, const char *type, maas_buf *b)
{
    maas_buf_printf(b, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%u", type, type,
                    t->n_events++);
}

static void end_event(maas_buf *b)
{
    maas_buf_str(b, "}\n\n");
}

static void response_event(maas_talk *t, const char *type, const char *status, maas_buf *b)
{
    begin_event(t, type, b);
    maas_buf_str(b, ",\"response\":");
    put_response(t, status, b);
    end_event(b);
}

static void response_begin(maas_talk *t, maas_buf *b)
{
    response_event(t, "response.created", "in_progress", b);
    response_event(t, "response.in_progress", "in_progress", b);
}

static void item_event(maas_talk *t, const char *type, const maas_talk_item *i, const char *status,
                       maas_buf *b)
{
    begin_event(t, type, b);
    maas_buf_printf(b, ",\"output_index\":%zu,\"item\":", (size_t)(i - t->choices[0].items));
    put_item(t, i, status, b);
    end_event(b);
}

/* An event within an item: what, and where it belongs. */
static void within(maas_talk *t, const char *type, const maas_talk_item *i, maas_buf *b)
{
    begin_event(t, type, b);
    maas_buf_str(b, ",\"item_id\":\"");
    put_id(t, i, b);
    maas_buf_printf(b, "\",\"output_index\":%zu", (size_t)(i - t->choices[0].items));
    if (i->kind != MAAS_SAID_CALL)
        maas_buf_str(b, ",\"content_index\":0");
    if (i->kind == MAAS_SAID_CONTENT && strstr(type, "output_text"))
        maas_buf_str(b, ",\"logprobs\":[]");
}

/* What the events of each kind of item are called. */
static const struct {
    const char *delta, *done, *whole;
} events[] = {
    [MAAS_SAID_CONTENT] = {"response.output_text.delta", "response.output_text.done", "text"},
    [MAAS_SAID_REASONING] = {"response.reasoning_text.delta", "response.reasoning_text.done",
                             "text"},
    [MAAS_SAID_CALL] = {"response.function_call_arguments.delta",
                        "response.function_call_arguments.done", "arguments"},
};

static void part_event(maas_talk *t, const char *type, const maas_talk_item *i, maas_buf *b)
{
    if (i->kind == MAAS_SAID_CALL)
        return;
    within(t, type, i, b);
    maas_buf_str(b, ",\"part\":");
    put_part(i, b);
    end_event(b);
}

static void item_begin(maas_talk *t, const maas_talk_item *i, maas_buf *b)
{
    item_event(t, "response.output_item.added", i, "in_progress", b);
    part_event(t, "response.content_part.added", i, b);
}

static void item_text(maas_talk *t, const maas_talk_item *i, maas_str text, maas_buf *b)
{
    within(t, events[i->kind].delta, i, b);
    maas_buf_str(b, ",\"delta\":");
    maas_buf_json_str(b, text.p, text.n);
    end_event(b);
}

static void item_end(maas_talk *t, const maas_talk_item *i, maas_buf *b)
{
    within(t, events[i->kind].done, i, b);
    maas_buf_printf(b, ",\"%s\":", events[i->kind].whole);
    put_item_text(i, b);
    if (i->kind == MAAS_SAID_CALL) {
        maas_buf_str(b, ",\"name\":");
        maas_buf_json_str(b, i->name.p, i->name.n);
    }
    end_event(b);
    part_event(t, "response.content_part.done", i, b);
    item_event(t, "response.output_item.done", i, i->ok ? "completed" : "incomplete", b);
}

static void response_close(maas_talk *t, maas_buf *b)
{
    const char *status = status_of(t);
    const bool whole = strcmp(status, "completed") == 0;
    response_event(t, whole ? "response.completed" : "response.incomplete", status, b);
}

static void response_failed(maas_talk *t, const maas_err *err, maas_buf *b)
{
    begin_event(t, "error", b);
    maas_buf_str(b, ",\"code\":\"server_error\",\"param\":null,\"message\":");
    put_str(b, err->msg);
    end_event(b);
}

static void response_whole(maas_talk *t, maas_buf *b)
{
    put_response(t, status_of(t), b);
}

static const maas_talk_writers writers = {.content_type = "text/event-stream; charset=utf-8",
                                          .begin = response_begin,
                                          .item_begin = item_begin,
                                          .item_text = item_text,
                                          .item_end = item_end,
                                          .close = response_close,
                                          .failed = response_failed,
                                          .whole = response_whole};

/* ---- the request ---- */

static maas_status refuse_unknown(const json_t *body, maas_err *err)
{
    if (json_is_string(json_object_get(body, "previous_response_id")))
        return maas_fail(err, MAAS_E_INVALID,
                         "'previous_response_id': responses are not stored; "
                         "send the whole conversation in 'input'");
    return MAAS_OK;
}

/* The tools in the chat API's words. */
static maas_status read_tools(maas_talk *t, maas_err *err)
{
    const json_t *choice = json_object_get(t->body, "tool_choice");
    const char *type = json_string_value(json_object_get(choice, "type"));
    AUTO(maas_json_unref) json_t *tools = NULL;
    AUTO(maas_json_unref) json_t *ours = NULL;
    MAAS_TRY(maas_responses_tools(json_object_get(t->body, "tools"), &tools, err));
    if (type && strcmp(type, "function") == 0)
        ours = json_pack("{s:{s:O?}}", "function", "name", json_object_get(choice, "name"));
    return maas_talk_tools(t, tools, ours ? ours : choice,
                           json_object_get(t->body, "parallel_tool_calls"), err);
}

static maas_status read_response(maas_talk *t, maas_err *err)
{
    AUTO(maas_json_unref) json_t *all = json_array();
    json_t *most = json_object_get(t->body, "max_output_tokens");
    json_object_del(t->body, "n");
    if (most)
        json_object_set(t->body, "max_tokens", most);
    MAAS_TRY(maas_talk_params(t, err));
    MAAS_TRY(refuse_unknown(t->body, err));
    MAAS_TRY(read_tools(t, err));
    MAAS_TRY(maas_responses_conversation(t->body, all, err));
    return maas_talk_chat(t, all, json_object_get(t->body, "chat_template_kwargs"), err);
}

static bool responses_on_io(maas_req *r)
{
    return maas_talk_run(maas_talk_create(r, "resp_", &writers), read_response);
}

void maas_openai_responses(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, responses_on_io);
}
