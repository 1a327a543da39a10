/*
 * The floor to compare a server with: n threads, an epoll loop each, that answer a constant to
 * every request. It parses no more than it must: a head up to its blank line and Content-Length.
 *
 *   bench_http_floor PORT [THREADS]        prints the address, runs until it is killed
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/status.h"
#include "base/ban.h"

#define MAX_REQUEST 65536

typedef struct peer {
    int fd;
    size_t n; /* bytes in `in` */
    char in[MAX_REQUEST + 1];
} peer;

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                             "Content-Length: 11\r\n\r\n{\"ok\":true}";

/* Bytes of the first whole request in p, 0 when there is none yet. */
static size_t request_bytes(const peer *p)
{
    const char *end = strstr(p->in, "\r\n\r\n");
    if (!end)
        return 0;
    const char *length = strcasestr(p->in, "\r\ncontent-length:");
    uint64_t body = 0;
    if (length && length < end) {
        maas_span s = maas_span_str(length + 17);
        while (s.n && s.p[0] == ' ')
            maas_span_skip(&s, 1);
        maas_num_u64(&s, &body);
    }
    size_t all = (size_t)(end + 4 - p->in) + (size_t)body;
    return all <= p->n ? all : 0;
}

/* false: the peer is done. */
static bool serve(peer *p)
{
    ssize_t got = recv(p->fd, p->in + p->n, MAX_REQUEST - p->n, 0);
    if (got <= 0)
        return false;
    p->n += (size_t)got;
    p->in[p->n] = 0;
    for (size_t n; (n = request_bytes(p)) > 0;) {
        if (send(p->fd, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0)
            return false;
        p->n -= n;
        memmove(p->in, p->in + n, p->n + 1);
    }
    return p->n < MAX_REQUEST;
}

static void accept_one(int epoll_fd, int listen_fd)
{
    int one = 1, fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    peer *p = maas_calloc(1, sizeof *p);
    MAAS_CHECK(p);
    p->fd = fd;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &(struct epoll_event){EPOLLIN, {.ptr = p}});
}

static void *loop(void *arg)
{
    int listen_fd = *(int *)arg, epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd,
              &(struct epoll_event){EPOLLIN | EPOLLEXCLUSIVE, {.ptr = NULL}});
    for (;;) {
        struct epoll_event ev[128];
        int n = epoll_wait(epoll_fd, ev, 128, -1);
        for (int i = 0; i < n; i++) {
            peer *p = ev[i].data.ptr;
            if (!p) {
                accept_one(epoll_fd, listen_fd);
            } else if (!serve(p)) {
                close(p->fd);
                maas_free(p);
            }
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    int64_t port = 0, n_threads = 2;
    if (argc < 2 || !maas_parse_i64(argv[1], &port) ||
        (argc > 2 && !maas_parse_i64(argv[2], &n_threads))) {
        fprintf(stderr, "usage: bench_http_floor PORT [THREADS]\n");
        return 2;
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&a, len) < 0 || listen(fd, 1024) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) < 0) {
        perror("bench_http_floor");
        return 1;
    }
    printf("listening on http://127.0.0.1:%u\n", ntohs(a.sin_port));
    fflush(stdout);
    for (int64_t i = 1; i < n_threads; i++) {
        pthread_t t;
        pthread_create(&t, NULL, loop, &fd);
    }
    loop(&fd);
    return 0;
}
