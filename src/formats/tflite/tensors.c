/* formats/tflite/tensors.c - the tensors of a subgraph: types, shapes, constants, quantization. */
#include "formats/tflite/tflite_int.h"

#include <math.h>

#include "base/utf8.h"
#include "base/ban.h"

static const struct {
    const char *name;
    uint8_t dtype;
} types[] = {
    {"FLOAT32", MAAS_F32},      {"FLOAT16", MAAS_F16},      {"INT32", MAAS_I32},
    {"UINT8", MAAS_U8},         {"INT64", MAAS_I64},        {"STRING", MAAS_DT_NONE},
    {"BOOL", MAAS_BOOL},        {"INT16", MAAS_I16},        {"COMPLEX64", MAAS_DT_NONE},
    {"INT8", MAAS_I8},          {"FLOAT64", MAAS_F64},      {"COMPLEX128", MAAS_DT_NONE},
    {"UINT64", MAAS_U64},       {"RESOURCE", MAAS_DT_NONE}, {"VARIANT", MAAS_DT_NONE},
    {"UINT32", MAAS_U32},       {"UINT16", MAAS_U16},       {"INT4", MAAS_DT_NONE},
    {"BFLOAT16", MAAS_DT_NONE},
};

maas_dtype tl_dtype(int64_t type)
{
    return type >= 0 && (size_t)type < MAAS_COUNT(types) ? (maas_dtype)types[type].dtype
                                                         : MAAS_DT_NONE;
}

static maas_status wrong(tl *t, const tl_tensor *x, maas_status st, const char *what)
{
    return maas_fail(t->err, st, "tensor %u '%.60s': %s", (unsigned)(x - t->tensors), x->name,
                     what);
}

/* Tables of a FlatBuffer may be shared: what is gone through is bounded all the same. */
static maas_status look(tl *t, uint64_t bytes)
{
    t->looked += bytes;
    return t->looked / 16 <= t->f.file.n + MAAS_MIN_UNPACK_LIMIT
               ? MAAS_OK
               : maas_fail(t->err, MAAS_E_TOO_LARGE, "tensors share their bytes too often");
}

static maas_status read_name(tl *t, const fb_table *from, tl_tensor *x)
{
    const maas_span text = fb_text(&t->f, from, TENSOR_NAME);
    x->name = "";
    MAAS_TRY(look(t, text.n));
    if (!maas_utf8_valid(text) || (text.n && memchr(text.p, '\0', text.n)))
        return wrong(t, x, MAAS_E_FORMAT, "its name is not UTF-8");
    x->name = maas_arena_strndup(t->arena, (const char *)text.p, text.n);
    return x->name ? MAAS_OK : maas_fail(t->err, MAAS_E_NOMEM, "no memory left for tensors");
}

/* The shape signature has -1 where the shape has what the model was made with. */
static maas_status read_shape(tl *t, const fb_table *from, tl_tensor *x)
{
    fb_vector v = fb_vec(&t->f, from, TENSOR_SIGNATURE, 4);
    if (!v.n)
        v = fb_vec(&t->f, from, TENSOR_SHAPE, 4);
    if (v.n > MAAS_MAX_RANK)
        return wrong(t, x, MAAS_E_UNSUPPORTED, "it has more dimensions than 8");
    x->rank = (int8_t)v.n;
    for (uint32_t i = 0; i < v.n; i++) {
        x->dims[i] = fb_i32_at(&v, i);
        if (x->dims[i] < -1)
            return wrong(t, x, MAAS_E_FORMAT, "its shape is no shape");
    }
    return MAAS_OK;
}

static maas_status check_scales(tl *t, const tl_tensor *x)
{
    const maas_dtype_info *d = maas_dtype_describe((maas_dtype)x->dtype);
    const bool is_signed = d->kind == MAAS_KIND_INT;
    const int64_t hi = (1ll << (d->file_bits - is_signed)) - 1, lo = is_signed ? -hi - 1 : 0;
    for (uint32_t i = 0; i < x->scale.n; i++)
        if (!(fb_f32_at(&x->scale, i) > 0) || !isfinite(fb_f32_at(&x->scale, i)))
            return wrong(t, x, MAAS_E_FORMAT, "a scale of it is not above 0");
    for (uint32_t i = 0; i < x->zero.n && x->dtype != MAAS_I32; i++)
        if (fb_i64_at(&x->zero, i) < lo || fb_i64_at(&x->zero, i) > hi)
            return wrong(t, x, MAAS_E_FORMAT, "a zero point of it is out of range");
    return MAAS_OK;
}

static maas_status read_quantization(tl *t, const fb_table *from, tl_tensor *x)
{
    const fb_table q = fb_sub(&t->f, from, TENSOR_QUANTIZATION);
    x->scale = fb_vec(&t->f, &q, QUANT_SCALE, 4);
    x->zero = fb_vec(&t->f, &q, QUANT_ZERO, 8);
    if (!x->scale.n || (x->dtype != MAAS_I8 && x->dtype != MAAS_U8 && x->dtype != MAAS_I16))
        return MAAS_OK;
    if (fb_i8(&t->f, &q, QUANT_DETAILS_TYPE, 0))
        return wrong(t, x, MAAS_E_UNSUPPORTED, "its quantization is a custom one");
    x->quantized = true;
    const int64_t axis = fb_i32(&t->f, &q, QUANT_AXIS, 0);
    if (x->scale.n > 1) {
        if (axis < 0 || axis >= x->rank || x->dims[axis] != x->scale.n)
            return wrong(t, x, MAAS_E_FORMAT, "its scales do not fit to its shape");
        x->axis = (uint8_t)axis;
    }
    if (x->zero.n > 1 && x->zero.n != x->scale.n)
        return wrong(t, x, MAAS_E_FORMAT, "it has not as many zero points as scales");
    MAAS_TRY(look(t, 4ull * x->scale.n + 8ull * x->zero.n));
    return check_scales(t, x);
}

/* ---- constants ---- */

static maas_span buffer_bytes(tl *t, uint32_t number)
{
    const fb_table b = fb_table_at(&t->f, &t->buffers, number);
    const uint64_t at = fb_u64(&t->f, &b, BUFFER_OFFSET), n = fb_u64(&t->f, &b, BUFFER_SIZE);
    if (at > 1 && n) /* behind the FlatBuffer: files of more than 2 GB */
        return at <= t->f.file.n && n <= t->f.file.n - at ? maas_span_of(t->f.file.p + at, n)
                                                          : (maas_span){0};
    return fb_text(&t->f, &b, BUFFER_DATA);
}

static maas_status check_bools(tl *t, const tl_tensor *x, maas_span bytes)
{
    for (size_t i = 0; i < bytes.n; i++)
        if (bytes.p[i] > 1)
            return wrong(t, x, MAAS_E_FORMAT, "an element of a bool tensor is neither 0 nor 1");
    return MAAS_OK;
}

static bool is_empty(const tl_tensor *x)
{
    for (int i = 0; i < x->rank; i++)
        if (x->dims[i] == 0)
            return true;
    return false;
}

static maas_status read_sparse(tl *t, const fb_table *from, tl_tensor *x, maas_span data,
                               size_t bytes)
{
    const fb_table sparsity = fb_sub(&t->f, from, TENSOR_SPARSITY);
    if (x->dtype == MAAS_BOOL)
        return wrong(t, x, MAAS_E_UNSUPPORTED, "it is sparse and of bools");
    const maas_status st = tl_sparse_read(t, &sparsity, x, data, bytes, &x->data);
    if (st != MAAS_OK)
        maas_err_prefix(t->err, "tensor %u '%.60s'", (unsigned)(x - t->tensors), x->name);
    return st;
}

/* What is copied or checked; the others are borrowed as they are. */
static uint64_t bytes_read(tl *t, const fb_table *from, const tl_tensor *x, maas_span data,
                           size_t bytes)
{
    if (fb_has(&t->f, from, TENSOR_SPARSITY))
        return (uint64_t)bytes + data.n;
    return x->dtype == MAAS_BOOL || (uintptr_t)data.p % maas_dtype_size((maas_dtype)x->dtype)
               ? data.n
               : 0;
}

static maas_status read_data(tl *t, const fb_table *from, tl_tensor *x)
{
    const int64_t number = fb_i32(&t->f, from, TENSOR_BUFFER, 0);
    size_t bytes;
    if (number < 0 || number >= t->buffers.n)
        return wrong(t, x, MAAS_E_FORMAT, "its buffer is not in the file");
    const maas_span data = number ? buffer_bytes(t, (uint32_t)number) : (maas_span){0};
    if (t->f.wrong || x->dtype == MAAS_DT_NONE) /* the latter is refused when it is used */
        return MAAS_OK;
    if (!data.n) {
        x->data = number && is_empty(x) ? "" : NULL;
        return MAAS_OK;
    }
    if (maas_shape_bytes((maas_dtype)x->dtype, x->dims, x->rank, &bytes, NULL) != MAAS_OK)
        return wrong(t, x, MAAS_E_FORMAT, "its shape has no size");
    MAAS_TRY(look(t, bytes_read(t, from, x, data, bytes)));
    if (fb_has(&t->f, from, TENSOR_SPARSITY))
        return read_sparse(t, from, x, data, bytes);
    if (data.n != bytes)
        return wrong(t, x, MAAS_E_FORMAT, "its buffer is not as long as its shape says");
    if (x->dtype == MAAS_BOOL)
        MAAS_TRY(check_bools(t, x, data));
    x->data = data.p;
    if ((uintptr_t)data.p % maas_dtype_size((maas_dtype)x->dtype))
        x->data = maas_arena_dup(&t->b.g->arena, data.p, data.n);
    return x->data ? MAAS_OK : maas_fail(t->err, MAAS_E_NOMEM, "no memory left for constants");
}

static maas_status read_tensor(tl *t, const fb_table *from, tl_tensor *x)
{
    for (int i = 0; i < 4; i++)
        x->v[i / 2][i % 2] = MAAS_NO_VALUE;
    MAAS_TRY(read_name(t, from, x));
    x->dtype = (uint8_t)tl_dtype(fb_i8(&t->f, from, TENSOR_TYPE, 0));
    x->variable = fb_bool(&t->f, from, TENSOR_VARIABLE, false);
    MAAS_TRY(read_shape(t, from, x));
    MAAS_TRY(read_quantization(t, from, x));
    MAAS_TRY(read_data(t, from, x));
    return fb_check(&t->f, t->err);
}

maas_status tl_tensors_read(tl *t, const fb_table *graph)
{
    const fb_vector all = fb_vec(&t->f, graph, GRAPH_TENSORS, 4);
    if (all.n > MAAS_MAX_VALUES)
        return maas_fail(t->err, MAAS_E_TOO_LARGE, "%u tensors are too many", all.n);
    t->tensors = maas_arena_array(t->arena, all.n + (size_t)1, sizeof *t->tensors);
    if (!t->tensors)
        return maas_fail(t->err, MAAS_E_NOMEM, "no memory left for %u tensors", all.n);
    t->n_tensors = all.n;
    for (uint32_t i = 0; i < all.n; i++) {
        const fb_table from = fb_table_at(&t->f, &all, i);
        MAAS_TRY(read_tensor(t, &from, &t->tensors[i]));
    }
    return MAAS_OK;
}
