/* The feed-forward part of a layer. */
#include "lm/model/graph_int.h"

#include <string.h>

#include "base/ban.h"

maas_vid maas_lmg_feed_forward(maas_lm_writer *w, maas_vid x)
{
    const maas_lm_hyper *h = w->h;
    const maas_attr tanh_form = MAAS_A_STR("approximate", "tanh");
    maas_vid gate = maas_lmg_linear(w, x, "ffn_gate", h->n_ff, h->n_embd);
    const maas_vid up = maas_lmg_linear(w, x, "ffn_up", h->n_ff, h->n_embd);
    if (h->arch->flags & MAAS_ARCH_GELU)
        gate = maas_b_node(&w->b, "Gelu", &tanh_form, 1, &gate, 1, NULL, 1);
    else
        gate = maas_b_op2(&w->b, "Mul", gate, maas_b_op1(&w->b, "Sigmoid", gate));
    return maas_lmg_linear(w, maas_b_op2(&w->b, "Mul", gate, up), "ffn_down", h->n_embd, h->n_ff);
}
