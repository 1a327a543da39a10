/* lib/external.c - data of a model in files beside it, mapped as they are asked for. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "formats/members.h"
#include "lib/lib_int.h"
#include "base/ban.h"

struct maas_lib_file {
    struct maas_lib_file *next;
    char *path;
    maas_map map;
};

/* Links are followed: caches of models keep their files under other names. */
static maas_status map_file(const char *path, const char *location, maas_map *out, maas_err *err)
{
    AUTO_FD fd = -1;
    struct stat sb;
    if (stat(path, &sb) != 0 || !S_ISREG(sb.st_mode))
        return maas_fail(err, MAAS_E_NOT_FOUND,
                         "wants file '%.100s', which is not beside the model", location);
    MAAS_TRY(maas_sys_open(path, O_RDONLY, &fd, err));
    return maas_sys_map(fd, out, err);
}

static maas_status add_file(maas_model *m, char **path, const char *location, maas_err *err)
{
    maas_map map;
    MAAS_TRY(map_file(*path, location, &map, err));
    struct maas_lib_file *f = maas_calloc(1, sizeof *f);
    if (!f) {
        maas_sys_unmap(&map);
        return maas_fail(err, MAAS_E_NOMEM, "memory for a model");
    }
    *f = (struct maas_lib_file){m->files, *path, map};
    *path = NULL;
    m->files = f;
    return MAAS_OK;
}

maas_status maas_lib_external(void *user, const char *location, maas_span *out, maas_err *err)
{
    const maas_lib_beside *b = user;
    const char *slash = strrchr(b->path, '/');
    AUTO(maas_buf_reset) maas_buf path = MAAS_BUF_INIT(4 * MAAS_MAX_LOCATION);
    maas_buf_printf(&path, "%.*s", slash ? (int)(slash - b->path) + 1 : 0, b->path);
    MAAS_TRY(maas_location_plain(location, &path, err));
    const struct maas_lib_file *f = b->model->files;
    while (f && strcmp(f->path, path.p) != 0)
        f = f->next;
    if (!f) {
        char *own = maas_strdup(path.p);
        const maas_status st = own ? add_file(b->model, &own, location, err)
                                   : maas_fail(err, MAAS_E_NOMEM, "memory for a model");
        maas_free(own);
        MAAS_TRY(st);
        f = b->model->files;
    }
    *out = maas_span_of(f->map.p, f->map.n);
    return MAAS_OK;
}

void maas_lib_files_free(maas_model *m)
{
    while (m->files) {
        struct maas_lib_file *f = m->files;
        m->files = f->next;
        maas_sys_unmap(&f->map);
        maas_free(f->path);
        maas_free(f);
    }
}
