/* ValueInfoProto and TypeProto: names and types of inputs, outputs and what an optional holds. */
#include "formats/onnx_int.h"

#include <inttypes.h>

#include "base/ban.h"

typedef struct info_msg {
    maas_span name, type;
} info_msg;
typedef struct type_msg {
    maas_span tensor, sequence, optional;
} type_msg;
typedef struct tensor_type_msg {
    int64_t dtype;
    maas_span shape;
} tensor_type_msg;
typedef struct dim_msg {
    int64_t value;
    maas_span param;
} dim_msg;

static const maas_pb_row info_rows[] = {
    {INFO_NAME, MAAS_PB_SPAN, offsetof(info_msg, name)},
    {INFO_TYPE, MAAS_PB_SPAN, offsetof(info_msg, type)},
};
static const maas_pb_row type_rows[] = {
    {TYPE_TENSOR, MAAS_PB_SPAN, offsetof(type_msg, tensor)},
    {TYPE_SEQUENCE, MAAS_PB_SPAN, offsetof(type_msg, sequence)},
    {TYPE_OPTIONAL, MAAS_PB_SPAN, offsetof(type_msg, optional)},
};
static const maas_pb_row held_rows[] = {{HELD_TYPE, MAAS_PB_SPAN, 0}};
static const maas_pb_row tensor_type_rows[] = {
    {TENSOR_TYPE_ELEM, MAAS_PB_INT, offsetof(tensor_type_msg, dtype)},
    {TENSOR_TYPE_SHAPE, MAAS_PB_SPAN, offsetof(tensor_type_msg, shape)},
};
static const maas_pb_row dim_rows[] = {
    {DIM_VALUE, MAAS_PB_INT, offsetof(dim_msg, value)},
    {DIM_PARAM, MAAS_PB_SPAN, offsetof(dim_msg, param)},
};

/* A negative size is how some exporters write "any"; so is a dimension that says nothing. */
static maas_status read_dim(maas_onnx_reader *r, maas_graph *g, const maas_pb *msg, int64_t *out)
{
    dim_msg d = {.value = -1};
    const char *param;
    MAAS_TRY(maas_pb_decode(msg, dim_rows, MAAS_COUNT(dim_rows), &d));
    *out = d.value < 0 ? MAAS_DIM_UNKNOWN : d.value;
    if (!d.param.n || !g)
        return MAAS_OK;
    MAAS_TRY(maas_onnx_text(msg, d.param, &r->scratch, "the name of a dimension", &param));
    return maas_graph_symbol(g, param, out, r->err);
}

static maas_status read_shape(maas_onnx_reader *r, maas_graph *g, maas_pb msg, maas_type *t)
{
    maas_span bytes;
    t->rank = 0;
    while (maas_pb_each(&msg, SHAPE_DIM, &bytes)) {
        if (t->rank == MAAS_MAX_RANK)
            return maas_pb_fail(&msg, MAAS_E_UNSUPPORTED, "more than %d dimensions", MAAS_MAX_RANK);
        maas_pb dim = maas_pb_message(&msg, bytes);
        MAAS_TRY(read_dim(r, g, &dim, &t->dims[t->rank++]));
    }
    return msg.status;
}

static maas_status read_tensor_type(maas_onnx_reader *r, maas_graph *g, maas_pb m, maas_type *out)
{
    tensor_type_msg tt = {0};
    MAAS_TRY(maas_pb_decode(&m, tensor_type_rows, MAAS_COUNT(tensor_type_rows), &tt));
    if (tt.dtype <= 0 || tt.dtype > UINT8_MAX || !maas_dtype_describe((maas_dtype)tt.dtype)->bits)
        return maas_pb_fail(&m, MAAS_E_UNSUPPORTED, "element type %" PRId64 " is not supported",
                            tt.dtype);
    *out = maas_type_tensor((maas_dtype)tt.dtype, MAAS_RANK_UNKNOWN, NULL);
    return tt.shape.p ? read_shape(r, g, maas_pb_message(&m, tt.shape), out) : MAAS_OK;
}

/* The message of what a sequence or an optional holds; tag MAP when that is nothing we know. */
static maas_status open_held(maas_pb *m, maas_span list, type_msg *out)
{
    maas_span held = {0};
    *m = maas_pb_message(m, list);
    MAAS_TRY(maas_pb_decode(m, held_rows, 1, &held));
    *m = maas_pb_message(m, held);
    *out = (type_msg){0};
    return maas_pb_decode(m, type_rows, MAAS_COUNT(type_rows), out);
}

maas_status maas_onnx_read_type(maas_onnx_reader *r, maas_graph *g, const maas_pb *msg,
                                maas_span type, maas_type *out)
{
    type_msg t = {0};
    maas_pb m = maas_pb_message(msg, type);
    *out = (maas_type){0};
    if (!type.n)
        return MAAS_OK;
    MAAS_TRY(maas_pb_decode(&m, type_rows, MAAS_COUNT(type_rows), &t));
    const bool optional = t.optional.p != NULL;
    if (optional)
        MAAS_TRY(open_held(&m, t.optional, &t));
    const bool sequence = t.sequence.p != NULL;
    if (sequence)
        MAAS_TRY(open_held(&m, t.sequence, &t));
    if (!t.tensor.p) {
        out->tag = MAAS_TYPE_MAP;
        return MAAS_OK;
    }
    MAAS_TRY(read_tensor_type(r, g, maas_pb_message(&m, t.tensor), out));
    if (sequence)
        *out = maas_type_sequence((maas_dtype)out->dtype);
    if (optional)
        *out = maas_type_optional(out);
    return MAAS_OK;
}

maas_status maas_onnx_read_info(maas_onnx_reader *r, maas_graph *g, const maas_pb *msg,
                                const char *what, const char **out_name, maas_type *out_type)
{
    info_msg info = {0};
    MAAS_TRY(maas_pb_decode(msg, info_rows, MAAS_COUNT(info_rows), &info));
    MAAS_TRY(maas_onnx_text(msg, info.name, &r->scratch, "the name of a value", out_name));
    if (!info.name.n)
        return maas_pb_fail(msg, MAAS_E_FORMAT, "%s without a name", what);
    maas_status st = maas_onnx_read_type(r, g, msg, info.type, out_type);
    if (st != MAAS_OK)
        maas_err_prefix(r->err, "%s '%.120s'", what, *out_name);
    return st;
}
