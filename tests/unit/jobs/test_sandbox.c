/* The red team inside the sandbox: everything a hijacked parser could try must end its process (or
 * be refused), and what a parser needs must work. Each attempt is a process of its own. */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "base/mem.h"
#include "base/sys.h"
#include "jobs/sandbox.h"
#include "maas_test.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* the sanitizers' own calls are allowed: the walls cannot be tested */
#else
#define SANITIZED 0
#endif

#define ESCAPED 42

static int kept; /* a descriptor that stays open */

static const maas_sandbox_limits limits = {
    .memory_bytes = 512ull << 20, .output_bytes = 1 << 20, .cpu_s = 1};

/* ---- attempts: each returns true when it got what it wanted ---- */

static bool opens_a_file(void)
{
    return syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY) >= 0;
}
static bool opens_the_old_way(void)
{
    return syscall(SYS_open, "/etc/passwd", O_RDONLY) >= 0;
}
static bool makes_a_file(void)
{
    return syscall(SYS_openat, AT_FDCWD, "/tmp/maas-escape", O_CREAT | O_WRONLY, 0600) >= 0;
}
static bool removes_a_file(void)
{
    return syscall(SYS_unlinkat, AT_FDCWD, "/tmp/none", 0) == 0 || errno == ENOENT;
}
static bool makes_a_socket(void)
{
    return syscall(SYS_socket, AF_INET, SOCK_STREAM, 0) >= 0;
}
static bool makes_a_unix_pair(void)
{
    int pair[2];
    return syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, pair) == 0;
}
static bool connects(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(80)};
    return syscall(SYS_connect, kept, &a, sizeof a) == 0 || errno == ECONNREFUSED ||
           errno == ENOTSOCK;
}
static bool runs_a_program(void)
{
    char *argv[] = {(char *)"sh", NULL};
    return syscall(SYS_execve, "/bin/sh", argv, NULL) == 0 || errno != ENOSYS;
}
static bool forks(void)
{
    return syscall(SYS_fork) >= 0;
}
static bool clones(void)
{
    return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) >= 0;
}
static bool clones_the_new_way(void)
{
    uint64_t args[11] = {0};
    return syscall(SYS_clone3, args, sizeof args) >= 0 || errno == EINVAL;
}
static bool traces_its_parent(void)
{
    return syscall(SYS_ptrace, PTRACE_ATTACH, getppid(), 0, 0) == 0 || errno == EPERM;
}
static bool kills_its_parent(void)
{
    return syscall(SYS_kill, 1, 0) == 0 || errno == EPERM;
}
static bool signals_a_thread(void)
{
    return syscall(SYS_tgkill, 1, 1, 0) == 0 || errno == EPERM;
}
static bool reads_another_process(void)
{
    char b[8];
    struct iovec v = {b, sizeof b};
    return syscall(SYS_process_vm_readv, 1, &v, 1, &v, 1, 0) >= 0 || errno == EPERM;
}
static bool makes_memory_executable(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p != MAP_FAILED && mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0;
}
static bool maps_executable_memory(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                0) != MAP_FAILED;
}
static bool takes_much_memory(void)
{
    return mmap(NULL, 5ull << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
           MAP_FAILED;
}
static bool takes_memory_piece_by_piece(void)
{
    for (int i = 0; i < 6000; i++) {
        char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            return false;
    }
    return true;
}
static bool spins(void)
{
    for (volatile uint64_t i = 0; i < 60ull * 1000000000; i++)
        ;
    return true;
}
static bool writes_too_much(void)
{
    static const char block[65536];
    for (int i = 0; i < 64; i++)
        if (write(kept, block, sizeof block) < 0)
            return false;
    return true;
}
static bool floods_descriptors(void)
{
    for (int i = 0; i < 100; i++)
        if (syscall(SYS_dup, kept) < 0)
            return false;
    return true;
}
static bool raises_its_limits(void)
{
    const struct rlimit r = {RLIM_INFINITY, RLIM_INFINITY};
    return syscall(SYS_prlimit64, 0, RLIMIT_AS, &r, NULL) == 0;
}
static bool becomes_traceable(void)
{
    return syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}
static bool changes_user(void)
{
    return syscall(SYS_setuid, 0) == 0 || errno == EPERM;
}
static bool makes_a_namespace(void)
{
    return syscall(SYS_unshare, CLONE_NEWUSER) == 0 || errno == EPERM;
}
static bool uses_io_uring(void)
{
    struct io_uring_params p = {0};
    return syscall(SYS_io_uring_setup, 1, &p) >= 0 || errno == EPERM;
}
static bool shares_memory(void)
{
    return syscall(SYS_shmget, 1, 4096, IPC_CREAT | 0600) >= 0;
}
static bool controls_a_device(void)
{
    return syscall(SYS_ioctl, kept, 0x5401, NULL) == 0 || errno == ENOTTY;
}
static bool loads_a_filter(void)
{
    return syscall(SYS_bpf, 0, NULL, 0) == 0 || errno == EPERM || errno == EINVAL;
}
static bool reads_the_wrong_descriptor(void)
{
    for (int fd = 0; fd < 64; fd++) {
        char c;
        if (fd != 2 && fd != kept && (read(fd, &c, 1) >= 0 || errno != EBADF))
            return true;
    }
    return false;
}

static const struct attempt {
    const char *name;
    bool (*fn)(void);
    int signal; /* what ends it; 0: it is refused */
} attempts[] = {
    {"openat", opens_a_file, SIGSYS},
    {"open", opens_the_old_way, SIGSYS},
    {"creat", makes_a_file, SIGSYS},
    {"unlink", removes_a_file, SIGSYS},
    {"socket", makes_a_socket, SIGSYS},
    {"socketpair", makes_a_unix_pair, SIGSYS},
    {"connect", connects, SIGSYS},
    {"execve", runs_a_program, SIGSYS},
    {"fork", forks, SIGSYS},
    {"clone", clones, SIGSYS},
    {"clone3", clones_the_new_way, SIGSYS},
    {"ptrace", traces_its_parent, SIGSYS},
    {"kill", kills_its_parent, SIGSYS},
    {"tgkill", signals_a_thread, SIGSYS},
    {"process_vm_readv", reads_another_process, SIGSYS},
    {"mprotect exec", makes_memory_executable, SIGSYS},
    {"mmap exec", maps_executable_memory, SIGSYS},
    {"memory at once", takes_much_memory, 0},
    {"memory in pieces", takes_memory_piece_by_piece, 0},
    {"spinning", spins, SIGKILL},
    {"a large file", writes_too_much, SIGXFSZ},
    {"descriptors", floods_descriptors, SIGSYS},
    {"prlimit", raises_its_limits, SIGSYS},
    {"prctl", becomes_traceable, SIGSYS},
    {"setuid", changes_user, SIGSYS},
    {"unshare", makes_a_namespace, SIGSYS},
    {"io_uring", uses_io_uring, SIGSYS},
    {"shmget", shares_memory, SIGSYS},
    {"ioctl", controls_a_device, SIGSYS},
    {"bpf", loads_a_filter, SIGSYS},
    {"inherited descriptors", reads_the_wrong_descriptor, 0},
};

/* How a process ended that entered the sandbox and tried. */
static int try_it(bool (*fn)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        maas_err err = {0};
        const int keep[] = {kept, 2};
        if (maas_sandbox_enter(keep, 2, &limits, &err) != MAAS_OK)
            _exit(99);
        syscall(SYS_exit_group, fn() ? ESCAPED : 0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return status;
}

static void every_escape_is_stopped(void)
{
    if (SANITIZED)
        return;
    kept = memfd_create("kept", 0);
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        const struct attempt *a = &attempts[i];
        int st = try_it(a->fn);
        if (a->signal == SIGKILL) /* the soft limit says SIGXCPU, the hard one SIGKILL */
            EXPECT_MSG(WIFSIGNALED(st) && (WTERMSIG(st) == SIGKILL || WTERMSIG(st) == SIGXCPU),
                       "%s: %x", a->name, st);
        else if (a->signal)
            EXPECT_MSG(WIFSIGNALED(st) && WTERMSIG(st) == a->signal, "%s: %x", a->name, st);
        else
            EXPECT_MSG(WIFEXITED(st) && WEXITSTATUS(st) == 0, "%s: %x", a->name, st);
    }
}

/* ---- what a parser needs ---- */

static bool plain_work(void)
{
    char *p = maas_alloc(64 << 20), head[4];
    if (!p)
        return true;
    memset(p, 1, 64 << 20);
    p = maas_realloc(p, 96 << 20);
    maas_free(p);
    return lseek(kept, 0, SEEK_SET) != 0 || write(kept, "done", 4) != 4 ||
           pread(kept, head, 4, 0) != 4;
}

static int downward(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

/* Long names of columns, nodes out of order: readers sort. */
static bool sorts_much(void)
{
    enum { N = 1 << 20 };
    int64_t *v = maas_alloc(N * sizeof *v);
    if (!v)
        return true;
    for (int64_t i = 0; i < N; i++)
        v[i] = i;
    qsort(v, N, sizeof *v, downward);
    return v[0] != N - 1;
}

static void a_parser_can_work(void)
{
    kept = memfd_create("kept", 0);
    int st = try_it(plain_work);
    EXPECT_MSG(WIFEXITED(st) && WEXITSTATUS(st) == 0, "%x", st);
    st = try_it(sorts_much);
    EXPECT_MSG(WIFEXITED(st) && WEXITSTATUS(st) == 0, "sorting: %x", st);
}

/* The policy is a list one can read: nothing that reaches beyond the process is in it. */
static void the_list_is_short(void)
{
    static const char *const allowed[] = {"read",   "pread64",      "write",         "munmap",
                                          "mremap", "brk",          "madvise",       "futex",
                                          "fstat",  "newfstatat",   "lseek",         "exit_group",
                                          "exit",   "rt_sigreturn", "clock_gettime", "getrandom"};
    size_t n = 0;
    if (SANITIZED)
        return;
    for (const char *const *c = maas_sandbox_calls; *c; c++, n++) {
        bool known = false;
        for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
            known |= strcmp(*c, allowed[i]) == 0;
        EXPECT_MSG(known, "'%s' was added: is it worth it?", *c);
    }
    EXPECT_EQ(n, sizeof allowed / sizeof *allowed);
}

static const mt_case cases[] = {
    MT_CASE(every_escape_is_stopped),
    MT_CASE(a_parser_can_work),
    MT_CASE(the_list_is_short),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
