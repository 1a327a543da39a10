/*
 *   MatMul -> Add -> Relu        becomes  FusedGemm(activation=Relu)
 *   Gemm -> ReluGrad(., v)       becomes  FusedGemm(activation=ReluGrad, v)
 *   MatMul -> Add                becomes  Gemm
 *
 * where each value between has one reader. What follows the product is then done on tiles that are
 * still in cache. The last node of a chain is rewritten in place, because whatever the others read
 * exists by then.
 */
#include "passes/pass_int.h"

#include <string.h>

#include "base/mem.h"
#include "ops/build.h"
#include "base/ban.h"

enum { NOBODY = -1, SEVERAL = -2 };

typedef struct fuse_ops { /* looked up once */
    const maas_op *matmul, *gemm, *fused, *add;
    const maas_op *act[4];
} fuse_ops;

typedef struct chain {
    maas_node *product, *last;
    maas_vid c, v; /* addend, and V of ReluGrad */
    const maas_op *act;
    maas_node *between; /* the Add, when it is not the last */
} chain;

static fuse_ops find_ops(void)
{
    return (fuse_ops){
        .matmul = maas_op_find("", "MatMul", MAAS_OPSET),
        .gemm = maas_op_find("", "Gemm", MAAS_OPSET),
        .fused = maas_op_find(MAAS_DOMAIN_OWN, "FusedGemm", MAAS_OPSET),
        .add = maas_op_find("", "Add", MAAS_OPSET),
        .act = {maas_op_find("", "Relu", MAAS_OPSET), maas_op_find("", "Sigmoid", MAAS_OPSET),
                maas_op_find("", "Tanh", MAAS_OPSET),
                maas_op_find(MAAS_DOMAIN_OWN, "ReluGrad", MAAS_OPSET)},
    };
}

static bool is_matrix(const maas_graph *g, maas_vid v)
{
    const maas_type *t = &maas_graph_at(g, v)->type;
    return t->tag == MAAS_TYPE_TENSOR && t->dtype == MAAS_F32 && t->rank == 2;
}

static bool is_product(const maas_graph *g, const maas_node *n, const fuse_ops *ops)
{
    return !n->dead && (n->op == ops->matmul || n->op == ops->gemm) && n->in[0] >= 0 &&
           n->in[1] >= 0 && is_matrix(g, n->in[0]) && is_matrix(g, n->in[1]);
}

/* The one node that reads v, when nothing else does. An Add of two products that went into the
 * chain of the first is dead: the second is read by that chain now. */
static maas_node *reader_of(maas_graph *g, const maas_nid *readers, maas_vid v)
{
    return readers[v] >= 0 && !g->nodes[readers[v]].dead ? &g->nodes[readers[v]] : NULL;
}

/* May t be added to a product of type y without making it larger? */
static bool spreads_to(const maas_type *t, const maas_type *y)
{
    if (t->tag != MAAS_TYPE_TENSOR || t->dtype != y->dtype || t->rank < 0 || t->rank > 2)
        return false;
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] != 1 && (t->dims[i] < 0 || t->dims[i] != y->dims[i + 2 - t->rank]))
            return false;
    return true;
}

static void follow_add(maas_graph *g, const maas_nid *readers, const fuse_ops *ops, chain *c)
{
    const maas_vid y = c->last->out[0];
    maas_node *n = reader_of(g, readers, y);
    const bool has_c = c->product->op == ops->gemm && c->product->n_in > 2 &&
                       c->product->in[2] >= 0;
    if (has_c)
        c->c = c->product->in[2];
    if (has_c || !n || n->op != ops->add)
        return;
    const maas_vid other = n->in[0] == y ? n->in[1] : n->in[0];
    if (other == y || other < 0 ||
        !spreads_to(&maas_graph_at(g, other)->type, &maas_graph_at(g, y)->type))
        return;
    c->c = other;
    c->last = n;
}

static void follow_activation(maas_graph *g, const maas_nid *readers, const fuse_ops *ops, chain *c)
{
    const maas_vid y = c->last->out[0];
    maas_node *n = reader_of(g, readers, y);
    for (size_t i = 0; n && i < MAAS_COUNT(ops->act); i++) {
        if (!ops->act[i] || n->op != ops->act[i] || n->in[0] != y)
            continue;
        if (n->op->n_in == 2) {
            if (n->in[1] == y ||
                !maas_type_eq(&maas_graph_at(g, n->in[1])->type, &maas_graph_at(g, y)->type))
                return;
            c->v = n->in[1];
        }
        c->act = n->op;
        c->between = c->last == c->product ? NULL : c->last;
        c->last = n;
        return;
    }
}

static maas_status copy_attr(maas_graph *g, const maas_node *from, maas_nid to, const char *name,
                             maas_err *err)
{
    const maas_attr *a = maas_node_attr(from, name);
    return a ? maas_node_set(g, to, a, err) : MAAS_OK;
}

static maas_status rewrite(maas_graph *g, const fuse_ops *ops, const chain *c, maas_err *err)
{
    const maas_node product = *c->product;
    const maas_nid last = (maas_nid)(c->last - g->nodes);
    const bool added = c->c >= 0 && !(product.n_in > 2 && product.in[2] >= 0);
    maas_vid *in = maas_arena_array(&g->arena, 4, sizeof *in);
    if (!in)
        return maas_fail(err, MAAS_E_NOMEM, "fusing '%s'", product.name);
    in[0] = product.in[0];
    in[1] = product.in[1];
    in[2] = c->c;
    in[3] = c->v;
    c->last->op = c->act ? ops->fused : ops->gemm;
    c->last->in = in;
    c->last->n_in = c->v >= 0 ? 4 : c->c >= 0 ? 3 : 2;
    c->last->attr = NULL;
    c->last->n_attr = 0;
    static const char *const kept[] = {"transA", "transB", "alpha"};
    for (size_t i = 0; i < MAAS_COUNT(kept) && product.op == ops->gemm; i++)
        MAAS_TRY(copy_attr(g, &product, last, kept[i], err));
    if (product.op == ops->gemm && !added)
        MAAS_TRY(copy_attr(g, &product, last, "beta", err));
    if (c->act)
        MAAS_TRY(maas_node_set(g, last, &MAAS_A_STR("activation", c->act->name), err));
    c->product->dead = true;
    if (c->between)
        c->between->dead = true;
    return MAAS_OK;
}

static void note_reader(maas_nid *readers, maas_vid v, maas_nid n)
{
    if (v >= 0)
        readers[v] = readers[v] == NOBODY ? n : SEVERAL;
}

maas_status maas_pass_fuse_gemm(maas_graph *g, const maas_pass_opts *o, maas_err *err)
{
    const fuse_ops ops = find_ops();
    AUTO_FREE maas_nid *readers = maas_calloc(g->n_values, sizeof *readers);
    if (!readers)
        return maas_fail(err, MAAS_E_NOMEM, "fusing matrix products");
    for (uint32_t v = 0; v < g->n_values; v++)
        readers[v] = g->values[v].flags & MAAS_VALUE_OUTPUT ? SEVERAL : NOBODY;
    for (uint32_t i = 0; i < g->n_bindings; i++)
        readers[g->bindings[i].value] = SEVERAL;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i].n_in; k++)
            note_reader(readers, g->nodes[i].in[k], (maas_nid)i);
    bool any = false;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        chain c = {&g->nodes[i], &g->nodes[i], MAAS_NO_VALUE, MAAS_NO_VALUE, NULL, NULL};
        if (!is_product(g, c.product, &ops))
            continue;
        follow_add(g, readers, &ops, &c);
        follow_activation(g, readers, &ops, &c);
        if (c.last == c.product)
            continue;
        MAAS_TRY(rewrite(g, &ops, &c, err));
        any = true;
    }
    return any ? maas_graph_compact(g, err) : MAAS_OK;
}
