/* Expand (broadcast to a shape) and Tile (repeat along axes): strided reads, strings too. */
#include "ops/ops_int.h"

#include "base/ban.h"

/* ---- Expand: the shape and the input broadcast in both directions ---- */

static maas_status expand_infer(maas_infer *q, maas_err *err)
{
    const maas_known *k = &q->in_known[1];
    const maas_dtype t = (maas_dtype)q->in[0].dtype;
    if (k->n < 0 && q->in[0].rank >= 0 && q->in[1].rank == 1 && q->in[1].dims[0] >= 0 &&
        q->in[1].dims[0] <= MAAS_MAX_RANK) { /* how many sizes, if not which */
        int64_t dims[MAAS_MAX_RANK];
        for (int i = 0; i < MAAS_MAX_RANK; i++)
            dims[i] = MAAS_DIM_UNKNOWN;
        maas_type open = maas_type_tensor(t, (int)q->in[1].dims[0], dims);
        return maas_type_broadcast(&q->in[0], &open, &q->out[0], err);
    }
    if (k->n < 0 || q->in[0].rank < 0) {
        maas_q_unranked(q, 0, t);
        return MAAS_OK;
    }
    if (k->n > MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_INVALID, "rank %d, at most %d is supported", k->n,
                         MAAS_MAX_RANK);
    for (int i = 0; i < k->n; i++)
        if (k->exact && k->v[i] < 0)
            return maas_fail(err, MAAS_E_INVALID, "size %lld is negative", (long long)k->v[i]);
    maas_type want = maas_type_tensor(t, k->n, k->v);
    return maas_type_broadcast(&q->in[0], &want, &q->out[0], err);
}

static maas_status expand_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *y = &c->out[0];
    int64_t strides[MAAS_MAX_RANK];
    maas_view v = {.rank = y->rank};
    MAAS_TRY(maas_ref_check(c, err));
    maas_strides(x->dims, x->rank, strides);
    for (int i = 0; i < y->rank; i++) {
        int k = i - (y->rank - x->rank);
        v.dims[i] = y->dims[i];
        v.stride[i] = k < 0 || x->dims[k] == 1 ? 0 : strides[k];
    }
    maas_view_read(y->data, x->data, &v, maas_dtype_size((maas_dtype)x->dtype));
    return MAAS_OK;
}

static void expand_gradient(maas_grad *g)
{
    g->din[0] = maas_b_reduce_to(g->b, g->dout[0], g->node->in[0]);
}

static void expand_example(maas_example *e)
{
    static const struct {
        int rank, n;
        int64_t dims[3], shape[3];
    } cases[] = {
        {2, 2, {3, 1}, {3, 4}}, {1, 3, {4}, {2, 3, 4}}, {2, 1, {3, 4}, {1}}, {0, 2, {0}, {2, 2}}};
    int k = e->variant / 2 % 4;
    maas_dtype t = e->variant == 8 ? MAAS_STRING : maas_ex_float(e);
    maas_vid x = maas_ex_in(e, t, -2, 2, cases[k].rank, cases[k].dims);
    maas_b_op2(e->b, "Expand", x, maas_b_i64s(e->b, cases[k].shape, cases[k].n));
}

/* ---- Tile ---- */

static maas_status tile_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    int64_t repeats[2 * MAAS_MAX_RANK];
    int n;
    q->out[0] = *x;
    if (x->rank < 0)
        return MAAS_OK;
    if (!maas_q_ints(q, 1, repeats, &n)) {
        for (int i = 0; i < x->rank; i++)
            q->out[0].dims[i] = MAAS_DIM_UNKNOWN;
        return MAAS_OK;
    }
    if (n != x->rank)
        return maas_fail(err, MAAS_E_INVALID, "%d repeats for rank %d", n, x->rank);
    for (int i = 0; i < n; i++) {
        int64_t d = x->dims[i];
        if (repeats[i] < 0)
            return maas_fail(err, MAAS_E_INVALID, "repeat %lld is negative", (long long)repeats[i]);
        if (d < 0)
            d = repeats[i] == 1 ? d : repeats[i] == 0 ? 0 : MAAS_DIM_UNKNOWN;
        else if (__builtin_mul_overflow(d, repeats[i], &d))
            return maas_fail(err, MAAS_E_TOO_LARGE, "axis %d has too many elements", i);
        q->out[0].dims[i] = d;
    }
    return MAAS_OK;
}

/* Each axis becomes two, [repeats][size], the first with stride 0. */
static maas_status tile_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    int64_t strides[MAAS_MAX_RANK];
    maas_view v = {.rank = 2 * x->rank};
    MAAS_TRY(maas_ref_check(c, err));
    maas_strides(x->dims, x->rank, strides);
    for (int i = 0; i < x->rank; i++) {
        v.dims[2 * i] = maas_tensor_get_i64(&c->in[1], i);
        v.dims[2 * i + 1] = x->dims[i];
        v.stride[2 * i + 1] = strides[i];
    }
    maas_view_read(c->out[0].data, x->data, &v, maas_dtype_size((maas_dtype)x->dtype));
    return MAAS_OK;
}

/* dy seen as [r0][d0][r1][d1].., summed over every r. */
static void tile_gradient(maas_grad *g)
{
    maas_builder *b = g->b;
    const maas_vid x = g->node->in[0], repeats = g->node->in[1];
    const maas_type *t = maas_b_type(b, x);
    int64_t even[MAAS_MAX_RANK];
    if (!t)
        return;
    if (t->rank < 0 || t->rank > MAAS_MAX_RANK / 2) {
        b->status = maas_fail(b->err, MAAS_E_UNSUPPORTED,
                              "the gradient of Tile needs an input of rank %d at most",
                              MAAS_MAX_RANK / 2);
        return;
    }
    if (t->rank == 0) {
        g->din[0] = g->dout[0];
        return;
    }
    const int rank = t->rank;
    const maas_vid shape = maas_b_op1(b, "Shape", x);
    maas_vid parts[MAAS_MAX_RANK];
    for (int64_t i = 0; i < rank; i++) {
        maas_vid at = maas_b_i64s(b, &i, 1);
        even[i] = 2 * i;
        parts[2 * i] = maas_b_op2(b, "Gather", repeats, at);
        parts[2 * i + 1] = maas_b_op2(b, "Gather", shape, at);
    }
    const maas_attr axis = MAAS_A_INT("axis", 0), keep = MAAS_A_INT("keepdims", 0);
    maas_vid both = maas_b_node(b, "Concat", &axis, 1, parts, (uint32_t)rank * 2, NULL, 1);
    maas_vid split = maas_b_attr1(b, "Reshape", MAAS_A_INT("allowzero", 1), g->dout[0], both);
    g->din[0] = maas_b_attr1(b, "ReduceSum", keep, split, maas_b_i64s(b, even, rank));
}

static void tile_example(maas_example *e)
{
    static const int64_t repeats[][2] = {{2, 1}, {1, 3}, {0, 2}};
    maas_vid x = maas_ex_in(e, maas_ex_float(e), -2, 2, MAAS_DIMS(2, 3));
    maas_b_op2(e->b, "Tile", x, maas_b_i64s(e->b, repeats[e->variant / 2], 2));
}

static const maas_io_schema expand_in[] = {MAAS_REQ("input", "T", MAAS_DTS_ALL),
                                           MAAS_REQ("shape", NULL, MAAS_DTS_I64)};
static const maas_io_schema tile_in[] = {MAAS_REQ("input", "T", MAAS_DTS_ALL),
                                         MAAS_REQ("repeats", NULL, MAAS_DTS_I64)};
static const maas_io_schema out[] = {MAAS_REQ("output", "T", MAAS_DTS_ALL)};

const maas_op maas_op_Expand = {
    .domain = "",
    .name = "Expand",
    .since = 13,
    .flags = MAAS_OP_STRINGS,
    MAAS_SCHEMA(expand_in, out),
    .n_examples = 9,
    .infer = expand_infer,
    .reference = expand_reference,
    .flops = maas_flops_none,
    .example = expand_example,
    .gradient = expand_gradient,
};

const maas_op maas_op_Tile = {
    .domain = "",
    .name = "Tile",
    .since = 13,
    .flags = MAAS_OP_STRINGS,
    MAAS_SCHEMA(tile_in, out),
    .n_examples = 6,
    .infer = tile_infer,
    .reference = tile_reference,
    .flops = maas_flops_none,
    .example = tile_example,
    .gradient = tile_gradient,
};
