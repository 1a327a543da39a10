#include "runtime/plan_int.h"

#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "base/ban.h"

static char *buffer_at(const maas_exec *e, uint32_t buffer)
{
    return (char *)e->block + e->p->buffers[buffer].offset;
}

static void *pointer_of(const maas_exec *e, maas_vid v)
{
    const maas_place *at = &e->p->places[v];
    switch ((maas_where)at->where) {
    case MAAS_AT_CONST:
        return maas_graph_at(e->p->g, (maas_vid)at->index)->init.data;
    case MAAS_AT_INPUT:
        return e->inputs[at->index].data;
    case MAAS_AT_VAR:
        return e->var_at[at->index].data;
    case MAAS_AT_BLOCK:
        return buffer_at(e, at->index);
    case MAAS_AT_LATE:
    case MAAS_AT_NOWHERE:
        break;
    }
    return NULL;
}

static maas_status find_variables(maas_exec *e, maas_vars *vars, maas_err *err)
{
    const maas_plan *p = e->p;
    if (!vars && p->g->n_bindings)
        return maas_fail(err, MAAS_E_INVALID, "the graph changes variables, none were given");
    for (uint32_t i = 0; i < p->n_vars; i++) {
        const maas_value *v = maas_graph_at(p->g, p->vars[i]);
        const maas_tensor *t = vars ? maas_vars_find(vars, v->name) : &v->init;
        if (!t)
            return maas_fail(err, MAAS_E_NOT_FOUND, "no variable '%s'", v->name);
        if (t->dtype != v->init.dtype || !maas_shape_eq(t, &v->init))
            return maas_fail(err, MAAS_E_INVALID, "variable '%s' has another type than the graph's",
                             v->name);
        if (!t->data)
            return maas_fail(err, MAAS_E_INVALID, "variable '%s' has no content", v->name);
        e->var_at[i] = *t;
    }
    return MAAS_OK;
}

static maas_status take_block(maas_exec *e, maas_err *err)
{
    const maas_plan *p = e->p;
    if (e->lent)
        return MAAS_OK;
    if (maas_budget_take(p->budget, p->block_bytes)) {
        e->block = maas_aligned(64, p->block_bytes);
        if (e->block)
            return MAAS_OK;
        maas_budget_give(p->budget, p->block_bytes);
    }
    return maas_fail(err, MAAS_E_NOMEM, "an executor of %zu bytes", maas_plan_exec_bytes(p));
}

static maas_status allocate(maas_exec *e, maas_err *err)
{
    const maas_plan *p = e->p;
    maas_arena *a = &e->arena;
    e->var_at = maas_arena_array(a, p->n_vars, sizeof *e->var_at);
    e->values = maas_arena_array(a, p->g->n_values, sizeof *e->values);
    e->operands = maas_arena_array(a, p->n_operands, sizeof *e->operands);
    e->calls = maas_arena_array(a, p->n_steps, sizeof *e->calls);
    e->inputs = maas_arena_array(a, p->g->n_inputs, sizeof *e->inputs);
    e->bound = maas_arena_array(a, p->g->n_inputs, sizeof *e->bound);
    e->outputs = maas_arena_array(a, p->g->n_outputs, sizeof *e->outputs);
    e->ns = maas_arena_array(a, p->n_steps, sizeof *e->ns);
    e->flows = maas_arena_array(a, p->n_steps, sizeof *e->flows);
    if (!e->var_at || !e->values || !e->operands || !e->calls || !e->inputs || !e->bound ||
        !e->outputs || !e->ns || !e->flows)
        return maas_fail(err, MAAS_E_NOMEM, "an executor of %zu bytes", maas_plan_exec_bytes(p));
    MAAS_TRY(take_block(e, err));
    return p->any_late ? maas_graph_clone(p->g, p->budget, &e->late_graph, err) : MAAS_OK;
}

/* Points every operand at its bytes, once. */
static void resolve(maas_exec *e)
{
    const maas_plan *p = e->p;
    const maas_graph *g = p->g;
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        e->inputs[i] = maas_tensor_of_type(&maas_graph_at(g, g->inputs[i])->type,
                                           buffer_at(e, p->input_buffers[i]));
        e->bound[i] = e->inputs[i].data;
        /* what was never written must not show bytes of somebody else's run */
        memset(e->inputs[i].data, 0, p->buffers[p->input_buffers[i]].bytes);
    }
    for (maas_vid v = 0; v < (maas_vid)g->n_values; v++)
        e->values[v] = maas_tensor_of_type(&g->values[v].type, pointer_of(e, v));
    memcpy(e->operands, p->operands, p->n_operands * sizeof *e->operands);
    for (uint32_t o = 0; o < p->n_operands; o++)
        if (p->operand_value[o] >= 0)
            e->operands[o].data = e->values[p->operand_value[o]].data;
    for (uint32_t i = 0; i < p->n_steps; i++) {
        const maas_step *s = &p->steps[i];
        e->calls[i] = s->call;
        e->calls[i].in = e->operands + s->operand;
        e->calls[i].out = e->operands + s->operand + s->call.n_in;
        e->calls[i].scratch = (char *)e->block + p->scratch_at;
        e->calls[i].scratch_bytes = p->scratch_bytes;
    }
}

maas_status maas_exec_create(maas_plan *p, maas_vars *vars, maas_exec **out, maas_err *err)
{
    return maas_exec_create_in(p, vars, NULL, out, err);
}

maas_status maas_exec_create_in(maas_plan *p, maas_vars *vars, void *block, maas_exec **out,
                                maas_err *err)
{
    maas_exec *e = maas_aligned(64, sizeof *e); /* the team inside keeps to its cache lines */
    if (!e)
        return maas_fail(err, MAAS_E_NOMEM, "an executor");
    *e = (maas_exec){.p = p, .block = block, .lent = block != NULL};
    maas_plan_ref(p);
    maas_arena_init(&e->arena, p->budget);
    maas_arena_init(&e->late, p->budget);
    maas_status st = allocate(e, err);
    if (st == MAAS_OK)
        st = find_variables(e, vars, err);
    if (st != MAAS_OK) {
        maas_exec_destroy(e);
        return st;
    }
    resolve(e);
    *out = e;
    return MAAS_OK;
}

void maas_exec_destroy(maas_exec *e)
{
    if (!e)
        return;
    for (uint32_t i = 0; e->flows && i < e->p->n_steps; i++)
        maas_flow_destroy(e->flows[i]);
    if (e->block && !e->lent) {
        maas_budget_give(e->p->budget, e->p->block_bytes);
        maas_free(e->block);
    }
    maas_graph_destroy(e->late_graph);
    maas_arena_reset(&e->late);
    maas_arena_reset(&e->arena);
    maas_plan_destroy(e->p);
    maas_free(e);
}

maas_tensor *maas_exec_input(maas_exec *e, uint32_t i)
{
    MAAS_CHECK(i < e->p->g->n_inputs);
    return &e->inputs[i];
}

const maas_tensor *maas_exec_output(const maas_exec *e, uint32_t i)
{
    MAAS_CHECK(i < e->p->g->n_outputs);
    return &e->outputs[i];
}

/* The caller moved an input: every operand that reads it (views of it too) follows. */
static void rebind(maas_exec *e)
{
    const maas_plan *p = e->p;
    bool moved = false;
    for (uint32_t i = 0; i < p->g->n_inputs; i++)
        moved |= e->inputs[i].data != e->bound[i];
    if (!moved)
        return;
    for (uint32_t k = 0; k < p->n_input_uses; k++) {
        maas_vid v = p->operand_value[p->input_uses[k]];
        e->operands[p->input_uses[k]].data = e->inputs[p->places[v].index].data;
    }
    for (uint32_t i = 0; i < p->g->n_inputs; i++)
        e->bound[i] = e->inputs[i].data;
}

static void *data_now(const maas_exec *e, maas_vid v)
{
    return e->p->places[v].where == MAAS_AT_INPUT ? e->inputs[e->p->places[v].index].data
                                                  : e->values[v].data;
}

static void copy_variables(maas_exec *e)
{
    const maas_plan *p = e->p;
    for (uint32_t i = 0; i < p->n_copies; i++) {
        const maas_copy *c = &p->copies[i];
        if (c->buffer != UINT32_MAX)
            memcpy(buffer_at(e, c->buffer), data_now(e, c->from),
                   maas_tensor_bytes(&e->values[c->from]));
    }
    for (uint32_t i = 0; i < p->n_copies; i++) {
        const maas_copy *c = &p->copies[i];
        const void *from = c->buffer != UINT32_MAX ? buffer_at(e, c->buffer) : data_now(e, c->from);
        if (c->to_var != UINT32_MAX)
            memcpy(e->var_at[c->to_var].data, from, maas_tensor_bytes(&e->values[c->from]));
    }
}

static void show_outputs(maas_exec *e)
{
    const maas_plan *p = e->p;
    for (uint32_t i = 0; i < p->g->n_outputs; i++) {
        maas_vid v = p->g->outputs[i];
        e->outputs[i] = e->values[v];
        e->outputs[i].data = data_now(e, v);
        if (maas_value_is_late(p->g, v) && p->places[v].where == MAAS_AT_INPUT)
            e->outputs[i] = e->inputs[p->places[v].index];
    }
    for (uint32_t i = 0; i < p->n_copies; i++)
        if (p->copies[i].to_var == UINT32_MAX)
            e->outputs[p->copies[i].output].data = buffer_at(e, p->copies[i].buffer);
}

maas_status maas_exec_run(maas_exec *e, maas_err *err)
{
    maas_plan *p = e->p;
    uint64_t start = maas_now_ns();
    rebind(e);
    if (p->any_late)
        maas_arena_rewind(&e->late);
    if (!e->root)
        e->fuel = p->loop_steps;
    MAAS_TRY(maas_region_run(e, err));
    copy_variables(e);
    show_outputs(e);
    /* a moving average over about 8 runs; racing executors may lose one, which is harmless */
    uint64_t old = atomic_load_explicit(&p->cost_ns, memory_order_relaxed);
    uint64_t ns = maas_now_ns() - start;
    atomic_store_explicit(&p->cost_ns, old - old / 8 + ns / 8, memory_order_relaxed);
    return MAAS_OK;
}

void maas_exec_feed(maas_exec *e, maas_feed_fn *fn, void *user)
{
    e->feed = fn;
    e->feed_user = user;
}

void maas_exec_profile(maas_exec *e, bool on)
{
    e->profile = on;
}

void maas_exec_profile_json(const maas_exec *e, maas_buf *out)
{
    maas_buf_char(out, '[');
    for (uint32_t i = 0; i < e->p->n_steps && e->profile; i++) {
        const maas_step *s = &e->p->steps[i];
        maas_buf_printf(out, "%s{\"step\":%u,\"op\":\"%s\",\"node\":", i ? "," : "", i,
                        s->node->op->name);
        maas_buf_json_str(out, s->node->name, strlen(s->node->name));
        maas_buf_printf(out, ",\"kernel\":\"%s\",\"ns\":%llu,\"flops\":%lld,\"bytes\":%zu}",
                        s->kernel ? s->kernel->name : "reference", (unsigned long long)e->ns[i],
                        s->late ? 0LL : (long long)maas_step_flops(s, &e->calls[i]),
                        s->late ? 0 : maas_step_bytes(&e->calls[i]));
    }
    maas_buf_char(out, ']');
}
