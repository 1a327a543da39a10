/*
 * Replies: set by a handler on whatever thread, turned into a libmicrohttpd response on the I/O
 * thread. Bytes live in the request's arena or scratch buffer until the request ends, so the common
 * reply is sent from where it was written.
 */
#include <stdio.h>
#include <strings.h>

#include "base/mem.h"
#include "http/http_int.h"
#include "base/ban.h"

void maas_req_set_header(maas_req *r, const char *name, const char *value)
{
    req_header *h = maas_arena_alloc(&r->arena, sizeof *h);
    if (!h || !(h->name = maas_arena_strdup(&r->arena, name)) ||
        !(h->value = maas_arena_strdup(&r->arena, value)))
        return;
    h->next = r->reply.headers;
    r->reply.headers = h;
}

static bool has_header(const maas_req *r, const char *name)
{
    for (const req_header *h = r->reply.headers; h; h = h->next)
        if (strcasecmp(h->name, name) == 0)
            return true;
    return false;
}

void maas_req_allow_gzip(maas_req *r)
{
    r->reply.gzip_ok = true;
}

static void begin_reply(maas_req *r, reply_kind kind, int http_status, const char *type)
{
    MAAS_CHECK(r->reply.kind == REPLY_NONE); /* a handler answered twice */
    r->reply.kind = kind;
    r->reply.http_status = http_status;
    r->reply.content_type = type ? maas_arena_strdup(&r->arena, type) : NULL;
}

void maas_req_reply(maas_req *r, int http_status, const char *content_type, const void *p, size_t n,
                    bool arena_owned)
{
    if (!arena_owned && n && !(p = maas_arena_dup(&r->arena, p, n))) {
        maas_err err = {0};
        maas_fail(&err, MAAS_E_NOMEM, "no memory for a reply of %zu bytes", n);
        maas_req_fail(r, &err);
        return;
    }
    begin_reply(r, REPLY_BYTES, http_status, content_type);
    r->reply.p = p;
    r->reply.n = n;
}

void maas_req_reply_buf(maas_req *r, int http_status, const char *content_type, maas_buf *take)
{
    const maas_arena *arena = take->arena;
    size_t n = 0;
    bool failed = take->failed;
    char *p = maas_buf_steal(take, &n);
    if (failed) {
        if (!arena)
            maas_free(p);
        maas_err err = {0};
        maas_fail(&err, MAAS_E_NOMEM, "the reply does not fit into its buffer");
        maas_req_fail(r, &err);
        return;
    }
    MAAS_CHECK(!arena || arena == &r->arena); /* another arena may die before the reply is sent */
    begin_reply(r, arena ? REPLY_BYTES : REPLY_TAKEN, http_status, content_type);
    r->reply.p = p;
    r->reply.n = p ? n : 0;
}

void maas_req_reply_fd(maas_req *r, int http_status, const char *content_type, int fd, uint64_t n)
{
    begin_reply(r, REPLY_FD, http_status, content_type);
    r->reply.fd = fd;
    r->reply.n = n;
}

/* ---- errors ---- */

void http_reply_error(maas_req *r, uint8_t dialect, const maas_err *err)
{
    const maas_http_opts *o = &r->conn->http->opts;
    const maas_status_info *info = maas_status_describe(err->code);
    int http_status = info->http;
    maas_buf_clear(&r->scratch);
    if (o->write_error)
        http_status = o->write_error(dialect, err, &r->scratch);
    else {
        maas_buf_str(&r->scratch, "{\"error\":");
        maas_buf_json_str(&r->scratch, err->msg, strlen(err->msg));
        maas_buf_char(&r->scratch, '}');
    }
    if (http_status == 401 && !has_header(r, "WWW-Authenticate"))
        maas_req_set_header(r, "WWW-Authenticate", "Bearer");
    if (info->retry && (http_status == 429 || http_status == 503) && !has_header(r, "Retry-After"))
        maas_req_set_header(r, "Retry-After", "1");
    begin_reply(r, REPLY_BYTES, http_status, "application/json");
    r->reply.p = r->scratch.p;
    r->reply.n = r->scratch.failed ? 0 : r->scratch.n;
}

void maas_req_fail(maas_req *r, const maas_err *err)
{
    http_reply_error(r, r->match.dialect, err);
}

/* ---- sending ---- */

int http_reply_status(const maas_req *r)
{
    return atomic_load(&r->conn->abandoned) ? 503 : r->reply.http_status;
}

void http_reply_drop(maas_req *r)
{
    if (r->reply.kind == REPLY_TAKEN)
        maas_free((void *)r->reply.p);
    else if (r->reply.kind == REPLY_FD)
        close(r->reply.fd);
    r->reply = (req_reply){0};
}

/* "gzip" or "*" named with a weight that is not 0. */
static bool accepts_gzip(const char *accept)
{
    for (const char *p = accept; p && *p;) {
        p += strspn(p, " \t,");
        size_t name = strcspn(p, " \t,;"), all = strcspn(p, ",");
        bool ours = (name == 4 && strncasecmp(p, "gzip", 4) == 0) || (name == 1 && *p == '*');
        const char *q = memchr(p, '=', all);
        bool zero = q && q[1] == '0' && strspn(q + 1, "0.") == strcspn(q + 1, " \t,");
        if (ours)
            return !zero;
        p += all;
    }
    return false;
}

/* Replaces the reply's bytes by their gzip form; when that fails or is longer, sends them plain. */
static void compress_reply(maas_req *r)
{
    z_stream z = {.zalloc = http_zip_alloc, .zfree = http_zip_free};
    if (r->reply.n > UINT32_MAX / 2 || deflateInit2(&z, 1, Z_DEFLATED, 31, 8, 0) != Z_OK)
        return;
    AUTO_FREE void *out = maas_alloc(r->reply.n);
    z.next_in = (Bytef *)r->reply.p;
    z.avail_in = (uInt)r->reply.n;
    z.next_out = out;
    z.avail_out = out ? (uInt)r->reply.n : 0;
    bool done = out && deflate(&z, Z_FINISH) == Z_STREAM_END;
    uint64_t n = z.total_out;
    deflateEnd(&z);
    if (!done)
        return;
    if (r->reply.kind == REPLY_TAKEN)
        maas_free((void *)r->reply.p);
    r->reply.kind = REPLY_TAKEN;
    r->reply.p = STEAL(out);
    r->reply.n = n;
    maas_req_set_header(r, "Content-Encoding", "gzip");
}

static struct MHD_Response *make_response(maas_req *r)
{
    req_reply *y = &r->reply;
    struct MHD_Response *out = NULL;
    switch (y->kind) {
    case REPLY_NONE:
    case REPLY_BYTES:
        return MHD_create_response_from_buffer(y->n, (void *)y->p, MHD_RESPMEM_PERSISTENT);
    case REPLY_TAKEN:
        out = MHD_create_response_from_buffer_with_free_callback(y->n, (void *)y->p, maas_free);
        break;
    case REPLY_FD:
        out = MHD_create_response_from_fd64(y->n, y->fd);
        break;
    case REPLY_STREAM:
        return http_stream_response(r);
    }
    if (out)
        y->kind = REPLY_BYTES; /* libmicrohttpd frees or closes it */
    return out;
}

static void add_headers(maas_req *r, struct MHD_Response *m)
{
    const maas_http *h = r->conn->http;
    if (r->reply.content_type)
        MHD_add_response_header(m, "Content-Type", r->reply.content_type);
    MHD_add_response_header(m, "X-Request-Id", maas_req_id(r));
    if (h->opts.server_header)
        MHD_add_response_header(m, "Server", h->opts.server_header);
    for (const req_header *e = r->reply.headers; e; e = e->next)
        MHD_add_response_header(m, e->name, e->value); /* refuses CR and LF */
    if (r->reply.close || atomic_load_explicit(&h->quiescing, memory_order_relaxed))
        MHD_add_response_header(m, "Connection", "close");
}

/* The reply of a request that a forced stop took from its holder, who may be writing r->reply. */
static enum MHD_Result queue_abandoned(maas_req *r)
{
    struct MHD_Response *m = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (!m)
        return MHD_NO;
    MHD_add_response_header(m, "Connection", "close");
    enum MHD_Result ok = MHD_queue_response(r->mhd, 503, m);
    MHD_destroy_response(m);
    return ok;
}

enum MHD_Result http_reply_queue(maas_req *r)
{
    if (atomic_load(&r->conn->abandoned))
        return queue_abandoned(r);
    if (r->reply.gzip_ok && r->reply.n > HTTP_MIN_GZIP &&
        (r->reply.kind == REPLY_BYTES || r->reply.kind == REPLY_TAKEN)) {
        maas_req_set_header(r, "Vary", "Accept-Encoding");
        if (accepts_gzip(r->known[HDR_ACCEPT_ENCODING]))
            compress_reply(r);
    }
    struct MHD_Response *m = make_response(r);
    if (!m)
        return MHD_NO;
    add_headers(r, m);
    enum MHD_Result ok = MHD_queue_response(r->mhd, (unsigned)r->reply.http_status, m);
    MHD_destroy_response(m);
    return ok;
}
