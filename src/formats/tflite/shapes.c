/* formats/tflite/shapes.c - operators that say elements in other shapes. */
#include "formats/tflite/tflite_int.h"

#include <string.h>

#include "base/ban.h"

static maas_vid as_i64(tl *t, const tl_op *op, uint32_t i)
{
    return tl_cast(t, tl_codes(t, op, i), MAAS_I64);
}

static maas_vid unsqueezed(tl *t, maas_vid x, int64_t axis)
{
    return maas_b_op2(&t->b, "Unsqueeze", x, maas_b_i64s(&t->b, &axis, 1));
}

static maas_vid squeezed(tl *t, maas_vid x, int64_t axis)
{
    return maas_b_op2(&t->b, "Squeeze", x, maas_b_i64s(&t->b, &axis, 1));
}

/* A 0 of the file is a size, and copies nothing. */
static maas_vid reshaped(tl *t, maas_vid x, const int64_t *dims, int n)
{
    bool zero = false;
    for (int i = 0; i < n; i++)
        zero = zero || dims[i] == 0;
    return tl_op2(t, "Reshape", MAAS_A_INT("allowzero", zero), x, maas_b_i64s(&t->b, dims, n));
}

/* What the file says of the output, if one size at most is open: the same as the computed shape,
 * and known before it is computed. */
static bool declared(tl *t, const tl_op *op, int64_t *dims)
{
    const tl_tensor *y = tl_of_out(t, op, 0);
    const maas_type *shape = tl_type(t, tl_codes(t, op, 1));
    int n_open = 0;
    if (!tl_ok(t) || shape->rank != 1 || shape->dims[0] != y->rank || y->rank < 1)
        return false;
    for (int i = 0; i < y->rank; i++) {
        dims[i] = y->dims[i];
        n_open += dims[i] < 1;
    }
    return n_open == 1;
}

/* The new shape is a constant, computed, or (in old files) in the options. */
static void reshape(tl *t, tl_op *op)
{
    int64_t dims[MAAS_MAX_RANK];
    const maas_vid x = tl_in(t, op, 0);
    if (tl_has(op, 1) && !tl_is_const(t, op, 1)) {
        tl_give(t, op, 0,
                declared(t, op, dims) ? reshaped(t, x, dims, tl_of_out(t, op, 0)->rank)
                                      : maas_b_op2(&t->b, "Reshape", x, as_i64(t, op, 1)));
        return;
    }
    if (tl_has(op, 1)) {
        const int n = tl_ints(t, op, 1, dims, MAAS_MAX_RANK);
        tl_give(t, op, 0, reshaped(t, x, dims, n < 0 ? 0 : n));
        return;
    }
    const fb_vector v = fb_vec(&t->f, &op->options, 0, 4);
    if (v.n > MAAS_MAX_RANK) {
        tl_fail(t, MAAS_E_UNSUPPORTED, "%u dimensions are too many", v.n);
        return;
    }
    for (uint32_t i = 0; i < v.n; i++)
        dims[i] = fb_i32_at(&v, i);
    tl_give(t, op, 0, reshaped(t, x, dims, (int)v.n));
}

static void squeeze(tl *t, tl_op *op)
{
    int64_t axes[MAAS_MAX_RANK];
    const maas_vid x = tl_in(t, op, 0);
    const int rank = tl_type(t, x)->rank;
    const fb_vector v = fb_vec(&t->f, &op->options, 0, 4);
    if (v.n > MAAS_MAX_RANK) {
        tl_fail(t, MAAS_E_FORMAT, "%u axes", v.n);
        return;
    }
    for (uint32_t i = 0; i < v.n; i++)
        axes[i] = tl_axis(t, fb_i32_at(&v, i), rank);
    tl_give(t, op, 0,
            v.n ? maas_b_op2(&t->b, "Squeeze", x, maas_b_i64s(&t->b, axes, (int)v.n))
                : maas_b_op1(&t->b, "Squeeze", x));
}

static void expand_dims(tl *t, tl_op *op)
{
    const maas_vid x = tl_in(t, op, 0);
    tl_give(t, op, 0, unsqueezed(t, x, tl_axis(t, tl_int(t, op, 1), tl_type(t, x)->rank + 1)));
}

/* Moving the channels is what layouts are: nothing is computed. */
static bool moves_channels(tl *t, const tl_op *op, const int64_t *perm)
{
    static const int64_t to_first[4] = {0, 3, 1, 2}, to_last[4] = {0, 2, 3, 1};
    if (memcmp(perm, to_first, sizeof to_first) == 0 && tl_is_first(t, op, 0)) {
        tl_give(t, op, 0, tl_in_first(t, op, 0));
        return true;
    }
    if (memcmp(perm, to_last, sizeof to_last) == 0 && !tl_is_first(t, op, 0)) {
        tl_give_first(t, op, 0, tl_in(t, op, 0));
        return true;
    }
    return false;
}

static void transpose(tl *t, tl_op *op)
{
    int64_t perm[MAAS_MAX_RANK];
    const int n = tl_ints(t, op, 1, perm, MAAS_MAX_RANK);
    const maas_vid x = n == 4 && tl_is_first(t, op, 0) ? MAAS_NO_VALUE : tl_in(t, op, 0);
    const int rank = n == 4 && tl_is_first(t, op, 0) ? 4 : tl_type(t, x)->rank;
    if (tl_ok(t) && n != rank)
        tl_fail(t, MAAS_E_FORMAT, "%d axes for a tensor with %d dimensions", n, rank);
    for (int i = 0; i < n && tl_ok(t); i++)
        perm[i] = tl_axis(t, perm[i], rank);
    if (!tl_ok(t) || (rank == 4 && moves_channels(t, op, perm)))
        return;
    tl_give(t, op, 0, tl_transpose(t, tl_in(t, op, 0), rank, perm));
}

/* ---- shapes as numbers ---- */

static void shape(tl *t, tl_op *op)
{
    const maas_vid s = maas_b_op1(&t->b, "Shape", tl_codes(t, op, 0));
    op->form = TL_CODES;
    tl_give(t, op, 0, tl_as_output(t, op, 0, s));
}

static void rank_of(tl *t, tl_op *op)
{
    const maas_vid s = maas_b_op1(&t->b, "Shape", tl_codes(t, op, 0));
    op->form = TL_CODES;
    tl_give(t, op, 0, tl_as_output(t, op, 0, maas_b_op1(&t->b, "Size", s)));
}

static void fill(tl *t, tl_op *op)
{
    tl_give(t, op, 0, maas_b_op2(&t->b, "Expand", tl_in(t, op, 1), as_i64(t, op, 0)));
}

static void range(tl *t, tl_op *op)
{
    tl_give(t, op, 0,
            maas_b_op3(&t->b, "Range", tl_in(t, op, 0), tl_in(t, op, 1), tl_in(t, op, 2)));
}

static void broadcast_to(tl *t, tl_op *op)
{
    tl_give(t, op, 0, maas_b_op2(&t->b, "Expand", tl_in(t, op, 0), as_i64(t, op, 1)));
}

static void tile(tl *t, tl_op *op)
{
    tl_give(t, op, 0, maas_b_op2(&t->b, "Tile", tl_in(t, op, 0), as_i64(t, op, 1)));
}

/* ---- tensors side by side ---- */

static maas_vid *values(tl *t, uint32_t n)
{
    maas_vid *v = maas_arena_array(t->arena, n + (size_t)1, sizeof *v);
    if (!v)
        tl_fail(t, MAAS_E_NOMEM, "no memory left for operators");
    return v;
}

static bool all_first(tl *t, const tl_op *op)
{
    bool any = false;
    for (uint32_t i = 0; i < op->in.n; i++) {
        if (!tl_has(op, i) || (!tl_is_first(t, op, i) && tl_type(t, tl_in(t, op, i))->rank != 4))
            return false;
        any = any || tl_is_first(t, op, i);
    }
    return any;
}

static void concatenation(tl *t, tl_op *op)
{
    maas_vid *v = values(t, op->in.n);
    if (!v)
        return;
    if (fb_i8(&t->f, &op->options, 1, ACT_NONE) != ACT_NONE)
        tl_fail(t, MAAS_E_UNSUPPORTED, "its fused activation");
    const bool first = all_first(t, op);
    for (uint32_t i = 0; i < op->in.n; i++)
        v[i] = first ? tl_in_first(t, op, i) : tl_in(t, op, i);
    const int axis = tl_axis(t, fb_i32(&t->f, &op->options, 0, 0), tl_type(t, v[0])->rank);
    const maas_vid y = tl_concat(t, v, op->in.n, first ? tl_axis_first(axis) : axis);
    tl_give_in(t, op, 0, y, first ? TL_FIRST : TL_LAST);
}

static void pack(tl *t, tl_op *op)
{
    maas_vid *v = values(t, op->in.n);
    if (!v)
        return;
    for (uint32_t i = 0; i < op->in.n; i++)
        v[i] = tl_in(t, op, i);
    const int axis = tl_axis(t, fb_i32(&t->f, &op->options, 1, 0), tl_type(t, v[0])->rank + 1);
    for (uint32_t i = 0; i < op->in.n; i++)
        v[i] = unsqueezed(t, v[i], axis);
    tl_give(t, op, 0, tl_concat(t, v, op->in.n, axis));
}

/* Parts along an axis, as many as there are outputs; sizes MAAS_NO_VALUE: equal ones. */
static maas_vid *parts(tl *t, const tl_op *op, maas_vid x, int axis, maas_vid sizes)
{
    maas_vid *v = values(t, op->out.n);
    const maas_vid in[2] = {x, sizes};
    const bool equal = sizes == MAAS_NO_VALUE;
    const maas_attr a[2] = {MAAS_A_INT("axis", axis), MAAS_A_INT("num_outputs", op->out.n)};
    if (!v)
        return NULL;
    if (equal && tl_size(t, x, axis) % op->out.n)
        tl_fail(t, MAAS_E_FORMAT, "an axis of %lld in %u equal parts",
                (long long)tl_size(t, x, axis), op->out.n);
    maas_b_node(&t->b, "Split", a, equal ? 2 : 1, in, equal ? 1 : 2, v, op->out.n);
    return tl_ok(t) ? v : NULL;
}

static void unpack(tl *t, tl_op *op)
{
    const maas_vid x = tl_in(t, op, 0);
    const int axis = tl_axis(t, fb_i32(&t->f, &op->options, 1, 0), tl_type(t, x)->rank);
    const maas_vid *v = parts(t, op, x, axis, MAAS_NO_VALUE);
    for (uint32_t i = 0; v && i < op->out.n; i++)
        tl_give(t, op, i, squeezed(t, v[i], axis));
}

static void split(tl *t, tl_op *op)
{
    const maas_vid x = tl_in(t, op, 1);
    const int axis = tl_axis(t, tl_int(t, op, 0), tl_type(t, x)->rank);
    const maas_vid *v = parts(t, op, x, axis, MAAS_NO_VALUE);
    for (uint32_t i = 0; v && i < op->out.n; i++)
        tl_give(t, op, i, v[i]);
}

/* One size may be -1: the rest. */
static void split_v(tl *t, tl_op *op)
{
    const maas_vid x = tl_in(t, op, 0);
    const int axis = tl_axis(t, tl_int(t, op, 2), tl_type(t, x)->rank);
    int64_t sizes[64], left = 0;
    int rest = -1;
    const int n = tl_ints(t, op, 1, sizes, 64);
    if (tl_ok(t) && n != (int)op->out.n)
        tl_fail(t, MAAS_E_FORMAT, "%d sizes for %u outputs", n, op->out.n);
    for (int i = 0; i < n; i++) {
        if (sizes[i] > INT32_MAX) {
            tl_fail(t, MAAS_E_FORMAT, "a size of %lld", (long long)sizes[i]);
            return;
        }
        rest = sizes[i] < 0 ? i : rest;
        left += sizes[i] < 0 ? 0 : sizes[i];
    }
    if (rest >= 0)
        sizes[rest] = tl_size(t, x, axis) - left;
    for (int i = 0; i < n && tl_ok(t); i++)
        if (sizes[i] < 0)
            tl_fail(t, MAAS_E_FORMAT, "the sizes are more than the axis has");
    if (!tl_ok(t))
        return;
    const maas_vid *v = parts(t, op, x, axis, maas_b_i64s(&t->b, sizes, n));
    for (uint32_t i = 0; v && i < op->out.n; i++)
        tl_give(t, op, i, v[i]);
}

const tl_row tl_shapes[] = {
    {2, "CONCATENATION", concatenation, 1, 255, TL_MOVES, NULL},
    {22, "RESHAPE", reshape, 1, 2, TL_MOVES, NULL},
    {39, "TRANSPOSE", transpose, 2, 2, TL_MOVES, NULL},
    {43, "SQUEEZE", squeeze, 1, 1, TL_MOVES, NULL},
    {49, "SPLIT", split, 2, 2, TL_MOVES, NULL},
    {69, "TILE", tile, 2, 2, TL_MOVES, NULL},
    {70, "EXPAND_DIMS", expand_dims, 2, 2, TL_MOVES, NULL},
    {77, "SHAPE", shape, 1, 1, 0, NULL},
    {83, "PACK", pack, 1, 255, TL_MOVES, NULL},
    {88, "UNPACK", unpack, 1, 1, TL_MOVES, NULL},
    {94, "FILL", fill, 2, 2, TL_MOVES, NULL},
    {96, "RANGE", range, 3, 3, 0, NULL},
    {102, "SPLIT_V", split_v, 3, 3, TL_MOVES, NULL},
    {110, "RANK", rank_of, 1, 1, 0, NULL},
    {130, "BROADCAST_TO", broadcast_to, 2, 2, TL_MOVES, NULL},
    {0},
};
