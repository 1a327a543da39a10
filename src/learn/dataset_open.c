/*
 * learn/dataset_open.c - a manifest and its blobs become mapped columns.
 *
 * Both come from disk: names, shapes, sizes, array headers and text offsets are checked before
 * anyone computes with them. Digests are the business of whoever owns the blobs.
 */
#include "learn/dataset.h"

#include "base/mem.h"
#include "formats/batch.h"
#include "formats/npy.h"
#include "base/ban.h"

#define MAX_ROWS ((int64_t)1 << 40)

typedef struct opening {
    maas_dataset *d;
    maas_map *map;       /* of the column */
    maas_ds_column *col; /* being filled  */
    const json_t *json;  /* its object in the manifest */
} opening;

__attribute__((format(printf, 4, 5))) static maas_status refuse(const opening *o, maas_status st,
                                                                maas_err *err, const char *fmt, ...)
{
    char words[240];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    return maas_fail(err, st, "column \"%s\": %s", o->col->desc.name, words);
}

/* ---- the manifest ---- */

static maas_status read_shape(const opening *o, maas_err *err)
{
    maas_column *c = &o->col->desc;
    const json_t *shape = json_object_get(o->json, "shape");
    if (!json_is_array(shape) || json_array_size(shape) >= MAAS_MAX_RANK)
        return refuse(o, MAAS_E_FORMAT, err, "the shape is no list of at most %d dimensions",
                      MAAS_MAX_RANK - 1);
    c->rank = (int)json_array_size(shape);
    for (int i = 0; i < c->rank; i++) {
        const json_t *dim = json_array_get(shape, (size_t)i);
        c->dims[i] = json_is_integer(dim) ? json_integer_value(dim) : -1;
        if (c->dims[i] < 1)
            return refuse(o, MAAS_E_FORMAT, err, "dimension %d of the shape is no positive number",
                          i + 1);
    }
    size_t ignored;
    return maas_column_row_bytes(c, &ignored, err);
}

static maas_status read_column(const opening *o, uint32_t i, maas_err *err)
{
    maas_ds_column *col = o->col;
    const char *name = json_string_value(json_object_get(o->json, "name"));
    const char *dtype = json_string_value(json_object_get(o->json, "dtype"));
    if (!name)
        return maas_fail(err, MAAS_E_FORMAT, "column %u of the manifest has no name", i + 1);
    col->desc.name = name;
    col->desc.dtype = dtype ? maas_dtype_of_name(dtype) : MAAS_DT_NONE;
    if (col->desc.dtype == MAAS_DT_NONE)
        return refuse(o, MAAS_E_FORMAT, err, "the manifest gives no element type");
    col->stats = json_object_get(o->json, "stats");
    return read_shape(o, err);
}

/* ---- the blobs ---- */

static maas_status map_blob(const opening *o, const maas_blob_io *io, maas_err *err)
{
    const char *hex = json_string_value(json_object_get(o->json, "blob"));
    const json_t *bytes = json_object_get(o->json, "bytes");
    uint8_t digest[MAAS_SHA256_BYTES];
    AUTO_FD fd = -1;
    if (!hex || strlen(hex) != MAAS_SHA256_HEX - 1 || !maas_unhex(hex, digest, sizeof digest))
        return refuse(o, MAAS_E_FORMAT, err, "the manifest names no blob");
    maas_err why = {0};
    maas_status st = io->open(io->user, hex, &fd, &why);
    if (st == MAAS_OK)
        st = maas_sys_map(fd, o->map, &why);
    if (st != MAAS_OK)
        return refuse(o, st, err, "%s", why.msg);
    if (!json_is_integer(bytes) || (uint64_t)json_integer_value(bytes) != o->map->n)
        return refuse(o, MAAS_E_FORMAT, err, "the blob has %zu bytes, the manifest says %lld",
                      o->map->n, (long long)json_integer_value(bytes));
    return MAAS_OK;
}

/* The header of the blob must say exactly what the manifest says. */
static maas_status check_header(const opening *o, maas_dtype t, int rank, const int64_t *dims,
                                maas_npy *h, maas_err *err)
{
    maas_err why = {0};
    maas_status st = maas_npy_header(maas_span_of(o->map->p, o->map->n), h, &why);
    if (st != MAAS_OK)
        return refuse(o, MAAS_E_FORMAT, err, "%s", why.msg);
    bool same = h->dtype == t && !h->swap && !h->fortran && h->rank == rank &&
                h->header_bytes % 64 == 0;
    for (int i = 0; same && i < rank; i++)
        same = h->dims[i] == dims[i];
    return same ? MAAS_OK
                : refuse(o, MAAS_E_FORMAT, err,
                         "the array in the blob has another type or shape than the manifest says");
}

static maas_status open_numbers(const opening *o, maas_err *err)
{
    const maas_column *c = &o->col->desc;
    int64_t dims[MAAS_MAX_RANK] = {o->d->n_rows};
    size_t row, all;
    maas_npy h;
    memcpy(dims + 1, c->dims, (size_t)c->rank * sizeof *dims);
    MAAS_TRY(check_header(o, c->dtype, c->rank + 1, dims, &h, err));
    MAAS_TRY(maas_column_row_bytes(c, &row, err));
    if (__builtin_mul_overflow(row, (size_t)o->d->n_rows, &all) ||
        all != o->map->n - h.header_bytes)
        return refuse(o, MAAS_E_FORMAT, err, "the blob has %zu bytes of elements, %zu expected",
                      o->map->n - h.header_bytes, all);
    o->col->data = o->map->p + h.header_bytes;
    return MAAS_OK;
}

static maas_status check_offsets(const opening *o, int64_t n, size_t n_bytes, maas_err *err)
{
    const int64_t *at = o->col->offsets;
    bool ascend = at[0] == 0;
    for (int64_t i = 0; i < n; i++)
        ascend &= at[i + 1] >= at[i];
    if (!ascend || (uint64_t)at[n] > n_bytes)
        return refuse(o, MAAS_E_FORMAT, err,
                      "the offsets of the text do not ascend from 0 to its end");
    return MAAS_OK;
}

static maas_status open_texts(const opening *o, maas_err *err)
{
    const maas_column *c = &o->col->desc;
    int64_t n;
    size_t offsets_bytes;
    maas_npy h;
    if (__builtin_mul_overflow(o->d->n_rows, maas_dims_product(c->dims, 0, c->rank), &n) ||
        n >= MAX_ROWS)
        return refuse(o, MAAS_E_TOO_LARGE, err, "too many elements");
    int64_t n_offsets = n + 1;
    MAAS_TRY(check_header(o, MAAS_I64, 1, &n_offsets, &h, err));
    offsets_bytes = (size_t)n_offsets * sizeof(int64_t);
    size_t left = o->map->n - h.header_bytes;
    if (left < offsets_bytes)
        return refuse(o, MAAS_E_FORMAT, err, "the blob ends in the offsets of the text");
    left -= offsets_bytes;
    o->col->offsets = (const int64_t *)(const void *)(o->map->p + h.header_bytes);
    o->col->bytes = (const char *)o->map->p + h.header_bytes + offsets_bytes;
    MAAS_TRY(check_offsets(o, n, left, err));
    left -= (size_t)o->col->offsets[n];
    if (left == 0)
        return MAAS_OK;
    if (left != ((size_t)n + 7) / 8)
        return refuse(o, MAAS_E_FORMAT, err, "%zu bytes after the text are no bitmap of %lld rows",
                      left, (long long)n);
    o->col->missing = (const uint8_t *)o->col->bytes + o->col->offsets[n];
    return MAAS_OK;
}

/* ---- the whole ---- */

static maas_status make(const json_t *manifest, maas_dataset **out, maas_err *err)
{
    const json_t *rows = json_object_get(manifest, "rows");
    const json_t *columns = json_object_get(manifest, "columns");
    size_t n = json_array_size(columns);
    if (!json_is_integer(rows) || json_integer_value(rows) < 0 ||
        json_integer_value(rows) > MAX_ROWS)
        return maas_fail(err, MAAS_E_FORMAT, "the manifest of the data set has no number of rows");
    if (!n || n > MAAS_MAX_COLUMNS)
        return maas_fail(err, MAAS_E_FORMAT, "the manifest of the data set has %zu columns", n);
    maas_dataset *d = maas_calloc(1, sizeof *d);
    if (!d)
        return maas_fail(err, MAAS_E_NOMEM, "no memory left to open a data set");
    *out = d;
    d->n_rows = json_integer_value(rows);
    d->n_cols = (uint32_t)n;
    d->manifest = json_incref((json_t *)(uintptr_t)manifest);
    d->cols = maas_calloc(n, sizeof *d->cols);
    d->maps = maas_calloc(n, sizeof(maas_map));
    return d->cols && d->maps ? MAAS_OK
                              : maas_fail(err, MAAS_E_NOMEM, "no memory left to open a data set");
}

static maas_status check_names(const maas_dataset *d, maas_err *err)
{
    AUTO_FREE maas_column *cols = maas_calloc(d->n_cols, sizeof *cols);
    if (!cols)
        return maas_fail(err, MAAS_E_NOMEM, "no memory left to open a data set");
    for (uint32_t i = 0; i < d->n_cols; i++)
        cols[i] = d->cols[i].desc;
    return maas_columns_check(cols, d->n_cols, err);
}

static void close_dataset(maas_dataset **d)
{
    maas_dataset_close(*d);
}

maas_status maas_dataset_open(const json_t *manifest, const maas_blob_io *io, maas_dataset **out,
                              maas_err *err)
{
    AUTO(close_dataset) maas_dataset *d = NULL;
    MAAS_TRY(make(manifest, &d, err));
    opening o = {.d = d};
    for (uint32_t i = 0; i < d->n_cols; i++) {
        o.map = (maas_map *)d->maps + i;
        o.col = &d->cols[i];
        o.json = json_array_get(json_object_get(manifest, "columns"), i);
        MAAS_TRY(read_column(&o, i, err));
        MAAS_TRY(map_blob(&o, io, err));
        MAAS_TRY(o.col->desc.dtype == MAAS_STRING ? open_texts(&o, err) : open_numbers(&o, err));
    }
    MAAS_TRY(check_names(d, err));
    *out = STEAL(d);
    return MAAS_OK;
}

void maas_dataset_close(maas_dataset *d)
{
    if (!d)
        return;
    for (uint32_t i = 0; d->maps && i < d->n_cols; i++)
        maas_sys_unmap((maas_map *)d->maps + i);
    maas_free(d->maps);
    maas_free(d->cols);
    json_decref(d->manifest);
    maas_free(d);
}

const maas_ds_column *maas_dataset_column(const maas_dataset *d, const char *name)
{
    for (uint32_t i = 0; i < d->n_cols; i++)
        if (!strcmp(d->cols[i].desc.name, name))
            return &d->cols[i];
    return NULL;
}
