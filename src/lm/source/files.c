/* Which files belong to a model that was named by one path, and mapping them. */
#include "lm/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/ban.h"

/* ---- names ---- */

const char *const maas_lm_adapter_files[] = {"adapter_config.json", "adapter_model.safetensors",
                                             NULL};

static bool is_gguf(const char *name)
{
    const size_t n = strlen(name);
    return n > 5 && strcmp(name + n - 5, ".gguf") == 0;
}

bool maas_lm_is_format(const char *format)
{
    return strcmp(format, "gguf") == 0 || strcmp(format, "safetensors") == 0;
}

bool maas_lm_is_member(const char *path, const char *format)
{
    return maas_lm_is_adapter(path) ||
           (strcmp(format, "gguf") == 0 ? is_gguf(path) : maas_lm_is_wanted(path));
}

/* The length of what all parts of a split file begin with ("NAME-00001-of-00003.gguf"); 0: it is
 * whole. */
static size_t split_stem(const char *name)
{
    static const char shape[] = "-ddddd-of-ddddd.gguf";
    const size_t n = strlen(name), k = sizeof shape - 1;
    if (n <= k)
        return 0;
    for (size_t i = 0; i < k; i++) {
        const char c = name[n - k + i];
        if (shape[i] == 'd' ? c < '0' || c > '9' : c != shape[i])
            return 0;
    }
    return n - k + 1;
}

static maas_status add_name(maas_lm_names *n, const char *name, maas_err *err)
{
    if (n->n == MAAS_MAX_LM_FILES)
        return maas_fail(err, MAAS_E_TOO_LARGE, "%s has more than %d files of a language model",
                         n->folder, MAAS_MAX_LM_FILES);
    if (!maas_grow(&n->list, &n->cap, n->n + 1, sizeof *n->list) ||
        !(n->list[n->n] = maas_strdup(name)))
        return maas_fail(err, MAAS_E_NOMEM, "a list of files");
    n->n++;
    return MAAS_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_file(const char *folder, const char *name)
{
    struct stat sb;
    AUTO(maas_buf_reset) maas_buf path = MAAS_BUF_INIT(1 << 16);
    maas_buf_printf(&path, "%s/%s", folder, name);
    return !path.failed && stat(path.p, &sb) == 0 && S_ISREG(sb.st_mode);
}

/* Parts of `part` (a split GGUF file), or with NULL what is read of a Hugging Face folder. */
static maas_status list_folder(maas_lm_names *n, const char *part, maas_err *err)
{
    const size_t stem = part ? split_stem(part) : 0;
    maas_status st = MAAS_OK;
    DIR *d = opendir(n->folder);
    if (!d)
        return maas_fail(err, maas_status_of_errno(errno), "%.200s: %m", n->folder);
    for (const struct dirent *e; st == MAAS_OK && (e = readdir(d));) {
        char inner[sizeof e->d_name + sizeof "/config.json"]; /* of sentence-transformers */
        snprintf(inner, sizeof inner, "%s/config.json", e->d_name);
        if (!part && maas_lm_is_wanted(inner) && is_file(n->folder, inner))
            st = add_name(n, inner, err);
        else if (part ? split_stem(e->d_name) == stem && strncmp(e->d_name, part, stem) == 0 &&
                            strcmp(strrchr(e->d_name, '-'), strrchr(part, '-')) == 0
                      : maas_lm_is_wanted(e->d_name))
            st = add_name(n, e->d_name, err);
    }
    closedir(d);
    if (n->n)
        qsort(n->list, n->n, sizeof *n->list, by_name);
    return st;
}

static maas_status list_all(const char *path, maas_lm_names *n, maas_err *err)
{
    struct stat sb;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (stat(path, &sb) != 0)
        return maas_fail(err, maas_status_of_errno(errno), "%.200s: %m", path);
    n->folder = S_ISDIR(sb.st_mode) ? maas_strdup(path)
                : slash             ? maas_strndup(path, (size_t)(slash - path) + 1)
                                    : maas_strdup(".");
    if (!n->folder)
        return maas_fail(err, MAAS_E_NOMEM, "a list of files");
    if (!S_ISDIR(sb.st_mode))
        return is_gguf(name) && split_stem(name) ? list_folder(n, name, err)
                                                 : add_name(n, name, err);
    MAAS_TRY(list_folder(n, NULL, err));
    for (size_t i = 0; i < n->n; i++)
        if (strcmp(n->list[i], "config.json") == 0)
            return MAAS_OK;
    return maas_fail(err, MAAS_E_INVALID, "%.200s has no config.json: it is no model's folder",
                     path);
}

maas_status maas_lm_names_of(const char *path, maas_lm_names *out, maas_err *err)
{
    *out = (maas_lm_names){0};
    const maas_status st = list_all(path, out, err);
    if (st != MAAS_OK)
        maas_lm_names_reset(out);
    return st;
}

void maas_lm_names_reset(maas_lm_names *n)
{
    for (size_t i = 0; i < n->n; i++)
        maas_free(n->list[i]);
    maas_free(n->list);
    maas_free(n->folder);
    *n = (maas_lm_names){0};
}

/* ---- files ---- */

maas_status maas_lm_files_add(maas_lm_files *f, const char *path, int fd, maas_err *err)
{
    if (f->n == MAAS_MAX_LM_FILES)
        return maas_fail(err, MAAS_E_TOO_LARGE, "a language model of more than %d files",
                         MAAS_MAX_LM_FILES);
    char *copy = maas_strdup(path);
    if (!copy || !maas_grow(&f->list, &f->cap_list, f->n + 1u, sizeof *f->list) ||
        !maas_grow(&f->maps, &f->cap_maps, f->n + 1u, sizeof *f->maps)) {
        maas_free(copy);
        return maas_fail(err, MAAS_E_NOMEM, "the files of a language model");
    }
    const maas_status st = maas_sys_map(fd, &f->maps[f->n], err);
    if (st != MAAS_OK) {
        maas_free(copy);
        return st;
    }
    const maas_map *m = &f->maps[f->n];
    f->list[f->n++] = (maas_lm_file){copy, maas_span_of(m->p, m->n)};
    f->bytes += m->n;
    return MAAS_OK;
}

static maas_status add_named(maas_lm_files *f, const char *folder, const char *name, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf path = MAAS_BUF_INIT(8192);
    maas_buf_printf(&path, "%s/%s", folder, name);
    if (path.failed)
        return maas_fail(err, MAAS_E_INVALID, "the path of %.80s is too long", name);
    AUTO_FD fd = open(path.p, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return maas_fail(err, maas_status_of_errno(errno), "%.200s: %m", path.p);
    return maas_lm_files_add(f, name, fd, err);
}

maas_status maas_lm_files_open(maas_lm_files *f, const char *path, maas_err *err)
{
    maas_lm_names names;
    MAAS_TRY(maas_lm_names_of(path, &names, err));
    maas_status st = MAAS_OK;
    for (size_t i = 0; i < names.n && st == MAAS_OK; i++)
        st = add_named(f, names.folder, names.list[i], err);
    maas_lm_names_reset(&names);
    return st;
}

void maas_lm_files_rest(const maas_lm_files *f)
{
    for (uint32_t i = 0; i < f->n; i++)
        maas_sys_map_rest(&f->maps[i]);
}

void maas_lm_files_reset(maas_lm_files *f)
{
    for (uint32_t i = 0; i < f->n; i++) {
        maas_free((char *)(uintptr_t)f->list[i].path);
        maas_sys_unmap(&f->maps[i]);
    }
    maas_free(f->list);
    maas_free(f->maps);
    *f = (maas_lm_files){0};
}
