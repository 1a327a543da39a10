/*
 * api/rows_int.h - rows of cells on their way into tensors; rows.c and rows_csv.c.
 *
 * Columns are the cells of one row in order: the elements of the only input, or input after input.
 * Each has a name (of the model's metadata, else of the input) and a place: input, element.
 */
#ifndef MAAS_API_ROWS_INT_H
#define MAAS_API_ROWS_INT_H

#include "api/rows.h"

typedef struct maas_cell_place {
    const char *name; /* NULL: addressed by position only */
    uint32_t input;
    int64_t element; /* within the row of that input */
} maas_cell_place;

typedef struct maas_grid {
    maas_prediction *q;
    maas_cell_place *places; /* [n] */
    int64_t n;               /* cells of a row */
    int64_t *row_elems;      /* [n_inputs] */
    char **data;             /* [n_inputs] growing */
    int64_t rows, cap;
} maas_grid;

maas_status maas_grid_init(maas_grid *g, maas_prediction *q, maas_err *err);
/* A fresh row, all cells missing: NaN, "" or 0 (see maas_grid_row_done). */
maas_status maas_grid_add_row(maas_grid *g, maas_err *err);
int64_t maas_grid_find(const maas_grid *g, const char *name, size_t n); /* -1 */
/* Cell `c` of the last row. */
maas_status maas_grid_put_number(maas_grid *g, int64_t c, maas_span number, maas_err *err);
maas_status maas_grid_put_text(maas_grid *g, int64_t c, maas_str text,
                               maas_err *err); /* in the arena */
/* The value that `s` stands before becomes cell `c` of the last row; null: missing. */
maas_status maas_grid_put_json(maas_grid *g, int64_t c, maas_json_scan *s, maas_err *err);
/* run.in from what was collected. */
void maas_grid_finish(maas_grid *g);

#endif
