/*
 * The life of a server: listen, start libmicrohttpd's pool, quiesce, drain, stop.
 *
 * Stopping: quiesce closes the listening socket and makes every reply say Connection: close; stop
 * waits for what is in flight, then takes suspended requests and streams back from their holders
 * (they get 503 or a cut stream; libmicrohttpd must not be stopped while one is suspended), then
 * closes. Holders may come back later: the last reference frees the server.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/sys.h"
#include "http/http_int.h"
#include "base/ban.h"

#define BACKLOG 1024
/* One pool a connection: its head, its read buffer, the head of its reply. libmicrohttpd zeroes the
 * whole pool after each request, so bytes here cost time even when unused, and push the rest out of
 * the cache: of the time of a small request 64 KiB took 15 %, 32 KiB 8 %. Heads that do not fit get
 * libmicrohttpd's own 431 page, which is why HTTP_MAX_HEAD is less. */
#define CONN_POOL_BYTES ((size_t)(16u << 10))
#define CONN_POOL_STEP  ((size_t)(4u << 10))
#define MAX_PEM         (1u << 20)
#define STOP_GRACE_MS   200

/* ---- listening ---- */

typedef union any_addr {
    struct sockaddr sa;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage any;
} any_addr;

/* "127.0.0.1:8000", "[::1]:0", "localhost:8000". Names are not resolved: a bind is exact. */
static maas_status parse_listen(const char *text, any_addr *out, maas_err *err)
{
    const char *colon = strrchr(text, ':');
    int64_t port = -1;
    char host[64] = "";
    size_t n = colon ? (size_t)(colon - text) : 0;
    *out = (any_addr){0};
    bool ok = colon && n < sizeof host && maas_parse_i64(colon + 1, &port) && port >= 0 &&
              port <= 65535;
    if (ok && text[0] == '[' && text[n - 1] == ']') {
        memcpy(host, text + 1, n - 2);
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons((uint16_t)port);
        ok = inet_pton(AF_INET6, host, &out->v6.sin6_addr) == 1;
    } else if (ok) {
        memcpy(host, text, n);
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons((uint16_t)port);
        ok = inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host,
                       &out->v4.sin_addr) == 1;
    }
    if (!ok)
        return maas_fail(err, MAAS_E_INVALID,
                         "listen address '%s' is not ADDRESS:PORT or [IPV6]:PORT", text);
    return MAAS_OK;
}

static maas_status open_socket(maas_http *h, int *out_fd, bool *out_v6, maas_err *err)
{
    any_addr a;
    MAAS_TRY(parse_listen(h->opts.listen, &a, err));
    *out_v6 = a.sa.sa_family == AF_INET6;
    socklen_t len = *out_v6 ? sizeof a.v6 : sizeof a.v4;
    int one = 1;
    AUTO_FD fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        (*out_v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) < 0) ||
        bind(fd, &a.sa, len) < 0 || listen(fd, BACKLOG) < 0 || getsockname(fd, &a.sa, &len) < 0)
        return maas_fail(err, errno == EADDRINUSE ? MAAS_E_CONFLICT : MAAS_E_IO,
                         "cannot listen on %s: %s", h->opts.listen, strerror(errno));
    char host[INET6_ADDRSTRLEN] = "";
    h->port = ntohs(*out_v6 ? a.v6.sin6_port : a.v4.sin_port);
    inet_ntop(a.sa.sa_family, *out_v6 ? (void *)&a.v6.sin6_addr : (void *)&a.v4.sin_addr, host,
              sizeof host);
    snprintf(h->address, sizeof h->address, *out_v6 ? "[%s]:%u" : "%s:%u", host, h->port);
    *out_fd = STEAL_FD(fd);
    return MAAS_OK;
}

/* ---- the daemon ---- */

typedef struct tls_files {
    maas_buf cert, key;
} tls_files;

static maas_status read_pem(const char *path, maas_buf *out, maas_err *err)
{
    AUTO_FD fd = -1;
    MAAS_TRY(maas_sys_open(path, O_RDONLY, &fd, err));
    return maas_sys_read_all(fd, out, err);
}

static maas_status tls_read(const maas_http_opts *o, tls_files *t, maas_err *err)
{
    if (!o->tls_cert != !o->tls_key)
        return maas_fail(err, MAAS_E_INVALID, "TLS needs a certificate and a key, one is missing");
    if (!o->tls_cert)
        return MAAS_OK;
    MAAS_TRY(read_pem(o->tls_cert, &t->cert, err));
    MAAS_TRY(read_pem(o->tls_key, &t->key, err));
    if (!t->cert.n || !t->key.n)
        return maas_fail(err, MAAS_E_INVALID, "the TLS certificate or key is an empty file");
    return MAAS_OK;
}

static void tls_wipe(tls_files *t)
{
    if (t->key.p)
        explicit_bzero(t->key.p, t->key.n);
    maas_buf_reset(&t->key);
    maas_buf_reset(&t->cert);
}

/* Escapes are left in place: the router decodes each segment by itself (a%2Fb is one segment). */
static size_t keep_escapes(void *cls, struct MHD_Connection *c, char *s)
{
    return strlen(s);
}

/* libmicrohttpd writes its complaints (a bad handshake, a reset) to stderr unless told otherwise;
 * none of them is about us. */
static void no_log(void *cls, const char *fmt, va_list ap)
{
}

static struct MHD_Daemon *start_daemon(maas_http *h, int fd, bool v6, const tls_files *t)
{
    const maas_http_opts *o = &h->opts;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO |
                     MHD_USE_ERROR_LOG | (v6 ? MHD_USE_IPv6 : 0) | (o->tls_cert ? MHD_USE_TLS : 0);
    static const char tls_versions[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";
    /* clang-format off */
    struct MHD_OptionItem tls[] = {
        {o->tls_cert ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0, t->cert.p},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, t->key.p},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)tls_versions},
        {MHD_OPTION_END, 0, NULL}};
    return MHD_start_daemon(
        flags, 0, NULL, NULL, http_on_request, h,
        MHD_OPTION_EXTERNAL_LOGGER, no_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_THREAD_POOL_SIZE, (unsigned)o->n_threads,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)o->max_connections,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)o->max_per_ip,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)o->idle_timeout_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONN_POOL_BYTES,
        MHD_OPTION_CONNECTION_MEMORY_INCREMENT, CONN_POOL_STEP,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
        MHD_OPTION_URI_LOG_CALLBACK, http_on_uri, h,
        MHD_OPTION_NOTIFY_CONNECTION, http_conn_notify, h,
        MHD_OPTION_NOTIFY_COMPLETED, http_on_completed, h,
        MHD_OPTION_ARRAY, tls,
        MHD_OPTION_END);
    /* clang-format on */
}

static maas_status check_opts(const maas_http_opts *o, maas_err *err)
{
    if (o->n_threads < 2)
        return maas_fail(err, MAAS_E_INVALID, "at least 2 I/O threads are needed, not %d",
                         o->n_threads);
    if (o->max_connections < o->n_threads || o->max_per_ip < 0 || o->idle_timeout_s < 1)
        return maas_fail(
            err, MAAS_E_INVALID,
            "limits of connections must be positive, and the idle timeout at least 1 s");
    return MAAS_OK;
}

static maas_status start(maas_http *h, maas_err *err)
{
    bool v6 = false;
    AUTO_FD fd = -1;
    AUTO(tls_wipe)
    tls_files t = {.cert = MAAS_BUF_INIT(MAX_PEM), .key = MAAS_BUF_INIT(MAX_PEM)};
    MAAS_TRY(check_opts(&h->opts, err));
    MAAS_TRY(tls_read(&h->opts, &t, err));
    MAAS_TRY(maas_router_create(h->opts.routes, &h->router, err));
    MAAS_TRY(open_socket(h, &fd, &v6, err));
    MAAS_TRY(http_watch_create(h, &h->watch, err));
    h->daemon = start_daemon(h, fd, v6, &t);
    if (!h->daemon)
        return maas_fail(err, h->opts.tls_cert ? MAAS_E_INVALID : MAAS_E_NOMEM,
                         "the HTTP server did not start%s",
                         h->opts.tls_cert ? ": are certificate and key PEM, and a pair?" : "");
    STEAL_FD(fd);
    return MAAS_OK;
}

maas_status maas_http_start(const maas_http_opts *opts, maas_http **out, maas_err *err)
{
    maas_http *h = maas_calloc(1, sizeof *h);
    if (!h)
        return maas_fail(err, MAAS_E_NOMEM, "HTTP server");
    h->opts = *opts;
    if (!h->opts.head_timeout_s)
        h->opts.head_timeout_s = 10;
    h->refs = 1;
    h->buffered.limit = opts->max_buffered;
    maas_random_bytes(&h->id_salt, sizeof h->id_salt);
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->idle, NULL);
    maas_status st = start(h, err);
    if (st != MAAS_OK) {
        http_watch_destroy(h->watch);
        http_unref(h);
        return st;
    }
    *out = h;
    return MAAS_OK;
}

uint16_t maas_http_port(const maas_http *h)
{
    return h->port;
}

const char *maas_http_address(const maas_http *h)
{
    return h->address;
}

uint32_t maas_http_in_flight(const maas_http *h)
{
    return atomic_load(&h->in_flight);
}

uint32_t maas_http_connections(const maas_http *h)
{
    return atomic_load(&h->n_conns);
}

/* ---- the end ---- */

void maas_http_quiesce(maas_http *h)
{
    if (atomic_exchange(&h->quiescing, true))
        return;
    /* Shut down, so that new connections are refused at once; the number stays taken until
     * libmicrohttpd's threads, which had it in their epoll sets, are gone. */
    h->quiesced_fd = MHD_quiesce_daemon(h->daemon);
    if (h->quiesced_fd != MHD_INVALID_SOCKET)
        shutdown(h->quiesced_fd, SHUT_RDWR);
}

/* Waits until nothing is in flight, or `ms` passed. */
static void wait_idle(maas_http *h, int ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_mutex_lock(&h->lock);
    while (atomic_load(&h->in_flight) &&
           pthread_cond_clockwait(&h->idle, &h->lock, CLOCK_MONOTONIC, &until) == 0)
        ;
    pthread_mutex_unlock(&h->lock);
}

void maas_http_stop(maas_http *h, int deadline_ms)
{
    if (!h)
        return;
    maas_http_quiesce(h);
    wait_idle(h, deadline_ms);
    atomic_store(&h->stopping, true);
    pthread_mutex_lock(&h->lock);
    for (maas_conn *c = h->conns; c; c = c->next)
        http_conn_abandon(c);
    pthread_mutex_unlock(&h->lock);
    wait_idle(h, STOP_GRACE_MS);
    MHD_stop_daemon(h->daemon);
    if (h->quiesced_fd != MHD_INVALID_SOCKET)
        close(h->quiesced_fd);
    http_watch_destroy(h->watch);
    h->watch = NULL;
    http_unref(h);
}
