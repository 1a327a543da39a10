/*
 * jobs/helper_proc.c - the helper process: forks, reaps, reports. It has one thread and holds
 * nothing but its socket and the numbers of its children, so a fork of it is cheap and clean.
 */
#include "jobs/helper_proc.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sys.h"
#include "base/ban.h"

typedef struct child {
    uint64_t id;
    pid_t pid;
} child;

typedef struct helper {
    int server_fd;
    child *children;
    size_t n, cap;
} helper;

static void report(helper *h, uint64_t id, int wait_status)
{
    const maas_wire_ended e = {.id = id, .wait_status = wait_status};
    maas_wire_send(h->server_fd, &e, sizeof e, NULL, 0, NULL);
}

/* The worker: another program image with a clean environment, its control socket as descriptor 3.
 */
static _Noreturn void exec_worker(const maas_wire_order *o, int control)
{
    char threads[32], spin[] = "GOMP_SPINCOUNT=2000", fd[] = "3";
    char *const argv[] = {(char *)"maas", (char *)"worker", (char *)"--fd", fd, NULL};
    snprintf(threads, sizeof threads, "OMP_NUM_THREADS=%d", o->n_cores);
    const char *cpu = maas_sys_env("MAAS_CPU");
    char cpu_text[64];
    snprintf(cpu_text, sizeof cpu_text, "MAAS_CPU=%s", cpu ? cpu : "");
    char *const env[] = {threads, spin, cpu ? cpu_text : NULL, NULL};
    const struct rlimit memory = {o->limits.memory_bytes, o->limits.memory_bytes};
    const struct rlimit no_core = {0, 0};
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* shadow memory counts */
    if (o->limits.memory_bytes)
        setrlimit(RLIMIT_DATA, &memory);
#else
    (void)memory;
#endif
    setrlimit(RLIMIT_CORE, &no_core);
    setpriority(PRIO_PROCESS, 0, o->nice);
    if (control != 3)
        dup2(control, 3); /* without CLOEXEC */
    execve(maas_sys_self_exe(), argv, env);
    execve("/proc/self/exe", argv,
           env); /* the file was replaced: this link still finds the old one */
    _exit(127);
}

static _Noreturn void child_main(const maas_wire_order *o, const int *fds, int n_fds)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGINT, SIG_IGN); /* Ctrl-C reaches the whole group: the server decides */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == 1)
        _exit(1);
    if (o->kind == MAAS_CHILD_WORKER && n_fds == 1)
        exec_worker(o, fds[0]);
    if (o->kind == MAAS_CHILD_IMAGES && n_fds == 1)
        maas_image_child(o, fds[0]);
    else if (o->kind != MAAS_CHILD_WORKER && n_fds >= 3)
        maas_import_child(o, fds[0], fds[1], fds + 2, n_fds - 2);
    _exit(0); /* not exit: a leak checker cannot work in the sandbox, and would wait for ever */
}

static void fork_child(helper *h, const maas_wire_order *o, const int *fds, int n_fds)
{
    /* Room first, so that a child that was started is always known. */
    pid_t pid = maas_grow(&h->children, &h->cap, h->n + 1, sizeof *h->children) ? fork() : -1;
    if (pid == 0)
        child_main(o, fds, n_fds);
    if (pid < 0)
        report(h, o->id, 127 << 8);
    else
        h->children[h->n++] = (child){o->id, pid};
}

static void reap(helper *h)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (size_t i = 0; i < h->n; i++)
            if (h->children[i].pid == pid) {
                report(h, h->children[i].id, status);
                h->children[i] = h->children[--h->n];
                break;
            }
}

/* One order; false when the server is gone. */
static bool obey(helper *h)
{
    maas_wire_order o;
    int fds[MAAS_WIRE_MAX_FDS], n_fds;
    bool ok = maas_wire_receive(h->server_fd, &o, sizeof o, fds, &n_fds);
    if (ok && o.kill_signal) {
        for (size_t i = 0; i < h->n; i++)
            if (h->children[i].id == o.id)
                kill(h->children[i].pid, (int)o.kill_signal);
    } else if (ok) {
        fork_child(h, &o, fds, n_fds);
    }
    for (int i = 0; i < n_fds; i++)
        close(fds[i]);
    return ok;
}

void maas_helper_loop(int server_fd)
{
    helper h = {.server_fd = server_fd};
    sigset_t watched;
    sigfillset(&watched);
    sigprocmask(SIG_BLOCK, &watched, NULL);
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "maas-helper");
    int signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
    struct pollfd wait[2] = {{.fd = server_fd, .events = POLLIN},
                             {.fd = signals, .events = POLLIN}};
    for (bool go_on = signals >= 0; go_on;) {
        struct signalfd_siginfo ignored;
        if (poll(wait, 2, -1) < 0 && errno != EINTR)
            break;
        if (wait[1].revents && read(signals, &ignored, sizeof ignored) > 0)
            reap(&h);
        if (wait[0].revents)
            go_on = obey(&h);
    }
    for (size_t i = 0; i < h.n; i++)
        kill(h.children[i].pid, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        continue;
    maas_free(h.children);
    close(signals);
    close(server_fd);
}
