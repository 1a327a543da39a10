/*
 * Latent attention (DeepSeek V2): keys and values of all heads come from one short vector c, and
 * one turned key is there for all heads.
 *
 *   scores: q_nope . (K_b c) + q_turned . k_turned = (K_b' q_nope) . c + q_turned . k_turned
 *   values: V_b (sum of p c)
 *
 * With K_b and V_b apart in the file, c itself is what the cache keeps: one head for all. Files
 * that have both in one matrix (attn_kv_b) get keys and values of every head.
 */
#include "lm/model/graph_int.h"

#include "base/ban.h"

static maas_vid joined(maas_lm_writer *w, maas_vid a, maas_vid b, int64_t axis)
{
    const maas_attr at = MAAS_A_INT("axis", axis);
    return maas_b_node(&w->b, "Concat", &at, 1, (const maas_vid[]){a, b}, 2, NULL, 1);
}

/* The two parts of every head of x [rows][heads * (first + second)]: [rows][heads][..]. */
static void cut(maas_lm_writer *w, maas_vid x, int64_t first, int64_t second, maas_vid out[2])
{
    const int64_t apart[] = {-1, w->h->n_heads, first + second}, sizes[] = {first, second};
    const maas_attr axis = MAAS_A_INT("axis", 2);
    const maas_vid in[2] = {maas_lmg_reshape(w, x, 3, apart), maas_b_i64s(&w->b, sizes, 2)};
    maas_b_node(&w->b, "Split", &axis, 1, in, 2, out, 2);
}

static maas_vid queries(maas_lm_writer *w, maas_vid x)
{
    const maas_lm_hyper *h = w->h;
    const int64_t n = h->n_heads * h->latent_size;
    if (!maas_lmg_find(w, "attn_q_a.weight", false))
        return maas_lmg_linear(w, x, "attn_q", n, h->n_embd);
    const maas_vid a = maas_lmg_linear(w, x, "attn_q_a", h->q_rank, h->n_embd);
    return maas_lmg_linear(w, maas_lmg_norm(w, a, "attn_q_a_norm", h->q_rank), "attn_q_b", n,
                           h->q_rank);
}

/* Every row names every head, in order. */
static maas_vid all_heads(maas_lm_writer *w)
{
    const int64_t n = w->h->n_heads, dims[] = {1, n}, column[] = {-1, 1};
    int32_t ids[4096], none = 0;
    for (int64_t i = 0; i < n; i++)
        ids[i] = (int32_t)i;
    const maas_tensor t = maas_tensor_of(MAAS_I32, 2, dims, ids);
    const maas_tensor zero = maas_tensor_of(MAAS_I32, 0, NULL, &none);
    const maas_vid rows = maas_b_op2(&w->b, "Mul", maas_lmg_reshape(w, w->at, 2, column),
                                     maas_b_const(&w->b, NULL, &zero));
    return maas_b_op2(&w->b, "Add", rows, maas_b_const(&w->b, NULL, &t));
}

static maas_vid over_latent(maas_lm_writer *w, maas_vid q[2], maas_vid c, maas_vid k_turned)
{
    const maas_lm_hyper *h = w->h;
    const int64_t flat[] = {-1, h->n_heads * h->size}, apart[] = {-1, h->n_heads, h->kv_rank};
    const int64_t out[] = {-1, h->n_heads * h->latent_v_size},
                  plain = h->latent_size - h->rope_size;
    if (h->n_kv_heads != 1 || h->size != h->kv_rank + h->rope_size || h->v_size != h->kv_rank) {
        maas_lmg_wrong_shape(w, "attn_k_b.weight", h->kv_rank, h->size);
        return MAAS_NO_VALUE;
    }
    const maas_vid ids = all_heads(w);
    const maas_vid turned_in = maas_lmg_by_id(w, q[0], ids, "attn_k_b.weight", h->n_heads,
                                              h->kv_rank, plain);
    const maas_lm_qkv p = {maas_lmg_reshape(w, joined(w, turned_in, q[1], 2), 2, flat),
                           joined(w, c, k_turned, 1), c};
    const maas_vid y = maas_lmg_reshape(w, maas_lmg_attend(w, p), 3, apart);
    return maas_lmg_reshape(
        w, maas_lmg_by_id(w, y, ids, "attn_v_b.weight", h->n_heads, h->latent_v_size, h->kv_rank),
        2, out);
}

static maas_vid over_heads(maas_lm_writer *w, maas_vid q[2], maas_vid c, maas_vid k_turned)
{
    const maas_lm_hyper *h = w->h;
    const int64_t plain = h->latent_size - h->rope_size, n = h->n_heads;
    const int64_t flat[] = {-1, n * h->size}, v_flat[] = {-1, n * h->v_size};
    const int64_t one[] = {-1, 1, h->rope_size}, each[] = {1, n, 1};
    float ones[4096];
    if (h->n_kv_heads != n || h->size != h->latent_size || h->v_size != h->latent_v_size) {
        maas_lmg_wrong_shape(w, "attn_kv_b.weight", n * (plain + h->latent_v_size), h->kv_rank);
        return MAAS_NO_VALUE;
    }
    for (int64_t i = 0; i < n; i++)
        ones[i] = 1;
    const maas_tensor t = maas_tensor_of(MAAS_F32, 3, each, ones);
    maas_vid kv[2] = {MAAS_NO_VALUE, MAAS_NO_VALUE};
    cut(w, maas_lmg_linear(w, c, "attn_kv_b", n * (plain + h->v_size), h->kv_rank), plain,
        h->v_size, kv);
    const maas_vid turned = maas_b_op2(&w->b, "Mul", maas_lmg_reshape(w, k_turned, 3, one),
                                       maas_b_const(&w->b, NULL, &t));
    return maas_lmg_attend(w,
                           (maas_lm_qkv){maas_lmg_reshape(w, joined(w, q[0], q[1], 2), 2, flat),
                                         maas_lmg_reshape(w, joined(w, kv[0], turned, 2), 2, flat),
                                         maas_lmg_reshape(w, kv[1], 2, v_flat)});
}

maas_vid maas_lmg_latent(maas_lm_writer *w, maas_vid x)
{
    const maas_lm_hyper *h = w->h;
    const int64_t rank = h->kv_rank, turn = h->rope_size, all = rank + turn;
    const int64_t flat[] = {-1, h->n_heads * turn}, apart[] = {-1, h->n_heads, turn};
    maas_vid q[2] = {MAAS_NO_VALUE, MAAS_NO_VALUE};
    cut(w, queries(w, x), h->latent_size - turn, turn, q);
    q[1] = maas_lmg_reshape(
        w, maas_lmg_turned(w, maas_lmg_reshape(w, q[1], 2, flat), h->n_heads, turn), 3, apart);
    const maas_vid c = maas_lmg_norm(
        w, maas_lmg_linear_part(w, x, "attn_kv_a_mqa", all, 0, rank, h->n_embd), "attn_kv_a_norm",
        rank);
    const maas_vid k_turned = maas_lmg_turned(
        w, maas_lmg_linear_part(w, x, "attn_kv_a_mqa", all, rank, turn, h->n_embd), 1, turn);
    const bool together = maas_lmg_find(w, "attn_kv_b.weight", false);
    const maas_vid y = together ? over_heads(w, q, c, k_turned) : over_latent(w, q, c, k_turned);
    return maas_lmg_linear(w, y, "attn_output", h->n_embd, h->n_heads * h->latent_v_size);
}
