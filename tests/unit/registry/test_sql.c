/* The statement table, the migrations, the schema. */
#include <fcntl.h>
#include <sqlite3.h>

#include "reg_test.h"
#include "registry/registry_int.h"
#include "base/ban.h"

static void every_statement_names_its_tenant_or_a_reason(void)
{
    size_t n_exempt = 0;
    for (size_t i = 0; i < MAAS_SQL_N; i++) {
        const maas_sql_row *row = &maas_sql_table[i];
        bool inserts = strncmp(row->text, "INSERT", 6) == 0;
        const char *wanted = inserts ? "(tenant_id, " : "tenant_id = ?1";
        if (row->exempt) {
            n_exempt++;
            EXPECT_MSG(strlen(row->exempt) > 10, "%s: a reason is a sentence", row->name);
            continue;
        }
        EXPECT_MSG(strstr(row->text, wanted), "%s has no '%s'", row->name, wanted);
        EXPECT_MSG(!inserts || strstr(row->text, "VALUES (?1, "), "%s: ?1 is the tenant",
                   row->name);
    }
    EXPECT_EQ(n_exempt, 9); /* a new one deserves a look */
}

static sqlite3 *open_raw(void)
{
    sqlite3 *db = NULL;
    char path[96];
    snprintf(path, sizeof path, "%s/maas.db", test_dir);
    EXPECT_EQ(sqlite3_open(path, &db), SQLITE_OK);
    return db;
}

static void raw(const char *text)
{
    sqlite3 *db = open_raw();
    char *why = NULL;
    EXPECT_MSG(sqlite3_exec(db, text, NULL, NULL, &why) == SQLITE_OK, "%s", why);
    sqlite3_free(why);
    sqlite3_close(db);
}

static long long raw_i64(const char *text)
{
    sqlite3 *db = open_raw();
    sqlite3_stmt *q = NULL;
    EXPECT_EQ(sqlite3_prepare_v2(db, text, -1, &q, NULL), SQLITE_OK);
    EXPECT_EQ(sqlite3_step(q), SQLITE_ROW);
    long long value = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(db);
    return value;
}

static int count_row(void *n, int n_cols, char **values, char **names)
{
    (void)n_cols, (void)names;
    if (strncmp(values[0], "sqlite_", 7) != 0)
        ++*(int *)n;
    return 0;
}

static void every_table_has_a_tenant(void)
{
    maas_registry_close(open_dir(make_dir()));
    sqlite3 *db = open_raw();
    int n_tables = 0, n_with = 0;
    sqlite3_exec(db, "SELECT name FROM sqlite_schema WHERE type = 'table'", count_row, &n_tables,
                 NULL);
    sqlite3_exec(db,
                 "SELECT s.name FROM sqlite_schema s, pragma_table_info(s.name) c"
                 " WHERE s.type = 'table' AND c.name = 'tenant_id' AND c.\"notnull\"",
                 count_row, &n_with, NULL);
    EXPECT_EQ(n_tables, 12);
    EXPECT_EQ(n_with, n_tables);
    sqlite3_close(db);
}

static void the_connection_is_set_up_to_last(void)
{
    maas_registry *r = open_dir(make_dir());
    static const struct {
        const char *pragma, *value;
    } rows[] = {{"journal_mode", "wal"}, {"synchronous", "2"},  {"foreign_keys", "1"},
                {"trusted_schema", "0"}, {"user_version", "1"}, {"busy_timeout", "5000"}};
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        char text[64];
        sqlite3_stmt *q = NULL;
        snprintf(text, sizeof text, "PRAGMA %s", rows[i].pragma);
        EXPECT_EQ(sqlite3_prepare_v2(r->db, text, -1, &q, NULL), SQLITE_OK);
        EXPECT_EQ(sqlite3_step(q), SQLITE_ROW);
        EXPECT_STR((const char *)sqlite3_column_text(q, 0), rows[i].value);
        sqlite3_finalize(q);
    }
    maas_registry_close(r);
}

static void migrations_go_up_by_one(void)
{
    for (size_t i = 0; i < maas_sql_n_migrations; i++)
        EXPECT_EQ(maas_sql_migrations[i].to_version, i + 1);
}

/* ---- data directories of released schemas ---- */

static void load_dump(const char *name)
{
    char path[512];
    maas_buf text = MAAS_BUF_INIT(1 << 20);
    AUTO_FD fd = -1;
    snprintf(path, sizeof path, "%s/registry/%s", TEST_DATA, name);
    MUST(maas_sys_open(path, O_RDONLY, &fd, err));
    MUST(maas_sys_read_all(fd, &text, err));
    raw(text.p);
    maas_buf_reset(&text);
    AUTO_FD pepper = -1;
    snprintf(path, sizeof path, "%s/pepper", test_dir);
    MUST(maas_sys_open(path, O_CREAT | O_WRONLY, &pepper, err));
    MUST(maas_sys_write(pepper, "0123456789abcdef0123456789abcdef", MAAS_PEPPER_BYTES, err));
}

/* What schema1.sql was made with; the key is of no other directory in the world. */
static void schema_1_is_read_to_the_last_row(void)
{
    make_dir();
    load_dump("schema1.sql");
    maas_registry *r = open_dir(test_dir);
    const maas_snapshot *s = maas_registry_snapshot(r);
    const maas_snap_version *v;
    maas_principal who;
    MUST(maas_snapshot_resolve(s, TENANT, "fashion", NULL, NULL, &v, err));
    EXPECT_EQ(v->version, 1); /* production, though 2 is newer */
    MUST(maas_snapshot_resolve(s, TENANT, "fashion:2", NULL, NULL, &v, err));
    EXPECT_EQ(v->uid, 2);
    MUST(maas_snapshot_authenticate(
        s, "mk_KQ1XUS7P5G_YTLaKibtLSGwgQze6Uve1GnlWXXirOqJvkAhOzqUFPh_3a0PKQ", &who, err));
    EXPECT_EQ(who.scopes, MAAS_SCOPE_ADMIN | MAAS_SCOPE_INFER);
    maas_snapshot_unref(s);
    AUTO(maas_json_unref) json_t *version = NULL, *data = NULL, *jobs = NULL;
    MUST(maas_registry_version_get(r, TENANT, "fashion", 1, &version, err));
    EXPECT_EQ(int_at(json_object_get(version, "lineage"), "seed"), 7);
    EXPECT_EQ(json_object_size(json_object_get(version, "files")), 1);
    MUST(maas_registry_dataset_get(r, TENANT, "train", 0, &data, err));
    EXPECT_EQ(int_at(data, "rows"), 3);
    MUST(maas_registry_job_list(r, TENANT, "succeeded", &jobs, err));
    EXPECT_EQ(json_array_size(jobs), 1);
    maas_registry_close(r);
    EXPECT_EQ(raw_i64("SELECT count(*) FROM idempotency"), 1);
    EXPECT_EQ(raw_i64("PRAGMA user_version"),
              maas_sql_migrations[maas_sql_n_migrations - 1].to_version);
    EXPECT_EQ(raw_i64("SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

static void a_schema_from_the_future_is_refused(void)
{
    maas_registry *r;
    maas_registry_close(open_dir(make_dir()));
    raw("PRAGMA user_version = 999");
    FAILS(maas_registry_open(test_dir, &r, err), MAAS_E_UNSUPPORTED, "newer maas (schema 999");
}

static void foreign_databases_and_rubbish_are_refused(void)
{
    maas_registry *r;
    make_dir();
    raw("CREATE TABLE t (x); PRAGMA user_version = 1");
    FAILS(maas_registry_open(test_dir, &r, err), MAAS_E_FORMAT, "not a registry");
    EXPECT_EQ(raw_i64("SELECT count(*) FROM t"), 0); /* and left as it was */
    char path[96];
    snprintf(path, sizeof path, "%s/maas.db", test_dir);
    FILE *f = fopen(path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is no database", f);
    fclose(f);
    FAILS(maas_registry_open(test_dir, &r, err), MAAS_E_IO, "damaged");
}

static void damaged_documents_are_said_to_be_damaged(void)
{
    maas_registry *r = open_dir(make_dir());
    json_t *out = NULL;
    put_version(r, TENANT, "m", "one");
    maas_registry_close(r);
    raw("UPDATE versions SET inputs = '[{'");
    r = open_dir(test_dir);
    FAILS(maas_registry_version_get(r, TENANT, "m", 1, &out, err), MAAS_E_IO, "damaged");
    maas_registry_close(r);
}

static void the_schema_itself_refuses_dangling_rows(void)
{
    static const char *const bad[] = {
        "INSERT INTO aliases (tenant_id, model, alias, version) VALUES (1, 'm', 'x', 7)",
        "INSERT INTO aliases (tenant_id, model, alias, version) VALUES (2, 'm', 'x', 1)",
        "INSERT INTO version_files (tenant_id, uid, path, digest) VALUES (1, 99, 'a', 'b')",
        "DELETE FROM models",
        "UPDATE versions SET version = 2",
    };
    maas_registry *r = open_dir(make_dir());
    put_version(r, TENANT, "m", "one");
    MUST(maas_registry_alias_set(r, TENANT, "m", "production", 1, err));
    for (size_t i = 0; i < MAAS_COUNT(bad); i++)
        EXPECT_MSG(sqlite3_exec(r->db, bad[i], NULL, NULL, NULL) == SQLITE_CONSTRAINT_FOREIGNKEY,
                   "%s", bad[i]);
    maas_registry_close(r);
}

int main(int argc, char **argv)
{
    static const mt_case cases[] = {
        MT_CASE(every_statement_names_its_tenant_or_a_reason),
        MT_CASE(every_table_has_a_tenant),
        MT_CASE(the_connection_is_set_up_to_last),
        MT_CASE(migrations_go_up_by_one),
        MT_CASE(schema_1_is_read_to_the_last_row),
        MT_CASE(a_schema_from_the_future_is_refused),
        MT_CASE(foreign_databases_and_rubbish_are_refused),
        MT_CASE(damaged_documents_are_said_to_be_damaged),
        MT_CASE(the_schema_itself_refuses_dangling_rows),
    };
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
