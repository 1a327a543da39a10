/*
 * Writes one FusedElementwise for each group of element-wise nodes: the last node of the group is
 * rewritten, the others die. Inputs and outputs are paired, output k with an input k that it may
 * overwrite: the variable it becomes, or a value that nobody else reads.
 */
#include "passes/fuse_elementwise.h"

#include <string.h>

#include "base/mem.h"
#include "kernels/row_ops.h"
#include "ops/build.h"
#include "base/ban.h"

typedef struct emitter {
    maas_graph *g;
    const maas_op *fused;
    const int64_t *id_of;
    uint32_t *uses;    /* [n_values] all readers           */
    uint32_t *inside;  /* [n_values] readers in this group */
    int *operand;      /* [n_values] number in this program, -1: none yet */
    maas_vid *becomes; /* [n_values] the variable that takes this value, or MAAS_NO_VALUE */

    /* this group */
    const maas_nid *nodes;
    int n_nodes;
    maas_vid in[2 * MAAS_FUSED_MAX_STEPS], out[MAAS_FUSED_MAX_STEPS];
    maas_vid numbers[2 * MAAS_FUSED_MAX_STEPS];
    int n_in, n_out, n_numbers;
} emitter;

static void collect_in(emitter *e, maas_vid v)
{
    if (e->operand[v] >= 0)
        return;
    e->operand[v] = 0; /* seen; numbered below */
    if (maas_value_is_number(e->g, v))
        e->numbers[e->n_numbers++] = v;
    else
        e->in[e->n_in++] = v;
}

static void collect(emitter *e)
{
    e->n_in = e->n_out = e->n_numbers = 0;
    for (int i = 0; i < e->n_nodes; i++) {
        const maas_node *n = &e->g->nodes[e->nodes[i]];
        e->operand[n->out[0]] = 0; /* made inside: never an input */
        for (int k = 0; k < n->n_in; k++)
            e->inside[n->in[k]]++;
    }
    for (int i = 0; i < e->n_nodes; i++) {
        const maas_node *n = &e->g->nodes[e->nodes[i]];
        for (int k = 0; k < n->n_in; k++)
            collect_in(e, n->in[k]);
        if (e->uses[n->out[0]] > e->inside[n->out[0]])
            e->out[e->n_out++] = n->out[0];
    }
}

static bool may_pair(const emitter *e, maas_vid in, maas_vid out)
{
    const maas_value *v = maas_graph_at(e->g, in);
    if (!maas_type_eq(&v->type, &maas_graph_at(e->g, out)->type))
        return false;
    if (e->becomes[out] >= 0)
        return in == e->becomes[out];
    return v->producer >= 0 && e->uses[in] == e->inside[in];
}

static void swap(maas_vid *a, maas_vid *b)
{
    const maas_vid t = *a;
    *a = *b;
    *b = t;
}

static void pair_up(emitter *e)
{
    int n = 0;
    for (int o = 0; o < e->n_out; o++)
        for (int i = n; i < e->n_in; i++)
            if (may_pair(e, e->in[i], e->out[o])) {
                swap(&e->in[n], &e->in[i]);
                swap(&e->out[n], &e->out[o]);
                n++;
                break;
            }
}

static maas_status set_program(emitter *e, maas_nid at, maas_err *err)
{
    maas_str ops[MAAS_FUSED_MAX_STEPS];
    int64_t args[2 * MAAS_FUSED_MAX_STEPS], outs[MAAS_FUSED_MAX_OUT];
    float imm[2 * MAAS_FUSED_MAX_STEPS];
    for (int i = 0; i < e->n_in; i++)
        e->operand[e->in[i]] = i;
    for (int i = 0; i < e->n_numbers; i++) {
        e->operand[e->numbers[i]] = e->n_in + i;
        imm[i] = (float)maas_tensor_get(&maas_graph_at(e->g, e->numbers[i])->init, 0);
    }
    for (int i = 0; i < e->n_nodes; i++) {
        const maas_node *n = &e->g->nodes[e->nodes[i]];
        ops[i] = (maas_str){n->op->name, strlen(n->op->name)};
        args[2 * i] = e->operand[n->in[0]];
        args[2 * i + 1] = n->n_in > 1 ? e->operand[n->in[1]] : -1;
        e->operand[n->out[0]] = e->n_in + e->n_numbers + i;
    }
    for (int i = 0; i < e->n_out; i++)
        outs[i] = e->operand[e->out[i]];
    const maas_attr attrs[] = {{"ops", MAAS_ATTR_STRINGS, (uint32_t)e->n_nodes, {.strings = ops}},
                               {"args", MAAS_ATTR_INTS, 2 * (uint32_t)e->n_nodes, {.ints = args}},
                               {"imm", MAAS_ATTR_FLOATS, (uint32_t)e->n_numbers, {.floats = imm}},
                               {"outs", MAAS_ATTR_INTS, (uint32_t)e->n_out, {.ints = outs}}};
    for (size_t i = 0; i < MAAS_COUNT(attrs); i++)
        MAAS_TRY(maas_node_set(e->g, at, &attrs[i], err));
    return MAAS_OK;
}

static maas_status write_node(emitter *e, maas_err *err)
{
    const maas_nid last = e->nodes[e->n_nodes - 1];
    e->g->nodes[last].n_attr = 0; /* a Cast has one: its type is known to be float */
    MAAS_TRY(set_program(e, last, err));
    maas_vid *in = maas_arena_dup(&e->g->arena, e->in, (size_t)e->n_in * sizeof *in);
    maas_vid *out = maas_arena_dup(&e->g->arena, e->out, (size_t)e->n_out * sizeof *out);
    if (!in || !out)
        return maas_fail(err, MAAS_E_NOMEM, "fusing %d nodes", e->n_nodes);
    for (int i = 0; i < e->n_nodes; i++)
        e->g->nodes[e->nodes[i]].dead = e->nodes[i] != last;
    maas_node *n = &e->g->nodes[last];
    n->op = e->fused;
    n->in = in;
    n->out = out;
    n->n_in = (uint16_t)e->n_in;
    n->n_out = (uint16_t)e->n_out;
    for (int i = 0; i < e->n_out; i++)
        maas_graph_at(e->g, out[i])->producer = last;
    return MAAS_OK;
}

static void forget(emitter *e, const maas_nid *nodes, int n_nodes)
{
    for (int i = 0; i < e->n_in; i++)
        e->operand[e->in[i]] = -1, e->inside[e->in[i]] = 0;
    for (int i = 0; i < e->n_numbers; i++)
        e->operand[e->numbers[i]] = -1, e->inside[e->numbers[i]] = 0;
    for (int i = 0; i < n_nodes; i++) {
        const maas_node *n = &e->g->nodes[nodes[i]];
        if (n->op == e->fused)
            continue; /* its outputs were made by the others or are in out[] */
        e->operand[n->out[0]] = -1, e->inside[n->out[0]] = 0;
    }
    for (int i = 0; i < e->n_out; i++)
        e->operand[e->out[i]] = -1, e->inside[e->out[i]] = 0;
}

static maas_status emit(emitter *e, const maas_nid *nodes, int n_nodes, bool *any, maas_err *err)
{
    if (n_nodes < 2)
        return MAAS_OK;
    e->nodes = nodes;
    e->n_nodes = n_nodes;
    collect(e);
    if (e->n_in >= 1 && e->n_in <= MAAS_FUSED_MAX_IN && e->n_out >= 1 &&
        e->n_out <= MAAS_FUSED_MAX_OUT) {
        pair_up(e);
        MAAS_TRY(write_node(e, err));
        *any = true;
    }
    forget(e, nodes, n_nodes);
    return MAAS_OK;
}

static void count(emitter *e)
{
    const maas_graph *g = e->g;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i].n_in; k++)
            if (g->nodes[i].in[k] >= 0)
                e->uses[g->nodes[i].in[k]]++;
    for (uint32_t i = 0; i < g->n_outputs; i++)
        e->uses[g->outputs[i]]++;
    for (uint32_t v = 0; v < g->n_values; v++) {
        e->operand[v] = -1;
        e->becomes[v] = MAAS_NO_VALUE;
    }
    for (uint32_t i = 0; i < g->n_bindings; i++) {
        e->uses[g->bindings[i].value]++;
        e->becomes[g->bindings[i].value] = g->bindings[i].variable;
    }
}

/* Nodes of a group next to each other, in their order: a counting sort. */
static maas_status emit_all(emitter *e, int64_t n_groups, bool *any, maas_err *err)
{
    AUTO_FREE uint32_t *end = maas_calloc((size_t)n_groups + 1, sizeof *end);
    AUTO_FREE maas_nid *nodes = maas_calloc(e->g->n_nodes, sizeof *nodes);
    if (!end || !nodes)
        return maas_fail(err, MAAS_E_NOMEM, "fusing");
    for (uint32_t i = 0; i < e->g->n_nodes; i++)
        if (e->id_of[i] >= 0)
            end[e->id_of[i] + 1]++;
    for (int64_t k = 0; k < n_groups; k++)
        end[k + 1] += end[k];
    for (uint32_t i = 0; i < e->g->n_nodes; i++)
        if (e->id_of[i] >= 0)
            nodes[end[e->id_of[i]]++] = (maas_nid)i;
    for (int64_t k = 0; k < n_groups; k++) {
        const uint32_t from = k ? end[k - 1] : 0;
        MAAS_TRY(emit(e, nodes + from, (int)(end[k] - from), any, err));
    }
    return MAAS_OK;
}

maas_status maas_pass_fuse_elementwise(maas_graph *g, const maas_pass_opts *o, maas_err *err)
{
    AUTO_FREE int64_t *id_of = maas_calloc(g->n_nodes, sizeof *id_of);
    AUTO_FREE uint32_t *uses = maas_calloc(g->n_values, sizeof *uses);
    AUTO_FREE uint32_t *inside = maas_calloc(g->n_values, sizeof *inside);
    AUTO_FREE int *operand = maas_calloc(g->n_values, sizeof *operand);
    AUTO_FREE maas_vid *becomes = maas_calloc(g->n_values, sizeof *becomes);
    AUTO_FREE emitter *e = maas_calloc(1, sizeof *e);
    if (!id_of || !uses || !inside || !operand || !becomes || !e)
        return maas_fail(err, MAAS_E_NOMEM, "fusing element-wise operators");
    e->g = g;
    e->fused = maas_op_find(MAAS_DOMAIN_OWN, "FusedElementwise", 1);
    e->id_of = id_of;
    e->uses = uses;
    e->inside = inside;
    e->operand = operand;
    e->becomes = becomes;
    int64_t n_groups;
    bool any = false;
    MAAS_TRY(maas_fuse_groups(g, id_of, &n_groups, err));
    count(e);
    MAAS_TRY(emit_all(e, n_groups, &any, err));
    return any ? maas_graph_compact(g, err) : MAAS_OK;
}
