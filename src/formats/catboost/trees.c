/*
 * Symmetric trees: all nodes of a level ask the same question, and the answers are the bits of the
 * leaf's number, the first question giving the lowest. Here they become plain trees, level by
 * level:
 *
 *   level 0                 0
 *   level 1          1             2            node q of level l asks splits[l];
 *   level 2       3     4       5     6         its children are 2q (no) and 2q + 1 (yes)
 */
#include "formats/catboost/catboost_int.h"

#include "base/ban.h"

/* ---- shared by both kinds of trees ---- */

maas_status cat_set_scores(cat_model *x, int64_t n, maas_err *err)
{
    if (n < 1 || n > MAAS_MAX_COLUMNS || (x->n_scores && x->n_scores != n))
        return maas_fail(err, MAAS_E_FORMAT, "%lld values of a leaf, expected %lld", (long long)n,
                         (long long)x->n_scores);
    x->n_scores = n;
    return MAAS_OK;
}

maas_status cat_add_leaf(cat_model *x, size_t at, maas_tree_node *to, maas_err *err)
{
    to->mode = MAAS_SPLIT_LEAF;
    to->count = (uint32_t)x->n_scores;
    for (int64_t k = 0; k < x->n_scores; k++)
        MAAS_TRY(maas_forest_add_weight(x->m.forest, (int32_t)k,
                                        maas_numbers_f64(&x->values)[at + (size_t)k],
                                        k ? NULL : &to->first, err));
    return MAAS_OK;
}

static maas_status read_border(void *ctx, maas_doc *d, maas_err *err)
{
    return maas_doc_f64(d, &((cat_model *)ctx)->split.border, err);
}

static maas_status read_feature(void *ctx, maas_doc *d, maas_err *err)
{
    return maas_doc_i64(d, &((cat_model *)ctx)->split.feature, err);
}

static maas_status read_split_type(void *ctx, maas_doc *d, maas_err *err)
{
    if (maas_doc_next(d) != MAAS_JSON_STRING)
        return maas_doc_fail(d, "a split type", err);
    if (!maas_span_is(d->text, "FloatFeature"))
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "splits of type %.*s need hashes of text, which standard operators cannot "
                         "compute; encode the categories before training",
                         (int)(d->text.n < 32 ? d->text.n : 32), (const char *)d->text.p);
    ((cat_model *)ctx)->split_is_float = true;
    return MAAS_OK;
}

maas_status cat_read_split(void *ctx, maas_doc *d, maas_err *err)
{
    static const maas_doc_field fields[] = {{"border", read_border},
                                            {"float_feature_index", read_feature},
                                            {"split_type", read_split_type}};
    cat_model *x = ctx;
    uint32_t seen = 0;
    x->split_is_float = false;
    MAAS_TRY(maas_doc_object(d, fields, MAAS_COUNT(fields), x, &seen, err));
    if (seen != 7 || x->split.feature < 0 || x->split.feature >= CAT_MAX_COLUMNS)
        return maas_fail(err, MAAS_E_FORMAT,
                         "a split needs border, float_feature_index, split_type");
    return MAAS_OK;
}

/* ---- symmetric trees ---- */

static maas_status add_split(void *ctx, maas_doc *d, maas_err *err)
{
    cat_model *x = ctx;
    if (x->n_splits == CAT_MAX_DEPTH)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "more than %d levels", CAT_MAX_DEPTH);
    MAAS_TRY(cat_read_split(x, d, err));
    x->splits[x->n_splits++] = x->split;
    return MAAS_OK;
}

static maas_status read_splits(void *ctx, maas_doc *d, maas_err *err)
{
    return maas_doc_each(d, "split", add_split, ctx, err);
}
static maas_status read_values(void *ctx, maas_doc *d, maas_err *err)
{
    return maas_doc_numbers(d, &((cat_model *)ctx)->values, err);
}
static maas_status read_weights(void *ctx, maas_doc *d, maas_err *err)
{
    return maas_doc_numbers(d, &((cat_model *)ctx)->weights, err);
}

/* Leaf of a path of answers, written with the first one highest. */
static size_t leaf_of(size_t path, size_t depth)
{
    size_t leaf = 0;
    for (size_t i = 0; i < depth; i++)
        leaf |= (path >> (depth - 1 - i) & 1) << i;
    return leaf;
}

/* Training rows below node q of a level: those of its leaves. */
static double rows_below(const cat_model *x, size_t level, size_t q)
{
    const size_t below = x->n_splits - level;
    double sum = 0;
    for (size_t i = 0; x->weights.n && i < (size_t)1 << below; i++)
        sum += maas_numbers_f64(&x->weights)[leaf_of(q << below | i, x->n_splits)];
    return sum;
}

static maas_status add_node(cat_model *x, size_t level, size_t q, int32_t root, maas_err *err)
{
    maas_tree_node to = {.yes = -1, .no = -1, .cover = (float)rows_below(x, level, q)};
    if (level == x->n_splits) {
        MAAS_TRY(cat_add_leaf(x, leaf_of(q, level) * (size_t)x->n_scores, &to, err));
    } else {
        const size_t next = ((size_t)2 << level) - 1; /* nodes before the next level */
        to.mode = MAAS_SPLIT_GT;
        to.split = x->splits[level].border;
        to.feature = (int32_t)x->splits[level].feature;
        to.no = root + (int32_t)(next + 2 * q);
        to.yes = to.no + 1;
    }
    return maas_forest_add_node(x->m.forest, &to, NULL, err);
}

maas_status cat_read_symmetric(void *ctx, maas_doc *d, maas_err *err)
{
    static const maas_doc_field fields[] = {
        {"leaf_values", read_values}, {"leaf_weights", read_weights}, {"splits", read_splits}};
    cat_model *x = ctx;
    const int32_t root = (int32_t)x->m.forest->n_nodes;
    x->n_splits = x->values.n = x->weights.n = 0;
    MAAS_TRY(maas_doc_object(d, fields, MAAS_COUNT(fields), x, NULL, err));
    const size_t n_leaves = (size_t)1 << x->n_splits;
    if (x->values.n % n_leaves || (x->weights.n && x->weights.n != n_leaves))
        return maas_fail(err, MAAS_E_FORMAT, "%zu splits, %zu leaf_values, %zu leaf_weights",
                         x->n_splits, x->values.n, x->weights.n);
    MAAS_TRY(cat_set_scores(x, (int64_t)(x->values.n / n_leaves), err));
    if (root > INT32_MAX - (4 << CAT_MAX_DEPTH))
        return maas_fail(err, MAAS_E_TOO_LARGE, "more than 2^31 nodes");
    MAAS_TRY(maas_forest_add_tree(x->m.forest, root, err));
    for (size_t level = 0; level <= x->n_splits; level++)
        for (size_t q = 0; q < (size_t)1 << level; q++)
            MAAS_TRY(add_node(x, level, q, root, err));
    return MAAS_OK;
}
