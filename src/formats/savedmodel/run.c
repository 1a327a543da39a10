/*
 * formats/savedmodel/run.c - which nodes are built, and in which order: what the wanted outputs
 * need, from front to back. A stack holds the nodes that wait for others; control edges are not
 * followed, so what only has effects (saving, assertions) is never built.
 */
#include "formats/savedmodel/sm_int.h"

#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

enum { MAX_BODIES = 48, FOLD_ELEMENTS = 1024 };

typedef struct place {
    sm_frame *frame;
    uint32_t node;
} place;

typedef struct stack {
    place *list;
    size_t n, cap;
} stack;

static maas_status push(sm *s, stack *k, sm_frame *f, uint32_t node)
{
    if (!maas_grow(&k->list, &k->cap, k->n + 1, sizeof *k->list))
        return maas_fail(s->err, MAAS_E_NOMEM, "no memory left for the model's graph");
    k->list[k->n++] = (place){f, node};
    return MAAS_OK;
}

/* ---- frames and graphs ---- */

sm_frame *sm_frame_new(sm *s, sm_func *f, sm_ctx *ctx, const sm_value *args, uint32_t n_args,
                       uint32_t depth)
{
    if (sm_ok(s) && n_args != f->n_args)
        sm_fail(s, MAAS_E_FORMAT, "function '%.80s' has %u arguments, %u are given", f->name,
                f->n_args, n_args);
    if (sm_ok(s) && depth > SM_MAX_DEPTH)
        sm_fail(s, MAAS_E_UNSUPPORTED, "functions call each other more than %d deep", SM_MAX_DEPTH);
    s->n_runs += f->n_nodes / 16 + 1;
    sm_frame *frame = sm_array(s, 1, sizeof *frame);
    sm_state *states = sm_array(s, f->n_nodes + (size_t)1, sizeof *states);
    sm_value *own = sm_array(s, n_args + (size_t)1, sizeof *own),
             *results = sm_array(s, f->n_ret + (size_t)1, sizeof *results);
    if (!sm_ok(s))
        return NULL;
    if (n_args)
        memcpy(own, args, n_args * sizeof *own);
    *frame = (sm_frame){
        .f = f, .ctx = ctx, .args = own, .states = states, .results = results, .depth = depth};
    return frame;
}

sm_frame *sm_call(sm *s, sm_op *op, maas_span name, sm_ctx *ctx, const sm_value *args, uint32_t n)
{
    sm_func *f = sm_func_find(s, name);
    sm_frame *frame = f ? sm_frame_new(s, f, ctx, args, n, op->frame->depth + 1) : NULL;
    op->state->calls = frame;
    op->state->stage++;
    return frame;
}

sm_ctx *sm_ctx_new(sm *s, const char *name, sm_ctx *outer)
{
    sm_ctx *c = sm_array(s, 1, sizeof *c);
    maas_graph *g = NULL;
    uint32_t depth = 0;
    for (const sm_ctx *up = outer; up; up = up->outer)
        depth++;
    if (sm_ok(s) && depth >= MAAS_MAX_GRAPH_DEPTH)
        sm_fail(s, MAAS_E_UNSUPPORTED, "loops and branches are nested deeper than %d",
                MAAS_MAX_GRAPH_DEPTH);
    if (sm_ok(s) && s->n_all >= MAAS_COUNT(s->all))
        sm_fail(s, MAAS_E_UNSUPPORTED, "too many loops and branches at once");
    if (!sm_ok(s))
        return NULL;
    s->status = maas_graph_create(name, s->o->budget, &g, s->err);
    if (s->status != MAAS_OK)
        return NULL;
    maas_builder_init(&c->b, g, s->err);
    c->outer = outer;
    s->all[s->n_all++] = c;
    return c;
}

maas_graph *sm_ctx_graph(sm *s, sm_ctx *c)
{
    for (uint32_t i = 0; i < s->n_all; i++)
        if (s->all[i] == c)
            s->all[i] = s->all[--s->n_all];
    return c->b.g;
}

/* ---- folding: what TensorFlow computes of shapes is often constant ---- */

static bool small(const maas_tensor *t)
{
    return t->dtype != MAAS_STRING && maas_n_elems(t) <= FOLD_ELEMENTS;
}

/* What is quick however it is asked for: the sizes of the output and of the inputs bound the work.
 */
static bool is_quick(const maas_op *op)
{
    static const char *const quick[] = {
        "Abs",       "Add",        "And",         "Cast",    "Concat",  "Div",
        "Equal",     "Expand",     "Floor",       "Gather",  "Greater", "GreaterOrEqual",
        "Identity",  "Less",       "LessOrEqual", "Max",     "Min",     "Mod",
        "Mul",       "Neg",        "Not",         "Or",      "Range",   "ReduceMax",
        "ReduceMin", "ReduceProd", "ReduceSum",   "Reshape", "Shape",   "Sign",
        "Size",      "Slice",      "Squeeze",     "Sub",     "Tile",    "Transpose",
        "Unsqueeze", "Where"};
    for (size_t i = 0; i < MAAS_COUNT(quick); i++)
        if (!*op->domain && strcmp(op->name, quick[i]) == 0)
            return true;
    return false;
}

static bool const_inputs(const maas_graph *g, const maas_node *n, maas_tensor *in)
{
    for (int i = 0; i < n->n_in; i++) {
        const maas_tensor *t = n->in[i] < 0 ? NULL : sm_const_of(g, n->in[i]);
        if (n->in[i] >= 0 && (!t || !small(t)))
            return false;
        if (t)
            in[i] = *t;
    }
    return n->n_in > 0;
}

/* Shape of what is known. */
static bool known_shape(const maas_graph *g, const maas_node *n, maas_tensor *in)
{
    const maas_type *t = n->n_in == 1 && n->in[0] >= 0 ? &maas_graph_at(g, n->in[0])->type : NULL;
    if (!t || *n->op->domain || strcmp(n->op->name, "Shape") != 0 || t->rank < 0)
        return false;
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] < 0)
            return false;
    in[0] = maas_tensor_of((maas_dtype)t->dtype, t->rank, t->dims, NULL);
    return true;
}

static void fold(sm *s, maas_graph *g, maas_node *n)
{
    maas_tensor in[8] = {0}, out = {0};
    size_t bytes;
    if (n->dead || n->n_in > MAAS_COUNT(in) || n->n_out != 1 || n->out[0] < 0 ||
        (n->op->flags & MAAS_OP_DYNAMIC) || !is_quick(n->op))
        return;
    if (!const_inputs(g, n, in) && !known_shape(g, n, in))
        return;
    maas_value *v = maas_graph_at(g, n->out[0]);
    const maas_type t = v->type;
    if (t.tag != MAAS_TYPE_TENSOR || t.rank < 0 ||
        maas_shape_bytes((maas_dtype)t.dtype, t.dims, t.rank, &bytes, NULL) != MAAS_OK)
        return;
    out = maas_tensor_of((maas_dtype)t.dtype, t.rank, t.dims, NULL);
    if (!small(&out) || !(out.data = maas_arena_alloc(&g->arena, bytes)))
        return;
    const maas_call c = {.node = n,
                         .in = in,
                         .out = &out,
                         .n_in = n->n_in,
                         .n_out = 1,
                         .n_threads = 1,
                         .arena = &g->arena};
    if (n->op->reference(&c, NULL) != MAAS_OK)
        return;
    v->flags |= MAAS_VALUE_CONST;
    v->init = out;
    v->producer = MAAS_NO_NODE;
    n->out[0] = MAAS_NO_VALUE;
    n->dead = true;
}

void sm_fold(sm *s, sm_ctx *ctx, uint32_t from)
{
    maas_graph *g = ctx->b.g;
    for (uint32_t i = from; i < g->n_nodes && sm_ok(s); i++)
        fold(s, g, &g->nodes[i]);
}

/* ---- nodes ---- */

static maas_status not_supported(sm *s, const sm_node *n)
{
    const char *op = sm_text(s, n->op);
    MAAS_TRY(s->status);
    return maas_fail(s->err, MAAS_E_UNSUPPORTED,
                     "node '%.80s': operator %.60s is not supported (docs/savedmodel.md lists "
                     "those that are)",
                     n->name, op);
}

static maas_status build(sm *s, sm_frame *f, const sm_node *n, sm_state *st)
{
    sm_op op = {f, n, st, NULL};
    if (!n->row)
        return not_supported(s, n);
    if (++s->n_runs > MAAS_MAX_NODES)
        return maas_fail(s->err, MAAS_E_TOO_LARGE, "functions make more than %u nodes",
                         MAAS_MAX_NODES);
    MAAS_TRY(sm_look(s, n->message.n));
    op.arg = n->row->arg;
    s->ctx = f->ctx;
    s->b = &f->ctx->b;
    const uint32_t before = s->b->g->n_nodes;
    if (n->n_in < n->row->n_min || (n->row->n_max != 255 && n->n_in > n->row->n_max))
        sm_fail(s, MAAS_E_FORMAT, "it has %u inputs", n->n_in);
    else
        n->row->build(s, &op);
    if (sm_ok(s)) {
        sm_fold(s, f->ctx, before);
        return MAAS_OK;
    }
    maas_err_prefix(s->err, "node '%.80s' (%s)", n->name, n->row->name);
    return s->status;
}

/* Pushes the node unless it is done. A node that waits is on the way here: a cycle. */
static maas_status want(sm *s, stack *k, sm_frame *f, sm_ref r, bool *more)
{
    if (r.from < 0 || f->states[r.from].done)
        return MAAS_OK;
    if (f->states[r.from].waits)
        return maas_fail(s->err, MAAS_E_FORMAT, "node '%.80s' needs its own output",
                         f->f->nodes[r.from].name);
    *more = true;
    return push(s, k, f, (uint32_t)r.from);
}

/* Values of references that are done. */
static maas_status collect(sm *s, sm_frame *f, const sm_ref *refs, uint32_t n, sm_value *out)
{
    for (uint32_t i = 0; i < n; i++) {
        const sm_ref r = refs[i];
        if (r.from >= 0 && r.out >= f->states[r.from].n_out)
            return maas_fail(s->err, MAAS_E_FORMAT, "node '%.80s' has no output %u",
                             f->f->nodes[r.from].name, r.out);
        out[i] = r.from < 0 ? f->args[-1 - r.from] : f->states[r.from].out[r.out];
    }
    return MAAS_OK;
}

static maas_status step(sm *s, stack *k)
{
    const place at = k->list[k->n - 1];
    const sm_node *n = &at.frame->f->nodes[at.node];
    sm_state *st = &at.frame->states[at.node];
    sm_frame *called = st->calls;
    bool more = false;
    if (st->done) {
        k->n--;
        return MAAS_OK;
    }
    if (called && !called->done) {
        for (uint32_t i = 0; i < called->f->n_ret; i++)
            MAAS_TRY(want(s, k, called, called->f->ret[i], &more));
        if (more)
            return MAAS_OK;
        MAAS_TRY(collect(s, called, called->f->ret, called->f->n_ret, called->results));
        called->done = true;
    } else if (!st->waits) {
        st->waits = true;
        for (uint32_t i = 0; n->row && i < n->n_in; i++)
            MAAS_TRY(want(s, k, at.frame, n->in[i], &more));
        if (more)
            return MAAS_OK;
    }
    MAAS_TRY(build(s, at.frame, n, st));
    st->done = !st->calls || st->calls->done;
    return MAAS_OK;
}

maas_status sm_run(sm *s, const sm_ref *wanted, uint32_t n, sm_value *out)
{
    stack k = {0};
    maas_status st = MAAS_OK;
    bool more;
    for (uint32_t i = 0; i < n && st == MAAS_OK; i++)
        st = want(s, &k, s->root, wanted[i], &more);
    while (k.n && st == MAAS_OK)
        st = step(s, &k);
    maas_free(k.list);
    return st == MAAS_OK ? collect(s, s->root, wanted, n, out) : st;
}
