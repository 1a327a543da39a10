/* ops/pad.h - which element of the data each place of a padded array shows. */
#ifndef MAAS_OPS_PAD_H
#define MAAS_OPS_PAD_H

#include "graph/op.h"

typedef enum maas_pad_mode {
    MAAS_PAD_CONSTANT,
    MAAS_PAD_REFLECT,
    MAAS_PAD_EDGE,
    MAAS_PAD_WRAP,
    MAAS_PAD_BAD
} maas_pad_mode;

/* One axis: place i of the output shows place from + f(i - before) of the n that were not cropped.
 */
typedef struct maas_pad_axis {
    int64_t before, from, n, stride; /* stride: of the data, in elements */
} maas_pad_axis;

typedef struct maas_pad_map {
    maas_pad_mode mode;
    int rank;
    maas_pad_axis axis[MAAS_MAX_RANK];
} maas_pad_map;

/* From the contents of pads and axes (NULL: all); E_INVALID when y is not x padded so. */
maas_status maas_pad_map_of(maas_pad_map *m, const maas_node *n, const maas_tensor *pads,
                            const maas_tensor *axes, const maas_tensor *x, const maas_tensor *y,
                            maas_err *err);
/* The place of the data along this axis, as an offset in elements; -1: none, the constant is there.
 */
int64_t maas_pad_place(maas_pad_mode mode, const maas_pad_axis *a, int64_t i);

#endif
