/* cli/import_parts.c - the files of an ONNX model whose data is beside it, as parts of a form. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sys.h"
#include "cli/model.h"
#include "formats/members.h"
#include "formats/onnx.h"
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

maas_status maas_model_parts_of(maas_model_parts *p, const char *file, maas_err *err)
{
    beside b = {p, file};
    maas_map map;
    AUTO_FD fd = -1;
    maas_arena_init(&p->names, NULL);
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
        st = maas_onnx_externals(bytes, add_data, &b, err);
    maas_sys_unmap(&map);
    return st;
}
