/*
 * One thread that looks at connections from the side. libmicrohttpd does not notice a peer that
 * leaves while its connection is suspended, and its only timeout starts anew with every byte, so
 * this thread keeps an epoll set of sockets that were ever suspended (edge-triggered, added once:
 * a warm suspend costs no system call) and once a second looks for clients that dribble.
 *
 * A buried connection is freed at the top of the loop: it left the epoll set before it was buried,
 * so the events in hand may still name it, those of the next epoll_wait cannot.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/sys.h"
#include "http/http_int.h"
#include "base/ban.h"

#define SWEEP_MS        1000
#define GRACE_NS        (5 * UINT64_C(1000000000))
#define MIN_BYTES_PER_S 1024 /* of a body, after the grace */

struct maas_watch {
    maas_http *http;
    int epoll_fd, wake_fd;
    pthread_t thread;
    pthread_mutex_t lock;
    maas_conn *dead; /* under lock */
    bool stop;       /* under lock */
};

/* false: it shall stop. */
static bool take_dead(maas_watch *w)
{
    eventfd_t ignored;
    (void)eventfd_read(w->wake_fd, &ignored);
    pthread_mutex_lock(&w->lock);
    maas_conn *list = STEAL(w->dead);
    bool stop = w->stop;
    pthread_mutex_unlock(&w->lock);
    while (list) {
        maas_conn *c = list;
        list = c->next_dead;
        http_conn_unref(c);
    }
    return !stop;
}

/* Is the client of c too slow? Each phase has its own measure. */
static bool too_slow(const maas_http *h, maas_conn *c, uint64_t now)
{
    const req_phase phase = (req_phase)atomic_load_explicit(&c->req.phase, memory_order_acquire);
    uint64_t since = atomic_load_explicit(&c->req.since_ns, memory_order_relaxed);
    if (!since) /* not the client's turn: the phase may have been read just before that */
        return false;
    uint64_t head_ns = (uint64_t)h->opts.head_timeout_s * 1000000000u;
    uint64_t idle_ns = (uint64_t)h->opts.idle_timeout_s * 1000000000u;
    uint64_t wire = atomic_load_explicit(&c->req.n_wire, memory_order_relaxed);
    switch (phase) {
    case PHASE_IDLE: /* past libmicrohttpd's own timeout: bytes come, a request line does not */
        return now > since + idle_ns + head_ns;
    case PHASE_HEAD:
        return now > since + head_ns;
    case PHASE_BODY:
        if (c->seen_ns < since) {
            c->seen_ns = since;
            c->seen_wire = 0;
        }
        if (now < c->seen_ns + GRACE_NS)
            return false;
        uint64_t least = (now - c->seen_ns) / 1000000000u * MIN_BYTES_PER_S;
        bool slow = wire < c->seen_wire + least;
        c->seen_ns = now;
        c->seen_wire = wire;
        return slow;
    case PHASE_HANDLED:
    case PHASE_QUEUED:
        break;
    }
    return false;
}

/* A listed connection's socket is open: it leaves the list before libmicrohttpd closes it. */
static void sweep(maas_http *h)
{
    uint64_t now = maas_now_ns();
    pthread_mutex_lock(&h->lock);
    for (maas_conn *c = h->conns; c; c = c->next)
        if (too_slow(h, c, now))
            shutdown(c->fd, SHUT_RDWR);
    pthread_mutex_unlock(&h->lock);
}

static void *watch_main(void *arg)
{
    maas_watch *w = arg;
    pthread_setname_np(pthread_self(), "net-watch");
    uint64_t swept = maas_now_ns();
    while (take_dead(w)) {
        struct epoll_event ev[64];
        int n = epoll_wait(w->epoll_fd, ev, (int)MAAS_COUNT(ev), SWEEP_MS);
        for (int i = 0; i < n; i++) {
            maas_conn *c = ev[i].data.ptr;
            if (c && ev[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
                atomic_store(&c->gone, true);
        }
        uint64_t now = maas_now_ns();
        if (now - swept >= SWEEP_MS * UINT64_C(1000000)) {
            sweep(w->http);
            swept = now;
        }
    }
    return NULL;
}

static maas_status start(maas_watch *w, maas_err *err)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    if (w->epoll_fd < 0 || w->wake_fd < 0 ||
        epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->wake_fd, &ev) < 0)
        return maas_fail(err, maas_status_of_errno(errno), "no descriptors to watch connections");
    if (pthread_create(&w->thread, NULL, watch_main, w) != 0)
        return maas_fail(err, MAAS_E_NOMEM, "no thread to watch connections");
    return MAAS_OK;
}

maas_status http_watch_create(maas_http *h, maas_watch **out, maas_err *err)
{
    AUTO_FREE maas_watch *w = maas_calloc(1, sizeof *w);
    if (!w)
        return maas_fail(err, MAAS_E_NOMEM, "connection watcher");
    w->http = h;
    AUTO_FD epoll_fd = w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    AUTO_FD wake_fd = w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&w->lock, NULL);
    maas_status st = start(w, err);
    if (st != MAAS_OK) {
        pthread_mutex_destroy(&w->lock);
        return st;
    }
    STEAL_FD(epoll_fd);
    STEAL_FD(wake_fd);
    *out = STEAL(w);
    return MAAS_OK;
}

void http_watch_destroy(maas_watch *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_mutex_unlock(&w->lock);
    (void)eventfd_write(w->wake_fd, 1);
    pthread_join(w->thread, NULL);
    take_dead(w);
    close(w->epoll_fd);
    close(w->wake_fd);
    pthread_mutex_destroy(&w->lock);
    maas_free(w);
}

void http_watch_add(maas_watch *w, maas_conn *c)
{
    /* If this fails (no memory in the kernel) the peer's leaving is noticed at the next write. */
    struct epoll_event ev = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = c};
    (void)epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, c->fd, &ev);
}

void http_watch_bury(maas_watch *w, maas_conn *c)
{
    struct epoll_event unused = {0};
    (void)epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, c->fd, &unused);
    pthread_mutex_lock(&w->lock);
    c->next_dead = w->dead;
    w->dead = c;
    pthread_mutex_unlock(&w->lock);
    (void)eventfd_write(w->wake_fd, 1);
}
