/* Whoever only asks a model takes its graph instead of the file (want_graph): it is what the file
 * would have held, and lives longer than the learner. */
#include "../../maas_test.h"

#include "toy.h"

#include "learn/apply.h"

enum { N = 200 };

typedef struct table {
    toy t;
    float a[N], b[N], number[N];
    int64_t kind[N];
    const char *word[N], *text[N];
    char bytes[2][16 * N];
} table;

static const char *const colours[] = {"red", "green", "blue", NULL};

static void make(table *s)
{
    maas_rng rng;
    maas_rng_seed(&rng, 11);
    toy_init(&s->t, N);
    for (int i = 0; i < N; i++) {
        s->a[i] = i % 9 == 4 ? NAN : maas_rng_normal(&rng);
        s->b[i] = maas_rng_normal(&rng);
        s->word[i] = colours[i % 4];
        s->number[i] = s->b[i] * 2 + (i % 4 == 1) + 0.1f * maas_rng_normal(&rng);
        s->kind[i] = s->number[i] > 0 ? 7 : 3;
        s->text[i] = s->b[i] > 0 ? "above" : s->number[i] > 0 ? "about" : "below";
    }
    toy_add(&s->t, "a", MAAS_F32, s->a);
    toy_add(&s->t, "b", MAAS_F32, s->b);
    toy_add_text(&s->t, "word", s->word, s->bytes[0]);
    toy_add(&s->t, "kind", MAAS_I64, s->kind);
    toy_add_text(&s->t, "text", s->text, s->bytes[1]);
    toy_add(&s->t, "number", MAAS_F32, s->number);
}

static const struct row {
    const char *learner, *target, *params;
} rows[] = {
    {"random_forest", "kind", "{'n_estimators':7,'seed':3}"},
    {"random_forest", "text", "{'n_estimators':5,'seed':3}"},
    {"random_forest", "number", "{'n_estimators':5,'seed':3}"},
    {"extra_trees", "kind", "{'n_estimators':5,'seed':3}"},
    {"decision_tree", "text", "{}"},
    {"isolation_forest", NULL, "{'n_estimators':5,'seed':3}"},
    {"gradient_boosting", "kind", "{'n_estimators':5}"},
    {"gradient_boosting", "number", "{'n_estimators':5}"},
    {"ridge", "number", "{}"},
    {"lasso", "number", "{}"},
    {"knn", "text", "{}"},
    {"naive_bayes", "kind", "{}"},
    {"svm", "kind", "{}"},
    {"kmeans", NULL, "{'n_clusters':3,'seed':3}"},
    {"pca", NULL, "{'n_components':2}"},
};

static void train(const table *s, const struct row *r, bool want_graph, maas_train_result *out)
{
    maas_err err = {0};
    json_t *params = toy_params(r->params);
    const maas_train_job job = {.learner = r->learner,
                                .params = params,
                                .data = &s->t.d,
                                .target = r->target,
                                .n_threads = 2,
                                .want_graph = want_graph};
    const maas_status st = maas_train(&job, out, &err);
    EXPECT_MSG(st == MAAS_OK, "%s for %s: %s", r->learner, r->target ? r->target : "none", err.msg);
    json_decref(params);
}

static void same_answers(const table *s, const struct row *r, const maas_graph *kept,
                         const maas_buf *file)
{
    maas_graph *read = NULL;
    maas_applied a = {0}, b = {0};
    maas_err err = {0};
    REQUIRE_OK(maas_onnx_read(maas_buf_span(file), NULL, &read, &err), err);
    REQUIRE_OK(maas_apply(kept, &s->t.d, r->target, 1, NULL, &a, &err), err);
    REQUIRE_OK(maas_apply(read, &s->t.d, r->target, 1, NULL, &b, &err), err);
    EXPECT_EQ(a.n_out, b.n_out);
    for (uint32_t i = 0; i < a.n_out && i < b.n_out; i++) {
        const maas_tensor *x = &a.out[i], *y = &b.out[i];
        const int64_t n = maas_n_elems(x);
        EXPECT_MSG(x->dtype == y->dtype && n == maas_n_elems(y), "%s, output %u", r->learner, i);
        if (x->dtype == MAAS_STRING)
            for (int64_t k = 0; k < n; k++) {
                const maas_str *p = (const maas_str *)x->data + k, *q = (maas_str *)y->data + k;
                EXPECT(p->n == q->n && memcmp(p->p, q->p, p->n) == 0);
            }
        else
            EXPECT_MSG(memcmp(x->data, y->data, (size_t)n * maas_dtype_size(x->dtype)) == 0,
                       "%s, output %u", r->learner, i);
    }
    maas_applied_reset(&a);
    maas_applied_reset(&b);
    maas_graph_destroy(read);
}

static void the_graph_is_what_the_file_holds(void)
{
    static table s;
    int n_kept = 0;
    make(&s);
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        maas_train_result file = {0}, kept = {0};
        train(&s, &rows[i], false, &file);
        train(&s, &rows[i], true, &kept);
        EXPECT(file.graph == NULL && file.onnx.n > 0);
        EXPECT_MSG(kept.graph && kept.onnx.n == 0, "%s keeps no graph", rows[i].learner);
        EXPECT(json_equal(file.metrics, kept.metrics));
        if (kept.graph && file.onnx.n) {
            maas_buf written = MAAS_BUF_INIT(16 << 20);
            EXPECT_EQ(maas_onnx_write(kept.graph, NULL, NULL, &written, NULL), MAAS_OK);
            EXPECT_EQ(kept.graph_bytes, file.onnx.n);
            EXPECT_MSG(written.n == file.onnx.n && memcmp(written.p, file.onnx.p, written.n) == 0,
                       "%s for %s", rows[i].learner, rows[i].target ? rows[i].target : "none");
            same_answers(&s, &rows[i], kept.graph, &file.onnx);
            maas_buf_reset(&written);
            n_kept++;
        }
        maas_train_result_reset(&file);
        maas_train_result_reset(&kept);
    }
    EXPECT_EQ(n_kept, MAAS_COUNT(rows));
    EXPECT_EQ(maas_mem_live(), 0);
}

/* Its memory is the budget's until the graph goes. */
static void a_kept_graph_is_charged(void)
{
    static table s;
    maas_budget budget = {.limit = (size_t)64 << 20};
    maas_train_result r = {0};
    maas_err err = {0};
    make(&s);
    json_t *params = toy_params(rows[0].params);
    const maas_train_job job = {.learner = rows[0].learner,
                                .params = params,
                                .data = &s.t.d,
                                .target = rows[0].target,
                                .n_threads = 1,
                                .budget = &budget,
                                .want_graph = true};
    REQUIRE_OK(maas_train(&job, &r, &err), err);
    EXPECT(budget.used > 0);
    maas_train_result_reset(&r);
    EXPECT_EQ(budget.used, 0);
    for (budget.limit = 1 << 10;; budget.limit += budget.limit / 5) {
        const maas_status st = maas_train(&job, &r, NULL);
        if (st == MAAS_OK)
            break;
        EXPECT(!r.graph && budget.used == 0);
        if (budget.limit > (size_t)64 << 20)
            break;
    }
    EXPECT(r.graph != NULL);
    maas_train_result_reset(&r);
    EXPECT_EQ(budget.used, 0);
    json_decref(params);
}

static const mt_case cases[] = {
    MT_CASE(the_graph_is_what_the_file_holds),
    MT_CASE(a_kept_graph_is_charged),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
