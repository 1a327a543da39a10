/*
 * FusedGemm (ai.maas) - a Gemm and the activation behind it, made by the pass fuse-gemm:
 * Y = activation(alpha * A' * B' + beta * C). With activation "ReluGrad" the product is the
 * gradient that came back, and V the output of the Relu it goes through: Y = V > 0 ? product : 0.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

extern const maas_op maas_op_Gemm;

static const maas_op *activation_of(const maas_node *n, bool *out_known)
{
    static const char *const names[] = {"Relu", "Sigmoid", "Tanh", "ReluGrad"};
    maas_str s = maas_attr_s(n, "activation", "");
    *out_known = s.n == 0;
    for (size_t i = 0; i < MAAS_COUNT(names); i++)
        if (s.n == strlen(names[i]) && memcmp(s.p, names[i], s.n) == 0) {
            *out_known = true;
            const maas_op *op = maas_op_find("", names[i], MAAS_OPSET);
            return op ? op : maas_op_find(MAAS_DOMAIN_OWN, names[i], MAAS_OPSET);
        }
    return NULL;
}

static maas_status fused_gemm_infer(maas_infer *q, maas_err *err)
{
    bool known;
    const maas_op *act = activation_of(q->node, &known);
    if (!known)
        return maas_fail(err, MAAS_E_INVALID, "unknown activation");
    const bool two = act && act->n_in == 2;
    if (two != maas_q_has(q, 3))
        return maas_fail(err, MAAS_E_INVALID, two ? "V is missing" : "V is not used here");
    MAAS_TRY(maas_op_Gemm.infer(q, err));
    for (int i = 0; two && q->in[3].rank >= 0 && i < 2; i++)
        if (q->in[3].rank != 2 || (q->in[3].dims[i] >= 0 && q->out[0].dims[i] >= 0 &&
                                   q->in[3].dims[i] != q->out[0].dims[i]))
            return maas_fail(err, MAAS_E_INVALID, "V does not have the shape of the product");
    return MAAS_OK;
}

static maas_status fused_gemm_reference(const maas_call *c, maas_err *err)
{
    bool known;
    const maas_op *act = activation_of(c->node, &known);
    MAAS_TRY(maas_op_Gemm.reference(c, err));
    const maas_tensor *v = maas_c_in(c, 3), *y = &c->out[0];
    for (int64_t i = 0, n = act ? maas_n_elems(y) : 0; i < n; i++) {
        const float in[2] = {(float)maas_ld(y, i), v ? (float)maas_ld(v, i) : 0};
        maas_st(y, i, act->scalar(c->node, in, act->n_in));
    }
    return MAAS_OK;
}

static int64_t fused_gemm_flops(const maas_call *c)
{
    return maas_op_Gemm.flops(c) + maas_n_elems(&c->out[0]);
}

static void fused_gemm_example(maas_example *e)
{
    static const struct {
        const char *activation;
        int ta, tb, bias_rank; /* -1: no bias */
        float alpha;
        int64_t m, k, n, bias[2];
    } cases[] = {
        {"Relu", 0, 0, 1, 1, 3, 4, 5, {5, 0}},        {"Sigmoid", 0, 1, 1, 1, 7, 30, 17, {17, 0}},
        {"Tanh", 0, 0, 2, .5f, 13, 300, 70, {13, 1}}, {"ReluGrad", 0, 1, -1, 1, 20, 10, 33, {0, 0}},
        {"", 1, 1, 0, 1, 5, 2, 66, {0, 0}},           {"Relu", 1, 0, 1, 1, 64, 64, 128, {128, 0}},
        {"Relu", 0, 0, 1, 1, 1, 4, 3, {3, 0}},
    };
    const int k = e->variant;
    const int64_t a[2][2] = {{cases[k].m, cases[k].k}, {cases[k].k, cases[k].m}};
    const int64_t w[2][2] = {{cases[k].k, cases[k].n}, {cases[k].n, cases[k].k}};
    const int64_t y[2] = {cases[k].m, cases[k].n};
    const maas_attr attr[] = {MAAS_A_INT("transA", cases[k].ta), MAAS_A_INT("transB", cases[k].tb),
                              MAAS_A_FLOAT("alpha", cases[k].alpha),
                              MAAS_A_STR("activation", cases[k].activation)};
    maas_vid in[4] = {maas_ex_in(e, MAAS_F32, -1, 1, 2, a[cases[k].ta]),
                      maas_ex_in(e, MAAS_F32, -1, 1, 2, w[cases[k].tb]), MAAS_NO_VALUE,
                      MAAS_NO_VALUE};
    if (cases[k].bias_rank >= 0)
        in[2] = maas_ex_in(e, MAAS_F32, -1, 1, cases[k].bias_rank, cases[k].bias);
    if (strcmp(cases[k].activation, "ReluGrad") == 0)
        in[3] = maas_ex_in(e, MAAS_F32, -1, 1, 2, y);
    maas_b_node(e->b, "FusedGemm", attr, 4, in, in[3] >= 0 ? 4 : in[2] >= 0 ? 3 : 2, NULL, 1);
}

static const maas_io_schema in[] = {
    MAAS_REQ("A", "T", MAAS_DTS_FLOAT), MAAS_REQ("B", "T", MAAS_DTS_FLOAT),
    MAAS_OPT("C", "T", MAAS_DTS_FLOAT), MAAS_OPT("V", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema out[] = {MAAS_REQ("Y", "T", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {{"transA", MAAS_ATTR_INT, false},
                                         {"transB", MAAS_ATTR_INT, false},
                                         {"alpha", MAAS_ATTR_FLOAT, false},
                                         {"beta", MAAS_ATTR_FLOAT, false},
                                         {"activation", MAAS_ATTR_STRING, false}};

const maas_op maas_op_FusedGemm = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "FusedGemm",
    .since = 1,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 7,
    .tolerance = 1e-4,
    .infer = fused_gemm_infer,
    .reference = fused_gemm_reference,
    .flops = fused_gemm_flops,
    .example = fused_gemm_example,
    .no_gradient = "it is made after differentiation",
};
