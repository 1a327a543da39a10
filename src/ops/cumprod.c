/*
 * CumProd along an axis; CumProdGrad (ai.maas), which needs no division, so that zeros are no
 * exception: dx[i] = (product before i) * t[i], where t[i] = dy[i] + x[i+1] t[i+1] and, when
 * exclusive, t[i] = dy[i+1] + x[i+1] t[i+1].
 */
#include "ops/ops_int.h"

#include "base/ban.h"

static maas_status infer_axis(maas_infer *q, int at, maas_err *err)
{
    int64_t axis[2 * MAAS_MAX_RANK];
    int n, ignored;
    if (!maas_q_ints(q, at, axis, &n))
        return MAAS_OK;
    if (n != 1)
        return maas_fail(err, MAAS_E_INVALID, "axis must be one number");
    return q->in[0].rank < 0 ? MAAS_OK : maas_axis(axis[0], q->in[0].rank, &ignored, err);
}

static maas_status infer(maas_infer *q, maas_err *err)
{
    MAAS_TRY(infer_axis(q, 1, err));
    q->out[0] = q->in[0];
    return MAAS_OK;
}

/* A line of n elements: where it begins and how far apart they are, in the order of the product. */
typedef struct line {
    int64_t at, step, n;
} line;

static void line_product(const maas_tensor *x, const maas_tensor *y, const line *l, bool exclusive)
{
    double product = 1;
    uint64_t wrapped = 1;
    for (int64_t i = 0, at = l->at; i < l->n; i++, at += l->step) {
        const bool real = maas_is_float(x->dtype);
        const double d = real ? maas_ld(x, at) : 1;
        const uint64_t w = real ? 1 : (uint64_t)maas_tensor_get_i64(x, at);
        const double after = product * d;
        const uint64_t wrapped_after = wrapped * w;
        if (real)
            maas_st(y, at, exclusive ? product : after);
        else
            maas_st_i64(y, at, (int64_t)(exclusive ? wrapped : wrapped_after));
        product = after;
        wrapped = wrapped_after;
    }
}

static void line_gradient(const maas_tensor *dy, const maas_tensor *x, const maas_tensor *dx,
                          const line *l, bool exclusive)
{
    line_product(x, dx, l, true);
    double t = 0, next_x = 0, next_dy = 0;
    for (int64_t i = l->n - 1, at = l->at + i * l->step; i >= 0; i--, at -= l->step) {
        t = (exclusive ? next_dy : maas_ld(dy, at)) + next_x * t;
        next_x = maas_ld(x, at);
        next_dy = maas_ld(dy, at);
        maas_st(dx, at, maas_ld(dx, at) * t);
    }
}

/* All lines of x along the axis that the input `axis` says; dy NULL: products. */
static maas_status each_line(const maas_call *c, const maas_tensor *dy, const maas_tensor *x,
                             const maas_tensor *which, maas_err *err)
{
    const bool exclusive = maas_attr_i(c->node, "exclusive", 0) != 0;
    const bool reverse = maas_attr_i(c->node, "reverse", 0) != 0;
    int axis;
    if (maas_n_elems(which) != 1)
        return maas_fail(err, MAAS_E_INVALID, "%s: axis must be one number", c->node->op->name);
    MAAS_TRY(maas_axis(maas_tensor_get_i64(which, 0), x->rank, &axis, err));
    const maas_split3 s = maas_around(x, axis);
    for (int64_t o = 0; o < s.outer && s.n; o++)
        for (int64_t i = 0; i < s.inner; i++) {
            const int64_t first = o * s.n * s.inner + i;
            const line l = {reverse ? first + (s.n - 1) * s.inner : first,
                            reverse ? -s.inner : s.inner, s.n};
            if (dy)
                line_gradient(dy, x, &c->out[0], &l, exclusive);
            else
                line_product(x, &c->out[0], &l, exclusive);
        }
    return MAAS_OK;
}

static maas_status reference(const maas_call *c, maas_err *err)
{
    return each_line(c, NULL, &c->in[0], &c->in[1], err);
}

static void gradient(maas_grad *g)
{
    const maas_node *n = g->node;
    const maas_attr attr[] = {MAAS_A_INT("exclusive", maas_attr_i(n, "exclusive", 0)),
                              MAAS_A_INT("reverse", maas_attr_i(n, "reverse", 0))};
    const maas_vid in[3] = {g->dout[0], n->in[0], n->in[1]};
    if (g->want[0])
        g->din[0] = maas_b_node(g->b, "CumProdGrad", attr, 2, in, 3, NULL, 1);
}

/* ---- CumProdGrad(dY, X, axis) ---- */

static maas_status grad_infer(maas_infer *q, maas_err *err)
{
    MAAS_TRY(infer_axis(q, 2, err));
    q->out[0] = q->in[1];
    if (q->in[0].rank < 0 || q->in[1].rank < 0)
        return MAAS_OK;
    if (q->in[0].rank != q->in[1].rank)
        return maas_fail(err, MAAS_E_INVALID, "dY has rank %d, X %d", q->in[0].rank, q->in[1].rank);
    for (int i = 0; i < q->in[0].rank; i++)
        MAAS_TRY(maas_dim_same(q->in[1].dims[i], q->in[0].dims[i], &q->out[0].dims[i], "dY", err));
    return MAAS_OK;
}

static maas_status grad_reference(const maas_call *c, maas_err *err)
{
    return each_line(c, &c->in[0], &c->in[1], &c->in[2], err);
}

/* ---- examples and rows ---- */

static void example(maas_example *e)
{
    const int k = e->variant / 2;
    const maas_attr attr[] = {MAAS_A_INT("exclusive", k & 1), MAAS_A_INT("reverse", k >> 1 & 1)};
    const maas_dtype t = e->variant == 8 ? MAAS_I64 : maas_ex_float(e);
    const maas_vid in[2] = {maas_ex_in(e, t, -3, 3, MAAS_DIMS(3, k == 4 ? 0 : 4, 2)),
                            maas_b_i64(e->b, k & 1 ? -2 : 1)};
    maas_b_node(e->b, "CumProd", attr, 2, in, 2, NULL, 1);
}

static void grad_example(maas_example *e)
{
    const int k = e->variant / 2;
    const maas_attr attr[] = {MAAS_A_INT("exclusive", k & 1), MAAS_A_INT("reverse", k >> 1 & 1)};
    const maas_dtype t = maas_ex_float(e);
    const maas_vid in[3] = {maas_ex_in(e, t, -2, 2, MAAS_DIMS(3, 4)),
                            maas_ex_in(e, t, -2, 2, MAAS_DIMS(3, 4)), maas_b_i64(e->b, k & 1)};
    maas_b_node(e->b, "CumProdGrad", attr, 2, in, 3, NULL, 1);
}

#define DTS (MAAS_DTS_FLOAT | MAAS_DTS_INDEX | MAAS_DT_BIT(MAAS_U32) | MAAS_DT_BIT(MAAS_U64))
static const maas_io_schema in[] = {MAAS_REQ("x", "T", DTS),
                                    MAAS_REQ("axis", NULL, MAAS_DTS_INDEX)};
static const maas_io_schema out[] = {MAAS_REQ("y", "T", DTS)};
static const maas_io_schema grad_in[] = {MAAS_REQ("dY", "T", MAAS_DTS_FLOAT),
                                         MAAS_REQ("X", "T", MAAS_DTS_FLOAT),
                                         MAAS_REQ("axis", NULL, MAAS_DTS_INDEX)};
static const maas_io_schema grad_out[] = {MAAS_REQ("dX", "T", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {{"exclusive", MAAS_ATTR_INT, false},
                                         {"reverse", MAAS_ATTR_INT, false}};

const maas_op maas_op_CumProd = {
    .domain = "",
    .name = "CumProd",
    .since = 26,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 10,
    .tolerance = 1e-5,
    .infer = infer,
    .reference = reference,
    .flops = maas_flops_out,
    .example = example,
    .gradient = gradient,
};

const maas_op maas_op_CumProdGrad = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "CumProdGrad",
    .since = 1,
    MAAS_SCHEMA(grad_in, grad_out),
    MAAS_ATTRS(attrs),
    .n_examples = 8,
    .tolerance = 1e-5,
    .infer = grad_infer,
    .reference = grad_reference,
    .flops = maas_flops_out,
    .example = grad_example,
    .no_gradient = MAAS_SECOND_ORDER,
};
