/*
 * PagedAttention (ai.maas): causal attention of rows of many sequences over a cache in blocks. New
 * keys and values are written into the cache first, then every row looks back over its sequence:
 * row i over tokens 0 .. at[i], or the last `window` of them. With a sink, each head has one score
 * more that takes its part of the softmax and gives nothing.
 *
 * A row's result depends on nothing but its sequence: it is the same in any company, and however
 * the tokens before it were cut into calls.
 */
#include "ops/ops_int.h"
#include "ops/paged_attention.h"

#include "base/ban.h"

enum { PAGE = MAAS_PAGE };

static maas_status shapes(const maas_node *n, const int64_t *const dims[MAAS_PAGED_N_IN],
                          bool bytes, maas_paged *p, maas_err *err)
{
    const int64_t *k = dims[MAAS_PAGED_CACHE_K], *v = dims[MAAS_PAGED_CACHE_V];
    const int64_t more = bytes ? MAAS_PAGE_SCALE : 0, each = bytes ? 1 : 2;
    *p = (maas_paged){.rows = dims[MAAS_PAGED_Q][0],
                      .heads = maas_attr_i(n, "num_heads", 0),
                      .n_blocks = k[0],
                      .kv_heads = k[1],
                      .size = k[2] - more,
                      .v_size = v[3] - more,
                      .k_bytes = k[2] * PAGE * each,
                      .v_bytes = v[3] * PAGE * each,
                      .bytes = bytes,
                      .n_seqs = dims[MAAS_PAGED_TABLE][0],
                      .max_blocks = dims[MAAS_PAGED_TABLE][1],
                      .window = maas_attr_i(n, "window", 0),
                      .scale = maas_attr_f(n, "scale", 0),
                      .softcap = maas_attr_f(n, "softcap", 0)};
    if (k[3] != PAGE || v[2] != PAGE || v[0] != k[0] || v[1] != k[1] || p->size < 0 ||
        p->v_size < 0)
        return maas_fail(err, MAAS_E_INVALID, "the caches have other shapes than each other");
    if (p->heads <= 0 || p->kv_heads <= 0 || p->heads % p->kv_heads || p->window < 0)
        return maas_fail(err, MAAS_E_INVALID, "%lld heads cannot share %lld", (long long)p->heads,
                         (long long)p->kv_heads);
    if (dims[MAAS_PAGED_Q][1] != p->heads * p->size ||
        dims[MAAS_PAGED_K][1] != p->kv_heads * p->size ||
        dims[MAAS_PAGED_V][1] != p->kv_heads * p->v_size)
        return maas_fail(err, MAAS_E_INVALID, "Q, K or V have other widths than the cache");
    if (dims[MAAS_PAGED_K][0] != p->rows || dims[MAAS_PAGED_V][0] != p->rows ||
        dims[MAAS_PAGED_AT][0] != p->rows || dims[MAAS_PAGED_SEQ][0] != p->rows)
        return maas_fail(err, MAAS_E_INVALID, "K, V, at and seq must have a row for each of Q");
    if (p->scale == 0)
        p->scale = p->size > 0 ? (float)(1 / sqrt((double)p->size)) : 1;
    return MAAS_OK;
}

static const int ranks[MAAS_PAGED_N_IN] = {2, 4, 4, 2, 2, 1, 1, 2};

maas_status maas_paged_of(const maas_call *c, maas_paged *out, maas_err *err)
{
    const int64_t *dims[MAAS_PAGED_N_IN];
    for (int i = 0; i < MAAS_PAGED_N_IN; i++)
        dims[i] = c->in[i].dims;
    MAAS_TRY(shapes(c->node, dims, c->in[MAAS_PAGED_CACHE_K].dtype == MAAS_I8, out, err));
    const maas_tensor *sink = maas_c_in(c, MAAS_PAGED_SINK);
    if (sink && (sink->rank != 1 || sink->dims[0] != out->heads))
        return maas_fail(err, MAAS_E_INVALID, "sink must have a number for each head");
    out->sink = sink ? sink->data : NULL;
    return MAAS_OK;
}

static maas_status paged_infer(maas_infer *q, maas_err *err)
{
    const int64_t *dims[MAAS_PAGED_N_IN];
    maas_paged p;
    bool known = true;
    for (int i = 0; i < MAAS_PAGED_N_IN; i++) {
        dims[i] = q->in[i].dims;
        if (q->in[i].rank >= 0 && q->in[i].rank != ranks[i])
            return maas_fail(err, MAAS_E_INVALID, "%s has rank %d, it must have %d",
                             q->node->op->in[i].name, q->in[i].rank, ranks[i]);
        known = known && q->in[i].rank >= 0;
        for (int k = 0; known && k < ranks[i]; k++)
            known = dims[i][k] >= 0;
    }
    if (known)
        MAAS_TRY(shapes(q->node, dims, q->in[MAAS_PAGED_CACHE_K].dtype == MAAS_I8, &p, err));
    const maas_type *sink = &q->in[MAAS_PAGED_SINK];
    const int64_t heads = maas_attr_i(q->node, "num_heads", 0);
    if (maas_q_has(q, MAAS_PAGED_SINK) && sink->rank >= 0 &&
        (sink->rank != 1 || (sink->dims[0] >= 0 && sink->dims[0] != heads)))
        return maas_fail(err, MAAS_E_INVALID, "sink must have a number for each of %lld heads",
                         (long long)heads);
    for (int k = 1; k < q->node->n_out; k++)
        q->out[k] = q->in[k];
    q->out[0] = q->in[MAAS_PAGED_Q];
    if (known)
        q->out[0].dims[1] = p.heads * p.v_size;
    else
        maas_q_unranked(q, 0, MAAS_F32);
    return MAAS_OK;
}

/* ---- reference ---- */

static maas_status block_of(const maas_call *c, const maas_paged *p, int64_t row, int64_t token,
                            int64_t *out, maas_err *err)
{
    const int64_t seq = ((const int32_t *)c->in[MAAS_PAGED_SEQ].data)[row];
    const int64_t at = seq * p->max_blocks + token / PAGE;
    const int32_t *table = c->in[MAAS_PAGED_TABLE].data;
    if (seq >= p->n_seqs || token < 0 || token / PAGE >= p->max_blocks || table[at] < 0 ||
        table[at] >= p->n_blocks)
        return maas_fail(err, MAAS_E_INVALID, "row %lld: token %lld has no block in the table",
                         (long long)row, (long long)token);
    *out = table[at];
    return MAAS_OK;
}

static int64_t numbers_of(const maas_paged *p, bool values) /* of a head, with its scales */
{
    return (values ? p->v_size : p->size) * PAGE + (p->bytes ? PAGE * MAAS_PAGE_SCALE : 0);
}

/* Where the scale of token t of a head lies. Not aligned: caches may be bytes of a file. */
static void *scale_at(const maas_paged *p, const maas_tensor *cache, int64_t head, bool values,
                      int64_t t)
{
    const int64_t n = (values ? p->v_size : p->size) * PAGE;
    return (int8_t *)cache->data + head * numbers_of(p, values) + n + t * MAAS_PAGE_SCALE;
}

static double scale_of(const maas_paged *p, const maas_tensor *cache, int64_t head, bool values,
                       int64_t t)
{
    float scale = 1;
    if (p->bytes)
        memcpy(&scale, scale_at(p, cache, head, values, t), sizeof scale);
    return (double)scale;
}

/* Token t of a head of the cache; x: its keys or values. */
static void write_head(const maas_paged *p, const maas_tensor *cache, int64_t head, bool values,
                       int64_t t, const float *x)
{
    const int64_t n = values ? p->v_size : p->size, step = values ? 1 : PAGE;
    const int64_t at = head * numbers_of(p, values) + (values ? t * n : t);
    float scale;
    const float by = maas_page_scale(x, n, &scale);
    for (int64_t d = 0; d < n; d++)
        maas_st(cache, at + d * step, p->bytes ? (double)maas_page_byte(x[d], by) : (double)x[d]);
    if (p->bytes)
        memcpy(scale_at(p, cache, head, values, t), &scale, sizeof scale);
}

static maas_status write_row(const maas_call *c, const maas_paged *p, int64_t row, maas_err *err)
{
    const int64_t at = ((const int32_t *)c->in[MAAS_PAGED_AT].data)[row], t = at % PAGE;
    int64_t block;
    MAAS_TRY(block_of(c, p, row, at, &block, err));
    for (int64_t h = 0; h < p->kv_heads; h++) {
        const int64_t head = block * p->kv_heads + h, from = row * p->kv_heads + h;
        write_head(p, &c->out[1], head, false, t,
                   (const float *)c->in[MAAS_PAGED_K].data + from * p->size);
        write_head(p, &c->out[2], head, true, t,
                   (const float *)c->in[MAAS_PAGED_V].data + from * p->v_size);
    }
    return MAAS_OK;
}

typedef struct look { /* of one head of one row over its sequence */
    const maas_call *c;
    const maas_paged *p;
    int64_t row, head, first, last;
    double *prob; /* [last - first + 1] */
} look;

static maas_status score(const look *l, double *out_max, maas_err *err)
{
    const maas_paged *p = l->p;
    *out_max = -INFINITY;
    for (int64_t j = l->first; j <= l->last; j++) {
        int64_t block;
        double sum = 0;
        MAAS_TRY(block_of(l->c, p, l->row, j, &block, err));
        const int64_t head = block * p->kv_heads + l->head / (p->heads / p->kv_heads);
        for (int64_t d = 0; d < p->size; d++)
            sum += maas_ld(&l->c->in[MAAS_PAGED_Q], (l->row * p->heads + l->head) * p->size + d) *
                   maas_ld(&l->c->out[1], head * numbers_of(p, false) + d * PAGE + j % PAGE);
        sum *= (double)p->scale * scale_of(p, &l->c->out[1], head, false, j % PAGE);
        sum = p->softcap > 0 ? p->softcap * tanh(sum / p->softcap) : sum;
        l->prob[j - l->first] = sum;
        *out_max = fmax(*out_max, sum);
    }
    return MAAS_OK;
}

static maas_status look_back(const look *l, double *y, maas_err *err)
{
    const maas_paged *p = l->p;
    double max, total = 0;
    MAAS_TRY(score(l, &max, err));
    if (p->sink) {
        const double sink = (double)p->sink[l->head];
        max = fmax(max, sink);
        total = exp(sink - max);
    }
    for (int64_t d = 0; d < p->v_size; d++)
        y[d] = 0;
    for (int64_t j = l->first; j <= l->last; j++) {
        int64_t block;
        MAAS_TRY(block_of(l->c, p, l->row, j, &block, err));
        const int64_t head = block * p->kv_heads + l->head / (p->heads / p->kv_heads);
        const double e = exp(l->prob[j - l->first] - max);
        const double times = e * scale_of(p, &l->c->out[2], head, true, j % PAGE);
        total += e;
        for (int64_t d = 0; d < p->v_size; d++)
            y[d] += times *
                    maas_ld(&l->c->out[2], head * numbers_of(p, true) + j % PAGE * p->v_size + d);
    }
    for (int64_t d = 0; d < p->v_size; d++)
        y[d] /= total;
    return MAAS_OK;
}

static maas_status read_row(const maas_call *c, const maas_paged *p, int64_t row, double *scratch,
                            maas_err *err)
{
    const int64_t at = ((const int32_t *)c->in[MAAS_PAGED_AT].data)[row];
    const int64_t first = p->window && at >= p->window ? at - p->window + 1 : 0;
    double *y = scratch + p->max_blocks * PAGE;
    for (int64_t h = 0; h < p->heads; h++) {
        const look l = {c, p, row, h, first, at, scratch};
        MAAS_TRY(look_back(&l, y, err));
        for (int64_t d = 0; d < p->v_size; d++)
            maas_st(&c->out[0], (row * p->heads + h) * p->v_size + d, y[d]);
    }
    return MAAS_OK;
}

static maas_status paged_reference(const maas_call *c, maas_err *err)
{
    const int32_t *seq = c->in[MAAS_PAGED_SEQ].data;
    maas_paged p;
    MAAS_TRY(maas_paged_of(c, &p, err));
    AUTO_FREE double *scratch = maas_alloc((size_t)(p.max_blocks * PAGE + p.v_size + 1) *
                                           sizeof *scratch);
    if (!scratch)
        return maas_fail(err, MAAS_E_NOMEM, "scores of PagedAttention");
    for (int k = 1; k <= 2; k++)
        if (c->out[k].data != c->in[k].data)
            memcpy(c->out[k].data, c->in[k].data, maas_tensor_bytes(&c->in[k]));
    for (int64_t i = 0; i < p.rows; i++)
        if (seq[i] >= 0)
            MAAS_TRY(write_row(c, &p, i, err));
    for (int64_t i = 0; i < p.rows; i++)
        if (seq[i] >= 0)
            MAAS_TRY(read_row(c, &p, i, scratch, err));
        else
            memset((float *)c->out[0].data + i * p.heads * p.v_size, 0,
                   (size_t)(p.heads * p.v_size) * sizeof(float));
    return MAAS_OK;
}

static int64_t paged_flops(const maas_call *c)
{
    return 4 * maas_n_elems(&c->in[MAAS_PAGED_Q]) * MAAS_PAGE * c->in[MAAS_PAGED_TABLE].dims[1];
}

/* ---- example and row ---- */

/* A cache of bytes, 6 blocks of 2 heads of n numbers a token, as it would have been written. */
static maas_vid bytes_example(maas_example *e, int64_t n, bool values)
{
    int8_t at[6 * 2 * (20 + MAAS_PAGE_SCALE) * PAGE];
    const int64_t all = n + MAAS_PAGE_SCALE, k[] = {6, 2, all, PAGE}, v[] = {6, 2, PAGE, all};
    const maas_tensor t = maas_tensor_of(MAAS_I8, 4, values ? v : k, at);
    for (int head = 0; head < 12; head++) {
        float scales[PAGE];
        for (int64_t i = 0; i < n * PAGE; i++)
            at[head * all * PAGE + i] = (int8_t)(254 * maas_rng_unit(e->rng) - 127);
        for (int i = 0; i < PAGE; i++)
            scales[i] = (float)(0.002 + 0.01 * maas_rng_unit(e->rng));
        memcpy(at + head * all * PAGE + n * PAGE, scales, sizeof scales);
    }
    return maas_b_const(e->b, NULL, &t);
}

/* Two sequences, a prompt and a token, and a row of padding; all blocks of the table exist. */
static void paged_example(maas_example *e)
{
    static const int32_t at[] = {0, 1, 2, 3, 40, 0}, seq[] = {0, 0, 0, 0, 1, -1};
    static const int32_t table[] = {3, 5, 1, 0, 2, 4};
    const int64_t groups = e->variant % 2 ? 1 : 3, size = e->variant / 2 == 1 ? 20 : 16;
    const bool bytes = e->variant > 4;
    const maas_attr attr[] = {MAAS_A_INT("num_heads", 2 * groups),
                              MAAS_A_INT("window", e->variant % 4 == 3 ? 18 : 0),
                              MAAS_A_FLOAT("softcap", e->variant % 4 == 2 ? 5.0f : 0)};
    const maas_tensor t_at = maas_tensor_of(MAAS_I32, 1, (const int64_t[]){6},
                                            (void *)(uintptr_t)at);
    const maas_tensor t_seq = maas_tensor_of(MAAS_I32, 1, t_at.dims, (void *)(uintptr_t)seq);
    const maas_tensor t_table = maas_tensor_of(MAAS_I32, 2, (const int64_t[]){2, 3},
                                               (void *)(uintptr_t)table);
    const maas_vid in[MAAS_PAGED_N_IN + 1] = {
        maas_ex_in(e, MAAS_F32, -2, 2, MAAS_DIMS(6, 2 * groups * size)),
        bytes ? bytes_example(e, size, false)
              : maas_ex_in(e, MAAS_F16, -2, 2, MAAS_DIMS(6, 2, size, PAGE)),
        bytes ? bytes_example(e, size, true)
              : maas_ex_in(e, MAAS_F16, -2, 2, MAAS_DIMS(6, 2, PAGE, size)),
        maas_ex_in(e, MAAS_F32, -2, 2, MAAS_DIMS(6, 2 * size)),
        maas_ex_in(e, MAAS_F32, -2, 2, MAAS_DIMS(6, 2 * size)),
        maas_b_const(e->b, NULL, &t_at),
        maas_b_const(e->b, NULL, &t_seq),
        maas_b_const(e->b, NULL, &t_table),
        e->variant % 4 == 0 && e->variant ? maas_ex_in(e, MAAS_F32, -2, 2, MAAS_DIMS(2 * groups))
                                          : MAAS_NO_VALUE};
    maas_vid out[3];
    maas_b_node(e->b, "PagedAttention", attr, MAAS_COUNT(attr), in,
                MAAS_PAGED_N_IN + (e->variant % 4 == 0 && e->variant), out, 3);
}

#define F32_ONLY MAAS_DT_BIT(MAAS_F32)
#define CACHES   (MAAS_DT_BIT(MAAS_F16) | MAAS_DT_BIT(MAAS_I8))
#define I32_ONLY MAAS_DT_BIT(MAAS_I32)
static const maas_io_schema in[] = {
    MAAS_REQ("Q", NULL, F32_ONLY),    MAAS_REQ("cache_k", "C", CACHES),
    MAAS_REQ("cache_v", "C", CACHES), MAAS_REQ("K", NULL, F32_ONLY),
    MAAS_REQ("V", NULL, F32_ONLY),    MAAS_REQ("at", NULL, I32_ONLY),
    MAAS_REQ("seq", NULL, I32_ONLY),  MAAS_REQ("table", NULL, I32_ONLY),
    MAAS_OPT("sink", NULL, F32_ONLY)};
static const maas_io_schema out[] = {MAAS_REQ("Y", NULL, F32_ONLY), MAAS_REQ("new_k", "C", CACHES),
                                     MAAS_REQ("new_v", "C", CACHES)};
static const maas_attr_schema attrs[] = {{"num_heads", MAAS_ATTR_INT, true},
                                         {"scale", MAAS_ATTR_FLOAT, false},
                                         {"softcap", MAAS_ATTR_FLOAT, false},
                                         {"window", MAAS_ATTR_INT, false}};

const maas_op maas_op_PagedAttention = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "PagedAttention",
    .since = 1,
    .flags = MAAS_OP_INPLACE,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 9,
    .tolerance = 2e-5,
    .infer = paged_infer,
    .reference = paged_reference,
    .flops = paged_flops,
    .example = paged_example,
    .no_gradient = "a cache is not trained through",
};
