/* cli/import_lm.c - the files of a language model, one after the other: each as a blob, then the
 * manifest that makes them a version. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sys.h"
#include "cli/model.h"
#include "cli/print.h"
#include "lm/files.h"
#include "base/ban.h"

bool maas_is_lm_folder(const char *path)
{
    struct stat sb;
    maas_lm_names n;
    maas_err ignored = {0};
    if (stat(path, &sb) != 0)
        return false;
    if (S_ISDIR(sb.st_mode)) {
        AUTO(maas_buf_reset) maas_buf graph = MAAS_BUF_INIT(8192);
        maas_buf_printf(&graph, "%s/saved_model.pb", path); /* TensorFlow's folders */
        return graph.failed || access(graph.p, F_OK) != 0;
    }
    if (maas_lm_names_of(path, &n, &ignored) != MAAS_OK)
        return false;
    const bool several = n.n > 1;
    maas_lm_names_reset(&n);
    return several;
}

static maas_status digest_of(const char *path, char hex[MAAS_SHA256_HEX], maas_err *err)
{
    maas_map map;
    maas_sha256 h;
    uint8_t sum[MAAS_SHA256_BYTES];
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return maas_fail(err, maas_status_of_errno(errno), "%.200s: %m", path);
    MAAS_TRY(maas_sys_map(fd, &map, err));
    const bool ok = maas_sha256_init(&h);
    if (ok) {
        maas_sha256_add(&h, map.p, map.n);
        maas_sha256_done(&h, sum);
        maas_hex(sum, sizeof sum, hex);
    }
    maas_sys_unmap(&map);
    return ok ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "memory for a digest");
}

/* path: of the file here; name: in the version. */
static maas_status send_as(maas_cli *cli, const char *path, const char *name, json_t *files,
                           maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf to = MAAS_BUF_INIT(8192);
    AUTO(maas_http_response_reset) maas_http_response r = MAAS_HTTP_RESPONSE_INIT;
    char hex[MAAS_SHA256_HEX];
    maas_bar bar = {.on = cli->bars, .label = name};
    MAAS_TRY(digest_of(path, hex, err));
    MAAS_TRY(maas_cli_path(&to, err, "blobs", hex, NULL));
    const maas_http_call call = {
        .method = "PUT", .path = to.p, .file = path, .user = &bar, .progress = maas_bar_upload};
    const maas_status st = maas_cli_send(cli, &call, &r, err);
    maas_bar_clear(&bar);
    if (st == MAAS_OK)
        json_object_set_new(files, name, json_string(hex));
    return st;
}

static maas_status send_file(maas_cli *cli, const char *folder, const char *name, json_t *files,
                             maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf path = MAAS_BUF_INIT(8192);
    maas_buf_printf(&path, "%s/%s", folder, name);
    if (path.failed)
        return maas_fail(err, MAAS_E_INVALID, "the path of %.80s is too long", name);
    return send_as(cli, path.p, name, files, err);
}

/* A GGUF file, or PEFT's folder. */
static maas_status send_adapter(maas_cli *cli, const char *path, const char *name, json_t *files,
                                maas_err *err)
{
    struct stat sb;
    const bool folder = stat(path, &sb) == 0 && S_ISDIR(sb.st_mode);
    static const char *const alone[] = {"", NULL};
    for (const char *const *f = folder ? maas_lm_adapter_files : alone; *f; f++) {
        AUTO(maas_buf_reset) maas_buf from = MAAS_BUF_INIT(8192), to = MAAS_BUF_INIT(8192);
        maas_buf_printf(&from, folder ? "%s/%s" : "%s%s", path, *f);
        maas_buf_printf(&to, folder ? "%s/%s" : "%s%s.gguf", name, *f);
        if (from.failed || to.failed)
            return maas_fail(err, MAAS_E_INVALID, "the path of %.80s is too long", name);
        MAAS_TRY(send_as(cli, from.p, to.p, files, err));
    }
    return MAAS_OK;
}

/* "NAME=FILE,NAME=FOLDER" */
static maas_status send_adapters(maas_cli *cli, const char *list, json_t *files, maas_err *err)
{
    while (*list) {
        AUTO(maas_buf_reset) maas_buf name = MAAS_BUF_INIT(4096), path = MAAS_BUF_INIT(8192);
        const size_t n = strcspn(list, ","), eq = strcspn(list, "=");
        if (eq == 0 || eq + 1 >= n)
            return maas_fail(err, MAAS_E_INVALID,
                             "--adapter '%.80s': give NAME=FILE or NAME=FOLDER", list);
        maas_buf_printf(&name, "adapters/%.*s", (int)eq, list);
        maas_buf_printf(&path, "%.*s", (int)(n - eq - 1), list + eq + 1);
        if (name.failed || path.failed)
            return maas_fail(err, MAAS_E_INVALID, "--adapter '%.80s' is too long", list);
        MAAS_TRY(send_adapter(cli, path.p, name.p, files, err));
        list += n + (list[n] == ',');
    }
    return MAAS_OK;
}

maas_status maas_import_lm(maas_cli *cli, const char *model, const char *path, const char *adapters,
                           json_t **out, maas_err *err)
{
    maas_lm_names names;
    AUTO(maas_buf_reset) maas_buf to = MAAS_BUF_INIT(8192);
    AUTO(maas_json_unref) json_t *body = json_pack("{s:{}}", "files");
    MAAS_TRY(maas_lm_names_of(path, &names, err));
    maas_status st = maas_cli_path(&to, err, "models", model, "versions", NULL);
    for (size_t i = 0; i < names.n && st == MAAS_OK; i++)
        st = send_file(cli, names.folder, names.list[i], json_object_get(body, "files"), err);
    maas_lm_names_reset(&names);
    if (st == MAAS_OK && adapters)
        st = send_adapters(cli, adapters, json_object_get(body, "files"), err);
    return st == MAAS_OK ? maas_cli_call(cli, "POST", to.p, body, out, err) : st;
}
