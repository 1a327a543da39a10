#include "ops/forest.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

static maas_status no_memory(maas_err *err)
{
    return maas_fail(err, MAAS_E_NOMEM, "the trees do not fit their memory budget");
}

enum { CAP_NODES, CAP_WEIGHTS, CAP_MEMBERS, CAP_ROOTS };

/* *array, of n items of `size` bytes, gets room for one more; charged at its capacity. */
static bool room(maas_forest *f, int which, void *array, uint32_t n, size_t size)
{
    const uint32_t cap = f->caps[which];
    if (n < cap)
        return true;
    const uint32_t bigger = cap ? cap * 2 : 64;
    void *old;
    if (cap > INT32_MAX / 2 || !maas_budget_take(f->budget, (bigger - cap) * size))
        return false;
    memcpy(&old, array, sizeof old);
    void *p = maas_realloc(old, bigger * size);
    if (!p) {
        maas_budget_give(f->budget, (bigger - cap) * size);
        return false;
    }
    memcpy(array, &p, sizeof p);
    f->caps[which] = bigger;
    return true;
}

maas_status maas_forest_create(int32_t n_features, int32_t n_targets, maas_forest_aggregate how,
                               maas_budget *budget, maas_forest **out, maas_err *err)
{
    if (n_features < 0 || n_targets < 1 || n_targets > MAAS_FOREST_MAX_TARGETS)
        return maas_fail(err, MAAS_E_FORMAT, "trees over %d features for %d targets", n_features,
                         n_targets);
    maas_forest *f = maas_calloc(1, sizeof *f);
    if (!f)
        return no_memory(err);
    f->budget = budget;
    f->n_features = n_features;
    f->n_targets = n_targets;
    f->aggregate = how;
    *out = f;
    return MAAS_OK;
}

void maas_forest_destroy(maas_forest *f)
{
    if (!f)
        return;
    maas_budget_give(f->budget, f->caps[CAP_NODES] * sizeof *f->nodes +
                                    f->caps[CAP_WEIGHTS] * sizeof *f->weights +
                                    f->caps[CAP_MEMBERS] * sizeof *f->members +
                                    f->caps[CAP_ROOTS] * sizeof *f->roots +
                                    (f->base ? (size_t)f->n_targets * sizeof *f->base : 0));
    maas_free(f->nodes);
    maas_free(f->weights);
    maas_free(f->members);
    maas_free(f->roots);
    maas_free(f->base);
    maas_free(f);
}

/* Exactly `n` items, not written to yet: whoever fills them touches their pages first. */
static bool reserve(maas_forest *f, int which, void *array, uint32_t n, size_t size)
{
    if (!n)
        return true;
    if (!maas_budget_take(f->budget, n * size))
        return false;
    void *p = maas_alloc_huge(n * size);
    if (!p) {
        maas_budget_give(f->budget, n * size);
        return false;
    }
    memcpy(array, &p, sizeof p);
    f->caps[which] = n;
    return true;
}

maas_status maas_forest_reserve(maas_forest *f, uint64_t n_nodes, uint64_t n_weights,
                                uint32_t n_trees, maas_err *err)
{
    MAAS_CHECK(!f->nodes && !f->weights && !f->roots);
    if (n_nodes > INT32_MAX || n_weights > INT32_MAX || n_trees > INT32_MAX)
        return maas_fail(err, MAAS_E_TOO_LARGE, "trees of %llu nodes and %llu weights",
                         (unsigned long long)n_nodes, (unsigned long long)n_weights);
    if (!reserve(f, CAP_NODES, &f->nodes, (uint32_t)n_nodes, sizeof *f->nodes) ||
        !reserve(f, CAP_WEIGHTS, &f->weights, (uint32_t)n_weights, sizeof *f->weights) ||
        !reserve(f, CAP_ROOTS, &f->roots, n_trees, sizeof *f->roots))
        return no_memory(err);
    f->n_nodes = (uint32_t)n_nodes;
    f->n_weights = (uint32_t)n_weights;
    f->n_trees = n_trees;
    return MAAS_OK;
}

maas_status maas_forest_add_tree(maas_forest *f, int32_t root, maas_err *err)
{
    if (!room(f, CAP_ROOTS, &f->roots, f->n_trees, sizeof *f->roots))
        return no_memory(err);
    f->roots[f->n_trees++] = root;
    return MAAS_OK;
}

maas_status maas_forest_add_node(maas_forest *f, const maas_tree_node *node, int32_t *out,
                                 maas_err *err)
{
    if (!room(f, CAP_NODES, &f->nodes, f->n_nodes, sizeof *f->nodes))
        return no_memory(err);
    if (out)
        *out = (int32_t)f->n_nodes;
    f->nodes[f->n_nodes++] = *node;
    return MAAS_OK;
}

maas_status maas_forest_add_weight(maas_forest *f, int32_t target, double weight, uint32_t *out,
                                   maas_err *err)
{
    if (!room(f, CAP_WEIGHTS, &f->weights, f->n_weights, sizeof *f->weights))
        return no_memory(err);
    if (out)
        *out = f->n_weights;
    f->weights[f->n_weights++] = (maas_leaf_weight){weight, target};
    return MAAS_OK;
}

maas_status maas_forest_add_member(maas_forest *f, double value, uint32_t *out, maas_err *err)
{
    if (!room(f, CAP_MEMBERS, &f->members, f->n_members, sizeof *f->members))
        return no_memory(err);
    if (out)
        *out = f->n_members;
    f->members[f->n_members++] = value;
    return MAAS_OK;
}

maas_status maas_forest_set_base(maas_forest *f, const double *base, maas_err *err)
{
    const size_t bytes = (size_t)f->n_targets * sizeof *base;
    if (!f->base) {
        if (!maas_budget_take(f->budget, bytes))
            return no_memory(err);
        if (!(f->base = maas_alloc(bytes))) {
            maas_budget_give(f->budget, bytes);
            return no_memory(err);
        }
    }
    memcpy(f->base, base, bytes);
    return MAAS_OK;
}

/* ---- checking ---- */

#define WRONG(...) maas_fail(err, MAAS_E_FORMAT, __VA_ARGS__)

static bool in_list(uint32_t first, uint32_t count, uint32_t n)
{
    return first <= n && count <= n - first;
}

static maas_status check_leaf(const maas_forest *f, uint32_t tree, int32_t at, maas_err *err)
{
    const maas_tree_node *n = &f->nodes[at];
    if (!in_list(n->first, n->count, f->n_weights))
        return WRONG("tree %u, node %d: weights %u to %u of %u", tree, at, n->first,
                     n->first + n->count, f->n_weights);
    for (uint32_t i = n->first; i < n->first + n->count; i++) {
        if (f->weights[i].target < 0 || f->weights[i].target >= f->n_targets)
            return WRONG("tree %u, node %d: target %d of %d", tree, at, f->weights[i].target,
                         f->n_targets);
        if (!isfinite(f->weights[i].weight))
            return WRONG("tree %u, node %d: a weight is not a finite number", tree, at);
    }
    return MAAS_OK;
}

static maas_status check_inner(const maas_forest *f, uint32_t tree, int32_t at, maas_err *err)
{
    const maas_tree_node *n = &f->nodes[at];
    if (n->mode > MAAS_SPLIT_MEMBER)
        return WRONG("tree %u, node %d: mode %u is not known", tree, at, n->mode);
    if (n->feature < 0 || n->feature >= f->n_features)
        return WRONG("tree %u, node %d: feature %d of %d", tree, at, n->feature, f->n_features);
    if (n->mode != MAAS_SPLIT_MEMBER)
        return isnan(n->split) ? WRONG("tree %u, node %d: the split is not a number", tree, at)
                               : MAAS_OK;
    if (!in_list(n->first, n->count, f->n_members))
        return WRONG("tree %u, node %d: members %u to %u of %u", tree, at, n->first,
                     n->first + n->count, f->n_members);
    for (uint32_t i = n->first; i < n->first + n->count; i++)
        if (isnan(f->members[i]))
            return WRONG("tree %u, node %d: a member is not a number", tree, at);
    return MAAS_OK;
}

/* Nodes that are known to be reached, and those of them that wait to be looked at. */
typedef struct walk {
    uint8_t *seen;
    int32_t *wait;
    uint32_t n_wait, n_seen;
} walk;

static maas_status reach(const maas_forest *f, walk *w, uint32_t tree, int32_t from, int32_t to,
                         maas_err *err)
{
    if (to < 0 || (uint32_t)to >= f->n_nodes)
        return WRONG("tree %u, node %d: it leads to node %d of %u", tree, from, to, f->n_nodes);
    if (w->seen[to])
        return WRONG("tree %u, node %d: node %d is reached twice", tree, from, to);
    w->seen[to] = 1;
    w->n_seen++;
    w->wait[w->n_wait++] = to; /* at most n_nodes ever wait: each comes once */
    return MAAS_OK;
}

static maas_status check_tree(const maas_forest *f, walk *w, uint32_t tree, maas_err *err)
{
    MAAS_TRY(reach(f, w, tree, -1, f->roots[tree], err));
    while (w->n_wait) {
        const int32_t at = w->wait[--w->n_wait];
        const maas_tree_node *n = &f->nodes[at];
        if (!(n->cover >= 0) || n->cover > FLT_MAX)
            return WRONG("tree %u, node %d: a cover below zero, or none", tree, at);
        if (n->mode == MAAS_SPLIT_LEAF) {
            MAAS_TRY(check_leaf(f, tree, at, err));
            continue;
        }
        MAAS_TRY(check_inner(f, tree, at, err));
        MAAS_TRY(reach(f, w, tree, at, n->yes, err));
        MAAS_TRY(reach(f, w, tree, at, n->no, err));
    }
    return MAAS_OK;
}

/* Every node is then reached once: the walk below meets them in this order, each in its turn. */
bool maas_forest_tree_in_order(const maas_forest *f, uint32_t tree, int32_t *wait)
{
    const int32_t first = f->roots[tree];
    const int64_t end = tree + 1 < f->n_trees ? f->roots[tree + 1] : (int64_t)f->n_nodes;
    int32_t n_wait = 0, next = first;
    if (first < 0 || end <= first || end > f->n_nodes || (tree == 0 && first != 0))
        return false;
    for (int32_t at = first; at < end; at++) {
        const maas_tree_node *n = &f->nodes[at];
        if (at != next || !(n->cover >= 0) || n->cover > FLT_MAX)
            return false;
        if (n->mode != MAAS_SPLIT_LEAF) {
            if (n->yes != at + 1 || n->no <= at || check_inner(f, tree, at, NULL) != MAAS_OK)
                return false;
            wait[n_wait++] = n->no; /* fewer than nodes so far */
            next = at + 1;
        } else if (check_leaf(f, tree, at, NULL) != MAAS_OK) {
            return false;
        } else {
            next = n_wait ? wait[--n_wait] : -1; /* no node */
        }
    }
    return next < 0;
}

static bool in_order(const maas_forest *f, int32_t *wait)
{
    for (uint32_t t = 0; t < f->n_trees; t++)
        if (!maas_forest_tree_in_order(f, t, wait))
            return false;
    return f->n_trees > 0;
}

maas_status maas_forest_verify_whole(const maas_forest *f, maas_err *err)
{
    if (f->aggregate > MAAS_FOREST_MAX)
        return WRONG("the aggregate %d is not known", (int)f->aggregate);
    for (int32_t t = 0; f->base && t < f->n_targets; t++)
        if (!isfinite(f->base[t]))
            return WRONG("the base of target %d is not a finite number", t);
    return MAAS_OK;
}

maas_status maas_forest_verify(const maas_forest *f, maas_err *err)
{
    AUTO_FREE uint8_t *seen = maas_calloc(f->n_nodes + 1u, sizeof *seen);
    AUTO_FREE int32_t *wait = maas_calloc(f->n_nodes + 1u, sizeof *wait);
    if (!seen || !wait)
        return no_memory(err);
    walk w = {seen, wait, 0, 0};
    MAAS_TRY(maas_forest_verify_whole(f, err));
    if (in_order(f, wait))
        return MAAS_OK;
    for (uint32_t t = 0; t < f->n_trees; t++)
        MAAS_TRY(check_tree(f, &w, t, err));
    return w.n_seen == f->n_nodes
               ? MAAS_OK
               : WRONG("%u of %u nodes belong to no tree", f->n_nodes - w.n_seen, f->n_nodes);
}

/* ---- one row ---- */

static bool is_member(const maas_forest *f, const maas_tree_node *n, double x)
{
    for (uint32_t i = n->first; i < n->first + n->count; i++)
        if (f->members[i] == x)
            return true;
    return false;
}

bool maas_forest_decides(const maas_forest *f, const maas_tree_node *n, double x)
{
    if (isnan(x))
        return n->missing_yes;
    switch (n->mode) {
    case MAAS_SPLIT_LEQ:
        return x <= n->split;
    case MAAS_SPLIT_LT:
        return x < n->split;
    case MAAS_SPLIT_GTE:
        return x >= n->split;
    case MAAS_SPLIT_GT:
        return x > n->split;
    case MAAS_SPLIT_EQ:
        return x == n->split;
    case MAAS_SPLIT_NEQ:
        return x != n->split;
    default:
        return is_member(f, n, x);
    }
}

int32_t maas_forest_leaf(const maas_forest *f, uint32_t tree, const double *x)
{
    int32_t at = f->roots[tree];
    while (f->nodes[at].mode != MAAS_SPLIT_LEAF) {
        const maas_tree_node *n = &f->nodes[at];
        at = maas_forest_decides(f, n, x[n->feature]) ? n->yes : n->no;
    }
    return at;
}

/* What nobody has said yet is NaN; no weight is. */
static double joined(maas_forest_aggregate how, double sum, double w)
{
    if (isnan(sum))
        return w;
    if (how == MAAS_FOREST_MIN)
        return w < sum ? w : sum;
    if (how == MAAS_FOREST_MAX)
        return w > sum ? w : sum;
    return sum + w;
}

void maas_forest_votes(const maas_forest *f, const double *x, double *out)
{
    for (int32_t t = 0; t < f->n_targets; t++)
        out[t] = NAN;
    for (uint32_t k = 0; k < f->n_trees; k++) {
        const maas_tree_node *n = &f->nodes[maas_forest_leaf(f, k, x)];
        for (uint32_t i = n->first; i < n->first + n->count; i++) {
            const maas_leaf_weight *w = &f->weights[i];
            out[w->target] = joined(f->aggregate, out[w->target], w->weight);
        }
    }
    for (int32_t t = 0; f->aggregate == MAAS_FOREST_AVERAGE && t < f->n_targets; t++)
        out[t] /= f->n_trees;
}

void maas_forest_row(const maas_forest *f, const double *x, double *out)
{
    maas_forest_votes(f, x, out);
    for (int32_t t = 0; t < f->n_targets; t++)
        out[t] = (isnan(out[t]) ? 0 : out[t]) + (f->base ? f->base[t] : 0);
}
