/*
 * cli/cli.h - commands: one row each in commands.c, one file for a family of them.
 *
 * A row either runs by itself (`run`: serve, worker, run, docs...) or is a client of the REST API
 * (`act`): main.c then reads the options, counts the arguments, opens the connection and turns
 * the status into words and an exit code. Help, man page, shell completion and docs/cli.md are
 * loops over the rows.
 *
 * Exit codes: 0 done; 1 failed; 2 wrong usage; 3 not found; 4 invalid input; 5 server not
 * reachable; 6 a job failed or was cancelled; 78 refused to start insecurely; 130 interrupted.
 */
#ifndef MAAS_CLI_CLI_H
#define MAAS_CLI_CLI_H

#include "base/conf.h"

enum {
    MAAS_EXIT_OK = 0,
    MAAS_EXIT_FAILED = 1,
    MAAS_EXIT_USAGE = 2,
    MAAS_EXIT_NOT_FOUND = 3,
    MAAS_EXIT_INVALID = 4,
    MAAS_EXIT_UNREACHABLE = 5,
    MAAS_EXIT_JOB = 6,
    MAAS_EXIT_INSECURE = 78,
    MAAS_EXIT_INTERRUPTED = 130
};

typedef struct maas_cli maas_cli; /* cli/client.h */
typedef struct maas_command maas_command;
struct maas_command {
    const char *name;
    const char *usage;                 /* "NAME FILE [--format F]"          */
    const char *summary;               /* one line of `maas --help`          */
    const char *more;                  /* paragraphs of `maas NAME --help`, examples; may be NULL */
    int (*run)(int argc, char **argv); /* argv[0] is the command; or: */
    maas_status (*act)(maas_cli *cli, maas_err *err); /* a client of the REST API    */
    /* Options for --help, man page and completion; NULL: none. Of an `act` the struct begins with
     * a maas_client_opts and the table ends with MAAS_CLIENT_ROWS. */
    maas_conf (*settings)(void);
    const maas_command *subs;   /* a family: rows up to name NULL; run and act are not used */
    const char *otherwise;      /* which of them runs when none is named; NULL: usage        */
    uint8_t min_args, max_args; /* of an `act` */
    bool compute;               /* starts parallel regions: see set_spin_count in main.c */
};

extern const maas_command maas_commands[]; /* ends with name NULL */
const maas_command *maas_command_find(const maas_command *rows, const char *name); /* NULL */

/* "maas: words" on stderr; the exit code for the status. */
int maas_cli_fail(const maas_err *err);
/* family NULL: a command of the first level. */
void maas_cli_help(const maas_command *family, const maas_command *c, maas_buf *out);
void maas_cli_usage(maas_buf *out);
void maas_docs_compression(maas_buf *out); /* docs_compress.c: docs/compression.md */
/* Runs an `act`: options, arguments, connection, exit code. */
int maas_cli_act(const maas_command *family, const maas_command *c, int argc, char **argv);

int maas_cmd_serve(int argc, char **argv);
int maas_cmd_worker(int argc, char **argv);
int maas_cmd_version(int argc, char **argv);
int maas_cmd_run(int argc, char **argv);
int maas_cmd_docs(int argc, char **argv);
int maas_cmd_completion(int argc, char **argv);
maas_conf maas_serve_settings(void);
maas_conf maas_run_settings(void);

extern const maas_command maas_dataset_commands[], maas_model_commands[], maas_job_commands[],
    maas_key_commands[];
maas_status maas_cmd_train(maas_cli *cli, maas_err *err);
maas_status maas_cmd_compress(maas_cli *cli, maas_err *err);
maas_status maas_cmd_import(maas_cli *cli, maas_err *err);
maas_status maas_cmd_chat(maas_cli *cli, maas_err *err);
maas_status maas_cmd_promote(maas_cli *cli, maas_err *err);
maas_status maas_cmd_predict(maas_cli *cli, maas_err *err);
maas_conf maas_train_settings(void);
maas_conf maas_compress_settings(void);
maas_conf maas_import_settings(void);
maas_conf maas_chat_settings(void);
maas_conf maas_promote_settings(void);
maas_conf maas_predict_settings(void);

#endif
