/* tests/unit/learn/test_search.c - folds and orders against what scikit-learn 1.9 and NumPy 2.4
 * print for the same seeds; candidates; and whole searches over small data. */
#include "../../maas_test.h"

#include "learn/search/auto.h"
#include "learn/search/search.h"
#include "learn/search/shuffle.h"
#include "learn/subset.h"
#include "toy.h"

static void the_generator_is_numpys(void)
{
    /* numpy.random.RandomState(42).randint(0, 2**32, 5, dtype=uint32) */
    static const uint32_t want[] = {1608637542, 3421126067, 4083286876, 787846414, 3143890026};
    /* r = arange(12); RandomState(7).shuffle(r) */
    static const uint32_t order[] = {7, 10, 2, 5, 0, 1, 11, 8, 3, 6, 9, 4};
    maas_mt19937 g;
    uint32_t v[12];
    maas_mt19937_seed(&g, 42);
    for (size_t i = 0; i < MAAS_COUNT(want); i++)
        EXPECT_EQ(maas_mt19937_u32(&g), want[i]);
    for (uint32_t i = 0; i < 12; i++)
        v[i] = i;
    maas_mt19937_seed(&g, 7);
    maas_mt19937_shuffle(&g, v, 12);
    for (size_t i = 0; i < 12; i++)
        EXPECT_EQ(v[i], order[i]);
}

/* ---- folds: the fold that measures each row (-1: none), as scikit-learn splits these 13 ---- */

static const int64_t classes[13] = {2, 0, 1, 0, 2, 2, 1, 0, 0, 1, 2, 0, 1};
static const int64_t groups[13] = {5, 1, 1, 3, 5, 5, 2, 2, 4, 4, 4, 4, 1};

static const struct fold_case {
    const char *cv;
    bool is_class;
    int want[13];
} fold_cases[] = {
    {"4", false, {0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3}},
    {"{'folds':4,'kind':'kfold','shuffle':true,'seed':7}",
     true,
     {1, 1, 0, 2, 3, 0, 3, 2, 0, 3, 0, 2, 1}},
    {"3", true, {0, 0, 0, 1, 0, 1, 0, 1, 2, 1, 2, 2, 2}},
    {"{'folds':3,'shuffle':true,'seed':5}", true, {0, 2, 0, 1, 0, 1, 0, 2, 1, 1, 2, 0, 2}},
    {"{'folds':3,'kind':'time'}", false, {-1, -1, -1, -1, 0, 0, 0, 1, 1, 1, 2, 2, 2}},
    {"{'folds':3,'kind':'group','group':'g'}", true, {1, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0, 2}},
};

static json_t *any_json(const char *text)
{
    AUTO(maas_buf_reset) maas_buf wrapped = MAAS_BUF_INIT(4096);
    maas_buf_printf(&wrapped, "{'v':%s}", text);
    json_t *o = toy_params(wrapped.p), *v = json_incref(json_object_get(o, "v"));
    json_decref(o);
    return v;
}

static void toy_classes(toy *t)
{
    toy_init(t, 13);
    toy_add(t, "y", MAAS_I64, classes);
    toy_add(t, "g", MAAS_I64, groups);
}

static void folds_are_scikit_learns(void)
{
    static toy t;
    toy_classes(&t);
    for (size_t k = 0; k < MAAS_COUNT(fold_cases); k++) {
        const struct fold_case *c = &fold_cases[k];
        json_t *j = any_json(c->cv);
        maas_err err = {0};
        maas_cv cv;
        maas_folds f = {0};
        EXPECT_MSG(maas_cv_read(j, "cv", &cv, &err) == MAAS_OK, "%s: %s", c->cv, err.msg);
        EXPECT_MSG(maas_folds_make(&cv, &t.d, "y", c->is_class, NULL, &f, &err) == MAAS_OK,
                   "%s: %s", c->cv, err.msg);
        int got[13], n_train = 0;
        memset(got, 0xff, sizeof got);
        for (int64_t i = 0; i < f.n; i++) {
            for (int64_t r = 0; r < f.at[i].n_test; r++)
                got[f.at[i].test[r]] = (int)i;
            n_train += (int)f.at[i].n_train;
            for (int64_t r = 0; r < f.at[i].n_train; r++) /* no row is on both sides */
                for (int64_t q = 0; q < f.at[i].n_test; q++)
                    EXPECT(f.at[i].train[r] != f.at[i].test[q]);
        }
        for (int r = 0; r < 13; r++)
            EXPECT_MSG(got[r] == c->want[r], "%s: row %d is in fold %d, scikit-learn says %d",
                       c->cv, r, got[r], c->want[r]);
        EXPECT(n_train > 0);
        maas_folds_reset(&f);
        json_decref(j);
    }
    EXPECT_EQ(maas_mem_live(), 0);
}

static void wrong_folds_are_refused_by_name(void)
{
    static const struct {
        const char *cv, *words;
    } cases[] = {
        {"1", "2..1000 folds"},
        {"'five'", "number of folds or an object"},
        {"{'folds':3,'kind':'loo'}", "cv.kind"},
        {"{'folds':3,'kind':'group'}", "cv.group"},
        {"{'folds':3,'group':'g'}", "cv.group"},
        {"{'folds':3,'kind':'time','shuffle':true}", "cv.shuffle"},
        {"{'fold':3}", "fold"},
        {"{'folds':14}", "14 folds for 13 rows"},
        {"{'folds':6,'kind':'stratified'}", "no class of 'y' has more than 5 rows"},
        {"{'folds':6,'kind':'group','group':'g'}", "6 folds for 5 groups"},
        {"{'folds':3,'kind':'group','group':'nope'}", "no column 'nope'"},
    };
    static toy t;
    toy_classes(&t);
    for (size_t k = 0; k < MAAS_COUNT(cases); k++) {
        json_t *j = any_json(cases[k].cv);
        maas_err err = {0};
        maas_cv cv;
        maas_folds f = {0};
        maas_status st = maas_cv_read(j, "cv", &cv, &err);
        if (st == MAAS_OK)
            st = maas_folds_make(&cv, &t.d, "y", true, NULL, &f, &err);
        EXPECT_MSG(st == MAAS_E_INVALID && strstr(err.msg, cases[k].words), "%s: %s", cases[k].cv,
                   err.msg);
        maas_folds_reset(&f);
        json_decref(j);
    }
}

/* ---- candidates ---- */

static void a_grid_has_scikit_learns_order(void)
{
    /* list(ParameterGrid([{"b": [1, 2], "a": ["x", "y"]}, {"o.lr": [0.5]}])) */
    static const char *const want[] = {"{\"a\":\"x\",\"b\":1}", "{\"a\":\"x\",\"b\":2}",
                                       "{\"a\":\"y\",\"b\":1}", "{\"a\":\"y\",\"b\":2}",
                                       "{\"o.lr\":0.5}"};
    json_t *grid = any_json("[{'b':[1,2],'a':['x','y']},{'o.lr':[0.5]}]"),
           *base = any_json("{'o':{'type':'sgd'}}");
    maas_candidates c = {0};
    maas_err err = {0};
    EXPECT_EQ(maas_candidates_grid(grid, "network", base, &c, &err), MAAS_OK);
    EXPECT_EQ(c.n, 5);
    for (size_t i = 0; i < c.n && i < 5; i++) {
        AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(4096);
        maas_json_dump(c.at[i].point, &text);
        EXPECT_STR(text.p, want[i]);
    }
    const json_t *o = json_object_get(c.at[4].params, "o");
    EXPECT(json_real_value(json_object_get(o, "lr")) == 0.5 && json_object_get(o, "type"));
    EXPECT(!json_object_get(json_object_get(c.at[0].params, "o"), "lr"));
    maas_candidates_reset(&c);
    json_decref(grid);
    json_decref(base);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void draws_stay_in_their_range_and_repeat(void)
{
    json_t *d = any_json("{'a':{'uniform':[-1,1]},'b':{'loguniform':[0.001,10]},'c':{'randint':[2,"
                         "5]},'d':['p','q']}");
    maas_candidates one = {0}, two = {0};
    maas_err err = {0};
    int seen[5] = {0};
    EXPECT_EQ(maas_candidates_draw(d, 200, 3, "network", NULL, &one, &err), MAAS_OK);
    EXPECT_EQ(maas_candidates_draw(d, 200, 3, "network", NULL, &two, &err), MAAS_OK);
    for (size_t i = 0; i < one.n; i++) {
        const json_t *p = one.at[i].point;
        const double a = json_number_value(json_object_get(p, "a")),
                     b = json_number_value(json_object_get(p, "b"));
        const json_int_t c = json_integer_value(json_object_get(p, "c"));
        EXPECT(a >= -1 && a < 1 && b >= 0.001 && b <= 10 && c >= 2 && c < 5);
        if (c >= 2 && c < 5)
            seen[c]++;
        EXPECT(json_equal((json_t *)p, two.at[i].point));
    }
    EXPECT(seen[2] > 30 && seen[3] > 30 && seen[4] > 30);
    maas_candidates_reset(&one);
    maas_candidates_reset(&two);
    json_decref(d);
}

static void a_wrong_search_is_refused_at_the_door(void)
{
    static const struct {
        const char *search, *words;
    } cases[] = {
        {"{}", "either 'param_grid'"},
        {"{'param_grid':{'epochs':[1]},'distributions':{'epochs':[1]}}", "either 'param_grid'"},
        {"{'strategy':'bayes','param_grid':{}}", "search.strategy"},
        {"{'param_grid':{'epochs':3}}", "search.param_grid.epochs"},
        {"{'param_grid':{'epochs':[]}}", "search.param_grid.epochs"},
        {"{'param_grid':{'epoch':[3]}}", "epoch"},
        {"{'param_grid':{'epochs':[1,-3]}}", "epochs"},
        {"{'param_grid':{'epochs.x':[1]},'cv':3}", "epochs"},
        {"{'param_grid':{'epochs':[1]},'scoring':'acuracy'}", "scoring 'acuracy'"},
        {"{'param_grid':{'epochs':[1]},'n_iters':3}", "n_iters"},
        {"{'distributions':{'epochs':{'normal':[1,2]}}}", "uniform, loguniform, randint"},
        {"{'distributions':{'epochs':{'randint':[5,2]}}}", "low < high"},
        {"{'distributions':{'epochs':{'loguniform':[0,2]}}}", "above 0"},
        {"{'distributions':{'epochs':{'randint':[1.5,2.5]}}}", "whole numbers"},
    };
    for (size_t k = 0; k < MAAS_COUNT(cases); k++) {
        json_t *s = any_json(cases[k].search);
        maas_err err = {0};
        maas_status st = maas_search_check("logistic_regression", NULL, s, &err);
        EXPECT_MSG(st == MAAS_E_INVALID && strstr(err.msg, cases[k].words), "%s: %d %s",
                   cases[k].search, (int)st, err.msg);
        json_decref(s);
    }
    EXPECT_EQ(maas_mem_live(), 0);
}

/* ---- whole searches ---- */

enum { ROWS = 240 };

typedef struct plane {
    toy t;
    float a[ROWS], b[ROWS];
    const char *kind[ROWS];
    char bytes[8 * ROWS];
} plane;

/* Two numbers and a class that follows from them, with some noise. */
static void plane_init(plane *p, uint64_t seed)
{
    maas_rng rng;
    maas_rng_seed(&rng, seed);
    for (int i = 0; i < ROWS; i++) {
        p->a[i] = maas_rng_normal(&rng);
        p->b[i] = maas_rng_normal(&rng);
        p->kind[i] = p->a[i] - p->b[i] + 0.3f * maas_rng_normal(&rng) > 0 ? "yes" : "no";
    }
    toy_init(&p->t, ROWS);
    toy_add(&p->t, "a", MAAS_F32, p->a);
    toy_add(&p->t, "b", MAAS_F32, p->b);
    toy_add_text(&p->t, "kind", p->kind, p->bytes);
}

typedef struct watcher {
    int n_progress;
    bool stop;
    maas_buf state;
} watcher;

static void on_progress(void *user, double fraction, const json_t *metrics, const char *note)
{
    watcher *w = user;
    EXPECT(fraction >= 0 && fraction <= 1 && note);
    (void)metrics;
    w->n_progress++;
}

static bool on_cancelled(void *user)
{
    return ((watcher *)user)->stop;
}

static maas_status on_checkpoint(void *user, maas_span state, maas_err *err)
{
    watcher *w = user;
    (void)err;
    maas_buf_clear(&w->state);
    maas_buf_add(&w->state, state.p, state.n);
    return MAAS_OK;
}

static maas_status search(const plane *p, const char *spec, int n_threads, watcher *w,
                          maas_span resume, maas_train_result *out, maas_err *err)
{
    json_t *s = any_json(spec);
    const maas_train_hooks hooks = {w, on_progress, on_cancelled, on_checkpoint};
    const maas_train_job job = {.learner = "logistic_regression",
                                .data = &p->t.d,
                                .target = "kind",
                                .n_threads = n_threads,
                                .resume = resume,
                                .hooks = w ? &hooks : NULL};
    *err = (maas_err){0};
    maas_status st = maas_search(&job, s, out, err);
    json_decref(s);
    return st;
}

#define GRID "{'param_grid':{'l2':[0,100,0.1],'epochs':[3],'batch_size':[8]},'cv':4}"

/* Everything but the seconds. */
static void scores_text(const maas_train_result *r, maas_buf *out)
{
    size_t i;
    json_t *t;
    json_array_foreach(json_object_get(r->report, "trials"), i, t)
    {
        maas_json_dump(json_object_get(t, "params"), out);
        maas_json_dump(json_object_get(t, "split_test_scores"), out);
    }
}

static void the_best_of_a_grid_is_found_whatever_the_threads(void)
{
    static plane p;
    maas_err err;
    maas_buf text[2] = {MAAS_BUF_INIT(1 << 20), MAAS_BUF_INIT(1 << 20)};
    plane_init(&p, 5);
    for (int k = 0; k < 2; k++) {
        maas_train_result r = {0};
        watcher w = {.state = MAAS_BUF_INIT(1 << 20)};
        EXPECT_MSG(search(&p, GRID, k ? 3 : 1, &w, (maas_span){0}, &r, &err) == MAAS_OK, "%s",
                   err.msg);
        EXPECT_EQ(json_array_size(json_object_get(r.report, "trials")), 3);
        EXPECT(json_number_value(json_object_get(r.report, "best_score")) > 0.85);
        EXPECT_STR(json_string_value(json_object_get(r.report, "scoring")), "accuracy");
        EXPECT(json_number_value(json_object_get(json_object_get(r.report, "best_params"), "l2")) <
               100);
        EXPECT(r.onnx.n > 0 && w.n_progress > 0 && w.state.n > 0);
        scores_text(&r, &text[k]);
        maas_train_result_reset(&r);
        maas_buf_reset(&w.state);
    }
    EXPECT_STR(text[0].p, text[1].p);
    maas_buf_reset(&text[0]);
    maas_buf_reset(&text[1]);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void a_resumed_search_repeats_no_fit(void)
{
    static plane p;
    maas_err err;
    maas_train_result r = {0}, again = {0};
    watcher w = {.state = MAAS_BUF_INIT(1 << 20)}, second = {.state = MAAS_BUF_INIT(1 << 20)};
    plane_init(&p, 6);
    EXPECT_EQ(search(&p, GRID, 2, &w, (maas_span){0}, &r, &err), MAAS_OK);
    EXPECT_MSG(search(&p, GRID, 2, &second, maas_buf_span(&w.state), &again, &err) == MAAS_OK, "%s",
               err.msg);
    EXPECT(json_equal(r.report, again.report)); /* the seconds are those of the first run, too */
    maas_train_result_reset(&again);
    EXPECT_EQ(search(&p, "{'param_grid':{'epochs':[1]},'cv':4}", 2, &second,
                     maas_buf_span(&w.state), &again, &err),
              MAAS_E_FORMAT);
    maas_train_result_reset(&r);
    maas_train_result_reset(&again);
    maas_buf_reset(&w.state);
    maas_buf_reset(&second.state);
}

static void halving_ends_with_all_rows(void)
{
    static plane p;
    maas_err err;
    maas_train_result r = {0};
    plane_init(&p, 7);
    EXPECT_MSG(
        search(&p,
               "{'strategy':'halving','param_grid':{'l2':[0,0.01,0.1,1,10,30,60,90,100]},'cv':3}",
               2, NULL, (maas_span){0}, &r, &err) == MAAS_OK,
        "%s", err.msg);
    size_t i;
    int n_last = 0;
    json_t *t;
    EXPECT_EQ(json_integer_value(json_object_get(r.report, "rounds")), 3);
    json_array_foreach(json_object_get(r.report, "trials"), i, t)
    {
        const json_int_t rows = json_integer_value(json_object_get(t, "n_resources"));
        n_last += rows == ROWS * 2 / 3;
        EXPECT(i > 0 || rows == ROWS * 2 / 3); /* the best was measured with all of them */
        EXPECT(i == 0 || rows <= ROWS * 2 / 3);
    }
    EXPECT_EQ(n_last, 1);
    maas_train_result_reset(&r);
}

static void a_cancelled_search_stops_and_a_hopeless_one_says_why(void)
{
    static plane p;
    maas_err err;
    maas_train_result r = {0};
    watcher w = {.stop = true, .state = MAAS_BUF_INIT(1 << 20)};
    plane_init(&p, 8);
    EXPECT_EQ(search(&p, GRID, 2, &w, (maas_span){0}, &r, &err), MAAS_E_CANCELLED);
    EXPECT_EQ(search(&p, "{'param_grid':{'epochs':[1]},'scoring':'r2'}", 2, NULL, (maas_span){0},
                     &r, &err),
              MAAS_E_INVALID);
    EXPECT_MSG(strstr(err.msg, "no candidate could be trained") && strstr(err.msg, "r2"), "%s",
               err.msg);
    maas_train_result_reset(&r);
    maas_buf_reset(&w.state);
    EXPECT_EQ(maas_mem_live(), 0);
}

/* ---- learner auto ---- */

static void every_candidate_of_auto_is_one_its_learner_takes(void)
{
    for (size_t i = 0; i < maas_n_auto_rows; i++) {
        const maas_auto_row *row = &maas_auto_rows[i];
        json_t *params = toy_json(row->params);
        maas_err err = {0};
        EXPECT_MSG(maas_train_check(row->learner, params, &err) == MAAS_OK, "%s %s: %s",
                   row->learner, row->params, err.msg);
        EXPECT_MSG(row->tasks >= 1 && row->tasks <= 3, "%s", row->learner);
        json_decref(params);
    }
}

static void auto_keeps_the_best_within_its_time(void)
{
    static plane p;
    maas_err err;
    maas_train_result r = {0};
    plane_init(&p, 9);
    EXPECT_MSG(
        toy_train(&p.t, "auto", "kind",
                  "{'time_budget':30,'cv':3,'learners':['logistic_regression','decision_tree']}",
                  &r, &err) == MAAS_OK,
        "%s", err.msg);
    const json_t *trials = json_object_get(r.report, "trials"), *best = json_array_get(trials, 0);
    EXPECT_EQ(json_array_size(trials), 4);
    EXPECT(json_number_value(json_object_get(best, "mean_test_score")) > 0.85);
    EXPECT(json_integer_value(json_object_get(best, "model_bytes")) > 0);
    EXPECT_STR(json_string_value(json_object_get(best, "learner")),
               json_string_value(json_object_get(r.report, "best_learner")));
    EXPECT(r.onnx.n > 0);
    maas_train_result_reset(&r);
    EXPECT_EQ(toy_train(&p.t, "auto", "kind", "{'learners':['ridge']}", &r, &err), MAAS_E_INVALID);
    EXPECT_MSG(strstr(err.msg, "none of"), "%s", err.msg);
    EXPECT_EQ(toy_train(&p.t, "auto", "kind", "{'learners':['auto']}", &r, &err), MAAS_E_INVALID);
    EXPECT_EQ(toy_train(&p.t, "auto", "kind", "{'scoring':'best'}", &r, &err), MAAS_E_INVALID);
    maas_train_result_reset(&r);
    EXPECT_EQ(maas_mem_live(), 0);
}

static const mt_case cases[] = {
    MT_CASE(every_candidate_of_auto_is_one_its_learner_takes),
    MT_CASE(auto_keeps_the_best_within_its_time),
    MT_CASE(the_generator_is_numpys),
    MT_CASE(folds_are_scikit_learns),
    MT_CASE(wrong_folds_are_refused_by_name),
    MT_CASE(a_grid_has_scikit_learns_order),
    MT_CASE(draws_stay_in_their_range_and_repeat),
    MT_CASE(a_wrong_search_is_refused_at_the_door),
    MT_CASE(the_best_of_a_grid_is_found_whatever_the_threads),
    MT_CASE(a_resumed_search_repeats_no_fit),
    MT_CASE(halving_ends_with_all_rows),
    MT_CASE(a_cancelled_search_stops_and_a_hopeless_one_says_why),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
