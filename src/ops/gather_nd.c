/*
 * GatherND - the last axis of indices [b..][i..][k] addresses the first k axes of data after the
 * batch axes: out[b..][i..][rest] = data[b..][indices..][rest]. GatherNDGrad (ai.maas) adds back.
 */
#include "ops/gather_int.h"

#include "base/ban.h"

static maas_status check_batch(int64_t n_batch, int rank, int at_rank, maas_err *err)
{
    int least = rank < at_rank ? rank : at_rank;
    if (rank < 1 || at_rank < 1)
        return maas_fail(err, MAAS_E_INVALID, "data and indices must have a rank of 1 at least");
    if (n_batch < 0 || n_batch >= least)
        return maas_fail(err, MAAS_E_INVALID, "batch_dims %lld, must be below %d",
                         (long long)n_batch, least);
    return MAAS_OK;
}

static maas_status nd_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0], *at = &q->in[1];
    const int64_t b = maas_attr_i(q->node, "batch_dims", 0);
    int64_t dims[3 * MAAS_MAX_RANK], ignored;
    int rank = 0;
    maas_q_unranked(q, 0, (maas_dtype)x->dtype);
    if (x->rank < 0 || at->rank < 0)
        return MAAS_OK;
    MAAS_TRY(check_batch(b, x->rank, at->rank, err));
    for (int i = 0; i < b; i++)
        MAAS_TRY(maas_dim_same(x->dims[i], at->dims[i], &ignored, "batch axes", err));
    int64_t k = at->dims[at->rank - 1];
    if (k < 0)
        return MAAS_OK;
    if (k < 1 || k > x->rank - b)
        return maas_fail(err, MAAS_E_INVALID, "an address has %lld numbers, the data %d axes",
                         (long long)k, (int)(x->rank - b));
    for (int i = 0; i < at->rank - 1; i++)
        dims[rank++] = at->dims[i];
    for (int i = (int)(b + k); i < x->rank; i++)
        dims[rank++] = x->dims[i];
    if (rank > MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_INVALID, "the result has rank %d, at most %d is supported",
                         rank, MAAS_MAX_RANK);
    maas_q_out(q, 0, (maas_dtype)x->dtype, rank, dims);
    return MAAS_OK;
}

maas_nd maas_nd_of(const maas_tensor *x, const maas_tensor *at, int n_batch)
{
    maas_nd m = {.n_batch = n_batch, .k = at->dims[at->rank - 1]};
    m.batch = maas_dims_product(at->dims, 0, m.n_batch);
    m.per_batch = maas_dims_product(at->dims, m.n_batch, at->rank - 1);
    m.block = maas_dims_product(x->dims, m.n_batch + (int)m.k, x->rank);
    return m;
}

maas_status maas_nd_at(const maas_nd *m, const maas_tensor *x, const maas_tensor *at, int64_t i,
                       int64_t *out, maas_err *err)
{
    int64_t where = m->per_batch ? i / m->per_batch : 0;
    for (int64_t j = 0; j < m->k; j++) {
        int64_t size = x->dims[m->n_batch + j], index;
        MAAS_TRY(maas_ref_index(maas_tensor_get_i64(at, i * m->k + j), size, &index, err));
        where = where * size + index;
    }
    *out = where * m->block;
    return MAAS_OK;
}

static maas_status nd_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *at = &c->in[1];
    const maas_nd m = maas_nd_of(x, at, (int)maas_attr_i(c->node, "batch_dims", 0));
    const size_t elem = maas_dtype_size((maas_dtype)x->dtype), block = (size_t)m.block * elem;
    for (int64_t i = 0; i < m.batch * m.per_batch; i++) {
        int64_t from;
        MAAS_TRY(maas_nd_at(&m, x, at, i, &from, err));
        memcpy((char *)c->out[0].data + (size_t)i * block,
               (const char *)x->data + (size_t)from * elem, block);
    }
    return MAAS_OK;
}

static void nd_gradient(maas_grad *g)
{
    const maas_vid in[3] = {g->dout[0], g->node->in[1], maas_b_op1(g->b, "Shape", g->node->in[0])};
    const maas_attr batch = MAAS_A_INT("batch_dims", maas_attr_i(g->node, "batch_dims", 0));
    if (g->want[0])
        g->din[0] = maas_b_node(g->b, "GatherNDGrad", &batch, 1, in, 3, NULL, 1);
}

/* ---- GatherNDGrad(dY, indices, shape) ---- */

static maas_status nd_grad_infer(maas_infer *q, maas_err *err)
{
    const maas_known *k = &q->in_known[2];
    maas_q_unranked(q, 0, (maas_dtype)q->in[0].dtype);
    if (k->n < 0)
        return MAAS_OK;
    if (k->n > MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_INVALID, "rank %d, at most %d is supported", k->n,
                         MAAS_MAX_RANK);
    for (int i = 0; i < k->n; i++)
        if (k->exact && k->v[i] < 0)
            return maas_fail(err, MAAS_E_INVALID, "size %lld is negative", (long long)k->v[i]);
    maas_q_out(q, 0, (maas_dtype)q->in[0].dtype, k->n, k->v);
    return MAAS_OK;
}

static maas_status nd_grad_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *dy = &c->in[0], *at = &c->in[1], *dx = &c->out[0];
    const int64_t b = maas_attr_i(c->node, "batch_dims", 0);
    MAAS_TRY(maas_ref_check(c, err));
    MAAS_TRY(check_batch(b, dx->rank, at->rank, err));
    const int64_t k = at->dims[at->rank - 1];
    if (k < 1 || k > dx->rank - b)
        return maas_fail(err, MAAS_E_INVALID, "GatherNDGrad: addresses do not fit the shape");
    const maas_nd m = maas_nd_of(dx, at, (int)b);
    if (maas_dims_product(dx->dims, 0, m.n_batch) != m.batch ||
        maas_n_elems(dy) != m.batch * m.per_batch * m.block)
        return maas_fail(err, MAAS_E_INVALID, "GatherNDGrad: dY does not have the gathered shape");
    memset(dx->data, 0, maas_tensor_bytes(dx));
    for (int64_t i = 0; i < m.batch * m.per_batch; i++) {
        int64_t to;
        MAAS_TRY(maas_nd_at(&m, dx, at, i, &to, err));
        for (int64_t j = 0; j < m.block; j++)
            maas_st(dx, to + j, maas_ld(dx, to + j) + maas_ld(dy, i * m.block + j));
    }
    return MAAS_OK;
}

/* ---- examples and rows ---- */

static const struct {
    int rank, batch;
    int64_t dims[2], shape[3], at[8]; /* of the data; of the addresses; addresses */
} cases[] = {{2, 0, {2, 2}, {4, 1, 0}, {0, -1, 1, 0}},
             {2, 0, {2, 2}, {4, 2, 0}, {0, 1, 1, -2, 0, 0, 1, 1}},
             {3, 1, {2, 4}, {2, 2, 1}, {0, -1, 1, 2}}};

static void nd_example(maas_example *e)
{
    const int k = e->variant / 2;
    const maas_attr batch = MAAS_A_INT("batch_dims", cases[k].batch);
    maas_tensor at = maas_tensor_of(MAAS_I64, cases[k].rank, cases[k].shape,
                                    (void *)(uintptr_t)cases[k].at);
    const maas_vid in[2] = {maas_ex_in(e, maas_ex_float(e), -2, 2, 2, cases[k].dims),
                            maas_b_const(e->b, NULL, &at)};
    maas_b_node(e->b, "GatherND", &batch, 1, in, 2, NULL, 1);
}

static void nd_grad_example(maas_example *e)
{
    static const int64_t at[] = {0, 1, 1, 1, 0, 1}, shape[] = {2, 3};
    maas_tensor list = maas_tensor_of(MAAS_I64, 2, (const int64_t[]){3, 2}, (void *)(uintptr_t)at);
    const maas_vid in[3] = {maas_ex_in(e, maas_ex_float(e), -2, 2, MAAS_DIMS(3)),
                            maas_b_const(e->b, NULL, &list), maas_b_i64s(e->b, shape, 2)};
    maas_b_node(e->b, "GatherNDGrad", NULL, 0, in, 3, NULL, 1);
}

static const maas_io_schema in[] = {MAAS_REQ("data", "T", MAAS_DTS_ALL),
                                    MAAS_REQ("indices", NULL, MAAS_DTS_I64)};
static const maas_io_schema out[] = {MAAS_REQ("output", "T", MAAS_DTS_ALL)};
static const maas_io_schema grad_in[] = {MAAS_REQ("dY", "T", MAAS_DTS_FLOAT),
                                         MAAS_REQ("indices", NULL, MAAS_DTS_I64),
                                         MAAS_REQ("shape", NULL, MAAS_DTS_I64)};
static const maas_io_schema grad_out[] = {MAAS_REQ("dX", "T", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {{"batch_dims", MAAS_ATTR_INT, false}};

const maas_op maas_op_GatherND = {
    .domain = "",
    .name = "GatherND",
    .since = 13,
    .flags = MAAS_OP_STRINGS,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 6,
    .infer = nd_infer,
    .reference = nd_reference,
    .flops = maas_flops_none,
    .example = nd_example,
    .gradient = nd_gradient,
};

const maas_op maas_op_GatherNDGrad = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "GatherNDGrad",
    .since = 1,
    MAAS_SCHEMA(grad_in, grad_out),
    MAAS_ATTRS(attrs),
    .n_examples = 2,
    .tolerance = 1e-6,
    .infer = nd_grad_infer,
    .reference = nd_grad_reference,
    .flops = maas_flops_none,
    .example = nd_grad_example,
    .no_gradient = MAAS_SECOND_ORDER,
};
