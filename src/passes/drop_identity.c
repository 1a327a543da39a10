/*
 * Nodes whose first output is their first input: nobody needs to run them, whoever reads the output
 * can read the input.
 */
#include "passes/pass_int.h"

#include "base/mem.h"
#include "ops/build.h"
#include "base/ban.h"

typedef struct casts {
    const maas_op *to, *like;
} casts;

static bool changes_nothing(const maas_graph *g, const maas_node *n, const casts *cast,
                            bool training)
{
    if (n->n_in < 1 || n->n_out < 1 || n->in[0] < 0 || n->out[0] < 0)
        return false;
    const maas_type *in = &maas_graph_at(g, n->in[0])->type;
    const maas_type *out = &maas_graph_at(g, n->out[0])->type;
    if (n->op->flags & MAAS_OP_INFERENCE_IDENTITY)
        return !training;
    if (n->op == cast->to || n->op == cast->like)
        return in->tag == MAAS_TYPE_TENSOR && in->dtype == out->dtype;
    return (n->op->flags & MAAS_OP_VIEW) && maas_type_eq(in, out);
}

/* Other outputs (the mask of Dropout) must be unread. */
static bool only_first_is_read(const maas_node *n, const uint32_t *uses)
{
    for (int k = 1; k < n->n_out; k++)
        if (n->out[k] >= 0 && uses[n->out[k]])
            return false;
    return true;
}

static void count_uses(const maas_graph *g, uint32_t *uses)
{
    for (uint32_t i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i].n_in; k++)
            if (g->nodes[i].in[k] >= 0)
                uses[g->nodes[i].in[k]]++;
    for (uint32_t i = 0; i < g->n_outputs; i++)
        uses[g->outputs[i]]++;
    for (uint32_t i = 0; i < g->n_bindings; i++)
        uses[g->bindings[i].value]++;
}

maas_status maas_pass_drop_identity(maas_graph *g, const maas_pass_opts *o, maas_err *err)
{
    const casts cast = {maas_op_find("", "Cast", MAAS_OPSET),
                        maas_op_find("", "CastLike", MAAS_OPSET)};
    AUTO_FREE uint32_t *uses = maas_calloc(g->n_values, sizeof *uses);
    AUTO_FREE maas_vid *same = maas_calloc(g->n_values, sizeof *same);
    if (!uses || !same)
        return maas_fail(err, MAAS_E_NOMEM, "dropping identities");
    for (uint32_t v = 0; v < g->n_values; v++)
        same[v] = (maas_vid)v;
    count_uses(g, uses);
    bool any = false;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        maas_node *n = &g->nodes[i];
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k] >= 0)
                n->in[k] = same[n->in[k]];
        /* the name of an output is a promise: its node stays */
        if (!changes_nothing(g, n, &cast, o->training) || !only_first_is_read(n, uses) ||
            maas_value_is(g, n->out[0], MAAS_VALUE_OUTPUT))
            continue;
        same[n->out[0]] = n->in[0];
        any = n->dead = true;
    }
    for (uint32_t i = 0; i < g->n_bindings; i++)
        g->bindings[i].value = same[g->bindings[i].value];
    return any ? maas_graph_compact(g, err) : MAAS_OK;
}
