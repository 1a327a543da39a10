/*
 * formats/zip.h - the directory of a zip file, read in place.
 *
 * Only what array files need: members stored or deflated, sizes from the central directory (zip64
 * too). Members may not overlap, must lie before the directory, and are not encrypted.
 */
#ifndef MAAS_FORMATS_ZIP_H
#define MAAS_FORMATS_ZIP_H

#include "base/span.h"
#include "base/status.h"

typedef struct maas_zip_member {
    maas_span name;
    maas_span data; /* in the file: packed when `deflated` */
    uint64_t size;  /* unpacked */
    uint32_t crc;
    bool deflated;
} maas_zip_member;

typedef struct maas_zip {
    maas_span file;
    maas_span rest;   /* directory entries not read yet */
    uint64_t n_left;  /* their number */
    uint64_t packed;  /* bytes of the members so far */
    size_t directory; /* where it starts */
} maas_zip;

/* most: members it may have; E_TOO_LARGE above. */
maas_status maas_zip_open(maas_zip *z, maas_span file, uint64_t most, maas_err *err);
/* *more is false after the last member. */
maas_status maas_zip_next(maas_zip *z, maas_zip_member *out, bool *more, maas_err *err);

#endif
