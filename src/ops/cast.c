/*
 * Cast and CastLike between numbers and booleans. Floats to integers go toward zero; what does not
 * fit saturates at 64 bits and then wraps to the width, NaN is 0: never undefined. Integers wrap.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

#define CASTABLE (MAAS_DTS_NUMERIC | MAAS_DTS_BOOL)

static void cast_out(maas_infer *q, maas_dtype to)
{
    q->out[0] = q->in[0];
    q->out[0].dtype = (uint8_t)to;
    if (q->in_known[0].n >= 0 && to == MAAS_I64)
        q->out_known[0] = q->in_known[0];
}

static maas_status cast_infer(maas_infer *q, maas_err *err)
{
    int64_t to = maas_attr_i(q->node, "to", 0);
    if (to < 0 || to >= 32 || !(CASTABLE >> to & 1))
        return maas_fail(err, MAAS_E_UNSUPPORTED, "casting to data type %lld is not supported",
                         (long long)to);
    cast_out(q, (maas_dtype)to);
    return MAAS_OK;
}

static maas_status cast_like_infer(maas_infer *q, maas_err *err)
{
    cast_out(q, (maas_dtype)q->in[1].dtype);
    return MAAS_OK;
}

static maas_status cast_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    const int64_t n = maas_n_elems(x);
    if (x->dtype == y->dtype) {
        if (x->data != y->data)
            memcpy(y->data, x->data, maas_tensor_bytes(x));
        return MAAS_OK;
    }
    bool whole = !maas_is_float(x->dtype) && !maas_is_float(y->dtype);
    for (int64_t i = 0; i < n; i++)
        if (whole)
            maas_st_i64(y, i, maas_tensor_get_i64(x, i));
        else
            maas_st(y, i, maas_ld(x, i));
    return MAAS_OK;
}

static void cast_gradient(maas_grad *g)
{
    g->din[0] = maas_b_op2(g->b, "CastLike", g->dout[0], g->node->in[0]);
}

static const maas_dtype from[] = {MAAS_F32, MAAS_F64, MAAS_I32, MAAS_I64, MAAS_BOOL,
                                  MAAS_F32, MAAS_U8,  MAAS_F64, MAAS_F16, MAAS_F32};
static const maas_dtype to[] = {MAAS_F64, MAAS_F64, MAAS_F32, MAAS_I8,   MAAS_F32,
                                MAAS_I64, MAAS_F32, MAAS_F32, MAAS_BF16, MAAS_BOOL};

static void cast_example(maas_example *e)
{
    maas_vid x = maas_ex_in(e, from[e->variant], from[e->variant] == MAAS_U8 ? 0 : -100, 100,
                            MAAS_DIMS(3, 4));
    maas_b_attr1(e->b, "Cast", MAAS_A_INT("to", to[e->variant]), x, MAAS_NO_VALUE);
}

static void cast_like_example(maas_example *e)
{
    maas_vid x = maas_ex_in(e, from[e->variant], from[e->variant] == MAAS_U8 ? 0 : -100, 100,
                            MAAS_DIMS(3, 4));
    maas_b_op2(e->b, "CastLike", x, maas_b_scalar(e->b, to[e->variant], 0));
}

static const maas_io_schema in[] = {MAAS_REQ("input", NULL, CASTABLE)};
static const maas_io_schema like_in[] = {MAAS_REQ("input", NULL, CASTABLE),
                                         MAAS_REQ("target_type", "T2", CASTABLE)};
static const maas_io_schema out[] = {MAAS_REQ("output", NULL, CASTABLE)};
static const maas_io_schema like_out[] = {MAAS_REQ("output", "T2", CASTABLE)};
static const maas_attr_schema attrs[] = {{"to", MAAS_ATTR_INT, true},
                                         {"saturate", MAAS_ATTR_INT, false}};

const maas_op maas_op_Cast = {
    .domain = "",
    .name = "Cast",
    .since = 13,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = MAAS_COUNT(from),
    .tolerance = 1e-6,
    .infer = cast_infer,
    .reference = cast_reference,
    .flops = maas_flops_out,
    .example = cast_example,
    .gradient = cast_gradient,
};

const maas_op maas_op_CastLike = {
    .domain = "",
    .name = "CastLike",
    .since = 15,
    MAAS_SCHEMA(like_in, like_out),
    .attr = attrs + 1,
    .n_attr = 1,
    .n_examples = MAAS_COUNT(from),
    .tolerance = 1e-6,
    .infer = cast_like_infer,
    .reference = cast_reference,
    .flops = maas_flops_out,
    .example = cast_like_example,
    .gradient = cast_gradient,
};
