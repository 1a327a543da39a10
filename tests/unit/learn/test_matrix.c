/* tests/unit/learn/test_matrix.c - the cells a learner sees are what the model file computes. */
#include "../../maas_test.h"

#include "toy.h"

#include "learn/matrix.h"

enum { N = 40 };

typedef struct table {
    toy t;
    float a[N];
    int64_t b[N], target[N];
    const char *colour[N];
    char bytes[1024];
} table;

static const char *const colours[] = {"red", "green", "blue", NULL, "red", "lilac"};

static void make(table *s)
{
    maas_rng rng;
    maas_rng_seed(&rng, 5);
    toy_init(&s->t, N);
    for (int i = 0; i < N; i++) {
        s->a[i] = i % 7 == 3 ? NAN : 100 * maas_rng_normal(&rng);
        s->b[i] = (int64_t)maas_rng_below(&rng, 1000);
        s->target[i] = i % 3;
        s->colour[i] = colours[i % 6];
    }
    toy_add(&s->t, "a", MAAS_F32, s->a);
    toy_add_text(&s->t, "colour", s->colour, s->bytes);
    toy_add(&s->t, "target", MAAS_I64, s->target);
    toy_add(&s->t, "b", MAAS_I64, s->b);
}

/* The graph of nothing but the preparation, run over all rows. */
static void serve(const maas_matrix *m, const table *s, float *out)
{
    maas_graph *g = NULL;
    maas_builder b;
    maas_vid x;
    maas_err err = {0};
    const maas_train_job job = {.learner = "network"};
    REQUIRE_OK(maas_matrix_begin(m, &job, &g, &b, &x, &err), err);
    maas_b_output(&b, "x.out", x);
    REQUIRE_OK(b.status, err);
    maas_type types[3];
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        types[i] = maas_graph_at(g, g->inputs[i])->type;
        types[i].dims[0] = N;
    }
    EXPECT_EQ(g->n_inputs, 3);
    toy_model model = {.g = g};
    maas_plan_opts opts = MAAS_PLAN_OPTS_INIT;
    opts.n_threads = 1;
    REQUIRE_OK(maas_plan_create(g, types, &opts, &model.plan, &err), err);
    REQUIRE_OK(maas_exec_create(model.plan, NULL, &model.exec, &err), err);
    float *a = maas_exec_input(model.exec, 0)->data, *in_b = maas_exec_input(model.exec, 2)->data;
    maas_str *colour = maas_exec_input(model.exec, 1)->data;
    for (int i = 0; i < N; i++) {
        a[i] = s->a[i];
        in_b[i] = (float)s->b[i];
        colour[i] = s->colour[i] ? (maas_str){s->colour[i], strlen(s->colour[i])}
                                 : (maas_str){"", 0};
    }
    REQUIRE_OK(maas_exec_run(model.exec, &err), err);
    memcpy(out, maas_exec_output(model.exec, 0)->data, sizeof(float) * N * (size_t)m->n_cols);
    toy_model_close(&model);
}

static void cells_are_what_the_graph_computes(void)
{
    static table s;
    make(&s);
    const char *const skip[] = {"target", NULL};
    static const maas_features_opts variants[] = {
        {.scaling = MAAS_SCALING_NONE, .max_categories = 99, .gaps = true, .codes = true},
        {.scaling = MAAS_SCALING_STANDARD, .max_categories = 99},
        {.scaling = MAAS_SCALING_UNIT, .max_categories = 2, .codes = true},
        {.scaling = MAAS_SCALING_NONE, .max_categories = 3},
    };
    static const int64_t widths[] = {3, 6, 3, 5};
    uint32_t at[N];
    for (int i = 0; i < N; i++)
        at[i] = (uint32_t)i;
    const maas_rows rows = {at, N / 2}; /* constants from half of them, cells of all */
    for (size_t v = 0; v < MAAS_COUNT(variants); v++)
        for (int by_column = 0; by_column < 2; by_column++) {
            maas_features_opts o = variants[v];
            o.skip = skip;
            o.n_skip = 2;
            maas_matrix m;
            maas_err err = {0};
            REQUIRE_OK(maas_matrix_fit(&m, &s.t.d, &o, by_column, &rows, NULL, &err), err);
            EXPECT_EQ(m.n_cols, widths[v]);
            float got[N * 8];
            serve(&m, &s, got);
            for (int64_t i = 0; i < N; i++)
                for (int64_t k = 0; k < m.n_cols; k++) {
                    const float have = m.x[by_column ? k * N + i : i * m.n_cols + k],
                                want = got[i * m.n_cols + k];
                    EXPECT_MSG(have == want || (isnan(have) && isnan(want)),
                               "variant %zu, row %d, column %d: %g, the graph says %g", v, (int)i,
                               (int)k, have, want);
                }
            maas_matrix_reset(&m);
        }
}

static void columns_have_names(void)
{
    static table s;
    make(&s);
    const char *const skip[] = {"target"};
    maas_features_opts o = {
        .scaling = MAAS_SCALING_NONE, .max_categories = 99, .skip = skip, .n_skip = 1};
    uint32_t at[N];
    for (int i = 0; i < N; i++)
        at[i] = (uint32_t)i;
    const maas_rows rows = {at, N};
    static const char *const names[] = {
        "a", "b", "colour=blue", "colour=green", "colour=lilac", "colour=red"};
    maas_matrix m;
    maas_err err = {0};
    REQUIRE_OK(maas_matrix_fit(&m, &s.t.d, &o, false, &rows, NULL, &err), err);
    EXPECT_EQ(m.n_cols, 6);
    for (int64_t k = 0; k < m.n_cols; k++) {
        char *name = maas_matrix_name(&m, k);
        EXPECT_STR(name, names[k]);
        maas_free(name);
    }
    EXPECT(maas_matrix_name(&m, 6) == NULL);
    EXPECT_EQ(maas_matrix_find(&m, "b"), 1);
    EXPECT_EQ(maas_matrix_find(&m, "colour"), -1); /* one-hot: several */
    EXPECT_EQ(maas_matrix_find(&m, "nothing"), -1);
    maas_matrix_reset(&m);
}

static void bad_cells_are_named(void)
{
    static table s;
    make(&s);
    s.a[17] = INFINITY;
    uint32_t at[4] = {0, 1, 2, 3};
    const maas_rows rows = {at, 4};
    const maas_features_opts o = {.scaling = MAAS_SCALING_NONE, .max_categories = 9, .gaps = true};
    maas_matrix m;
    maas_err err = {0};
    EXPECT_EQ(maas_matrix_fit(&m, &s.t.d, &o, false, &rows, NULL, &err), MAAS_E_INVALID);
    EXPECT(strstr(err.msg, "'a'") && strstr(err.msg, "row 18"));
    maas_matrix_reset(&m);
    s.a[17] = -1;
    err = (maas_err){0};
    REQUIRE_OK(maas_matrix_fit(&m, &s.t.d, &o, false, &rows, NULL, &err), err);
    float *w;
    EXPECT_EQ(maas_matrix_weights(&m, &s.t.d, "weight", "a", &w, &err), MAAS_E_INVALID);
    EXPECT(strstr(err.msg, "params.weight") && strstr(err.msg, "row"));
    err = (maas_err){0};
    EXPECT_EQ(maas_matrix_weights(&m, &s.t.d, "weight", "colour", &w, &err), MAAS_E_INVALID);
    err = (maas_err){0};
    REQUIRE_OK(maas_matrix_weights(&m, &s.t.d, "weight", "b", &w, &err), err);
    EXPECT_NEAR(w[3], (double)s.b[3], 0);
    maas_matrix_reset(&m);
}

static const mt_case cases[] = {
    MT_CASE(cells_are_what_the_graph_computes),
    MT_CASE(columns_have_names),
    MT_CASE(bad_cells_are_named),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
