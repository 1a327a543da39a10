#include "graph/graph_int.h"

#include <string.h>

#include "base/mem.h"
#include "graph/op.h"
#include "base/ban.h"

/* ---- uses ---- */

uint32_t maas_graph_n_uses(const maas_graph *g, maas_vid v)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const maas_node *node = &g->nodes[i];
        for (uint32_t k = 0; !node->dead && k < node->n_in; k++)
            n += node->in[k] == v;
    }
    for (uint32_t i = 0; i < g->n_outputs; i++)
        n += g->outputs[i] == v;
    for (uint32_t i = 0; i < g->n_bindings; i++)
        n += g->bindings[i].value == v;
    return n;
}

void maas_graph_count_uses(const maas_graph *g, uint32_t *counts)
{
    memset(counts, 0, g->n_values * sizeof *counts);
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const maas_node *node = &g->nodes[i];
        for (uint32_t k = 0; !node->dead && k < node->n_in; k++)
            if (node->in[k] != MAAS_NO_VALUE)
                counts[node->in[k]]++;
    }
    for (uint32_t i = 0; i < g->n_outputs; i++)
        counts[g->outputs[i]]++;
    for (uint32_t i = 0; i < g->n_bindings; i++)
        counts[g->bindings[i].value]++;
}

/* ---- replacing ---- */

/* `to` takes over the place and the name of the output `from`. */
static maas_status move_output(maas_graph *g, maas_vid from, maas_vid to, maas_err *err)
{
    const uint32_t fixed = MAAS_VALUE_INPUT | MAAS_VALUE_OUTPUT | MAAS_VALUE_VARIABLE;
    if (g->values[to].flags & fixed)
        return maas_fail(err, MAAS_E_INVALID,
                         "output '%.120s' cannot be '%.120s', whose name is "
                         "fixed as well",
                         g->values[from].name, g->values[to].name);
    const char *name = g->values[from].name;
    MAAS_TRY(maas_graph_rename(g, from, NULL, err));
    maas_status st = maas_graph_rename(g, to, name, err);
    if (st != MAAS_OK) {
        /* The old name went back into the table's free slot: this cannot run out of memory. */
        maas_names *t = &maas_graph_tables_of(g)->values;
        maas_names_remove(t, g->values[from].name);
        maas_names_add(t, &g->arena, name, (uint32_t)from);
        g->values[from].name = name;
        return st;
    }
    g->values[from].flags &= ~(uint32_t)MAAS_VALUE_OUTPUT;
    g->values[to].flags |= MAAS_VALUE_OUTPUT;
    for (uint32_t i = 0; i < g->n_outputs; i++)
        if (g->outputs[i] == from)
            g->outputs[i] = to;
    return MAAS_OK;
}

maas_status maas_graph_replace(maas_graph *g, maas_vid from, maas_vid to, maas_err *err)
{
    if (!maas_vid_ok(g, from) || !maas_vid_ok(g, to))
        return maas_fail(err, MAAS_E_INVALID, "replacing what is no value of the graph");
    if (from == to)
        return MAAS_OK;
    if (g->values[from].flags & MAAS_VALUE_OUTPUT)
        MAAS_TRY(move_output(g, from, to, err));
    for (uint32_t i = 0; i < g->n_nodes; i++)
        for (uint32_t k = 0; k < g->nodes[i].n_in; k++)
            if (g->nodes[i].in[k] == from)
                g->nodes[i].in[k] = to;
    for (uint32_t i = 0; i < g->n_bindings; i++)
        if (g->bindings[i].value == from)
            g->bindings[i].value = to;
    return MAAS_OK;
}

/* ---- order ---- */

/*
 * Depth first over an explicit stack, from the nodes in their present order: a node comes right
 * after the last of its producers that was not there yet. So a sorted graph stays as it is, and
 * what a pass appended moves to just before its first use (which keeps lifetimes short; a queue of
 * ready nodes would not).
 */
enum { UNSEEN, OPEN, DONE };

typedef struct frame {
    maas_nid node;
    uint32_t next; /* input to look at */
} frame;

typedef struct sorter {
    const maas_graph *g;
    uint8_t *state;  /* [n_nodes] */
    frame *stack;    /* [n_nodes] */
    maas_nid *order; /* [n_nodes]: old ids, in the new order */
    uint32_t n_order;
} sorter;

/* The live node that makes v; MAAS_NO_NODE when nothing has to run for it. */
static maas_nid producer_of(const maas_graph *g, maas_vid v)
{
    maas_nid p = v == MAAS_NO_VALUE ? MAAS_NO_NODE : g->values[v].producer;
    return p != MAAS_NO_NODE && g->nodes[p].dead ? MAAS_NO_NODE : p;
}

static maas_status visit(sorter *s, maas_nid root, maas_err *err)
{
    uint32_t depth = 0;
    s->stack[depth++] = (frame){root, 0};
    s->state[root] = OPEN;
    while (depth) {
        frame *top = &s->stack[depth - 1];
        const maas_node *node = &s->g->nodes[top->node];
        if (top->next == node->n_in) {
            s->state[top->node] = DONE;
            s->order[s->n_order++] = top->node;
            depth--;
            continue;
        }
        maas_nid p = producer_of(s->g, node->in[top->next++]);
        if (p == MAAS_NO_NODE || s->state[p] == DONE)
            continue;
        if (s->state[p] == OPEN)
            return maas_fail(err, MAAS_E_INVALID, "node %d (%s '%.120s') depends on itself", p,
                             s->g->nodes[p].op->name, s->g->nodes[p].name);
        s->state[p] = OPEN;
        s->stack[depth++] = (frame){p, 0};
    }
    return MAAS_OK;
}

/* Moves the nodes to their new places and corrects who produces what. */
static void apply_order(maas_graph *g, const sorter *s, maas_node *scratch)
{
    for (uint32_t i = 0; i < g->n_values; i++)
        g->values[i].producer = MAAS_NO_NODE;
    for (uint32_t i = 0; i < s->n_order; i++)
        scratch[i] = g->nodes[s->order[i]];
    if (s->n_order)
        memcpy(g->nodes, scratch, s->n_order * sizeof *scratch);
    g->n_nodes = s->n_order;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        for (uint32_t k = 0; k < g->nodes[i].n_out; k++)
            if (g->nodes[i].out[k] != MAAS_NO_VALUE)
                g->values[g->nodes[i].out[k]].producer = (maas_nid)i;
}

maas_status maas_graph_compact(maas_graph *g, maas_err *err)
{
    uint32_t n = g->n_nodes;
    AUTO_FREE uint8_t *state = maas_calloc(n + 1, 1);
    AUTO_FREE frame *stack = maas_calloc(n + 1, sizeof *stack);
    AUTO_FREE maas_nid *order = maas_calloc(n + 1, sizeof *order);
    AUTO_FREE maas_node *scratch = maas_calloc(n + 1, sizeof *scratch);
    if (!state || !stack || !order || !scratch)
        return maas_graph_no_memory(g, err);
    sorter s = {g, state, stack, order, 0};
    for (uint32_t i = 0; i < n; i++)
        if (!g->nodes[i].dead && state[i] == UNSEEN)
            MAAS_TRY(visit(&s, (maas_nid)i, err));
    apply_order(g, &s, scratch);
    return MAAS_OK;
}
