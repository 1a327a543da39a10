/* Opening and closing a data directory: who owns it, what is in it. */
#include "registry/registry_int.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/ban.h"

static maas_registry *new_registry(void)
{
    maas_registry *r = maas_calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->dir_fd = r->blobs_fd = r->tmp_fd = r->lock_fd = -1;
    pthread_mutex_init(&r->lock, NULL);
    pthread_mutex_init(&r->snap_lock, NULL);
    return r;
}

void maas_registry_close(maas_registry *r)
{
    if (!r)
        return;
    maas_sql_close(r);
    maas_snapshot_unref(r->snap);
    int fds[] = {r->blobs_fd, r->tmp_fd, r->dir_fd, r->lock_fd}; /* the lock goes last */
    for (size_t i = 0; i < MAAS_COUNT(fds); i++)
        maas_auto_close(&fds[i]);
    pthread_mutex_destroy(&r->lock);
    pthread_mutex_destroy(&r->snap_lock);
    explicit_bzero(r->pepper, sizeof r->pepper);
    maas_free(r);
}

static void auto_registry_close(maas_registry **r)
{
    maas_registry_close(*r);
}

/* ---- ownership ---- */

static maas_status say_who_owns(int lock_fd, maas_err *err)
{
    char pid[24] = "";
    size_t n = 0;
    if (maas_sys_read(lock_fd, pid, sizeof pid - 1, &n, NULL) != MAAS_OK)
        n = 0;
    pid[n] = '\0';
    pid[strspn(pid, "0123456789")] = '\0';
    return maas_fail(
        err, MAAS_E_CONFLICT,
        "the data directory is in use by another server%s%s%s; stop that one or choose "
        "another directory",
        *pid ? " (process " : "", pid, *pid ? ")" : "");
}

/* The lock dies with the process, however it dies; the number in the file is for people only. */
static maas_status own_directory(maas_registry *r, maas_err *err)
{
    char pid[24];
    bool locked;
    MAAS_TRY(
        maas_sys_openat(r->dir_fd, "lock", O_RDWR | O_CREAT, "the lock file", &r->lock_fd, err));
    MAAS_TRY(maas_fs_lock(r->lock_fd, true, false, &locked, err));
    if (!locked)
        return say_who_owns(r->lock_fd, err);
    int n = snprintf(pid, sizeof pid, "%-20ld\n", (long)getpid());
    return maas_sys_pwrite(r->lock_fd, pid, (size_t)n, 0, err);
}

/* ---- layout ---- */

/* All 256 at once and one fsync: no upload has to care whether its directory will last. */
static maas_status make_blob_dirs(maas_registry *r, maas_err *err)
{
    char name[3];
    for (unsigned i = 0; i < 256; i++) {
        maas_hex(&(uint8_t){(uint8_t)i}, 1, name);
        MAAS_TRY(maas_fs_mkdir(r->blobs_fd, name, err));
    }
    maas_sys_fsync(r->blobs_fd);
    return MAAS_OK;
}

static maas_status open_layout(maas_registry *r, maas_err *err)
{
    const int flags = O_RDONLY | O_DIRECTORY;
    MAAS_TRY(maas_sys_openat(r->dir_fd, "blobs", flags, "the blob directory", &r->blobs_fd, err));
    return maas_sys_openat(r->dir_fd, "tmp", flags, "the upload directory", &r->tmp_fd, err);
}

static maas_status make_layout(maas_registry *r, maas_err *err)
{
    static const char *const dirs[] = {"blobs", "tmp", "damaged"};
    for (size_t i = 0; i < MAAS_COUNT(dirs); i++)
        MAAS_TRY(maas_sys_mkdirat(r->dir_fd, dirs[i], err));
    MAAS_TRY(open_layout(r, err));
    return make_blob_dirs(r, err);
}

/* ---- opening ---- */

static maas_status first_snapshot(maas_registry *r, maas_err *err)
{
    AUTO(maas_txn_end) maas_txn tx = {0};
    maas_snapshot *snap;
    MAAS_TRY(maas_txn_begin(r, false, &tx, err));
    MAAS_TRY(maas_snapshot_build(r, &snap, err));
    maas_registry_publish(r, snap);
    return MAAS_OK;
}

maas_status maas_registry_open(const char *dir, maas_registry **out, maas_err *err)
{
    AUTO(auto_registry_close) maas_registry *r = new_registry();
    if (!r)
        return maas_no_memory(err);
    MAAS_TRY(maas_sys_open_dir(dir, true, &r->dir_fd, err));
    MAAS_TRY(own_directory(r, err));
    MAAS_TRY(make_layout(r, err));
    MAAS_TRY(maas_tmp_sweep(r, err));
    MAAS_TRY(maas_sql_open(r, dir, err));
    MAAS_TRY(maas_pepper_open(r, err));
    MAAS_TRY(first_snapshot(r, err));
    *out = STEAL(r);
    return MAAS_OK;
}

maas_status maas_blobstore_open(const char *dir, maas_registry **out, maas_err *err)
{
    AUTO(auto_registry_close) maas_registry *r = new_registry();
    if (!r)
        return maas_no_memory(err);
    MAAS_TRY(maas_sys_open_dir(dir, false, &r->dir_fd, err));
    MAAS_TRY(open_layout(r, err));
    *out = STEAL(r);
    return MAAS_OK;
}
