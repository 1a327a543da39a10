/* A forest as a node: TreeEnsembleRegressor where it can say it, else TreeEnsemble. */
#include "ops/forest_write.h"

#include <float.h>
#include <math.h>

#include "ops/ops_int.h"
#include "base/ban.h"

/* ---- rows of floats ---- */

/* The next float on that side of a double; the double itself when it is one. */
static float round_to(double v, bool up)
{
    const float f = v > FLT_MAX    ? (isinf(v) || up ? INFINITY : FLT_MAX)
                    : v < -FLT_MAX ? (isinf(v) || !up ? -INFINITY : -FLT_MAX)
                                   : (float)v;
    if (up && (double)f < v)
        return nextafterf(f, INFINITY);
    return !up && (double)f > v ? nextafterf(f, -INFINITY) : f;
}

/* No float is below it: with LT it is never true, missing values aside. */
static const maas_split never = {MAAS_SPLIT_LT, -INFINITY};

static maas_split split_of_floats(const maas_tree_node *n)
{
    const bool up = n->mode == MAAS_SPLIT_LT || n->mode == MAAS_SPLIT_GTE;
    const maas_split s = {n->mode, round_to(n->split, up)};
    if (n->mode == MAAS_SPLIT_EQ && s.split != n->split)
        return never;
    return s;
}

/* ---- order ---- */

void maas_forest_text_reset(maas_forest_text *t)
{
    maas_arena_reset(&t->arena);
}

static void *list(maas_forest_text *t, size_t n, size_t size)
{
    return maas_arena_array(&t->arena, n ? n : 1, size);
}

/* A list of an attribute is made where the node will have it. */
static void *kept(maas_forest_text *t, size_t n, size_t size)
{
    return maas_arena_array(&t->b->g->arena, n ? n : 1, size);
}

/* Parents before children, tree by tree: node t->order[k] is written as number k. */
static void put_in_order(maas_forest_text *t, int32_t *wait)
{
    const maas_forest *f = t->f;
    for (uint32_t k = 0; k < f->n_trees; k++) {
        uint32_t n_wait = 0;
        wait[n_wait++] = f->roots[k];
        while (n_wait) {
            const int32_t at = wait[--n_wait];
            const maas_tree_node *n = &f->nodes[at];
            t->number[at] = (int32_t)t->n_order;
            t->tree[t->n_order] = (int32_t)k;
            t->order[t->n_order++] = at;
            if (n->mode == MAAS_SPLIT_LEAF)
                continue;
            wait[n_wait++] = n->no;
            wait[n_wait++] = n->yes;
        }
    }
}

static void look(maas_forest_text *t)
{
    const maas_forest *f = t->f;
    int32_t most = 0;
    t->covers = true;
    for (uint32_t i = 0; i < f->n_nodes; i++) {
        const maas_tree_node *n = &f->nodes[i];
        t->members |= n->mode == MAAS_SPLIT_MEMBER;
        if (n->mode != MAAS_SPLIT_LEAF && n->feature >= most)
            most = n->feature + 1;
        t->covers = t->covers && n->cover > 0;
        t->many |= n->mode == MAAS_SPLIT_LEAF && n->count != 1;
    }
    t->negative = false;
    bool fits = true; /* as floats, weights and bases are numbers still */
    for (uint32_t i = 0; i < f->n_weights; i++) {
        t->negative |= f->weights[i].weight < 0;
        fits = fits && fabs(f->weights[i].weight) <= FLT_MAX;
    }
    for (int32_t i = 0; f->base && i < f->n_targets; i++)
        fits = fits && fabs(f->base[i]) <= FLT_MAX;
    t->checked = fits ? (uint32_t)most + 2 : 0;
}

/* Does every row hear of every target? Then there is a tree for each, all of whose leaves speak of
 * it. */
typedef struct heard {
    uint32_t leaves;      /* of the tree that is looked at: a walk from..to in order */
    uint32_t *by;         /* [n_targets] how many of them speak of it */
    int32_t *tree, *leaf; /* [n_targets] by the leaves of which tree; the last of them; from 1 */
    bool *sure;
    uint32_t n_sure;
} heard;

static void count_leaf(const maas_forest_text *t, heard *h, uint32_t at)
{
    const maas_tree_node *n = &t->f->nodes[t->order[at]];
    if (n->mode != MAAS_SPLIT_LEAF)
        return;
    h->leaves++;
    for (uint32_t i = n->first; i < n->first + n->count; i++) {
        const int32_t k = t->f->weights[i].target, leaf = (int32_t)at + 1;
        if (h->tree[k] != t->tree[at] + 1)
            h->by[k] = 0;
        h->by[k] += h->leaf[k] != leaf;
        h->tree[k] = t->tree[at] + 1;
        h->leaf[k] = leaf;
    }
}

static void note_leaf(const maas_forest_text *t, heard *h, uint32_t at)
{
    const maas_tree_node *n = &t->f->nodes[t->order[at]];
    for (uint32_t i = 0; n->mode == MAAS_SPLIT_LEAF && i < n->count; i++) {
        const int32_t k = t->f->weights[n->first + i].target;
        if (!h->sure[k] && h->by[k] == h->leaves) {
            h->sure[k] = true;
            h->n_sure++;
        }
    }
}

static maas_status listen(maas_forest_text *t, maas_err *err)
{
    const size_t n = (size_t)t->f->n_targets;
    heard h = {.by = list(t, n, sizeof *h.by),
               .tree = list(t, n, sizeof *h.tree),
               .leaf = list(t, n, sizeof *h.leaf),
               .sure = list(t, n, sizeof *h.sure)};
    if (!h.by || !h.tree || !h.leaf || !h.sure)
        return maas_fail(err, MAAS_E_NOMEM, "writing trees");
    for (uint32_t from = 0, to = 0; from < t->n_order; from = to) {
        h.leaves = 0;
        for (; to < t->n_order && t->tree[to] == t->tree[from]; to++)
            count_leaf(t, &h, to);
        for (uint32_t at = from; at < to; at++)
            note_leaf(t, &h, at);
    }
    t->heard = h.n_sure == n;
    return MAAS_OK;
}

maas_status maas_forest_text_init(maas_forest_text *t, maas_builder *b, const maas_forest *f,
                                  maas_vid x)
{
    *t = (maas_forest_text){.f = f, .x = x, .b = b};
    maas_arena_init(&t->arena, b->g->arena.budget);
    const maas_type *type = maas_b_type(b, x);
    if (!type)
        return b->status;
    t->doubles = type->dtype == MAAS_F64;
    if (type->tag != MAAS_TYPE_TENSOR || (!t->doubles && type->dtype != MAAS_F32))
        return maas_fail(b->err, MAAS_E_INVALID, "trees look at rows of floats or doubles");
    MAAS_TRY(maas_forest_verify(f, b->err));
    if (f->n_trees == 0)
        return maas_fail(b->err, MAAS_E_INVALID, "a forest without trees");
    look(t);
    t->order = list(t, f->n_nodes, sizeof *t->order);
    t->number = list(t, f->n_nodes, sizeof *t->number);
    t->tree = list(t, f->n_nodes, sizeof *t->tree);
    int32_t *wait = list(t, f->n_nodes, sizeof *wait);
    if (!t->order || !t->number || !t->tree || !wait)
        return maas_fail(b->err, MAAS_E_NOMEM, "writing trees");
    put_in_order(t, wait);
    return listen(t, b->err);
}

/* ---- what both forms say about an inner node ---- */

/* NEQ is EQ with its children swapped: there a missing value goes where it should. */
maas_said maas_forest_say(const maas_forest_text *t, const maas_tree_node *n)
{
    maas_said s = {n->yes, n->no, n->missing_yes, {n->mode, n->split}};
    if (n->mode == MAAS_SPLIT_MEMBER)
        return s;
    maas_tree_node as = *n;
    if (n->mode == MAAS_SPLIT_NEQ) {
        as.mode = MAAS_SPLIT_EQ;
        s = (maas_said){n->no, n->yes, !n->missing_yes, {MAAS_SPLIT_EQ, n->split}};
    }
    if (!t->doubles)
        s.split = split_of_floats(&as);
    return s;
}

/* ---- attributes ---- */

/* Numbers as floats, or as a tensor of doubles. */
bool maas_put_numbers(maas_forest_text *t, const char *name, const char *tensor, const double *v,
                      uint32_t n, maas_attr *out)
{
    if (!t->doubles && name) {
        float *f = kept(t, n, sizeof *f);
        for (uint32_t i = 0; f && i < n; i++)
            f[i] = (float)v[i];
        *out = (maas_attr){.name = name, .type = MAAS_ATTR_FLOATS, .n = n, .u.floats = f};
        return f;
    }
    const maas_dtype dtype = t->doubles ? MAAS_F64 : MAAS_F32;
    maas_tensor *p = maas_arena_alloc(&t->arena, sizeof *p);
    void *data = list(t, n, maas_dtype_size(dtype));
    if (!p || !data)
        return false;
    *p = maas_tensor_of(dtype, 1, (const int64_t[]){n}, data);
    for (uint32_t i = 0; i < n; i++)
        maas_st(p, i, v[i]);
    *out = (maas_attr){.name = tensor, .type = MAAS_ATTR_TENSOR, .u.tensor = p};
    return true;
}

/* ---- TreeEnsembleRegressor and TreeEnsembleClassifier ---- */

enum { TREES, IDS, FEATURES, YES, NO, MISSING, N_LISTS };

static const maas_str mode_names[] = {
    {"BRANCH_LEQ", 10}, {"BRANCH_LT", 9}, {"BRANCH_GTE", 10}, {"BRANCH_GT", 9}, {"BRANCH_EQ", 9},
    {"BRANCH_NEQ", 10}, {"", 0},          {"LEAF", 4}};

static uint32_t put_nodes(maas_forest_text *t, maas_attr *attr)
{
    static const char *const names[N_LISTS] = {
        "nodes_treeids",     "nodes_nodeids",      "nodes_featureids",
        "nodes_truenodeids", "nodes_falsenodeids", "nodes_missing_value_tracks_true"};
    const uint32_t n = t->n_order;
    int64_t *of[N_LISTS];
    for (int i = 0; i < N_LISTS; i++) {
        if (!(of[i] = kept(t, n, sizeof *of[i])))
            return 0;
        attr[i] = MAAS_A_INTS(names[i], of[i], n);
    }
    maas_str *modes = list(t, n, sizeof *modes);
    double *values = list(t, n, sizeof *values), *covers = list(t, n, sizeof *covers);
    if (!modes || !values || !covers)
        return 0;
    int64_t first = 0;
    for (uint32_t k = 0; k < n; k++) {
        const maas_tree_node *node = &t->f->nodes[t->order[k]];
        first = k && t->tree[k] == t->tree[k - 1] ? first : k;
        of[TREES][k] = t->tree[k];
        of[IDS][k] = k - first;
        covers[k] = node->cover;
        modes[k] = mode_names[MAAS_SPLIT_LEAF];
        if (node->mode == MAAS_SPLIT_LEAF)
            continue;
        const maas_said s = maas_forest_say(t, node);
        of[FEATURES][k] = node->feature;
        of[YES][k] = t->number[s.yes] - first;
        of[NO][k] = t->number[s.no] - first;
        of[MISSING][k] = s.missing_yes;
        modes[k] = mode_names[s.split.mode];
        values[k] = s.split.split;
    }
    uint32_t m = N_LISTS;
    attr[m++] = (maas_attr){
        .name = "nodes_modes", .type = MAAS_ATTR_STRINGS, .n = n, .u.strings = modes};
    if (!maas_put_numbers(t, "nodes_values", "nodes_values_as_tensor", values, n, &attr[m++]))
        return 0;
    if (t->covers &&
        !maas_put_numbers(t, "nodes_hitrates", "nodes_hitrates_as_tensor", covers, n, &attr[m++]))
        return 0;
    return m;
}

static uint32_t put_weights(maas_forest_text *t, const maas_v3_names *names, maas_attr *attr)
{
    const maas_forest *f = t->f;
    int64_t *trees = kept(t, f->n_weights, sizeof *trees),
            *ids = kept(t, f->n_weights, sizeof *ids);
    int64_t *targets = kept(t, f->n_weights, sizeof *targets);
    double *weights = list(t, f->n_weights, sizeof *weights);
    uint32_t n = 0;
    int64_t first = 0;
    if (!trees || !ids || !targets || !weights)
        return 0;
    for (uint32_t k = 0; k < t->n_order; k++) {
        const maas_tree_node *node = &f->nodes[t->order[k]];
        first = k && t->tree[k] == t->tree[k - 1] ? first : k;
        for (uint32_t i = 0; node->mode == MAAS_SPLIT_LEAF && i < node->count; i++, n++) {
            trees[n] = t->tree[k];
            ids[n] = k - first;
            targets[n] = f->weights[node->first + i].target;
            weights[n] = f->weights[node->first + i].weight;
        }
    }
    attr[0] = MAAS_A_INTS(names->trees, trees, n);
    attr[1] = MAAS_A_INTS(names->nodes, ids, n);
    attr[2] = MAAS_A_INTS(names->ids, targets, n);
    return maas_put_numbers(t, names->weights, names->tensor, weights, n, &attr[3]) ? 4 : 0;
}

uint32_t maas_put_v3(maas_forest_text *t, const maas_v3_names *names, maas_attr *attr)
{
    const uint32_t n = put_nodes(t, attr);
    const uint32_t m = n ? put_weights(t, names, attr + n) : 0;
    return m ? n + m : 0;
}
