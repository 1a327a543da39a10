/*
 * Attributes of TreeEnsemble (ai.onnx.ml 5) as a forest.
 *
 * Inner nodes and leaves are lists of their own; a node whose children are both the same leaf is
 * how a tree of nothing but a leaf is said. The standard has no place for the covers of leaves, and
 * ONNX Runtime takes no nodes_hitrates with doubles: maas_b_forest writes covers as leaves that no
 * node leads to, first those of the nodes, then those of the leaves.
 */
#include "ops/forest_int.h"

#include <inttypes.h>
#include <math.h>

#include "base/mem.h"
#include "base/ban.h"

typedef struct v5 {
    const maas_node *n;
    const int64_t *feature, *yes, *no, *yes_leaf, *no_leaf, *missing, *roots, *targets;
    const uint8_t *modes;
    maas_numbers splits, weights, members;
    uint32_t n_nodes, n_roots;
    uint32_t member; /* next of the members, while nodes are read in order */
    uint32_t n_used; /* leaves that nodes lead to */
    bool in_order;   /* leaf k is the k-th of the lists, and no other one is led to */
} v5;

static maas_status open_modes(v5 *v, maas_err *err)
{
    const maas_attr *modes = maas_node_attr(v->n, "nodes_modes");
    const maas_tensor *t = modes ? modes->u.tensor : NULL;
    const int64_t n = t ? maas_n_elems(t) : 0;
    if (!t || t->dtype != MAAS_U8 || t->rank != 1 || n < 1 || n > INT32_MAX)
        return maas_fail(err, MAAS_E_INVALID, "attribute 'nodes_modes' must be a list of uint8");
    v->modes = t->data;
    v->n_nodes = (uint32_t)n;
    return MAAS_OK;
}

static maas_status open_lists(v5 *v, maas_err *err)
{
    const maas_node *n = v->n;
    MAAS_TRY(open_modes(v, err));
    const uint32_t k = v->n_nodes;
    MAAS_TRY(maas_ints_of(n, "nodes_featureids", k, false, &v->feature, err));
    MAAS_TRY(maas_ints_of(n, "nodes_truenodeids", k, false, &v->yes, err));
    MAAS_TRY(maas_ints_of(n, "nodes_falsenodeids", k, false, &v->no, err));
    MAAS_TRY(maas_ints_of(n, "nodes_trueleafs", k, false, &v->yes_leaf, err));
    MAAS_TRY(maas_ints_of(n, "nodes_falseleafs", k, false, &v->no_leaf, err));
    MAAS_TRY(maas_ints_of(n, "nodes_missing_value_tracks_true", k, true, &v->missing, err));
    MAAS_TRY(maas_numbers_of(n, NULL, "nodes_splits", &v->splits, err));
    MAAS_TRY(maas_numbers_of(n, NULL, "leaf_weights", &v->weights, err));
    MAAS_TRY(maas_numbers_of(n, NULL, "membership_values", &v->members, err));
    if (v->splits.n != k)
        return maas_fail(err, MAAS_E_INVALID, "%u nodes have %u splits", k, v->splits.n);
    MAAS_TRY(maas_ints_of(n, "leaf_targetids", v->weights.n, false, &v->targets, err));
    v->roots = maas_attr_ints(n, "tree_roots", &v->n_roots);
    return v->n_roots ? MAAS_OK : maas_fail(err, MAAS_E_INVALID, "no trees");
}

/* A node of its own for each way to a leaf. */
static maas_status add_leaf(v5 *v, maas_forest *f, uint32_t from, int64_t leaf, int32_t *out,
                            maas_err *err)
{
    maas_tree_node n = {.mode = MAAS_SPLIT_LEAF, .count = 1};
    if (leaf < 0 || leaf >= v->weights.n)
        return maas_fail(err, MAAS_E_INVALID, "node %u leads to leaf %" PRId64 " of %u", from, leaf,
                         v->weights.n);
    v->in_order = v->in_order && leaf == v->n_used;
    v->n_used++;
    const int64_t t = v->targets[leaf];
    MAAS_TRY(maas_forest_add_weight(f, t < 0 || t > INT32_MAX ? -1 : (int32_t)t,
                                    maas_number(&v->weights, (uint32_t)leaf), &n.first, err));
    return maas_forest_add_node(f, &n, out, err);
}

static maas_status add_branch(v5 *v, maas_forest *f, uint32_t i, int64_t to, bool leaf,
                              int32_t *out, maas_err *err)
{
    if (leaf)
        return add_leaf(v, f, i, to, out, err);
    *out = to < 0 || to >= v->n_nodes ? -1 : (int32_t)to;
    return MAAS_OK;
}

/* The next set of members: up to a NaN or the end. */
static maas_status add_members(v5 *v, maas_forest *f, maas_tree_node *n, maas_err *err)
{
    n->first = f->n_members;
    for (; v->member < v->members.n; v->member++) {
        const double m = maas_number(&v->members, v->member);
        if (isnan(m))
            break;
        MAAS_TRY(maas_forest_add_member(f, m, NULL, err));
        n->count++;
    }
    v->member++;
    return n->count ? MAAS_OK : maas_fail(err, MAAS_E_INVALID, "an empty set of members");
}

static maas_status add_inner(v5 *v, maas_forest *f, uint32_t i, maas_err *err)
{
    const bool yes = v->yes_leaf[i] != 0, no = v->no_leaf[i] != 0;
    maas_tree_node n = {.mode = v->modes[i]};
    if (n.mode > MAAS_SPLIT_MEMBER)
        return maas_fail(err, MAAS_E_INVALID, "node %u has mode %u", i, n.mode);
    n.feature = v->feature[i] < 0 || v->feature[i] > INT32_MAX ? -1 : (int32_t)v->feature[i];
    n.missing_yes = n.mode == MAAS_SPLIT_NEQ || (v->missing && v->missing[i] == 1);
    if (n.mode == MAAS_SPLIT_MEMBER)
        MAAS_TRY(add_members(v, f, &n, err));
    else
        n.split = maas_number(&v->splits, i);
    if (yes && no && v->yes[i] == v->no[i]) {
        int32_t leaf;
        MAAS_TRY(add_leaf(v, f, i, v->yes[i], &leaf, err));
        f->nodes[i] = f->nodes[leaf]; /* the last one */
        f->n_nodes--;
        return MAAS_OK;
    }
    MAAS_TRY(add_branch(v, f, i, v->yes[i], yes, &n.yes, err));
    MAAS_TRY(add_branch(v, f, i, v->no[i], no, &n.no, err));
    f->nodes[i] = n;
    return MAAS_OK;
}

/* Covers behind the leaves; each leaf of the lists was led to once, in the order of the nodes. */
static void read_covers(const v5 *v, maas_forest *f)
{
    if (!v->in_order || v->weights.n != 2 * v->n_used + v->n_nodes)
        return;
    uint32_t leaf = 0;
    for (uint32_t i = 0; i < f->n_nodes; i++) {
        maas_tree_node *n = &f->nodes[i];
        const uint32_t at = n->mode == MAAS_SPLIT_LEAF ? v->n_used + v->n_nodes + n->first
                                                       : v->n_used + i;
        n->cover = (float)maas_number(&v->weights, at);
        leaf += n->mode == MAAS_SPLIT_LEAF;
    }
    MAAS_CHECK(leaf == v->n_used);
    maas_forest_keep_covers(f);
}

static maas_status fill(v5 *v, maas_forest *f, maas_err *err)
{
    const maas_tree_node blank = {.mode = MAAS_SPLIT_LEAF};
    for (uint32_t i = 0; i < v->n_nodes; i++) /* they keep their numbers; leaves come behind */
        MAAS_TRY(maas_forest_add_node(f, &blank, NULL, err));
    for (uint32_t i = 0; i < v->n_nodes; i++)
        MAAS_TRY(add_inner(v, f, i, err));
    for (uint32_t t = 0; t < v->n_roots; t++) {
        const int64_t root = v->roots[t];
        MAAS_TRY(maas_forest_add_tree(f, root < 0 || root >= v->n_nodes ? -1 : (int32_t)root, err));
    }
    MAAS_TRY(maas_forest_verify(f, err));
    read_covers(v, f);
    return MAAS_OK;
}

maas_status maas_forest_read_v5(const maas_node *n, int64_t n_features, maas_budget *budget,
                                maas_forest **out, maas_err *err)
{
    v5 v = {.n = n, .in_order = true};
    const int64_t n_targets = maas_attr_i(n, "n_targets", 0);
    const int64_t how = maas_attr_i(n, "aggregate_function", MAAS_FOREST_SUM);
    int32_t features;
    MAAS_TRY(open_lists(&v, err));
    if (how < 0 || how > MAAS_FOREST_MAX)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "this aggregate_function is not supported");
    if (n_targets < 1 || n_targets > MAAS_FOREST_MAX_TARGETS)
        return maas_fail(err, MAAS_E_INVALID, "%" PRId64 " targets", n_targets);
    MAAS_TRY(maas_feature_count(v.feature, v.n_nodes, n_features, &features, err));
    maas_forest *f = NULL;
    MAAS_TRY(maas_forest_create(features, (int32_t)n_targets, (maas_forest_aggregate)how, budget,
                                &f, err));
    const maas_status st = fill(&v, f, err);
    if (st != MAAS_OK) {
        maas_forest_destroy(f);
        return st == MAAS_E_FORMAT ? MAAS_E_INVALID : st;
    }
    *out = f;
    return MAAS_OK;
}
