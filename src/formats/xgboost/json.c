/*
 * The document, by table: an object of the file is a table of keys here, in the nesting of the
 * file.
 *
 *   {"learner": {"attributes": {"best_iteration": "7"}, "feature_names": [], "feature_types": [],
 *                "gradient_booster": {"name": "gbtree", "model": {..., "trees": [...]}},
 *                "learner_model_param": {"base_score": "5E-1", "num_class": "0", ...},
 *                "objective": {"name": "binary:logistic", ...}},
 *    "version": [1, 7, 6]}
 *
 * Dart wraps: {"gbtree": {"model": ...}, "weight_drop": [...], "name": "dart"}. What a pickle holds
 * wraps once more: {"Config": {...}, "Model": {"learner": ...}}. Keys may stand in any order.
 */
#include "formats/xgboost/xgboost_int.h"

#include "base/num.h"
#include "base/ban.h"

#define FIELDS(name, ...)                                                                          \
    static maas_status name(void *ctx, maas_doc *d, maas_err *err)                                 \
    {                                                                                              \
        static const maas_doc_field fields[] = {__VA_ARGS__};                                      \
        return maas_doc_object(d, fields, MAAS_COUNT(fields), ctx, NULL, err);                     \
    }
#define NUMBERS(name, member)                                                                      \
    static maas_status name(void *ctx, maas_doc *d, maas_err *err)                                 \
    {                                                                                              \
        return maas_doc_numbers(d, &((xgb_model *)ctx)->member, err);                              \
    }
#define COUNT(name, member)                                                                        \
    static maas_status name(void *ctx, maas_doc *d, maas_err *err)                                 \
    {                                                                                              \
        return maas_doc_loose_i64(d, &((xgb_model *)ctx)->member, err);                            \
    }
#define TEXT(name, member)                                                                         \
    static maas_status name(void *ctx, maas_doc *d, maas_err *err)                                 \
    {                                                                                              \
        xgb_model *x = ctx;                                                                        \
        if (maas_doc_next(d) != MAAS_JSON_STRING || d->text.n >= sizeof x->member)                 \
            return maas_doc_fail(d, "a short text", err);                                          \
        memcpy(x->member, d->text.p, d->text.n);                                                   \
        x->member[d->text.n] = '\0';                                                               \
        return MAAS_OK;                                                                            \
    }

/* ---- a tree ---- */

NUMBERS(read_left, tree.left)
NUMBERS(read_right, tree.right)
NUMBERS(read_feature, tree.feature)
NUMBERS(read_split, tree.split)
NUMBERS(read_default, tree.default_left)
NUMBERS(read_kind, tree.kind)
NUMBERS(read_cover, tree.cover)
NUMBERS(read_cats, tree.cats)
NUMBERS(read_cat_nodes, tree.cat_nodes)
NUMBERS(read_cat_begin, tree.cat_begin)
NUMBERS(read_cat_size, tree.cat_size)
NUMBERS(read_base_weights, tree.base_weights)
NUMBERS(read_leaf_weights, tree.leaf_weights)
COUNT(read_vector, tree.vector)
FIELDS(read_tree_param, {"size_leaf_vector", read_vector})
FIELDS(read_tree_fields, {"left_children", read_left}, {"right_children", read_right},
       {"split_indices", read_feature}, {"split_conditions", read_split},
       {"default_left", read_default}, {"split_type", read_kind}, {"sum_hessian", read_cover},
       {"categories", read_cats}, {"categories_nodes", read_cat_nodes},
       {"categories_segments", read_cat_begin}, {"categories_sizes", read_cat_size},
       {"base_weights", read_base_weights}, {"leaf_weights", read_leaf_weights},
       {"tree_param", read_tree_param})

static maas_status read_tree(void *ctx, maas_doc *d, maas_err *err)
{
    xgb_model *x = ctx;
    xgb_tree *t = &x->tree;
    maas_numbers *const fields[] = {&t->left,         &t->right,     &t->feature,  &t->split,
                                    &t->default_left, &t->kind,      &t->cover,    &t->cats,
                                    &t->cat_nodes,    &t->cat_begin, &t->cat_size, &t->base_weights,
                                    &t->leaf_weights};
    for (size_t i = 0; i < MAAS_COUNT(fields); i++)
        fields[i]->n = 0;
    t->vector = 0;
    MAAS_TRY(read_tree_fields(ctx, d, err));
    return xgb_add_tree(x, err);
}

static maas_status read_trees(void *ctx, maas_doc *d, maas_err *err)
{
    return maas_doc_each(d, "tree", read_tree, ctx, err);
}

/* ---- categories of a DataFrame, from 3.1 on: one item a feature ---- */

NUMBERS(read_code_offsets, code_offsets)
NUMBERS(read_code_values, code_values)
FIELDS(read_codes_of, {"offsets", read_code_offsets}, {"values", read_code_values})

static maas_status read_codes(void *ctx, maas_doc *d, maas_err *err)
{
    xgb_model *x = ctx;
    x->code_offsets.n = x->code_values.n = 0;
    MAAS_TRY(read_codes_of(x, d, err));
    return xgb_add_codes(x, err);
}

static maas_status read_enc(void *ctx, maas_doc *d, maas_err *err)
{
    return maas_doc_each(d, "feature", read_codes, ctx, err);
}

FIELDS(read_cat_names, {"enc", read_enc})

/* ---- boosters ---- */

NUMBERS(read_tree_info, tree_info)
NUMBERS(read_indptr, indptr)
NUMBERS(read_weight_drop, weight_drop)
NUMBERS(read_linear, linear)
COUNT(read_n_parallel, n_parallel)
TEXT(read_booster, booster)
FIELDS(read_gbtree_param, {"num_parallel_tree", read_n_parallel})
FIELDS(read_model, {"trees", read_trees}, {"tree_info", read_tree_info},
       {"iteration_indptr", read_indptr}, {"gbtree_model_param", read_gbtree_param},
       {"weights", read_linear}, {"cats", read_cat_names})
FIELDS(read_dart_trees, {"model", read_model})
FIELDS(read_gradient_booster, {"name", read_booster}, {"model", read_model},
       {"gbtree", read_dart_trees}, {"weight_drop", read_weight_drop})

/* ---- learner ---- */

COUNT(read_best_iteration, best_iteration)
COUNT(read_n_class, n_class)
COUNT(read_n_feature, n_feature)
COUNT(read_n_target, n_target)
TEXT(read_objective_name, objective)

/* "5E-1", and from 3.1 on "[1E-1,2E-1]". */
static maas_status read_base_score(void *ctx, maas_doc *d, maas_err *err)
{
    xgb_model *x = ctx;
    if (maas_doc_next(d) != MAAS_JSON_STRING)
        return maas_doc_fail(d, "text with a number", err);
    maas_span s = d->text;
    const bool many = s.n && *s.p == '[' && maas_span_skip(&s, 1);
    bool more = true;
    for (x->base_score.n = 0; more; more = many && s.n && *s.p == ',' && maas_span_skip(&s, 1)) {
        float v;
        if (!maas_num_f32(&s, &v))
            return maas_doc_fail(d, "numbers", err);
        MAAS_TRY(maas_numbers_add(&x->base_score, (double)v, err));
    }
    if (many && s.n && *s.p == ']')
        maas_span_skip(&s, 1);
    return s.n ? maas_doc_fail(d, "a number, or [numbers]", err) : MAAS_OK;
}

typedef struct name_list {
    xgb_model *x;
    maas_str **list;
    size_t *n, *cap;
} name_list;

static maas_status read_one_name(void *ctx, maas_doc *d, maas_err *err)
{
    const name_list *l = ctx;
    maas_arena *a = &l->x->m.arena;
    if (*l->n == *l->cap) { /* old lists stay in the arena: together as long as the new one */
        size_t cap = *l->cap ? *l->cap * 2 : 64;
        maas_str *p = maas_arena_array(a, cap, sizeof *p);
        if (!p)
            return maas_fail(err, MAAS_E_NOMEM, "%zu names", cap);
        if (*l->n)
            memcpy(p, *l->list, *l->n * sizeof *p);
        *l->list = p;
        *l->cap = cap;
    }
    return maas_doc_str(d, a, &(*l->list)[(*l->n)++], err);
}

static maas_status read_names(void *ctx, maas_doc *d, maas_err *err)
{
    xgb_model *x = ctx;
    name_list l = {x, &x->names, &x->n_names, &x->cap_names};
    return maas_doc_each(d, "name", read_one_name, &l, err);
}

static maas_status read_types(void *ctx, maas_doc *d, maas_err *err)
{
    xgb_model *x = ctx;
    name_list l = {x, &x->types, &x->n_types, &x->cap_types};
    return maas_doc_each(d, "type", read_one_name, &l, err);
}

FIELDS(read_attributes, {"best_iteration", read_best_iteration})
FIELDS(read_model_param, {"base_score", read_base_score}, {"num_class", read_n_class},
       {"num_feature", read_n_feature}, {"num_target", read_n_target})
FIELDS(read_objective, {"name", read_objective_name})
FIELDS(read_learner, {"attributes", read_attributes}, {"feature_names", read_names},
       {"feature_types", read_types}, {"gradient_booster", read_gradient_booster},
       {"learner_model_param", read_model_param}, {"objective", read_objective})

static maas_status read_version(void *ctx, maas_doc *d, maas_err *err)
{
    xgb_model *x = ctx;
    maas_numbers v;
    maas_numbers_init(&v, MAAS_I32, x->opts->budget);
    maas_status st = maas_doc_numbers(d, &v, err);
    for (size_t i = 0; st == MAAS_OK && i < v.n && i < 3; i++)
        x->version[i] = maas_numbers_i32(&v)[i];
    maas_numbers_reset(&v);
    return st;
}

FIELDS(read_wrapped, {"learner", read_learner}, {"version", read_version})
FIELDS(read_root, {"learner", read_learner}, {"version", read_version}, {"Model", read_wrapped})

maas_status xgb_read_document(xgb_model *x, maas_span file, maas_err *err)
{
    maas_doc d;
    maas_doc_init(&d, file);
    MAAS_TRY(read_root(x, &d, err));
    return maas_doc_next(&d) == MAAS_JSON_END ? MAAS_OK : maas_doc_fail(&d, "the end", err);
}
