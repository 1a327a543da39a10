/* learn/feeds.c - which columns of a data set feed which input of a model, and copying them there.
 */
#include "learn/feeds.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "learn/columns.h"
#include "base/ban.h"

static maas_status no_memory(maas_err *err)
{
    return maas_fail(err, MAAS_E_NOMEM, "memory for the columns of the model");
}

static bool add_column(maas_feeds *a, maas_feed *f, const char *name)
{
    const maas_ds_column *c = maas_dataset_column(a->d, name);
    if (!c || (a->target && strcmp(name, a->target) == 0))
        return false;
    f->cols[f->n_cols++] = c;
    f->width += maas_column_width(c);
    return true;
}

/* Columns by their names. When the data set has none of them, nothing is fed: names that a maker
 * made up ("f0") say no more than their order. */
static maas_status feed_by_meta(maas_feeds *a, uint32_t input, const json_t *columns, maas_err *err)
{
    const char *name = maas_graph_at(a->g, a->g->inputs[input])->name, *missing = NULL;
    size_t i;
    json_t *c;
    json_array_foreach((json_t *)columns, i, c)
    {
        const char *column = json_string_value(json_object_get(c, "name"));
        const char *into = json_string_value(json_object_get(c, "input"));
        if (!column || !into || strcmp(into, name) != 0)
            continue;
        if (a->at[input].n_cols == a->d->n_cols || !add_column(a, &a->at[input], column))
            missing = missing ? missing : column;
    }
    if (missing && a->at[input].n_cols)
        return maas_fail(err, MAAS_E_INVALID,
                         "the model wants column '%.128s', the data set has none", missing);
    return MAAS_OK;
}

static void feed_all(maas_feeds *a, maas_feed *f)
{
    for (uint32_t k = 0; k < a->d->n_cols; k++)
        add_column(a, f, a->d->cols[k].desc.name);
}

/* Columns against the type of the input: text feeds text, and cells make up a row. */
static maas_status check_feed(const maas_feeds *a, uint32_t input, maas_err *err)
{
    const maas_value *v = maas_graph_at(a->g, a->g->inputs[input]);
    const maas_feed *f = &a->at[input];
    const bool text = v->type.dtype == MAAS_STRING;
    int64_t row = 1;
    if (!f->n_cols)
        return maas_fail(err, MAAS_E_INVALID, "nothing in the data set feeds input '%s'", v->name);
    for (uint32_t k = 0; k < f->n_cols; k++)
        if ((f->cols[k]->desc.dtype == MAAS_STRING) != text)
            return maas_fail(err, MAAS_E_INVALID, "column '%s' is %s, input '%s' is %s",
                             f->cols[k]->desc.name,
                             maas_dtype_describe(f->cols[k]->desc.dtype)->onnx, v->name,
                             maas_dtype_describe((maas_dtype)v->type.dtype)->onnx);
    for (int k = 1; k < v->type.rank; k++)
        row = v->type.dims[k] < 0 ? f->width : row * v->type.dims[k];
    if (v->type.rank < 1 || row != f->width)
        return maas_fail(err, MAAS_E_INVALID,
                         "input '%s' takes %lld values a row, the columns have %lld", v->name,
                         (long long)row, (long long)f->width);
    return MAAS_OK;
}

maas_status maas_feeds_init(maas_feeds *a, const maas_graph *g, const maas_dataset *d,
                            const char *target, maas_arena *arena, maas_err *err)
{
    AUTO(maas_json_unref) json_t *columns = NULL;
    const char *meta = maas_graph_meta(g, "maas.columns");
    *a = (maas_feeds){.g = g, .d = d, .target = target};
    if (meta)
        MAAS_TRY(maas_json_parse(maas_span_str(meta), &columns, err));
    a->at = maas_arena_array(arena, g->n_inputs, sizeof *a->at);
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        if (!a->at)
            return no_memory(err);
        maas_feed *f = &a->at[i];
        f->cols = maas_arena_array(arena, d->n_cols, sizeof *f->cols);
        if (!f->cols)
            return no_memory(err);
        if (columns)
            MAAS_TRY(feed_by_meta(a, i, columns, err));
        if (!f->n_cols && g->n_inputs == 1) /* by their place */
            feed_all(a, f);
        MAAS_TRY(check_feed(a, i, err));
    }
    return MAAS_OK;
}

maas_type maas_feed_type(const maas_feeds *a, uint32_t input, int64_t n)
{
    maas_type t = maas_graph_at(a->g, a->g->inputs[input])->type;
    t.dims[0] = n;
    for (int k = 1; k < t.rank; k++)
        if (t.dims[k] < 0)
            t.dims[k] = a->at[input].width;
    return t;
}

static void fill_text(const maas_feed *f, int64_t from, int64_t n, maas_tensor *to)
{
    maas_str *out = to->data;
    for (int64_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < f->n_cols; k++) {
            maas_str t = maas_column_text(f->cols[k], from + i);
            *out++ = t.p ? t : (maas_str){"", 0};
        }
}

static void fill_numbers(const maas_feed *f, int64_t from, int64_t n, maas_tensor *to)
{
    for (uint32_t k = 0, at = 0; k < f->n_cols; k++) {
        const maas_ds_column *c = f->cols[k];
        const int64_t w = maas_column_width(c);
        const maas_cells *cells = maas_cells_of(c->desc.dtype);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < w; j++)
                maas_tensor_set(to, i * f->width + at + j, cells->get(c->data, (from + i) * w + j));
        at += (uint32_t)w;
    }
}

void maas_feed_fill(const maas_feeds *a, uint32_t input, int64_t from, int64_t n, maas_tensor *to)
{
    if (to->dtype == MAAS_STRING)
        fill_text(&a->at[input], from, n, to);
    else
        fill_numbers(&a->at[input], from, n, to);
}
