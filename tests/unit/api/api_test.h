/* tests/unit/api/api_test.h - the whole server in this process, and one request at a time. */
#ifndef MAAS_API_TEST_H
#define MAAS_API_TEST_H

#include <arpa/inet.h>
#include <ftw.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "api/app.h"
#include "base/log.h"
#include "base/mem.h"
#include "maas_test.h"

typedef struct api {
    maas_app app;
    maas_helper *helper;
    char dir[64];
    int fd; /* a connection that is kept alive */
} api;

static inline void api_start(api *a)
{
    maas_err err = {0};
    *a = (api){.dir = "/tmp/maas-api-test-XXXXXX", .fd = -1};
    if (!mkdtemp(a->dir) || maas_helper_start(&a->helper, &err) != MAAS_OK)
        exit(1);
    maas_log_open(2, MAAS_LOG_ERROR);
    maas_conf c = maas_server_settings(&a->app.conf);
    EXPECT_EQ(maas_conf_preset(&c, &err), MAAS_OK);
    maas_free(a->app.conf.listen);
    a->app.conf.listen = maas_strdup("127.0.0.1:0");
    a->app.conf.data = maas_strdup(a->dir);
    if (maas_app_start(&a->app, a->helper, &err) != MAAS_OK) {
        fprintf(stderr, "  cannot start: %s\n", err.msg);
        exit(1);
    }
}

static inline int api_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    return remove(path);
}

static inline void api_stop(api *a)
{
    if (a->fd >= 0)
        close(a->fd);
    maas_app_stop(&a->app);
    maas_helper_stop(a->helper);
    maas_conf c = maas_server_settings(&a->app.conf);
    maas_conf_reset(&c);
    nftw(a->dir, api_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void api_connect(api *a)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(maas_http_port(a->app.http)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    a->fd = socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(connect(a->fd, (struct sockaddr *)&to, sizeof to), 0);
}

/* Sends the bytes of a request, reads one answer into `out` (NUL-ended); its status. */
static inline int api_raw(api *a, const void *p, size_t n, char *out, size_t size)
{
    size_t got = 0, total = 0;
    if (a->fd < 0)
        api_connect(a);
    if (send(a->fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
        return 0;
    out[0] = '\0';
    while (!total || got < total) {
        ssize_t more = got < size - 1 ? read(a->fd, out + got, size - 1 - got) : 0;
        if (more <= 0) {
            close(STEAL_FD(a->fd));
            break;
        }
        got += (size_t)more;
        out[got] = '\0';
        const char *end = strstr(out, "\r\n\r\n"), *length = strcasestr(out, "content-length:");
        if (end && !total)
            total = (size_t)(end + 4 - out) +
                    (length && length < end ? strtoul(length + 15, NULL, 10) : 0);
    }
    if (a->fd >= 0 && strcasestr(out, "connection: close"))
        close(STEAL_FD(a->fd));
    return got > 12 ? atoi(out + 9) : 0;
}

/* headers: whole lines, each ended by CRLF. */
static inline int api_request(api *a, const char *method, const char *path, const char *headers,
                              const char *body, char *out, size_t size)
{
    static char request[1 << 16];
    int n = snprintf(request, sizeof request,
                     "%s %s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %zu\r\n\r\n%s", method,
                     path, headers, strlen(body), body);
    return api_raw(a, request, (size_t)n, out, size);
}

#endif
