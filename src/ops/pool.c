/* AveragePool, LpPool, their gradients, and what pooling shares. */
#include "ops/pool_int.h"

#include "base/ban.h"

/* ---- shared ---- */

maas_status maas_pool_type(const maas_infer *q, const maas_type *x, maas_dtype t, maas_type *out,
                           maas_err *err)
{
    maas_window w;
    *out = *x;
    out->dtype = (uint8_t)t;
    if (x->rank < 0)
        return MAAS_OK;
    if (x->rank < 3)
        return maas_fail(err, MAAS_E_INVALID, "X has rank %d, must be [N,C,..]", x->rank);
    MAAS_TRY(maas_window_init(&w, q->node, x->rank - 2, NULL, err));
    return maas_window_fit(&w, x->dims + 2, out->dims + 2, err);
}

static maas_status pool_infer(maas_infer *q, maas_err *err)
{
    return maas_pool_type(q, &q->in[0], (maas_dtype)q->in[0].dtype, &q->out[0], err);
}

maas_status maas_pool_grad_infer(maas_infer *q, maas_err *err)
{
    const maas_type *dy = &q->in[0], *x = &q->in[1];
    maas_type y;
    int64_t ignored;
    MAAS_TRY(maas_pool_type(q, x, (maas_dtype)x->dtype, &y, err));
    if (dy->rank >= 0 && y.rank >= 0 && dy->rank != y.rank)
        return maas_fail(err, MAAS_E_INVALID, "dY has rank %d, Y %d", dy->rank, y.rank);
    for (int i = 0; i < y.rank && dy->rank >= 0; i++)
        MAAS_TRY(maas_dim_same(dy->dims[i], y.dims[i], &ignored, "dY and Y", err));
    q->out[0] = *x;
    return MAAS_OK;
}

maas_status maas_pool_init(maas_pool *p, const maas_node *node, const maas_tensor *wide,
                           const maas_tensor *narrow, maas_err *err)
{
    int64_t ignored[MAAS_WINDOW_AXES];
    MAAS_TRY(maas_window_init(&p->w, node, wide->rank - 2, NULL, err));
    MAAS_TRY(maas_window_fit(&p->w, wide->dims + 2, ignored, err));
    p->wide = wide->dims + 2;
    p->narrow = narrow->dims + 2;
    p->planes = wide->dims[0] * wide->dims[1];
    p->wide_n = maas_dims_product(wide->dims, 2, wide->rank);
    p->narrow_n = maas_dims_product(narrow->dims, 2, narrow->rank);
    return MAAS_OK;
}

static int64_t flops_of(const maas_call *c, const maas_tensor *wide, const maas_tensor *narrow)
{
    maas_pool p;
    if (maas_pool_init(&p, c->node, wide, narrow, NULL) != MAAS_OK)
        return 0;
    int64_t n = maas_n_elems(narrow);
    for (int a = 0; a < p.w.n; a++) {
        const int64_t k = p.w.kernel[a] < p.wide[a] ? p.w.kernel[a] : p.wide[a];
        if (__builtin_mul_overflow(n, k, &n))
            return INT64_MAX;
    }
    return n;
}

int64_t maas_pool_flops(const maas_call *c)
{
    return flops_of(c, &c->in[0], &c->out[0]);
}

int64_t maas_pool_grad_flops(const maas_call *c)
{
    return flops_of(c, &c->in[1], &c->in[0]);
}

/* ---- average ---- */

double maas_pool_divisor(const maas_pool *p, const int64_t *place, bool include)
{
    double n = 1;
    for (int a = 0; a < p->w.n; a++) {
        const int64_t first = place[a] * p->w.stride[a] - p->w.before[a];
        const int64_t end = p->wide[a] + (include ? p->w.after[a] : 0);
        const int64_t from = include || first >= 0
                                 ? 0
                                 : (-first + p->w.dilation[a] - 1) / p->w.dilation[a];
        int64_t to = (end - first + p->w.dilation[a] - 1) / p->w.dilation[a];
        to = to < p->w.kernel[a] ? to : p->w.kernel[a];
        n *= to > from ? (double)(to - from) : 0;
    }
    return n;
}

static bool counts_pads(const maas_node *n)
{
    return maas_attr_i(n, "count_include_pad", 0) != 0;
}

static maas_status average_reference(const maas_call *c, maas_err *err)
{
    maas_pool p;
    MAAS_TRY(maas_pool_init(&p, c->node, &c->in[0], &c->out[0], err));
    const bool include = counts_pads(c->node);
    for (int64_t i = 0; i < p.planes; i++) {
        int64_t place[MAAS_WINDOW_AXES] = {0};
        for (int64_t o = 0; o < p.narrow_n; o++, maas_place_next(place, p.narrow, p.w.n)) {
            const double n = maas_pool_divisor(&p, place, include);
            double sum = 0;
            maas_taps t;
            for (maas_taps_init(&t, &p.w, p.wide, place); t.left; maas_taps_step(&t))
                sum += maas_ld(&c->in[0], i * p.wide_n + t.at);
            maas_st(&c->out[0], i * p.narrow_n + o, n > 0 ? sum / n : 0);
        }
    }
    return MAAS_OK;
}

/* The place of the narrow side at row-major element `at`. */
static void place_of(const maas_pool *p, int64_t at, int64_t *place)
{
    for (int a = p->w.n - 1; a >= 0; a--) {
        place[a] = at % p->narrow[a];
        at /= p->narrow[a];
    }
}

static maas_status average_grad_reference(const maas_call *c, maas_err *err)
{
    maas_pool p;
    MAAS_TRY(maas_pool_init(&p, c->node, &c->in[1], &c->in[0], err));
    const bool include = counts_pads(c->node);
    for (int64_t i = 0; i < p.planes; i++) {
        int64_t place[MAAS_WINDOW_AXES] = {0}, window[MAAS_WINDOW_AXES];
        for (int64_t x = 0; x < p.wide_n; x++, maas_place_next(place, p.wide, p.w.n)) {
            double sum = 0;
            maas_taps t;
            maas_taps_init_covering(&t, &p.w, p.narrow, place);
            for (; t.left; maas_taps_step(&t)) {
                place_of(&p, t.at, window);
                sum += maas_ld(&c->in[0], i * p.narrow_n + t.at) /
                       maas_pool_divisor(&p, window, include);
            }
            maas_st(&c->out[0], i * p.wide_n + x, sum);
        }
    }
    return MAAS_OK;
}

static void average_gradient(maas_grad *g)
{
    const maas_vid in[2] = {g->dout[0], g->node->in[0]};
    g->din[0] = maas_b_node(g->b, "AveragePoolGrad", g->node->attr, g->node->n_attr, in, 2, NULL,
                            1);
}

/* ---- Lp norm: y = (sum |x|^p)^(1/p), dx = dy sign(x) (|x| / y)^(p-1) ---- */

static maas_status check_p(const maas_node *n, maas_err *err)
{
    return maas_attr_i(n, "p", 2) > 0 ? MAAS_OK
                                      : maas_fail(err, MAAS_E_INVALID, "p must be above 0");
}

static maas_status lp_infer(maas_infer *q, maas_err *err)
{
    MAAS_TRY(check_p(q->node, err));
    return pool_infer(q, err);
}

static maas_status lp_grad_infer(maas_infer *q, maas_err *err)
{
    const maas_type *dy = &q->in[0], *y = &q->in[2];
    int64_t ignored;
    MAAS_TRY(check_p(q->node, err));
    if (dy->rank >= 0 && y->rank >= 0 && dy->rank != y->rank)
        return maas_fail(err, MAAS_E_INVALID, "dY has rank %d, Y %d", dy->rank, y->rank);
    for (int i = 0; i < y->rank && dy->rank >= 0; i++)
        MAAS_TRY(maas_dim_same(dy->dims[i], y->dims[i], &ignored, "dY and Y", err));
    return maas_pool_grad_infer(q, err);
}

static maas_status lp_reference(const maas_call *c, maas_err *err)
{
    const double norm = (double)maas_attr_i(c->node, "p", 2);
    maas_pool p;
    MAAS_TRY(maas_pool_init(&p, c->node, &c->in[0], &c->out[0], err));
    for (int64_t i = 0; i < p.planes; i++) {
        int64_t place[MAAS_WINDOW_AXES] = {0};
        for (int64_t o = 0; o < p.narrow_n; o++, maas_place_next(place, p.narrow, p.w.n)) {
            double sum = 0;
            maas_taps t;
            for (maas_taps_init(&t, &p.w, p.wide, place); t.left; maas_taps_step(&t))
                sum += pow(fabs(maas_ld(&c->in[0], i * p.wide_n + t.at)), norm);
            maas_st(&c->out[0], i * p.narrow_n + o, pow(sum, 1 / norm));
        }
    }
    return MAAS_OK;
}

static maas_status lp_grad_reference(const maas_call *c, maas_err *err)
{
    const double norm = (double)maas_attr_i(c->node, "p", 2);
    maas_pool p;
    MAAS_TRY(maas_pool_init(&p, c->node, &c->in[1], &c->in[0], err));
    for (int64_t i = 0; i < p.planes; i++) {
        int64_t place[MAAS_WINDOW_AXES] = {0};
        for (int64_t k = 0; k < p.wide_n; k++, maas_place_next(place, p.wide, p.w.n)) {
            const double x = maas_ld(&c->in[1], i * p.wide_n + k);
            double sum = 0;
            maas_taps t;
            maas_taps_init_covering(&t, &p.w, p.narrow, place);
            for (; t.left && x != 0; maas_taps_step(&t))
                sum += maas_ld(&c->in[0], i * p.narrow_n + t.at) *
                       pow(fabs(x) / maas_ld(&c->in[2], i * p.narrow_n + t.at), norm - 1);
            maas_st(&c->out[0], i * p.wide_n + k, x < 0 ? -sum : sum);
        }
    }
    return MAAS_OK;
}

static void lp_gradient(maas_grad *g)
{
    const maas_vid in[3] = {g->dout[0], g->node->in[0], g->node->out[0]};
    g->din[0] = maas_b_node(g->b, "LpPoolGrad", g->node->attr, g->node->n_attr, in, 3, NULL, 1);
}

/* ---- examples ---- */

const maas_pool_case maas_pool_cases[MAAS_N_POOLS] = {
    {4, 0, 0, NULL, {2, 3, 5, 6}, {2, 2}, {2, 2}, {1, 1}, {0}},
    {4, 0, 1, NULL, {1, 2, 5, 6}, {3, 3}, {1, 2}, {1, 1}, {1, 1, 1, 1}},
    {4, 1, 0, NULL, {1, 2, 6, 5}, {3, 2}, {2, 2}, {1, 1}, {0, 1, 1, 0}},
    {4, 1, 1, NULL, {1, 2, 6, 5}, {3, 2}, {2, 2}, {1, 1}, {0, 1, 1, 0}},
    {3, 0, 0, "SAME_UPPER", {2, 2, 7}, {3}, {2}, {1}, {0}},
    {5, 0, 0, NULL, {1, 2, 4, 5, 3}, {2, 2, 2}, {1, 2, 1}, {2, 1, 1}, {1, 0, 0, 1, 1, 0}},
    {4, 0, 0, "SAME_LOWER", {1, 20, 5, 4}, {2, 3}, {1, 2}, {1, 1}, {0}},
    {4, 0, 0, NULL, {0, 3, 5, 6}, {2, 2}, {2, 2}, {1, 1}, {0}},
    {4, 0, 0, NULL, {2, 17, 9, 8}, {3, 3}, {2, 2}, {1, 1}, {1, 1, 0, 1}},
};

int maas_pool_attrs(int k, maas_attr a[5])
{
    const maas_pool_case *p = &maas_pool_cases[k];
    const int n = p->rank - 2;
    a[0] = MAAS_A_INTS("kernel_shape", p->kernel, n);
    a[1] = MAAS_A_INTS("strides", p->strides, n);
    a[2] = MAAS_A_INTS("dilations", p->dilations, n);
    a[3] = MAAS_A_INT("ceil_mode", p->ceil);
    a[4] = p->auto_pad ? MAAS_A_STR("auto_pad", p->auto_pad) : MAAS_A_INTS("pads", p->pads, 2 * n);
    return 5;
}

void maas_pool_example(maas_example *e, const char *op, const maas_attr *more, double lo, double hi,
                       uint32_t n_out)
{
    const maas_pool_case *p = &maas_pool_cases[e->variant / 2];
    const maas_vid x = maas_ex_in(e, maas_ex_float(e), lo, hi, p->rank, p->x);
    maas_attr a[6];
    maas_vid out[2];
    maas_pool_attrs(e->variant / 2, a);
    if (more)
        a[5] = *more;
    maas_b_node(e->b, op, a, more ? 6 : 5, &x, 1, out, n_out);
}

void maas_pool_grad_inputs(maas_example *e, maas_vid in[2])
{
    const maas_pool_case *p = &maas_pool_cases[e->variant / 2];
    const maas_type x = maas_type_tensor(maas_ex_float(e), p->rank, p->x);
    maas_attr a[5];
    const maas_node node = {.attr = a, .n_attr = (uint16_t)maas_pool_attrs(e->variant / 2, a)};
    const maas_infer q = {.node = &node};
    maas_type y;
    maas_pool_type(&q, &x, (maas_dtype)x.dtype, &y, NULL);
    in[0] = maas_ex_in(e, (maas_dtype)x.dtype, -1, 1, y.rank, y.dims);
    in[1] = maas_ex_in(e, (maas_dtype)x.dtype, -2, 2, x.rank, x.dims);
}

static void average_example(maas_example *e)
{
    const maas_attr a = MAAS_A_INT("count_include_pad", maas_pool_cases[e->variant / 2].include);
    maas_pool_example(e, "AveragePool", &a, -2, 2, 1);
}

static void average_grad_example(maas_example *e)
{
    maas_attr a[6];
    maas_vid in[2];
    maas_pool_attrs(e->variant / 2, a);
    a[5] = MAAS_A_INT("count_include_pad", maas_pool_cases[e->variant / 2].include);
    maas_pool_grad_inputs(e, in);
    maas_b_node(e->b, "AveragePoolGrad", a, 6, in, 2, NULL, 1);
}

static void lp_example(maas_example *e)
{
    const maas_attr p = MAAS_A_INT("p", 1 + e->variant / 2 % 3);
    maas_pool_example(e, "LpPool", &p, 0.5, 2, 1);
}

static void lp_grad_example(maas_example *e)
{
    maas_attr a[6];
    maas_vid in[3];
    maas_pool_attrs(e->variant / 2, a);
    a[5] = MAAS_A_INT("p", 1 + e->variant / 2 % 3);
    maas_pool_grad_inputs(e, in);
    const maas_type *y = maas_b_type(e->b, in[0]);
    in[2] = y ? maas_ex_in(e, (maas_dtype)y->dtype, 1, 2, y->rank, y->dims) : MAAS_NO_VALUE;
    maas_b_node(e->b, "LpPoolGrad", a, 6, in, 3, NULL, 1);
}

/* ---- rows ---- */

static const maas_io_schema in[] = {MAAS_REQ("X", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema out[] = {MAAS_REQ("Y", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema grad_in[] = {MAAS_REQ("dY", "T", MAAS_DTS_FLOAT),
                                         MAAS_REQ("X", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema lp_grad_in[] = {MAAS_REQ("dY", "T", MAAS_DTS_FLOAT),
                                            MAAS_REQ("X", "T", MAAS_DTS_FLOAT),
                                            MAAS_REQ("Y", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema grad_out[] = {MAAS_REQ("dX", "T", MAAS_DTS_FLOAT)};
static const maas_attr_schema average_attrs[] = {
    {"auto_pad", MAAS_ATTR_STRING, false},       {"ceil_mode", MAAS_ATTR_INT, false},
    {"count_include_pad", MAAS_ATTR_INT, false}, {"dilations", MAAS_ATTR_INTS, false},
    {"kernel_shape", MAAS_ATTR_INTS, true},      {"pads", MAAS_ATTR_INTS, false},
    {"strides", MAAS_ATTR_INTS, false}};
static const maas_attr_schema lp_attrs[] = {
    {"auto_pad", MAAS_ATTR_STRING, false}, {"ceil_mode", MAAS_ATTR_INT, false},
    {"dilations", MAAS_ATTR_INTS, false},  {"kernel_shape", MAAS_ATTR_INTS, true},
    {"p", MAAS_ATTR_INT, false},           {"pads", MAAS_ATTR_INTS, false},
    {"strides", MAAS_ATTR_INTS, false}};

const maas_op maas_op_AveragePool = {
    .domain = "",
    .name = "AveragePool",
    .since = 19,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(average_attrs),
    .n_examples = 2 * MAAS_N_POOLS,
    .tolerance = 1e-5,
    .infer = pool_infer,
    .reference = average_reference,
    .flops = maas_pool_flops,
    .example = average_example,
    .gradient = average_gradient,
};

const maas_op maas_op_AveragePoolGrad = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "AveragePoolGrad",
    .since = 1,
    MAAS_SCHEMA(grad_in, grad_out),
    MAAS_ATTRS(average_attrs),
    .n_examples = 2 * MAAS_N_POOLS,
    .tolerance = 1e-5,
    .infer = maas_pool_grad_infer,
    .reference = average_grad_reference,
    .flops = maas_pool_grad_flops,
    .example = average_grad_example,
    .no_gradient = MAAS_SECOND_ORDER,
};

const maas_op maas_op_LpPool = {
    .domain = "",
    .name = "LpPool",
    .since = 18,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(lp_attrs),
    .n_examples = 2 * MAAS_N_POOLS,
    .tolerance = 1e-5,
    .infer = lp_infer,
    .reference = lp_reference,
    .flops = maas_pool_flops,
    .example = lp_example,
    .gradient = lp_gradient,
};

const maas_op maas_op_LpPoolGrad = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "LpPoolGrad",
    .since = 1,
    MAAS_SCHEMA(lp_grad_in, grad_out),
    MAAS_ATTRS(lp_attrs),
    .n_examples = 2 * MAAS_N_POOLS,
    .tolerance = 1e-5,
    .infer = lp_grad_infer,
    .reference = lp_grad_reference,
    .flops = maas_pool_grad_flops,
    .example = lp_grad_example,
    .no_gradient = MAAS_SECOND_ORDER,
};
