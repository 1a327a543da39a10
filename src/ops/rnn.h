/*
 * ops/rnn.h - RNN, LSTM and GRU read once: sizes, directions, activations. For the operators and
 * their kernels.
 *
 *   X [T][N][I]   W [D][gates H][I]   R [D][gates H][H]   B [D][2 gates H]   states [D][N][H]
 *   Y [T][D][N][H]                    (layout 1: X [N][T][I], states [N][D][H], Y [N][T][D][H])
 *
 * Gates are in the order of the standard: i o f c, and z r h.
 */
#ifndef MAAS_OPS_RNN_H
#define MAAS_OPS_RNN_H

#include "graph/op.h"

enum {
    MAAS_RNN_X,
    MAAS_RNN_W,
    MAAS_RNN_R,
    MAAS_RNN_B,
    MAAS_RNN_LENS,
    MAAS_RNN_H0,
    MAAS_RNN_C0,
    MAAS_RNN_P
};

typedef struct maas_rnn_act {
    double (*fn)(double x, double a, double b);
    double (*slope)(double x, double a, double b); /* of fn, at x */
    float alpha, beta;
} maas_rnn_act;

typedef struct maas_rnn {
    int gates, n_acts; /* 1, 4, 3; activations of a direction: 1, 3, 2 */
    int dirs;
    bool reverse;     /* of direction 0; direction 1 always is */
    bool batch_first; /* layout 1 */
    bool reset_late;  /* GRU: linear_before_reset */
    bool coupled;     /* LSTM: input_forget */
    bool usual;       /* the default activations, no clipping */
    double clip;      /* INFINITY: none */
    maas_rnn_act act[2][3];
    int64_t steps, batch, in, hidden; /* of a call; of maas_rnn_read they are not set */
} maas_rnn;

/* Attributes; refuses what is not known. */
maas_status maas_rnn_read(const maas_node *n, maas_rnn *out, maas_err *err);
/* The same with the sizes of a call. */
maas_rnn maas_rnn_of(const maas_call *c);
/* Elements before what belongs to (step, direction, batch row) in X, in Y and in a state. */
static inline int64_t maas_rnn_x_at(const maas_rnn *r, int64_t t, int64_t n)
{
    return (r->batch_first ? n * r->steps + t : t * r->batch + n) * r->in;
}
static inline int64_t maas_rnn_y_at(const maas_rnn *r, int64_t t, int64_t d, int64_t n)
{
    return (r->batch_first ? (n * r->steps + t) * r->dirs + d : (t * r->dirs + d) * r->batch + n) *
           r->hidden;
}
static inline int64_t maas_rnn_state_at(const maas_rnn *r, int64_t d, int64_t n)
{
    return (r->batch_first ? n * r->dirs + d : d * r->batch + n) * r->hidden;
}
static inline bool maas_rnn_is_reverse(const maas_rnn *r, int64_t d)
{
    return d ? true : r->reverse;
}
/* The step of time that is number s of a row of this length, in the order of the direction; what it
 * began with is Y of the step before (s > 0), else the first state. */
static inline int64_t maas_rnn_time(const maas_rnn *r, int64_t d, int64_t len, int64_t s)
{
    return maas_rnn_is_reverse(r, d) ? len - 1 - s : s;
}
/* Steps of every row of the batch; E_INVALID when one is outside of 0..T. */
maas_status maas_rnn_check_lens(const maas_call *c, const maas_rnn *r, maas_err *err);
static inline int64_t maas_rnn_len(const maas_call *c, const maas_rnn *r, int64_t n)
{
    return c->n_in > MAAS_RNN_LENS && c->in[MAAS_RNN_LENS].dtype != MAAS_DT_NONE
               ? ((const int32_t *)c->in[MAAS_RNN_LENS].data)[n]
               : r->steps;
}

/*
 * The way back through time (ai.maas): LSTMGrad, GRUGrad, RNNGrad. Everything that is not of one
 * step alone is a product over all of them, in plain nodes around (rnn_chain.c); places are the
 * first two axes of X as one, P = T N:
 *
 *   Zx [D][P][gates H]  what went into the activations: x W + biases + H R, or, of GRU, without the
 *                       last two, which are Zh [D][P][gates H]
 *   dZx, dZh            gradients of these; zero where a row has ended
 *   states [D][P][H]    LSTM: the cell after each step; GRU whose reset comes first: r H
 */
enum { /* inputs */
       MAAS_RNN_GRAD_ZX,
       MAAS_RNN_GRAD_R,
       MAAS_RNN_GRAD_Y,
       MAAS_RNN_GRAD_ZH,
       MAAS_RNN_GRAD_LENS,
       MAAS_RNN_GRAD_H0,
       MAAS_RNN_GRAD_C0,
       MAAS_RNN_GRAD_P,
       MAAS_RNN_GRAD_DY,
       MAAS_RNN_GRAD_DYH,
       MAAS_RNN_GRAD_DYC,
       MAAS_RNN_GRAD_N_IN
};
enum { /* outputs */
       MAAS_RNN_GRAD_DZX,
       MAAS_RNN_GRAD_STATES,
       MAAS_RNN_GRAD_DZH,
       MAAS_RNN_GRAD_DH0,
       MAAS_RNN_GRAD_DC0,
       MAAS_RNN_GRAD_DP,
       MAAS_RNN_GRAD_N_OUT
};
/* The sizes of a call of one of these; `in` is not set. */
maas_rnn maas_rnn_grad_of(const maas_call *c);
_Static_assert((int)MAAS_RNN_GRAD_LENS == (int)MAAS_RNN_LENS, "maas_rnn_len reads both");
static inline int64_t maas_rnn_place(const maas_rnn *r, int64_t t, int64_t n)
{
    return r->batch_first ? n * r->steps + t : t * r->batch + n;
}

#endif
