/*
 * registry/registry.h - what lasts: blobs (content-addressed files), and the tables that name them
 * (data sets, models, versions, aliases, keys, jobs, idempotency keys) in SQLite.
 *
 *   DIR/maas.db        SQLite, WAL, synchronous=FULL; tenant_id in every table
 *   DIR/blobs/ab/cdef... name = SHA-256 of the content
 *   DIR/tmp/           resumable uploads; emptied of stale files at start
 *
 * Commit order for anything acknowledged: unnamed file, fsync, link, fsync directory, SQL
 * transaction, acknowledge. User strings never become paths.
 *
 * Threads: functions marked [snap] read an atomically swapped in-memory snapshot and may be called
 * from I/O threads; all others touch disk and belong to the io thread (they take one internal
 * lock). One process at a time owns a data directory (lock file).
 * Fails: E_NOT_FOUND, E_CONFLICT, E_INVALID naming the thing; E_NO_SPACE; E_IO.
 */
#ifndef MAAS_REGISTRY_REGISTRY_H
#define MAAS_REGISTRY_REGISTRY_H

#include "base/json.h"
#include "base/sys.h"

typedef struct maas_registry maas_registry;
typedef uint64_t maas_tenant; /* 1: the default tenant */

maas_status maas_registry_open(const char *dir, maas_registry **out, maas_err *err);
void maas_registry_close(maas_registry *r);
bool maas_name_valid(
    const char *name); /* [A-Za-z0-9][A-Za-z0-9._-]{0,127}; "stats" is reserved for models */

/* ---- blobs ---- */
typedef struct maas_blob_writer maas_blob_writer;
maas_status maas_blob_begin(maas_registry *r, maas_blob_writer **out, maas_err *err);
maas_status maas_blob_write(maas_blob_writer *w, const void *p, size_t n, maas_err *err);
int maas_blob_fd(const maas_blob_writer *w); /* borrowed: to map what was written so far */
uint64_t maas_blob_size(const maas_blob_writer *w);
/* fsync, link, fsync directory; an existing blob of the same content is fine. Frees w. */
maas_status maas_blob_commit(maas_blob_writer *w, char out_hex[MAAS_SHA256_HEX], maas_err *err);
void maas_blob_abort(maas_blob_writer *w); /* NULL is fine */
maas_status maas_blob_open(maas_registry *r, const char *hex, int *out_fd, uint64_t *out_bytes,
                           maas_err *err);
/* For writers that hash by themselves (workers, data sets). */
maas_status maas_blob_tmp(maas_registry *r, int *out_fd, maas_err *err);
maas_status maas_blob_link(maas_registry *r, int fd, const char *hex, maas_err *err);
/* Resumable upload of a known digest: how many bytes are there; append at exactly that offset; when
 * `total` is reached the digest is checked (E_INVALID on mismatch) and the blob appears. */
maas_status maas_blob_partial_size(maas_registry *r, const char *hex, uint64_t *out_bytes,
                                   bool *out_complete, maas_err *err);
maas_status maas_blob_partial_append(maas_registry *r, const char *hex, uint64_t at, const void *p,
                                     size_t n, uint64_t total, bool *out_complete, maas_err *err);
/* Deletes blobs that no row names and that are older than grace. Re-hashes a share of the rest. */
maas_status maas_registry_gc(maas_registry *r, uint64_t grace_ms, uint32_t *out_n, maas_err *err);
maas_status maas_registry_scrub(maas_registry *r, uint32_t n_blobs, uint32_t *out_bad,
                                maas_err *err);
/* Opens a data directory's blobs without the database: for worker processes. Same functions. */
maas_status maas_blobstore_open(const char *dir, maas_registry **out, maas_err *err);

/* ---- data sets ---- (manifest: learn/dataset.h) */
/* Equal content to the newest version: that number, *out_created false. The manifest has "rows" and
 * "columns", each with the digest of its file as "blob"; E_NOT_FOUND when one does not exist. */
maas_status maas_registry_dataset_put(maas_registry *r, maas_tenant t, const char *name,
                                      const json_t *manifest, int64_t *out_version,
                                      bool *out_created, maas_err *err);
/* version 0: newest. *out: {"name","version","rows","columns":[...],"created_at"}; new reference.
 */
maas_status maas_registry_dataset_get(maas_registry *r, maas_tenant t, const char *name,
                                      int64_t version, json_t **out, maas_err *err);
/* Lists of this header are arrays of objects; here: {"name","version","n_versions","rows",
 * "n_columns","created_at"} of the newest version. */
maas_status maas_registry_dataset_list(maas_registry *r, maas_tenant t, json_t **out,
                                       maas_err *err);
maas_status maas_registry_dataset_delete(maas_registry *r, maas_tenant t, const char *name,
                                         maas_err *err); /* all versions */

/* ---- models, versions, aliases ---- */
typedef struct maas_version_in {
    const json_t *files; /* manifest {"model.onnx": sha256, ...}; the blobs must exist            */
    const char *format;  /* of the canonical file: "onnx"                                        */
    const char *artifact; /* member of files that is the canonical model                          */
    const json_t *inputs, *outputs;  /* [{"name","datatype","shape"}]  */
    const json_t *metrics, *lineage; /* may be NULL; lineage: data set, job, parent, code, seed */
    const json_t *info; /* may be NULL: layers, parameters, bytes, operations per row, columns  */
} maas_version_in;
maas_status maas_registry_version_put(maas_registry *r, maas_tenant t, const char *model,
                                      const maas_version_in *v, int64_t *out_version,
                                      bool *out_created, maas_err *err);
maas_status maas_registry_version_get(maas_registry *r, maas_tenant t, const char *model,
                                      int64_t version, json_t **out, maas_err *err);
maas_status maas_registry_version_delete(maas_registry *r, maas_tenant t, const char *model,
                                         int64_t version,
                                         maas_err *err); /* E_CONFLICT when an alias points to it */
maas_status maas_registry_model_get(maas_registry *r, maas_tenant t, const char *model,
                                    json_t **out, maas_err *err); /* with versions and aliases */
maas_status maas_registry_model_list(maas_registry *r, maas_tenant t, json_t **out, maas_err *err);
maas_status maas_registry_model_delete(maas_registry *r, maas_tenant t, const char *model,
                                       maas_err *err);
maas_status maas_registry_alias_set(maas_registry *r, maas_tenant t, const char *model,
                                    const char *alias, int64_t version, maas_err *err);
maas_status maas_registry_alias_delete(maas_registry *r, maas_tenant t, const char *model,
                                       const char *alias, maas_err *err);

/* ---- the snapshot ---- */
typedef struct maas_snap_version {
    int64_t version;
    uint64_t uid; /* never reused: cache keys of loaded instances use it */
    const char *artifact_hex;
    const char *format;
} maas_snap_version;
typedef struct maas_snapshot maas_snapshot;                    /* immutable, counted */
const maas_snapshot *maas_registry_snapshot(maas_registry *r); /* [snap] a reference is taken */
void maas_snapshot_unref(const maas_snapshot *s);
uint64_t maas_registry_generation(const maas_registry *r); /* [snap] changes with every snapshot */
/* "name", "name:3", "name@alias": a bare name means @production, else the newest version. `version`
 * (may be NULL) is a separate version or alias text of the dialect. [snap] */
maas_status maas_snapshot_resolve(const maas_snapshot *s, maas_tenant t, const char *model,
                                  const char *version, const char **out_name,
                                  const maas_snap_version **out, maas_err *err);
uint32_t maas_snapshot_n_models(const maas_snapshot *s, maas_tenant t);
const char *maas_snapshot_model(const maas_snapshot *s, maas_tenant t, uint32_t i,
                                const maas_snap_version **out_versions, uint32_t *out_n);

/* The versions of one model, ascending; NULL when it does not exist. [snap] */
const maas_snap_version *maas_snapshot_versions(const maas_snapshot *s, maas_tenant t,
                                                const char *model, uint32_t *out_n);
/* The versions of all models of all tenants, in no order. [snap] */
const maas_snap_version *maas_snapshot_all_versions(const maas_snapshot *s, uint32_t *out_n);

/* ---- API keys ---- "mk_<kid 10>_<43 base62>_<crc 6>"; only SHA-256(pepper || secret) is stored */
enum { /* scopes */
       MAAS_SCOPE_INFER = 1,
       MAAS_SCOPE_READ = 2,
       MAAS_SCOPE_WRITE = 4, /* datasets, models, versions, aliases */
       MAAS_SCOPE_TRAIN = 8,
       MAAS_SCOPE_OPS = 16,  /* metrics, statistics, settings       */
       MAAS_SCOPE_ADMIN = 32 /* keys                                */
};
#define MAAS_SCOPE_ALL 63u
typedef struct maas_principal {
    maas_tenant tenant;
    uint32_t scopes;
    char kid[12];     /* "" when no key exists yet */
    char models[129]; /* glob of models it may use; "*" */
} maas_principal;
/* scopes: names "infer","read","write","train","ops","admin". *out has the secret, shown once:
 * {"id","key","name","scopes",...}. */
maas_status maas_registry_key_create(maas_registry *r, maas_tenant t, const char *name,
                                     const json_t *scopes, const char *models, int64_t ttl_s,
                                     json_t **out, maas_err *err);
maas_status maas_registry_key_list(maas_registry *r, maas_tenant t, json_t **out, maas_err *err);
maas_status maas_registry_key_delete(maas_registry *r, maas_tenant t, const char *kid,
                                     maas_err *err);
/* '*' any characters, '?' one: may the principal use this model? */
bool maas_glob_match(const char *glob, const char *name);
bool maas_snapshot_has_keys(const maas_snapshot *s); /* [snap] */
/* Constant time in the secret; E_UNAUTHENTICATED without saying why. [snap] */
maas_status maas_snapshot_authenticate(const maas_snapshot *s, const char *key, maas_principal *out,
                                       maas_err *err);

/* ---- jobs ---- rows only; src/jobs runs them */
maas_status maas_registry_job_create(maas_registry *r, maas_tenant t, const json_t *spec,
                                     char out_id[32], maas_err *err);
/* Merges {"state","progress","metrics","result","error","started_at",...} into the row. */
maas_status maas_registry_job_update(maas_registry *r, maas_tenant t, const char *id,
                                     const json_t *fields, maas_err *err);
maas_status maas_registry_job_get(maas_registry *r, maas_tenant t, const char *id, json_t **out,
                                  maas_err *err);
maas_status maas_registry_job_list(maas_registry *r, maas_tenant t, const char *state, json_t **out,
                                   maas_err *err); /* newest first */
maas_status
maas_registry_job_open(maas_registry *r, json_t **out,
                       maas_err *err); /* all tenants: queued and running, with "tenant" */

/* ---- Idempotency-Key ---- kept 24 h. Same key and same request digest: the stored answer. Same
 * key and another request: E_CONFLICT. A first use: *out_status 0, and after doing the work, put.
 */
maas_status maas_registry_idem_get(maas_registry *r, maas_tenant t, const char *key,
                                   const char *request_hex, int *out_status, json_t **out_body,
                                   maas_err *err);
maas_status maas_registry_idem_put(maas_registry *r, maas_tenant t, const char *key,
                                   const char *request_hex, int status, const json_t *body,
                                   maas_err *err);

#endif
