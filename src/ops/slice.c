/* Slice - starts, ends, axes and steps as NumPy means them; strings too. SliceGrad is its gradient.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

/* ---- Slice ---- */

typedef struct cut {
    int64_t from, step, n;
} cut;

/* One axis of a known size. Bounds clamp, so `from` is in range whenever n > 0. */
static cut cut_of(int64_t size, int64_t start, int64_t end, int64_t step)
{
    int64_t lo = step > 0 ? 0 : -1, hi = step > 0 ? size : size - 1;
    start = start < 0 ? start < -size ? lo : start + size : start;
    end = end < 0 ? end < -size ? lo : end + size : end;
    start = start < lo ? lo : start > hi ? hi : start;
    end = end < lo ? lo : end > hi ? hi : end;
    cut c = {start, step, 0};
    if (step > 0 && end > start)
        c.n = (end - start - 1) / step + 1;
    else if (step < 0 && start > end)
        c.n = (int64_t)((uint64_t)(start - end - 1) / (0 - (uint64_t)step)) + 1;
    return c;
}

/* The numbers of one axis among the inputs; false: this axis is left whole. */
typedef struct slice_args {
    int n, n_axes, n_steps;
    int64_t start[2 * MAAS_MAX_RANK], end[2 * MAAS_MAX_RANK];
    int64_t axes[2 * MAAS_MAX_RANK], steps[2 * MAAS_MAX_RANK];
    int end_n;
    bool exact; /* starts and ends are numbers */
} slice_args;

static bool take_args(const maas_infer *q, slice_args *a)
{
    a->exact = maas_q_ints(q, 1, a->start, &a->n) && maas_q_ints(q, 2, a->end, &a->end_n);
    if (maas_q_has(q, 3) && !maas_q_ints(q, 3, a->axes, &a->n_axes))
        return false;
    if (!maas_q_has(q, 3)) {
        a->n_axes = a->exact ? a->n : 0;
        for (int i = 0; i < a->n_axes; i++)
            a->axes[i] = i;
    }
    if (maas_q_has(q, 4) && !maas_q_ints(q, 4, a->steps, &a->n_steps))
        a->exact = false;
    if (!maas_q_has(q, 4)) {
        a->n_steps = a->n_axes;
        for (int i = 0; i < a->n_axes; i++)
            a->steps[i] = 1;
    }
    return a->exact || maas_q_has(q, 3);
}

static maas_status check_args(const slice_args *a, maas_err *err)
{
    if (a->n != a->end_n || a->n != a->n_axes || a->n != a->n_steps)
        return maas_fail(err, MAAS_E_INVALID,
                         "starts, ends, axes and steps have %d, %d, %d and %d "
                         "entries",
                         a->n, a->end_n, a->n_axes, a->n_steps);
    for (int i = 0; i < a->n; i++)
        if (a->steps[i] == 0)
            return maas_fail(err, MAAS_E_INVALID, "a step is 0");
    return MAAS_OK;
}

static void slice_known(maas_infer *q, const slice_args *a)
{
    const maas_known *k = &q->in_known[0];
    if (k->n < 0 || k->rank != 1 || a->n != 1 || !a->exact)
        return;
    cut c = cut_of(k->n, a->start[0], a->end[0], a->steps[0]);
    maas_known r = {.n = (int)c.n, .rank = 1, .exact = k->exact};
    for (int i = 0; i < r.n; i++)
        r.v[i] = k->v[c.from + i * c.step];
    q->out_known[0] = r;
}

/* x[:n] of a symbol that is at least... nothing is known of a symbol, except that all of it is it.
 */
static int64_t slice_symbol(int64_t dim, const slice_args *a, int i)
{
    bool all = a->exact && a->start[i] == 0 && a->steps[i] == 1 && a->end[i] >= INT32_MAX;
    return all ? dim : MAAS_DIM_UNKNOWN;
}

static maas_status slice_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    slice_args a = {0};
    uint32_t mask;
    q->out[0] = *x;
    if (x->rank < 0)
        return MAAS_OK;
    if (!take_args(q, &a)) {
        for (int i = 0; i < x->rank; i++)
            q->out[0].dims[i] = MAAS_DIM_UNKNOWN;
        return MAAS_OK;
    }
    if (a.exact)
        MAAS_TRY(check_args(&a, err));
    MAAS_TRY(maas_axes(a.axes, a.n_axes, x->rank, &mask, err));
    for (int i = 0; i < a.n_axes; i++) {
        int axis = (int)(a.axes[i] < 0 ? a.axes[i] + x->rank : a.axes[i]);
        int64_t d = x->dims[axis];
        if (d >= 0 && a.exact)
            q->out[0].dims[axis] = cut_of(d, a.start[i], a.end[i], a.steps[i]).n;
        else
            q->out[0].dims[axis] = slice_symbol(d, &a, i);
    }
    slice_known(q, &a);
    return MAAS_OK;
}

/* The view of x that a call cuts out; the call was checked by maas_ref_check. */
static maas_view view_of(const maas_call *c, const int64_t *dims, int rank,
                         const maas_tensor *const in[4])
{
    maas_view v = {.rank = rank};
    maas_strides(dims, rank, v.stride);
    for (int i = 0; i < rank; i++)
        v.dims[i] = dims[i];
    for (int64_t i = 0, n = maas_n_elems(in[0]); i < n; i++) {
        int64_t axis = in[2] ? maas_tensor_get_i64(in[2], i) : i;
        axis = axis < 0 ? axis + rank : axis;
        cut k = cut_of(dims[axis], maas_tensor_get_i64(in[0], i), maas_tensor_get_i64(in[1], i),
                       in[3] ? maas_tensor_get_i64(in[3], i) : 1);
        v.offset += k.n ? k.from * v.stride[axis] : 0;
        v.stride[axis] = k.n > 1 ? k.step * v.stride[axis] : 0;
        v.dims[axis] = k.n;
    }
    return v;
}

static maas_status slice_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    const maas_tensor *const args[4] = {&c->in[1], &c->in[2], maas_c_in(c, 3), maas_c_in(c, 4)};
    MAAS_TRY(maas_ref_check(c, err));
    maas_view v = view_of(c, x->dims, x->rank, args);
    maas_view_read(c->out[0].data, x->data, &v, maas_dtype_size((maas_dtype)x->dtype));
    return MAAS_OK;
}

static void slice_gradient(maas_grad *g)
{
    maas_vid in[6] = {g->dout[0], maas_b_op1(g->b, "Shape", g->node->in[0])};
    for (int i = 1; i < 5; i++)
        in[i + 1] = i < g->node->n_in ? g->node->in[i] : MAAS_NO_VALUE;
    g->din[0] = maas_b_node(g->b, "SliceGrad", NULL, 0, in, 6, NULL, 1);
}

/* ---- SliceGrad (ai.maas): dy put back where it was cut out of zeros of the given shape ---- */

static maas_status slice_grad_infer(maas_infer *q, maas_err *err)
{
    const maas_known *k = &q->in_known[1];
    if (k->n < 0 || k->n > MAAS_MAX_RANK) {
        maas_q_unranked(q, 0, (maas_dtype)q->in[0].dtype);
        return MAAS_OK;
    }
    for (int i = 0; i < k->n; i++)
        if (k->exact && k->v[i] < 0)
            return maas_fail(err, MAAS_E_INVALID, "size %lld is negative", (long long)k->v[i]);
    maas_q_out(q, 0, (maas_dtype)q->in[0].dtype, k->n, k->v);
    return MAAS_OK;
}

extern const maas_op maas_op_Slice;

/* The cut is checked as that of a Slice of the output would be. */
static maas_status slice_grad_check(const maas_call *c, maas_err *err)
{
    maas_tensor in[5] = {c->out[0]};
    maas_tensor out[1] = {c->in[0]};
    maas_call cut_call = *c;
    maas_node node = *c->node;
    for (int i = 1; i < 5; i++)
        in[i] = i + 1 < c->n_in ? c->in[i + 1] : (maas_tensor){0};
    node.op = &maas_op_Slice;
    node.n_in = 5;
    cut_call.node = &node;
    cut_call.in = in;
    cut_call.out = out;
    cut_call.n_in = 5;
    return maas_ref_check(&cut_call, err);
}

static maas_status slice_grad_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *dy = &c->in[0], *dx = &c->out[0];
    const maas_tensor *const args[4] = {&c->in[2], &c->in[3], maas_c_in(c, 4), maas_c_in(c, 5)};
    MAAS_TRY(maas_ref_check(c, err));
    MAAS_TRY(slice_grad_check(c, err));
    maas_view v = view_of(c, dx->dims, dx->rank, args);
    memset(dx->data, 0, maas_tensor_bytes(dx));
    maas_view_write(dx->data, dy->data, &v, maas_dtype_size((maas_dtype)dy->dtype));
    return MAAS_OK;
}

/* ---- examples ---- */

static const struct {
    int n;
    int64_t start[2], end[2], axes[2], steps[2];
    int64_t result[3]; /* of [4][5][6] */
} cuts[] = {
    {2, {1, 0}, {3, 4}, {0, 1}, {1, 1}, {2, 4, 6}},
    {2, {-1, 5}, {-9, 0}, {2, -2}, {-1, -2}, {4, 2, 6}},
    {1, {1, 0}, {INT64_MAX, 0}, {1, 0}, {3, 1}, {4, 2, 6}},
    {1, {3, 0}, {1, 0}, {0, 0}, {1, 1}, {0, 5, 6}},
};

static uint32_t cut_inputs(maas_example *e, int k, maas_vid *in)
{
    in[0] = maas_b_i64s(e->b, cuts[k].start, cuts[k].n);
    in[1] = maas_b_i64s(e->b, cuts[k].end, cuts[k].n);
    in[2] = maas_b_i64s(e->b, cuts[k].axes, cuts[k].n);
    in[3] = maas_b_i64s(e->b, cuts[k].steps, cuts[k].n);
    return 4;
}

static void slice_example(maas_example *e)
{
    maas_dtype t = e->variant == 8 ? MAAS_STRING : maas_ex_float(e);
    maas_vid in[5] = {maas_ex_in(e, t, -2, 2, MAAS_DIMS(4, 5, 6))};
    maas_b_node(e->b, "Slice", NULL, 0, in, 1 + cut_inputs(e, e->variant / 2 % 4, in + 1), NULL, 1);
}

static void slice_grad_example(maas_example *e)
{
    static const int64_t shape[] = {4, 5, 6};
    int k = e->variant / 2;
    maas_vid in[6] = {maas_ex_in(e, maas_ex_float(e), -2, 2, 3, cuts[k].result),
                      maas_b_i64s(e->b, shape, 3)};
    maas_b_node(e->b, "SliceGrad", NULL, 0, in, 2 + cut_inputs(e, k, in + 2), NULL, 1);
}

static const maas_io_schema in[] = {
    MAAS_REQ("data", "T", MAAS_DTS_ALL), MAAS_REQ("starts", "Tind", MAAS_DTS_INDEX),
    MAAS_REQ("ends", "Tind", MAAS_DTS_INDEX), MAAS_OPT("axes", "Tind", MAAS_DTS_INDEX),
    MAAS_OPT("steps", "Tind", MAAS_DTS_INDEX)};
static const maas_io_schema out[] = {MAAS_REQ("output", "T", MAAS_DTS_ALL)};
static const maas_io_schema grad_in[] = {
    MAAS_REQ("dY", "T", MAAS_DTS_FLOAT),        MAAS_REQ("shape", NULL, MAAS_DTS_I64),
    MAAS_REQ("starts", "Tind", MAAS_DTS_INDEX), MAAS_REQ("ends", "Tind", MAAS_DTS_INDEX),
    MAAS_OPT("axes", "Tind", MAAS_DTS_INDEX),   MAAS_OPT("steps", "Tind", MAAS_DTS_INDEX)};
static const maas_io_schema grad_out[] = {MAAS_REQ("dX", "T", MAAS_DTS_FLOAT)};

const maas_op maas_op_Slice = {
    .domain = "",
    .name = "Slice",
    .since = 13,
    .flags = MAAS_OP_STRINGS,
    MAAS_SCHEMA(in, out),
    .n_examples = 9,
    .infer = slice_infer,
    .reference = slice_reference,
    .flops = maas_flops_none,
    .example = slice_example,
    .gradient = slice_gradient,
};

const maas_op maas_op_SliceGrad = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "SliceGrad",
    .since = 1,
    MAAS_SCHEMA(grad_in, grad_out),
    .n_examples = 8,
    .infer = slice_grad_infer,
    .reference = slice_grad_reference,
    .flops = maas_flops_none,
    .example = slice_grad_example,
    .no_gradient = MAAS_SECOND_ORDER,
};
