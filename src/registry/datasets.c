/* Data sets: numbered manifests of columns. */
#include "registry/registry_int.h"

#include <string.h>

#include "base/ban.h"

static maas_status no_such_dataset(const char *name, maas_err *err)
{
    return maas_fail(err, MAAS_E_NOT_FOUND, "data set '%s' does not exist", name);
}

/* ---- put ---- */

static maas_status check_manifest(const json_t *manifest, int64_t *out_rows, size_t *out_columns,
                                  maas_err *err)
{
    const json_t *rows = json_object_get(manifest, "rows");
    const json_t *columns = json_object_get(manifest, "columns");
    if (!json_is_integer(rows) || json_integer_value(rows) < 0 || !json_is_array(columns))
        return maas_fail(err, MAAS_E_INVALID,
                         "the manifest of a data set needs \"rows\" and \"columns\"");
    *out_rows = json_integer_value(rows);
    *out_columns = json_array_size(columns);
    if (*out_columns > MAAS_MAX_COLUMNS)
        return maas_fail(err, MAAS_E_TOO_LARGE,
                         "%zu columns are more than the %d a data set may have", *out_columns,
                         MAAS_MAX_COLUMNS);
    return MAAS_OK;
}

static maas_status add_column_blob(maas_registry *r, maas_tenant t, int64_t uid,
                                   const json_t *column, maas_err *err)
{
    const char *hex = json_string_value(json_object_get(column, "blob"));
    maas_blob_name name;
    bool exists;
    MAAS_TRY(maas_blob_name_of(hex, &name, err));
    MAAS_TRY(maas_blob_exists(r, &name, &exists, err));
    if (!exists)
        return maas_fail(err, MAAS_E_NOT_FOUND, "blob %s of a column does not exist", name.hex);
    return maas_sql_run(r, MAAS_SQL_DATASET_BLOB_ADD, t, SQL_ARGS(ARG_INT(uid), ARG_TEXT(name.hex)),
                        err);
}

static maas_status add_version(maas_registry *r, maas_tenant t, const char *name,
                               const char *digest, const json_t *manifest, int64_t *out_version,
                               maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(MAAS_DOC_MAX);
    int64_t n_rows = 0, version, uid;
    size_t n_columns = 0, i;
    const json_t *column;
    bool row;
    MAAS_TRY(check_manifest(manifest, &n_rows, &n_columns, err));
    MAAS_TRY(maas_doc_dump(manifest, &text, err));
    MAAS_TRY(maas_sql_get_i64(r, MAAS_SQL_DATASET_NEXT, t, SQL_ARGS(ARG_TEXT(name)), &row, &version,
                              err));
    MAAS_TRY(maas_sql_get_i64(r, MAAS_SQL_DATASET_ADD, t,
                              SQL_ARGS(ARG_TEXT(name), ARG_INT(version), ARG_TEXT(digest),
                                       ARG_INT(n_rows), ARG_INT(n_columns), ARG_TEXT(text.p),
                                       ARG_INT(maas_wall_ms())),
                              &row, &uid, err));
    json_array_foreach(json_object_get(manifest, "columns"), i, column)
        MAAS_TRY(add_column_blob(r, t, uid, column, err));
    *out_version = version;
    return MAAS_OK;
}

/* *out_version stays 0 when the newest version is another one, or there is none. */
static maas_status same_as_newest(maas_registry *r, maas_tenant t, const char *name,
                                  const char *digest, int64_t *out_version, maas_err *err)
{
    AUTO(maas_sql_end) sqlite3_stmt *q = NULL;
    const char *newest;
    bool row;
    MAAS_TRY(maas_sql_query(r, MAAS_SQL_DATASET_NEWEST, t, SQL_ARGS(ARG_TEXT(name)), &q, err));
    MAAS_TRY(maas_sql_step(r, q, &row, err));
    if (!row)
        return MAAS_OK;
    MAAS_TRY(maas_sql_text(r, q, 1, &newest, err));
    if (strcmp(newest, digest) == 0)
        *out_version = sqlite3_column_int64(q, 0);
    return MAAS_OK;
}

maas_status maas_registry_dataset_put(maas_registry *r, maas_tenant t, const char *name,
                                      const json_t *manifest, int64_t *out_version,
                                      bool *out_created, maas_err *err)
{
    char digest[MAAS_SHA256_HEX];
    int64_t version = 0;
    MAAS_TRY(maas_name_check("data set", name, err));
    MAAS_TRY(maas_doc_digest(manifest, digest, err));
    AUTO(maas_txn_end) maas_txn tx = {0};
    MAAS_TRY(maas_txn_begin(r, true, &tx, err));
    MAAS_TRY(same_as_newest(r, t, name, digest, &version, err));
    bool created = version == 0;
    if (created) {
        MAAS_TRY(add_version(r, t, name, digest, manifest, &version, err));
        MAAS_TRY(maas_txn_commit(&tx, false, err));
    }
    *out_version = version;
    *out_created = created;
    return MAAS_OK;
}

/* ---- get, list, delete ---- */

/* name and version first, then everything the manifest says. */
static json_t *dataset_doc(const char *name, int64_t version, json_t *manifest, uint64_t created_ms)
{
    json_t *doc = json_object();
    bool ok = maas_doc_put(doc, "name", json_string(name)) &&
              maas_doc_put(doc, "version", json_integer(version)) &&
              json_object_update_missing(doc, manifest) == 0 &&
              maas_doc_put(doc, "created_at", maas_doc_time(created_ms));
    if (ok)
        return doc;
    json_decref(doc);
    return NULL;
}

maas_status maas_registry_dataset_get(maas_registry *r, maas_tenant t, const char *name,
                                      int64_t version, json_t **out, maas_err *err)
{
    MAAS_TRY(maas_name_check("data set", name, err));
    AUTO(maas_txn_end) maas_txn tx = {0};
    AUTO(maas_sql_end) sqlite3_stmt *q = NULL;
    AUTO(maas_json_unref) json_t *manifest = NULL;
    bool row;
    MAAS_TRY(maas_txn_begin(r, false, &tx, err));
    MAAS_TRY(maas_sql_query(r, MAAS_SQL_DATASET_GET, t, SQL_ARGS(ARG_TEXT(name), ARG_INT(version)),
                            &q, err));
    MAAS_TRY(maas_sql_step(r, q, &row, err));
    if (!row && version)
        return maas_fail(err, MAAS_E_NOT_FOUND, "data set '%s' has no version %lld", name,
                         (long long)version);
    if (!row)
        return no_such_dataset(name, err);
    MAAS_TRY(maas_sql_json(r, q, 1, &manifest, err));
    json_t *doc = dataset_doc(name, sqlite3_column_int64(q, 0), manifest,
                              (uint64_t)sqlite3_column_int64(q, 2));
    if (!doc)
        return maas_no_memory(err);
    *out = doc;
    return MAAS_OK;
}

static maas_status add_summary(maas_registry *r, sqlite3_stmt *q, json_t *list, maas_err *err)
{
    const char *name;
    MAAS_TRY(maas_sql_text(r, q, 0, &name, err));
    json_t *doc = json_object();
    bool ok = maas_doc_put(doc, "name", json_string(name)) &&
              maas_doc_put(doc, "version", json_integer(sqlite3_column_int64(q, 1))) &&
              maas_doc_put(doc, "n_versions", json_integer(sqlite3_column_int64(q, 2))) &&
              maas_doc_put(doc, "rows", json_integer(sqlite3_column_int64(q, 3))) &&
              maas_doc_put(doc, "n_columns", json_integer(sqlite3_column_int64(q, 4))) &&
              maas_doc_put(doc, "created_at",
                           maas_doc_time((uint64_t)sqlite3_column_int64(q, 5))) &&
              json_array_append(list, doc) == 0;
    json_decref(doc);
    return ok ? MAAS_OK : maas_no_memory(err);
}

maas_status maas_registry_dataset_list(maas_registry *r, maas_tenant t, json_t **out, maas_err *err)
{
    AUTO(maas_txn_end) maas_txn tx = {0};
    AUTO(maas_sql_end) sqlite3_stmt *q = NULL;
    AUTO(maas_json_unref) json_t *list = json_array();
    bool row;
    MAAS_TRY(maas_txn_begin(r, false, &tx, err));
    MAAS_TRY(maas_sql_query(r, MAAS_SQL_DATASET_LIST, t, NULL, 0, &q, err));
    for (;;) {
        MAAS_TRY(maas_sql_step(r, q, &row, err));
        if (!row)
            break;
        MAAS_TRY(add_summary(r, q, list, err));
    }
    *out = STEAL(list);
    return *out ? MAAS_OK : maas_no_memory(err);
}

maas_status maas_registry_dataset_delete(maas_registry *r, maas_tenant t, const char *name,
                                         maas_err *err)
{
    int64_t uid;
    bool row;
    MAAS_TRY(maas_name_check("data set", name, err));
    AUTO(maas_txn_end) maas_txn tx = {0};
    MAAS_TRY(maas_txn_begin(r, true, &tx, err));
    MAAS_TRY(
        maas_sql_get_i64(r, MAAS_SQL_DATASET_DELETE, t, SQL_ARGS(ARG_TEXT(name)), &row, &uid, err));
    return row ? maas_txn_commit(&tx, false, err) : no_such_dataset(name, err);
}
