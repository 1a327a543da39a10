/* tests/unit/formats/table_dump.h - a sink that writes a table as text, so that a test compares
 * with a string: "a:int64 b:double | 1 2.5 | 2 nan". Missing text is ~, arrays are [1,2]. It reads
 * every byte it is given, so sanitizers see a view that is too long. */
#ifndef TABLE_DUMP_H
#define TABLE_DUMP_H

#include "base/buf.h"
#include "base/mem.h"
#include "base/num.h"
#include "formats/table.h"

typedef struct table_dump {
    maas_buf text;
    uint32_t n_cols;
    int64_t promised, n_rows;
    int n_begin, n_end;
    maas_dtype dtypes[MAAS_MAX_COLUMNS];
} table_dump;

static void dump_value(maas_buf *b, const maas_tensor *t, int64_t i)
{
    char num[MAAS_NUM_MAX];
    if (t->dtype == MAAS_STRING) {
        const maas_str *s = (const maas_str *)t->data + i;
        s->p ? maas_buf_printf(b, "'%.*s'", (int)s->n, s->p) : maas_buf_char(b, '~');
    } else if (maas_dtype_describe((maas_dtype)t->dtype)->kind == MAAS_KIND_FLOAT) {
        double v = maas_tensor_get(t, i);
        size_t n = t->dtype == MAAS_F32 ? maas_num_put_f32(num, (float)v)
                                        : maas_num_put_f64(num, v);
        maas_buf_add(b, num, n);
    } else if (t->dtype == MAAS_U64) {
        maas_buf_add(b, num, maas_num_put_u64(num, ((const uint64_t *)t->data)[i]));
    } else {
        maas_buf_add(b, num, maas_num_put_i64(num, maas_tensor_get_i64(t, i)));
    }
}

static maas_status dump_begin(void *user, const maas_column *cols, uint32_t n_cols, int64_t n_rows,
                              maas_err *err)
{
    table_dump *d = user;
    d->n_begin++;
    d->n_cols = n_cols;
    d->promised = n_rows;
    for (uint32_t i = 0; i < n_cols; i++) {
        char shape[MAAS_SHAPE_TEXT];
        d->dtypes[i] = cols[i].dtype;
        maas_buf_printf(&d->text, "%s%s:%s%s", i ? " " : "", cols[i].name,
                        maas_dtype_describe(cols[i].dtype)->onnx,
                        cols[i].rank ? maas_shape_text(cols[i].dims, cols[i].rank, shape) : "");
    }
    return MAAS_OK;
}

static maas_status dump_rows(void *user, int64_t n, const maas_tensor *cols, maas_err *err)
{
    table_dump *d = user;
    d->n_rows += n;
    for (int64_t r = 0; r < n; r++) {
        maas_buf_str(&d->text, " |");
        for (uint32_t c = 0; c < d->n_cols; c++) {
            int64_t per_row = maas_dims_product(cols[c].dims, 1, cols[c].rank);
            bool wrong = cols[c].dims[0] != n || cols[c].dtype != d->dtypes[c];
            if (wrong)
                return maas_fail(err, MAAS_E_INTERNAL, "the batch is not as announced");
            maas_buf_str(&d->text, cols[c].rank > 1 ? " [" : " ");
            for (int64_t i = 0; i < per_row; i++) {
                maas_buf_str(&d->text, i ? "," : "");
                dump_value(&d->text, &cols[c], r * per_row + i);
            }
            maas_buf_str(&d->text, cols[c].rank > 1 ? "]" : "");
        }
    }
    return MAAS_OK;
}

static maas_status dump_end(void *user, maas_err *err)
{
    ((table_dump *)user)->n_end++;
    return MAAS_OK;
}

/* The table as text, or "E_FORMAT: words". Free with maas_free. */
__attribute__((unused)) static char *dump_table(const void *p, size_t n, const char *format,
                                                const char *file_name, const maas_table_opts *o)
{
    static table_dump d;
    d = (table_dump){.text = MAAS_BUF_INIT((size_t)64 << 20)};
    maas_table_sink sink = {&d, dump_begin, dump_rows, dump_end};
    maas_err err = {0};
    maas_status st = maas_table_read(maas_span_of(p, n), format, file_name, o, &sink, &err);
    if (st != MAAS_OK) {
        maas_buf_clear(&d.text);
        maas_buf_printf(&d.text, "%s: %s", maas_status_describe(st)->name, err.msg);
        if (err.code != st)
            maas_buf_str(&d.text, " (the error has another code)");
    } else if (d.n_begin != 1 || d.n_end != 1 || (d.promised >= 0 && d.promised != d.n_rows)) {
        maas_buf_str(&d.text, " (begin, rows and end do not agree)");
    }
    return maas_buf_steal(&d.text, NULL);
}

#endif
