/*
 * learn/search/auto.c - learner "auto": sensible candidates of several learners, cheap ones first,
 * measured on the same folds until the time is up; the best one is the model. The report is a
 * leaderboard: score, seconds of a fit, seconds of answering, bytes of the model.
 */
#include <string.h>

#include "base/mem.h"
#include "learn/columns.h"
#include "learn/scorers.h"
#include "learn/search/auto.h"
#include "learn/search/search.h"
#include "base/ban.h"

enum { CLASSES = 1, NUMBERS = 2 };

/* In the order they are tried. max_rows: training rows above which a fit would take too long; 0:
 * any number. */
const maas_auto_row maas_auto_rows[] = {
    {"logistic_regression", "{}", CLASSES, 0},
    {"ridge", "{}", NUMBERS, 0},
    {"naive_bayes", "{}", CLASSES, 0},
    {"gradient_boosting", "{}", CLASSES | NUMBERS, 0},
    {"random_forest", "{}", CLASSES | NUMBERS, 0},
    {"extra_trees", "{}", CLASSES | NUMBERS, 0},
    {"knn", "{\"n_neighbors\":5,\"weights\":\"distance\"}", CLASSES | NUMBERS, 20000},
    {"svm", "{}", CLASSES | NUMBERS, 5000},
    {"random_forest", "{\"n_estimators\":300,\"min_samples_leaf\":3}", CLASSES | NUMBERS, 0},
    {"extra_trees", "{\"n_estimators\":300,\"max_features\":0.5}", CLASSES | NUMBERS, 0},
    {"logistic_regression", "{\"C\":0.1}", CLASSES, 0},
    {"logistic_regression", "{\"C\":10}", CLASSES, 0},
    {"gradient_boosting", "{\"n_estimators\":400,\"learning_rate\":0.05,\"max_depth\":4}",
     CLASSES | NUMBERS, 0},
    {"elastic_net", "{\"alpha\":0.01}", NUMBERS, 0},
    {"network",
     "{\"layers\":[{\"type\":\"dense\",\"units\":64,\"activation\":\"relu\"},{\"type\":\"dense\","
     "\"units\":32,"
     "\"activation\":\"relu\"},{\"type\":\"dense\"}],\"epochs\":40}",
     CLASSES | NUMBERS, 0},
    {"decision_tree", "{\"max_depth\":8}", CLASSES | NUMBERS, 0},
};
const size_t maas_n_auto_rows = MAAS_COUNT(maas_auto_rows);

typedef struct auto_recipe {
    double time_budget;
    int64_t cv, seed;
    const json_t *scoring, *learners;
} auto_recipe;

#define AT(f) offsetof(auto_recipe, f)
static const maas_param rows[] = {
    {"time_budget", MAAS_PARAM_NUM, AT(time_budget), 1, 1e7, 60,
     .help = "seconds after which no further fit is started; the last training comes on top"},
    {"cv", MAAS_PARAM_INT, AT(cv), 2, 100, 5, .help = "folds that each candidate is measured on"},
    {"scoring", MAAS_PARAM_JSON, AT(scoring),
     .help = "name of a score; unless said accuracy for classes, r2 for numbers"},
    {"learners", MAAS_PARAM_JSON, AT(learners),
     .help = "names of the learners to try; unless said all that fit"},
    {"seed", MAAS_PARAM_INT, AT(seed), 0, 4294967295.0, 0, .help = "of the folds"},
};

static bool is_tried(const char *learner)
{
    for (size_t i = 0; learner && i < maas_n_auto_rows; i++)
        if (strcmp(maas_auto_rows[i].learner, learner) == 0)
            return true;
    return false;
}

static maas_status settle(void *recipe, const json_t *params, maas_arena *a, maas_err *err)
{
    const auto_recipe *r = recipe;
    const maas_scorer *s;
    maas_err ignored = {0};
    size_t i;
    json_t *name;
    (void)params;
    (void)a;
    if (r->scoring && !json_is_string(r->scoring))
        return maas_fail(err, MAAS_E_INVALID, "'params.scoring' must be the name of a score");
    const char *scoring = json_string_value(r->scoring);
    if (scoring && maas_scorer_find(scoring, true, &s, &ignored) != MAAS_OK)
        MAAS_TRY(maas_scorer_find(scoring, false, &s, err));
    if (r->learners && json_array_size(r->learners) == 0)
        return maas_fail(err, MAAS_E_INVALID, "'params.learners' must be a list of names");
    json_array_foreach((json_t *)r->learners, i, name)
    {
        if (!is_tried(json_string_value(name)))
            return maas_fail(err, MAAS_E_INVALID,
                             "'params.learners[%zu]' is no learner that auto tries", i);
    }
    return MAAS_OK;
}

static bool wanted(const json_t *learners, const char *name)
{
    size_t i;
    json_t *v;
    if (!learners)
        return true;
    json_array_foreach((json_t *)learners, i, v)
    {
        if (strcmp(json_string_value(v), name) == 0)
            return true;
    }
    return false;
}

static maas_status add_candidates(const maas_train_job *job, const auto_recipe *r,
                                  maas_candidates *c, maas_err *err)
{
    const maas_ds_column *target = maas_dataset_column(job->data, job->target);
    const maas_cells *cells = target ? maas_cells_of(target->desc.dtype) : NULL;
    if (!target)
        return maas_fail(err, MAAS_E_INVALID, "the data set has no column '%.128s'", job->target);
    const int task = !cells || cells->whole ? CLASSES : NUMBERS;
    for (size_t i = 0; i < maas_n_auto_rows; i++) {
        const maas_auto_row *row = &maas_auto_rows[i];
        AUTO(maas_json_unref) json_t *params = NULL;
        if (!(row->tasks & task) || (row->max_rows && job->data->n_rows > row->max_rows) ||
            !wanted(r->learners, row->learner))
            continue;
        MAAS_TRY(maas_json_parse(maas_span_str(row->params), &params, err));
        MAAS_TRY(maas_candidates_add(c, row->learner, NULL, params, err));
    }
    return c->n ? MAAS_OK
                : maas_fail(err, MAAS_E_INVALID,
                            "none of 'params.learners' can learn column '%.128s'", job->target);
}

static maas_status train(const maas_train_job *job, maas_train_result *out, maas_err *err)
{
    auto_recipe r;
    AUTO(maas_arena_reset) maas_arena a;
    AUTO(maas_candidates_reset) maas_candidates c = {0};
    maas_arena_init(&a, job->budget);
    MAAS_TRY(maas_learner_read(job->learner, job->params, &a, &r, err));
    MAAS_TRY(add_candidates(job, &r, &c, err));
    const maas_cv cv = {.folds = r.cv, .shuffle = true, .seed = r.seed};
    const maas_search_plan plan = {.candidates = &c,
                                   .cv = &cv,
                                   .scoring = json_string_value(r.scoring),
                                   .factor = 3,
                                   .seed = (uint64_t)r.seed,
                                   .seconds = r.time_budget};
    return maas_search_run(job, &plan, out, err);
}

const maas_learner maas_learner_auto = {
    .name = "auto",
    .help = "tries several learners within a time, and keeps the best",
    .rows = rows,
    .n_rows = MAAS_COUNT(rows),
    .recipe_size = sizeof(auto_recipe),
    .settle = settle,
    .train = train,
};
