/* Shrink: x + bias below -lambd, x - bias above lambd, zero between. */
#include "ops/ops_int.h"

#include "base/ban.h"

static double shrink(const maas_node *n, double x)
{
    const double bias = maas_attr_f(n, "bias", 0), edge = maas_attr_f(n, "lambd", 0.5f);
    if (x < -edge)
        return x + bias;
    return x > edge ? x - bias : x != x ? x : 0;
}

static maas_status reference(const maas_call *c, maas_err *err)
{
    for (int64_t i = 0, n = maas_n_elems(&c->in[0]); i < n; i++)
        maas_st(&c->out[0], i, shrink(c->node, maas_ld(&c->in[0], i)));
    return MAAS_OK;
}

static float scalar(const maas_node *n, const float *in, int n_in)
{
    return (float)shrink(n, in[0]);
}

static void gradient(maas_grad *g)
{
    maas_builder *b = g->b;
    const maas_vid x = g->node->in[0];
    const maas_vid edge = maas_b_like(b, x, maas_attr_f(g->node, "lambd", 0.5f));
    const maas_vid outside = maas_b_op2(b, "Greater", maas_b_op1(b, "Abs", x), edge);
    g->din[0] = maas_b_op3(b, "Where", outside, g->dout[0], maas_b_like(b, x, 0));
}

static void example(maas_example *e)
{
    static const maas_dtype types[] = {MAAS_F32, MAAS_F64, MAAS_F32, MAAS_F64,
                                       MAAS_I32, MAAS_U8,  MAAS_I64, MAAS_F16};
    const maas_dtype t = types[e->variant];
    const bool plain = e->variant < 2;
    const maas_attr attr[] = {MAAS_A_FLOAT("lambd", 1.5f), MAAS_A_FLOAT("bias", 0.75f)};
    const maas_vid x = maas_ex_in(e, t, t == MAAS_U8 ? 0 : -5, 5, MAAS_DIMS(3, 7));
    maas_b_node(e->b, "Shrink", attr, plain ? 0 : 2, &x, 1, NULL, 1);
}

#define DTS (MAAS_DTS_NUMERIC & ~MAAS_DT_BIT(MAAS_BF16)) /* which the standard leaves out */
static const maas_io_schema in[] = {MAAS_REQ("input", "T", DTS)};
static const maas_io_schema out[] = {MAAS_REQ("output", "T", DTS)};
static const maas_attr_schema attrs[] = {{"bias", MAAS_ATTR_FLOAT, false},
                                         {"lambd", MAAS_ATTR_FLOAT, false}};

const maas_op maas_op_Shrink = {
    .domain = "",
    .name = "Shrink",
    .since = 9,
    .flags = MAAS_OP_ELEMENTWISE | MAAS_OP_INPLACE,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 8,
    .tolerance = 1e-6,
    .infer = maas_infer_like,
    .reference = reference,
    .flops = maas_flops_out,
    .example = example,
    .gradient = gradient,
    .scalar = scalar,
};
