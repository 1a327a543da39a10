/*
 * BatchNormalization over x [N][C][d..], per channel C:
 *
 *   inference  y = scale (x - mean) / sqrt(var + epsilon) + bias, with the given mean and var
 *   training   the same with mean and (biased) variance of the batch; then
 *              running = momentum * given + (1 - momentum) * batch
 *
 * BatchNormalizationGrad (ai.maas): (dY, X, scale, mean, var) -> dX, dScale, dBias; in training
 * mean and var are functions of X and are computed again from it: dX = scale / (n s) (n dY - sum dY
 * - xhat sum(dY xhat)),  s = sqrt(var + epsilon).
 */
#include "ops/ops_int.h"

#include "base/ban.h"

static bool is_training(const maas_node *n)
{
    return maas_attr_i(n, "training_mode", 0) != 0;
}

/* ---- shapes ---- */

/* [C] of inputs 1..; `channels` gets C, or what is known of it. */
static maas_status check_channels(const maas_infer *q, const maas_type *x, int first, int n,
                                  int64_t *channels, maas_err *err)
{
    *channels = MAAS_DIM_UNKNOWN;
    if (x->rank >= 0 && x->rank < 2)
        return maas_fail(err, MAAS_E_INVALID, "X has rank %d, must be [N,C,..]", x->rank);
    if (x->rank >= 2)
        *channels = x->dims[1];
    for (int i = first; i < first + n; i++) {
        if (q->in[i].rank >= 0 && q->in[i].rank != 1)
            return maas_fail(err, MAAS_E_INVALID, "input %d must be a vector, one for each channel",
                             i);
        if (q->in[i].rank == 1)
            MAAS_TRY(maas_dim_same(*channels, q->in[i].dims[0], channels, "channels", err));
    }
    return MAAS_OK;
}

static maas_status norm_infer(maas_infer *q, maas_err *err)
{
    int64_t c;
    MAAS_TRY(check_channels(q, &q->in[0], 1, 4, &c, err));
    q->out[0] = q->in[0];
    if (q->node->n_out > 1 && !is_training(q->node))
        return maas_fail(err, MAAS_E_INVALID, "running statistics come out in training mode only");
    for (int k = 1; k < 3; k++)
        maas_q_out(q, k, (maas_dtype)q->in[3].dtype, 1, &c);
    return MAAS_OK;
}

static maas_status grad_infer(maas_infer *q, maas_err *err)
{
    const maas_type *dy = &q->in[0], *x = &q->in[1];
    int64_t c, ignored;
    MAAS_TRY(check_channels(q, x, 2, 3, &c, err));
    if (dy->rank >= 0 && x->rank >= 0 && dy->rank != x->rank)
        return maas_fail(err, MAAS_E_INVALID, "dY has rank %d, X %d", dy->rank, x->rank);
    for (int i = 0; i < x->rank && dy->rank >= 0; i++)
        MAAS_TRY(maas_dim_same(dy->dims[i], x->dims[i], &ignored, "dY and X", err));
    q->out[0] = *x;
    for (int k = 1; k < 3; k++)
        maas_q_out(q, k, (maas_dtype)q->in[2].dtype, 1, &c);
    return MAAS_OK;
}

/* ---- one channel ---- */

typedef struct channel {
    maas_split3 s; /* outer N, n channels, inner d.. */
    int64_t c;
    double mean, var, scale, n;
} channel;

/* Element k of channel c. */
static int64_t at(const channel *ch, int64_t k)
{
    return (k / ch->s.inner * ch->s.n + ch->c) * ch->s.inner + k % ch->s.inner;
}

static void measure(const maas_tensor *x, channel *ch)
{
    const int64_t n = (int64_t)ch->n;
    double sum = 0, squares = 0;
    for (int64_t k = 0; k < n; k++)
        sum += maas_ld(x, at(ch, k));
    ch->mean = sum / ch->n;
    for (int64_t k = 0; k < n; k++) {
        double d = maas_ld(x, at(ch, k)) - ch->mean;
        squares += d * d;
    }
    ch->var = squares / ch->n;
}

static channel channel_of(const maas_call *call, const maas_tensor *x, int first, int64_t c)
{
    channel ch = {.s = maas_around(x, 1), .c = c};
    ch.n = (double)(ch.s.outer * ch.s.inner);
    ch.scale = maas_ld(&call->in[first], c);
    if (is_training(call->node)) {
        measure(x, &ch);
    } else { /* both operators have the given statistics at 3 and 4 */
        ch.mean = maas_ld(&call->in[3], c);
        ch.var = maas_ld(&call->in[4], c);
    }
    return ch;
}

static maas_status norm_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *mean = maas_c_out(c, 1), *var = maas_c_out(c, 2);
    const double epsilon = maas_attr_f(c->node, "epsilon", 1e-5f);
    const double keep = maas_attr_f(c->node, "momentum", 0.9f);
    for (int64_t i = 0; i < x->dims[1]; i++) {
        const channel ch = channel_of(c, x, 1, i);
        const double s = ch.scale / sqrt(ch.var + epsilon), bias = maas_ld(&c->in[2], i);
        for (int64_t k = 0; k < (int64_t)ch.n; k++)
            maas_st(&c->out[0], at(&ch, k), (maas_ld(x, at(&ch, k)) - ch.mean) * s + bias);
        if (mean)
            maas_st(mean, i, keep * maas_ld(&c->in[3], i) + (1 - keep) * ch.mean);
        if (var)
            maas_st(var, i, keep * maas_ld(&c->in[4], i) + (1 - keep) * ch.var);
    }
    return MAAS_OK;
}

static void grad_channel(const maas_call *c, const channel *ch, double epsilon)
{
    const maas_tensor *dy = &c->in[0], *x = &c->in[1];
    const maas_tensor *dx = maas_c_out(c, 0), *dscale = maas_c_out(c, 1), *dbias = maas_c_out(c, 2);
    const double s = sqrt(ch->var + epsilon);
    double sum = 0, sum_hat = 0;
    for (int64_t k = 0; k < (int64_t)ch->n; k++) {
        double d = maas_ld(dy, at(ch, k));
        sum += d;
        sum_hat += d * (maas_ld(x, at(ch, k)) - ch->mean) / s;
    }
    for (int64_t k = 0; dx && k < (int64_t)ch->n; k++) {
        double d = maas_ld(dy, at(ch, k)), hat = (maas_ld(x, at(ch, k)) - ch->mean) / s;
        if (is_training(c->node))
            d -= (sum + hat * sum_hat) / ch->n;
        maas_st(dx, at(ch, k), ch->scale / s * d);
    }
    if (dscale)
        maas_st(dscale, ch->c, sum_hat);
    if (dbias)
        maas_st(dbias, ch->c, sum);
}

static maas_status grad_reference(const maas_call *c, maas_err *err)
{
    const double epsilon = maas_attr_f(c->node, "epsilon", 1e-5f);
    for (int64_t i = 0; i < c->in[1].dims[1]; i++) {
        const channel ch = channel_of(c, &c->in[1], 2, i);
        grad_channel(c, &ch, epsilon);
    }
    return MAAS_OK;
}

static int64_t norm_flops(const maas_call *c)
{
    return (is_training(c->node) ? 7 : 3) * maas_n_elems(&c->in[0]);
}

/* ---- gradient: of scale, bias and X; the given statistics are state, not parameters ---- */

static void norm_gradient(maas_grad *g)
{
    const maas_node *n = g->node;
    maas_vid in[5] = {g->dout[0], n->in[0], n->in[1], n->in[3], n->in[4]}, out[3];
    for (int k = 1; k < n->n_out; k++)
        if (g->dout[k] != MAAS_NO_VALUE) {
            g->b->status = maas_fail(g->b->err, MAAS_E_UNSUPPORTED,
                                     "running statistics of BatchNormalization have no gradient");
            return;
        }
    if (!is_training(n) && (g->want[3] || g->want[4])) {
        g->b->status = maas_fail(g->b->err, MAAS_E_UNSUPPORTED,
                                 "BatchNormalization has no gradient for its mean and variance");
        return;
    }
    maas_b_node(g->b, "BatchNormalizationGrad", n->attr, n->n_attr, in, 5, out, 3);
    for (int i = 0; i < 3; i++)
        g->din[i] = out[i];
    g->din[3] = g->din[4] = MAAS_NO_VALUE;
}

/* ---- examples and rows ---- */

static const struct {
    int rank, training;
    int64_t dims[4];
} cases[] = {{2, 0, {5, 3}}, {2, 1, {6, 3}}, {4, 1, {2, 3, 2, 2}}, {3, 0, {2, 3, 4}}};

static maas_vid stats(maas_example *e, maas_dtype t, double lo)
{
    double v[3];
    for (int i = 0; i < 3; i++)
        v[i] = lo + maas_rng_unit(e->rng);
    return maas_b_vector(e->b, t, v, 3);
}

static void norm_example(maas_example *e)
{
    const int k = e->variant / 2;
    maas_dtype t = maas_ex_float(e);
    const maas_attr attr[] = {MAAS_A_INT("training_mode", cases[k].training),
                              MAAS_A_FLOAT("epsilon", 1e-3f), MAAS_A_FLOAT("momentum", 0.8f)};
    maas_vid out[3],
        in[5] = {maas_ex_in(e, t, -2, 2, cases[k].rank, cases[k].dims),
                 maas_ex_in(e, t, 0.5, 2, MAAS_DIMS(3)), maas_ex_in(e, t, -1, 1, MAAS_DIMS(3))};
    in[3] = stats(e, t, -0.5);
    in[4] = stats(e, t, 0.5);
    maas_b_node(e->b, "BatchNormalization", attr, 3, in, 5, out, cases[k].training ? 3 : 1);
}

static void grad_example(maas_example *e)
{
    const int k = e->variant / 2;
    maas_dtype t = maas_ex_float(e);
    const maas_attr attr[] = {MAAS_A_INT("training_mode", cases[k].training)};
    maas_vid out[3], in[5] = {maas_ex_in(e, t, -2, 2, cases[k].rank, cases[k].dims),
                              maas_ex_in(e, t, -2, 2, cases[k].rank, cases[k].dims),
                              maas_ex_in(e, t, 0.5, 2, MAAS_DIMS(3))};
    in[3] = stats(e, t, -0.5);
    in[4] = stats(e, t, 0.5);
    maas_b_node(e->b, "BatchNormalizationGrad", attr, 1, in, 5, out, 3);
}

static const maas_io_schema in[] = {
    MAAS_REQ("X", "T", MAAS_DTS_FLOAT), MAAS_REQ("scale", "T1", MAAS_DTS_FLOAT),
    MAAS_REQ("B", "T1", MAAS_DTS_FLOAT), MAAS_REQ("input_mean", "T2", MAAS_DTS_FLOAT),
    MAAS_REQ("input_var", "T2", MAAS_DTS_FLOAT)};
static const maas_io_schema out[] = {MAAS_REQ("Y", "T", MAAS_DTS_FLOAT),
                                     MAAS_OPT("running_mean", "T2", MAAS_DTS_FLOAT),
                                     MAAS_OPT("running_var", "T2", MAAS_DTS_FLOAT)};
static const maas_io_schema grad_in[] = {
    MAAS_REQ("dY", "T", MAAS_DTS_FLOAT), MAAS_REQ("X", "T", MAAS_DTS_FLOAT),
    MAAS_REQ("scale", "T1", MAAS_DTS_FLOAT), MAAS_REQ("input_mean", "T2", MAAS_DTS_FLOAT),
    MAAS_REQ("input_var", "T2", MAAS_DTS_FLOAT)};
static const maas_io_schema grad_out[] = {MAAS_REQ("dX", "T", MAAS_DTS_FLOAT),
                                          MAAS_OPT("dScale", "T1", MAAS_DTS_FLOAT),
                                          MAAS_OPT("dB", "T1", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {{"epsilon", MAAS_ATTR_FLOAT, false},
                                         {"momentum", MAAS_ATTR_FLOAT, false},
                                         {"training_mode", MAAS_ATTR_INT, false}};

const maas_op maas_op_BatchNormalization = {
    .domain = "",
    .name = "BatchNormalization",
    .since = 15,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 8,
    .tolerance = 1e-4,
    .infer = norm_infer,
    .reference = norm_reference,
    .flops = norm_flops,
    .example = norm_example,
    .gradient = norm_gradient,
};

const maas_op maas_op_BatchNormalizationGrad = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "BatchNormalizationGrad",
    .since = 1,
    MAAS_SCHEMA(grad_in, grad_out),
    MAAS_ATTRS(attrs),
    .n_examples = 8,
    .tolerance = 1e-4,
    .infer = grad_infer,
    .reference = grad_reference,
    .flops = norm_flops,
    .example = grad_example,
    .no_gradient = MAAS_SECOND_ORDER,
};
