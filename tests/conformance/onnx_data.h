/*
 * onnx_data.h - reads the files of the ONNX project's test data: TensorProto, SequenceProto,
 * OptionalProto.
 *
 * Written without our own reader, so that a mistake there does not agree with itself. The files are
 * trusted; what is malformed gives false.
 */
#ifndef MAAS_TESTS_ONNX_DATA_H
#define MAAS_TESTS_ONNX_DATA_H

#include "base/arena.h"
#include "base/span.h"
#include "tensor/tensor.h"

typedef enum onnx_kind { ONNX_TENSOR, ONNX_SEQUENCE, ONNX_OPTIONAL } onnx_kind;

/* A tensor, a list of values, or one value or none. */
typedef struct onnx_value {
    onnx_kind kind;
    maas_tensor tensor;
    struct onnx_value *item; /* of a sequence or an optional */
    size_t n_items;
} onnx_value;

bool onnx_slurp(const char *path, maas_arena *a, maas_span *out);
/* `kind` is what the model says the file holds. Everything lives in `a`. */
bool onnx_value_read(maas_span file, onnx_kind kind, maas_arena *a, onnx_value *out);

#endif
