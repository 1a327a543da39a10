/*
 * ScatterElements and ScatterND: the data with updates put in, or combined with what is there, at
 * places that indices say. Where an index is repeated without a reduction, the last one wins.
 */
#include "ops/gather_int.h"

#include "base/ban.h"

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

static maas_status check_combine(const maas_infer *q, maas_err *err)
{
    const combine how = combine_of(q->node);
    if (how == C_BAD)
        return maas_fail(err, MAAS_E_INVALID,
                         "attribute 'reduction' must be none, add, mul, min or max");
    if (how != C_NONE && q->in[0].dtype == MAAS_STRING)
        return maas_fail(err, MAAS_E_INVALID, "strings have no reduction");
    return MAAS_OK;
}

/* y[to] combined with from[at]; integers wrap, unsigned 64-bit ones compare as what they are. */
static void combine_one(const maas_tensor *y, int64_t to, const maas_tensor *from, int64_t at,
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

static void combine_block(const maas_tensor *y, int64_t to, const maas_tensor *from, int64_t at,
                          int64_t n, combine how)
{
    const size_t elem = maas_dtype_size((maas_dtype)y->dtype);
    if (how == C_NONE)
        memcpy((char *)y->data + (size_t)to * elem, (const char *)from->data + (size_t)at * elem,
               (size_t)n * elem);
    for (int64_t i = 0; i < n && how != C_NONE; i++)
        combine_one(y, to + i, from, at + i, how);
}

static void begin_with(const maas_tensor *y, const maas_tensor *x)
{
    if (y->data != x->data)
        memcpy(y->data, x->data, maas_tensor_bytes(x));
}

static bool has_gradient(maas_grad *g, combine how)
{
    if (how == C_NONE || how == C_ADD)
        return true;
    g->b->status = maas_fail(g->b->err, MAAS_E_UNSUPPORTED,
                             "%s has a gradient for the reductions none and add",
                             g->node->op->name);
    return false;
}

maas_vid maas_b_zeros_like(maas_builder *b, maas_vid x)
{
    return maas_b_op2(b, "Expand", maas_b_like(b, x, 0), maas_b_op1(b, "Shape", x));
}

/* ---- ScatterElements ---- */

static maas_status elements_infer(maas_infer *q, maas_err *err)
{
    const maas_type *at = &q->in[1], *from = &q->in[2];
    int64_t ignored;
    MAAS_TRY(check_combine(q, err));
    MAAS_TRY(maas_elements_infer(q, err));
    if (at->rank >= 0 && from->rank >= 0 && at->rank != from->rank)
        return maas_fail(err, MAAS_E_INVALID, "indices have rank %d, updates %d", at->rank,
                         from->rank);
    for (int i = 0; i < at->rank && from->rank >= 0; i++)
        MAAS_TRY(maas_dim_same(at->dims[i], from->dims[i], &ignored, "indices and updates", err));
    q->out[0] = q->in[0];
    return MAAS_OK;
}

maas_status maas_element_at(const maas_tensor *x, const maas_tensor *at, const maas_walk *w,
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

static maas_status elements_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *at = &c->in[1], *y = &c->out[0];
    const combine how = combine_of(c->node);
    int64_t strides[MAAS_MAX_RANK], to;
    maas_walk w;
    int axis;
    MAAS_TRY(maas_axis(maas_attr_i(c->node, "axis", 0), x->rank, &axis, err));
    maas_strides(x->dims, x->rank, strides);
    begin_with(y, x);
    for (maas_walk_init(&w, at->dims, at->rank, ~0u, 0); w.left; maas_walk_step(&w)) {
        MAAS_TRY(maas_element_at(x, at, &w, axis, strides, &to, err));
        combine_block(y, to, &c->in[2], w.at, 1, how);
    }
    return MAAS_OK;
}

/* What was overwritten has no influence; updates get dy where they went. */
static void elements_gradient(maas_grad *g)
{
    const maas_node *n = g->node;
    const maas_attr axis = MAAS_A_INT("axis", maas_attr_i(n, "axis", 0));
    const combine how = combine_of(n);
    if (!has_gradient(g, how))
        return;
    const maas_vid in[3] = {g->dout[0], n->in[1], maas_b_zeros_like(g->b, n->in[2])};
    if (g->want[0])
        g->din[0] = how == C_ADD ? g->dout[0]
                                 : maas_b_node(g->b, "ScatterElements", &axis, 1, in, 3, NULL, 1);
    if (g->want[2])
        g->din[2] = maas_b_node(g->b, "GatherElements", &axis, 1, in, 2, NULL, 1);
}

/* ---- ScatterND ---- */

/* Updates have the axes of the indices without the last, then those of the data after the address.
 */
static maas_status check_updates(const maas_type *x, const maas_type *at, const maas_type *from,
                                 maas_err *err)
{
    const int64_t k = at->dims[at->rank - 1];
    const int outer = at->rank - 1;
    int64_t ignored;
    if (k >= 0 && (k < 1 || k > x->rank))
        return maas_fail(err, MAAS_E_INVALID, "an address has %lld numbers, the data %d axes",
                         (long long)k, x->rank);
    if (k < 0 || from->rank < 0)
        return MAAS_OK;
    if (from->rank != outer + x->rank - k)
        return maas_fail(err, MAAS_E_INVALID, "updates have rank %d, must have %d", from->rank,
                         (int)(outer + x->rank - k));
    for (int i = 0; i < from->rank; i++)
        MAAS_TRY(maas_dim_same(i < outer ? at->dims[i] : x->dims[i - outer + k], from->dims[i],
                               &ignored, "updates", err));
    return MAAS_OK;
}

static maas_status nd_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0], *at = &q->in[1];
    MAAS_TRY(check_combine(q, err));
    q->out[0] = *x;
    if (x->rank == 0 || at->rank == 0)
        return maas_fail(err, MAAS_E_INVALID, "data and indices must have a rank of 1 at least");
    return x->rank < 0 || at->rank < 0 ? MAAS_OK : check_updates(x, at, &q->in[2], err);
}

static maas_status nd_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *at = &c->in[1], *y = &c->out[0];
    const combine how = combine_of(c->node);
    const maas_nd m = maas_nd_of(x, at, 0);
    int64_t to;
    begin_with(y, x);
    for (int64_t i = 0; i < m.per_batch; i++) {
        MAAS_TRY(maas_nd_at(&m, x, at, i, &to, err));
        combine_block(y, to, &c->in[2], i * m.block, m.block, how);
    }
    return MAAS_OK;
}

static void nd_gradient(maas_grad *g)
{
    const maas_node *n = g->node;
    const combine how = combine_of(n);
    if (!has_gradient(g, how))
        return;
    const maas_vid in[3] = {g->dout[0], n->in[1], maas_b_zeros_like(g->b, n->in[2])};
    if (g->want[0])
        g->din[0] = how == C_ADD ? g->dout[0]
                                 : maas_b_node(g->b, "ScatterND", NULL, 0, in, 3, NULL, 1);
    if (g->want[2])
        g->din[2] = maas_b_node(g->b, "GatherND", NULL, 0, in, 2, NULL, 1);
}

/* ---- examples and rows ---- */

#define N_SCATTER 8
/* Even variants go through all reductions, odd ones (checked for gradients) through two. */
static const char *const reductions[N_SCATTER] = {"none", "none", "add", "add",
                                                  "mul",  "add",  "max", "none"};
static const maas_dtype types[N_SCATTER + 3] = {MAAS_F32, MAAS_F64, MAAS_F32,   MAAS_F64,
                                                MAAS_F32, MAAS_F64, MAAS_I32,   MAAS_F64,
                                                MAAS_U64, MAAS_I8,  MAAS_STRING};

static const char *reduction_for(int variant)
{
    static const char *const more[] = {"min", "mul", "none"};
    return variant < N_SCATTER ? reductions[variant] : more[variant - N_SCATTER];
}

static void elements_example(maas_example *e)
{
    /* no repeats in a column: "none" does not say which one wins */
    static const int64_t at[] = {2, 0, 1, 0, -1, 0};
    const maas_attr attr[] = {MAAS_A_INT("axis", 0),
                              MAAS_A_STR("reduction", reduction_for(e->variant))};
    maas_tensor list = maas_tensor_of(MAAS_I64, 2, (const int64_t[]){2, 3}, (void *)(uintptr_t)at);
    const maas_dtype t = types[e->variant];
    const double lo = t == MAAS_U64 ? 0 : -2;
    const maas_vid x = maas_ex_in(e, t, lo, 2, MAAS_DIMS(3, 4));
    const maas_vid in[3] = {x, maas_b_const(e->b, NULL, &list),
                            maas_ex_in(e, t, lo, 2, MAAS_DIMS(2, 3))};
    maas_b_node(e->b, "ScatterElements", attr, 2, in, 3, NULL, 1);
}

static void nd_example(maas_example *e)
{
    static const int64_t at[] = {2, 0, -3, 3};
    const bool rows = e->variant / 2 % 2;
    const maas_attr how = MAAS_A_STR("reduction", reduction_for(e->variant));
    maas_tensor list = maas_tensor_of(MAAS_I64, 2,
                                      rows ? (const int64_t[]){2, 1} : (const int64_t[]){2, 2},
                                      (void *)(uintptr_t)at);
    const maas_dtype t = types[e->variant];
    const double lo = t == MAAS_U64 ? 0 : -2;
    const maas_vid x = maas_ex_in(e, t, lo, 2, MAAS_DIMS(3, 4));
    const maas_vid in[3] = {x, maas_b_const(e->b, NULL, &list),
                            maas_ex_in(e, t, lo, 2, rows ? 2 : 1, (const int64_t[]){2, 4})};
    maas_b_node(e->b, "ScatterND", &how, 1, in, 3, NULL, 1);
}

static const maas_io_schema elements_in[] = {MAAS_REQ("data", "T", MAAS_DTS_ALL),
                                             MAAS_REQ("indices", NULL, MAAS_DTS_INDEX),
                                             MAAS_REQ("updates", "T", MAAS_DTS_ALL)};
static const maas_io_schema nd_in[] = {MAAS_REQ("data", "T", MAAS_DTS_ALL),
                                       MAAS_REQ("indices", NULL, MAAS_DTS_I64),
                                       MAAS_REQ("updates", "T", MAAS_DTS_ALL)};
static const maas_io_schema out[] = {MAAS_REQ("output", "T", MAAS_DTS_ALL)};
static const maas_attr_schema attrs[] = {{"reduction", MAAS_ATTR_STRING, false},
                                         {"axis", MAAS_ATTR_INT, false}};

#define SCATTER(Name, fn, count)                                                                   \
    const maas_op maas_op_##Name = {                                                               \
        .domain = "",                                                                              \
        .name = #Name,                                                                             \
        .since = 18,                                                                               \
        .flags = MAAS_OP_INPLACE | MAAS_OP_STRINGS,                                                \
        MAAS_SCHEMA(fn##_in, out),                                                                 \
        .attr = attrs,                                                                             \
        .n_attr = count,                                                                           \
        .n_examples = N_SCATTER + 3,                                                               \
        .tolerance = 1e-6,                                                                         \
        .infer = fn##_infer,                                                                       \
        .reference = fn##_reference,                                                               \
        .flops = maas_flops_none,                                                                  \
        .example = fn##_example,                                                                   \
        .gradient = fn##_gradient,                                                                 \
    };
SCATTER(ScatterElements, elements, 2)
SCATTER(ScatterND, nd, 1)
