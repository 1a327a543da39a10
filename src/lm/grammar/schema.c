/* lm/grammar/schema.c - JSON schemas: references, types, values; see schema_int.h. */
#include "lm/grammar/schema_int.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "base/ban.h"

/* ---- where we are ---- */

const gram_node *schema_fail(schema_maker *s, maas_status st, const char *fmt, ...)
{
    char text[220];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    gram_fail(s->b, st, "%s", text);
    return gram_never(s->b);
}

static void put_pointer(maas_buf *b, const char *name)
{
    maas_buf_char(b, '/');
    for (; *name; name++)
        if (*name == '~' || *name == '/')
            maas_buf_str(b, *name == '~' ? "~0" : "~1");
        else
            maas_buf_char(b, *name);
}

size_t schema_enter(schema_maker *s, const char *key, const char *name)
{
    const size_t mark = s->path.n;
    put_pointer(&s->path, key);
    if (name)
        put_pointer(&s->path, name);
    return mark;
}

void schema_leave(schema_maker *s, size_t mark)
{
    s->path.n = mark < s->path.n ? mark : s->path.n;
    if (s->path.p)
        s->path.p[s->path.n] = 0;
}

bool schema_work(schema_maker *s)
{
    if (++s->work > SCHEMA_MAX_WORK)
        schema_fail(s, MAAS_E_TOO_LARGE, "it needs more than %d schemas to be combined",
                    SCHEMA_MAX_WORK);
    return schema_ok(s);
}

json_t *schema_own(schema_maker *s, json_t *made)
{
    if (!made || json_array_append_new(s->owned, made) != 0) {
        gram_fail(s->b, MAAS_E_NOMEM, "memory for a schema");
        return json_true();
    }
    return made;
}

const gram_node *schema_rule(schema_maker *s, const gram_node *x)
{
    if (!schema_ok(s) || x->kind == GRAM_RULE)
        return x;
    const uint32_t rule = gram_rule_add(s->b, (maas_str){"", 0});
    if (!schema_ok(s))
        return x;
    s->b->rules[rule].body = x;
    return gram_rule_use(s->b, rule);
}

/* ---- keywords ---- */

bool schema_check(schema_maker *s, const json_t *schema)
{
    const char *key;
    json_t *v;
    if (json_is_boolean(schema))
        return schema_work(s);
    if (!json_is_object(schema)) {
        schema_fail(s, MAAS_E_INVALID, "a schema must be an object, true or false");
        return false;
    }
    json_object_foreach(schema_mutable(schema), key, v)
    {
        const schema_keyword *k = schema_keyword_of(key);
        const char *why = k && k->check ? k->check(v) : NULL;
        if (k && !why)
            continue;
        const size_t mark = schema_enter(s, key, NULL);
        if (k)
            schema_fail(s, MAAS_E_INVALID, "'%.60s' %s", key, why);
        else
            schema_fail(s, MAAS_E_INVALID, "the keyword '%.60s' is not known", key);
        schema_leave(s, mark);
        return false;
    }
    return schema_work(s);
}

bool schema_is_only(const json_t *schema, const char *keyword, const char *other)
{
    const char *key;
    json_t *v;
    bool found = false;
    json_object_foreach(schema_mutable(schema), key, v)
    {
        const schema_keyword *k = schema_keyword_of(key);
        const bool is = strcmp(key, keyword) == 0 || (other && strcmp(key, other) == 0);
        if (!is && k && k->role != SCHEMA_IGNORED)
            return false;
        if (is && found)
            return false;
        found = found || is;
    }
    return found;
}

static const struct {
    const char *name;
    unsigned bit;
} type_names[] = {{"null", SCHEMA_NULL},       {"boolean", SCHEMA_BOOLEAN},
                  {"integer", SCHEMA_INTEGER}, {"number", SCHEMA_NUMBER},
                  {"string", SCHEMA_STRING},   {"array", SCHEMA_ARRAY},
                  {"object", SCHEMA_OBJECT}};

unsigned schema_type_bits(const json_t *type)
{
    unsigned all = 0;
    const size_t n = json_is_array(type) ? json_array_size(type) : 1;
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_is_array(type) ? json_array_get(type, i) : type);
        unsigned bit = 0;
        for (size_t k = 0; k < MAAS_COUNT(type_names) && name; k++)
            bit |= strcmp(name, type_names[k].name) == 0 ? type_names[k].bit : 0;
        if (!bit)
            return 0;
        all |= bit;
    }
    return all;
}

json_t *schema_type_names(unsigned bits)
{
    json_t *all = json_array();
    for (size_t k = 0; k < MAAS_COUNT(type_names); k++)
        if (bits & type_names[k].bit)
            json_array_append_new(all, json_string(type_names[k].name));
    return all;
}

unsigned schema_type_of(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_NULL:
        return SCHEMA_NULL;
    case JSON_TRUE:
    case JSON_FALSE:
        return SCHEMA_BOOLEAN;
    case JSON_INTEGER:
        return SCHEMA_INTEGER | SCHEMA_NUMBER;
    case JSON_REAL:
        return SCHEMA_NUMBER |
               (json_real_value(v) == floor(json_real_value(v)) ? SCHEMA_INTEGER : 0u);
    case JSON_STRING:
        return SCHEMA_STRING;
    case JSON_ARRAY:
        return SCHEMA_ARRAY;
    case JSON_OBJECT:
        break;
    }
    return SCHEMA_OBJECT;
}

/* As `type` says; without it, of what the other keywords speak. */
unsigned schema_types(const json_t *flat)
{
    const json_t *type = json_object_get(flat, "type");
    const char *key;
    json_t *v;
    unsigned all = 0;
    if (type)
        return schema_type_bits(type);
    json_object_foreach(schema_mutable(flat), key, v)
    {
        const schema_keyword *k = schema_keyword_of(key);
        all |= k && k->role == SCHEMA_HOLDS ? k->types : 0;
    }
    return all;
}

/* ---- references ---- */

static const json_t *step(const json_t *at, const char *part)
{
    int64_t i;
    if (json_is_array(at))
        return maas_parse_i64(part, &i) && i >= 0 ? json_array_get(at, (size_t)i) : NULL;
    return json_object_get(at, part);
}

/* The next part of a pointer, with its escapes undone; false: a bad one. */
static bool next_part(const char **p, maas_buf *out)
{
    gram_reading hex;
    uint32_t c;
    maas_buf_clear(out);
    for (++*p; **p && **p != '/'; ++*p) {
        if (**p == '~') {
            ++*p;
            if (**p != '0' && **p != '1')
                return false;
            maas_buf_char(out, **p == '0' ? '~' : '/');
        } else if (**p == '%') {
            hex = (gram_reading){*p + 1, strlen(*p + 1), 0};
            if (!gram_read_hex(&hex, 2, &c) || !c)
                return false;
            maas_buf_char(out, (char)c);
            *p += 2;
        } else {
            maas_buf_char(out, **p);
        }
    }
    maas_buf_char(out, 0);
    return !out->failed;
}

const json_t *schema_target(schema_maker *s, const char *ref)
{
    maas_buf part = MAAS_BUF_IN(s->b->a, GRAM_MAX_TEXT);
    const json_t *at = s->root;
    const char *p = ref + 1;
    if (*ref != '#' || (*p && *p != '/')) {
        schema_fail(s, MAAS_E_INVALID,
                    "$ref '%.100s': only places in the schema itself can be named, as #/$defs/name",
                    ref);
        return NULL;
    }
    while (at && *p)
        at = next_part(&p, &part) ? step(at, part.p) : NULL;
    if (!at)
        schema_fail(s, MAAS_E_INVALID, "$ref '%.100s': there is no such place", ref);
    return at;
}

static const gram_node *reference(schema_maker *s, const char *ref)
{
    const json_t *known = json_object_get(s->refs, ref);
    if (known)
        return gram_rule_use(s->b, (uint32_t)json_integer_value(known));
    if (!schema_target(s, ref))
        return gram_never(s->b);
    const char *name = maas_arena_strdup(s->b->a, ref);
    if (!name)
        return schema_fail(s, MAAS_E_NOMEM, "memory for a schema");
    const uint32_t rule = gram_rule_add(s->b, (maas_str){name, strlen(name)});
    if (json_object_set_new(s->refs, ref, json_integer(rule)) != 0 ||
        json_array_append_new(s->queue, json_string(ref)) != 0)
        return schema_fail(s, MAAS_E_NOMEM, "memory for a schema");
    return gram_rule_use(s->b, rule);
}

static void make_rules(schema_maker *s)
{
    for (size_t i = 0; i < json_array_size(s->queue) && schema_ok(s); i++) {
        const char *ref = json_string_value(json_array_get(s->queue, i));
        const uint32_t rule = (uint32_t)json_integer_value(json_object_get(s->refs, ref));
        schema_leave(s, 0);
        maas_buf_str(&s->path, ref + 1);
        const gram_node *body = schema_node(s, schema_target(s, ref));
        if (schema_ok(s))
            s->b->rules[rule].body = body;
    }
}

/* ---- values that are listed ---- */

static bool length_fits(const json_t *flat, const char *min, const char *max, double n)
{
    const json_t *a = json_object_get(flat, min), *z = json_object_get(flat, max);
    return (!a || n >= json_number_value(a)) && (!z || n <= json_number_value(z));
}

static double characters(const json_t *v)
{
    const char *p = json_string_value(v);
    double n = 0;
    for (size_t i = 0; i < json_string_length(v); i++)
        n += ((uint8_t)p[i] & 0xc0) != 0x80;
    return n;
}

/* Does a listed value fit what stands beside the list? */
static bool fits(const json_t *flat, const json_t *v)
{
    const json_t *type = json_object_get(flat, "type"), *is = json_object_get(flat, "const");
    if (type && !(schema_type_bits(type) & schema_type_of(v)))
        return false;
    if (is && !json_equal(is, v))
        return false;
    if (json_is_string(v))
        return length_fits(flat, "minLength", "maxLength", characters(v));
    if (json_is_array(v))
        return length_fits(flat, "minItems", "maxItems", (double)json_array_size(v));
    return !json_is_number(v) || schema_in_range(flat, json_number_value(v));
}

static const gram_node *listed(schema_maker *s, const json_t *flat, const json_t *values)
{
    static const char *const beside[] = {"pattern",  "format", "properties", "additionalProperties",
                                         "required", "items",  "prefixItems"};
    gram_list all = {0};
    size_t i;
    json_t *v;
    for (i = 0; i < MAAS_COUNT(beside); i++)
        if (json_object_get(flat, beside[i]))
            return schema_fail(s, MAAS_E_UNSUPPORTED,
                               "enum and const cannot stand beside '%s': list the values that fit",
                               beside[i]);
    json_array_foreach(values, i, v) if (fits(flat, v))
        gram_list_add(s->b, &all, gram_json_value(s->b, v));
    return gram_alt(s->b, all.at, all.n);
}

/* ---- a flat schema ---- */

static const gram_node *null_of(schema_maker *s, const json_t *flat)
{
    (void)flat;
    return gram_word(s->b, "null");
}
static const gram_node *boolean_of(schema_maker *s, const json_t *flat)
{
    (void)flat;
    return gram_alt2(s->b, gram_word(s->b, "true"), gram_word(s->b, "false"));
}
static const gram_node *integer_of(schema_maker *s, const json_t *flat)
{
    return schema_number(s, flat, true);
}
static const gram_node *number_of(schema_maker *s, const json_t *flat)
{
    return schema_number(s, flat, false);
}

static const gram_node *flat_node(schema_maker *s, const json_t *flat)
{
    static const struct {
        unsigned bit;
        const gram_node *(*make)(schema_maker *s, const json_t *flat);
    } of[] = {{SCHEMA_OBJECT, schema_object}, {SCHEMA_ARRAY, schema_array},
              {SCHEMA_STRING, schema_string}, {SCHEMA_NUMBER, number_of},
              {SCHEMA_INTEGER, integer_of},   {SCHEMA_BOOLEAN, boolean_of},
              {SCHEMA_NULL, null_of}};
    const json_t *is = json_object_get(flat, "const"), *listing = json_object_get(flat, "enum");
    unsigned types = schema_types(flat);
    gram_list all = {0};
    if (listing)
        return listed(s, flat, listing);
    if (is)
        return listed(s, flat, schema_own(s, json_pack("[O]", is)));
    if (!types)
        return json_object_get(flat, "type") ? gram_never(s->b) : gram_json_any(s->b);
    types &= types & SCHEMA_NUMBER ? ~(unsigned)SCHEMA_INTEGER : ~0u;
    for (size_t i = 0; i < MAAS_COUNT(of); i++)
        if (types & of[i].bit)
            gram_list_add(s->b, &all, of[i].make(s, flat));
    return gram_alt(s->b, all.at, all.n);
}

/* ---- any schema ---- */

/* Nothing but alternatives: each keeps its references. */
static const gram_node *alternatives(schema_maker *s, const json_t *schema)
{
    const json_t *any = json_object_get(schema, "anyOf"), *one = json_object_get(schema, "oneOf");
    const json_t *members = any ? any : one;
    gram_list all = {0};
    char index[24];
    size_t i;
    json_t *v;
    json_array_foreach(members, i, v)
    {
        snprintf(index, sizeof index, "%zu", i);
        const size_t mark = schema_enter(s, any ? "anyOf" : "oneOf", index);
        gram_list_add(s->b, &all, schema_node(s, v));
        for (size_t k = 0; one && k < i && schema_ok(s); k++)
            if (!schema_apart(s, json_array_get(members, k), v) && schema_ok(s))
                schema_fail(s, MAAS_E_UNSUPPORTED,
                            "what fits this may fit number %zu of oneOf, too: use anyOf, or a "
                            "required property whose const tells them apart",
                            k);
        schema_leave(s, mark);
        if (!schema_ok(s))
            break;
    }
    return gram_alt(s->b, all.at, all.n);
}

static const gram_node *combined(schema_maker *s, const json_t *schema)
{
    gram_list all = {0};
    size_t i;
    json_t *v, *flats = schema_expand(s, schema);
    json_array_foreach(flats, i, v)
    {
        if (!schema_ok(s))
            break;
        gram_list_add(s->b, &all, flat_node(s, v));
    }
    return gram_alt(s->b, all.at, all.n);
}

static bool is_flat(const json_t *schema)
{
    const char *key;
    json_t *v;
    json_object_foreach(schema_mutable(schema), key, v)
    {
        const schema_keyword *k = schema_keyword_of(key);
        if (k && k->role == SCHEMA_COMBINES)
            return false;
    }
    return true;
}

const gram_node *schema_node(schema_maker *s, const json_t *schema)
{
    const gram_node *x = gram_never(s->b);
    if (!schema_ok(s) || !schema_check(s, schema))
        return x;
    if (json_is_boolean(schema))
        return json_is_true(schema) ? gram_json_any(s->b) : x;
    if (++s->depth > SCHEMA_MAX_DEPTH)
        schema_fail(s, MAAS_E_TOO_LARGE, "it is more than %d deep", SCHEMA_MAX_DEPTH);
    else if (schema_is_only(schema, "$ref", NULL))
        x = reference(s, json_string_value(json_object_get(schema, "$ref")));
    else if (schema_is_only(schema, "anyOf", "oneOf"))
        x = alternatives(s, schema);
    else
        x = is_flat(schema) ? flat_node(s, schema) : combined(s, schema);
    s->depth--;
    return x;
}

const gram_node *gram_schema(gram_build *b, const json_t *schema)
{
    schema_maker s = {.b = b,
                      .root = schema,
                      .owned = json_array(),
                      .refs = json_object(),
                      .queue = json_array(),
                      .path = MAAS_BUF_IN(b->a, GRAM_MAX_TEXT)};
    if (!s.owned || !s.refs || !s.queue)
        gram_fail(b, MAAS_E_NOMEM, "memory for a schema");
    b->where = &s.path;
    const gram_node *x = schema_node(&s, schema);
    make_rules(&s);
    b->where = NULL;
    json_decref(s.owned);
    json_decref(s.refs);
    json_decref(s.queue);
    return x;
}
