/* formats/savedmodel/shapes.c - operators that say elements in other shapes. */
#include "formats/savedmodel/sm_int.h"

#include <string.h>

#include "base/ban.h"

static maas_dtype type_or(sm *s, const sm_op *op, const char *name, maas_dtype otherwise)
{
    const maas_dtype t = sm_attr_type(s, op, name);
    return t == MAAS_DT_NONE ? otherwise : t;
}

/* A 0 of the file is a size, and copies nothing. */
static void reshape(sm *s, sm_op *op)
{
    const maas_vid x = sm_in(s, op, 0), dims = sm_in_i64(s, op, 1);
    const maas_tensor *c = sm_ok(s) ? sm_const_of(s->b->g, dims) : NULL;
    bool zero = false;
    for (int64_t i = 0; c && i < maas_n_elems(c); i++)
        zero = zero || maas_tensor_get_i64(c, i) == 0;
    sm_give(s, op, 0, maas_p_op2(s->b, "Reshape", MAAS_A_INT("allowzero", zero), x, dims));
}

static void shape(sm *s, sm_op *op)
{
    const maas_dtype t = type_or(s, op, "out_type", MAAS_I32);
    sm_give(s, op, 0, maas_p_cast(s->b, maas_b_op1(s->b, "Shape", sm_in(s, op, 0)), t));
}

static void shapes_of(sm *s, sm_op *op)
{
    const maas_dtype t = type_or(s, op, "out_type", MAAS_I32);
    for (uint32_t i = 0; i < op->node->n_in; i++)
        sm_give(s, op, i, maas_p_cast(s->b, maas_b_op1(s->b, "Shape", sm_in(s, op, i)), t));
}

static void size(sm *s, sm_op *op)
{
    const maas_dtype t = type_or(s, op, "out_type", MAAS_I32);
    sm_give(s, op, 0, maas_p_cast(s->b, maas_b_op1(s->b, "Size", sm_in(s, op, 0)), t));
}

static void rank_of(sm *s, sm_op *op)
{
    const int rank = sm_rank(s, sm_in(s, op, 0));
    sm_give(s, op, 0, maas_p_cast(s->b, maas_b_i64(s->b, rank), MAAS_I32));
}

static void expand_dims(sm *s, sm_op *op)
{
    const maas_vid x = sm_in(s, op, 0);
    sm_give(s, op, 0, maas_p_unsqueeze(s->b, x, sm_axis(s, sm_int(s, op, 1), sm_rank(s, x) + 1)));
}

static void squeeze(sm *s, sm_op *op)
{
    int64_t axes[MAAS_MAX_RANK];
    const int n = sm_attr_ints(s, op, "squeeze_dims", axes, MAAS_MAX_RANK);
    const maas_vid x = sm_in(s, op, 0);
    sm_give(s, op, 0,
            n ? maas_b_op2(s->b, "Squeeze", x, maas_b_i64s(s->b, axes, n))
              : maas_b_op1(s->b, "Squeeze", x));
}

static void transpose(sm *s, sm_op *op)
{
    int64_t order[MAAS_MAX_RANK];
    const int n = sm_ints(s, op, 1, order, MAAS_MAX_RANK);
    const maas_vid x = sm_in(s, op, 0);
    if (sm_ok(s) && n != sm_rank(s, x))
        sm_fail(s, MAAS_E_FORMAT, "an order of %d for %d dimensions", n, sm_rank(s, x));
    for (int i = 0; i < n; i++)
        order[i] = sm_axis(s, order[i], n);
    if (sm_ok(s))
        sm_give(s, op, 0, n ? maas_p_transpose(s->b, x, n, order) : x);
}

static void fill(sm *s, sm_op *op)
{
    sm_give(s, op, 0, maas_b_op2(s->b, "Expand", sm_in(s, op, 1), sm_in_i64(s, op, 0)));
}

static void range(sm *s, sm_op *op)
{
    sm_give(s, op, 0, maas_b_op3(s->b, "Range", sm_in(s, op, 0), sm_in(s, op, 1), sm_in(s, op, 2)));
}

/* start + i * (stop - start) / (n - 1); one number is the start. */
static void lin_space(sm *s, sm_op *op)
{
    maas_builder *b = s->b;
    const maas_vid from = sm_in(s, op, 0), to = sm_in(s, op, 1), n = sm_in_i64(s, op, 2);
    const maas_dtype t = (maas_dtype)sm_type(s, from)->dtype;
    const maas_vid at = maas_p_cast(
        b, maas_b_op3(b, "Range", maas_b_i64(b, 0), n, maas_b_i64(b, 1)), t);
    const maas_vid less = maas_b_op2(b, "Sub", n, maas_b_i64(b, 1));
    const maas_vid by = maas_p_cast(b, maas_b_op2(b, "Max", less, maas_b_i64(b, 1)), t);
    const maas_vid step = maas_b_op2(b, "Div", maas_b_op2(b, "Sub", to, from), by);
    sm_give(s, op, 0, maas_b_op2(b, "Add", from, maas_b_op2(b, "Mul", at, step)));
}

static void broadcast_to(sm *s, sm_op *op)
{
    sm_give(s, op, 0, maas_b_op2(s->b, "Expand", sm_in(s, op, 0), sm_in_i64(s, op, 1)));
}

/* The shape that two shapes give together: as many elements as a sum of ones of each. */
static void broadcast_args(sm *s, sm_op *op)
{
    maas_builder *b = s->b;
    maas_vid v[2];
    for (uint32_t i = 0; i < 2; i++)
        v[i] = maas_b_op2(b, "Expand", maas_b_f32(b, 0), sm_in_i64(s, op, i));
    const maas_vid y = maas_b_op1(b, "Shape", maas_b_op2(b, "Add", v[0], v[1]));
    sm_give(s, op, 0, maas_p_cast(b, y, type_or(s, op, "T", MAAS_I32)));
}

static void tile(sm *s, sm_op *op)
{
    sm_give(s, op, 0, maas_b_op2(s->b, "Tile", sm_in(s, op, 0), sm_in_i64(s, op, 1)));
}

/* ---- tensors side by side ---- */

static bool all_first(sm *s, const sm_op *op, uint32_t from, uint32_t n)
{
    bool any = false;
    for (uint32_t i = from; i < from + n; i++) {
        const bool first = sm_is_first(s, op, i);
        if (!first && sm_type(s, sm_in(s, op, i))->rank != 4)
            return false;
        any = any || first;
    }
    return any;
}

static void concat_of(sm *s, sm_op *op, uint32_t from, uint32_t n, int64_t axis)
{
    maas_vid *v = sm_array(s, n + (size_t)1, sizeof *v);
    const bool first = v && all_first(s, op, from, n);
    for (uint32_t i = 0; v && i < n; i++)
        v[i] = sm_in_layout(s, op, from + i, first ? SM_FIRST : SM_LAST);
    if (!sm_ok(s))
        return;
    const int at = sm_axis(s, axis, sm_rank(s, v[0]));
    const maas_vid y = maas_p_concat(s->b, v, n, first ? maas_p_axis_first(at) : at);
    sm_give_in(s, op, 0, y, first ? SM_FIRST : SM_LAST);
}

static void concat(sm *s, sm_op *op)
{
    concat_of(s, op, 1, op->node->n_in - 1, sm_int(s, op, 0));
}

static void concat_v2(sm *s, sm_op *op)
{
    concat_of(s, op, 0, op->node->n_in - 1, sm_int(s, op, op->node->n_in - 1));
}

static void pack(sm *s, sm_op *op)
{
    const uint32_t n = op->node->n_in;
    maas_vid *v = sm_array(s, n + (size_t)1, sizeof *v);
    for (uint32_t i = 0; v && i < n; i++)
        v[i] = sm_in(s, op, i);
    if (!sm_ok(s))
        return;
    const int axis = sm_axis(s, sm_attr_i(s, op, "axis", 0), sm_rank(s, v[0]) + 1);
    for (uint32_t i = 0; i < n; i++)
        v[i] = maas_p_unsqueeze(s->b, v[i], axis);
    sm_give(s, op, 0, maas_p_concat(s->b, v, n, axis));
}

/* n parts along an axis; sizes MAAS_NO_VALUE: equal ones. NULL after an error. */
static maas_vid *parts(sm *s, maas_vid x, int axis, int64_t n, maas_vid sizes)
{
    if (sm_ok(s) && (n < 1 || n > SM_MAX_IO))
        sm_fail(s, MAAS_E_FORMAT, "%lld parts", (long long)n);
    maas_vid *v = sm_ok(s) ? sm_array(s, (size_t)n + 1, sizeof *v) : NULL;
    const maas_vid in[2] = {x, sizes};
    const bool equal = sizes == MAAS_NO_VALUE;
    const maas_attr a[2] = {MAAS_A_INT("axis", axis), MAAS_A_INT("num_outputs", n)};
    if (!v)
        return NULL;
    if (equal && sm_size(s, x, axis) % n)
        sm_fail(s, MAAS_E_FORMAT, "an axis of %lld in %lld equal parts",
                (long long)sm_size(s, x, axis), (long long)n);
    if (sm_ok(s))
        maas_b_node(s->b, "Split", a, equal ? 2 : 1, in, equal ? 1 : 2, v, (uint32_t)n);
    return sm_ok(s) ? v : NULL;
}

static void unpack(sm *s, sm_op *op)
{
    const maas_vid x = sm_in(s, op, 0);
    const int axis = sm_axis(s, sm_attr_i(s, op, "axis", 0), sm_rank(s, x));
    const int64_t n = sm_attr_i(s, op, "num", 0);
    if (n == 0)
        return;
    const maas_vid *v = parts(s, x, axis, n, MAAS_NO_VALUE);
    for (uint32_t i = 0; v && i < n; i++)
        sm_give(s, op, i, maas_p_squeeze(s->b, v[i], axis));
}

static void split(sm *s, sm_op *op)
{
    const int64_t n = sm_attr_i(s, op, "num_split", 1);
    const bool first = sm_is_first(s, op, 1);
    const maas_vid x = sm_in_layout(s, op, 1, first ? SM_FIRST : SM_LAST);
    const int axis = sm_axis(s, sm_int(s, op, 0), sm_rank(s, x));
    const maas_vid *v = parts(s, x, first ? maas_p_axis_first(axis) : axis, n, MAAS_NO_VALUE);
    for (uint32_t i = 0; v && i < n; i++)
        sm_give_in(s, op, i, v[i], first ? SM_FIRST : SM_LAST);
}

/* One size may be -1: the rest. */
static void split_v(sm *s, sm_op *op)
{
    const maas_vid x = sm_in(s, op, 0);
    const int axis = sm_axis(s, sm_int(s, op, 2), sm_rank(s, x));
    int64_t *sizes = sm_array(s, SM_MAX_IO, sizeof *sizes), left = 0;
    const int n = sizes ? sm_ints(s, op, 1, sizes, SM_MAX_IO) : 0;
    int rest = -1;
    for (int i = 0; i < n; i++) {
        if (sizes[i] > INT32_MAX)
            sm_fail(s, MAAS_E_FORMAT, "a size of %lld", (long long)sizes[i]);
        rest = sizes[i] < 0 ? i : rest;
        left += sizes[i] < 0 || sizes[i] > INT32_MAX ? 0 : sizes[i];
    }
    if (rest >= 0)
        sizes[rest] = sm_size(s, x, axis) - left;
    for (int i = 0; i < n && sm_ok(s); i++)
        if (sizes[i] < 0)
            sm_fail(s, MAAS_E_FORMAT, "the sizes are more than the axis has");
    const maas_vid *v = sm_ok(s) ? parts(s, x, axis, n, maas_b_i64s(s->b, sizes, n)) : NULL;
    for (uint32_t i = 0; v && i < (uint32_t)n; i++)
        sm_give(s, op, i, v[i]);
}

const sm_row sm_shapes[] = {
    {"BroadcastArgs", broadcast_args, 2, 2, 0, NULL, NULL},
    {"BroadcastTo", broadcast_to, 2, 2, 0, NULL, NULL},
    {"Concat", concat, 2, 255, 0, NULL, NULL},
    {"ConcatV2", concat_v2, 2, 255, 0, NULL, NULL},
    {"ExpandDims", expand_dims, 2, 2, 0, NULL, NULL},
    {"Fill", fill, 2, 2, 0, NULL, NULL},
    {"LinSpace", lin_space, 3, 3, 0, NULL, NULL},
    {"Pack", pack, 1, 255, 0, NULL, NULL},
    {"Range", range, 3, 3, 0, NULL, NULL},
    {"Rank", rank_of, 1, 1, 0, NULL, NULL},
    {"Reshape", reshape, 2, 2, 0, NULL, NULL},
    {"Shape", shape, 1, 1, 0, NULL, NULL},
    {"ShapeN", shapes_of, 1, 255, 0, NULL, NULL},
    {"Size", size, 1, 1, 0, NULL, NULL},
    {"Split", split, 2, 2, 0, NULL, NULL},
    {"SplitV", split_v, 3, 3, 0, NULL, NULL},
    {"Squeeze", squeeze, 1, 1, 0, NULL, NULL},
    {"Tile", tile, 2, 2, 0, NULL, NULL},
    {"Transpose", transpose, 2, 2, 0, NULL, NULL},
    {"Unpack", unpack, 1, 1, 0, NULL, NULL},
    {0},
};
