/*
 * LayerNormalization over the axes from `axis` on: y = (x - mean) / sqrt(var + epsilon) * scale +
 * bias. Outputs 1 and 2, if wanted, are mean and 1 / deviation. Its gradient is a chain of plain
 * nodes.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

static maas_status check_operand(const maas_type *x, const maas_type *w, maas_err *err)
{
    maas_type t;
    if (x->rank < 0 || w->rank < 0)
        return MAAS_OK;
    MAAS_TRY(maas_type_broadcast(x, w, &t, err));
    for (int i = 0; i < t.rank; i++)
        if (t.rank != x->rank || (x->dims[i] >= 0 && t.dims[i] > x->dims[i]))
            return maas_fail(err, MAAS_E_INVALID, "Scale and B may not be larger than X");
    return MAAS_OK;
}

static maas_status layer_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    int axis;
    const int64_t stash = maas_attr_i(q->node, "stash_type", MAAS_F32);
    if (stash != MAAS_F32 && stash != MAAS_BF16)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "stash_type %lld is not supported",
                         (long long)stash);
    /* Statistics have the precision of the data where that is more. */
    const maas_dtype t = x->dtype == MAAS_F64 ? MAAS_F64 : (maas_dtype)stash;
    q->out[0] = *x;
    for (int k = 1; k < 3; k++)
        maas_q_unranked(q, k, t);
    if (x->rank < 0)
        return MAAS_OK;
    MAAS_TRY(maas_axis(maas_attr_i(q->node, "axis", -1), x->rank, &axis, err));
    MAAS_TRY(check_operand(x, &q->in[1], err));
    if (maas_q_has(q, 2))
        MAAS_TRY(check_operand(x, &q->in[2], err));
    maas_type s = *x;
    for (int i = axis; i < s.rank; i++)
        s.dims[i] = 1;
    for (int k = 1; k < 3; k++)
        maas_q_out(q, k, t, s.rank, s.dims);
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

/* Scale and bias broadcast to x: a second walk over y applies them. */
static void apply(const maas_call *c)
{
    const maas_tensor *bias = maas_c_in(c, 2), *y = &c->out[0];
    const maas_tensor operands[2] = {c->in[1], bias ? *bias : (maas_tensor){.dtype = MAAS_F32}};
    maas_bcast b;
    maas_bcast_init(&b, y, operands, 2);
    while (maas_bcast_row(&b))
        for (int64_t i = 0; i < b.inner; i++) {
            int64_t iy = b.row * b.inner + i;
            double v = maas_ld(y, iy) * maas_ld(&operands[0], b.at[0] + i * b.step[0]);
            maas_st(y, iy, bias ? v + maas_ld(bias, b.at[1] + i * b.step[1]) : v);
        }
}

static maas_status layer_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *mean = maas_c_out(c, 1), *inverse = maas_c_out(c, 2);
    const double epsilon = maas_attr_f(c->node, "epsilon", 1e-5f);
    int64_t axis = maas_attr_i(c->node, "axis", -1);
    axis = axis < 0 ? axis + x->rank : axis;
    const int64_t n = maas_dims_product(x->dims, (int)axis, x->rank);
    const int64_t rows = maas_dims_product(x->dims, 0, (int)axis);
    for (int64_t r = 0; r < rows; r++) {
        const moments m = moments_of(x, r * n, n, epsilon);
        for (int64_t i = r * n; i < (r + 1) * n; i++)
            maas_st(&c->out[0], i, (maas_ld(x, i) - m.mean) * m.inverse);
        if (mean)
            maas_st(mean, r, m.mean);
        if (inverse)
            maas_st(inverse, r, m.inverse);
    }
    apply(c);
    return MAAS_OK;
}

static int64_t layer_flops(const maas_call *c)
{
    return 8 * maas_n_elems(&c->in[0]);
}

static maas_vid mean_over(maas_builder *b, maas_vid v, maas_vid axes)
{
    return maas_b_op2(b, "ReduceMean", v, axes);
}

/* With h = (x - mean) inverse and d = dy scale: dx = inverse (d - mean(d) - h mean(d h)). */
static void layer_gradient(maas_grad *g)
{
    maas_builder *b = g->b;
    const maas_node *n = g->node;
    const maas_vid x = n->in[0], scale = n->in[1], dy = g->dout[0];
    const maas_type *t = maas_b_type(b, x);
    int64_t list[MAAS_MAX_RANK];
    int count = 0;
    bool others = dy == MAAS_NO_VALUE;
    for (int k = 1; k < n->n_out; k++)
        others |= g->dout[k] != MAAS_NO_VALUE;
    if (!t)
        return;
    if (t->rank < 0 || others) {
        b->status = maas_fail(b->err, MAAS_E_UNSUPPORTED,
                              "LayerNormalization has a gradient for its "
                              "first output, of known rank");
        return;
    }
    int64_t axis = maas_attr_i(n, "axis", -1);
    for (axis = axis < 0 ? axis + t->rank : axis; axis < t->rank; axis++)
        list[count++] = axis;
    const maas_vid axes = maas_b_i64s(b, list, count);
    maas_vid centred = MAAS_B_SUB(b, x, mean_over(b, x, axes));
    maas_vid var = mean_over(b, MAAS_B_MUL(b, centred, centred), axes);
    var = MAAS_B_ADD(b, var, maas_b_like(b, x, maas_attr_f(n, "epsilon", 1e-5f)));
    maas_vid inverse = maas_b_op1(b, "Reciprocal", maas_b_op1(b, "Sqrt", var));
    maas_vid h = MAAS_B_MUL(b, centred, inverse);
    if (g->want[0]) {
        maas_vid d = MAAS_B_MUL(b, dy, scale);
        maas_vid dh = MAAS_B_MUL(b, h, mean_over(b, MAAS_B_MUL(b, d, h), axes));
        d = MAAS_B_SUB(b, MAAS_B_SUB(b, d, mean_over(b, d, axes)), dh);
        g->din[0] = MAAS_B_MUL(b, d, inverse);
    }
    if (g->want[1])
        g->din[1] = maas_b_reduce_to(b, MAAS_B_MUL(b, dy, h), scale);
    if (MAAS_WANT(g, 2))
        g->din[2] = maas_b_reduce_to(b, dy, n->in[2]);
}

static void layer_example(maas_example *e)
{
    static const struct {
        int axis, rank;
        int64_t scale[3];
        bool bias;
    } cases[] = {{-1, 1, {4}, true}, {1, 2, {3, 4}, false}, {2, 1, {1}, true}};
    const int k = e->variant / 2;
    maas_dtype t = maas_ex_float(e);
    const maas_attr axis = MAAS_A_INT("axis", cases[k].axis);
    maas_vid out[3], in[3] = {maas_ex_in(e, t, -2, 2, MAAS_DIMS(2, 3, 4)),
                              maas_ex_in(e, t, 0.5, 2, cases[k].rank, cases[k].scale)};
    if (cases[k].bias)
        in[2] = maas_ex_in(e, t, -1, 1, cases[k].rank, cases[k].scale);
    maas_b_node(e->b, "LayerNormalization", &axis, 1, in, cases[k].bias ? 3 : 2, out,
                e->variant & 1 ? 1 : 3);
}

static const maas_io_schema in[] = {MAAS_REQ("X", "T", MAAS_DTS_FLOAT),
                                    MAAS_REQ("Scale", "T", MAAS_DTS_FLOAT),
                                    MAAS_OPT("B", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema out[] = {MAAS_REQ("Y", "T", MAAS_DTS_FLOAT),
                                     MAAS_OPT("Mean", NULL, MAAS_DTS_FLOAT),
                                     MAAS_OPT("InvStdDev", NULL, MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {{"axis", MAAS_ATTR_INT, false},
                                         {"epsilon", MAAS_ATTR_FLOAT, false},
                                         {"stash_type", MAAS_ATTR_INT, false}};

const maas_op maas_op_LayerNormalization = {
    .domain = "",
    .name = "LayerNormalization",
    .since = 17,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 6,
    .tolerance = 1e-4,
    .infer = layer_infer,
    .reference = layer_reference,
    .flops = layer_flops,
    .example = layer_example,
    .gradient = layer_gradient,
};
