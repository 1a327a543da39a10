/*
 * learn/compress/distil.c - step distil: training towards what a teacher answers (learn/teach.h).
 * The teacher is any version that is served, by default the model as it was; who learns is the
 * model as the steps before left it, or a new network.
 */
#include <math.h>

#include "base/mem.h"
#include "learn/compress/features.h"
#include "learn/scorers.h"
#include "base/ban.h"

const maas_param maas_step_distil_rows[7] = {
    {"fine_tune", MAAS_PARAM_INT, MAAS_STEP_AT(fine_tune), 1, 1e6, 3,
     .help = "epochs; of a student with 'epochs' of its own, those"},
    {"temperature", MAAS_PARAM_NUM, MAAS_STEP_AT(temperature), 0.1, 100, 2,
     .help = "above 1 the teacher's small chances count more"},
    {"weight", MAAS_PARAM_NUM, MAAS_STEP_AT(weight), 0, 1, 0.7,
     .help = "of the teacher's answers; the rest is the truth's"},
    {"lr", MAAS_PARAM_NUM, MAAS_STEP_AT(lr), 1e-12, 1e3, NAN,
     .help = "learning rate; else that of the training"},
    {"features", MAAS_PARAM_JSON, MAAS_STEP_AT(features),
     .help = "hidden values that are matched, too: names (\"layers.2\", a weight, value or node), "
             "or {\"teacher\",\"student\"} where they differ"},
    {"feature_weight", MAAS_PARAM_NUM, MAAS_STEP_AT(feature_weight), 0, 1e6, 1,
     .help = "of each of them, beside the loss of the answers"},
    {"student", MAAS_PARAM_JSON, MAAS_STEP_AT(student),
     .help = "parameters of learner network: a new one learns in the model's place"},
};

typedef struct lesson {
    json_t *meta; /* "maas.target" of the teacher */
    float *values;
    maas_lesson_features features;
    maas_teaching teaching;
} lesson;

static void auto_lesson(lesson *l)
{
    json_decref(l->meta);
    maas_free(l->values);
    maas_lesson_features_reset(&l->features);
}

/* Answers in floats; chances of classes, or numbers. */
static maas_status keep_answers(const maas_judged *j, lesson *l, maas_err *err)
{
    const double *from = j->is_class ? j->chances : j->got;
    if (!from)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "the teacher gives labels without probabilities: there is nothing to "
                         "learn beyond them");
    const size_t n = (size_t)(j->n * j->k);
    l->values = maas_alloc((n + 1) * sizeof *l->values);
    if (!l->values)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a teacher's answers");
    for (size_t i = 0; i < n; i++)
        l->values[i] = (float)from[i];
    l->teaching.values = l->values;
    l->teaching.width = j->k;
    if (j->is_class)
        l->teaching.labels = json_object_get(l->meta, "labels");
    return MAAS_OK;
}

static maas_status ask(const maas_step_call *c, lesson *l, maas_err *err)
{
    const maas_train_job *job = c->job;
    const maas_graph *teacher = job->teacher ? job->teacher : job->parent;
    const char *meta = maas_graph_meta(teacher, "maas.target");
    maas_applied a = {0};
    maas_judged j = {0};
    if (meta)
        MAAS_TRY(maas_json_parse(maas_span_str(meta), &l->meta, err));
    maas_status st = maas_apply(teacher, c->seen, job->target, job->n_threads, job->budget, &a,
                                err);
    if (st == MAAS_OK)
        st = maas_judge(teacher, &a, c->seen, job->target, job->budget, &j, err);
    if (st == MAAS_OK)
        st = keep_answers(&j, l, err);
    maas_judged_reset(&j);
    maas_applied_reset(&a);
    if (st != MAAS_OK)
        maas_err_prefix(err, "teacher");
    if (st == MAAS_OK)
        st = maas_lesson_features_see(c, teacher, &l->features, err);
    l->teaching.hints = l->features.hints;
    l->teaching.n_hints = l->features.n;
    l->teaching.hint_weight = c->spec->feature_weight;
    return st;
}

/* The student's own parameters, on rows that are dealt already. */
static json_t *params_of_student(const maas_step_call *c)
{
    const maas_step_spec *s = c->spec;
    json_t *p = json_deep_copy(s->student);
    if (p && !json_object_get(p, "epochs"))
        json_object_set_new(p, "epochs", json_integer((json_int_t)s->fine_tune));
    if (p && !json_object_get(p, "seed"))
        json_object_set_new(p, "seed", json_integer(c->whole->seed));
    if (p && !isnan(s->lr))
        json_object_set_new(p, "optimizer", json_pack("{s:s, s:f}", "type", "adam", "lr", s->lr));
    if (p && json_object_set_new(p, "validation", json_real(0)))
        json_decref(STEAL(p));
    return p;
}

maas_status maas_step_distil(maas_step_call *c, maas_err *err)
{
    AUTO(auto_lesson)
    lesson l = {.teaching = {.temperature = c->spec->temperature, .weight = c->spec->weight}};
    AUTO(maas_json_unref) json_t *params = NULL;
    MAAS_TRY(maas_step_seen(c, err));
    MAAS_TRY(ask(c, &l, err));
    if (!c->spec->student)
        return maas_fine_tune(c, &l.teaching, NULL, err);
    params = params_of_student(c);
    if (!params)
        return maas_fail(err, MAAS_E_NOMEM, "memory for parameters");
    json_object_set(c->said, "epochs", json_object_get(params, "epochs"));
    return maas_step_train(c, "network", params, NULL, &l.teaching, NULL, err);
}
