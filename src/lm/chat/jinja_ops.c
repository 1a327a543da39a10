/* What instructions do to values: attributes, items, operators, calls. */
#include <math.h>
#include <string.h>

#include "lm/chat/jinja_machine.h"
#include "base/ban.h"

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

maas_status jinja_attr(machine *m, maas_str name, jinja_value *out)
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
    if (name.n > 1 && memcmp(name.p, "__", 2) == 0)
        return maas_fail(m->err, MAAS_E_INVALID, "template, line %u: '%.*s' is no text to be had",
                         m->line, (int)(name.n < 40 ? name.n : 40), name.p);
    if ((jinja_is_dict(&v) || v.kind == JINJA_STRING || v.kind == JINJA_LIST) &&
        jinja_has_method(name)) {
        jinja_value *own = maas_arena_dup(m->a, &v, sizeof v);
        if (!own)
            return jinja_too_much(m);
        *out = (jinja_value){.kind = JINJA_METHOD, .u.method = {own, name}};
    }
    return MAAS_OK;
}

maas_status jinja_item(machine *m, jinja_value *out)
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
maas_status jinja_slice(machine *m, jinja_value *out)
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
        return jinja_too_much(m);
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
    const int64_t n = in->kind == JINJA_UNDEFINED ? 0 : jinja_length(in);
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
        return jinja_too_much(m);
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

maas_status jinja_binary(machine *m, maas_str op, jinja_value *out)
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

jinja_args jinja_args_of(machine *m, const jinja_code *c, const jinja_value *of)
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

maas_status jinja_call(machine *m, const jinja_code *c, jinja_value *out)
{
    const jinja_value f = m->stack[m->sp - c->n - 1];
    const jinja_args x = jinja_args_of(m, c, f.kind == JINJA_METHOD ? f.u.method.of : NULL);
    m->sp--;
    if (f.kind == JINJA_METHOD)
        return jinja_method(f.u.method.name, &x, out, m->err);
    if (f.kind == JINJA_FUNCTION)
        return jinja_function((int)f.u.i, &x, out, m->err);
    return maas_fail(m->err, MAAS_E_UNSUPPORTED, "template, line %u: what is called is no function",
                     m->line);
}

maas_status jinja_collect(machine *m, const jinja_code *c, jinja_value *out)
{
    jinja_list *l = maas_arena_alloc(m->a, sizeof *l);
    jinja_dict *d = maas_arena_alloc(m->a, sizeof *d);
    const int32_t n = c->op == OP_DICT ? 2 * c->n : c->n;
    if (!l || !d)
        return jinja_too_much(m);
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
