/*
 * ConvTranspose whose windows do not overlap (stride and kernel k x k, no pads): each place becomes
 * a square of its own, so it is a product with the weights as they lie, [C][M k k],
 *
 *   ConvTranspose   becomes   FusedConv 1 x 1 to M k k channels, DepthToSpace
 *
 * and what follows it is taken in before the squares are laid out.
 */
#include "passes/fuse_conv.h"

#include <string.h>

#include "base/mem.h"
#include "ops/build.h"
#include "base/ban.h"

int64_t maas_conv_square(const maas_graph *g, const maas_node *n)
{
    const maas_type *w = &maas_graph_at(g, n->in[1])->type;
    maas_window win;
    if (w->rank != 4 || !maas_value_is(g, n->in[1], MAAS_VALUE_CONST) ||
        maas_attr_i(n, "group", 1) != 1 || maas_node_attr(n, "output_shape") ||
        maas_node_attr(n, "output_padding") ||
        maas_window_init(&win, n, 2, w->dims + 2, NULL) != MAAS_OK || win.auto_pad > MAAS_PAD_VALID)
        return 0;
    for (int a = 0; a < 2; a++)
        if (win.kernel[a] != win.kernel[0] || win.stride[a] != win.kernel[0] ||
            win.dilation[a] != 1 || win.before[a] || win.after[a])
            return 0;
    return win.kernel[0];
}

/* [C][M k k] as [M k k][C][1][1]. */
static maas_status turned(maas_graph *g, const maas_chain *c, maas_vid *out, maas_err *err)
{
    const maas_tensor w = maas_graph_at(g, c->w)->init;
    const int64_t n = c->channels * c->square * c->square, ch = w.dims[0], dims[] = {n, ch, 1, 1};
    AUTO_FREE float *data = maas_calloc((size_t)n, (size_t)ch * sizeof *data);
    if (!data)
        return maas_fail(err, MAAS_E_NOMEM, "fusing convolutions");
    for (int64_t i = 0; i < ch; i++)
        for (int64_t j = 0; j < n; j++)
            data[j * ch + i] = ((const float *)w.data)[i * n + j];
    const maas_tensor t = maas_tensor_of(MAAS_F32, 4, dims, data);
    return maas_graph_const(g, NULL, &t, true, out, err);
}

/* Each number as often as a square has places. */
static maas_status repeated(maas_graph *g, const maas_chain *c, const double *v, maas_vid *out,
                            maas_err *err)
{
    const int64_t k2 = c->square * c->square, n = c->channels * k2;
    AUTO_FREE float *data = maas_calloc((size_t)n, sizeof *data);
    if (!data)
        return maas_fail(err, MAAS_E_NOMEM, "fusing convolutions");
    for (int64_t i = 0; i < n; i++)
        data[i] = (float)v[i / k2];
    const maas_tensor t = maas_tensor_of(MAAS_F32, 1, &n, data);
    return maas_graph_const(g, NULL, &t, true, out, err);
}

maas_status maas_chain_square(maas_graph *g, const maas_conv_ops *ops, const maas_chain *c,
                              maas_err *err)
{
    const maas_type y = maas_graph_at(g, c->y)->type;
    maas_type flat = y;
    maas_vid in[4] = {c->x}, *shuffle_in = maas_arena_array(&g->arena, 1, sizeof *shuffle_in), out;
    maas_nid nid;
    if (!shuffle_in)
        return maas_fail(err, MAAS_E_NOMEM, "fusing convolutions");
    flat.dims[1] = y.dims[1] * c->square * c->square;
    flat.dims[2] = y.dims[2] / c->square;
    flat.dims[3] = y.dims[3] / c->square;
    MAAS_TRY(turned(g, c, &in[1], err));
    MAAS_TRY(repeated(g, c, c->bias, &in[2], err));
    MAAS_TRY(repeated(g, c, c->scale, &in[3], err));
    MAAS_TRY(maas_graph_value(g, NULL, &flat, &out, err));
    MAAS_TRY(maas_graph_node(g, ops->fused, g->nodes[c->conv].name, in, 4, &out, 1, &nid, err));
    MAAS_TRY(maas_chain_set_acts(g, nid, c, err));
    maas_node *last = &g->nodes[c->last];
    shuffle_in[0] = out;
    last->op = ops->shuffle;
    last->in = shuffle_in;
    last->n_in = 1;
    last->attr = NULL;
    last->n_attr = 0;
    last->checked = 0;
    MAAS_TRY(maas_node_set(g, c->last, &MAAS_A_INT("blocksize", c->square), err));
    MAAS_TRY(maas_node_set(g, c->last, &MAAS_A_STR("mode", "CRD"), err));
    for (int i = 0; i < c->n_between; i++)
        g->nodes[c->between[i]].dead = true;
    return MAAS_OK;
}
