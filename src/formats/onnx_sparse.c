/* SparseTensorProto: places and values, read into a tensor of all elements. */
#include "formats/onnx_int.h"

#include <inttypes.h>

#include "base/ban.h"

enum { SPARSE_VALUES = 1, SPARSE_INDICES = 2, SPARSE_DIMS = 3 };

typedef struct sparse_msg {
    maas_span values, indices;
} sparse_msg;
static const maas_pb_row sparse_rows[] = {
    {SPARSE_VALUES, MAAS_PB_SPAN, offsetof(sparse_msg, values)},
    {SPARSE_INDICES, MAAS_PB_SPAN, offsetof(sparse_msg, indices)},
};

static maas_status read_dims(const maas_pb *msg, maas_tensor *t)
{
    maas_pb r = *msg;
    maas_span run = {0};
    uint64_t d;
    while (maas_pb_each_number(&r, SPARSE_DIMS, MAAS_PB_VARINT, &run, &d)) {
        if (t->rank == MAAS_MAX_RANK)
            return maas_pb_fail(&r, MAAS_E_UNSUPPORTED, "more than %d dimensions", MAAS_MAX_RANK);
        t->dims[t->rank++] = (int64_t)d;
    }
    return r.status;
}

/* A short file must not make us fill all memory with zeros. */
static maas_status check_size(maas_onnx_reader *r, const maas_pb *msg, const maas_tensor *t,
                              size_t *out)
{
    MAAS_TRY(maas_shape_bytes((maas_dtype)t->dtype, t->dims, t->rank, out, r->err));
    if (*out > MAAS_MIN_UNPACK_LIMIT && *out / MAAS_MAX_UNPACK_RATIO > r->file.n)
        return maas_pb_fail(msg, MAAS_E_TOO_LARGE, "a sparse tensor of %zu bytes", *out);
    return MAAS_OK;
}

/* Element i of the values goes here: a number in all elements, or one for each axis. */
static maas_status place_of(const maas_pb *msg, const maas_tensor *at, const maas_tensor *t,
                            int64_t i, int64_t *out)
{
    const int64_t *v = at->data, n = maas_n_elems(t);
    *out = 0;
    if (at->rank == 1)
        *out = v[i];
    for (int a = 0; at->rank == 2 && a < t->rank; a++) {
        const int64_t k = v[i * t->rank + a];
        if (k < 0 || k >= t->dims[a])
            return maas_pb_fail(msg, MAAS_E_FORMAT, "index %" PRId64 " is outside of axis %d", k,
                                a);
        *out = *out * t->dims[a] + k;
    }
    if (*out < 0 || *out >= n)
        return maas_pb_fail(msg, MAAS_E_FORMAT, "index %" PRId64 " is outside of %" PRId64, *out,
                            n);
    return MAAS_OK;
}

static maas_status scatter(const maas_pb *msg, const maas_tensor *values, const maas_tensor *at,
                           maas_tensor *t)
{
    const int64_t n = values->rank == 1 ? values->dims[0] : -1;
    const size_t elem = maas_dtype_size((maas_dtype)t->dtype);
    const bool fits = (at->rank == 1 && at->dims[0] == n) ||
                      (at->rank == 2 && at->dims[0] == n && at->dims[1] == t->rank);
    if (n < 0 || at->dtype != MAAS_I64 || !fits)
        return maas_pb_fail(msg, MAAS_E_FORMAT, "the indices do not go with the values");
    for (int64_t i = 0; i < n; i++) {
        int64_t to;
        MAAS_TRY(place_of(msg, at, t, i, &to));
        memcpy((char *)t->data + (size_t)to * elem, (const char *)values->data + (size_t)i * elem,
               elem);
    }
    return MAAS_OK;
}

maas_status maas_onnx_read_sparse(maas_onnx_reader *r, const maas_pb *msg, maas_arena *a,
                                  maas_tensor *out, const char **out_name)
{
    sparse_msg m = {0};
    maas_tensor values, at, t = {0};
    const char *ignored;
    size_t bytes;
    MAAS_TRY(maas_pb_decode(msg, sparse_rows, MAAS_COUNT(sparse_rows), &m));
    if (!m.values.p || !m.indices.p)
        return maas_pb_fail(msg, MAAS_E_FORMAT, "a sparse tensor without values or indices");
    maas_pb part = maas_pb_message(msg, m.values);
    MAAS_TRY(maas_onnx_read_tensor(r, &part, &r->scratch, &values, out_name));
    part = maas_pb_message(msg, m.indices);
    MAAS_TRY(maas_onnx_read_tensor(r, &part, &r->scratch, &at, &ignored));
    if (values.dtype == MAAS_STRING)
        return maas_pb_fail(msg, MAAS_E_UNSUPPORTED, "sparse strings are not supported");
    t.dtype = values.dtype;
    MAAS_TRY(read_dims(msg, &t));
    MAAS_TRY(check_size(r, msg, &t, &bytes));
    if (!(t.data = maas_arena_alloc(a, bytes)))
        return maas_onnx_no_memory(r->err);
    MAAS_TRY(scatter(msg, &values, &at, &t));
    *out = t;
    return MAAS_OK;
}
