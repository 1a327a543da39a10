/* learn/compress/spec.c - "compress" of a job, read and checked by one table. */
#include "learn/compress/spec.h"

#include <math.h>

#include "base/mem.h"
#include "learn/compress/compress.h"
#include "learn/compress/features.h"
#include "learn/scorers.h"
#include "base/ban.h"

#define AT(f)   offsetof(maas_compress_spec, f)
#define GOAL(f) offsetof(maas_compress_target, f)

static const maas_param target_rows[] = {
    {"size_ratio", MAAS_PARAM_NUM, GOAL(size_ratio), 1e-6, 1, NAN,
     .help = "bytes of the model file over those of the parent's"},
    {"latency_ratio", MAAS_PARAM_NUM, GOAL(latency_ratio), 1e-6, 1, NAN,
     .help = "time of one row over that of the parent"},
};

static const maas_param rows[] = {
    {"steps", MAAS_PARAM_LIST, AT(steps), 0, 100, .variants = maas_compress_steps,
     .stride = sizeof(maas_compress_step), .n_variants = MAAS_N_COMPRESS_STEPS,
     .item_size = sizeof(maas_step_spec),
     .help = "what is done, in this order; each is a name or an object with its parameters"},
    {"target", MAAS_PARAM_GROUP, AT(target), .rows = target_rows, .n_rows = MAAS_COUNT(target_rows),
     .help = "instead of steps: what to reach, by steps that the job chooses"},
    {"metric", MAAS_PARAM_JSON, AT(metric),
     .help = "what may not be lost: the name of a score; accuracy or r2 unless said"},
    {"teacher", MAAS_PARAM_JSON, AT(teacher),
     .help = "what step distil learns from: \"model\", \"model:2\", \"model@alias\"; the model "
             "itself unless said"},
    {"max_metric_drop", MAAS_PARAM_NUM, AT(max_metric_drop), 0, 1e9, 0.01,
     .help = "nothing is published when the metric is lower by more than this"},
    {"validation", MAAS_PARAM_NUM, AT(validation), 1e-6, 0.9, NAN,
     .help = "share of the rows that only measures; as the parent's training had it, else 0.2"},
    {"seed", MAAS_PARAM_INT, AT(seed), -1, 9e15, -1,
     .help = "of the rows that are held out; -1: as the parent's training had it"},
    {"fine_tune", MAAS_PARAM_INT, AT(fine_tune), 0, 1e6, 1,
     .help = "with target: epochs of training after neurons were taken out"},
};

static maas_status check_metric(const json_t *metric, maas_err *err)
{
    const maas_scorer *s;
    const char *name = json_string_value(metric);
    if (!metric)
        return MAAS_OK;
    if (!name)
        return maas_fail(err, MAAS_E_INVALID, "compress.metric must be the name of a score");
    if (maas_scorer_find(name, true, &s, NULL) == MAAS_OK)
        return MAAS_OK;
    return maas_scorer_find(name, false, &s, err);
}

static maas_status check_distil(const maas_step_spec *s, size_t i, maas_err *err)
{
    maas_status st = maas_features_list_check(s->features, err);
    if (st != MAAS_OK)
        maas_err_prefix(err, "compress.steps[%zu]", i);
    if (!s->student || st != MAAS_OK)
        return st;
    st = maas_train_check("network", s->student, err);
    if (st != MAAS_OK)
        maas_err_prefix(err, "compress.steps[%zu].student", i);
    return st;
}

maas_status maas_compress_spec_read(const json_t *j, maas_arena *a, maas_compress_spec *out,
                                    maas_err *err)
{
    *out = (maas_compress_spec){0};
    if (!json_is_object(j))
        return maas_fail(err, MAAS_E_INVALID, "'compress' must be an object");
    MAAS_TRY(maas_params_read(rows, MAAS_COUNT(rows), "compress", j, a, out, err));
    const maas_compress_target *t = &out->target;
    if ((out->steps.n > 0) == t->on)
        return maas_fail(err, MAAS_E_INVALID,
                         "compress has either 'steps' or a 'target': {\"size_ratio\"} or "
                         "{\"latency_ratio\"}");
    if (t->on && isnan(t->size_ratio) && isnan(t->latency_ratio))
        return maas_fail(err, MAAS_E_INVALID,
                         "compress.target needs 'size_ratio' or 'latency_ratio'");
    if (out->teacher && !json_is_string(out->teacher))
        return maas_fail(err, MAAS_E_INVALID, "compress.teacher must be the name of a model");
    for (size_t i = 0; i < out->steps.n; i++)
        MAAS_TRY(check_distil((const maas_step_spec *)out->steps.items + i, i, err));
    return check_metric(out->metric, err);
}

maas_status maas_compress_check(const json_t *compress, maas_err *err)
{
    maas_arena a;
    maas_compress_spec s;
    maas_arena_init(&a, NULL);
    const maas_status st = maas_compress_spec_read(compress, &a, &s, err);
    maas_arena_reset(&a);
    return st;
}

json_t *maas_compress_params_json(void)
{
    return maas_params_describe(rows, MAAS_COUNT(rows));
}

json_t *maas_step_dump(const maas_step_spec *s)
{
    const maas_variant *d = &maas_compress_steps[s->type].doc;
    AUTO(maas_json_unref) json_t *o = maas_params_dump(d->rows, d->n_rows, s);
    AUTO(maas_json_unref) json_t *all = json_pack("{s:s}", "type", d->name);
    return o && all && json_object_update(all, o) == 0 ? STEAL(all) : NULL;
}
