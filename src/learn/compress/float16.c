/* learn/compress/float16.c - steps f16 and bf16: the file keeps halves, a Cast makes floats of them
 * when a plan is made. */
#include <math.h>

#include "learn/compress/step.h"
#include "learn/compress/weights.h"
#include "passes/pass.h"
#include "base/ban.h"

const maas_param maas_step_float_rows[1] = {
    {"min_elements", MAAS_PARAM_INT, MAAS_STEP_AT(min_elements), 1, 1e9, 64,
     .help = "smaller tensors stay as they are"},
};
const maas_param maas_step_bf16_rows[2] = {
    {"min_elements", MAAS_PARAM_INT, MAAS_STEP_AT(min_elements), 1, 1e9, 64,
     .help = "smaller tensors stay as they are"},
    {"compute", MAAS_PARAM_BOOL, MAAS_STEP_AT(compute), .preset = 0,
     .help = "convolutions run in bfloat16 where the processor multiplies it, with sums of floats"},
};

static const struct half_kind {
    maas_dtype dtype;
    const char *word;
    uint16_t (*from)(float f);
    float largest; /* that rounds to a finite number */
} halves[] = {{MAAS_F16, "f16", maas_f32_to_f16, 65519.996f},
              {MAAS_BF16, "bf16", maas_f32_to_bf16, 3.39e38f}};

static maas_status halve(maas_builder *b, const struct half_kind *k, maas_vid v)
{
    const maas_tensor *t = &maas_graph_at(b->g, v)->init;
    const float *w = t->data;
    maas_tensor half = maas_tensor_of(k->dtype, t->rank, t->dims, NULL);
    MAAS_TRY(maas_weight_room(b->g, &half, b->err));
    for (int64_t i = 0, n = maas_n_elems(&half); i < n; i++) {
        if (!(fabsf(w[i]) <= k->largest))
            return maas_fail(b->err, MAAS_E_INVALID,
                             "weight '%.80s' has %g at place %lld, which %s cannot hold%s",
                             maas_graph_at(b->g, v)->name, (double)w[i], (long long)i, k->word,
                             k->dtype == MAAS_F16 ? ": take bf16" : "");
        ((uint16_t *)half.data)[i] = k->from(w[i]);
    }
    const maas_attr to = MAAS_A_INT("to", MAAS_F32);
    maas_vid c = maas_weight_const(b, v, k->word, &half), out = MAAS_NO_VALUE;
    maas_b_node(b, "Cast", &to, 1, &c, 1, &out, 1);
    return b->status == MAAS_OK ? maas_graph_replace(b->g, v, out, b->err) : b->status;
}

static maas_status halve_all(maas_step_call *c, const struct half_kind *k, maas_arena *a,
                             maas_err *err)
{
    maas_weight_list list;
    maas_builder b;
    maas_builder_init(&b, c->g, err);
    MAAS_TRY(maas_weights_find(c->g, c->spec->min_elements, a, &list, err));
    for (size_t i = 0; i < list.n; i++)
        MAAS_TRY(halve(&b, k, list.at[i].v));
    json_object_set_new(c->said, "tensors", json_integer((json_int_t)list.n));
    json_object_set_new(c->said, "elements", json_integer(list.n_elems));
    return maas_graph_compact(c->g, err);
}

static maas_status run(maas_step_call *c, const struct half_kind *k, maas_err *err)
{
    maas_arena a;
    maas_arena_init(&a, c->job->budget);
    const maas_status st = halve_all(c, k, &a, err);
    maas_arena_reset(&a);
    return st;
}

maas_status maas_step_f16(maas_step_call *c, maas_err *err)
{
    return run(c, &halves[0], err);
}

maas_status maas_step_bf16(maas_step_call *c, maas_err *err)
{
    if (c->spec->compute)
        MAAS_TRY(maas_graph_set_meta(c->g, MAAS_META_PRECISION, "bf16", err));
    return run(c, &halves[1], err);
}
