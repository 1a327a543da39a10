/*
 * Importances of features, as scikit-learn computes them from fitted coefficients and trees: what
 * SelectFromModel compares with its threshold.
 */
#include "formats/sklearn/importance.h"

#include <math.h>

#include "base/ban.h"

/* ---- coefficients ---- */

static double norm_of(const double *coef, int64_t rows, int64_t cols, int64_t k, double order)
{
    double acc = 0;
    for (int64_t i = 0; i < rows; i++) {
        const double v = fabs(coef[i * cols + k]);
        acc = isinf(order) ? fmax(acc, v) : acc + (order == 1 ? v : pow(v, order));
    }
    return isinf(order) || order == 1 ? acc : pow(acc, 1 / order);
}

static maas_status from_coefficients(maas_sk *s, const maas_pk *coef, double order, int64_t n,
                                     double *out)
{
    const maas_tensor *raw = maas_pk_array(coef), *t;
    int64_t dims[] = {-1, n};
    const int rank = raw ? raw->rank : 1;
    if (rank != 1 && rank != 2)
        return maas_sk_fail(s, MAAS_E_FORMAT, "coef_ has %d dimensions", rank);
    MAAS_TRY(
        maas_sk_array_of(s, coef, "coef_", MAAS_F64, rank, rank == 2 ? dims : dims + 1, false, &t));
    for (int64_t k = 0; k < n; k++)
        out[k] = rank == 2 ? norm_of(t->data, dims[0], n, k, order)
                           : fabs(((const double *)t->data)[k]);
    return MAAS_OK;
}

/* ---- trees ---- */

typedef struct tree_arrays {
    int64_t n;
    const int64_t *left, *right, *feature;
    const double *impurity, *weight;
} tree_arrays;

static maas_status field(maas_sk *s, const maas_pk *nodes, const char *name, maas_dtype dtype,
                         int64_t *n, const void **out)
{
    maas_tensor t;
    const maas_status st = maas_pk_array_field(nodes, name, dtype, s->arena, &t, s->b.err);
    if (st != MAAS_OK)
        return maas_sk_fail(s, st, "tree_: field '%s' cannot be read", name);
    if (t.rank != 1 || (*n >= 0 && t.dims[0] != *n))
        return maas_sk_fail(s, MAAS_E_FORMAT, "tree_: field '%s' has another length", name);
    *n = t.dims[0];
    *out = t.data;
    return MAAS_OK;
}

static maas_status tree_of(maas_sk *s, const maas_pk *tree, int64_t n_features, tree_arrays *t)
{
    const maas_pk *nodes = maas_pk_attr(tree, "nodes");
    *t = (tree_arrays){.n = -1};
    MAAS_TRY(field(s, nodes, "left_child", MAAS_I64, &t->n, (const void **)&t->left));
    MAAS_TRY(field(s, nodes, "right_child", MAAS_I64, &t->n, (const void **)&t->right));
    MAAS_TRY(field(s, nodes, "feature", MAAS_I64, &t->n, (const void **)&t->feature));
    MAAS_TRY(field(s, nodes, "impurity", MAAS_F64, &t->n, (const void **)&t->impurity));
    MAAS_TRY(
        field(s, nodes, "weighted_n_node_samples", MAAS_F64, &t->n, (const void **)&t->weight));
    if (t->n < 1)
        return maas_sk_fail(s, MAAS_E_FORMAT, "tree_ has no nodes");
    for (int64_t i = 0; i < t->n; i++)
        if (t->left[i] != -1 &&
            (t->left[i] < 0 || t->left[i] >= t->n || t->right[i] < 0 || t->right[i] >= t->n ||
             t->feature[i] < 0 || t->feature[i] >= n_features))
            return maas_sk_fail(s, MAAS_E_FORMAT, "tree_: node %lld points outside", (long long)i);
    return MAAS_OK;
}

/* What splits on each feature took away of the impurity is added to out[]; whole: divided by sum.
 */
static maas_status add_tree(maas_sk *s, const maas_pk *est, int64_t n, bool whole, double *scratch,
                            double *out)
{
    tree_arrays t;
    double sum = 0;
    MAAS_TRY(tree_of(s, maas_pk_attr(est, "tree_"), n, &t));
    memset(scratch, 0, (size_t)n * sizeof *scratch);
    for (int64_t i = 0; i < t.n; i++) {
        const int64_t l = t.left[i], r = t.right[i];
        if (l != -1)
            scratch[t.feature[i]] += t.weight[i] * t.impurity[i] - t.weight[l] * t.impurity[l] -
                                     t.weight[r] * t.impurity[r];
    }
    for (int64_t k = 0; k < n; k++) {
        scratch[k] /= t.weight[0];
        sum += scratch[k];
    }
    for (int64_t k = 0; k < n; k++)
        out[k] += whole && sum > 0 ? scratch[k] / sum : scratch[k];
    return MAAS_OK;
}

/* Trees of more than one node; a tree without a split says nothing. */
static bool has_split(const maas_pk *est)
{
    int64_t n;
    return maas_pk_to_int(maas_pk_attr(maas_pk_attr(est, "tree_"), "node_count"), &n) && n > 1;
}

static maas_status from_trees(maas_sk *s, const maas_pk *est, int64_t n, double *out)
{
    const maas_pk *trees = maas_pk_attr(est, "estimators_");
    const bool boosted = maas_sk_is(est, "GradientBoostingClassifier") ||
                         maas_sk_is(est, "GradientBoostingRegressor");
    double *scratch = maas_sk_alloc(s, (size_t)n, sizeof *scratch);
    int64_t used = 0;
    double sum = 0;
    if (!scratch)
        return s->b.status;
    for (int64_t i = 0; i < maas_pk_count(trees); i++) {
        if (!has_split(maas_pk_at(trees, i)))
            continue;
        MAAS_TRY(add_tree(s, maas_pk_at(trees, i), n, !boosted, scratch, out));
        used++;
    }
    for (int64_t k = 0; k < n; k++) {
        out[k] /= used ? (double)used : 1;
        sum += out[k];
    }
    for (int64_t k = 0; k < n; k++)
        out[k] /= sum > 0 ? sum : 1;
    return MAAS_OK;
}

static bool is_forest(const maas_pk *est)
{
    static const char *const names[] = {"RandomForestClassifier",     "RandomForestRegressor",
                                        "ExtraTreesClassifier",       "ExtraTreesRegressor",
                                        "GradientBoostingClassifier", "GradientBoostingRegressor"};
    for (size_t i = 0; i < MAAS_COUNT(names); i++)
        if (maas_sk_is(est, names[i]))
            return true;
    return false;
}

maas_status sk_importances(maas_sk *s, const maas_pk *est, double order, int64_t n, double *out)
{
    if (maas_sk_has(est, "coef_"))
        return from_coefficients(s, maas_pk_attr(est, "coef_"), order, n, out);
    double *scratch = maas_sk_alloc(s, (size_t)n, sizeof *scratch);
    if (!scratch)
        return s->b.status;
    memset(out, 0, (size_t)n * sizeof *out);
    if (maas_sk_has(est, "tree_"))
        return add_tree(s, est, n, true, scratch, out);
    if (is_forest(est))
        return from_trees(s, est, n, out);
    return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "importances of %s are not stored with it",
                        maas_pk_kind_text(est));
}
