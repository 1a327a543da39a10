/* learn/layers_norm.c - layers that hold what comes out of them at mean 0 and deviation 1. */
#include "learn/layers_int.h"

#include <stdio.h>

#include "base/ban.h"

#define AT MAAS_LAYER_AT

const maas_param maas_batch_norm_rows[MAAS_N_BATCH_NORM_ROWS] = {
    MAAS_LAYER_WIRES,
    {"momentum", MAAS_PARAM_NUM, AT(momentum), 0, 0.99999, 0.9,
     .help = "how much of the running statistics stays at each step"},
    {"epsilon", MAAS_PARAM_NUM, AT(epsilon), 1e-10, 1, 1e-5, .help = "added to the variance"},
};

const maas_param maas_layer_norm_rows[MAAS_N_LAYER_NORM_ROWS] = {
    MAAS_LAYER_WIRES,
    {"epsilon", MAAS_PARAM_NUM, AT(epsilon), 1e-10, 1, 1e-5, .help = "added to the variance"},
};

static void follow(maas_net *net, maas_vid running, maas_vid next)
{
    maas_builder *b = &net->b;
    if (b->status == MAAS_OK)
        b->status = maas_graph_bind(b->g, running, next, b->err);
}

static maas_vid blend(maas_net *net, const maas_layer_spec *s, maas_vid running, maas_vid now)
{
    maas_builder *b = &net->b;
    maas_vid kept = maas_b_op2(b, "Mul", running, maas_b_f32(b, (float)s->momentum));
    return maas_b_op2(b, "Add", kept,
                      maas_b_op2(b, "Mul", now, maas_b_f32(b, (float)(1 - s->momentum))));
}

static maas_vid column_mean(maas_builder *b, maas_vid x)
{
    maas_attr keep = MAAS_A_INT("keepdims", 0);
    maas_vid in[2] = {x, maas_b_i64s(b, (int64_t[]){0}, 1)}, out = MAAS_NO_VALUE;
    return maas_b_node(b, "ReduceMean", &keep, 1, in, 2, &out, 1);
}

typedef struct norm {
    maas_vid gamma, beta, mean, var;
} norm;

/* Rows of numbers: plain nodes, which fuse with their neighbours. */
static maas_vid of_columns(maas_net *net, const maas_layer_spec *s, norm n, maas_vid x)
{
    maas_builder *b = &net->b;
    if (net->training) {
        maas_vid mean = column_mean(b, x);
        maas_vid d = maas_b_op2(b, "Sub", x, mean);
        maas_vid var = column_mean(b, maas_b_op2(b, "Mul", d, d));
        follow(net, n.mean, blend(net, s, n.mean, mean));
        follow(net, n.var, blend(net, s, n.var, var));
        n.mean = mean;
        n.var = var;
    }
    maas_vid eps = maas_b_f32(b, (float)s->epsilon);
    maas_vid scale = maas_b_op2(b, "Div", n.gamma,
                                maas_b_op1(b, "Sqrt", maas_b_op2(b, "Add", n.var, eps)));
    maas_vid d = maas_b_op2(b, "Sub", x, n.mean);
    return maas_b_op2(b, "Add", maas_b_op2(b, "Mul", d, scale), n.beta);
}

/* Channels of images: the operator, which folds into the convolution before it once learned. */
static maas_vid of_channels(maas_net *net, const maas_layer_spec *s, norm n, maas_vid x)
{
    const maas_vid in[5] = {x, n.gamma, n.beta, n.mean, n.var};
    const maas_attr attr[] = {MAAS_A_FLOAT("epsilon", (float)s->epsilon),
                              MAAS_A_FLOAT("momentum", (float)s->momentum),
                              MAAS_A_INT("training_mode", 1)};
    maas_vid out[3] = {MAAS_NO_VALUE, MAAS_NO_VALUE, MAAS_NO_VALUE};
    maas_b_node(&net->b, "BatchNormalization", attr, net->training ? 3 : 2, in, 5, out,
                net->training ? 3 : 1);
    if (net->training) {
        follow(net, n.mean, out[1]);
        follow(net, n.var, out[2]);
    }
    return out[0];
}

maas_vid maas_batch_norm_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    if (net->b.status != MAAS_OK)
        return MAAS_NO_VALUE;
    const maas_type *t = maas_b_type(&net->b, x);
    const int rank = t->rank;
    const int64_t c = rank > 1 ? t->dims[1] : 0;
    char mean_name[64], var_name[64];
    if (rank < 2) {
        maas_net_fail(net, MAAS_E_INVALID, "params.layers[%d]: batch_norm takes rows", index);
        return MAAS_NO_VALUE;
    }
    maas_net_name(net, index, "mean", mean_name);
    maas_net_name(net, index, "variance", var_name);
    norm n;
    n.gamma = maas_net_weight_add(net, index, "gamma", 1, &c, MAAS_INIT_ONES, 1, 1);
    n.beta = maas_net_weight_add(net, index, "beta", 1, &c, MAAS_INIT_ZEROS, 1, 1);
    n.mean = maas_net_state(net, mean_name, 1, &c, 0);
    n.var = maas_net_state(net, var_name, 1, &c, 1);
    return rank == 2 ? of_columns(net, s, n, x) : of_channels(net, s, n, x);
}

maas_vid maas_layer_norm_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    if (net->b.status != MAAS_OK)
        return MAAS_NO_VALUE;
    const maas_type *t = maas_b_type(&net->b, x);
    const int64_t last = t->dims[t->rank - 1];
    const maas_attr attr[] = {MAAS_A_INT("axis", -1), MAAS_A_FLOAT("epsilon", (float)s->epsilon)};
    const maas_vid in[3] = {
        x, maas_net_weight_add(net, index, "gamma", 1, &last, MAAS_INIT_ONES, 1, 1),
        maas_net_weight_add(net, index, "beta", 1, &last, MAAS_INIT_ZEROS, 1, 1)};
    maas_vid out = MAAS_NO_VALUE;
    return maas_b_node(&net->b, "LayerNormalization", attr, 2, in, 3, &out, 1);
}
