/*
 * DeformConv - convolution whose points are moved: the input under weight k of output place o is
 * read at o * stride - pad + k * dilation + offset, linearly between elements, zero outside.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

#define MAX_SPATIAL (MAAS_MAX_RANK - 2)

typedef struct axis {
    int64_t in, out, kernel, stride, pad, dilation;
} axis;

typedef struct plan {
    int n; /* spatial axes */
    int64_t group, offset_group;
    axis a[MAX_SPATIAL];
} plan;

static maas_status entry(const maas_node *n, const char *name, int i, int of, int64_t least,
                         int64_t value, int64_t *out, maas_err *err)
{
    uint32_t count;
    const int64_t *v = maas_attr_ints(n, name, &count);
    *out = value;
    if (!v)
        return MAAS_OK;
    if (count != (uint32_t)of)
        return maas_fail(err, MAAS_E_INVALID, "%s must have %d entries", name, of);
    *out = v[i];
    if (v[i] < least || v[i] > INT32_MAX)
        return maas_fail(err, MAAS_E_INVALID, "%s: %lld is out of range", name, (long long)v[i]);
    return MAAS_OK;
}

/* Sizes below 0 are not known yet. */
static maas_status axis_of(const maas_node *node, int i, int n, int64_t in, int64_t kernel, axis *a,
                           maas_err *err)
{
    int64_t end, said;
    *a = (axis){.in = in, .kernel = kernel, .out = MAAS_DIM_UNKNOWN};
    MAAS_TRY(entry(node, "strides", i, n, 1, 1, &a->stride, err));
    MAAS_TRY(entry(node, "dilations", i, n, 1, 1, &a->dilation, err));
    MAAS_TRY(entry(node, "pads", i, 2 * n, 0, 0, &a->pad, err));
    MAAS_TRY(entry(node, "pads", i + n, 2 * n, 0, 0, &end, err));
    MAAS_TRY(entry(node, "kernel_shape", i, n, 1, kernel, &said, err));
    if (kernel >= 0 && (kernel == 0 || kernel > INT32_MAX || said != kernel))
        return maas_fail(err, MAAS_E_INVALID, "axis %d of the kernel has %lld elements", i,
                         (long long)kernel);
    if (in < 0 || kernel < 0)
        return MAAS_OK;
    const int64_t room = in + a->pad + end - (a->dilation * (kernel - 1) + 1);
    if (room < 0)
        return maas_fail(err, MAAS_E_INVALID, "the kernel does not fit axis %d", i);
    a->out = room / a->stride + 1;
    return MAAS_OK;
}

static maas_status plan_of(const maas_node *node, const int64_t *x, const int64_t *w, int rank,
                           plan *p, maas_err *err)
{
    *p = (plan){.n = rank - 2,
                .group = maas_attr_i(node, "group", 1),
                .offset_group = maas_attr_i(node, "offset_group", 1)};
    if (p->group < 1 || p->offset_group < 1)
        return maas_fail(err, MAAS_E_INVALID, "group and offset_group must be positive");
    int64_t per;
    if (w[1] >= 0 && (__builtin_mul_overflow(w[1], p->group, &per) || (x[1] >= 0 && per != x[1])))
        return maas_fail(err, MAAS_E_INVALID,
                         "X has %lld channels, the weights %lld for %lld "
                         "groups",
                         (long long)x[1], (long long)w[1], (long long)p->group);
    if ((w[0] >= 0 && w[0] % p->group) || (x[1] >= 0 && x[1] % p->group) ||
        (x[1] >= 0 && x[1] % p->offset_group))
        return maas_fail(err, MAAS_E_INVALID, "channels are not divisible by the groups");
    for (int i = 0; i < p->n; i++)
        MAAS_TRY(axis_of(node, i, p->n, x[i + 2], w[i + 2], &p->a[i], err));
    return MAAS_OK;
}

/* offset has n numbers for each weight of each group, mask one. */
static maas_status check_field(const maas_type *t, const plan *p, int64_t per, int64_t *dims,
                               const char *what, maas_err *err)
{
    int64_t n = p->offset_group;
    bool known = true, over = __builtin_mul_overflow(n, per, &n);
    int64_t ignored;
    if (t->rank < 0)
        return MAAS_OK;
    if (t->rank != p->n + 2)
        return maas_fail(err, MAAS_E_INVALID, "%s has rank %d, X %d", what, t->rank, p->n + 2);
    for (int i = 0; i < p->n; i++) {
        known = known && p->a[i].kernel >= 0;
        over = over || (known && __builtin_mul_overflow(n, p->a[i].kernel, &n));
        MAAS_TRY(maas_dim_same(t->dims[i + 2], dims[i + 2], &dims[i + 2], what, err));
    }
    if (over)
        return maas_fail(err, MAAS_E_INVALID, "%s has too many elements", what);
    if (known)
        MAAS_TRY(maas_dim_same(t->dims[1], n, &ignored, what, err));
    return maas_dim_same(t->dims[0], dims[0], &dims[0], what, err);
}

static maas_status deform_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0], *w = &q->in[1];
    int64_t dims[MAAS_MAX_RANK], ignored;
    plan p;
    maas_q_unranked(q, 0, (maas_dtype)x->dtype);
    if (x->rank < 0 || w->rank < 0)
        return MAAS_OK;
    if (x->rank < 3 || w->rank != x->rank)
        return maas_fail(err, MAAS_E_INVALID,
                         "X has rank %d and W %d; both must have the same, of "
                         "at least 3",
                         x->rank, w->rank);
    MAAS_TRY(plan_of(q->node, x->dims, w->dims, x->rank, &p, err));
    dims[0] = x->dims[0];
    dims[1] = w->dims[0];
    for (int i = 0; i < p.n; i++)
        dims[i + 2] = p.a[i].out;
    MAAS_TRY(check_field(&q->in[2], &p, p.n, dims, "offset", err));
    if (maas_q_has(q, 4))
        MAAS_TRY(check_field(&q->in[4], &p, 1, dims, "mask", err));
    if (maas_q_has(q, 3) && q->in[3].rank >= 0) {
        if (q->in[3].rank != 1)
            return maas_fail(err, MAAS_E_INVALID, "B has rank %d, not 1", q->in[3].rank);
        MAAS_TRY(maas_dim_same(q->in[3].dims[0], w->dims[0], &ignored, "bias and weights", err));
    }
    maas_q_out(q, 0, (maas_dtype)x->dtype, x->rank, dims);
    return MAAS_OK;
}

/* ---- reference code ---- */

/* The plane of x that begins at `plane`, read at a place between elements; zero outside. */
static double read_between(const plan *p, const maas_tensor *x, int64_t plane, const double *at)
{
    double sum = 0;
    for (int corner = 0; corner < 1 << p->n; corner++) {
        double weight = 1;
        int64_t from = 0;
        for (int i = 0; i < p->n; i++) {
            const double low = floor(at[i]), upper = corner >> i & 1;
            const double place = low + upper;
            weight *= upper != 0 ? at[i] - low : 1 - (at[i] - low);
            if (!(place >= 0) || !(place < (double)p->a[i].in)) {
                weight = 0;
                break;
            }
            from = from * p->a[i].in + (int64_t)place;
        }
        sum += weight != 0 ? weight * maas_ld(x, plane + from) : 0;
    }
    return sum;
}

/* Where weight k of the kernel, moved by its offsets, reads; k is one number, and so is o. */
static void place_of(const plan *p, const maas_tensor *offset, int64_t first, int64_t step,
                     int64_t k, int64_t o, double *at)
{
    int64_t rest_k = k, rest_o = o;
    for (int i = p->n - 1; i >= 0; i--) {
        const axis *a = &p->a[i];
        at[i] = (double)(rest_o % a->out * a->stride - a->pad + rest_k % a->kernel * a->dilation) +
                maas_ld(offset, first + i * step);
        rest_o /= a->out;
        rest_k /= a->kernel;
    }
}

typedef struct sizes {
    int64_t x_channels, per_group, w_out, kernel, in, out;
} sizes;

static double value_at(const maas_call *c, const plan *p, const sizes *z, int64_t image, int64_t oc,
                       int64_t o)
{
    const maas_tensor *mask = maas_c_in(c, 4), *bias = maas_c_in(c, 3);
    const int64_t first = oc / (z->w_out / p->group) * z->per_group;
    double sum = bias ? maas_ld(bias, oc) : 0;
    for (int64_t i = 0; i < z->per_group; i++) {
        const int64_t ic = first + i, og = ic / (z->x_channels / p->offset_group);
        for (int64_t k = 0; k < z->kernel; k++) {
            const int64_t row = (image * p->offset_group + og) * z->kernel + k;
            double at[MAX_SPATIAL];
            place_of(p, &c->in[2], row * p->n * z->out + o, z->out, k, o, at);
            double v = read_between(p, &c->in[0], (image * z->x_channels + ic) * z->in, at) *
                       maas_ld(&c->in[1], (oc * z->per_group + i) * z->kernel + k);
            sum += mask ? v * maas_ld(mask, row * z->out + o) : v;
        }
    }
    return sum;
}

static maas_status deform_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *w = &c->in[1], *y = &c->out[0];
    plan p;
    MAAS_TRY(plan_of(c->node, x->dims, w->dims, x->rank, &p, err));
    const sizes z = {x->dims[1],
                     w->dims[1],
                     w->dims[0],
                     maas_dims_product(w->dims, 2, w->rank),
                     maas_dims_product(x->dims, 2, x->rank),
                     maas_dims_product(y->dims, 2, y->rank)};
    for (int64_t i = 0, n = maas_n_elems(y); i < n; i++) {
        const int64_t plane = i / z.out;
        maas_st(y, i, value_at(c, &p, &z, plane / z.w_out, plane % z.w_out, i % z.out));
    }
    return MAAS_OK;
}

static int64_t deform_flops(const maas_call *c)
{
    const maas_tensor *w = &c->in[1];
    return 8 * maas_n_elems(&c->out[0]) * maas_dims_product(w->dims, 1, w->rank);
}

static void deform_example(maas_example *e)
{
    static const int64_t pads[] = {1, 0, 1, 0}, strides[] = {1, 2}, dilations[] = {2, 1};
    const int k = e->variant / 2, batch = k == 3 ? 0 : 2;
    const maas_dtype t = maas_ex_float(e);
    if (k == 2) {
        const maas_vid in[3] = {maas_ex_in(e, t, -1, 1, MAAS_DIMS(1, 1, 3, 4, 5)),
                                maas_ex_in(e, t, -1, 1, MAAS_DIMS(2, 1, 2, 2, 2)),
                                maas_ex_in(e, t, -1, 1, MAAS_DIMS(1, 24, 2, 3, 4))};
        maas_b_node(e->b, "DeformConv", NULL, 0, in, 3, NULL, 1);
        return;
    }
    const maas_attr a[] = {MAAS_A_INTS("pads", pads, 4), MAAS_A_INTS("strides", strides, 2),
                           MAAS_A_INTS("dilations", dilations, 2), MAAS_A_INT("group", 2),
                           MAAS_A_INT("offset_group", k == 1 ? 2 : 1)};
    const int og = k == 1 ? 2 : 1;
    /* rows: (6 + 2 - 5) / 1 + 1, columns: (7 - 3) / 2 + 1 */
    const maas_vid in[5] = {maas_ex_in(e, t, -1, 1, MAAS_DIMS(batch, 4, 6, 7)),
                            maas_ex_in(e, t, -1, 1, MAAS_DIMS(6, 2, 3, 3)),
                            maas_ex_in(e, t, -2, 2, MAAS_DIMS(batch, og * 18, 4, 3)),
                            maas_ex_in(e, t, -1, 1, MAAS_DIMS(6)),
                            maas_ex_in(e, t, 0, 1, MAAS_DIMS(batch, og * 9, 4, 3))};
    maas_b_node(e->b, "DeformConv", a, MAAS_COUNT(a), in, 5, NULL, 1);
}

static const maas_io_schema in[] = {
    MAAS_REQ("X", "T", MAAS_DTS_FLOAT), MAAS_REQ("W", "T", MAAS_DTS_FLOAT),
    MAAS_REQ("offset", "T", MAAS_DTS_FLOAT), MAAS_OPT("B", "T", MAAS_DTS_FLOAT),
    MAAS_OPT("mask", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema out[] = {MAAS_REQ("Y", "T", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {
    {"dilations", MAAS_ATTR_INTS, false},    {"group", MAAS_ATTR_INT, false},
    {"kernel_shape", MAAS_ATTR_INTS, false}, {"offset_group", MAAS_ATTR_INT, false},
    {"pads", MAAS_ATTR_INTS, false},         {"strides", MAAS_ATTR_INTS, false}};

const maas_op maas_op_DeformConv = {
    .domain = "",
    .name = "DeformConv",
    .since = 19,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 8,
    .tolerance = 1e-5,
    .infer = deform_infer,
    .reference = deform_reference,
    .flops = deform_flops,
    .example = deform_example,
    .no_gradient = "backward of sampling at computed places is not written",
};
