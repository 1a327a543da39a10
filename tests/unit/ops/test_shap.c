/* Shapley values against their definition: every coalition of the features, on small forests; and
 * their sum on large ones. */
#include "forest_make.h"
#include "ops/shap.h"

enum { FEATURES = 7, TARGETS = 3, ROWS = 5 };

static maas_rng rng;

/* ---- the definition ---- */

typedef struct game {
    const maas_forest *f;
    const double *x, *background; /* background NULL: by covers */
    int n_rows;
} game;

/* Value of a coalition by covers: every leaf by the share of rows that reach it, ways of known
 * features closed. Recursion is fine here. */
static void share(const game *g, int32_t at, uint32_t known, double p, double *out)
{
    const maas_tree_node *n = &g->f->nodes[at];
    if (n->mode == MAAS_SPLIT_LEAF) {
        for (uint32_t i = n->first; i < n->first + n->count; i++)
            out[g->f->weights[i].target] += p * g->f->weights[i].weight;
        return;
    }
    if (known >> n->feature & 1) {
        share(g, maas_forest_decides(g->f, n, g->x[n->feature]) ? n->yes : n->no, known, p, out);
        return;
    }
    share(g, n->yes, known, p * g->f->nodes[n->yes].cover / n->cover, out);
    share(g, n->no, known, p * g->f->nodes[n->no].cover / n->cover, out);
}

static void value(const game *g, uint32_t known, double *out)
{
    memset(out, 0, TARGETS * sizeof *out);
    if (!g->background) {
        for (uint32_t t = 0; t < g->f->n_trees; t++)
            share(g, g->f->roots[t], known, 1, out);
        for (int t = 0; g->f->aggregate == MAAS_FOREST_AVERAGE && t < g->f->n_targets; t++)
            out[t] /= g->f->n_trees;
        return;
    }
    for (int r = 0; r < g->n_rows; r++) {
        double x[FEATURES], y[TARGETS];
        for (int i = 0; i < FEATURES; i++)
            x[i] = known >> i & 1 ? g->x[i] : g->background[r * FEATURES + i];
        maas_forest_row(g->f, x, y);
        for (int t = 0; t < g->f->n_targets; t++)
            out[t] += y[t] / g->n_rows;
    }
}

static double factorial(int n)
{
    return n < 2 ? 1 : n * factorial(n - 1);
}

static void shapley(const game *g, double phi[TARGETS][FEATURES])
{
    static double v[1 << FEATURES][TARGETS];
    for (uint32_t known = 0; known < 1 << FEATURES; known++)
        value(g, known, v[known]);
    memset(phi, 0, TARGETS * FEATURES * sizeof(double));
    for (int i = 0; i < FEATURES; i++)
        for (uint32_t known = 0; known < 1 << FEATURES; known++) {
            const int n = __builtin_popcount(known);
            if (known >> i & 1)
                continue;
            const double w = factorial(n) * factorial(FEATURES - n - 1) / factorial(FEATURES);
            for (int t = 0; t < g->f->n_targets; t++)
                phi[t][i] += w * (v[known | 1u << i][t] - v[known][t]);
        }
}

/* ---- cases ---- */

static void compare(const game *g, const maas_shap *s, void *scratch)
{
    double want[TARGETS][FEATURES], got[TARGETS * FEATURES];
    shapley(g, want);
    if (g->background)
        maas_shap_against(s, g->x, g->background, g->n_rows, got, scratch);
    else
        maas_shap_by_covers(s, g->x, 1, got, scratch);
    for (int t = 0; t < g->f->n_targets; t++)
        for (int i = 0; i < FEATURES; i++)
            EXPECT_NEAR(got[t * FEATURES + i], want[t][i], 1e-12);
}

static void both_are_what_the_definition_says(void)
{
    maas_rng_seed(&rng, 5);
    for (int k = 0; k < 60; k++) {
        const forest_wish w = {.n_features = FEATURES,
                               .n_targets = k % 2 ? TARGETS : 1,
                               .n_trees = 1 + k % 5,
                               .n_nodes = 1 + k % 30,
                               .many = k % 3 == 0,
                               .members = k % 4 == 0,
                               .chain = k % 7 == 0,
                               .how = k % 2 ? MAAS_FOREST_SUM : MAAS_FOREST_AVERAGE};
        maas_forest *f = forest_make(&w, &rng);
        maas_shap *s = NULL;
        maas_err err = {0};
        double x[FEATURES], background[ROWS * FEATURES], empty[TARGETS], expected[TARGETS];
        EXPECT_MSG(maas_forest_verify(f, &err) == MAAS_OK, "%s", err.msg);
        EXPECT_MSG(maas_shap_create(f, NULL, &s, &err) == MAAS_OK, "%s", err.msg);
        void *scratch = aligned_alloc(64, maas_shap_scratch(s));
        forest_x(background, ROWS * FEATURES, &rng);
        for (int r = 0; r < 4; r++) {
            forest_x(x, FEATURES, &rng);
            compare(&(game){f, x, NULL, 0}, s, scratch);
            compare(&(game){f, x, background, ROWS}, s, scratch);
        }
        value(&(game){f, x, NULL, 0}, 0, empty);
        maas_shap_expected(s, expected);
        for (int t = 0; t < f->n_targets; t++)
            EXPECT_NEAR(expected[t], empty[t], 1e-12);
        free(scratch);
        maas_shap_destroy(s);
        maas_forest_destroy(f);
    }
}

/* Rows of one call do not look at each other: any number of them gives what each gives alone. */
static void many_rows_are_each_explained_alone(void)
{
    enum { MANY = 11 };
    const forest_wish w = {.n_features = FEATURES,
                           .n_targets = TARGETS,
                           .n_trees = 5,
                           .n_nodes = 40,
                           .many = true,
                           .how = MAAS_FOREST_AVERAGE};
    maas_forest *f;
    maas_shap *s = NULL;
    maas_err err = {0};
    double x[MANY * FEATURES], alone[TARGETS * FEATURES], all[MANY * TARGETS * FEATURES];
    maas_rng_seed(&rng, 8);
    f = forest_make(&w, &rng);
    forest_x(x, MANY * FEATURES, &rng);
    EXPECT_MSG(maas_shap_create(f, NULL, &s, &err) == MAAS_OK, "%s", err.msg);
    void *scratch = aligned_alloc(64, maas_shap_scratch(s));
    for (int n = 1; n <= MANY; n++) {
        maas_shap_by_covers(s, x, n, all, scratch);
        for (int r = 0; r < n; r++) {
            maas_shap_by_covers(s, x + r * FEATURES, 1, alone, scratch);
            EXPECT_MSG(memcmp(alone, all + r * TARGETS * FEATURES, sizeof alone) == 0,
                       "row %d of %d", r, n);
        }
    }
    free(scratch);
    maas_shap_destroy(s);
    maas_forest_destroy(f);
}

/* Trees too large for the definition: what they add up to. */
static void large_trees_add_up(void)
{
    static const struct {
        int n_features, n_nodes;
        bool chain;
    } rows[] = {{60, 400, false}, {3, 500, false}, {300, 601, true}, {2, 900, true}};
    maas_rng_seed(&rng, 6);
    for (size_t k = 0; k < MAAS_COUNT(rows); k++) {
        const forest_wish w = {.n_features = rows[k].n_features,
                               .n_targets = 2,
                               .n_trees = 4,
                               .n_nodes = rows[k].n_nodes,
                               .chain = rows[k].chain,
                               .many = true,
                               .how = MAAS_FOREST_SUM};
        const size_t n = (size_t)w.n_features;
        maas_forest *f = forest_make(&w, &rng);
        maas_shap *s = NULL;
        maas_err err = {0};
        double sum[2], mean[2], expected[2], base[2] = {0.25, -3};
        MAAS_CHECK(maas_forest_set_base(f, base, NULL) == MAAS_OK);
        EXPECT_MSG(maas_shap_create(f, NULL, &s, &err) == MAAS_OK, "%s", err.msg);
        void *scratch = aligned_alloc(64, maas_shap_scratch(s));
        double *x = calloc(n, sizeof *x), *b = calloc(n, sizeof *b),
               *phi = calloc(2 * n, sizeof *phi);
        forest_x(x, w.n_features, &rng);
        forest_x(b, w.n_features, &rng);
        maas_forest_row(f, x, sum);
        maas_forest_row(f, b, mean);
        maas_shap_expected(s, expected);
        for (int way = 0; way < 2; way++) {
            if (way)
                maas_shap_against(s, x, b, 1, phi, scratch);
            else
                maas_shap_by_covers(s, x, 1, phi, scratch);
            for (int t = 0; t < 2; t++) {
                double all = way ? mean[t] : expected[t];
                for (size_t i = 0; i < n; i++)
                    all += phi[(size_t)t * n + i];
                EXPECT_NEAR(all, sum[t], 1e-10);
            }
        }
        free(x);
        free(b);
        free(phi);
        free(scratch);
        maas_shap_destroy(s);
        maas_forest_destroy(f);
    }
}

static void what_cannot_be_explained_is_said(void)
{
    forest_wish w = {
        .n_features = 2, .n_targets = 1, .n_trees = 2, .n_nodes = 5, .how = MAAS_FOREST_MAX};
    maas_shap *s = NULL;
    maas_err err = {0};
    maas_rng_seed(&rng, 7);
    maas_forest *f = forest_make(&w, &rng);
    EXPECT(maas_shap_create(f, NULL, &s, &err) == MAAS_E_UNSUPPORTED && strstr(err.msg, "sums"));
    f->aggregate = MAAS_FOREST_SUM;
    maas_budget small = {.limit = 16};
    err = (maas_err){0};
    EXPECT(maas_shap_create(f, &small, &s, &err) == MAAS_E_NOMEM && small.used == 0);
    f->nodes[1].cover = 0;
    err = (maas_err){0};
    EXPECT(maas_shap_create(f, NULL, &s, &err) == MAAS_OK && !maas_shap_has_covers(s));
    maas_shap_destroy(s);
    maas_forest_destroy(f);
    w = (forest_wish){.n_features = 2,
                      .n_targets = 1,
                      .n_trees = 1,
                      .chain = true,
                      .n_nodes = 2 * MAAS_SHAP_MAX_DEPTH + 5,
                      .how = MAAS_FOREST_SUM};
    f = forest_make(&w, &rng);
    err = (maas_err){0};
    EXPECT(maas_shap_create(f, NULL, &s, &err) == MAAS_E_UNSUPPORTED && strstr(err.msg, "tree 0"));
    maas_forest_destroy(f);
}

static const mt_case cases[] = {
    MT_CASE(both_are_what_the_definition_says),
    MT_CASE(many_rows_are_each_explained_alone),
    MT_CASE(large_trees_add_up),
    MT_CASE(what_cannot_be_explained_is_said),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
