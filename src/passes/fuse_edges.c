/*
 * Rows that Gather took and a product weighed, added up in zeros by ScatterND or ScatterElements,
 * are a sum along edges:
 *
 *   ScatterND(zeros [n, d], Unsqueeze(to, 1), Mul(Gather(x, from), Unsqueeze(weight, 1)))
 *   ScatterElements(zeros [n, d], Expand(Unsqueeze(to, 1), ..), Mul(..)), axis 0
 *     = EdgeSum(x, from, to, weight)
 *
 * so that the [e, d] rows in between are never made. It runs before constants are folded: a known
 * list would no longer look like one.
 */
#include "passes/pass_int.h"

#include <string.h>

#include "ops/build.h"
#include "base/ban.h"

static const maas_node *maker(const maas_graph *g, maas_vid v, const char *op)
{
    const maas_nid nid = v < 0 ? MAAS_NO_NODE : maas_graph_at(g, v)->producer;
    if (nid == MAAS_NO_NODE)
        return NULL;
    const maas_node *n = &g->nodes[nid];
    return !n->dead && !*n->op->domain && strcmp(n->op->name, op) == 0 ? n : NULL;
}

static bool is_number(const maas_graph *g, maas_vid v, double want)
{
    if (!maas_value_is(g, v, MAAS_VALUE_CONST))
        return false;
    const maas_tensor *t = &maas_graph_at(g, v)->init;
    return t->data && t->dtype != MAAS_STRING && maas_n_elems(t) == 1 &&
           maas_tensor_get(t, 0) == want;
}

/* What Unsqueeze(list, 1) was made of. */
static maas_vid list_of(const maas_graph *g, maas_vid v)
{
    const maas_node *n = maker(g, v, "Unsqueeze");
    if (!n || n->n_in != 2 || maas_graph_at(g, n->in[0])->type.rank != 1 ||
        !(is_number(g, n->in[1], 1) || is_number(g, n->in[1], -1)))
        return MAAS_NO_VALUE;
    return n->in[0];
}

/* The two factors of the rows, either way around. */
static bool read_rows(const maas_graph *g, maas_vid rows, maas_vid in[4])
{
    const maas_node *mul = maker(g, rows, "Mul");
    for (int k = 0; mul && k < 2; k++) {
        const maas_node *gather = maker(g, mul->in[k], "Gather");
        const maas_vid weight = list_of(g, mul->in[1 - k]);
        if (!gather || weight == MAAS_NO_VALUE || maas_attr_i(gather, "axis", 0) != 0)
            continue;
        in[0] = gather->in[0];
        in[1] = gather->in[1];
        in[3] = weight;
        return true;
    }
    return false;
}

/* Indices of elements have the shape of the rows: each row's number d times. */
static maas_vid targets_of(const maas_graph *g, const maas_node *n)
{
    if (strcmp(n->op->name, "ScatterND") == 0)
        return list_of(g, n->in[1]);
    const maas_node *spread = maker(g, n->in[1], "Expand");
    return spread && maas_attr_i(n, "axis", 0) == 0 ? list_of(g, spread->in[0]) : MAAS_NO_VALUE;
}

static bool is_scatter(const maas_node *n)
{
    return !n->dead && !*n->op->domain &&
           (strcmp(n->op->name, "ScatterND") == 0 || strcmp(n->op->name, "ScatterElements") == 0);
}

/* May the lists be of one length? One of a single number is spread over the others by Mul and
 * Expand, and EdgeSum does not do so. */
static bool same_length(const maas_graph *g, maas_vid a, maas_vid b)
{
    const maas_type *s = &maas_graph_at(g, a)->type, *t = &maas_graph_at(g, b)->type;
    if (s->rank != 1 || t->rank != 1)
        return false;
    const int64_t m = s->dims[0], n = t->dims[0];
    return m == n || (m != 1 && n != 1 && (m < 0 || n < 0));
}

/* What EdgeSum takes: ScatterElements adds whole numbers, and has 32-bit indices, too. */
static bool edge_sum_takes(const maas_graph *g, const maas_vid in[4])
{
    const maas_dtype x = (maas_dtype)maas_graph_at(g, in[0])->type.dtype;
    for (int i = 1; i < 3; i++)
        if (maas_graph_at(g, in[i])->type.dtype != MAAS_I64)
            return false;
    return (MAAS_DTS_FLOAT & MAAS_DT_BIT(x)) && same_length(g, in[1], in[2]) &&
           same_length(g, in[1], in[3]);
}

static bool read_sum(const maas_graph *g, const maas_node *n, maas_vid in[4])
{
    const maas_str how = maas_attr_s(n, "reduction", "none");
    const maas_node *zeros = maker(g, n->in[0], "Expand");
    if (how.n != 3 || memcmp(how.p, "add", 3) != 0 || !zeros || !is_number(g, zeros->in[0], 0) ||
        !read_rows(g, n->in[2], in))
        return false;
    in[2] = targets_of(g, n);
    if (in[2] == MAAS_NO_VALUE)
        return false;
    const maas_type *x = &maas_graph_at(g, in[0])->type, *from = &maas_graph_at(g, in[1])->type;
    return x->rank == 2 && from->rank == 1 && edge_sum_takes(g, in) &&
           maas_type_eq(x, &maas_graph_at(g, n->out[0])->type);
}

maas_status maas_pass_fuse_edges(maas_graph *g, const maas_pass_opts *o, maas_err *err)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        maas_node *n = &g->nodes[i];
        maas_vid in[4];
        if (!is_scatter(n) || !read_sum(g, n, in))
            continue;
        maas_vid *copy = maas_arena_dup(&g->arena, in, sizeof in);
        if (!copy)
            return maas_fail(err, MAAS_E_NOMEM, "a sum along edges");
        n->op = maas_op_find(MAAS_DOMAIN_OWN, "EdgeSum", 1);
        n->in = copy;
        n->n_in = 4;
        n->attr = NULL;
        n->n_attr = 0;
    }
    return MAAS_OK;
}
