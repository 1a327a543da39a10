/*
 * EdgeSum (ai.maas): a sparse matrix, given as a list of edges, times rows of numbers.
 *
 *   EdgeSum(x [n, d], from [e], to [e], weight [e])  ->  y [n, d]
 *       y[to[k]] += weight[k] * x[from[k]] for k = 0 .. e - 1, from zeros; rows below 0
 *       count from the end, as those of Gather do
 *
 * It stands for Gather, Mul and ScatterND with reduction add, without the [e, d] rows between them.
 * A row is summed in the order of its edges, by any number of threads.
 */
#include "ops/edge_sum.h"

#include "ops/ops_int.h"

#include "base/ban.h"

static maas_status infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[MAAS_EDGE_X];
    int64_t n = MAAS_DIM_UNKNOWN;
    if (x->rank >= 0 && x->rank != 2)
        return maas_fail(err, MAAS_E_INVALID, "x has rank %d, it must be 2", x->rank);
    for (int i = MAAS_EDGE_FROM; i < MAAS_EDGE_N_IN; i++) {
        if (q->in[i].rank < 0)
            continue;
        if (q->in[i].rank != 1)
            return maas_fail(err, MAAS_E_INVALID, "from, to and weight must be lists");
        if (n == MAAS_DIM_UNKNOWN)
            n = q->in[i].dims[0];
        MAAS_TRY(maas_dim_same(n, q->in[i].dims[0], &n, "from, to and weight", err));
    }
    q->out[0] = *x;
    return MAAS_OK;
}

maas_status maas_edge_of(const maas_call *c, int64_t k, int64_t *from, int64_t *to, maas_err *err)
{
    const int64_t n = c->in[MAAS_EDGE_X].dims[0];
    *from = ((const int64_t *)c->in[MAAS_EDGE_FROM].data)[k];
    *to = ((const int64_t *)c->in[MAAS_EDGE_TO].data)[k];
    *from += *from < 0 && *from >= -n ? n : 0;
    *to += *to < 0 && *to >= -n ? n : 0;
    if (*from >= 0 && *from < n && *to >= 0 && *to < n)
        return MAAS_OK;
    return maas_fail(err, MAAS_E_INVALID, "edge %lld goes from %lld to %lld: there are %lld rows",
                     (long long)k, (long long)*from, (long long)*to, (long long)n);
}

static maas_status reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[MAAS_EDGE_X], *w = &c->in[MAAS_EDGE_WEIGHT], *y = &c->out[0];
    const int64_t d = x->dims[1], n = c->in[MAAS_EDGE_FROM].dims[0];
    MAAS_TRY(maas_ref_check(c, err));
    memset(y->data, 0, maas_tensor_bytes(y));
    for (int64_t k = 0; k < n; k++) {
        int64_t from, to;
        MAAS_TRY(maas_edge_of(c, k, &from, &to, err));
        for (int64_t j = 0; j < d; j++)
            maas_st(y, to * d + j,
                    maas_ld(y, to * d + j) + maas_ld(w, k) * maas_ld(x, from * d + j));
    }
    return MAAS_OK;
}

static int64_t flops(const maas_call *c)
{
    return 2 * c->in[MAAS_EDGE_FROM].dims[0] * c->in[MAAS_EDGE_X].dims[1];
}

/* Back along the edges; a weight gets the product of the two rows that it joins. */
static void gradient(maas_grad *g)
{
    maas_builder *b = g->b;
    const maas_vid *in = g->node->in, dy = g->dout[0];
    const maas_vid back[] = {dy, in[MAAS_EDGE_TO], in[MAAS_EDGE_FROM], in[MAAS_EDGE_WEIGHT]};
    if (g->want[MAAS_EDGE_X])
        g->din[MAAS_EDGE_X] = maas_b_node(b, "EdgeSum", NULL, 0, back, MAAS_EDGE_N_IN, NULL, 1);
    if (!g->want[MAAS_EDGE_WEIGHT])
        return;
    const maas_attr keep = MAAS_A_INT("keepdims", 0);
    const maas_vid both = maas_b_op2(b, "Mul", maas_b_op2(b, "Gather", dy, in[MAAS_EDGE_TO]),
                                     maas_b_op2(b, "Gather", in[MAAS_EDGE_X], in[MAAS_EDGE_FROM]));
    const maas_vid sum[] = {both, maas_b_i64s(b, (int64_t[]){1}, 1)};
    g->din[MAAS_EDGE_WEIGHT] = maas_b_node(b, "ReduceSum", &keep, 1, sum, 2, NULL, 1);
}

/* Rows without an edge, an edge twice, from a row to itself; no edges; wide and odd rows; lists
 * that are known, or only when it runs. */
static void example(maas_example *e)
{
    static const int64_t from[] = {0, 4, -2, 1, 2, 2, 5, 0}, to[] = {1, 1, 0, 3, 2, 3, -5, 1};
    static const int64_t widths[] = {3, 16, 1, 77};
    const maas_dtype t = maas_ex_float(e);
    const int64_t n = e->variant == 8 ? 0 : 8, d = widths[e->variant / 2 % 4];
    const bool known = e->variant % 4 < 2;
    const maas_vid x = maas_ex_in(e, t, -2, 2, 2, (const int64_t[]){6, d});
    const maas_vid in[] = {
        x, known ? maas_b_i64s(e->b, from, (int)n) : maas_ex_in(e, MAAS_I64, -6, 6, 1, &n),
        known ? maas_b_i64s(e->b, to, (int)n) : maas_ex_in(e, MAAS_I64, 0, 6, 1, &n),
        maas_ex_in(e, t, -2, 2, 1, &n)};
    maas_b_node(e->b, "EdgeSum", NULL, 0, in, MAAS_EDGE_N_IN, NULL, 1);
}

static const maas_io_schema ins[] = {
    MAAS_REQ("x", "T", MAAS_DTS_FLOAT), MAAS_REQ("from", NULL, MAAS_DTS_I64),
    MAAS_REQ("to", NULL, MAAS_DTS_I64), MAAS_REQ("weight", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema outs[] = {MAAS_REQ("y", "T", MAAS_DTS_FLOAT)};

const maas_op maas_op_EdgeSum = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "EdgeSum",
    .since = 1,
    MAAS_SCHEMA(ins, outs),
    .n_examples = 10,
    .tolerance = 1e-5,
    .infer = infer,
    .reference = reference,
    .flops = flops,
    .example = example,
    .gradient = gradient,
};
