/* Data sets, models, versions, aliases: numbers, equality, tenants, refusals. */
#include "reg_test.h"
#include "base/ban.h"

/* ---- data sets ---- */

static json_t *manifest_of(maas_registry *r, const char *content, int rows)
{
    char hex[MAAS_SHA256_HEX];
    put_blob(r, content, hex);
    return json_pack("{s:i,s:[{s:s,s:s,s:s}]}", "rows", rows, "columns", "name", "a", "dtype",
                     "FP32", "blob", hex);
}

static int64_t put_dataset(maas_registry *r, maas_tenant t, const char *name, const char *content,
                           bool expect_created)
{
    AUTO(maas_json_unref) json_t *m = manifest_of(r, content, 3);
    int64_t version = 0;
    bool created = !expect_created;
    MUST(maas_registry_dataset_put(r, t, name, m, &version, &created, err));
    EXPECT_EQ(created, expect_created);
    return version;
}

static void dataset_numbers_count_and_never_come_back(void)
{
    maas_registry *r = open_dir(make_dir());
    EXPECT_EQ(put_dataset(r, TENANT, "d", "one", true), 1);
    EXPECT_EQ(put_dataset(r, TENANT, "d", "one", false), 1);
    EXPECT_EQ(put_dataset(r, TENANT, "d", "two", true), 2);
    EXPECT_EQ(put_dataset(r, TENANT, "d", "one", true), 3); /* equal to 1, but not to the newest */
    EXPECT_EQ(put_dataset(r, TENANT, "e", "one", true), 1);
    EXPECT_EQ(put_dataset(r, OTHER, "d", "one", true), 1);
    MUST(maas_registry_dataset_delete(r, TENANT, "d", err));
    maas_registry_close(r);
    r = open_dir(test_dir);
    EXPECT_EQ(put_dataset(r, TENANT, "d", "one", true), 4);
    maas_registry_close(r);
}

static void datasets_are_read_back(void)
{
    maas_registry *r = open_dir(make_dir());
    AUTO(maas_json_unref) json_t *doc = NULL, *first = NULL, *list = NULL, *none = NULL;
    put_dataset(r, TENANT, "d", "one", true);
    put_dataset(r, TENANT, "d", "two", true);
    put_dataset(r, TENANT, "c", "two", true);
    MUST(maas_registry_dataset_get(r, TENANT, "d", 0, &doc, err));
    EXPECT_STR(str_at(doc, "name"), "d");
    EXPECT_EQ(int_at(doc, "version"), 2);
    EXPECT_EQ(int_at(doc, "rows"), 3);
    EXPECT_EQ(json_array_size(json_object_get(doc, "columns")), 1);
    EXPECT(str_at(doc, "created_at"));
    MUST(maas_registry_dataset_get(r, TENANT, "d", 1, &first, err));
    EXPECT_EQ(int_at(first, "version"), 1);
    EXPECT(!json_equal(json_object_get(doc, "columns"), json_object_get(first, "columns")));
    MUST(maas_registry_dataset_list(r, TENANT, &list, err));
    EXPECT_EQ(json_array_size(list), 2);
    EXPECT_STR(str_at(json_array_get(list, 0), "name"), "c");
    EXPECT_EQ(int_at(json_array_get(list, 1), "version"), 2);
    EXPECT_EQ(int_at(json_array_get(list, 1), "n_versions"), 2);
    MUST(maas_registry_dataset_list(r, OTHER, &none, err));
    EXPECT_EQ(json_array_size(none), 0);
    maas_registry_close(r);
}

static void bad_datasets_are_refused(void)
{
    maas_registry *r = open_dir(make_dir());
    AUTO(maas_json_unref) json_t *m = manifest_of(r, "x", 1);
    AUTO(maas_json_unref) json_t *no_rows = json_pack("{s:[]}", "columns");
    AUTO(maas_json_unref)
    json_t *no_blob = json_pack("{s:i,s:[{s:s}]}", "rows", 1, "columns", "blob",
                                "00000000000000000000000000000000000000000000000000000000000000aa");
    AUTO(maas_json_unref) json_t *no_digest = json_pack("{s:i,s:[{}]}", "rows", 1, "columns");
    json_t *out = NULL;
    int64_t v;
    bool c;
    FAILS(maas_registry_dataset_put(r, TENANT, "../x", m, &v, &c, err), MAAS_E_INVALID, "'../x'");
    FAILS(maas_registry_dataset_put(r, TENANT, "d", no_rows, &v, &c, err), MAAS_E_INVALID, "rows");
    FAILS(maas_registry_dataset_put(r, TENANT, "d", no_blob, &v, &c, err), MAAS_E_NOT_FOUND,
          "does not exist");
    FAILS(maas_registry_dataset_put(r, TENANT, "d", no_digest, &v, &c, err), MAAS_E_INVALID,
          "SHA-256");
    FAILS(maas_registry_dataset_get(r, TENANT, "d", 0, &out, err), MAAS_E_NOT_FOUND, "'d'");
    FAILS(maas_registry_dataset_delete(r, TENANT, "d", err), MAAS_E_NOT_FOUND, "'d'");
    EXPECT_EQ(put_dataset(r, TENANT, "d", "x", true), 1); /* refusals used no number */
    FAILS(maas_registry_dataset_get(r, TENANT, "d", 2, &out, err), MAAS_E_NOT_FOUND, "version 2");
    FAILS(maas_registry_dataset_get(r, OTHER, "d", 0, &out, err), MAAS_E_NOT_FOUND, "'d'");
    FAILS(maas_registry_dataset_delete(r, OTHER, "d", err), MAAS_E_NOT_FOUND, "'d'");
    maas_registry_close(r);
}

/* ---- versions ---- */

static void version_numbers_count_and_never_come_back(void)
{
    maas_registry *r = open_dir(make_dir());
    int64_t v;
    bool created = true;
    EXPECT_EQ(put_version(r, TENANT, "m", "one"), 1);
    MUST(try_version(r, TENANT, "m", "one", &v, &created, err));
    EXPECT(v == 1 && !created);
    EXPECT_EQ(put_version(r, TENANT, "m", "two"), 2);
    EXPECT_EQ(put_version(r, TENANT, "m", "one"), 3);
    EXPECT_EQ(put_version(r, TENANT, "n", "one"), 1);
    EXPECT_EQ(put_version(r, OTHER, "m", "one"), 1);
    MUST(maas_registry_version_delete(r, TENANT, "m", 3, err));
    EXPECT_EQ(put_version(r, TENANT, "m", "one"), 4);
    MUST(maas_registry_model_delete(r, TENANT, "m", err));
    maas_registry_close(r);
    r = open_dir(test_dir);
    EXPECT_EQ(put_version(r, TENANT, "m", "one"), 5);
    maas_registry_close(r);
}

static void versions_are_read_back(void)
{
    maas_registry *r = open_dir(make_dir());
    AUTO(maas_json_unref) json_t *doc = NULL;
    char hex[2][MAAS_SHA256_HEX];
    put_blob(r, "graph", hex[0]);
    put_blob(r, "labels", hex[1]);
    AUTO(maas_json_unref)
    json_t *files = json_pack("{s:s,s:s}", "m.onnx", hex[0], "a/labels", hex[1]);
    AUTO(maas_json_unref) json_t *inputs = json_pack("[{s:s}]", "name", "x");
    AUTO(maas_json_unref) json_t *outputs = json_pack("[{s:s}]", "name", "y");
    AUTO(maas_json_unref) json_t *metrics = json_pack("{s:f}", "accuracy", 0.875);
    AUTO(maas_json_unref)
    json_t *lineage = json_pack("{s:{s:s,s:i},s:n}", "dataset", "name", "d", "version", 3,
                                "parent");
    AUTO(maas_json_unref) json_t *info = json_pack("{s:[s,s]}", "columns", "a", "b");
    maas_version_in in = {files, "onnx", "m.onnx", inputs, outputs, metrics, lineage, info};
    int64_t v;
    bool created;
    MUST(maas_registry_version_put(r, TENANT, "m", &in, &v, &created, err));
    maas_registry_close(r);
    r = open_dir(test_dir);
    MUST(maas_registry_version_get(r, TENANT, "m", v, &doc, err));
    EXPECT_STR(str_at(doc, "name"), "m");
    EXPECT_STR(str_at(doc, "format"), "onnx");
    EXPECT_STR(str_at(doc, "artifact"), "m.onnx");
    EXPECT(json_equal(json_object_get(doc, "files"), files));
    EXPECT(json_equal(json_object_get(doc, "inputs"), inputs));
    EXPECT(json_equal(json_object_get(doc, "outputs"), outputs));
    EXPECT(json_equal(json_object_get(doc, "metrics"), metrics));
    EXPECT(json_equal(json_object_get(doc, "lineage"), lineage));
    EXPECT(json_equal(json_object_get(doc, "info"), info));
    maas_registry_close(r);
}

static void metrics_and_lineage_do_not_make_a_new_version(void)
{
    maas_registry *r = open_dir(make_dir());
    char hex[MAAS_SHA256_HEX];
    put_blob(r, "graph", hex);
    AUTO(maas_json_unref) json_t *files = json_pack("{s:s}", "m", hex);
    AUTO(maas_json_unref) json_t *io = json_pack("[{s:s}]", "name", "x");
    AUTO(maas_json_unref) json_t *io2 = json_pack("[{s:s}]", "name", "z");
    AUTO(maas_json_unref) json_t *metrics = json_pack("{s:f}", "accuracy", 0.875);
    maas_version_in in = {
        .files = files, .format = "onnx", .artifact = "m", .inputs = io, .outputs = io};
    int64_t v;
    bool created;
    MUST(maas_registry_version_put(r, TENANT, "m", &in, &v, &created, err));
    in.metrics = metrics;
    MUST(maas_registry_version_put(r, TENANT, "m", &in, &v, &created, err));
    EXPECT(v == 1 && !created);
    in.outputs = io2;
    MUST(maas_registry_version_put(r, TENANT, "m", &in, &v, &created, err));
    EXPECT(v == 2 && created);
    maas_registry_close(r);
}

static void bad_versions_are_refused(void)
{
    maas_registry *r = open_dir(make_dir());
    char hex[MAAS_SHA256_HEX];
    put_blob(r, "graph", hex);
    AUTO(maas_json_unref) json_t *good = json_pack("{s:s}", "m", hex);
    AUTO(maas_json_unref) json_t *io = json_array(), *empty = json_object();
    maas_version_in in = {
        .files = good, .format = "onnx", .artifact = "m", .inputs = io, .outputs = io};
    int64_t v;
    bool c;
    static const char *const names[] = {"",    "-a",  ".a",   "a b",  "a/b",
                                        "a:1", "a@b", "\xff", "stats"};
    for (size_t i = 0; i < MAAS_COUNT(names); i++)
        FAILS(maas_registry_version_put(r, TENANT, names[i], &in, &v, &c, err), MAAS_E_INVALID,
              "name");
    static const char *const files[] = {"",    "/a",   "a/",   "../a", "a/../b",
                                        "./a", "a//b", "a\\b", "a\nb"};
    for (size_t i = 0; i < MAAS_COUNT(files); i++) {
        AUTO(maas_json_unref) json_t *bad = json_pack("{s:s,s:s}", "m", hex, files[i], hex);
        in.files = bad;
        FAILS(maas_registry_version_put(r, TENANT, "m", &in, &v, &c, err), MAAS_E_INVALID, "files");
    }
    in.files = empty;
    FAILS(maas_registry_version_put(r, TENANT, "m", &in, &v, &c, err), MAAS_E_INVALID, "files");
    in.files = good, in.artifact = "other";
    FAILS(maas_registry_version_put(r, TENANT, "m", &in, &v, &c, err), MAAS_E_INVALID, "'other'");
    in.artifact = "m", in.inputs = empty;
    FAILS(maas_registry_version_put(r, TENANT, "m", &in, &v, &c, err), MAAS_E_INVALID, "inputs");
    in.inputs = io;
    AUTO(maas_json_unref)
    json_t *absent = json_pack("{s:s}", "m",
                               "00000000000000000000000000000000000000000000000000000000000000aa");
    in.files = absent;
    FAILS(maas_registry_version_put(r, TENANT, "m", &in, &v, &c, err), MAAS_E_NOT_FOUND,
          "upload it");
    in.files = good;
    MUST(maas_registry_version_put(r, TENANT, "m", &in, &v, &c, err));
    EXPECT_EQ(v, 1); /* refusals used no number */
    maas_registry_close(r);
}

static void names_at_their_limits(void)
{
    char name[MAAS_MAX_NAME + 2];
    memset(name, 'x', sizeof name);
    name[MAAS_MAX_NAME] = '\0';
    EXPECT(maas_name_valid(name));
    name[MAAS_MAX_NAME] = 'x';
    name[MAAS_MAX_NAME + 1] = '\0';
    EXPECT(!maas_name_valid(name));
    EXPECT(maas_name_valid("a") && maas_name_valid("9.b_c-D"));
    EXPECT(!maas_name_valid(NULL));
}

/* ---- aliases, models ---- */

static void aliases_move_and_hold_their_version(void)
{
    maas_registry *r = open_dir(make_dir());
    AUTO(maas_json_unref) json_t *doc = NULL, *list = NULL;
    put_version(r, TENANT, "m", "one");
    put_version(r, TENANT, "m", "two");
    put_version(r, TENANT, "a", "two");
    MUST(maas_registry_alias_set(r, TENANT, "m", "production", 1, err));
    MUST(maas_registry_alias_set(r, TENANT, "m", "canary", 2, err));
    FAILS(maas_registry_version_delete(r, TENANT, "m", 1, err), MAAS_E_CONFLICT, "'production'");
    MUST(maas_registry_alias_set(r, TENANT, "m", "production", 2, err));
    MUST(maas_registry_model_get(r, TENANT, "m", &doc, err));
    EXPECT_EQ(json_array_size(json_object_get(doc, "versions")), 2);
    EXPECT_EQ(int_at(json_object_get(doc, "aliases"), "production"), 2);
    MUST(maas_registry_version_delete(r, TENANT, "m", 1, err));
    MUST(maas_registry_model_list(r, TENANT, &list, err));
    EXPECT_EQ(json_array_size(list), 2);
    EXPECT_STR(str_at(json_array_get(list, 0), "name"), "a");
    EXPECT_EQ(json_object_size(json_object_get(json_array_get(list, 0), "aliases")), 0);
    EXPECT_EQ(int_at(json_object_get(json_array_get(list, 1), "aliases"), "canary"), 2);
    MUST(maas_registry_alias_delete(r, TENANT, "m", "canary", err));
    FAILS(maas_registry_alias_delete(r, TENANT, "m", "canary", err), MAAS_E_NOT_FOUND, "'canary'");
    MUST(maas_registry_model_delete(r, TENANT, "m", err)); /* with the alias that is left */
    json_t *none = NULL;
    FAILS(maas_registry_model_get(r, TENANT, "m", &none, err), MAAS_E_NOT_FOUND, "'m'");
    maas_registry_close(r);
}

static void bad_aliases_are_refused(void)
{
    maas_registry *r = open_dir(make_dir());
    put_version(r, TENANT, "m", "one");
    FAILS(maas_registry_alias_set(r, TENANT, "m", "12", 1, err), MAAS_E_INVALID, "version number");
    FAILS(maas_registry_alias_set(r, TENANT, "m", "a b", 1, err), MAAS_E_INVALID, "alias name");
    FAILS(maas_registry_alias_set(r, TENANT, "m", "x", 2, err), MAAS_E_NOT_FOUND, "version 2");
    FAILS(maas_registry_alias_set(r, TENANT, "n", "x", 1, err), MAAS_E_NOT_FOUND, "'n'");
    FAILS(maas_registry_alias_set(r, OTHER, "m", "x", 1, err), MAAS_E_NOT_FOUND, "'m'");
    FAILS(maas_registry_version_delete(r, OTHER, "m", 1, err), MAAS_E_NOT_FOUND, "'m'");
    FAILS(maas_registry_version_delete(r, TENANT, "m", 9, err), MAAS_E_NOT_FOUND, "version 9");
    FAILS(maas_registry_model_delete(r, OTHER, "m", err), MAAS_E_NOT_FOUND, "'m'");
    maas_registry_close(r);
}

/* Random operations of four tenants against a model of plain counters: nothing leaks across. */
static void tenants_never_see_each_other(void)
{
    enum { TENANTS = 4, MODELS = 3, STEPS = 400 };
    int64_t last[TENANTS][MODELS] = {0};
    bool there[TENANTS][MODELS] = {0};
    maas_registry *r = open_dir(make_dir());
    uint64_t seed = maas_wall_ms();
    maas_rng rng;
    maas_rng_seed(&rng, seed);
    printf("seed %llu\n", (unsigned long long)seed);
    for (int step = 0; step < STEPS; step++) {
        int t = (int)maas_rng_below(&rng, TENANTS), m = (int)maas_rng_below(&rng, MODELS);
        char name[8], content[32];
        snprintf(name, sizeof name, "m%d", m);
        snprintf(content, sizeof content, "content %d", step);
        if (maas_rng_below(&rng, 4) == 0) {
            EXPECT_EQ(maas_registry_model_delete(r, (maas_tenant)t + 1, name, NULL),
                      there[t][m] ? MAAS_OK : MAAS_E_NOT_FOUND);
            there[t][m] = false;
        } else {
            EXPECT_EQ(put_version(r, (maas_tenant)t + 1, name, content), ++last[t][m]);
            there[t][m] = true;
        }
    }
    const maas_snapshot *s = maas_registry_snapshot(r);
    for (int t = 0; t < TENANTS; t++) {
        unsigned n = 0;
        for (int m = 0; m < MODELS; m++)
            n += there[t][m];
        AUTO(maas_json_unref) json_t *list = NULL;
        MUST(maas_registry_model_list(r, (maas_tenant)t + 1, &list, err));
        EXPECT_EQ(json_array_size(list), n);
        EXPECT_EQ(maas_snapshot_n_models(s, (maas_tenant)t + 1), n);
    }
    maas_snapshot_unref(s);
    maas_registry_close(r);
}

int main(int argc, char **argv)
{
    static const mt_case cases[] = {
        MT_CASE(dataset_numbers_count_and_never_come_back),
        MT_CASE(datasets_are_read_back),
        MT_CASE(bad_datasets_are_refused),
        MT_CASE(version_numbers_count_and_never_come_back),
        MT_CASE(versions_are_read_back),
        MT_CASE(metrics_and_lineage_do_not_make_a_new_version),
        MT_CASE(bad_versions_are_refused),
        MT_CASE(names_at_their_limits),
        MT_CASE(aliases_move_and_hold_their_version),
        MT_CASE(bad_aliases_are_refused),
        MT_CASE(tenants_never_see_each_other),
    };
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
