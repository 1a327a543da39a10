#include "api/talk_format.h"

#include <string.h>

#include "base/ban.h"

enum { MAX_CHOICES = 4096 };

/* ---- readers: what a parameter says, as parts of a grammar ---- */

typedef struct format {
    maas_talk *t;
    const char *name; /* of the parameter that is read */
    maas_grammar_part *parts;
    uint32_t n;
    json_t *owned; /* a schema that came as text */
} format;

static maas_status one(format *f, maas_grammar_kind kind, const json_t *v, maas_err *err)
{
    f->parts = maas_arena_array(maas_req_arena(f->t->req), 1, sizeof *f->parts);
    if (!f->parts)
        return maas_fail(err, MAAS_E_NOMEM, "memory for '%s'", f->name);
    f->parts[0] = (maas_grammar_part){
        .kind = kind, .text = {json_string_value(v), json_string_length(v)}, .json = v};
    f->n = 1;
    return MAAS_OK;
}

static maas_status read_schema(format *f, const json_t *v, maas_err *err)
{
    if (json_is_string(v)) { /* vLLM takes the schema as a text, too */
        MAAS_TRY(maas_json_parse(maas_span_of(json_string_value(v), json_string_length(v)),
                                 &f->owned, err));
        v = f->owned;
    }
    if (!json_is_object(v) && !json_is_boolean(v))
        return maas_fail(err, MAAS_E_INVALID, "'%s' must be a JSON schema", f->name);
    return one(f, MAAS_GRAMMAR_SCHEMA, v, err);
}

static maas_status read_text(format *f, maas_grammar_kind kind, const json_t *v, maas_err *err)
{
    if (!json_is_string(v))
        return maas_fail(err, MAAS_E_INVALID, "'%s' must be a text", f->name);
    return json_string_length(v) ? one(f, kind, v, err) : MAAS_OK; /* none, as llama.cpp has it */
}

static maas_status read_gbnf(format *f, const json_t *v, maas_err *err)
{
    return read_text(f, MAAS_GRAMMAR_GBNF, v, err);
}

static maas_status read_regex(format *f, const json_t *v, maas_err *err)
{
    return read_text(f, MAAS_GRAMMAR_REGEX, v, err);
}

static maas_status read_choices(format *f, const json_t *v, maas_err *err)
{
    const size_t n = json_array_size(v);
    if (!n || n > MAX_CHOICES)
        return maas_fail(err, MAAS_E_INVALID, "'%s' must be a list of 1 to %d texts", f->name,
                         MAX_CHOICES);
    f->parts = maas_arena_array(maas_req_arena(f->t->req), 2 * n, sizeof *f->parts);
    if (!f->parts)
        return maas_fail(err, MAAS_E_NOMEM, "memory for '%s'", f->name);
    for (size_t i = 0; i < n; i++) {
        const json_t *x = json_array_get(v, i);
        if (!json_string_length(x))
            return maas_fail(err, MAAS_E_INVALID, "'%s' must be a list of texts", f->name);
        if (i)
            f->parts[f->n++] = (maas_grammar_part){.kind = MAAS_GRAMMAR_OR};
        f->parts[f->n++] = (maas_grammar_part){
            .kind = MAAS_GRAMMAR_TEXT, .text = {json_string_value(x), json_string_length(x)}};
    }
    return MAAS_OK;
}

static maas_status read_any(format *f, const json_t *v, maas_err *err)
{
    return one(f, MAAS_GRAMMAR_JSON, v, err);
}

/* "json", or a schema; nothing is said by "". */
static maas_status read_ollama(format *f, const json_t *v, maas_err *err)
{
    const char *word = json_string_value(v);
    if (word && !*word)
        return MAAS_OK;
    if (word && strcmp(word, "json") == 0)
        return read_any(f, v, err);
    if (word)
        return maas_fail(err, MAAS_E_INVALID, "'%s' must be \"json\" or a JSON schema", f->name);
    return read_schema(f, v, err);
}

/* {type, schema} of Responses and Anthropic, {type, json_schema: {schema}} of OpenAI. */
static maas_status read_typed(format *f, const json_t *v, maas_err *err)
{
    const char *type = json_string_value(json_object_get(v, "type"));
    const json_t *wrapped = json_object_get(v, "json_schema");
    const json_t *schema = json_object_get(wrapped ? wrapped : v, "schema");
    if (!type)
        return maas_fail(err, MAAS_E_INVALID, "'%s' must be an object with a 'type'", f->name);
    if (strcmp(type, "text") == 0)
        return MAAS_OK;
    if (strcmp(type, "json_object") == 0) /* llama.cpp: with a schema, too */
        return schema ? read_schema(f, schema, err) : read_any(f, v, err);
    if (strcmp(type, "json_schema") != 0)
        return maas_fail(err, MAAS_E_INVALID,
                         "'%s' of type '%.40s' is not known: text, json_object and json_schema are",
                         f->name, type);
    if (!schema)
        return maas_fail(err, MAAS_E_INVALID, "'%s' has no schema: it goes to %s", f->name,
                         wrapped ? "json_schema.schema" : "schema");
    return read_schema(f, schema, err);
}

/* ---- the table ---- */

static const struct row {
    const char *name; /* a key of the body, or a path of two */
    maas_status (*read)(format *f, const json_t *v, maas_err *err);
} rows[] = {
    {"response_format", read_typed}, {"text.format", read_typed},
    {"output_format", read_typed},   {"output_config.format", read_typed},
    {"format", read_ollama},         {"json_schema", read_schema},
    {"grammar", read_gbnf},          {"guided_json", read_schema},
    {"guided_regex", read_regex},    {"guided_choice", read_choices},
    {"guided_grammar", read_gbnf},
};

static const json_t *find(const json_t *body, const char *name)
{
    const char *point = strchr(name, '.');
    const json_t *v = point ? json_object_getn(body, name, (size_t)(point - name))
                            : json_object_get(body, name);
    v = point ? json_object_get(v, point + 1) : v;
    return json_is_null(v) ? NULL : v;
}

bool maas_talk_is_constrained(const maas_talk *t)
{
    return t->format.n > 0;
}

maas_status maas_talk_constrain(maas_talk *t, const maas_grammar_spec *spec, maas_err *err)
{
    maas_grammar *g;
    maas_status st = maas_lm_service_grammar(t->service, spec, &g, err);
    if (st == MAAS_E_UNSUPPORTED || st == MAAS_E_TOO_LARGE)
        err->code = st = MAAS_E_INVALID; /* what the client asks for, not what it sends */
    MAAS_TRY(st);
    maas_grammar_unref(t->ask.grammar);
    t->ask.grammar = g;
    return MAAS_OK;
}

maas_status maas_talk_format(maas_talk *t, maas_err *err)
{
    format f = {.t = t};
    const char *first = NULL;
    maas_status st = MAAS_OK;
    for (size_t i = 0; i < MAAS_COUNT(rows) && st == MAAS_OK; i++) {
        const json_t *v = find(t->body, rows[i].name);
        if (!v)
            continue;
        const uint32_t before = f.n;
        f.name = rows[i].name;
        if (before && first)
            st = maas_fail(err, MAAS_E_INVALID, "of '%s' and '%s' only one can be asked for", first,
                           f.name);
        else
            st = rows[i].read(&f, v, err);
        first = f.n ? f.name : NULL;
    }
    t->format.name = first;
    t->format.parts = f.parts;
    t->format.n = f.n;
    t->format.owned = f.owned;
    if (st != MAAS_OK && first)
        maas_err_prefix(err, "'%s'", first);
    return st;
}
