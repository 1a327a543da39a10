/*
 * lm/grammar/schema_object.c - objects: their properties in the order of the schema, those that may
 * be missing or not, then others, where they are allowed, under names that the schema has not.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lm/grammar/schema_int.h"
#include "base/ban.h"

enum { MAX_OTHER_NAME = 1024 }; /* bytes of a name that other names must differ from */

typedef struct member {
    const gram_node *node; /* a rule: "name": value */
    bool required;
} member;

/* ---- names that are not among others ---- */

typedef struct names {
    schema_maker *s;
    maas_str *at; /* sorted */
} names;

static int by_bytes(const void *a, const void *b)
{
    const maas_str *x = a, *y = b;
    const int d = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);
    return d ? d : x->n < y->n ? -1 : x->n > y->n;
}

static const gram_node *characters(gram_build *b)
{
    return gram_repeat(b, gram_json_class(b, &(gram_range){0, GRAM_MAX_CODE}, 1), 0, GRAM_ENDLESS);
}

/* What may follow `depth` bytes that names from..to have in common, and is none of them. */
static const gram_node *others(const names *x, uint32_t from, uint32_t to, size_t depth)
{
    gram_build *b = x->s->b;
    gram_ranges taken = {0}, rest = {0};
    gram_list all = {0};
    if (!schema_work(x->s))
        return gram_never(b);
    if (x->at[from].n == depth)
        from++; /* this one itself: it may not end here */
    else
        gram_list_add(b, &all, gram_empty(b));
    for (uint32_t i = from, next; i < to && schema_ok(x->s); i = next) {
        gram_reading in = {x->at[i].p, x->at[i].n, depth};
        uint32_t c = 0;
        gram_read_char(&in, &c);
        for (next = i + 1;
             next < to && x->at[next].n >= in.at && memcmp(x->at[next].p, in.p, in.at) == 0;)
            next++;
        gram_ranges_add(b, &taken, c, c);
        const gram_node *head = gram_json_class(b, &(gram_range){c, c}, 1);
        gram_list_add(b, &all, gram_seq2(b, head, schema_rule(x->s, others(x, i, next, in.at))));
    }
    rest.at = schema_ok(x->s) ? maas_arena_array(b->a, taken.n + 1u, sizeof *rest.at) : NULL;
    if (!rest.at)
        return schema_fail(x->s, MAAS_E_NOMEM, "memory for a schema");
    taken.n = gram_ranges_tidy(taken.at, taken.n);
    rest.n = gram_ranges_rest(taken.at, taken.n, rest.at);
    gram_list_add(b, &all, gram_seq2(b, gram_json_class(b, rest.at, rest.n), characters(b)));
    return gram_alt(b, all.at, all.n);
}

static const gram_node *other_names(schema_maker *s, const json_t *properties)
{
    names x = {.s = s};
    const char *key;
    size_t len, n = 0;
    json_t *v;
    if (!json_object_size(properties))
        return gram_json_string(s->b, 0, GRAM_ENDLESS);
    x.at = maas_arena_array(s->b->a, json_object_size(properties), sizeof *x.at);
    if (!x.at)
        return schema_fail(s, MAAS_E_NOMEM, "memory for a schema");
    json_object_keylen_foreach(schema_mutable(properties), key, len, v)
    {
        if (len > MAX_OTHER_NAME)
            return schema_fail(s, MAAS_E_TOO_LARGE,
                               "additionalProperties beside a name of %zu bytes; at most %d", len,
                               MAX_OTHER_NAME);
        x.at[n++] = (maas_str){key, len};
    }
    qsort(x.at, n, sizeof *x.at, by_bytes);
    return GRAM_SEQ(s->b, gram_word(s->b, "\""), others(&x, 0, (uint32_t)n, 0),
                    gram_word(s->b, "\""));
}

/* ---- members ---- */

static const gram_node *member_of(schema_maker *s, const char *name, const json_t *schema)
{
    const size_t mark = schema_enter(s, "properties", name);
    const gram_node *x = GRAM_SEQ(s->b, gram_json_text(s->b, name, strlen(name)),
                                  gram_json_colon(s->b), schema_node(s, schema));
    schema_leave(s, mark);
    return schema_rule(s, x);
}

static json_t *set_of(const json_t *texts)
{
    json_t *set = json_object(), *v;
    size_t i;
    json_array_foreach(texts, i, v) json_object_set_new(set, json_string_value(v), json_true());
    return set;
}

/* Those of the schema, then those that are required without being described. */
static uint32_t list_members(schema_maker *s, const json_t *flat, const json_t *more, member *out)
{
    const json_t *properties = json_object_get(flat, "properties");
    AUTO(maas_json_unref) json_t *required = set_of(json_object_get(flat, "required"));
    const char *key;
    uint32_t n = 0;
    json_t *v;
    json_object_foreach(schema_mutable(properties), key, v)
    {
        if (!schema_ok(s))
            break;
        out[n++] = (member){member_of(s, key, v), json_object_get(required, key) != NULL};
    }
    json_object_foreach(required, key, v)
    {
        if (json_object_get(properties, key) || !schema_ok(s))
            continue;
        if (json_is_false(more))
            schema_fail(s, MAAS_E_INVALID,
                        "'%.60s' is required, and additionalProperties does not let it be there",
                        key);
        out[n++] = (member){member_of(s, key, more ? more : json_true()), true};
    }
    return n;
}

/* A name of its own and a value, for what the schema does not describe; NULL: there is none. */
static const gram_node *extra_of(schema_maker *s, const json_t *flat, const json_t *more)
{
    json_t *taken = schema_own(s, json_object()), *v;
    size_t i;
    if (json_is_false(more) || (!more && json_object_get(flat, "properties")))
        return NULL;
    json_object_update(taken, json_object_get(flat, "properties"));
    json_array_foreach(json_object_get(flat, "required"), i, v)
        json_object_set_new(taken, json_string_value(v), json_true());
    const size_t mark = schema_enter(s, "additionalProperties", NULL);
    const gram_node *x = GRAM_SEQ(s->b, other_names(s, taken), gram_json_colon(s->b),
                                  more ? schema_node(s, more) : gram_json_any(s->b));
    schema_leave(s, mark);
    return schema_rule(s, x);
}

/* ---- with commas ---- */

static const gram_node *after_comma(gram_build *b, const gram_node *x)
{
    return gram_seq2(b, gram_json_comma(b), x);
}

/* Whichever is written first: rest[i] is what may follow member i. Only members up to the first
 * that must be there can be the first. */
static const gram_node *members_of(schema_maker *s, const member *m, uint32_t n,
                                   const gram_node *extra)
{
    gram_build *b = s->b;
    gram_list first = {0};
    uint32_t must = 0;
    while (must < n && !m[must].required)
        must++;
    const gram_node *rest = extra ? gram_repeat(b, after_comma(b, extra), 0, GRAM_ENDLESS)
                                  : gram_empty(b);
    if (must == n && extra)
        gram_list_add(b, &first, gram_seq2(b, extra, rest));
    for (uint32_t i = n; i-- > 0 && schema_ok(s);) {
        if (i <= must) {
            rest = schema_rule(s, rest);
            gram_list_add(b, &first, gram_seq2(b, m[i].node, rest));
        }
        const gram_node *next = after_comma(b, m[i].node);
        next = m[i].required ? next : gram_maybe(b, next);
        rest = i <= must ? gram_seq2(b, next, rest) : schema_rule(s, gram_seq2(b, next, rest));
    }
    return gram_alt(b, first.at, first.n);
}

const gram_node *schema_object(schema_maker *s, const json_t *flat)
{
    gram_build *b = s->b;
    const json_t *properties = json_object_get(flat, "properties");
    const json_t *required = json_object_get(flat, "required");
    const json_t *more = json_object_get(flat, "additionalProperties");
    const size_t room = json_object_size(properties) + json_array_size(required) + 1;
    if (!properties && !json_array_size(required) && (!more || json_is_true(more)))
        return gram_json_object(b);
    member *m = schema_ok(s) ? maas_arena_array(b->a, room, sizeof *m) : NULL;
    if (!m)
        return schema_fail(s, MAAS_E_NOMEM, "memory for a schema");
    const uint32_t n = list_members(s, flat, more, m);
    const gram_node *inner = members_of(s, m, n, extra_of(s, flat, more));
    bool may_be_empty = true;
    for (uint32_t i = 0; i < n; i++)
        may_be_empty = may_be_empty && !m[i].required;
    const gram_node *full = gram_json_braces(b, "{", inner, "}");
    const gram_node *empty = GRAM_SEQ(b, gram_word(b, "{"), gram_json_space(b), gram_word(b, "}"));
    return may_be_empty ? gram_alt2(b, full, empty) : full;
}
