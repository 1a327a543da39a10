/*
 * RNN, LSTM and GRU with their usual activations.
 *
 *   hidden units in blocks of VW:   block 0         block 1
 *   columns of packed weights:      i o f c         i o f c      ...   (z r h for GRU, see layouts)
 *
 * What comes from the input is one product for many steps at once; a step adds the product with the
 * state to its rows and turns the gates of a block, which are next to each other, into new states.
 * A thread owns blocks: it packs their columns (unless the weights are constant and were packed at
 * plan time), multiplies them and writes their states. Threads meet once a step, because a step
 * reads the whole state of the one before; two states take turns.
 */
#include "kernels/cpu/gemm_tile.h"

#include "base/mem.h"
#include "ops/rnn.h"
#include "base/ban.h"

extern const maas_op maas_op_RNN, maas_op_LSTM, maas_op_GRU;

/* Columns of a block: which gate of W and of R fills each; -1: zeros. A second group is multiplied
 * after the first was used (the reset state of a GRU). */
typedef struct layout {
    int slots[2];
    int8_t w[4], r[4];
} layout;

static const layout rnn_layout = {{1, 0}, {0}, {0}},
                    lstm_layout = {{4, 0}, {0, 1, 2, 3}, {0, 1, 2, 3}},
                    gru_layout = {{2, 1}, {0, 1, 2}, {0, 1, 2}},
                    late_layout = {{4, 0}, {0, 1, 2, -1}, {0, 1, -1, 2}};

typedef struct panels {
    float *w, *r, *bias, *peephole;
} panels;

typedef struct rnn_state {
    maas_rnn r;
    const layout *l;
    int64_t blocks, width; /* of hidden; padded hidden */
    int64_t columns;       /* of all slots */
    int64_t chunk;         /* steps whose inputs are multiplied at once */
    size_t n_packed;       /* floats of the panels of one direction */
    float *packed;         /* both directions; NULL: packed in every run */
} rnn_state;

/* ---- packing ---- */

static panels panels_at(const rnn_state *s, float *p)
{
    panels v = {.w = p};
    v.r = v.w + s->columns * s->r.in;
    v.bias = v.r + s->columns * s->r.hidden;
    v.peephole = v.bias + s->columns;
    return v;
}

/* First column of a group, and of a block in it. */
static int64_t column_of(const rnn_state *s, int group, int64_t block)
{
    return (group * s->l->slots[0] * s->blocks + block * s->l->slots[group]) * VW;
}

/* Blocks [b0, b1) of a weight [gates H][k], as panels of ISA_TILE_VEC vectors. */
static void pack_group(const rnn_state *s, int group, float *to, const float *from, int64_t k,
                       const int8_t *gates, int64_t b0, int64_t b1)
{
    const int slots = s->l->slots[group];
    const int64_t end = s->blocks * slots, h = s->r.hidden;
    float *base = to + column_of(s, group, 0) * k;
    for (int64_t v = b0 * slots; v < b1 * slots; v++) {
        const int64_t v0 = v / ISA_TILE_VEC * ISA_TILE_VEC;
        const int64_t nv = end - v0 < ISA_TILE_VEC ? end - v0 : ISA_TILE_VEC;
        float *panel = base + v0 * VW * k + (v - v0) * VW;
        const int gate = gates[group * s->l->slots[0] + v % slots];
        for (int lane = 0; lane < VW; lane++) {
            const int64_t j = v / slots * VW + lane;
            const bool filled = gate >= 0 && j < h;
            const float *row = from + (filled ? (gate * h + j) * k : 0);
            for (int64_t i = 0; i < k; i++)
                panel[i * nv * VW + lane] = filled ? row[i] : 0;
        }
    }
}

static void pack_bias(const rnn_state *s, int group, float *to, const float *b, int64_t b0,
                      int64_t b1)
{
    const int slots = s->l->slots[group], first = group * s->l->slots[0];
    const int64_t h = s->r.hidden;
    for (int64_t v = b0 * slots; v < b1 * slots; v++)
        for (int lane = 0; lane < VW; lane++) {
            const int64_t j = v / slots * VW + lane;
            const int w = s->l->w[first + v % slots], r = s->l->r[first + v % slots];
            float sum = 0;
            if (b && j < h)
                sum = (w >= 0 ? b[w * h + j] : 0) + (r >= 0 ? b[(s->r.gates + r) * h + j] : 0);
            to[column_of(s, group, 0) + v * VW + lane] = sum;
        }
}

static const float *input(const maas_call *c, int i)
{
    return i < c->n_in && c->in[i].dtype != MAAS_DT_NONE ? c->in[i].data : NULL;
}

static void pack(const maas_call *c, const rnn_state *s, int64_t d, panels p, int64_t b0,
                 int64_t b1)
{
    const int64_t h = s->r.hidden, rows = s->r.gates * h;
    const float *b = input(c, MAAS_RNN_B), *peephole = input(c, MAAS_RNN_P);
    for (int g = 0; g < 2 && s->l->slots[g]; g++) {
        pack_group(s, g, p.w, input(c, MAAS_RNN_W) + d * rows * s->r.in, s->r.in, s->l->w, b0, b1);
        pack_group(s, g, p.r, input(c, MAAS_RNN_R) + d * rows * h, h, s->l->r, b0, b1);
        pack_bias(s, g, p.bias, b ? b + d * 2 * rows : NULL, b0, b1);
    }
    for (int64_t k = 0; k < 3; k++)
        for (int64_t j = b0 * VW; j < b1 * VW; j++)
            p.peephole[k * s->width + j] = peephole && j < h ? peephole[(d * 3 + k) * h + j] : 0;
}

/* ---- products ---- */

/* One row: as many sums as hide the latency of their additions. */
static void one_row(int64_t kc, const float *a, const float *b, float *c, bool first)
{
    enum { WAYS = 8 / ISA_TILE_VEC };
    vf sum[WAYS][ISA_TILE_VEC];
    for (int u = 0; u < WAYS; u++)
        for (int j = 0; j < ISA_TILE_VEC; j++)
            sum[u][j] = u || first ? (vf){0} : v_load(c + j * VW);
    int64_t k = 0;
    for (; k + WAYS <= kc; k += WAYS, b += WAYS * ISA_TILE_VEC * VW) {
        UNROLL for (int u = 0; u < WAYS; u++)
        {
            UNROLL for (int j = 0; j < ISA_TILE_VEC; j++)
            {
                sum[u][j] += v_all(a[k + u]) * v_load(b + (u * ISA_TILE_VEC + j) * VW);
            }
        }
    }
    for (; k < kc; k++, b += ISA_TILE_VEC * VW)
        for (int j = 0; j < ISA_TILE_VEC; j++)
            sum[0][j] += v_all(a[k]) * v_load(b + j * VW);
    for (int j = 0; j < ISA_TILE_VEC; j++) {
        for (int u = 1; u < WAYS; u++)
            sum[0][j] += sum[u][j];
        v_store(c + j * VW, sum[0][j]);
    }
}

typedef struct product {
    const float *a;
    int64_t m, k, a_row;
    const float *b; /* panels of all columns */
    float *y;       /* rows of all columns */
    int64_t y_row;
    bool first; /* y is set, not added to */
} product;

/* The columns of blocks [b0, b1) of a group. */
static void multiply(const rnn_state *s, int group, int64_t b0, int64_t b1, const product *p)
{
    const int slots = s->l->slots[group];
    const int64_t end = s->blocks * slots, first = column_of(s, group, 0);
    const int64_t stop = b1 * slots;
    for (int64_t v = b0 * slots; v < stop; v += ISA_TILE_VEC) {
        const int64_t nv = end - v < ISA_TILE_VEC ? end - v : ISA_TILE_VEC;
        const float *b = p->b + (first + v * VW) * p->k;
        for (int64_t i = 0; i < p->m; i += TILE_M) {
            const int64_t rows = p->m - i < TILE_M ? p->m - i : TILE_M;
            const float *a = p->a + i * p->a_row;
            float *y = p->y + i * p->y_row + first + v * VW;
            if (rows == 1 && nv == ISA_TILE_VEC)
                one_row(p->k, a, b, y, p->first);
            else
                tiles[nv - 1][rows - 1](p->k, a, p->a_row, 1, b, nv * VW, y, p->y_row, p->first);
        }
    }
}

/* ---- one direction ---- */

typedef struct pass {
    const maas_call *c;
    const rnn_state *s;
    panels p;
    int64_t d, b0, b1;
    float *gates;     /* [chunk][N][columns] */
    float *h, *next;  /* [N][width] */
    float *cell, *rh; /* [N][width] */
    bool lens;        /* rows have their own lengths */
} pass;

/* What comes from the inputs of steps [s0, s1), in the order of time unless rows have lengths. */
static void project(const pass *w, int64_t s0, int64_t s1)
{
    const rnn_state *s = w->s;
    const maas_rnn *r = &s->r;
    const float *x = w->c->in[MAAS_RNN_X].data;
    const bool reverse = maas_rnn_is_reverse(r, w->d);
    const int64_t t0 = reverse ? r->steps - s1 : s0, n_steps = s1 - s0;
    product p = {NULL, n_steps * r->batch, r->in, r->in, w->p.w, w->gates, s->columns, true};
    for (int g = 0; g < 2 && s->l->slots[g]; g++) {
        p.y = w->gates;
        if (w->lens && reverse) {
            p.m = 1;
            for (int64_t i = 0; i < n_steps * r->batch; i++) {
                const int64_t n = i % r->batch,
                              t = maas_rnn_len(w->c, r, n) - 1 - s1 + 1 + i / r->batch;
                p.a = x + maas_rnn_x_at(r, t < 0 ? 0 : t, n);
                p.y = w->gates + i * s->columns;
                multiply(s, g, w->b0, w->b1, &p);
            }
            continue;
        }
        if (!r->batch_first) {
            p.a = x + maas_rnn_x_at(r, t0, 0);
            multiply(s, g, w->b0, w->b1, &p);
            continue;
        }
        p.m = n_steps;
        p.y_row = r->batch * s->columns;
        for (int64_t n = 0; n < r->batch; n++) {
            p.a = x + maas_rnn_x_at(r, t0, n);
            p.y = w->gates + n * s->columns;
            multiply(s, g, w->b0, w->b1, &p);
        }
    }
}

INLINE vf lstm_block(const pass *w, const float *g, const float *b, int64_t at, int64_t j)
{
    enum { I, O, F, C };
    const float *p = w->p.peephole + j;
    const int64_t width = w->s->width;
    const vf old = v_load(w->cell + at);
    const vf i = v_sigmoid(v_load(g + I * VW) + v_load(b + I * VW) + v_load(p) * old);
    const vf f = w->s->r.coupled ? 1 - i
                                 : v_sigmoid(v_load(g + F * VW) + v_load(b + F * VW) +
                                             v_load(p + 2 * width) * old);
    const vf cell = f * old + i * v_tanh(v_load(g + C * VW) + v_load(b + C * VW));
    const vf o = v_sigmoid(v_load(g + O * VW) + v_load(b + O * VW) + v_load(p + width) * cell);
    v_store(w->cell + at, cell);
    return o * v_tanh(cell);
}

INLINE vf late_block(const pass *w, const float *g, const float *b, int64_t at)
{
    enum { Z, R, X, H };
    const vf z = v_sigmoid(v_load(g + Z * VW) + v_load(b + Z * VW));
    const vf r = v_sigmoid(v_load(g + R * VW) + v_load(b + R * VW));
    const vf hidden = r * (v_load(g + H * VW) + v_load(b + H * VW));
    const vf h = v_tanh(v_load(g + X * VW) + v_load(b + X * VW) + hidden);
    return h + z * (v_load(w->h + at) - h);
}

/* The first half of a step of a GRU: z stays in its column, r H goes to rh. */
static void gru_reset(const pass *w, float *gates)
{
    const rnn_state *s = w->s;
    for (int64_t n = 0; n < s->r.batch; n++)
        for (int64_t k = w->b0; k < w->b1; k++) {
            const int64_t col = column_of(s, 0, k), at = n * s->width + k * VW;
            float *g = gates + n * s->columns + col;
            const float *b = w->p.bias + col;
            v_store(g, v_sigmoid(v_load(g) + v_load(b)));
            const vf r = v_sigmoid(v_load(g + VW) + v_load(b + VW));
            v_store(w->rh + at, r * v_load(w->h + at));
        }
}

INLINE vf gru_block(const pass *w, const float *row, int64_t at, int64_t k)
{
    const int64_t col = column_of(w->s, 1, k);
    const vf z = v_load(row + column_of(w->s, 0, k));
    const vf h = v_tanh(v_load(row + col) + v_load(w->p.bias + col));
    return h + z * (v_load(w->h + at) - h);
}

INLINE vf new_block(const pass *w, const float *row, int64_t at, int64_t k)
{
    const int64_t col = column_of(w->s, 0, k);
    const float *g = row + col, *b = w->p.bias + col;
    if (w->s->l == &lstm_layout)
        return lstm_block(w, g, b, at, k * VW);
    if (w->s->l == &late_layout)
        return late_block(w, g, b, at);
    if (w->s->l == &gru_layout)
        return gru_block(w, row, at, k);
    return v_tanh(v_load(g) + v_load(b));
}

static void put(float *to, vf v, int64_t left)
{
    if (left >= VW)
        v_store(to, v);
    else
        v_store_part(to, v, left);
}

/* New states of the own blocks; a row that has ended keeps its own and puts out zeros. */
static void finish(const pass *w, const float *gates, int64_t step)
{
    const maas_rnn *r = &w->s->r;
    float *y = w->c->out[0].dtype != MAAS_DT_NONE ? w->c->out[0].data : NULL;
    for (int64_t n = 0; n < r->batch; n++) {
        const int64_t len = maas_rnn_len(w->c, r, n);
        const bool live = step < len;
        const int64_t t = live && maas_rnn_is_reverse(r, w->d) ? len - 1 - step : step;
        float *to = y ? y + maas_rnn_y_at(r, t, w->d, n) : NULL;
        for (int64_t k = w->b0; k < w->b1; k++) {
            const int64_t at = n * w->s->width + k * VW;
            vf v = v_load(w->h + at);
            if (live) {
                v = new_block(w, gates + n * w->s->columns, at, k);
                if (k == w->s->blocks - 1 && r->hidden < w->s->width) { /* padding stays 0 */
                    vf kept = {0};
                    memcpy(&kept, &v, (size_t)(r->hidden - k * VW) * sizeof(float));
                    v_store(w->next + at, kept);
                } else {
                    v_store(w->next + at, v);
                }
            } else {
                v_store(w->next + at, v);
            }
            if (to)
                put(to + k * VW, live ? v : (vf){0}, r->hidden - k * VW);
        }
    }
}

static void run_step(pass *w, float *gates, int64_t step)
{
    const rnn_state *s = w->s;
    product p = {w->h, s->r.batch, s->r.hidden, s->width, w->p.r, gates, s->columns, false};
    multiply(s, 0, w->b0, w->b1, &p);
    if (s->l->slots[1]) {
        gru_reset(w, gates);
        maas_call_barrier();
        p.a = w->rh;
        multiply(s, 1, w->b0, w->b1, &p);
    }
    finish(w, gates, step);
    maas_call_barrier();
    float *swap = w->h;
    w->h = w->next;
    w->next = swap;
}

static void load_state(const pass *w, int i, float *to)
{
    const maas_rnn *r = &w->s->r;
    const float *from = input(w->c, i);
    for (int64_t n = 0; n < r->batch; n++)
        for (int64_t j = w->b0 * VW; j < w->b1 * VW; j++)
            to[n * w->s->width + j] = from && j < r->hidden
                                          ? from[maas_rnn_state_at(r, w->d, n) + j]
                                          : 0;
}

static void store_state(const pass *w, int i, const float *from)
{
    const maas_rnn *r = &w->s->r;
    const int64_t end = w->b1 * VW < r->hidden ? w->b1 * VW : r->hidden, j = w->b0 * VW;
    if (i >= w->c->n_out || w->c->out[i].dtype == MAAS_DT_NONE || j >= end)
        return;
    for (int64_t n = 0; n < r->batch; n++)
        memcpy((float *)w->c->out[i].data + maas_rnn_state_at(r, w->d, n) + j,
               from + n * w->s->width + j, (size_t)(end - j) * sizeof *from);
}

static void run_direction(pass *w)
{
    const rnn_state *s = w->s;
    const maas_rnn *r = &s->r;
    load_state(w, MAAS_RNN_H0, w->h);
    load_state(w, MAAS_RNN_C0, w->cell);
    maas_call_barrier();
    for (int64_t s0 = 0; s0 < r->steps; s0 += s->chunk) {
        const int64_t s1 = s0 + s->chunk < r->steps ? s0 + s->chunk : r->steps;
        project(w, s0, s1);
        for (int64_t t = s0; t < s1; t++) {
            const int64_t at = maas_rnn_is_reverse(r, w->d) ? s1 - 1 - t : t - s0;
            run_step(w, w->gates + at * r->batch * s->columns, t);
        }
    }
    store_state(w, 1, w->h);
    store_state(w, 2, w->cell);
}

/* ---- the kernel ---- */

static rnn_state state_of(const maas_call *c)
{
    rnn_state s = {.r = maas_rnn_of(c)};
    s.l = s.r.gates == 4   ? &lstm_layout
          : s.r.gates == 1 ? &rnn_layout
          : s.r.reset_late ? &late_layout
                           : &gru_layout;
    s.blocks = (s.r.hidden + VW - 1) / VW;
    s.width = s.blocks * VW;
    s.columns = s.width * (s.l->slots[0] + s.l->slots[1]);
    s.n_packed = (size_t)(s.columns * (s.r.in + s.r.hidden + 1) + 3 * s.width);
    /* 1 MiB of gates, but enough rows for a tile */
    const int64_t row = s.r.batch * s.columns + 1, least = TILE_M / (s.r.batch + 1) + 1;
    s.chunk = (1 << 18) / row > least ? (1 << 18) / row : least;
    s.chunk = s.chunk > s.r.steps ? s.r.steps + !s.r.steps : s.chunk;
    return s;
}

static bool rnn_fits(const maas_call *c, const maas_cpu *cpu)
{
    return c->in[0].dtype == MAAS_F32 && maas_rnn_of(c).usual;
}

static void rnn_release(void *p)
{
    rnn_state *s = p;
    maas_free(s->packed);
    maas_free(s);
}

static bool is_constant(const maas_call *c)
{
    for (int i = 0; i < c->n_in; i++)
        if ((i == MAAS_RNN_W || i == MAAS_RNN_R || i == MAAS_RNN_B || i == MAAS_RNN_P) &&
            c->in[i].dtype != MAAS_DT_NONE && !c->in[i].data)
            return false;
    return true;
}

static size_t floats_of_states(const rnn_state *s)
{
    return (size_t)(s->r.batch * s->width);
}

static maas_status rnn_prepare(maas_call *c, const maas_cpu *cpu, maas_err *err)
{
    rnn_state *s = maas_calloc(1, sizeof *s);
    if (!s)
        return maas_fail(err, MAAS_E_NOMEM, "preparing %s", c->node->op->name);
    *s = state_of(c);
    size_t floats = 4 * floats_of_states(s) + (size_t)(s->chunk * s->r.batch * s->columns);
    if (is_constant(c)) {
        s->packed = maas_aligned(64, s->n_packed * (size_t)s->r.dirs * sizeof(float) + 64);
        if (!s->packed) {
            rnn_release(s);
            return maas_fail(err, MAAS_E_NOMEM, "packing weights");
        }
        for (int64_t d = 0; d < s->r.dirs; d++)
            pack(c, s, d, panels_at(s, s->packed + (size_t)d * s->n_packed), 0, s->blocks);
    } else {
        floats += s->n_packed;
    }
    c->scratch_bytes = floats * sizeof(float);
    c->state = s;
    return MAAS_OK;
}

static maas_status rnn_run(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const rnn_state *s = c->state;
    const size_t n = floats_of_states(s);
    float *room = c->scratch;
    MAAS_TRY(maas_rnn_check_lens(c, &s->r, err)); /* all threads say the same */
    for (int64_t d = 0; d < s->r.dirs; d++) {
        float *packed = s->packed ? s->packed + (size_t)d * s->n_packed
                                  : room + 4 * n + s->chunk * s->r.batch * s->columns;
        pass w = {.c = c,
                  .s = s,
                  .p = panels_at(s, packed),
                  .d = d,
                  .h = room,
                  .next = room + n,
                  .cell = room + 2 * n,
                  .rh = room + 3 * n,
                  .gates = room + 4 * n,
                  .lens = input(c, MAAS_RNN_LENS) != NULL};
        maas_share(s->blocks, ISA_TILE_VEC, ithr, nthr, &w.b0, &w.b1);
        if (!s->packed)
            pack(c, s, d, w.p, w.b0, w.b1);
        run_direction(&w);
    }
    return MAAS_OK;
}

#define ROW(which)                                                                                 \
    {                                                                                              \
        .op = &maas_op_##which, .name = #which "." ISA_TEXT, .flags = MAAS_KERNEL_BARRIER,         \
        .fits = rnn_fits, .prepare = rnn_prepare, .release = rnn_release, .run = rnn_run           \
    }
const maas_kernel ISA(maas_kernels_rnn)[] = {ROW(RNN), ROW(LSTM), ROW(GRU), {0}};
