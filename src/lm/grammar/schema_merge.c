/*
 * lm/grammar/schema_merge.c - schemas that a value must fit at once become one; what has
 * alternatives beside other keywords becomes the list of all that may be meant.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "lm/grammar/schema_int.h"
#include "base/ban.h"

enum { MAX_APART = 8 }; /* objects in objects that are looked into for a difference */

/* ---- two flat schemas ---- */

/* Both, where NULL is anything. A new reference; NULL: anything. */
static json_t *both(const json_t *x, const json_t *y)
{
    if (!x || !y || json_is_true(x) || json_is_true(y)) {
        const json_t *one = !x || json_is_true(x) ? y : x;
        return json_incref(schema_mutable(one ? one : x));
    }
    if (json_is_false(x) || json_is_false(y))
        return json_false();
    return json_equal(x, y) ? json_incref(schema_mutable(x))
                            : json_pack("{s:[O,O]}", "allOf", x, y);
}

static void set_both(json_t *to, const char *key, const json_t *x, const json_t *y)
{
    json_t *v = both(x, y);
    json_object_set_new(to, key, v ? v : json_true());
}

static void merge_properties(json_t *out, const json_t *a, const json_t *b)
{
    const json_t *pa = json_object_get(a, "properties"), *pb = json_object_get(b, "properties");
    const json_t *aa = json_object_get(a, "additionalProperties");
    const json_t *ab = json_object_get(b, "additionalProperties");
    const char *key;
    json_t *v;
    if (pa || pb) {
        json_t *all = json_object();
        json_object_foreach(schema_mutable(pa), key, v)
        {
            const json_t *other = json_object_get(pb, key);
            set_both(all, key, v, other ? other : ab);
        }
        json_object_foreach(schema_mutable(pb), key, v) if (!json_object_get(all, key))
            set_both(all, key, v, aa);
        json_object_set_new(out, "properties", all);
    }
    if (aa || ab)
        set_both(out, "additionalProperties", aa, ab);
}

static const json_t *item_at(const json_t *flat, size_t i)
{
    const json_t *prefix = json_array_get(json_object_get(flat, "prefixItems"), i);
    return prefix ? prefix : json_object_get(flat, "items");
}

static void merge_items(json_t *out, const json_t *a, const json_t *b)
{
    const json_t *ia = json_object_get(a, "items"), *ib = json_object_get(b, "items");
    const size_t na = json_array_size(json_object_get(a, "prefixItems"));
    const size_t nb = json_array_size(json_object_get(b, "prefixItems"));
    if (na || nb) {
        json_t *all = json_array();
        for (size_t i = 0; i < na || i < nb; i++) {
            json_t *v = both(item_at(a, i), item_at(b, i));
            json_array_append_new(all, v ? v : json_true());
        }
        json_object_set_new(out, "prefixItems", all);
    }
    if (ia || ib)
        set_both(out, "items", ia, ib);
}

/* Only what is seen at once: the rest is found when the program is made. */
static bool is_empty(const json_t *flat)
{
    const json_t *type = json_object_get(flat, "type"), *values = json_object_get(flat, "enum");
    return (type && !schema_type_bits(type)) || (values && !json_array_size(values));
}

/* A new reference; NULL: nothing fits both, or it failed. */
static json_t *merge(schema_maker *s, const json_t *a, const json_t *b)
{
    json_t *out = schema_work(s) ? json_copy(schema_mutable(a)) : NULL;
    const char *key;
    json_t *v;
    json_object_foreach(schema_mutable(b), key, v)
    {
        const schema_keyword *k = schema_keyword_of(key);
        const json_t *mine = json_object_get(a, key);
        json_t *one = !mine ? json_incref(v) : k->merge ? k->merge(mine, v) : NULL;
        if (one)
            json_object_set_new(out, key, one);
        else if (k->merge)
            schema_fail(s, MAAS_E_UNSUPPORTED, "'%s' is asked for twice, and differently", key);
    }
    if (out) {
        merge_properties(out, a, b);
        merge_items(out, a, b);
    }
    if (out && schema_ok(s) && !is_empty(out))
        return out;
    json_decref(out);
    return NULL;
}

/* ---- lists of flat schemas ---- */

static json_t *product(schema_maker *s, json_t *all, json_t *more)
{
    json_t *out = schema_own(s, json_array()), *x, *y;
    size_t i, k;
    json_array_foreach(all, i, x)
    {
        json_array_foreach(more, k, y)
        {
            json_t *one = schema_ok(s) ? merge(s, x, y) : NULL;
            if (one)
                json_array_append_new(out, one);
            if (json_array_size(out) > SCHEMA_MAX_ALTERNATIVES)
                schema_fail(s, MAAS_E_TOO_LARGE, "alternatives beside alternatives: more than %d",
                            SCHEMA_MAX_ALTERNATIVES);
        }
    }
    return out;
}

/* The keywords that hold by themselves; const is an enum of one. */
static json_t *base_of(schema_maker *s, const json_t *schema)
{
    json_t *base = schema_own(s, json_object());
    const char *key;
    json_t *v;
    json_object_foreach(schema_mutable(schema), key, v)
    {
        const schema_keyword *k = schema_keyword_of(key);
        if (k && k->role == SCHEMA_HOLDS && strcmp(key, "const") != 0)
            json_object_set(base, key, v);
    }
    const json_t *is = json_object_get(schema, "const");
    if (is) {
        json_t *one = json_pack("[O]", is), *values = json_object_get(base, "enum");
        json_t *few = values ? schema_keyword_of("enum")->merge(values, one) : json_incref(one);
        json_object_set_new(base, "enum", few);
        json_decref(one);
    }
    return base;
}

static void refuse_overlap(schema_maker *s, const json_t *members)
{
    size_t i;
    json_t *v;
    json_array_foreach(members, i, v)
    {
        for (size_t k = 0; k < i && schema_ok(s); k++)
            if (!schema_apart(s, json_array_get(members, k), v))
                schema_fail(
                    s, MAAS_E_UNSUPPORTED,
                    "what fits number %zu of oneOf may fit number %zu, too: use anyOf, or a "
                    "required property whose const tells them apart",
                    k, i);
    }
}

static json_t *expand_all(schema_maker *s, const json_t *members)
{
    json_t *out = schema_own(s, json_array()), *v;
    size_t i;
    json_array_foreach(members, i, v) json_array_extend(out, schema_expand(s, v));
    return out;
}

static json_t *expand_object(schema_maker *s, const json_t *schema)
{
    json_t *all = schema_own(s, json_array()), *v;
    const char *ref = json_string_value(json_object_get(schema, "$ref"));
    const json_t *any = json_object_get(schema, "anyOf"), *one = json_object_get(schema, "oneOf");
    const json_t *target = ref ? schema_target(s, ref) : NULL;
    size_t i;
    json_t *base = base_of(s, schema);
    if (!is_empty(base))
        json_array_append(all, base);
    if (target)
        all = product(s, all, schema_expand(s, target));
    json_array_foreach(json_object_get(schema, "allOf"), i, v)
        all = product(s, all, schema_expand(s, v));
    if (any)
        all = product(s, all, expand_all(s, any));
    if (one)
        refuse_overlap(s, one);
    if (one)
        all = product(s, all, expand_all(s, one));
    return all;
}

json_t *schema_expand(schema_maker *s, const json_t *schema)
{
    json_t *out = NULL;
    if (!schema_ok(s) || !schema_check(s, schema))
        return schema_own(s, json_array());
    if (json_is_boolean(schema))
        return schema_own(s, json_is_true(schema) ? json_pack("[{}]") : json_array());
    if (++s->depth > SCHEMA_MAX_DEPTH)
        schema_fail(s, MAAS_E_TOO_LARGE, "it is more than %d deep, or goes in a circle of $ref",
                    SCHEMA_MAX_DEPTH);
    else
        out = expand_object(s, schema);
    s->depth--;
    return out ? out : schema_own(s, json_array());
}

/* ---- no value fits both ---- */

static bool apart(schema_maker *s, const json_t *a, const json_t *b, int depth);

static unsigned wide(unsigned types)
{
    return types & SCHEMA_INTEGER ? types | SCHEMA_NUMBER : types;
}

/* No value that a lists fits b. */
static bool values_apart(const json_t *a, const json_t *b)
{
    const json_t *values = json_object_get(a, "enum"), *others = json_object_get(b, "enum");
    const unsigned types = schema_types(b);
    size_t i, k;
    json_t *v, *x;
    if (!values || json_array_size(values) * json_array_size(others) > SCHEMA_MAX_PAIRS)
        return false;
    json_array_foreach(values, i, v)
    {
        bool in = !types || (types & schema_type_of(v));
        bool found = !others;
        json_array_foreach(others, k, x) found = found || json_equal(x, v);
        if (in && found)
            return false;
    }
    return true;
}

static bool ranges_apart(const json_t *a, const json_t *b)
{
    const json_t *min = json_object_get(a, "minimum"), *max = json_object_get(b, "maximum");
    return min && max && json_number_value(min) > json_number_value(max);
}

static json_t *set_of(const json_t *texts)
{
    json_t *set = json_object(), *v;
    size_t i;
    json_array_foreach(texts, i, v) json_object_set_new(set, json_string_value(v), json_true());
    return set;
}

/* No object that is written for a has all that b asks for: what a does not name is not written. */
static bool lacks(const json_t *a, const json_t *b)
{
    const json_t *mine = json_object_get(a, "properties");
    const json_t *more = json_object_get(a, "additionalProperties");
    const json_t *theirs = json_object_get(b, "properties");
    size_t i;
    json_t *v;
    if (mine && (!more || json_is_false(more)))
        json_array_foreach(json_object_get(b, "required"), i,
                           v) if (!json_object_get(mine, json_string_value(v))) return true;
    if (json_is_false(json_object_get(b, "additionalProperties")))
        json_array_foreach(json_object_get(a, "required"), i,
                           v) if (!json_object_get(theirs, json_string_value(v))) return true;
    return false;
}

static bool objects_apart(schema_maker *s, const json_t *a, const json_t *b, int depth)
{
    const json_t *theirs = json_object_get(b, "properties");
    AUTO(maas_json_unref) json_t *in_a = set_of(json_object_get(a, "required"));
    AUTO(maas_json_unref) json_t *in_b = set_of(json_object_get(b, "required"));
    const char *key;
    json_t *v;
    json_object_foreach(json_object_get(a, "properties"), key, v)
    {
        const json_t *other = json_object_get(theirs, key);
        if (other && json_object_get(in_a, key) && json_object_get(in_b, key) &&
            apart(s, v, other, depth + 1))
            return true;
    }
    return lacks(a, b) && lacks(b, a);
}

static bool flats_apart(schema_maker *s, const json_t *a, const json_t *b, int depth)
{
    const unsigned x = wide(schema_types(a)), y = wide(schema_types(b));
    const bool same_kind = x && y && !((x | y) & ~(unsigned)(SCHEMA_INTEGER | SCHEMA_NUMBER));
    if ((x && y && !(x & y)) || values_apart(a, b) || values_apart(b, a))
        return true;
    if (same_kind && (ranges_apart(a, b) || ranges_apart(b, a)))
        return true;
    return x == SCHEMA_OBJECT && y == SCHEMA_OBJECT && objects_apart(s, a, b, depth);
}

static bool apart(schema_maker *s, const json_t *a, const json_t *b, int depth)
{
    size_t i, k;
    json_t *x, *y;
    if (depth > MAX_APART)
        return false;
    json_t *all = schema_expand(s, a), *others = schema_expand(s, b);
    json_array_foreach(all, i, x)
    {
        json_array_foreach(others, k,
                           y) if (!schema_work(s) || !flats_apart(s, x, y, depth)) return false;
    }
    return true;
}

bool schema_apart(schema_maker *s, const json_t *a, const json_t *b)
{
    return apart(s, a, b, 0);
}
