/*
 * learn/layers_conv.c - windows that move over places: convolutions and pools over
 * [batch, channels, place...]. Rows without channels ([batch, place...]) get one.
 */
#include "learn/layers_int.h"

#include <stdio.h>

#include "base/ban.h"

#define AT         MAAS_LAYER_AT
#define MAX_PLACES 3

/* "same", "valid", a number for both ends of every axis, or a list of numbers, one an axis. */
#define PADDING_ROW                                                                                \
    {                                                                                              \
        "padding", MAAS_PARAM_JSON, AT(padding),                                                   \
            .help = "\"valid\": none, the default; \"same\": outputs are as many as inputs, by "   \
                    "the stride; or how many zeros at both ends of every axis"                     \
    }
#define STRIDE_ROW(text)                                                                           \
    {                                                                                              \
        "stride", MAAS_PARAM_JSON, AT(stride), .help = text                                        \
    }

const maas_param maas_conv_rows[MAAS_N_CONV_ROWS] = {
    MAAS_LAYER_WIRES,
    {"filters", MAAS_PARAM_INT, AT(filters), 0, 1 << 20, 0,
     .help = "channels that come out; 0: as many as go in"},
    {"kernel_size", MAAS_PARAM_JSON, AT(kernel_size),
     .help = "size of the window: a number, or one for every axis; default 3"},
    STRIDE_ROW("step of the window: a number, or one for every axis; default 1"),
    {"dilation", MAAS_PARAM_INT, AT(dilation), 1, 1024, 1, .help = "step inside of the window"},
    {"groups", MAAS_PARAM_INT, AT(groups), 0, 1 << 20, 1,
     .help = "channels are cut into so many groups; 0: each channel for itself (depthwise)"},
    PADDING_ROW,
    {"activation", MAAS_PARAM_CHOICE, AT(activation), .preset = MAAS_ACTIVATION_NONE,
     .choices = maas_activation_names, .help = "function over the outputs"},
    {"bias", MAAS_PARAM_BOOL, AT(bias), .preset = 1, .help = "add a bias to every channel"},
    {"init", MAAS_PARAM_CHOICE, AT(init), .preset = MAAS_INIT_AUTO, .choices = maas_init_names,
     .help = "first values of the weights"},
};

const maas_param maas_pool_rows[MAAS_N_POOL_ROWS] = {
    MAAS_LAYER_WIRES,
    {"kernel_size", MAAS_PARAM_JSON, AT(kernel_size),
     .help = "size of the window: a number, or one for every axis; default 2"},
    STRIDE_ROW("step of the window: a number, or one for every axis; default: its size"),
    PADDING_ROW,
};

maas_status maas_conv_check(const maas_layer_spec *s, const char *where, maas_err *err)
{
    const char *word = json_string_value(s->padding);
    if (word && strcmp(word, "same") != 0 && strcmp(word, "valid") != 0)
        return maas_fail(err, MAAS_E_INVALID, "%s.padding: '%.40s' is neither same nor valid",
                         where, word);
    return MAAS_OK;
}

/* ---- the window ---- */

typedef struct window {
    int n; /* axes */
    int64_t channels;
    int64_t in[MAX_PLACES], size[MAX_PLACES], stride[MAX_PLACES], dilation[MAX_PLACES];
    int64_t pads[2 * MAX_PLACES];
} window;

/* x as [batch, channels, place...] with `n` places (0: as many as it has). */
static bool as_image(maas_net *net, const char *kind, int index, int n, maas_vid *x)
{
    if (net->b.status != MAAS_OK)
        return false;
    const int rank = maas_b_type(&net->b, *x)->rank;
    if (n && rank == n + 1)
        *x = maas_b_op2(&net->b, "Unsqueeze", *x, maas_b_i64s(&net->b, (int64_t[]){1}, 1));
    else if (n ? rank != n + 2 : rank < 3 || rank > 2 + MAX_PLACES)
        maas_net_fail(net, MAAS_E_INVALID,
                      "params.layers[%d]: %s takes rows of [channels, place...] but gets %d "
                      "dimensions a row: put {\"type\":\"reshape\",\"shape\":[...]} before it",
                      index, kind, rank - 1);
    return net->b.status == MAAS_OK;
}

/* So that ceil(in / stride) windows fit; an odd zero goes to the end, as SAME_UPPER has it. */
static void pad_same(window *w, int i)
{
    const int64_t span = (w->size[i] - 1) * w->dilation[i] + 1;
    const int64_t outputs = (w->in[i] + w->stride[i] - 1) / w->stride[i];
    const int64_t total = (outputs - 1) * w->stride[i] + span - w->in[i];
    w->pads[i] = total > 0 ? total / 2 : 0;
    w->pads[w->n + i] = total > 0 ? total - total / 2 : 0;
}

static bool read_window(maas_net *net, const maas_layer_spec *s, int index, maas_vid x,
                        int64_t size, window *w)
{
    const maas_type *t = maas_b_type(&net->b, x);
    *w = (window){.n = t->rank - 2, .channels = t->dims[1]};
    const char *word = json_string_value(s->padding);
    if (!maas_layer_sizes(net, s->kernel_size, "kernel_size", index, size, 1, w->n, w->size))
        return false;
    if (!maas_layer_sizes(net, s->stride, "stride", index, size == 2 ? 0 : 1, 1, w->n, w->stride))
        return false;
    if (!word && !maas_layer_sizes(net, s->padding, "padding", index, 0, 0, w->n, w->pads))
        return false;
    for (int i = 0; i < w->n; i++) {
        w->in[i] = t->dims[2 + i];
        w->dilation[i] = s->dilation > 0 ? s->dilation : 1;
        w->pads[w->n + i] = w->pads[i];
        if (!w->stride[i]) /* of a pool: its size */
            w->stride[i] = w->size[i];
        if (word && strcmp(word, "same") == 0)
            pad_same(w, i);
    }
    return true;
}

static uint32_t window_attrs(const window *w, bool dilates, maas_attr *attr)
{
    uint32_t n = 0;
    attr[n++] = MAAS_A_INTS("kernel_shape", w->size, w->n);
    attr[n++] = MAAS_A_INTS("strides", w->stride, w->n);
    attr[n++] = MAAS_A_INTS("pads", w->pads, 2 * w->n);
    if (dilates)
        attr[n++] = MAAS_A_INTS("dilations", w->dilation, w->n);
    return n;
}

/* ---- convolution ---- */

static bool settle_groups(maas_net *net, const maas_layer_spec *s, int index, const window *w,
                          int64_t *groups, int64_t *filters)
{
    *groups = s->groups ? s->groups : w->channels;
    *filters = s->filters ? s->filters : w->channels;
    if (w->channels % *groups != 0 || *filters % *groups != 0)
        maas_net_fail(net, MAAS_E_INVALID,
                      "params.layers[%d].groups: %lld do not divide %lld channels and %lld filters",
                      index, (long long)*groups, (long long)w->channels, (long long)*filters);
    return net->b.status == MAAS_OK;
}

static maas_vid conv_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x,
                           const char *kind, int n, bool transposed)
{
    window w;
    int64_t groups, filters;
    if (!as_image(net, kind, index, n, &x) || !read_window(net, s, index, x, 3, &w) ||
        !settle_groups(net, s, index, &w, &groups, &filters))
        return MAAS_NO_VALUE;
    int64_t dims[2 + MAX_PLACES] = {transposed ? w.channels : filters,
                                    (transposed ? filters : w.channels) / groups};
    int64_t area = 1;
    for (int i = 0; i < w.n; i++)
        area *= dims[2 + i] = w.size[i];
    maas_vid in[3] = {x,
                      maas_net_weight_add(net, index, "weight", 2 + w.n, dims, maas_layer_init(s),
                                          w.channels / groups * area, filters / groups * area),
                      MAAS_NO_VALUE};
    if (s->bias)
        in[2] = maas_net_weight_add(net, index, "bias", 1, &filters, MAAS_INIT_ZEROS, 1, 1);
    maas_attr attr[5];
    uint32_t n_attr = window_attrs(&w, true, attr);
    attr[n_attr++] = MAAS_A_INT("group", groups);
    maas_vid y = MAAS_NO_VALUE;
    y = maas_b_node(&net->b, transposed ? "ConvTranspose" : "Conv", attr, n_attr, in,
                    s->bias ? 3 : 2, &y, 1);
    return maas_layer_activate(net, s, index, y);
}

maas_vid maas_conv1d_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    return conv_build(net, s, index, x, "conv1d", 1, false);
}

maas_vid maas_conv2d_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    return conv_build(net, s, index, x, "conv2d", 2, false);
}

maas_vid maas_conv3d_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    return conv_build(net, s, index, x, "conv3d", 3, false);
}

maas_vid maas_conv_transpose2d_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    return conv_build(net, s, index, x, "conv_transpose2d", 2, true);
}

/* ---- pools ---- */

static maas_vid pool_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x,
                           const char *kind, const char *op)
{
    window w;
    maas_attr attr[4];
    if (!as_image(net, kind, index, 0, &x) || !read_window(net, s, index, x, 2, &w))
        return MAAS_NO_VALUE;
    maas_vid y = MAAS_NO_VALUE;
    return maas_b_node(&net->b, op, attr, window_attrs(&w, false, attr), &x, 1, &y, 1);
}

maas_vid maas_max_pool_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    return pool_build(net, s, index, x, "max_pool", "MaxPool");
}

maas_vid maas_avg_pool_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    return pool_build(net, s, index, x, "avg_pool", "AveragePool");
}

static maas_vid global_build(maas_net *net, int index, maas_vid x, const char *kind, const char *op)
{
    const maas_attr axis = MAAS_A_INT("axis", 1);
    if (!as_image(net, kind, index, 0, &x))
        return MAAS_NO_VALUE;
    maas_vid y = maas_b_op1(&net->b, op, x), flat = MAAS_NO_VALUE;
    return maas_b_node(&net->b, "Flatten", &axis, 1, &y, 1, &flat, 1);
}

maas_vid maas_global_avg_pool_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    return global_build(net, index, x, "global_avg_pool", "GlobalAveragePool");
}

maas_vid maas_global_max_pool_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    return global_build(net, index, x, "global_max_pool", "GlobalMaxPool");
}
