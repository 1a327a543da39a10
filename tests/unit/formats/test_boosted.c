/*
 * Boosted trees by hand: files small enough to know each answer, decoded and asked row by row; and
 * what is refused, by its words. Whole models are compared with their makers in
 * tests/client/makers.
 */
#include "maas_test.h"

#include <math.h>

#include "formats/boosted.h"
#include "formats/model.h"

typedef maas_status decoder(maas_span file, const maas_boosted_opts *o, maas_boosted *out,
                            maas_err *err);

static maas_budget budget;

static maas_status decode(decoder *read, const char *text, const maas_boosted_opts *o,
                          maas_boosted *out, maas_err *err)
{
    maas_boosted_opts opts = o ? *o : (maas_boosted_opts){0};
    opts.budget = &budget;
    return read(maas_span_str(text), &opts, out, err);
}

static void expect_refused(decoder *read, const char *text, maas_status status, const char *words)
{
    maas_boosted m = {0};
    maas_err err = {0};
    maas_status st = decode(read, text, NULL, &m, &err);
    EXPECT_EQ(st, status);
    EXPECT_MSG(strstr(err.msg, words), "'%s' is not in '%s'", words, err.msg);
    maas_boosted_reset(&m);
    EXPECT_EQ(budget.used, 0);
}

/* Replaces the first `from` in the text. */
static const char *edit(const char *text, const char *from, const char *to)
{
    static char out[8192];
    const char *at = strstr(text, from);
    EXPECT_MSG(at, "'%s' is not in the text", from);
    if (at)
        snprintf(out, sizeof out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return out;
}

static double score(const maas_boosted *m, const double *x)
{
    double out = NAN;
    maas_forest_row(m->forest, x, &out);
    return out;
}

/* ---- XGBoost ---- */

/* Two iterations; the second splits by categories {1, 3}. */
static const char xgb[] =
    "{\"version\":[1,7,6],\"learner\":{\"attributes\":{\"best_iteration\":\"0\"},"
    "\"feature_names\":[\"a\",\"b\"],\"feature_types\":[\"float\",\"c\"],"
    "\"gradient_booster\":{\"name\":\"gbtree\",\"model\":{\"gbtree_model_param\":{"
    "\"num_parallel_tree\":\"1\",\"num_trees\":\"2\"},\"tree_info\":[0,0],\"trees\":["
    "{\"left_children\":[1,-1,-1],\"right_children\":[2,-1,-1],\"split_indices\":[0,0,0],"
    "\"split_conditions\":[0.1,1,2],\"default_left\":[true,false,false],\"sum_hessian\":[9,4,5]},"
    "{\"left_children\":[1,-1,-1,0],\"right_children\":[2,-1,-1,3],\"split_indices\":[1,0,0,"
    "4294967295],"
    "\"split_conditions\":[0,10,20,0],\"default_left\":[0,0,0,0],\"split_type\":[1,0,0,0],"
    "\"categories\":[1,3],\"categories_nodes\":[0],\"categories_segments\":[0],"
    "\"categories_sizes\":[2]}]}},"
    "\"learner_model_param\":{\"base_score\":\"5E-1\",\"num_class\":\"0\",\"num_feature\":\"2\"},"
    "\"objective\":{\"name\":\"reg:squarederror\"}}}";

static void xgboost_rows(void)
{
    const struct {
        double x[2], want;
    } rows[] = {{{0, 0}, 11.5},
                {{(double)0.1f, 0}, 12.5}, /* not below: right */
                {{(double)nextafterf(0.1f, 0), 1}, 21.5},
                {{NAN, 3}, 21.5},
                {{5, 2}, 12.5},
                {{0, NAN}, 21.5},
                {{0, 99}, 11.5}};
    maas_boosted m = {0};
    maas_err err = {0};
    maas_status st = decode(maas_xgboost_decode, xgb, NULL, &m, &err);
    EXPECT_MSG(st == MAAS_OK, "%s", err.msg);
    for (size_t i = 0; st == MAAS_OK && i < MAAS_COUNT(rows); i++)
        EXPECT_NEAR(score(&m, rows[i].x), rows[i].want, 1e-9);
    EXPECT_STR(m.source, "XGBoost 1.7.6 gbtree");
    EXPECT_EQ(m.forest->n_nodes, 6); /* the removed node is gone */
    EXPECT(m.forest->nodes[0].cover == 9 && m.forest->nodes[1].cover == 4);
    EXPECT_EQ(m.use[0], MAAS_BOOST_PLAIN);
    EXPECT_EQ(m.use[1], MAAS_BOOST_FLOOR);
    EXPECT(m.feature_names[1].n == 1 && m.feature_names[1].p[0] == 'b');
    maas_boosted_reset(&m);
    EXPECT_EQ(budget.used, 0);
}

static void xgboost_first_iterations(void)
{
    static const maas_boosted_opts best = {.best_iteration = true}, one = {.n_iterations = 1};
    const maas_boosted_opts *const opts[] = {&best, &one};
    for (size_t i = 0; i < 2; i++) {
        maas_boosted m = {0};
        maas_err err = {0};
        maas_status st = decode(maas_xgboost_decode, xgb, opts[i], &m, &err);
        EXPECT_MSG(st == MAAS_OK, "%s", err.msg);
        EXPECT_EQ(m.forest->n_trees, 1);
        EXPECT_NEAR(score(&m, (double[2]){0, 1}), 1.5, 1e-9);
        maas_boosted_reset(&m);
    }
}

static void xgboost_refusals(void)
{
    static const struct {
        const char *from, *to;
        maas_status status;
        const char *words;
    } rows[] = {
        {"reg:squarederror", "reg:mine", MAAS_E_UNSUPPORTED, "objective 'reg:mine'"},
        {"[1,-1,-1]", "[1,0,-1]", MAAS_E_FORMAT, "tree[0]: node 1 has child 0"},
        {"[1,-1,-1]", "[9,-1,-1]", MAAS_E_FORMAT, "tree[0]: node 0 has child 9"},
        {"[1,-1,-1],\"right_children\":[2,-1,-1]", "[1,1,-1],\"right_children\":[1,1,-1]",
         MAAS_E_FORMAT, "reached twice"},
        {"\"right_children\":[2,-1,-1]", "\"right_children\":[2,2,-1]", MAAS_E_FORMAT,
         "node 1 has one child"},
        {"\"right_children\":[2,-1,-1]", "\"right_children\":[2,-1]", MAAS_E_FORMAT,
         "right_children has 2 items, left_children has 3"},
        {"\"split_indices\":[0,0,0]", "\"split_indices\":[7,0,0]", MAAS_E_FORMAT, "feature 7"},
        {"[0.1,1,2]", "[NaN,1,2]", MAAS_E_FORMAT, "node 0: its split is NaN"},
        {"\"tree_info\":[0,0]", "\"tree_info\":[0,1]", MAAS_E_FORMAT, "tree 1 counts for score 1"},
        {"\"tree_info\":[0,0]", "\"tree_info\":[0]", MAAS_E_FORMAT, "2 trees, 1 items"},
        {"\"categories\":[1,3]", "\"categories\":[1]", MAAS_E_FORMAT, "categories 0 to 2 of 1"},
        {"\"categories\":[1,3]", "\"categories\":[1,-3]", MAAS_E_FORMAT, "category -3"},
        {"\"categories_nodes\":[0]", "\"categories_nodes\":[1]", MAAS_E_FORMAT,
         "splits by categories and has none"},
        {"\"split_indices\":[1,0,0,", "\"split_indices\":[0,0,0,", MAAS_E_UNSUPPORTED,
         "feature 0 is a number, a category"},
        {"\"num_feature\":\"2\"", "\"num_feature\":\"99999999\"", MAAS_E_TOO_LARGE, "num_feature"},
        {"\"num_class\":\"0\"", "\"num_class\":\"9\"", MAAS_E_FORMAT, "2 trees for 9 scores"},
        {"\"5E-1\"", "\"[1,2]\"", MAAS_E_FORMAT, "2 numbers in base_score"},
        {"\"5E-1\"", "\"half\"", MAAS_E_FORMAT, "base_score: expected numbers"},
        {"[\"a\",\"b\"]", "[\"a\"]", MAAS_E_FORMAT, "1 feature names"},
        {"\"objective\":", "\"objective\":{\"name\":\"x\"},\"objective\":", MAAS_E_FORMAT,
         "'objective' is there twice"},
    };
    for (size_t i = 0; i < MAAS_COUNT(rows); i++)
        expect_refused(maas_xgboost_decode, edit(xgb, rows[i].from, rows[i].to), rows[i].status,
                       rows[i].words);
}

/* ---- LightGBM ---- */

static const char lgb[] = "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\n"
                          "max_feature_idx=1\nobjective=regression\nfeature_names=a b\n"
                          "feature_infos=[0:1] 0:1\ntree_sizes=1 2\n\n"
                          "Tree=0\nnum_leaves=3\nnum_cat=0\nsplit_feature=0 0\n"
                          "threshold=0.5 -1\ndecision_type=2 8\nleft_child=1 -1\n"
                          "right_child=-3 -2\nleaf_value=1 2 3\nleaf_count=4 5 6\n"
                          "internal_count=15 9\nis_linear=0\nshrinkage=1\n\n\n"
                          "Tree=1\nnum_leaves=2\nnum_cat=1\nsplit_feature=1\nthreshold=0\n"
                          "decision_type=1\nleft_child=-1\nright_child=-2\nleaf_value=10 20\n"
                          "cat_boundaries=0 2\ncat_threshold=5 2147483648\nis_linear=0\n\n\n"
                          "end of trees\n\npandas_categorical:[[\"x\", \"y\"]]\n";

static void lightgbm_rows(void)
{
    /* Node 0: NaN is 0 (missing none), so left; node 1: NaN by default, right. */
    static const struct {
        double x[2], want;
    } rows[] = {{{-1, 0}, 11},   {{-0.5, 1}, 22}, {{0.5, 2}, 12}, {{0.6, 63}, 13},
                {{NAN, 63}, 12}, {{0, NAN}, 22},  {{0, 64}, 22},  {{0, -1}, 22}};
    maas_boosted m = {0};
    maas_err err = {0};
    maas_status st = decode(maas_lightgbm_decode, lgb, NULL, &m, &err);
    EXPECT_MSG(st == MAAS_OK, "%s", err.msg);
    for (size_t i = 0; st == MAAS_OK && i < MAAS_COUNT(rows); i++)
        EXPECT_NEAR(score(&m, rows[i].x), rows[i].want, 0);
    EXPECT_STR(m.source, "LightGBM v4");
    EXPECT_STR(m.categories, "[[\"x\", \"y\"]]");
    EXPECT_EQ(m.use[1], MAAS_BOOST_TRUNCATE);
    EXPECT(m.forest->nodes[0].cover == 15 && m.dtype == MAAS_F64);
    maas_boosted_reset(&m);
    EXPECT_EQ(budget.used, 0);
}

static void lightgbm_options(void)
{
    static const maas_boosted_opts one = {.n_iterations = 1};
    maas_boosted m = {0};
    maas_err err = {0};
    EXPECT_EQ(decode(maas_lightgbm_decode, lgb, &one, &m, &err), MAAS_OK);
    EXPECT_EQ(m.forest->n_trees, 1);
    maas_boosted_reset(&m);
    EXPECT_EQ(decode(maas_lightgbm_decode, edit(lgb, "objective=regression", "average_output"),
                     NULL, &m, &err),
              MAAS_OK);
    EXPECT(m.divide == 2);
    EXPECT_STR(m.objective, "custom");
    maas_boosted_reset(&m);
    EXPECT_EQ(
        decode(maas_lightgbm_decode, edit(lgb, "regression", "binary sigmoid:0.5"), NULL, &m, &err),
        MAAS_OK);
    EXPECT(m.slope == 0.5 && m.n_classes == 2 && m.task == MAAS_BOOST_PROBABILITIES);
    maas_boosted_reset(&m);
    EXPECT_EQ(decode(maas_lightgbm_decode, edit(lgb, "decision_type=2 8", "decision_type=6 4"),
                     NULL, &m, &err),
              MAAS_OK);
    EXPECT_EQ(m.use[0], MAAS_BOOST_ZERO_MISSING);
    maas_boosted_reset(&m);
    EXPECT_EQ(decode(maas_lightgbm_decode, edit(lgb, "feature_names=a b\n", ""), NULL, &m, &err),
              MAAS_OK);
    EXPECT(!m.feature_names);
    maas_boosted_reset(&m);
}

static void lightgbm_refusals(void)
{
    static const struct {
        const char *from, *to;
        maas_status status;
        const char *words;
    } rows[] = {
        {"tree\n", "trees\n", MAAS_E_FORMAT, "line 1"},
        {"regression", "mine", MAAS_E_UNSUPPORTED, "objective 'mine'"},
        {"max_feature_idx=1", "max_feature_idx=9999999", MAAS_E_TOO_LARGE, "max_feature_idx"},
        {"max_feature_idx=1", "max_feature_idx=one", MAAS_E_FORMAT, "is no integer"},
        {"feature_names=a b", "feature_names=a", MAAS_E_FORMAT, "feature_names are not 2 words"},
        {"num_leaves=3", "num_leaves=4", MAAS_E_FORMAT, "tree 0, before line 25: leaf_value has 3"},
        {"left_child=1 -1", "left_child=0 -1", MAAS_E_FORMAT, "is reached twice"},
        {"left_child=1 -1", "left_child=2 -1", MAAS_E_FORMAT, "there is no node 2"},
        {"left_child=1 -1", "left_child=1 -4", MAAS_E_FORMAT, "there is no leaf 3"},
        {"left_child=1 -1", "left_child=1 -1.5", MAAS_E_FORMAT, "left_child: number 1"},
        {"split_feature=0 0", "split_feature=0 2", MAAS_E_FORMAT, "splits feature 2 of 2"},
        {"decision_type=2 8", "decision_type=2 12", MAAS_E_FORMAT, "node 1 has decision_type 12"},
        {"decision_type=2 8", "decision_type=2 16", MAAS_E_FORMAT, "node 1 has decision_type 16"},
        {"decision_type=2 8", "decision_type=2 6", MAAS_E_UNSUPPORTED, "zero-as-missing in some"},
        {"threshold=0.5 -1", "threshold=nan -1", MAAS_E_FORMAT, "threshold: number 0"},
        {"threshold=0\n", "threshold=1\n", MAAS_E_FORMAT, "set of categories 1"},
        {"threshold=0\n", "threshold=-1\n", MAAS_E_FORMAT, "set of categories -1"},
        {"cat_boundaries=0 2", "cat_boundaries=0 3", MAAS_E_FORMAT, "words 0 to 3 of 2"},
        {"cat_boundaries=0 2", "cat_boundaries=2 0", MAAS_E_FORMAT, "words 2 to 0 of 2"},
        {"leaf_count=4", "leaf_count=4\nleaf_count=4", MAAS_E_FORMAT, "leaf_count is there twice"},
        {"num_tree_per_iteration=1", "num_tree_per_iteration=3", MAAS_E_FORMAT, "3 trees an iter"},
    };
    for (size_t i = 0; i < MAAS_COUNT(rows); i++)
        expect_refused(maas_lightgbm_decode, edit(lgb, rows[i].from, rows[i].to), rows[i].status,
                       rows[i].words);
}

/* A leaf 1 + 2a + 3b, whose plain value is 7. */
static void lightgbm_linear_leaves(void)
{
    const char *text = edit(lgb, "is_linear=0",
                            "is_linear=1\nleaf_const=1 0 0\nnum_features=2 0 0\n"
                            "leaf_features=0 1  \nleaf_coeff=2 3  ");
    maas_boosted m = {0};
    maas_err err = {0};
    char no_cats[4096];
    snprintf(no_cats, sizeof no_cats, "%s", text);
    snprintf(no_cats, sizeof no_cats, "%s", edit(no_cats, "decision_type=1", "decision_type=0"));
    maas_status st = decode(maas_lightgbm_decode, edit(no_cats, "leaf_value=1 ", "leaf_value=7 "),
                            NULL, &m, &err);
    EXPECT_MSG(st == MAAS_OK, "%s", err.msg);
    double out[3];
    maas_forest_row(m.forest, (double[2]){-1, 0}, out);
    EXPECT(out[0] == 1 + 10 && out[1] == 2 && out[2] == 3);
    maas_forest_row(m.forest, (double[2]){-1, NAN}, out);
    EXPECT(out[0] == 7 + 10 && out[1] == 0 && out[2] == 0);
    maas_boosted_reset(&m);
    expect_refused(maas_lightgbm_decode, edit(no_cats, "num_features=2", "num_features=3"),
                   MAAS_E_FORMAT, "leaf 0 uses 3 features");
    expect_refused(maas_lightgbm_decode, edit(no_cats, "leaf_features=0 1", "leaf_features=0 2"),
                   MAAS_E_FORMAT, "names feature 2 of 2");
}

/* ---- CatBoost ---- */

static const char cat[] =
    "{\"features_info\":{\"float_features\":["
    "{\"feature_index\":0,\"flat_feature_index\":0,\"nan_value_treatment\":\"AsFalse\"},"
    "{\"feature_index\":1,\"flat_feature_index\":2,\"nan_value_treatment\":\"AsTrue\"}]},"
    "\"model_info\":{\"params\":{\"loss_function\":{\"type\":\"RMSE\"}}},"
    "\"oblivious_trees\":[{\"leaf_values\":[1,2,3,4],\"leaf_weights\":[5,6,7,8],\"splits\":["
    "{\"border\":0.5,\"float_feature_index\":0,\"split_type\":\"FloatFeature\"},"
    "{\"border\":-1,\"float_feature_index\":1,\"split_type\":\"FloatFeature\"}]}],"
    "\"trees\":[{\"left\":{\"value\":10,\"weight\":3},\"right\":{\"weight\":4,\"value\":[20]},"
    "\"split\":{\"border\":1,\"float_feature_index\":0,\"split_type\":\"FloatFeature\"}}],"
    "\"scale_and_bias\":[2,[0.25]]}";

static void catboost_rows(void)
{
    static const struct {
        double x[3], want;
    } rows[] = {{{0, 9, -2}, 11}, {{0.5, 9, -1}, 11}, {{0.6, 9, -2}, 12}, {{0, 9, 0}, 13},
                {{2, 9, 0}, 24},  {{NAN, 9, -2}, 11}, {{0, 9, NAN}, 13}};
    maas_boosted m = {0};
    maas_err err = {0};
    maas_status st = decode(maas_catboost_decode, cat, NULL, &m, &err);
    EXPECT_MSG(st == MAAS_OK, "%s", err.msg);
    for (size_t i = 0; st == MAAS_OK && i < MAAS_COUNT(rows); i++)
        EXPECT_NEAR(score(&m, rows[i].x), rows[i].want, 0);
    EXPECT_EQ(m.n_features, 3);
    EXPECT(m.scale == 2 && m.add[0] == 0.25);
    EXPECT(m.forest->nodes[0].cover == 26 && m.forest->nodes[7].cover == 7);
    maas_boosted_reset(&m);
    EXPECT_EQ(budget.used, 0);
}

static void catboost_refusals(void)
{
    static const struct {
        const char *from, *to;
        maas_status status;
        const char *words;
    } rows[] = {
        {"RMSE", "Mine", MAAS_E_UNSUPPORTED, "loss function 'Mine'"},
        {"\"FloatFeature\"", "\"OnlineCtr\"", MAAS_E_UNSUPPORTED, "splits of type OnlineCtr"},
        {"[1,2,3,4]", "[1,2,3]", MAAS_E_FORMAT, "tree[0]: 2 splits, 3 leaf_values"},
        {"[1,2,3,4]", "[1,2,3,4,5,6,7,8]", MAAS_E_FORMAT, "1 values of a leaf, expected 2"},
        {"[5,6,7,8]", "[5]", MAAS_E_FORMAT, "1 leaf_weights"},
        {"\"float_feature_index\":1", "\"float_feature_index\":2", MAAS_E_FORMAT,
         "float feature 2 of 2"},
        {"\"feature_index\":1", "\"feature_index\":0", MAAS_E_FORMAT, "expected 1"},
        {"\"flat_feature_index\":2", "\"flat_feature_index\":-2", MAAS_E_FORMAT, "is -2"},
        {"\"value\":10,", "", MAAS_E_FORMAT, "neither left, right and split, nor a value"},
        {"\"value\":10,", "\"value\":10,\"value\":1,", MAAS_E_FORMAT, "a part twice"},
        {"\"value\":10,", "\"value\":10,\"left\":{},", MAAS_E_FORMAT, "parts of two kinds"},
        {"[2,[0.25]]", "[2,[0.25,1]]", MAAS_E_FORMAT, "2 numbers of bias"},
    };
    for (size_t i = 0; i < MAAS_COUNT(rows); i++)
        expect_refused(maas_catboost_decode, edit(cat, rows[i].from, rows[i].to), rows[i].status,
                       rows[i].words);
}

/* ---- columns of a DataFrame ---- */

/* Inputs of the whole model, as "name:FP64 name:BYTES". */
static void expect_inputs(decoder *read, const char *text, const char *want)
{
    maas_boosted m = {0};
    maas_err err = {0};
    maas_graph *g = NULL;
    char got[256] = "";
    size_t n = 0;
    maas_status st = decode(read, text, NULL, &m, &err);
    if (st == MAAS_OK)
        st = maas_boosted_graph(&m, &budget, &g, &err);
    EXPECT_MSG(st == MAAS_OK, "%s", err.msg);
    for (uint32_t i = 0; st == MAAS_OK && i < g->n_inputs; i++) {
        const maas_value *v = maas_graph_at(g, g->inputs[i]);
        n += (size_t)snprintf(got + n, sizeof got - n, "%s%s:%s", i ? " " : "", v->name,
                              maas_dtype_describe((maas_dtype)v->type.dtype)->oip);
    }
    EXPECT_STR(got, want);
    maas_graph_destroy(g);
    maas_boosted_reset(&m);
    EXPECT_EQ(budget.used, 0);
}

static void lightgbm_columns(void)
{
    static const char with[] = "feature_infos=[0:1] -1:0:1", list[] = "[[\"x\", \"y\"]]";
    char text[8192];
    snprintf(text, sizeof text, "%s", edit(lgb, "feature_infos=[0:1] 0:1", with));
    expect_inputs(maas_lightgbm_decode, text, "a:FP64 b:BYTES");
    expect_inputs(maas_lightgbm_decode, edit(text, list, "[[5, 7]]"), "a:FP64 b:FP64");
    expect_inputs(maas_lightgbm_decode, edit(text, list, "[[0, 1]]"), "x:FP64");
    expect_inputs(maas_lightgbm_decode, edit(text, list, "null"), "x:FP64");
    /* Lists that do not go with the features: codes. */
    expect_inputs(maas_lightgbm_decode, edit(text, list, "[[\"x\"]]"), "x:FP64");
    expect_inputs(maas_lightgbm_decode, edit(text, list, "[[\"x\", \"y\"], [\"z\"]]"), "x:FP64");
    expect_inputs(maas_lightgbm_decode, edit(text, list, "[]"), "x:FP64");
    expect_inputs(maas_lightgbm_decode, edit(text, list, "[[\"x\", 1]]"), "x:FP64");
    expect_inputs(maas_lightgbm_decode, edit(text, list, "[[\"x\", null]]"), "x:FP64");
    expect_inputs(maas_lightgbm_decode, edit(text, list, "[[\"x\", \"y\""), "x:FP64");
}

static void xgboost_columns(void)
{
    static const char where[] = "\"tree_info\":";
    static const char cats[] =
        "\"cats\":{\"enc\":[{\"offsets\":[],\"values\":[]},{\"offsets\":[0,1,1,3,4],"
        "\"values\":[97,98,98,99]}]},\"tree_info\":";
    char text[8192];
    snprintf(text, sizeof text, "%s", edit(xgb, where, cats));
    expect_inputs(maas_xgboost_decode, text, "a:FP64 b:BYTES");
    expect_inputs(maas_xgboost_decode, edit(text, "[97,98,98,99]", "[97,-61,-92,99]"), "x:FP32");
    expect_inputs(maas_xgboost_decode, edit(text, "\"offsets\":[0,1,1,3,4]", "\"type\":15"),
                  "a:FP64 b:FP64");
    expect_inputs(maas_xgboost_decode, edit(text, "[\"a\",\"b\"]", "[]"), "x:FP32");
    expect_refused(maas_xgboost_decode, edit(text, "[0,1,1,3,4]", "[0,1,1,3,5]"), MAAS_E_FORMAT,
                   "category 3 is bytes 3 to 5 of 4");
    expect_refused(maas_xgboost_decode, edit(text, "[0,1,1,3,4]", "[0,2,1,3,4]"), MAAS_E_FORMAT,
                   "category 1 is bytes 2 to 1");
    expect_refused(maas_xgboost_decode, edit(text, "[97,98,98,99]", "[97,98,98,999]"),
                   MAAS_E_FORMAT, "byte 3 is 999");
    expect_refused(maas_xgboost_decode, edit(text, "{\"offsets\":[],\"values\":[]},", ""),
                   MAAS_E_FORMAT, "categories of 1 features of 2");
}

/* ---- who reads what ---- */

static void one_reader_a_file(void)
{
    const struct {
        const char *text, *format;
    } files[] = {{xgb, "xgboost"}, {lgb, "lightgbm"}, {cat, "catboost"}};
    for (size_t i = 0; i < MAAS_COUNT(files); i++) {
        const maas_span file = maas_span_str(files[i].text);
        const maas_model_format *f = NULL;
        int n_claims = 0;
        for (size_t k = 0; k < maas_n_model_formats; k++)
            n_claims += maas_model_formats[k].probe(file) >= 50;
        EXPECT_EQ(n_claims, 1);
        EXPECT_EQ(maas_model_format_find(file, NULL, &f, NULL), MAAS_OK);
        EXPECT_STR(f ? f->name : "", files[i].format);
    }
    EXPECT_EQ(maas_xgboost_probe(maas_span_str("{\"nodes\":[]}")), 0);
    EXPECT_EQ(maas_lightgbm_probe(maas_span_str("tree of life")), 0);
    EXPECT_EQ(maas_catboost_probe(maas_span_str("{")), 0);
}

static const mt_case cases[] = {
    MT_CASE(xgboost_rows),           MT_CASE(xgboost_first_iterations),
    MT_CASE(xgboost_refusals),       MT_CASE(lightgbm_rows),
    MT_CASE(lightgbm_options),       MT_CASE(lightgbm_refusals),
    MT_CASE(lightgbm_linear_leaves), MT_CASE(catboost_rows),
    MT_CASE(catboost_refusals),      MT_CASE(lightgbm_columns),
    MT_CASE(xgboost_columns),        MT_CASE(one_reader_a_file),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
