/* formats/tflite/idioms.c - pieces of graphs. */
#include "formats/tflite/tflite_int.h"

#include "base/ban.h"

const maas_type *tl_type(tl *t, maas_vid v)
{
    static const maas_type none = {
        .tag = MAAS_TYPE_TENSOR, .dtype = MAAS_F32, .rank = MAAS_RANK_UNKNOWN};
    const maas_type *type = tl_ok(t) && v != MAAS_NO_VALUE ? maas_b_type(&t->b, v) : NULL;
    return type ? type : &none;
}

maas_vid tl_op1(tl *t, const char *op, maas_attr a, maas_vid x)
{
    return maas_b_node(&t->b, op, &a, 1, &x, 1, NULL, 1);
}

maas_vid tl_op2(tl *t, const char *op, maas_attr a, maas_vid x, maas_vid y)
{
    const maas_vid in[2] = {x, y};
    return maas_b_node(&t->b, op, &a, 1, in, 2, NULL, 1);
}

maas_vid tl_cast(tl *t, maas_vid v, maas_dtype to)
{
    return tl_type(t, v)->dtype == to ? v : tl_op1(t, "Cast", MAAS_A_INT("to", to), v);
}

maas_vid tl_transpose(tl *t, maas_vid x, int rank, const int64_t *order)
{
    return tl_op1(t, "Transpose", MAAS_A_INTS("perm", order, rank), x);
}

maas_vid tl_to_first(tl *t, maas_vid x)
{
    return tl_transpose(t, x, 4, (int64_t[]){0, 3, 1, 2});
}

maas_vid tl_to_last(tl *t, maas_vid x)
{
    return tl_transpose(t, x, 4, (int64_t[]){0, 2, 3, 1});
}

maas_vid tl_reshape(tl *t, maas_vid x, const int64_t *dims, int n)
{
    return maas_b_op2(&t->b, "Reshape", x, maas_b_i64s(&t->b, dims, n));
}

maas_vid tl_concat(tl *t, const maas_vid *v, uint32_t n, int64_t axis)
{
    const maas_attr a = MAAS_A_INT("axis", axis);
    return maas_b_node(&t->b, "Concat", &a, 1, v, n, NULL, 1);
}

maas_vid tl_clip(tl *t, maas_vid x, double lo, double hi)
{
    return maas_b_op3(&t->b, "Clip", x, maas_b_f32(&t->b, (float)lo), maas_b_f32(&t->b, (float)hi));
}

maas_vid tl_like(tl *t, maas_vid like, double number)
{
    const maas_vid v = maas_b_f32(&t->b, (float)number);
    return tl_cast(t, v, (maas_dtype)tl_type(t, like)->dtype);
}

maas_vid tl_slice(tl *t, maas_vid x, const int64_t *axes, const int64_t *from, const int64_t *to,
                  const int64_t *step, int n)
{
    maas_builder *b = &t->b;
    const maas_vid in[5] = {x, maas_b_i64s(b, from, n), maas_b_i64s(b, to, n),
                            maas_b_i64s(b, axes, n), maas_b_i64s(b, step, n)};
    return maas_b_node(b, "Slice", NULL, 0, in, 5, NULL, 1);
}

int tl_axis(tl *t, int64_t axis, int rank)
{
    if (tl_ok(t) && rank >= 1 && axis >= -rank && axis < rank)
        return (int)(axis < 0 ? axis + rank : axis);
    tl_fail(t, MAAS_E_FORMAT, "axis %lld of a tensor with %d dimensions", (long long)axis, rank);
    return 0;
}

int tl_axis_first(int axis)
{
    static const int to[4] = {0, 2, 3, 1};
    return to[axis & 3];
}

int64_t tl_size(tl *t, maas_vid x, int axis)
{
    const maas_type *type = tl_type(t, x);
    if (tl_ok(t) && axis >= 0 && axis < type->rank && type->dims[axis] >= 1 &&
        type->dims[axis] <= INT32_MAX)
        return type->dims[axis];
    tl_fail(t, MAAS_E_UNSUPPORTED, "dimension %d must have a known size", axis);
    return 1;
}
