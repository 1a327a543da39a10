/* cli/model.c - `maas models list|show|delete|download`, `maas import`, `maas promote`. */
#include "cli/model.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/sys.h"
#include "cli/print.h"
#include "base/ban.h"

static struct {
    maas_client_opts client;
    char *format, *recipe, *labels, *alias, *output, *file, *name, *adapter, *weights;
    bool force;
} opts;

#define AT(f) offsetof(__typeof__(opts), f)
maas_conf maas_import_settings(void)
{
    static const maas_conf_desc rows[] = {
        {.name = "format",
         .type = MAAS_CONF_STR,
         .offset = AT(format),
         .arg = "NAME",
         .help = "of the file; else by content"},
        {.name = "image-recipe",
         .type = MAAS_CONF_STR,
         .offset = AT(recipe),
         .arg = "NAME|FILE",
         .help = "how an image becomes the input: imagenet, unit, signed, or a JSON file"},
        {.name = "labels",
         .type = MAAS_CONF_STR,
         .offset = AT(labels),
         .arg = "FILE",
         .help = "names of the classes, one a line or a JSON list"},
        {.name = "weights",
         .type = MAAS_CONF_STR,
         .offset = AT(weights),
         .arg = "FILE",
         .help = "safetensors or a state dict of PyTorch: instead of the weights of an ONNX model, "
                 "by name"},
        {.name = "name",
         .type = MAAS_CONF_STR,
         .offset = AT(name),
         .arg = "NAME",
         .help = "of the model, instead of the argument before the file"},
        {.name = "adapter",
         .type = MAAS_CONF_STR,
         .offset = AT(adapter),
         .arg = "NAME=FILE[,NAME=FILE]",
         .help = "of a language model: adapters (LoRA: GGUF, or PEFT's folders) that requests can "
                 "name"},
        MAAS_CLIENT_ROWS,
    };
    return (maas_conf){rows, MAAS_COUNT(rows), &opts};
}

maas_conf maas_promote_settings(void)
{
    static const maas_conf_desc rows[] = {
        {.name = "alias",
         .type = MAAS_CONF_STR,
         .offset = AT(alias),
         .preset = "production",
         .arg = "NAME",
         .help = "which alias points to it"},
        MAAS_CLIENT_ROWS,
    };
    return (maas_conf){rows, MAAS_COUNT(rows), &opts};
}

static maas_conf download_settings(void)
{
    static const maas_conf_desc rows[] = {
        {.name = "output",
         .type = MAAS_CONF_STR,
         .offset = AT(output),
         .letter = 'o',
         .arg = "FILE",
         .help = "where to; else NAME-VERSION.onnx"},
        {.name = "file",
         .type = MAAS_CONF_STR,
         .offset = AT(file),
         .preset = "model.onnx",
         .arg = "MEMBER",
         .help = "which file of the version"},
        {.name = "force",
         .type = MAAS_CONF_BOOL,
         .offset = AT(force),
         .help = "write over a file that exists"},
        MAAS_CLIENT_ROWS,
    };
    return (maas_conf){rows, MAAS_COUNT(rows), &opts};
}
#undef AT

/* ---- names ---- */

static maas_status newest_version(const json_t *model, int64_t *out)
{
    size_t i;
    json_t *v;
    *out = 0;
    json_array_foreach(json_object_get(model, "versions"), i, v)
    {
        int64_t n = json_integer_value(json_object_get(v, "version"));
        *out = n > *out ? n : *out;
    }
    return *out ? MAAS_OK : MAAS_E_NOT_FOUND;
}

static int64_t alias_version(const json_t *model, const char *alias)
{
    return json_integer_value(json_object_get(json_object_get(model, "aliases"), alias));
}

static maas_status pick_version(const json_t *model, const char *name, char mark, const char *rest,
                                int64_t *out, maas_err *err)
{
    if (mark == ':')
        return maas_parse_i64(rest, out) && *out > 0
                   ? MAAS_OK
                   : maas_fail(err, MAAS_E_INVALID, "'%.32s' is no version number", rest);
    *out = alias_version(model, mark == '@' ? rest : "production");
    if (*out)
        return MAAS_OK;
    if (mark == '@')
        return maas_fail(err, MAAS_E_NOT_FOUND, "model '%s' has no alias '%.128s'", name, rest);
    return newest_version(model, out) == MAAS_OK
               ? MAAS_OK
               : maas_fail(err, MAAS_E_NOT_FOUND, "model '%s' has no version", name);
}

maas_status maas_cli_model_resolve(maas_cli *cli, const char *spec, char name[MAAS_MAX_NAME + 1],
                                   int64_t *out_version, json_t **out_model, maas_err *err)
{
    AUTO(maas_json_unref) json_t *model = NULL;
    AUTO(maas_buf_reset) maas_buf path = MAAS_BUF_INIT(4096);
    size_t n = strcspn(spec, ":@");
    if (n == 0 || n > MAAS_MAX_NAME)
        return maas_fail(err, MAAS_E_INVALID, "'%.128s' is no name of a model", spec);
    memcpy(name, spec, n);
    name[n] = '\0';
    MAAS_TRY(maas_cli_path(&path, err, "models", name, NULL));
    MAAS_TRY(maas_cli_call(cli, "GET", path.p, NULL, &model, err));
    MAAS_TRY(pick_version(model, name, spec[n], spec[n] ? spec + n + 1 : "", out_version, err));
    if (out_model)
        *out_model = STEAL(model);
    return MAAS_OK;
}

static maas_status version_path(maas_buf *path, const char *name, int64_t version, const char *more,
                                maas_err *err)
{
    char number[32];
    snprintf(number, sizeof number, "%lld", (long long)version);
    return maas_cli_path(path, err, "models", name, "versions", number, more, NULL);
}

maas_status maas_cli_model_version(maas_cli *cli, const char *name, int64_t version, json_t **out,
                                   maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf path = MAAS_BUF_INIT(4096);
    MAAS_TRY(version_path(&path, name, version, NULL, err));
    return maas_cli_call(cli, "GET", path.p, NULL, out, err);
}

/* ---- list, show, delete ---- */

static void put_aliases(maas_text_table *t, const json_t *aliases)
{
    AUTO(maas_buf_reset) maas_buf b = MAAS_BUF_INIT(4096);
    const char *alias;
    json_t *v;
    json_object_foreach((json_t *)aliases, alias, v)
    {
        maas_buf_printf(&b, "%s%s=%lld", b.n ? " " : "", alias, (long long)json_integer_value(v));
    }
    maas_text_table_cell(t, "%s", b.p && !b.failed ? b.p : "-");
}

static maas_status models_list(maas_cli *cli, maas_err *err)
{
    AUTO(maas_json_unref) json_t *tree = NULL;
    maas_text_table t;
    size_t i;
    json_t *m;
    MAAS_TRY(maas_cli_call(cli, "GET", "/api/v1/models", NULL, &tree, err));
    if (cli->opts->json) {
        maas_cli_print_json(tree);
        return MAAS_OK;
    }
    maas_text_table_init(&t, "lrrlll");
    for (const char *const *h = (const char *const[]){"name", "newest", "versions", "format",
                                                      "aliases", "created", NULL};
         *h; h++)
        maas_text_table_cell(&t, "%s", *h);
    json_array_foreach(json_object_get(tree, "models"), i, m)
    {
        char number[32];
        maas_text_table_str(&t, m, "name");
        maas_text_table_cell(&t, "%s", maas_human_number(json_object_get(m, "version"), number));
        maas_text_table_cell(&t, "%s", maas_human_number(json_object_get(m, "n_versions"), number));
        maas_text_table_str(&t, m, "format");
        put_aliases(&t, json_object_get(m, "aliases"));
        maas_text_table_str(&t, m, "created_at");
    }
    maas_text_table_print(&t, stdout);
    maas_text_table_reset(&t);
    return MAAS_OK;
}

static maas_status models_show(maas_cli *cli, maas_err *err)
{
    AUTO(maas_json_unref) json_t *model = NULL, *version = NULL;
    char name[MAAS_MAX_NAME + 1];
    int64_t number;
    MAAS_TRY(maas_cli_model_resolve(cli, cli->args[0], name, &number, &model, err));
    MAAS_TRY(maas_cli_model_version(cli, name, number, &version, err));
    if (cli->opts->json)
        maas_cli_print_json(version);
    else
        maas_cli_model_print(model, version);
    return MAAS_OK;
}

/* "name": the model with all its versions; "name:3": that version. */
static maas_status models_delete(maas_cli *cli, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf path = MAAS_BUF_INIT(4096);
    const char *spec = cli->args[0];
    char name[MAAS_MAX_NAME + 1];
    int64_t version;
    if (spec[strcspn(spec, ":@")]) {
        MAAS_TRY(maas_cli_model_resolve(cli, spec, name, &version, NULL, err));
        MAAS_TRY(version_path(&path, name, version, NULL, err));
    } else {
        MAAS_TRY(maas_cli_path(&path, err, "models", spec, NULL));
    }
    MAAS_TRY(maas_cli_call(cli, "DELETE", path.p, NULL, NULL, err));
    if (cli->opts->json)
        printf("{\"deleted\":true}\n");
    else
        printf("deleted %s\n", spec);
    return MAAS_OK;
}

/* ---- download ---- */

typedef struct download {
    int fd;
    uint64_t bytes;
    maas_bar bar;
    maas_err err;
} download;

static bool save_piece(void *user, maas_span piece)
{
    download *d = user;
    d->bytes += piece.n;
    return maas_sys_write(d->fd, piece.p, piece.n, &d->err) == MAAS_OK;
}

static bool show_download(void *user, uint64_t sent, uint64_t to_send, uint64_t got,
                          uint64_t to_get)
{
    download *d = user;
    char a[32];
    (void)sent;
    (void)to_send;
    if (to_get)
        maas_bar_draw(&d->bar, (double)got / (double)to_get, maas_human_bytes(got, a));
    return true;
}

/* Into a file beside the target that takes its name when all is there. */
static maas_status fetch(maas_cli *cli, const char *path, const char *to, uint64_t *bytes,
                         maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf part = MAAS_BUF_INIT(8192);
    AUTO(maas_http_response_reset) maas_http_response r = MAAS_HTTP_RESPONSE_INIT;
    AUTO_FD fd = -1;
    download d = {.bar = {.on = cli->bars, .label = "download"}};
    const maas_http_call call = {
        .method = "GET", .path = path, .user = &d, .sink = save_piece, .progress = show_download};
    maas_buf_printf(&part, "%s.part", to);
    if (part.failed)
        return maas_fail(err, MAAS_E_INVALID, "the name of the file is too long");
    maas_status st = maas_sys_open(part.p, O_WRONLY | O_CREAT | O_TRUNC, &fd, err);
    if (st != MAAS_OK) {
        maas_err_prefix(err, "%s", part.p);
        return st;
    }
    d.fd = fd;
    st = maas_cli_send(cli, &call, &r, err);
    maas_bar_clear(&d.bar);
    if (st == MAAS_OK && d.err.code != MAAS_OK) {
        *err = d.err;
        st = d.err.code;
    }
    if (st == MAAS_OK)
        st = maas_sys_rename(AT_FDCWD, part.p, to, err);
    if (st != MAAS_OK)
        unlink(part.p);
    *bytes = d.bytes;
    return st;
}

static maas_status models_download(maas_cli *cli, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf path = MAAS_BUF_INIT(8192);
    char name[MAAS_MAX_NAME + 1], preset[MAAS_MAX_NAME + 64], size[32];
    int64_t version;
    uint64_t bytes = 0;
    MAAS_TRY(maas_cli_model_resolve(cli, cli->args[0], name, &version, NULL, err));
    MAAS_TRY(version_path(&path, name, version, "artifact", err));
    maas_buf_str(&path, "?file=");
    maas_url_segment(&path, opts.file);
    if (path.failed)
        return maas_fail(err, MAAS_E_INVALID, "--file is too long");
    snprintf(preset, sizeof preset, "%s-%lld.onnx", name, (long long)version);
    const char *to = opts.output ? opts.output : preset;
    if (!opts.force && access(to, F_OK) == 0)
        return maas_fail(err, MAAS_E_CONFLICT, "%s exists; --force writes over it", to);
    MAAS_TRY(fetch(cli, path.p, to, &bytes, err));
    if (cli->opts->json)
        printf("{\"bytes\":%llu}\n", (unsigned long long)bytes);
    else
        printf("%s  %s\n", to, maas_human_bytes(bytes, size));
    return MAAS_OK;
}

/* ---- import, promote ---- */

/* The query, and the parts of the form when more than the model is sent. */
static maas_status import_body(const char *file, maas_buf *path, maas_model_parts *parts,
                               maas_http_call *call, maas_err *err)
{
    const char *const queries[] = {"format", "image_recipe"};
    const bool is_file = opts.recipe && access(opts.recipe, F_OK) == 0;
    const char *const values[] = {opts.format, is_file ? NULL : opts.recipe};
    MAAS_TRY(maas_model_parts_of(parts, file, err));
    MAAS_TRY(maas_model_parts_add(parts, "weights", opts.weights, NULL, err));
    MAAS_TRY(maas_model_parts_add(parts, "image_recipe", is_file ? opts.recipe : NULL, NULL, err));
    MAAS_TRY(maas_model_parts_add(parts, "labels", opts.labels, NULL, err));
    if (parts->n == 1) {
        call->file = parts->list[0].file;
    } else {
        call->parts = parts->list;
        call->n_parts = parts->n;
    }
    for (size_t i = 0, n = 0; i < MAAS_COUNT(queries); i++) {
        if (!values[i])
            continue;
        maas_buf_printf(path, "%c%s=", n++ ? '&' : '?', queries[i]);
        maas_url_segment(path, values[i]);
    }
    return path->failed ? maas_fail(err, MAAS_E_INVALID, "--format or --image-recipe is too long")
                        : MAAS_OK;
}

static maas_status import_file(maas_cli *cli, const char *name, const char *file, json_t **version,
                               bool *existed, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf path = MAAS_BUF_INIT(8192);
    AUTO(maas_http_response_reset) maas_http_response r = MAAS_HTTP_RESPONSE_INIT;
    maas_bar bar = {.on = cli->bars, .label = "upload"};
    AUTO(maas_model_parts_reset) maas_model_parts parts = {0};
    maas_http_call call = {.method = "PUT", .user = &bar, .progress = maas_bar_upload};
    MAAS_TRY(maas_cli_path(&path, err, "models", name, "versions", NULL));
    MAAS_TRY(import_body(file, &path, &parts, &call, err));
    call.path = path.p;
    maas_status st = maas_cli_send(cli, &call, &r, err);
    maas_bar_clear(&bar);
    MAAS_TRY(st);
    *existed = r.status == 200;
    return maas_cli_tree(&r, version, err);
}

maas_status maas_cmd_import(maas_cli *cli, maas_err *err)
{
    AUTO(maas_json_unref) json_t *version = NULL;
    bool existed = false;
    const char *name = opts.name ? opts.name : cli->args[0];
    const char *file = cli->args[opts.name ? 0 : 1];
    if (cli->n_args != (opts.name ? 1 : 2))
        return maas_fail(err, MAAS_E_INVALID, "give MODEL FILE, or FILE --name MODEL");
    if (opts.adapter || maas_is_lm_folder(file))
        MAAS_TRY(maas_import_lm(cli, name, file, opts.adapter, &version, err));
    else
        MAAS_TRY(import_file(cli, name, file, &version, &existed, err));
    if (cli->opts->json) {
        maas_cli_print_json(version);
        return MAAS_OK;
    }
    printf("published %s version %lld%s\n", json_string_value(json_object_get(version, "name")),
           (long long)json_integer_value(json_object_get(version, "version")),
           existed ? " (the same content as before)" : "");
    maas_cli_model_print(NULL, version);
    return MAAS_OK;
}

maas_status maas_cmd_promote(maas_cli *cli, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf path = MAAS_BUF_INIT(4096);
    AUTO(maas_json_unref) json_t *body = NULL, *answer = NULL;
    int64_t version;
    if (!maas_parse_i64(cli->args[1], &version) || version < 1)
        return maas_fail(err, MAAS_E_INVALID, "'%.32s' is no version number", cli->args[1]);
    MAAS_TRY(maas_cli_path(&path, err, "models", cli->args[0], "aliases", opts.alias, NULL));
    body = json_pack("{s:I}", "version", (json_int_t)version);
    MAAS_TRY(maas_cli_call(cli, "PUT", path.p, body, &answer, err));
    if (cli->opts->json)
        maas_cli_print_json(answer);
    else
        printf("%s@%s is version %lld\n", cli->args[0], opts.alias, (long long)version);
    return MAAS_OK;
}

const maas_command maas_model_commands[] = {
    {.name = "list", .usage = "", .summary = "all models", .act = models_list},
    {.name = "show",
     .usage = "NAME[:VERSION|@ALIAS]",
     .act = models_show,
     .min_args = 1,
     .max_args = 1,
     .summary = "layers, parameters, bytes, operations per row, metrics, lineage"},
    {.name = "delete",
     .usage = "NAME[:VERSION]",
     .summary = "delete a model or a version",
     .act = models_delete,
     .min_args = 1,
     .max_args = 1},
    {.name = "download",
     .usage = "NAME[:VERSION|@ALIAS] [-o FILE]",
     .summary = "save the model file (ONNX)",
     .act = models_download,
     .settings = download_settings,
     .min_args = 1,
     .max_args = 1},
    {.name = NULL},
};
