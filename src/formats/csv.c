/*
 * formats/csv.c - comma-separated values, in two walks over the file.
 *
 * The first walk counts rows and finds each column's type, over all rows: int64 when every cell is
 * an integer, double when some are real or missing (int64 has no missing value), string as soon as
 * one cell is neither number nor missing. true and false are text; opts->types can say "bool". A
 * column without any value is double. The second walk converts. Neither holds more than a batch.
 *
 * Quoting: a quoted number is a number; in a string column "" is the empty string and "NA" is text,
 * while the same without quotes is missing. A row has as many cells as the first one.
 */
#include "formats/readers.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "formats/batch.h"
#include "formats/cells.h"
#include "formats/csv_look.h"
#include "formats/csv_split.h"
#include "base/ban.h"

#define HEAD_BYTES ((size_t)64 << 10)

typedef struct csv_type { /* what the first walk learns of a column */
    uint8_t kind;         /* maas_cell_kind, the most general so far */
    bool missing;
    maas_dtype wanted; /* NONE: infer */
} csv_type;

typedef struct csv_reader {
    maas_source *src;
    const maas_table_opts *opts;
    maas_arena arena; /* columns and names */
    maas_csv_split split;
    maas_batch batch;
    size_t start; /* bytes of the byte order mark */
    char delimiter;
    bool header;
    int64_t n_rows;
    uint32_t n_cols;
    maas_column *cols;
    csv_type *types;
} csv_reader;

static void csv_reset(csv_reader *r)
{
    maas_batch_reset(&r->batch);
    maas_csv_split_reset(&r->split);
    maas_arena_reset(&r->arena);
}

static maas_span cell_span(const maas_csv_cell *c)
{
    return maas_span_of(c->p, c->n);
}

/* A few bytes of a cell for an error message; what is not printable ASCII becomes a dot. */
static const char *shown(const maas_csv_cell *c, char out[44])
{
    size_t n = c->n < 40 ? c->n : 40;
    for (size_t i = 0; i < n; i++)
        out[i] = c->p[i] >= 0x20 && c->p[i] < 0x7f ? (char)c->p[i] : '.';
    memcpy(out + n, c->n > 40 ? "..." : "", c->n > 40 ? 4 : 1);
    return out;
}

static maas_status no_memory(maas_err *err)
{
    return maas_fail(err, MAAS_E_NOMEM, "csv: no memory left for the columns");
}

/* ---- the start of the file ---- */

static maas_status look(csv_reader *r, maas_err *err)
{
    maas_span head;
    bool last;
    MAAS_TRY(maas_source_window(r->src, HEAD_BYTES, &head, &last, err));
    if (head.n >= 2 && (!memcmp(head.p, "\xff\xfe", 2) || !memcmp(head.p, "\xfe\xff", 2)))
        return maas_fail(err, MAAS_E_FORMAT, "csv: the file is UTF-16: save it as UTF-8");
    r->start = head.n >= 3 && !memcmp(head.p, "\xef\xbb\xbf", 3) ? 3 : 0;
    maas_span_skip(&head, r->start);
    if (head.n > HEAD_BYTES)
        head.n = HEAD_BYTES;
    const uint8_t *lf = last && head.n < HEAD_BYTES ? NULL : memrchr(head.p, '\n', head.n);
    if (lf)
        head.n = (size_t)(lf - head.p) + 1;
    r->delimiter = r->opts->delimiter;
    if (r->delimiter && strchr("\"\r\n", r->delimiter))
        return maas_fail(err, MAAS_E_INVALID, "csv: a quote or line end cannot be the delimiter");
    if (!r->delimiter)
        MAAS_TRY(maas_csv_delimiter(head, &r->delimiter, err));
    r->header = r->opts->header > 0;
    if (r->opts->header < 0)
        MAAS_TRY(maas_csv_header(head, r->delimiter, &r->header, err));
    return MAAS_OK;
}

/* Back to the first record; rows count from 1, the header is row 0. */
static maas_status restart(csv_reader *r, maas_err *err)
{
    maas_span w;
    bool last;
    MAAS_TRY(maas_source_rewind(r->src, err));
    MAAS_TRY(maas_source_window(r->src, r->start + 1, &w, &last, err));
    maas_source_advance(r->src, r->start);
    maas_csv_split_reset(&r->split);
    maas_csv_split_init(&r->split, r->src, r->delimiter);
    r->split.row = r->header ? -1 : 0;
    return MAAS_OK;
}

/* Without the doubled quotes; *n shrinks. */
static void undouble(char *p, size_t *n)
{
    size_t to = 0;
    for (size_t from = 0; from < *n; from++) {
        p[to++] = p[from];
        from += p[from] == '"' && from + 1 < *n && p[from + 1] == '"';
    }
    *n = to;
}

static const char *column_name(csv_reader *r, uint32_t i)
{
    maas_span name = {0};
    const maas_csv_cell *c = &r->split.cells[i];
    if (r->header)
        name = maas_cell_trim(cell_span(c));
    if (!name.n)
        return maas_arena_printf(&r->arena, "column_%u", i + 1);
    size_t n = name.n;
    char *copy = maas_arena_strndup(&r->arena, (const char *)name.p, n);
    if (copy && c->escaped) {
        undouble(copy, &n);
        copy[n] = '\0';
    }
    /* A NUL inside would silently shorten the name; as a control character it is refused. */
    for (size_t k = 0; copy && k < n; k++)
        copy[k] = copy[k] ? copy[k] : '\x01';
    return copy;
}

/* From the first record: how many columns, and their names. */
static maas_status make_columns(csv_reader *r, maas_err *err)
{
    r->n_cols = r->split.n_cells;
    r->cols = maas_arena_array(&r->arena, r->n_cols, sizeof *r->cols);
    r->types = maas_arena_array(&r->arena, r->n_cols, sizeof *r->types);
    if (!r->cols || !r->types)
        return no_memory(err);
    for (uint32_t i = 0; i < r->n_cols; i++) {
        r->cols[i].name = column_name(r, i);
        if (!r->cols[i].name)
            return no_memory(err);
        MAAS_TRY(maas_column_wanted(r->opts, r->cols[i].name, &r->types[i].wanted, err));
    }
    maas_err why = {0};
    maas_status st = maas_columns_check(r->cols, r->n_cols, &why);
    if (st != MAAS_OK)
        return maas_fail(err, st, "csv: %s%s", why.msg,
                         r->header && r->opts->header < 0
                             ? " (the first line was taken for a header; header=0 says it is not)"
                             : "");
    return maas_wanted_check(r->opts, r->cols, r->n_cols, err);
}

/* ---- first walk: types ---- */

static maas_status check_width(const csv_reader *r, maas_err *err)
{
    if (r->split.n_cells == r->n_cols)
        return MAAS_OK;
    return maas_fail(err, MAAS_E_FORMAT, "csv: row %lld (byte %llu): %u cells, expected %u",
                     (long long)r->split.row, (unsigned long long)r->split.row_offset,
                     r->split.n_cells, r->n_cols);
}

static void learn_types(csv_reader *r)
{
    for (uint32_t i = 0; i < r->n_cols; i++) {
        csv_type *t = &r->types[i];
        if (t->kind == MAAS_CELL_TEXT || t->wanted != MAAS_DT_NONE)
            continue;
        const maas_csv_cell *c = &r->split.cells[i];
        maas_cell_kind kind = c->escaped ? MAAS_CELL_TEXT : maas_cell_classify(cell_span(c));
        t->missing = t->missing || kind == MAAS_CELL_MISSING;
        if (kind > t->kind)
            t->kind = (uint8_t)kind;
    }
}

static maas_dtype decide(const csv_type *t)
{
    if (t->wanted != MAAS_DT_NONE)
        return t->wanted;
    if (t->kind == MAAS_CELL_TEXT)
        return MAAS_STRING;
    return t->kind == MAAS_CELL_INT && !t->missing ? MAAS_I64 : MAAS_F64;
}

static maas_status first_walk(csv_reader *r, maas_err *err)
{
    MAAS_TRY(restart(r, err));
    MAAS_TRY(maas_csv_next(&r->split, err));
    if (!r->split.n_cells)
        return maas_fail(err, MAAS_E_FORMAT, "csv: the file is empty");
    MAAS_TRY(make_columns(r, err));
    if (r->header)
        MAAS_TRY(maas_csv_next(&r->split, err));
    for (; r->split.n_cells; r->n_rows++) {
        MAAS_TRY(check_width(r, err));
        learn_types(r);
        MAAS_TRY(maas_csv_next(&r->split, err));
    }
    for (uint32_t i = 0; i < r->n_cols; i++)
        r->cols[i].dtype = decide(&r->types[i]);
    return MAAS_OK;
}

/* ---- second walk: values ---- */

static maas_status bad_cell(const csv_reader *r, uint32_t i, const char *got, maas_err *err)
{
    char text[44];
    const maas_csv_cell *c = &r->split.cells[i];
    return maas_fail(
        err, MAAS_E_FORMAT, "csv: row %lld, column \"%s\" (byte %llu): expected %s, got %s\"%s\"",
        (long long)r->split.row, r->cols[i].name, (unsigned long long)maas_csv_offset(&r->split, c),
        maas_dtype_describe(r->cols[i].dtype)->onnx, got, shown(c, text));
}

static maas_status store_text(csv_reader *r, uint32_t i, maas_str *to, maas_err *err)
{
    const maas_csv_cell *c = &r->split.cells[i];
    if (!c->quoted && maas_cell_is_missing(cell_span(c)))
        return MAAS_OK;
    if (!maas_utf8_valid(cell_span(c)))
        return bad_cell(r, i, "text that is not UTF-8: ", err);
    *to = (maas_str){(const char *)c->p, c->n};
    if (r->src->plain && !c->escaped)
        return MAAS_OK;
    char *copy = maas_batch_text(&r->batch, c->p, c->n);
    if (!copy)
        return maas_fail(err, MAAS_E_NOMEM, "csv: no memory left for text");
    if (c->escaped)
        undouble(copy, &to->n);
    to->p = copy;
    return MAAS_OK;
}

static maas_status store_row(csv_reader *r, maas_err *err)
{
    for (uint32_t i = 0; i < r->n_cols; i++) {
        maas_span cell = cell_span(&r->split.cells[i]);
        maas_dtype t = r->cols[i].dtype;
        void *to = maas_batch_cell(&r->batch, i);
        if (t == MAAS_STRING)
            MAAS_TRY(store_text(r, i, to, err));
        else if (!maas_cell_store(t, cell, to)) {
            if (!maas_cell_is_missing(cell))
                return bad_cell(r, i, "", err);
            if (!maas_cell_store_missing(t, to))
                return bad_cell(r, i, "a missing cell (double has missing values): ", err);
        }
    }
    return maas_batch_next(&r->batch, err);
}

static maas_status second_walk(csv_reader *r, const maas_table_sink *sink, maas_err *err)
{
    MAAS_TRY(maas_batch_begin(&r->batch, r->cols, r->n_cols, r->n_rows, maas_source_bytes(r->src),
                              sink, r->opts->budget, err));
    MAAS_TRY(restart(r, err));
    if (r->header)
        MAAS_TRY(maas_csv_next(&r->split, err));
    for (int64_t i = 0; i < r->n_rows; i++) {
        MAAS_TRY(maas_csv_next(&r->split, err));
        if (r->split.n_cells != r->n_cols)
            return maas_fail(err, MAAS_E_IO, "csv: row %lld changed while it was read",
                             (long long)r->split.row);
        MAAS_TRY(store_row(r, err));
    }
    return maas_batch_end(&r->batch, err);
}

maas_status maas_csv_read(maas_source *src, const maas_table_opts *o, const maas_table_sink *sink,
                          maas_err *err)
{
    AUTO(csv_reset) csv_reader r = {.src = src, .opts = o};
    maas_arena_init(&r.arena, o->budget);
    MAAS_TRY(look(&r, err));
    MAAS_TRY(first_walk(&r, err));
    return second_walk(&r, sink, err);
}

/* Text without NUL could always be a table of one column; a suffix or a delimiter says more. */
int maas_csv_probe(maas_span head, const char *file_name)
{
    if (!head.n || memchr(head.p, 0, head.n))
        return 0;
    if (maas_name_has_suffix(file_name, ".csv .tsv"))
        return 70;
    const uint8_t *lf = memchr(head.p, '\n', head.n);
    size_t n = lf ? (size_t)(lf - head.p) : head.n;
    for (size_t i = 0; i < n; i++)
        if (strchr(",;\t|", head.p[i]))
            return 30;
    return 10;
}
