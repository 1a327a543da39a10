/* learn/classic/dense.c - from a job to plain matrices, and from what was fitted to a model file.
 */
#include "learn/classic/dense.h"

#include <math.h>

#include "base/mem.h"
#include "learn/classic/dense_score.h"

#include "base/ban.h"

const char *const maas_scaling_names[] = {"auto",   "standard", "unit", "none",
                                          "minmax", "robust",   NULL};
const char *const maas_task_names[] = {"auto", "classification", "regression", NULL};

maas_status maas_dense_settle(void *recipe, const json_t *params, maas_arena *a, maas_err *err)
{
    const maas_dense_recipe *r = recipe;
    const char *word = json_string_value(r->class_weight);
    if (r->class_weight && !json_is_object(r->class_weight) &&
        !(word && strcmp(word, "balanced") == 0))
        return maas_fail(
            err, MAAS_E_INVALID,
            "params.class_weight must be \"balanced\" or an object of label and weight");
    if (r->weight && !json_is_string(r->weight))
        return maas_fail(err, MAAS_E_INVALID, "params.weight must be the name of a column");
    return maas_preparation_check(&r->preparation, err);
}

/* ---- inputs ---- */

static maas_status read_recipe(maas_dense *s, const maas_dense_kind *kind, maas_err *err)
{
    const maas_learner *l = maas_learner_find(s->job->learner);
    s->recipe = maas_arena_alloc(&s->arena, l->recipe_size);
    s->head = kind->head ? maas_arena_alloc(&s->arena, sizeof *s->head) : s->recipe;
    if (!s->recipe || !s->head)
        return maas_fail(err, MAAS_E_NOMEM, "reading params");
    MAAS_TRY(maas_learner_read(s->job->learner, s->job->params, &s->arena, s->recipe, err));
    if (kind->head)
        *s->head = kind->head(s->recipe);
    return MAAS_OK;
}

static maas_status fit_matrix(maas_dense *s, maas_err *err)
{
    const maas_dense_recipe *r = s->head;
    const char *skip[] = {s->job->target, json_string_value(r->weight)};
    const maas_features_opts o = {.scaling = r->scaling,
                                  .max_categories = r->max_categories,
                                  .preparation = &r->preparation,
                                  .target = s->target.col ? &s->target : NULL,
                                  .skip = skip,
                                  .n_skip = MAAS_COUNT(skip)};
    return maas_matrix_fit(&s->matrix, s->job->data, &o, false, &s->split.train, s->job->budget,
                           err);
}

static maas_status fit_target(maas_dense *s, const maas_dense_kind *kind, maas_err *err)
{
    if (!kind->classes && !kind->values)
        return MAAS_OK;
    maas_recipe r = {.class_weight = s->head->class_weight,
                     .target_scaling = MAAS_SCALING_NONE,
                     .task = !kind->values    ? MAAS_TASK_CLASSES
                             : !kind->classes ? MAAS_TASK_VALUES
                                              : (maas_task)s->head->task};
    r.loss.type = r.task == MAAS_TASK_VALUES ? MAAS_LOSS_MSE : MAAS_LOSS_AUTO;
    return maas_target_fit(&s->target, s->job->data, s->job->target, &r, &s->split.train, NULL,
                           s->job->budget, err);
}

static maas_status gather_rows(maas_dense *s, maas_err *err)
{
    s->n = s->split.train.n;
    s->d = s->matrix.n_cols;
    s->x = maas_work_doubles(&s->work, s->n, s->d, "training rows", err);
    if (!s->x)
        return MAAS_E_NOMEM;
    for (int64_t i = 0; i < s->n; i++) {
        const float *row = s->matrix.x + s->split.train.at[i] * s->d;
        for (int64_t k = 0; k < s->d; k++)
            s->x[i * s->d + k] = row[k];
    }
    return MAAS_OK;
}

static maas_status gather_target(maas_dense *s, maas_err *err)
{
    const maas_target *t = &s->target;
    if (t->is_class) {
        s->codes = maas_work_array(&s->work, s->n, 1, sizeof *s->codes, "classes", err);
        for (int64_t i = 0; s->codes && i < s->n; i++)
            s->codes[i] = t->codes[s->split.train.at[i]];
        return s->codes ? MAAS_OK : MAAS_E_NOMEM;
    }
    if (!t->col)
        return MAAS_OK;
    const maas_cells *cells = maas_cells_of(t->col->desc.dtype);
    s->y = maas_work_doubles(&s->work, s->n, t->width, "targets", err);
    for (int64_t i = 0; s->y && i < s->n; i++)
        for (int64_t k = 0; k < t->width; k++)
            s->y[i * t->width + k] = cells->get(t->col->data, s->split.train.at[i] * t->width + k);
    return s->y ? MAAS_OK : MAAS_E_NOMEM;
}

static maas_status gather_weights(maas_dense *s, maas_err *err)
{
    const char *column = json_string_value(s->head->weight);
    float *of_row = NULL;
    if (!column && !s->target.weights)
        return MAAS_OK;
    if (column)
        MAAS_TRY(maas_matrix_weights(&s->matrix, s->job->data, "weight", column, &of_row, err));
    s->weight = maas_work_doubles(&s->work, s->n, 1, "weights", err);
    double sum = 0;
    for (int64_t i = 0; s->weight && i < s->n; i++) {
        s->weight[i] = of_row ? of_row[s->split.train.at[i]] : 1;
        s->weight[i] *= s->target.weights ? s->target.weights[s->codes[i]] : 1;
        sum += s->weight[i];
    }
    if (s->weight && !(sum > 0))
        return maas_fail(err, MAAS_E_INVALID, "the weights of all training rows are 0");
    return s->weight ? MAAS_OK : MAAS_E_NOMEM;
}

/* A class that only validation rows have cannot be learned. */
static maas_status check_classes(maas_dense *s, maas_err *err)
{
    if (!s->codes)
        return MAAS_OK;
    AUTO_FREE int64_t *seen = maas_calloc((size_t)s->target.n_classes, sizeof *seen);
    if (!seen)
        return maas_fail(err, MAAS_E_NOMEM, "counting classes");
    int64_t kinds = 0;
    for (int64_t i = 0; i < s->n; i++)
        kinds += seen[s->codes[i]]++ == 0;
    if (kinds < 2)
        return maas_fail(err, MAAS_E_INVALID,
                         "the training rows have one class of target '%s' only, 2 are needed",
                         s->job->target);
    return MAAS_OK;
}

static maas_status dense_open(maas_dense *s, const maas_train_job *job, const maas_dense_kind *kind,
                              maas_err *err)
{
    *s = (maas_dense){.job = job};
    maas_arena_init(&s->arena, job->budget);
    s->work = (maas_work){.arena = &s->arena, .n_threads = job->n_threads, .hooks = job->hooks};
    MAAS_TRY(read_recipe(s, kind, err));
    maas_rng rng;
    maas_rng_seed(&rng, (uint64_t)s->head->seed);
    MAAS_TRY(maas_split_init(&s->split, job->data->n_rows, s->head->validation, s->head->shuffle,
                             &rng, job->budget, err));
    MAAS_TRY(fit_target(s, kind, err));
    MAAS_TRY(fit_matrix(s, err));
    MAAS_TRY(gather_rows(s, err));
    MAAS_TRY(gather_target(s, err));
    MAAS_TRY(check_classes(s, err));
    MAAS_TRY(gather_weights(s, err));
    s->metrics = json_object();
    return s->metrics ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "metrics");
}

static void dense_reset(maas_dense *s)
{
    maas_target_reset(&s->target);
    maas_matrix_reset(&s->matrix);
    maas_split_reset(&s->split);
    maas_json_unref(&s->metrics);
    maas_arena_reset(&s->arena);
}

/* ---- the model ---- */

static void auto_graph(maas_graph **g)
{
    maas_graph_destroy(*g);
}

static maas_status write_model(maas_dense *s, const maas_dense_kind *kind, maas_train_result *out,
                               maas_err *err)
{
    AUTO(auto_graph) maas_graph *g = NULL;
    maas_builder b;
    maas_vid x;
    const maas_model_info info = {.task = kind->task           ? kind->task
                                          : s->target.is_class ? "classification"
                                                               : "regression",
                                  .target = s->target.col ? &s->target : NULL,
                                  .recipe = s->recipe};
    MAAS_TRY(maas_matrix_begin(&s->matrix, s->job, &g, &b, &x, err));
    kind->build(s, &b, x);
    MAAS_TRY(maas_matrix_end(&s->matrix, s->job, &info, &g, &b, out, err));
    return s->target.col ? maas_dense_score(s, kind, out->graph ? out->graph : g, err) : MAAS_OK;
}

maas_status maas_dense_note_json(maas_dense *s, const char *name, json_t *v, maas_err *err)
{
    if (!v || json_object_set_new(s->metrics, name, v))
        return maas_fail(err, MAAS_E_NOMEM, "metrics");
    return MAAS_OK;
}

maas_status maas_dense_note(maas_dense *s, const char *name, double v, maas_err *err)
{
    return isfinite(v) ? maas_dense_note_json(s, name, json_real(v), err) : MAAS_OK;
}

maas_status maas_dense_train(const maas_train_job *job, const maas_dense_kind *kind,
                             maas_train_result *out, maas_err *err)
{
    maas_dense s;
    maas_train_result result = {0};
    maas_status st = dense_open(&s, job, kind, err);
    if (st == MAAS_OK)
        st = kind->fit(&s, err);
    if (st == MAAS_OK)
        st = write_model(&s, kind, &result, err);
    if (st == MAAS_OK) {
        result.metrics = STEAL(s.metrics);
        *out = result;
    } else {
        maas_train_result_reset(&result);
    }
    dense_reset(&s);
    return st;
}
