/* The nodes of a subgraph in the place of the node that has it. */
#include "graph/graph_int.h"

#include <string.h>

#include "base/mem.h"
#include "graph/op.h"
#include "base/ban.h"

typedef struct inliner {
    maas_graph *g;
    const maas_graph *body;
    maas_vid *to; /* [body->n_values] in g; MAAS_NO_VALUE: not there yet */
    const maas_op *identity;
} inliner;

static maas_status map_value(inliner *x, maas_vid v, maas_vid *out, maas_err *err)
{
    *out = v == MAAS_NO_VALUE ? v : x->to[v];
    if (v == MAAS_NO_VALUE || *out != MAAS_NO_VALUE)
        return MAAS_OK;
    const maas_value *val = &x->body->values[v];
    if (val->flags & MAAS_VALUE_CONST) /* its data lives as long as the body, which g owns */
        MAAS_TRY(maas_graph_const(x->g, NULL, &val->init, false, &x->to[v], err));
    else
        MAAS_TRY(maas_graph_value(x->g, NULL, NULL, &x->to[v], err));
    *out = x->to[v];
    return MAAS_OK;
}

static maas_status map_list(inliner *x, const maas_vid *from, uint32_t n, maas_vid *to,
                            maas_err *err)
{
    for (uint32_t i = 0; i < n; i++)
        MAAS_TRY(map_value(x, from[i], &to[i], err));
    return MAAS_OK;
}

/* Attributes stay where they are, graphs among them: they only have another parent now. */
static maas_status take_attrs(inliner *x, const maas_node *from, maas_node *to, maas_err *err)
{
    uint32_t room = 4; /* as maas_node_set expects it */
    while (room < from->n_attr)
        room *= 2;
    if (!from->n_attr)
        return MAAS_OK;
    to->attr = maas_arena_array(&x->g->arena, room, sizeof *to->attr);
    if (!to->attr)
        return maas_graph_no_memory(x->g, err);
    memcpy(to->attr, from->attr, from->n_attr * sizeof *to->attr);
    to->n_attr = from->n_attr;
    for (uint32_t k = 0; k < to->n_attr; k++)
        if (to->attr[k].type == MAAS_ATTR_GRAPH)
            to->attr[k].u.graph->parent = x->g;
    return MAAS_OK;
}

static maas_status copy_node(inliner *x, const maas_node *from, maas_err *err)
{
    AUTO_FREE maas_vid *ids = maas_calloc((size_t)from->n_in + from->n_out + 1, sizeof *ids);
    maas_nid nid;
    if (!ids)
        return maas_graph_no_memory(x->g, err);
    maas_vid *in = ids, *out = ids + from->n_in;
    MAAS_TRY(map_list(x, from->in, from->n_in, in, err));
    MAAS_TRY(map_list(x, from->out, from->n_out, out, err));
    MAAS_TRY(
        maas_graph_node(x->g, from->op, from->name, in, from->n_in, out, from->n_out, &nid, err));
    maas_node *to = &x->g->nodes[nid];
    to->n_captured = from->n_captured;
    to->checked = from->checked;
    return take_attrs(x, from, to, err);
}

/* An output that a node of the body makes is made by its copy at once, others by an Identity. */
static void bind_outputs(inliner *x, const maas_node *n)
{
    for (uint32_t k = 0; k < n->n_out && k < x->body->n_outputs; k++) {
        const maas_vid v = x->body->outputs[k];
        if (n->out[k] == MAAS_NO_VALUE)
            continue;
        x->g->values[n->out[k]].producer = MAAS_NO_NODE;
        if (x->body->values[v].producer != MAAS_NO_NODE)
            x->to[v] = n->out[k];
    }
}

static maas_status copy_outputs(inliner *x, const maas_node *n, maas_err *err)
{
    for (uint32_t k = 0; k < n->n_out && k < x->body->n_outputs; k++) {
        maas_vid from, to = n->out[k];
        MAAS_TRY(map_value(x, x->body->outputs[k], &from, err));
        if (to != MAAS_NO_VALUE && to != from)
            MAAS_TRY(maas_graph_node(x->g, x->identity, "", &from, 1, &to, 1, NULL, err));
    }
    return MAAS_OK;
}

maas_status maas_graph_inline(maas_graph *g, maas_nid nid, const maas_graph *body,
                              const maas_op *identity, maas_err *err)
{
    const maas_node n = g->nodes[nid]; /* nodes move as some are added */
    const uint32_t own = n.n_in - (uint32_t)n.n_captured;
    AUTO_FREE maas_vid *to = maas_calloc(body->n_values + 1u, sizeof *to);
    if (!to)
        return maas_graph_no_memory(g, err);
    for (uint32_t v = 0; v < body->n_values; v++)
        to[v] = MAAS_NO_VALUE;
    inliner x = {g, body, to, identity};
    for (uint32_t k = 0; k < body->n_captured; k++)
        if (body->captured[k] != MAAS_NO_VALUE)
            to[body->captured[k]] = n.in[own + k];
    g->nodes[nid].dead = true;
    bind_outputs(&x, &n);
    for (uint32_t i = 0; i < body->n_nodes; i++)
        if (!body->nodes[i].dead)
            MAAS_TRY(copy_node(&x, &body->nodes[i], err));
    return copy_outputs(&x, &n, err);
}
