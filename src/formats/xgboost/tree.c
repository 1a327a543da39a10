/*
 * One tree of XGBoost becomes nodes of the forest. In XGBoost "yes" is left, and a row goes
 *
 *   numeric:      left when x < split                (float against float)
 *   categories:   right when x is in the set         (a category that is not known goes left)
 *   missing:      left when default_left, else right
 */
#include "formats/xgboost/xgboost_int.h"

#include <math.h>

#include "base/ban.h"

static maas_status check_length(const maas_numbers *v, const char *name, size_t n, bool optional,
                                maas_err *err)
{
    if (v->n == n || (optional && v->n == 0))
        return MAAS_OK;
    return maas_fail(err, MAAS_E_FORMAT, "%s has %zu items, left_children has %zu", name, v->n, n);
}

static maas_status check_lengths(const xgb_tree *t, maas_err *err)
{
    const size_t n = t->left.n;
    if (n == 0 || n > INT32_MAX / 2)
        return maas_fail(err, MAAS_E_FORMAT, "%zu nodes", n);
    MAAS_TRY(check_length(&t->right, "right_children", n, false, err));
    MAAS_TRY(check_length(&t->feature, "split_indices", n, false, err));
    MAAS_TRY(check_length(&t->split, "split_conditions", n, false, err));
    MAAS_TRY(check_length(&t->default_left, "default_left", n, false, err));
    MAAS_TRY(check_length(&t->kind, "split_type", n, true, err));
    return check_length(&t->cover, "sum_hessian", n, true, err);
}

/* Which set of categories a node has: cat_of[node], -1 for none. */
static maas_status index_categories(xgb_tree *t, maas_err *err)
{
    const int32_t *nodes = maas_numbers_i32(&t->cat_nodes),
                  *begin = maas_numbers_i32(&t->cat_begin);
    const int32_t *size = maas_numbers_i32(&t->cat_size);
    size_t n = t->cat_nodes.n, sum = 0;
    if (t->cat_begin.n != n || t->cat_size.n != n)
        return maas_fail(err, MAAS_E_FORMAT,
                         "categories_nodes, _segments and _sizes have %zu, %zu and %zu items", n,
                         t->cat_begin.n, t->cat_size.n);
    MAAS_TRY(maas_numbers_resize(&t->cat_of, t->left.n, err));
    int32_t *of = t->cat_of.p;
    memset(of, 0xff, t->cat_of.n * sizeof *of);
    for (size_t i = 0; i < n; i++) {
        if (nodes[i] < 0 || (size_t)nodes[i] >= t->left.n || of[nodes[i]] >= 0)
            return maas_fail(err, MAAS_E_FORMAT, "categories_nodes[%zu] is %d", i, nodes[i]);
        if (begin[i] < 0 || size[i] < 0 || (size_t)begin[i] + (size_t)size[i] > t->cats.n ||
            (sum += (size_t)size[i]) > t->cats.n)
            return maas_fail(err, MAAS_E_FORMAT,
                             "node %d: categories %d to %lld of %zu, or shared with another node",
                             nodes[i], begin[i], (long long)begin[i] + size[i], t->cats.n);
        of[nodes[i]] = (int32_t)i;
    }
    return MAAS_OK;
}

/* ---- leaves ---- */

/* Where the values of a leaf stand; NULL: nowhere. There are as many values as all leaves have: a
 * file cannot have more of them counted than it holds. */
static const float *leaf_vector(xgb_tree *t, int32_t node)
{
    const maas_numbers *from = t->leaf_weights.n ? &t->leaf_weights : &t->base_weights;
    int64_t leaf = t->leaf_weights.n ? maas_numbers_i32(&t->right)[node] : node;
    int64_t n_leaves = (int64_t)from->n / t->vector;
    if (leaf < 0 || leaf >= n_leaves || t->leaves_seen++ >= n_leaves)
        return NULL;
    return maas_numbers_f32(from) + leaf * t->vector;
}

static maas_status add_leaf(xgb_model *x, int32_t node, maas_tree_node *to, maas_err *err)
{
    xgb_tree *t = &x->tree;
    const bool single = t->vector < 2;
    const float *v = single ? maas_numbers_f32(&t->split) + node : leaf_vector(t, node);
    to->mode = MAAS_SPLIT_LEAF;
    to->count = single ? 1 : (uint32_t)t->vector;
    if (!v)
        return maas_fail(err, MAAS_E_FORMAT, "node %d: its leaf has no %lld values", node,
                         (long long)t->vector);
    for (uint32_t k = 0; k < to->count; k++)
        MAAS_TRY(maas_forest_add_weight(x->m.forest, (int32_t)k, (double)v[k],
                                        k ? NULL : &to->first, err));
    return MAAS_OK;
}

/* ---- inner nodes ---- */

static maas_status add_members(xgb_model *x, int32_t node, maas_tree_node *to, maas_err *err)
{
    const xgb_tree *t = &x->tree;
    const int32_t set = maas_numbers_i32(&t->cat_of)[node];
    if (set < 0)
        return maas_fail(err, MAAS_E_FORMAT, "node %d splits by categories and has none", node);
    const int32_t *c = maas_numbers_i32(&t->cats) + maas_numbers_i32(&t->cat_begin)[set];
    to->mode = MAAS_SPLIT_MEMBER;
    to->count = (uint32_t)maas_numbers_i32(&t->cat_size)[set];
    to->first = x->m.forest->n_members;
    for (uint32_t k = 0; k < to->count; k++) {
        if (c[k] < 0 || c[k] >= XGB_MAX_CATEGORY)
            return maas_fail(err, MAAS_E_FORMAT, "node %d: category %d", node, c[k]);
        MAAS_TRY(maas_forest_add_member(x->m.forest, c[k], NULL, err));
    }
    return MAAS_OK;
}

static maas_status add_inner(xgb_model *x, int32_t node, maas_tree_node *to, maas_err *err)
{
    const xgb_tree *t = &x->tree;
    to->feature = maas_numbers_i32(&t->feature)[node];
    to->missing_yes = maas_numbers_i32(&t->default_left)[node] != 0;
    if (t->kind.n && maas_numbers_i32(&t->kind)[node] == 1) {
        to->missing_yes = !to->missing_yes; /* "yes" is in the set, which is right */
        return add_members(x, node, to, err);
    }
    to->mode = MAAS_SPLIT_LT;
    to->split = (double)maas_numbers_f32(&t->split)[node];
    if (isnan(to->split))
        return maas_fail(err, MAAS_E_FORMAT, "node %d: its split is NaN", node);
    return MAAS_OK;
}

/* Queues a child; its place in the forest is its place in the queue. */
static maas_status push(xgb_tree *t, int32_t node, int32_t child, int32_t root, int32_t *out,
                        maas_err *err)
{
    if (child <= 0 || (size_t)child >= t->left.n)
        return maas_fail(err, MAAS_E_FORMAT, "node %d has child %d, the tree has %zu nodes", node,
                         child, t->left.n);
    if (t->order.n >= t->left.n) /* more than there are: some node is reached twice */
        return maas_fail(err, MAAS_E_FORMAT, "node %d: its child %d is reached twice", node, child);
    *out = root + (int32_t)t->order.n;
    return maas_numbers_add(&t->order, child, err);
}

static maas_status add_node(xgb_model *x, int32_t node, int32_t root, maas_err *err)
{
    xgb_tree *t = &x->tree;
    maas_tree_node to = {.yes = -1, .no = -1};
    const int32_t left = maas_numbers_i32(&t->left)[node],
                  right = maas_numbers_i32(&t->right)[node];
    const float cover = t->cover.n ? maas_numbers_f32(&t->cover)[node] : 0;
    to.cover = cover >= 0 && isfinite(cover) ? cover : 0;
    if (left == -1) {
        if (t->vector < 2 && right != -1)
            return maas_fail(err, MAAS_E_FORMAT, "node %d has one child", node);
        MAAS_TRY(add_leaf(x, node, &to, err));
    } else {
        MAAS_TRY(add_inner(x, node, &to, err));
        const bool swap = to.mode == MAAS_SPLIT_MEMBER;
        MAAS_TRY(push(t, node, left, root, swap ? &to.no : &to.yes, err));
        MAAS_TRY(push(t, node, right, root, swap ? &to.yes : &to.no, err));
    }
    return maas_forest_add_node(x->m.forest, &to, NULL, err);
}

maas_status xgb_add_tree(xgb_model *x, maas_err *err)
{
    xgb_tree *t = &x->tree;
    const int32_t root = (int32_t)x->m.forest->n_nodes;
    MAAS_TRY(check_lengths(t, err));
    MAAS_TRY(index_categories(t, err));
    if (x->vector && x->vector != t->vector)
        return maas_fail(err, MAAS_E_FORMAT, "a leaf has %lld values, those before it %lld",
                         (long long)t->vector, (long long)x->vector);
    if (t->vector < 0 || t->vector > XGB_MAX_SCORES || t->left.n > (size_t)(INT32_MAX - root))
        return maas_fail(err, MAAS_E_TOO_LARGE, "%zu nodes, %lld values a leaf", t->left.n,
                         (long long)t->vector);
    x->vector = t->vector;
    if (x->m.forest->n_weights > INT32_MAX)
        return maas_fail(err, MAAS_E_TOO_LARGE, "%u values of leaves", x->m.forest->n_weights);
    MAAS_TRY(maas_numbers_add(&x->first_weight, x->m.forest->n_weights, err));
    MAAS_TRY(maas_forest_add_tree(x->m.forest, root, err));
    t->order.n = 0;
    t->leaves_seen = 0;
    MAAS_TRY(maas_numbers_add(&t->order, 0, err));
    for (size_t i = 0; i < t->order.n; i++)
        MAAS_TRY(add_node(x, maas_numbers_i32(&t->order)[i], root, err));
    return MAAS_OK;
}
