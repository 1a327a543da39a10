/*
 * tests/unit/http/http_test.h - a server on 127.0.0.1 and a client that speaks raw bytes, so that a
 * test says exactly what goes over the wire.
 */
#ifndef MAAS_HTTP_TEST_H
#define MAAS_HTTP_TEST_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/mem.h"
#include "base/sys.h"
#include "http/http.h"
#include "maas_test.h"

#define ROW(m, p, h) .method = (m), .path = (p), .handle = (h), .scope = MAAS_SCOPE_PUBLIC

static inline maas_http_opts test_opts(const maas_route *routes)
{
    return (maas_http_opts){.listen = "127.0.0.1:0",
                            .n_threads = 2,
                            .max_connections = 4096,
                            .max_per_ip = 4096,
                            .max_body = 1 << 20,
                            .idle_timeout_s = 30,
                            .routes = routes};
}

static inline maas_http *test_start(const maas_http_opts *o)
{
    maas_http *h = NULL;
    maas_err err = {0};
    if (maas_http_start(o, &h, &err) != MAAS_OK) {
        fprintf(stderr, "  cannot start: %s\n", err.msg);
        exit(1);
    }
    return h;
}

typedef struct wire {
    int fd;
    size_t n; /* bytes in buf that are not read as a reply yet */
    char buf[1 << 16];
    int status; /* of the last reply; 0: the peer closed */
    char head[4096], body[1 << 16];
    size_t n_body;
} wire;

static inline void wire_open(wire *w, const maas_http *h)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(maas_http_port(h)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 20};
    int one = 1;
    w->n = 0;
    w->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(w->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(w->fd, (struct sockaddr *)&a, sizeof a) < 0) {
        perror("connect");
        exit(1);
    }
}

static inline void wire_close(wire *w)
{
    close(w->fd);
    w->fd = -1;
}

static inline bool wire_put(wire *w, const void *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t got = send(w->fd, (const char *)p + at, n - at, MSG_NOSIGNAL);
        if (got <= 0)
            return false;
        at += (size_t)got;
    }
    return true;
}

static inline bool wire_say(wire *w, const char *text)
{
    return wire_put(w, text, strlen(text));
}

/* More bytes into buf; false: the peer closed, or nothing came for 20 s. */
static inline bool wire_more(wire *w)
{
    ssize_t got = recv(w->fd, w->buf + w->n, sizeof w->buf - 1 - w->n, 0);
    if (got <= 0)
        return false;
    w->n += (size_t)got;
    w->buf[w->n] = 0;
    return true;
}

static inline void wire_drop(wire *w, size_t n)
{
    memmove(w->buf, w->buf + n, w->n - n);
    w->n -= n;
    w->buf[w->n] = 0;
}

static inline const char *wire_header(const wire *w, const char *name)
{
    static char value[512];
    for (const char *p = w->head; (p = strstr(p, "\r\n")) != NULL;) {
        p += 2;
        size_t n = strlen(name);
        if (strncasecmp(p, name, n) == 0 && p[n] == ':') {
            p += n + 1 + strspn(p + n + 1, " ");
            snprintf(value, sizeof value, "%.*s", (int)strcspn(p, "\r"), p);
            return value;
        }
    }
    return NULL;
}

/* One chunk of a chunked reply into body; 1: a chunk, 0: the last, -1: the peer closed. */
static inline int wire_chunk(wire *w)
{
    char *eol;
    while (!(eol = w->n ? strstr(w->buf, "\r\n") : NULL))
        if (!wire_more(w))
            return -1;
    size_t n = strtoul(w->buf, NULL, 16), head = (size_t)(eol + 2 - w->buf);
    while (w->n < head + n + 2)
        if (!wire_more(w))
            return -1;
    memcpy(w->body, w->buf + head, n);
    w->body[n] = 0;
    w->n_body = n;
    wire_drop(w, head + n + 2);
    return n > 0;
}

/* Reads the head of a reply; false when the peer closed. Skips 100 Continue. */
static inline bool wire_head(wire *w)
{
    do {
        char *end;
        w->status = 0;
        while (!(end = w->n ? strstr(w->buf, "\r\n\r\n") : NULL))
            if (!wire_more(w))
                return false;
        size_t n = (size_t)(end + 4 - w->buf);
        snprintf(w->head, sizeof w->head, "%.*s", (int)n, w->buf);
        wire_drop(w, n);
        w->status = (int)strtol(w->head + 9, NULL, 10);
    } while (w->status == 100);
    return true;
}

/* A whole reply with Content-Length; returns its status, 0 when the peer closed. */
static inline int wire_read(wire *w, bool head_only)
{
    if (!wire_head(w))
        return 0;
    const char *length = wire_header(w, "Content-Length");
    w->n_body = length && !head_only ? strtoul(length, NULL, 10) : 0;
    while (w->n < w->n_body)
        if (!wire_more(w))
            return 0;
    memcpy(w->body, w->buf, w->n_body);
    w->body[w->n_body] = 0;
    wire_drop(w, w->n_body);
    return w->status;
}

static inline int wire_ask(wire *w, const char *request)
{
    return wire_say(w, request) ? wire_read(w, strncmp(request, "HEAD", 4) == 0) : 0;
}

static inline int wire_get(wire *w, const char *path)
{
    char text[9000];
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    return wire_ask(w, text);
}

/* Waits for a condition that another thread brings about; false after 10 s. */
#define WAIT_UNTIL(c)                                                                              \
    ({                                                                                             \
        bool met_ = false;                                                                         \
        for (int i_ = 0; i_ < 8000 && !(met_ = (c)); i_++)                                         \
            maas_sleep_ms(5);                                                                      \
        met_ || (c);                                                                               \
    })

#endif
