/* Min, Max, Sum and Mean over one or more inputs that broadcast together. A NaN passes through. */
#include "ops/ops_int.h"

#include "base/ban.h"

typedef double (*real_fn)(double acc, double x);

static double min_real(double acc, double x)
{
    return x < acc || x != x ? x : acc;
}
static double max_real(double acc, double x)
{
    return x > acc || x != x ? x : acc;
}
static double sum_real(double acc, double x)
{
    return acc + x;
}
#define mean_real sum_real

static int64_t pick_int(int64_t acc, int64_t x, bool is_signed, bool larger)
{
    bool more = is_signed ? x > acc : (uint64_t)x > (uint64_t)acc;
    return more == larger ? x : acc;
}

/* Input k folded into the output; the first one is copied. */
static void fold(const maas_call *c, int k, real_fn real, bool larger)
{
    const maas_tensor *x = &c->in[k], *y = &c->out[0];
    const bool is_signed = maas_dtype_describe((maas_dtype)y->dtype)->kind == MAAS_KIND_INT;
    maas_bcast b;
    maas_bcast_init(&b, y, x, 1);
    while (maas_bcast_row(&b))
        for (int64_t i = 0; i < b.inner; i++) {
            int64_t ix = b.at[0] + i * b.step[0], iy = b.row * b.inner + i;
            if (maas_is_float(y->dtype)) {
                double v = maas_ld(x, ix);
                maas_st(y, iy, k == 0 ? v : real(maas_ld(y, iy), v));
            } else {
                int64_t v = maas_tensor_get_i64(x, ix);
                maas_st_i64(
                    y, iy, k == 0 ? v : pick_int(maas_tensor_get_i64(y, iy), v, is_signed, larger));
            }
        }
}

static void run(const maas_call *c, real_fn real, bool larger, bool mean)
{
    const maas_tensor *y = &c->out[0];
    for (int k = 0; k < c->n_in; k++)
        fold(c, k, real, larger);
    for (int64_t i = 0, n = mean ? maas_n_elems(y) : 0; i < n; i++)
        maas_st(y, i, maas_ld(y, i) / c->n_in);
}

static float run_scalar(const float *in, int n_in, real_fn real, bool mean)
{
    double acc = in[0];
    for (int i = 1; i < n_in; i++)
        acc = real(acc, in[i]);
    return (float)(mean ? acc / n_in : acc);
}

static int64_t variadic_flops(const maas_call *c)
{
    return maas_n_elems(&c->out[0]) * c->n_in;
}

/* ---- gradients ---- */

static void sum_gradient(maas_grad *g)
{
    for (int i = 0; i < g->node->n_in; i++)
        if (g->want[i])
            g->din[i] = maas_b_reduce_to(g->b, g->dout[0], g->node->in[i]);
}

static void mean_gradient(maas_grad *g)
{
    maas_vid d = MAAS_B_DIV(g->b, g->dout[0], maas_b_like(g->b, g->dout[0], g->node->n_in));
    for (int i = 0; i < g->node->n_in; i++)
        if (g->want[i])
            g->din[i] = maas_b_reduce_to(g->b, d, g->node->in[i]);
}

/* The inputs that are the extreme share dy evenly. */
static void extreme_gradient(maas_grad *g)
{
    maas_builder *b = g->b;
    const maas_vid y = g->node->out[0];
    maas_vid count = MAAS_NO_VALUE;
    for (int i = 0; i < g->node->n_in; i++) {
        maas_vid is = maas_b_op2(b, "CastLike", maas_b_op2(b, "Equal", g->node->in[i], y), y);
        count = i == 0 ? is : MAAS_B_ADD(b, count, is);
        g->din[i] = is;
    }
    maas_vid share = MAAS_B_DIV(b, g->dout[0], count);
    for (int i = 0; i < g->node->n_in; i++)
        g->din[i] = maas_b_reduce_to(b, MAAS_B_MUL(b, g->din[i], share), g->node->in[i]);
}
#define min_gradient extreme_gradient
#define max_gradient extreme_gradient

static void example_of(maas_example *e, const char *op)
{
    static const struct {
        int n, rank[3];
        int64_t dims[3][2];
    } cases[] = {{3, {2, 2, 2}, {{3, 4}, {3, 4}, {3, 4}}},
                 {3, {2, 1, 0}, {{3, 4}, {4}, {0}}},
                 {1, {2}, {{3, 4}}},
                 {2, {2, 2}, {{3, 1}, {1, 4}}}};
    int k = e->variant / 2 % 4;
    maas_dtype t = e->variant == 8 ? MAAS_I32 : e->variant == 9 ? MAAS_U8 : maas_ex_float(e);
    maas_vid in[3];
    for (int i = 0; i < cases[k].n; i++)
        in[i] = maas_ex_in(e, t, t == MAAS_U8 ? 0 : -3, 3, cases[k].rank[i], cases[k].dims[i]);
    maas_b_node(e->b, op, NULL, 0, in, (uint32_t)cases[k].n, NULL, 1);
}

static const maas_io_schema numeric_in[] = {MAAS_VARIADIC("data_0", "T", MAAS_DTS_NUMERIC)};
static const maas_io_schema numeric_out[] = {MAAS_REQ("result", "T", MAAS_DTS_NUMERIC)};
static const maas_io_schema float_in[] = {MAAS_VARIADIC("data_0", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema float_out[] = {MAAS_REQ("result", "T", MAAS_DTS_FLOAT)};

#define VARIADIC(Name, fn, schema, variants, larger, mean)                                         \
    static maas_status fn##_reference(const maas_call *c, maas_err *err)                           \
    {                                                                                              \
        run(c, fn##_real, larger, mean);                                                           \
        return MAAS_OK;                                                                            \
    }                                                                                              \
    static float fn##_scalar(const maas_node *n, const float *in, int n_in)                        \
    {                                                                                              \
        return run_scalar(in, n_in, fn##_real, mean);                                              \
    }                                                                                              \
    static void fn##_example(maas_example *e)                                                      \
    {                                                                                              \
        example_of(e, #Name);                                                                      \
    }                                                                                              \
    const maas_op maas_op_##Name = {                                                               \
        .domain = "",                                                                              \
        .name = #Name,                                                                             \
        .since = 13,                                                                               \
        .flags = MAAS_OP_ELEMENTWISE,                                                              \
        MAAS_SCHEMA(schema##_in, schema##_out),                                                    \
        .n_examples = variants,                                                                    \
        .tolerance = 1e-5,                                                                         \
        .infer = maas_infer_broadcast,                                                             \
        .reference = fn##_reference,                                                               \
        .flops = variadic_flops,                                                                   \
        .example = fn##_example,                                                                   \
        .gradient = fn##_gradient,                                                                 \
        .scalar = fn##_scalar,                                                                     \
    };
VARIADIC(Min, min, numeric, 10, false, false)
VARIADIC(Max, max, numeric, 10, true, false)
VARIADIC(Sum, sum, float, 8, false, false)
VARIADIC(Mean, mean, float, 8, false, true)
