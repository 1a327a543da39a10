#include "cli/events.h"

#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

#define MAX_EVENT (16u << 20)

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

void maas_interrupts_begin(struct sigaction *before)
{
    const struct sigaction mine = {.sa_handler = on_interrupt}; /* no SA_RESTART */
    interrupted = 0;
    sigaction(SIGINT, &mine, before);
}

void maas_interrupts_end(const struct sigaction *before)
{
    sigaction(SIGINT, before, NULL);
}

bool maas_interrupted(void)
{
    return interrupted;
}

void maas_interrupts_forget(void)
{
    interrupted = 0;
}

typedef struct stream {
    maas_buf line; /* not complete yet */
    maas_event_fn take;
    void *user;
} stream;

/* A line too long for us is dropped. */
static bool take_line(const stream *s)
{
    static const char prefix[] = "data:";
    maas_span line = maas_buf_span(&s->line);
    if (s->line.failed || line.n < sizeof prefix - 1 ||
        memcmp(line.p, prefix, sizeof prefix - 1) != 0)
        return true;
    maas_span_skip(&line, sizeof prefix - 1);
    return s->take(s->user, line);
}

static bool on_piece(void *user, maas_span piece)
{
    stream *s = user;
    while (piece.n && !interrupted) {
        const uint8_t *end = memchr(piece.p, '\n', piece.n);
        const size_t n = end ? (size_t)(end - piece.p) : piece.n;
        maas_buf_add(&s->line, piece.p, n);
        maas_span_skip(&piece, n + (end != NULL));
        if (!end)
            break;
        const bool more = take_line(s);
        maas_buf_clear(&s->line);
        if (!more)
            return false;
    }
    return !interrupted;
}

static bool on_time(void *user, uint64_t sent, uint64_t to_send, uint64_t got, uint64_t to_get)
{
    (void)user;
    (void)sent;
    (void)to_send;
    (void)got;
    (void)to_get;
    return !interrupted;
}

maas_status maas_cli_events(maas_cli *cli, maas_http_call call, maas_event_fn take, void *user,
                            maas_err *err)
{
    AUTO(maas_http_response_reset) maas_http_response r = MAAS_HTTP_RESPONSE_INIT;
    stream s = {.line = MAAS_BUF_INIT(MAX_EVENT), .take = take, .user = user};
    call.user = &s;
    call.sink = on_piece;
    call.progress = on_time;
    const maas_status st = maas_cli_send(cli, &call, &r, err);
    maas_buf_reset(&s.line);
    return st;
}
