/* formats/savedmodel/proto.c - attributes, shapes and tensors of TensorFlow's protocol buffers. */
#include "formats/savedmodel/sm_int.h"

#include <string.h>

#include "base/ban.h"

enum {
    ATTR_LIST = 1,
    ATTR_S,
    ATTR_I,
    ATTR_F,
    ATTR_B,
    ATTR_TYPE,
    ATTR_SHAPE,
    ATTR_TENSOR,
    ATTR_PLACEHOLDER,
    ATTR_FUNC
};
enum { NODE_ATTR = 5, LIST_I = 3, LIST_F = 4, LIST_SHAPE = 7, MAP_KEY = 1, MAP_VALUE = 2 };

/* types.proto */
maas_dtype sm_dtype(int64_t type)
{
    static const uint8_t types[] = {
        [1] = MAAS_F32,  [2] = MAAS_F64,    [3] = MAAS_I32,  [4] = MAAS_U8,    [5] = MAAS_I16,
        [6] = MAAS_I8,   [7] = MAAS_STRING, [9] = MAAS_I64,  [10] = MAAS_BOOL, [14] = MAAS_BF16,
        [17] = MAAS_U16, [19] = MAAS_F16,   [22] = MAAS_U32, [23] = MAAS_U64};
    if (type > 100) /* of references */
        type -= 100;
    return type > 0 && (size_t)type < sizeof types ? (maas_dtype)types[type] : MAAS_DT_NONE;
}

/* ---- maps ---- */

bool sm_map_each(maas_pb *m, uint32_t field, maas_span *key, maas_span *value)
{
    maas_span entry;
    struct {
        maas_span key, value;
    } e = {{0}, {0}};
    static const maas_pb_row rows[] = {{MAP_KEY, MAAS_PB_SPAN, 0},
                                       {MAP_VALUE, MAAS_PB_SPAN, sizeof(maas_span)}};
    if (!maas_pb_each(m, field, &entry))
        return false;
    const maas_pb r = maas_pb_message(m, entry);
    m->status = maas_pb_decode(&r, rows, MAAS_COUNT(rows), &e);
    *key = e.key;
    *value = e.value;
    return m->status == MAAS_OK;
}

bool sm_map_get(const maas_pb *m, uint32_t field, const char *key, maas_span *out)
{
    maas_pb copy = *m;
    maas_span k;
    while (sm_map_each(&copy, field, &k, out))
        if (maas_span_is(k, key))
            return true;
    return false;
}

/* ---- attributes ---- */

static maas_pb opened(sm *s, maas_span message)
{
    maas_pb r = maas_pb_open(message, s->err);
    r.file = s->main.message.p;
    return r;
}

/* What a reader of a message met becomes what the model meets. */
static bool fine(sm *s, const maas_pb *r)
{
    if (s->status == MAAS_OK && r->status != MAAS_OK)
        s->status = r->status;
    return s->status == MAAS_OK;
}

bool sm_attr(sm *s, const sm_node *n, const char *name, maas_span *out)
{
    maas_pb r = opened(s, n->message);
    maas_span key;
    while (sm_map_each(&r, NODE_ATTR, &key, out))
        if (maas_span_is(key, name))
            return out->n > 0;
    fine(s, &r);
    return false;
}

/* The last field of that number and wire. */
static bool field_of(sm *s, const sm_node *n, const char *name, uint32_t number, maas_pb_field *out)
{
    maas_span v;
    bool found = false;
    maas_pb_field f;
    if (!sm_attr(s, n, name, &v))
        return false;
    maas_pb r = opened(s, v);
    while (maas_pb_next(&r, &f))
        if (f.number == number) {
            *out = f;
            found = true;
        } else if (f.number == ATTR_PLACEHOLDER) {
            sm_fail(s, MAAS_E_UNSUPPORTED, "attribute %s is one of its function's", name);
        }
    return fine(s, &r) && found;
}

int64_t sm_attr_i(sm *s, const sm_op *op, const char *name, int64_t otherwise)
{
    maas_pb_field f;
    for (uint32_t k = ATTR_I; k <= ATTR_TYPE; k++)
        if (k != ATTR_F && field_of(s, op->node, name, k, &f))
            return f.wire == MAAS_PB_VARINT ? (int64_t)f.value : otherwise;
    return otherwise;
}

float sm_attr_f(sm *s, const sm_op *op, const char *name, float otherwise)
{
    maas_pb_field f;
    float v = otherwise;
    if (field_of(s, op->node, name, ATTR_F, &f) && f.wire == MAAS_PB_FIXED32) {
        const uint32_t bits = (uint32_t)f.value;
        memcpy(&v, &bits, sizeof v);
    }
    return v;
}

static maas_span bytes_of(sm *s, const sm_node *n, const char *name, uint32_t number)
{
    maas_pb_field f;
    return field_of(s, n, name, number, &f) && f.wire == MAAS_PB_BYTES ? f.bytes : (maas_span){0};
}

maas_span sm_attr_s(sm *s, const sm_node *n, const char *name)
{
    return bytes_of(s, n, name, ATTR_S);
}

maas_dtype sm_attr_type(sm *s, const sm_op *op, const char *name)
{
    maas_pb_field f;
    return field_of(s, op->node, name, ATTR_TYPE, &f) ? sm_dtype((int64_t)f.value) : MAAS_DT_NONE;
}

int sm_attr_ints(sm *s, const sm_op *op, const char *name, int64_t *out, int max)
{
    maas_pb r = opened(s, bytes_of(s, op->node, name, ATTR_LIST));
    maas_span run = {0};
    uint64_t v;
    int n = 0;
    while (maas_pb_each_number(&r, LIST_I, MAAS_PB_VARINT, &run, &v)) {
        if (n == max) {
            sm_fail(s, MAAS_E_FORMAT, "attribute %s has more than %d numbers", name, max);
            return n;
        }
        out[n++] = (int64_t)v;
    }
    return fine(s, &r) ? n : 0;
}

const float *sm_attr_floats(sm *s, const sm_op *op, const char *name, int64_t *n)
{
    const maas_pb all = opened(s, bytes_of(s, op->node, name, ATTR_LIST));
    float *out = sm_array(s, all.rest.n / sizeof *out + 1, sizeof *out);
    maas_pb r = all;
    maas_span run = {0};
    uint64_t v;
    *n = 0;
    while (out && maas_pb_each_number(&r, LIST_F, MAAS_PB_FIXED32, &run, &v)) {
        const uint32_t bits = (uint32_t)v;
        memcpy(&out[(*n)++], &bits, sizeof bits);
    }
    return fine(s, &r) ? out : NULL;
}

maas_span sm_attr_func(sm *s, const sm_node *n, const char *name)
{
    maas_pb r = opened(s, bytes_of(s, n, name, ATTR_FUNC));
    maas_span out = {0};
    maas_pb_each(&r, 1, &out);
    fine(s, &r);
    return out;
}

/* ---- shapes ---- */

int sm_shape(sm *s, const maas_pb *m, int64_t dims[MAAS_MAX_RANK])
{
    maas_pb r = *m;
    maas_pb_field f;
    int rank = 0;
    bool unknown = false;
    while (maas_pb_next(&r, &f)) {
        if (f.number == 3)
            unknown = f.value != 0;
        if (f.number != 2 || f.wire != MAAS_PB_BYTES)
            continue;
        struct {
            int64_t size;
        } d = {0};
        static const maas_pb_row rows[] = {{1, MAAS_PB_INT, 0}};
        const maas_pb dim = maas_pb_message(&r, f.bytes);
        r.status = maas_pb_decode(&dim, rows, 1, &d);
        if (rank == MAAS_MAX_RANK)
            sm_fail(s, MAAS_E_UNSUPPORTED, "a shape of more than %d dimensions", MAAS_MAX_RANK);
        if (rank == MAAS_MAX_RANK || r.status != MAAS_OK)
            break;
        dims[rank++] = d.size < 0 ? -1 : d.size;
    }
    return fine(s, &r) && !unknown ? rank : -1;
}

int sm_attr_shape(sm *s, const sm_op *op, const char *name, int64_t dims[MAAS_MAX_RANK])
{
    maas_pb_field f;
    if (!field_of(s, op->node, name, ATTR_SHAPE, &f) || f.wire != MAAS_PB_BYTES)
        return -1;
    const maas_pb r = opened(s, f.bytes);
    return sm_shape(s, &r, dims);
}

int sm_attr_shape_at(sm *s, const sm_op *op, const char *name, uint32_t i,
                     int64_t dims[MAAS_MAX_RANK])
{
    maas_pb r = opened(s, bytes_of(s, op->node, name, ATTR_LIST));
    maas_span shape;
    while (maas_pb_each(&r, LIST_SHAPE, &shape))
        if (i-- == 0) {
            const maas_pb m = opened(s, shape);
            return sm_shape(s, &m, dims);
        }
    fine(s, &r);
    return -2;
}

/* ---- tensors ---- */

enum { TENSOR_TYPE = 1, TENSOR_SHAPE = 2, TENSOR_CONTENT = 4, TENSOR_STRINGS = 8 };

typedef struct tensor_msg {
    int64_t type;
    maas_span shape, content;
} tensor_msg;

/* Where numbers are that are no bytes. */
static const struct typed {
    uint8_t dtype, field, wire, width; /* width: bytes of an element on the wire */
} typed[] = {
    {MAAS_F32, 5, MAAS_PB_FIXED32, 4},  {MAAS_F64, 6, MAAS_PB_FIXED64, 8},
    {MAAS_I32, 7, MAAS_PB_VARINT, 4},   {MAAS_U8, 7, MAAS_PB_VARINT, 1},
    {MAAS_I16, 7, MAAS_PB_VARINT, 2},   {MAAS_I8, 7, MAAS_PB_VARINT, 1},
    {MAAS_U16, 7, MAAS_PB_VARINT, 2},   {MAAS_I64, 10, MAAS_PB_VARINT, 8},
    {MAAS_BOOL, 11, MAAS_PB_VARINT, 1}, {MAAS_F16, 13, MAAS_PB_VARINT, 2},
    {MAAS_BF16, 13, MAAS_PB_VARINT, 2}, {MAAS_U32, 16, MAAS_PB_VARINT, 4},
    {MAAS_U64, 17, MAAS_PB_VARINT, 8},
};

/* The last number stands for all that follow; without any, all are 0. */
static maas_status fill(sm *s, const maas_pb *m, maas_tensor *t, uint8_t *data, size_t n)
{
    const size_t width = maas_dtype_size((maas_dtype)t->dtype);
    size_t at = 0;
    for (size_t k = 0; k < MAAS_COUNT(typed); k++) {
        maas_pb r = *m;
        maas_span run = {0};
        uint64_t v;
        if (typed[k].dtype != t->dtype)
            continue;
        while (at < n && maas_pb_each_number(&r, typed[k].field, typed[k].wire, &run, &v)) {
            if (t->dtype == MAAS_BOOL)
                v = v != 0;
            memcpy(data + width * at++, &v, width);
        }
        if (!fine(s, &r))
            return s->status;
    }
    for (; at && at < n; at++)
        memcpy(data + width * at, data + width * (at - 1), width);
    return MAAS_OK;
}

/* Behind this point a boolean is 0 or 1. */
maas_status sm_check_cells(sm *s, maas_dtype t, maas_span bytes)
{
    for (size_t i = 0; t == MAAS_BOOL && i < bytes.n; i++)
        if (bytes.p[i] > 1)
            return maas_fail(s->err, MAAS_E_FORMAT, "element %zu of its booleans is %d", i,
                             bytes.p[i]);
    return MAAS_OK;
}

maas_status sm_tensor(sm *s, maas_graph *g, maas_span message, maas_tensor *out)
{
    static const maas_pb_row rows[] = {
        {TENSOR_TYPE, MAAS_PB_INT, offsetof(tensor_msg, type)},
        {TENSOR_SHAPE, MAAS_PB_SPAN, offsetof(tensor_msg, shape)},
        {TENSOR_CONTENT, MAAS_PB_SPAN, offsetof(tensor_msg, content)},
    };
    tensor_msg m = {0};
    size_t bytes = 0;
    const maas_pb r = opened(s, message);
    MAAS_TRY(maas_pb_decode(&r, rows, MAAS_COUNT(rows), &m));
    const maas_pb shape = opened(s, m.shape);
    int64_t dims[MAAS_MAX_RANK];
    const int rank = sm_shape(s, &shape, dims);
    MAAS_TRY(s->status);
    const maas_dtype t = sm_dtype(m.type);
    if (t == MAAS_DT_NONE || t == MAAS_STRING)
        return maas_fail(s->err, MAAS_E_UNSUPPORTED, "a constant of type %lld", (long long)m.type);
    if (rank < 0)
        return maas_fail(s->err, MAAS_E_FORMAT, "a constant without a shape");
    MAAS_TRY(maas_shape_bytes(t, dims, rank, &bytes, s->err));
    if (m.content.n && m.content.n != bytes)
        return maas_fail(s->err, MAAS_E_FORMAT, "a constant of %zu bytes has %zu", bytes,
                         m.content.n);
    MAAS_TRY(sm_check_cells(s, t, m.content));
    *out = maas_tensor_of(t, rank, dims, (void *)(uintptr_t)m.content.p); /* never written */
    if (m.content.n && (uintptr_t)m.content.p % maas_dtype_size(t) == 0)
        return MAAS_OK;
    uint8_t *data = maas_arena_alloc(&g->arena, bytes);
    if (!data)
        return maas_fail(s->err, MAAS_E_NOMEM, "no memory left for a constant");
    out->data = data;
    if (!m.content.n)
        return fill(s, &r, out, data, (size_t)maas_n_elems(out));
    memcpy(data, m.content.p, bytes);
    return MAAS_OK;
}

maas_span sm_string_at(sm *s, maas_span message, uint32_t i)
{
    maas_pb r = opened(s, message);
    maas_span out;
    while (maas_pb_each(&r, TENSOR_STRINGS, &out))
        if (i-- == 0)
            return out;
    fine(s, &r);
    return (maas_span){0};
}
