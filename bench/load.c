/*
 * A keep-alive load generator: one epoll loop, n connections, one request each at a time.
 *
 *   load [-c CONNECTIONS] [-d SECONDS] [-w WARMUP_SECONDS] [-m METHOD] [-b BODY_FILE]
 *        [-t CONTENT_TYPE] [-H 'NAME: VALUE']... [-r RATE] http://ADDR:PORT/PATH
 *
 * Closed loop: a connection asks again when it was answered. With -r the loop is open: requests are
 * due at fixed times, wait for a free connection if they must, and latency counts from when they
 * were due, so that a slow server cannot hide its queue (no coordinated omission).
 *
 * Prints one line: requests/s, p50, p99, p99.9, the largest latency (us), non-2xx and lost
 * requests.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <fcntl.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/sys.h"
#include "base/ban.h"

#define MAX_ANSWER (64u << 20)
#define NS         1000000000u

/* Log-linear: 64 steps a doubling, so a printed quantile is within 1.6 %. */
#define STEPS 64
typedef struct histogram {
    uint64_t n[64 * STEPS], total, max;
} histogram;

typedef struct client {
    int fd;
    bool busy;
    uint64_t due_ns;
    size_t sent;
    maas_buf in;
    size_t n_whole; /* bytes of the whole answer; 0: head not read yet */
} client;

typedef struct load {
    struct sockaddr_in to;
    char host[64];
    const char *path, *method, *body_file, *type;
    maas_buf headers, request;
    int64_t n_clients, seconds, warmup, rate;
    int epoll_fd;
    client *clients;
    uint64_t from_ns, until_ns, next_due_ns; /* from: measuring begins */
    uint64_t n_bad, n_lost;
    histogram h;
} load;

static void die(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    exit(1);
}

static void record(histogram *h, uint64_t ns)
{
    uint64_t v = ns < STEPS ? STEPS : ns;
    int shift = 63 - __builtin_clzll(v) - 6;
    h->n[(size_t)shift * STEPS + (v >> shift & (STEPS - 1))]++;
    h->total++;
    h->max = ns > h->max ? ns : h->max;
}

static double quantile_us(const histogram *h, double q)
{
    uint64_t left = (uint64_t)(q * (double)h->total);
    for (size_t i = 0; i < MAAS_COUNT(h->n); i++) {
        if (h->n[i] > left)
            return (double)((STEPS + i % STEPS) << (i / STEPS)) / 1e3;
        left -= h->n[i];
    }
    return (double)h->max / 1e3;
}

static void client_open(load *l, client *c)
{
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&l->to, sizeof l->to) < 0)
        die("cannot connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    c->busy = false;
    c->in.max = MAX_ANSWER;
    maas_buf_clear(&c->in);
    struct epoll_event ev = {EPOLLIN | EPOLLOUT | EPOLLET, {.ptr = c}};
    epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, c->fd, &ev);
}

static void client_lost(load *l, client *c)
{
    l->n_lost += c->busy;
    close(c->fd);
    client_open(l, c);
}

static bool client_send(load *l, client *c)
{
    while (c->sent < l->request.n) {
        ssize_t n = send(c->fd, l->request.p + c->sent, l->request.n - c->sent, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN;
        c->sent += (size_t)n;
    }
    return true;
}

static void client_ask(load *l, client *c, uint64_t due_ns)
{
    c->busy = true;
    c->due_ns = due_ns;
    c->sent = c->n_whole = 0;
    maas_buf_clear(&c->in);
    if (!client_send(l, c))
        client_lost(l, c);
}

/* Is the answer in c->in whole? Content-Length answers only: that is what a benchmark asks for. */
static bool whole(client *c)
{
    if (!c->n_whole) {
        const char *end = strstr(c->in.p, "\r\n\r\n");
        if (!end)
            return false;
        const char *length = strcasestr(c->in.p, "\r\ncontent-length:");
        uint64_t n = 0;
        if (!length || length > end)
            die("an answer has no Content-Length");
        maas_span s = maas_span_str(length + 17);
        while (s.n && s.p[0] == ' ')
            maas_span_skip(&s, 1);
        if (!maas_num_u64(&s, &n))
            die("an answer's Content-Length is no number");
        c->n_whole = (size_t)(end + 4 - c->in.p) + (size_t)n;
    }
    return c->in.n >= c->n_whole;
}

static void client_read(load *l, client *c)
{
    for (;;) {
        if (!maas_buf_reserve(&c->in, 16384))
            die("out of memory, or an answer is too long");
        ssize_t n = recv(c->fd, c->in.p + c->in.n, 16384, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            client_lost(l, c);
            return;
        }
        if (n < 0)
            return;
        c->in.n += (size_t)n;
        c->in.p[c->in.n] = 0;
        if (c->busy && whole(c))
            break;
    }
    uint64_t now = maas_now_ns();
    c->busy = false;
    if (now >= l->from_ns) {
        record(&l->h, now - c->due_ns);
        l->n_bad += c->in.n < 10 || c->in.p[9] != '2';
    }
    if (!l->rate)
        client_ask(l, c, now);
}

/* Open loop: gives requests that are due to free connections. */
static void ask_due(load *l)
{
    uint64_t now = maas_now_ns(), step = NS / (uint64_t)l->rate;
    for (int64_t i = 0; i < l->n_clients && l->next_due_ns <= now; i++)
        if (!l->clients[i].busy) {
            client_ask(l, &l->clients[i], l->next_due_ns);
            l->next_due_ns += step;
        }
}

static void run(load *l)
{
    uint64_t start = maas_now_ns();
    l->next_due_ns = start;
    l->from_ns = start + (uint64_t)l->warmup * NS;
    l->until_ns = l->from_ns + (uint64_t)l->seconds * NS;
    for (int64_t i = 0; i < l->n_clients; i++) {
        client_open(l, &l->clients[i]);
        if (!l->rate)
            client_ask(l, &l->clients[i], maas_now_ns());
    }
    while (maas_now_ns() < l->until_ns) {
        struct epoll_event ev[256];
        int n = epoll_wait(l->epoll_fd, ev, 256, l->rate ? 0 : 100);
        for (int i = 0; i < n; i++) {
            client *c = ev[i].data.ptr;
            if (c->busy && c->sent < l->request.n && !client_send(l, c))
                client_lost(l, c);
            else if (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                client_read(l, c);
        }
        if (l->rate)
            ask_due(l);
    }
}

static void build_request(load *l)
{
    maas_buf body = MAAS_BUF_INIT(MAX_ANSWER);
    int fd = -1;
    maas_err err = {0};
    if (l->body_file && (maas_sys_open(l->body_file, O_RDONLY, &fd, &err) != MAAS_OK ||
                         maas_sys_read_all(fd, &body, &err) != MAAS_OK))
        die(err.msg);
    if (fd >= 0)
        close(fd);
    const char *method = l->method ? l->method : body.n ? "POST" : "GET";
    l->request.max = MAX_ANSWER;
    maas_buf_printf(&l->request, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, l->path, l->host);
    maas_buf_add(&l->request, l->headers.p, l->headers.n);
    if (body.n)
        maas_buf_printf(&l->request, "Content-Type: %s\r\nContent-Length: %zu\r\n", l->type,
                        body.n);
    maas_buf_str(&l->request, "\r\n");
    maas_buf_add(&l->request, body.p, body.n);
    maas_buf_reset(&body);
}

static void parse_url(load *l, const char *url)
{
    const char *host = strncmp(url, "http://", 7) == 0 ? url + 7 : url;
    size_t n = strcspn(host, "/");
    char *colon = NULL, addr[64];
    int64_t port = 0;
    l->path = host[n] ? host + n : "/";
    snprintf(l->host, sizeof l->host, "%.*s", (int)n, host);
    snprintf(addr, sizeof addr, "%s", l->host);
    colon = strchr(addr, ':');
    if (!colon || !maas_parse_i64(colon + 1, &port))
        die("the URL must be http://ADDR:PORT/PATH");
    *colon = 0;
    l->to.sin_family = AF_INET;
    l->to.sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, addr, &l->to.sin_addr) != 1)
        die("ADDR must be an IPv4 address");
}

static void parse_args(load *l, int argc, char **argv)
{
    int opt;
    while ((opt = getopt(argc, argv, "c:d:w:m:b:t:H:r:")) != -1) {
        int64_t *number = opt == 'c'   ? &l->n_clients
                          : opt == 'd' ? &l->seconds
                          : opt == 'w' ? &l->warmup
                          : opt == 'r' ? &l->rate
                                       : NULL;
        if (number && (!maas_parse_i64(optarg, number) || *number < 0))
            die("-c, -d, -w and -r take whole numbers");
        if (opt == 'm')
            l->method = optarg;
        if (opt == 'b')
            l->body_file = optarg;
        if (opt == 't')
            l->type = optarg;
        if (opt == 'H')
            maas_buf_printf(&l->headers, "%s\r\n", optarg);
        if (opt == '?')
            exit(2);
    }
    if (optind + 1 != argc || l->n_clients < 1 || l->seconds < 1)
        die("usage: load [-c N] [-d S] [-w S] [-m METHOD] [-b FILE] [-t TYPE] [-H HEADER] [-r "
            "RATE] URL");
    parse_url(l, argv[optind]);
}

int main(int argc, char **argv)
{
    static load l = {.n_clients = 64,
                     .seconds = 3,
                     .warmup = 1,
                     .type = "application/json",
                     .headers = MAAS_BUF_INIT(65536)};
    parse_args(&l, argc, argv);
    build_request(&l);
    l.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l.clients = maas_calloc((size_t)l.n_clients, sizeof *l.clients);
    if (!l.clients || l.request.failed)
        die("out of memory");
    run(&l);
    printf("requests/s %.0f p50_us %.1f p99_us %.1f p99.9_us %.1f max_us %.1f bad %llu lost %llu\n",
           (double)l.h.total / (double)l.seconds, quantile_us(&l.h, 0.5), quantile_us(&l.h, 0.99),
           quantile_us(&l.h, 0.999), (double)l.h.max / 1e3, (unsigned long long)l.n_bad,
           (unsigned long long)l.n_lost);
    return l.n_bad || l.n_lost ? 1 : 0;
}
