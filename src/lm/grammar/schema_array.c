/* lm/grammar/schema_array.c - arrays: the first items each of their own, then any number of others.
 */
#include <stdio.h>

#include "lm/grammar/schema_int.h"
#include "base/ban.h"

static uint32_t count_of(const json_t *flat, const char *key, uint32_t otherwise)
{
    const json_t *v = json_object_get(flat, key);
    const double x = json_number_value(v);
    return !v ? otherwise : x < (double)(UINT32_MAX - 1) ? (uint32_t)x : UINT32_MAX - 1;
}

/* Without `items`, nothing follows the first ones unless minItems asks for more. */
static const gram_node *item_of(schema_maker *s, const json_t *flat, uint32_t n_first, uint32_t min)
{
    const json_t *items = json_object_get(flat, "items");
    if (!items)
        return n_first && min <= n_first ? gram_never(s->b) : gram_json_any(s->b);
    const size_t mark = schema_enter(s, "items", NULL);
    const gram_node *x = schema_node(s, items);
    schema_leave(s, mark);
    return schema_rule(s, x);
}

static const gram_node *first_of(schema_maker *s, const json_t *flat, uint32_t i)
{
    char index[24];
    snprintf(index, sizeof index, "%u", i);
    const size_t mark = schema_enter(s, "prefixItems", index);
    const gram_node *x = schema_node(s, json_array_get(json_object_get(flat, "prefixItems"), i));
    schema_leave(s, mark);
    return x;
}

/* Items n_first and on, with a comma before each: `min` to `max` in all. */
static const gram_node *more_of(schema_maker *s, const gram_node *item, uint32_t n_first,
                                uint32_t min, uint32_t max)
{
    gram_build *b = s->b;
    const uint32_t low = min > n_first ? min - n_first : 0;
    const uint32_t high = max == GRAM_ENDLESS ? max : max > n_first ? max - n_first : 0;
    if (high == 0)
        return low ? gram_never(b) : gram_empty(b);
    return gram_repeat(b, gram_seq2(b, gram_json_comma(b), item), low, high);
}

const gram_node *schema_array(schema_maker *s, const json_t *flat)
{
    gram_build *b = s->b;
    const uint32_t n_first = (uint32_t)json_array_size(json_object_get(flat, "prefixItems"));
    const uint32_t min = count_of(flat, "minItems", 0);
    const uint32_t max = count_of(flat, "maxItems", GRAM_ENDLESS);
    if (min > max)
        return gram_never(b);
    if (!n_first && !min && max == GRAM_ENDLESS && !json_object_get(flat, "items"))
        return gram_json_array(b);
    const gram_node *item = item_of(s, flat, n_first, min);
    const gram_node *rest = more_of(s, item, n_first ? n_first : 1, min, max);
    for (uint32_t i = n_first; i-- > 1 && schema_ok(s);) {
        const gram_node *next = GRAM_SEQ(b, gram_json_comma(b), first_of(s, flat, i), rest);
        rest = i >= max ? gram_empty(b) : i < min ? next : gram_maybe(b, next);
        rest = schema_rule(s, rest);
    }
    const gram_node *first = n_first ? first_of(s, flat, 0) : item;
    const gram_node *full = gram_json_braces(b, "[", gram_seq2(b, first, rest), "]");
    const gram_node *empty = GRAM_SEQ(b, gram_word(b, "["), gram_json_space(b), gram_word(b, "]"));
    if (max == 0)
        return empty;
    return min ? full : gram_alt2(b, full, empty);
}
