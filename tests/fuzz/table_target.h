/* tests/fuzz/table_target.h - reads a table and looks at every byte of every cell, under a budget.
 */
#ifndef TABLE_TARGET_H
#define TABLE_TARGET_H

#include <stdlib.h>

#include "formats/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct touched {
    uint32_t n_cols;
    int64_t promised, n;
    const maas_column *cols;
    uint64_t sum; /* so that reads are not dropped */
    int64_t n_bytes;
} touched;

static maas_status touch_begin(void *user, const maas_column *cols, uint32_t n_cols, int64_t n_rows,
                               maas_err *err)
{
    touched *t = user;
    t->n_cols = n_cols;
    t->cols = cols;
    t->promised = n_rows;
    return MAAS_OK;
}

static void touch(touched *t, const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        t->sum += ((const uint8_t *)p)[i];
    t->n_bytes += (int64_t)n;
}

static maas_status touch_rows(void *user, int64_t n, const maas_tensor *cols, maas_err *err)
{
    touched *t = user;
    t->n += n;
    for (uint32_t c = 0; c < t->n_cols; c++) {
        if (cols[c].dtype != t->cols[c].dtype || cols[c].rank != t->cols[c].rank + 1 ||
            cols[c].dims[0] != n)
            abort();
        int64_t n_elems = maas_n_elems(&cols[c]);
        touch(t, cols[c].data, maas_tensor_bytes(&cols[c]));
        for (int64_t i = 0; cols[c].dtype == MAAS_STRING && i < n_elems; i++) {
            const maas_str *s = (const maas_str *)cols[c].data + i;
            touch(t, s->p, s->p ? s->n : 0);
        }
    }
    /* A short file may promise much (LIBSVM rows are dense): enough was seen. */
    return t->n_bytes > (16 << 20) ? maas_fail(err, MAAS_E_CANCELLED, "enough") : MAAS_OK;
}

static maas_status touch_end(void *user, maas_err *err)
{
    touched *t = user;
    if (t->promised >= 0 && t->promised != t->n)
        abort();
    return MAAS_OK;
}

static void table_target(const uint8_t *data, size_t size, const char *format)
{
    touched t = {0};
    maas_budget budget = {.limit = (size_t)64 << 20};
    maas_table_opts o = MAAS_TABLE_OPTS_INIT;
    maas_table_sink sink = {&t, touch_begin, touch_rows, touch_end};
    maas_err err = {0};
    o.budget = &budget;
    maas_status st = maas_table_read(maas_span_of(data, size), format, NULL, &o, &sink, &err);
    if (budget.used || (st != MAAS_OK && err.code != st))
        abort();
}

#endif
