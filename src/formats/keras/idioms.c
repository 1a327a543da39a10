/* formats/keras/idioms.c - pieces of graphs; sticky like the builder. */
#include <string.h>

#include "formats/keras/keras_int.h"
#include "base/ban.h"

const maas_type *kr_type(kr *k, maas_vid v)
{
    static const maas_type none = {
        .tag = MAAS_TYPE_TENSOR, .dtype = MAAS_F32, .rank = MAAS_RANK_UNKNOWN};
    return kr_ok(k) && v != MAAS_NO_VALUE ? maas_b_type(&k->b, v) : &none;
}

maas_vid kr_op1(kr *k, const char *op, maas_attr a, maas_vid x)
{
    return maas_b_node(&k->b, op, &a, 1, &x, 1, NULL, 1);
}

maas_vid kr_cast(kr *k, maas_vid v, maas_dtype t)
{
    return kr_type(k, v)->dtype == t ? v : kr_op1(k, "Cast", MAAS_A_INT("to", t), v);
}

maas_vid kr_transpose(kr *k, maas_vid x, int rank, const int64_t *order)
{
    return kr_op1(k, "Transpose", MAAS_A_INTS("perm", order, rank), x);
}

maas_vid kr_concat(kr *k, const maas_vid *v, uint32_t n, int64_t axis)
{
    const maas_attr a = MAAS_A_INT("axis", axis);
    return n == 1 ? v[0] : maas_b_node(&k->b, "Concat", &a, 1, v, n, NULL, 1);
}

maas_vid kr_reshape(kr *k, maas_vid x, const int64_t *dims, int n)
{
    return maas_b_op2(&k->b, "Reshape", x, maas_b_i64s(&k->b, dims, n));
}

maas_vid kr_slice(kr *k, maas_vid x, int64_t axis, int64_t from, int64_t to, int64_t step)
{
    const maas_vid in[5] = {x, maas_b_i64s(&k->b, &from, 1), maas_b_i64s(&k->b, &to, 1),
                            maas_b_i64s(&k->b, &axis, 1), maas_b_i64s(&k->b, &step, 1)};
    return maas_b_node(&k->b, "Slice", NULL, 0, in, 5, NULL, 1);
}

maas_vid kr_channels_in(kr *k, maas_vid x, bool first)
{
    const int rank = kr_type(k, x)->rank;
    int64_t order[MAAS_MAX_RANK] = {0};
    if (first || rank < 3)
        return x;
    order[1] = rank - 1;
    for (int i = 2; i < rank; i++)
        order[i] = i - 1;
    return kr_transpose(k, x, rank, order);
}

maas_vid kr_channels_out(kr *k, maas_vid x, bool first)
{
    const int rank = kr_type(k, x)->rank;
    int64_t order[MAAS_MAX_RANK] = {0};
    if (first || rank < 3)
        return x;
    order[rank - 1] = 1;
    for (int i = 1; i < rank - 1; i++)
        order[i] = i + 1;
    return kr_transpose(k, x, rank, order);
}

bool kr_channels_first(kr *k, const kr_layer *l)
{
    static const char *const words[] = {"channels_last", "channels_first", NULL};
    return kr_word(k, l, "data_format", words, 0) == 1;
}

int64_t kr_axis(kr *k, const kr_layer *l, const char *key, int64_t otherwise, int rank)
{
    if (rank < 1) {
        kr_fail(k, l, MAAS_E_UNSUPPORTED, "its input has no known number of dimensions");
        return 0;
    }
    const json_t *v = kr_arg(l, key);
    int64_t axis = otherwise;
    if (json_is_array(v) && json_array_size(v) == 1) /* as Keras 2 writes it */
        kr_ints(k, l, key, 1, -rank, rank - 1, otherwise, &axis);
    else
        axis = kr_int(k, l, key, -rank, rank - 1, otherwise);
    return axis < 0 ? axis + rank : axis;
}

int64_t kr_size(kr *k, const kr_layer *l, maas_vid x, int axis)
{
    const maas_type *t = kr_type(k, x);
    if (kr_ok(k) && axis >= 0 && axis < t->rank && t->dims[axis] >= 1)
        return t->dims[axis];
    kr_fail(k, l, MAAS_E_UNSUPPORTED, "dimension %d of its input must have a known size", axis);
    return 1;
}
