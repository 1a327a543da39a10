#include "jobs/helper.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "jobs/helper_int.h"
#include "jobs/helper_proc.h"
#include "base/ban.h"

typedef struct waiting { /* who wants to know how a child ended */
    struct waiting *next;
    uint64_t id;
    bool ended; /* an import: the caller waits for it on `changed` */
    int wait_status;
    maas_child_ended callback; /* a worker: called, then freed */
    void *user;
} waiting;

struct maas_helper {
    int fd;
    pid_t pid;
    pthread_t reader;
    bool reading;
    _Atomic uint64_t next_id, n_crashes;
    pthread_mutex_t lock; /* a leaf */
    pthread_cond_t changed;
    /* under lock */
    waiting *list;
    bool gone;
};

maas_status maas_helper_start(maas_helper **out, maas_err *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return maas_fail(err, MAAS_E_IO, "starting the helper process: %m");
    maas_helper *h = maas_calloc(1, sizeof *h);
    pid_t pid = h ? fork() : -1;
    if (pid == 0) {
        close(pair[0]);
        maas_free(h);
        maas_helper_loop(pair[1]);
        exit(0);
    }
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        maas_free(h);
        return maas_fail(err, MAAS_E_NOMEM, "starting the helper process: %m");
    }
    h->fd = pair[0];
    h->pid = pid;
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->changed, NULL);
    *out = h;
    return MAAS_OK;
}

maas_verdict maas_verdict_of(int wait_status, const char **out_words)
{
    if (WIFEXITED(wait_status)) {
        *out_words = WEXITSTATUS(wait_status) == 0 ? "" : "the process ended with an error";
        return WEXITSTATUS(wait_status) == 0 ? MAAS_CHILD_OK : MAAS_CHILD_REJECTED;
    }
    int sig = WTERMSIG(wait_status);
    *out_words = sig == SIGKILL   ? "the process was killed"
                 : sig == SIGSYS  ? "the process broke the rules of its sandbox"
                 : sig == SIGXCPU ? "the process used up its time"
                 : sig == SIGABRT ? "the process aborted"
                                  : "the process crashed";
    /* SIGPIPE: we stopped listening. SIGKILL: we, the administrator, or the kernel out of memory.
     */
    return sig == SIGXCPU   ? MAAS_CHILD_TIMEOUT
           : sig == SIGKILL ? MAAS_CHILD_MEMORY
           : sig == SIGPIPE ? MAAS_CHILD_REJECTED
                            : MAAS_CHILD_CRASHED;
}

static void deliver(maas_helper *h, uint64_t id, int wait_status)
{
    pthread_mutex_lock(&h->lock);
    waiting **at = &h->list;
    while (*at && (*at)->id != id)
        at = &(*at)->next;
    waiting *w = *at, *call = NULL;
    if (w && w->callback) {
        *at = w->next;
        call = w;
    } else if (w) {
        w->ended = true;
        w->wait_status = wait_status;
        pthread_cond_broadcast(&h->changed);
    }
    pthread_mutex_unlock(&h->lock);
    if (!call)
        return;
    const char *words;
    maas_verdict v = maas_verdict_of(wait_status, &words);
    call->callback(call->user, id, v, words);
    maas_free(call);
}

/* The helper has died: everybody who waits is told, once. */
static void helper_gone(maas_helper *h)
{
    pthread_mutex_lock(&h->lock);
    h->gone = true;
    uint64_t id = h->list ? h->list->id : 0;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
    while (id) {
        deliver(h, id, SIGKILL);
        pthread_mutex_lock(&h->lock);
        waiting *w = h->list;
        while (w && w->ended)
            w = w->next;
        id = w ? w->id : 0;
        pthread_mutex_unlock(&h->lock);
    }
}

static void *reader_main(void *arg)
{
    maas_helper *h = arg;
    maas_wire_ended e;
    int fds[MAAS_WIRE_MAX_FDS], n_fds;
    pthread_setname_np(pthread_self(), "helper");
    while (maas_wire_receive(h->fd, &e, sizeof e, fds, &n_fds)) {
        for (int i = 0; i < n_fds; i++)
            close(fds[i]);
        deliver(h, e.id, e.wait_status);
    }
    helper_gone(h);
    return NULL;
}

void maas_helper_stop(maas_helper *h)
{
    if (!h)
        return;
    shutdown(h->fd, SHUT_RDWR);
    if (h->reading)
        pthread_join(h->reader, NULL);
    waitpid(h->pid, NULL, 0);
    close(h->fd);
    pthread_cond_destroy(&h->changed);
    pthread_mutex_destroy(&h->lock);
    maas_free(h);
}

uint64_t maas_helper_n_crashes(const maas_helper *h)
{
    return atomic_load(&h->n_crashes);
}

void maas_helper_count_crash(maas_helper *h)
{
    atomic_fetch_add(&h->n_crashes, 1);
}

/* Registers, then orders: the end cannot come before somebody listens. */
maas_status maas_helper_order(maas_helper *h, maas_wire_order *o, const int *fds, int n_fds,
                              maas_child_ended callback, void *user, maas_err *err)
{
    waiting *w = maas_calloc(1, sizeof *w);
    if (!w)
        return maas_fail(err, MAAS_E_NOMEM, "starting a child process");
    o->id = atomic_fetch_add(&h->next_id, 1) + 1;
    *w = (waiting){.id = o->id, .callback = callback, .user = user};
    pthread_mutex_lock(&h->lock);
    bool gone = h->gone;
    if (!h->reading && !gone)
        h->reading = pthread_create(&h->reader, NULL, reader_main, h) == 0;
    if (!gone) {
        w->next = h->list;
        h->list = w;
    }
    pthread_mutex_unlock(&h->lock);
    if (gone) {
        maas_free(w);
        return maas_fail(err, MAAS_E_UNAVAILABLE, "the helper process is gone: restart the server");
    }
    maas_status st = maas_wire_send(h->fd, o, sizeof *o, fds, n_fds, err);
    if (st == MAAS_OK)
        return st;
    pthread_mutex_lock(&h->lock);
    for (waiting **at = &h->list; *at; at = &(*at)->next)
        if (*at == w) {
            *at = w->next;
            maas_free(w);
            break;
        }
    pthread_mutex_unlock(&h->lock);
    return st;
}

int maas_helper_wait(maas_helper *h, uint64_t id)
{
    int status = SIGKILL;
    pthread_mutex_lock(&h->lock);
    waiting **at = &h->list;
    for (;;) {
        for (at = &h->list; *at && (*at)->id != id;)
            at = &(*at)->next;
        if (!*at || (*at)->ended || h->gone)
            break;
        pthread_cond_wait(&h->changed, &h->lock);
    }
    waiting *w = *at;
    if (w) {
        status = w->ended ? w->wait_status : SIGKILL;
        *at = w->next;
        maas_free(w);
    }
    pthread_mutex_unlock(&h->lock);
    return status;
}

void maas_helper_kill(maas_helper *h, uint64_t id, int signal)
{
    const maas_wire_order o = {.id = id, .kill_signal = (uint32_t)signal};
    maas_wire_send(h->fd, &o, sizeof o, NULL, 0, NULL);
}

maas_status maas_helper_worker(maas_helper *h, const json_t *spec, const maas_worker_limits *limits,
                               maas_child_ended ended, void *user, uint64_t *out_id, int *out_fd,
                               maas_err *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return maas_fail(err, MAAS_E_IO, "starting a worker: %m");
    AUTO_FD ours = pair[0], theirs = pair[1];
    maas_wire_order o = {.kind = MAAS_CHILD_WORKER,
                         .n_cores = limits->n_cores,
                         .nice = limits->nice,
                         .limits.memory_bytes = limits->memory_bytes};
    MAAS_TRY(maas_helper_order(h, &o, &theirs, 1, ended, user, err));
    /* From here on `ended` will be called: failing to send the spec just makes it come soon. */
    *out_id = o.id;
    if (maas_wire_put_json(ours, spec, NULL) != MAAS_OK)
        maas_helper_kill(h, o.id, SIGKILL);
    *out_fd = STEAL_FD(ours);
    return MAAS_OK;
}
