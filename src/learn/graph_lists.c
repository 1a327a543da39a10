/*
 * learn/graph_lists.c - edges as values of a graph.
 *
 * While learning they are three constants a kind of weights, and EdgeSum does the sum. In a model
 * file the sum is written with operators of the standard (Gather, Mul, ScatterElements with
 * reduction add), which a pass reads as EdgeSum again.
 */
#include "learn/graph_edges.h"

#include <math.h>

#include "base/mem.h"

#include "base/ban.h"

/* ---- of the graph that was learned from ---- */

typedef struct lists {
    int64_t n;
    int64_t *from, *to;
    float *weight;
} lists;

static void reset_lists(lists *l)
{
    maas_free(l->from);
    maas_free(l->to);
    maas_free(l->weight);
}

static double weight_at(const maas_edges *e, int64_t k)
{
    return e->weight ? (double)e->weight[k] : 1;
}

/* Row sums of A, and of the identity where it is added. */
static double *degrees(const maas_edges *e, double own)
{
    double *sum = maas_calloc((size_t)e->n_nodes + 1, sizeof *sum);
    for (int64_t i = 0; sum && i < e->n_nodes; i++)
        sum[i] = own;
    for (int64_t k = 0; sum && k < e->n; k++)
        sum[e->to[k]] += weight_at(e, k);
    return sum;
}

static bool list_edges(const maas_edges *e, maas_edge_kind kind, lists *l)
{
    const int64_t loops = kind == MAAS_EDGES_GCN ? e->n_nodes : 0;
    const size_t room = (size_t)(e->n + loops) + 1;
    AUTO_FREE double *sum = degrees(e, loops ? 1 : 0);
    l->n = e->n + loops;
    l->from = maas_calloc(room, sizeof *l->from);
    l->to = maas_calloc(room, sizeof *l->to);
    l->weight = maas_calloc(room, sizeof *l->weight);
    if (!sum || !l->from || !l->to || !l->weight)
        return false;
    for (int64_t k = 0; k < l->n; k++) {
        const bool own = k >= e->n;
        const int64_t from = l->from[k] = own ? k - e->n : e->from[k];
        const int64_t to = l->to[k] = own ? k - e->n : e->to[k];
        const double w = own ? 1 : weight_at(e, k);
        const double by = kind == MAAS_EDGES_GCN    ? sqrt(sum[from] * sum[to])
                          : kind == MAAS_EDGES_MEAN ? sum[to]
                                                    : 1;
        l->weight[k] = by > 0 ? (float)(w / by) : 0;
    }
    return true;
}

static void stored_lists(maas_net *net, maas_edge_kind kind, maas_net_edges *out)
{
    lists l = {0};
    if (!list_edges(net->edges, kind, &l)) {
        maas_net_fail(net, MAAS_E_NOMEM, "%lld edges", (long long)net->edges->n);
    } else {
        const maas_tensor from = maas_tensor_of(MAAS_I64, 1, &l.n, l.from);
        const maas_tensor to = maas_tensor_of(MAAS_I64, 1, &l.n, l.to);
        const maas_tensor weight = maas_tensor_of(MAAS_F32, 1, &l.n, l.weight);
        out->from = maas_b_const(&net->b, NULL, &from);
        out->to = maas_b_const(&net->b, NULL, &to);
        out->weight = maas_b_const(&net->b, NULL, &weight);
    }
    reset_lists(&l);
}

/* ---- of a graph that the client brings ---- */

static maas_vid expand(maas_builder *b, float v, maas_vid shape)
{
    return maas_b_op2(b, "Expand", maas_b_f32(b, v), shape);
}

static maas_vid concat(maas_builder *b, maas_vid first, maas_vid second)
{
    const maas_attr axis = MAAS_A_INT("axis", 0);
    return maas_b_node(b, "Concat", &axis, 1, (maas_vid[]){first, second}, 2, NULL, 1);
}

/* [n] sums of the weights that go to each node. */
static maas_vid sums_of(maas_builder *b, maas_vid n, maas_vid to, maas_vid weight)
{
    const maas_attr attr[] = {MAAS_A_INT("axis", 0), MAAS_A_STR("reduction", "add")};
    return maas_b_node(b, "ScatterElements", attr, 2, (maas_vid[]){expand(b, 0, n), to, weight}, 3,
                       NULL, 1);
}

static void given_lists(maas_net *net, maas_edge_kind kind, maas_vid x, maas_net_edges *out)
{
    maas_builder *b = &net->b;
    const maas_net_edges *given = &net->given;
    const maas_attr start = MAAS_A_INT("start", 0), end = MAAS_A_INT("end", 1);
    *out = *given;
    if (kind == MAAS_EDGES_SUM)
        return;
    const maas_vid n = maas_b_node(b, "Shape", (maas_attr[]){start, end}, 2, &x, 1, NULL, 1);
    if (kind == MAAS_EDGES_GCN) {
        const maas_vid scalar = maas_b_op2(b, "Reshape", n, maas_b_i64s(b, NULL, 0));
        const maas_vid own = maas_b_op3(b, "Range", maas_b_i64(b, 0), scalar, maas_b_i64(b, 1));
        out->from = concat(b, given->from, own);
        out->to = concat(b, given->to, own);
        out->weight = concat(b, given->weight, expand(b, 1, n));
    }
    const maas_vid sum = sums_of(b, n, out->to, out->weight);
    if (kind == MAAS_EDGES_MEAN) {
        const maas_vid by = maas_b_op2(b, "Gather", sum, out->to);
        out->weight = maas_b_op2(b, "Div", out->weight,
                                 maas_b_op2(b, "Max", by, maas_b_f32(b, 1e-30f)));
        return;
    }
    const maas_vid root = maas_b_op2(b, "Div", maas_b_f32(b, 1), maas_b_op1(b, "Sqrt", sum));
    const maas_vid ends = maas_b_op2(b, "Mul", maas_b_op2(b, "Gather", root, out->from),
                                     maas_b_op2(b, "Gather", root, out->to));
    out->weight = maas_b_op2(b, "Mul", out->weight, ends);
}

void maas_edges_inputs(maas_net *net)
{
    maas_builder *b = &net->b;
    int64_t n = 0;
    if (b->status != MAAS_OK ||
        (b->status = maas_graph_symbol(b->g, "edges", &n, b->err)) != MAAS_OK)
        return;
    const maas_vid edges = maas_b_input(b, "edges", MAAS_I64, 2, (int64_t[]){2, n});
    const maas_vid weight = net->edges->weight ? maas_b_input(b, "edge_weight", MAAS_F32, 1, &n)
                                               : MAAS_NO_VALUE;
    net->given.from = maas_b_op2(b, "Gather", edges, maas_b_i64(b, 0));
    net->given.to = maas_b_op2(b, "Gather", edges, maas_b_i64(b, 1));
    net->given.weight = weight != MAAS_NO_VALUE
                            ? weight
                            : expand(b, 1, maas_b_op1(b, "Shape", net->given.from));
    net->is_given = true;
}

/* ---- sums ---- */

/* Not ScatterND: ONNX Runtime's adds from several threads at once, and loses some. */
static maas_vid standard_sum(maas_builder *b, const maas_net_edges *l, maas_vid x)
{
    const maas_attr attr[] = {MAAS_A_INT("axis", 0), MAAS_A_STR("reduction", "add")};
    const maas_vid last = maas_b_i64s(b, (int64_t[]){1}, 1);
    const maas_vid rows = maas_b_op2(b, "Mul", maas_b_op2(b, "Gather", x, l->from),
                                     maas_b_op2(b, "Unsqueeze", l->weight, last));
    const maas_vid at = maas_b_op2(b, "Expand", maas_b_op2(b, "Unsqueeze", l->to, last),
                                   maas_b_op1(b, "Shape", rows));
    const maas_vid in[] = {expand(b, 0, maas_b_op1(b, "Shape", x)), at, rows};
    return maas_b_node(b, "ScatterElements", attr, 2, in, 3, NULL, 1);
}

maas_vid maas_edges_sum(maas_net *net, maas_edge_kind kind, maas_vid x)
{
    maas_net_edges *l = &net->lists[kind];
    if (net->b.status != MAAS_OK)
        return MAAS_NO_VALUE;
    if (!net->has_lists[kind] && net->is_given)
        given_lists(net, kind, x, l);
    else if (!net->has_lists[kind])
        stored_lists(net, kind, l);
    net->has_lists[kind] = true;
    if (net->standard)
        return standard_sum(&net->b, l, x);
    const maas_vid in[] = {x, l->from, l->to, l->weight};
    return maas_b_node(&net->b, "EdgeSum", NULL, 0, in, 4, NULL, 1);
}

/* ---- nodes by name ---- */

maas_vid maas_edges_nodes_input(maas_net *net)
{
    const maas_ds_column *id = net->edges->id;
    return maas_b_input(&net->b, "node",
                        id && id->desc.dtype == MAAS_STRING ? MAAS_STRING : MAAS_I64, 1,
                        &net->batch);
}

/* A name that no node has becomes the number of nodes, which Gather refuses. */
static maas_vid rows_of_names(maas_net *net, maas_vid names)
{
    const maas_edges *e = net->edges;
    maas_builder *b = &net->b;
    const size_t n = (size_t)e->n_nodes;
    if (!e->id) {
        const maas_vid none = maas_b_op2(b, "Less", names, maas_b_i64(b, 0));
        return maas_b_op3(b, "Where", none, maas_b_i64(b, e->n_nodes), names);
    }
    AUTO_FREE maas_str *texts = maas_calloc(n, sizeof *texts);
    AUTO_FREE int64_t *keys = maas_calloc(n, sizeof *keys), *rows = maas_calloc(n, sizeof *rows);
    if (!texts || !keys || !rows) {
        maas_net_fail(net, MAAS_E_NOMEM, "names of %zu nodes", n);
        return MAAS_NO_VALUE;
    }
    for (int64_t i = 0; i < e->n_nodes; i++) {
        maas_edges_name(e, i, &texts[i], &keys[i]);
        rows[i] = i;
    }
    const bool text = e->id->desc.dtype == MAAS_STRING;
    const maas_attr attr[] = {text ? (maas_attr){.name = "keys_strings",
                                                 .type = MAAS_ATTR_STRINGS,
                                                 .n = (uint32_t)n,
                                                 .u.strings = texts}
                                   : MAAS_A_INTS("keys_int64s", keys, n),
                              MAAS_A_INTS("values_int64s", rows, n),
                              MAAS_A_INT("default_int64", e->n_nodes)};
    return maas_b_node(b, "LabelEncoder", attr, 3, &names, 1, NULL, 1);
}

maas_vid maas_edges_pick(maas_net *net, maas_vid names, maas_vid z)
{
    return maas_b_op2(&net->b, "Gather", z, rows_of_names(net, names));
}
