/*
 * learn/columns.h - cells of mapped columns as numbers. A row of a table per element type, so that
 * no loop switches on it.
 */
#ifndef MAAS_LEARN_COLUMNS_H
#define MAAS_LEARN_COLUMNS_H

#include "learn/dataset.h"

typedef struct maas_cells {
    maas_dtype dtype;
    double (*get)(const void *data, int64_t i);
    /* out[j*out_step] = data[rows[j]], one cell a row */
    void (*gather)(const void *data, const uint32_t *rows, int64_t n, float *out, int64_t out_step);
    /* n cells in a row */
    void (*convert)(const void *data, int64_t n, float *out);
    bool whole; /* integers and booleans */
} maas_cells;

const maas_cells *maas_cells_of(maas_dtype t); /* NULL: not a number */
/* Cells of one row. */
int64_t maas_column_width(const maas_ds_column *c);
/* Text of row i; p NULL when missing. */
maas_str maas_column_text(const maas_ds_column *c, int64_t i);

#endif
