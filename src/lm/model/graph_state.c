/*
 * A layer with a state of fixed size instead of keys and values: Mamba (arXiv 2312.00752) and
 * Mamba 2 (arXiv 2405.21060).
 *
 *   in -> x, z (and with heads: B, C and the step)    a product
 *   x (B, C) = act(convolution over the last few)     its inputs are part of the state
 *   y = scan of x by the step, A, B, C, D             the rest of the state
 *   out(y * act(z))                                   with heads: normed by groups
 *
 * Without heads the step, B and C are products of x, and a head of the scan is only so many
 * channels that are walked through together.
 */
#include "lm/model/graph_int.h"

#include <stdio.h>

#include "base/mem.h"
#include "ops/state_rows.h"
#include "base/ban.h"

enum { WIDTH = 16 }; /* channels that are walked through together, if they can be cut so */

/* ---- weights that lie otherwise than they are used ---- */

static maas_vid copied(maas_lm_writer *w, const float *x, int rank, const int64_t *dims)
{
    const maas_tensor t = maas_tensor_of(MAAS_F32, rank, dims, (void *)(uintptr_t)x);
    return x && w->b.status == MAAS_OK ? maas_b_const(&w->b, NULL, &t) : MAAS_NO_VALUE;
}

static maas_vid vector(maas_lm_writer *w, const char *name, int64_t n)
{
    AUTO_FREE float *x = maas_lmg_numbers(w, name, n, true);
    return copied(w, x, 1, &n);
}

/* [outer][rows][cols] to [outer][cols][rows]; rank 2: outer is 1. */
static maas_vid turned(maas_lm_writer *w, const char *name, int rank, int64_t outer, int64_t rows,
                       int64_t cols)
{
    const int64_t n = outer * rows * cols, dims[] = {outer, cols, rows};
    AUTO_FREE float *x = maas_lmg_numbers(w, name, n, true);
    AUTO_FREE float *y = x ? maas_alloc((size_t)n * sizeof *y) : NULL;
    if (x && !y && w->b.status == MAAS_OK)
        w->b.status = maas_fail(w->b.err, MAAS_E_NOMEM, "the weight '%s'", name);
    for (int64_t o = 0; y && o < outer; o++)
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < cols; c++)
                y[(o * cols + c) * rows + r] = x[(o * rows + r) * cols + c];
    return copied(w, y, rank, dims + 3 - rank);
}

/* ---- parts ---- */

static maas_vid state_of(maas_lm_writer *w, const char *name, int rank, const int64_t *dims)
{
    char full[40];
    const maas_tensor t = maas_tensor_of(MAAS_F32, rank, dims, NULL);
    maas_vid v = MAAS_NO_VALUE;
    snprintf(full, sizeof full, "%s.%d", name, (int)w->layer);
    if (w->b.status == MAAS_OK)
        w->b.status = maas_graph_variable(w->b.g, full, &t, false, &v, w->b.err);
    return v;
}

/* A node over a state: output 0; output 1 is what the state is from then on. */
static maas_vid over_state(maas_lm_writer *w, const char *op, const maas_vid *in, int n,
                           maas_vid state)
{
    maas_vid out[2] = {MAAS_NO_VALUE, MAAS_NO_VALUE};
    maas_b_node(&w->b, op, NULL, 0, in, n, out, 2);
    if (w->b.status == MAAS_OK)
        w->b.status = maas_graph_bind(w->b.g, state, out[1], w->b.err);
    return out[0];
}

static maas_vid convolved(maas_lm_writer *w, maas_vid x)
{
    const int64_t n = maas_lm_conv_channels(w->h), taps = w->h->ssm_taps;
    const int64_t dims[] = {w->n_states, taps - 1, n};
    const maas_vid state = state_of(w, "state_conv", 3, dims);
    const maas_vid in[] = {x,     state,    turned(w, "ssm_conv1d.weight", 2, 1, n, taps),
                           w->at, w->state, maas_lmg_vector(w, "ssm_conv1d.bias", n, false)};
    const bool bias = in[MAAS_SCONV_BIAS] != MAAS_NO_VALUE;
    return maas_lmg_act(w, over_state(w, "StateConv", in, MAAS_SCONV_N_IN + bias, state),
                        MAAS_NO_VALUE);
}

static maas_vid scanned(maas_lm_writer *w, maas_vid x, maas_vid dt, maas_vid b, maas_vid c)
{
    const maas_lm_hyper *h = w->h;
    const bool heads = h->arch->flags & MAAS_ARCH_STATE_HEADS;
    const int64_t width = heads ? h->ssm_inner / h->ssm_rank : h->ssm_inner % WIDTH ? 1 : WIDTH;
    const int64_t n = h->ssm_inner / width, dims[] = {w->n_states, n, h->ssm_states, width};
    const maas_vid state = state_of(w, "state", 4, dims);
    const maas_vid a = heads ? vector(w, "ssm_a", n)
                             : turned(w, "ssm_a", 3, n, width, h->ssm_states);
    const maas_vid d = vector(w, "ssm_d", heads ? n : h->ssm_inner);
    const maas_vid in[] = {x,     state,   maas_b_op1(&w->b, "Softplus", dt), a, b, c, d,
                           w->at, w->state};
    return over_state(w, "SelectiveScan", in, MAAS_SCAN_N_IN, state);
}

/* ---- Mamba 2 ---- */

/* Each group of channels by itself. */
static maas_vid normed(maas_lm_writer *w, maas_vid y)
{
    const int64_t inner = w->h->ssm_inner, groups = w->h->ssm_groups, size = inner / groups;
    const int64_t apart[] = {-1, groups, size}, together[] = {-1, inner}, each[] = {groups, size};
    AUTO_FREE float *x = maas_lmg_numbers(w, "ssm_norm.weight", inner, true);
    if (groups == 1)
        return maas_lmg_norm_by(w, y, copied(w, x, 1, &inner), MAAS_NO_VALUE, inner);
    y = maas_lmg_norm_by(w, maas_lmg_reshape(w, y, 3, apart), MAAS_NO_VALUE, MAAS_NO_VALUE, size);
    return maas_lmg_reshape(w, maas_b_op2(&w->b, "Mul", y, copied(w, x, 2, each)), 2, together);
}

static maas_vid with_heads(maas_lm_writer *w, maas_vid x)
{
    const maas_lm_hyper *h = w->h;
    const int64_t inner = h->ssm_inner, heads = h->ssm_rank, conv = maas_lm_conv_channels(h);
    const int64_t shared = h->ssm_groups * h->ssm_states, all = inner + conv + heads;
    const int64_t sizes[] = {inner, shared, shared}, n = h->n_embd;
    const maas_attr axis = MAAS_A_INT("axis", 1);
    maas_vid part[3] = {MAAS_NO_VALUE, MAAS_NO_VALUE, MAAS_NO_VALUE};
    const maas_vid z = maas_lmg_linear_part(w, x, "ssm_in", all, 0, inner, n);
    const maas_vid xbc = convolved(w, maas_lmg_linear_part(w, x, "ssm_in", all, inner, conv, n));
    const maas_vid dt = maas_b_op2(
        &w->b, "Add", maas_lmg_linear_part(w, x, "ssm_in", all, inner + conv, heads, n),
        maas_lmg_vector(w, "ssm_dt.bias", heads, true));
    maas_b_node(&w->b, "Split", &axis, 1, (const maas_vid[]){xbc, maas_b_i64s(&w->b, sizes, 3)}, 2,
                part, 3);
    const maas_vid y = scanned(w, part[0], dt, part[1], part[2]);
    return maas_lmg_linear(w, normed(w, maas_lmg_act(w, z, y)), "ssm_out", n, inner);
}

/* ---- Mamba ---- */

/* Rows from .. from + rows - 1 of what x gives the scan; where the file says so, normed. */
static maas_vid given(maas_lm_writer *w, maas_vid x, int64_t from, int64_t rows)
{
    const maas_lm_hyper *h = w->h;
    const maas_vid y = maas_lmg_linear_part(w, x, "ssm_x", h->ssm_rank + 2 * h->ssm_states, from,
                                            rows, h->ssm_inner);
    return h->ssm_norms ? maas_lmg_norm_by(w, y, MAAS_NO_VALUE, MAAS_NO_VALUE, rows) : y;
}

static maas_vid without_heads(maas_lm_writer *w, maas_vid x)
{
    const maas_lm_hyper *h = w->h;
    const int64_t inner = h->ssm_inner, rank = h->ssm_rank, states = h->ssm_states, n = h->n_embd;
    const maas_vid z = maas_lmg_linear_part(w, x, "ssm_in", 2 * inner, inner, inner, n);
    x = convolved(w, maas_lmg_linear_part(w, x, "ssm_in", 2 * inner, 0, inner, n));
    const maas_vid dt = maas_lmg_linear(w, given(w, x, 0, rank), "ssm_dt", inner, rank);
    const maas_vid y = scanned(w, x, dt, given(w, x, rank, states),
                               given(w, x, rank + states, states));
    return maas_lmg_linear(w, maas_lmg_act(w, z, y), "ssm_out", n, inner);
}

maas_vid maas_lmg_mixer(maas_lm_writer *w, maas_vid x)
{
    return w->h->arch->flags & MAAS_ARCH_STATE_HEADS ? with_heads(w, x) : without_heads(w, x);
}
