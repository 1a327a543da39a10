#include "api/model_files.h"

#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/ban.h"

void maas_model_files_close(maas_model_files *m)
{
    for (uint32_t i = 0; m->owned && i < m->n; i++)
        close(m->fds[i]);
    m->n = 0;
}

static maas_status add(maas_model_files *m, const char *path, int fd, maas_err *err)
{
    if (m->n == MAAS_MAX_LM_FILES)
        return maas_fail(err, MAAS_E_TOO_LARGE,
                         "a model of more than %d files: save its data in one file",
                         MAAS_MAX_LM_FILES);
    for (uint32_t i = 0; i < m->n; i++)
        if (strcmp(m->paths[i], path) == 0)
            return maas_fail(err, MAAS_E_INVALID, "two files of the upload are called '%.100s'",
                             path);
    m->paths[m->n] = path;
    m->fds[m->n++] = fd;
    return MAAS_OK;
}

/* ---- a form ---- */

static const char *const roles[] = {"data", "weights", "image_recipe", "labels"};
enum { DATA, WEIGHTS };

static int role_of(const maas_upload_part *p)
{
    for (int i = 0; i < (int)MAAS_COUNT(roles); i++)
        if (strcmp(p->name, roles[i]) == 0)
            return i;
    return -1;
}

bool maas_model_files_is_extra(const maas_upload_part *p)
{
    return role_of(p) > WEIGHTS;
}

static maas_status add_part(maas_model_files *m, const maas_upload_part *p, maas_err *err)
{
    const int role = role_of(p);
    if (role > WEIGHTS || role < 0)
        return MAAS_OK;
    if (role == DATA && (!p->file_name || !*p->file_name))
        return maas_fail(err, MAAS_E_INVALID,
                         "a part 'data' needs a file name: what the model calls it");
    if (role == WEIGHTS && m->weights)
        return maas_fail(err, MAAS_E_INVALID, "the part 'weights' is there twice");
    const char *path = p->file_name && *p->file_name ? p->file_name : p->name;
    MAAS_TRY(add(m, path, p->fd, err));
    if (role == WEIGHTS)
        m->weights = path;
    return MAAS_OK;
}

maas_status maas_model_files_of_upload(const maas_upload *u, maas_model_files *out, maas_err *err)
{
    const maas_upload_part *model = NULL;
    int n = 0;
    for (const maas_upload_part *p = u->parts; p; p = p->next)
        if (role_of(p) < 0) {
            model = p;
            n++;
        }
    if (n != 1)
        return maas_fail(err, MAAS_E_INVALID,
                         "a model version is one file, beside the parts 'data', 'weights', "
                         "'image_recipe' and 'labels'; several go through blobs");
    /* No part of another name may be taken for the model: it has a name that no file has. */
    MAAS_TRY(add(out, "", model->fd, err));
    for (const maas_upload_part *p = u->parts; p; p = p->next)
        MAAS_TRY(add_part(out, p, err));
    return MAAS_OK;
}

/* ---- a manifest ---- */

static maas_status add_blob(maas_app *app, const json_t *files, const char *path,
                            maas_model_files *m, maas_err *err)
{
    uint64_t bytes;
    int fd = -1;
    const char *hex = json_string_value(json_object_get(files, path));
    if (!hex)
        return maas_fail(err, MAAS_E_INVALID, "'files.%.64s' must be a SHA-256 in hex", path);
    MAAS_TRY(maas_blob_open(app->registry, hex, &fd, &bytes, err));
    maas_status st = add(m, path, fd, err);
    if (st != MAAS_OK)
        close(fd);
    return st;
}

maas_status maas_model_files_of_manifest(maas_app *app, const json_t *files, const char *model,
                                         const char *weights, maas_model_files *out, maas_err *err)
{
    const char *path;
    json_t *hex;
    const size_t n = strlen(model);
    out->owned = true;
    if (weights && (!json_object_get(files, weights) || strcmp(weights, model) == 0))
        return maas_fail(err, MAAS_E_INVALID, "'weights' must be a path of 'files': '%.64s' is not",
                         weights);
    MAAS_TRY(add_blob(app, files, model, out, err));
    /* A language model's other files are none of its importer's business. */
    if (n >= 5 && strcmp(model + n - 5, ".gguf") == 0 && !weights)
        return MAAS_OK;
    json_object_foreach((json_t *)(uintptr_t)files, path, hex)
    {
        if (strcmp(path, model) != 0)
            MAAS_TRY(add_blob(app, files, path, out, err));
    }
    out->weights = weights;
    return MAAS_OK;
}

void maas_model_files_drop(json_t *files, const json_t *used)
{
    size_t i;
    json_t *path;
    json_array_foreach(used, i, path) json_object_del(files, json_string_value(path));
}
