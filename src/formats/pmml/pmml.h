/*
 * formats/pmml/pmml.h - PMML 4.0 to 4.4 as graphs: a row of formats/model.c.
 *
 * Models: TreeModel, RegressionModel, Scorecard, and MiningModel over them (sum, average, votes,
 * modelChain, selectFirst, ...); fields derived by the usual expressions; treatment of missing,
 * invalid and extreme values; Targets. Others are refused by name.
 *
 * Each active field is an input [-1, 1] of its name: FP64 (missing: NaN) for numbers, BYTES
 * (missing: empty text) for the rest. Answers: label and probabilities, or value. A row that has no
 * answer by the rules of the file, or a value that the file calls invalid without saying what to do
 * about it, is answered with an empty label or NaN.
 *
 * Fails: E_FORMAT and E_UNSUPPORTED naming line and element; E_NOMEM past the budget.
 */
#ifndef MAAS_FORMATS_PMML_H
#define MAAS_FORMATS_PMML_H

#include "graph/graph.h"

int maas_pmml_probe(maas_span head);
maas_status maas_pmml_read(maas_span file, maas_budget *budget, maas_graph **out, maas_err *err);

#endif
