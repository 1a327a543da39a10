/*
 * Which bytes every value lives in. Values that share bytes have the same root:
 *
 *   y = Reshape(x)       y's root is x (nothing runs)
 *   b = Relu(a)          b's root is a, when a dies there and Relu may overwrite
 *   w' = Adam(w, ...)    w's root is the variable w, when nobody reads the old w later
 *
 * and the root has one lifetime, from the step that writes it to the last step that reads any of
 * them. END, one past the last step, stands for the caller and the copies after a run.
 */
#include "runtime/place.h"

#include "base/mem.h"
#include "base/ban.h"

maas_vid maas_life_root(maas_life *l, maas_vid v)
{
    while (l[v].root != v) {
        l[v].root = l[l[v].root].root;
        v = l[v].root;
    }
    return v;
}

/* A value that a step computes into the block: not an input, constant, variable or late. */
bool maas_life_in_block(const maas_plan *p, const maas_life *l, maas_vid root)
{
    return l[root].first != MAAS_LIFE_OUTSIDE && !maas_value_is_late(p->g, root);
}

static void read_at(maas_life *l, maas_vid v, uint32_t step)
{
    maas_vid r = maas_life_root(l, v);
    if (l[r].last < step)
        l[r].last = step;
}

static void note_views(maas_plan *p, maas_life *l)
{
    for (uint32_t n = 0; n < p->g->n_nodes; n++)
        if (maas_node_is_alias(p->g, &p->g->nodes[n]))
            l[p->g->nodes[n].out[0]].root = maas_life_root(l, p->g->nodes[n].in[0]);
}

static void note_uses(maas_plan *p, maas_life *l)
{
    const maas_graph *g = p->g;
    for (uint32_t i = 0; i < p->n_steps; i++) {
        const maas_node *n = p->steps[i].node;
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k] >= 0)
                l[n->out[k]].first = l[n->out[k]].last = i;
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k] >= 0)
                read_at(l, n->in[k], i);
    }
    for (uint32_t i = 0; i < g->n_outputs; i++)
        read_at(l, g->outputs[i], p->n_steps);
}

/* Does `root` feed the node anywhere but at input k? The same value twice is fine for operators
 * that read element i only to write element i. */
static bool feeds_elsewhere(maas_life *l, const maas_node *n, int k, maas_vid root)
{
    for (int j = 0; j < n->n_in; j++)
        if (j != k && n->in[j] >= 0 && maas_life_root(l, n->in[j]) == root &&
            !((n->op->flags & MAAS_OP_ELEMENTWISE) && n->in[j] == n->in[k]))
            return true;
    return false;
}

bool maas_life_may_overwrite(const maas_plan *p, maas_life *l, uint32_t step, int k, maas_vid root)
{
    const maas_node *n = p->steps[step].node;
    if (!(n->op->flags & MAAS_OP_INPLACE) || k >= n->n_in || n->in[k] < 0 ||
        maas_life_root(l, n->in[k]) != root || feeds_elsewhere(l, n, k, root))
        return false;
    maas_tensor in = maas_tensor_of_type(&maas_graph_at(p->g, n->in[k])->type, NULL);
    maas_tensor out = maas_tensor_of_type(&maas_graph_at(p->g, n->out[k])->type, NULL);
    return maas_dtype_size(in.dtype) == maas_dtype_size(out.dtype) &&
           maas_n_elems(&in) == maas_n_elems(&out);
}

static void overwrite_where_input_dies(maas_plan *p, maas_life *l)
{
    for (uint32_t i = 0; i < p->n_steps; i++) {
        const maas_node *n = p->steps[i].node;
        if (p->steps[i].late)
            continue;
        for (int k = 0; k < n->n_out && k < n->n_in; k++) {
            if (n->out[k] < 0 || n->in[k] < 0)
                continue;
            maas_vid r = maas_life_root(l, n->out[k]), q = maas_life_root(l, n->in[k]);
            if (r != n->out[k] || r == q || l[r].first != i || !maas_life_in_block(p, l, q) ||
                l[q].last != i || !maas_life_may_overwrite(p, l, i, k, q))
                continue;
            l[r].root = q;
            l[q].last = l[r].last;
        }
    }
}

maas_status maas_place_buffer(maas_plan *p, const maas_type *t, uint32_t first, uint32_t last,
                              uint32_t *out, maas_err *err)
{
    size_t bytes = 0;
    if (maas_type_is_concrete(t))
        MAAS_TRY(maas_shape_bytes((maas_dtype)t->dtype, t->dims, t->rank, &bytes, err));
    /* never empty: a NULL pointer would mean an absent tensor */
    p->buffers[p->n_buffers] = (maas_mem_item){
        .bytes = bytes ? bytes : 1, .first = first, .last = last};
    *out = p->n_buffers++;
    return MAAS_OK;
}

static maas_status place_roots(maas_plan *p, maas_life *l, maas_err *err)
{
    maas_graph *g = p->g;
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        maas_place *at = &p->places[g->inputs[i]];
        *at = (maas_place){.where = MAAS_AT_INPUT, .index = i};
        MAAS_TRY(maas_place_buffer(p, &maas_graph_at(g, g->inputs[i])->type, 0, p->n_steps,
                                   &p->input_buffers[i], err));
    }
    for (uint32_t i = 0; i < p->n_vars; i++)
        p->places[p->vars[i]] = (maas_place){.where = MAAS_AT_VAR, .index = i};
    for (maas_vid v = 0; v < (maas_vid)g->n_values; v++) {
        maas_place *at = &p->places[v];
        if (g->values[v].flags & MAAS_VALUE_CONST) {
            *at = (maas_place){.where = MAAS_AT_CONST, .index = (uint32_t)v};
        } else if (l[v].first != MAAS_LIFE_OUTSIDE && l[v].root == v) {
            at->where = maas_life_in_block(p, l, v) ? MAAS_AT_BLOCK : MAAS_AT_LATE;
            if (at->where == MAAS_AT_BLOCK)
                MAAS_TRY(maas_place_buffer(p, &g->values[v].type, l[v].first, l[v].last, &at->index,
                                           err));
        }
    }
    for (maas_vid v = 0; v < (maas_vid)g->n_values; v++)
        p->places[v] = p->places[maas_life_root(l, v)];
    return MAAS_OK;
}

static maas_status list_input_uses(maas_plan *p, maas_err *err)
{
    p->input_uses = maas_arena_array(&p->arena, p->n_operands, sizeof *p->input_uses);
    if (!p->input_uses)
        return maas_fail(err, MAAS_E_NOMEM, "listing uses of the inputs");
    for (uint32_t o = 0; o < p->n_operands; o++)
        if (p->operand_value[o] >= 0 && p->places[p->operand_value[o]].where == MAAS_AT_INPUT)
            p->input_uses[p->n_input_uses++] = o;
    return MAAS_OK;
}

maas_status maas_plan_place(maas_plan *p, maas_err *err)
{
    maas_graph *g = p->g;
    AUTO_FREE maas_life *l = maas_calloc(g->n_values, sizeof *l);
    p->places = maas_arena_array(&p->arena, g->n_values, sizeof *p->places);
    /* every value, a staging buffer for every binding and output */
    p->buffers = maas_arena_array(&p->arena,
                                  (size_t)g->n_values + g->n_bindings + g->n_outputs + g->n_inputs,
                                  sizeof *p->buffers);
    p->input_buffers = maas_arena_array(&p->arena, g->n_inputs, sizeof *p->input_buffers);
    p->copies = maas_arena_array(&p->arena, (size_t)g->n_bindings + g->n_outputs,
                                 sizeof *p->copies);
    if (!l || !p->places || !p->buffers || !p->input_buffers || !p->copies)
        return maas_fail(err, MAAS_E_NOMEM, "placing %u values", g->n_values);
    for (maas_vid v = 0; v < (maas_vid)g->n_values; v++)
        l[v] = (maas_life){.root = v, .first = MAAS_LIFE_OUTSIDE};
    note_views(p, l);
    note_uses(p, l);
    MAAS_TRY(maas_place_variables(p, l, err));
    overwrite_where_input_dies(p, l);
    MAAS_TRY(place_roots(p, l, err));
    MAAS_TRY(list_input_uses(p, err));
    return maas_plan_memory(p->buffers, p->n_buffers, &p->scratch_at, err);
}
