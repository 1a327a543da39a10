/* Attributes and shapes of RNN, LSTM and GRU. */
#include "ops/rnn.h"

#include "ops/ops_int.h"
#include "ops/rnn_int.h"

#include "base/ban.h"

/* ---- activations: f(x), with two numbers ---- */

static double act_relu(double x, double a, double b)
{
    return x > 0 || x != x ? x : 0;
}
static double act_tanh(double x, double a, double b)
{
    return tanh(x);
}
static double act_sigmoid(double x, double a, double b)
{
    return 1 / (1 + exp(-x));
}
static double act_affine(double x, double a, double b)
{
    return a * x + b;
}
static double act_leaky(double x, double a, double b)
{
    return x < 0 ? a * x : x;
}
static double act_thresholded(double x, double a, double b)
{
    return x >= a ? x : 0;
}
static double act_scaled_tanh(double x, double a, double b)
{
    return a * tanh(b * x);
}
static double act_hard_sigmoid(double x, double a, double b)
{
    const double y = a * x + b;
    return y < 0 ? 0 : y > 1 ? 1 : y;
}
static double act_elu(double x, double a, double b)
{
    return x < 0 ? a * expm1(x) : x;
}
static double act_softsign(double x, double a, double b)
{
    return x / (1 + fabs(x));
}
static double act_softplus(double x, double a, double b)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

/* ---- and their slopes ---- */

static double slope_relu(double x, double a, double b)
{
    return x > 0;
}
static double slope_tanh(double x, double a, double b)
{
    const double y = tanh(x);
    return 1 - y * y;
}
static double slope_sigmoid(double x, double a, double b)
{
    const double y = act_sigmoid(x, a, b);
    return y * (1 - y);
}
static double slope_affine(double x, double a, double b)
{
    return a;
}
static double slope_leaky(double x, double a, double b)
{
    return x < 0 ? a : 1;
}
static double slope_thresholded(double x, double a, double b)
{
    return x >= a;
}
static double slope_scaled_tanh(double x, double a, double b)
{
    return a * b * slope_tanh(b * x, a, b);
}
static double slope_hard_sigmoid(double x, double a, double b)
{
    const double y = a * x + b;
    return y > 0 && y < 1 ? a : 0;
}
static double slope_elu(double x, double a, double b)
{
    return x < 0 ? a * exp(x) : 1;
}
static double slope_softsign(double x, double a, double b)
{
    return 1 / ((1 + fabs(x)) * (1 + fabs(x)));
}

static const struct act_row {
    const char *name;
    double (*fn)(double x, double a, double b);
    double (*slope)(double x, double a, double b);
    int n; /* numbers it takes: alpha, then beta */
    float alpha, beta;
} act_rows[] = {
    {"Tanh", act_tanh, slope_tanh, 0, 0, 0},
    {"Sigmoid", act_sigmoid, slope_sigmoid, 0, 0, 0},
    {"Relu", act_relu, slope_relu, 0, 0, 0},
    {"Affine", act_affine, slope_affine, 2, 1, 0},
    {"LeakyRelu", act_leaky, slope_leaky, 1, 0.01f, 0},
    {"ThresholdedRelu", act_thresholded, slope_thresholded, 1, 1, 0},
    {"ScaledTanh", act_scaled_tanh, slope_scaled_tanh, 2, 1, 1},
    {"HardSigmoid", act_hard_sigmoid, slope_hard_sigmoid, 2, 0.2f, 0.5f},
    {"Elu", act_elu, slope_elu, 1, 1, 0},
    {"Softsign", act_softsign, slope_softsign, 0, 0, 0},
    {"Softplus", act_softplus, act_sigmoid, 0, 0, 0},
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static const struct act_row *find_act(maas_str s)
{
    for (size_t i = 0; i < MAAS_COUNT(act_rows); i++) {
        const char *name = act_rows[i].name;
        size_t k = 0;
        while (k < s.n && name[k] && lower(s.p[k]) == lower(name[k]))
            k++;
        if (k == s.n && !name[k])
            return &act_rows[i];
    }
    return NULL;
}

/* The next number of a list; the default when the list has ended. */
static float next_number(const maas_attr *list, uint32_t *at, float otherwise)
{
    return list && *at < list->n ? list->u.floats[(*at)++] : otherwise;
}

static maas_status read_acts(const maas_node *n, maas_rnn *r, maas_err *err)
{
    static const maas_str usual[] = {{"Sigmoid", 7}, {"Tanh", 4}, {"Tanh", 4}};
    const maas_attr *names = maas_node_attr(n, "activations");
    const maas_attr *alpha = maas_node_attr(n, "activation_alpha");
    const maas_attr *beta = maas_node_attr(n, "activation_beta");
    uint32_t at_alpha = 0, at_beta = 0;
    /* one list for every direction; an exporter of RNN may leave the default of two */
    if (names && (int)names->n != r->n_acts * r->dirs && !(r->gates == 1 && names->n == 2))
        return maas_fail(err, MAAS_E_INVALID, "%u activations, must be %d", names->n,
                         r->n_acts * r->dirs);
    for (int d = 0; d < r->dirs; d++)
        for (int k = 0; k < r->n_acts; k++) {
            const int i = d * r->n_acts + k;
            const maas_str s = names ? names->u.strings[i] : usual[r->gates == 1 ? 1 : k];
            const struct act_row *row = find_act(s);
            if (!row)
                return maas_fail(err, MAAS_E_UNSUPPORTED, "activation '%.*s' is not known",
                                 (int)(s.n > 40 ? 40 : s.n), s.p);
            r->act[d][k] = (maas_rnn_act){row->fn, row->slope, row->alpha, row->beta};
            if (row->n > 0)
                r->act[d][k].alpha = next_number(alpha, &at_alpha, row->alpha);
            if (row->n > 1)
                r->act[d][k].beta = next_number(beta, &at_beta, row->beta);
            r->usual &= row->fn == (k == 0 && r->gates > 1 ? act_sigmoid : act_tanh);
        }
    return MAAS_OK;
}

static maas_status read_direction(const maas_node *n, maas_rnn *r, maas_err *err)
{
    static const struct {
        const char *word;
        int dirs;
        bool reverse;
    } rows[] = {{"forward", 1, false}, {"reverse", 1, true}, {"bidirectional", 2, false}};
    const maas_str s = maas_attr_s(n, "direction", "forward");
    for (size_t i = 0; i < MAAS_COUNT(rows); i++)
        if (s.n == strlen(rows[i].word) && memcmp(s.p, rows[i].word, s.n) == 0) {
            r->dirs = rows[i].dirs;
            r->reverse = rows[i].reverse;
            return MAAS_OK;
        }
    return maas_fail(err, MAAS_E_INVALID,
                     "attribute 'direction' must be forward, reverse or bidirectional");
}

maas_status maas_rnn_read(const maas_node *n, maas_rnn *out, maas_err *err)
{
    const int64_t layout = maas_attr_i(n, "layout", 0);
    const maas_attr *clip = maas_node_attr(n, "clip");
    const bool lstm = n->op == &maas_op_LSTM || n->op == &maas_op_LSTMGrad;
    const bool gru = n->op == &maas_op_GRU || n->op == &maas_op_GRUGrad;
    maas_rnn r = {.gates = lstm  ? 4
                           : gru ? 3
                                 : 1,
                  .n_acts = lstm  ? 3
                            : gru ? 2
                                  : 1,
                  .batch_first = layout == 1,
                  .reset_late = gru && maas_attr_i(n, "linear_before_reset", 0) != 0,
                  .coupled = lstm && maas_attr_i(n, "input_forget", 0) != 0,
                  .usual = true,
                  .clip = clip ? (double)clip->u.f : (double)INFINITY};
    if (layout != 0 && layout != 1)
        return maas_fail(err, MAAS_E_INVALID, "layout %lld must be 0 or 1", (long long)layout);
    if (!(r.clip > 0))
        return maas_fail(err, MAAS_E_INVALID, "clip must be above 0");
    r.usual = isinf(r.clip);
    MAAS_TRY(read_direction(n, &r, err));
    MAAS_TRY(read_acts(n, &r, err));
    *out = r;
    return MAAS_OK;
}

maas_rnn maas_rnn_of(const maas_call *c)
{
    maas_rnn r = {0};
    MAAS_CHECK(maas_rnn_read(c->node, &r, NULL) == MAAS_OK); /* infer has seen it */
    const maas_tensor *x = &c->in[MAAS_RNN_X];
    r.steps = x->dims[r.batch_first ? 1 : 0];
    r.batch = x->dims[r.batch_first ? 0 : 1];
    r.in = x->dims[2];
    r.hidden = c->in[MAAS_RNN_R].dims[2];
    return r;
}

maas_status maas_rnn_check_lens(const maas_call *c, const maas_rnn *r, maas_err *err)
{
    for (int64_t n = 0; n < r->batch; n++) {
        const int64_t len = maas_rnn_len(c, r, n);
        if (len < 0 || len > r->steps)
            return maas_fail(err, MAAS_E_INVALID, "sequence %lld has %lld of %lld steps",
                             (long long)n, (long long)len, (long long)r->steps);
    }
    return MAAS_OK;
}

/* ---- shapes ---- */

/* The input must have these sizes; what is not known of them is learnt from it. */
static maas_status same_shape(const maas_infer *q, int i, int rank, int64_t *const *dims,
                              maas_err *err)
{
    const char *name = i < q->node->op->n_in ? q->node->op->in[i].name : "";
    if (!maas_q_has(q, i) || q->in[i].rank < 0)
        return MAAS_OK;
    if (q->in[i].rank != rank)
        return maas_fail(err, MAAS_E_INVALID, "'%s' has rank %d, must be %d", name, q->in[i].rank,
                         rank);
    for (int k = 0; k < rank; k++)
        MAAS_TRY(maas_dim_same(*dims[k], q->in[i].dims[k], dims[k], name, err));
    return MAAS_OK;
}

/* Rows of W: a known number of gates times the hidden size. */
static maas_status check_rows(const maas_infer *q, int i, int axis, int64_t times, int64_t *hidden,
                              maas_err *err)
{
    const maas_type *t = &q->in[i];
    if (!maas_q_has(q, i) || t->rank <= axis || t->dims[axis] < 0)
        return MAAS_OK;
    if (t->dims[axis] % times)
        return maas_fail(err, MAAS_E_INVALID, "%lld rows of '%s' are not %lld for each of hidden",
                         (long long)t->dims[axis], q->node->op->in[i].name, (long long)times);
    return maas_dim_same(*hidden, t->dims[axis] / times, hidden, "hidden size", err);
}

maas_status maas_rnn_infer(maas_infer *q, maas_err *err)
{
    maas_rnn r;
    int64_t t = MAAS_DIM_UNKNOWN, n = t, in = t, h = t, rows = t, two = t, three = t, d;
    const maas_dtype dtype = (maas_dtype)q->in[0].dtype;
    MAAS_TRY(maas_rnn_read(q->node, &r, err));
    d = r.dirs;
    h = maas_attr_i(q->node, "hidden_size", MAAS_DIM_UNKNOWN);
    if (h == 0 || h < -1 || h > INT32_MAX)
        return maas_fail(err, MAAS_E_INVALID, "hidden_size %lld", (long long)h);
    int64_t *const x[] = {r.batch_first ? &n : &t, r.batch_first ? &t : &n, &in};
    int64_t *const state[] = {r.batch_first ? &n : &d, r.batch_first ? &d : &n, &h};
    MAAS_TRY(same_shape(q, MAAS_RNN_X, 3, x, err));
    MAAS_TRY(same_shape(q, MAAS_RNN_LENS, 1, (int64_t *[]){&n}, err));
    MAAS_TRY(same_shape(q, MAAS_RNN_W, 3, (int64_t *[]){&d, &rows, &in}, err));
    MAAS_TRY(same_shape(q, MAAS_RNN_R, 3, (int64_t *[]){&d, &rows, &h}, err));
    MAAS_TRY(same_shape(q, MAAS_RNN_B, 2, (int64_t *[]){&d, &two}, err));
    MAAS_TRY(same_shape(q, MAAS_RNN_H0, 3, state, err));
    MAAS_TRY(same_shape(q, MAAS_RNN_C0, 3, state, err));
    MAAS_TRY(same_shape(q, MAAS_RNN_P, 2, (int64_t *[]){&d, &three}, err));
    MAAS_TRY(check_rows(q, MAAS_RNN_W, 1, r.gates, &h, err));
    MAAS_TRY(check_rows(q, MAAS_RNN_R, 1, r.gates, &h, err));
    MAAS_TRY(check_rows(q, MAAS_RNN_B, 1, 2 * r.gates, &h, err));
    MAAS_TRY(check_rows(q, MAAS_RNN_P, 1, 3, &h, err));
    if (h == 0)
        return maas_fail(err, MAAS_E_INVALID, "no hidden units");
    const int64_t y0[] = {t, d, n, h}, y1[] = {n, t, d, h};
    const int64_t s0[] = {d, n, h}, s1[] = {n, d, h};
    maas_q_out(q, 0, dtype, 4, r.batch_first ? y1 : y0);
    maas_q_out(q, 1, dtype, 3, r.batch_first ? s1 : s0);
    maas_q_out(q, 2, dtype, 3, r.batch_first ? s1 : s0);
    return MAAS_OK;
}
