/* formats/tflite/images.c - operators over pictures: convolutions, pools, sizes. */
#include "formats/tflite/tflite_int.h"

#include <string.h>

#include "base/ban.h"

enum { MAX_SPATIAL = 3 };

static const char *auto_pad(tl *t, const tl_op *op)
{
    return fb_i8(&t->f, &op->options, 0, PADDING_SAME) == PADDING_SAME ? "SAME_UPPER" : "VALID";
}

static bool is_picture(tl *t, const tl_op *op, uint32_t i, int rank)
{
    const maas_vid v = tl_is_first(t, op, i) ? tl_in_first(t, op, i) : tl_in(t, op, i);
    if (tl_ok(t) && tl_type(t, v)->rank != rank)
        tl_fail(t, MAAS_E_FORMAT, "input %u has %d dimensions, expected %d", i, tl_type(t, v)->rank,
                rank);
    return tl_ok(t);
}

/* ---- convolutions ---- */

typedef struct conv {
    int64_t stride[MAX_SPATIAL], dilation[MAX_SPATIAL];
    int64_t groups;
} conv;

/* Fields of strides and dilations, height before width; -1: 1 */
static void read_steps(tl *t, const tl_op *op, int n, const int *strides, const int *dilations,
                       conv *c)
{
    for (int i = 0; i < n; i++) {
        c->stride[i] = tl_option(t, op, strides[i], 1, TL_MAX_STEP, 0);
        c->dilation[i] = dilations ? tl_option(t, op, dilations[i], 1, TL_MAX_STEP, 1) : 1;
    }
}

static maas_vid conv_node(tl *t, const tl_op *op, const conv *c, int n, maas_vid x, maas_vid w)
{
    const maas_attr a[] = {
        MAAS_A_INTS("strides", c->stride, n),
        MAAS_A_INTS("dilations", c->dilation, n),
        MAAS_A_INT("group", c->groups),
        MAAS_A_STR("auto_pad", auto_pad(t, op)),
    };
    const maas_vid in[3] = {x, w, tl_bias(t, op, 2)};
    return maas_b_node(&t->b, "Conv", a, MAAS_COUNT(a), in, in[2] == MAAS_NO_VALUE ? 2 : 3, NULL,
                       1);
}

/* Filters are [out, height, width, in]. */
static void conv_2d(tl *t, tl_op *op)
{
    conv c;
    if (!is_picture(t, op, 0, 4) || !is_picture(t, op, 1, 4))
        return;
    read_steps(t, op, 2, (int[]){2, 1}, (int[]){5, 4}, &c);
    const maas_vid x = tl_in_first(t, op, 0);
    const maas_vid w = tl_weights(t, op, 1, (int64_t[]){0, 3, 1, 2});
    const int64_t channels = tl_size(t, x, 1), of_filter = tl_size(t, w, 1);
    if (channels % of_filter)
        tl_fail(t, MAAS_E_FORMAT, "%lld channels for filters of %lld", (long long)channels,
                (long long)of_filter);
    c.groups = channels / of_filter;
    tl_give_first(t, op, 0, tl_activated(t, op, 3, conv_node(t, op, &c, 2, x, w)));
}

/* [1, height, width, in * multiplier]: output channel i * multiplier + j is of input channel i. */
static void depthwise(tl *t, tl_op *op)
{
    conv c;
    if (!is_picture(t, op, 0, 4) || !is_picture(t, op, 1, 4))
        return;
    read_steps(t, op, 2, (int[]){2, 1}, (int[]){6, 5}, &c);
    const maas_vid x = tl_in_first(t, op, 0);
    const maas_vid w = tl_weights(t, op, 1, (int64_t[]){3, 0, 1, 2});
    c.groups = tl_size(t, x, 1);
    tl_give_first(t, op, 0, tl_activated(t, op, 4, conv_node(t, op, &c, 2, x, w)));
}

/* [depth, height, width, in, out] */
static void conv_3d(tl *t, tl_op *op)
{
    conv c;
    if (!is_picture(t, op, 0, 5) || !is_picture(t, op, 1, 5))
        return;
    read_steps(t, op, 3, (int[]){1, 3, 2}, (int[]){5, 7, 6}, &c);
    const maas_vid x = tl_transpose(t, tl_in(t, op, 0), 5, (int64_t[]){0, 4, 1, 2, 3});
    const maas_vid w = tl_weights(t, op, 1, (int64_t[]){4, 3, 0, 1, 2});
    c.groups = 1;
    maas_vid y = tl_activated(t, op, 4, conv_node(t, op, &c, 3, x, w));
    tl_give(t, op, 0, tl_transpose(t, y, 5, (int64_t[]){0, 2, 3, 4, 1}));
}

/* Height or width of the output: of the constant shape, or of the tensor. */
static int64_t wanted_size(tl *t, const tl_op *op, int axis)
{
    int64_t shape[4] = {0};
    const tl_tensor *y = tl_of_out(t, op, 0);
    if (tl_is_const(t, op, 0)) {
        if (tl_ints(t, op, 0, shape, 4) != 4)
            tl_fail(t, MAAS_E_FORMAT, "the output's shape must be 4 numbers");
    } else if (y->rank == 4) {
        shape[axis] = y->dims[axis];
    }
    if (shape[axis] < 1 || shape[axis] > INT32_MAX)
        tl_fail(t, MAAS_E_UNSUPPORTED, "the output's size must be constant");
    return tl_ok(t) ? shape[axis] : 1;
}

/* The gradient of a convolution over an output of a size that is given: its padding is that of the
 * convolution, what is left over goes to the end. */
static void transpose_conv(tl *t, tl_op *op)
{
    conv c;
    int64_t pads[4] = {0}, more[2] = {0};
    if (!is_picture(t, op, 2, 4) || !is_picture(t, op, 1, 4))
        return;
    read_steps(t, op, 2, (int[]){2, 1}, NULL, &c);
    const bool same = strcmp(auto_pad(t, op), "VALID") != 0;
    const maas_vid x = tl_in_first(t, op, 2);
    const maas_vid w = tl_weights(t, op, 1, (int64_t[]){3, 0, 1, 2}); /* from [out, h, w, in] */
    for (int i = 0; i < 2; i++) {
        const int64_t out = wanted_size(t, op, i + 1), in = tl_size(t, x, i + 2),
                      kernel = tl_size(t, w, i + 2);
        const int64_t steps = same ? (out + c.stride[i] - 1) / c.stride[i]
                                   : (out - kernel + c.stride[i]) / c.stride[i];
        const int64_t over = (steps - 1) * c.stride[i] + kernel - out;
        pads[i] = over > 0 ? over / 2 : 0;
        const int64_t end = (in - 1) * c.stride[i] + kernel - pads[i] - out;
        pads[2 + i] = end > 0 ? end : 0;
        more[i] = end < 0 ? -end : 0;
    }
    const maas_attr a[] = {
        MAAS_A_INTS("strides", c.stride, 2),
        MAAS_A_INTS("pads", pads, 4),
        MAAS_A_INTS("output_padding", more, 2),
    };
    const maas_vid in[3] = {x, w, tl_bias(t, op, 3)};
    const maas_vid y = maas_b_node(&t->b, "ConvTranspose", a, MAAS_COUNT(a), in,
                                   in[2] == MAAS_NO_VALUE ? 2 : 3, NULL, 1);
    tl_give_first(t, op, 0, tl_activated(t, op, 3, y));
}

/* ---- pools ---- */

static maas_vid pool_node(tl *t, const tl_op *op, const char *name, maas_vid x)
{
    const int64_t kernel[2] = {tl_option(t, op, 4, 1, TL_MAX_STEP, 0),
                               tl_option(t, op, 3, 1, TL_MAX_STEP, 0)};
    const int64_t stride[2] = {tl_option(t, op, 2, 1, TL_MAX_STEP, 0),
                               tl_option(t, op, 1, 1, TL_MAX_STEP, 0)};
    const maas_attr a[] = {
        MAAS_A_INTS("kernel_shape", kernel, 2),
        MAAS_A_INTS("strides", stride, 2),
        MAAS_A_STR("auto_pad", auto_pad(t, op)),
    };
    return maas_b_node(&t->b, name, a, MAAS_COUNT(a), &x, 1, NULL, 1);
}

/* arg: the name of an operator of ONNX */
static void pool(tl *t, tl_op *op)
{
    const maas_vid y = pool_node(t, op, op->row->arg, tl_in_first(t, op, 0));
    tl_give_first(t, op, 0, tl_activated(t, op, 5, y));
}

static void l2_pool(tl *t, tl_op *op)
{
    const maas_vid x = tl_in_first(t, op, 0);
    maas_vid y = pool_node(t, op, "AveragePool", maas_b_op2(&t->b, "Mul", x, x));
    tl_give_first(t, op, 0, tl_activated(t, op, 5, maas_b_op1(&t->b, "Sqrt", y)));
}

/* ---- sizes ---- */

typedef struct resizing {
    const char *mode;
    int align, half;                                      /* fields */
    const char *nearest, *nearest_aligned, *nearest_half; /* how places are rounded */
} resizing;

static const resizing bilinear = {"linear", 2, 3, "floor", "floor", "floor"},
                      nearest = {"nearest",          0, 1, "floor", "round_prefer_ceil",
                                 "round_prefer_ceil"};

static void resize(tl *t, tl_op *op)
{
    const resizing *r = op->row->arg;
    int64_t size[2] = {0};
    const bool align = fb_bool(&t->f, &op->options, r->align, false),
               half = fb_bool(&t->f, &op->options, r->half, false);
    if (align && half)
        tl_fail(t, MAAS_E_UNSUPPORTED, "align_corners together with half_pixel_centers");
    if (tl_ints(t, op, 1, size, 2) != 2 || size[0] < 1 || size[1] < 1)
        tl_fail(t, MAAS_E_FORMAT, "the new size must be two numbers above 0");
    const maas_attr a[] = {
        MAAS_A_STR("mode", r->mode),
        MAAS_A_STR("coordinate_transformation_mode", align  ? "align_corners"
                                                     : half ? "half_pixel"
                                                            : "asymmetric"),
        MAAS_A_STR("nearest_mode", align  ? r->nearest_aligned
                                   : half ? r->nearest_half
                                          : r->nearest),
        MAAS_A_INTS("axes", ((int64_t[]){2, 3}), 2),
    };
    const maas_vid in[4] = {tl_in_first(t, op, 0), MAAS_NO_VALUE, MAAS_NO_VALUE,
                            maas_b_i64s(&t->b, size, 2)};
    tl_give_first(t, op, 0, maas_b_node(&t->b, "Resize", a, MAAS_COUNT(a), in, 4, NULL, 1));
}

/* arg: the name of an operator of ONNX */
static void blocks(tl *t, tl_op *op)
{
    const maas_attr a = MAAS_A_INT("blocksize", tl_option(t, op, 0, 1, TL_MAX_STEP, 0));
    tl_give_first(t, op, 0, tl_op1(t, op->row->arg, a, tl_in_first(t, op, 0)));
}

/* ---- neighbours among channels ---- */

static void local_response(tl *t, tl_op *op)
{
    const int64_t size = 2 * tl_option(t, op, 0, 0, TL_MAX_STEP, 0) + 1;
    const maas_attr a[] = {
        MAAS_A_INT("size", size),
        MAAS_A_FLOAT("bias", fb_f32(&t->f, &op->options, 1)),
        MAAS_A_FLOAT("alpha", fb_f32(&t->f, &op->options, 2) * (float)size),
        MAAS_A_FLOAT("beta", fb_f32(&t->f, &op->options, 3)),
    };
    const maas_vid x = tl_in_first(t, op, 0);
    tl_give_first(t, op, 0, maas_b_node(&t->b, "LRN", a, MAAS_COUNT(a), &x, 1, NULL, 1));
}

const tl_row tl_images[] = {
    {1, "AVERAGE_POOL_2D", pool, 1, 1, 0, "AveragePool"},
    {3, "CONV_2D", conv_2d, 2, 3, 0, NULL},
    {4, "DEPTHWISE_CONV_2D", depthwise, 2, 3, 0, NULL},
    {5, "DEPTH_TO_SPACE", blocks, 1, 1, TL_MOVES, "DepthToSpace"},
    {12, "L2_POOL_2D", l2_pool, 1, 1, 0, NULL},
    {13, "LOCAL_RESPONSE_NORMALIZATION", local_response, 1, 1, 0, NULL},
    {17, "MAX_POOL_2D", pool, 1, 1, 0, "MaxPool"},
    {23, "RESIZE_BILINEAR", resize, 2, 2, 0, &bilinear},
    {26, "SPACE_TO_DEPTH", blocks, 1, 1, TL_MOVES, "SpaceToDepth"},
    {67, "TRANSPOSE_CONV", transpose_conv, 3, 4, 0, NULL},
    {97, "RESIZE_NEAREST_NEIGHBOR", resize, 2, 2, 0, &nearest},
    {132, "CONV_3D", conv_3d, 2, 3, 0, NULL},
    {0},
};
