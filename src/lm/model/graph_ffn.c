/* The feed-forward part of a layer: with a gate, without one, or many of which a router picks some.
 */
#include "lm/model/graph_int.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/ban.h"

static maas_vid clipped(maas_lm_writer *w, maas_vid x, float least, float most)
{
    return maas_b_op3(&w->b, "Clip", x, maas_b_f32(&w->b, least), maas_b_f32(&w->b, most));
}

/* GPT-OSS: neither grows beyond 7, the gate is SiLU of 1.702 x, and one is added to the other. */
static maas_vid clamped(maas_lm_writer *w, maas_vid gate, maas_vid up)
{
    const maas_vid g = clipped(w, gate, -INFINITY, 7);
    const maas_vid s = maas_b_op1(&w->b, "Sigmoid", maas_lmg_times(w, g, 1.702));
    const maas_vid y = maas_b_op2(&w->b, "Add", clipped(w, up, -7, 7), maas_b_f32(&w->b, 1));
    return maas_b_op2(&w->b, "Mul", maas_b_op2(&w->b, "Mul", g, s), y);
}

maas_vid maas_lmg_act(maas_lm_writer *w, maas_vid gate, maas_vid up)
{
    static const maas_attr tanh_form = MAAS_A_STR("approximate", "tanh");
    const uint32_t act = w->h->arch->act;
    maas_vid y;
    if (act == MAAS_ACT_CLAMPED && up != MAAS_NO_VALUE)
        return clamped(w, gate, up);
    if (act == MAAS_ACT_SILU)
        y = maas_b_op2(&w->b, "Mul", gate, maas_b_op1(&w->b, "Sigmoid", gate));
    else if (act == MAAS_ACT_RELU2) {
        const maas_vid r = maas_b_op1(&w->b, "Relu", gate);
        y = maas_b_op2(&w->b, "Mul", r, r);
    } else
        y = maas_b_node(&w->b, "Gelu", &tanh_form, act == MAAS_ACT_GELU_TANH, &gate, 1, NULL, 1);
    return up == MAAS_NO_VALUE ? y : maas_b_op2(&w->b, "Mul", y, up);
}

/* `end` is what follows the names: "" or "_shexp". Gate and up may be one matrix, gate first. */
static maas_vid one(maas_lm_writer *w, maas_vid x, const char *end, int64_t n_ff)
{
    char gate[32], up[32], down[32], there[40];
    const int64_t n = w->h->n_embd;
    maas_vid y;
    snprintf(gate, sizeof gate, "ffn_gate%s", end);
    snprintf(up, sizeof up, "ffn_up%s", end);
    snprintf(down, sizeof down, "ffn_down%s", end);
    snprintf(there, sizeof there, "%s.weight", gate);
    if (w->h->arch->flags & MAAS_ARCH_PLAIN)
        y = maas_lmg_act(w, maas_lmg_linear(w, x, up, n_ff, n), MAAS_NO_VALUE);
    else if (maas_lmg_find(w, there, false))
        y = maas_lmg_act(w, maas_lmg_linear(w, x, gate, n_ff, n),
                         maas_lmg_linear(w, x, up, n_ff, n));
    else
        y = maas_lmg_act(w, maas_lmg_linear_part(w, x, up, 2 * n_ff, 0, n_ff, n),
                         maas_lmg_linear_part(w, x, up, 2 * n_ff, n_ff, n_ff, n));
    return maas_lmg_linear(w, y, down, n, n_ff);
}

/* ---- experts ---- */

/* `rank` where its group is among the best ones, less than any elsewhere. A group is as good as its
 * best expert, or the sum of its best two where a bias ranks them. */
static maas_vid best_groups(maas_lm_writer *w, maas_vid rank, bool biased)
{
    const maas_lm_hyper *h = w->h;
    const int64_t apart[] = {-1, h->n_groups, h->n_experts / h->n_groups}, last = -1, one = 1;
    const int64_t best = biased ? 2 : 1, together[] = {-1, h->n_experts},
                  two[] = {-1, h->n_groups, 1};
    const maas_attr drop = MAAS_A_INT("keepdims", 0), min = MAAS_A_INT("keepdims", 1);
    maas_vid top[2];
    const maas_vid each = maas_lmg_reshape(w, rank, 3, apart);
    maas_b_node(&w->b, "TopK", NULL, 0, (const maas_vid[]){each, maas_b_i64s(&w->b, &best, 1)}, 2,
                top, 2);
    const maas_vid score = maas_b_node(&w->b, "ReduceSum", &drop, 1,
                                       (const maas_vid[]){top[0], maas_b_i64s(&w->b, &last, 1)}, 2,
                                       NULL, 1);
    maas_b_node(&w->b, "TopK", NULL, 0,
                (const maas_vid[]){score, maas_b_i64s(&w->b, &h->n_used_groups, 1)}, 2, top, 2);
    const maas_vid least = maas_b_node(&w->b, "ReduceMin", &min, 1,
                                       (const maas_vid[]){top[0], maas_b_i64s(&w->b, &one, 1)}, 2,
                                       NULL, 1);
    const maas_vid in = maas_lmg_reshape(w, maas_b_op2(&w->b, "GreaterOrEqual", score, least), 3,
                                         two);
    return maas_lmg_reshape(w, maas_b_op3(&w->b, "Where", in, each, maas_b_f32(&w->b, -INFINITY)),
                            2, together);
}

/* Whom each row goes to, and with which weights: both [rows][n_used]. */
static maas_vid route(maas_lm_writer *w, maas_vid x, maas_vid *ids)
{
    const maas_lm_hyper *h = w->h;
    const int64_t last = -1;
    maas_vid p = maas_lmg_linear(w, x, "ffn_gate_inp", h->n_experts, h->n_embd), top[2];
    if (h->router != MAAS_ROUTER_CHOSEN)
        p = maas_b_op1(&w->b, h->router == MAAS_ROUTER_SIGMOID ? "Sigmoid" : "Softmax", p);
    const maas_vid bias = maas_lmg_vector(w, "exp_probs_b.bias", h->n_experts, false);
    maas_vid rank = bias == MAAS_NO_VALUE ? p : maas_b_op2(&w->b, "Add", p, bias);
    if (h->n_groups > 1)
        rank = best_groups(w, rank, bias != MAAS_NO_VALUE);
    const maas_vid in[2] = {rank, maas_b_i64s(&w->b, &h->n_used, 1)};
    maas_b_node(&w->b, "TopK", NULL, 0, in, 2, top, 2);
    *ids = top[1];
    maas_vid y = top[0];
    if (bias != MAAS_NO_VALUE) { /* it ranks, and is no part of the weights */
        const maas_attr axis = MAAS_A_INT("axis", 1);
        y = maas_b_node(&w->b, "GatherElements", &axis, 1, (const maas_vid[]){p, top[1]}, 2, NULL,
                        1);
    }
    if (h->router == MAAS_ROUTER_CHOSEN)
        y = maas_b_op1(&w->b, "Softmax", y);
    else if (h->router_sum) {
        const maas_vid sum = maas_b_op2(&w->b, "ReduceSum", y, maas_b_i64s(&w->b, &last, 1));
        y = maas_b_op2(&w->b, "Div", y,
                       maas_b_op2(&w->b, "Max", sum, maas_b_f32(&w->b, 6.103515625e-5f)));
    }
    return maas_lmg_times(w, y, h->expert_scale);
}

maas_vid maas_lmg_by_id(maas_lm_writer *w, maas_vid x, maas_vid ids, const char *name, int64_t n,
                        int64_t rows, int64_t cols)
{
    int64_t type = 0;
    const maas_vid in[3] = {x, maas_lmg_experts(w, name, n, rows, cols, &type), ids};
    const maas_attr a = MAAS_A_INT("type", type);
    return maas_b_node(&w->b, "ExpertMatMul", &a, 1, in, 3, NULL, 1);
}

/* One of the three products of the experts that were chosen: `ffn_NAME_exps`. */
static maas_vid chosen(maas_lm_writer *w, maas_vid x, maas_vid ids, const char *name, int64_t rows,
                       int64_t cols)
{
    char full[40];
    const int64_t n = w->h->n_experts;
    snprintf(full, sizeof full, "ffn_%s_exps.weight", name);
    const maas_vid y = maas_lmg_by_id(w, x, ids, full, n, rows, cols);
    snprintf(full, sizeof full, "ffn_%s_exps.bias", name);
    const maas_lm_weight *bias = maas_lmg_find(w, full, false);
    if (!bias)
        return y;
    if (bias->rank != 2 || bias->dims[0] != n || bias->dims[1] != rows ||
        bias->type->id != MAAS_Q_F32) {
        maas_lmg_wrong_shape(w, full, n, rows);
        return MAAS_NO_VALUE;
    }
    return maas_b_op2(&w->b, "Add", y, maas_b_op2(&w->b, "Gather", maas_lmg_floats2(w, bias), ids));
}

static maas_vid experts(maas_lm_writer *w, maas_vid x)
{
    const maas_lm_hyper *h = w->h;
    const int64_t n = h->n_embd, n_ff = h->n_expert_ff, slots = 1;
    const int64_t each[] = {-1, 1, n}, scaled[] = {-1, h->n_used, 1};
    const maas_attr drop = MAAS_A_INT("keepdims", 0);
    maas_vid ids = MAAS_NO_VALUE;
    const maas_vid by = maas_lmg_reshape(w, route(w, x, &ids), 3, scaled);
    const maas_vid in = maas_lmg_reshape(w, x, 3, each);
    const maas_vid y = maas_lmg_act(w, chosen(w, in, ids, "gate", n_ff, n),
                                    chosen(w, in, ids, "up", n_ff, n));
    const maas_vid all = maas_b_op2(&w->b, "Mul", chosen(w, y, ids, "down", n, n_ff), by);
    return maas_b_node(&w->b, "ReduceSum", &drop, 1,
                       (const maas_vid[]){all, maas_b_i64s(&w->b, &slots, 1)}, 2, NULL, 1);
}

/* Every row goes to this one, too; a gate may say how much of it counts. */
static maas_vid shared(maas_lm_writer *w, maas_vid x, const maas_lm_weight *up)
{
    if (up->rank != 2) {
        maas_lmg_wrong_shape(w, "ffn_up_shexp.weight", -1, w->h->n_embd);
        return MAAS_NO_VALUE;
    }
    const maas_vid y = one(w, x, "_shexp", up->dims[0]);
    if (!maas_lmg_find(w, "ffn_gate_inp_shexp.weight", false))
        return y;
    const maas_vid gate = maas_lmg_linear(w, x, "ffn_gate_inp_shexp", 1, w->h->n_embd);
    return maas_b_op2(&w->b, "Mul", y, maas_b_op1(&w->b, "Sigmoid", gate));
}

maas_vid maas_lmg_feed_forward(maas_lm_writer *w, maas_vid x)
{
    if (!w->h->n_experts || !maas_lmg_find(w, "ffn_gate_inp.weight", false))
        return one(w, x, "", w->h->n_ff);
    const maas_vid y = experts(w, x);
    const maas_lm_weight *up = maas_lmg_find(w, "ffn_up_shexp.weight", false);
    return up ? maas_b_op2(&w->b, "Add", y, shared(w, x, up)) : y;
}
