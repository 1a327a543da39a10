/*
 * LRN over x [N][C][d..]: y = x s^-beta with s = bias + alpha / size * (sum of the squares of the
 * `size` channels around), at every place.
 *
 * LRNGrad (ai.maas): (dY, X) -> dX = dY s^-beta - 2 alpha beta / size * x * (sum over the channels
 * whose window holds this one, of dY x s^(-beta - 1)).
 */
#include "ops/ops_int.h"

#include "base/ban.h"

typedef struct lrn {
    int64_t below, above; /* channels of the window on either side */
    double alpha, beta, bias;
} lrn;

static lrn lrn_of(const maas_node *n)
{
    const int64_t size = maas_attr_i(n, "size", 1);
    return (lrn){.below = (size - 1) / 2,
                 .above = size / 2,
                 .alpha = (double)maas_attr_f(n, "alpha", 1e-4f) / (double)size,
                 .beta = maas_attr_f(n, "beta", 0.75f),
                 .bias = maas_attr_f(n, "bias", 1)};
}

static maas_status lrn_infer(maas_infer *q, maas_err *err)
{
    const int64_t size = maas_attr_i(q->node, "size", 1);
    const maas_type *x = &q->in[q->node->op->n_in - 1];
    int64_t ignored;
    if (size < 1 || size > INT32_MAX)
        return maas_fail(err, MAAS_E_INVALID, "size %lld is no number of channels",
                         (long long)size);
    for (int i = 0; i < q->node->op->n_in; i++) {
        if (q->in[i].rank >= 0 && q->in[i].rank < 2)
            return maas_fail(err, MAAS_E_INVALID, "X has rank %d, must be [N,C,..]", x->rank);
        if (q->in[i].rank >= 0 && x->rank >= 0 && q->in[i].rank != x->rank)
            return maas_fail(err, MAAS_E_INVALID, "dY and X have different ranks");
        for (int k = 0; k < x->rank && q->in[i].rank >= 0; k++)
            MAAS_TRY(maas_dim_same(x->dims[k], q->in[i].dims[k], &ignored, "dY and X", err));
    }
    q->out[0] = *x;
    return MAAS_OK;
}

static double sum_around(const lrn *p, const maas_tensor *x, const maas_split3 *s, int64_t at,
                         int64_t ch)
{
    double sum = 0;
    const int64_t from = ch > p->below ? ch - p->below : 0;
    for (int64_t k = from; k < s->n && k <= ch + p->above; k++) {
        const double v = maas_ld(x, at + k * s->inner);
        sum += v * v;
    }
    return p->bias + p->alpha * sum;
}

static maas_status lrn_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    const lrn p = lrn_of(c->node);
    const maas_split3 s = maas_around(x, 1);
    for (int64_t o = 0; o < s.outer; o++)
        for (int64_t i = 0; i < s.inner; i++)
            for (int64_t ch = 0; ch < s.n; ch++) {
                const int64_t at = o * s.n * s.inner + i, here = at + ch * s.inner;
                maas_st(&c->out[0], here,
                        maas_ld(x, here) * pow(sum_around(&p, x, &s, at, ch), -p.beta));
            }
    return MAAS_OK;
}

static double grad_at(const lrn *p, const maas_call *c, const maas_split3 *s, int64_t at,
                      int64_t ch)
{
    const maas_tensor *dy = &c->in[0], *x = &c->in[1];
    const int64_t from = ch > p->above ? ch - p->above : 0;
    double sum = 0;
    for (int64_t k = from; k < s->n && k <= ch + p->below; k++) {
        const int64_t there = at + k * s->inner;
        sum += maas_ld(dy, there) * maas_ld(x, there) *
               pow(sum_around(p, x, s, at, k), -p->beta - 1);
    }
    const int64_t here = at + ch * s->inner;
    return maas_ld(dy, here) * pow(sum_around(p, x, s, at, ch), -p->beta) -
           2 * p->alpha * p->beta * maas_ld(x, here) * sum;
}

static maas_status lrn_grad_reference(const maas_call *c, maas_err *err)
{
    const lrn p = lrn_of(c->node);
    const maas_split3 s = maas_around(&c->in[1], 1);
    for (int64_t o = 0; o < s.outer; o++)
        for (int64_t i = 0; i < s.inner; i++)
            for (int64_t ch = 0; ch < s.n; ch++) {
                const int64_t at = o * s.n * s.inner + i;
                maas_st(&c->out[0], at + ch * s.inner, grad_at(&p, c, &s, at, ch));
            }
    return MAAS_OK;
}

static int64_t lrn_flops(const maas_call *c)
{
    const maas_tensor *x = &c->out[0];
    const int64_t size = maas_attr_i(c->node, "size", 1);
    return maas_n_elems(x) * (20 + 2 * (size < x->dims[1] ? size : x->dims[1]));
}

static void lrn_gradient(maas_grad *g)
{
    const maas_vid in[2] = {g->dout[0], g->node->in[0]};
    g->din[0] = maas_b_node(g->b, "LRNGrad", g->node->attr, g->node->n_attr, in, 2, NULL, 1);
}

static void example_of(maas_example *e, const char *op, int n_in)
{
    static const struct {
        int rank, size;
        int64_t dims[4];
    } cases[] = {{4, 3, {2, 5, 2, 3}}, {2, 4, {3, 6}}, {4, 9, {1, 4, 1, 2}}, {3, 1, {2, 0, 3}}};
    const int k = e->variant / 2;
    const maas_attr a[4] = {MAAS_A_INT("size", cases[k].size), MAAS_A_FLOAT("alpha", 0.2f),
                            MAAS_A_FLOAT("beta", 0.5f + 0.25f * (float)k),
                            MAAS_A_FLOAT("bias", 1.5f)};
    maas_vid in[2];
    for (int i = 0; i < n_in; i++)
        in[i] = maas_ex_in(e, maas_ex_float(e), -2, 2, cases[k].rank, cases[k].dims);
    maas_b_node(e->b, op, a, 4, in, (uint32_t)n_in, NULL, 1);
}

static void lrn_example(maas_example *e)
{
    example_of(e, "LRN", 1);
}

static void lrn_grad_example(maas_example *e)
{
    example_of(e, "LRNGrad", 2);
}

static const maas_io_schema in[] = {MAAS_REQ("X", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema out[] = {MAAS_REQ("Y", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema grad_in[] = {MAAS_REQ("dY", "T", MAAS_DTS_FLOAT),
                                         MAAS_REQ("X", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema grad_out[] = {MAAS_REQ("dX", "T", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {{"size", MAAS_ATTR_INT, true},
                                         {"alpha", MAAS_ATTR_FLOAT, false},
                                         {"beta", MAAS_ATTR_FLOAT, false},
                                         {"bias", MAAS_ATTR_FLOAT, false}};

const maas_op maas_op_LRN = {
    .domain = "",
    .name = "LRN",
    .since = 1,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 8,
    .tolerance = 1e-5,
    .infer = lrn_infer,
    .reference = lrn_reference,
    .flops = lrn_flops,
    .example = lrn_example,
    .gradient = lrn_gradient,
};

const maas_op maas_op_LRNGrad = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "LRNGrad",
    .since = 1,
    MAAS_SCHEMA(grad_in, grad_out),
    MAAS_ATTRS(attrs),
    .n_examples = 8,
    .tolerance = 1e-5,
    .infer = lrn_infer,
    .reference = lrn_grad_reference,
    .flops = lrn_flops,
    .example = lrn_grad_example,
    .no_gradient = MAAS_SECOND_ORDER,
};
