/* cli/key.c - `maas keys create|list|delete`. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/client.h"
#include "cli/print.h"
#include "base/ban.h"

static struct {
    maas_client_opts client;
    char *name, *scopes, *models;
    int64_t days;
} opts;

#define AT(f) offsetof(__typeof__(opts), f)
static maas_conf create_settings(void)
{
    static const maas_conf_desc rows[] = {
        {.name = "name",
         .type = MAAS_CONF_STR,
         .offset = AT(name),
         .preset = "default",
         .arg = "NAME",
         .help = "what to call it in lists"},
        {.name = "scopes",
         .type = MAAS_CONF_STR,
         .offset = AT(scopes),
         .arg = "A,B",
         .help = "of infer, read, write, train, ops, admin; the first key must have admin"},
        {.name = "models",
         .type = MAAS_CONF_STR,
         .offset = AT(models),
         .preset = "*",
         .arg = "PATTERN",
         .help = "models it may use"},
        {.name = "days",
         .type = MAAS_CONF_INT,
         .offset = AT(days),
         .min = 0,
         .max = 36600,
         .preset = "0",
         .arg = "N",
         .help = "it expires after; 0: never"},
        MAAS_CLIENT_ROWS,
    };
    return (maas_conf){rows, MAAS_COUNT(rows), &opts};
}
#undef AT

static json_t *scope_list(const char *text)
{
    json_t *list = json_array();
    for (const char *s = text; *s;) {
        size_t n = strcspn(s, ",");
        json_array_append_new(list, json_stringn(s, n));
        s += n + (s[n] == ',');
    }
    return list;
}

static maas_status keys_create(maas_cli *cli, maas_err *err)
{
    AUTO(maas_json_unref) json_t *body = NULL, *key = NULL;
    body = json_pack("{s:s, s:s, s:I}", "name", opts.name, "models", opts.models, "ttl",
                     (json_int_t)(opts.days * 86400));
    if (body && opts.scopes)
        json_object_set_new(body, "scopes", scope_list(opts.scopes));
    if (!body)
        return maas_fail(err, MAAS_E_INVALID, "--name and --models must be UTF-8");
    MAAS_TRY(maas_cli_call(cli, "POST", "/api/v1/keys", body, &key, err));
    if (cli->opts->json) {
        maas_cli_print_json(key);
        return MAAS_OK;
    }
    printf("%s\n", json_string_value(json_object_get(key, "key")));
    fputs("This key is shown once. From now on every request needs one:\n"
          "    export MAAS_KEY=... (the line above)\n",
          stderr);
    return MAAS_OK;
}

static void print_scopes(maas_text_table *t, const json_t *scopes)
{
    AUTO(maas_buf_reset) maas_buf b = MAAS_BUF_INIT(1024);
    size_t i;
    json_t *s;
    json_array_foreach((json_t *)scopes, i, s)
    {
        maas_buf_printf(&b, "%s%s", i ? "," : "", json_string_value(s));
    }
    maas_text_table_cell(t, "%s", b.p && !b.failed ? b.p : "-");
}

static maas_status keys_list(maas_cli *cli, maas_err *err)
{
    AUTO(maas_json_unref) json_t *tree = NULL;
    maas_text_table t;
    size_t i;
    json_t *k;
    MAAS_TRY(maas_cli_call(cli, "GET", "/api/v1/keys", NULL, &tree, err));
    if (cli->opts->json) {
        maas_cli_print_json(tree);
        return MAAS_OK;
    }
    maas_text_table_init(&t, "llllll");
    for (const char *const *h =
             (const char *const[]){"id", "name", "scopes", "models", "created", "expires", NULL};
         *h; h++)
        maas_text_table_cell(&t, "%s", *h);
    json_array_foreach(json_object_get(tree, "keys"), i, k)
    {
        maas_text_table_str(&t, k, "id");
        maas_text_table_str(&t, k, "name");
        print_scopes(&t, json_object_get(k, "scopes"));
        maas_text_table_str(&t, k, "models");
        maas_text_table_str(&t, k, "created_at");
        maas_text_table_str(&t, k, "expires_at");
    }
    maas_text_table_print(&t, stdout);
    maas_text_table_reset(&t);
    return MAAS_OK;
}

static maas_status keys_delete(maas_cli *cli, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf path = MAAS_BUF_INIT(4096);
    MAAS_TRY(maas_cli_path(&path, err, "keys", cli->args[0], NULL));
    MAAS_TRY(maas_cli_call(cli, "DELETE", path.p, NULL, NULL, err));
    if (cli->opts->json)
        printf("{\"deleted\":true}\n");
    else
        printf("revoked %s\n", cli->args[0]);
    return MAAS_OK;
}

const maas_command maas_key_commands[] = {
    {.name = "create",
     .usage = "[options]",
     .summary = "make a key; it is shown once",
     .act = keys_create,
     .settings = create_settings,
     .more = "Until the first key exists a server on a loopback address asks for none."},
    {.name = "list", .usage = "", .summary = "keys, without their secrets", .act = keys_list},
    {.name = "delete",
     .usage = "ID",
     .summary = "revoke a key",
     .act = keys_delete,
     .min_args = 1,
     .max_args = 1},
    {.name = NULL},
};
