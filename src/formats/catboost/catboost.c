/*
 * CatBoost's JSON, by table as in xgboost/json.c:
 *
 *   {"features_info": {"float_features": [{"feature_index": 0, "flat_feature_index": 2,
 *                                          "nan_value_treatment": "AsFalse", "feature_id": "age"}],
 *                      "categorical_features": [...]},
 *    "model_info": {"class_params": {"class_label_type": "Integer", "class_names": [0, 1]},
 *                   "params": {"loss_function": {"type": "Logloss"}}},
 *    "oblivious_trees": [...] or "trees": [...],
 *    "scale_and_bias": [1, [0.5]]}
 *
 * Rows are floats, sums are doubles. A categorical feature that no tree looks at is a column like
 * any other; one that a tree looks at is refused (see cat_read_split).
 */
#include "formats/catboost/catboost_int.h"

#include <math.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/ban.h"

#define FIELDS(name, ...)                                                                          \
    static maas_status name(void *ctx, maas_doc *d, maas_err *err)                                 \
    {                                                                                              \
        static const maas_doc_field fields[] = {__VA_ARGS__};                                      \
        return maas_doc_object(d, fields, MAAS_COUNT(fields), ctx, NULL, err);                     \
    }
#define TEXT(name, member)                                                                         \
    static maas_status name(void *ctx, maas_doc *d, maas_err *err)                                 \
    {                                                                                              \
        cat_model *x = ctx;                                                                        \
        if (maas_doc_next(d) != MAAS_JSON_STRING || d->text.n >= sizeof x->member)                 \
            return maas_doc_fail(d, "a short text", err);                                          \
        memcpy(x->member, d->text.p, d->text.n);                                                   \
        x->member[d->text.n] = '\0';                                                               \
        return MAAS_OK;                                                                            \
    }

/* An array in the arena with room for one more item; the old ones stay until the end. */
static maas_status grow(maas_arena *a, void **p, size_t n, size_t *cap, size_t size, maas_err *err)
{
    if (n < *cap)
        return MAAS_OK;
    const size_t more = *cap ? *cap * 2 : 32;
    void *bigger = maas_arena_array(a, more, size);
    if (!bigger)
        return maas_fail(err, MAAS_E_NOMEM, "%zu items", more);
    if (n)
        memcpy(bigger, *p, n * size);
    *p = bigger;
    *cap = more;
    return MAAS_OK;
}

/* ---- features ---- */

static maas_status read_index(void *ctx, maas_doc *d, maas_err *err)
{
    return maas_doc_i64(d, &((cat_model *)ctx)->feature.index, err);
}
static maas_status read_column(void *ctx, maas_doc *d, maas_err *err)
{
    return maas_doc_i64(d, &((cat_model *)ctx)->feature.column, err);
}
static maas_status read_feature_name(void *ctx, maas_doc *d, maas_err *err)
{
    return maas_doc_str(d, &((cat_model *)ctx)->m.arena, &((cat_model *)ctx)->feature.name, err);
}
static maas_status read_nan(void *ctx, maas_doc *d, maas_err *err)
{
    if (maas_doc_next(d) != MAAS_JSON_STRING)
        return maas_doc_fail(d, "AsIs, AsFalse or AsTrue", err);
    ((cat_model *)ctx)->feature.nan_is_high = maas_span_is(d->text, "AsTrue");
    return MAAS_OK;
}

FIELDS(read_feature_fields, {"feature_index", read_index}, {"flat_feature_index", read_column},
       {"feature_id", read_feature_name}, {"nan_value_treatment", read_nan})

static maas_status read_any_feature(cat_model *x, maas_doc *d, maas_err *err)
{
    x->feature = (cat_feature){.index = -1, .column = -1};
    MAAS_TRY(read_feature_fields(x, d, err));
    if (x->feature.column < 0 || x->feature.column >= CAT_MAX_COLUMNS)
        return maas_fail(err, MAAS_E_FORMAT, "flat_feature_index is %lld",
                         (long long)x->feature.column);
    if (x->feature.column > x->last_column)
        x->last_column = x->feature.column;
    return MAAS_OK;
}

static maas_status read_float_feature(void *ctx, maas_doc *d, maas_err *err)
{
    cat_model *x = ctx;
    MAAS_TRY(read_any_feature(x, d, err));
    MAAS_TRY(grow(&x->m.arena, (void **)&x->features, x->n_features, &x->cap_features,
                  sizeof *x->features, err));
    if (x->feature.index != (int64_t)x->n_features)
        return maas_fail(err, MAAS_E_FORMAT, "feature_index is %lld, expected %zu",
                         (long long)x->feature.index, x->n_features);
    x->features[x->n_features++] = x->feature;
    return MAAS_OK;
}

static maas_status read_other_feature(void *ctx, maas_doc *d, maas_err *err)
{
    return read_any_feature(ctx, d, err);
}

static maas_status read_float_features(void *ctx, maas_doc *d, maas_err *err)
{
    return maas_doc_each(d, "feature", read_float_feature, ctx, err);
}
static maas_status read_other_features(void *ctx, maas_doc *d, maas_err *err)
{
    return maas_doc_each(d, "feature", read_other_feature, ctx, err);
}

FIELDS(read_features_info, {"float_features", read_float_features},
       {"categorical_features", read_other_features})

/* ---- model_info ---- */

TEXT(read_loss_type, loss)
TEXT(read_label_type, label_type)
FIELDS(read_loss, {"type", read_loss_type})
FIELDS(read_params, {"loss_function", read_loss})

static maas_status read_class(void *ctx, maas_doc *d, maas_err *err)
{
    cat_model *x = ctx;
    double number;
    maas_json_scan ahead = d->json;
    if (!maas_json_at_value(&ahead) || *ahead.rest.p != '"') {
        MAAS_TRY(maas_doc_f64(d, &number, err));
        return maas_numbers_add(&x->class_numbers, number, err);
    }
    MAAS_TRY(grow(&x->m.arena, (void **)&x->class_names, x->n_names, &x->cap_names,
                  sizeof *x->class_names, err));
    return maas_doc_str(d, &x->m.arena, &x->class_names[x->n_names++], err);
}

static maas_status read_classes(void *ctx, maas_doc *d, maas_err *err)
{
    return maas_doc_each(d, "class", read_class, ctx, err);
}

/* What set_probability_threshold said, as text. */
static maas_status read_threshold(void *ctx, maas_doc *d, maas_err *err)
{
    cat_model *x = ctx;
    if (maas_doc_next(d) != MAAS_JSON_STRING)
        return maas_doc_fail(d, "text with a number", err);
    maas_span s = d->text;
    if (!maas_num_f64(&s, &x->m.threshold) || s.n || !(x->m.threshold > 0 && x->m.threshold < 1))
        return maas_doc_fail(d, "a number between 0 and 1", err);
    return MAAS_OK;
}

FIELDS(read_class_params, {"class_label_type", read_label_type}, {"class_names", read_classes})
FIELDS(read_model_info, {"class_params", read_class_params}, {"params", read_params},
       {"binclass_probability_threshold", read_threshold})

/* ---- trees, scale ---- */

static maas_status read_symmetric_trees(void *ctx, maas_doc *d, maas_err *err)
{
    return maas_doc_each(d, "tree", cat_read_symmetric, ctx, err);
}
static maas_status read_grown_trees(void *ctx, maas_doc *d, maas_err *err)
{
    return maas_doc_each(d, "tree", cat_read_grown, ctx, err);
}

/* [scale, [bias, ...]]; in older files [scale, bias]. */
static maas_status read_scale(void *ctx, maas_doc *d, maas_err *err)
{
    cat_model *x = ctx;
    double single;
    if (maas_doc_next(d) != MAAS_JSON_ARRAY)
        return maas_doc_fail(d, "an array", err);
    MAAS_TRY(maas_doc_f64(d, &x->scale, err));
    if (maas_json_at_array(&d->json)) {
        MAAS_TRY(maas_doc_numbers(d, &x->bias, err));
    } else {
        MAAS_TRY(maas_doc_f64(d, &single, err));
        MAAS_TRY(maas_numbers_add(&x->bias, single, err));
    }
    return maas_doc_next(d) == MAAS_JSON_CLOSE ? MAAS_OK : maas_doc_fail(d, "the end", err);
}

FIELDS(read_root, {"features_info", read_features_info}, {"model_info", read_model_info},
       {"oblivious_trees", read_symmetric_trees}, {"trees", read_grown_trees},
       {"scale_and_bias", read_scale})

/* ---- what it means ---- */

static const struct loss {
    const char *name;
    maas_boost_link link;
    maas_boost_task task;
    bool multilabel;
} losses[] = {
    {"Logloss", MAAS_BOOST_SIGMOID, MAAS_BOOST_PROBABILITIES, false},
    {"CrossEntropy", MAAS_BOOST_SIGMOID, MAAS_BOOST_PROBABILITIES, false},
    {"Focal", MAAS_BOOST_SIGMOID, MAAS_BOOST_PROBABILITIES, false},
    {"MultiClass", MAAS_BOOST_SOFTMAX, MAAS_BOOST_PROBABILITIES, false},
    {"MultiClassOneVsAll", MAAS_BOOST_SIGMOID, MAAS_BOOST_PROBABILITIES, false},
    {"MultiLogloss", MAAS_BOOST_SIGMOID, MAAS_BOOST_PROBABILITIES, true},
    {"MultiCrossEntropy", MAAS_BOOST_SIGMOID, MAAS_BOOST_PROBABILITIES, true},
    {"Poisson", MAAS_BOOST_EXP, MAAS_BOOST_VALUES, false},
    {"Tweedie", MAAS_BOOST_EXP, MAAS_BOOST_VALUES, false},
    {"RMSE", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, false},
    {"MAE", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, false},
    {"MAPE", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, false},
    {"Quantile", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, false},
    {"MultiQuantile", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, false},
    {"LogLinQuantile", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, false},
    {"Expectile", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, false},
    {"Huber", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, false},
    {"Cox", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, false},
    {"SurvivalAft", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, false},
    {"LogCosh", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, false},
    {"Lq", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, false},
    {"MultiRMSE", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, false},
    {"MultiRMSEWithMissingValues", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, false},
    {"QueryRMSE", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, false},
    {"QuerySoftMax", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, false},
    {"PairLogit", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, false},
    {"PairLogitPairwise", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, false},
    {"YetiRank", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, false},
    {"YetiRankPairwise", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, false},
    {"LambdaMart", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, false},
    {"StochasticRank", MAAS_BOOST_IDENTITY, MAAS_BOOST_VALUES, false},
};

static maas_status set_loss(cat_model *x, maas_err *err)
{
    size_t i = 0;
    while (i < MAAS_COUNT(losses) && strcmp(losses[i].name, x->loss) != 0)
        i++;
    if (i == MAAS_COUNT(losses))
        return maas_fail(err, MAAS_E_UNSUPPORTED, "CatBoost: loss function '%s' is not supported",
                         x->loss);
    x->m.link = losses[i].link;
    x->m.task = losses[i].task;
    x->m.multilabel = losses[i].multilabel;
    x->m.slope = 1;
    x->m.source = "CatBoost";
    x->m.objective = losses[i].name;
    if (x->m.link == MAAS_BOOST_SOFTMAX && x->n_scores < 2)
        return maas_fail(err, MAAS_E_FORMAT, "CatBoost: %s with one score", x->loss);
    if (x->m.task == MAAS_BOOST_PROBABILITIES)
        x->m.n_classes = x->n_scores > 1 ? (int32_t)x->n_scores : 2;
    return MAAS_OK;
}

/* Labels are integers, text, or numbers that are whole. */
static maas_status set_classes(cat_model *x, maas_err *err)
{
    const size_t n = x->n_names ? x->n_names : x->class_numbers.n;
    if (x->m.task != MAAS_BOOST_PROBABILITIES || x->m.multilabel || !n)
        return MAAS_OK;
    if (n != (size_t)x->m.n_classes || (x->n_names && x->class_numbers.n))
        return maas_fail(err, MAAS_E_FORMAT, "CatBoost: %zu class_names for %d classes", n,
                         x->m.n_classes);
    if (x->n_names) {
        x->m.class_names = x->class_names;
        return MAAS_OK;
    }
    int64_t *ints = maas_arena_array(&x->m.arena, n, sizeof *ints);
    if (!ints)
        return maas_fail(err, MAAS_E_NOMEM, "%zu classes", n);
    for (size_t i = 0; i < n; i++) {
        double v = maas_numbers_f64(&x->class_numbers)[i];
        if (v != floor(v) || fabs(v) > 9e15)
            return maas_fail(err, MAAS_E_UNSUPPORTED, "CatBoost: class %g is no whole number", v);
        ints[i] = (int64_t)v;
    }
    x->m.class_ints = ints;
    return MAAS_OK;
}

/* Float features become columns of the data, and NaN goes where the feature says. */
static maas_status set_columns(cat_model *x, maas_err *err)
{
    maas_forest *f = x->m.forest;
    for (uint32_t i = 0; i < f->n_nodes; i++) {
        maas_tree_node *n = &f->nodes[i];
        if (n->mode == MAAS_SPLIT_LEAF)
            continue;
        if ((size_t)n->feature >= x->n_features)
            return maas_fail(err, MAAS_E_FORMAT, "CatBoost: a split of float feature %d of %zu",
                             n->feature, x->n_features);
        n->missing_yes = x->features[n->feature].nan_is_high;
        n->feature = (int32_t)x->features[n->feature].column;
    }
    x->m.n_features = (int32_t)x->last_column + 1;
    return MAAS_OK;
}

static maas_status set_names(cat_model *x, maas_err *err)
{
    maas_str *names = maas_arena_array(&x->m.arena, (size_t)x->m.n_features, sizeof *names);
    bool any = false;
    if (!names)
        return maas_fail(err, MAAS_E_NOMEM, "%d names", x->m.n_features);
    for (size_t i = 0; i < x->n_features; i++) {
        names[x->features[i].column] = x->features[i].name;
        any = any || x->features[i].name.n;
    }
    for (int32_t i = 0; i < x->m.n_features; i++)
        if (!names[i].n)
            names[i] = (maas_str){"", 0};
    x->m.feature_names = any ? names : NULL;
    return MAAS_OK;
}

static maas_status set_scale(cat_model *x, maas_err *err)
{
    const size_t k = (size_t)x->n_scores;
    double *add = maas_arena_array(&x->m.arena, k, sizeof *add);
    if (!add)
        return maas_fail(err, MAAS_E_NOMEM, "bias");
    if (x->bias.n != 0 && x->bias.n != 1 && x->bias.n != k)
        return maas_fail(err, MAAS_E_FORMAT, "CatBoost: %zu numbers of bias for %zu scores",
                         x->bias.n, k);
    bool any = false;
    for (size_t i = 0; i < k && x->bias.n; i++)
        any |= (add[i] = maas_numbers_f64(&x->bias)[x->bias.n == 1 ? 0 : i]) != 0;
    x->m.scale = x->scale;
    x->m.add = any ? add : NULL;
    return MAAS_OK;
}

static maas_status finish(cat_model *x, maas_err *err)
{
    maas_forest *f = x->m.forest;
    if (!f->n_trees)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "CatBoost: the model has no trees");
    x->m.dtype = MAAS_F64;
    x->m.single_rows = true;
    x->m.n_scores = (int32_t)x->n_scores;
    MAAS_TRY(set_loss(x, err));
    MAAS_TRY(set_columns(x, err));
    MAAS_TRY(set_classes(x, err));
    MAAS_TRY(set_names(x, err));
    MAAS_TRY(set_scale(x, err));
    f->n_features = x->m.n_features;
    f->n_targets = x->m.n_scores;
    return maas_forest_verify(f, err);
}

static void model_reset(cat_model *x)
{
    maas_numbers_reset(&x->values);
    maas_numbers_reset(&x->weights);
    maas_numbers_reset(&x->bias);
    maas_numbers_reset(&x->class_numbers);
    maas_boosted_reset(&x->m);
}

maas_status maas_catboost_decode(maas_span file, const maas_boosted_opts *o, maas_boosted *out,
                                 maas_err *err)
{
    AUTO(model_reset) cat_model x = {.opts = o, .scale = 1, .last_column = -1};
    maas_numbers *const numbers[] = {&x.values, &x.weights, &x.bias, &x.class_numbers};
    maas_doc d;
    for (size_t i = 0; i < MAAS_COUNT(numbers); i++)
        maas_numbers_init(numbers[i], MAAS_F64, o->budget);
    maas_arena_init(&x.m.arena, o->budget);
    maas_doc_init(&d, file);
    if (d.is_ubj)
        return maas_fail(err, MAAS_E_FORMAT, "CatBoost: this is no JSON");
    MAAS_TRY(maas_forest_create(1, 1, MAAS_FOREST_SUM, o->budget, &x.m.forest, err));
    MAAS_TRY(read_root(&x, &d, err));
    if (maas_doc_next(&d) != MAAS_JSON_END)
        return maas_doc_fail(&d, "the end", err);
    MAAS_TRY(finish(&x, err));
    *out = x.m;
    x.m = (maas_boosted){0};
    return MAAS_OK;
}

int maas_catboost_probe(maas_span head)
{
    static const char *const keys[] = {"features_info", "model_info", "oblivious_trees",
                                       "scale_and_bias", "ctr_data"};
    maas_doc d;
    maas_doc_init(&d, head);
    if (d.is_ubj || maas_doc_next(&d) != MAAS_JSON_OBJECT || maas_doc_next(&d) != MAAS_JSON_KEY)
        return 0;
    for (size_t i = 0; i < MAAS_COUNT(keys); i++)
        if (maas_span_is(d.text, keys[i]))
            return 90;
    return 0;
}

maas_status maas_catboost_read(maas_span file, maas_budget *budget, maas_graph **out, maas_err *err)
{
    const maas_boosted_opts o = {.budget = budget};
    AUTO(maas_boosted_reset) maas_boosted m = {0};
    MAAS_TRY(maas_catboost_decode(file, &o, &m, err));
    return maas_boosted_graph(&m, budget, out, err);
}
