/* learn/layers_graph.c - layers over the nodes of a graph: what a node's neighbours are, together.
 * The sum along the edges is linear, so it comes before or after the product with the weights,
 * whichever has fewer columns. */
#include "learn/layers_int.h"

#include "learn/graph_edges.h"

#include "base/ban.h"

#define AT MAAS_LAYER_AT

typedef enum aggregate { AGGREGATE_MEAN, AGGREGATE_SUM } aggregate;
static const char *const aggregate_names[] = {"mean", "sum", NULL};
static const maas_edge_kind aggregate_kinds[] = {MAAS_EDGES_MEAN, MAAS_EDGES_SUM};

#define UNITS_ROW                                                                                  \
    {                                                                                              \
        "units", MAAS_PARAM_INT, AT(units), 0, 1 << 24, 0,                                         \
            .help = "outputs; 0 on the last layer with units: as many as the target needs"         \
    }
#define REST_ROWS                                                                                  \
    {"activation",                                                                                 \
     MAAS_PARAM_CHOICE,                                                                            \
     AT(activation),                                                                               \
     .preset = MAAS_ACTIVATION_NONE,                                                               \
     .choices = maas_activation_names,                                                             \
     .help = "function over the outputs"},                                                         \
        {"bias", MAAS_PARAM_BOOL, AT(bias), .preset = 1, .help = "add a bias to every output"},    \
    {                                                                                              \
        "init", MAAS_PARAM_CHOICE, AT(init), .preset = MAAS_INIT_GLOROT_UNIFORM,                   \
                                             .choices = maas_init_names,                           \
                                             .help = "first values of the weights"                 \
    }

const maas_param maas_gcn_conv_rows[MAAS_N_GCN_CONV_ROWS] = {MAAS_LAYER_WIRES, UNITS_ROW,
                                                             REST_ROWS};
const maas_param maas_sage_conv_rows[MAAS_N_SAGE_CONV_ROWS] = {
    MAAS_LAYER_WIRES,
    UNITS_ROW,
    {"aggregate", MAAS_PARAM_CHOICE, AT(aggregate), .preset = AGGREGATE_MEAN,
     .choices = aggregate_names, .help = "of the neighbours"},
    {"normalize", MAAS_PARAM_BOOL, AT(normalize), .preset = 0,
     .help = "rows to length 1, before the activation"},
    REST_ROWS,
};

/* The sum along edges of x W. */
static maas_vid weighed_sum(maas_net *net, const maas_layer_spec *s, int index, maas_vid x,
                            const char *weight, maas_edge_kind kind)
{
    const int64_t in = maas_b_type(&net->b, x)->dims[1];
    const maas_vid w = maas_net_weight_add(net, index, weight, 2, (int64_t[]){in, s->units},
                                           maas_layer_init(s), in, s->units);
    if (in < s->units)
        return maas_b_op2(&net->b, "MatMul", maas_edges_sum(net, kind, x), w);
    return maas_edges_sum(net, kind, maas_b_op2(&net->b, "MatMul", x, w));
}

static maas_vid add_bias(maas_net *net, const maas_layer_spec *s, int index, maas_vid y)
{
    if (!s->bias)
        return y;
    const maas_vid c = maas_net_weight_add(net, index, "bias", 1, &s->units, MAAS_INIT_ZEROS, 1, 1);
    return maas_b_op2(&net->b, "Add", y, c);
}

maas_vid maas_gcn_conv_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    if (!maas_layer_wants_rows(net, "gcn_conv", index, x, false))
        return MAAS_NO_VALUE;
    maas_vid y = weighed_sum(net, s, index, x, "weight", MAAS_EDGES_GCN);
    return maas_layer_activate(net, s, index, add_bias(net, s, index, y));
}

/* To length 1; a row of zeros stays one. */
static maas_vid normalised(maas_builder *b, maas_vid x)
{
    const int64_t axis = 1;
    const maas_vid in[2] = {maas_b_op2(b, "Mul", x, x), maas_b_i64s(b, &axis, 1)};
    const maas_vid squares = maas_b_node(b, "ReduceSum", NULL, 0, in, 2, NULL, 1);
    const maas_vid length = maas_b_op1(b, "Sqrt",
                                       maas_b_op2(b, "Add", squares, maas_b_f32(b, 1e-12f)));
    return maas_b_op2(b, "Div", x, length);
}

maas_vid maas_sage_conv_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    if (!maas_layer_wants_rows(net, "sage_conv", index, x, false))
        return MAAS_NO_VALUE;
    const int64_t in = maas_b_type(&net->b, x)->dims[1];
    const maas_vid own = maas_net_weight_add(net, index, "weight", 2, (int64_t[]){in, s->units},
                                             maas_layer_init(s), in, s->units);
    maas_vid y = maas_b_op2(
        &net->b, "Add", maas_b_op2(&net->b, "MatMul", x, own),
        weighed_sum(net, s, index, x, "neighbours", aggregate_kinds[s->aggregate]));
    y = add_bias(net, s, index, y);
    return maas_layer_activate(net, s, index, s->normalize ? normalised(&net->b, y) : y);
}
