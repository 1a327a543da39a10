/*
 * Requests that other threads have: suspended ones and streams.
 *
 * `held` says that somebody else will still call us about the request; it comes with a reference.
 * `suspended` says that libmicrohttpd waits for a resume. Both change under conn->lock, so a
 * holder, the I/O thread and a forced stop agree on who resumes: whoever clears `suspended`, and
 * only that one. INVARIANT: libmicrohttpd never closes a connection while `suspended` is set.
 */
#include "http/http_int.h"
#include "base/ban.h"

static void resume_locked(maas_conn *c)
{
    if (!c->suspended)
        return;
    c->suspended = false;
    MHD_resume_connection(c->req.mhd);
}

static void abandon_locked(maas_conn *c)
{
    if (!c->held)
        return;
    atomic_store(&c->abandoned, true);
    atomic_store(&c->gone, true);
    resume_locked(c);
}

void http_conn_abandon(maas_conn *c)
{
    pthread_mutex_lock(&c->lock);
    abandon_locked(c);
    pthread_mutex_unlock(&c->lock);
}

static void hold_locked(maas_conn *c)
{
    MAAS_CHECK(!c->held);
    c->held = true;
    c->stream_ended = false;
    atomic_fetch_add(&c->refs, 1);
}

static void watch_peer(maas_conn *c)
{
    if (c->watched)
        return;
    http_watch_add(c->http->watch, c);
    c->watched = true;
}

void maas_req_suspend(maas_req *r)
{
    maas_conn *c = r->conn;
    r->suspended_once = true;
    watch_peer(c);
    pthread_mutex_lock(&c->lock);
    hold_locked(c);
    c->suspended = true;
    MHD_suspend_connection(r->mhd);
    /* The forced stop sets `stopping` and then sweeps: one of the two sees the other. */
    if (atomic_load(&c->http->stopping))
        abandon_locked(c);
    pthread_mutex_unlock(&c->lock);
}

void maas_req_resume(maas_req *r)
{
    maas_conn *c = r->conn;
    pthread_mutex_lock(&c->lock);
    MAAS_CHECK(c->held);
    c->held = false;
    resume_locked(c);
    pthread_mutex_unlock(&c->lock);
    http_conn_unref(c);
}

/* ---- streams ---- */

bool maas_req_stream_begin(maas_req *r, int http_status, const char *content_type)
{
    maas_conn *c = r->conn;
    r->reply.kind = REPLY_STREAM;
    r->reply.http_status = http_status;
    r->reply.content_type = maas_arena_strdup(&r->arena, content_type);
    /* Without a body libmicrohttpd is done with the request before the holder is. */
    r->reply.close = r->reply.close || r->head_only;
    if (!r->suspended_once)
        watch_peer(c);
    pthread_mutex_lock(&c->lock);
    maas_buf_clear(&c->queue);
    c->queue_at = 0;
    if (!c->held)
        hold_locked(c);
    resume_locked(c);
    pthread_mutex_unlock(&c->lock);
    return !atomic_load(&c->gone);
}

static void queue_compact(maas_conn *c)
{
    if (!c->queue_at || (c->queue_at < c->queue.n && c->queue_at < HTTP_SMALL_BODY))
        return;
    memmove(c->queue.p, c->queue.p + c->queue_at, c->queue.n - c->queue_at);
    c->queue.n -= c->queue_at;
    c->queue_at = 0;
}

bool maas_req_stream_write(maas_req *r, const void *p, size_t n)
{
    maas_conn *c = r->conn;
    pthread_mutex_lock(&c->lock);
    bool ok = !atomic_load(&c->gone) && !c->stream_ended;
    if (ok) {
        queue_compact(c);
        if (n <= HTTP_MAX_STREAM_QUEUE && c->queue.n - c->queue_at <= HTTP_MAX_STREAM_QUEUE - n)
            maas_buf_add(&c->queue, p, n);
        else
            c->queue.failed = true;
        if (c->queue.failed) {
            ok = false;
            atomic_store(&c->gone, true); /* a hole in a stream is worse than its end */
        }
        resume_locked(c);
    }
    pthread_mutex_unlock(&c->lock);
    return ok;
}

size_t maas_req_stream_backlog(maas_req *r)
{
    maas_conn *c = r->conn;
    pthread_mutex_lock(&c->lock);
    const size_t n = c->queue.n - c->queue_at;
    pthread_mutex_unlock(&c->lock);
    return n;
}

bool maas_req_stream_wait(maas_req *r, size_t most, void (*fn)(void *user), void *user)
{
    maas_conn *c = r->conn;
    pthread_mutex_lock(&c->lock);
    const bool wait = !atomic_load(&c->gone) && c->queue.n - c->queue_at > most;
    MAAS_CHECK(!c->drained.fn);
    if (wait)
        c->drained = (http_drained){fn, user, most / 2};
    pthread_mutex_unlock(&c->lock);
    return wait;
}

http_drained http_take_drained(maas_conn *c)
{
    const http_drained d = c->drained;
    c->drained.fn = NULL;
    return d;
}

void maas_req_stream_end(maas_req *r)
{
    maas_conn *c = r->conn;
    pthread_mutex_lock(&c->lock);
    MAAS_CHECK(c->held);
    c->held = false;
    c->stream_ended = true;
    resume_locked(c);
    pthread_mutex_unlock(&c->lock);
    http_conn_unref(c);
}

/* I/O thread. Nothing to send: the connection sleeps until a write, the end or the peer's leaving.
 */
static ssize_t stream_read(void *cls, uint64_t pos, char *out, size_t max)
{
    maas_conn *c = cls;
    pthread_mutex_lock(&c->lock);
    size_t n = c->queue.n - c->queue_at;
    ssize_t result = 0;
    http_drained told = {0};
    if (atomic_load(&c->gone) || atomic_load(&c->http->stopping))
        result = MHD_CONTENT_READER_END_WITH_ERROR;
    else if (n) {
        n = n < max ? n : max;
        memcpy(out, c->queue.p + c->queue_at, n);
        c->queue_at += n;
        result = (ssize_t)n;
    } else if (c->stream_ended)
        result = MHD_CONTENT_READER_END_OF_STREAM;
    else {
        c->suspended = true;
        MHD_suspend_connection(c->req.mhd);
    }
    if (c->drained.fn && (result < 0 || c->queue.n - c->queue_at <= c->drained.most))
        told = http_take_drained(c);
    pthread_mutex_unlock(&c->lock);
    if (told.fn)
        told.fn(told.user);
    return result;
}

struct MHD_Response *http_stream_response(maas_req *r)
{
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, stream_read, r->conn, NULL);
}
