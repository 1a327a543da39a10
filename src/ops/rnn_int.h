/* ops/rnn_int.h - shared by the files of RNN, LSTM and GRU only. */
#ifndef MAAS_OPS_RNN_INT_H
#define MAAS_OPS_RNN_INT_H

#include "ops/rnn.h"

extern const maas_op maas_op_RNN, maas_op_LSTM, maas_op_GRU;
maas_status maas_rnn_infer(maas_infer *q, maas_err *err);

#endif
