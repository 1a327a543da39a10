/* formats/sklearn/neural.c - multi-layer perceptrons: dense layers, one activation between all. */
#include <string.h>

#include "formats/sklearn/sklearn.h"
#include "base/ban.h"

static maas_vid identity(maas_sk *s, maas_vid x)
{
    return x;
}

static maas_vid relu(maas_sk *s, maas_vid x)
{
    return maas_b_op1(&s->b, "Relu", x);
}

static maas_vid tanh_of(maas_sk *s, maas_vid x)
{
    return maas_b_op1(&s->b, "Tanh", x);
}

static maas_vid exp_of(maas_sk *s, maas_vid x)
{
    return maas_b_op1(&s->b, "Exp", x);
}

static const char *const activation_names[] = {"identity", "logistic", "tanh", "relu",
                                               "softmax",  "exp",      NULL};
static maas_vid (*const activations[])(maas_sk *s, maas_vid x) = {
    identity, maas_sk_sigmoid, tanh_of, relu, maas_sk_softmax, exp_of};

/* The last layer's output [n, n_out]; n_out -1: any, and which it is. */
static maas_status layers(maas_sk *s, const maas_pk *est, const maas_sk_table *in, int64_t *n_out,
                          maas_vid *out)
{
    const maas_pk *coefs = maas_pk_attr(est, "coefs_");
    const maas_pk *intercepts = maas_pk_attr(est, "intercepts_");
    const int64_t n = maas_pk_count(coefs);
    int64_t dims[2] = {-1, -1};
    int hidden, last;
    if (n == 0 || maas_pk_count(intercepts) != n)
        return maas_sk_fail(s, MAAS_E_FORMAT, "coefs_ and intercepts_ do not fit together");
    MAAS_TRY(maas_sk_word(s, est, "activation", activation_names, 3, &hidden));
    MAAS_TRY(maas_sk_word(s, est, "out_activation_", activation_names, 0, &last));
    for (int64_t i = 0; i < n; i++) {
        const maas_tensor *w, *bias;
        MAAS_TRY(maas_sk_array_of(s, maas_pk_at(coefs, i), "coefs_", MAAS_F64, 2, dims, false, &w));
        MAAS_TRY(maas_sk_array_of(s, maas_pk_at(intercepts, i), "intercepts_", MAAS_F64, 1,
                                  &dims[1], false, &bias));
        if (i == 0)
            *out = maas_sk_matrix(s, in, dims[0]);
        *out = activations[i + 1 < n ? hidden : last](s, maas_sk_affine(s, *out, w, bias));
        dims[0] = dims[1]; /* what the next layer takes */
        dims[1] = -1;
    }
    if (*n_out >= 0 && *n_out != dims[0])
        return maas_sk_fail(s, MAAS_E_FORMAT, "the last layer gives %lld values, expected %lld",
                            (long long)dims[0], (long long)*n_out);
    *n_out = dims[0];
    return s->b.status;
}

static maas_status mlp_regressor(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                 unsigned need, maas_sk_out *out)
{
    int64_t n = -1;
    MAAS_TRY(layers(s, est, in, &n, &out->value));
    if (n == 1)
        out->value = maas_sk_flat(s, out->value);
    return s->b.status;
}

/* Several labels a row: each output is a class of its own. */
static maas_status multilabel(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                              maas_sk_out *out)
{
    int64_t n = -1;
    MAAS_TRY(layers(s, est, in, &n, &out->probabilities));
    maas_vid is = maas_b_op2(&s->b, "Greater", out->probabilities, maas_sk_f64(s, 0.5));
    out->label = maas_sk_cast(s, is, MAAS_I64);
    return s->b.status;
}

static maas_status mlp_classifier(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                  unsigned need, maas_sk_out *out)
{
    const maas_pk *binarizer = maas_pk_attr(est, "_label_binarizer");
    maas_vid p, best;
    if (maas_sk_is_word(maas_pk_attr(binarizer, "y_type_"), "multilabel-indicator"))
        return multilabel(s, est, in, out);
    MAAS_TRY(maas_sk_classes(s, est, "classes_", -1, &out->classes));
    int64_t k = out->classes->dims[0], n = k == 2 ? 1 : k;
    MAAS_TRY(layers(s, est, in, &n, &p));
    if (k == 2) {
        best = maas_b_op2(&s->b, "Greater", maas_sk_flat(s, p), maas_sk_f64(s, 0.5));
        p = maas_sk_both(s, p);
    } else {
        best = maas_sk_argmax(s, p);
    }
    out->probabilities = p;
    out->label = maas_sk_label(s, best, out->classes);
    return s->b.status;
}

#define MODULES                                                                                    \
    "sklearn.neural_network._multilayer_perceptron sklearn.neural_network.multilayer_perceptron"

const maas_sk_row maas_sk_neural[] = {
    {"MLPClassifier", MODULES, MAAS_SK_CLASSIFIER, mlp_classifier},
    {"MLPRegressor", MODULES, MAAS_SK_REGRESSOR, mlp_regressor},
    {0},
};
