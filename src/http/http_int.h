/*
 * http/http_int.h - what the files of this room share. Nobody else includes it.
 *
 * One maas_conn per socket, made when libmicrohttpd accepts it; it holds the one request that may
 * be in progress (HTTP/1.1 is sequential), so a warm request allocates nothing.
 *
 * Who may touch a maas_req: its I/O thread, except between maas_req_suspend (or _stream_begin) and
 * maas_req_resume (or _stream_end), when the holder may. A holder may outlive the socket: `refs`
 * counts the socket and the holder, and the last one frees the connection.
 *
 * Locks are leaves: conn->lock guards the fields under it, http->lock the list of connections. The
 * list lock may be held while a connection's lock is taken, never the other way round.
 */
#ifndef MAAS_HTTP_HTTP_INT_H
#define MAAS_HTTP_HTTP_INT_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <zlib.h>

#include "base/limits.h"
#include "http/http.h"

#define HTTP_MAX_HEAD   MAAS_MAX_HEADER_BYTES /* bytes of a request head; see CONN_POOL_BYTES */
#define HTTP_SMALL_BODY (64u << 10)  /* bytes a connection keeps for its next request's body   */
#define HTTP_KEEP_ARENA (256u << 10) /* bytes of arena it keeps                                */
/* Bytes past the limit that are read only so that the client, which may look for an answer when it
 * has sent all (Python's http.client does), gets one: of callers that were let in, and of others.
 */
#define HTTP_MAX_DISCARD          (64u << 20)
#define HTTP_MAX_DISCARD_STRANGER (1u << 20)
#define HTTP_MAX_STREAM_QUEUE     (1u << 20) /* bytes a slow reader of a stream may fall behind     */
#define HTTP_MAX_INFLATE_RATIO    200 /* decoded : encoded, once past HTTP_FREE_INFLATE         */
#define HTTP_FREE_INFLATE         (1u << 20) /* decoded bytes before the ratio is looked at            */
#define HTTP_MIN_GZIP             1024 /* shorter replies are sent as they are                   */
#define HTTP_MAX_ERROR_BODY       (16u << 10)

typedef enum reply_kind {
    REPLY_NONE,
    REPLY_BYTES, /* in the arena, in `scratch`, or constant: alive until the request ends */
    REPLY_TAKEN, /* heap bytes of ours to free                                            */
    REPLY_FD,
    REPLY_STREAM
} reply_kind;

typedef struct req_header {
    struct req_header *next;
    const char *name, *value; /* arena */
} req_header;

typedef struct req_reply {
    reply_kind kind;
    int http_status, fd;
    const char *content_type; /* arena or constant */
    const void *p;
    uint64_t n; /* bytes */
    req_header *headers;
    bool close, gzip_ok;
} req_reply;

typedef enum req_phase {
    PHASE_IDLE,    /* between requests                                     */
    PHASE_HEAD,    /* the request line was read                            */
    PHASE_BODY,    /* routed and authorized (or refused); body may follow  */
    PHASE_HANDLED, /* the handler ran; a reply is set or will be           */
    PHASE_QUEUED   /* libmicrohttpd has the reply                          */
} req_phase;

/* Headers that this room itself reads, found in one pass over the head; NULL: absent. */
typedef enum known_header {
    HDR_HOST,
    HDR_EXPECT,
    HDR_REQUEST_ID,
    HDR_CONTENT_LENGTH,
    HDR_ACCEPT_ENCODING,
    HDR_CONTENT_ENCODING,
    HDR_TRANSFER_ENCODING,
    HDR_N
} known_header;

struct maas_req {
    struct maas_conn *conn;
    struct MHD_Connection *mhd;
    const maas_route *route; /* NULL: unknown path or method */
    maas_match match;
    maas_arena arena;
    uint64_t start_ns;
    _Atomic int phase;         /* req_phase; the sweeper reads it */
    _Atomic uint64_t since_ns; /* when HEAD, BODY or IDLE began; likewise */
    bool suspended_once;       /* the handler gave it away: its reply comes by way of a resume */
    bool head_only;            /* HEAD */
    bool url_too_long;
    const char *known[HDR_N];
    uint32_t repeated; /* bits of `known_header` */
    /* body */
    bool has_body, chunked, discard;
    bool let_in;             /* authorized */
    uint64_t content_length; /* UINT64_MAX: chunked                          */
    uint64_t max_body;
    _Atomic uint64_t n_wire; /* bytes off the socket; the sweeper reads it   */
    uint64_t n_body;         /* bytes after decoding                         */
    maas_buf body;
    size_t charged; /* bytes of http->buffered */
    z_stream inflate;
    bool inflating; /* `inflate` is set up */
    bool inflate_done;
    maas_err err; /* why it failed; err.code MAAS_OK: it did not */
    /* answer */
    req_reply reply;
    maas_buf scratch; /* error bodies */
    char id[40];
    const void *principal;
    void *state;
    void (*state_free)(void *);
};

typedef struct http_drained {
    void (*fn)(void *user);
    void *user;
    size_t most; /* bytes */
} http_drained;

typedef struct maas_conn {
    struct maas_http *http;
    struct maas_conn *next, *prev; /* under http->lock */
    int fd;                        /* borrowed from libmicrohttpd, valid while listed */
    _Atomic int refs;
    _Atomic bool gone;      /* the peer closed, or the server gave up on it */
    _Atomic bool abandoned; /* forced stop: the holder's reply is not looked at */
    bool watched;           /* I/O thread: fd is in the watcher's epoll set */
    char peer[48];
    maas_req req;

    pthread_mutex_t lock; /* guards the rest */
    bool held;            /* another thread has the request    */
    bool suspended;       /* libmicrohttpd has it suspended    */
    bool closed;          /* the socket is gone, req.mhd stale */
    bool stream_ended;
    maas_buf queue; /* stream bytes not sent yet         */
    size_t queue_at;
    http_drained drained; /* who waits for the queue; fn NULL: nobody */
    /* sweeper only */
    uint64_t seen_wire, seen_ns;
    struct maas_conn *next_dead;
} maas_conn;

struct maas_http {
    maas_http_opts opts;
    maas_router *router;
    struct MHD_Daemon *daemon;
    char address[64];
    uint16_t port;
    _Atomic int refs; /* the owner and every connection */
    _Atomic uint32_t in_flight, n_conns;
    _Atomic bool quiescing, stopping;
    int quiesced_fd; /* the listening socket, shut down; closed when no thread can know its number
                      */
    _Atomic uint64_t next_id;
    uint64_t id_salt;
    maas_budget buffered;
    struct maas_watch *watch;
    pthread_mutex_t lock;
    pthread_cond_t idle; /* in_flight fell to 0 while quiescing */
    maas_conn *conns;    /* under lock */
};

/* conn.c */
void http_conn_notify(void *cls, struct MHD_Connection *c, void **ctx,
                      enum MHD_ConnectionNotificationCode code);
void *http_on_uri(void *cls, const char *uri, struct MHD_Connection *c);
enum MHD_Result http_on_request(void *cls, struct MHD_Connection *c, const char *url,
                                const char *method, const char *version, const char *data,
                                size_t *n, void **ctx);
void http_on_completed(void *cls, struct MHD_Connection *c, void **ctx,
                       enum MHD_RequestTerminationCode why);
void http_conn_unref(maas_conn *c);
http_drained http_take_drained(maas_conn *c); /* under the lock; call it without */
void http_unref(maas_http *h);

static inline int http_hex_digit(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

/* request.c */
void http_read_known_headers(maas_req *r);

/* body.c */
maas_status http_body_length(maas_req *r, maas_err *err); /* what the head says of it */
maas_status http_body_begin(maas_req *r, maas_err *err);  /* limits, encoding, memory */
void http_body_piece(maas_req *r, const void *p, size_t n);
maas_status http_body_end(maas_req *r, maas_err *err);
void http_body_reset(maas_req *r);
voidpf http_zip_alloc(voidpf opaque, uInt n, uInt size); /* zlib's memory comes from ours */
void http_zip_free(voidpf opaque, voidpf p);
uint64_t http_body_patience(const maas_req *r); /* wire bytes after which a refused body is cut */

/* respond.c */
void http_reply_error(maas_req *r, uint8_t dialect, const maas_err *err);
enum MHD_Result http_reply_queue(maas_req *r);
int http_reply_status(const maas_req *r);
void http_reply_drop(maas_req *r); /* frees what a reply that was never sent owns */

/* hold.c: requests that other threads have */
struct MHD_Response *http_stream_response(maas_req *r);
void http_conn_abandon(maas_conn *c); /* forced stop: takes the request back from its holder */

/* watch.c */
typedef struct maas_watch maas_watch;
maas_status http_watch_create(maas_http *h, maas_watch **out, maas_err *err);
void http_watch_destroy(maas_watch *w);           /* after the last connection closed */
void http_watch_add(maas_watch *w, maas_conn *c); /* I/O thread, at the first suspend */
/* I/O thread, at close: drops the socket's reference once no event can name c any more. */
void http_watch_bury(maas_watch *w, maas_conn *c);

#endif
