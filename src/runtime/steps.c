/*
 * From nodes to steps: operands with shapes, the kernel of each, and what it will cost.
 */
#include "runtime/plan_int.h"

#include "base/ban.h"

/* A step is worth waking the team for when it takes several times what a barrier takes. */
#define SHARED_MIN_NS 1500
/* What one core does in a nanosecond, about: only for choosing and for the first estimate. */
#define FLOPS_PER_NS 16
#define BYTES_PER_NS 16
#define STEP_NS      60
/* Graphs of control flow, until a run was measured: not for a thread that must not wait. */
#define CONTROL_NS 1e6

bool maas_type_is_concrete(const maas_type *t)
{
    if (t->tag != MAAS_TYPE_TENSOR || t->rank < 0)
        return false;
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] < 0)
            return false;
    return true;
}

maas_tensor maas_tensor_of_type(const maas_type *t, void *data)
{
    if (t->tag == MAAS_TYPE_SEQUENCE || t->tag == MAAS_TYPE_OPTIONAL)
        return maas_list_of(t->tag == MAAS_TYPE_SEQUENCE ? MAAS_SEQUENCE : MAAS_OPTIONAL,
                            (maas_dtype)t->dtype, data, 0);
    return maas_tensor_of((maas_dtype)t->dtype, t->rank < 0 ? 0 : t->rank, t->dims, data);
}

bool maas_value_is_late(const maas_graph *g, maas_vid v)
{
    return !maas_type_is_concrete(&maas_graph_at(g, v)->type);
}

bool maas_node_is_alias(const maas_graph *g, const maas_node *n)
{
    return (n->op->flags & MAAS_OP_VIEW) && n->n_out == 1 && n->n_in >= 1 && n->in[0] >= 0 &&
           !maas_value_is_late(g, n->in[0]) && !maas_value_is_late(g, n->out[0]);
}

static void add_operands(maas_plan *p, const maas_vid *v, int n)
{
    for (int i = 0; i < n; i++) {
        maas_tensor *t = &p->operands[p->n_operands];
        p->operand_value[p->n_operands++] = v[i];
        if (v[i] < 0)
            continue; /* omitted: dtype NONE */
        const maas_value *value = maas_graph_at(p->g, v[i]);
        *t = value->flags & MAAS_VALUE_CONST ? value->init
                                             : maas_tensor_of_type(&value->type, NULL);
    }
}

static void add_step(maas_plan *p, const maas_node *n)
{
    maas_step *s = &p->steps[p->n_steps++];
    s->node = n;
    s->operand = p->n_operands;
    s->late = (n->op->flags & (MAAS_OP_DYNAMIC | MAAS_OP_CONTROL)) != 0;
    s->whole = (n->op->flags & MAAS_OP_CONTROL) != 0; /* its plans may have teams */
    for (int i = 0; i < n->n_in; i++)
        s->late |= n->in[i] >= 0 && maas_value_is_late(p->g, n->in[i]);
    for (int i = 0; i < n->n_out; i++)
        s->late |= n->out[i] >= 0 && maas_value_is_late(p->g, n->out[i]);
    p->any_late |= s->late;
    s->call = (maas_call){.node = n,
                          .in = p->operands + s->operand,
                          .out = p->operands + s->operand + n->n_in,
                          .n_in = n->n_in,
                          .n_out = n->n_out,
                          .n_threads = p->n_threads};
    add_operands(p, n->in, n->n_in);
    add_operands(p, n->out, n->n_out);
}

int64_t maas_step_flops(const maas_step *s, const maas_call *c)
{
    return s->node->op->flops ? s->node->op->flops(c) : 0;
}

size_t maas_step_bytes(const maas_call *c)
{
    size_t bytes = 0;
    for (int i = 0; i < c->n_in; i++)
        bytes += maas_tensor_bytes(&c->in[i]);
    for (int i = 0; i < c->n_out; i++)
        bytes += maas_tensor_bytes(&c->out[i]);
    return bytes;
}

static double estimate_ns(const maas_step *s, int64_t *out_flops)
{
    *out_flops = maas_step_flops(s, &s->call);
    return (double)*out_flops / FLOPS_PER_NS + (double)maas_step_bytes(&s->call) / BYTES_PER_NS;
}

static maas_status choose_kernel(maas_plan *p, maas_step *s, double *ns, maas_err *err)
{
    if (s->whole)
        *ns += CONTROL_NS;
    if (s->late)
        return MAAS_OK; /* chosen when shapes are known: late.c */
    int64_t flops;
    double own_ns = estimate_ns(s, &flops);
    *ns += own_ns + STEP_NS;
    if (__builtin_add_overflow(p->flops, flops, &p->flops))
        p->flops = INT64_MAX;
    if (p->reference)
        return MAAS_OK;
    s->kernel = maas_kernel_pick(&s->call, p->cpu);
    if (!s->kernel)
        return MAAS_OK;
    if (s->kernel->prepare)
        MAAS_TRY(s->kernel->prepare(&s->call, p->cpu, err));
    if (p->scratch_bytes < s->call.scratch_bytes)
        p->scratch_bytes = s->call.scratch_bytes;
    s->whole = (s->kernel->flags & MAAS_KERNEL_WHOLE) != 0;
    s->shared = p->n_threads > 1 &&
                !(s->kernel->flags & (MAAS_KERNEL_SERIAL | MAAS_KERNEL_WHOLE)) &&
                own_ns > SHARED_MIN_NS;
    return MAAS_OK;
}

/* Cuts the list where a step brings its own parallel region; between cuts there is one of ours,
 * and none where no step would use it. */
static void cut_segments(maas_plan *p)
{
    for (uint32_t i = 0; i < p->n_steps;) {
        maas_step *head = &p->steps[i];
        bool team = false;
        uint32_t end = i;
        do
            team |= p->steps[end].shared;
        while (!head->whole && ++end < p->n_steps && !p->steps[end].whole);
        head->team = team;
        head->segment_end = head->whole ? i + 1 : end;
        i = head->segment_end;
    }
}

maas_status maas_plan_add_steps(maas_plan *p, maas_err *err)
{
    size_t n_operands = 0;
    for (uint32_t i = 0; i < p->g->n_nodes; i++)
        n_operands += (size_t)p->g->nodes[i].n_in + p->g->nodes[i].n_out;
    p->steps = maas_arena_array(&p->arena, p->g->n_nodes, sizeof *p->steps);
    p->operands = maas_arena_array(&p->arena, n_operands, sizeof *p->operands);
    p->operand_value = maas_arena_array(&p->arena, n_operands, sizeof *p->operand_value);
    if (!p->steps || !p->operands || !p->operand_value || n_operands > UINT32_MAX)
        return maas_fail(err, MAAS_E_NOMEM, "planning %u nodes", p->g->n_nodes);
    double ns = 0;
    for (uint32_t i = 0; i < p->g->n_nodes; i++) {
        const maas_node *n = &p->g->nodes[i];
        if (maas_node_is_alias(p->g, n))
            continue;
        add_step(p, n);
        maas_status st = choose_kernel(p, &p->steps[p->n_steps - 1], &ns, err);
        if (st != MAAS_OK) {
            maas_err_prefix(err, "preparing %s '%s'", n->op->name, n->name);
            return st;
        }
    }
    cut_segments(p);
    atomic_store(&p->cost_ns, (uint64_t)ns);
    return MAAS_OK;
}
