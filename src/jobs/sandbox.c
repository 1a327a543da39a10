#include "jobs/sandbox.h"

#include <errno.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/ban.h"

/* mmap and mprotect are allowed as well, but never with PROT_EXEC. */
const char *const maas_sandbox_calls[] = {
    "read", "pread64", "write", "munmap", "mremap", "brk", "madvise", "futex", "fstat",
    "newfstatat", "lseek", "exit_group", "exit", "rt_sigreturn", "clock_gettime", "getrandom",
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    /* what the sanitizers' run-time libraries need to report and to check for leaks */
    "sigaltstack", "rt_sigprocmask", "rt_sigaction", "gettid", "getpid", "sched_yield", "prctl",
    "sched_getaffinity", "openat", "readlink", "readlinkat", "close", "clone", "wait4", "ptrace",
    "tgkill", "getppid", "getrlimit", "prlimit64", "getdents64", "process_vm_readv", "kill",
#endif
    NULL};

static void limit(int what, uint64_t value)
{
    const struct rlimit r = {value, value};
    setrlimit(what, &r);
}

static void set_limits(const maas_sandbox_limits *l)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* shadow memory is terabytes  \
                                                                     */
    limit(RLIMIT_AS, l->memory_bytes);
#endif
    limit(RLIMIT_CPU, l->cpu_s);
    limit(RLIMIT_FSIZE, l->output_bytes);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NPROC, 0);
    limit(RLIMIT_NOFILE, 16);
}

/* All file-system and network rights this kernel knows are handled, and none is granted. Landlock
 * is a second wall; a kernel without it is stopped by seccomp all the same. */
static void landlock_everything(void)
{
    struct landlock_ruleset_attr attr = {.handled_access_fs = (1ull << 13) - 1};
    int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0u);
    if (fd < 0)
        return;
    syscall(SYS_landlock_restrict_self, fd, 0u);
    close(fd);
}

static bool allow_calls(scmp_filter_ctx f)
{
    for (const char *const *name = maas_sandbox_calls; *name; name++) {
        int nr = seccomp_syscall_resolve_name(*name);
        if (nr != __NR_SCMP_ERROR && seccomp_rule_add(f, SCMP_ACT_ALLOW, nr, 0) != 0)
            return false;
    }
    const struct scmp_arg_cmp not_exec = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    return seccomp_rule_add_array(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, &not_exec) == 0 &&
           seccomp_rule_add_array(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, &not_exec) == 0;
}

static bool filter_calls(void)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
    bool ok = f && allow_calls(f) && seccomp_load(f) == 0;
    if (f)
        seccomp_release(f);
    return ok;
}

static void close_others(const int *keep, int n)
{
    unsigned from = 0;
    for (;;) {
        unsigned next = ~0u; /* the lowest kept descriptor that is >= from */
        for (int i = 0; i < n; i++)
            if (keep[i] >= 0 && (unsigned)keep[i] >= from && (unsigned)keep[i] < next)
                next = (unsigned)keep[i];
        if (next > from)
            syscall(SYS_close_range, from, next == ~0u ? ~0u : next - 1, 0u);
        if (next == ~0u)
            return;
        from = next + 1;
    }
}

static int downward(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

/* The C library's qsort asks once how much memory the machine has, when an array is larger than a
 * kilobyte; that call is not allowed inside. So it asks before. */
static void warm_up_qsort(void)
{
    int64_t v[512];
    for (int i = 0; i < 512; i++)
        v[i] = i;
    qsort(v, 512, sizeof *v, downward);
    MAAS_CHECK(v[0] == 511);
}

maas_status maas_sandbox_enter(const int *keep, int n, const maas_sandbox_limits *l, maas_err *err)
{
    close_others(keep, n);
    warm_up_qsort();
    set_limits(l);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return maas_fail(err, MAAS_E_INTERNAL, "the sandbox cannot drop privileges");
    landlock_everything();
    if (!filter_calls())
        return maas_fail(err, MAAS_E_INTERNAL, "the sandbox cannot filter system calls");
    return MAAS_OK;
}
