/* learn/layers_fields.c - columns as vectors, the pairs of them, and two rows compared: what
 * recommenders are made of.
 * A row of these layers is [fields, dim]: categories first, then numbers, both in column order. */
#include "learn/layers_int.h"

#include <stdio.h>

#include "base/mem.h"

#include "base/ban.h"

#define AT MAAS_LAYER_AT

static const char *const tower_names[] = {"all", "query", "candidate", NULL};
typedef enum maas_measure { MAAS_MEASURE_COSINE, MAAS_MEASURE_DOT } maas_measure;
static const char *const measure_names[] = {"cosine", "dot", NULL};

const maas_param maas_fields_rows[MAAS_N_FIELDS_ROWS] = {
    MAAS_LAYER_WIRES,
    {"dim", MAAS_PARAM_INT, AT(dim), 1, 1 << 16, 16, .help = "length of a vector"},
    {"numbers", MAAS_PARAM_BOOL, AT(with_numbers), .preset = 1,
     .help = "numbers are fields, too: each times a vector; false: categories only"},
    {"init", MAAS_PARAM_CHOICE, AT(init), .preset = MAAS_INIT_NORMAL, .choices = maas_init_names,
     .help = "first values of the vectors"},
    {"tower", MAAS_PARAM_CHOICE, AT(tower), .preset = MAAS_TOWER_ALL, .choices = tower_names,
     .help = "which columns: those that params.towers gives to one side, or all"},
};
const maas_param maas_similarity_rows[MAAS_N_SIMILARITY_ROWS] = {
    MAAS_LAYER_WIRES,
    {"measure", MAAS_PARAM_CHOICE, AT(measure), .preset = MAAS_MEASURE_COSINE,
     .choices = measure_names, .help = "cosine: of rows brought to length 1; dot: as they are"},
    {"temperature", MAAS_PARAM_NUM, AT(temperature), 1e-4, 1e4, 0.1,
     .help = "the product is divided by it"},
    {"learned", MAAS_PARAM_BOOL, AT(learned), .preset = 1,
     .help = "temperature is where learning begins; false: it stays"},
    {"bias", MAAS_PARAM_BOOL, AT(bias), .preset = 1, .help = "add a learned number"},
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
    const maas_net_fields *f = &net->fields[s->tower];
    maas_vid w = maas_net_weight_add(net, index, "numbers", 2, (int64_t[]){f->n_numbers, s->dim},
                                     (maas_init)s->init, f->n_numbers, s->dim);
    maas_vid x = maas_b_op2(b, "Unsqueeze", f->numbers, maas_b_i64s(b, (int64_t[]){2}, 1));
    return maas_b_op2(b, "Mul", x, w);
}

maas_vid maas_fields_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    const maas_net_fields *f = &net->fields[s->tower];
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
                      "params.layers[%d]: no column%s%s is a category: whole numbers are when "
                      "params.categories names their column",
                      index, s->tower ? " of tower " : "", s->tower ? tower_names[s->tower] : "");
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

/* ---- two towers ---- */

maas_status maas_similarity_check(const maas_layer_spec *s, const char *where, maas_err *err)
{
    if (json_array_size(s->inputs) != 2)
        return maas_fail(err, MAAS_E_INVALID,
                         "%s.inputs must list two names of layers: the query's, the candidate's",
                         where);
    return MAAS_OK;
}

/* To length 1; a row of zeros stays one. */
static maas_vid normalised(maas_builder *b, maas_vid x)
{
    maas_vid squares = sum_axis(b, maas_b_op2(b, "Mul", x, x), 1, true);
    squares = maas_b_op2(b, "Add", squares, maas_b_f32(b, 1e-12f));
    return maas_b_op2(b, "Div", x, maas_b_op1(b, "Sqrt", squares));
}

/* The learned factor is exp(s), s from 0 on: the temperature stays above 0 wherever s goes. */
static maas_vid tempered(maas_net *net, const maas_layer_spec *s, int index, maas_vid z)
{
    maas_builder *b = &net->b;
    const int64_t one = 1;
    z = maas_b_op2(b, "Mul", z, maas_b_f32(b, (float)(1 / s->temperature)));
    if (s->learned) {
        maas_vid scale = maas_net_weight_add(net, index, "log_scale", 1, &one, MAAS_INIT_ZEROS, 1,
                                             1);
        z = maas_b_op2(b, "Mul", z, maas_b_op1(b, "Exp", scale));
    }
    if (s->bias)
        z = maas_b_op2(b, "Add", z,
                       maas_net_weight_add(net, index, "bias", 1, &one, MAAS_INIT_ZEROS, 1, 1));
    return z;
}

maas_vid maas_similarity_build(maas_net *net, const maas_layer_spec *s, int index,
                               const maas_vid *x, int n)
{
    maas_builder *b = &net->b;
    if (b->status != MAAS_OK)
        return MAAS_NO_VALUE;
    const maas_type *q = maas_b_type(b, x[0]), *c = maas_b_type(b, x[1]);
    if (n != 2 || q->rank != 2 || c->rank != 2 || q->dims[1] != c->dims[1]) {
        maas_net_fail(net, MAAS_E_INVALID,
                      "params.layers[%d]: similarity takes two rows of as many numbers, it gets "
                      "%d dimensions of %lld and %d of %lld",
                      index, q->rank - 1, (long long)maas_net_row(net, x[0]), c->rank - 1,
                      (long long)maas_net_row(net, x[1]));
        return MAAS_NO_VALUE;
    }
    for (int i = 0; i < 2; i++)
        net->vectors[i] = s->measure == MAAS_MEASURE_COSINE ? normalised(b, x[i]) : x[i];
    maas_vid product = maas_b_op2(b, "Mul", net->vectors[0], net->vectors[1]);
    return tempered(net, s, index, sum_axis(b, product, 1, true));
}
