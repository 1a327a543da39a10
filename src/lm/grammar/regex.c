/*
 * lm/grammar/regex.c - regular expressions, as ECMA-262 writes them: characters, escapes, classes,
 * groups, alternatives, repetitions; ^ and $ around an alternative of the whole. What looks around
 * or back is refused.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lm/grammar/reading.h"
#include "base/ban.h"

typedef struct parser {
    gram_build *b;
    gram_reading in;
    bool in_json; /* what is matched is the inside of a JSON string */
    int nest;
} parser;

static const gram_node *alternatives(parser *p);

__attribute__((format(printf, 3, 4))) static void fail(parser *p, maas_status st, const char *fmt,
                                                       ...)
{
    char text[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    gram_fail(p->b, st, "the pattern, byte %zu: %s", p->in.at, text);
}

static bool starts(const parser *p, const char *word)
{
    const size_t n = strlen(word);
    return p->in.n - p->in.at >= n && memcmp(p->in.p + p->in.at, word, n) == 0;
}

/* ---- characters and classes ---- */

static const gram_node *one_of(parser *p, gram_ranges *r, bool negated)
{
    gram_build *b = p->b;
    if (b->status != MAAS_OK)
        return gram_never(b);
    r->n = gram_ranges_tidy(r->at, r->n);
    if (negated) {
        gram_ranges rest = {0};
        rest.at = maas_arena_array(b->a, r->n + 1u, sizeof *rest.at);
        if (!rest.at) {
            gram_fail(b, MAAS_E_NOMEM, "memory for a grammar");
            return gram_never(b);
        }
        rest.n = gram_ranges_rest(r->at, r->n, rest.at);
        *r = rest;
    }
    return p->in_json ? gram_json_class(b, r->at, r->n) : gram_class(b, r->at, r->n, false);
}

/* \d \w \s and what is not in them. */
static const struct named {
    char name;
    uint8_t n;
    gram_range at[11];
} named[] = {
    {'d', 1, {{'0', '9'}}},
    {'w', 4, {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}},
    {'s', 2, {{'\t', '\r'}, {' ', ' '}}},
};
static const gram_range all_spaces[] = {{'\t', '\r'},     {' ', ' '},       {0xa0, 0xa0},
                                        {0x1680, 0x1680}, {0x2000, 0x200a}, {0x2028, 0x2029},
                                        {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000},
                                        {0xfeff, 0xfeff}, {0x1c, 0x1f},     {0x85, 0x85}};

static bool add_named(parser *p, int c, gram_ranges *r)
{
    gram_range sorted[MAAS_COUNT(all_spaces)], rest[MAAS_COUNT(all_spaces) + 1];
    for (size_t i = 0; i < MAAS_COUNT(named); i++) {
        const struct named *x = &named[i];
        const bool negated = c == x->name - 'a' + 'A';
        if (c != x->name && !negated)
            continue;
        /* what some call a space is not given as one, and not given as anything else */
        const bool spaces = negated && x->name == 's';
        uint32_t n = spaces ? (uint32_t)MAAS_COUNT(all_spaces) : x->n;
        memcpy(sorted, spaces ? all_spaces : x->at, n * sizeof *sorted);
        n = gram_ranges_tidy(sorted, n);
        const uint32_t n_rest = negated ? gram_ranges_rest(sorted, n, rest) : 0;
        for (uint32_t k = 0; k < (negated ? n_rest : n); k++)
            gram_ranges_add(p->b, r, negated ? rest[k].from : sorted[k].from,
                            negated ? rest[k].to : sorted[k].to);
        return true;
    }
    return false;
}

static uint32_t coded(parser *p, int kind)
{
    uint32_t c = 0;
    bool ok;
    if (kind == 'u' && gram_peek(&p->in) == '{') {
        p->in.at++;
        ok = gram_peek(&p->in) != '}';
        for (int x; ok && (x = gram_peek(&p->in)) != '}';) {
            uint32_t digit;
            ok = c <= GRAM_MAX_CODE && gram_read_hex(&p->in, 1, &digit);
            c = ok ? c << 4 | digit : c;
        }
        p->in.at++;
    } else {
        ok = gram_read_hex(&p->in, kind == 'x' ? 2 : 4, &c);
    }
    if (!ok || c > GRAM_MAX_CODE || (c >= 0xd800 && c <= 0xdfff))
        fail(p, MAAS_E_INVALID, "\\%c needs the hexadecimal digits of a character", kind);
    return c;
}

/* After the backslash: a character. */
static uint32_t escaped(parser *p)
{
    static const char from[] = "nrtfv0", to[] = "\n\r\t\f\v";
    const int c = gram_peek(&p->in);
    const char *at = c > 0 ? strchr(from, c) : NULL;
    p->in.at += c >= 0;
    if (c == 'x' || c == 'u')
        return coded(p, c);
    if (at && !(c == '0' && gram_peek(&p->in) >= '0' && gram_peek(&p->in) <= '9'))
        return (uint8_t)to[at - from];
    if (c < 0 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
        c >= 0x80) {
        p->in.at -= c >= 0;
        fail(p, c < 0 ? MAAS_E_INVALID : MAAS_E_UNSUPPORTED, "'\\%c' is not known",
             c < 0 || c >= 0x80 ? '?' : c);
    }
    return (uint32_t)c;
}

static uint32_t plain(parser *p)
{
    uint32_t c = 0;
    if (!gram_read_char(&p->in, &c))
        fail(p, MAAS_E_INVALID, "bytes that are no UTF-8");
    return c;
}

/* A character of a class, or a class in it (true). */
static bool class_part(parser *p, gram_ranges *r, uint32_t *out)
{
    if (gram_peek(&p->in) != '\\') {
        *out = plain(p);
        return false;
    }
    p->in.at++;
    const int c = gram_peek(&p->in);
    if (add_named(p, c, r)) {
        p->in.at++;
        return true;
    }
    if (c == 'b') {
        p->in.at++;
        *out = '\b';
        return false;
    }
    *out = escaped(p);
    return false;
}

static const gram_node *class(parser *p)
{
    gram_ranges all = {0};
    p->in.at++;
    const bool negated = gram_peek(&p->in) == '^';
    p->in.at += negated;
    for (int c; (c = gram_peek(&p->in)) != ']' && p->b->status == MAAS_OK;) {
        uint32_t from = 0, to;
        if (c < 0) {
            fail(p, MAAS_E_INVALID, "a class that does not end");
            break;
        }
        if (class_part(p, &all, &from))
            continue;
        to = from;
        if (starts(p, "-") && !starts(p, "-]")) {
            p->in.at++;
            if (class_part(p, &all, &to) || to < from)
                fail(p, MAAS_E_INVALID, "a range that goes backwards, or to a class");
        }
        gram_ranges_add(p->b, &all, from, to);
    }
    p->in.at++;
    return one_of(p, &all, negated);
}

static const gram_node *character(parser *p, uint32_t c)
{
    gram_ranges r = {0};
    gram_ranges_add(p->b, &r, c, c);
    return one_of(p, &r, false);
}

static const gram_node *escape(parser *p)
{
    gram_ranges r = {0};
    p->in.at++;
    if (add_named(p, gram_peek(&p->in), &r)) {
        p->in.at++;
        return one_of(p, &r, false);
    }
    return character(p, escaped(p));
}

/* Any character but the ends of lines. */
static const gram_node *any(parser *p)
{
    gram_ranges r = {0};
    p->in.at++;
    gram_ranges_add(p->b, &r, '\n', '\n');
    gram_ranges_add(p->b, &r, '\r', '\r');
    gram_ranges_add(p->b, &r, 0x2028, 0x2029);
    return one_of(p, &r, true);
}

/* ---- groups ---- */

static void skip_group_head(parser *p)
{
    if (!starts(p, "?"))
        return;
    if (starts(p, "?:")) {
        p->in.at += 2;
        return;
    }
    const bool is_named = (starts(p, "?<") && !starts(p, "?<=") && !starts(p, "?<!")) ||
                          starts(p, "?P<");
    if (!is_named) {
        fail(p, MAAS_E_UNSUPPORTED, "'(?' is known as (?: and (?<name> alone");
        return;
    }
    while (gram_peek(&p->in) >= 0 && gram_peek(&p->in) != '>')
        p->in.at++;
    p->in.at++;
}

static const gram_node *group(parser *p)
{
    p->in.at++;
    if (++p->nest > GRAM_MAX_NEST)
        gram_fail(p->b, MAAS_E_TOO_LARGE, "the pattern has groups in groups; at most %d",
                  GRAM_MAX_NEST);
    skip_group_head(p);
    const gram_node *x = p->b->status == MAAS_OK ? alternatives(p) : gram_never(p->b);
    p->nest--;
    if (gram_peek(&p->in) != ')')
        fail(p, MAAS_E_INVALID, "a ')' was expected");
    p->in.at++;
    return x;
}

static const gram_node *atom(parser *p)
{
    const int c = gram_peek(&p->in);
    switch (c) {
    case '(':
        return group(p);
    case '[':
        return class(p);
    case '.':
        return any(p);
    case '\\':
        return escape(p);
    case '^':
    case '$':
        fail(p, MAAS_E_UNSUPPORTED, "'%c' is known at the begin or end of the whole alone", c);
        return gram_never(p->b);
    case '*':
    case '+':
    case '?':
    case '{':
        fail(p, MAAS_E_INVALID, "there is nothing for '%c' to repeat", c);
        return gram_never(p->b);
    default:
        return character(p, plain(p));
    }
}

static const gram_node *repeated(parser *p, const gram_node *x)
{
    const int c = gram_peek(&p->in);
    uint32_t min = c == '+', max = c == '?' ? 1 : GRAM_ENDLESS;
    if (c == '{') {
        const char *why = gram_read_counts(&p->in, &min, &max);
        if (why)
            fail(p, MAAS_E_INVALID, "%s", why);
    } else if (c == '*' || c == '+' || c == '?') {
        p->in.at++;
    } else {
        return x;
    }
    p->in.at += gram_peek(&p->in) == '?'; /* as few as possible: the same texts */
    return gram_repeat(p->b, x, min, max);
}

static const gram_node *sequence(parser *p)
{
    gram_list all = {0};
    for (int c; p->b->status == MAAS_OK && (c = gram_peek(&p->in)) >= 0 && c != '|' && c != ')';) {
        if (p->nest == 0 && c == '$' && (p->in.at + 1 == p->in.n || p->in.p[p->in.at + 1] == '|'))
            break;
        gram_list_add(p->b, &all, repeated(p, atom(p)));
    }
    return gram_seq(p->b, all.at, all.n);
}

/* What is found anywhere may have anything around it. */
static const gram_node *around(parser *p)
{
    return p->in_json ? gram_repeat(p->b, gram_json_character(p->b), 0, GRAM_ENDLESS)
                      : gram_empty(p->b);
}

static const gram_node *whole(parser *p)
{
    const bool from = gram_peek(&p->in) == '^';
    p->in.at += from;
    const gram_node *x = sequence(p);
    const bool to = gram_peek(&p->in) == '$';
    p->in.at += to;
    x = from ? x : gram_seq2(p->b, around(p), x);
    return to ? x : gram_seq2(p->b, x, around(p));
}

static const gram_node *alternatives(parser *p)
{
    gram_list all = {0};
    for (;; p->in.at++) {
        gram_list_add(p->b, &all, p->nest ? sequence(p) : whole(p));
        if (gram_peek(&p->in) != '|' || p->b->status != MAAS_OK)
            return gram_alt(p->b, all.at, all.n);
    }
}

const gram_node *gram_regex(gram_build *b, maas_str text, bool in_json)
{
    parser p = {.b = b, .in = {text.p, text.n, 0}, .in_json = in_json};
    if (text.n > GRAM_MAX_TEXT)
        gram_fail(b, MAAS_E_TOO_LARGE, "a pattern of %zu bytes; at most %d", text.n, GRAM_MAX_TEXT);
    const gram_node *x = b->status == MAAS_OK ? alternatives(&p) : gram_never(b);
    if (p.in.at < p.in.n)
        fail(&p, MAAS_E_INVALID, "a ')' too many");
    return x;
}
