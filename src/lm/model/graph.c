/*
 * One step of a decoder as a graph:
 *
 *   x = embed(tokens)
 *   each layer:  x += attention(norm(x)),  x += down(act(gate(norm(x))) * up(norm(x)))
 *                or x += mixer(norm(x)), over a state
 *   logits = output(norm(x of out_rows))
 */
#include "lm/model/graph_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/ban.h"

/* ---- layers ---- */

static maas_vid pre_norm(maas_lm_writer *w, maas_vid x, const char *name)
{
    return w->h->arch->flags & MAAS_ARCH_NO_PRE_NORM ? x : maas_lmg_norm(w, x, name, w->h->n_embd);
}

static maas_vid add(maas_lm_writer *w, maas_vid x, maas_vid more, const char *post)
{
    if (w->h->arch->flags & MAAS_ARCH_POST_NORM)
        more = maas_lmg_norm(w, more, post, w->h->n_embd);
    return maas_b_op2(&w->b, "Add", x, maas_lmg_times(w, more, w->h->residual_scale));
}

static const char *ffn_norm(const maas_lm_writer *w)
{
    return w->h->arch->ffn_norm ? w->h->arch->ffn_norm : "ffn_norm";
}

/* Both read the same: through one norm, or each through its own, which either may have. */
static maas_vid parallel(maas_lm_writer *w, maas_vid x)
{
    const int64_t n = w->h->n_embd;
    const maas_vid inner = pre_norm(w, x, "attn_norm");
    maas_vid a = inner, f = inner;
    if (maas_lmg_find(w, "attn_norm_2.weight", false))
        a = maas_lmg_norm(w, x, "attn_norm_2", n);
    if (maas_lmg_find(w, "ffn_norm.weight", false))
        f = maas_lmg_norm(w, x, "ffn_norm", n);
    x = add(w, x, maas_lmg_attention(w, a), "post_attention_norm");
    return add(w, x, maas_lmg_feed_forward(w, f), "post_ffw_norm");
}

static maas_vid layer(maas_lm_writer *w, maas_vid x)
{
    if (w->h->arch->flags & MAAS_ARCH_STATE)
        return add(w, x, maas_lmg_mixer(w, pre_norm(w, x, "attn_norm")), "post_attention_norm");
    if (w->h->parallel)
        return parallel(w, x);
    x = add(w, x, maas_lmg_attention(w, pre_norm(w, x, "attn_norm")), "post_attention_norm");
    return add(w, x, maas_lmg_feed_forward(w, pre_norm(w, x, ffn_norm(w))), "post_ffw_norm");
}

/* ---- the whole ---- */

static maas_vid rows_of(maas_lm_writer *w, const char *name, int64_t n, maas_vid ids)
{
    int64_t type = 0;
    const maas_vid in[2] = {maas_lmg_matrix(w, name, n, w->h->n_embd, &type), ids};
    const maas_attr a = MAAS_A_INT("type", type);
    return maas_b_node(&w->b, "BlockGather", &a, 1, in, 2, NULL, 1);
}

static maas_vid embedded(maas_lm_writer *w, maas_vid tokens)
{
    const maas_lm_hyper *h = w->h;
    const maas_vid x = maas_lmg_times(w, rows_of(w, "token_embd.weight", h->n_vocab, tokens),
                                      h->embed_scale);
    if (!(h->arch->flags & MAAS_ARCH_POSITIONS))
        return x;
    return maas_b_op2(&w->b, "Add", x, rows_of(w, "position_embd.weight", h->n_context, w->at));
}

static maas_vid capped(maas_lm_writer *w, maas_vid logits)
{
    if (w->h->logit_cap <= 0)
        return logits;
    const maas_vid cap = maas_b_f32(&w->b, (float)w->h->logit_cap);
    return maas_b_op2(&w->b, "Mul",
                      maas_b_op1(&w->b, "Tanh", maas_b_op2(&w->b, "Div", logits, cap)), cap);
}

static void decoder(maas_lm_writer *w, maas_vid tokens, maas_vid out_rows)
{
    const maas_lm_hyper *h = w->h;
    maas_vid x = embedded(w, tokens);
    if (!(h->arch->flags & MAAS_ARCH_STATE))
        maas_lmg_positions(w);
    for (w->layer = 0; w->layer < h->n_layers && w->b.status == MAAS_OK; w->layer++)
        x = layer(w, x);
    w->layer = -1;
    x = maas_lmg_norm(w, maas_b_op2(&w->b, "Gather", x, out_rows), "output_norm", h->n_embd);
    const char *output = maas_lmg_find(w, "output.weight", false) ? "output" : "token_embd";
    if (h->hidden) {
        maas_b_output(&w->b, "hidden", x);
        return;
    }
    if (w->adapter != MAAS_NO_VALUE) {
        w->adapter = maas_b_op2(&w->b, "Gather", w->adapter, out_rows);
        w->strength = maas_b_op2(&w->b, "Gather", w->strength, out_rows);
    }
    x = maas_lmg_linear(w, x, output, h->n_vocab, h->n_embd);
    maas_b_output(&w->b, "logits", capped(w, maas_lmg_times(w, x, h->logit_scale)));
}

/* ---- what was not asked for ---- */

int maas_lmg_by_address(const void *a, const void *b)
{
    const uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return (x > y) - (x < y);
}

/* Is it a weight of one of the layers (or of the output)? Others are nobody's, or are looked up
 * without the writer. */
static bool is_ours(const maas_lm_hyper *h, maas_str name)
{
    int64_t layer = 0;
    size_t i = 4;
    if (name.n > 6 && memcmp(name.p, "output", 6) == 0)
        return true;
    if (name.n < 6 || memcmp(name.p, "blk.", 4) != 0)
        return false;
    for (; i < name.n && i < 9 && name.p[i] >= '0' && name.p[i] <= '9'; i++)
        layer = layer * 10 + (name.p[i] - '0');
    return i < name.n && name.p[i] == '.' && layer < h->n_layers;
}

/* A weight that no line above reads would be a model that computes something else than this. */
static void refuse_the_rest(maas_lm_writer *w)
{
    const size_t n = w->used.n / sizeof(void *);
    if (w->b.status == MAAS_OK && w->used.failed)
        w->b.status = maas_fail(w->b.err, MAAS_E_NOMEM, "the list of weights");
    if (n)
        qsort(w->used.p, n, sizeof(void *), maas_lmg_by_address);
    for (uint32_t i = 0; i < maas_lm_n_weights(w->s) && w->b.status == MAAS_OK; i++) {
        const maas_lm_weight *t = maas_lm_weight_at(w->s, i);
        if (is_ours(w->h, t->name) &&
            !bsearch(&t, w->used.p, n, sizeof(void *), maas_lmg_by_address))
            w->b.status = maas_fail(w->b.err, MAAS_E_UNSUPPORTED,
                                    "the weight '%.*s' is no part of a %s model as it is known",
                                    (int)(t->name.n < 80 ? t->name.n : 80), t->name.p,
                                    w->h->arch->name);
    }
}

maas_status maas_lm_graph(const maas_lm_source *s, const maas_lm_hyper *h, int64_t n_blocks,
                          int64_t max_seqs, int64_t max_blocks, maas_budget *budget,
                          maas_graph **out, maas_err *err)
{
    maas_graph *g = NULL;
    int64_t rows = MAAS_DIM_UNKNOWN, outs = MAAS_DIM_UNKNOWN;
    maas_lm_writer w = {.s = s,
                        .h = h,
                        .n_blocks = n_blocks,
                        .n_states = max_seqs,
                        .layer = -1,
                        .used = MAAS_BUF_INIT((size_t)1 << 26)};
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
    w.state = maas_b_input(&w.b, "state", MAAS_I32, 1, &rows);
    w.adapter = w.strength = MAAS_NO_VALUE;
    if (maas_lm_n_adapters(s)) {
        w.adapter = maas_b_input(&w.b, "adapter", MAAS_I32, 1, &rows);
        w.strength = maas_b_input(&w.b, "strength", MAAS_F32, 1, &rows);
    }
    decoder(&w, tokens, out_rows);
    refuse_the_rest(&w);
    maas_lmg_refuse_adapters(&w);
    maas_buf_reset(&w.used);
    if (w.b.status != MAAS_OK) {
        maas_graph_destroy(g);
        return w.b.status;
    }
    *out = g;
    return MAAS_OK;
}
