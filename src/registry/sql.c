/*
 * The connection: settings, migrations, and statements that are prepared once and bound by typed
 * arguments. Texts of SQLite never reach an error: words say what to do, the code says what class.
 */
#include "registry/registry_int.h"

#include <errno.h>

#include "base/ban.h"

#define APPLICATION_ID 0x6d616173 /* "maas", in the header of the file */

const maas_sql_row maas_sql_table[MAAS_SQL_N] = {
#define MIGRATION(to_version, text)
#define STATEMENT(name, exempt, text) [MAAS_SQL_##name] = {#name, exempt, text},
#include "registry/sql.def"
#undef STATEMENT
#undef MIGRATION
};

const maas_sql_migration maas_sql_migrations[] = {
#define STATEMENT(name, exempt, text)
#define MIGRATION(to_version, text) {to_version, text},
#include "registry/sql.def"
#undef MIGRATION
#undef STATEMENT
};
const size_t maas_sql_n_migrations = MAAS_COUNT(maas_sql_migrations);

/* ---- errors ---- */

static maas_status fail_io(sqlite3 *db, maas_err *err)
{
    int extended = sqlite3_extended_errcode(db);
    /* As for every file: after a failed fsync only a restart from what is on disk is honest. */
    MAAS_CHECK(extended != SQLITE_IOERR_FSYNC && extended != SQLITE_IOERR_DIR_FSYNC);
    if (extended == SQLITE_IOERR_NOMEM)
        return maas_no_memory(err);
    if (sqlite3_system_errno(db) == ENOSPC || sqlite3_system_errno(db) == EDQUOT)
        return maas_fail(err, MAAS_E_NO_SPACE, "the registry has no space left on its disk");
    return maas_fail(err, MAAS_E_IO, "the registry cannot read or write its disk");
}

static maas_status fail_sql(sqlite3 *db, int code, maas_err *err)
{
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return maas_no_memory(err);
    case SQLITE_FULL:
        return maas_fail(err, MAAS_E_NO_SPACE, "the registry has no space left on its disk");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return maas_fail(err, MAAS_E_BUSY, "another program holds the registry; try again");
    case SQLITE_TOOBIG:
        return maas_fail(err, MAAS_E_TOO_LARGE, "the document is too large for the registry");
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return maas_fail(err, MAAS_E_IO, "the registry may not write to its data directory");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return maas_fail(err, MAAS_E_IO, "the registry is damaged; restore it from a backup");
    case SQLITE_IOERR:
        return fail_io(db, err);
    default:
        return maas_fail(err, MAAS_E_INTERNAL, "the registry failed (code %d)", code);
    }
}

/* ---- statements ---- */

static int bind(sqlite3_stmt *q, int at, const maas_sql_arg *arg)
{
    switch (arg->kind) {
    case MAAS_ARG_INT:
        return sqlite3_bind_int64(q, at, arg->i);
    case MAAS_ARG_TEXT: /* STATIC: the caller keeps it until maas_sql_end() */
        return sqlite3_bind_text(q, at, arg->p, -1, SQLITE_STATIC);
    case MAAS_ARG_BYTES:
        return sqlite3_bind_blob64(q, at, arg->p, arg->n, SQLITE_STATIC);
    }
    return SQLITE_MISUSE;
}

static maas_status start(maas_registry *r, maas_sql_id id, const maas_sql_arg *args, size_t n_args,
                         int first, sqlite3_stmt **out, maas_err *err)
{
    MAAS_CHECK(r->db); /* a blob store has no tables */
    sqlite3_stmt *q = r->stmts[id];
    MAAS_CHECK(!sqlite3_stmt_busy(q));
    MAAS_CHECK(sqlite3_bind_parameter_count(q) == (int)n_args + first - 1);
    for (size_t i = 0; i < n_args; i++) {
        int code = bind(q, first + (int)i, &args[i]);
        if (code != SQLITE_OK) {
            maas_sql_end(&q);
            return fail_sql(r->db, code, err);
        }
    }
    *out = q;
    return MAAS_OK;
}

maas_status maas_sql_query(maas_registry *r, maas_sql_id id, maas_tenant t,
                           const maas_sql_arg *args, size_t n_args, sqlite3_stmt **out,
                           maas_err *err)
{
    MAAS_CHECK(!maas_sql_table[id].exempt && t > 0 && t <= INT64_MAX);
    MAAS_TRY(start(r, id, args, n_args, 2, out, err));
    MAAS_CHECK(sqlite3_bind_int64(*out, 1, (int64_t)t) == SQLITE_OK);
    return MAAS_OK;
}

maas_status maas_sql_query_all(maas_registry *r, maas_sql_id id, const maas_sql_arg *args,
                               size_t n_args, sqlite3_stmt **out, maas_err *err)
{
    MAAS_CHECK(maas_sql_table[id].exempt);
    return start(r, id, args, n_args, 1, out, err);
}

maas_status maas_sql_step(maas_registry *r, sqlite3_stmt *q, bool *out_row, maas_err *err)
{
    int code = sqlite3_step(q);
    *out_row = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE ? MAAS_OK : fail_sql(r->db, code, err);
}

void maas_sql_end(sqlite3_stmt **q)
{
    if (!*q)
        return;
    sqlite3_reset(*q);
    sqlite3_clear_bindings(*q);
    *q = NULL;
}

maas_status maas_sql_run(maas_registry *r, maas_sql_id id, maas_tenant t, const maas_sql_arg *args,
                         size_t n_args, maas_err *err)
{
    AUTO(maas_sql_end) sqlite3_stmt *q = NULL;
    bool row;
    MAAS_TRY(maas_sql_query(r, id, t, args, n_args, &q, err));
    do
        MAAS_TRY(maas_sql_step(r, q, &row, err));
    while (row);
    return MAAS_OK;
}

maas_status maas_sql_get_i64(maas_registry *r, maas_sql_id id, maas_tenant t,
                             const maas_sql_arg *args, size_t n_args, bool *out_row, int64_t *out,
                             maas_err *err)
{
    AUTO(maas_sql_end) sqlite3_stmt *q = NULL;
    MAAS_TRY(maas_sql_query(r, id, t, args, n_args, &q, err));
    MAAS_TRY(maas_sql_step(r, q, out_row, err));
    *out = *out_row ? sqlite3_column_int64(q, 0) : 0;
    bool more = *out_row;
    while (more) /* a statement that writes is complete only at its end */
        MAAS_TRY(maas_sql_step(r, q, &more, err));
    return MAAS_OK;
}

maas_status maas_sql_text(maas_registry *r, sqlite3_stmt *q, int col, const char **out,
                          maas_err *err)
{
    *out = "";
    if (sqlite3_column_type(q, col) == SQLITE_NULL)
        return MAAS_OK;
    const char *text = (const char *)sqlite3_column_text(q, col);
    if (!text)
        return maas_no_memory(err);
    *out = text;
    return MAAS_OK;
}

maas_status maas_sql_json(maas_registry *r, sqlite3_stmt *q, int col, json_t **out, maas_err *err)
{
    const char *text;
    MAAS_TRY(maas_sql_text(r, q, col, &text, err));
    maas_err why = {0};
    maas_status st = maas_json_parse(maas_span_of(text, (size_t)sqlite3_column_bytes(q, col)), out,
                                     &why);
    if (st == MAAS_E_NOMEM)
        return maas_no_memory(err);
    return st ? maas_fail(err, MAAS_E_IO, "the registry is damaged; restore it from a backup")
              : MAAS_OK;
}

/* ---- opening ---- */

static maas_status execute(maas_registry *r, const char *text, maas_err *err)
{
    int code = sqlite3_exec(r->db, text, NULL, NULL, NULL);
    return code == SQLITE_OK ? MAAS_OK : fail_sql(r->db, code, err);
}

static maas_status read_pragma(maas_registry *r, const char *text, int64_t *out, maas_err *err)
{
    sqlite3_stmt *q = NULL;
    int code = sqlite3_prepare_v2(r->db, text, -1, &q, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(q);
    if (code == SQLITE_ROW)
        *out = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return code == SQLITE_ROW ? MAAS_OK : fail_sql(r->db, code, err);
}

static maas_status migrate_one(maas_registry *r, const maas_sql_migration *m, maas_err *err)
{
    char stamp[96];
    snprintf(stamp, sizeof stamp, "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
             APPLICATION_ID, m->to_version);
    maas_status st = execute(r, "BEGIN IMMEDIATE", err);
    if (!st)
        st = execute(r, m->text, err);
    MAAS_CRASH_POINT("registry.migrate");
    if (!st)
        st = execute(r, stamp, err);
    if (st && !sqlite3_get_autocommit(r->db))
        sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
    return st;
}

static maas_status migrate(maas_registry *r, maas_err *err)
{
    int64_t version, app;
    MAAS_TRY(read_pragma(r, "PRAGMA user_version", &version, err));
    MAAS_TRY(read_pragma(r, "PRAGMA application_id", &app, err));
    int newest = maas_sql_migrations[maas_sql_n_migrations - 1].to_version;
    if (version && app != APPLICATION_ID)
        return maas_fail(err, MAAS_E_FORMAT, "maas.db in the data directory is not a registry");
    if (version > newest)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "the data directory was written by a newer maas (schema %lld, this one "
                         "knows up to %d); use that version",
                         (long long)version, newest);
    for (size_t i = 0; i < maas_sql_n_migrations; i++)
        if (maas_sql_migrations[i].to_version > version)
            MAAS_TRY(migrate_one(r, &maas_sql_migrations[i], err));
    return MAAS_OK;
}

static maas_status prepare_all(maas_registry *r, maas_err *err)
{
    for (size_t i = 0; i < MAAS_SQL_N; i++) {
        int code = sqlite3_prepare_v3(r->db, maas_sql_table[i].text, -1, SQLITE_PREPARE_PERSISTENT,
                                      &r->stmts[i], NULL);
        if (code != SQLITE_OK)
            return fail_sql(r->db, code, err);
    }
    return MAAS_OK;
}

maas_status maas_sql_open(maas_registry *r, const char *dir, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf path = MAAS_BUF_INIT(8192);
    maas_buf_printf(&path, "%s/maas.db", dir);
    if (path.failed)
        return maas_fail(err, MAAS_E_INVALID, "the name of the data directory is too long");
    int code = sqlite3_open_v2(path.p, &r->db,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                                   SQLITE_OPEN_EXRESCODE,
                               NULL);
    if (code != SQLITE_OK)
        return fail_sql(r->db, code, err);
    sqlite3_busy_timeout(r->db, MAAS_BUSY_TIMEOUT_MS);
    sqlite3_db_config(r->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    MAAS_TRY(execute(r,
                     "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                     "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
                     "PRAGMA cell_size_check = ON",
                     err));
    MAAS_TRY(migrate(r, err));
    return prepare_all(r, err);
}

void maas_sql_close(maas_registry *r)
{
    for (size_t i = 0; i < MAAS_SQL_N; i++)
        sqlite3_finalize(r->stmts[i]);
    sqlite3_close(r->db); /* NULL is fine */
    r->db = NULL;
}
