/* The snapshot: how names resolve, what is immutable, how fast it is. */
#include <sqlite3.h>

#include "reg_test.h"
#include "base/ban.h"

static int64_t resolve(const maas_snapshot *s, const char *model, const char *version)
{
    const maas_snap_version *v = NULL;
    const char *name = NULL;
    MUST(maas_snapshot_resolve(s, TENANT, model, version, &name, &v, err));
    EXPECT_STR(name, "m");
    return v ? v->version : -1;
}

static maas_registry *with_models(void)
{
    maas_registry *r = open_dir(make_dir());
    put_version(r, TENANT, "m", "one");
    put_version(r, TENANT, "m", "two");
    put_version(r, TENANT, "m", "three");
    put_version(r, OTHER, "theirs", "one");
    MUST(maas_registry_version_delete(r, TENANT, "m", 2, err));
    MUST(maas_registry_alias_set(r, TENANT, "m", "canary", 1, err));
    return r;
}

static void names_resolve_by_the_rules(void)
{
    maas_registry *r = with_models();
    const maas_snapshot *s = maas_registry_snapshot(r);
    EXPECT_EQ(resolve(s, "m", NULL), 3); /* no @production: the newest */
    EXPECT_EQ(resolve(s, "m", ""), 3);
    EXPECT_EQ(resolve(s, "m:1", NULL), 1);
    EXPECT_EQ(resolve(s, "m@canary", NULL), 1);
    EXPECT_EQ(resolve(s, "m", "3"), 3);
    EXPECT_EQ(resolve(s, "m", "canary"), 1);
    EXPECT_EQ(resolve(s, "m:1", "1"), 1);
    maas_snapshot_unref(s);
    MUST(maas_registry_alias_set(r, TENANT, "m", "production", 1, err));
    s = maas_registry_snapshot(r);
    EXPECT_EQ(resolve(s, "m", NULL), 1);
    EXPECT_EQ(resolve(s, "m:3", NULL), 3);
    maas_snapshot_unref(s);
    maas_registry_close(r);
}

static void what_does_not_resolve_says_why(void)
{
    static const struct {
        const char *model, *version, *words;
        maas_status status;
    } rows[] = {
        {"x", NULL, "'x' does not exist", MAAS_E_NOT_FOUND},
        {"theirs", NULL, "'theirs' does not exist", MAAS_E_NOT_FOUND},
        {"m:2", NULL, "no version '2'", MAAS_E_NOT_FOUND},
        {"m:0", NULL, "no version '0'", MAAS_E_NOT_FOUND},
        {"m", "99999999999999999999999", "has no", MAAS_E_NOT_FOUND},
        {"m@none", NULL, "no alias 'none'", MAAS_E_NOT_FOUND},
        {"m", "none", "no alias 'none'", MAAS_E_NOT_FOUND},
        {"m:", NULL, "once", MAAS_E_INVALID},
        {"m@", NULL, "once", MAAS_E_INVALID},
        {"m:1", "3", "once", MAAS_E_INVALID},
        {"m@canary", "1", "once", MAAS_E_INVALID},
        {"m:canary", NULL, "is a number", MAAS_E_INVALID},
        {"", NULL, "does not exist", MAAS_E_NOT_FOUND},
        {":1", NULL, "does not exist", MAAS_E_NOT_FOUND},
        {"m\xff", NULL, "does not exist", MAAS_E_NOT_FOUND},
    };
    maas_registry *r = with_models();
    const maas_snapshot *s = maas_registry_snapshot(r);
    const maas_snap_version *v;
    for (size_t i = 0; i < MAAS_COUNT(rows); i++)
        FAILS(maas_snapshot_resolve(s, TENANT, rows[i].model, rows[i].version, NULL, &v, err),
              rows[i].status, rows[i].words);
    char endless[100000];
    memset(endless, 'm', sizeof endless);
    endless[sizeof endless - 1] = '\0';
    FAILS(maas_snapshot_resolve(s, TENANT, endless, NULL, NULL, &v, err), MAAS_E_NOT_FOUND, "mmm");
    maas_snapshot_unref(s);
    maas_registry_close(r);
}

static void a_snapshot_stays_what_it_was(void)
{
    maas_registry *r = with_models();
    const maas_snapshot *old = maas_registry_snapshot(r);
    uint64_t generation = maas_registry_generation(r);
    MUST(maas_registry_model_delete(r, TENANT, "m", err));
    EXPECT(maas_registry_generation(r) != generation);
    EXPECT_EQ(resolve(old, "m", NULL), 3);
    const maas_snapshot *now = maas_registry_snapshot(r);
    EXPECT_EQ(maas_snapshot_n_models(now, TENANT), 0);
    maas_snapshot_unref(now);
    maas_registry_close(r);
    EXPECT_EQ(resolve(old, "m", "canary"), 1); /* it outlives even the registry */
    maas_snapshot_unref(old);
    maas_snapshot_unref(NULL);
}

static void jobs_and_data_sets_change_no_snapshot(void)
{
    maas_registry *r = with_models();
    uint64_t generation = maas_registry_generation(r);
    AUTO(maas_json_unref) json_t *spec = json_pack("{s:s}", "kind", "train");
    char id[32];
    MUST(maas_registry_job_create(r, TENANT, spec, id, err));
    put_version(r, TENANT, "m", "three"); /* equal to the newest */
    EXPECT_EQ(maas_registry_generation(r), generation);
    maas_registry_close(r);
}

static void a_uid_is_never_used_again(void)
{
    maas_registry *r = open_dir(make_dir());
    uint64_t last = 0;
    for (int i = 0; i < 5; i++) {
        put_version(r, TENANT, "m", "one");
        const maas_snapshot *s = maas_registry_snapshot(r);
        const maas_snap_version *v = NULL;
        MUST(maas_snapshot_resolve(s, TENANT, "m", NULL, NULL, &v, err));
        EXPECT(v->uid > last);
        last = v->uid;
        maas_snapshot_unref(s);
        MUST(maas_registry_model_delete(r, TENANT, "m", err));
        if (i % 2) {
            maas_registry_close(r);
            r = open_dir(test_dir);
        }
    }
    maas_registry_close(r);
}

static void models_are_listed_by_tenant_in_order(void)
{
    maas_registry *r = open_dir(make_dir());
    static const char *const names[] = {"b", "a", "c"};
    for (size_t i = 0; i < MAAS_COUNT(names); i++)
        put_version(r, TENANT, names[i], names[i]);
    put_version(r, OTHER, "x", "x");
    put_version(r, 7, "y", "y");
    const maas_snapshot *s = maas_registry_snapshot(r);
    const maas_snap_version *v;
    uint32_t n;
    EXPECT_EQ(maas_snapshot_n_models(s, TENANT), 3);
    EXPECT_STR(maas_snapshot_model(s, TENANT, 0, &v, &n), "a");
    EXPECT_STR(maas_snapshot_model(s, TENANT, 2, &v, &n), "c");
    EXPECT_STR(maas_snapshot_model(s, OTHER, 0, &v, &n), "x");
    EXPECT(n == 1 && v[0].version == 1);
    EXPECT_EQ(maas_snapshot_n_models(s, 3), 0);
    EXPECT_STR(maas_snapshot_model(s, 7, 0, &v, &n), "y");
    maas_snapshot_unref(s);
    maas_registry_close(r);
}

/* Rows straight into the file: 10,000 publications are not what is measured here. */
static void ten_thousand_models(void)
{
    enum { N = 10000 };
    maas_registry *r = open_dir(make_dir());
    put_version(r, TENANT, "seed", "one");
    maas_registry_close(r);
    sqlite3 *db = NULL;
    char path[96], name[32];
    snprintf(path, sizeof path, "%s/maas.db", test_dir);
    EXPECT_EQ(sqlite3_open(path, &db), SQLITE_OK);
    EXPECT_EQ(
        sqlite3_exec(
            db,
            "BEGIN; WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n"
            " WHERE i < 9999) INSERT INTO models SELECT 1, 'model-' || i, 1 FROM n;"
            "INSERT INTO versions (tenant_id, model, version, digest, format, artifact,"
            " artifact_digest, inputs, outputs, metrics, info, created_ms) SELECT 1, m.name, 1,"
            " v.digest, v.format, v.artifact, v.artifact_digest, '[]', '[]', 'null', 'null', 0"
            " FROM models m, versions v WHERE m.name != 'seed' AND v.uid = 1; COMMIT",
            NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    r = open_dir(test_dir);
    uint64_t start = maas_now_ns();
    put_version(r, TENANT, "one-more", "x");
    uint64_t publish_ns = maas_now_ns() - start;
    const maas_snapshot *s = maas_registry_snapshot(r);
    EXPECT_EQ(maas_snapshot_n_models(s, TENANT), N + 2);
    const maas_snap_version *v = NULL;
    start = maas_now_ns();
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "model-%d", i);
        if (maas_snapshot_resolve(s, TENANT, name, NULL, NULL, &v, NULL) != MAAS_OK)
            EXPECT_MSG(false, "%s", name);
    }
    printf("publish with 10,000 models: %.1f ms; resolve and print of a name: %.0f ns\n",
           (double)publish_ns / 1e6, (double)(maas_now_ns() - start) / N);
    maas_snapshot_unref(s);
    maas_registry_close(r);
}

int main(int argc, char **argv)
{
    static const mt_case cases[] = {
        MT_CASE(names_resolve_by_the_rules),   MT_CASE(what_does_not_resolve_says_why),
        MT_CASE(a_snapshot_stays_what_it_was), MT_CASE(jobs_and_data_sets_change_no_snapshot),
        MT_CASE(a_uid_is_never_used_again),    MT_CASE(models_are_listed_by_tenant_in_order),
        MT_CASE(ten_thousand_models),
    };
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
