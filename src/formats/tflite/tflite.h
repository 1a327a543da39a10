/*
 * formats/tflite/tflite.h - models of TensorFlow Lite (LiteRT) as a row of formats/model.c:
 * FlatBuffers with the identifier TFL3.
 *
 * Read is the subgraph of one signature (the serving default, else the first; without signatures
 * subgraph 0). Inputs and outputs have the signature's names, else the tensors'; dimensions that
 * the shape signature leaves open are symbols. Pictures are computed with channels first.
 * Quantized tensors stay as they are in the file: DequantizeLinear, the operator in float32,
 * QuantizeLinear. Constants are borrowed: the file must outlive the graph.
 *
 * Fails: E_FORMAT for damaged files; E_UNSUPPORTED naming operator and number; E_NOMEM past the
 * budget. No library reads the file.
 */
#ifndef MAAS_FORMATS_TFLITE_TFLITE_H
#define MAAS_FORMATS_TFLITE_TFLITE_H

#include "graph/graph.h"

int maas_tflite_probe(maas_span head);
maas_status maas_tflite_read(maas_span file, maas_budget *budget, maas_graph **out, maas_err *err);

#endif
