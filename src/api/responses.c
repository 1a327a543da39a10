/* api/responses.c - POST /v1/responses, whole and as its events. Stateless: the whole conversation
 * is in `input`. */
#include "api/responses.h"

#include <inttypes.h>
#include <string.h>

#include "api/reply.h"
#include "api/talk.h"
#include "base/mem.h"
#include "base/ban.h"

static void put_str(maas_buf *b, const char *s)
{
    maas_buf_json_str(b, s, strlen(s));
}

static void put_text_of(const maas_talk *t, maas_buf *b)
{
    const maas_buf *text = &t->choices[0].text;
    maas_buf_json_str(b, text->p ? text->p : "", text->n);
}

static void put_part(const maas_talk *t, maas_buf *b)
{
    maas_buf_str(b, "{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":");
    put_text_of(t, b);
    maas_buf_char(b, '}');
}

static void put_item(const maas_talk *t, const char *status, maas_buf *b)
{
    maas_buf_printf(b, "{\"type\":\"message\",\"id\":\"msg_%s\",\"status\":\"%s\",", t->id + 5,
                    status);
    maas_buf_str(b, "\"role\":\"assistant\",\"content\":[");
    if (strcmp(status, "in_progress") != 0)
        put_part(t, b);
    maas_buf_str(b, "]}");
}

static const char *status_of(const maas_talk *t)
{
    const bool cut = strcmp(maas_talk_finish_name(t->choices[0].finish), "length") == 0;
    return cut ? "incomplete" : "completed";
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
        put_item(t, status, b);
    maas_buf_str(b, "],\"parallel_tool_calls\":true,\"tool_choice\":\"auto\",\"tools\":[],"
                    "\"store\":false,\"usage\":");
    if (running)
        maas_buf_str(b, "null}");
    else
        maas_buf_printf(b,
                        "{\"input_tokens\":%u,\"input_tokens_details\":{\"cached_tokens\":%u,"
                        "\"cache_write_tokens\":0},\"output_tokens\":%u,\"output_tokens_details\":{"
                        "\"reasoning_tokens\":0},\"total_tokens\":%u}}",
                        x->prompt_tokens, x->cached_tokens, x->tokens,
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

static void item_event(maas_talk *t, const char *type, const char *status, maas_buf *b)
{
    begin_event(t, type, b);
    maas_buf_str(b, ",\"output_index\":0,\"item\":");
    put_item(t, status, b);
    end_event(b);
}

/* An event within the text: what, and where it belongs. */
static void text_event(maas_talk *t, const char *type, maas_buf *b)
{
    begin_event(t, type, b);
    maas_buf_printf(b, ",\"item_id\":\"msg_%s\",\"output_index\":0,\"content_index\":0,",
                    t->id + 5);
}

static void response_begin(maas_talk *t, maas_buf *b)
{
    response_event(t, "response.created", "in_progress", b);
    response_event(t, "response.in_progress", "in_progress", b);
    item_event(t, "response.output_item.added", "in_progress", b);
    text_event(t, "response.content_part.added", b);
    maas_buf_str(b, "\"part\":");
    put_part(t, b);
    end_event(b);
}

static void response_piece(maas_talk *t, const maas_lm_event *ev, maas_buf *b)
{
    if (!t->stream || !ev->text.n)
        return;
    maas_buf_add(&t->choices[0].text, ev->text.p, ev->text.n);
    text_event(t, "response.output_text.delta", b);
    maas_buf_str(b, "\"logprobs\":[],\"delta\":");
    maas_buf_json_str(b, ev->text.p, ev->text.n);
    end_event(b);
}

static void response_end(maas_talk *t, const maas_lm_event *ev, maas_buf *b)
{
    response_piece(t, ev, b);
    text_event(t, "response.output_text.done", b);
    maas_buf_str(b, "\"logprobs\":[],\"text\":");
    put_text_of(t, b);
    end_event(b);
    text_event(t, "response.content_part.done", b);
    maas_buf_str(b, "\"part\":");
    put_part(t, b);
    end_event(b);
    item_event(t, "response.output_item.done", status_of(t), b);
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

static const maas_talk_writers writers = {"text/event-stream; charset=utf-8",
                                          response_begin,
                                          response_piece,
                                          response_end,
                                          response_close,
                                          response_failed,
                                          response_whole};

/* ---- the request ---- */

/* A message whose parts have the names of the chat API: "input_text" and "output_text" are "text".
 */
static maas_status add_item(json_t *all, const json_t *item, maas_err *err)
{
    const char *type = json_string_value(json_object_get(item, "type"));
    const json_t *content = json_object_get(item, "content");
    if (!json_is_object(item) || (type && strcmp(type, "message") != 0))
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "an item of 'input' is of type '%.40s'; messages "
                         "are read",
                         type ? type : "?");
    AUTO(maas_json_unref) json_t *m = json_deep_copy(item);
    for (size_t i = 0; json_is_array(content) && i < json_array_size(content); i++) {
        json_t *part = json_array_get(json_object_get(m, "content"), i);
        const char *kind = json_string_value(json_object_get(part, "type"));
        if (kind && (strcmp(kind, "input_text") == 0 || strcmp(kind, "output_text") == 0))
            json_object_set_new(part, "type", json_string("text"));
    }
    return json_array_append(all, m) == 0 ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "a message");
}

static maas_status messages_of(const json_t *body, json_t *all, maas_err *err)
{
    json_t *input = json_object_get(body, "input");
    json_t *instructions = json_object_get(body, "instructions");
    if (json_is_string(instructions))
        json_array_append_new(all,
                              json_pack("{s:s, s:O}", "role", "system", "content", instructions));
    if (json_is_string(input))
        json_array_append_new(all, json_pack("{s:s, s:O}", "role", "user", "content", input));
    else if (!json_array_size(input))
        return maas_fail(err, MAAS_E_INVALID, "'input' must be a text or a list of messages");
    for (size_t i = 0; i < json_array_size(input); i++)
        MAAS_TRY(add_item(all, json_array_get(input, i), err));
    return MAAS_OK;
}

static maas_status refuse_unknown(const json_t *body, maas_err *err)
{
    if (json_is_string(json_object_get(body, "previous_response_id")))
        return maas_fail(err, MAAS_E_INVALID,
                         "'previous_response_id': responses are not stored; "
                         "send the whole conversation in 'input'");
    if (json_array_size(json_object_get(body, "tools")))
        return maas_fail(err, MAAS_E_UNSUPPORTED, "'tools' is not supported yet");
    return MAAS_OK;
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
    MAAS_TRY(messages_of(t->body, all, err));
    return maas_talk_chat(t, all, NULL, json_object_get(t->body, "chat_template_kwargs"), err);
}

static bool responses_on_io(maas_req *r)
{
    return maas_talk_run(maas_talk_create(r, "resp_", &writers), read_response);
}

void maas_openai_responses(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, responses_on_io);
}
