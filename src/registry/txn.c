/* Transactions: one caller at a time, and a snapshot that cannot lag behind what is durable. */
#include "registry/registry_int.h"

#include "base/ban.h"

static maas_status control(maas_registry *r, maas_sql_id id, maas_err *err)
{
    AUTO(maas_sql_end) sqlite3_stmt *q = NULL;
    bool row;
    MAAS_TRY(maas_sql_query_all(r, id, NULL, 0, &q, err));
    return maas_sql_step(r, q, &row, err);
}

maas_status maas_txn_begin(maas_registry *r, bool writing, maas_txn *tx, maas_err *err)
{
    pthread_mutex_lock(&r->lock);
    *tx = (maas_txn){.r = r, .writing = writing};
    return writing ? control(r, MAAS_SQL_BEGIN, err) : MAAS_OK;
}

maas_status maas_txn_commit(maas_txn *tx, bool republish, maas_err *err)
{
    maas_registry *r = tx->r;
    maas_snapshot *next = NULL;
    MAAS_CHECK(tx->writing);
    if (republish)
        MAAS_TRY(maas_snapshot_build(r, &next, err));
    MAAS_CRASH_POINT("registry.before_commit");
    maas_status st = control(r, MAAS_SQL_COMMIT, err);
    if (st) {
        maas_snapshot_unref(next);
        return st;
    }
    MAAS_CRASH_POINT("registry.after_commit");
    if (next)
        maas_registry_publish(r, next);
    tx->writing = false;
    maas_txn_end(tx);
    return MAAS_OK;
}

void maas_txn_end(maas_txn *tx)
{
    if (!tx->r)
        return;
    /* Some failures (a full disk) have rolled back already. A rollback that fails itself leaves
     * nothing to do: the next BEGIN says so. */
    if (tx->writing && !sqlite3_get_autocommit(tx->r->db))
        control(tx->r, MAAS_SQL_ROLLBACK, NULL);
    pthread_mutex_unlock(&tx->r->lock);
    tx->r = NULL;
}
