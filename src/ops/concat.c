/* Concat and Split: blocks of whole rows, in one direction and the other. Strings too. */
#include "ops/ops_int.h"

#include "base/ban.h"

/* ---- Concat ---- */

static void concat_known(maas_infer *q)
{
    maas_known r = {.rank = 1, .exact = true};
    for (int i = 0; i < q->node->n_in; i++) {
        const maas_known *k = &q->in_known[i];
        if (k->n < 0 || k->rank != 1 || r.n + k->n > 2 * MAAS_MAX_RANK)
            return;
        for (int j = 0; j < k->n; j++)
            r.v[r.n++] = k->v[j];
        r.exact = r.exact && k->exact;
    }
    /* Among symbols a negative number could be taken for one. */
    for (int i = 0; i < q->node->n_in && !r.exact; i++)
        for (int j = 0; j < q->in_known[i].n; j++)
            if (q->in_known[i].exact && q->in_known[i].v[j] < 0)
                return;
    q->out_known[0] = r;
}

static maas_status concat_infer(maas_infer *q, maas_err *err)
{
    maas_type out = {.rank = MAAS_RANK_UNKNOWN};
    int64_t total = 0;
    int axis = 0;
    for (int i = 0; i < q->node->n_in; i++) {
        const maas_type *x = &q->in[i];
        if (x->rank < 0) {
            maas_q_unranked(q, 0, (maas_dtype)x->dtype);
            return MAAS_OK;
        }
        MAAS_TRY(maas_axis(maas_attr_i(q->node, "axis", 0), x->rank, &axis, err));
        if (i == 0)
            out = *x;
        if (x->rank != out.rank)
            return maas_fail(err, MAAS_E_INVALID, "inputs have ranks %d and %d", out.rank, x->rank);
        for (int d = 0; d < x->rank; d++)
            if (d != axis)
                MAAS_TRY(maas_dim_same(out.dims[d], x->dims[d], &out.dims[d], "Concat", err));
        if (total < 0 || x->dims[axis] < 0)
            total = q->node->n_in == 1 ? x->dims[axis] : MAAS_DIM_UNKNOWN;
        else if (__builtin_add_overflow(total, x->dims[axis], &total))
            return maas_fail(err, MAAS_E_TOO_LARGE, "axis %d has too many elements", axis);
    }
    out.dims[axis] = total;
    q->out[0] = out;
    if (out.rank == 1)
        concat_known(q);
    return MAAS_OK;
}

static maas_status concat_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *y = &c->out[0];
    const int64_t a = maas_attr_i(c->node, "axis", 0);
    const int axis = (int)(a < 0 ? a + y->rank : a);
    const size_t elem = maas_dtype_size((maas_dtype)y->dtype);
    const maas_split3 s = maas_around(y, axis);
    char *to = y->data;
    for (int64_t o = 0; o < s.outer; o++)
        for (int i = 0; i < c->n_in; i++) {
            size_t bytes = (size_t)(c->in[i].dims[axis] * s.inner) * elem;
            if (bytes)
                memcpy(to, (const char *)c->in[i].data + (size_t)o * bytes, bytes);
            to += bytes;
        }
    return MAAS_OK;
}

/* Each input takes its slice of dy; where it lies follows from the sizes before it. */
static void concat_gradient(maas_grad *g)
{
    maas_builder *b = g->b;
    const maas_node *n = g->node;
    const int64_t axis = maas_attr_i(n, "axis", 0);
    maas_vid axes = maas_b_i64s(b, &axis, 1), from = maas_b_i64s(b, (int64_t[]){0}, 1);
    for (int i = 0; i < n->n_in; i++) {
        maas_vid size = maas_b_op2(b, "Gather", maas_b_op1(b, "Shape", n->in[i]), axes);
        maas_vid to = MAAS_B_ADD(b, from, size);
        if (g->want[i])
            g->din[i] = maas_b_op(b, "Slice", g->dout[0], from, to, axes);
        from = to;
    }
}

static void concat_example(maas_example *e)
{
    static const int axes[] = {1, -2, 0};
    maas_dtype t = e->variant == 6 ? MAAS_STRING : maas_ex_float(e);
    int k = e->variant / 2 % 3;
    int64_t dims[3][2] = {{2, 3}, {2, 3}, {2, 3}};
    dims[1][k == 0] = 4;
    dims[2][k == 0] = 0;
    const maas_attr axis = MAAS_A_INT("axis", axes[k]);
    maas_vid in[3];
    for (int i = 0; i < 3; i++)
        in[i] = maas_ex_in(e, t, -2, 2, 2, dims[i]);
    maas_b_node(e->b, "Concat", &axis, 1, in, 3, NULL, 1);
}

/* ---- Split ---- */

/* Sizes along the axis: given by input 1, else even parts, the last one shorter. */
static maas_status split_sizes(const maas_infer *q, int64_t whole, int64_t *size, maas_err *err)
{
    const maas_node *n = q->node;
    if (!maas_q_has(q, 1)) {
        int64_t parts = maas_attr_i(n, "num_outputs", n->n_out);
        if (parts != n->n_out)
            return maas_fail(err, MAAS_E_INVALID, "num_outputs is %lld, the node has %d",
                             (long long)parts, n->n_out);
        int64_t each = whole / parts + (whole % parts != 0);
        for (int i = 0; i < n->n_out; i++) {
            int64_t left = whole - each * i;
            size[i] = whole < 0 ? MAAS_DIM_UNKNOWN : left < 0 ? 0 : left < each ? left : each;
        }
        return MAAS_OK;
    }
    const maas_tensor *list = &q->in_data[1];
    int64_t total = 0;
    for (int i = 0; i < n->n_out; i++)
        size[i] = MAAS_DIM_UNKNOWN;
    if (!list->data)
        return MAAS_OK;
    if (list->rank != 1 || list->dims[0] != n->n_out)
        return maas_fail(err, MAAS_E_INVALID, "split must be a vector of %d sizes", n->n_out);
    for (int i = 0; i < n->n_out; i++) {
        size[i] = maas_tensor_get_i64(list, i);
        if (size[i] < 0 || __builtin_add_overflow(total, size[i], &total))
            return maas_fail(err, MAAS_E_INVALID, "split: size %lld", (long long)size[i]);
    }
    if (whole >= 0 && total != whole)
        return maas_fail(err, MAAS_E_INVALID, "split sizes add up to %lld, the axis has %lld",
                         (long long)total, (long long)whole);
    return MAAS_OK;
}

static maas_status split_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    int axis;
    if (x->rank < 0) {
        for (int k = 0; k < q->node->n_out; k++)
            maas_q_unranked(q, k, (maas_dtype)x->dtype);
        return MAAS_OK;
    }
    MAAS_TRY(maas_axis(maas_attr_i(q->node, "axis", 0), x->rank, &axis, err));
    AUTO_FREE int64_t *size = maas_calloc(q->node->n_out, sizeof *size);
    if (!size)
        return maas_fail(err, MAAS_E_NOMEM, "Split");
    MAAS_TRY(split_sizes(q, x->dims[axis], size, err));
    for (int k = 0; k < q->node->n_out; k++) {
        q->out[k] = *x;
        q->out[k].dims[axis] = size[k];
    }
    return MAAS_OK;
}

static maas_status split_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *list = maas_c_in(c, 1);
    const int64_t a = maas_attr_i(c->node, "axis", 0);
    const int axis = (int)(a < 0 ? a + x->rank : a);
    const maas_split3 s = maas_around(x, axis);
    const size_t elem = maas_dtype_size((maas_dtype)x->dtype);
    int64_t total = 0;
    for (int k = 0; k < c->n_out; k++) {
        if (list && maas_tensor_get_i64(list, k) != c->out[k].dims[axis])
            return maas_fail(err, MAAS_E_INVALID, "Split: sizes differ from those planned");
        total += c->out[k].dims[axis];
    }
    if (total != s.n || (list && maas_n_elems(list) != c->n_out))
        return maas_fail(err, MAAS_E_INVALID, "Split: sizes differ from those planned");
    const char *from = x->data;
    for (int64_t o = 0; o < s.outer; o++)
        for (int k = 0; k < c->n_out; k++) {
            size_t bytes = (size_t)(c->out[k].dims[axis] * s.inner) * elem;
            if (bytes && c->out[k].data)
                memcpy((char *)c->out[k].data + (size_t)o * bytes, from, bytes);
            from += bytes;
        }
    return MAAS_OK;
}

/* A part nobody used counts as zeros of its shape. */
static void split_gradient(maas_grad *g)
{
    maas_builder *b = g->b;
    const maas_node *n = g->node;
    AUTO_FREE maas_vid *parts = maas_calloc(n->n_out, sizeof *parts);
    if (!parts) {
        b->status = maas_fail(b->err, MAAS_E_NOMEM, "gradient of Split");
        return;
    }
    for (int k = 0; k < n->n_out; k++) {
        parts[k] = g->dout[k];
        if (parts[k] == MAAS_NO_VALUE)
            parts[k] = maas_b_op2(b, "Expand", maas_b_like(b, n->in[0], 0),
                                  maas_b_op1(b, "Shape", n->out[k]));
    }
    const maas_attr axis = MAAS_A_INT("axis", maas_attr_i(n, "axis", 0));
    g->din[0] = maas_b_node(b, "Concat", &axis, 1, parts, n->n_out, NULL, 1);
}

static void split_example(maas_example *e)
{
    static const int64_t sizes[] = {2, 1, 2};
    int k = e->variant / 2;
    const maas_attr axis = MAAS_A_INT("axis", k == 1 ? 0 : -1);
    maas_vid out[3], in[2] = {maas_ex_in(e, maas_ex_float(e), -2, 2, MAAS_DIMS(6, 5))};
    if (k == 0)
        in[1] = maas_b_i64s(e->b, sizes, 3);
    maas_b_node(e->b, "Split", &axis, 1, in, k == 0 ? 2 : 1, out, 3);
}

static const maas_io_schema concat_in[] = {MAAS_VARIADIC("inputs", "T", MAAS_DTS_ALL)};
static const maas_io_schema concat_out[] = {MAAS_REQ("concat_result", "T", MAAS_DTS_ALL)};
static const maas_attr_schema concat_attrs[] = {{"axis", MAAS_ATTR_INT, true}};
static const maas_io_schema split_in[] = {MAAS_REQ("input", "T", MAAS_DTS_ALL),
                                          MAAS_OPT("split", NULL, MAAS_DTS_I64)};
static const maas_io_schema split_out[] = {MAAS_VARIADIC("outputs", "T", MAAS_DTS_ALL)};
static const maas_attr_schema split_attrs[] = {{"axis", MAAS_ATTR_INT, false},
                                               {"num_outputs", MAAS_ATTR_INT, false}};

const maas_op maas_op_Concat = {
    .domain = "",
    .name = "Concat",
    .since = 13,
    .flags = MAAS_OP_STRINGS,
    MAAS_SCHEMA(concat_in, concat_out),
    MAAS_ATTRS(concat_attrs),
    .n_examples = 7,
    .infer = concat_infer,
    .reference = concat_reference,
    .flops = maas_flops_none,
    .example = concat_example,
    .gradient = concat_gradient,
};

const maas_op maas_op_Split = {
    .domain = "",
    .name = "Split",
    .since = 18,
    .flags = MAAS_OP_STRINGS,
    MAAS_SCHEMA(split_in, split_out),
    MAAS_ATTRS(split_attrs),
    .n_examples = 6,
    .infer = split_infer,
    .reference = split_reference,
    .flops = maas_flops_none,
    .example = split_example,
    .gradient = split_gradient,
};
