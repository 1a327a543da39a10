/*
 * Reductions over axes. Floats accumulate in double, integers wrap. Of nothing: a sum is 0, a
 * product 1, a maximum -inf (or the smallest integer), a mean NaN.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

/* One row a reduction: where it starts, one step, and what becomes of the result. Either pair of
 * functions may look only at its own arguments. */
typedef struct reducer {
    double first;
    double (*step)(double acc, double x);
    double (*last)(double acc, double n); /* NULL: acc */
    int64_t int_first;
    int64_t (*int_step)(int64_t acc, int64_t x, bool is_signed);
    bool log_sum_exp; /* needs the maximum first */
} reducer;

static double sum_step(double acc, double x)
{
    return acc + x;
}
static int64_t sum_int(int64_t acc, int64_t x, bool is_signed)
{
    return (int64_t)((uint64_t)acc + (uint64_t)x);
}
static double mean_last(double acc, double n)
{
    return acc / n;
}
static double max_step(double acc, double x)
{
    return x > acc || x != x ? x : acc;
}
static int64_t max_int(int64_t acc, int64_t x, bool is_signed)
{
    bool more = is_signed ? x > acc : (uint64_t)x > (uint64_t)acc;
    return more ? x : acc;
}
static double min_step(double acc, double x)
{
    return x < acc || x != x ? x : acc;
}
static int64_t min_int(int64_t acc, int64_t x, bool is_signed)
{
    bool less = is_signed ? x < acc : (uint64_t)x < (uint64_t)acc;
    return less ? x : acc;
}
static double prod_step(double acc, double x)
{
    return acc * x;
}
static int64_t prod_int(int64_t acc, int64_t x, bool is_signed)
{
    return (int64_t)((uint64_t)acc * (uint64_t)x);
}
static double l1_step(double acc, double x)
{
    return acc + fabs(x);
}
static int64_t l1_int(int64_t acc, int64_t x, bool is_signed)
{
    return (int64_t)((uint64_t)acc + (is_signed && x < 0 ? 0 - (uint64_t)x : (uint64_t)x));
}
static double square_step(double acc, double x)
{
    return acc + x * x;
}
static int64_t square_int(int64_t acc, int64_t x, bool is_signed)
{
    return (int64_t)((uint64_t)acc + (uint64_t)x * (uint64_t)x);
}
static double root_last(double acc, double n)
{
    return sqrt(acc);
}
static double log_last(double acc, double n)
{
    return log(acc);
}

/* Of nothing, an integer extreme is the end of its own type. */
static int64_t int_start(const reducer *r, int dtype)
{
    int bits = maas_dtype_describe((maas_dtype)dtype)->bits;
    bool is_signed = maas_dtype_describe((maas_dtype)dtype)->kind == MAAS_KIND_INT;
    if (r->int_step == max_int)
        return is_signed ? (int64_t)(UINT64_MAX << (bits - 1)) : 0;
    if (r->int_step == min_int)
        return (int64_t)(UINT64_MAX >> (64 - bits + is_signed));
    return r->int_first;
}

static double reduce_real(const maas_tensor *x, maas_walk w, const reducer *r)
{
    const double n = (double)w.left;
    double acc = r->first, max = -INFINITY;
    if (r->log_sum_exp) {
        for (maas_walk m = w; m.left; maas_walk_step(&m))
            max = max_step(max, maas_ld(x, m.at));
        if (isinf(max) || isnan(max))
            return max;
    }
    for (; w.left; maas_walk_step(&w)) {
        double v = maas_ld(x, w.at);
        acc = r->step(acc, r->log_sum_exp ? exp(v - max) : v);
    }
    acc = r->last ? r->last(acc, n) : acc;
    return r->log_sum_exp ? acc + max : acc;
}

/* Real-valued reductions of integers (mean, root, logarithm) go through double, toward zero. */
static int64_t reduce_int(const maas_tensor *x, maas_walk w, const reducer *r)
{
    bool is_signed = maas_dtype_describe((maas_dtype)x->dtype)->kind == MAAS_KIND_INT;
    int64_t acc = int_start(r, x->dtype);
    if (!r->int_step) {
        double v = reduce_real(x, w, r);
        return v != v ? 0 : v >= 0x1p63 ? INT64_MAX : v < -0x1p63 ? INT64_MIN : (int64_t)v;
    }
    for (; w.left; maas_walk_step(&w))
        acc = r->int_step(acc, maas_tensor_get_i64(x, w.at), is_signed);
    return acc;
}

/* ---- which axes ---- */

static maas_status axes_mask(const maas_node *n, const int64_t *axes, int n_axes, int rank,
                             uint32_t *out, maas_err *err)
{
    MAAS_TRY(maas_axes(axes, n_axes, rank, out, err));
    if (n_axes == 0 && maas_attr_i(n, "noop_with_empty_axes", 0) == 0)
        *out = (1u << rank) - 1;
    return MAAS_OK;
}

static maas_status reduce_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    const bool keep = maas_attr_i(q->node, "keepdims", 1) != 0;
    int64_t axes[2 * MAAS_MAX_RANK], dims[MAAS_MAX_RANK];
    int n = 0, rank = 0;
    uint32_t mask;
    bool known = !maas_q_has(q, 1) || maas_q_ints(q, 1, axes, &n);
    if (x->rank < 0 || (!known && !keep)) {
        maas_q_unranked(q, 0, (maas_dtype)x->dtype);
        return MAAS_OK;
    }
    if (known)
        MAAS_TRY(axes_mask(q->node, axes, n, x->rank, &mask, err));
    for (int i = 0; i < x->rank; i++) {
        bool gone = known && mask >> i & 1;
        if (!gone || keep)
            dims[rank++] = !known ? MAAS_DIM_UNKNOWN : gone ? 1 : x->dims[i];
    }
    maas_q_out(q, 0, (maas_dtype)x->dtype, rank, dims);
    return MAAS_OK;
}

static maas_status reduce(const maas_call *c, const reducer *r, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *list = maas_c_in(c, 1), *y = &c->out[0];
    int64_t axes[2 * MAAS_MAX_RANK];
    int n = list ? (int)maas_n_elems(list) : 0;
    uint32_t mask;
    MAAS_TRY(maas_ref_check(c, err)); /* and so n <= rank, no repeats */
    for (int i = 0; i < n; i++)
        axes[i] = maas_tensor_get_i64(list, i);
    MAAS_TRY(axes_mask(c->node, axes, n, x->rank, &mask, err));
    maas_walk kept;
    maas_walk_init(&kept, x->dims, x->rank, ~mask, 0);
    for (int64_t i = 0; kept.left; i++, maas_walk_step(&kept)) {
        maas_walk gone;
        maas_walk_init(&gone, x->dims, x->rank, mask, kept.at);
        if (maas_is_float(x->dtype))
            maas_st(y, i, reduce_real(x, gone, r));
        else
            maas_st_i64(y, i, reduce_int(x, gone, r));
    }
    return MAAS_OK;
}

static int64_t reduce_flops(const maas_call *c)
{
    return maas_n_elems(&c->in[0]);
}

/* ---- gradients ---- */

/* `v`, of the output's shape, with the reduced axes back as ones. */
static maas_vid with_axes(maas_grad *g, maas_vid v)
{
    const maas_node *n = g->node;
    const maas_type *x = maas_b_type(g->b, n->in[0]);
    const int64_t ones[MAAS_MAX_RANK] = {1, 1, 1, 1, 1, 1, 1, 1};
    const maas_vid axes = n->n_in > 1 ? n->in[1] : MAAS_NO_VALUE;
    if (!x || maas_attr_i(n, "keepdims", 1) != 0)
        return v;
    const maas_type *t = axes == MAAS_NO_VALUE ? NULL : maas_b_type(g->b, axes);
    bool none = !t || (t->rank == 1 && t->dims[0] == 0);
    if (!none)
        return maas_b_op2(g->b, "Unsqueeze", v, axes);
    if (maas_attr_i(n, "noop_with_empty_axes", 0) != 0)
        return v;
    if (x->rank < 0) {
        g->b->status = maas_fail(g->b->err, MAAS_E_UNSUPPORTED,
                                 "the gradient of %s needs an input of known rank", n->op->name);
        return MAAS_NO_VALUE;
    }
    return maas_b_op2(g->b, "Reshape", v, maas_b_i64s(g->b, ones, x->rank));
}

static maas_vid spread(maas_grad *g, maas_vid v)
{
    return maas_b_op2(g->b, "Expand", v, maas_b_op1(g->b, "Shape", g->node->in[0]));
}

static void sum_gradient(maas_grad *g)
{
    g->din[0] = spread(g, with_axes(g, g->dout[0]));
}

static void mean_gradient(maas_grad *g)
{
    maas_builder *b = g->b;
    const maas_vid x = g->node->in[0], y = g->node->out[0];
    maas_vid n = MAAS_B_DIV(b, maas_b_op1(b, "Size", x), maas_b_op1(b, "Size", y));
    maas_vid d = MAAS_B_DIV(b, with_axes(g, g->dout[0]), maas_b_op2(b, "CastLike", n, x));
    g->din[0] = spread(g, d);
}

/* The elements that are the extreme share its gradient evenly, as PyTorch's amax does. */
static void extreme_gradient(maas_grad *g)
{
    maas_builder *b = g->b;
    const maas_vid x = g->node->in[0], y = g->node->out[0];
    maas_vid is = maas_b_op2(b, "CastLike", maas_b_op2(b, "Equal", x, with_axes(g, y)), x);
    maas_vid d = MAAS_B_DIV(b, with_axes(g, g->dout[0]),
                            maas_b_op2(b, "ReduceTo", is, with_axes(g, y)));
    g->din[0] = MAAS_B_MUL(b, is, d);
}

static void l1_gradient(maas_grad *g)
{
    maas_vid s = maas_b_op1(g->b, "Sign", g->node->in[0]);
    g->din[0] = MAAS_B_MUL(g->b, s, with_axes(g, g->dout[0]));
}

static void l2_gradient(maas_grad *g)
{
    const maas_vid x = g->node->in[0], y = g->node->out[0];
    maas_vid d = MAAS_B_DIV(g->b, g->dout[0], y);
    g->din[0] = MAAS_B_MUL(g->b, x, with_axes(g, d));
}

static void log_sum_gradient(maas_grad *g)
{
    maas_vid d = MAAS_B_DIV(g->b, g->dout[0], maas_b_op1(g->b, "Exp", g->node->out[0]));
    g->din[0] = spread(g, with_axes(g, d));
}

static void log_sum_exp_gradient(maas_grad *g)
{
    const maas_vid x = g->node->in[0], y = g->node->out[0];
    maas_vid p = maas_b_op1(g->b, "Exp", MAAS_B_SUB(g->b, x, with_axes(g, y)));
    g->din[0] = MAAS_B_MUL(g->b, p, with_axes(g, g->dout[0]));
}

static void sum_square_gradient(maas_grad *g)
{
    const maas_vid x = g->node->in[0];
    maas_vid d = MAAS_B_MUL(g->b, g->dout[0], maas_b_like(g->b, x, 2));
    g->din[0] = MAAS_B_MUL(g->b, x, with_axes(g, d));
}
#define prod_gradient NULL

/* ---- examples and rows ---- */

#define N_SHAPES 8
#define N_REDUCE (2 * N_SHAPES + 2)

static void example_of(maas_example *e, const char *op)
{
    static const struct {
        int rank, n_axes, keep, noop; /* n_axes -1: none given */
        int64_t dims[4], axes[3];
    } cases[N_SHAPES] = {
        {2, 1, 1, 0, {3, 4}, {1}},     {3, 2, 0, 0, {2, 3, 4}, {-1, 0}},
        {3, -1, 0, 0, {2, 2, 3}, {0}}, {2, 0, 1, 0, {3, 2}, {0}},
        {2, 0, 0, 1, {3, 2}, {0}},     {4, 1, 1, 0, {2, 3, 1, 5}, {1}},
        {3, 1, 0, 0, {2, 3, 67}, {1}}, {4, 2, 1, 0, {2, 3, 2, 17}, {0, 2}},
    };
    int k = e->variant / 2 % N_SHAPES;
    maas_dtype t = e->variant < 2 * N_SHAPES ? maas_ex_float(e)
                   : e->variant & 1          ? MAAS_I32
                                             : MAAS_I64;
    maas_vid in[2] = {maas_ex_in(e, t, 0.5, 4, cases[k].rank, cases[k].dims)};
    const maas_attr attr[] = {MAAS_A_INT("keepdims", cases[k].keep),
                              MAAS_A_INT("noop_with_empty_axes", cases[k].noop)};
    if (cases[k].n_axes >= 0)
        in[1] = maas_b_i64s(e->b, cases[k].axes, cases[k].n_axes);
    maas_b_node(e->b, op, attr, 2, in, cases[k].n_axes >= 0 ? 2 : 1, NULL, 1);
}

static const maas_io_schema in[] = {MAAS_REQ("data", "T", MAAS_DTS_NUMERIC),
                                    MAAS_OPT("axes", NULL, MAAS_DTS_I64)};
static const maas_io_schema out[] = {MAAS_REQ("reduced", "T", MAAS_DTS_NUMERIC)};
#define ORDERED (MAAS_DTS_NUMERIC | MAAS_DTS_BOOL)
static const maas_io_schema extreme_in[] = {MAAS_REQ("data", "T", ORDERED),
                                            MAAS_OPT("axes", NULL, MAAS_DTS_I64)};
static const maas_io_schema extreme_out[] = {MAAS_REQ("reduced", "T", ORDERED)};
static const maas_attr_schema attrs[] = {{"keepdims", MAAS_ATTR_INT, false},
                                         {"noop_with_empty_axes", MAAS_ATTR_INT, false}};

#define REDUCE_OF(Name, fn, version, ins, outs, first, step, last, int_first, int_step, lse, why)  \
    static maas_status fn##_reference(const maas_call *c, maas_err *err)                           \
    {                                                                                              \
        static const reducer r = {first, step, last, int_first, int_step, lse};                    \
        return reduce(c, &r, err);                                                                 \
    }                                                                                              \
    static void fn##_example(maas_example *e)                                                      \
    {                                                                                              \
        example_of(e, #Name);                                                                      \
    }                                                                                              \
    const maas_op maas_op_##Name = {                                                               \
        .domain = "",                                                                              \
        .name = #Name,                                                                             \
        .since = version,                                                                          \
        MAAS_SCHEMA(ins, outs),                                                                    \
        MAAS_ATTRS(attrs),                                                                         \
        .n_examples = N_REDUCE,                                                                    \
        .tolerance = 1e-5,                                                                         \
        .infer = reduce_infer,                                                                     \
        .reference = fn##_reference,                                                               \
        .flops = reduce_flops,                                                                     \
        .example = fn##_example,                                                                   \
        .gradient = fn##_gradient,                                                                 \
        .no_gradient = why,                                                                        \
    };
#define REDUCE(Name, fn, version, ...) REDUCE_OF(Name, fn, version, in, out, __VA_ARGS__)
#define EXTREME(Name, fn, version, ...)                                                            \
    REDUCE_OF(Name, fn, version, extreme_in, extreme_out, __VA_ARGS__)
#define max_gradient extreme_gradient
#define min_gradient extreme_gradient
#define PRODUCT      "the product of the others is undefined where an element is zero"

/* clang-format off */
/*     Name             functions    since first      step         last       of integers   lse */
REDUCE(ReduceSum,       sum,         13, 0,         sum_step,    NULL,      0, sum_int,    false, NULL)
REDUCE(ReduceMean,      mean,        18, 0,         sum_step,    mean_last, 0, NULL,       false, NULL)
EXTREME(ReduceMax,      max,         20, -INFINITY, max_step,    NULL,      0, max_int,    false, NULL)
EXTREME(ReduceMin,      min,         20, INFINITY,  min_step,    NULL,      0, min_int,    false, NULL)
REDUCE(ReduceProd,      prod,        18, 1,         prod_step,   NULL,      1, prod_int,   false, PRODUCT)
REDUCE(ReduceL1,        l1,          18, 0,         l1_step,     NULL,      0, l1_int,     false, NULL)
REDUCE(ReduceL2,        l2,          18, 0,         square_step, root_last, 0, NULL,       false, NULL)
REDUCE(ReduceLogSum,    log_sum,     18, 0,         sum_step,    log_last,  0, NULL,       false, NULL)
REDUCE(ReduceLogSumExp, log_sum_exp, 18, 0,         sum_step,    log_last,  0, NULL,       true,  NULL)
REDUCE(ReduceSumSquare, sum_square,  18, 0,         square_step, NULL,      0, square_int, false, NULL)
/* clang-format on */
