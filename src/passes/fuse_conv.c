/*
 * A convolution takes in what follows it, as far as each value between has no other reader:
 *
 *   Conv -> Mul, Add by constants of each channel      scale and bias
 *        -> Add of an array                            what is added
 *        -> Relu, Clip, .. or a pattern of them        activations
 *
 * which makes FusedConv, or FusedConvAdd. The last node of a chain is rewritten in place, because
 * whatever the others read exists by then. Zeros that Pad puts around X become pads.
 */
#include "passes/fuse_conv.h"

#include <string.h>

#include "base/mem.h"
#include "ops/build.h"
#include "base/ban.h"

/* ---- readers ---- */

static void note(maas_readers *r, maas_nid n)
{
    if (r->n < MAAS_COUNT(r->node))
        r->node[r->n] = n;
    r->n++;
}

static maas_readers *readers_of(const maas_graph *g)
{
    maas_readers *r = maas_calloc(g->n_values, sizeof *r);
    for (uint32_t i = 0; i < g->n_nodes && r; i++)
        for (int k = 0; k < g->nodes[i].n_in; k++)
            if (g->nodes[i].in[k] >= 0)
                note(&r[g->nodes[i].in[k]], (maas_nid)i);
    for (uint32_t i = 0; i < g->n_outputs && r; i++)
        r[g->outputs[i]].n += MAAS_COUNT(r->node) + 1;
    for (uint32_t i = 0; i < g->n_bindings && r; i++)
        r[g->bindings[i].value].n += MAAS_COUNT(r->node) + 1;
    return r;
}

/* ---- scale and bias ---- */

/* A constant with one number for each channel of y [N][C][..], or one for all; *step 0 or 1. */
static const float *channel_numbers(const maas_graph *g, maas_vid v, const maas_type *y, int *step)
{
    if (!maas_value_is(g, v, MAAS_VALUE_CONST))
        return NULL;
    const maas_tensor *t = &maas_graph_at(g, v)->init;
    const int64_t n = maas_n_elems(t);
    const int at = 1 - (y->rank - t->rank); /* axis of t that is the channels */
    if (t->dtype != MAAS_F32 || t->rank > y->rank)
        return NULL;
    *step = n != 1;
    if (n == 1)
        return t->data;
    return at >= 0 && t->dims[at] == y->dims[1] && n == y->dims[1] ? t->data : NULL;
}

/* Constant, or about to be: fold-constants leaves weights of bytes to fuse-int8. */
static bool is_weights(const maas_graph *g, const maas_chain *c)
{
    const maas_nid p = maas_graph_at(g, c->w)->producer;
    return maas_value_is(g, c->w, MAAS_VALUE_CONST) ||
           (!c->square && p >= 0 && strcmp(g->nodes[p].op->name, "DequantizeLinear") == 0 &&
            maas_value_is(g, g->nodes[p].in[0], MAAS_VALUE_CONST) &&
            maas_value_is(g, g->nodes[p].in[1], MAAS_VALUE_CONST));
}

static bool has_numbers(const maas_graph *g, const maas_chain *c)
{
    return is_weights(g, c) && (c->b < 0 || maas_value_is(g, c->b, MAAS_VALUE_CONST));
}

static maas_status begin_numbers(const maas_graph *g, maas_chain *c, maas_err *err)
{
    if (c->scale)
        return MAAS_OK;
    const float *b = c->b >= 0 ? maas_graph_at(g, c->b)->init.data : NULL;
    c->scale = maas_calloc(2 * (size_t)c->channels, sizeof *c->scale);
    if (!c->scale)
        return maas_fail(err, MAAS_E_NOMEM, "fusing convolutions");
    c->bias = c->scale + c->channels;
    for (int64_t m = 0; m < c->channels; m++) {
        c->scale[m] = 1;
        c->bias[m] = b ? b[m] : 0;
    }
    return MAAS_OK;
}

/* y * v, y / v, y + v, y - v */
static maas_status take_affine(const maas_graph *g, const maas_conv_ops *ops, maas_chain *c,
                               bool *out_done, maas_err *err)
{
    const maas_node *n = maas_only_reader(g, c);
    int step;
    *out_done = false;
    if (!n || n->n_in != 2 || c->n_acts || c->z >= 0 || !has_numbers(g, c))
        return MAAS_OK;
    const bool mul = n->op == ops->mul, div = n->op == ops->div, add = n->op == ops->add;
    if (!mul && !div && !add && n->op != ops->sub)
        return MAAS_OK;
    const int k = n->in[0] == c->y && (mul || add || n->in[1] != c->y) ? 1 : 0;
    if (k == 0 && !mul && !add)
        return MAAS_OK; /* number / y, number - y */
    const float *v = channel_numbers(g, n->in[k], &maas_graph_at(g, c->y)->type, &step);
    if (!v || !maas_type_eq(&maas_graph_at(g, n->out[0])->type, &maas_graph_at(g, c->y)->type))
        return MAAS_OK;
    MAAS_TRY(begin_numbers(g, c, err));
    for (int64_t m = 0; m < c->channels; m++) {
        const double x = v[m * step], factor = mul ? x : div ? 1 / x : 1;
        c->scale[m] *= factor;
        c->bias[m] = c->bias[m] * factor + (add ? x : mul || div ? 0 : -x);
    }
    maas_chain_step(g, c, n, ops);
    *out_done = true;
    return MAAS_OK;
}

static bool take_addend(const maas_graph *g, const maas_conv_ops *ops, maas_chain *c)
{
    const maas_node *n = maas_only_reader(g, c);
    if (!n || n->op != ops->add || c->n_acts || c->square || c->z >= 0 || n->in[0] == n->in[1])
        return false;
    const maas_vid other = n->in[0] == c->y ? n->in[1] : n->in[0];
    if (!maas_type_eq(&maas_graph_at(g, other)->type, &maas_graph_at(g, c->y)->type))
        return false;
    c->z = other;
    maas_chain_step(g, c, n, ops);
    return true;
}

/* ---- zeros around X ---- */

static bool is_zero_pad(const maas_graph *g, const maas_node *n)
{
    const maas_str mode = maas_attr_s(n, "mode", "constant");
    const bool fill = n->n_in > 2 && n->in[2] >= 0;
    if (mode.n != 8 || memcmp(mode.p, "constant", 8) != 0 || n->n_in < 2 ||
        (n->n_in > 3 && n->in[3] >= 0) || !maas_value_is(g, n->in[1], MAAS_VALUE_CONST))
        return false;
    const maas_tensor *t = fill ? &maas_graph_at(g, n->in[2])->init : NULL;
    return !fill || (maas_value_is(g, n->in[2], MAAS_VALUE_CONST) && t->dtype == MAAS_F32 &&
                     maas_n_elems(t) == 1 && ((const float *)t->data)[0] == 0);
}

static void take_zeros(const maas_graph *g, const maas_conv_ops *ops, maas_chain *c)
{
    const maas_nid pid = maas_graph_at(g, c->x)->producer;
    const maas_node *pad = pid >= 0 ? &g->nodes[pid] : NULL;
    const int rank = maas_graph_at(g, c->y)->type.rank, n = rank - 2;
    maas_window w;
    if (!pad || pad->op != ops->pad || pad->dead || c->square || c->readers[c->x].n != 1 ||
        !is_zero_pad(g, pad) || maas_graph_at(g, c->w)->type.rank != rank ||
        maas_window_init(&w, &g->nodes[c->conv], n, maas_graph_at(g, c->w)->type.dims + 2, NULL) !=
            MAAS_OK ||
        w.auto_pad > MAAS_PAD_VALID)
        return;
    const maas_tensor *t = &maas_graph_at(g, pad->in[1])->init;
    const int64_t *by = t->data;
    if (t->dtype != MAAS_I64 || maas_n_elems(t) != 2 * rank || by[0] || by[1] || by[rank] ||
        by[rank + 1])
        return;
    for (int i = 0; i < 2 * n; i++) {
        const int64_t more = by[i < n ? i + 2 : i - n + rank + 2];
        c->pads[i] = (i < n ? w.before[i] : w.after[i - n]) + more;
        if (more < 0 || more > MAAS_WINDOW_MAX || c->pads[i] > MAAS_WINDOW_MAX)
            return;
    }
    c->n_pads = 2 * n;
    c->x = pad->in[0];
    c->between[c->n_between++] = pid;
}

/* ---- writing ---- */

static maas_status vector_const(maas_graph *g, const double *v, int64_t n, maas_vid *out,
                                maas_err *err)
{
    AUTO_FREE float *data = maas_calloc((size_t)n, sizeof *data);
    if (!data)
        return maas_fail(err, MAAS_E_NOMEM, "fusing convolutions");
    for (int64_t i = 0; i < n; i++)
        data[i] = (float)v[i];
    const maas_tensor t = maas_tensor_of(MAAS_F32, 1, &n, data);
    return maas_graph_const(g, NULL, &t, true, out, err);
}

maas_status maas_chain_set_acts(maas_graph *g, maas_nid nid, const maas_chain *c, maas_err *err)
{
    maas_str names[MAAS_MAX_CONV_ACTS];
    float params[2 * MAAS_MAX_CONV_ACTS];
    for (int i = 0; i < c->n_acts; i++) {
        const char *name = maas_conv_act_names[c->act[i].kind];
        names[i] = (maas_str){name, strlen(name)};
        params[2 * i] = c->act[i].a;
        params[2 * i + 1] = c->act[i].b;
    }
    const uint32_t n = (uint32_t)c->n_acts;
    const maas_attr a = {.name = "activations",
                         .type = MAAS_ATTR_STRINGS,
                         .n = n,
                         .u.strings = names},
                    p = {
                        .name = "params", .type = MAAS_ATTR_FLOATS, .n = 2 * n, .u.floats = params};
    if (!n)
        return MAAS_OK;
    MAAS_TRY(maas_node_set(g, nid, &a, err));
    return maas_node_set(g, nid, &p, err);
}

static maas_status rewrite(maas_graph *g, const maas_conv_ops *ops, const maas_chain *c,
                           maas_err *err)
{
    maas_vid *in = maas_arena_array(&g->arena, 5, sizeof *in), s = MAAS_NO_VALUE, b = c->b;
    if (!in)
        return maas_fail(err, MAAS_E_NOMEM, "fusing convolutions");
    if (c->scale) {
        MAAS_TRY(vector_const(g, c->scale, c->channels, &s, err));
        MAAS_TRY(vector_const(g, c->bias, c->channels, &b, err));
    }
    const maas_node conv = g->nodes[c->conv];
    maas_node *last = &g->nodes[c->last];
    const bool add = c->z >= 0;
    const maas_vid all[] = {c->z, c->x, c->w, b, s};
    memcpy(in, all + !add, (5 - (size_t)!add) * sizeof *in);
    last->op = add ? ops->fused_add : ops->fused;
    last->in = in;
    last->n_in = (uint16_t)(add + (s >= 0 ? 4 : b >= 0 ? 3 : 2));
    last->attr = NULL;
    last->n_attr = 0;
    last->checked = 0;
    for (int i = 0; i < conv.n_attr; i++)
        MAAS_TRY(maas_node_set(g, c->last, &conv.attr[i], err));
    if (c->n_pads) {
        MAAS_TRY(maas_node_set(g, c->last, &MAAS_A_STR("auto_pad", "NOTSET"), err));
        MAAS_TRY(maas_node_set(g, c->last, &MAAS_A_INTS("pads", c->pads, c->n_pads), err));
    }
    MAAS_TRY(maas_chain_set_acts(g, c->last, c, err));
    for (int i = 0; i < c->n_between; i++)
        g->nodes[c->between[i]].dead = true;
    return MAAS_OK;
}

/* ---- chains ---- */

static bool begin(const maas_graph *g, const maas_conv_ops *ops, maas_nid nid,
                  const maas_readers *readers, maas_chain *c)
{
    const maas_node *n = &g->nodes[nid];
    if (n->dead || (n->op != ops->conv && n->op != ops->transpose) || n->out[0] < 0)
        return false;
    const int64_t square = n->op == ops->transpose ? maas_conv_square(g, n) : 0;
    *c = (maas_chain){.conv = nid,
                      .last = nid,
                      .readers = readers,
                      .x = n->in[0],
                      .w = n->in[1],
                      .b = n->n_in > 2 ? n->in[2] : MAAS_NO_VALUE,
                      .z = MAAS_NO_VALUE,
                      .y = n->out[0]};
    const maas_type *y = &maas_graph_at(g, c->y)->type;
    c->channels = y->rank < 3 ? -1 : y->dims[1];
    c->square = square;
    for (int i = 0; i < y->rank && square; i++)
        if (y->dims[i] < 1)
            return false;
    if (n->op == ops->transpose && (!square || !has_numbers(g, c)))
        return false;
    return y->tag == MAAS_TYPE_TENSOR && y->dtype == MAAS_F32 && c->channels >= 1;
}

static maas_status grow(const maas_graph *g, const maas_conv_ops *ops, maas_chain *c, maas_err *err)
{
    bool more = true;
    while (more && c->n_between < MAAS_CHAIN_MAX - 5) {
        MAAS_TRY(take_affine(g, ops, c, &more, err));
        more = more || take_addend(g, ops, c) || maas_take_activation(g, ops, c);
    }
    return MAAS_OK;
}

maas_status maas_pass_fuse_conv(maas_graph *g, const maas_pass_opts *o, maas_err *err)
{
    const maas_conv_ops ops = maas_conv_ops_find();
    AUTO_FREE maas_readers *readers = readers_of(g);
    const uint32_t n_nodes = g->n_nodes;
    bool any = false;
    if (!readers)
        return maas_fail(err, MAAS_E_NOMEM, "fusing convolutions");
    for (uint32_t i = 0; i < n_nodes; i++) {
        maas_chain c;
        if (!begin(g, &ops, (maas_nid)i, readers, &c))
            continue;
        take_zeros(g, &ops, &c);
        maas_status st = grow(g, &ops, &c, err);
        if (st == MAAS_OK && c.square)
            st = begin_numbers(g, &c, err);
        if (st == MAAS_OK && (c.square || c.n_pads || c.last != c.conv)) {
            st = (c.square ? maas_chain_square : rewrite)(g, &ops, &c, err);
            any = true;
        }
        maas_free(c.scale);
        MAAS_TRY(st);
    }
    return any ? maas_graph_compact(g, err) : MAAS_OK;
}
