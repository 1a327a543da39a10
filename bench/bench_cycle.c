/*
 * bench_cycle - loads and unloads a model again and again; does the server's memory grow?
 *
 *   bench_cycle PORT PID MODEL [CYCLES]
 *
 * The first fifth warms up. Prints the slope of a straight line through resident memory over the
 * rest (bytes a cycle), memory at both ends, and the time of a cycle.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/sys.h"
#include "base/ban.h"

static void die(const char *what)
{
    fprintf(stderr, "bench_cycle: %s\n", what);
    exit(1);
}

static int connect_to(int64_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        die("cannot connect");
    return fd;
}

static void post(int fd, const char *model, const char *what)
{
    char text[4096];
    int n = snprintf(text, sizeof text,
                     "POST /v2/repository/models/%s/%s HTTP/1.1\r\nHost: localhost\r\n"
                     "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
                     model, what);
    if (send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
        die("the connection was lost");
    size_t got = 0, all = SIZE_MAX;
    while (got < all) {
        ssize_t more = recv(fd, text + got, sizeof text - 1 - got, 0);
        if (more <= 0)
            die("the connection was lost");
        text[got += (size_t)more] = '\0';
        const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "content-length:");
        if (end && length)
            all = (size_t)(end + 4 - text) + strtoul(length + 15, NULL, 10);
    }
    if (memcmp(text + 9, "200", 3) != 0)
        die(text);
}

static double rss_bytes(int64_t pid)
{
    char path[64], text[256] = "";
    AUTO_FD fd = -1;
    size_t n = 0;
    maas_err err = {0};
    snprintf(path, sizeof path, "/proc/%lld/statm", (long long)pid);
    if (maas_sys_open(path, O_RDONLY, &fd, &err) != MAAS_OK ||
        maas_sys_read(fd, text, sizeof text - 1, &n, &err) != MAAS_OK)
        die(err.msg);
    const char *second = strchr(text, ' ');
    return second ? strtod(second, NULL) * (double)sysconf(_SC_PAGESIZE) : 0;
}

int main(int argc, char **argv)
{
    int64_t port = 0, pid = 0, cycles = 2000;
    if (argc < 4 || !maas_parse_i64(argv[1], &port) || !maas_parse_i64(argv[2], &pid) ||
        (argc > 4 && !maas_parse_i64(argv[4], &cycles)) || cycles < 10) {
        fputs("usage: bench_cycle PORT PID MODEL [CYCLES]\n", stderr);
        return 2;
    }
    const int fd = connect_to(port);
    double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0, first = 0, last = 0;
    const uint64_t t0 = maas_now_ns();
    for (int64_t i = 0; i < cycles; i++) {
        post(fd, argv[3], "unload");
        post(fd, argv[3], "load");
        if (i < cycles / 5)
            continue;
        last = rss_bytes(pid);
        first = n > 0 ? first : last;
        n++;
        sx += (double)i;
        sy += last;
        sxx += (double)i * (double)i;
        sxy += (double)i * last;
    }
    printf("bytes_per_cycle %.1f first_mib %.2f last_mib %.2f cycle_us %.0f\n",
           (n * sxy - sx * sy) / (n * sxx - sx * sx), first / (1 << 20), last / (1 << 20),
           (double)(maas_now_ns() - t0) / 1e3 / (double)cycles);
    close(fd);
    return 0;
}
