/*
 * What depends on constants alone, or on shapes that are known, is computed now, by reference code.
 * A node that fails stays in the graph and fails at run time, with the words it would have had
 * anyway.
 */
#include "passes/pass_int.h"

#include <string.h>

#include "base/mem.h"
#include "ops/build.h"
#include "base/ban.h"

/* A folded tensor may have as many numbers as what it is made from, however wide they get (weights
 * that a file keeps as bytes), and this much more: shapes and tables are folded, a constant blown
 * up by Expand or Tile is not. */
#define MAX_GROWTH ((size_t)1 << 20)
#define WIDEST     sizeof(double)
#define MAX_ROUNDS 4

static bool has_subgraph(const maas_node *n)
{
    for (int i = 0; i < n->n_attr; i++)
        if (n->attr[i].type == MAAS_ATTR_GRAPH)
            return true;
    return false;
}

static bool handles_strings(const maas_node *n, const maas_tensor *t)
{
    return t->dtype != MAAS_STRING || (n->op->flags & MAAS_OP_STRINGS);
}

/* Of a shape that is known: all that Shape and Size look at. */
static bool tells_shape(const maas_graph *g, const maas_node *n, maas_vid v, maas_tensor *out)
{
    const maas_type *t = &maas_graph_at(g, v)->type;
    const bool asks = !*n->op->domain &&
                      (strcmp(n->op->name, "Shape") == 0 || strcmp(n->op->name, "Size") == 0);
    bool known = asks && t->tag == MAAS_TYPE_TENSOR && t->rank >= 0;
    for (int i = 0; known && i < t->rank; i++)
        known = t->dims[i] >= 0;
    if (known)
        *out = maas_tensor_of((maas_dtype)t->dtype, t->rank, t->dims, NULL);
    return known;
}

static bool gather_inputs(const maas_graph *g, const maas_node *n, maas_tensor *in,
                          size_t *out_bytes)
{
    *out_bytes = MAX_GROWTH;
    if ((n->op->flags & MAAS_OP_RANDOM) || has_subgraph(n))
        return false;
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] < 0 || tells_shape(g, n, n->in[i], &in[i]))
            continue;
        if (!maas_value_is(g, n->in[i], MAAS_VALUE_CONST))
            return false;
        in[i] = maas_graph_at(g, n->in[i])->init;
        if (!handles_strings(n, &in[i]))
            return false;
        const size_t wide = (size_t)maas_n_elems(&in[i]) * WIDEST,
                     as_is = maas_tensor_bytes(&in[i]);
        *out_bytes += wide > as_is ? wide : as_is;
    }
    return true;
}

static maas_status make_outputs(maas_graph *g, const maas_node *n, maas_tensor *out, size_t limit,
                                bool *out_ok, maas_err *err)
{
    *out_ok = false;
    for (int i = 0; i < n->n_out; i++) {
        if (n->out[i] < 0)
            continue;
        const maas_type *t = &maas_graph_at(g, n->out[i])->type;
        size_t bytes;
        if (t->tag != MAAS_TYPE_TENSOR) /* there are no constant lists */
            return MAAS_OK;
        if (n->op->flags & MAAS_OP_DYNAMIC) {
            out[i].dtype = t->dtype;
            continue;
        }
        if (t->rank < 0 ||
            maas_shape_bytes((maas_dtype)t->dtype, t->dims, t->rank, &bytes, NULL) != MAAS_OK ||
            bytes > limit)
            return MAAS_OK;
        void *data = maas_arena_alloc(&g->arena, bytes);
        if (!data)
            return maas_fail(err, MAAS_E_NOMEM, "folding '%s'", n->name);
        out[i] = maas_tensor_of((maas_dtype)t->dtype, t->rank, t->dims, data);
        if (!handles_strings(n, &out[i]))
            return MAAS_OK;
    }
    *out_ok = true;
    return MAAS_OK;
}

static void become_constants(maas_graph *g, maas_node *n, const maas_tensor *out)
{
    for (int i = 0; i < n->n_out; i++) {
        if (n->out[i] < 0)
            continue;
        maas_value *v = maas_graph_at(g, n->out[i]);
        v->flags |= MAAS_VALUE_CONST;
        v->init = out[i];
        v->type = maas_type_of(&out[i]);
        v->producer = MAAS_NO_NODE;
        n->out[i] = MAAS_NO_VALUE;
    }
    n->dead = true;
}

static maas_status fold(maas_graph *g, maas_node *n, maas_tensor *in, maas_tensor *out,
                        maas_err *err)
{
    size_t limit;
    bool ok;
    if (!gather_inputs(g, n, in, &limit))
        return MAAS_OK;
    MAAS_TRY(make_outputs(g, n, out, limit, &ok, err));
    const maas_call c = {.node = n,
                         .in = in,
                         .out = out,
                         .n_in = n->n_in,
                         .n_out = n->n_out,
                         .n_threads = 1,
                         .arena = &g->arena};
    if (ok && n->op->reference(&c, NULL) == MAAS_OK)
        become_constants(g, n, out);
    return MAAS_OK;
}

static bool is_dequantize(const maas_graph *g, maas_vid v)
{
    const maas_nid p = v >= 0 ? maas_graph_at(g, v)->producer : MAAS_NO_NODE;
    return p >= 0 && strcmp(g->nodes[p].op->name, "DequantizeLinear") == 0;
}

/* For each value: is it the weights of a product whose other side was bytes, too? NULL: no memory.
 */
static bool *weights_of_bytes(const maas_graph *g)
{
    static const char *const products[] = {"Conv", "Gemm", "MatMul"};
    bool *is = maas_calloc(g->n_values, sizeof *is);
    for (uint32_t i = 0; i < g->n_nodes && is; i++) {
        const maas_node *n = &g->nodes[i];
        for (size_t k = 0; k < MAAS_COUNT(products); k++)
            if (strcmp(n->op->name, products[k]) == 0 && is_dequantize(g, n->in[0]) &&
                is_dequantize(g, n->in[1]))
                is[n->in[1]] = true;
    }
    return is;
}

/* They wait for fuse-int8. */
static bool waits(const maas_graph *g, const maas_node *n, const bool *weights)
{
    if (!weights || strcmp(n->op->name, "DequantizeLinear") != 0 || n->out[0] < 0 ||
        !weights[n->out[0]] || !maas_value_is(g, n->in[0], MAAS_VALUE_CONST))
        return false;
    return maas_graph_at(g, n->in[0])->init.dtype == MAAS_I8;
}

static maas_status fold_all(maas_graph *g, const bool *weights, bool *out_any, bool *out_more,
                            maas_err *err)
{
    *out_any = *out_more = false;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        maas_node *n = &g->nodes[i];
        if (waits(g, n, weights))
            continue;
        AUTO_FREE maas_tensor *operands = maas_calloc((size_t)n->n_in + n->n_out, sizeof *operands);
        if (!operands)
            return maas_fail(err, MAAS_E_NOMEM, "folding '%s'", n->name);
        MAAS_TRY(fold(g, n, operands, operands + n->n_in, err));
        *out_any |= n->dead;
        *out_more |= n->dead && (n->op->flags & MAAS_OP_DYNAMIC);
    }
    return *out_any ? maas_graph_compact(g, err) : MAAS_OK;
}

/* Folding what told its shape to nobody before lets what follows it be inferred and folded, too. */
static maas_status fold_rounds(maas_graph *g, const bool *weights, maas_err *err)
{
    bool any = true, more = true;
    for (int round = 0; more && round < MAX_ROUNDS; round++) {
        if (round)
            MAAS_TRY(maas_graph_infer(g, err));
        MAAS_TRY(fold_all(g, weights, &any, &more, err));
    }
    return MAAS_OK;
}

/* Is there a pass that wants bytes? */
static bool wants_bytes(const maas_pass_opts *o)
{
    return o->int8 && o->level >= 2 && !o->training;
}

maas_status maas_pass_fold_constants(maas_graph *g, const maas_pass_opts *o, maas_err *err)
{
    if (!wants_bytes(o))
        return fold_rounds(g, NULL, err);
    AUTO_FREE bool *weights = weights_of_bytes(g);
    if (!weights)
        return maas_fail(err, MAAS_E_NOMEM, "folding constants");
    return fold_rounds(g, weights, err);
}

maas_status maas_pass_fold_weights(maas_graph *g, const maas_pass_opts *o, maas_err *err)
{
    return wants_bytes(o) ? fold_rounds(g, NULL, err) : MAAS_OK;
}
