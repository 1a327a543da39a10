/*
 * One run of an encoder as a graph, for a number of texts of one padded length:
 *
 *   x = norm(embed(tokens) + types + positions)
 *   each layer:  x = norm(x + attention(x)),  x = norm(x + down(act(up x)))
 *   or:          x += attention(norm(x)),     x += down(act(up norm(x)))
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "lm/model/encoder_int.h"
#include "base/ban.h"

typedef struct writer {
    maas_builder b;
    const maas_lm_source *s;
    const maas_enc_hyper *h;
    maas_vid at, valid;
    maas_vid mask; /* keys that are no padding, [texts][1][1][length]; or what distances cost */
    struct {
        maas_vid cosine, sine; /* [n_context][size / 2] */
    } turn[2];                 /* of global and of local layers */
    int64_t layer;
} writer;

/* ---- weights ---- */

static const maas_lm_weight *find(writer *w, const char *name, bool needed)
{
    char full[96];
    if (w->layer >= 0)
        snprintf(full, sizeof full, "blk.%d.%s", (int)w->layer, name);
    else
        snprintf(full, sizeof full, "%s", name);
    const maas_lm_weight *t = maas_lm_weight_of(w->s, full);
    if (!t && needed && w->b.status == MAAS_OK)
        w->b.status = maas_fail(w->b.err, MAAS_E_FORMAT, "the weight '%s' is missing", full);
    return t;
}

static maas_vid wrong_shape(writer *w, const char *name, int64_t rows, int64_t cols)
{
    if (w->b.status == MAAS_OK)
        w->b.status = maas_fail(w->b.err, MAAS_E_FORMAT,
                                "the weight '%s' of layer %lld has another shape or type than "
                                "%lld x %lld",
                                name, (long long)w->layer, (long long)rows, (long long)cols);
    return MAAS_NO_VALUE;
}

static maas_vid constant(writer *w, const maas_tensor *t, bool copy)
{
    maas_vid v = MAAS_NO_VALUE;
    if (w->b.status == MAAS_OK)
        w->b.status = maas_graph_const(w->b.g, NULL, t, copy, &v, w->b.err);
    return v;
}

/* Rows [from, from + n) of a weight of `all` rows: what of it a piece of the graph uses. */
typedef struct part {
    int64_t from, n, all;
} part;
#define WHOLE(n) ((part){0, (n), (n)})

/* A vector of floats, borrowed from the file; MAAS_NO_VALUE when it is not there and not needed. */
static maas_vid vector(writer *w, const char *name, part p, bool needed)
{
    const maas_lm_weight *t = find(w, name, needed);
    if (!t)
        return MAAS_NO_VALUE;
    if (t->rank != 1 || t->dims[0] != p.all || t->type->id != MAAS_Q_F32)
        return wrong_shape(w, name, p.all, 1);
    const float *data = (const float *)(const void *)t->data + p.from;
    const maas_tensor v = maas_tensor_of(MAAS_F32, 1, &p.n, (void *)(uintptr_t)data);
    return constant(w, &v, false);
}

/* A matrix as rows of blocks; *type: ggml's number. A single row may be written as a vector. */
static maas_vid matrix(writer *w, const char *name, part p, int64_t cols, int64_t *type)
{
    const maas_lm_weight *t = find(w, name, true);
    if (!t)
        return MAAS_NO_VALUE;
    const bool row = t->rank == 1 && p.all == 1 && t->dims[0] == cols;
    if (!row && (t->rank != 2 || t->dims[0] != p.all || t->dims[1] != cols))
        return wrong_shape(w, name, p.all, cols);
    const int64_t dims[] = {p.n, cols / t->type->block * t->type->block_bytes};
    const uint8_t *data = t->data + (size_t)p.from * (size_t)dims[1];
    const maas_tensor v = maas_tensor_of(MAAS_U8, 2, dims, (void *)(uintptr_t)data);
    *type = t->type->id;
    return constant(w, &v, false);
}

/* ---- pieces ---- */

/* x W^T (+ bias) with rows of `name`.weight, and of `name`.bias if there is one. */
static maas_vid linear_part(writer *w, maas_vid x, const char *name, part p, int64_t cols)
{
    char full[64];
    int64_t type = 0;
    snprintf(full, sizeof full, "%s.weight", name);
    maas_vid in[3] = {x, matrix(w, full, p, cols, &type), MAAS_NO_VALUE};
    snprintf(full, sizeof full, "%s.bias", name);
    in[2] = vector(w, full, p, false);
    const maas_attr a = MAAS_A_INT("type", type);
    return maas_b_node(&w->b, "BlockMatMul", &a, 1, in, 3, NULL, 1);
}

static maas_vid linear(writer *w, maas_vid x, const char *name, int64_t rows, int64_t cols)
{
    return linear_part(w, x, name, WHOLE(rows), cols);
}

static maas_vid norm(writer *w, maas_vid x, const char *name)
{
    char bias[64];
    snprintf(bias, sizeof bias, "%.*s.bias", (int)(strlen(name) - strlen(".weight")), name);
    const maas_attr eps = MAAS_A_FLOAT("epsilon", (float)w->h->eps);
    const maas_vid in[3] = {x, vector(w, name, WHOLE(w->h->n_embd), true),
                            vector(w, bias, WHOLE(w->h->n_embd), false)};
    return maas_b_node(&w->b, "LayerNormalization", &eps, 1, in, 3, NULL, 1);
}

static maas_vid gather(writer *w, const char *name, int64_t rows, maas_vid ids)
{
    int64_t type = 0;
    const maas_vid in[2] = {matrix(w, name, WHOLE(rows), w->h->n_embd, &type), ids};
    const maas_attr a = MAAS_A_INT("type", type);
    return maas_b_node(&w->b, "BlockGather", &a, 1, in, 2, NULL, 1);
}

/* ---- attention ---- */

static bool is_local(const writer *w)
{
    return w->h->window > 0 && w->layer % w->h->arch->global_of != 0;
}

static maas_vid turned(writer *w, maas_vid x)
{
    if (!(w->h->arch->flags & MAAS_ENC_ROTARY))
        return x;
    const int local = is_local(w);
    const maas_attr heads = MAAS_A_INT("num_heads", w->h->n_heads);
    const maas_vid in[4] = {x, w->turn[local].cosine, w->turn[local].sine, w->at};
    return maas_b_node(&w->b, "RotaryEmbedding", &heads, 1, in, 4, NULL, 1);
}

/* Queries, keys and values have weights of their own, or thirds of one; some are normed. */
static maas_vid projected(writer *w, maas_vid x, int i)
{
    static const char *const names[] = {"attn_q", "attn_k", "attn_v"};
    static const char *const norms[] = {"attn_q_norm.weight", "attn_k_norm.weight", NULL};
    const int64_t n = w->h->n_embd;
    x = find(w, "attn_qkv.weight", false)
            ? linear_part(w, x, "attn_qkv", (part){i * n, n, 3 * n}, n)
            : linear(w, x, names[i], n, n);
    return norms[i] && find(w, norms[i], false) ? norm(w, x, norms[i]) : x;
}

static maas_vid attention(writer *w, maas_vid x)
{
    const maas_enc_hyper *h = w->h;
    maas_vid in[7] = {turned(w, projected(w, x, 0)), turned(w, projected(w, x, 1)),
                      projected(w, x, 2)};
    const int64_t reach = is_local(w) ? h->window / 2 : -1;
    const maas_attr attr[] = {
        MAAS_A_INT("q_num_heads", h->n_heads), MAAS_A_INT("kv_num_heads", h->n_heads),
        MAAS_A_INT("left_window_size", reach), MAAS_A_INT("right_window_size", reach)};
    /* With a number of valid keys, windows are counted from the last of them: not what is meant. */
    in[3] = reach >= 0 || (h->arch->flags & MAAS_ENC_ALIBI) ? w->mask : MAAS_NO_VALUE;
    in[4] = in[5] = MAAS_NO_VALUE;
    in[6] = reach >= 0 ? MAAS_NO_VALUE : w->valid;
    const maas_vid y = maas_b_node(&w->b, "Attention", attr, 4, in, 7, NULL, 1);
    return linear(w, y, "attn_output", h->n_embd, h->n_embd);
}

/* ---- the whole ---- */

static maas_vid feed_forward(writer *w, maas_vid x)
{
    const maas_enc_hyper *h = w->h;
    const uint32_t flags = h->arch->flags;
    const bool fused = (flags & MAAS_ENC_GATED) && !find(w, "ffn_gate.weight", false);
    const part first = fused ? (part){0, h->n_ff, 2 * h->n_ff} : WHOLE(h->n_ff);
    const part second = fused ? (part){h->n_ff, h->n_ff, 2 * h->n_ff} : WHOLE(h->n_ff);
    const bool separate = (flags & MAAS_ENC_GATED) && !fused;
    maas_vid y = linear_part(w, x, separate ? "ffn_gate" : "ffn_up", first, h->n_embd);
    y = flags & MAAS_ENC_SILU ? maas_b_op2(&w->b, "Mul", y, maas_b_op1(&w->b, "Sigmoid", y))
                              : maas_b_op1(&w->b, "Gelu", y);
    if (flags & MAAS_ENC_GATED)
        y = maas_b_op2(&w->b, "Mul", y, linear_part(w, x, "ffn_up", second, h->n_embd));
    return linear(w, y, "ffn_down", h->n_embd, h->n_ff);
}

static maas_vid layer_before(writer *w, maas_vid x)
{
    /* The first layer of ModernBERT takes the norm of the embeddings. */
    const bool has = w->layer > 0 || find(w, "attn_norm.weight", false);
    x = maas_b_op2(&w->b, "Add", x, attention(w, has ? norm(w, x, "attn_norm.weight") : x));
    return maas_b_op2(&w->b, "Add", x, feed_forward(w, norm(w, x, "ffn_norm.weight")));
}

static maas_vid layer_after(writer *w, maas_vid x)
{
    if (find(w, "attn_norm_2.weight", false) && w->b.status == MAAS_OK)
        w->b.status = maas_fail(w->b.err, MAAS_E_UNSUPPORTED,
                                "the weight 'blk.%d.attn_norm_2.weight': a norm that is not built",
                                (int)w->layer);
    x = norm(w, maas_b_op2(&w->b, "Add", x, attention(w, x)), "attn_output_norm.weight");
    return norm(w, maas_b_op2(&w->b, "Add", x, feed_forward(w, x)), "layer_output_norm.weight");
}

static maas_vid reshape(writer *w, maas_vid x, int rank, const int64_t *dims)
{
    return maas_b_op2(&w->b, "Reshape", x, maas_b_i64s(&w->b, dims, rank));
}

/* Which tokens are no padding: [texts][length]. */
static maas_vid no_padding(writer *w)
{
    static const int64_t column[] = {-1, 1};
    return maas_b_op2(&w->b, "Less", w->at, reshape(w, w->valid, 2, column));
}

/* The mean of each text's tokens: [texts][n_embd]. */
static maas_vid mean(writer *w, maas_vid x)
{
    static const int64_t each[] = {-1, 1, 1}, row[] = {1};
    const int64_t flat[] = {-1, w->h->n_embd};
    const maas_attr to = MAAS_A_INT("to", MAAS_F32);
    const maas_vid in[2] = {no_padding(w), reshape(w, w->valid, 3, each)};
    const maas_vid is = maas_b_node(&w->b, "Cast", &to, 1, &in[0], 1, NULL, 1);
    const maas_vid n = maas_b_node(&w->b, "Cast", &to, 1, &in[1], 1, NULL, 1);
    const maas_vid one = maas_b_op2(&w->b, "Unsqueeze", is, maas_b_i64s(&w->b, row, 1));
    return reshape(w, maas_b_op2(&w->b, "MatMul", maas_b_op2(&w->b, "Div", one, n), x), 2, flat);
}

/* -slope of each head * distance: [1][heads][length][length]. Slopes are powers; heads beyond a
 * power of two take those in between. */
static maas_vid distances(writer *w)
{
    static const int64_t rows[] = {-1, 1}, first[] = {0};
    const int64_t heads = w->h->n_heads, dims[] = {1, heads, 1, 1};
    int64_t whole = 1;
    float slope[4096];
    while (whole * 2 <= heads)
        whole *= 2;
    for (int64_t i = 0; i < heads; i++) {
        const double power = i < whole ? (double)(i + 1) : (double)(i - whole) + 0.5;
        slope[i] = (float)-exp2(-w->h->alibi * power / (double)whole);
    }
    const maas_tensor t = maas_tensor_of(MAAS_F32, 4, dims, slope);
    const maas_attr to = MAAS_A_INT("to", MAAS_F32), axis = MAAS_A_INT("axis", 0);
    const maas_vid in[2] = {w->at, maas_b_i64s(&w->b, first, 1)};
    const maas_vid row = maas_b_node(&w->b, "Gather", &axis, 1, in, 2, NULL, 1); /* [1][length] */
    const maas_vid j = maas_b_node(&w->b, "Cast", &to, 1, &row, 1, NULL, 1);
    const maas_vid far = maas_b_op1(&w->b, "Abs",
                                    maas_b_op2(&w->b, "Sub", j, reshape(w, j, 2, rows)));
    return maas_b_op2(&w->b, "Mul", constant(w, &t, true), far);
}

static void angles(writer *w, double base, int local)
{
    const int64_t pairs = w->h->size / 2, n = w->h->n_context, dims[] = {n, pairs};
    AUTO_FREE float *c = maas_calloc((size_t)(n * pairs), sizeof *c);
    AUTO_FREE float *s = maas_calloc((size_t)(n * pairs), sizeof *s);
    if (!c || !s) {
        w->b.status = maas_fail(w->b.err, MAAS_E_NOMEM, "angles of %lld positions", (long long)n);
        return;
    }
    for (int64_t k = 0; k < n * pairs; k++) {
        const double i = (double)(k % pairs);
        const double angle = (double)(k / pairs) * pow(base, -2.0 * i / (double)w->h->size);
        c[k] = (float)cos(angle);
        s[k] = (float)sin(angle);
    }
    const maas_tensor tc = maas_tensor_of(MAAS_F32, 2, dims, c);
    const maas_tensor ts = maas_tensor_of(MAAS_F32, 2, dims, s);
    w->turn[local].cosine = constant(w, &tc, true);
    w->turn[local].sine = constant(w, &ts, true);
}

static maas_vid embedded(writer *w, maas_vid tokens, maas_vid types)
{
    const maas_enc_hyper *h = w->h;
    maas_vid x = gather(w, "token_embd.weight", h->n_vocab, tokens);
    if (h->n_types)
        x = maas_b_op2(&w->b, "Add", x, gather(w, "token_types.weight", h->n_types, types));
    if (h->arch->flags & MAAS_ENC_POSITIONS)
        x = maas_b_op2(&w->b, "Add", x, gather(w, "position_embd.weight", h->n_positions, w->at));
    return norm(w, x, "token_embd_norm.weight");
}

/* A pair's score. */
static maas_vid head(writer *w, maas_vid x)
{
    const int64_t n = w->h->n_embd;
    const bool modern = (w->h->arch->flags & MAAS_ENC_PRE_NORM) != 0;
    if (find(w, "cls.weight", false))
        x = maas_b_op1(&w->b, modern ? "Gelu" : "Tanh", linear(w, x, "cls", n, n));
    if (find(w, "cls.norm.weight", false))
        x = norm(w, x, "cls.norm.weight");
    return linear(w, x, "cls.output", 1, n);
}

static void encoder(writer *w, maas_vid tokens, maas_vid types, maas_vid rows)
{
    const maas_enc_hyper *h = w->h;
    static const int64_t between[] = {1, 2};
    const bool before = (h->arch->flags & MAAS_ENC_PRE_NORM) != 0;
    const bool rank = h->pooling == MAAS_POOL_RANK;
    const int64_t flat[] = {-1, h->n_embd};
    maas_vid x = embedded(w, tokens, types);
    if (h->arch->flags & MAAS_ENC_ROTARY) {
        angles(w, h->rope_base, 0);
        if (h->window)
            angles(w, h->rope_base_local, 1);
    }
    if (h->arch->flags & MAAS_ENC_ALIBI)
        w->mask = distances(w);
    if (h->window)
        w->mask = maas_b_op2(&w->b, "Unsqueeze", no_padding(w), maas_b_i64s(&w->b, between, 2));
    for (w->layer = 0; w->layer < h->n_layers && w->b.status == MAAS_OK; w->layer++)
        x = before ? layer_before(w, x) : layer_after(w, x);
    w->layer = -1;
    const bool all = h->pooling == MAAS_POOL_MEAN || (rank && before);
    if (!all)
        x = maas_b_op2(&w->b, "Gather", reshape(w, x, 2, flat), rows);
    if (before)
        x = norm(w, x, "output_norm.weight");
    if (rank && before) /* ModernBERT's head takes the mean */
        x = mean(w, x);
    maas_b_output(&w->b, "answer", rank ? head(w, x) : x);
}

maas_status maas_enc_graph(const maas_lm_source *s, const maas_enc_hyper *h, maas_budget *budget,
                           maas_graph **out, maas_err *err)
{
    maas_graph *g = NULL;
    int64_t dims[2] = {MAAS_DIM_UNKNOWN, MAAS_DIM_UNKNOWN};
    writer w = {.s = s, .h = h, .layer = -1};
    MAAS_TRY(maas_graph_create(h->arch->name, budget, &g, err));
    maas_builder_init(&w.b, g, err);
    w.b.status = maas_graph_symbol(g, "texts", &dims[0], err);
    if (w.b.status == MAAS_OK)
        w.b.status = maas_graph_symbol(g, "length", &dims[1], err);
    const maas_vid tokens = maas_b_input(&w.b, "tokens", MAAS_I32, 2, dims);
    const maas_vid types = maas_b_input(&w.b, "types", MAAS_I32, 2, dims);
    w.at = maas_b_input(&w.b, "at", MAAS_I64, 2, dims);
    w.valid = maas_b_input(&w.b, "valid", MAAS_I64, 1, dims);
    const maas_vid rows = maas_b_input(&w.b, "rows", MAAS_I64, 1, dims);
    encoder(&w, tokens, types, rows);
    if (w.b.status != MAAS_OK) {
        maas_graph_destroy(g);
        return w.b.status;
    }
    *out = g;
    return MAAS_OK;
}
