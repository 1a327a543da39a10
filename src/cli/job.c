/* cli/job.c - `maas jobs list|show|watch|cancel`. */
#include "cli/job.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/print.h"
#include "base/ban.h"

static struct {
    maas_client_opts client;
    char *state;
} list_opts;

static maas_conf list_settings(void)
{
    static const maas_conf_desc rows[] = {
        {.name = "state",
         .type = MAAS_CONF_STR,
         .offset = offsetof(__typeof__(list_opts), state),
         .arg = "STATE",
         .help = "only queued, running, succeeded, failed or cancelled ones"},
        MAAS_CLIENT_ROWS,
    };
    return (maas_conf){rows, MAAS_COUNT(rows), &list_opts};
}

static void print_rows(const json_t *jobs)
{
    maas_text_table t;
    size_t i;
    json_t *j;
    maas_text_table_init(&t, "llllrl");
    for (const char *const *h =
             (const char *const[]){"id", "kind", "model", "state", "progress", "created", NULL};
         *h; h++)
        maas_text_table_cell(&t, "%s", *h);
    json_array_foreach(jobs, i, j)
    {
        maas_text_table_str(&t, j, "id");
        maas_text_table_str(&t, j, "kind");
        maas_text_table_str(&t, json_object_get(j, "spec"), "model");
        maas_text_table_str(&t, j, "state");
        maas_text_table_cell(&t, "%.0f%%", 100 * json_number_value(json_object_get(j, "progress")));
        maas_text_table_str(&t, j, "created_at");
    }
    maas_text_table_print(&t, stdout);
    maas_text_table_reset(&t);
}

static maas_status jobs_list(maas_cli *cli, maas_err *err)
{
    AUTO(maas_json_unref) json_t *tree = NULL;
    AUTO(maas_buf_reset) maas_buf path = MAAS_BUF_INIT(4096);
    maas_buf_str(&path, "/api/v1/jobs");
    if (list_opts.state) {
        maas_buf_str(&path, "?state=");
        maas_url_segment(&path, list_opts.state);
    }
    if (path.failed)
        return maas_fail(err, MAAS_E_INVALID, "--state is too long");
    MAAS_TRY(maas_cli_call(cli, "GET", path.p, NULL, &tree, err));
    if (cli->opts->json)
        maas_cli_print_json(tree);
    else
        print_rows(json_object_get(tree, "jobs"));
    return MAAS_OK;
}

static void print_job(const json_t *j)
{
    static const char *const keys[] = {"state",      "kind",       "waiting_for", "note",
                                       "created_at", "started_at", "ended_at"};
    const json_t *result = json_object_get(j, "result");
    const char *words = json_string_value(json_object_get(json_object_get(j, "error"), "message"));
    const char *key;
    json_t *v;
    maas_text_table t;
    maas_text_table_init(&t, "ll");
    maas_text_table_cell(&t, "id");
    maas_text_table_str(&t, j, "id");
    for (size_t i = 0; i < MAAS_COUNT(keys); i++)
        if (json_is_string(json_object_get(j, keys[i]))) {
            maas_text_table_cell(&t, "%s", keys[i]);
            maas_text_table_str(&t, j, keys[i]);
        }
    maas_text_table_cell(&t, "progress");
    maas_text_table_cell(&t, "%.1f%%", 100 * json_number_value(json_object_get(j, "progress")));
    json_object_foreach(json_object_get(j, "metrics"), key, v)
    {
        char number[32];
        if (!json_is_number(v))
            continue;
        maas_text_table_cell(&t, "%s", key);
        maas_text_table_cell(&t, "%s", maas_human_number(v, number));
    }
    if (json_object_get(result, "version")) {
        maas_text_table_cell(&t, "published");
        maas_text_table_cell(&t, "%s version %lld",
                             json_string_value(json_object_get(result, "model")),
                             (long long)json_integer_value(json_object_get(result, "version")));
    }
    if (words) {
        maas_text_table_cell(&t, "error");
        maas_text_table_cell(&t, "%s", words);
    }
    maas_text_table_print(&t, stdout);
    maas_text_table_reset(&t);
    maas_leaderboard_print(j);
    maas_trials_print(j);
}

static maas_status one_job(maas_cli *cli, const char *method, maas_err *err)
{
    AUTO(maas_json_unref) json_t *job = NULL;
    AUTO(maas_buf_reset) maas_buf path = MAAS_BUF_INIT(4096);
    MAAS_TRY(maas_cli_path(&path, err, "jobs", cli->args[0], NULL));
    MAAS_TRY(maas_cli_call(cli, method, path.p, NULL, &job, err));
    if (cli->opts->json)
        maas_cli_print_json(job);
    else
        print_job(job);
    return MAAS_OK;
}

static maas_status jobs_show(maas_cli *cli, maas_err *err)
{
    return one_job(cli, "GET", err);
}

static maas_status jobs_cancel(maas_cli *cli, maas_err *err)
{
    return one_job(cli, "DELETE", err);
}

static maas_status jobs_watch(maas_cli *cli, maas_err *err)
{
    return maas_job_follow(cli, cli->args[0], err);
}

const maas_command maas_job_commands[] = {
    {.name = "list",
     .usage = "[--state STATE]",
     .summary = "jobs, newest first",
     .act = jobs_list,
     .settings = list_settings},
    {.name = "show",
     .usage = "ID",
     .summary = "state, progress and metrics of a job",
     .act = jobs_show,
     .min_args = 1,
     .max_args = 1},
    {.name = "watch",
     .usage = "ID",
     .summary = "follow a job until it ends",
     .act = jobs_watch,
     .min_args = 1,
     .max_args = 1},
    {.name = "cancel",
     .usage = "ID",
     .summary = "stop a job",
     .act = jobs_cancel,
     .min_args = 1,
     .max_args = 1},
    {.name = NULL},
};
