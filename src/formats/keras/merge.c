/* formats/keras/merge.c - layers that make one value of several. */
#include <string.h>

#include "formats/keras/keras_int.h"
#include "base/ban.h"

/* Keras broadcasts rows of different rank in its own way: ranks must be equal. */
static bool alike(kr *k, const kr_layer *l, const maas_vid *in, uint32_t n)
{
    for (uint32_t i = 1; i < n && kr_ok(k); i++)
        if (kr_type(k, in[i])->rank != kr_type(k, in[0])->rank)
            kr_fail(k, l, MAAS_E_UNSUPPORTED, "its inputs have different numbers of dimensions");
    return kr_ok(k);
}

static maas_vid fold(kr *k, const kr_layer *l, const char *op, const maas_vid *in, uint32_t n)
{
    maas_vid y = in[0];
    if (!alike(k, l, in, n))
        return MAAS_NO_VALUE;
    for (uint32_t i = 1; i < n; i++)
        y = maas_b_op2(&k->b, op, y, in[i]);
    return y;
}

static maas_vid add(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    return fold(k, l, "Add", in, n);
}
static maas_vid subtract(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    return fold(k, l, "Sub", in, n);
}
static maas_vid multiply(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    return fold(k, l, "Mul", in, n);
}
static maas_vid maximum(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    return fold(k, l, "Max", in, n);
}
static maas_vid minimum(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    return fold(k, l, "Min", in, n);
}
static maas_vid average(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    return maas_b_op2(&k->b, "Div", fold(k, l, "Add", in, n), maas_b_f32(&k->b, (float)n));
}

static maas_vid concatenate(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    const int64_t axis = kr_axis(k, l, "axis", -1, kr_type(k, in[0])->rank);
    return alike(k, l, in, n) ? kr_concat(k, in, n, axis) : MAAS_NO_VALUE;
}

/* Vectors of two inputs [n, f]: their dot products [n, 1]. */
static maas_vid dot(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    const int64_t last = 1;
    int64_t axes[2];
    const maas_attr keep = MAAS_A_INT("keepdims", 1);
    kr_ints(k, l, "axes", 2, -2, 1, -1, axes);
    if (kr_type(k, in[0])->rank != 2 || kr_type(k, in[1])->rank != 2 || (axes[0] & 1) == 0 ||
        (axes[1] & 1) == 0)
        return kr_fail(k, l, MAAS_E_UNSUPPORTED, "only rows of two inputs [n, f] are supported");
    maas_vid of[2][2];
    for (int i = 0; i < 2; i++) {
        of[i][0] = in[i];
        of[i][1] = maas_b_i64s(&k->b, &last, 1);
        if (!kr_bool(k, l, "normalize", false))
            continue;
        maas_vid sum = maas_b_node(&k->b, "ReduceSumSquare", &keep, 1, of[i], 2, NULL, 1);
        sum = maas_b_op2(&k->b, "Max", sum, maas_b_f32(&k->b, 1e-12f));
        of[i][0] = maas_b_op2(&k->b, "Div", in[i], maas_b_op1(&k->b, "Sqrt", sum));
    }
    of[0][0] = maas_b_op2(&k->b, "Mul", of[0][0], of[1][0]);
    return maas_b_node(&k->b, "ReduceSum", &keep, 1, of[0], 2, NULL, 1);
}

const kr_row kr_merges[] = {
    {"Add", add, "", 0, 2, KR_MAX_INPUTS, 0},
    {"Subtract", subtract, "", 0, 2, 2, 0},
    {"Multiply", multiply, "", 0, 2, KR_MAX_INPUTS, 0},
    {"Average", average, "", 0, 2, KR_MAX_INPUTS, 0},
    {"Maximum", maximum, "", 0, 2, KR_MAX_INPUTS, 0},
    {"Minimum", minimum, "", 0, 2, KR_MAX_INPUTS, 0},
    {"Concatenate", concatenate, "axis", 0, 1, KR_MAX_INPUTS, 0},
    {"Dot", dot, "axes normalize", 0, 2, 2, 0},
    {0},
};
