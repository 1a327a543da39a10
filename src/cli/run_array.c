#include "cli/run.h"

#include <fcntl.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "formats/batch.h"
#include "base/ban.h"

typedef struct reading {
    maas_run_array *a;
    const char *name;
    uint32_t at; /* column of the file */
    size_t row_bytes;
} reading;

static maas_status begin(void *user, const maas_column *cols, uint32_t n_cols, int64_t n_rows,
                         maas_err *err)
{
    reading *r = user;
    (void)n_rows;
    for (r->at = 0; n_cols > 1 && r->at < n_cols; r->at++)
        if (strcmp(cols[r->at].name, r->name) == 0)
            break;
    if (r->at == n_cols)
        return maas_fail(err, MAAS_E_INVALID, "%u columns, and none is called '%.64s'", n_cols,
                         r->name);
    r->a->col = cols[r->at];
    r->a->col.name = NULL; /* borrowed for the call */
    return maas_column_row_bytes(&cols[r->at], &r->row_bytes, err);
}

static maas_status keep_texts(maas_run_array *a, int64_t n_elems, const maas_str *s, maas_err *err)
{
    const char **to = (const char **)((char *)a->data + a->n_bytes);
    for (int64_t i = 0; i < n_elems; i++)
        if (!(to[i] = maas_arena_strndup(&a->texts, s[i].p ? s[i].p : "", s[i].n)))
            return maas_fail(err, MAAS_E_NOMEM, "memory for the file");
    return MAAS_OK;
}

static maas_status rows(void *user, int64_t n, const maas_tensor *cols, maas_err *err)
{
    reading *r = user;
    const maas_tensor *t = &cols[r->at];
    bool text = t->dtype == MAAS_STRING;
    int64_t n_elems = maas_n_elems(t);
    size_t bytes = text ? (size_t)n_elems * sizeof(const char *) : (size_t)n * r->row_bytes;
    if (!maas_grow(&r->a->data, &r->a->cap, r->a->n_bytes + bytes, 1))
        return maas_fail(err, MAAS_E_NOMEM, "memory for the file");
    if (text)
        MAAS_TRY(keep_texts(r->a, n_elems, t->data, err));
    else
        memcpy((char *)r->a->data + r->a->n_bytes, t->data, bytes);
    r->a->n_bytes += bytes;
    r->a->n_rows += n;
    return MAAS_OK;
}

static maas_status end(void *user, maas_err *err)
{
    (void)user;
    (void)err;
    return MAAS_OK;
}

maas_status maas_run_array_read(maas_run_array *a, const char *path, const char *name,
                                maas_err *err)
{
    AUTO_FD fd = -1;
    maas_map map = {0};
    const maas_table_opts o = MAAS_TABLE_OPTS_INIT;
    const char *slash = strrchr(path, '/');
    reading r = {.a = a, .name = name};
    const maas_table_sink sink = {&r, begin, rows, end};
    maas_status st = maas_sys_open(path, O_RDONLY, &fd, err);
    if (st == MAAS_OK)
        st = maas_sys_map(fd, &map, err);
    if (st == MAAS_OK)
        st = maas_table_read(maas_span_of(map.p, map.n), NULL, slash ? slash + 1 : path, &o, &sink,
                             err);
    maas_sys_unmap(&map);
    if (st != MAAS_OK)
        maas_err_prefix(err, "%s", path);
    return st;
}

maas_status maas_run_array_convert(maas_run_array *a, maas_dtype to, const char *input,
                                   maas_err *err)
{
    int64_t n = a->n_rows * maas_dims_product(a->col.dims, 0, a->col.rank);
    if (a->col.dtype == to)
        return MAAS_OK;
    if (a->col.dtype == MAAS_STRING || to == MAAS_STRING)
        return maas_fail(err, MAAS_E_INVALID, "input '%s' takes %s, the file holds %s", input,
                         maas_dtype_describe(to)->onnx, maas_dtype_describe(a->col.dtype)->onnx);
    size_t bytes = (size_t)n * maas_dtype_size(to);
    void *data = maas_alloc(bytes + 1);
    if (!data)
        return maas_fail(err, MAAS_E_NOMEM, "memory for input '%s'", input);
    const maas_tensor from = maas_tensor_of(a->col.dtype, 1, &n, a->data);
    const maas_tensor out = maas_tensor_of(to, 1, &n, data);
    for (int64_t i = 0; i < n; i++)
        maas_tensor_set(&out, i, maas_tensor_get(&from, i));
    maas_free(a->data);
    a->data = data;
    a->n_bytes = a->cap = bytes;
    a->col.dtype = to;
    return MAAS_OK;
}

void maas_run_array_reset(maas_run_array *a)
{
    maas_free(a->data);
    maas_arena_reset(&a->texts);
    *a = (maas_run_array){0};
}
