/* Optional, OptionalHasElement, OptionalGetElement: a value that may be missing. */
#include "ops/ops_int.h"

#include "base/ban.h"

static maas_status make_infer(maas_infer *q, maas_err *err)
{
    const maas_attr *a = maas_node_attr(q->node, "type");
    if (!maas_q_has(q, 0) && !a)
        return maas_fail(err, MAAS_E_INVALID, "neither an input nor a type says what it may hold");
    const maas_type of = maas_q_has(q, 0) ? q->in[0] : *a->u.type;
    if (of.tag != MAAS_TYPE_TENSOR && of.tag != MAAS_TYPE_SEQUENCE)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "an optional of a %s is not supported",
                         maas_type_words[of.tag]);
    if (!(MAAS_DTS_ALL & MAAS_DT_BIT(of.dtype)))
        return maas_fail(err, MAAS_E_UNSUPPORTED, "data type %d is not supported", of.dtype);
    q->out[0] = maas_type_optional(&of);
    if (!maas_q_has(q, 0)) /* symbols of the attribute are nobody's */
        q->out[0].rank = MAAS_RANK_UNKNOWN;
    return MAAS_OK;
}

static maas_status make_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = maas_c_in(c, 0);
    maas_tensor *items;
    MAAS_TRY(maas_ref_list(c, 0, MAAS_OPTIONAL, x ? 1 : 0, &items, err));
    return x ? maas_ref_keep(c, x, &items[0], err) : MAAS_OK;
}

static void make_example(maas_example *e)
{
    const maas_type t = maas_type_tensor(MAAS_F32, 1, (const int64_t[]){3});
    const maas_attr type = {.name = "type", .type = MAAS_ATTR_TYPE, .u.type = &t};
    const int k = e->variant;
    const maas_vid x = k == 0   ? maas_ex_in(e, MAAS_F32, -2, 2, MAAS_DIMS(2, 3))
                       : k == 1 ? maas_ex_list(e, MAAS_TYPE_SEQUENCE, MAAS_F64, -2, 2)
                                : MAAS_NO_VALUE;
    maas_b_node(e->b, "Optional", &type, k == 2, &x, k != 2, NULL, 1);
}

static maas_status has_infer(maas_infer *q, maas_err *err)
{
    maas_q_out(q, 0, MAAS_BOOL, 0, NULL);
    return MAAS_OK;
}

static maas_status has_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = maas_c_in(c, 0);
    maas_st_i64(&c->out[0], 0, x && (x->holds != MAAS_OPTIONAL || x->dims[0] == 1));
    return MAAS_OK;
}

static maas_vid any_example(maas_example *e)
{
    if (e->variant == 0)
        return maas_ex_in(e, MAAS_F32, -2, 2, MAAS_DIMS(2, 3));
    return maas_ex_list(e, e->variant == 1 ? MAAS_TYPE_OPTIONAL : MAAS_TYPE_SEQUENCE, MAAS_F64, -2,
                        2);
}

static void has_example(maas_example *e)
{
    const maas_vid x = e->variant == 3 ? MAAS_NO_VALUE : any_example(e);
    maas_b_node(e->b, "OptionalHasElement", NULL, 0, &x, e->variant != 3, NULL, 1);
}

static maas_status get_infer(maas_infer *q, maas_err *err)
{
    q->out[0] = q->in[0].tag == MAAS_TYPE_OPTIONAL ? maas_type_held(&q->in[0]) : q->in[0];
    return MAAS_OK;
}

static maas_status get_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    if (x->holds == MAAS_OPTIONAL) {
        if (x->dims[0] == 0)
            return maas_fail(err, MAAS_E_INVALID, "the optional is empty");
        return maas_ref_share(c, 0, maas_list_items(x), err);
    }
    if (x->holds == MAAS_SEQUENCE)
        return maas_ref_share(c, 0, x, err);
    MAAS_TRY(maas_ref_alloc(c, 0, x->rank, x->dims, err));
    memcpy(c->out[0].data, x->data, maas_tensor_bytes(x));
    return MAAS_OK;
}

static void get_example(maas_example *e)
{
    maas_b_op1(e->b, "OptionalGetElement", any_example(e));
}

#define ROW(nm, var, kinds, opt)                                                                   \
    {                                                                                              \
        .name = (nm), .type = (var), .dtypes = MAAS_DTS_ALL, .tags = (kinds), .optional = (opt)    \
    }
#define HELD (MAAS_TAG(MAAS_TYPE_TENSOR) | MAAS_TAGS_SEQ)
static const maas_io_schema make_in[] = {ROW("input", "T", HELD, true)};
static const maas_io_schema make_out[] = {ROW("output", "T", MAAS_TAGS_OPT, false)};
static const maas_io_schema has_in[] = {ROW("input", NULL, MAAS_TAGS_ANY, true)};
static const maas_io_schema has_out[] = {MAAS_REQ("output", NULL, MAAS_DTS_BOOL)};
static const maas_io_schema get_in[] = {ROW("input", "T", MAAS_TAGS_ANY, false)};
static const maas_io_schema get_out[] = {ROW("output", "T", HELD, false)};
static const maas_attr_schema type_attr[] = {{"type", MAAS_ATTR_TYPE, false}};

#define OPTIONAL(Name, fn, version, opflags, ins, outs, attrs, count, variants)                    \
    const maas_op maas_op_##Name = {                                                               \
        .domain = "",                                                                              \
        .name = #Name,                                                                             \
        .since = version,                                                                          \
        .flags = MAAS_OP_STRINGS | (opflags),                                                      \
        MAAS_SCHEMA(ins, outs),                                                                    \
        .attr = attrs,                                                                             \
        .n_attr = count,                                                                           \
        .n_examples = variants,                                                                    \
        .infer = fn##_infer,                                                                       \
        .reference = fn##_reference,                                                               \
        .flops = maas_flops_none,                                                                  \
        .example = fn##_example,                                                                   \
        .no_gradient = "gradients of values that may be missing are not followed",                 \
    };
OPTIONAL(Optional, make, 15, MAAS_OP_DYNAMIC, make_in, make_out, type_attr, 1, 3)
OPTIONAL(OptionalHasElement, has, 18, 0, has_in, has_out, NULL, 0, 4)
OPTIONAL(OptionalGetElement, get, 18, MAAS_OP_DYNAMIC, get_in, get_out, NULL, 0, 3)
