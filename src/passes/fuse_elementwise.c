/*
 * Element-wise operators of one shape become one FusedElementwise, so that a chain (an optimizer's
 * step, say) walks memory once.
 *
 * Which nodes go together is decided in one walk. A node may join the group of a producer unless
 * some other input of it depends on that group: the fused node would then wait for itself. `taint`
 * answers that: the set of groups a value depends on, as bits. There are 64 of them; when they are
 * used up all groups close and the bits start again.
 */
#include "passes/fuse_elementwise.h"

#include "base/mem.h"
#include "kernels/row_ops.h"
#include "base/ban.h"

#define MAX_OPEN 64

typedef struct group {
    int64_t id;        /* written to the nodes */
    maas_type type;    /* of every result */
    uint64_t bits;     /* this group's own, several after a merge */
    uint64_t taint;    /* groups it depends on */
    int n_nodes, n_in; /* n_in: an upper bound */
    int into;          /* merged into this one, or itself */
} group;

typedef struct grouper {
    const maas_graph *g;
    int64_t *id_of;     /* [n_nodes] group of each node, -1: none; see resolve */
    int *slot_of;       /* [n_nodes] open group of a node, when epoch_of says now */
    uint64_t *taint;    /* [n_nodes] of nodes outside of groups */
    uint32_t *epoch_of; /* [n_nodes] */
    uint32_t epoch;
    group open[MAX_OPEN];
    int n_open;
    int64_t *merged; /* [n_ids] id -> id it was merged into */
    int64_t n_ids;
} grouper;

static bool fusable(const maas_graph *g, const maas_node *n)
{
    const bool cast = n->op ==
                      &maas_op_Cast; /* of bytes, sums of them: reading costs nothing extra */
    if ((!cast && (!maas_row_op(n->op) || n->n_attr)) || n->n_out != 1)
        return false;
    if (cast && (!maas_row_cast((maas_dtype)maas_graph_at(g, n->in[0])->type.dtype) ||
                 maas_value_is(g, n->in[0], MAAS_VALUE_CONST)))
        return false;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] < 0 || (!cast && maas_graph_at(g, n->in[i])->type.dtype != MAAS_F32))
            return false;
    const maas_type *t = &maas_graph_at(g, n->out[0])->type;
    return t->dtype == MAAS_F32 && maas_type_eq(t, t); /* known rank and sizes, symbols at least */
}

static int find(grouper *k, int slot)
{
    while (k->open[slot].into != slot)
        slot = k->open[slot].into;
    return slot;
}

/* The open group that makes v, or -1. */
static int maker_of(grouper *k, maas_vid v)
{
    const maas_nid n = maas_graph_at(k->g, v)->producer;
    return n >= 0 && k->epoch_of[n] == k->epoch && k->slot_of[n] >= 0 ? find(k, k->slot_of[n]) : -1;
}

/* Everything that a set of groups depends on, itself included. */
static uint64_t closure(grouper *k, uint64_t set)
{
    for (uint64_t before = 0; before != set;) {
        before = set;
        for (uint64_t rest = set; rest; rest &= rest - 1) {
            const group *g = &k->open[find(k, __builtin_ctzll(rest))];
            set |= g->bits | g->taint;
        }
    }
    return set;
}

static uint64_t taint_of(grouper *k, maas_vid v)
{
    const maas_nid n = maas_graph_at(k->g, v)->producer;
    if (n < 0 || k->epoch_of[n] != k->epoch)
        return 0;
    const int slot = maker_of(k, v);
    return closure(k, slot >= 0 ? k->open[slot].bits : k->taint[n]);
}

static bool depends_otherwise(grouper *k, const maas_node *n, int slot)
{
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] >= 0 && maker_of(k, n->in[i]) != slot &&
            (taint_of(k, n->in[i]) & k->open[slot].bits))
            return true;
    return false;
}

static bool may_join(grouper *k, const maas_node *n, int slot)
{
    const group *g = &k->open[slot];
    return g->n_nodes < MAAS_FUSED_MAX_STEPS && g->n_in + n->n_in <= MAAS_FUSED_MAX_IN &&
           maas_type_eq(&g->type, &maas_graph_at(k->g, n->out[0])->type) &&
           !depends_otherwise(k, n, slot);
}

static void merge(grouper *k, int into, int from)
{
    group *a = &k->open[into], *b = &k->open[from];
    if (a->n_nodes + b->n_nodes >= MAAS_FUSED_MAX_STEPS || a->n_in + b->n_in >= MAAS_FUSED_MAX_IN ||
        (closure(k, b->taint) & a->bits) || (closure(k, a->taint) & b->bits))
        return;
    a->bits |= b->bits;
    a->taint |= b->taint;
    a->n_nodes += b->n_nodes;
    a->n_in += b->n_in;
    b->into = into;
    k->merged[b->id] = a->id;
}

static int open_group(grouper *k, const maas_type *t)
{
    if (k->n_open == MAX_OPEN) {
        k->n_open = 0;
        k->epoch++;
    }
    const int slot = k->n_open++;
    k->merged[k->n_ids] = k->n_ids;
    k->open[slot] = (group){
        .id = k->n_ids++, .type = *t, .bits = UINT64_C(1) << slot, .into = slot};
    return slot;
}

static void join(grouper *k, maas_nid id, const maas_node *n, int slot)
{
    group *g = &k->open[slot];
    for (int i = 0; i < n->n_in; i++)
        if (maker_of(k, n->in[i]) != slot) {
            g->taint |= taint_of(k, n->in[i]);
            g->n_in += !maas_value_is_number(k->g, n->in[i]);
        }
    g->n_nodes++;
    k->slot_of[id] = slot;
    k->id_of[id] = g->id;
}

static void place(grouper *k, maas_nid id)
{
    const maas_node *n = &k->g->nodes[id];
    int target = -1;
    k->slot_of[id] = -1;
    k->id_of[id] = -1;
    if (fusable(k->g, n)) {
        for (int i = 0; i < n->n_in; i++) {
            const int slot = maker_of(k, n->in[i]);
            if (slot < 0 || slot == target || !may_join(k, n, slot))
                continue;
            if (target < 0)
                target = slot;
            else
                merge(k, target, slot);
        }
        if (target < 0)
            target = open_group(k, &maas_graph_at(k->g, n->out[0])->type);
    }
    k->epoch_of[id] = k->epoch;
    if (target >= 0) {
        join(k, id, n, target);
        return;
    }
    k->taint[id] = 0;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] >= 0)
            k->taint[id] |= taint_of(k, n->in[i]);
}

maas_status maas_fuse_groups(const maas_graph *g, int64_t *id_of, int64_t *out_n, maas_err *err)
{
    AUTO_FREE grouper *k = maas_calloc(1, sizeof *k);
    AUTO_FREE int *slot_of = maas_calloc(g->n_nodes, sizeof *slot_of);
    AUTO_FREE uint64_t *taint = maas_calloc(g->n_nodes, sizeof *taint);
    AUTO_FREE uint32_t *epoch_of = maas_calloc(g->n_nodes, sizeof *epoch_of);
    AUTO_FREE int64_t *merged = maas_calloc(g->n_nodes, sizeof *merged);
    if (!k || !slot_of || !taint || !epoch_of || !merged)
        return maas_fail(err, MAAS_E_NOMEM, "grouping %u nodes", g->n_nodes);
    *k = (grouper){.g = g,
                   .id_of = id_of,
                   .slot_of = slot_of,
                   .taint = taint,
                   .epoch_of = epoch_of,
                   .epoch = 1,
                   .merged = merged};
    for (uint32_t i = 0; i < g->n_nodes; i++)
        place(k, (maas_nid)i);
    for (uint32_t i = 0; i < g->n_nodes; i++)
        while (id_of[i] >= 0 && merged[id_of[i]] != id_of[i])
            id_of[i] = merged[id_of[i]];
    *out_n = k->n_ids;
    return MAAS_OK;
}
