/*
 * Gradients of RNN, LSTM and GRU. Nothing but Y is kept from the way forward: what went into the
 * gates of all steps is two products over all places at once, x W and (state before) R, and so are
 * the gradients of x, W and R once those of the gates are known. What is of one step after another
 * is left to LSTMGrad and its like (rnn_grad.c).
 *
 *   StatesBefore(Y, sequence_lens, initial_h) -> [D][P][H]   (ai.maas)
 *
 * the state that each step began with, at the place of its input; zeros behind the end of a row.
 */
#include "ops/ops_int.h"
#include "ops/rnn_int.h"

#include "base/ban.h"

/* ---- StatesBefore ---- */

enum { BEFORE_Y, BEFORE_LENS, BEFORE_H0 };

static maas_status before_infer(maas_infer *q, maas_err *err)
{
    const maas_type *y = &q->in[BEFORE_Y];
    maas_rnn r;
    MAAS_TRY(maas_rnn_read(q->node, &r, err));
    maas_q_unranked(q, 0, (maas_dtype)y->dtype);
    if (y->rank < 0)
        return MAAS_OK;
    if (y->rank != 4)
        return maas_fail(err, MAAS_E_INVALID, "'Y' has rank %d, must be 4", y->rank);
    const int64_t n = y->dims[r.batch_first ? 0 : 2], d = r.dirs, h = y->dims[3];
    const int64_t rows[] = {r.batch_first ? n : d, r.batch_first ? d : n, h};
    int64_t same;
    MAAS_TRY(maas_dim_same(y->dims[r.batch_first ? 2 : 1], d, &same, "directions", err));
    if (maas_q_has(q, BEFORE_LENS) && q->in[BEFORE_LENS].rank >= 0) {
        if (q->in[BEFORE_LENS].rank != 1)
            return maas_fail(err, MAAS_E_INVALID, "'sequence_lens' must be a list");
        MAAS_TRY(maas_dim_same(q->in[BEFORE_LENS].dims[0], n, &same, "batch", err));
    }
    if (maas_q_has(q, BEFORE_H0) && q->in[BEFORE_H0].rank >= 0) {
        if (q->in[BEFORE_H0].rank != 3)
            return maas_fail(err, MAAS_E_INVALID, "'initial_h' must have rank 3");
        for (int k = 0; k < 3; k++)
            MAAS_TRY(maas_dim_same(q->in[BEFORE_H0].dims[k], rows[k], &same, "initial_h", err));
    }
    const int64_t places = maas_dim_product((int64_t[]){y->dims[r.batch_first ? 1 : 0], n}, 0, 2);
    maas_q_out(q, 0, (maas_dtype)y->dtype, 3, (int64_t[]){d, places, h});
    return MAAS_OK;
}

/* Whole states are moved: no number is looked at. */
static void before_row(const maas_call *c, const maas_rnn *r, int64_t d, int64_t n, int64_t len)
{
    const maas_tensor *h0 = maas_c_in(c, BEFORE_H0);
    const size_t bytes = (size_t)r->hidden * maas_dtype_size(c->out[0].dtype);
    char *out = c->out[0].data;
    const char *y = c->in[BEFORE_Y].data, *first = h0 ? h0->data : NULL;
    const size_t elem = maas_dtype_size(c->out[0].dtype);
    for (int64_t s = 0; s < r->steps; s++) {
        const int64_t t = s < len ? maas_rnn_time(r, d, len, s) : s;
        const int64_t at = d * r->steps * r->batch + maas_rnn_place(r, t, n);
        const char *from = s == 0 && first ? first + (size_t)maas_rnn_state_at(r, d, n) * elem
                                           : NULL;
        if (s > 0 && s < len)
            from = y + (size_t)maas_rnn_y_at(r, maas_rnn_time(r, d, len, s - 1), d, n) * elem;
        if (from && s < len)
            memcpy(out + (size_t)at * bytes, from, bytes);
        else
            memset(out + (size_t)at * bytes, 0, bytes);
    }
}

static maas_status before_reference(const maas_call *c, maas_err *err)
{
    maas_rnn r = {0};
    MAAS_CHECK(maas_rnn_read(c->node, &r, NULL) == MAAS_OK);
    const maas_tensor *y = &c->in[BEFORE_Y], *lens = maas_c_in(c, BEFORE_LENS);
    r.steps = y->dims[r.batch_first ? 1 : 0];
    r.batch = y->dims[r.batch_first ? 0 : 2];
    r.hidden = y->dims[3];
    for (int64_t n = 0; n < r.batch; n++) {
        const int64_t len = lens ? maas_tensor_get_i64(lens, n) : r.steps;
        if (len < 0 || len > r.steps)
            return maas_fail(err, MAAS_E_INVALID, "sequence %lld has %lld of %lld steps",
                             (long long)n, (long long)len, (long long)r.steps);
        for (int64_t d = 0; d < r.dirs; d++)
            before_row(c, &r, d, n, len);
    }
    return MAAS_OK;
}

static void before_example(maas_example *e)
{
    const maas_dtype t = maas_ex_float(e);
    maas_rnn_example x;
    maas_rnn_example_of(e->variant, 1, &x);
    const int64_t y0[] = {x.steps, x.dirs, x.batch, x.hidden},
                  y1[] = {x.batch, x.steps, x.dirs, x.hidden};
    const int64_t state[] = {x.batch_first ? x.batch : x.dirs, x.batch_first ? x.dirs : x.batch,
                             x.hidden};
    const maas_vid in[3] = {maas_ex_in(e, t, -1, 1, 4, x.batch_first ? y1 : y0),
                            maas_rnn_example_lens(e, &x),
                            x.states ? maas_ex_in(e, t, -1, 1, 3, state) : MAAS_NO_VALUE};
    maas_b_node(e->b, "StatesBefore", x.attr, 2, in, 3, NULL, 1);
}

/* ---- the chain ---- */

typedef struct chain {
    maas_grad *g;
    maas_builder *b;
    const maas_node *n;
    maas_rnn r;
    maas_vid x;      /* [D][P][I]: fast products know no broadcast batches */
    maas_vid y;      /* all states */
    maas_vid before; /* [D][P][H] */
    maas_vid z, zh;  /* Zx and Zh of rnn.h */
    maas_vid back[MAAS_RNN_GRAD_N_OUT];
} chain;

static maas_vid arg(const chain *k, int i)
{
    return i < k->n->n_in ? k->n->in[i] : MAAS_NO_VALUE;
}

static maas_vid turned(const chain *k, maas_vid v)
{
    static const int64_t order[] = {0, 2, 1};
    const maas_attr perm = MAAS_A_INTS("perm", order, 3);
    return maas_b_node(k->b, "Transpose", &perm, 1, &v, 1, NULL, 1);
}

static maas_vid part(const chain *k, maas_vid v, int64_t axis, int64_t from, int64_t to)
{
    const maas_vid in[4] = {v, maas_b_i64s(k->b, &from, 1), maas_b_i64s(k->b, &to, 1),
                            maas_b_i64s(k->b, &axis, 1)};
    return maas_b_node(k->b, "Slice", NULL, 0, in, 4, NULL, 1);
}

static maas_vid joined(const chain *k, maas_vid v, maas_vid w, int64_t axis)
{
    const maas_attr a = MAAS_A_INT("axis", axis);
    const maas_vid in[2] = {v, w};
    return maas_b_node(k->b, "Concat", &a, 1, in, 2, NULL, 1);
}

static maas_vid sum_over(const chain *k, maas_vid v, int64_t axis)
{
    const maas_attr keep = MAAS_A_INT("keepdims", 0);
    const maas_vid in[2] = {v, maas_b_i64s(k->b, &axis, 1)};
    return maas_b_node(k->b, "ReduceSum", &keep, 1, in, 2, NULL, 1);
}

/* Half of B, of what comes from the input or from the state, so that it broadcasts over places. */
static maas_vid bias(const chain *k, bool recurrent)
{
    const int64_t n = k->r.gates * k->r.hidden, one = 1;
    const maas_vid v = part(k, arg(k, MAAS_RNN_B), 1, recurrent ? n : 0, recurrent ? 2 * n : n);
    return maas_b_op2(k->b, "Unsqueeze", v, maas_b_i64s(k->b, &one, 1));
}

/* What went into the gates of all steps. */
static void forward_again(chain *k)
{
    maas_builder *b = k->b;
    const bool biased = arg(k, MAAS_RNN_B) != MAAS_NO_VALUE;
    k->z = maas_b_op2(b, "MatMul", k->x, turned(k, arg(k, MAAS_RNN_W)));
    k->zh = maas_b_op2(b, "MatMul", k->before, turned(k, arg(k, MAAS_RNN_R)));
    if (biased) {
        k->z = MAAS_B_ADD(b, k->z, bias(k, false));
        k->zh = MAAS_B_ADD(b, k->zh, bias(k, true));
    }
    /* A reset that comes first leaves nothing of the bias in front of it: it belongs to the sum. */
    if (k->r.gates == 3 && !k->r.reset_late && biased) {
        const int64_t h = k->r.hidden;
        maas_vid last = part(k, bias(k, true), 2, 2 * h, 3 * h);
        k->z = joined(k, part(k, k->z, 2, 0, 2 * h),
                      MAAS_B_ADD(b, part(k, k->z, 2, 2 * h, 3 * h), last), 2);
    }
    if (k->r.gates != 3) {
        k->z = MAAS_B_ADD(b, k->z, k->zh);
        k->zh = MAAS_NO_VALUE;
    }
}

static maas_vid dout(const chain *k, int i)
{
    return i < k->n->n_out ? k->g->dout[i] : MAAS_NO_VALUE;
}

static void steps_back(chain *k)
{
    static const char *const names[] = {[1] = "RNNGrad", [3] = "GRUGrad", [4] = "LSTMGrad"};
    const maas_vid in[MAAS_RNN_GRAD_N_IN] = {
        k->z,
        arg(k, MAAS_RNN_R),
        k->y,
        k->zh,
        arg(k, MAAS_RNN_LENS),
        arg(k, MAAS_RNN_H0),
        arg(k, MAAS_RNN_C0),
        arg(k, MAAS_RNN_P),
        dout(k, 0),
        dout(k, 1),
        dout(k, 2),
    };
    const bool peepholes = arg(k, MAAS_RNN_P) != MAAS_NO_VALUE;
    maas_b_node(k->b, names[k->r.gates], k->n->attr, k->n->n_attr, in, MAAS_RNN_GRAD_N_IN, k->back,
                peepholes ? MAAS_RNN_GRAD_DP + 1 : MAAS_RNN_GRAD_DC0 + 1);
    if (k->r.gates != 3)
        k->back[MAAS_RNN_GRAD_DZH] = k->back[MAAS_RNN_GRAD_DZX];
}

/* Where a GRU resets first, its last gate saw the reset state. */
static maas_vid of_r(const chain *k)
{
    const int64_t h = k->r.hidden;
    const maas_vid dz = turned(k, k->back[MAAS_RNN_GRAD_DZH]);
    if (k->r.gates != 3 || k->r.reset_late)
        return maas_b_op2(k->b, "MatMul", dz, k->before);
    return joined(
        k, maas_b_op2(k->b, "MatMul", part(k, dz, 1, 0, 2 * h), k->before),
        maas_b_op2(k->b, "MatMul", part(k, dz, 1, 2 * h, 3 * h), k->back[MAAS_RNN_GRAD_STATES]), 1);
}

static void write_inputs(chain *k)
{
    maas_grad *g = k->g;
    maas_builder *b = k->b;
    const maas_vid dz = k->back[MAAS_RNN_GRAD_DZX];
    if (g->want[MAAS_RNN_X]) {
        maas_vid dx = sum_over(k, maas_b_op2(b, "MatMul", dz, arg(k, MAAS_RNN_W)), 0);
        g->din[MAAS_RNN_X] = maas_b_shaped_like(b, dx, arg(k, MAAS_RNN_X));
    }
    if (g->want[MAAS_RNN_W])
        g->din[MAAS_RNN_W] = maas_b_op2(b, "MatMul", turned(k, dz), k->x);
    if (g->want[MAAS_RNN_R])
        g->din[MAAS_RNN_R] = of_r(k);
    if (MAAS_WANT(g, MAAS_RNN_B))
        g->din[MAAS_RNN_B] = joined(k, sum_over(k, dz, 1),
                                    sum_over(k, k->back[MAAS_RNN_GRAD_DZH], 1), 1);
    if (MAAS_WANT(g, MAAS_RNN_H0))
        g->din[MAAS_RNN_H0] = k->back[MAAS_RNN_GRAD_DH0];
    if (MAAS_WANT(g, MAAS_RNN_C0))
        g->din[MAAS_RNN_C0] = k->back[MAAS_RNN_GRAD_DC0];
    if (MAAS_WANT(g, MAAS_RNN_P))
        g->din[MAAS_RNN_P] = k->back[MAAS_RNN_GRAD_DP];
}

/* A network that looks only at the last state has not kept the others. */
static maas_vid all_states(const chain *k)
{
    maas_vid y = MAAS_NO_VALUE;
    if (k->n->out[0] != MAAS_NO_VALUE)
        return k->n->out[0];
    return maas_b_node(k->b, k->n->op->name, k->n->attr, k->n->n_attr, k->n->in, k->n->n_in, &y, 1);
}

void maas_rnn_gradient(maas_grad *g)
{
    maas_builder *b = g->b;
    chain k = {.g = g, .b = b, .n = g->node};
    const maas_type *x = maas_b_type(b, g->node->in[MAAS_RNN_X]);
    const maas_type *w = maas_b_type(b, g->node->in[MAAS_RNN_W]);
    const maas_type *r = maas_b_type(b, g->node->in[MAAS_RNN_R]);
    if (!x || !w || !r || b->status != MAAS_OK)
        return;
    if (x->rank != 3 || w->rank != 3 || r->rank != 3 || w->dims[2] < 0 || r->dims[2] < 0) {
        b->status = maas_fail(b->err, MAAS_E_UNSUPPORTED,
                              "the gradient of %s needs weights of known sizes", g->node->op->name);
        return;
    }
    MAAS_CHECK(maas_rnn_read(g->node, &k.r, NULL) == MAAS_OK); /* infer has seen it */
    k.r.in = w->dims[2];
    k.r.hidden = r->dims[2];
    k.x = maas_b_op2(b, "Reshape", g->node->in[MAAS_RNN_X],
                     maas_b_i64s(b, (int64_t[]){1, -1, k.r.in}, 3));
    if (k.r.dirs == 2)
        k.x = joined(&k, k.x, k.x, 0);
    k.y = all_states(&k);
    const maas_vid in[] = {k.y, arg(&k, MAAS_RNN_LENS), arg(&k, MAAS_RNN_H0)};
    maas_attr own[2];
    uint32_t n = 0;
    for (int i = 0; i < g->node->n_attr; i++)
        if (strcmp(g->node->attr[i].name, "direction") == 0 ||
            strcmp(g->node->attr[i].name, "layout") == 0)
            own[n++] = g->node->attr[i];
    k.before = maas_b_node(b, "StatesBefore", own, n, in, 3, NULL, 1);
    forward_again(&k);
    steps_back(&k);
    write_inputs(&k);
}

static const maas_io_schema in[] = {MAAS_REQ("Y", "T", MAAS_DTS_FLOAT),
                                    MAAS_OPT("sequence_lens", NULL, MAAS_DT_BIT(MAAS_I32)),
                                    MAAS_OPT("initial_h", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema out[] = {MAAS_REQ("before", "T", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {{"direction", MAAS_ATTR_STRING, false},
                                         {"layout", MAAS_ATTR_INT, false}};

const maas_op maas_op_StatesBefore = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "StatesBefore",
    .since = 1,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = MAAS_RNN_N_EXAMPLES,
    .infer = before_infer,
    .reference = before_reference,
    .flops = maas_flops_none,
    .example = before_example,
    .no_gradient = MAAS_SECOND_ORDER,
};
