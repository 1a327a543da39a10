/* formats/keras/convolution.c - convolutions. Keras keeps the filters of two dimensions as
 * [height, width, in, out] and images with their channels last; ONNX wants both the other way. */
#include <string.h>

#include "formats/keras/keras_int.h"
#include "base/ban.h"

enum { VALID, SAME, CAUSAL };
static const char *const paddings[] = {"valid", "same", "causal", NULL};

enum { MAX_SPATIAL = 3, MAX_STEP = 1 << 16 };

typedef struct conv {
    int n; /* spatial dimensions */
    int64_t kernel[MAX_SPATIAL], stride[MAX_SPATIAL], dilation[MAX_SPATIAL];
    int padding;
    bool first; /* channels */
    int64_t in; /* channels of the input */
} conv;

static bool read_conv(kr *k, const kr_layer *l, maas_vid x, conv *c)
{
    const int rank = kr_type(k, x)->rank;
    if (kr_ok(k) && (rank < 3 || rank > 2 + MAX_SPATIAL))
        kr_fail(k, l, MAAS_E_FORMAT, "its input has %d dimensions", rank);
    if (!kr_ok(k))
        return false;
    *c = (conv){.n = rank - 2, .first = kr_channels_first(k, l)};
    c->padding = kr_word(k, l, "padding", paddings, VALID);
    kr_ints(k, l, "kernel_size", c->n, 1, MAX_STEP, 1, c->kernel);
    kr_ints(k, l, "strides", c->n, 1, MAX_STEP, 1, c->stride);
    kr_ints(k, l, "dilation_rate", c->n, 1, MAX_STEP, 1, c->dilation);
    c->in = kr_size(k, l, x, c->first ? 1 : rank - 1);
    if (c->padding == CAUSAL && c->n != 1)
        kr_fail(k, l, MAAS_E_UNSUPPORTED, "causal padding is for one dimension");
    return kr_ok(k);
}

/* Conv of x [n, c, spatial...]; TensorFlow's "same" is SAME_UPPER. */
static maas_vid conv_node(kr *k, const conv *c, maas_vid x, maas_vid w, maas_vid bias,
                          int64_t groups)
{
    int64_t pads[2 * MAX_SPATIAL] = {0};
    pads[0] = c->padding == CAUSAL ? (c->kernel[0] - 1) * c->dilation[0] : 0;
    const maas_attr a[] = {
        MAAS_A_INTS("strides", c->stride, c->n),
        MAAS_A_INTS("dilations", c->dilation, c->n),
        MAAS_A_INT("group", groups),
        c->padding == SAME ? MAAS_A_STR("auto_pad", "SAME_UPPER")
                           : MAAS_A_INTS("pads", pads, 2 * c->n),
    };
    const maas_vid in[3] = {x, w, bias};
    return maas_b_node(&k->b, "Conv", a, MAAS_COUNT(a), in, bias == MAAS_NO_VALUE ? 2 : 3, NULL, 1);
}

/* [spatial..., in, out] as it is in the file, to [out, in, spatial...]. */
static bool take_filters(kr *k, kr_layer *l, const conv *c, int index, const int64_t *kernel,
                         int64_t in, int64_t out, maas_tensor *w)
{
    int64_t dims[MAX_SPATIAL + 2];
    int order[MAX_SPATIAL + 2] = {c->n + 1, c->n};
    maas_tensor stored;
    for (int i = 0; i < c->n; i++) {
        dims[i] = kernel[i];
        order[i + 2] = i;
    }
    dims[c->n] = in;
    dims[c->n + 1] = out;
    return kr_take(k, l, "", index, c->n + 2, dims, &stored) && kr_permuted(k, &stored, order, w);
}

static maas_vid take_bias(kr *k, kr_layer *l, int index, int64_t n)
{
    return kr_bool(k, l, "use_bias", true) ? kr_weight(k, l, "", index, 1, &n) : MAAS_NO_VALUE;
}

static maas_vid convolution(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    conv c;
    maas_tensor w;
    const int64_t out = kr_need_int(k, l, "filters", 1, KR_MAX_UNITS);
    const int64_t groups = kr_int(k, l, "groups", 1, KR_MAX_UNITS, 1);
    if (!read_conv(k, l, in[0], &c))
        return MAAS_NO_VALUE;
    if (c.in % groups || out % groups)
        return kr_fail(k, l, MAAS_E_FORMAT, "groups %lld do not divide the channels",
                       (long long)groups);
    if (!take_filters(k, l, &c, 0, c.kernel, c.in / groups, out, &w))
        return MAAS_NO_VALUE;
    const maas_vid bias = take_bias(k, l, 1, out);
    maas_vid y = conv_node(k, &c, kr_channels_in(k, in[0], c.first), kr_const(k, &w), bias, groups);
    return kr_activate(k, l, "activation", kr_channels_out(k, y, c.first));
}

/* [spatial..., in, multiplier]: output channel i * multiplier + j is of input channel i. */
static maas_vid depthwise_filters(kr *k, kr_layer *l, const conv *c, int64_t multiplier)
{
    int64_t dims[MAX_SPATIAL + 2];
    int order[MAX_SPATIAL + 2] = {c->n, c->n + 1};
    maas_tensor stored, w;
    for (int i = 0; i < c->n; i++) {
        dims[i] = c->kernel[i];
        order[i + 2] = i;
    }
    dims[c->n] = c->in;
    dims[c->n + 1] = multiplier;
    if (!kr_take(k, l, "", 0, c->n + 2, dims, &stored) || !kr_permuted(k, &stored, order, &w))
        return MAAS_NO_VALUE;
    w.dims[0] *= w.dims[1];
    w.dims[1] = 1;
    return kr_const(k, &w);
}

static maas_vid depthwise(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    conv c;
    const int64_t multiplier = kr_int(k, l, "depth_multiplier", 1, KR_MAX_UNITS, 1);
    if (!read_conv(k, l, in[0], &c))
        return MAAS_NO_VALUE;
    const maas_vid w = depthwise_filters(k, l, &c, multiplier);
    const maas_vid bias = take_bias(k, l, 1, c.in * multiplier);
    maas_vid y = conv_node(k, &c, kr_channels_in(k, in[0], c.first), w, bias, c.in);
    return kr_activate(k, l, "activation", kr_channels_out(k, y, c.first));
}

static maas_vid separable(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    conv c;
    maas_tensor w;
    const int64_t multiplier = kr_int(k, l, "depth_multiplier", 1, KR_MAX_UNITS, 1);
    const int64_t out = kr_need_int(k, l, "filters", 1, KR_MAX_UNITS);
    if (!read_conv(k, l, in[0], &c))
        return MAAS_NO_VALUE;
    const maas_vid deep = depthwise_filters(k, l, &c, multiplier);
    const conv point = {.n = c.n, .kernel = {1, 1, 1}, .stride = {1, 1, 1}, .dilation = {1, 1, 1}};
    if (!take_filters(k, l, &point, 1, point.kernel, c.in * multiplier, out, &w))
        return MAAS_NO_VALUE;
    const maas_vid bias = take_bias(k, l, 2, out);
    maas_vid y = conv_node(k, &c, kr_channels_in(k, in[0], c.first), deep, MAAS_NO_VALUE, c.in);
    y = conv_node(k, &point, y, kr_const(k, &w), bias, 1);
    return kr_activate(k, l, "activation", kr_channels_out(k, y, c.first));
}

/* The gradient of a convolution: `same` gives input times stride, `valid` room for the kernel. */
static maas_vid transposed(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    conv c;
    maas_tensor w;
    int64_t pads[2 * MAX_SPATIAL] = {0}, more[MAX_SPATIAL] = {0};
    const int64_t out = kr_need_int(k, l, "filters", 1, KR_MAX_UNITS);
    if (!read_conv(k, l, in[0], &c))
        return MAAS_NO_VALUE;
    if (c.padding == CAUSAL)
        return kr_fail(k, l, MAAS_E_UNSUPPORTED, "padding 'causal' is not supported");
    for (int i = 0; i < c.n; i++) {
        const int64_t extent = (c.kernel[i] - 1) * c.dilation[i] + 1;
        const int64_t over = extent > c.stride[i] ? extent - c.stride[i] : 0;
        more[i] = extent < c.stride[i] ? c.stride[i] - extent : 0;
        if (more[i] && c.dilation[i] > 1)
            return kr_fail(k, l, MAAS_E_UNSUPPORTED, "a dilated kernel smaller than the stride");
        pads[i] = c.padding == SAME ? over / 2 : 0;
        pads[c.n + i] = c.padding == SAME ? over - over / 2 : 0;
    }
    /* [spatial..., out, in] to [in, out, spatial...] */
    if (!take_filters(k, l, &c, 0, c.kernel, out, c.in, &w))
        return MAAS_NO_VALUE;
    const maas_attr a[] = {
        MAAS_A_INTS("strides", c.stride, c.n),
        MAAS_A_INTS("dilations", c.dilation, c.n),
        MAAS_A_INTS("pads", pads, 2 * c.n),
        MAAS_A_INTS("output_padding", more, c.n),
    };
    const maas_vid of[3] = {kr_channels_in(k, in[0], c.first), kr_const(k, &w),
                            take_bias(k, l, 1, out)};
    maas_vid y = maas_b_node(&k->b, "ConvTranspose", a, MAAS_COUNT(a), of,
                             of[2] == MAAS_NO_VALUE ? 2 : 3, NULL, 1);
    return kr_activate(k, l, "activation", kr_channels_out(k, y, c.first));
}

#define COMMON "kernel_size strides padding data_format dilation_rate activation use_bias"

const kr_row kr_convolutions[] = {
    {"Conv1D", convolution, "filters groups " COMMON, 3, 1, 1, 0},
    {"Conv2D", convolution, "filters groups " COMMON, 4, 1, 1, 0},
    {"Conv3D", convolution, "filters groups " COMMON, 5, 1, 1, 0},
    {"DepthwiseConv1D", depthwise, "depth_multiplier " COMMON, 3, 1, 1, 0},
    {"DepthwiseConv2D", depthwise, "depth_multiplier " COMMON, 4, 1, 1, 0},
    {"SeparableConv1D", separable, "filters depth_multiplier " COMMON, 3, 1, 1, 0},
    {"SeparableConv2D", separable, "filters depth_multiplier " COMMON, 4, 1, 1, 0},
    {"Conv1DTranspose", transposed, "filters " COMMON, 3, 1, 1, 0},
    {"Conv2DTranspose", transposed, "filters " COMMON, 4, 1, 1, 0},
    {"Conv3DTranspose", transposed, "filters " COMMON, 5, 1, 1, 0},
    {0},
};
