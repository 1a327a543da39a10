/* SplitToSequence and ConcatFromSequence: a tensor in pieces, and back. */
#include "ops/ops_int.h"

#include "base/ban.h"

static int64_t axis_from(const maas_node *n, int rank)
{
    int64_t a = maas_attr_i(n, "axis", 0);
    return a < 0 ? a + rank : a;
}

/* ---- SplitToSequence: sizes in a list; or pieces of one size, the last may be smaller ---- */

static maas_status split_infer(maas_infer *q, maas_err *err)
{
    int axis;
    if (q->in[0].rank >= 0)
        MAAS_TRY(maas_axis(maas_attr_i(q->node, "axis", 0), q->in[0].rank, &axis, err));
    if (maas_q_has(q, 1) && q->in[1].rank > 1)
        return maas_fail(err, MAAS_E_INVALID, "split must be a number or a list");
    q->out[0] = maas_type_sequence((maas_dtype)q->in[0].dtype);
    return MAAS_OK;
}

/* How the axis is cut: piece i has `list` element i, or `each` until nothing is left. */
typedef struct cut {
    const maas_tensor *list;
    int64_t each, n;
} cut;

static maas_status cut_of(const maas_call *c, int64_t along, cut *out, maas_err *err)
{
    const maas_tensor *sizes = maas_c_in(c, 1);
    *out = (cut){.each = 1, .n = along};
    if (!sizes)
        return MAAS_OK;
    if (sizes->rank == 0) {
        out->each = maas_tensor_get_i64(sizes, 0);
        if (out->each <= 0)
            return maas_fail(err, MAAS_E_INVALID, "pieces of size %lld", (long long)out->each);
        out->n = along / out->each + (along % out->each != 0);
        return MAAS_OK;
    }
    int64_t left = along;
    *out = (cut){.list = sizes, .n = sizes->dims[0]};
    for (int64_t i = 0; i < out->n; i++) {
        const int64_t size = maas_tensor_get_i64(sizes, i);
        if (size < 0 || size > left)
            return maas_fail(err, MAAS_E_INVALID, "the sizes of the pieces do not add up");
        left -= size;
    }
    return left ? maas_fail(err, MAAS_E_INVALID, "the sizes of the pieces do not add up") : MAAS_OK;
}

/* Rows [from, from + size) of the axis as a tensor of its own; without the axis when it is 1. */
static maas_status cut_piece(const maas_call *c, int axis, int64_t from, int64_t size, bool keep,
                             maas_tensor *out, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    const maas_split3 s = maas_around(x, axis);
    const size_t row = (size_t)s.inner * maas_dtype_size((maas_dtype)x->dtype);
    *out = *x;
    out->dims[axis] = size;
    char *to = out->data = maas_arena_alloc(c->arena, (size_t)(s.outer * size) * row);
    if (!to)
        return maas_fail(err, MAAS_E_NOMEM, "a piece of %lld rows", (long long)size);
    for (int64_t o = 0; o < s.outer; o++)
        memcpy(to + (size_t)(o * size) * row,
               (const char *)x->data + (size_t)(o * s.n + from) * row, (size_t)size * row);
    if (!keep) {
        out->rank--;
        memmove(&out->dims[axis], &out->dims[axis + 1],
                (size_t)(out->rank - axis) * sizeof *out->dims);
    }
    return MAAS_OK;
}

static maas_status split_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    const int64_t axis = axis_from(c->node, x->rank);
    const bool keep = maas_c_in(c, 1) || maas_attr_i(c->node, "keepdims", 1) != 0;
    maas_tensor *items;
    int64_t from = 0;
    cut k;
    MAAS_TRY(cut_of(c, x->dims[axis], &k, err));
    MAAS_TRY(maas_ref_list(c, 0, MAAS_SEQUENCE, k.n, &items, err));
    for (int64_t i = 0; i < k.n; i++) {
        const int64_t left = x->dims[axis] - from;
        const int64_t size = k.list          ? maas_tensor_get_i64(k.list, i)
                             : left < k.each ? left
                                             : k.each;
        MAAS_TRY(cut_piece(c, (int)axis, from, size, keep, &items[i], err));
        from += size;
    }
    return MAAS_OK;
}

static void split_example(maas_example *e)
{
    static const int64_t sizes[] = {1, 0, 3};
    const int k = e->variant / 2;
    const maas_attr attr[] = {MAAS_A_INT("axis", -1), MAAS_A_INT("keepdims", k != 2)};
    const maas_vid in[] = {maas_ex_in(e, maas_ex_float(e), -2, 2, MAAS_DIMS(3, 4)),
                           k == 0   ? maas_b_i64s(e->b, sizes, 3)
                           : k == 1 ? maas_b_i64(e->b, 3)
                                    : MAAS_NO_VALUE};
    maas_b_node(e->b, "SplitToSequence", attr, 2, in, k == 2 ? 1 : 2, NULL, 1);
}

/* ---- ConcatFromSequence ---- */

static maas_status join_infer(maas_infer *q, maas_err *err)
{
    maas_q_unranked(q, 0, (maas_dtype)q->in[0].dtype);
    return MAAS_OK;
}

static maas_status join_shape(const maas_call *c, bool new_axis, int *out_axis, int *out_rank,
                              int64_t *dims, maas_err *err)
{
    const maas_tensor *items = maas_list_items(&c->in[0]);
    const int64_t n = c->in[0].dims[0];
    if (n == 0)
        return maas_fail(err, MAAS_E_INVALID, "an empty sequence has no shape to concatenate");
    const int rank = items[0].rank + new_axis;
    if (rank > MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_INVALID, "the result has rank %d, at most %d is supported",
                         rank, MAAS_MAX_RANK);
    MAAS_TRY(maas_axis(maas_attr_i(c->node, "axis", 0), rank, out_axis, err));
    const int axis = *out_axis;
    int64_t along = 0;
    for (int64_t i = 0; i < n; i++) {
        bool ok = items[i].rank == items[0].rank;
        for (int a = 0; ok && a < items[0].rank; a++)
            ok = items[i].dims[a] == items[0].dims[a] || (!new_axis && a == axis);
        if (!ok || __builtin_add_overflow(along, new_axis ? 1 : items[i].dims[axis], &along))
            return maas_fail(err, MAAS_E_INVALID, "item %lld has another shape than the first",
                             (long long)i);
    }
    for (int a = 0; a < rank; a++)
        dims[a] = a == axis ? along : items[0].dims[a - (new_axis && a > axis)];
    *out_rank = rank;
    return MAAS_OK;
}

static maas_status join_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *items = maas_list_items(&c->in[0]);
    const bool new_axis = maas_attr_i(c->node, "new_axis", 0) != 0;
    int64_t dims[MAAS_MAX_RANK];
    int axis, rank;
    MAAS_TRY(join_shape(c, new_axis, &axis, &rank, dims, err));
    MAAS_TRY(maas_ref_alloc(c, 0, rank, dims, err));
    const maas_split3 s = maas_around(&c->out[0], axis);
    const size_t row = (size_t)s.inner * maas_dtype_size((maas_dtype)c->out[0].dtype);
    char *to = c->out[0].data;
    for (int64_t o = 0; o < s.outer; o++)
        for (int64_t i = 0; i < c->in[0].dims[0]; i++) {
            const size_t bytes = (size_t)(new_axis ? 1 : items[i].dims[axis]) * row;
            memcpy(to, (const char *)items[i].data + (size_t)o * bytes, bytes);
            to += bytes;
        }
    return MAAS_OK;
}

static void join_example(maas_example *e)
{
    const maas_attr attr[] = {MAAS_A_INT("axis", e->variant < 4 ? 1 : -1),
                              MAAS_A_INT("new_axis", e->variant / 2 != 0)};
    const maas_vid x = maas_ex_list(e, MAAS_TYPE_SEQUENCE, maas_ex_float(e), -2, 2);
    maas_b_node(e->b, "ConcatFromSequence", attr, 2, &x, 1, NULL, 1);
}

static const maas_io_schema split_in[] = {MAAS_REQ("input", "T", MAAS_DTS_ALL),
                                          MAAS_OPT("split", NULL, MAAS_DTS_INDEX)};
static const maas_io_schema split_out[] = {MAAS_SEQ("output_sequence", "T", MAAS_DTS_ALL)};
static const maas_io_schema join_in[] = {MAAS_SEQ("input_sequence", "T", MAAS_DTS_ALL)};
static const maas_io_schema join_out[] = {MAAS_REQ("concat_result", "T", MAAS_DTS_ALL)};
static const maas_attr_schema split_attrs[] = {{"axis", MAAS_ATTR_INT, false},
                                               {"keepdims", MAAS_ATTR_INT, false}};
static const maas_attr_schema join_attrs[] = {{"axis", MAAS_ATTR_INT, true},
                                              {"new_axis", MAAS_ATTR_INT, false}};

#define PIECES(Name, fn, ins, outs, attrs)                                                         \
    const maas_op maas_op_##Name = {                                                               \
        .domain = "",                                                                              \
        .name = #Name,                                                                             \
        .since = 11,                                                                               \
        .flags = MAAS_OP_DYNAMIC | MAAS_OP_STRINGS,                                                \
        MAAS_SCHEMA(ins, outs),                                                                    \
        MAAS_ATTRS(attrs),                                                                         \
        .n_examples = 6,                                                                           \
        .infer = fn##_infer,                                                                       \
        .reference = fn##_reference,                                                               \
        .flops = maas_flops_none,                                                                  \
        .example = fn##_example,                                                                   \
        .no_gradient = "gradients of lists are not followed",                                      \
    };
PIECES(SplitToSequence, split, split_in, split_out, split_attrs)
PIECES(ConcatFromSequence, join, join_in, join_out, join_attrs)
