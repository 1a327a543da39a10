#include "formats/sklearn/hist_tree.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#include "base/ban.h"

typedef struct predictor {
    maas_arena arena;
    int64_t n_nodes, n_sets;
    const double *value, *threshold, *count;
    const int64_t *feature, *left, *right, *set;
    const uint8_t *missing_left, *is_leaf, *is_categorical;
    const int64_t *sets; /* [n_sets][MAAS_SK_SET_WORDS] of uint32 */
    char place[56];      /* "_predictors[3][0]" */
} predictor;

#define AT(f) offsetof(predictor, f)
static const struct {
    const char *name;
    maas_dtype dtype;
    size_t offset;
} fields[] = {
    {"value", MAAS_F64, AT(value)},
    {"count", MAAS_F64, AT(count)},
    {"feature_idx", MAAS_I64, AT(feature)},
    {"num_threshold", MAAS_F64, AT(threshold)},
    {"missing_go_to_left", MAAS_U8, AT(missing_left)},
    {"left", MAAS_I64, AT(left)},
    {"right", MAAS_I64, AT(right)},
    {"is_leaf", MAAS_U8, AT(is_leaf)},
    {"is_categorical", MAAS_U8, AT(is_categorical)},
    {"bitset_idx", MAAS_I64, AT(set)},
};
#undef AT

static void predictor_reset(predictor *p)
{
    maas_arena_reset(&p->arena);
}

static maas_status read_fields(maas_sk *s, const maas_pk *v, predictor *p)
{
    const maas_pk *nodes = maas_pk_attr(v, "nodes");
    p->n_nodes = -1;
    for (size_t i = 0; i < MAAS_COUNT(fields); i++) {
        maas_tensor column;
        maas_err why = {0};
        maas_status st = maas_pk_array_field(nodes, fields[i].name, fields[i].dtype, &p->arena,
                                             &column, &why);
        if (st != MAAS_OK)
            return maas_sk_fail(s, st, "%s.nodes: %s", p->place, why.msg);
        if (column.rank != 1 || column.dims[0] < 1 ||
            (p->n_nodes >= 0 && column.dims[0] != p->n_nodes))
            return maas_sk_fail(s, MAAS_E_FORMAT, "%s.nodes is no list of nodes", p->place);
        p->n_nodes = column.dims[0];
        memcpy((char *)p + fields[i].offset, &column.data, sizeof column.data);
    }
    return MAAS_OK;
}

/* Only a tree that splits categories has sets. */
static maas_status read_sets(maas_sk *s, const maas_pk *v, predictor *p)
{
    bool wanted = false;
    for (int64_t i = 0; i < p->n_nodes; i++)
        wanted = wanted || (!p->is_leaf[i] && p->is_categorical[i]);
    if (!wanted)
        return MAAS_OK;
    int64_t dims[2] = {-1, MAAS_SK_SET_WORDS};
    const maas_tensor *t;
    MAAS_TRY(maas_sk_array(s, v, "raw_left_cat_bitsets", MAAS_I64, 2, dims, &t));
    p->sets = t->data;
    p->n_sets = dims[0];
    return MAAS_OK;
}

static maas_status check_node(maas_sk *s, const predictor *p, int64_t i, int64_t n_features)
{
    if (p->is_leaf[i])
        return isfinite(p->value[i])
                   ? MAAS_OK
                   : maas_sk_fail(s, MAAS_E_FORMAT, "%s.nodes[%lld]: the value is not finite",
                                  p->place, (long long)i);
    const char *wrong = NULL;
    if (p->left[i] <= i || p->left[i] >= p->n_nodes || p->right[i] <= i ||
        p->right[i] >= p->n_nodes)
        wrong = "its children are not among the nodes after it";
    else if (p->feature[i] < 0 || p->feature[i] >= n_features)
        wrong = "it splits a feature that is not there";
    else if (p->is_categorical[i] && (p->set[i] < 0 || p->set[i] >= p->n_sets))
        wrong = "its set of categories is not there";
    else if (!p->is_categorical[i] && isnan(p->threshold[i]))
        wrong = "the threshold is NaN";
    return wrong
               ? maas_sk_fail(s, MAAS_E_FORMAT, "%s.nodes[%lld]: %s", p->place, (long long)i, wrong)
               : MAAS_OK;
}

static maas_status predictor_read(maas_sk *s, const maas_pk *v, int64_t round, int64_t k,
                                  int64_t n_features, predictor *p)
{
    *p = (predictor){0};
    maas_arena_init(&p->arena, s->arena->budget);
    snprintf(p->place, sizeof p->place, "_predictors[%lld][%lld]", (long long)round, (long long)k);
    MAAS_TRY(read_fields(s, v, p));
    MAAS_TRY(read_sets(s, v, p));
    for (int64_t i = 0; i < p->n_nodes; i++)
        MAAS_TRY(check_node(s, p, i, n_features));
    return MAAS_OK;
}

/* ---- the forest ---- */

typedef struct growth {
    maas_forest *f;
    const maas_sk_categories *known; /* [n_features]; NULL: no categorical features */
    maas_err *why;
} growth;

/* Yes is "in the set": the categories going left, or the known others when the rest goes left. */
static maas_status categorical_node(const predictor *p, int64_t i, int32_t base, growth *g,
                                    maas_tree_node *n)
{
    const int64_t *set = p->sets + p->set[i] * MAAS_SK_SET_WORDS;
    const maas_sk_categories *k = &g->known[p->feature[i]];
    const bool others = p->missing_left[i];
    n->mode = MAAS_SPLIT_MEMBER;
    n->yes = base + (int32_t)(others ? p->right[i] : p->left[i]);
    n->no = base + (int32_t)(others ? p->left[i] : p->right[i]);
    n->first = g->f->n_members;
    for (int c = 0; c < MAAS_SK_MAX_CATEGORIES; c++) {
        const bool left = (uint32_t)set[c / 32] >> (c % 32) & 1;
        const bool is_known = k->words[c / 32] >> (c % 32) & 1;
        if (others ? left || !is_known : !left)
            continue;
        MAAS_TRY(maas_forest_add_member(g->f, c, NULL, g->why));
        n->count++;
    }
    if (n->count == 0) { /* nobody: below every number */
        n->mode = MAAS_SPLIT_LEQ;
        n->split = -INFINITY;
    }
    return MAAS_OK;
}

static maas_status add_node(const predictor *p, int64_t i, int32_t target, int32_t base, growth *g)
{
    maas_tree_node n = {.cover = (float)p->count[i], .mode = MAAS_SPLIT_LEAF};
    if (p->is_leaf[i]) {
        n.count = 1;
        MAAS_TRY(maas_forest_add_weight(g->f, target, p->value[i], &n.first, g->why));
        return maas_forest_add_node(g->f, &n, NULL, g->why);
    }
    n.feature = (int32_t)p->feature[i];
    if (p->is_categorical[i]) {
        MAAS_TRY(categorical_node(p, i, base, g, &n));
    } else {
        n.mode = MAAS_SPLIT_LEQ;
        n.split = p->threshold[i];
        n.yes = base + (int32_t)p->left[i];
        n.no = base + (int32_t)p->right[i];
        n.missing_yes = p->missing_left[i];
    }
    return maas_forest_add_node(g->f, &n, NULL, g->why);
}

static maas_status add_predictor(maas_sk *s, const predictor *p, int32_t target, growth *g)
{
    maas_err why = {0};
    g->why = &why;
    if (p->n_nodes > INT32_MAX - (int64_t)g->f->n_nodes)
        return maas_sk_fail(s, MAAS_E_TOO_LARGE, "the trees have too many nodes");
    if (p->n_sets && !g->known)
        return maas_sk_fail(s, MAAS_E_FORMAT, "%s splits categories, but no feature has them",
                            p->place);
    const int32_t base = (int32_t)g->f->n_nodes;
    maas_status st = MAAS_OK;
    for (int64_t i = 0; i < p->n_nodes && st == MAAS_OK; i++)
        st = add_node(p, i, target, base, g);
    if (st == MAAS_OK)
        st = maas_forest_add_tree(g->f, base, &why);
    return st == MAAS_OK ? MAAS_OK : maas_sk_fail(s, st, "%s: %s", p->place, why.msg);
}

maas_status maas_sk_hist_tree_add(maas_sk *s, const maas_pk *v, int64_t round, int64_t k,
                                  const maas_sk_categories *known, maas_forest *f)
{
    AUTO(predictor_reset) predictor p = {0};
    growth g = {.f = f, .known = known};
    MAAS_TRY(predictor_read(s, v, round, k, f->n_features, &p));
    return add_predictor(s, &p, (int32_t)k, &g);
}
