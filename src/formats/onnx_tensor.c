/* TensorProto: shape, element type, and data in one of three places: raw, a typed list, outside. */
#include "formats/onnx_int.h"

#include <inttypes.h>

#include "base/num.h"
#include "tensor/small.h"
#include "base/ban.h"

typedef struct tensor_msg {
    int64_t dtype, location;
    maas_span name, raw, segment;
    uint32_t n_typed[TENSOR_UINT64S + 1]; /* by field number */
    uint32_t n_external;
} tensor_msg;

#define AT(f) offsetof(tensor_msg, f)
static const maas_pb_row tensor_rows[] = {
    {TENSOR_DTYPE, MAAS_PB_INT, AT(dtype)},
    {TENSOR_SEGMENT, MAAS_PB_SPAN, AT(segment)},
    {TENSOR_FLOATS, MAAS_PB_COUNT, AT(n_typed[TENSOR_FLOATS])},
    {TENSOR_INT32S, MAAS_PB_COUNT, AT(n_typed[TENSOR_INT32S])},
    {TENSOR_STRINGS, MAAS_PB_COUNT, AT(n_typed[TENSOR_STRINGS])},
    {TENSOR_INT64S, MAAS_PB_COUNT, AT(n_typed[TENSOR_INT64S])},
    {TENSOR_NAME, MAAS_PB_SPAN, AT(name)},
    {TENSOR_RAW, MAAS_PB_SPAN, AT(raw)},
    {TENSOR_DOUBLES, MAAS_PB_COUNT, AT(n_typed[TENSOR_DOUBLES])},
    {TENSOR_UINT64S, MAAS_PB_COUNT, AT(n_typed[TENSOR_UINT64S])},
    {TENSOR_EXTERNAL, MAAS_PB_COUNT, AT(n_external)},
    {TENSOR_LOCATION, MAAS_PB_INT, AT(location)},
};
#undef AT

/* Where elements that are not raw are, and what values they may have there. */
typedef struct typed_row {
    maas_dtype dtype;
    uint32_t field, wire;
    int64_t min, max; /* equal: any 64 bits */
} typed_row;

static const typed_row typed_rows[] = {
    {MAAS_F32, TENSOR_FLOATS, MAAS_PB_FIXED32, 0, 0},
    {MAAS_F64, TENSOR_DOUBLES, MAAS_PB_FIXED64, 0, 0},
    {MAAS_I64, TENSOR_INT64S, MAAS_PB_VARINT, 0, 0},
    {MAAS_U64, TENSOR_UINT64S, MAAS_PB_VARINT, 0, 0},
    {MAAS_U32, TENSOR_UINT64S, MAAS_PB_VARINT, 0, UINT32_MAX},
    {MAAS_I32, TENSOR_INT32S, MAAS_PB_VARINT, INT32_MIN, INT32_MAX},
    {MAAS_I16, TENSOR_INT32S, MAAS_PB_VARINT, INT16_MIN, INT16_MAX},
    {MAAS_I8, TENSOR_INT32S, MAAS_PB_VARINT, INT8_MIN, INT8_MAX},
    {MAAS_U16, TENSOR_INT32S, MAAS_PB_VARINT, 0, UINT16_MAX},
    {MAAS_U8, TENSOR_INT32S, MAAS_PB_VARINT, 0, UINT8_MAX},
    {MAAS_BOOL, TENSOR_INT32S, MAAS_PB_VARINT, 0, 1},
    {MAAS_F16, TENSOR_INT32S, MAAS_PB_VARINT, 0, UINT16_MAX},
    {MAAS_BF16, TENSOR_INT32S, MAAS_PB_VARINT, 0, UINT16_MAX},
    {MAAS_F8E4M3FN, TENSOR_INT32S, MAAS_PB_VARINT, 0, UINT8_MAX},
    {MAAS_F8E4M3FNUZ, TENSOR_INT32S, MAAS_PB_VARINT, 0, UINT8_MAX},
    {MAAS_F8E5M2, TENSOR_INT32S, MAAS_PB_VARINT, 0, UINT8_MAX},
    {MAAS_F8E5M2FNUZ, TENSOR_INT32S, MAAS_PB_VARINT, 0, UINT8_MAX},
    {MAAS_F8E8M0, TENSOR_INT32S, MAAS_PB_VARINT, 0, UINT8_MAX},
    {MAAS_F6E2M3, TENSOR_INT32S, MAAS_PB_VARINT, 0, 63},
    {MAAS_F6E3M2, TENSOR_INT32S, MAAS_PB_VARINT, 0, 63},
    /* packed: an entry is a byte of several elements */
    {MAAS_U4, TENSOR_INT32S, MAAS_PB_VARINT, INT8_MIN, UINT8_MAX},
    {MAAS_I4, TENSOR_INT32S, MAAS_PB_VARINT, INT8_MIN, UINT8_MAX},
    {MAAS_F4E2M1, TENSOR_INT32S, MAAS_PB_VARINT, INT8_MIN, UINT8_MAX},
    {MAAS_U2, TENSOR_INT32S, MAAS_PB_VARINT, INT8_MIN, UINT8_MAX},
    {MAAS_I2, TENSOR_INT32S, MAAS_PB_VARINT, INT8_MIN, UINT8_MAX},
    {MAAS_STRING, TENSOR_STRINGS, MAAS_PB_BYTES, 0, 0},
};

bool maas_onnx_borrowed(const maas_onnx_reader *r, const maas_tensor *t)
{
    const uint8_t *p = t->data;
    return p >= r->file.p && p < r->file.p + r->file.n;
}

static maas_status read_dims(const maas_pb *msg, maas_tensor *t)
{
    maas_pb r = *msg;
    maas_span run = {0};
    uint64_t d;
    while (maas_pb_each_number(&r, TENSOR_DIMS, MAAS_PB_VARINT, &run, &d)) {
        if (t->rank == MAAS_MAX_RANK)
            return maas_pb_fail(&r, MAAS_E_UNSUPPORTED, "more than %d dimensions", MAAS_MAX_RANK);
        t->dims[t->rank++] = (int64_t)d;
    }
    return r.status;
}

/* Booleans are 0 and 1 everywhere behind this point. */
static maas_status check_bools(const maas_pb *msg, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] > 1)
            return maas_pb_fail(msg, MAAS_E_FORMAT, "element %zu of a bool tensor is %d", i, p[i]);
    return MAAS_OK;
}

static bool is_packed(maas_dtype t)
{
    return maas_dtype_in(t, MAAS_DTS_SMALL) && maas_dtype_describe(t)->file_bits < 8;
}

static maas_status take_packed(const maas_pb *msg, maas_span raw, maas_arena *a, maas_tensor *t)
{
    const size_t n = (size_t)maas_n_elems(t), bytes = maas_small_packed((maas_dtype)t->dtype, n);
    if (raw.n != bytes)
        return maas_pb_fail(msg, MAAS_E_FORMAT, "%zu bytes of data, the shape needs %zu", raw.n,
                            bytes);
    if (!(t->data = maas_arena_alloc(a, n)))
        return maas_onnx_no_memory(msg->err);
    maas_small_unpack((maas_dtype)t->dtype, raw.p, n, t->data);
    return MAAS_OK;
}

static maas_status take_raw(const maas_pb *msg, maas_span raw, size_t bytes, maas_arena *a,
                            maas_tensor *t)
{
    if (t->dtype == MAAS_STRING)
        return maas_pb_fail(msg, MAAS_E_FORMAT, "strings cannot be raw data");
    if (is_packed((maas_dtype)t->dtype))
        return take_packed(msg, raw, a, t);
    if (raw.n != bytes)
        return maas_pb_fail(msg, MAAS_E_FORMAT, "%zu bytes of data, the shape needs %zu", raw.n,
                            bytes);
    if (t->dtype == MAAS_BOOL)
        MAAS_TRY(check_bools(msg, raw.p, raw.n));
    size_t align = maas_dtype_size((maas_dtype)t->dtype);
    if (bytes && (uintptr_t)raw.p % align == 0)
        t->data = (void *)(uintptr_t)raw.p; /* constants are never written */
    else
        t->data = maas_arena_dup(a, raw.p, bytes);
    return t->data ? MAAS_OK : maas_onnx_no_memory(msg->err);
}

/* Smaller ones share their pages with what is still needed. */
enum { WORTH_TELLING = 1 << 20 };

static void tell_copied(const maas_onnx_reader *r, maas_span raw, const maas_tensor *t)
{
    if (r->opts && r->opts->copied && t->data != raw.p && raw.n >= WORTH_TELLING)
        r->opts->copied(r->opts->user, raw);
}

static maas_status take_strings(const maas_pb *msg, int64_t n, maas_tensor *t)
{
    maas_str *out = t->data;
    maas_pb r = *msg;
    maas_span s;
    for (int64_t i = 0; i < n && maas_pb_each(&r, TENSOR_STRINGS, &s); i++)
        out[i] = (maas_str){(const char *)s.p, s.n};
    return r.status;
}

static maas_status take_numbers(const maas_pb *msg, const typed_row *row, int64_t n, uint8_t *out)
{
    size_t size = maas_dtype_size(row->dtype);
    maas_pb r = *msg;
    maas_span run = {0};
    uint64_t bits;
    for (int64_t i = 0; i < n; i++) {
        if (!maas_pb_each_number(&r, row->field, row->wire, &run, &bits))
            return r.status;
        int64_t v = (int64_t)bits;
        if (row->min != row->max && (v < row->min || v > row->max))
            return maas_pb_fail(&r, MAAS_E_FORMAT,
                                "element %" PRId64 " is %" PRId64 ", which is no %s", i, v,
                                maas_dtype_describe(row->dtype)->onnx);
        memcpy(out + (size_t)i * size, &bits, size);
    }
    return MAAS_OK;
}

/* Counted before memory is taken: a shape cannot make us allocate more than the file holds. */
static maas_status count_elements(const maas_pb *msg, const typed_row *row, int64_t *out)
{
    maas_pb r = *msg;
    maas_span run = {0}, s;
    uint64_t bits;
    int64_t n = 0;
    if (row->wire == MAAS_PB_BYTES)
        while (maas_pb_each(&r, row->field, &s))
            n++;
    else
        while (maas_pb_each_number(&r, row->field, row->wire, &run, &bits))
            n++;
    *out = n;
    return r.status;
}

static maas_status take_typed(const maas_pb *msg, const typed_row *row, size_t bytes, maas_arena *a,
                              maas_tensor *t)
{
    const bool packed = is_packed(row->dtype) && !maas_dtype_in(row->dtype, MAAS_DTS_F6);
    int64_t n = maas_n_elems(t), found;
    if (packed)
        n = (int64_t)(bytes = maas_small_packed(row->dtype, (size_t)n));
    MAAS_TRY(count_elements(msg, row, &found));
    if (found != n)
        return maas_pb_fail(msg, MAAS_E_FORMAT, "%" PRId64 " elements, the shape needs %" PRId64,
                            found, n);
    if (!(t->data = maas_arena_alloc(a, bytes)))
        return maas_onnx_no_memory(msg->err);
    if (row->wire == MAAS_PB_BYTES)
        return take_strings(msg, n, t);
    MAAS_TRY(take_numbers(msg, row, n, t->data));
    return packed ? take_packed(msg, maas_span_of(t->data, bytes), a, t) : MAAS_OK;
}

/* ---- data outside of the file ---- */

typedef struct entry_msg {
    maas_span key, value;
} entry_msg;

static const maas_pb_row entry_rows[] = {
    {ENTRY_KEY, MAAS_PB_SPAN, offsetof(entry_msg, key)},
    {ENTRY_VALUE, MAAS_PB_SPAN, offsetof(entry_msg, value)},
};

typedef struct external {
    const char *location;
    uint64_t offset, length;
    bool has_length;
} external;

static maas_status read_external(const maas_pb *msg, maas_arena *a, external *x)
{
    maas_pb r = *msg;
    maas_span bytes;
    while (maas_pb_each(&r, TENSOR_EXTERNAL, &bytes)) {
        entry_msg e = {0};
        maas_pb m = maas_pb_message(&r, bytes);
        MAAS_TRY(maas_pb_decode(&m, entry_rows, MAAS_COUNT(entry_rows), &e));
        bool is_offset = maas_span_is(e.key, "offset"), is_length = maas_span_is(e.key, "length");
        if (maas_span_is(e.key, "location"))
            MAAS_TRY(maas_onnx_text(&m, e.value, a, "the location of external data", &x->location));
        if ((is_offset || is_length) &&
            (!maas_num_u64(&e.value, is_offset ? &x->offset : &x->length) || e.value.n))
            return maas_pb_fail(&m, MAAS_E_FORMAT,
                                "offset or length of external data is no number");
        x->has_length |= is_length;
    }
    if (r.status == MAAS_OK && !x->location)
        return maas_pb_fail(msg, MAAS_E_FORMAT, "external data without a location");
    return r.status;
}

static maas_status take_external(maas_onnx_reader *r, const maas_pb *msg, size_t bytes,
                                 maas_arena *a, maas_tensor *t)
{
    external x = {0};
    maas_span member;
    MAAS_TRY(read_external(msg, &r->scratch, &x));
    if (!r->opts || !r->opts->external)
        return maas_pb_fail(msg, MAAS_E_UNSUPPORTED,
                            "its data is in another file, '%.100s'; give the files together",
                            x.location);
    if (is_packed((maas_dtype)t->dtype))
        bytes = maas_small_packed((maas_dtype)t->dtype, (size_t)maas_n_elems(t));
    const uint64_t length = x.has_length ? x.length : bytes;
    static const uint8_t nothing[1];
    if (!length) /* no file is needed for it */
        return take_raw(msg, maas_span_of(nothing, 0), bytes, a, t);
    MAAS_TRY(r->opts->external(r->opts->user, x.location, &member, r->err));
    if (x.offset > member.n || length > member.n - x.offset)
        return maas_pb_fail(msg, MAAS_E_FORMAT,
                            "%" PRIu64 " bytes at %" PRIu64 " of '%.100s', which has %zu", length,
                            x.offset, x.location, member.n);
    const maas_span part = maas_span_of(member.p + x.offset, (size_t)length);
    MAAS_TRY(take_raw(msg, part, bytes, a, t));
    tell_copied(r, part, t);
    return MAAS_OK;
}

/* ---- the whole ---- */

static const typed_row *typed_row_of(maas_dtype t)
{
    for (size_t i = 0; i < MAAS_COUNT(typed_rows); i++)
        if (typed_rows[i].dtype == t)
            return &typed_rows[i];
    return NULL;
}

static maas_status take_data(maas_onnx_reader *r, const maas_pb *msg, const tensor_msg *m,
                             maas_arena *a, maas_tensor *t)
{
    size_t bytes;
    const typed_row *row = typed_row_of((maas_dtype)t->dtype);
    maas_status st = maas_shape_bytes((maas_dtype)t->dtype, t->dims, t->rank, &bytes, r->err);
    if (st != MAAS_OK)
        return st;
    for (uint32_t field = 0; field < MAAS_COUNT(m->n_typed); field++)
        if (m->n_typed[field] && (field != row->field || m->raw.p || m->location))
            return maas_pb_fail(msg, MAAS_E_FORMAT, "data in two places, or of another type");
    if (m->location)
        return take_external(r, msg, bytes, a, t);
    if (!m->raw.p)
        return take_typed(msg, row, bytes, a, t);
    MAAS_TRY(take_raw(msg, m->raw, bytes, a, t));
    tell_copied(r, m->raw, t);
    return MAAS_OK;
}

maas_status maas_onnx_read_tensor(maas_onnx_reader *r, const maas_pb *msg, maas_arena *a,
                                  maas_tensor *out, const char **out_name)
{
    tensor_msg m = {0};
    maas_tensor t = {0};
    const char *name;
    MAAS_TRY(maas_pb_decode(msg, tensor_rows, MAAS_COUNT(tensor_rows), &m));
    MAAS_TRY(maas_onnx_text(msg, m.name, &r->scratch, "the name of a tensor", &name));
    maas_status st = MAAS_OK;
    if (m.dtype <= 0 || m.dtype > UINT8_MAX || !typed_row_of((maas_dtype)m.dtype))
        st = maas_pb_fail(msg, MAAS_E_UNSUPPORTED, "element type %" PRId64 " is not supported",
                          m.dtype);
    else if (m.segment.p)
        st = maas_pb_fail(msg, MAAS_E_UNSUPPORTED, "data in segments is not supported");
    t.dtype = (uint8_t)m.dtype;
    if (st == MAAS_OK)
        st = read_dims(msg, &t);
    if (st == MAAS_OK)
        st = take_data(r, msg, &m, a, &t);
    if (st != MAAS_OK) {
        maas_err_prefix(r->err, "tensor '%.120s'", name);
        return st;
    }
    *out = t;
    *out_name = name;
    return MAAS_OK;
}
