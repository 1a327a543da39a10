#include "runtime/plan_int.h"

#include <string.h>

#include "base/mem.h"
#include "ops/build.h"
#include "base/ban.h"

static maas_status bad_input(const maas_graph *g, const maas_value *v, const maas_type *given,
                             maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf want = MAAS_BUF_INIT(256), got = MAAS_BUF_INIT(256);
    maas_type_text(g, &v->type, &want);
    maas_type_text(g, given, &got);
    return maas_fail(err, MAAS_E_INVALID, "input '%s' is %s, got %s", v->name,
                     want.p ? want.p : "?", got.p ? got.p : "?");
}

/* A list says how long it is and what shapes are in it when it comes. */
static maas_status fix_list(maas_graph *g, const maas_value *v, const maas_type *given,
                            maas_err *err)
{
    const maas_type *t = &v->type;
    return t->tag == given->tag && t->dtype == given->dtype && t->of == given->of
               ? MAAS_OK
               : bad_input(g, v, given, err);
}

/* What each symbol stands for in this plan; -1: not said by any input. */
static maas_status fix_input(maas_graph *g, maas_value *v, const maas_type *given, int64_t *sizes,
                             maas_err *err)
{
    if (v->type.tag != MAAS_TYPE_TENSOR)
        return fix_list(g, v, given, err);
    if (!maas_type_is_concrete(given))
        return maas_fail(err, MAAS_E_INVALID, "the shape given for input '%s' is not concrete",
                         v->name);
    size_t bytes;
    MAAS_TRY(maas_shape_bytes((maas_dtype)given->dtype, given->dims, given->rank, &bytes, err));
    const maas_type *t = &v->type;
    bool ok = t->tag == MAAS_TYPE_TENSOR && t->dtype == given->dtype &&
              (t->rank < 0 || t->rank == given->rank);
    for (int i = 0; ok && i < t->rank; i++) {
        int64_t k = -2 - t->dims[i];
        if (t->dims[i] >= 0) {
            ok = t->dims[i] == given->dims[i];
        } else if (k >= 0 && k < (int64_t)g->n_symbols) {
            ok = sizes[k] < 0 || sizes[k] == given->dims[i];
            sizes[k] = given->dims[i];
        }
    }
    if (!ok)
        return bad_input(g, v, given, err);
    v->type = *given;
    return MAAS_OK;
}

static maas_status fix_shapes(maas_graph *g, const maas_type *in_types, maas_err *err)
{
    AUTO_FREE int64_t *sizes = maas_calloc(g->n_symbols, sizeof *sizes);
    if (!sizes)
        return maas_fail(err, MAAS_E_NOMEM, "fixing %u symbols", g->n_symbols);
    for (uint32_t i = 0; i < g->n_symbols; i++)
        sizes[i] = -1;
    for (uint32_t i = 0; i < g->n_inputs; i++)
        MAAS_TRY(fix_input(g, maas_graph_at(g, g->inputs[i]), &in_types[i], sizes, err));
    for (uint32_t v = 0; v < g->n_values; v++)
        for (int i = 0; i < g->values[v].type.rank; i++) {
            int64_t *dim = &g->values[v].type.dims[i], k = -2 - *dim;
            if (k >= 0 && k < (int64_t)g->n_symbols && sizes[k] >= 0)
                *dim = sizes[k];
        }
    return MAAS_OK;
}

static maas_status list_variables(maas_plan *p, maas_err *err)
{
    for (uint32_t v = 0; v < p->g->n_values; v++)
        p->n_vars += (p->g->values[v].flags & MAAS_VALUE_VARIABLE) != 0;
    p->vars = maas_arena_array(&p->arena, p->n_vars, sizeof *p->vars);
    if (!p->vars)
        return maas_fail(err, MAAS_E_NOMEM, "listing %u variables", p->n_vars);
    uint32_t n = 0;
    for (uint32_t v = 0; v < p->g->n_values; v++)
        if (p->g->values[v].flags & MAAS_VALUE_VARIABLE)
            p->vars[n++] = (maas_vid)v;
    return MAAS_OK;
}

/* The graph has its types. */
static maas_status compile(maas_plan *p, maas_err *err)
{
    MAAS_TRY(maas_graph_optimize(p->g, &p->passes, err));
    MAAS_TRY(list_variables(p, err));
    MAAS_TRY(maas_plan_add_steps(p, err));
    MAAS_TRY(maas_plan_place(p, err));
    if (__builtin_add_overflow(p->scratch_at, p->scratch_bytes + 64, &p->block_bytes))
        return maas_fail(err, MAAS_E_TOO_LARGE, "the plan needs more than all memory");
    return MAAS_OK;
}

static maas_plan *plan_open(maas_budget *budget, const maas_pass_opts *passes, bool reference)
{
    maas_plan *p = maas_calloc(1, sizeof *p);
    if (!p)
        return NULL;
    atomic_store(&p->n_refs, 1);
    p->budget = budget;
    maas_arena_init(&p->arena, budget);
    p->cpu = maas_cpu_get();
    p->reference = reference;
    p->passes = *passes;
    return p;
}

static maas_status hand_over(maas_plan *p, maas_status st, maas_plan **out)
{
    if (st == MAAS_OK)
        *out = p;
    else
        maas_plan_destroy(p);
    return st;
}

static maas_status compile_graph(maas_plan *p, const maas_graph *g, const maas_type *in_types,
                                 maas_err *err)
{
    MAAS_TRY(maas_graph_clone(g, p->budget, &p->g, err));
    MAAS_TRY(fix_shapes(p->g, in_types, err));
    return compile(p, err);
}

maas_status maas_plan_create(const maas_graph *g, const maas_type *in_types,
                             const maas_plan_opts *opts, maas_plan **out, maas_err *err)
{
    const maas_plan_opts preset = MAAS_PLAN_OPTS_INIT;
    const maas_plan_opts *o = opts ? opts : &preset;
    const maas_pass_opts passes = {.level = o->level,
                                   .check = o->check,
                                   .training = o->training,
                                   .block = o->reference ? 0 : maas_kernel_block(maas_cpu_get()),
                                   .bf16 = !o->reference && maas_cpu_get()->avx512_bf16 &&
                                           maas_graph_wants_bf16(g),
                                   .int8 = !o->reference && maas_kernel_int8(maas_cpu_get())};
    maas_plan *p = plan_open(o->budget, &passes, o->reference);
    if (!p)
        return maas_fail(err, MAAS_E_NOMEM, "a plan");
    p->loop_steps = o->loop_steps ? o->loop_steps : MAAS_MAX_LOOP_STEPS;
    p->n_threads = o->n_threads > 0 ? o->n_threads : p->cpu->n_cores;
#ifndef MAAS_OPENMP
    p->n_threads = 1;
#endif
    return hand_over(p, compile_graph(p, g, in_types, err), out);
}

/* ---- bodies of control flow ---- */

static maas_status close_body(maas_plan *p, const maas_plan *outer, const maas_node *node,
                              const maas_type *types, maas_err *err)
{
    maas_graph *g = p->g;
    const maas_vid *captured = node->in + node->n_in - node->n_captured;
    const maas_value **values = maas_arena_array(&p->arena, g->n_captured, sizeof *values);
    if (!values)
        return maas_fail(err, MAAS_E_NOMEM, "%u captured values", g->n_captured);
    for (uint32_t k = 0; k < g->n_inputs; k++)
        maas_graph_at(g, g->inputs[k])->type = types[k];
    for (uint32_t k = 0; k < g->n_captured; k++) {
        values[k] = maas_graph_at(outer->g, captured[k]);
        if (g->captured[k] != MAAS_NO_VALUE)
            maas_graph_at(g, g->captured[k])->type = types[g->n_inputs + k];
    }
    return maas_graph_close(g, values, err);
}

static maas_status compile_body(maas_plan *p, const maas_plan *outer, const maas_node *node,
                                const maas_graph *body, const maas_type *types, maas_err *err)
{
    MAAS_TRY(maas_graph_clone(body, p->budget, &p->g, err));
    MAAS_TRY(close_body(p, outer, node, types, err));
    maas_graph_forget_types(p->g);
    return compile(p, err);
}

maas_status maas_plan_create_body(const maas_plan *outer, const maas_node *node,
                                  const maas_graph *body, const maas_type *types, maas_plan **out,
                                  maas_err *err)
{
    maas_plan *p = plan_open(outer->budget, &outer->passes, outer->reference);
    if (!p)
        return maas_fail(err, MAAS_E_NOMEM, "a plan");
    p->n_threads = outer->n_threads;
    return hand_over(p, compile_body(p, outer, node, body, types, err), out);
}

void maas_plan_ref(maas_plan *p)
{
    atomic_fetch_add(&p->n_refs, 1);
}

void maas_plan_destroy(maas_plan *p)
{
    if (!p || atomic_fetch_sub(&p->n_refs, 1) != 1)
        return;
    for (uint32_t i = 0; i < p->n_steps; i++)
        if (p->steps[i].call.state && p->steps[i].kernel->release)
            p->steps[i].kernel->release(p->steps[i].call.state);
    maas_graph_destroy(p->g);
    maas_arena_reset(&p->arena);
    maas_free(p);
}

uint32_t maas_plan_n_steps(const maas_plan *p)
{
    return p->n_steps;
}

size_t maas_plan_bytes(const maas_plan *p)
{
    return sizeof *p + maas_arena_bytes(&p->arena) + maas_arena_bytes(&p->g->arena);
}

size_t maas_plan_exec_bytes(const maas_plan *p)
{
    return p->block_bytes + p->n_operands * sizeof(maas_tensor) +
           p->g->n_values * sizeof(maas_tensor) + p->n_steps * sizeof(maas_call);
}

size_t maas_plan_block_bytes(const maas_plan *p)
{
    return p->block_bytes;
}

double maas_plan_cost_us(const maas_plan *p)
{
    return (double)atomic_load_explicit(&p->cost_ns, memory_order_relaxed) / 1000;
}

int64_t maas_plan_flops(const maas_plan *p)
{
    return p->flops;
}

static void dump_operand(const maas_plan *p, uint32_t o, maas_buf *out)
{
    static const char *const where[] = {"-", "const", "in", "var", "", "late"};
    maas_vid v = p->operand_value[o];
    if (v < 0) {
        maas_buf_str(out, " _");
        return;
    }
    maas_buf_printf(out, " %s:", maas_graph_at(p->g, v)->name);
    maas_type_text(p->g, &maas_graph_at(p->g, v)->type, out);
    const maas_place *at = &p->places[v];
    maas_buf_printf(out, "@%s", where[at->where]);
    if (at->where == MAAS_AT_BLOCK)
        maas_buf_printf(out, "%zu", p->buffers[at->index].offset);
}

void maas_plan_dump(const maas_plan *p, maas_buf *out)
{
    for (uint32_t i = 0; i < p->n_steps; i++) {
        const maas_step *s = &p->steps[i];
        maas_buf_printf(out, "%u %s %s%s:", i, s->node->op->name,
                        s->kernel ? s->kernel->name : "reference",
                        s->late     ? " late"
                        : s->whole  ? " whole"
                        : s->shared ? " shared"
                                    : "");
        for (int k = 0; k < s->call.n_in; k++)
            dump_operand(p, s->operand + (uint32_t)k, out);
        maas_buf_str(out, " ->");
        for (int k = 0; k < s->call.n_out; k++)
            dump_operand(p, s->operand + (uint32_t)(s->call.n_in + k), out);
        maas_buf_char(out, '\n');
    }
    maas_buf_printf(out, "block %zu bytes, scratch %zu bytes, %u copies, %d threads\n",
                    p->block_bytes, p->scratch_bytes, p->n_copies, p->n_threads);
}
