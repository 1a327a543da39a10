/*
 * ReduceTo (ai.maas) - data summed over the axes along which `like` was broadcast to it: the
 * transpose of broadcasting, which every gradient of a broadcasting operator needs.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

static maas_status reduce_to_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0], *like = &q->in[1];
    maas_type out = *like;
    out.dtype = x->dtype;
    q->out[0] = out;
    if (x->rank < 0 || like->rank < 0)
        return MAAS_OK;
    if (like->rank > x->rank)
        return maas_fail(err, MAAS_E_INVALID, "rank %d cannot be reduced to rank %d", x->rank,
                         like->rank);
    for (int i = 0; i < like->rank; i++) {
        int64_t d = like->dims[i], from = x->dims[i + x->rank - like->rank];
        if (d != 1 && d >= 0 && from >= 0 && d != from)
            return maas_fail(err, MAAS_E_INVALID, "a size of %lld cannot be reduced to %lld",
                             (long long)from, (long long)d);
    }
    return MAAS_OK;
}

static maas_status reduce_to_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    uint32_t mask = 0; /* the summed axes; inference saw to it that the others agree */
    for (int i = 0; i < x->rank; i++) {
        int k = i - (x->rank - y->rank);
        if (k < 0 || (y->dims[k] == 1 && x->dims[i] != 1))
            mask |= 1u << i;
    }
    maas_walk kept;
    maas_walk_init(&kept, x->dims, x->rank, ~mask, 0);
    for (int64_t i = 0; kept.left; i++, maas_walk_step(&kept)) {
        double sum = 0;
        maas_walk w;
        for (maas_walk_init(&w, x->dims, x->rank, mask, kept.at); w.left; maas_walk_step(&w))
            sum += maas_ld(x, w.at);
        maas_st(y, i, sum);
    }
    return MAAS_OK;
}

static int64_t reduce_to_flops(const maas_call *c)
{
    return maas_n_elems(&c->in[0]);
}

static void reduce_to_gradient(maas_grad *g)
{
    if (g->want[0])
        g->din[0] = maas_b_op2(g->b, "Expand", g->dout[0],
                               maas_b_op1(g->b, "Shape", g->node->in[0]));
    if (g->want[1])
        g->din[1] = MAAS_NO_VALUE; /* only its shape counts */
}

static void reduce_to_example(maas_example *e)
{
    static const struct {
        int rank, like_rank;
        int64_t dims[3], like[3];
    } cases[] = {{2, 1, {4, 3}, {3}},
                 {3, 2, {2, 3, 4}, {3, 1}},
                 {2, 2, {3, 4}, {3, 4}},
                 {3, 0, {2, 2, 3}, {0}},
                 {2, 2, {5, 1}, {1, 1}}};
    int k = e->variant / 2;
    maas_dtype t = maas_ex_float(e);
    maas_vid x = maas_ex_in(e, t, -2, 2, cases[k].rank, cases[k].dims);
    maas_b_op2(e->b, "ReduceTo", x, maas_ex_in(e, t, -2, 2, cases[k].like_rank, cases[k].like));
}

static const maas_io_schema in[] = {MAAS_REQ("data", "T", MAAS_DTS_FLOAT),
                                    MAAS_REQ("like", NULL, MAAS_DTS_PLAIN)};
static const maas_io_schema out[] = {MAAS_REQ("reduced", "T", MAAS_DTS_FLOAT)};

const maas_op maas_op_ReduceTo = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "ReduceTo",
    .since = 1,
    MAAS_SCHEMA(in, out),
    .n_examples = 10,
    .tolerance = 1e-5,
    .infer = reduce_to_infer,
    .reference = reduce_to_reference,
    .flops = reduce_to_flops,
    .example = reduce_to_example,
    .gradient = reduce_to_gradient,
};
