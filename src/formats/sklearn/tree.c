#include "formats/sklearn/tree.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#include "base/ban.h"

/* ---- reading ---- */

typedef struct field {
    const char *name;
    maas_dtype dtype;
    size_t offset; /* of the pointer in maas_sk_tree */
    int since;     /* version that brought it; 0: always there */
} field;

#define AT(f) offsetof(maas_sk_tree, f)
static const field fields[] = {
    {"left_child", MAAS_I64, AT(left), 0},
    {"right_child", MAAS_I64, AT(right), 0},
    {"feature", MAAS_I64, AT(feature), 0},
    {"threshold", MAAS_F64, AT(threshold), 0},
    {"n_node_samples", MAAS_I64, AT(n_rows), 0},
    {"weighted_n_node_samples", MAAS_F64, AT(cover), 0},
    {"missing_go_to_left", MAAS_U8, AT(missing_left), 10300},
};
#undef AT

static maas_status read_field(maas_sk *s, const maas_pk *nodes, const field *f, maas_sk_tree *t)
{
    maas_tensor column;
    maas_err why = {0};
    if (s->version && s->version < f->since)
        return MAAS_OK;
    maas_status st = maas_pk_array_field(nodes, f->name, f->dtype, &t->arena, &column, &why);
    if (st != MAAS_OK && f->since && !s->version && st != MAAS_E_NOMEM)
        return MAAS_OK; /* a file that does not say its version may be older than the field */
    if (st != MAAS_OK)
        return maas_sk_fail(s, st, "%s.nodes: %s", t->place, why.msg);
    if (column.rank != 1 || (t->n_nodes >= 0 && column.dims[0] != t->n_nodes))
        return maas_sk_fail(s, MAAS_E_FORMAT, "%s.nodes is no list of nodes", t->place);
    t->n_nodes = column.dims[0];
    memcpy((char *)t + f->offset, &column.data, sizeof column.data);
    return MAAS_OK;
}

static maas_status check_nodes(maas_sk *s, const maas_sk_tree *t)
{
    for (int64_t i = 0; i < t->n_nodes; i++) {
        if (t->left[i] < 0)
            continue;
        if (t->left[i] <= i || t->left[i] >= t->n_nodes || t->right[i] <= i ||
            t->right[i] >= t->n_nodes)
            return maas_sk_fail(s, MAAS_E_FORMAT,
                                "%s.nodes[%lld] has the children %lld and %lld, expected %lld to "
                                "%lld",
                                t->place, (long long)i, (long long)t->left[i],
                                (long long)t->right[i], (long long)i + 1,
                                (long long)t->n_nodes - 1);
        if (t->feature[i] < 0 || t->feature[i] >= t->n_features)
            return maas_sk_fail(s, MAAS_E_FORMAT,
                                "%s.nodes[%lld] splits feature %lld, there are %lld", t->place,
                                (long long)i, (long long)t->feature[i], (long long)t->n_features);
        if (isnan(t->threshold[i]))
            return maas_sk_fail(s, MAAS_E_FORMAT, "%s.nodes[%lld]: the threshold is NaN", t->place,
                                (long long)i);
    }
    return MAAS_OK;
}

static maas_status read_values(maas_sk *s, const maas_pk *tree, maas_sk_tree *t)
{
    int64_t dims[3] = {t->n_nodes, -1, -1};
    const maas_tensor *v;
    MAAS_TRY(maas_sk_array(s, tree, "values", MAAS_F64, 3, dims, &v));
    if (dims[1] < 1 || dims[2] < 1)
        return maas_sk_fail(s, MAAS_E_FORMAT, "%s.values is empty", t->place);
    t->n_outputs = dims[1];
    t->width = dims[2];
    t->values = v->data;
    return MAAS_OK;
}

static maas_status read_tree(maas_sk *s, const maas_pk *est, int64_t n_features, maas_sk_tree *t)
{
    const maas_pk *tree = maas_pk_attr(est, "tree_"), *nodes = maas_pk_attr(tree, "nodes");
    if (!maas_pk_is_class(tree, "sklearn.tree._tree.Tree") || !nodes)
        return maas_sk_fail(s, MAAS_E_FORMAT, "%s is %s, expected a fitted tree", t->place,
                            maas_pk_kind_text(tree));
    if (!maas_pk_to_int(maas_pk_at(maas_pk_args(tree), 0), &t->n_features) || t->n_features < 1 ||
        (n_features >= 0 && t->n_features != n_features))
        return maas_sk_fail(s, MAAS_E_FORMAT, "%s is for %lld features, rows have %lld", t->place,
                            (long long)t->n_features, (long long)n_features);
    t->n_nodes = -1;
    for (size_t i = 0; i < MAAS_COUNT(fields); i++)
        MAAS_TRY(read_field(s, nodes, &fields[i], t));
    if (t->n_nodes < 1)
        return maas_sk_fail(s, MAAS_E_FORMAT, "%s.nodes is empty", t->place);
    MAAS_TRY(check_nodes(s, t));
    return read_values(s, tree, t);
}

maas_status maas_sk_tree_read(maas_sk *s, const maas_pk *est, int64_t number, int64_t n_features,
                              maas_sk_tree *out)
{
    *out = (maas_sk_tree){.place = "tree_"};
    if (number >= 0)
        snprintf(out->place, sizeof out->place, "estimators_[%lld].tree_", (long long)number);
    maas_arena_init(&out->arena, s->arena->budget);
    maas_status st = read_tree(s, est, n_features, out);
    if (st != MAAS_OK)
        maas_sk_tree_reset(out);
    return st;
}

void maas_sk_tree_reset(maas_sk_tree *t)
{
    maas_arena_reset(&t->arena);
}

bool maas_sk_is_tree(const maas_pk *est)
{
    static const char *const names[] = {"DecisionTreeClassifier", "DecisionTreeRegressor",
                                        "ExtraTreeClassifier", "ExtraTreeRegressor"};
    for (size_t i = 0; i < MAAS_COUNT(names); i++)
        if (maas_sk_is(est, names[i]))
            return true;
    return false;
}

/* ---- into a forest ---- */

static maas_status forest_said(maas_sk *s, maas_status st, const maas_err *why)
{
    return st == MAAS_OK ? MAAS_OK : maas_sk_fail(s, st, "%s", why->msg);
}

/* The weights of one leaf: what is not zero, and something in any case. */
static maas_status add_weights(maas_sk *s, const maas_sk_tree *t, int64_t node,
                               const maas_sk_leaf *leaf, const double *said, maas_forest *f,
                               maas_tree_node *out)
{
    maas_err why = {0};
    out->first = f->n_weights;
    for (int32_t k = 0; k < leaf->n; k++) {
        if (!isfinite(said[k]))
            return maas_sk_fail(s, MAAS_E_FORMAT, "%s.values[%lld] is not a finite number",
                                t->place, (long long)node);
        if (said[k] == 0 && (k + 1 < leaf->n || out->count))
            continue;
        MAAS_TRY(
            forest_said(s, maas_forest_add_weight(f, leaf->first + k, said[k], NULL, &why), &why));
        out->count++;
    }
    return MAAS_OK;
}

static maas_status add_node(maas_sk *s, const maas_sk_tree *t, const int64_t *columns, int64_t i,
                            maas_sk_leaf *leaf, double *said, maas_forest *f, int32_t base)
{
    maas_err why = {0};
    maas_tree_node n = {.mode = MAAS_SPLIT_LEAF};
    if (t->cover[i] >= 0)
        n.cover = (float)t->cover[i];
    if (t->left[i] < 0) {
        memset(said, 0, (size_t)leaf->n * sizeof *said);
        leaf->fn(t, i, said, leaf);
        MAAS_TRY(add_weights(s, t, i, leaf, said, f, &n));
    } else {
        n.mode = MAAS_SPLIT_LEQ;
        n.split = t->threshold[i];
        n.feature = (int32_t)(columns ? columns[t->feature[i]] : t->feature[i]);
        n.yes = base + (int32_t)t->left[i];
        n.no = base + (int32_t)t->right[i];
        n.missing_yes = t->missing_left && t->missing_left[i];
    }
    return forest_said(s, maas_forest_add_node(f, &n, NULL, &why), &why);
}

maas_status maas_sk_tree_add(maas_sk *s, const maas_sk_tree *t, const int64_t *columns,
                             maas_sk_leaf *leaf, maas_forest *f)
{
    maas_err why = {0};
    MAAS_CHECK(leaf->first >= 0 && leaf->n >= 1 && leaf->first <= f->n_targets - leaf->n);
    if (t->n_nodes > INT32_MAX - (int64_t)f->n_nodes)
        return maas_sk_fail(s, MAAS_E_TOO_LARGE, "the trees have more than %d nodes", INT32_MAX);
    const int32_t base = (int32_t)f->n_nodes;
    AUTO_FREE double *said = maas_calloc((size_t)leaf->n, sizeof *said);
    if (!said)
        return maas_sk_fail(s, MAAS_E_NOMEM, "reading a tree");
    for (int64_t i = 0; i < t->n_nodes; i++)
        MAAS_TRY(add_node(s, t, columns, i, leaf, said, f, base));
    return forest_said(s, maas_forest_add_tree(f, base, &why), &why);
}

maas_status maas_sk_forest_create(maas_sk *s, int64_t n_features, int64_t n_targets,
                                  maas_forest **out)
{
    maas_err why = {0};
    if (n_features < 1 || n_features > INT32_MAX || n_targets < 1 || n_targets > INT32_MAX)
        return maas_sk_fail(s, MAAS_E_FORMAT, "trees for %lld features with %lld results",
                            (long long)n_features, (long long)n_targets);
    return forest_said(s,
                       maas_forest_create((int32_t)n_features, (int32_t)n_targets, MAAS_FOREST_SUM,
                                          s->arena->budget, out, &why),
                       &why);
}

void maas_sk_auto_forest(maas_forest **f)
{
    maas_forest_destroy(*f);
}

maas_vid maas_sk_forest_run(maas_sk *s, const maas_forest *f, maas_vid x)
{
    return maas_b_forest(&s->b, f, x, true);
}

/* ---- leaves ---- */

static void as_they_are(const maas_sk_tree *t, int64_t node, double *out, maas_sk_leaf *leaf)
{
    memcpy(out, t->values + node * t->n_outputs * t->width, (size_t)leaf->n * sizeof *out);
}

static void fractions(const maas_sk_tree *t, int64_t node, double *out, maas_sk_leaf *leaf)
{
    double sum = 0;
    as_they_are(t, node, out, leaf);
    for (int32_t k = 0; k < leaf->n; k++)
        sum += out[k];
    for (int32_t k = 0; k < leaf->n && sum != 0; k++)
        out[k] /= sum;
}

maas_sk_leaf maas_sk_leaf_classes(const maas_sk *s, int64_t n_classes)
{
    return (maas_sk_leaf){.fn = s->version >= 10500 ? as_they_are : fractions,
                          .n = (int32_t)n_classes};
}

maas_sk_leaf maas_sk_leaf_values(int64_t n_outputs)
{
    return (maas_sk_leaf){.fn = as_they_are, .n = (int32_t)n_outputs};
}
