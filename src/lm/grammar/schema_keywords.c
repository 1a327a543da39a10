/* lm/grammar/schema_keywords.c - the keywords of schemas: a row each. */
#include <math.h>
#include <string.h>

#include "lm/grammar/schema_int.h"
#include "base/ban.h"

/* ---- what a value may be ---- */

static const char *a_number(const json_t *v)
{
    return json_is_number(v) && isfinite(json_number_value(v)) ? NULL : "must be a number";
}
static const char *a_count(const json_t *v)
{
    const double x = json_number_value(v);
    return json_is_number(v) && x >= 0 && x == floor(x) && x <= 1e15 ? NULL
                                                                     : "must be a whole number, "
                                                                       "0 or more";
}
static const char *a_text(const json_t *v)
{
    return json_is_string(v) ? NULL : "must be a text";
}
static const char *an_object(const json_t *v)
{
    return json_is_object(v) ? NULL : "must be an object";
}
static const char *some(const json_t *v)
{
    return json_array_size(v) ? NULL : "must be a list of at least one";
}
static const char *a_schema(const json_t *v)
{
    return json_is_object(v) || json_is_boolean(v) ? NULL : "must be a schema";
}
static const char *one_schema(const json_t *v)
{
    return json_is_array(v) ? "as a list is not known: use prefixItems" : a_schema(v);
}
static const char *texts(const json_t *v)
{
    size_t i;
    json_t *x;
    if (!json_is_array(v))
        return "must be a list of texts";
    json_array_foreach(v, i, x) if (!json_is_string(x)) return "must be a list of texts";
    return NULL;
}
static const char *types(const json_t *v)
{
    return schema_type_bits(v)
               ? NULL
               : "must be null, boolean, integer, number, string, array, object, or "
                 "a list of those";
}

/* ---- two of them ---- */

static json_t *larger(const json_t *a, const json_t *b)
{
    return json_incref(schema_mutable(json_number_value(a) >= json_number_value(b) ? a : b));
}
static json_t *smaller(const json_t *a, const json_t *b)
{
    return json_incref(schema_mutable(json_number_value(a) <= json_number_value(b) ? a : b));
}
static json_t *equal(const json_t *a, const json_t *b)
{
    return json_equal(a, b) ? json_incref(schema_mutable(a)) : NULL;
}
static json_t *both_texts(const json_t *a, const json_t *b)
{
    json_t *all = json_array();
    json_array_extend(all, schema_mutable(a));
    json_array_extend(all, schema_mutable(b));
    return all;
}
static json_t *common(const json_t *a, const json_t *b)
{
    json_t *x, *y;
    size_t i, k;
    if (json_array_size(a) * json_array_size(b) > SCHEMA_MAX_PAIRS)
        return NULL;
    json_t *all = json_array();
    json_array_foreach(a, i, x)
    {
        bool in = false;
        json_array_foreach(b, k, y) in = in || json_equal(x, y);
        if (in)
            json_array_append(all, x);
    }
    return all;
}
static json_t *common_types(const json_t *a, const json_t *b)
{
    unsigned x = schema_type_bits(a), y = schema_type_bits(b);
    x |= x & SCHEMA_NUMBER ? SCHEMA_INTEGER : 0;
    y |= y & SCHEMA_NUMBER ? SCHEMA_INTEGER : 0;
    return schema_type_names(x & y);
}

/* ---- the table ---- */

enum { NUMBERS = SCHEMA_INTEGER | SCHEMA_NUMBER };
static const schema_keyword keywords[] = {
    {"$ref", SCHEMA_COMBINES, 0, a_text, NULL},
    {"allOf", SCHEMA_COMBINES, 0, some, NULL},
    {"anyOf", SCHEMA_COMBINES, 0, some, NULL},
    {"oneOf", SCHEMA_COMBINES, 0, some, NULL},
    {"type", SCHEMA_HOLDS, 0, types, common_types},
    {"enum", SCHEMA_HOLDS, 0, some, common},
    {"const", SCHEMA_HOLDS, 0, NULL, equal},
    {"properties", SCHEMA_HOLDS, SCHEMA_OBJECT, an_object, NULL}, /* see schema_merge.c */
    {"additionalProperties", SCHEMA_HOLDS, SCHEMA_OBJECT, a_schema, NULL},
    {"required", SCHEMA_HOLDS, SCHEMA_OBJECT, texts, both_texts},
    {"items", SCHEMA_HOLDS, SCHEMA_ARRAY, one_schema, NULL},
    {"prefixItems", SCHEMA_HOLDS, SCHEMA_ARRAY, some, NULL},
    {"minItems", SCHEMA_HOLDS, SCHEMA_ARRAY, a_count, larger},
    {"maxItems", SCHEMA_HOLDS, SCHEMA_ARRAY, a_count, smaller},
    {"minLength", SCHEMA_HOLDS, SCHEMA_STRING, a_count, larger},
    {"maxLength", SCHEMA_HOLDS, SCHEMA_STRING, a_count, smaller},
    {"pattern", SCHEMA_HOLDS, SCHEMA_STRING, a_text, equal},
    {"format", SCHEMA_HOLDS, SCHEMA_STRING, a_text, equal},
    {"minimum", SCHEMA_HOLDS, NUMBERS, a_number, larger},
    {"maximum", SCHEMA_HOLDS, NUMBERS, a_number, smaller},
    {"exclusiveMinimum", SCHEMA_HOLDS, NUMBERS, a_number, larger},
    {"exclusiveMaximum", SCHEMA_HOLDS, NUMBERS, a_number, smaller},
    {"$defs", SCHEMA_IGNORED, 0, NULL, NULL},
    {"definitions", SCHEMA_IGNORED, 0, NULL, NULL},
    {"title", SCHEMA_IGNORED, 0, NULL, NULL},
    {"description", SCHEMA_IGNORED, 0, NULL, NULL},
    {"default", SCHEMA_IGNORED, 0, NULL, NULL},
    {"example", SCHEMA_IGNORED, 0, NULL, NULL},
    {"examples", SCHEMA_IGNORED, 0, NULL, NULL},
    {"deprecated", SCHEMA_IGNORED, 0, NULL, NULL},
    {"readOnly", SCHEMA_IGNORED, 0, NULL, NULL},
    {"writeOnly", SCHEMA_IGNORED, 0, NULL, NULL},
    {"discriminator", SCHEMA_IGNORED, 0, NULL, NULL},
    {"$schema", SCHEMA_IGNORED, 0, NULL, NULL},
    {"$id", SCHEMA_IGNORED, 0, NULL, NULL},
    {"$comment", SCHEMA_IGNORED, 0, NULL, NULL},
};

const schema_keyword *schema_keyword_of(const char *name)
{
    for (size_t i = 0; i < MAAS_COUNT(keywords); i++)
        if (strcmp(keywords[i].name, name) == 0)
            return &keywords[i];
    return NULL;
}

const char *maas_grammar_schema_keyword(size_t i)
{
    return i < MAAS_COUNT(keywords) ? keywords[i].name : NULL;
}
