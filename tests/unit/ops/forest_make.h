/* tests/unit/ops/forest_make.h - random forests with every kind of node, for tests. */
#ifndef MAAS_TEST_FOREST_MAKE_H
#define MAAS_TEST_FOREST_MAKE_H

#include "interp.h"
#include "ops/forest.h"

typedef struct forest_wish {
    int32_t n_features, n_targets;
    int n_trees, n_nodes; /* nodes of a tree, about */
    bool many, members, chain;
    maas_forest_aggregate how;
} forest_wish;

static double forest_value(maas_rng *r)
{
    return floor(5 * maas_rng_unit(r));
}

static void forest_leaf(maas_forest *f, const forest_wish *w, int tree, int32_t at, maas_rng *r)
{
    maas_tree_node *n = &f->nodes[at];
    *n = (maas_tree_node){.mode = MAAS_SPLIT_LEAF, .first = f->n_weights, .cover = n->cover};
    for (int32_t t = 0; t < f->n_targets; t++)
        if (w->many || t == tree % f->n_targets) {
            MAAS_CHECK(maas_forest_add_weight(f, t, maas_rng_unit(r) - 0.5, NULL, NULL) == MAAS_OK);
            f->nodes[at].count++;
        }
}

static void forest_inner(maas_forest *f, const forest_wish *w, int32_t at, maas_rng *r)
{
    maas_tree_node n = {.feature = (int32_t)maas_rng_below(r, (uint64_t)w->n_features),
                        .mode = (uint8_t)maas_rng_below(r, MAAS_SPLIT_MEMBER),
                        .split = forest_value(r),
                        .missing_yes = maas_rng_below(r, 2),
                        .cover = f->nodes[at].cover};
    if (w->members && maas_rng_below(r, 3) == 0) {
        n.mode = MAAS_SPLIT_MEMBER;
        n.first = f->n_members;
        n.count = 2;
        for (int i = 0; i < 2; i++)
            MAAS_CHECK(maas_forest_add_member(f, forest_value(r), NULL, NULL) == MAAS_OK);
    }
    const float part = n.cover * (w->chain ? 0.02f : (float)(0.1 + 0.8 * maas_rng_unit(r)));
    const maas_tree_node yes = {.cover = part}, no = {.cover = n.cover - part};
    MAAS_CHECK(maas_forest_add_node(f, &yes, &n.yes, NULL) == MAAS_OK);
    MAAS_CHECK(maas_forest_add_node(f, &no, &n.no, NULL) == MAAS_OK);
    f->nodes[at] = n;
}

/* Level by level; a chain splits only one of two children. */
MAYBE maas_forest *forest_make(const forest_wish *w, maas_rng *r)
{
    maas_forest *f = NULL;
    MAAS_CHECK(maas_forest_create(w->n_features, w->n_targets, w->how, NULL, &f, NULL) == MAAS_OK);
    for (int t = 0; t < w->n_trees; t++) {
        const int32_t root = (int32_t)f->n_nodes;
        const maas_tree_node first = {.cover = 1000};
        MAAS_CHECK(maas_forest_add_tree(f, root, NULL) == MAAS_OK);
        MAAS_CHECK(maas_forest_add_node(f, &first, NULL, NULL) == MAAS_OK);
        for (int32_t at = root; at < (int32_t)f->n_nodes; at++)
            if ((int32_t)f->n_nodes - root + 2 > w->n_nodes || (w->chain && (at - root) & 1))
                forest_leaf(f, w, t, at, r);
            else
                forest_inner(f, w, at, r);
    }
    return f;
}

MAYBE void forest_x(double *x, int32_t n, maas_rng *r)
{
    for (int32_t i = 0; i < n; i++)
        x[i] = maas_rng_below(r, 8) ? forest_value(r) + (maas_rng_below(r, 4) == 0) * 0.5 : NAN;
}

#endif
