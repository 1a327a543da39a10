#include "jobs/row_stream.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sys.h"
#include "base/ban.h"

#define FLUSH_AT        (1u << 20)
#define MAX_BATCH_BYTES (512u << 20) /* one 'R' record, decoded */
#define MISSING         0xffffffffu

/* ---- the sending side ---- */

void maas_row_writer_init(maas_row_writer *w, int fd)
{
    *w = (maas_row_writer){.fd = fd, .out = MAAS_BUF_INIT(MAX_BATCH_BYTES)};
    maas_arena_init(&w->arena, NULL);
}

void maas_row_writer_reset(maas_row_writer *w)
{
    maas_buf_reset(&w->out);
    maas_arena_reset(&w->arena);
}

static maas_status flush(maas_row_writer *w, maas_err *err)
{
    if (w->out.failed)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a batch of rows");
    maas_status st = maas_sys_write(w->fd, w->out.p, w->out.n, err);
    maas_buf_clear(&w->out);
    return st;
}

static void put_u32(maas_buf *b, uint32_t v)
{
    maas_buf_add(b, &v, sizeof v);
}

static maas_status send_begin(void *user, const maas_column *cols, uint32_t n_cols, int64_t n_rows,
                              maas_err *err)
{
    maas_row_writer *w = user;
    w->cols = maas_arena_dup(&w->arena, cols, n_cols * sizeof *cols);
    w->n_cols = n_cols;
    maas_buf_char(&w->out, 'B');
    put_u32(&w->out, n_cols);
    maas_buf_add(&w->out, &n_rows, sizeof n_rows);
    for (uint32_t i = 0; i < n_cols; i++) {
        put_u32(&w->out, (uint32_t)strlen(cols[i].name));
        maas_buf_str(&w->out, cols[i].name);
        put_u32(&w->out, cols[i].dtype);
        put_u32(&w->out, (uint32_t)cols[i].rank);
        maas_buf_add(&w->out, cols[i].dims, (size_t)cols[i].rank * sizeof *cols[i].dims);
    }
    return w->cols ? flush(w, err) : maas_fail(err, MAAS_E_NOMEM, "memory for the columns");
}

static maas_status send_rows(void *user, int64_t n, const maas_tensor *cols, maas_err *err)
{
    maas_row_writer *w = user;
    maas_buf_char(&w->out, 'R');
    put_u32(&w->out, (uint32_t)n);
    for (uint32_t c = 0; c < w->n_cols; c++) {
        if (cols[c].dtype != MAAS_STRING) {
            maas_buf_add(&w->out, cols[c].data, maas_tensor_bytes(&cols[c]));
            continue;
        }
        const maas_str *s = cols[c].data;
        for (int64_t i = 0; i < maas_n_elems(&cols[c]); i++) {
            put_u32(&w->out, s[i].p ? (uint32_t)s[i].n : MISSING);
            if (s[i].p)
                maas_buf_add(&w->out, s[i].p, s[i].n);
        }
    }
    return w->out.n >= FLUSH_AT || w->out.failed ? flush(w, err) : MAAS_OK;
}

static maas_status send_end(void *user, maas_err *err)
{
    maas_row_writer *w = user;
    maas_buf_char(&w->out, 'E');
    return flush(w, err);
}

maas_table_sink maas_row_writer_sink(maas_row_writer *w)
{
    return (maas_table_sink){w, send_begin, send_rows, send_end};
}

/* ---- the receiving side ---- */

typedef struct reader {
    int fd;
    uint8_t *block; /* [FLUSH_AT] what was read and not yet used: [at, n) */
    size_t at, n;
    maas_arena arena, batch; /* of the stream; of one batch */
    maas_column *cols;
    maas_tensor *tensors;
    uint32_t n_cols;
} reader;

static maas_status get(reader *r, void *p, size_t n, maas_err *err)
{
    char *to = p;
    while (n) {
        if (r->at == r->n) {
            ssize_t got = read(r->fd, r->block, FLUSH_AT);
            if (got < 0 && errno == EINTR)
                continue;
            if (got <= 0)
                return maas_fail(err, MAAS_E_UNAVAILABLE, "the reader of the file stopped early");
            r->at = 0;
            r->n = (size_t)got;
        }
        size_t take = r->n - r->at < n ? r->n - r->at : n;
        memcpy(to, r->block + r->at, take);
        r->at += take;
        to += take;
        n -= take;
    }
    return MAAS_OK;
}

static maas_status get_text(reader *r, maas_arena *a, size_t n, char **out, maas_err *err)
{
    *out = maas_arena_alloc(a, n + 1);
    return *out ? get(r, *out, n, err) : maas_fail(err, MAAS_E_NOMEM, "memory for a batch of rows");
}

static maas_status get_column(reader *r, maas_column *c, maas_err *err)
{
    uint32_t n, dtype, rank;
    char *name;
    size_t bytes;
    MAAS_TRY(get(r, &n, sizeof n, err));
    if (n > MAAS_MAX_CSV_FIELD)
        return maas_fail(err, MAAS_E_FORMAT, "a column name has %u bytes", n);
    MAAS_TRY(get_text(r, &r->arena, n, &name, err));
    MAAS_TRY(get(r, &dtype, sizeof dtype, err));
    MAAS_TRY(get(r, &rank, sizeof rank, err));
    if (rank >= MAAS_MAX_RANK || !maas_dtype_describe((maas_dtype)dtype)->bits)
        return maas_fail(err, MAAS_E_FORMAT, "column '%.64s' has an impossible type", name);
    *c = (maas_column){.name = name, .dtype = (maas_dtype)dtype, .rank = (int)rank};
    MAAS_TRY(get(r, c->dims, rank * sizeof *c->dims, err));
    return maas_shape_bytes(c->dtype, c->dims, rank, &bytes, err);
}

static maas_status get_begin(reader *r, const maas_table_sink *sink, maas_err *err)
{
    int64_t n_rows;
    MAAS_TRY(get(r, &r->n_cols, sizeof r->n_cols, err));
    MAAS_TRY(get(r, &n_rows, sizeof n_rows, err));
    if (r->n_cols == 0 || r->n_cols > MAAS_MAX_COLUMNS || n_rows < -1)
        return maas_fail(err, MAAS_E_FORMAT, "a table of %u columns", r->n_cols);
    r->cols = maas_arena_array(&r->arena, r->n_cols, sizeof *r->cols);
    r->tensors = maas_arena_array(&r->arena, r->n_cols, sizeof *r->tensors);
    if (!r->cols || !r->tensors)
        return maas_fail(err, MAAS_E_NOMEM, "memory for the columns");
    for (uint32_t i = 0; i < r->n_cols; i++)
        MAAS_TRY(get_column(r, &r->cols[i], err));
    return sink->begin(sink->user, r->cols, r->n_cols, n_rows, err);
}

static maas_status get_strings(reader *r, maas_tensor *t, maas_err *err)
{
    maas_str *s = t->data;
    for (int64_t i = 0; i < maas_n_elems(t); i++) {
        uint32_t n;
        char *text;
        MAAS_TRY(get(r, &n, sizeof n, err));
        s[i] = (maas_str){NULL, 0};
        if (n == MISSING)
            continue;
        if (n > MAAS_MAX_CSV_LINE)
            return maas_fail(err, MAAS_E_FORMAT, "a cell has %u bytes", n);
        MAAS_TRY(get_text(r, &r->batch, n, &text, err));
        s[i] = (maas_str){text, n};
    }
    return MAAS_OK;
}

static maas_status get_rows(reader *r, const maas_table_sink *sink, maas_err *err)
{
    uint32_t n;
    MAAS_TRY(get(r, &n, sizeof n, err));
    maas_arena_rewind(&r->batch);
    for (uint32_t c = 0; c < r->n_cols; c++) {
        const maas_column *col = &r->cols[c];
        maas_tensor *t = &r->tensors[c];
        size_t bytes;
        *t = (maas_tensor){
            .dtype = (uint8_t)col->dtype, .rank = (uint8_t)(col->rank + 1), .dims = {n}};
        memcpy(t->dims + 1, col->dims, (size_t)col->rank * sizeof *col->dims);
        MAAS_TRY(maas_shape_bytes(col->dtype, t->dims, t->rank, &bytes, err));
        if (bytes > MAX_BATCH_BYTES)
            return maas_fail(err, MAAS_E_FORMAT, "a batch of %u rows is too large", n);
        t->data = maas_arena_alloc(&r->batch, bytes);
        if (!t->data)
            return maas_fail(err, MAAS_E_NOMEM, "memory for a batch of rows");
        MAAS_TRY(col->dtype == MAAS_STRING ? get_strings(r, t, err) : get(r, t->data, bytes, err));
    }
    return sink->rows(sink->user, n, r->tensors, err);
}

static maas_status read_stream(reader *r, const maas_table_sink *sink, maas_err *err)
{
    char kind;
    MAAS_TRY(get(r, &kind, 1, err));
    if (kind != 'B')
        return maas_fail(err, MAAS_E_FORMAT, "the reader of the file sent no columns");
    MAAS_TRY(get_begin(r, sink, err));
    for (;;) {
        MAAS_TRY(get(r, &kind, 1, err));
        if (kind == 'E')
            return sink->end(sink->user, err);
        if (kind != 'R')
            return maas_fail(err, MAAS_E_FORMAT, "the reader of the file sent an unknown record");
        MAAS_TRY(get_rows(r, sink, err));
    }
}

maas_status maas_row_stream_read(int fd, const maas_table_sink *sink, maas_err *err)
{
    AUTO_FREE uint8_t *block = maas_alloc(FLUSH_AT);
    reader r = {.fd = fd, .block = block};
    if (!block)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a batch of rows");
    maas_arena_init(&r.arena, NULL);
    maas_arena_init(&r.batch, NULL);
    maas_status st = read_stream(&r, sink, err);
    maas_arena_reset(&r.batch);
    maas_arena_reset(&r.arena);
    return st;
}
