/*
 * bench_start - from exec to the first 200 on /readyz, and what an idle server takes.
 *
 *   bench_start PROGRAM DATA_DIR [RUNS]
 *
 * Prints: ready_ms (median and longest of the runs), then of the last server after a second of
 * rest: resident memory, proportional memory of it and its helper, and CPU ticks in three seconds.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/sys.h"
#include "base/ban.h"

#define MAX_RUNS  99
#define REST_MS   1000
#define IDLE_MS   3000
#define TIMEOUT_S 10

static void die(const char *what)
{
    fprintf(stderr, "bench_start: %s\n", what);
    exit(1);
}

/* ---- the server ---- */

typedef struct server {
    pid_t pid;
    int port;
} server;

static int port_of(int fd)
{
    char line[256];
    size_t n = 0;
    while (n < sizeof line - 1 && read(fd, line + n, 1) == 1 && line[n] != '\n')
        n++;
    line[n] = '\0';
    const char *colon = strrchr(line, ':');
    int64_t port = 0;
    if (!colon || !maas_parse_i64(colon + 1, &port))
        die("the server did not say where it listens");
    return (int)port;
}

static bool is_ready(int port)
{
    static const char ask[] =
        "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char answer[16] = "";
    AUTO_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
           send(fd, ask, sizeof ask - 1, MSG_NOSIGNAL) > 0 &&
           recv(fd, answer, 12, MSG_WAITALL) == 12 && memcmp(answer + 9, "200", 3) == 0;
}

static server start(const char *program, const char *dir, double *out_ms)
{
    int out[2];
    if (pipe2(out, O_CLOEXEC) < 0)
        die("pipe");
    const uint64_t t0 = maas_now_ns();
    server s = {.pid = fork()};
    if (s.pid == 0) {
        dup2(out[1], 1);
        execl(program, program, "serve", "--listen", "127.0.0.1:0", "--data", dir, "--log-level",
              "error", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    s.port = port_of(out[0]);
    while (!is_ready(s.port))
        if (maas_now_ns() - t0 > TIMEOUT_S * 1000000000ull)
            die("the server is not ready");
    *out_ms = (double)(maas_now_ns() - t0) * 1e-6;
    close(out[0]);
    return s;
}

static void stop(server s)
{
    kill(s.pid, SIGTERM);
    waitpid(s.pid, NULL, 0);
}

/* ---- what it takes ---- */

static bool read_proc(long pid, const char *file, maas_buf *out)
{
    char path[64];
    AUTO_FD fd = -1;
    snprintf(path, sizeof path, "/proc/%ld/%s", pid, file);
    maas_buf_clear(out);
    return maas_sys_open(path, O_RDONLY, &fd, NULL) == MAAS_OK &&
           maas_sys_read_all(fd, out, NULL) == MAAS_OK && out->n > 0;
}

static int64_t number_after(const maas_buf *text, const char *key)
{
    const char *at = strstr(text->p, key);
    return at ? strtoll(at + strlen(key), NULL, 10) : 0;
}

/* Fields of /proc/PID/stat count from 3 behind the name, which may hold anything but ends in ')'.
 */
static int64_t stat_field(const maas_buf *text, int field)
{
    const char *at = strrchr(text->p, ')');
    for (int i = 2; at && i < field; i++)
        at = strchr(at + 1, ' ');
    return at ? strtoll(at + 1, NULL, 10) : 0;
}

typedef struct taken {
    int64_t pss_kib, ticks;
} taken;

/* The server and its children: the helper that forks workers is one of them. */
static taken of_family(pid_t pid)
{
    taken t = {0};
    maas_buf text = MAAS_BUF_INIT(1 << 20);
    DIR *dir = opendir("/proc");
    for (struct dirent *d; dir && (d = readdir(dir));) {
        const long p = strtol(d->d_name, NULL, 10);
        if (p <= 0 || !read_proc(p, "stat", &text) || (p != pid && stat_field(&text, 4) != pid))
            continue;
        t.ticks += stat_field(&text, 14) + stat_field(&text, 15);
        if (read_proc(p, "smaps_rollup", &text))
            t.pss_kib += number_after(&text, "\nPss:");
    }
    closedir(dir);
    maas_buf_reset(&text);
    return t;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    int64_t n_runs = 9;
    double ms[MAX_RUNS];
    server s = {0};
    if (argc < 3 || (argc > 3 && !maas_parse_i64(argv[3], &n_runs)) || n_runs < 1 ||
        n_runs > MAX_RUNS) {
        fputs("usage: bench_start PROGRAM DATA_DIR [RUNS]\n", stderr);
        return 2;
    }
    for (int64_t i = 0; i < n_runs; i++) {
        s = start(argv[1], argv[2], &ms[i]);
        if (i + 1 < n_runs)
            stop(s);
    }
    qsort(ms, (size_t)n_runs, sizeof *ms, by_value);
    maas_sleep_ms(REST_MS);
    maas_buf text = MAAS_BUF_INIT(1 << 20);
    read_proc(s.pid, "status", &text);
    const taken before = of_family(s.pid);
    maas_sleep_ms(IDLE_MS);
    const taken after = of_family(s.pid);
    printf("ready_ms %.1f longest_ms %.1f rss_mib %.2f pss_mib %.2f idle_ticks %lld\n",
           ms[n_runs / 2], ms[n_runs - 1], (double)number_after(&text, "VmRSS:") / 1024,
           (double)after.pss_kib / 1024, (long long)(after.ticks - before.ticks));
    maas_buf_reset(&text);
    stop(s);
    return 0;
}
