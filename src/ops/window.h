/*
 * ops/window.h - windows that slide over the spatial axes of [N][C][d..]: what convolutions and
 * pooling have in common. One side is wide (the input of Conv), the other narrow (its output):
 *
 *   place in the wide side = place in the narrow side * stride - before + element * dilation
 *
 * Use: maas_window_init reads the attributes, maas_window_fit gives the narrow sizes and resolves
 * auto_pad, maas_taps walk the elements of a window that lie inside.
 *
 * No kernel, stride, dilation or pad is above MAAS_WINDOW_MAX and every sum of them that is used
 * was checked, so reference code needs no more checks. Work is bounded by what is inside: a kernel
 * as wide as the limit costs nothing where there is no data under it.
 */
#ifndef MAAS_OPS_WINDOW_H
#define MAAS_OPS_WINDOW_H

#include "graph/op.h"

#define MAAS_WINDOW_AXES (MAAS_MAX_RANK - 2)
#define MAAS_WINDOW_MAX  INT32_MAX

typedef enum maas_auto_pad {
    MAAS_PAD_GIVEN,
    MAAS_PAD_VALID,
    MAAS_PAD_SAME_UPPER,
    MAAS_PAD_SAME_LOWER
} maas_auto_pad;

typedef struct maas_window {
    int n;                            /* spatial axes                                  */
    maas_auto_pad auto_pad;           /* SAME_*: before and after wait for the sizes   */
    bool ceil;                        /* a last window may reach past the padded end   */
    int64_t kernel[MAAS_WINDOW_AXES]; /* MAAS_DIM_UNKNOWN: not said yet                */
    int64_t stride[MAAS_WINDOW_AXES], dilation[MAAS_WINDOW_AXES];
    int64_t before[MAAS_WINDOW_AXES], after[MAAS_WINDOW_AXES];
} maas_window;

/* kernel_shape, strides, dilations, pads, auto_pad, ceil_mode for n spatial axes. `kernel` are the
 * sizes of the weights, symbols for unknown ones, which kernel_shape must agree with; NULL where
 * there are no weights and kernel_shape is required. */
maas_status maas_window_init(maas_window *w, const maas_node *node, int n, const int64_t *kernel,
                             maas_err *err);
/* Elements of axis a from the first to the last of a window. */
static inline int64_t maas_window_extent(const maas_window *w, int a)
{
    return (w->kernel[a] - 1) * w->dilation[a] + 1;
}
/* Sizes of the narrow side, and pads where auto_pad asks for them. Sizes that are not known
 * (symbols) give MAAS_DIM_UNKNOWN, or the symbol itself where it must stay. */
maas_status maas_window_fit(maas_window *w, const int64_t *wide, int64_t *narrow, maas_err *err);
/* The other way, for ConvTranspose: output_padding and output_shape of the node have a say. */
maas_status maas_window_fit_transposed(maas_window *w, const maas_node *node, const int64_t *narrow,
                                       int64_t *wide, maas_err *err);

/* The elements of one window that lie inside, or the windows that cover one place:
 *
 *   for (maas_taps_init(&t, &w, wide, place); t.left; maas_taps_step(&t)) ... t.at, t.k
 */
typedef struct maas_taps {
    const maas_window *w;
    const int64_t *size; /* of the side that `at` is in */
    bool covering;
    int64_t left;
    int64_t at; /* row-major place among the spatial axes of the other side */
    int64_t k;  /* row-major element of the kernel; meaningless when the kernel has no memory */
    int64_t base[MAAS_WINDOW_AXES], from[MAAS_WINDOW_AXES], to[MAAS_WINDOW_AXES];
    int64_t idx[MAAS_WINDOW_AXES];
} maas_taps;
/* Of the window at `place` of the narrow side: `at` is in the wide one. */
void maas_taps_init(maas_taps *t, const maas_window *w, const int64_t *wide, const int64_t *place);
/* Of the windows over `place` of the wide side: `at` is in the narrow one. */
void maas_taps_init_covering(maas_taps *t, const maas_window *w, const int64_t *narrow,
                             const int64_t *place);
void maas_taps_step(maas_taps *t);

/* The next place of a row-major array. */
static inline void maas_place_next(int64_t *place, const int64_t *dims, int n)
{
    for (int a = n - 1; a >= 0 && ++place[a] == dims[a]; a--)
        place[a] = 0;
}

/* ---- convolutions ---- */

/* Sizes of one convolution between a wide side [batch][groups * wide_c] and a narrow one
 * [batch][groups * narrow_c]; weights are [groups * narrow_c][wide_c][kernel..] whichever way it is
 * computed: ConvTranspose has them so, because its input is the narrow side. */
typedef struct maas_conv {
    maas_window w;
    int64_t batch, groups, wide_c, narrow_c;
    const int64_t *wide, *narrow;       /* [w.n] */
    int64_t wide_n, narrow_n, kernel_n; /* products */
} maas_conv;
/* Of concrete, verified shapes; both ways know them all. */
maas_status maas_conv_init(maas_conv *v, const maas_node *node, const maas_tensor *wide,
                           const maas_tensor *weights, const maas_tensor *narrow, maas_err *err);
/* The same for ConvTranspose, whose pads follow from output_padding and output_shape. */
maas_status maas_conv_init_transposed(maas_conv *v, const maas_node *node, const maas_tensor *wide,
                                      const maas_tensor *weights, const maas_tensor *narrow,
                                      maas_err *err);
/* Types of Conv (also of the integer ones): the output [N][M][..] with the dtype `t`, from X and W.
 */
maas_status maas_conv_infer(const maas_infer *q, const maas_type *x, const maas_type *weights,
                            maas_dtype t, maas_type *out, maas_err *err);

#endif
