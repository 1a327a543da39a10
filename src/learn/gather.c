/* learn/gather.c - rows of columns into the input buffers of a step. */
#include "learn/columns.h"
#include "learn/features.h"

#include "base/ban.h"

#define PREFETCH_ROWS 4

static void copy_rows(const char *from, size_t row_bytes, const uint32_t *rows, int64_t n, char *to)
{
    for (int64_t i = 0; i < n; i++) {
        if (i + PREFETCH_ROWS < n) {
            const char *ahead = from + rows[i + PREFETCH_ROWS] * row_bytes;
            for (size_t at = 0; at < row_bytes && at < 1024; at += 64)
                __builtin_prefetch(ahead + at);
        }
        memcpy(to + (size_t)i * row_bytes, from + rows[i] * row_bytes, row_bytes);
    }
}

static void gather_numbers(const maas_features *fs, const uint32_t *rows, int64_t n, void *out)
{
    const maas_ds_column *first = fs->f[0].col;
    const size_t width = (size_t)fs->n_numbers;
    if (fs->matrix) {
        copy_rows((const char *)fs->matrix, width * sizeof(float), rows, n, out);
    } else if (fs->layout == MAAS_LAYOUT_TENSOR && first->desc.dtype == fs->raw) {
        copy_rows(first->data, width * maas_dtype_size(fs->raw), rows, n, out);
    } else if (fs->layout == MAAS_LAYOUT_TENSOR) {
        const maas_cells *cells = maas_cells_of(first->desc.dtype);
        const size_t row_bytes = width * maas_dtype_size(first->desc.dtype);
        for (int64_t i = 0; i < n; i++)
            cells->convert((const char *)first->data + rows[i] * row_bytes, fs->n_numbers,
                           (float *)out + i * fs->n_numbers);
    } else {
        float *at = out;
        for (uint32_t c = 0; c < fs->n; c++)
            if (!fs->f[c].is_text)
                maas_cells_of(fs->f[c].col->desc.dtype)
                    ->gather(fs->f[c].col->data, rows, n, at++, fs->n_numbers);
    }
}

/* One column, whatever its cells are, as floats. */
static void gather_column(const maas_ds_column *c, const uint32_t *rows, int64_t n, float *out)
{
    const int64_t width = maas_column_width(c);
    const size_t row_bytes = (size_t)width * maas_dtype_size(c->desc.dtype);
    const maas_cells *cells = maas_cells_of(c->desc.dtype);
    for (int64_t i = 0; i < n; i++)
        cells->convert((const char *)c->data + rows[i] * row_bytes, width, out + i * width);
}

uint32_t maas_features_n_raw(const maas_features *fs)
{
    if (fs->layout == MAAS_LAYOUT_NAMED)
        return fs->n;
    return fs->n_text + (fs->n_numbers > 0);
}

/* Numbers of candidates over those of the rows: columns of a table, so floats. */
static void gather_candidates(const maas_features *fs, const uint32_t *rows, int64_t n, float *out)
{
    for (uint32_t c = 0; c < fs->n; c++) {
        const maas_feature *f = &fs->f[c];
        if (f->is_text)
            continue;
        if (f->tower == MAAS_TOWER_CANDIDATE)
            maas_cells_of(f->col->desc.dtype)->gather(f->col->data, rows, n, out, fs->n_numbers);
        out++;
    }
}

void maas_features_gather(const maas_features *fs, const maas_samples *s, int64_t from, int64_t to,
                          void *const *in)
{
    const int64_t n = to - from;
    const uint32_t *own = s->rows + from, *theirs = s->candidates ? s->candidates + from : own;
    for (uint32_t c = 0; fs->layout == MAAS_LAYOUT_NAMED && c < fs->n; c++)
        gather_column(fs->f[c].col, own, n,
                      (float *)in[c] + from * maas_column_width(fs->f[c].col));
    if (fs->layout == MAAS_LAYOUT_NAMED)
        return;
    if (fs->n_numbers) {
        const size_t row_bytes = (size_t)fs->n_numbers * maas_dtype_size(fs->raw);
        char *at = (char *)*in++ + (size_t)from * row_bytes;
        gather_numbers(fs, own, n, at);
        if (theirs != own)
            gather_candidates(fs, theirs, n, (float *)(void *)at);
    }
    for (uint32_t c = 0; c < fs->n; c++) {
        if (!fs->f[c].is_text)
            continue;
        const uint32_t *rows = fs->f[c].tower == MAAS_TOWER_CANDIDATE ? theirs : own;
        if (fs->f[c].encoder) {
            const size_t row_bytes = (size_t)fs->f[c].width * sizeof(float);
            copy_rows((const char *)fs->f[c].values, row_bytes, rows, n,
                      (char *)*in++ + (size_t)from * row_bytes);
            continue;
        }
        int64_t *out = (int64_t *)*in++ + from;
        for (int64_t i = 0; i < n; i++)
            out[i] = fs->f[c].codes[rows[i]];
    }
}
