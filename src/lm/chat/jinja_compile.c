/*
 * A template to a program. Expressions are read with a stack of operators and a stack of brackets,
 * statements with a stack of blocks: nothing recurses, however deep a template nests.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lm/chat/jinja_int.h"
#include "base/ban.h"

enum { MAX_NEST = JINJA_MAX_NEST, MAX_CODE = 1 << 18, MAX_KEYS = 16, MAX_TEMPLATE = 4 << 20 };

typedef enum token_kind { T_END, T_NAME, T_TEXT, T_INT, T_FLOAT, T_OP } token_kind;
typedef struct token {
    token_kind kind;
    maas_str text;
    int64_t i;
    double f;
} token;

typedef struct operator
{
    int level; /* binds the tighter, the higher */
    uint8_t op;
    maas_str text;
    int32_t at;       /* of the jump to patch */
    jinja_code *kept; /* of `a if`: the code of a */
    int32_t n_kept;
    bool is_if;
}
operator;

typedef enum bracket_kind {
    B_TOP,
    B_PAREN,
    B_CALL,
    B_FILTER,
    B_TEST,
    B_ITEM,
    B_LIST,
    B_DICT
} bracket_kind;
typedef struct bracket {
    bracket_kind kind;
    int32_t first_op, start; /* operators and code before it */
    int32_t n, colons;
    maas_str name, keys[MAX_KEYS];
    int32_t n_keys;
    bool negated;
} bracket;

typedef enum block_kind { K_IF, K_FOR, K_SET, K_GENERATION } block_kind;
typedef struct block {
    block_kind kind;
    int32_t test;             /* jump when the condition is false; -1 */
    int32_t ends[64], n_ends; /* jumps to the end of an if */
    int32_t loop;             /* OP_FOR */
    bool has_else;
    maas_str name;
} block;

typedef struct compiler {
    maas_arena *a;
    maas_str text;
    size_t at;
    uint32_t line;
    jinja_code *code;
    int32_t n, cap;
    operator ops[MAX_NEST * 4];
    int32_t n_ops;
    bracket brackets[MAX_NEST];
    int32_t n_brackets;
    block blocks[MAX_NEST];
    int32_t n_blocks;
    token tok; /* looked at, not taken */
    maas_err *err;
} compiler;

/* ---- words ---- */

__attribute__((format(printf, 3, 4))) static maas_status wrong(const compiler *c, maas_status st,
                                                               const char *fmt, ...)
{
    char words[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    return maas_fail(c->err, st, "template, line %u: %s", c->line, words);
}

static maas_status emit(compiler *c, const jinja_code *i)
{
    if (c->n == c->cap) {
        const int32_t cap = c->cap ? 2 * c->cap : 256;
        jinja_code *more = cap <= MAX_CODE ? maas_arena_array(c->a, (size_t)cap, sizeof *more)
                                           : NULL;
        if (!more)
            return wrong(c, MAAS_E_TOO_LARGE, "the template is too long");
        if (c->n)
            memcpy(more, c->code, (size_t)c->n * sizeof *more);
        c->code = more;
        c->cap = cap;
    }
    c->code[c->n] = *i;
    c->code[c->n++].line = c->line;
    return MAAS_OK;
}

#define EMIT(...) MAAS_TRY(emit(c, &(jinja_code){__VA_ARGS__}))

static void patch(compiler *c, int32_t at) /* jumps to what comes next */
{
    c->code[at].n = c->n - at - 1;
}

/* ---- tokens of a tag ---- */

static bool is_name(char ch, bool first)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_' ||
           (!first && ch >= '0' && ch <= '9');
}

static bool starts(const compiler *c, const char *s)
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
        return wrong(c, MAAS_E_TOO_LARGE, "the template is too long");
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
        return wrong(c, MAAS_E_INVALID, "a text without an end");
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
static maas_status next(compiler *c)
{
    static const char *const two[] = {"==", "!=", "<=", ">=", "//", "**"};
    while (c->at < c->text.n && strchr(" \t\r\n", c->text.p[c->at]))
        c->line += c->text.p[c->at++] == '\n';
    c->tok = (token){.kind = T_END};
    if (c->at == c->text.n)
        return wrong(c, MAAS_E_INVALID, "a tag without an end");
    const bool inside = c->n_brackets > 1;
    if (starts(c, "%}") || starts(c, "-%}") || starts(c, "+%}") || starts(c, "-}}") ||
        (starts(c, "}}") && !inside))
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
            n = starts(c, two[i]) ? 2 : n;
        c->tok.kind = T_OP;
    }
    c->tok.text = (maas_str){c->text.p + c->at, n};
    c->at += n;
    return MAAS_OK;
}

static bool is_tok(const compiler *c, token_kind k, const char *s)
{
    return c->tok.kind == k && jinja_is(c->tok.text, s);
}

/* ---- expressions ---- */

static maas_status push_op(compiler *c, operator o)
{
    if (c->n_ops == (int32_t)MAAS_COUNT(c->ops))
        return wrong(c, MAAS_E_TOO_LARGE, "an expression with too many operators");
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
            MAAS_TRY(emit(c, &o.kept[i]));
        EMIT(.op = OP_JUMP, .n = 1);
        EMIT(.op = OP_CONST);
        return MAAS_OK;
    }
    if (o.op == OP_AND || o.op == OP_OR || o.op == OP_JUMP) {
        patch(c, o.at);
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
        return wrong(c, MAAS_E_TOO_LARGE, "brackets are nested too deep");
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
            return wrong(c, MAAS_E_TOO_LARGE, "too many arguments");
        b->keys[b->n_keys++] = s;
        return next(c); /* the = */
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
        return wrong(c, MAAS_E_INVALID, "'%c' closes nothing", with);
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
    return wrong(c, MAAS_E_INVALID, "a value is missing before '%.*s'", (int)c->tok.text.n,
                 c->tok.text.p ? c->tok.text.p : "");
}

/* `is [not] name [argument]` */
static maas_status test_of(compiler *c)
{
    bool negated = false;
    MAAS_TRY(next(c));
    if (is_tok(c, T_NAME, "not")) {
        negated = true;
        MAAS_TRY(next(c));
    }
    const maas_str name = c->tok.text;
    if (c->tok.kind != T_NAME && !is_tok(c, T_OP, "=="))
        return wrong(c, MAAS_E_INVALID, "the name of a test is missing");
    size_t at = c->at;
    while (at < c->text.n && c->text.p[at] == ' ')
        at++;
    const char ch = at < c->text.n ? c->text.p[at] : 0;
    if (ch == '(') {
        MAAS_TRY(next(c));
        return open_bracket(c, B_TEST, name, negated);
    }
    if (ch == '\'' || ch == '"' || (ch >= '0' && ch <= '9')) { /* one plain argument */
        bool operand = false;
        MAAS_TRY(next(c));
        MAAS_TRY(first_half(c, &operand));
        EMIT(.op = OP_TEST, .n = 1, .text = name, .flag = negated);
        return MAAS_OK;
    }
    EMIT(.op = OP_TEST, .text = name, .flag = negated);
    return MAAS_OK;
}

static maas_status filter_of(compiler *c)
{
    MAAS_TRY(next(c));
    if (c->tok.kind != T_NAME)
        return wrong(c, MAAS_E_INVALID, "the name of a filter is missing");
    const maas_str name = c->tok.text;
    if (c->at < c->text.n && c->text.p[c->at] == '(') {
        MAAS_TRY(next(c));
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
        return wrong(c, MAAS_E_TOO_LARGE, "the template is too long");
    c->n = start;
    return push_op(c, (operator){.level = L_IF, .is_if = true, .kept = kept, .n_kept = n});
}

static maas_status else_of(compiler *c)
{
    const bracket *b = &c->brackets[c->n_brackets - 1];
    MAAS_TRY(reduce(c, L_OR));
    if (c->n_ops == b->first_op || !c->ops[c->n_ops - 1].is_if)
        return wrong(c, MAAS_E_INVALID, "else without if");
    const operator o = c->ops[--c->n_ops];
    EMIT(.op = OP_JUMP_UNLESS, .n = o.n_kept + 1);
    for (int32_t i = 0; i < o.n_kept; i++)
        MAAS_TRY(emit(c, &o.kept[i]));
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
        MAAS_TRY(next(c));
        if (!is_tok(c, T_NAME, "in"))
            return wrong(c, MAAS_E_INVALID, "'not' where an operator belongs");
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
        MAAS_TRY(next(c));
        if (c->tok.kind != T_NAME)
            return wrong(c, MAAS_E_INVALID, "the name of an attribute is missing");
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
static maas_status expression(compiler *c, bool no_if)
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
        MAAS_TRY(next(c));
    }
    if (c->n_brackets != 1)
        return wrong(c, MAAS_E_INVALID, "a bracket is not closed");
    MAAS_TRY(reduce(c, L_IF));
    c->n_brackets = 0;
    return MAAS_OK;
}

/* ---- statements ---- */

static maas_status open_block(compiler *c, block_kind kind)
{
    if (c->n_blocks == MAX_NEST)
        return wrong(c, MAAS_E_TOO_LARGE, "blocks are nested too deep");
    c->blocks[c->n_blocks++] = (block){.kind = kind, .test = -1};
    return MAAS_OK;
}

static maas_status top_block(compiler *c, block_kind kind, const char *what, block **out)
{
    *out = c->n_blocks ? &c->blocks[c->n_blocks - 1] : NULL;
    return *out && (*out)->kind == kind ? MAAS_OK
                                        : wrong(c, MAAS_E_INVALID, "'%s' out of place", what);
}

static maas_status test_jump(compiler *c, block *b)
{
    MAAS_TRY(next(c));
    MAAS_TRY(expression(c, false));
    b->test = c->n;
    EMIT(.op = OP_JUMP_UNLESS);
    return MAAS_OK;
}

static maas_status s_if(compiler *c)
{
    MAAS_TRY(open_block(c, K_IF));
    return test_jump(c, &c->blocks[c->n_blocks - 1]);
}

/* The branch before it ends: to the end of all. */
static maas_status end_branch(compiler *c, block *b)
{
    if (b->has_else || b->n_ends == (int32_t)MAAS_COUNT(b->ends))
        return wrong(c, MAAS_E_INVALID, "too many branches");
    b->ends[b->n_ends++] = c->n;
    EMIT(.op = OP_JUMP);
    patch(c, b->test);
    b->test = -1;
    return MAAS_OK;
}

static maas_status s_elif(compiler *c)
{
    block *b;
    MAAS_TRY(top_block(c, K_IF, "elif", &b));
    MAAS_TRY(end_branch(c, b));
    return test_jump(c, b);
}

static maas_status s_else(compiler *c)
{
    block *b;
    MAAS_TRY(top_block(c, K_IF, "else", &b));
    MAAS_TRY(end_branch(c, b));
    b->has_else = true;
    return next(c);
}

static maas_status s_endif(compiler *c)
{
    block *b;
    MAAS_TRY(top_block(c, K_IF, "endif", &b));
    if (b->test >= 0)
        patch(c, b->test);
    for (int32_t i = 0; i < b->n_ends; i++)
        patch(c, b->ends[i]);
    c->n_blocks--;
    return next(c);
}

/* `for x in all if test`: a loop of its own gathers what is walked; the code of `all` starts at
 * `start` and moves on by one, for the list to be under it. */
static maas_status filter_loop(compiler *c, const jinja_code *names, int32_t start)
{
    const jinja_code list = {.op = OP_LIST, .line = c->line};
    EMIT(.op = OP_LIST);
    memmove(&c->code[start + 1], &c->code[start], (size_t)(c->n - start - 1) * sizeof *c->code);
    c->code[start] = list;
    const int32_t loop = c->n;
    MAAS_TRY(emit(c, names));
    MAAS_TRY(next(c));
    MAAS_TRY(expression(c, true));
    EMIT(.op = OP_JUMP_UNLESS, .n = 1);
    EMIT(.op = OP_KEEP);
    EMIT(.op = OP_NEXT);
    patch(c, loop);
    return MAAS_OK;
}

static maas_status s_for(compiler *c)
{
    jinja_code loop = {.op = OP_FOR};
    MAAS_TRY(open_block(c, K_FOR));
    for (;;) {
        MAAS_TRY(next(c));
        if (c->tok.kind != T_NAME || loop.k == 2)
            return wrong(c, MAAS_E_INVALID, "for needs one name or two");
        loop.names[loop.k++] = c->tok.text;
        MAAS_TRY(next(c));
        if (!is_tok(c, T_OP, ","))
            break;
    }
    if (!is_tok(c, T_NAME, "in"))
        return wrong(c, MAAS_E_INVALID, "for without in");
    MAAS_TRY(next(c));
    const int32_t start = c->n;
    MAAS_TRY(expression(c, true));
    if (is_tok(c, T_NAME, "if"))
        MAAS_TRY(filter_loop(c, &loop, start));
    if (c->tok.kind == T_NAME)
        return wrong(c, MAAS_E_UNSUPPORTED, "for with '%.*s'", (int)c->tok.text.n, c->tok.text.p);
    c->blocks[c->n_blocks - 1].loop = c->n;
    return emit(c, &loop);
}

static maas_status s_endfor(compiler *c)
{
    block *b;
    MAAS_TRY(top_block(c, K_FOR, "endfor", &b));
    EMIT(.op = OP_NEXT, .n = b->loop - c->n);
    patch(c, b->loop);
    c->n_blocks--;
    return next(c);
}

/* The innermost loop: out of it, or on with the next. */
static maas_status leave_loop(compiler *c, bool out)
{
    EMIT(.op = OP_LEAVE, .flag = out);
    return next(c);
}
static maas_status s_break(compiler *c)
{
    return leave_loop(c, true);
}
static maas_status s_continue(compiler *c)
{
    return leave_loop(c, false);
}

static maas_status s_set(compiler *c)
{
    maas_str name, attr = {0};
    MAAS_TRY(next(c));
    name = c->tok.text;
    if (c->tok.kind != T_NAME)
        return wrong(c, MAAS_E_INVALID, "set without a name");
    MAAS_TRY(next(c));
    if (is_tok(c, T_OP, ".")) {
        MAAS_TRY(next(c));
        attr = c->tok.text;
        EMIT(.op = OP_NAME, .text = name);
        MAAS_TRY(next(c));
    }
    if (is_tok(c, T_OP, "=")) {
        MAAS_TRY(next(c));
        MAAS_TRY(expression(c, false));
        EMIT(.op = attr.n ? OP_SET_ATTR : OP_SET, .text = attr.n ? attr : name);
        return MAAS_OK;
    }
    MAAS_TRY(open_block(c, K_SET));
    c->blocks[c->n_blocks - 1].name = name;
    EMIT(.op = OP_CAPTURE);
    return MAAS_OK;
}

static maas_status s_endset(compiler *c)
{
    block *b;
    MAAS_TRY(top_block(c, K_SET, "endset", &b));
    EMIT(.op = OP_CAPTURED);
    EMIT(.op = OP_SET, .text = b->name);
    c->n_blocks--;
    return next(c);
}

/* What the model says is marked for training: nothing to do. */
static maas_status s_generation(compiler *c)
{
    return next(c);
}

static const struct {
    const char *name;
    maas_status (*fn)(compiler *c);
} statements[] = {{"if", s_if},
                  {"elif", s_elif},
                  {"else", s_else},
                  {"endif", s_endif},
                  {"for", s_for},
                  {"endfor", s_endfor},
                  {"set", s_set},
                  {"endset", s_endset},
                  {"break", s_break},
                  {"continue", s_continue},
                  {"generation", s_generation},
                  {"endgeneration", s_generation}};

static maas_status statement(compiler *c)
{
    MAAS_TRY(next(c));
    if (c->tok.kind != T_NAME)
        return wrong(c, MAAS_E_INVALID, "a tag without a name");
    for (size_t i = 0; i < MAAS_COUNT(statements); i++)
        if (jinja_is(c->tok.text, statements[i].name))
            return statements[i].fn(c);
    return wrong(c, MAAS_E_UNSUPPORTED, "the tag '%.*s' is not known", (int)c->tok.text.n,
                 c->tok.text.p);
}

/* ---- text between tags ---- */

/* Where the next tag begins; text.n: there is none. */
static size_t find_tag(const compiler *c)
{
    for (size_t i = c->at; i + 1 < c->text.n; i++)
        if (c->text.p[i] == '{' && strchr("{%#", c->text.p[i + 1]) && c->text.p[i + 1])
            return i;
    return c->text.n;
}

static bool is_blank(char ch)
{
    return ch == ' ' || (ch >= '\t' && ch <= '\r');
}

/* The text up to a tag: what the tag takes away before it is gone. */
static maas_status plain_text(compiler *c, size_t tag)
{
    size_t to = tag;
    const bool is_tag = tag < c->text.n, value = is_tag && c->text.p[tag + 1] == '{';
    const char sign = is_tag && tag + 2 < c->text.n ? c->text.p[tag + 2] : 0;
    if (is_tag && sign == '-') {
        while (to > c->at && is_blank(c->text.p[to - 1]))
            to--;
    } else if (is_tag && !value && sign != '+') { /* lstrip_blocks */
        while (to > c->at && (c->text.p[to - 1] == ' ' || c->text.p[to - 1] == '\t'))
            to--;
        if (to > 0 && c->text.p[to - 1] != '\n')
            to = tag;
    }
    if (to > c->at)
        EMIT(.op = OP_TEXT, .text = {c->text.p + c->at, to - c->at});
    for (size_t i = c->at; i < tag; i++)
        c->line += c->text.p[i] == '\n';
    c->at = tag;
    return MAAS_OK;
}

/* Behind a tag: -} takes white space, %} one line break (trim_blocks). */
static maas_status end_tag(compiler *c, const char *end, bool value)
{
    bool all = false, none = false;
    while (c->at < c->text.n && is_blank(c->text.p[c->at]))
        c->line += c->text.p[c->at++] == '\n';
    if (c->at < c->text.n && (c->text.p[c->at] == '-' || c->text.p[c->at] == '+')) {
        all = c->text.p[c->at] == '-';
        none = !all;
        c->at++;
    }
    if (!starts(c, end))
        return wrong(c, MAAS_E_INVALID, "'%s' is missing", end);
    c->at += 2;
    while (all && c->at < c->text.n && is_blank(c->text.p[c->at]))
        c->line += c->text.p[c->at++] == '\n';
    if (!all && !none && !value && c->at < c->text.n && c->text.p[c->at] == '\n') {
        c->at++;
        c->line++;
    }
    return MAAS_OK;
}

static maas_status comment(compiler *c)
{
    while (c->at < c->text.n && !starts(c, "#}") && !starts(c, "-#}") && !starts(c, "+#}"))
        c->line += c->text.p[c->at++] == '\n';
    return end_tag(c, "#}", false);
}

static maas_status tag(compiler *c)
{
    const char kind = c->text.p[c->at + 1];
    c->at += 2;
    if (kind == '#')
        return comment(c);
    if (c->at < c->text.n && (c->text.p[c->at] == '-' || c->text.p[c->at] == '+'))
        c->at++;
    if (kind == '%') {
        MAAS_TRY(statement(c));
    } else {
        MAAS_TRY(next(c));
        MAAS_TRY(expression(c, false));
        EMIT(.op = OP_EMIT);
    }
    if (c->tok.kind != T_END)
        return wrong(c, MAAS_E_INVALID, "'%.*s' is not understood", (int)c->tok.text.n,
                     c->tok.text.p ? c->tok.text.p : "");
    return end_tag(c, kind == '%' ? "%}" : "}}", kind == '{');
}

static maas_status compile_all(compiler *c)
{
    if (c->text.n > MAX_TEMPLATE)
        return wrong(c, MAAS_E_TOO_LARGE, "a template of %zu bytes", c->text.n);
    if (c->text.n && c->text.p[c->text.n - 1] == '\n') /* keep_trailing_newline is off */
        c->text.n--;
    while (c->at < c->text.n) {
        MAAS_TRY(plain_text(c, find_tag(c)));
        if (c->at < c->text.n)
            MAAS_TRY(tag(c));
    }
    return c->n_blocks ? wrong(c, MAAS_E_INVALID, "a block is not ended") : MAAS_OK;
}

maas_status maas_jinja_compile(maas_str text, maas_budget *budget, maas_jinja **out, maas_err *err)
{
    maas_jinja *j = maas_calloc(1, sizeof *j);
    compiler *c = maas_calloc(1, sizeof *c);
    maas_status st = MAAS_E_NOMEM;
    if (j && c) {
        maas_arena_init(&j->arena, budget);
        const char *own = maas_arena_dup(&j->arena, text.p, text.n);
        *c = (compiler){.a = &j->arena, .text = {own, text.n}, .line = 1, .err = err};
        st = own ? compile_all(c) : MAAS_E_NOMEM;
        j->code = c->code;
        j->n = (uint32_t)c->n;
    }
    maas_free(c);
    if (st == MAAS_OK) {
        *out = j;
        return st;
    }
    maas_jinja_destroy(j);
    return st == MAAS_E_NOMEM ? maas_fail(err, st, "a chat template") : st;
}

void maas_jinja_destroy(maas_jinja *j)
{
    if (!j)
        return;
    maas_arena_reset(&j->arena);
    maas_free(j);
}
