/* api/rows_csv.c - CSV as a prediction request: the data sets' reader, rows into a grid. */
#include <string.h>

#include "api/rows_int.h"
#include "base/num.h"
#include "formats/table.h"
#include "base/ban.h"

typedef struct csv_sink {
    maas_grid grid;
    const maas_column *cols;
    uint32_t n_cols;
    int64_t *place; /* [n_cols] cell of each column */
} csv_sink;

/* Columns by name when every name is known, else by position. */
static maas_status begin(void *user, const maas_column *cols, uint32_t n_cols, int64_t n_rows,
                         maas_err *err)
{
    (void)n_rows;
    csv_sink *c = user;
    bool named = true;
    c->cols = maas_arena_dup(c->grid.q->arena, cols, n_cols * sizeof *cols);
    c->place = maas_arena_array(c->grid.q->arena, n_cols, sizeof *c->place);
    c->n_cols = n_cols;
    if (!c->place || !c->cols)
        return maas_fail(err, MAAS_E_NOMEM, "memory for one request");
    for (uint32_t i = 0; i < n_cols; i++) {
        c->place[i] = maas_grid_find(&c->grid, cols[i].name, strlen(cols[i].name));
        named &= c->place[i] >= 0;
    }
    if (named)
        return MAAS_OK;
    if (n_cols != c->grid.n)
        return maas_fail(err, MAAS_E_INVALID, "the CSV has %u columns, the model wants %lld",
                         n_cols, (long long)c->grid.n);
    for (uint32_t i = 0; i < n_cols; i++)
        c->place[i] = i;
    return MAAS_OK;
}

static maas_status put_cell(csv_sink *c, uint32_t col, const maas_tensor *t, int64_t row,
                            maas_err *err)
{
    char number[MAAS_NUM_MAX];
    if (t->dtype == MAAS_STRING) {
        const maas_str *s = (const maas_str *)t->data + row;
        if (!s->p)
            return MAAS_OK;
        char *text = maas_arena_strndup(c->grid.q->arena, s->p, s->n);
        return text ? maas_grid_put_text(&c->grid, c->place[col], (maas_str){text, s->n}, err)
                    : maas_fail(err, MAAS_E_NOMEM, "memory for one request");
    }
    double v = maas_tensor_get(t, row);
    if (v != v)
        return MAAS_OK;
    bool whole = maas_dtype_describe(t->dtype)->kind != MAAS_KIND_FLOAT;
    size_t n = whole ? maas_num_put_i64(number, maas_tensor_get_i64(t, row))
                     : maas_num_put_f64(number, v);
    return maas_grid_put_number(&c->grid, c->place[col], maas_span_of(number, n), err);
}

static maas_status rows(void *user, int64_t n, const maas_tensor *cols, maas_err *err)
{
    csv_sink *c = user;
    for (int64_t r = 0; r < n; r++) {
        MAAS_TRY(maas_grid_add_row(&c->grid, err));
        for (uint32_t i = 0; i < c->n_cols; i++)
            MAAS_TRY(put_cell(c, i, &cols[i], r, err));
    }
    return MAAS_OK;
}

static maas_status end(void *user, maas_err *err)
{
    (void)err;
    csv_sink *c = user;
    maas_grid_finish(&c->grid);
    return MAAS_OK;
}

maas_status maas_csv_decode(maas_prediction *q, maas_span text, maas_err *err)
{
    csv_sink c = {0};
    MAAS_TRY(maas_grid_init(&c.grid, q, err));
    const maas_table_sink sink = {&c, begin, rows, end};
    maas_table_opts o = MAAS_TABLE_OPTS_INIT;
    maas_budget budget = {.limit = 64u << 20};
    o.budget = &budget;
    return maas_table_read(text, "csv", NULL, &o, &sink, err);
}
