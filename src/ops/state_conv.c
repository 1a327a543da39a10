/*
 * StateConv (ai.maas): a short causal convolution of each channel, over rows of many sequences.
 *
 *   y[r] = bias + sum over k of W[k] * x[r - (taps - 1) + k]
 *
 * r counts in the row's sequence; what is before its beginning is 0, what came in earlier calls is
 * in its slot of the state.
 */
#include "ops/ops_int.h"
#include "ops/state_rows.h"

#include "base/ban.h"

maas_status maas_state_rows_check(const int32_t *slot, int64_t rows, int64_t slots, maas_err *err)
{
    for (int64_t r = 0; r < rows; r++)
        if (slot[r] >= slots)
            return maas_fail(err, MAAS_E_INVALID, "row %lld: slot %d of %lld", (long long)r,
                             slot[r], (long long)slots);
    return MAAS_OK;
}

const float *maas_sconv_bias(const maas_call *c)
{
    const maas_tensor *bias = maas_c_in(c, MAAS_SCONV_BIAS);
    return bias ? bias->data : NULL;
}

static maas_status conv_infer(maas_infer *q, maas_err *err)
{
    static const int ranks[] = {2, 3, 2, 1, 1, 1};
    static const struct {
        uint8_t a, a_dim, b, b_dim;
        const char *what;
    } same[] = {
        {MAAS_SCONV_X, 0, MAAS_SCONV_AT, 0, "rows of X and at"},
        {MAAS_SCONV_X, 0, MAAS_SCONV_SLOT, 0, "rows of X and slot"},
        {MAAS_SCONV_X, 1, MAAS_SCONV_W, 1, "channels of X and W"},
        {MAAS_SCONV_X, 1, MAAS_SCONV_STATE, 2, "channels of X and state"},
        {MAAS_SCONV_X, 1, MAAS_SCONV_BIAS, 0, "channels of X and bias"},
    };
    const bool bias = maas_q_has(q, MAAS_SCONV_BIAS);
    bool known = true;
    for (int i = 0; i < MAAS_SCONV_N_IN + bias; i++) {
        if (q->in[i].rank >= 0 && q->in[i].rank != ranks[i])
            return maas_fail(err, MAAS_E_INVALID, "%s has rank %d, it must have %d",
                             q->node->op->in[i].name, q->in[i].rank, ranks[i]);
        known = known && q->in[i].rank >= 0;
    }
    q->out[1] = q->in[MAAS_SCONV_STATE];
    if (!known) {
        maas_q_unranked(q, 0, MAAS_F32);
        return MAAS_OK;
    }
    const int64_t taps = q->in[MAAS_SCONV_W].dims[0], kept = q->in[MAAS_SCONV_STATE].dims[1];
    if (taps == 0 || taps > MAAS_SCONV_MAX_TAPS || (taps > 0 && kept >= 0 && kept != taps - 1))
        return maas_fail(err, MAAS_E_INVALID, "%lld taps (1 to %d) over a state of %lld rows",
                         (long long)taps, MAAS_SCONV_MAX_TAPS, (long long)kept);
    int64_t dims[2] = {q->in[MAAS_SCONV_X].dims[0], q->in[MAAS_SCONV_X].dims[1]};
    for (size_t i = 0; i < MAAS_COUNT(same) - !bias; i++)
        MAAS_TRY(maas_dim_same(q->in[same[i].a].dims[same[i].a_dim],
                               q->in[same[i].b].dims[same[i].b_dim], &dims[same[i].a_dim],
                               same[i].what, err));
    maas_q_out(q, 0, MAAS_F32, 2, dims);
    return MAAS_OK;
}

static void conv_row(const maas_call *c, int64_t row, int64_t slot, bool begins)
{
    const int64_t n = c->in[MAAS_SCONV_X].dims[1], taps = c->in[MAAS_SCONV_W].dims[0];
    const maas_tensor *bias = maas_c_in(c, MAAS_SCONV_BIAS), *state = &c->out[1];
    for (int64_t i = 0; i < n; i++) {
        const double x = maas_ld(&c->in[MAAS_SCONV_X], row * n + i);
        double y = bias ? maas_ld(bias, i) : 0;
        for (int64_t k = 0; k < taps - 1; k++) {
            const int64_t at = (slot * (taps - 1) + k) * n + i;
            const double old = begins ? 0 : maas_ld(state, at);
            y += maas_ld(&c->in[MAAS_SCONV_W], k * n + i) * old;
            if (k)
                maas_st(state, at - n, old);
        }
        if (taps > 1)
            maas_st(state, (slot * (taps - 1) + taps - 2) * n + i, x);
        maas_st(&c->out[0], row * n + i, y + maas_ld(&c->in[MAAS_SCONV_W], (taps - 1) * n + i) * x);
    }
}

static maas_status conv_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[MAAS_SCONV_X], *state = &c->in[MAAS_SCONV_STATE];
    const int32_t *at = c->in[MAAS_SCONV_AT].data, *slot = c->in[MAAS_SCONV_SLOT].data;
    MAAS_TRY(maas_state_rows_check(slot, x->dims[0], state->dims[0], err));
    if (c->out[1].data != state->data)
        memcpy(c->out[1].data, state->data, maas_tensor_bytes(state));
    for (int64_t r = 0; r < x->dims[0]; r++)
        if (slot[r] >= 0)
            conv_row(c, r, slot[r], at[r] == 0);
        else
            memset((float *)c->out[0].data + r * x->dims[1], 0, (size_t)x->dims[1] * sizeof(float));
    return MAAS_OK;
}

static int64_t conv_flops(const maas_call *c)
{
    return 2 * maas_n_elems(&c->in[MAAS_SCONV_X]) * c->in[MAAS_SCONV_W].dims[0];
}

/* ---- example and row ---- */

/* Two sequences, one of which begins, by turns; and rows of padding. */
static void conv_example(maas_example *e)
{
    static const int32_t at[] = {0, 7, 1, 2, 3, 8, 0, 4}, slot[] = {2, 0, 2, 2, 2, 0, -1, 2};
    static const struct {
        int64_t channels, taps;
        bool bias;
    } rows[] = {{40, 4, true}, {64, 4, false}, {7, 2, true}, {16, 1, true}, {33, 3, false}};
    const int64_t n = rows[e->variant].channels, taps = rows[e->variant].taps, count = 8;
    const maas_tensor t_at = maas_tensor_of(MAAS_I32, 1, &count, (void *)(uintptr_t)at);
    const maas_tensor t_slot = maas_tensor_of(MAAS_I32, 1, &count, (void *)(uintptr_t)slot);
    const maas_vid in[] = {maas_ex_in(e, MAAS_F32, -2, 2, MAAS_DIMS(count, n)),
                           maas_ex_in(e, MAAS_F32, -2, 2, MAAS_DIMS(3, taps - 1, n)),
                           maas_ex_in(e, MAAS_F32, -1, 1, MAAS_DIMS(taps, n)),
                           maas_b_const(e->b, NULL, &t_at),
                           maas_b_const(e->b, NULL, &t_slot),
                           rows[e->variant].bias ? maas_ex_in(e, MAAS_F32, -1, 1, MAAS_DIMS(n))
                                                 : MAAS_NO_VALUE};
    maas_vid out[2];
    maas_b_node(e->b, "StateConv", NULL, 0, in, MAAS_SCONV_N_IN + rows[e->variant].bias, out, 2);
}

#define F32 MAAS_DT_BIT(MAAS_F32)
#define I32 MAAS_DT_BIT(MAAS_I32)
static const maas_io_schema in[] = {MAAS_REQ("X", NULL, F32),    MAAS_REQ("state", NULL, F32),
                                    MAAS_REQ("W", NULL, F32),    MAAS_REQ("at", NULL, I32),
                                    MAAS_REQ("slot", NULL, I32), MAAS_OPT("bias", NULL, F32)};
static const maas_io_schema out[] = {MAAS_REQ("Y", NULL, F32), MAAS_REQ("new_state", NULL, F32)};

const maas_op maas_op_StateConv = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "StateConv",
    .since = 1,
    .flags = MAAS_OP_INPLACE,
    MAAS_SCHEMA(in, out),
    .n_examples = 5,
    .tolerance = 1e-5,
    .infer = conv_infer,
    .reference = conv_reference,
    .flops = conv_flops,
    .example = conv_example,
    .no_gradient = "a state is not trained through",
};
