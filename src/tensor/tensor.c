#include "tensor/tensor.h"
#include "tensor/small.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/ban.h"

maas_status maas_shape_bytes(maas_dtype t, const int64_t *dims, int64_t rank, size_t *out,
                             maas_err *err)
{
    if (rank < 0 || rank > MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_INVALID, "rank %" PRId64 ", at most %d is supported", rank,
                         MAAS_MAX_RANK);
    size_t n = maas_dtype_size(t);
    for (int64_t i = 0; i < rank; i++) {
        if (dims[i] < 0)
            return maas_fail(err, MAAS_E_INVALID, "dimension %" PRId64 " is negative (%" PRId64 ")",
                             i, dims[i]);
        /* A zero dimension must not hide an overflow of the others from size computations. */
        size_t d = dims[i] ? (size_t)dims[i] : 1;
        if (__builtin_mul_overflow(n, d, &n) || n > MAAS_MAX_TENSOR_BYTES)
            return maas_fail(err, MAAS_E_TOO_LARGE, "shape has too many elements");
    }
    for (int64_t i = 0; i < rank; i++)
        if (dims[i] == 0)
            n = 0;
    *out = n;
    return MAAS_OK;
}

maas_tensor maas_tensor_of(maas_dtype t, int rank, const int64_t *dims, void *data)
{
    maas_tensor x = {.data = data, .dtype = (uint8_t)t, .rank = (uint8_t)rank};
    MAAS_CHECK(rank >= 0 && rank <= MAAS_MAX_RANK);
    if (rank)
        memcpy(x.dims, dims, (size_t)rank * sizeof *dims);
    return x;
}

maas_tensor maas_list_of(maas_holds holds, maas_dtype t, maas_tensor *items, int64_t n)
{
    return (maas_tensor){
        .data = items, .dtype = (uint8_t)t, .rank = 1, .holds = (uint8_t)holds, .dims = {n}};
}

bool maas_shape_eq(const maas_tensor *a, const maas_tensor *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, a->rank * sizeof *a->dims) == 0;
}

const char *maas_shape_text(const int64_t *dims, int rank, char out[MAAS_MAX_RANK * 22 + 3])
{
    size_t at = 0;
    out[at++] = '[';
    for (int i = 0; i < rank; i++) {
        if (i)
            out[at++] = ',';
        if (dims[i] < 0)
            out[at++] = '?';
        else
            at += (size_t)snprintf(out + at, 21, "%" PRId64, dims[i]);
    }
    out[at++] = ']';
    out[at] = '\0';
    return out;
}

bool maas_broadcast(const int64_t *a, int a_rank, const int64_t *b, int b_rank, int64_t *out,
                    int *out_rank)
{
    int rank = a_rank > b_rank ? a_rank : b_rank;
    int64_t dims[MAAS_MAX_RANK];
    for (int i = 0; i < rank; i++) {
        int64_t x = i < rank - a_rank ? 1 : a[i - (rank - a_rank)];
        int64_t y = i < rank - b_rank ? 1 : b[i - (rank - b_rank)];
        if (x != y && x != 1 && y != 1)
            return false;
        dims[i] = x == 1 ? y : x;
    }
    memcpy(out, dims, (size_t)rank * sizeof *out);
    *out_rank = rank;
    return true;
}

double maas_tensor_get(const maas_tensor *t, int64_t i)
{
    switch (t->dtype) {
    case MAAS_F32:
        return ((const float *)t->data)[i];
    case MAAS_F64:
        return ((const double *)t->data)[i];
    case MAAS_F16:
        return maas_f16_to_f32(((const uint16_t *)t->data)[i]);
    case MAAS_BF16:
        return maas_bf16_to_f32(((const uint16_t *)t->data)[i]);
    case MAAS_U64:
        return (double)((const uint64_t *)t->data)[i];
    default:
        if (maas_dtype_in((maas_dtype)t->dtype, MAAS_DTS_SMALL_FLOAT))
            return maas_small_float((maas_dtype)t->dtype, ((const uint8_t *)t->data)[i]);
        return (double)maas_tensor_get_i64(t, i);
    }
}

int64_t maas_tensor_get_i64(const maas_tensor *t, int64_t i)
{
    switch (t->dtype) {
    case MAAS_U8:
    case MAAS_U4:
    case MAAS_U2:
    case MAAS_BOOL:
        return ((const uint8_t *)t->data)[i];
    case MAAS_I8:
    case MAAS_I4:
    case MAAS_I2:
        return ((const int8_t *)t->data)[i];
    case MAAS_U16:
        return ((const uint16_t *)t->data)[i];
    case MAAS_I16:
        return ((const int16_t *)t->data)[i];
    case MAAS_I32:
        return ((const int32_t *)t->data)[i];
    case MAAS_U32:
        return ((const uint32_t *)t->data)[i];
    case MAAS_I64:
        return ((const int64_t *)t->data)[i];
    case MAAS_U64:
        return (int64_t)((const uint64_t *)t->data)[i];
    default: /* floats: toward zero, out of range saturates (no undefined conversion) */
    {
        double v = maas_tensor_get(t, i);
        return v != v ? 0 : v >= 0x1p63 ? INT64_MAX : v < -0x1p63 ? INT64_MIN : (int64_t)v;
    }
    }
}

static int64_t to_i64(double v)
{
    return v != v ? 0 : v >= 0x1p63 ? INT64_MAX : v < -0x1p63 ? INT64_MIN : (int64_t)v;
}

void maas_tensor_set(const maas_tensor *t, int64_t i, double v)
{
    switch (t->dtype) {
    case MAAS_F32:
        ((float *)t->data)[i] = (float)v;
        break;
    case MAAS_F64:
        ((double *)t->data)[i] = v;
        break;
    case MAAS_F16:
        ((uint16_t *)t->data)[i] = maas_f32_to_f16((float)v);
        break;
    case MAAS_BF16:
        ((uint16_t *)t->data)[i] = maas_f32_to_bf16((float)v);
        break;
    case MAAS_BOOL:
        ((uint8_t *)t->data)[i] = v != 0;
        break;
    case MAAS_U8:
    case MAAS_I8:
        ((uint8_t *)t->data)[i] = (uint8_t)to_i64(v);
        break;
    case MAAS_U16:
    case MAAS_I16:
        ((uint16_t *)t->data)[i] = (uint16_t)to_i64(v);
        break;
    case MAAS_U32:
    case MAAS_I32:
        ((uint32_t *)t->data)[i] = (uint32_t)to_i64(v);
        break;
    case MAAS_U64:
        ((uint64_t *)t->data)[i] = v >= 0x1p63 ? v >= 0x1p64 ? UINT64_MAX : (uint64_t)v
                                               : (uint64_t)to_i64(v);
        break;
    case MAAS_I64:
        ((int64_t *)t->data)[i] = to_i64(v);
        break;
    case MAAS_U4:
    case MAAS_I4:
    case MAAS_U2:
    case MAAS_I2:
        ((uint8_t *)t->data)[i] = maas_small_wrap((maas_dtype)t->dtype, (uint8_t)to_i64(v));
        break;
    default:
        MAAS_CHECK(maas_dtype_in((maas_dtype)t->dtype, MAAS_DTS_SMALL_FLOAT));
        ((uint8_t *)t->data)[i] = maas_small_of((maas_dtype)t->dtype, v, true);
    }
}
