/* SwiGLU: a gate through Swish, times a value: y = a sigmoid(alpha a) b. */
#include "ops/ops_int.h"

#include "base/ban.h"

static maas_status swiglu_infer(maas_infer *q, maas_err *err)
{
    const maas_type *a = &q->in[0], *b = &q->in[1];
    q->out[0] = a->rank >= 0 ? *a : *b;
    if (a->rank < 0 || b->rank < 0)
        return MAAS_OK;
    if (a->rank != b->rank)
        return maas_fail(err, MAAS_E_INVALID, "A has rank %d and B %d", a->rank, b->rank);
    for (int i = 0; i < a->rank; i++)
        MAAS_TRY(maas_dim_same(a->dims[i], b->dims[i], &q->out[0].dims[i], "A and B", err));
    return MAAS_OK;
}

static double swiglu(double a, double b, double alpha)
{
    return a / (1 + exp(-alpha * a)) * b;
}

static maas_status swiglu_reference(const maas_call *c, maas_err *err)
{
    const double alpha = maas_attr_f(c->node, "alpha", 1);
    for (int64_t i = 0, n = maas_n_elems(&c->out[0]); i < n; i++)
        maas_st(&c->out[0], i, swiglu(maas_ld(&c->in[0], i), maas_ld(&c->in[1], i), alpha));
    return MAAS_OK;
}

static float swiglu_scalar(const maas_node *n, const float *in, int n_in)
{
    return (float)swiglu(in[0], in[1], maas_attr_f(n, "alpha", 1));
}

static int64_t swiglu_flops(const maas_call *c)
{
    return 5 * maas_n_elems(&c->out[0]);
}

static void swiglu_gradient(maas_grad *g)
{
    maas_builder *b = g->b;
    const maas_vid a = g->node->in[0], v = g->node->in[1], dy = g->dout[0];
    const maas_attr *attr = g->node->attr;
    if (g->want[0]) {
        const maas_vid in[2] = {MAAS_B_MUL(b, dy, v), a};
        g->din[0] = maas_b_node(b, "SwishGrad", attr, g->node->n_attr, in, 2, NULL, 1);
    }
    if (g->want[1]) {
        maas_vid s = maas_b_node(b, "Swish", attr, g->node->n_attr, &a, 1, NULL, 1);
        g->din[1] = MAAS_B_MUL(b, dy, s);
    }
}

static void swiglu_example(maas_example *e)
{
    static const int64_t dims[][3] = {{2, 3, 4}, {1, 1, 65}, {2, 0, 3}};
    const int k = e->variant / 2;
    const maas_attr alpha = MAAS_A_FLOAT("alpha", 1 + 0.5f * (float)k);
    const maas_vid a = maas_ex_in(e, maas_ex_float(e), -4, 4, 3, dims[k]);
    maas_b_attr1(e->b, "SwiGLU", alpha, a, maas_ex_in(e, maas_ex_float(e), -2, 2, 3, dims[k]));
}

static const maas_io_schema in[] = {MAAS_REQ("A", "T", MAAS_DTS_FLOAT),
                                    MAAS_REQ("B", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema out[] = {MAAS_REQ("Y", "T", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {{"alpha", MAAS_ATTR_FLOAT, false}};

const maas_op maas_op_SwiGLU = {
    .domain = "",
    .name = "SwiGLU",
    .since = 28,
    .flags = MAAS_OP_ELEMENTWISE | MAAS_OP_INPLACE,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 6,
    .tolerance = 1e-5,
    .infer = swiglu_infer,
    .reference = swiglu_reference,
    .flops = swiglu_flops,
    .example = swiglu_example,
    .gradient = swiglu_gradient,
    .scalar = swiglu_scalar,
};
