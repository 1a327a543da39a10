/*
 * formats/svm/svm.h - model files of libsvm (svm-train) and liblinear (train), as rows of
 * formats/model.c.
 *
 *   libsvm     classes: label [n], scores [n, pairs] as svm-predict decides; with probA and probB
 *              probabilities [n, k] as well. Regression: value. One class: label (1, -1), scores.
 *   liblinear  classes: label, scores, and probabilities for logistic regression. Regression:
 * value.
 *
 * Input "x" [-1, n_features] FP64: column i is the feature of index i + 1 (of index i where a file
 * uses index 0). Everything is computed in double, as the makers do.
 *
 * Fails: E_FORMAT naming the line; E_UNSUPPORTED naming what is not done; E_NOMEM past the budget.
 */
#ifndef MAAS_FORMATS_SVM_H
#define MAAS_FORMATS_SVM_H

#include "graph/graph.h"

int maas_libsvm_model_probe(maas_span head);
maas_status maas_libsvm_model_read(maas_span file, maas_budget *budget, maas_graph **out,
                                   maas_err *err);
int maas_liblinear_probe(maas_span head);
maas_status maas_liblinear_read(maas_span file, maas_budget *budget, maas_graph **out,
                                maas_err *err);

#endif
