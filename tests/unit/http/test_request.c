/* Requests as bytes on the wire: heads, bodies, encodings, and everything that is wrong with them.
 */
#include <zlib.h>

#include "http_test.h"

static _Atomic int n_finished, last_status;
static _Atomic uint64_t n_streamed;

static void echo(maas_req *r)
{
    maas_span b = maas_req_body(r);
    maas_req_reply(r, 200, "application/octet-stream", b.p, b.n, true);
}

static void count(maas_req *r)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%llu", (unsigned long long)atomic_load(&n_streamed));
    maas_req_reply(r, 200, "text/plain", text, (size_t)n, false);
}

static maas_status count_piece(maas_req *r, maas_span piece, maas_err *err)
{
    atomic_fetch_add(&n_streamed, piece.n);
    return memchr(piece.p, '!', piece.n) ? maas_fail(err, MAAS_E_FORMAT, "no shouting") : MAAS_OK;
}

static void describe(maas_req *r)
{
    const char *q = maas_req_query(r, "q"), *h = maas_req_header(r, "X-Thing");
    char *text = maas_arena_printf(maas_req_arena(r), "%s|%s|%s|%s|%s", maas_req_param(r, 0),
                                   q ? q : "-", h ? h : "-", maas_req_peer(r),
                                   maas_req_route(r)->path);
    maas_req_set_header(r, "X-Made", "yes");
    maas_req_reply(r, 200, "text/plain", text, strlen(text), true);
}

static void big(maas_req *r)
{
    size_t n = 20000;
    char *p = maas_arena_alloc(maas_req_arena(r), n);
    memset(p, 'z', n);
    maas_req_allow_gzip(r);
    maas_req_reply(r, 200, "text/plain", p, n, true);
}

static void silent(maas_req *r)
{
}

static void failing(maas_req *r)
{
    maas_err err = {0};
    maas_fail(&err, MAAS_E_BUSY, "later, please");
    maas_req_fail(r, &err);
}

static void taken(maas_req *r)
{
    maas_buf b = MAAS_BUF_INIT(100);
    maas_buf_str(&b, "from the heap");
    maas_req_reply_buf(r, 201, "text/plain", &b);
}

static void file(maas_req *r)
{
    FILE *f = tmpfile();
    fputs("from a file", f);
    fflush(f);
    int fd = dup(fileno(f));
    fclose(f);
    lseek(fd, 0, SEEK_SET);
    maas_req_reply_fd(r, 200, "text/plain", fd, 11);
}

static const maas_route routes[] = {
    {ROW("POST", "/echo", echo), .body = MAAS_BODY_BUFFER, .max_body = MAAS_BODY_SETTING},
    {ROW("POST", "/small", echo), .body = MAAS_BODY_BUFFER, .max_body = 10, .dialect = 1},
    {ROW("POST", "/up", count), .body = MAAS_BODY_STREAM, .max_body = 64 << 20,
     .on_body = count_piece},
    {ROW("GET", "/d/{x}", describe)},
    {ROW("GET", "/big", big)},
    {ROW("GET", "/silent", silent)},
    {ROW("GET", "/fail", failing)},
    {ROW("GET", "/taken", taken)},
    {ROW("GET", "/file", file)},
    {.method = "POST",
     .path = "/secret",
     .handle = echo,
     .scope = 1,
     .body = MAAS_BODY_BUFFER,
     .max_body = 100},
    {0},
};

static maas_status authorize(maas_req *r, const maas_route *route, maas_err *err)
{
    static const char who[] = "me";
    maas_req_set_principal(r, who);
    return route->scope == 1 ? maas_fail(err, MAAS_E_UNAUTHENTICATED, "who are you?") : MAAS_OK;
}

static int write_error(uint8_t dialect, const maas_err *err, maas_buf *out)
{
    const maas_status_info *info = maas_status_describe(err->code);
    maas_buf_printf(out, "%d:%s:%s", dialect, info->name, err->msg);
    return info->http;
}

static void finished(maas_req *r, const maas_route *route, int http_status, uint64_t ns)
{
    atomic_store(&last_status, http_status);
    atomic_fetch_add(&n_finished, 1);
}

static maas_http *begin(wire *w)
{
    maas_http_opts o = test_opts(routes);
    o.authorize = authorize;
    o.write_error = write_error;
    o.finished = finished;
    o.server_header = "maas";
    maas_http *h = test_start(&o);
    wire_open(w, h);
    return h;
}

static void end(maas_http *h, wire *w)
{
    wire_close(w);
    maas_http_stop(h, 1000);
    EXPECT_EQ(maas_mem_live(), 0);
}

#define HEAD(line) line " HTTP/1.1\r\nHost: x\r\n"

static void keep_alive_and_pipelining(void)
{
    wire w;
    maas_http *h = begin(&w);
    for (int i = 0; i < 50; i++) {
        EXPECT_EQ(wire_ask(&w, HEAD("POST /echo") "Content-Length: 5\r\n\r\nhello"), 200);
        EXPECT_STR(w.body, "hello");
    }
    EXPECT(
        wire_say(&w, HEAD("GET /d/1") "\r\n" HEAD("POST /echo") "Content-Length: 3\r\n\r\nabc" HEAD(
                         "GET /nope") "\r\n" HEAD("GET /d/2") "\r\n"));
    EXPECT_EQ(wire_read(&w, false), 200);
    EXPECT_STR(w.body, "1|-|-|127.0.0.1|/d/{x}");
    EXPECT_EQ(wire_read(&w, false), 200);
    EXPECT_STR(w.body, "abc");
    EXPECT_EQ(wire_read(&w, false), 404);
    EXPECT_EQ(wire_read(&w, false), 200);
    EXPECT_EQ(wire_ask(&w, HEAD("GET /d/3") "Connection: close\r\n\r\n"), 200);
    EXPECT_EQ(wire_get(&w, "/d/4"), 0);
    EXPECT(WAIT_UNTIL(atomic_load(&n_finished) == 55));
    end(h, &w);
}

static void queries_headers_and_escapes(void)
{
    static const struct {
        const char *path;
        int status;
        const char *body;
    } rows[] = {
        {"/d/a%2Fb?q=1", 200, "a/b|1|-|127.0.0.1|/d/{x}"},
        {"/d/a?q=x%20y+z%2B", 200, "a|x y z+|-|127.0.0.1|/d/{x}"},
        {"/d/a?q=%zz", 200, "a|%zz|-|127.0.0.1|/d/{x}"},
        {"/d/a?q=a%00b", 200, "a|a%00b|-|127.0.0.1|/d/{x}"},
        {"/d/a?q", 200, "a|-|-|127.0.0.1|/d/{x}"},
        {"/d/a?q=", 200, "a||-|127.0.0.1|/d/{x}"},
        {"/d/a?other=1&q=2", 200, "a|2|-|127.0.0.1|/d/{x}"},
        {"/d/a%00b", 400, "0:E_INVALID:the path has a bad %-escape"},
        {"/d/%zz", 400, "0:E_INVALID:the path has a bad %-escape"},
        {"/d/%", 400, "0:E_INVALID:the path has a bad %-escape"},
        {"/small/x", 404, "1:E_NOT_FOUND:no such path"},
        {"/..%2f..%2fetc", 404, "0:E_NOT_FOUND:no such path"},
    };
    wire w;
    maas_http *h = begin(&w);
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        EXPECT_MSG(wire_get(&w, rows[i].path) == rows[i].status, "%s: %d", rows[i].path, w.status);
        EXPECT_STR(w.body, rows[i].body);
    }
    EXPECT_EQ(wire_ask(&w, HEAD("GET /d/a") "x-thing:  v \r\n\r\n"), 200);
    EXPECT_STR(w.body, "a|-|v|127.0.0.1|/d/{x}");
    EXPECT_STR(wire_header(&w, "x-made"), "yes");
    EXPECT_STR(wire_header(&w, "server"), "maas");
    end(h, &w);
}

static void methods_and_ids(void)
{
    wire w;
    maas_http *h = begin(&w);
    EXPECT_EQ(wire_ask(&w, HEAD("HEAD /d/1") "\r\n"), 200);
    EXPECT_STR(wire_header(&w, "content-length"), "22");
    EXPECT_EQ(wire_ask(&w, HEAD("OPTIONS /echo") "\r\n"), 204);
    EXPECT_STR(wire_header(&w, "allow"), "POST, OPTIONS");
    EXPECT_EQ(wire_ask(&w, HEAD("DELETE /d/1") "\r\n"), 405);
    EXPECT_STR(wire_header(&w, "allow"), "GET, HEAD, OPTIONS");
    EXPECT_EQ(wire_ask(&w, HEAD("GET /d/1") "X-Request-Id: abc-1.2:3_4\r\n\r\n"), 200);
    EXPECT_STR(wire_header(&w, "x-request-id"), "abc-1.2:3_4");
    EXPECT_EQ(wire_ask(&w, HEAD("GET /d/1") "X-Request-Id: a\"b\r\n\r\n"), 200);
    char first[512];
    snprintf(first, sizeof first, "%s", wire_header(&w, "x-request-id"));
    EXPECT_EQ(strlen(first), 16);
    EXPECT_EQ(wire_get(&w, "/d/1"), 200);
    EXPECT(strcmp(first, wire_header(&w, "x-request-id")) != 0);
    EXPECT_EQ(wire_ask(&w, "GET /d/1 HTTP/1.1\r\n\r\n"), 400); /* no Host */
    end(h, &w);
}

static void replies_of_every_kind(void)
{
    wire w;
    maas_http *h = begin(&w);
    EXPECT_EQ(wire_get(&w, "/taken"), 201);
    EXPECT_STR(w.body, "from the heap");
    EXPECT_EQ(wire_get(&w, "/file"), 200);
    EXPECT_STR(w.body, "from a file");
    EXPECT_EQ(wire_get(&w, "/fail"), 429);
    EXPECT_STR(w.body, "0:E_BUSY:later, please");
    EXPECT_STR(wire_header(&w, "retry-after"), "1");
    EXPECT_EQ(wire_get(&w, "/silent"), 500);
    EXPECT_EQ(wire_get(&w, "/big"), 200);
    EXPECT_EQ(w.n_body, 20000);
    EXPECT_STR(wire_header(&w, "vary"), "Accept-Encoding");
    static const struct {
        const char *accept;
        bool gzip;
    } rows[] = {{"gzip", true},      {"deflate, gzip;q=0.5", true}, {"*", true},
                {"gzip;q=0", false}, {"gzip; q=0.000", false},      {"deflate", false},
                {"notgzip", false},  {"identity;q=1, *;q=0", false}};
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        char text[200];
        snprintf(text, sizeof text, HEAD("GET /big") "Accept-Encoding: %s\r\n\r\n", rows[i].accept);
        EXPECT_EQ(wire_ask(&w, text), 200);
        EXPECT_MSG((w.n_body < 1000) == rows[i].gzip, "%s: %zu", rows[i].accept, w.n_body);
    }
    static unsigned char plain[30000];
    EXPECT_EQ(wire_ask(&w, HEAD("GET /big") "Accept-Encoding: gzip\r\n\r\n"), 200);
    z_stream z = {.next_in = (Bytef *)w.body,
                  .avail_in = (uInt)w.n_body,
                  .next_out = plain,
                  .avail_out = sizeof plain};
    EXPECT_EQ(inflateInit2(&z, 31), Z_OK);
    EXPECT_EQ(inflate(&z, Z_FINISH), Z_STREAM_END);
    EXPECT_EQ(z.total_out, 20000);
    inflateEnd(&z);
    end(h, &w);
}

static void chunked_bodies(void)
{
    wire w;
    maas_http *h = begin(&w);
    EXPECT(wire_say(&w, HEAD("POST /echo") "Transfer-Encoding: chunked\r\n\r\n5\r\nhe"));
    maas_sleep_ms(20);
    EXPECT(wire_say(&w, "llo\r\n1;ext=1\r\n!\r\n0\r\n\r\n"));
    EXPECT_EQ(wire_read(&w, false), 200);
    EXPECT_STR(w.body, "hello!");
    /* longer than the route takes, found out on the way: answered, and the connection lives on */
    EXPECT_EQ(wire_ask(&w, HEAD("POST /small") "Transfer-Encoding: chunked\r\n\r\n"
                                               "8\r\n12345678\r\n8\r\n12345678\r\n0\r\n\r\n"),
              413);
    EXPECT_STR(w.body, "1:E_TOO_LARGE:the body is longer than 10 bytes");
    EXPECT_EQ(wire_get(&w, "/d/1"), 200);
    /* two lengths: refused, and what follows is not taken for a request */
    EXPECT_EQ(wire_ask(&w,
                       HEAD("POST /echo") "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
                                          "0\r\n\r\n" HEAD("GET /d/smuggled") "\r\n"),
              400);
    EXPECT_STR(wire_header(&w, "connection"), "close");
    EXPECT_EQ(wire_read(&w, false), 0);
    wire_close(&w);
    wire_open(&w, h);
    EXPECT_EQ(
        wire_ask(&w, HEAD("POST /echo") "Content-Length: 4\r\nContent-Length: 30\r\n\r\nabcd"),
        400);
    EXPECT_EQ(wire_read(&w, false), 0);
    wire_close(&w);
    wire_open(&w, h);
    EXPECT_EQ(wire_ask(&w, HEAD("GET /d/1") "Host: y\r\n\r\n"), 400);
    EXPECT_EQ(
        wire_ask(&w, HEAD("OPTIONS /echo") "Content-Length: 4\r\nTransfer-Encoding: x\r\n\r\n"),
        400);
    end(h, &w);
}

static void lengths_are_limits(void)
{
    wire w;
    maas_http *h = begin(&w);
    EXPECT_EQ(wire_ask(&w, HEAD("POST /small") "Content-Length: 10\r\n\r\n0123456789"), 200);
    EXPECT_EQ(wire_ask(&w, HEAD("POST /small") "Content-Length: 11\r\n\r\n01234567890"), 413);
    EXPECT_EQ(wire_ask(&w, HEAD("GET /d/1") "Content-Length: 3\r\n\r\nabc"), 413);
    EXPECT_EQ(wire_ask(&w, HEAD("POST /secret") "Content-Length: 3\r\n\r\nabc"), 401);
    EXPECT_STR(wire_header(&w, "www-authenticate"), "Bearer");
    EXPECT_EQ(wire_ask(&w, HEAD("POST /nope") "Content-Length: 3\r\n\r\nabc"), 404);
    EXPECT_EQ(wire_get(&w, "/d/1"), 200); /* the connection survived all of that */
    EXPECT_EQ(wire_ask(&w, HEAD("POST /small") "Content-Length: 99999999999\r\n\r\n"), 413);
    EXPECT_STR(wire_header(&w, "connection"), "close");
    wire_close(&w);
    wire_open(&w, h);
    EXPECT_EQ(
        wire_ask(&w, HEAD("POST /secret") "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"),
        401); /* before a byte of the body */
    wire_close(&w);
    wire_open(&w, h);
    EXPECT(wire_say(&w, HEAD("POST /echo") "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"));
    while (!w.n || !strstr(w.buf, "\r\n\r\n"))
        if (!wire_more(&w))
            break;
    EXPECT(strncmp(w.buf, "HTTP/1.1 100", 12) == 0);
    EXPECT(wire_say(&w, "hello"));
    EXPECT_EQ(wire_read(&w, false), 200);
    EXPECT_STR(w.body, "hello");
    end(h, &w);
}

static void long_heads_are_refused(void)
{
    static const int sizes[] = {8000, 9000, 12000, 13000};
    for (size_t i = 0; i < MAAS_COUNT(sizes); i++) {
        wire w;
        maas_http *h = begin(&w);
        char *text = calloc(1, 40000), *to = text + sprintf(text, "GET /d/");
        bool url = i < 2;
        if (!url)
            to += sprintf(to, "1 HTTP/1.1\r\nHost: x\r\nX-Pad: ");
        memset(to, 'a', (size_t)sizes[i]);
        to[sizes[i]] = 0;
        strcat(to, url ? " HTTP/1.1\r\nHost: x\r\n\r\n" : "\r\n\r\n");
        EXPECT_MSG(wire_ask(&w, text) == (i % 2 ? 413 : 200), "%d: %d", sizes[i], w.status);
        free(text);
        end(h, &w);
    }
}

/* A client that sends all before it reads gets its answer, within bounds, if it was let in. */
static void refused_bodies_are_read_within_bounds(void)
{
    static const struct {
        const char *path;
        size_t mib;
        int status; /* 0: cut */
    } rows[] = {{"/small", 2, 413}, {"/small", 60, 413}, {"/secret", 1, 401}, {"/small", 70, 0}};
    static char megabyte[1 << 20];
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        wire w;
        maas_http *h = begin(&w);
        char text[200];
        snprintf(text, sizeof text, HEAD("POST %s") "Transfer-Encoding: chunked\r\n\r\n",
                 rows[i].path);
        bool sent = wire_say(&w, text);
        for (size_t k = 0; sent && k < rows[i].mib; k++)
            sent = wire_say(&w, "ff000\r\n") && wire_put(&w, megabyte, 0xff000) &&
                   wire_say(&w, "\r\n");
        if (sent)
            wire_say(&w, "0\r\n\r\n");
        EXPECT_MSG(wire_read(&w, false) == rows[i].status, "row %zu: %d", i, w.status);
        end(h, &w);
    }
}

static void a_failing_stream_is_answered_after_its_body(void)
{
    wire w;
    maas_http *h = begin(&w);
    static char megabyte[1 << 20];
    memset(megabyte, '.', sizeof megabyte);
    megabyte[3] = '!';
    char head[200];
    snprintf(head, sizeof head, HEAD("POST /up") "Content-Length: %zu\r\n\r\n",
             8 * sizeof megabyte);
    EXPECT(wire_say(&w, head));
    for (int i = 0; i < 8; i++)
        EXPECT(wire_put(&w, megabyte, sizeof megabyte));
    EXPECT_EQ(wire_read(&w, false), 422);
    EXPECT_STR(w.body, "0:E_FORMAT:no shouting");
    EXPECT(atomic_load(&n_streamed) < sizeof megabyte); /* on_body was not called again */
    atomic_store(&n_streamed, 0);
    megabyte[3] = '.';
    EXPECT(wire_say(&w, head));
    for (int i = 0; i < 8; i++)
        EXPECT(wire_put(&w, megabyte, sizeof megabyte));
    EXPECT_EQ(wire_read(&w, false), 200);
    EXPECT_STR(w.body, "8388608");
    end(h, &w);
}

/* gzip (31) or zlib (15) of n equal bytes, several members long. */
static size_t deflated(int bits, size_t n, int n_members, unsigned char *out, size_t room)
{
    size_t at = 0;
    unsigned char *plain = calloc(1, n + 1);
    memset(plain, 'y', n);
    for (int i = 0; i < n_members; i++) {
        z_stream z = {.next_in = plain,
                      .avail_in = (uInt)n,
                      .next_out = out + at,
                      .avail_out = (uInt)(room - at)};
        deflateInit2(&z, 9, Z_DEFLATED, bits, 8, 0);
        deflate(&z, Z_FINISH);
        at += z.total_out;
        deflateEnd(&z);
    }
    free(plain);
    return at;
}

static int send_encoded(wire *w, const char *path, const char *encoding, const void *p, size_t n)
{
    char head[300];
    snprintf(head, sizeof head,
             HEAD("POST %s") "Content-Encoding: %s\r\nContent-Length: %zu\r\n\r\n", path, encoding,
             n);
    return wire_say(w, head) && wire_put(w, p, n) ? wire_read(w, false) : 0;
}

static void encoded_bodies_and_bombs(void)
{
    static unsigned char z[1 << 17];
    wire w;
    maas_http *h = begin(&w);
    size_t n = deflated(31, 5, 3, z, sizeof z);
    EXPECT_EQ(send_encoded(&w, "/echo", "gzip", z, n), 200);
    EXPECT_STR(w.body, "yyyyyyyyyyyyyyy");
    EXPECT_EQ(send_encoded(&w, "/echo", "gzip", z, n - 4), 400); /* cut short */
    z[12] ^= 0x55;
    EXPECT_EQ(send_encoded(&w, "/echo", "gzip", z, n), 400);
    n = deflated(15, 7, 1, z, sizeof z);
    EXPECT_EQ(send_encoded(&w, "/echo", "deflate", z, n), 200);
    EXPECT_STR(w.body, "yyyyyyy");
    EXPECT_EQ(send_encoded(&w, "/echo", "br", z, n), 415);
    EXPECT_EQ(send_encoded(&w, "/echo", "identity", "abc", 3), 200);
    n = deflated(31, 11, 1, z, sizeof z);
    EXPECT_EQ(send_encoded(&w, "/small", "gzip", z, n), 413);
    n = deflated(31, 16 << 20, 1, z, sizeof z); /* 1000 : 1, and within the route's max_body */
    EXPECT_EQ(send_encoded(&w, "/up", "gzip", z, n), 413);
    EXPECT_STR(w.body, "0:E_TOO_LARGE:the body inflates to more than 200 times its size");
    EXPECT(atomic_load(&n_streamed) < 17 << 20);
    EXPECT_EQ(wire_get(&w, "/d/1"), 200);
    end(h, &w);
}

static void a_warm_request_allocates_nothing(void)
{
    wire w;
    maas_http *h = begin(&w);
    for (int i = 0; i < 10; i++) {
        EXPECT_EQ(wire_ask(&w, HEAD("POST /echo") "Content-Length: 5\r\n\r\nhello"), 200);
        EXPECT_EQ(wire_get(&w, "/d/a%20b?q=%41"), 200);
        EXPECT_EQ(wire_get(&w, "/nope"), 404);
    }
    EXPECT(WAIT_UNTIL(atomic_load(&n_finished) == 30));
    long before = maas_mem_n_allocs();
    for (int i = 0; i < 100; i++) {
        EXPECT_EQ(wire_ask(&w, HEAD("POST /echo") "Content-Length: 5\r\n\r\nhello"), 200);
        EXPECT_EQ(wire_get(&w, "/d/a%20b?q=%41"), 200);
        EXPECT_EQ(wire_get(&w, "/nope"), 404);
    }
    EXPECT_EQ(maas_mem_n_allocs(), before);
    end(h, &w);
}

static void bodies_in_memory_have_a_budget(void)
{
    maas_http_opts o = test_opts(routes);
    o.max_buffered = 1000;
    maas_http *h = test_start(&o);
    wire a, b;
    wire_open(&a, h);
    wire_open(&b, h);
    EXPECT(wire_say(&a, HEAD("POST /echo") "Content-Length: 900\r\n\r\n"));
    EXPECT(WAIT_UNTIL(maas_http_in_flight(h) == 1));
    char body[900] = "x";
    EXPECT(wire_say(&b, HEAD("POST /echo") "Content-Length: 200\r\n\r\n") &&
           wire_put(&b, body, 200));
    EXPECT_EQ(wire_read(&b, false), 503);
    EXPECT_EQ(wire_ask(&b, HEAD("POST /echo") "Content-Length: 5\r\n\r\nhello"), 200);
    wire_close(&a);
    EXPECT(WAIT_UNTIL(maas_http_in_flight(h) == 0));
    EXPECT(wire_say(&b, HEAD("POST /echo") "Content-Length: 900\r\n\r\n") &&
           wire_put(&b, body, 900));
    EXPECT_EQ(wire_read(&b, false), 200);
    wire_close(&b);
    maas_http_stop(h, 1000);
    EXPECT_EQ(maas_mem_live(), 0);
}

/* Every allocation of a connection and its first request fails once: an error or a closed
 * connection, never a crash or a leak. */
static void allocation_failures_cost_one_request(void)
{
    wire w;
    maas_http *h = begin(&w);
    EXPECT_EQ(wire_get(&w, "/d/1"), 200);
    for (long n = 1; n < 12; n++) {
        wire c;
        maas_mem_fail_at(n);
        wire_open(&c, h);
        int st = wire_ask(&c, HEAD("POST /echo") "Content-Length: 5\r\n\r\nhello");
        maas_mem_fail_at(0);
        EXPECT_MSG(st == 200 || st == 0 || st == 503, "allocation %ld: %d", n, st);
        wire_close(&c);
        EXPECT_EQ(wire_get(&w, "/d/1"), 200);
    }
    end(h, &w);
}

/* Mutated requests, many to a connection: any answer or a closed connection, and then a good client
 * is served as if nothing had been. */
static void mutated_requests_hurt_nobody(void)
{
    static const char seed_text[] = HEAD("POST /echo") "Content-Length: 5\r\n\r\nhello" HEAD(
        "POST /up") "Transfer-Encoding: chunked"
                    "\r\n\r\n3\r\nabc\r\n0\r\n\r\n" HEAD(
                        "GET /d/a%20b?q=%41&x") "Accept-Encoding: "
                                                "gzip\r\n\r"
                                                "\n" HEAD("HEAD "
                                                          "/big") "Expect: "
                                                                  "100-"
                                                                  "continue\r\n\r"
                                                                  "\n" HEAD("OPTIONS "
                                                                            "/small") "\r"
                                                                                      "\n";
    wire w;
    maas_http *h = begin(&w);
    maas_rng rng;
    maas_rng_seed(&rng, 5);
    for (int round = 0; round < 400; round++) {
        char text[sizeof seed_text];
        memcpy(text, seed_text, sizeof text);
        for (uint64_t k = 1 + maas_rng_below(&rng, 6); k > 0; k--) {
            size_t at = maas_rng_below(&rng, sizeof text - 1),
                   from = maas_rng_below(&rng, sizeof text - 1);
            if (maas_rng_below(&rng, 2))
                text[at] = (char)maas_rng_below(&rng, 256);
            else
                text[at] = text[from];
        }
        wire c;
        wire_open(&c, h);
        struct timeval brief = {.tv_usec = 10000}; /* it may well wait for more of a body */
        setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof brief);
        wire_put(&c, text, sizeof text - 1);
        while (wire_more(&c))
            c.n = 0;
        wire_close(&c);
        EXPECT_MSG(wire_get(&w, "/d/1") == 200, "seed 5, round %d", round);
    }
    end(h, &w);
}

static const mt_case cases[] = {
    MT_CASE(keep_alive_and_pipelining),
    MT_CASE(queries_headers_and_escapes),
    MT_CASE(methods_and_ids),
    MT_CASE(replies_of_every_kind),
    MT_CASE(chunked_bodies),
    MT_CASE(lengths_are_limits),
    MT_CASE(long_heads_are_refused),
    MT_CASE(refused_bodies_are_read_within_bounds),
    MT_CASE(a_failing_stream_is_answered_after_its_body),
    MT_CASE(encoded_bodies_and_bombs),
    MT_CASE(a_warm_request_allocates_nothing),
    MT_CASE(bodies_in_memory_have_a_budget),
    MT_CASE(allocation_failures_cost_one_request),
    MT_CASE(mutated_requests_hurt_nobody),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
