/*
 * learn/layers.c - the kinds of layers. One more kind: its rows, a build function, a line in the
 * table; fields it needs go into maas_layer_spec.
 */
#include "learn/layers_int.h"

#include <math.h>
#include <stdio.h>

#include "base/mem.h"

#include "base/ban.h"

#define AT MAAS_LAYER_AT

bool maas_layer_is_left_out(const maas_net *net, int index)
{
    return net->logits && (size_t)index + 1 == net->recipe->layers.n;
}

bool maas_layer_wants_rows(maas_net *net, const char *kind, int index, maas_vid x, bool steps)
{
    if (net->b.status != MAAS_OK)
        return false;
    const maas_type *t = maas_b_type(&net->b, x);
    if (t->rank != 2 && !(steps && t->rank > 2))
        maas_net_fail(
            net, MAAS_E_INVALID,
            "params.layers[%d]: %s takes rows of numbers but gets %d dimensions a row: put "
            "{\"type\":\"flatten\"} before it",
            index, kind, t->rank - 1);
    return net->b.status == MAAS_OK;
}

/* ---- dense ---- */

static const maas_param dense_rows[] = {
    MAAS_LAYER_WIRES,
    {"units", MAAS_PARAM_INT, AT(units), 0, 1 << 24, 0,
     .help = "outputs; 0 on the last dense layer: as many as the target needs"},
    {"activation", MAAS_PARAM_CHOICE, AT(activation), .preset = MAAS_ACTIVATION_NONE,
     .choices = maas_activation_names, .help = "function over the outputs"},
    {"bias", MAAS_PARAM_BOOL, AT(bias), .preset = 1, .help = "add a bias to every output"},
    {"init", MAAS_PARAM_CHOICE, AT(init), .preset = MAAS_INIT_AUTO, .choices = maas_init_names,
     .help = "first values of the weights"},
    {"per_step", MAAS_PARAM_BOOL, AT(per_step), .preset = 0,
     .help = "of rows of vectors: every vector goes through the same weights"},
};

maas_init maas_layer_init(const maas_layer_spec *s)
{
    if (s->init != MAAS_INIT_AUTO)
        return (maas_init)s->init;
    return maas_activations[s->activation].relu_like ? MAAS_INIT_HE_NORMAL
                                                     : MAAS_INIT_GLOROT_UNIFORM;
}

maas_vid maas_layer_activate(maas_net *net, const maas_layer_spec *s, int index, maas_vid y)
{
    return maas_layer_is_left_out(net, index)
               ? y
               : maas_activation_build(&net->b, s->activation, NAN, NAN, y);
}

static maas_vid dense_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    if (!maas_layer_wants_rows(net, "dense", index, x, s->per_step))
        return MAAS_NO_VALUE;
    const int rank = maas_b_type(&net->b, x)->rank;
    int64_t in = maas_b_type(&net->b, x)->dims[rank - 1];
    maas_vid w = maas_net_weight_add(net, index, "weight", 2, (int64_t[]){in, s->units},
                                     maas_layer_init(s), in, s->units);
    maas_vid y;
    if (s->bias) {
        maas_vid c = maas_net_weight_add(net, index, "bias", 1, &s->units, MAAS_INIT_ZEROS, 1, 1);
        y = rank == 2 ? maas_b_op3(&net->b, "Gemm", x, w, c)
                      : maas_b_op2(&net->b, "Add", maas_b_op2(&net->b, "MatMul", x, w), c);
    } else {
        y = maas_b_op2(&net->b, "MatMul", x, w);
    }
    return maas_layer_activate(net, s, index, y);
}

/* ---- activation ---- */

static const maas_param activation_rows[] = {
    MAAS_LAYER_WIRES,
    {"function", MAAS_PARAM_CHOICE, AT(activation), .preset = MAAS_ACTIVATION_RELU,
     .choices = maas_activation_names, .help = "which one"},
    {"alpha", MAAS_PARAM_NUM, AT(alpha), -1e6, 1e6, NAN, .help = "where the function has one"},
    {"beta", MAAS_PARAM_NUM, AT(beta), -1e6, 1e6, NAN, .help = "where the function has one"},
};

static maas_status activation_check(const maas_layer_spec *s, const char *where, maas_err *err)
{
    const maas_activation *act = &maas_activations[s->activation];
    if (!isnan(s->alpha) && !act->has_alpha)
        return maas_fail(err, MAAS_E_INVALID, "%s.alpha: %s takes none", where, act->name);
    if (!isnan(s->beta) && !act->has_beta)
        return maas_fail(err, MAAS_E_INVALID, "%s.beta: %s takes none", where, act->name);
    return MAAS_OK;
}

static maas_vid activation_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    if (maas_layer_is_left_out(net, index))
        return x;
    return maas_activation_build(&net->b, s->activation, s->alpha, s->beta, x);
}

/* ---- embedding: whole numbers to learned vectors ---- */

static const maas_param embedding_rows[] = {
    MAAS_LAYER_WIRES,
    {"size", MAAS_PARAM_INT, AT(size), 0, 1 << 28, 0,
     .help = "vectors: inputs are 0..size-1; 0: largest value of the data + 1"},
    {"dim", MAAS_PARAM_INT, AT(dim), 1, 1 << 16, 16, .help = "length of a vector"},
    {"mask_zero", MAAS_PARAM_BOOL, AT(mask_zero), .preset = 0,
     .help = "0 at the end of a row is padding: layers over as many steps do not look at it"},
};

static maas_vid embedding_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    maas_builder *b = &net->b;
    maas_vid w = maas_net_weight_add(net, index, "weight", 2, (int64_t[]){s->size, s->dim},
                                     MAAS_INIT_NORMAL, s->size, s->dim);
    /* Out-of-range input takes the nearest vector: an index must never leave the table. */
    maas_vid lo = maas_b_f32(b, 0), hi = maas_b_f32(b, (float)(s->size - 1));
    maas_vid id = maas_b_op3(b, "Clip", x, lo, hi), out = MAAS_NO_VALUE;
    maas_attr to = MAAS_A_INT("to", MAAS_I64);
    id = maas_b_node(b, "Cast", &to, 1, &id, 1, &out, 1);
    if (s->mask_zero)
        maas_layer_find_lengths(net, id);
    return maas_b_op2(b, "Gather", w, id);
}

/* ---- dropout ---- */

static const maas_param dropout_rows[] = {
    MAAS_LAYER_WIRES,
    {"rate", MAAS_PARAM_NUM, AT(rate), 0, 0.999, 0.5,
     .help = "share of the values that is dropped"},
};

/* The mask is an input that the trainer draws, not a Dropout node with a hidden generator: so the
 * stream of random numbers is part of a checkpoint, and a resumed run repeats it. */
maas_vid maas_layer_drop(maas_net *net, double rate, int index, maas_vid x)
{
    if (!net->training || rate <= 0 || net->b.status != MAAS_OK)
        return x;
    maas_type t = *maas_b_type(&net->b, x);
    char name[64];
    maas_net_name(net, index, "mask", name);
    maas_vid mask = maas_b_input(&net->b, name, MAAS_F32, t.rank, t.dims);
    if (net->b.status != MAAS_OK)
        return x;
    if (!maas_net_mask_add(net, net->b.g->n_inputs - 1, rate)) {
        maas_net_fail(net, MAAS_E_NOMEM, "no memory for layer %d", index);
        return x;
    }
    return maas_b_op2(&net->b, "Mul", x, mask);
}

static maas_vid dropout_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    return maas_layer_drop(net, s->rate, index, x);
}

#define ROWS(r) .rows = r, .n_rows = MAAS_COUNT(r)
#define CONV(name_, help_, fn)                                                                     \
    {                                                                                              \
        {name_, help_, ROWS(maas_conv_rows)}, maas_conv_check, fn                                  \
    }
const maas_layer_kind maas_layer_kinds[MAAS_N_LAYER_KINDS] = {
    [MAAS_LAYER_DENSE] = {{"dense", "every output sees every input", ROWS(dense_rows)},
                          NULL,
                          dense_build},
    [MAAS_LAYER_ACTIVATION] = {{"activation", "a function over each value", ROWS(activation_rows)},
                               activation_check,
                               activation_build},
    [MAAS_LAYER_EMBEDDING] = {{"embedding", "whole numbers to learned vectors",
                               ROWS(embedding_rows)},
                              NULL,
                              embedding_build},
    [MAAS_LAYER_FIELDS] = {{"fields",
                            "a learned vector for every column: of its category, or "
                            "times its number",
                            ROWS(maas_fields_rows)},
                           NULL,
                           maas_fields_build},
    [MAAS_LAYER_SIMILARITY] = {{"similarity",
                                "how close two rows of numbers are, one a tower: one number",
                                ROWS(maas_similarity_rows)},
                               maas_similarity_check,
                               NULL,
                               maas_similarity_build},
    [MAAS_LAYER_GCN_CONV] = {{"gcn_conv",
                              "graph convolution: a node and its neighbours, weighed by their "
                              "degrees, see params.graph",
                              ROWS(maas_gcn_conv_rows)},
                             NULL,
                             maas_gcn_conv_build},
    [MAAS_LAYER_SAGE_CONV] = {{"sage_conv",
                               "GraphSAGE: a node, and what its neighbours are together, see "
                               "params.graph",
                               ROWS(maas_sage_conv_rows)},
                              NULL,
                              maas_sage_conv_build},
    {{"dropout", "drops values at random while training", ROWS(dropout_rows)}, NULL, dropout_build},
    {{"batch_norm", "each column, or channel of images, to mean 0 and deviation 1",
      ROWS(maas_batch_norm_rows)},
     NULL,
     maas_batch_norm_build},
    {{"flatten", "a row of any shape to a row of numbers", ROWS(maas_flatten_rows)},
     NULL,
     maas_flatten_build},
    {{"layer_norm", "the last axis of each row to mean 0 and deviation 1",
      ROWS(maas_layer_norm_rows)},
     NULL,
     maas_layer_norm_build},
    CONV("conv1d", "convolution along a line: [channels, places]", maas_conv1d_build),
    CONV("conv2d", "convolution over images: [channels, height, width]", maas_conv2d_build),
    CONV("conv3d", "convolution over volumes: [channels, depth, height, width]", maas_conv3d_build),
    CONV("conv_transpose2d", "convolution that makes images larger", maas_conv_transpose2d_build),
    {{"max_pool", "the largest of each window", ROWS(maas_pool_rows)},
     maas_conv_check,
     maas_max_pool_build},
    {{"avg_pool", "the mean of each window", ROWS(maas_pool_rows)},
     maas_conv_check,
     maas_avg_pool_build},
    {{"global_avg_pool", "the mean of each channel: a row of numbers", ROWS(maas_flatten_rows)},
     NULL,
     maas_global_avg_pool_build},
    {{"global_max_pool", "the largest of each channel: a row of numbers", ROWS(maas_flatten_rows)},
     NULL,
     maas_global_max_pool_build},
    {{"reshape", "another shape for each row", ROWS(maas_reshape_rows)}, NULL, maas_reshape_build},
    {{"permute", "another order of the axes of each row", ROWS(maas_permute_rows)},
     NULL,
     maas_permute_build},
    {{"add", "the sum of several layers", ROWS(maas_add_rows)}, NULL, NULL, maas_add_build},
    {{"concat", "several layers side by side", ROWS(maas_concat_rows)},
     NULL,
     NULL,
     maas_concat_build},
    {{"fm", "factorization machine: the products of all pairs of vectors, summed",
      ROWS(maas_flatten_rows)},
     NULL,
     maas_fm_build},
    {{"dot", "the product of every pair of vectors: a row of numbers", ROWS(maas_flatten_rows)},
     NULL,
     maas_dot_build},
    {{"sum", "the sum along an axis of each row", ROWS(maas_sum_rows)}, NULL, maas_sum_build},
    {{"lstm", "long short-term memory over steps: [steps, features]", ROWS(maas_recurrent_rows)},
     NULL,
     maas_lstm_build},
    {{"gru", "gated recurrent units over steps: [steps, features]", ROWS(maas_recurrent_rows)},
     NULL,
     maas_gru_build},
    {{"attention", "every step is a mixture of all: self-attention of many heads",
      ROWS(maas_attention_rows)},
     NULL,
     maas_attention_build},
    {{"position", "adds to every step a vector of its place", ROWS(maas_position_rows)},
     NULL,
     maas_position_build},
    {{"sequence_pool", "one vector of all steps", ROWS(maas_sequence_pool_rows)},
     NULL,
     maas_sequence_pool_build},
};

bool maas_layer_reads_edges(int type)
{
    return type == MAAS_LAYER_GCN_CONV || type == MAAS_LAYER_SAGE_CONV;
}

bool maas_layer_has_units(int type)
{
    return type == MAAS_LAYER_DENSE || maas_layer_reads_edges(type);
}

bool maas_layers_have_fields(const maas_recipe *r)
{
    const maas_layer_spec *layers = r->layers.items;
    for (size_t i = 0; i < r->layers.n; i++)
        if (layers[i].type == MAAS_LAYER_FIELDS)
            return true;
    return false;
}

bool maas_layers_read_tower(const maas_recipe *r, int tower)
{
    const maas_layer_spec *layers = r->layers.items;
    for (size_t i = 0; i < r->layers.n; i++)
        if (layers[i].type == MAAS_LAYER_FIELDS && layers[i].tower == tower)
            return true;
    return false;
}

bool maas_layers_end_in_one(const maas_recipe *r)
{
    const maas_layer_spec *layers = r->layers.items;
    return r->layers.n && layers[r->layers.n - 1].type == MAAS_LAYER_SIMILARITY;
}

int maas_layers_last_activation(const maas_recipe *r)
{
    const maas_layer_spec *layers = r->layers.items;
    return r->layers.n ? layers[r->layers.n - 1].activation : MAAS_ACTIVATION_NONE;
}

maas_layer_spec *maas_layers_last_dense(const maas_recipe *r)
{
    maas_layer_spec *layers = r->layers.items;
    for (size_t i = r->layers.n; i-- > 0;)
        if (maas_layer_has_units(layers[i].type))
            return &layers[i];
    return NULL;
}
