/*
 * RNN, LSTM and GRU. A step, for one row of the batch, with f, g, h the activations:
 *
 *   RNN    H = f(x W + H R + b)
 *   LSTM   i = f(x Wi + H Ri + Pi C)   c = g(x Wc + H Rc)   f = f(x Wf + H Rf + Pf C)  (1 - i when
 *          C = f C + i c               o = f(x Wo + H Ro + Po C)   H = o h(C)            coupled)
 *   GRU    z = f(x Wz + H Rz)   r = f(x Wr + H Rr)
 *          h = g(x Wh + (r H) Rh), or g(x Wh + r (H Rh + bR)) when linear_before_reset
 *          H = (1 - z) h + z H
 *
 * What goes into f, g and h is clipped. After its last step a row has no output (zeros) and its
 * states stay.
 */
#include "ops/ops_int.h"
#include "ops/rnn_int.h"

#include "base/ban.h"

/* One row of the batch in one direction, state in double. */
typedef struct row {
    const maas_call *c;
    const maas_rnn *r;
    int64_t d, n;
    double *h, *cell, *next, *gate; /* [hidden], [hidden], [hidden], [gates][hidden] */
} row;

static double activate(const row *w, int k, double x)
{
    const maas_rnn_act *a = &w->r->act[w->d][k];
    const double clip = w->r->clip;
    return a->fn(x < -clip ? -clip : x > clip ? clip : x, a->alpha, a->beta);
}

static double bias(const row *w, int64_t gate, int64_t j, bool recurrent)
{
    const maas_tensor *b = maas_c_in(w->c, MAAS_RNN_B);
    const int64_t h = w->r->hidden, of = w->d * 2 + recurrent;
    return b ? maas_ld(b, (of * w->r->gates + gate) * h + j) : 0;
}

/* The part of a gate that comes from the input, and the one that comes from a vector of hidden. */
static double from_input(const row *w, int64_t t, int64_t gate, int64_t j)
{
    const maas_rnn *r = w->r;
    const int64_t x = maas_rnn_x_at(r, t, w->n);
    const int64_t at = ((w->d * r->gates + gate) * r->hidden + j) * r->in;
    double sum = bias(w, gate, j, false);
    for (int64_t k = 0; k < r->in; k++)
        sum += maas_ld(&w->c->in[MAAS_RNN_X], x + k) * maas_ld(&w->c->in[MAAS_RNN_W], at + k);
    return sum;
}

static double from_hidden(const row *w, const double *h, int64_t gate, int64_t j)
{
    const maas_rnn *r = w->r;
    const int64_t at = ((w->d * r->gates + gate) * r->hidden + j) * r->hidden;
    double sum = bias(w, gate, j, true);
    for (int64_t k = 0; k < r->hidden; k++)
        sum += h[k] * maas_ld(&w->c->in[MAAS_RNN_R], at + k);
    return sum;
}

static void rnn_step(row *w, int64_t t)
{
    for (int64_t j = 0; j < w->r->hidden; j++)
        w->next[j] = activate(w, 0, from_input(w, t, 0, j) + from_hidden(w, w->h, 0, j));
}

static double peephole(const row *w, int64_t which, int64_t j, double cell)
{
    const maas_tensor *p = maas_c_in(w->c, MAAS_RNN_P);
    return p ? cell * maas_ld(p, (w->d * 3 + which) * w->r->hidden + j) : 0;
}

static void lstm_step(row *w, int64_t t)
{
    enum { I, O, F, C };
    for (int64_t j = 0; j < w->r->hidden; j++) {
        double g[4];
        for (int64_t k = 0; k < 4; k++)
            g[k] = from_input(w, t, k, j) + from_hidden(w, w->h, k, j);
        const double i = activate(w, 0, g[I] + peephole(w, 0, j, w->cell[j]));
        const double f = w->r->coupled ? 1 - i
                                       : activate(w, 0, g[F] + peephole(w, 2, j, w->cell[j]));
        const double cell = f * w->cell[j] + i * activate(w, 1, g[C]);
        const double o = activate(w, 0, g[O] + peephole(w, 1, j, cell));
        w->next[j] = o * activate(w, 2, cell);
        w->cell[j] = cell;
    }
}

static void gru_step(row *w, int64_t t)
{
    enum { Z, R, H };
    const int64_t n = w->r->hidden;
    double *z = w->gate, *reset = w->gate + n, *rh = w->gate + 2 * n;
    for (int64_t j = 0; j < n; j++) {
        z[j] = activate(w, 0, from_input(w, t, Z, j) + from_hidden(w, w->h, Z, j));
        reset[j] = activate(w, 0, from_input(w, t, R, j) + from_hidden(w, w->h, R, j));
    }
    for (int64_t j = 0; j < n; j++)
        rh[j] = reset[j] * w->h[j];
    for (int64_t j = 0; j < n; j++) {
        const double hidden = w->r->reset_late ? reset[j] * from_hidden(w, w->h, H, j)
                                               : from_hidden(w, rh, H, j);
        const double h = activate(w, 1, from_input(w, t, H, j) + hidden);
        w->next[j] = (1 - z[j]) * h + z[j] * w->h[j];
    }
}

static void load_state(const row *w, int i, double *to)
{
    const maas_tensor *s = maas_c_in(w->c, i);
    for (int64_t j = 0; j < w->r->hidden; j++)
        to[j] = s ? maas_ld(s, maas_rnn_state_at(w->r, w->d, w->n) + j) : 0;
}

static void store(const maas_tensor *out, int64_t at, const double *v, int64_t n)
{
    for (int64_t j = 0; out && j < n; j++)
        maas_st(out, at + j, v ? v[j] : 0);
}

static void run_row(row *w)
{
    const maas_rnn *r = w->r;
    const int64_t len = maas_rnn_len(w->c, r, w->n), state = maas_rnn_state_at(r, w->d, w->n);
    load_state(w, MAAS_RNN_H0, w->h);
    load_state(w, MAAS_RNN_C0, w->cell);
    for (int64_t s = 0; s < r->steps; s++) {
        const bool live = s < len;
        const int64_t t = live && maas_rnn_is_reverse(r, w->d) ? len - 1 - s : s;
        if (live) {
            (r->gates == 4 ? lstm_step : r->gates == 3 ? gru_step : rnn_step)(w, t);
            double *swap = w->h;
            w->h = w->next;
            w->next = swap;
        }
        store(maas_c_out(w->c, 0), maas_rnn_y_at(r, t, w->d, w->n), live ? w->h : NULL, r->hidden);
    }
    store(maas_c_out(w->c, 1), state, w->h, r->hidden);
    store(maas_c_out(w->c, 2), state, w->cell, r->hidden);
}

static maas_status rnn_reference(const maas_call *c, maas_err *err)
{
    const maas_rnn r = maas_rnn_of(c);
    AUTO_FREE double *room = maas_calloc((size_t)r.hidden * 6, sizeof *room);
    if (!room)
        return maas_fail(err, MAAS_E_NOMEM, "states of %s", c->node->op->name);
    MAAS_TRY(maas_rnn_check_lens(c, &r, err));
    for (int64_t k = 0; k < r.dirs * r.batch; k++) {
        row w = {c,
                 &r,
                 k / r.batch,
                 k % r.batch,
                 room,
                 room + r.hidden,
                 room + 2 * r.hidden,
                 room + 3 * r.hidden};
        run_row(&w);
    }
    return MAAS_OK;
}

static int64_t rnn_flops(const maas_call *c)
{
    const maas_rnn r = maas_rnn_of(c);
    return 2 * r.steps * r.batch * r.dirs * r.gates * r.hidden * (r.in + r.hidden + 10);
}

/* ---- examples and rows ---- */

typedef struct example_row {
    const char *direction;
    int layout, lens, states, bias, extra; /* extra: peepholes, or linear_before_reset */
    int64_t steps, batch, in, hidden;
    int acts, cells; /* own activations and clipping; is the state of the cells wanted? */
} example_row;

static const example_row cases[] = {
    {"forward", 0, 0, 0, 1, 0, 3, 2, 3, 4, 0, 1},
    {"reverse", 0, 1, 1, 1, 1, 4, 3, 2, 3, 0, 1},
    {"bidirectional", 0, 0, 1, 0, 0, 3, 1, 2, 5, 0, 0},
    {"forward", 1, 0, 1, 1, 1, 2, 2, 3, 3, 0, 1},
    {"bidirectional", 0, 1, 0, 1, 1, 3, 2, 2, 2, 1, 1},
    {"forward", 0, 0, 1, 1, 0, 1, 1, 5, 19, 0, 1},
    {"bidirectional", 0, 0, 1, 1, 0, 5, 7, 20, 18, 0, 1},
    {"forward", 0, 0, 0, 1, 1, 6, 1, 3, 33, 0, 0},
    {"reverse", 0, 0, 1, 1, 1, 0, 2, 2, 3, 0, 1},
};

void maas_rnn_example_of(int variant, int64_t gates, maas_rnn_example *out)
{
    static const maas_str words[] = {{"HardSigmoid", 11}, {"Affine", 6},    {"softsign", 8},
                                     {"Sigmoid", 7},      {"LeakyRelu", 9}, {"ScaledTanh", 10}};
    static const float numbers[] = {0.3f, 0.9f, 0.1f, 1.5f};
    const example_row *k = &cases[variant / 2];
    const int n_acts = gates == 4 ? 3 : gates == 3 ? 2 : 1;
    *out = (maas_rnn_example){.attr = {MAAS_A_STR("direction", k->direction),
                                       MAAS_A_INT("layout", k->layout),
                                       MAAS_A_INT("hidden_size", k->hidden)},
                              .n_attr = 3,
                              .dirs = k->direction[0] == 'b' ? 2 : 1,
                              .steps = k->steps,
                              .batch = k->batch,
                              .in = k->in,
                              .hidden = k->hidden,
                              .batch_first = k->layout,
                              .lens = k->lens,
                              .states = k->states,
                              .bias = k->bias,
                              .peepholes = gates == 4 && k->extra,
                              .late = gates == 3 && k->extra,
                              .all_outputs = gates != 4 || k->cells};
    maas_attr *a = out->attr;
    if (gates == 3)
        a[out->n_attr++] = MAAS_A_INT("linear_before_reset", k->extra);
    if (gates == 4)
        a[out->n_attr++] = MAAS_A_INT("input_forget", variant / 2 == 1);
    if (!k->acts)
        return;
    a[out->n_attr++] = (maas_attr){.name = "activations",
                                   .type = MAAS_ATTR_STRINGS,
                                   .n = (uint32_t)(n_acts * out->dirs),
                                   .u.strings = words};
    a[out->n_attr++] = (maas_attr){
        .name = "activation_alpha", .type = MAAS_ATTR_FLOATS, .n = 4, .u.floats = numbers};
    a[out->n_attr++] = MAAS_A_FLOAT("clip", 1.25f);
}

maas_vid maas_rnn_example_lens(maas_example *e, const maas_rnn_example *x)
{
    int32_t lens[8] = {1, (int32_t)x->steps, 2};
    const maas_tensor v = maas_tensor_of(MAAS_I32, 1, &x->batch, lens);
    return x->lens ? maas_b_const(e->b, NULL, &v) : MAAS_NO_VALUE;
}

static void add_optional(maas_example *e, const maas_rnn_example *x, maas_vid *in, int64_t gates)
{
    const maas_dtype t = maas_ex_float(e);
    const int64_t state[] = {x->batch_first ? x->batch : x->dirs,
                             x->batch_first ? x->dirs : x->batch, x->hidden};
    if (x->bias)
        in[MAAS_RNN_B] = maas_ex_in(e, t, -1, 1, MAAS_DIMS(x->dirs, 2 * gates * x->hidden));
    in[MAAS_RNN_LENS] = maas_rnn_example_lens(e, x);
    if (x->states)
        in[MAAS_RNN_H0] = maas_ex_in(e, t, -1, 1, 3, state);
    if (x->states && gates == 4)
        in[MAAS_RNN_C0] = maas_ex_in(e, t, -1, 1, 3, state);
    if (x->peepholes)
        in[MAAS_RNN_P] = maas_ex_in(e, t, -1, 1, MAAS_DIMS(x->dirs, 3 * x->hidden));
}

static void example_of(maas_example *e, const char *op, int64_t gates, int n_in, int n_out)
{
    const maas_dtype t = maas_ex_float(e);
    maas_rnn_example x;
    maas_vid in[8], out[3];
    maas_rnn_example_of(e->variant, gates, &x);
    const int64_t rows = gates * x.hidden;
    for (int i = 0; i < 8; i++)
        in[i] = MAAS_NO_VALUE;
    in[0] = x.batch_first ? maas_ex_in(e, t, -1, 1, MAAS_DIMS(x.batch, x.steps, x.in))
                          : maas_ex_in(e, t, -1, 1, MAAS_DIMS(x.steps, x.batch, x.in));
    in[1] = maas_ex_in(e, t, -0.5, 0.5, MAAS_DIMS(x.dirs, rows, x.in));
    in[2] = maas_ex_in(e, t, -0.5, 0.5, MAAS_DIMS(x.dirs, rows, x.hidden));
    add_optional(e, &x, in, gates);
    maas_b_node(e->b, op, x.attr, x.n_attr, in, (uint32_t)n_in, out,
                x.all_outputs ? (uint32_t)n_out : 1);
}

static void rnn_example(maas_example *e)
{
    example_of(e, "RNN", 1, 6, 2);
}

static void lstm_example(maas_example *e)
{
    example_of(e, "LSTM", 4, 8, 3);
}

static void gru_example(maas_example *e)
{
    example_of(e, "GRU", 3, 6, 2);
}

static const maas_io_schema in[] = {MAAS_REQ("X", "T", MAAS_DTS_FLOAT),
                                    MAAS_REQ("W", "T", MAAS_DTS_FLOAT),
                                    MAAS_REQ("R", "T", MAAS_DTS_FLOAT),
                                    MAAS_OPT("B", "T", MAAS_DTS_FLOAT),
                                    MAAS_OPT("sequence_lens", NULL, MAAS_DT_BIT(MAAS_I32)),
                                    MAAS_OPT("initial_h", "T", MAAS_DTS_FLOAT),
                                    MAAS_OPT("initial_c", "T", MAAS_DTS_FLOAT),
                                    MAAS_OPT("P", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema out[] = {MAAS_OPT("Y", "T", MAAS_DTS_FLOAT),
                                     MAAS_OPT("Y_h", "T", MAAS_DTS_FLOAT),
                                     MAAS_OPT("Y_c", "T", MAAS_DTS_FLOAT)};
const maas_attr_schema maas_rnn_attrs[] = {{"activations", MAAS_ATTR_STRINGS, false},
                                           {"activation_alpha", MAAS_ATTR_FLOATS, false},
                                           {"activation_beta", MAAS_ATTR_FLOATS, false},
                                           {"clip", MAAS_ATTR_FLOAT, false},
                                           {"direction", MAAS_ATTR_STRING, false},
                                           {"hidden_size", MAAS_ATTR_INT, false},
                                           {"layout", MAAS_ATTR_INT, false},
                                           {"linear_before_reset", MAAS_ATTR_INT, false}};
const maas_attr_schema maas_lstm_attrs[] = {{"activations", MAAS_ATTR_STRINGS, false},
                                            {"activation_alpha", MAAS_ATTR_FLOATS, false},
                                            {"activation_beta", MAAS_ATTR_FLOATS, false},
                                            {"clip", MAAS_ATTR_FLOAT, false},
                                            {"direction", MAAS_ATTR_STRING, false},
                                            {"hidden_size", MAAS_ATTR_INT, false},
                                            {"layout", MAAS_ATTR_INT, false},
                                            {"input_forget", MAAS_ATTR_INT, false}};

_Static_assert(2 * MAAS_COUNT(cases) == MAAS_RNN_N_EXAMPLES, "rnn_int.h has their number");
#define ROW(Name, ins, outs, rows, n_rows, example_fn)                                             \
    const maas_op maas_op_##Name = {                                                               \
        .domain = "",                                                                              \
        .name = #Name,                                                                             \
        .since = 14,                                                                               \
        .in = in,                                                                                  \
        .n_in = ins,                                                                               \
        .out = out,                                                                                \
        .n_out = outs,                                                                             \
        .attr = rows,                                                                              \
        .n_attr = n_rows,                                                                          \
        .n_examples = MAAS_RNN_N_EXAMPLES,                                                         \
        .tolerance = 1e-4,                                                                         \
        .infer = maas_rnn_infer,                                                                   \
        .reference = rnn_reference,                                                                \
        .flops = rnn_flops,                                                                        \
        .example = example_fn,                                                                     \
        .gradient = maas_rnn_gradient,                                                             \
    };

ROW(RNN, 6, 2, maas_rnn_attrs, 7, rnn_example)
ROW(LSTM, 8, 3, maas_lstm_attrs, 8, lstm_example)
ROW(GRU, 6, 2, maas_rnn_attrs, 8, gru_example)
