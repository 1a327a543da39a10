/*
 * formats/table.h - files of rows: bytes in, typed columns out, in batches.
 *
 * A reader walks a source (formats/source.h: the mapped file, or what gzip makes of it) and holds
 * only a batch of rows, so memory is bounded for any size. One reader per file, chosen by content
 * first, then by name; never "try the next".
 *
 * Fails: E_FORMAT naming row (1 = first data row), column and byte offset, and what was expected.
 */
#ifndef MAAS_FORMATS_TABLE_H
#define MAAS_FORMATS_TABLE_H

#include <jansson.h>

#include "base/arena.h"
#include "formats/source.h"
#include "tensor/tensor.h"

typedef struct maas_column {
    const char *name;
    maas_dtype dtype;
    int rank;                    /* of one row: 0 for a plain cell, 2 for a 28x28 image */
    int64_t dims[MAAS_MAX_RANK]; /* of one row                                          */
} maas_column;

typedef struct maas_table_sink {
    void *user;
    /* Once, before any row. n_rows: -1 when the format does not say. */
    maas_status (*begin)(void *user, const maas_column *cols, uint32_t n_cols, int64_t n_rows,
                         maas_err *err);
    /* cols[i] has shape [n][column dims...]. Missing cells: NaN in float columns, data.p NULL in
     * STRING columns. Borrowed for the call. */
    maas_status (*rows)(void *user, int64_t n, const maas_tensor *cols, maas_err *err);
    maas_status (*end)(void *user, maas_err *err); /* all rows were given */
} maas_table_sink;

typedef struct maas_table_opts {
    const char *column_name; /* for formats that hold one nameless array ("x" when NULL) */
    const json_t *types; /* {"column":"float"|"int64"|"string"...}: overrides inference, or NULL */
    int header;          /* CSV: 1 yes, 0 no, -1 look                                            */
    char delimiter;      /* CSV: 0 looks among , ; TAB |                                          */
    maas_budget *budget; /* memory of the reader; may be NULL                                     */
} maas_table_opts;
#define MAAS_TABLE_OPTS_INIT                                                                       \
    {                                                                                              \
        .header = -1                                                                               \
    }

typedef struct maas_table_format {
    const char *name; /* "csv", "idx", "npy", "npz", "libsvm", "jsonl"; gzip is unwrapped for all */
    const char *suffixes; /* ".csv .tsv"                                */
    int (*probe)(maas_span head, const char *file_name); /* 0: not mine ... 100: certain */
    maas_status (*read)(maas_source *src, const maas_table_opts *o, const maas_table_sink *sink,
                        maas_err *err);
} maas_table_format;

extern const maas_table_format maas_table_formats[];
extern const size_t maas_n_table_formats;
/* `format`: a name from the table or NULL to choose by content; file_name may be NULL. */
maas_status maas_table_read(maas_span file, const char *format, const char *file_name,
                            const maas_table_opts *o, const maas_table_sink *sink, maas_err *err);

#endif
