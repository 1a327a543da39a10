/*
 * tests/unit/learn/test_classic.c - the learners of learn/classic through maas_train: input that is
 * hard or hostile, the same job twice, cancelling, budgets. What they learn is compared with
 * scikit-learn in tests/client/test_learners.py.
 */
#include "../../maas_test.h"

#include "learn/classic/linear.h"
#include "toy.h"

enum { N = 60 };

typedef struct rows {
    toy t;
    float a[N], b[N], same[N], gaps[N], y[N];
    int64_t k[N], one[N];
    const char *text[N], *empty[N], *date[N], *words[N];
    char bytes[4][N * 32], dates[N][16];
} rows;

static void make_rows(rows *r)
{
    static const char *const cities[] = {"Oslo", "Rome", NULL, "Bonn"};
    static const char *const words[] = {"a good day", "a bad day", "good, very good", ""};
    maas_rng rng;
    maas_rng_seed(&rng, 4);
    memset(r, 0, sizeof *r);
    toy_init(&r->t, N);
    for (int i = 0; i < N; i++) {
        r->k[i] = i % 3;
        r->a[i] = (float)(i % 3) + 0.3f * maas_rng_normal(&rng);
        r->b[i] = maas_rng_normal(&rng);
        r->same[i] = 7;
        r->gaps[i] = i % 4 ? r->b[i] : NAN;
        r->y[i] = 2 * r->a[i] - r->b[i];
        r->text[i] = cities[i % 4];
        r->empty[i] = NULL;
        r->words[i] = words[i % 4];
        snprintf(r->dates[i], sizeof r->dates[i], "2024-%02d-%02d", i % 12 + 1, i % 28 + 1);
        r->date[i] = i % 9 ? r->dates[i] : NULL;
    }
}

static const struct {
    const char *learner, *params;
    bool classes, values;
} learners[] = {
    {"ridge", "{}", false, true},
    {"lasso", "{'alpha':0.01}", false, true},
    {"elastic_net", "{'alpha':0.01}", false, true},
    {"linear_regression", "{}", false, true},
    {"logistic_regression", "{}", true, false},
    {"logistic_regression", "{'penalty':'l1'}", true, false},
    {"knn", "{'n_neighbors':3}", true, true},
    {"knn", "{'n_neighbors':3,'metric':'manhattan','weights':'distance'}", true, true},
    {"naive_bayes", "{}", true, false},
    {"naive_bayes", "{'distribution':'bernoulli'}", true, false},
    {"naive_bayes", "{'distribution':'multinomial','scaling':'minmax'}", true, false},
    {"svm", "{}", true, true},
    {"svm", "{'kernel':'linear','probability':true}", true, true},
    {"kmeans", "{'n_clusters':3}", false, false},
    {"kmeans", "{'n_clusters':3,'algorithm':'mini_batch','batch_size':16}", false, false},
    {"dbscan", "{'eps':1.5,'min_samples':3}", false, false},
    {"gaussian_mixture", "{'n_components':2}", false, false},
    {"gaussian_mixture", "{'n_components':2,'covariance_type':'tied','reg_covar':0.001}", false,
     false},
    {"pca", "{'n_components':2}", false, false},
    {"pca", "{'n_components':0.8,'whiten':true}", false, false},
    {"truncated_svd", "{'n_components':2}", false, false},
};

/* Whether a target of classes (0), of numbers (1) or none (2) is for this learner. */
static bool takes(size_t i, int target)
{
    return target == 0   ? learners[i].classes
           : target == 1 ? learners[i].values
                         : !learners[i].classes && !learners[i].values;
}

static const char *add_target(rows *r, int target)
{
    if (target == 0)
        toy_add(&r->t, "target", MAAS_I64, r->k);
    if (target == 1)
        toy_add(&r->t, "target", MAAS_F32, r->y);
    return target == 2 ? NULL : "target";
}

static bool have_libsvm(maas_status st)
{
    return st != MAAS_E_UNAVAILABLE;
}

/* Everything a table may have at once; the model opens, runs on raw rows and answers numbers. */
static void learners_take_what_tables_have(void)
{
    static rows r;
    for (size_t i = 0; i < MAAS_COUNT(learners); i++)
        for (int target = 0; target < 3; target++) {
            if (!takes(i, target))
                continue;
            make_rows(&r);
            toy_add(&r.t, "a", MAAS_F32, r.a);
            toy_add(&r.t, "twice", MAAS_F32, r.a);
            toy_add(&r.t, "same", MAAS_F32, r.same);
            toy_add(&r.t, "gaps", MAAS_F32, r.gaps);
            toy_add_text(&r.t, "city", r.text, r.bytes[0]);
            toy_add_text(&r.t, "weights", r.date, r.bytes[1]); /* a name of the graph's own kind */
            const char *name = add_target(&r, target);
            maas_train_result one = {0}, two = {0};
            maas_err err;
            maas_status st = toy_train(&r.t, learners[i].learner, name, learners[i].params, &one,
                                       &err);
            if (!have_libsvm(st))
                continue;
            EXPECT_MSG(st == MAAS_OK, "%s %s: %s", learners[i].learner, learners[i].params,
                       err.msg);
            if (st != MAAS_OK)
                continue;
            REQUIRE_OK(toy_train(&r.t, learners[i].learner, name, learners[i].params, &two, &err),
                       err);
            EXPECT_MSG(one.onnx.n == two.onnx.n && memcmp(one.onnx.p, two.onnx.p, one.onnx.n) == 0,
                       "%s: another file from the same job", learners[i].learner);
            toy_model m;
            REQUIRE_OK(toy_model_open(&m, &one.onnx, 2, &err), err);
            for (uint32_t c = 0; c < m.g->n_inputs; c++) {
                maas_tensor *x = maas_exec_input(m.exec, c);
                for (int64_t k = 0; k < maas_n_elems(x); k++)
                    if (x->dtype == MAAS_STRING)
                        ((maas_str *)x->data)[k] = k ? (maas_str){"Atlantis", 8}
                                                     : (maas_str){"2024-02-30", 10};
                    else
                        ((float *)x->data)[k] = k ? NAN : 0.5f;
            }
            REQUIRE_OK(maas_exec_run(m.exec, &err), err);
            for (uint32_t c = 0; c < m.g->n_outputs; c++) {
                const maas_tensor *y = maas_exec_output(m.exec, c);
                for (int64_t k = 0; y->dtype == MAAS_F32 && k < maas_n_elems(y); k++)
                    EXPECT_MSG(isfinite(((const float *)y->data)[k]), "%s %s", learners[i].learner,
                               learners[i].params);
            }
            toy_model_close(&m);
            maas_train_result_reset(&one);
            maas_train_result_reset(&two);
        }
}

static void refused(const rows *r, const char *learner, const char *target, const char *params,
                    const char *word)
{
    maas_train_result out = {0};
    maas_err err;
    maas_status st = toy_train(&r->t, learner, target, params, &out, &err);
    EXPECT_MSG(st == MAAS_E_INVALID || st == MAAS_E_UNSUPPORTED, "%s %s: status %d", learner,
               params, (int)st);
    EXPECT_MSG(strstr(err.msg, word) != NULL, "%s %s: '%s' not in '%s'", learner, params, word,
               err.msg);
    maas_train_result_reset(&out);
}

static void what_cannot_be_is_refused_by_name(void)
{
    static rows r;
    make_rows(&r);
    toy_add(&r.t, "a", MAAS_F32, r.a);
    toy_add(&r.t, "gaps", MAAS_F32, r.gaps);
    toy_add(&r.t, "one", MAAS_I64, r.one);
    toy_add(&r.t, "k", MAAS_I64, r.k);
    refused(&r, "logistic_regression", "one", "{}", "'one' has 1 class");
    refused(&r, "knn", "a", "{'n_neighbors':61}", "params.n_neighbors: 61");
    refused(&r, "ridge", "gaps", "{}", "'gaps' is missing in row 1");
    refused(&r, "naive_bayes", "a", "{}", "'a' is no class");
    refused(&r, "naive_bayes", "k", "{'distribution':'multinomial','scaling':'standard'}", "row");
    refused(&r, "kmeans", NULL, "{'n_clusters':61}", "61 groups of 60 rows");
    refused(&r, "dbscan", NULL, "{'eps':1e-9,'min_samples':3}", "params.min_samples");
    refused(&r, "pca", NULL, "{'n_components':5}", "params.n_components");
    refused(&r, "pca", NULL, "{'n_components':1.5}", "params.n_components");
    refused(&r, "ridge", "a", "{'weight':'nobody'}", "params.weight");
    refused(&r, "ridge", "a", "{'weight':3}", "params.weight");
    refused(&r, "ridge", "a", "{'weight':'gaps'}", "params.weight");
    refused(&r, "svm", "k", "{'gamma':'big'}", "params.gamma");
    refused(&r, "linear_regression", "a", "{'solver':'sgd','weight':'k'}", "params.weight");
    refused(&r, "logistic_regression", "k", "{'epochs':3,'solver':'sgd','penalty':'l1'}",
            "params.penalty");
    refused(&r, "ridge", "a", "{'preparation':{'columns':{'a':'sorted'}}}",
            "params.preparation.columns.a");
}

static void hard_text_is_said_by_column(void)
{
    static rows r;
    make_rows(&r);
    toy_add(&r.t, "a", MAAS_F32, r.a);
    toy_add(&r.t, "k", MAAS_I64, r.k);
    toy_add_text(&r.t, "void", r.empty, r.bytes[0]);
    refused(&r, "ridge", "a", "{}", "'void' has no values");
    refused(&r, "ridge", "a", "{'preparation':{'text':'tfidf'}}", "'void' has no words");
    make_rows(&r);
    r.a[7] = INFINITY;
    toy_add(&r.t, "a", MAAS_F32, r.a);
    toy_add(&r.t, "k", MAAS_I64, r.k);
    refused(&r, "logistic_regression", "k", "{}", "'a', row 8");
}

/* One row, more columns than rows. */
static void tiny_tables_are_answered(void)
{
    static rows r;
    static const char *const each[] = {"ridge", "lasso", "linear_regression", "pca", "kmeans"};
    for (size_t i = 0; i < MAAS_COUNT(each); i++)
        for (int n = 1; n <= 2; n++) {
            make_rows(&r);
            r.t.d.n_rows = n;
            toy_add(&r.t, "a", MAAS_F32, r.a);
            toy_add(&r.t, "b", MAAS_F32, r.b);
            toy_add(&r.t, "same", MAAS_F32, r.same);
            toy_add(&r.t, "y", MAAS_F32, r.y);
            maas_train_result out = {0};
            maas_err err;
            maas_status st = toy_train(&r.t, each[i], i < 3 ? "y" : NULL,
                                       i == 4 ? "{'n_clusters':1}" : "{}", &out, &err);
            EXPECT_MSG(st == MAAS_OK, "%s of %d rows: %s", each[i], n, err.msg);
            maas_train_result_reset(&out);
        }
}

/* ---- preparation ---- */

static void text_ways_learn_what_the_text_says(void)
{
    static rows r;
    static const char *const ways[] = {"onehot", "ordinal", "target", "hashing", "tfidf"};
    for (size_t w = 0; w < MAAS_COUNT(ways); w++) {
        make_rows(&r);
        for (int i = 0; i < N; i++) /* the text decides */
            r.k[i] = strstr(r.words[i], "good") ? 1 : 0;
        toy_add(&r.t, "b", MAAS_F32, r.b);
        toy_add_text(&r.t, "note", r.words, r.bytes[0]);
        toy_add(&r.t, "k", MAAS_I64, r.k);
        char params[128];
        for (int way = 0; way < 2; way++) { /* solved, and as a network */
            snprintf(params, sizeof params, "{'preparation':{'text':'%s'},'validation':0.25%s}",
                     ways[w], way ? ",'solver':'sgd','seed':1" : "");
            maas_train_result out = {0};
            maas_err err;
            REQUIRE_OK(toy_train(&r.t, "logistic_regression", "k", params, &out, &err), err);
            EXPECT_MSG(toy_metric(&out, "val_accuracy") > (w == 1 ? 0.5 : 0.9), "%s: %g", params,
                       toy_metric(&out, "val_accuracy"));
            maas_train_result_reset(&out);
        }
    }
}

static void dates_are_numbers(void)
{
    static rows r;
    make_rows(&r);
    for (int i = 0; i < N; i++)
        r.y[i] = (float)(i % 12); /* the month */
    r.date[0] = r.dates[0];       /* no gaps here */
    for (int i = 0; i < N; i++)
        r.date[i] = r.dates[i];
    toy_add_text(&r.t, "day", r.date, r.bytes[0]);
    toy_add(&r.t, "y", MAAS_F32, r.y);
    maas_train_result out = {0};
    maas_err err;
    REQUIRE_OK(toy_train(&r.t, "linear_regression", "y", "{}", &out, &err), err);
    EXPECT(toy_metric(&out, "r2") > 0.999);
    maas_train_result_reset(&out);
}

static void gaps_are_filled_as_asked(void)
{
    static const struct {
        const char *params;
        float fill;
    } ways[] = {{"{'scaling':'none'}", 22},
                {"{'scaling':'none','preparation':{'impute':'median'}}", 4},
                {"{'scaling':'none','preparation':{'impute':'most_frequent'}}", 2},
                {"{'scaling':'none','preparation':{'impute':'constant','fill':-5}}", -5}};
    static const float cells[] = {2, 2, 4, 80, NAN};
    static float x[N], y[N];
    for (size_t w = 0; w < MAAS_COUNT(ways); w++) {
        toy t;
        toy_init(&t, N);
        for (int i = 0; i < N; i++) {
            x[i] = cells[i % 5];
            y[i] = isnan(x[i]) ? ways[w].fill : x[i]; /* exact only if gaps become this */
        }
        toy_add(&t, "x", MAAS_F32, x);
        toy_add(&t, "y", MAAS_F32, y);
        maas_train_result out = {0};
        maas_err err;
        REQUIRE_OK(toy_train(&t, "linear_regression", "y", ways[w].params, &out, &err), err);
        if (w != 1) /* the median of an even number lies between two */
            EXPECT_MSG(toy_metric(&out, "rmse") < 1e-3, "%s: %g", ways[w].params,
                       toy_metric(&out, "rmse"));
        maas_train_result_reset(&out);
    }
}

/* ---- limits ---- */

/* Where the exact way has no memory, linear_regression takes the other one. */
static void short_memory_takes_the_other_way(void)
{
    static rows r;
    make_rows(&r);
    toy_add(&r.t, "a", MAAS_F32, r.a);
    toy_add(&r.t, "b", MAAS_F32, r.b);
    toy_add(&r.t, "y", MAAS_F32, r.y);
    maas_budget budget = {.limit = 3000};
    maas_train_job job = {.learner = "linear_regression",
                          .data = &r.t.d,
                          .target = "y",
                          .n_threads = 1,
                          .budget = &budget};
    EXPECT(!maas_exact_fits(&job, 256));
    budget.limit = 1 << 20;
    EXPECT(maas_exact_fits(&job, 256));
}

static bool stop(void *user)
{
    (void)user;
    return true;
}

static void cancelling_and_budgets_hold(void)
{
    static rows r;
    for (size_t i = 0; i < MAAS_COUNT(learners); i++) {
        const int target = learners[i].classes ? 0 : learners[i].values ? 1 : 2;
        make_rows(&r);
        toy_add(&r.t, "a", MAAS_F32, r.a);
        toy_add(&r.t, "b", MAAS_F32, r.b);
        const char *name = add_target(&r, target);
        const maas_train_hooks hooks = {.cancelled = stop};
        maas_budget tight = {.limit = 20000};
        json_t *p = toy_params(learners[i].params);
        maas_train_job job = {.learner = learners[i].learner,
                              .params = p,
                              .data = &r.t.d,
                              .target = name,
                              .n_threads = 2,
                              .hooks = &hooks};
        maas_train_result out = {0};
        maas_err err = {0};
        maas_status st = strcmp(job.learner, "svm") ? maas_train(&job, &out, &err)
                                                    : MAAS_E_CANCELLED;
        EXPECT_MSG(st == MAAS_E_CANCELLED, "%s: %d %s", job.learner, (int)st, err.msg);
        job.hooks = NULL;
        job.budget = &tight;
        err = (maas_err){0};
        st = maas_train(&job, &out, &err);
        EXPECT_MSG(st == MAAS_E_NOMEM || !have_libsvm(st), "%s: %d %s", job.learner, (int)st,
                   err.msg);
        EXPECT_EQ(tight.used, 0);
        json_decref(p);
    }
}

static void failed_allocations_are_survived(void)
{
    static rows r;
    for (size_t i = 0; i < MAAS_COUNT(learners); i++) {
        if (strcmp(learners[i].learner, "svm") == 0)
            continue; /* libsvm's own allocations are not ours to fail */
        const int target = learners[i].classes ? 0 : learners[i].values ? 1 : 2;
        for (long at = 1; at < 4000; at += at < 60 ? 7 : 97) {
            make_rows(&r);
            toy_add(&r.t, "a", MAAS_F32, r.a);
            toy_add_text(&r.t, "city", r.text, r.bytes[0]);
            toy_add_text(&r.t, "note", r.words, r.bytes[1]);
            const char *name = add_target(&r, target);
            json_t *p = toy_params(learners[i].params);
            const maas_train_job job = {.learner = learners[i].learner,
                                        .params = p,
                                        .data = &r.t.d,
                                        .target = name,
                                        .n_threads = 1};
            maas_train_result out = {0};
            maas_err err = {0};
            const long live = maas_mem_live();
            maas_mem_fail_at(at);
            maas_status st = maas_train(&job, &out, &err);
            maas_mem_fail_at(0);
            maas_train_result_reset(&out);
            EXPECT_EQ(maas_mem_live(), live);
            json_decref(p);
            if (st == MAAS_OK)
                break;
        }
    }
}

static const mt_case cases[] = {
    MT_CASE(learners_take_what_tables_have),     MT_CASE(what_cannot_be_is_refused_by_name),
    MT_CASE(hard_text_is_said_by_column),        MT_CASE(tiny_tables_are_answered),
    MT_CASE(text_ways_learn_what_the_text_says), MT_CASE(dates_are_numbers),
    MT_CASE(gaps_are_filled_as_asked),           MT_CASE(cancelling_and_budgets_hold),
    MT_CASE(short_memory_takes_the_other_way),   MT_CASE(failed_allocations_are_survived)};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
