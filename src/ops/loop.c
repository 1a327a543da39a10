/*
 * Loop: while a condition holds, at most M times. The body gets (round, condition, carried values)
 * and returns (condition, carried values, pieces); pieces of all rounds become one tensor each.
 */
#include "ops/loop.h"

#include "base/ban.h"

static maas_status check_scalar(const maas_infer *q, int i, const char *what, maas_err *err)
{
    const maas_type *t = &q->in[i];
    if (maas_q_has(q, i) && (t->rank > 1 || (t->rank == 1 && t->dims[0] >= 0 && t->dims[0] != 1)))
        return maas_fail(err, MAAS_E_INVALID, "%s must be one element", what);
    return MAAS_OK;
}

/* As many pieces as there were rounds, which only the run can tell. */
static maas_status piled_type(const maas_type *piece, maas_type *out, maas_err *err)
{
    if (piece->tag != MAAS_TYPE_TENSOR)
        return maas_fail(err, MAAS_E_INVALID, "a %s cannot be collected round by round",
                         maas_type_words[piece->tag]);
    *out = *piece;
    if (piece->rank < 0)
        return MAAS_OK;
    if (piece->rank == MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_INVALID, "the result has rank %d, at most %d is supported",
                         piece->rank + 1, MAAS_MAX_RANK);
    memmove(out->dims + 1, piece->dims, (size_t)piece->rank * sizeof *out->dims);
    out->dims[0] = MAAS_DIM_UNKNOWN;
    out->rank++;
    return MAAS_OK;
}

static maas_status loop_answers(maas_infer *q, const maas_graph *body, const maas_type *in,
                                int n_carried, maas_err *err)
{
    for (int k = 0; k < n_carried; k++) {
        const maas_type t = maas_body_out(q, body, (uint32_t)(1 + k));
        /* as wide as what is carried, of the kind that the body returns */
        q->out[k] = in[2 + k].tag == t.tag ? in[2 + k] : t;
        if (in[2 + k].tag != t.tag)
            q->out[k].rank = MAAS_RANK_UNKNOWN;
    }
    for (int k = n_carried; k < q->node->n_out; k++) {
        const maas_type t = maas_body_out(q, body, (uint32_t)(1 + k));
        MAAS_TRY(piled_type(&t, &q->out[k], err));
    }
    return MAAS_OK;
}

static maas_status loop_infer(maas_infer *q, maas_err *err)
{
    const int n = maas_n_own_in(q->node), n_carried = n > 2 ? n - 2 : 0;
    maas_graph *body = maas_body_of(q->node, "body");
    MAAS_TRY(check_scalar(q, 0, "M", err));
    MAAS_TRY(check_scalar(q, 1, "cond", err));
    if ((int)body->n_outputs < 1 + n_carried || (int)body->n_outputs != 1 + q->node->n_out)
        return maas_fail(err, MAAS_E_INVALID,
                         "its graph has %u outputs; the condition, %d carried values and what is "
                         "collected make %d",
                         body->n_outputs, n_carried, 1 + q->node->n_out);
    AUTO_FREE maas_type *in = maas_calloc((size_t)n_carried + 2, sizeof *in);
    if (!in)
        return maas_fail(err, MAAS_E_NOMEM, "types of %d carried values", n_carried);
    in[0] = maas_type_tensor(MAAS_I64, 0, NULL);
    in[1] = maas_type_tensor(MAAS_BOOL, 0, NULL);
    memcpy(in + 2, q->in + 2, (size_t)n_carried * sizeof *in);
    MAAS_TRY(maas_rounds_infer(q, body, in, n_carried + 2, 2, 1, n_carried, err));
    const maas_type cond = maas_body_out(q, body, 0);
    if (cond.tag != MAAS_TYPE_TENSOR || cond.dtype != MAAS_BOOL)
        return maas_fail(err, MAAS_E_INVALID, "the condition that its graph returns is no bool");
    return loop_answers(q, body, in, n_carried, err);
}

/* ---- running ---- */

static maas_status one_bool(const maas_tensor *t, bool *out, maas_err *err)
{
    if (maas_n_elems(t) != 1)
        return maas_fail(err, MAAS_E_INVALID, "the condition must be one element");
    *out = *(const uint8_t *)t->data != 0;
    return MAAS_OK;
}

static maas_status limits_of(const maas_call *c, int64_t *out_n, bool *out_go, maas_err *err)
{
    const maas_tensor *n = maas_c_in(c, 0), *cond = maas_c_in(c, 1);
    *out_n = INT64_MAX;
    *out_go = true;
    if (n && maas_n_elems(n) != 1)
        return maas_fail(err, MAAS_E_INVALID, "M must be one element");
    if (n)
        *out_n = maas_tensor_get_i64(n, 0);
    return cond ? one_bool(cond, out_go, err) : MAAS_OK;
}

/* The kind of value that the output is said to be, when the body's input is another. */
static maas_status give(const maas_call *c, int k, const maas_tensor *t, const maas_type *want,
                        maas_err *err)
{
    if (t->holds == MAAS_OPTIONAL && want->tag != MAAS_TYPE_OPTIONAL) {
        if (t->dims[0] == 0)
            return maas_fail(err, MAAS_E_INVALID, "carried value %d stayed an empty optional", k);
        t = maas_list_items(t);
    }
    return maas_ref_take(c, k, t, err);
}

static maas_status finish(maas_rounds *r, maas_err *err)
{
    const maas_call *c = r->c;
    for (int k = 0; k < r->n_carried; k++) {
        const maas_vid v = r->body->outputs[1 + k];
        MAAS_TRY(give(c, k, &r->in[2 + k], &maas_graph_at(r->body, v)->type, err));
    }
    for (int k = 0; k < r->n_piles; k++) {
        maas_tensor piece;
        int64_t dims[MAAS_MAX_RANK];
        maas_rounds_piece(r, k, &piece);
        if (piece.rank == MAAS_MAX_RANK)
            return maas_fail(err, MAAS_E_INVALID, "what is collected has too many dimensions");
        dims[0] = r->piles[k].n;
        memcpy(dims + 1, piece.dims, (size_t)piece.rank * sizeof *dims);
        MAAS_TRY(maas_ref_alloc(c, r->n_carried + k, piece.rank + 1, dims, err));
        if (maas_c_wants(c, r->n_carried + k) && r->piles[k].n_bytes)
            memcpy(c->out[r->n_carried + k].data, r->piles[k].data, r->piles[k].n_bytes);
    }
    return MAAS_OK;
}

static maas_status loop_rounds(maas_rounds *r, maas_err *err)
{
    const maas_call *c = r->c;
    int64_t n, round = 0;
    bool go;
    uint8_t cond = 1;
    MAAS_TRY(limits_of(c, &n, &go, err));
    for (int k = 0; k < r->n_carried; k++)
        MAAS_TRY(maas_rounds_begin(r, k, &c->in[2 + k], err));
    r->in[0] = maas_tensor_of(MAAS_I64, 0, NULL, &round);
    r->in[1] = maas_tensor_of(MAAS_BOOL, 0, NULL, &cond);
    for (; round < n && go; round++) {
        MAAS_TRY(maas_rounds_run(r, err));
        MAAS_TRY(one_bool(&r->out[0], &go, err));
    }
    return finish(r, err);
}

static maas_status loop_reference(const maas_call *c, maas_err *err)
{
    const int n = maas_n_own_in(c->node);
    maas_rounds r;
    maas_status st = maas_rounds_init(&r, c, 2, 1, n > 2 ? n - 2 : 0, err);
    if (st == MAAS_OK)
        st = loop_rounds(&r, err);
    maas_rounds_reset(&r);
    return st;
}

/* x doubles each round, at most four times and while its first element is small. */
static maas_graph *doubling(maas_example *e, maas_dtype t)
{
    const maas_type i64 = maas_type_tensor(MAAS_I64, 0, NULL),
                    yes = maas_type_tensor(MAAS_BOOL, 0, NULL);
    const maas_type type = maas_type_tensor(t, 1, (const int64_t[]){3});
    maas_graph *g = NULL;
    maas_builder b;
    maas_vid round = MAAS_NO_VALUE, cond = MAAS_NO_VALUE, x = MAAS_NO_VALUE;
    if (maas_graph_create("doubling", NULL, &g, e->b->err) != MAAS_OK)
        return NULL;
    maas_builder_init(&b, g, e->b->err);
    b.status = maas_graph_input(g, "round", &i64, &round, e->b->err);
    if (b.status == MAAS_OK)
        b.status = maas_graph_input(g, "cond", &yes, &cond, e->b->err);
    if (b.status == MAAS_OK)
        b.status = maas_graph_input(g, "x", &type, &x, e->b->err);
    const maas_vid y = MAAS_B_ADD(&b, x, x);
    const maas_vid sum = maas_b_attr1(&b, "ReduceSum", MAAS_A_INT("keepdims", 0), y, MAAS_NO_VALUE);
    maas_b_output(&b, NULL, maas_b_op2(&b, "Less", sum, maas_b_scalar(&b, t, 20)));
    maas_b_output(&b, NULL, y);
    maas_b_output(&b, NULL, maas_b_op1(&b, "Neg", y));
    if (e->b->status == MAAS_OK)
        e->b->status = b.status;
    return g;
}

static void loop_example(maas_example *e)
{
    const maas_dtype t = maas_ex_float(e);
    const maas_attr body = MAAS_A_GRAPH("body", doubling(e, t));
    maas_vid out[2];
    const maas_vid in[] = {e->variant / 2 ? MAAS_NO_VALUE : maas_b_i64(e->b, 4), MAAS_NO_VALUE,
                           maas_ex_in(e, t, 1, 2, MAAS_DIMS(3))};
    maas_b_node(e->b, "Loop", &body, 1, in, 3, out, 2);
}

static const maas_io_schema loop_in[] = {MAAS_OPT("M", NULL, MAAS_DTS_I64),
                                         MAAS_OPT("cond", NULL, MAAS_DTS_BOOL),
                                         {.name = "v_initial",
                                          .dtypes = MAAS_DTS_ALL,
                                          .tags = MAAS_TAGS_ANY,
                                          .optional = true,
                                          .variadic = true}};
static const maas_io_schema loop_out[] = {{.name = "v_final_and_scan_outputs",
                                           .dtypes = MAAS_DTS_ALL,
                                           .tags = MAAS_TAGS_ANY,
                                           .variadic = true}};
static const maas_attr_schema body_attr[] = {{"body", MAAS_ATTR_GRAPH, true}};

const maas_op maas_op_Loop = {
    .domain = "",
    .name = "Loop",
    .since = 16,
    .flags = MAAS_OP_CONTROL | MAAS_OP_STRINGS,
    MAAS_SCHEMA(loop_in, loop_out),
    MAAS_ATTRS(body_attr),
    .n_examples = 4,
    .infer = loop_infer,
    .reference = loop_reference,
    .flops = maas_flops_none,
    .example = loop_example,
    .no_gradient = "gradients do not go through control flow",
};
