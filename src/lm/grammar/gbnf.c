/*
 * lm/grammar/gbnf.c - grammars as text, in llama.cpp's notation: rules `name ::= alternatives`, of
 * "texts", [classes], names, ( groups ), `.`, and * + ? {m,n} behind any of them; # begins a
 * comment.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lm/grammar/grammar_int.h"
#include "lm/grammar/reading.h"
#include "base/ban.h"

typedef struct parser {
    gram_build *b;
    gram_reading in;
    gram_table names; /* of rules, by name */
    maas_str wanted;
    int nest;
} parser;

static const gram_node *alternatives(parser *p, bool nested);

__attribute__((format(printf, 2, 3))) static void fail(parser *p, const char *fmt, ...)
{
    char text[200];
    va_list ap;
    uint32_t line = 1, column = 1;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (size_t i = 0; i < p->in.at && i < p->in.n; i++) {
        column = p->in.p[i] == '\n' ? 1 : column + 1;
        line += p->in.p[i] == '\n';
    }
    gram_fail(p->b, MAAS_E_INVALID, "the grammar, line %u, column %u: %s", line, column, text);
}

/* ---- rules ---- */

static bool same_name(const void *user, uint32_t number)
{
    const parser *p = user;
    const maas_str n = p->b->rules[number].name;
    return n.n == p->wanted.n && memcmp(n.p, p->wanted.p, n.n) == 0;
}

/* The rule of that name, which may have no body yet. */
static uint32_t rule_of(parser *p, maas_str name)
{
    uint32_t hash = 0;
    for (size_t i = 0; i < name.n; i++)
        hash = gram_hash(hash, (uint8_t)name.p[i]);
    if (!gram_table_room(&p->names)) {
        gram_fail(p->b, MAAS_E_NOMEM, "memory for a grammar");
        return 0;
    }
    p->wanted = name;
    struct gram_slot *s = gram_table_find(&p->names, hash, same_name, p);
    if (!s->number) {
        const uint32_t rule = gram_rule_add(p->b, name);
        if (p->b->status != MAAS_OK)
            return 0;
        gram_table_put(&p->names, s, hash, rule);
    }
    return s->number - 1;
}

static bool is_word(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

static maas_str name_at(parser *p)
{
    const size_t from = p->in.at;
    while (is_word(gram_peek(&p->in)))
        p->in.at++;
    if (p->in.at == from)
        fail(p, "the name of a rule was expected");
    return (maas_str){p->in.p + from, p->in.at - from};
}

/* ---- spaces ---- */

static void skip_space(parser *p, bool lines)
{
    for (;; p->in.at++) {
        const int c = gram_peek(&p->in);
        if (c == '#') {
            while (gram_peek(&p->in) >= 0 && gram_peek(&p->in) != '\n')
                p->in.at++;
            p->in.at--;
            continue;
        }
        if (c != ' ' && c != '\t' && !(lines && (c == '\n' || c == '\r')))
            return;
    }
}

/* ---- what a rule is made of ---- */

/* A character of a text or class: as it is, or after a backslash. */
static uint32_t character(parser *p)
{
    static const char from[] = "trn\"[]\\-^", to[] = "\t\r\n\"[]\\-^";
    uint32_t c = 0;
    if (gram_peek(&p->in) != '\\') {
        if (!gram_read_char(&p->in, &c))
            fail(p, "bytes that are no UTF-8");
        return c;
    }
    p->in.at++;
    const int kind = gram_peek(&p->in);
    const char *known = kind > 0 ? strchr(from, kind) : NULL;
    const int digits = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
    p->in.at += kind >= 0;
    if (known)
        return (uint8_t)to[known - from];
    if (!digits)
        fail(p, "an escape that is not known: \\t \\r \\n \\\\ \\\" \\[ \\] \\xHH \\uHHHH "
                "\\UHHHHHHHH are");
    else if (!gram_read_hex(&p->in, digits, &c) || c > GRAM_MAX_CODE ||
             (c >= 0xd800 && c <= 0xdfff))
        fail(p, "\\%c needs %d hexadecimal digits of a character", kind, digits);
    return c;
}

static const gram_node *text(parser *p)
{
    maas_buf b = MAAS_BUF_IN(p->b->a, GRAM_MAX_TEXT);
    p->in.at++;
    for (int c; (c = gram_peek(&p->in)) != '"' && p->b->status == MAAS_OK;) {
        if (c < 0 || c == '\n') {
            fail(p, "a text that does not end");
            break;
        }
        gram_put_char(&b, character(p));
    }
    p->in.at++;
    return gram_text(p->b, b.p ? b.p : "", b.n);
}

static const gram_node *class(parser *p)
{
    gram_ranges all = {0};
    p->in.at++;
    const bool negated = gram_peek(&p->in) == '^';
    p->in.at += negated;
    for (int c; (c = gram_peek(&p->in)) != ']' && p->b->status == MAAS_OK;) {
        if (c < 0) {
            fail(p, "a class that does not end");
            break;
        }
        const uint32_t from = character(p);
        uint32_t to = from;
        if (gram_peek(&p->in) == '-' && p->in.at + 1 < p->in.n && p->in.p[p->in.at + 1] != ']') {
            p->in.at++;
            to = character(p);
            if (to < from)
                fail(p, "a range that goes backwards");
        }
        gram_ranges_add(p->b, &all, from, to);
    }
    p->in.at++;
    return gram_class(p->b, all.at, all.n, negated);
}

static const gram_node *group(parser *p)
{
    p->in.at++;
    if (++p->nest > GRAM_MAX_NEST)
        gram_fail(p->b, MAAS_E_TOO_LARGE, "groups in groups: at most %d", GRAM_MAX_NEST);
    skip_space(p, true);
    const gram_node *x = alternatives(p, true);
    p->nest--;
    if (gram_peek(&p->in) != ')')
        fail(p, "a ')' was expected");
    p->in.at++;
    return x;
}

static const gram_node *atom(parser *p)
{
    switch (gram_peek(&p->in)) {
    case '"':
        return text(p);
    case '[':
        return class(p);
    case '(':
        return group(p);
    case '.':
        p->in.at++;
        return gram_class(p->b, NULL, 0, true);
    case '<':
    case '!':
        gram_fail(p->b, MAAS_E_UNSUPPORTED,
                  "tokens in a grammar (<...>) are not known: give texts");
        return gram_never(p->b);
    default:
        return gram_rule_use(p->b, rule_of(p, name_at(p)));
    }
}

static const gram_node *repeated(parser *p, const gram_node *x, bool nested)
{
    for (int many = 0; p->b->status == MAAS_OK; many++) {
        const int c = gram_peek(&p->in);
        uint32_t min = c == '+', max = c == '?' ? 1 : GRAM_ENDLESS;
        if (c == '{') {
            const char *why = gram_read_counts(&p->in, &min, &max);
            if (why)
                fail(p, "%s", why);
        } else if (c == '*' || c == '+' || c == '?') {
            p->in.at++;
        } else {
            break;
        }
        if (many > GRAM_MAX_NEST)
            fail(p, "repetitions of repetitions: at most %d", GRAM_MAX_NEST);
        x = gram_repeat(p->b, x, min, max);
        skip_space(p, nested);
    }
    return x;
}

static const gram_node *sequence(parser *p, bool nested)
{
    gram_list all = {0};
    for (int c; p->b->status == MAAS_OK && (c = gram_peek(&p->in)) >= 0;) {
        if (c == '|' || c == ')' || c == '\n' || c == '\r')
            break;
        const gram_node *x = atom(p);
        skip_space(p, nested);
        gram_list_add(p->b, &all, repeated(p, x, nested));
    }
    return gram_seq(p->b, all.at, all.n);
}

static const gram_node *alternatives(parser *p, bool nested)
{
    gram_list all = {0};
    gram_list_add(p->b, &all, sequence(p, nested));
    while (p->b->status == MAAS_OK) {
        const size_t line_end = p->in.at;
        skip_space(p, true); /* an alternative may begin a line */
        if (gram_peek(&p->in) != '|') {
            p->in.at = nested ? p->in.at : line_end;
            break;
        }
        p->in.at++;
        skip_space(p, true);
        gram_list_add(p->b, &all, sequence(p, nested));
    }
    return gram_alt(p->b, all.at, all.n);
}

static void rule(parser *p)
{
    const maas_str name = name_at(p);
    const uint32_t which = p->b->status == MAAS_OK ? rule_of(p, name) : 0;
    skip_space(p, false);
    if (p->b->status == MAAS_OK &&
        (p->in.n - p->in.at < 3 || memcmp(p->in.p + p->in.at, "::=", 3) != 0))
        fail(p, "'::=' was expected");
    if (p->b->status == MAAS_OK && p->b->rules[which].body)
        fail(p, "rule '%.*s' is there already", (int)(name.n < 80 ? name.n : 80), name.p);
    p->in.at += 3;
    skip_space(p, true);
    const gram_node *body = alternatives(p, false);
    if (p->b->status != MAAS_OK)
        return;
    p->b->rules[which].body = body;
    const int c = gram_peek(&p->in);
    if (c >= 0 && c != '\n' && c != '\r')
        fail(p, "the rule ends here, but the line goes on");
    skip_space(p, true);
}

static const gram_node *finish(parser *p, size_t n_before)
{
    for (size_t i = n_before; i < p->b->n_rules && p->b->status == MAAS_OK; i++) {
        const maas_str n = p->b->rules[i].name;
        if (!p->b->rules[i].body)
            gram_fail(p->b, MAAS_E_INVALID, "the grammar uses a rule '%.*s', which is not there",
                      (int)(n.n < 80 ? n.n : 80), n.p);
    }
    const size_t n_rules = p->b->n_rules;
    const uint32_t root = rule_of(p, (maas_str){"root", 4});
    if (p->b->status == MAAS_OK && n_rules != p->b->n_rules)
        gram_fail(p->b, MAAS_E_INVALID, "the grammar has no rule 'root'");
    return gram_rule_use(p->b, root);
}

const gram_node *gram_gbnf(gram_build *b, maas_str text)
{
    parser p = {.b = b, .in = {text.p, text.n, 0}};
    const size_t n_before = b->n_rules;
    if (text.n > GRAM_MAX_TEXT)
        gram_fail(b, MAAS_E_TOO_LARGE, "a grammar of %zu bytes; at most %d", text.n, GRAM_MAX_TEXT);
    skip_space(&p, true);
    while (gram_peek(&p.in) >= 0 && b->status == MAAS_OK)
        rule(&p);
    const gram_node *x = b->status == MAAS_OK ? finish(&p, n_before) : gram_never(b);
    gram_table_reset(&p.names);
    return x;
}
