/* API keys: shape, secrecy, scopes, expiry, the way out of a lock-out. */
#include <fcntl.h>

#include "reg_test.h"
#include "registry/registry_int.h"
#include "base/ban.h"

static json_t *scopes(const char *a, const char *b)
{
    return b ? json_pack("[s,s]", a, b) : json_pack("[s]", a);
}

/* The key's text. */
static const char *new_key(maas_registry *r, const char *a, const char *b, const char *models,
                           int64_t ttl_s, json_t **out)
{
    AUTO(maas_json_unref) json_t *list = scopes(a, b);
    MUST(maas_registry_key_create(r, TENANT, "test", list, models, ttl_s, out, err));
    return str_at(*out, "key");
}

static maas_status check(maas_registry *r, const char *key, maas_principal *who)
{
    const maas_snapshot *s = maas_registry_snapshot(r);
    maas_err err = {0};
    maas_status st = maas_snapshot_authenticate(s, key, who, &err);
    if (st) {
        EXPECT_EQ(st, MAAS_E_UNAUTHENTICATED);
        EXPECT_STR(err.msg, "a valid API key is required"); /* never why */
    }
    maas_snapshot_unref(s);
    return st;
}

static void a_key_opens_what_it_says(void)
{
    maas_registry *r = open_dir(make_dir());
    AUTO(maas_json_unref) json_t *admin = NULL, *narrow = NULL, *list = NULL;
    maas_principal who = {0};
    const maas_snapshot *s = maas_registry_snapshot(r);
    EXPECT(!maas_snapshot_has_keys(s));
    maas_snapshot_unref(s);
    new_key(r, "admin", NULL, NULL, 0, &admin);
    const char *key = new_key(r, "infer", "ops", "fash*", 3600, &narrow);
    maas_registry_close(r);
    r = open_dir(test_dir);
    s = maas_registry_snapshot(r);
    EXPECT(maas_snapshot_has_keys(s));
    maas_snapshot_unref(s);
    EXPECT_EQ(check(r, key, &who), MAAS_OK);
    EXPECT_EQ(who.tenant, TENANT);
    EXPECT_EQ(who.scopes, MAAS_SCOPE_INFER | MAAS_SCOPE_OPS);
    EXPECT_STR(who.kid, str_at(narrow, "id"));
    EXPECT_STR(who.models, "fash*");
    EXPECT(str_at(narrow, "expires_at"));
    MUST(maas_registry_key_list(r, TENANT, &list, err));
    EXPECT_EQ(json_array_size(list), 2);
    EXPECT(!json_object_get(json_array_get(list, 0), "key")); /* shown once */
    MUST(maas_registry_key_delete(r, TENANT, who.kid, err));
    EXPECT_EQ(check(r, key, &who), MAAS_E_UNAUTHENTICATED);
    maas_registry_close(r);
}

static void every_change_of_a_key_closes_it(void)
{
    maas_registry *r = open_dir(make_dir());
    AUTO(maas_json_unref) json_t *doc = NULL;
    maas_principal who;
    char key[MAAS_KEY_LEN + 2];
    snprintf(key, sizeof key, "%s", new_key(r, "admin", NULL, NULL, 0, &doc));
    EXPECT_EQ(strlen(key), MAAS_KEY_LEN);
    for (size_t i = 0; i < MAAS_KEY_LEN; i++)
        for (int step = 1; step < 128; step += 7) {
            char was = key[i];
            key[i] = (char)((was + step) & 0x7f);
            if (key[i] != was)
                EXPECT_EQ(check(r, key, &who), MAAS_E_UNAUTHENTICATED);
            key[i] = was;
        }
    key[MAAS_KEY_LEN] = 'x';
    key[MAAS_KEY_LEN + 1] = '\0';
    EXPECT_EQ(check(r, key, &who), MAAS_E_UNAUTHENTICATED);
    key[MAAS_KEY_LEN - 1] = '\0';
    EXPECT_EQ(check(r, key, &who), MAAS_E_UNAUTHENTICATED);
    EXPECT_EQ(check(r, "", &who), MAAS_E_UNAUTHENTICATED);
    EXPECT_EQ(check(r, NULL, &who), MAAS_E_UNAUTHENTICATED);
    maas_registry_close(r);
}

/* The checksum is right, so it is the secret that is looked at. */
static void a_wrong_secret_and_an_unknown_id_are_refused(void)
{
    maas_registry *r = open_dir(make_dir());
    AUTO(maas_json_unref) json_t *doc = NULL;
    maas_principal who;
    maas_key_text text;
    char key[MAAS_KEY_LEN + 1];
    EXPECT(maas_key_parse(new_key(r, "admin", NULL, NULL, 0, &doc), &text));
    maas_key_print(&text, key);
    EXPECT_EQ(check(r, key, &who), MAAS_OK);
    text.secret[0] = text.secret[0] == 'a' ? 'b' : 'a';
    maas_key_print(&text, key);
    EXPECT(maas_key_parse(key, &text));
    EXPECT_EQ(check(r, key, &who), MAAS_E_UNAUTHENTICATED);
    maas_base62_random(text.kid, MAAS_KID_LEN);
    maas_key_print(&text, key);
    EXPECT_EQ(check(r, key, &who), MAAS_E_UNAUTHENTICATED);
    maas_registry_close(r);
}

static void keys_expire(void)
{
    maas_registry *r = open_dir(make_dir());
    AUTO(maas_json_unref) json_t *admin = NULL, *brief = NULL;
    maas_principal who;
    new_key(r, "admin", NULL, NULL, 0, &admin);
    const char *key = new_key(r, "infer", NULL, NULL, 1, &brief);
    EXPECT_EQ(check(r, key, &who), MAAS_OK);
    uint64_t end = maas_wall_ms() + 1100;
    while (maas_wall_ms() < end)
        maas_sleep_ms(50);
    EXPECT_EQ(check(r, key, &who), MAAS_E_UNAUTHENTICATED);
    maas_registry_close(r);
}

/* Neither the secret nor the pepper is in the database; the pepper is the owner's alone. */
static void the_secret_is_stored_nowhere(void)
{
    maas_registry *r = open_dir(make_dir());
    AUTO(maas_json_unref) json_t *doc = NULL;
    maas_key_text text;
    EXPECT(maas_key_parse(new_key(r, "admin", NULL, NULL, 0, &doc), &text));
    static const char *const files[] = {"maas.db", "maas.db-wal", "pepper"};
    for (size_t i = 0; i < MAAS_COUNT(files); i++) {
        char path[96];
        AUTO_FD fd = -1;
        AUTO(maas_buf_reset) maas_buf bytes = MAAS_BUF_INIT(64 << 20);
        snprintf(path, sizeof path, "%s/%s", test_dir, files[i]);
        MUST(maas_sys_open(path, O_RDONLY, &fd, err));
        MUST(maas_sys_read_all(fd, &bytes, err));
        EXPECT(bytes.n > 0);
        EXPECT(!memmem(bytes.p, bytes.n, text.secret, 12));
        if (i < 2)
            EXPECT(!memmem(bytes.p, bytes.n, r->pepper, 8));
        struct stat sb;
        EXPECT_EQ(fstat(fd, &sb), 0);
        if (i == 2)
            EXPECT_EQ(sb.st_mode & 0777, 0600);
    }
    maas_registry_close(r);
}

static void a_lost_pepper_is_said_not_replaced(void)
{
    maas_registry *r = open_dir(make_dir());
    char path[96];
    snprintf(path, sizeof path, "%s/pepper", test_dir);
    maas_registry_close(r);
    EXPECT_EQ(unlink(path), 0); /* no keys yet: a new one is fine */
    r = open_dir(test_dir);
    AUTO(maas_json_unref) json_t *doc = NULL;
    new_key(r, "admin", NULL, NULL, 0, &doc);
    maas_registry_close(r);
    EXPECT_EQ(truncate(path, 31), 0);
    FAILS(maas_registry_open(test_dir, &r, err), MAAS_E_FORMAT, "damaged");
    EXPECT_EQ(unlink(path), 0);
    FAILS(maas_registry_open(test_dir, &r, err), MAAS_E_FORMAT, "missing");
    EXPECT_EQ(access(path, F_OK), -1);
}

static void nobody_locks_himself_out(void)
{
    maas_registry *r = open_dir(make_dir());
    AUTO(maas_json_unref) json_t *infer = scopes("infer", NULL), *first = NULL, *second = NULL;
    json_t *out = NULL;
    FAILS(maas_registry_key_create(r, TENANT, "k", infer, NULL, 0, &out, err), MAAS_E_INVALID,
          "first key needs the scope admin");
    new_key(r, "admin", NULL, NULL, 0, &first);
    FAILS(maas_registry_key_delete(r, TENANT, str_at(first, "id"), err), MAAS_E_CONFLICT,
          "last one");
    new_key(r, "admin", NULL, NULL, 0, &second);
    FAILS(maas_registry_key_delete(r, OTHER, str_at(first, "id"), err), MAAS_E_NOT_FOUND,
          "not exist");
    MUST(maas_registry_key_delete(r, TENANT, str_at(first, "id"), err));
    FAILS(maas_registry_key_delete(r, TENANT, str_at(first, "id"), err), MAAS_E_NOT_FOUND,
          "not exist");
    maas_registry_close(r);
}

static void bad_keys_are_refused(void)
{
    maas_registry *r = open_dir(make_dir());
    AUTO(maas_json_unref) json_t *good = scopes("admin", NULL), *bad = scopes("admin", "root");
    AUTO(maas_json_unref) json_t *none = json_array(), *number = json_pack("[i]", 1);
    json_t *out = NULL;
    FAILS(maas_registry_key_create(r, TENANT, "k", bad, NULL, 0, &out, err), MAAS_E_INVALID,
          "scopes[1] 'root'");
    FAILS(maas_registry_key_create(r, TENANT, "k", none, NULL, 0, &out, err), MAAS_E_INVALID,
          "scopes");
    FAILS(maas_registry_key_create(r, TENANT, "k", NULL, NULL, 0, &out, err), MAAS_E_INVALID,
          "scopes");
    FAILS(maas_registry_key_create(r, TENANT, "k", number, NULL, 0, &out, err), MAAS_E_INVALID,
          "scopes[0]");
    FAILS(maas_registry_key_create(r, TENANT, "", good, NULL, 0, &out, err), MAAS_E_INVALID,
          "name");
    FAILS(maas_registry_key_create(r, TENANT, "a\nb", good, NULL, 0, &out, err), MAAS_E_INVALID,
          "name");
    FAILS(maas_registry_key_create(r, TENANT, "k", good, "", 0, &out, err), MAAS_E_INVALID,
          "models");
    FAILS(maas_registry_key_create(r, TENANT, "k", good, "a/b", 0, &out, err), MAAS_E_INVALID,
          "models");
    FAILS(maas_registry_key_create(r, TENANT, "k", good, NULL, -1, &out, err), MAAS_E_INVALID,
          "ttl");
    FAILS(maas_registry_key_create(r, TENANT, "k", good, NULL, INT64_MAX, &out, err),
          MAAS_E_INVALID, "ttl");
    maas_registry_close(r);
}

static void globs_match(void)
{
    static const struct {
        const char *glob, *name;
        bool match;
    } rows[] = {
        {"*", "", true},
        {"*", "abc", true},
        {"abc", "abc", true},
        {"abc", "abcd", false},
        {"abcd", "abc", false},
        {"a*", "abc", true},
        {"*c", "abc", true},
        {"a*c", "abbbc", true},
        {"a*c", "abbbd", false},
        {"?", "a", true},
        {"?", "", false},
        {"a?c", "abc", true},
        {"*a*b*", "xxaxxbxx", true},
        {"*a*b*", "xxbxxaxx", false},
        {"", "", true},
        {"", "a", false},
        {"**", "abc", true},
        {"a*ab", "aaab", true},
    };
    for (size_t i = 0; i < MAAS_COUNT(rows); i++)
        EXPECT_MSG(maas_glob_match(rows[i].glob, rows[i].name) == rows[i].match, "%s on %s",
                   rows[i].glob, rows[i].name);
    char name[129];
    memset(name, 'a', 128);
    name[128] = '\0';
    EXPECT(!maas_glob_match("*a*a*a*a*a*a*a*a*a*a*a*a*b", name)); /* and comes back at once */
}

int main(int argc, char **argv)
{
    static const mt_case cases[] = {
        MT_CASE(a_key_opens_what_it_says),
        MT_CASE(every_change_of_a_key_closes_it),
        MT_CASE(a_wrong_secret_and_an_unknown_id_are_refused),
        MT_CASE(keys_expire),
        MT_CASE(the_secret_is_stored_nowhere),
        MT_CASE(a_lost_pepper_is_said_not_replaced),
        MT_CASE(nobody_locks_himself_out),
        MT_CASE(bad_keys_are_refused),
        MT_CASE(globs_match),
    };
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
