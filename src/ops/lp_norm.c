/*
 * LpNormalization: x divided by the 1- or 2-norm of its line along an axis, 0 where that is 0.
 * MeanVarianceNormalization: (x - mean) / (deviation + 1e-9) over a set of axes.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

/* ---- LpNormalization ---- */

static maas_status lp_infer(maas_infer *q, maas_err *err)
{
    int axis;
    const int64_t p = maas_attr_i(q->node, "p", 2);
    if (p != 1 && p != 2)
        return maas_fail(err, MAAS_E_INVALID, "p must be 1 or 2, not %lld", (long long)p);
    if (q->in[0].rank >= 0)
        MAAS_TRY(maas_axis(maas_attr_i(q->node, "axis", -1), q->in[0].rank, &axis, err));
    q->out[0] = q->in[0];
    return MAAS_OK;
}

static void lp_line(const maas_tensor *x, const maas_tensor *y, int64_t at, int64_t n, int64_t step,
                    bool squares)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const double v = maas_ld(x, at + i * step);
        sum += squares ? v * v : fabs(v);
    }
    const double norm = squares ? sqrt(sum) : sum;
    for (int64_t i = 0; i < n; i++)
        maas_st(y, at + i * step, norm == 0 ? 0 : maas_ld(x, at + i * step) / norm);
}

static maas_status lp_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    const int64_t axis = maas_attr_i(c->node, "axis", -1);
    const maas_split3 s = maas_around(x, (int)(axis < 0 ? axis + x->rank : axis));
    for (int64_t o = 0; o < s.outer; o++)
        for (int64_t i = 0; i < s.inner; i++)
            lp_line(x, &c->out[0], o * s.n * s.inner + i, s.n, s.inner,
                    maas_attr_i(c->node, "p", 2) == 2);
    return MAAS_OK;
}

static int64_t lp_flops(const maas_call *c)
{
    return 3 * maas_n_elems(&c->in[0]);
}

/* dx = (dy - u sum(dy y)) / norm, where u is y for p = 2 and sign(x) for p = 1; 0 where the norm
 * is. */
static void lp_gradient(maas_grad *g)
{
    maas_builder *b = g->b;
    const maas_vid x = g->node->in[0], y = g->node->out[0], dy = g->dout[0];
    const int64_t axis = maas_attr_i(g->node, "axis", -1);
    const bool squares = maas_attr_i(g->node, "p", 2) == 2;
    const maas_vid axes = maas_b_i64s(b, &axis, 1);
    maas_vid norm = maas_b_op2(b, squares ? "ReduceL2" : "ReduceL1", x, axes);
    maas_vid s = maas_b_op2(b, "ReduceSum", MAAS_B_MUL(b, dy, y), axes);
    maas_vid u = squares ? y : maas_b_op1(b, "Sign", x);
    const maas_vid zero = maas_b_like(b, x, 0);
    maas_vid d = MAAS_B_DIV(b, MAAS_B_SUB(b, dy, MAAS_B_MUL(b, u, s)), norm);
    g->din[0] = maas_b_op3(b, "Where", maas_b_op2(b, "Equal", norm, zero), zero, d);
}

static void lp_example(maas_example *e)
{
    static const struct {
        int rank, axis, p;
        int64_t dims[3];
    } cases[] = {{2, -1, 2, {4, 10}}, {3, 1, 1, {2, 5, 3}}, {1, 0, 2, {7}}, {2, 1, 1, {0, 4}}};
    const int k = e->variant / 2;
    const maas_attr a[2] = {MAAS_A_INT("axis", cases[k].axis), MAAS_A_INT("p", cases[k].p)};
    const maas_vid x = maas_ex_in(e, maas_ex_float(e), -3, 3, cases[k].rank, cases[k].dims);
    maas_b_node(e->b, "LpNormalization", a, 2, &x, 1, NULL, 1);
}

/* ---- MeanVarianceNormalization ---- */

#define LEAST 1e-9 /* added to the deviation; the standard says so */

static const int64_t *axes_of(const maas_node *n, uint32_t *count)
{
    static const int64_t usual[] = {0, 2, 3};
    const int64_t *axes = maas_attr_ints(n, "axes", count);
    if (!axes)
        *count = 3;
    return axes ? axes : usual;
}

static maas_status mvn_infer(maas_infer *q, maas_err *err)
{
    uint32_t n, mask;
    const int64_t *axes = axes_of(q->node, &n);
    if (q->in[0].rank >= 0)
        MAAS_TRY(maas_axes(axes, (int)(n > 1000 ? 1000 : n), q->in[0].rank, &mask, err));
    q->out[0] = q->in[0];
    return MAAS_OK;
}

static void mvn_set(const maas_tensor *x, const maas_tensor *y, uint32_t mask, int64_t at)
{
    maas_walk w;
    double sum = 0, squares = 0, n = 0;
    for (maas_walk_init(&w, x->dims, x->rank, mask, at); w.left; maas_walk_step(&w), n++)
        sum += maas_ld(x, w.at);
    const double mean = sum / n;
    for (maas_walk_init(&w, x->dims, x->rank, mask, at); w.left; maas_walk_step(&w))
        squares += (maas_ld(x, w.at) - mean) * (maas_ld(x, w.at) - mean);
    const double deviation = sqrt(squares / n) + LEAST;
    for (maas_walk_init(&w, x->dims, x->rank, mask, at); w.left; maas_walk_step(&w))
        maas_st(y, w.at, (maas_ld(x, w.at) - mean) / deviation);
}

static maas_status mvn_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    uint32_t n, mask;
    const int64_t *axes = axes_of(c->node, &n);
    MAAS_TRY(maas_axes(axes, (int)n, x->rank, &mask, err));
    maas_walk outer;
    maas_walk_init(&outer, x->dims, x->rank, ~mask, 0);
    for (; maas_n_elems(x) && outer.left; maas_walk_step(&outer))
        mvn_set(x, &c->out[0], mask, outer.at);
    return MAAS_OK;
}

static int64_t mvn_flops(const maas_call *c)
{
    return 6 * maas_n_elems(&c->in[0]);
}

/* With h = x - mean, s = deviation + LEAST: dx = (d - mean(d) - h mean(d h) / (s (s - LEAST))) / s.
 */
static void mvn_gradient(maas_grad *g)
{
    maas_builder *b = g->b;
    uint32_t n;
    const int64_t *list = axes_of(g->node, &n);
    const maas_vid x = g->node->in[0], dy = g->dout[0], axes = maas_b_i64s(b, list, (int)n);
    maas_vid h = MAAS_B_SUB(b, x, maas_b_op2(b, "ReduceMean", x, axes));
    maas_vid deviation = maas_b_op1(b, "Sqrt",
                                    maas_b_op2(b, "ReduceMean", MAAS_B_MUL(b, h, h), axes));
    maas_vid s = MAAS_B_ADD(b, deviation, maas_b_like(b, x, LEAST));
    maas_vid dh = maas_b_op2(b, "ReduceMean", MAAS_B_MUL(b, dy, h), axes);
    dh = MAAS_B_MUL(b, h, MAAS_B_DIV(b, dh, MAAS_B_MUL(b, s, deviation)));
    maas_vid d = MAAS_B_SUB(b, dy, maas_b_op2(b, "ReduceMean", dy, axes));
    g->din[0] = MAAS_B_DIV(b, MAAS_B_SUB(b, d, dh), s);
}

static void mvn_example(maas_example *e)
{
    static const int64_t some[] = {-1, 0};
    const maas_attr a = MAAS_A_INTS("axes", some, 2);
    const int k = e->variant / 2;
    const maas_vid x = k == 0 ? maas_ex_in(e, maas_ex_float(e), -3, 3, MAAS_DIMS(2, 3, 2, 2))
                              : maas_ex_in(e, maas_ex_float(e), -3, 3, MAAS_DIMS(k - 1, 2, 4));
    maas_b_node(e->b, "MeanVarianceNormalization", &a, k > 0, &x, 1, NULL, 1);
}

/* ---- rows ---- */

static const maas_io_schema lp_in[] = {MAAS_REQ("input", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema lp_out[] = {MAAS_REQ("output", "T", MAAS_DTS_FLOAT)};
static const maas_attr_schema lp_attrs[] = {{"axis", MAAS_ATTR_INT, false},
                                            {"p", MAAS_ATTR_INT, false}};
static const maas_io_schema mvn_in[] = {MAAS_REQ("X", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema mvn_out[] = {MAAS_REQ("Y", "T", MAAS_DTS_FLOAT)};
static const maas_attr_schema mvn_attrs[] = {{"axes", MAAS_ATTR_INTS, false}};

const maas_op maas_op_LpNormalization = {
    .domain = "",
    .name = "LpNormalization",
    .since = 1,
    .flags = MAAS_OP_INPLACE,
    MAAS_SCHEMA(lp_in, lp_out),
    MAAS_ATTRS(lp_attrs),
    .n_examples = 8,
    .tolerance = 1e-5,
    .infer = lp_infer,
    .reference = lp_reference,
    .flops = lp_flops,
    .example = lp_example,
    .gradient = lp_gradient,
};

const maas_op maas_op_MeanVarianceNormalization = {
    .domain = "",
    .name = "MeanVarianceNormalization",
    .since = 9,
    .flags = MAAS_OP_INPLACE,
    MAAS_SCHEMA(mvn_in, mvn_out),
    MAAS_ATTRS(mvn_attrs),
    .n_examples = 6,
    .tolerance = 1e-4,
    .infer = mvn_infer,
    .reference = mvn_reference,
    .flops = mvn_flops,
    .example = mvn_example,
    .gradient = mvn_gradient,
};
