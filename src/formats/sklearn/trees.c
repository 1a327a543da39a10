/*
 * formats/sklearn/trees.c - decision trees, and forests that average them.
 *
 * A classifier's trees give fractions of classes, a regressor's give values; an ensemble divides
 * their sum by the number of trees, in the maker's order, so that ties fall as the maker's do.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "formats/sklearn/parts.h"
#include "formats/sklearn/tree.h"

#include "base/ban.h"

/* What all trees of an estimator must agree on, and what their leaves say. */
typedef struct grove {
    const maas_pk *list; /* of estimators; NULL: one tree, the estimator itself */
    int64_t n_trees, n_features, n_outputs, width;
    maas_sk_leaf leaf;
} grove;

static maas_status add_tree(maas_sk *s, const maas_pk *est, int64_t number, grove *g,
                            maas_forest *f)
{
    AUTO(maas_sk_tree_reset) maas_sk_tree t = {0};
    MAAS_TRY(maas_sk_tree_read(s, est, number, g->n_features, &t));
    if (t.n_outputs != g->n_outputs || t.width != g->width)
        return maas_sk_fail(s, MAAS_E_FORMAT,
                            "%s.values has %lld x %lld numbers a node, expected "
                            "%lld x %lld",
                            t.place, (long long)t.n_outputs, (long long)t.width,
                            (long long)g->n_outputs, (long long)g->width);
    return maas_sk_tree_add(s, &t, NULL, &g->leaf, f);
}

/* Sums of what the trees say: [n, n_outputs * width]. */
static maas_status grow(maas_sk *s, const maas_pk *est, const maas_sk_table *in, grove *g,
                        maas_vid *out)
{
    AUTO(maas_sk_auto_forest) maas_forest *f = NULL;
    g->n_trees = 1;
    MAAS_TRY(maas_sk_int(s, est, "n_features_in_", &g->n_features));
    if (g->list)
        MAAS_TRY(maas_sk_items(s, est, "estimators_", &g->list, &g->n_trees));
    MAAS_TRY(maas_sk_forest_create(s, g->n_features, g->n_outputs * g->width, &f));
    for (int64_t i = 0; i < g->n_trees; i++)
        MAAS_TRY(add_tree(s, g->list ? maas_pk_at(g->list, i) : est, g->list ? i : -1, g, f));
    maas_vid x = maas_sk_narrow(s, maas_sk_matrix(s, in, g->n_features));
    *out = maas_sk_forest_run(s, f, x);
    if (g->n_trees > 1)
        *out = maas_b_op2(&s->b, "Div", *out, maas_sk_f64(s, (double)g->n_trees));
    return s->b.status;
}

static maas_status classifier(maas_sk *s, const maas_pk *est, const maas_sk_table *in, bool many,
                              maas_sk_out *out)
{
    int64_t n_outputs, n_classes;
    MAAS_TRY(maas_sk_int(s, est, "n_outputs_", &n_outputs));
    if (n_outputs != 1)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED,
                            "n_outputs_ is %lld: classifiers of several targets are not read, "
                            "fit one a target",
                            (long long)n_outputs);
    MAAS_TRY(maas_sk_int(s, est, "n_classes_", &n_classes));
    MAAS_TRY(maas_sk_classes(s, est, "classes_", n_classes, &out->classes));
    grove g = {.list = many ? est : NULL,
               .n_outputs = 1,
               .width = n_classes,
               .leaf = maas_sk_leaf_classes(s, n_classes)};
    MAAS_TRY(grow(s, est, in, &g, &out->probabilities));
    out->label = maas_sk_label(s, maas_sk_argmax(s, out->probabilities), out->classes);
    return s->b.status;
}

static maas_status regressor(maas_sk *s, const maas_pk *est, const maas_sk_table *in, bool many,
                             maas_sk_out *out)
{
    grove g = {.list = many ? est : NULL, .width = 1};
    MAAS_TRY(maas_sk_int(s, est, "n_outputs_", &g.n_outputs));
    g.leaf = maas_sk_leaf_values(g.n_outputs);
    MAAS_TRY(grow(s, est, in, &g, &out->value));
    if (g.n_outputs == 1)
        out->value = maas_sk_flat(s, out->value);
    return s->b.status;
}

static maas_status tree_classifier(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                   unsigned need, maas_sk_out *out)
{
    return classifier(s, est, in, false, out);
}

static maas_status tree_regressor(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                  unsigned need, maas_sk_out *out)
{
    return regressor(s, est, in, false, out);
}

static maas_status forest_classifier(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                     unsigned need, maas_sk_out *out)
{
    return classifier(s, est, in, true, out);
}

static maas_status forest_regressor(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                                    unsigned need, maas_sk_out *out)
{
    return regressor(s, est, in, true, out);
}

/* ---- which leaf a row falls into ---- */

/* Leaf k of all leaves of all trees is column k of the result; one-hot encoding sorts the leaves of
 * a tree by number, which is their order in the tree. */
static void own_column(const maas_sk_tree *t, int64_t node, double *out, maas_sk_leaf *leaf)
{
    int32_t *next = leaf->user;
    (void)t;
    (void)node;
    leaf->first = (*next)++;
    out[0] = 1;
}

static int64_t n_leaves(const maas_sk_tree *t)
{
    int64_t n = 0;
    for (int64_t i = 0; i < t->n_nodes; i++)
        n += t->left[i] < 0;
    return n;
}

static maas_status count_leaves(maas_sk *s, const maas_pk *list, int64_t n_trees,
                                int64_t n_features, int64_t *out)
{
    *out = 0;
    for (int64_t i = 0; i < n_trees; i++) {
        AUTO(maas_sk_tree_reset) maas_sk_tree t = {0};
        MAAS_TRY(maas_sk_tree_read(s, maas_pk_at(list, i), i, n_features, &t));
        *out += n_leaves(&t);
    }
    return MAAS_OK;
}

static maas_status embedding(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                             maas_sk_out *out)
{
    AUTO(maas_sk_auto_forest) maas_forest *f = NULL;
    const maas_pk *list;
    int64_t n_trees, n_features, n_columns;
    int32_t next = 0;
    maas_sk_leaf leaf = {.fn = own_column, .user = &next, .n = 1};
    MAAS_TRY(maas_sk_int(s, est, "n_features_in_", &n_features));
    MAAS_TRY(maas_sk_items(s, est, "estimators_", &list, &n_trees));
    MAAS_TRY(count_leaves(s, list, n_trees, n_features, &n_columns));
    MAAS_TRY(maas_sk_forest_create(s, n_features, n_columns, &f));
    for (int64_t i = 0; i < n_trees; i++) {
        AUTO(maas_sk_tree_reset) maas_sk_tree t = {0};
        MAAS_TRY(maas_sk_tree_read(s, maas_pk_at(list, i), i, n_features, &t));
        MAAS_TRY(maas_sk_tree_add(s, &t, NULL, &leaf, f));
    }
    maas_vid x = maas_sk_narrow(s, maas_sk_matrix(s, in, n_features));
    out->transformed = maas_sk_table_of(maas_sk_forest_run(s, f, x), n_columns);
    return s->b.status;
}

/* ---- isolation ---- */

/* Mean depth of a random tree over n rows. */
static double average_path(double n)
{
    if (n <= 1)
        return 0;
    if (n == 2)
        return 1;
    const double euler_gamma = 0.57721566490153286061;
    return 2 * (log(n - 1) + euler_gamma) - 2 * (n - 1) / n;
}

/* Edges on the way to a leaf, and those that rows sharing it would still have had. */
static void path_length(const maas_sk_tree *t, int64_t node, double *out, maas_sk_leaf *leaf)
{
    const int64_t *depth = leaf->user;
    out[0] = (double)depth[node] + average_path((double)t->n_rows[node]);
}

static maas_status add_isolation_tree(maas_sk *s, const maas_pk *est, int64_t number,
                                      const maas_tensor *columns, maas_forest *f)
{
    AUTO(maas_sk_tree_reset) maas_sk_tree t = {0};
    MAAS_TRY(maas_sk_tree_read(s, est, number, columns->dims[0], &t));
    int64_t *depth = maas_arena_array(&t.arena, (size_t)t.n_nodes, sizeof *depth);
    if (!depth)
        return maas_sk_fail(s, MAAS_E_NOMEM, "reading a tree");
    for (int64_t i = 0; i < t.n_nodes; i++)
        if (t.left[i] >= 0)
            depth[t.left[i]] = depth[t.right[i]] = depth[i] + 1;
    maas_sk_leaf leaf = {.fn = path_length, .user = depth, .n = 1};
    return maas_sk_tree_add(s, &t, columns->data, &leaf, f);
}

static maas_status isolation_forest(maas_sk *s, const maas_pk *est, maas_forest *f,
                                    int64_t *n_trees)
{
    const maas_pk *trees, *columns = maas_pk_attr(est, "estimators_features_");
    MAAS_TRY(maas_sk_items(s, est, "estimators_", &trees, n_trees));
    if (maas_pk_count(columns) != *n_trees)
        return maas_sk_fail(s, MAAS_E_FORMAT, "estimators_features_ has %lld items, expected %lld",
                            (long long)maas_pk_count(columns), (long long)*n_trees);
    for (int64_t i = 0; i < *n_trees; i++) {
        const maas_tensor *which;
        MAAS_TRY(maas_sk_columns_of(s, maas_pk_at(columns, i), i, f->n_features, &which));
        MAAS_TRY(add_isolation_tree(s, maas_pk_at(trees, i), i, which, f));
    }
    return MAAS_OK;
}

static maas_status isolation(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                             maas_sk_out *out)
{
    AUTO(maas_sk_auto_forest) maas_forest *f = NULL;
    int64_t n_features, n_trees, n_rows;
    double offset;
    MAAS_TRY(maas_sk_int(s, est, "n_features_in_", &n_features));
    MAAS_TRY(maas_sk_double(s, est, "offset_", &offset));
    MAAS_TRY(maas_sk_int(s, est, maas_sk_has(est, "_max_samples") ? "_max_samples" : "max_samples_",
                         &n_rows));
    MAAS_TRY(maas_sk_forest_create(s, n_features, 1, &f));
    MAAS_TRY(isolation_forest(s, est, f, &n_trees));
    const double whole = (double)n_trees * average_path((double)n_rows);
    maas_builder *b = &s->b;
    maas_vid depths = maas_sk_forest_run(s, f,
                                         maas_sk_narrow(s, maas_sk_matrix(s, in, n_features)));
    maas_vid share = whole != 0 ? maas_b_op2(b, "Div", depths, maas_sk_f64(s, -whole))
                                : maas_b_op2(b, "Sub", maas_b_op2(b, "Sub", depths, depths),
                                             maas_sk_f64(s, 1));
    maas_vid score = maas_b_op1(b, "Neg", maas_b_op2(b, "Pow", maas_sk_f64(s, 2), share));
    out->scores = maas_b_op2(b, "Sub", score, maas_sk_f64(s, offset));
    out->label = maas_sk_inlier(s, out->scores, 0, true);
    return s->b.status;
}

#define TREE   "sklearn.tree._classes sklearn.tree.tree"
#define FOREST "sklearn.ensemble._forest sklearn.ensemble.forest"
const maas_sk_row maas_sk_trees[] = {
    {"DecisionTreeClassifier", TREE, MAAS_SK_CLASSIFIER, tree_classifier},
    {"DecisionTreeRegressor", TREE, MAAS_SK_REGRESSOR, tree_regressor},
    {"ExtraTreeClassifier", TREE, MAAS_SK_CLASSIFIER, tree_classifier},
    {"ExtraTreeRegressor", TREE, MAAS_SK_REGRESSOR, tree_regressor},
    {"ExtraTreesClassifier", FOREST, MAAS_SK_CLASSIFIER, forest_classifier},
    {"ExtraTreesRegressor", FOREST, MAAS_SK_REGRESSOR, forest_regressor},
    {"IsolationForest", "sklearn.ensemble._iforest sklearn.ensemble.iforest", MAAS_SK_OUTLIER,
     isolation},
    {"RandomForestClassifier", FOREST, MAAS_SK_CLASSIFIER, forest_classifier},
    {"RandomForestRegressor", FOREST, MAAS_SK_REGRESSOR, forest_regressor},
    {"RandomTreesEmbedding", FOREST, MAAS_SK_TRANSFORMER, embedding},
    {0},
};
