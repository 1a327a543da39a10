/* learn/forest/train.c - from a job to grown trees. */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "learn/forest/forest.h"
#include "learn/losses.h"
#include "runtime/threads.h"

#include "base/ban.h"

/* ---- rows and weights ---- */

uint64_t maas_forest_seed(const maas_forest_run *r, int64_t tree)
{
    return (uint64_t)r->recipe.seed * 0x9e3779b97f4a7c15ull + (uint64_t)tree + 1;
}

/* A row, in proportion to its weight: the first whose sum of weights up to it is above the draw. */
static int64_t draw_weighted(const maas_forest_run *r, maas_rng *rng)
{
    int64_t low = 0, high = r->bins.n_rows - 1;
    const double at = maas_rng_unit(rng) * r->up_to[high];
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (r->up_to[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void maas_forest_draw(const maas_forest_run *r, int64_t tree, maas_rng *rng, uint32_t *counts)
{
    const int64_t n = r->bins.n_rows;
    maas_rng_seed(rng, maas_forest_seed(r, tree));
    if (!r->recipe.bootstrap) {
        for (int64_t i = 0; i < n; i++)
            counts[i] = 1;
        return;
    }
    memset(counts, 0, (size_t)n * sizeof *counts);
    for (int64_t i = 0; i < r->n_draws; i++)
        counts[r->up_to ? draw_weighted(r, rng) : (int64_t)maas_rng_below(rng, (uint64_t)n)]++;
}

/* rows / (classes * rows of this class), for the rows that this tree drew. */
static void balance(const maas_forest_run *r, maas_grower *g, int64_t n)
{
    const int32_t k_max = g->d->n_stats;
    double *count = g->left, total = 0, n_seen = 0; /* scratch of the grower, free until it grows */
    memset(count, 0, (size_t)k_max * sizeof *count);
    for (int64_t i = 0; i < n; i++)
        count[g->samples[i].code] += g->samples[i].weight;
    for (int32_t k = 0; k < k_max; k++) {
        total += count[k];
        n_seen += count[k] > 0;
    }
    for (int64_t i = 0; i < n; i++)
        g->samples[i].weight *= (float)(total / (n_seen * count[g->samples[i].code]));
}

static int64_t fill(maas_forest_run *r, int64_t tree, maas_grower *g)
{
    uint32_t *counts = (uint32_t *)g->keys; /* scratch, as above */
    maas_forest_draw(r, tree, &g->rng, counts);
    int64_t n = 0;
    for (int64_t i = 0; i < r->bins.n_rows; i++) {
        const float w = r->weights && !r->up_to ? r->weights[i] : (float)counts[i];
        if (w > 0)
            g->samples[n++] = (maas_sample){(uint32_t)i, w,
                                            r->class_of ? r->class_of[i] : (uint32_t)i};
    }
    if (r->balance_each)
        balance(r, g, n);
    return n;
}

/* ---- the trees ---- */

typedef struct growing {
    maas_forest_run *r;
    maas_fill_fn *fill;
    maas_err err; /* of the first failure; written by whoever sets r->failed */
} growing;

static bool is_cancelled(void *user)
{
    const maas_train_hooks *h = user;
    return h && h->cancelled && h->cancelled(h->user);
}

static void report(maas_forest_run *r)
{
    const maas_train_hooks *h = r->job->hooks;
    const long long done = atomic_load(&r->n_done), all = r->recipe.n_estimators;
    char note[64];
    snprintf(note, sizeof note, "%lld of %lld trees", done, all);
    if (h && h->progress)
        h->progress(h->user, (double)done / (double)all, NULL, note);
}

static void grow_one(void *arg, int64_t i, int ithr)
{
    growing *w = arg;
    maas_forest_run *r = w->r;
    maas_grower *g = &r->growers[ithr];
    maas_err err = {0};
    if (atomic_load(&r->stop))
        return;
    const int64_t n = w->fill(r, i, g);
    maas_status st = n > 0 ? maas_grower_tree(g, n, &r->trees[i], &err)
                           : maas_fail(&err, MAAS_E_INVALID, "every row that was drawn weighs 0");
    int none = MAAS_OK;
    if (st != MAAS_OK && atomic_compare_exchange_strong(&r->failed, &none, st)) {
        w->err = err;
        atomic_store(&r->stop, true);
    }
    atomic_fetch_add(&r->n_done, 1);
    if (ithr != 0)
        return;
    if (is_cancelled((void *)r->job->hooks))
        atomic_store(&r->stop, true);
    report(r);
}

static maas_status make_growers(maas_forest_run *r, maas_err *err)
{
    const int64_t n_trees = r->recipe.n_estimators;
    r->n_threads = r->job->n_threads < 1 ? 1 : r->job->n_threads;
    r->n_threads = r->n_threads < n_trees ? r->n_threads : (int)n_trees;
    r->trees = maas_arena_array(&r->arena, (size_t)n_trees, sizeof *r->trees);
    r->growers = maas_arena_array(&r->arena, (size_t)r->n_threads, sizeof *r->growers);
    if (!r->trees || !r->growers)
        return maas_fail(err, MAAS_E_NOMEM, "%lld trees", (long long)n_trees);
    for (int t = 0; t < r->n_threads; t++) {
        MAAS_TRY(maas_grower_init(&r->growers[t], &r->data, r->bins.n_rows, err));
        r->growers[t].polls = t == 0;
    }
    return MAAS_OK;
}

maas_status maas_forest_grow(maas_forest_run *r, maas_fill_fn *fill_tree, maas_err *err)
{
    r->data.stop = &r->stop;
    r->data.poll = is_cancelled;
    r->data.poll_user = (void *)r->job->hooks;
    r->data.budget = r->job->budget;
    MAAS_TRY(make_growers(r, err));
    growing w = {.r = r, .fill = fill_tree};
    maas_threads_loop(r->n_threads, r->recipe.n_estimators, grow_one, &w);
    const maas_status st = (maas_status)atomic_load(&r->failed);
    if (st != MAAS_OK && st != MAAS_E_CANCELLED)
        return maas_fail(err, st, "%s", w.err.msg);
    if (atomic_load(&r->stop))
        return maas_fail(err, MAAS_E_CANCELLED, "cancelled after %lld trees",
                         (long long)atomic_load(&r->n_done));
    for (int t = 0; t < r->n_threads; t++)
        maas_grower_reset(&r->growers[t]);
    return MAAS_OK;
}

/* ---- setting up ---- */

static maas_status fit_target(maas_forest_run *r, maas_err *err)
{
    const char *word = json_string_value(r->recipe.class_weight);
    r->balance_each = word && strcmp(word, "balanced_subsample") == 0;
    maas_recipe as = {.task = (maas_task)r->recipe.task,
                      .loss.type = r->recipe.task == MAAS_TASK_VALUES ? MAAS_LOSS_MSE
                                                                      : MAAS_LOSS_AUTO,
                      .target_scaling = MAAS_SCALING_NONE,
                      .class_weight = r->balance_each ? NULL : r->recipe.class_weight};
    MAAS_TRY(maas_target_fit(&r->target, r->job->data, r->job->target, &as, &r->split.train, NULL,
                             r->job->budget, err));
    if (!r->target.is_class && r->recipe.class_weight)
        return maas_fail(err, MAAS_E_INVALID, "params.class_weight: target '%s' has no classes",
                         r->job->target);
    const int c = r->recipe.criterion;
    if (c != MAAS_CRITERION_AUTO && (c == MAAS_CRITERION_SQUARED_ERROR) == r->target.is_class)
        return maas_fail(err, MAAS_E_INVALID, "params.criterion does not fit target '%s': it is %s",
                         r->job->target, r->target.is_class ? "classes" : "numbers");
    return MAAS_OK;
}

static maas_status fit_inputs(maas_forest_run *r, maas_err *err)
{
    const char *skip[] = {r->job->target, json_string_value(r->recipe.sample_weight)};
    const maas_features_opts opts = {.scaling = MAAS_SCALING_NONE,
                                     .max_categories = r->recipe.max_categories,
                                     .gaps = true,
                                     .codes = true,
                                     .skip = skip,
                                     .n_skip = MAAS_COUNT(skip)};
    MAAS_TRY(maas_matrix_fit(&r->matrix, r->job->data, &opts, true, &r->split.train, r->job->budget,
                             err));
    return maas_bins_init(&r->bins, &r->matrix, &r->split.train, r->job->n_threads, r->job->budget,
                          err);
}

/* Weight column times class weight; NULL stays NULL when there is neither. */
static maas_status set_weights(maas_forest_run *r, maas_err *err)
{
    const char *column = json_string_value(r->recipe.sample_weight);
    const maas_rows *rows = &r->split.train;
    float *all = NULL;
    if (column)
        MAAS_TRY(maas_matrix_weights(&r->matrix, r->job->data, "sample_weight", column, &all, err));
    if (!all && !r->target.weights)
        return MAAS_OK;
    r->weights = maas_arena_array(&r->arena, (size_t)rows->n, sizeof *r->weights);
    if (!r->weights)
        return maas_fail(err, MAAS_E_NOMEM, "weights of %lld rows", (long long)rows->n);
    for (int64_t i = 0; i < rows->n; i++)
        r->weights[i] = (all ? all[rows->at[i]] : 1) *
                        (r->target.weights ? r->target.weights[r->target.codes[rows->at[i]]] : 1);
    return MAAS_OK;
}

static maas_status set_classes(maas_forest_run *r, maas_err *err)
{
    const maas_rows *rows = &r->split.train;
    r->class_of = maas_arena_array(&r->arena, (size_t)rows->n, sizeof *r->class_of);
    if (!r->class_of)
        return maas_fail(err, MAAS_E_NOMEM, "labels of %lld rows", (long long)rows->n);
    for (int64_t i = 0; i < rows->n; i++)
        r->class_of[i] = (uint32_t)r->target.codes[rows->at[i]];
    r->data.n_stats = (int32_t)r->target.n_classes;
    return MAAS_OK;
}

/* Numbers from their mean, so that sums of squares keep their digits. */
static maas_status set_numbers(maas_forest_run *r, maas_err *err)
{
    const maas_rows *rows = &r->split.train;
    const maas_ds_column *c = r->target.col;
    const maas_cells *cells = maas_cells_of(c->desc.dtype);
    const int64_t k = r->target.width;
    double *y = maas_arena_array(&r->arena, (size_t)(rows->n * k), sizeof *y);
    double *means = maas_arena_array(&r->arena, (size_t)k, sizeof *means);
    if (!y || !means || k > INT32_MAX)
        return maas_fail(err, MAAS_E_NOMEM, "targets of %lld rows", (long long)rows->n);
    for (int64_t i = 0; i < rows->n; i++)
        for (int64_t j = 0; j < k; j++) {
            y[i * k + j] = cells->get(c->data, (int64_t)rows->at[i] * k + j);
            means[j] += (y[i * k + j] - means[j]) / (double)(i + 1);
        }
    for (int64_t i = 0; i < rows->n; i++)
        for (int64_t j = 0; j < k; j++)
            y[i * k + j] -= means[j];
    r->data.y = y;
    r->data.means = means;
    r->data.n_stats = (int32_t)k;
    return MAAS_OK;
}

/* Rows that are drawn are drawn by their weight and then count as often as they came; where all
 * are taken, each counts as much as it weighs. *total: of a tree. */
static maas_status sum_weights(maas_forest_run *r, double *total, maas_err *err)
{
    const int64_t n = r->bins.n_rows;
    if (!r->weights)
        return MAAS_OK;
    double *up_to = maas_arena_array(&r->arena, (size_t)n, sizeof *up_to), sum = 0;
    if (!up_to)
        return maas_fail(err, MAAS_E_NOMEM, "weights of %lld rows", (long long)n);
    for (int64_t i = 0; i < n; i++)
        up_to[i] = sum += r->weights[i];
    if (!(sum > 0))
        return maas_fail(err, MAAS_E_INVALID, "every row weighs 0");
    if (r->recipe.bootstrap)
        r->up_to = up_to;
    else
        *total = sum;
    return MAAS_OK;
}

/* A number of rows, or below 1 a share of them, rounded up. */
static int64_t rows_of(double v, int64_t n, int64_t least)
{
    const double rows = ceil(v < 1 ? v * (double)n : v);
    return rows > (double)least ? (int64_t)rows : least;
}

static maas_status set_data(maas_forest_run *r, maas_err *err)
{
    const maas_forest_recipe *c = &r->recipe;
    const int64_t n = r->bins.n_rows;
    maas_grow_data *d = &r->data;
    *d = (maas_grow_data){
        .bins = &r->bins,
        .is_class = r->target.is_class,
        .entropy = c->criterion == MAAS_CRITERION_ENTROPY ||
                   c->criterion == MAAS_CRITERION_LOG_LOSS,
        .random_cuts = c->random_cuts,
        .max_depth = c->max_depth ? c->max_depth : INT64_MAX,
        .max_leaf_nodes = c->max_leaf_nodes,
        .min_split = rows_of(c->min_samples_split, n, 2),
        .min_leaf = rows_of(c->min_samples_leaf, n, 1),
        .min_gain = c->min_impurity_decrease,
    };
    const bool roots = d->is_class && strcmp(r->job->learner, "decision_tree") != 0;
    const int64_t n_cols = r->matrix.n_cols;
    d->max_features = maas_forest_max_features(
        c->max_features, roots ? sqrt((double)n_cols) : (double)n_cols, n_cols);
    r->n_draws = maas_forest_max_samples(c->max_samples, n);
    MAAS_TRY(d->is_class ? set_classes(r, err) : set_numbers(r, err));
    MAAS_TRY(set_weights(r, err));
    double total = (double)r->n_draws;
    MAAS_TRY(sum_weights(r, &total, err));
    d->min_leaf_weight = c->min_weight_fraction_leaf * total;
    return MAAS_OK;
}

static maas_status run(maas_forest_run *r, maas_train_result *out, maas_err *err)
{
    const maas_train_job *job = r->job;
    maas_rng rng;
    MAAS_TRY(maas_learner_read(job->learner, job->params, &r->arena, &r->recipe, err));
    maas_rng_seed(&rng, (uint64_t)r->recipe.seed);
    MAAS_TRY(maas_split_init(&r->split, job->data->n_rows, r->recipe.validation, true, &rng,
                             job->budget, err));
    MAAS_TRY(fit_target(r, err));
    MAAS_TRY(fit_inputs(r, err));
    MAAS_TRY(set_data(r, err));
    MAAS_TRY(maas_forest_grow(r, fill, err));
    MAAS_TRY(maas_forest_importances(r, err));
    MAAS_TRY(maas_forest_metrics(r, &out->metrics, err));
    return maas_forest_export(r, out, err);
}

void maas_forest_run_reset(maas_forest_run *r)
{
    for (int64_t i = 0; r->trees && i < r->recipe.n_estimators; i++)
        maas_grown_reset(&r->trees[i]);
    for (int t = 0; r->growers && t < r->n_threads; t++)
        maas_grower_reset(&r->growers[t]);
    maas_bins_reset(&r->bins);
    maas_matrix_reset(&r->matrix);
    maas_target_reset(&r->target);
    maas_split_reset(&r->split);
    maas_json_unref(&r->importances);
    maas_arena_reset(&r->arena);
}

maas_status maas_train_forest(const maas_train_job *job, maas_train_result *out, maas_err *err)
{
    maas_forest_run r = {.job = job};
    maas_train_result result = {0};
    maas_arena_init(&r.arena, job->budget);
    const maas_status st = run(&r, &result, err);
    maas_forest_run_reset(&r);
    if (st != MAAS_OK)
        maas_train_result_reset(&result);
    else
        *out = result;
    return st;
}
