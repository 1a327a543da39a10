/* Forests: what verify refuses, words included; rows; and nodes of a graph there and back. */
#include "forest_make.h"
#include "ops/forest_post.h"

static maas_rng rng;

static maas_forest *two_trees(void)
{
    const forest_wish w = {
        .n_features = 3, .n_targets = 2, .n_trees = 2, .n_nodes = 7, .how = MAAS_FOREST_SUM};
    maas_rng_seed(&rng, 1);
    return forest_make(&w, &rng);
}

/* ---- damage ---- */

static void cycle(maas_forest *f)
{
    f->nodes[2].no = 0;
}
static void shared_child(maas_forest *f)
{
    f->nodes[2].no = 3;
}
static void outside(maas_forest *f)
{
    f->nodes[1].yes = (int32_t)f->n_nodes;
}
static void negative(maas_forest *f)
{
    f->nodes[1].yes = -1;
}
static void far_feature(maas_forest *f)
{
    f->nodes[7].feature = 3;
}
static void nan_split(maas_forest *f)
{
    f->nodes[0].mode = MAAS_SPLIT_GT;
    f->nodes[0].split = NAN;
}
static void far_target(maas_forest *f)
{
    f->weights[f->nodes[3].first].target = 2;
}
static void infinite_weight(maas_forest *f)
{
    f->weights[f->nodes[3].first].weight = INFINITY;
}
static void far_weights(maas_forest *f)
{
    f->nodes[3].count = UINT32_MAX;
}
static void far_members(maas_forest *f)
{
    f->nodes[0].mode = MAAS_SPLIT_MEMBER;
    f->nodes[0].first = 0;
    f->nodes[0].count = 1;
}
static void no_mode(maas_forest *f)
{
    f->nodes[0].mode = 9;
}
static void same_root(maas_forest *f)
{
    f->roots[1] = 0;
}
static void lost_nodes(maas_forest *f)
{
    f->n_trees = 1;
}
static void bad_cover(maas_forest *f)
{
    f->nodes[1].cover = NAN;
}

static void damage_is_refused_by_name(void)
{
    static const struct {
        void (*fn)(maas_forest *f);
        const char *words;
    } rows[] = {{cycle, "tree 0, node 2: node 0 is reached twice"},
                {shared_child, "node 3 is reached twice"},
                {outside, "tree 0, node 1: it leads to node 14 of 14"},
                {negative, "tree 0, node 1: it leads to node -1"},
                {far_feature, "tree 1, node 7: feature 3 of 3"},
                {nan_split, "tree 0, node 0: the split is not a number"},
                {far_target, "tree 0, node 3: target 2 of 2"},
                {infinite_weight, "tree 0, node 3: a weight is not a finite number"},
                {far_weights, "tree 0, node 3: weights"},
                {far_members, "tree 0, node 0: members 0 to 1 of 0"},
                {no_mode, "mode 9"},
                {same_root, "reached twice"},
                {lost_nodes, "7 of 14 nodes belong to no tree"},
                {bad_cover, "cover"}};
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        maas_forest *f = two_trees();
        maas_err err = {0};
        EXPECT_MSG(maas_forest_verify(f, &err) == MAAS_OK, "%s", err.msg);
        rows[i].fn(f);
        EXPECT_EQ(maas_forest_verify(f, &err), MAAS_E_FORMAT);
        EXPECT_MSG(strstr(err.msg, rows[i].words), "'%s' is not in '%s'", rows[i].words, err.msg);
        maas_forest_destroy(f);
    }
}

/* ---- rows ---- */

static void every_mode_decides(void)
{
    static const bool want[][4] = {/* of 1, 2, 3, NaN against 2; NaN is sent to `yes` */
                                   {1, 1, 0, 1}, {1, 0, 0, 1}, {0, 1, 1, 1}, {0, 0, 1, 1},
                                   {0, 1, 0, 1}, {1, 0, 1, 1}, {1, 0, 1, 1}};
    const double x[] = {1, 2, 3, NAN};
    maas_forest *f = two_trees();
    MAAS_CHECK(maas_forest_add_member(f, 3, NULL, NULL) == MAAS_OK);
    MAAS_CHECK(maas_forest_add_member(f, 1, NULL, NULL) == MAAS_OK);
    for (uint8_t mode = 0; mode < MAAS_COUNT(want); mode++) {
        const maas_tree_node n = {.mode = mode, .split = 2, .count = 2, .missing_yes = true};
        for (int i = 0; i < 4; i++)
            EXPECT_MSG(maas_forest_decides(f, &n, x[i]) == want[mode][i], "mode %d of %g", mode,
                       x[i]);
    }
    maas_forest_destroy(f);
}

static void aggregates_join_what_trees_say(void)
{
    static const double want[][2] = {
        {(1 + 5 - 3) / 3.0 + 10, 20}, {3 + 10, 20}, {-3 + 10, 20}, {5 + 10, 20}};
    const double weights[] = {1, 5, -3}, base[] = {10, 20};
    for (int how = 0; how < 4; how++) {
        maas_forest *f = NULL;
        double y[2];
        MAAS_CHECK(maas_forest_create(0, 2, (maas_forest_aggregate)how, NULL, &f, NULL) == MAAS_OK);
        for (int32_t t = 0; t < 3; t++) {
            maas_tree_node n = {.mode = MAAS_SPLIT_LEAF, .count = 1};
            MAAS_CHECK(maas_forest_add_weight(f, 0, weights[t], &n.first, NULL) == MAAS_OK);
            MAAS_CHECK(maas_forest_add_node(f, &n, NULL, NULL) == MAAS_OK);
            MAAS_CHECK(maas_forest_add_tree(f, t, NULL) == MAAS_OK);
        }
        MAAS_CHECK(maas_forest_set_base(f, base, NULL) == MAAS_OK);
        EXPECT(maas_forest_verify(f, NULL) == MAAS_OK);
        maas_forest_row(f, NULL, y);
        for (int t = 0; t < 2; t++)
            EXPECT_NEAR(y[t], want[how][t], 1e-15);
        maas_forest_destroy(f);
    }
}

static void memory_is_charged_and_given_back(void)
{
    const forest_wish w = {.n_features = 3, .n_targets = 1, .n_trees = 8, .n_nodes = 99};
    maas_budget budget = {.limit = 1 << 20};
    maas_rng_seed(&rng, 2);
    maas_forest *f = NULL, *big = forest_make(&w, &rng);
    maas_err err = {0};
    EXPECT(maas_forest_create(3, 1, MAAS_FOREST_SUM, &budget, &f, &err) == MAAS_OK);
    for (uint32_t i = 0; i < big->n_nodes; i++)
        EXPECT(maas_forest_add_node(f, &big->nodes[i], NULL, &err) == MAAS_OK);
    EXPECT(budget.used >= big->n_nodes * sizeof *big->nodes);
    budget.limit = budget.used;
    maas_status st = MAAS_OK;
    for (uint32_t i = 0; st == MAAS_OK && i < big->n_nodes; i++)
        st = maas_forest_add_node(f, &big->nodes[i], NULL, &err);
    EXPECT_EQ(st, MAAS_E_NOMEM);
    maas_forest_destroy(f);
    EXPECT_EQ(budget.used, 0);
    maas_forest_destroy(big);
}

/* ---- splits of rows of floats ---- */

static double neighbour(double x, int way)
{
    return nextafter(x, way ? INFINITY : -INFINITY);
}

/* Every float near a double split goes where the double sends it, through the written node. */
static void floats_go_where_doubles_send_them(void)
{
    static const double splits[] = {0.1,      -0.1,      1e-50, -1e-50,     1e300,    -1e300,
                                    16777217, 0,         -0.0,  3.5,        1e38,     5e38,
                                    INFINITY, -INFINITY, 1e-45, 0.30000001, 2.5000001};
    for (size_t k = 0; k < MAAS_COUNT(splits) * 3 * MAAS_SPLIT_MEMBER; k++) {
        const double base = splits[k / 3 / MAAS_SPLIT_MEMBER];
        const int off = (int)(k / MAAS_SPLIT_MEMBER % 3);
        const double split = off == 0 ? base : neighbour(base, off - 1);
        maas_forest *f = two_trees(), *again = NULL;
        maas_graph *g;
        maas_builder b;
        maas_err err = {0};
        f->nodes[0].mode = (uint8_t)(k % MAAS_SPLIT_MEMBER);
        f->nodes[0].split = split;
        MAAS_CHECK(maas_graph_create("floats", NULL, &g, NULL) == MAAS_OK);
        maas_builder_init(&b, g, &err);
        maas_b_forest(&b, f, maas_b_input(&b, "x", MAAS_F32, 2, (const int64_t[]){1, 3}), false);
        EXPECT_MSG(b.status == MAAS_OK, "%s", err.msg);
        EXPECT(maas_forest_of_node(&g->nodes[0], 3, NULL, &again, &err) == MAAS_OK);
        const float near = (float)split;
        const float xs[] = {near,
                            nextafterf(near, INFINITY),
                            nextafterf(near, -INFINITY),
                            0,
                            -INFINITY,
                            INFINITY,
                            NAN,
                            1.4e-45f,
                            3e38f,
                            -3e38f};
        for (size_t i = 0; i < MAAS_COUNT(xs); i++) {
            double x[3] = {1, 1, 1}, y[2], z[2];
            x[f->nodes[0].feature] = xs[i];
            maas_forest_row(f, x, y);
            maas_forest_row(again, x, z);
            EXPECT_MSG(fabs(y[0] - z[0]) < 1e-6 && fabs(y[1] - z[1]) < 1e-6,
                       "mode %d, split %.17g, x %.9g", f->nodes[0].mode, split, xs[i]);
        }
        maas_forest_destroy(again);
        maas_forest_destroy(f);
        maas_graph_destroy(g);
    }
}

static const mt_case cases[] = {
    MT_CASE(damage_is_refused_by_name),         MT_CASE(every_mode_decides),
    MT_CASE(aggregates_join_what_trees_say),    MT_CASE(memory_is_charged_and_given_back),
    MT_CASE(floats_go_where_doubles_send_them),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
