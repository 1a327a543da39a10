/* cli/leaderboard.c - the candidates of a search as a table, best first. */
#include <stdio.h>

#include "base/mem.h"
#include "cli/job.h"
#include "cli/print.h"
#include "base/ban.h"

enum { SHOWN = 20 };

/* While it runs the board is in the metrics; then all trials are in the result. */
static const json_t *board_of(const json_t *job)
{
    const json_t *trials = json_object_get(json_object_get(job, "result"), "trials");
    return trials ? trials : json_object_get(json_object_get(job, "metrics"), "leaderboard");
}

static void number_cell(maas_text_table *t, const json_t *trial, const char *key)
{
    char text[32];
    const json_t *v = json_object_get(trial, key);
    maas_text_table_cell(t, "%s", json_is_number(v) ? maas_human_number(v, text) : "-");
}

static void print_trial(maas_text_table *t, const json_t *trial)
{
    AUTO(maas_buf_reset) maas_buf params = MAAS_BUF_INIT(1u << 20);
    const char *error = json_string_value(json_object_get(trial, "error"));
    maas_json_dump(json_object_get(trial, "params"), &params);
    number_cell(t, trial, "rank_test_score");
    number_cell(t, trial, "mean_test_score");
    number_cell(t, trial, "std_test_score");
    number_cell(t, trial, "mean_fit_time");
    maas_text_table_str(t, trial, "learner");
    maas_text_table_cell(t, "%.100s%s%.100s", params.p ? params.p : "{}", error ? "  " : "",
                         error ? error : "");
}

void maas_leaderboard_print(const json_t *job)
{
    static const char *const heads[] = {"rank", "mean_score", "std", "fit_s", "learner", "params"};
    const json_t *board = board_of(job);
    const size_t n = json_array_size(board);
    maas_text_table t;
    if (!n || json_object_get(json_object_get(job, "spec"), "compress"))
        return; /* another table: maas_trials_print */
    maas_text_table_init(&t, "rrrrll");
    for (size_t i = 0; i < MAAS_COUNT(heads); i++)
        maas_text_table_cell(&t, "%s", heads[i]);
    for (size_t i = 0; i < n && i < SHOWN; i++)
        print_trial(&t, json_array_get(board, i));
    putchar('\n');
    maas_text_table_print(&t, stdout);
    maas_text_table_reset(&t);
    if (n > SHOWN)
        printf("... and %zu more (--json shows all)\n", n - SHOWN);
}
