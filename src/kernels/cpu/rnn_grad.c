/*
 * LSTMGrad, GRUGrad and RNNGrad with the usual activations (ops/rnn.h has the shapes).
 *
 * Rows of the batch do not need each other: a thread owns rows of one direction and takes them from
 * the last step to the first, without meeting the others but once, when R is packed. A step is one
 * pass over the gates, in vectors of hidden units, and one product [rows][gates H] x R [gates
 * H][H].
 *
 *   R in panels of ISA_TILE_VEC vectors of columns:   panel 0 [gates H][nv VW]   panel 1 ...
 *
 * An LSTM first goes forward over its gates, which are known, to find the cells; what came out of
 * the activations waits in dZx until its gradient takes the place.
 *
 * Not here: peepholes, whose gradients are sums over rows, coupled gates, and the GRU that resets
 * before its product.
 */
#include "kernels/cpu/gemm_tile.h"

#include "base/mem.h"
#include "ops/rnn.h"

#include "base/ban.h"

extern const maas_op maas_op_RNNGrad, maas_op_LSTMGrad, maas_op_GRUGrad;

typedef struct grad_state {
    maas_rnn r;
    int64_t width, columns; /* of a padded state; gates H */
    size_t n_packed, n_row; /* floats of the panels of one direction; of a row of the batch */
} grad_state;

/* What a thread works with. */
typedef struct pass {
    const maas_call *c;
    const grad_state *s;
    int64_t d, n0, n1;
    const float *panels;
    float *dh, *dc, *before; /* [rows][width] */
    float *dz;               /* [rows][columns]: what goes through R */
} pass;

static const float *input(const maas_call *c, int i)
{
    return i < c->n_in && c->in[i].dtype != MAAS_DT_NONE ? c->in[i].data : NULL;
}

static float *output(const maas_call *c, int i)
{
    return i < c->n_out && c->out[i].dtype != MAAS_DT_NONE ? c->out[i].data : NULL;
}

INLINE vf get(const float *p, int64_t left)
{
    return left >= VW ? v_load(p) : v_load_part(p, left, 0);
}

INLINE void put(float *p, vf v, int64_t left)
{
    if (left >= VW)
        v_store(p, v);
    else
        v_store_part(p, v, left);
}

/* ---- one row at one step ---- */

typedef struct at {
    int64_t row;              /* of the thread */
    const float *zx, *zh, *y; /* gates; the state before */
    float *dzx, *dzh, *states;
    const float *cell; /* before */
} at;

static int64_t place_of(const pass *w, int64_t n, int64_t t)
{
    const maas_rnn *r = &w->s->r;
    return w->d * r->steps * r->batch + maas_rnn_place(r, t, n);
}

static at at_step(const pass *w, int64_t n, int64_t len, int64_t s)
{
    const maas_rnn *r = &w->s->r;
    const maas_call *c = w->c;
    const int64_t p = place_of(w, n, maas_rnn_time(r, w->d, len, s));
    const int64_t first = maas_rnn_state_at(r, w->d, n);
    float *states = output(c, MAAS_RNN_GRAD_STATES), *dzh = output(c, MAAS_RNN_GRAD_DZH);
    const float *zh = input(c, MAAS_RNN_GRAD_ZH);
    at v = {.row = n - w->n0,
            .zx = input(c, MAAS_RNN_GRAD_ZX) + p * w->s->columns,
            .zh = zh ? zh + p * w->s->columns : NULL,
            .y = input(c, MAAS_RNN_GRAD_H0),
            .cell = input(c, MAAS_RNN_GRAD_C0),
            .dzx = output(c, MAAS_RNN_GRAD_DZX) + p * w->s->columns,
            .dzh = dzh && zh ? dzh + p * w->s->columns : NULL,
            .states = states ? states + p * r->hidden : NULL};
    if (s == 0) {
        v.y = v.y ? v.y + first : NULL;
        v.cell = v.cell ? v.cell + first : NULL;
        return v;
    }
    const int64_t t = maas_rnn_time(r, w->d, len, s - 1);
    v.y = input(c, MAAS_RNN_GRAD_Y) + maas_rnn_y_at(r, t, w->d, n);
    v.cell = states ? states + place_of(w, n, t) * r->hidden : NULL;
    return v;
}

static void rnn_row(const pass *w, const at *v)
{
    const int64_t h = w->s->r.hidden;
    float *dh = w->dh + v->row * w->s->width, *dz = w->dz + v->row * h;
    for (int64_t j = 0; j < h; j += VW) {
        const vf y = v_tanh(get(v->zx + j, h - j));
        const vf d = v_load(dh + j) * (1 - y * y);
        put(dz + j, d, h - j);
        put(v->dzx + j, d, h - j);
    }
    memset(w->before + v->row * w->s->width, 0, (size_t)w->s->width * sizeof(float));
}

enum { I, O, F, C };

static void lstm_cells(const pass *w, const at *v)
{
    const int64_t h = w->s->r.hidden;
    for (int64_t j = 0; j < h; j += VW) {
        const vf before = v->cell ? get(v->cell + j, h - j) : (vf){0};
        vf g[4];
        for (int k = 0; k < 4; k++) {
            const vf z = get(v->zx + k * h + j, h - j);
            g[k] = k == C ? v_tanh(z) : v_sigmoid(z);
            put(v->dzx + k * h + j, g[k], h - j);
        }
        put(v->states + j, g[F] * before + g[I] * g[C], h - j);
    }
}

static void lstm_row(const pass *w, const at *v)
{
    const int64_t h = w->s->r.hidden, width = w->s->width;
    float *dh = w->dh + v->row * width, *dc = w->dc + v->row * width;
    float *dz = w->dz + v->row * 4 * h;
    for (int64_t j = 0; j < h; j += VW) {
        const vf before = v->cell ? get(v->cell + j, h - j) : (vf){0};
        const vf y = v_tanh(get(v->states + j, h - j)), up = v_load(dh + j);
        vf g[4], d[4];
        for (int k = 0; k < 4; k++)
            g[k] = get(v->dzx + k * h + j, h - j);
        const vf cell = v_load(dc + j) + up * g[O] * (1 - y * y);
        d[O] = up * y * g[O] * (1 - g[O]);
        d[I] = cell * g[C] * g[I] * (1 - g[I]);
        d[F] = cell * before * g[F] * (1 - g[F]);
        d[C] = cell * g[I] * (1 - g[C] * g[C]);
        v_store(dc + j, cell * g[F]);
        for (int k = 0; k < 4; k++) {
            put(dz + k * h + j, d[k], h - j);
            put(v->dzx + k * h + j, d[k], h - j);
        }
    }
    memset(w->before + v->row * width, 0, (size_t)width * sizeof(float));
}

enum { Z, R, H };

static void gru_row(const pass *w, const at *v)
{
    const int64_t h = w->s->r.hidden, width = w->s->width;
    float *dh = w->dh + v->row * width, *to = w->before + v->row * width;
    float *dz = w->dz + v->row * 3 * h;
    for (int64_t j = 0; j < h; j += VW) {
        const int64_t left = h - j;
        const vf up = v_load(dh + j), before = v->y ? get(v->y + j, left) : (vf){0};
        const vf z = v_sigmoid(get(v->zx + j, left) + get(v->zh + j, left));
        const vf r = v_sigmoid(get(v->zx + R * h + j, left) + get(v->zh + R * h + j, left));
        const vf from = get(v->zh + H * h + j, left);
        const vf y = v_tanh(get(v->zx + H * h + j, left) + r * from);
        const vf d = up * (1 - z) * (1 - y * y);
        const vf gates[2] = {up * (before - y) * z * (1 - z), d * from * r * (1 - r)};
        for (int k = 0; k < 2; k++) {
            put(dz + k * h + j, gates[k], left);
            put(v->dzx + k * h + j, gates[k], left);
            put(v->dzh + k * h + j, gates[k], left);
        }
        put(dz + H * h + j, d * r, left);
        put(v->dzx + H * h + j, d, left);
        put(v->dzh + H * h + j, d * r, left);
        v_store(to + j, up * z);
    }
}

/* A row that has ended passes on what it got. */
static void keep_row(const pass *w, int64_t row)
{
    const grad_state *s = w->s;
    memset(w->dz + row * s->columns, 0, (size_t)s->columns * sizeof(float));
    memcpy(w->before + row * s->width, w->dh + row * s->width, (size_t)s->width * sizeof(float));
}

static void clear_place(const pass *w, int64_t n, int64_t t)
{
    static const int outs[] = {MAAS_RNN_GRAD_DZX, MAAS_RNN_GRAD_DZH, MAAS_RNN_GRAD_STATES};
    const int64_t p = place_of(w, n, t);
    for (int k = 0; k < 3; k++) {
        const int64_t size = outs[k] == MAAS_RNN_GRAD_STATES ? w->s->r.hidden : w->s->columns;
        float *to = output(w->c, outs[k]);
        if (to)
            memset(to + p * size, 0, (size_t)size * sizeof(float));
    }
}

/* ---- all steps ---- */

/* before [rows][width] += dz [rows][columns] R. */
static void multiply(const pass *w)
{
    const grad_state *s = w->s;
    const int64_t blocks = s->width / VW, rows = w->n1 - w->n0;
    for (int64_t v = 0; v < blocks; v += ISA_TILE_VEC) {
        const int64_t nv = blocks - v < ISA_TILE_VEC ? blocks - v : ISA_TILE_VEC;
        const float *b = w->panels + v * VW * s->columns;
        for (int64_t i = 0; i < rows; i += TILE_M) {
            const int64_t m = rows - i < TILE_M ? rows - i : TILE_M;
            tiles[nv - 1][m - 1](s->columns, w->dz + i * s->columns, s->columns, 1, b, nv * VW,
                                 w->before + i * s->width + v * VW, s->width, false);
        }
    }
}

static void load_state(const pass *w, int i, float *to)
{
    const maas_rnn *r = &w->s->r;
    const float *from = input(w->c, i);
    for (int64_t n = w->n0; n < w->n1; n++, to += w->s->width) {
        memset(to, 0, (size_t)w->s->width * sizeof *to);
        if (from)
            memcpy(to, from + maas_rnn_state_at(r, w->d, n), (size_t)r->hidden * sizeof *to);
    }
}

static void store_state(const pass *w, int i, const float *from)
{
    const maas_rnn *r = &w->s->r;
    float *to = output(w->c, i);
    for (int64_t n = w->n0; to && n < w->n1; n++, from += w->s->width)
        memcpy(to + maas_rnn_state_at(r, w->d, n), from, (size_t)r->hidden * sizeof *to);
}

static void begin(pass *w)
{
    const maas_rnn *r = &w->s->r;
    load_state(w, MAAS_RNN_GRAD_DYH, w->dh);
    load_state(w, MAAS_RNN_GRAD_DYC, w->dc);
    for (int64_t n = w->n0; n < w->n1; n++) {
        const int64_t len = maas_rnn_len(w->c, r, n);
        for (int64_t s = 0; s < r->steps; s++) {
            const at v = s < len && r->gates == 4 ? at_step(w, n, len, s) : (at){0};
            if (s >= len)
                clear_place(w, n, s);
            else if (r->gates == 4)
                lstm_cells(w, &v);
        }
    }
}

static void add_output(const pass *w, int64_t n, int64_t t)
{
    const maas_rnn *r = &w->s->r;
    const float *dy = input(w->c, MAAS_RNN_GRAD_DY);
    float *dh = w->dh + (n - w->n0) * w->s->width;
    if (!dy)
        return;
    dy += maas_rnn_y_at(r, t, w->d, n);
    for (int64_t j = 0; j < r->hidden; j += VW)
        v_store(dh + j, v_load(dh + j) + get(dy + j, r->hidden - j));
}

static void run_direction(pass *w)
{
    const maas_rnn *r = &w->s->r;
    void (*const row)(const pass *, const at *) = r->gates == 4   ? lstm_row
                                                  : r->gates == 3 ? gru_row
                                                                  : rnn_row;
    begin(w);
    for (int64_t s = r->steps; s-- > 0;) {
        for (int64_t n = w->n0; n < w->n1; n++) {
            const int64_t len = maas_rnn_len(w->c, r, n);
            if (s >= len) {
                keep_row(w, n - w->n0);
                continue;
            }
            const at v = at_step(w, n, len, s);
            add_output(w, n, maas_rnn_time(r, w->d, len, s));
            row(w, &v);
        }
        multiply(w);
        float *swap = w->dh;
        w->dh = w->before;
        w->before = swap;
    }
    store_state(w, MAAS_RNN_GRAD_DH0, w->dh);
    store_state(w, MAAS_RNN_GRAD_DC0, w->dc);
}

/* ---- the kernel ---- */

/* Panels [p0, p1) of R [columns][H]. */
static void pack(const grad_state *s, const float *from, float *to, int64_t p0, int64_t p1)
{
    const int64_t blocks = s->width / VW, h = s->r.hidden;
    for (int64_t p = p0; p < p1; p++) {
        const int64_t v = p * ISA_TILE_VEC;
        const int64_t nv = blocks - v < ISA_TILE_VEC ? blocks - v : ISA_TILE_VEC;
        float *panel = to + v * VW * s->columns;
        for (int64_t k = 0; k < s->columns; k++)
            for (int64_t j = 0; j < nv; j++)
                v_store(panel + (k * nv + j) * VW,
                        get(from + k * h + (v + j) * VW, h - (v + j) * VW));
    }
}

static grad_state state_of(const maas_call *c)
{
    grad_state s = {.r = maas_rnn_grad_of(c)};
    s.width = (s.r.hidden + VW - 1) / VW * VW;
    s.columns = s.r.gates * s.r.hidden;
    s.n_packed = (size_t)(s.width * s.columns);
    s.n_row = (size_t)(3 * s.width + s.columns);
    return s;
}

static bool grad_fits(const maas_call *c, const maas_cpu *cpu)
{
    const maas_rnn r = maas_rnn_grad_of(c);
    return c->in[0].dtype == MAAS_F32 && r.usual && !r.coupled && (r.gates != 3 || r.reset_late) &&
           (c->n_in <= MAAS_RNN_GRAD_P || c->in[MAAS_RNN_GRAD_P].dtype == MAAS_DT_NONE);
}

static maas_status grad_prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    grad_state *s = maas_calloc(1, sizeof *s);
    if (!s)
        return maas_fail(err, MAAS_E_NOMEM, "preparing %s", c->node->op->name);
    *s = state_of(c);
    c->scratch_bytes = (s->n_packed * (size_t)s->r.dirs + s->n_row * (size_t)s->r.batch) *
                       sizeof(float);
    c->state = s;
    return MAAS_OK;
}

static maas_status grad_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const grad_state *s = c->state;
    float *packed = c->scratch;
    MAAS_TRY(maas_rnn_check_lens(c, &s->r, err)); /* all threads say the same */
    pass w = {.c = c, .s = s};
    for (int64_t d = 0; d < s->r.dirs; d++) {
        int64_t p0, p1;
        maas_share((s->width / VW + ISA_TILE_VEC - 1) / ISA_TILE_VEC, 1, ithr, nthr, &p0, &p1);
        pack(s, input(c, MAAS_RNN_GRAD_R) + d * s->columns * s->r.hidden,
             packed + (size_t)d * s->n_packed, p0, p1);
    }
    maas_call_barrier();
    maas_share(s->r.batch, 1, ithr, nthr, &w.n0, &w.n1);
    for (w.d = 0; w.d < s->r.dirs && w.n0 < w.n1; w.d++) {
        const int64_t rows = w.n1 - w.n0;
        w.panels = packed + (size_t)w.d * s->n_packed;
        w.dh = packed + s->n_packed * (size_t)s->r.dirs + s->n_row * (size_t)w.n0;
        w.dc = w.dh + rows * s->width;
        w.before = w.dc + rows * s->width;
        w.dz = w.before + rows * s->width;
        run_direction(&w);
    }
    return MAAS_OK;
}

#define ROW(which)                                                                                 \
    {                                                                                              \
        .op = &maas_op_##which, .name = #which "." ISA_TEXT, .flags = MAAS_KERNEL_BARRIER,         \
        .fits = grad_fits, .prepare = grad_prepare, .release = maas_free, .run = grad_run          \
    }
const maas_kernel ISA(maas_kernels_rnn_grad)[] = {ROW(RNNGrad), ROW(LSTMGrad), ROW(GRUGrad), {0}};
