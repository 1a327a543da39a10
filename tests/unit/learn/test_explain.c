/* tests/unit/learn/test_explain.c - Shapley values against their definition, and what must hold for
 * every method: base and values add up to the answer, features that do nothing get nothing, the
 * same seed gives the same values. */
#include "../../maas_test.h"

#include "learn/explain/explain.h"
#include "ops/build.h"
#include "toy.h"

enum { N = 5, K = 2, ROWS = 4, BACK = 6 };

typedef struct fixture {
    maas_graph *g;
    float x[ROWS * N], back[BACK * N];
    maas_tensor in, background;
} fixture;

/* value = x W, or tanh of it; the last feature has no weight. */
static void fixture_init(fixture *f, bool curved)
{
    maas_builder b;
    maas_err err = {0};
    maas_rng rng;
    float w[N * K];
    int64_t dims[2] = {0, N}, w_dims[2] = {N, K};
    maas_rng_seed(&rng, 3);
    for (int i = 0; i < N * K; i++)
        w[i] = i / K == N - 1 ? 0 : maas_rng_normal(&rng);
    for (int i = 0; i < ROWS * N; i++)
        f->x[i] = maas_rng_normal(&rng);
    for (int i = 0; i < BACK * N; i++)
        f->back[i] = maas_rng_normal(&rng);
    EXPECT_EQ(maas_graph_create("f", NULL, &f->g, &err), MAAS_OK);
    EXPECT_EQ(maas_graph_symbol(f->g, "n", &dims[0], &err), MAAS_OK);
    maas_builder_init(&b, f->g, &err);
    maas_tensor wt = maas_tensor_of(MAAS_F32, 2, w_dims, w);
    maas_vid x = maas_b_input(&b, "x", MAAS_F32, 2, dims);
    maas_vid z = maas_b_op2(&b, "MatMul", x, maas_b_const(&b, NULL, &wt));
    maas_b_output(&b, "value", maas_b_op1(&b, curved ? "Tanh" : "Neg", z));
    EXPECT_MSG(b.status == MAAS_OK, "%s", err.msg);
    f->in = maas_tensor_of(MAAS_F32, 2, (int64_t[]){ROWS, N}, f->x);
    f->background = maas_tensor_of(MAAS_F32, 2, (int64_t[]){BACK, N}, f->back);
}

typedef struct result {
    double phi[ROWS * N * K], answer[ROWS * K], base[K];
    const char *method;
} result;

static maas_status explain(const fixture *f, const char *method, uint64_t seed, maas_budget *budget,
                           result *r, maas_err *err)
{
    maas_explainer *x = NULL;
    const maas_explain_opts o = {.method = method,
                                 .background = &f->background,
                                 .background_rows = BACK,
                                 .seed = seed,
                                 .n_threads = 1,
                                 .budget = budget};
    const maas_explanation out = {r->phi, r->answer, r->base};
    *err = (maas_err){0};
    MAAS_TRY(maas_explainer_create(f->g, &o, &x, err));
    EXPECT_EQ(maas_explainer_n_features(x), N);
    EXPECT_EQ(maas_explainer_n_outputs(x), K);
    EXPECT_STR(maas_explainer_feature(x, 2), "x[2]");
    maas_status st = maas_explain(x, &f->in, ROWS, &out, NULL, NULL, err);
    r->method = maas_explainer_method(x);
    maas_explainer_destroy(x);
    return st;
}

static void check_sums(const result *r)
{
    for (int row = 0; row < ROWS; row++)
        for (int o = 0; o < K; o++) {
            double sum = r->base[o];
            for (int i = 0; i < N; i++)
                sum += r->phi[(row * N + i) * K + o];
            EXPECT_NEAR(sum, r->answer[row * K + o], 1e-9);
            EXPECT_NEAR(r->phi[(row * N + N - 1) * K + o], 0,
                        1e-9); /* the feature without weight */
        }
}

/* The definition: over all orders of the features, what each adds when it comes in. f from the
 * graph itself. */
static double value_of(const fixture *f, uint32_t set, int row, int o)
{
    toy_model m = {0};
    float mixed[BACK * N];
    double sum = 0;
    maas_err err = {0};
    maas_type t = maas_type_of(&f->background);
    maas_plan_opts po = MAAS_PLAN_OPTS_INIT;
    po.n_threads = 1;
    po.reference = true;
    for (int b = 0; b < BACK; b++)
        for (int i = 0; i < N; i++)
            mixed[b * N + i] = set >> i & 1 ? f->x[row * N + i] : f->back[b * N + i];
    EXPECT_EQ(maas_plan_create(f->g, &t, &po, &m.plan, &err), MAAS_OK);
    EXPECT_EQ(maas_exec_create(m.plan, NULL, &m.exec, &err), MAAS_OK);
    memcpy(maas_exec_input(m.exec, 0)->data, mixed, sizeof mixed);
    EXPECT_EQ(maas_exec_run(m.exec, &err), MAAS_OK);
    for (int b = 0; b < BACK; b++)
        sum += ((const float *)maas_exec_output(m.exec, 0)->data)[b * K + o];
    maas_exec_destroy(m.exec);
    maas_plan_destroy(m.plan);
    return sum / BACK;
}

static double by_definition(const fixture *f, int row, int feature, int o)
{
    double v[1 << N], sum = 0, n_orders = 0;
    for (uint32_t set = 0; set < 1u << N; set++)
        v[set] = value_of(f, set, row, o);
    int order[N];
    for (int code = 0; code < 120; code++) { /* every order of five */
        bool used[N] = {false};
        int left = code;
        for (int k = 0; k < N; k++) {
            int pick = left % (N - k);
            left /= N - k;
            for (int i = 0;; i++)
                if (!used[i] && pick-- == 0) {
                    used[order[k] = i] = true;
                    break;
                }
        }
        uint32_t set = 0;
        for (int k = 0; k < N && order[k] != feature; k++)
            set |= 1u << order[k];
        sum += v[set | 1u << feature] - v[set];
        n_orders++;
    }
    return sum / n_orders;
}

static void exact_values_are_the_definition(void)
{
    fixture f;
    result r = {0};
    maas_err err;
    fixture_init(&f, true);
    EXPECT_MSG(explain(&f, NULL, 0, NULL, &r, &err) == MAAS_OK, "%s", err.msg);
    EXPECT_STR(r.method, "exact"); /* auto: neither trees nor a straight line */
    check_sums(&r);
    for (int i = 0; i < N; i++)
        EXPECT_NEAR(r.phi[(1 * N + i) * K + 1], by_definition(&f, 1, i, 1), 1e-6);
    maas_graph_destroy(f.g);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void all_methods_agree_on_a_straight_line(void)
{
    fixture f;
    result linear = {0}, exact = {0}, sampled = {0};
    maas_err err;
    fixture_init(&f, false);
    EXPECT_EQ(explain(&f, "auto", 0, NULL, &linear, &err), MAAS_OK);
    EXPECT_STR(linear.method, "linear");
    EXPECT_EQ(explain(&f, "exact", 0, NULL, &exact, &err), MAAS_OK);
    EXPECT_EQ(explain(&f, "sampling", 9, NULL, &sampled, &err), MAAS_OK);
    check_sums(&linear);
    check_sums(&exact);
    check_sums(&sampled);
    for (int i = 0; i < ROWS * N * K; i++) {
        EXPECT_NEAR(linear.phi[i], exact.phi[i], 1e-5);
        EXPECT_NEAR(linear.phi[i], sampled.phi[i],
                    1e-5); /* without interplay every order says the same */
    }
    maas_graph_destroy(f.g);
}

static void sampling_repeats_with_its_seed(void)
{
    fixture f;
    result a = {0}, b = {0}, c = {0};
    maas_err err;
    fixture_init(&f, true);
    EXPECT_EQ(explain(&f, "sampling", 1, NULL, &a, &err), MAAS_OK);
    EXPECT_EQ(explain(&f, "sampling", 1, NULL, &b, &err), MAAS_OK);
    EXPECT_EQ(explain(&f, "sampling", 2, NULL, &c, &err), MAAS_OK);
    check_sums(&a);
    EXPECT(memcmp(a.phi, b.phi, sizeof a.phi) == 0);
    EXPECT(memcmp(a.phi, c.phi, sizeof a.phi) != 0);
    maas_graph_destroy(f.g);
}

static void what_cannot_be_done_is_said(void)
{
    fixture f;
    result r;
    maas_err err;
    fixture_init(&f, true);
    EXPECT_EQ(explain(&f, "linear", 0, NULL, &r, &err), MAAS_E_INVALID);
    EXPECT_MSG(strstr(err.msg, "not linear"), "%s", err.msg);
    EXPECT_EQ(explain(&f, "shap", 0, NULL, &r, &err), MAAS_E_INVALID);
    EXPECT_MSG(strstr(err.msg, "method"), "%s", err.msg);
    maas_explainer *x = NULL;
    const maas_explain_opts none = {.n_threads = 1};
    err = (maas_err){0};
    EXPECT_EQ(maas_explainer_create(f.g, &none, &x, &err), MAAS_E_INVALID);
    EXPECT_MSG(strstr(err.msg, "background"), "%s", err.msg);
    maas_graph_destroy(f.g);
    EXPECT_EQ(maas_mem_live(), 0);
}

static void every_failing_allocation_is_survived(void)
{
    static const char *const methods[] = {"linear", "exact", "sampling"};
    for (size_t m = 0; m < MAAS_COUNT(methods); m++) {
        fixture f;
        result r;
        maas_err err;
        fixture_init(&f, false);
        const long live = maas_mem_live();
        for (long n = 1;; n++) {
            maas_mem_fail_at(n);
            maas_status st = explain(&f, methods[m], 0, NULL, &r, &err);
            maas_mem_fail_at(0);
            if (st == MAAS_OK)
                break;
            EXPECT_MSG(st == MAAS_E_NOMEM, "%s, allocation %ld: %d %s", methods[m], n, (int)st,
                       err.msg);
            EXPECT_EQ(maas_mem_live(), live);
        }
        maas_graph_destroy(f.g);
    }
}

static const mt_case cases[] = {
    MT_CASE(exact_values_are_the_definition),      MT_CASE(all_methods_agree_on_a_straight_line),
    MT_CASE(sampling_repeats_with_its_seed),       MT_CASE(what_cannot_be_done_is_said),
    MT_CASE(every_failing_allocation_is_survived),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
