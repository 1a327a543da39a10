/* GlobalAveragePool, GlobalMaxPool, GlobalLpPool: everything behind [N][C] becomes one element. */
#include "ops/ops_int.h"

#include "base/ban.h"

static maas_status global_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    q->out[0] = *x;
    if (x->rank >= 0 && x->rank < 3)
        return maas_fail(err, MAAS_E_INVALID, "X has rank %d, must be [N,C,..]", x->rank);
    if (maas_attr_i(q->node, "p", 2) < 1)
        return maas_fail(err, MAAS_E_INVALID, "p must be above 0");
    for (int i = 2; i < x->rank; i++)
        q->out[0].dims[i] = 1;
    return MAAS_OK;
}

typedef double fold(const maas_tensor *x, int64_t at, int64_t n, double p);

static maas_status each_plane(const maas_call *c, fold *f)
{
    const maas_tensor *x = &c->in[0];
    const int64_t n = maas_dims_product(x->dims, 2, x->rank), planes = x->dims[0] * x->dims[1];
    const double p = (double)maas_attr_i(c->node, "p", 2);
    for (int64_t i = 0; i < planes; i++)
        maas_st(&c->out[0], i, f(x, i * n, n, p));
    return MAAS_OK;
}

static double mean(const maas_tensor *x, int64_t at, int64_t n, double p)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += maas_ld(x, at + i);
    return n ? sum / (double)n : 0;
}

static double largest(const maas_tensor *x, int64_t at, int64_t n, double p)
{
    double best = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        const double v = maas_ld(x, at + i);
        if (v > best || isnan(v))
            best = v;
    }
    return best;
}

static double norm(const maas_tensor *x, int64_t at, int64_t n, double p)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += pow(fabs(maas_ld(x, at + i)), p);
    return pow(sum, 1 / p);
}

static maas_status average_reference(const maas_call *c, maas_err *err)
{
    return each_plane(c, mean);
}

static maas_status max_reference(const maas_call *c, maas_err *err)
{
    return each_plane(c, largest);
}

static maas_status lp_reference(const maas_call *c, maas_err *err)
{
    return each_plane(c, norm);
}

static int64_t global_flops(const maas_call *c)
{
    return maas_n_elems(&c->in[0]);
}

/* ---- gradients ---- */

static maas_vid spread(maas_grad *g, maas_vid v)
{
    return maas_b_op2(g->b, "Expand", v, maas_b_op1(g->b, "Shape", g->node->in[0]));
}

static void average_gradient(maas_grad *g)
{
    maas_builder *b = g->b;
    const maas_vid x = g->node->in[0], y = g->node->out[0];
    maas_vid n = MAAS_B_DIV(b, maas_b_op1(b, "Size", x), maas_b_op1(b, "Size", y));
    g->din[0] = spread(g, MAAS_B_DIV(b, g->dout[0], maas_b_op2(b, "CastLike", n, x)));
}

/* The elements that are the largest share its gradient evenly, as for ReduceMax. */
static void max_gradient(maas_grad *g)
{
    maas_builder *b = g->b;
    const maas_vid x = g->node->in[0], y = g->node->out[0];
    maas_vid is = maas_b_op2(b, "CastLike", maas_b_op2(b, "Equal", x, y), x);
    maas_vid d = MAAS_B_DIV(b, g->dout[0], maas_b_op2(b, "ReduceTo", is, y));
    g->din[0] = MAAS_B_MUL(b, is, d);
}

/* dx = dy sign(x) (|x| / y)^(p-1) */
static void lp_gradient(maas_grad *g)
{
    maas_builder *b = g->b;
    const maas_vid x = g->node->in[0], y = g->node->out[0];
    const double p = (double)maas_attr_i(g->node, "p", 2);
    maas_vid part = MAAS_B_DIV(b, maas_b_op1(b, "Abs", x), y);
    maas_vid d = MAAS_B_MUL(b, g->dout[0], maas_b_op2(b, "Pow", part, maas_b_like(b, x, p - 1)));
    g->din[0] = MAAS_B_MUL(b, maas_b_op1(b, "Sign", x), d);
}

/* ---- examples and rows ---- */

#define N_GLOBAL 10
static void example_of(maas_example *e, const char *op, double lo)
{
    static const struct {
        int rank;
        int64_t dims[5];
    } shapes[N_GLOBAL / 2] = {{4, {2, 3, 4, 5}},
                              {3, {1, 2, 7}},
                              {5, {1, 3, 2, 1, 3}},
                              {4, {0, 2, 3, 3}},
                              {4, {2, 20, 7, 7}}};
    const int k = e->variant / 2;
    const maas_vid x = maas_ex_in(e, maas_ex_float(e), lo, 3, shapes[k].rank, shapes[k].dims);
    const maas_attr p = MAAS_A_INT("p", 1 + k % 3);
    maas_b_node(e->b, op, &p, strcmp(op, "GlobalLpPool") == 0, &x, 1, NULL, 1);
}

static const maas_io_schema in[] = {MAAS_REQ("X", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema out[] = {MAAS_REQ("Y", "T", MAAS_DTS_FLOAT)};
static const maas_attr_schema lp_attrs[] = {{"p", MAAS_ATTR_INT, false}};

#define GLOBAL(Name, fn, version, least, ...)                                                      \
    static void fn##_example(maas_example *e)                                                      \
    {                                                                                              \
        example_of(e, #Name, least);                                                               \
    }                                                                                              \
    const maas_op maas_op_##Name = {                                                               \
        .domain = "",                                                                              \
        .name = #Name,                                                                             \
        .since = version,                                                                          \
        MAAS_SCHEMA(in, out),                                                                      \
        __VA_ARGS__.n_examples = N_GLOBAL,                                                         \
        .tolerance = 1e-5,                                                                         \
        .infer = global_infer,                                                                     \
        .reference = fn##_reference,                                                               \
        .flops = global_flops,                                                                     \
        .example = fn##_example,                                                                   \
        .gradient = fn##_gradient,                                                                 \
    };
#define LP_ATTRS MAAS_ATTRS(lp_attrs),

GLOBAL(GlobalAveragePool, average, 1, -3, )
GLOBAL(GlobalMaxPool, max, 1, -3, )
GLOBAL(GlobalLpPool, lp, 2, 0.5, LP_ATTRS)
