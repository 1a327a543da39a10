/*
 * http/http.h - HTTP/1.1 on libmicrohttpd: a routes table, a request, a response. Knows no model.
 *
 * The table is the only way to a handler (security rule D1): the router checks method, path, scope
 * (through opts.authorize) and body limit before a handler runs. Path templates:
 * "/v2/models/{m}/infer"; {m} matches one segment [^/]+, decoded per segment; a literal beats a
 * parameter. A parameter may have a fixed tail: "/v1/models/{m}:predict". NUL or bad escapes in a
 * path: 400.
 *
 * Body modes: BUFFER collects up to max_body bytes, then the handler runs. STREAM calls
 * route->on_body for each piece as it comes off the socket, then the handler; on_body returning an
 * error ends the request with it. Content-Encoding gzip/deflate is undone for both (bounded).
 *
 * A request that is refused (path, method, scope, length) or whose on_body failed is read to its
 * end without being looked at, so that the client sees the answer and the connection lives on: up
 * to max_body + 64 MiB of a caller that was let in, 1 MiB of others. Longer ones are answered at
 * once and closed, and so are those that wait for 100 Continue.
 *
 * A handler answers with maas_req_reply* at once (inline), or calls maas_req_suspend, gives the
 * request to another thread, and that thread replies and resumes with maas_req_resume. A suspended
 * request is polled for a peer that went away (maas_req_gone).
 *
 * Threads: handlers run on I/O threads (a pool); they must not block. Memory: maas_req_arena lives
 * until the response is sent; connections reuse it, so warm requests do not allocate.
 */
#ifndef MAAS_HTTP_HTTP_H
#define MAAS_HTTP_HTTP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"

typedef struct maas_http maas_http;
typedef struct maas_req maas_req;

typedef enum maas_body_mode { MAAS_BODY_NONE, MAAS_BODY_BUFFER, MAAS_BODY_STREAM } maas_body_mode;

typedef struct maas_route maas_route;
struct maas_route {
    const char *method, *path;
    void (*handle)(maas_req *r); /* the whole body is here; must reply or suspend */
    /* STREAM: the piece is ours to read now only. */
    maas_status (*on_body)(maas_req *r, maas_span piece, maas_err *err);
    uint32_t scope;      /* bits of the caller; 0 is illegal: MAAS_SCOPE_PUBLIC says so */
    uint8_t cost;        /* class: 0 cheap, 1 compute, 2 upload, 3 long-lived stream     */
    uint8_t body;        /* maas_body_mode                                               */
    uint8_t dialect;     /* whose error shape: index given to opts.write_error           */
    uint64_t max_body;   /* bytes; 0 with BODY_NONE. MAAS_BODY_SETTING: opts.max_body    */
    const char *summary; /* openapi                                                      */
    const char *request, *response; /* openapi: names of schemas, or NULL */
};
#define MAAS_BODY_SETTING UINT64_MAX
#define MAAS_SCOPE_PUBLIC (1u << 31)

/* Strings and the table are borrowed until the server is stopped. */
typedef struct maas_http_opts {
    const char *listen;             /* "127.0.0.1:8000", "[::1]:0" */
    const char *tls_cert, *tls_key; /* PEM files, both or neither */
    int n_threads;                  /* I/O threads, >= 2 */
    int max_connections, max_per_ip;
    uint64_t max_body; /* bytes; for MAAS_BODY_SETTING */
    int idle_timeout_s;
    int head_timeout_s;    /* a request head must be complete after this; 0: 10              */
    uint64_t max_buffered; /* bytes of all BUFFER bodies in memory together; 0: no limit     */
    const char *server_header;
    const maas_route *routes; /* ends with method NULL; borrowed */
    void *user;               /* maas_req_user() */
    /* May this request go on? Sets maas_req_set_principal. Runs before the body is read. */
    maas_status (*authorize)(maas_req *r, const maas_route *route, maas_err *err);
    /* Writes the error body of a dialect; returns the HTTP status to send. */
    int (*write_error)(uint8_t dialect, const maas_err *err, maas_buf *out);
    /* After every response: for metrics and the access log. ns from first byte to last; http_status
     * 0: the peer left before it had an answer; route NULL: none was found. */
    void (*finished)(maas_req *r, const maas_route *route, int http_status, uint64_t ns);
    /* Each I/O thread, once, before its first handler (omp_set_num_threads(1), names). */
    void (*thread_start)(void *user);
} maas_http_opts;

maas_status maas_http_start(const maas_http_opts *opts, maas_http **out, maas_err *err);
uint16_t maas_http_port(const maas_http *h);
const char *maas_http_address(const maas_http *h); /* "127.0.0.1:43121" */
void maas_http_quiesce(maas_http *h); /* stop accepting; keep-alive gets Connection: close */
uint32_t maas_http_in_flight(const maas_http *h);
uint32_t maas_http_connections(const maas_http *h);
void maas_http_stop(maas_http *h, int deadline_ms); /* waits for in-flight requests, then closes */

/* ---- the request ---- */
void *maas_req_user(const maas_req *r); /* opts.user */
const maas_route *maas_req_route(const maas_req *r);
/* Parameters, query and headers: ask before giving the request away (they read the head). */
/* The i-th {x} of the path, decoded, NUL-ended; NULL when the template has fewer. */
const char *maas_req_param(const maas_req *r, int i);
const char *maas_req_query(const maas_req *r, const char *name);  /* decoded; NULL when absent */
const char *maas_req_header(const maas_req *r, const char *name); /* NULL when absent */
maas_span maas_req_body(maas_req *r);                             /* BUFFER mode */
uint64_t maas_req_content_length(const maas_req *r);              /* UINT64_MAX when chunked */
maas_arena *maas_req_arena(maas_req *r);
uint64_t maas_req_start_ns(const maas_req *r);
const char *maas_req_id(maas_req *r);         /* x-request-id: given or made */
const char *maas_req_peer(const maas_req *r); /* "127.0.0.1" */
/* A pointer of the handler's own that lives with the request; freed by fn at its end. */
void maas_req_set_state(maas_req *r, void *state, void (*fn)(void *));
void *maas_req_state(const maas_req *r);
void maas_req_set_principal(maas_req *r, const void *principal);
const void *maas_req_principal(const maas_req *r);

/* ---- the response: exactly one of these per request ---- */
/* Before replying; copied. */
void maas_req_set_header(maas_req *r, const char *name, const char *value);
/* Lets the reply be gzipped when the client asks for it and it is longer than 1 KiB. Before
 * replying. */
void maas_req_allow_gzip(maas_req *r);
/* The bytes are copied, or kept until sent when they live in maas_req_arena (`arena_owned`). */
void maas_req_reply(maas_req *r, int http_status, const char *content_type, const void *p, size_t n,
                    bool arena_owned);
/* Takes the bytes, from the heap or from maas_req_arena; a failed buffer becomes MAAS_E_NOMEM. */
void maas_req_reply_buf(maas_req *r, int http_status, const char *content_type, maas_buf *take);
/* In the dialect of the route. */
void maas_req_fail(maas_req *r, const maas_err *err);
/* Takes fd; sends its first n bytes. */
void maas_req_reply_fd(maas_req *r, int http_status, const char *content_type, int fd, uint64_t n);
/* A stream (server-sent events): write from any thread; false when the peer is gone or too slow
 * (bounded queue, 1 MiB). The request stays until maas_req_stream_end, which must always be called.
 * On a suspended request maas_req_stream_begin takes the place of maas_req_resume: do not call
 * both. */
bool maas_req_stream_begin(maas_req *r, int http_status, const char *content_type);
bool maas_req_stream_write(maas_req *r, const void *p, size_t n);
void maas_req_stream_end(maas_req *r);
size_t maas_req_stream_backlog(maas_req *r); /* bytes that were not sent yet */
/* For a writer that does not want to get too far ahead. True: more than `most` bytes are not sent;
 * fn will be called, once, on an I/O thread, when half of them are, or the stream is over. The
 * memory of the request lives until then. One at a time. */
bool maas_req_stream_wait(maas_req *r, size_t most, void (*fn)(void *user), void *user);

/* ---- another thread answers ---- */
void maas_req_suspend(maas_req *r);
void maas_req_resume(maas_req *r);     /* after a reply was set, from any thread, once */
bool maas_req_gone(const maas_req *r); /* the peer closed while suspended or streaming */

/* ---- the router, for tests, fuzzing and documentation ---- */
typedef struct maas_router maas_router;
maas_status maas_router_create(const maas_route *routes, maas_router **out, maas_err *err);
void maas_router_destroy(maas_router *rt);
#define MAAS_MAX_PATH_PARAMS 4
typedef struct maas_match {
    const maas_route *route; /* NULL: no such path, or no such method */
    bool path_known;         /* the path exists with another method: 405 */
    uint8_t dialect;         /* of the route, or of the routes nearest to an unknown path */
    char allow[64];          /* "GET, PUT" for 405 */
    int n_params;
    const char *params[MAAS_MAX_PATH_PARAMS]; /* in the arena */
} maas_match;
maas_status maas_router_match(const maas_router *rt, const char *method, const char *raw_path,
                              maas_arena *a, maas_match *out, maas_err *err);

/* multipart/form-data, one part at a time (RFC 7578): streaming, bounded. */
typedef struct maas_multipart maas_multipart;
typedef struct maas_part_sink {
    void *user;
    maas_status (*begin)(void *user, const char *name, const char *file_name, const char *type,
                         maas_err *err);
    maas_status (*data)(void *user, maas_span piece, maas_err *err);
    maas_status (*end)(void *user, maas_err *err);
} maas_part_sink;
maas_status maas_multipart_create(const char *content_type, const maas_part_sink *sink,
                                  maas_multipart **out, maas_err *err);
maas_status maas_multipart_feed(maas_multipart *m, maas_span piece, maas_err *err);
maas_status maas_multipart_finish(maas_multipart *m, maas_err *err);
void maas_multipart_destroy(maas_multipart *m);

#endif
