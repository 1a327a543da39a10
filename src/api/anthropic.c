/* api/anthropic.c - /v1/messages, whole and as Anthropic's events, and count_tokens. */
#include "api/anthropic.h"

#include <string.h>

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

/* stop: which of the texts that end it did, -1: none. */
static void put_stop(const maas_talk *t, maas_lm_finish f, int32_t stop, maas_buf *b)
{
    const bool cut = strcmp(maas_talk_finish_name(f), "length") == 0;
    maas_buf_printf(b, "\"stop_reason\":\"%s\",\"stop_sequence\":",
                    cut         ? "max_tokens"
                    : stop >= 0 ? "stop_sequence"
                                : "end_turn");
    maas_talk_put_stop(t, stop, b);
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
    put_event(b, "content_block_start");
    maas_buf_str(b, ",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}");
    end_event(b);
}

static void message_piece(maas_talk *t, const maas_lm_event *ev, maas_buf *b)
{
    if (!t->stream || !ev->text.n)
        return;
    put_event(b, "content_block_delta");
    maas_buf_str(b, ",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":");
    maas_buf_json_str(b, ev->text.p, ev->text.n);
    maas_buf_char(b, '}');
    end_event(b);
}

static void message_end(maas_talk *t, const maas_lm_event *ev, maas_buf *b)
{
    message_piece(t, ev, b);
    put_event(b, "content_block_stop");
    maas_buf_str(b, ",\"index\":0");
    end_event(b);
    put_event(b, "message_delta");
    maas_buf_str(b, ",\"delta\":{");
    put_stop(t, ev->finish, ev->stop, b);
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
    maas_buf_str(b, ",\"content\":[{\"type\":\"text\",\"text\":");
    maas_buf_json_str(b, c->text.p ? c->text.p : "", c->text.n);
    maas_buf_str(b, "}],");
    put_stop(t, c->finish, c->stop, b);
    maas_buf_char(b, ',');
    put_usage(t, b);
    maas_buf_char(b, '}');
}

static const maas_talk_writers writers = {"text/event-stream; charset=utf-8",
                                          message_begin,
                                          message_piece,
                                          message_end,
                                          message_close,
                                          message_failed,
                                          message_whole};

/* `system` becomes the first message. A new reference. */
static json_t *messages_of(const json_t *body)
{
    json_t *system = json_object_get(body, "system"), *all = json_array();
    if (system && !json_is_null(system))
        json_array_append_new(all, json_pack("{s:s, s:O}", "role", "system", "content", system));
    json_array_extend(all, json_object_get(body, "messages"));
    return all;
}

static maas_status prompt_of(maas_talk *t, maas_err *err)
{
    if (!json_array_size(json_object_get(t->body, "messages")))
        return maas_fail(err, MAAS_E_INVALID, "'messages' must be a list of at least one message");
    if (json_array_size(json_object_get(t->body, "tools")))
        return maas_fail(err, MAAS_E_UNSUPPORTED, "'tools' is not supported yet");
    AUTO(maas_json_unref) json_t *all = messages_of(t->body);
    return maas_talk_chat(t, all, NULL, json_object_get(t->body, "chat_template_kwargs"), err);
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
