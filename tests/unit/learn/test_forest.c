/*
 * tests/unit/learn/test_forest.c - trees against brute force: in every node of the served model all
 * cuts of all columns are tried, and none may be better than the one that was made.
 */
#include "../../maas_test.h"

#include "toy.h"

#include "ops/forest.h"

enum { MAX_ROWS = 900, MAX_D = 4, MAX_K = 4 };

typedef struct problem {
    int n, d, k; /* k 0: numbers */
    float x[MAX_D][MAX_ROWS];
    int64_t label[MAX_ROWS];
    double y[MAX_ROWS];
    float weight[MAX_ROWS];
    bool weighted;
    toy t;
} problem;

static problem p; /* large: not on the stack */

typedef enum shape { CONTINUOUS, WHOLE, WITH_GAPS } shape;

static void make(int n, int d, int k, shape how, bool weighted, uint64_t seed)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    maas_rng rng;
    maas_rng_seed(&rng, seed);
    memset(&p, 0, sizeof p);
    p.n = n;
    p.d = d;
    p.k = k;
    p.weighted = weighted;
    toy_init(&p.t, n);
    for (int c = 0; c < d; c++) {
        for (int i = 0; i < n; i++) {
            p.x[c][i] = maas_rng_normal(&rng);
            if (how == WHOLE)
                p.x[c][i] = roundf(p.x[c][i] * 3);
            if (how == WITH_GAPS && maas_rng_below(&rng, 5) == 0)
                p.x[c][i] = NAN;
        }
        toy_add(&p.t, names[c], MAAS_F32, p.x[c]);
    }
    for (int i = 0; i < n; i++) {
        const double a = isnan(p.x[0][i]) ? 1.5 : p.x[0][i], b = isnan(p.x[1][i]) ? 0 : p.x[1][i];
        p.y[i] = a * b + 0.3 * maas_rng_normal(&rng);
        p.label[i] = k ? 10 + ((int64_t)(fabs(p.y[i]) * 2) + (a > 0)) % k : 0;
        p.weight[i] = (float)(weighted ? 1 + maas_rng_below(&rng, 4) : 1);
    }
    if (weighted)
        toy_add(&p.t, "w", MAAS_F32, p.weight);
    if (k)
        toy_add(&p.t, "target", MAAS_I64, p.label);
    else
        toy_add(&p.t, "target", MAAS_F64, p.y);
}

/* ---- the tree of a model file ---- */

static maas_graph *graph;
static maas_forest *forest_of(const maas_train_result *r)
{
    maas_onnx_opts o = {0};
    maas_err err = {0};
    maas_forest *f = NULL;
    graph = NULL;
    EXPECT_EQ(maas_onnx_read(maas_buf_span(&r->onnx), &o, &graph, &err), MAAS_OK);
    for (uint32_t i = 0; graph && i < graph->n_nodes; i++)
        if (strncmp(graph->nodes[i].op->name, "TreeEnsemble", 12) == 0)
            EXPECT_MSG(maas_forest_of_node(&graph->nodes[i], p.d, NULL, &f, &err) == MAAS_OK, "%s",
                       err.msg);
    return f;
}

static void drop_forest(maas_forest *f)
{
    maas_forest_destroy(f);
    maas_graph_destroy(graph);
}

static bool goes_yes(const maas_tree_node *n, int row)
{
    const float v = p.x[n->feature][row];
    return isnan(v) ? n->missing_yes : (double)v <= n->split;
}

/* ---- brute force ---- */

typedef struct side {
    double w, s[MAX_K], y, y2;
    int n;
} side;

static void put(side *s, int row)
{
    const double w = p.weight[row];
    s->w += w;
    s->n++;
    if (p.k)
        s->s[p.label[row] - 10] += w;
    s->y += w * p.y[row];
    s->y2 += w * p.y[row] * p.y[row];
}

/* Weight times impurity. */
static double impurity(const side *s, bool entropy)
{
    if (s->w == 0)
        return 0;
    if (!p.k)
        return s->y2 - s->y * s->y / s->w;
    double sum = entropy ? 0 : s->w;
    for (int k = 0; k < p.k; k++)
        sum -= entropy ? (s->s[k] > 0 ? s->s[k] * log2(s->s[k] / s->w) : 0)
                       : s->s[k] * s->s[k] / s->w;
    return sum;
}

static double after(const int *rows, int n, int c, double split, bool gaps_yes, bool entropy,
                    int min_leaf)
{
    side a = {0}, b = {0};
    for (int i = 0; i < n; i++) {
        const float v = p.x[c][rows[i]];
        put((isnan(v) ? gaps_yes : (double)v <= split) ? &a : &b, rows[i]);
    }
    return a.n < min_leaf || b.n < min_leaf ? INFINITY
                                            : impurity(&a, entropy) + impurity(&b, entropy);
}

static double best_after(const int *rows, int n, bool entropy, int min_leaf)
{
    double best = INFINITY;
    for (int c = 0; c < p.d; c++)
        for (int i = 0; i < n; i++)
            for (int gaps = 0; gaps < 2; gaps++) {
                const float v = p.x[c][rows[i]];
                const double a = after(rows, n, c, isnan(v) ? 1e30 : v, gaps, entropy, min_leaf);
                best = a < best ? a : best;
            }
    return best;
}

/* Thresholds lie in the middle of two neighbouring values of the data that come here. */
static void check_middle(const maas_tree_node *n, const int *rows, int n_rows)
{
    float below = -INFINITY, above = INFINITY;
    for (int i = 0; i < n_rows; i++) {
        const float v = p.x[n->feature][rows[i]];
        if (isnan(v))
            continue;
        if ((double)v <= n->split)
            below = v > below ? v : below;
        else
            above = v < above ? v : above;
    }
    if (isfinite(above)) /* else: numbers against gaps */
        EXPECT_NEAR(n->split, (double)below / 2 + (double)above / 2, 1e-6 * (1 + fabs(n->split)));
}

static void check_leaf(const maas_forest *f, const maas_tree_node *n, const int *rows, int n_rows)
{
    side s = {0};
    for (int i = 0; i < n_rows; i++)
        put(&s, rows[i]);
    EXPECT_NEAR(n->cover, s.w, 1e-3);
    double got[MAX_K] = {0};
    for (uint32_t i = 0; i < n->count; i++)
        got[f->weights[n->first + i].target] += f->weights[n->first + i].weight;
    for (int k = 0; k < p.k; k++)
        EXPECT_NEAR(got[k], s.s[k] / s.w, 1e-6);
    if (!p.k)
        EXPECT_NEAR(got[0], s.y / s.w, 1e-5 * (1 + fabs(s.y / s.w)));
}

/* Every node: with the rows that come to it, is there a better cut? */
static void check_tree(const maas_forest *f, bool entropy, int min_leaf)
{
    static int rows[MAX_ROWS];
    for (uint32_t i = 0; i < f->n_nodes; i++) {
        const maas_tree_node *n = &f->nodes[i];
        int n_rows = 0;
        for (int r = 0; r < p.n; r++) {
            int32_t at = f->roots[0];
            while (at != (int32_t)i && f->nodes[at].mode != MAAS_SPLIT_LEAF)
                at = goes_yes(&f->nodes[at], r) ? f->nodes[at].yes : f->nodes[at].no;
            if (at == (int32_t)i)
                rows[n_rows++] = r;
        }
        EXPECT(n_rows > 0);
        side s = {0};
        for (int r = 0; r < n_rows; r++)
            put(&s, rows[r]);
        const double best = n_rows > 1 ? best_after(rows, n_rows, entropy, min_leaf) : INFINITY;
        if (n->mode == MAAS_SPLIT_LEAF) {
            check_leaf(f, n, rows, n_rows);
            EXPECT_MSG(best == INFINITY || impurity(&s, entropy) < 1e-9, "node %u could be cut", i);
            continue;
        }
        const double ours = after(rows, n_rows, n->feature, n->split, n->missing_yes, entropy,
                                  min_leaf);
        EXPECT_MSG(ours <= best + 1e-6 * (1 + fabs(best)),
                   "node %u of %d rows: the cut leaves %.9g, the best %.9g", i, n_rows, ours, best);
        check_middle(n, rows, n_rows);
    }
}

static void every_cut_is_the_best(void)
{
    static const struct {
        int n, d, k;
        shape how;
        bool weighted;
        const char *params;
        bool entropy;
        int min_leaf;
    } cases[] = {
        {200, 3, 3, CONTINUOUS, false, "{}", false, 1},
        {200, 3, 3, WHOLE, false, "{}", false, 1},
        {150, 3, 2, WITH_GAPS, false, "{}", false, 1},
        {200, 3, 3, CONTINUOUS, true, "{'sample_weight':'w'}", false, 1},
        {200, 3, 3, WHOLE, true, "{'sample_weight':'w','criterion':'entropy'}", true, 1},
        {150, 2, 4, WITH_GAPS, false, "{'criterion':'log_loss','min_samples_leaf':5}", true, 5},
        {200, 3, 0, CONTINUOUS, false, "{}", false, 1},
        {200, 2, 0, WHOLE, true, "{'sample_weight':'w','min_samples_leaf':3}", false, 3},
        {150, 3, 0, WITH_GAPS, false, "{'criterion':'squared_error'}", false, 1},
        {400, 2, 2, WHOLE, false, "{'min_samples_leaf':0.02}", false, 8},
    };
    for (size_t i = 0; i < MAAS_COUNT(cases); i++) {
        make(cases[i].n, cases[i].d, cases[i].k, cases[i].how, cases[i].weighted, 100 + i);
        maas_train_result r = {0};
        maas_err err;
        REQUIRE_OK(toy_train(&p.t, "decision_tree", "target", cases[i].params, &r, &err), err);
        maas_forest *f = forest_of(&r);
        EXPECT(f && f->n_trees == 1 && f->n_nodes > 3);
        if (f)
            check_tree(f, cases[i].entropy, cases[i].min_leaf);
        drop_forest(f);
        maas_train_result_reset(&r);
    }
}

/* A weight of 3 is the row three times. */
static void weights_are_repetitions(void)
{
    make(80, 3, 3, CONTINUOUS, true, 7);
    maas_train_result weighted = {0}, repeated = {0};
    maas_err err;
    REQUIRE_OK(toy_train(&p.t, "decision_tree", "target", "{'sample_weight':'w'}", &weighted, &err),
               err);
    static problem q;
    q = p;
    toy_init(&q.t, 0);
    int n = 0;
    for (int i = 0; i < p.n; i++)
        for (int j = 0; j < (int)p.weight[i]; j++, n++) {
            for (int c = 0; c < p.d; c++)
                q.x[c][n] = p.x[c][i];
            q.label[n] = p.label[i];
        }
    q.t.d.n_rows = n;
    toy_add(&q.t, "a", MAAS_F32, q.x[0]);
    toy_add(&q.t, "b", MAAS_F32, q.x[1]);
    toy_add(&q.t, "c", MAAS_F32, q.x[2]);
    toy_add(&q.t, "target", MAAS_I64, q.label);
    REQUIRE_OK(toy_train(&q.t, "decision_tree", "target", "{}", &repeated, &err), err);
    maas_forest *f = forest_of(&weighted);
    maas_graph *first = graph;
    maas_forest *h = forest_of(&repeated);
    REQUIRE_OK(f && h ? MAAS_OK : MAAS_E_FORMAT, err);
    for (int i = 0; i < p.n; i++) {
        double x[MAX_D], a[MAX_K], b[MAX_K];
        for (int c = 0; c < p.d; c++)
            x[c] = p.x[c][i];
        maas_forest_row(f, x, a);
        maas_forest_row(h, x, b);
        for (int k = 0; k < p.k; k++)
            EXPECT_NEAR(a[k], b[k], 1e-6);
    }
    maas_forest_destroy(f);
    maas_graph_destroy(first);
    drop_forest(h);
    maas_train_result_reset(&weighted);
    maas_train_result_reset(&repeated);
}

static long fail_at; /* the allocation of maas_train that fails; 0: none */

static maas_status train_on(const char *learner, const char *params, int threads,
                            const maas_train_hooks *hooks, maas_budget *budget,
                            maas_train_result *out, maas_err *err)
{
    json_t *j = toy_params(params);
    const maas_train_job job = {.learner = learner,
                                .params = j,
                                .data = &p.t.d,
                                .target = "target",
                                .n_threads = threads,
                                .hooks = hooks,
                                .budget = budget};
    *err = (maas_err){0};
    maas_mem_fail_at(fail_at);
    const maas_status st = maas_train(&job, out, err);
    maas_mem_fail_at(0);
    json_decref(j);
    return st;
}

static void threads_change_nothing(void)
{
    static const struct {
        const char *learner, *params;
        int k;
    } cases[] = {
        {"random_forest", "{'n_estimators':13,'oob_score':true,'validation':0.2,'seed':3}", 3},
        {"random_forest", "{'n_estimators':9,'max_leaf_nodes':20,'max_samples':0.5}", 0},
        {"extra_trees", "{'n_estimators':9,'class_weight':'balanced'}", 4},
        {"random_forest", "{'n_estimators':9,'class_weight':'balanced_subsample'}", 3},
    };
    for (size_t i = 0; i < MAAS_COUNT(cases); i++) {
        make(500, 4, cases[i].k, WITH_GAPS, false, 40 + i);
        maas_train_result one = {0}, many = {0};
        maas_err err;
        REQUIRE_OK(train_on(cases[i].learner, cases[i].params, 1, NULL, NULL, &one, &err), err);
        REQUIRE_OK(train_on(cases[i].learner, cases[i].params, 3, NULL, NULL, &many, &err), err);
        EXPECT_EQ(one.onnx.n, many.onnx.n);
        EXPECT(one.onnx.n == many.onnx.n && memcmp(one.onnx.p, many.onnx.p, one.onnx.n) == 0);
        EXPECT(json_equal(one.metrics, many.metrics));
        maas_train_result_reset(&one);
        maas_train_result_reset(&many);
    }
}

static void forests_predict(void)
{
    static const char *const learners[] = {"random_forest", "extra_trees"};
    for (int k = 0; k <= 3; k += 3)
        for (size_t l = 0; l < MAAS_COUNT(learners); l++) {
            make(900, 4, k, CONTINUOUS, false, 60);
            maas_train_result r = {0};
            maas_err err;
            REQUIRE_OK(train_on(learners[l],
                                "{'n_estimators':60,'validation':0.3,'bootstrap':true,"
                                "'oob_score':true}",
                                2, NULL, NULL, &r, &err),
                       err);
            const double val = toy_metric(&r, k ? "val_accuracy" : "val_r2"),
                         oob = toy_metric(&r, "oob_score");
            EXPECT_MSG(val > (k ? 0.55 : 0.75), "%s %d: %g", learners[l], k, val);
            EXPECT_MSG(fabs(val - oob) < 0.12, "%s %d: out of bag %g, validation %g", learners[l],
                       k, oob, val);
            const json_t *of = json_object_get(json_object_get(r.metrics, "importances"),
                                               "impurity");
            const char *key;
            json_t *v;
            double sum = 0;
            json_object_foreach((json_t *)of, key, v) sum += json_number_value(v);
            EXPECT_NEAR(sum, 1, 1e-9);
            /* Columns c and d say nothing. */
            EXPECT(json_number_value(json_object_get(of, "a")) >
                   1.15 * json_number_value(json_object_get(of, "c")));
            EXPECT(json_number_value(json_object_get(of, "b")) >
                   1.15 * json_number_value(json_object_get(of, "d")));
            maas_train_result_reset(&r);
        }
}

static void limits_hold(void)
{
    make(600, 3, 3, CONTINUOUS, false, 9);
    maas_train_result r = {0};
    maas_err err;
    REQUIRE_OK(toy_train(&p.t, "decision_tree", "target", "{'max_leaf_nodes':9}", &r, &err), err);
    maas_forest *f = forest_of(&r);
    EXPECT_EQ(f ? f->n_nodes : 0, 17);
    drop_forest(f);
    maas_train_result_reset(&r);
    REQUIRE_OK(toy_train(&p.t, "decision_tree", "target", "{'max_depth':2}", &r, &err), err);
    f = forest_of(&r);
    EXPECT_EQ(f ? f->n_nodes : 0, 7);
    drop_forest(f);
    maas_train_result_reset(&r);
    REQUIRE_OK(toy_train(&p.t, "decision_tree", "target", "{'min_impurity_decrease':9}", &r, &err),
               err);
    f = forest_of(&r);
    EXPECT_EQ(f ? f->n_nodes : 0, 1);
    drop_forest(f);
    maas_train_result_reset(&r);
}

static void what_cannot_be_is_refused(void)
{
    static const struct {
        const char *learner, *params, *word;
    } cases[] = {
        {"random_forest", "{'max_features':'cube'}", "max_features"},
        {"random_forest", "{'max_features':1.5}", "max_features"},
        {"random_forest", "{'bootstrap':false,'oob_score':true}", "oob_score"},
        {"random_forest", "{'bootstrap':false,'max_samples':5}", "max_samples"},
        {"random_forest", "{'criterion':'squared_error'}", "criterion"},
        {"random_forest", "{'sample_weight':3}", "sample_weight"},
        {"random_forest", "{'sample_weight':'nothing'}", "nothing"},
        {"random_forest", "{'class_weight':{'99':2}}", "99"},
        {"random_forest", "{'class_weight':'even'}", "class_weight"},
        {"decision_tree", "{'n_estimators':3}", "n_estimators"},
    };
    make(60, 3, 3, CONTINUOUS, false, 10);
    for (size_t i = 0; i < MAAS_COUNT(cases); i++) {
        maas_train_result r = {0};
        maas_err err;
        EXPECT_MSG(toy_train(&p.t, cases[i].learner, "target", cases[i].params, &r, &err) ==
                       MAAS_E_INVALID,
                   "%s", cases[i].params);
        EXPECT_MSG(strstr(err.msg, cases[i].word) != NULL, "%s: %s", cases[i].params, err.msg);
    }
}

/* A cloud and four rows far from it, which are the four with the lowest scores. */
static void outliers_stand_apart(void)
{
    enum { N = 400, FAR = 4 };
    static const char *const params[] = {"{}", "{'contamination':0.01,'max_samples':0.5}",
                                         "{'bootstrap':true,'max_samples':100}"};
    make(N, 3, 2, CONTINUOUS, false, 77);
    for (int i = 0; i < FAR; i++)
        p.x[i % 3][i * 100] = i % 2 ? 40 : -60;
    for (size_t c = 0; c < MAAS_COUNT(params); c++) {
        maas_train_result r = {0};
        maas_err err;
        toy_model m;
        REQUIRE_OK(train_on("isolation_forest", params[c], 2, NULL, NULL, &r, &err), err);
        REQUIRE_OK(toy_model_open(&m, &r.onnx, N, &err), err);
        EXPECT_EQ(m.g->n_inputs, 1); /* the named target is no input */
        float *x = maas_exec_input(m.exec, 0)->data;
        for (int i = 0; i < N * 3; i++)
            x[i] = p.x[i % 3][i / 3];
        REQUIRE_OK(maas_exec_run(m.exec, &err), err);
        const float *scores = toy_output(&m, "scores")->data;
        const int64_t *label = toy_output(&m, "label")->data;
        float worst_far = -1, best_near = 1;
        int n_out = 0;
        for (int i = 0; i < N; i++) {
            EXPECT_EQ(label[i], scores[i] < 0 ? -1 : 1);
            n_out += label[i] < 0;
            if (i % 100 == 0)
                worst_far = fmaxf(worst_far, scores[i]);
            else
                best_near = fminf(best_near, scores[i]);
        }
        EXPECT_MSG(c == 2 || worst_far < best_near, "%s: %g, %g", params[c], worst_far, best_near);
        EXPECT(c != 1 || n_out == FAR);
        toy_model_close(&m);
        maas_train_result_reset(&r);
    }
}

static bool stop_at_once(void *user)
{
    return true;
}

static void a_job_can_be_cancelled(void)
{
    make(600, 3, 3, CONTINUOUS, false, 9);
    const maas_train_hooks hooks = {.cancelled = stop_at_once};
    maas_train_result r = {0};
    maas_err err;
    EXPECT_EQ(train_on("random_forest", "{'n_estimators':1000}", 2, &hooks, NULL, &r, &err),
              MAAS_E_CANCELLED);
    EXPECT(r.onnx.p == NULL && r.metrics == NULL);
}

static void memory_runs_out_cleanly(void)
{
    make(60, 3, 3, WITH_GAPS, false, 11);
    maas_train_result r = {0};
    maas_err err;
    const char *params = "{'n_estimators':3,'oob_score':true,'max_leaf_nodes':5}";
    const long before = maas_mem_live();
    for (long n = 1; n < 5000; n += n < 300 ? 1 : 7) {
        fail_at = n;
        const maas_status st = train_on("random_forest", params, 1, NULL, NULL, &r, &err);
        if (st == MAAS_OK) {
            maas_train_result_reset(&r);
            EXPECT_EQ(maas_mem_live(), before);
            break;
        }
        EXPECT_MSG(maas_mem_live() == before, "allocation %ld: %ld left over", n,
                   maas_mem_live() - before);
    }
    fail_at = 0;
    maas_budget small = {.limit = 100000};
    EXPECT_EQ(train_on("random_forest", params, 1, NULL, &small, &r, &err), MAAS_E_NOMEM);
    EXPECT_EQ(small.used, 0);
    maas_budget large = {.limit = 1 << 28};
    REQUIRE_OK(train_on("random_forest", params, 2, NULL, &large, &r, &err), err);
    EXPECT_EQ(large.used, 0);
    maas_train_result_reset(&r);
}

static const mt_case cases[] = {
    MT_CASE(every_cut_is_the_best),
    MT_CASE(weights_are_repetitions),
    MT_CASE(threads_change_nothing),
    MT_CASE(forests_predict),
    MT_CASE(limits_hold),
    MT_CASE(what_cannot_be_is_refused),
    MT_CASE(outliers_stand_apart),
    MT_CASE(a_job_can_be_cancelled),
    MT_CASE(memory_runs_out_cleanly),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
