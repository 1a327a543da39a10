/*
 * learn/compress/static_int8.c - step static_int8: ranges of what goes into products and
 * convolutions are measured on rows of the data set, and stay.
 *
 *   integer  QuantizeLinear, then MatMulInteger or ConvInteger: bytes are multiplied here
 *   qdq      QuantizeLinear and DequantizeLinear around the operator as it is: what optimizers of
 *            other runtimes look for; here it is computed in floats with the same roundings
 */
#include <math.h>

#include "base/mem.h"
#include "learn/compress/static_int8.h"
#include "base/ban.h"

enum { INTEGER, QDQ };
const char *const maas_static_formats[] = {"integer", "qdq", NULL};

const maas_param maas_step_static_rows[7] = {
    {"method", MAAS_PARAM_CHOICE, MAAS_STEP_AT(method), .preset = MAAS_RANGE_MINMAX,
     .choices = maas_range_methods, .help = "what the range of an input is"},
    {"percentile", MAAS_PARAM_NUM, MAAS_STEP_AT(percentile), 50, 100, 99.99,
     .help = "with method percentile: so many of a hundred values are within the range"},
    {"rows", MAAS_PARAM_INT, MAAS_STEP_AT(rows), 1, 1 << 24, 512,
     .help = "of the data set, not held out, to measure ranges on"},
    {"format", MAAS_PARAM_CHOICE, MAAS_STEP_AT(format), .preset = INTEGER,
     .choices = maas_static_formats,
     .help = "integer: operators on bytes; qdq: quantized values around the operators of floats"},
    {"per_channel", MAAS_PARAM_BOOL, MAAS_STEP_AT(per_channel), .preset = 1,
     .help = "a scale for each output; else one for the tensor"},
    {"reduce_range", MAAS_PARAM_BOOL, MAAS_STEP_AT(reduce_range), .preset = 0,
     .help = "weights of 7 bits, for processors and runtimes that add pairs of products in 16"},
    {"min_elements", MAAS_PARAM_INT, MAAS_STEP_AT(min_elements), 1, 1e9, 64,
     .help = "smaller weights stay as they are"},
};

uint32_t maas_static_number(const maas_static_quant *s, maas_vid x)
{
    uint32_t i = 0;
    while (i < s->n && s->x[i] != x)
        i++;
    return i;
}

static void add_input(maas_static_quant *s, maas_vid x)
{
    const uint32_t i = maas_static_number(s, x);
    if (i == s->n)
        s->x[s->n++] = x;
}

maas_status maas_static_collect(maas_step_call *c, maas_arena *a, maas_static_quant *s,
                                maas_err *err)
{
    const maas_graph *g = c->g;
    *s = (maas_static_quant){.c = c,
                             .bytes = {c->spec->per_channel, c->spec->reduce_range ? 63 : 127}};
    maas_builder_init(&s->b, c->g, err);
    MAAS_TRY(maas_dense_find(g, s->c->spec->min_elements, a, &s->dense, err));
    s->conv = maas_arena_array(a, g->n_nodes, sizeof *s->conv);
    s->x = maas_arena_array(a, g->n_nodes, sizeof *s->x);
    s->range = maas_arena_array(a, g->n_nodes, sizeof *s->range);
    s->input = maas_arena_array(a, g->n_nodes, sizeof *s->input);
    if (!s->conv || !s->x || !s->range || !s->input)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a list of products");
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (maas_conv_of(g, (maas_nid)i, s->c->spec->min_elements, &s->conv[s->n_conv]))
            s->n_conv++;
    for (size_t i = 0; i < s->dense.n; i++)
        add_input(s, s->dense.at[i].x);
    for (size_t i = 0; i < s->n_conv; i++)
        add_input(s, s->conv[i].x);
    if (!s->n)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "the model has no products or convolutions with constant weights of "
                         "floats");
    for (uint32_t i = 0; i < s->n; i++)
        s->input[i].bytes = MAAS_NO_VALUE;
    return MAAS_OK;
}

/* Unsigned bytes over the range; zero has a code. x: what the node reads now, which may have been
 * made by a product that was turned before. */
static maas_byte_input to_bytes(maas_static_quant *s, uint32_t i, maas_vid x)
{
    maas_builder *b = &s->b;
    const maas_range r = s->range[i];
    const float scale = r.hi > r.lo ? (r.hi - r.lo) / 255 : 1;
    uint8_t zero = (uint8_t)fminf(fmaxf(rintf(-r.lo / scale), 0), 255);
    const maas_tensor t = maas_tensor_of(MAAS_U8, 0, NULL, &zero);
    const maas_vid z = maas_b_const(b, NULL, &t), q = maas_b_f32(b, scale);
    return (maas_byte_input){.bytes = maas_b_op3(b, "QuantizeLinear", x, q, z),
                             .zero = z,
                             .scale = s->c->spec->format == QDQ ? q : MAAS_NO_VALUE,
                             .known_scale = scale};
}

static const maas_byte_input *input_of(maas_static_quant *s, maas_vid x, maas_nid node)
{
    const uint32_t i = maas_static_number(s, x);
    if (s->input[i].bytes == MAAS_NO_VALUE)
        s->input[i] = to_bytes(s, i, s->c->g->nodes[node].in[0]);
    return &s->input[i];
}

/* ---- qdq: the node stays, its input and its weight pass through bytes ---- */

static maas_status through_bytes(maas_static_quant *s, maas_nid node, const maas_weight *w,
                                 const maas_byte_input *x)
{
    maas_graph *g = s->c->g;
    const maas_tensor t = maas_graph_at(g, w->v)->init;
    maas_tensor q = maas_tensor_of(MAAS_I8, t.rank, t.dims, NULL);
    maas_tensor scale = maas_tensor_of(MAAS_F32, s->bytes.per_channel ? 1 : 0, &w->n, NULL);
    MAAS_TRY(maas_weight_room(g, &q, s->b.err));
    MAAS_TRY(maas_weight_room(g, &scale, s->b.err));
    maas_weight_to_bytes(t.data, w, &s->bytes, q.data, scale.data);
    const maas_attr axis = MAAS_A_INT("axis", w->axis);
    const maas_vid in[2] = {maas_weight_const(&s->b, w->v, "int8", &q),
                            maas_weight_const(&s->b, w->v, "scale", &scale)};
    maas_vid floats = MAAS_NO_VALUE;
    maas_b_node(&s->b, "DequantizeLinear", &axis, s->bytes.per_channel ? 1 : 0, in, 2, &floats, 1);
    const maas_vid back = maas_b_op3(&s->b, "DequantizeLinear", x->bytes, x->scale, x->zero);
    if (s->b.status == MAAS_OK) {
        g->nodes[node].in[0] = back;
        g->nodes[node].in[1] = floats;
    }
    return s->b.status;
}

static maas_status dense(maas_static_quant *s, const maas_dense *d)
{
    const maas_byte_input *x = input_of(s, d->x, d->node);
    if (s->c->spec->format == INTEGER)
        return maas_byte_dense(&s->b, d, &s->bytes, x);
    const maas_weight w = d->transposed ? (maas_weight){d->w, 0, 1, d->out, d->in}
                                        : (maas_weight){d->w, 1, d->in, d->out, 1};
    return through_bytes(s, d->node, &w, x);
}

static maas_status conv(maas_static_quant *s, const maas_conv *c)
{
    const maas_byte_input *x = input_of(s, c->x, c->node);
    if (s->c->spec->format == INTEGER)
        return maas_byte_conv(&s->b, c, &s->bytes, x);
    const maas_tensor *t = &maas_graph_at(s->c->g, c->w)->init;
    const maas_weight w = {c->w, 0, 1, t->dims[0], maas_dims_product(t->dims, 1, t->rank)};
    return through_bytes(s, c->node, &w, x);
}

static maas_status say(const maas_static_quant *s, maas_err *err)
{
    json_t *ranges = json_object();
    for (uint32_t i = 0; i < s->n; i++)
        json_object_set_new(ranges, maas_graph_at(s->c->g, s->x[i])->name,
                            json_pack("[f, f]", (double)s->range[i].lo, (double)s->range[i].hi));
    json_object_set_new(s->c->said, "ranges", ranges);
    json_object_set_new(s->c->said, "products", json_integer((json_int_t)(s->dense.n + s->n_conv)));
    return maas_graph_compact(s->c->g, err);
}

maas_status maas_static_measure(maas_static_quant *s, maas_err *err)
{
    MAAS_TRY(maas_step_seen(s->c, err));
    return maas_ranges_measure(s->c, s->x, s->n, s->range, err);
}

maas_status maas_static_write(maas_static_quant *s, maas_err *err)
{
    for (size_t i = 0; i < s->dense.n; i++)
        MAAS_TRY(dense(s, &s->dense.at[i]));
    for (size_t i = 0; i < s->n_conv; i++)
        MAAS_TRY(conv(s, &s->conv[i]));
    return say(s, err);
}

static maas_status quantize(maas_step_call *c, maas_arena *a, maas_err *err)
{
    maas_static_quant s;
    MAAS_TRY(maas_static_collect(c, a, &s, err));
    MAAS_TRY(maas_static_measure(&s, err));
    return maas_static_write(&s, err);
}

maas_status maas_step_static_int8(maas_step_call *c, maas_err *err)
{
    maas_arena a;
    maas_arena_init(&a, c->job->budget);
    const maas_status st = quantize(c, &a, err);
    maas_arena_reset(&a);
    return st;
}
