/*
 * What the parameters of a booster mean: how many scores, from where they start, what they become,
 * which trees count.
 */
#include <math.h>

#include "formats/xgboost/xgboost_int.h"

#include "base/mem.h"
#include "base/ban.h"

/* ---- objectives ---- */

/* base_score is kept as a prediction; these undo what the objective does to a score. */
static float from_identity(float p)
{
    return p;
}
static float from_logistic(float p)
{
    return -logf(1.0f / p - 1.0f);
}
static float from_exp(float p)
{
    return logf(p);
}

typedef struct objective {
    const char *name;
    maas_boost_link link;
    maas_boost_task task;
    float (*margin)(float p);
} objective;

static const objective *objective_of(const char *name)
{
    static const objective rows[] = {
        {"reg:squarederror", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, from_identity},
        {"reg:linear", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, from_identity},
        {"reg:squaredlogerror", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, from_identity},
        {"reg:pseudohubererror", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, from_identity},
        {"reg:absoluteerror", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, from_identity},
        {"reg:quantileerror", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, from_identity},
        {"reg:logistic", MAAS_BOOST_SIGMOID, MAAS_BOOST_VALUES, from_logistic},
        {"reg:gamma", MAAS_BOOST_EXP, MAAS_BOOST_VALUES, from_exp},
        {"reg:tweedie", MAAS_BOOST_EXP, MAAS_BOOST_VALUES, from_exp},
        {"count:poisson", MAAS_BOOST_EXP, MAAS_BOOST_VALUES, from_exp},
        {"survival:cox", MAAS_BOOST_EXP, MAAS_BOOST_VALUES, from_exp},
        {"survival:aft", MAAS_BOOST_EXP, MAAS_BOOST_VALUES, from_exp},
        {"binary:logistic", MAAS_BOOST_SIGMOID, MAAS_BOOST_PROBABILITIES, from_logistic},
        {"binary:logitraw", MAAS_BOOST_IDENTITY, MAAS_BOOST_SCORES, from_identity},
        {"binary:hinge", MAAS_BOOST_IDENTITY, MAAS_BOOST_SCORES, from_identity},
        {"multi:softmax", MAAS_BOOST_SOFTMAX, MAAS_BOOST_PROBABILITIES, from_identity},
        {"multi:softprob", MAAS_BOOST_SOFTMAX, MAAS_BOOST_PROBABILITIES, from_identity},
        {"rank:pairwise", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, from_identity},
        {"rank:ndcg", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, from_identity},
        {"rank:map", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, from_identity},
    };
    for (size_t i = 0; i < MAAS_COUNT(rows); i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

static maas_status set_objective(xgb_model *x, const objective **out, maas_err *err)
{
    const objective *o = objective_of(x->objective);
    if (!o)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "XGBoost: objective '%s' is not supported",
                         x->objective);
    x->m.link = o->link;
    x->m.task = o->task;
    x->m.slope = 1;
    x->m.objective = maas_arena_strdup(&x->m.arena, x->objective);
    x->m.source = x->version[0]
                      ? maas_arena_printf(&x->m.arena, "XGBoost %lld.%lld.%lld %s",
                                          (long long)x->version[0], (long long)x->version[1],
                                          (long long)x->version[2], x->booster)
                      : maas_arena_printf(&x->m.arena, "XGBoost %s", x->booster);
    *out = o;
    return x->m.objective && x->m.source ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "objective");
}

/* ---- sizes ---- */

static maas_status set_sizes(xgb_model *x, maas_err *err)
{
    int64_t scores = x->n_class > 1 ? x->n_class : 1;
    if (x->n_target > scores)
        scores = x->n_target;
    if (x->n_feature < 1 || x->n_feature > XGB_MAX_FEATURES)
        return maas_fail(err, MAAS_E_TOO_LARGE,
                         "XGBoost: num_feature is %lld, 1 to %d are possible",
                         (long long)x->n_feature, XGB_MAX_FEATURES);
    if (scores > XGB_MAX_SCORES)
        return maas_fail(err, MAAS_E_TOO_LARGE, "XGBoost: %lld classes or targets, at most %d",
                         (long long)scores, XGB_MAX_SCORES);
    if (x->m.link == MAAS_BOOST_SOFTMAX && scores < 2)
        return maas_fail(err, MAAS_E_FORMAT, "XGBoost: %s with num_class %lld", x->objective,
                         (long long)x->n_class);
    x->m.n_features = (int32_t)x->n_feature;
    x->m.n_scores = (int32_t)scores;
    x->m.n_classes = x->m.task == MAAS_BOOST_VALUES ? 0 : scores > 1 ? (int32_t)scores : 2;
    x->m.multilabel = x->m.task != MAAS_BOOST_VALUES && scores > 1 &&
                      x->m.link != MAAS_BOOST_SOFTMAX;
    return MAAS_OK;
}

/* Where scores start, as doubles in the arena: [n_scores]. */
static maas_status base_margin(xgb_model *x, const objective *o, double **out, maas_err *err)
{
    const int32_t k = x->m.n_scores;
    const float *base = maas_numbers_f32(&x->base_score);
    double *v = maas_arena_array(&x->m.arena, (size_t)k, sizeof *v);
    if (!v)
        return maas_fail(err, MAAS_E_NOMEM, "base scores");
    if (x->base_score.n != 1 && x->base_score.n != (size_t)k)
        return maas_fail(err, MAAS_E_FORMAT, "XGBoost: %zu numbers in base_score, expected 1 or %d",
                         x->base_score.n, k);
    for (int32_t i = 0; i < k; i++) {
        float p = base[x->base_score.n == 1 ? 0 : i];
        v[i] = (double)(x->base_is_margin ? p : o->margin(p));
        if (!isfinite(v[i]))
            return maas_fail(err, MAAS_E_FORMAT, "XGBoost: base_score %g does not go with %s",
                             (double)p, x->objective);
    }
    *out = v;
    return MAAS_OK;
}

/* ---- linear booster ---- */

static maas_status finish_linear(xgb_model *x, const double *base, maas_err *err)
{
    const size_t k = (size_t)x->m.n_scores, n = (size_t)x->m.n_features;
    const float *w = maas_numbers_f32(&x->linear);
    if (x->linear.n != (n + 1) * k)
        return maas_fail(err, MAAS_E_FORMAT,
                         "XGBoost: %zu weights for %zu features and %zu scores, expected %zu",
                         x->linear.n, n, k, (n + 1) * k);
    double *weights = maas_arena_array(&x->m.arena, n * k, sizeof *weights);
    double *bias = maas_arena_array(&x->m.arena, k, sizeof *bias);
    if (!weights || !bias)
        return maas_fail(err, MAAS_E_NOMEM, "weights");
    for (size_t i = 0; i < n * k; i++)
        weights[i] = (double)w[i];
    for (size_t i = 0; i < k; i++)
        bias[i] = (double)w[n * k + i] + base[0]; /* the first for all, as XGBoost does here */
    x->m.weights = weights;
    x->m.bias = bias;
    maas_forest_destroy(x->m.forest);
    x->m.forest = NULL;
    return MAAS_OK;
}

/* ---- trees ---- */

/* How many trees the first `n` iterations have. */
static int64_t trees_of(const xgb_model *x, int64_t n)
{
    const int64_t n_trees = x->m.forest->n_trees;
    int64_t trees, each = x->n_parallel > 1 ? x->n_parallel : 1;
    if (x->indptr.n > 1)
        trees = n < (int64_t)x->indptr.n ? maas_numbers_i32(&x->indptr)[n] : n_trees;
    else if (__builtin_mul_overflow(each, x->vector > 1 ? 1 : x->m.n_scores, &each) ||
             __builtin_mul_overflow(n, each, &trees))
        trees = n_trees;
    return trees < 1 || trees > n_trees ? n_trees : trees;
}

/* Leaves off the trees after the iterations that are asked for; trees are stored in order. */
static void cut_trees(xgb_model *x)
{
    maas_forest *f = x->m.forest;
    int64_t n = x->opts->best_iteration && x->best_iteration >= 0 ? x->best_iteration + 1
                                                                  : x->opts->n_iterations;
    int64_t keep = n > 0 ? trees_of(x, n) : f->n_trees;
    if (keep >= f->n_trees)
        return;
    f->n_nodes = (uint32_t)f->roots[keep];
    f->n_weights = (uint32_t)maas_numbers_i32(&x->first_weight)[keep];
    f->n_trees = (uint32_t)keep;
}

/* Leaves learn which score they count for, and what dart makes of their tree. */
static maas_status set_targets(xgb_model *x, maas_err *err)
{
    maas_forest *f = x->m.forest;
    const int32_t *info = maas_numbers_i32(&x->tree_info);
    const int32_t *first = maas_numbers_i32(&x->first_weight);
    const float *drop = x->weight_drop.n ? maas_numbers_f32(&x->weight_drop) : NULL;
    if (x->tree_info.n != x->first_weight.n || (drop && x->weight_drop.n != x->first_weight.n))
        return maas_fail(err, MAAS_E_FORMAT,
                         "XGBoost: %zu trees, %zu items in tree_info, %zu in weight_drop",
                         x->first_weight.n, x->tree_info.n, x->weight_drop.n);
    for (uint32_t t = 0; t < f->n_trees; t++) {
        uint32_t end = t + 1 < f->n_trees ? (uint32_t)first[t + 1] : f->n_weights;
        if (info[t] < 0 || info[t] >= x->m.n_scores)
            return maas_fail(err, MAAS_E_FORMAT, "XGBoost: tree %u counts for score %d of %d", t,
                             info[t], x->m.n_scores);
        for (uint32_t w = (uint32_t)first[t]; w < end; w++) {
            if (x->vector < 2)
                f->weights[w].target = info[t];
            if (drop)
                f->weights[w].weight = (double)(drop[t] * (float)f->weights[w].weight);
        }
    }
    return MAAS_OK;
}

/* Categories are whole numbers of 0 or more; XGBoost cuts off what stands after the point. */
static maas_status set_uses(xgb_model *x, maas_err *err)
{
    const maas_forest *f = x->m.forest;
    for (uint32_t i = 0; i < f->n_nodes; i++)
        if (f->nodes[i].mode != MAAS_SPLIT_LEAF)
            MAAS_TRY(maas_boosted_set_use(
                &x->m, f->nodes[i].feature,
                f->nodes[i].mode == MAAS_SPLIT_MEMBER ? MAAS_BOOST_FLOOR : MAAS_BOOST_PLAIN, err));
    return MAAS_OK;
}

static maas_status finish_trees(xgb_model *x, const double *base, maas_err *err)
{
    maas_forest *f = x->m.forest;
    if (!f->n_trees)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "XGBoost: the model has no trees");
    if (x->vector > 1 && x->vector != x->m.n_scores)
        return maas_fail(err, MAAS_E_FORMAT, "XGBoost: leaves have %lld values, expected %d",
                         (long long)x->vector, x->m.n_scores);
    if (x->vector < 2 && f->n_trees < (uint32_t)x->m.n_scores)
        return maas_fail(err, MAAS_E_FORMAT, "XGBoost: %u trees for %d scores", f->n_trees,
                         x->m.n_scores);
    f->n_features = x->m.n_features;
    f->n_targets = x->m.n_scores;
    cut_trees(x);
    MAAS_TRY(set_targets(x, err));
    MAAS_TRY(maas_forest_set_base(f, base, err));
    MAAS_TRY(maas_forest_verify(f, err));
    return set_uses(x, err);
}

static maas_status set_names(xgb_model *x, maas_err *err)
{
    const size_t n = (size_t)x->m.n_features;
    if ((x->n_names && x->n_names != n) || (x->n_types && x->n_types != n))
        return maas_fail(err, MAAS_E_FORMAT,
                         "XGBoost: %zu feature names and %zu types for %zu features", x->n_names,
                         x->n_types, n);
    x->m.feature_names = x->n_names ? x->names : NULL;
    x->m.feature_types = x->n_names && x->n_types ? x->types : NULL;
    if (x->n_codes && x->n_codes != n)
        return maas_fail(err, MAAS_E_FORMAT, "XGBoost: categories of %zu features of %zu",
                         x->n_codes, n);
    x->m.codes = x->codes_unclear ? NULL : x->codes;
    return MAAS_OK;
}

maas_status xgb_finish(xgb_model *x, maas_err *err)
{
    const objective *o = NULL;
    double *base = NULL;
    x->m.dtype = MAAS_F32;
    MAAS_TRY(set_objective(x, &o, err));
    MAAS_TRY(set_sizes(x, err));
    MAAS_TRY(base_margin(x, o, &base, err));
    MAAS_TRY(set_names(x, err));
    return strcmp(x->booster, "gblinear") == 0 ? finish_linear(x, base, err)
                                               : finish_trees(x, base, err);
}
