/*
 * cli/chat.c - `maas chat NAME`: a conversation in the terminal. The answer streams; Ctrl-C ends
 * the answer, twice or at the prompt it ends the program. Works on pipes, too: a line, an answer.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "cli/client.h"
#include "base/ban.h"

static struct {
    maas_client_opts client;
    char *system;
    double temperature;
    int64_t max_tokens;
} opts;

#define AT(f) offsetof(__typeof__(opts), f)
maas_conf maas_chat_settings(void)
{
    static const maas_conf_desc rows[] = {
        {.name = "system",
         .type = MAAS_CONF_STR,
         .offset = AT(system),
         .arg = "TEXT",
         .help = "what the model is told first"},
        {.name = "temperature",
         .type = MAAS_CONF_REAL,
         .offset = AT(temperature),
         .min = 0,
         .max = 2,
         .preset = "0.8",
         .arg = "X",
         .help = "0: always the most probable token"},
        {.name = "max-tokens",
         .type = MAAS_CONF_INT,
         .offset = AT(max_tokens),
         .min = 0,
         .max = 1 << 30,
         .preset = "0",
         .arg = "N",
         .help = "of an answer; 0: as many as fit"},
        MAAS_CLIENT_ROWS,
    };
    return (maas_conf){rows, MAAS_COUNT(rows), &opts};
}
#undef AT

static volatile sig_atomic_t interrupted;
static void on_interrupt(int signal)
{
    (void)signal;
    interrupted++;
}

/* ---- the stream: "data: {json}\n\n" ---- */

typedef struct stream {
    maas_buf line, answer;
    maas_err *err;
    bool failed;
} stream;

static void take_event(stream *s, maas_span json)
{
    AUTO(maas_json_unref) json_t *event = NULL;
    maas_err ignored = {0};
    if (maas_json_parse(json, &event, &ignored) != MAAS_OK)
        return; /* [DONE] */
    const json_t *error = json_object_get(event, "error");
    const json_t *choice = json_array_get(json_object_get(event, "choices"), 0);
    const json_t *text = json_object_get(json_object_get(choice, "delta"), "content");
    if (error) {
        const char *words = json_string_value(json_object_get(error, "message"));
        maas_fail(s->err, MAAS_E_UNAVAILABLE, "%s", words ? words : "the answer broke off");
        s->failed = true;
    }
    if (text) {
        fwrite(json_string_value(text), 1, json_string_length(text), stdout);
        fflush(stdout);
        maas_buf_add(&s->answer, json_string_value(text), json_string_length(text));
    }
}

static bool on_piece(void *user, maas_span piece)
{
    stream *s = user;
    for (size_t i = 0; i < piece.n; i++) {
        if (piece.p[i] != '\n') {
            maas_buf_char(&s->line, (char)piece.p[i]);
            continue;
        }
        if (s->line.n > 6 && memcmp(s->line.p, "data: ", 6) == 0)
            take_event(s, maas_span_of(s->line.p + 6, s->line.n - 6));
        maas_buf_clear(&s->line);
    }
    return !interrupted && !s->failed;
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

/* ---- the conversation ---- */

static void say(json_t *messages, const char *role, const char *text, size_t n)
{
    json_array_append_new(messages,
                          json_pack("{s:s, s:s%}", "role", role, "content", text ? text : "", n));
}

static maas_status ask(maas_cli *cli, json_t *messages, maas_err *err)
{
    AUTO(maas_http_response_reset) maas_http_response r = MAAS_HTTP_RESPONSE_INIT;
    AUTO(maas_buf_reset) maas_buf body = MAAS_BUF_INIT((size_t)64 << 20);
    stream s = {.line = MAAS_BUF_INIT(1 << 24), .answer = MAAS_BUF_INIT(1 << 24), .err = err};
    AUTO(maas_json_unref)
    json_t *request = json_pack("{s:s, s:O, s:b, s:f}", "model", cli->args[0], "messages", messages,
                                "stream", 1, "temperature", opts.temperature);
    if (opts.max_tokens)
        json_object_set_new(request, "max_tokens", json_integer(opts.max_tokens));
    maas_json_dump(request, &body);
    const maas_http_call call = {.method = "POST",
                                 .path = "/v1/chat/completions",
                                 .body = maas_buf_span(&body),
                                 .user = &s,
                                 .sink = on_piece,
                                 .progress = on_time};
    maas_err why = {0};
    maas_status st = maas_cli_send(cli, &call, &r, &why);
    printf("\n");
    if (st != MAAS_OK && !interrupted)
        maas_fail(err, st, "%s", why.msg);
    else if (!s.failed)
        say(messages, "assistant", s.answer.p, s.answer.n);
    st = s.failed ? err->code : interrupted ? MAAS_OK : st;
    maas_buf_reset(&s.line);
    maas_buf_reset(&s.answer);
    return st;
}

static void begin(json_t *messages)
{
    json_array_clear(messages);
    if (opts.system)
        say(messages, "system", opts.system, strlen(opts.system));
}

/* False at the end. Of any length; the line break is not part of it. */
static bool read_line(maas_buf *line)
{
    char piece[4096];
    maas_buf_clear(line);
    while (fgets(piece, sizeof piece, stdin)) {
        maas_buf_str(line, piece);
        if (!line->n || line->p[line->n - 1] != '\n')
            continue;
        while (line->n && (line->p[line->n - 1] == '\n' || line->p[line->n - 1] == '\r'))
            line->p[--line->n] = '\0';
        return !line->failed;
    }
    return line->n > 0 && !line->failed;
}

static bool is_word(const char *line, const char *word)
{
    return strcmp(line, word) == 0;
}

maas_status maas_cmd_chat(maas_cli *cli, maas_err *err)
{
    AUTO(maas_json_unref) json_t *messages = json_array();
    const bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    struct sigaction act = {.sa_handler = on_interrupt}; /* no SA_RESTART: it ends reading, too */
    AUTO(maas_buf_reset) maas_buf line = MAAS_BUF_INIT(1 << 24);
    maas_status st = MAAS_OK;
    sigaction(SIGINT, &act, NULL);
    begin(messages);
    if (terminal)
        fprintf(stderr, "/clear begins anew, /exit ends; Ctrl-C ends an answer\n");
    for (;;) {
        interrupted = 0;
        if (terminal)
            fprintf(stderr, "> ");
        if (!read_line(&line))
            break;
        if (is_word(line.p, "/exit") || is_word(line.p, "/quit"))
            break;
        if (is_word(line.p, "/clear"))
            begin(messages);
        else if (line.n) {
            say(messages, "user", line.p, line.n);
            st = ask(cli, messages, err);
        }
        if (st != MAAS_OK)
            break;
    }
    return st;
}
