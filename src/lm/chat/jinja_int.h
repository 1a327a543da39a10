/*
 * lm/chat/jinja_int.h - shared by the files of this folder only: values, and the program.
 *
 * A program is a list of instructions over a stack of values; jumps are relative, so that code may
 * be moved while it is compiled (the value of `a if b else c` is written before its condition).
 */
#ifndef MAAS_LM_JINJA_INT_H
#define MAAS_LM_JINJA_INT_H

#include "lm/jinja.h"

typedef enum jinja_kind {
    JINJA_UNDEFINED,
    JINJA_NONE,
    JINJA_BOOL,
    JINJA_INT,
    JINJA_FLOAT,
    JINJA_STRING,
    JINJA_LIST, /* made here */
    JINJA_DICT, /* made here: namespace() too */
    JINJA_JSON, /* an array or object of the caller's */
    JINJA_RANGE,
    JINJA_LOOP,   /* `loop` */
    JINJA_METHOD, /* of a value, not called yet */
    JINJA_FUNCTION,
    JINJA_MACRO /* u.i: where its body begins */
} jinja_kind;

typedef struct jinja_value jinja_value;
typedef struct jinja_list {
    jinja_value *at;
    uint32_t n, cap;
} jinja_list;
typedef struct jinja_dict {
    jinja_value *keys, *values; /* in the order they came */
    uint32_t n, cap;
} jinja_dict;
struct jinja_value {
    uint8_t kind;
    bool trusted; /* STRING: all of it, when map is NULL; JSON: the strings in it */
    union {
        bool b;
        int64_t i; /* INT; LOOP: which; FUNCTION: which */
        double f;
        struct {
            const char *p;
            const uint8_t *map; /* [n] a byte's trust; NULL: all are as `trusted` */
            size_t n;
        } s;
        jinja_list *list;
        jinja_dict *dict;
        const json_t *json;
        struct {
            int64_t from, to, step;
        } range;
        struct {
            const jinja_value *of;
            maas_str name;
        } method;
    } u;
};

typedef enum jinja_op {
    OP_TEXT,   /* text: to the output                                   */
    OP_EMIT,   /* pop: to the output                                    */
    OP_CONST,  /* value                                                 */
    OP_NAME,   /* text                                                  */
    OP_ATTR,   /* text: pop, push its attribute                         */
    OP_ITEM,   /* pop index and value                                   */
    OP_SLICE,  /* pop step, end, start, value (undefined: not given)    */
    OP_CALL,   /* n arguments, of which k by name: pop them and the callee */
    OP_FILTER, /* text; n, k as CALL                                    */
    OP_TEST,   /* text; n arguments; flag: not                          */
    OP_LIST,   /* n                                                     */
    OP_DICT,   /* n pairs                                               */
    OP_NOT,
    OP_NEGATE,
    OP_BINARY, /* text: the operator                                    */
    OP_JUMP,   /* n: from the next instruction on                       */
    OP_JUMP_UNLESS,
    OP_AND, /* top is false: keep it and jump; else pop              */
    OP_OR,
    OP_FOR,      /* pop what is walked; n: to behind the loop when empty; k: names in `names` */
    OP_NEXT,     /* n: back to the body while there is more               */
    OP_LEAVE,    /* the innermost loop goes on with the next; flag: it ends      */
    OP_KEEP,     /* the element at hand goes to the list under the innermost loop        */
    OP_SET,      /* text: pop into a variable                             */
    OP_SET_ATTR, /* pop value and namespace; text: attribute             */
    OP_CAPTURE,  /* output goes aside                                    */
    OP_CAPTURED, /* push what went aside                                 */
    OP_MACRO,    /* text: a macro of the code that follows; n: over it; k: parameters, `keys` */
    OP_GIVEN,    /* text: a parameter; when the call gave it, jump n           */
    OP_RETURN    /* of a macro: push what it wrote, go on behind the call      */
} jinja_op;

typedef struct jinja_code {
    uint8_t op;
    bool flag;
    int32_t n, k;
    uint32_t line;
    maas_str text;
    maas_str names[2]; /* of FOR; of CALL: see `keys` */
    maas_str *keys;    /* [k] of CALL, FILTER and MACRO */
    jinja_value value;
} jinja_code;

struct maas_jinja {
    maas_arena arena;
    jinja_code *code;
    uint32_t n;
};

/* ---- values (jinja_value.c) ---- */
enum {
    JINJA_MAX_STACK = 4096,
    JINJA_MAX_STEPS = 4 << 20,
    JINJA_MAX_NEST = 64,
    JINJA_MAX_CALLS = 64 /* of macros in macros */
};
#define JINJA_MAX_BYTES ((size_t)64 << 20) /* of all values of a run, output included */

jinja_value jinja_text(maas_str s, bool trusted);
jinja_value jinja_bool(bool b);
jinja_value jinja_int(int64_t i);
jinja_value jinja_of_json(const json_t *j, bool trusted);
bool jinja_truth(const jinja_value *v);
bool jinja_equal(const jinja_value *a, const jinja_value *b);
bool jinja_is_list(const jinja_value *v);
bool jinja_is_dict(const jinja_value *v);
int64_t jinja_length(const jinja_value *v); /* -1: it has none */
/* Element i of what can be walked (a dict: its keys; a string: its characters). */
maas_status jinja_element(maas_arena *a, const jinja_value *v, int64_t i, jinja_value *out,
                          maas_err *err);
/* What is walked element by element: of a dict its keys, in one pass; a long text is refused, whose
 * characters are found by counting. */
maas_status jinja_walkable(maas_arena *a, const jinja_value *v, jinja_value *out, maas_err *err);
bool jinja_dict_get(const jinja_value *v, maas_str key, jinja_value *out);
maas_status jinja_dict_put(maas_arena *a, jinja_dict *d, jinja_value key, jinja_value value,
                           maas_err *err);
maas_status jinja_list_add(maas_arena *a, jinja_list *l, jinja_value v, maas_err *err);
/* As Python prints it. */
maas_status jinja_to_text(maas_arena *a, const jinja_value *v, jinja_value *out, maas_err *err);
maas_status jinja_join_texts(maas_arena *a, const jinja_value *parts, uint32_t n, jinja_value *out,
                             maas_err *err);
jinja_value jinja_cut(const jinja_value *s, size_t from, size_t to); /* bytes of a string */
maas_status jinja_tojson(maas_arena *a, const jinja_value *v, int indent, jinja_value *out,
                         maas_err *err);
static inline maas_str jinja_str(const jinja_value *v)
{
    return (maas_str){v->u.s.p, v->u.s.n};
}
static inline bool jinja_is(maas_str s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

/* ---- functions (jinja_filters.c, jinja_functions.c) ---- */
typedef struct jinja_args {
    maas_arena *a;
    const jinja_value *of; /* what is filtered, whose method it is */
    const jinja_value *at; /* [n], those by name last */
    const maas_str *keys;  /* [n_keys] */
    int n, n_keys;
    int64_t now;
} jinja_args;
const jinja_value *jinja_arg(const jinja_args *x, int i, const char *name); /* NULL: not given */
maas_status jinja_filter(maas_str name, const jinja_args *x, jinja_value *out, maas_err *err);
bool jinja_has_method(maas_str name);
maas_status jinja_method(maas_str name, const jinja_args *x, jinja_value *out, maas_err *err);
maas_status jinja_test(maas_str name, const jinja_args *x, bool *out, maas_err *err);
int jinja_function_of(maas_str name); /* -1 */
maas_status jinja_function(int which, const jinja_args *x, jinja_value *out, maas_err *err);

#endif
