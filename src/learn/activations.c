/* learn/activations.c - activation functions by name. The first four are known to net.h by number.
 */
#include "learn/net.h"

#include <math.h>

#include "base/ban.h"

/* x * sigmoid(x): Swish is an operator only from opset 24 on. */
static maas_vid swish(maas_builder *b, maas_vid x)
{
    return maas_b_op2(b, "Mul", x, maas_b_op1(b, "Sigmoid", x));
}

/* x * tanh(softplus(x)): its parts have gradients. */
static maas_vid mish(maas_builder *b, maas_vid x)
{
    return maas_b_op2(b, "Mul", x, maas_b_op1(b, "Tanh", maas_b_op1(b, "Softplus", x)));
}

static maas_vid relu6(maas_builder *b, maas_vid x)
{
    return maas_b_op3(b, "Clip", x, maas_b_f32(b, 0), maas_b_f32(b, 6));
}

#define ACTIVATIONS(X)                                                                             \
    /*  name               ONNX operator      relu   alpha beta */                                 \
    X("none", NULL, NULL, false, NAN, NAN)                                                         \
    X("relu", "Relu", NULL, true, NAN, NAN)                                                        \
    X("softmax", "Softmax", NULL, false, NAN, NAN)                                                 \
    X("sigmoid", "Sigmoid", NULL, false, NAN, NAN)                                                 \
    X("tanh", "Tanh", NULL, false, NAN, NAN)                                                       \
    X("log_softmax", "LogSoftmax", NULL, false, NAN, NAN)                                          \
    X("leaky_relu", "LeakyRelu", NULL, true, 0.01, NAN)                                            \
    X("elu", "Elu", NULL, true, 1.0, NAN)                                                          \
    X("selu", "Selu", NULL, true, NAN, NAN)                                                        \
    X("gelu", "Gelu", NULL, true, NAN, NAN)                                                        \
    X("softplus", "Softplus", NULL, true, NAN, NAN)                                                \
    X("softsign", "Softsign", NULL, false, NAN, NAN)                                               \
    X("hard_sigmoid", "HardSigmoid", NULL, false, 0.2, 0.5)                                        \
    X("hard_swish", "HardSwish", NULL, true, NAN, NAN)                                             \
    X("mish", NULL, mish, true, NAN, NAN)                                                          \
    X("thresholded_relu", "ThresholdedRelu", NULL, true, 1.0, NAN)                                 \
    X("swish", NULL, swish, true, NAN, NAN)                                                        \
    X("relu6", NULL, relu6, true, NAN, NAN)

const maas_activation maas_activations[] = {
#define X(n, o, f, r, a, c)                                                                        \
    {.name = n,                                                                                    \
     .op = o,                                                                                      \
     .compose = f,                                                                                 \
     .relu_like = r,                                                                               \
     .has_alpha = (a) == (a),                                                                      \
     .has_beta = (c) == (c),                                                                       \
     .alpha = a,                                                                                   \
     .beta = c},
    ACTIVATIONS(X)
#undef X
};
const size_t maas_n_activations = MAAS_COUNT(maas_activations);

const char *const maas_activation_names[] = {
#define X(n, o, f, r, a, c) n,
    ACTIVATIONS(X)
#undef X
        NULL};

maas_vid maas_activation_build(maas_builder *b, int which, double alpha, double beta, maas_vid x)
{
    const maas_activation *act = &maas_activations[which];
    if (which == MAAS_ACTIVATION_NONE)
        return x;
    if (act->compose)
        return act->compose(b, x);
    maas_attr attr[3];
    uint32_t n = 0;
    if (act->has_alpha)
        attr[n++] = MAAS_A_FLOAT("alpha", (float)(isnan(alpha) ? act->alpha : alpha));
    if (act->has_beta)
        attr[n++] = MAAS_A_FLOAT("beta", (float)(isnan(beta) ? act->beta : beta));
    if (which == MAAS_ACTIVATION_SOFTMAX || strcmp(act->name, "log_softmax") == 0)
        attr[n++] = MAAS_A_INT("axis", -1);
    maas_vid out = MAAS_NO_VALUE;
    return maas_b_node(b, act->op, attr, n, &x, 1, &out, 1);
}
