/* learn/forest/rows.c - what the tree learners take. */
#include <math.h>

#include "base/mem.h"
#include "learn/forest/forest.h"

#include "base/ban.h"

#define AT(f) offsetof(maas_forest_recipe, f)

static const char *const task_names[] = {"auto", "classification", "regression", NULL};
static const char *const criterion_names[] = {"auto",     "gini",          "entropy",
                                              "log_loss", "squared_error", NULL};

/* clang-format off */
#define TREE_ROWS                                                                                  \
    {"task", MAAS_PARAM_CHOICE, AT(task), .preset = 0, .choices = task_names,                      \
     .help = "auto: classes for text and whole numbers, else numbers"},                            \
    {"criterion", MAAS_PARAM_CHOICE, AT(criterion), .preset = 0, .choices = criterion_names,       \
     .help = "what a cut makes small; auto: gini for classes, squared_error for numbers"},         \
    {"max_depth", MAAS_PARAM_INT, AT(max_depth), 0, 1e6, 0,                                        \
     .help = "cuts from the root to a leaf; 0 or null: any number"},                               \
    {"min_samples_split", MAAS_PARAM_NUM, AT(min_samples_split), 0, 1e9, 2,                        \
     .help = "rows that a node needs to be cut; below 1: share of all"},                           \
    {"min_samples_leaf", MAAS_PARAM_NUM, AT(min_samples_leaf), 0, 1e9, 1,                          \
     .help = "rows on either side of a cut; below 1: share of all"},                               \
    {"min_weight_fraction_leaf", MAAS_PARAM_NUM, AT(min_weight_fraction_leaf), 0, 0.5, 0,          \
     .help = "share of all weight on either side of a cut"},                                       \
    {"max_leaf_nodes", MAAS_PARAM_INT, AT(max_leaf_nodes), 0, 1e9, 0,                              \
     .help = "leaves of a tree, the best cuts first; 0 or null: any number"},                      \
    {"min_impurity_decrease", MAAS_PARAM_NUM, AT(min_impurity_decrease), 0, 1e12, 0,               \
     .help = "what a cut has to gain, in proportion to the rows it divides"},                      \
    {"class_weight", MAAS_PARAM_JSON, AT(class_weight),                                            \
     .help = "\"balanced\", \"balanced_subsample\" (anew for each tree) or {\"label\": weight}"},  \
    {"sample_weight", MAAS_PARAM_JSON, AT(sample_weight),                                                        \
     .help = "name of a column that says how much each row counts; it is no input"},               \
    {"validation", MAAS_PARAM_NUM, AT(validation), 0, 0.9, 0,                                      \
     .help = "share of the rows kept apart to measure on"},                                        \
    {"max_categories", MAAS_PARAM_INT, AT(max_categories), 1, 65536, 65536,                        \
     .help = "kinds of text a column may have; rarer ones count as missing"},                      \
    {"seed", MAAS_PARAM_INT, AT(seed), 0, 9007199254740991.0, 0,                                   \
     .help = "of rows and columns drawn"}
#define FEATURES_ROW(text)                                                                         \
    {"max_features", MAAS_PARAM_JSON, AT(max_features), .help = text}
#define FOREST_ROWS(bootstrap_)                                                                    \
    TREE_ROWS,                                                                                     \
    FEATURES_ROW("columns a node looks at: \"sqrt\", \"log2\", \"all\", a number or a share; "     \
                 "unless said \"sqrt\" for classes, all for numbers"),                             \
    {"n_estimators", MAAS_PARAM_INT, AT(n_estimators), 1, 100000, 100, .help = "trees"},           \
    {"bootstrap", MAAS_PARAM_BOOL, AT(bootstrap), .preset = bootstrap_,                            \
     .help = "each tree draws its rows, with replacement; false: takes all"},                      \
    {"max_samples", MAAS_PARAM_JSON, AT(max_samples),                                              \
     .help = "rows that a tree draws: a number or a share; unless said, as many as there are"},    \
    {"oob_score", MAAS_PARAM_BOOL, AT(oob_score), .preset = 0,                                     \
     .help = "measure each row by the trees that did not draw it"}
/* clang-format on */

static const maas_param forest_rows[] = {FOREST_ROWS(1)};
static const maas_param extra_rows[] = {FOREST_ROWS(0)};
static const maas_param tree_rows[] = {
    TREE_ROWS,
    FEATURES_ROW("columns a node looks at: \"sqrt\", \"log2\", \"all\", a number or a share; "
                 "unless said all"),
};

/* ---- what a row alone cannot say ---- */

static bool is_share(const json_t *v)
{
    return json_is_integer(v)
               ? json_integer_value(v) >= 1
               : json_is_real(v) && json_real_value(v) > 0 && json_real_value(v) <= 1;
}

static bool is_word(const json_t *v, const char *const *words)
{
    const char *s = json_string_value(v);
    for (int i = 0; s && words[i]; i++)
        if (strcmp(words[i], s) == 0)
            return true;
    return false;
}

static void drop(void *j)
{
    json_decref(j);
}

/* null is a value here: all columns. */
static maas_status settle_null(maas_forest_recipe *r, const json_t *params, maas_arena *a,
                               maas_err *err)
{
    const json_t *v = params ? json_object_get(params, "max_features") : NULL;
    if (!v || !json_is_null(v))
        return MAAS_OK;
    json_t *all = json_string("all");
    if (!all || !maas_arena_defer(a, drop, all)) {
        json_decref(all);
        return maas_fail(err, MAAS_E_NOMEM, "reading params");
    }
    r->max_features = all;
    return MAAS_OK;
}

static maas_status check_class_weight(const json_t *w, maas_err *err)
{
    static const char *const words[] = {"balanced", "balanced_subsample", NULL};
    if (w && !json_is_object(w) && !is_word(w, words))
        return maas_fail(err, MAAS_E_INVALID,
                         "params.class_weight must be \"balanced\", \"balanced_subsample\" or an "
                         "object of label and weight");
    return MAAS_OK;
}

static maas_status settle_tree(void *recipe, const json_t *params, maas_arena *a, maas_err *err)
{
    static const char *const words[] = {"sqrt", "log2", "all", NULL};
    maas_forest_recipe *r = recipe;
    MAAS_TRY(settle_null(r, params, a, err));
    MAAS_TRY(check_class_weight(r->class_weight, err));
    if (r->max_features && !is_share(r->max_features) && !is_word(r->max_features, words))
        return maas_fail(err, MAAS_E_INVALID,
                         "params.max_features must be \"sqrt\", \"log2\", \"all\", a number of "
                         "columns or a share above 0, up to 1.0");
    if (r->sample_weight && !json_is_string(r->sample_weight))
        return maas_fail(err, MAAS_E_INVALID, "params.sample_weight must be the name of a column");
    const bool squares = r->criterion == MAAS_CRITERION_SQUARED_ERROR;
    if (r->criterion != MAAS_CRITERION_AUTO &&
        ((squares && r->task == MAAS_TASK_CLASSES) || (!squares && r->task == MAAS_TASK_VALUES)))
        return maas_fail(err, MAAS_E_INVALID, "params.criterion: %s is not for %s",
                         criterion_names[r->criterion], task_names[r->task]);
    r->n_estimators = r->n_estimators ? r->n_estimators : 1; /* decision_tree has no such row */
    return MAAS_OK;
}

static maas_status settle_forest(void *recipe, const json_t *params, maas_arena *a, maas_err *err)
{
    maas_forest_recipe *r = recipe;
    MAAS_TRY(settle_tree(r, params, a, err));
    if (r->max_samples && !is_share(r->max_samples))
        return maas_fail(err, MAAS_E_INVALID,
                         "params.max_samples must be a number of rows or a share above 0, up to "
                         "1.0");
    if (r->max_samples && !r->bootstrap)
        return maas_fail(err, MAAS_E_INVALID, "params.max_samples needs params.bootstrap");
    if (r->oob_score && !r->bootstrap)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.oob_score needs params.bootstrap: else no row is left out");
    return MAAS_OK;
}

static maas_status settle_extra(void *recipe, const json_t *params, maas_arena *a, maas_err *err)
{
    ((maas_forest_recipe *)recipe)->random_cuts = true;
    return settle_forest(recipe, params, a, err);
}

int32_t maas_forest_max_features(const json_t *v, double preset, int64_t n_cols)
{
    const char *word = json_string_value(v);
    double n = preset;
    if (word)
        n = strcmp(word, "sqrt") == 0   ? sqrt((double)n_cols)
            : strcmp(word, "log2") == 0 ? log2((double)n_cols)
                                        : (double)n_cols;
    else if (v)
        n = json_is_integer(v) ? json_number_value(v) : json_number_value(v) * (double)n_cols;
    return n < 1 ? 1 : n > (double)n_cols ? (int32_t)n_cols : (int32_t)n;
}

int64_t maas_forest_max_samples(const json_t *v, int64_t n_rows)
{
    if (!v)
        return n_rows;
    const double n = json_is_integer(v) ? json_number_value(v)
                                        : round(json_number_value(v) * (double)n_rows);
    return n < 1 ? 1 : n > (double)n_rows ? n_rows : (int64_t)n;
}

#define LEARNER(name_, help_, rows_, settle_)                                                      \
    const maas_learner maas_learner_##name_ = {                                                    \
        .name = #name_,                                                                            \
        .help = help_,                                                                             \
        .rows = rows_,                                                                             \
        .n_rows = MAAS_COUNT(rows_),                                                               \
        .recipe_size = sizeof(maas_forest_recipe),                                                 \
        .settle = settle_,                                                                         \
        .train = maas_train_forest,                                                                \
    }

LEARNER(random_forest, "the mean of many trees, each on rows and columns drawn at random",
        forest_rows, settle_forest);
LEARNER(extra_trees, "as random_forest, with cuts at random places: faster, smoother", extra_rows,
        settle_extra);
LEARNER(decision_tree, "one tree of cuts, each the best at its place", tree_rows, settle_tree);
