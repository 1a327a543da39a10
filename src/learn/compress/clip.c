/* learn/compress/clip.c - step clip: a few large weights widen the steps of all bytes of a tensor.
 */
#include <math.h>

#include "base/mem.h"
#include "learn/compress/select.h"
#include "learn/compress/step.h"
#include "learn/compress/weights.h"
#include "base/ban.h"

const maas_param maas_step_clip_rows[2] = {
    {"threshold", MAAS_PARAM_NUM, MAAS_STEP_AT(threshold), 1e-30, 1e30, NAN,
     .help = "of all tensors; else each has the one that 'percentile' gives"},
    {"percentile", MAAS_PARAM_NUM, MAAS_STEP_AT(percentile), 50, 100, 99.9,
     .help = "so many of a hundred weights of a tensor are within its threshold"},
};

static maas_status threshold_of(const maas_step_spec *s, const float *w, int64_t n, float *out,
                                maas_err *err)
{
    if (!isnan(s->threshold)) {
        *out = (float)s->threshold;
        return MAAS_OK;
    }
    AUTO_FREE float *sizes = maas_alloc((size_t)n * sizeof *sizes);
    if (!sizes)
        return maas_fail(err, MAAS_E_NOMEM, "memory for %lld weights", (long long)n);
    for (int64_t i = 0; i < n; i++)
        sizes[i] = fabsf(w[i]);
    const int64_t k = (int64_t)ceil((double)n * s->percentile / 100) - 1;
    *out = maas_select(sizes, n, k < 0 ? 0 : k);
    return MAAS_OK;
}

static maas_status clip(maas_step_call *c, maas_vid v, json_t *thresholds, int64_t *n_clipped,
                        maas_err *err)
{
    maas_tensor t = maas_graph_at(c->g, v)->init;
    const float *w = t.data;
    const int64_t n = maas_n_elems(&t);
    float limit;
    MAAS_TRY(threshold_of(c->spec, w, n, &limit, err));
    MAAS_TRY(maas_weight_room(c->g, &t, err));
    for (int64_t i = 0; i < n; i++) {
        *n_clipped += fabsf(w[i]) > limit;
        ((float *)t.data)[i] = fmaxf(-limit, fminf(limit, w[i]));
    }
    maas_weight_set(c->g, v, &t);
    return json_object_set_new(thresholds, maas_graph_at(c->g, v)->name, json_real(limit)) == 0
               ? MAAS_OK
               : maas_fail(err, MAAS_E_NOMEM, "memory for thresholds");
}

maas_status maas_step_clip(maas_step_call *c, maas_err *err)
{
    maas_arena a;
    maas_weight_list list;
    int64_t n_clipped = 0;
    json_t *thresholds = json_object();
    maas_arena_init(&a, c->job->budget);
    maas_status st = maas_weights_find(c->g, 1, &a, &list, err);
    for (size_t i = 0; i < list.n && st == MAAS_OK; i++)
        st = clip(c, list.at[i].v, thresholds, &n_clipped, err);
    maas_arena_reset(&a);
    json_object_set_new(c->said, "thresholds", thresholds);
    json_object_set_new(c->said, "clipped", json_integer(n_clipped));
    return st;
}
