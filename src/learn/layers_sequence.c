/*
 * learn/layers_sequence.c - layers over steps: [batch, steps, features]. Rows of numbers
 * ([batch, steps]) are steps of one feature.
 *
 * Where an embedding says that 0 is padding, net->lens has the length of every row, and the layers
 * here look at nothing behind it (layers_int.h).
 */
#include "learn/layers_int.h"

#include <stdio.h>

#include "base/ban.h"

#define AT MAAS_LAYER_AT

const maas_param maas_recurrent_rows[MAAS_N_RECURRENT_ROWS] = {
    MAAS_LAYER_WIRES,
    {"units", MAAS_PARAM_INT, AT(units), 1, 1 << 16, 64, .help = "numbers in the state"},
    {"bidirectional", MAAS_PARAM_BOOL, AT(bidirectional), .preset = 0,
     .help = "reads the steps from both ends: two states side by side"},
    {"return_sequences", MAAS_PARAM_BOOL, AT(return_sequences), .preset = 0,
     .help = "the state after every step, for another layer over steps; false: after the last"},
    {"bias", MAAS_PARAM_BOOL, AT(bias), .preset = 1, .help = "add biases to the gates"},
    {"init", MAAS_PARAM_CHOICE, AT(init), .preset = MAAS_INIT_AUTO, .choices = maas_init_names,
     .help = "first values of the weights"},
};

enum { POOL_MEAN, POOL_MAX, POOL_FIRST, POOL_LAST };
static const char *const pool_names[] = {"mean", "max", "first", "last", NULL};

const maas_param maas_sequence_pool_rows[MAAS_N_SEQUENCE_POOL_ROWS] = {
    MAAS_LAYER_WIRES,
    {"mode", MAAS_PARAM_CHOICE, AT(measure), .preset = POOL_MEAN, .choices = pool_names,
     .help = "the mean or the largest of the steps, or one of them"},
};

bool maas_layer_as_steps(maas_net *net, const char *kind, int index, maas_vid *x)
{
    const int64_t last = 2;
    if (net->b.status != MAAS_OK)
        return false;
    const int rank = maas_b_type(&net->b, *x)->rank;
    if (rank == 2)
        *x = maas_b_op2(&net->b, "Unsqueeze", *x, maas_b_i64s(&net->b, &last, 1));
    else if (rank != 3)
        maas_net_fail(
            net, MAAS_E_INVALID,
            "params.layers[%d]: %s takes rows of [steps, features] but gets %d dimensions "
            "a row: put {\"type\":\"reshape\",\"shape\":[...]} before it",
            index, kind, rank - 1);
    return net->b.status == MAAS_OK;
}

/* ---- padding ---- */

/* Of ids [batch, steps] padded with 0: the number of the last that is none, plus one. */
void maas_layer_find_lengths(maas_net *net, maas_vid id)
{
    maas_builder *b = &net->b;
    const maas_attr to_i64 = MAAS_A_INT("to", MAAS_I64), keep = MAAS_A_INT("keepdims", 0);
    const int64_t one = 1;
    if (b->status != MAAS_OK)
        return;
    const maas_type *t = maas_b_type(b, id);
    if (t->rank != 2)
        return;
    const int64_t steps = t->dims[1];
    const maas_vid range[3] = {maas_b_i64(b, 1), maas_b_i64(b, steps + 1), maas_b_i64(b, 1)};
    const maas_vid places = maas_b_node(b, "Range", NULL, 0, range, 3, NULL, 1);
    maas_vid some = maas_b_op2(b, "Greater", id, maas_b_i64(b, 0));
    some = maas_b_node(b, "Cast", &to_i64, 1, &some, 1, NULL, 1);
    const maas_vid in[2] = {maas_b_op2(b, "Mul", some, places), maas_b_i64s(b, &one, 1)};
    net->lens = maas_b_node(b, "ReduceMax", &keep, 1, in, 2, NULL, 1);
    net->n_steps = steps;
}

bool maas_layer_has_lengths(const maas_net *net, maas_vid x)
{
    return net->b.status == MAAS_OK && net->lens != MAAS_NO_VALUE &&
           maas_b_type(&net->b, x)->dims[1] == net->n_steps;
}

maas_vid maas_layer_step_mask(maas_net *net)
{
    maas_builder *b = &net->b;
    const int64_t one = 1;
    const maas_vid range[3] = {maas_b_i64(b, 0), maas_b_i64(b, net->n_steps), maas_b_i64(b, 1)};
    const maas_vid places = maas_b_node(b, "Range", NULL, 0, range, 3, NULL, 1);
    return maas_b_op2(b, "Less", places,
                      maas_b_op2(b, "Unsqueeze", net->lens, maas_b_i64s(b, &one, 1)));
}

/* ---- recurrent layers ---- */

/* A gate that forgets everything at first learns slowly: its bias begins at 1, as R. Jozefowicz,
 * W. Zaremba, I. Sutskever (2015) found. Gates are i o f c. */
static void open_forget_gates(maas_net *net, maas_vid bias, int64_t dirs, int64_t units)
{
    if (net->b.status != MAAS_OK || net->parent || !net->rng)
        return;
    float *v = maas_graph_at(net->b.g, bias)->init.data;
    for (int64_t d = 0; d < dirs; d++)
        for (int64_t j = 0; j < units; j++)
            v[(d * 8 + 2) * units + j] = 1;
}

typedef struct recurrent {
    const char *kind, *op;
    int64_t gates;
} recurrent;

static maas_vid biases(maas_net *net, const maas_layer_spec *s, int index, const recurrent *k,
                       int64_t dirs)
{
    if (!s->bias)
        return MAAS_NO_VALUE;
    const maas_vid v = maas_net_weight_add(
        net, index, "bias", 2, (int64_t[]){dirs, 2 * k->gates * s->units}, MAAS_INIT_ZEROS, 1, 1);
    if (net->b.status == MAAS_OK)
        net->weights[net->n_weights - 1].decay = false;
    if (k->gates == 4)
        open_forget_gates(net, v, dirs, s->units);
    return v;
}

static maas_vid turned(maas_builder *b, maas_vid v, const int64_t *order, int n)
{
    const maas_attr perm = MAAS_A_INTS("perm", order, n);
    return maas_b_node(b, "Transpose", &perm, 1, &v, 1, NULL, 1);
}

/* [steps, dirs, batch, units] or [dirs, batch, units] to rows, the directions side by side. */
static maas_vid as_rows(maas_builder *b, maas_vid y, bool all, int64_t width, int64_t steps)
{
    static const int64_t all_order[] = {2, 0, 1, 3}, last_order[] = {1, 0, 2};
    const int64_t all_dims[] = {0, steps, width}, last_dims[] = {0, width};
    y = turned(b, y, all ? all_order : last_order, all ? 4 : 3);
    return maas_b_op2(b, "Reshape", y, maas_b_i64s(b, all ? all_dims : last_dims, all ? 3 : 2));
}

/* Steps come first in the operator: other runtimes know no other layout. */
static maas_vid recurrent_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x,
                                const recurrent *k)
{
    static const int64_t order[] = {1, 0, 2};
    maas_builder *b = &net->b;
    if (!maas_layer_as_steps(net, k->kind, index, &x))
        return MAAS_NO_VALUE;
    const int64_t steps = maas_b_type(b, x)->dims[1], n = maas_b_type(b, x)->dims[2];
    const int64_t dirs = s->bidirectional ? 2 : 1, rows = k->gates * s->units;
    const maas_init init = s->init == MAAS_INIT_AUTO ? MAAS_INIT_GLOROT_UNIFORM
                                                     : (maas_init)s->init;
    maas_vid in[5] = {turned(b, x, order, 3)}, out[2] = {MAAS_NO_VALUE, MAAS_NO_VALUE};
    in[1] = maas_net_weight_add(net, index, "weight", 3, (int64_t[]){dirs, rows, n}, init, n,
                                s->units);
    in[2] = maas_net_weight_add(net, index, "recurrent", 3, (int64_t[]){dirs, rows, s->units}, init,
                                s->units, s->units);
    in[3] = biases(net, s, index, k, dirs);
    in[4] = MAAS_NO_VALUE;
    if (maas_layer_has_lengths(net, x)) {
        const maas_attr to = MAAS_A_INT("to", MAAS_I32);
        in[4] = maas_b_node(b, "Cast", &to, 1, &net->lens, 1, NULL, 1);
    }
    const maas_attr attr[] = {
        MAAS_A_INT("hidden_size", s->units),
        MAAS_A_STR("direction", s->bidirectional ? "bidirectional" : "forward"),
        MAAS_A_INT("linear_before_reset", 1)};
    maas_b_node(b, k->op, attr, k->gates == 3 ? 3 : 2, in, 5, out, 2);
    return as_rows(b, out[s->return_sequences ? 0 : 1], s->return_sequences, dirs * s->units,
                   steps);
}

maas_vid maas_lstm_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    return recurrent_build(net, s, index, x, &(recurrent){"lstm", "LSTM", 4});
}

maas_vid maas_gru_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    return recurrent_build(net, s, index, x, &(recurrent){"gru", "GRU", 3});
}

/* ---- one vector of all steps ---- */

static maas_vid reduced(maas_builder *b, const char *op, maas_vid x)
{
    const maas_attr keep = MAAS_A_INT("keepdims", 0);
    const int64_t one = 1;
    const maas_vid in[2] = {x, maas_b_i64s(b, &one, 1)};
    return maas_b_node(b, op, &keep, 1, in, 2, NULL, 1);
}

/* 1 where a row has this step, [batch, steps, 1]. */
static maas_vid step_weights(maas_net *net)
{
    maas_builder *b = &net->b;
    const maas_attr to = MAAS_A_INT("to", MAAS_F32);
    const int64_t two = 2;
    maas_vid m = maas_layer_step_mask(net);
    m = maas_b_node(b, "Cast", &to, 1, &m, 1, NULL, 1);
    return maas_b_op2(b, "Unsqueeze", m, maas_b_i64s(b, &two, 1));
}

/* A row without steps has the mean 0. */
static maas_vid mean_of_steps(maas_net *net, maas_vid x, bool lens)
{
    maas_builder *b = &net->b;
    if (!lens)
        return reduced(b, "ReduceMean", x);
    const maas_vid w = step_weights(net);
    const maas_vid n = maas_b_op2(b, "Max", reduced(b, "ReduceSum", w), maas_b_f32(b, 1));
    return maas_b_op2(b, "Div", reduced(b, "ReduceSum", maas_b_op2(b, "Mul", x, w)), n);
}

static maas_vid max_of_steps(maas_net *net, maas_vid x, bool lens)
{
    maas_builder *b = &net->b;
    const int64_t two = 2;
    if (lens)
        x = maas_b_op3(
            b, "Where",
            maas_b_op2(b, "Unsqueeze", maas_layer_step_mask(net), maas_b_i64s(b, &two, 1)), x,
            maas_b_f32(b, -1e9f));
    return reduced(b, "ReduceMax", x);
}

static maas_vid one_step(maas_net *net, maas_vid x, int64_t at)
{
    const maas_attr axis = MAAS_A_INT("axis", 1);
    const maas_vid in[2] = {x, maas_b_i64(&net->b, at)};
    return maas_b_node(&net->b, "Gather", &axis, 1, in, 2, NULL, 1);
}

/* The last step that a row has: all others times 0. */
static maas_vid last_step(maas_net *net, maas_vid x, bool lens)
{
    maas_builder *b = &net->b;
    const maas_attr to = MAAS_A_INT("to", MAAS_F32);
    const int64_t one = 1, two = 2;
    if (!lens)
        return one_step(net, x, maas_b_type(b, x)->dims[1] - 1);
    const maas_vid range[3] = {maas_b_i64(b, 1), maas_b_i64(b, net->n_steps + 1), maas_b_i64(b, 1)};
    const maas_vid places = maas_b_node(b, "Range", NULL, 0, range, 3, NULL, 1);
    maas_vid is = maas_b_op2(b, "Equal", places,
                             maas_b_op2(b, "Unsqueeze", net->lens, maas_b_i64s(b, &one, 1)));
    is = maas_b_node(b, "Cast", &to, 1, &is, 1, NULL, 1);
    is = maas_b_op2(b, "Unsqueeze", is, maas_b_i64s(b, &two, 1));
    return reduced(b, "ReduceSum", maas_b_op2(b, "Mul", x, is));
}

maas_vid maas_sequence_pool_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    if (!maas_layer_as_steps(net, "sequence_pool", index, &x))
        return MAAS_NO_VALUE;
    const bool lens = maas_layer_has_lengths(net, x);
    if (s->measure == POOL_FIRST)
        return one_step(net, x, 0);
    return (s->measure == POOL_MEAN  ? mean_of_steps
            : s->measure == POOL_MAX ? max_of_steps
                                     : last_step)(net, x, lens);
}
