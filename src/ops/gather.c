/*
 * Gather, GatherElements and the gradient that adds rows back (ai.maas: GatherGrad). Indices come
 * from data: each is checked when it is used; negative ones count from the end.
 */
#include "ops/gather_int.h"

#include "base/ban.h"

static size_t elem_of(const maas_tensor *t)
{
    return maas_dtype_size((maas_dtype)t->dtype);
}

static int axis_of(const maas_node *n, int rank)
{
    int64_t a = maas_attr_i(n, "axis", 0);
    return (int)(a < 0 ? a + rank : a);
}

static maas_status check_rank(int64_t rank, maas_err *err)
{
    if (rank > MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_INVALID, "the result has rank %lld, at most %d is supported",
                         (long long)rank, MAAS_MAX_RANK);
    return MAAS_OK;
}

/* ---- Gather: out[a..][i..][b..] = data[a..][indices[i..]][b..] ---- */

static void gather_known(maas_infer *q)
{
    const maas_known *data = &q->in_known[0], *at = &q->in_known[1];
    if (data->n < 0 || data->rank != 1 || at->n < 0 || !at->exact)
        return;
    maas_known r = {.n = at->n, .rank = at->rank, .exact = true};
    for (int i = 0; i < at->n; i++) {
        int64_t k = at->v[i] < 0 ? at->v[i] + data->n : at->v[i];
        if (k < 0 || k >= data->n)
            return;
        r.v[i] = data->v[k];
        r.exact = r.exact && (data->exact || r.v[i] >= 0);
    }
    q->out_known[0] = r;
}

static maas_status gather_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0], *at = &q->in[1];
    int64_t dims[2 * MAAS_MAX_RANK];
    int axis, rank = 0;
    if (x->rank >= 0)
        MAAS_TRY(maas_axis(maas_attr_i(q->node, "axis", 0), x->rank, &axis, err));
    if (x->rank < 0 || at->rank < 0) {
        maas_q_unranked(q, 0, (maas_dtype)x->dtype);
        return MAAS_OK;
    }
    for (int i = 0; i < axis; i++)
        dims[rank++] = x->dims[i];
    for (int i = 0; i < at->rank; i++)
        dims[rank++] = at->dims[i];
    for (int i = axis + 1; i < x->rank; i++)
        dims[rank++] = x->dims[i];
    MAAS_TRY(check_rank(rank, err));
    maas_q_out(q, 0, (maas_dtype)x->dtype, rank, dims);
    gather_known(q);
    return MAAS_OK;
}

static maas_status gather_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *at = &c->in[1];
    const maas_split3 s = maas_around(x, axis_of(c->node, x->rank));
    const size_t row = (size_t)s.inner * elem_of(x);
    const int64_t n = maas_n_elems(at);
    char *to = c->out[0].data;
    for (int64_t o = 0; o < s.outer; o++)
        for (int64_t i = 0; i < n; i++, to += row) {
            int64_t k;
            MAAS_TRY(maas_ref_index(maas_tensor_get_i64(at, i), s.n, &k, err));
            memcpy(to, (const char *)x->data + (size_t)(o * s.n + k) * row, row);
        }
    return MAAS_OK;
}

static void gather_gradient(maas_grad *g)
{
    const maas_vid in[3] = {g->dout[0], g->node->in[1], maas_b_op1(g->b, "Shape", g->node->in[0])};
    const maas_attr axis = MAAS_A_INT("axis", maas_attr_i(g->node, "axis", 0));
    if (g->want[0])
        g->din[0] = maas_b_node(g->b, "GatherGrad", &axis, 1, in, 3, NULL, 1);
}

/* ---- GatherGrad(dY, indices, shape): zeros of that shape, rows of dY added where they were ----
 */

static maas_status of_shape_infer(maas_infer *q, maas_err *err)
{
    const maas_known *k = &q->in_known[2];
    int axis;
    if (k->n < 0) {
        maas_q_unranked(q, 0, (maas_dtype)q->in[0].dtype);
        return MAAS_OK;
    }
    MAAS_TRY(check_rank(k->n, err));
    for (int i = 0; i < k->n; i++)
        if (k->exact && k->v[i] < 0)
            return maas_fail(err, MAAS_E_INVALID, "size %lld is negative", (long long)k->v[i]);
    if (maas_node_attr(q->node, "axis"))
        MAAS_TRY(maas_axis(maas_attr_i(q->node, "axis", 0), k->n, &axis, err));
    maas_q_out(q, 0, (maas_dtype)q->in[0].dtype, k->n, k->v);
    return MAAS_OK;
}

static maas_status gather_grad_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *dy = &c->in[0], *at = &c->in[1], *dx = &c->out[0];
    MAAS_TRY(maas_ref_check(c, err));
    if (dx->rank == 0)
        return maas_fail(err, MAAS_E_INVALID, "GatherGrad: the shape is that of a scalar");
    const maas_split3 s = maas_around(dx, axis_of(c->node, dx->rank));
    const int64_t n = maas_n_elems(at);
    if (maas_n_elems(dy) != s.outer * n * s.inner)
        return maas_fail(err, MAAS_E_INVALID, "GatherGrad: dY does not have the gathered shape");
    memset(dx->data, 0, maas_tensor_bytes(dx));
    for (int64_t o = 0; o < s.outer; o++)
        for (int64_t i = 0; i < n; i++) {
            int64_t k;
            MAAS_TRY(maas_ref_index(maas_tensor_get_i64(at, i), s.n, &k, err));
            for (int64_t j = 0; j < s.inner; j++) {
                int64_t to = (o * s.n + k) * s.inner + j;
                maas_st(dx, to, maas_ld(dx, to) + maas_ld(dy, (o * n + i) * s.inner + j));
            }
        }
    return MAAS_OK;
}

/* ---- GatherElements: one index for each element ---- */

maas_status maas_elements_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0], *at = &q->in[1];
    int axis;
    if (x->rank >= 0)
        MAAS_TRY(maas_axis(maas_attr_i(q->node, "axis", 0), x->rank, &axis, err));
    if (x->rank >= 0 && at->rank >= 0) {
        if (x->rank != at->rank)
            return maas_fail(err, MAAS_E_INVALID, "data has rank %d, indices %d", x->rank,
                             at->rank);
        for (int i = 0; i < x->rank; i++)
            if (i != axis && x->dims[i] >= 0 && at->dims[i] > x->dims[i])
                return maas_fail(err, MAAS_E_INVALID, "indices reach past axis %d of the data", i);
    }
    q->out[0] = *at;
    q->out[0].dtype = x->dtype;
    return MAAS_OK;
}

static maas_status gather_elements_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *at = &c->in[1];
    const int axis = axis_of(c->node, x->rank);
    const size_t elem = elem_of(x);
    int64_t strides[MAAS_MAX_RANK], from;
    maas_walk w;
    maas_strides(x->dims, x->rank, strides);
    for (maas_walk_init(&w, at->dims, at->rank, ~0u, 0); w.left; maas_walk_step(&w)) {
        MAAS_TRY(maas_element_at(x, at, &w, axis, strides, &from, err));
        memcpy((char *)c->out[0].data + (size_t)w.at * elem,
               (const char *)x->data + (size_t)from * elem, elem);
    }
    return MAAS_OK;
}

static void gather_elements_gradient(maas_grad *g)
{
    const maas_vid in[3] = {maas_b_zeros_like(g->b, g->node->in[0]), g->node->in[1], g->dout[0]};
    const maas_attr attr[] = {MAAS_A_INT("axis", maas_attr_i(g->node, "axis", 0)),
                              MAAS_A_STR("reduction", "add")};
    if (g->want[0])
        g->din[0] = maas_b_node(g->b, "ScatterElements", attr, 2, in, 3, NULL, 1);
}

/* ---- examples and rows ---- */

static void gather_example(maas_example *e)
{
    static const int64_t at[][4] = {{2, 0, 2, -1}, {1, 1, -3, 0}};
    int k = e->variant / 2 % 2;
    maas_dtype t = e->variant == 4 ? MAAS_STRING : e->variant == 5 ? MAAS_I64 : maas_ex_float(e);
    maas_vid x = maas_ex_in(e, t, -2, 2, MAAS_DIMS(3, 4, 2));
    maas_tensor list = maas_tensor_of(MAAS_I64, 2, (const int64_t[]){2, 2},
                                      (void *)(uintptr_t)at[k]);
    maas_b_attr1(e->b, "Gather", MAAS_A_INT("axis", k), x, maas_b_const(e->b, NULL, &list));
}

static void gather_grad_example(maas_example *e)
{
    static const int64_t at[] = {1, 1, -1}, shape[] = {3, 2};
    const maas_attr axis = MAAS_A_INT("axis", 0);
    const maas_vid in[3] = {maas_ex_in(e, maas_ex_float(e), -2, 2, MAAS_DIMS(3, 2)),
                            maas_b_i64s(e->b, at, 3), maas_b_i64s(e->b, shape, 2)};
    maas_b_node(e->b, "GatherGrad", &axis, 1, in, 3, NULL, 1);
}

static void gather_elements_example(maas_example *e)
{
    const int k = e->variant / 2;
    const maas_attr axis = MAAS_A_INT("axis", k ? -1 : 0);
    const maas_vid x = maas_ex_in(e, maas_ex_float(e), -2, 2, MAAS_DIMS(3, 4));
    const maas_vid at = maas_ex_in(e, MAAS_I64, -3, 3, MAAS_DIMS(2, 4));
    maas_b_node(e->b, "GatherElements", &axis, 1, (maas_vid[]){x, at}, 2, NULL, 1);
}

static const maas_io_schema gather_in[] = {MAAS_REQ("data", "T", MAAS_DTS_ALL),
                                           MAAS_REQ("indices", NULL, MAAS_DTS_INDEX)};
static const maas_io_schema gather_out[] = {MAAS_REQ("output", "T", MAAS_DTS_ALL)};
static const maas_io_schema grad_in[] = {MAAS_REQ("dY", "T", MAAS_DTS_FLOAT),
                                         MAAS_REQ("indices", NULL, MAAS_DTS_INDEX),
                                         MAAS_REQ("shape", NULL, MAAS_DTS_I64)};
static const maas_io_schema grad_out[] = {MAAS_REQ("dX", "T", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {{"axis", MAAS_ATTR_INT, false}};

#define GATHER(Name, fn, dom, version, opflags, ins, outs, n_attrs, variants, infer_fn, grad, why) \
    const maas_op maas_op_##Name = {                                                               \
        .domain = dom,                                                                             \
        .name = #Name,                                                                             \
        .since = version,                                                                          \
        .flags = opflags,                                                                          \
        MAAS_SCHEMA(ins, outs),                                                                    \
        .attr = attrs,                                                                             \
        .n_attr = n_attrs,                                                                         \
        .n_examples = variants,                                                                    \
        .tolerance = 1e-6,                                                                         \
        .infer = infer_fn,                                                                         \
        .reference = fn##_reference,                                                               \
        .flops = maas_flops_none,                                                                  \
        .example = fn##_example,                                                                   \
        .gradient = grad,                                                                          \
        .no_gradient = why,                                                                        \
    };
GATHER(Gather, gather, "", 13, MAAS_OP_STRINGS, gather_in, gather_out, 1, 6, gather_infer,
       gather_gradient, NULL)
GATHER(GatherElements, gather_elements, "", 13, MAAS_OP_STRINGS, gather_in, gather_out, 1, 4,
       maas_elements_infer, gather_elements_gradient, NULL)
GATHER(GatherGrad, gather_grad, MAAS_DOMAIN_OWN, 1, 0, grad_in, grad_out, 1, 2, of_shape_infer,
       NULL, MAAS_SECOND_ORDER)
