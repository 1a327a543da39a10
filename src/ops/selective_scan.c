/*
 * SelectiveScan (ai.maas): the recurrence of Mamba (arXiv 2312.00752) and Mamba 2 (arXiv
 * 2405.21060) over rows of many sequences.
 *
 *   h[n, p] = exp(dt * A) * h[n, p] + dt * B[n] * x[p]
 *   y[p]    = sum over n of C[n] * h[n, p] + D * x[p]
 *
 * for each head, whose `width` channels share B and C with the other heads of a group. dt, A and D
 * are one number for a head (Mamba 2), or one for each channel and A for each of its states, too
 * (Mamba). The state goes on from row to row in single precision, in one order: how rows are cut
 * into calls, and what else is in a call, changes nothing.
 */
#include "ops/ops_int.h"
#include "ops/state_rows.h"

#include "base/ban.h"

static const int ranks[MAAS_SCAN_N_IN] = {2, 4, 2, -1, 2, 2, 1, 1, 1};

static maas_status shapes(const int64_t *const dims[MAAS_SCAN_N_IN], int a_rank, maas_scan *p,
                          maas_err *err)
{
    const int64_t *state = dims[MAAS_SCAN_STATE], *a = dims[MAAS_SCAN_A];
    *p = (maas_scan){.rows = dims[MAAS_SCAN_X][0],
                     .slots = state[0],
                     .heads = state[1],
                     .states = state[2],
                     .width = state[3],
                     .each = a_rank == 3};
    const int64_t steps = p->each ? p->heads * p->width : p->heads;
    if (p->heads < 1 || p->states < 1 || p->width < 1)
        return maas_fail(err, MAAS_E_INVALID, "a state without heads, states or width");
    p->groups = dims[MAAS_SCAN_B][1] / p->states;
    if (dims[MAAS_SCAN_X][1] != p->heads * p->width)
        return maas_fail(err, MAAS_E_INVALID, "X has %lld channels, the state %lld",
                         (long long)dims[MAAS_SCAN_X][1], (long long)(p->heads * p->width));
    if (dims[MAAS_SCAN_B][1] % p->states || p->groups < 1 || p->heads % p->groups ||
        dims[MAAS_SCAN_C][1] != dims[MAAS_SCAN_B][1])
        return maas_fail(err, MAAS_E_INVALID,
                         "%lld heads of %lld states cannot share B and C of %lld and %lld numbers",
                         (long long)p->heads, (long long)p->states, (long long)dims[MAAS_SCAN_B][1],
                         (long long)dims[MAAS_SCAN_C][1]);
    if (dims[MAAS_SCAN_DT][1] != steps || dims[MAAS_SCAN_D][0] != steps || a[0] != p->heads ||
        (p->each && (a[1] != p->states || a[2] != p->width)))
        return maas_fail(err, MAAS_E_INVALID, "DT, A or D have another shape than the state");
    for (int i = 0; i < MAAS_SCAN_N_IN; i++)
        if (i != MAAS_SCAN_STATE && i != MAAS_SCAN_A && i != MAAS_SCAN_D && dims[i][0] != p->rows)
            return maas_fail(err, MAAS_E_INVALID,
                             "DT, B, C, at and slot must have a row for each "
                             "of X");
    return MAAS_OK;
}

maas_status maas_scan_of(const maas_call *c, maas_scan *out, maas_err *err)
{
    const int64_t *dims[MAAS_SCAN_N_IN];
    for (int i = 0; i < MAAS_SCAN_N_IN; i++)
        dims[i] = c->in[i].dims;
    return shapes(dims, c->in[MAAS_SCAN_A].rank, out, err);
}

static maas_status scan_infer(maas_infer *q, maas_err *err)
{
    const int64_t *dims[MAAS_SCAN_N_IN];
    maas_scan p;
    bool known = true;
    for (int i = 0; i < MAAS_SCAN_N_IN; i++) {
        const int rank = q->in[i].rank;
        const bool right = i == MAAS_SCAN_A ? rank == 1 || rank == 3 : rank == ranks[i];
        dims[i] = q->in[i].dims;
        if (rank >= 0 && !right)
            return maas_fail(err, MAAS_E_INVALID, "%s has rank %d", q->node->op->in[i].name, rank);
        known = known && rank >= 0;
        for (int k = 0; known && k < rank; k++)
            known = dims[i][k] >= 0;
    }
    if (known)
        MAAS_TRY(shapes(dims, q->in[MAAS_SCAN_A].rank, &p, err));
    q->out[0] = q->in[MAAS_SCAN_X];
    q->out[1] = q->in[MAAS_SCAN_STATE];
    return MAAS_OK;
}

/* ---- reference ---- */

static void scan_channel(const maas_call *c, const maas_scan *p, int64_t row, int64_t slot,
                         bool begins, int64_t channel)
{
    const int64_t head = channel / p->width, at = channel % p->width;
    const int64_t group = head / (p->heads / p->groups), step = p->each ? channel : head;
    const int64_t steps = p->each ? p->heads * p->width : p->heads;
    const double x = maas_ld(&c->in[MAAS_SCAN_X], row * p->heads * p->width + channel);
    const double dt = maas_ld(&c->in[MAAS_SCAN_DT], row * steps + step);
    double y = maas_ld(&c->in[MAAS_SCAN_D], step) * x;
    for (int64_t n = 0; n < p->states; n++) {
        const int64_t i = (head * p->states + n) * p->width + at;
        const int64_t in_slot = slot * p->heads * p->states * p->width + i;
        const int64_t shared = (row * p->groups + group) * p->states + n;
        const double a = maas_ld(&c->in[MAAS_SCAN_A], p->each ? i : head);
        const double old = begins ? 0 : maas_ld(&c->out[1], in_slot);
        const double now = exp(dt * a) * old + dt * x * maas_ld(&c->in[MAAS_SCAN_B], shared);
        maas_st(&c->out[1], in_slot, now);
        y += now * maas_ld(&c->in[MAAS_SCAN_C], shared);
    }
    maas_st(&c->out[0], row * p->heads * p->width + channel, y);
}

static maas_status scan_reference(const maas_call *c, maas_err *err)
{
    const int32_t *at = c->in[MAAS_SCAN_AT].data, *slot = c->in[MAAS_SCAN_SLOT].data;
    maas_scan p;
    MAAS_TRY(maas_scan_of(c, &p, err));
    MAAS_TRY(maas_state_rows_check(slot, p.rows, p.slots, err));
    const int64_t n = p.heads * p.width;
    if (c->out[1].data != c->in[MAAS_SCAN_STATE].data)
        memcpy(c->out[1].data, c->in[MAAS_SCAN_STATE].data,
               maas_tensor_bytes(&c->in[MAAS_SCAN_STATE]));
    for (int64_t r = 0; r < p.rows; r++) {
        if (slot[r] < 0)
            memset((float *)c->out[0].data + r * n, 0, (size_t)n * sizeof(float));
        for (int64_t i = 0; slot[r] >= 0 && i < n; i++)
            scan_channel(c, &p, r, slot[r], at[r] == 0, i);
    }
    return MAAS_OK;
}

static int64_t scan_flops(const maas_call *c)
{
    return 6 * maas_n_elems(&c->in[MAAS_SCAN_X]) * c->in[MAAS_SCAN_STATE].dims[2];
}

/* ---- example and row ---- */

/* Two sequences, one of which begins, by turns; and a row of padding. */
static void scan_example(maas_example *e)
{
    static const int32_t at[] = {0, 7, 1, 2, 3, 8, 0, 4}, slot[] = {2, 0, 2, 2, 2, 0, -1, 2};
    static const struct {
        int64_t heads, width, states, groups;
        bool each;
    } rows[] = {{4, 64, 16, 2, false}, {3, 16, 20, 1, false}, {2, 16, 16, 1, true},
                {6, 5, 3, 3, false},   {1, 80, 7, 1, true},   {2, 48, 128, 1, false}};
    const int64_t heads = rows[e->variant].heads, width = rows[e->variant].width;
    const int64_t states = rows[e->variant].states, shared = rows[e->variant].groups * states;
    const bool each = rows[e->variant].each;
    const int64_t steps = each ? heads * width : heads, n = 8;
    const maas_tensor t_at = maas_tensor_of(MAAS_I32, 1, &n, (void *)(uintptr_t)at);
    const maas_tensor t_slot = maas_tensor_of(MAAS_I32, 1, &n, (void *)(uintptr_t)slot);
    const maas_vid in[MAAS_SCAN_N_IN] = {
        maas_ex_in(e, MAAS_F32, -2, 2, MAAS_DIMS(n, heads * width)),
        maas_ex_in(e, MAAS_F32, -1, 1, MAAS_DIMS(3, heads, states, width)),
        maas_ex_in(e, MAAS_F32, 0.01, 1, MAAS_DIMS(n, steps)),
        each ? maas_ex_in(e, MAAS_F32, -4, -0.1, MAAS_DIMS(heads, states, width))
             : maas_ex_in(e, MAAS_F32, -4, -0.1, MAAS_DIMS(heads)),
        maas_ex_in(e, MAAS_F32, -1, 1, MAAS_DIMS(n, shared)),
        maas_ex_in(e, MAAS_F32, -1, 1, MAAS_DIMS(n, shared)),
        maas_ex_in(e, MAAS_F32, -1, 1, MAAS_DIMS(steps)),
        maas_b_const(e->b, NULL, &t_at),
        maas_b_const(e->b, NULL, &t_slot)};
    maas_vid out[2];
    maas_b_node(e->b, "SelectiveScan", NULL, 0, in, MAAS_SCAN_N_IN, out, 2);
}

#define F32 MAAS_DT_BIT(MAAS_F32)
#define I32 MAAS_DT_BIT(MAAS_I32)
static const maas_io_schema in[] = {
    MAAS_REQ("X", NULL, F32), MAAS_REQ("state", NULL, F32), MAAS_REQ("DT", NULL, F32),
    MAAS_REQ("A", NULL, F32), MAAS_REQ("B", NULL, F32),     MAAS_REQ("C", NULL, F32),
    MAAS_REQ("D", NULL, F32), MAAS_REQ("at", NULL, I32),    MAAS_REQ("slot", NULL, I32)};
static const maas_io_schema out[] = {MAAS_REQ("Y", NULL, F32), MAAS_REQ("new_state", NULL, F32)};

const maas_op maas_op_SelectiveScan = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "SelectiveScan",
    .since = 1,
    .flags = MAAS_OP_INPLACE,
    MAAS_SCHEMA(in, out),
    .n_examples = 6,
    .tolerance = 2e-5,
    .infer = scan_infer,
    .reference = scan_reference,
    .flops = scan_flops,
    .example = scan_example,
    .no_gradient = "a state is not trained through",
};
