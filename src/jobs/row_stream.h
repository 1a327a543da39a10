/*
 * jobs/row_stream.h - typed rows through a pipe: how a sandboxed reader hands its columns over.
 *
 *   'B' u32 n_cols, i64 n_rows; per column: u32 n, name[n], u32 dtype, u32 rank, i64 dims[rank]
 *   'R' u32 n; per column: the elements; strings as u32 length (0xffffffff: missing) and bytes
 *   'E' the end; a stream without it was cut off
 *
 * The receiving side trusts nothing the sender says: counts and sizes are bounded.
 */
#ifndef MAAS_JOBS_ROW_STREAM_H
#define MAAS_JOBS_ROW_STREAM_H

#include "base/buf.h"
#include "formats/table.h"

typedef struct maas_row_writer {
    int fd;
    maas_buf out;
    const maas_column *cols; /* borrowed while rows are written: copied by begin */
    uint32_t n_cols;
    maas_arena arena;
} maas_row_writer;

void maas_row_writer_init(maas_row_writer *w, int fd);
void maas_row_writer_reset(maas_row_writer *w);
maas_table_sink maas_row_writer_sink(maas_row_writer *w);

/* Reads the whole stream into `sink`. E_UNAVAILABLE: it was cut off (the child says why). */
maas_status maas_row_stream_read(int fd, const maas_table_sink *sink, maas_err *err);

#endif
