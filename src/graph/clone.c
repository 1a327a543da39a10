#include "graph/graph_int.h"

#include "base/mem.h"
#include "graph/op.h"
#include "base/ban.h"

/*
 * What can change later is copied (arrays, nodes, input and output lists, attribute lists); what
 * never changes (names, payloads of attributes, constant data) is borrowed from the original.
 */

static bool copy_array(maas_graph *to, void *array, const void *from, int which, uint32_t n,
                       size_t size)
{
    void *copy = NULL;
    if (n && !(copy = maas_arena_dup(&to->arena, from, n * size)))
        return false;
    memcpy(array, &copy, sizeof copy);
    to->caps[which] = n;
    return true;
}

static bool copy_node(maas_graph *to, maas_node *node)
{
    node->in = maas_arena_dup(&to->arena, node->in, node->n_in * sizeof *node->in);
    node->out = maas_arena_dup(&to->arena, node->out, node->n_out * sizeof *node->out);
    /* The length is kept, the spare room is not: maas_node_set expects it (4, 8, 16, ...). */
    uint32_t room = 4;
    while (room < node->n_attr)
        room *= 2;
    maas_attr *attr = node->n_attr ? maas_arena_array(&to->arena, room, sizeof *attr) : NULL;
    if (attr)
        memcpy(attr, node->attr, node->n_attr * sizeof *attr);
    node->attr = attr;
    return node->in && node->out && (attr || !node->n_attr);
}

static bool copy_structure(const maas_graph *g, maas_graph *to)
{
    const maas_graph_tables *from_names = maas_graph_tables_of(g);
    maas_graph_tables *names = maas_graph_tables_of(to);
    to->n_values = g->n_values;
    to->n_nodes = g->n_nodes;
    to->n_inputs = g->n_inputs;
    to->n_outputs = g->n_outputs;
    to->n_bindings = g->n_bindings;
    to->n_meta = g->n_meta;
    to->n_symbols = g->n_symbols;
    to->n_made_up = g->n_made_up;
    to->n_captured = g->n_captured;
    if (g->n_captured && !(to->captured = maas_arena_dup(&to->arena, g->captured,
                                                         g->n_captured * sizeof *g->captured)))
        return false;
#define COPY(field, which)                                                                         \
    copy_array(to, &to->field, g->field, which, g->n_##field, sizeof *g->field)
    bool ok = COPY(values, MAAS_CAP_VALUES) && COPY(nodes, MAAS_CAP_NODES) &&
              COPY(inputs, MAAS_CAP_INPUTS) && COPY(outputs, MAAS_CAP_OUTPUTS) &&
              COPY(bindings, MAAS_CAP_BINDINGS) && COPY(meta, MAAS_CAP_META) &&
              COPY(symbols, MAAS_CAP_SYMBOLS) &&
              maas_names_clone(&from_names->values, &names->values, &to->arena) &&
              maas_names_clone(&from_names->symbols, &names->symbols, &to->arena) &&
              maas_names_clone(&from_names->meta, &names->meta, &to->arena);
#undef COPY
    for (uint32_t i = 0; ok && i < to->n_nodes; i++)
        ok = copy_node(to, &to->nodes[i]);
    return ok;
}

/* One level: structure, and for each subgraph an empty graph in its place, in `level`. */
typedef struct todo {
    struct todo *next;
    const maas_graph *from;
    maas_graph *to;
} todo;

static maas_status clone_level(const todo *job, maas_arena *scratch, todo **list, maas_err *err)
{
    maas_graph *to = job->to;
    if (!copy_structure(job->from, to))
        return maas_graph_no_memory(to, err);
    for (uint32_t i = 0; i < to->n_nodes; i++)
        for (uint32_t k = 0; k < to->nodes[i].n_attr; k++) {
            maas_attr *a = &to->nodes[i].attr[k];
            if (a->type != MAAS_ATTR_GRAPH)
                continue;
            const maas_graph *from = a->u.graph;
            todo *t = maas_arena_alloc(scratch, sizeof *t);
            if (!t)
                return maas_graph_no_memory(to, err);
            maas_graph *child;
            MAAS_TRY(maas_graph_create(from->name, to->arena.budget, &child, err));
            maas_status st = maas_graph_adopt(to, child, err);
            if (st != MAAS_OK) {
                maas_graph_destroy(child);
                return st;
            }
            a->u.graph = child;
            *t = (todo){*list, from, child};
            *list = t;
        }
    return MAAS_OK;
}

maas_status maas_graph_clone(const maas_graph *g, maas_budget *budget, maas_graph **out,
                             maas_err *err)
{
    maas_graph *copy;
    MAAS_TRY(maas_graph_create(g->name, budget, &copy, err));
    copy->parent = g->parent;
    AUTO(maas_arena_reset) maas_arena scratch;
    maas_arena_init(&scratch, budget);
    todo first = {NULL, g, copy}, *list = &first;
    while (list) {
        todo job = *list;
        list = list->next;
        maas_status st = clone_level(&job, &scratch, &list, err);
        if (st != MAAS_OK) {
            maas_graph_destroy(copy);
            return st;
        }
    }
    *out = copy;
    return MAAS_OK;
}
