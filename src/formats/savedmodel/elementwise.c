/* formats/savedmodel/elementwise.c - operators element by element. */
#include "formats/savedmodel/sm_int.h"

#include "base/ban.h"

/* ---- one operand ---- */

static int layout_of(sm *s, const sm_op *op)
{
    return sm_is_first(s, op, 0) ? SM_FIRST : SM_LAST;
}

/* arg: the name of an operator of ONNX */
static void one(sm *s, sm_op *op)
{
    const int layout = layout_of(s, op);
    sm_give_in(s, op, 0, maas_b_op1(s->b, op->arg, sm_in_layout(s, op, 0, layout)), layout);
}

typedef maas_vid (*unary)(sm *s, const sm_op *op, maas_vid x);
typedef struct formula {
    unary build;
} formula;

static void by_formula(sm *s, sm_op *op)
{
    const formula *f = op->arg;
    const int layout = layout_of(s, op);
    const maas_vid x = sm_in_layout(s, op, 0, layout);
    sm_give_in(s, op, 0, sm_ok(s) ? f->build(s, op, x) : MAAS_NO_VALUE, layout);
}

static maas_vid leaky(sm *s, const sm_op *op, maas_vid x)
{
    return maas_p_op1(s->b, "LeakyRelu", MAAS_A_FLOAT("alpha", sm_attr_f(s, op, "alpha", 0.2f)), x);
}

static maas_vid relu6(sm *s, const sm_op *op, maas_vid x)
{
    return maas_p_clip(s->b, x, 0, 6);
}

static maas_vid rsqrt(sm *s, const sm_op *op, maas_vid x)
{
    return maas_b_op1(s->b, "Reciprocal", maas_b_op1(s->b, "Sqrt", x));
}

static maas_vid square(sm *s, const sm_op *op, maas_vid x)
{
    return maas_b_op2(s->b, "Mul", x, x);
}

static maas_vid filled_like(sm *s, maas_vid x, double number)
{
    return maas_b_op2(s->b, "Expand", maas_p_like(s->b, x, number), maas_b_op1(s->b, "Shape", x));
}

static maas_vid zeros_like(sm *s, const sm_op *op, maas_vid x)
{
    return filled_like(s, x, 0);
}

static maas_vid ones_like(sm *s, const sm_op *op, maas_vid x)
{
    return filled_like(s, x, 1);
}

static maas_vid log_of_1p(sm *s, const sm_op *op, maas_vid x)
{
    return maas_b_op1(s->b, "Log", maas_b_op2(s->b, "Add", x, maas_p_like(s->b, x, 1)));
}

/* e^x - 1 without cancellation: 2 e^(x/2) sinh(x/2) */
static maas_vid exp_less_1(sm *s, const sm_op *op, maas_vid x)
{
    const maas_vid half = maas_b_op2(s->b, "Mul", x, maas_p_like(s->b, x, 0.5));
    const maas_vid y = maas_b_op2(s->b, "Mul", maas_b_op1(s->b, "Exp", half),
                                  maas_b_op1(s->b, "Sinh", half));
    return maas_b_op2(s->b, "Add", y, y);
}

static maas_vid not_erf(sm *s, const sm_op *op, maas_vid x)
{
    return maas_b_op2(s->b, "Sub", maas_p_like(s->b, x, 1), maas_b_op1(s->b, "Erf", x));
}

static maas_vid is_finite(sm *s, const sm_op *op, maas_vid x)
{
    const maas_vid bad = maas_b_op2(s->b, "Or", maas_b_op1(s->b, "IsInf", x),
                                    maas_b_op1(s->b, "IsNaN", x));
    return maas_b_op1(s->b, "Not", bad);
}

static maas_vid rint_of(sm *s, const sm_op *op, maas_vid x)
{
    return maas_p_is_float(s->b, x) ? maas_b_op1(s->b, "Round", x) : x;
}

static maas_vid cast(sm *s, const sm_op *op, maas_vid x)
{
    const maas_dtype to = sm_attr_type(s, op, "DstT");
    return to == MAAS_DT_NONE || to == MAAS_STRING
               ? sm_fail(s, MAAS_E_UNSUPPORTED, "to a type that is not read")
               : maas_p_cast(s->b, x, to);
}

static const formula as_leaky = {leaky}, as_relu6 = {relu6}, as_rsqrt = {rsqrt},
                     as_square = {square}, as_zeros = {zeros_like}, as_ones = {ones_like},
                     as_log1p = {log_of_1p}, as_expm1 = {exp_less_1}, as_erfc = {not_erf},
                     as_finite = {is_finite}, as_rint = {rint_of}, as_cast = {cast};

/* ---- two operands ---- */

/* Both operands with channels first, if one of them is so and the other can be. */
static int operands(sm *s, const sm_op *op, maas_vid in[2])
{
    if (sm_is_first(s, op, 0) || sm_is_first(s, op, 1)) {
        in[0] = sm_beside(s, op, 0);
        in[1] = sm_beside(s, op, 1);
        if (in[0] != MAAS_NO_VALUE && in[1] != MAAS_NO_VALUE)
            return SM_FIRST;
    }
    in[0] = sm_in(s, op, 0);
    in[1] = sm_in(s, op, 1);
    return SM_LAST;
}

static void two(sm *s, sm_op *op)
{
    maas_vid in[2];
    const int layout = operands(s, op, in);
    sm_give_in(s, op, 0, maas_b_op2(s->b, op->arg, in[0], in[1]), layout);
}

typedef maas_vid (*binary)(sm *s, maas_vid x, maas_vid y);
typedef struct formula2 {
    binary build;
} formula2;

static void by_formula2(sm *s, sm_op *op)
{
    const formula2 *f = op->arg;
    maas_vid in[2];
    const int layout = operands(s, op, in);
    sm_give_in(s, op, 0, sm_ok(s) ? f->build(s, in[0], in[1]) : MAAS_NO_VALUE, layout);
}

static maas_vid not_equal(sm *s, maas_vid x, maas_vid y)
{
    return maas_b_op1(s->b, "Not", maas_b_op2(s->b, "Equal", x, y));
}

static maas_vid squared_difference(sm *s, maas_vid x, maas_vid y)
{
    const maas_vid d = maas_b_op2(s->b, "Sub", x, y);
    return maas_b_op2(s->b, "Mul", d, d);
}

static maas_vid floor_mod(sm *s, maas_vid x, maas_vid y)
{
    return maas_p_floor_mod(s->b, x, y);
}

static maas_vid floor_div(sm *s, maas_vid x, maas_vid y)
{
    return maas_p_floor_div(s->b, x, y);
}

/* 0 where the divisor is. */
static maas_vid div_no_nan(sm *s, maas_vid x, maas_vid y)
{
    const maas_vid zero = maas_p_like(s->b, y, 0), none = maas_b_op2(s->b, "Equal", y, zero);
    const maas_vid by = maas_b_op3(s->b, "Where", none, maas_p_like(s->b, y, 1), y);
    return maas_b_op3(s->b, "Where", none, zero, maas_b_op2(s->b, "Div", x, by));
}

static maas_vid mul_no_nan(sm *s, maas_vid x, maas_vid y)
{
    const maas_vid zero = maas_p_like(s->b, y, 0), none = maas_b_op2(s->b, "Equal", y, zero);
    return maas_b_op3(s->b, "Where", none, zero, maas_b_op2(s->b, "Mul", x, y));
}

/* 0 where the first is, whatever the logarithm says. */
static maas_vid xlogy(sm *s, maas_vid x, maas_vid y)
{
    const maas_vid zero = maas_p_like(s->b, x, 0);
    return maas_b_op3(s->b, "Where", maas_b_op2(s->b, "Equal", x, zero), zero,
                      maas_b_op2(s->b, "Mul", x, maas_b_op1(s->b, "Log", y)));
}

static maas_vid xdivy(sm *s, maas_vid x, maas_vid y)
{
    const maas_vid zero = maas_p_like(s->b, x, 0);
    return maas_b_op3(s->b, "Where", maas_b_op2(s->b, "Equal", x, zero), zero,
                      maas_b_op2(s->b, "Div", x, y));
}

static maas_vid truncate_mod(sm *s, maas_vid x, maas_vid y)
{
    return maas_p_op2(s->b, "Mod", MAAS_A_INT("fmod", 1), x, y);
}

/* The arc tangent of y / x, half a turn further where x is below 0. */
static maas_vid atan2_of(sm *s, maas_vid y, maas_vid x)
{
    maas_builder *b = s->b;
    const double pi = 3.14159265358979323846;
    const maas_vid zero = maas_p_like(b, x, 0), flat = maas_b_op2(b, "Equal", x, zero);
    const maas_vid by = maas_b_op3(b, "Where", flat, maas_p_like(b, x, 1), x);
    const maas_vid up = maas_b_op2(b, "Mul", maas_b_op1(b, "Sign", y), maas_p_like(b, x, pi / 2));
    const maas_vid half = maas_b_op3(b, "Where", maas_b_op2(b, "Less", y, zero),
                                     maas_p_like(b, x, -pi), maas_p_like(b, x, pi));
    const maas_vid turn = maas_b_op3(b, "Where", maas_b_op2(b, "Less", x, zero), half, zero);
    const maas_vid a = maas_b_op1(b, "Atan", maas_b_op2(b, "Div", y, by));
    return maas_b_op3(b, "Where", flat, up, maas_b_op2(b, "Add", a, turn));
}

static const formula2 as_xlogy = {xlogy}, as_xdivy = {xdivy}, as_atan2 = {atan2_of},
                      as_truncate_mod = {truncate_mod};
static const formula2 as_not_equal = {not_equal}, as_squared = {squared_difference},
                      as_mod = {floor_mod}, as_floor_div = {floor_div}, as_no_nan = {div_no_nan},
                      as_mul_no_nan = {mul_no_nan};

/* ---- more ---- */

/* One number a channel, which the format says apart. */
static void bias_add(sm *s, sm_op *op)
{
    const bool nchw = maas_span_is(sm_attr_s(s, op->node, "data_format"), "NCHW");
    if (!nchw) {
        maas_vid in[2];
        const int layout = operands(s, op, in);
        sm_give_in(s, op, 0, maas_b_op2(s->b, "Add", in[0], in[1]), layout);
        return;
    }
    const maas_vid x = sm_in(s, op, 0);
    int64_t dims[MAAS_MAX_RANK] = {-1};
    const int rank = sm_rank(s, x);
    for (int i = 1; i < MAAS_MAX_RANK; i++)
        dims[i] = 1;
    const maas_vid bias = maas_p_reshape(s->b, sm_in(s, op, 1), dims, rank > 2 ? rank - 1 : 1);
    sm_give(s, op, 0, maas_b_op2(s->b, "Add", x, bias));
}

static void add_n(sm *s, sm_op *op)
{
    maas_vid y = sm_in(s, op, 0);
    for (uint32_t i = 1; i < op->node->n_in; i++) /* Sum takes no integers */
        y = maas_b_op2(s->b, "Add", y, sm_in(s, op, i));
    sm_give(s, op, 0, y);
}

/* Select: a condition of one dimension chooses rows. */
static void select_rows(sm *s, sm_op *op)
{
    maas_vid which = sm_in(s, op, 0);
    const maas_vid x = sm_in(s, op, 1), y = sm_in(s, op, 2);
    const int rank = sm_type(s, x)->rank;
    int64_t dims[MAAS_MAX_RANK] = {-1};
    for (int i = 1; i < rank; i++)
        dims[i] = 1;
    if (sm_type(s, which)->rank == 1 && rank > 1)
        which = maas_p_reshape(s->b, which, dims, rank);
    sm_give(s, op, 0, maas_b_op3(s->b, "Where", which, x, y));
}

static void select_each(sm *s, sm_op *op)
{
    sm_give(s, op, 0, maas_b_op3(s->b, "Where", sm_in(s, op, 0), sm_in(s, op, 1), sm_in(s, op, 2)));
}

static void clip(sm *s, sm_op *op)
{
    const maas_vid lo = maas_b_op2(s->b, "Max", sm_in(s, op, 0), sm_in(s, op, 1));
    sm_give(s, op, 0, maas_b_op2(s->b, "Min", lo, sm_in(s, op, 2)));
}

#define ONE(name, onnx)                                                                            \
    {                                                                                              \
        name, one, 1, 1, 0, onnx, NULL                                                             \
    }
#define FORM(name, formula)                                                                        \
    {                                                                                              \
        name, by_formula, 1, 1, 0, formula, NULL                                                   \
    }
#define TWO(name, onnx)                                                                            \
    {                                                                                              \
        name, two, 2, 2, 0, onnx, NULL                                                             \
    }
#define FORM2(name, formula)                                                                       \
    {                                                                                              \
        name, by_formula2, 2, 2, 0, formula, NULL                                                  \
    }

const sm_row sm_elementwise[] = {
    ONE("Abs", "Abs"),
    ONE("Acos", "Acos"),
    ONE("Acosh", "Acosh"),
    TWO("Add", "Add"),
    {"AddN", add_n, 1, 255, 0, NULL, NULL},
    TWO("AddV2", "Add"),
    ONE("Asin", "Asin"),
    ONE("Asinh", "Asinh"),
    ONE("Atan", "Atan"),
    FORM2("Atan2", &as_atan2),
    ONE("Atanh", "Atanh"),
    {"BiasAdd", bias_add, 2, 2, 0, NULL, NULL},
    TWO("BitwiseAnd", "BitwiseAnd"),
    TWO("BitwiseOr", "BitwiseOr"),
    TWO("BitwiseXor", "BitwiseXor"),
    FORM("Cast", &as_cast),
    ONE("Ceil", "Ceil"),
    {"ClipByValue", clip, 3, 3, 0, NULL, NULL},
    ONE("Cos", "Cos"),
    ONE("Cosh", "Cosh"),
    TWO("Div", "Div"),
    FORM2("DivNoNan", &as_no_nan),
    ONE("Elu", "Elu"),
    TWO("Equal", "Equal"),
    ONE("Erf", "Erf"),
    FORM("Erfc", &as_erfc),
    ONE("Exp", "Exp"),
    FORM("Expm1", &as_expm1),
    ONE("Floor", "Floor"),
    FORM2("FloorDiv", &as_floor_div),
    FORM2("FloorMod", &as_mod),
    TWO("Greater", "Greater"),
    TWO("GreaterEqual", "GreaterOrEqual"),
    FORM("IsFinite", &as_finite),
    ONE("Invert", "BitwiseNot"),
    ONE("IsInf", "IsInf"),
    ONE("IsNan", "IsNaN"),
    FORM("LeakyRelu", &as_leaky),
    TWO("Less", "Less"),
    TWO("LessEqual", "LessOrEqual"),
    ONE("Log", "Log"),
    FORM("Log1p", &as_log1p),
    TWO("LogicalAnd", "And"),
    ONE("LogicalNot", "Not"),
    TWO("LogicalOr", "Or"),
    TWO("Maximum", "Max"),
    TWO("Minimum", "Min"),
    TWO("Mul", "Mul"),
    FORM2("MulNoNan", &as_mul_no_nan),
    ONE("Neg", "Neg"),
    FORM2("NotEqual", &as_not_equal),
    FORM("OnesLike", &as_ones),
    TWO("Pow", "Pow"),
    TWO("RealDiv", "Div"),
    ONE("Reciprocal", "Reciprocal"),
    ONE("Relu", "Relu"),
    FORM("Relu6", &as_relu6),
    FORM("Rint", &as_rint),
    FORM("Round", &as_rint),
    FORM("Rsqrt", &as_rsqrt),
    {"Select", select_rows, 3, 3, 0, NULL, NULL},
    {"SelectV2", select_each, 3, 3, 0, NULL, NULL},
    ONE("Selu", "Selu"),
    ONE("Sigmoid", "Sigmoid"),
    ONE("Sign", "Sign"),
    ONE("Sin", "Sin"),
    ONE("Sinh", "Sinh"),
    ONE("Softplus", "Softplus"),
    ONE("Softsign", "Softsign"),
    ONE("Sqrt", "Sqrt"),
    FORM("Square", &as_square),
    FORM2("SquaredDifference", &as_squared),
    TWO("Sub", "Sub"),
    ONE("Tan", "Tan"),
    ONE("Tanh", "Tanh"),
    TWO("TruncateDiv", "Div"),
    FORM2("TruncateMod", &as_truncate_mod),
    FORM2("Xdivy", &as_xdivy),
    FORM2("Xlogy", &as_xlogy),
    FORM("ZerosLike", &as_zeros),
    {0},
};
