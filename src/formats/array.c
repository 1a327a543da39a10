/* formats/array.c - see array.h. */
#include "formats/array.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "formats/batch.h"
#include "base/ban.h"

static maas_status no_memory(const maas_array *a, maas_err *err)
{
    return maas_fail(err, MAAS_E_NOMEM, "column \"%s\": no memory left for a batch of rows",
                     a->col.name);
}

static int64_t row_elems(const maas_array *a)
{
    return maas_dims_product(a->col.dims, 0, a->col.rank);
}

/* ---- bytes of the file to elements ---- */

/* A loop a width, so that each becomes vector code. */
#define SWAP_LOOP(type, swap)                                                                      \
    for (size_t i = 0; i < n; i++) {                                                               \
        type v;                                                                                    \
        memcpy(&v, (const uint8_t *)from + i * sizeof v, sizeof v);                                \
        ((type *)to)[i] = swap(v);                                                                 \
    }

static void copy_elems(void *to, const void *from, size_t n, size_t item, bool swap)
{
    if (!swap || item == 1)
        memcpy(to, from, n * item);
    else if (item == 2)
        SWAP_LOOP(uint16_t, __builtin_bswap16)
    else if (item == 4)
        SWAP_LOOP(uint32_t, __builtin_bswap32)
    else
        SWAP_LOOP(uint64_t, __builtin_bswap64)
}

/* In Fortran order element (r, i, j) is at r + rows * (i + dims[0] * j): rows are gathered. */
static void gather_fortran(const maas_array *a, uint8_t *to, const uint8_t *all, int64_t from,
                           int64_t n)
{
    int rank = a->col.rank;
    int64_t per_row = row_elems(a);
    for (int64_t e = 0; e < per_row; e++) {
        int64_t at = 0, stride = 1, rest = e, inner = per_row;
        for (int d = 0; d < rank; d++) {
            inner /= a->col.dims[d];
            at += rest / inner * stride;
            rest %= inner;
            stride *= a->col.dims[d];
        }
        const uint8_t *p = all + (size_t)(at * a->n_rows + from) * a->item;
        for (int64_t r = 0; r < n; r++)
            copy_elems(to + (size_t)(r * per_row + e) * a->item, p + (size_t)r * a->item, 1,
                       a->item, a->swap);
    }
}

/* UCS4 characters to UTF-8; 0 bytes at the end are padding. False: not a character. */
static bool put_utf8(maas_buf *out, uint32_t c)
{
    if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return false;
    if (c < 0x80) {
        maas_buf_char(out, (char)c);
        return true;
    }
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};
    maas_buf_char(out, (char)(lead[more] | c >> (6 * more)));
    while (more--)
        maas_buf_char(out, (char)(0x80 | (c >> (6 * more) & 0x3f)));
    return true;
}

static bool text_of(const maas_array *a, const uint8_t *p, maas_buf *out)
{
    if (a->text == MAAS_TEXT_BYTES) {
        size_t n = a->item;
        while (n && !p[n - 1])
            n--;
        maas_buf_add(out, p, n);
        return maas_utf8_valid(maas_span_of(p, n));
    }
    size_t n = a->item / 4;
    uint32_t c;
    for (; n; n--) {
        memcpy(&c, p + (n - 1) * 4, 4);
        if (c)
            break;
    }
    for (size_t i = 0; i < n; i++) {
        memcpy(&c, p + i * 4, 4);
        if (!put_utf8(out, a->swap ? __builtin_bswap32(c) : c))
            return false;
    }
    return true;
}

static maas_status copy_text(const maas_array *a, maas_str *to, const uint8_t *from, int64_t row,
                             int64_t n_rows, maas_arena *text, maas_err *err)
{
    int64_t per_row = row_elems(a), n = n_rows * per_row;
    AUTO(maas_buf_reset) maas_buf b = MAAS_BUF_INIT(MAAS_MAX_CSV_FIELD);
    for (int64_t i = 0; i < n; i++, from += a->item) {
        maas_buf_clear(&b);
        bool valid = text_of(a, from, &b);
        if (!valid)
            return maas_fail(err, MAAS_E_FORMAT, "row %lld, column \"%s\": the text is not UTF-8",
                             (long long)(row + i / per_row + 1), a->col.name);
        char *copy = b.failed ? NULL : maas_arena_dup(text, b.p ? b.p : "", b.n);
        if (!copy)
            return no_memory(a, err);
        to[i] = (maas_str){copy, b.n};
    }
    return MAAS_OK;
}

/* ---- one array ---- */

static maas_status array_prepare(maas_array *a, int64_t batch, maas_budget *budget, maas_err *err)
{
    int64_t per_row = row_elems(a);
    size_t out_row;
    MAAS_TRY(maas_column_row_bytes(&a->col, &out_row, err));
    uint64_t all;
    if (__builtin_mul_overflow((size_t)per_row, a->item, &a->row_bytes) ||
        __builtin_mul_overflow((uint64_t)a->row_bytes, (uint64_t)a->n_rows, &all) ||
        all > MAAS_MAX_TENSOR_BYTES)
        return maas_fail(err, MAAS_E_TOO_LARGE, "column \"%s\": the shape is too large",
                         a->col.name);
    if (a->src.plain && a->src.file.n - a->src.offset != all)
        return maas_fail(err, MAAS_E_FORMAT,
                         "column \"%s\": the header promises %llu bytes of elements, the file has "
                         "%llu",
                         a->col.name, (unsigned long long)all,
                         (unsigned long long)(a->src.file.n - a->src.offset));
    size_t need = out_row * (size_t)batch;
    if (!maas_budget_take(budget, need))
        return no_memory(a, err);
    a->copy_bytes = need;
    a->copy = maas_aligned(64, need ? need : 64);
    return a->copy ? MAAS_OK : no_memory(a, err);
}

/* Rows [from, from + n) as the sink wants them. */
static maas_status array_rows(maas_array *a, int64_t from, int64_t n, maas_arena *text,
                              maas_tensor *out, maas_err *err)
{
    size_t per_row = (size_t)row_elems(a);
    size_t want = (size_t)(a->fortran ? a->n_rows : n) * a->row_bytes;
    maas_span w;
    bool last;
    MAAS_TRY(maas_source_window(&a->src, want, &w, &last, err));
    if (w.n < want)
        return maas_fail(err, MAAS_E_FORMAT,
                         "column \"%s\": the data ends in row %lld of %lld, at byte %llu",
                         a->col.name, (long long)(from + (int64_t)(w.n / a->row_bytes) + 1),
                         (long long)a->n_rows, (unsigned long long)(a->src.offset + w.n));
    void *data = a->copy;
    size_t align = maas_dtype_size(a->col.dtype);
    if (a->text)
        MAAS_TRY(copy_text(a, a->copy, w.p, from, n, text, err));
    else if (a->fortran)
        gather_fortran(a, a->copy, w.p, from, n);
    else if (a->swap || (uintptr_t)w.p % align || a->col.dtype == MAAS_BOOL)
        copy_elems(a->copy, w.p, (size_t)n * per_row, a->item, a->swap);
    else
        data = (void *)(uintptr_t)w.p; /* a sink reads only */
    if (a->col.dtype == MAAS_BOOL)
        for (size_t i = 0; i < (size_t)n * per_row; i++)
            ((uint8_t *)a->copy)[i] = ((uint8_t *)a->copy)[i] != 0;
    if (!a->fortran || from + n == a->n_rows)
        maas_source_advance(&a->src, want);
    int64_t dims[MAAS_MAX_RANK] = {n};
    memcpy(dims + 1, a->col.dims, (size_t)a->col.rank * sizeof *dims);
    *out = maas_tensor_of(a->col.dtype, a->col.rank + 1, dims, data);
    return MAAS_OK;
}

static maas_status array_finish(maas_array *a, maas_err *err)
{
    maas_span w;
    bool last;
    MAAS_TRY(maas_source_window(&a->src, 1, &w, &last, err));
    if (w.n)
        return maas_fail(err, MAAS_E_FORMAT,
                         "column \"%s\": byte %llu: expected the end of the data after %lld rows",
                         a->col.name, (unsigned long long)a->src.offset, (long long)a->n_rows);
    if (a->check_crc && a->src.crc != a->crc)
        return maas_fail(err, MAAS_E_FORMAT, "column \"%s\": the check sum of the member is wrong",
                         a->col.name);
    return MAAS_OK;
}

/* ---- all of them ---- */

static maas_status arrays_prepare(maas_array *a, uint32_t n, const maas_table_opts *o,
                                  int64_t *out_batch, maas_err *err)
{
    size_t total = 0;
    for (uint32_t i = 0; i < n; i++) {
        size_t row;
        maas_dtype want;
        MAAS_TRY(maas_column_row_bytes(&a[i].col, &row, err));
        size_t in_file = a[i].item * (size_t)row_elems(&a[i]); /* text may be wider than maas_str */
        total += row > in_file ? row : in_file;
        MAAS_TRY(maas_column_wanted(o, a[i].col.name, &want, err));
        if (want != MAAS_DT_NONE && want != a[i].col.dtype)
            return maas_fail(err, MAAS_E_INVALID,
                             "types: column \"%s\" is %s in the file; only text formats can be "
                             "read as another type",
                             a[i].col.name, maas_dtype_describe(a[i].col.dtype)->onnx);
        if (a[i].n_rows != a[0].n_rows)
            return maas_fail(err, MAAS_E_FORMAT,
                             "column \"%s\" has %lld rows, column \"%s\" has %lld", a[0].col.name,
                             (long long)a[0].n_rows, a[i].col.name, (long long)a[i].n_rows);
    }
    *out_batch = maas_batch_rows(total);
    if (a[0].n_rows < *out_batch)
        *out_batch = a[0].n_rows ? a[0].n_rows : 1;
    for (uint32_t i = 0; i < n; i++)
        MAAS_TRY(array_prepare(&a[i], *out_batch, o ? o->budget : NULL, err));
    return MAAS_OK;
}

typedef struct lockstep {
    maas_column *cols;
    maas_tensor *tensors;
    maas_arena text; /* of the strings of one batch */
} lockstep;

static void lockstep_reset(lockstep *s)
{
    maas_free(s->cols);
    maas_free(s->tensors);
    maas_arena_reset(&s->text);
}

maas_status maas_arrays_read(maas_array *a, uint32_t n, const maas_table_opts *o,
                             const maas_table_sink *sink, maas_err *err)
{
    AUTO(lockstep_reset)
    lockstep s = {.cols = maas_calloc(n, sizeof *s.cols),
                  .tensors = maas_calloc(n, sizeof *s.tensors)};
    int64_t batch = 1;
    if (!s.cols || !s.tensors)
        return maas_fail(err, MAAS_E_NOMEM, "no memory left for %u columns", n);
    maas_arena_init(&s.text, o ? o->budget : NULL);
    for (uint32_t i = 0; i < n; i++)
        s.cols[i] = a[i].col;
    MAAS_TRY(maas_columns_check(s.cols, n, err));
    MAAS_TRY(maas_wanted_check(o, s.cols, n, err));
    MAAS_TRY(arrays_prepare(a, n, o, &batch, err));
    MAAS_TRY(sink->begin(sink->user, s.cols, n, a[0].n_rows, err));
    for (int64_t from = 0; from < a[0].n_rows; from += batch) {
        int64_t left = a[0].n_rows - from, rows = left < batch ? left : batch;
        for (uint32_t i = 0; i < n; i++)
            MAAS_TRY(array_rows(&a[i], from, rows, &s.text, &s.tensors[i], err));
        MAAS_TRY(sink->rows(sink->user, rows, s.tensors, err));
        maas_arena_reset(&s.text);
    }
    for (uint32_t i = 0; i < n; i++)
        MAAS_TRY(array_finish(&a[i], err));
    return sink->end(sink->user, err);
}

void maas_arrays_reset(maas_array *a, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        maas_budget_give(a[i].src.budget, a[i].copy_bytes);
        maas_free(a[i].copy);
        maas_source_close(&a[i].src);
    }
}

maas_status maas_array_read_one(maas_array *a, maas_source *src, const maas_table_opts *o,
                                const maas_table_sink *sink, maas_err *err)
{
    a->src = *src; /* lent, and given back before the caller looks again */
    maas_status st = maas_arrays_read(a, 1, o, sink, err);
    *src = a->src;
    a->src = (maas_source){.budget = src->budget};
    maas_arrays_reset(a, 1);
    return st;
}
