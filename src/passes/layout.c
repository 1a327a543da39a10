/*
 * Channels in blocks: vector code wants the channels of one place side by side. A value in blocks
 * is an array of one axis more (ops/fused_conv.h), so most operators need not know of it:
 *
 *   Conv, FusedConv, FusedConvAdd    take and give blocks; ToBlocks where what they read has none
 *   MaxPool, AveragePool, Global..   become BlockedPool
 *   element-wise                     run as they are, constants of channels become blocks
 *   Resize to the nearest            becomes BlockedRepeat when it repeats
 *   Concat of channels               runs as it is when only its last input has a gap
 *   anything else                    reads FromBlocks, which is swept away where nobody does
 *
 * One walk in order: for each value there is at most one twin in blocks.
 */
#include "passes/pass_int.h"

#include <string.h>

#include "base/mem.h"
#include "ops/build.h"
#include "ops/fused_conv.h"
#include "ops/resize.h"
#include "base/ban.h"

typedef struct layout {
    maas_graph *g;
    maas_builder b;
    int64_t block;
    maas_vid *twin;    /* [n_values] the value in blocks; MAAS_NO_VALUE */
    uint32_t n_values; /* before the pass: others have no twins */
} layout;

/* ---- values ---- */

static maas_type type_of(const layout *l, maas_vid v)
{
    return maas_graph_at(l->g, v)->type;
}

/* f32 [N,C,d..] whose sizes are known and not zero. */
static bool is_picture(const layout *l, maas_vid v)
{
    if (v < 0 || (uint32_t)v >= l->n_values)
        return false;
    const maas_type t = type_of(l, v);
    bool ok = t.tag == MAAS_TYPE_TENSOR && t.dtype == MAAS_F32 && t.rank >= 3 && t.rank <= 5;
    for (int i = 0; ok && i < t.rank; i++)
        ok = t.dims[i] > 0;
    return ok;
}

static maas_vid twin_of(const layout *l, maas_vid v)
{
    return v >= 0 && (uint32_t)v < l->n_values ? l->twin[v] : MAAS_NO_VALUE;
}

static maas_vid make_twin(layout *l, maas_vid v)
{
    if (twin_of(l, v) < 0)
        l->twin[v] = maas_b_node(&l->b, "ToBlocks", &MAAS_A_INT("block", l->block), 1, &v, 1, NULL,
                                 1);
    return l->twin[v];
}

/* Node i gives the twin of what it gave; FromBlocks makes that one for whoever still reads it. */
static void give_twin(layout *l, maas_nid i)
{
    const maas_vid y = l->g->nodes[i].out[0];
    const maas_type t = type_of(l, y), blocked = maas_type_blocked(&t, l->block);
    const maas_op *from = maas_op_find(MAAS_DOMAIN_OWN, "FromBlocks", MAAS_OPSET);
    maas_vid twin, out = y;
    maas_nid nid;
    if (l->b.status == MAAS_OK)
        l->b.status = maas_graph_value(l->g, NULL, &blocked, &twin, l->b.err);
    if (l->b.status != MAAS_OK)
        return;
    l->g->nodes[i].out[0] = l->twin[y] = twin;
    maas_graph_at(l->g, twin)->producer = i;
    maas_graph_at(l->g, y)->producer = MAAS_NO_NODE;
    l->b.status = maas_graph_node(l->g, from, "", &twin, 1, &out, 1, &nid, l->b.err);
    if (l->b.status == MAAS_OK)
        l->b.status = maas_node_set(l->g, nid, &MAAS_A_INT("channels", t.dims[1]), l->b.err);
}

static void set(layout *l, maas_nid i, maas_attr a)
{
    if (l->b.status == MAAS_OK)
        l->b.status = maas_node_set(l->g, i, &a, l->b.err);
}

static void set_input(layout *l, maas_nid i, int k, maas_vid v)
{
    if (l->b.status == MAAS_OK)
        l->g->nodes[i].in[k] = v;
}

/* ---- convolutions ---- */

static bool is_conv(const layout *l, const maas_node *n)
{
    const bool add = strcmp(n->op->name, "FusedConvAdd") == 0;
    if (strcmp(n->op->name, "Conv") != 0 && strcmp(n->op->name, "FusedConv") != 0 && !add)
        return false;
    if (!is_picture(l, n->in[add]) || !is_picture(l, n->out[0]) ||
        !maas_value_is(l->g, n->in[add + 1], MAAS_VALUE_CONST))
        return false;
    const int64_t g = maas_attr_i(n, "group", 1), b = l->block;
    const int64_t c = type_of(l, n->in[add]).dims[1], m = type_of(l, n->out[0]).dims[1];
    return g == 1 || (g == c && g == m) || (c / g % b == 0 && m / g % b == 0);
}

/* A first convolution reads its few channels as they are. */
static bool reads_plain(const layout *l, maas_vid x)
{
    return twin_of(l, x) < 0 && type_of(l, x).dims[1] <= 3;
}

static void block_conv(layout *l, maas_nid i)
{
    const maas_node *n = &l->g->nodes[i];
    const int add = strcmp(n->op->name, "FusedConvAdd") == 0;
    const maas_vid x = n->in[add], z = n->in[0];
    const bool plain = reads_plain(l, x) && maas_attr_i(n, "group", 1) == 1;
    if (strcmp(n->op->name, "Conv") == 0)
        l->g->nodes[i].op = maas_op_find(MAAS_DOMAIN_OWN, "FusedConv", MAAS_OPSET);
    if (!plain)
        set_input(l, i, add, make_twin(l, x));
    if (add)
        set_input(l, i, 0, make_twin(l, z));
    set(l, i, MAAS_A_INT("block", l->block));
    give_twin(l, i);
}

/* ---- pooling ---- */

static const struct {
    const char *op, *kind;
    bool global;
} pools[] = {{"AveragePool", "Average", false},
             {"GlobalAveragePool", "Average", true},
             {"MaxPool", "Max", false},
             {"GlobalMaxPool", "Max", true}};

/* Of no meaning without indices, and BlockedPool has none. */
static void drop_order(maas_node *n)
{
    uint16_t kept = 0;
    for (uint16_t i = 0; i < n->n_attr; i++)
        if (strcmp(n->attr[i].name, "storage_order") != 0)
            n->attr[kept++] = n->attr[i];
    n->n_attr = kept;
}

static bool block_pool(layout *l, maas_nid i)
{
    const maas_node *n = &l->g->nodes[i];
    size_t k = 0;
    while (k < MAAS_COUNT(pools) && strcmp(n->op->name, pools[k].op) != 0)
        k++;
    if (k == MAAS_COUNT(pools) || n->n_out != 1 || twin_of(l, n->in[0]) < 0 ||
        !is_picture(l, n->out[0]))
        return false;
    const maas_type x = type_of(l, n->in[0]);
    l->g->nodes[i].op = maas_op_find(MAAS_DOMAIN_OWN, "BlockedPool", MAAS_OPSET);
    drop_order(&l->g->nodes[i]);
    set_input(l, i, 0, twin_of(l, n->in[0]));
    set(l, i, MAAS_A_STR("kind", pools[k].kind));
    if (pools[k].global)
        set(l, i, MAAS_A_INTS("kernel_shape", x.dims + 2, x.rank - 2));
    give_twin(l, i);
    return true;
}

/* ---- element by element ---- */

/* Those that make nothing infinite of what fills a last block up. */
static bool is_tame(const maas_op *op)
{
    static const char *const names[] = {"Abs",       "Add",       "Clip", "Elu", "HardSigmoid",
                                        "HardSwish", "LeakyRelu", "Mul",  "Neg", "Relu",
                                        "Sigmoid",   "Sub",       "Tanh"};
    for (size_t i = 0; i < MAAS_COUNT(names); i++)
        if (strcmp(op->name, names[i]) == 0)
            return true;
    return false;
}

/* One number for each channel: [C,1..] behind a batch axis of one, or without. */
static bool is_channels(const layout *l, maas_vid v, const maas_type *y)
{
    if (!maas_value_is(l->g, v, MAAS_VALUE_CONST))
        return false;
    const maas_tensor *t = &maas_graph_at(l->g, v)->init;
    const int at = 1 - (y->rank - t->rank);
    return t->dtype == MAAS_F32 && t->rank <= y->rank && at >= 0 && t->dims[at] == y->dims[1] &&
           maas_n_elems(t) == y->dims[1];
}

static bool is_number(const layout *l, maas_vid v, const maas_type *y)
{
    if (!maas_value_is(l->g, v, MAAS_VALUE_CONST))
        return false;
    const maas_tensor *t = &maas_graph_at(l->g, v)->init;
    return t->dtype == MAAS_F32 && t->rank <= y->rank && maas_n_elems(t) == 1;
}

/* In blocks, of the rank of y, and each axis its size or one. */
static bool is_twin_for(const layout *l, maas_vid v, const maas_type *y)
{
    if (twin_of(l, v) < 0)
        return false;
    const maas_type t = type_of(l, v);
    bool ok = t.rank == y->rank && t.dims[1] == y->dims[1];
    for (int i = 0; ok && i < t.rank; i++)
        ok = t.dims[i] == y->dims[i] || t.dims[i] == 1;
    return ok;
}

static bool is_elementwise(const layout *l, const maas_node *n)
{
    if (!(n->op->flags & MAAS_OP_ELEMENTWISE) || n->n_out != 1 || !is_picture(l, n->out[0]))
        return false;
    const maas_type y = type_of(l, n->out[0]);
    bool any = false;
    if (y.dims[1] % l->block != 0 && !is_tame(n->op))
        return false;
    for (int k = 0; k < n->n_in; k++) {
        const maas_vid v = n->in[k];
        const bool twin = is_twin_for(l, v, &y);
        any |= twin;
        if (v >= 0 && !twin && !is_number(l, v, &y) && !is_channels(l, v, &y))
            return false;
    }
    return any;
}

/* [C..] as [ceil(C / b),1..,b]; ones fill it up. */
static maas_vid channels_in_blocks(layout *l, maas_vid v, int spatial)
{
    const maas_tensor from = maas_graph_at(l->g, v)->init;
    const int64_t c = maas_n_elems(&from), n = (c + l->block - 1) / l->block;
    int64_t dims[MAAS_MAX_RANK] = {n, 1, 1, 1, 1, 1, 1, 1};
    dims[1 + spatial] = l->block;
    AUTO_FREE float *data = maas_calloc((size_t)(n * l->block), sizeof *data);
    if (!data) {
        l->b.status = maas_fail(l->b.err, MAAS_E_NOMEM, "constants in blocks");
        return MAAS_NO_VALUE;
    }
    for (int64_t i = 0; i < n * l->block; i++)
        data[i] = i < c ? ((const float *)from.data)[i] : 1;
    const maas_tensor t = maas_tensor_of(MAAS_F32, spatial + 2, dims, data);
    return maas_b_const(&l->b, NULL, &t);
}

static void block_elementwise(layout *l, maas_nid i)
{
    const maas_type y = type_of(l, l->g->nodes[i].out[0]);
    for (int k = 0; k < l->g->nodes[i].n_in; k++) {
        const maas_vid v = l->g->nodes[i].in[k];
        if (v < 0)
            continue;
        if (twin_of(l, v) >= 0 && is_twin_for(l, v, &y))
            set_input(l, i, k, l->twin[v]);
        else if (!is_number(l, v, &y))
            set_input(l, i, k, channels_in_blocks(l, v, y.rank - 2));
    }
    give_twin(l, i);
}

/* ---- Concat ---- */

static bool is_concat(const layout *l, const maas_node *n)
{
    if (strcmp(n->op->name, "Concat") != 0 || n->op->domain[0] || !is_picture(l, n->out[0]))
        return false;
    const int rank = type_of(l, n->out[0]).rank;
    const int64_t axis = maas_attr_i(n, "axis", 0);
    if (axis != 1 && axis != 1 - rank)
        return false;
    for (int k = 0; k < n->n_in; k++)
        if (twin_of(l, n->in[k]) < 0 ||
            (k + 1 < n->n_in && type_of(l, n->in[k]).dims[1] % l->block != 0))
            return false;
    return true;
}

static void block_concat(layout *l, maas_nid i)
{
    for (int k = 0; k < l->g->nodes[i].n_in; k++)
        set_input(l, i, k, l->twin[l->g->nodes[i].in[k]]);
    set(l, i, MAAS_A_INT("axis", 1));
    give_twin(l, i);
}

/* ---- Resize to the nearest, by whole numbers ---- */

static const maas_tensor *data_of(const layout *l, const maas_node *n, int i)
{
    const bool given = i < n->n_in && n->in[i] >= 0;
    return given && maas_value_is(l->g, n->in[i], MAAS_VALUE_CONST)
               ? &maas_graph_at(l->g, n->in[i])->init
               : NULL;
}

/* Axis a is repeated: element i is element i / times of the input. */
static bool is_repeated(const maas_resize *r, int a, int64_t *out_times)
{
    const int64_t times = r->axis[a].out / r->axis[a].in;
    bool ok = times >= 1 && r->axis[a].out == times * r->axis[a].in;
    for (int64_t i = 0; ok && i < r->axis[a].out; i++) {
        const maas_resize_at at = maas_resize_look(r, a, i);
        ok = at.n == 1 && !at.outside && maas_resize_input(r, a, &at, 0) == i / times;
    }
    *out_times = times;
    return ok;
}

static bool block_resize(layout *l, maas_nid i)
{
    const maas_node *n = &l->g->nodes[i];
    maas_resize r;
    int64_t times[MAAS_MAX_RANK];
    if (strcmp(n->op->name, "Resize") != 0 || twin_of(l, n->in[0]) < 0 || !is_picture(l, n->out[0]))
        return false;
    const maas_type t = type_of(l, n->in[0]);
    const maas_tensor x = maas_tensor_of(MAAS_F32, t.rank, t.dims, NULL);
    if (maas_resize_attrs(n, &r, NULL) != MAAS_OK || r.mode != MAAS_RESIZE_NEAREST ||
        maas_resize_plan(n, &x, data_of(l, n, 1), data_of(l, n, 2), data_of(l, n, 3), &r, NULL) !=
            MAAS_OK)
        return false;
    for (int a = 0; a < t.rank; a++)
        if (!is_repeated(&r, a, &times[a]) || (a < 2 && times[a] != 1))
            return false;
    l->g->nodes[i].op = maas_op_find(MAAS_DOMAIN_OWN, "BlockedRepeat", MAAS_OPSET);
    l->g->nodes[i].n_in = 1;
    l->g->nodes[i].n_attr = 0;
    l->g->nodes[i].checked = 0;
    set_input(l, i, 0, twin_of(l, n->in[0]));
    set(l, i, MAAS_A_INTS("times", times + 2, t.rank - 2));
    give_twin(l, i);
    return true;
}

/* ---- the walk ---- */

static bool visit(layout *l, maas_nid i)
{
    const maas_node *n = &l->g->nodes[i];
    if (n->dead || n->n_in < 1 || n->n_out < 1 || n->out[0] < 0)
        return false;
    if (is_conv(l, n))
        block_conv(l, i);
    else if (block_pool(l, i) || block_resize(l, i))
        return true;
    else if (is_elementwise(l, n))
        block_elementwise(l, i);
    else if (is_concat(l, n))
        block_concat(l, i);
    else
        return false;
    return true;
}

maas_status maas_pass_layout(maas_graph *g, const maas_pass_opts *o, maas_err *err)
{
    layout l = {.g = g, .block = o->block, .n_values = g->n_values};
    const uint32_t n_nodes = g->n_nodes;
    bool any = false;
    if (o->block == 0 || o->training)
        return MAAS_OK;
    AUTO_FREE maas_vid *twin = maas_calloc(g->n_values, sizeof *twin);
    if (!twin)
        return maas_fail(err, MAAS_E_NOMEM, "choosing layouts");
    for (uint32_t v = 0; v < g->n_values; v++)
        twin[v] = MAAS_NO_VALUE;
    l.twin = twin;
    maas_builder_init(&l.b, g, err);
    for (uint32_t i = 0; i < n_nodes && l.b.status == MAAS_OK; i++)
        any |= visit(&l, (maas_nid)i);
    MAAS_TRY(l.b.status);
    if (!any)
        return MAAS_OK;
    MAAS_TRY(maas_graph_compact(g, err));
    return maas_pass_dead_code(g, o, err);
}
