/* cli/docs_compress.c - docs/compression.md: the steps of a compression and what each takes, from
 * the table that the worker runs. */
#include "base/mem.h"
#include "cli/cli.h"
#include "learn/compress/compress.h"
#include "base/ban.h"

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

/* Default and range of a parameter, as far as it has them. */
static void put_range(const json_t *p, maas_buf *b)
{
    const json_t *preset = json_object_get(p, "default"), *lo = json_object_get(p, "min");
    size_t i;
    json_t *v;
    maas_buf_str(b, " | ");
    if (json_is_number(preset))
        maas_buf_printf(b, "`%g`", json_number_value(preset));
    else if (preset)
        maas_buf_printf(b, "`%s`",
                        json_is_string(preset) ? json_string_value(preset)
                        : json_is_true(preset) ? "true"
                                               : "false");
    maas_buf_str(b, " | ");
    if (lo)
        maas_buf_printf(b, "%g .. %g", json_number_value(lo),
                        json_number_value(json_object_get(p, "max")));
    json_array_foreach(json_object_get(p, "choices"), i, v)
    {
        maas_buf_printf(b, "%s`%s`", i ? ", " : "", json_string_value(v));
    }
    maas_buf_printf(b, " | %s |\n", text_of(p, "help"));
}

static void put_params(const json_t *list, maas_buf *b)
{
    size_t i;
    json_t *p;
    maas_buf_str(b, "\n| parameter | default | values | what |\n|---|---|---|---|\n");
    json_array_foreach(list, i, p)
    {
        maas_buf_printf(b, "| `%s`", text_of(p, "name"));
        put_range(p, b);
    }
}

static const char head[] =
    "# Compression\n\nGenerated from the tables of the program (`maas docs`).\n\n"
    "A job of kind `compress` makes a smaller or faster version of one that is there, measures "
    "it,\n"
    "and publishes it only when no more was lost than allowed.\n\n"
    "```sh\nmaas compress digits --dataset digits --steps int8 --max-metric-drop 0.005\n"
    "maas compress digits --dataset digits --size-ratio 0.25\n```\n\n"
    "Over REST it is a job like any other (`POST /api/v1/jobs`):\n\n"
    "```json\n{\"kind\": \"compress\", \"model\": \"digits\", \"parent\": \"digits:3\",\n"
    " \"dataset\": \"digits\", \"target\": \"target\",\n"
    " \"compress\": {\"steps\": [{\"type\": \"prune_neurons\", \"ratio\": 0.25, \"fine_tune\": "
    "2},\n"
    "                        \"static_int8\"],\n"
    "              \"max_metric_drop\": 0.005}}\n```\n\n"
    "`parent` is what is compressed (the newest `model` unless said), `model` where the result\n"
    "goes, `target` the column that the model predicts. The data set's rows are dealt as the\n"
    "parent's training dealt them: what it held out is measured on, the rest is what steps\n"
    "calibrate and train on. A data set that the parent was not trained on is dealt the same way,\n"
    "by `validation` and `seed`.\n\n"
    "The job's `result` has `trials`: the model as it was, and the model after each step, with\n"
    "`bytes`, `latency_us` (median of one row on one thread, taken in turns with the parent's),\n"
    "`metric`, `drop`, the ratios, and in `said` what the step did (thresholds, ranges, ranks,\n"
    "neurons). A job that lost more than `max_metric_drop` fails with `E_CONFLICT` and has the\n"
    "same table. The version's `lineage` names parent and steps; a repeated job publishes the "
    "same\n"
    "bytes, so the same version. A job that was interrupted starts again.\n\n"
    "A model that was not trained here is measured by its only output: numbers, or scores of the\n"
    "classes 0, 1, ... where the target is whole numbers. Its input takes all other columns.\n\n"
    "What is stored and what is computed are two things. `f16`, `bf16`, `int8` and `cluster` make\n"
    "the file smaller; a plan makes floats of the weights when it is prepared, so the served "
    "model\n"
    "takes the memory and the time it took before; with `compute`, `bf16` also lets convolutions\n"
    "run in bfloat16. `dynamic_int8` and `static_int8` multiply\n"
    "bytes, from convolution to convolution where the processor has AVX-512 VNNI. `prune_neurons`, "
    "`prune_channels`, `prune_blocks`, `low_rank` and a `student` of\n"
    "`distil` do less work.\n"
    "Zeros of `prune_magnitude` are stored and multiplied like other numbers. After\n"
    "`prune_magnitude`, `prune_neurons`, `prune_channels`, `prune_blocks`, `clip` and `distil` a\n"
    "version can\n"
    "be trained on: by `fine_tune` within the job, or by a later job of kind `update`. After the\n"
    "others it cannot, and says so.\n\n"
    "## Fields of `compress`\n";

static const json_t *find(const json_t *list, const char *name)
{
    size_t i;
    json_t *p;
    json_array_foreach((json_t *)list, i, p)
    {
        if (strcmp(text_of(p, "name"), name) == 0)
            return p;
    }
    return NULL;
}

void maas_docs_compression(maas_buf *b)
{
    AUTO(maas_json_unref) json_t *params = maas_compress_params_json();
    size_t i;
    json_t *step;
    maas_buf_str(b, head);
    put_params(params, b);
    maas_buf_str(b, "\n`target`:\n");
    put_params(json_object_get(find(params, "target"), "params"), b);
    maas_buf_str(b, "\n## Steps\n");
    json_array_foreach(json_object_get(find(params, "steps"), "variants"), i, step)
    {
        maas_buf_printf(b, "\n### %s\n\n%s.\n", text_of(step, "type"), text_of(step, "help"));
        put_params(json_object_get(step, "params"), b);
    }
}
