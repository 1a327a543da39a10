/* learn/compress/apply.c - one step on one graph. */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "learn/compress/step.h"
#include "learn/matrix.h"
#include "ops/build.h"
#include "base/ban.h"

/* Of the parameters stays what says which rows were held out. */
maas_status maas_compress_end_training(maas_graph *g, const char *step, maas_err *err)
{
    AUTO(maas_json_unref) json_t *recipe = NULL;
    const char *text = maas_graph_meta(g, "maas.recipe");
    if (!text) { /* from elsewhere: nothing else would say so */
        char said[80];
        snprintf(said, sizeof said, "{\"compressed\": \"%.48s\"}", step);
        return maas_graph_set_meta(g, "maas.recipe", said, err);
    }
    MAAS_TRY(maas_json_parse(maas_span_str(text), &recipe, err));
    if (!json_is_object(recipe) || json_object_get(recipe, "compressed"))
        return MAAS_OK;
    const json_t *p = json_object_get(recipe, "params");
    return maas_model_set_meta(g, "maas.recipe",
                               json_pack("{s:O*, s:s, s:{s:O*, s:O*, s:O*}}", "learner",
                                         json_object_get(recipe, "learner"), "compressed", step,
                                         "params", "validation", json_object_get(p, "validation"),
                                         "seed", json_object_get(p, "seed"), "shuffle",
                                         json_object_get(p, "shuffle")),
                               err);
}

maas_status maas_step_seen(maas_step_call *c, maas_err *err)
{
    return c->seen ? MAAS_OK : c->see(c->see_user, &c->seen, err);
}

/* Steps compare, sort and round weights: what is no number has no place among them. */
static maas_status check_weights(const maas_graph *g, maas_err *err)
{
    for (uint32_t v = 0; v < g->n_values; v++) {
        const maas_tensor *t = &g->values[v].init;
        const float *w = t->data;
        if (!(g->values[v].flags & MAAS_VALUE_CONST) || !w || t->dtype != MAAS_F32 || t->rank < 2)
            continue;
        for (int64_t i = 0, n = maas_n_elems(t); i < n; i++)
            if (!isfinite(w[i]))
                return maas_fail(err, MAAS_E_INVALID, "weight '%.80s' is not finite at place %lld",
                                 g->values[v].name, (long long)i);
    }
    return MAAS_OK;
}

static maas_status apply(maas_step_call *c, const maas_compress_step *s, maas_err *err)
{
    MAAS_TRY(check_weights(c->g, err));
    MAAS_TRY(s->apply(c, err));
    maas_graph_forget_types(c->g);
    MAAS_TRY(maas_graph_infer(c->g, err));
    MAAS_TRY(maas_graph_verify(c->g, err));
    return s->trainable ? MAAS_OK : maas_compress_end_training(c->g, s->doc.name, err);
}

maas_status maas_compress_apply(maas_step_call *c, maas_err *err)
{
    const maas_compress_step *s = &maas_compress_steps[c->spec->type];
    const maas_status st = apply(c, s, err);
    if (st != MAAS_OK && st != MAAS_E_CANCELLED)
        maas_err_prefix(err, "step %s", s->doc.name);
    return st;
}
