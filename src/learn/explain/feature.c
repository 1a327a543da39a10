/* learn/explain/feature.c - the cells of the inputs as features, with names people know. */
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "learn/explain/explain_int.h"
#include "base/ban.h"

enum { MAX_FEATURES = 1 << 16 };

static maas_status no_memory(maas_err *err)
{
    return maas_fail(err, MAAS_E_NOMEM, "memory for explaining");
}

/* Cells of a row of an input; the batch is the first dimension. */
static maas_status width_of(const maas_explainer *x, uint32_t input, int64_t *out, maas_err *err)
{
    const maas_value *v = maas_graph_at(x->g, x->g->inputs[input]);
    *out = 1;
    if (v->type.rank < 1)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "input '%s' has no rows to explain", v->name);
    for (int d = 1; d < v->type.rank; d++) {
        if (v->type.dims[d] < 0)
            return maas_fail(
                err, MAAS_E_UNSUPPORTED,
                "input '%s' has rows of any size; only rows of one size can be explained", v->name);
        *out *= v->type.dims[d];
    }
    return MAAS_OK;
}

/* "maas.columns": columns of one cell, in the order of the cells of their input. */
static const char *column_name(const json_t *columns, const char *input, int64_t cell)
{
    size_t i;
    json_t *c;
    json_array_foreach((json_t *)columns, i, c)
    {
        const char *into = json_string_value(json_object_get(c, "input"));
        const json_t *shape = json_object_get(c, "shape");
        int64_t cells = 1;
        for (size_t d = 0; d < json_array_size(shape); d++)
            cells *= json_integer_value(json_array_get(shape, d));
        if (!into || strcmp(into, input) != 0)
            continue;
        if (cell < cells)
            return cells == 1 ? json_string_value(json_object_get(c, "name")) : NULL;
        cell -= cells;
    }
    return NULL;
}

static maas_status name_feature(maas_explainer *x, maas_xfeature *f, const json_t *columns,
                                int64_t width, maas_err *err)
{
    const char *input = maas_graph_at(x->g, x->g->inputs[f->input])->name;
    const char *name = column_name(columns, input, f->cell);
    f->name = name         ? maas_arena_strdup(&x->arena, name)
              : width == 1 ? input
                           : maas_arena_printf(&x->arena, "%s[%lld]", input, (long long)f->cell);
    return f->name ? MAAS_OK : no_memory(err);
}

maas_status maas_x_features(maas_explainer *x, maas_err *err)
{
    AUTO(maas_json_unref) json_t *columns = NULL;
    const char *meta = maas_graph_meta(x->g, "maas.columns");
    maas_err ignored = {0};
    int64_t width, n = 0;
    if (meta && maas_json_parse(maas_span_str(meta), &columns, &ignored) != MAAS_OK)
        columns = NULL; /* names are a courtesy */
    for (uint32_t i = 0; i < x->g->n_inputs; i++) {
        MAAS_TRY(width_of(x, i, &width, err));
        if (width > MAX_FEATURES - n)
            return maas_fail(err, MAAS_E_UNSUPPORTED,
                             "rows of more than %d cells cannot be explained", MAX_FEATURES);
        n += width;
    }
    x->features = maas_arena_array(&x->arena, (size_t)n, sizeof *x->features);
    if (!x->features)
        return no_memory(err);
    for (uint32_t i = 0; i < x->g->n_inputs; i++) {
        MAAS_TRY(width_of(x, i, &width, err));
        for (int64_t c = 0; c < width; c++) {
            maas_xfeature *f = &x->features[x->n_features++];
            *f = (maas_xfeature){.input = i, .cell = c};
            MAAS_TRY(name_feature(x, f, columns, width, err));
        }
    }
    return MAAS_OK;
}

void maas_x_cell(const maas_xfeature *f, const maas_tensor *from, int64_t from_row, maas_tensor *to,
                 int64_t to_row, int64_t width)
{
    const size_t size = maas_dtype_size((maas_dtype)from->dtype);
    memcpy((char *)to->data + (size_t)(to_row * width + f->cell) * size,
           (const char *)from->data + (size_t)(from_row * width + f->cell) * size, size);
}

void maas_x_row(maas_explainer *x, const maas_tensor *from, int64_t from_row, int64_t to)
{
    for (uint32_t i = 0; i < x->g->n_inputs; i++) {
        maas_tensor *t = maas_xfun_input(x->fun, i);
        const size_t row = (size_t)maas_xfun_width(x->fun, i) *
                           maas_dtype_size((maas_dtype)t->dtype);
        memcpy((char *)t->data + (size_t)to * row,
               (const char *)from[i].data + (size_t)from_row * row, row);
    }
}
