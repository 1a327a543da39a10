/*
 * Expressions of templates to code: a stack of operators that wait for their right side, and a
 * stack of brackets. The value of `a if b` is written before b is known: its code moves behind b's.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lm/chat/jinja_compiler.h"
#include "base/ban.h"

/* ---- tokens of a tag ---- */

static bool is_name(char ch, bool first)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_' ||
           (!first && ch >= '0' && ch <= '9');
}

bool jinja_starts(const compiler *c, const char *s)
{
    const size_t n = strlen(s);
    return c->text.n - c->at >= n && memcmp(c->text.p + c->at, s, n) == 0;
}

static maas_status text_token(compiler *c)
{
    const char quote = c->text.p[c->at++];
    char *out = maas_arena_alloc(c->a, c->text.n - c->at + 1 < 4096 ? 4096 : c->text.n - c->at + 1);
    size_t n = 0;
    if (!out)
        return jinja_wrong(c, MAAS_E_TOO_LARGE, "the template is too long");
    for (; c->at < c->text.n && c->text.p[c->at] != quote; c->at++) {
        char ch = c->text.p[c->at];
        c->line += ch == '\n';
        if (ch == '\\' && c->at + 1 < c->text.n) {
            static const char from[] = "nrtfvb0\\'\"", to[] = "\n\r\t\f\v\b\0\\'\"";
            const char *p = strchr(from, c->text.p[c->at + 1]);
            if (p && *p) {
                ch = to[p - from];
                c->at++;
            }
        }
        out[n++] = ch;
    }
    if (c->at == c->text.n)
        return jinja_wrong(c, MAAS_E_INVALID, "a text without an end");
    c->at++;
    c->tok = (token){.kind = T_TEXT, .text = {out, n}};
    return MAAS_OK;
}

static void number_token(compiler *c)
{
    char room[64];
    size_t n = 0;
    bool real = false;
    while (c->at < c->text.n && n < sizeof room - 1 &&
           ((c->text.p[c->at] >= '0' && c->text.p[c->at] <= '9') ||
            (c->text.p[c->at] == '.' && !real))) {
        real |= c->text.p[c->at] == '.';
        room[n++] = c->text.p[c->at++];
    }
    room[n] = '\0';
    c->tok = (token){.kind = real ? T_FLOAT : T_INT,
                     .i = real ? 0 : strtoll(room, NULL, 10),
                     .f = real ? strtod(room, NULL) : 0};
}

/* The next token. In brackets, closing ones are no end of the tag. */
maas_status jinja_next(compiler *c)
{
    static const char *const two[] = {"==", "!=", "<=", ">=", "//", "**"};
    while (c->at < c->text.n && strchr(" \t\r\n", c->text.p[c->at]))
        c->line += c->text.p[c->at++] == '\n';
    c->tok = (token){.kind = T_END};
    if (c->at == c->text.n)
        return jinja_wrong(c, MAAS_E_INVALID, "a tag without an end");
    const bool inside = c->n_brackets > 1;
    if (jinja_starts(c, "%}") || jinja_starts(c, "-%}") || jinja_starts(c, "+%}") ||
        jinja_starts(c, "-}}") || (jinja_starts(c, "}}") && !inside))
        return MAAS_OK;
    const char ch = c->text.p[c->at];
    if (ch == '\'' || ch == '"')
        return text_token(c);
    if (ch >= '0' && ch <= '9') {
        number_token(c);
        return MAAS_OK;
    }
    size_t n = 1;
    if (is_name(ch, true)) {
        while (c->at + n < c->text.n && is_name(c->text.p[c->at + n], false))
            n++;
        c->tok.kind = T_NAME;
    } else {
        for (size_t i = 0; i < MAAS_COUNT(two); i++)
            n = jinja_starts(c, two[i]) ? 2 : n;
        c->tok.kind = T_OP;
    }
    c->tok.text = (maas_str){c->text.p + c->at, n};
    c->at += n;
    return MAAS_OK;
}

/* ---- expressions ---- */

static maas_status push_op(compiler *c, operator o)
{
    if (c->n_ops == (int32_t)MAAS_COUNT(c->ops))
        return jinja_wrong(c, MAAS_E_TOO_LARGE, "an expression with too many operators");
    c->ops[c->n_ops++] = o;
    return MAAS_OK;
}

/* The code of one operator, whose operands are written. */
static maas_status finish_op(compiler *c)
{
    const operator o = c->ops[--c->n_ops];
    if (o.is_if) { /* `a if b` without else: undefined */
        EMIT(.op = OP_JUMP_UNLESS, .n = o.n_kept + 1);
        for (int32_t i = 0; i < o.n_kept; i++)
            MAAS_TRY(jinja_put_code(c, &o.kept[i]));
        EMIT(.op = OP_JUMP, .n = 1);
        EMIT(.op = OP_CONST);
        return MAAS_OK;
    }
    if (o.op == OP_AND || o.op == OP_OR || o.op == OP_JUMP) {
        jinja_patch(c, o.at);
        return MAAS_OK;
    }
    EMIT(.op = o.op, .text = o.text);
    return MAAS_OK;
}

static maas_status reduce(compiler *c, int level)
{
    const bracket *b = &c->brackets[c->n_brackets - 1];
    while (c->n_ops > b->first_op && c->ops[c->n_ops - 1].level >= level)
        MAAS_TRY(finish_op(c));
    return MAAS_OK;
}

static maas_status open_bracket(compiler *c, bracket_kind kind, maas_str name, bool negated)
{
    if (c->n_brackets == MAX_NEST)
        return jinja_wrong(c, MAAS_E_TOO_LARGE, "brackets are nested too deep");
    c->brackets[c->n_brackets++] = (bracket){
        .kind = kind, .first_op = c->n_ops, .start = c->n, .name = name, .negated = negated};
    return MAAS_OK;
}

enum { L_IF = 0, L_OR, L_AND, L_NOT, L_COMPARE, L_SUM, L_JOIN, L_PRODUCT, L_UNARY, L_POWER };

static const struct {
    const char *text;
    int level;
} binaries[] = {{"==", L_COMPARE}, {"!=", L_COMPARE}, {"<", L_COMPARE}, {">", L_COMPARE},
                {"<=", L_COMPARE}, {">=", L_COMPARE}, {"+", L_SUM},     {"-", L_SUM},
                {"~", L_JOIN},     {"*", L_PRODUCT},  {"/", L_PRODUCT}, {"//", L_PRODUCT},
                {"%", L_PRODUCT},  {"**", L_POWER}};

/* An argument by name, `name=`: is the next thing one? */
static bool is_keyword(const compiler *c)
{
    size_t at = c->at;
    while (at < c->text.n && strchr(" \t\r\n", c->text.p[at]))
        at++;
    return at + 1 < c->text.n && c->text.p[at] == '=' && c->text.p[at + 1] != '=';
}

static maas_status name_operand(compiler *c, bool *operand)
{
    const maas_str s = c->tok.text;
    bracket *b = &c->brackets[c->n_brackets - 1];
    const bool takes_keys = b->kind == B_CALL || b->kind == B_FILTER || b->kind == B_TEST;
    if (jinja_is(s, "not"))
        return push_op(c, (operator){.level = L_NOT, .op = OP_NOT});
    if (takes_keys && c->n_ops == b->first_op && is_keyword(c)) {
        if (b->n_keys == MAX_KEYS)
            return jinja_wrong(c, MAAS_E_TOO_LARGE, "too many arguments");
        b->keys[b->n_keys++] = s;
        return jinja_next(c); /* the = */
    }
    *operand = true;
    if (jinja_is(s, "true") || jinja_is(s, "True") || jinja_is(s, "false") || jinja_is(s, "False"))
        EMIT(.op = OP_CONST, .value = jinja_bool(s.p[0] == 't' || s.p[0] == 'T'));
    else if (jinja_is(s, "none") || jinja_is(s, "None"))
        EMIT(.op = OP_CONST, .value = {.kind = JINJA_NONE});
    else
        EMIT(.op = OP_NAME, .text = s);
    return MAAS_OK;
}

static maas_status close_bracket(compiler *c, char with, bool operand)
{
    MAAS_TRY(reduce(c, L_IF));
    const bracket b = c->brackets[--c->n_brackets];
    const int32_t n = b.n + operand;
    maas_str *keys = b.n_keys ? maas_arena_dup(c->a, b.keys, (size_t)b.n_keys * sizeof *keys)
                              : NULL;
    const char want = b.kind == B_LIST || b.kind == B_ITEM ? ']' : b.kind == B_DICT ? '}' : ')';
    if (with != want || (b.n_keys && !keys))
        return jinja_wrong(c, MAAS_E_INVALID, "'%c' closes nothing", with);
    switch (b.kind) {
    case B_CALL:
        EMIT(.op = OP_CALL, .n = n, .k = b.n_keys, .keys = keys);
        break;
    case B_FILTER:
        EMIT(.op = OP_FILTER, .n = n, .k = b.n_keys, .keys = keys, .text = b.name);
        break;
    case B_TEST:
        EMIT(.op = OP_TEST, .n = n, .text = b.name, .flag = b.negated);
        break;
    case B_LIST:
        EMIT(.op = OP_LIST, .n = n);
        break;
    case B_DICT:
        EMIT(.op = OP_DICT, .n = b.colons);
        break;
    case B_PAREN:
        if (b.n)
            EMIT(.op = OP_LIST, .n = n);
        break;
    default:
        for (int32_t i = b.colons; i && i < 2; i++)
            EMIT(.op = OP_CONST);
        if (b.colons && !operand)
            EMIT(.op = OP_CONST);
        EMIT(.op = b.colons ? OP_SLICE : OP_ITEM);
    }
    return MAAS_OK;
}

static maas_status first_half(compiler *c, bool *operand) /* an operand is due */
{
    const char ch = c->tok.kind == T_OP ? c->tok.text.p[0] : 0;
    bracket *b = &c->brackets[c->n_brackets - 1];
    if (c->tok.kind == T_NAME)
        return name_operand(c, operand);
    if (c->tok.kind == T_TEXT || c->tok.kind == T_INT || c->tok.kind == T_FLOAT) {
        *operand = true;
        EMIT(.op = OP_CONST, .value = c->tok.kind == T_TEXT ? jinja_text(c->tok.text, true)
                                      : c->tok.kind == T_INT
                                          ? jinja_int(c->tok.i)
                                          : (jinja_value){.kind = JINJA_FLOAT, .u.f = c->tok.f});
        return MAAS_OK;
    }
    if (ch == '-')
        return push_op(c, (operator){.level = L_UNARY, .op = OP_NEGATE});
    if (ch == '(' || ch == '[' || ch == '{')
        return open_bracket(c,
                            ch == '('   ? B_PAREN
                            : ch == '[' ? B_LIST
                                        : B_DICT,
                            (maas_str){0}, false);
    if (ch == ':' && b->kind == B_ITEM && b->colons < 2) { /* a[:b] */
        EMIT(.op = OP_CONST);
        b->colons++;
        return MAAS_OK;
    }
    if ((ch == ')' || ch == ']' || ch == '}') && c->n_brackets > 1 && c->n_ops == b->first_op) {
        MAAS_TRY(close_bracket(c, ch, false));
        *operand = true;
        return MAAS_OK;
    }
    return jinja_wrong(c, MAAS_E_INVALID, "a value is missing before '%.*s'", (int)c->tok.text.n,
                       c->tok.text.p ? c->tok.text.p : "");
}

/* `is [not] name [argument]` */
static maas_status test_of(compiler *c)
{
    bool negated = false;
    MAAS_TRY(jinja_next(c));
    if (is_tok(c, T_NAME, "not")) {
        negated = true;
        MAAS_TRY(jinja_next(c));
    }
    const maas_str name = c->tok.text;
    if (c->tok.kind != T_NAME && !is_tok(c, T_OP, "=="))
        return jinja_wrong(c, MAAS_E_INVALID, "the name of a test is missing");
    size_t at = c->at;
    while (at < c->text.n && c->text.p[at] == ' ')
        at++;
    const char ch = at < c->text.n ? c->text.p[at] : 0;
    if (ch == '(') {
        MAAS_TRY(jinja_next(c));
        return open_bracket(c, B_TEST, name, negated);
    }
    if (ch == '\'' || ch == '"' || (ch >= '0' && ch <= '9')) { /* one plain argument */
        bool operand = false;
        MAAS_TRY(jinja_next(c));
        MAAS_TRY(first_half(c, &operand));
        EMIT(.op = OP_TEST, .n = 1, .text = name, .flag = negated);
        return MAAS_OK;
    }
    EMIT(.op = OP_TEST, .text = name, .flag = negated);
    return MAAS_OK;
}

static maas_status filter_of(compiler *c)
{
    MAAS_TRY(jinja_next(c));
    if (c->tok.kind != T_NAME)
        return jinja_wrong(c, MAAS_E_INVALID, "the name of a filter is missing");
    const maas_str name = c->tok.text;
    if (c->at < c->text.n && c->text.p[c->at] == '(') {
        MAAS_TRY(jinja_next(c));
        return open_bracket(c, B_FILTER, name, false);
    }
    EMIT(.op = OP_FILTER, .text = name);
    return MAAS_OK;
}

/* `value if condition`: the value's code goes behind the condition's. */
static maas_status if_of(compiler *c)
{
    MAAS_TRY(reduce(c, L_OR));
    const bracket *b = &c->brackets[c->n_brackets - 1];
    int32_t start = b->start;
    for (int32_t i = c->n_ops; i > b->first_op; i--) /* after an else: only what follows it */
        if (c->ops[i - 1].op == OP_JUMP && !c->ops[i - 1].is_if) {
            start = c->ops[i - 1].at + 1;
            break;
        }
    const int32_t n = c->n - start;
    jinja_code *kept = maas_arena_dup(c->a, c->code + start, (size_t)n * sizeof *kept);
    if (!kept)
        return jinja_wrong(c, MAAS_E_TOO_LARGE, "the template is too long");
    c->n = start;
    return push_op(c, (operator){.level = L_IF, .is_if = true, .kept = kept, .n_kept = n});
}

static maas_status else_of(compiler *c)
{
    const bracket *b = &c->brackets[c->n_brackets - 1];
    MAAS_TRY(reduce(c, L_OR));
    if (c->n_ops == b->first_op || !c->ops[c->n_ops - 1].is_if)
        return jinja_wrong(c, MAAS_E_INVALID, "else without if");
    const operator o = c->ops[--c->n_ops];
    EMIT(.op = OP_JUMP_UNLESS, .n = o.n_kept + 1);
    for (int32_t i = 0; i < o.n_kept; i++)
        MAAS_TRY(jinja_put_code(c, &o.kept[i]));
    const int32_t at = c->n;
    EMIT(.op = OP_JUMP);
    return push_op(c, (operator){.level = L_IF, .op = OP_JUMP, .at = at});
}

static maas_status logic_of(compiler *c, bool and, bool *operand)
{
    MAAS_TRY(reduce(c, and? L_AND : L_OR));
    const int32_t at = c->n;
    EMIT(.op = and? OP_AND : OP_OR);
    *operand = false;
    return push_op(c, (operator){.level = and? L_AND : L_OR, .op = and? OP_AND : OP_OR, .at = at});
}

static maas_status binary_of(compiler *c, int level, maas_str text, bool *operand)
{
    MAAS_TRY(reduce(c, level == L_POWER ? level + 1 : level));
    *operand = false;
    return push_op(c, (operator){.level = level, .op = OP_BINARY, .text = text});
}

static maas_status comma(compiler *c, bool *operand)
{
    bracket *b = &c->brackets[c->n_brackets - 1];
    MAAS_TRY(reduce(c, L_IF));
    b->n++;
    b->start = c->n;
    *operand = false;
    return MAAS_OK;
}

/* A word where an operator is due. */
static maas_status word_operator(compiler *c, bool no_if, bool *operand, bool *done)
{
    const maas_str w = c->tok.text;
    const bool top = c->brackets[c->n_brackets - 1].kind == B_TOP;
    const int32_t depth = c->n_brackets;
    if (jinja_is(w, "and") || jinja_is(w, "or"))
        return logic_of(c, w.p[0] == 'a', operand);
    if (jinja_is(w, "in"))
        return binary_of(c, L_COMPARE, w, operand);
    if (jinja_is(w, "is")) {
        MAAS_TRY(test_of(c));
        *operand = c->n_brackets == depth;
        return MAAS_OK;
    }
    if (jinja_is(w, "not")) {
        MAAS_TRY(jinja_next(c));
        if (!is_tok(c, T_NAME, "in"))
            return jinja_wrong(c, MAAS_E_INVALID, "'not' where an operator belongs");
        return binary_of(c, L_COMPARE, (maas_str){"not in", 6}, operand);
    }
    *operand = false;
    if (jinja_is(w, "if") && !(no_if && top))
        return if_of(c);
    if (jinja_is(w, "else"))
        return else_of(c);
    *operand = *done = true;
    return MAAS_OK;
}

static maas_status sign_operator(compiler *c, bool *operand, bool *done)
{
    bracket *b = &c->brackets[c->n_brackets - 1];
    const char ch = c->tok.text.p[0];
    const bool one = c->tok.text.n == 1, top = b->kind == B_TOP;
    const int32_t depth = c->n_brackets;
    for (size_t i = 0; i < MAAS_COUNT(binaries); i++)
        if (jinja_is(c->tok.text, binaries[i].text))
            return binary_of(c, binaries[i].level, c->tok.text, operand);
    if (one && ch == '.') {
        MAAS_TRY(jinja_next(c));
        if (c->tok.kind != T_NAME)
            return jinja_wrong(c, MAAS_E_INVALID, "the name of an attribute is missing");
        EMIT(.op = OP_ATTR, .text = c->tok.text);
        return MAAS_OK;
    }
    if (one && ch == '|') {
        MAAS_TRY(filter_of(c));
        *operand = c->n_brackets == depth;
        return MAAS_OK;
    }
    if (one && (ch == '(' || ch == '[')) {
        *operand = false;
        return open_bracket(c, ch == '(' ? B_CALL : B_ITEM, (maas_str){0}, false);
    }
    if (one && ch == ',' && !top)
        return comma(c, operand);
    if (one && ch == ':' && (b->kind == B_DICT || (b->kind == B_ITEM && b->colons < 2))) {
        MAAS_TRY(reduce(c, L_IF));
        b->colons++;
        b->start = c->n;
        *operand = false;
        return MAAS_OK;
    }
    if (one && (ch == ')' || ch == ']' || ch == '}') && !top)
        return close_bracket(c, ch, true);
    *done = true;
    return MAAS_OK;
}

/* From c->tok on; what ends it stays in c->tok. no_if: an `if` outside of brackets ends it. */
maas_status jinja_expression(compiler *c, bool no_if)
{
    bool operand = false, done = false;
    c->n_ops = c->n_brackets = 0;
    MAAS_TRY(open_bracket(c, B_TOP, (maas_str){0}, false));
    for (;;) {
        if (!operand)
            MAAS_TRY(first_half(c, &operand));
        else if (c->tok.kind == T_NAME)
            MAAS_TRY(word_operator(c, no_if, &operand, &done));
        else if (c->tok.kind == T_OP)
            MAAS_TRY(sign_operator(c, &operand, &done));
        else
            done = true;
        if (done)
            break;
        MAAS_TRY(jinja_next(c));
    }
    if (c->n_brackets != 1)
        return jinja_wrong(c, MAAS_E_INVALID, "a bracket is not closed");
    MAAS_TRY(reduce(c, L_IF));
    c->n_brackets = 0;
    return MAAS_OK;
}
