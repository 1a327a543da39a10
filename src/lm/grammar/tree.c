#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lm/grammar/grammar_int.h"
#include "base/ban.h"

static const gram_node never = {.kind = GRAM_ALT};

void gram_fail(gram_build *b, maas_status st, const char *fmt, ...)
{
    char text[240];
    va_list ap;
    if (b->status != MAAS_OK)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (b->where)
        b->status = maas_fail(b->err, st, "the schema at '#%.100s': %s",
                              b->where->p ? b->where->p : "", text);
    else
        b->status = maas_fail(b->err, st, "%s", text);
}

void gram_build_reset(gram_build *b)
{
    maas_free(b->rules);
    b->rules = NULL;
}

static void *room(gram_build *b, size_t n, size_t size)
{
    void *p = b->status == MAAS_OK ? maas_arena_array(b->a, n ? n : 1, size) : NULL;
    if (!p)
        gram_fail(b, MAAS_E_NOMEM, "memory for a grammar");
    return p;
}

/* NULL: it failed. */
static gram_node *node(gram_build *b, gram_kind kind)
{
    if (++b->n_nodes > GRAM_MAX_NODES)
        gram_fail(b, MAAS_E_TOO_LARGE, "the grammar has more than %d parts", GRAM_MAX_NODES);
    gram_node *x = room(b, 1, sizeof *x);
    if (x)
        x->kind = kind;
    return x;
}

const gram_node *gram_text(gram_build *b, const char *p, size_t n)
{
    gram_node *x = node(b, GRAM_TEXT);
    char *copy = room(b, n, 1);
    if (!x || !copy || n > GRAM_MAX_TEXT) {
        gram_fail(b, MAAS_E_TOO_LARGE, "a text of %zu bytes in a grammar", n);
        return &never;
    }
    memcpy(copy, p, n);
    x->u.text = copy;
    x->n = (uint32_t)n;
    return x;
}

const gram_node *gram_word(gram_build *b, const char *text)
{
    return gram_text(b, text, strlen(text));
}

/* ---- classes ---- */

static int by_from(const void *a, const void *b)
{
    const gram_range *x = a, *y = b;
    return x->from < y->from ? -1 : x->from > y->from;
}

uint32_t gram_ranges_tidy(gram_range *r, uint32_t n)
{
    uint32_t k = 0;
    if (n)
        qsort(r, n, sizeof *r, by_from);
    for (uint32_t i = 0; i < n; i++) {
        if (r[i].from > r[i].to)
            continue;
        if (k && r[i].from <= r[k - 1].to + 1)
            r[k - 1].to = r[i].to > r[k - 1].to ? r[i].to : r[k - 1].to;
        else
            r[k++] = r[i];
    }
    return k;
}

uint32_t gram_ranges_rest(const gram_range *r, uint32_t n, gram_range *out)
{
    uint32_t from = 0, k = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (r[i].from > from)
            out[k++] = (gram_range){from, r[i].from - 1};
        from = r[i].to + 1;
    }
    if (from <= GRAM_MAX_CODE)
        out[k++] = (gram_range){from, GRAM_MAX_CODE};
    return k;
}

const gram_node *gram_class(gram_build *b, const gram_range *r, uint32_t n, bool negated)
{
    gram_node *x = node(b, GRAM_CLASS);
    gram_range *copy = room(b, (size_t)n + 1, sizeof *copy), *rest = copy;
    if (!x || !copy)
        return &never;
    if (n)
        memcpy(copy, r, n * sizeof *r);
    x->n = gram_ranges_tidy(copy, n);
    if (negated) {
        rest = room(b, (size_t)x->n + 1, sizeof *rest);
        if (!rest)
            return &never;
        x->n = gram_ranges_rest(copy, x->n, rest);
    }
    x->u.ranges = rest;
    return x;
}

const gram_node *gram_chars(gram_build *b, const char *ascii)
{
    gram_range r[128];
    uint32_t n = 0;
    for (; ascii[n] && n < 128; n++)
        r[n] = (gram_range){(uint8_t)ascii[n], (uint8_t)ascii[n]};
    return gram_class(b, r, n, false);
}

/* ---- of other nodes ---- */

static const gram_node *many(gram_build *b, gram_kind kind, const gram_node *const *items,
                             uint32_t n)
{
    gram_node *x = node(b, kind);
    const gram_node **copy = room(b, n, sizeof *copy);
    if (!x || !copy)
        return &never;
    if (n)
        memcpy(copy, items, n * sizeof *copy);
    x->u.items = copy;
    x->n = n;
    return x;
}

const gram_node *gram_seq(gram_build *b, const gram_node *const *items, uint32_t n)
{
    return n == 1 ? items[0] : many(b, GRAM_SEQ, items, n);
}
const gram_node *gram_alt(gram_build *b, const gram_node *const *items, uint32_t n)
{
    return n == 1 ? items[0] : many(b, GRAM_ALT, items, n);
}
const gram_node *gram_seq2(gram_build *b, const gram_node *x, const gram_node *y)
{
    return GRAM_SEQ(b, x, y);
}
const gram_node *gram_alt2(gram_build *b, const gram_node *x, const gram_node *y)
{
    return GRAM_ALT(b, x, y);
}
const gram_node *gram_never(gram_build *b)
{
    (void)b;
    return &never;
}
const gram_node *gram_empty(gram_build *b)
{
    return many(b, GRAM_SEQ, NULL, 0);
}

const gram_node *gram_repeat(gram_build *b, const gram_node *item, uint32_t min, uint32_t max)
{
    if (min > GRAM_MAX_REPEAT || (max != GRAM_ENDLESS && max > GRAM_MAX_REPEAT))
        gram_fail(b, MAAS_E_TOO_LARGE, "a repetition of %u times; at most %d are possible",
                  max == GRAM_ENDLESS ? min : max, GRAM_MAX_REPEAT);
    if (min > max)
        return &never;
    if (min == 1 && max == 1)
        return item;
    gram_node *x = node(b, GRAM_REPEAT);
    if (!x)
        return &never;
    x->u.item = item;
    x->min = min;
    x->max = max;
    return x;
}

const gram_node *gram_maybe(gram_build *b, const gram_node *x)
{
    return gram_repeat(b, x, 0, 1);
}

/* ---- rules ---- */

uint32_t gram_rule_add(gram_build *b, maas_str name)
{
    if (b->n_rules >= GRAM_MAX_RULES)
        gram_fail(b, MAAS_E_TOO_LARGE, "the grammar has more than %d rules", GRAM_MAX_RULES);
    else if (!maas_grow(&b->rules, &b->cap_rules, b->n_rules + 1, sizeof *b->rules))
        gram_fail(b, MAAS_E_NOMEM, "memory for a grammar");
    if (b->status != MAAS_OK)
        return 0;
    b->rules[b->n_rules] = (gram_rule){name, NULL};
    return (uint32_t)b->n_rules++;
}

const gram_node *gram_rule_use(gram_build *b, uint32_t rule)
{
    gram_node *x = node(b, GRAM_RULE);
    if (!x)
        return &never;
    x->rule = rule;
    return x;
}

void gram_list_add(gram_build *b, gram_list *l, const gram_node *x)
{
    if (l->n == l->cap) {
        const uint32_t cap = l->cap ? l->cap * 2 : 8;
        const gram_node **at = room(b, cap, sizeof *at);
        if (!at)
            return;
        if (l->n)
            memcpy(at, l->at, l->n * sizeof *at);
        l->at = at;
        l->cap = cap;
    }
    l->at[l->n++] = x;
}
