/* lm/chat/jinja_compiler.h - shared by jinja_compile.c (tags and blocks) and jinja_expr.c alone. */
#ifndef MAAS_LM_JINJA_COMPILER_H
#define MAAS_LM_JINJA_COMPILER_H

#include "lm/chat/jinja_int.h"

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

typedef enum block_kind { K_IF, K_FOR, K_SET, K_MACRO } block_kind;
typedef struct block {
    block_kind kind;
    int32_t test;             /* jump when the condition is false; -1 */
    int32_t ends[64], n_ends; /* jumps to the end of an if */
    int32_t loop;             /* OP_FOR, OP_MACRO */
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

__attribute__((format(printf, 3, 4))) maas_status jinja_wrong(const compiler *c, maas_status st,
                                                              const char *fmt, ...);
maas_status jinja_put_code(compiler *c, const jinja_code *i);
void jinja_patch(compiler *c, int32_t at); /* jumps to what comes next */
maas_status jinja_next(compiler *c);       /* the next token of a tag, into c->tok */
/* From c->tok on; what ends it stays in c->tok. no_if: an `if` outside of brackets ends it. */
maas_status jinja_expression(compiler *c, bool no_if);
bool jinja_starts(const compiler *c, const char *s); /* is s what comes next in the text? */

#define EMIT(...) MAAS_TRY(jinja_put_code(c, &(jinja_code){__VA_ARGS__}))

static inline bool is_tok(const compiler *c, token_kind k, const char *s)
{
    return c->tok.kind == k && jinja_is(c->tok.text, s);
}

#endif
