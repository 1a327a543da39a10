/* formats/savedmodel/images.c - operators over pictures: convolutions, pools, norms, sizes. */
#include "formats/savedmodel/sm_int.h"

#include <string.h>

#include "base/ban.h"

enum { MAX_SPATIAL = 3 };

/* ---- what all convolutions and pools say ---- */

typedef struct window {
    int n; /* spatial dimensions: 2 or 3 */
    bool channels_first;
    int64_t size[MAX_SPATIAL], stride[MAX_SPATIAL], dilation[MAX_SPATIAL];
    int64_t pads[2 * MAX_SPATIAL]; /* of EXPLICIT */
    char padding;                  /* 'S'AME, 'V'ALID, 'E'XPLICIT */
} window;

/* Of a list with batch and channels, the numbers between. */
static void read_steps(sm *s, const sm_op *op, const char *name, const window *w, int64_t *out)
{
    int64_t all[MAX_SPATIAL + 2];
    const int from = w->channels_first ? 2 : 1, n = sm_attr_ints(s, op, name, all, w->n + 2);
    for (int i = 0; i < w->n; i++) {
        out[i] = n ? all[from + i] : 1;
        if (sm_ok(s) && ((n && n != w->n + 2) || out[i] < 1 || out[i] > SM_MAX_STEP))
            sm_fail(s, MAAS_E_FORMAT, "attribute %s", name);
        if (!sm_ok(s))
            out[i] = 1;
    }
    if (n == w->n + 2 && (all[0] != 1 || all[w->channels_first ? 1 : w->n + 1] != 1))
        sm_fail(s, MAAS_E_UNSUPPORTED, "%s over batch or channels", name);
}

static void read_explicit(sm *s, const sm_op *op, window *w)
{
    int64_t all[2 * (MAX_SPATIAL + 2)];
    const int from = w->channels_first ? 2 : 1;
    if (sm_attr_ints(s, op, "explicit_paddings", all, 2 * (w->n + 2)) != 2 * (w->n + 2)) {
        sm_fail(s, MAAS_E_FORMAT, "attribute explicit_paddings");
        return;
    }
    for (int i = 0; i < w->n; i++) {
        w->pads[i] = all[2 * (from + i)];
        w->pads[w->n + i] = all[2 * (from + i) + 1];
        if (w->pads[i] < 0 || w->pads[w->n + i] < 0 || w->pads[i] > SM_MAX_STEP ||
            w->pads[w->n + i] > SM_MAX_STEP)
            sm_fail(s, MAAS_E_FORMAT, "attribute explicit_paddings");
    }
}

static window read_window(sm *s, const sm_op *op, int n)
{
    window w = {.n = n};
    const maas_span format = sm_attr_s(s, op->node, "data_format"),
                    padding = sm_attr_s(s, op->node, "padding");
    w.channels_first = format.n > 1 && format.p[1] == 'C';
    w.padding = padding.n ? (char)padding.p[0] : 'V';
    read_steps(s, op, "strides", &w, w.stride);
    read_steps(s, op, "dilations", &w, w.dilation);
    if (w.padding == 'E')
        read_explicit(s, op, &w);
    else if (w.padding != 'S' && w.padding != 'V')
        sm_fail(s, MAAS_E_FORMAT, "attribute padding");
    return w;
}

/* Input i with channels first, wherever the file has them. */
static maas_vid picture(sm *s, const sm_op *op, uint32_t i, const window *w)
{
    const maas_vid any = sm_is_first(s, op, i) ? sm_in_first(s, op, i) : sm_in(s, op, i);
    if (sm_ok(s) && sm_rank(s, any) != w->n + 2)
        return sm_fail(s, MAAS_E_FORMAT, "input %u has %d dimensions, expected %d", i,
                       sm_rank(s, any), w->n + 2);
    if (w->channels_first)
        return sm_in(s, op, i);
    return w->n == 2 ? sm_in_first(s, op, i)
                     : maas_p_transpose(s->b, sm_in(s, op, i), 5, (int64_t[]){0, 4, 1, 2, 3});
}

static void give_picture(sm *s, const sm_op *op, uint32_t i, maas_vid y, const window *w)
{
    if (w->channels_first)
        sm_give(s, op, i, y);
    else if (w->n == 2)
        sm_give_in(s, op, i, y, SM_FIRST);
    else
        sm_give(s, op, i, maas_p_transpose(s->b, y, 5, (int64_t[]){0, 2, 3, 4, 1}));
}

/* ---- convolutions ---- */

static uint32_t pad_attrs(const window *w, maas_attr *a)
{
    a[0] = MAAS_A_INTS("strides", w->stride, w->n);
    a[1] = w->padding == 'E' ? MAAS_A_INTS("pads", w->pads, 2 * w->n)
                             : MAAS_A_STR("auto_pad", w->padding == 'S' ? "SAME_UPPER" : "VALID");
    return 2;
}

static maas_vid conv_node(sm *s, const window *w, int64_t groups, maas_vid x, maas_vid filter)
{
    maas_attr a[4];
    uint32_t n = pad_attrs(w, a);
    const maas_vid in[2] = {x, filter};
    a[n++] = MAAS_A_INTS("dilations", w->dilation, w->n);
    a[n++] = MAAS_A_INT("group", groups);
    return maas_b_node(s->b, "Conv", a, n, in, 2, NULL, 1);
}

/* Filters are [height, width, in / groups, out]. arg: the number of spatial dimensions */
static void conv(sm *s, sm_op *op)
{
    const int n = *(const int *)op->arg;
    const window w = read_window(s, op, n);
    const maas_vid x = picture(s, op, 0, &w), f = sm_in(s, op, 1);
    if (sm_ok(s) && sm_rank(s, f) != n + 2)
        sm_fail(s, MAAS_E_FORMAT, "its filters have %d dimensions", sm_rank(s, f));
    const int64_t *order = n == 2 ? (const int64_t[]){3, 2, 0, 1}
                                  : (const int64_t[]){4, 3, 0, 1, 2};
    const maas_vid filter = maas_p_transpose(s->b, f, n + 2, order);
    const int64_t channels = sm_size(s, x, 1), of_filter = sm_size(s, filter, 1);
    if (channels % of_filter)
        sm_fail(s, MAAS_E_FORMAT, "%lld channels for filters of %lld", (long long)channels,
                (long long)of_filter);
    give_picture(s, op, 0, conv_node(s, &w, channels / of_filter, x, filter), &w);
}

/* Filters are [height, width, in, multiplier]; output i * multiplier + j is of input i. */
static void depthwise(sm *s, sm_op *op)
{
    const window w = read_window(s, op, 2);
    const maas_vid x = picture(s, op, 0, &w), f = sm_in(s, op, 1);
    if (sm_ok(s) && sm_rank(s, f) != 4)
        sm_fail(s, MAAS_E_FORMAT, "its filters have %d dimensions", sm_rank(s, f));
    const int64_t h = sm_size(s, f, 0), wide = sm_size(s, f, 1), c = sm_size(s, f, 2),
                  times = sm_size(s, f, 3);
    maas_vid filter = maas_p_transpose(s->b, f, 4, (int64_t[]){2, 3, 0, 1});
    filter = maas_p_reshape(s->b, filter, (int64_t[]){c * times, 1, h, wide}, 4);
    give_picture(s, op, 0, conv_node(s, &w, c, x, filter), &w);
}

/* [n] sizes of the output as far as they are known: what Expand to them would have. -1: computed.
 */
static void read_sizes(sm *s, const sm_op *op, int n, int64_t *sizes)
{
    const maas_vid probe = maas_b_op2(s->b, "Expand", maas_b_f32(s->b, 0), sm_in_i64(s, op, 0));
    const maas_type *t = sm_type(s, probe);
    if (!sm_ok(s))
        return;
    for (int i = 0; i < n; i++)
        sizes[i] = t->rank == n && t->dims[i] >= 0 ? t->dims[i] : -1;
    s->b->g->nodes[s->b->last].dead = true;
}

typedef struct backward {
    window w;
    maas_vid x, filter; /* [.., out, in] became [in, out, ..] */
    int64_t pads[2 * MAX_SPATIAL], more[MAX_SPATIAL];
} backward;

static maas_vid backward_node(sm *s, const backward *c)
{
    const int n = c->w.n;
    const maas_attr a[] = {
        MAAS_A_INTS("strides", c->w.stride, n), MAAS_A_INTS("pads", c->pads, 2 * n),
        MAAS_A_INTS("dilations", c->w.dilation, n), MAAS_A_INTS("output_padding", c->more, n)};
    const maas_vid in[2] = {c->x, c->filter};
    return maas_b_node(s->b, "ConvTranspose", a, MAAS_COUNT(a), in, 2, NULL, 1);
}

/* Its padding is that of the convolution, what is left over goes to the end. */
static maas_vid sized_backward(sm *s, backward *c, const int64_t *sizes)
{
    const int n = c->w.n;
    for (int i = 0; i < n && sm_ok(s); i++) {
        const int64_t kernel = (sm_size(s, c->filter, i + 2) - 1) * c->w.dilation[i] + 1;
        const int64_t over = (sm_size(s, c->x, i + 2) - 1) * c->w.stride[i] + kernel - sizes[i];
        c->pads[i] = c->w.padding == 'S' && over > 0 ? over / 2 : 0;
        const int64_t end = over - c->pads[i];
        c->pads[n + i] = end > 0 ? end : 0;
        c->more[i] = end < 0 ? -end : 0;
        if (c->more[i] >= c->w.stride[i] && c->more[i] >= c->w.dilation[i])
            sm_fail(s, MAAS_E_FORMAT, "the output's size does not go with that of the input");
    }
    return sm_ok(s) ? backward_node(s, c) : MAAS_NO_VALUE;
}

/* Where sizes are computed: all that a stride can reach, and of it what the sizes say. */
static maas_vid open_backward(sm *s, const sm_op *op, backward *c)
{
    maas_builder *b = s->b;
    const int n = c->w.n, from = c->w.channels_first ? 2 : 1;
    int64_t axes[MAX_SPATIAL], more[MAX_SPATIAL], places[MAX_SPATIAL];
    for (int i = 0; i < n; i++) {
        axes[i] = i + 2;
        places[i] = from + i;
        c->more[i] = more[i] = c->w.stride[i] - 1;
    }
    const maas_vid y = backward_node(s, c), at = maas_b_i64s(b, axes, n);
    const maas_vid sizes = maas_b_op2(b, "Gather", sm_in_i64(s, op, 0), maas_b_i64s(b, places, n));
    maas_vid first = maas_b_op2(b, "Gather", maas_b_op1(b, "Shape", y), at);
    first = maas_b_op2(b, "Sub", maas_b_op2(b, "Sub", first, maas_b_i64s(b, more, n)), sizes);
    first = maas_b_op2(b, "Max", first, maas_b_i64(b, 0));
    first = maas_b_op2(b, "Div", first, maas_b_i64(b, c->w.padding == 'S' ? 2 : INT64_MAX));
    const maas_vid in[4] = {y, first, maas_b_op2(b, "Add", first, sizes), at};
    return maas_b_node(b, "Slice", NULL, 0, in, 4, NULL, 1);
}

/* The gradient of a convolution over an output of a size that is given. arg: the number of spatial
 * dimensions */
static void transposed(sm *s, sm_op *op)
{
    const int n = *(const int *)op->arg;
    int64_t sizes[MAX_SPATIAL + 2] = {0};
    backward c = {.w = read_window(s, op, n)};
    const int64_t *order = n == 2 ? (const int64_t[]){3, 2, 0, 1}
                                  : (const int64_t[]){4, 3, 0, 1, 2};
    c.x = picture(s, op, 2, &c.w);
    c.filter = maas_p_transpose(s->b, sm_in(s, op, 1), n + 2, order);
    read_sizes(s, op, n + 2, sizes);
    if (c.w.padding == 'E')
        sm_fail(s, MAAS_E_UNSUPPORTED, "explicit padding");
    if (!sm_ok(s))
        return;
    const int64_t *of = sizes + (c.w.channels_first ? 2 : 1);
    const maas_type *x = sm_type(s, c.x);
    bool known = true;
    for (int i = 0; i < n; i++)
        known = known && of[i] >= 1 && of[i] <= INT32_MAX && x->dims[i + 2] >= 1;
    const maas_vid y = known ? sized_backward(s, &c, of) : open_backward(s, op, &c);
    if (sm_ok(s))
        give_picture(s, op, 0, y, &c.w);
}

static const int two = 2, three = 3;

/* ---- pools ---- */

typedef struct pooling {
    const char *op;
    int n;
} pooling;

static const pooling max_2 = {"MaxPool", 2}, max_3 = {"MaxPool", 3}, mean_2 = {"AveragePool", 2},
                     mean_3 = {"AveragePool", 3};

static void pool(sm *s, sm_op *op)
{
    const pooling *p = op->arg;
    window w = read_window(s, op, p->n);
    maas_attr a[3];
    uint32_t n = pad_attrs(&w, a);
    read_steps(s, op, "ksize", &w, w.size);
    a[n++] = MAAS_A_INTS("kernel_shape", w.size, w.n);
    const maas_vid x = picture(s, op, 0, &w);
    if (sm_ok(s))
        give_picture(s, op, 0, maas_b_node(s->b, p->op, a, n, &x, 1, NULL, 1), &w);
}

/* ---- norms ---- */

/* scale, offset, mean, variance; without training, the statistics are those that come in. */
static void batch_norm(sm *s, sm_op *op)
{
    window w = {.n = 2};
    const maas_span format = sm_attr_s(s, op->node, "data_format");
    if (sm_attr_i(s, op, "is_training", 1))
        sm_fail(s, MAAS_E_UNSUPPORTED,
                "it is the form for training: export the model for inference");
    w.channels_first = format.n > 1 && format.p[1] == 'C';
    w.n = format.n == 5 ? 3 : 2;
    const maas_vid in[5] = {picture(s, op, 0, &w), sm_in(s, op, 1), sm_in(s, op, 2),
                            sm_in(s, op, 3), sm_in(s, op, 4)};
    const maas_attr a = MAAS_A_FLOAT("epsilon", sm_attr_f(s, op, "epsilon", 1e-4f));
    if (!sm_ok(s))
        return;
    give_picture(s, op, 0, maas_b_node(s->b, "BatchNormalization", &a, 1, in, 5, NULL, 1), &w);
    sm_give(s, op, 1, in[3]);
    sm_give(s, op, 2, in[4]);
}

static void local_response(sm *s, sm_op *op)
{
    const window w = {.n = 2};
    const int64_t radius = sm_attr_i(s, op, "depth_radius", 5);
    const bool fits = radius >= 0 && radius <= SM_MAX_STEP;
    const int64_t size = fits ? 2 * radius + 1 : 1;
    const maas_attr a[] = {
        MAAS_A_INT("size", size),
        MAAS_A_FLOAT("bias", sm_attr_f(s, op, "bias", 1)),
        MAAS_A_FLOAT("alpha", sm_attr_f(s, op, "alpha", 1) * (float)size),
        MAAS_A_FLOAT("beta", sm_attr_f(s, op, "beta", 0.5f)),
    };
    if (!fits)
        sm_fail(s, MAAS_E_FORMAT, "attribute depth_radius is %lld", (long long)radius);
    const maas_vid x = picture(s, op, 0, &w);
    if (sm_ok(s))
        give_picture(s, op, 0, maas_b_node(s->b, "LRN", a, MAAS_COUNT(a), &x, 1, NULL, 1), &w);
}

/* ---- sizes ---- */

typedef struct resizing {
    const char *mode;
    const char *nearest, *nearest_aligned, *nearest_half; /* how places are rounded */
    bool widens;                                          /* the result is float32 */
} resizing;

static const resizing bilinear = {"linear", "floor", "floor", "floor", true},
                      cubic = {"cubic", "floor", "floor", "floor", true},
                      nearest = {"nearest", "floor", "round_prefer_ceil", "round_prefer_ceil",
                                 false};

static void resize(sm *s, sm_op *op)
{
    const resizing *r = op->arg;
    const window w = {.n = 2};
    const bool align = sm_attr_i(s, op, "align_corners", 0) != 0,
               half = sm_attr_i(s, op, "half_pixel_centers", 0) != 0;
    if (align && half)
        sm_fail(s, MAAS_E_UNSUPPORTED, "align_corners together with half_pixel_centers");
    if (r == &cubic && !half)
        sm_fail(s, MAAS_E_UNSUPPORTED, "without half_pixel_centers");
    const maas_attr a[] = {
        MAAS_A_STR("mode", r->mode),
        MAAS_A_FLOAT("cubic_coeff_a", -0.5f),
        MAAS_A_INT("exclude_outside", r == &cubic),
        MAAS_A_STR("coordinate_transformation_mode", align  ? "align_corners"
                                                     : half ? "half_pixel"
                                                            : "asymmetric"),
        MAAS_A_STR("nearest_mode", align  ? r->nearest_aligned
                                   : half ? r->nearest_half
                                          : r->nearest),
        MAAS_A_INTS("axes", ((int64_t[]){2, 3}), 2),
    };
    maas_vid x = picture(s, op, 0, &w);
    if (r->widens)
        x = maas_p_cast(s->b, x, MAAS_F32);
    const maas_vid in[4] = {x, MAAS_NO_VALUE, MAAS_NO_VALUE, sm_in_i64(s, op, 1)};
    if (sm_ok(s))
        give_picture(s, op, 0, maas_b_node(s->b, "Resize", a, MAAS_COUNT(a), in, 4, NULL, 1), &w);
}

/* arg: the name of an operator of ONNX */
static void blocks(sm *s, sm_op *op)
{
    window w = {.n = 2};
    const maas_span format = sm_attr_s(s, op->node, "data_format");
    w.channels_first = format.n > 1 && format.p[1] == 'C';
    const int64_t size = sm_attr_i(s, op, "block_size", 0);
    if (size < 1 || size > SM_MAX_STEP)
        sm_fail(s, MAAS_E_FORMAT, "attribute block_size");
    const maas_vid x = picture(s, op, 0, &w);
    if (sm_ok(s))
        give_picture(s, op, 0, maas_p_op1(s->b, op->arg, MAAS_A_INT("blocksize", size), x), &w);
}

const sm_row sm_images[] = {
    {"AvgPool", pool, 1, 1, 0, &mean_2, NULL},
    {"AvgPool3D", pool, 1, 1, 0, &mean_3, NULL},
    {"Conv2D", conv, 2, 2, 0, &two, NULL},
    {"Conv2DBackpropInput", transposed, 3, 3, 0, &two, NULL},
    {"Conv3D", conv, 2, 2, 0, &three, NULL},
    {"Conv3DBackpropInputV2", transposed, 3, 3, 0, &three, NULL},
    {"DepthToSpace", blocks, 1, 1, 0, "DepthToSpace", NULL},
    {"DepthwiseConv2dNative", depthwise, 2, 2, 0, NULL, NULL},
    {"FusedBatchNorm", batch_norm, 5, 5, 0, NULL,
     "y batch_mean batch_variance reserve_space_1 reserve_space_2"},
    {"FusedBatchNormV2", batch_norm, 5, 5, 0, NULL,
     "y batch_mean batch_variance reserve_space_1 reserve_space_2"},
    {"FusedBatchNormV3", batch_norm, 5, 5, 0, NULL,
     "y batch_mean batch_variance reserve_space_1 reserve_space_2 reserve_space_3"},
    {"LRN", local_response, 1, 1, 0, NULL, NULL},
    {"MaxPool", pool, 1, 1, 0, &max_2, NULL},
    {"MaxPool3D", pool, 1, 1, 0, &max_3, NULL},
    {"ResizeBicubic", resize, 2, 2, 0, &cubic, NULL},
    {"ResizeBilinear", resize, 2, 2, 0, &bilinear, NULL},
    {"ResizeNearestNeighbor", resize, 2, 2, 0, &nearest, NULL},
    {"SpaceToDepth", blocks, 1, 1, 0, "SpaceToDepth", NULL},
    {0},
};
