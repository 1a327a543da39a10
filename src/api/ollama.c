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

/* What an answer, or a line of it, says. */
typedef struct words {
    maas_str text, thought;
    const maas_talk_item *items; /* those that are calls are told */
    size_t n;
} words;

static void put_calls(const maas_talk *t, const words *w, maas_buf *b)
{
    size_t n = 0;
    for (const maas_talk_item *i = w->items; i < w->items + w->n; i++) {
        if (i->kind != MAAS_SAID_CALL)
            continue;
        maas_buf_str(b, n++ ? "," : ",\"tool_calls\":[");
        maas_buf_printf(b, "{\"id\":\"%s\",\"function\":{\"index\":%zu,\"name\":", i->id,
                        maas_talk_call_index(&t->choices[0], i));
        maas_buf_json_str(b, i->name.p, i->name.n);
        maas_buf_str(b, ",\"arguments\":");
        maas_buf_add(b, i->text.p, i->text.n);
        maas_buf_str(b, "}}");
    }
    maas_buf_str(b, n ? "]" : "");
}

static bool is_chat(const maas_talk *t);

static void put_words(const maas_talk *t, const words *w, maas_buf *b)
{
    const bool chat = is_chat(t);
    maas_buf_str(b, chat ? "\"message\":{\"role\":\"assistant\",\"content\":" : "\"response\":");
    maas_buf_json_str(b, w->text.p ? w->text.p : "", w->text.n);
    if (w->thought.n) {
        maas_buf_str(b, ",\"thinking\":");
        maas_buf_json_str(b, w->thought.p, w->thought.n);
    }
    if (chat)
        put_calls(t, w, b);
    maas_buf_str(b, chat ? "}" : "");
}

static void put_line(maas_talk *t, const words *w, maas_buf *b)
{
    put_head(t, b);
    put_words(t, w, b);
    maas_buf_str(b, ",\"done\":false}\n");
}

static void line_text(maas_talk *t, const maas_talk_item *i, maas_str text, maas_buf *b)
{
    const bool thought = i->kind == MAAS_SAID_REASONING;
    put_line(t, thought ? &(words){.thought = text} : &(words){.text = text}, b);
}

static void line_call(maas_talk *t, const maas_talk_item *i, maas_buf *b)
{
    if (i->kind == MAAS_SAID_CALL)
        put_line(t, &(words){.items = i, .n = 1}, b);
}

static void put_last(maas_talk *t, const words *w, maas_buf *b)
{
    const maas_lm_timing *x = &t->timing;
    put_head(t, b);
    put_words(t, w, b);
    maas_buf_printf(b,
                    ",\"done\":true,\"done_reason\":\"%s\",\"total_duration\":%llu,"
                    "\"load_duration\":0,\"prompt_eval_count\":%u,\"prompt_eval_duration\":%llu,"
                    "\"eval_count\":%u,\"eval_duration\":%llu}",
                    maas_talk_finish_name(t->choices[0].finish),
                    (unsigned long long)(x->queue_ns + x->prompt_ns + x->decode_ns),
                    x->prompt_tokens, (unsigned long long)x->prompt_ns, x->tokens,
                    (unsigned long long)x->decode_ns);
}

static void line_end(maas_talk *t, maas_buf *b)
{
    put_last(t, &(words){.n = 0}, b);
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
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(b->max);
    AUTO(maas_buf_reset) maas_buf thought = MAAS_BUF_INIT(b->max);
    maas_talk_put_items(c, MAAS_SAID_CONTENT, &text);
    maas_talk_put_items(c, MAAS_SAID_REASONING, &thought);
    const words w = {{text.p, text.n}, {thought.p, thought.n}, c->items, c->n_items};
    put_last(t, &w, b);
    b->failed |= text.failed || thought.failed;
}

static const maas_talk_writers chat_writers = {.content_type = "application/x-ndjson",
                                               .whole_calls = true,
                                               .item_text = line_text,
                                               .item_end = line_call,
                                               .end = line_end,
                                               .failed = line_failed,
                                               .whole = whole};
static const maas_talk_writers text_writers = {.content_type = "application/x-ndjson",
                                               .item_text = line_text,
                                               .end = line_end,
                                               .failed = line_failed,
                                               .whole = whole};

static bool is_chat(const maas_talk *t)
{
    return t->writers == &chat_writers;
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
    static const char *const unknown[] = {"images", "template"};
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
    put_words(t, &(words){.n = 0}, &b);
    maas_buf_str(&b, ",\"done\":true,\"done_reason\":\"load\"}\n");
    maas_reply_json(r, 200, &b);
    maas_talk_drop(t);
    return true;
}

/* `think` says whether, or how hard. A new reference, or NULL. */
static json_t *more_of(const json_t *body)
{
    const json_t *think = json_object_get(body, "think");
    json_t *more = NULL;
    if (json_is_boolean(think))
        more = json_pack("{s:b}", "enable_thinking", json_is_true(think));
    else if (json_is_string(think))
        more = json_pack("{s:b, s:s}", "enable_thinking", 1, "reasoning_effort",
                         json_string_value(think));
    return more;
}

static maas_status read_chat(maas_talk *t, maas_err *err)
{
    AUTO(maas_json_unref) json_t *more = more_of(t->body);
    MAAS_TRY(maas_talk_params(t, err));
    MAAS_TRY(refuse_unknown(t, err));
    MAAS_TRY(maas_talk_tools(t, json_object_get(t->body, "tools"), NULL, NULL, err));
    return maas_talk_chat(t, json_object_get(t->body, "messages"), more, err);
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
    const json_t *suffix = json_object_get(t->body, "suffix");
    MAAS_TRY(maas_talk_params(t, err));
    MAAS_TRY(refuse_unknown(t, err));
    if (!json_is_string(prompt))
        return maas_fail(err, MAAS_E_INVALID, "'prompt' must be a text");
    if (json_string_length(suffix))
        return maas_talk_suffix(t, prompt, suffix, err);
    if (json_is_true(json_object_get(t->body, "raw")))
        return maas_talk_text(t, prompt, err);
    AUTO(maas_json_unref) json_t *all = json_array();
    AUTO(maas_json_unref) json_t *more = more_of(t->body);
    if (json_string_length(system))
        json_array_append_new(all, json_pack("{s:s, s:O}", "role", "system", "content", system));
    json_array_append_new(all, json_pack("{s:s, s:O}", "role", "user", "content", prompt));
    return maas_talk_chat(t, all, more, err);
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
