/*
 * One step of a decoder as a graph:
 *
 *   x = embed(tokens)
 *   each layer:  x += attention(norm(x)),  x += down(act(gate(norm(x))) * up(norm(x)))
 *   logits = output(norm(x of out_rows))
 */
#include "lm/model/model_int.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

typedef struct writer {
    maas_builder b;
    const maas_lm_source *s;
    const maas_lm_hyper *h;
    maas_vid at, seq, table;
    struct {
        maas_vid cosine, sine; /* [1][rows][rope_size / 2] */
    } turn[2];                 /* of global and of local layers */
    int64_t n_blocks;
    int64_t layer;
} writer;

/* ---- weights ---- */

static const maas_lm_weight *find(writer *w, const char *name, bool needed)
{
    char full[80];
    if (w->layer >= 0)
        snprintf(full, sizeof full, "blk.%d.%s", (int)w->layer, name);
    else
        snprintf(full, sizeof full, "%s", name);
    const maas_lm_weight *t = maas_lm_weight_of(w->s, full);
    if (!t && needed && w->b.status == MAAS_OK)
        w->b.status = maas_fail(w->b.err, MAAS_E_FORMAT, "the weight '%s' is missing", full);
    return t;
}

static void wrong_shape(writer *w, const char *name, int64_t rows, int64_t cols)
{
    if (w->b.status == MAAS_OK)
        w->b.status = maas_fail(w->b.err, MAAS_E_FORMAT,
                                "the weight '%s' of layer %lld has another shape or type than "
                                "%lld x %lld",
                                name, (long long)w->layer, (long long)rows, (long long)cols);
}

static maas_vid constant(writer *w, const maas_tensor *t)
{
    maas_vid v = MAAS_NO_VALUE;
    if (w->b.status == MAAS_OK)
        w->b.status = maas_graph_const(w->b.g, NULL, t, false, &v, w->b.err);
    return v;
}

/* A vector of floats, borrowed from the file; MAAS_NO_VALUE when it is not there and not needed. */
static maas_vid vector(writer *w, const char *name, int64_t n, bool needed)
{
    const maas_lm_weight *t = find(w, name, needed);
    if (!t)
        return MAAS_NO_VALUE;
    if (t->rank != 1 || t->dims[0] != n || t->type->id != MAAS_Q_F32) {
        wrong_shape(w, name, n, 1);
        return MAAS_NO_VALUE;
    }
    const maas_tensor v = maas_tensor_of(MAAS_F32, 1, &n, (void *)(uintptr_t)t->data);
    return constant(w, &v);
}

/* A matrix as rows of blocks; *type: ggml's number. */
static maas_vid matrix(writer *w, const char *name, int64_t rows, int64_t cols, int64_t *type)
{
    const maas_lm_weight *t = find(w, name, true);
    if (!t)
        return MAAS_NO_VALUE;
    if (t->rank != 2 || t->dims[0] != rows || t->dims[1] != cols) {
        wrong_shape(w, name, rows, cols);
        return MAAS_NO_VALUE;
    }
    const int64_t dims[] = {rows, cols / t->type->block * t->type->block_bytes};
    const maas_tensor v = maas_tensor_of(MAAS_U8, 2, dims, (void *)(uintptr_t)t->data);
    *type = t->type->id;
    return constant(w, &v);
}

/* ---- pieces ---- */

static maas_vid reshape(writer *w, maas_vid x, int rank, const int64_t *dims)
{
    return maas_b_op2(&w->b, "Reshape", x, maas_b_i64s(&w->b, dims, rank));
}

/* x W^T (+ bias), with `name`.weight and `name`.bias if there is one. */
static maas_vid linear(writer *w, maas_vid x, const char *name, int64_t rows, int64_t cols)
{
    char full[64];
    int64_t type = 0;
    snprintf(full, sizeof full, "%s.weight", name);
    maas_vid in[3] = {x, matrix(w, full, rows, cols, &type), MAAS_NO_VALUE};
    snprintf(full, sizeof full, "%s.bias", name);
    in[2] = vector(w, full, rows, false);
    const maas_attr a = MAAS_A_INT("type", type);
    return maas_b_node(&w->b, "BlockMatMul", &a, 1, in, 3, NULL, 1);
}

static maas_vid norm(writer *w, maas_vid x, const char *name, int64_t n)
{
    const maas_attr eps = MAAS_A_FLOAT("epsilon", (float)w->h->eps);
    const maas_vid in[2] = {x, vector(w, name, n, true)};
    return maas_b_node(&w->b, "RMSNormalization", &eps, 1, in, 2, NULL, 1);
}

/* Each head alone, where the architecture does that. */
static maas_vid norm_heads(writer *w, maas_vid x, const char *name, int64_t heads)
{
    if (!(w->h->arch->flags & MAAS_ARCH_QK_NORM))
        return x;
    const int64_t apart[] = {-1, heads, w->h->size}, together[] = {-1, heads * w->h->size};
    return reshape(w, norm(w, reshape(w, x, 3, apart), name, w->h->size), 2, together);
}

static maas_vid turned(writer *w, maas_vid x, int64_t heads)
{
    const maas_lm_hyper *h = w->h;
    const int local = maas_lm_is_local(h, w->layer) && h->arch->local_base > 0;
    const int64_t in_dims[] = {1, -1, heads * h->size}, out_dims[] = {-1, heads * h->size};
    const maas_attr attr[] = {
        MAAS_A_INT("num_heads", heads), MAAS_A_INT("interleaved", !h->halves),
        MAAS_A_INT("rotary_embedding_dim", h->rope_size == h->size ? 0 : h->rope_size)};
    const maas_vid in[3] = {reshape(w, x, 3, in_dims), w->turn[local].cosine, w->turn[local].sine};
    return reshape(w, maas_b_node(&w->b, "RotaryEmbedding", attr, 3, in, 3, NULL, 1), 2, out_dims);
}

static maas_vid cache(writer *w, const char *name, int64_t a, int64_t b)
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

static maas_vid attention(writer *w, maas_vid x)
{
    const maas_lm_hyper *h = w->h;
    const int64_t q_n = h->n_heads * h->size, k_n = h->n_kv_heads * h->size;
    const maas_vid k_cache = cache(w, "cache_k", h->size, MAAS_PAGE);
    const maas_vid v_cache = cache(w, "cache_v", MAAS_PAGE, h->v_size);
    const maas_vid q = linear(w, x, "attn_q", q_n, h->n_embd);
    const maas_vid k = linear(w, x, "attn_k", k_n, h->n_embd);
    const maas_vid v = linear(w, x, "attn_v", h->n_kv_heads * h->v_size, h->n_embd);
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
    return linear(w, out[0], "attn_output", h->n_embd, h->n_heads * h->v_size);
}

static maas_vid feed_forward(writer *w, maas_vid x)
{
    const maas_lm_hyper *h = w->h;
    const maas_attr tanh_form = MAAS_A_STR("approximate", "tanh");
    maas_vid gate = linear(w, x, "ffn_gate", h->n_ff, h->n_embd);
    const maas_vid up = linear(w, x, "ffn_up", h->n_ff, h->n_embd);
    if (h->arch->flags & MAAS_ARCH_GELU)
        gate = maas_b_node(&w->b, "Gelu", &tanh_form, 1, &gate, 1, NULL, 1);
    else
        gate = maas_b_op2(&w->b, "Mul", gate, maas_b_op1(&w->b, "Sigmoid", gate));
    return linear(w, maas_b_op2(&w->b, "Mul", gate, up), "ffn_down", h->n_embd, h->n_ff);
}

static maas_vid add(writer *w, maas_vid x, maas_vid more, const char *post)
{
    if (w->h->arch->flags & MAAS_ARCH_POST_NORM)
        more = norm(w, more, post, w->h->n_embd);
    return maas_b_op2(&w->b, "Add", x, more);
}

/* ---- positions ---- */

/* Angles of one base: position * scale * base^(-2i / rope_size) / factor[i]. */
static void angles(writer *w, maas_vid position, double base, double scale, int local)
{
    const maas_lm_hyper *h = w->h;
    const int64_t pairs = h->rope_size / 2, dims[] = {1, pairs}, out[] = {1, -1, pairs};
    const maas_lm_weight *f = maas_lm_weight_of(w->s, "rope_freqs.weight");
    float by[512];
    if (f && (f->rank != 1 || f->dims[0] != pairs || f->type->id != MAAS_Q_F32)) {
        wrong_shape(w, "rope_freqs.weight", pairs, 1);
        return;
    }
    for (int64_t i = 0; i < pairs; i++) {
        float factor = 1;
        if (f)
            memcpy(&factor, f->data + (size_t)i * sizeof factor, sizeof factor);
        by[i] = (float)(scale * pow(base, -2.0 * (double)i / (double)h->rope_size) / factor);
    }
    const maas_tensor t = maas_tensor_of(MAAS_F32, 2, dims, by);
    const maas_vid angle = maas_b_op2(&w->b, "Mul", position, maas_b_const(&w->b, NULL, &t));
    w->turn[local].cosine = reshape(w, maas_b_op1(&w->b, "Cos", angle), 3, out);
    w->turn[local].sine = reshape(w, maas_b_op1(&w->b, "Sin", angle), 3, out);
}

static void positions(writer *w)
{
    static const int64_t column[] = {-1, 1};
    const maas_attr to = MAAS_A_INT("to", MAAS_F32);
    const maas_vid f = maas_b_node(&w->b, "Cast", &to, 1, &w->at, 1, NULL, 1);
    const maas_vid position = reshape(w, f, 2, column);
    angles(w, position, w->h->rope_base, w->h->rope_scale, 0);
    if (w->h->window && w->h->arch->local_base > 0)
        angles(w, position, w->h->arch->local_base, 1, 1);
}

/* ---- the whole ---- */

static maas_vid embedded(writer *w, maas_vid tokens)
{
    int64_t type = 0;
    const maas_vid in[2] = {matrix(w, "token_embd.weight", w->h->n_vocab, w->h->n_embd, &type),
                            tokens};
    const maas_attr a = MAAS_A_INT("type", type);
    const maas_vid x = maas_b_node(&w->b, "BlockGather", &a, 1, in, 2, NULL, 1);
    if (!(w->h->arch->flags & MAAS_ARCH_EMBED_SCALE))
        return x;
    return maas_b_op2(&w->b, "Mul", x, maas_b_f32(&w->b, sqrtf((float)w->h->n_embd)));
}

static maas_vid capped(writer *w, maas_vid logits)
{
    if (w->h->logit_cap <= 0)
        return logits;
    const maas_vid cap = maas_b_f32(&w->b, (float)w->h->logit_cap);
    return maas_b_op2(&w->b, "Mul",
                      maas_b_op1(&w->b, "Tanh", maas_b_op2(&w->b, "Div", logits, cap)), cap);
}

static void decoder(writer *w, maas_vid tokens, maas_vid out_rows)
{
    const maas_lm_hyper *h = w->h;
    maas_vid x = embedded(w, tokens);
    positions(w);
    for (w->layer = 0; w->layer < h->n_layers && w->b.status == MAAS_OK; w->layer++) {
        x = add(w, x, attention(w, norm(w, x, "attn_norm.weight", h->n_embd)),
                "post_attention_norm.weight");
        x = add(w, x, feed_forward(w, norm(w, x, "ffn_norm.weight", h->n_embd)),
                "post_ffw_norm.weight");
    }
    w->layer = -1;
    x = norm(w, maas_b_op2(&w->b, "Gather", x, out_rows), "output_norm.weight", h->n_embd);
    const char *output = find(w, "output.weight", false) ? "output" : "token_embd";
    maas_b_output(&w->b, "logits", capped(w, linear(w, x, output, h->n_vocab, h->n_embd)));
}

maas_status maas_lm_graph(const maas_lm_source *s, const maas_lm_hyper *h, int64_t n_blocks,
                          int64_t max_seqs, int64_t max_blocks, maas_budget *budget,
                          maas_graph **out, maas_err *err)
{
    maas_graph *g = NULL;
    int64_t rows = MAAS_DIM_UNKNOWN, outs = MAAS_DIM_UNKNOWN;
    writer w = {.s = s, .h = h, .n_blocks = n_blocks, .layer = -1};
    MAAS_TRY(maas_graph_create(h->arch->name, budget, &g, err));
    maas_builder_init(&w.b, g, err);
    w.b.status = maas_graph_symbol(g, "rows", &rows, err);
    if (w.b.status == MAAS_OK)
        w.b.status = maas_graph_symbol(g, "outs", &outs, err);
    const maas_vid tokens = maas_b_input(&w.b, "tokens", MAAS_I32, 1, &rows);
    w.at = maas_b_input(&w.b, "at", MAAS_I32, 1, &rows);
    w.seq = maas_b_input(&w.b, "seq", MAAS_I32, 1, &rows);
    w.table = maas_b_input(&w.b, "table", MAAS_I32, 2, (const int64_t[]){max_seqs, max_blocks});
    const maas_vid out_rows = maas_b_input(&w.b, "out_rows", MAAS_I64, 1, &outs);
    decoder(&w, tokens, out_rows);
    if (w.b.status != MAAS_OK) {
        maas_graph_destroy(g);
        return w.b.status;
    }
    *out = g;
    return MAAS_OK;
}
