/* api/talk_tools.c - the tools of a request: checked, and in the one form that templates know. */
#include "api/talk_format.h"

#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

enum { MAX_TOOLS = 128 };

static maas_status check_name(const json_t *name, size_t i, maas_err *err)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/";
    const char *s = json_string_value(name);
    const size_t n = json_string_length(name);
    if (!s || !n || n > MAAS_SAID_MAX_NAME || strspn(s, letters) != n)
        return maas_fail(err, MAAS_E_INVALID,
                         "'tools[%zu].function.name' must be 1 to %d letters, digits, '_', '-', "
                         "'.', ':' or '/'",
                         i, MAAS_SAID_MAX_NAME);
    return MAAS_OK;
}

static const json_t *tool_named(const json_t *tools, const char *name)
{
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *f = json_object_get(json_array_get(tools, i), "function");
        const char *s = json_string_value(json_object_get(f, "name"));
        if (s && strcmp(s, name) == 0)
            return f;
    }
    return NULL;
}

static maas_status add_tool(json_t *all, const json_t *tool, size_t i, maas_err *err)
{
    const char *type = json_string_value(json_object_get(tool, "type"));
    const json_t *f = json_object_get(tool, "function");
    const json_t *params = json_object_get(f, "parameters");
    if (!json_is_object(tool) || (type && strcmp(type, "function") != 0))
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "'tools[%zu]' is of type '%.40s'; functions alone are called", i,
                         type ? type : "?");
    if (!json_is_object(f))
        return maas_fail(err, MAAS_E_INVALID, "'tools[%zu].function' must be an object", i);
    MAAS_TRY(check_name(json_object_get(f, "name"), i, err));
    if (params && !json_is_null(params) && !json_is_object(params))
        return maas_fail(err, MAAS_E_INVALID,
                         "'tools[%zu].function.parameters' must be an object of JSON Schema", i);
    if (tool_named(all, json_string_value(json_object_get(f, "name"))))
        return maas_fail(err, MAAS_E_INVALID, "'tools[%zu]' has the name of one before", i);
    AUTO(maas_json_unref) json_t *copy = json_copy((json_t *)(uintptr_t)f);
    if (!json_is_object(params))
        json_object_set_new(copy, "parameters",
                            json_pack("{s:s, s:{}}", "type", "object", "properties"));
    if (json_array_append_new(all, json_pack("{s:s, s:O}", "type", "function", "function", copy)))
        return maas_fail(err, MAAS_E_NOMEM, "memory for 'tools'");
    return MAAS_OK;
}

/* What of the tools is to be used: none of them, those that the model likes, or one must be. */
static maas_status read_choice(maas_talk *t, const json_t *tools, const json_t *choice,
                               bool *out_none, maas_err *err)
{
    const char *how = json_string_value(choice);
    const json_t *name = json_object_get(json_object_get(choice, "function"), "name");
    *out_none = how && strcmp(how, "none") == 0;
    if (!choice || json_is_null(choice) || *out_none || (how && strcmp(how, "auto") == 0))
        return MAAS_OK;
    t->must_call = json_is_string(name) || (how && strcmp(how, "required") == 0);
    t->must_name = json_string_value(name);
    if (t->must_name && !tool_named(tools, t->must_name))
        return maas_fail(err, MAAS_E_INVALID,
                         "'tool_choice' names '%.60s', which is none of 'tools'", t->must_name);
    if (t->must_call && !json_array_size(tools))
        return maas_fail(err, MAAS_E_INVALID, "'tool_choice' without 'tools'");
    if (!t->must_call)
        return maas_fail(err, MAAS_E_INVALID,
                         "'tool_choice' must be none, auto, required or the name of a function");
    return MAAS_OK;
}

maas_status maas_talk_tools(maas_talk *t, const json_t *tools, const json_t *choice,
                            const json_t *parallel, maas_err *err)
{
    AUTO(maas_json_unref) json_t *all = json_array();
    bool none;
    if (tools && !json_is_null(tools) && !json_is_array(tools))
        return maas_fail(err, MAAS_E_INVALID, "'tools' must be a list");
    if (json_array_size(tools) > MAX_TOOLS)
        return maas_fail(err, MAAS_E_INVALID, "'tools' may have %d entries", MAX_TOOLS);
    if (parallel && !json_is_null(parallel) && !json_is_boolean(parallel))
        return maas_fail(err, MAAS_E_INVALID, "'parallel_tool_calls' must be true or false");
    for (size_t i = 0; i < json_array_size(tools); i++)
        MAAS_TRY(add_tool(all, json_array_get(tools, i), i, err));
    MAAS_TRY(read_choice(t, all, choice, &none, err));
    if (!json_array_size(all) || none)
        return MAAS_OK;
    if (maas_talk_is_constrained(t))
        return maas_fail(err, MAAS_E_INVALID,
                         "an answer has a format or calls 'tools': with a format, 'tool_choice' "
                         "must be none");
    t->one_call = json_is_false(parallel) || t->must_name;
    t->tools = STEAL(all);
    return MAAS_OK;
}
