/* learn/layers_fields.c - columns as vectors, and the pairs of them: what recommenders are made of.
 * A row of these layers is [fields, dim]: categories first, then numbers, both in column order. */
#include "learn/layers_int.h"

#include <stdio.h>

#include "base/mem.h"

#include "base/ban.h"

#define AT MAAS_LAYER_AT

const maas_param maas_fields_rows[MAAS_N_FIELDS_ROWS] = {
    MAAS_LAYER_WIRES,
    {"dim", MAAS_PARAM_INT, AT(dim), 1, 1 << 16, 16, .help = "length of a vector"},
    {"numbers", MAAS_PARAM_BOOL, AT(with_numbers), .preset = 1,
     .help = "numbers are fields, too: each times a vector; false: categories only"},
    {"init", MAAS_PARAM_CHOICE, AT(init), .preset = MAAS_INIT_NORMAL, .choices = maas_init_names,
     .help = "first values of the vectors"},
};
const maas_param maas_sum_rows[MAAS_N_SUM_ROWS] = {
    MAAS_LAYER_WIRES,
    {"axis", MAAS_PARAM_INT, AT(size), 1, MAAS_MAX_RANK - 1, 1,
     .help = "axis of a row that is summed"},
};

static maas_vid sum_axis(maas_builder *b, maas_vid x, int64_t axis, bool keep)
{
    const maas_attr keepdims = MAAS_A_INT("keepdims", keep);
    const maas_vid in[2] = {x, maas_b_i64s(b, &axis, 1)};
    return maas_b_node(b, "ReduceSum", &keepdims, 1, in, 2, NULL, 1);
}

static maas_vid of_numbers(maas_net *net, const maas_layer_spec *s, int index)
{
    maas_builder *b = &net->b;
    const maas_net_fields *f = &net->fields;
    maas_vid w = maas_net_weight_add(net, index, "numbers", 2, (int64_t[]){f->n_numbers, s->dim},
                                     (maas_init)s->init, f->n_numbers, s->dim);
    maas_vid x = maas_b_op2(b, "Unsqueeze", f->numbers, maas_b_i64s(b, (int64_t[]){2}, 1));
    return maas_b_op2(b, "Mul", x, w);
}

maas_vid maas_fields_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    const maas_net_fields *f = &net->fields;
    maas_vid parts[2], out = MAAS_NO_VALUE;
    uint32_t n = 0;
    if (f->n_ids) {
        maas_vid table = maas_net_weight_add(net, index, "weight", 2,
                                             (int64_t[]){f->n_rows, s->dim}, (maas_init)s->init,
                                             f->n_rows, s->dim);
        parts[n++] = maas_b_op2(&net->b, "Gather", table, f->ids);
    }
    if (f->n_numbers && s->with_numbers)
        parts[n++] = of_numbers(net, s, index);
    if (n == 0)
        maas_net_fail(net, MAAS_E_INVALID,
                      "params.layers[%d]: no column is a category: whole numbers are when "
                      "params.categories names their column",
                      index);
    const maas_attr axis = MAAS_A_INT("axis", 1);
    return n < 2 ? parts[0] : maas_b_node(&net->b, "Concat", &axis, 1, parts, n, &out, 1);
}

static bool wants_fields(maas_net *net, const char *kind, int index, maas_vid x)
{
    if (net->b.status == MAAS_OK && maas_b_type(&net->b, x)->rank != 3)
        maas_net_fail(
            net, MAAS_E_INVALID,
            "params.layers[%d]: %s takes rows of vectors, as a layer of fields makes them", index,
            kind);
    return net->b.status == MAAS_OK;
}

/* The sum over all pairs i < j of <v_i, v_j> is half of |sum v|^2 - sum |v|^2: S. Rendle, 2010. */
maas_vid maas_fm_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    maas_builder *b = &net->b;
    if (!wants_fields(net, "fm", index, x))
        return MAAS_NO_VALUE;
    maas_vid sum = sum_axis(b, x, 1, false);
    maas_vid squares = sum_axis(b, maas_b_op2(b, "Mul", x, x), 1, false);
    maas_vid pairs = maas_b_op2(b, "Sub", maas_b_op2(b, "Mul", sum, sum), squares);
    return maas_b_op2(b, "Mul", sum_axis(b, pairs, 1, true), maas_b_f32(b, 0.5f));
}

/* Products of all pairs at once, then those above the diagonal. */
maas_vid maas_dot_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    maas_builder *b = &net->b;
    if (!wants_fields(net, "dot", index, x))
        return MAAS_NO_VALUE;
    const int64_t n = maas_b_type(b, x)->dims[1];
    if (n < 2 || n > 4096) {
        maas_net_fail(net, MAAS_E_INVALID,
                      "params.layers[%d]: dot takes 2 to 4096 vectors a row, there are %lld", index,
                      (long long)n);
        return MAAS_NO_VALUE;
    }
    AUTO_FREE int64_t *at = maas_calloc((size_t)(n * (n - 1) / 2), sizeof *at);
    if (!at) {
        maas_net_fail(net, MAAS_E_NOMEM, "no memory for layer %d", index);
        return MAAS_NO_VALUE;
    }
    int64_t k = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i + 1; j < n; j++)
            at[k++] = i * n + j;
    const maas_attr perm = MAAS_A_INTS("perm", ((int64_t[]){0, 2, 1}), 3);
    maas_vid turned = maas_b_node(b, "Transpose", &perm, 1, &x, 1, NULL, 1);
    maas_vid all = maas_b_op2(b, "MatMul", x, turned);
    all = maas_b_op2(b, "Reshape", all, maas_b_i64s(b, (int64_t[]){0, n * n}, 2));
    const maas_attr axis = MAAS_A_INT("axis", 1);
    const maas_tensor t = maas_tensor_of(MAAS_I64, 1, &k, at);
    const maas_vid in[2] = {all, maas_b_const(b, NULL, &t)};
    return maas_b_node(b, "Gather", &axis, 1, in, 2, NULL, 1);
}

maas_vid maas_sum_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    if (net->b.status == MAAS_OK && maas_b_type(&net->b, x)->rank <= s->size)
        maas_net_fail(net, MAAS_E_INVALID, "params.layers[%d].axis: a row has no axis %lld", index,
                      (long long)s->size);
    return net->b.status == MAAS_OK ? sum_axis(&net->b, x, s->size, false) : MAAS_NO_VALUE;
}
