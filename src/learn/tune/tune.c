/* learn/tune/tune.c - a parent prepared for training; and the learner `fine_tune`. */
#include "learn/tune/tune_int.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>

#include "base/mem.h"
#include "learn/columns.h"

#include "base/ban.h"

static json_t *replace;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_replace(void)
{
    replace = json_pack("[{s:s}]", "type", "dense");
}

const json_t *maas_tune_head(const char *name)
{
    pthread_once(&once, make_replace);
    return strcmp(name, "replace") == 0 ? replace : NULL;
}

void maas_tune_head_names(maas_buf *out)
{
    maas_buf_str(out, "replace");
}

/* A second head must not be called as the first, parts of which may be there still. */
static maas_status choose_prefix(maas_tune *t, maas_err *err)
{
    for (int i = 1; i < 1000; i++) {
        snprintf(t->prefix, sizeof t->prefix, i > 1 ? "head%d" : "head", i);
        const size_t n = strlen(t->prefix);
        bool free = true;
        for (uint32_t v = 0; v < t->g->n_values && free; v++)
            free = strncmp(t->g->values[v].name, t->prefix, n) != 0 ||
                   t->g->values[v].name[n] != '.';
        if (free)
            return MAAS_OK;
    }
    return maas_fail(err, MAAS_E_UNSUPPORTED, "the model has a thousand heads");
}

static maas_status prepare(maas_tune *t, const maas_graph *parent, maas_recipe *recipe,
                           const maas_dataset *data, const char *target, maas_err *err)
{
    MAAS_TRY(maas_graph_clone(parent, t->budget, &t->g, err));
    const maas_vid label = maas_graph_find(t->g, "label"),
                   chances = maas_graph_find(t->g, "probabilities");
    t->labelled = maas_graph_meta(t->g, "maas.target") && label >= 0 && chances >= 0 &&
                  (maas_graph_at(t->g, label)->flags & MAAS_VALUE_OUTPUT) &&
                  (maas_graph_at(t->g, chances)->flags & MAAS_VALUE_OUTPUT);
    MAAS_TRY(choose_prefix(t, err));
    MAAS_TRY(maas_tune_open_batch(t->g, err));
    MAAS_TRY(maas_tune_find_end(t, err));
    MAAS_TRY(maas_tune_find_weights(t, err));
    MAAS_TRY(maas_tune_free_names(t, err));
    return maas_tune_find_labels(t, recipe, data, target, err);
}

maas_status maas_tune_init(maas_tune *t, const maas_graph *parent, maas_recipe *recipe,
                           const maas_dataset *data, const char *target, maas_budget *budget,
                           maas_err *err)
{
    *t = (maas_tune){.recipe = recipe, .budget = budget};
    return prepare(t, parent, recipe, data, target, err);
}

void maas_tune_reset(maas_tune *t)
{
    maas_graph_destroy(t->g);
    maas_free(t->role);
    maas_json_unref(&t->dropped);
    *t = (maas_tune){0};
}

bool maas_tune_by_name(const maas_tune *t)
{
    return t->g->n_inputs > 1;
}

static bool takes_whole(const maas_tune *t, const char *column)
{
    const maas_vid in = maas_tune_by_name(t) ? maas_graph_find(t->g, column) : t->g->inputs[0];
    const maas_cells *cells = in < 0
                                  ? NULL
                                  : maas_cells_of((maas_dtype)maas_graph_at(t->g, in)->type.dtype);
    return cells && cells->whole;
}

maas_status maas_tune_check_cells(const maas_tune *t, const maas_features *fs, maas_err *err)
{
    for (uint32_t c = 0; c < fs->n; c++) {
        const maas_ds_column *col = fs->f[c].col;
        const maas_cells *cells = maas_cells_of(col->desc.dtype);
        const int64_t width = maas_column_width(col);
        if (!cells || !takes_whole(t, col->desc.name))
            continue;
        for (int64_t i = 0; i < fs->n_rows * width; i++)
            if (fabs(cells->get(col->data, i)) > 1 << 24)
                return maas_fail(err, MAAS_E_INVALID,
                                 "column '%.60s', row %lld: %.0f is beyond 16777216, up to which "
                                 "training has all whole numbers",
                                 col->desc.name, (long long)(i / width + 1),
                                 cells->get(col->data, i));
    }
    return MAAS_OK;
}

json_t *maas_tune_report(const maas_tune *t)
{
    return json_pack("{s:I, s:I, s:O*}", "trained", (json_int_t)t->n_weights, "frozen",
                     (json_int_t)t->n_frozen, "dropped_outputs",
                     json_array_size(t->dropped) ? t->dropped : NULL);
}
