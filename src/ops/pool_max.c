/*
 * MaxPool (values and, if asked, where they were), MaxUnpool, and their gradients. Of equal
 * elements the first is the largest one, NaN is larger than all. A window that sees pads alone
 * gives the least number of its type and index 0.
 */
#include "ops/pool_int.h"

#include <inttypes.h>

#include "base/ban.h"

/* ---- MaxPool ---- */

static maas_status max_infer(maas_infer *q, maas_err *err)
{
    const int64_t order = maas_attr_i(q->node, "storage_order", 0);
    if (order != 0 && order != 1)
        return maas_fail(err, MAAS_E_INVALID, "storage_order is %" PRId64 ", must be 0 or 1",
                         order);
    MAAS_TRY(maas_pool_type(q, &q->in[0], (maas_dtype)q->in[0].dtype, &q->out[0], err));
    if (q->node->n_out > 1) {
        q->out[1] = q->out[0];
        q->out[1].dtype = MAAS_I64;
    }
    return MAAS_OK;
}

static double least_of(int dtype)
{
    return maas_is_float(dtype) ? -INFINITY : dtype == MAAS_I8 ? INT8_MIN : 0;
}

/* Element `at` of a plane, first axis fastest. */
static int64_t by_columns(const maas_pool *p, int64_t at)
{
    int64_t place[MAAS_WINDOW_AXES], sum = 0;
    for (int a = p->w.n - 1; a >= 0; a--) {
        place[a] = at % p->wide[a];
        at /= p->wide[a];
    }
    for (int a = p->w.n - 1; a >= 0; a--)
        sum = sum * p->wide[a] + place[a];
    return sum;
}

/* Where the largest element of a window of a plane is; -1: nowhere. */
static int64_t largest(const maas_pool *p, const maas_tensor *x, int64_t plane,
                       const int64_t *place, double *out)
{
    int64_t best = -1;
    maas_taps t;
    *out = least_of(x->dtype);
    for (maas_taps_init(&t, &p->w, p->wide, place); t.left; maas_taps_step(&t)) {
        const double v = maas_ld(x, plane * p->wide_n + t.at);
        if (best < 0 || v > *out || (isnan(v) && !isnan(*out))) {
            best = t.at;
            *out = v;
        }
    }
    return best;
}

static maas_status max_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *indices = maas_c_out(c, 1);
    const bool columns = maas_attr_i(c->node, "storage_order", 0) == 1;
    maas_pool p;
    MAAS_TRY(maas_pool_init(&p, c->node, &c->in[0], &c->out[0], err));
    for (int64_t i = 0; i < p.planes; i++) {
        int64_t place[MAAS_WINDOW_AXES] = {0};
        for (int64_t o = 0; o < p.narrow_n; o++, maas_place_next(place, p.narrow, p.w.n)) {
            double v;
            int64_t at = largest(&p, &c->in[0], i, place, &v);
            maas_st(&c->out[0], i * p.narrow_n + o, v);
            if (columns && at >= 0)
                at = by_columns(&p, at);
            if (indices)
                ((int64_t *)indices->data)[i * p.narrow_n + o] = at < 0 ? 0 : i * p.wide_n + at;
        }
    }
    return MAAS_OK;
}

/* dX: what comes in goes to the largest element of each window. */
static maas_status max_grad_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[1], *dx = &c->out[0];
    maas_pool p;
    MAAS_TRY(maas_pool_init(&p, c->node, x, &c->in[0], err));
    memset(dx->data, 0, maas_tensor_bytes(dx));
    for (int64_t i = 0; i < p.planes; i++) {
        int64_t place[MAAS_WINDOW_AXES] = {0};
        for (int64_t o = 0; o < p.narrow_n; o++, maas_place_next(place, p.narrow, p.w.n)) {
            double v;
            const int64_t at = largest(&p, x, i, place, &v);
            if (at >= 0)
                maas_st(dx, i * p.wide_n + at,
                        maas_ld(dx, i * p.wide_n + at) + maas_ld(&c->in[0], i * p.narrow_n + o));
        }
    }
    return MAAS_OK;
}

static void max_gradient(maas_grad *g)
{
    const maas_vid in[2] = {g->dout[0], g->node->in[0]};
    g->din[0] = maas_b_node(g->b, "MaxPoolGrad", g->node->attr, g->node->n_attr, in, 2, NULL, 1);
}

/* ---- MaxUnpool ---- */

/* The sizes that pooling with these windows would have come from. */
static maas_status unpooled(const maas_infer *q, const maas_type *x, maas_type *out, maas_err *err)
{
    maas_window w;
    *out = *x;
    if (x->rank < 0)
        return MAAS_OK;
    if (x->rank < 3)
        return maas_fail(err, MAAS_E_INVALID, "X has rank %d, must be [N,C,..]", x->rank);
    MAAS_TRY(maas_window_init(&w, q->node, x->rank - 2, NULL, err));
    for (int a = 0; a < w.n; a++) {
        int64_t *d = &out->dims[a + 2];
        if (*d > 0 && (__builtin_mul_overflow(*d - 1, w.stride[a], d) ||
                       __builtin_add_overflow(*d, w.kernel[a] - w.before[a] - w.after[a], d)))
            return maas_fail(err, MAAS_E_TOO_LARGE, "spatial axis %d has too many elements", a);
        if (*d < 0 && x->dims[a + 2] >= 0)
            return maas_fail(err, MAAS_E_INVALID, "spatial axis %d: pads cut off all there is", a);
        if (*d < 0)
            *d = MAAS_DIM_UNKNOWN;
    }
    return MAAS_OK;
}

static maas_status same_types(const maas_infer *q, int a, int b, maas_err *err)
{
    const maas_type *x = &q->in[a], *y = &q->in[b];
    int64_t ignored;
    if (x->rank >= 0 && y->rank >= 0 && x->rank != y->rank)
        return maas_fail(err, MAAS_E_INVALID, "inputs %d and %d have ranks %d and %d", a, b,
                         x->rank, y->rank);
    for (int i = 0; i < x->rank && y->rank >= 0; i++)
        MAAS_TRY(maas_dim_same(x->dims[i], y->dims[i], &ignored, "values and indices", err));
    return MAAS_OK;
}

static maas_status unpool_infer(maas_infer *q, maas_err *err)
{
    int64_t sizes[2 * MAAS_MAX_RANK];
    int n;
    MAAS_TRY(same_types(q, 0, 1, err));
    MAAS_TRY(unpooled(q, &q->in[0], &q->out[0], err));
    if (!maas_q_has(q, 2))
        return MAAS_OK;
    maas_type *y = &q->out[0];
    if (!maas_q_ints(q, 2, sizes, &n)) {
        for (int i = 0; i < y->rank; i++)
            y->dims[i] = MAAS_DIM_UNKNOWN;
        return MAAS_OK;
    }
    for (int i = 0; i < n && n == y->rank; i++) {
        if (sizes[i] < 0 || sizes[i] < y->dims[i])
            return maas_fail(err, MAAS_E_INVALID,
                             "output_shape: axis %d of %" PRId64 " is too small", i, sizes[i]);
        y->dims[i] = sizes[i];
    }
    return y->rank < 0 || n == y->rank
               ? MAAS_OK
               : maas_fail(err, MAAS_E_INVALID, "output_shape has %d numbers, must have %d", n,
                           y->rank);
}

/* Indices count in the unpooled shape, which lies in the corner of a larger output. */
static maas_status target(const maas_call *c, const maas_tensor *x, const maas_tensor *y,
                          maas_type *inner, int64_t *out_n, maas_err *err)
{
    const maas_type t = maas_type_of(x);
    const maas_infer q = {.node = c->node};
    MAAS_TRY(unpooled(&q, &t, inner, err));
    for (int i = 0; i < y->rank; i++)
        if (inner->dims[i] > y->dims[i])
            return maas_fail(err, MAAS_E_INVALID, "the output is too small on axis %d", i);
    *out_n = maas_dims_product(inner->dims, 0, inner->rank);
    return MAAS_OK;
}

static maas_status place_in(const maas_tensor *indices, int64_t i, const maas_type *inner,
                            int64_t n, const maas_tensor *y, int64_t *out, maas_err *err)
{
    int64_t at = ((const int64_t *)indices->data)[i], sum = 0, scale = 1;
    if (at < 0)
        return maas_fail(err, MAAS_E_INVALID, "index %" PRId64 " is outside of %" PRId64, at, n);
    MAAS_TRY(maas_ref_index(at, n, &at, err));
    for (int a = y->rank - 1; a >= 0; a--) {
        sum += at % inner->dims[a] * scale;
        at /= inner->dims[a];
        scale *= y->dims[a];
    }
    *out = sum;
    return MAAS_OK;
}

static maas_status unpool_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    maas_type inner;
    int64_t n, at = 0;
    MAAS_TRY(maas_ref_check(c, err));
    MAAS_TRY(target(c, x, y, &inner, &n, err));
    memset(y->data, 0, maas_tensor_bytes(y));
    for (int64_t i = 0; i < maas_n_elems(x); i++) {
        MAAS_TRY(place_in(&c->in[1], i, &inner, n, y, &at, err));
        maas_st(y, at, maas_ld(x, i));
    }
    return MAAS_OK;
}

static maas_status unpool_grad_infer(maas_infer *q, maas_err *err)
{
    q->out[0] = q->in[1];
    q->out[0].dtype = q->in[0].dtype;
    if (q->in[0].rank >= 0 && q->in[1].rank >= 0 && q->in[0].rank != q->in[1].rank)
        return maas_fail(err, MAAS_E_INVALID, "dY has rank %d, I %d", q->in[0].rank, q->in[1].rank);
    maas_type ignored;
    return unpooled(q, &q->in[1], &ignored, err);
}

/* Of elements that share a place each gets its gradient. */
static maas_status unpool_grad_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *dy = &c->in[0], *indices = &c->in[1], *dx = &c->out[0];
    maas_type inner;
    int64_t n, at = 0;
    MAAS_TRY(target(c, indices, dy, &inner, &n, err));
    for (int64_t i = 0; i < maas_n_elems(dx); i++) {
        MAAS_TRY(place_in(indices, i, &inner, n, dy, &at, err));
        maas_st(dx, i, maas_ld(dy, at));
    }
    return MAAS_OK;
}

static void unpool_gradient(maas_grad *g)
{
    const maas_vid in[2] = {g->dout[0], g->node->in[1]};
    g->din[0] = maas_b_node(g->b, "MaxUnpoolGrad", g->node->attr, g->node->n_attr, in, 2, NULL, 1);
}

/* ---- examples ---- */

#define N_MAX (2 * MAAS_N_POOLS + 2)

static void max_example(maas_example *e)
{
    const maas_attr order = MAAS_A_INT("storage_order", e->variant / 2 % 2);
    if (e->variant < 2 * MAAS_N_POOLS) {
        maas_pool_example(e, "MaxPool", &order, -2, 2, 1 + (uint32_t)(e->variant / 4 % 2));
        return;
    }
    const maas_pool_case *p = &maas_pool_cases[1];
    const maas_vid x = maas_ex_in(e, e->variant & 1 ? MAAS_U8 : MAAS_I8, e->variant & 1 ? 0 : -90,
                                  90, p->rank, p->x);
    maas_attr a[5];
    maas_vid out[2];
    maas_b_node(e->b, "MaxPool", a, (uint32_t)maas_pool_attrs(1, a), &x, 1, out, 2);
}

static void max_grad_example(maas_example *e)
{
    maas_attr a[5];
    maas_vid in[2];
    maas_pool_attrs(e->variant / 2, a);
    maas_pool_grad_inputs(e, in);
    maas_b_node(e->b, "MaxPoolGrad", a, 5, in, 2, NULL, 1);
}

static const int64_t unpool_kernel[] = {2, 2}, unpool_strides[] = {2, 2},
                     unpool_at[] = {5, 7, 13, 15, 16, 20, 24, 31}, unpool_dims[] = {1, 2, 2, 2},
                     unpool_sizes[] = {1, 2, 5, 6};

static maas_vid unpool_indices(maas_example *e)
{
    const maas_tensor t = maas_tensor_of(MAAS_I64, 4, unpool_dims, (void *)(uintptr_t)unpool_at);
    return maas_b_const(e->b, NULL, &t);
}

static void unpool_example(maas_example *e)
{
    const maas_attr a[] = {MAAS_A_INTS("kernel_shape", unpool_kernel, 2),
                           MAAS_A_INTS("strides", unpool_strides, 2)};
    maas_vid in[3] = {maas_ex_in(e, maas_ex_float(e), -2, 2, 4, unpool_dims), unpool_indices(e)};
    if (e->variant >= 2)
        in[2] = maas_b_i64s(e->b, unpool_sizes, 4);
    maas_b_node(e->b, "MaxUnpool", a, 2, in, e->variant >= 2 ? 3 : 2, NULL, 1);
}

static void unpool_grad_example(maas_example *e)
{
    const maas_attr a[] = {MAAS_A_INTS("kernel_shape", unpool_kernel, 2),
                           MAAS_A_INTS("strides", unpool_strides, 2)};
    const maas_vid in[2] = {maas_ex_in(e, maas_ex_float(e), -2, 2, 4, unpool_sizes),
                            unpool_indices(e)};
    maas_b_node(e->b, "MaxUnpoolGrad", a, 2, in, 2, NULL, 1);
}

/* ---- rows ---- */

#define MAX_DTS (MAAS_DTS_FLOAT | MAAS_DT_BIT(MAAS_I8) | MAAS_DT_BIT(MAAS_U8))
static const maas_io_schema max_in[] = {MAAS_REQ("X", "T", MAX_DTS)};
static const maas_io_schema max_out[] = {MAAS_REQ("Y", "T", MAX_DTS),
                                         MAAS_OPT("Indices", NULL, MAAS_DTS_I64)};
static const maas_io_schema grad_in[] = {MAAS_REQ("dY", "T", MAAS_DTS_FLOAT),
                                         MAAS_REQ("X", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema unpool_in[] = {MAAS_REQ("X", "T1", MAAS_DTS_FLOAT),
                                           MAAS_REQ("I", NULL, MAAS_DTS_I64),
                                           MAAS_OPT("output_shape", NULL, MAAS_DTS_I64)};
static const maas_io_schema unpool_out[] = {MAAS_REQ("output", "T1", MAAS_DTS_FLOAT)};
static const maas_io_schema unpool_grad_in[] = {MAAS_REQ("dY", "T", MAAS_DTS_FLOAT),
                                                MAAS_REQ("I", NULL, MAAS_DTS_I64)};
static const maas_io_schema grad_out[] = {MAAS_REQ("dX", "T", MAAS_DTS_FLOAT)};
static const maas_attr_schema max_attrs[] = {
    {"auto_pad", MAAS_ATTR_STRING, false}, {"ceil_mode", MAAS_ATTR_INT, false},
    {"dilations", MAAS_ATTR_INTS, false},  {"kernel_shape", MAAS_ATTR_INTS, true},
    {"pads", MAAS_ATTR_INTS, false},       {"storage_order", MAAS_ATTR_INT, false},
    {"strides", MAAS_ATTR_INTS, false}};
static const maas_attr_schema unpool_attrs[] = {{"kernel_shape", MAAS_ATTR_INTS, true},
                                                {"pads", MAAS_ATTR_INTS, false},
                                                {"strides", MAAS_ATTR_INTS, false}};

const maas_op maas_op_MaxPool = {
    .domain = "",
    .name = "MaxPool",
    .since = 12,
    MAAS_SCHEMA(max_in, max_out),
    MAAS_ATTRS(max_attrs),
    .n_examples = N_MAX,
    .infer = max_infer,
    .reference = max_reference,
    .flops = maas_pool_flops,
    .example = max_example,
    .gradient = max_gradient,
};

const maas_op maas_op_MaxPoolGrad = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "MaxPoolGrad",
    .since = 1,
    MAAS_SCHEMA(grad_in, grad_out),
    MAAS_ATTRS(max_attrs),
    .n_examples = 2 * MAAS_N_POOLS,
    .tolerance = 1e-5,
    .infer = maas_pool_grad_infer,
    .reference = max_grad_reference,
    .flops = maas_pool_grad_flops,
    .example = max_grad_example,
    .no_gradient = MAAS_SECOND_ORDER,
};

const maas_op maas_op_MaxUnpool = {
    .domain = "",
    .name = "MaxUnpool",
    .since = 11,
    MAAS_SCHEMA(unpool_in, unpool_out),
    MAAS_ATTRS(unpool_attrs),
    .n_examples = 4,
    .infer = unpool_infer,
    .reference = unpool_reference,
    .flops = maas_flops_none,
    .example = unpool_example,
    .gradient = unpool_gradient,
};

const maas_op maas_op_MaxUnpoolGrad = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "MaxUnpoolGrad",
    .since = 1,
    MAAS_SCHEMA(unpool_grad_in, grad_out),
    MAAS_ATTRS(unpool_attrs),
    .n_examples = 2,
    .infer = unpool_grad_infer,
    .reference = unpool_grad_reference,
    .flops = maas_flops_none,
    .example = unpool_grad_example,
    .no_gradient = MAAS_SECOND_ORDER,
};
