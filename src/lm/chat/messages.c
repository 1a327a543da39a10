/* lm/chat/messages.c - contents become texts, arguments objects (or texts), and what tools answered
 * finds its call. */
#include "lm/chat/messages.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/ban.h"

#define MAX_TEXT ((size_t)64 << 20)

typedef struct writer {
    const maas_chat_ways *w;
    json_t *out;
    json_t *names; /* identifier of a call: {"id": the one that is shown, "name": of its tool} */
    json_t *open;  /* identifiers of calls that nobody answered, in order */
    size_t answered, made;
    bool after_answers; /* the last message is what tools answered, said by the user */
} writer;

/* Parts of a content, as one text. */
static maas_status joined(const json_t *parts, json_t **out, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(MAX_TEXT);
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *p = json_array_get(parts, i), *t = json_object_get(p, "text");
        const char *type = json_string_value(json_object_get(p, "type"));
        if (!type || strcmp(type, "text") != 0 || !json_is_string(t))
            return maas_fail(err, MAAS_E_UNSUPPORTED,
                             "a part of a message is of type '%.40s'; this model reads text",
                             type ? type : "?");
        maas_buf_add(&text, json_string_value(t), json_string_length(t));
    }
    *out = text.failed ? NULL : json_stringn(text.p ? text.p : "", text.n);
    return *out ? MAAS_OK : maas_fail(err, MAAS_E_INVALID, "the text of a message is no UTF-8");
}

static maas_status plain_content(json_t *m, maas_err *err)
{
    const json_t *content = json_object_get(m, "content");
    json_t *text;
    if (content && !json_is_string(content) && !json_is_null(content) && !json_is_array(content))
        return maas_fail(err, MAAS_E_INVALID, "'content' of a message must be text or parts");
    if (json_is_array(content)) {
        MAAS_TRY(joined(content, &text, err));
        json_object_set_new(m, "content", text);
    } else if (!content || json_is_null(content)) {
        json_object_set_new(m, "content", json_string(""));
    }
    return MAAS_OK;
}

/* ---- calls ---- */

static json_t *arguments_of(const writer *x, json_t *given)
{
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(MAX_TEXT);
    json_t *tree = NULL;
    maas_err ignored = {0};
    if (!given || json_is_null(given))
        given = NULL;
    if (x->w->text_arguments) {
        if (json_is_string(given))
            return json_incref(given);
        if (given)
            maas_json_dump(given, &text);
        return text.failed ? NULL : json_string(given ? text.p : "{}");
    }
    if (!json_is_string(given))
        return given ? json_incref(given) : json_object();
    const maas_span s = maas_span_of(json_string_value(given), json_string_length(given));
    if (maas_json_parse(s, &tree, &ignored) == MAAS_OK && json_is_object(tree))
        return tree;
    json_decref(tree);
    return json_incref(given); /* a model wrote it so: the template shows it so */
}

/* The identifier that the template sees. A new reference. */
static json_t *shown_id(writer *x, json_t *given)
{
    char made[16];
    if (json_string_length(given) &&
        (!x->w->id_length || json_string_length(given) == x->w->id_length))
        return json_incref(given);
    snprintf(made, sizeof made, "call%05zu", x->made++ % 100000);
    return json_string(made);
}

static maas_status add_call(writer *x, const json_t *call, json_t *calls, maas_err *err)
{
    const json_t *f = json_object_get(call, "function");
    json_t *name = json_object_get(f, "name"), *given = json_object_get(call, "id");
    if (!json_is_string(name))
        return maas_fail(err, MAAS_E_INVALID, "'tool_calls[%zu].function.name' is missing",
                         json_array_size(calls));
    json_t *arguments = arguments_of(x, json_object_get(f, "arguments"));
    json_t *id = shown_id(x, given);
    json_t *key = json_string_length(given) ? given : id;
    json_object_set_new(x->names, json_string_value(key),
                        json_pack("{s:O, s:O}", "id", id, "name", name));
    json_array_append(x->open, key);
    json_t *made = json_pack("{s:o, s:s, s:{s:O, s:o}}", "id", id, "type", "function", "function",
                             "name", name, "arguments", arguments);
    return json_array_append_new(calls, made) == 0 ? MAAS_OK
                                                   : maas_fail(err, MAAS_E_NOMEM, "a call");
}

static maas_status plain_calls(writer *x, json_t *m, maas_err *err)
{
    const json_t *given = json_object_get(m, "tool_calls"), *content;
    AUTO(maas_json_unref) json_t *calls = json_array();
    if (!given)
        return MAAS_OK;
    if (!json_is_array(given) && !json_is_null(given))
        return maas_fail(err, MAAS_E_INVALID, "'tool_calls' must be a list");
    if (!json_array_size(given)) {
        json_object_del(m, "tool_calls");
        return MAAS_OK;
    }
    for (size_t i = 0; i < json_array_size(given); i++)
        MAAS_TRY(add_call(x, json_array_get(given, i), calls, err));
    json_object_set(m, "tool_calls", calls);
    content = json_object_get(m, "content");
    if (!json_string_length(content) && !x->w->empty_content)
        json_object_set_new(m, "content", json_null());
    return MAAS_OK;
}

/* Which call this answers: by its identifier, else the next that has no answer. */
static void find_call(writer *x, json_t *m)
{
    json_t *id = json_object_get(m, "tool_call_id"), *name = json_object_get(m, "tool_name");
    if (!json_string_length(id))
        id = json_array_get(x->open, x->answered);
    x->answered++;
    const json_t *call = id ? json_object_get(x->names, json_string_value(id)) : NULL;
    if (call)
        json_object_set(m, "tool_call_id", json_object_get(call, "id"));
    if (!name && call)
        name = json_object_get(call, "name");
    if (json_is_string(name) && !json_is_string(json_object_get(m, "name")))
        json_object_set(m, "name", name);
}

/* ---- for templates that know no tools ---- */

static json_t *with_text(const char *role, const maas_buf *text)
{
    return text->failed ? NULL
                        : json_pack("{s:s, s:s#}", "role", role, "content", text->p ? text->p : "",
                                    (size_t)text->n);
}

static void write_call(const char *frame, const json_t *function, maas_buf *out)
{
    const char *name = json_string_value(json_object_get(function, "name"));
    for (; *frame; frame++)
        if (*frame == '\1')
            maas_buf_str(out, name);
        else if (*frame == '\2')
            maas_json_dump(json_object_get(function, "arguments"), out);
        else
            maas_buf_char(out, *frame);
}

/* Calls stand in the text, as the model writes them. */
static void write_calls(const writer *x, json_t *m)
{
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(MAX_TEXT);
    const json_t *calls = json_object_get(m, "tool_calls");
    const json_t *content = json_object_get(m, "content");
    if (json_string_length(content))
        maas_buf_add(&text, json_string_value(content), json_string_length(content));
    maas_buf_str(&text, text.n ? "\n" : "");
    for (size_t i = 0; i < json_array_size(calls); i++) {
        maas_buf_str(&text, i ? x->w->between : "");
        write_call(x->w->frame, json_object_get(json_array_get(calls, i), "function"), &text);
    }
    json_object_set_new(m, "content", json_stringn(text.p ? text.p : "", text.n));
    json_object_del(m, "tool_calls");
}

/* What a tool answered is said by the user; answers that follow each other are one message. */
static maas_status add_response(writer *x, const json_t *m, bool answer, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(MAX_TEXT);
    const json_t *content = json_object_get(m, "content");
    const size_t n = json_array_size(x->out);
    json_t *last = n ? json_array_get(x->out, n - 1) : NULL;
    const json_t *before = json_object_get(last, "content");
    const bool append = x->after_answers;
    if (append)
        maas_buf_add(&text, json_string_value(before), json_string_length(before));
    maas_buf_str(&text, append ? "\n" : "");
    maas_buf_str(&text, answer ? "<tool_response>" : "");
    maas_buf_add(&text, json_string_value(content), json_string_length(content));
    maas_buf_str(&text, answer ? "</tool_response>" : "");
    json_t *made = with_text("user", &text);
    if (!made)
        return maas_fail(err, MAAS_E_TOO_LARGE, "the answers of tools are too long");
    x->after_answers = answer;
    if (append)
        json_array_set_new(x->out, n - 1, made);
    else
        json_array_append_new(x->out, made);
    return MAAS_OK;
}

static void describe(const json_t *tools, maas_buf *out)
{
    maas_buf_str(out, "You can call functions. To call one, write a line of this form and nothing "
                      "after it:\n"
                      "<tool_call>{\"name\": the name of the function, \"arguments\": an object "
                      "that fits its parameters}</tool_call>\n"
                      "You then get what it returns in <tool_response></tool_response>. Functions, "
                      "one a line:\n");
    for (size_t i = 0; i < json_array_size(tools); i++) {
        maas_json_dump(json_object_get(json_array_get(tools, i), "function"), out);
        maas_buf_char(out, '\n');
    }
}

/* The tools go before what the system says, or, where there is no system, the first message. */
static maas_status describe_tools(writer *x, const json_t *tools, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(MAX_TEXT);
    json_t *first = json_array_get(x->out, 0);
    const char *role = json_string_value(json_object_get(first, "role"));
    const bool system = role && (strcmp(role, "system") == 0 || strcmp(role, "developer") == 0);
    const bool append = system || !x->w->system;
    describe(tools, &text);
    if (append) {
        const json_t *content = json_object_get(first, "content");
        maas_buf_char(&text, '\n');
        maas_buf_add(&text, json_string_value(content), json_string_length(content));
    }
    json_t *made = with_text(append && role ? role : "system", &text);
    if (!made)
        return maas_fail(err, MAAS_E_TOO_LARGE, "the description of the tools is too long");
    if (append)
        json_array_set_new(x->out, 0, made);
    else
        json_array_insert_new(x->out, 0, made);
    return MAAS_OK;
}

/* ---- a message ---- */

static maas_status add_message(writer *x, const json_t *message, maas_err *err)
{
    const char *role = json_string_value(json_object_get(message, "role"));
    if (!json_is_object(message) || !role)
        return maas_fail(err, MAAS_E_INVALID, "a message needs a 'role'");
    AUTO(maas_json_unref) json_t *m = json_copy((json_t *)(uintptr_t)message);
    if (!m)
        return maas_fail(err, MAAS_E_NOMEM, "a message");
    MAAS_TRY(plain_content(m, err));
    MAAS_TRY(plain_calls(x, m, err));
    const bool answer = strcmp(role, "tool") == 0;
    if (answer)
        find_call(x, m);
    if (!x->w->calls && (answer || (x->after_answers && strcmp(role, "user") == 0)))
        return add_response(x, m, answer, err);
    x->after_answers = false;
    if (!x->w->calls && json_object_get(m, "tool_calls"))
        write_calls(x, m);
    return json_array_append(x->out, m) == 0 ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "a message");
}

maas_status maas_chat_messages(const maas_chat_ways *w, const json_t *messages, const json_t *tools,
                               json_t *out, maas_err *err)
{
    AUTO(maas_json_unref) json_t *names = json_object();
    AUTO(maas_json_unref) json_t *open = json_array();
    writer x = {.w = w, .out = out, .names = names, .open = open};
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const maas_status st = add_message(&x, json_array_get(messages, i), err);
        if (st != MAAS_OK) {
            maas_err_prefix(err, "messages[%zu]", i);
            return st;
        }
    }
    return json_array_size(tools) && !w->tools ? describe_tools(&x, tools, err) : MAAS_OK;
}
