#include "graph/graph_int.h"

#include <string.h>

#include "graph/op.h"
#include "base/ban.h"

/* A given output must be a plain value that nothing produces yet, and be given once. */
static maas_status check_outputs(const maas_graph *g, const maas_op *op, const maas_vid *out,
                                 uint32_t n_out, maas_err *err)
{
    for (uint32_t i = 0; i < n_out; i++) {
        if (out[i] == MAAS_NO_VALUE)
            continue;
        if (!maas_vid_ok(g, out[i]))
            return maas_fail(err, MAAS_E_INVALID, "%s: output %u is no value of the graph",
                             op->name, i);
        const maas_value *v = &g->values[out[i]];
        const uint32_t given = MAAS_VALUE_INPUT | MAAS_VALUE_CONST | MAAS_VALUE_VARIABLE;
        if (v->producer != MAAS_NO_NODE || (v->flags & given))
            return maas_fail(err, MAAS_E_INVALID, "%s: '%.120s' has a producer already", op->name,
                             v->name);
    }
    return MAAS_OK;
}

/* Marks each output as produced by n at once, so a second mention of one is seen. */
static maas_status claim_outputs(maas_graph *g, const maas_op *op, maas_nid n, maas_vid *out,
                                 uint32_t n_out, maas_err *err)
{
    for (uint32_t i = 0; i < n_out; i++) {
        if (out[i] == MAAS_NO_VALUE)
            MAAS_TRY(maas_graph_value(g, NULL, NULL, &out[i], err));
        maas_value *v = &g->values[out[i]];
        if (v->producer != MAAS_NO_NODE)
            return maas_fail(err, MAAS_E_INVALID, "%s: '%.120s' is an output twice", op->name,
                             v->name);
        v->producer = n;
    }
    return MAAS_OK;
}

static void disown_outputs(maas_graph *g, maas_nid n, const maas_vid *out, uint32_t n_out)
{
    for (uint32_t i = 0; i < n_out; i++)
        if (maas_vid_ok(g, out[i]) && g->values[out[i]].producer == n)
            g->values[out[i]].producer = MAAS_NO_NODE;
}

maas_status maas_graph_node(maas_graph *g, const maas_op *op, const char *name, const maas_vid *in,
                            uint32_t n_in, maas_vid *out, uint32_t n_out, maas_nid *out_node,
                            maas_err *err)
{
    if (!op)
        return maas_fail(err, MAAS_E_INVALID, "node '%.120s' has no operator", name ? name : "");
    if (n_in > MAAS_MAX_NODE_IO || n_out > MAAS_MAX_NODE_IO)
        return maas_fail(err, MAAS_E_TOO_LARGE, "%s: %u inputs and %u outputs, at most %u",
                         op->name, n_in, n_out, MAAS_MAX_NODE_IO);
    if (g->n_nodes >= MAAS_MAX_NODES)
        return maas_fail(err, MAAS_E_TOO_LARGE, "more than %u nodes in a graph", MAAS_MAX_NODES);
    for (uint32_t i = 0; i < n_in; i++)
        if (in[i] != MAAS_NO_VALUE && !maas_vid_ok(g, in[i]))
            return maas_fail(err, MAAS_E_INVALID, "%s: input %u is no value of the graph", op->name,
                             i);
    if (out)
        MAAS_TRY(check_outputs(g, op, out, n_out, err));

    maas_node node = {.op = op, .n_in = (uint16_t)n_in, .n_out = (uint16_t)n_out};
    node.name = name && *name ? maas_arena_strdup(&g->arena, name) : "";
    node.in = maas_arena_dup(&g->arena, in, n_in * sizeof *in);
    node.out = maas_arena_array(&g->arena, n_out, sizeof *node.out);
    if (!node.name || !node.in || !node.out ||
        !maas_graph_room(g, &g->nodes, MAAS_CAP_NODES, g->n_nodes, sizeof *g->nodes))
        return maas_graph_no_memory(g, err);
    for (uint32_t i = 0; i < n_out; i++)
        node.out[i] = out ? out[i] : MAAS_NO_VALUE;
    maas_nid n = (maas_nid)g->n_nodes;
    maas_status st = claim_outputs(g, op, n, node.out, n_out, err);
    if (st != MAAS_OK) {
        disown_outputs(g, n, node.out, n_out);
        return st;
    }
    if (out && n_out)
        memcpy(out, node.out, n_out * sizeof *out);
    g->nodes[g->n_nodes++] = node;
    if (out_node)
        *out_node = n;
    return MAAS_OK;
}

/* ---- attributes ---- */

static bool copy_string(maas_graph *g, const maas_str *from, maas_str *to)
{
    *to = (maas_str){maas_arena_strndup(&g->arena, from->p, from->n), from->n};
    return to->p;
}

/* Lists that may have a number for each node of many trees: what its writer made in the arena stays
 * where it is. */
static bool lies_here(const maas_graph *g, const void *list, uint32_t n)
{
    enum { LONG = 4096 };
    return n >= LONG && maas_arena_owns(&g->arena, list);
}

/* Words repeat in long lists: those at the same address are copied once while they are near. */
static bool copy_strings(maas_graph *g, const maas_str *from, uint32_t n, maas_str *to)
{
    enum { NEAR = 8 };
    maas_str had[NEAR] = {{0}}, copy[NEAR] = {{0}};
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t k = (uint32_t)((uintptr_t)from[i].p >> 3 ^ from[i].n) % NEAR;
        if (!had[k].p || had[k].p != from[i].p || had[k].n != from[i].n) {
            had[k] = from[i];
            if (!copy_string(g, &from[i], &copy[k]))
                return false;
        }
        to[i] = copy[k];
    }
    return true;
}

static bool copy_list(maas_graph *g, const maas_attr *from, maas_attr *to)
{
    if (lies_here(g, from->u.floats, from->n))
        return from->type != MAAS_ATTR_STRINGS ||
               copy_strings(g, from->u.strings, from->n, (maas_str *)(uintptr_t)from->u.strings);
    switch (from->type) {
    case MAAS_ATTR_FLOATS:
        return (to->u.floats = maas_arena_dup(&g->arena, from->u.floats,
                                              from->n * sizeof *from->u.floats));
    case MAAS_ATTR_INTS:
        return (
            to->u.ints = maas_arena_dup(&g->arena, from->u.ints, from->n * sizeof *from->u.ints));
    default: {
        maas_str *s = maas_arena_array(&g->arena, from->n, sizeof *s);
        if (!s || !copy_strings(g, from->u.strings, from->n, s))
            return false;
        return (to->u.strings = s);
    }
    }
}

static maas_status copy_tensor_attr(maas_graph *g, const maas_attr *from, maas_attr *to,
                                    maas_err *err)
{
    maas_tensor *t = maas_arena_alloc(&g->arena, sizeof *t);
    if (!t)
        return maas_graph_no_memory(g, err);
    MAAS_TRY(maas_graph_take_tensor(g, from->u.tensor, true, t, err));
    to->u.tensor = t;
    return MAAS_OK;
}

static maas_status copy_attr(maas_graph *g, const maas_attr *from, maas_attr *to, maas_err *err)
{
    bool ok = true;
    *to = *from;
    if (!(to->name = maas_arena_strdup(&g->arena, from->name)))
        return maas_graph_no_memory(g, err);
    switch (from->type) {
    case MAAS_ATTR_FLOAT:
    case MAAS_ATTR_INT:
        break;
    case MAAS_ATTR_STRING:
        ok = copy_string(g, &from->u.s, &to->u.s);
        break;
    case MAAS_ATTR_TENSOR:
        return copy_tensor_attr(g, from, to, err);
    case MAAS_ATTR_TYPE:
        ok = (to->u.type = maas_arena_dup(&g->arena, from->u.type, sizeof *from->u.type));
        break;
    case MAAS_ATTR_GRAPH:
        return maas_graph_adopt(g, from->u.graph, err);
    case MAAS_ATTR_FLOATS:
    case MAAS_ATTR_INTS:
    case MAAS_ATTR_STRINGS:
        ok = copy_list(g, from, to);
        break;
    default:
        return maas_fail(err, MAAS_E_INVALID, "attribute '%.120s' has the unknown type %d",
                         from->name, (int)from->type);
    }
    return ok ? MAAS_OK : maas_graph_no_memory(g, err);
}

maas_status maas_node_set(maas_graph *g, maas_nid n, const maas_attr *attr, maas_err *err)
{
    MAAS_CHECK(n >= 0 && (uint32_t)n < g->n_nodes);
    maas_node *node = &g->nodes[n];
    uint32_t at = 0;
    while (at < node->n_attr && strcmp(node->attr[at].name, attr->name) != 0)
        at++;
    if (at == UINT8_MAX) /* as many as a schema can have; bounds the search above */
        return maas_fail(err, MAAS_E_TOO_LARGE, "%s: too many attributes", node->op->name);
    /* Arrays of attributes have room for the next power of two, 4 at least. */
    if (at == node->n_attr && (at == 0 || (at >= 4 && (at & (at - 1)) == 0))) {
        maas_attr *more = maas_arena_array(&g->arena, at ? at * 2 : 4, sizeof *more);
        if (!more)
            return maas_graph_no_memory(g, err);
        if (at)
            memcpy(more, node->attr, at * sizeof *more);
        node->attr = more;
    }
    maas_attr own;
    MAAS_TRY(copy_attr(g, attr, &own, err));
    node->attr[at] = own;
    node->checked = 0;
    if (at == node->n_attr)
        node->n_attr++;
    return MAAS_OK;
}

const maas_attr *maas_node_attr(const maas_node *n, const char *name)
{
    for (uint32_t i = 0; i < n->n_attr; i++)
        if (strcmp(n->attr[i].name, name) == 0)
            return &n->attr[i];
    return NULL;
}

static const maas_attr *typed(const maas_node *n, const char *name, maas_attr_type type)
{
    const maas_attr *a = maas_node_attr(n, name);
    return a && a->type == type ? a : NULL;
}

int64_t maas_attr_i(const maas_node *n, const char *name, int64_t otherwise)
{
    const maas_attr *a = typed(n, name, MAAS_ATTR_INT);
    return a ? a->u.i : otherwise;
}

float maas_attr_f(const maas_node *n, const char *name, float otherwise)
{
    const maas_attr *a = typed(n, name, MAAS_ATTR_FLOAT);
    return a ? a->u.f : otherwise;
}

maas_str maas_attr_s(const maas_node *n, const char *name, const char *otherwise)
{
    const maas_attr *a = typed(n, name, MAAS_ATTR_STRING);
    return a ? a->u.s : (maas_str){otherwise, otherwise ? strlen(otherwise) : 0};
}

const int64_t *maas_attr_ints(const maas_node *n, const char *name, uint32_t *out_n)
{
    const maas_attr *a = typed(n, name, MAAS_ATTR_INTS);
    *out_n = a ? a->n : 0;
    return a ? a->u.ints : NULL;
}
