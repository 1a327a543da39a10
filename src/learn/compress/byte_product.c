/* learn/compress/byte_product.c - nodes around MatMulInteger and ConvInteger. */
#include "learn/compress/byte_product.h"

#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

/* acc: whole numbers; scale: a constant of the weights, `channels` wide at the place of the axis.
 */
static maas_vid to_floats(maas_builder *b, maas_vid acc, maas_vid scale, const maas_byte_input *x)
{
    const maas_attr to = MAAS_A_INT("to", MAAS_F32);
    maas_vid f = MAAS_NO_VALUE;
    maas_b_node(b, "Cast", &to, 1, &acc, 1, &f, 1);
    if (x->scale != MAAS_NO_VALUE)
        scale = maas_b_op2(b, "Mul", x->scale, scale);
    return maas_b_op2(b, "Mul", f, scale);
}

static void times(maas_tensor *scale, float by)
{
    for (int64_t i = 0, n = maas_n_elems(scale); i < n; i++)
        ((float *)scale->data)[i] *= by;
}

static float known_scale(const maas_byte_input *x)
{
    return x->scale == MAAS_NO_VALUE ? x->known_scale : 1;
}

/* W as [in][out], whichever way it was stored. */
static maas_status straight(const maas_graph *g, const maas_dense *d, float **out, maas_err *err)
{
    const float *w = maas_weight_data(g, d->w);
    float *s = maas_alloc((size_t)(d->in * d->out) * sizeof *s);
    if (!s)
        return maas_fail(err, MAAS_E_NOMEM, "memory for a weight");
    for (int64_t i = 0; i < d->in; i++)
        for (int64_t o = 0; o < d->out; o++)
            s[i * d->out + o] = maas_dense_at(d, w, i, o);
    *out = s;
    return MAAS_OK;
}

static maas_status dense_bytes(maas_builder *b, const maas_dense *d, const maas_bytes_opts *o,
                               maas_tensor *q, maas_tensor *scale)
{
    AUTO_FREE float *w = NULL;
    const maas_weight at = {d->w, 1, d->in, d->out, 1};
    *q = maas_tensor_of(MAAS_I8, 2, (int64_t[]){d->in, d->out}, NULL);
    *scale = maas_tensor_of(MAAS_F32, o->per_channel ? 1 : 0, &d->out, NULL);
    MAAS_TRY(straight(b->g, d, &w, b->err));
    MAAS_TRY(maas_weight_room(b->g, q, b->err));
    MAAS_TRY(maas_weight_room(b->g, scale, b->err));
    maas_weight_to_bytes(w, &at, o, q->data, scale->data);
    return MAAS_OK;
}

maas_status maas_byte_dense(maas_builder *b, const maas_dense *d, const maas_bytes_opts *o,
                            const maas_byte_input *x)
{
    maas_tensor q, scale;
    MAAS_TRY(dense_bytes(b, d, o, &q, &scale));
    times(&scale, d->alpha * known_scale(x));
    const maas_vid w = maas_weight_const(b, d->w, "int8", &q);
    const maas_vid acc = maas_b_op3(b, "MatMulInteger", x->bytes, w, x->zero);
    maas_vid y = to_floats(b, acc, maas_weight_const(b, d->w, "scale", &scale), x);
    if (d->bias != MAAS_NO_VALUE) {
        const maas_vid bias = d->beta == 1 ? d->bias
                                           : maas_b_op2(b, "Mul", d->bias, maas_b_f32(b, d->beta));
        y = maas_b_op2(b, "Add", y, bias);
    }
    maas_dense_replace(b, d->node, y);
    return b->status;
}

/* ---- convolutions ---- */

bool maas_conv_of(const maas_graph *g, maas_nid id, int64_t min_elements, maas_conv *out)
{
    const maas_node *n = &g->nodes[id];
    if (n->dead || *n->op->domain || strcmp(n->op->name, "Conv") != 0)
        return false;
    const maas_value *w = maas_graph_at(g, n->in[1]);
    const maas_value *bias = n->n_in > 2 && n->in[2] != MAAS_NO_VALUE ? maas_graph_at(g, n->in[2])
                                                                      : NULL;
    *out = (maas_conv){id, n->in[0], n->in[1], bias ? n->in[2] : MAAS_NO_VALUE};
    return (w->flags & MAAS_VALUE_CONST) && w->init.data && w->init.dtype == MAAS_F32 &&
           w->init.rank >= 3 && maas_n_elems(&w->init) >= min_elements &&
           (!bias ||
            ((bias->flags & MAAS_VALUE_CONST) && bias->init.data && bias->init.dtype == MAAS_F32));
}

/* [M] as [M,1,1..]: what a convolution of that rank adds its channels to. */
static maas_tensor beside(const maas_tensor *of_channels, int rank)
{
    maas_tensor t = *of_channels;
    if (t.rank == 1) {
        t.rank = (uint8_t)(rank - 1);
        for (int i = 1; i < rank - 1; i++)
            t.dims[i] = 1;
    }
    return t;
}

maas_status maas_byte_conv(maas_builder *b, const maas_conv *c, const maas_bytes_opts *o,
                           const maas_byte_input *x)
{
    maas_graph *g = b->g;
    const maas_tensor weights = maas_graph_at(g, c->w)->init;
    const int rank = weights.rank;
    const maas_weight at = {c->w, 0, 1, weights.dims[0], maas_dims_product(weights.dims, 1, rank)};
    maas_tensor q = maas_tensor_of(MAAS_I8, rank, weights.dims, NULL);
    maas_tensor scale = maas_tensor_of(MAAS_F32, o->per_channel ? 1 : 0, weights.dims, NULL);
    MAAS_TRY(maas_weight_room(g, &q, b->err));
    MAAS_TRY(maas_weight_room(g, &scale, b->err));
    maas_weight_to_bytes(weights.data, &at, o, q.data, scale.data);
    times(&scale, known_scale(x));
    scale = beside(&scale, rank);
    const maas_vid in[3] = {x->bytes, maas_weight_const(b, c->w, "int8", &q), x->zero};
    const maas_node *n = &g->nodes[c->node];
    maas_vid acc = MAAS_NO_VALUE;
    AUTO_FREE maas_attr *attr = maas_calloc((size_t)n->n_attr + 1, sizeof *attr);
    if (!attr)
        return maas_fail(b->err, MAAS_E_NOMEM, "memory for a convolution");
    memcpy(attr, n->attr, n->n_attr * sizeof *attr);
    maas_b_node(b, "ConvInteger", attr, n->n_attr, in, 3, &acc, 1);
    maas_vid y = to_floats(b, acc, maas_weight_const(b, c->w, "scale", &scale), x);
    if (c->bias != MAAS_NO_VALUE) {
        const maas_tensor bias = beside(&maas_graph_at(g, c->bias)->init, rank);
        y = maas_b_op2(b, "Add", y, maas_weight_const(b, c->bias, "beside", &bias));
    }
    maas_dense_replace(b, c->node, y);
    return b->status;
}
