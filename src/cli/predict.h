/*
 * cli/predict.h - a file of rows through a model: columns to inputs, batches to the server, outputs
 * to lines or to a score.
 */
#ifndef MAAS_CLI_PREDICT_H
#define MAAS_CLI_PREDICT_H

#include "cli/client.h"
#include "formats/table.h"

/* ---- what comes out ---- */

typedef struct maas_cli_score {              /* of predictions against the truth */
    int64_t n, n_right;                      /* labels */
    double n_values, sum_sq, sum, sum_of_sq; /* values: squared errors, truth, truth squared */
} maas_cli_score;

typedef struct maas_truth { /* the column that holds what should come out */
    maas_arena arena;
    bool is_text;
    double *numbers; /* one of the two, [n] */
    const char **texts;
    size_t cap;
    int64_t n;
} maas_truth;

/* A table sink that keeps the first column of a file. */
maas_table_sink maas_truth_sink(maas_truth *t);
maas_status maas_truth_add(maas_truth *t, int64_t n, const maas_tensor *column, maas_err *err);
void maas_truth_reset(maas_truth *t);

/* One answer of the server: outputs as tensors over the bytes of the response. */
typedef struct maas_outputs {
    uint32_t n;
    const char **names;
    maas_tensor *t;
} maas_outputs;
/* Into the arena; E_FORMAT for an answer that contradicts itself. */
maas_status maas_outputs_read(const maas_http_response *r, int64_t n_rows, maas_arena *a,
                              maas_outputs *out, maas_err *err);
/* Lines of CSV (header when `first`) or JSON objects, one a row. */
void maas_outputs_print(const maas_outputs *o, int64_t n_rows, bool json, bool first);
/* Rows [at, at + n_rows) of the truth against "label", else "value", else the first output. */
maas_status maas_cli_score_add(maas_cli_score *s, const maas_outputs *o, const maas_truth *truth,
                               int64_t at, int64_t n_rows, maas_err *err);
void maas_cli_score_print(const maas_cli_score *s, bool json);

/* ---- what goes in ---- */

typedef struct maas_feature_map { /* one source of numbers or text in a row of an input */
    const char *column;           /* wanted name; NULL: by position */
    uint32_t input;
    uint32_t at;    /* column of the file */
    int64_t offset; /* elements into the row of the input */
} maas_feature_map;

typedef struct maas_row_input {
    const char *name;
    maas_dtype dtype;
    int64_t n_elems; /* of a row; -1 until the file says */
    int rank;
    int64_t dims[MAAS_MAX_RANK]; /* dims[0] is the rows */
} maas_row_input;

typedef struct maas_row_plan { /* how rows of a file become inputs */
    maas_arena arena;
    maas_row_input *inputs;
    uint32_t n_inputs;
    maas_feature_map *maps;
    uint32_t n_maps;
    bool named; /* maps have names: the version knows its columns */
} maas_row_plan;

/* From the answer of GET .../versions/{v}. */
maas_status maas_row_plan_read(maas_row_plan *p, const json_t *version, maas_err *err);
/* `skip`: column that is the truth, or NULL. Names the column that is missing. */
maas_status maas_row_plan_bind(maas_row_plan *p, const maas_column *cols, uint32_t n_cols,
                               const char *skip, maas_err *err);
/* The Open Inference Protocol's request for rows [from, from + n) of a batch: JSON, then bytes.
 * *out_json_bytes is what Inference-Header-Content-Length says. */
maas_status maas_row_plan_encode(const maas_row_plan *p, const maas_tensor *cols, int64_t from,
                                 int64_t n, maas_buf *out, size_t *out_json_bytes, maas_err *err);
void maas_row_plan_reset(maas_row_plan *p);

/* Streams the file; the options are those of `maas predict`. */
typedef struct maas_predict_file {
    const char *model; /* name */
    int64_t version;
    const char *file, *expect, *target; /* expect: file of labels; target: column of `file` */
    int64_t batch;
} maas_predict_file;
maas_status maas_predict_stream(maas_cli *cli, const maas_predict_file *o, const json_t *version,
                                maas_err *err);

#endif
