/* formats/tflite/idioms.c - pieces of graphs. */
#include "formats/tflite/tflite_int.h"

#include "base/ban.h"

const maas_type *tl_type(tl *t, maas_vid v)
{
    tl_ok(t);
    return maas_p_type(&t->b, v);
}

maas_vid tl_op1(tl *t, const char *op, maas_attr a, maas_vid x)
{
    return maas_p_op1(&t->b, op, a, x);
}

maas_vid tl_op2(tl *t, const char *op, maas_attr a, maas_vid x, maas_vid y)
{
    return maas_p_op2(&t->b, op, a, x, y);
}

maas_vid tl_cast(tl *t, maas_vid v, maas_dtype to)
{
    return maas_p_cast(&t->b, v, to);
}

maas_vid tl_transpose(tl *t, maas_vid x, int rank, const int64_t *order)
{
    return maas_p_transpose(&t->b, x, rank, order);
}

maas_vid tl_to_first(tl *t, maas_vid x)
{
    return maas_p_to_first(&t->b, x);
}

maas_vid tl_to_last(tl *t, maas_vid x)
{
    return maas_p_to_last(&t->b, x);
}

maas_vid tl_reshape(tl *t, maas_vid x, const int64_t *dims, int n)
{
    return maas_p_reshape(&t->b, x, dims, n);
}

maas_vid tl_concat(tl *t, const maas_vid *v, uint32_t n, int64_t axis)
{
    return maas_p_concat(&t->b, v, n, axis);
}

maas_vid tl_clip(tl *t, maas_vid x, double lo, double hi)
{
    return maas_p_clip(&t->b, x, lo, hi);
}

maas_vid tl_like(tl *t, maas_vid like, double number)
{
    return maas_p_like(&t->b, like, number);
}

maas_vid tl_slice(tl *t, maas_vid x, const int64_t *axes, const int64_t *from, const int64_t *to,
                  const int64_t *step, int n)
{
    return maas_p_slice(&t->b, x, axes, from, to, step, n);
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
    return maas_p_axis_first(axis);
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
