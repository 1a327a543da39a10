/*
 * learn/classic/dense_score.h - the finished model asked about its rows: "accuracy", "f1", "auc",
 * "log_loss", or "rmse", "mae", "r2"; with "val_" in front for those kept apart.
 *
 * Threads: the caller's leads. Fails: E_NOMEM; what running the model says.
 */
#ifndef MAAS_LEARN_CLASSIC_DENSE_SCORE_H
#define MAAS_LEARN_CLASSIC_DENSE_SCORE_H

#include "learn/classic/dense.h"

maas_status maas_dense_score(maas_dense *s, const maas_dense_kind *kind, const maas_graph *g,
                             maas_err *err);

#endif
