#include <math.h>
#include <string.h>

#include "api/rows_int.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/ban.h"

#define MAX_CELLS (1 << 24) /* of one row */

/* Elements of one row of a port: everything behind the batch dimension. */
static int64_t elems_of_row(const maas_port *p)
{
    int64_t n = 1;
    for (int d = 1; d < p->rank; d++)
        n *= p->dims[d] < 0 ? 1 : p->dims[d];
    return n;
}

/* Names from the metadata "maas.columns": they are in the order of the cells. */
static maas_status name_places(maas_grid *g, maas_err *err)
{
    const char *text = maas_instance_meta(g->q->model, "maas.columns");
    AUTO(maas_json_unref) json_t *columns = NULL;
    if (!text || maas_json_parse(maas_span_str(text), &columns, NULL) != MAAS_OK ||
        (int64_t)json_array_size(columns) != g->n)
        return MAAS_OK; /* a model from elsewhere: inputs have the names */
    for (int64_t c = 0; c < g->n; c++) {
        const char *name = json_string_value(
            json_object_get(json_array_get(columns, (size_t)c), "name"));
        g->places[c].name = name ? maas_arena_strdup(g->q->arena, name) : NULL;
        if (name && !g->places[c].name)
            return maas_fail(err, MAAS_E_NOMEM, "memory for one request");
    }
    return MAAS_OK;
}

maas_status maas_grid_init(maas_grid *g, maas_prediction *q, maas_err *err)
{
    uint32_t n_in = maas_instance_n_inputs(q->model);
    const maas_port *in = maas_instance_inputs(q->model);
    *g = (maas_grid){.q = q};
    g->row_elems = maas_arena_array(q->arena, n_in, sizeof *g->row_elems);
    g->data = maas_arena_array(q->arena, n_in, sizeof *g->data);
    if (!g->row_elems || !g->data)
        return maas_fail(err, MAAS_E_NOMEM, "memory for one request");
    for (uint32_t i = 0; i < n_in; i++) {
        if (in[i].rank < 1)
            return maas_fail(err, MAAS_E_INVALID, "input '%s' has no rows: use the v2 protocol",
                             in[i].name);
        g->row_elems[i] = elems_of_row(&in[i]);
        g->n += g->row_elems[i];
        if (g->n > MAX_CELLS)
            return maas_fail(err, MAAS_E_INVALID, "a row of this model has too many cells");
    }
    g->places = maas_arena_array(q->arena, (size_t)g->n, sizeof *g->places);
    if (!g->places)
        return maas_fail(err, MAAS_E_NOMEM, "memory for one request");
    int64_t c = 0;
    for (uint32_t i = 0; i < n_in; i++)
        for (int64_t e = 0; e < g->row_elems[i]; e++)
            g->places[c++] = (maas_cell_place){g->row_elems[i] == 1 ? in[i].name : NULL, i, e};
    return name_places(g, err);
}

static maas_status grow(maas_grid *g, maas_err *err)
{
    int64_t cap = g->cap ? g->cap * 2 : 1;
    for (uint32_t i = 0; i < maas_instance_n_inputs(g->q->model); i++) {
        size_t row = (size_t)g->row_elems[i] *
                     maas_dtype_size(maas_instance_inputs(g->q->model)[i].dtype);
        char *more = maas_arena_array(g->q->arena, (size_t)cap, row);
        if (!more)
            return maas_fail(err, MAAS_E_NOMEM, "memory for one request");
        if (g->rows)
            memcpy(more, g->data[i], (size_t)g->rows * row);
        g->data[i] = more;
    }
    g->cap = cap;
    return MAAS_OK;
}

static maas_tensor row_tensor(const maas_grid *g, uint32_t i)
{
    maas_dtype t = maas_instance_inputs(g->q->model)[i].dtype;
    size_t row = (size_t)g->row_elems[i] * maas_dtype_size(t);
    return maas_tensor_of(t, 1, &g->row_elems[i], g->data[i] + (size_t)(g->rows - 1) * row);
}

maas_status maas_grid_add_row(maas_grid *g, maas_err *err)
{
    if (g->rows == g->cap)
        MAAS_TRY(grow(g, err));
    g->rows++;
    for (uint32_t i = 0; i < maas_instance_n_inputs(g->q->model); i++) {
        maas_tensor t = row_tensor(g, i);
        if (maas_dtype_describe(t.dtype)->kind == MAAS_KIND_FLOAT)
            for (int64_t e = 0; e < t.dims[0]; e++)
                maas_tensor_set(&t, e, NAN);
    }
    return MAAS_OK;
}

int64_t maas_grid_find(const maas_grid *g, const char *name, size_t n)
{
    for (int64_t c = 0; c < g->n; c++)
        if (g->places[c].name && strlen(g->places[c].name) == n &&
            memcmp(g->places[c].name, name, n) == 0)
            return c;
    return -1;
}

static maas_status wrong_cell(const maas_grid *g, int64_t c, const char *what, maas_err *err)
{
    const maas_port *p = &maas_instance_inputs(g->q->model)[g->places[c].input];
    return maas_fail(err, MAAS_E_INVALID, "row %lld, column %lld ('%s'): %s, the model wants %s",
                     (long long)g->rows, (long long)(c + 1),
                     g->places[c].name ? g->places[c].name : p->name, what,
                     maas_dtype_describe(p->dtype)->oip);
}

maas_status maas_grid_put_number(maas_grid *g, int64_t c, maas_span number, maas_err *err)
{
    const maas_cell_place *at = &g->places[c];
    maas_tensor t = row_tensor(g, at->input);
    const maas_dtype_info *d = maas_dtype_describe(t.dtype);
    maas_span rest = number;
    double v;
    int64_t i;
    if (d->kind == MAAS_KIND_TEXT) { /* a category that looks like a number */
        char *text = maas_arena_strndup(g->q->arena, (const char *)number.p, number.n);
        if (!text)
            return maas_fail(err, MAAS_E_NOMEM, "memory for one request");
        ((maas_str *)t.data)[at->element] = (maas_str){text, number.n};
        return MAAS_OK;
    }
    if (t.dtype == MAAS_F32) {
        float f;
        if (!maas_num_f32(&rest, &f) || rest.n)
            return wrong_cell(g, c, "not a number", err);
        ((float *)t.data)[at->element] = f;
        return MAAS_OK;
    }
    if (d->kind != MAAS_KIND_FLOAT && maas_num_i64(&rest, &i) && !rest.n) {
        maas_tensor_set(&t, at->element, (double)i);
        if (t.dtype == MAAS_I64)
            ((int64_t *)t.data)[at->element] = i;
        return maas_tensor_get_i64(&t, at->element) == i ? MAAS_OK
                                                         : wrong_cell(g, c, "out of range", err);
    }
    rest = number;
    if (!maas_num_f64(&rest, &v) || rest.n)
        return wrong_cell(g, c, "not a number", err);
    if (d->kind != MAAS_KIND_FLOAT && v != floor(v))
        return wrong_cell(g, c, "not a whole number", err);
    maas_tensor_set(&t, at->element, v);
    return MAAS_OK;
}

maas_status maas_grid_put_text(maas_grid *g, int64_t c, maas_str text, maas_err *err)
{
    const maas_cell_place *at = &g->places[c];
    maas_tensor t = row_tensor(g, at->input);
    if (t.dtype != MAAS_STRING)
        return wrong_cell(g, c, "a text", err);
    ((maas_str *)t.data)[at->element] = text;
    return MAAS_OK;
}

void maas_grid_finish(maas_grid *g)
{
    for (uint32_t i = 0; i < maas_instance_n_inputs(g->q->model); i++) {
        const maas_port *p = &maas_instance_inputs(g->q->model)[i];
        maas_tensor *t = &g->q->run.in[i];
        *t = maas_tensor_of(p->dtype, p->rank, p->dims, g->data[i]);
        t->dims[0] = g->rows;
        for (int d = 1; d < p->rank; d++)
            if (t->dims[d] < 0)
                t->dims[d] = 1;
        static char nothing[8];
        if (!t->data)
            t->data = nothing;
    }
}
