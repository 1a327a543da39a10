/*
 * learn/dataset.h - a data set at rest: one .npy-like blob per column, and a manifest.
 *
 * A numeric column is a valid .npy file (C order, [rows][dims...]). A STRING column is a .npy of
 * int64 offsets [rows+1] followed by the bytes; a missing string is stored as length 0 with its
 * bit set in a bitmap after the bytes. The manifest (JSON) has rows, and for each column name,
 * dtype, shape, blob digest, bytes and statistics (count, missing, mean, deviation, min, max,
 * quantiles, distinct values, most frequent ones) that later drift detection compares against.
 *
 * Blobs come and go through maas_blob_io, so this room knows no registry.
 */
#ifndef MAAS_LEARN_DATASET_H
#define MAAS_LEARN_DATASET_H

#include "base/json.h"
#include "base/sys.h"
#include "formats/table.h"

typedef struct maas_blob_io { /* who implements it owns the store */
    void *user;
    /* A new unnamed file to write to; commit hashes nothing: the writer gives the digest. */
    maas_status (*create)(void *user, int *out_fd, maas_err *err);
    maas_status (*commit)(void *user, int fd, const char hex[MAAS_SHA256_HEX], maas_err *err);
    maas_status (*open)(void *user, const char *hex, int *out_fd, maas_err *err);
} maas_blob_io;

/* ---- writing: a table sink that writes blobs and collects statistics ---- */
typedef struct maas_dataset_writer maas_dataset_writer;
maas_status maas_dataset_writer_create(const maas_blob_io *io, maas_dataset_writer **out,
                                       maas_err *err);
void maas_dataset_writer_destroy(maas_dataset_writer *w);
/* Rows of one file or part. Several parts: call once each; row counts must agree (E_INVALID names
 * the parts); column names must differ. */
maas_table_sink maas_dataset_writer_sink(maas_dataset_writer *w);
/* Commits the blobs (fsynced) and gives the manifest. */
maas_status maas_dataset_writer_finish(maas_dataset_writer *w, json_t **out_manifest,
                                       maas_err *err);

/* ---- reading ---- */
typedef struct maas_ds_column {
    maas_column desc;
    const void *data;       /* numeric: [rows][dims...], mapped  */
    const int64_t *offsets; /* STRING: [rows+1] into `bytes`     */
    const char *bytes;
    const uint8_t *missing; /* STRING: bitmap, or NULL           */
    const json_t *stats;    /* borrowed from the manifest        */
} maas_ds_column;

typedef struct maas_dataset {
    int64_t n_rows;
    uint32_t n_cols;
    maas_ds_column *cols;
    json_t *manifest; /* owned */
    void *maps;       /* private */
} maas_dataset;

/* Trusts nothing: blob sizes, headers and offsets are checked against the manifest. */
maas_status maas_dataset_open(const json_t *manifest, const maas_blob_io *io, maas_dataset **out,
                              maas_err *err);
void maas_dataset_close(maas_dataset *d);
const maas_ds_column *maas_dataset_column(const maas_dataset *d, const char *name); /* NULL */

#endif
