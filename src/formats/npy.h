/*
 * formats/npy.h - the header of NumPy's array file, both ways.
 *
 *   \x93NUMPY, version (1.0, 2.0, 3.0), header length (2 or 4 bytes), then a Python dictionary as
 *   text: {'descr': '<f4', 'fortran_order': False, 'shape': (60000, 28, 28), } padded with spaces
 *   and a newline so that elements start at a multiple of 64.
 */
#ifndef MAAS_FORMATS_NPY_H
#define MAAS_FORMATS_NPY_H

#include "base/buf.h"
#include "formats/array.h"

/* What a header may hold: shapes are short; long ones are an attack. */
#define MAAS_MAX_NPY_HEADER 65536

typedef struct maas_npy {
    maas_dtype dtype; /* STRING for S and U */
    maas_array_text text;
    size_t item; /* bytes of one element in the file */
    bool swap, fortran;
    int rank;
    int64_t dims[MAAS_MAX_RANK];
    size_t header_bytes; /* where elements start */
} maas_npy;

/* `head` is the start of the file, MAAS_MAX_NPY_HEADER + 12 bytes or all of it. */
maas_status maas_npy_header(maas_span head, maas_npy *out, maas_err *err);
/* Appends a version 1.0 header: C order, little-endian. E_UNSUPPORTED when NumPy has no such type.
 */
maas_status maas_npy_put_header(maas_buf *out, maas_dtype t, int rank, const int64_t *dims,
                                maas_err *err);

/* Reads the header at the source's position and moves to the elements. */
maas_status maas_npy_open(maas_source *src, maas_array *out, maas_err *err);

#endif
