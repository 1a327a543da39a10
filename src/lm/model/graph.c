/*
 * One step of a decoder as a graph:
 *
 *   x = embed(tokens)
 *   each layer:  x += attention(norm(x)),  x += down(act(gate(norm(x))) * up(norm(x)))
 *   logits = output(norm(x of out_rows))
 */
#include "lm/model/graph_int.h"

#include <math.h>
#include <string.h>

#include "base/ban.h"

static maas_vid add(maas_lm_writer *w, maas_vid x, maas_vid more, const char *post)
{
    if (w->h->arch->flags & MAAS_ARCH_POST_NORM)
        more = maas_lmg_norm(w, more, post, w->h->n_embd);
    return maas_b_op2(&w->b, "Add", x, more);
}

static maas_vid embedded(maas_lm_writer *w, maas_vid tokens)
{
    int64_t type = 0;
    const maas_vid in[2] = {
        maas_lmg_matrix(w, "token_embd.weight", w->h->n_vocab, w->h->n_embd, &type), tokens};
    const maas_attr a = MAAS_A_INT("type", type);
    const maas_vid x = maas_b_node(&w->b, "BlockGather", &a, 1, in, 2, NULL, 1);
    if (!(w->h->arch->flags & MAAS_ARCH_EMBED_SCALE))
        return x;
    return maas_b_op2(&w->b, "Mul", x, maas_b_f32(&w->b, sqrtf((float)w->h->n_embd)));
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
    maas_lmg_positions(w);
    for (w->layer = 0; w->layer < h->n_layers && w->b.status == MAAS_OK; w->layer++) {
        x = add(w, x, maas_lmg_attention(w, maas_lmg_norm(w, x, "attn_norm.weight", h->n_embd)),
                "post_attention_norm.weight");
        x = add(w, x, maas_lmg_feed_forward(w, maas_lmg_norm(w, x, "ffn_norm.weight", h->n_embd)),
                "post_ffw_norm.weight");
    }
    w->layer = -1;
    x = maas_lmg_norm(w, maas_b_op2(&w->b, "Gather", x, out_rows), "output_norm.weight", h->n_embd);
    const char *output = maas_lmg_find(w, "output.weight", false) ? "output" : "token_embd";
    maas_b_output(&w->b, "logits", capped(w, maas_lmg_linear(w, x, output, h->n_vocab, h->n_embd)));
}

maas_status maas_lm_graph(const maas_lm_source *s, const maas_lm_hyper *h, int64_t n_blocks,
                          int64_t max_seqs, int64_t max_blocks, maas_budget *budget,
                          maas_graph **out, maas_err *err)
{
    maas_graph *g = NULL;
    int64_t rows = MAAS_DIM_UNKNOWN, outs = MAAS_DIM_UNKNOWN;
    maas_lm_writer w = {.s = s, .h = h, .n_blocks = n_blocks, .layer = -1};
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
