/* formats/keras/recurrent.c - SimpleRNN, LSTM, GRU, and the wrappers of layers over time. */
#include <string.h>

#include "formats/keras/keras_int.h"
#include "base/ban.h"

/* How a cell of Keras stands to the operator of ONNX. */
typedef struct cell {
    const char *class_name, *op;
    int gates;
    int order[4];      /* gate i of ONNX is gate order[i] of Keras (i f c o; z r h) */
    int n_recurrent;   /* recurrent activations, which come first */
    int n_activations; /* what the operator wants */
} cell;

static const cell cells[] = {
    {"SimpleRNN", "RNN", 1, {0}, 0, 1},
    {"LSTM", "LSTM", 4, {0, 3, 1, 2}, 1, 3},
    {"GRU", "GRU", 3, {0, 1, 2}, 1, 2},
};

static const struct {
    const char *keras, *onnx;
    float alpha, beta;
} activation_words[] = {
    {"tanh", "Tanh", 0, 0},     {"sigmoid", "Sigmoid", 0, 0},   {"relu", "Relu", 0, 0},
    {"linear", "Affine", 1, 0}, {"softsign", "Softsign", 0, 0}, {"softplus", "Softplus", 0, 0},
    {"elu", "Elu", 1, 0},
};

typedef struct words {
    maas_str name[3];
    float alpha[3], beta[3];
} words;

static void add_word(kr *k, const kr_layer *l, const char *key, const char *otherwise, int at,
                     words *w)
{
    const char *name = kr_activation_name(k, l, key, otherwise);
    if (!name)
        return;
    if (strcmp(name, "hard_sigmoid") == 0) {
        w->name[at] = (maas_str){"HardSigmoid", strlen("HardSigmoid")};
        w->alpha[at] = k->before_3 ? 0.2f : 1.0f / 6;
        w->beta[at] = 0.5f;
        return;
    }
    for (size_t i = 0; i < MAAS_COUNT(activation_words); i++)
        if (strcmp(activation_words[i].keras, name) == 0) {
            w->name[at] = (maas_str){activation_words[i].onnx, strlen(activation_words[i].onnx)};
            w->alpha[at] = activation_words[i].alpha;
            w->beta[at] = activation_words[i].beta;
            return;
        }
    kr_fail(k, l, MAAS_E_UNSUPPORTED, "%s '%.40s' is not supported in recurrent layers", key, name);
}

/* [n, gates * units] of Keras to [1, gates * units, n] of ONNX. */
static maas_vid gate_matrix(kr *k, kr_layer *l, const cell *c, int index, int64_t n, int64_t units)
{
    const int64_t dims[3] = {1, c->gates * units, n};
    maas_tensor from, to;
    if (!kr_take(k, l, "cell", index, 2, (int64_t[]){n, c->gates * units}, &from) ||
        !kr_tensor(k, 3, dims, &to))
        return MAAS_NO_VALUE;
    const float *w = from.data;
    float *out = to.data;
    for (int g = 0; g < c->gates; g++)
        for (int64_t u = 0; u < units; u++)
            for (int64_t i = 0; i < n; i++)
                out[(g * units + u) * n + i] = w[(i * c->gates + c->order[g]) * units + u];
    return kr_const(k, &to);
}

/* [gates * units], or [2, gates * units] with the recurrent ones, to [1, 2 * gates * units]. */
static maas_vid gate_biases(kr *k, kr_layer *l, const cell *c, int64_t units, bool both)
{
    const int64_t n = c->gates * units, two[2] = {2, n}, dims[2] = {1, 2 * n};
    maas_tensor from, to;
    if (!kr_bool(k, l, "use_bias", true))
        return MAAS_NO_VALUE;
    if (!kr_take(k, l, "cell", 2, both ? 2 : 1, both ? two : &n, &from) ||
        !kr_tensor(k, 2, dims, &to))
        return MAAS_NO_VALUE;
    for (int half = 0; half < 1 + both; half++)
        for (int g = 0; g < c->gates; g++)
            memcpy((float *)to.data + half * n + g * units,
                   (const float *)from.data + half * n + c->order[g] * units,
                   (size_t)units * sizeof(float));
    return kr_const(k, &to);
}

static bool refused(kr *k, const kr_layer *l)
{
    static const char *const not_done[] = {"return_state", "stateful"};
    for (size_t i = 0; i < MAAS_COUNT(not_done); i++)
        if (kr_bool(k, l, not_done[i], false)) {
            kr_fail(k, l, MAAS_E_UNSUPPORTED, "%s is not supported", not_done[i]);
            return true;
        }
    return !kr_ok(k);
}

/* x [n, time, f]: [n, time, units] in the order of time, or the last state [n, units]. */
static maas_vid run_cell(kr *k, kr_layer *l, const cell *c, maas_vid x, bool reverse, bool all)
{
    static const int64_t by_time[3] = {1, 0, 2};
    const int64_t units = kr_need_int(k, l, "units", 1, 1 << 16), first = 0, dirs = 1;
    const bool gru = c->gates == 3, reset_after = gru && kr_bool(k, l, "reset_after", !k->before_3);
    words w = {0};
    maas_vid out[2] = {MAAS_NO_VALUE, MAAS_NO_VALUE};
    for (int i = 0; i < c->n_activations; i++)
        add_word(k, l, i < c->n_recurrent ? "recurrent_activation" : "activation",
                 i < c->n_recurrent ? "sigmoid" : "tanh", i, &w);
    if (refused(k, l))
        return MAAS_NO_VALUE;
    const maas_attr a[] = {
        MAAS_A_INT("hidden_size", units),
        MAAS_A_STR("direction", reverse ? "reverse" : "forward"),
        {.name = "activations",
         .type = MAAS_ATTR_STRINGS,
         .n = (uint32_t)c->n_activations,
         .u.strings = w.name},
        {.name = "activation_alpha",
         .type = MAAS_ATTR_FLOATS,
         .n = (uint32_t)c->n_activations,
         .u.floats = w.alpha},
        {.name = "activation_beta",
         .type = MAAS_ATTR_FLOATS,
         .n = (uint32_t)c->n_activations,
         .u.floats = w.beta},
        MAAS_A_INT("linear_before_reset", reset_after),
    };
    const int64_t f = kr_size(k, l, x, 2);
    maas_vid in[4] = {kr_transpose(k, x, 3, by_time), gate_matrix(k, l, c, 0, f, units),
                      gate_matrix(k, l, c, 1, units, units),
                      gate_biases(k, l, c, units, reset_after)};
    maas_b_node(&k->b, c->op, a, MAAS_COUNT(a) - !gru, in, in[3] == MAAS_NO_VALUE ? 3 : 4, out, 2);
    if (!all)
        return maas_b_op2(&k->b, "Squeeze", out[1], maas_b_i64s(&k->b, &first, 1));
    out[0] = maas_b_op2(&k->b, "Squeeze", out[0], maas_b_i64s(&k->b, &dirs, 1));
    return kr_transpose(k, out[0], 3, by_time);
}

static const cell *cell_of(const char *class_name)
{
    for (size_t i = 0; i < MAAS_COUNT(cells); i++)
        if (strcmp(cells[i].class_name, class_name) == 0)
            return &cells[i];
    return NULL;
}

/* Keras gives the sequence of a layer that goes backwards in the order of its steps. */
static maas_vid recurrent(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    const bool all = kr_bool(k, l, "return_sequences", false);
    const bool back = kr_bool(k, l, "go_backwards", false);
    maas_vid y = run_cell(k, l, cell_of(l->class_name), in[0], back, all);
    return all && back ? kr_slice(k, y, 1, -1, INT64_MIN, -1) : y;
}

static maas_vid bidirectional(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    static const char *const modes[] = {"concat", "sum", "mul", "ave", NULL};
    static const char *const ops[] = {NULL, "Add", "Mul", "Add"};
    const json_t *inside = kr_arg(l, "layer"), *backward = kr_arg(l, "backward_layer");
    const int mode = kr_word(k, l, "merge_mode", modes, -1);
    kr_layer half[2];
    maas_vid y[2] = {MAAS_NO_VALUE, MAAS_NO_VALUE};
    if (mode < 0)
        return kr_fail(k, l, MAAS_E_UNSUPPORTED, "merge_mode null gives two outputs");
    for (int i = 0; i < 2; i++) {
        if (!kr_inner(k, l, i && backward ? backward : inside,
                      i ? "backward_layer" : "forward_layer", &half[i]))
            return MAAS_NO_VALUE;
        const cell *c = cell_of(half[i].class_name);
        if (!c)
            return kr_fail(k, l, MAAS_E_UNSUPPORTED, "the layer inside, %.40s, is not recurrent",
                           half[i].class_name);
        half[i].next = l->next;
        /* without a layer of its own, backward is the forward one turned around */
        const bool back = kr_bool(k, &half[i], "go_backwards", false) != (i && !backward);
        if (back != (i == 1))
            return kr_fail(k, l, MAAS_E_UNSUPPORTED, "go_backwards of the layers inside");
        y[i] = run_cell(k, &half[i], c, in[0], back,
                        kr_bool(k, &half[i], "return_sequences", false));
        l->next = half[i].next;
    }
    if (mode == 0)
        return kr_concat(k, y, 2, -1);
    const maas_vid sum = maas_b_op2(&k->b, ops[mode], y[0], y[1]);
    return mode == 3 ? maas_b_op2(&k->b, "Mul", sum, maas_b_f32(&k->b, 0.5f)) : sum;
}

/* A step is a row: [n, time, ...] to [n * time, ...] and back. */
static maas_vid time_distributed(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    const maas_type *t = kr_type(k, in[0]);
    const int rank = t->rank;
    int64_t dims[MAAS_MAX_RANK] = {-1};
    kr_layer inside;
    if (rank < 3 || !kr_inner(k, l, kr_arg(l, "layer"), "layer", &inside))
        return kr_fail(k, l, MAAS_E_UNSUPPORTED, "its input needs three dimensions or more");
    const int64_t steps = kr_size(k, l, in[0], 1);
    for (int i = 2; i < rank; i++)
        dims[i - 1] = kr_size(k, l, in[0], i);
    maas_vid x = kr_reshape(k, in[0], dims, rank - 1);
    inside.next = l->next;
    x = kr_call(k, &inside, &x, 1);
    l->next = inside.next;
    const int out_rank = kr_type(k, x)->rank;
    if (!kr_ok(k) || out_rank < 1 || out_rank >= MAAS_MAX_RANK)
        return kr_fail(k, l, MAAS_E_UNSUPPORTED, "the shape of the layer inside is not known");
    dims[1] = steps;
    for (int i = 1; i < out_rank; i++)
        dims[i + 1] = kr_size(k, &inside, x, i);
    return kr_reshape(k, x, dims, out_rank + 1);
}

#define COMMON                                                                                     \
    "units activation use_bias dropout recurrent_dropout return_sequences return_state "           \
    "go_backwards stateful unroll time_major implementation zero_output_for_mask"

const kr_row kr_recurrent[] = {
    {"SimpleRNN", recurrent, COMMON, 3, 1, 1, 0},
    {"LSTM", recurrent, COMMON " recurrent_activation unit_forget_bias use_cudnn", 3, 1, 1, 0},
    {"GRU", recurrent, COMMON " recurrent_activation reset_after use_cudnn", 3, 1, 1, 0},
    {"Bidirectional", bidirectional, "layer backward_layer merge_mode", 3, 1, 1, 0},
    {"TimeDistributed", time_distributed, "layer", 0, 1, 1, 0},
    {0},
};
