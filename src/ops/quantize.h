/*
 * ops/quantize.h - what operators on quantized tensors share: which scale and zero point belong to
 * an element, ranges of integer types, rounding. For kernels, too.
 */
#ifndef MAAS_OPS_QUANTIZE_H
#define MAAS_OPS_QUANTIZE_H

#include <math.h>

#include "graph/op.h"

#define MAAS_DTS_QUANT8 (MAAS_DT_BIT(MAAS_I8) | MAAS_DT_BIT(MAAS_U8))
#define MAAS_DTS_QUANT16                                                                           \
    (MAAS_DTS_QUANT8 | MAAS_DT_BIT(MAAS_I16) | MAAS_DT_BIT(MAAS_U16) | MAAS_DTS_SMALL_INT)

/* The scale of element (outer, a, inner) is number outer * by_outer + a / block * by_axis + inner *
 * by_inner: steps are 0 where all share one. */
typedef struct maas_quant_map {
    int64_t outer, n, inner; /* elements before, along and after the axis */
    int64_t block, by_outer, by_axis, by_inner;
} maas_quant_map;
static inline int64_t maas_quant_at(const maas_quant_map *m, int64_t outer, int64_t a)
{
    return outer * m->by_outer + a / m->block * m->by_axis;
}

/* From attributes `axis` and `block_size` of the node; E_INVALID when the shapes do not go
 * together. Sizes that are not known yet are believed. `axis`: when the attribute is absent. */
maas_status maas_quant_map_of(const maas_node *n, const maas_type *x, const maas_type *scale,
                              int64_t axis, maas_quant_map *out, maas_err *err);

/* The range of an integer dtype of at most 32 bits. */
void maas_quant_range(maas_dtype t, double *lo, double *hi);
/* round(v) + zero, within [lo, hi]; NaN counts as 0. */
static inline double maas_quant_round(double v, double zero, double lo, double hi)
{
    const double q = (v != v ? 0 : rint(v)) + zero;
    return q < lo ? lo : q > hi ? hi : q;
}
/* v as a number of that float dtype. */
double maas_quant_precision(maas_dtype t, double v);
/* Of unsigned bytes that hold the range of x, zero included. */
void maas_quant_dynamic(const float *x, int64_t n, float *out_scale, uint8_t *out_zero);

#endif
