/* The machine: a stack of values, a stack of loops, variables by scope. Every step is counted. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "lm/chat/jinja_int.h"
#include "base/ban.h"

typedef struct variable {
    maas_str name;
    jinja_value value;
} variable;

typedef struct loop {
    jinja_value of;
    int64_t i, n;
    const jinja_code *code; /* the FOR */
    uint32_t scope;         /* variables before it */
    int32_t sp;
} loop;

typedef struct piece_list {
    maas_text_piece *at;
    uint32_t n, cap;
} piece_list;

typedef struct machine {
    const maas_jinja *j;
    const json_t *vars;
    const char *const *trusted;
    int64_t now;
    maas_arena *a;
    jinja_value stack[JINJA_MAX_STACK];
    int32_t sp;
    variable *variables;
    uint32_t n_variables, cap_variables;
    loop loops[JINJA_MAX_NEST];
    int32_t n_loops;
    jinja_list out; /* texts */
    jinja_list aside[JINJA_MAX_NEST];
    int32_t n_aside;
    uint64_t steps;
    uint32_t line;
    maas_err *err;
} machine;

static maas_status too_much(const machine *m)
{
    return maas_fail(m->err, MAAS_E_TOO_LARGE, "template, line %u: it makes more than %zu MiB",
                     m->line, JINJA_MAX_BYTES >> 20);
}

static maas_status push(machine *m, jinja_value v)
{
    if (m->sp == JINJA_MAX_STACK)
        return maas_fail(m->err, MAAS_E_TOO_LARGE, "template, line %u: too deep", m->line);
    m->stack[m->sp++] = v;
    return MAAS_OK;
}

static jinja_value pop(machine *m)
{
    MAAS_ASSERT(m->sp > 0);
    return m->stack[--m->sp];
}

/* ---- output ---- */

static maas_status put(machine *m, jinja_value text)
{
    jinja_list *l = m->n_aside ? &m->aside[m->n_aside - 1] : &m->out;
    return text.u.s.n ? jinja_list_add(m->a, l, text, m->err) : MAAS_OK;
}

static maas_status put_value(machine *m, const jinja_value *v)
{
    jinja_value text;
    MAAS_TRY(jinja_to_text(m->a, v, &text, m->err));
    return put(m, text);
}

/* ---- names ---- */

static bool is_trusted(const machine *m, maas_str name)
{
    for (const char *const *p = m->trusted; p && *p; p++)
        if (jinja_is(name, *p))
            return true;
    return false;
}

static jinja_value value_of(const machine *m, maas_str name)
{
    char key[128];
    for (uint32_t i = m->n_variables; i-- > 0;)
        if (m->variables[i].name.n == name.n && memcmp(m->variables[i].name.p, name.p, name.n) == 0)
            return m->variables[i].value;
    if (m->n_loops && jinja_is(name, "loop"))
        return (jinja_value){.kind = JINJA_LOOP, .u.i = m->n_loops - 1};
    if (name.n < sizeof key) {
        memcpy(key, name.p, name.n);
        key[name.n] = '\0';
        const json_t *j = json_object_get(m->vars, key);
        if (j)
            return jinja_of_json(j, is_trusted(m, name));
    }
    const int f = jinja_function_of(name);
    return f >= 0 ? (jinja_value){.kind = JINJA_FUNCTION, .u.i = f}
                  : (jinja_value){.kind = JINJA_UNDEFINED};
}

/* In the scope that is open: the loop's, else the whole template's. */
static maas_status set_variable(machine *m, maas_str name, jinja_value v)
{
    const uint32_t from = m->n_loops ? m->loops[m->n_loops - 1].scope : 0;
    for (uint32_t i = from; i < m->n_variables; i++)
        if (m->variables[i].name.n == name.n &&
            memcmp(m->variables[i].name.p, name.p, name.n) == 0) {
            m->variables[i].value = v;
            return MAAS_OK;
        }
    if (m->n_variables == m->cap_variables) {
        const uint32_t cap = m->cap_variables ? 2 * m->cap_variables : 32;
        variable *more = maas_arena_array(m->a, cap, sizeof *more);
        if (!more)
            return too_much(m);
        if (m->n_variables)
            memcpy(more, m->variables, m->n_variables * sizeof *more);
        m->variables = more;
        m->cap_variables = cap;
    }
    m->variables[m->n_variables++] = (variable){name, v};
    return MAAS_OK;
}

/* ---- attributes and items ---- */

static maas_status loop_attr(const machine *m, const jinja_value *v, maas_str name,
                             jinja_value *out)
{
    const loop *l = &m->loops[v->u.i];
    *out = (jinja_value){.kind = JINJA_UNDEFINED};
    if (jinja_is(name, "index"))
        *out = jinja_int(l->i + 1);
    else if (jinja_is(name, "index0"))
        *out = jinja_int(l->i);
    else if (jinja_is(name, "revindex"))
        *out = jinja_int(l->n - l->i);
    else if (jinja_is(name, "revindex0"))
        *out = jinja_int(l->n - l->i - 1);
    else if (jinja_is(name, "first"))
        *out = jinja_bool(l->i == 0);
    else if (jinja_is(name, "last"))
        *out = jinja_bool(l->i == l->n - 1);
    else if (jinja_is(name, "length"))
        *out = jinja_int(l->n);
    else if (jinja_is(name, "previtem") && l->i > 0)
        return jinja_element(m->a, &l->of, l->i - 1, out, m->err);
    else if (jinja_is(name, "nextitem") && l->i + 1 < l->n)
        return jinja_element(m->a, &l->of, l->i + 1, out, m->err);
    return MAAS_OK;
}

static bool is_method_of_dict(maas_str name)
{
    return jinja_is(name, "items") || jinja_is(name, "keys") || jinja_is(name, "values") ||
           jinja_is(name, "get");
}

static maas_status undefined(const machine *m, const char *what)
{
    return maas_fail(m->err, MAAS_E_INVALID, "template, line %u: %s of what is not defined",
                     m->line, what);
}

static maas_status attr(machine *m, maas_str name, jinja_value *out)
{
    const jinja_value v = pop(m);
    *out = (jinja_value){.kind = JINJA_UNDEFINED};
    if (v.kind == JINJA_UNDEFINED)
        return undefined(m, "an attribute");
    if (v.kind == JINJA_LOOP)
        return loop_attr(m, &v, name, out);
    if (jinja_is_dict(&v) && !is_method_of_dict(name)) {
        jinja_dict_get(&v, name, out);
        return MAAS_OK;
    }
    if (jinja_is_dict(&v) || v.kind == JINJA_STRING || v.kind == JINJA_LIST) {
        jinja_value *own = maas_arena_dup(m->a, &v, sizeof v);
        if (!own)
            return too_much(m);
        *out = (jinja_value){.kind = JINJA_METHOD, .u.method = {own, name}};
    }
    return MAAS_OK;
}

static maas_status item(machine *m, jinja_value *out)
{
    const jinja_value k = pop(m), v = pop(m);
    *out = (jinja_value){.kind = JINJA_UNDEFINED};
    if (v.kind == JINJA_UNDEFINED)
        return undefined(m, "an item");
    if (jinja_is_dict(&v)) {
        if (k.kind == JINJA_STRING)
            jinja_dict_get(&v, jinja_str(&k), out);
        return MAAS_OK;
    }
    const int64_t n = jinja_length(&v);
    const int64_t i = k.kind == JINJA_INT ? k.u.i + (k.u.i < 0 ? n : 0) : -1;
    return n >= 0 && i >= 0 && i < n ? jinja_element(m->a, &v, i, out, m->err) : MAAS_OK;
}

static int64_t bound(const jinja_value *v, int64_t n, int64_t otherwise)
{
    if (v->kind != JINJA_INT)
        return otherwise;
    const int64_t i = v->u.i < 0 ? v->u.i + n : v->u.i;
    return i < 0 ? 0 : i > n ? n : i;
}

/* Steps of 1, and [::-1] of a list. */
static maas_status slice(machine *m, jinja_value *out)
{
    const jinja_value step = pop(m), end = pop(m), start = pop(m), v = pop(m);
    const int64_t n = jinja_length(&v);
    const bool back = step.kind == JINJA_INT && step.u.i == -1;
    if (n < 0 || (step.kind == JINJA_INT && step.u.i != 1 && !back) ||
        (back && (start.kind == JINJA_INT || end.kind == JINJA_INT)))
        return maas_fail(m->err, MAAS_E_UNSUPPORTED, "template, line %u: such a slice", m->line);
    const int64_t from = bound(&start, n, 0), to = bound(&end, n, n);
    jinja_list *l = maas_arena_alloc(m->a, sizeof *l);
    if (!l)
        return too_much(m);
    for (int64_t i = from; i < to; i++) {
        jinja_value e;
        m->steps++;
        MAAS_TRY(jinja_element(m->a, &v, back ? n - 1 - i : i, &e, m->err));
        MAAS_TRY(jinja_list_add(m->a, l, e, m->err));
    }
    if (v.kind == JINJA_STRING)
        return jinja_join_texts(m->a, l->at, l->n, out, m->err);
    *out = (jinja_value){.kind = JINJA_LIST, .u.list = l};
    return MAAS_OK;
}

/* ---- operators ---- */

static bool number(const jinja_value *v, double *out)
{
    *out = v->kind == JINJA_INT ? (double)v->u.i : v->u.f;
    return v->kind == JINJA_INT || v->kind == JINJA_FLOAT;
}

static maas_status contains(const machine *m, const jinja_value *x, const jinja_value *in,
                            bool *out)
{
    *out = false;
    if (in->kind == JINJA_STRING && x->kind == JINJA_STRING) {
        *out = x->u.s.n == 0 || memmem(in->u.s.p, in->u.s.n, x->u.s.p, x->u.s.n) != NULL;
        return MAAS_OK;
    }
    jinja_value ignored;
    if (jinja_is_dict(in)) {
        *out = x->kind == JINJA_STRING && jinja_dict_get(in, jinja_str(x), &ignored);
        return MAAS_OK;
    }
    const int64_t n = jinja_length(in);
    if (n < 0)
        return maas_fail(m->err, MAAS_E_INVALID, "template, line %u: 'in' what is no list",
                         m->line);
    for (int64_t i = 0; i < n && !*out; i++) {
        jinja_value v;
        MAAS_TRY(jinja_element(m->a, in, i, &v, m->err));
        *out = jinja_equal(&v, x);
    }
    return MAAS_OK;
}

static int order_of(const jinja_value *a, const jinja_value *b)
{
    double x, y;
    if (number(a, &x) && number(b, &y))
        return x < y ? -1 : x > y;
    const size_t n = a->u.s.n < b->u.s.n ? a->u.s.n : b->u.s.n;
    const int c = a->kind == JINJA_STRING && b->kind == JINJA_STRING ? memcmp(a->u.s.p, b->u.s.p, n)
                                                                     : 0;
    return c ? c : a->u.s.n < b->u.s.n ? -1 : a->u.s.n > b->u.s.n;
}

static maas_status joined(machine *m, const jinja_value *a, const jinja_value *b, jinja_value *out)
{
    jinja_value both[2];
    MAAS_TRY(jinja_to_text(m->a, a, &both[0], m->err));
    MAAS_TRY(jinja_to_text(m->a, b, &both[1], m->err));
    return jinja_join_texts(m->a, both, 2, out, m->err);
}

static maas_status lists_joined(machine *m, const jinja_value *a, const jinja_value *b,
                                jinja_value *out)
{
    jinja_list *l = maas_arena_alloc(m->a, sizeof *l);
    const jinja_value *both[] = {a, b};
    if (!l)
        return too_much(m);
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0, n = jinja_length(both[k]); i < n; i++) {
            jinja_value v;
            MAAS_TRY(jinja_element(m->a, both[k], i, &v, m->err));
            MAAS_TRY(jinja_list_add(m->a, l, v, m->err));
        }
    *out = (jinja_value){.kind = JINJA_LIST, .u.list = l};
    return MAAS_OK;
}

static maas_status arithmetic(machine *m, maas_str op, const jinja_value *a, const jinja_value *b,
                              jinja_value *out)
{
    double x, y, r;
    const bool whole = a->kind == JINJA_INT && b->kind == JINJA_INT && !jinja_is(op, "/");
    if (!number(a, &x) || !number(b, &y))
        return maas_fail(m->err, MAAS_E_INVALID, "template, line %u: '%.*s' of what is no number",
                         m->line, (int)op.n, op.p);
    if (y == 0 && (op.p[0] == '/' || op.p[0] == '%'))
        return maas_fail(m->err, MAAS_E_INVALID, "template, line %u: division by zero", m->line);
    r = op.p[0] == '+'       ? x + y
        : op.p[0] == '-'     ? x - y
        : jinja_is(op, "**") ? pow(x, y)
        : op.p[0] == '*'     ? x * y
        : jinja_is(op, "//") ? floor(x / y)
        : op.p[0] == '%'     ? x - floor(x / y) * y
                             : x / y;
    *out = whole && fabs(r) < 0x1p53 ? jinja_int((int64_t)r)
                                     : (jinja_value){.kind = JINJA_FLOAT, .u.f = r};
    return MAAS_OK;
}

static maas_status binary(machine *m, maas_str op, jinja_value *out)
{
    const jinja_value b = pop(m), a = pop(m);
    bool yes;
    if (jinja_is(op, "==") || jinja_is(op, "!=")) {
        *out = jinja_bool(jinja_equal(&a, &b) == (op.p[0] == '='));
        return MAAS_OK;
    }
    if (jinja_is(op, "in") || jinja_is(op, "not in")) {
        MAAS_TRY(contains(m, &a, &b, &yes));
        *out = jinja_bool(yes == (op.n == 2));
        return MAAS_OK;
    }
    if (op.p[0] == '<' || op.p[0] == '>') {
        const int c = op.p[0] == '<' ? order_of(&a, &b) : order_of(&b, &a);
        *out = jinja_bool(op.n == 2 ? c <= 0 : c < 0);
        return MAAS_OK;
    }
    if (op.p[0] == '~')
        return joined(m, &a, &b, out);
    if (op.p[0] == '+' && a.kind == JINJA_STRING && b.kind == JINJA_STRING)
        return joined(m, &a, &b, out);
    if (op.p[0] == '+' && jinja_is_list(&a) && jinja_is_list(&b))
        return lists_joined(m, &a, &b, out);
    return arithmetic(m, op, &a, &b, out);
}

/* ---- calls ---- */

static jinja_args args_of(machine *m, const jinja_code *c, const jinja_value *of)
{
    m->sp -= c->n;
    return (jinja_args){.a = m->a,
                        .of = of,
                        .at = m->stack + m->sp,
                        .keys = c->keys,
                        .n = c->n,
                        .n_keys = c->k,
                        .now = m->now};
}

static maas_status call(machine *m, const jinja_code *c, jinja_value *out)
{
    const jinja_value f = m->stack[m->sp - c->n - 1];
    const jinja_args x = args_of(m, c, f.kind == JINJA_METHOD ? f.u.method.of : NULL);
    m->sp--;
    if (f.kind == JINJA_METHOD)
        return jinja_method(f.u.method.name, &x, out, m->err);
    if (f.kind == JINJA_FUNCTION)
        return jinja_function((int)f.u.i, &x, out, m->err);
    return maas_fail(m->err, MAAS_E_UNSUPPORTED, "template, line %u: what is called is no function",
                     m->line);
}

static maas_status collected(machine *m, const jinja_code *c, jinja_value *out)
{
    jinja_list *l = maas_arena_alloc(m->a, sizeof *l);
    jinja_dict *d = maas_arena_alloc(m->a, sizeof *d);
    const int32_t n = c->op == OP_DICT ? 2 * c->n : c->n;
    if (!l || !d)
        return too_much(m);
    m->sp -= n;
    for (int32_t i = 0; i < n; i++)
        if (c->op == OP_LIST)
            MAAS_TRY(jinja_list_add(m->a, l, m->stack[m->sp + i], m->err));
        else if (i % 2)
            MAAS_TRY(jinja_dict_put(m->a, d, m->stack[m->sp + i - 1], m->stack[m->sp + i], m->err));
    *out = c->op == OP_LIST ? (jinja_value){.kind = JINJA_LIST, .u.list = l}
                            : (jinja_value){.kind = JINJA_DICT, .u.dict = d};
    return MAAS_OK;
}

/* ---- loops ---- */

/* Names take the element at hand; two names take the two parts of it. */
static maas_status take_element(machine *m, loop *l)
{
    jinja_value v, part;
    m->n_variables = l->scope;
    MAAS_TRY(jinja_element(m->a, &l->of, l->i, &v, m->err));
    if (l->code->k == 1)
        return set_variable(m, l->code->names[0], v);
    if (jinja_length(&v) != 2)
        return maas_fail(m->err, MAAS_E_INVALID, "template, line %u: two names for one value",
                         m->line);
    for (int k = 0; k < 2; k++) {
        MAAS_TRY(jinja_element(m->a, &v, k, &part, m->err));
        MAAS_TRY(set_variable(m, l->code->names[k], part));
    }
    return MAAS_OK;
}

static maas_status begin_loop(machine *m, const jinja_code *c, uint32_t *pc)
{
    const jinja_value of = pop(m);
    const int64_t n = of.kind == JINJA_UNDEFINED ? 0 : jinja_length(&of);
    if (n < 0)
        return maas_fail(m->err, MAAS_E_INVALID, "template, line %u: a loop over no list", m->line);
    if (n == 0) {
        *pc += (uint32_t)c->n;
        return MAAS_OK;
    }
    if (m->n_loops == JINJA_MAX_NEST)
        return maas_fail(m->err, MAAS_E_TOO_LARGE, "template, line %u: too deep", m->line);
    m->loops[m->n_loops++] = (loop){
        .of = of, .n = n, .code = c, .scope = m->n_variables, .sp = m->sp};
    return take_element(m, &m->loops[m->n_loops - 1]);
}

/* pc: behind the NEXT of the loop, or into its body. */
static maas_status next_round(machine *m, bool end, uint32_t *pc)
{
    loop *l = &m->loops[m->n_loops - 1];
    const uint32_t at = (uint32_t)(l->code - m->j->code) + 1;
    if (!end && ++l->i < l->n) {
        *pc = at;
        m->sp = l->sp;
        return take_element(m, l);
    }
    m->n_variables = l->scope;
    m->sp = l->sp;
    *pc = at + (uint32_t)l->code->n;
    m->n_loops--;
    return MAAS_OK;
}

/* ---- the machine ---- */

static maas_status set_attr(machine *m, maas_str name)
{
    const jinja_value v = pop(m), ns = pop(m);
    if (ns.kind != JINJA_DICT)
        return maas_fail(m->err, MAAS_E_INVALID, "template, line %u: only of a namespace", m->line);
    return jinja_dict_put(m->a, ns.u.dict, jinja_text(name, true), v, m->err);
}

static maas_status captured(machine *m, jinja_value *out)
{
    const jinja_list l = m->aside[--m->n_aside];
    return jinja_join_texts(m->a, l.at, l.n, out, m->err);
}

static maas_status step(machine *m, const jinja_code *c, uint32_t *pc)
{
    jinja_value v = {0};
    bool yes;
    switch ((jinja_op)c->op) {
    case OP_TEXT:
        return put(m, jinja_text(c->text, true));
    case OP_EMIT:
        v = pop(m);
        return put_value(m, &v);
    case OP_CONST:
        return push(m, c->value);
    case OP_NAME:
        return push(m, value_of(m, c->text));
    case OP_ATTR:
        MAAS_TRY(attr(m, c->text, &v));
        return push(m, v);
    case OP_ITEM:
        MAAS_TRY(item(m, &v));
        return push(m, v);
    case OP_SLICE:
        MAAS_TRY(slice(m, &v));
        return push(m, v);
    case OP_CALL:
        MAAS_TRY(call(m, c, &v));
        return push(m, v);
    case OP_FILTER: {
        const jinja_value of = m->stack[m->sp - c->n - 1];
        const jinja_args x = args_of(m, c, &of);
        m->sp--;
        MAAS_TRY(jinja_filter(c->text, &x, &v, m->err));
        return push(m, v);
    }
    case OP_TEST: {
        const jinja_value of = m->stack[m->sp - c->n - 1];
        const jinja_args x = args_of(m, c, &of);
        m->sp--;
        MAAS_TRY(jinja_test(c->text, &x, &yes, m->err));
        return push(m, jinja_bool(yes != c->flag));
    }
    case OP_LIST:
    case OP_DICT:
        MAAS_TRY(collected(m, c, &v));
        return push(m, v);
    case OP_NOT:
        v = pop(m);
        return push(m, jinja_bool(!jinja_truth(&v)));
    case OP_NEGATE:
        v = pop(m);
        v.u.i = v.kind == JINJA_INT ? -v.u.i : v.u.i;
        v.u.f = v.kind == JINJA_FLOAT ? -v.u.f : v.u.f;
        return push(m, v);
    case OP_BINARY:
        MAAS_TRY(binary(m, c->text, &v));
        return push(m, v);
    case OP_JUMP:
        *pc += (uint32_t)c->n;
        return MAAS_OK;
    case OP_JUMP_UNLESS:
        v = pop(m);
        *pc += jinja_truth(&v) ? 0 : (uint32_t)c->n;
        return MAAS_OK;
    case OP_AND:
    case OP_OR:
        yes = jinja_truth(&m->stack[m->sp - 1]);
        if (yes == (c->op == OP_OR))
            *pc += (uint32_t)c->n;
        else
            m->sp--;
        return MAAS_OK;
    case OP_FOR:
        return begin_loop(m, c, pc);
    case OP_NEXT:
        return next_round(m, false, pc);
    case OP_LEAVE:
        return m->n_loops ? next_round(m, c->flag, pc)
                          : maas_fail(m->err, MAAS_E_INVALID, "template, line %u: no loop to leave",
                                      m->line);
    case OP_KEEP:
        MAAS_TRY(jinja_element(m->a, &m->loops[m->n_loops - 1].of, m->loops[m->n_loops - 1].i, &v,
                               m->err));
        return jinja_list_add(m->a, m->stack[m->loops[m->n_loops - 1].sp - 1].u.list, v, m->err);
    case OP_SET:
        return set_variable(m, c->text, pop(m));
    case OP_SET_ATTR:
        return set_attr(m, c->text);
    case OP_CAPTURE:
        if (m->n_aside == JINJA_MAX_NEST)
            return maas_fail(m->err, MAAS_E_TOO_LARGE, "template, line %u: too deep", m->line);
        m->aside[m->n_aside++] = (jinja_list){0};
        return MAAS_OK;
    case OP_CAPTURED:
        MAAS_TRY(captured(m, &v));
        return push(m, v);
    default:
        return maas_fail(m->err, MAAS_E_INTERNAL, "an instruction that is none");
    }
}

/* ---- pieces: runs of bytes of one trust ---- */

static maas_status add_piece(machine *m, piece_list *l, maas_str text, bool trusted)
{
    if (l->n == l->cap) {
        const uint32_t cap = l->cap ? 2 * l->cap : 32;
        maas_text_piece *more = maas_arena_array(m->a, cap, sizeof *more);
        if (!more)
            return too_much(m);
        if (l->n)
            memcpy(more, l->at, l->n * sizeof *more);
        l->at = more;
        l->cap = cap;
    }
    l->at[l->n++] = (maas_text_piece){text, trusted};
    return MAAS_OK;
}

static maas_status to_pieces(machine *m, maas_rendered *out)
{
    jinja_value all;
    piece_list l = {0};
    MAAS_TRY(jinja_join_texts(m->a, m->out.at, m->out.n, &all, m->err));
    for (size_t from = 0, to; from < all.u.s.n; from = to) {
        const uint8_t *map = all.u.s.map;
        for (to = from + 1; map && to < all.u.s.n && map[to] == map[from];)
            to++;
        to = map ? to : all.u.s.n;
        MAAS_TRY(add_piece(m, &l, (maas_str){all.u.s.p + from, to - from},
                           map ? map[from] != 0 : all.trusted));
    }
    out->pieces = l.at;
    out->n = l.n;
    return MAAS_OK;
}

static maas_status run(machine *m)
{
    for (uint32_t pc = 0; pc < m->j->n;) {
        const jinja_code *c = &m->j->code[pc++];
        m->line = c->line;
        if (++m->steps > JINJA_MAX_STEPS)
            return maas_fail(m->err, MAAS_E_TOO_LARGE,
                             "template, line %u: it takes more than %d "
                             "steps",
                             m->line, JINJA_MAX_STEPS);
        MAAS_TRY(step(m, c, &pc));
    }
    return MAAS_OK;
}

maas_status maas_jinja_render(const maas_jinja *j, const json_t *vars, const char *const *trusted,
                              int64_t now, maas_rendered *out, maas_err *err)
{
    maas_budget *budget = maas_calloc(1, sizeof *budget);
    machine *m = maas_calloc(1, sizeof *m);
    maas_status st = MAAS_E_NOMEM;
    *out = (maas_rendered){0};
    if (budget && m) {
        budget->limit = JINJA_MAX_BYTES;
        maas_arena_init(&out->arena, budget);
        *m = (machine){
            .j = j, .vars = vars, .trusted = trusted, .now = now, .a = &out->arena, .err = err};
        st = run(m);
        if (st == MAAS_OK)
            st = to_pieces(m, out);
    }
    maas_free(m);
    if (!budget || st == MAAS_OK) {
        out->budget = budget;
        return budget ? st : maas_fail(err, st, "a chat template");
    }
    maas_arena_reset(&out->arena);
    maas_free(budget);
    *out = (maas_rendered){0};
    return st;
}

void maas_rendered_reset(maas_rendered *r)
{
    maas_arena_reset(&r->arena);
    maas_free(r->budget);
    *r = (maas_rendered){0};
}
