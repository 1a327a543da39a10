#include "cli/job.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "cli/events.h"
#include "cli/print.h"
#include "base/ban.h"

#define MAX_SILENCE 30 /* seconds without a server before giving up */

typedef struct follow {
    maas_cli *cli;
    maas_bar bar;
    json_t *job;   /* the newest state */
    int64_t epoch; /* that was printed last */
    uint64_t n_events;
    bool ended;
} follow;

static bool has_ended(const json_t *job)
{
    const char *state = json_string_value(json_object_get(job, "state"));
    return state && strcmp(state, "queued") != 0 && strcmp(state, "running") != 0;
}

/* "epoch 3/5  loss 0.5556  accuracy 0.8086 ..." whatever the learner measures; once an epoch. */
static void print_epoch(follow *f, const json_t *metrics)
{
    const char *key;
    json_t *v;
    char number[32];
    const json_t *spec = json_object_get(json_object_get(f->job, "spec"), "params");
    int64_t all = json_integer_value(json_object_get(spec, "epochs"));
    int64_t epoch = json_integer_value(json_object_get(metrics, "epoch"));
    if (epoch <= f->epoch)
        return;
    f->epoch = epoch;
    maas_bar_clear(&f->bar);
    printf("epoch %lld", (long long)epoch);
    if (all)
        printf("/%lld", (long long)all);
    json_object_foreach((json_t *)metrics, key, v)
    {
        if (json_is_number(v) && strcmp(key, "epoch") != 0)
            printf("  %s %s", key, maas_human_number(v, number));
    }
    putchar('\n');
    fflush(stdout);
}

static void show(follow *f)
{
    const json_t *metrics = json_object_get(f->job, "metrics");
    const char *note = json_string_value(json_object_get(f->job, "note"));
    const char *waits = json_string_value(json_object_get(f->job, "waiting_for"));
    size_t i;
    json_t *epoch;
    if (f->cli->opts->json)
        return;
    /* Events are states, not a log: a job that ended tells the epochs that were faster than they.
     */
    json_array_foreach(json_object_get(metrics, "epochs"), i, epoch)
    {
        print_epoch(f, epoch);
    }
    print_epoch(f, metrics);
    maas_bar_draw(&f->bar, json_number_value(json_object_get(f->job, "progress")),
                  note    ? note
                  : waits ? waits
                          : "");
}

static bool take_event(void *user, maas_span data)
{
    follow *f = user;
    maas_err ignored = {0};
    json_t *job = NULL;
    if (maas_json_parse(data, &job, &ignored) != MAAS_OK)
        return true; /* the next event or a look at the job tells what this one did not */
    json_decref(f->job);
    f->job = job;
    f->n_events++;
    show(f);
    f->ended = has_ended(job);
    return !f->ended;
}

/* Reads events until the job ends; a stream that breaks (a server that restarts) is opened again.
 */
static maas_status watch(follow *f, const char *id, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf path = MAAS_BUF_INIT(4096);
    MAAS_TRY(maas_cli_path(&path, err, "jobs", id, "events", NULL));
    const maas_http_call call = {.method = "GET", .path = path.p};
    for (int silent = 0; !f->ended && !maas_interrupted(); silent++) {
        maas_err why = {0};
        const uint64_t before = f->n_events;
        maas_status st = maas_cli_events(f->cli, call, take_event, f, &why);
        if (f->n_events != before)
            silent = 0;
        bool lost = st == MAAS_OK || (f->job && st == MAAS_E_UNAVAILABLE);
        if (!f->ended && !maas_interrupted() && (!lost || silent >= MAX_SILENCE)) {
            *err = why;
            return st != MAAS_OK ? st : maas_fail(err, MAAS_E_UNAVAILABLE, "the events stopped");
        }
        if (!f->ended && !maas_interrupted())
            maas_sleep_ms(1000);
    }
    return MAAS_OK;
}

static void say_detached(const follow *f, const char *id)
{
    fprintf(stderr,
            "\ndetached; the job goes on.\n  follow it:  maas jobs watch %s\n"
            "  stop it:    maas jobs cancel %s\n",
            id, id);
    f->cli->exit_code = MAAS_EXIT_INTERRUPTED;
}

static void say_end(const follow *f)
{
    const char *state = json_string_value(json_object_get(f->job, "state"));
    const json_t *result = json_object_get(f->job, "result"), *e = json_object_get(f->job, "error");
    const char *words = json_string_value(json_object_get(e, "message"));
    bool good = strcmp(state, "succeeded") == 0;
    if (!good)
        f->cli->exit_code = MAAS_EXIT_JOB;
    if (f->cli->opts->json)
        maas_cli_print_json(f->job);
    else if (json_is_object(result))
        maas_trials_print(f->job);
    if (good && !f->cli->opts->json && json_is_object(result)) {
        maas_leaderboard_print(f->job);
        printf("published %s version %lld\n", json_string_value(json_object_get(result, "model")),
               (long long)json_integer_value(json_object_get(result, "version")));
    }
    if (!good)
        fprintf(stderr, "maas: the job %s%s%s\n",
                strcmp(state, "cancelled") == 0 ? "was cancelled" : state, words ? ": " : "",
                words ? words : "");
}

maas_status maas_job_follow(maas_cli *cli, const char *id, maas_err *err)
{
    follow f = {.cli = cli, .bar = {.on = cli->bars, .label = "train"}};
    struct sigaction before;
    maas_interrupts_begin(&before);
    maas_status st = watch(&f, id, err);
    maas_interrupts_end(&before);
    maas_bar_clear(&f.bar);
    if (st == MAAS_OK && f.ended)
        say_end(&f);
    else if (maas_interrupted())
        say_detached(&f, id);
    json_decref(f.job);
    return st;
}

json_t *maas_job_resources(const maas_job_opts *o)
{
    return json_pack("{s:I, s:s*}", "cores", (json_int_t)o->cores, "memory", o->memory);
}

maas_status maas_job_started(maas_cli *cli, const json_t *job, bool wait, maas_err *err)
{
    const char *id = json_string_value(json_object_get(job, "id"));
    if (!id)
        return maas_fail(err, MAAS_E_FORMAT, "the server gave the job no id");
    if (wait) {
        if (!cli->opts->json)
            printf("job %s\n", id);
        fflush(stdout);
        return maas_job_follow(cli, id, err);
    }
    if (cli->opts->json)
        maas_cli_print_json(job);
    else
        printf("%s\n", id);
    return MAAS_OK;
}
