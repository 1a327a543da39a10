/* The door of this directory: which form a file has, and what was read in the end. */
#include "formats/xgboost/xgboost_int.h"

#include "base/mem.h"
#include "base/ban.h"

static void numbers_init(xgb_model *x)
{
    maas_budget *b = x->opts->budget;
    xgb_tree *t = &x->tree;
    maas_numbers *const whole[] = {&t->left,      &t->right,  &t->feature,     &t->default_left,
                                   &t->kind,      &t->cats,   &t->cat_nodes,   &t->cat_begin,
                                   &t->cat_size,  &t->order,  &t->cat_of,      &x->first_weight,
                                   &x->tree_info, &x->indptr, &x->code_offsets};
    maas_numbers *const real[] = {&t->split,       &t->cover,  &t->leaf_weights, &t->base_weights,
                                  &x->weight_drop, &x->linear, &x->base_score};
    for (size_t i = 0; i < MAAS_COUNT(whole); i++)
        maas_numbers_init(whole[i], MAAS_I32, b);
    for (size_t i = 0; i < MAAS_COUNT(real); i++)
        maas_numbers_init(real[i], MAAS_F32, b);
    maas_numbers_init(&x->code_values, MAAS_F64, b);
}

static void model_reset(xgb_model *x)
{
    xgb_tree *t = &x->tree;
    maas_numbers *const all[] = {
        &t->left,       &t->right,        &t->feature,      &t->default_left, &t->kind,
        &t->cats,       &t->cat_nodes,    &t->cat_begin,    &t->cat_size,     &t->order,
        &t->cat_of,     &x->first_weight, &x->tree_info,    &x->indptr,       &t->split,
        &t->cover,      &t->leaf_weights, &t->base_weights, &x->weight_drop,  &x->linear,
        &x->base_score, &x->code_offsets, &x->code_values};
    for (size_t i = 0; i < MAAS_COUNT(all); i++)
        maas_numbers_reset(all[i]);
    maas_boosted_reset(&x->m);
}

maas_status maas_xgboost_decode(maas_span file, const maas_boosted_opts *o, maas_boosted *out,
                                maas_err *err)
{
    AUTO(model_reset) xgb_model x = {.opts = o, .best_iteration = -1};
    maas_arena_init(&x.m.arena, o->budget);
    numbers_init(&x);
    MAAS_TRY(maas_forest_create(1, 1, MAAS_FOREST_SUM, o->budget, &x.m.forest, err));
    MAAS_TRY(xgb_is_binary(file) ? xgb_read_binary(&x, file, err)
                                 : xgb_read_document(&x, file, err));
    MAAS_TRY(xgb_finish(&x, err));
    *out = x.m;
    x.m = (maas_boosted){0};
    return MAAS_OK;
}

int maas_xgboost_probe(maas_span head)
{
    static const char *const keys[] = {"learner", "version", "Model", "Config"};
    maas_doc d;
    if (xgb_is_binary(head))
        return 95;
    maas_doc_init(&d, head);
    if (maas_doc_next(&d) != MAAS_JSON_OBJECT || maas_doc_next(&d) != MAAS_JSON_KEY)
        return 0;
    for (size_t i = 0; i < MAAS_COUNT(keys); i++)
        if (maas_span_is(d.text, keys[i]))
            return 90;
    return 0;
}

maas_status maas_xgboost_read(maas_span file, maas_budget *budget, maas_graph **out, maas_err *err)
{
    const maas_boosted_opts o = {.budget = budget};
    AUTO(maas_boosted_reset) maas_boosted m = {0};
    MAAS_TRY(maas_xgboost_decode(file, &o, &m, err));
    return maas_boosted_graph(&m, budget, out, err);
}
