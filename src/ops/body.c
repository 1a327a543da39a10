/* Graphs in attributes: types through them, and what they return. */
#include "ops/ops_int.h"

#include "base/ban.h"

maas_graph *maas_body_of(const maas_node *n, const char *attr)
{
    const maas_attr *a = maas_node_attr(n, attr);
    return a && a->type == MAAS_ATTR_GRAPH ? a->u.graph : NULL;
}

int maas_graph_depth(const maas_graph *g)
{
    int depth = 0;
    for (const maas_graph *up = g->parent; up; up = up->parent)
        depth++;
    return depth;
}

/* ---- types ---- */

/* The type in the other graph: a symbol is the one of its name there, else nobody's. */
static maas_status translate(const maas_graph *from, maas_graph *to, maas_type *t, maas_err *err)
{
    for (int i = 0; i < t->rank; i++) {
        const int64_t k = -2 - t->dims[i];
        if (t->dims[i] >= 0)
            continue;
        t->dims[i] = MAAS_DIM_UNKNOWN;
        if (k >= 0 && k < (int64_t)from->n_symbols && from->symbols[k][0])
            MAAS_TRY(maas_graph_symbol(to, from->symbols[k], &t->dims[i], err));
    }
    return MAAS_OK;
}

static maas_status set_type(maas_infer *q, maas_graph *body, maas_vid v, const maas_type *t,
                            maas_err *err)
{
    maas_value *val = maas_graph_at(body, v);
    maas_type now = *t;
    if (val->flags & MAAS_VALUE_CONST)
        return MAAS_OK;
    MAAS_TRY(translate(q->graph, body, &now, err));
    val->type = now;
    return MAAS_OK;
}

/* What the body says about an input must be true, as far as kind and elements go. */
static maas_status check_input(const maas_value *v, const maas_type *t, maas_err *err)
{
    if (v->type.tag == MAAS_TYPE_NONE || t->tag == MAAS_TYPE_NONE || !v->type.dtype || !t->dtype ||
        (v->type.tag == t->tag && v->type.dtype == t->dtype))
        return MAAS_OK;
    return maas_fail(err, MAAS_E_INVALID, "input '%.100s' of its graph is %s %s, but gets %s %s",
                     v->name, maas_type_words[v->type.tag],
                     maas_dtype_describe((maas_dtype)v->type.dtype)->onnx, maas_type_words[t->tag],
                     maas_dtype_describe((maas_dtype)t->dtype)->onnx);
}

maas_status maas_body_infer(maas_infer *q, maas_graph *body, const maas_type *in, int n_in,
                            maas_err *err)
{
    const int own = maas_n_own_in(q->node);
    if ((int)body->n_inputs != n_in)
        return maas_fail(err, MAAS_E_INVALID, "its graph has %u inputs, %d are needed",
                         body->n_inputs, n_in);
    maas_graph_forget_types(body);
    for (int i = 0; i < n_in; i++) {
        MAAS_TRY(check_input(maas_graph_at(body, body->inputs[i]), &in[i], err));
        MAAS_TRY(set_type(q, body, body->inputs[i], &in[i], err));
    }
    for (uint32_t k = 0; k < body->n_captured; k++)
        if (body->captured[k] != MAAS_NO_VALUE)
            MAAS_TRY(set_type(q, body, body->captured[k], &q->in[own + (int)k], err));
    MAAS_TRY(maas_graph_infer(body, err));
    for (uint32_t k = 0; k < body->n_outputs; k++)
        if (maas_graph_at(body, body->outputs[k])->type.tag == MAAS_TYPE_NONE)
            return maas_fail(err, MAAS_E_INVALID, "the type of output %u of its graph is not known",
                             k);
    return MAAS_OK;
}

maas_type maas_body_out(maas_infer *q, const maas_graph *body, uint32_t k)
{
    maas_type t = maas_graph_at(body, body->outputs[k])->type;
    if (translate(body, q->graph, &t, NULL) != MAAS_OK && t.tag == MAAS_TYPE_TENSOR)
        t.rank = MAAS_RANK_UNKNOWN;
    return t;
}

maas_status maas_type_join(const maas_type *a, const maas_type *b, maas_type *out, maas_err *err)
{
    if (a->tag != b->tag || a->dtype != b->dtype || a->of != b->of)
        return maas_fail(err, MAAS_E_INVALID, "it may be %s %s or %s %s", maas_type_words[a->tag],
                         maas_dtype_describe((maas_dtype)a->dtype)->onnx, maas_type_words[b->tag],
                         maas_dtype_describe((maas_dtype)b->dtype)->onnx);
    *out = *a;
    if (a->rank != b->rank)
        out->rank = MAAS_RANK_UNKNOWN;
    for (int i = 0; i < out->rank; i++)
        if (a->dims[i] != b->dims[i])
            out->dims[i] = MAAS_DIM_UNKNOWN;
    return MAAS_OK;
}

/* ---- values ---- */

static maas_status own_text(maas_arena *a, maas_tensor *t, maas_err *err)
{
    maas_str *s = t->data;
    for (int64_t i = 0, n = maas_n_elems(t); i < n; i++) {
        s[i].p = maas_arena_dup(a, s[i].p, s[i].n);
        if (!s[i].p)
            return maas_fail(err, MAAS_E_NOMEM, "text of %zu bytes", s[i].n);
    }
    return MAAS_OK;
}

/* Of a list the array alone: its items live as long as they must. */
maas_status maas_value_copy(maas_arena *a, const maas_tensor *t, maas_tensor *out, maas_err *err)
{
    const size_t bytes = t->holds ? (size_t)t->dims[0] * sizeof *t : maas_tensor_bytes(t);
    *out = *t;
    if (!(out->data = maas_arena_dup(a, t->data, bytes)))
        return maas_fail(err, MAAS_E_NOMEM, "%zu bytes of a graph's output", bytes);
    if (!t->holds)
        return t->dtype == MAAS_STRING ? own_text(a, out, err) : MAAS_OK;
    maas_tensor *items = out->data;
    for (int64_t i = 0; i < t->dims[0]; i++)
        if (items[i].holds) /* an optional sequence: no deeper than this */
            MAAS_TRY(maas_value_copy(a, &items[i], &items[i], err));
    return MAAS_OK;
}

maas_status maas_ref_take(const maas_call *c, int k, const maas_tensor *t, maas_err *err)
{
    if (!maas_c_wants(c, k))
        return MAAS_OK;
    if (t->holds || !c->out[k].data)
        return maas_value_copy(c->arena, t, &c->out[k], err);
    MAAS_TRY(maas_ref_alloc(c, k, t->rank, t->dims, err));
    memcpy(c->out[k].data, t->data, maas_tensor_bytes(t));
    return t->dtype == MAAS_STRING ? own_text(c->arena, &c->out[k], err) : MAAS_OK;
}
