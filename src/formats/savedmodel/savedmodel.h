/*
 * formats/savedmodel/savedmodel.h - SavedModels of TensorFlow 1 and 2 as a row of formats/model.c:
 * saved_model.pb, and the checkpoint in variables/ beside it (files of the upload).
 *
 * Read is the meta graph of the tag "serve" (or the only one) and its signature "serving_default"
 * (or the only one). Functions are inlined, variables become constants, loops over lists become
 * Loop. Inputs and outputs have the signature's names. Pictures are computed with channels first.
 * Weights are borrowed where the file has them aligned: its bytes must outlive the graph.
 *
 * Fails: E_FORMAT for damaged files; E_UNSUPPORTED naming node and operator; E_NOMEM past the
 * budget. No library reads the files.
 */
#ifndef MAAS_FORMATS_SAVEDMODEL_SAVEDMODEL_H
#define MAAS_FORMATS_SAVEDMODEL_SAVEDMODEL_H

#include "formats/onnx.h"

int maas_savedmodel_probe(maas_span head);
/* Without other files: for models that have no variables. */
maas_status maas_savedmodel_read(maas_span file, maas_budget *budget, maas_graph **out,
                                 maas_err *err);
maas_status maas_savedmodel_read_with(maas_span file, const maas_onnx_opts *o, maas_graph **out,
                                      maas_err *err);

#endif
