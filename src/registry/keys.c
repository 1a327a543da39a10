/*
 * API keys. The secret is shown once and then gone: a row keeps SHA-256(pepper || secret), and the
 * pepper is a file of its own, so that a stolen database alone checks no guesses.
 */
#include "registry/registry_int.h"

#include <fcntl.h>
#include <string.h>

#include "base/utf8.h"
#include "base/ban.h"

static const struct {
    const char *name;
    uint32_t bit;
} scope_table[] = {
    {"infer", MAAS_SCOPE_INFER}, {"read", MAAS_SCOPE_READ}, {"write", MAAS_SCOPE_WRITE},
    {"train", MAAS_SCOPE_TRAIN}, {"ops", MAAS_SCOPE_OPS},   {"admin", MAAS_SCOPE_ADMIN},
};

/* ---- pepper ---- */

static maas_status read_pepper(maas_registry *r, int fd, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf bytes = MAAS_BUF_INIT(2 * MAAS_PEPPER_BYTES);
    MAAS_TRY(maas_sys_read_all(fd, &bytes, err));
    if (bytes.n != MAAS_PEPPER_BYTES)
        return maas_fail(
            err, MAAS_E_FORMAT,
            "the pepper file of the data directory is damaged; restore it from a backup");
    memcpy(r->pepper, bytes.p, MAAS_PEPPER_BYTES);
    explicit_bzero(bytes.p, bytes.n);
    return MAAS_OK;
}

static maas_status make_pepper(maas_registry *r, maas_err *err)
{
    AUTO_FD fd = -1;
    maas_random_bytes(r->pepper, sizeof r->pepper);
    MAAS_TRY(maas_sys_tmpfile(r->dir_fd, &fd, err)); /* mode 0600 */
    MAAS_TRY(maas_sys_write(fd, r->pepper, sizeof r->pepper, err));
    maas_sys_fsync(fd);
    MAAS_CRASH_POINT("pepper.before_link");
    return maas_sys_link(fd, r->dir_fd, "pepper", err);
}

static maas_status any_key(maas_registry *r, bool *out, maas_err *err)
{
    AUTO(maas_sql_end) sqlite3_stmt *q = NULL;
    MAAS_TRY(maas_sql_query_all(r, MAAS_SQL_ALL_KEYS, NULL, 0, &q, err));
    return maas_sql_step(r, q, out, err);
}

maas_status maas_pepper_open(maas_registry *r, maas_err *err)
{
    AUTO_FD fd = -1;
    maas_err why = {0};
    bool used;
    maas_status st = maas_sys_openat(r->dir_fd, "pepper", O_RDONLY, "the pepper file", &fd, &why);
    if (!st)
        return read_pepper(r, fd, err);
    if (st != MAAS_E_NOT_FOUND)
        return maas_fail(err, st, "%s", why.msg);
    MAAS_TRY(any_key(r, &used, err));
    if (used) /* a new one would turn every key into a wrong key */
        return maas_fail(err, MAAS_E_FORMAT,
                         "the pepper file of the data directory is missing, but there are API keys "
                         "that need it; restore it from a backup");
    return make_pepper(r, err);
}

/* ---- create ---- */

static maas_status parse_scopes(const json_t *scopes, uint32_t *out, maas_err *err)
{
    size_t i;
    const json_t *item;
    uint32_t bits = 0;
    json_array_foreach(scopes, i, item)
    {
        const char *name = json_string_value(item);
        size_t k = 0;
        while (k < MAAS_COUNT(scope_table) && !(name && strcmp(name, scope_table[k].name) == 0))
            k++;
        if (k == MAAS_COUNT(scope_table))
            return maas_fail(err, MAAS_E_INVALID,
                             "scopes[%zu] '%.32s' is none of infer, read, write, train, ops, admin",
                             i, name ? name : "");
        bits |= scope_table[k].bit;
    }
    if (!bits)
        return maas_fail(err, MAAS_E_INVALID,
                         "scopes must name one or more of infer, read, write, train, ops, admin");
    *out = bits;
    return MAAS_OK;
}

static maas_status check_glob(const char *glob, maas_err *err)
{
    size_t n = strlen(glob);
    for (size_t i = 0; i < n; i++) {
        char c = glob[i] == '*' || glob[i] == '?' ? 'x' : glob[i];
        if (!maas_name_valid((char[]){'x', c, '\0'}))
            n = 0;
    }
    if (n == 0 || n > MAAS_MAX_NAME)
        return maas_fail(
            err, MAAS_E_INVALID,
            "models '%.64s' is not a pattern of model names: A-Z a-z 0-9 . _ - and * ?", glob);
    return MAAS_OK;
}

static maas_status check_label(const char *name, maas_err *err)
{
    size_t n = name ? strnlen(name, MAAS_KEY_NAME_MAX + 1) : 0;
    bool good = n > 0 && n <= MAAS_KEY_NAME_MAX && maas_utf8_valid(maas_span_of(name, n));
    for (size_t i = 0; good && i < n; i++)
        good = (unsigned char)name[i] >= ' ' && name[i] != 0x7f;
    return good ? MAAS_OK
                : maas_fail(err, MAAS_E_INVALID,
                            "name: a key needs a name of 1 to %d characters that can be printed",
                            MAAS_KEY_NAME_MAX);
}

/* Keys of the tenant, other than `kid`, that can make keys. */
static maas_status count_admins(maas_registry *r, maas_tenant t, const char *kid, int64_t *out,
                                maas_err *err)
{
    bool row;
    return maas_sql_get_i64(
        r, MAAS_SQL_KEY_COUNT_ADMIN, t,
        SQL_ARGS(ARG_INT(MAAS_SCOPE_ADMIN), ARG_TEXT(kid), ARG_INT(maas_wall_ms())), &row, out,
        err);
}

static json_t *scope_names(uint32_t bits)
{
    json_t *list = json_array();
    for (size_t i = 0; i < MAAS_COUNT(scope_table); i++)
        if ((bits & scope_table[i].bit) &&
            json_array_append_new(list, json_string(scope_table[i].name)) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

typedef struct key_row {
    const char *kid, *name, *models;
    uint32_t scopes;
    uint64_t created_ms, expires_ms; /* 0: never */
} key_row;

static bool put_key(json_t *doc, const key_row *k)
{
    return maas_doc_put(doc, "id", json_string(k->kid)) &&
           maas_doc_put(doc, "name", json_string(k->name)) &&
           maas_doc_put(doc, "scopes", scope_names(k->scopes)) &&
           maas_doc_put(doc, "models", json_string(k->models)) &&
           maas_doc_put(doc, "created_at", maas_doc_time(k->created_ms)) &&
           maas_doc_put(doc, "expires_at",
                        k->expires_ms ? maas_doc_time(k->expires_ms) : json_null());
}

static maas_status store_key(maas_registry *r, maas_tenant t, const key_row *k, const char *secret,
                             maas_err *err)
{
    uint8_t hash[MAAS_SHA256_BYTES];
    int64_t n_admins;
    if (!maas_key_hash(r->pepper, secret, hash))
        return maas_no_memory(err);
    AUTO(maas_txn_end) maas_txn tx = {0};
    MAAS_TRY(maas_txn_begin(r, true, &tx, err));
    MAAS_TRY(count_admins(r, t, "", &n_admins, err));
    if (!n_admins && !(k->scopes & MAAS_SCOPE_ADMIN))
        return maas_fail(err, MAAS_E_INVALID,
                         "scopes: the first key needs the scope admin; from then on keys are "
                         "required, and without it nobody could make another");
    MAAS_TRY(
        maas_sql_run(r, MAAS_SQL_KEY_ADD, t,
                     SQL_ARGS(ARG_TEXT(k->kid), ARG_TEXT(k->name), ARG_BYTES(hash, sizeof hash),
                              ARG_INT(k->scopes), ARG_TEXT(k->models), ARG_INT(k->created_ms),
                              ARG_INT(k->expires_ms)),
                     err));
    return maas_txn_commit(&tx, true, err);
}

maas_status maas_registry_key_create(maas_registry *r, maas_tenant t, const char *name,
                                     const json_t *scopes, const char *models, int64_t ttl_s,
                                     json_t **out, maas_err *err)
{
    enum { YEARS_100_S = 100 * 366 * 24 * 3600ll };
    maas_key_text text;
    char key[MAAS_KEY_LEN + 1];
    key_row k = {.kid = text.kid, .name = name, .models = models ? models : "*"};
    MAAS_TRY(check_label(name, err));
    MAAS_TRY(parse_scopes(scopes, &k.scopes, err));
    MAAS_TRY(check_glob(k.models, err));
    if (ttl_s < 0 || ttl_s > YEARS_100_S)
        return maas_fail(err, MAAS_E_INVALID,
                         "ttl: %lld seconds are not between 0 (for ever) and "
                         "100 years",
                         (long long)ttl_s);
    k.created_ms = maas_wall_ms();
    k.expires_ms = ttl_s ? k.created_ms + (uint64_t)ttl_s * 1000 : 0;
    maas_base62_random(text.kid, MAAS_KID_LEN);
    maas_base62_random(text.secret, MAAS_SECRET_LEN);
    maas_key_print(&text, key);
    AUTO(maas_json_unref) json_t *doc = json_object();
    if (!put_key(doc, &k) || !maas_doc_put(doc, "key", json_string(key)))
        return maas_no_memory(err);
    MAAS_TRY(store_key(r, t, &k, text.secret, err));
    *out = STEAL(doc);
    return MAAS_OK;
}

/* ---- list, delete ---- */

static maas_status add_key(maas_registry *r, sqlite3_stmt *q, json_t *list, maas_err *err)
{
    key_row k = {
        .scopes = (uint32_t)sqlite3_column_int64(q, 2),
        .created_ms = (uint64_t)sqlite3_column_int64(q, 4),
        .expires_ms = (uint64_t)sqlite3_column_int64(q, 5),
    };
    MAAS_TRY(maas_sql_text(r, q, 0, &k.kid, err));
    MAAS_TRY(maas_sql_text(r, q, 1, &k.name, err));
    MAAS_TRY(maas_sql_text(r, q, 3, &k.models, err));
    AUTO(maas_json_unref) json_t *doc = json_object();
    return put_key(doc, &k) && json_array_append(list, doc) == 0 ? MAAS_OK : maas_no_memory(err);
}

maas_status maas_registry_key_list(maas_registry *r, maas_tenant t, json_t **out, maas_err *err)
{
    AUTO(maas_txn_end) maas_txn tx = {0};
    AUTO(maas_sql_end) sqlite3_stmt *q = NULL;
    AUTO(maas_json_unref) json_t *list = json_array();
    bool row;
    MAAS_TRY(maas_txn_begin(r, false, &tx, err));
    MAAS_TRY(maas_sql_query(r, MAAS_SQL_KEY_LIST, t, NULL, 0, &q, err));
    for (;;) {
        MAAS_TRY(maas_sql_step(r, q, &row, err));
        if (!row)
            break;
        MAAS_TRY(add_key(r, q, list, err));
    }
    *out = STEAL(list);
    return *out ? MAAS_OK : maas_no_memory(err);
}

maas_status maas_registry_key_delete(maas_registry *r, maas_tenant t, const char *kid,
                                     maas_err *err)
{
    int64_t scopes, n_admins;
    bool row;
    AUTO(maas_txn_end) maas_txn tx = {0};
    MAAS_TRY(maas_txn_begin(r, true, &tx, err));
    MAAS_TRY(maas_sql_get_i64(r, MAAS_SQL_KEY_GET, t, SQL_ARGS(ARG_TEXT(kid)), &row, &scopes, err));
    if (!row)
        return maas_fail(err, MAAS_E_NOT_FOUND, "key '%.16s' does not exist", kid);
    MAAS_TRY(count_admins(r, t, kid, &n_admins, err));
    if (!n_admins && (scopes & MAAS_SCOPE_ADMIN))
        return maas_fail(err, MAAS_E_CONFLICT,
                         "key '%.16s' is the last one with the scope admin; create another first",
                         kid);
    MAAS_TRY(maas_sql_run(r, MAAS_SQL_KEY_DELETE, t, SQL_ARGS(ARG_TEXT(kid)), err));
    return maas_txn_commit(&tx, true, err);
}
