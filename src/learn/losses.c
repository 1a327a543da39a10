/* learn/losses.c - the losses. One more: a build function and a line in the table. */
#include "learn/losses.h"

#include "base/ban.h"

static maas_vid reduce_mean(maas_builder *b, maas_vid x)
{
    maas_attr keep = MAAS_A_INT("keepdims", 0);
    maas_vid out = MAAS_NO_VALUE;
    return maas_b_node(b, "ReduceMean", &keep, 1, &x, 1, &out, 1);
}

static maas_vid cross_entropy(maas_builder *b, const maas_loss_spec *s, maas_vid z, maas_vid y,
                              maas_vid weight)
{
    maas_attr mean = MAAS_A_STR("reduction", "mean");
    maas_vid in[3] = {z, y, weight}, out = MAAS_NO_VALUE;
    return maas_b_node(b, "SoftmaxCrossEntropyLoss", &mean, 1, in, weight == MAAS_NO_VALUE ? 2 : 3,
                       &out, 1);
}

/* softplus(z) - y z = max(z,0) - y z + log(1 + exp(-|z|)): no exponent of a positive number. */
static maas_vid binary_cross_entropy(maas_builder *b, const maas_loss_spec *s, maas_vid z,
                                     maas_vid y, maas_vid weight)
{
    maas_vid tail = maas_b_op1(b, "Exp", maas_b_op1(b, "Neg", maas_b_op1(b, "Abs", z)));
    tail = maas_b_op1(b, "Log", maas_b_op2(b, "Add", tail, maas_b_f32(b, 1)));
    maas_vid loss = maas_b_op2(b, "Sub", maas_b_op1(b, "Relu", z), maas_b_op2(b, "Mul", y, z));
    loss = maas_b_op2(b, "Add", loss, tail);
    if (weight == MAAS_NO_VALUE)
        return reduce_mean(b, loss);
    /* weight[0] + y (weight[1] - weight[0]) for each row; mean over the weights */
    maas_vid w0 = maas_b_op2(b, "Gather", weight, maas_b_i64s(b, (int64_t[]){0}, 1));
    maas_vid w1 = maas_b_op2(b, "Gather", weight, maas_b_i64s(b, (int64_t[]){1}, 1));
    maas_vid w = maas_b_op2(b, "Add", w0, maas_b_op2(b, "Mul", y, maas_b_op2(b, "Sub", w1, w0)));
    return maas_b_op2(b, "Div", reduce_mean(b, maas_b_op2(b, "Mul", loss, w)), reduce_mean(b, w));
}

static maas_vid mse(maas_builder *b, const maas_loss_spec *s, maas_vid z, maas_vid y,
                    maas_vid weight)
{
    maas_vid d = maas_b_op2(b, "Sub", z, y);
    return reduce_mean(b, maas_b_op2(b, "Mul", d, d));
}

static maas_vid mae(maas_builder *b, const maas_loss_spec *s, maas_vid z, maas_vid y,
                    maas_vid weight)
{
    return reduce_mean(b, maas_b_op1(b, "Abs", maas_b_op2(b, "Sub", z, y)));
}

/* With q = min(|e|, delta): q (|e| - q/2), i.e. e^2/2 near zero and a line further out. */
static maas_vid huber(maas_builder *b, const maas_loss_spec *s, maas_vid z, maas_vid y,
                      maas_vid weight)
{
    maas_vid e = maas_b_op1(b, "Abs", maas_b_op2(b, "Sub", z, y));
    maas_vid q = maas_b_op2(b, "Min", e, maas_b_f32(b, (float)s->delta));
    maas_vid half = maas_b_op2(b, "Mul", q, maas_b_f32(b, 0.5f));
    return reduce_mean(b, maas_b_op2(b, "Mul", q, maas_b_op2(b, "Sub", e, half)));
}

static const maas_param huber_rows[] = {
    {"delta", MAAS_PARAM_NUM, offsetof(maas_loss_spec, delta), 1e-6, 1e6, 1,
     .help = "errors above it count linearly; in deviations of the target when that is scaled"},
};

const maas_loss maas_losses[MAAS_N_LOSSES] = {
    [MAAS_LOSS_AUTO] = {{"auto", "cross_entropy for classes, mse for numbers"},
                        MAAS_LOSS_VALUES,
                        MAAS_ACTIVATION_NONE,
                        NULL},
    [MAAS_LOSS_CROSS_ENTROPY] = {{"cross_entropy", "one of k classes"},
                                 MAAS_LOSS_CLASSES,
                                 MAAS_ACTIVATION_SOFTMAX,
                                 cross_entropy},
    [MAAS_LOSS_BINARY] = {{"binary_cross_entropy", "one of two classes, or chances in 0..1"},
                          MAAS_LOSS_CHANCES,
                          MAAS_ACTIVATION_SIGMOID,
                          binary_cross_entropy},
    [MAAS_LOSS_MSE] = {{"mse", "mean squared error"}, MAAS_LOSS_VALUES, MAAS_ACTIVATION_NONE, mse},
    {{"mae", "mean absolute error"}, MAAS_LOSS_VALUES, MAAS_ACTIVATION_NONE, mae},
    {{"huber", "squared near zero, absolute further out", huber_rows, MAAS_COUNT(huber_rows)},
     MAAS_LOSS_VALUES,
     MAAS_ACTIVATION_NONE,
     huber},
};
