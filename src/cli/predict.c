/* cli/predict.c - `maas predict`. */
#include "cli/predict.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/model.h"
#include "cli/print.h"
#include "base/ban.h"

static struct {
    maas_client_opts client;
    char *data, *file, *expect, *target;
    int64_t batch;
} opts;

#define AT(f) offsetof(__typeof__(opts), f)
maas_conf maas_predict_settings(void)
{
    static const maas_conf_desc rows[] = {
        {.name = "data",
         .type = MAAS_CONF_STR,
         .offset = AT(data),
         .arg = "JSON|@FILE",
         .help = "rows: [[1,2],[3,4]] or [{\"a\":1},...]; @- reads standard input"},
        {.name = "file",
         .type = MAAS_CONF_STR,
         .offset = AT(file),
         .arg = "FILE",
         .help = "rows of a table: CSV, IDX, NPY, NPZ, LIBSVM, JSON lines, gzipped or not"},
        {.name = "expect",
         .type = MAAS_CONF_STR,
         .offset = AT(expect),
         .arg = "FILE",
         .help = "the truth for --file: prints accuracy (or rmse and r2) instead of rows"},
        {.name = "target",
         .type = MAAS_CONF_STR,
         .offset = AT(target),
         .arg = "COLUMN",
         .help = "as --expect, from a column of --file"},
        {.name = "batch",
         .type = MAAS_CONF_INT,
         .offset = AT(batch),
         .min = 1,
         .max = 1 << 20,
         .preset = "1000",
         .arg = "N",
         .help = "rows a request"},
        MAAS_CLIENT_ROWS,
    };
    return (maas_conf){rows, MAAS_COUNT(rows), &opts};
}
#undef AT

static void print_predictions(const json_t *predictions)
{
    maas_text_table t;
    size_t i;
    json_t *v;
    maas_text_table_init(&t, "rl");
    maas_text_table_cell(&t, "row");
    maas_text_table_cell(&t, "prediction");
    json_array_foreach((json_t *)predictions, i, v)
    {
        AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(1u << 20);
        maas_text_table_cell(&t, "%zu", i + 1);
        if (json_is_string(v))
            maas_buf_str(&text, json_string_value(v));
        else
            maas_json_dump(v, &text);
        maas_text_table_cell(&t, "%s", text.p && !text.failed ? text.p : "...");
    }
    maas_text_table_print(&t, stdout);
    maas_text_table_reset(&t);
}

/* Through the server's own reading of rows, which knows names, types and missing cells. The text
 * is put into the request as it is: large arrays do not become a tree here. */
static maas_status predict_json(maas_cli *cli, const char *spec, maas_err *err)
{
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    AUTO(maas_buf_reset) maas_buf path = MAAS_BUF_INIT(4096), body = MAAS_BUF_INIT(1ull << 31);
    AUTO(maas_http_response_reset) maas_http_response r = MAAS_HTTP_RESPONSE_INIT;
    AUTO(maas_json_unref) json_t *tree = NULL;
    maas_buf_str(&path, "/v1/models/");
    maas_url_segment(&path, spec);
    maas_buf_str(&path, ":predict");
    maas_buf_str(&body, "{\"instances\":");
    MAAS_TRY(maas_cli_text(opts.data, &body, err));
    maas_buf_char(&body, '}');
    if (path.failed || body.failed)
        return maas_fail(err, MAAS_E_TOO_LARGE,
                         "the rows are too many for one request: use --file");
    const maas_http_call call = {
        .method = "POST", .path = path.p, .headers = headers, .body = maas_buf_span(&body)};
    MAAS_TRY(maas_cli_send(cli, &call, &r, err));
    MAAS_TRY(maas_cli_tree(&r, &tree, err));
    if (cli->opts->json)
        maas_cli_print_json(tree);
    else
        print_predictions(json_object_get(tree, "predictions"));
    return MAAS_OK;
}

maas_status maas_cmd_predict(maas_cli *cli, maas_err *err)
{
    AUTO(maas_json_unref) json_t *version = NULL;
    char name[MAAS_MAX_NAME + 1];
    int64_t number;
    if (!opts.data == !opts.file)
        return maas_fail(err, MAAS_E_INVALID, "give rows with --data JSON or with --file FILE");
    if (opts.data && (opts.expect || opts.target))
        return maas_fail(err, MAAS_E_INVALID, "--expect and --target go with --file");
    if (opts.expect && opts.target)
        return maas_fail(err, MAAS_E_INVALID, "--expect and --target mean the same: give one");
    if (opts.data)
        return predict_json(cli, cli->args[0], err);
    MAAS_TRY(maas_cli_model_resolve(cli, cli->args[0], name, &number, NULL, err));
    MAAS_TRY(maas_cli_model_version(cli, name, number, &version, err));
    const maas_predict_file o = {.model = name,
                                 .version = number,
                                 .file = opts.file,
                                 .expect = opts.expect,
                                 .target = opts.target,
                                 .batch = opts.batch};
    return maas_predict_stream(cli, &o, version, err);
}
