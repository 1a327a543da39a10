/*
 * Gather, GatherElements, GatherND, ScatterElements and the gradients that add rows back (ai.maas:
 * GatherGrad, GatherNDGrad). Indices come from data: each is checked when it is used; negative ones
 * count from the end.
 */
#include "ops/ops_int.h"

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

/* ---- GatherElements, ScatterElements: one index for each element ---- */

static maas_status elements_infer(maas_infer *q, maas_err *err)
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

typedef enum combine { C_NONE, C_ADD, C_MUL, C_MIN, C_MAX, C_BAD } combine;

static combine combine_of(const maas_node *n)
{
    static const char *const names[] = {"none", "add", "mul", "min", "max"};
    maas_str s = maas_attr_s(n, "reduction", "none");
    for (int i = 0; i < (int)MAAS_COUNT(names); i++)
        if (s.n == strlen(names[i]) && memcmp(s.p, names[i], s.n) == 0)
            return (combine)i;
    return C_BAD;
}

static maas_status scatter_infer(maas_infer *q, maas_err *err)
{
    const maas_type *at = &q->in[1], *from = &q->in[2];
    int64_t ignored;
    if (combine_of(q->node) == C_BAD)
        return maas_fail(err, MAAS_E_INVALID,
                         "attribute 'reduction' must be none, add, mul, min or max");
    MAAS_TRY(elements_infer(q, err));
    if (at->rank >= 0 && from->rank >= 0 && at->rank != from->rank)
        return maas_fail(err, MAAS_E_INVALID, "indices have rank %d, updates %d", at->rank,
                         from->rank);
    for (int i = 0; i < at->rank && from->rank >= 0; i++)
        MAAS_TRY(maas_dim_same(at->dims[i], from->dims[i], &ignored, "indices and updates", err));
    q->out[0] = q->in[0];
    return MAAS_OK;
}

/* y[to] combined with from[at]; integers wrap, unsigned 64-bit ones compare as what they are. */
static void combine_into(const maas_tensor *y, int64_t to, const maas_tensor *from, int64_t at,
                         combine how)
{
    if (maas_is_float(y->dtype)) {
        double a = maas_ld(y, to), b = maas_ld(from, at);
        const double by[] = {b, a + b, a * b, b < a || b != b ? b : a, b > a || b != b ? b : a};
        maas_st(y, to, by[how]);
        return;
    }
    const uint64_t a = (uint64_t)maas_tensor_get_i64(y, to);
    const uint64_t b = (uint64_t)maas_tensor_get_i64(from, at);
    const bool less = y->dtype == MAAS_U64 ? b < a : (int64_t)b < (int64_t)a;
    const uint64_t by[] = {b, a + b, a * b, less ? b : a, less ? a : b};
    maas_st_i64(y, to, (int64_t)by[how]);
}

/* Where element w (of the indices) lies in the data, its axis replaced by the index. */
static maas_status element_at(const maas_tensor *x, const maas_tensor *at, const maas_walk *w,
                              int axis, const int64_t *strides, int64_t *out, maas_err *err)
{
    int64_t k;
    MAAS_TRY(maas_ref_index(maas_tensor_get_i64(at, w->at), x->dims[axis], &k, err));
    *out = k * strides[axis];
    for (int i = 0; i < x->rank; i++)
        if (i != axis)
            *out += w->idx[i] * strides[i];
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
        MAAS_TRY(element_at(x, at, &w, axis, strides, &from, err));
        memcpy((char *)c->out[0].data + (size_t)w.at * elem,
               (const char *)x->data + (size_t)from * elem, elem);
    }
    return MAAS_OK;
}

static maas_status scatter_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *at = &c->in[1], *from = &c->in[2], *y = &c->out[0];
    const int axis = axis_of(c->node, x->rank);
    const combine how = combine_of(c->node);
    int64_t strides[MAAS_MAX_RANK], to;
    maas_walk w;
    maas_strides(x->dims, x->rank, strides);
    if (y->data != x->data)
        memcpy(y->data, x->data, maas_tensor_bytes(x));
    for (maas_walk_init(&w, at->dims, at->rank, ~0u, 0); w.left; maas_walk_step(&w)) {
        MAAS_TRY(element_at(x, at, &w, axis, strides, &to, err));
        combine_into(y, to, from, w.at, how);
    }
    return MAAS_OK;
}

static maas_vid zeros_like(maas_builder *b, maas_vid x)
{
    return maas_b_op2(b, "Expand", maas_b_like(b, x, 0), maas_b_op1(b, "Shape", x));
}

static void gather_elements_gradient(maas_grad *g)
{
    const maas_vid in[3] = {zeros_like(g->b, g->node->in[0]), g->node->in[1], g->dout[0]};
    const maas_attr attr[] = {MAAS_A_INT("axis", maas_attr_i(g->node, "axis", 0)),
                              MAAS_A_STR("reduction", "add")};
    if (g->want[0])
        g->din[0] = maas_b_node(g->b, "ScatterElements", attr, 2, in, 3, NULL, 1);
}

/* What was overwritten has no influence; updates get dy where they went. */
static void scatter_gradient(maas_grad *g)
{
    const maas_node *n = g->node;
    const maas_attr axis = MAAS_A_INT("axis", maas_attr_i(n, "axis", 0));
    const bool add = combine_of(n) == C_ADD;
    if (!add && combine_of(n) != C_NONE) {
        g->b->status = maas_fail(g->b->err, MAAS_E_UNSUPPORTED,
                                 "ScatterElements has a gradient for the reductions none and add");
        return;
    }
    const maas_vid in[3] = {g->dout[0], n->in[1], zeros_like(g->b, n->in[2])};
    if (g->want[0])
        g->din[0] = add ? g->dout[0]
                        : maas_b_node(g->b, "ScatterElements", &axis, 1, in, 3, NULL, 1);
    if (g->want[2])
        g->din[2] = maas_b_node(g->b, "GatherElements", &axis, 1, in, 2, NULL, 1);
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

static void scatter_example(maas_example *e)
{
    /* no repeats in a column: "none" does not say which one wins */
    static const int64_t at[] = {2, 0, 1, 0, -1, 0};
    const maas_attr attr[] = {MAAS_A_INT("axis", 0),
                              MAAS_A_STR("reduction", e->variant / 2 ? "add" : "none")};
    maas_tensor list = maas_tensor_of(MAAS_I64, 2, (const int64_t[]){2, 3}, (void *)(uintptr_t)at);
    const maas_dtype t = maas_ex_float(e);
    const maas_vid x = maas_ex_in(e, t, -2, 2, MAAS_DIMS(3, 4));
    const maas_vid in[3] = {x, maas_b_const(e->b, NULL, &list),
                            maas_ex_in(e, t, -2, 2, MAAS_DIMS(2, 3))};
    maas_b_node(e->b, "ScatterElements", attr, 2, in, 3, NULL, 1);
}

#define SCATTER_DTS (MAAS_DTS_NUMERIC | MAAS_DTS_BOOL)
static const maas_io_schema gather_in[] = {MAAS_REQ("data", "T", MAAS_DTS_ALL),
                                           MAAS_REQ("indices", NULL, MAAS_DTS_INDEX)};
static const maas_io_schema gather_out[] = {MAAS_REQ("output", "T", MAAS_DTS_ALL)};
static const maas_io_schema grad_in[] = {MAAS_REQ("dY", "T", MAAS_DTS_FLOAT),
                                         MAAS_REQ("indices", NULL, MAAS_DTS_INDEX),
                                         MAAS_REQ("shape", NULL, MAAS_DTS_I64)};
static const maas_io_schema grad_out[] = {MAAS_REQ("dX", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema scatter_in[] = {MAAS_REQ("data", "T", SCATTER_DTS),
                                            MAAS_REQ("indices", NULL, MAAS_DTS_INDEX),
                                            MAAS_REQ("updates", "T", SCATTER_DTS)};
static const maas_io_schema scatter_out[] = {MAAS_REQ("output", "T", SCATTER_DTS)};
static const maas_attr_schema attrs[] = {{"axis", MAAS_ATTR_INT, false},
                                         {"reduction", MAAS_ATTR_STRING, false}};

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
       elements_infer, gather_elements_gradient, NULL)
GATHER(ScatterElements, scatter, "", 18, MAAS_OP_INPLACE, scatter_in, scatter_out, 2, 4,
       scatter_infer, scatter_gradient, NULL)
GATHER(GatherGrad, gather_grad, MAAS_DOMAIN_OWN, 1, 0, grad_in, grad_out, 1, 2, of_shape_infer,
       NULL, MAAS_SECOND_ORDER)
