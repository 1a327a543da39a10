/* learn/boost/rows.c - what gradient_boosting takes, and its objectives and metrics. */
#include <math.h>

#include "base/mem.h"
#include "learn/boost/boost.h"
#include "learn/recipe.h"

#include "base/ban.h"

#define AT(f)   offsetof(maas_boost_recipe, f)
#define CLASSES (1u << MAAS_XGB_CLASSES)
#define NUMBERS (1u << MAAS_XGB_NUMBERS)
#define RANKS   (1u << MAAS_XGB_RANKS)

/* clang-format off */
/*    name                       kind                from       to        open   classes metric */
#define OBJECTIVES(X) \
    X("auto",                    MAAS_XGB_CLASSES, -INFINITY, INFINITY, false, 0,      "") \
    X("binary:logistic",         MAAS_XGB_CLASSES, -INFINITY, INFINITY, false, 2,      "logloss") \
    X("multi:softprob",          MAAS_XGB_CLASSES, -INFINITY, INFINITY, false, 0,      "mlogloss") \
    X("reg:squarederror",        MAAS_XGB_NUMBERS, -INFINITY, INFINITY, false, 0,      "rmse") \
    X("reg:squaredlogerror",     MAAS_XGB_NUMBERS, -1,        INFINITY, true,  0,      "rmsle") \
    X("reg:logistic",            MAAS_XGB_NUMBERS, 0,         1,        false, 0,      "rmse") \
    X("reg:pseudohubererror",    MAAS_XGB_NUMBERS, -INFINITY, INFINITY, false, 0,      "mphe") \
    X("count:poisson",           MAAS_XGB_NUMBERS, 0,         INFINITY, false, 0,      "poisson-nloglik") \
    X("reg:gamma",               MAAS_XGB_NUMBERS, 0,         INFINITY, true,  0,      "gamma-nloglik") \
    X("reg:tweedie",             MAAS_XGB_NUMBERS, 0,         INFINITY, false, 0,      "tweedie-nloglik@1.5") \
    X("rank:pairwise",           MAAS_XGB_RANKS,   0,         31,       false, 0,      "ndcg") \
    X("rank:ndcg",               MAAS_XGB_RANKS,   0,         31,       false, 0,      "ndcg") \
    X("rank:map",                MAAS_XGB_RANKS,   0,         1,        false, 0,      "map")

#define METRICS(X) \
    X("auto", false, 0) \
    X("logloss", false, CLASSES) X("mlogloss", false, CLASSES) X("error", false, CLASSES) \
    X("merror", false, CLASSES) X("auc", true, CLASSES) X("aucpr", true, CLASSES) \
    X("rmse", false, NUMBERS) X("mae", false, NUMBERS) X("mape", false, NUMBERS) \
    X("rmsle", false, NUMBERS) X("mphe", false, NUMBERS) X("poisson-nloglik", false, NUMBERS) \
    X("gamma-nloglik", false, NUMBERS) X("tweedie-nloglik@1.5", false, NUMBERS) \
    X("ndcg", true, RANKS) X("map", true, RANKS)

const maas_objective maas_objectives[] = {
#define X(...) {__VA_ARGS__},
    OBJECTIVES(X)
#undef X
};
const char *const maas_objective_names[] = {
#define X(name, ...) name,
    OBJECTIVES(X)
#undef X
    NULL};
const maas_eval_metric maas_eval_metrics[] = {
#define X(...) {__VA_ARGS__},
    METRICS(X)
#undef X
};
const size_t maas_n_eval_metrics = MAAS_COUNT(maas_eval_metrics);
static const char *const metric_names[] = {
#define X(name, ...) name,
    METRICS(X)
#undef X
    NULL};
static const char *const task_names[] = {"auto", "classification", "regression", NULL};
static const char *const grow_names[] = {"depthwise", "lossguide", NULL};

static const maas_param rows[] = {
    {"task", MAAS_PARAM_CHOICE, AT(task), .preset = 0, .choices = task_names,
     .help = "auto: classes for text and whole numbers, else numbers"},
    {"objective", MAAS_PARAM_CHOICE, AT(objective), .preset = MAAS_OBJECTIVE_AUTO,
     .choices = maas_objective_names,
     .help = "what the trees make small; auto: binary:logistic, multi:softprob or reg:squarederror"},
    {"n_estimators", MAAS_PARAM_INT, AT(n_estimators), 1, 100000, 100,
     .help = "rounds: one tree each, or one a class"},
    {"learning_rate", MAAS_PARAM_NUM, AT(learning_rate), 0, 1, 0.3, .help = "share of each tree that is added"},
    {"max_depth", MAAS_PARAM_INT, AT(max_depth), 0, 64, 6, .help = "cuts from the root to a leaf; 0: any number"},
    {"max_leaves", MAAS_PARAM_INT, AT(max_leaves), 0, 1e6, 0, .help = "leaves of a tree; 0: any number"},
    {"grow_policy", MAAS_PARAM_CHOICE, AT(grow_policy), .preset = 0, .choices = grow_names,
     .help = "depthwise: level by level; lossguide: the best cut first"},
    {"min_child_weight", MAAS_PARAM_NUM, AT(min_child_weight), 0, 1e9, 1, .help = "second derivatives on either side of a cut"},
    {"gamma", MAAS_PARAM_NUM, AT(gamma), 0, 1e9, 0, .help = "what a cut has to gain"},
    {"max_delta_step", MAAS_PARAM_NUM, AT(max_delta_step), 0, 1e9, 0, .help = "largest value of a leaf; 0: any"},
    {"subsample", MAAS_PARAM_NUM, AT(subsample), 0.0001, 1, 1, .help = "share of the rows that a tree draws"},
    {"colsample_bytree", MAAS_PARAM_NUM, AT(colsample_bytree), 0.0001, 1, 1, .help = "share of the columns that a tree draws"},
    {"colsample_bylevel", MAAS_PARAM_NUM, AT(colsample_bylevel), 0.0001, 1, 1, .help = "share of those that a level draws"},
    {"colsample_bynode", MAAS_PARAM_NUM, AT(colsample_bynode), 0.0001, 1, 1, .help = "share of those that a node draws"},
    {"reg_alpha", MAAS_PARAM_NUM, AT(reg_alpha), 0, 1e9, 0, .help = "penalty on the size of leaves"},
    {"reg_lambda", MAAS_PARAM_NUM, AT(reg_lambda), 0, 1e9, 1, .help = "penalty on the squares of leaves"},
    {"scale_pos_weight", MAAS_PARAM_NUM, AT(scale_pos_weight), 0, 1e9, 1, .help = "weight of the second of two classes"},
    {"max_bin", MAAS_PARAM_INT, AT(max_bin), 2, 65536, 256, .help = "places where a column may be cut"},
    {"categorical", MAAS_PARAM_BOOL, AT(categorical), .preset = 1,
     .help = "text columns are cut into sets of categories; false: in the order of their text"},
    {"max_cat_to_onehot", MAAS_PARAM_INT, AT(max_cat_to_onehot), 1, 65536, 4,
     .help = "with fewer categories, one of them against the rest"},
    {"max_categories", MAAS_PARAM_INT, AT(max_categories), 1, 65536, 65536,
     .help = "kinds of text a column may have; rarer ones count as missing"},
    {"monotone_constraints", MAAS_PARAM_JSON, AT(monotone_constraints),
     .help = "{\"column\": 1 (never falls), -1 (never rises) or 0}"},
    {"validation", MAAS_PARAM_NUM, AT(validation), 0, 0.9, 0, .help = "share of the rows kept apart to measure on"},
    {"early_stopping_rounds", MAAS_PARAM_INT, AT(early_stopping_rounds), 0, 1e6, 0,
     .help = "stop after so many rounds without improvement, and go back to the best; 0: never"},
    {"eval_metric", MAAS_PARAM_CHOICE, AT(eval_metric), .preset = 0, .choices = metric_names,
     .help = "what to watch on the validation rows; auto: that of the objective"},
    {"class_weight", MAAS_PARAM_JSON, AT(class_weight), .help = "\"balanced\" or {\"label\": weight}"},
    {"sample_weight", MAAS_PARAM_JSON, AT(sample_weight),
     .help = "name of a column that says how much each row counts; it is no input"},
    {"group", MAAS_PARAM_JSON, AT(group),
     .help = "for ranking: name of a column that says which rows are ranked together; it is no input"},
    {"seed", MAAS_PARAM_INT, AT(seed), 0, 2147483647, 0, .help = "of rows and columns drawn"},
};
/* clang-format on */

/* ---- what a row alone cannot say ---- */

static maas_status check_names(const maas_boost_recipe *r, maas_err *err)
{
    const json_t *c = r->monotone_constraints;
    const char *key;
    json_t *v;
    if (r->sample_weight && !json_is_string(r->sample_weight))
        return maas_fail(err, MAAS_E_INVALID, "params.sample_weight must be the name of a column");
    if (r->group && !json_is_string(r->group))
        return maas_fail(err, MAAS_E_INVALID, "params.group must be the name of a column");
    if (c && !json_is_object(c))
        return maas_fail(err, MAAS_E_INVALID,
                         "params.monotone_constraints must be an object of columns and 1, 0 or -1");
    json_object_foreach((json_t *)c, key, v)
    {
        const json_int_t n = json_integer_value(v);
        if (!json_is_integer(v) || n < -1 || n > 1)
            return maas_fail(err, MAAS_E_INVALID,
                             "params.monotone_constraints.%.60s must be 1, 0 or -1", key);
    }
    return MAAS_OK;
}

static maas_status check_objective(const maas_boost_recipe *r, maas_err *err)
{
    const maas_objective *o = &maas_objectives[r->objective];
    const bool ranks = o->kind == MAAS_XGB_RANKS, chosen = r->objective != MAAS_OBJECTIVE_AUTO;
    if (ranks != (r->group != NULL))
        return maas_fail(err, MAAS_E_INVALID,
                         ranks ? "params.group is missing: %s ranks the rows of a group"
                               : "params.group is for objectives that rank, not for %s",
                         o->name);
    if (ranks && r->sample_weight)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.sample_weight: rows of a group that is ranked have no weights");
    if (chosen && ((o->kind == MAAS_XGB_CLASSES && r->task == MAAS_TASK_VALUES) ||
                   (o->kind != MAAS_XGB_CLASSES && r->task == MAAS_TASK_CLASSES)))
        return maas_fail(err, MAAS_E_INVALID, "params.objective: %s is not for %s", o->name,
                         task_names[r->task]);
    if (chosen && r->eval_metric && !(maas_eval_metrics[r->eval_metric].kinds & 1u << o->kind))
        return maas_fail(err, MAAS_E_INVALID, "params.eval_metric: %s does not fit %s",
                         maas_eval_metrics[r->eval_metric].name, o->name);
    return MAAS_OK;
}

static maas_status settle(void *recipe, const json_t *params, maas_arena *a, maas_err *err)
{
    const maas_boost_recipe *r = recipe;
    const char *word = json_string_value(r->class_weight);
    MAAS_TRY(check_names(r, err));
    MAAS_TRY(check_objective(r, err));
    if (r->class_weight && !json_is_object(r->class_weight) &&
        !(word && strcmp(word, "balanced") == 0))
        return maas_fail(
            err, MAAS_E_INVALID,
            "params.class_weight must be \"balanced\" or an object of label and weight");
    if (r->early_stopping_rounds && r->validation == 0)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.early_stopping_rounds needs params.validation above 0");
    return MAAS_OK;
}

static const maas_eval_metric *metric_of(const char *name)
{
    for (size_t i = 0; i < maas_n_eval_metrics; i++)
        if (strcmp(maas_eval_metrics[i].name, name) == 0)
            return &maas_eval_metrics[i];
    return &maas_eval_metrics[0];
}

maas_status maas_boost_settle(maas_boost_run *r, maas_err *err)
{
    const maas_target *t = &r->target;
    int o = r->recipe.objective;
    if (o == MAAS_OBJECTIVE_AUTO)
        o = !t->is_class        ? MAAS_OBJECTIVE_SQUARED
            : t->n_classes == 2 ? MAAS_OBJECTIVE_BINARY
                                : MAAS_OBJECTIVE_SOFTPROB;
    r->recipe.objective = o;
    r->objective = &maas_objectives[o];
    if (r->objective->n_classes && r->objective->n_classes != t->n_classes)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.objective: %s needs 2 classes, target '%s' has %lld",
                         r->objective->name, t->col->desc.name, (long long)t->n_classes);
    r->metric = r->recipe.eval_metric ? &maas_eval_metrics[r->recipe.eval_metric]
                                      : metric_of(r->objective->metric);
    if (!(r->metric->kinds & 1u << r->objective->kind))
        return maas_fail(err, MAAS_E_INVALID, "params.eval_metric: %s does not fit %s",
                         r->metric->name, r->objective->name);
    return MAAS_OK;
}

const maas_learner maas_learner_gradient_boosting = {
    .name = "gradient_boosting",
    .help = "trees that correct each other one after the other, by XGBoost",
    .rows = rows,
    .n_rows = MAAS_COUNT(rows),
    .recipe_size = sizeof(maas_boost_recipe),
    .settle = settle,
    .train = maas_train_boosting,
};
