/* Attention of a layer over the paged cache. */
#include "lm/model/graph_int.h"

#include <stdio.h>

#include "base/ban.h"

/* Each head alone, where the architecture does that. */
static maas_vid norm_heads(maas_lm_writer *w, maas_vid x, const char *name, int64_t heads)
{
    if (!(w->h->arch->flags & MAAS_ARCH_QK_NORM))
        return x;
    const int64_t apart[] = {-1, heads, w->h->size}, together[] = {-1, heads * w->h->size};
    return maas_lmg_reshape(w, maas_lmg_norm(w, maas_lmg_reshape(w, x, 3, apart), name, w->h->size),
                            2, together);
}

static maas_vid turned(maas_lm_writer *w, maas_vid x, int64_t heads)
{
    const maas_lm_hyper *h = w->h;
    const int local = maas_lm_is_local(h, w->layer) && h->arch->local_base > 0;
    const int64_t in_dims[] = {1, -1, heads * h->size}, out_dims[] = {-1, heads * h->size};
    const maas_attr attr[] = {
        MAAS_A_INT("num_heads", heads),
        MAAS_A_INT("interleaved", !(h->arch->flags & MAAS_ARCH_ROPE_HALVES)),
        MAAS_A_INT("rotary_embedding_dim", h->rope_size == h->size ? 0 : h->rope_size)};
    const maas_vid in[3] = {maas_lmg_reshape(w, x, 3, in_dims), w->turn[local].cosine,
                            w->turn[local].sine};
    return maas_lmg_reshape(w, maas_b_node(&w->b, "RotaryEmbedding", attr, 3, in, 3, NULL, 1), 2,
                            out_dims);
}

static maas_vid cache(maas_lm_writer *w, const char *name, int64_t a, int64_t b)
{
    char full[40];
    const int64_t dims[] = {w->n_blocks, w->h->n_kv_heads, a, b};
    const maas_tensor t = maas_tensor_of(MAAS_F16, 4, dims, NULL);
    maas_vid v = MAAS_NO_VALUE;
    snprintf(full, sizeof full, "%s.%d", name, (int)w->layer);
    if (w->b.status == MAAS_OK)
        w->b.status = maas_graph_variable(w->b.g, full, &t, false, &v, w->b.err);
    return v;
}

maas_vid maas_lmg_attention(maas_lm_writer *w, maas_vid x)
{
    const maas_lm_hyper *h = w->h;
    const int64_t q_n = h->n_heads * h->size, k_n = h->n_kv_heads * h->size;
    const maas_vid k_cache = cache(w, "cache_k", h->size, MAAS_PAGE);
    const maas_vid v_cache = cache(w, "cache_v", MAAS_PAGE, h->v_size);
    const maas_vid q = maas_lmg_linear(w, x, "attn_q", q_n, h->n_embd);
    const maas_vid k = maas_lmg_linear(w, x, "attn_k", k_n, h->n_embd);
    const maas_vid v = maas_lmg_linear(w, x, "attn_v", h->n_kv_heads * h->v_size, h->n_embd);
    const maas_vid in[MAAS_PAGED_N_IN] = {
        turned(w, norm_heads(w, q, "attn_q_norm.weight", h->n_heads), h->n_heads),
        k_cache,
        v_cache,
        turned(w, norm_heads(w, k, "attn_k_norm.weight", h->n_kv_heads), h->n_kv_heads),
        v,
        w->at,
        w->seq,
        w->table};
    const maas_attr attr[] = {MAAS_A_INT("num_heads", h->n_heads),
                              MAAS_A_FLOAT("scale", h->score_scale),
                              MAAS_A_FLOAT("softcap", (float)h->score_cap),
                              MAAS_A_INT("window", maas_lm_is_local(h, w->layer) ? h->window : 0)};
    maas_vid out[3] = {MAAS_NO_VALUE, MAAS_NO_VALUE, MAAS_NO_VALUE};
    maas_b_node(&w->b, "PagedAttention", attr, 4, in, MAAS_PAGED_N_IN, out, 3);
    if (w->b.status == MAAS_OK)
        w->b.status = maas_graph_bind(w->b.g, k_cache, out[1], w->b.err);
    if (w->b.status == MAAS_OK)
        w->b.status = maas_graph_bind(w->b.g, v_cache, out[2], w->b.err);
    return maas_lmg_linear(w, out[0], "attn_output", h->n_embd, h->n_heads * h->v_size);
}
