/*
 * Resumable uploads: tmp/<digest> grows from the front until it has all its bytes, is checked and
 * becomes a blob. Nothing before that is promised to survive a crash; the digest is what decides.
 */
#include "registry/registry_int.h"

#include <fcntl.h>
#include <string.h>

#include "base/ban.h"

static maas_status stored_size(maas_registry *r, const maas_blob_name *name, uint64_t *out_bytes,
                               bool *out_complete, maas_err *err)
{
    AUTO_FD fd = -1;
    maas_err why = {0};
    maas_status st = maas_blob_open(r, name->hex, &fd, out_bytes, &why);
    *out_complete = st == MAAS_OK;
    return st && st != MAAS_E_NOT_FOUND ? maas_fail(err, st, "%s", why.msg) : MAAS_OK;
}

static maas_status partial_size(maas_registry *r, const maas_blob_name *name, uint64_t *out_bytes,
                                maas_err *err)
{
    AUTO_FD fd = -1;
    maas_err why = {0};
    maas_status st = maas_sys_openat(r->tmp_fd, name->hex, O_RDONLY, "the upload", &fd, &why);
    *out_bytes = 0;
    if (st == MAAS_E_NOT_FOUND)
        return MAAS_OK;
    return st ? maas_fail(err, st, "%s", why.msg) : maas_sys_size(fd, out_bytes, err);
}

maas_status maas_blob_partial_size(maas_registry *r, const char *hex, uint64_t *out_bytes,
                                   bool *out_complete, maas_err *err)
{
    maas_blob_name name;
    uint64_t n_bytes;
    bool complete;
    MAAS_TRY(maas_blob_name_of(hex, &name, err));
    MAAS_TRY(stored_size(r, &name, &n_bytes, &complete, err));
    if (!complete)
        MAAS_TRY(partial_size(r, &name, &n_bytes, err));
    *out_bytes = n_bytes;
    *out_complete = complete;
    return MAAS_OK;
}

/* Opens the upload for this caller alone; *out_bytes is how far it got. */
static maas_status open_partial(maas_registry *r, const maas_blob_name *name, int *out_fd,
                                uint64_t *out_bytes, maas_err *err)
{
    AUTO_FD fd = -1;
    maas_fs_stat now;
    bool locked;
    MAAS_TRY(maas_sys_openat(r->tmp_fd, name->hex, O_RDWR | O_CREAT, "the upload", &fd, err));
    MAAS_TRY(maas_fs_lock(fd, true, false, &locked, err));
    MAAS_TRY(maas_fs_stat_fd(fd, &now, err));
    if (!locked || !now.n_links) /* no link: it became a blob, or was dropped, meanwhile */
        return maas_fail(err, MAAS_E_BUSY, "blob %s is being uploaded by another request",
                         name->hex);
    *out_bytes = now.bytes;
    *out_fd = STEAL_FD(fd);
    return MAAS_OK;
}

static maas_status finish(maas_registry *r, int fd, const maas_blob_name *name, maas_err *err)
{
    char hex[MAAS_SHA256_HEX];
    MAAS_TRY(maas_fd_sha256(r->tmp_fd, name->hex, "the upload", hex, err));
    if (strcmp(hex, name->hex) != 0) {
        MAAS_TRY(maas_sys_unlinkat(r->tmp_fd, name->hex, err));
        return maas_fail(err, MAAS_E_INVALID,
                         "the content has digest %s, not %s; the upload was dropped, start again",
                         hex, name->hex);
    }
    MAAS_TRY(maas_blob_link(r, fd, name->hex, err));
    return maas_sys_unlinkat(r->tmp_fd, name->hex, err);
}

static maas_status check_piece(uint64_t at, size_t n, uint64_t total, maas_err *err)
{
    uint64_t end;
    if (__builtin_add_overflow(at, n, &end) || end > total)
        return maas_fail(err, MAAS_E_INVALID,
                         "the piece of %zu bytes at %llu goes past the total of %llu bytes", n,
                         (unsigned long long)at, (unsigned long long)total);
    return MAAS_OK;
}

/* The bytes go to where the upload stands, or nowhere. */
static maas_status check_offset(maas_registry *r, const maas_blob_name *name, uint64_t at,
                                uint64_t n_there, uint64_t total, maas_err *err)
{
    if (n_there > total) {
        MAAS_TRY(maas_sys_unlinkat(r->tmp_fd, name->hex, err));
        return maas_fail(err, MAAS_E_CONFLICT,
                         "the upload already had %llu bytes, more than the total of %llu; it was "
                         "dropped, start again at 0",
                         (unsigned long long)n_there, (unsigned long long)total);
    }
    if (at != n_there)
        return maas_fail(err, MAAS_E_CONFLICT, "the upload is at byte %llu, not %llu",
                         (unsigned long long)n_there, (unsigned long long)at);
    return MAAS_OK;
}

maas_status maas_blob_partial_append(maas_registry *r, const char *hex, uint64_t at, const void *p,
                                     size_t n, uint64_t total, bool *out_complete, maas_err *err)
{
    maas_blob_name name;
    uint64_t n_there;
    bool complete;
    AUTO_FD fd = -1;
    MAAS_TRY(maas_blob_name_of(hex, &name, err));
    MAAS_TRY(check_piece(at, n, total, err));
    MAAS_TRY(stored_size(r, &name, &n_there, &complete, err));
    if (!complete) {
        MAAS_TRY(open_partial(r, &name, &fd, &n_there, err));
        MAAS_TRY(check_offset(r, &name, at, n_there, total, err));
        MAAS_TRY(maas_sys_pwrite(fd, p, n, at, err));
        MAAS_CRASH_POINT("partial.after_write");
        complete = at + n == total;
        if (complete)
            MAAS_TRY(finish(r, fd, &name, err));
    }
    *out_complete = complete;
    return MAAS_OK;
}
