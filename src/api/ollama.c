/*
 * api/ollama.c - /api/chat and /api/generate: whole, or lines of JSON (the default). A model is
 * named as in the registry; Ollama's tag ":latest" is left out.
 */
#include "api/ollama.h"

#include <string.h>

#include "api/reply.h"
#include "api/talk.h"
#include "base/mem.h"
#include "base/sys.h"
#include "base/ban.h"

static void put_str(maas_buf *b, const char *s)
{
    maas_buf_json_str(b, s, strlen(s));
}

static void put_head(const maas_talk *t, maas_buf *b)
{
    char now[32];
    maas_time_rfc3339(maas_wall_ms(), now);
    maas_buf_str(b, "{\"model\":");
    put_str(b, maas_lm_service_name(t->service));
    maas_buf_printf(b, ",\"created_at\":\"%s\",", now);
}

static void put_text(const maas_talk *t, const char *p, size_t n, maas_buf *b);

static void nothing(maas_talk *t, maas_buf *b)
{
    (void)t;
    (void)b;
}

static void line_piece(maas_talk *t, const maas_lm_event *ev, maas_buf *b)
{
    if (!t->stream || !ev->text.n)
        return;
    put_head(t, b);
    put_text(t, ev->text.p, ev->text.n, b);
    maas_buf_str(b, ",\"done\":false}\n");
}

static void put_last(maas_talk *t, const char *p, size_t n, maas_lm_finish f, maas_buf *b)
{
    const maas_lm_timing *x = &t->timing;
    put_head(t, b);
    put_text(t, p, n, b);
    maas_buf_printf(b,
                    ",\"done\":true,\"done_reason\":\"%s\",\"total_duration\":%llu,"
                    "\"load_duration\":0,\"prompt_eval_count\":%u,\"prompt_eval_duration\":%llu,"
                    "\"eval_count\":%u,\"eval_duration\":%llu}",
                    maas_talk_finish_name(f),
                    (unsigned long long)(x->queue_ns + x->prompt_ns + x->decode_ns),
                    x->prompt_tokens, (unsigned long long)x->prompt_ns, x->tokens,
                    (unsigned long long)x->decode_ns);
}

static void line_end(maas_talk *t, const maas_lm_event *ev, maas_buf *b)
{
    put_last(t, ev->text.p, ev->text.n, ev->finish, b);
    maas_buf_char(b, '\n');
}

static void line_failed(maas_talk *t, const maas_err *err, maas_buf *b)
{
    (void)t;
    maas_buf_str(b, "{\"error\":");
    put_str(b, err->msg);
    maas_buf_str(b, "}\n");
}

static void whole(maas_talk *t, maas_buf *b)
{
    const maas_talk_choice *c = &t->choices[0];
    put_last(t, c->text.p, c->text.n, c->finish, b);
}

static const maas_talk_writers chat_writers = {
    "application/x-ndjson", nothing, line_piece, line_end, nothing, line_failed, whole};
static const maas_talk_writers text_writers = {
    "application/x-ndjson", nothing, line_piece, line_end, nothing, line_failed, whole};

static void put_text(const maas_talk *t, const char *p, size_t n, maas_buf *b)
{
    const bool chat = t->writers == &chat_writers;
    maas_buf_str(b, chat ? "\"message\":{\"role\":\"assistant\",\"content\":" : "\"response\":");
    maas_buf_json_str(b, p ? p : "", p ? n : 0);
    maas_buf_str(b, chat ? "}" : "");
}

/* ---- the request ---- */

/* Options of Ollama that have another name here. */
static const struct {
    const char *from, *to;
} names[] = {{"num_predict", "max_tokens"}, {"repeat_last_n", "repeat_last_n"}};

/* `options` as if they stood beside the rest; what is negative stands for "no limit". */
static void flatten(json_t *body)
{
    json_t *o = json_object_get(body, "options");
    json_object_del(body, "n");
    if (json_is_object(o))
        json_object_update_missing(body, o);
    for (size_t i = 0; i < MAAS_COUNT(names); i++) {
        json_t *v = json_object_get(o, names[i].from);
        if (v && json_number_value(v) >= 0)
            json_object_set(body, names[i].to, v);
    }
    if (!json_object_get(body, "stream"))
        json_object_set_new(body, "stream", json_true());
}

static maas_talk *open_talk(maas_req *r, const maas_talk_writers *w)
{
    maas_err err = {0};
    json_t *body = NULL;
    if (maas_body_object(r, &body, &err) != MAAS_OK)
        return maas_talk_open(r, NULL, &err, NULL, "", w);
    const char *model = json_string_value(json_object_get(body, "model"));
    const size_t n = model ? strlen(model) : 0;
    flatten(body);
    if (n > 7 && strcmp(model + n - 7, ":latest") == 0)
        model = maas_arena_strndup(maas_req_arena(r), model, n - 7);
    return maas_talk_open(r, body, &err, model, "", w);
}

static maas_status refuse_unknown(const maas_talk *t, maas_err *err)
{
    static const char *const unknown[] = {"tools", "images", "suffix", "template"};
    for (size_t i = 0; i < MAAS_COUNT(unknown); i++) {
        const json_t *v = json_object_get(t->body, unknown[i]);
        const bool empty = !v || json_is_null(v) || json_is_false(v) ||
                           (json_is_string(v) && !json_string_length(v)) ||
                           (json_is_array(v) && !json_array_size(v));
        if (!empty)
            return maas_fail(err, MAAS_E_UNSUPPORTED, "'%s' is not supported yet", unknown[i]);
    }
    return MAAS_OK;
}

/* No text at all: the model shall be loaded, which it is by now. */
static bool only_loads(maas_talk *t, const json_t *text)
{
    maas_req *r = t->req;
    const bool asked = json_is_array(text) ? json_array_size(text) : json_string_length(text);
    if (asked || (text && !json_is_array(text) && !json_is_string(text)))
        return false;
    maas_buf b = MAAS_BUF_IN(maas_req_arena(r), 4096);
    put_head(t, &b);
    put_text(t, "", 0, &b);
    maas_buf_str(&b, ",\"done\":true,\"done_reason\":\"load\"}\n");
    maas_reply_json(r, 200, &b);
    maas_talk_drop(t);
    return true;
}

static maas_status read_chat(maas_talk *t, maas_err *err)
{
    MAAS_TRY(maas_talk_params(t, err));
    MAAS_TRY(refuse_unknown(t, err));
    return maas_talk_chat(t, json_object_get(t->body, "messages"), NULL, NULL, err);
}

static bool chat_on_io(maas_req *r)
{
    maas_talk *t = open_talk(r, &chat_writers);
    if (t && only_loads(t, json_object_get(t->body, "messages")))
        return true;
    return maas_talk_run(t, read_chat);
}

void maas_ollama_chat(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, chat_on_io);
}

/* A prompt is a message of the user, unless it is raw. */
static maas_status read_generate(maas_talk *t, maas_err *err)
{
    json_t *prompt = json_object_get(t->body, "prompt");
    json_t *system = json_object_get(t->body, "system");
    MAAS_TRY(maas_talk_params(t, err));
    MAAS_TRY(refuse_unknown(t, err));
    if (!json_is_string(prompt))
        return maas_fail(err, MAAS_E_INVALID, "'prompt' must be a text");
    if (json_is_true(json_object_get(t->body, "raw")))
        return maas_talk_text(t, prompt, err);
    AUTO(maas_json_unref) json_t *all = json_array();
    if (json_string_length(system))
        json_array_append_new(all, json_pack("{s:s, s:O}", "role", "system", "content", system));
    json_array_append_new(all, json_pack("{s:s, s:O}", "role", "user", "content", prompt));
    return maas_talk_chat(t, all, NULL, NULL, err);
}

static bool generate_on_io(maas_req *r)
{
    maas_talk *t = open_talk(r, &text_writers);
    if (t && only_loads(t, json_object_get(t->body, "prompt")))
        return true;
    return maas_talk_run(t, read_generate);
}

void maas_ollama_generate(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, generate_on_io);
}
