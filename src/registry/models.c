/* Models as a whole, and the aliases that point into them. */
#include "registry/registry_int.h"

#include <string.h>

#include "base/ban.h"

static maas_status no_such_model(const char *model, maas_err *err)
{
    return maas_fail(err, MAAS_E_NOT_FOUND, "model '%s' does not exist", model);
}

/* ---- get ---- */

static maas_status version_summary(maas_registry *r, sqlite3_stmt *q, json_t *list, maas_err *err)
{
    const char *format, *digest;
    AUTO(maas_json_unref) json_t *metrics = NULL;
    MAAS_TRY(maas_sql_text(r, q, 1, &format, err));
    MAAS_TRY(maas_sql_text(r, q, 2, &digest, err));
    MAAS_TRY(maas_sql_json(r, q, 3, &metrics, err));
    AUTO(maas_json_unref) json_t *doc = json_object();
    uint64_t created_ms = (uint64_t)sqlite3_column_int64(q, 4);
    bool ok = maas_doc_put(doc, "version", json_integer(sqlite3_column_int64(q, 0))) &&
              maas_doc_put(doc, "format", json_string(format)) &&
              maas_doc_put(doc, "sha256", json_string(digest)) &&
              maas_doc_put(doc, "metrics", STEAL(metrics)) &&
              maas_doc_put(doc, "created_at", maas_doc_time(created_ms)) &&
              json_array_append(list, doc) == 0;
    return ok ? MAAS_OK : maas_no_memory(err);
}

static maas_status put_versions(maas_registry *r, maas_tenant t, const char *model, json_t *doc,
                                maas_err *err)
{
    AUTO(maas_sql_end) sqlite3_stmt *q = NULL;
    AUTO(maas_json_unref) json_t *list = json_array();
    bool row;
    MAAS_TRY(maas_sql_query(r, MAAS_SQL_VERSION_LIST, t, SQL_ARGS(ARG_TEXT(model)), &q, err));
    for (;;) {
        MAAS_TRY(maas_sql_step(r, q, &row, err));
        if (!row)
            break;
        MAAS_TRY(version_summary(r, q, list, err));
    }
    if (!json_array_size(list))
        return list ? no_such_model(model, err) : maas_no_memory(err);
    return maas_doc_put(doc, "versions", STEAL(list)) ? MAAS_OK : maas_no_memory(err);
}

static maas_status put_aliases(maas_registry *r, maas_tenant t, const char *model, json_t *doc,
                               maas_err *err)
{
    AUTO(maas_sql_end) sqlite3_stmt *q = NULL;
    AUTO(maas_json_unref) json_t *aliases = json_object();
    bool row;
    MAAS_TRY(maas_sql_query(r, MAAS_SQL_ALIAS_LIST, t, SQL_ARGS(ARG_TEXT(model)), &q, err));
    for (;;) {
        const char *alias;
        MAAS_TRY(maas_sql_step(r, q, &row, err));
        if (!row)
            break;
        MAAS_TRY(maas_sql_text(r, q, 0, &alias, err));
        if (!maas_doc_put(aliases, alias, json_integer(sqlite3_column_int64(q, 1))))
            return maas_no_memory(err);
    }
    return maas_doc_put(doc, "aliases", STEAL(aliases)) ? MAAS_OK : maas_no_memory(err);
}

maas_status maas_registry_model_get(maas_registry *r, maas_tenant t, const char *model,
                                    json_t **out, maas_err *err)
{
    MAAS_TRY(maas_name_check("model", model, err));
    AUTO(maas_txn_end) maas_txn tx = {0};
    AUTO(maas_json_unref) json_t *doc = json_object();
    MAAS_TRY(maas_txn_begin(r, false, &tx, err));
    if (!maas_doc_put(doc, "name", json_string(model)))
        return maas_no_memory(err);
    MAAS_TRY(put_versions(r, t, model, doc, err));
    MAAS_TRY(put_aliases(r, t, model, doc, err));
    *out = STEAL(doc);
    return MAAS_OK;
}

/* ---- list ---- */

static maas_status add_model(maas_registry *r, sqlite3_stmt *q, json_t *list, maas_err *err)
{
    const char *name, *format;
    MAAS_TRY(maas_sql_text(r, q, 0, &name, err));
    MAAS_TRY(maas_sql_text(r, q, 3, &format, err));
    AUTO(maas_json_unref) json_t *doc = json_object();
    uint64_t created_ms = (uint64_t)sqlite3_column_int64(q, 4);
    bool ok = maas_doc_put(doc, "name", json_string(name)) &&
              maas_doc_put(doc, "version", json_integer(sqlite3_column_int64(q, 1))) &&
              maas_doc_put(doc, "n_versions", json_integer(sqlite3_column_int64(q, 2))) &&
              maas_doc_put(doc, "format", json_string(format)) &&
              maas_doc_put(doc, "aliases", json_object()) &&
              maas_doc_put(doc, "created_at", maas_doc_time(created_ms)) &&
              json_array_append(list, doc) == 0;
    return ok ? MAAS_OK : maas_no_memory(err);
}

/* Both lists are in the order of names, so one walk joins them. */
static maas_status join_aliases(maas_registry *r, maas_tenant t, json_t *list, maas_err *err)
{
    AUTO(maas_sql_end) sqlite3_stmt *q = NULL;
    size_t at = 0;
    bool row;
    MAAS_TRY(maas_sql_query(r, MAAS_SQL_ALIAS_LIST_ALL, t, NULL, 0, &q, err));
    for (;;) {
        const char *model, *alias;
        MAAS_TRY(maas_sql_step(r, q, &row, err));
        if (!row)
            return MAAS_OK;
        MAAS_TRY(maas_sql_text(r, q, 0, &model, err));
        MAAS_TRY(maas_sql_text(r, q, 1, &alias, err));
        json_t *doc = json_array_get(list, at);
        while (doc && strcmp(json_string_value(json_object_get(doc, "name")), model) != 0)
            doc = json_array_get(list, ++at);
        MAAS_CHECK(doc); /* a foreign key: an alias points to a version that is there */
        if (!maas_doc_put(json_object_get(doc, "aliases"), alias,
                          json_integer(sqlite3_column_int64(q, 2))))
            return maas_no_memory(err);
    }
}

maas_status maas_registry_model_list(maas_registry *r, maas_tenant t, json_t **out, maas_err *err)
{
    AUTO(maas_txn_end) maas_txn tx = {0};
    AUTO(maas_sql_end) sqlite3_stmt *q = NULL;
    AUTO(maas_json_unref) json_t *list = json_array();
    bool row;
    MAAS_TRY(maas_txn_begin(r, false, &tx, err));
    MAAS_TRY(maas_sql_query(r, MAAS_SQL_MODEL_LIST, t, NULL, 0, &q, err));
    for (;;) {
        MAAS_TRY(maas_sql_step(r, q, &row, err));
        if (!row)
            break;
        MAAS_TRY(add_model(r, q, list, err));
    }
    MAAS_TRY(join_aliases(r, t, list, err));
    *out = STEAL(list);
    return *out ? MAAS_OK : maas_no_memory(err);
}

/* ---- delete ---- */

maas_status maas_registry_model_delete(maas_registry *r, maas_tenant t, const char *model,
                                       maas_err *err)
{
    int64_t uid;
    bool row;
    MAAS_TRY(maas_name_check("model", model, err));
    AUTO(maas_txn_end) maas_txn tx = {0};
    MAAS_TRY(maas_txn_begin(r, true, &tx, err));
    MAAS_TRY(maas_sql_run(r, MAAS_SQL_ALIASES_DELETE, t, SQL_ARGS(ARG_TEXT(model)), err));
    MAAS_TRY(maas_sql_get_i64(r, MAAS_SQL_VERSIONS_DELETE, t, SQL_ARGS(ARG_TEXT(model)), &row, &uid,
                              err));
    return row ? maas_txn_commit(&tx, true, err) : no_such_model(model, err);
}

/* ---- aliases ---- */

/* "name:3" and a version text of digits mean a number, so an alias has to look different. */
static maas_status alias_check(const char *alias, maas_err *err)
{
    MAAS_TRY(maas_name_check("alias", alias, err));
    if (alias[strspn(alias, "0123456789")] == '\0')
        return maas_fail(err, MAAS_E_INVALID,
                         "alias '%s' reads like a version number; use a name with a letter in it",
                         alias);
    return MAAS_OK;
}

static maas_status check_target(maas_registry *r, maas_tenant t, const char *model, int64_t version,
                                maas_err *err)
{
    AUTO(maas_sql_end) sqlite3_stmt *q = NULL;
    bool row;
    MAAS_TRY(maas_sql_query(r, MAAS_SQL_VERSION_EXISTS, t,
                            SQL_ARGS(ARG_TEXT(model), ARG_INT(version)), &q, err));
    MAAS_TRY(maas_sql_step(r, q, &row, err));
    return row ? MAAS_OK
               : maas_fail(err, MAAS_E_NOT_FOUND, "model '%s' has no version %lld", model,
                           (long long)version);
}

maas_status maas_registry_alias_set(maas_registry *r, maas_tenant t, const char *model,
                                    const char *alias, int64_t version, maas_err *err)
{
    MAAS_TRY(maas_name_check("model", model, err));
    MAAS_TRY(alias_check(alias, err));
    AUTO(maas_txn_end) maas_txn tx = {0};
    MAAS_TRY(maas_txn_begin(r, true, &tx, err));
    MAAS_TRY(check_target(r, t, model, version, err));
    MAAS_TRY(maas_sql_run(r, MAAS_SQL_ALIAS_SET, t,
                          SQL_ARGS(ARG_TEXT(model), ARG_TEXT(alias), ARG_INT(version)), err));
    return maas_txn_commit(&tx, true, err);
}

maas_status maas_registry_alias_delete(maas_registry *r, maas_tenant t, const char *model,
                                       const char *alias, maas_err *err)
{
    int64_t version;
    bool row;
    MAAS_TRY(maas_name_check("model", model, err));
    MAAS_TRY(maas_name_check("alias", alias, err));
    AUTO(maas_txn_end) maas_txn tx = {0};
    MAAS_TRY(maas_txn_begin(r, true, &tx, err));
    MAAS_TRY(maas_sql_get_i64(r, MAAS_SQL_ALIAS_DELETE, t,
                              SQL_ARGS(ARG_TEXT(model), ARG_TEXT(alias)), &row, &version, err));
    if (!row)
        return maas_fail(err, MAAS_E_NOT_FOUND, "model '%s' has no alias '%s'", model, alias);
    return maas_txn_commit(&tx, true, err);
}
