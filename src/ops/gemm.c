/*
 * Gemm - Y = alpha * A' * B' + beta * C, where A' and B' may be transposed and C broadcasts to Y.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

typedef struct gemm_args {
    bool ta, tb;
    double alpha, beta;
} gemm_args;

static gemm_args args_of(const maas_node *n)
{
    return (gemm_args){maas_attr_i(n, "transA", 0) != 0, maas_attr_i(n, "transB", 0) != 0,
                       maas_attr_f(n, "alpha", 1), maas_attr_f(n, "beta", 1)};
}

static maas_status check_bias(const maas_type *c, const int64_t *dims, maas_err *err)
{
    if (c->rank > 2)
        return maas_fail(err, MAAS_E_INVALID, "C has rank %d, at most 2", c->rank);
    for (int i = 0; i < c->rank; i++) {
        int64_t d = c->dims[i], want = dims[i + 2 - c->rank];
        if (d >= 0 && d != 1 && want >= 0 && d != want)
            return maas_fail(err, MAAS_E_INVALID, "C does not broadcast to the product");
    }
    return MAAS_OK;
}

static maas_status gemm_infer(maas_infer *q, maas_err *err)
{
    const maas_type *a = &q->in[0], *b = &q->in[1];
    gemm_args g = args_of(q->node);
    int64_t dims[2] = {MAAS_DIM_UNKNOWN, MAAS_DIM_UNKNOWN}, ignored;
    if ((a->rank >= 0 && a->rank != 2) || (b->rank >= 0 && b->rank != 2))
        return maas_fail(err, MAAS_E_INVALID, "A and B must be matrices");
    if (a->rank == 2)
        dims[0] = a->dims[g.ta];
    if (b->rank == 2)
        dims[1] = b->dims[!g.tb];
    if (a->rank == 2 && b->rank == 2)
        MAAS_TRY(maas_dim_same(a->dims[!g.ta], b->dims[g.tb], &ignored,
                               "columns of A and rows of B", err));
    if (maas_q_has(q, 2))
        MAAS_TRY(check_bias(&q->in[2], dims, err));
    maas_q_out(q, 0, (maas_dtype)a->dtype, 2, dims);
    return MAAS_OK;
}

static double dot(const maas_call *c, gemm_args g, int64_t i, int64_t j)
{
    const maas_tensor *a = &c->in[0], *b = &c->in[1];
    const int64_t k = a->dims[!g.ta], lda = a->dims[1], ldb = b->dims[1];
    double sum = 0;
    for (int64_t p = 0; p < k; p++)
        sum += maas_ld(a, g.ta ? p * lda + i : i * lda + p) *
               maas_ld(b, g.tb ? j * ldb + p : p * ldb + j);
    return sum;
}

static maas_status gemm_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *bias = maas_c_in(c, 2), *y = &c->out[0];
    const maas_tensor nothing = {.dtype = MAAS_F32};
    gemm_args g = args_of(c->node);
    maas_bcast w;
    maas_bcast_init(&w, y, bias ? bias : &nothing, 1);
    while (maas_bcast_row(&w))
        for (int64_t j = 0; j < w.inner; j++) {
            double v = g.alpha * dot(c, g, w.row, j);
            if (bias && g.beta != 0)
                v += g.beta * maas_ld(bias, w.at[0] + j * w.step[0]);
            maas_st(y, w.row * w.inner + j, v);
        }
    return MAAS_OK;
}

static int64_t gemm_flops(const maas_call *c)
{
    return 2 * maas_n_elems(&c->out[0]) * c->in[0].dims[!args_of(c->node).ta];
}

static maas_vid product(maas_builder *b, double alpha, maas_vid x, bool tx, maas_vid y, bool ty)
{
    const maas_attr attr[] = {MAAS_A_INT("transA", tx), MAAS_A_INT("transB", ty),
                              MAAS_A_FLOAT("alpha", (float)alpha)};
    return maas_b_node(b, "Gemm", attr, 3, (maas_vid[]){x, y}, 2, NULL, 1);
}

static void gemm_gradient(maas_grad *g)
{
    const maas_vid a = g->node->in[0], w = g->node->in[1], dy = g->dout[0];
    const maas_vid c = g->node->n_in > 2 ? g->node->in[2] : MAAS_NO_VALUE;
    gemm_args p = args_of(g->node);
    if (g->want[0])
        g->din[0] = p.ta ? product(g->b, p.alpha, w, p.tb, dy, true)
                         : product(g->b, p.alpha, dy, false, w, !p.tb);
    if (g->want[1])
        g->din[1] = p.tb ? product(g->b, p.alpha, dy, true, a, p.ta)
                         : product(g->b, p.alpha, a, !p.ta, dy, false);
    if (c == MAAS_NO_VALUE || !g->want[2])
        return;
    maas_vid d = maas_b_reduce_to(g->b, dy, c);
    g->din[2] = p.beta == 1 ? d : MAAS_B_MUL(g->b, d, maas_b_like(g->b, c, p.beta));
}

static void gemm_example(maas_example *e)
{
    static const struct {
        int ta, tb, bias_rank; /* -1: no bias */
        float alpha, beta;
        int64_t m, k, n, bias[2];
    } cases[] = {
        {0, 0, -1, 1, 1, 3, 4, 5, {0, 0}},    {1, 0, 1, 1, 1, 3, 4, 5, {5, 0}},
        {0, 1, 2, .5f, 2, 2, 3, 4, {2, 1}},   {1, 1, 0, 2, .5f, 2, 5, 3, {0, 0}},
        {0, 1, 1, 1, 1, 64, 33, 17, {17, 0}}, {0, 0, 2, 1, 1, 1, 1, 1, {1, 1}},
        {0, 0, 2, 1, 0, 2, 0, 3, {2, 3}},     {1, 0, 1, .5f, 2, 3, 130, 5, {5, 0}},
    };
    const bool whole = e->variant == 16;
    int k = whole ? 4 : e->variant / 2;
    maas_dtype t = whole ? MAAS_I32 : maas_ex_float(e);
    const int64_t a[2][2] = {{cases[k].m, cases[k].k}, {cases[k].k, cases[k].m}};
    const int64_t w[2][2] = {{cases[k].k, cases[k].n}, {cases[k].n, cases[k].k}};
    const maas_attr attr[] = {MAAS_A_INT("transA", cases[k].ta), MAAS_A_INT("transB", cases[k].tb),
                              MAAS_A_FLOAT("alpha", cases[k].alpha),
                              MAAS_A_FLOAT("beta", cases[k].beta)};
    maas_vid in[3] = {maas_ex_in(e, t, -2, 2, 2, a[cases[k].ta]),
                      maas_ex_in(e, t, -2, 2, 2, w[cases[k].tb])};
    uint32_t n = 2;
    if (cases[k].bias_rank >= 0)
        in[n++] = maas_ex_in(e, t, -2, 2, cases[k].bias_rank, cases[k].bias);
    maas_b_node(e->b, "Gemm", attr, 4, in, n, NULL, 1);
}

/* Whole numbers go by way of double, too, because alpha and beta are none. */
#define GEMM_DTS (MAAS_DTS_FLOAT | MAAS_DTS_INDEX | MAAS_DT_BIT(MAAS_U32) | MAAS_DT_BIT(MAAS_U64))
static const maas_io_schema in[] = {MAAS_REQ("A", "T", GEMM_DTS), MAAS_REQ("B", "T", GEMM_DTS),
                                    MAAS_OPT("C", "T", GEMM_DTS)};
static const maas_io_schema out[] = {MAAS_REQ("Y", "T", GEMM_DTS)};
static const maas_attr_schema attrs[] = {{"transA", MAAS_ATTR_INT, false},
                                         {"transB", MAAS_ATTR_INT, false},
                                         {"alpha", MAAS_ATTR_FLOAT, false},
                                         {"beta", MAAS_ATTR_FLOAT, false}};

const maas_op maas_op_Gemm = {
    .domain = "",
    .name = "Gemm",
    .since = 13,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 17,
    .tolerance = 1e-4,
    .infer = gemm_infer,
    .reference = gemm_reference,
    .flops = gemm_flops,
    .example = gemm_example,
    .gradient = gemm_gradient,
};
