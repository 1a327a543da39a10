/*
 * maas_b_forest: the sums of a forest as nodes of ai.onnx.ml.
 *
 *   one weight a leaf, F64 sums or sets of members:   TreeEnsemble [+ base]
 *   several weights a leaf, and one of these:         TreeEnsemble says the number of the leaf of
 *                                                     each tree, rows of weights are gathered
 *   everything else:                                  TreeEnsembleRegressor
 */
#include "ops/forest_write.h"
#include "ops/ops_int.h"

#include "base/ban.h"

static const maas_v3_names regressor_names = {"target_treeids", "target_nodeids", "target_ids",
                                              "target_weights", "target_weights_as_tensor"};

static maas_vid no_memory(maas_builder *b)
{
    if (b->status == MAAS_OK)
        b->status = maas_fail(b->err, MAAS_E_NOMEM, "writing trees");
    return MAAS_NO_VALUE;
}

static maas_vid wide(maas_builder *b, maas_vid v, maas_dtype to)
{
    const maas_type *t = maas_b_type(b, v);
    if (!t || t->dtype == to)
        return v;
    return maas_b_attr1(b, "Cast", MAAS_A_INT("to", to), v, MAAS_NO_VALUE);
}

static maas_vid add_base(maas_builder *b, const maas_forest *f, maas_vid y)
{
    const maas_type *t = maas_b_type(b, y);
    if (!t || !f->base)
        return y;
    const maas_dtype dtype = (maas_dtype)t->dtype;
    AUTO_FREE void *data = maas_calloc((size_t)f->n_targets, sizeof(double));
    if (!data)
        return no_memory(b);
    maas_tensor base = maas_tensor_of(dtype, 1, (const int64_t[]){f->n_targets}, data);
    for (int32_t k = 0; k < f->n_targets; k++)
        maas_st(&base, k, f->base[k]);
    return MAAS_B_ADD(b, y, maas_b_const(b, NULL, &base));
}

/* ---- TreeEnsembleRegressor ---- */

static maas_vid regressor(maas_builder *b, maas_forest_text *t)
{
    static const char *const aggregates[] = {"AVERAGE", "SUM", "MIN", "MAX"};
    maas_attr attr[MAAS_V3_ATTRS];
    uint32_t n = maas_put_v3(t, &regressor_names, attr);
    bool heard = true;
    if (!n || (t->f->base && maas_forest_listen(t, &heard, b->err) != MAAS_OK))
        return no_memory(b);
    attr[n++] = MAAS_A_INT("n_targets", t->f->n_targets);
    attr[n++] = MAAS_A_STR("aggregate_function", aggregates[t->f->aggregate]);
    /* ONNX Runtime forgets the base of a target that no leaf of a row speaks of */
    if (t->f->base && heard &&
        !maas_put_numbers(t, "base_values", "base_values_as_tensor", t->f->base,
                          (uint32_t)t->f->n_targets, &attr[n++]))
        return no_memory(b);
    b->checked = t->checked;
    const maas_vid y = maas_b_node(b, "TreeEnsembleRegressor", attr, n, &t->x, 1, NULL, 1);
    return heard ? y : add_base(b, t->f, y);
}

/* ---- TreeEnsemble ---- */

enum { FEATURES, YES, NO, YES_LEAF, NO_LEAF, MISSING, N_LISTS };

typedef struct v5 {
    int64_t *of[N_LISTS], *roots, *targets;
    double *splits, *weights, *members;
    uint8_t *modes;
    uint32_t *number; /* of an inner node, by place in order */
    uint32_t n_nodes, n_leaves, n_members;
    bool by_leaf;        /* leaves say their number to the target of their tree */
    const double *cover; /* [n_nodes] then [n_leaves]; NULL */
} v5;

/* A tree of nothing but a leaf is said with a node as well. */
static bool is_node(const maas_forest_text *t, uint32_t k)
{
    return t->f->nodes[t->order[k]].mode != MAAS_SPLIT_LEAF || k == 0 ||
           t->tree[k] != t->tree[k - 1];
}

static bool v5_open(maas_forest_text *t, v5 *v)
{
    const maas_forest *f = t->f;
    maas_arena *a = &t->arena;
    const size_t n = t->n_order;
    bool ok = (v->number = maas_arena_array(a, n, sizeof *v->number));
    for (uint32_t k = 0; ok && k < n; k++) {
        v->number[k] = v->n_nodes;
        v->n_nodes += is_node(t, k);
    }
    for (int i = 0; ok && i < N_LISTS; i++)
        ok = (v->of[i] = maas_arena_array(a, v->n_nodes, sizeof *v->of[i]));
    return ok && (v->roots = maas_arena_array(a, f->n_trees, sizeof *v->roots)) &&
           (v->splits = maas_arena_array(a, v->n_nodes, sizeof *v->splits)) &&
           (v->modes = maas_arena_array(a, v->n_nodes, 1)) &&
           (v->members = maas_arena_array(a, (size_t)f->n_members + n, sizeof *v->members)) &&
           (v->targets = maas_arena_array(a, 3 * n, sizeof *v->targets)) &&
           (v->weights = maas_arena_array(a, 3 * n, sizeof *v->weights));
}

static int64_t v5_leaf(const maas_forest_text *t, v5 *v, int32_t at)
{
    const maas_tree_node *n = &t->f->nodes[at];
    const uint32_t k = v->n_leaves++;
    if (v->by_leaf) {
        v->targets[k] = t->tree[t->number[at]];
        v->weights[k] = k;
    } else {
        v->targets[k] = t->f->weights[n->first].target;
        v->weights[k] = t->f->weights[n->first].weight;
    }
    return k;
}

static void v5_branch(const maas_forest_text *t, v5 *v, uint32_t i, int side, int32_t to)
{
    const bool leaf = t->f->nodes[to].mode == MAAS_SPLIT_LEAF;
    v->of[YES + side][i] = leaf ? v5_leaf(t, v, to) : v->number[t->number[to]];
    v->of[YES_LEAF + side][i] = leaf;
}

/* Members that are numbers of the rows' type; false when none is left. */
static bool v5_members(const maas_forest_text *t, v5 *v, const maas_tree_node *n)
{
    uint32_t kept = 0;
    for (uint32_t i = n->first; i < n->first + n->count; i++) {
        const double m = t->f->members[i];
        if (!t->doubles && (double)(float)m != m)
            continue;
        v->members[v->n_members++] = m;
        kept++;
    }
    if (kept)
        v->members[v->n_members++] = NAN;
    return kept;
}

static void v5_inner(const maas_forest_text *t, v5 *v, uint32_t k)
{
    const uint32_t i = v->number[k];
    const maas_tree_node *n = &t->f->nodes[t->order[k]];
    if (n->mode == MAAS_SPLIT_LEAF) {
        v->of[YES][i] = v->of[NO][i] = v5_leaf(t, v, t->order[k]);
        v->of[YES_LEAF][i] = v->of[NO_LEAF][i] = 1;
        return;
    }
    maas_said s = maas_forest_say(t, n);
    if (n->mode == MAAS_SPLIT_MEMBER && !v5_members(t, v, n))
        s.split = (maas_split){MAAS_SPLIT_LT, -INFINITY}; /* never */
    v->modes[i] = s.split.mode;
    v->splits[i] = s.split.mode == MAAS_SPLIT_MEMBER ? 0 : s.split.split;
    v->of[FEATURES][i] = n->feature;
    v->of[MISSING][i] = s.missing_yes;
    v5_branch(t, v, i, 0, s.yes);
    v5_branch(t, v, i, 1, s.no);
}

/* Behind the leaves that are led to: covers of the nodes, then of the leaves (forest_read5.c). The
 * k-th leaf is found again by walking the nodes once more. */
static uint32_t v5_covers(const maas_forest_text *t, v5 *v)
{
    const uint32_t n_leaves = v->n_leaves;
    uint32_t leaf = n_leaves + v->n_nodes;
    if (!t->covers || v->by_leaf)
        return n_leaves;
    for (uint32_t k = 0; k < t->n_order; k++) {
        const maas_tree_node *n = &t->f->nodes[t->order[k]];
        if (!is_node(t, k))
            continue;
        v->weights[n_leaves + v->number[k]] = n->cover;
        if (n->mode == MAAS_SPLIT_LEAF) {
            v->weights[leaf++] = n->cover;
            continue;
        }
        const maas_said s = maas_forest_say(t, n);
        const int32_t to[2] = {s.yes, s.no};
        for (int side = 0; side < 2; side++)
            if (t->f->nodes[to[side]].mode == MAAS_SPLIT_LEAF)
                v->weights[leaf++] = t->f->nodes[to[side]].cover;
    }
    return leaf;
}

static maas_vid ensemble(maas_builder *b, maas_forest_text *t, v5 *v, maas_vid x)
{
    static const char *const names[N_LISTS] = {
        "nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids",
        "nodes_trueleafs",  "nodes_falseleafs",  "nodes_missing_value_tracks_true"};
    maas_attr attr[16];
    uint32_t n = 0;
    for (uint32_t k = 0; k < t->n_order; k++) {
        if (k == 0 || t->tree[k] != t->tree[k - 1])
            v->roots[t->tree[k]] = v->number[k];
        if (is_node(t, k))
            v5_inner(t, v, k);
    }
    const uint32_t n_weights = v5_covers(t, v);
    for (int i = 0; i < N_LISTS; i++)
        attr[n++] = MAAS_A_INTS(names[i], v->of[i], v->n_nodes);
    attr[n++] = MAAS_A_INTS("tree_roots", v->roots, t->f->n_trees);
    attr[n++] = MAAS_A_INTS("leaf_targetids", v->targets, n_weights);
    attr[n++] = MAAS_A_INT("n_targets", v->by_leaf ? (int64_t)t->f->n_trees : t->f->n_targets);
    attr[n++] = MAAS_A_INT("aggregate_function", v->by_leaf ? MAAS_FOREST_SUM : t->f->aggregate);
    const maas_tensor modes = maas_tensor_of(MAAS_U8, 1, (const int64_t[]){v->n_nodes}, v->modes);
    attr[n++] = (maas_attr){.name = "nodes_modes", .type = MAAS_ATTR_TENSOR, .u.tensor = &modes};
    if (!maas_put_numbers(t, NULL, "nodes_splits", v->splits, v->n_nodes, &attr[n++]) ||
        !maas_put_numbers(t, NULL, "leaf_weights", v->weights, n_weights, &attr[n++]))
        return no_memory(b);
    if (v->n_members &&
        !maas_put_numbers(t, NULL, "membership_values", v->members, v->n_members, &attr[n++]))
        return no_memory(b);
    return maas_b_node(b, "TreeEnsemble", attr, n, &x, 1, NULL, 1);
}

static maas_vid one_weight(maas_builder *b, maas_forest_text *t)
{
    v5 v = {0};
    if (!v5_open(t, &v))
        return no_memory(b);
    return add_base(b, t->f, ensemble(b, t, &v, t->x));
}

/* ---- several weights a leaf ---- */

/* Rows of weights, [n_leaves][n_targets], in the order of v5_leaf. */
static maas_vid leaf_rows(maas_builder *b, const maas_forest_text *t, const v5 *v)
{
    const maas_forest *f = t->f;
    const int64_t dims[] = {v->n_leaves, f->n_targets};
    size_t bytes;
    if (maas_shape_bytes(MAAS_F64, dims, 2, &bytes, b->err) != MAAS_OK)
        return no_memory(b);
    double *rows = maas_arena_array((maas_arena *)(uintptr_t)&t->arena, bytes, 1);
    if (!rows)
        return no_memory(b);
    uint32_t leaf = 0;
    for (uint32_t k = 0; k < t->n_order; k++) {
        const maas_tree_node *n = &f->nodes[t->order[k]];
        if (!is_node(t, k))
            continue;
        const bool only = n->mode == MAAS_SPLIT_LEAF;
        const maas_said s = only ? (maas_said){0} : maas_forest_say(t, n);
        const int32_t to[2] = {only ? t->order[k] : s.yes, s.no};
        for (int side = 0; side < (only ? 1 : 2); side++) {
            const maas_tree_node *l = &f->nodes[to[side]];
            if (l->mode != MAAS_SPLIT_LEAF)
                continue;
            for (uint32_t i = l->first; i < l->first + l->count; i++)
                rows[leaf * (size_t)f->n_targets + (size_t)f->weights[i].target] +=
                    f->weights[i].weight;
            leaf++;
        }
    }
    const maas_tensor c = maas_tensor_of(MAAS_F64, 2, dims, rows);
    return maas_b_const(b, NULL, &c);
}

static maas_vid many_weights(maas_builder *b, maas_forest_text *t)
{
    v5 v = {.by_leaf = true};
    if (t->f->aggregate > MAAS_FOREST_SUM) {
        b->status = maas_fail(b->err, MAAS_E_UNSUPPORTED,
                              "smallest or largest of several weights a leaf in doubles");
        return MAAS_NO_VALUE;
    }
    const bool floats = !t->doubles; /* numbers of leaves need doubles */
    t->doubles = true;
    if (!v5_open(t, &v))
        return no_memory(b);
    const maas_vid at = wide(b, ensemble(b, t, &v, floats ? wide(b, t->x, MAAS_F64) : t->x),
                             MAAS_I64);
    const maas_vid rows = maas_b_op2(b, "Gather", leaf_rows(b, t, &v), at);
    const maas_attr keep = MAAS_A_INT("keepdims", 0);
    const maas_vid in[] = {rows, maas_b_i64s(b, (const int64_t[]){1}, 1)};
    maas_vid sum = maas_b_node(b, "ReduceSum", &keep, 1, in, 2, NULL, 1);
    if (t->f->aggregate == MAAS_FOREST_AVERAGE)
        sum = MAAS_B_DIV(b, sum, maas_b_scalar(b, MAAS_F64, t->f->n_trees));
    return add_base(b, t->f, sum);
}

maas_vid maas_b_forest(maas_builder *b, const maas_forest *f, maas_vid x, bool exact)
{
    AUTO(maas_forest_text_reset) maas_forest_text t = {0};
    if (b->status != MAAS_OK)
        return MAAS_NO_VALUE;
    const maas_status st = maas_forest_text_init(&t, b, f, x);
    if (st != MAAS_OK) {
        b->status = st;
        return MAAS_NO_VALUE;
    }
    const maas_dtype out = t.doubles && exact ? MAAS_F64 : MAAS_F32;
    if (!t.members && out == MAAS_F32)
        return regressor(b, &t);
    return wide(b, t.many ? many_weights(b, &t) : one_weight(b, &t), out);
}
