/* cli/run.h - files of `maas run`: arrays in, arrays out. */
#ifndef MAAS_CLI_RUN_H
#define MAAS_CLI_RUN_H

#include "formats/table.h"

/* One array read whole: rows of a table with one column, or of the column `name`. */
typedef struct maas_run_array {
    maas_column col;
    int64_t n_rows;
    void *data; /* elements; STRING: const char * */
    size_t n_bytes, cap;
    maas_arena texts;
} maas_run_array;

/* `name`: which column when the file has several (NPZ, CSV). */
maas_status maas_run_array_read(maas_run_array *a, const char *path, const char *name,
                                maas_err *err);
/* To the element type of an input; E_INVALID when text meets numbers. */
maas_status maas_run_array_convert(maas_run_array *a, maas_dtype to, const char *input,
                                   maas_err *err);
void maas_run_array_reset(maas_run_array *a);

#endif
