/*
 * Convolutions in bfloat16: they read and write it, and sum in f32. Only of models that ask for it
 * (maas_graph_wants_bf16), where the machine multiplies it. After layout: of convolutions in
 * blocks.
 *
 * A value is bfloat16 where a convolution reads it; what else reads it gets floats of a Cast, which
 * is swept away where nobody does. One walk in order: for each value there is at most one twin.
 */
#include "passes/pass_int.h"

#include <string.h>

#include "base/mem.h"
#include "ops/build.h"
#include "base/ban.h"

typedef struct walk {
    maas_graph *g;
    maas_builder b;
    maas_vid *twin; /* [n_values] in bfloat16; MAAS_NO_VALUE */
    bool *read;     /* [n_values] by a convolution in blocks */
    uint32_t n_values;
} walk;

/* Where X is; -1: no convolution in blocks. */
static int conv_input(const maas_graph *g, const maas_node *n)
{
    const bool add = strcmp(n->op->name, "FusedConvAdd") == 0;
    if (n->dead || (!add && strcmp(n->op->name, "FusedConv") != 0) || !maas_attr_i(n, "block", 0) ||
        !maas_value_is(g, n->in[add + 1], MAAS_VALUE_CONST) ||
        maas_graph_at(g, n->in[add])->type.dtype != MAAS_F32 ||
        (n->n_in > add + 3 && n->in[add + 3] >= 0 &&
         !maas_value_is(g, n->in[add + 3], MAAS_VALUE_CONST)))
        return -1;
    return add;
}

static maas_vid half_of(walk *w, maas_vid v)
{
    if (w->twin[v] < 0)
        w->twin[v] = maas_b_node(&w->b, "Cast", &MAAS_A_INT("to", MAAS_BF16), 1, &v, 1, NULL, 1);
    return w->twin[v];
}

/* Node i gives bfloat16; a Cast makes what it gave. */
static void give_half(walk *w, maas_nid i, maas_vid y)
{
    maas_type t = maas_graph_at(w->g, y)->type;
    maas_vid twin, out = y;
    maas_nid nid;
    t.dtype = MAAS_BF16;
    if (w->b.status == MAAS_OK)
        w->b.status = maas_graph_value(w->g, NULL, &t, &twin, w->b.err);
    if (w->b.status != MAAS_OK)
        return;
    w->g->nodes[i].out[0] = w->twin[y] = twin;
    maas_graph_at(w->g, twin)->producer = i;
    maas_graph_at(w->g, y)->producer = MAAS_NO_NODE;
    w->b.status = maas_graph_node(w->g, maas_op_find("", "Cast", MAAS_OPSET), "", &twin, 1, &out, 1,
                                  &nid, w->b.err);
    if (w->b.status == MAAS_OK)
        w->b.status = maas_node_set(w->g, nid, &MAAS_A_INT("to", MAAS_F32), w->b.err);
}

static void convolve(walk *w, maas_nid i, int add)
{
    const maas_node n = w->g->nodes[i];
    const bool half = w->read[n.out[0]];
    const maas_vid x = half_of(w, n.in[add]);
    const maas_vid z = add && half ? half_of(w, n.in[0]) : n.in[0];
    if (w->b.status != MAAS_OK)
        return;
    w->g->nodes[i].in[0] = z;
    w->g->nodes[i].in[add] = x;
    w->b.status = maas_node_set(w->g, i, &MAAS_A_INT("to", half ? MAAS_BF16 : MAAS_F32), w->b.err);
    if (half)
        give_half(w, i, n.out[0]);
}

static maas_status convolve_all(walk *w, bool *out_any)
{
    const uint32_t n_nodes = w->g->n_nodes;
    for (uint32_t v = 0; v < w->n_values; v++)
        w->twin[v] = MAAS_NO_VALUE;
    for (uint32_t i = 0; i < n_nodes; i++) {
        const maas_node *n = &w->g->nodes[i];
        const int add = conv_input(w->g, n);
        for (int k = 0; k <= add; k++) /* Z and X */
            w->read[n->in[k]] = true;
    }
    for (uint32_t i = 0; i < n_nodes && w->b.status == MAAS_OK; i++) {
        const int add = conv_input(w->g, &w->g->nodes[i]);
        *out_any |= add >= 0;
        if (add >= 0)
            convolve(w, (maas_nid)i, add);
    }
    return w->b.status;
}

bool maas_graph_wants_bf16(const maas_graph *g)
{
    const char *precision = maas_graph_meta(g, MAAS_META_PRECISION);
    return precision && strcmp(precision, "bf16") == 0;
}

maas_status maas_pass_bf16(maas_graph *g, const maas_pass_opts *o, maas_err *err)
{
    walk w = {.g = g, .n_values = g->n_values};
    bool any = false;
    if (!o->bf16 || o->training)
        return MAAS_OK;
    AUTO_FREE maas_vid *twin = maas_calloc(g->n_values, sizeof *twin);
    AUTO_FREE bool *read = maas_calloc(g->n_values, sizeof *read);
    if (!twin || !read)
        return maas_fail(err, MAAS_E_NOMEM, "choosing bfloat16");
    w.twin = twin;
    w.read = read;
    maas_builder_init(&w.b, g, err);
    MAAS_TRY(convolve_all(&w, &any));
    if (!any)
        return MAAS_OK;
    MAAS_TRY(maas_graph_compact(g, err));
    return maas_pass_dead_code(g, o, err);
}
