/*
 * api/rows.h - the row dialects: TensorFlow Serving / KServe v1 (v1.c), MLflow and SageMaker
 * (mlflow.c), the shortest way (predict.c). Rows of JSON become the model's inputs (rows.c).
 */
#ifndef MAAS_API_ROWS_H
#define MAAS_API_ROWS_H

#include "api/infer.h"
#include "base/json.h"

#define MAAS_MAX_ANSWER (1ull << 32) /* bytes of one answer in JSON */

void maas_v1_models(maas_req *r);
void maas_v1_model(maas_req *r);
void maas_v1_metadata(maas_req *r);
void maas_v1_predict(maas_req *r);
extern const maas_codec maas_v1_codec; /* own: what maas_v1_request_create gives; NULL: no memory */
void *maas_v1_request_create(maas_req *r);
void maas_ping(maas_req *r);
void maas_invocations(maas_req *r);
void maas_predict(maas_req *r);

/*
 * Rows -> q->run.in. `s` stands before a JSON value:
 *   [[1,2],[3,4]]  rows as arrays: a model with one input takes the rows as they are; with one
 * input a column, the i-th cell of a row is column i
 *   [{"a":1,"b":"x"}]  rows as objects: by input name, else by the column names kept in the model's
 *                  metadata ("maas.columns"); a missing column is a missing value
 *   [1,2,3]        one row when the model takes a vector, else rows of one cell
 * E_INVALID names row and column.
 */
maas_status maas_rows_decode(maas_prediction *q, maas_json_scan *s, maas_err *err);
/* {"input": [...], ...}: whole tensors by input name, or one array for the only input. */
maas_status maas_columns_decode(maas_prediction *q, maas_json_scan *s, maas_err *err);
/* CSV with a header line: columns by name. */
maas_status maas_csv_decode(maas_prediction *q, maas_span text, maas_err *err);

/* The output of dialects that have one: label, else value, else the first. */
int maas_main_output(const maas_instance *m);
/* Replies {"key": main output}: what dialects with one result answer. */
maas_status maas_reply_main_output(maas_prediction *q, const char *key, maas_err *err);
/* A tensor as nested JSON, rows outermost. */
void maas_put_nested(maas_buf *b, const maas_tensor *t);

#endif
