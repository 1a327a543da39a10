/*
 * formats/array.h - binary arrays as columns: what IDX, NPY and NPZ have in common.
 *
 * Each array is a header that its reader understood and a source at the first element. Several are
 * read in step, so that every batch has all columns. Elements that need nothing (own byte order,
 * aligned, C order) go from the mapping to the sink without a copy.
 */
#ifndef MAAS_FORMATS_ARRAY_H
#define MAAS_FORMATS_ARRAY_H

#include "formats/source.h"
#include "formats/table.h"

typedef enum maas_array_text {
    MAAS_TEXT_NONE,
    MAAS_TEXT_BYTES, /* fixed width, padded with NUL: numpy S */
    MAAS_TEXT_UCS4   /* fixed width, 4 bytes a character, padded with NUL: numpy U */
} maas_array_text;

typedef struct maas_array {
    maas_source src; /* at the first element; closed by maas_arrays_reset */
    maas_column col;
    int64_t n_rows;
    size_t item;  /* bytes of one element in the file */
    bool swap;    /* elements are big-endian          */
    bool fortran; /* first index runs fastest         */
    maas_array_text text;
    bool check_crc; /* of a zip member, when all is read */
    uint32_t crc;

    /* private */
    size_t row_bytes; /* in the file */
    void *copy;       /* a batch, when elements cannot be borrowed */
    size_t copy_bytes;
} maas_array;

/* Checks that row counts agree, then streams all rows. Trailing bytes are an error. */
maas_status maas_arrays_read(maas_array *a, uint32_t n, const maas_table_opts *o,
                             const maas_table_sink *sink, maas_err *err);
/* One array whose source the caller keeps. */
maas_status maas_array_read_one(maas_array *a, maas_source *src, const maas_table_opts *o,
                                const maas_table_sink *sink, maas_err *err);
void maas_arrays_reset(maas_array *a, uint32_t n);

#endif
