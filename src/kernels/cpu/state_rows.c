/*
 * StateConv and SelectiveScan: rows of sequences, each on top of the state that the one before it
 * left in a slot. Threads have channels or heads, and go over all rows in their order, so that a
 * piece of a state stays in the nearest cache. A channel is summed in one order, whatever else is
 * in the call and however rows are cut into calls.
 */
#include "kernels/cpu/isa.h"
#include "ops/state_rows.h"

#include "base/mem.h"
#include "base/ban.h"

extern const maas_op maas_op_StateConv, maas_op_SelectiveScan;

/* The planner puts a new state where the old one is; tests do not: bytes from .. from + n - 1 of
 * every slot. */
static void carry(const maas_call *c, int64_t slots, size_t slot_bytes, size_t from, size_t n)
{
    const char *old = c->in[1].data;
    char *to = c->out[1].data;
    for (int64_t s = 0; s < slots && to != old; s++)
        memcpy(to + (size_t)s * slot_bytes + from, old + (size_t)s * slot_bytes + from, n);
}

/* ---- StateConv ---- */

/* n: of the vector's channels; state: of its slot, at these channels. */
INLINE vf one_conv(const float *x, float *state, const float *w, const float *bias, int64_t taps,
                   int64_t channels, int64_t n, bool begins)
{
    const vf now = v_load_part(x, n, 0);
    vf y = bias ? v_load_part(bias, n, 0) : v_all(0);
    for (int64_t k = 0; k < taps - 1; k++) {
        const vf old = begins ? v_all(0) : v_load_part(state + k * channels, n, 0);
        y += v_load_part(w + k * channels, n, 0) * old;
        if (k)
            v_store_part(state + (k - 1) * channels, old, n);
    }
    if (taps > 1)
        v_store_part(state + (taps - 2) * channels, now, n);
    return y + v_load_part(w + (taps - 1) * channels, n, 0) * now;
}

static maas_status run_conv(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    const int64_t rows = c->in[MAAS_SCONV_X].dims[0], n = c->in[MAAS_SCONV_X].dims[1];
    const int64_t taps = c->in[MAAS_SCONV_W].dims[0], slots = c->in[MAAS_SCONV_STATE].dims[0];
    const int64_t slot_size = (taps - 1) * n;
    const int32_t *at = c->in[MAAS_SCONV_AT].data, *slot = c->in[MAAS_SCONV_SLOT].data;
    const float *b = maas_sconv_bias(c), *w = c->in[MAAS_SCONV_W].data;
    int64_t from, to;
    MAAS_TRY(maas_state_rows_check(slot, rows, slots, err));
    maas_share(n, 16, ithr, nthr, &from, &to);
    if (from >= to)
        return MAAS_OK;
    carry(c, slots * (taps - 1), (size_t)n * sizeof(float), (size_t)from * sizeof(float),
          (size_t)(to - from) * sizeof(float));
    for (int64_t r = 0; r < rows; r++) {
        const float *x = (const float *)c->in[MAAS_SCONV_X].data + r * n;
        float *y = (float *)c->out[0].data + r * n;
        if (slot[r] < 0) {
            memset(y + from, 0, (size_t)(to - from) * sizeof *y);
            continue;
        }
        float *state = (float *)c->out[1].data + slot[r] * slot_size;
        for (int64_t i = from; i < to; i += VW) {
            const int64_t part = to - i < VW ? to - i : VW;
            v_store_part(
                y + i,
                one_conv(x + i, state + i, w + i, b ? b + i : NULL, taps, n, part, at[r] == 0),
                part);
        }
    }
    return MAAS_OK;
}

static bool fits_conv(const maas_call *c, const maas_cpu *cpu)
{
    return c->in[MAAS_SCONV_X].dims[1] > 0;
}

/* ---- SelectiveScan ---- */

typedef struct scan { /* where one row of one head finds its numbers */
    const float *x, *dt, *a, *b, *c, *d;
    float *state, *y;
    int64_t states, width;
    bool each;
} scan;

#define MOST 4 /* vectors of channels at once */
/* n vectors of the head's channels, the first of which is `from`. */
INLINE void scan_part(const scan *s, int64_t from, const int n)
{
    const float decay = s->each ? 0 : expf(*s->dt * *s->a);
    vf x[MOST], dt[MOST], sum[MOST];
    float *state = s->state + from;
    for (int i = 0; i < n; i++) {
        const int64_t at = from + i * VW;
        const vf in = v_load(s->x + at);
        dt[i] = s->each ? v_load(s->dt + at) : v_all(*s->dt);
        sum[i] = (s->each ? v_load(s->d + at) : v_all(*s->d)) * in;
        x[i] = dt[i] * in;
    }
    for (int64_t k = 0; k < s->states; k++, state += s->width)
        for (int i = 0; i < n; i++) {
            const vf by = s->each ? v_exp(dt[i] * v_load(s->a + k * s->width + from + i * VW))
                                  : v_all(decay);
            const vf now = by * v_load(state + i * VW) + s->b[k] * x[i];
            v_store(state + i * VW, now);
            sum[i] += s->c[k] * now;
        }
    for (int i = 0; i < n; i++)
        v_store(s->y + from + i * VW, sum[i]);
}

static void clear(const scan *s, int64_t from, int64_t n)
{
    for (int64_t k = 0; k < s->states; k++)
        memset(s->state + k * s->width + from, 0, (size_t)n * sizeof *s->state);
}

static scan row_of(const maas_call *c, const maas_scan *p, int64_t row, int64_t slot, int64_t head)
{
    const int64_t step = p->each ? head * p->width : head, shared = head / (p->heads / p->groups);
    const int64_t steps = p->each ? p->heads * p->width : p->heads, size = p->states * p->width;
    const int64_t bc = (row * p->groups + shared) * p->states, all = p->heads * p->width;
    return (scan){.x = (const float *)c->in[MAAS_SCAN_X].data + row * all + head * p->width,
                  .y = (float *)c->out[0].data + row * all + head * p->width,
                  .dt = (const float *)c->in[MAAS_SCAN_DT].data + row * steps + step,
                  .a = (const float *)c->in[MAAS_SCAN_A].data + head * (p->each ? size : 1),
                  .b = (const float *)c->in[MAAS_SCAN_B].data + bc,
                  .c = (const float *)c->in[MAAS_SCAN_C].data + bc,
                  .d = (const float *)c->in[MAAS_SCAN_D].data + step,
                  .state = (float *)c->out[1].data + (slot * p->heads + head) * size,
                  .states = p->states,
                  .width = p->width,
                  .each = p->each};
}

/* All rows over n vectors of channels of a head. */
INLINE void scan_rows(const maas_call *c, const maas_scan *p, int64_t head, int64_t from,
                      const int n)
{
    const int32_t *at = c->in[MAAS_SCAN_AT].data, *slot = c->in[MAAS_SCAN_SLOT].data;
    for (int64_t r = 0; r < p->rows; r++) {
        const scan s = row_of(c, p, r, slot[r] < 0 ? 0 : slot[r], head);
        if (slot[r] < 0) {
            memset(s.y + from, 0, (size_t)n * VW * sizeof *s.y);
            continue;
        }
        if (at[r] == 0)
            clear(&s, from, (int64_t)n * VW);
        scan_part(&s, from, n);
    }
}

static maas_status run_scan(const maas_call *c, int ithr, int nthr, maas_err *err)
{
    int64_t head, to;
    maas_scan p;
    MAAS_TRY(maas_scan_of(c, &p, err));
    MAAS_TRY(maas_state_rows_check(c->in[MAAS_SCAN_SLOT].data, p.rows, p.slots, err));
    const size_t size = (size_t)(p.states * p.width) * sizeof(float);
    maas_share(p.heads, 1, ithr, nthr, &head, &to);
    if (head < to)
        carry(c, p.slots, (size_t)p.heads * size, (size_t)head * size, (size_t)(to - head) * size);
    for (; head < to; head++) {
        int64_t i = 0;
        for (; i + MOST * VW <= p.width; i += MOST * VW)
            scan_rows(c, &p, head, i, MOST);
        for (; i < p.width; i += VW)
            scan_rows(c, &p, head, i, 1);
    }
    return MAAS_OK;
}

static bool fits_scan(const maas_call *c, const maas_cpu *cpu)
{
    maas_scan p;
    return maas_scan_of(c, &p, NULL) == MAAS_OK && p.width % VW == 0;
}

const maas_kernel ISA(maas_kernels_state_rows)[] = {
    {.op = &maas_op_StateConv, .name = "StateConv." ISA_TEXT, .fits = fits_conv, .run = run_conv},
    {.op = &maas_op_SelectiveScan,
     .name = "SelectiveScan." ISA_TEXT,
     .fits = fits_scan,
     .run = run_scan},
    {0}};
