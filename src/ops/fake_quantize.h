/* ops/fake_quantize.h - codes of a range, for the operators of fake_quantize.c and their kernels.
 */
#ifndef MAAS_OPS_FAKE_QUANTIZE_H
#define MAAS_OPS_FAKE_QUANTIZE_H

#include "graph/op.h"

typedef struct maas_code_range { /* whole numbers are exact, scale is one of the dtype's */
    double scale, zero, levels;
} maas_code_range;
maas_code_range maas_code_range_of(double low, double high, int64_t levels, maas_dtype t);

/* Elements before, along and after the channels of FakeQuantizeWeights; E_INVALID for its axis. */
maas_status maas_weight_rows_of(const maas_node *n, const maas_type *w, int64_t *outer,
                                int64_t *channels, int64_t *inner, maas_err *err);

#endif
