/*
 * Scan: the body once for each slice of the scan inputs, in step; it gets (states, slices) and
 * returns (states, pieces). Pieces of all rounds become one tensor each, along an axis.
 */
#include "ops/scan.h"

#include "base/ban.h"

/* ---- attributes ---- */

maas_status maas_scan_list(const maas_node *node, const char *attr, int n, int64_t *out,
                           maas_err *err)
{
    uint32_t have;
    const int64_t *v = maas_attr_ints(node, attr, &have);
    memset(out, 0, (size_t)n * sizeof *out);
    if (!v)
        return MAAS_OK;
    if (have != (uint32_t)n)
        return maas_fail(err, MAAS_E_INVALID, "attribute '%s' has %u numbers, %d are needed", attr,
                         have, n);
    memcpy(out, v, (size_t)n * sizeof *out);
    return MAAS_OK;
}

maas_status maas_scan_counts(const maas_node *n, int n_in, int *out_state, int *out_scan,
                             maas_err *err)
{
    const int64_t m = maas_attr_i(n, "num_scan_inputs", 0);
    if (m < 1 || m > n_in)
        return maas_fail(err, MAAS_E_INVALID, "num_scan_inputs is %lld, of %d inputs", (long long)m,
                         n_in);
    *out_scan = (int)m;
    *out_state = n_in - (int)m;
    const maas_graph *body = maas_body_of(n, "body");
    if ((int)body->n_inputs != n_in || body->n_outputs != n->n_out || n->n_out < *out_state)
        return maas_fail(
            err, MAAS_E_INVALID,
            "its graph has %u inputs and %u outputs, the node %d and %d, with %d states",
            body->n_inputs, body->n_outputs, n_in, n->n_out, *out_state);
    return MAAS_OK;
}

/* ---- running ---- */

static maas_status take_slice(maas_rounds *r, const maas_scan *s, int k, int64_t i, maas_err *err)
{
    const maas_tensor *x = &s->scan[k];
    const int axis = (int)s->axes[k];
    const maas_split3 at = maas_around(x, axis);
    const size_t row = (size_t)at.inner * maas_dtype_size((maas_dtype)x->dtype);
    const int64_t from = s->backwards[k] ? at.n - 1 - i : i;
    maas_tensor *to = &r->in[s->n_state + k];
    if (i == 0) {
        *to = *x;
        to->rank--;
        memmove(to->dims + axis, to->dims + axis + 1, (size_t)(to->rank - axis) * sizeof *to->dims);
        if (!(to->data = maas_arena_alloc(r->c->arena, maas_tensor_bytes(to))))
            return maas_fail(err, MAAS_E_NOMEM, "a slice of %zu bytes", maas_tensor_bytes(to));
    }
    for (int64_t o = 0; o < at.outer; o++)
        memcpy((char *)to->data + (size_t)o * row,
               (const char *)x->data + (size_t)(o * at.n + from) * row, row);
    return MAAS_OK;
}

maas_status maas_scan_run(maas_rounds *r, const maas_scan *s, maas_err *err)
{
    for (int k = 0; k < s->n_state; k++)
        MAAS_TRY(maas_rounds_begin(r, k, &s->state[k], err));
    for (int64_t i = 0; i < s->n; i++) {
        for (int k = 0; k < s->n_scan; k++)
            MAAS_TRY(take_slice(r, s, k, i, err));
        MAAS_TRY(maas_rounds_run(r, err));
    }
    return MAAS_OK;
}

/* Pieces along `axis` of the result, the first round last when it goes backwards. */
static maas_status place_pile(maas_rounds *r, int k, int64_t axis, bool backwards, maas_err *err)
{
    const maas_pile *p = &r->piles[k];
    const int out = r->n_carried + k;
    maas_tensor piece;
    int64_t dims[MAAS_MAX_RANK];
    int at;
    maas_rounds_piece(r, k, &piece);
    if (piece.rank == MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_INVALID, "what is collected has too many dimensions");
    MAAS_TRY(maas_axis(axis, piece.rank + 1, &at, err));
    for (int i = 0; i <= piece.rank; i++)
        dims[i] = i == at ? p->n : piece.dims[i - (i > at)];
    MAAS_TRY(maas_ref_alloc(r->c, out, piece.rank + 1, dims, err));
    if (!maas_c_wants(r->c, out) || !p->n_bytes)
        return MAAS_OK;
    const maas_split3 s = maas_around(&r->c->out[out], at);
    const size_t row = (size_t)s.inner * maas_dtype_size((maas_dtype)piece.dtype);
    for (int64_t i = 0; i < p->n; i++)
        for (int64_t o = 0; o < s.outer; o++)
            memcpy((char *)r->c->out[out].data +
                       (size_t)(o * s.n + (backwards ? p->n - 1 - i : i)) * row,
                   p->data + (size_t)(i * s.outer + o) * row, row);
    return MAAS_OK;
}

static maas_status finish(maas_rounds *r, maas_err *err)
{
    int64_t axes[UINT8_MAX + 1], back[UINT8_MAX + 1];
    for (int k = 0; k < r->n_carried; k++)
        MAAS_TRY(maas_ref_take(r->c, k, &r->in[k], err));
    MAAS_TRY(maas_scan_list(r->c->node, "scan_output_axes", r->n_piles, axes, err));
    MAAS_TRY(maas_scan_list(r->c->node, "scan_output_directions", r->n_piles, back, err));
    for (int k = 0; k < r->n_piles; k++)
        MAAS_TRY(place_pile(r, k, axes[k], back[k] != 0, err));
    return MAAS_OK;
}

static maas_status scan_rounds(maas_rounds *r, int n_state, int n_scan, maas_err *err)
{
    const maas_call *c = r->c;
    int64_t axes[UINT8_MAX + 1], back[UINT8_MAX + 1];
    maas_scan s = {n_state, n_scan, c->in, c->in + n_state, axes, back, 0};
    MAAS_TRY(maas_scan_list(c->node, "scan_input_axes", n_scan, axes, err));
    MAAS_TRY(maas_scan_list(c->node, "scan_input_directions", n_scan, back, err));
    for (int k = 0; k < n_scan; k++) {
        int axis;
        MAAS_TRY(maas_axis(axes[k], s.scan[k].rank, &axis, err));
        axes[k] = axis;
        if (k && s.scan[k].dims[axis] != s.n)
            return maas_fail(err, MAAS_E_INVALID, "scan inputs have %lld and %lld slices",
                             (long long)s.n, (long long)s.scan[k].dims[axis]);
        s.n = s.scan[k].dims[axis];
    }
    MAAS_TRY(maas_scan_run(r, &s, err));
    return finish(r, err);
}

static maas_status scan_reference(const maas_call *c, maas_err *err)
{
    int n_state = 0, n_scan = 0;
    maas_rounds r;
    MAAS_TRY(maas_scan_counts(c->node, maas_n_own_in(c->node), &n_state, &n_scan, err));
    maas_status st = maas_rounds_init(&r, c, 0, 0, n_state, err);
    if (st == MAAS_OK)
        st = scan_rounds(&r, n_state, n_scan, err);
    maas_rounds_reset(&r);
    return st;
}

/* ---- inference ---- */

static maas_status slice_type(const maas_type *x, int64_t axis, maas_type *out, int64_t *n,
                              maas_err *err)
{
    int at;
    *out = *x;
    if (x->rank < 0)
        return MAAS_OK;
    MAAS_TRY(maas_axis(axis, x->rank, &at, err));
    MAAS_TRY(maas_dim_same(*n, x->dims[at], n, "slices of scan inputs", err));
    out->rank--;
    memmove(out->dims + at, out->dims + at + 1, (size_t)(out->rank - at) * sizeof *out->dims);
    return MAAS_OK;
}

static maas_status stacked_type(const maas_type *piece, int64_t axis, int64_t n, maas_type *out,
                                maas_err *err)
{
    int at;
    if (piece->tag != MAAS_TYPE_TENSOR || piece->rank == MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_INVALID, "what is collected must be a tensor of rank below %d",
                         MAAS_MAX_RANK);
    *out = *piece;
    if (piece->rank < 0)
        return MAAS_OK;
    MAAS_TRY(maas_axis(axis, piece->rank + 1, &at, err));
    out->rank++;
    memmove(out->dims + at + 1, piece->dims + at, (size_t)(piece->rank - at) * sizeof *out->dims);
    out->dims[at] = n;
    return MAAS_OK;
}

static maas_status input_types(maas_infer *q, int n_state, int n_scan, maas_type *in, int64_t *n,
                               maas_err *err)
{
    int64_t axes[UINT8_MAX + 1], back[UINT8_MAX + 1];
    if (n_scan > UINT8_MAX || q->node->n_out > UINT8_MAX)
        return maas_fail(err, MAAS_E_TOO_LARGE, "%d scan inputs and %d outputs, at most %d", n_scan,
                         q->node->n_out, UINT8_MAX);
    MAAS_TRY(maas_scan_list(q->node, "scan_input_axes", n_scan, axes, err));
    MAAS_TRY(maas_scan_list(q->node, "scan_input_directions", n_scan, back, err));
    for (int k = 0; k < n_state; k++)
        in[k] = q->in[k];
    for (int k = 0; k < n_scan; k++)
        MAAS_TRY(slice_type(&q->in[n_state + k], axes[k], &in[n_state + k], n, err));
    return MAAS_OK;
}

static maas_status scan_infer(maas_infer *q, maas_err *err)
{
    const int n_in = maas_n_own_in(q->node);
    int n_state = 0, n_scan = 0;
    int64_t n = MAAS_DIM_UNKNOWN, axes[UINT8_MAX + 1], back[UINT8_MAX + 1];
    maas_graph *body = maas_body_of(q->node, "body");
    MAAS_TRY(maas_scan_counts(q->node, n_in, &n_state, &n_scan, err));
    AUTO_FREE maas_type *in = maas_calloc((size_t)n_in, sizeof *in);
    if (!in)
        return maas_fail(err, MAAS_E_NOMEM, "types of %d inputs", n_in);
    MAAS_TRY(input_types(q, n_state, n_scan, in, &n, err));
    MAAS_TRY(maas_rounds_infer(q, body, in, n_in, 0, 0, n_state, err));
    const int n_piles = q->node->n_out - n_state;
    MAAS_TRY(maas_scan_list(q->node, "scan_output_axes", n_piles, axes, err));
    MAAS_TRY(maas_scan_list(q->node, "scan_output_directions", n_piles, back, err));
    memcpy(q->out, in, (size_t)n_state * sizeof *in);
    for (int k = 0; k < n_piles; k++) {
        const maas_type t = maas_body_out(q, body, (uint32_t)(n_state + k));
        MAAS_TRY(stacked_type(&t, axes[k], n, &q->out[n_state + k], err));
    }
    return MAAS_OK;
}

/* ---- example and row ---- */

maas_graph *maas_scan_sum(maas_example *e, maas_dtype t)
{
    const maas_type type = maas_type_tensor(t, 1, (const int64_t[]){2});
    maas_graph *g = NULL;
    maas_builder b;
    maas_vid sum = MAAS_NO_VALUE, x = MAAS_NO_VALUE;
    if (maas_graph_create("running_sum", NULL, &g, e->b->err) != MAAS_OK)
        return NULL;
    maas_builder_init(&b, g, e->b->err);
    b.status = maas_graph_input(g, "sum", &type, &sum, e->b->err);
    if (b.status == MAAS_OK)
        b.status = maas_graph_input(g, "x", &type, &x, e->b->err);
    const maas_vid y = MAAS_B_ADD(&b, sum, x);
    maas_b_output(&b, NULL, y);
    maas_b_output(&b, NULL, MAAS_B_ADD(&b, y, y));
    if (e->b->status == MAAS_OK)
        e->b->status = b.status;
    return g;
}

static void scan_example(maas_example *e)
{
    static const int64_t last = -1, back = 1;
    const maas_dtype t = maas_ex_float(e);
    const int k = e->variant / 2; /* forwards along axis 0; backwards along the last; no slices */
    const maas_attr attr[] = {
        MAAS_A_INT("num_scan_inputs", 1),          MAAS_A_GRAPH("body", maas_scan_sum(e, t)),
        MAAS_A_INTS("scan_input_axes", &last, 1),  MAAS_A_INTS("scan_input_directions", &back, 1),
        MAAS_A_INTS("scan_output_axes", &last, 1), MAAS_A_INTS("scan_output_directions", &back, 1)};
    const maas_vid sum = maas_ex_in(e, t, -1, 1, MAAS_DIMS(2));
    const maas_vid in[] = {sum, maas_ex_in(e, t, -1, 1, 2,
                                           (const int64_t[]){k == 1   ? 2
                                                             : k == 2 ? 0
                                                                      : 4,
                                                             k == 1 ? 3 : 2})};
    maas_vid out[2];
    maas_b_node(e->b, "Scan", attr, k == 1 ? 6 : 2, in, 2, out, 2);
}

static const maas_io_schema scan_in[] = {
    {.name = "initial_state_and_scan_inputs", .dtypes = MAAS_DTS_ALL, .variadic = true}};
static const maas_io_schema scan_out[] = {
    {.name = "final_state_and_scan_outputs", .dtypes = MAAS_DTS_ALL, .variadic = true}};
static const maas_attr_schema scan_attrs[] = {{"body", MAAS_ATTR_GRAPH, true},
                                              {"num_scan_inputs", MAAS_ATTR_INT, true},
                                              {"scan_input_axes", MAAS_ATTR_INTS, false},
                                              {"scan_input_directions", MAAS_ATTR_INTS, false},
                                              {"scan_output_axes", MAAS_ATTR_INTS, false},
                                              {"scan_output_directions", MAAS_ATTR_INTS, false}};

const maas_op maas_op_Scan = {
    .domain = "",
    .name = "Scan",
    .since = 11,
    .flags = MAAS_OP_CONTROL | MAAS_OP_STRINGS,
    MAAS_SCHEMA(scan_in, scan_out),
    MAAS_ATTRS(scan_attrs),
    .n_examples = 6,
    .infer = scan_infer,
    .reference = scan_reference,
    .flops = maas_flops_none,
    .example = scan_example,
    .no_gradient = "gradients do not go through control flow",
};
