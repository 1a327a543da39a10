/*
 * learn/layers_attention.c - what a transformer's encoder is made of, over [batch, steps,
 * features]: a vector for every place, and attention of many heads. Both are plain nodes: their
 * gradients are there, and the passes fuse them where they run.
 */
#include "learn/layers_int.h"

#include <math.h>
#include <stdio.h>

#include "base/mem.h"

#include "base/ban.h"

#define AT MAAS_LAYER_AT

const maas_param maas_attention_rows[MAAS_N_ATTENTION_ROWS] = {
    MAAS_LAYER_WIRES,
    {"heads", MAAS_PARAM_INT, AT(heads), 1, 1024, 4,
     .help = "the features are cut into so many parts, each attends for itself"},
    {"causal", MAAS_PARAM_BOOL, AT(causal), .preset = 0,
     .help = "a step sees itself and those before it alone"},
    {"rate", MAAS_PARAM_NUM, AT(rate), 0, 0.999, 0,
     .help = "share of the weights of attention that is dropped while training"},
    {"bias", MAAS_PARAM_BOOL, AT(bias), .preset = 1, .help = "add biases to the four products"},
    {"init", MAAS_PARAM_CHOICE, AT(init), .preset = MAAS_INIT_AUTO, .choices = maas_init_names,
     .help = "first values of the weights"},
};

enum { POSITION_LEARNED, POSITION_SINES };
static const char *const position_names[] = {"learned", "sines", NULL};

const maas_param maas_position_rows[MAAS_N_POSITION_ROWS] = {
    MAAS_LAYER_WIRES,
    {"mode", MAAS_PARAM_CHOICE, AT(measure), .preset = POSITION_LEARNED, .choices = position_names,
     .help = "learned, or sines and cosines of many wavelengths"},
};

/* ---- places ---- */

/* A. Vaswani et al. (2017), 3.5: pairs of sine and cosine, wavelengths from 2 pi to 10000 * 2 pi.
 */
static maas_vid sines(maas_net *net, int64_t steps, int64_t dim)
{
    AUTO_FREE float *v = maas_calloc((size_t)(steps * dim) + 1, sizeof *v);
    if (!v) {
        maas_net_fail(net, MAAS_E_NOMEM, "no memory for %lld places", (long long)steps);
        return MAAS_NO_VALUE;
    }
    for (int64_t t = 0; t < steps; t++)
        for (int64_t j = 0; j < dim; j++) {
            const double angle = (double)t / pow(10000, (double)(j / 2 * 2) / (double)dim);
            v[t * dim + j] = (float)(j & 1 ? cos(angle) : sin(angle));
        }
    const maas_tensor t = maas_tensor_of(MAAS_F32, 2, (int64_t[]){steps, dim}, v);
    return maas_b_const(&net->b, NULL, &t);
}

maas_vid maas_position_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    if (!maas_layer_as_steps(net, "position", index, &x))
        return MAAS_NO_VALUE;
    const int64_t steps = maas_b_type(&net->b, x)->dims[1], dim = maas_b_type(&net->b, x)->dims[2];
    const maas_vid at = s->measure == POSITION_SINES
                            ? sines(net, steps, dim)
                            : maas_net_weight_add(net, index, "weight", 2, (int64_t[]){steps, dim},
                                                  MAAS_INIT_NORMAL, steps, dim);
    return maas_b_op2(&net->b, "Add", x, at);
}

/* ---- attention ---- */

typedef struct attention {
    maas_net *net;
    const maas_layer_spec *s;
    int index;
    int64_t steps, dim, each; /* features of a head */
} attention;

static maas_vid product(const attention *a, maas_vid x, const char *name)
{
    maas_net *net = a->net;
    char words[24];
    const maas_init init = a->s->init == MAAS_INIT_AUTO ? MAAS_INIT_GLOROT_UNIFORM
                                                        : (maas_init)a->s->init;
    snprintf(words, sizeof words, "%s.weight", name);
    maas_vid w = maas_net_weight_add(net, a->index, words, 2, (int64_t[]){a->dim, a->dim}, init,
                                     a->dim, a->dim);
    maas_vid y = maas_b_op2(&net->b, "MatMul", x, w);
    if (!a->s->bias)
        return y;
    snprintf(words, sizeof words, "%s.bias", name);
    return maas_b_op2(&net->b, "Add", y,
                      maas_net_weight_add(net, a->index, words, 1, &a->dim, MAAS_INIT_ZEROS, 1, 1));
}

/* [batch, steps, dim] as [batch, heads, steps, each]; keys as [.., each, steps]. */
static maas_vid split(const attention *a, maas_vid x, bool key)
{
    static const int64_t rows[] = {0, 2, 1, 3}, columns[] = {0, 2, 3, 1};
    maas_builder *b = &a->net->b;
    const maas_attr perm = MAAS_A_INTS("perm", key ? columns : rows, 4);
    x = maas_b_op2(b, "Reshape", x,
                   maas_b_i64s(b, (int64_t[]){0, a->steps, a->s->heads, a->each}, 4));
    return maas_b_node(b, "Transpose", &perm, 1, &x, 1, NULL, 1);
}

/* What a step may not see gets a score that the softmax turns into 0. */
static maas_vid hide(const attention *a, maas_vid score, maas_vid x)
{
    maas_builder *b = &a->net->b;
    const maas_vid never = maas_b_f32(b, -1e9f);
    if (maas_layer_has_lengths(a->net, x)) {
        static const int64_t axes[] = {1, 2};
        const maas_vid seen = maas_b_op2(b, "Unsqueeze", maas_layer_step_mask(a->net),
                                         maas_b_i64s(b, axes, 2));
        score = maas_b_op3(b, "Where", seen, score, never);
    }
    if (a->s->causal) {
        const int64_t two[] = {1, 0};
        const maas_vid range[3] = {maas_b_i64(b, 0), maas_b_i64(b, a->steps), maas_b_i64(b, 1)};
        const maas_vid at = maas_b_node(b, "Range", NULL, 0, range, 3, NULL, 1);
        const maas_vid row = maas_b_op2(b, "Unsqueeze", at, maas_b_i64s(b, &two[0], 1));
        score = maas_b_op3(b, "Where", maas_b_op2(b, "LessOrEqual", at, row), score, never);
    }
    return score;
}

maas_vid maas_attention_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x)
{
    static const int64_t back[] = {0, 2, 1, 3};
    maas_builder *b = &net->b;
    const maas_attr last = MAAS_A_INT("axis", -1), perm = MAAS_A_INTS("perm", back, 4);
    if (!maas_layer_as_steps(net, "attention", index, &x))
        return MAAS_NO_VALUE;
    attention a = {net, s, index, maas_b_type(b, x)->dims[1], maas_b_type(b, x)->dims[2], 0};
    if (a.dim % s->heads) {
        maas_net_fail(net, MAAS_E_INVALID,
                      "params.layers[%d].heads: %lld features cannot be cut into %lld heads", index,
                      (long long)a.dim, (long long)s->heads);
        return MAAS_NO_VALUE;
    }
    a.each = a.dim / s->heads;
    const maas_vid q = split(&a, product(&a, x, "query"), false);
    const maas_vid k = split(&a, product(&a, x, "key"), true);
    const maas_vid v = split(&a, product(&a, x, "value"), false);
    maas_vid score = maas_b_op2(b, "MatMul", q, k);
    score = maas_b_op2(b, "Mul", score, maas_b_f32(b, 1 / sqrtf((float)a.each)));
    score = hide(&a, score, x);
    score = maas_b_node(b, "Softmax", &last, 1, &score, 1, NULL, 1);
    score = maas_layer_drop(net, s->rate, index, score);
    maas_vid y = maas_b_op2(b, "MatMul", score, v);
    y = maas_b_node(b, "Transpose", &perm, 1, &y, 1, NULL, 1);
    y = maas_b_op2(b, "Reshape", y, maas_b_i64s(b, (int64_t[]){0, a.steps, a.dim}, 3));
    return product(&a, y, "output");
}
