/* Attributes of TreeEnsembleRegressor and TreeEnsembleClassifier (ai.onnx.ml 1 and 3) as a forest;
 * what they share with those of TreeEnsemble. */
#include "ops/forest_int.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

/* ---- lists ---- */

maas_status maas_numbers_of(const maas_node *n, const char *name, const char *tensor,
                            maas_numbers *out, maas_err *err)
{
    const maas_attr *a = name ? maas_node_attr(n, name) : NULL;
    const maas_attr *b = tensor ? maas_node_attr(n, tensor) : NULL;
    *out = (maas_numbers){0};
    if (a) {
        out->f = a->u.floats;
        out->n = a->n;
    }
    if (!b)
        return MAAS_OK;
    const maas_tensor *t = b->u.tensor;
    const int64_t count = maas_n_elems(t);
    if ((t->dtype != MAAS_F32 && t->dtype != MAAS_F64) || t->rank != 1 || count > INT32_MAX)
        return maas_fail(err, MAAS_E_INVALID, "attribute '%s' must be a list of floats or doubles",
                         tensor);
    if (count == 0)
        return MAAS_OK;
    if (out->n)
        return maas_fail(err, MAAS_E_INVALID, "both '%s' and '%s'", name, tensor);
    out->n = (uint32_t)count;
    out->f = t->dtype == MAAS_F32 ? t->data : NULL;
    out->d = t->dtype == MAAS_F64 ? t->data : NULL;
    return MAAS_OK;
}

maas_status maas_ints_of(const maas_node *n, const char *name, uint32_t count, bool optional,
                         const int64_t **out, maas_err *err)
{
    uint32_t have;
    *out = maas_attr_ints(n, name, &have);
    if (optional && have == 0) {
        *out = NULL;
        return MAAS_OK;
    }
    return have == count ? MAAS_OK
                         : maas_fail(err, MAAS_E_INVALID, "attribute '%s' has %u elements, not %u",
                                     name, have, count);
}

maas_status maas_feature_count(const int64_t *features, uint32_t n, int64_t given, int32_t *out,
                               maas_err *err)
{
    int64_t most = given;
    for (uint32_t i = 0; given < 0 && i < n; i++)
        most = features[i] >= most ? features[i] + (features[i] < INT32_MAX) : most;
    if (most > INT32_MAX)
        return maas_fail(err, MAAS_E_INVALID, "rows of %" PRId64 " features", most);
    *out = most < 0 ? 0 : (int32_t)most;
    return MAAS_OK;
}

void maas_forest_keep_covers(maas_forest *f)
{
    bool good = true;
    for (uint32_t i = 0; i < f->n_nodes && good; i++) {
        const maas_tree_node *n = &f->nodes[i];
        good = n->cover > 0 && isfinite(n->cover);
        if (n->mode == MAAS_SPLIT_LEAF)
            continue;
        const double below = (double)f->nodes[n->yes].cover + (double)f->nodes[n->no].cover;
        good = good && fabs(below - n->cover) <= 0.01 * n->cover;
    }
    for (uint32_t i = 0; i < f->n_nodes && !good; i++)
        f->nodes[i].cover = 0;
}

/* ---- the form of versions 1 and 3 ---- */

typedef struct place {
    int64_t tree, node;
    int32_t at;
} place;

typedef struct v3 {
    const maas_node *n;
    const int64_t *tree, *id, *feature, *yes, *no, *missing;
    const maas_str *modes;
    maas_numbers values, hits, weights, base;
    uint32_t n_nodes;
    const int64_t *w_tree, *w_node, *w_target;
    place *places; /* [n_nodes], in order */
} v3;

static maas_status open_nodes(v3 *v, maas_err *err)
{
    const maas_attr *modes = maas_node_attr(v->n, "nodes_modes");
    const maas_node *n = v->n;
    v->n_nodes = modes ? modes->n : 0;
    if (v->n_nodes == 0 || v->n_nodes > INT32_MAX)
        return maas_fail(err, MAAS_E_INVALID, "attribute 'nodes_modes' has %u elements",
                         v->n_nodes);
    v->modes = modes->u.strings;
    MAAS_TRY(maas_ints_of(n, "nodes_treeids", v->n_nodes, false, &v->tree, err));
    MAAS_TRY(maas_ints_of(n, "nodes_nodeids", v->n_nodes, false, &v->id, err));
    MAAS_TRY(maas_ints_of(n, "nodes_featureids", v->n_nodes, false, &v->feature, err));
    MAAS_TRY(maas_ints_of(n, "nodes_truenodeids", v->n_nodes, false, &v->yes, err));
    MAAS_TRY(maas_ints_of(n, "nodes_falsenodeids", v->n_nodes, false, &v->no, err));
    MAAS_TRY(
        maas_ints_of(n, "nodes_missing_value_tracks_true", v->n_nodes, true, &v->missing, err));
    MAAS_TRY(maas_numbers_of(n, "nodes_values", "nodes_values_as_tensor", &v->values, err));
    MAAS_TRY(maas_numbers_of(n, "nodes_hitrates", "nodes_hitrates_as_tensor", &v->hits, err));
    if (v->values.n != v->n_nodes || (v->hits.n && v->hits.n != v->n_nodes))
        return maas_fail(err, MAAS_E_INVALID, "%u nodes have %u values and %u hit rates",
                         v->n_nodes, v->values.n, v->hits.n);
    return MAAS_OK;
}

/* Names of the lists of weights. */
static const struct weight_names {
    const char *ids, *nodes, *trees, *weights, *tensor;
} weight_names[] = {
    {"target_ids", "target_nodeids", "target_treeids", "target_weights",
     "target_weights_as_tensor"},
    {"class_ids", "class_nodeids", "class_treeids", "class_weights", "class_weights_as_tensor"},
};

static maas_status open_weights(v3 *v, bool classifier, maas_err *err)
{
    const struct weight_names *w = &weight_names[classifier];
    MAAS_TRY(maas_numbers_of(v->n, w->weights, w->tensor, &v->weights, err));
    MAAS_TRY(maas_ints_of(v->n, w->ids, v->weights.n, false, &v->w_target, err));
    MAAS_TRY(maas_ints_of(v->n, w->nodes, v->weights.n, false, &v->w_node, err));
    MAAS_TRY(maas_ints_of(v->n, w->trees, v->weights.n, false, &v->w_tree, err));
    return maas_numbers_of(v->n, "base_values", "base_values_as_tensor", &v->base, err);
}

static int by_place(const void *a, const void *b)
{
    const place *p = a, *q = b;
    if (p->tree != q->tree)
        return p->tree < q->tree ? -1 : 1;
    return p->node < q->node ? -1 : p->node > q->node;
}

static maas_status sort_places(v3 *v, maas_err *err)
{
    bool sorted = true;
    for (uint32_t i = 0; i < v->n_nodes; i++) {
        v->places[i] = (place){v->tree[i], v->id[i], (int32_t)i};
        sorted = sorted && (i == 0 || by_place(&v->places[i - 1], &v->places[i]) < 0);
    }
    if (!sorted)
        qsort(v->places, v->n_nodes, sizeof *v->places, by_place);
    for (uint32_t i = 1; i < v->n_nodes; i++)
        if (by_place(&v->places[i - 1], &v->places[i]) == 0)
            return maas_fail(err, MAAS_E_INVALID, "tree %" PRId64 " has node %" PRId64 " twice",
                             v->places[i].tree, v->places[i].node);
    return MAAS_OK;
}

/* The number of a node by its names; -1 when there is none. `maybe` is often right. */
static int32_t find(const v3 *v, int64_t tree, int64_t node, uint32_t maybe)
{
    const place key = {tree, node, 0};
    if (maybe < v->n_nodes && v->tree[maybe] == tree && v->id[maybe] == node)
        return (int32_t)maybe;
    const place *p = bsearch(&key, v->places, v->n_nodes, sizeof key, by_place);
    return p ? p->at : -1;
}

/* Most writers number the nodes of a tree in the order they stand in the file. */
static uint32_t guess(int64_t at, int64_t at_node, int64_t node)
{
    int64_t far;
    if (__builtin_sub_overflow(node, at_node, &far) || __builtin_add_overflow(at, far, &far))
        return UINT32_MAX;
    return far >= 0 && far < UINT32_MAX ? (uint32_t)far : UINT32_MAX;
}

static int mode_of(maas_str s)
{
    static const char *const names[] = {"BRANCH_LEQ", "BRANCH_LT",  "BRANCH_GTE", "BRANCH_GT",
                                        "BRANCH_EQ",  "BRANCH_NEQ", "LEAF"};
    for (int i = 0; i < (int)MAAS_COUNT(names); i++)
        if (s.n == strlen(names[i]) && memcmp(s.p, names[i], s.n) == 0)
            return i == MAAS_COUNT(names) - 1 ? MAAS_SPLIT_LEAF : i;
    return -1;
}

static maas_status add_node(const v3 *v, maas_forest *f, uint32_t i, maas_err *err)
{
    const int mode = mode_of(v->modes[i]);
    maas_tree_node n = {.mode = (uint8_t)mode,
                        .cover = v->hits.n ? (float)maas_number(&v->hits, i) : 0};
    if (mode < 0)
        return maas_fail(err, MAAS_E_INVALID,
                         "tree %" PRId64 ", node %" PRId64 ": its mode is not known", v->tree[i],
                         v->id[i]);
    if (mode != MAAS_SPLIT_LEAF) {
        n.split = maas_number(&v->values, i);
        n.feature = v->feature[i] < 0 || v->feature[i] > INT32_MAX ? -1 : (int32_t)v->feature[i];
        /* what is no number is unequal to every split */
        n.missing_yes = mode == MAAS_SPLIT_NEQ || (v->missing && v->missing[i] == 1);
        n.yes = find(v, v->tree[i], v->yes[i], guess(i, v->id[i], v->yes[i]));
        n.no = find(v, v->tree[i], v->no[i], guess(i, v->id[i], v->no[i]));
        if (n.yes < 0 || n.no < 0)
            return maas_fail(err, MAAS_E_INVALID,
                             "tree %" PRId64 ", node %" PRId64 ": it leads to node %" PRId64
                             ", which is not there",
                             v->tree[i], v->id[i], n.yes < 0 ? v->yes[i] : v->no[i]);
    }
    MAAS_TRY(maas_forest_add_node(f, &n, NULL, err));
    if (i && v->tree[i] == v->tree[i - 1])
        return MAAS_OK;
    return maas_forest_add_tree(f, (int32_t)i, err); /* the first node of a tree is its root */
}

/* Weights in the order of their leaves; those of inner nodes say nothing. */
static maas_status add_weights(const v3 *v, maas_forest *f, maas_err *err)
{
    const uint32_t n = v->weights.n;
    AUTO_FREE int32_t *of = maas_calloc(n + 1u, sizeof *of);
    if (!of)
        return maas_fail(err, MAAS_E_NOMEM, "reading trees");
    for (uint32_t i = 0; i < n; i++) {
        const bool after = i && of[i - 1] >= 0;
        of[i] = find(v, v->w_tree[i], v->w_node[i],
                     after ? guess(of[i - 1], v->w_node[i - 1], v->w_node[i]) : 0);
        if (of[i] < 0)
            return maas_fail(err, MAAS_E_INVALID,
                             "weight %u is of tree %" PRId64 ", node %" PRId64
                             ", which is not there",
                             i, v->w_tree[i], v->w_node[i]);
        if (f->nodes[of[i]].mode == MAAS_SPLIT_LEAF) {
            f->nodes[of[i]].count++;
            MAAS_TRY(maas_forest_add_weight(f, 0, 0, NULL, err));
        } else {
            of[i] = -1;
        }
    }
    uint32_t next = 0;
    for (uint32_t i = 0; i < f->n_nodes; i++) {
        f->nodes[i].first = next;
        next += f->nodes[i].count;
        f->nodes[i].count = 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (of[i] < 0)
            continue;
        maas_tree_node *leaf = &f->nodes[of[i]];
        const int64_t t = v->w_target[i];
        f->weights[leaf->first + leaf->count++] = (maas_leaf_weight){
            maas_number(&v->weights, i), t < 0 || t > INT32_MAX ? -1 : (int32_t)t};
    }
    return MAAS_OK;
}

/* No base, or one for each target. */
static maas_status add_base(const v3 *v, maas_forest *f, maas_err *err)
{
    const uint32_t n = v->base.n;
    if (n == 0)
        return MAAS_OK;
    if (n != (uint32_t)f->n_targets)
        return maas_fail(err, MAAS_E_INVALID, "%u base values for %d targets", n, f->n_targets);
    AUTO_FREE double *base = maas_calloc(n, sizeof *base);
    if (!base)
        return maas_fail(err, MAAS_E_NOMEM, "reading trees");
    for (uint32_t i = 0; i < n; i++)
        base[i] = maas_number(&v->base, i);
    return maas_forest_set_base(f, base, err);
}

static maas_status aggregate_of(const maas_node *n, maas_forest_aggregate *out, maas_err *err)
{
    static const char *const names[] = {"AVERAGE", "SUM", "MIN", "MAX"};
    const maas_str s = maas_attr_s(n, "aggregate_function", "SUM");
    for (int i = 0; i < (int)MAAS_COUNT(names); i++)
        if (s.n == strlen(names[i]) && memcmp(s.p, names[i], s.n) == 0) {
            *out = (maas_forest_aggregate)i;
            return MAAS_OK;
        }
    return maas_fail(err, MAAS_E_UNSUPPORTED, "this aggregate_function is not supported");
}

static maas_status fill(const v3 *v, maas_forest *f, maas_err *err)
{
    for (uint32_t i = 0; i < v->n_nodes; i++)
        MAAS_TRY(add_node(v, f, i, err));
    MAAS_TRY(add_weights(v, f, err));
    MAAS_TRY(add_base(v, f, err));
    MAAS_TRY(maas_forest_verify(f, err));
    maas_forest_keep_covers(f);
    return MAAS_OK;
}

maas_status maas_forest_read_v3(const maas_node *n, bool classifier, int64_t n_features,
                                maas_budget *budget, maas_forest **out, maas_err *err)
{
    v3 v = {.n = n};
    maas_votes votes = {0};
    int64_t n_targets = maas_attr_i(n, "n_targets", 0);
    maas_forest_aggregate how = MAAS_FOREST_SUM;
    int32_t features;
    MAAS_TRY(open_nodes(&v, err));
    MAAS_TRY(open_weights(&v, classifier, err));
    if (classifier) {
        MAAS_TRY(maas_votes_of(n, &votes, err));
        n_targets = votes.single ? 1 : votes.n_classes;
    } else {
        MAAS_TRY(aggregate_of(n, &how, err));
    }
    if (n_targets < 1 || n_targets > MAAS_FOREST_MAX_TARGETS)
        return maas_fail(err, MAAS_E_INVALID, "%" PRId64 " targets", n_targets);
    MAAS_TRY(maas_feature_count(v.feature, v.n_nodes, n_features, &features, err));
    AUTO_FREE place *places = v.places = maas_calloc(v.n_nodes, sizeof *places);
    if (!places)
        return maas_fail(err, MAAS_E_NOMEM, "reading trees");
    MAAS_TRY(sort_places(&v, err));
    maas_forest *f = NULL;
    MAAS_TRY(maas_forest_create(features, (int32_t)n_targets, how, budget, &f, err));
    const maas_status st = fill(&v, f, err);
    if (st != MAAS_OK) {
        maas_forest_destroy(f);
        return st == MAAS_E_FORMAT ? MAAS_E_INVALID : st;
    }
    *out = f;
    return MAAS_OK;
}
