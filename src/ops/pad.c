/* Pad with a constant: pads [begin.., end..] of all axes, or of those in `axes`. */
#include "ops/ops_int.h"

#include "base/ban.h"

/* The padding of every axis from the two small inputs. Negative pads (cropping) are refused. */
static maas_status pads_of(const int64_t *pads, int n_pads, const int64_t *axes, int n_axes,
                           int rank, int64_t *before, int64_t *after, maas_err *err)
{
    uint32_t mask;
    if (n_pads != 2 * n_axes)
        return maas_fail(err, MAAS_E_INVALID, "%d pads for %d axes", n_pads, n_axes);
    MAAS_TRY(maas_axes(axes, n_axes, rank, &mask, err));
    for (int i = 0; i < rank; i++)
        before[i] = after[i] = 0;
    for (int i = 0; i < n_axes; i++) {
        int axis = (int)(axes[i] < 0 ? axes[i] + rank : axes[i]);
        before[axis] = pads[i];
        after[axis] = pads[i + n_axes];
        if (before[axis] < 0 || after[axis] < 0)
            return maas_fail(err, MAAS_E_UNSUPPORTED, "negative pads are not supported, use Slice");
    }
    return MAAS_OK;
}

static maas_status check_mode(const maas_node *n, maas_err *err)
{
    maas_str mode = maas_attr_s(n, "mode", "constant");
    if (mode.n != 8 || memcmp(mode.p, "constant", 8) != 0)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "mode '%.*s' is not supported, only constant",
                         (int)(mode.n < 20 ? mode.n : 20), mode.p);
    return MAAS_OK;
}

static maas_status pad_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    int64_t pads[2 * MAAS_MAX_RANK], axes[2 * MAAS_MAX_RANK];
    int64_t before[MAAS_MAX_RANK], after[MAAS_MAX_RANK];
    int n_pads, n_axes = x->rank;
    MAAS_TRY(check_mode(q->node, err));
    q->out[0] = *x;
    if (x->rank < 0)
        return MAAS_OK;
    for (int i = 0; i < x->rank; i++) {
        axes[i] = i;
        q->out[0].dims[i] = MAAS_DIM_UNKNOWN;
    }
    if (!maas_q_ints(q, 1, pads, &n_pads) ||
        (maas_q_has(q, 3) && !maas_q_ints(q, 3, axes, &n_axes)))
        return MAAS_OK;
    MAAS_TRY(pads_of(pads, n_pads, axes, n_axes, x->rank, before, after, err));
    for (int i = 0; i < x->rank; i++) {
        int64_t d = x->dims[i];
        if (d >= 0 &&
            (__builtin_add_overflow(d, before[i], &d) || __builtin_add_overflow(d, after[i], &d)))
            return maas_fail(err, MAAS_E_TOO_LARGE, "axis %d has too many elements", i);
        q->out[0].dims[i] = d >= 0 || before[i] + after[i] == 0 ? d : MAAS_DIM_UNKNOWN;
    }
    return MAAS_OK;
}

/* Where the data lies in the padded array. */
static maas_status inner_view(const maas_tensor *pads, const maas_tensor *axes,
                              const maas_tensor *small, const maas_tensor *large, maas_view *v,
                              maas_err *err)
{
    int64_t p[2 * MAAS_MAX_RANK], a[2 * MAAS_MAX_RANK];
    int64_t before[MAAS_MAX_RANK], after[MAAS_MAX_RANK];
    int n_axes = axes ? (int)maas_n_elems(axes) : small->rank, n_pads = (int)maas_n_elems(pads);
    for (int i = 0; i < n_pads; i++)
        p[i] = maas_tensor_get_i64(pads, i);
    for (int i = 0; i < n_axes; i++)
        a[i] = axes ? maas_tensor_get_i64(axes, i) : i;
    MAAS_TRY(pads_of(p, n_pads, a, n_axes, small->rank, before, after, err));
    *v = (maas_view){.rank = small->rank};
    maas_strides(large->dims, large->rank, v->stride);
    for (int i = 0; i < small->rank; i++) {
        if (before[i] > large->dims[i] - small->dims[i])
            return maas_fail(err, MAAS_E_INVALID, "pads reach past the padded axis %d", i);
        v->dims[i] = small->dims[i];
        v->offset += before[i] * v->stride[i];
    }
    return MAAS_OK;
}

static maas_status pad_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *fill = maas_c_in(c, 2), *y = &c->out[0];
    const size_t elem = maas_dtype_size((maas_dtype)x->dtype);
    maas_view v;
    MAAS_TRY(maas_ref_check(c, err));
    if (fill && maas_n_elems(fill) != 1)
        return maas_fail(err, MAAS_E_INVALID, "Pad: constant_value must be one element");
    MAAS_TRY(inner_view(&c->in[1], maas_c_in(c, 3), x, y, &v, err));
    if (!fill)
        memset(y->data, 0, maas_tensor_bytes(y));
    for (int64_t i = 0, n = fill ? maas_n_elems(y) : 0; i < n; i++)
        memcpy((char *)y->data + (size_t)i * elem, fill->data, elem);
    maas_view_write(y->data, x->data, &v, elem);
    return MAAS_OK;
}

/* ---- PadGrad (ai.maas): the inner part of dY; inputs (dY, X, pads, axes) ---- */

static maas_status pad_grad_infer(maas_infer *q, maas_err *err)
{
    if (q->in[0].rank >= 0 && q->in[1].rank >= 0 && q->in[0].rank != q->in[1].rank)
        return maas_fail(err, MAAS_E_INVALID, "dY has rank %d, X %d", q->in[0].rank, q->in[1].rank);
    q->out[0] = q->in[1];
    return MAAS_OK;
}

static maas_status pad_grad_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *dy = &c->in[0], *axes = maas_c_in(c, 3), *dx = &c->out[0];
    maas_view v;
    if (maas_n_elems(&c->in[2]) > 2 * MAAS_MAX_RANK || (axes && maas_n_elems(axes) > MAAS_MAX_RANK))
        return maas_fail(err, MAAS_E_INVALID, "PadGrad: too many pads");
    MAAS_TRY(inner_view(&c->in[2], axes, dx, dy, &v, err));
    maas_view_read(dx->data, dy->data, &v, maas_dtype_size((maas_dtype)dy->dtype));
    return MAAS_OK;
}

static void pad_gradient(maas_grad *g)
{
    const maas_node *n = g->node;
    const maas_vid in[4] = {g->dout[0], n->in[0], n->in[1], n->n_in > 3 ? n->in[3] : MAAS_NO_VALUE};
    if (g->want[0])
        g->din[0] = maas_b_node(g->b, "PadGrad", NULL, 0, in, in[3] == MAAS_NO_VALUE ? 3 : 4, NULL,
                                1);
    /* constant_value is a setting, not a function of what is trained */
    if (MAAS_WANT(g, 2))
        g->din[2] = MAAS_NO_VALUE;
}

static void pad_example(maas_example *e)
{
    static const int64_t all[] = {1, 0, 2, 3}, one[] = {2, 1}, axis[] = {-1};
    const int k = e->variant / 2;
    maas_dtype t = maas_ex_float(e);
    maas_vid in[4] = {maas_ex_in(e, t, -2, 2, MAAS_DIMS(3, 4)),
                      k ? maas_b_i64s(e->b, one, 2) : maas_b_i64s(e->b, all, 4),
                      k ? maas_b_scalar(e->b, t, 1.5) : MAAS_NO_VALUE, MAAS_NO_VALUE};
    if (k)
        in[3] = maas_b_i64s(e->b, axis, 1);
    maas_b_node(e->b, "Pad", NULL, 0, in, k ? 4 : 2, NULL, 1);
}

static void pad_grad_example(maas_example *e)
{
    static const int64_t all[] = {1, 0, 2, 3};
    maas_dtype t = maas_ex_float(e);
    const maas_vid in[3] = {maas_ex_in(e, t, -2, 2, MAAS_DIMS(6, 7)),
                            maas_ex_in(e, t, -2, 2, MAAS_DIMS(3, 4)), maas_b_i64s(e->b, all, 4)};
    maas_b_node(e->b, "PadGrad", NULL, 0, in, 3, NULL, 1);
}

static const maas_io_schema in[] = {
    MAAS_REQ("data", "T", MAAS_DTS_ALL), MAAS_REQ("pads", NULL, MAAS_DTS_I64),
    MAAS_OPT("constant_value", "T", MAAS_DTS_ALL), MAAS_OPT("axes", NULL, MAAS_DTS_INDEX)};
static const maas_io_schema out[] = {MAAS_REQ("output", "T", MAAS_DTS_ALL)};
static const maas_io_schema grad_in[] = {
    MAAS_REQ("dY", "T", MAAS_DTS_FLOAT), MAAS_REQ("X", "T", MAAS_DTS_FLOAT),
    MAAS_REQ("pads", NULL, MAAS_DTS_I64), MAAS_OPT("axes", NULL, MAAS_DTS_INDEX)};
static const maas_io_schema grad_out[] = {MAAS_REQ("dX", "T", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {{"mode", MAAS_ATTR_STRING, false}};

const maas_op maas_op_Pad = {
    .domain = "",
    .name = "Pad",
    .since = 18,
    .flags = MAAS_OP_STRINGS,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 4,
    .infer = pad_infer,
    .reference = pad_reference,
    .flops = maas_flops_none,
    .example = pad_example,
    .gradient = pad_gradient,
};

const maas_op maas_op_PadGrad = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "PadGrad",
    .since = 1,
    MAAS_SCHEMA(grad_in, grad_out),
    .n_examples = 2,
    .infer = pad_grad_infer,
    .reference = pad_grad_reference,
    .flops = maas_flops_none,
    .example = pad_grad_example,
    .no_gradient = MAAS_SECOND_ORDER,
};
