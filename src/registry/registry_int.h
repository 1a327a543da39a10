/*
 * registry/registry_int.h - what the files of this room share. No other room includes it.
 *
 * Every statement is a row of sql.def, prepared once. maas_sql_query() binds the tenant as ?1, so a
 * statement cannot be run without saying whose rows it may see; maas_sql_query_all() refuses rows
 * of the table that carry no reason for looking across tenants.
 *
 * Lock order: lock, then the flock of the blob directory, then snap_lock. I/O threads take only
 * snap_lock, which never covers a system call.
 */
#ifndef MAAS_REGISTRY_INT_H
#define MAAS_REGISTRY_INT_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "registry/registry.h"

#define MAAS_PEPPER_BYTES    32
#define MAAS_DOC_MAX         (256u << 20) /* bytes of one stored JSON document: 65,536 columns fit  */
#define MAAS_FILES_MAX       10000 /* members of one version                                 */
#define MAAS_FILE_NAME_MAX   512   /* bytes of a member's name                               */
#define MAAS_PARTIAL_AGE_MS  (7ull * 24 * 3600 * 1000) /* an upload nobody continued */
#define MAAS_IDEM_AGE_MS     (24ull * 3600 * 1000)
#define MAAS_IDEM_KEY_MAX    255
#define MAAS_KEY_NAME_MAX    128
#define MAAS_BUSY_TIMEOUT_MS 5000 /* somebody looks at the database with another program */

typedef enum maas_sql_id {
#define STATEMENT(name, exempt, text) MAAS_SQL_##name,
#define MIGRATION(to_version, text)
#include "registry/sql.def"
#undef MIGRATION
#undef STATEMENT
    MAAS_SQL_N
} maas_sql_id;

typedef struct maas_sql_row {
    const char *name;
    const char *exempt; /* NULL, or the reason why it may look across tenants */
    const char *text;
} maas_sql_row;
typedef struct maas_sql_migration {
    int to_version;
    const char *text;
} maas_sql_migration;

extern const maas_sql_row maas_sql_table[MAAS_SQL_N];
extern const maas_sql_migration maas_sql_migrations[];
extern const size_t maas_sql_n_migrations;

struct maas_registry {
    /* set at open, then read-only */
    int dir_fd, blobs_fd, tmp_fd, lock_fd; /* -1: not open */
    uint8_t pepper[MAAS_PEPPER_BYTES];

    pthread_mutex_t lock; /* protects the connection and what follows */
    sqlite3 *db;          /* NULL: a blob store without tables         */
    sqlite3_stmt *stmts[MAAS_SQL_N];
    char scrub_at[MAAS_SHA256_HEX]; /* the digest looked at last */

    pthread_mutex_t snap_lock; /* protects snap */
    const maas_snapshot *snap;
    _Atomic uint64_t generation;
};

/* ---- sql.c: the connection ---- */
maas_status maas_sql_open(maas_registry *r, const char *dir, maas_err *err);
void maas_sql_close(maas_registry *r);

typedef struct maas_sql_arg {
    enum { MAAS_ARG_INT, MAAS_ARG_TEXT, MAAS_ARG_BYTES } kind;
    int64_t i;
    const void *p; /* TEXT: NULL binds NULL */
    size_t n;
} maas_sql_arg;
#define ARG_INT(x)                                                                                 \
    (maas_sql_arg)                                                                                 \
    {                                                                                              \
        .kind = MAAS_ARG_INT, .i = (int64_t)(x)                                                    \
    }
#define ARG_TEXT(x)                                                                                \
    (maas_sql_arg)                                                                                 \
    {                                                                                              \
        .kind = MAAS_ARG_TEXT, .p = (x)                                                            \
    }
#define ARG_BYTES(x, size)                                                                         \
    (maas_sql_arg)                                                                                 \
    {                                                                                              \
        .kind = MAAS_ARG_BYTES, .p = (x), .n = (size)                                              \
    }
#define SQL_ARGS(...)                                                                              \
    (const maas_sql_arg[]){__VA_ARGS__},                                                           \
        sizeof((const maas_sql_arg[]){__VA_ARGS__}) / sizeof(maas_sql_arg)

/* A statement in use; AUTO(maas_sql_end) gives it back. Arguments are bound from ?2 on and must
 * live until then. */
maas_status maas_sql_query(maas_registry *r, maas_sql_id id, maas_tenant t,
                           const maas_sql_arg *args, size_t n_args, sqlite3_stmt **out,
                           maas_err *err);
maas_status maas_sql_query_all(maas_registry *r, maas_sql_id id, const maas_sql_arg *args,
                               size_t n_args, sqlite3_stmt **out, maas_err *err);
maas_status maas_sql_step(maas_registry *r, sqlite3_stmt *q, bool *out_row, maas_err *err);
void maas_sql_end(sqlite3_stmt **q);
/* Query, run to the end, give back. */
maas_status maas_sql_run(maas_registry *r, maas_sql_id id, maas_tenant t, const maas_sql_arg *args,
                         size_t n_args, maas_err *err);
/* The first column of the first row; *out_row says whether there is one. */
maas_status maas_sql_get_i64(maas_registry *r, maas_sql_id id, maas_tenant t,
                             const maas_sql_arg *args, size_t n_args, bool *out_row, int64_t *out,
                             maas_err *err);
/* Never NULL ("" for NULL); lives until the next step. E_NOMEM when there is no memory for it. */
maas_status maas_sql_text(maas_registry *r, sqlite3_stmt *q, int col, const char **out,
                          maas_err *err);
maas_status maas_sql_json(maas_registry *r, sqlite3_stmt *q, int col, json_t **out, maas_err *err);

/* ---- txn.c: one caller at a time ---- */
typedef struct maas_txn {
    maas_registry *r; /* NULL: over */
    bool writing;
} maas_txn;
/* AUTO(maas_txn_end) maas_txn tx = {0}; rolls back what was not committed, and unlocks. */
maas_status maas_txn_begin(maas_registry *r, bool writing, maas_txn *tx, maas_err *err);
/* `republish`: models, aliases or keys changed. The new snapshot is built before the commit, from
 * inside the transaction, so that nothing can fail between durable and visible. */
maas_status maas_txn_commit(maas_txn *tx, bool republish, maas_err *err);
void maas_txn_end(maas_txn *tx);

/* ---- snapshot.c ---- */
maas_status maas_snapshot_build(maas_registry *r, maas_snapshot **out, maas_err *err);
void maas_registry_publish(maas_registry *r, maas_snapshot *s); /* takes the reference */

/* ---- keys.c, key_text.c ---- */
#define MAAS_KID_LEN    10
#define MAAS_SECRET_LEN 43
#define MAAS_KEY_LEN    64 /* mk_ kid _ secret _ crc */
typedef struct maas_key_text {
    char kid[MAAS_KID_LEN + 1];
    char secret[MAAS_SECRET_LEN + 1];
} maas_key_text;
void maas_base62_random(char *out, size_t n); /* n digits and a NUL, unbiased */
void maas_key_print(const maas_key_text *k, char out[MAAS_KEY_LEN + 1]);
bool maas_key_parse(const char *text, maas_key_text *out); /* false: shape or checksum is wrong */
bool maas_key_hash(const uint8_t pepper[MAAS_PEPPER_BYTES], const char *secret,
                   uint8_t out[MAAS_SHA256_BYTES]);
/* Reads the pepper, or makes it when the directory has no keys yet. */
maas_status maas_pepper_open(maas_registry *r, maas_err *err);

/* ---- blobs.c, fs.c ---- */
typedef struct maas_blob_name { /* "ab/cdef...", printed from digits that were checked */
    char dir[3], file[MAAS_SHA256_HEX - 2], path[MAAS_SHA256_HEX + 1], hex[MAAS_SHA256_HEX];
} maas_blob_name;
maas_status maas_blob_name_of(const char *hex, maas_blob_name *out, maas_err *err);
maas_status maas_blob_exists(maas_registry *r, const maas_blob_name *name, bool *out,
                             maas_err *err);
/* SHA-256 of the file from its first byte. */
maas_status maas_fd_sha256(int dir_fd, const char *path, const char *what,
                           char out_hex[MAAS_SHA256_HEX], maas_err *err);
/* Sets a broken file aside, so that the same content can be uploaded again. */
maas_status maas_blob_quarantine(maas_registry *r, const maas_blob_name *name, maas_err *err);
maas_status maas_tmp_sweep(maas_registry *r, maas_err *err);

/* What base/sys.h does not offer. */
maas_status maas_fs_mkdir(int dir_fd, const char *name, maas_err *err); /* not yet lasting */
maas_status maas_fs_lock(int fd, bool exclusive, bool wait, bool *out_locked, maas_err *err);
typedef struct maas_fs_stat {
    uint64_t bytes, modified_ms, n_links;
} maas_fs_stat;
maas_status maas_fs_stat_fd(int fd, maas_fs_stat *out, maas_err *err);
maas_status maas_fs_touch(int fd, maas_err *err); /* modified now */
/* Calls fn for each name but dot files; stops at the first status that is not MAAS_OK. */
typedef maas_status (*maas_fs_name_fn)(void *user, const char *name, maas_err *err);
maas_status maas_fs_each(int dir_fd, const char *name, maas_fs_name_fn fn, void *user,
                         maas_err *err);

/* ---- docs.c: small things on JSON and names ---- */
maas_status maas_name_check(const char *what, const char *name, maas_err *err);
/* Digest of the document with its keys sorted: equal content, equal digest. */
maas_status maas_doc_digest(const json_t *doc, char out_hex[MAAS_SHA256_HEX], maas_err *err);
maas_status maas_doc_dump(const json_t *doc, maas_buf *out, maas_err *err);
/* Adds a value that the object owns from then on; false when value is NULL or memory ran out. */
bool maas_doc_put(json_t *o, const char *key, json_t *value);
json_t *maas_doc_time(uint64_t wall_ms);
maas_status maas_no_memory(maas_err *err);

#endif
