/* Files: every call restarts on EINTR, completes short transfers and can be made to fail. */
#include "base/sys_int.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/ban.h"

#define FILE_MODE 0600 /* what users store is theirs alone */
#define DIR_MODE  0700

static maas_status fail_errno(maas_err *err, const char *doing)
{
    return maas_fail(err, maas_status_of_errno(errno), "%s: %m", doing);
}

/* ---- opening ---- */

static int open_retrying(int dir_fd, const char *name, int flags)
{
    int fd;
    if (maas_sys_fault(MAAS_SYS_OPEN))
        return -1;
    do
        fd = openat(dir_fd, name, flags | O_CLOEXEC, FILE_MODE);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/* mkdir -p: every missing directory on the way to `path`. */
static maas_status make_path(const char *path, maas_err *err)
{
    AUTO_FREE char *part = maas_strdup(path);
    if (!part)
        return maas_fail(err, MAAS_E_NOMEM, "making a directory");
    for (char *p = part + 1; *part && *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(part, DIR_MODE) < 0 && errno != EEXIST)
            return fail_errno(err, "cannot make a parent directory");
        *p = '/';
    }
    if (mkdir(part, DIR_MODE) < 0 && errno != EEXIST)
        return fail_errno(err, "cannot make the directory");
    return MAAS_OK;
}

maas_status maas_sys_open_dir(const char *path, bool create, int *out_fd, maas_err *err)
{
    int fd = open_retrying(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    if (fd < 0 && errno == ENOENT && create) {
        MAAS_TRY(make_path(path, err));
        fd = open_retrying(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    }
    if (fd < 0)
        return fail_errno(err, "cannot open the directory");
    *out_fd = fd;
    return MAAS_OK;
}

static int open_beneath(int dir_fd, const char *name, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
        .mode = flags & (O_CREAT | O_TMPFILE) & ~O_DIRECTORY ? FILE_MODE : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd;
    if (maas_sys_fault(MAAS_SYS_OPEN))
        return -1;
    do /* EAGAIN: a rename raced with the walk, which the kernel could then not vouch for */
        fd = syscall(SYS_openat2, dir_fd, name, &how, sizeof how);
    while (fd < 0 && (errno == EINTR || errno == EAGAIN));
    return (int)fd;
}

maas_status maas_sys_openat(int dir_fd, const char *name, int flags, const char *what, int *out_fd,
                            maas_err *err)
{
    int fd = open_beneath(dir_fd, name, flags);
    if (fd < 0 && (errno == ELOOP || errno == EXDEV))
        return maas_fail(err, MAAS_E_FORBIDDEN,
                         "%s: links and ways out of its directory are refused", what);
    if (fd < 0 && errno == ENOSYS)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "%s: the kernel has no openat2 (Linux 5.6 or newer)", what);
    if (fd < 0 && errno == EEXIST)
        return maas_fail(err, MAAS_E_CONFLICT, "%s exists already", what);
    if (fd < 0)
        return maas_fail(err, maas_status_of_errno(errno), "cannot open %s: %m", what);
    *out_fd = fd;
    return MAAS_OK;
}

maas_status maas_sys_open(const char *path, int flags, int *out_fd, maas_err *err)
{
    int fd = open_retrying(AT_FDCWD, path, flags);
    if (fd < 0)
        return fail_errno(err, "cannot open the file");
    *out_fd = fd;
    return MAAS_OK;
}

maas_status maas_sys_tmpfile(int dir_fd, int *out_fd, maas_err *err)
{
    int fd = open_retrying(dir_fd, ".", O_TMPFILE | O_RDWR);
    if (fd < 0)
        return fail_errno(err, "cannot make a temporary file");
    *out_fd = fd;
    return MAAS_OK;
}

/* ---- reading and writing ---- */

maas_status maas_sys_write(int fd, const void *p, size_t n, maas_err *err)
{
    const char *at = p;
    while (n) {
        ssize_t done = maas_sys_fault(MAAS_SYS_WRITE) ? -1 : write(fd, at, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return fail_errno(err, "cannot write");
        at += done;
        n -= (size_t)done;
    }
    return MAAS_OK;
}

maas_status maas_sys_pwrite(int fd, const void *p, size_t n, uint64_t at, maas_err *err)
{
    const char *from = p;
    if (at > INT64_MAX || n > INT64_MAX - at)
        return maas_fail(err, MAAS_E_TOO_LARGE, "cannot write: the file would be too large");
    while (n) {
        ssize_t done = maas_sys_fault(MAAS_SYS_WRITE) ? -1 : pwrite(fd, from, n, (off_t)at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return fail_errno(err, "cannot write");
        from += done;
        at += (size_t)done;
        n -= (size_t)done;
    }
    return MAAS_OK;
}

maas_status maas_sys_read(int fd, void *p, size_t n, size_t *out_n, maas_err *err)
{
    ssize_t done;
    do
        done = maas_sys_fault(MAAS_SYS_READ) ? -1 : read(fd, p, n);
    while (done < 0 && errno == EINTR);
    if (done < 0)
        return fail_errno(err, "cannot read");
    *out_n = (size_t)done;
    return MAAS_OK;
}

/* Room for the next read; at the maximum one byte more is tried, to tell "full" from "too long". */
static maas_status read_more(int fd, maas_buf *out, size_t *out_n, maas_err *err)
{
    enum { CHUNK = 64 << 10 };
    char beyond;
    size_t room = out->max - out->n;
    if (room > CHUNK)
        room = CHUNK;
    if (!maas_buf_reserve(out, room))
        return maas_fail(err, MAAS_E_NOMEM, "no memory to read the file");
    MAAS_TRY(maas_sys_read(fd, room ? out->p + out->n : &beyond, room ? room : 1, out_n, err));
    if (!room && *out_n)
        return maas_fail(err, MAAS_E_TOO_LARGE,
                         "the file is longer than the %zu bytes allowed here", out->max);
    out->n += *out_n;
    out->p[out->n] = '\0';
    return MAAS_OK;
}

maas_status maas_sys_read_all(int fd, maas_buf *out, maas_err *err)
{
    size_t got;
    do
        MAAS_TRY(read_more(fd, out, &got, err));
    while (got);
    return MAAS_OK;
}

maas_status maas_sys_size(int fd, uint64_t *out_bytes, maas_err *err)
{
    struct stat sb;
    if (fstat(fd, &sb) < 0)
        return fail_errno(err, "cannot read the size");
    if (!S_ISREG(sb.st_mode))
        return maas_fail(err, MAAS_E_INVALID, "not a regular file");
    *out_bytes = (uint64_t)sb.st_size;
    return MAAS_OK;
}

maas_status maas_sys_map(int fd, maas_map *out, maas_err *err)
{
    uint64_t size;
    MAAS_TRY(maas_sys_size(fd, &size, err));
    if (!size) {
        *out = (maas_map){0};
        return MAAS_OK;
    }
    void *p = maas_sys_fault(MAAS_SYS_MMAP) ? MAP_FAILED
                                            : mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return fail_errno(err, "cannot map the file");
    *out = (maas_map){p, size};
    return MAAS_OK;
}

void maas_sys_unmap(maas_map *m)
{
    if (m->p)
        munmap((void *)(uintptr_t)m->p, m->n);
    *m = (maas_map){0};
}

void maas_sys_map_rest(const maas_map *m)
{
    if (m->p)
        (void)madvise((void *)(uintptr_t)m->p, m->n, MADV_DONTNEED);
}

void maas_sys_map_rest_part(maas_span part)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t from = ((uintptr_t)part.p + page - 1) / page * page;
    const uintptr_t to = ((uintptr_t)part.p + part.n) / page * page;
    if (to > from)
        (void)madvise((void *)from, to - from, MADV_DONTNEED);
}

maas_status maas_sys_free_bytes(int fd, uint64_t *out_bytes)
{
    struct statvfs vfs;
    if (fstatvfs(fd, &vfs) < 0)
        return maas_status_of_errno(errno);
    *out_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    return MAAS_OK;
}

/* ---- names, and making them last ---- */

/*
 * After a failed fsync the kernel may already have dropped the dirty pages, so that the next fsync
 * succeeds over lost bytes. Nothing can be promised any more but a restart from what is on disk.
 */
void maas_sys_fsync(int fd)
{
    int st;
    do
        st = maas_sys_fault(MAAS_SYS_FSYNC) ? -1 : fsync(fd);
    while (st < 0 && errno == EINTR);
    if (st < 0) {
        fprintf(stderr, "fsync failed, stored data may be lost: %m\n");
        abort();
    }
}

/* A name lasts once the directory that holds it is on disk. */
static maas_status sync_parent(int dir_fd, const char *name, maas_err *err)
{
    const char *slash = strrchr(name, '/');
    AUTO_FREE char *parent = slash ? maas_strndup(name, (size_t)(slash - name) + 1)
                                   : maas_strdup(".");
    if (!parent)
        return maas_fail(err, MAAS_E_NOMEM, "making a name last");
    AUTO_FD fd = open_retrying(dir_fd, parent, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return fail_errno(err, "cannot open the directory");
    maas_sys_fsync(fd);
    return MAAS_OK;
}

maas_status maas_sys_mkdirat(int dir_fd, const char *name, maas_err *err)
{
    if (mkdirat(dir_fd, name, DIR_MODE) < 0) {
        if (errno == EEXIST)
            return MAAS_OK;
        return fail_errno(err, "cannot make a directory");
    }
    return sync_parent(dir_fd, name, err);
}

static int link_unnamed(int fd, int dir_fd, const char *name)
{
    char self[32];
    if (maas_sys_fault(MAAS_SYS_LINK))
        return -1;
    if (linkat(fd, "", dir_fd, name, AT_EMPTY_PATH) == 0)
        return 0;
    if (errno != ENOENT && errno != EPERM && errno != EINVAL)
        return -1; /* those three: AT_EMPTY_PATH needs CAP_DAC_READ_SEARCH on older kernels */
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, self, dir_fd, name, AT_SYMLINK_FOLLOW);
}

/* The directory is synced when the name exists, too: whoever made it may not have got that far. */
maas_status maas_sys_link(int fd, int dir_fd, const char *name, maas_err *err)
{
    int st = link_unnamed(fd, dir_fd, name);
    if (st < 0 && errno != EEXIST)
        return fail_errno(err, "cannot name the file");
    MAAS_TRY(sync_parent(dir_fd, name, err));
    return st < 0 ? maas_fail(err, MAAS_E_CONFLICT, "the name is taken") : MAAS_OK;
}

maas_status maas_sys_unlinkat(int dir_fd, const char *name, maas_err *err)
{
    return unlinkat(dir_fd, name, 0) < 0 ? fail_errno(err, "cannot remove the file") : MAAS_OK;
}

maas_status maas_sys_rename(int dir_fd, const char *from, const char *to, maas_err *err)
{
    if (maas_sys_fault(MAAS_SYS_LINK) || renameat(dir_fd, from, dir_fd, to) < 0)
        return fail_errno(err, "cannot rename the file");
    return sync_parent(dir_fd, to, err);
}
