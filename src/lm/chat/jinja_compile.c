/*
 * A template to a program: text, tags and blocks. Blocks lie on a stack, brackets of expressions
 * (jinja_expr.c) on another: nothing recurses, however deep a template nests.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "lm/chat/jinja_compiler.h"
#include "base/ban.h"

/* ---- words ---- */

maas_status jinja_wrong(const compiler *c, maas_status st, const char *fmt, ...)
{
    char words[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    return maas_fail(c->err, st, "template, line %u: %s", c->line, words);
}

maas_status jinja_put_code(compiler *c, const jinja_code *i)
{
    if (c->n == c->cap) {
        const int32_t cap = c->cap ? 2 * c->cap : 256;
        jinja_code *more = cap <= MAX_CODE ? maas_arena_array(c->a, (size_t)cap, sizeof *more)
                                           : NULL;
        if (!more)
            return jinja_wrong(c, MAAS_E_TOO_LARGE, "the template is too long");
        if (c->n)
            memcpy(more, c->code, (size_t)c->n * sizeof *more);
        c->code = more;
        c->cap = cap;
    }
    c->code[c->n] = *i;
    c->code[c->n++].line = c->line;
    return MAAS_OK;
}

void jinja_patch(compiler *c, int32_t at) /* jumps to what comes next */
{
    c->code[at].n = c->n - at - 1;
}

/* ---- statements ---- */

static maas_status open_block(compiler *c, block_kind kind)
{
    if (c->n_blocks == MAX_NEST)
        return jinja_wrong(c, MAAS_E_TOO_LARGE, "blocks are nested too deep");
    c->blocks[c->n_blocks++] = (block){.kind = kind, .test = -1};
    return MAAS_OK;
}

static maas_status top_block(compiler *c, block_kind kind, const char *what, block **out)
{
    *out = c->n_blocks ? &c->blocks[c->n_blocks - 1] : NULL;
    return *out && (*out)->kind == kind ? MAAS_OK
                                        : jinja_wrong(c, MAAS_E_INVALID, "'%s' out of place", what);
}

static maas_status test_jump(compiler *c, block *b)
{
    MAAS_TRY(jinja_next(c));
    MAAS_TRY(jinja_expression(c, false));
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
        return jinja_wrong(c, MAAS_E_INVALID, "too many branches");
    b->ends[b->n_ends++] = c->n;
    EMIT(.op = OP_JUMP);
    jinja_patch(c, b->test);
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
    return jinja_next(c);
}

static maas_status s_endif(compiler *c)
{
    block *b;
    MAAS_TRY(top_block(c, K_IF, "endif", &b));
    if (b->test >= 0)
        jinja_patch(c, b->test);
    for (int32_t i = 0; i < b->n_ends; i++)
        jinja_patch(c, b->ends[i]);
    c->n_blocks--;
    return jinja_next(c);
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
    MAAS_TRY(jinja_put_code(c, names));
    MAAS_TRY(jinja_next(c));
    MAAS_TRY(jinja_expression(c, true));
    EMIT(.op = OP_JUMP_UNLESS, .n = 1);
    EMIT(.op = OP_KEEP);
    EMIT(.op = OP_NEXT);
    jinja_patch(c, loop);
    return MAAS_OK;
}

static maas_status s_for(compiler *c)
{
    jinja_code loop = {.op = OP_FOR};
    MAAS_TRY(open_block(c, K_FOR));
    for (;;) {
        MAAS_TRY(jinja_next(c));
        if (c->tok.kind != T_NAME || loop.k == 2)
            return jinja_wrong(c, MAAS_E_INVALID, "for needs one name or two");
        loop.names[loop.k++] = c->tok.text;
        MAAS_TRY(jinja_next(c));
        if (!is_tok(c, T_OP, ","))
            break;
    }
    if (!is_tok(c, T_NAME, "in"))
        return jinja_wrong(c, MAAS_E_INVALID, "for without in");
    MAAS_TRY(jinja_next(c));
    const int32_t start = c->n;
    MAAS_TRY(jinja_expression(c, true));
    if (is_tok(c, T_NAME, "if"))
        MAAS_TRY(filter_loop(c, &loop, start));
    if (c->tok.kind == T_NAME)
        return jinja_wrong(c, MAAS_E_UNSUPPORTED, "for with '%.*s'", (int)c->tok.text.n,
                           c->tok.text.p);
    c->blocks[c->n_blocks - 1].loop = c->n;
    return jinja_put_code(c, &loop);
}

static maas_status s_endfor(compiler *c)
{
    block *b;
    MAAS_TRY(top_block(c, K_FOR, "endfor", &b));
    EMIT(.op = OP_NEXT, .n = b->loop - c->n);
    jinja_patch(c, b->loop);
    c->n_blocks--;
    return jinja_next(c);
}

/* The innermost loop: out of it, or on with the next. */
static maas_status leave_loop(compiler *c, bool out)
{
    EMIT(.op = OP_LEAVE, .flag = out);
    return jinja_next(c);
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
    MAAS_TRY(jinja_next(c));
    name = c->tok.text;
    if (c->tok.kind != T_NAME)
        return jinja_wrong(c, MAAS_E_INVALID, "set without a name");
    MAAS_TRY(jinja_next(c));
    if (is_tok(c, T_OP, ".")) {
        MAAS_TRY(jinja_next(c));
        attr = c->tok.text;
        EMIT(.op = OP_NAME, .text = name);
        MAAS_TRY(jinja_next(c));
    }
    if (is_tok(c, T_OP, "=")) {
        MAAS_TRY(jinja_next(c));
        MAAS_TRY(jinja_expression(c, false));
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
    return jinja_next(c);
}

/* A parameter, and what it is when a call does not give it. */
static maas_status parameter(compiler *c, jinja_code *macro)
{
    const maas_str name = c->tok.text;
    if (c->tok.kind != T_NAME || macro->k == MAX_KEYS)
        return jinja_wrong(c, MAAS_E_INVALID, "a macro takes up to %d names", MAX_KEYS);
    macro->keys[macro->k++] = name;
    const int32_t given = c->n;
    EMIT(.op = OP_GIVEN, .text = name);
    MAAS_TRY(jinja_next(c));
    if (is_tok(c, T_OP, "=")) {
        MAAS_TRY(jinja_next(c));
        MAAS_TRY(jinja_expression(c, false));
    } else {
        EMIT(.op = OP_CONST);
    }
    EMIT(.op = OP_SET, .text = name);
    jinja_patch(c, given);
    return MAAS_OK;
}

static maas_status s_macro(compiler *c)
{
    MAAS_TRY(open_block(c, K_MACRO));
    MAAS_TRY(jinja_next(c));
    jinja_code macro = {.op = OP_MACRO, .text = c->tok.text};
    if (c->tok.kind != T_NAME)
        return jinja_wrong(c, MAAS_E_INVALID, "a macro without a name");
    macro.keys = maas_arena_array(c->a, MAX_KEYS, sizeof *macro.keys);
    if (!macro.keys)
        return jinja_wrong(c, MAAS_E_NOMEM, "a macro");
    const int32_t at = c->blocks[c->n_blocks - 1].loop = c->n;
    MAAS_TRY(jinja_put_code(c, &macro));
    MAAS_TRY(jinja_next(c));
    if (!is_tok(c, T_OP, "("))
        return jinja_wrong(c, MAAS_E_INVALID, "'(' is missing");
    do {
        MAAS_TRY(jinja_next(c));
        if (is_tok(c, T_OP, ")"))
            break;
        MAAS_TRY(parameter(c, &macro));
    } while (is_tok(c, T_OP, ","));
    if (!is_tok(c, T_OP, ")"))
        return jinja_wrong(c, MAAS_E_INVALID, "')' is missing");
    c->code[at].k = macro.k;
    return jinja_next(c);
}

static maas_status s_endmacro(compiler *c)
{
    block *b;
    MAAS_TRY(top_block(c, K_MACRO, "endmacro", &b));
    EMIT(.op = OP_RETURN);
    jinja_patch(c, b->loop);
    c->n_blocks--;
    MAAS_TRY(jinja_next(c));
    return c->tok.kind == T_NAME ? jinja_next(c) : MAAS_OK; /* its name may stand there again */
}

/* What the model says is marked for training: nothing to do. */
static maas_status s_generation(compiler *c)
{
    return jinja_next(c);
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
                  {"macro", s_macro},
                  {"endmacro", s_endmacro},
                  {"break", s_break},
                  {"continue", s_continue},
                  {"generation", s_generation},
                  {"endgeneration", s_generation}};

static maas_status statement(compiler *c)
{
    MAAS_TRY(jinja_next(c));
    if (c->tok.kind != T_NAME)
        return jinja_wrong(c, MAAS_E_INVALID, "a tag without a name");
    for (size_t i = 0; i < MAAS_COUNT(statements); i++)
        if (jinja_is(c->tok.text, statements[i].name))
            return statements[i].fn(c);
    return jinja_wrong(c, MAAS_E_UNSUPPORTED, "the tag '%.*s' is not known", (int)c->tok.text.n,
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
    if (!jinja_starts(c, end))
        return jinja_wrong(c, MAAS_E_INVALID, "'%s' is missing", end);
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
    while (c->at < c->text.n && !jinja_starts(c, "#}") && !jinja_starts(c, "-#}") &&
           !jinja_starts(c, "+#}"))
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
        MAAS_TRY(jinja_next(c));
        MAAS_TRY(jinja_expression(c, false));
        EMIT(.op = OP_EMIT);
    }
    if (c->tok.kind != T_END)
        return jinja_wrong(c, MAAS_E_INVALID, "'%.*s' is not understood", (int)c->tok.text.n,
                           c->tok.text.p ? c->tok.text.p : "");
    return end_tag(c, kind == '%' ? "%}" : "}}", kind == '{');
}

static maas_status compile_all(compiler *c)
{
    if (c->text.n > MAX_TEMPLATE)
        return jinja_wrong(c, MAAS_E_TOO_LARGE, "a template of %zu bytes", c->text.n);
    if (c->text.n && c->text.p[c->text.n - 1] == '\n') /* keep_trailing_newline is off */
        c->text.n--;
    while (c->at < c->text.n) {
        MAAS_TRY(plain_text(c, find_tag(c)));
        if (c->at < c->text.n)
            MAAS_TRY(tag(c));
    }
    return c->n_blocks ? jinja_wrong(c, MAAS_E_INVALID, "a block is not ended") : MAAS_OK;
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
