/* api/talk_tools.c - the tools of a request: checked, and in the one form that templates know. */
#include "api/talk_format.h"
#include "api/talk_int.h"

#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

enum { MAX_TOOLS = 128, MAX_FORCED = 16 /* calls in one answer */ };

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

/* ---- a call that must be: its frame around what the tool's schema allows ---- */

typedef struct frame {
    maas_arena *a;
    const char *text, *thought; /* lm/said.h; what ends the reasoning that the prompt began */
    bool any;                   /* arguments are any object: a schema is not understood */
    maas_grammar_part *parts;
    uint32_t n;
} frame;

static bool add_text(frame *f, const char *p, size_t n)
{
    const char *copy = maas_arena_strndup(f->a, p, n);
    if (copy && n)
        f->parts[f->n++] = (maas_grammar_part){.kind = MAAS_GRAMMAR_TEXT, .text = {copy, n}};
    return copy;
}

static bool add_frame(frame *f, const json_t *function)
{
    const char *name = json_string_value(json_object_get(function, "name"));
    const json_t *schema = json_object_get(function, "parameters");
    const char *arguments = strchr(f->text, '\2'), *at = strchr(f->text, '\1');
    maas_buf before = MAAS_BUF_IN(f->a, (size_t)1 << 16);
    maas_buf_str(&before, f->thought);
    maas_buf_add(&before, f->text, (size_t)(at - f->text));
    maas_buf_str(&before, name);
    maas_buf_add(&before, at + 1, (size_t)(arguments - at - 1));
    if (f->n)
        f->parts[f->n++] = (maas_grammar_part){.kind = MAAS_GRAMMAR_OR};
    if (before.failed || !add_text(f, before.p, before.n))
        return false;
    f->parts[f->n++] = (maas_grammar_part){.kind = f->any ? MAAS_GRAMMAR_JSON : MAAS_GRAMMAR_SCHEMA,
                                           .json = schema};
    return add_text(f, arguments + 1, strlen(arguments + 1));
}

static maas_status constrain(maas_talk *t, frame *f, const char *between, maas_err *err)
{
    const maas_tokenizer *k = maas_lm_service_tokenizer(t->service);
    int32_t control[MAAS_SAID_MARKERS];
    uint32_t n_control = 0;
    f->n = 0;
    for (size_t i = 0; i < json_array_size(t->tools); i++) {
        const json_t *function = json_object_get(json_array_get(t->tools, i), "function");
        const char *name = json_string_value(json_object_get(function, "name"));
        if (t->must_name && strcmp(t->must_name, name) != 0)
            continue;
        if (!add_frame(f, function))
            return maas_fail(err, MAAS_E_NOMEM, "memory for 'tools'");
    }
    for (uint32_t i = 0; i < t->style->n; i++)
        if (t->style->markers[i].control)
            control[n_control++] = maas_tokenizer_find(k, t->style->markers[i].text);
    const maas_grammar_spec spec = {.parts = f->parts,
                                    .n_parts = f->n,
                                    .max_times = t->one_call || *f->thought ? 1 : MAX_FORCED,
                                    .between = {between, strlen(between)},
                                    .control = control,
                                    .n_control = n_control};
    return maas_talk_constrain(t, &spec, err);
}

/* The end of a thought that the prompt began, for the call comes at once. */
static const char *end_of_thought(const maas_talk *t)
{
    for (uint32_t i = 0; t->in_thought && i < t->style->n; i++)
        if (t->style->markers[i].role == MAAS_SAID_THOUGHT)
            return t->style->markers[i].text.p;
    return "";
}

static bool any_strict(const maas_talk *t)
{
    for (size_t i = 0; i < json_array_size(t->tools); i++)
        if (json_is_true(json_object_get(json_object_get(json_array_get(t->tools, i), "function"),
                                         "strict")))
            return true;
    return false;
}

maas_status maas_talk_force(maas_talk *t, maas_err *err)
{
    const char *between;
    maas_err first = {0};
    if (!t->must_call || !t->tools)
        return MAAS_OK;
    if (!maas_said_frame(t->style, &between)) { /* the family writes no JSON: then as any model */
        t->own_style = *t->style;
        maas_said_style_plain(maas_lm_service_tokenizer(t->service), &t->own_style);
        t->style = &t->own_style;
    }
    frame f = {.a = maas_req_arena(t->req),
               .text = maas_said_frame(t->style, &between),
               .thought = end_of_thought(t)};
    f.parts = maas_arena_array(f.a, 4 * json_array_size(t->tools), sizeof *f.parts);
    if (!f.parts)
        return maas_fail(err, MAAS_E_NOMEM, "memory for 'tools'");
    if (constrain(t, &f, between, &first) == MAAS_OK)
        return MAAS_OK;
    f.any = !any_strict(t);
    if (f.any)
        return constrain(t, &f, between, err);
    return maas_fail(err, first.code, "'tools' that are strict: %s", first.msg);
}
