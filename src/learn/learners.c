/* learn/learners.c - the table of learners, and what holds for all of them. */
#include "learn/train.h"

#include "base/mem.h"

#include "base/ban.h"

#define LEARNER(name) extern const maas_learner maas_learner_##name;
#include "learn/learners.def"
#undef LEARNER

const maas_learner *const maas_learners[] = {
#define LEARNER(name) &maas_learner_##name,
#include "learn/learners.def"
#undef LEARNER
};
const size_t maas_n_learners = MAAS_COUNT(maas_learners);

const maas_learner *maas_learner_find(const char *name)
{
    for (size_t i = 0; name && i < maas_n_learners; i++)
        if (strcmp(maas_learners[i]->name, name) == 0)
            return maas_learners[i];
    return NULL;
}

static maas_status no_learner(const char *learner, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf names = MAAS_BUF_INIT(4096);
    for (size_t i = 0; i < maas_n_learners; i++)
        maas_buf_printf(&names, "%s%s", i ? ", " : "", maas_learners[i]->name);
    return maas_fail(err, MAAS_E_INVALID, "learner: no '%.60s' here; there are %s",
                     learner ? learner : "", names.p ? names.p : "others");
}

maas_status maas_learner_read(const char *learner, const json_t *params, maas_arena *a, void *out,
                              maas_err *err)
{
    const maas_learner *l = maas_learner_find(learner);
    if (!l)
        return no_learner(learner, err);
    memset(out, 0, l->recipe_size);
    MAAS_TRY(maas_params_read(l->rows, l->n_rows, "params", params, a, out, err));
    return l->settle ? l->settle(out, params, a, err) : MAAS_OK;
}

json_t *maas_learner_dump(const char *learner, const void *recipe)
{
    const maas_learner *l = maas_learner_find(learner);
    AUTO(maas_json_unref)
    json_t *params = l ? maas_params_dump(l->rows, l->n_rows, recipe) : NULL;
    return params ? json_pack("{s:s, s:O}", "learner", learner, "params", params) : NULL;
}

json_t *maas_learner_params_json(const char *learner)
{
    const maas_learner *l = maas_learner_find(learner);
    return l ? maas_params_describe(l->rows, l->n_rows) : NULL;
}

maas_status maas_train_check(const char *learner, const json_t *params, maas_err *err)
{
    const maas_learner *l = maas_learner_find(learner);
    if (!l)
        return no_learner(learner, err);
    maas_arena a;
    maas_arena_init(&a, NULL);
    void *recipe = maas_arena_alloc(&a, l->recipe_size);
    maas_status st = recipe ? maas_learner_read(learner, params, &a, recipe, err)
                            : maas_fail(err, MAAS_E_NOMEM, "reading params");
    maas_arena_reset(&a);
    return st;
}

/* Who trained it goes on with it; what was trained elsewhere is a graph like any other. */
static const char *learner_of(const maas_graph *parent)
{
    const char *name = maas_graph_meta(parent, "maas.learner");
    return name ? name : "fine_tune";
}

maas_status maas_train(const maas_train_job *job, maas_train_result *out, maas_err *err)
{
    maas_train_job j = *job;
    if (!j.learner && j.parent)
        j.learner = learner_of(j.parent);
    const maas_learner *l = maas_learner_find(j.learner);
    if (!l)
        return no_learner(j.learner, err);
    if (j.parent && !l->updates)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "%s starts from scratch each time: train instead of update", l->name);
    if (l->any_parent && !j.parent)
        return maas_fail(err, MAAS_E_INVALID, "%s goes on from a version: a job of kind \"update\"",
                         l->name);
    if (!j.data || (!j.target && !l->no_target))
        return maas_fail(err, MAAS_E_INVALID,
                         "a training job needs data and the name of a target column");
    return l->train(&j, out, err);
}
