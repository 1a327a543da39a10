/*
 * LSTMGrad, GRUGrad, RNNGrad (ai.maas; rnn.h): from the last step to the first, for one row of the
 * batch. With dH, dC what arrives at the state after a step, y' the slope of an activation where it
 * was taken, and the names of rnn.c:
 *
 *   RNN   dz = dH f'
 *   LSTM  do = dH h(C) f'     dC += dH o h' + Po do     dc = dC i g'
 *         di = dC c f'        df = dC C_before f'       (coupled: di = dC (c - C_before) f', no df)
 *         dC_before = dC f + Pi di + Pf df
 *   GRU   dz = dH (H_before - h) f'     dh = dH (1 - z) g'     dH_before = dH z + ...
 *         reset late:  dr = dh (H R)_h f', and r dh goes through Rh
 *         else:        dh goes through Rh, and what arrives is H_before dr / f' and r dH_before
 *
 * and the gradients of the gates go through R to dH_before. Where an input was clipped the slope is
 * 0. A row that has ended passes dH and dC on as they are.
 */
#include "ops/ops_int.h"
#include "ops/rnn_int.h"

#include "base/ban.h"

typedef struct back {
    const maas_call *c;
    const maas_rnn *r;
    int64_t d, n, len;
    double *dh, *dc, *before, *dz; /* [hidden] each, dz [gates][hidden] */
} back;

maas_rnn maas_rnn_grad_of(const maas_call *c)
{
    maas_rnn r = {0};
    MAAS_CHECK(maas_rnn_read(c->node, &r, NULL) == MAAS_OK); /* infer has seen it */
    const maas_tensor *y = &c->in[MAAS_RNN_GRAD_Y];
    r.steps = y->dims[r.batch_first ? 1 : 0];
    r.batch = y->dims[r.batch_first ? 0 : 2];
    r.hidden = y->dims[3];
    return r;
}

/* ---- what was there ---- */

static double load(const back *w, int i, int64_t at)
{
    const maas_tensor *t = maas_c_in(w->c, i);
    return t ? maas_ld(t, at) : 0;
}

/* Element j of gate g at a step, in Zx, Zh and their gradients; of `width` gates 1: in states. */
static int64_t gate_at(const back *w, int64_t s, int width, int64_t g, int64_t j)
{
    const maas_rnn *r = w->r;
    const int64_t p = maas_rnn_place(r, maas_rnn_time(r, w->d, w->len, s), w->n);
    return ((w->d * r->steps * r->batch + p) * width + g) * r->hidden + j;
}

static double z_at(const back *w, int i, int64_t s, int64_t g, int64_t j)
{
    return load(w, i, gate_at(w, s, w->r->gates, g, j));
}

static double state_before(const back *w, int64_t s, int64_t j)
{
    const maas_rnn *r = w->r;
    if (s == 0)
        return load(w, MAAS_RNN_GRAD_H0, maas_rnn_state_at(r, w->d, w->n) + j);
    const int64_t t = maas_rnn_time(r, w->d, w->len, s - 1);
    return load(w, MAAS_RNN_GRAD_Y, maas_rnn_y_at(r, t, w->d, w->n) + j);
}

static double cell_before(const back *w, int64_t s, int64_t j)
{
    return s == 0 ? load(w, MAAS_RNN_GRAD_C0, maas_rnn_state_at(w->r, w->d, w->n) + j)
                  : maas_ld(&w->c->out[MAAS_RNN_GRAD_STATES], gate_at(w, s - 1, 1, 0, j));
}

static double peephole(const back *w, int64_t which, int64_t j)
{
    return load(w, MAAS_RNN_GRAD_P, (w->d * 3 + which) * w->r->hidden + j);
}

static double activate(const back *w, int k, double x)
{
    const maas_rnn_act *a = &w->r->act[w->d][k];
    const double clip = w->r->clip;
    return a->fn(x < -clip ? -clip : x > clip ? clip : x, a->alpha, a->beta);
}

static double slope(const back *w, int k, double x)
{
    const maas_rnn_act *a = &w->r->act[w->d][k];
    return fabs(x) < w->r->clip ? a->slope(x, a->alpha, a->beta) : 0;
}

static double r_at(const back *w, int64_t g, int64_t j, int64_t k)
{
    const int64_t h = w->r->hidden;
    return maas_ld(&w->c->in[MAAS_RNN_GRAD_R], ((w->d * w->r->gates + g) * h + j) * h + k);
}

static void put(const back *w, int out, int64_t s, int64_t g, int64_t j, double v)
{
    const maas_tensor *t = maas_c_out(w->c, out);
    if (t)
        maas_st(t, gate_at(w, s, w->r->gates, g, j), v);
}

/* before += the gradients of gates [g0, g1), through R. */
static void through_r(back *w, int64_t g0, int64_t g1)
{
    const int64_t h = w->r->hidden;
    for (int64_t k = 0; k < h; k++)
        for (int64_t g = g0; g < g1; g++)
            for (int64_t j = 0; j < h; j++)
                w->before[k] += w->dz[g * h + j] * r_at(w, g, j, k);
}

/* ---- RNN ---- */

static void rnn_back(back *w, int64_t s)
{
    for (int64_t j = 0; j < w->r->hidden; j++) {
        w->dz[j] = w->dh[j] * slope(w, 0, z_at(w, MAAS_RNN_GRAD_ZX, s, 0, j));
        put(w, MAAS_RNN_GRAD_DZX, s, 0, j, w->dz[j]);
    }
    through_r(w, 0, 1);
}

/* ---- LSTM ---- */

enum { I, O, F, C };

typedef struct lstm_gates {
    double z[4], i, f, c, o, cell, before;
} lstm_gates;

static lstm_gates lstm_at(const back *w, int64_t s, int64_t j)
{
    lstm_gates v = {.before = cell_before(w, s, j)};
    for (int64_t g = 0; g < 4; g++)
        v.z[g] = z_at(w, MAAS_RNN_GRAD_ZX, s, g, j);
    v.z[I] += peephole(w, 0, j) * v.before;
    v.z[F] += peephole(w, 2, j) * v.before;
    v.i = activate(w, 0, v.z[I]);
    v.f = w->r->coupled ? 1 - v.i : activate(w, 0, v.z[F]);
    v.c = activate(w, 1, v.z[C]);
    v.cell = v.f * v.before + v.i * v.c;
    v.z[O] += peephole(w, 1, j) * v.cell;
    v.o = activate(w, 0, v.z[O]);
    return v;
}

static void lstm_cells(const back *w)
{
    for (int64_t s = 0; s < w->len; s++)
        for (int64_t j = 0; j < w->r->hidden; j++)
            maas_st(&w->c->out[MAAS_RNN_GRAD_STATES], gate_at(w, s, 1, 0, j),
                    lstm_at(w, s, j).cell);
}

static void lstm_add_peepholes(const back *w, const lstm_gates *v, const double d[4], int64_t j)
{
    const maas_tensor *dp = maas_c_out(w->c, MAAS_RNN_GRAD_DP);
    const double add[3] = {d[I] * v->before, d[O] * v->cell, d[F] * v->before};
    for (int64_t k = 0; dp && k < 3; k++) {
        const int64_t at = (w->d * 3 + k) * w->r->hidden + j;
        maas_st(dp, at, maas_ld(dp, at) + add[k]);
    }
}

static void lstm_back(back *w, int64_t s)
{
    const int64_t h = w->r->hidden;
    for (int64_t j = 0; j < h; j++) {
        const lstm_gates v = lstm_at(w, s, j);
        const bool coupled = w->r->coupled;
        double d[4];
        d[O] = w->dh[j] * activate(w, 2, v.cell) * slope(w, 0, v.z[O]);
        const double dc = w->dc[j] + w->dh[j] * v.o * slope(w, 2, v.cell) +
                          peephole(w, 1, j) * d[O];
        d[I] = dc * (coupled ? v.c - v.before : v.c) * slope(w, 0, v.z[I]);
        d[F] = coupled ? 0 : dc * v.before * slope(w, 0, v.z[F]);
        d[C] = dc * v.i * slope(w, 1, v.z[C]);
        w->dc[j] = dc * v.f + peephole(w, 0, j) * d[I] + peephole(w, 2, j) * d[F];
        lstm_add_peepholes(w, &v, d, j);
        for (int64_t g = 0; g < 4; g++) {
            w->dz[g * h + j] = d[g];
            put(w, MAAS_RNN_GRAD_DZX, s, g, j, d[g]);
        }
    }
    through_r(w, 0, 4);
}

/* ---- GRU ---- */

enum { Z, R, H };

static double gru_gate(const back *w, int64_t s, int64_t g, int64_t j)
{
    return z_at(w, MAAS_RNN_GRAD_ZX, s, g, j) + z_at(w, MAAS_RNN_GRAD_ZH, s, g, j);
}

/* What the hidden state adds to the input of h; where the reset comes first its product with Rh. */
static double gru_from_hidden(const back *w, int64_t s, int64_t j)
{
    double sum = 0;
    if (w->r->reset_late)
        return activate(w, 0, gru_gate(w, s, R, j)) * z_at(w, MAAS_RNN_GRAD_ZH, s, H, j);
    for (int64_t k = 0; k < w->r->hidden; k++)
        sum += maas_ld(&w->c->out[MAAS_RNN_GRAD_STATES], gate_at(w, s, 1, 0, k)) * r_at(w, H, j, k);
    return sum;
}

static void gru_resets(const back *w)
{
    for (int64_t s = 0; s < w->len && !w->r->reset_late; s++)
        for (int64_t j = 0; j < w->r->hidden; j++)
            maas_st(&w->c->out[MAAS_RNN_GRAD_STATES], gate_at(w, s, 1, 0, j),
                    activate(w, 0, gru_gate(w, s, R, j)) * state_before(w, s, j));
}

/* What reaches r: dr is its gradient without the slope. */
static void gru_reset_back(back *w, int64_t s, int64_t j, double dr, double dh)
{
    const double z = gru_gate(w, s, R, j), r = activate(w, 0, z);
    const int64_t h = w->r->hidden;
    w->dz[R * h + j] = dr * slope(w, 0, z);
    put(w, MAAS_RNN_GRAD_DZX, s, R, j, w->dz[R * h + j]);
    put(w, MAAS_RNN_GRAD_DZH, s, R, j, w->dz[R * h + j]);
    put(w, MAAS_RNN_GRAD_DZH, s, H, j, w->r->reset_late ? dh * r : dh);
    if (w->r->reset_late)
        w->dz[H * h + j] = dh * r;
}

static void gru_back(back *w, int64_t s)
{
    const int64_t n = w->r->hidden;
    double *dh = w->dz + H * n;
    for (int64_t j = 0; j < n; j++) {
        const double zz = gru_gate(w, s, Z, j), z = activate(w, 0, zz);
        const double zh = z_at(w, MAAS_RNN_GRAD_ZX, s, H, j) + gru_from_hidden(w, s, j);
        w->dz[j] = w->dh[j] * (state_before(w, s, j) - activate(w, 1, zh)) * slope(w, 0, zz);
        dh[j] = w->dh[j] * (1 - z) * slope(w, 1, zh);
        put(w, MAAS_RNN_GRAD_DZX, s, Z, j, w->dz[j]);
        put(w, MAAS_RNN_GRAD_DZH, s, Z, j, w->dz[j]);
        put(w, MAAS_RNN_GRAD_DZX, s, H, j, dh[j]);
    }
    if (!w->r->reset_late)
        through_r(w, H, H + 1);
    for (int64_t j = 0; j < n; j++) {
        const double zz = gru_gate(w, s, Z, j), through = w->before[j];
        const double r = activate(w, 0, gru_gate(w, s, R, j));
        w->before[j] = w->dh[j] * activate(w, 0, zz) + (w->r->reset_late ? 0 : through * r);
        gru_reset_back(w, s, j,
                       w->r->reset_late ? dh[j] * z_at(w, MAAS_RNN_GRAD_ZH, s, H, j)
                                        : through * state_before(w, s, j),
                       dh[j]);
    }
    through_r(w, 0, w->r->reset_late ? 3 : 2);
}

/* ---- a row ---- */

static const struct {
    int gates;
    void (*before)(const back *w); /* what all steps need of each other; NULL: nothing */
    void (*step)(back *w, int64_t s);
} kinds[] = {{1, NULL, rnn_back}, {4, lstm_cells, lstm_back}, {3, gru_resets, gru_back}};

static void back_row(back *w)
{
    const maas_rnn *r = w->r;
    const int64_t state = maas_rnn_state_at(r, w->d, w->n);
    size_t kind = 0;
    while (kinds[kind].gates != r->gates)
        kind++;
    for (int64_t j = 0; j < r->hidden; j++) {
        w->dh[j] = load(w, MAAS_RNN_GRAD_DYH, state + j);
        w->dc[j] = load(w, MAAS_RNN_GRAD_DYC, state + j);
    }
    if (kinds[kind].before)
        kinds[kind].before(w);
    for (int64_t s = w->len; s-- > 0;) {
        const int64_t y = maas_rnn_y_at(r, maas_rnn_time(r, w->d, w->len, s), w->d, w->n);
        for (int64_t j = 0; j < r->hidden; j++) {
            w->dh[j] += load(w, MAAS_RNN_GRAD_DY, y + j);
            w->before[j] = 0;
        }
        kinds[kind].step(w, s);
        double *swap = w->dh;
        w->dh = w->before;
        w->before = swap;
    }
    for (int64_t j = 0; j < r->hidden; j++) {
        if (maas_c_out(w->c, MAAS_RNN_GRAD_DH0))
            maas_st(&w->c->out[MAAS_RNN_GRAD_DH0], state + j, w->dh[j]);
        if (maas_c_out(w->c, MAAS_RNN_GRAD_DC0))
            maas_st(&w->c->out[MAAS_RNN_GRAD_DC0], state + j, w->dc[j]);
    }
}

static maas_status grad_reference(const maas_call *c, maas_err *err)
{
    const maas_rnn r = maas_rnn_grad_of(c);
    AUTO_FREE double *room = maas_calloc((size_t)r.hidden * 7, sizeof *room);
    if (!room)
        return maas_fail(err, MAAS_E_NOMEM, "states of %s", c->node->op->name);
    MAAS_TRY(maas_rnn_check_lens(c, &r, err));
    for (int k = 0; k < c->n_out; k++) /* steps after the end of a row stay 0, dP is a sum */
        if (maas_c_out(c, k))
            memset(c->out[k].data, 0, maas_tensor_bytes(&c->out[k]));
    for (int64_t k = 0; k < r.dirs * r.batch; k++) {
        back w = {c,
                  &r,
                  k / r.batch,
                  k % r.batch,
                  0,
                  room,
                  room + r.hidden,
                  room + 2 * r.hidden,
                  room + 3 * r.hidden};
        w.len = maas_rnn_len(c, &r, w.n);
        back_row(&w);
    }
    return MAAS_OK;
}

static int64_t grad_flops(const maas_call *c)
{
    const maas_rnn r = maas_rnn_grad_of(c);
    return 2 * r.steps * r.batch * r.dirs * r.gates * r.hidden * (r.hidden + 20);
}

/* ---- shapes ---- */

static maas_status like(const maas_infer *q, int i, const maas_type *t, maas_err *err)
{
    int64_t same;
    if (!maas_q_has(q, i) || q->in[i].rank < 0)
        return MAAS_OK;
    if (q->in[i].rank != t->rank)
        return maas_fail(err, MAAS_E_INVALID, "'%s' has rank %d, must be %d",
                         q->node->op->in[i].name, q->in[i].rank, t->rank);
    for (int k = 0; k < t->rank; k++)
        MAAS_TRY(maas_dim_same(t->dims[k], q->in[i].dims[k], &same, q->node->op->in[i].name, err));
    return MAAS_OK;
}

static bool has_out(const maas_infer *q, int k)
{
    return k < q->node->n_out && q->node->out[k] != MAAS_NO_VALUE;
}

static maas_status check_outputs(const maas_infer *q, const maas_rnn *r, maas_err *err)
{
    if (r->gates == 3 && (!maas_q_has(q, MAAS_RNN_GRAD_ZH) || !has_out(q, MAAS_RNN_GRAD_DZH)))
        return maas_fail(err, MAAS_E_INVALID, "GRUGrad needs 'Zh' and 'dZh'");
    if ((r->gates == 4 || (r->gates == 3 && !r->reset_late)) && !has_out(q, MAAS_RNN_GRAD_STATES))
        return maas_fail(err, MAAS_E_INVALID, "%s needs 'states'", q->node->op->name);
    return MAAS_OK;
}

static maas_status grad_infer(maas_infer *q, maas_err *err)
{
    maas_rnn r;
    const maas_type *y = &q->in[MAAS_RNN_GRAD_Y];
    const maas_dtype t = (maas_dtype)y->dtype;
    MAAS_TRY(maas_rnn_read(q->node, &r, err));
    for (int k = 0; k < MAAS_RNN_GRAD_N_OUT; k++)
        maas_q_unranked(q, k, t);
    MAAS_TRY(check_outputs(q, &r, err));
    if (y->rank < 0)
        return MAAS_OK;
    if (y->rank != 4)
        return maas_fail(err, MAAS_E_INVALID, "'Y' has rank %d, must be 4", y->rank);
    const int64_t d = r.dirs, h = y->dims[3], n = y->dims[r.batch_first ? 0 : 2];
    const int64_t g = h < 0 ? MAAS_DIM_UNKNOWN : r.gates * h;
    const int64_t steps = y->dims[r.batch_first ? 1 : 0];
    const int64_t places = maas_dim_product((int64_t[]){steps, n}, 0, 2);
    const int64_t rows[] = {r.batch_first ? n : d, r.batch_first ? d : n, h};
    const maas_type z = maas_type_tensor(t, 3, (int64_t[]){d, places, g}),
                    state = maas_type_tensor(t, 3, rows),
                    w = maas_type_tensor(t, 3, (int64_t[]){d, g, h}),
                    p = maas_type_tensor(t, 2, (int64_t[]){d, h < 0 ? MAAS_DIM_UNKNOWN : 3 * h}),
                    lens = maas_type_tensor(MAAS_I32, 1, &n);
    const maas_type *const want[MAAS_RNN_GRAD_N_IN] = {&z,     &w, y, &z,     &lens, &state,
                                                       &state, &p, y, &state, &state};
    int64_t same;
    MAAS_TRY(maas_dim_same(y->dims[r.batch_first ? 2 : 1], d, &same, "directions", err));
    for (int i = 0; i < MAAS_RNN_GRAD_N_IN; i++)
        MAAS_TRY(like(q, i, want[i], err));
    maas_q_out(q, MAAS_RNN_GRAD_DZX, t, 3, z.dims);
    maas_q_out(q, MAAS_RNN_GRAD_STATES, t, 3, (int64_t[]){d, places, h});
    maas_q_out(q, MAAS_RNN_GRAD_DZH, t, 3, z.dims);
    maas_q_out(q, MAAS_RNN_GRAD_DH0, t, 3, rows);
    maas_q_out(q, MAAS_RNN_GRAD_DC0, t, 3, rows);
    maas_q_out(q, MAAS_RNN_GRAD_DP, t, 2, p.dims);
    return MAAS_OK;
}

/* ---- examples and rows ---- */

static void example_of(maas_example *e, const char *op, int64_t gates)
{
    const maas_dtype t = maas_ex_float(e);
    maas_rnn_example x;
    maas_vid in[MAAS_RNN_GRAD_N_IN], out[MAAS_RNN_GRAD_N_OUT];
    maas_rnn_example_of(e->variant, gates, &x);
    const int64_t p = x.steps * x.batch, z[] = {x.dirs, p, gates * x.hidden};
    const int64_t state[] = {x.batch_first ? x.batch : x.dirs, x.batch_first ? x.dirs : x.batch,
                             x.hidden};
    const int64_t y0[] = {x.steps, x.dirs, x.batch, x.hidden},
                  y1[] = {x.batch, x.steps, x.dirs, x.hidden};
    for (int i = 0; i < MAAS_RNN_GRAD_N_IN; i++)
        in[i] = MAAS_NO_VALUE;
    in[MAAS_RNN_GRAD_ZX] = maas_ex_in(e, t, -2, 2, 3, z);
    if (gates == 3)
        in[MAAS_RNN_GRAD_ZH] = maas_ex_in(e, t, -2, 2, 3, z);
    in[MAAS_RNN_GRAD_R] = maas_ex_in(e, t, -0.5, 0.5, MAAS_DIMS(x.dirs, z[2], x.hidden));
    in[MAAS_RNN_GRAD_Y] = maas_ex_in(e, t, -1, 1, 4, x.batch_first ? y1 : y0);
    in[MAAS_RNN_GRAD_LENS] = maas_rnn_example_lens(e, &x);
    if (x.states)
        in[MAAS_RNN_GRAD_H0] = maas_ex_in(e, t, -1, 1, 3, state);
    if (x.states && gates == 4)
        in[MAAS_RNN_GRAD_C0] = maas_ex_in(e, t, -1, 1, 3, state);
    if (x.peepholes)
        in[MAAS_RNN_GRAD_P] = maas_ex_in(e, t, -1, 1, MAAS_DIMS(x.dirs, 3 * x.hidden));
    in[MAAS_RNN_GRAD_DY] = maas_ex_in(e, t, -1, 1, 4, x.batch_first ? y1 : y0);
    if (x.bias && !(x.states && x.peepholes)) /* an example has at most 8 inputs */
        in[MAAS_RNN_GRAD_DYH] = maas_ex_in(e, t, -1, 1, 3, state);
    if (gates == 4 && x.all_outputs)
        in[MAAS_RNN_GRAD_DYC] = maas_ex_in(e, t, -1, 1, 3, state);
    maas_b_node(e->b, op, x.attr, x.n_attr, in, MAAS_RNN_GRAD_N_IN, out,
                gates == 4 && x.peepholes ? 6 : 5);
}

static void rnn_example(maas_example *e)
{
    example_of(e, "RNNGrad", 1);
}

static void lstm_example(maas_example *e)
{
    example_of(e, "LSTMGrad", 4);
}

static void gru_example(maas_example *e)
{
    example_of(e, "GRUGrad", 3);
}

static const maas_io_schema in[] = {MAAS_REQ("Zx", "T", MAAS_DTS_FLOAT),
                                    MAAS_REQ("R", "T", MAAS_DTS_FLOAT),
                                    MAAS_REQ("Y", "T", MAAS_DTS_FLOAT),
                                    MAAS_OPT("Zh", "T", MAAS_DTS_FLOAT),
                                    MAAS_OPT("sequence_lens", NULL, MAAS_DT_BIT(MAAS_I32)),
                                    MAAS_OPT("initial_h", "T", MAAS_DTS_FLOAT),
                                    MAAS_OPT("initial_c", "T", MAAS_DTS_FLOAT),
                                    MAAS_OPT("P", "T", MAAS_DTS_FLOAT),
                                    MAAS_OPT("dY", "T", MAAS_DTS_FLOAT),
                                    MAAS_OPT("dY_h", "T", MAAS_DTS_FLOAT),
                                    MAAS_OPT("dY_c", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema out[] = {
    MAAS_REQ("dZx", "T", MAAS_DTS_FLOAT), MAAS_OPT("states", "T", MAAS_DTS_FLOAT),
    MAAS_OPT("dZh", "T", MAAS_DTS_FLOAT), MAAS_OPT("dH", "T", MAAS_DTS_FLOAT),
    MAAS_OPT("dC", "T", MAAS_DTS_FLOAT),  MAAS_OPT("dP", "T", MAAS_DTS_FLOAT)};
_Static_assert(MAAS_COUNT(in) == MAAS_RNN_GRAD_N_IN, "rnn.h has the inputs");
_Static_assert(MAAS_COUNT(out) == MAAS_RNN_GRAD_N_OUT, "rnn.h has the outputs");

#define ROW(Name, rows, n_rows, example_fn)                                                        \
    const maas_op maas_op_##Name = {                                                               \
        .domain = MAAS_DOMAIN_OWN,                                                                 \
        .name = #Name,                                                                             \
        .since = 1,                                                                                \
        MAAS_SCHEMA(in, out),                                                                      \
        .attr = rows,                                                                              \
        .n_attr = n_rows,                                                                          \
        .n_examples = MAAS_RNN_N_EXAMPLES,                                                         \
        .tolerance = 1e-4,                                                                         \
        .infer = grad_infer,                                                                       \
        .reference = grad_reference,                                                               \
        .flops = grad_flops,                                                                       \
        .example = example_fn,                                                                     \
        .no_gradient = MAAS_SECOND_ORDER,                                                          \
    };

ROW(RNNGrad, maas_rnn_attrs, 7, rnn_example)
ROW(LSTMGrad, maas_lstm_attrs, 8, lstm_example)
ROW(GRUGrad, maas_rnn_attrs, 8, gru_example)
