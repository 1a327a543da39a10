/*
 * CausalConvWithState: every channel of [B][C][L] convolved with its own kernel [C][1][k], looking
 * back only: before the first place stands the past state [B][C][k - 1], or zeros. The last k - 1
 * places of both together are the new state. The result may pass through x sigmoid(x).
 */
#include "ops/ops_int.h"

#include "base/ban.h"

static maas_status read_activation(const maas_node *n, bool *out_silu, maas_err *err)
{
    static const char *const words[] = {"none", "silu", "swish"};
    const maas_str s = maas_attr_s(n, "activation", "none");
    for (size_t i = 0; i < MAAS_COUNT(words); i++)
        if (s.n == strlen(words[i]) && memcmp(s.p, words[i], s.n) == 0) {
            *out_silu = i > 0;
            return MAAS_OK;
        }
    return maas_fail(err, MAAS_E_INVALID, "attribute 'activation' must be none, silu or swish");
}

static maas_status check_rank(const maas_infer *q, int i, int rank, maas_err *err)
{
    if (maas_q_has(q, i) && q->in[i].rank >= 0 && q->in[i].rank != rank)
        return maas_fail(err, MAAS_E_INVALID, "'%s' has rank %d, must be %d",
                         q->node->op->in[i].name, q->in[i].rank, rank);
    return MAAS_OK;
}

static maas_status causal_infer(maas_infer *q, maas_err *err)
{
    static const int ranks[] = {3, 3, 1, 3};
    const maas_type *x = &q->in[0], *w = &q->in[1], *bias = &q->in[2], *past = &q->in[3];
    int64_t batch = MAAS_DIM_UNKNOWN, channels = batch, length = batch, before = batch, one = 1;
    bool silu;
    MAAS_TRY(read_activation(q->node, &silu, err));
    for (int i = 0; i < 4; i++)
        MAAS_TRY(check_rank(q, i, ranks[i], err));
    if (x->rank == 3) {
        batch = x->dims[0];
        channels = x->dims[1];
        length = x->dims[2];
    }
    if (w->rank == 3) {
        MAAS_TRY(maas_dim_same(channels, w->dims[0], &channels, "channels", err));
        MAAS_TRY(maas_dim_same(one, w->dims[1], &one, "inputs of a channel", err));
        if (w->dims[2] == 0)
            return maas_fail(err, MAAS_E_INVALID, "a kernel of no places");
        before = w->dims[2] > 0 ? w->dims[2] - 1 : MAAS_DIM_UNKNOWN;
    }
    if (maas_q_has(q, 2) && bias->rank == 1)
        MAAS_TRY(maas_dim_same(channels, bias->dims[0], &channels, "bias", err));
    if (maas_q_has(q, 3) && past->rank == 3) {
        MAAS_TRY(maas_dim_same(batch, past->dims[0], &batch, "past_state", err));
        MAAS_TRY(maas_dim_same(channels, past->dims[1], &channels, "past_state", err));
        MAAS_TRY(maas_dim_same(before, past->dims[2], &before, "past_state", err));
    }
    const maas_dtype t = (maas_dtype)x->dtype;
    maas_q_out(q, 0, t, 3, (const int64_t[]){batch, channels, length});
    maas_q_out(q, 1, t, 3, (const int64_t[]){batch, channels, before});
    return MAAS_OK;
}

/* Place i of what stands before the input and the input. */
static double place_of(const maas_call *c, int64_t row, int64_t before, int64_t i)
{
    const maas_tensor *x = &c->in[0], *past = maas_c_in(c, 3);
    if (i >= before)
        return maas_ld(x, row * x->dims[2] + i - before);
    return past ? maas_ld(past, row * before + i) : 0;
}

static maas_status causal_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0], *w = &c->in[1], *bias = maas_c_in(c, 2),
                      *state = maas_c_out(c, 1);
    const int64_t k = w->dims[2], length = x->dims[2];
    bool silu;
    MAAS_TRY(read_activation(c->node, &silu, err));
    for (int64_t row = 0; row < x->dims[0] * x->dims[1]; row++) {
        const int64_t channel = row % x->dims[1];
        for (int64_t i = 0; i < length; i++) {
            double sum = bias ? maas_ld(bias, channel) : 0;
            for (int64_t j = 0; j < k; j++)
                sum += maas_ld(w, channel * k + j) * place_of(c, row, k - 1, i + j);
            maas_st(&c->out[0], row * length + i, silu ? sum / (1 + exp(-sum)) : sum);
        }
        for (int64_t i = 0; state && i < k - 1; i++)
            maas_st(state, row * (k - 1) + i, place_of(c, row, k - 1, length + i));
    }
    return MAAS_OK;
}

static int64_t causal_flops(const maas_call *c)
{
    return 2 * maas_n_elems(&c->in[0]) * c->in[1].dims[2];
}

static void causal_example(maas_example *e)
{
    static const struct {
        int batch, channels, length, kernel, bias, past;
        const char *activation;
    } cases[] = {{2, 3, 5, 3, 1, 1, "none"},
                 {1, 2, 1, 4, 0, 1, "silu"},
                 {2, 2, 4, 1, 1, 0, "swish"},
                 {1, 2, 0, 3, 0, 0, "none"}};
    const int k = e->variant / 2;
    const maas_dtype t = maas_ex_float(e);
    const int64_t b = cases[k].batch, c = cases[k].channels, n = cases[k].kernel;
    const maas_attr a = MAAS_A_STR("activation", cases[k].activation);
    maas_vid out[2], in[4] = {maas_ex_in(e, t, -2, 2, MAAS_DIMS(b, c, cases[k].length)),
                              maas_ex_in(e, t, -1, 1, MAAS_DIMS(c, 1, n))};
    in[2] = cases[k].bias ? maas_ex_in(e, t, -1, 1, MAAS_DIMS(c)) : MAAS_NO_VALUE;
    in[3] = cases[k].past ? maas_ex_in(e, t, -2, 2, MAAS_DIMS(b, c, n - 1)) : MAAS_NO_VALUE;
    maas_b_node(e->b, "CausalConvWithState", &a, 1, in, 4, out, 2);
}

static const maas_io_schema in[] = {
    MAAS_REQ("input", "T", MAAS_DTS_FLOAT), MAAS_REQ("weight", "T", MAAS_DTS_FLOAT),
    MAAS_OPT("bias", "T", MAAS_DTS_FLOAT), MAAS_OPT("past_state", "T", MAAS_DTS_FLOAT)};
static const maas_io_schema out[] = {MAAS_REQ("output", "T", MAAS_DTS_FLOAT),
                                     MAAS_REQ("present_state", "T", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {{"activation", MAAS_ATTR_STRING, false}};

const maas_op maas_op_CausalConvWithState = {
    .domain = "",
    .name = "CausalConvWithState",
    .since = 27,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 8,
    .tolerance = 1e-5,
    .infer = causal_infer,
    .reference = causal_reference,
    .flops = causal_flops,
    .example = causal_example,
    .no_gradient = "Concat and Conv say the same and have gradients",
};
