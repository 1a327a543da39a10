/* What this process may use of the machine: cores, memory, its own program. */
#include "base/sys.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/ban.h"

int maas_sys_n_cores(void)
{
    for (int n_cpu = 1024; n_cpu <= 1 << 20; n_cpu *= 4) { /* until the kernel's mask fits */
        cpu_set_t *set = CPU_ALLOC(n_cpu);
        size_t size = CPU_ALLOC_SIZE(n_cpu);
        int n = set && sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (n > 0)
            return n;
    }
    return 1;
}

/* Reads a small file of /proc or /sys; false when it is not there. */
static bool read_small(const char *path, char *out, size_t size)
{
    AUTO_FD fd = -1;
    size_t n;
    if (maas_sys_open(path, O_RDONLY, &fd, NULL) != MAAS_OK ||
        maas_sys_read(fd, out, size - 1, &n, NULL) != MAAS_OK)
        return false;
    out[n] = '\0';
    return true;
}

size_t maas_sys_rss_bytes(void)
{
    char text[128];
    uint64_t pages;
    if (!read_small("/proc/self/statm", text, sizeof text))
        return 0;
    const char *second = strchr(text, ' ');
    maas_span s = maas_span_str(second ? second + 1 : "");
    return maas_num_u64(&s, &pages) ? (size_t)pages * (size_t)sysconf(_SC_PAGESIZE) : 0;
}

static uint64_t limit_in(const char *path)
{
    char text[64];
    uint64_t bytes;
    if (!read_small(path, text, sizeof text))
        return UINT64_MAX;
    maas_span s = maas_span_str(text); /* "max" is no number: no limit */
    return maas_num_u64(&s, &bytes) ? bytes : UINT64_MAX;
}

/* cgroup v2: the limit of our group and of each group around it counts. */
static uint64_t cgroup_limit(void)
{
    char text[PATH_MAX], path[PATH_MAX + 64];
    uint64_t least = limit_in("/sys/fs/cgroup/memory/memory.limit_in_bytes"); /* version 1 */
    if (!read_small("/proc/self/cgroup", text, sizeof text))
        return least;
    char *group = strstr(text, "0::/");
    if (!group)
        return least;
    group += 3;
    group[strcspn(group, "\n")] = '\0';
    for (;;) {
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", group);
        uint64_t limit = limit_in(path);
        least = limit < least ? limit : least;
        char *slash = strrchr(group, '/');
        if (!slash)
            return least;
        *slash = '\0';
    }
}

uint64_t maas_sys_memory_bytes(void)
{
    uint64_t physical = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t limit = cgroup_limit();
    return limit < physical ? limit : physical;
}

const char *maas_sys_env(const char *name)
{
    return getenv(name);
}

static char self_exe[PATH_MAX]; /* readlink never gives more */

static void self_exe_read(void)
{
    ssize_t n = readlink("/proc/self/exe", self_exe, sizeof self_exe - 1);
    self_exe[n > 0 ? n : 0] = '\0';
}

const char *maas_sys_self_exe(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, self_exe_read);
    return self_exe;
}
