/* Housekeeping: blobs nobody names, uploads nobody continues, files whose bytes went bad. */
#include "registry/registry_int.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/ban.h"

static bool is_digest(const char *text)
{
    uint8_t bytes[MAAS_SHA256_BYTES];
    return strlen(text) == 2 * sizeof bytes && maas_unhex(text, bytes, sizeof bytes);
}

/* ---- uploads ---- */

static maas_status drop_if_stale(void *user, const char *name, maas_err *err)
{
    maas_registry *r = user;
    AUTO_FD fd = -1;
    maas_fs_stat now;
    MAAS_TRY(maas_sys_openat(r->tmp_fd, name, O_RDONLY, "an upload", &fd, err));
    MAAS_TRY(maas_fs_stat_fd(fd, &now, err));
    if (is_digest(name) && now.modified_ms + MAAS_PARTIAL_AGE_MS > maas_wall_ms())
        return MAAS_OK;
    return maas_sys_unlinkat(r->tmp_fd, name, err);
}

maas_status maas_tmp_sweep(maas_registry *r, maas_err *err)
{
    return maas_fs_each(r->dir_fd, "tmp", drop_if_stale, r, err);
}

/* ---- names of one blob directory ---- */

typedef struct digest_list {
    char (*hex)[MAAS_SHA256_HEX];
    size_t n, cap;
    const char *dir;
} digest_list;

static void digest_list_reset(digest_list *l)
{
    maas_free(l->hex);
    *l = (digest_list){0};
}

static maas_status add_name(void *user, const char *name, maas_err *err)
{
    digest_list *l = user;
    char hex[MAAS_SHA256_HEX];
    int n = snprintf(hex, sizeof hex, "%s%s", l->dir, name);
    if (n != MAAS_SHA256_HEX - 1 || !is_digest(hex))
        return MAAS_OK; /* not ours: leave it alone */
    if (!maas_grow(&l->hex, &l->cap, l->n + 1, sizeof *l->hex))
        return maas_no_memory(err);
    memcpy(l->hex[l->n++], hex, sizeof hex);
    return MAAS_OK;
}

static int by_digest(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* All blobs of directory `index` (0..255), sorted. */
static maas_status list_blobs(maas_registry *r, unsigned index, digest_list *out, maas_err *err)
{
    char dir[3];
    maas_hex(&(uint8_t){(uint8_t)index}, 1, dir);
    out->dir = dir;
    MAAS_TRY(maas_fs_each(r->blobs_fd, dir, add_name, out, err));
    if (out->n)
        qsort(out->hex, out->n, sizeof *out->hex, by_digest);
    return MAAS_OK;
}

/* Writers of other processes wait until *fd is closed; see blobs.c. */
static maas_status exclude_writers(maas_registry *r, int *fd, maas_err *err)
{
    bool locked;
    MAAS_TRY(
        maas_sys_openat(r->dir_fd, "blobs", O_RDONLY | O_DIRECTORY, "the blob directory", fd, err));
    return maas_fs_lock(*fd, true, true, &locked, err);
}

/* ---- unused blobs ---- */

static maas_status blob_age_ms(maas_registry *r, const char *hex, uint64_t *out, maas_err *err)
{
    AUTO_FD fd = -1;
    uint64_t n_bytes, now_ms = maas_wall_ms();
    maas_fs_stat now;
    MAAS_TRY(maas_blob_open(r, hex, &fd, &n_bytes, err));
    MAAS_TRY(maas_fs_stat_fd(fd, &now, err));
    *out = now_ms > now.modified_ms ? now_ms - now.modified_ms : 0;
    return MAAS_OK;
}

static maas_status is_used(maas_registry *r, const char *hex, bool *out, maas_err *err)
{
    AUTO(maas_sql_end) sqlite3_stmt *q = NULL;
    MAAS_TRY(maas_sql_query_all(r, MAAS_SQL_BLOB_USED, SQL_ARGS(ARG_TEXT(hex)), &q, err));
    return maas_sql_step(r, q, out, err);
}

/* Called with the lock: no row can come to name the blob between the look and the deletion. */
static maas_status drop_if_unused(maas_registry *r, const char *hex, uint64_t grace_ms,
                                  uint32_t *n_dropped, maas_err *err)
{
    AUTO_FD guard = -1;
    maas_blob_name name;
    uint64_t age_ms = 0;
    bool used;
    MAAS_TRY(is_used(r, hex, &used, err));
    if (used)
        return MAAS_OK;
    MAAS_TRY(maas_blob_name_of(hex, &name, err));
    MAAS_TRY(exclude_writers(r, &guard, err));
    MAAS_TRY(blob_age_ms(r, hex, &age_ms, err));
    if (age_ms < grace_ms)
        return MAAS_OK;
    MAAS_TRY(maas_sys_unlinkat(r->blobs_fd, name.path, err));
    MAAS_CRASH_POINT("gc.after_unlink");
    ++*n_dropped;
    return MAAS_OK;
}

/* One directory at a time, so that requests get their turn between two of them. */
static maas_status sweep_dir(maas_registry *r, unsigned index, uint64_t grace_ms,
                             uint32_t *n_dropped, maas_err *err)
{
    AUTO(digest_list_reset) digest_list found = {0};
    MAAS_TRY(list_blobs(r, index, &found, err));
    if (!found.n)
        return MAAS_OK;
    AUTO(maas_txn_end) maas_txn tx = {0};
    MAAS_TRY(maas_txn_begin(r, true, &tx, err));
    for (size_t i = 0; i < found.n; i++)
        MAAS_TRY(drop_if_unused(r, found.hex[i], grace_ms, n_dropped, err));
    return MAAS_OK; /* nothing was written: the transaction only kept others from writing */
}

maas_status maas_registry_gc(maas_registry *r, uint64_t grace_ms, uint32_t *out_n, maas_err *err)
{
    uint32_t n = 0;
    for (unsigned i = 0; i < 256; i++)
        MAAS_TRY(sweep_dir(r, i, grace_ms, &n, err));
    *out_n = n;
    return MAAS_OK;
}

/* ---- damage ---- */

/* A file that cannot be read counts as bad but stays: the disk may recover, its bytes may be all
 * there. One that was read and is something else is set aside, so that nobody is served from it. */
static maas_status check_blob(maas_registry *r, const char *hex, uint32_t *n_bad, maas_err *err)
{
    char actual[MAAS_SHA256_HEX];
    maas_blob_name name;
    maas_err why = {0};
    MAAS_TRY(maas_blob_name_of(hex, &name, err));
    maas_status st = maas_fd_sha256(r->blobs_fd, name.path, "the blob", actual, &why);
    if (st == MAAS_E_NOT_FOUND || (!st && strcmp(actual, name.hex) == 0))
        return MAAS_OK;
    if (st == MAAS_E_NOMEM)
        return maas_fail(err, st, "%s", why.msg);
    ++*n_bad;
    return st ? MAAS_OK : maas_blob_quarantine(r, &name, err);
}

static unsigned first_dir(const char *scrub_at)
{
    uint8_t first = 0;
    char digits[3] = {scrub_at[0], scrub_at[0] ? scrub_at[1] : '\0', '\0'};
    return maas_unhex(digits, &first, 1) ? first : 0;
}

static void get_scrub_position(maas_registry *r, char out[MAAS_SHA256_HEX])
{
    pthread_mutex_lock(&r->lock);
    memcpy(out, r->scrub_at, sizeof r->scrub_at);
    pthread_mutex_unlock(&r->lock);
}

static void set_scrub_position(maas_registry *r, const char hex[MAAS_SHA256_HEX])
{
    pthread_mutex_lock(&r->lock);
    memcpy(r->scrub_at, hex, sizeof r->scrub_at);
    pthread_mutex_unlock(&r->lock);
}

/* Goes round all blobs in the order of their digests, from where the last call stopped. */
maas_status maas_registry_scrub(maas_registry *r, uint32_t n_blobs, uint32_t *out_bad,
                                maas_err *err)
{
    char at[MAAS_SHA256_HEX];
    uint32_t n_bad = 0, n_done = 0;
    get_scrub_position(r, at);
    unsigned start = first_dir(at);
    for (unsigned step = 0; step <= 256 && n_done < n_blobs; step++) {
        AUTO(digest_list_reset) digest_list found = {0};
        MAAS_TRY(list_blobs(r, (start + step) % 256, &found, err));
        for (size_t i = 0; i < found.n && n_done < n_blobs; i++) {
            bool before = strcmp(found.hex[i], at) <= 0;
            if ((step == 0 && before) || (step == 256 && !before))
                continue; /* the round starts and ends inside one directory */
            MAAS_TRY(check_blob(r, found.hex[i], &n_bad, err));
            set_scrub_position(r, found.hex[i]);
            n_done++;
        }
    }
    *out_bad = n_bad;
    return MAAS_OK;
}
