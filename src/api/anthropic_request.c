/* api/anthropic_request.c - Anthropic's messages, whose content is blocks, as OpenAI's, where calls
 * and what tools answer stand beside it. */
#include <string.h>

#include "api/anthropic_int.h"
#include "base/mem.h"
#include "base/ban.h"

maas_status maas_anthropic_tools(json_t *tools, json_t **out, maas_err *err)
{
    AUTO(maas_json_unref) json_t *all = json_array();
    if (!tools || json_is_null(tools))
        return MAAS_OK;
    if (!json_is_array(tools))
        return maas_fail(err, MAAS_E_INVALID, "'tools' must be a list");
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *tool = json_array_get(tools, i);
        const char *type = json_string_value(json_object_get(tool, "type"));
        if (type && strcmp(type, "custom") != 0)
            return maas_fail(
                err, MAAS_E_INVALID,
                "'tools[%zu]' is of type '%.40s'; tools of the client alone are called", i, type);
        json_t *f = json_pack("{s:O?, s:O*, s:O?}", "name", json_object_get(tool, "name"),
                              "description", json_object_get(tool, "description"), "parameters",
                              json_object_get(tool, "input_schema"));
        if (json_array_append_new(all, json_pack("{s:s, s:o}", "type", "function", "function", f)))
            return maas_fail(err, MAAS_E_NOMEM, "memory for 'tools'");
    }
    *out = STEAL(all);
    return MAAS_OK;
}

/* A message on its way: what its blocks become. */
typedef struct turn {
    json_t *all;  /* the conversation */
    json_t *text; /* parts */
    json_t *calls;
    maas_buf thought;
} turn;

static maas_status add_text(turn *u, json_t *block, maas_err *err)
{
    if (!json_is_string(json_object_get(block, "text")))
        return maas_fail(err, MAAS_E_INVALID, "a block of text needs a 'text'");
    json_array_append(u->text, block);
    return MAAS_OK;
}

static maas_status add_thought(turn *u, json_t *block, maas_err *err)
{
    const json_t *text = json_object_get(block, "thinking");
    (void)err;
    if (json_is_string(text))
        maas_buf_add(&u->thought, json_string_value(text), json_string_length(text));
    return MAAS_OK;
}

static maas_status add_call(turn *u, json_t *block, maas_err *err)
{
    json_t *id = json_object_get(block, "id"), *name = json_object_get(block, "name");
    json_t *input = json_object_get(block, "input");
    if (!json_is_string(id) || !json_is_string(name) || !json_is_object(input))
        return maas_fail(err, MAAS_E_INVALID, "a block tool_use needs 'id', 'name' and 'input'");
    json_array_append_new(u->calls,
                          json_pack("{s:O, s:s, s:{s:O, s:O}}", "id", id, "type", "function",
                                    "function", "name", name, "arguments", input));
    return MAAS_OK;
}

static maas_status add_result(turn *u, json_t *block, maas_err *err)
{
    json_t *id = json_object_get(block, "tool_use_id");
    json_t *content = json_object_get(block, "content");
    if (!json_is_string(id))
        return maas_fail(err, MAAS_E_INVALID, "a block tool_result needs a 'tool_use_id'");
    json_array_append_new(u->all, json_pack("{s:s, s:O, s:O?}", "role", "tool", "tool_call_id", id,
                                            "content", content));
    return MAAS_OK;
}

static const struct {
    const char *type;
    maas_status (*add)(turn *u, json_t *block, maas_err *err);
} kinds[] = {
    {"text", add_text},     {"thinking", add_thought},   {"redacted_thinking", add_thought},
    {"tool_use", add_call}, {"tool_result", add_result},
};

static maas_status add_block(turn *u, json_t *block, maas_err *err)
{
    const char *type = json_string_value(json_object_get(block, "type"));
    for (size_t i = 0; type && i < MAAS_COUNT(kinds); i++)
        if (strcmp(kinds[i].type, type) == 0)
            return kinds[i].add(u, block, err);
    return maas_fail(err, MAAS_E_INVALID,
                     "a block of a message is of type '%.40s'; text, calls of tools, what they "
                     "answer and thoughts are read",
                     type ? type : "?");
}

/* What tools answered went before; the rest is a message of its own. */
static void end_turn(turn *u, const json_t *message)
{
    const bool calls = json_array_size(u->calls);
    if (!calls && !json_array_size(u->text) && !u->thought.n)
        return;
    json_t *m = json_pack("{s:O?}", "role", json_object_get(message, "role"));
    if (json_array_size(u->text) || !calls)
        json_object_set(m, "content", u->text);
    if (calls)
        json_object_set(m, "tool_calls", u->calls);
    if (u->thought.n)
        json_object_set_new(m, "reasoning_content", json_stringn(u->thought.p, u->thought.n));
    json_array_append_new(u->all, m);
}

static maas_status add_message(json_t *message, json_t *all, maas_err *err)
{
    json_t *content = json_object_get(message, "content");
    maas_status st = MAAS_OK;
    if (!json_is_array(content) || !json_array_size(content)) {
        json_array_append(all, message);
        return MAAS_OK;
    }
    turn u = {all, json_array(), json_array(), MAAS_BUF_INIT((size_t)64 << 20)};
    for (size_t i = 0; i < json_array_size(content) && st == MAAS_OK; i++)
        st = add_block(&u, json_array_get(content, i), err);
    if (st == MAAS_OK)
        end_turn(&u, message);
    json_decref(u.text);
    json_decref(u.calls);
    maas_buf_reset(&u.thought);
    return st;
}

maas_status maas_anthropic_conversation(const json_t *body, json_t *all, maas_err *err)
{
    json_t *system = json_object_get(body, "system"), *messages = json_object_get(body, "messages");
    if (system && !json_is_null(system))
        json_array_append_new(all, json_pack("{s:s, s:O}", "role", "system", "content", system));
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const maas_status st = add_message(json_array_get(messages, i), all, err);
        if (st != MAAS_OK) {
            maas_err_prefix(err, "messages[%zu]", i);
            return st;
        }
    }
    return MAAS_OK;
}
