/*
 * Names of values in a file that has subgraphs. In memory a captured value is one of its own; in
 * the file it has the name of the outer one, and no name that a subgraph can see may come twice.
 */
#include "formats/onnx_int.h"

#include "base/ban.h"

static maas_onnx_level *level_new(maas_arena *a, const maas_graph *g, const maas_onnx_level *outer,
                                  const maas_node *node)
{
    maas_onnx_level *l = maas_arena_alloc(a, sizeof *l);
    if (!l)
        return NULL;
    *l = (maas_onnx_level){.g = g, .outer = outer, .node = node};
    l->names = maas_arena_array(a, g->n_values, sizeof *l->names);
    l->uses = maas_arena_array(a, g->n_values, sizeof *l->uses);
    l->out = maas_arena_array(a, g->n_outputs, sizeof *l->out);
    if (!l->names || !l->uses || !l->out)
        return NULL;
    maas_graph_count_uses(g, l->uses);
    for (uint32_t i = 0; i < g->n_bindings; i++)
        l->uses[g->bindings[i].value]--; /* what only training reads stays behind */
    return l;
}

static bool seen_outside(const maas_onnx_level *l, const char *name)
{
    for (const maas_onnx_level *up = l->outer; up; up = up->outer)
        if (maas_graph_find(up->g, name) != MAAS_NO_VALUE)
            return true;
    return false;
}

/* The same constant further out: subgraphs share data with it since they were read. */
static const char *shared_constant(const maas_onnx_level *l, const maas_value *v)
{
    if (!(v->flags & MAAS_VALUE_CONST))
        return NULL;
    for (const maas_onnx_level *up = l->outer; up; up = up->outer) {
        const maas_vid at = maas_graph_find(up->g, v->name);
        const maas_value *o = at == MAAS_NO_VALUE ? NULL : maas_graph_at(up->g, at);
        if (!o || !(o->flags & MAAS_VALUE_CONST) || o->init.data != v->init.data ||
            o->init.dtype != v->init.dtype || !maas_shape_eq(&o->init, &v->init))
            continue;
        up->uses[at]++;
        return up->names[at];
    }
    return NULL;
}

static maas_status own_name(maas_onnx_level *l, maas_vid v, maas_arena *a, uint32_t *made,
                            maas_err *err)
{
    const char *name = l->g->values[v].name;
    l->names[v] = name;
    while (seen_outside(l, l->names[v]) ||
           (l->names[v] != name && maas_graph_find(l->g, l->names[v]) != MAAS_NO_VALUE))
        if (!(l->names[v] = maas_arena_printf(a, "%s~%u", name, (*made)++)))
            return maas_onnx_no_memory(err);
    return MAAS_OK;
}

static maas_status name_values(maas_onnx_level *l, maas_arena *a, uint32_t *made, maas_err *err)
{
    const maas_graph *g = l->g;
    for (uint32_t v = 0; v < g->n_values; v++) {
        const char *shared = shared_constant(l, &g->values[v]);
        if (shared) {
            l->names[v] = shared;
            l->uses[v] = 0; /* it is written where it is shared from */
        } else if (!(g->values[v].flags & MAAS_VALUE_CAPTURED)) {
            MAAS_TRY(own_name(l, (maas_vid)v, a, made, err));
        }
    }
    for (uint32_t k = 0; k < g->n_captured; k++)
        if (g->captured[k] != MAAS_NO_VALUE)
            l->names[g->captured[k]] =
                l->outer->names[l->node->in[l->node->n_in - l->node->n_captured + k]];
    return MAAS_OK;
}

/* What a subgraph hands on from further out becomes an Identity with a name of its own. */
static maas_status name_outputs(maas_onnx_level *l, maas_arena *a, uint32_t *made, maas_err *err)
{
    for (uint32_t k = 0; k < l->g->n_outputs; k++) {
        const maas_vid v = l->g->outputs[k];
        if (!(l->g->values[v].flags & MAAS_VALUE_CAPTURED) && !shared_constant(l, &l->g->values[v]))
            continue;
        do
            if (!(l->out[k] = maas_arena_printf(a, "%s~%u", l->names[v], (*made)++)))
                return maas_onnx_no_memory(err);
        while (maas_graph_find(l->g, l->out[k]) != MAAS_NO_VALUE || seen_outside(l, l->out[k]));
    }
    return MAAS_OK;
}

maas_status maas_onnx_levels(const maas_graph *g, maas_arena *a, maas_onnx_level **out,
                             maas_err *err)
{
    uint32_t made = 0;
    maas_onnx_level *last = *out = level_new(a, g, NULL, NULL);
    for (maas_onnx_level *l = *out; l; l = l->next) {
        MAAS_TRY(name_values(l, a, &made, err));
        MAAS_TRY(name_outputs(l, a, &made, err));
        for (uint32_t i = 0; i < l->g->n_nodes; i++) {
            const maas_node *n = &l->g->nodes[i];
            for (uint32_t k = 0; k < n->n_attr && !n->dead; k++) {
                if (n->attr[k].type != MAAS_ATTR_GRAPH)
                    continue;
                last = last->next = level_new(a, n->attr[k].u.graph, l, n);
                if (!last)
                    return maas_onnx_no_memory(err);
            }
        }
    }
    return *out ? MAAS_OK : maas_onnx_no_memory(err);
}
