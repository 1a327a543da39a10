/* formats/tflite/elementwise.c - operators element by element. */
#include "formats/tflite/tflite_int.h"

#include <string.h>

#include "base/ban.h"

/* ---- one operand ---- */

typedef maas_vid (*unary)(tl *t, const tl_op *op, maas_vid x);

static maas_vid leaky(tl *t, const tl_op *op, maas_vid x)
{
    return tl_op1(t, "LeakyRelu", MAAS_A_FLOAT("alpha", fb_f32(&t->f, &op->options, 0)), x);
}

static maas_vid gelu(tl *t, const tl_op *op, maas_vid x)
{
    const bool about = fb_bool(&t->f, &op->options, 0, false);
    return tl_op1(t, "Gelu", MAAS_A_STR("approximate", about ? "tanh" : "none"), x);
}

static maas_vid relu6(tl *t, const tl_op *op, maas_vid x)
{
    return tl_clip(t, x, 0, 6);
}

static maas_vid relu_n1_to_1(tl *t, const tl_op *op, maas_vid x)
{
    return tl_clip(t, x, -1, 1);
}

static maas_vid relu_0_to_1(tl *t, const tl_op *op, maas_vid x)
{
    return tl_clip(t, x, 0, 1);
}

static maas_vid rsqrt(tl *t, const tl_op *op, maas_vid x)
{
    return maas_b_op1(&t->b, "Reciprocal", maas_b_op1(&t->b, "Sqrt", x));
}

static maas_vid square(tl *t, const tl_op *op, maas_vid x)
{
    return maas_b_op2(&t->b, "Mul", x, x);
}

static maas_vid zeros_like(tl *t, const tl_op *op, maas_vid x)
{
    return maas_b_op2(&t->b, "Expand", tl_like(t, x, 0), maas_b_op1(&t->b, "Shape", x));
}

static int layout_of(const tl *t, const tl_op *op)
{
    return tl_is_first(t, op, 0) ? TL_FIRST : TL_LAST;
}

static maas_vid only(tl *t, const tl_op *op, int layout)
{
    return layout == TL_FIRST ? tl_in_first(t, op, 0) : tl_in(t, op, 0);
}

/* arg: the name of an operator of ONNX */
static void one(tl *t, tl_op *op)
{
    const int layout = layout_of(t, op);
    tl_give_in(t, op, 0, maas_b_op1(&t->b, op->row->arg, only(t, op, layout)), layout);
}

static const struct formula {
    unary build;
} as_leaky = {leaky}, as_gelu = {gelu}, as_relu6 = {relu6}, as_relu_n1_to_1 = {relu_n1_to_1},
  as_relu_0_to_1 = {relu_0_to_1}, as_rsqrt = {rsqrt}, as_square = {square},
  as_zeros_like = {zeros_like};

static void by_formula(tl *t, tl_op *op)
{
    const struct formula *f = op->row->arg;
    const int layout = layout_of(t, op);
    const maas_vid x = only(t, op, layout);
    tl_give_in(t, op, 0, tl_ok(t) ? f->build(t, op, x) : MAAS_NO_VALUE, layout);
}

/* ---- two operands ---- */

/* Both operands with channels first, if one of them is so and the other can be. */
static int operands(tl *t, const tl_op *op, maas_vid in[2])
{
    if (tl_is_first(t, op, 0) || tl_is_first(t, op, 1)) {
        in[0] = tl_beside(t, op, 0);
        in[1] = tl_beside(t, op, 1);
        if (in[0] != MAAS_NO_VALUE && in[1] != MAAS_NO_VALUE)
            return TL_FIRST;
    }
    in[0] = tl_in(t, op, 0);
    in[1] = tl_in(t, op, 1);
    return TL_LAST;
}

/* arg: the name of an operator of ONNX; a fused activation is field 0 of all options that have one
 */
static void arithmetic(tl *t, tl_op *op)
{
    maas_vid in[2];
    const int layout = operands(t, op, in);
    maas_vid y = maas_b_op2(&t->b, op->row->arg, in[0], in[1]);
    tl_give_in(t, op, 0, tl_activated(t, op, 0, y), layout);
}

static void two(tl *t, tl_op *op)
{
    maas_vid in[2];
    const int layout = operands(t, op, in);
    tl_give_in(t, op, 0, maas_b_op2(&t->b, op->row->arg, in[0], in[1]), layout);
}

static void not_equal(tl *t, tl_op *op)
{
    maas_vid in[2];
    const int layout = operands(t, op, in);
    const maas_vid same = maas_b_op2(&t->b, "Equal", in[0], in[1]);
    tl_give_in(t, op, 0, maas_b_op1(&t->b, "Not", same), layout);
}

static void squared_difference(tl *t, tl_op *op)
{
    maas_vid in[2];
    const int layout = operands(t, op, in);
    tl_give_in(t, op, 0, square(t, op, maas_b_op2(&t->b, "Sub", in[0], in[1])), layout);
}

static bool is_float(tl *t, maas_vid v)
{
    return maas_p_is_float(&t->b, v);
}

static void floor_mod(tl *t, tl_op *op)
{
    maas_vid in[2];
    const int layout = operands(t, op, in);
    tl_give_in(t, op, 0, maas_p_floor_mod(&t->b, in[0], in[1]), layout);
}

static void floor_div(tl *t, tl_op *op)
{
    maas_vid in[2];
    const int layout = operands(t, op, in);
    tl_give_in(t, op, 0, maas_p_floor_div(&t->b, in[0], in[1]), layout);
}

/* ---- more ---- */

static void prelu(tl *t, tl_op *op)
{
    maas_vid in[2];
    const int layout = operands(t, op, in);
    tl_give_in(t, op, 0, maas_b_op2(&t->b, "PRelu", in[0], in[1]), layout);
}

static void add_n(tl *t, tl_op *op)
{
    maas_vid *in = maas_arena_array(t->arena, op->in.n, sizeof *in);
    if (!in) {
        tl_fail(t, MAAS_E_NOMEM, "no memory left for operators");
        return;
    }
    for (uint32_t i = 0; i < op->in.n; i++)
        in[i] = tl_in(t, op, i);
    maas_vid y = in[0];
    for (uint32_t i = 1; i < op->in.n; i++) /* Sum takes no integers */
        y = maas_b_op2(&t->b, "Add", y, in[i]);
    tl_give(t, op, 0, y);
}

/* SELECT: a condition of one dimension chooses rows. */
static void select_rows(tl *t, tl_op *op)
{
    maas_vid which = tl_in(t, op, 0);
    const maas_vid a = tl_in(t, op, 1), b = tl_in(t, op, 2);
    const int rank = tl_type(t, a)->rank;
    int64_t dims[MAAS_MAX_RANK] = {-1};
    for (int i = 1; i < rank; i++)
        dims[i] = 1;
    if (tl_type(t, which)->rank == 1 && rank > 1)
        which = tl_reshape(t, which, dims, rank);
    tl_give(t, op, 0, maas_b_op3(&t->b, "Where", which, a, b));
}

static void select_each(tl *t, tl_op *op)
{
    const maas_vid which = tl_in(t, op, 0);
    tl_give(t, op, 0, maas_b_op3(&t->b, "Where", which, tl_in(t, op, 1), tl_in(t, op, 2)));
}

static void cast(tl *t, tl_op *op)
{
    op->form = TL_CODES;
    tl_give(t, op, 0, tl_as_output(t, op, 0, tl_codes(t, op, 0)));
}

/* DENSIFY: constants have all of their elements when they were read */
static void densify(tl *t, tl_op *op)
{
    op->form = TL_CODES;
    tl_give(t, op, 0, tl_codes(t, op, 0));
}

/* QUANTIZE and DEQUANTIZE: what reads and gives already does; float16 becomes float32 */
static void convert(tl *t, tl_op *op)
{
    const int layout = layout_of(t, op);
    maas_vid v = only(t, op, layout);
    if (is_float(t, v) && tl_of_out(t, op, 0)->dtype == MAAS_F32)
        v = tl_cast(t, v, MAAS_F32);
    tl_give_in(t, op, 0, v, layout);
}

#define ONE(code, name, onnx)                                                                      \
    {                                                                                              \
        code, name, one, 1, 1, 0, onnx                                                             \
    }
#define TWO(code, name, onnx)                                                                      \
    {                                                                                              \
        code, name, two, 2, 2, 0, onnx                                                             \
    }

const tl_row tl_elementwise[] = {
    {0, "ADD", arithmetic, 2, 2, 0, "Add"},
    {6, "DEQUANTIZE", convert, 1, 1, 0, NULL},
    ONE(8, "FLOOR", "Floor"),
    ONE(14, "LOGISTIC", "Sigmoid"),
    {18, "MUL", arithmetic, 2, 2, 0, "Mul"},
    ONE(19, "RELU", "Relu"),
    {20, "RELU_N1_TO_1", by_formula, 1, 1, 0, &as_relu_n1_to_1},
    {21, "RELU6", by_formula, 1, 1, 0, &as_relu6},
    ONE(28, "TANH", "Tanh"),
    {41, "SUB", arithmetic, 2, 2, 0, "Sub"},
    {42, "DIV", arithmetic, 2, 2, 0, "Div"},
    ONE(47, "EXP", "Exp"),
    {53, "CAST", cast, 1, 1, 0, NULL},
    {54, "PRELU", prelu, 2, 2, 0, NULL},
    TWO(55, "MAXIMUM", "Max"),
    TWO(57, "MINIMUM", "Min"),
    TWO(58, "LESS", "Less"),
    ONE(59, "NEG", "Neg"),
    TWO(61, "GREATER", "Greater"),
    TWO(62, "GREATER_EQUAL", "GreaterOrEqual"),
    TWO(63, "LESS_EQUAL", "LessOrEqual"),
    {64, "SELECT", select_rows, 3, 3, 0, NULL},
    ONE(66, "SIN", "Sin"),
    TWO(71, "EQUAL", "Equal"),
    {72, "NOT_EQUAL", not_equal, 2, 2, 0, NULL},
    ONE(73, "LOG", "Log"),
    ONE(75, "SQRT", "Sqrt"),
    {76, "RSQRT", by_formula, 1, 1, 0, &as_rsqrt},
    TWO(78, "POW", "Pow"),
    TWO(84, "LOGICAL_OR", "Or"),
    TWO(86, "LOGICAL_AND", "And"),
    ONE(87, "LOGICAL_NOT", "Not"),
    {90, "FLOOR_DIV", floor_div, 2, 2, 0, NULL},
    {92, "SQUARE", by_formula, 1, 1, 0, &as_square},
    {93, "ZEROS_LIKE", by_formula, 1, 1, 0, &as_zeros_like},
    {95, "FLOOR_MOD", floor_mod, 2, 2, 0, NULL},
    {98, "LEAKY_RELU", by_formula, 1, 1, 0, &as_leaky},
    {99, "SQUARED_DIFFERENCE", squared_difference, 2, 2, 0, NULL},
    ONE(101, "ABS", "Abs"),
    ONE(104, "CEIL", "Ceil"),
    {106, "ADD_N", add_n, 1, 255, 0, NULL},
    ONE(108, "COS", "Cos"),
    ONE(111, "ELU", "Elu"),
    {114, "QUANTIZE", convert, 1, 1, 0, NULL},
    ONE(116, "ROUND", "Round"),
    ONE(117, "HARD_SWISH", "HardSwish"),
    {123, "SELECT_V2", select_each, 3, 3, 0, NULL},
    {124, "DENSIFY", densify, 1, 1, 0, NULL},
    {150, "GELU", by_formula, 1, 1, 0, &as_gelu},
    {152, "RELU_0_TO_1", by_formula, 1, 1, 0, &as_relu_0_to_1},
    ONE(158, "SIGN", "Sign"),
    {0},
};
