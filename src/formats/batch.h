/*
 * formats/batch.h - rows collected column by column, handed to a sink when enough are there.
 *
 * A reader of text writes cells of the current row in any order, then calls maas_batch_next. Cells
 * that were not written are missing: NaN, 0 for integers and bool, no string.
 *
 * Owns: one arena of buffers, charged to the budget. Borrows: columns and sink.
 */
#ifndef MAAS_FORMATS_BATCH_H
#define MAAS_FORMATS_BATCH_H

#include "formats/table.h"

typedef struct maas_batch {
    const maas_column *cols; /* borrowed */
    uint32_t n_cols;
    int64_t n, cap; /* rows */

    /* private */
    const maas_table_sink *sink;
    maas_arena arena, text;
    maas_tensor *tensors; /* [n_cols], shape [cap][column dims] */
    size_t *row_bytes;    /* [n_cols] */
    size_t text_bytes;
} maas_batch;

/*
 * Tells the sink about the columns. Call maas_batch_reset whatever this returns.
 * file_bytes: of the text. Rows are dense from here on, so a few keys or indices a line could
 * become any amount of zeros: E_TOO_LARGE past the bounds that unpacking has (formats/source.h).
 */
maas_status maas_batch_begin(maas_batch *b, const maas_column *cols, uint32_t n_cols,
                             int64_t n_rows, uint64_t file_bytes, const maas_table_sink *sink,
                             maas_budget *budget, maas_err *err);
/* Where the cell of the current row lives: [column dims...] elements. */
static inline void *maas_batch_cell(const maas_batch *b, uint32_t col)
{
    return (char *)b->tensors[col].data + (size_t)b->n * b->row_bytes[col];
}
/* A copy of text that lives as long as the batch; NULL when there is no memory. */
char *maas_batch_text(maas_batch *b, const void *p, size_t n);
maas_status maas_batch_next(maas_batch *b, maas_err *err); /* the row is complete */
maas_status maas_batch_end(maas_batch *b, maas_err *err);  /* no more rows        */
void maas_batch_reset(maas_batch *b);

/* Bytes of a column's row; E_TOO_LARGE when no batch could hold it. */
maas_status maas_column_row_bytes(const maas_column *c, size_t *out, maas_err *err);
/* Rows of that many bytes that make a batch. */
int64_t maas_batch_rows(size_t row_bytes);
/* Names are UTF-8, not empty, at most MAAS_MAX_NAME bytes, without control characters, all
 * different; E_FORMAT names the column. */
maas_status maas_columns_check(const maas_column *cols, uint32_t n_cols, maas_err *err);
/* The dtype that opts->types asks for, NONE when it does not say. */
maas_status maas_column_wanted(const maas_table_opts *o, const char *name, maas_dtype *out,
                               maas_err *err);
/* E_INVALID when opts->types names a column that is not there. */
maas_status maas_wanted_check(const maas_table_opts *o, const maas_column *cols, uint32_t n_cols,
                              maas_err *err);

#endif
