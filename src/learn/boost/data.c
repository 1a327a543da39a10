/* learn/boost/data.c - which rows, in which order, and what goes along with them. */
#include <math.h>

#include "base/mem.h"
#include "learn/boost/boost.h"
#include "learn/losses.h"

#include "base/ban.h"

#define BYTES_A_CELL 16 /* of the library: its copy of a table, and the bins of its cells */

/* ---- targets ---- */

static maas_status check_values(const maas_boost_run *r, maas_err *err)
{
    const maas_objective *o = r->objective;
    const maas_target *t = &r->target;
    if (t->is_class)
        return MAAS_OK;
    if (t->width != 1)
        return maas_fail(err, MAAS_E_INVALID, "target '%s' has %lld numbers a row, 1 is needed",
                         t->col->desc.name, (long long)t->width);
    for (int64_t i = 0; i < t->n_rows; i++) {
        const double y = t->values[i];
        const bool whole = o->kind != MAAS_XGB_RANKS || y == floor(y);
        if (y < o->min || y > o->max || (o->open && y == o->min) || !whole)
            return maas_fail(err, MAAS_E_INVALID, "target '%s' is %g in row %lld: not for %s",
                             t->col->desc.name, y, (long long)i + 1, o->name);
    }
    return MAAS_OK;
}

static maas_status fit_target(maas_boost_run *r, const maas_rows *train, maas_err *err)
{
    const maas_boost_recipe *c = &r->recipe;
    const maas_objective *o = &maas_objectives[c->objective];
    const bool numbers = o->kind != MAAS_XGB_CLASSES || c->task == MAAS_TASK_VALUES;
    const bool classes = c->objective != MAAS_OBJECTIVE_AUTO && !numbers;
    const maas_recipe as = {.task = numbers   ? MAAS_TASK_VALUES
                                    : classes ? MAAS_TASK_CLASSES
                                              : (maas_task)c->task,
                            .loss.type = numbers ? MAAS_LOSS_MSE : MAAS_LOSS_AUTO,
                            .target_scaling = MAAS_SCALING_NONE,
                            .class_weight = c->class_weight};
    MAAS_TRY(maas_target_fit(&r->target, r->job->data, r->job->target, &as, train, NULL,
                             r->job->budget, err));
    MAAS_TRY(maas_boost_settle(r, err));
    return check_values(r, err);
}

/* ---- groups that are ranked ---- */

typedef struct groups {
    maas_distinct kinds;
    int32_t *of_row; /* [rows] */
    bool *apart;     /* [kinds.n] for validation */
    uint32_t *sizes; /* [kinds.n] of the train groups, then of the others */
    int64_t n_train, n_val;
} groups;

static void groups_reset(groups *g)
{
    maas_distinct_reset(&g->kinds);
}

static maas_status find_groups(maas_boost_run *r, groups *g, maas_err *err)
{
    const char *name = json_string_value(r->recipe.group);
    const maas_ds_column *c = maas_dataset_column(r->job->data, name);
    const maas_cells *cells = c ? maas_cells_of(c->desc.dtype) : NULL;
    const int64_t n = r->job->data->n_rows;
    if (!c || c->desc.rank || !(c->desc.dtype == MAAS_STRING || (cells && cells->whole)))
        return maas_fail(err, MAAS_E_INVALID,
                         "params.group: the data set has no column '%.100s' of text or whole "
                         "numbers",
                         name);
    MAAS_TRY(maas_distinct_build(&g->kinds, c, NULL, n, err));
    g->of_row = maas_arena_array(&r->arena, (size_t)n, sizeof *g->of_row);
    g->apart = maas_arena_array(&r->arena, (size_t)g->kinds.n, sizeof *g->apart);
    g->sizes = maas_arena_array(&r->arena, (size_t)g->kinds.n, sizeof *g->sizes);
    if (!g->of_row || !g->apart || !g->sizes)
        return maas_fail(err, MAAS_E_NOMEM, "groups of %lld rows", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        g->of_row[i] = maas_distinct_find(&g->kinds, i);
        if (g->of_row[i] < 0)
            return maas_fail(err, MAAS_E_INVALID,
                             "params.group: column '%s' is missing in row %lld", name,
                             (long long)i + 1);
    }
    return MAAS_OK;
}

/* A share of the groups, drawn at random, is kept apart. */
static maas_status set_groups_apart(const maas_boost_run *r, groups *g, maas_err *err)
{
    maas_rng rng;
    const int64_t n = g->kinds.n, wanted = (int64_t)floor((double)n * r->recipe.validation);
    if (r->recipe.validation > 0 && (wanted == 0 || wanted == n))
        return maas_fail(err, MAAS_E_INVALID,
                         "params.validation: %g of %lld groups leaves a side "
                         "without any",
                         r->recipe.validation, (long long)n);
    maas_rng_seed(&rng, (uint64_t)r->recipe.seed);
    for (int64_t i = 0, left = wanted; i < n; i++)
        if (left && (int64_t)maas_rng_below(&rng, (uint64_t)(n - i)) < left) {
            g->apart[i] = true;
            left--;
        }
    return MAAS_OK;
}

/* Rows of a group follow each other, in the order they have in the data set. */
static maas_status sort_rows(maas_boost_run *r, groups *g, maas_err *err)
{
    const int64_t n = r->job->data->n_rows;
    uint32_t *rows = maas_arena_array(&r->arena, (size_t)n, sizeof *rows);
    int64_t *at = maas_arena_array(&r->arena, (size_t)g->kinds.n, sizeof *at);
    if (!rows || !at)
        return maas_fail(err, MAAS_E_NOMEM, "groups of %lld rows", (long long)n);
    int64_t sum = 0;
    for (int side = 0; side < 2; side++) {
        for (int64_t k = 0; k < g->kinds.n; k++) {
            if (g->apart[k] != side)
                continue;
            g->sizes[g->n_train + g->n_val] = (uint32_t)g->kinds.keys[k].count;
            (*(side ? &g->n_val : &g->n_train))++;
            at[k] = sum;
            sum += g->kinds.keys[k].count;
        }
        if (side == 0)
            r->train.n = sum;
    }
    for (int64_t i = 0; i < n; i++)
        rows[at[g->of_row[i]]++] = (uint32_t)i;
    r->train.rows = rows;
    r->val.rows = rows + r->train.n;
    r->val.n = n - r->train.n;
    return MAAS_OK;
}

static maas_status choose_rows(maas_boost_run *r, groups *g, maas_err *err)
{
    const maas_train_job *job = r->job;
    const bool ranks = r->recipe.group != NULL;
    maas_rng rng;
    maas_rng_seed(&rng, (uint64_t)r->recipe.seed);
    MAAS_TRY(maas_split_init(&r->split, job->data->n_rows, ranks ? 0 : r->recipe.validation, true,
                             &rng, job->budget, err));
    if (!ranks) {
        r->train = (maas_boost_table){.rows = r->split.train.at, .n = r->split.train.n};
        r->val = (maas_boost_table){.rows = r->split.val.at, .n = r->split.val.n};
        return MAAS_OK;
    }
    MAAS_TRY(find_groups(r, g, err));
    MAAS_TRY(set_groups_apart(r, g, err));
    return sort_rows(r, g, err);
}

/* ---- tables ---- */

/* Text columns are sets of categories for the library; all others numbers. */
static maas_status set_types(const maas_boost_run *r, maas_xgb_handle d, maas_err *err)
{
    const maas_features *fs = &r->matrix.features;
    const size_t n = (size_t)r->matrix.n_cols;
    if (!fs->n_text || !r->recipe.categorical)
        return MAAS_OK;
    AUTO_FREE const char **types = maas_calloc(n, sizeof *types);
    if (!types)
        return maas_fail(err, MAAS_E_NOMEM, "types of %zu columns", n);
    for (size_t i = 0; i < n; i++)
        types[i] = i + fs->n_text < n ? "q" : "c"; /* text comes last in a row */
    return maas_xgb_did(r->x->XGDMatrixSetStrFeatureInfo(d, "feature_type", types, n),
                        "taking the types of the columns", err);
}

static void fill_targets(const maas_boost_run *r, const maas_boost_table *t, float *out)
{
    for (int64_t i = 0; i < t->n; i++)
        out[i] = r->target.is_class ? (float)r->target.codes[t->rows[i]]
                                    : r->target.values[t->rows[i]];
}

static bool fill_weights(const maas_boost_run *r, const maas_boost_table *t, const float *all,
                         float *out)
{
    for (int64_t i = 0; i < t->n; i++)
        out[i] = (all ? all[t->rows[i]] : 1) *
                 (r->target.weights ? r->target.weights[r->target.codes[t->rows[i]]] : 1);
    return all || r->target.weights;
}

static maas_status make_table(maas_boost_run *r, maas_boost_table *t, const float *weights,
                              const uint32_t *sizes, int64_t n_groups, maas_err *err)
{
    const size_t n = (size_t)t->n, k = (size_t)r->matrix.n_cols;
    const bool as_it_is = t->n == r->matrix.n_rows && !sizes; /* all rows, in their order */
    AUTO(maas_arena_reset) maas_arena scratch;
    maas_arena_init(&scratch, r->job->budget);
    float *x = as_it_is ? r->matrix.x : maas_arena_array(&scratch, n * k, sizeof *x);
    float *numbers = maas_arena_array(&scratch, n, sizeof *numbers);
    if (!x || !numbers)
        return maas_fail(err, MAAS_E_NOMEM, "a table of %zu rows", n);
    for (size_t i = 0; i < n && !as_it_is; i++)
        memcpy(x + i * k, r->matrix.x + t->rows[i] * k, k * sizeof *x);
    MAAS_TRY(maas_xgb_did(r->x->XGDMatrixCreateFromMat_omp(x, n, k, NAN, &t->d, r->job->n_threads),
                          "taking the rows", err));
    MAAS_TRY(set_types(r, t->d, err));
    fill_targets(r, t, numbers);
    MAAS_TRY(maas_xgb_did(r->x->XGDMatrixSetFloatInfo(t->d, "label", numbers, n),
                          "taking the targets", err));
    if (fill_weights(r, t, weights, numbers))
        MAAS_TRY(maas_xgb_did(r->x->XGDMatrixSetFloatInfo(t->d, "weight", numbers, n),
                              "taking the weights", err));
    return !sizes
               ? MAAS_OK
               : maas_xgb_did(r->x->XGDMatrixSetUIntInfo(t->d, "group", sizes, (uint64_t)n_groups),
                              "taking the groups", err);
}

static maas_status fit_inputs(maas_boost_run *r, const maas_rows *train, maas_err *err)
{
    const char *skip[] = {r->job->target, json_string_value(r->recipe.sample_weight),
                          json_string_value(r->recipe.group)};
    const maas_features_opts opts = {.scaling = MAAS_SCALING_NONE,
                                     .max_categories = r->recipe.max_categories,
                                     .gaps = true,
                                     .codes = true,
                                     .skip = skip,
                                     .n_skip = MAAS_COUNT(skip)};
    MAAS_TRY(maas_matrix_fit(&r->matrix, r->job->data, &opts, false, train, r->job->budget, err));
    size_t bytes;
    if (__builtin_mul_overflow((size_t)r->matrix.n_rows * (size_t)r->matrix.n_cols, BYTES_A_CELL,
                               &bytes) ||
        (r->job->budget && !maas_budget_take(r->job->budget, bytes)))
        return maas_fail(err, MAAS_E_NOMEM, "boosting on %lld rows and %lld columns",
                         (long long)r->matrix.n_rows, (long long)r->matrix.n_cols);
    r->charged = bytes;
    return MAAS_OK;
}

maas_status maas_boost_data(maas_boost_run *r, maas_err *err)
{
    AUTO(groups_reset) groups g = {0};
    float *weights = NULL;
    MAAS_TRY(choose_rows(r, &g, err));
    const maas_rows train = {(uint32_t *)r->train.rows, r->train.n};
    MAAS_TRY(fit_target(r, &train, err));
    MAAS_TRY(fit_inputs(r, &train, err));
    if (r->recipe.sample_weight)
        MAAS_TRY(maas_matrix_weights(&r->matrix, r->job->data, "sample_weight",
                                     json_string_value(r->recipe.sample_weight), &weights, err));
    MAAS_TRY(make_table(r, &r->train, weights, g.sizes, g.n_train, err));
    return r->val.n
               ? make_table(r, &r->val, weights, g.sizes ? g.sizes + g.n_train : NULL, g.n_val, err)
               : MAAS_OK;
}
