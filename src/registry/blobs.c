/*
 * Blobs: a file that has no name until its bytes are on disk. Once linked it never changes, so
 * readers need no lock; only deleting (sweep.c) and re-using an old blob exclude one another, by a
 * flock on the blob directory, because workers link from other processes.
 */
#include "registry/registry_int.h"

#include <fcntl.h>
#include <string.h>

#include "base/ban.h"

struct maas_blob_writer {
    maas_registry *r;
    int fd;
    uint64_t n_bytes;
    maas_sha256 sha;
};

/* ---- names ---- */

maas_status maas_blob_name_of(const char *hex, maas_blob_name *out, maas_err *err)
{
    uint8_t digest[MAAS_SHA256_BYTES];
    if (!hex || !maas_unhex(hex, digest, sizeof digest))
        return maas_fail(err, MAAS_E_INVALID, "'%.80s' is not a SHA-256 digest (64 hex digits)",
                         hex ? hex : "");
    maas_hex(digest, sizeof digest, out->hex); /* lower case, whatever came in */
    memcpy(out->dir, out->hex, 2);
    out->dir[2] = '\0';
    memcpy(out->file, out->hex + 2, sizeof out->file);
    memcpy(out->path, out->hex, 2);
    out->path[2] = '/';
    memcpy(out->path + 3, out->hex + 2, sizeof out->file);
    return MAAS_OK;
}

/* ---- reading ---- */

maas_status maas_blob_open(maas_registry *r, const char *hex, int *out_fd, uint64_t *out_bytes,
                           maas_err *err)
{
    maas_blob_name name;
    AUTO_FD fd = -1;
    MAAS_TRY(maas_blob_name_of(hex, &name, err));
    maas_err why = {0};
    maas_status st = maas_sys_openat(r->blobs_fd, name.path, O_RDONLY, "the blob", &fd, &why);
    if (st == MAAS_E_NOT_FOUND)
        return maas_fail(err, st, "blob %s does not exist", name.hex);
    if (st)
        return maas_fail(err, st, "%s", why.msg);
    MAAS_TRY(maas_sys_size(fd, out_bytes, err));
    *out_fd = STEAL_FD(fd);
    return MAAS_OK;
}

maas_status maas_blob_exists(maas_registry *r, const maas_blob_name *name, bool *out, maas_err *err)
{
    AUTO_FD fd = -1;
    uint64_t n_bytes;
    maas_err why = {0};
    maas_status st = maas_blob_open(r, name->hex, &fd, &n_bytes, &why);
    *out = st == MAAS_OK;
    return st && st != MAAS_E_NOT_FOUND ? maas_fail(err, st, "%s", why.msg) : MAAS_OK;
}

maas_status maas_fd_sha256(int dir_fd, const char *path, const char *what,
                           char out_hex[MAAS_SHA256_HEX], maas_err *err)
{
    enum { CHUNK = 256 << 10 };
    AUTO_FD fd = -1;
    AUTO(maas_sha256_reset) maas_sha256 sha = {0};
    AUTO_FREE uint8_t *chunk = maas_alloc(CHUNK);
    uint8_t digest[MAAS_SHA256_BYTES];
    size_t n;
    MAAS_TRY(maas_sys_openat(dir_fd, path, O_RDONLY, what, &fd, err));
    if (!chunk || !maas_sha256_init(&sha))
        return maas_no_memory(err);
    do {
        MAAS_TRY(maas_sys_read(fd, chunk, CHUNK, &n, err));
        maas_sha256_add(&sha, chunk, n);
    } while (n);
    maas_sha256_done(&sha, digest);
    maas_hex(digest, sizeof digest, out_hex);
    return MAAS_OK;
}

/* ---- linking ---- */

maas_status maas_blob_quarantine(maas_registry *r, const maas_blob_name *name, maas_err *err)
{
    char from[sizeof name->path + 8], to[sizeof name->hex + 10];
    snprintf(from, sizeof from, "blobs/%s", name->path);
    snprintf(to, sizeof to, "damaged/%s", name->hex);
    maas_err why = {0};
    maas_status st = maas_sys_rename(r->dir_fd, from, to, &why);
    if (st && st != MAAS_E_NOT_FOUND) /* not found: somebody else was faster */
        return maas_fail(err, st, "setting a damaged blob aside: %s", why.msg);
    return MAAS_OK;
}

/* The name is taken. A file of the right size is this content, and counts as new from now on, so
 * that a sweep leaves its next owner time to name it. */
static maas_status reuse(maas_registry *r, const maas_blob_name *name, uint64_t n_bytes,
                         bool *out_good, maas_err *err)
{
    AUTO_FD fd = -1;
    uint64_t n_there;
    MAAS_TRY(maas_blob_open(r, name->hex, &fd, &n_there, err));
    *out_good = n_there == n_bytes;
    return *out_good ? maas_fs_touch(fd, err) : maas_blob_quarantine(r, name, err);
}

static maas_status link_or_reuse(maas_registry *r, int fd, const maas_blob_name *name,
                                 uint64_t n_bytes, maas_err *err)
{
    for (int tries = 0; tries < 2; tries++) { /* the second after a broken file was set aside */
        maas_err why = {0};
        bool good = false;
        maas_status st = maas_sys_link(fd, r->blobs_fd, name->path, &why);
        if (st != MAAS_E_CONFLICT)
            return st ? maas_fail(err, st, "storing a blob: %s", why.msg) : MAAS_OK;
        MAAS_TRY(reuse(r, name, n_bytes, &good, err));
        if (good)
            return MAAS_OK;
    }
    return maas_fail(err, MAAS_E_BUSY, "blob %s is being stored by somebody else; try again",
                     name->hex);
}

maas_status maas_blob_link(maas_registry *r, int fd, const char *hex, maas_err *err)
{
    maas_blob_name name;
    uint64_t n_bytes;
    bool locked;
    MAAS_TRY(maas_blob_name_of(hex, &name, err));
    MAAS_TRY(maas_sys_size(fd, &n_bytes, err));
    MAAS_CRASH_POINT("blob.before_fsync");
    maas_sys_fsync(fd);
    MAAS_CRASH_POINT("blob.after_fsync");
    AUTO_FD guard = -1; /* an open file of its own, so that threads exclude each other, too */
    MAAS_TRY(maas_sys_openat(r->dir_fd, "blobs", O_RDONLY | O_DIRECTORY, "the blob directory",
                             &guard, err));
    MAAS_TRY(maas_fs_lock(guard, false, true, &locked, err));
    MAAS_TRY(link_or_reuse(r, fd, &name, n_bytes, err));
    MAAS_CRASH_POINT("blob.after_link");
    return MAAS_OK;
}

maas_status maas_blob_tmp(maas_registry *r, int *out_fd, maas_err *err)
{
    return maas_sys_tmpfile(r->blobs_fd, out_fd, err);
}

/* ---- writer ---- */

maas_status maas_blob_begin(maas_registry *r, maas_blob_writer **out, maas_err *err)
{
    maas_blob_writer *w = maas_calloc(1, sizeof *w);
    if (!w)
        return maas_no_memory(err);
    *w = (maas_blob_writer){.r = r, .fd = -1};
    maas_status st = maas_sha256_init(&w->sha) ? maas_blob_tmp(r, &w->fd, err)
                                               : maas_no_memory(err);
    if (st) {
        maas_blob_abort(w);
        return st;
    }
    *out = w;
    return MAAS_OK;
}

maas_status maas_blob_write(maas_blob_writer *w, const void *p, size_t n, maas_err *err)
{
    /* At the offset that is known to be good: a failed write may be repeated. */
    MAAS_TRY(maas_sys_pwrite(w->fd, p, n, w->n_bytes, err));
    maas_sha256_add(&w->sha, p, n);
    w->n_bytes += n;
    return MAAS_OK;
}

int maas_blob_fd(const maas_blob_writer *w)
{
    return w->fd;
}

uint64_t maas_blob_size(const maas_blob_writer *w)
{
    return w->n_bytes;
}

static void auto_abort(maas_blob_writer **w)
{
    maas_blob_abort(*w);
}

maas_status maas_blob_commit(maas_blob_writer *writer, char out_hex[MAAS_SHA256_HEX], maas_err *err)
{
    AUTO(auto_abort) maas_blob_writer *w = writer;
    uint8_t digest[MAAS_SHA256_BYTES];
    char hex[MAAS_SHA256_HEX];
    uint64_t n_there;
    MAAS_TRY(maas_sys_size(w->fd, &n_there, err));
    if (n_there != w->n_bytes) /* a write failed half-way and was not repeated */
        return maas_fail(err, MAAS_E_IO, "the blob was not written completely");
    maas_sha256_done(&w->sha, digest);
    maas_hex(digest, sizeof digest, hex);
    MAAS_TRY(maas_blob_link(w->r, w->fd, hex, err));
    memcpy(out_hex, hex, sizeof hex);
    return MAAS_OK;
}

void maas_blob_abort(maas_blob_writer *w)
{
    if (!w)
        return;
    maas_auto_close(&w->fd);
    maas_sha256_reset(&w->sha);
    maas_free(w);
}
