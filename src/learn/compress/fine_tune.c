/* learn/compress/fine_tune.c - some more epochs by the learner that trained the model: an update
 * (learn/train.h) whose parent is the graph as the steps before left it. */
#include <math.h>

#include "base/mem.h"
#include "formats/onnx.h"
#include "learn/compress/step.h"
#include "learn/matrix.h"
#include "ops/build.h"
#include "base/ban.h"

static json_t *recipe_of(const maas_graph *g)
{
    json_t *recipe = NULL;
    const char *text = maas_graph_meta(g, "maas.recipe");
    return text && maas_json_parse(maas_span_str(text), &recipe, NULL) == MAAS_OK ? recipe : NULL;
}

static const maas_learner *learner_of(const json_t *recipe)
{
    const char *name = json_string_value(json_object_get(recipe, "learner"));
    if (!recipe) /* from elsewhere: a graph like any other */
        return maas_learner_find("fine_tune");
    const maas_learner *l = name ? maas_learner_find(name) : NULL;
    return l && l->updates && json_is_object(json_object_get(recipe, "params")) &&
                   !json_object_get(recipe, "compressed")
               ? l
               : NULL;
}

/* What differs from the training of the parent: its rows are the seen ones alone, and it is short.
 */
static json_t *changes_of(const maas_step_spec *s, const json_t *recipe)
{
    json_t *p = json_pack("{s:I, s:f, s:n, s:b}", "epochs", (json_int_t)s->fine_tune, "validation",
                          0.0, "early_stopping", "keep_optimizer", 0);
    const json_t *o = json_object_get(json_object_get(recipe, "params"), "optimizer");
    if (p && !isnan(s->lr))
        json_object_set_new(
            p, "optimizer",
            json_pack("{s:O*, s:f}", "type", json_object_get(o, "type"), "lr", s->lr));
    return p;
}

/* The file's bytes live as long as the graph that borrows from them. */
static maas_status graph_of_file(maas_buf *file, maas_budget *budget, maas_graph **out,
                                 maas_err *err)
{
    const maas_onnx_opts o = {.budget = budget};
    maas_graph *g = NULL;
    size_t n;
    char *bytes = maas_buf_steal(file, &n);
    maas_status st = bytes ? maas_onnx_read(maas_span_of(bytes, n), &o, &g, err)
                           : maas_fail(err, MAAS_E_NOMEM, "memory for the trained model");
    if (st == MAAS_OK && !maas_arena_defer(&g->arena, maas_free, bytes))
        st = maas_fail(err, MAAS_E_NOMEM, "memory for the trained model");
    if (st != MAAS_OK) {
        maas_graph_destroy(g);
        maas_free(bytes);
        return st;
    }
    *out = g;
    return MAAS_OK;
}

/* The recipe that the version keeps is its parent's: what it was trained by, but for the layers
 * that a step made smaller. */
static maas_status keep_recipe(const maas_graph *from, maas_graph *to, maas_err *err)
{
    return maas_graph_set_meta(to, "maas.recipe", maas_graph_meta(from, "maas.recipe"), err);
}

/* A new network has a recipe of its own; rows stay held out as they are. */
static maas_status keep_split(const maas_compress_spec *whole, maas_graph *g, maas_err *err)
{
    AUTO(maas_json_unref) json_t *recipe = recipe_of(g);
    json_t *params = json_object_get(recipe, "params");
    if (!params || json_object_set_new(params, "validation", json_real(whole->validation)) ||
        json_object_set_new(params, "seed", json_integer(whole->seed)) ||
        json_object_set_new(params, "shuffle", json_boolean(whole->shuffle)))
        return maas_fail(err, MAAS_E_NOMEM, "memory for a recipe");
    return maas_model_set_meta(g, "maas.recipe", json_incref(recipe), err);
}

static maas_status take_over(maas_step_call *c, bool goes_on, maas_train_result *r, maas_err *err)
{
    maas_graph *g;
    const json_t *loss = json_object_get(r->metrics, "loss");
    MAAS_TRY(graph_of_file(&r->onnx, c->job->budget, &g, err));
    const bool keeps = goes_on && maas_graph_meta(c->g, "maas.recipe");
    const maas_status st = keeps ? keep_recipe(c->g, g, err) : keep_split(c->whole, g, err);
    if (st != MAAS_OK) {
        maas_graph_destroy(g);
        return st;
    }
    maas_graph_destroy(c->g);
    c->g = g;
    if (loss)
        json_object_set(c->said, "loss", (json_t *)loss);
    return maas_graph_infer(g, err);
}

maas_status maas_step_train(maas_step_call *c, const char *learner, const json_t *params,
                            const maas_graph *parent, const maas_teaching *teaching,
                            const maas_tuning *each, maas_err *err)
{
    MAAS_TRY(maas_step_seen(c, err));
    const maas_train_hooks *h = c->job->hooks;
    const maas_train_hooks hooks = {.user = h ? h->user : NULL,
                                    .cancelled = h ? h->cancelled : NULL,
                                    .stepped = each ? each->fn : NULL,
                                    .stepped_user = each ? each->user : NULL};
    const maas_train_job job = {.learner = learner,
                                .params = params,
                                .data = c->seen,
                                .target = c->job->target,
                                .n_threads = c->job->n_threads,
                                .budget = c->job->budget,
                                .parent = parent,
                                .teaching = teaching,
                                .bytes = c->bytes,
                                .hooks = &hooks};
    maas_train_result r = {0};
    maas_status st = maas_train(&job, &r, err);
    if (st == MAAS_OK)
        st = take_over(c, parent != NULL, &r, err);
    maas_train_result_reset(&r);
    return st;
}

maas_status maas_fine_tune(maas_step_call *c, const maas_teaching *teaching,
                           const maas_tuning *each, maas_err *err)
{
    AUTO(maas_json_unref) json_t *recipe = recipe_of(c->g), *params = NULL;
    const maas_learner *l = learner_of(recipe);
    if (!c->spec->fine_tune)
        return MAAS_OK;
    if (!l)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "the model was not trained here by a learner that can go on, or a step "
                         "before this one ended that");
    params = changes_of(c->spec, recipe);
    if (!params)
        return maas_fail(err, MAAS_E_NOMEM, "memory for parameters");
    json_object_set_new(c->said, "epochs", json_integer((json_int_t)c->spec->fine_tune));
    return maas_step_train(c, l->name, params, c->g, teaching, each, err);
}
