/*
 * tensor/tensor.h - a dense, row-major array: shape, element type and borrowed bytes.
 *
 * A maas_tensor is a plain value (a view); whoever made `data` owns it. Elements of a STRING tensor
 * are maas_str: the bytes they point to live in the arena, file mapping or request that made them.
 *
 * The same struct is a list of tensors where `holds` says so: a sequence, or an optional, which is
 * a list of at most one item (a tensor or a sequence). Lists are never changed once they are made;
 * several may share the bytes of an item.
 * Shapes in comments are written [rows][columns].
 */
#ifndef MAAS_TENSOR_TENSOR_H
#define MAAS_TENSOR_TENSOR_H

#include "base/limits.h"
#include "base/status.h"
#include "tensor/dtype.h"

typedef struct maas_str {
    const char *p; /* not NUL-terminated */
    size_t n;
} maas_str;

/* maas_tensor.holds */
typedef enum maas_holds { MAAS_ELEMENTS, MAAS_SEQUENCE, MAAS_OPTIONAL } maas_holds;

typedef struct maas_tensor {
    void *data;    /* NULL: absent (an omitted optional input), or not known yet */
    uint8_t dtype; /* maas_dtype; MAAS_DT_NONE: absent                           */
    uint8_t rank;  /* 0: a scalar, one element                                   */
    uint8_t holds; /* maas_holds; a list has maas_tensor[dims[0]] in data, rank 1 and the */
                   /* dtype of its items                                         */
    int64_t dims[MAAS_MAX_RANK];
} maas_tensor;

/* Product of the dimensions; dims must be non-negative and checked (maas_shape_bytes). */
static inline int64_t maas_n_elems(const maas_tensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        n *= t->dims[i];
    return n;
}
static inline size_t maas_tensor_bytes(const maas_tensor *t)
{
    return (size_t)maas_n_elems(t) * maas_dtype_size((maas_dtype)t->dtype);
}
/* Product of dims[from..to): rows before an axis, elements after it. */
static inline int64_t maas_dims_product(const int64_t *dims, int from, int to)
{
    int64_t n = 1;
    for (int i = from; i < to; i++)
        n *= dims[i];
    return n;
}
/* Bytes of a shape that outside data declared: E_TOO_LARGE on overflow or above
 * MAAS_MAX_TENSOR_BYTES, E_INVALID on a negative dimension or a rank above MAAS_MAX_RANK. */
maas_status maas_shape_bytes(maas_dtype t, const int64_t *dims, int64_t rank, size_t *out,
                             maas_err *err);
/* A list of n items; data is not NULL even when it is empty. */
maas_tensor maas_list_of(maas_holds holds, maas_dtype t, maas_tensor *items, int64_t n);
static inline const maas_tensor *maas_list_items(const maas_tensor *t)
{
    return (const maas_tensor *)t->data;
}
maas_tensor maas_tensor_of(maas_dtype t, int rank, const int64_t *dims, void *data);
bool maas_shape_eq(const maas_tensor *a, const maas_tensor *b);
/* Writes "[2,3]" and returns out; -1 and lower print as "?". */
const char *maas_shape_text(const int64_t *dims, int rank, char out[MAAS_MAX_RANK * 22 + 3]);
#define MAAS_SHAPE_TEXT (MAAS_MAX_RANK * 22 + 3)

/* NumPy broadcasting of concrete shapes; false when they do not go together. */
bool maas_broadcast(const int64_t *a, int a_rank, const int64_t *b, int b_rank, int64_t *out,
                    int *out_rank);
/* Element i as a double (numeric and bool dtypes), and back; for reference code and tests. */
double maas_tensor_get(const maas_tensor *t, int64_t i);
void maas_tensor_set(const maas_tensor *t, int64_t i, double v);
int64_t maas_tensor_get_i64(const maas_tensor *t, int64_t i); /* exact for integers */

#endif
