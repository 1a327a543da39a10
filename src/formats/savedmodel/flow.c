/*
 * formats/savedmodel/flow.c - While becomes Loop. What a loop hands on unchanged is
 * read from outside instead; variables are constants wherever they are read; a list that is only
 * reserved before the loop and gets one item a round is what Loop piles up.
 */
#include "formats/savedmodel/sm_int.h"

#include <stdio.h>
#include <string.h>

#include "base/ban.h"

enum { KEPT, CARRIED, FILLED, MAX_HOPS = 64 };

sm_value *sm_inputs(sm *s, const sm_op *op, uint32_t from, uint32_t n)
{
    sm_value *v = sm_array(s, n + (size_t)1, sizeof *v);
    for (uint32_t i = 0; v && i < n; i++)
        v[i] = *sm_of(s, op, from + i);
    return v;
}

void sm_body_output(sm *s, sm_ctx *body, maas_vid v)
{
    maas_builder *b = &body->b;
    if (!sm_ok(s) || v < 0)
        return;
    const maas_value *x = maas_graph_at(b->g, v);
    if (x->producer == MAAS_NO_NODE || (x->flags & MAAS_VALUE_OUTPUT))
        v = maas_b_op1(b, "Identity", v);
    maas_b_output(b, NULL, v);
}

void sm_flow_node(sm *s, const char *name, const maas_attr *a, sm_ctx **bodies, uint32_t n,
                  const maas_vid *in, uint32_t n_in, maas_vid *out, uint32_t n_out)
{
    maas_graph *g = s->b->g;
    if (!sm_ok(s))
        return;
    const uint32_t before = g->n_nodes;
    maas_b_node(s->b, name, a, n, in, n_in, out, n_out);
    for (uint32_t i = before; i < g->n_nodes; i++)
        for (uint32_t k = 0; k < g->nodes[i].n_attr; k++)
            for (uint32_t c = 0; c < n; c++)
                if (g->nodes[i].attr[k].type == MAAS_ATTR_GRAPH &&
                    g->nodes[i].attr[k].u.graph == bodies[c]->b.g)
                    sm_ctx_graph(s, bodies[c]);
    sm_ok(s);
}

void sm_enter(sm *s, sm_ctx *c)
{
    sm_ok(s);
    s->ctx = c;
    s->b = &c->b;
    sm_ok(s);
}

/* ---- While ---- */

typedef struct loop {
    sm_ctx *body;
    uint32_t n;
    uint8_t *role;  /* [n] */
    sm_value *init; /* [n] before it, in the graph around */
    sm_value *in;   /* [n] in the body */
    sm_value *out;  /* [n] what the body gives */
    maas_vid go;    /* is there a first round? */
} loop;

/* Does the function give argument i as its result i? */
static bool hands_on(const sm_func *f, uint32_t i)
{
    sm_ref r = f->ret[i];
    for (int k = 0; k < MAX_HOPS && r.from >= 0; k++) {
        const sm_node *n = &f->nodes[r.from];
        if (!maas_span_is(n->op, "Identity") || n->n_in != 1)
            return false;
        r = n->in[0];
    }
    return r.from == -1 - (int32_t)i;
}

static void begin_loop(sm *s, sm_op *op)
{
    const uint32_t n = op->node->n_in;
    const sm_func *f = sm_func_find(s, sm_attr_func(s, op->node, "body"));
    loop *l = sm_array(s, 1, sizeof *l);
    if (!sm_ok(s))
        return;
    *l = (loop){.n = n, .init = sm_inputs(s, op, 0, n), .role = sm_array(s, n + (size_t)1, 1)};
    if (f->n_ret != n || f->n_args != n)
        sm_fail(s, MAAS_E_FORMAT, "its body takes %u and gives %u values, not %u", f->n_args,
                f->n_ret, n);
    for (uint32_t i = 0; i < n && sm_ok(s); i++) {
        const sm_kind kind = l->init[i].kind;
        l->role[i] = kind == SM_VARIABLE || kind == SM_NOTHING || hands_on(f, i) ? KEPT
                     : kind == SM_RESERVED                                       ? FILLED
                                                                                 : CARRIED;
        if (kind == SM_SLOT || kind == SM_FILLED)
            sm_fail(s, MAAS_E_UNSUPPORTED, "a loop in a loop fills the list of the outer one");
    }
    op->state->memory = l;
    if (sm_ok(s))
        sm_call(s, op, sm_attr_func(s, op->node, "cond"), op->frame->ctx, l->init, n);
}

static maas_vid body_input(sm *s, sm_ctx *c, maas_dtype t, int rank, const int64_t *dims)
{
    const maas_type type = maas_type_tensor(t, rank, dims);
    maas_vid v = MAAS_NO_VALUE;
    char name[32];
    snprintf(name, sizeof name, "carried_%u", s->n_names++);
    if (sm_ok(s))
        s->status = maas_graph_input(c->b.g, name, &type, &v, s->err);
    return v;
}

/* A value that each round takes from the one before: of the shape that the file says. */
static void carry(sm *s, sm_op *op, loop *l, uint32_t i)
{
    sm_value *x = &l->init[i];
    int64_t dims[MAAS_MAX_RANK];
    const maas_vid v = sm_last(s, x);
    int rank = sm_attr_shape_at(s, op, "output_shapes", i, dims);
    if (rank < 0 || x->kind == SM_LIST) {
        rank = sm_type(s, v)->rank;
        for (int k = 0; k < MAAS_MAX_RANK; k++)
            dims[k] = MAAS_DIM_UNKNOWN;
    }
    for (int k = 0; k < rank; k++)
        if (dims[k] < 0 && sm_ok(s))
            s->status = maas_graph_symbol(l->body->b.g, NULL, &dims[k], s->err);
    l->in[i] = *x;
    l->in[i].v[SM_FIRST] = MAAS_NO_VALUE;
    l->in[i].v[SM_LAST] = body_input(s, l->body, (maas_dtype)sm_type(s, v)->dtype, rank, dims);
}

static void reserve_slot(sm *s, loop *l, uint32_t i)
{
    sm_ctx *c = l->body;
    const maas_tensor *n = sm_const_of(s->b->g, l->init[i].v[SM_LAST]);
    c->slots[c->n_slots] = (sm_slot){.index = MAAS_NO_VALUE,
                                     .item = MAAS_NO_VALUE,
                                     .once = n && maas_n_elems(n) == 1 &&
                                             maas_tensor_get_i64(n, 0) == 1,
                                     .dtype = l->init[i].dtype};
    l->in[i] = (sm_value){
        .kind = SM_SLOT, .at = (int32_t)c->n_slots++, .v = {MAAS_NO_VALUE, MAAS_NO_VALUE}};
}

static void enter_loop(sm *s, sm_op *op)
{
    loop *l = op->state->memory;
    if (op->state->calls->f->n_ret != 1) {
        sm_fail(s, MAAS_E_FORMAT, "its condition gives %u values", op->state->calls->f->n_ret);
        return;
    }
    l->go = sm_last(s, &op->state->calls->results[0]);
    l->body = sm_ctx_new(s, "body", s->ctx);
    l->in = sm_array(s, l->n + (size_t)1, sizeof *l->in);
    if (!sm_ok(s))
        return;
    l->body->slots = sm_array(s, l->n + (size_t)1, sizeof *l->body->slots);
    body_input(s, l->body, MAAS_I64, 0, NULL);
    body_input(s, l->body, MAAS_BOOL, 0, NULL);
    for (uint32_t i = 0; i < l->n && sm_ok(s); i++)
        if (l->role[i] == KEPT)
            l->in[i] = sm_capture_value(s, l->body, &l->init[i]);
        else if (l->role[i] == CARRIED)
            carry(s, op, l, i);
        else
            reserve_slot(s, l, i);
    if (sm_ok(s))
        sm_call(s, op, sm_attr_func(s, op->node, "body"), l->body, l->in, l->n);
}

static void ask_again(sm *s, sm_op *op)
{
    loop *l = op->state->memory;
    l->out = op->state->calls->results;
    sm_call(s, op, sm_attr_func(s, op->node, "cond"), l->body, l->out, l->n);
}

static bool is_int(const maas_tensor *t, int64_t v)
{
    return t && (t->dtype == MAAS_I32 || t->dtype == MAAS_I64) && maas_n_elems(t) == 1 &&
           maas_tensor_get_i64(t, 0) == v;
}

/* Is the value one that counts the rounds: 0 at first, then one more each time? */
static bool counts(const sm *s, const loop *l, maas_vid v)
{
    const maas_graph *g = l->body->b.g, *around = s->b->g;
    for (uint32_t i = 0; i < l->n; i++) {
        if (l->role[i] != CARRIED || l->in[i].v[SM_LAST] != v)
            continue;
        const maas_vid next = l->out[i].v[SM_LAST];
        const maas_nid made = next < 0 ? MAAS_NO_NODE : maas_graph_at(g, next)->producer;
        if (made < 0 || strcmp(g->nodes[made].op->name, "Add") != 0)
            return false;
        const maas_vid *in = g->nodes[made].in;
        return is_int(sm_const_of(around, l->init[i].v[SM_LAST]), 0) &&
               ((in[0] == v && is_int(sm_const_of(g, in[1]), 1)) ||
                (in[1] == v && is_int(sm_const_of(g, in[0]), 1)));
    }
    return false;
}

static void check_slot(sm *s, const loop *l, const sm_slot *slot)
{
    const maas_tensor *at = sm_const_of(l->body->b.g, slot->index);
    if (!counts(s, l, slot->index) && !(slot->once && is_int(at, 0)))
        sm_fail(s, MAAS_E_UNSUPPORTED,
                "it sets items of a list in another order than one after the other");
}

/* Outputs of the body: the condition, what is carried, what is piled up. */
static void close_body(sm *s, loop *l, maas_vid again)
{
    sm_ctx *around = s->ctx;
    sm_enter(s, l->body);
    sm_body_output(s, l->body, again);
    for (uint32_t i = 0; i < l->n; i++) {
        if (l->role[i] != CARRIED)
            continue;
        if (l->out[i].kind != l->in[i].kind)
            sm_fail(s, MAAS_E_UNSUPPORTED, "value %u is another kind after a round", i);
        sm_body_output(s, l->body, sm_last(s, &l->out[i]));
    }
    for (uint32_t i = 0; i < l->n; i++)
        if (l->role[i] == FILLED && l->out[i].kind == SM_FILLED)
            sm_body_output(s, l->body, l->body->slots[l->out[i].at].item);
    sm_enter(s, around);
}

/* What was piled up; of a list of one item, the last. */
static maas_vid pile(sm *s, const sm_slot *slot, maas_vid v)
{
    const int64_t zero = 0, last = -1, end = INT64_MAX, one = 1;
    return slot->once ? maas_p_slice(s->b, v, &zero, &last, &end, &one, 1) : v;
}

/* Of loops in loops the shape is not inferred; the file says it. */
static maas_vid as_declared(sm *s, const sm_op *op, uint32_t i, maas_vid v)
{
    int64_t dims[MAAS_MAX_RANK];
    int n_open = 0;
    const int rank = sm_attr_shape_at(s, op, "output_shapes", i, dims);
    for (int k = 0; k < rank; k++)
        n_open += dims[k] < 0;
    if (!sm_ok(s) || sm_type(s, v)->rank >= 0 || rank < 0 || n_open > 1)
        return v;
    return maas_p_reshape(s->b, v, dims, rank);
}

static void finish_loop(sm *s, sm_op *op)
{
    loop *l = op->state->memory;
    maas_vid *in = sm_array(s, l->n + (size_t)2, sizeof *in),
             *out = sm_array(s, l->n + (size_t)1, sizeof *out);
    uint32_t n_in = 2, n_out = 0;
    for (uint32_t i = 0; i < l->n && sm_ok(s); i++) {
        if (l->role[i] == CARRIED)
            in[n_in++] = sm_last(s, &l->init[i]);
        if (l->role[i] == FILLED && l->out[i].kind == SM_FILLED)
            check_slot(s, l, &l->body->slots[l->out[i].at]);
    }
    sm_ctx *around = s->ctx;
    sm_enter(s, l->body);
    const maas_vid again = sm_last(s, &op->state->calls->results[0]);
    sm_enter(s, around);
    close_body(s, l, again);
    if (!sm_ok(s))
        return;
    in[0] = MAAS_NO_VALUE;
    in[1] = l->go;
    const maas_attr a = MAAS_A_GRAPH("body", l->body->b.g);
    const uint32_t n_all = l->body->b.g->n_outputs - 1;
    sm_flow_node(s, "Loop", &a, &l->body, 1, in, n_in, out, n_all);
    for (uint32_t i = 0; i < l->n && sm_ok(s); i++) {
        sm_value v = l->init[i];
        if (l->role[i] == CARRIED)
            v.v[SM_LAST] = out[n_out++], v.v[SM_FIRST] = MAAS_NO_VALUE;
        if (l->role[i] == CARRIED && v.kind == SM_TENSOR)
            v.v[SM_LAST] = as_declared(s, op, i, v.v[SM_LAST]);
        sm_give_value(s, op, i, v);
    }
    for (uint32_t i = 0; i < l->n && sm_ok(s); i++) {
        if (l->role[i] != FILLED || l->out[i].kind != SM_FILLED)
            continue;
        const sm_slot *slot = &l->body->slots[l->out[i].at];
        const maas_vid v = pile(s, slot, out[n_out++]);
        sm_give_value(s, op, i,
                      (sm_value){.kind = SM_LIST, .dtype = slot->dtype, .v = {v, MAAS_NO_VALUE}});
    }
}

static void while_op(sm *s, sm_op *op)
{
    static void (*const stages[])(sm *, sm_op *) = {begin_loop, enter_loop, ask_again, finish_loop};
    if (op->state->stage < MAAS_COUNT(stages))
        stages[op->state->stage](s, op);
}

const sm_row sm_flow[] = {
    {"StatelessWhile", while_op, 1, 255, SM_CALLS, NULL, NULL},
    {"While", while_op, 1, 255, SM_CALLS, NULL, NULL},
    {0},
};
