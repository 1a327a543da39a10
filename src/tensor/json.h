/*
 * tensor/json.h - tensors as JSON arrays, without a tree in between.
 *
 * Decoding writes elements straight into typed memory, in one pass over the text, and reports the
 * shape that the nesting shows: [[1,2],[3,4]] and [1,2,3,4] give the same elements, the first with
 * dims {2,2}, the second with {4}; a bare value is a scalar (rank 0). Numbers are rounded once,
 * from the text. Encoding always writes a flat array with the shortest digits that read back the
 * same.
 *
 *   floats   numbers; NaN, Infinity, -Infinity; null means NaN. Too large for the dtype: infinite
 *   integers numbers without a fractional part (3, 3.0, 3e0) in the range of the dtype
 *   BOOL     true, false, 1, 0
 *   STRING   strings, or {"b64": "..."} for bytes that are not text
 *
 * Owns: nothing. Borrows: the text while it runs. Threads: any.
 * Fails: E_INVALID naming the value's number (from 0) and byte offset: wrong type, out of range,
 * ragged rows, syntax, more than `max` elements for the caller's memory; E_TOO_LARGE above `max`
 * when growing; E_NOMEM.
 */
#ifndef MAAS_TENSOR_JSON_H
#define MAAS_TENSOR_JSON_H

#include "base/arena.h"
#include "base/json.h"
#include "tensor/tensor.h"

typedef struct maas_json_tensor {
    maas_dtype dtype;
    void *data;        /* in: room for `max` elements, or NULL: grows in the arena. out: elements */
    int64_t max;       /* elements                                                               */
    maas_arena *arena; /* for growing, and the bytes of strings; else may be NULL                */

    int64_t n; /* out, like the rest: elements found */
    int rank;  /* levels of nesting; 0: a bare value */
    int64_t dims[MAAS_MAX_RANK];
} maas_json_tensor;

/* Where maas_json_at_value(s) holds: decodes that value and moves past it. On failure the contents
 * of `data` are undefined and `s` has not moved. */
maas_status maas_json_decode_tensor(maas_json_scan *s, maas_json_tensor *t, maas_err *err);

/* A flat array of all elements; the buffer's maximum bounds it (out->failed). */
void maas_json_encode_tensor(const maas_tensor *t, maas_buf *out);
/* Elements [from, to), separated by commas, without brackets: for answers that nest them. */
void maas_json_encode_elements(const maas_tensor *t, int64_t from, int64_t to, maas_buf *out);

#endif
