#include "cli/client.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sys.h"
#include "base/ban.h"

static maas_client_opts plain;

maas_conf maas_client_settings(void)
{
    static const maas_conf_desc rows[] = {MAAS_CLIENT_ROWS};
    return (maas_conf){rows, MAAS_COUNT(rows), &plain};
}

static maas_status read_options(const maas_conf *c, int argc, char **argv, int *n, maas_err *err)
{
    /* Only what all client commands share comes from the environment: MAAS_LR would surprise. */
    maas_conf shared = *c;
    shared.table += c->n - MAAS_N_CLIENT_ROWS;
    shared.n = MAAS_N_CLIENT_ROWS;
    MAAS_TRY(maas_conf_preset(c, err));
    MAAS_TRY(maas_conf_env(&shared, err));
    return maas_conf_args(c, argc, argv, n, err);
}

static int usage_error(const maas_command *family, const maas_command *c, const maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf b = MAAS_BUF_INIT(4096);
    if (err->msg[0])
        maas_buf_printf(&b, "maas: %s\n", err->msg);
    maas_buf_printf(&b, "usage: maas %s%s%s %s\n", family ? family->name : "", family ? " " : "",
                    c->name, c->usage);
    fputs(b.p ? b.p : "", stderr);
    return MAAS_EXIT_USAGE;
}

int maas_cli_act(const maas_command *family, const maas_command *c, int argc, char **argv)
{
    maas_err err = {0};
    maas_conf conf = c->settings ? c->settings() : maas_client_settings();
    maas_cli cli = {.command = c, .args = argv + 1, .opts = conf.at};
    maas_status st = read_options(&conf, argc, argv, &cli.n_args, &err);
    int code;
    if (st == MAAS_OK && (cli.n_args < c->min_args || cli.n_args > c->max_args))
        st = maas_fail(&err, MAAS_E_INVALID, "%s",
                       cli.n_args < c->min_args ? "something is missing" : "too many arguments");
    if (st != MAAS_OK) {
        code = usage_error(family, c, &err);
    } else {
        cli.bars = !cli.opts->json && isatty(2);
        st = maas_http_client_create(cli.opts->url, cli.opts->key, cli.opts->ca, &cli.http, &err);
        if (st == MAAS_OK)
            st = c->act(&cli, &err);
        code = st == MAAS_OK ? cli.exit_code : maas_cli_fail(&err);
        if (st != MAAS_OK && cli.exit_code)
            code = cli.exit_code;
    }
    maas_http_client_destroy(cli.http);
    maas_conf_reset(&conf);
    return code;
}

/* ---- answers ---- */

static const struct {
    int http;
    maas_status status;
    const char *hint;
} by_http[] = {
    {400, MAAS_E_INVALID, ""},
    {401, MAAS_E_UNAUTHENTICATED, " (set MAAS_KEY or --key)"},
    {403, MAAS_E_FORBIDDEN, " (the key lacks that scope)"},
    {404, MAAS_E_NOT_FOUND, ""},
    {409, MAAS_E_CONFLICT, ""},
    {413, MAAS_E_TOO_LARGE, ""},
    {415, MAAS_E_MEDIA, ""},
    {422, MAAS_E_FORMAT, ""},
    {429, MAAS_E_BUSY, " (try again in a moment)"},
    {503, MAAS_E_UNAVAILABLE, " (try again in a moment)"},
    {507, MAAS_E_NO_SPACE, ""},
};

/* {"error":{"code","message"}} of our API, {"error":"words"} of other dialects. */
static maas_status refuse(const maas_http_response *r, maas_err *err)
{
    AUTO(maas_json_unref) json_t *tree = NULL;
    maas_err ignored = {0};
    maas_status st = r->status >= 500 ? MAAS_E_INTERNAL : MAAS_E_INVALID;
    const char *hint = "", *words = NULL;
    for (size_t i = 0; i < MAAS_COUNT(by_http); i++)
        if (by_http[i].http == r->status) {
            st = by_http[i].status;
            hint = by_http[i].hint;
        }
    if (maas_json_parse(maas_buf_span(&r->body), &tree, &ignored) == MAAS_OK) {
        const json_t *e = json_object_get(tree, "error");
        words = json_string_value(json_is_object(e) ? json_object_get(e, "message") : e);
    }
    if (words)
        return maas_fail(err, st, "%s%s", words, hint);
    return maas_fail(err, st, "the server answered %d%s; is that a maas server?", r->status, hint);
}

maas_status maas_cli_send(maas_cli *cli, const maas_http_call *call, maas_http_response *out,
                          maas_err *err)
{
    MAAS_TRY(maas_http_client_run(cli->http, call, out, err));
    return out->status >= 400 ? refuse(out, err) : MAAS_OK;
}

maas_status maas_cli_tree(const maas_http_response *r, json_t **out, maas_err *err)
{
    maas_status st = maas_json_parse(maas_buf_span(&r->body), out, err);
    if (st != MAAS_OK)
        maas_err_prefix(err, "the server's answer");
    return st;
}

maas_status maas_cli_call(maas_cli *cli, const char *method, const char *path, const json_t *body,
                          json_t **out, maas_err *err)
{
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    AUTO(maas_http_response_reset) maas_http_response r = MAAS_HTTP_RESPONSE_INIT;
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(MAAS_MAX_CONTROL_BODY);
    maas_http_call call = {.method = method, .path = path};
    if (body) {
        maas_json_dump(body, &text);
        if (text.failed)
            return maas_fail(err, MAAS_E_TOO_LARGE, "the request is too large");
        call.body = maas_buf_span(&text);
        call.headers = headers;
    }
    MAAS_TRY(maas_cli_send(cli, &call, &r, err));
    if (out)
        *out = NULL;
    return out && r.body.n ? maas_cli_tree(&r, out, err) : MAAS_OK;
}

maas_status maas_cli_path(maas_buf *out, maas_err *err, const char *first, ...)
{
    va_list ap;
    va_start(ap, first);
    maas_buf_str(out, "/api/v1");
    for (const char *s = first; s; s = va_arg(ap, const char *)) {
        maas_buf_char(out, '/');
        maas_url_segment(out, s);
        if (!*s || strcmp(s, ".") == 0 || strcmp(s, "..") == 0)
            out->failed = true; /* would be another path */
    }
    va_end(ap);
    return out->failed ? maas_fail(err, MAAS_E_INVALID, "a name is empty or too long") : MAAS_OK;
}

void maas_cli_print_json(const json_t *j)
{
    AUTO(maas_buf_reset) maas_buf b = MAAS_BUF_INIT(1ull << 32);
    maas_json_dump(j, &b);
    fputs(b.p && !b.failed ? b.p : "null", stdout);
    putchar('\n');
}

maas_status maas_cli_text(const char *arg, maas_buf *out, maas_err *err)
{
    if (arg[0] != '@') {
        maas_buf_str(out, arg);
        return out->failed ? maas_fail(err, MAAS_E_TOO_LARGE, "the text is too long") : MAAS_OK;
    }
    AUTO_FD file = -1;
    bool is_stdin = strcmp(arg, "@-") == 0;
    maas_status st = is_stdin ? MAAS_OK : maas_sys_open(arg + 1, O_RDONLY, &file, err);
    if (st == MAAS_OK)
        st = maas_sys_read_all(is_stdin ? 0 : file, out, err);
    if (st != MAAS_OK)
        maas_err_prefix(err, "%s", arg + 1);
    return st;
}
