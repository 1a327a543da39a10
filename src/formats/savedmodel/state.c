/* formats/savedmodel/state.c - constants, variables, calls, and what only hands on. */
#include "formats/savedmodel/sm_int.h"

#include "base/ban.h"

static void constant(sm *s, sm_op *op)
{
    maas_span value, message = {0};
    maas_tensor t;
    maas_vid v = MAAS_NO_VALUE;
    if (!sm_attr(s, op->node, "value", &value)) {
        sm_fail(s, MAAS_E_FORMAT, "it has no value");
        return;
    }
    maas_pb r = maas_pb_open(value, s->err);
    maas_pb_each(&r, 8, &message);                     /* AttrValue.tensor */
    if (sm_attr_type(s, op, "dtype") == MAAS_STRING) { /* of nodes that say where files are */
        sm_give_value(s, op, 0, (sm_value){.v = {MAAS_NO_VALUE, MAAS_NO_VALUE}});
        return;
    }
    s->status = sm_tensor(s, s->b->g, message, &t);
    if (s->status == MAAS_OK)
        s->status = maas_graph_const(s->b->g, NULL, &t, false, &v, s->err);
    sm_give(s, op, 0, v);
}

static void placeholder(sm *s, sm_op *op)
{
    sm_fail(s, MAAS_E_UNSUPPORTED, "it is no input of the signature, and has no default");
}

static void same(sm *s, sm_op *op)
{
    for (uint32_t i = 0; i < op->node->n_in; i++)
        sm_give_value(s, op, i, *sm_of(s, op, i));
}

/* Only the first input: what else comes is the shape of a default. */
static void first(sm *s, sm_op *op)
{
    sm_give_value(s, op, 0, *sm_of(s, op, 0));
}

/* ---- variables ---- */

static void handle(sm *s, sm_op *op)
{
    const int32_t at = sm_node_find(&s->main, maas_span_str(op->node->name));
    if (at < 0 || op->frame->f != &s->main)
        sm_fail(s, MAAS_E_UNSUPPORTED, "a variable that a function makes");
    sm_give_value(s, op, 0,
                  (sm_value){.kind = SM_VARIABLE, .at = at, .v = {MAAS_NO_VALUE, MAAS_NO_VALUE}});
}

static void variable(sm *s, sm_op *op)
{
    const int32_t at = sm_node_find(&s->main, maas_span_str(op->node->name));
    if (at < 0 || op->frame->f != &s->main)
        sm_fail(s, MAAS_E_UNSUPPORTED, "a variable that a function makes");
    else
        sm_give(s, op, 0, sm_variable(s, at));
}

static maas_vid read_variable(sm *s, const sm_op *op)
{
    const sm_value *x = sm_of(s, op, 0);
    if (sm_ok(s) && x->kind != SM_VARIABLE)
        return sm_fail(s, MAAS_E_UNSUPPORTED, "its input is no variable of the main graph");
    return sm_ok(s) ? sm_variable(s, x->at) : MAAS_NO_VALUE;
}

static void read(sm *s, sm_op *op)
{
    sm_give(s, op, 0, read_variable(s, op));
}

static void gather_variable(sm *s, sm_op *op)
{
    const maas_vid x = read_variable(s, op);
    if (sm_attr_i(s, op, "batch_dims", 0) != 0)
        sm_fail(s, MAAS_E_UNSUPPORTED, "batch_dims");
    sm_give(s, op, 0, maas_b_op2(s->b, "Gather", x, sm_in_i64(s, op, 1)));
}

/* ---- calls ---- */

static void call(sm *s, sm_op *op)
{
    sm_state *st = op->state;
    if (st->stage) {
        for (uint32_t i = 0; i < st->calls->f->n_ret; i++)
            sm_give_value(s, op, i, st->calls->results[i]);
        return;
    }
    sm_value *args = sm_array(s, op->node->n_in + (size_t)1, sizeof *args);
    for (uint32_t i = 0; args && i < op->node->n_in; i++)
        args[i] = *sm_of(s, op, i);
    if (sm_ok(s))
        sm_call(s, op, sm_attr_func(s, op->node, "f"), op->frame->ctx, args, op->node->n_in);
}

const sm_row sm_state_rows[] = {
    {"Const", constant, 0, 0, 0, NULL, NULL},
    {"DisableCopyOnRead", same, 1, 1, 0, NULL, NULL},
    {"EnsureShape", first, 1, 1, 0, NULL, NULL},
    {"Identity", same, 1, 1, 0, NULL, NULL},
    {"IdentityN", same, 0, 255, 0, NULL, NULL},
    {"PartitionedCall", call, 0, 255, SM_CALLS, NULL, NULL},
    {"Placeholder", placeholder, 0, 0, 0, NULL, NULL},
    {"PlaceholderWithDefault", first, 1, 1, 0, NULL, NULL},
    {"PreventGradient", first, 1, 1, 0, NULL, NULL},
    {"ReadVariableOp", read, 1, 1, 0, NULL, NULL},
    {"ResourceGather", gather_variable, 2, 2, 0, NULL, NULL},
    {"Snapshot", same, 1, 1, 0, NULL, NULL},
    {"StatefulPartitionedCall", call, 0, 255, SM_CALLS, NULL, NULL},
    {"StopGradient", first, 1, 1, 0, NULL, NULL},
    {"VarHandleOp", handle, 0, 0, 0, NULL, NULL},
    {"VariableV2", variable, 0, 0, 0, NULL, NULL},
    {0},
};
