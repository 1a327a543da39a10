/*
 * One tree of LightGBM becomes nodes of the forest. "yes" is left, and a row goes
 *
 *   missing none:  NaN is 0;              left when x <= threshold
 *   missing zero:  NaN, |x| <= 1e-35f:    by default; else left when x <= threshold
 *   missing NaN:   NaN:                   by default; else left when x <= threshold
 *   categories:    left when trunc(x) is in the set; NaN goes right
 *
 * A leaf with a linear model answers its plain value when a feature it uses is NaN. That is said
 * with nodes in front of it, one a feature, that ask "x <= infinity?" (all but NaN are):
 *
 *        used[0] <= inf ── no ──► value          its sums: constant, and slope of each feature;
 *              │ yes                             maas_boosted.linear_leaves multiplies and adds
 *        used[1] <= inf ── no ──► value
 *              │ yes
 *        constant, slope[0], slope[1]
 */
#include "formats/lightgbm/lightgbm_int.h"

#include <math.h>

#include "base/ban.h"

enum { PLAIN_VALUE = -1 }; /* step of a linear leaf that answers its value */

static maas_status check_length(const maas_numbers *v, const char *name, int64_t n, bool optional,
                                maas_err *err)
{
    if ((int64_t)v->n == n || (optional && v->n == 0))
        return MAAS_OK;
    return maas_fail(err, MAAS_E_FORMAT, "%s has %zu numbers, expected %lld", name, v->n,
                     (long long)n);
}

static maas_status check_lengths(lgb_tree *t, maas_err *err)
{
    const int64_t n = t->n_leaves;
    if (n < 1 || n > INT32_MAX / 4)
        return maas_fail(err, MAAS_E_FORMAT, "num_leaves is %lld", (long long)n);
    MAAS_TRY(check_length(&t->leaf_value, "leaf_value", n, false, err));
    MAAS_TRY(check_length(&t->leaf_cover, "leaf_count", n, true, err));
    MAAS_TRY(check_length(&t->feature, "split_feature", n - 1, false, err));
    MAAS_TRY(check_length(&t->threshold, "threshold", n - 1, false, err));
    MAAS_TRY(check_length(&t->decision, "decision_type", n - 1, false, err));
    MAAS_TRY(check_length(&t->left, "left_child", n - 1, false, err));
    MAAS_TRY(check_length(&t->right, "right_child", n - 1, false, err));
    MAAS_TRY(check_length(&t->node_cover, "internal_count", n - 1, true, err));
    MAAS_TRY(maas_numbers_resize(&t->set_taken, 0, err));
    return maas_numbers_resize(&t->set_taken, t->cat_begin.n, err);
}

/* Where the features of each linear leaf begin. */
static maas_status index_linear(lgb_model *x, maas_err *err)
{
    lgb_tree *t = &x->tree;
    const int32_t *n_used = maas_numbers_i32(&t->n_used);
    int64_t sum = 0;
    if (!t->is_linear)
        return MAAS_OK;
    MAAS_TRY(check_length(&t->constant, "leaf_const", t->n_leaves, false, err));
    MAAS_TRY(check_length(&t->n_used, "num_features", t->n_leaves, false, err));
    MAAS_TRY(check_length(&t->slope, "leaf_coeff", (int64_t)t->used.n, false, err));
    t->used_begin.n = 0;
    for (int64_t i = 0; i < t->n_leaves; i++) {
        MAAS_TRY(maas_numbers_add(&t->used_begin, (double)sum, err));
        if (n_used[i] < 0 || (sum += n_used[i]) > (int64_t)t->used.n)
            return maas_fail(err, MAAS_E_FORMAT,
                             "leaf %lld uses %d features, leaf_features has %zu", (long long)i,
                             n_used[i], t->used.n);
    }
    for (size_t i = 0; i < t->used.n; i++) {
        const int32_t feature = maas_numbers_i32(&t->used)[i];
        if (feature < 0 || feature >= x->m.n_features)
            return maas_fail(err, MAAS_E_FORMAT, "leaf_features names feature %d of %d", feature,
                             x->m.n_features);
        MAAS_TRY(maas_boosted_set_use(&x->m, feature, MAAS_BOOST_PLAIN, err));
    }
    return MAAS_OK;
}

/* Queues a node, a leaf or a step of a linear leaf; its place in the forest is that in the queue.
 */
static maas_status push(lgb_tree *t, int32_t what, int32_t step, int32_t root, int32_t *out,
                        maas_err *err)
{
    const size_t most = 2 * (size_t)t->n_leaves + 2 * t->used.n;
    if (what >= 0 ? what >= t->n_leaves - 1 : ~what >= t->n_leaves)
        return maas_fail(err, MAAS_E_FORMAT, "there is no %s %d", what >= 0 ? "node" : "leaf",
                         what >= 0 ? what : ~what);
    if (t->what.n >= most)
        return maas_fail(err, MAAS_E_FORMAT, "%s %d is reached twice", what >= 0 ? "node" : "leaf",
                         what >= 0 ? what : ~what);
    *out = root + (int32_t)t->what.n;
    MAAS_TRY(maas_numbers_add(&t->step, step, err));
    return maas_numbers_add(&t->what, what, err);
}

/* ---- leaves ---- */

static maas_status add_models(lgb_model *x, int32_t leaf, int32_t target, maas_tree_node *to,
                              maas_err *err)
{
    const lgb_tree *t = &x->tree;
    const int32_t begin = maas_numbers_i32(&t->used_begin)[leaf];
    to->count = 1;
    MAAS_TRY(maas_forest_add_weight(x->m.forest, target, maas_numbers_f64(&t->constant)[leaf],
                                    &to->first, err));
    for (int32_t i = 0; i < maas_numbers_i32(&t->n_used)[leaf]; i++, to->count++)
        MAAS_TRY(maas_forest_add_weight(x->m.forest,
                                        target + 1 + maas_numbers_i32(&t->used)[begin + i],
                                        maas_numbers_f64(&t->slope)[begin + i], NULL, err));
    return MAAS_OK;
}

static maas_status add_leaf(lgb_model *x, int32_t leaf, int32_t step, int32_t score, int32_t root,
                            maas_tree_node *to, maas_err *err)
{
    lgb_tree *t = &x->tree;
    const int32_t target = x->m.linear_leaves ? score * (1 + x->m.n_features) : score;
    to->cover = t->leaf_cover.n ? (float)maas_numbers_f64(&t->leaf_cover)[leaf] : 0;
    to->mode = MAAS_SPLIT_LEAF;
    if (t->is_linear && step >= 0) {
        if (step == maas_numbers_i32(&t->n_used)[leaf])
            return add_models(x, leaf, target, to, err);
        to->mode = MAAS_SPLIT_LEQ;
        to->split = INFINITY;
        to->feature = maas_numbers_i32(&t->used)[maas_numbers_i32(&t->used_begin)[leaf] + step];
        MAAS_TRY(push(t, ~leaf, step + 1, root, &to->yes, err));
        return push(t, ~leaf, PLAIN_VALUE, root, &to->no, err);
    }
    to->count = 1;
    return maas_forest_add_weight(x->m.forest, target, maas_numbers_f64(&t->leaf_value)[leaf],
                                  &to->first, err);
}

/* ---- inner nodes ---- */

static maas_status add_members(lgb_model *x, int32_t node, maas_tree_node *to, maas_err *err)
{
    lgb_tree *t = &x->tree;
    const double set = maas_numbers_f64(&t->threshold)[node];
    const int32_t *begin = maas_numbers_i32(&t->cat_begin);
    /* A set belongs to one node: else a short file could ask for any amount of memory. */
    if (!(set >= 0 && set + 1 < (double)t->cat_begin.n) || set != floor(set) ||
        ((int32_t *)t->set_taken.p)[(size_t)set]++)
        return maas_fail(err, MAAS_E_FORMAT, "node %d has set of categories %g", node, set);
    const int32_t from = begin[(size_t)set], end = begin[(size_t)set + 1];
    if (from < 0 || end < from || (size_t)end > t->cat_words.n || end - from > INT32_MAX / 32)
        return maas_fail(err, MAAS_E_FORMAT, "node %d has categories in words %d to %d of %zu",
                         node, from, end, t->cat_words.n);
    to->mode = MAAS_SPLIT_MEMBER;
    to->first = x->m.forest->n_members;
    for (int32_t w = from; w < end; w++)
        for (int bit = 0; bit < 32; bit++)
            if ((uint32_t)maas_numbers_i32(&t->cat_words)[w] >> bit & 1) {
                MAAS_TRY(maas_forest_add_member(x->m.forest, (w - from) * 32.0 + bit, NULL, err));
                to->count++;
            }
    return maas_boosted_set_use(&x->m, to->feature, MAAS_BOOST_TRUNCATE, err);
}

static maas_status add_inner(lgb_model *x, int32_t node, int32_t root, maas_tree_node *to,
                             maas_err *err)
{
    lgb_tree *t = &x->tree;
    const int32_t decision = maas_numbers_i32(&t->decision)[node];
    const int missing = decision >> LGB_MISSING_SHIFT;
    to->feature = maas_numbers_i32(&t->feature)[node];
    to->cover = t->node_cover.n ? (float)maas_numbers_f64(&t->node_cover)[node] : 0;
    if (to->feature < 0 || to->feature >= x->m.n_features)
        return maas_fail(err, MAAS_E_FORMAT, "node %d splits feature %d of %d", node, to->feature,
                         x->m.n_features);
    if (decision & ~LGB_DECISION_BITS || missing > 2)
        return maas_fail(err, MAAS_E_FORMAT, "node %d has decision_type %d", node, decision);
    MAAS_TRY(push(t, maas_numbers_i32(&t->left)[node], 0, root, &to->yes, err));
    MAAS_TRY(push(t, maas_numbers_i32(&t->right)[node], 0, root, &to->no, err));
    if (decision & LGB_CATEGORICAL)
        return add_members(x, node, to, err);
    to->mode = MAAS_SPLIT_LEQ;
    to->split = maas_numbers_f64(&t->threshold)[node];
    to->missing_yes = missing ? (decision & LGB_DEFAULT_LEFT) != 0 : 0 <= to->split;
    return maas_boosted_set_use(&x->m, to->feature,
                                missing == 1 ? MAAS_BOOST_ZERO_MISSING : MAAS_BOOST_PLAIN, err);
}

maas_status lgb_add_tree(lgb_model *x, int32_t score, maas_err *err)
{
    lgb_tree *t = &x->tree;
    const int32_t root = (int32_t)x->m.forest->n_nodes;
    int32_t first;
    MAAS_TRY(check_lengths(t, err));
    MAAS_TRY(index_linear(x, err));
    if (4 * t->n_leaves + 2 * (int64_t)t->used.n > INT32_MAX - root)
        return maas_fail(err, MAAS_E_TOO_LARGE, "more than 2^31 nodes");
    MAAS_TRY(maas_forest_add_tree(x->m.forest, root, err));
    t->what.n = t->step.n = 0;
    MAAS_TRY(push(t, t->n_leaves > 1 ? 0 : ~0, 0, root, &first, err));
    for (size_t i = 0; i < t->what.n; i++) {
        maas_tree_node to = {.yes = -1, .no = -1};
        const int32_t what = maas_numbers_i32(&t->what)[i], step = maas_numbers_i32(&t->step)[i];
        MAAS_TRY(what >= 0 ? add_inner(x, what, root, &to, err)
                           : add_leaf(x, ~what, step, score, root, &to, err));
        MAAS_TRY(maas_forest_add_node(x->m.forest, &to, NULL, err));
    }
    return MAAS_OK;
}
