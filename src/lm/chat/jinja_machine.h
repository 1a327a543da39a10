/* lm/chat/jinja_machine.h - shared by jinja_run.c (control) and jinja_ops.c (values) alone. */
#ifndef MAAS_LM_JINJA_MACHINE_H
#define MAAS_LM_JINJA_MACHINE_H

#include "lm/chat/jinja_int.h"

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

typedef struct frame { /* a macro that is called */
    uint32_t pc;       /* behind the call */
    uint32_t scope;    /* variables before it; its own come after */
    int32_t n_loops, n_aside, sp;
} frame;

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
    frame frames[JINJA_MAX_CALLS];
    int32_t n_frames;
    jinja_list out; /* texts */
    jinja_list aside[JINJA_MAX_NEST];
    int32_t n_aside;
    uint64_t steps;
    uint32_t line;
    maas_err *err;
} machine;

maas_status jinja_too_much(const machine *m);
/* What these take from the stack, jinja_op says; the result goes to *out. */
maas_status jinja_attr(machine *m, maas_str name, jinja_value *out);
maas_status jinja_item(machine *m, jinja_value *out);
maas_status jinja_slice(machine *m, jinja_value *out);
maas_status jinja_binary(machine *m, maas_str op, jinja_value *out);
maas_status jinja_call(machine *m, const jinja_code *c, jinja_value *out);
maas_status jinja_collect(machine *m, const jinja_code *c, jinja_value *out); /* lists, dicts */
jinja_args jinja_args_of(machine *m, const jinja_code *c, const jinja_value *of);

maas_status jinja_set(machine *m, maas_str name, jinja_value v); /* in the scope that is open */
/* Macros (jinja_macro.c): a call is entered instead of giving a value at once. */
bool jinja_calls_macro(const machine *m, const jinja_code *c);
maas_status jinja_enter(machine *m, const jinja_code *c, uint32_t *pc);
bool jinja_is_given(const machine *m, maas_str name);
maas_status jinja_return(machine *m, uint32_t *pc, jinja_value *out);

/* The macro at hand, or what is like the whole template. */
static inline frame jinja_frame(const machine *m)
{
    return m->n_frames ? m->frames[m->n_frames - 1] : (frame){0};
}

static inline jinja_value pop(machine *m)
{
    MAAS_ASSERT(m->sp > 0);
    return m->stack[--m->sp];
}

#endif
