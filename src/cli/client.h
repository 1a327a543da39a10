/*
 * cli/client.h - what a client command works with: options, arguments, the connection.
 *
 * An answer of 400 or more becomes a status and the server's own words. With --json a command
 * prints one JSON document (the server's answer) and nothing else on standard output.
 */
#ifndef MAAS_CLI_CLIENT_H
#define MAAS_CLI_CLIENT_H

#include "base/json.h"
#include "cli/cli.h"
#include "cli/http_client.h"

typedef struct maas_client_opts {
    char *url, *key, *ca;
    bool json;
} maas_client_opts;

/* The last rows of every client table; `type` begins with a maas_client_opts. */
#define MAAS_N_CLIENT_ROWS 4
#define MAAS_CLIENT_ROWS                                                                           \
    {.name = "url",                                                                                \
     .type = MAAS_CONF_STR,                                                                        \
     .offset = offsetof(maas_client_opts, url),                                                    \
     .preset = "http://127.0.0.1:8000",                                                            \
     .arg = "URL",                                                                                 \
     .help = "where the server is; also MAAS_URL"},                                                \
        {.name = "key",                                                                            \
         .type = MAAS_CONF_STR,                                                                    \
         .offset = offsetof(maas_client_opts, key),                                                \
         .arg = "KEY",                                                                             \
         .help = "API key; better in MAAS_KEY, which other users do not see"},                     \
        {.name = "ca",                                                                             \
         .type = MAAS_CONF_STR,                                                                    \
         .offset = offsetof(maas_client_opts, ca),                                                 \
         .arg = "FILE",                                                                            \
         .help = "certificate that the server's one is signed by; also MAAS_CA"},                  \
    {                                                                                              \
        .name = "json", .type = MAAS_CONF_BOOL, .offset = offsetof(maas_client_opts, json),        \
        .help = "print the server's answer as JSON"                                                \
    }

struct maas_cli {
    const maas_command *command;
    char **args; /* what is no option */
    int n_args;
    const maas_client_opts *opts;
    maas_http_client *http;
    bool bars;     /* progress bars: stderr is a terminal, and no --json */
    int exit_code; /* asked for by the command; 0: what the status says */
};

/* The table of commands that have no options of their own. */
maas_conf maas_client_settings(void);

/* A small JSON request. body NULL: none. out NULL: the answer is dropped. The answer may be empty
 * (204): *out is then NULL. */
maas_status maas_cli_call(maas_cli *cli, const char *method, const char *path, const json_t *body,
                          json_t **out, maas_err *err);
/* Any request; E_... with the server's words for a status of 400 or more. */
maas_status maas_cli_send(maas_cli *cli, const maas_http_call *call, maas_http_response *out,
                          maas_err *err);
/* "/api/v1/" then segments separated by '/': a NULL-ended list, each encoded. */
maas_status maas_cli_path(maas_buf *out, maas_err *err, const char *first, ...);
/* Parses an answer; E_FORMAT when it is no JSON. */
maas_status maas_cli_tree(const maas_http_response *r, json_t **out, maas_err *err);
/* One line of JSON on standard output. */
void maas_cli_print_json(const json_t *j);
/* Reads text that is given as it is, as @FILE, or as @- (standard input). */
maas_status maas_cli_text(const char *arg, maas_buf *out, maas_err *err);

#endif
