/*
 * cli/chat.c - `maas chat NAME`: a conversation in the terminal. The answer streams; Ctrl-C ends
 * the answer, twice or at the prompt it ends the program. Works on pipes, too: a line, an answer.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "cli/events.h"
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
         .min = -1,
         .max = 2,
         .preset = "-1",
         .arg = "X",
         .help = "0: always the most probable token; -1: as the model's files have it"},
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

/* ---- the answer ---- */

typedef struct talk {
    maas_buf answer;
    maas_err *err;
    bool failed;
} talk;

static bool take_event(void *user, maas_span json)
{
    talk *s = user;
    AUTO(maas_json_unref) json_t *event = NULL;
    maas_err ignored = {0};
    if (maas_json_parse(json, &event, &ignored) != MAAS_OK)
        return true; /* [DONE] */
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
    return !s->failed;
}

/* ---- the conversation ---- */

static void say(json_t *messages, const char *role, const char *text, size_t n)
{
    json_array_append_new(messages,
                          json_pack("{s:s, s:s%}", "role", role, "content", text ? text : "", n));
}

static maas_status ask(maas_cli *cli, json_t *messages, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf body = MAAS_BUF_INIT((size_t)64 << 20);
    talk s = {.answer = MAAS_BUF_INIT(1 << 24), .err = err};
    AUTO(maas_json_unref)
    json_t *request = json_pack("{s:s, s:O, s:b}", "model", cli->args[0], "messages", messages,
                                "stream", 1);
    if (opts.temperature >= 0)
        json_object_set_new(request, "temperature", json_real(opts.temperature));
    if (opts.max_tokens)
        json_object_set_new(request, "max_tokens", json_integer(opts.max_tokens));
    maas_json_dump(request, &body);
    const maas_http_call call = {
        .method = "POST", .path = "/v1/chat/completions", .body = maas_buf_span(&body)};
    maas_err why = {0};
    maas_status st = maas_cli_events(cli, call, take_event, &s, &why);
    printf("\n");
    if (st != MAAS_OK && !maas_interrupted())
        maas_fail(err, st, "%s", why.msg);
    else if (!s.failed)
        say(messages, "assistant", s.answer.p, s.answer.n);
    st = s.failed ? err->code : maas_interrupted() ? MAAS_OK : st;
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
    struct sigaction before;
    AUTO(maas_buf_reset) maas_buf line = MAAS_BUF_INIT(1 << 24);
    maas_status st = MAAS_OK;
    maas_interrupts_begin(&before);
    begin(messages);
    if (terminal)
        fprintf(stderr, "/clear begins anew, /exit ends; Ctrl-C ends an answer\n");
    for (;;) {
        maas_interrupts_forget();
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
    maas_interrupts_end(&before);
    return st;
}
