/* learn/layers_shape.c - layers without weights that change shapes or join what several others
 * made. */
#include "learn/layers_int.h"

#include <stdio.h>

#include "base/ban.h"

#define AT MAAS_LAYER_AT

const maas_param maas_flatten_rows[MAAS_N_WIRE_ROWS] = {MAAS_LAYER_WIRES};
const maas_param maas_reshape_rows[MAAS_N_RESHAPE_ROWS] = {
    MAAS_LAYER_WIRES,
    {"shape", MAAS_PARAM_JSON, AT(shape), .help = "of one row, as [1,28,28]; one may be -1"},
};
const maas_param maas_permute_rows[MAAS_N_RESHAPE_ROWS] = {
    MAAS_LAYER_WIRES,
    {"order", MAAS_PARAM_JSON, AT(shape),
     .help = "which axis of a row comes first, second...: [3,1,2] puts channels before places"},
};
const maas_param maas_add_rows[MAAS_N_JOIN_ROWS] = {
    MAAS_LAYER_WIRES,
    {"activation", MAAS_PARAM_CHOICE, AT(activation), .preset = MAAS_ACTIVATION_NONE,
     .choices = maas_activation_names, .help = "function over the sum"},
};
const maas_param maas_concat_rows[MAAS_N_JOIN_ROWS] = {
    MAAS_LAYER_WIRES,
    {"axis", MAAS_PARAM_INT, AT(size), 1, MAAS_MAX_RANK - 1, 1,
     .help = "axis of a row along which they are laid side by side"},
};

maas_vid maas_flatten_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    if (net->b.status != MAAS_OK || maas_b_type(&net->b, x)->rank == 2)
        return x;
    maas_attr axis = MAAS_A_INT("axis", 1);
    maas_vid out = MAAS_NO_VALUE;
    return maas_b_node(&net->b, "Flatten", &axis, 1, &x, 1, &out, 1);
}

/* The list behind the batch axis; false, and the field is named, when it is none. */
static bool read_axes(maas_net *net, const maas_layer_spec *s, const char *field, int index,
                      int64_t min, int64_t *out, int *n)
{
    *n = (int)json_array_size(s->shape);
    if (net->b.status == MAAS_OK && (*n < 1 || *n >= MAAS_MAX_RANK))
        maas_net_fail(net, MAAS_E_INVALID, "params.layers[%d].%s must be a list of 1 to %d numbers",
                      index, field, MAAS_MAX_RANK - 1);
    return net->b.status == MAAS_OK &&
           maas_layer_sizes(net, s->shape, field, index, 1, min, *n, out);
}

maas_vid maas_reshape_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    int64_t dims[MAAS_MAX_RANK] = {0}; /* 0: the batch stays */
    int n;
    if (!read_axes(net, s, "shape", index, -1, dims + 1, &n))
        return MAAS_NO_VALUE;
    return maas_b_op2(&net->b, "Reshape", x, maas_b_i64s(&net->b, dims, n + 1));
}

maas_vid maas_permute_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    int64_t order[MAAS_MAX_RANK] = {0};
    int n;
    if (!read_axes(net, s, "order", index, 1, order + 1, &n))
        return MAAS_NO_VALUE;
    const maas_attr perm = MAAS_A_INTS("perm", order, n + 1);
    maas_vid out = MAAS_NO_VALUE;
    return maas_b_node(&net->b, "Transpose", &perm, 1, &x, 1, &out, 1);
}

maas_vid maas_add_build(maas_net *net, const maas_layer_spec *s, int index, const maas_vid *x,
                        int n)
{
    maas_vid y = x[0];
    for (int i = 1; i < n && net->b.status == MAAS_OK; i++) {
        const maas_type *a = maas_b_type(&net->b, x[0]), *c = maas_b_type(&net->b, x[i]);
        if (a->rank == 2 && c->rank == 2 && a->dims[1] != c->dims[1])
            maas_net_fail(net, MAAS_E_INVALID,
                          "params.layers[%d]: add gets rows of %lld and of %lld numbers", index,
                          (long long)a->dims[1], (long long)c->dims[1]);
    }
    for (int i = 1; i < n; i++)
        y = maas_b_op2(&net->b, "Add", y, x[i]);
    return maas_layer_activate(net, s, index, y);
}

maas_vid maas_concat_build(maas_net *net, const maas_layer_spec *s, int index, const maas_vid *x,
                           int n)
{
    const maas_attr axis = MAAS_A_INT("axis", s->size);
    maas_vid out = MAAS_NO_VALUE;
    return maas_b_node(&net->b, "Concat", &axis, 1, x, (uint32_t)n, &out, 1);
}

bool maas_layer_sizes(maas_net *net, const json_t *v, const char *field, int index, int64_t preset,
                      int64_t min, int n, int64_t *out)
{
    const bool list = json_is_array(v);
    for (int i = 0; i < n; i++) {
        const json_t *one = list ? json_array_get(v, (size_t)i) : v;
        out[i] = one ? json_integer_value(one) : preset;
        if ((one && !json_is_integer(one)) || (one && out[i] < min) || out[i] > 1 << 20 ||
            (list && json_array_size(v) != (size_t)n)) {
            maas_net_fail(net, MAAS_E_INVALID,
                          "params.layers[%d].%s must be a whole number of at least %lld, or a list "
                          "of %d",
                          index, field, (long long)min, n);
            return false;
        }
    }
    return true;
}
