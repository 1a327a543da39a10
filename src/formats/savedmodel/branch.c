/*
 * formats/savedmodel/branch.c - If: both branches become graphs that read their arguments from
 * outside; a branch of a constant condition takes the node's place.
 */
#include "formats/savedmodel/sm_int.h"

#include "base/ban.h"

typedef struct branches {
    sm_ctx *ctx[2]; /* NULL: the condition is constant */
    sm_value *args, *out[2];
    uint32_t n_args;
} branches;

static const char *const branch_names[2] = {"then_branch", "else_branch"};

/* In a graph of its own, where the arguments are read from outside. */
static void begin_branch(sm *s, sm_op *op, branches *b, int k)
{
    sm_value *in = sm_array(s, b->n_args + (size_t)1, sizeof *in);
    b->ctx[k] = sm_ctx_new(s, branch_names[k], s->ctx);
    for (uint32_t i = 0; i < b->n_args && sm_ok(s); i++)
        in[i] = sm_capture_value(s, b->ctx[k], &b->args[i]);
    if (sm_ok(s))
        sm_call(s, op, sm_attr_func(s, op->node, branch_names[k]), b->ctx[k], in, b->n_args);
}

static void begin_if(sm *s, sm_op *op)
{
    branches *b = sm_array(s, 1, sizeof *b);
    const uint32_t n = op->node->n_in - 1;
    const maas_vid cond = sm_in(s, op, 0);
    if (!sm_ok(s))
        return;
    *b = (branches){.n_args = n, .args = sm_inputs(s, op, 1, n)};
    op->state->memory = b;
    const maas_tensor *known = sm_const_of(s->b->g, cond);
    if (known && maas_n_elems(known) == 1)
        sm_call(s, op, sm_attr_func(s, op->node, branch_names[!maas_tensor_get_i64(known, 0)]),
                op->frame->ctx, b->args, n);
    else
        begin_branch(s, op, b, 0);
}

static void close_branch(sm *s, branches *b, int k, uint32_t n)
{
    sm_ctx *around = s->ctx;
    sm_enter(s, b->ctx[k]);
    for (uint32_t i = 0; i < n && sm_ok(s); i++) {
        if (b->out[k][i].kind != SM_TENSOR)
            sm_fail(s, MAAS_E_UNSUPPORTED, "output %u is no tensor", i);
        sm_body_output(s, b->ctx[k], sm_last(s, &b->out[k][i]));
    }
    sm_enter(s, around);
}

static void finish_if(sm *s, sm_op *op, branches *b)
{
    const uint32_t n = op->state->calls->f->n_ret;
    maas_vid *out = sm_array(s, n + (size_t)1, sizeof *out);
    b->out[1] = op->state->calls->results;
    for (int k = 0; k < 2; k++)
        close_branch(s, b, k, n);
    if (!sm_ok(s))
        return;
    const maas_vid cond = maas_p_cast(s->b, sm_in(s, op, 0), MAAS_BOOL);
    const maas_attr a[] = {MAAS_A_GRAPH(branch_names[0], b->ctx[0]->b.g),
                           MAAS_A_GRAPH(branch_names[1], b->ctx[1]->b.g)};
    sm_flow_node(s, "If", a, b->ctx, 2, &cond, 1, out, n);
    for (uint32_t i = 0; i < n && sm_ok(s); i++)
        sm_give(s, op, i, out[i]);
}

static void if_op(sm *s, sm_op *op)
{
    branches *b = op->state->memory;
    sm_frame *done = op->state->calls;
    if (op->state->stage == 0) {
        begin_if(s, op);
    } else if (!b->ctx[0]) {
        for (uint32_t i = 0; i < done->f->n_ret; i++)
            sm_give_value(s, op, i, done->results[i]);
    } else if (op->state->stage == 1) {
        b->out[0] = done->results;
        const uint32_t n = done->f->n_ret;
        begin_branch(s, op, b, 1);
        if (sm_ok(s) && op->state->calls->f->n_ret != n)
            sm_fail(s, MAAS_E_FORMAT, "its branches give %u and %u values", n,
                    op->state->calls->f->n_ret);
    } else {
        finish_if(s, op, b);
    }
}

const sm_row sm_branches[] = {
    {"If", if_op, 1, 255, SM_CALLS, NULL, NULL},
    {"StatelessIf", if_op, 1, 255, SM_CALLS, NULL, NULL},
    {0},
};
