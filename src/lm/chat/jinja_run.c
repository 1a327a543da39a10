/* The machine: a stack of values, a stack of loops, variables by scope. Every step is counted. */
#include <string.h>

#include "base/mem.h"
#include "lm/chat/jinja_machine.h"
#include "base/ban.h"

maas_status jinja_too_much(const machine *m)
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

/* Of variables [from, to), the last of that name. */
static const variable *find(const machine *m, uint32_t from, uint32_t to, maas_str name)
{
    for (uint32_t i = to; i-- > from;)
        if (m->variables[i].name.n == name.n && memcmp(m->variables[i].name.p, name.p, name.n) == 0)
            return &m->variables[i];
    return NULL;
}

/* A macro sees its own variables and those of the template, not those of loops it is called in. */
static uint32_t outermost(const machine *m)
{
    const uint32_t n = m->n_frames ? m->frames[0].scope : m->n_variables;
    return m->n_frames && m->frames[0].n_loops ? m->loops[0].scope : n;
}

static jinja_value value_of(const machine *m, maas_str name)
{
    char key[128];
    const frame f = jinja_frame(m);
    const variable *v = find(m, f.scope, m->n_variables, name);
    if (!v && m->n_frames)
        v = find(m, 0, outermost(m), name);
    if (v)
        return v->value;
    if (m->n_loops > f.n_loops && jinja_is(name, "loop"))
        return (jinja_value){.kind = JINJA_LOOP, .u.i = m->n_loops - 1};
    if (name.n < sizeof key) {
        memcpy(key, name.p, name.n);
        key[name.n] = '\0';
        const json_t *j = json_object_get(m->vars, key);
        if (j)
            return jinja_of_json(j, is_trusted(m, name));
    }
    const int known = jinja_function_of(name);
    return known >= 0 ? (jinja_value){.kind = JINJA_FUNCTION, .u.i = known}
                      : (jinja_value){.kind = JINJA_UNDEFINED};
}

/* In the scope that is open: the loop's, else the macro's or the whole template's. */
maas_status jinja_set(machine *m, maas_str name, jinja_value v)
{
    const frame f = jinja_frame(m);
    const uint32_t from = m->n_loops > f.n_loops ? m->loops[m->n_loops - 1].scope : f.scope;
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
            return jinja_too_much(m);
        if (m->n_variables)
            memcpy(more, m->variables, m->n_variables * sizeof *more);
        m->variables = more;
        m->cap_variables = cap;
    }
    m->variables[m->n_variables++] = (variable){name, v};
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
        return jinja_set(m, l->code->names[0], v);
    if (jinja_length(&v) != 2)
        return maas_fail(m->err, MAAS_E_INVALID, "template, line %u: two names for one value",
                         m->line);
    for (int k = 0; k < 2; k++) {
        MAAS_TRY(jinja_element(m->a, &v, k, &part, m->err));
        MAAS_TRY(jinja_set(m, l->code->names[k], part));
    }
    return MAAS_OK;
}

static maas_status begin_loop(machine *m, const jinja_code *c, uint32_t *pc)
{
    const jinja_value given = pop(m);
    jinja_value of;
    MAAS_TRY(jinja_walkable(m->a, &given, &of, m->err));
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

/* What an instruction takes from the stack: what compiles may be anything, what runs may not. */
static int32_t operands(const jinja_code *c)
{
    switch ((jinja_op)c->op) {
    case OP_EMIT:
    case OP_ATTR:
    case OP_NOT:
    case OP_NEGATE:
    case OP_JUMP_UNLESS:
    case OP_AND:
    case OP_OR:
    case OP_FOR:
    case OP_SET:
        return 1;
    case OP_ITEM:
    case OP_BINARY:
    case OP_SET_ATTR:
        return 2;
    case OP_SLICE:
        return 4;
    case OP_CALL:
    case OP_FILTER:
    case OP_TEST:
        return c->n + 1;
    case OP_LIST:
        return c->n;
    case OP_DICT:
        return 2 * c->n;
    default:
        return 0;
    }
}

/* Long texts cost more than a step each time they are looked through. */
static uint64_t price(const machine *m, const jinja_code *c)
{
    uint64_t bytes = 0;
    for (int32_t i = 0; i < operands(c) && i < 8; i++) {
        const jinja_value *v = &m->stack[m->sp - 1 - i];
        const jinja_value *of = v->kind == JINJA_METHOD ? v->u.method.of : v;
        bytes += of->kind == JINJA_STRING ? of->u.s.n : 0;
    }
    return 1 + bytes / 256;
}

static maas_status check_step(const machine *m, const jinja_code *c)
{
    const frame f = jinja_frame(m);
    const loop *l = m->n_loops > f.n_loops ? &m->loops[m->n_loops - 1] : NULL;
    const bool needs_loop = c->op == OP_NEXT || c->op == OP_KEEP || c->op == OP_LEAVE;
    const bool keeps = c->op != OP_KEEP ||
                       (l && l->sp > 0 && m->stack[l->sp - 1].kind == JINJA_LIST);
    if (operands(c) <= m->sp - f.sp &&
        c->k <= (c->op == OP_FOR ? 2
                 : c->n < 0      ? 0
                                 : c->n) &&
        (l || !needs_loop) && keeps &&
        (m->n_aside > f.n_aside + (m->n_frames > 0) || c->op != OP_CAPTURED) &&
        (m->n_frames || (c->op != OP_RETURN && c->op != OP_GIVEN)))
        return MAAS_OK;
    return maas_fail(m->err, MAAS_E_INVALID, "template, line %u: it is not understood", m->line);
}

static jinja_value negated(jinja_value v)
{
    if (v.kind == JINJA_FLOAT)
        v.u.f = -v.u.f;
    else if (v.kind == JINJA_INT)
        v.u.i = (int64_t)(0 - (uint64_t)v.u.i);
    return v;
}

static maas_status step_of_macro(machine *m, const jinja_code *c, uint32_t *pc)
{
    jinja_value v = {.kind = JINJA_MACRO, .u.i = *pc - 1};
    switch ((jinja_op)c->op) {
    case OP_MACRO:
        *pc += (uint32_t)c->n;
        return jinja_set(m, c->text, v);
    case OP_GIVEN:
        *pc += jinja_is_given(m, c->text) ? (uint32_t)c->n : 0;
        return MAAS_OK;
    case OP_RETURN:
        MAAS_TRY(jinja_return(m, pc, &v));
        return push(m, v);
    default:
        return maas_fail(m->err, MAAS_E_INTERNAL, "an instruction that is none");
    }
}

/* long: a row for each instruction. */
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
        MAAS_TRY(jinja_attr(m, c->text, &v));
        return push(m, v);
    case OP_ITEM:
        MAAS_TRY(jinja_item(m, &v));
        return push(m, v);
    case OP_SLICE:
        MAAS_TRY(jinja_slice(m, &v));
        return push(m, v);
    case OP_CALL:
        if (jinja_calls_macro(m, c))
            return jinja_enter(m, c, pc);
        MAAS_TRY(jinja_call(m, c, &v));
        return push(m, v);
    case OP_FILTER: {
        const jinja_value of = m->stack[m->sp - c->n - 1];
        const jinja_args x = jinja_args_of(m, c, &of);
        m->sp--;
        MAAS_TRY(jinja_filter(c->text, &x, &v, m->err));
        return push(m, v);
    }
    case OP_TEST: {
        const jinja_value of = m->stack[m->sp - c->n - 1];
        const jinja_args x = jinja_args_of(m, c, &of);
        m->sp--;
        MAAS_TRY(jinja_test(c->text, &x, &yes, m->err));
        return push(m, jinja_bool(yes != c->flag));
    }
    case OP_LIST:
    case OP_DICT:
        MAAS_TRY(jinja_collect(m, c, &v));
        return push(m, v);
    case OP_NOT:
        v = pop(m);
        return push(m, jinja_bool(!jinja_truth(&v)));
    case OP_NEGATE:
        return push(m, negated(pop(m)));
    case OP_BINARY:
        MAAS_TRY(jinja_binary(m, c->text, &v));
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
        return jinja_set(m, c->text, pop(m));
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
        return step_of_macro(m, c, pc);
    }
}

/* ---- pieces: runs of bytes of one trust ---- */

static maas_status add_piece(machine *m, piece_list *l, maas_str text, bool trusted)
{
    if (l->n == l->cap) {
        const uint32_t cap = l->cap ? 2 * l->cap : 32;
        maas_text_piece *more = maas_arena_array(m->a, cap, sizeof *more);
        if (!more)
            return jinja_too_much(m);
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
        MAAS_TRY(check_step(m, c));
        m->steps += price(m, c);
        if (m->steps > JINJA_MAX_STEPS)
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
