/* formats/keras/norm.c - normalizations, and scaling before the first layer. */
#include <math.h>
#include <string.h>

#include "formats/keras/keras_int.h"
#include "base/ban.h"

/* [n] as [n, 1, 1]: along `axis` of a tensor of that rank. */
static void along(maas_tensor *t, int64_t axis, int rank)
{
    for (int64_t i = axis + 1; i < rank && t->rank < MAAS_MAX_RANK; i++)
        t->dims[t->rank++] = 1;
}

/* x * scale + shift, with what the layer says about x's mean and variance put together. */
static maas_vid batch_norm(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    const int rank = kr_type(k, in[0])->rank;
    const int64_t axis = kr_axis(k, l, "axis", -1, rank);
    const int64_t c = kr_size(k, l, in[0], (int)axis);
    const double eps = kr_float(k, l, "epsilon", 1e-3);
    const bool scale = kr_bool(k, l, "scale", true), center = kr_bool(k, l, "center", true);
    maas_tensor gamma = {0}, beta = {0}, mean, var, a, b;
    int at = 0;
    if ((scale && !kr_take(k, l, "", at++, 1, &c, &gamma)) ||
        (center && !kr_take(k, l, "", at++, 1, &c, &beta)) ||
        !kr_take(k, l, "", at, 1, &c, &mean) || !kr_take(k, l, "", at + 1, 1, &c, &var) ||
        !kr_tensor(k, 1, &c, &a) || !kr_tensor(k, 1, &c, &b))
        return MAAS_NO_VALUE;
    for (int64_t i = 0; i < c; i++) {
        const double by = (scale ? ((float *)gamma.data)[i] : 1) /
                          sqrt((double)((float *)var.data)[i] + eps);
        ((float *)a.data)[i] = (float)by;
        ((float *)b.data)[i] = (float)((center ? ((float *)beta.data)[i] : 0) -
                                       by * ((float *)mean.data)[i]);
    }
    along(&a, axis, rank);
    along(&b, axis, rank);
    return maas_b_op2(&k->b, "Add", maas_b_op2(&k->b, "Mul", in[0], kr_const(k, &a)),
                      kr_const(k, &b));
}

static maas_vid layer_norm(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    const int rank = kr_type(k, in[0])->rank;
    const int64_t axis = kr_axis(k, l, "axis", -1, rank);
    const int64_t c = kr_size(k, l, in[0], rank - 1);
    const bool scale = kr_bool(k, l, "scale", true), center = kr_bool(k, l, "center", true);
    const maas_attr a[2] = {MAAS_A_INT("axis", -1),
                            MAAS_A_FLOAT("epsilon", (float)kr_float(k, l, "epsilon", 1e-3))};
    maas_tensor ones;
    maas_vid of[3] = {in[0], MAAS_NO_VALUE, MAAS_NO_VALUE};
    if (kr_ok(k) && axis != rank - 1)
        return kr_fail(k, l, MAAS_E_UNSUPPORTED, "axis must be the last one");
    if (kr_bool(k, l, "rms_scaling", false))
        return kr_fail(k, l, MAAS_E_UNSUPPORTED, "rms_scaling is not supported");
    if (scale) {
        of[1] = kr_weight(k, l, "", 0, 1, &c);
    } else if (kr_tensor(k, 1, &c, &ones)) {
        for (int64_t i = 0; i < c; i++)
            ((float *)ones.data)[i] = 1;
        of[1] = kr_const(k, &ones);
    }
    if (center)
        of[2] = kr_weight(k, l, "", scale, 1, &c);
    return maas_b_node(&k->b, "LayerNormalization", a, 2, of, center ? 3 : 2, NULL, 1);
}

static maas_vid rms_norm(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    const int rank = kr_type(k, in[0])->rank;
    const int64_t axis = kr_axis(k, l, "axis", -1, rank);
    const int64_t c = kr_size(k, l, in[0], rank - 1);
    const maas_attr a[2] = {MAAS_A_INT("axis", -1),
                            MAAS_A_FLOAT("epsilon", (float)kr_float(k, l, "epsilon", 1e-6))};
    const maas_vid of[2] = {in[0], kr_weight(k, l, "", 0, 1, &c)};
    if (kr_ok(k) && axis != rank - 1)
        return kr_fail(k, l, MAAS_E_UNSUPPORTED, "axis must be the last one");
    return maas_b_node(&k->b, "RMSNormalization", a, 2, of, 2, NULL, 1);
}

/* One number, or a list that is a row of the last axis. */
static maas_vid numbers(kr *k, const kr_layer *l, const char *key, double otherwise)
{
    const json_t *v = kr_arg(l, key);
    const int64_t c = (int64_t)json_array_size(v);
    maas_tensor t;
    if (!json_is_array(v))
        return maas_b_f32(&k->b, (float)kr_float(k, l, key, otherwise));
    if (!kr_tensor(k, 1, &c, &t))
        return MAAS_NO_VALUE;
    for (int64_t i = 0; i < c; i++) {
        const json_t *item = json_array_get(v, (size_t)i);
        if (!json_is_number(item))
            return kr_fail(k, l, MAAS_E_FORMAT, "%s must be a number or a list of them", key);
        ((float *)t.data)[i] = (float)json_number_value(item);
    }
    return kr_const(k, &t);
}

static maas_vid rescaling(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    const maas_vid y = maas_b_op2(&k->b, "Mul", in[0], numbers(k, l, "scale", 1));
    return maas_b_op2(&k->b, "Add", y, numbers(k, l, "offset", 0));
}

/* (x - mean) / max(sqrt(variance), 1e-7) along the last axis, or for all numbers alike. */
static maas_vid normalization(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    const int rank = kr_type(k, in[0])->rank;
    const bool whole = !kr_arg(l, "axis") || (json_is_array(kr_arg(l, "axis")) &&
                                              json_array_size(kr_arg(l, "axis")) == 0);
    const bool given = kr_arg(l, "mean") != NULL;
    const int64_t axis = whole ? rank - 1 : kr_axis(k, l, "axis", -1, rank);
    const int64_t c = whole ? 1 : kr_size(k, l, in[0], (int)axis);
    maas_vid mean, var;
    if (kr_ok(k) && axis != rank - 1)
        return kr_fail(k, l, MAAS_E_UNSUPPORTED, "axis must be the last one");
    if (kr_bool(k, l, "invert", false))
        return kr_fail(k, l, MAAS_E_UNSUPPORTED, "invert is not supported");
    if (given) {
        mean = numbers(k, l, "mean", 0);
        var = numbers(k, l, "variance", 1);
    } else {
        mean = kr_weight(k, l, "", 0, whole ? 0 : 1, &c);
        var = kr_weight(k, l, "", 1, whole ? 0 : 1, &c);
        l->next += l->is_listed && l->next < l->n_listed; /* how many rows it has seen */
    }
    maas_vid deviation = maas_b_op2(&k->b, "Max", maas_b_op1(&k->b, "Sqrt", var),
                                    maas_b_f32(&k->b, 1e-7f));
    return maas_b_op2(&k->b, "Div", maas_b_op2(&k->b, "Sub", in[0], mean), deviation);
}

/* x / sqrt(max(sum of squares, 1e-12)) */
static maas_vid unit_norm(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    const int64_t axis = kr_axis(k, l, "axis", -1, kr_type(k, in[0])->rank);
    const maas_attr keep = MAAS_A_INT("keepdims", 1);
    const maas_vid of[2] = {in[0], maas_b_i64s(&k->b, &axis, 1)};
    maas_vid sum = maas_b_node(&k->b, "ReduceSumSquare", &keep, 1, of, 2, NULL, 1);
    sum = maas_b_op2(&k->b, "Max", sum, maas_b_f32(&k->b, 1e-12f));
    return maas_b_op2(&k->b, "Div", in[0], maas_b_op1(&k->b, "Sqrt", sum));
}

const kr_row kr_norms[] = {
    {"BatchNormalization", batch_norm,
     "axis momentum epsilon center scale renorm_momentum renorm_clipping fused", 0, 1, 1, 0},
    {"LayerNormalization", layer_norm, "axis epsilon center scale rms_scaling", 0, 1, 1, 0},
    {"RMSNormalization", rms_norm, "axis epsilon", 0, 1, 1, 0},
    {"UnitNormalization", unit_norm, "axis", 0, 1, 1, 0},
    {"Rescaling", rescaling, "scale offset", 0, 1, 1, 0},
    {"Normalization", normalization, "axis mean variance invert", 0, 1, 1, 0},
    {0},
};
