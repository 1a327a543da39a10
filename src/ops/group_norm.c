/*
 * GroupNormalization and InstanceNormalization over x [N][C][d..]: the channels of a row are cut
 * into groups (one for each channel in InstanceNormalization), every group is brought to mean 0 and
 * deviation 1, and every channel is scaled and moved: y = scale (x - mean) / sqrt(var + epsilon) +
 * bias. Gradients are chains of plain nodes.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

extern const maas_op maas_op_InstanceNormalization;

static bool by_channel(const maas_node *n)
{
    return n->op == &maas_op_InstanceNormalization;
}

static maas_status check_channels(const maas_type *v, const char *name, int64_t *channels,
                                  maas_err *err)
{
    if (v->rank < 0)
        return MAAS_OK;
    if (v->rank != 1)
        return maas_fail(err, MAAS_E_INVALID, "'%s' must be a vector, one for each channel", name);
    return maas_dim_same(*channels, v->dims[0], channels, "channels", err);
}

static maas_status check_groups(const maas_node *n, int64_t channels, maas_err *err)
{
    const int64_t groups = maas_attr_i(n, "num_groups", 1);
    const int64_t stash = maas_attr_i(n, "stash_type", MAAS_F32);
    if (stash != MAAS_F32 && stash != MAAS_BF16 && stash != MAAS_F16 && stash != MAAS_F64)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "stash_type %lld is not supported",
                         (long long)stash);
    if (groups < 1 || (channels >= 0 && channels % groups))
        return maas_fail(err, MAAS_E_INVALID, "%lld channels cannot be cut into %lld groups",
                         (long long)channels, (long long)groups);
    return MAAS_OK;
}

static maas_status norm_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    int64_t channels = MAAS_DIM_UNKNOWN;
    if (x->rank >= 0 && x->rank < 2)
        return maas_fail(err, MAAS_E_INVALID, "the data has rank %d, must be [N,C,..]", x->rank);
    if (x->rank >= 2)
        channels = x->dims[1];
    for (int i = 1; i < 3; i++)
        MAAS_TRY(check_channels(&q->in[i], q->node->op->in[i].name, &channels, err));
    if (!by_channel(q->node))
        MAAS_TRY(check_groups(q->node, channels, err));
    q->out[0] = *x;
    return MAAS_OK;
}

typedef struct moments {
    double mean, inverse; /* of the deviation */
} moments;

static moments moments_of(const maas_tensor *x, int64_t from, int64_t n, double epsilon)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++)
        sum += maas_ld(x, from + i);
    const double mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += (maas_ld(x, from + i) - mean) * (maas_ld(x, from + i) - mean);
    return (moments){mean, 1 / sqrt(squares / (double)n + epsilon)};
}

static maas_status norm_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    const double epsilon = maas_attr_f(c->node, "epsilon", 1e-5f);
    const int64_t channels = x->dims[1], inner = maas_dims_product(x->dims, 2, x->rank);
    const int64_t groups = by_channel(c->node) ? channels : maas_attr_i(c->node, "num_groups", 1);
    if (!maas_n_elems(x))
        return MAAS_OK;
    const int64_t n = channels / groups * inner;
    for (int64_t k = 0; k < x->dims[0] * groups; k++) {
        const moments m = moments_of(x, k * n, n, epsilon);
        for (int64_t i = k * n; i < (k + 1) * n; i++) {
            const int64_t ch = i / inner % channels;
            maas_st(&c->out[0], i,
                    (maas_ld(x, i) - m.mean) * m.inverse * maas_ld(&c->in[1], ch) +
                        maas_ld(&c->in[2], ch));
        }
    }
    return MAAS_OK;
}

static int64_t norm_flops(const maas_call *c)
{
    return 8 * maas_n_elems(&c->in[0]);
}

/* ---- gradient ---- */

typedef struct chain {
    maas_builder *b;
    maas_vid x, last;     /* the data; the axis of rows that are one group each */
    int64_t groups, each; /* elements of a group; -1: not known */
    int rank;
} chain;

/* [N][groups][what is in one] and back. */
static maas_vid grouped(const chain *k, maas_vid v)
{
    const int64_t to[] = {0, k->groups, k->each};
    return maas_b_op2(k->b, "Reshape", v, maas_b_i64s(k->b, to, 3));
}

static maas_vid mean_of(const chain *k, maas_vid v)
{
    return maas_b_op2(k->b, "ReduceMean", v, k->last);
}

/* A vector of channels, so that it broadcasts to the data. */
static maas_vid per_channel(const chain *k, maas_vid v)
{
    int64_t to[MAAS_MAX_RANK] = {-1};
    for (int i = 1; i < k->rank - 1; i++)
        to[i] = 1;
    return maas_b_op2(k->b, "Reshape", v, maas_b_i64s(k->b, to, k->rank - 1));
}

static maas_vid over_channels(const chain *k, maas_vid v)
{
    int64_t axes[MAAS_MAX_RANK] = {0};
    for (int i = 2; i < k->rank; i++)
        axes[i - 1] = i;
    const maas_vid in[2] = {v, maas_b_i64s(k->b, axes, k->rank - 1)};
    const maas_attr a = MAAS_A_INT("keepdims", 0);
    return maas_b_node(k->b, "ReduceSum", &a, 1, in, 2, NULL, 1);
}

/* With h = (x - mean) inverse and d = dy scale: dx = inverse (d - mean(d) - h mean(d h)). */
static void backward(maas_grad *g, const chain *k)
{
    maas_builder *b = k->b;
    const maas_vid dy = g->dout[0], x3 = grouped(k, k->x);
    maas_vid centred = MAAS_B_SUB(b, x3, mean_of(k, x3));
    maas_vid var = mean_of(k, MAAS_B_MUL(b, centred, centred));
    var = MAAS_B_ADD(b, var, maas_b_like(b, k->x, maas_attr_f(g->node, "epsilon", 1e-5f)));
    maas_vid inverse = maas_b_op1(b, "Reciprocal", maas_b_op1(b, "Sqrt", var));
    maas_vid h = MAAS_B_MUL(b, centred, inverse);
    if (g->want[0]) {
        maas_vid d = grouped(k, MAAS_B_MUL(b, dy, per_channel(k, g->node->in[1])));
        maas_vid dh = MAAS_B_MUL(b, h, mean_of(k, MAAS_B_MUL(b, d, h)));
        d = MAAS_B_SUB(b, MAAS_B_SUB(b, d, mean_of(k, d)), dh);
        g->din[0] = maas_b_shaped_like(b, MAAS_B_MUL(b, d, inverse), k->x);
    }
    if (g->want[1])
        g->din[1] = over_channels(k, MAAS_B_MUL(b, dy, maas_b_shaped_like(b, h, k->x)));
    if (g->want[2])
        g->din[2] = over_channels(k, dy);
}

static void norm_gradient(maas_grad *g)
{
    const int64_t two = 2;
    const maas_type *t = maas_b_type(g->b, g->node->in[0]);
    if (!t)
        return;
    const bool each = by_channel(g->node);
    if (t->rank < 0 || (each && t->dims[1] < 0)) {
        g->b->status = maas_fail(g->b->err, MAAS_E_UNSUPPORTED,
                                 "the gradient of %s needs data of known rank and channels",
                                 g->node->op->name);
        return;
    }
    const int64_t groups = each ? t->dims[1] : maas_attr_i(g->node, "num_groups", 1);
    const int64_t n = maas_dim_product(t->dims, 1, t->rank);
    const chain k = {.b = g->b,
                     .x = g->node->in[0],
                     .last = maas_b_i64s(g->b, &two, 1),
                     .groups = groups,
                     .each = n >= 0 && groups ? n / groups : -1,
                     .rank = t->rank};
    backward(g, &k);
}

/* ---- examples and rows ---- */

#define N_CASES 4
static void example_of(maas_example *e, const char *op)
{
    static const struct {
        int rank, groups;
        int64_t dims[4];
    } cases[N_CASES] = {
        {4, 2, {2, 4, 3, 2}}, {3, 3, {1, 3, 5}}, {3, 1, {2, 6, 9}}, {4, 2, {0, 4, 2, 2}}};
    const int k = e->variant / 2;
    const maas_dtype t = maas_ex_float(e);
    const maas_attr a[2] = {MAAS_A_FLOAT("epsilon", 1e-3f),
                            MAAS_A_INT("num_groups", cases[k].groups)};
    const maas_vid in[3] = {maas_ex_in(e, t, -2, 2, cases[k].rank, cases[k].dims),
                            maas_ex_in(e, t, 0.5, 2, 1, &cases[k].dims[1]),
                            maas_ex_in(e, t, -1, 1, 1, &cases[k].dims[1])};
    maas_b_node(e->b, op, a, op[0] == 'G' ? 2 : 1, in, 3, NULL, 1);
}

static void group_example(maas_example *e)
{
    example_of(e, "GroupNormalization");
}

static void instance_example(maas_example *e)
{
    example_of(e, "InstanceNormalization");
}

static const maas_io_schema group_in[] = {MAAS_REQ("X", "T", MAAS_DTS_FLOAT),
                                          MAAS_REQ("scale", "T", MAAS_DTS_FLOAT),
                                          MAAS_REQ("bias", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema group_out[] = {MAAS_REQ("Y", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema instance_in[] = {MAAS_REQ("input", "T", MAAS_DTS_FLOAT),
                                             MAAS_REQ("scale", "T", MAAS_DTS_FLOAT),
                                             MAAS_REQ("B", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema instance_out[] = {MAAS_REQ("output", "T", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {{"epsilon", MAAS_ATTR_FLOAT, false},
                                         {"num_groups", MAAS_ATTR_INT, true},
                                         {"stash_type", MAAS_ATTR_INT, false}};

const maas_op maas_op_GroupNormalization = {
    .domain = "",
    .name = "GroupNormalization",
    .since = 21,
    MAAS_SCHEMA(group_in, group_out),
    MAAS_ATTRS(attrs),
    .n_examples = 2 * N_CASES,
    .tolerance = 1e-4,
    .infer = norm_infer,
    .reference = norm_reference,
    .flops = norm_flops,
    .example = group_example,
    .gradient = norm_gradient,
};

const maas_op maas_op_InstanceNormalization = {
    .domain = "",
    .name = "InstanceNormalization",
    .since = 6,
    MAAS_SCHEMA(instance_in, instance_out),
    .attr = attrs,
    .n_attr = 1,
    .n_examples = 2 * N_CASES,
    .tolerance = 1e-4,
    .infer = norm_infer,
    .reference = norm_reference,
    .flops = norm_flops,
    .example = instance_example,
    .gradient = norm_gradient,
};
