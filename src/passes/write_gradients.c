/*
 * Gradient nodes (ai.onnx.preview.training) become the nodes that compute what they ask for. It is
 * asked by the names of values, so this pass runs before any other changes them.
 */
#include "passes/pass_int.h"

#include "base/mem.h"
#include "ops/build.h"
#include "base/ban.h"

/* Each walks the whole graph: hostile models must not ask for a walk a node. */
#define MAX_GRADIENTS 32

static maas_status named(const maas_graph *g, maas_str name, maas_vid *out, maas_err *err)
{
    char text[256];
    if (name.n >= sizeof text)
        return maas_fail(err, MAAS_E_INVALID, "Gradient names a value of %zu bytes", name.n);
    memcpy(text, name.p, name.n);
    text[name.n] = '\0';
    *out = maas_graph_find(g, text);
    return *out == MAAS_NO_VALUE
               ? maas_fail(err, MAAS_E_INVALID, "Gradient names '%s', which is no value", text)
               : MAAS_OK;
}

/* Derivatives are taken where the graph is computed anyway, not at other values. */
static maas_status check_inputs(const maas_graph *g, const maas_node *n, const char *attr, int at,
                                maas_err *err)
{
    const maas_attr *names = maas_node_attr(n, attr);
    maas_vid v;
    for (uint32_t i = 0; names && i < names->n; i++) {
        MAAS_TRY(named(g, names->u.strings[i], &v, err));
        if (n->in[at + (int)i] != v)
            return maas_fail(err, MAAS_E_UNSUPPORTED,
                             "Gradient '%s': input %u is not the value '%.100s' itself", n->name,
                             at + i, maas_graph_at(g, v)->name);
    }
    return MAAS_OK;
}

/* Of an array the sum: what comes back into each of its elements is one. */
static maas_status one_number(maas_graph *g, maas_vid y, maas_vid *out, maas_err *err)
{
    maas_builder b;
    const maas_type *t = &maas_graph_at(g, y)->type;
    *out = y;
    if (t->tag == MAAS_TYPE_TENSOR && t->rank == 0)
        return MAAS_OK;
    const maas_attr keep = MAAS_A_INT("keepdims", 0);
    maas_builder_init(&b, g, err);
    *out = maas_b_node(&b, "ReduceSum", &keep, 1, &y, 1, NULL, 1);
    return b.status;
}

static maas_status zeros_like(maas_graph *g, maas_vid v, maas_vid *out, maas_err *err)
{
    maas_builder b;
    maas_builder_init(&b, g, err);
    const maas_vid shape = maas_b_op1(&b, "Shape", v);
    *out = maas_b_op2(&b, "CastLike", maas_b_op1(&b, "ConstantOfShape", shape), v);
    return b.status;
}

static maas_status write_one(maas_graph *g, uint32_t at, maas_err *err)
{
    const maas_node n = g->nodes[at]; /* nodes move as some are added */
    const maas_attr *xs = maas_node_attr(&n, "xs");
    maas_vid y;
    MAAS_TRY(check_inputs(g, &n, "xs", 0, err));
    MAAS_TRY(check_inputs(g, &n, "zs", (int)xs->n, err));
    MAAS_TRY(named(g, maas_attr_s(&n, "y", ""), &y, err));
    AUTO_FREE maas_vid *grads = maas_calloc(xs->n + 1u, sizeof *grads);
    if (!grads)
        return maas_fail(err, MAAS_E_NOMEM, "%u derivatives", xs->n);
    g->nodes[at].dead = true;
    MAAS_TRY(one_number(g, y, &y, err));
    MAAS_TRY(maas_graph_differentiate(g, y, n.in, xs->n, grads, err));
    for (int k = 0; k < n.n_out; k++) {
        if (n.out[k] == MAAS_NO_VALUE)
            continue;
        if (grads[k] == MAAS_NO_VALUE)
            MAAS_TRY(zeros_like(g, n.in[k], &grads[k], err));
        const maas_op *identity = maas_op_find("", "Identity", MAAS_OPSET);
        maas_vid to = n.out[k];
        maas_graph_at(g, to)->producer = MAAS_NO_NODE;
        MAAS_TRY(maas_graph_node(g, identity, n.name, &grads[k], 1, &to, 1, NULL, err));
    }
    return MAAS_OK;
}

maas_status maas_pass_write_gradients(maas_graph *g, const maas_pass_opts *o, maas_err *err)
{
    const maas_op *op = maas_op_find(MAAS_DOMAIN_TRAINING, "Gradient", 1);
    int n = 0;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i].dead || g->nodes[i].op != op)
            continue;
        if (++n > MAX_GRADIENTS)
            return maas_fail(err, MAAS_E_TOO_LARGE, "more than %d Gradient nodes", MAX_GRADIENTS);
        MAAS_TRY(write_one(g, i, err));
    }
    if (n == 0)
        return MAAS_OK;
    MAAS_TRY(maas_graph_compact(g, err));
    return maas_graph_infer(g, err);
}
