/* learn/trainer_state.c - what a run leaves behind so that it, or an update, can go on. */
#include "learn/trainer.h"

#include "base/mem.h"

#include "base/ban.h"

#define OPTIMIZER_SUM "optimizer.sum."

/* Sums of gradients are 0 between epochs. */
static bool lasts(const char *name)
{
    return strncmp(name, OPTIMIZER_SUM, strlen(OPTIMIZER_SUM)) != 0;
}

static bool is_optimizer_variable(const char *name)
{
    return !maas_is_model_variable(name) && lasts(name);
}

static void add_array(maas_sha256 *h, const void *p, size_t n, size_t size)
{
    if (p && n)
        maas_sha256_add(h, p, n * size);
}

/* Recipe, columns and what was measured on the rows: two runs that agree in it would do the same.
 */
maas_status maas_fit_fingerprint(maas_fit *r, maas_err *err)
{
    AUTO(maas_json_unref)
    json_t *all = json_pack("{s:o, s:o, s:o, s:I}", "recipe",
                            maas_learner_dump(r->learner, &r->recipe), "columns",
                            maas_features_json(&r->features), "target",
                            maas_target_json(&r->target), "rows", (json_int_t)r->job->data->n_rows);
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(256u << 20);
    if (all)
        maas_json_dump(all, &text);
    maas_sha256 h;
    if (!all || text.failed || !maas_sha256_init(&h))
        return maas_fail(
            err, MAAS_E_INVALID,
            "names of columns and classes must be UTF-8, and there must be memory for them");
    const maas_features *f = &r->features;
    const maas_target *t = &r->target;
    maas_sha256_add(&h, text.p, text.n);
    add_array(&h, f->fill, (size_t)f->n_consts, sizeof(float));
    add_array(&h, f->shift, (size_t)f->n_consts, sizeof(float));
    add_array(&h, f->scale, (size_t)f->n_consts, sizeof(float));
    add_array(&h, t->codes, (size_t)t->n_rows, sizeof *t->codes);
    add_array(&h, t->values, (size_t)(t->n_rows * t->width), sizeof(float));
    add_array(&h, r->edges.from, (size_t)r->edges.n, sizeof *r->edges.from);
    add_array(&h, r->edges.to, (size_t)r->edges.n, sizeof *r->edges.to);
    add_array(&h, r->edges.weight, (size_t)r->edges.n, sizeof *r->edges.weight);
    add_array(&h, r->soft.rows, (size_t)(r->soft.n_rows * r->soft.width), sizeof(float));
    maas_sha256_done(&h, r->fingerprint);
    return MAAS_OK;
}

/* ---- best weights ---- */

maas_status maas_fit_keep_best(maas_fit *r, maas_err *err)
{
    const uint32_t n = maas_vars_n(r->vars);
    r->best_copies = maas_calloc(n + 1, sizeof *r->best_copies);
    for (uint32_t i = 0; r->best_copies && i < n; i++) {
        const char *name;
        const maas_tensor *t = maas_vars_at(r->vars, i, &name);
        if (!maas_is_model_variable(name))
            continue;
        r->best_copies[i] = maas_alloc(maas_tensor_bytes(t) + 1);
        if (!r->best_copies[i])
            return maas_fail(err, MAAS_E_NOMEM, "a copy of the best weights");
        memcpy(r->best_copies[i], t->data, maas_tensor_bytes(t));
    }
    return r->best_copies ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "a copy of the best weights");
}

void maas_fit_copy_best(maas_fit *r, bool back)
{
    for (uint32_t i = 0; r->best_copies && i < maas_vars_n(r->vars); i++) {
        const char *name;
        const maas_tensor *t = maas_vars_at(r->vars, i, &name);
        if (!r->best_copies[i])
            continue;
        if (back)
            memcpy(t->data, r->best_copies[i], maas_tensor_bytes(t));
        else
            memcpy(r->best_copies[i], t->data, maas_tensor_bytes(t));
    }
}

/* ---- checkpoints ---- */

static maas_checkpoint describe(const maas_fit *r)
{
    maas_checkpoint c = {.kind = MAAS_CHECKPOINT_RUN, .n_sets = r->best_copies ? 2 : 1};
    memcpy(c.fingerprint, r->fingerprint, sizeof c.fingerprint);
    c.sets[0] = (maas_saved_set){.vars = r->vars, .takes = lasts};
    c.sets[1] = (maas_saved_set){r->vars, maas_is_model_variable, r->best_copies};
    return c;
}

maas_status maas_fit_checkpoint(maas_fit *r, maas_err *err)
{
    maas_checkpoint c = describe(r);
    c.epoch = (uint64_t)r->epoch;
    c.step = (uint64_t)r->step;
    c.rng = r->rng;
    c.best = r->best;
    c.best_epoch = (uint64_t)r->best_epoch;
    c.bad_epochs = (uint64_t)r->bad_epochs;
    c.history = r->history;
    AUTO(maas_buf_reset) maas_buf out = MAAS_BUF_INIT(MAAS_MAX_CHECKPOINT);
    MAAS_TRY(maas_checkpoint_write(&c, &out, err));
    return r->job->hooks->checkpoint(r->job->hooks->user, maas_buf_span(&out), err);
}

maas_status maas_fit_resume(maas_fit *r, maas_span state, maas_err *err)
{
    maas_checkpoint c = describe(r);
    MAAS_TRY(maas_checkpoint_read(state, &c, err));
    if (c.epoch > (uint64_t)r->recipe.epochs || c.step != c.epoch * (uint64_t)r->steps_per_epoch ||
        json_array_size(c.history) != c.epoch) {
        maas_json_unref(&c.history);
        return maas_fail(err, MAAS_E_FORMAT, "'epoch' of the training state does not fit this run");
    }
    maas_json_unref(&r->history);
    r->history = c.history;
    r->epoch = (int64_t)c.epoch;
    r->step = (int64_t)c.step;
    r->rng = c.rng;
    r->best = c.best;
    r->best_epoch = (int64_t)c.best_epoch;
    r->bad_epochs = (int64_t)c.bad_epochs;
    return MAAS_OK;
}

/* ---- optimizer state of a version ---- */

static maas_checkpoint describe_optimizer(const maas_fit *r)
{
    maas_checkpoint c = {.kind = MAAS_CHECKPOINT_STATE, .n_sets = 1};
    c.sets[0] = (maas_saved_set){r->vars, is_optimizer_variable, NULL};
    return c;
}

maas_status maas_fit_save_optimizer(maas_fit *r, maas_buf *out, maas_err *err)
{
    maas_checkpoint c = describe_optimizer(r);
    c.step = (uint64_t)(r->base_step + r->step);
    return maas_checkpoint_write(&c, out, err);
}

/* Other weights move than those that the state is of. */
static bool moves_others(const maas_fit *r, const json_t *old)
{
    const char *learner = json_string_value(json_object_get(old, "learner"));
    const json_t *before = json_object_get(json_object_get(old, "params"), "freeze");
    if (!r->tune.g)
        return false;
    return r->tune.new_head || !learner || strcmp(learner, r->learner) != 0 ||
           (before != r->recipe.tune.freeze && !json_equal(before, r->recipe.tune.freeze));
}

/* The kind of optimizer may have changed since: then its old state means nothing. */
static bool same_optimizer(const maas_fit *r)
{
    AUTO(maas_json_unref) json_t *old = NULL;
    const char *text = maas_graph_meta(r->job->parent, "maas.recipe");
    if (!text || maas_json_parse(maas_span_str(text), &old, NULL) != MAAS_OK)
        return false;
    if (moves_others(r, old))
        return false;
    const json_t *o = json_object_get(json_object_get(old, "params"), "optimizer");
    const char *type = json_string_value(json_object_get(o, "type"));
    return type && strcmp(type, maas_optimizers[r->recipe.optimizer.type].doc.name) == 0;
}

maas_status maas_fit_load_optimizer(maas_fit *r, maas_span state, maas_err *err)
{
    if (!r->job->parent || !same_optimizer(r))
        return MAAS_OK;
    maas_checkpoint c = describe_optimizer(r);
    const maas_status st = maas_checkpoint_read(state, &c, r->tune.g ? NULL : err);
    if (st == MAAS_E_CONFLICT && r->tune.g)
        return MAAS_OK; /* other weights are found in the file than were trained: it begins anew */
    if (st != MAAS_OK)
        return maas_fail(err, st, "the training state of the parent version cannot be read");
    maas_json_unref(&c.history);
    r->base_step = (int64_t)c.step;
    return MAAS_OK;
}
