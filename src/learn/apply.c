/*
 * learn/apply.c - a *feed* is one input of the graph with the columns that fill it. For each chunk
 * of rows the feeds write into the executor's inputs, the plan runs, and outputs are copied out
 * (text with its bytes: the plan's own die with it).
 */
#include "learn/apply.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/sys.h"
#include "learn/columns.h"
#include "runtime/plan.h"
#include "base/ban.h"

enum { CHUNK = 2048 }; /* rows of one run */

typedef struct feed {
    const maas_ds_column **cols;
    uint32_t n_cols;
    int64_t width; /* cells of one row, all columns together */
    maas_type type;
} feed;

typedef struct applying {
    const maas_graph *g;
    const maas_dataset *d;
    const char *target;
    feed *feeds; /* [g->n_inputs] */
    maas_arena scratch;
    maas_applied *out;
    maas_plan_opts plan;
} applying;

static maas_status no_memory(maas_err *err)
{
    return maas_fail(err, MAAS_E_NOMEM, "memory for running the model over the rows");
}

/* ---- which columns feed an input ---- */

static bool add_column(applying *a, feed *f, const char *name)
{
    const maas_ds_column *c = maas_dataset_column(a->d, name);
    if (!c || (a->target && strcmp(name, a->target) == 0))
        return false;
    f->cols[f->n_cols++] = c;
    f->width += maas_column_width(c);
    return true;
}

static maas_status feed_by_meta(applying *a, uint32_t input, const json_t *columns, maas_err *err)
{
    const char *name = maas_graph_at(a->g, a->g->inputs[input])->name;
    size_t i;
    json_t *c;
    json_array_foreach((json_t *)columns, i, c)
    {
        const char *column = json_string_value(json_object_get(c, "name"));
        const char *into = json_string_value(json_object_get(c, "input"));
        if (!column || !into || strcmp(into, name) != 0)
            continue;
        if (a->feeds[input].n_cols == a->d->n_cols || !add_column(a, &a->feeds[input], column))
            return maas_fail(err, MAAS_E_INVALID,
                             "the model wants column '%.128s', the data set has none", column);
    }
    return MAAS_OK;
}

static void feed_all(applying *a, feed *f)
{
    for (uint32_t k = 0; k < a->d->n_cols; k++)
        add_column(a, f, a->d->cols[k].desc.name);
}

/* Columns against the type of the input: text feeds text, and cells make up a row. */
static maas_status check_feed(const applying *a, uint32_t input, maas_err *err)
{
    const maas_value *v = maas_graph_at(a->g, a->g->inputs[input]);
    const feed *f = &a->feeds[input];
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

static maas_status find_feeds(applying *a, maas_err *err)
{
    AUTO(maas_json_unref) json_t *columns = NULL;
    const char *meta = maas_graph_meta(a->g, "maas.columns");
    if (meta)
        MAAS_TRY(maas_json_parse(maas_span_str(meta), &columns, err));
    a->feeds = maas_arena_array(&a->scratch, a->g->n_inputs, sizeof *a->feeds);
    for (uint32_t i = 0; i < a->g->n_inputs; i++) {
        if (!a->feeds)
            return no_memory(err);
        feed *f = &a->feeds[i];
        f->cols = maas_arena_array(&a->scratch, a->d->n_cols, sizeof *f->cols);
        f->type = maas_graph_at(a->g, a->g->inputs[i])->type;
        if (!f->cols)
            return no_memory(err);
        if (columns)
            MAAS_TRY(feed_by_meta(a, i, columns, err));
        else
            feed_all(a, f);
        MAAS_TRY(check_feed(a, i, err));
    }
    return MAAS_OK;
}

/* ---- running ---- */

static void fill_text(const feed *f, int64_t from, int64_t n, maas_tensor *to)
{
    maas_str *out = to->data;
    for (int64_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < f->n_cols; k++) {
            maas_str t = maas_column_text(f->cols[k], from + i);
            *out++ = t.p ? t : (maas_str){"", 0};
        }
}

static void fill_numbers(const feed *f, int64_t from, int64_t n, maas_tensor *to)
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

static maas_status keep_text(applying *a, const maas_tensor *from, maas_str *to, maas_err *err)
{
    const maas_str *s = from->data;
    for (int64_t i = 0, n = maas_n_elems(from); i < n; i++) {
        char *copy = maas_arena_strndup(&a->out->arena, s[i].p ? s[i].p : "", s[i].n);
        if (!copy)
            return no_memory(err);
        to[i] = (maas_str){copy, s[i].n};
    }
    return MAAS_OK;
}

/* Rows from.. of output k; the first chunk makes the place for all of them. */
static maas_status keep_output(applying *a, uint32_t k, const maas_tensor *t, int64_t from,
                               int64_t n, maas_err *err)
{
    maas_tensor *to = &a->out->out[k];
    if (t->rank < 1 || t->dims[0] != n)
        return maas_fail(err, MAAS_E_INVALID, "output '%s' has no row for each row",
                         maas_graph_at(a->g, a->g->outputs[k])->name);
    if (!to->data) {
        *to = *t;
        to->dims[0] = a->d->n_rows;
        to->data = maas_arena_array(&a->out->arena, (size_t)maas_n_elems(to),
                                    maas_dtype_size((maas_dtype)t->dtype));
        if (!to->data)
            return no_memory(err);
    }
    const size_t row = maas_tensor_bytes(t) / (size_t)n;
    char *at = (char *)to->data + (size_t)from * row;
    if (t->dtype == MAAS_STRING)
        return keep_text(a, t, (maas_str *)(void *)at, err);
    memcpy(at, t->data, row * (size_t)n);
    return MAAS_OK;
}

static void auto_plan(maas_plan **p)
{
    maas_plan_destroy(*p);
}

static void auto_exec(maas_exec **e)
{
    maas_exec_destroy(*e);
}

static maas_status run_chunk(applying *a, maas_exec *exec, int64_t from, int64_t n, maas_err *err)
{
    for (uint32_t i = 0; i < a->g->n_inputs; i++) {
        maas_tensor *to = maas_exec_input(exec, i);
        if (to->dtype == MAAS_STRING)
            fill_text(&a->feeds[i], from, n, to);
        else
            fill_numbers(&a->feeds[i], from, n, to);
    }
    const uint64_t began = maas_now_ns();
    MAAS_TRY(maas_exec_run(exec, err));
    a->out->seconds += (double)(maas_now_ns() - began) * 1e-9;
    for (uint32_t k = 0; k < a->g->n_outputs; k++)
        MAAS_TRY(keep_output(a, k, maas_exec_output(exec, k), from, n, err));
    return MAAS_OK;
}

/* Rows [from, to) in chunks of exactly n. */
static maas_status run_rows(applying *a, int64_t from, int64_t to, int64_t n, maas_err *err)
{
    AUTO(auto_plan) maas_plan *plan = NULL;
    AUTO(auto_exec) maas_exec *exec = NULL;
    maas_type *types = maas_arena_array(&a->scratch, a->g->n_inputs, sizeof *types);
    if (!types)
        return no_memory(err);
    for (uint32_t i = 0; i < a->g->n_inputs; i++) {
        types[i] = a->feeds[i].type;
        types[i].dims[0] = n;
        for (int k = 1; k < types[i].rank; k++)
            if (types[i].dims[k] < 0)
                types[i].dims[k] = a->feeds[i].width;
    }
    MAAS_TRY(maas_plan_create(a->g, types, &a->plan, &plan, err));
    MAAS_TRY(maas_exec_create(plan, NULL, &exec, err));
    for (int64_t at = from; at < to; at += n)
        MAAS_TRY(run_chunk(a, exec, at, n, err));
    return MAAS_OK;
}

static maas_status run_all(applying *a, maas_err *err)
{
    const int64_t n = a->d->n_rows, whole = n / CHUNK * CHUNK;
    if (n == 0)
        return maas_fail(err, MAAS_E_INVALID, "there are no rows to run the model over");
    if (whole)
        MAAS_TRY(run_rows(a, 0, whole, CHUNK, err));
    return whole < n ? run_rows(a, whole, n, n - whole, err) : MAAS_OK;
}

maas_status maas_apply(const maas_graph *g, const maas_dataset *d, const char *target,
                       int n_threads, maas_budget *budget, maas_applied *out, maas_err *err)
{
    *out = (maas_applied){.n_out = g->n_outputs};
    applying a = {.g = g, .d = d, .target = target, .out = out, .plan = MAAS_PLAN_OPTS_INIT};
    a.plan.n_threads = n_threads;
    a.plan.budget = budget;
    maas_arena_init(&out->arena, budget);
    maas_arena_init(&a.scratch, budget);
    out->out = maas_arena_array(&out->arena, g->n_outputs, sizeof *out->out);
    maas_status st = out->out ? find_feeds(&a, err) : no_memory(err);
    if (st == MAAS_OK)
        st = run_all(&a, err);
    maas_arena_reset(&a.scratch);
    return st;
}

void maas_applied_reset(maas_applied *a)
{
    maas_arena_reset(&a->arena);
    *a = (maas_applied){0};
}

const maas_tensor *maas_applied_find(const maas_applied *a, const maas_graph *g, const char *name)
{
    for (uint32_t k = 0; k < a->n_out; k++)
        if (strcmp(maas_graph_at(g, g->outputs[k])->name, name) == 0)
            return &a->out[k];
    return NULL;
}
