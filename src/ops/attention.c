/*
 * Attention: softmax(softcap(scale Q K^T) + bias) V for every head; K and V may follow cached ones.
 * A query that may see no key at all gives zeros.
 */
#include "ops/attention.h"

#include "ops/ops_int.h"

#include "base/ban.h"

typedef struct query {
    const maas_call *c;
    const maas_attn *a;
    int64_t b, h, i;
    double *p; /* [total] scores, then probabilities */
} query;

/* Element d of a key (or value) of the head that query head h reads. */
static double cached(const query *w, int i, int64_t j, int64_t d)
{
    const maas_attn *a = w->a;
    const bool value = i == MAAS_ATTN_V;
    const int64_t head = w->h / (a->heads / a->kv_heads), size = value ? a->v_size : a->size;
    const maas_attn_view *v = value ? &a->v : &a->k;
    if (j < a->past)
        return maas_ld(&w->c->in[value ? MAAS_ATTN_PAST_V : MAAS_ATTN_PAST_K],
                       ((w->b * a->kv_heads + head) * a->past + j) * size + d);
    return maas_ld(&w->c->in[i], w->b * v->batch + head * v->head + (j - a->past) * v->step + d);
}

/* What is added to the score of key j: -inf when the query may not see it. */
static double bias_of(const query *w, int64_t j, int64_t from, int64_t to)
{
    const maas_attn *a = w->a;
    if (j < from || j >= to)
        return -INFINITY;
    if (!a->mask)
        return 0;
    const double m = maas_ld(a->mask, w->b * a->mask_step[0] + w->h * a->mask_step[1] +
                                          w->i * a->mask_step[2] + j * a->mask_step[3]);
    return a->mask->dtype != MAAS_BOOL ? m : m != 0 ? 0 : -INFINITY;
}

static double score_of(const query *w, int64_t j)
{
    const maas_attn *a = w->a;
    const int64_t at = w->b * a->q.batch + w->h * a->q.head + w->i * a->q.step;
    double sum = 0;
    for (int64_t d = 0; d < a->size; d++)
        sum += maas_ld(&w->c->in[0], at + d) * cached(w, MAAS_ATTN_K, j, d);
    return sum * a->scale;
}

static void put_scores(const query *w, int mode)
{
    const maas_attn *a = w->a;
    const maas_tensor *out = maas_c_out(w->c, 3);
    const int64_t total = a->past + a->kv_len;
    if (!out || a->output != mode)
        return;
    for (int64_t j = 0; j < total; j++)
        maas_st(out, ((w->b * a->heads + w->h) * a->q_len + w->i) * total + j, w->p[j]);
}

static void softmax(const query *w, int64_t from, int64_t to)
{
    const int64_t total = w->a->past + w->a->kv_len;
    double max = -INFINITY, sum = 0;
    for (int64_t j = 0; j < total; j++) {
        const double bias = bias_of(w, j, from, to);
        w->p[j] = bias == -INFINITY ? bias : w->p[j] + bias;
        max = fmax(max, w->p[j]);
    }
    put_scores(w, 2);
    for (int64_t j = 0; j < total; j++) {
        w->p[j] = w->p[j] == -INFINITY ? 0 : exp(w->p[j] - max);
        sum += w->p[j];
    }
    for (int64_t j = 0; j < total && sum != 0; j++)
        w->p[j] /= sum;
}

static void answer(const query *w)
{
    const maas_attn *a = w->a;
    const int64_t total = a->past + a->kv_len;
    int64_t from, to;
    maas_attn_range(a, w->b, w->i, &from, &to);
    for (int64_t j = 0; j < total; j++)
        w->p[j] = score_of(w, j);
    put_scores(w, 0);
    for (int64_t j = 0; j < total && a->softcap > 0; j++)
        w->p[j] = a->softcap * tanh(w->p[j] / a->softcap);
    put_scores(w, 1);
    softmax(w, from, to);
    put_scores(w, 3);
    for (int64_t d = 0; d < a->v_size; d++) {
        double sum = 0;
        for (int64_t j = 0; j < total; j++)
            if (w->p[j] != 0) /* what is masked may be anything */
                sum += w->p[j] * cached(w, MAAS_ATTN_V, j, d);
        maas_st(&w->c->out[0], w->b * a->y.batch + w->h * a->y.head + w->i * a->y.step + d, sum);
    }
}

/* Output k is the cache and what is new, heads apart. */
static void put_cache(const maas_call *c, const maas_attn *a, int k)
{
    const maas_tensor *out = maas_c_out(c, k);
    const int64_t total = a->past + a->kv_len, size = k == 1 ? a->size : a->v_size;
    for (int64_t i = 0, n = out ? maas_n_elems(out) : 0; i < n; i++) {
        const int64_t j = i / size % total, bh = i / size / total;
        const query w = {c, a,   bh / a->kv_heads, bh % a->kv_heads * (a->heads / a->kv_heads),
                         0, NULL};
        maas_st(out, i, cached(&w, k, j, i % size));
    }
}

static maas_status attention_reference(const maas_call *c, maas_err *err)
{
    const maas_attn a = maas_attn_of(c);
    AUTO_FREE double *p = maas_calloc((size_t)(a.past + a.kv_len) + 1, sizeof *p);
    if (!p)
        return maas_fail(err, MAAS_E_NOMEM, "scores of Attention");
    for (int64_t b = 0; b < a.batch; b++)
        for (int64_t h = 0; h < a.heads; h++)
            for (int64_t i = 0; i < a.q_len; i++)
                answer(&(query){c, &a, b, h, i, p});
    put_cache(c, &a, 1);
    put_cache(c, &a, 2);
    return MAAS_OK;
}

static int64_t attention_flops(const maas_call *c)
{
    const maas_attn a = maas_attn_of(c);
    return 2 * a.batch * a.heads * a.q_len * (a.past + a.kv_len) * (a.size + a.v_size + 4);
}

/* ---- examples and rows ---- */

typedef struct example_row {
    int packed, batch, heads, kv_heads, q_len, kv_len, past, size, v_size;
    int mask; /* rank of a float mask; negative: bool */
    int causal, outs, valid, left, cap;
} example_row;

static const example_row cases[] = {
    {0, 2, 2, 2, 3, 4, 0, 4, 4, 0, 0, 1, 0, -1, 0},
    {1, 2, 4, 2, 3, 3, 2, 3, 5, 2, 1, 3, 0, -1, 0},
    {0, 1, 2, 1, 5, 5, 0, 4, 4, -4, 0, 4, 0, 2, 1},
    {1, 2, 3, 3, 2, 6, 0, 8, 8, 3, 1, 1, 1, -1, 0},
    {1, 1, 2, 2, 70, 70, 0, 20, 33, 0, 1, 1, 0, -1, 0},
    {0, 1, 3, 1, 1, 9, 300, 16, 17, 1, 0, 3, 0, -1, 1},
    {1, 2, 2, 2, 7, 300, 0, 16, 64, -2, 0, 1, 0, -1, 0},
    {0, 2, 2, 2, 0, 3, 0, 4, 4, 0, 0, 3, 0, -1, 0},
};

static maas_vid operand(maas_example *e, const example_row *k, int64_t heads, int64_t len,
                        int64_t size)
{
    const maas_dtype t = maas_ex_float(e);
    return k->packed ? maas_ex_in(e, t, -2, 2, MAAS_DIMS(k->batch, len, heads * size))
                     : maas_ex_in(e, t, -2, 2, MAAS_DIMS(k->batch, heads, len, size));
}

static void attention_example(maas_example *e)
{
    const example_row *k = &cases[e->variant / 2];
    const maas_dtype t = maas_ex_float(e);
    const int64_t full[] = {k->batch, k->heads, k->q_len, k->past + k->kv_len};
    const int rank = k->mask < 0 ? -k->mask : k->mask;
    const maas_attr a[] = {
        MAAS_A_INT("is_causal", k->causal),     MAAS_A_INT("left_window_size", k->left),
        MAAS_A_INT("qk_matmul_output_mode", 3), MAAS_A_FLOAT("softcap", 2.0f * (float)k->cap),
        MAAS_A_INT("q_num_heads", k->heads),    MAAS_A_INT("kv_num_heads", k->kv_heads)};
    maas_vid out[4], in[7];
    for (int i = 0; i < 7; i++)
        in[i] = MAAS_NO_VALUE;
    in[0] = operand(e, k, k->heads, k->q_len, k->size);
    in[1] = operand(e, k, k->kv_heads, k->kv_len, k->size);
    in[2] = operand(e, k, k->kv_heads, k->kv_len, k->v_size);
    if (rank)
        in[3] = maas_ex_in(e, k->mask < 0 ? MAAS_BOOL : t, k->mask < 0 ? 0 : -3,
                           k->mask < 0 ? 1.9 : 1, rank, full + 4 - rank);
    if (k->past) {
        in[4] = maas_ex_in(e, t, -2, 2, MAAS_DIMS(k->batch, k->kv_heads, k->past, k->size));
        in[5] = maas_ex_in(e, t, -2, 2, MAAS_DIMS(k->batch, k->kv_heads, k->past, k->v_size));
    }
    if (k->valid)
        in[6] = maas_ex_in(e, MAAS_I64, 1, k->kv_len + 1, MAAS_DIMS(k->batch));
    maas_b_node(e->b, "Attention", a, k->packed ? 6 : 4, in, 7, out, (uint32_t)k->outs);
}

#define MASK_DTS (MAAS_DTS_NUMERIC | MAAS_DTS_BOOL)
static const maas_io_schema in[] = {MAAS_REQ("Q", "T1", MAAS_DTS_FLOAT),
                                    MAAS_REQ("K", "T1", MAAS_DTS_FLOAT),
                                    MAAS_REQ("V", "T2", MAAS_DTS_FLOAT),
                                    MAAS_OPT("attn_mask", NULL, MASK_DTS),
                                    MAAS_OPT("past_key", "T1", MAAS_DTS_FLOAT),
                                    MAAS_OPT("past_value", "T2", MAAS_DTS_FLOAT),
                                    MAAS_OPT("nonpad_kv_seqlen", NULL, MAAS_DTS_I64)};
static const maas_io_schema out[] = {MAAS_REQ("Y", "T1", MAAS_DTS_FLOAT),
                                     MAAS_OPT("present_key", "T1", MAAS_DTS_FLOAT),
                                     MAAS_OPT("present_value", "T2", MAAS_DTS_FLOAT),
                                     MAAS_OPT("qk_matmul_output", "T1", MAAS_DTS_FLOAT)};
static const maas_attr_schema attrs[] = {{"is_causal", MAAS_ATTR_INT, false},
                                         {"q_num_heads", MAAS_ATTR_INT, false},
                                         {"kv_num_heads", MAAS_ATTR_INT, false},
                                         {"scale", MAAS_ATTR_FLOAT, false},
                                         {"softcap", MAAS_ATTR_FLOAT, false},
                                         {"softmax_precision", MAAS_ATTR_INT, false},
                                         {"qk_matmul_output_mode", MAAS_ATTR_INT, false},
                                         {"left_window_size", MAAS_ATTR_INT, false},
                                         {"right_window_size", MAAS_ATTR_INT, false}};

const maas_op maas_op_Attention = {
    .domain = "",
    .name = "Attention",
    .since = 23,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 2 * MAAS_COUNT(cases),
    .tolerance = 1e-4,
    .infer = maas_attn_infer,
    .reference = attention_reference,
    .flops = attention_flops,
    .example = attention_example,
    .no_gradient = "MatMul, Softmax and MatMul say the same and have gradients",
};
