/* cli/job.h - following a job to its end. */
#ifndef MAAS_CLI_JOB_H
#define MAAS_CLI_JOB_H

#include "cli/client.h"

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
