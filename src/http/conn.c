/*
 * A connection and its request, driven by libmicrohttpd's callbacks:
 *
 *   notify(STARTED)  on_uri  on_request(head)  on_request(body)*  on_request(end)  completed  ...
 *                                                    handler runs ----^   notify(CLOSED)
 *
 * All of them run on the connection's I/O thread. A request that is refused keeps its answer until
 * its body was read (see http.h); libmicrohttpd takes a reply only before or after a body, and an
 * early one makes it close the connection.
 */
#include <arpa/inet.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/sys.h"
#include "http/http_int.h"
#include "base/ban.h"

/* ---- lifetime ---- */

static void set_phase(maas_req *r, req_phase phase, uint64_t now)
{
    atomic_store_explicit(&r->since_ns, now, memory_order_relaxed);
    /* who sees the phase sees when it began: else a new one could look too old (watch.c) */
    atomic_store_explicit(&r->phase, phase, memory_order_release);
}

static void request_reset(maas_req *r)
{
    if (r->state_free)
        r->state_free(r->state);
    r->state = NULL;
    r->state_free = NULL;
    http_reply_drop(r);
    http_body_reset(r);
    if (maas_arena_bytes(&r->arena) > HTTP_KEEP_ARENA)
        maas_arena_reset(&r->arena);
    else
        maas_arena_rewind(&r->arena);
    r->route = NULL;
    r->principal = NULL;
    r->suspended_once = r->url_too_long = r->let_in = false;
    r->err.code = MAAS_OK;
    r->id[0] = 0;
}

void http_unref(maas_http *h)
{
    if (atomic_fetch_sub(&h->refs, 1) != 1)
        return;
    maas_router_destroy(h->router);
    pthread_cond_destroy(&h->idle);
    pthread_mutex_destroy(&h->lock);
    maas_free(h);
}

static void conn_free(maas_conn *c)
{
    request_reset(&c->req);
    maas_arena_reset(&c->req.arena);
    maas_buf_reset(&c->req.body);
    maas_buf_reset(&c->req.scratch);
    maas_buf_reset(&c->queue);
    pthread_mutex_destroy(&c->lock);
    http_unref(c->http);
    maas_free(c);
}

void http_conn_unref(maas_conn *c)
{
    if (atomic_fetch_sub(&c->refs, 1) == 1)
        conn_free(c);
}

static void peer_text(const struct sockaddr *sa, char out[48])
{
    out[0] = 0;
    if (sa && sa->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, out, 48);
    else if (sa && sa->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, out, 48);
}

static maas_conn *conn_create(maas_http *h, struct MHD_Connection *mhd)
{
    maas_conn *c = maas_calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->http = h;
    c->refs = 1;
    c->req.conn = c;
    c->req.mhd = mhd;
    maas_arena_init(&c->req.arena, NULL);
    c->req.arena.first_block = 4096;
    c->req.scratch.max = HTTP_MAX_ERROR_BODY;
    c->queue.max = HTTP_MAX_STREAM_QUEUE + HTTP_SMALL_BODY;
    pthread_mutex_init(&c->lock, NULL);
    c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    peer_text(MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr,
              c->peer);
    set_phase(&c->req, PHASE_IDLE, maas_now_ns());
    return c;
}

static void list_add(maas_http *h, maas_conn *c)
{
    pthread_mutex_lock(&h->lock);
    c->next = h->conns;
    if (c->next)
        c->next->prev = c;
    h->conns = c;
    pthread_mutex_unlock(&h->lock);
}

static void list_remove(maas_http *h, maas_conn *c)
{
    pthread_mutex_lock(&h->lock);
    if (c->prev)
        c->prev->next = c->next;
    else
        h->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    pthread_mutex_unlock(&h->lock);
}

/* libmicrohttpd has no hook for a new thread; the first callback on one stands for it. */
static void announce_thread(const maas_http *h)
{
    static _Thread_local bool known;
    if (!known && h->opts.thread_start)
        h->opts.thread_start(h->opts.user);
    known = true;
}

void http_conn_notify(void *cls, struct MHD_Connection *mhd, void **ctx,
                      enum MHD_ConnectionNotificationCode code)
{
    maas_http *h = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        announce_thread(h);
        maas_conn *c = *ctx = conn_create(h, mhd);
        if (!c)
            return; /* on_uri and on_request refuse it */
        atomic_fetch_add(&h->refs, 1);
        atomic_fetch_add(&h->n_conns, 1);
        list_add(h, c);
        return;
    }
    maas_conn *c = *ctx;
    if (!c)
        return;
    list_remove(h, c);
    atomic_store(&c->gone, true);
    atomic_fetch_sub(&h->n_conns, 1);
    if (c->watched)
        http_watch_bury(h->watch, c); /* drops the socket's reference later */
    else
        http_conn_unref(c);
}

/* ---- one request ---- */

void *http_on_uri(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    maas_conn *c = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    if (!c || atomic_load_explicit(&c->abandoned, memory_order_relaxed))
        return NULL;
    maas_req *r = &c->req;
    r->start_ns = maas_now_ns();
    r->url_too_long = strnlen(uri, MAAS_MAX_URL + 1) > MAAS_MAX_URL;
    set_phase(r, PHASE_HEAD, r->start_ns);
    return r;
}

static maas_status check_head(maas_req *r, const char *version, maas_err *err)
{
    if (r->url_too_long)
        return maas_fail(err, MAAS_E_TOO_LARGE, "the URL is longer than %d bytes", MAAS_MAX_URL);
    size_t n =
        MHD_get_connection_info(r->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)->header_size;
    if (n > HTTP_MAX_HEAD)
        return maas_fail(err, MAAS_E_TOO_LARGE, "the request head is longer than %u bytes",
                         HTTP_MAX_HEAD);
    if ((strcmp(version, "HTTP/1.1") == 0 && !r->known[HDR_HOST]) || r->repeated & 1u << HDR_HOST)
        return maas_fail(err, MAAS_E_INVALID, "an HTTP/1.1 request needs one Host header");
    if (atomic_load_explicit(&r->conn->http->stopping, memory_order_relaxed))
        return maas_fail(err, MAAS_E_UNAVAILABLE, "the server is stopping");
    return MAAS_OK;
}

/* Finds and checks the route. `err` may come with what is wrong already; then only the dialect to
 * say it in is found. */
static maas_status route_request(maas_req *r, const char *url, const char *method,
                                 const char *version, maas_err *err)
{
    maas_http *h = r->conn->http;
    r->head_only = strcmp(method, "HEAD") == 0;
    MAAS_TRY(maas_router_match(h->router, method, url, &r->arena, &r->match, err));
    r->route = r->match.route;
    if (err->code != MAAS_OK)
        return err->code;
    MAAS_TRY(check_head(r, version, err));
    if (!r->route && r->match.path_known) {
        maas_req_set_header(r, "Allow", r->match.allow);
        if (strcmp(method, "OPTIONS") != 0)
            return maas_fail(err, MAAS_E_METHOD, "this path allows %s", r->match.allow);
        maas_req_reply(r, 204, NULL, NULL, 0, true);
        return MAAS_OK;
    }
    if (!r->route)
        return maas_fail(err, MAAS_E_NOT_FOUND, "no such path");
    if (h->opts.authorize)
        MAAS_TRY(h->opts.authorize(r, r->route, err));
    r->let_in = true;
    return http_body_begin(r, err);
}

static enum MHD_Result answer(maas_req *r)
{
    set_phase(r, PHASE_QUEUED, 0);
    return http_reply_queue(r);
}

static enum MHD_Result on_head(maas_req *r, const char *url, const char *method,
                               const char *version)
{
    atomic_fetch_add(&r->conn->http->in_flight, 1);
    set_phase(r, PHASE_BODY, r->start_ns);
    maas_err why = {0};
    http_read_known_headers(r);
    (void)http_body_length(r, &why); /* what is wrong with it is in `why`, for route_request */
    if (route_request(r, url, method, version, &why) != MAAS_OK)
        http_reply_error(r, r->match.dialect, &why);
    r->discard = r->reply.kind != REPLY_NONE;
    if (!r->discard || !r->has_body)
        return MHD_YES;
    /* Early, when the client waits for a word before it sends, or would send too much. */
    if (!r->known[HDR_EXPECT] && !r->reply.close &&
        (r->content_length == UINT64_MAX || r->content_length <= http_body_patience(r)))
        return MHD_YES;
    r->reply.close = true;
    return answer(r);
}

static enum MHD_Result on_piece(maas_req *r, const char *data, size_t *n)
{
    uint64_t wire = atomic_load_explicit(&r->n_wire, memory_order_relaxed) + *n;
    atomic_store_explicit(&r->n_wire, wire, memory_order_relaxed);
    if (!r->discard)
        http_body_piece(r, data, *n);
    *n = 0;
    if (r->err.code != MAAS_OK && !r->discard) {
        r->discard = true;
        http_reply_error(r, r->route->dialect, &r->err);
    }
    return r->discard && wire > http_body_patience(r) ? MHD_NO : MHD_YES;
}

static enum MHD_Result on_end(maas_req *r)
{
    maas_err why = {0};
    if (r->discard)
        return answer(r);
    if (http_body_end(r, &why) != MAAS_OK) {
        http_reply_error(r, r->route->dialect, &why);
        return answer(r);
    }
    set_phase(r, PHASE_HANDLED, 0);
    r->route->handle(r);
    if (r->suspended_once)
        return MHD_YES; /* another thread may own it already: nothing of it is read here */
    if (r->reply.kind == REPLY_NONE) {
        maas_fail(&why, MAAS_E_INTERNAL, "the handler gave no answer");
        http_reply_error(r, r->route->dialect, &why);
    }
    return answer(r);
}

enum MHD_Result http_on_request(void *cls, struct MHD_Connection *mhd, const char *url,
                                const char *method, const char *version, const char *data,
                                size_t *n, void **ctx)
{
    maas_req *r = *ctx;
    if (!r)
        return MHD_NO;
    switch ((req_phase)atomic_load_explicit(&r->phase, memory_order_relaxed)) {
    case PHASE_HEAD:
        return on_head(r, url, method, version);
    case PHASE_BODY:
        return *n ? on_piece(r, data, n) : on_end(r);
    case PHASE_HANDLED:
        return answer(r);
    case PHASE_IDLE:
    case PHASE_QUEUED:
        break;
    }
    return MHD_NO;
}

static void leave_flight(maas_http *h)
{
    if (atomic_fetch_sub(&h->in_flight, 1) != 1 || !atomic_load(&h->quiescing))
        return;
    pthread_mutex_lock(&h->lock);
    pthread_cond_broadcast(&h->idle);
    pthread_mutex_unlock(&h->lock);
}

void http_on_completed(void *cls, struct MHD_Connection *mhd, void **ctx,
                       enum MHD_RequestTerminationCode why)
{
    maas_http *h = cls;
    maas_req *r = *ctx;
    if (!r)
        return;
    *ctx = NULL;
    maas_conn *c = r->conn;
    int phase = atomic_load_explicit(&r->phase, memory_order_relaxed);
    uint64_t now = maas_now_ns();
    bool begun = phase == PHASE_BODY || phase == PHASE_HANDLED || phase == PHASE_QUEUED;
    if (begun && h->opts.finished)
        h->opts.finished(r, r->route, phase == PHASE_QUEUED ? http_reply_status(r) : 0,
                         now - r->start_ns);
    pthread_mutex_lock(&c->lock);
    bool held = c->held;
    if (held) { /* its holder will find out, and the last reference cleans up */
        atomic_store(&c->abandoned, true);
        atomic_store(&c->gone, true);
    }
    const http_drained told = http_take_drained(c);
    pthread_mutex_unlock(&c->lock);
    if (told.fn)
        told.fn(told.user);
    if (!held)
        request_reset(r);
    set_phase(r, PHASE_IDLE, now);
    if (begun)
        leave_flight(h);
}
