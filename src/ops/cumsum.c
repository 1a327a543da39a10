/* CumSum along an axis, and OneHot. */
#include "ops/ops_int.h"

#include "base/ban.h"

/* ---- CumSum ---- */

static maas_status cum_sum_infer(maas_infer *q, maas_err *err)
{
    int64_t axis[2 * MAAS_MAX_RANK];
    int n, ignored;
    if (maas_q_ints(q, 1, axis, &n)) {
        if (n != 1)
            return maas_fail(err, MAAS_E_INVALID, "axis must be one number");
        if (q->in[0].rank >= 0)
            MAAS_TRY(maas_axis(axis[0], q->in[0].rank, &ignored, err));
    }
    q->out[0] = q->in[0];
    return MAAS_OK;
}

static void cum_sum_line(const maas_tensor *x, const maas_tensor *y, int64_t at, int64_t n,
                         int64_t step, bool exclusive)
{
    double sum = 0;
    uint64_t wrapped = 0;
    for (int64_t i = 0; i < n; i++, at += step) {
        double d = maas_is_float(x->dtype) ? maas_ld(x, at) : 0;
        uint64_t w = maas_is_float(x->dtype) ? 0 : (uint64_t)maas_tensor_get_i64(x, at);
        sum += exclusive ? 0 : d;
        wrapped += exclusive ? 0 : w;
        if (maas_is_float(x->dtype))
            maas_st(y, at, sum);
        else
            maas_st_i64(y, at, (int64_t)wrapped);
        sum += exclusive ? d : 0;
        wrapped += exclusive ? w : 0;
    }
}

static maas_status cum_sum_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    int axis;
    if (maas_n_elems(&c->in[1]) != 1)
        return maas_fail(err, MAAS_E_INVALID, "CumSum: axis must be one number");
    MAAS_TRY(maas_axis(maas_tensor_get_i64(&c->in[1], 0), x->rank, &axis, err));
    const bool reverse = maas_attr_i(c->node, "reverse", 0) != 0;
    const maas_split3 s = maas_around(x, axis);
    if (s.n == 0)
        return MAAS_OK;
    for (int64_t o = 0; o < s.outer; o++)
        for (int64_t i = 0; i < s.inner; i++) {
            int64_t first = o * s.n * s.inner + i;
            cum_sum_line(x, &c->out[0], reverse ? first + (s.n - 1) * s.inner : first, s.n,
                         reverse ? -s.inner : s.inner, maas_attr_i(c->node, "exclusive", 0) != 0);
        }
    return MAAS_OK;
}

/* The transpose of a running sum is one from the other end. */
static void cum_sum_gradient(maas_grad *g)
{
    const maas_node *n = g->node;
    const maas_attr attr[] = {MAAS_A_INT("exclusive", maas_attr_i(n, "exclusive", 0)),
                              MAAS_A_INT("reverse", maas_attr_i(n, "reverse", 0) == 0)};
    const maas_vid in[2] = {g->dout[0], n->in[1]};
    if (g->want[0])
        g->din[0] = maas_b_node(g->b, "CumSum", attr, 2, in, 2, NULL, 1);
}

static void cum_sum_example(maas_example *e)
{
    const int k = e->variant / 2;
    const maas_attr attr[] = {MAAS_A_INT("exclusive", k & 1), MAAS_A_INT("reverse", k >> 1 & 1)};
    maas_dtype t = e->variant == 8 ? MAAS_I64 : maas_ex_float(e);
    const maas_vid in[2] = {maas_ex_in(e, t, -3, 3, MAAS_DIMS(3, 4, 2)),
                            maas_b_i64(e->b, k & 1 ? -1 : 1)};
    maas_b_node(e->b, "CumSum", attr, 2, in, 2, NULL, 1);
}

/* ---- OneHot: off everywhere, on at the index; an index outside leaves the row off ---- */

static maas_status one_hot_infer(maas_infer *q, maas_err *err)
{
    const maas_type *at = &q->in[0];
    int64_t dims[MAAS_MAX_RANK], depth = MAAS_DIM_UNKNOWN;
    int axis;
    const maas_dtype t = (maas_dtype)q->in[2].dtype;
    if (q->in[2].rank >= 0 &&
        (q->in[2].rank != 1 || (q->in[2].dims[0] >= 0 && q->in[2].dims[0] != 2)))
        return maas_fail(err, MAAS_E_INVALID, "values must be [off, on]");
    maas_q_unranked(q, 0, t);
    if (at->rank < 0)
        return MAAS_OK;
    if (at->rank + 1 > MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_INVALID, "the result has rank %d, at most %d is supported",
                         at->rank + 1, MAAS_MAX_RANK);
    MAAS_TRY(maas_axis(maas_attr_i(q->node, "axis", -1), at->rank + 1, &axis, err));
    if (q->in_data[1].data) {
        if (maas_n_elems(&q->in_data[1]) != 1)
            return maas_fail(err, MAAS_E_INVALID, "depth must be one number");
        depth = maas_tensor_get_i64(&q->in_data[1], 0);
        if (depth < 0)
            return maas_fail(err, MAAS_E_INVALID, "depth %lld is negative", (long long)depth);
    }
    for (int i = 0; i <= at->rank; i++)
        dims[i] = i == axis ? depth : at->dims[i < axis ? i : i - 1];
    maas_q_out(q, 0, t, at->rank + 1, dims);
    return MAAS_OK;
}

static maas_status one_hot_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *at = &c->in[0], *values = &c->in[2], *y = &c->out[0];
    const size_t elem = maas_dtype_size((maas_dtype)y->dtype);
    MAAS_TRY(maas_ref_check(c, err));
    const int64_t a = maas_attr_i(c->node, "axis", -1);
    const maas_split3 s = maas_around(y, (int)(a < 0 ? a + y->rank : a));
    for (int64_t o = 0; o < s.outer; o++)
        for (int64_t k = 0; k < s.n; k++)
            for (int64_t i = 0; i < s.inner; i++) {
                int64_t index = maas_tensor_get_i64(at, o * s.inner + i);
                index = index < 0 ? index + s.n : index;
                memcpy((char *)y->data + (size_t)((o * s.n + k) * s.inner + i) * elem,
                       (const char *)values->data + (index == k ? elem : 0), elem);
            }
    return MAAS_OK;
}

static void one_hot_example(maas_example *e)
{
    static const double pair[] = {-1, 2};
    static const int axes[] = {-1, 0, 1};
    const maas_attr axis = MAAS_A_INT("axis", axes[e->variant]);
    const maas_vid in[3] = {maas_ex_in(e, e->variant ? MAAS_I64 : MAAS_I32, -4, 5, MAAS_DIMS(2, 3)),
                            maas_b_i64(e->b, 4),
                            maas_b_vector(e->b, e->variant == 2 ? MAAS_I64 : MAAS_F32, pair, 2)};
    maas_b_node(e->b, "OneHot", &axis, 1, in, 3, NULL, 1);
}

#define SUM_DTS (MAAS_DTS_FLOAT | MAAS_DTS_INDEX | MAAS_DT_BIT(MAAS_U32) | MAAS_DT_BIT(MAAS_U64))
static const maas_io_schema sum_in[] = {MAAS_REQ("x", "T", SUM_DTS),
                                        MAAS_REQ("axis", NULL, MAAS_DTS_INDEX)};
static const maas_io_schema sum_out[] = {MAAS_REQ("y", "T", SUM_DTS)};
static const maas_attr_schema sum_attrs[] = {{"exclusive", MAAS_ATTR_INT, false},
                                             {"reverse", MAAS_ATTR_INT, false}};
static const maas_io_schema hot_in[] = {MAAS_REQ("indices", NULL, MAAS_DTS_NUMERIC),
                                        MAAS_REQ("depth", NULL, MAAS_DTS_NUMERIC),
                                        MAAS_REQ("values", "T3", MAAS_DTS_PLAIN)};
static const maas_io_schema hot_out[] = {MAAS_REQ("output", "T3", MAAS_DTS_PLAIN)};
static const maas_attr_schema hot_attrs[] = {{"axis", MAAS_ATTR_INT, false}};

const maas_op maas_op_CumSum = {
    .domain = "",
    .name = "CumSum",
    .since = 14,
    MAAS_SCHEMA(sum_in, sum_out),
    MAAS_ATTRS(sum_attrs),
    .n_examples = 9,
    .tolerance = 1e-5,
    .infer = cum_sum_infer,
    .reference = cum_sum_reference,
    .flops = maas_flops_out,
    .example = cum_sum_example,
    .gradient = cum_sum_gradient,
};

const maas_op maas_op_OneHot = {
    .domain = "",
    .name = "OneHot",
    .since = 11,
    .flags = MAAS_OP_STRINGS,
    MAAS_SCHEMA(hot_in, hot_out),
    MAAS_ATTRS(hot_attrs),
    .n_examples = 3,
    .infer = one_hot_infer,
    .reference = one_hot_reference,
    .flops = maas_flops_none,
    .example = one_hot_example,
    .no_gradient = "its input is an index",
};
