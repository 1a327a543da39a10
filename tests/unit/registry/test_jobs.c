/* Rows of jobs and of idempotency keys. */
#include <sqlite3.h>

#include "reg_test.h"
#include "base/ban.h"

static void new_job(maas_registry *r, maas_tenant t, char id[32])
{
    AUTO(maas_json_unref) json_t *spec = json_pack("{s:s,s:s}", "kind", "train", "model", "m");
    MUST(maas_registry_job_create(r, t, spec, id, err));
}

static maas_status set_state(maas_registry *r, maas_tenant t, const char *id, const char *state,
                             maas_err *err)
{
    AUTO(maas_json_unref) json_t *fields = json_pack("{s:s}", "state", state);
    return maas_registry_job_update(r, t, id, fields, err);
}

static void a_job_is_born_queued_and_grows(void)
{
    maas_registry *r = open_dir(make_dir());
    AUTO(maas_json_unref) json_t *doc = NULL, *later = NULL;
    char id[32];
    new_job(r, TENANT, id);
    MUST(maas_registry_job_get(r, TENANT, id, &doc, err));
    EXPECT_STR(str_at(doc, "id"), id);
    EXPECT_STR(str_at(doc, "kind"), "train");
    EXPECT_STR(str_at(doc, "state"), "queued");
    EXPECT(json_real_value(json_object_get(doc, "progress")) == 0);
    EXPECT(json_is_null(json_object_get(doc, "error")) &&
           json_is_null(json_object_get(doc, "result")));
    EXPECT_STR(str_at(json_object_get(doc, "spec"), "model"), "m");
    AUTO(maas_json_unref)
    json_t *fields = json_pack("{s:s,s:f,s:{s:f}}", "state", "running", "progress", 0.5, "metrics",
                               "loss", 0.25);
    MUST(maas_registry_job_update(r, TENANT, id, fields, err));
    maas_registry_close(r);
    r = open_dir(test_dir);
    MUST(maas_registry_job_get(r, TENANT, id, &later, err));
    EXPECT_STR(str_at(later, "state"), "running");
    EXPECT_NEAR(json_real_value(json_object_get(later, "progress")), 0.5, 0);
    EXPECT_NEAR(json_real_value(json_object_get(json_object_get(later, "metrics"), "loss")), 0.25,
                0);
    EXPECT(json_equal(json_object_get(later, "spec"), json_object_get(doc, "spec")));
    maas_registry_close(r);
}

static void what_ended_stays_ended(void)
{
    static const char *const ends[] = {"succeeded", "failed", "cancelled"};
    maas_registry *r = open_dir(make_dir());
    for (size_t i = 0; i < MAAS_COUNT(ends); i++) {
        char id[32];
        new_job(r, TENANT, id);
        MUST(set_state(r, TENANT, id, "running", err));
        MUST(set_state(r, TENANT, id, ends[i], err));
        MUST(set_state(r, TENANT, id, ends[i], err)); /* said twice is fine */
        FAILS(set_state(r, TENANT, id, "running", err), MAAS_E_CONFLICT, ends[i]);
        FAILS(set_state(r, TENANT, id, ends[(i + 1) % 3], err), MAAS_E_CONFLICT, "already");
    }
    maas_registry_close(r);
}

static void jobs_are_listed_newest_first(void)
{
    maas_registry *r = open_dir(make_dir());
    char id[4][32];
    for (int i = 0; i < 3; i++)
        new_job(r, TENANT, id[i]);
    new_job(r, OTHER, id[3]);
    MUST(set_state(r, TENANT, id[1], "cancelled", err));
    AUTO(maas_json_unref) json_t *all = NULL, *queued = NULL, *open = NULL;
    MUST(maas_registry_job_list(r, TENANT, NULL, &all, err));
    EXPECT_EQ(json_array_size(all), 3);
    EXPECT_STR(str_at(json_array_get(all, 0), "id"), id[2]);
    MUST(maas_registry_job_list(r, TENANT, "queued", &queued, err));
    EXPECT_EQ(json_array_size(queued), 2);
    MUST(maas_registry_job_open(r, &open, err));
    EXPECT_EQ(json_array_size(open), 3); /* oldest first, of all tenants */
    EXPECT_STR(str_at(json_array_get(open, 0), "id"), id[0]);
    EXPECT_EQ(int_at(json_array_get(open, 2), "tenant"), OTHER);
    maas_registry_close(r);
}

static void bad_job_requests_are_refused(void)
{
    maas_registry *r = open_dir(make_dir());
    AUTO(maas_json_unref) json_t *list = json_array();
    AUTO(maas_json_unref) json_t *new_id = json_pack("{s:s}", "id", "x");
    json_t *out = NULL;
    char id[32];
    FAILS(maas_registry_job_create(r, TENANT, list, id, err), MAAS_E_INVALID, "object");
    new_job(r, TENANT, id);
    FAILS(set_state(r, TENANT, id, "happy", err), MAAS_E_INVALID, "'happy'");
    FAILS(set_state(r, OTHER, id, "running", err), MAAS_E_NOT_FOUND, id);
    FAILS(maas_registry_job_update(r, TENANT, id, new_id, err), MAAS_E_INVALID, "never change");
    FAILS(maas_registry_job_get(r, TENANT, "job-x", &out, err), MAAS_E_NOT_FOUND, "'job-x'");
    FAILS(maas_registry_job_get(r, OTHER, id, &out, err), MAAS_E_NOT_FOUND, id);
    FAILS(maas_registry_job_list(r, TENANT, "happy", &out, err), MAAS_E_INVALID, "'happy'");
    maas_registry_close(r);
}

/* ---- idempotency ---- */

static void expect_answer(maas_registry *r, maas_tenant t, const char *key, const char *request,
                          int want)
{
    int status = -1;
    AUTO(maas_json_unref) json_t *body = NULL;
    MUST(maas_registry_idem_get(r, t, key, request, &status, &body, err));
    EXPECT_EQ(status, want);
    EXPECT_EQ(body != NULL, want != 0);
    if (body)
        EXPECT_EQ(int_at(body, "version"), 3);
}

static void an_answer_is_remembered_for_a_day(void)
{
    maas_registry *r = open_dir(make_dir());
    AUTO(maas_json_unref) json_t *body = json_pack("{s:i}", "version", 3);
    expect_answer(r, TENANT, "k1", "aa", 0);
    MUST(maas_registry_idem_put(r, TENANT, "k1", "aa", 201, body, err));
    MUST(maas_registry_idem_put(r, TENANT, "k1", "aa", 500, body, err)); /* the first one stays */
    maas_registry_close(r);
    r = open_dir(test_dir);
    expect_answer(r, TENANT, "k1", "aa", 201);
    expect_answer(r, OTHER, "k1", "bb", 0);
    int status;
    json_t *out = NULL;
    FAILS(maas_registry_idem_get(r, TENANT, "k1", "bb", &status, &out, err), MAAS_E_CONFLICT,
          "'k1'");
    FAILS(maas_registry_idem_put(r, TENANT, "k1", "bb", 201, body, err), MAAS_E_CONFLICT, "'k1'");
    maas_registry_close(r);
    sqlite3 *db = NULL;
    char path[96];
    snprintf(path, sizeof path, "%s/maas.db", test_dir);
    EXPECT_EQ(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_exec(db, "UPDATE idempotency SET created_ms = created_ms - 86400001", NULL, NULL, NULL);
    sqlite3_close(db);
    r = open_dir(test_dir);
    expect_answer(r, TENANT, "k1", "bb", 0);
    MUST(maas_registry_idem_put(r, TENANT, "k1", "bb", 202, body, err));
    expect_answer(r, TENANT, "k1", "bb", 202);
    maas_registry_close(r);
}

static void bad_idempotency_keys_are_refused(void)
{
    maas_registry *r = open_dir(make_dir());
    char longest[257];
    int status;
    json_t *out = NULL;
    memset(longest, 'k', sizeof longest);
    longest[256] = '\0';
    const char *const bad[] = {"", " ", "a b", "a\n", "\xc3\xa9", longest};
    for (size_t i = 0; i < MAAS_COUNT(bad); i++)
        FAILS(maas_registry_idem_get(r, TENANT, bad[i], "aa", &status, &out, err), MAAS_E_INVALID,
              "Idempotency-Key");
    longest[255] = '\0';
    expect_answer(r, TENANT, longest, "aa", 0);
    maas_registry_close(r);
}

int main(int argc, char **argv)
{
    static const mt_case cases[] = {
        MT_CASE(a_job_is_born_queued_and_grows),    MT_CASE(what_ended_stays_ended),
        MT_CASE(jobs_are_listed_newest_first),      MT_CASE(bad_job_requests_are_refused),
        MT_CASE(an_answer_is_remembered_for_a_day), MT_CASE(bad_idempotency_keys_are_refused),
    };
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
