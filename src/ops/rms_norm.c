/*
 * RMSNormalization over the axes from `axis` on: y = x / sqrt(mean(x^2) + epsilon) * scale. Its
 * gradient is a chain of plain nodes.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

static maas_status rms_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0], *scale = &q->in[1];
    const int64_t stash = maas_attr_i(q->node, "stash_type", MAAS_F32);
    maas_type t;
    int axis;
    if (stash != MAAS_F32 && stash != MAAS_BF16 && stash != MAAS_F16 && stash != MAAS_F64)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "stash_type %lld is not supported",
                         (long long)stash);
    q->out[0] = *x;
    q->out[0].dtype = scale->dtype;
    if (x->rank < 0)
        return MAAS_OK;
    MAAS_TRY(maas_axis(maas_attr_i(q->node, "axis", -1), x->rank, &axis, err));
    MAAS_TRY(maas_type_broadcast(x, scale, &t, err));
    for (int i = 0; i < t.rank; i++)
        if (t.rank != x->rank || (x->dims[i] >= 0 && t.dims[i] > x->dims[i]))
            return maas_fail(err, MAAS_E_INVALID, "scale may not be larger than X");
    return MAAS_OK;
}

static maas_status rms_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    const double epsilon = maas_attr_f(c->node, "epsilon", 1e-5f);
    int64_t axis = maas_attr_i(c->node, "axis", -1);
    axis = axis < 0 ? axis + x->rank : axis;
    const int64_t n = maas_dims_product(x->dims, (int)axis, x->rank);
    double inverse = 0;
    maas_bcast b;
    maas_bcast_init(&b, y, &c->in[1], 1);
    while (maas_bcast_row(&b))
        for (int64_t i = 0; i < b.inner; i++) {
            const int64_t at = b.row * b.inner + i;
            if (at % n == 0) {
                double squares = 0;
                for (int64_t k = at; k < at + n; k++)
                    squares += maas_ld(x, k) * maas_ld(x, k);
                inverse = 1 / sqrt(squares / (double)n + epsilon);
            }
            maas_st(y, at, maas_ld(x, at) * inverse * maas_ld(&c->in[1], b.at[0] + i * b.step[0]));
        }
    return MAAS_OK;
}

static int64_t rms_flops(const maas_call *c)
{
    return 5 * maas_n_elems(&c->in[0]);
}

/* With r = 1 / sqrt(mean(x^2) + epsilon), h = x r and d = dy scale: dx = r (d - h mean(d h)). */
static void rms_gradient(maas_grad *g)
{
    maas_builder *b = g->b;
    const maas_vid x = g->node->in[0], scale = g->node->in[1], dy = g->dout[0];
    const maas_type *t = maas_b_type(b, x), *ts = maas_b_type(b, scale);
    int64_t list[MAAS_MAX_RANK];
    int n = 0;
    if (!t || !ts)
        return;
    if (t->rank < 0 || t->dtype != ts->dtype) {
        b->status = maas_fail(b->err, MAAS_E_UNSUPPORTED,
                              "the gradient of RMSNormalization needs data of known rank and the "
                              "type of its scale");
        return;
    }
    int64_t axis = maas_attr_i(g->node, "axis", -1);
    for (axis = axis < 0 ? axis + t->rank : axis; axis < t->rank; axis++)
        list[n++] = axis;
    const maas_vid axes = maas_b_i64s(b, list, n);
    maas_vid squares = maas_b_op2(b, "ReduceMean", MAAS_B_MUL(b, x, x), axes);
    squares = MAAS_B_ADD(b, squares, maas_b_like(b, x, maas_attr_f(g->node, "epsilon", 1e-5f)));
    const maas_vid r = maas_b_op1(b, "Reciprocal", maas_b_op1(b, "Sqrt", squares));
    const maas_vid h = MAAS_B_MUL(b, x, r);
    if (g->want[0]) {
        maas_vid d = MAAS_B_MUL(b, dy, scale);
        maas_vid m = maas_b_op2(b, "ReduceMean", MAAS_B_MUL(b, d, h), axes);
        g->din[0] = MAAS_B_MUL(b, MAAS_B_SUB(b, d, MAAS_B_MUL(b, h, m)), r);
    }
    if (g->want[1])
        g->din[1] = maas_b_reduce_to(b, MAAS_B_MUL(b, dy, h), scale);
}

static void rms_example(maas_example *e)
{
    static const struct {
        int axis, rank;
        int64_t x[3], scale[3];
    } cases[] = {{-1, 1, {2, 3, 4}, {4}},
                 {1, 2, {2, 3, 4}, {3, 4}},
                 {2, 1, {2, 3, 4}, {1}},
                 {0, 3, {2, 1, 19}, {2, 1, 1}},
                 {-1, 1, {3, 0, 5}, {5}}};
    const int k = e->variant / 2;
    const maas_dtype t = maas_ex_float(e);
    const maas_attr axis = MAAS_A_INT("axis", cases[k].axis);
    const maas_vid x = maas_ex_in(e, t, -2, 2, 3, cases[k].x);
    maas_b_attr1(e->b, "RMSNormalization", axis, x,
                 maas_ex_in(e, t, 0.5, 2, cases[k].rank, cases[k].scale));
}

static const maas_io_schema in[] = {MAAS_REQ("X", "T", MAAS_DTS_FLOAT),
                                    MAAS_REQ("scale", "V", MAAS_DTS_FLOAT)};
static const maas_io_schema out[] = {MAAS_REQ("Y", "V", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {{"axis", MAAS_ATTR_INT, false},
                                         {"epsilon", MAAS_ATTR_FLOAT, false},
                                         {"stash_type", MAAS_ATTR_INT, false}};

const maas_op maas_op_RMSNormalization = {
    .domain = "",
    .name = "RMSNormalization",
    .since = 23,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 10,
    .tolerance = 1e-4,
    .infer = rms_infer,
    .reference = rms_reference,
    .flops = rms_flops,
    .example = rms_example,
    .gradient = rms_gradient,
};
