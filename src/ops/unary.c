/* Mathematical functions of one element, computed in double and rounded once. */
#include "ops/unary_int.h"

#include "base/ban.h"

/* ---- functions ---- */

static double neg_real(double x, double a, double b)
{
    return -x;
}
static int64_t neg_int(int64_t x, bool is_signed)
{
    return (int64_t)(0 - (uint64_t)x);
}
static double abs_real(double x, double a, double b)
{
    return fabs(x);
}
static int64_t abs_int(int64_t x, bool is_signed)
{
    return is_signed && x < 0 ? (int64_t)(0 - (uint64_t)x) : x;
}
static double sign_real(double x, double a, double b)
{
    return x > 0 ? 1 : x < 0 ? -1 : x; /* a NaN stays one */
}
static int64_t sign_int(int64_t x, bool is_signed)
{
    return x == 0 ? 0 : is_signed && x < 0 ? -1 : 1;
}
static double round_real(double x, double a, double b)
{
    return nearbyint(x); /* halves to even: the default rounding mode, which nobody changes */
}
static double reciprocal_real(double x, double a, double b)
{
    return 1 / x;
}

#define PLAIN(name, fn)                                                                            \
    static double name##_real(double x, double a, double b)                                        \
    {                                                                                              \
        return fn(x);                                                                              \
    }
PLAIN(sqrt, sqrt)
PLAIN(exp, exp)
PLAIN(log, log)
PLAIN(floor, floor)
PLAIN(ceil, ceil)
PLAIN(erf, erf)
PLAIN(sin, sin)
PLAIN(cos, cos)
PLAIN(tan, tan)
PLAIN(acos, acos)
PLAIN(asin, asin)
PLAIN(atan, atan)
PLAIN(cosh, cosh)
PLAIN(sinh, sinh)
PLAIN(acosh, acosh)
PLAIN(asinh, asinh)
PLAIN(atanh, atanh)
#undef PLAIN

/* ---- gradients: dx = dy * f'(x), from y where that is cheaper ---- */

static void neg_gradient(maas_grad *g)
{
    g->din[0] = maas_b_op1(g->b, "Neg", g->dout[0]);
}
static void abs_gradient(maas_grad *g)
{
    g->din[0] = MAAS_B_MUL(g->b, g->dout[0], maas_b_op1(g->b, "Sign", g->node->in[0]));
}
static void sqrt_gradient(maas_grad *g)
{
    const maas_vid y = g->node->out[0];
    maas_vid half = MAAS_B_MUL(g->b, g->dout[0], maas_b_like(g->b, y, 0.5));
    g->din[0] = MAAS_B_DIV(g->b, half, y);
}
static void exp_gradient(maas_grad *g)
{
    g->din[0] = MAAS_B_MUL(g->b, g->dout[0], g->node->out[0]);
}
static void log_gradient(maas_grad *g)
{
    g->din[0] = MAAS_B_DIV(g->b, g->dout[0], g->node->in[0]);
}
static void reciprocal_gradient(maas_grad *g)
{
    const maas_vid y = g->node->out[0];
    g->din[0] = maas_b_op1(g->b, "Neg", MAAS_B_MUL(g->b, g->dout[0], MAAS_B_MUL(g->b, y, y)));
}
/* d erf = 2 / sqrt(pi) exp(-x^2) */
static void erf_gradient(maas_grad *g)
{
    const maas_vid x = g->node->in[0];
    maas_vid e = maas_b_op1(g->b, "Exp", maas_b_op1(g->b, "Neg", MAAS_B_MUL(g->b, x, x)));
    e = MAAS_B_MUL(g->b, e, maas_b_like(g->b, x, M_2_SQRTPI));
    g->din[0] = MAAS_B_MUL(g->b, g->dout[0], e);
}
static void sin_gradient(maas_grad *g)
{
    g->din[0] = MAAS_B_MUL(g->b, g->dout[0], maas_b_op1(g->b, "Cos", g->node->in[0]));
}
static void cos_gradient(maas_grad *g)
{
    maas_vid s = maas_b_op1(g->b, "Neg", maas_b_op1(g->b, "Sin", g->node->in[0]));
    g->din[0] = MAAS_B_MUL(g->b, g->dout[0], s);
}
/* d tan = 1 + tan^2 */
static void tan_gradient(maas_grad *g)
{
    const maas_vid y = g->node->out[0];
    maas_vid slope = MAAS_B_ADD(g->b, MAAS_B_MUL(g->b, y, y), maas_b_like(g->b, y, 1));
    g->din[0] = MAAS_B_MUL(g->b, g->dout[0], slope);
}
static void cosh_gradient(maas_grad *g)
{
    g->din[0] = MAAS_B_MUL(g->b, g->dout[0], maas_b_op1(g->b, "Sinh", g->node->in[0]));
}
static void sinh_gradient(maas_grad *g)
{
    g->din[0] = MAAS_B_MUL(g->b, g->dout[0], maas_b_op1(g->b, "Cosh", g->node->in[0]));
}
/* scale x^2 + shift: what the slopes of all inverse functions are made of */
static maas_vid square_of(maas_grad *g, double scale, double shift)
{
    const maas_vid x = g->node->in[0];
    maas_vid s = MAAS_B_MUL(g->b, MAAS_B_MUL(g->b, x, x), maas_b_like(g->b, x, scale));
    return MAAS_B_ADD(g->b, s, maas_b_like(g->b, x, shift));
}
static void asin_gradient(maas_grad *g)
{
    g->din[0] = MAAS_B_DIV(g->b, g->dout[0], maas_b_op1(g->b, "Sqrt", square_of(g, -1, 1)));
}
static void acos_gradient(maas_grad *g)
{
    asin_gradient(g);
    g->din[0] = maas_b_op1(g->b, "Neg", g->din[0]);
}
static void asinh_gradient(maas_grad *g)
{
    g->din[0] = MAAS_B_DIV(g->b, g->dout[0], maas_b_op1(g->b, "Sqrt", square_of(g, 1, 1)));
}
static void acosh_gradient(maas_grad *g)
{
    g->din[0] = MAAS_B_DIV(g->b, g->dout[0], maas_b_op1(g->b, "Sqrt", square_of(g, 1, -1)));
}
static void atan_gradient(maas_grad *g)
{
    g->din[0] = MAAS_B_DIV(g->b, g->dout[0], square_of(g, 1, 1));
}
static void atanh_gradient(maas_grad *g)
{
    g->din[0] = MAAS_B_DIV(g->b, g->dout[0], square_of(g, -1, 1));
}
#define sign_gradient  NULL
#define floor_gradient NULL
#define ceil_gradient  NULL
#define round_gradient NULL
#define STEPS          "its derivative is zero everywhere it exists"

static const maas_dtype others[] = {MAAS_I32, MAAS_I64, MAAS_I8, MAAS_U8};

/* schema: float, signed or numeric; whole: the function of integers or NULL; [lo, hi) of examples.
 */
#define UNARY(Name, fn, version, schema, whole, n_other, lo, hi, why_not)                          \
    static maas_status fn##_reference(const maas_call *c, maas_err *err)                           \
    {                                                                                              \
        maas_unary_run(c, fn##_real, whole, 0, 0);                                                 \
        return MAAS_OK;                                                                            \
    }                                                                                              \
    static float fn##_scalar(const maas_node *n, const float *in, int n_in)                        \
    {                                                                                              \
        return (float)fn##_real(in[0], 0, 0);                                                      \
    }                                                                                              \
    static void fn##_example(maas_example *e)                                                      \
    {                                                                                              \
        maas_unary_example(e, #Name, lo, hi, others);                                              \
    }                                                                                              \
    const maas_op maas_op_##Name = {                                                               \
        .domain = "",                                                                              \
        .name = #Name,                                                                             \
        .since = version,                                                                          \
        .flags = MAAS_OP_ELEMENTWISE | MAAS_OP_INPLACE,                                            \
        MAAS_SCHEMA(maas_unary_##schema##_in, maas_unary_##schema##_out),                          \
        .n_examples = MAAS_N_UNARY + n_other,                                                      \
        .tolerance = 1e-5,                                                                         \
        .infer = maas_infer_like,                                                                  \
        .reference = fn##_reference,                                                               \
        .flops = maas_flops_out,                                                                   \
        .example = fn##_example,                                                                   \
        .gradient = fn##_gradient,                                                                 \
        .no_gradient = why_not,                                                                    \
        .scalar = fn##_scalar,                                                                     \
    };

/*    Name        functions   since  schema   integers  n  lo    hi   no gradient */
UNARY(Neg, neg, 13, signed, neg_int, 3, -3, 3, NULL)
UNARY(Abs, abs, 13, numeric, abs_int, 4, -3, 3, NULL)
UNARY(Sign, sign, 13, numeric, sign_int, 4, -3, 3, STEPS)
UNARY(Sqrt, sqrt, 13, float, NULL, 0, 0.1, 9, NULL)
UNARY(Exp, exp, 13, float, NULL, 0, -3, 3, NULL)
UNARY(Log, log, 13, float, NULL, 0, 0.1, 9, NULL)
UNARY(Reciprocal, reciprocal, 13, float, NULL, 0, 0.3, 9, NULL)
UNARY(Floor, floor, 13, float, NULL, 0, -9, 9, STEPS)
UNARY(Ceil, ceil, 13, float, NULL, 0, -9, 9, STEPS)
UNARY(Round, round, 11, float, NULL, 0, -9, 9, STEPS)
UNARY(Erf, erf, 13, float, NULL, 0, -2, 2, NULL)
UNARY(Sin, sin, 7, float, NULL, 0, -9, 9, NULL)
UNARY(Cos, cos, 7, float, NULL, 0, -9, 9, NULL)
UNARY(Tan, tan, 7, float, NULL, 0, -1.2, 1.2, NULL)
UNARY(Acos, acos, 7, float, NULL, 0, -0.9, 0.9, NULL)
UNARY(Asin, asin, 7, float, NULL, 0, -0.9, 0.9, NULL)
UNARY(Atan, atan, 7, float, NULL, 0, -9, 9, NULL)
UNARY(Cosh, cosh, 9, float, NULL, 0, -4, 4, NULL)
UNARY(Sinh, sinh, 9, float, NULL, 0, -4, 4, NULL)
UNARY(Acosh, acosh, 9, float, NULL, 0, 1.2, 9, NULL)
UNARY(Asinh, asinh, 9, float, NULL, 0, -9, 9, NULL)
UNARY(Atanh, atanh, 9, float, NULL, 0, -0.9, 0.9, NULL)
