/*
 * Softmax, LogSoftmax and Hardmax along one axis; the largest element is subtracted first, so
 * nothing overflows. y = exp(x - max) / sum; log y = x - max - log sum.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

static maas_status softmax_infer(maas_infer *q, maas_err *err)
{
    int axis;
    if (q->in[0].rank >= 0)
        MAAS_TRY(maas_axis(maas_attr_i(q->node, "axis", -1), q->in[0].rank, &axis, err));
    q->out[0] = q->in[0];
    return MAAS_OK;
}

static void one_line(const maas_tensor *x, const maas_tensor *y, int64_t at, int64_t n,
                     int64_t step, bool logarithm)
{
    double max = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++)
        max = fmax(max, maas_ld(x, at + i * step));
    for (int64_t i = 0; i < n; i++)
        sum += exp(maas_ld(x, at + i * step) - max);
    for (int64_t i = 0; i < n; i++) {
        double d = maas_ld(x, at + i * step) - max;
        maas_st(y, at + i * step, logarithm ? d - log(sum) : exp(d) / sum);
    }
}

static void lines(const maas_call *c, bool logarithm)
{
    const maas_tensor *x = &c->in[0];
    int64_t axis = maas_attr_i(c->node, "axis", -1);
    maas_split3 s = maas_around(x, (int)(axis < 0 ? axis + x->rank : axis));
    for (int64_t o = 0; o < s.outer; o++)
        for (int64_t i = 0; i < s.inner; i++)
            one_line(x, &c->out[0], o * s.n * s.inner + i, s.n, s.inner, logarithm);
}

static maas_status softmax_reference(const maas_call *c, maas_err *err)
{
    lines(c, false);
    return MAAS_OK;
}

static maas_status log_softmax_reference(const maas_call *c, maas_err *err)
{
    lines(c, true);
    return MAAS_OK;
}

static int64_t softmax_flops(const maas_call *c)
{
    return 4 * maas_n_elems(&c->in[0]);
}

static maas_vid sum_along(maas_grad *g, maas_vid v)
{
    const int64_t axis = maas_attr_i(g->node, "axis", -1);
    return maas_b_op2(g->b, "ReduceSum", v, maas_b_i64s(g->b, &axis, 1));
}

/* dx = y * (dy - sum(dy * y)) */
static void softmax_gradient(maas_grad *g)
{
    const maas_vid y = g->node->out[0], dy = g->dout[0];
    maas_vid s = sum_along(g, MAAS_B_MUL(g->b, dy, y));
    g->din[0] = MAAS_B_MUL(g->b, y, MAAS_B_SUB(g->b, dy, s));
}

/* dx = dy - exp(y) * sum(dy) */
static void log_softmax_gradient(maas_grad *g)
{
    const maas_vid y = g->node->out[0], dy = g->dout[0];
    maas_vid p = MAAS_B_MUL(g->b, maas_b_op1(g->b, "Exp", y), sum_along(g, dy));
    g->din[0] = MAAS_B_SUB(g->b, dy, p);
}

/* ---- Hardmax: 1 at the first of the largest, 0 elsewhere ---- */

static maas_status hardmax_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    const int64_t axis = maas_attr_i(c->node, "axis", -1);
    const maas_split3 s = maas_around(x, (int)(axis < 0 ? axis + x->rank : axis));
    for (int64_t k = 0; k < s.outer * s.inner; k++) {
        const int64_t at = k / s.inner * s.n * s.inner + k % s.inner;
        int64_t best = 0;
        for (int64_t i = 1; i < s.n; i++)
            if (maas_ld(x, at + i * s.inner) > maas_ld(x, at + best * s.inner))
                best = i;
        for (int64_t i = 0; i < s.n; i++)
            maas_st(y, at + i * s.inner, i == best);
    }
    return MAAS_OK;
}

#define N_SOFTMAX 10
static void example_of(maas_example *e, const char *op)
{
    static const struct {
        int rank, axis;
        int64_t dims[3];
    } shapes[N_SOFTMAX / 2] = {
        {2, -1, {4, 10}}, {3, 1, {2, 5, 3}}, {1, 0, {7}}, {2, 0, {3, 1}}, {2, 1, {0, 4}}};
    int k = e->variant / 2;
    maas_vid x = maas_ex_in(e, maas_ex_float(e), -5, 5, shapes[k].rank, shapes[k].dims);
    maas_b_attr1(e->b, op, MAAS_A_INT("axis", shapes[k].axis), x, MAAS_NO_VALUE);
}

static void softmax_example(maas_example *e)
{
    example_of(e, "Softmax");
}

static void log_softmax_example(maas_example *e)
{
    example_of(e, "LogSoftmax");
}

static void hardmax_example(maas_example *e)
{
    example_of(e, "Hardmax");
}

static const maas_io_schema in[] = {MAAS_REQ("input", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema out[] = {MAAS_REQ("output", "T", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {{"axis", MAAS_ATTR_INT, false}};

const maas_op maas_op_Softmax = {
    .domain = "",
    .name = "Softmax",
    .since = 13,
    .flags = MAAS_OP_INPLACE,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = N_SOFTMAX,
    .tolerance = 1e-5,
    .infer = softmax_infer,
    .reference = softmax_reference,
    .flops = softmax_flops,
    .example = softmax_example,
    .gradient = softmax_gradient,
};

const maas_op maas_op_LogSoftmax = {
    .domain = "",
    .name = "LogSoftmax",
    .since = 13,
    .flags = MAAS_OP_INPLACE,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = N_SOFTMAX,
    .tolerance = 1e-5,
    .infer = softmax_infer,
    .reference = log_softmax_reference,
    .flops = softmax_flops,
    .example = log_softmax_example,
    .gradient = log_softmax_gradient,
};

const maas_op maas_op_Hardmax = {
    .domain = "",
    .name = "Hardmax",
    .since = 13,
    .flags = MAAS_OP_INPLACE,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = N_SOFTMAX,
    .infer = softmax_infer,
    .reference = hardmax_reference,
    .flops = maas_flops_out,
    .example = hardmax_example,
    .no_gradient = "it is constant wherever its derivative exists",
};
