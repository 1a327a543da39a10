/* ops/rnn_int.h - shared by the files of RNN, LSTM and GRU only. */
#ifndef MAAS_OPS_RNN_INT_H
#define MAAS_OPS_RNN_INT_H

#include "ops/rnn.h"

extern const maas_op maas_op_RNN, maas_op_LSTM, maas_op_GRU;
extern const maas_op maas_op_RNNGrad, maas_op_LSTMGrad, maas_op_GRUGrad;
maas_status maas_rnn_infer(maas_infer *q, maas_err *err);
void maas_rnn_gradient(maas_grad *g); /* rnn_chain.c */

#define MAAS_RNN_MAX_ATTRS 8
extern const maas_attr_schema maas_rnn_attrs[MAAS_RNN_MAX_ATTRS]; /* RNN: but the last */
extern const maas_attr_schema maas_lstm_attrs[MAAS_RNN_MAX_ATTRS];
/* What the examples of RNN, LSTM and GRU (by number of gates) and of their gradients share. */
typedef struct maas_rnn_example {
    maas_attr attr[MAAS_RNN_MAX_ATTRS];
    uint32_t n_attr;
    int64_t dirs, steps, batch, in, hidden;
    bool batch_first, lens, states, bias, peepholes, late;
    bool all_outputs;
} maas_rnn_example;
enum { MAAS_RNN_N_EXAMPLES = 18 };
void maas_rnn_example_of(int variant, int64_t gates, maas_rnn_example *out);
maas_vid maas_rnn_example_lens(maas_example *e, const maas_rnn_example *x);

#endif
