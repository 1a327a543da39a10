/* learn/compress/int8.c - step int8: the file keeps bytes, DequantizeLinear makes floats of them
 * when a plan is made. */
#include "learn/compress/step.h"
#include "learn/compress/weights.h"
#include "base/ban.h"

const maas_param maas_step_int8_rows[2] = {
    {"per_channel", MAAS_PARAM_BOOL, MAAS_STEP_AT(per_channel), .preset = 1,
     .help = "a scale for each output; else one for the tensor"},
    {"min_elements", MAAS_PARAM_INT, MAAS_STEP_AT(min_elements), 1, 1e9, 64,
     .help = "smaller tensors stay as they are"},
};

static maas_status to_bytes(maas_step_call *c, maas_builder *b, const maas_weight *w)
{
    const maas_tensor *t = &maas_graph_at(c->g, w->v)->init;
    const maas_bytes_opts o = {c->spec->per_channel, 127};
    maas_tensor q = maas_tensor_of(MAAS_I8, t->rank, t->dims, NULL);
    maas_tensor scale = maas_tensor_of(MAAS_F32, o.per_channel ? 1 : 0, &w->n, NULL);
    MAAS_TRY(maas_weight_room(c->g, &q, b->err));
    MAAS_TRY(maas_weight_room(c->g, &scale, b->err));
    maas_weight_to_bytes(t->data, w, &o, q.data, scale.data);
    const maas_attr axis = MAAS_A_INT("axis", w->axis);
    const maas_vid in[2] = {maas_weight_const(b, w->v, "int8", &q),
                            maas_weight_const(b, w->v, "scale", &scale)};
    maas_vid out = MAAS_NO_VALUE;
    maas_b_node(b, "DequantizeLinear", &axis, o.per_channel ? 1 : 0, in, 2, &out, 1);
    return b->status == MAAS_OK ? maas_graph_replace(c->g, w->v, out, b->err) : b->status;
}

static maas_status all_to_bytes(maas_step_call *c, maas_arena *a, maas_err *err)
{
    maas_weight_list list;
    maas_builder b;
    maas_builder_init(&b, c->g, err);
    MAAS_TRY(maas_weights_find(c->g, c->spec->min_elements, a, &list, err));
    for (size_t i = 0; i < list.n; i++)
        MAAS_TRY(to_bytes(c, &b, &list.at[i]));
    json_object_set_new(c->said, "tensors", json_integer((json_int_t)list.n));
    json_object_set_new(c->said, "elements", json_integer(list.n_elems));
    return maas_graph_compact(c->g, err);
}

maas_status maas_step_int8(maas_step_call *c, maas_err *err)
{
    maas_arena a;
    maas_arena_init(&a, c->job->budget);
    const maas_status st = all_to_bytes(c, &a, err);
    maas_arena_reset(&a);
    return st;
}
