/* Compress: the slices along an axis, or the elements, for which a condition holds. */
#include "ops/ops_int.h"

#include "base/ban.h"

static bool has_axis(const maas_node *n)
{
    return maas_node_attr(n, "axis") != NULL;
}

static maas_status compress_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    const int64_t any = MAAS_DIM_UNKNOWN;
    int axis;
    if (q->in[1].rank >= 0 && q->in[1].rank != 1)
        return maas_fail(err, MAAS_E_INVALID, "condition must be a list");
    if (!has_axis(q->node)) {
        maas_q_out(q, 0, (maas_dtype)x->dtype, 1, &any);
        return MAAS_OK;
    }
    q->out[0] = *x;
    if (x->rank < 0)
        return MAAS_OK;
    MAAS_TRY(maas_axis(maas_attr_i(q->node, "axis", 0), x->rank, &axis, err));
    q->out[0].dims[axis] = MAAS_DIM_UNKNOWN;
    return MAAS_OK;
}

/* Without an axis the input is a list. What the condition is too short for is left out. */
static maas_status compress_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *keep = &c->in[1];
    const uint8_t *yes = keep->data;
    int64_t dims[MAAS_MAX_RANK] = {0}, axis = maas_attr_i(c->node, "axis", 0);
    axis = axis < 0 ? axis + x->rank : axis;
    const maas_split3 s = has_axis(c->node) ? maas_around(x, (int)axis)
                                            : (maas_split3){1, maas_n_elems(x), 1};
    const int64_t n = keep->dims[0] < s.n ? keep->dims[0] : s.n;
    if (has_axis(c->node))
        memcpy(dims, x->dims, sizeof dims);
    else
        axis = 0;
    dims[axis] = 0;
    for (int64_t i = 0; i < n; i++)
        dims[axis] += yes[i] != 0;
    MAAS_TRY(maas_ref_alloc(c, 0, has_axis(c->node) ? x->rank : 1, dims, err));
    const size_t row = (size_t)s.inner * maas_dtype_size((maas_dtype)x->dtype);
    char *to = c->out[0].data;
    for (int64_t o = 0; o < s.outer; o++)
        for (int64_t i = 0; i < n; i++)
            if (yes[i]) {
                memcpy(to, (const char *)x->data + (size_t)(o * s.n + i) * row, row);
                to += row;
            }
    return MAAS_OK;
}

static void compress_example(maas_example *e)
{
    static const uint8_t yes[] = {0, 1, 1, 0};
    const int k = e->variant / 2;
    const maas_dtype t = e->variant == 6 ? MAAS_STRING : maas_ex_float(e);
    /* shorter than the axis, as long, none of three rows */
    const int64_t n = k == 1 ? 4 : k == 2 ? 0 : 2;
    maas_tensor keep = maas_tensor_of(MAAS_BOOL, 1, &n, (void *)(uintptr_t)yes);
    const maas_attr axis = MAAS_A_INT("axis", k == 1 ? -1 : 0);
    const maas_vid in[] = {maas_ex_in(e, t, -2, 2, MAAS_DIMS(3, 4)),
                           maas_b_const(e->b, NULL, &keep)};
    maas_b_node(e->b, "Compress", &axis, k < 3 && k > 0, in, 2, NULL, 1);
}

static const maas_io_schema compress_in[] = {MAAS_REQ("input", "T", MAAS_DTS_ALL),
                                             MAAS_REQ("condition", NULL, MAAS_DTS_BOOL)};
static const maas_io_schema compress_out[] = {MAAS_REQ("output", "T", MAAS_DTS_ALL)};
static const maas_attr_schema attrs[] = {{"axis", MAAS_ATTR_INT, false}};

const maas_op maas_op_Compress = {
    .domain = "",
    .name = "Compress",
    .since = 9,
    .flags = MAAS_OP_DYNAMIC | MAAS_OP_STRINGS,
    MAAS_SCHEMA(compress_in, compress_out),
    MAAS_ATTRS(attrs),
    .n_examples = 7,
    .infer = compress_infer,
    .reference = compress_reference,
    .flops = maas_flops_none,
    .example = compress_example,
    .no_gradient = "a plan of training knows all shapes before it runs",
};
