/*
 * FlexAttention (ai.onnx.preview) with graphs of its own: score_mod changes the scores before the
 * softmax, prob_mod the probabilities after it. Without them the reader makes it an Attention.
 *
 *   P = prob_mod(softmax(score_mod(Q K^T * scale))),  Y = P V
 *
 * Q [b][heads][q][d], K [b][kv_heads][k][d], V [b][kv_heads][k][v]; head h reads the keys of
 * h / (heads / kv_heads). Scores are of softmax_precision: what the graphs take and return.
 */
#include "ops/ops_int.h"

#include <inttypes.h>

#include "base/ban.h"

static const char *const mods[] = {"score_mod", "prob_mod"};
enum { SCORE, PROB, Q = 0, K = 1, V = 2 };

static maas_dtype precision(const maas_node *n, maas_dtype in)
{
    return (maas_dtype)maas_attr_i(n, "softmax_precision", in == MAAS_F64 ? MAAS_F64 : MAAS_F32);
}

/* ---- inference ---- */

static maas_status check_shapes(maas_infer *q, maas_err *err)
{
    static const struct {
        int a, a_dim, b, b_dim;
        const char *what;
    } same[] = {{Q, 0, K, 0, "batch of Q and K"},
                {Q, 0, V, 0, "batch of Q and V"},
                {K, 1, V, 1, "heads of K and V"},
                {K, 2, V, 2, "length of K and V"},
                {Q, 3, K, 3, "head size of Q and K"}};
    int64_t ignored;
    for (int i = Q; i <= V; i++)
        if (q->in[i].rank >= 0 && q->in[i].rank != 4)
            return maas_fail(err, MAAS_E_INVALID, "%s has rank %d, it must have 4",
                             q->node->op->in[i].name, q->in[i].rank);
    for (size_t i = 0; i < MAAS_COUNT(same); i++)
        if (q->in[same[i].a].rank == 4 && q->in[same[i].b].rank == 4)
            MAAS_TRY(maas_dim_same(q->in[same[i].a].dims[same[i].a_dim],
                                   q->in[same[i].b].dims[same[i].b_dim], &ignored, same[i].what,
                                   err));
    const int64_t heads = q->in[Q].rank == 4 ? q->in[Q].dims[1] : MAAS_DIM_UNKNOWN;
    const int64_t shared = q->in[K].rank == 4 ? q->in[K].dims[1] : MAAS_DIM_UNKNOWN;
    if (heads >= 0 && shared >= 0 && (shared == 0 ? heads != 0 : heads % shared != 0))
        return maas_fail(err, MAAS_E_INVALID,
                         "%" PRId64 " heads of Q cannot share %" PRId64 " of K", heads, shared);
    return MAAS_OK;
}

static maas_type score_type(const maas_infer *q)
{
    const maas_type *a = &q->in[Q], *b = &q->in[K];
    const int64_t dims[] = {
        a->rank == 4 ? a->dims[0] : MAAS_DIM_UNKNOWN, a->rank == 4 ? a->dims[1] : MAAS_DIM_UNKNOWN,
        a->rank == 4 ? a->dims[2] : MAAS_DIM_UNKNOWN, b->rank == 4 ? b->dims[2] : MAAS_DIM_UNKNOWN};
    return maas_type_tensor(precision(q->node, (maas_dtype)a->dtype), 4, dims);
}

static maas_status infer_mod(maas_infer *q, int which, maas_err *err)
{
    maas_graph *body = maas_body_of(q->node, mods[which]);
    const maas_type in = score_type(q);
    maas_type joined;
    if (!body)
        return MAAS_OK;
    if (body->n_outputs != 1)
        return maas_fail(err, MAAS_E_INVALID, "%s has %u outputs, 1 is needed", mods[which],
                         body->n_outputs);
    MAAS_TRY(maas_body_infer(q, body, &in, 1, err));
    const maas_type out = maas_body_out(q, body, 0);
    maas_status st = maas_type_join(&in, &out, &joined, err);
    if (st != MAAS_OK)
        maas_err_prefix(err, "%s", mods[which]);
    return st;
}

static maas_status flex_infer(maas_infer *q, maas_err *err)
{
    const int64_t p = maas_attr_i(q->node, "softmax_precision", MAAS_F32);
    if (p < 0 || p > UINT8_MAX || !maas_dtype_in((maas_dtype)p, MAAS_DTS_FLOAT))
        return maas_fail(err, MAAS_E_INVALID, "softmax_precision %" PRId64 " is no float", p);
    MAAS_TRY(check_shapes(q, err));
    MAAS_TRY(infer_mod(q, SCORE, err));
    MAAS_TRY(infer_mod(q, PROB, err));
    if (q->in[Q].rank != 4 || q->in[V].rank != 4) {
        maas_q_unranked(q, 0, (maas_dtype)q->in[Q].dtype);
        return MAAS_OK;
    }
    int64_t dims[4];
    memcpy(dims, q->in[Q].dims, sizeof dims);
    dims[3] = q->in[V].dims[3];
    maas_q_out(q, 0, (maas_dtype)q->in[Q].dtype, 4, dims);
    return MAAS_OK;
}

/* ---- reference ---- */

/* The first element of row i of head h, batch b; group: heads that share it. */
static int64_t row_of(const maas_tensor *t, int64_t b, int64_t h, int64_t i, int64_t group)
{
    return ((b * t->dims[1] + h / group) * t->dims[2] + i) * t->dims[3];
}

/* Calls fn for each (batch, head, query): row numbers them. */
typedef void row_fn(const maas_call *c, maas_tensor *s, int64_t b, int64_t h, int64_t i,
                    int64_t row);
static void each_row(const maas_call *c, maas_tensor *s, row_fn *fn)
{
    int64_t row = 0;
    for (int64_t b = 0; b < c->in[Q].dims[0]; b++)
        for (int64_t h = 0; h < c->in[Q].dims[1]; h++)
            for (int64_t i = 0; i < c->in[Q].dims[2]; i++)
                fn(c, s, b, h, i, row++);
}

static void score_row(const maas_call *c, maas_tensor *s, int64_t b, int64_t h, int64_t i,
                      int64_t row)
{
    const maas_tensor *q = &c->in[Q], *k = &c->in[K];
    const int64_t n = k->dims[2], d = q->dims[3], group = q->dims[1] / k->dims[1];
    const double scale = maas_attr_f(c->node, "scale", d > 0 ? (float)(1 / sqrt((double)d)) : 1.0f);
    const int64_t at = row_of(q, b, h, i, 1);
    for (int64_t j = 0; j < n; j++) {
        const int64_t key = row_of(k, b, h, j, group);
        double sum = 0;
        for (int64_t x = 0; x < d; x++)
            sum += maas_ld(q, at + x) * maas_ld(k, key + x);
        maas_st(s, row * n + j, sum * scale);
    }
}

/* A row that is masked whole has no probabilities: zeros, as Attention has them. */
static void softmax_row(const maas_call *c, maas_tensor *s, int64_t b, int64_t h, int64_t i,
                        int64_t row)
{
    const int64_t n = s->dims[3];
    double max = -INFINITY, sum = 0;
    for (int64_t j = 0; j < n; j++)
        max = fmax(max, maas_ld(s, row * n + j));
    for (int64_t j = 0; j < n && max != -INFINITY; j++)
        sum += exp(maas_ld(s, row * n + j) - max);
    for (int64_t j = 0; j < n; j++)
        maas_st(s, row * n + j, sum == 0 ? 0 : exp(maas_ld(s, row * n + j) - max) / sum);
}

static void answer_row(const maas_call *c, maas_tensor *s, int64_t b, int64_t h, int64_t i,
                       int64_t row)
{
    const maas_tensor *v = &c->in[V];
    const int64_t n = s->dims[3], d = v->dims[3], group = c->in[Q].dims[1] / v->dims[1];
    for (int64_t x = 0; x < d; x++) {
        double sum = 0;
        for (int64_t j = 0; j < n; j++) {
            const double p = maas_ld(s, row * n + j);
            if (p != 0) /* what is masked may be anything */
                sum += p * maas_ld(v, row_of(v, b, h, j, group) + x);
        }
        maas_st(&c->out[0], row * d + x, sum);
    }
}

/* s becomes what the graph makes of it; its captured values follow those of graphs before it. */
static maas_status run_mod(const maas_call *c, int which, maas_tensor *s, maas_err *err)
{
    const maas_graph *body = maas_body_of(c->node, mods[which]);
    const size_t n_captured = c->node->n_captured;
    maas_tensor *in = maas_arena_array(c->arena, n_captured + 1, sizeof *in), out;
    if (!body)
        return MAAS_OK;
    if (!in)
        return maas_fail(err, MAAS_E_NOMEM, "operands of a graph");
    in[0] = *s;
    memcpy(in + 1, c->in + maas_n_own_in(c->node), n_captured * sizeof *in);
    MAAS_TRY(c->bodies->run(c->bodies, body, in, &out, err));
    if (out.dtype != s->dtype || !maas_shape_eq(&out, s))
        return maas_fail(err, MAAS_E_INVALID, "%s changed the shape or type of what it was given",
                         mods[which]);
    memcpy(s->data, out.data, maas_tensor_bytes(s));
    return MAAS_OK;
}

static maas_status flex_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *q = &c->in[Q], *k = &c->in[K];
    const int64_t dims[] = {q->dims[0], q->dims[1], q->dims[2], k->dims[2]};
    const int64_t out[] = {q->dims[0], q->dims[1], q->dims[2], c->in[V].dims[3]};
    const maas_dtype t = precision(c->node, (maas_dtype)q->dtype);
    maas_tensor s = maas_tensor_of(t, 4, dims, NULL);
    size_t bytes;
    MAAS_TRY(maas_ref_check(c, err));
    MAAS_TRY(maas_shape_bytes(t, dims, 4, &bytes, err));
    MAAS_TRY(maas_ref_alloc(c, 0, 4, out, err));
    s.data = maas_arena_alloc(c->arena, bytes ? bytes : 1);
    if (!s.data)
        return maas_fail(err, MAAS_E_NOMEM, "%zu bytes of scores", bytes);
    each_row(c, &s, score_row);
    MAAS_TRY(run_mod(c, SCORE, &s, err));
    each_row(c, &s, softmax_row);
    MAAS_TRY(run_mod(c, PROB, &s, err));
    each_row(c, &s, answer_row);
    return MAAS_OK;
}

/* ---- example and row ---- */

static maas_graph *squash(maas_example *e, const char *op, maas_dtype t)
{
    maas_graph *g = NULL;
    maas_builder b;
    maas_vid s = MAAS_NO_VALUE;
    const maas_type any = maas_type_tensor(t, MAAS_RANK_UNKNOWN, NULL);
    if (maas_graph_create(op, NULL, &g, e->b->err) != MAAS_OK)
        return NULL;
    maas_builder_init(&b, g, e->b->err);
    b.status = maas_graph_input(g, "s", &any, &s, e->b->err);
    maas_b_output(&b, NULL, maas_b_op1(&b, op, s));
    if (e->b->status == MAAS_OK)
        e->b->status = b.status;
    return g;
}

static void flex_example(maas_example *e)
{
    const maas_dtype t = maas_ex_float(e);
    const int64_t shared = e->variant / 2 ? 2 : 4;
    const maas_vid in[] = {maas_ex_in(e, t, -1, 1, MAAS_DIMS(2, 4, 3, 5)),
                           maas_ex_in(e, t, -1, 1, MAAS_DIMS(2, shared, 6, 5)),
                           maas_ex_in(e, t, -1, 1, MAAS_DIMS(2, shared, 6, 4))};
    const maas_attr attr[] = {MAAS_A_GRAPH("score_mod", squash(e, "Tanh", t)),
                              MAAS_A_GRAPH("prob_mod", squash(e, "Sqrt", t))};
    maas_b_node(e->b, "FlexAttention", attr, 2, in, 3, NULL, 1);
}

static const maas_io_schema flex_in[] = {MAAS_REQ("Q", "T1", MAAS_DTS_FLOAT),
                                         MAAS_REQ("K", "T1", MAAS_DTS_FLOAT),
                                         MAAS_REQ("V", "T1", MAAS_DTS_FLOAT)};
static const maas_io_schema flex_out[] = {MAAS_REQ("Y", "T1", MAAS_DTS_FLOAT)};
static const maas_attr_schema flex_attrs[] = {{"prob_mod", MAAS_ATTR_GRAPH, false},
                                              {"scale", MAAS_ATTR_FLOAT, false},
                                              {"score_mod", MAAS_ATTR_GRAPH, false},
                                              {"softmax_precision", MAAS_ATTR_INT, false}};

const maas_op maas_op_FlexAttention = {
    .domain = MAAS_DOMAIN_PREVIEW,
    .name = "FlexAttention",
    .since = 1,
    .flags = MAAS_OP_CONTROL,
    MAAS_SCHEMA(flex_in, flex_out),
    MAAS_ATTRS(flex_attrs),
    .n_examples = 4,
    .tolerance = 1e-5,
    .infer = flex_infer,
    .reference = flex_reference,
    .flops = maas_flops_none,
    .example = flex_example,
    .no_gradient = "gradients do not go through control flow",
};
