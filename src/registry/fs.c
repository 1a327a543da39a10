/* What base/sys.h does not offer: advisory locks, times, and the names in a directory. */
#include "registry/registry_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/ban.h"

static maas_status fail_errno(maas_err *err, const char *doing)
{
    return maas_fail(err, maas_status_of_errno(errno), "cannot %s", doing);
}

maas_status maas_fs_lock(int fd, bool exclusive, bool wait, bool *out_locked, maas_err *err)
{
    int st, how = (exclusive ? LOCK_EX : LOCK_SH) | (wait ? 0 : LOCK_NB);
    do
        st = flock(fd, how);
    while (st < 0 && errno == EINTR);
    *out_locked = st == 0;
    return st < 0 && errno != EWOULDBLOCK ? fail_errno(err, "lock a file") : MAAS_OK;
}

maas_status maas_fs_mkdir(int dir_fd, const char *name, maas_err *err)
{
    return mkdirat(dir_fd, name, 0700) < 0 && errno != EEXIST ? fail_errno(err, "make a directory")
                                                              : MAAS_OK;
}

maas_status maas_fs_stat_fd(int fd, maas_fs_stat *out, maas_err *err)
{
    struct stat sb;
    if (fstat(fd, &sb) < 0)
        return fail_errno(err, "look at a file");
    *out = (maas_fs_stat){
        .bytes = (uint64_t)sb.st_size,
        .modified_ms = (uint64_t)sb.st_mtim.tv_sec * 1000 + (uint64_t)sb.st_mtim.tv_nsec / 1000000,
        .n_links = sb.st_nlink,
    };
    return MAAS_OK;
}

maas_status maas_fs_touch(int fd, maas_err *err)
{
    return futimens(fd, NULL) < 0 ? fail_errno(err, "touch a file") : MAAS_OK;
}

static void auto_closedir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

maas_status maas_fs_each(int dir_fd, const char *name, maas_fs_name_fn fn, void *user,
                         maas_err *err)
{
    AUTO_FD fd = -1;
    MAAS_TRY(maas_sys_openat(dir_fd, name, O_RDONLY | O_DIRECTORY, "a directory of the store", &fd,
                             err));
    AUTO(auto_closedir) DIR *dir = fdopendir(fd);
    if (!dir)
        return fail_errno(err, "list a directory");
    STEAL_FD(fd); /* dir closes it */
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry)
            return errno ? fail_errno(err, "list a directory") : MAAS_OK;
        if (entry->d_name[0] != '.')
            MAAS_TRY(fn(user, entry->d_name, err));
    }
}
