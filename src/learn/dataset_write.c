/*
 * learn/dataset_write.c - rows in, one blob a column out.
 *
 * Rows arrive in batches of all columns, blobs are whole columns, and a table may have more columns
 * than a process may have files. So batches go to one unnamed spill file a part:
 *
 *   batch: [n_cols + 1] uint64 offsets in the spill, then the columns
 *          numbers: their bytes
 *          text:    [elements] int64 lengths, -1 missing, then the bytes of all
 *
 * and at the end each column is copied from the mapped spill to its blob, hashed on the way. The
 * number of rows is then known, so headers are written once. Memory: one buffer, the statistics,
 * and 16 bytes a batch.
 */
#include "learn/dataset.h"

#include "base/mem.h"
#include "formats/batch.h"
#include "formats/npy.h"
#include "learn/stats.h"
#include "base/ban.h"

#define OUT_BYTES ((size_t)256 << 10)

typedef struct spill_batch {
    uint64_t at; /* of its offsets in the spill */
    int64_t n_rows;
} spill_batch;

typedef struct part { /* what came through one use of the sink */
    maas_arena names;
    maas_column *cols;
    maas_stats **stats;
    uint32_t n_cols;
    int64_t n_rows;
    int fd; /* the spill */
    uint64_t at;
    spill_batch *batches;
    size_t n_batches, cap_batches;
    bool ended;
} part;

struct maas_dataset_writer {
    const maas_blob_io *io;
    part *parts;
    size_t n_parts, cap_parts;
    maas_buf out; /* bytes on their way to a file */
};

maas_status maas_dataset_writer_create(const maas_blob_io *io, maas_dataset_writer **out,
                                       maas_err *err)
{
    maas_dataset_writer *w = maas_calloc(1, sizeof *w);
    if (!w)
        return maas_fail(err, MAAS_E_NOMEM, "no memory left to store a data set");
    *w = (maas_dataset_writer){.io = io, .out = MAAS_BUF_INIT(2 * OUT_BYTES)};
    *out = w;
    return MAAS_OK;
}

static void part_reset(part *p)
{
    for (uint32_t i = 0; p->stats && i < p->n_cols; i++)
        maas_stats_destroy(p->stats[i]);
    maas_auto_close(&p->fd);
    maas_free(p->batches);
    maas_arena_reset(&p->names);
}

void maas_dataset_writer_destroy(maas_dataset_writer *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n_parts; i++)
        part_reset(&w->parts[i]);
    maas_free(w->parts);
    maas_buf_reset(&w->out);
    maas_free(w);
}

static maas_status no_memory(maas_err *err)
{
    return maas_fail(err, MAAS_E_NOMEM, "no memory left to store a data set");
}

/* ---- buffered output to a file, hashed when `sha` is there ---- */

typedef struct out_file {
    int fd;
    maas_sha256 *sha;
    maas_buf *buf;
    uint64_t n; /* bytes given */
} out_file;

static maas_status out_flush(out_file *f, maas_err *err)
{
    if (f->sha)
        maas_sha256_add(f->sha, f->buf->p, f->buf->n);
    maas_status st = maas_sys_write(f->fd, f->buf->p, f->buf->n, err);
    maas_buf_clear(f->buf);
    return st;
}

static maas_status out_put(out_file *f, const void *p, size_t n, maas_err *err)
{
    f->n += n;
    if (n < OUT_BYTES) {
        maas_buf_add(f->buf, p, n);
        if (f->buf->failed)
            return no_memory(err);
        return f->buf->n < OUT_BYTES ? MAAS_OK : out_flush(f, err);
    }
    MAAS_TRY(out_flush(f, err));
    if (f->sha)
        maas_sha256_add(f->sha, p, n);
    return maas_sys_write(f->fd, p, n, err);
}

/* ---- the sink: batches to the spill ---- */

static maas_status check_new_names(const maas_dataset_writer *w, const part *p, maas_err *err)
{
    for (size_t k = 0; k + 1 < w->n_parts; k++)
        for (uint32_t i = 0; i < w->parts[k].n_cols; i++)
            for (uint32_t j = 0; j < p->n_cols; j++)
                if (!strcmp(w->parts[k].cols[i].name, p->cols[j].name))
                    return maas_fail(err, MAAS_E_INVALID,
                                     "parts %zu and %zu both have a column \"%s\"", k + 1,
                                     w->n_parts, p->cols[j].name);
    return MAAS_OK;
}

static maas_status add_columns(part *p, const maas_column *cols, uint32_t n_cols, maas_err *err)
{
    MAAS_TRY(maas_columns_check(cols, n_cols, err));
    p->cols = maas_arena_array(&p->names, n_cols, sizeof *p->cols);
    p->stats = maas_arena_array(&p->names, n_cols, sizeof(maas_stats *));
    if (!p->cols || !p->stats)
        return no_memory(err);
    p->n_cols = n_cols;
    for (uint32_t i = 0; i < n_cols; i++) {
        const maas_dtype_info *info = maas_dtype_describe(cols[i].dtype);
        if (!info->numpy && cols[i].dtype != MAAS_STRING)
            return maas_fail(err, MAAS_E_UNSUPPORTED, "column \"%s\": %s cannot be stored",
                             cols[i].name, info->onnx);
        p->cols[i] = cols[i];
        p->cols[i].name = maas_arena_strdup(&p->names, cols[i].name);
        if (!p->cols[i].name)
            return no_memory(err);
        MAAS_TRY(maas_stats_create(cols[i].dtype, n_cols, &p->stats[i], err));
    }
    return MAAS_OK;
}

static maas_status sink_begin(void *user, const maas_column *cols, uint32_t n_cols, int64_t n_rows,
                              maas_err *err)
{
    maas_dataset_writer *w = user;
    if (!maas_grow(&w->parts, &w->cap_parts, w->n_parts + 1, sizeof *w->parts))
        return no_memory(err);
    part *p = &w->parts[w->n_parts++];
    *p = (part){.fd = -1};
    maas_arena_init(&p->names, NULL);
    MAAS_TRY(add_columns(p, cols, n_cols, err));
    MAAS_TRY(check_new_names(w, p, err));
    return w->io->create(w->io->user, &p->fd, err);
}

static uint64_t text_bytes(const maas_str *v, size_t n)
{
    uint64_t sum = n * sizeof(int64_t);
    for (size_t i = 0; i < n; i++)
        sum += v[i].p ? v[i].n : 0;
    return sum;
}

static maas_status put_text(out_file *f, const maas_str *v, size_t n, maas_err *err)
{
    for (size_t i = 0; i < n; i++) {
        int64_t len = v[i].p ? (int64_t)v[i].n : -1;
        MAAS_TRY(out_put(f, &len, sizeof len, err));
    }
    for (size_t i = 0; i < n; i++)
        if (v[i].p && v[i].n)
            MAAS_TRY(out_put(f, v[i].p, v[i].n, err));
    return MAAS_OK;
}

static maas_status put_offsets(out_file *f, const part *p, const maas_tensor *cols, maas_err *err)
{
    uint64_t at = p->at + (p->n_cols + 1ull) * sizeof at;
    MAAS_TRY(out_put(f, &at, sizeof at, err));
    for (uint32_t i = 0; i < p->n_cols; i++) {
        at += cols[i].dtype == MAAS_STRING
                  ? text_bytes(cols[i].data, (size_t)maas_n_elems(&cols[i]))
                  : maas_tensor_bytes(&cols[i]);
        MAAS_TRY(out_put(f, &at, sizeof at, err));
    }
    return MAAS_OK;
}

static maas_status sink_rows(void *user, int64_t n, const maas_tensor *cols, maas_err *err)
{
    maas_dataset_writer *w = user;
    part *p = &w->parts[w->n_parts - 1];
    if (!maas_grow(&p->batches, &p->cap_batches, p->n_batches + 1, sizeof *p->batches))
        return no_memory(err);
    p->batches[p->n_batches++] = (spill_batch){p->at, n};
    out_file f = {.fd = p->fd, .buf = &w->out};
    MAAS_TRY(put_offsets(&f, p, cols, err));
    for (uint32_t i = 0; i < p->n_cols; i++) {
        const maas_tensor *t = &cols[i];
        MAAS_CHECK(t->dtype == p->cols[i].dtype && t->dims[0] == n);
        MAAS_TRY(maas_stats_add(p->stats[i], t, err));
        if (t->dtype == MAAS_STRING)
            MAAS_TRY(put_text(&f, t->data, (size_t)maas_n_elems(t), err));
        else
            MAAS_TRY(out_put(&f, t->data, maas_tensor_bytes(t), err));
    }
    MAAS_TRY(out_flush(&f, err));
    p->at += f.n;
    p->n_rows += n;
    return MAAS_OK;
}

static maas_status sink_end(void *user, maas_err *err)
{
    maas_dataset_writer *w = user;
    w->parts[w->n_parts - 1].ended = true;
    return MAAS_OK;
}

maas_table_sink maas_dataset_writer_sink(maas_dataset_writer *w)
{
    return (maas_table_sink){w, sink_begin, sink_rows, sink_end};
}

/* ---- the end: columns out of the spill ---- */

typedef struct column_copy {
    const part *p;
    uint32_t col;
    maas_map spill;
    out_file f;
} column_copy;

/* The bytes of the column in batch b. The file is ours, unnamed and unshared: trusted. */
static maas_span spilled(const column_copy *c, size_t b)
{
    uint64_t range[2];
    memcpy(range, c->spill.p + c->p->batches[b].at + c->col * sizeof *range, sizeof range);
    MAAS_CHECK(range[0] <= range[1] && range[1] <= c->spill.n);
    return maas_span_of(c->spill.p + range[0], (size_t)(range[1] - range[0]));
}

static size_t n_elems(const column_copy *c, size_t b)
{
    const maas_column *col = &c->p->cols[c->col];
    return (size_t)(c->p->batches[b].n_rows * maas_dims_product(col->dims, 0, col->rank));
}

static maas_status put_header(column_copy *c, maas_dtype t, int rank, const int64_t *dims,
                              maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf head = MAAS_BUF_INIT(MAAS_MAX_NPY_HEADER);
    MAAS_TRY(maas_npy_put_header(&head, t, rank, dims, err));
    return out_put(&c->f, head.p, head.n, err);
}

static maas_status put_numbers(column_copy *c, maas_err *err)
{
    const maas_column *col = &c->p->cols[c->col];
    int64_t dims[MAAS_MAX_RANK] = {c->p->n_rows};
    memcpy(dims + 1, col->dims, (size_t)col->rank * sizeof *dims);
    MAAS_TRY(put_header(c, col->dtype, col->rank + 1, dims, err));
    for (size_t b = 0; b < c->p->n_batches; b++) {
        maas_span s = spilled(c, b);
        MAAS_TRY(out_put(&c->f, s.p, s.n, err));
    }
    return MAAS_OK;
}

static int64_t spilled_length(maas_span s, size_t i)
{
    int64_t len;
    memcpy(&len, s.p + i * sizeof len, sizeof len);
    return len;
}

static maas_status put_text_offsets(column_copy *c, bool *any_missing, maas_err *err)
{
    const maas_column *col = &c->p->cols[c->col];
    int64_t offset = 0;
    int64_t n = c->p->n_rows * maas_dims_product(col->dims, 0, col->rank) + 1;
    MAAS_TRY(put_header(c, MAAS_I64, 1, &n, err));
    MAAS_TRY(out_put(&c->f, &offset, sizeof offset, err));
    for (size_t b = 0; b < c->p->n_batches; b++) {
        maas_span s = spilled(c, b);
        for (size_t i = 0; i < n_elems(c, b); i++) {
            int64_t len = spilled_length(s, i);
            *any_missing = *any_missing || len < 0;
            offset += len < 0 ? 0 : len;
            MAAS_TRY(out_put(&c->f, &offset, sizeof offset, err));
        }
    }
    return MAAS_OK;
}

static maas_status put_bitmap(column_copy *c, maas_err *err)
{
    uint8_t bits = 0;
    size_t n_bits = 0;
    for (size_t b = 0; b < c->p->n_batches; b++) {
        maas_span s = spilled(c, b);
        for (size_t i = 0; i < n_elems(c, b); i++) {
            bits |= (uint8_t)((spilled_length(s, i) < 0) << (n_bits & 7));
            if ((++n_bits & 7) == 0) {
                MAAS_TRY(out_put(&c->f, &bits, 1, err));
                bits = 0;
            }
        }
    }
    return n_bits & 7 ? out_put(&c->f, &bits, 1, err) : MAAS_OK;
}

static maas_status put_texts(column_copy *c, maas_err *err)
{
    bool any_missing = false;
    MAAS_TRY(put_text_offsets(c, &any_missing, err));
    for (size_t b = 0; b < c->p->n_batches; b++) {
        maas_span s = spilled(c, b);
        size_t skip = n_elems(c, b) * sizeof(int64_t);
        MAAS_TRY(out_put(&c->f, s.p + skip, s.n - skip, err));
    }
    return any_missing ? put_bitmap(c, err) : MAAS_OK;
}

static maas_status describe(const column_copy *c, const char *hex, json_t *columns, maas_err *err)
{
    const maas_column *col = &c->p->cols[c->col];
    json_t *stats = NULL, *shape = json_array();
    for (int d = 0; shape && d < col->rank; d++)
        json_array_append_new(shape, json_integer((json_int_t)col->dims[d]));
    maas_status st = maas_stats_json(c->p->stats[c->col], &stats, err);
    if (st != MAAS_OK) {
        json_decref(shape);
        return st;
    }
    json_t *o = json_pack("{s:s,s:s,s:o,s:s,s:I,s:o}", "name", col->name, "dtype",
                          maas_dtype_describe(col->dtype)->onnx, "shape", shape, "blob", hex,
                          "bytes", (json_int_t)c->f.n, "stats", stats);
    return json_array_append_new(columns, o) ? no_memory(err) : MAAS_OK;
}

static maas_status write_column(maas_dataset_writer *w, column_copy *c, json_t *columns,
                                maas_err *err)
{
    AUTO_FD fd = -1;
    AUTO(maas_sha256_reset) maas_sha256 sha = {0};
    uint8_t digest[MAAS_SHA256_BYTES];
    char hex[MAAS_SHA256_HEX];
    if (!maas_sha256_init(&sha))
        return no_memory(err);
    MAAS_TRY(w->io->create(w->io->user, &fd, err));
    maas_buf_clear(&w->out);
    c->f = (out_file){.fd = fd, .sha = &sha, .buf = &w->out};
    MAAS_TRY(c->p->cols[c->col].dtype == MAAS_STRING ? put_texts(c, err) : put_numbers(c, err));
    MAAS_TRY(out_flush(&c->f, err));
    maas_sha256_done(&sha, digest);
    maas_hex(digest, sizeof digest, hex);
    maas_sys_fsync(fd);
    MAAS_TRY(w->io->commit(w->io->user, fd, hex, err));
    return describe(c, hex, columns, err);
}

static maas_status check_parts(const maas_dataset_writer *w, maas_err *err)
{
    if (!w->n_parts)
        return maas_fail(err, MAAS_E_INVALID, "the data set has no columns");
    for (size_t i = 0; i < w->n_parts; i++) {
        const part *p = &w->parts[i];
        if (!p->ended)
            return maas_fail(err, MAAS_E_INVALID, "part %zu was not read to its end", i + 1);
        if (p->n_rows != w->parts[0].n_rows)
            return maas_fail(
                err, MAAS_E_INVALID,
                "part 1 (column \"%s\") has %lld rows, part %zu (column \"%s\") has %lld",
                w->parts[0].cols[0].name, (long long)w->parts[0].n_rows, i + 1, p->cols[0].name,
                (long long)p->n_rows);
    }
    return MAAS_OK;
}

static maas_status write_part(maas_dataset_writer *w, const part *p, json_t *columns, maas_err *err)
{
    AUTO(maas_sys_unmap) maas_map spill = {0};
    MAAS_TRY(maas_sys_map(p->fd, &spill, err));
    for (uint32_t i = 0; i < p->n_cols; i++) {
        column_copy c = {.p = p, .col = i, .spill = spill};
        MAAS_TRY(write_column(w, &c, columns, err));
    }
    return MAAS_OK;
}

maas_status maas_dataset_writer_finish(maas_dataset_writer *w, json_t **out_manifest, maas_err *err)
{
    MAAS_TRY(check_parts(w, err));
    AUTO(maas_json_unref)
    json_t *manifest = json_pack("{s:I,s:[]}", "rows", (json_int_t)w->parts[0].n_rows, "columns");
    if (!manifest)
        return no_memory(err);
    for (size_t i = 0; i < w->n_parts; i++)
        MAAS_TRY(write_part(w, &w->parts[i], json_object_get(manifest, "columns"), err));
    *out_manifest = STEAL(manifest);
    return MAAS_OK;
}
