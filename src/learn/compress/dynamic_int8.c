/* learn/compress/dynamic_int8.c - step dynamic_int8: what ONNX Runtime's quantizer emits for it.
 * The range of a product's input is that of the run: of all its rows together. */
#include "base/mem.h"
#include "learn/compress/byte_product.h"
#include "learn/compress/step.h"
#include "base/ban.h"

const maas_param maas_step_dynamic_rows[3] = {
    {"per_channel", MAAS_PARAM_BOOL, MAAS_STEP_AT(per_channel), .preset = 1,
     .help = "a scale for each output; else one for the tensor"},
    {"reduce_range", MAAS_PARAM_BOOL, MAAS_STEP_AT(reduce_range), .preset = 0,
     .help = "weights of 7 bits, for processors and runtimes that add pairs of products in 16"},
    {"min_elements", MAAS_PARAM_INT, MAAS_STEP_AT(min_elements), 1, 1e9, 64,
     .help = "smaller products stay as they are"},
};

/* Products of the same input share its bytes. What the node reads now, may have been made by a
 * product that was turned before. */
static maas_byte_input input_of(maas_builder *b, const maas_dense_list *list, size_t i,
                                const maas_byte_input *made)
{
    for (size_t k = 0; k < i; k++)
        if (list->at[k].x == list->at[i].x)
            return made[k];
    const maas_vid x = b->g->nodes[list->at[i].node].in[0];
    maas_vid out[3] = {MAAS_NO_VALUE, MAAS_NO_VALUE, MAAS_NO_VALUE};
    maas_b_node(b, "DynamicQuantizeLinear", NULL, 0, &x, 1, out, 3);
    return (maas_byte_input){.bytes = out[0], .scale = out[1], .zero = out[2]};
}

static maas_status to_products(maas_step_call *c, maas_arena *a, maas_err *err)
{
    const maas_bytes_opts o = {c->spec->per_channel, c->spec->reduce_range ? 63 : 127};
    maas_dense_list list;
    maas_builder b;
    maas_builder_init(&b, c->g, err);
    MAAS_TRY(maas_dense_find(c->g, c->spec->min_elements, a, &list, err));
    maas_byte_input *made = maas_arena_array(a, list.n, sizeof *made);
    if (!made)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a list of products");
    if (!list.n)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "the model has no products with constant weights of floats");
    for (size_t i = 0; i < list.n; i++) {
        made[i] = input_of(&b, &list, i, made);
        MAAS_TRY(maas_byte_dense(&b, &list.at[i], &o, &made[i]));
    }
    json_object_set_new(c->said, "products", json_integer((json_int_t)list.n));
    return maas_graph_compact(c->g, err);
}

maas_status maas_step_dynamic_int8(maas_step_call *c, maas_err *err)
{
    maas_arena a;
    maas_arena_init(&a, c->job->budget);
    const maas_status st = to_products(c, &a, err);
    maas_arena_reset(&a);
    return st;
}
