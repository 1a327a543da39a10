/*
 * learn/matrix.h - a table as learners see it that are not networks: dense numbers, and the same
 * preparation as nodes of the model file.
 *
 *   cells     number columns and tensors as they came, text encoded (learn/features.h says how:
 *             gaps, scaling, one-hot or codes); what serving computes, bit for bit
 *   graph     maas_matrix_begin: the model's inputs, prepared -> [batch, n_cols] F32
 *             maas_matrix_end: metadata, and the model file
 *
 * A learner: split, matrix, target (learn/target.h), its own work on `x`, then
 *
 *     MAAS_TRY(maas_matrix_begin(&m, job, &graph, &b, &x, err));
 *     ... maas_b_op(&b, ...) ... maas_b_output(&b, "label", v) ...
 *     MAAS_TRY(maas_matrix_end(&m, job, &info, &graph, &b, &result, err));
 *
 * Owns: features and cells, charged to the budget (maas_matrix_reset). Borrows: the data set.
 * Threads: read-only once fitted. Fails: E_INVALID naming column and row, E_NOMEM.
 */
#ifndef MAAS_LEARN_MATRIX_H
#define MAAS_LEARN_MATRIX_H

#include "learn/target.h"
#include "learn/train.h"

typedef struct maas_matrix {
    maas_features features;
    int64_t n_rows, n_cols;
    float *x;         /* [n_rows][n_cols], or [n_cols][n_rows] when by_column */
    bool by_column;   /* what the caller asked for                            */
    maas_arena arena; /* x, and whatever of the learner's lives as long; charged */
} maas_matrix;

/* Constants and categories from the rows of `train`; cells of all rows. */
maas_status maas_matrix_fit(maas_matrix *m, const maas_dataset *data,
                            const maas_features_opts *opts, bool by_column, const maas_rows *train,
                            maas_budget *budget, maas_err *err);
void maas_matrix_reset(maas_matrix *m);
/* Name of a column of x, for importances and messages: "width", "colour=red" of one-hot text,
 * "pixels[3]" of a tensor. NULL: no memory. */
char *maas_matrix_name(const maas_matrix *m, int64_t col);
/* The column of x that number column `name` became, for parameters by column name; -1: none, or
 * several. */
int64_t maas_matrix_find(const maas_matrix *m, const char *name);

/* A numeric column that goes along with the rows (sample weights): finite and >= 0, else
 * E_INVALID naming `param` and the row. *out: [n_rows], in the arena. */
maas_status maas_matrix_weights(maas_matrix *m, const maas_dataset *data, const char *param,
                                const char *column, float **out, maas_err *err);

/* ---- the model file ---- */
typedef struct maas_model_info {
    const char *task;          /* "classification", "regression", "clustering", ...       */
    const maas_target *target; /* or NULL                                                 */
    const void *recipe;        /* of the learner's table                                  */
    json_t *importances;       /* borrowed, "maas.importances"; or NULL                   */
} maas_model_info;

maas_status maas_matrix_begin(const maas_matrix *m, const maas_train_job *job, maas_graph **out_g,
                              maas_builder *out_b, maas_vid *out_x, maas_err *err);
maas_status maas_matrix_end(const maas_matrix *m, const maas_train_job *job,
                            const maas_model_info *info, maas_graph **g, const maas_builder *b,
                            maas_train_result *out, maas_err *err);
/* Writes `value` (taken over; NULL: no memory) as metadata. */
maas_status maas_model_set_meta(maas_graph *g, const char *key, json_t *value, maas_err *err);
/* `label` from class scores [batch, k] by ArgMax, in the form the target has. */
maas_vid maas_matrix_label(const maas_target *t, maas_builder *b, maas_vid scores);

#endif
