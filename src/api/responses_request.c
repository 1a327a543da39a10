/* api/responses_request.c - the items of the Responses API as messages: a thought, a text and calls
 * that follow each other are one message of the assistant. */
#include <string.h>

#include "api/responses_int.h"
#include "base/mem.h"
#include "base/ban.h"

maas_status maas_responses_tools(json_t *tools, json_t **out, maas_err *err)
{
    AUTO(maas_json_unref) json_t *all = json_array();
    if (!tools || json_is_null(tools))
        return MAAS_OK;
    if (!json_is_array(tools))
        return maas_fail(err, MAAS_E_INVALID, "'tools' must be a list");
    for (size_t i = 0; i < json_array_size(tools); i++) {
        json_t *tool = json_array_get(tools, i);
        const char *type = json_string_value(json_object_get(tool, "type"));
        if (!type || strcmp(type, "function") != 0)
            return maas_fail(err, MAAS_E_INVALID,
                             "'tools[%zu]' is of type '%.40s'; functions alone are called", i,
                             type ? type : "?");
        json_t *f = json_copy(tool);
        json_object_del(f, "type");
        if (json_array_append_new(all, json_pack("{s:s, s:o}", "type", type, "function", f)))
            return maas_fail(err, MAAS_E_NOMEM, "memory for 'tools'");
    }
    *out = STEAL(all);
    return MAAS_OK;
}

/* The message of the assistant that is still open, or a new one. Borrowed. */
static json_t *assistant(json_t *all)
{
    json_t *last = json_array_get(all, json_array_size(all) - 1);
    const char *role = json_string_value(json_object_get(last, "role"));
    if (json_array_size(all) && role && strcmp(role, "assistant") == 0)
        return last;
    json_array_append_new(all, json_pack("{s:s}", "role", "assistant"));
    return json_array_get(all, json_array_size(all) - 1);
}

/* Parts get the names of the chat API: "input_text" and "output_text" are "text". */
static json_t *parts_of(const json_t *content)
{
    json_t *all = json_deep_copy(content);
    for (size_t i = 0; json_is_array(all) && i < json_array_size(all); i++) {
        json_t *part = json_array_get(all, i);
        const char *kind = json_string_value(json_object_get(part, "type"));
        if (kind && (strcmp(kind, "input_text") == 0 || strcmp(kind, "output_text") == 0))
            json_object_set_new(part, "type", json_string("text"));
    }
    return all;
}

static maas_status add_message(json_t *all, json_t *item, maas_err *err)
{
    json_t *content = json_object_get(item, "content");
    const char *role = json_string_value(json_object_get(item, "role"));
    json_t *last = NULL;
    if (role && strcmp(role, "assistant") == 0)
        last = assistant(all);
    if (last && !json_object_get(last, "content") && !json_object_get(last, "tool_calls")) {
        json_object_set_new(last, "content", parts_of(content));
        return MAAS_OK;
    }
    json_t *m = json_copy(item);
    json_object_set_new(m, "content", parts_of(content));
    json_object_del(m, "type");
    json_object_del(m, "id");
    json_object_del(m, "status");
    return json_array_append_new(all, m) == 0 ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "a message");
}

static maas_status add_call(json_t *all, json_t *item, maas_err *err)
{
    json_t *id = json_object_get(item, "call_id"), *name = json_object_get(item, "name");
    json_t *arguments = json_object_get(item, "arguments");
    if (!json_is_string(id) || !json_is_string(name) || !json_is_string(arguments))
        return maas_fail(err, MAAS_E_INVALID,
                         "a function_call needs 'call_id', 'name' and 'arguments'");
    json_t *m = assistant(all);
    if (!json_object_get(m, "tool_calls"))
        json_object_set_new(m, "tool_calls", json_array());
    json_array_append_new(json_object_get(m, "tool_calls"),
                          json_pack("{s:O, s:s, s:{s:O, s:O}}", "id", id, "type", "function",
                                    "function", "name", name, "arguments", arguments));
    return MAAS_OK;
}

static maas_status add_output(json_t *all, json_t *item, maas_err *err)
{
    json_t *id = json_object_get(item, "call_id"), *output = json_object_get(item, "output");
    if (!json_is_string(id) || !(json_is_string(output) || json_is_array(output)))
        return maas_fail(err, MAAS_E_INVALID,
                         "a function_call_output needs 'call_id' and 'output'");
    json_array_append_new(all, json_pack("{s:s, s:O, s:o}", "role", "tool", "tool_call_id", id,
                                         "content", parts_of(output)));
    return MAAS_OK;
}

static maas_status add_thought(json_t *all, json_t *item, maas_err *err)
{
    const json_t *content = json_object_get(item, "content");
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT((size_t)64 << 20);
    (void)err;
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *t = json_object_get(json_array_get(content, i), "text");
        if (json_is_string(t))
            maas_buf_add(&text, json_string_value(t), json_string_length(t));
    }
    if (text.n && !text.failed)
        json_object_set_new(assistant(all), "reasoning_content", json_stringn(text.p, text.n));
    return MAAS_OK;
}

static const struct {
    const char *type;
    maas_status (*add)(json_t *all, json_t *item, maas_err *err);
} kinds[] = {
    {"message", add_message},
    {"function_call", add_call},
    {"function_call_output", add_output},
    {"reasoning", add_thought},
};

static maas_status add_item(json_t *all, json_t *item, maas_err *err)
{
    const json_t *given = json_object_get(item, "type");
    const char *type = given ? json_string_value(given) : json_is_object(item) ? "message" : NULL;
    for (size_t i = 0; type && i < MAAS_COUNT(kinds); i++)
        if (strcmp(kinds[i].type, type) == 0)
            return kinds[i].add(all, item, err);
    return maas_fail(err, MAAS_E_INVALID,
                     "an item is of type '%.40s'; messages, calls of functions, their outputs and "
                     "reasoning are read",
                     type ? type : "?");
}

maas_status maas_responses_conversation(const json_t *body, json_t *all, maas_err *err)
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
    for (size_t i = 0; json_is_array(input) && i < json_array_size(input); i++) {
        const maas_status st = add_item(all, json_array_get(input, i), err);
        if (st != MAAS_OK) {
            maas_err_prefix(err, "input[%zu]", i);
            return st;
        }
    }
    return MAAS_OK;
}
