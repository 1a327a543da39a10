/*
 * api/model_files.h - the files that one model is read from: the model, data it refers to, weights.
 *
 * Owns: descriptors, when they were opened from blobs; paths are borrowed from the upload or the
 * manifest. Threads: io thread. Fails: E_INVALID, E_TOO_LARGE, E_NOT_FOUND for a blob.
 */
#ifndef MAAS_API_MODEL_FILES_H
#define MAAS_API_MODEL_FILES_H

#include "api/upload.h"
#include "lm/files.h"

typedef struct maas_model_files {
    const char *paths[MAAS_MAX_LM_FILES];
    int fds[MAAS_MAX_LM_FILES]; /* the first one is the model */
    uint32_t n;
    const char *weights; /* one of paths, or NULL */
    bool owned;
} maas_model_files;

/* A plain body; or a form: one part with the model, "data" parts whose file names are what the
 * model calls them, at most one part "weights"; "image_recipe" and "labels" are left to others. */
maas_status maas_model_files_of_upload(const maas_upload *u, maas_model_files *out, maas_err *err);
/* Its name is one of those that are left to others. */
bool maas_model_files_is_extra(const maas_upload_part *p);
/* files: {path: sha256}; weights: NULL, or a path in it. To be closed. */
maas_status maas_model_files_of_manifest(maas_app *app, const json_t *files, const char *model,
                                         const char *weights, maas_model_files *out, maas_err *err);
void maas_model_files_close(maas_model_files *m);
/* What the artifact was made from is no longer a member of the version. */
void maas_model_files_drop(json_t *files, const json_t *used);

#endif
