/* Shapes of Attention, and a call of it as sizes and strides. */
#include "ops/attention.h"

#include "ops/ops_int.h"

#include "base/ban.h"

/* ---- shapes ---- */

typedef struct shapes {
    int64_t batch, heads, kv_heads, q_len, kv_len, past, size, v_size;
} shapes;

static maas_status split_heads(int64_t hidden, int64_t heads, const char *what, int64_t *size,
                               maas_err *err)
{
    if (hidden >= 0 && hidden % heads)
        return maas_fail(err, MAAS_E_INVALID, "%s: %lld numbers are not %lld heads", what,
                         (long long)hidden, (long long)heads);
    return maas_dim_same(*size, hidden >= 0 ? hidden / heads : MAAS_DIM_UNKNOWN, size, what, err);
}

/* One of Q, K, V: [batch][heads][len][size] or [batch][len][heads * size]. */
static maas_status read_operand(const maas_infer *q, int i, int64_t *batch, int64_t *heads,
                                int64_t *len, int64_t *size, maas_err *err)
{
    const maas_type *t = &q->in[i];
    const char *name = q->node->op->in[i].name;
    MAAS_TRY(maas_dim_same(*batch, t->dims[0], batch, "batch", err));
    if (t->rank == 3) {
        MAAS_TRY(maas_dim_same(*len, t->dims[1], len, name, err));
        return split_heads(t->dims[2], *heads, name, size, err);
    }
    MAAS_TRY(maas_dim_same(*heads, t->dims[1], heads, "heads", err));
    MAAS_TRY(maas_dim_same(*len, t->dims[2], len, name, err));
    return maas_dim_same(*size, t->dims[3], size, name, err);
}

static maas_status read_cache(const maas_infer *q, int i, shapes *s, int64_t *size, maas_err *err)
{
    const maas_type *t = &q->in[i];
    if (!maas_q_has(q, i)) {
        s->past = 0;
        return MAAS_OK;
    }
    if (t->rank < 0)
        return MAAS_OK;
    if (t->rank != 4)
        return maas_fail(err, MAAS_E_INVALID, "'%s' has rank %d, must be 4",
                         q->node->op->in[i].name, t->rank);
    MAAS_TRY(maas_dim_same(s->batch, t->dims[0], &s->batch, "batch of the cache", err));
    MAAS_TRY(maas_dim_same(s->kv_heads, t->dims[1], &s->kv_heads, "heads of the cache", err));
    MAAS_TRY(maas_dim_same(s->past, t->dims[2], &s->past, "length of the cache", err));
    return maas_dim_same(*size, t->dims[3], size, "size of cached heads", err);
}

static maas_status check_mask(const maas_infer *q, const shapes *s, maas_err *err)
{
    const maas_type *m = &q->in[MAAS_ATTN_MASK];
    const int64_t total = s->past >= 0 && s->kv_len >= 0 ? s->past + s->kv_len : MAAS_DIM_UNKNOWN;
    const int64_t full[4] = {s->batch, s->heads, s->q_len, total};
    if (!maas_q_has(q, MAAS_ATTN_MASK) || m->rank < 0)
        return MAAS_OK;
    if (m->rank < 1 || m->rank > 4)
        return maas_fail(err, MAAS_E_INVALID, "the mask has rank %d", m->rank);
    for (int i = 0; i < m->rank; i++) {
        const int64_t want = full[4 - m->rank + i], got = m->dims[i];
        const bool last = i == m->rank - 1;
        if (got < 0 || want < 0 || got == want || (last ? got < want : got == 1))
            continue;
        return maas_fail(err, MAAS_E_INVALID, "axis %d of the mask is %lld, must be %lld", i,
                         (long long)got, (long long)want);
    }
    return MAAS_OK;
}

static maas_status check_attrs(const maas_infer *q, maas_err *err)
{
    const maas_node *n = q->node;
    const int64_t mode = maas_attr_i(n, "qk_matmul_output_mode", 0);
    const int64_t precision = maas_attr_i(n, "softmax_precision", MAAS_F32);
    const bool past = maas_q_has(q, MAAS_ATTN_PAST_K);
    if (mode < 0 || mode > 3)
        return maas_fail(err, MAAS_E_INVALID, "qk_matmul_output_mode %lld", (long long)mode);
    if (precision != MAAS_F32 && precision != MAAS_F16 && precision != MAAS_F64 &&
        precision != MAAS_BF16)
        return maas_fail(err, MAAS_E_INVALID, "softmax_precision %lld", (long long)precision);
    if (maas_attr_i(n, "left_window_size", -1) < -1 || maas_attr_i(n, "right_window_size", -1) < -1)
        return maas_fail(err, MAAS_E_INVALID, "a window must be -1 or larger");
    if (!(maas_attr_f(n, "softcap", 0) >= 0))
        return maas_fail(err, MAAS_E_INVALID, "softcap is negative");
    if (past != maas_q_has(q, MAAS_ATTN_PAST_V))
        return maas_fail(err, MAAS_E_INVALID, "past_key and past_value go together");
    if (past && maas_q_has(q, MAAS_ATTN_VALID))
        return maas_fail(err, MAAS_E_INVALID, "nonpad_kv_seqlen and a cache exclude each other");
    return MAAS_OK;
}

static maas_status heads_of(const maas_infer *q, shapes *s, maas_err *err)
{
    const int64_t none = MAAS_DIM_UNKNOWN;
    *s = (shapes){none, none, none, none, none, none, none, none};
    const int64_t heads = maas_attr_i(q->node, "q_num_heads", 0);
    const int64_t kv_heads = maas_attr_i(q->node, "kv_num_heads", 0);
    if (heads < 0 || kv_heads < 0 || heads > INT32_MAX || kv_heads > INT32_MAX)
        return maas_fail(err, MAAS_E_INVALID, "a number of heads is negative");
    if (q->in[MAAS_ATTN_Q].rank == 3 && (!heads || !kv_heads))
        return maas_fail(err, MAAS_E_INVALID,
                         "q_num_heads and kv_num_heads are needed for operands of rank 3");
    s->heads = heads ? heads : none;
    s->kv_heads = kv_heads ? kv_heads : none;
    return MAAS_OK;
}

static maas_status read_shapes(const maas_infer *q, shapes *s, maas_err *err)
{
    const maas_type *valid = &q->in[MAAS_ATTN_VALID];
    MAAS_TRY(heads_of(q, s, err));
    MAAS_TRY(read_operand(q, 0, &s->batch, &s->heads, &s->q_len, &s->size, err));
    MAAS_TRY(read_operand(q, 1, &s->batch, &s->kv_heads, &s->kv_len, &s->size, err));
    MAAS_TRY(read_operand(q, 2, &s->batch, &s->kv_heads, &s->kv_len, &s->v_size, err));
    MAAS_TRY(read_cache(q, MAAS_ATTN_PAST_K, s, &s->size, err));
    MAAS_TRY(read_cache(q, MAAS_ATTN_PAST_V, s, &s->v_size, err));
    if (maas_q_has(q, MAAS_ATTN_VALID) && valid->rank >= 0) {
        if (valid->rank != 1)
            return maas_fail(err, MAAS_E_INVALID, "nonpad_kv_seqlen must be a vector");
        MAAS_TRY(maas_dim_same(s->batch, valid->dims[0], &s->batch, "nonpad_kv_seqlen", err));
    }
    if (s->kv_heads == 0 || s->heads == 0 ||
        (s->heads >= 0 && s->kv_heads >= 0 && s->heads % s->kv_heads))
        return maas_fail(err, MAAS_E_INVALID, "%lld heads cannot share %lld heads of keys",
                         (long long)s->heads, (long long)s->kv_heads);
    return check_mask(q, s, err);
}

maas_status maas_attn_infer(maas_infer *q, maas_err *err)
{
    const int rank = q->in[0].rank;
    const maas_dtype t1 = (maas_dtype)q->in[0].dtype, t2 = (maas_dtype)q->in[2].dtype;
    shapes s;
    MAAS_TRY(check_attrs(q, err));
    for (int k = 0; k < 4; k++)
        maas_q_unranked(q, k, k == 2 ? t2 : t1);
    for (int i = 0; i < 3; i++) {
        if (q->in[i].rank >= 0 && q->in[i].rank != 3 && q->in[i].rank != 4)
            return maas_fail(err, MAAS_E_INVALID, "operand %d has rank %d, must be 3 or 4", i,
                             q->in[i].rank);
        if (q->in[i].rank < 0)
            return MAAS_OK;
        if (q->in[i].rank != rank)
            return maas_fail(err, MAAS_E_INVALID, "Q, K and V have different ranks");
    }
    MAAS_TRY(read_shapes(q, &s, err));
    const int64_t total = s.past == 0                    ? s.kv_len
                          : s.past >= 0 && s.kv_len >= 0 ? s.past + s.kv_len
                                                         : MAAS_DIM_UNKNOWN;
    const int64_t sizes[2] = {s.heads, s.v_size};
    const int64_t y3[3] = {s.batch, s.q_len,
                           s.v_size < 0 ? MAAS_DIM_UNKNOWN : maas_dim_product(sizes, 0, 2)};
    const int64_t y4[4] = {s.batch, s.heads, s.q_len, s.v_size};
    maas_q_out(q, 0, t1, rank, rank == 3 ? y3 : y4);
    maas_q_out(q, 1, t1, 4, (const int64_t[]){s.batch, s.kv_heads, total, s.size});
    maas_q_out(q, 2, t2, 4, (const int64_t[]){s.batch, s.kv_heads, total, s.v_size});
    maas_q_out(q, 3, t1, 4, (const int64_t[]){s.batch, s.heads, s.q_len, total});
    return MAAS_OK;
}

/* ---- reading a call ---- */

static maas_attn_view view_of(int rank, int64_t heads, int64_t len, int64_t size)
{
    const int64_t all = heads * len * size;
    return rank == 3 ? (maas_attn_view){all, size, heads * size}
                     : (maas_attn_view){all, len * size, size};
}

static void read_mask(maas_attn *a, const maas_tensor *m)
{
    int64_t strides[MAAS_MAX_RANK];
    a->mask = m;
    a->mask_len = m->dims[m->rank - 1];
    maas_strides(m->dims, m->rank, strides);
    for (int i = 0; i < m->rank; i++)
        a->mask_step[4 - m->rank + i] = m->dims[i] == 1 ? 0 : strides[i];
}

maas_attn maas_attn_of(const maas_call *c)
{
    const maas_tensor *q = &c->in[MAAS_ATTN_Q], *k = &c->in[MAAS_ATTN_K], *v = &c->in[MAAS_ATTN_V];
    const maas_tensor *past = maas_c_in(c, MAAS_ATTN_PAST_K), *mask = maas_c_in(c, MAAS_ATTN_MASK);
    const maas_node *n = c->node;
    const bool packed = q->rank == 3; /* heads next to each other */
    maas_attn a = {
        .batch = q->dims[0],
        .heads = packed ? maas_attr_i(n, "q_num_heads", 1) : q->dims[1],
        .kv_heads = packed ? maas_attr_i(n, "kv_num_heads", 1) : k->dims[1],
        .q_len = q->dims[packed ? 1 : 2],
        .past = past ? past->dims[2] : 0,
        .kv_len = k->dims[packed ? 1 : 2],
        .valid = maas_c_in(c, MAAS_ATTN_VALID),
        .left = maas_attr_i(n, "left_window_size", -1),
        .right = maas_attr_i(n, "right_window_size", -1),
        .causal = maas_attr_i(n, "is_causal", 0) != 0,
        .softcap = maas_attr_f(n, "softcap", 0),
        .output = (int)maas_attr_i(n, "qk_matmul_output_mode", 0),
    };
    a.size = packed ? q->dims[2] / a.heads : q->dims[3];
    a.v_size = packed ? v->dims[2] / a.kv_heads : v->dims[3];
    a.scale = maas_node_attr(n, "scale") ? (double)maas_attr_f(n, "scale", 1)
                                         : 1 / sqrt((double)a.size);
    a.q = view_of(q->rank, a.heads, a.q_len, a.size);
    a.k = view_of(q->rank, a.kv_heads, a.kv_len, a.size);
    a.v = view_of(q->rank, a.kv_heads, a.kv_len, a.v_size);
    a.y = view_of(q->rank, a.heads, a.q_len, a.v_size);
    if (mask)
        read_mask(&a, mask);
    return a;
}

/* The least of both; a sum that overflows is no bound. */
static int64_t bounded(int64_t end, int64_t at, int64_t more)
{
    int64_t sum;
    return __builtin_add_overflow(at, more, &sum) || sum > end ? end : sum;
}

void maas_attn_range(const maas_attn *a, int64_t b, int64_t i, int64_t *from, int64_t *to)
{
    const int64_t total = a->past + a->kv_len;
    const int64_t valid = a->valid ? maas_tensor_get_i64(a->valid, b) : total;
    int64_t at, lo = 0, hi = valid < total ? valid : total; /* at: the query, among the keys */
    if (!a->valid || __builtin_sub_overflow(valid, a->q_len - i, &at))
        at = a->past + i;
    if (a->mask && a->mask_len < hi)
        hi = a->mask_len;
    if (a->causal)
        hi = bounded(hi, at, 1);
    if (a->right >= 0 && a->right < total)
        hi = bounded(hi, at, a->right + 1);
    if (a->left >= 0 && at > a->left)
        lo = at - a->left;
    *from = lo;
    *to = hi;
}
