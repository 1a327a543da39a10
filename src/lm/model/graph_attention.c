/* Attention of a layer over the paged cache. */
#include "lm/model/graph_int.h"

#include <stdio.h>

#include "base/ban.h"

/* Each head alone with one norm for all or its own, or all in one: the shape of the weight says it.
 */
static maas_vid norm_heads(maas_lm_writer *w, maas_vid x, const char *name, int64_t heads)
{
    const uint32_t flags = w->h->arch->flags;
    const int64_t size = w->h->size, n = heads * size;
    const int64_t apart[] = {-1, heads, size}, together[] = {-1, n};
    char full[40];
    snprintf(full, sizeof full, "%s.weight", name);
    if (!(flags & (MAAS_ARCH_QK_NORM | MAAS_ARCH_QK_NORM_MAY)))
        return x;
    const maas_lm_weight *t = maas_lmg_find(w, full, flags & MAAS_ARCH_QK_NORM);
    if (!t)
        return x;
    if (t->rank == 1 && t->dims[0] == n)
        return maas_lmg_norm(w, x, name, n);
    maas_vid y = maas_lmg_reshape(w, x, 3, apart);
    if (t->rank == 1)
        y = maas_lmg_norm(w, y, name, size);
    else if (t->rank == 2 && t->dims[0] == heads && t->dims[1] == size &&
             t->type->id == MAAS_Q_F32) {
        y = maas_lmg_norm_by(w, y, MAAS_NO_VALUE, MAAS_NO_VALUE, size);
        y = maas_b_op2(&w->b, "Mul", y, maas_lmg_floats2(w, t));
    } else
        maas_lmg_wrong_shape(w, full, heads, size);
    return maas_lmg_reshape(w, y, 2, together);
}

maas_vid maas_lmg_turned(maas_lm_writer *w, maas_vid x, int64_t heads, int64_t size)
{
    const maas_lm_hyper *h = w->h;
    const int local = maas_lm_is_local(h, w->layer) && maas_lm_local_turn(h);
    const int64_t in_dims[] = {1, -1, heads * size}, out_dims[] = {-1, heads * size};
    if (!maas_lm_is_turned(h, w->layer))
        return x;
    const maas_attr attr[] = {
        MAAS_A_INT("num_heads", heads), MAAS_A_INT("interleaved", !h->halves),
        MAAS_A_INT("rotary_embedding_dim", h->rope_size == size ? 0 : h->rope_size)};
    const maas_vid in[3] = {maas_lmg_reshape(w, x, 3, in_dims), w->turn[local].cosine,
                            w->turn[local].sine};
    return maas_lmg_reshape(w, maas_b_node(&w->b, "RotaryEmbedding", attr, 3, in, 3, NULL, 1), 2,
                            out_dims);
}

static maas_vid cache(maas_lm_writer *w, const char *name, int64_t a, int64_t b)
{
    char full[40];
    const int64_t dims[] = {w->n_blocks, w->h->n_kv_heads, a, b};
    const maas_tensor t = maas_tensor_of(w->h->bytes ? MAAS_I8 : MAAS_F16, 4, dims, NULL);
    maas_vid v = MAAS_NO_VALUE;
    snprintf(full, sizeof full, "%s.%d", name, (int)w->layer);
    if (w->b.status == MAAS_OK)
        w->b.status = maas_graph_variable(w->b.g, full, &t, false, &v, w->b.err);
    return v;
}

/* Queries or keys: normed and turned. */
static maas_vid placed(maas_lm_writer *w, maas_vid x, const char *name, int64_t heads)
{
    const bool late = w->h->arch->flags & MAAS_ARCH_QK_NORM_LATE;
    x = late ? x : norm_heads(w, x, name, heads);
    x = maas_lmg_turned(w, x, heads, w->h->size);
    return late ? norm_heads(w, x, name, heads) : x;
}

/* From three matrices, or one that holds them one after the other. */
static maas_lm_qkv projected(maas_lm_writer *w, maas_vid x)
{
    const maas_lm_hyper *h = w->h;
    const int64_t q = h->n_heads * h->size, k = h->n_kv_heads * h->size;
    const int64_t v = h->n_kv_heads * h->v_size, all = q + k + v, n = h->n_embd;
    maas_lm_qkv y;
    if (maas_lmg_find(w, "attn_qkv.weight", false))
        y = (maas_lm_qkv){maas_lmg_linear_part(w, x, "attn_qkv", all, 0, q, n),
                          maas_lmg_linear_part(w, x, "attn_qkv", all, q, k, n),
                          maas_lmg_linear_part(w, x, "attn_qkv", all, q + k, v, n)};
    else
        y = (maas_lm_qkv){maas_lmg_linear(w, x, "attn_q", q, n),
                          maas_lmg_linear(w, x, "attn_k", k, n),
                          maas_lmg_linear(w, x, "attn_v", v, n)};
    if (h->clamp > 0)
        for (int i = 0; i < 3; i++) {
            maas_vid *one = i == 0 ? &y.q : i == 1 ? &y.k : &y.v;
            *one = maas_b_op3(&w->b, "Clip", *one, maas_b_f32(&w->b, -(float)h->clamp),
                              maas_b_f32(&w->b, (float)h->clamp));
        }
    y.q = placed(w, y.q, "attn_q_norm", h->n_heads);
    y.k = placed(w, y.k, "attn_k_norm", h->n_kv_heads);
    return y;
}

maas_vid maas_lmg_attend(maas_lm_writer *w, maas_lm_qkv p)
{
    const maas_lm_hyper *h = w->h;
    const int64_t scale = h->bytes ? MAAS_PAGE_SCALE : 0;
    const maas_vid k_cache = cache(w, "cache_k", h->size + scale, MAAS_PAGE);
    const maas_vid v_cache = cache(w, "cache_v", MAAS_PAGE, h->v_size + scale);
    const bool sinks = h->arch->flags & MAAS_ARCH_SINKS;
    const maas_vid sink = sinks ? maas_lmg_vector(w, "attn_sinks.weight", h->n_heads, true)
                                : MAAS_NO_VALUE;
    const maas_vid in[] = {p.q, k_cache, v_cache, p.k, p.v, w->at, w->seq, w->table, sink};
    const maas_attr attr[] = {MAAS_A_INT("num_heads", h->n_heads),
                              MAAS_A_FLOAT("scale", (float)h->score_scale),
                              MAAS_A_FLOAT("softcap", (float)h->score_cap),
                              MAAS_A_INT("window", maas_lm_is_local(h, w->layer) ? h->window : 0)};
    maas_vid out[3] = {MAAS_NO_VALUE, MAAS_NO_VALUE, MAAS_NO_VALUE};
    maas_b_node(&w->b, "PagedAttention", attr, 4, in, MAAS_PAGED_N_IN + sinks, out, 3);
    if (w->b.status == MAAS_OK)
        w->b.status = maas_graph_bind(w->b.g, k_cache, out[1], w->b.err);
    if (w->b.status == MAAS_OK)
        w->b.status = maas_graph_bind(w->b.g, v_cache, out[2], w->b.err);
    return out[0];
}

maas_vid maas_lmg_attention(maas_lm_writer *w, maas_vid x)
{
    const maas_lm_hyper *h = w->h;
    if (h->arch->flags & MAAS_ARCH_LATENT)
        return maas_lmg_latent(w, x);
    const maas_vid y = maas_lmg_attend(w, projected(w, x));
    return maas_lmg_linear(w, y, "attn_output", h->n_embd, h->n_heads * h->v_size);
}
