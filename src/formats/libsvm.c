/*
 * formats/libsvm.c - LIBSVM / SVMlight: `label index:value index:value ...`, one row a line.
 *
 * Indices ascend within a row and start at 1, or at 0 when some row has index 0. Two columns come
 * out: "x", float [features], with 0 where a row says nothing, and "target": int64 when every label
 * is an integer, else double. # starts a comment. Rows are dense from here on, so the number of
 * features is bounded by MAAS_MAX_COLUMNS.
 */
#include "formats/readers.h"

#include "base/mem.h"
#include "formats/batch.h"
#include "formats/cells.h"
#include "formats/lines.h"
#include "base/num.h"
#include "base/ban.h"

typedef struct svm_reader {
    maas_lines lines;
    maas_batch batch;
    maas_column cols[2]; /* x, target */
    int64_t n_rows, max_index;
    bool zero_based, any_index, real_labels;
    int64_t row;
} svm_reader;

static void svm_reset(svm_reader *r)
{
    maas_batch_reset(&r->batch);
}

static maas_status bad(const svm_reader *r, maas_span at, const char *expected, maas_err *err)
{
    return maas_fail(
        err, MAAS_E_FORMAT, "libsvm: row %lld (byte %llu): expected %s", (long long)r->row,
        (unsigned long long)(r->lines.offset + (uint64_t)(at.p - r->lines.line.p)), expected);
}

static void skip_blanks(maas_span *s)
{
    while (s->n && (*s->p == ' ' || *s->p == '\t'))
        maas_span_skip(s, 1);
}

/* Up to a blank or the end. */
static maas_span take_word(maas_span *s)
{
    maas_span word = *s;
    while (s->n && *s->p != ' ' && *s->p != '\t')
        maas_span_skip(s, 1);
    word.n -= s->n;
    return word;
}

/* The next line with something on it, without its comment. False in *more: no such line. */
static maas_status next_row(svm_reader *r, maas_span *out, bool *more, maas_err *err)
{
    for (;;) {
        MAAS_TRY(maas_lines_next(&r->lines, more, err));
        if (!*more)
            return MAAS_OK;
        *out = r->lines.line;
        const uint8_t *hash = out->n ? memchr(out->p, '#', out->n) : NULL;
        if (hash)
            out->n = (size_t)(hash - out->p);
        skip_blanks(out);
        if (out->n) {
            r->row++;
            return MAAS_OK;
        }
    }
}

/* `index:value`; *out_value is where the value starts. */
static maas_status take_pair(const svm_reader *r, maas_span *s, int64_t *last_index,
                             maas_span *out_value, maas_err *err)
{
    maas_span at = *s, word = take_word(s);
    int64_t index;
    if (!maas_num_i64(&word, &index) || index < 0 || !word.n || *word.p != ':')
        return bad(r, at, "index:value, with an index of 0 or more", err);
    maas_span_skip(&word, 1);
    if (index <= *last_index)
        return bad(r, at, "a larger index than before it", err);
    if (index > MAAS_MAX_COLUMNS)
        return maas_fail(err, MAAS_E_TOO_LARGE,
                         "libsvm: row %lld: index %lld, at most %d features are possible",
                         (long long)r->row, (long long)index, MAAS_MAX_COLUMNS);
    *last_index = index;
    *out_value = word;
    return MAAS_OK;
}

/* ---- first walk ---- */

static maas_status learn_row(svm_reader *r, maas_span s, maas_err *err)
{
    maas_span label = take_word(&s), value;
    maas_cell_kind kind = maas_cell_classify(label);
    if (kind != MAAS_CELL_INT && kind != MAAS_CELL_REAL)
        return bad(r, label, "a number as the label", err);
    r->real_labels = r->real_labels || kind == MAAS_CELL_REAL;
    int64_t index = -1;
    for (skip_blanks(&s); s.n; skip_blanks(&s)) {
        MAAS_TRY(take_pair(r, &s, &index, &value, err));
        r->any_index = true;
        r->zero_based = r->zero_based || index == 0;
        if (index > r->max_index)
            r->max_index = index;
    }
    return MAAS_OK;
}

static maas_status first_walk(svm_reader *r, maas_err *err)
{
    maas_span s;
    bool more;
    for (;;) {
        MAAS_TRY(next_row(r, &s, &more, err));
        if (!more)
            break;
        MAAS_TRY(learn_row(r, s, err));
    }
    r->n_rows = r->row;
    if (!r->any_index)
        return maas_fail(err, MAAS_E_FORMAT, "libsvm: the file has no index:value pair");
    return MAAS_OK;
}

/* ---- second walk ---- */

static maas_status store_row(svm_reader *r, maas_span s, maas_err *err)
{
    float *x = maas_batch_cell(&r->batch, 0);
    maas_span label = take_word(&s), value;
    memset(x, 0, (size_t)r->cols[0].dims[0] * sizeof *x);
    if (!maas_cell_store(r->cols[1].dtype, label, maas_batch_cell(&r->batch, 1)))
        return bad(r, label, maas_dtype_describe(r->cols[1].dtype)->onnx, err);
    int64_t index = -1;
    for (skip_blanks(&s); s.n; skip_blanks(&s)) {
        MAAS_TRY(take_pair(r, &s, &index, &value, err));
        float *to = &x[index - !r->zero_based];
        if (!maas_cell_store(MAAS_F32, value, to) &&
            !(maas_cell_is_missing(value) && maas_cell_store_missing(MAAS_F32, to)))
            return bad(r, value, "a number after the colon", err);
    }
    return maas_batch_next(&r->batch, err);
}

static maas_status decide(svm_reader *r, const maas_table_opts *o, maas_err *err)
{
    maas_dtype want_x, want_target;
    r->cols[0] = (maas_column){"x", MAAS_F32, 1, {r->max_index + r->zero_based}};
    r->cols[1] = (maas_column){"target", r->real_labels ? MAAS_F64 : MAAS_I64, 0, {0}};
    MAAS_TRY(maas_wanted_check(o, r->cols, 2, err));
    MAAS_TRY(maas_column_wanted(o, "x", &want_x, err));
    MAAS_TRY(maas_column_wanted(o, "target", &want_target, err));
    if ((want_x != MAAS_DT_NONE && want_x != MAAS_F32) || want_target == MAAS_STRING)
        return maas_fail(err, MAAS_E_INVALID, "libsvm: \"x\" is float, \"target\" a number");
    if (want_target != MAAS_DT_NONE)
        r->cols[1].dtype = want_target;
    return MAAS_OK;
}

maas_status maas_libsvm_read(maas_source *src, const maas_table_opts *o,
                             const maas_table_sink *sink, maas_err *err)
{
    AUTO(svm_reset) svm_reader r = {0};
    maas_lines_init(&r.lines, src, "libsvm");
    MAAS_TRY(first_walk(&r, err));
    MAAS_TRY(decide(&r, o, err));
    MAAS_TRY(maas_batch_begin(&r.batch, r.cols, 2, r.n_rows, maas_source_bytes(src), sink,
                              o->budget, err));
    MAAS_TRY(maas_source_rewind(src, err));
    maas_lines_init(&r.lines, src, "libsvm");
    r.row = 0;
    for (int64_t i = 0; i < r.n_rows; i++) {
        maas_span s;
        bool more;
        MAAS_TRY(next_row(&r, &s, &more, err));
        MAAS_TRY(store_row(&r, s, err));
    }
    return maas_batch_end(&r.batch, err);
}

/* A number, then a pair, on the first line that has something. */
int maas_libsvm_probe(maas_span head, const char *file_name)
{
    maas_span s = head;
    while (s.n && (*s.p == '\n' || *s.p == '\r' || *s.p == ' '))
        maas_span_skip(&s, 1);
    const uint8_t *lf = s.n ? memchr(s.p, '\n', s.n) : NULL;
    if (lf)
        s.n = (size_t)(lf - s.p);
    maas_cell_kind label = maas_cell_classify(take_word(&s));
    skip_blanks(&s);
    maas_span pair = take_word(&s);
    int64_t index;
    bool fits = (label == MAAS_CELL_INT || label == MAAS_CELL_REAL) &&
                maas_num_i64(&pair, &index) && pair.n && *pair.p == ':';
    if (!head.n || memchr(head.p, 0, head.n))
        return 0;
    return fits ? 80 : maas_name_has_suffix(file_name, ".libsvm .svm .svmlight") ? 60 : 0;
}
