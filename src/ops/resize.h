/*
 * ops/resize.h - what a Resize node means for concrete shapes: which elements of the input make
 * element i of an axis, and with which weights. Reference code, gradient and kernels share it.
 *
 * Interpolation is separable: the weight of an input element is the product over the axes.
 * Plain values; nothing is allocated. Threads: any.
 */
#ifndef MAAS_OPS_RESIZE_H
#define MAAS_OPS_RESIZE_H

#include "graph/op.h"

typedef enum maas_resize_mode {
    MAAS_RESIZE_NEAREST,
    MAAS_RESIZE_LINEAR,
    MAAS_RESIZE_CUBIC
} maas_resize_mode;

typedef struct maas_resize_axis {
    int64_t in, out;
    double scale;    /* as asked for: in * scale may be a fraction more than out   */
    double from, to; /* the region of tf_crop_and_resize in units of the input     */
    bool same;       /* element i is element i                                     */
    int reach, taps; /* the first weight belongs to floor(x) + reach; how many are */
} maas_resize_axis;

typedef struct maas_resize {
    int rank;
    int mode, coordinates, nearest; /* rows of the tables of resize_plan.c */
    bool antialias, exclude_outside, keep_aspect;
    double cubic_a, fill; /* fill: what lies outside of the region */
    maas_resize_axis axis[MAAS_MAX_RANK];
} maas_resize;

/* Attributes alone; refuses what no data could make legal. */
maas_status maas_resize_attrs(const maas_node *n, maas_resize *r, maas_err *err);
/* All of it. x: the input's shape (its data is not looked at); the others NULL when omitted; data
 * must be there. Writes the sizes of the output, too. */
maas_status maas_resize_plan(const maas_node *n, const maas_tensor *x, const maas_tensor *roi,
                             const maas_tensor *scales, const maas_tensor *sizes, maas_resize *r,
                             maas_err *err);

/* Two axes of a picture, [in] to [out] elements each: half pixels, as image libraries do it; what
 * lies outside of the picture has no weight, and shrinking looks at all that is covered. */
maas_status maas_resize_picture(maas_resize_mode mode, const int64_t in[2], const int64_t out[2],
                                maas_resize *r, maas_err *err);

/* Element i of an axis: the inputs first .. first + n - 1, held inside of the axis. */
typedef struct maas_resize_at {
    int64_t first;
    int n;
    double ratio, norm;
    bool outside; /* of the region: the element is r->fill */
} maas_resize_at;
maas_resize_at maas_resize_look(const maas_resize *r, int axis, int64_t i);
/* The weight of input first + k. */
double maas_resize_weight(const maas_resize *r, int axis, const maas_resize_at *at, int k);
static inline int64_t maas_resize_input(const maas_resize *r, int axis, const maas_resize_at *at,
                                        int k)
{
    const int64_t i = at->first + k, last = r->axis[axis].in - 1;
    return i < 0 ? 0 : i > last ? last : i;
}

#endif
