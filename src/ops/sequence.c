/* Sequences: lists of tensors that share an element type. Positions may count from the end. */
#include "ops/ops_int.h"

#include "base/ban.h"

static maas_status position_of(const maas_call *c, int i, int64_t n, int64_t otherwise,
                               int64_t *out, maas_err *err)
{
    const maas_tensor *at = maas_c_in(c, i);
    *out = otherwise;
    if (at && maas_n_elems(at) != 1)
        return maas_fail(err, MAAS_E_INVALID, "a position must be one number");
    return at ? maas_ref_index(maas_tensor_get_i64(at, 0), n, out, err) : MAAS_OK;
}

static maas_status check_position(const maas_infer *q, int i, maas_err *err)
{
    const maas_type *t = &q->in[i];
    if (maas_q_has(q, i) && (t->rank > 1 || (t->rank == 1 && t->dims[0] >= 0 && t->dims[0] != 1)))
        return maas_fail(err, MAAS_E_INVALID, "a position must be one number");
    return MAAS_OK;
}

/* ---- SequenceEmpty, SequenceConstruct ---- */

static maas_status empty_infer(maas_infer *q, maas_err *err)
{
    int64_t t = maas_attr_i(q->node, "dtype", MAAS_F32);
    if (t < 0 || t >= 32 || !(MAAS_DTS_ALL >> t & 1))
        return maas_fail(err, MAAS_E_UNSUPPORTED, "data type %lld is not supported", (long long)t);
    q->out[0] = maas_type_sequence((maas_dtype)t);
    return MAAS_OK;
}

static maas_status empty_reference(const maas_call *c, maas_err *err)
{
    maas_tensor *items;
    return maas_ref_list(c, 0, MAAS_SEQUENCE, 0, &items, err);
}

static void empty_example(maas_example *e)
{
    const maas_attr t = MAAS_A_INT("dtype", MAAS_I64);
    maas_b_node(e->b, "SequenceEmpty", &t, (uint32_t)e->variant, NULL, 0, NULL, 1);
}

static maas_status same_list_infer(maas_infer *q, maas_err *err)
{
    q->out[0] = maas_type_sequence((maas_dtype)q->in[0].dtype);
    return MAAS_OK;
}

static maas_status construct_reference(const maas_call *c, maas_err *err)
{
    maas_tensor *items;
    MAAS_TRY(maas_ref_list(c, 0, MAAS_SEQUENCE, c->n_in, &items, err));
    for (int i = 0; i < c->n_in; i++)
        MAAS_TRY(maas_ref_keep(c, &c->in[i], &items[i], err));
    return MAAS_OK;
}

static void construct_example(maas_example *e)
{
    const maas_dtype t = maas_ex_float(e);
    const maas_vid in[] = {maas_ex_in(e, t, -2, 2, MAAS_DIMS(3, 4)),
                           maas_ex_in(e, t, -2, 2, MAAS_DIMS(0)), maas_ex_in(e, t, -2, 2, 0, NULL)};
    maas_b_node(e->b, "SequenceConstruct", NULL, 0, in, e->variant < 2 ? 3 : 1, NULL, 1);
}

/* ---- SequenceAt, SequenceLength ---- */

static maas_status at_infer(maas_infer *q, maas_err *err)
{
    maas_q_unranked(q, 0, (maas_dtype)q->in[0].dtype);
    return check_position(q, 1, err);
}

static maas_status at_reference(const maas_call *c, maas_err *err)
{
    int64_t i;
    MAAS_TRY(position_of(c, 1, c->in[0].dims[0], 0, &i, err));
    return maas_ref_share(c, 0, maas_list_items(&c->in[0]) + i, err);
}

static void at_example(maas_example *e)
{
    const maas_vid x = maas_ex_list(e, MAAS_TYPE_SEQUENCE, maas_ex_float(e), -2, 2);
    maas_b_op2(e->b, "SequenceAt", x, maas_b_i64(e->b, e->variant < 2 ? 1 : -1));
}

static maas_status length_infer(maas_infer *q, maas_err *err)
{
    maas_q_out(q, 0, MAAS_I64, 0, NULL);
    return MAAS_OK;
}

static maas_status length_reference(const maas_call *c, maas_err *err)
{
    maas_st_i64(&c->out[0], 0, c->in[0].dims[0]);
    return MAAS_OK;
}

static void length_example(maas_example *e)
{
    maas_b_op1(e->b, "SequenceLength", maas_ex_list(e, MAAS_TYPE_SEQUENCE, MAAS_STRING, 0, 1));
}

/* ---- SequenceInsert, SequenceErase: a new list that shares the items ---- */

static maas_status insert_infer(maas_infer *q, maas_err *err)
{
    MAAS_TRY(same_list_infer(q, err));
    return check_position(q, 2, err);
}

static void copy_items(maas_tensor *to, const maas_tensor *from, int64_t n)
{
    if (n > 0)
        memcpy(to, from, (size_t)n * sizeof *to);
}

static maas_status insert_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *old = maas_list_items(&c->in[0]);
    const int64_t n = c->in[0].dims[0];
    maas_tensor *items;
    int64_t at = n;
    const maas_tensor *where = maas_c_in(c, 2);
    /* in front of each of n items or behind the last: -1 is in front of the last */
    if (where && maas_n_elems(where) == 1 && maas_tensor_get_i64(where, 0) != n)
        MAAS_TRY(position_of(c, 2, n, n, &at, err));
    else if (where && maas_n_elems(where) != 1)
        return maas_fail(err, MAAS_E_INVALID, "a position must be one number");
    MAAS_TRY(maas_ref_list(c, 0, MAAS_SEQUENCE, n + 1, &items, err));
    copy_items(items, old, at);
    copy_items(items + at + 1, old + at, n - at);
    return maas_ref_keep(c, &c->in[1], &items[at], err);
}

static void insert_example(maas_example *e)
{
    static const int64_t at[] = {0, -1, 3};
    const maas_dtype t = maas_ex_float(e);
    const maas_vid x = maas_ex_list(e, MAAS_TYPE_SEQUENCE, t, -2, 2);
    const maas_vid y = maas_ex_in(e, t, -2, 2, MAAS_DIMS(5));
    const maas_vid where = e->variant < 6 ? maas_b_i64(e->b, at[e->variant / 2]) : MAAS_NO_VALUE;
    maas_b_op3(e->b, "SequenceInsert", x, y, where);
}

static maas_status erase_infer(maas_infer *q, maas_err *err)
{
    MAAS_TRY(same_list_infer(q, err));
    return check_position(q, 1, err);
}

static maas_status erase_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *old = maas_list_items(&c->in[0]);
    const int64_t n = c->in[0].dims[0];
    maas_tensor *items;
    int64_t at;
    if (n == 0)
        return maas_fail(err, MAAS_E_INVALID, "the sequence is empty");
    MAAS_TRY(position_of(c, 1, n, n - 1, &at, err));
    MAAS_TRY(maas_ref_list(c, 0, MAAS_SEQUENCE, n - 1, &items, err));
    copy_items(items, old, at);
    copy_items(items + at, old + at + 1, n - 1 - at);
    return MAAS_OK;
}

static void erase_example(maas_example *e)
{
    const maas_vid x = maas_ex_list(e, MAAS_TYPE_SEQUENCE, maas_ex_float(e), -2, 2);
    maas_b_op2(e->b, "SequenceErase", x, e->variant < 2 ? maas_b_i64(e->b, -2) : MAAS_NO_VALUE);
}

/* ---- rows ---- */

#define OF_LISTS "gradients of lists are not followed"
static const maas_io_schema seq_in[] = {MAAS_SEQ("input_sequence", "T", MAAS_DTS_ALL)};
static const maas_io_schema tensors_in[] = {MAAS_VARIADIC("inputs", "T", MAAS_DTS_ALL)};
static const maas_io_schema at_in[] = {MAAS_SEQ("input_sequence", "T", MAAS_DTS_ALL),
                                       MAAS_REQ("position", NULL, MAAS_DTS_INDEX)};
static const maas_io_schema erase_in[] = {MAAS_SEQ("input_sequence", "T", MAAS_DTS_ALL),
                                          MAAS_OPT("position", NULL, MAAS_DTS_INDEX)};
static const maas_io_schema insert_in[] = {MAAS_SEQ("input_sequence", "T", MAAS_DTS_ALL),
                                           MAAS_REQ("tensor", "T", MAAS_DTS_ALL),
                                           MAAS_OPT("position", NULL, MAAS_DTS_INDEX)};
static const maas_io_schema seq_out[] = {MAAS_SEQ("output_sequence", "T", MAAS_DTS_ALL)};
static const maas_io_schema tensor_out[] = {MAAS_REQ("tensor", "T", MAAS_DTS_ALL)};
static const maas_io_schema length_out[] = {MAAS_REQ("length", NULL, MAAS_DTS_I64)};
static const maas_attr_schema dtype_attr[] = {{"dtype", MAAS_ATTR_INT, false}};

#define LIST(Name, fn, opflags, ins, n_ins, outs, attrs, count, variants, infer_fn)                \
    const maas_op maas_op_##Name = {                                                               \
        .domain = "",                                                                              \
        .name = #Name,                                                                             \
        .since = 11,                                                                               \
        .flags = MAAS_OP_STRINGS | (opflags),                                                      \
        .in = ins,                                                                                 \
        .n_in = n_ins,                                                                             \
        .out = outs,                                                                               \
        .n_out = 1,                                                                                \
        .attr = attrs,                                                                             \
        .n_attr = count,                                                                           \
        .n_examples = variants,                                                                    \
        .infer = infer_fn,                                                                         \
        .reference = fn##_reference,                                                               \
        .flops = maas_flops_none,                                                                  \
        .example = fn##_example,                                                                   \
        .no_gradient = OF_LISTS,                                                                   \
    };
LIST(SequenceEmpty, empty, MAAS_OP_DYNAMIC, NULL, 0, seq_out, dtype_attr, 1, 2, empty_infer)
LIST(SequenceConstruct, construct, MAAS_OP_DYNAMIC, tensors_in, 1, seq_out, NULL, 0, 3,
     same_list_infer)
LIST(SequenceAt, at, MAAS_OP_DYNAMIC, at_in, 2, tensor_out, NULL, 0, 4, at_infer)
LIST(SequenceLength, length, 0, seq_in, 1, length_out, NULL, 0, 1, length_infer)
LIST(SequenceInsert, insert, MAAS_OP_DYNAMIC, insert_in, 3, seq_out, NULL, 0, 8, insert_infer)
LIST(SequenceErase, erase, MAAS_OP_DYNAMIC, erase_in, 2, seq_out, NULL, 0, 4, erase_infer)
