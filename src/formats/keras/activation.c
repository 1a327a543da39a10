/* formats/keras/activation.c - activations, as arguments of layers and as layers. */
#include <string.h>

#include "formats/keras/keras_int.h"
#include "base/ban.h"

typedef maas_vid (*activation_fn)(kr *k, maas_vid x, const void *arg);

static maas_vid plain(kr *k, maas_vid x, const void *op)
{
    return maas_b_op1(&k->b, op, x);
}

static maas_vid linear(kr *k, maas_vid x, const void *arg)
{
    return x;
}

static maas_vid clip(kr *k, maas_vid x, double lo, double hi)
{
    return maas_b_op3(&k->b, "Clip", x, maas_b_f32(&k->b, (float)lo), maas_b_f32(&k->b, (float)hi));
}

static maas_vid relu6(kr *k, maas_vid x, const void *arg)
{
    return clip(k, x, 0, 6);
}

static maas_vid leaky_relu(kr *k, maas_vid x, const void *arg)
{
    return kr_op1(k, "LeakyRelu", MAAS_A_FLOAT("alpha", 0.2f), x);
}

static maas_vid softmax(kr *k, maas_vid x, const void *op)
{
    return kr_op1(k, op, MAAS_A_INT("axis", -1), x);
}

static maas_vid selu(kr *k, maas_vid x, const void *arg)
{
    const maas_attr a[2] = {MAAS_A_FLOAT("alpha", 1.6732632423543772f),
                            MAAS_A_FLOAT("gamma", 1.0507009873554805f)};
    return maas_b_node(&k->b, "Selu", a, 2, &x, 1, NULL, 1);
}

static maas_vid swish(kr *k, maas_vid x, const void *arg)
{
    return maas_b_op2(&k->b, "Mul", x, maas_b_op1(&k->b, "Sigmoid", x));
}

/* Keras 3: relu6(x + 3) / 6; before: 0.2 x + 0.5 within 0 and 1. */
static maas_vid hard_sigmoid(kr *k, maas_vid x, const void *arg)
{
    const maas_attr a[2] = {MAAS_A_FLOAT("alpha", k->before_3 ? 0.2f : 1.0f / 6),
                            MAAS_A_FLOAT("beta", 0.5f)};
    return maas_b_node(&k->b, "HardSigmoid", a, 2, &x, 1, NULL, 1);
}

static const struct activation {
    const char *name;
    activation_fn build;
    const void *arg;
} activations[] = {
    {"linear", linear, NULL},
    {"relu", plain, "Relu"},
    {"relu6", relu6, NULL},
    {"sigmoid", plain, "Sigmoid"},
    {"tanh", plain, "Tanh"},
    {"softmax", softmax, "Softmax"},
    {"log_softmax", softmax, "LogSoftmax"},
    {"elu", plain, "Elu"},
    {"selu", selu, NULL},
    {"gelu", plain, "Gelu"},
    {"silu", swish, NULL},
    {"swish", swish, NULL},
    {"softplus", plain, "Softplus"},
    {"softsign", plain, "Softsign"},
    {"exponential", plain, "Exp"},
    {"leaky_relu", leaky_relu, NULL},
    {"hard_sigmoid", hard_sigmoid, NULL},
    {"hard_silu", plain, "HardSwish"},
    {"hard_swish", plain, "HardSwish"},
    {"mish", plain, "Mish"},
    {"celu", plain, "Celu"},
};

const char *kr_activation_name(kr *k, const kr_layer *l, const char *key, const char *otherwise)
{
    const json_t *v = kr_arg(l, key);
    const char *name = json_string_value(v);
    if (!v)
        return otherwise;
    /* a function that is no string is one of the user's, or a layer with arguments */
    if (json_is_object(v))
        name = json_string_value(json_object_get(v, "config"));
    if (name)
        return name;
    kr_fail(k, l, MAAS_E_UNSUPPORTED, "%s is no activation by name; give it a layer of its own",
            key);
    return NULL;
}

maas_vid kr_activate(kr *k, const kr_layer *l, const char *key, maas_vid x)
{
    const char *name = kr_activation_name(k, l, key, "linear");
    for (size_t i = 0; name && i < MAAS_COUNT(activations); i++)
        if (strcmp(activations[i].name, name) == 0)
            return activations[i].build(k, x, activations[i].arg);
    return kr_fail(k, l, MAAS_E_UNSUPPORTED, "the activation '%.60s' is not known",
                   name ? name : "");
}

/* ---- layers ---- */

static maas_vid activation_layer(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    return kr_activate(k, l, "activation", in[0]);
}

static maas_vid scaled(kr *k, maas_vid x, double by)
{
    return maas_b_op2(&k->b, "Mul", x, maas_b_f32(&k->b, (float)by));
}

/* x above the threshold, up to max_value; slope * (x - threshold) below. */
static maas_vid relu_layer(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    maas_builder *b = &k->b;
    const double slope = kr_float(k, l, "negative_slope", 0), t = kr_float(k, l, "threshold", 0);
    const maas_vid at = maas_b_f32(b, (float)t);
    maas_vid y = maas_b_op1(b, "Relu", in[0]);
    if (t != 0)
        y = maas_b_op3(b, "Where", maas_b_op2(b, "Greater", in[0], at), in[0], maas_b_f32(b, 0));
    if (kr_arg(l, "max_value"))
        y = clip(k, y, 0, kr_float(k, l, "max_value", 0));
    if (slope == 0)
        return y;
    maas_vid below = maas_b_op1(b, "Relu", maas_b_op2(b, "Sub", at, in[0]));
    return maas_b_op2(b, "Sub", y, scaled(k, below, slope));
}

/* The argument that Keras 3 calls negative_slope was alpha. */
static maas_vid leaky_relu_layer(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    const char *key = kr_arg(l, "negative_slope") ? "negative_slope" : "alpha";
    return kr_op1(k, "LeakyRelu", MAAS_A_FLOAT("alpha", (float)kr_float(k, l, key, 0.3)), in[0]);
}

static maas_vid elu_layer(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    return kr_op1(k, "Elu", MAAS_A_FLOAT("alpha", (float)kr_float(k, l, "alpha", 1)), in[0]);
}

/* Slopes of the shape of a row, 1 along shared axes. */
static maas_vid prelu_layer(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    const maas_type *t = kr_type(k, in[0]);
    int64_t dims[MAAS_MAX_RANK];
    const json_t *shared = kr_arg(l, "shared_axes");
    if (t->rank < 2)
        return kr_fail(k, l, MAAS_E_UNSUPPORTED, "its input needs two dimensions or more");
    for (int i = 1; i < t->rank; i++) {
        dims[i - 1] = t->dims[i] >= 0 ? t->dims[i] : -1;
        for (size_t j = 0; j < json_array_size(shared); j++)
            if (json_integer_value(json_array_get(shared, j)) == i)
                dims[i - 1] = 1;
    }
    return maas_b_op2(&k->b, "PRelu", in[0], kr_weight(k, l, "", 0, t->rank - 1, dims));
}

static maas_vid softmax_layer(kr *k, kr_layer *l, const maas_vid *in, uint32_t n)
{
    const int64_t axis = kr_axis(k, l, "axis", -1, kr_type(k, in[0])->rank);
    return kr_op1(k, "Softmax", MAAS_A_INT("axis", axis), in[0]);
}

const kr_row kr_activations[] = {
    {"Activation", activation_layer, "activation", 0, 1, 1, 0},
    {"ReLU", relu_layer, "max_value negative_slope threshold", 0, 1, 1, 0},
    {"LeakyReLU", leaky_relu_layer, "negative_slope alpha", 0, 1, 1, 0},
    {"ELU", elu_layer, "alpha", 0, 1, 1, 0},
    {"PReLU", prelu_layer, "shared_axes", 0, 1, 1, 0},
    {"Softmax", softmax_layer, "axis", 0, 1, 1, 0},
    {0},
};
