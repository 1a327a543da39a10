/* Versions: what a model was at one time. Written once, then only read or deleted. */
#include "registry/registry_int.h"

#include <string.h>

#include "base/ban.h"

static maas_status model_check(const char *model, maas_err *err)
{
    MAAS_TRY(maas_name_check("model", model, err));
    if (strcmp(model, "stats") == 0)
        return maas_fail(err, MAAS_E_INVALID, "the model name 'stats' is reserved; choose another");
    return MAAS_OK;
}

/* ---- checking what comes in ---- */

/* Members are names inside the version, never paths of ours; but clients unpack them somewhere. */
static bool file_name_valid(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n > MAAS_FILE_NAME_MAX || name[0] == '/' || name[n - 1] == '/')
        return false;
    for (const char *part = name;;) {
        size_t len = strcspn(part, "/");
        if (len == 0 || (part[0] == '.' && (len == 1 || (len == 2 && part[1] == '.'))))
            return false;
        for (size_t i = 0; i < len; i++)
            if ((unsigned char)part[i] < ' ' || part[i] == 0x7f || part[i] == '\\')
                return false;
        if (!part[len])
            return true;
        part += len + 1;
    }
}

static maas_status check_files(const maas_version_in *v, maas_err *err)
{
    const char *name;
    json_t *hex;
    maas_blob_name blob;
    if (!json_is_object(v->files) || !json_object_size(v->files))
        return maas_fail(err, MAAS_E_INVALID, "\"files\" must map at least one name to a digest");
    if (json_object_size(v->files) > MAAS_FILES_MAX)
        return maas_fail(err, MAAS_E_TOO_LARGE, "%zu files are more than the %d a version may have",
                         json_object_size(v->files), MAAS_FILES_MAX);
    json_object_foreach((json_t *)v->files, name, hex)
    {
        if (!file_name_valid(name))
            return maas_fail(err, MAAS_E_INVALID,
                             "files: '%.64s' is not a relative file name without '.' and '..'",
                             name);
        MAAS_TRY(maas_blob_name_of(json_string_value(hex), &blob, err));
    }
    if (!v->artifact || !json_object_get(v->files, v->artifact))
        return maas_fail(err, MAAS_E_INVALID, "files: the artifact '%.64s' is not among them",
                         v->artifact ? v->artifact : "");
    return MAAS_OK;
}

static maas_status check_version(const maas_version_in *v, maas_err *err)
{
    MAAS_TRY(check_files(v, err));
    MAAS_TRY(maas_name_check("format", v->format, err));
    if (!json_is_array(v->inputs) || !json_is_array(v->outputs))
        return maas_fail(err, MAAS_E_INVALID, "\"inputs\" and \"outputs\" must be arrays");
    if (v->lineage && !json_is_object(v->lineage))
        return maas_fail(err, MAAS_E_INVALID, "\"lineage\" must be an object");
    return MAAS_OK;
}

/* Content is what is served and how it is called; how it came about (metrics, lineage) is not. */
static maas_status content_digest(const maas_version_in *v, char out_hex[MAAS_SHA256_HEX],
                                  maas_err *err)
{
    AUTO(maas_json_unref) json_t *doc = json_object();
    bool ok = json_object_set(doc, "files", (json_t *)v->files) == 0 &&
              json_object_set(doc, "inputs", (json_t *)v->inputs) == 0 &&
              json_object_set(doc, "outputs", (json_t *)v->outputs) == 0 &&
              (!v->info || json_object_set(doc, "info", (json_t *)v->info) == 0) &&
              maas_doc_put(doc, "format", json_string(v->format)) &&
              maas_doc_put(doc, "artifact", json_string(v->artifact));
    return ok ? maas_doc_digest(doc, out_hex, err) : maas_no_memory(err);
}

/* ---- put ---- */

typedef struct version_texts {
    maas_buf inputs, outputs, metrics, info;
} version_texts;

static void version_texts_reset(version_texts *x)
{
    maas_buf_reset(&x->inputs);
    maas_buf_reset(&x->outputs);
    maas_buf_reset(&x->metrics);
    maas_buf_reset(&x->info);
}

static maas_status dump_or_null(const json_t *doc, maas_buf *out, maas_err *err)
{
    out->max = MAAS_DOC_MAX;
    if (doc)
        return maas_doc_dump(doc, out, err);
    maas_buf_str(out, "null");
    return out->failed ? maas_no_memory(err) : MAAS_OK;
}

static maas_status add_row(maas_registry *r, maas_tenant t, const char *model,
                           const maas_version_in *v, const char *digest, int64_t version,
                           int64_t *out_uid, maas_err *err)
{
    AUTO(version_texts_reset) version_texts x = {0};
    maas_blob_name artifact;
    bool row;
    MAAS_TRY(dump_or_null(v->inputs, &x.inputs, err));
    MAAS_TRY(dump_or_null(v->outputs, &x.outputs, err));
    MAAS_TRY(dump_or_null(v->metrics, &x.metrics, err));
    MAAS_TRY(dump_or_null(v->info, &x.info, err));
    MAAS_TRY(maas_blob_name_of(json_string_value(json_object_get(v->files, v->artifact)), &artifact,
                               err));
    return maas_sql_get_i64(r, MAAS_SQL_VERSION_ADD, t,
                            SQL_ARGS(ARG_TEXT(model), ARG_INT(version), ARG_TEXT(digest),
                                     ARG_TEXT(v->format), ARG_TEXT(v->artifact),
                                     ARG_TEXT(artifact.hex), ARG_TEXT(x.inputs.p),
                                     ARG_TEXT(x.outputs.p), ARG_TEXT(x.metrics.p),
                                     ARG_TEXT(x.info.p), ARG_INT(maas_wall_ms())),
                            &row, out_uid, err);
}

static maas_status add_files(maas_registry *r, maas_tenant t, int64_t uid, const json_t *files,
                             maas_err *err)
{
    const char *path;
    json_t *hex;
    maas_blob_name blob;
    bool exists;
    json_object_foreach((json_t *)files, path, hex)
    {
        MAAS_TRY(maas_blob_name_of(json_string_value(hex), &blob, err));
        MAAS_TRY(maas_blob_exists(r, &blob, &exists, err));
        if (!exists)
            return maas_fail(err, MAAS_E_NOT_FOUND,
                             "files: '%.64s': blob %s does not exist; upload it", path, blob.hex);
        MAAS_TRY(maas_sql_run(r, MAAS_SQL_VERSION_FILE_ADD, t,
                              SQL_ARGS(ARG_INT(uid), ARG_TEXT(path), ARG_TEXT(blob.hex)), err));
    }
    return MAAS_OK;
}

static maas_status add_lineage(maas_registry *r, maas_tenant t, int64_t uid, const json_t *lineage,
                               maas_err *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)lineage, key, value)
    {
        AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(MAAS_DOC_MAX);
        MAAS_TRY(maas_doc_dump(value, &text, err));
        MAAS_TRY(maas_sql_run(r, MAAS_SQL_LINEAGE_ADD, t,
                              SQL_ARGS(ARG_INT(uid), ARG_TEXT(key), ARG_TEXT(text.p)), err));
    }
    return MAAS_OK;
}

static maas_status add_version(maas_registry *r, maas_tenant t, const char *model,
                               const maas_version_in *v, const char *digest, int64_t *out_version,
                               maas_err *err)
{
    int64_t uid;
    bool row;
    MAAS_TRY(maas_sql_get_i64(r, MAAS_SQL_MODEL_NEXT, t, SQL_ARGS(ARG_TEXT(model)), &row,
                              out_version, err));
    MAAS_TRY(add_row(r, t, model, v, digest, *out_version, &uid, err));
    MAAS_TRY(add_files(r, t, uid, v->files, err));
    return add_lineage(r, t, uid, v->lineage, err);
}

static maas_status same_as_newest(maas_registry *r, maas_tenant t, const char *model,
                                  const char *digest, int64_t *out_version, maas_err *err)
{
    AUTO(maas_sql_end) sqlite3_stmt *q = NULL;
    const char *newest;
    bool row;
    MAAS_TRY(maas_sql_query(r, MAAS_SQL_VERSION_NEWEST, t, SQL_ARGS(ARG_TEXT(model)), &q, err));
    MAAS_TRY(maas_sql_step(r, q, &row, err));
    if (!row)
        return MAAS_OK;
    MAAS_TRY(maas_sql_text(r, q, 1, &newest, err));
    if (strcmp(newest, digest) == 0)
        *out_version = sqlite3_column_int64(q, 0);
    return MAAS_OK;
}

maas_status maas_registry_version_put(maas_registry *r, maas_tenant t, const char *model,
                                      const maas_version_in *v, int64_t *out_version,
                                      bool *out_created, maas_err *err)
{
    char digest[MAAS_SHA256_HEX];
    int64_t version = 0;
    MAAS_TRY(model_check(model, err));
    MAAS_TRY(check_version(v, err));
    MAAS_TRY(content_digest(v, digest, err));
    AUTO(maas_txn_end) maas_txn tx = {0};
    MAAS_TRY(maas_txn_begin(r, true, &tx, err));
    MAAS_TRY(same_as_newest(r, t, model, digest, &version, err));
    bool created = version == 0;
    if (created) {
        MAAS_TRY(add_version(r, t, model, v, digest, &version, err));
        MAAS_TRY(maas_txn_commit(&tx, true, err));
    }
    *out_version = version;
    *out_created = created;
    return MAAS_OK;
}

/* ---- get ---- */

/* Rows of (name, value) as an object; `parse`: values are JSON, otherwise text. */
static maas_status read_pairs(maas_registry *r, maas_sql_id id, maas_tenant t, int64_t uid,
                              bool parse, json_t *doc, const char *member, maas_err *err)
{
    AUTO(maas_sql_end) sqlite3_stmt *q = NULL;
    AUTO(maas_json_unref) json_t *pairs = json_object();
    bool row;
    MAAS_TRY(maas_sql_query(r, id, t, SQL_ARGS(ARG_INT(uid)), &q, err));
    for (;;) {
        const char *name, *text;
        json_t *value;
        MAAS_TRY(maas_sql_step(r, q, &row, err));
        if (!row)
            break;
        MAAS_TRY(maas_sql_text(r, q, 0, &name, err));
        MAAS_TRY(maas_sql_text(r, q, 1, &text, err));
        if (parse)
            MAAS_TRY(maas_sql_json(r, q, 1, &value, err));
        else
            value = json_string(text);
        if (!maas_doc_put(pairs, name, value))
            return maas_no_memory(err);
    }
    return maas_doc_put(doc, member, STEAL(pairs)) ? MAAS_OK : maas_no_memory(err);
}

static maas_status put_json(maas_registry *r, sqlite3_stmt *q, int col, json_t *doc,
                            const char *member, maas_err *err)
{
    json_t *value;
    MAAS_TRY(maas_sql_json(r, q, col, &value, err));
    return maas_doc_put(doc, member, value) ? MAAS_OK : maas_no_memory(err);
}

static maas_status put_text(maas_registry *r, sqlite3_stmt *q, int col, json_t *doc,
                            const char *member, maas_err *err)
{
    const char *text;
    MAAS_TRY(maas_sql_text(r, q, col, &text, err));
    return maas_doc_put(doc, member, json_string(text)) ? MAAS_OK : maas_no_memory(err);
}

static maas_status version_doc(maas_registry *r, maas_tenant t, const char *model, sqlite3_stmt *q,
                               json_t *doc, maas_err *err)
{
    int64_t uid = sqlite3_column_int64(q, 0);
    if (!maas_doc_put(doc, "name", json_string(model)) ||
        !maas_doc_put(doc, "version", json_integer(sqlite3_column_int64(q, 1))))
        return maas_no_memory(err);
    MAAS_TRY(put_text(r, q, 2, doc, "format", err));
    MAAS_TRY(put_json(r, q, 4, doc, "inputs", err));
    MAAS_TRY(put_json(r, q, 5, doc, "outputs", err));
    MAAS_TRY(put_text(r, q, 3, doc, "artifact", err));
    MAAS_TRY(read_pairs(r, MAAS_SQL_VERSION_FILES, t, uid, false, doc, "files", err));
    MAAS_TRY(put_json(r, q, 6, doc, "metrics", err));
    MAAS_TRY(read_pairs(r, MAAS_SQL_LINEAGE_GET, t, uid, true, doc, "lineage", err));
    MAAS_TRY(put_json(r, q, 7, doc, "info", err));
    uint64_t created_ms = (uint64_t)sqlite3_column_int64(q, 8);
    return maas_doc_put(doc, "created_at", maas_doc_time(created_ms)) ? MAAS_OK
                                                                      : maas_no_memory(err);
}

static maas_status no_such_version(const char *model, int64_t version, maas_err *err)
{
    if (!version)
        return maas_fail(err, MAAS_E_NOT_FOUND, "model '%s' does not exist", model);
    return maas_fail(err, MAAS_E_NOT_FOUND, "model '%s' has no version %lld", model,
                     (long long)version);
}

maas_status maas_registry_version_get(maas_registry *r, maas_tenant t, const char *model,
                                      int64_t version, json_t **out, maas_err *err)
{
    MAAS_TRY(model_check(model, err));
    AUTO(maas_txn_end) maas_txn tx = {0};
    AUTO(maas_sql_end) sqlite3_stmt *q = NULL;
    AUTO(maas_json_unref) json_t *doc = json_object();
    bool row;
    MAAS_TRY(maas_txn_begin(r, false, &tx, err));
    MAAS_TRY(maas_sql_query(r, MAAS_SQL_VERSION_GET, t, SQL_ARGS(ARG_TEXT(model), ARG_INT(version)),
                            &q, err));
    MAAS_TRY(maas_sql_step(r, q, &row, err));
    if (!row)
        return no_such_version(model, version, err);
    MAAS_TRY(version_doc(r, t, model, q, doc, err));
    *out = STEAL(doc);
    return MAAS_OK;
}

/* ---- delete ---- */

maas_status maas_registry_version_delete(maas_registry *r, maas_tenant t, const char *model,
                                         int64_t version, maas_err *err)
{
    MAAS_TRY(model_check(model, err));
    AUTO(maas_txn_end) maas_txn tx = {0};
    AUTO(maas_sql_end) sqlite3_stmt *q = NULL;
    int64_t uid;
    bool row;
    MAAS_TRY(maas_txn_begin(r, true, &tx, err));
    MAAS_TRY(maas_sql_query(r, MAAS_SQL_ALIAS_OF, t, SQL_ARGS(ARG_TEXT(model), ARG_INT(version)),
                            &q, err));
    MAAS_TRY(maas_sql_step(r, q, &row, err));
    if (row) {
        const char *alias;
        MAAS_TRY(maas_sql_text(r, q, 0, &alias, err));
        return maas_fail(err, MAAS_E_CONFLICT,
                         "alias '%s' of model '%s' points to version %lld; move or delete it first",
                         alias, model, (long long)version);
    }
    maas_sql_end(&q);
    MAAS_TRY(maas_sql_get_i64(r, MAAS_SQL_VERSION_DELETE, t,
                              SQL_ARGS(ARG_TEXT(model), ARG_INT(version)), &row, &uid, err));
    return row ? maas_txn_commit(&tx, true, err) : no_such_version(model, version, err);
}
