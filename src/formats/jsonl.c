/*
 * formats/jsonl.c - JSON lines: one object a line, in two walks over the file.
 *
 * The first walk finds the columns, in the order in which keys first appear, and their types: int64
 * when every value is an integer, bool for true and false, string for text, double for other
 * numbers and for numbers or booleans of which some are missing (null, NaN, or no such key). Nested
 * arrays of numbers are one cell of a fixed shape. A column is not text in one row and a number in
 * another, unless opts->types says what it is. The second walk converts.
 */
#include "formats/readers.h"

#include "base/json.h"
#include "base/mem.h"
#include "formats/batch.h"
#include "formats/cells.h"
#include "formats/lines.h"
#include "base/ban.h"

typedef enum seen_type { /* what the values of a column have been so far */
                         SEEN_NOTHING,
                         SEEN_BOOLS,
                         SEEN_INTS,
                         SEEN_REALS,
                         SEEN_TEXTS
} seen_type;

typedef struct json_col {
    char *name;
    seen_type type;
    maas_dtype wanted;
    bool shaped, missing; /* missing: null somewhere */
    int rank;
    int64_t dims[MAAS_MAX_RANK];
    int64_t n_seen;   /* rows with this key */
    int64_t last_row; /* the last one       */
} json_col;

typedef struct jsonl_reader {
    const maas_table_opts *opts;
    maas_source *src;
    maas_lines lines;
    maas_batch batch;
    maas_arena names; /* column names and the final columns */
    maas_arena line;  /* of the current line                */
    json_col *cols;
    size_t n_cols, cap_cols;
    uint32_t *slots; /* hash table of column number + 1, n_slots a power of two */
    size_t n_slots;
    maas_column *out; /* [n_cols], when types are known */
    int64_t row, n_rows;
    maas_json_scan scan;
} jsonl_reader;

static void jsonl_reset(jsonl_reader *r)
{
    maas_batch_reset(&r->batch);
    maas_arena_reset(&r->line);
    maas_arena_reset(&r->names);
    maas_budget_give(r->opts->budget, r->cap_cols * sizeof *r->cols);
    maas_free(r->cols);
    maas_free(r->slots);
}

static maas_status no_memory(maas_err *err)
{
    return maas_fail(err, MAAS_E_NOMEM, "jsonl: no memory left for columns or text");
}

static maas_status bad_line(const jsonl_reader *r, const char *words, maas_err *err)
{
    return maas_fail(err, MAAS_E_FORMAT, "jsonl: row %lld (byte %llu): %s", (long long)r->row,
                     (unsigned long long)(r->lines.offset + maas_json_offset(&r->scan)), words);
}

static maas_status bad_value(const jsonl_reader *r, const json_col *c, const char *words,
                             maas_err *err)
{
    return maas_fail(err, MAAS_E_FORMAT, "jsonl: row %lld, column \"%s\" (byte %llu): %s",
                     (long long)r->row, c->name,
                     (unsigned long long)(r->lines.offset + maas_json_offset(&r->scan)), words);
}

/* ---- columns by name ---- */

static uint64_t hash_name(const jsonl_reader *r, const char *p, size_t n)
{
    uint64_t h = (uintptr_t)r; /* a salt: keys cannot be made to collide from outside */
    for (size_t i = 0; i < n; i++) {
        h = (h ^ (uint8_t)p[i]) * 0xbf58476d1ce4e5b9u;
        h ^= h >> 29;
    }
    return h;
}

static uint32_t *find_slot(const jsonl_reader *r, const char *p, size_t n)
{
    size_t mask = r->n_slots - 1, i = (size_t)hash_name(r, p, n) & mask;
    for (; r->slots[i]; i = (i + 1) & mask) {
        const char *name = r->cols[r->slots[i] - 1].name;
        if (!strncmp(name, p, n) && !name[n])
            break;
    }
    return &r->slots[i];
}

static bool grow_slots(jsonl_reader *r)
{
    uint32_t *old = r->slots;
    size_t n = r->n_slots ? r->n_slots * 2 : 64;
    uint32_t *slots = maas_calloc(n, sizeof *slots);
    if (!slots)
        return false;
    r->slots = slots;
    r->n_slots = n;
    for (size_t i = 0; i < r->n_cols; i++)
        *find_slot(r, r->cols[i].name, strlen(r->cols[i].name)) = (uint32_t)(i + 1);
    maas_free(old);
    return true;
}

static maas_status grow_cols(jsonl_reader *r, maas_err *err)
{
    size_t before = r->cap_cols;
    if (r->n_cols >= MAAS_MAX_COLUMNS)
        return maas_fail(err, MAAS_E_TOO_LARGE, "jsonl: row %lld: more than %d different keys",
                         (long long)r->row, MAAS_MAX_COLUMNS);
    if (r->n_cols == before) {
        if (!maas_grow(&r->cols, &r->cap_cols, r->n_cols + 1, sizeof *r->cols))
            return no_memory(err);
        if (!maas_budget_take(r->opts->budget, (r->cap_cols - before) * sizeof *r->cols)) {
            r->cap_cols = before; /* what was taken, for the end; the array only shrinks in name */
            return no_memory(err);
        }
    }
    return (r->n_cols + 1) * 2 > r->n_slots && !grow_slots(r) ? no_memory(err) : MAAS_OK;
}

static maas_status add_column(jsonl_reader *r, const char *p, size_t n, json_col **out,
                              maas_err *err)
{
    MAAS_TRY(grow_cols(r, err));
    json_col c = {.name = maas_arena_strndup(&r->names, p, n)};
    if (!c.name)
        return no_memory(err);
    MAAS_TRY(maas_column_wanted(r->opts, c.name, &c.wanted, err));
    *find_slot(r, p, n) = (uint32_t)(r->n_cols + 1);
    r->cols[r->n_cols] = c;
    *out = &r->cols[r->n_cols++];
    return MAAS_OK;
}

/* The column of the key that was just scanned; *out NULL in the second walk cannot happen unless
 * the file changed. */
static maas_status key_column(jsonl_reader *r, bool add, json_col **out, maas_err *err)
{
    const char *p = (const char *)r->scan.text.p;
    size_t n = r->scan.text.n;
    if (r->scan.escaped) {
        p = maas_json_unescape(&r->line, r->scan.text, &n);
        if (!p)
            return bad_line(r, "the escapes of the key are no text", err);
    }
    if (!n || memchr(p, 0, n))
        return bad_line(r, "a key is empty or has a NUL in it", err);
    uint32_t slot = r->n_slots ? *find_slot(r, p, n) : 0;
    *out = slot ? &r->cols[slot - 1] : NULL;
    if (!*out) {
        if (!add)
            return maas_fail(err, MAAS_E_IO, "jsonl: row %lld changed while it was read",
                             (long long)r->row);
        MAAS_TRY(add_column(r, p, n, out, err));
    }
    if ((*out)->last_row == r->row)
        return bad_value(r, *out, "the key is there twice", err);
    (*out)->last_row = r->row;
    return MAAS_OK;
}

/* ---- values: scalars, and arrays of scalars ---- */

typedef maas_status scalar_fn(jsonl_reader *r, json_col *c, int64_t i, maas_json_kind kind,
                              maas_err *err);

typedef struct array_walk {
    int depth, leaf; /* leaf: depth of the scalars, 0: none seen yet */
    int64_t n;       /* scalars so far */
    int64_t counts[MAAS_MAX_RANK], dims[MAAS_MAX_RANK];
    bool closed[MAAS_MAX_RANK]; /* dims[d] is known */
} array_walk;

static maas_status close_array(jsonl_reader *r, const json_col *c, array_walk *w, maas_err *err)
{
    int d = w->depth - 1;
    if (!w->counts[d])
        return bad_value(r, c, "an array is empty", err);
    if (w->closed[d] && w->dims[d] != w->counts[d])
        return bad_value(r, c, "arrays of different lengths in one value", err);
    w->closed[d] = true;
    w->dims[d] = w->counts[d];
    w->depth--;
    return MAAS_OK;
}

static maas_status open_array(jsonl_reader *r, const json_col *c, array_walk *w, maas_err *err)
{
    if (w->depth + 1 >= MAAS_MAX_RANK || (w->leaf && w->depth >= w->leaf))
        return bad_value(r, c, "arrays are nested unevenly, or more than 7 deep", err);
    if (w->depth)
        w->counts[w->depth - 1]++;
    w->counts[w->depth++] = 0;
    return MAAS_OK;
}

static maas_status walk_array(jsonl_reader *r, json_col *c, scalar_fn *scalar, array_walk *w,
                              maas_err *err)
{
    maas_json_kind kind = MAAS_JSON_ARRAY;
    do {
        if (kind == MAAS_JSON_ARRAY) {
            MAAS_TRY(open_array(r, c, w, err));
        } else if (kind == MAAS_JSON_CLOSE) {
            MAAS_TRY(close_array(r, c, w, err));
        } else if (kind == MAAS_JSON_ERROR) {
            return bad_line(r, r->scan.err.msg, err);
        } else {
            if (kind == MAAS_JSON_STRING || kind == MAAS_JSON_OBJECT)
                return bad_value(r, c, "expected numbers in the array", err);
            if (w->leaf && w->leaf != w->depth)
                return bad_value(r, c, "arrays are nested unevenly", err);
            w->leaf = w->depth;
            w->counts[w->depth - 1]++;
            MAAS_TRY(scalar(r, c, w->n++, kind, err));
        }
        if (w->depth)
            kind = maas_json_next(&r->scan);
    } while (w->depth);
    return MAAS_OK;
}

static maas_status check_shape(jsonl_reader *r, json_col *c, int rank, const int64_t *dims,
                               maas_err *err)
{
    char was[MAAS_SHAPE_TEXT], is[MAAS_SHAPE_TEXT], words[2 * MAAS_SHAPE_TEXT + 32];
    if (!c->shaped) {
        c->shaped = true;
        c->rank = rank;
        memcpy(c->dims, dims, (size_t)rank * sizeof *dims);
        return MAAS_OK;
    }
    if (c->rank == rank && !memcmp(c->dims, dims, (size_t)rank * sizeof *dims))
        return MAAS_OK;
    snprintf(words, sizeof words, "expected shape %s, got %s",
             maas_shape_text(c->dims, c->rank, was), maas_shape_text(dims, rank, is));
    return bad_value(r, c, words, err);
}

/* In the second walk the shape is known beforehand, so `scalar` never writes past its cell: the
 * value was walked before. */
static maas_status walk_value(jsonl_reader *r, json_col *c, scalar_fn *scalar, maas_err *err)
{
    array_walk w = {0};
    maas_json_kind kind = maas_json_next(&r->scan);
    if (kind == MAAS_JSON_ERROR)
        return bad_line(r, r->scan.err.msg, err);
    if (kind == MAAS_JSON_OBJECT)
        return bad_value(r, c, "expected a number, text or array, got an object", err);
    if (kind == MAAS_JSON_ARRAY)
        MAAS_TRY(walk_array(r, c, scalar, &w, err));
    else
        MAAS_TRY(scalar(r, c, 0, kind, err));
    /* A lone null says nothing about the shape. */
    return kind == MAAS_JSON_NULL ? MAAS_OK : check_shape(r, c, w.leaf, w.dims, err);
}

static maas_status walk_row(jsonl_reader *r, bool add, scalar_fn *scalar, maas_err *err)
{
    maas_arena_rewind(&r->line);
    maas_json_scan_init(&r->scan, r->lines.line);
    r->scan.nonfinite = true; /* Python writes them */
    if (maas_json_next(&r->scan) != MAAS_JSON_OBJECT)
        return bad_line(r, "expected an object: {\"column\": value, ...}", err);
    for (;;) {
        json_col *c;
        maas_json_kind kind = maas_json_next(&r->scan);
        if (kind == MAAS_JSON_CLOSE)
            break;
        if (kind != MAAS_JSON_KEY)
            return bad_line(r, r->scan.err.msg, err);
        MAAS_TRY(key_column(r, add, &c, err));
        c->n_seen++;
        MAAS_TRY(walk_value(r, c, scalar, err));
    }
    return maas_json_next(&r->scan) == MAAS_JSON_END
               ? MAAS_OK
               : bad_line(r, "expected the end of the line after the object", err);
}

static maas_status next_line(jsonl_reader *r, bool *more, maas_err *err)
{
    do {
        MAAS_TRY(maas_lines_next(&r->lines, more, err));
    } while (*more && !maas_cell_trim(r->lines.line).n);
    r->row += *more;
    return MAAS_OK;
}

/* ---- first walk: types ---- */

static bool is_missing(const jsonl_reader *r, maas_json_kind kind)
{
    return kind == MAAS_JSON_NULL ||
           (kind == MAAS_JSON_NONFINITE && maas_span_is(r->scan.text, "NaN"));
}

static maas_status learn_scalar(jsonl_reader *r, json_col *c, int64_t i, maas_json_kind kind,
                                maas_err *err)
{
    seen_type type = SEEN_REALS;
    if (is_missing(r, kind)) {
        c->missing = true;
        return MAAS_OK;
    }
    if (kind == MAAS_JSON_TRUE || kind == MAAS_JSON_FALSE)
        type = SEEN_BOOLS;
    else if (kind == MAAS_JSON_STRING)
        type = SEEN_TEXTS;
    else if (kind == MAAS_JSON_NUMBER)
        type = maas_cell_classify(r->scan.text) == MAAS_CELL_INT ? SEEN_INTS : SEEN_REALS;
    bool numbers = (type == SEEN_INTS || type == SEEN_REALS) &&
                   (c->type == SEEN_INTS || c->type == SEEN_REALS);
    if (c->wanted == MAAS_DT_NONE && c->type != SEEN_NOTHING && c->type != type && !numbers)
        return bad_value(
            r, c, "text, numbers and booleans are mixed in the column; say which in types", err);
    if (type > c->type)
        c->type = type;
    return MAAS_OK;
}

static maas_dtype decide(const json_col *c, int64_t n_rows)
{
    bool missing = c->missing || c->n_seen < n_rows;
    if (c->wanted != MAAS_DT_NONE)
        return c->wanted;
    if (c->type == SEEN_TEXTS)
        return MAAS_STRING;
    if (missing || c->type == SEEN_REALS || c->type == SEEN_NOTHING)
        return MAAS_F64;
    return c->type == SEEN_BOOLS ? MAAS_BOOL : MAAS_I64;
}

static maas_status make_columns(jsonl_reader *r, maas_err *err)
{
    r->out = maas_arena_array(&r->names, r->n_cols, sizeof *r->out);
    if (!r->out)
        return no_memory(err);
    for (size_t i = 0; i < r->n_cols; i++) {
        json_col *c = &r->cols[i];
        maas_column *out = &r->out[i];
        *out = (maas_column){.name = c->name, .dtype = decide(c, r->n_rows), .rank = c->rank};
        memcpy(out->dims, c->dims, sizeof out->dims);
        if (out->dtype == MAAS_STRING && c->rank)
            return maas_fail(err, MAAS_E_INVALID, "types: column \"%s\" has arrays of numbers",
                             c->name);
        bool holes = c->missing || c->n_seen < r->n_rows;
        if (holes && out->dtype != MAAS_STRING && out->dtype != MAAS_F32 && out->dtype != MAAS_F64)
            return maas_fail(err, MAAS_E_INVALID,
                             "types: column \"%s\" has missing values, which %s cannot say: choose "
                             "double",
                             c->name, maas_dtype_describe(out->dtype)->onnx);
        c->last_row = 0;
    }
    return maas_wanted_check(r->opts, r->out, (uint32_t)r->n_cols, err);
}

static maas_status first_walk(jsonl_reader *r, maas_err *err)
{
    bool more;
    maas_lines_init(&r->lines, r->src, "jsonl");
    for (;;) {
        MAAS_TRY(next_line(r, &more, err));
        if (!more)
            break;
        MAAS_TRY(walk_row(r, true, learn_scalar, err));
    }
    r->n_rows = r->row;
    if (!r->n_cols)
        return maas_fail(err, MAAS_E_FORMAT, "jsonl: the file has no %s",
                         r->n_rows ? "keys" : "rows");
    return make_columns(r, err);
}

/* ---- second walk: values ---- */

static maas_status store_text(jsonl_reader *r, maas_str *to, maas_json_kind kind, maas_err *err)
{
    static const char *const words[] = {[MAAS_JSON_TRUE] = "true", [MAAS_JSON_FALSE] = "false"};
    maas_span t = r->scan.text;
    if (kind == MAAS_JSON_TRUE || kind == MAAS_JSON_FALSE)
        t = maas_span_str(words[kind]);
    if (kind == MAAS_JSON_STRING && r->scan.escaped) {
        to->p = maas_json_unescape(&r->batch.text, t, &to->n);
        r->batch.text_bytes += t.n;
        return to->p ? MAAS_OK : bad_line(r, "the escapes of the text are no characters", err);
    }
    to->n = t.n;
    to->p = r->src->plain ? (const char *)t.p : maas_batch_text(&r->batch, t.p, t.n);
    return to->p ? MAAS_OK : no_memory(err);
}

static maas_status store_scalar(jsonl_reader *r, json_col *c, int64_t i, maas_json_kind kind,
                                maas_err *err)
{
    uint32_t col = (uint32_t)(c - r->cols);
    const maas_column *out = &r->out[col];
    if (i >= maas_dims_product(out->dims, 0, out->rank))
        return maas_fail(err, MAAS_E_IO, "jsonl: row %lld changed while it was read",
                         (long long)r->row);
    char *to = (char *)maas_batch_cell(&r->batch, col) + (size_t)i * maas_dtype_size(out->dtype);
    if (is_missing(r, kind)) /* floats hold NaN before they are written, text nothing */
        return MAAS_OK;
    if (out->dtype == MAAS_STRING)
        return store_text(r, (maas_str *)(void *)to, kind, err);
    maas_span text = kind == MAAS_JSON_TRUE    ? maas_span_str("1")
                     : kind == MAAS_JSON_FALSE ? maas_span_str("0")
                                               : r->scan.text;
    if (maas_cell_store(out->dtype, text, to))
        return MAAS_OK;
    char words[64];
    snprintf(words, sizeof words, "expected %s", maas_dtype_describe(out->dtype)->onnx);
    return bad_value(r, c, words, err);
}

static maas_status second_walk(jsonl_reader *r, const maas_table_sink *sink, maas_err *err)
{
    bool more;
    MAAS_TRY(maas_batch_begin(&r->batch, r->out, (uint32_t)r->n_cols, r->n_rows,
                              maas_source_bytes(r->src), sink, r->opts->budget, err));
    MAAS_TRY(maas_source_rewind(r->src, err));
    maas_lines_init(&r->lines, r->src, "jsonl");
    r->row = 0;
    for (int64_t i = 0; i < r->n_rows; i++) {
        MAAS_TRY(next_line(r, &more, err));
        MAAS_TRY(walk_row(r, false, store_scalar, err));
        MAAS_TRY(maas_batch_next(&r->batch, err));
    }
    return maas_batch_end(&r->batch, err);
}

maas_status maas_jsonl_read(maas_source *src, const maas_table_opts *o, const maas_table_sink *sink,
                            maas_err *err)
{
    AUTO(jsonl_reset) jsonl_reader r = {.src = src, .opts = o};
    maas_arena_init(&r.names, o->budget);
    maas_arena_init(&r.line, o->budget);
    MAAS_TRY(first_walk(&r, err));
    return second_walk(&r, sink, err);
}

/* An object at the start; the name decides against other text. */
int maas_jsonl_probe(maas_span head, const char *file_name)
{
    maas_span s = head;
    while (s.n && (*s.p == ' ' || *s.p == '\n' || *s.p == '\r' || *s.p == '\t'))
        maas_span_skip(&s, 1);
    if (!s.n || memchr(head.p, 0, head.n))
        return 0;
    bool named = maas_name_has_suffix(file_name, ".jsonl .ndjson");
    return *s.p == '{' ? (named ? 90 : 60) : named ? 75 : 0;
}
