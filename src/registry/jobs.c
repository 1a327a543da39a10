/*
 * Rows of jobs; who runs them is another room. A row is one JSON document that updates are merged
 * into. Every digest it mentions keeps its blob alive (checkpoints, logs).
 */
#include "registry/registry_int.h"

#include <string.h>

#include "base/ban.h"

#define JOB_ID_DIGITS 16

static const struct {
    const char *name;
    bool final;
} state_table[] = {
    {"queued", false}, {"running", false},  {"succeeded", true},
    {"failed", true},  {"cancelled", true},
};

static maas_status state_check(const char *state, bool *out_final, maas_err *err)
{
    for (size_t i = 0; state && i < MAAS_COUNT(state_table); i++)
        if (strcmp(state, state_table[i].name) == 0) {
            *out_final = state_table[i].final;
            return MAAS_OK;
        }
    return maas_fail(err, MAAS_E_INVALID,
                     "state '%.32s' is none of queued, running, succeeded, failed, cancelled",
                     state ? state : "");
}

/* ---- blobs that a row mentions ---- */

static maas_status keep_if_blob(maas_registry *r, maas_tenant t, int64_t seq, const char *text,
                                maas_err *err)
{
    maas_blob_name name;
    bool exists;
    if (!text || strlen(text) != MAAS_SHA256_HEX - 1 || maas_blob_name_of(text, &name, NULL))
        return MAAS_OK;
    MAAS_TRY(maas_blob_exists(r, &name, &exists, err));
    if (!exists)
        return MAAS_OK;
    return maas_sql_run(r, MAAS_SQL_JOB_BLOB_ADD, t, SQL_ARGS(ARG_INT(seq), ARG_TEXT(name.hex)),
                        err);
}

typedef struct walk {
    const json_t **todo; /* a stack of its own: documents come from outside */
    size_t n, cap;
} walk;

static void walk_reset(walk *w)
{
    maas_free(w->todo);
}

static bool walk_push(walk *w, const json_t *j)
{
    if (!maas_grow(&w->todo, &w->cap, w->n + 1, sizeof *w->todo))
        return false;
    w->todo[w->n++] = j;
    return true;
}

static bool walk_push_children(walk *w, const json_t *j)
{
    const char *key;
    json_t *child;
    size_t i;
    json_object_foreach((json_t *)j, key, child) if (!walk_push(w, child)) return false;
    json_array_foreach(j, i, child) if (!walk_push(w, child)) return false;
    return true;
}

static maas_status keep_blobs(maas_registry *r, maas_tenant t, int64_t seq, const json_t *doc,
                              maas_err *err)
{
    AUTO(walk_reset) walk w = {0};
    MAAS_TRY(maas_sql_run(r, MAAS_SQL_JOB_BLOBS_DELETE, t, SQL_ARGS(ARG_INT(seq)), err));
    bool ok = walk_push(&w, doc);
    while (ok && w.n) {
        const json_t *j = w.todo[--w.n];
        MAAS_TRY(keep_if_blob(r, t, seq, json_string_value(j), err));
        ok = walk_push_children(&w, j);
    }
    return ok ? MAAS_OK : maas_no_memory(err);
}

/* ---- create ---- */

static json_t *new_doc(const char *id, const json_t *spec)
{
    json_t *doc = json_object();
    json_t *kind = json_object_get(spec, "kind");
    bool ok = maas_doc_put(doc, "id", json_string(id)) &&
              maas_doc_put(doc, "kind", kind ? json_incref(kind) : json_null()) &&
              maas_doc_put(doc, "state", json_string("queued")) &&
              maas_doc_put(doc, "progress", json_real(0)) &&
              maas_doc_put(doc, "metrics", json_object()) &&
              maas_doc_put(doc, "result", json_null()) && maas_doc_put(doc, "error", json_null()) &&
              json_object_set(doc, "spec", (json_t *)spec) == 0 &&
              maas_doc_put(doc, "created_at", maas_doc_time(maas_wall_ms()));
    if (ok)
        return doc;
    json_decref(doc);
    return NULL;
}

maas_status maas_registry_job_create(maas_registry *r, maas_tenant t, const json_t *spec,
                                     char out_id[32], maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(MAAS_DOC_MAX);
    char digits[JOB_ID_DIGITS + 1], id[32];
    int64_t seq;
    bool row;
    if (!json_is_object(spec))
        return maas_fail(err, MAAS_E_INVALID, "a job must be described by an object");
    maas_base62_random(digits, JOB_ID_DIGITS);
    snprintf(id, sizeof id, "job-%s", digits);
    AUTO(maas_json_unref) json_t *doc = new_doc(id, spec);
    if (!doc)
        return maas_no_memory(err);
    MAAS_TRY(maas_doc_dump(doc, &text, err));
    AUTO(maas_txn_end) maas_txn tx = {0};
    MAAS_TRY(maas_txn_begin(r, true, &tx, err));
    MAAS_TRY(maas_sql_get_i64(r, MAAS_SQL_JOB_ADD, t,
                              SQL_ARGS(ARG_TEXT(id), ARG_TEXT("queued"), ARG_TEXT(text.p)), &row,
                              &seq, err));
    MAAS_TRY(keep_blobs(r, t, seq, doc, err));
    MAAS_TRY(maas_txn_commit(&tx, false, err));
    memcpy(out_id, id, sizeof id);
    return MAAS_OK;
}

/* ---- update ---- */

static maas_status find_job(maas_registry *r, maas_tenant t, const char *id, int64_t *out_seq,
                            json_t **out_doc, maas_err *err)
{
    AUTO(maas_sql_end) sqlite3_stmt *q = NULL;
    bool row;
    MAAS_TRY(maas_sql_query(r, MAAS_SQL_JOB_GET, t, SQL_ARGS(ARG_TEXT(id)), &q, err));
    MAAS_TRY(maas_sql_step(r, q, &row, err));
    if (!row)
        return maas_fail(err, MAAS_E_NOT_FOUND, "job '%.32s' does not exist", id);
    *out_seq = sqlite3_column_int64(q, 0);
    return maas_sql_json(r, q, 2, out_doc, err);
}

/* What ended stays ended: a late report of a worker cannot bring a cancelled job back. */
static maas_status check_change(const json_t *doc, const json_t *fields, const char **out_state,
                                maas_err *err)
{
    bool final, ignored;
    const char *now = json_string_value(json_object_get(doc, "state"));
    const json_t *wanted = json_object_get(fields, "state");
    MAAS_TRY(state_check(now, &final, err));
    *out_state = now;
    if (json_object_get(fields, "id") || json_object_get(fields, "spec"))
        return maas_fail(err, MAAS_E_INVALID, "\"id\" and \"spec\" of a job never change");
    if (!wanted)
        return MAAS_OK;
    *out_state = json_string_value(wanted);
    MAAS_TRY(state_check(*out_state, &ignored, err));
    if (final && strcmp(now, *out_state) != 0)
        return maas_fail(err, MAAS_E_CONFLICT, "the job has %s already",
                         strcmp(now, "cancelled") == 0 ? "been cancelled" : now);
    return MAAS_OK;
}

maas_status maas_registry_job_update(maas_registry *r, maas_tenant t, const char *id,
                                     const json_t *fields, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(MAAS_DOC_MAX);
    AUTO(maas_json_unref) json_t *doc = NULL;
    const char *state;
    int64_t seq;
    AUTO(maas_txn_end) maas_txn tx = {0};
    MAAS_TRY(maas_txn_begin(r, true, &tx, err));
    MAAS_TRY(find_job(r, t, id, &seq, &doc, err));
    MAAS_TRY(check_change(doc, fields, &state, err));
    /* After this the old text of the state is gone; `state` of the fields lives with the caller. */
    AUTO_FREE char *new_state = maas_strdup(state);
    if (!new_state || json_object_update(doc, (json_t *)fields) != 0)
        return maas_no_memory(err);
    MAAS_TRY(maas_doc_dump(doc, &text, err));
    MAAS_TRY(maas_sql_run(r, MAAS_SQL_JOB_SET, t,
                          SQL_ARGS(ARG_INT(seq), ARG_TEXT(new_state), ARG_TEXT(text.p)), err));
    MAAS_TRY(keep_blobs(r, t, seq, doc, err));
    return maas_txn_commit(&tx, false, err);
}

/* ---- read ---- */

maas_status maas_registry_job_get(maas_registry *r, maas_tenant t, const char *id, json_t **out,
                                  maas_err *err)
{
    int64_t seq;
    AUTO(maas_txn_end) maas_txn tx = {0};
    MAAS_TRY(maas_txn_begin(r, false, &tx, err));
    return find_job(r, t, id, &seq, out, err);
}

/* Rows of q as an array; `tenant_col` >= 0: that column goes into each as "tenant". */
static maas_status collect(maas_registry *r, sqlite3_stmt *q, int doc_col, int tenant_col,
                           json_t **out, maas_err *err)
{
    AUTO(maas_json_unref) json_t *list = json_array();
    bool row;
    for (;;) {
        AUTO(maas_json_unref) json_t *doc = NULL;
        MAAS_TRY(maas_sql_step(r, q, &row, err));
        if (!row)
            break;
        MAAS_TRY(maas_sql_json(r, q, doc_col, &doc, err));
        if (tenant_col >= 0 &&
            !maas_doc_put(doc, "tenant", json_integer(sqlite3_column_int64(q, tenant_col))))
            return maas_no_memory(err);
        if (json_array_append(list, doc) != 0)
            return maas_no_memory(err);
    }
    *out = STEAL(list);
    return *out ? MAAS_OK : maas_no_memory(err);
}

maas_status maas_registry_job_list(maas_registry *r, maas_tenant t, const char *state, json_t **out,
                                   maas_err *err)
{
    bool ignored;
    if (state)
        MAAS_TRY(state_check(state, &ignored, err));
    AUTO(maas_txn_end) maas_txn tx = {0};
    AUTO(maas_sql_end) sqlite3_stmt *q = NULL;
    MAAS_TRY(maas_txn_begin(r, false, &tx, err));
    MAAS_TRY(maas_sql_query(r, MAAS_SQL_JOB_LIST, t, SQL_ARGS(ARG_TEXT(state)), &q, err));
    return collect(r, q, 0, -1, out, err);
}

maas_status maas_registry_job_open(maas_registry *r, json_t **out, maas_err *err)
{
    AUTO(maas_txn_end) maas_txn tx = {0};
    AUTO(maas_sql_end) sqlite3_stmt *q = NULL;
    MAAS_TRY(maas_txn_begin(r, false, &tx, err));
    MAAS_TRY(maas_sql_query_all(r, MAAS_SQL_JOB_OPEN, NULL, 0, &q, err));
    return collect(r, q, 1, 0, out, err);
}
