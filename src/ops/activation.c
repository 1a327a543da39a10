/*
 * Activations, and the gradient of each as one fused operator of ours, <Name>Grad(dY, V): a chain
 * of plain nodes would walk memory three to eight times. V is the output y where the slope follows
 * from it (Relu, Sigmoid, Tanh), so x can be forgotten; otherwise the input x.
 */
#include "ops/unary_int.h"

#include "base/ban.h"

/* Each pair: f(x), and its slope in terms of x or y. Attribute values are a and b. */
static double relu(double x, double a, double b)
{
    return x > 0 || x != x ? x : 0;
}
static double relu_slope(double y, double a, double b)
{
    return y > 0;
}
static int64_t relu_int(int64_t x, bool is_signed)
{
    return is_signed && x < 0 ? 0 : x;
}
static double sigmoid(double x, double a, double b)
{
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}
static double sigmoid_slope(double y, double a, double b)
{
    return y * (1 - y);
}
static double tanh_of(double x, double a, double b)
{
    return tanh(x);
}
static double tanh_of_slope(double y, double a, double b)
{
    return 1 - y * y;
}
static double leaky(double x, double a, double b)
{
    return x < 0 ? a * x : x;
}
static double leaky_slope(double x, double a, double b)
{
    return x < 0 ? a : 1;
}
static double elu(double x, double a, double b)
{
    return x < 0 ? a * expm1(x) : x;
}
static double elu_slope(double x, double a, double b)
{
    return x < 0 ? a * exp(x) : 1;
}
static double selu(double x, double a, double b)
{
    return b * (x <= 0 ? a * expm1(x) : x);
}
static double selu_slope(double x, double a, double b)
{
    return b * (x <= 0 ? a * exp(x) : 1);
}
static double softplus(double x, double a, double b)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}
static double softplus_slope(double x, double a, double b)
{
    return sigmoid(x, 0, 0);
}
static double softsign(double x, double a, double b)
{
    return x / (1 + fabs(x));
}
static double softsign_slope(double x, double a, double b)
{
    return 1 / ((1 + fabs(x)) * (1 + fabs(x)));
}
static double hard_sigmoid(double x, double a, double b)
{
    double y = a * x + b; /* comparisons, so that a NaN passes */
    return y < 0 ? 0 : y > 1 ? 1 : y;
}
static double hard_sigmoid_slope(double x, double a, double b)
{
    double y = a * x + b;
    return y > 0 && y < 1 ? a : 0;
}
static double swish(double x, double a, double b)
{
    return x * sigmoid(a * x, 0, 0);
}
static double swish_slope(double x, double a, double b)
{
    const double s = sigmoid(a * x, 0, 0);
    return s + a * x * s * (1 - s);
}
static double hard_swish(double x, double a, double b)
{
    return x * hard_sigmoid(x, 1.0 / 6, 0.5);
}
static double hard_swish_slope(double x, double a, double b)
{
    return x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + 0.5;
}
static double thresholded(double x, double a, double b)
{
    return x > a ? x : 0;
}
static double thresholded_slope(double x, double a, double b)
{
    return x > a;
}
static double celu(double x, double a, double b)
{
    return x < 0 ? a * expm1(x / a) : x;
}
static double celu_slope(double x, double a, double b)
{
    return x < 0 ? exp(x / a) : 1;
}
static double mish(double x, double a, double b)
{
    return x * tanh(softplus(x, 0, 0));
}
static double mish_slope(double x, double a, double b)
{
    const double t = tanh(softplus(x, 0, 0));
    return t + x * (1 - t * t) * sigmoid(x, 0, 0);
}
/* a: 0 exact, x * Phi(x); 1 the tanh approximation (D. Hendrycks, K. Gimpel, 2016). */
static double gelu(double x, double a, double b)
{
    double inner = a == 0 ? erf(x * M_SQRT1_2)
                          : tanh(M_2_SQRTPI * M_SQRT1_2 * (x + 0.044715 * x * x * x));
    return 0.5 * x * (1 + inner);
}
static double gelu_slope(double x, double a, double b)
{
    const double k = M_2_SQRTPI * M_SQRT1_2; /* sqrt(2 / pi) */
    if (a == 0)
        return 0.5 * (1 + erf(x * M_SQRT1_2)) + 0.5 * k * x * exp(-0.5 * x * x);
    double t = tanh(k * (x + 0.044715 * x * x * x));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * k * (1 + 3 * 0.044715 * x * x);
}

/* ---- attributes ---- */

typedef struct numbers {
    double a, b;
} numbers;

static const maas_attr_schema alpha_beta[] = {{"alpha", MAAS_ATTR_FLOAT, false},
                                              {"beta", MAAS_ATTR_FLOAT, false}};
static const maas_attr_schema alpha_gamma[] = {{"alpha", MAAS_ATTR_FLOAT, false},
                                               {"gamma", MAAS_ATTR_FLOAT, false}};
static const maas_attr_schema word_only[] = {{"approximate", MAAS_ATTR_STRING, false}};

/* SELU calls its second number gamma; GELU has a word. */
static numbers numbers_of(const maas_node *n, float a, float b, const char *second)
{
    maas_str word = maas_attr_s(n, "approximate", "none");
    if (word.n == 4 && memcmp(word.p, "tanh", 4) == 0)
        return (numbers){1, 0};
    return (numbers){maas_attr_f(n, "alpha", a), maas_attr_f(n, second, b)};
}

static maas_status gelu_infer(maas_infer *q, maas_err *err)
{
    maas_str word = maas_attr_s(q->node, "approximate", "none");
    if (word.n != 4 || (memcmp(word.p, "tanh", 4) != 0 && memcmp(word.p, "none", 4) != 0))
        return maas_fail(err, MAAS_E_INVALID, "attribute 'approximate' must be none or tanh");
    q->out[0] = q->in[0];
    return MAAS_OK;
}

/* The gradient node takes over the attributes of the forward node as they are. */
static void fused_gradient(maas_grad *g, const char *op, bool from_output)
{
    const maas_vid in[2] = {g->dout[0], from_output ? g->node->out[0] : g->node->in[0]};
    g->din[0] = maas_b_node(g->b, op, g->node->attr, g->node->n_attr, in, 2, NULL, 1);
}

static const maas_io_schema grad_in[] = {MAAS_REQ("dY", "T", MAAS_DTS_FLOAT),
                                         MAAS_REQ("V", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema grad_out[] = {MAAS_REQ("dX", "T", MAAS_DTS_FLOAT)};
static const maas_dtype others[] = {MAAS_I32, MAAS_I64, MAAS_F16, MAAS_BF16};

/* FROM: does the slope follow from the output y (1) or the input x (0)? second: attribute of b. */
#define ACTIVATION(Name, fn, version, schema, whole, n_other, from_y, a0, b0, second, attrs,       \
                   n_attrs, infer_fn)                                                              \
    static maas_status fn##_reference(const maas_call *c, maas_err *err)                           \
    {                                                                                              \
        numbers p = numbers_of(c->node, a0, b0, second);                                           \
        maas_unary_run(c, fn, whole, p.a, p.b);                                                    \
        return MAAS_OK;                                                                            \
    }                                                                                              \
    static maas_status fn##_grad_reference(const maas_call *c, maas_err *err)                      \
    {                                                                                              \
        numbers p = numbers_of(c->node, a0, b0, second);                                           \
        maas_unary_grad_run(c, fn##_slope, p.a, p.b);                                              \
        return MAAS_OK;                                                                            \
    }                                                                                              \
    static float fn##_scalar(const maas_node *n, const float *in, int n_in)                        \
    {                                                                                              \
        numbers p = numbers_of(n, a0, b0, second);                                                 \
        return (float)fn(in[0], p.a, p.b);                                                         \
    }                                                                                              \
    static float fn##_grad_scalar(const maas_node *n, const float *in, int n_in)                   \
    {                                                                                              \
        numbers p = numbers_of(n, a0, b0, second);                                                 \
        double slope = fn##_slope(in[1], p.a, p.b);                                                \
        return slope == 0 ? 0 : (float)(in[0] * slope);                                            \
    }                                                                                              \
    static void fn##_example(maas_example *e)                                                      \
    {                                                                                              \
        maas_unary_example(e, #Name, -4, 4, others);                                               \
    }                                                                                              \
    static void fn##_grad_example(maas_example *e)                                                 \
    {                                                                                              \
        maas_unary_grad_example(e, #Name "Grad", from_y ? 0 : -4, from_y ? 1 : 4);                 \
    }                                                                                              \
    static void fn##_gradient(maas_grad *g)                                                        \
    {                                                                                              \
        fused_gradient(g, #Name "Grad", from_y);                                                   \
    }                                                                                              \
    const maas_op maas_op_##Name = {                                                               \
        .domain = "",                                                                              \
        .name = #Name,                                                                             \
        .since = version,                                                                          \
        .flags = MAAS_OP_ELEMENTWISE | MAAS_OP_INPLACE,                                            \
        MAAS_SCHEMA(maas_unary_##schema##_in, maas_unary_##schema##_out),                          \
        .attr = attrs,                                                                             \
        .n_attr = n_attrs,                                                                         \
        .n_examples = MAAS_N_UNARY + n_other,                                                      \
        .tolerance = 1e-5,                                                                         \
        .infer = infer_fn,                                                                         \
        .reference = fn##_reference,                                                               \
        .flops = maas_flops_out,                                                                   \
        .example = fn##_example,                                                                   \
        .gradient = fn##_gradient,                                                                 \
        .scalar = fn##_scalar,                                                                     \
    };                                                                                             \
    const maas_op maas_op_##Name##Grad = {                                                         \
        .domain = MAAS_DOMAIN_OWN,                                                                 \
        .name = #Name "Grad",                                                                      \
        .since = 1,                                                                                \
        .flags = MAAS_OP_ELEMENTWISE | MAAS_OP_INPLACE,                                            \
        MAAS_SCHEMA(grad_in, grad_out),                                                            \
        .attr = attrs,                                                                             \
        .n_attr = n_attrs,                                                                         \
        .n_examples = MAAS_N_UNARY,                                                                \
        .tolerance = 1e-5,                                                                         \
        .infer = maas_unary_grad_infer,                                                            \
        .reference = fn##_grad_reference,                                                          \
        .flops = maas_flops_out,                                                                   \
        .example = fn##_grad_example,                                                              \
        .no_gradient = MAAS_SECOND_ORDER,                                                          \
        .scalar = fn##_grad_scalar,                                                                \
    };

/* clang-format off */
/*         Name             functions     since schema integers n y? alpha beta second attrs  infer */
ACTIVATION(Relu,            relu,         14, signed, relu_int, 4, 1, 0,    0,    "beta",  alpha_beta, 0, maas_infer_like)
ACTIVATION(Sigmoid,         sigmoid,      13, float,  NULL,     0, 1, 0,    0,    "beta",  alpha_beta, 0, maas_infer_like)
ACTIVATION(Tanh,            tanh_of,      13, float,  NULL,     0, 1, 0,    0,    "beta",  alpha_beta, 0, maas_infer_like)
ACTIVATION(LeakyRelu,       leaky,        16, float,  NULL,     0, 0, .01f, 0,    "beta",  alpha_beta, 1, maas_infer_like)
ACTIVATION(Elu,             elu,          6,  float,  NULL,     0, 0, 1,    0,    "beta",  alpha_beta, 1, maas_infer_like)
ACTIVATION(Selu,            selu,         6,  float,  NULL,     0, 0, 1.67326319217681884765625f,
           1.05070102214813232421875f, "gamma", alpha_gamma, 2, maas_infer_like)
ACTIVATION(Softplus,        softplus,     1,  float,  NULL,     0, 0, 0,    0,    "beta",  alpha_beta, 0, maas_infer_like)
ACTIVATION(Celu,            celu,         12, float,  NULL,     0, 0, 1,    0,    "beta",  alpha_beta, 1, maas_infer_like)
ACTIVATION(Mish,            mish,         18, float,  NULL,     0, 0, 0,    0,    "beta",  alpha_beta, 0, maas_infer_like)
ACTIVATION(Softsign,        softsign,     1,  float,  NULL,     0, 0, 0,    0,    "beta",  alpha_beta, 0, maas_infer_like)
ACTIVATION(HardSigmoid,     hard_sigmoid, 6,  float,  NULL,     0, 0, .2f,  .5f,  "beta",  alpha_beta, 2, maas_infer_like)
ACTIVATION(HardSwish,       hard_swish,   14, float,  NULL,     0, 0, 0,    0,    "beta",  alpha_beta, 0, maas_infer_like)
ACTIVATION(Swish,           swish,        24, float,  NULL,     0, 0, 1,    0,    "beta",  alpha_beta, 1, maas_infer_like)
ACTIVATION(ThresholdedRelu, thresholded,  10, float,  NULL,     0, 0, 1,    0,    "beta",  alpha_beta, 1, maas_infer_like)
ACTIVATION(Gelu,            gelu,         20, float,  NULL,     0, 0, 0,    0,    "beta",  word_only, 1,
           gelu_infer)
/* clang-format on */
