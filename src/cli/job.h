/* cli/job.h - following a job to its end. */
#ifndef MAAS_CLI_JOB_H
#define MAAS_CLI_JOB_H

#include "cli/client.h"

/* The last rows of a table whose options make a job; `opts` begins with a maas_job_opts. */
typedef struct maas_job_opts {
    maas_client_opts client; /* first: MAAS_CLIENT_ROWS */
    char *memory;
    int64_t cores, priority;
    bool wait;
} maas_job_opts;

#define MAAS_JOB_ROWS                                                                              \
    {.name = "cores",                                                                              \
     .type = MAAS_CONF_INT,                                                                        \
     .offset = offsetof(maas_job_opts, cores),                                                     \
     .min = 0,                                                                                     \
     .max = 4096,                                                                                  \
     .preset = "0",                                                                                \
     .arg = "N",                                                                                   \
     .help = "for the job; 0: all, at low priority"},                                              \
        {.name = "memory",                                                                         \
         .type = MAAS_CONF_STR,                                                                    \
         .offset = offsetof(maas_job_opts, memory),                                                \
         .arg = "BYTES",                                                                           \
         .help = "for the job, as 2GiB"},                                                          \
        {.name = "priority",                                                                       \
         .type = MAAS_CONF_INT,                                                                    \
         .offset = offsetof(maas_job_opts, priority),                                              \
         .min = -1000,                                                                             \
         .max = 1000,                                                                              \
         .preset = "0",                                                                            \
         .arg = "N",                                                                               \
         .help = "jobs of a higher one start first"},                                              \
        {.name = "wait",                                                                           \
         .type = MAAS_CONF_BOOL,                                                                   \
         .offset = offsetof(maas_job_opts, wait),                                                  \
         .preset = "true",                                                                         \
         .help = "follow the job to its end; --no-wait prints its id"},                            \
        MAAS_CLIENT_ROWS

/* What the options ask for: the member "resources" of a request; NULL: no memory. */
json_t *maas_job_resources(const maas_job_opts *o);

/*
 * Shows progress and metrics until the job ends: a bar when stderr is a terminal, a line an epoch
 * on standard output unless --json, which prints the job when it has ended. Ctrl-C leaves the job
 * running and says how to go on. Sets cli->exit_code when the job failed or was cancelled.
 */
maas_status maas_job_follow(maas_cli *cli, const char *id, maas_err *err);

/* A job that was just made, as POST answered: followed to its end, or its id printed. */
maas_status maas_job_started(maas_cli *cli, const json_t *job, bool wait, maas_err *err);

/* What a compression tried; nothing for other jobs. */
void maas_trials_print(const json_t *job);

/* The candidates of a search, best first; nothing for other jobs. `job` as GET shows it. */
void maas_leaderboard_print(const json_t *job);

#endif
