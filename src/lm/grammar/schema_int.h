/*
 * lm/grammar/schema_int.h - shared by schema*.c: a JSON schema on its way to a tree.
 *
 * A schema is flat when it has no $ref, allOf, anyOf or oneOf: then each type has a form of its
 * own. Any other is brought to a list of flat ones, of which a value must fit one (schema_merge.c),
 * or, where nothing stands beside a $ref, to a rule, so that schemas may contain themselves.
 */
#ifndef MAAS_LM_GRAMMAR_SCHEMA_INT_H
#define MAAS_LM_GRAMMAR_SCHEMA_INT_H

#include "base/json.h"
#include "lm/grammar/reading.h"

enum {
    SCHEMA_MAX_DEPTH = 128,    /* schemas in schemas, refs followed */
    SCHEMA_MAX_WORK = 1 << 17, /* schemas looked at                 */
    SCHEMA_MAX_ALTERNATIVES = 256,
    SCHEMA_MAX_PAIRS = 1 << 20 /* of listed values that are compared */
};

enum { /* what a value may be */
       SCHEMA_NULL = 1,
       SCHEMA_BOOLEAN = 2,
       SCHEMA_INTEGER = 4,
       SCHEMA_NUMBER = 8,
       SCHEMA_STRING = 16,
       SCHEMA_ARRAY = 32,
       SCHEMA_OBJECT = 64
};

typedef struct schema_maker {
    gram_build *b;
    const json_t *root;
    json_t *owned; /* array: schemas that were made here */
    maas_buf path; /* JSON pointer of what is looked at */
    json_t *refs;  /* object: pointer to rule */
    json_t *queue; /* array: pointers whose rules have no body yet */
    uint32_t depth, work;
} schema_maker;

/* Names the place; returns what fits nothing. */
__attribute__((format(printf, 3, 4))) const gram_node *schema_fail(schema_maker *s, maas_status st,
                                                                   const char *fmt, ...);
size_t schema_enter(schema_maker *s, const char *key, const char *name); /* name: may be NULL */
void schema_leave(schema_maker *s, size_t mark);
bool schema_work(schema_maker *s); /* one more schema; false: too many */
static inline bool schema_ok(const schema_maker *s)
{
    return s->b->status == MAAS_OK;
}
/* A schema that was made: lives until the end. */
json_t *schema_own(schema_maker *s, json_t *made);
static inline json_t *schema_mutable(const json_t *x)
{
    return (json_t *)(uintptr_t)x;
}

/* schema.c */
const gram_node *schema_node(schema_maker *s, const json_t *schema);
bool schema_check(schema_maker *s, const json_t *schema); /* its keywords; false: it failed */
bool schema_is_only(const json_t *schema, const char *keyword, const char *other); /* or ignored */
const json_t *schema_target(schema_maker *s, const char *ref); /* NULL: it failed */
unsigned schema_types(const json_t *flat);                     /* bits; 0: anything */
unsigned schema_type_of(const json_t *value);
unsigned schema_type_bits(const json_t *type);
json_t *schema_type_names(unsigned bits); /* an array */

/* schema_keywords.c */
typedef enum schema_role { SCHEMA_IGNORED, SCHEMA_COMBINES, SCHEMA_HOLDS } schema_role;
typedef struct schema_keyword {
    const char *name;
    schema_role role;
    unsigned types; /* of values that it speaks of; 0: all */
    /* What is wrong with its value; NULL: nothing. */
    const char *(*check)(const json_t *value);
    /* Both at once, where a schema must fit two: a new value; NULL: that cannot be said. */
    json_t *(*merge)(const json_t *a, const json_t *b);
} schema_keyword;
const schema_keyword *schema_keyword_of(const char *name);

/* schema_merge.c: an array of flat schemas; none: nothing fits. */
json_t *schema_expand(schema_maker *s, const json_t *schema);
bool schema_apart(schema_maker *s, const json_t *a, const json_t *b); /* no value fits both */

/* schema_object.c, schema_array.c, schema_string.c, schema_number.c */
const gram_node *schema_object(schema_maker *s, const json_t *flat);
const gram_node *schema_array(schema_maker *s, const json_t *flat);
const gram_node *schema_string(schema_maker *s, const json_t *flat);
const gram_node *schema_number(schema_maker *s, const json_t *flat, bool whole);
bool schema_in_range(const json_t *flat, double v); /* of its minimum, maximum ... */

/* A rule of what x is, so that it may be used more than once. */
const gram_node *schema_rule(schema_maker *s, const gram_node *x);

#endif
