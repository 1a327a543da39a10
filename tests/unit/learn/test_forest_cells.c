/*
 * tests/unit/learn/test_forest_cells.c - nodes of whole weights are counted in 16 bits (cells.c,
 * ranks.c), all others summed in doubles (scan.c). Weights of half as much are no whole numbers,
 * and halving is exact in every sum: so both must grow the same trees, bit for bit.
 */
#include "../../maas_test.h"

#include "toy.h"

#include "ops/forest.h"

enum { ROWS = 2500, COLS = 6 };

static float x[COLS][ROWS], weight[ROWS], half[ROWS];
static int64_t label[ROWS];
static toy t;

/* Columns of 2, 20, 100, 250 and 400 values, and one of as many as rows. */
static void make(int n_classes, int heaviest, uint64_t seed)
{
    static const char *const names[COLS] = {"a", "b", "c", "d", "e", "f"};
    static const int n_values[COLS - 1] = {2, 20, 100, 250, 400};
    maas_rng rng;
    maas_rng_seed(&rng, seed);
    memset(&t, 0, sizeof t);
    t.d.n_rows = ROWS;
    t.d.cols = t.cols;
    for (int c = 0; c < COLS; c++) {
        for (int i = 0; i < ROWS; i++)
            x[c][i] = c + 1 < COLS ? (float)maas_rng_below(&rng, (uint64_t)n_values[c])
                                   : maas_rng_normal(&rng);
        toy_add(&t, names[c], MAAS_F32, x[c]);
    }
    for (int i = 0; i < ROWS; i++) {
        const int64_t about = (int64_t)(x[1][i] * 3 + x[2][i] / 9 + fabsf(x[5][i]) * 4 + x[0][i]);
        label[i] = maas_rng_below(&rng, 8) ? about % n_classes
                                           : (int64_t)maas_rng_below(&rng, (uint64_t)n_classes);
        weight[i] = (float)(1 + maas_rng_below(&rng, (uint64_t)heaviest));
        half[i] = weight[i] / 2;
    }
    toy_add(&t, "target", MAAS_I64, label);
    toy_add(&t, "w", MAAS_F32, weight);
}

static maas_forest *grow(const float *w, const char *params, maas_graph **g)
{
    maas_train_result r = {0};
    maas_err err = {0};
    maas_onnx_opts o = {0};
    maas_forest *f = NULL;
    *g = NULL;
    t.cols[COLS + 1].data = w;
    EXPECT_MSG(toy_train(&t, "random_forest", "target", params, &r, &err) == MAAS_OK, "%s",
               err.msg);
    EXPECT_EQ(maas_onnx_read(maas_buf_span(&r.onnx), &o, g, &err), MAAS_OK);
    for (uint32_t i = 0; *g && i < (*g)->n_nodes; i++)
        if (strncmp((*g)->nodes[i].op->name, "TreeEnsemble", 12) == 0)
            EXPECT_EQ(maas_forest_of_node(&(*g)->nodes[i], COLS, NULL, &f, &err), MAAS_OK);
    maas_train_result_reset(&r);
    return f;
}

static bool same_node(const maas_tree_node *a, const maas_tree_node *b)
{
    return a->mode == b->mode && a->feature == b->feature && a->yes == b->yes && a->no == b->no &&
           a->missing_yes == b->missing_yes && a->count == b->count && a->split == b->split &&
           a->cover == 2 * b->cover;
}

static void compare(const maas_forest *a, const maas_forest *b)
{
    EXPECT(a->n_nodes > 200);
    EXPECT_EQ(a->n_nodes, b->n_nodes);
    EXPECT_EQ(a->n_weights, b->n_weights);
    for (uint32_t i = 0; i < a->n_nodes && i < b->n_nodes; i++)
        if (!same_node(&a->nodes[i], &b->nodes[i])) {
            EXPECT_MSG(false, "node %u: column %d at %g, column %d at %g", i, a->nodes[i].feature,
                       a->nodes[i].split, b->nodes[i].feature, b->nodes[i].split);
            return;
        }
    for (uint32_t i = 0; i < a->n_weights && i < b->n_weights; i++)
        EXPECT(a->weights[i].weight == b->weights[i].weight &&
               a->weights[i].target == b->weights[i].target);
}

#define COMMON "'bootstrap':false,'n_estimators':4,'sample_weight':'w'"

static void halves_grow_as_wholes_do(void)
{
    static const struct {
        int n_classes, heaviest; /* 60: the root is too heavy for cells; 700: rows are for ranks */
        const char *params;
    } cases[] = {
        {2, 1, "{" COMMON "}"},
        {5, 3, "{" COMMON ",'max_features':3}"},
        {9, 60, "{" COMMON ",'min_samples_leaf':4}"},
        {20, 3, "{" COMMON ",'max_features':6,'min_weight_fraction_leaf':0.002}"},
        {26, 700, "{" COMMON ",'max_features':5}"},
        {40, 3, "{" COMMON ",'max_depth':9}"},
        {3, 3, "{" COMMON ",'max_leaf_nodes':150,'max_features':1.0}"},
    };
    for (size_t i = 0; i < MAAS_COUNT(cases); i++) {
        maas_graph *g, *h;
        make(cases[i].n_classes, cases[i].heaviest, 60 + i);
        maas_forest *a = grow(weight, cases[i].params, &g), *b = grow(half, cases[i].params, &h);
        EXPECT(a && b);
        if (a && b)
            compare(a, b);
        maas_forest_destroy(a);
        maas_forest_destroy(b);
        maas_graph_destroy(g);
        maas_graph_destroy(h);
    }
}

static const mt_case cases[] = {
    MT_CASE(halves_grow_as_wholes_do),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
