/*
 * Losses over class indices, and their gradients as one operator each (ai.maas).
 *
 *   scores [N][C][d..]   labels [N][d..]   weights [C], optional
 *   loss of one place = -weight[label] * log p[label];  "none": [N][d..], else one number
 *
 * log p is the input itself (NegativeLogLikelihoodLoss) or its log-softmax over C (SoftmaxCross-
 * EntropyLoss). The mean divides by the weights that took part, as PyTorch does: nothing but
 * ignored labels gives NaN. A label outside of 0..C-1 that is not ignore_index is refused.
 */
#include "ops/ops_int.h"

#include "base/ban.h"

typedef enum reduction { NONE, SUM, MEAN, BAD } reduction;

static reduction reduction_of(const maas_node *n)
{
    static const char *const names[] = {"none", "sum", "mean"};
    maas_str s = maas_attr_s(n, "reduction", "mean");
    for (int i = 0; i < 3; i++)
        if (s.n == strlen(names[i]) && memcmp(s.p, names[i], s.n) == 0)
            return (reduction)i;
    return BAD;
}

/* ---- what a place is ---- */

typedef struct places {
    const maas_tensor *x, *labels, *weights;
    int64_t n_class, inner, n; /* n: places, N * d.. */
    bool softmax, has_ignored;
    int64_t ignored;
} places;

static places places_of(const maas_call *c, int first, bool softmax)
{
    places p = {&c->in[first], &c->in[first + 1], maas_c_in(c, first + 2)};
    p.n_class = p.x->dims[1];
    p.inner = maas_dims_product(p.x->dims, 2, p.x->rank);
    p.n = maas_n_elems(p.labels);
    p.softmax = softmax;
    p.has_ignored = maas_node_attr(c->node, "ignore_index") != NULL;
    p.ignored = maas_attr_i(c->node, "ignore_index", 0);
    return p;
}

/* The label of a place, or -1 when it is ignored. */
static maas_status label_of(const places *p, int64_t place, int64_t *out, maas_err *err)
{
    int64_t k = maas_tensor_get_i64(p->labels, place);
    if (p->has_ignored && k == p->ignored)
        k = -1;
    else if (k < 0 || k >= p->n_class)
        return maas_fail(err, MAAS_E_INVALID, "label %lld at place %lld is outside of %lld classes",
                         (long long)k, (long long)place, (long long)p->n_class);
    *out = k;
    return MAAS_OK;
}

/* Element of class 0 at a place; classes are `inner` apart. */
static int64_t column(const places *p, int64_t place)
{
    return place / p->inner * p->n_class * p->inner + place % p->inner;
}

/* What to subtract from a score to get its log-probability: 0 unless softmax is ours to take. */
static double log_normalizer(const places *p, int64_t at)
{
    double max = -INFINITY, sum = 0;
    if (!p->softmax)
        return 0;
    for (int64_t k = 0; k < p->n_class; k++)
        max = fmax(max, maas_ld(p->x, at + k * p->inner));
    for (int64_t k = 0; k < p->n_class; k++)
        sum += exp(maas_ld(p->x, at + k * p->inner) - max);
    return max + log(sum);
}

static double weight_of(const places *p, int64_t label)
{
    return label < 0 ? 0 : p->weights ? maas_ld(p->weights, label) : 1;
}

static maas_status total_weight(const places *p, double *out, maas_err *err)
{
    *out = 0;
    for (int64_t i = 0; i < p->n; i++) {
        int64_t label = -1;
        MAAS_TRY(label_of(p, i, &label, err));
        *out += weight_of(p, label);
    }
    return MAAS_OK;
}

/* ---- the losses ---- */

static maas_status check_shapes(const maas_type *x, const maas_type *labels,
                                const maas_type *weights, maas_err *err)
{
    int64_t ignored;
    if (x->rank < 0 || labels->rank < 0)
        return MAAS_OK;
    if (x->rank < 2 || labels->rank != x->rank - 1)
        return maas_fail(err, MAAS_E_INVALID,
                         "scores have rank %d and labels %d, must be [N,C,..] and "
                         "[N,..]",
                         x->rank, labels->rank);
    for (int i = 0; i < labels->rank; i++)
        MAAS_TRY(maas_dim_same(x->dims[i ? i + 1 : 0], labels->dims[i], &ignored,
                               "scores and labels", err));
    if (weights->tag == MAAS_TYPE_NONE || weights->rank < 0)
        return MAAS_OK;
    if (weights->rank != 1)
        return maas_fail(err, MAAS_E_INVALID, "weights must be a vector, one for each class");
    return maas_dim_same(x->dims[1], weights->dims[0], &ignored, "classes and weights", err);
}

static maas_status loss_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0], *labels = &q->in[1];
    const reduction how = reduction_of(q->node);
    if (how == BAD)
        return maas_fail(err, MAAS_E_INVALID, "attribute 'reduction' must be none, sum or mean");
    MAAS_TRY(check_shapes(x, labels, &q->in[2], err));
    q->out[0] = *labels;
    q->out[0].dtype = x->dtype;
    if (how != NONE)
        maas_q_out(q, 0, (maas_dtype)x->dtype, 0, NULL);
    if (q->node->n_out > 1)
        q->out[1] = *x;
    return MAAS_OK;
}

static void put_log_probabilities(const places *p, const maas_tensor *out, int64_t at, double minus)
{
    for (int64_t k = 0; k < p->n_class; k++)
        maas_st(out, at + k * p->inner, maas_ld(p->x, at + k * p->inner) - minus);
}

static maas_status loss(const maas_call *c, bool softmax, maas_err *err)
{
    const places p = places_of(c, 0, softmax);
    const maas_tensor *y = &c->out[0], *log_p = maas_c_out(c, 1);
    const reduction how = reduction_of(c->node);
    double sum = 0, weights = 0;
    for (int64_t i = 0; i < p.n; i++) {
        int64_t label = -1, at = column(&p, i);
        MAAS_TRY(label_of(&p, i, &label, err));
        const double w = weight_of(&p, label), minus = log_normalizer(&p, at);
        const double l = label < 0 ? 0 : -w * (maas_ld(p.x, at + label * p.inner) - minus);
        sum += l;
        weights += w;
        if (how == NONE)
            maas_st(y, i, l);
        if (log_p)
            put_log_probabilities(&p, log_p, at, minus);
    }
    if (how != NONE)
        maas_st(y, 0, how == MEAN ? sum / weights : sum);
    return MAAS_OK;
}

static maas_status sce_reference(const maas_call *c, maas_err *err)
{
    return loss(c, true, err);
}

static maas_status nll_reference(const maas_call *c, maas_err *err)
{
    return loss(c, false, err);
}

static int64_t loss_flops(const maas_call *c)
{
    return 5 * (maas_n_elems(&c->in[0]) + maas_n_elems(&c->in[1]));
}

/* ---- gradients: (dLoss, scores, labels, weights) -> dScores ---- */

static maas_status grad_infer(maas_infer *q, maas_err *err)
{
    if (reduction_of(q->node) == BAD)
        return maas_fail(err, MAAS_E_INVALID, "attribute 'reduction' must be none, sum or mean");
    MAAS_TRY(check_shapes(&q->in[1], &q->in[2], &q->in[3], err));
    if (reduction_of(q->node) == NONE && q->in[0].rank >= 0 && q->in[2].rank >= 0 &&
        q->in[0].rank != q->in[2].rank)
        return maas_fail(err, MAAS_E_INVALID, "dLoss must have the shape of the labels");
    q->out[0] = q->in[1];
    return MAAS_OK;
}

static void grad_column(const places *p, const maas_tensor *dx, int64_t at, int64_t label, double g)
{
    const double minus = log_normalizer(p, at);
    for (int64_t k = 0; k < p->n_class; k++) {
        int64_t i = at + k * p->inner;
        double prob = p->softmax ? exp(maas_ld(p->x, i) - minus) : 0;
        maas_st(dx, i, label < 0 ? 0 : g * (prob - (k == label)));
    }
}

static maas_status loss_grad(const maas_call *c, bool softmax, maas_err *err)
{
    const places p = places_of(c, 1, softmax);
    const reduction how = reduction_of(c->node);
    double weights = 1;
    if (maas_n_elems(&c->in[0]) != (how == NONE ? p.n : 1))
        return maas_fail(err, MAAS_E_INVALID, "dLoss does not have the shape of the loss");
    if (how == MEAN)
        MAAS_TRY(total_weight(&p, &weights, err));
    for (int64_t i = 0; i < p.n; i++) {
        int64_t label = -1;
        MAAS_TRY(label_of(&p, i, &label, err));
        double d = maas_ld(&c->in[0], how == NONE ? i : 0) / weights;
        grad_column(&p, &c->out[0], column(&p, i), label, d * weight_of(&p, label));
    }
    return MAAS_OK;
}

static maas_status sce_grad_reference(const maas_call *c, maas_err *err)
{
    return loss_grad(c, true, err);
}

static maas_status nll_grad_reference(const maas_call *c, maas_err *err)
{
    return loss_grad(c, false, err);
}

static maas_vid grad_node(maas_grad *g, const char *op)
{
    const maas_node *n = g->node;
    maas_vid in[4] = {g->dout[0], n->in[0], n->in[1], n->n_in > 2 ? n->in[2] : MAAS_NO_VALUE};
    if (!g->want[0] || g->dout[0] == MAAS_NO_VALUE)
        return MAAS_NO_VALUE;
    return maas_b_node(g->b, op, n->attr, n->n_attr, in, in[3] == MAAS_NO_VALUE ? 3 : 4, NULL, 1);
}

static void nll_gradient(maas_grad *g)
{
    g->din[0] = grad_node(g, "NegativeLogLikelihoodGrad");
}

/* The second output is a log-softmax over axis 1: d x = d y - exp(y) sum(d y). */
static void sce_gradient(maas_grad *g)
{
    maas_builder *b = g->b;
    g->din[0] = grad_node(g, "SoftmaxCrossEntropyGrad");
    if (!g->want[0] || g->node->n_out < 2 || g->dout[1] == MAAS_NO_VALUE)
        return;
    const int64_t axis = 1;
    maas_vid sum = maas_b_op2(b, "ReduceSum", g->dout[1], maas_b_i64s(b, &axis, 1));
    maas_vid p = maas_b_op1(b, "Exp", g->node->out[1]);
    maas_vid d = MAAS_B_SUB(b, g->dout[1], MAAS_B_MUL(b, p, sum));
    g->din[0] = g->din[0] == MAAS_NO_VALUE ? d : MAAS_B_ADD(b, g->din[0], d);
}

/* ---- examples and rows ---- */

#define N_LOSS 8
static const struct {
    int rank;
    int64_t dims[4]; /* of the scores; labels lack axis 1 */
    const char *how;
    bool weights, ignore;
} cases[N_LOSS / 2] = {{2, {5, 3}, "mean", false, false},
                       {2, {4, 7}, "sum", true, false},
                       {4, {2, 3, 2, 3}, "mean", true, true},
                       {3, {2, 4, 3}, "none", false, true}};

static uint32_t loss_inputs(maas_example *e, int k, maas_vid *in)
{
    const int64_t *d = cases[k].dims;
    const int64_t labels[3] = {d[0], d[2], d[3]};
    maas_dtype t = maas_ex_float(e);
    in[0] = maas_ex_in(e, t, -3, 3, cases[k].rank, d);
    in[1] = maas_ex_in(e, k & 1 ? MAAS_I32 : MAAS_I64, 0, (double)d[1], cases[k].rank - 1, labels);
    if (!cases[k].weights)
        return 2;
    in[2] = maas_ex_in(e, t, 0.2, 2, 1, &d[1]);
    return 3;
}

static void loss_example(maas_example *e, const char *op, bool grad, uint32_t n_out)
{
    const int k = e->variant / 2;
    const int64_t dy[3] = {cases[k].dims[0], cases[k].dims[2], cases[k].dims[3]};
    const maas_attr attr[] = {MAAS_A_STR("reduction", cases[k].how), MAAS_A_INT("ignore_index", 1)};
    maas_vid in[4], out[2];
    if (grad)
        in[0] = maas_ex_in(e, maas_ex_float(e), -1, 1, k == 3 ? 2 : 0, dy); /* the others reduce */
    uint32_t n = loss_inputs(e, k, in + grad) + grad;
    maas_b_node(e->b, op, attr, cases[k].ignore ? 2 : 1, in, n, out, n_out);
}

static void sce_example(maas_example *e)
{
    loss_example(e, "SoftmaxCrossEntropyLoss", false, e->variant / 2 == 1 ? 1 : 2);
}

static void nll_example(maas_example *e)
{
    loss_example(e, "NegativeLogLikelihoodLoss", false, 1);
}

static void sce_grad_example(maas_example *e)
{
    loss_example(e, "SoftmaxCrossEntropyGrad", true, 1);
}

static void nll_grad_example(maas_example *e)
{
    loss_example(e, "NegativeLogLikelihoodGrad", true, 1);
}

static const maas_io_schema in[] = {MAAS_REQ("scores", "T", MAAS_DTS_FLOAT),
                                    MAAS_REQ("labels", NULL, MAAS_DTS_INDEX),
                                    MAAS_OPT("weights", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema out[] = {MAAS_REQ("output", "T", MAAS_DTS_FLOAT),
                                     MAAS_OPT("log_prob", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema grad_in[] = {
    MAAS_REQ("dLoss", "T", MAAS_DTS_FLOAT), MAAS_REQ("scores", "T", MAAS_DTS_FLOAT),
    MAAS_REQ("labels", NULL, MAAS_DTS_INDEX), MAAS_OPT("weights", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema grad_out[] = {MAAS_REQ("dScores", "T", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {{"reduction", MAAS_ATTR_STRING, false},
                                         {"ignore_index", MAAS_ATTR_INT, false}};

#define LOSS(Name, fn, outputs)                                                                    \
    const maas_op maas_op_##Name = {                                                               \
        .domain = "",                                                                              \
        .name = #Name,                                                                             \
        .since = 13,                                                                               \
        .in = in,                                                                                  \
        .n_in = MAAS_COUNT(in),                                                                    \
        .out = out,                                                                                \
        .n_out = outputs,                                                                          \
        MAAS_ATTRS(attrs),                                                                         \
        .n_examples = N_LOSS,                                                                      \
        .tolerance = 1e-5,                                                                         \
        .infer = loss_infer,                                                                       \
        .reference = fn##_reference,                                                               \
        .flops = loss_flops,                                                                       \
        .example = fn##_example,                                                                   \
        .gradient = fn##_gradient,                                                                 \
    };
#define LOSS_GRAD(Name, fn)                                                                        \
    const maas_op maas_op_##Name = {                                                               \
        .domain = MAAS_DOMAIN_OWN,                                                                 \
        .name = #Name,                                                                             \
        .since = 1,                                                                                \
        MAAS_SCHEMA(grad_in, grad_out),                                                            \
        MAAS_ATTRS(attrs),                                                                         \
        .n_examples = N_LOSS,                                                                      \
        .tolerance = 1e-5,                                                                         \
        .infer = grad_infer,                                                                       \
        .reference = fn##_grad_reference,                                                          \
        .flops = loss_flops,                                                                       \
        .example = fn##_grad_example,                                                              \
        .no_gradient = MAAS_SECOND_ORDER,                                                          \
    };
LOSS(SoftmaxCrossEntropyLoss, sce, 2)
LOSS(NegativeLogLikelihoodLoss, nll, 1)
LOSS_GRAD(SoftmaxCrossEntropyGrad, sce)
LOSS_GRAD(NegativeLogLikelihoodGrad, nll)
