/* Macros: a call opens a scope, its output goes aside, and what it wrote is its value. */
#include <string.h>

#include "lm/chat/jinja_machine.h"
#include "base/ban.h"

bool jinja_calls_macro(const machine *m, const jinja_code *c)
{
    return m->stack[m->sp - c->n - 1].kind == JINJA_MACRO;
}

static bool same(maas_str a, maas_str b)
{
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

/* The arguments become variables, by place and by name. */
static maas_status bind(machine *m, const jinja_code *macro, const jinja_args *x)
{
    const int plain = x->n - x->n_keys;
    if (plain > macro->k)
        return maas_fail(m->err, MAAS_E_INVALID, "template, line %u: the macro takes %d arguments",
                         m->line, macro->k);
    for (int i = 0; i < x->n; i++) {
        int32_t k = i;
        if (i >= plain)
            for (k = 0; k < macro->k && !same(macro->keys[k], x->keys[i - plain]);)
                k++;
        if (k == macro->k)
            return maas_fail(m->err, MAAS_E_INVALID,
                             "template, line %u: the macro has no argument '%.*s'", m->line,
                             (int)(x->keys[i - plain].n < 40 ? x->keys[i - plain].n : 40),
                             x->keys[i - plain].p);
        MAAS_TRY(jinja_set(m, macro->keys[k], x->at[i]));
    }
    return MAAS_OK;
}

maas_status jinja_enter(machine *m, const jinja_code *c, uint32_t *pc)
{
    const uint32_t at = (uint32_t)m->stack[m->sp - c->n - 1].u.i;
    const jinja_args x = jinja_args_of(m, c, NULL);
    m->sp--;
    if (m->n_frames == JINJA_MAX_CALLS || m->n_aside == JINJA_MAX_NEST)
        return maas_fail(m->err, MAAS_E_TOO_LARGE, "template, line %u: too deep", m->line);
    m->frames[m->n_frames++] = (frame){.pc = *pc,
                                       .scope = m->n_variables,
                                       .n_loops = m->n_loops,
                                       .n_aside = m->n_aside,
                                       .sp = m->sp};
    m->aside[m->n_aside++] = (jinja_list){0};
    *pc = at + 1;
    return bind(m, &m->j->code[at], &x);
}

bool jinja_is_given(const machine *m, maas_str name)
{
    for (uint32_t i = jinja_frame(m).scope; i < m->n_variables; i++)
        if (same(m->variables[i].name, name))
            return true;
    return false;
}

maas_status jinja_return(machine *m, uint32_t *pc, jinja_value *out)
{
    const frame f = m->frames[--m->n_frames];
    const jinja_list l = m->aside[f.n_aside];
    *pc = f.pc;
    m->n_variables = f.scope;
    m->n_loops = f.n_loops;
    m->n_aside = f.n_aside;
    m->sp = f.sp;
    return jinja_join_texts(m->a, l.at, l.n, out, m->err);
}
