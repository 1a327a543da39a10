/* cli/import_parts.c - the files of a model whose data is beside it (ONNX, SavedModel), as parts of
 * a form. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sys.h"
#include "cli/model.h"
#include "formats/members.h"
#include "formats/onnx.h"
#include "formats/savedmodel/savedmodel.h"
#include "base/ban.h"

maas_status maas_model_parts_add(maas_model_parts *p, const char *name, const char *path,
                                 const char *as, maas_err *err)
{
    if (!path)
        return MAAS_OK;
    if (!maas_grow(&p->list, &p->cap, p->n + 1, sizeof *p->list))
        return maas_fail(err, MAAS_E_NOMEM, "memory for an upload");
    p->list[p->n++] = (maas_http_part){name, path, as};
    return MAAS_OK;
}

void maas_model_parts_reset(maas_model_parts *p)
{
    maas_arena_reset(&p->names);
    maas_free(p->list);
}

typedef struct beside {
    maas_model_parts *parts;
    const char *model; /* path of its file */
} beside;

/* What is not there is not sent: the server says which tensor wants it. */
static maas_status add_data(void *user, const char *location, maas_err *err)
{
    const beside *b = user;
    maas_model_parts *p = b->parts;
    const char *slash = strrchr(b->model, '/');
    const int n_folder = slash ? (int)(slash - b->model) + 1 : 0;
    AUTO(maas_buf_reset) maas_buf path = MAAS_BUF_INIT(4 * MAAS_MAX_LOCATION);
    maas_buf_printf(&path, "%.*s", n_folder, b->model);
    maas_status st = maas_location_plain(location, &path, err);
    if (st != MAAS_OK) {
        maas_err_prefix(err, "%.100s", b->model);
        return st;
    }
    for (size_t i = 1; i < p->n; i++)
        if (strcmp(p->list[i].file, path.p) == 0)
            return MAAS_OK;
    if (access(path.p, R_OK) != 0)
        return MAAS_OK;
    const char *own = maas_arena_strdup(&p->names, path.p);
    return own ? maas_model_parts_add(p, "data", own, own + n_folder, err)
               : maas_fail(err, MAAS_E_NOMEM, "memory for an upload");
}

/* A SavedModel's variables: what is in the folder of that name beside its graph. */
static maas_status add_variables(const beside *b, maas_err *err)
{
    const char *slash = strrchr(b->model, '/');
    const int n_folder = slash ? (int)(slash - b->model) + 1 : 0;
    AUTO(maas_buf_reset) maas_buf folder = MAAS_BUF_INIT(4 * MAAS_MAX_LOCATION);
    maas_buf_printf(&folder, "%.*svariables", n_folder, b->model);
    DIR *d = folder.failed ? NULL : opendir(folder.p);
    maas_status st = MAAS_OK;
    for (const struct dirent *e; d && st == MAAS_OK && (e = readdir(d));) {
        char name[300];
        if (strncmp(e->d_name, "variables.", 10) != 0)
            continue;
        snprintf(name, sizeof name, "variables/%s", e->d_name);
        st = add_data((void *)(uintptr_t)b, name, err);
    }
    if (d)
        closedir(d);
    return st;
}

/* The graph of a SavedModel, when `file` is its folder. */
static maas_status model_of(maas_model_parts *p, const char **file, maas_err *err)
{
    struct stat sb;
    if (stat(*file, &sb) != 0 || !S_ISDIR(sb.st_mode))
        return MAAS_OK;
    const char *graph = maas_arena_printf(&p->names, "%s/saved_model.pb", *file);
    if (!graph)
        return maas_fail(err, MAAS_E_NOMEM, "memory for an upload");
    *file = graph;
    return MAAS_OK;
}

maas_status maas_model_parts_of(maas_model_parts *p, const char *file, maas_err *err)
{
    maas_map map;
    AUTO_FD fd = -1;
    maas_arena_init(&p->names, NULL);
    MAAS_TRY(model_of(p, &file, err));
    const beside b = {p, file};
    MAAS_TRY(maas_model_parts_add(p, "model", file, NULL, err));
    maas_status st = maas_sys_open(file, O_RDONLY, &fd, err);
    if (st == MAAS_OK)
        st = maas_sys_map(fd, &map, err);
    if (st != MAAS_OK) {
        maas_err_prefix(err, "%.200s", file);
        return st;
    }
    const maas_span bytes = maas_span_of(map.p, map.n);
    if (maas_onnx_probe(bytes))
        st = maas_onnx_externals(bytes, add_data, (void *)(uintptr_t)&b, err);
    else if (maas_savedmodel_probe(bytes))
        st = add_variables(&b, err);
    maas_sys_unmap(&map);
    return st;
}
