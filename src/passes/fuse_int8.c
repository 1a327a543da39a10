/*
 * Networks of bytes. A file says DequantizeLinear -> Conv -> QuantizeLinear (or QLinearConv), which
 * becomes one convolution of bytes; channels stay last from one to the next (ops/qconv.h):
 *
 *   Conv, FusedConv, QLinearConv, Gemm     fuse_int8_conv.c
 *   Add of two that were bytes             into the convolution that makes one of them
 *   MaxPool between equal scales           of the bytes
 *   QuantizeLinear of what has a twin      of the twin
 *   anything else                          reads a Transpose, which is swept away where nobody does
 *
 * Nothing that the file rounds stays unrounded: results differ by what the order of floats does.
 * One walk in order; weights of bytes are still there, because fold-constants left them.
 */
#include "passes/fuse_int8.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

/* ---- looking ---- */

bool maas_int8_is(const maas_node *n, const char *op)
{
    return n && !n->dead && strcmp(n->op->name, op) == 0;
}

const maas_node *maas_int8_producer(const maas_int8 *w, maas_vid v)
{
    const maas_nid p = v >= 0 ? maas_graph_at(w->g, v)->producer : MAAS_NO_NODE;
    return p >= 0 ? &w->g->nodes[p] : NULL;
}

maas_nid maas_int8_only_reader(const maas_int8 *w, maas_vid v)
{
    return v >= 0 && (uint32_t)v < w->n_values && w->uses[v] == 1 ? w->reader[v] : MAAS_NO_NODE;
}

bool maas_int8_number(const maas_int8 *w, maas_vid v, maas_dtypes allowed, double *out)
{
    if (!maas_value_is(w->g, v, MAAS_VALUE_CONST))
        return false;
    const maas_tensor *t = &maas_graph_at(w->g, v)->init;
    if (!maas_dtype_in((maas_dtype)t->dtype, allowed) || maas_n_elems(t) != 1 || !t->data)
        return false;
    *out = maas_tensor_get(t, 0);
    return true;
}

#define BYTES (MAAS_DT_BIT(MAAS_U8) | MAAS_DT_BIT(MAAS_I8))

/* Of a QuantizeLinear or DequantizeLinear whose bytes are `q`. */
static bool numbers_of(const maas_int8 *w, const maas_node *n, maas_vid q, maas_codes *out)
{
    const maas_type *t = &maas_graph_at(w->g, q)->type;
    double scale, zero = 0;
    if (t->tag != MAAS_TYPE_TENSOR || !maas_dtype_in((maas_dtype)t->dtype, BYTES) ||
        maas_attr_i(n, "block_size", 0) || maas_attr_i(n, "precision", 0) ||
        !maas_int8_number(w, n->in[1], MAAS_DT_BIT(MAAS_F32), &scale) ||
        (n->n_in > 2 && n->in[2] >= 0 && !maas_int8_number(w, n->in[2], BYTES, &zero)))
        return false;
    *out = (maas_codes){q, (maas_dtype)t->dtype, (float)scale, (int32_t)zero};
    return scale > 0 && isfinite(scale);
}

bool maas_codes_of(const maas_int8 *w, maas_vid v, maas_codes *out)
{
    const maas_node *n = maas_int8_producer(w, v);
    return maas_int8_is(n, "DequantizeLinear") && maas_graph_at(w->g, v)->type.dtype == MAAS_F32 &&
           numbers_of(w, n, n->in[0], out);
}

bool maas_codes_next(const maas_int8 *w, maas_vid v, maas_codes *out, maas_nid *out_node)
{
    const maas_nid next = maas_int8_only_reader(w, v);
    const maas_node *n = next >= 0 ? &w->g->nodes[next] : NULL;
    if (!maas_int8_is(n, "QuantizeLinear") || n->in[0] != v || !numbers_of(w, n, n->out[0], out))
        return false;
    *out_node = next;
    return true;
}

bool maas_int8_is_picture(const maas_int8 *w, maas_vid v)
{
    if (v < 0 || (uint32_t)v >= w->n_values)
        return false;
    const maas_type *t = &maas_graph_at(w->g, v)->type;
    bool ok = t->tag == MAAS_TYPE_TENSOR && t->rank >= 3 && t->rank <= 5;
    for (int i = 0; ok && i < t->rank; i++)
        ok = t->dims[i] > 0;
    return ok;
}

/* ---- twins ---- */

static maas_attr to_last(int rank, int64_t *perm)
{
    for (int i = 0; i < rank; i++)
        perm[i] = i == 0 ? 0 : i + 1 < rank ? i + 1 : 1;
    return MAAS_A_INTS("perm", perm, rank);
}

maas_vid maas_int8_last(maas_int8 *w, maas_vid v)
{
    int64_t perm[MAAS_MAX_RANK];
    if (w->twin[v] < 0) {
        const maas_attr a = to_last(maas_graph_at(w->g, v)->type.rank, perm);
        w->twin[v] = maas_b_node(&w->b, "Transpose", &a, 1, &v, 1, NULL, 1);
    }
    return w->twin[v];
}

void maas_int8_give(maas_int8 *w, maas_vid y, maas_vid twin)
{
    const maas_op *transpose = maas_op_find("", "Transpose", MAAS_OPSET);
    const int rank = maas_graph_at(w->g, y)->type.rank;
    int64_t perm[MAAS_MAX_RANK] = {0, rank - 1};
    maas_nid nid;
    for (int i = 2; i < rank; i++)
        perm[i] = i - 1;
    const maas_attr a = MAAS_A_INTS("perm", perm, rank);
    if (w->b.status != MAAS_OK)
        return;
    w->g->nodes[maas_graph_at(w->g, y)->producer].dead = true;
    maas_graph_at(w->g, y)->producer = MAAS_NO_NODE;
    w->twin[y] = twin;
    w->b.status = maas_graph_node(w->g, transpose, "", &twin, 1, &y, 1, &nid, w->b.err);
    if (w->b.status == MAAS_OK)
        w->b.status = maas_node_set(w->g, nid, &a, w->b.err);
}

/* ---- what stands between convolutions ---- */

/* The largest of numbers is the number of the largest code. */
static bool max_pool(maas_int8 *w, maas_nid i)
{
    const maas_node *n = &w->g->nodes[i];
    maas_codes x = {.q = n->in[0]}, y = {.q = n->out[0]};
    maas_nid quant = MAAS_NO_NODE;
    if (!maas_int8_is(n, "MaxPool") || (n->n_out > 1 && n->out[1] >= 0) || n->n_attr > 8 ||
        !maas_int8_is_picture(w, n->out[0]))
        return false;
    if (!maas_dtype_in((maas_dtype)maas_graph_at(w->g, x.q)->type.dtype, BYTES) &&
        (!maas_codes_of(w, n->in[0], &x) || !maas_codes_next(w, n->out[0], &y, &quant) ||
         x.scale != y.scale || x.zero != y.zero || x.dtype != y.dtype))
        return false;
    if ((uint32_t)x.q >= w->n_values || w->twin[x.q] < 0)
        return false;
    maas_attr a[8];
    uint32_t n_attr = 0;
    for (int k = 0; k < n->n_attr; k++)
        if (strcmp(n->attr[k].name, "storage_order") != 0)
            a[n_attr++] = n->attr[k];
    const maas_vid twin = maas_b_node(&w->b, "MaxPoolLast", a, n_attr, &w->twin[x.q], 1, NULL, 1);
    if (quant >= 0)
        w->g->nodes[i].dead = true;
    maas_int8_give(w, y.q, twin);
    return true;
}

static bool quantize(maas_int8 *w, maas_nid i)
{
    const maas_node *n = &w->g->nodes[i];
    maas_codes y;
    if (!maas_int8_is(n, "QuantizeLinear") || (uint32_t)n->in[0] >= w->n_values ||
        w->twin[n->in[0]] < 0 || !numbers_of(w, n, n->out[0], &y) || n->n_in < 3 || n->in[2] < 0)
        return false;
    const maas_vid twin = maas_b_op3(&w->b, "QuantizeLinear", w->twin[n->in[0]], n->in[1],
                                     n->in[2]);
    maas_int8_give(w, y.q, twin);
    return true;
}

/* ---- the walk ---- */

static bool visit(maas_int8 *w, maas_nid i)
{
    const maas_node *n = &w->g->nodes[i];
    if (n->dead || n->n_in < 1 || n->n_out < 1 || n->in[0] < 0 || n->out[0] < 0)
        return false;
    return maas_int8_conv(w, i) || maas_int8_qlinear_conv(w, i) || maas_int8_gemm(w, i) ||
           maas_int8_add(w, i) || max_pool(w, i) || quantize(w, i);
}

static bool init(maas_int8 *w, maas_graph *g, maas_err *err)
{
    *w = (maas_int8){.g = g, .n_values = g->n_values};
    maas_builder_init(&w->b, g, err);
    w->twin = maas_calloc(g->n_values, sizeof *w->twin);
    w->uses = maas_calloc(g->n_values, sizeof *w->uses);
    w->reader = maas_calloc(g->n_values, sizeof *w->reader);
    if (!w->twin || !w->uses || !w->reader)
        return false;
    maas_graph_count_uses(g, w->uses);
    for (uint32_t v = 0; v < g->n_values; v++)
        w->twin[v] = w->reader[v] = -1;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i].n_in; k++)
            if (g->nodes[i].in[k] >= 0)
                w->reader[g->nodes[i].in[k]] = (maas_nid)i;
    return true;
}

maas_status maas_pass_fuse_int8(maas_graph *g, const maas_pass_opts *o, maas_err *err)
{
    maas_int8 w;
    const uint32_t n_nodes = g->n_nodes;
    bool any = false;
    if (!o->int8 || o->training)
        return MAAS_OK;
    maas_status st = MAAS_OK;
    if (init(&w, g, err)) {
        for (uint32_t i = 0; i < n_nodes && w.b.status == MAAS_OK; i++)
            any |= visit(&w, (maas_nid)i);
        st = w.b.status;
    } else {
        st = maas_fail(err, MAAS_E_NOMEM, "fusing operators on bytes");
    }
    maas_free(w.twin);
    maas_free(w.uses);
    maas_free(w.reader);
    if (st != MAAS_OK || !any)
        return st;
    MAAS_TRY(maas_graph_compact(g, err));
    return maas_pass_dead_code(g, o, err);
}
