/* Transpose - axis i of the output is axis perm[i] of the input; without perm, all reversed. */
#include "ops/ops_int.h"

#include "base/ban.h"

static maas_status perm_of(const maas_node *n, int rank, int *perm, maas_err *err)
{
    uint32_t count, seen = 0;
    const int64_t *list = maas_attr_ints(n, "perm", &count);
    for (int i = 0; i < rank; i++)
        perm[i] = rank - 1 - i;
    if (!list)
        return MAAS_OK;
    if (count != (uint32_t)rank)
        return maas_fail(err, MAAS_E_INVALID, "perm has %u axes, the input %d", count, rank);
    for (int i = 0; i < rank; i++) {
        if (list[i] < 0 || list[i] >= rank || seen >> list[i] & 1)
            return maas_fail(err, MAAS_E_INVALID, "perm is not a permutation of 0..%d", rank - 1);
        seen |= 1u << list[i];
        perm[i] = (int)list[i];
    }
    return MAAS_OK;
}

static maas_status transpose_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    int perm[MAAS_MAX_RANK];
    q->out[0] = *x;
    if (x->rank < 0)
        return MAAS_OK;
    MAAS_TRY(perm_of(q->node, x->rank, perm, err));
    for (int i = 0; i < x->rank; i++)
        q->out[0].dims[i] = x->dims[perm[i]];
    return MAAS_OK;
}

static maas_status transpose_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    int perm[MAAS_MAX_RANK];
    int64_t strides[MAAS_MAX_RANK];
    maas_view v = {.rank = x->rank};
    MAAS_TRY(perm_of(c->node, x->rank, perm, err));
    maas_strides(x->dims, x->rank, strides);
    for (int i = 0; i < x->rank; i++) {
        v.dims[i] = x->dims[perm[i]];
        v.stride[i] = strides[perm[i]];
    }
    maas_view_read(c->out[0].data, x->data, &v, maas_dtype_size((maas_dtype)x->dtype));
    return MAAS_OK;
}

static void transpose_gradient(maas_grad *g)
{
    int64_t inverse[MAAS_MAX_RANK];
    uint32_t n;
    const int64_t *perm = maas_attr_ints(g->node, "perm", &n);
    for (uint32_t i = 0; perm && i < n; i++)
        inverse[perm[i]] = i;
    if (perm)
        g->din[0] = maas_b_attr1(g->b, "Transpose", MAAS_A_INTS("perm", inverse, n), g->dout[0],
                                 MAAS_NO_VALUE);
    else
        g->din[0] = maas_b_op1(g->b, "Transpose", g->dout[0]);
}

static void transpose_example(maas_example *e)
{
    static const int64_t perms[][3] = {{0, 2, 1}, {2, 0, 1}, {1, 0, 2}};
    int k = e->variant / 2;
    maas_dtype t = e->variant == 8 ? MAAS_STRING : maas_ex_float(e);
    maas_vid x = maas_ex_in(e, t, -2, 2, MAAS_DIMS(2, 3, 4));
    if (k < 3)
        maas_b_attr1(e->b, "Transpose", MAAS_A_INTS("perm", perms[k], 3), x, MAAS_NO_VALUE);
    else
        maas_b_op1(e->b, "Transpose", x);
}

static const maas_io_schema in[] = {MAAS_REQ("data", "T", MAAS_DTS_ALL)};
static const maas_io_schema out[] = {MAAS_REQ("transposed", "T", MAAS_DTS_ALL)};
static const maas_attr_schema attrs[] = {{"perm", MAAS_ATTR_INTS, false}};

const maas_op maas_op_Transpose = {
    .domain = "",
    .name = "Transpose",
    .since = 13,
    .flags = MAAS_OP_STRINGS,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 9,
    .infer = transpose_infer,
    .reference = transpose_reference,
    .flops = maas_flops_none,
    .example = transpose_example,
    .gradient = transpose_gradient,
};
