/* cli/compress.c - `maas compress`: options become a job of kind compress; and its table of trials.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "cli/job.h"
#include "cli/print.h"
#include "base/ban.h"

#define MAX_STEPS (1u << 20)

static struct {
    maas_job_opts job; /* first: MAAS_JOB_ROWS */
    char *dataset, *target, *steps, *metric, *drop, *size, *latency, *parent, *teacher, *memory;
    char *validation, *fine_tune;
} opts;

#define AT(f) offsetof(__typeof__(opts), f)
#define TEXT(n, f, a, h)                                                                           \
    {                                                                                              \
        .name = n, .type = MAAS_CONF_STR, .offset = AT(f), .arg = a, .help = h                     \
    }
static const maas_conf_desc rows[] = {
    TEXT("dataset", dataset, "NAME[:VERSION]",
         "rows to measure on, and for steps to calibrate and train on"),
    TEXT("target", target, "COLUMN", "the column that the model predicts; target unless said"),
    TEXT("steps", steps, "NAME,...|JSON|@FILE",
         "what is done, in this order: f16, bf16, int8, dynamic_int8, static_int8, smooth_quant, "
         "prune_magnitude, prune_neurons, prune_channels, prune_blocks, distil, low_rank, cluster, "
         "clip; as JSON "
         "with their "
         "parameters"),
    TEXT("size-ratio", size, "X", "instead of --steps: find steps until the file has this share"),
    TEXT("latency-ratio", latency, "X",
         "instead of --steps: find steps until a row takes this share of the time"),
    TEXT("max-metric-drop", drop, "X", "publish only when the metric fell by no more; 0.01"),
    TEXT("metric", metric, "NAME", "the score that may not fall; accuracy or r2 unless said"),
    TEXT("validation", validation, "X",
         "share of the rows that only measures; as the model's training had it"),
    TEXT("fine-tune", fine_tune, "N", "epochs that a search of steps may train after pruning"),
    TEXT("parent", parent, "MODEL[:VERSION]", "what is compressed; else MODEL"),
    TEXT("teacher", teacher, "MODEL[:VERSION]", "what step distil learns from; else the parent"),
    MAAS_JOB_ROWS,
};

maas_conf maas_compress_settings(void)
{
    return (maas_conf){rows, MAAS_COUNT(rows), &opts};
}

/* ---- the request ---- */

static maas_status put_number(json_t *o, const char *key, const char *flag, const char *text,
                              maas_err *err)
{
    double v;
    int64_t whole;
    if (!text)
        return MAAS_OK;
    if (maas_parse_i64(text, &whole))
        json_object_set_new(o, key, json_integer(whole));
    else if (maas_parse_f64(text, &v))
        json_object_set_new(o, key, json_real(v));
    else
        return maas_fail(err, MAAS_E_INVALID, "%s must be a number, not '%.40s'", flag, text);
    return MAAS_OK;
}

/* "int8,clip" or JSON: [{"type":"prune_neurons","ratio":0.5},"int8"]. */
static maas_status read_steps(json_t **out, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(MAX_STEPS);
    if (*opts.steps == '[' || *opts.steps == '@') {
        MAAS_TRY(maas_cli_text(opts.steps, &text, err));
        const maas_status st = maas_json_parse(maas_buf_span(&text), out, err);
        if (st != MAAS_OK)
            maas_err_prefix(err, "--steps");
        return st;
    }
    *out = json_array();
    for (const char *s = opts.steps;;) {
        const size_t n = strcspn(s, ",");
        if (json_array_append_new(*out, json_stringn(s, n)))
            return maas_fail(err, MAAS_E_INVALID, "--steps must be names with commas between");
        if (!s[n])
            return MAAS_OK;
        s += n + 1;
    }
}

static maas_status put_goal(json_t *compress, maas_err *err)
{
    AUTO(maas_json_unref) json_t *steps = NULL, *target = json_object();
    if (opts.steps && (opts.size || opts.latency))
        return maas_fail(err, MAAS_E_INVALID,
                         "--steps says what to do, --size-ratio and --latency-ratio what to reach: "
                         "one of both");
    if (opts.steps) {
        MAAS_TRY(read_steps(&steps, err));
        json_object_set(compress, "steps", steps);
        return MAAS_OK;
    }
    MAAS_TRY(put_number(target, "size_ratio", "--size-ratio", opts.size, err));
    MAAS_TRY(put_number(target, "latency_ratio", "--latency-ratio", opts.latency, err));
    if (!json_object_size(target))
        return maas_fail(err, MAAS_E_INVALID,
                         "--steps is missing, as int8; or say what to reach: --size-ratio 0.25");
    json_object_set(compress, "target", target);
    return MAAS_OK;
}

static maas_status build_request(const char *model, json_t **out, maas_err *err)
{
    AUTO(maas_json_unref) json_t *compress = json_object(), *resources = NULL;
    if (!opts.dataset)
        return maas_fail(err, MAAS_E_INVALID,
                         "--dataset is missing: rows to measure the model on "
                         "(`maas dataset list` shows them)");
    MAAS_TRY(put_goal(compress, err));
    MAAS_TRY(put_number(compress, "max_metric_drop", "--max-metric-drop", opts.drop, err));
    MAAS_TRY(put_number(compress, "validation", "--validation", opts.validation, err));
    MAAS_TRY(put_number(compress, "fine_tune", "--fine-tune", opts.fine_tune, err));
    if (opts.metric)
        json_object_set_new(compress, "metric", json_string(opts.metric));
    if (opts.teacher)
        json_object_set_new(compress, "teacher", json_string(opts.teacher));
    resources = maas_job_resources(&opts.job);
    *out = json_pack("{s:s, s:s, s:s, s:s*, s:s*, s:O, s:O, s:I}", "kind", "compress", "model",
                     model, "dataset", opts.dataset, "target", opts.target, "parent", opts.parent,
                     "compress", compress, "resources", resources, "priority",
                     (json_int_t)opts.job.priority);
    return *out ? MAAS_OK : maas_fail(err, MAAS_E_INVALID, "names must be UTF-8");
}

maas_status maas_cmd_compress(maas_cli *cli, maas_err *err)
{
    AUTO(maas_json_unref) json_t *request = NULL, *job = NULL;
    MAAS_TRY(build_request(cli->args[0], &request, err));
    MAAS_TRY(maas_cli_call(cli, "POST", "/api/v1/jobs", request, &job, err));
    return maas_job_started(cli, job, opts.job.wait, err);
}

/* ---- the table of trials ---- */

static void number_cell(maas_text_table *t, const json_t *trial, const char *key, int digits,
                        bool sign)
{
    char text[40];
    const json_t *v = json_object_get(trial, key);
    if (json_is_number(v))
        snprintf(text, sizeof text, sign ? "%+.*f" : "%.*f", digits, json_number_value(v));
    maas_text_table_cell(t, "%s", json_is_number(v) ? text : "-");
}

static void print_trial(maas_text_table *t, const json_t *trial)
{
    AUTO(maas_buf_reset) maas_buf names = MAAS_BUF_INIT(1u << 20);
    const json_t *bytes = json_object_get(trial, "bytes");
    const char *error = json_string_value(json_object_get(trial, "error"));
    char text[32];
    size_t i;
    json_t *step;
    json_array_foreach(json_object_get(trial, "steps"), i, step)
    {
        const char *name = json_is_string(step) ? json_string_value(step)
                                                : json_string_value(json_object_get(step, "type"));
        maas_buf_printf(&names, "%s%s", i ? " + " : "", name ? name : "?");
    }
    maas_text_table_cell(t, "%s",
                         bytes ? maas_human_bytes((uint64_t)json_integer_value(bytes), text) : "-");
    number_cell(t, trial, "size_ratio", 3, false);
    number_cell(t, trial, "latency_us", 1, false);
    number_cell(t, trial, "latency_ratio", 2, false);
    number_cell(t, trial, "metric", 4, false);
    number_cell(t, trial, "drop", 4, true);
    maas_text_table_cell(t, "%.200s%s%.120s", names.n ? names.p : "the model as it was",
                         error ? "  " : "", error ? error : "");
}

void maas_trials_print(const json_t *job)
{
    static const char *const heads[] = {"size", "ratio", "row_us", "ratio", "", "drop", "steps"};
    const json_t *result = json_object_get(job, "result");
    const json_t *spec = json_object_get(job, "spec");
    const json_t *trials = json_object_get(result, "trials");
    const char *metric = json_string_value(json_object_get(result, "metric"));
    maas_text_table t;
    size_t i;
    json_t *trial;
    if (!json_object_get(spec, "compress") || !json_array_size(trials))
        return;
    maas_text_table_init(&t, "rrrrrrl");
    for (i = 0; i < MAAS_COUNT(heads); i++)
        maas_text_table_cell(&t, "%s", *heads[i] ? heads[i] : metric ? metric : "metric");
    json_array_foreach(trials, i, trial)
    {
        print_trial(&t, trial);
    }
    putchar('\n');
    maas_text_table_print(&t, stdout);
    maas_text_table_reset(&t);
}
