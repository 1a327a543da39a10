/*
 * A forest as lists of numbers, the attributes of TreeEnsembleRegressor and TreeEnsembleClassifier.
 * Each tree has its stretch of every list, so that threads write trees side by side.
 */
#include "ops/forest_write.h"

#include "ops/ops_int.h"
#include "base/ban.h"

static void *list(maas_forest_text *t, size_t n, size_t size)
{
    return maas_arena_array(&t->arena, n ? n : 1, size);
}

/* A list of an attribute is made where the node will have it. */
static void *kept(maas_forest_text *t, size_t n, size_t size)
{
    return maas_arena_array(&t->b->g->arena, n ? n : 1, size);
}

/* ---- numbers: floats, or a tensor of doubles ---- */

typedef struct wide {
    float *f;
    double *d;
} wide;

static inline void set(const wide *l, uint32_t i, double v)
{
    if (l->f)
        l->f[i] = (float)v;
    else
        l->d[i] = v;
}

static bool make_wide(maas_forest_text *t, const char *name, const char *tensor, uint32_t n,
                      wide *l, maas_attr *out)
{
    *l = (wide){0};
    if (!t->doubles && name) {
        l->f = kept(t, n, sizeof *l->f);
        *out = (maas_attr){.name = name, .type = MAAS_ATTR_FLOATS, .n = n, .u.floats = l->f};
        return l->f;
    }
    const maas_dtype dtype = t->doubles ? MAAS_F64 : MAAS_F32;
    maas_tensor *p = maas_arena_alloc(&t->arena, sizeof *p);
    void *data = list(t, n, maas_dtype_size(dtype));
    if (!p || !data)
        return false;
    *p = maas_tensor_of(dtype, 1, (const int64_t[]){n}, data);
    l->d = t->doubles ? data : NULL;
    l->f = t->doubles ? NULL : data;
    *out = (maas_attr){.name = tensor, .type = MAAS_ATTR_TENSOR, .u.tensor = p};
    return true;
}

bool maas_put_numbers(maas_forest_text *t, const char *name, const char *tensor, const double *v,
                      uint32_t n, maas_attr *out)
{
    wide l;
    if (!make_wide(t, name, tensor, n, &l, out))
        return false;
    for (uint32_t i = 0; i < n; i++)
        set(&l, i, v[i]);
    return true;
}

/* ---- nodes ---- */

enum { TREES, IDS, FEATURES, YES, NO, MISSING, N_LISTS };
enum { W_TREES, W_IDS, W_TARGETS, N_W_LISTS };

typedef struct v3 {
    const maas_forest_text *t;
    int64_t *of[N_LISTS], *weight[N_W_LISTS];
    maas_str *modes;
    wide values, covers, weights; /* covers: neither, where nothing is known */
} v3;

static const maas_str mode_names[] = {
    {"BRANCH_LEQ", 10}, {"BRANCH_LT", 9}, {"BRANCH_GTE", 10}, {"BRANCH_GT", 9}, {"BRANCH_EQ", 9},
    {"BRANCH_NEQ", 10}, {"", 0},          {"LEAF", 4}};

static void write_nodes(void *arg, int64_t tree, int ithr)
{
    const v3 *v = arg;
    const maas_forest_text *t = v->t;
    const uint32_t first = t->start[tree];
    for (uint32_t k = first; k < t->start[tree + 1]; k++) {
        const maas_tree_node *node = &t->f->nodes[t->order[k]];
        v->of[TREES][k] = tree;
        v->of[IDS][k] = k - first;
        if (t->covers)
            set(&v->covers, k, node->cover);
        v->modes[k] = mode_names[MAAS_SPLIT_LEAF];
        if (node->mode == MAAS_SPLIT_LEAF)
            continue;
        const maas_said s = maas_forest_say(t, node);
        v->of[FEATURES][k] = node->feature;
        v->of[YES][k] = t->number[s.yes] - (int64_t)first;
        v->of[NO][k] = t->number[s.no] - (int64_t)first;
        v->of[MISSING][k] = s.missing_yes;
        v->modes[k] = mode_names[s.split.mode];
        set(&v->values, k, s.split.split);
    }
}

static uint32_t put_nodes(maas_forest_text *t, v3 *v, maas_attr *attr)
{
    static const char *const names[N_LISTS] = {
        "nodes_treeids",     "nodes_nodeids",      "nodes_featureids",
        "nodes_truenodeids", "nodes_falsenodeids", "nodes_missing_value_tracks_true"};
    const uint32_t n = t->n_order;
    uint32_t m = N_LISTS;
    int64_t *of = kept(t, (size_t)n * N_LISTS, sizeof *of); /* one stretch: its pages are large */
    for (int i = 0; of && i < N_LISTS; i++) {
        v->of[i] = of + (size_t)i * n;
        attr[i] = MAAS_A_INTS(names[i], v->of[i], n);
    }
    if (!of || !(v->modes = kept(t, n, sizeof *v->modes)))
        return 0;
    attr[m++] = (maas_attr){
        .name = "nodes_modes", .type = MAAS_ATTR_STRINGS, .n = n, .u.strings = v->modes};
    if (!make_wide(t, "nodes_values", "nodes_values_as_tensor", n, &v->values, &attr[m++]))
        return 0;
    if (t->covers &&
        !make_wide(t, "nodes_hitrates", "nodes_hitrates_as_tensor", n, &v->covers, &attr[m++]))
        return 0;
    maas_forest_each_tree(t, write_nodes, v);
    return m;
}

/* ---- weights of leaves ---- */

static void write_weights(void *arg, int64_t tree, int ithr)
{
    const v3 *v = arg;
    const maas_forest_text *t = v->t;
    const maas_forest *f = t->f;
    const uint32_t first = t->start[tree];
    uint32_t n = t->weight_start[tree];
    for (uint32_t k = first; k < t->start[tree + 1]; k++) {
        const maas_tree_node *node = &f->nodes[t->order[k]];
        for (uint32_t i = 0; node->mode == MAAS_SPLIT_LEAF && i < node->count; i++, n++) {
            v->weight[W_TREES][n] = tree;
            v->weight[W_IDS][n] = k - first;
            v->weight[W_TARGETS][n] = f->weights[node->first + i].target;
            set(&v->weights, n, f->weights[node->first + i].weight);
        }
    }
}

static uint32_t put_weights(maas_forest_text *t, v3 *v, const maas_v3_names *names, maas_attr *attr)
{
    const char *const lists[N_W_LISTS] = {names->trees, names->nodes, names->ids};
    const uint32_t n = t->weight_start[t->f->n_trees];
    int64_t *of = kept(t, (size_t)n * N_W_LISTS, sizeof *of);
    for (int i = 0; of && i < N_W_LISTS; i++) {
        v->weight[i] = of + (size_t)i * n;
        attr[i] = MAAS_A_INTS(lists[i], v->weight[i], n);
    }
    if (!of || !make_wide(t, names->weights, names->tensor, n, &v->weights, &attr[N_W_LISTS]))
        return 0;
    maas_forest_each_tree(t, write_weights, v);
    return N_W_LISTS + 1;
}

uint32_t maas_put_v3(maas_forest_text *t, const maas_v3_names *names, maas_attr *attr)
{
    v3 v = {.t = t};
    const uint32_t n = put_nodes(t, &v, attr);
    const uint32_t m = n ? put_weights(t, &v, names, attr + n) : 0;
    return m ? n + m : 0;
}
