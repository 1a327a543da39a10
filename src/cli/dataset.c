/* cli/dataset.c - `maas dataset add|list|show|delete`. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/client.h"
#include "cli/print.h"
#include "base/ban.h"

static struct {
    maas_client_opts client;
    char *features, *target, *format, *types, *delimiter, *header;
} add_opts;

#define AT(f) offsetof(__typeof__(add_opts), f)
static maas_conf add_settings(void)
{
    static const maas_conf_desc rows[] = {
        {.name = "features",
         .type = MAAS_CONF_STR,
         .offset = AT(features),
         .arg = "FILE",
         .help = "file that becomes column x"},
        {.name = "target",
         .type = MAAS_CONF_STR,
         .offset = AT(target),
         .arg = "FILE",
         .help = "file that becomes column target"},
        {.name = "format",
         .type = MAAS_CONF_STR,
         .offset = AT(format),
         .arg = "NAME",
         .help = "csv, idx, npy, npz, libsvm or jsonl; else by content"},
        {.name = "types",
         .type = MAAS_CONF_STR,
         .offset = AT(types),
         .arg = "JSON",
         .help = "types of columns, as {\"zip\":\"string\"}; else from all cells"},
        {.name = "delimiter",
         .type = MAAS_CONF_STR,
         .offset = AT(delimiter),
         .arg = "CHAR",
         .help = "of a CSV file; else by looking"},
        {.name = "header",
         .type = MAAS_CONF_STR,
         .offset = AT(header),
         .arg = "true|false",
         .help = "first line of a CSV file holds names; else by looking"},
        MAAS_CLIENT_ROWS,
    };
    return (maas_conf){rows, MAAS_COUNT(rows), &add_opts};
}
#undef AT

static void add_query(maas_buf *path, const char *key, const char *value)
{
    if (!value)
        return;
    maas_buf_char(path, memchr(path->p, '?', path->n) ? '&' : '?');
    maas_buf_printf(path, "%s=", key);
    maas_url_segment(path, value);
}

static void print_columns(const json_t *d)
{
    static const char *const stats[] = {"missing", "mean", "std", "min", "max", "distinct"};
    maas_text_table t;
    size_t i;
    json_t *c;
    maas_text_table_init(&t, "lllrrrrrr");
    for (const char *const *h = (const char *const[]){"column", "type", "shape", "missing", "mean",
                                                      "std", "min", "max", "distinct", NULL};
         *h; h++)
        maas_text_table_cell(&t, "%s", *h);
    json_array_foreach(json_object_get(d, "columns"), i, c)
    {
        const json_t *s = json_object_get(c, "stats");
        maas_text_table_str(&t, c, "name");
        maas_text_table_str(&t, c, "dtype");
        maas_text_table_shape(&t, json_object_get(c, "shape"));
        for (size_t k = 0; k < MAAS_COUNT(stats); k++) {
            char number[32];
            maas_text_table_cell(&t, "%s", maas_human_number(json_object_get(s, stats[k]), number));
        }
    }
    maas_text_table_print(&t, stdout);
    maas_text_table_reset(&t);
}

static void print_head(const json_t *d)
{
    printf("%s:%lld  %lld rows, %zu columns\n", json_string_value(json_object_get(d, "name")),
           (long long)json_integer_value(json_object_get(d, "version")),
           (long long)json_integer_value(json_object_get(d, "rows")),
           json_array_size(json_object_get(d, "columns")));
}

static maas_status upload_of(const maas_cli *cli, maas_http_part parts[2], maas_http_call *call,
                             maas_err *err)
{
    const char *file = cli->n_args > 1 ? cli->args[1] : NULL;
    if (file && (add_opts.features || add_opts.target))
        return maas_fail(err, MAAS_E_INVALID, "give FILE, or --features and --target, not both");
    if (!file && !add_opts.features)
        return maas_fail(err, MAAS_E_INVALID,
                         "nothing to upload: give FILE, or --features and "
                         "--target (see maas dataset add --help)");
    if (file) {
        call->file = file;
        return MAAS_OK;
    }
    parts[0] = (maas_http_part){"x", add_opts.features};
    parts[1] = (maas_http_part){"target", add_opts.target};
    call->parts = parts;
    call->n_parts = add_opts.target ? 2 : 1;
    return MAAS_OK;
}

static maas_status dataset_add(maas_cli *cli, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf path = MAAS_BUF_INIT(8192);
    AUTO(maas_http_response_reset) maas_http_response r = MAAS_HTTP_RESPONSE_INIT;
    AUTO(maas_json_unref) json_t *d = NULL;
    maas_http_part parts[2];
    maas_bar bar = {.on = cli->bars, .label = "upload"};
    maas_http_call call = {.method = "PUT", .user = &bar, .progress = maas_bar_upload};
    MAAS_TRY(upload_of(cli, parts, &call, err));
    MAAS_TRY(maas_cli_path(&path, err, "datasets", cli->args[0], NULL));
    add_query(&path, "format", add_opts.format);
    add_query(&path, "types", add_opts.types);
    add_query(&path, "delimiter", add_opts.delimiter);
    add_query(&path, "header", add_opts.header);
    if (path.failed)
        return maas_fail(err, MAAS_E_INVALID, "--types is too long");
    call.path = path.p;
    maas_status st = maas_cli_send(cli, &call, &r, err);
    maas_bar_clear(&bar);
    MAAS_TRY(st);
    MAAS_TRY(maas_cli_tree(&r, &d, err));
    if (cli->opts->json) {
        maas_cli_print_json(d);
        return MAAS_OK;
    }
    print_head(d);
    if (r.status == 200)
        printf("the newest version had the same content already\n");
    print_columns(d);
    return MAAS_OK;
}

static maas_status dataset_list(maas_cli *cli, maas_err *err)
{
    AUTO(maas_json_unref) json_t *tree = NULL;
    maas_text_table t;
    size_t i;
    json_t *d;
    MAAS_TRY(maas_cli_call(cli, "GET", "/api/v1/datasets", NULL, &tree, err));
    if (cli->opts->json) {
        maas_cli_print_json(tree);
        return MAAS_OK;
    }
    maas_text_table_init(&t, "lrrrl");
    for (const char *const *h =
             (const char *const[]){"name", "version", "rows", "columns", "created", NULL};
         *h; h++)
        maas_text_table_cell(&t, "%s", *h);
    json_array_foreach(json_object_get(tree, "datasets"), i, d)
    {
        char number[32];
        maas_text_table_str(&t, d, "name");
        for (const char *const *k = (const char *const[]){"version", "rows", "n_columns", NULL}; *k;
             k++)
            maas_text_table_cell(&t, "%s", maas_human_number(json_object_get(d, *k), number));
        maas_text_table_str(&t, d, "created_at");
    }
    maas_text_table_print(&t, stdout);
    maas_text_table_reset(&t);
    return MAAS_OK;
}

static maas_status dataset_show(maas_cli *cli, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf path = MAAS_BUF_INIT(8192);
    AUTO(maas_json_unref) json_t *d = NULL;
    MAAS_TRY(maas_cli_path(&path, err, "datasets", cli->args[0], NULL));
    MAAS_TRY(maas_cli_call(cli, "GET", path.p, NULL, &d, err));
    if (cli->opts->json) {
        maas_cli_print_json(d);
        return MAAS_OK;
    }
    print_head(d);
    print_columns(d);
    return MAAS_OK;
}

static maas_status dataset_delete(maas_cli *cli, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf path = MAAS_BUF_INIT(8192);
    MAAS_TRY(maas_cli_path(&path, err, "datasets", cli->args[0], NULL));
    MAAS_TRY(maas_cli_call(cli, "DELETE", path.p, NULL, NULL, err));
    if (cli->opts->json)
        printf("{\"deleted\":true}\n");
    else
        printf("deleted %s\n", cli->args[0]);
    return MAAS_OK;
}

const maas_command maas_dataset_commands[] = {
    {.name = "add",
     .usage = "NAME FILE | NAME --features FILE --target FILE [options]",
     .summary = "upload a table, or files that become columns",
     .act = dataset_add,
     .settings = add_settings,
     .min_args = 1,
     .max_args = 2,
     .more = "CSV, IDX, NPY, NPZ, LIBSVM and JSON lines, gzipped or not. The file is streamed from "
             "disk.\n\nexamples:\n  maas dataset add iris iris.csv\n"
             "  maas dataset add digits --features images.idx3.gz --target labels.idx1.gz"},
    {.name = "list", .usage = "", .summary = "all data sets", .act = dataset_list},
    {.name = "show",
     .usage = "NAME[:VERSION]",
     .summary = "columns and their statistics",
     .act = dataset_show,
     .min_args = 1,
     .max_args = 1},
    {.name = "delete",
     .usage = "NAME",
     .summary = "delete a data set",
     .act = dataset_delete,
     .min_args = 1,
     .max_args = 1},
    {.name = NULL},
};
