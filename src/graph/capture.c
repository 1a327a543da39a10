/*
 * What subgraphs read from further out. In a file that is said by name; here it is said once and
 * for all: the value becomes an input of the node, behind those of its operator, and the subgraph
 * has a value flagged CAPTURED that stands for it. So a pass that looks at inputs sees every use.
 *
 *   node:  in = [ inputs of the operator ..., outer value 0, outer value 1, ... ]
 *   body:  captured = [            its value for 0, its value for 1 or none, ... ]
 */
#include "graph/graph_int.h"

#include <string.h>

#include "base/mem.h"
#include "graph/op.h"
#include "base/ban.h"

static bool is_open(const maas_value *v)
{
    const uint32_t made = MAAS_VALUE_INPUT | MAAS_VALUE_CONST | MAAS_VALUE_VARIABLE |
                          MAAS_VALUE_CAPTURED;
    return v->producer == MAAS_NO_NODE && !(v->flags & made);
}

/* ---- constants further out are constants here: shapes and weights are seen without a run ---- */

static const maas_value *constant_outside(const maas_graph *g, const char *name)
{
    for (const maas_graph *up = g->parent; up; up = up->parent) {
        maas_vid v = maas_graph_find(up, name);
        if (v != MAAS_NO_VALUE && !is_open(&up->values[v]))
            return up->values[v].flags & MAAS_VALUE_CONST ? &up->values[v] : NULL;
    }
    return NULL;
}

static void take_constants(maas_graph *g)
{
    for (uint32_t i = 0; i < g->n_values; i++) {
        maas_value *v = &g->values[i];
        const maas_value *c = is_open(v) ? constant_outside(g, v->name) : NULL;
        if (!c)
            continue;
        v->flags |= MAAS_VALUE_CONST;
        v->type = c->type;
        v->init = c->init;
    }
}

/* ---- one node ---- */

typedef struct seen {
    maas_graph *g;
    maas_node *n;
    maas_vid *in; /* inputs of the node as they become */
    uint32_t n_in, cap;
} seen;

static maas_status outer_value(maas_graph *g, const char *name, maas_vid *out, maas_err *err)
{
    *out = maas_graph_find(g, name);
    if (*out != MAAS_NO_VALUE) /* open itself: captured when g is looked at, or refused */
        return MAAS_OK;
    if (!g->parent)
        return maas_fail(err, MAAS_E_INVALID, "a subgraph reads '%.120s', which nothing produces",
                         name);
    /* it is further out still: whoever looks at the node of g takes it from there */
    return maas_graph_value(g, name, NULL, out, err);
}

static maas_status add_input(seen *s, maas_vid v, uint32_t *out_at, maas_err *err)
{
    for (uint32_t i = s->n->n_in - s->n->n_captured; i < s->n_in; i++)
        if (s->in[i] == v) {
            *out_at = i;
            return MAAS_OK;
        }
    if (s->n_in == MAAS_MAX_NODE_IO)
        return maas_fail(err, MAAS_E_TOO_LARGE, "a subgraph reads more than %u outer values",
                         MAAS_MAX_NODE_IO);
    if (s->n_in == s->cap) {
        maas_vid *more = maas_arena_array(&s->g->arena, s->cap * 2 + 4, sizeof *more);
        if (!more)
            return maas_graph_no_memory(s->g, err);
        if (s->n_in)
            memcpy(more, s->in, s->n_in * sizeof *more);
        s->in = more;
        s->cap = s->cap * 2 + 4;
    }
    *out_at = s->n_in;
    s->in[s->n_in++] = v;
    return MAAS_OK;
}

static maas_status reserve(maas_graph *body, uint32_t n, maas_err *err)
{
    if (n <= body->n_captured)
        return MAAS_OK;
    maas_vid *more = maas_arena_array(&body->arena, n, sizeof *more);
    if (!more)
        return maas_graph_no_memory(body, err);
    for (uint32_t k = 0; k < n; k++)
        more[k] = k < body->n_captured ? body->captured[k] : MAAS_NO_VALUE;
    body->captured = more;
    body->n_captured = n;
    return MAAS_OK;
}

static maas_status capture_body(seen *s, maas_graph *body, maas_err *err)
{
    const uint32_t first = s->n->n_in - s->n->n_captured;
    AUTO_FREE uint32_t *uses = maas_calloc(body->n_values + 1u, sizeof *uses);
    if (!uses)
        return maas_graph_no_memory(body, err);
    maas_graph_count_uses(body, uses);
    for (uint32_t i = 0; i < body->n_values; i++) {
        maas_vid outer;
        uint32_t at;
        if (!uses[i] || !is_open(&body->values[i]))
            continue;
        MAAS_TRY(outer_value(s->g, body->values[i].name, &outer, err));
        MAAS_TRY(add_input(s, outer, &at, err));
        MAAS_TRY(reserve(body, s->n_in - first, err));
        body->captured[at - first] = (maas_vid)i;
        body->values[i].flags |= MAAS_VALUE_CAPTURED;
        body->values[i].type = s->g->values[outer].type;
        for (int d = 0; d < body->values[i].type.rank; d++) /* symbols are of one graph */
            if (body->values[i].type.dims[d] < 0)
                body->values[i].type.dims[d] = MAAS_DIM_UNKNOWN;
    }
    return MAAS_OK;
}

maas_status maas_node_capture(maas_graph *g, maas_nid nid, maas_err *err)
{
    maas_node *n = &g->nodes[nid];
    const uint32_t first = n->n_in - n->n_captured;
    seen s = {.g = g, .n = n, .in = n->in, .n_in = n->n_in, .cap = n->n_in};
    for (uint32_t k = 0; k < n->n_attr; k++)
        if (n->attr[k].type == MAAS_ATTR_GRAPH)
            MAAS_TRY(capture_body(&s, n->attr[k].u.graph, err));
    for (uint32_t k = 0; k < n->n_attr; k++)
        if (n->attr[k].type == MAAS_ATTR_GRAPH)
            MAAS_TRY(reserve(n->attr[k].u.graph, s.n_in - first, err));
    n->in = s.in;
    n->n_in = (uint16_t)s.n_in;
    n->n_captured = (uint16_t)(s.n_in - first);
    return MAAS_OK;
}

/* ---- all levels ---- */

typedef struct list {
    maas_graph **at;
    size_t n, cap;
} list;

static maas_status add_bodies(list *l, const maas_graph *g, maas_err *err)
{
    for (uint32_t i = 0; i < g->n_nodes; i++)
        for (uint32_t k = 0; k < g->nodes[i].n_attr; k++) {
            if (g->nodes[i].attr[k].type != MAAS_ATTR_GRAPH)
                continue;
            if (!maas_grow(&l->at, &l->cap, l->n + 1, sizeof *l->at))
                return maas_graph_no_memory(g, err);
            l->at[l->n++] = g->nodes[i].attr[k].u.graph;
        }
    return MAAS_OK;
}

static maas_status capture_all(list *l, maas_graph *g, maas_err *err)
{
    if (!maas_grow(&l->at, &l->cap, 1, sizeof *l->at))
        return maas_graph_no_memory(g, err);
    l->at[l->n++] = g;
    for (size_t i = 0; i < l->n; i++) {
        take_constants(l->at[i]);
        MAAS_TRY(add_bodies(l, l->at[i], err));
    }
    for (size_t i = l->n; i-- > 0;) { /* innermost first: what they need, their graphs need */
        maas_graph *each = l->at[i];
        for (uint32_t n = 0; n < each->n_nodes; n++)
            if (!each->nodes[n].dead)
                MAAS_TRY(maas_node_capture(each, (maas_nid)n, err));
        MAAS_TRY(maas_graph_compact(each, err));
    }
    return MAAS_OK;
}

maas_status maas_graph_capture(maas_graph *g, maas_err *err)
{
    list l = {0};
    maas_status st = capture_all(&l, g, err);
    maas_free(l.at);
    return st;
}

/* ---- a body on its own ---- */

maas_status maas_graph_close(maas_graph *g, const maas_value *const *outer, maas_err *err)
{
    for (uint32_t k = 0; k < g->n_captured; k++) {
        if (g->captured[k] == MAAS_NO_VALUE)
            continue;
        maas_value *v = maas_graph_at(g, g->captured[k]);
        v->flags &= ~(uint32_t)MAAS_VALUE_CAPTURED;
        if (outer[k]->flags & MAAS_VALUE_CONST) {
            v->flags |= MAAS_VALUE_CONST;
            v->init = outer[k]->init;
            v->type = outer[k]->type;
            continue;
        }
        if (!maas_graph_room(g, &g->inputs, MAAS_CAP_INPUTS, g->n_inputs, sizeof *g->inputs))
            return maas_graph_no_memory(g, err);
        v->flags |= MAAS_VALUE_INPUT;
        g->inputs[g->n_inputs++] = g->captured[k];
    }
    g->n_captured = 0;
    g->parent = NULL;
    return MAAS_OK;
}

void maas_graph_forget_types(maas_graph *g)
{
    for (uint32_t i = 0; i < g->n_values; i++)
        if (g->values[i].producer != MAAS_NO_NODE)
            g->values[i].type = (maas_type){0};
}
