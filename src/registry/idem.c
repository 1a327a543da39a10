/* Idempotency keys: the answer to a request is remembered, so that asking again is harmless. */
#include "registry/registry_int.h"

#include <string.h>

#include "base/ban.h"

static maas_status key_check(const char *key, maas_err *err)
{
    size_t n = strnlen(key, MAAS_IDEM_KEY_MAX + 1);
    bool good = n > 0 && n <= MAAS_IDEM_KEY_MAX;
    for (size_t i = 0; good && i < n; i++)
        good = key[i] > ' ' && key[i] < 0x7f;
    return good ? MAAS_OK
                : maas_fail(err, MAAS_E_INVALID,
                            "Idempotency-Key: 1 to %d visible ASCII characters are needed",
                            MAAS_IDEM_KEY_MAX);
}

/* A row that is still young enough. *out_row: there is one, for this same request. */
static maas_status find(maas_registry *r, maas_tenant t, const char *key, const char *request_hex,
                        sqlite3_stmt **q, bool *out_row, maas_err *err)
{
    const char *request;
    MAAS_TRY(maas_sql_query(r, MAAS_SQL_IDEM_GET, t,
                            SQL_ARGS(ARG_TEXT(key), ARG_INT(maas_wall_ms() - MAAS_IDEM_AGE_MS)), q,
                            err));
    MAAS_TRY(maas_sql_step(r, *q, out_row, err));
    if (!*out_row)
        return MAAS_OK;
    MAAS_TRY(maas_sql_text(r, *q, 0, &request, err));
    if (strcmp(request, request_hex) != 0)
        return maas_fail(err, MAAS_E_CONFLICT,
                         "Idempotency-Key '%.64s' was used for another request; choose a new one",
                         key);
    return MAAS_OK;
}

maas_status maas_registry_idem_get(maas_registry *r, maas_tenant t, const char *key,
                                   const char *request_hex, int *out_status, json_t **out_body,
                                   maas_err *err)
{
    MAAS_TRY(key_check(key, err));
    AUTO(maas_txn_end) maas_txn tx = {0};
    AUTO(maas_sql_end) sqlite3_stmt *q = NULL;
    bool row;
    MAAS_TRY(maas_txn_begin(r, false, &tx, err));
    MAAS_TRY(find(r, t, key, request_hex, &q, &row, err));
    if (!row) {
        *out_status = 0;
        *out_body = NULL;
        return MAAS_OK;
    }
    MAAS_TRY(maas_sql_json(r, q, 2, out_body, err));
    *out_status = (int)sqlite3_column_int64(q, 1);
    return MAAS_OK;
}

static maas_status expire(maas_registry *r, maas_err *err)
{
    AUTO(maas_sql_end) sqlite3_stmt *q = NULL;
    bool row;
    MAAS_TRY(maas_sql_query_all(r, MAAS_SQL_IDEM_EXPIRE,
                                SQL_ARGS(ARG_INT(maas_wall_ms() - MAAS_IDEM_AGE_MS)), &q, err));
    return maas_sql_step(r, q, &row, err);
}

maas_status maas_registry_idem_put(maas_registry *r, maas_tenant t, const char *key,
                                   const char *request_hex, int status, const json_t *body,
                                   maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(MAAS_DOC_MAX);
    bool row;
    MAAS_TRY(key_check(key, err));
    MAAS_TRY(maas_doc_dump(body, &text, err));
    AUTO(maas_txn_end) maas_txn tx = {0};
    AUTO(maas_sql_end) sqlite3_stmt *q = NULL;
    MAAS_TRY(maas_txn_begin(r, true, &tx, err));
    MAAS_TRY(expire(r, err));
    MAAS_TRY(find(r, t, key, request_hex, &q, &row, err));
    if (row) /* the same request twice at once: the first answer stays */
        return MAAS_OK;
    maas_sql_end(&q);
    MAAS_TRY(maas_sql_run(r, MAAS_SQL_IDEM_PUT, t,
                          SQL_ARGS(ARG_TEXT(key), ARG_TEXT(request_hex), ARG_INT(status),
                                   ARG_TEXT(text.p), ARG_INT(maas_wall_ms())),
                          err));
    return maas_txn_commit(&tx, false, err);
}
