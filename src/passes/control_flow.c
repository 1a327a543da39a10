/*
 * Control flow whose constants are known: what a body captures and is a constant here is one there,
 * so that shapes in it are seen; an If of a known condition is the nodes of its branch.
 */
#include "passes/pass_int.h"

#include "base/mem.h"
#include "ops/build.h"
#include "base/ban.h"

/* ---- captured constants; levels are as few as MAAS_MAX_GRAPH_DEPTH ---- */

static bool bind_node(const maas_graph *g, const maas_node *n);

static bool bind_body(const maas_graph *g, const maas_node *n, maas_graph *body)
{
    const maas_vid *outer = n->in + (n->n_in - n->n_captured);
    bool any = false;
    for (uint32_t k = 0; k < body->n_captured; k++) {
        if (body->captured[k] == MAAS_NO_VALUE || !maas_value_is(g, outer[k], MAAS_VALUE_CONST))
            continue;
        maas_value *v = maas_graph_at(body, body->captured[k]);
        v->flags = (v->flags & ~(uint32_t)MAAS_VALUE_CAPTURED) | MAAS_VALUE_CONST;
        v->init = maas_graph_at(g, outer[k])->init;
        v->type = maas_graph_at(g, outer[k])->type;
        body->captured[k] = MAAS_NO_VALUE;
        any = true;
    }
    for (uint32_t i = 0; i < body->n_nodes; i++)
        any |= bind_node(body, &body->nodes[i]);
    return any;
}

static bool bind_node(const maas_graph *g, const maas_node *n)
{
    bool any = false;
    for (int k = 0; k < n->n_attr && !n->dead; k++)
        if (n->attr[k].type == MAAS_ATTR_GRAPH)
            any |= bind_body(g, n, n->attr[k].u.graph);
    return any;
}

/* ---- branches ---- */

static const maas_graph *known_branch(const maas_graph *g, const maas_node *n, const maas_op *op)
{
    if (n->dead || n->op != op || !maas_value_is(g, n->in[0], MAAS_VALUE_CONST))
        return NULL;
    const maas_tensor *c = &maas_graph_at(g, n->in[0])->init;
    if (c->dtype != MAAS_BOOL || maas_n_elems(c) != 1)
        return NULL;
    return maas_node_attr(n, *(const uint8_t *)c->data ? "then_branch" : "else_branch")->u.graph;
}

/* Copies go to the end of the list: an If that comes out of a branch is met again. */
static maas_status fold_branches(maas_graph *g, bool *out_any, maas_err *err)
{
    const maas_op *op = maas_op_find("", "If", MAAS_OPSET);
    const maas_op *identity = maas_op_find("", "Identity", MAAS_OPSET);
    *out_any = false;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const maas_graph *branch = known_branch(g, &g->nodes[i], op);
        if (!branch)
            continue;
        MAAS_TRY(maas_graph_inline(g, (maas_nid)i, branch, identity, err));
        *out_any = true;
    }
    return *out_any ? maas_graph_compact(g, err) : MAAS_OK;
}

/* A branch may tell the shapes that the condition of the next If asks about. */
#define MAX_ROUNDS (2 * MAAS_MAX_GRAPH_DEPTH)

maas_status maas_pass_control_flow(maas_graph *g, const maas_pass_opts *o, maas_err *err)
{
    bool any = true;
    for (int round = 0; any && round < MAX_ROUNDS; round++) {
        for (uint32_t i = 0; i < g->n_nodes; i++)
            bind_node(g, &g->nodes[i]);
        any = false;
        MAAS_TRY(fold_branches(g, &any, err));
        if (!any)
            break;
        MAAS_TRY(maas_graph_infer(g, err));
        MAAS_TRY(maas_pass_drop_identity(g, o, err));
        MAAS_TRY(maas_pass_fold_constants(g, o, err));
    }
    return MAAS_OK;
}
