/*
 * tests/unit/learn/test_boost.c - gradient_boosting. Numbers reported while training are those of
 * XGBoost; the tests ask the written model, which our own reader made, and compare.
 */
#include "../../maas_test.h"

#include "toy.h"

enum { N = 600 };

static struct {
    toy t;
    float a[N], b[N], weight[N];
    int64_t two[N], three[N], query[N], relevance[N];
    double y[N];
    const char *colour[N], *word[N];
    char bytes[8192], words[8192];
} p;

static const char *const colours[] = {"red",  "green", "blue",   "lilac", "black",
                                      "grey", "white", "orange", NULL};
/* Not in the order of the text: an order of codes says little, a set of them all. */
static const double effect[] = {3, -1, 2, -2, 4, -3, 1, -4, 0};

static void make(bool with_text)
{
    static const char *const words[] = {"low", "middle", "top"};
    maas_rng rng;
    maas_rng_seed(&rng, 17);
    toy_init(&p.t, N);
    for (int i = 0; i < N; i++) {
        const size_t c = maas_rng_below(&rng, 9);
        p.a[i] = maas_rng_normal(&rng);
        p.b[i] = maas_rng_below(&rng, 6) ? maas_rng_normal(&rng) : NAN;
        p.colour[i] = colours[c];
        p.y[i] = 2 * p.a[i] + (isnan(p.b[i]) ? 1 : p.b[i] * p.b[i]) + (with_text ? effect[c] : 0) +
                 0.2 * maas_rng_normal(&rng);
        p.two[i] = p.y[i] > 1 ? 7 : -2;
        p.three[i] = p.y[i] > 2 ? 2 : p.y[i] > 0;
        p.word[i] = words[p.three[i]];
        p.weight[i] = (float)(1 + i % 3);
        p.query[i] = i * 7 % 40;
        p.relevance[i] = p.three[i];
    }
    toy_add(&p.t, "a", MAAS_F32, p.a);
    toy_add(&p.t, "b", MAAS_F32, p.b);
    if (with_text)
        toy_add_text(&p.t, "colour", p.colour, p.bytes);
}

static bool has_library(void)
{
    maas_train_result r = {0};
    maas_err err;
    make(false);
    toy_add(&p.t, "y", MAAS_F64, p.y);
    const maas_status st = toy_train(&p.t, "gradient_boosting", "y", "{'n_estimators':1}", &r,
                                     &err);
    maas_train_result_reset(&r);
    if (st == MAAS_E_UNAVAILABLE) {
        EXPECT(strstr(err.msg, "libxgboost0") != NULL);
        printf("SKIPPED: %s\n", err.msg);
    }
    return st != MAAS_E_UNAVAILABLE;
}

/* The served model over all rows. */
static maas_status serve(const maas_train_result *r, toy_model *m, maas_err *err)
{
    MAAS_TRY(toy_model_open(m, &r->onnx, N, err));
    if (m->g->n_inputs == 1) {
        float *x = maas_exec_input(m->exec, 0)->data;
        for (int i = 0; i < N; i++) {
            x[2 * i] = p.a[i];
            x[2 * i + 1] = p.b[i];
        }
    } else {
        memcpy(maas_exec_input(m->exec, toy_input(m, "a"))->data, p.a, sizeof p.a);
        memcpy(maas_exec_input(m->exec, toy_input(m, "b"))->data, p.b, sizeof p.b);
        maas_str *s = maas_exec_input(m->exec, toy_input(m, "colour"))->data;
        for (int i = 0; i < N; i++)
            s[i] = p.colour[i] ? (maas_str){p.colour[i], strlen(p.colour[i])} : (maas_str){"", 0};
    }
    return maas_exec_run(m->exec, err);
}

static double r2_of(const float *value)
{
    double mean = 0, left = 0, all = 0;
    for (int i = 0; i < N; i++)
        mean += p.y[i] / N;
    for (int i = 0; i < N; i++) {
        left += pow(p.y[i] - value[i], 2);
        all += pow(p.y[i] - mean, 2);
    }
    return 1 - left / all;
}

static void numbers_are_served_as_they_were_learned(void)
{
    if (!has_library())
        return;
    static const char *const params[] = {
        "{'n_estimators':40}",
        "{'n_estimators':40,'max_depth':3,'subsample':0.8,'colsample_bytree':0.7,'seed':5}",
        "{'n_estimators':40,'grow_policy':'lossguide','max_leaves':12,'max_depth':0}",
        "{'n_estimators':200,'objective':'reg:pseudohubererror','max_depth':4}",
        "{'n_estimators':40,'categorical':false}",
    };
    for (int text = 0; text < 2; text++)
        for (size_t i = 0; i < MAAS_COUNT(params); i++) {
            maas_train_result r = {0};
            maas_err err;
            toy_model m;
            make(text);
            toy_add(&p.t, "y", MAAS_F64, p.y);
            REQUIRE_OK(toy_train(&p.t, "gradient_boosting", "y", params[i], &r, &err), err);
            REQUIRE_OK(serve(&r, &m, &err), err);
            const double got = r2_of(toy_output(&m, "value")->data);
            EXPECT_NEAR(got, toy_metric(&r, "r2"), 1e-5);
            EXPECT_MSG(got > 0.8, "%s: %g", params[i], got);
            EXPECT_EQ(toy_output(&m, "value")->rank, 1);
            toy_model_close(&m);
            maas_train_result_reset(&r);
        }
}

static void classes_keep_their_labels(void)
{
    if (!has_library())
        return;
    for (int kind = 0; kind < 3; kind++) {
        maas_train_result r = {0};
        maas_err err;
        toy_model m;
        make(true);
        if (kind == 2)
            toy_add_text(&p.t, "y", p.word, p.words);
        else
            toy_add(&p.t, "y", MAAS_I64, kind ? p.three : p.two);
        REQUIRE_OK(toy_train(&p.t, "gradient_boosting", "y",
                             "{'n_estimators':20,'class_weight':'balanced'}", &r, &err),
                   err);
        REQUIRE_OK(serve(&r, &m, &err), err);
        const maas_tensor *label = toy_output(&m, "label"), *prob = toy_output(&m, "probabilities");
        EXPECT_EQ(prob->dims[1], kind ? 3 : 2);
        int right = 0;
        for (int i = 0; i < N; i++) {
            if (kind == 2) {
                const maas_str s = ((const maas_str *)label->data)[i];
                right += s.n == strlen(p.word[i]) && memcmp(s.p, p.word[i], s.n) == 0;
            } else {
                right += ((const int64_t *)label->data)[i] == (kind ? p.three : p.two)[i];
            }
            double sum = 0;
            for (int64_t k = 0; k < prob->dims[1]; k++)
                sum += ((const float *)prob->data)[i * prob->dims[1] + k];
            EXPECT_NEAR(sum, 1, 1e-5);
        }
        EXPECT_NEAR(right / (double)N, toy_metric(&r, "accuracy"), 1e-9);
        EXPECT(right > 0.9 * N);
        toy_model_close(&m);
        maas_train_result_reset(&r);
    }
}

static void early_stopping_goes_back_to_the_best(void)
{
    if (!has_library())
        return;
    maas_train_result r = {0};
    maas_err err;
    make(false);
    toy_add(&p.t, "y", MAAS_F64, p.y);
    REQUIRE_OK(toy_train(&p.t, "gradient_boosting", "y",
                         "{'n_estimators':500,'validation':0.3,'early_stopping_rounds':5,"
                         "'learning_rate':0.5}",
                         &r, &err),
               err);
    const json_t *rounds = json_object_get(r.metrics, "rounds");
    const size_t n = json_array_size(rounds), kept = (size_t)toy_metric(&r, "trees");
    EXPECT(n < 500 && n == kept + 5);
    double best = INFINITY;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        const double v = json_number_value(json_object_get(json_array_get(rounds, i), "val_rmse"));
        at = v < best ? i + 1 : at;
        best = v < best ? v : best;
    }
    EXPECT_EQ(at, kept);
    EXPECT_NEAR(toy_metric(&r, "val_rmse"), best, 1e-4);
    maas_train_result_reset(&r);
}

/* y rises and falls with b; a model that must not fall cannot follow. */
static void monotone_columns_stay_so(void)
{
    if (!has_library())
        return;
    maas_train_result r = {0};
    maas_err err;
    toy_model m;
    make(false);
    toy_add(&p.t, "y", MAAS_F64, p.y);
    REQUIRE_OK(toy_train(&p.t, "gradient_boosting", "y",
                         "{'n_estimators':30,'monotone_constraints':{'b':1}}", &r, &err),
               err);
    REQUIRE_OK(toy_model_open(&m, &r.onnx, N, &err), err);
    float *x = maas_exec_input(m.exec, 0)->data;
    for (int i = 0; i < N; i++) {
        x[2 * i] = 0.25f;
        x[2 * i + 1] = -3 + 6 * (float)i / N;
    }
    REQUIRE_OK(maas_exec_run(m.exec, &err), err);
    const float *v = toy_output(&m, "value")->data;
    for (int i = 1; i < N; i++)
        EXPECT(v[i] >= v[i - 1] - 1e-6f);
    EXPECT(v[N - 1] > v[0]);
    toy_model_close(&m);
    maas_train_result_reset(&r);
}

/* Pairs of one query: how many stand in the right order. */
static double in_order(const float *value)
{
    int right = 0, all = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            if (p.query[i] == p.query[j] && p.relevance[i] > p.relevance[j]) {
                all++;
                right += value[i] > value[j];
            }
    return (double)right / all;
}

static void groups_are_ranked(void)
{
    if (!has_library())
        return;
    static const char *const objectives[] = {"rank:pairwise", "rank:ndcg"};
    for (size_t i = 0; i < MAAS_COUNT(objectives); i++) {
        char params[200];
        maas_train_result r = {0};
        maas_err err;
        toy_model m;
        make(false);
        toy_add(&p.t, "q", MAAS_I64, p.query);
        toy_add(&p.t, "relevance", MAAS_I64, p.relevance);
        snprintf(params, sizeof params,
                 "{'objective':'%s','group':'q','n_estimators':30,'validation':0.2}",
                 objectives[i]);
        REQUIRE_OK(toy_train(&p.t, "gradient_boosting", "relevance", params, &r, &err), err);
        REQUIRE_OK(serve(&r, &m, &err), err);
        EXPECT(in_order(toy_output(&m, "value")->data) > 0.9);
        const json_t *rounds = json_object_get(r.metrics, "rounds");
        EXPECT_EQ(json_array_size(rounds), 30);
        EXPECT(json_object_get(json_array_get(rounds, 0), "val_ndcg") != NULL);
        toy_model_close(&m);
        maas_train_result_reset(&r);
    }
}

static void weights_and_importances(void)
{
    if (!has_library())
        return;
    maas_train_result plain = {0}, weighted = {0};
    maas_err err;
    make(false);
    toy_add(&p.t, "w", MAAS_F32, p.weight);
    toy_add(&p.t, "y", MAAS_F64, p.y);
    REQUIRE_OK(toy_train(&p.t, "gradient_boosting", "y", "{'sample_weight':'w'}", &weighted, &err),
               err);
    const json_t *gain = json_object_get(json_object_get(weighted.metrics, "importances"), "gain");
    EXPECT_EQ(json_object_size(gain), 2); /* the weights are no input */
    EXPECT(json_object_get(gain, "a") && json_object_get(gain, "b"));
    make(false);
    toy_add(&p.t, "y", MAAS_F64, p.y);
    REQUIRE_OK(toy_train(&p.t, "gradient_boosting", "y", "{}", &plain, &err), err);
    EXPECT(toy_metric(&plain, "rmse") != toy_metric(&weighted, "rmse"));
    maas_train_result_reset(&plain);
    maas_train_result_reset(&weighted);
}

static void what_cannot_be_is_refused(void)
{
    static const struct {
        const char *params, *word;
    } cases[] = {
        {"{'objective':'binary:logistic'}", "y"},
        {"{'objective':'reg:gamma'}", "reg:gamma"},
        {"{'objective':'rank:ndcg'}", "group"},
        {"{'group':'a'}", "group"},
        {"{'early_stopping_rounds':5}", "validation"},
        {"{'eval_metric':'auc'}", "auc"},
        {"{'monotone_constraints':{'zz':1}}", "zz"},
        {"{'monotone_constraints':{'a':2}}", "monotone_constraints.a"},
        {"{'sample_weight':'zz'}", "zz"},
        {"{'class_weight':'balanced'}", "class_weight"},
    };
    if (!has_library())
        return;
    make(false);
    toy_add(&p.t, "y", MAAS_F64, p.y);
    for (size_t i = 0; i < MAAS_COUNT(cases); i++) {
        maas_train_result r = {0};
        maas_err err;
        EXPECT_MSG(toy_train(&p.t, "gradient_boosting", "y", cases[i].params, &r, &err) ==
                       MAAS_E_INVALID,
                   "%s", cases[i].params);
        EXPECT_MSG(strstr(err.msg, cases[i].word) != NULL, "%s: %s", cases[i].params, err.msg);
    }
}

static const mt_case cases[] = {
    MT_CASE(numbers_are_served_as_they_were_learned),
    MT_CASE(classes_keep_their_labels),
    MT_CASE(early_stopping_goes_back_to_the_best),
    MT_CASE(monotone_columns_stay_so),
    MT_CASE(groups_are_ranked),
    MT_CASE(weights_and_importances),
    MT_CASE(what_cannot_be_is_refused),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
