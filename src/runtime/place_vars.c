/*
 * Where the new value of a variable is computed: in the variable itself when nobody needs the old
 * value by then, else in the block, with a copy after the run.
 */
#include "runtime/place.h"

#include "base/ban.h"

/* The output index of root value v at its step; -1 when it is not an output of its own. */
static int output_of(const maas_plan *p, uint32_t step, maas_vid v)
{
    const maas_node *n = p->steps[step].node;
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] == v)
            return k;
    return -1;
}

static bool may_write_directly(const maas_plan *p, maas_life *l, maas_vid var, maas_vid value)
{
    maas_vid r = maas_life_root(l, value);
    if (!maas_life_in_block(p, l, r))
        return false;
    uint32_t step = l[r].first, last_read = l[var].last;
    if (p->steps[step].late || last_read > step)
        return false;
    int k = output_of(p, step, r);
    if (k < 0)
        return false;
    const maas_node *n = p->steps[step].node;
    bool reads_it = false;
    for (int j = 0; j < n->n_in; j++)
        reads_it |= n->in[j] >= 0 && maas_life_root(l, n->in[j]) == var;
    return !reads_it || maas_life_may_overwrite(p, l, step, k, var);
}

static uint32_t var_index(const maas_plan *p, maas_vid v)
{
    uint32_t lo = 0, hi = p->n_vars;
    while (lo < hi) { /* ids ascend */
        uint32_t mid = lo + (hi - lo) / 2;
        if (p->vars[mid] < v)
            lo = mid + 1;
        else
            hi = mid;
    }
    MAAS_CHECK(lo < p->n_vars && p->vars[lo] == v);
    return lo;
}

static bool is_variable(const maas_plan *p, maas_vid v)
{
    return (maas_graph_at(p->g, v)->flags & MAAS_VALUE_VARIABLE) != 0;
}

static maas_status add_copy(maas_plan *p, maas_life *l, maas_copy c, maas_err *err)
{
    const maas_type *t = &maas_graph_at(p->g, c.from)->type;
    if (maas_value_is_late(p->g, c.from))
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "'%s' becomes a variable, but its shape depends on data",
                         maas_graph_at(p->g, c.from)->name);
    c.buffer = UINT32_MAX;
    if (is_variable(p, maas_life_root(l, c.from)))
        MAAS_TRY(maas_place_buffer(p, t, p->n_steps, p->n_steps, &c.buffer, err));
    p->copies[p->n_copies++] = c;
    return MAAS_OK;
}

/* Outputs that show the old value of a variable that the copies are about to change. */
static maas_status stage_outputs(maas_plan *p, maas_life *l, const bool *changes, maas_err *err)
{
    for (uint32_t i = 0; i < p->g->n_outputs; i++) {
        maas_vid o = p->g->outputs[i], r = maas_life_root(l, o);
        if (is_variable(p, r) && changes[var_index(p, r)])
            MAAS_TRY(
                add_copy(p, l, (maas_copy){.from = o, .to_var = UINT32_MAX, .output = i}, err));
    }
    return MAAS_OK;
}

maas_status maas_place_variables(maas_plan *p, maas_life *l, maas_err *err)
{
    const maas_graph *g = p->g;
    /* a variable that feeds another variable is read at the end: decide that before any choice */
    for (uint32_t i = 0; i < g->n_bindings; i++) {
        maas_vid r = maas_life_root(l, g->bindings[i].value);
        if (l[r].last < p->n_steps)
            l[r].last = p->n_steps;
    }
    bool *taken = maas_arena_array(&p->arena, p->n_vars, sizeof *taken);
    bool *changes = maas_arena_array(&p->arena, p->n_vars, sizeof *changes);
    if (!taken || !changes)
        return maas_fail(err, MAAS_E_NOMEM, "placing %u variables", p->n_vars);
    for (uint32_t i = 0; i < g->n_bindings; i++) {
        maas_vid var = g->bindings[i].variable, value = g->bindings[i].value;
        uint32_t at = var_index(p, var);
        if (!taken[at] && may_write_directly(p, l, var, value)) {
            maas_vid r = maas_life_root(l, value);
            l[var].last = p->n_steps;
            l[r].root = var;
            taken[at] = true;
        } else if (maas_life_root(l, value) != var || taken[at]) {
            changes[at] = true;
            MAAS_TRY(add_copy(p, l, (maas_copy){.from = value, .to_var = at}, err));
        }
    }
    return stage_outputs(p, l, changes, err);
}
