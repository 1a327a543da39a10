/*
 * learn/forest/isolation.c - isolation_forest: rows that few random cuts set apart are outliers.
 *
 * Each tree takes a few rows and cuts them at random places of random columns. The depth h of a
 * row, with what cutting its leaf's n rows further would have taken, c(n), averaged over the trees,
 * gives the score -2^(-h / c(rows of a tree)): near -1 for outliers. Liu, Ting, Zhou: Isolation
 * Forest (2008).
 */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "learn/forest/forest.h"

#include "base/ban.h"

#define AT(f)          offsetof(maas_forest_recipe, f)
#define DRAWN          256   /* rows of a tree unless said */
#define MEASURED       10000 /* rows looked at for metrics alone */
#define EULER          0.57721566490153286
#define DEFAULT_OFFSET (-0.5)

/* clang-format off */
static const maas_param rows[] = {
    {"n_estimators", MAAS_PARAM_INT, AT(n_estimators), 1, 100000, 100, .help = "trees"},
    {"max_samples", MAAS_PARAM_JSON, AT(max_samples),
     .help = "rows that a tree draws: \"auto\" (256, or all if fewer), a number or a share"},
    {"contamination", MAAS_PARAM_JSON, AT(contamination),
     .help = "share of the rows that are outliers, above 0, up to 0.5; \"auto\": those below -0.5"},
    {"bootstrap", MAAS_PARAM_BOOL, AT(bootstrap), .preset = 0,
     .help = "draw rows with replacement"},
    {"max_categories", MAAS_PARAM_INT, AT(max_categories), 1, 65536, 65536,
     .help = "kinds of text a column may have; rarer ones count as missing"},
    {"seed", MAAS_PARAM_INT, AT(seed), 0, 9007199254740991.0, 0,
     .help = "of rows, columns and places drawn"},
};
/* clang-format on */

static bool is_auto(const json_t *v)
{
    const char *s = json_string_value(v);
    return !v || (s && strcmp(s, "auto") == 0);
}

static maas_status settle(void *recipe, const json_t *params, maas_arena *a, maas_err *err)
{
    const maas_forest_recipe *r = recipe;
    const json_t *n = r->max_samples, *c = r->contamination;
    const double share = json_number_value(c);
    if (!is_auto(n) && !(json_is_integer(n) && json_integer_value(n) >= 1) &&
        !(json_is_real(n) && json_real_value(n) > 0 && json_real_value(n) <= 1))
        return maas_fail(err, MAAS_E_INVALID,
                         "params.max_samples must be \"auto\", a number of rows or a share above "
                         "0, up to 1.0");
    if (!is_auto(c) && !(json_is_number(c) && share > 0 && share <= 0.5))
        return maas_fail(err, MAAS_E_INVALID,
                         "params.contamination must be \"auto\" or a share above 0, up to 0.5");
    return MAAS_OK;
}

/* Cuts that a search for nothing takes among n rows, on average. */
static double path_length(double n)
{
    if (n <= 1)
        return 0;
    return n <= 2 ? 1 : 2 * (log(n - 1) + EULER) - 2 * (n - 1) / n;
}

/* n_draws of the rows, each at most once unless bootstrap. */
static int64_t fill(maas_forest_run *r, int64_t tree, maas_grower *g)
{
    const int64_t n = r->bins.n_rows;
    uint32_t *order = (uint32_t *)g->keys; /* scratch, free until the tree grows */
    maas_rng_seed(&g->rng, maas_forest_seed(r, tree));
    for (int64_t i = 0; i < n && !r->recipe.bootstrap; i++)
        order[i] = (uint32_t)i;
    for (int64_t i = 0; i < r->n_draws; i++) {
        uint32_t row;
        if (r->recipe.bootstrap) {
            row = (uint32_t)maas_rng_below(&g->rng, (uint64_t)n);
        } else {
            const int64_t k = i + (int64_t)maas_rng_below(&g->rng, (uint64_t)(n - i));
            row = order[k];
            order[k] = order[i];
        }
        g->samples[i] = (maas_sample){.row = row, .weight = 1, .code = row};
    }
    return r->n_draws;
}

static void add_path_lengths(maas_forest_run *r)
{
    for (int64_t t = 0; t < r->recipe.n_estimators; t++)
        for (size_t i = 0; i < r->trees[t].n_nodes; i++) {
            const maas_grown_node *n = &r->trees[t].nodes[i];
            if (n->feature < 0)
                r->trees[t].values[n->first].value += path_length(n->rows);
        }
}

static int ascending(const void *pa, const void *pb)
{
    const double a = *(const double *)pa, b = *(const double *)pb;
    return (a > b) - (a < b);
}

/* Between neighbours: linear. */
static double quantile(double *v, int64_t n, double q)
{
    qsort(v, (size_t)n, sizeof *v, ascending);
    const double at = q * (double)(n - 1);
    const int64_t i = (int64_t)at;
    return i + 1 < n ? v[i] + (at - (double)i) * (v[i + 1] - v[i]) : v[n - 1];
}

/* Scores of training rows: where outliers begin, and how many there are. */
static maas_status measure(maas_forest_run *r, double *offset, json_t **out, maas_err *err)
{
    const bool all = !is_auto(r->recipe.contamination);
    const int64_t have = r->bins.n_rows, n = all || have < MEASURED ? have : MEASURED;
    const double scale = path_length((double)r->n_draws) * (double)r->recipe.n_estimators;
    uint32_t *at = maas_arena_array(&r->arena, (size_t)n, sizeof *at);
    double *score = maas_arena_array(&r->arena, (size_t)n, sizeof *score);
    if (!at || !score)
        return maas_fail(err, MAAS_E_NOMEM, "scores of %lld rows", (long long)n);
    for (int64_t i = 0; i < n; i++)
        at[i] = (uint32_t)(i * have / n);
    maas_forest_sums(r, at, true, n, 1, score);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        score[i] = -exp2(-score[i] / (scale > 0 ? scale : 1));
        sum += score[i];
    }
    const double share = json_number_value(r->recipe.contamination);
    *offset = all ? quantile(score, n, share) : DEFAULT_OFFSET;
    int64_t outliers = 0;
    for (int64_t i = 0; i < n; i++)
        outliers += score[i] < *offset;
    *out = json_pack("{s:f, s:f, s:f, s:I}", "mean_score", sum / (double)n, "offset", *offset,
                     "outliers", (double)outliers / (double)n, "trees",
                     (json_int_t)r->recipe.n_estimators);
    return *out ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "metrics");
}

static void auto_graph(maas_graph **g)
{
    maas_graph_destroy(*g);
}

static void auto_forest(maas_forest **f)
{
    maas_forest_destroy(*f);
}

/* scores = -2^(-depth / c) - offset; label -1 below 0, else 1. */
static maas_status write_model(maas_forest_run *r, double offset, maas_train_result *out,
                               maas_err *err)
{
    AUTO(auto_forest) maas_forest *f = NULL;
    AUTO(auto_graph) maas_graph *g = NULL;
    maas_builder b;
    maas_vid x;
    const double c = path_length((double)r->n_draws);
    MAAS_TRY(maas_forest_of_grown(r, MAAS_FOREST_AVERAGE, 1, c > 0 ? -1 / c : 1, &f, err));
    MAAS_TRY(maas_matrix_begin(&r->matrix, r->job, &g, &b, &x, err));
    maas_vid depth = maas_b_op2(&b, "Reshape", maas_b_forest(&b, f, x, false),
                                maas_b_i64s(&b, (int64_t[]){-1}, 1));
    maas_vid power = maas_b_op2(&b, "Pow", maas_b_f32(&b, 2), depth);
    maas_vid scores = maas_b_op2(&b, "Sub", maas_b_op1(&b, "Neg", power),
                                 maas_b_f32(&b, (float)offset));
    maas_vid label = maas_b_op3(&b, "Where", maas_b_op2(&b, "Less", scores, maas_b_f32(&b, 0)),
                                maas_b_i64(&b, -1), maas_b_i64(&b, 1));
    maas_b_output(&b, "label", label);
    maas_b_output(&b, "scores", scores);
    const maas_model_info info = {.task = "outliers", .recipe = &r->recipe};
    return maas_matrix_end(&r->matrix, r->job, &info, &g, &b, out, err);
}

static maas_status prepare(maas_forest_run *r, maas_err *err)
{
    const maas_train_job *job = r->job;
    const maas_features_opts opts = {.scaling = MAAS_SCALING_NONE,
                                     .max_categories = r->recipe.max_categories,
                                     .gaps = true,
                                     .codes = true,
                                     .skip = &job->target,
                                     .n_skip = 1};
    maas_rng rng;
    maas_rng_seed(&rng, (uint64_t)r->recipe.seed);
    MAAS_TRY(maas_split_init(&r->split, job->data->n_rows, 0, true, &rng, job->budget, err));
    MAAS_TRY(
        maas_matrix_fit(&r->matrix, job->data, &opts, true, &r->split.train, job->budget, err));
    MAAS_TRY(
        maas_bins_init(&r->bins, &r->matrix, &r->split.train, job->n_threads, job->budget, err));
    const int64_t n = r->bins.n_rows;
    r->n_draws = is_auto(r->recipe.max_samples) ? (n < DRAWN ? n : DRAWN)
                                                : maas_forest_max_samples(r->recipe.max_samples, n);
    r->data = (maas_grow_data){
        .bins = &r->bins,
        .isolate = true,
        .random_cuts = true,
        .max_features = 1,
        .max_depth = (int64_t)ceil(log2(r->n_draws > 2 ? (double)r->n_draws : 2)),
        .min_split = 2,
        .min_leaf = 1,
    };
    return MAAS_OK;
}

static maas_status train(const maas_train_job *job, maas_train_result *out, maas_err *err)
{
    maas_forest_run r = {.job = job};
    maas_train_result result = {0};
    double offset = DEFAULT_OFFSET;
    maas_arena_init(&r.arena, job->budget);
    maas_status st = maas_learner_read(job->learner, job->params, &r.arena, &r.recipe, err);
    if (st == MAAS_OK)
        st = prepare(&r, err);
    if (st == MAAS_OK)
        st = maas_forest_grow(&r, fill, err);
    if (st == MAAS_OK) {
        add_path_lengths(&r);
        st = measure(&r, &offset, &result.metrics, err);
    }
    if (st == MAAS_OK)
        st = write_model(&r, offset, &result, err);
    maas_forest_run_reset(&r);
    if (st != MAAS_OK)
        maas_train_result_reset(&result);
    else
        *out = result;
    return st;
}

const maas_learner maas_learner_isolation_forest = {
    .name = "isolation_forest",
    .help = "outliers: rows that few random cuts set apart",
    .rows = rows,
    .n_rows = MAAS_COUNT(rows),
    .recipe_size = sizeof(maas_forest_recipe),
    .settle = settle,
    .train = train,
    .no_target = true,
};
