/* api/models.c - /api/v1/models: versions, aliases, artifacts. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "api/auth.h"
#include "api/idem.h"
#include "api/language.h"
#include "api/manage.h"
#include "api/model_files.h"
#include "api/reply.h"
#include "api/upload.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/ban.h"

#define MAX_EXTRA (16 << 20) /* bytes of a recipe, or of labels */

maas_status maas_version_param(maas_req *r, int i, int64_t *out, maas_err *err)
{
    const char *text = maas_req_param(r, i);
    if (!maas_parse_i64(text, out) || *out < 1)
        return maas_fail(err, MAAS_E_INVALID, "'%.32s' is no version number", text);
    return MAAS_OK;
}

/* A key that is limited to some models sees and changes only those. */
static void run_for_model(maas_req *r, maas_iopool_fn fn)
{
    maas_err err = {0};
    if (maas_may_use_model(r, maas_req_param(r, 0), &err) == MAAS_OK)
        maas_iopool_run(maas_app_of(r)->io, r, fn);
    else
        maas_req_fail(r, &err);
}

/* ---- publishing ---- */

static maas_status hash_file(int fd, char hex[MAAS_SHA256_HEX], maas_err *err)
{
    maas_map map;
    maas_sha256 h;
    uint8_t sum[MAAS_SHA256_BYTES];
    MAAS_TRY(maas_sys_map(fd, &map, err));
    bool ok = maas_sha256_init(&h);
    if (ok) {
        maas_sha256_add(&h, map.p, map.n);
        maas_sha256_done(&h, sum);
        maas_hex(sum, sizeof sum, hex);
    }
    maas_sys_unmap(&map);
    return ok ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "memory for a digest");
}

/* What comes with a model of images: formats/image_recipe.h. */
typedef struct extras {
    json_t *recipe, *labels; /* NULL: none */
} extras;

static void extras_reset(extras *x)
{
    json_decref(x->recipe);
    json_decref(x->labels);
}

static maas_status read_part(maas_req *r, const maas_upload_part *p, maas_span *out, maas_err *err)
{
    maas_map map;
    if (p->bytes > MAX_EXTRA)
        return maas_fail(err, MAAS_E_TOO_LARGE, "the part '%s' may have %d bytes", p->name,
                         MAX_EXTRA);
    MAAS_TRY(maas_sys_map(p->fd, &map, err));
    char *text = maas_arena_strndup(maas_req_arena(r), (const char *)map.p, map.n);
    *out = maas_span_of(text, map.n);
    maas_sys_unmap(&map);
    return text ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "memory for an upload");
}

/* One a line, or a JSON list. */
static maas_status read_labels(maas_span text, json_t **out, maas_err *err)
{
    if (text.n && *text.p == '[')
        return maas_json_parse(text, out, err);
    *out = json_array();
    while (text.n) {
        const uint8_t *end = memchr(text.p, '\n', text.n);
        size_t n = end ? (size_t)(end - text.p) : text.n;
        const char *line = (const char *)text.p;
        maas_span_skip(&text, n + (end != NULL));
        n -= n && line[n - 1] == '\r';
        if (json_array_append_new(*out, json_stringn(line, n)) != 0)
            return maas_fail(err, MAAS_E_INVALID, "label %zu is no UTF-8", json_array_size(*out));
    }
    return MAAS_OK;
}

static maas_status read_extras(maas_req *r, const maas_upload *u, extras *x, maas_err *err)
{
    const char *name = maas_req_query(r, "image_recipe");
    for (const maas_upload_part *p = u->parts; p; p = p->next) {
        json_t **to = strcmp(p->name, "labels") == 0 ? &x->labels : &x->recipe;
        maas_span text;
        if (!maas_model_files_is_extra(p))
            continue;
        if (*to)
            return maas_fail(err, MAAS_E_INVALID, "the part '%s' is there twice", p->name);
        MAAS_TRY(read_part(r, p, &text, err));
        MAAS_TRY(to == &x->labels ? read_labels(text, to, err) : maas_json_parse(text, to, err));
    }
    if (name && !x->recipe)
        x->recipe = json_string(name);
    return MAAS_OK;
}

/* Links the file unless it is a blob already. */
static maas_status keep_blob(maas_app *app, int fd, const char *hex, maas_err *err)
{
    AUTO_FD there = -1;
    uint64_t bytes;
    if (maas_blob_open(app->registry, hex, &there, &bytes, NULL) == MAAS_OK)
        return MAAS_OK;
    return maas_blob_link(app->registry, fd, hex, err);
}

/*
 * The one way a model file becomes a version: parsed in the sandbox, written canonically,
 * committed. `others`: further members of the manifest, or NULL; what the artifact was made from
 * is not kept beside it.
 */
static maas_status publish(maas_req *r, const maas_model_files *in, const char *format,
                           const extras *x, const json_t *others, json_t **out, bool *created,
                           maas_err *err)
{
    maas_app *app = maas_app_of(r);
    const char *name = maas_req_param(r, 0);
    const int fd = in->fds[0];
    char hex[MAAS_SHA256_HEX];
    AUTO_FD artifact = -1;
    AUTO(maas_json_unref) json_t *parsed = NULL, *files = json_object(), *lineage = NULL;
    int64_t version;
    if (!maas_name_valid(name) || strcmp(name, "stats") == 0)
        return maas_fail(err, MAAS_E_INVALID, "'%.128s' is no name for a model", name);
    MAAS_TRY(maas_blob_tmp(app->registry, &artifact, err));
    const maas_import_in what = {in->fds,     in->paths, in->n,    format,
                                 in->weights, x->recipe, x->labels};
    MAAS_TRY(maas_helper_import_model(app->helper, &what, artifact,
                                      (int)app->conf.import_timeout * 1000, &parsed, err));
    const char *kind = json_string_value(json_object_get(parsed, "format"));
    const bool kept = kind && strcmp(kind, "gguf") == 0; /* as it was uploaded */
    const char *member = kept ? "model.gguf" : "model.onnx";
    MAAS_TRY(hash_file(kept ? fd : artifact, hex, err));
    MAAS_TRY(keep_blob(app, kept ? fd : artifact, hex, err));
    if (others)
        json_object_update(files, (json_t *)others);
    maas_model_files_drop(files, json_object_get(parsed, "used"));
    json_object_set_new(files, member, json_string(hex));
    lineage = json_pack("{s:s, s:O*, s:s}", "source", "upload", "source_format",
                        json_object_get(parsed, "source"), "code_version", maas_version());
    if (json_array_size(json_object_get(parsed, "used")))
        json_object_set(lineage, "source_files", json_object_get(parsed, "used"));
    const maas_version_in v = {
        .files = files,
        .format = kept ? "gguf" : "onnx",
        .artifact = member,
        .inputs = json_object_get(parsed, "inputs"),
        .outputs = json_object_get(parsed, "outputs"),
        .lineage = lineage,
        .info = json_object_get(parsed, "info"),
    };
    MAAS_TRY(maas_registry_version_put(app->registry, maas_caller(r)->tenant, name, &v, &version,
                                       created, err));
    return maas_registry_version_get(app->registry, maas_caller(r)->tenant, name, version, out,
                                     err);
}

static bool put_on_io(maas_req *r)
{
    maas_upload *u = maas_req_state(r);
    maas_idem idem;
    maas_err err = {0};
    json_t *body = NULL;
    bool created = false;
    if (maas_idem_begin(&idem, r, maas_upload_digest(u)))
        return true;
    AUTO(extras_reset) extras x = {0};
    maas_model_files in = {0};
    maas_status st = maas_model_files_of_upload(u, &in, &err);
    if (st == MAAS_OK)
        st = read_extras(r, u, &x, &err);
    if (st == MAAS_OK)
        st = publish(r, &in, maas_req_query(r, "format"), &x, NULL, &body, &created, &err);
    if (st == MAAS_OK)
        maas_idem_reply(&idem, created ? 201 : 200, body);
    else
        maas_idem_fail(&idem, &err);
    return true;
}

void maas_versions_put(maas_req *r)
{
    maas_upload *u;
    maas_err err = {0};
    maas_status st = maas_upload_finish(r, &u, &err);
    if (st != MAAS_OK)
        maas_req_fail(r, &err);
    else
        run_for_model(r, put_on_io);
}

static bool is_model(const char *path)
{
    static const char *const ends[] = {".onnx", ".gguf", "saved_model.pb"};
    const size_t n = strlen(path);
    for (size_t i = 0; i < MAAS_COUNT(ends); i++)
        if (n >= strlen(ends[i]) && strcmp(path + n - strlen(ends[i]), ends[i]) == 0)
            return true;
    return false;
}

/* The member that is the model: "model.onnx", or the only one that ends in .onnx, .gguf or
 * saved_model.pb. */
static const char *model_member(const json_t *files)
{
    const char *path, *found = NULL;
    json_t *hex;
    if (json_object_get(files, "model.onnx"))
        return "model.onnx";
    json_object_foreach((json_t *)files, path, hex)
    {
        if (!is_model(path))
            continue;
        if (found)
            return NULL;
        found = path;
    }
    return found;
}

static maas_status post_version(maas_req *r, json_t **out, bool *created, maas_err *err)
{
    static const char *const keys[] = {"files",  "format",  "image_recipe",
                                       "labels", "weights", NULL};
    AUTO(maas_json_unref) json_t *body = NULL, *others = NULL;
    AUTO(maas_model_files_close) maas_model_files in = {0};
    const char *format = NULL, *weights = NULL;
    MAAS_TRY(maas_body_object(r, &body, err));
    MAAS_TRY(maas_json_only(body, "", keys, err));
    MAAS_TRY(maas_json_get_str(body, "", "format", &format, err));
    MAAS_TRY(maas_json_get_str(body, "", "weights", &weights, err));
    json_t *files = json_object_get(body, "files");
    if (!json_is_object(files) || !json_object_size(files))
        return maas_fail(err, MAAS_E_INVALID, "'files' must be an object of path: sha256");
    if (!json_object_get(files, "model.onnx") && maas_is_language_manifest(files))
        return maas_language_publish(r, files, out, created, err);
    const char *member = model_member(files);
    if (!member)
        return maas_fail(
            err, MAAS_E_INVALID,
            "'files' must have one model: model.onnx, one *.onnx, saved_model.pb, a GGUF file or "
            "its "
            "parts, or the config.json, tokenizer.json and *.safetensors of a language model");
    MAAS_TRY(maas_model_files_of_manifest(maas_app_of(r), files, member, weights, &in, err));
    others = json_copy(files);
    json_object_del(others, member);
    const extras x = {json_object_get(body, "image_recipe"), json_object_get(body, "labels")};
    return publish(r, &in, format, &x, others, out, created, err);
}

static bool post_on_io(maas_req *r)
{
    maas_idem idem;
    maas_err err = {0};
    json_t *body = NULL;
    bool created = false;
    if (maas_idem_begin(&idem, r, NULL))
        return true;
    if (post_version(r, &body, &created, &err) == MAAS_OK)
        maas_idem_reply(&idem, created ? 201 : 200, body);
    else
        maas_idem_fail(&idem, &err);
    return true;
}

void maas_versions_post(maas_req *r)
{
    run_for_model(r, post_on_io);
}

/* ---- reading ---- */

static json_t *those_of_caller(maas_req *r, json_t *list)
{
    for (size_t i = json_array_size(list); i-- > 0;) {
        const char *name = json_string_value(json_object_get(json_array_get(list, i), "name"));
        maas_err ignored = {0};
        if (!name || maas_may_use_model(r, name, &ignored) != MAAS_OK)
            json_array_remove(list, i);
    }
    return list;
}

static bool list_on_io(maas_req *r)
{
    maas_err err = {0};
    json_t *list = NULL;
    if (maas_registry_model_list(maas_app_of(r)->registry, maas_caller(r)->tenant, &list, &err) ==
        MAAS_OK)
        maas_reply_tree(r, 200, json_pack("{s:o}", "models", those_of_caller(r, list)));
    else
        maas_req_fail(r, &err);
    return true;
}

void maas_models_list(maas_req *r)
{
    maas_iopool_run(maas_app_of(r)->io, r, list_on_io);
}

static bool get_on_io(maas_req *r)
{
    maas_err err = {0};
    json_t *m = NULL;
    if (maas_registry_model_get(maas_app_of(r)->registry, maas_caller(r)->tenant,
                                maas_req_param(r, 0), &m, &err) == MAAS_OK)
        maas_reply_tree(r, 200, m);
    else
        maas_req_fail(r, &err);
    return true;
}

void maas_models_get(maas_req *r)
{
    run_for_model(r, get_on_io);
}

static maas_status find_version(maas_req *r, json_t **out, maas_err *err)
{
    int64_t version;
    MAAS_TRY(maas_version_param(r, 1, &version, err));
    return maas_registry_version_get(maas_app_of(r)->registry, maas_caller(r)->tenant,
                                     maas_req_param(r, 0), version, out, err);
}

static bool version_on_io(maas_req *r)
{
    maas_err err = {0};
    json_t *v = NULL;
    if (find_version(r, &v, &err) == MAAS_OK)
        maas_reply_tree(r, 200, v);
    else
        maas_req_fail(r, &err);
    return true;
}

void maas_versions_get(maas_req *r)
{
    run_for_model(r, version_on_io);
}

/* The model file, or another member: ?file=optimizer.state. */
static bool artifact_on_io(maas_req *r)
{
    maas_err err = {0};
    AUTO(maas_json_unref) json_t *v = NULL;
    int fd = -1;
    uint64_t bytes = 0;
    const char *member = maas_req_query(r, "file");
    maas_status st = find_version(r, &v, &err);
    if (!member)
        member = json_string_value(json_object_get(v, "artifact"));
    const char *hex = json_string_value(json_object_get(json_object_get(v, "files"), member));
    if (st == MAAS_OK && !hex)
        st = maas_fail(&err, MAAS_E_NOT_FOUND, "the version has no file '%.64s'",
                       member ? member : "");
    if (st == MAAS_OK)
        st = maas_blob_open(maas_app_of(r)->registry, hex, &fd, &bytes, &err);
    if (st == MAAS_OK)
        maas_req_reply_fd(r, 200, "application/octet-stream", fd, bytes);
    else
        maas_req_fail(r, &err);
    return true;
}

void maas_versions_artifact(maas_req *r)
{
    run_for_model(r, artifact_on_io);
}

/* ---- changing ---- */

static bool delete_model_on_io(maas_req *r)
{
    maas_err err = {0};
    maas_status st = maas_registry_model_delete(maas_app_of(r)->registry, maas_caller(r)->tenant,
                                                maas_req_param(r, 0), &err);
    maas_models_sweep(maas_app_of(r)->models);
    maas_reply_status(r, st, &err);
    return true;
}

void maas_models_delete(maas_req *r)
{
    run_for_model(r, delete_model_on_io);
}

static bool delete_version_on_io(maas_req *r)
{
    maas_err err = {0};
    int64_t version = 0;
    maas_status st = maas_version_param(r, 1, &version, &err);
    if (st == MAAS_OK)
        st = maas_registry_version_delete(maas_app_of(r)->registry, maas_caller(r)->tenant,
                                          maas_req_param(r, 0), version, &err);
    maas_models_sweep(maas_app_of(r)->models);
    maas_reply_status(r, st, &err);
    return true;
}

void maas_versions_delete(maas_req *r)
{
    run_for_model(r, delete_version_on_io);
}

static maas_status set_alias(maas_req *r, json_t **out, maas_err *err)
{
    static const char *const keys[] = {"version", NULL};
    AUTO(maas_json_unref) json_t *body = NULL;
    int64_t version = 0;
    MAAS_TRY(maas_body_object(r, &body, err));
    MAAS_TRY(maas_json_only(body, "", keys, err));
    MAAS_TRY(maas_json_get_i64(body, "", "version", 1, INT64_MAX, &version, err));
    if (!version)
        return maas_fail(err, MAAS_E_INVALID, "'version' is missing");
    MAAS_TRY(maas_registry_alias_set(maas_app_of(r)->registry, maas_caller(r)->tenant,
                                     maas_req_param(r, 0), maas_req_param(r, 1), version, err));
    *out = json_pack("{s:s, s:s, s:I}", "model", maas_req_param(r, 0), "alias",
                     maas_req_param(r, 1), "version", (json_int_t)version);
    return MAAS_OK;
}

static bool alias_on_io(maas_req *r)
{
    maas_err err = {0};
    json_t *body = NULL;
    if (set_alias(r, &body, &err) == MAAS_OK)
        maas_reply_tree(r, 200, body);
    else
        maas_req_fail(r, &err);
    return true;
}

void maas_aliases_put(maas_req *r)
{
    run_for_model(r, alias_on_io);
}

static bool delete_alias_on_io(maas_req *r)
{
    maas_err err = {0};
    maas_reply_status(r,
                      maas_registry_alias_delete(maas_app_of(r)->registry, maas_caller(r)->tenant,
                                                 maas_req_param(r, 0), maas_req_param(r, 1), &err),
                      &err);
    return true;
}

void maas_aliases_delete(maas_req *r)
{
    run_for_model(r, delete_alias_on_io);
}
