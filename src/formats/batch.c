/* formats/batch.c - see batch.h. */
#include "formats/batch.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "base/ban.h"

#define BATCH_BYTES    ((size_t)4 << 20)
#define BATCH_TEXT     ((size_t)4 << 20)
#define BATCH_MAX_ROWS 16384
#define MAX_ROW_BYTES  ((size_t)256 << 20)

maas_status maas_column_row_bytes(const maas_column *c, size_t *out, maas_err *err)
{
    maas_err why = {0};
    maas_status st = maas_shape_bytes(c->dtype, c->dims, c->rank, out, &why);
    if (st == MAAS_OK && *out > MAX_ROW_BYTES)
        st = maas_fail(&why, MAAS_E_TOO_LARGE, "one row has %zu bytes, at most %zu", *out,
                       MAX_ROW_BYTES);
    return st == MAAS_OK ? st : maas_fail(err, st, "column \"%s\": %s", c->name, why.msg);
}

int64_t maas_batch_rows(size_t row_bytes)
{
    size_t n = row_bytes ? BATCH_BYTES / row_bytes : BATCH_MAX_ROWS;
    return n < 1 ? 1 : n > BATCH_MAX_ROWS ? BATCH_MAX_ROWS : (int64_t)n;
}

static maas_status no_memory(uint32_t n_cols, maas_err *err)
{
    return maas_fail(err, MAAS_E_NOMEM, "no memory left for a batch of rows of %u columns", n_cols);
}

/* Missing until written. */
static void clear_rows(maas_batch *b)
{
    for (uint32_t i = 0; i < b->n_cols; i++) {
        const maas_tensor *t = &b->tensors[i];
        size_t n = (size_t)maas_dims_product(t->dims, 1, t->rank) * (size_t)b->cap;
        if (t->dtype == MAAS_F32)
            for (size_t k = 0; k < n; k++)
                ((float *)t->data)[k] = NAN;
        else if (t->dtype == MAAS_F64)
            for (size_t k = 0; k < n; k++)
                ((double *)t->data)[k] = NAN;
        else
            memset(t->data, 0, b->row_bytes[i] * (size_t)b->cap);
    }
}

/* Bytes of a row, rows of a batch, and whether all of them are in proportion to the file. */
static maas_status measure(maas_batch *b, int64_t n_rows, uint64_t file_bytes, maas_err *err)
{
    size_t total = 0;
    uint64_t all, limit = MAAS_UNPACK_FLOOR + MAAS_UNPACK_RATIO * file_bytes;
    b->row_bytes = maas_arena_array(&b->arena, b->n_cols, sizeof *b->row_bytes);
    if (!b->row_bytes)
        return no_memory(b->n_cols, err);
    for (uint32_t i = 0; i < b->n_cols; i++) {
        MAAS_TRY(maas_column_row_bytes(&b->cols[i], &b->row_bytes[i], err));
        total += b->row_bytes[i];
    }
    if (__builtin_mul_overflow((uint64_t)total, (uint64_t)n_rows, &all) || all > limit)
        return maas_fail(err, MAAS_E_TOO_LARGE,
                         "%lld rows of %zu bytes are more than %u times the size of the file: the "
                         "table is too sparse to be stored",
                         (long long)n_rows, total, (unsigned)MAAS_UNPACK_RATIO);
    b->cap = maas_batch_rows(total);
    if (n_rows < b->cap)
        b->cap = n_rows ? n_rows : 1;
    return MAAS_OK;
}

static maas_status make_columns(maas_batch *b, maas_err *err)
{
    b->tensors = maas_arena_array(&b->arena, b->n_cols, sizeof *b->tensors);
    if (!b->tensors)
        return no_memory(b->n_cols, err);
    for (uint32_t i = 0; i < b->n_cols; i++) {
        const maas_column *c = &b->cols[i];
        void *data = maas_arena_array(&b->arena, (size_t)b->cap, b->row_bytes[i]);
        if (!data)
            return no_memory(b->n_cols, err);
        int64_t dims[MAAS_MAX_RANK] = {b->cap};
        memcpy(dims + 1, c->dims, (size_t)c->rank * sizeof *dims);
        b->tensors[i] = maas_tensor_of(c->dtype, c->rank + 1, dims, data);
    }
    clear_rows(b);
    return MAAS_OK;
}

maas_status maas_batch_begin(maas_batch *b, const maas_column *cols, uint32_t n_cols,
                             int64_t n_rows, uint64_t file_bytes, const maas_table_sink *sink,
                             maas_budget *budget, maas_err *err)
{
    *b = (maas_batch){.cols = cols, .n_cols = n_cols, .sink = sink};
    maas_arena_init(&b->arena, budget);
    maas_arena_init(&b->text, budget);
    b->text.first_block = (size_t)64 << 10;
    MAAS_TRY(maas_columns_check(cols, n_cols, err));
    MAAS_TRY(measure(b, n_rows, file_bytes, err));
    MAAS_TRY(make_columns(b, err));
    return sink->begin(sink->user, cols, n_cols, n_rows, err);
}

char *maas_batch_text(maas_batch *b, const void *p, size_t n)
{
    b->text_bytes += n;
    return maas_arena_dup(&b->text, p, n);
}

static maas_status flush(maas_batch *b, maas_err *err)
{
    if (!b->n)
        return MAAS_OK;
    for (uint32_t i = 0; i < b->n_cols; i++)
        b->tensors[i].dims[0] = b->n;
    MAAS_TRY(b->sink->rows(b->sink->user, b->n, b->tensors, err));
    b->n = 0;
    b->text_bytes = 0;
    maas_arena_reset(&b->text);
    clear_rows(b);
    return MAAS_OK;
}

maas_status maas_batch_next(maas_batch *b, maas_err *err)
{
    b->n++;
    return b->n == b->cap || b->text_bytes >= BATCH_TEXT ? flush(b, err) : MAAS_OK;
}

maas_status maas_batch_end(maas_batch *b, maas_err *err)
{
    MAAS_TRY(flush(b, err));
    return b->sink->end(b->sink->user, err);
}

void maas_batch_reset(maas_batch *b)
{
    maas_arena_reset(&b->text);
    maas_arena_reset(&b->arena);
}

/* ---- columns ---- */

static maas_status check_name(const char *name, uint32_t i, maas_err *err)
{
    size_t n = name ? strlen(name) : 0;
    if (!n)
        return maas_fail(err, MAAS_E_FORMAT, "column %u has no name", i + 1);
    if (n > MAAS_MAX_NAME)
        return maas_fail(err, MAAS_E_FORMAT, "column %u: the name has %zu bytes, at most %d", i + 1,
                         n, MAAS_MAX_NAME);
    if (!maas_utf8_valid(maas_span_of(name, n)))
        return maas_fail(err, MAAS_E_FORMAT, "column %u: the name is not UTF-8", i + 1);
    for (size_t k = 0; k < n; k++)
        if ((unsigned char)name[k] < 0x20 || name[k] == 0x7f)
            return maas_fail(err, MAAS_E_FORMAT, "column %u: a control character in the name",
                             i + 1);
    return MAAS_OK;
}

static int by_name(const void *a, const void *b)
{
    const maas_column *x = *(const maas_column *const *)a, *y = *(const maas_column *const *)b;
    int order = strcmp(x->name, y->name);
    return order ? order : x < y ? -1 : x > y;
}

maas_status maas_columns_check(const maas_column *cols, uint32_t n_cols, maas_err *err)
{
    if (!n_cols || n_cols > MAAS_MAX_COLUMNS)
        return maas_fail(err, n_cols ? MAAS_E_TOO_LARGE : MAAS_E_FORMAT,
                         "the table has %u columns, 1 to %d are possible", n_cols,
                         MAAS_MAX_COLUMNS);
    for (uint32_t i = 0; i < n_cols; i++) {
        MAAS_TRY(check_name(cols[i].name, i, err));
        if (cols[i].rank < 0 || cols[i].rank >= MAAS_MAX_RANK)
            return maas_fail(err, MAAS_E_FORMAT, "column \"%s\" has %d dimensions, at most %d",
                             cols[i].name, cols[i].rank, MAAS_MAX_RANK - 1);
    }
    AUTO_FREE const maas_column **sorted = maas_calloc(n_cols, sizeof *sorted);
    if (!sorted)
        return no_memory(n_cols, err);
    for (uint32_t i = 0; i < n_cols; i++)
        sorted[i] = &cols[i];
    qsort(sorted, n_cols, sizeof *sorted, by_name);
    for (uint32_t i = 1; i < n_cols; i++)
        if (!strcmp(sorted[i - 1]->name, sorted[i]->name))
            return maas_fail(err, MAAS_E_FORMAT, "columns %lld and %lld are both called \"%s\"",
                             (long long)(sorted[i - 1] - cols) + 1,
                             (long long)(sorted[i] - cols) + 1, sorted[i]->name);
    return MAAS_OK;
}

maas_status maas_column_wanted(const maas_table_opts *o, const char *name, maas_dtype *out,
                               maas_err *err)
{
    *out = MAAS_DT_NONE;
    const json_t *want = o && o->types ? json_object_get(o->types, name) : NULL;
    if (!want)
        return MAAS_OK;
    const char *text = json_string_value(want);
    *out = text ? maas_dtype_of_name(text) : MAAS_DT_NONE;
    /* Half formats are for weights, not for data at rest. */
    if (*out == MAAS_F16 || *out == MAAS_BF16 || !maas_dtype_in(*out, MAAS_DTS_PLAIN))
        return maas_fail(err, MAAS_E_INVALID,
                         "types: column \"%s\": expected one of float, double, bool, string, int8 "
                         "to int64, uint8 to uint64, got %s%s",
                         name, text ? "" : "something else than text", text ? text : "");
    return MAAS_OK;
}

maas_status maas_wanted_check(const maas_table_opts *o, const maas_column *cols, uint32_t n_cols,
                              maas_err *err)
{
    if (!o || !o->types)
        return MAAS_OK;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)o->types, key, value)
    {
        uint32_t i = 0;
        while (i < n_cols && strcmp(cols[i].name, key) != 0)
            i++;
        if (i == n_cols)
            return maas_fail(err, MAAS_E_INVALID, "types: the file has no column \"%.128s\"", key);
    }
    return MAAS_OK;
}
