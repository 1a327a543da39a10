/*
 * Scan as it was in opset 8: everything has a batch in front, (sequence_lens, states, scan inputs),
 * and each batch is a Scan of its own, as long as it says; what is collected behind that is zero.
 * Graphs read from such files have this operator of ours in place of the standard's.
 */
#include "ops/scan.h"

#include "base/ban.h"

static maas_type without(const maas_type *t, int n)
{
    maas_type out = *t;
    out.rank = t->rank < n ? MAAS_RANK_UNKNOWN : (int8_t)(t->rank - n);
    for (int i = 0; i < out.rank; i++)
        out.dims[i] = t->dims[i + n];
    return out;
}

static maas_type with(const maas_type *t, int64_t batch, int64_t n, bool piece)
{
    const int more = piece ? 2 : 1;
    maas_type out = *t;
    if (t->rank < 0 || t->rank + more > MAAS_MAX_RANK) {
        out.rank = MAAS_RANK_UNKNOWN;
        return out;
    }
    memmove(out.dims + more, t->dims, (size_t)t->rank * sizeof *out.dims);
    out.dims[0] = batch;
    if (piece)
        out.dims[1] = n;
    out.rank = (int8_t)(t->rank + more);
    return out;
}

static maas_status leading(const maas_infer *q, int n_state, int n_scan, int64_t *batch, int64_t *n,
                           maas_err *err)
{
    for (int i = 1; i < 1 + n_state + n_scan; i++) {
        const maas_type *t = &q->in[i];
        const int needed = i > n_state ? 2 : 1;
        if (t->rank < 0)
            continue;
        if (t->rank < needed)
            return maas_fail(err, MAAS_E_INVALID, "input %d has no batch, or no slices", i);
        MAAS_TRY(maas_dim_same(*batch, t->dims[0], batch, "batches", err));
        if (needed == 2)
            MAAS_TRY(maas_dim_same(*n, t->dims[1], n, "slices of scan inputs", err));
    }
    return MAAS_OK;
}

static maas_status batch_infer(maas_infer *q, maas_err *err)
{
    const int n_in = maas_n_own_in(q->node) - 1;
    int n_state = 0, n_scan = 0;
    int64_t batch = MAAS_DIM_UNKNOWN, n = MAAS_DIM_UNKNOWN, back[UINT8_MAX + 1];
    maas_graph *body = maas_body_of(q->node, "body");
    MAAS_TRY(maas_scan_counts(q->node, n_in, &n_state, &n_scan, err));
    if (n_scan > UINT8_MAX)
        return maas_fail(err, MAAS_E_TOO_LARGE, "%d scan inputs", n_scan);
    MAAS_TRY(maas_scan_list(q->node, "directions", n_scan, back, err));
    MAAS_TRY(leading(q, n_state, n_scan, &batch, &n, err));
    AUTO_FREE maas_type *in = maas_calloc((size_t)n_in, sizeof *in);
    if (!in)
        return maas_fail(err, MAAS_E_NOMEM, "types of %d inputs", n_in);
    for (int k = 0; k < n_in; k++)
        in[k] = without(&q->in[1 + k], k < n_state ? 1 : 2);
    MAAS_TRY(maas_rounds_infer(q, body, in, n_in, 0, 0, n_state, err));
    for (uint32_t k = 0; k < q->node->n_out; k++) {
        const maas_type t = (int)k < n_state ? in[k] : maas_body_out(q, body, k);
        if (t.tag != MAAS_TYPE_TENSOR)
            return maas_fail(err, MAAS_E_INVALID, "output %u is no tensor", k);
        q->out[k] = with(&t, batch, n, (int)k >= n_state);
    }
    return MAAS_OK;
}

/* ---- running ---- */

/* Element b of the batch. */
static maas_tensor view_of(const maas_tensor *t, int64_t b)
{
    maas_tensor v = *t;
    v.rank--;
    memmove(v.dims, t->dims + 1, (size_t)v.rank * sizeof *v.dims);
    v.data = (char *)t->data + (size_t)b * maas_tensor_bytes(&v);
    return v;
}

static maas_status put_output(const maas_call *c, int k, int64_t b, int64_t batch, int64_t n,
                              const maas_tensor *value, const maas_pile *pile, maas_err *err)
{
    const int more = pile ? 2 : 1;
    int64_t dims[MAAS_MAX_RANK + 2] = {batch, n};
    if (!maas_c_wants(c, k))
        return MAAS_OK;
    if (value->rank + more > MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_INVALID, "output %d has too many dimensions", k);
    memcpy(dims + more, value->dims, (size_t)value->rank * sizeof *dims);
    if (b == 0) {
        MAAS_TRY(maas_ref_alloc(c, k, value->rank + more, dims, err));
        memset(c->out[k].data, 0, maas_tensor_bytes(&c->out[k]));
    }
    const maas_tensor to = view_of(&c->out[k], b);
    bool same = c->out[k].rank == value->rank + more;
    for (int i = more; same && i < c->out[k].rank; i++)
        same = c->out[k].dims[i] == dims[i];
    if (!same)
        return maas_fail(err, MAAS_E_INVALID, "output %d differs in shape between batches", k);
    if (pile && pile->n_bytes)
        memcpy(to.data, pile->data, pile->n_bytes);
    else if (!pile && maas_tensor_bytes(&to))
        memcpy(to.data, value->data, maas_tensor_bytes(&to));
    return MAAS_OK;
}

static maas_status put_outputs(maas_rounds *r, int64_t b, int64_t batch, int64_t n, maas_err *err)
{
    for (int k = 0; k < r->n_carried; k++)
        MAAS_TRY(put_output(r->c, k, b, batch, n, &r->in[k], NULL, err));
    for (int k = 0; k < r->n_piles; k++) {
        maas_tensor piece;
        maas_rounds_piece(r, k, &piece);
        MAAS_TRY(put_output(r->c, r->n_carried + k, b, batch, n, &piece, &r->piles[k], err));
    }
    return MAAS_OK;
}

static maas_status one_batch(const maas_call *c, maas_scan *s, int64_t b, int64_t batch, int64_t n,
                             maas_err *err)
{
    const maas_tensor *lens = maas_c_in(c, 0);
    maas_tensor *views = maas_arena_array(c->arena, (size_t)(s->n_state + s->n_scan),
                                          sizeof *views);
    if (!views)
        return maas_fail(err, MAAS_E_NOMEM, "views of a batch");
    for (int k = 0; k < s->n_state + s->n_scan; k++)
        views[k] = view_of(&c->in[1 + k], b);
    s->state = views;
    s->scan = views + s->n_state;
    s->n = lens ? maas_tensor_get_i64(lens, b) : n;
    if (s->n < 0 || s->n > n)
        return maas_fail(err, MAAS_E_INVALID, "sequence %lld has length %lld, of %lld",
                         (long long)b, (long long)s->n, (long long)n);
    maas_rounds r;
    maas_status st = maas_rounds_init(&r, c, 0, 0, s->n_state, err);
    if (st == MAAS_OK)
        st = maas_scan_run(&r, s, err);
    if (st == MAAS_OK)
        st = put_outputs(&r, b, batch, n, err);
    maas_rounds_reset(&r);
    return st;
}

static maas_status batch_reference(const maas_call *c, maas_err *err)
{
    static const int64_t first[UINT8_MAX + 1];
    int64_t back[UINT8_MAX + 1], batch = -1, n = -1;
    maas_scan s = {.axes = first, .backwards = back};
    MAAS_TRY(maas_scan_counts(c->node, maas_n_own_in(c->node) - 1, &s.n_state, &s.n_scan, err));
    MAAS_TRY(maas_scan_list(c->node, "directions", s.n_scan, back, err));
    for (int k = 0; k < s.n_state + s.n_scan; k++) {
        const maas_tensor *t = &c->in[1 + k];
        if (t->rank < (k < s.n_state ? 1 : 2) || (batch >= 0 && t->dims[0] != batch) ||
            (k >= s.n_state && n >= 0 && t->dims[1] != n))
            return maas_fail(err, MAAS_E_INVALID, "input %d has another batch or length", 1 + k);
        batch = t->dims[0];
        n = k < s.n_state ? n : t->dims[1];
    }
    const maas_tensor *lens = maas_c_in(c, 0);
    if (lens && maas_n_elems(lens) != batch)
        return maas_fail(err, MAAS_E_INVALID, "a length for each of %lld batches is needed",
                         (long long)batch);
    if (batch == 0)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "a Scan of opset 8 over no batch");
    for (int64_t b = 0; b < batch; b++)
        MAAS_TRY(one_batch(c, &s, b, batch, n, err));
    return MAAS_OK;
}

/* ---- example and row ---- */

static void batch_example(maas_example *e)
{
    static const int64_t lens[] = {3, 1}, back = 1;
    const maas_dtype t = maas_ex_float(e);
    const maas_attr attr[] = {MAAS_A_INT("num_scan_inputs", 1),
                              MAAS_A_GRAPH("body", maas_scan_sum(e, t)),
                              MAAS_A_INTS("directions", &back, 1)};
    const maas_vid sum = maas_ex_in(e, t, -1, 1, MAAS_DIMS(2, 2));
    const maas_vid in[] = {e->variant / 2 ? maas_b_i64s(e->b, lens, 2) : MAAS_NO_VALUE, sum,
                           maas_ex_in(e, t, -1, 1, MAAS_DIMS(2, 3, 2))};
    maas_vid out[2];
    maas_b_node(e->b, "BatchedScan", attr, 2 + (uint32_t)(e->variant / 2), in, 3, out, 2);
}

#define SCANNED (MAAS_DTS_ALL & ~MAAS_DTS_STR)
static const maas_io_schema batch_in[] = {MAAS_OPT("sequence_lens", NULL, MAAS_DTS_I64),
                                          {.name = "initial_state_and_scan_inputs",
                                           .dtypes = SCANNED,
                                           .optional = true,
                                           .variadic = true}};
static const maas_io_schema batch_out[] = {
    {.name = "final_state_and_scan_outputs", .dtypes = SCANNED, .variadic = true}};
static const maas_attr_schema batch_attrs[] = {{"body", MAAS_ATTR_GRAPH, true},
                                               {"num_scan_inputs", MAAS_ATTR_INT, true},
                                               {"directions", MAAS_ATTR_INTS, false}};

const maas_op maas_op_BatchedScan = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "BatchedScan",
    .since = 1,
    .flags = MAAS_OP_CONTROL,
    MAAS_SCHEMA(batch_in, batch_out),
    MAAS_ATTRS(batch_attrs),
    .n_examples = 4,
    .infer = batch_infer,
    .reference = batch_reference,
    .flops = maas_flops_none,
    .example = batch_example,
    .no_gradient = "gradients do not go through control flow",
};
