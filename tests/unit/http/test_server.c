/* The server as a whole: addresses, limits, slow clients, many clients, TLS, start and stop. */
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/resource.h>

#include "http_test.h"

static _Atomic int n_threads_named;

static void hello(maas_req *r)
{
    maas_req_reply(r, 200, "text/plain", "hello", 5, true);
}

static void echo(maas_req *r)
{
    maas_span b = maas_req_body(r);
    maas_req_reply(r, 200, "text/plain", b.p, b.n, true);
}

static const maas_route routes[] = {
    {ROW("GET", "/", hello)},
    {ROW("POST", "/echo", echo), .body = MAAS_BODY_BUFFER, .max_body = 1 << 20},
    {0},
};

static void thread_start(void *user)
{
    atomic_fetch_add(&n_threads_named, 1);
}

static void addresses(void)
{
    static const struct {
        const char *listen, *prefix;
        maas_status st;
    } rows[] = {
        {"127.0.0.1:0", "127.0.0.1:", MAAS_OK},
        {"localhost:0", "127.0.0.1:", MAAS_OK},
        {"[::1]:0", "[::1]:", MAAS_OK},
        {"127.0.0.1", "", MAAS_E_INVALID},
        {":0", "", MAAS_E_INVALID},
        {"[::1:0", "", MAAS_E_INVALID},
        {"[]:0", "", MAAS_E_INVALID},
        {"example.org:80", "", MAAS_E_INVALID},
        {"127.0.0.1:65536", "", MAAS_E_INVALID},
        {"127.0.0.1:-1", "", MAAS_E_INVALID},
        {"127.0.0.1:x", "", MAAS_E_INVALID},
        {"127.0.0.1:", "", MAAS_E_INVALID},
        {"", "", MAAS_E_INVALID},
    };
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        maas_http_opts o = test_opts(routes);
        o.listen = rows[i].listen;
        maas_http *h = NULL;
        maas_err err = {0};
        maas_status st = maas_http_start(&o, &h, &err);
        if (strchr(rows[i].prefix, '[') && st == MAAS_E_IO)
            continue; /* a machine without IPv6 */
        EXPECT_MSG(st == rows[i].st, "'%s': %d %s", rows[i].listen, st, err.msg);
        if (!h)
            continue;
        EXPECT(strncmp(maas_http_address(h), rows[i].prefix, strlen(rows[i].prefix)) == 0);
        EXPECT(maas_http_port(h) != 0);
        maas_http_stop(h, 100);
    }
    EXPECT_EQ(maas_mem_live(), 0);
}

static void a_taken_port_and_bad_options_are_refused(void)
{
    maas_http_opts o = test_opts(routes);
    maas_http *h = test_start(&o), *second = NULL;
    maas_err err = {0};
    o.listen = maas_http_address(h);
    EXPECT_EQ(maas_http_start(&o, &second, &err), MAAS_E_CONFLICT);
    o.listen = "127.0.0.1:0";
    o.n_threads = 1;
    EXPECT_EQ(maas_http_start(&o, &second, NULL), MAAS_E_INVALID);
    o.n_threads = 2;
    o.tls_cert = "x";
    EXPECT_EQ(maas_http_start(&o, &second, NULL), MAAS_E_INVALID);
    o.tls_cert = o.tls_key = "/dev/null";
    EXPECT(maas_http_start(&o, &second, NULL) != MAAS_OK);
    EXPECT(!second);
    maas_http_stop(h, 100);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void starting_survives_every_allocation_failure(void)
{
    for (long n = 1; n < 100; n++) {
        maas_http_opts o = test_opts(routes);
        maas_http *h = NULL;
        maas_mem_fail_at(n);
        maas_status st = maas_http_start(&o, &h, NULL);
        maas_mem_fail_at(0);
        maas_http_stop(h, 100);
        EXPECT_EQ(maas_mem_live(), 0);
        if (st == MAAS_OK) {
            EXPECT(n > 1);
            return;
        }
        EXPECT(!h);
    }
    EXPECT(!"never started");
}

static void a_thousand_connections(void)
{
    enum { N = 1000 };
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    maas_http_opts o = test_opts(routes);
    o.thread_start = thread_start;
    maas_http *h = test_start(&o);
    static wire w;
    int *fds = malloc(N * sizeof *fds);
    for (int i = 0; i < N; i++) {
        wire_open(&w, h);
        fds[i] = w.fd;
    }
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < N; i++) {
            w.fd = fds[i];
            EXPECT_EQ(wire_get(&w, "/"), 200);
        }
    EXPECT_EQ(maas_http_connections(h), N);
    EXPECT_EQ(atomic_load(&n_threads_named), 2);
    for (int i = 0; i < N; i++)
        close(fds[i]);
    free(fds);
    EXPECT(WAIT_UNTIL(maas_http_connections(h) == 0));
    maas_http_stop(h, 100);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void one_address_has_a_limit(void)
{
    maas_http_opts o = test_opts(routes);
    o.max_per_ip = 3;
    maas_http *h = test_start(&o);
    static wire w[4];
    for (int i = 0; i < 3; i++) {
        wire_open(&w[i], h);
        EXPECT_EQ(wire_get(&w[i], "/"), 200);
    }
    wire_open(&w[3], h);
    EXPECT_EQ(wire_get(&w[3], "/"), 0);
    wire_close(&w[3]);
    wire_close(&w[0]);
    EXPECT(WAIT_UNTIL(maas_http_connections(h) == 2));
    wire_open(&w[0], h);
    EXPECT_EQ(wire_get(&w[0], "/"), 200);
    for (int i = 0; i < 3; i++)
        wire_close(&w[i]);
    maas_http_stop(h, 100);
}

/* A head that comes byte by byte restarts libmicrohttpd's timeout each time; ours ends it. */
static void dribbling_and_idle_clients_are_closed(void)
{
    maas_http_opts o = test_opts(routes);
    o.head_timeout_s = 1;
    o.idle_timeout_s = 2;
    maas_http *h = test_start(&o);
    static wire idle, slow, good;
    wire_open(&idle, h);
    wire_open(&slow, h);
    wire_open(&good, h);
    EXPECT_EQ(wire_get(&idle, "/"), 200);
    EXPECT(wire_say(&slow, "GET / HTTP/1.1\r\nHost: x\r\nX: "));
    uint64_t start = maas_now_ns();
    while (maas_now_ns() - start < 15000000000u && wire_say(&slow, "y"))
        maas_sleep_ms(100);
    EXPECT(maas_now_ns() - start < 10000000000u);
    EXPECT_EQ(wire_read(&slow, false), 0);
    EXPECT_EQ(wire_read(&idle, false), 0);
    wire_close(&good);
    wire_open(&good, h);
    EXPECT_EQ(wire_get(&good, "/"), 200);
    wire_close(&idle);
    wire_close(&slow);
    wire_close(&good);
    maas_http_stop(h, 100);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void a_body_that_dribbles_is_cut(void)
{
    maas_http_opts o = test_opts(routes);
    maas_http *h = test_start(&o);
    static wire w;
    wire_open(&w, h);
    EXPECT(wire_say(&w, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"));
    uint64_t start = maas_now_ns();
    while (maas_now_ns() - start < 20000000000u && wire_say(&w, "y"))
        maas_sleep_ms(100);
    uint64_t took = maas_now_ns() - start;
    EXPECT(took > 4000000000u && took < 15000000000u);
    wire_close(&w);
    maas_http_stop(h, 100);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void quiescing_says_so(void)
{
    maas_http_opts o = test_opts(routes);
    maas_http *h = test_start(&o);
    static wire w, half;
    wire_open(&w, h);
    wire_open(&half, h);
    EXPECT_EQ(wire_get(&w, "/"), 200);
    EXPECT(!wire_header(&w, "connection"));
    EXPECT(wire_say(&half, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe"));
    EXPECT(WAIT_UNTIL(maas_http_in_flight(h) == 1));
    maas_http_quiesce(h);
    EXPECT_EQ(wire_get(&w, "/"), 200);
    EXPECT_STR(wire_header(&w, "connection"), "close");
    EXPECT_EQ(wire_read(&w, false), 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(maas_http_port(h)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT(connect(fd, (struct sockaddr *)&a, sizeof a) < 0);
    close(fd);
    EXPECT(wire_say(&half, "llo")); /* what had begun is finished */
    EXPECT_EQ(wire_read(&half, false), 200);
    wire_close(&half);
    wire_close(&w);
    maas_http_stop(h, 1000);
    EXPECT_EQ(maas_mem_live(), 0);
}

/* ---- TLS ---- */

static void write_pem(const char *path, EVP_PKEY *key, X509 *cert)
{
    FILE *f = fopen(path, "w");
    if (cert)
        PEM_write_X509(f, cert);
    else
        PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
}

static void make_certificate(const char *cert_path, const char *key_path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME *name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1,
                               0);
    X509_set_issuer_name(cert, name);
    X509_sign(cert, key, EVP_sha256());
    write_pem(cert_path, NULL, cert);
    write_pem(key_path, key, NULL);
    X509_free(cert);
    EVP_PKEY_free(key);
}

/* Status of one request over TLS of at most `max_version`; 0: no handshake. */
static int tls_get(const maas_http *h, int max_version)
{
    static wire w;
    wire_open(&w, h);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(ctx, 0);
    SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(ctx, max_version);
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, w.fd);
    char text[1024] = "";
    static const char ask[] = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    int n = 0, got = 0;
    if (SSL_connect(ssl) == 1 && SSL_write(ssl, ask, sizeof ask - 1) > 0)
        while ((got = SSL_read(ssl, text + n, (int)sizeof text - 1 - n)) > 0)
            n += got;
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    wire_close(&w);
    return n > 12 ? (int)strtol(text + 9, NULL, 10) : 0;
}

static void tls_from_12_up(void)
{
    char dir[] = "/tmp/maas-http-XXXXXX", cert[64], key[64], other[64];
    EXPECT(mkdtemp(dir) != NULL);
    snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    snprintf(key, sizeof key, "%s/key.pem", dir);
    snprintf(other, sizeof other, "%s/other.pem", dir);
    make_certificate(cert, other);
    maas_http_opts o = test_opts(routes);
    o.tls_cert = cert;
    o.tls_key = key;
    maas_http *h = NULL;
    EXPECT_EQ(maas_http_start(&o, &h, NULL), MAAS_E_NOT_FOUND);
    make_certificate(cert, key);
    h = test_start(&o);
    EXPECT_EQ(tls_get(h, TLS1_3_VERSION), 200);
    EXPECT_EQ(tls_get(h, TLS1_2_VERSION), 200);
    EXPECT_EQ(tls_get(h, TLS1_1_VERSION), 0);
    static wire w; /* plain text at a TLS port */
    wire_open(&w, h);
    EXPECT_EQ(wire_get(&w, "/"), 0);
    wire_close(&w);
    EXPECT_EQ(tls_get(h, TLS1_3_VERSION), 200);
    maas_http_stop(h, 500);
    EXPECT_EQ(maas_mem_live(), 0);
    unlink(cert);
    unlink(key);
    unlink(other);
    rmdir(dir);
}

static const mt_case cases[] = {
    MT_CASE(addresses),
    MT_CASE(a_taken_port_and_bad_options_are_refused),
    MT_CASE(starting_survives_every_allocation_failure),
    MT_CASE(a_thousand_connections),
    MT_CASE(one_address_has_a_limit),
    MT_CASE(dribbling_and_idle_clients_are_closed),
    MT_CASE(a_body_that_dribbles_is_cut),
    MT_CASE(quiescing_says_so),
    MT_CASE(tls_from_12_up),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
