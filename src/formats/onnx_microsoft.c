/*
 * Operators of com.microsoft that ONNX Runtime's quantizers emit, said in the standard's words:
 * what is defined as "dequantize, do, quantize" becomes just that, products of bytes become
 * MatMulInteger. A row makes the nodes before the last one; the last one takes the place of the
 * node that is read.
 */
#include "formats/onnx_saying.h"

#include "base/ban.h"

/* Input i, whose scale and zero point follow it. */
static maas_vid dequantized(saying *s, uint32_t i)
{
    const maas_vid scale = scalar(s, required(s, i + 1)), zero = input(s, i + 2);
    return made(s, "DequantizeLinear", NULL,
                IN(required(s, i), scale, zero == MAAS_NO_VALUE ? zero : scalar(s, zero)));
}

/* ... quantized with scale i and zero point i + 1; without that: 0 of the type of `like`. */
static void becomes_quantized(saying *s, maas_vid v, uint32_t i, maas_vid like)
{
    const maas_vid scale = scalar(s, required(s, i));
    maas_vid zero = input(s, i + 1);
    zero = zero == MAAS_NO_VALUE ? made(s, "CastLike", NULL, IN(number(s, 0), like))
                                 : scalar(s, zero);
    becomes(s, "QuantizeLinear", NULL, IN(v, scale, zero));
}

/* ---- element by element ---- */

static void two_operands(saying *s, const char *op)
{
    const maas_vid like = required(s, 0);
    const maas_vid y = made(s, op, NULL, IN(dequantized(s, 0), dequantized(s, 3)));
    becomes_quantized(s, y, 6, like);
}

static void add(saying *s)
{
    two_operands(s, "Add");
}

static void mul(saying *s)
{
    two_operands(s, "Mul");
}

static void sigmoid(saying *s)
{
    const maas_vid like = required(s, 0);
    becomes_quantized(s, made(s, "Sigmoid", NULL, IN(dequantized(s, 0))), 3, like);
}

static void leaky_relu(saying *s)
{
    const maas_vid like = required(s, 0);
    const maas_attr *alpha = attr_of(s, "alpha", MAAS_ATTR_FLOAT);
    becomes_quantized(s, made(s, "LeakyRelu", alpha, IN(dequantized(s, 0))), 3, like);
}

static void where(saying *s)
{
    const maas_vid which = required(s, 0), like = required(s, 1);
    const maas_vid y = made(s, "Where", NULL, IN(which, dequantized(s, 1), dequantized(s, 4)));
    becomes_quantized(s, y, 7, like);
}

/* ---- over axes ---- */

/* Before opset 13, which an attribute tells of, Softmax ran over all axes from `axis` on. */
static void softmax(saying *s)
{
    const bool over_rest = int_of(s, "opset", 13) < 13;
    const maas_attr axis = MAAS_A_INT("axis", int_of(s, "axis", over_rest ? 1 : -1));
    const maas_attr last = MAAS_A_INT("axis", -1);
    const maas_vid like = required(s, 0), x = dequantized(s, 0);
    maas_vid y;
    if (over_rest) {
        const maas_vid flat = made(s, "Flatten", &axis, IN(x));
        y = made(s, "Softmax", &last, IN(flat));
        y = made(s, "Reshape", NULL, IN(y, made(s, "Shape", NULL, IN(x))));
    } else {
        y = made(s, "Softmax", &axis, IN(x));
    }
    becomes_quantized(s, y, 3, like);
}

static void concat(saying *s)
{
    const maas_attr axis = MAAS_A_INT("axis", int_of(s, "axis", 0));
    const uint32_t n = s->n->n_in < 5 ? 0 : (s->n->n_in - 2) / 3;
    maas_vid *parts = maas_arena_array(&s->r->scratch, n, sizeof *parts);
    if (!n || (s->n->n_in - 2) % 3 || !attr_of(s, "axis", MAAS_ATTR_INT) || !parts) {
        s->st = maas_fail(s->r->err, MAAS_E_FORMAT,
                          "axis is missing, or the inputs are not in threes");
        return;
    }
    const maas_vid like = required(s, 2);
    for (uint32_t i = 0; i < n; i++)
        parts[i] = dequantized(s, 2 + 3 * i);
    becomes_quantized(s, made(s, "Concat", &axis, parts, n), 0, like);
}

/* Channels to the second axis, or back to the last one. */
static maas_vid channels_moved(saying *s, maas_vid v, int rank, bool last)
{
    int64_t perm[MAAS_MAX_RANK] = {0};
    for (int i = 1; i < rank; i++)
        perm[i] = last ? (i + 1 < rank ? i + 1 : 1) : (i == 1 ? rank - 1 : i - 1);
    const maas_attr a = MAAS_A_INTS("perm", perm, rank);
    return made(s, "Transpose", &a, IN(v));
}

static void average_pool(saying *s)
{
    const maas_attr *kernel = attr_of(s, "kernel_shape", MAAS_ATTR_INTS);
    maas_attr *attr = maas_arena_array(&s->r->scratch, s->n->n_attr, sizeof *attr);
    const bool last = int_of(s, "channels_last", 0) != 0;
    uint32_t n = 0;
    if (!attr || !kernel || kernel->n > MAAS_MAX_RANK - 2) {
        s->st = maas_fail(s->r->err, MAAS_E_FORMAT, "kernel_shape is missing or too long");
        return;
    }
    for (uint32_t i = 0; i < s->n->n_attr; i++)
        if (strcmp(s->n->attr[i].name, "channels_last") != 0)
            attr[n++] = s->n->attr[i];
    const int rank = (int)kernel->n + 2;
    const maas_vid like = required(s, 0);
    maas_vid x = dequantized(s, 0), y = MAAS_NO_VALUE;
    if (last)
        x = channels_moved(s, x, rank, false);
    nodes_outputs(s, "AveragePool", attr, n, &x, 1, &y, 1);
    if (last)
        y = channels_moved(s, y, rank, true);
    becomes_quantized(s, y, 3, like);
}

static void global_average_pool(saying *s)
{
    const maas_vid like = required(s, 0);
    if (int_of(s, "channels_last", 0) != 0 && s->st == MAAS_OK)
        s->st = maas_fail(s->r->err, MAAS_E_UNSUPPORTED, "channels in the last axis");
    becomes_quantized(s, made(s, "GlobalAveragePool", NULL, IN(dequantized(s, 0))), 3, like);
}

/* ---- products ---- */

static maas_vid transposed(saying *s, maas_vid v, const char *attr)
{
    static const int64_t swap[] = {1, 0};
    const maas_attr perm = MAAS_A_INTS("perm", swap, 2);
    return int_of(s, attr, 0) ? made(s, "Transpose", &perm, IN(v)) : v;
}

/* C, if any, is added to the sums; without a scale of Y the result stays a float. */
static void gemm(saying *s)
{
    const maas_attr *alpha = attr_of(s, "alpha", MAAS_ATTR_FLOAT);
    const maas_vid a = transposed(s, required(s, 0), "transA"),
                   b = transposed(s, required(s, 3), "transB"), c = input(s, 6);
    maas_vid sum = made(s, "MatMulInteger", NULL,
                        IN(a, b, scalar(s, required(s, 2)), required(s, 5)));
    if (c != MAAS_NO_VALUE)
        sum = made(s, "Add", NULL, IN(sum, c));
    maas_vid scale = made(s, "Mul", NULL, IN(scalar(s, required(s, 1)), required(s, 4)));
    if (alpha && alpha->u.f != 1)
        scale = made(s, "Mul", NULL, IN(scale, number(s, alpha->u.f)));
    sum = as(s, sum, MAAS_F32);
    if (input(s, 7) == MAAS_NO_VALUE)
        becomes(s, "Mul", NULL, IN(sum, scale));
    else
        becomes_quantized(s, made(s, "Mul", NULL, IN(sum, scale)), 7, required(s, 0));
}

/* sums * scale + bias, in single precision, then as the type of `like`. */
static void becomes_scaled(saying *s, maas_vid sums, maas_vid scale, maas_vid bias, maas_vid like)
{
    maas_vid y = made(s, "Mul", NULL, IN(as(s, sums, MAAS_F32), scale));
    if (bias != MAAS_NO_VALUE)
        y = made(s, "Add", NULL, IN(y, as(s, bias, MAAS_F32)));
    becomes(s, "CastLike", NULL, IN(y, like));
}

static void integer_to_float(saying *s)
{
    const maas_vid a_scale = required(s, 2), a_zero = input(s, 4);
    const maas_vid zero = a_zero == MAAS_NO_VALUE ? a_zero : scalar(s, a_zero);
    const maas_vid sums = made(s, "MatMulInteger", NULL,
                               IN(required(s, 0), required(s, 1), zero, input(s, 5)));
    const maas_vid scale = made(
        s, "Mul", NULL, IN(as(s, scalar(s, a_scale), MAAS_F32), as(s, required(s, 3), MAAS_F32)));
    becomes_scaled(s, sums, scale, input(s, 6), a_scale);
}

static void dynamic_matmul(saying *s)
{
    const maas_vid a = required(s, 0), b_scale = required(s, 2);
    maas_vid code[3];
    nodes_outputs(s, "DynamicQuantizeLinear", NULL, 0, &a, 1, code, 3);
    const maas_vid sums = made(s, "MatMulInteger", NULL,
                               IN(code[0], required(s, 1), code[2], input(s, 3)));
    becomes_scaled(s, sums, made(s, "Mul", NULL, IN(code[1], b_scale)), input(s, 4), a);
}

/* ---- rows ---- */

/* The standard has since taken it over as it was. */
static void as_it_is(saying *s)
{
    s->n->domain = "";
}

static const struct row {
    const char *op;
    void (*say)(saying *s);
} rows[] = {
    {"QuantizeLinear", as_it_is},
    {"DequantizeLinear", as_it_is},
    {"QLinearAdd", add},
    {"QLinearMul", mul},
    {"QLinearSigmoid", sigmoid},
    {"QLinearLeakyRelu", leaky_relu},
    {"QLinearWhere", where},
    {"QLinearSoftmax", softmax},
    {"QLinearConcat", concat},
    {"QLinearAveragePool", average_pool},
    {"QLinearGlobalAveragePool", global_average_pool},
    {"QGemm", gemm},
    {"MatMulIntegerToFloat", integer_to_float},
    {"DynamicQuantizeMatMul", dynamic_matmul},
};

maas_status maas_onnx_from_microsoft(maas_onnx_reader *r, maas_graph *g, maas_onnx_node *n)
{
    saying s = {.r = r, .g = g, .n = n};
    for (size_t i = 0; i < MAAS_COUNT(rows); i++)
        if (strcmp(n->op, rows[i].op) == 0) {
            rows[i].say(&s);
            return s.st;
        }
    maas_onnx_say_network(&s);
    return s.st;
}
