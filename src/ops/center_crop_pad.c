/* CenterCropPad - the middle of the input, or the input in the middle of zeros, axis by axis. */
#include "ops/ops_int.h"

#include "base/ban.h"

static maas_status center_axes(const maas_node *n, int rank, int *axes, int *n_axes, maas_err *err)
{
    uint32_t count, mask;
    const int64_t *given = maas_attr_ints(n, "axes", &count);
    *n_axes = given ? (int)count : rank;
    if (count > MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_INVALID, "%u axes are too many", count);
    if (given)
        MAAS_TRY(maas_axes(given, (int)count, rank, &mask, err));
    for (int i = 0; i < *n_axes; i++)
        axes[i] = given ? (int)(given[i] < 0 ? given[i] + rank : given[i]) : i;
    return MAAS_OK;
}

static maas_status center_infer(maas_infer *q, maas_err *err)
{
    const maas_known *shape = &q->in_known[1];
    int axes[MAAS_MAX_RANK], n;
    q->out[0] = q->in[0];
    if (q->in[0].rank < 0)
        return MAAS_OK;
    MAAS_TRY(center_axes(q->node, q->in[0].rank, axes, &n, err));
    if (shape->n >= 0 && shape->n != n)
        return maas_fail(err, MAAS_E_INVALID, "shape has %d entries for %d axes", shape->n, n);
    for (int i = 0; i < n; i++) {
        if (shape->n >= 0 && shape->exact && shape->v[i] < 0)
            return maas_fail(err, MAAS_E_INVALID, "size %d of shape is negative", i);
        q->out[0].dims[axes[i]] = shape->n >= 0 ? shape->v[i] : MAAS_DIM_UNKNOWN;
    }
    return MAAS_OK;
}

static maas_status center_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    const size_t elem = maas_dtype_size((maas_dtype)x->dtype);
    maas_view from = {.rank = x->rank}, to = {.rank = x->rank};
    maas_walk w;
    MAAS_TRY(maas_ref_check(c, err));
    maas_strides(x->dims, x->rank, from.stride);
    maas_strides(y->dims, y->rank, to.stride);
    for (int i = 0; i < x->rank; i++) {
        const int64_t more = y->dims[i] - x->dims[i];
        from.dims[i] = to.dims[i] = more < 0 ? y->dims[i] : x->dims[i];
        from.offset += more < 0 ? -more / 2 * from.stride[i] : 0;
        to.offset += more > 0 ? more / 2 * to.stride[i] : 0;
    }
    if (y->dtype == MAAS_STRING)
        for (int64_t i = 0, n = maas_n_elems(y); i < n; i++)
            ((maas_str *)y->data)[i] = (maas_str){"", 0};
    else
        memset(y->data, 0, maas_tensor_bytes(y));
    /* element by element of the part they share: two strided arrays have no row in common */
    maas_walk_init(&w, from.dims, x->rank, (1u << x->rank) - 1, 0);
    for (; w.left > 0; maas_walk_step(&w)) {
        int64_t a = from.offset, b = to.offset;
        for (int i = 0; i < x->rank; i++) {
            a += w.idx[i] * from.stride[i];
            b += w.idx[i] * to.stride[i];
        }
        memcpy((char *)y->data + (size_t)b * elem, (const char *)x->data + (size_t)a * elem, elem);
    }
    return MAAS_OK;
}

/* What was cut off comes back as zeros, what was added is cut off: the same centers. */
static void center_gradient(maas_grad *g)
{
    if (g->want[0])
        g->din[0] = maas_b_op2(g->b, "CenterCropPad", g->dout[0],
                               maas_b_op1(g->b, "Shape", g->node->in[0]));
}

static void center_example(maas_example *e)
{
    static const int64_t all[] = {2, 9}, last[] = {3, 8}, axes[] = {-1, 0};
    const int k = e->variant / 2;
    const maas_dtype t = k == 3 ? MAAS_STRING : maas_ex_float(e);
    if (k != 1) {
        maas_vid x = maas_ex_in(e, t, -2, 2, MAAS_DIMS(k == 2 ? 0 : 5, 6));
        maas_b_op2(e->b, "CenterCropPad", x, maas_b_i64s(e->b, all, 2));
        return;
    }
    maas_vid x = maas_ex_in(e, t, -2, 2, MAAS_DIMS(4, 2, 6));
    maas_b_attr1(e->b, "CenterCropPad", MAAS_A_INTS("axes", axes, 2), x,
                 maas_b_i64s(e->b, last, 2));
}

static const maas_io_schema in[] = {MAAS_REQ("input_data", "T", MAAS_DTS_ALL),
                                    MAAS_REQ("shape", NULL, MAAS_DTS_INDEX)};
static const maas_io_schema out[] = {MAAS_REQ("output_data", "T", MAAS_DTS_ALL)};
static const maas_attr_schema attrs[] = {{"axes", MAAS_ATTR_INTS, false}};

const maas_op maas_op_CenterCropPad = {
    .domain = "",
    .name = "CenterCropPad",
    .since = 18,
    .flags = MAAS_OP_STRINGS,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 7,
    .infer = center_infer,
    .reference = center_reference,
    .flops = maas_flops_none,
    .example = center_example,
    .gradient = center_gradient,
};
