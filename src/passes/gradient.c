/*
 * Reverse-mode differentiation. One walk forward marks what depends on the variables asked for, one
 * walk back from the loss asks every operator on the way for the gradients of its marked inputs.
 * A value read in several places gets the sum of what comes back from each.
 *
 * The nodes are appended; nothing existing changes. Work is proportional to the graph.
 */
#include "passes/pass_int.h"

#include "base/mem.h"
#include "ops/build.h"
#include "base/ban.h"

typedef struct sweep {
    maas_builder b;
    uint32_t n_values, n_nodes; /* before anything was appended */
    bool *depends;              /* [n_values] on one of the values asked for */
    maas_vid *grad;             /* [n_values] sum so far; MAAS_NO_VALUE: nothing yet */
} sweep;

static bool is_differentiable(const maas_graph *g, maas_vid v)
{
    const maas_type *t = &maas_graph_at(g, v)->type;
    return t->tag == MAAS_TYPE_TENSOR && (MAAS_DTS_FLOAT & MAAS_DT_BIT(t->dtype));
}

static void mark_dependents(sweep *s, const maas_vid *wrt, uint32_t n)
{
    const maas_graph *g = s->b.g;
    for (uint32_t i = 0; i < n; i++)
        s->depends[wrt[i]] = true;
    for (uint32_t i = 0; i < s->n_nodes; i++) {
        const maas_node *node = &g->nodes[i];
        bool any = false;
        for (int k = 0; k < node->n_in && !any; k++)
            any = node->in[k] >= 0 && s->depends[node->in[k]];
        for (int k = 0; k < node->n_out && any; k++)
            if (node->out[k] >= 0 && is_differentiable(g, node->out[k]))
                s->depends[node->out[k]] = true;
    }
}

static void add_to(sweep *s, maas_vid v, maas_vid grad)
{
    s->grad[v] = s->grad[v] < 0 ? grad : maas_b_op2(&s->b, "Add", s->grad[v], grad);
}

/* The nodes array may move while the operator appends: it gets a copy of its node. */
static maas_status through_node(sweep *s, uint32_t i, maas_err *err)
{
    const maas_node node = s->b.g->nodes[i];
    bool reached = false, any = false;
    for (int k = 0; k < node.n_out; k++)
        reached |= node.out[k] >= 0 && s->grad[node.out[k]] >= 0;
    if (!reached)
        return MAAS_OK;
    AUTO_FREE maas_vid *ids = maas_calloc((size_t)node.n_in + node.n_out, sizeof *ids);
    AUTO_FREE bool *want = maas_calloc(node.n_in, sizeof *want);
    if (!ids || !want)
        return maas_fail(err, MAAS_E_NOMEM, "differentiating '%s'", node.name);
    for (int k = 0; k < node.n_in; k++) {
        ids[k] = MAAS_NO_VALUE;
        want[k] = node.in[k] >= 0 && s->depends[node.in[k]] &&
                  is_differentiable(s->b.g, node.in[k]);
        any |= want[k];
    }
    if (!any)
        return MAAS_OK;
    if (!node.op->gradient)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "%s '%s' cannot be differentiated: %s",
                         node.op->name, node.name,
                         node.op->no_gradient ? node.op->no_gradient : "it has no gradient");
    maas_vid *dout = ids + node.n_in;
    for (int k = 0; k < node.n_out; k++)
        dout[k] = node.out[k] >= 0 ? s->grad[node.out[k]] : MAAS_NO_VALUE;
    maas_grad q = {.b = &s->b, .node = &node, .dout = dout, .want = want, .din = ids};
    node.op->gradient(&q);
    for (int k = 0; k < node.n_in && s->b.status == MAAS_OK; k++)
        if (want[k] && ids[k] >= 0)
            add_to(s, node.in[k], ids[k]);
    return s->b.status;
}

static maas_status start(sweep *s, maas_vid loss, maas_err *err)
{
    const maas_type *t = &maas_graph_at(s->b.g, loss)->type;
    bool scalar = is_differentiable(s->b.g, loss) && t->rank >= 0;
    for (int i = 0; scalar && i < t->rank; i++)
        scalar = t->dims[i] == 1;
    if (!scalar)
        return maas_fail(err, MAAS_E_INVALID, "the loss '%s' is not one floating point number",
                         maas_graph_at(s->b.g, loss)->name);
    double cell = 0;
    maas_tensor one = maas_tensor_of((maas_dtype)t->dtype, t->rank, t->dims, &cell);
    maas_tensor_set(&one, 0, 1.0);
    s->grad[loss] = maas_b_const(&s->b, "", &one);
    return s->b.status;
}

maas_status maas_graph_differentiate(maas_graph *g, maas_vid loss, const maas_vid *wrt, uint32_t n,
                                     maas_vid *out_grads, maas_err *err)
{
    sweep s = {.n_values = g->n_values, .n_nodes = g->n_nodes};
    maas_builder_init(&s.b, g, err);
    AUTO_FREE bool *depends = s.depends = maas_calloc(g->n_values, sizeof *depends);
    AUTO_FREE maas_vid *grad = s.grad = maas_calloc(g->n_values, sizeof *grad);
    if (!depends || !grad)
        return maas_fail(err, MAAS_E_NOMEM, "differentiating %u values", g->n_values);
    for (uint32_t v = 0; v < g->n_values; v++)
        grad[v] = MAAS_NO_VALUE;
    mark_dependents(&s, wrt, n);
    MAAS_TRY(start(&s, loss, err));
    for (uint32_t i = s.n_nodes; i-- > 0;)
        MAAS_TRY(through_node(&s, i, err));
    for (uint32_t i = 0; i < n; i++)
        out_grads[i] = depends[loss] || wrt[i] == loss ? grad[wrt[i]] : MAAS_NO_VALUE;
    return MAAS_OK;
}
