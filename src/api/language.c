#include "api/language.h"

#include <string.h>
#include <unistd.h>

#include "api/auth.h"
#include "base/mem.h"
#include "lm/files.h"
#include "base/ban.h"

bool maas_is_language_manifest(const json_t *files)
{
    const char *path;
    json_t *hex;
    size_t n_gguf = 0;
    json_object_foreach((json_t *)(uintptr_t)files, path, hex)
        n_gguf += maas_lm_is_member(path, "gguf");
    return json_object_get(files, "config.json") || n_gguf > 1;
}

typedef struct members { /* what the importer looks at */
    const char *paths[MAAS_MAX_LM_FILES];
    int fds[MAAS_MAX_LM_FILES];
    uint32_t n;
} members;

static void close_members(members *m)
{
    for (uint32_t i = 0; i < m->n; i++)
        close(m->fds[i]);
}

static maas_status open_members(maas_app *app, const json_t *files, const char *format, members *m,
                                maas_err *err)
{
    const char *path;
    json_t *hex;
    json_object_foreach((json_t *)(uintptr_t)files, path, hex)
    {
        uint64_t bytes;
        if (!json_is_string(hex))
            return maas_fail(err, MAAS_E_INVALID, "'files.%.64s' must be a SHA-256 in hex", path);
        if (!maas_lm_is_member(path, format))
            continue;
        if (m->n == MAAS_MAX_LM_FILES)
            return maas_fail(err, MAAS_E_TOO_LARGE, "a language model of more than %d files",
                             MAAS_MAX_LM_FILES);
        MAAS_TRY(maas_blob_open(app->registry, json_string_value(hex), &m->fds[m->n], &bytes, err));
        m->paths[m->n++] = path;
    }
    return MAAS_OK;
}

/* The first file that is no adapter. */
static const char *model_file(const members *m)
{
    uint32_t i = 0;
    while (i + 1 < m->n && maas_lm_is_adapter(m->paths[i]))
        i++;
    return m->paths[i];
}

maas_status maas_language_publish(maas_req *r, json_t *files, json_t **out, bool *created,
                                  maas_err *err)
{
    maas_app *app = maas_app_of(r);
    const char *name = maas_req_param(r, 0);
    const maas_tenant t = maas_caller(r)->tenant;
    const bool folder = json_object_get(files, "config.json") != NULL;
    AUTO(close_members) members m = {.n = 0};
    AUTO(maas_json_unref) json_t *parsed = NULL, *lineage = NULL;
    int64_t version;
    if (!maas_name_valid(name) || strcmp(name, "stats") == 0)
        return maas_fail(err, MAAS_E_INVALID, "'%.128s' is no name for a model", name);
    MAAS_TRY(open_members(app, files, folder ? "safetensors" : "gguf", &m, err));
    MAAS_TRY(maas_helper_check_language_model(app->helper, m.paths, m.fds, m.n,
                                              (int)app->conf.import_timeout * 1000, &parsed, err));
    lineage = json_pack("{s:s, s:O*, s:s}", "source", "upload", "source_format",
                        json_object_get(parsed, "source"), "code_version", maas_version());
    const maas_version_in v = {
        .files = files,
        .format = json_string_value(json_object_get(parsed, "format")),
        .artifact = folder ? "config.json" : model_file(&m),
        .inputs = json_object_get(parsed, "inputs"),
        .outputs = json_object_get(parsed, "outputs"),
        .lineage = lineage,
        .info = json_object_get(parsed, "info"),
    };
    MAAS_TRY(maas_registry_version_put(app->registry, t, name, &v, &version, created, err));
    return maas_registry_version_get(app->registry, t, name, version, out, err);
}
