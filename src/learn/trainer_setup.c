/* learn/trainer_setup.c - from a job to graphs and plans. */
#include "learn/trainer.h"

#include <math.h>

#include "base/mem.h"

#include "base/ban.h"

#define LINEAR_STEPS  2000 /* convex problems on scaled inputs are at their optimum after these */
#define LINEAR_EPOCHS 500  /* enough even where one epoch is one step */
#define EVAL_ROWS     256  /* evaluation has no reason for small batches */

/* ---- recipe ---- */

/* What an update may not change: the weights would not fit, or inputs would mean something else. */
static const char *const kept[] = {"layers",         "loss",        "scaling",    "target_scaling",
                                   "max_categories", "preparation", "categories", "hash_buckets",
                                   "towers",         NULL};

/* Is `v` only another way to write what the parent has? Both go through the table. */
static bool says_the_same(maas_fit *r, const json_t *params, const char *key, json_t *v)
{
    maas_recipe other;
    AUTO(maas_json_unref) json_t *with = json_copy((json_t *)params);
    if (!with || json_object_set(with, key, v) ||
        maas_learner_read(r->learner, with, &r->arena, &other, NULL) != MAAS_OK)
        return false;
    AUTO(maas_json_unref) json_t *dump = maas_learner_dump(r->learner, &other);
    return json_equal(json_object_get(json_object_get(dump, "params"), key),
                      json_object_get(params, key));
}

static maas_status merge(maas_fit *r, json_t *params, const json_t *changes,
                         const char *const *fixed, maas_err *err)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)changes, key, v)
    {
        json_t *old = json_object_get(params, key);
        for (int i = 0; fixed[i]; i++)
            if (strcmp(fixed[i], key) == 0 && !says_the_same(r, params, key, v))
                return maas_fail(err, MAAS_E_INVALID,
                                 "params.%s: an update keeps that of its parent; leave it out",
                                 key);
        const json_t *type = json_object_get(v, "type");
        int bad = 0;
        if (json_is_object(old) && json_is_object(v) &&
            (!type || json_equal(type, json_object_get(old, "type"))))
            bad = json_object_update(old, v);
        else
            bad = json_object_set(params, key, v);
        if (bad)
            return maas_fail(err, MAAS_E_NOMEM, "reading params");
    }
    return MAAS_OK;
}

static maas_status check_compressed(const json_t *recipe, maas_err *err)
{
    const char *step = json_string_value(json_object_get(recipe, "compressed"));
    return !step ? MAAS_OK
                 : maas_fail(err, MAAS_E_CONFLICT,
                             "the parent version was compressed by '%.40s', which ends its "
                             "training: update the version it was made from",
                             step);
}

static maas_status params_of_update(maas_fit *r, maas_err *err)
{
    const char *text = maas_graph_meta(r->job->parent, "maas.recipe");
    if (!text)
        return maas_fail(err, MAAS_E_CONFLICT,
                         "the parent version was not trained here: it has no recipe");
    AUTO(maas_json_unref) json_t *recipe = NULL;
    MAAS_TRY(maas_json_parse(maas_span_str(text), &recipe, err));
    const char *learner = json_string_value(json_object_get(recipe, "learner"));
    MAAS_TRY(check_compressed(recipe, err));
    if (!learner || strcmp(learner, r->learner) != 0)
        return maas_fail(err, MAAS_E_CONFLICT,
                         "the parent version was trained by '%.60s', not by '%s'",
                         learner ? learner : "", r->learner);
    r->params = json_incref(json_object_get(recipe, "params"));
    if (!json_is_object(r->params))
        return maas_fail(err, MAAS_E_FORMAT, "the parent version's recipe has no params");
    return r->job->params ? merge(r, r->params, r->job->params, kept, err) : MAAS_OK;
}

/* Any graph can be gone on from; one that fine_tune made says how it was done, but for its head. */
static maas_status params_of_tuning(maas_fit *r, maas_err *err)
{
    static const char *const nothing[] = {NULL};
    AUTO(maas_json_unref) json_t *recipe = NULL;
    const char *text = maas_graph_meta(r->job->parent, "maas.recipe");
    if (text)
        MAAS_TRY(maas_json_parse(maas_span_str(text), &recipe, err));
    MAAS_TRY(check_compressed(recipe, err));
    const char *learner = json_string_value(json_object_get(recipe, "learner"));
    const json_t *old = json_object_get(recipe, "params");
    r->params = learner && strcmp(learner, r->learner) == 0 && json_is_object(old)
                    ? json_deep_copy(old)
                    : json_object();
    if (!r->params)
        return maas_fail(err, MAAS_E_NOMEM, "reading params");
    json_object_del(r->params, "head");
    json_object_del(r->params, "head_after");
    return r->job->params ? merge(r, r->params, r->job->params, nothing, err) : MAAS_OK;
}

static maas_status read_recipe(maas_fit *r, maas_err *err)
{
    const maas_learner *l = maas_learner_find(r->learner);
    if (l && l->any_parent)
        MAAS_TRY(params_of_tuning(r, err));
    else if (r->job->parent)
        MAAS_TRY(params_of_update(r, err));
    else
        r->params = json_incref((json_t *)r->job->params);
    return maas_learner_read(r->learner, r->params, &r->arena, &r->recipe, err);
}

/* ---- sizes ---- */

/* A step over a graph computes all of its nodes, so it learns from all that have a target. */
int64_t maas_fit_batch(const maas_fit *r)
{
    return r->edges.n_nodes ? r->order.n : r->recipe.batch_size;
}

uint32_t maas_fit_n_raw(const maas_fit *r)
{
    return r->edges.n_nodes ? 1 : maas_features_n_raw(&r->features);
}

static void settle_epochs(maas_fit *r)
{
    maas_recipe *c = &r->recipe;
    const int64_t rows = maas_fit_batch(r) * c->accumulate; /* of a step */
    r->steps_per_epoch = (r->order.n + rows - 1) / rows;
    if (c->epochs != MAAS_EPOCHS_AUTO)
        return;
    c->epochs = (LINEAR_STEPS + r->steps_per_epoch - 1) / r->steps_per_epoch;
    c->epochs = c->epochs < 5 ? 5 : c->epochs > LINEAR_EPOCHS ? LINEAR_EPOCHS : c->epochs;
}

/* ---- plans ---- */

void maas_runner_reset(maas_runner *x)
{
    maas_exec_destroy(x->exec);
    maas_plan_destroy(x->plan);
    maas_free(x->inputs);
    *x = (maas_runner){0};
}

static void fix_rows(const maas_graph *g, int64_t rows, maas_type *out)
{
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        out[i] = maas_graph_at(g, g->inputs[i])->type;
        for (int d = 0; d < out[i].rank; d++)
            if (out[i].dims[d] < 0)
                out[i].dims[d] = rows;
    }
}

static void gather_share(void *user, int ithr, int nthr)
{
    const maas_runner *x = user;
    const int64_t from = x->rows * ithr / nthr, to = x->rows * (ithr + 1) / nthr;
    for (int64_t i = from; x->nodes && i < to; i++)
        ((int64_t *)x->inputs[0])[i] = x->now.rows[i];
    if (x->nodes)
        return;
    if (x->augment)
        maas_augment_gather(x->augment, x->seed, &x->now, from, to, x->inputs[0]);
    else
        maas_features_gather(x->features, &x->now, from, to, x->inputs);
}

maas_status maas_runner_init(maas_fit *r, const maas_graph *g, int64_t rows, bool training,
                             maas_runner *out, maas_err *err)
{
    if (rows == 0)
        return MAAS_OK;
    AUTO_FREE maas_type *types = maas_calloc(g->n_inputs + 1, sizeof *types);
    out->inputs = maas_calloc(maas_fit_n_raw(r) + 1, sizeof *out->inputs);
    if (!types || !out->inputs)
        return maas_fail(err, MAAS_E_NOMEM, "planning a training step");
    fix_rows(g, rows, types);
    maas_plan_opts opts = MAAS_PLAN_OPTS_INIT;
    opts.n_threads = r->job->n_threads;
    opts.training = training;
    opts.budget = r->job->budget;
    MAAS_TRY(maas_plan_create(g, types, &opts, &out->plan, err));
    MAAS_TRY(maas_exec_create(out->plan, r->vars, &out->exec, err));
    for (uint32_t i = 0; i < maas_fit_n_raw(r); i++)
        out->inputs[i] = maas_exec_input(out->exec, i)->data;
    out->rows = rows;
    out->features = &r->features;
    out->augment = training && r->augment.column ? &r->augment : NULL;
    out->nodes = r->edges.n_nodes > 0;
    maas_exec_feed(out->exec, gather_share, out);
    return MAAS_OK;
}

/* For `n` rows, `most` at a time, and what is left. */
static maas_status make_pair(maas_fit *r, const maas_graph *g, int64_t n, int64_t most,
                             maas_runner *full, maas_runner *tail, maas_err *err)
{
    const bool training = g == r->train_graph.g;
    MAAS_TRY(maas_runner_init(r, g, n >= most ? most : 0, training, full, err));
    return maas_runner_init(r, g, n % most, training, tail, err);
}

static maas_status make_runners(maas_fit *r, maas_err *err)
{
    const int64_t batch = maas_fit_batch(r), most =
                                                 /* A network from elsewhere may be large: what a
                                                    step has memory for, evaluation has, too. */
                                             batch > EVAL_ROWS || r->tune.g ? batch : EVAL_ROWS;
    const int64_t n_eval = r->val.n ? r->val_samples.n : r->order.n;
    MAAS_TRY(make_pair(r, r->train_graph.g, r->order.n, batch, &r->full, &r->tail, err));
    if (r->sum_graph.g && r->order.n > batch)
        MAAS_TRY(maas_runner_init(r, r->sum_graph.g, batch, true, &r->sum, err));
    /* Without validation rows the training rows are scored once, at the end. */
    MAAS_TRY(make_pair(r, r->eval_graph, n_eval, r->edges.n_nodes ? n_eval : most, &r->eval_full,
                       &r->eval_tail, err));
    return make_pair(r, r->eval_graph, r->ranking.samples.n, most, &r->rank_full, &r->rank_tail,
                     err);
}

static maas_status make_graphs(maas_fit *r, maas_rng *rng, maas_err *err)
{
    r->parts = (maas_model_parts){.features = &r->features,
                                  .target = &r->target,
                                  .soft = &r->soft,
                                  .tune = r->tune.g ? &r->tune : NULL,
                                  .teaching = r->job->teaching,
                                  .bytes = r->job->bytes,
                                  .edges = r->edges.n_nodes ? &r->edges : NULL,
                                  .recipe = &r->recipe,
                                  .learner = r->learner,
                                  .parent = r->job->parent,
                                  .budget = r->job->budget};
    MAAS_TRY(maas_model_resolve(&r->parts, err));
    MAAS_TRY(maas_model_train_graph(&r->parts, rng, false, &r->train_graph, err));
    if (r->recipe.accumulate > 1)
        MAAS_TRY(maas_model_train_graph(&r->parts, NULL, true, &r->sum_graph, err));
    MAAS_TRY(maas_model_eval_graph(&r->parts, &r->eval_graph, err));
    return maas_vars_create(r->train_graph.g, r->job->budget, &r->vars, err);
}

/* Constants are measured on training rows; of a graph all nodes are there while it learns. */
static maas_status measured_rows(maas_fit *r, maas_rows *out, maas_err *err)
{
    *out = r->train;
    if (!r->edges.n_nodes)
        return MAAS_OK;
    out->n = r->edges.n_nodes;
    out->at = maas_arena_alloc(&r->arena, (size_t)out->n * sizeof *out->at);
    for (int64_t i = 0; out->at && i < out->n; i++)
        out->at[i] = (uint32_t)i;
    return out->at ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "%lld nodes", (long long)out->n);
}

static maas_status fit_features(maas_fit *r, const maas_train_job *job, maas_err *err)
{
    const maas_layer_spec *first = r->recipe.layers.items;
    const maas_graph_spec *graph = &r->recipe.graph;
    const char *const skip[] = {job->target, json_string_value(graph->id),
                                json_string_value(graph->split)};
    const maas_features_opts opts = {
        .scaling = r->recipe.scaling,
        .max_categories = r->recipe.max_categories,
        .ids = r->recipe.layers.n && first->type == MAAS_LAYER_EMBEDDING,
        .matrix = true,
        .fields = maas_layers_have_fields(&r->recipe),
        .categories = r->recipe.categories,
        .hash_buckets = r->recipe.hash_buckets,
        .towers = r->recipe.towers,
        .preparation = r->recipe.preparation.on ? &r->recipe.preparation : NULL,
        .target = &r->target,
        .by_name = r->tune.g && maas_tune_by_name(&r->tune),
        .skip = skip,
        .n_skip = MAAS_COUNT(skip),
    };
    maas_rows all;
    MAAS_TRY(measured_rows(r, &all, err));
    MAAS_TRY(maas_features_fit(&r->features, job->data, &opts, &all, r->tune.g ? NULL : job->parent,
                               job->budget, err));
    if (r->edges.n_nodes)
        MAAS_TRY(maas_edges_gather(&r->edges, &r->features, err));
    if (r->tune.g && r->recipe.scaling == MAAS_SCALING_UNIT && r->features.raw != MAAS_U8)
        return maas_fail(err, MAAS_E_INVALID,
                         "params.scaling: unit is for a model of one input that a column of bytes "
                         "feeds");
    return r->tune.g ? maas_tune_check_cells(&r->tune, &r->features, err) : MAAS_OK;
}

/* Which rows an epoch has, and which validation. */
static maas_status choose_samples(maas_fit *r, maas_err *err)
{
    maas_negatives *g = &r->negatives;
    maas_budget *budget = r->job->budget;
    MAAS_TRY(maas_negatives_init(g, &r->recipe, &r->features, &r->target, &r->train, &r->val,
                                 budget, err));
    MAAS_TRY(maas_ranking_init(&r->ranking, g, &r->recipe, &r->val, budget, err));
    MAAS_TRY(maas_negatives_room(g, &r->train, &r->order, err));
    MAAS_TRY(maas_negatives_room(g, &r->val, &r->val_samples, err));
    if (!g->per_row) {
        r->order.rows = r->split.order;
        r->val_samples.rows = r->val.at;
        return MAAS_OK;
    }
    if (r->soft.rows)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "params.negatives: a teacher has no answers for rows that are made up");
    maas_rng rng; /* of its own: validation is the same in every epoch, and after a resumption */
    maas_rng_seed(&rng, (uint64_t)r->recipe.seed ^ 0x76616c);
    maas_negatives_draw(g, &rng, &r->val, MAAS_KNOWN_ALL, &r->val_samples);
    return MAAS_OK;
}

static maas_status deal_rows(maas_fit *r, maas_rng *rng, maas_err *err)
{
    const maas_train_job *job = r->job;
    if (!r->recipe.graph.on)
        return maas_split_init(&r->split, job->data->n_rows, r->recipe.validation,
                               r->recipe.shuffle, rng, job->budget, err);
    if (job->teaching)
        return maas_fail(err, MAAS_E_UNSUPPORTED, "params.graph: a teacher knows no edges");
    MAAS_TRY(maas_edges_fit(&r->edges, job->data, job->edges, &r->recipe.graph, &r->arena, err));
    return maas_graph_rows(&r->split, job->data, job->target, &r->recipe, rng, job->budget, err);
}

maas_status maas_fit_setup(maas_fit *r, const maas_train_job *job, maas_err *err)
{
    *r = (maas_fit){.job = job, .learner = job->learner};
    maas_arena_init(&r->arena, job->budget);
    MAAS_TRY(read_recipe(r, err));
    const maas_learner *l = maas_learner_find(r->learner);
    const maas_graph *parent = job->parent; /* whose classes these are */
    if (l && l->any_parent) {
        MAAS_TRY(
            maas_tune_init(&r->tune, parent, &r->recipe, job->data, job->target, job->budget, err));
        parent = r->tune.new_head ? NULL : r->tune.g;
    }
    maas_rng rng;
    maas_rng_seed(&rng, (uint64_t)r->recipe.seed);
    MAAS_TRY(deal_rows(r, &rng, err));
    r->train = r->split.train;
    r->val = r->split.val;
    MAAS_TRY(maas_target_fit(&r->target, job->data, job->target, &r->recipe, &r->train, parent,
                             job->budget, err));
    MAAS_TRY(maas_soft_init(&r->soft, job->teaching, &r->target, job->budget, err));
    MAAS_TRY(fit_features(r, job, err));
    MAAS_TRY(maas_augment_init(&r->augment, &r->recipe.augment, &r->features, err));
    MAAS_TRY(choose_samples(r, err));
    settle_epochs(r);
    MAAS_TRY(make_graphs(r, &rng, err));
    MAAS_TRY(make_runners(r, err));
    MAAS_TRY(maas_score_init(&r->score, &r->target, 0, job->budget, err));
    MAAS_TRY(maas_score_init(&r->val_score, &r->target, r->val_samples.n, job->budget, err));
    r->rng = rng; /* first values are drawn; what follows is the order of rows */
    r->history = json_array();
    if (!r->history)
        return maas_fail(err, MAAS_E_NOMEM, "metrics");
    return maas_fit_fingerprint(r, err);
}

void maas_fit_reset(maas_fit *r)
{
    for (uint32_t i = 0; r->best_copies && i < maas_vars_n(r->vars); i++)
        maas_free(r->best_copies[i]);
    maas_free(r->best_copies);
    maas_runner_reset(&r->full);
    maas_runner_reset(&r->tail);
    maas_runner_reset(&r->sum);
    maas_runner_reset(&r->eval_full);
    maas_runner_reset(&r->eval_tail);
    maas_runner_reset(&r->rank_full);
    maas_runner_reset(&r->rank_tail);
    maas_vars_destroy(r->vars);
    maas_train_graph_reset(&r->train_graph);
    maas_train_graph_reset(&r->sum_graph);
    maas_graph_destroy(r->eval_graph);
    maas_score_reset(&r->score);
    maas_score_reset(&r->val_score);
    maas_soft_reset(&r->soft);
    maas_target_reset(&r->target);
    maas_tune_reset(&r->tune);
    maas_ranking_reset(&r->ranking);
    if (r->negatives.per_row) { /* else they are of the split */
        maas_samples_free(&r->order);
        maas_samples_free(&r->val_samples);
    }
    maas_negatives_reset(&r->negatives);
    maas_features_reset(&r->features);
    maas_split_reset(&r->split);
    maas_json_unref(&r->history);
    maas_json_unref(&r->params);
    maas_arena_reset(&r->arena);
    *r = (maas_fit){0};
}
