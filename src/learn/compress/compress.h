/*
 * learn/compress/compress.h - a model made smaller or faster, and measured before it is published.
 *
 *   "compress": {"steps": ["prune_magnitude", {"type":"int8"}], "metric": "accuracy",
 *                "max_metric_drop": 0.005, "validation": 0.2}
 *   "compress": {"target": {"size_ratio": 0.25}}        tries steps of its own until that is
 * reached
 *
 * Every step is a row of maas_compress_steps: a change of the graph whose result is an ONNX model
 * again. After each step the model is written, read back, and measured on rows that no step has
 * seen: what is measured is the file that would be published. Rows are held out as the parent's own
 * training held them out (its recipe says how), so that on the same data set they are the same
 * rows.
 *
 * The report: {"metric","rows","max_metric_drop","trials":[{"steps","bytes","size_ratio",
 * "latency_us","latency_ratio","metric","drop","said"}]}, the first trial being the model as it
 * was. Latency is the median time of one row on one thread, taken in turns with that of the parent.
 *
 * Threads: the caller's leads job->n_threads; hooks are called on it. Nothing is checkpointed: a
 * job that was interrupted starts again. Fails: E_INVALID naming field or step; E_CONFLICT when the
 * model lost more than max_metric_drop or no steps reached the target; out->report is then set all
 * the same, and is the caller's.
 */
#ifndef MAAS_LEARN_COMPRESS_COMPRESS_H
#define MAAS_LEARN_COMPRESS_COMPRESS_H

#include "learn/train.h"

/* What can be said without model and data. */
maas_status maas_compress_check(const json_t *compress, maas_err *err);
/* job->parent is the model; learner, params and checkpoints are not used. */
maas_status maas_compress(const maas_train_job *job, const json_t *compress, maas_train_result *out,
                          maas_err *err);
/* The fields of "compress" and all steps with their parameters, for documentation. NULL: no memory.
 */
json_t *maas_compress_params_json(void);

#endif
