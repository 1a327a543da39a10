/* formats/savedmodel/values.c - what operators read and give, and in which layout. */
#include "formats/savedmodel/sm_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "base/ban.h"

maas_vid sm_fail(sm *s, maas_status st, const char *fmt, ...)
{
    char text[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (sm_ok(s))
        s->status = maas_fail(s->err, st, "%s", text);
    return MAAS_NO_VALUE;
}

/* The builder's error is the model's, and the other way round: nothing is built after it. */
bool sm_ok(sm *s)
{
    if (s->b && s->status == MAAS_OK)
        s->status = s->b->status;
    if (s->b && s->b->status == MAAS_OK)
        s->b->status = s->status;
    return s->status == MAAS_OK;
}

maas_status sm_look(sm *s, size_t n)
{
    s->looked += n;
    return s->looked / 16 > s->main.message.n + MAAS_MAX_CALL_BYTES / 16
               ? maas_fail(s->err, MAAS_E_TOO_LARGE, "its functions make us read it too often")
               : MAAS_OK;
}

void *sm_array(sm *s, size_t n, size_t size)
{
    void *p = sm_ok(s) ? maas_arena_array(s->arena, n, size) : NULL;
    if (!p)
        sm_fail(s, MAAS_E_NOMEM, "no memory left for the model's graph");
    return p;
}

const char *sm_text(sm *s, maas_span text)
{
    if (!maas_utf8_valid(text) || (text.n && memchr(text.p, '\0', text.n))) {
        sm_fail(s, MAAS_E_FORMAT, "a name is not UTF-8");
        return "";
    }
    const char *own = maas_arena_strndup(s->arena, text.n ? (const char *)text.p : "", text.n);
    if (!own)
        sm_fail(s, MAAS_E_NOMEM, "no memory left for names");
    return own ? own : "";
}

/* ---- types ---- */

const maas_type *sm_type(sm *s, maas_vid v)
{
    sm_ok(s);
    return maas_p_type(s->b, v);
}

int sm_rank(sm *s, maas_vid v)
{
    const int rank = sm_type(s, v)->rank;
    if (sm_ok(s) && rank < 0)
        sm_fail(s, MAAS_E_UNSUPPORTED, "its number of dimensions is not known before it runs");
    return sm_ok(s) ? rank : 0;
}

int sm_axis(sm *s, int64_t axis, int rank)
{
    if (sm_ok(s) && rank >= 1 && axis >= -rank && axis < rank)
        return (int)(axis < 0 ? axis + rank : axis);
    sm_fail(s, MAAS_E_FORMAT, "axis %lld of a tensor with %d dimensions", (long long)axis, rank);
    return 0;
}

int64_t sm_size(sm *s, maas_vid x, int axis)
{
    const maas_type *type = sm_type(s, x);
    if (sm_ok(s) && axis >= 0 && axis < type->rank && type->dims[axis] >= 1 &&
        type->dims[axis] <= INT32_MAX)
        return type->dims[axis];
    sm_fail(s, MAAS_E_UNSUPPORTED, "dimension %d must have a known size", axis);
    return 1;
}

/* ---- inputs ---- */

static sm_value *value_of(sm *s, const sm_op *op, uint32_t i)
{
    s->none = (sm_value){.v = {MAAS_NO_VALUE, MAAS_NO_VALUE}};
    if (!sm_ok(s) || i >= op->node->n_in)
        return &s->none;
    const sm_ref r = op->node->in[i];
    sm_frame *f = op->frame;
    if (r.from < 0)
        return (sm_value *)(uintptr_t)&f->args[-1 - r.from]; /* of the frame: it is ours */
    sm_state *st = &f->states[r.from];
    if (r.out >= st->n_out) {
        sm_fail(s, MAAS_E_FORMAT, "input %u is output %u of '%.80s', which has %u", i, r.out,
                f->f->nodes[r.from].name, st->n_out);
        return &s->none;
    }
    return &st->out[r.out];
}

const sm_value *sm_of(sm *s, const sm_op *op, uint32_t i)
{
    return value_of(s, op, i);
}

/* A value that is there in one layout at least, in the one that is asked for. */
static maas_vid in_layout(sm *s, sm_value *x, int layout)
{
    maas_vid *v = x->v;
    if (!sm_ok(s))
        return MAAS_NO_VALUE;
    if (v[layout] == MAAS_NO_VALUE && v[!layout] == MAAS_NO_VALUE)
        return MAAS_NO_VALUE;
    if (v[layout] == MAAS_NO_VALUE) {
        if (sm_rank(s, v[!layout]) != 4)
            return sm_fail(s, MAAS_E_FORMAT, "a picture must have 4 dimensions");
        v[layout] = layout == SM_FIRST ? maas_p_to_first(s->b, v[SM_LAST])
                                       : maas_p_to_last(s->b, v[SM_FIRST]);
    }
    return v[layout];
}

maas_vid sm_last(sm *s, sm_value *v)
{
    return in_layout(s, v, SM_LAST);
}

maas_vid sm_in_layout(sm *s, const sm_op *op, uint32_t i, int layout)
{
    sm_value *x = value_of(s, op, i);
    if (sm_ok(s) && x->kind != SM_TENSOR)
        return sm_fail(s, MAAS_E_UNSUPPORTED, "input %u is %s", i,
                       x->kind == SM_VARIABLE  ? "a variable, not its value"
                       : x->kind == SM_NOTHING ? "missing or of a type that is not read"
                                               : "a list of tensors");
    return in_layout(s, x, layout);
}

maas_vid sm_in(sm *s, const sm_op *op, uint32_t i)
{
    return sm_in_layout(s, op, i, SM_LAST);
}

maas_vid sm_in_first(sm *s, const sm_op *op, uint32_t i)
{
    return sm_in_layout(s, op, i, SM_FIRST);
}

maas_vid sm_in_i64(sm *s, const sm_op *op, uint32_t i)
{
    const uint32_t before = s->b->g->n_nodes;
    const maas_vid v = maas_p_cast(s->b, sm_in(s, op, i), MAAS_I64);
    sm_fold(s, s->ctx, before);
    return v;
}

bool sm_is_first(sm *s, const sm_op *op, uint32_t i)
{
    const sm_value *x = value_of(s, op, i);
    return x->kind == SM_TENSOR && x->v[SM_LAST] == MAAS_NO_VALUE &&
           x->v[SM_FIRST] != MAAS_NO_VALUE;
}

maas_vid sm_beside(sm *s, const sm_op *op, uint32_t i)
{
    if (sm_is_first(s, op, i))
        return sm_in_first(s, op, i);
    const maas_vid v = sm_in(s, op, i);
    const maas_type *type = sm_type(s, v);
    if (type->rank == 4)
        return sm_in_first(s, op, i);
    if (type->rank == 0)
        return v;
    if (type->rank < 0 || type->rank > 4)
        return MAAS_NO_VALUE;
    for (int k = 0; k < type->rank - 1; k++)
        if (type->dims[k] != 1)
            return MAAS_NO_VALUE;
    return maas_p_reshape(s->b, v, (int64_t[]){-1, 1, 1}, 3); /* one number a channel */
}

/* ---- outputs ---- */

sm_value sm_tensor_value(maas_vid v)
{
    return (sm_value){.kind = SM_TENSOR, .v = {v, MAAS_NO_VALUE}};
}

sm_value *sm_give_value(sm *s, const sm_op *op, uint32_t i, sm_value v)
{
    sm_state *st = op->state;
    if (!sm_ok(s))
        return NULL;
    if (i >= st->n_out) {
        const uint32_t n = i < 4 ? 4 : 2 * i;
        sm_value *more = i >= SM_MAX_IO ? NULL : sm_array(s, n, sizeof *more);
        if (!more) {
            sm_fail(s, MAAS_E_UNSUPPORTED, "it has more than %d outputs", SM_MAX_IO);
            return NULL;
        }
        if (st->n_out)
            memcpy(more, st->out, st->n_out * sizeof *more);
        for (uint32_t k = st->n_out; k < n; k++)
            more[k].v[0] = more[k].v[1] = MAAS_NO_VALUE;
        st->out = more;
        st->n_out = n;
    }
    st->out[i] = v;
    return &st->out[i];
}

void sm_give_in(sm *s, const sm_op *op, uint32_t i, maas_vid v, int layout)
{
    sm_value x = {.kind = SM_TENSOR, .v = {MAAS_NO_VALUE, MAAS_NO_VALUE}};
    x.v[layout] = v;
    sm_give_value(s, op, i, x);
}

void sm_give(sm *s, const sm_op *op, uint32_t i, maas_vid v)
{
    sm_give_in(s, op, i, v, SM_LAST);
}

/* ---- numbers that the graph is built by ---- */

const maas_tensor *sm_const_of(const maas_graph *g, maas_vid v)
{
    if (v < 0 || !(maas_graph_at(g, v)->flags & MAAS_VALUE_CONST))
        return NULL;
    return &maas_graph_at(g, v)->init;
}

int sm_ints(sm *s, const sm_op *op, uint32_t i, int64_t *out, int max)
{
    const maas_vid v = sm_in(s, op, i);
    if (!sm_ok(s))
        return -1;
    const maas_tensor *c = sm_const_of(s->b->g, v);
    if (!c || (c->dtype != MAAS_I32 && c->dtype != MAAS_I64)) {
        sm_fail(s, MAAS_E_UNSUPPORTED, "input %u must be constant integers", i);
        return -1;
    }
    const int64_t n = maas_n_elems(c);
    if (n > max) {
        sm_fail(s, MAAS_E_FORMAT, "input %u has %lld numbers", i, (long long)n);
        return -1;
    }
    for (int64_t k = 0; k < n; k++)
        out[k] = maas_tensor_get_i64(c, k);
    return (int)n;
}

int64_t sm_int(sm *s, const sm_op *op, uint32_t i)
{
    int64_t v = 0;
    if (sm_ints(s, op, i, &v, 1) == 0)
        sm_fail(s, MAAS_E_FORMAT, "input %u has no number", i);
    return v;
}

/* ---- values of the graph around ---- */

/* Symbols belong to their graph: here such a size is only unknown. */
static maas_type without_symbols(maas_type t)
{
    for (int i = 0; i < t.rank; i++)
        if (t.dims[i] < 0)
            t.dims[i] = MAAS_DIM_UNKNOWN;
    return t;
}

static maas_vid open_value(sm *s, sm_ctx *c, maas_graph *outer, maas_vid v)
{
    maas_value *x = maas_graph_at(outer, v);
    maas_vid out = MAAS_NO_VALUE;
    char name[32];
    snprintf(name, sizeof name, "outer_%u", s->n_names++);
    /* a name that no value of the body has, nor another branch's has already */
    if (x->producer != MAAS_NO_NODE && strncmp(x->name, "outer_", 6) != 0)
        s->status = maas_graph_rename(outer, v, name, s->err);
    const maas_type t = without_symbols(x->type);
    if (s->status == MAAS_OK)
        s->status = maas_graph_value(c->b.g, x->name, &t, &out, s->err);
    return out;
}

maas_vid sm_capture(sm *s, sm_ctx *c, maas_vid v)
{
    maas_graph *outer = c->outer->b.g;
    const maas_tensor *t = sm_const_of(outer, v);
    maas_vid out = MAAS_NO_VALUE;
    if (!sm_ok(s) || v < 0)
        return MAAS_NO_VALUE;
    if ((size_t)v >= c->n_captured) {
        const size_t n = 2 * (size_t)v + 64;
        maas_vid *more = sm_array(s, n, sizeof *more);
        if (!more)
            return MAAS_NO_VALUE;
        if (c->n_captured)
            memcpy(more, c->captured, c->n_captured * sizeof *more);
        c->captured = more;
        c->n_captured = n;
    }
    if (c->captured[v])
        return c->captured[v] - 1;
    if (t)
        s->status = maas_graph_const(c->b.g, NULL, t, false, &out, s->err);
    else
        out = open_value(s, c, outer, v);
    c->captured[v] = out + 1;
    return out;
}

sm_value sm_capture_value(sm *s, sm_ctx *c, sm_value *outer)
{
    sm_value v = *outer;
    for (int layout = 0; layout < 2; layout++)
        if (v.v[layout] != MAAS_NO_VALUE && v.kind != SM_VARIABLE)
            v.v[layout] = sm_capture(s, c, v.v[layout]);
    return v;
}
