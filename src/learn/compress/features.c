/* learn/compress/features.c - a copy of the teacher that gives its hidden values, asked about all
 * rows that steps may learn from. */
#include "learn/compress/features.h"

#include <math.h>

#include "base/mem.h"
#include "ops/build.h"
#include "base/ban.h"

static const char *name_of(const json_t *f, const char *whose)
{
    return json_string_value(json_is_object(f) ? json_object_get(f, whose) : f);
}

maas_status maas_features_list_check(const json_t *features, maas_err *err)
{
    size_t i;
    json_t *f;
    if (!features)
        return MAAS_OK;
    if (!json_is_array(features))
        return maas_fail(err, MAAS_E_INVALID, "features must be a list");
    json_array_foreach((json_t *)features, i, f)
    {
        if (!name_of(f, "teacher") || !name_of(f, "student") ||
            (json_is_object(f) && json_object_size(f) != 2))
            return maas_fail(err, MAAS_E_INVALID,
                             "features[%zu] must be the name of a hidden value, or "
                             "{\"teacher\",\"student\"}",
                             i);
    }
    return MAAS_OK;
}

static maas_status add_outputs(const maas_step_call *c, maas_graph *g, maas_vid *out, maas_err *err)
{
    maas_builder b;
    size_t i;
    json_t *f;
    maas_builder_init(&b, g, err);
    json_array_foreach((json_t *)c->spec->features, i, f)
    {
        const maas_vid v = maas_hint_find(g, name_of(f, "teacher"));
        if (v == MAAS_NO_VALUE)
            return maas_fail(err, MAAS_E_INVALID,
                             "features[%zu]: the teacher has no weight, value or node '%.100s'", i,
                             name_of(f, "teacher"));
        out[i] = maas_hint_pooled(&b, v);
        MAAS_TRY(b.status);
        if (!(maas_graph_at(g, out[i])->flags & MAAS_VALUE_OUTPUT))
            MAAS_TRY(maas_graph_output(g, out[i], err));
    }
    return MAAS_OK;
}

/* Numbers in units of their own size. */
static maas_status scale(maas_hint *h, float *values, int64_t n, maas_err *err)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)values[i] * (double)values[i];
    const double size = sqrt(sum / (double)(n ? n : 1));
    if (!isfinite(size))
        return maas_fail(err, MAAS_E_INVALID, "features: '%.100s' of the teacher is not finite",
                         h->name);
    h->scale = size > 0 ? (float)size : 1;
    for (int64_t i = 0; i < n; i++)
        values[i] /= h->scale;
    h->values = values;
    return MAAS_OK;
}

static maas_status take(const maas_step_call *c, maas_lesson_features *out, const maas_vid *v,
                        maas_err *err)
{
    for (size_t i = 0; i < out->n; i++) {
        uint32_t k = 0;
        while (out->teacher->outputs[k] != v[i])
            k++;
        const maas_tensor *t = &out->applied.out[k];
        out->hints[i].name = name_of(json_array_get(c->spec->features, i), "student");
        out->hints[i].width = maas_dims_product(t->dims, 1, t->rank);
        /* an output that two features are has been scaled for the first of them */
        for (size_t j = 0; j < i; j++)
            if (v[j] == v[i])
                out->hints[i].values = out->hints[j].values,
                out->hints[i].scale = out->hints[j].scale;
        if (!out->hints[i].values)
            MAAS_TRY(scale(&out->hints[i], t->data, maas_n_elems(t), err));
    }
    return MAAS_OK;
}

maas_status maas_lesson_features_see(const maas_step_call *c, const maas_graph *teacher,
                                     maas_lesson_features *out, maas_err *err)
{
    *out = (maas_lesson_features){.n = json_array_size(c->spec->features)};
    if (!out->n)
        return MAAS_OK;
    AUTO_FREE maas_vid *v = maas_calloc(out->n, sizeof *v);
    out->hints = maas_calloc(out->n, sizeof *out->hints);
    if (!v || !out->hints)
        return maas_fail(err, MAAS_E_NOMEM, "memory for features");
    MAAS_TRY(maas_graph_clone(teacher, c->job->budget, &out->teacher, err));
    MAAS_TRY(maas_graph_infer(out->teacher, err));
    MAAS_TRY(add_outputs(c, out->teacher, v, err));
    MAAS_TRY(maas_apply(out->teacher, c->seen, c->job->target, c->job->n_threads, c->job->budget,
                        &out->applied, err));
    return take(c, out, v, err);
}

void maas_lesson_features_reset(maas_lesson_features *f)
{
    maas_applied_reset(&f->applied);
    maas_graph_destroy(f->teacher);
    maas_free(f->hints);
    *f = (maas_lesson_features){0};
}
