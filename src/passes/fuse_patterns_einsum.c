/*
 * An Einsum of two operands is a matrix product when each label is one of four kinds: of both and
 * of the result (batch), of one operand and the result (rows or columns), of both operands alone
 * (summed). Axes are brought in that order, joined, multiplied, and parted again.
 */
#include "passes/pass_int.h"

#include <string.h>

#include "ops/build.h"
#include "ops/einsum.h"
#include "base/ban.h"

enum { BATCH, ROWS, COLUMNS, SUMMED, N_KINDS };

typedef struct plan {
    maas_graph *g;
    maas_err *err;
    maas_einsum e;
    int64_t size[MAAS_EINSUM_LABELS];
    uint8_t label[N_KINDS][MAAS_EINSUM_LABELS];
    int n[N_KINDS];
    int64_t total[N_KINDS]; /* sizes of the kinds' labels multiplied */
} plan;

static int count(const maas_einsum *e, int k, int label)
{
    int n = 0;
    for (int i = 0; i < e->rank[k]; i++)
        n += e->label[k][i] == label;
    return n;
}

static bool sort_labels(plan *p)
{
    for (int label = 0; label < MAAS_EINSUM_LABELS; label++) {
        const int a = count(&p->e, 0, label), b = count(&p->e, 1, label),
                  y = count(&p->e, 2, label);
        if (!a && !b)
            continue;
        if (a > 1 || b > 1 || (!y && !(a && b)))
            return false;
        const int kind = !y ? SUMMED : a && b ? BATCH : a ? ROWS : COLUMNS;
        p->label[kind][p->n[kind]++] = (uint8_t)label;
    }
    return true;
}

/* Sizes of labels, all known and nothing broadcast. */
static bool read_sizes(plan *p, const maas_node *n)
{
    for (int k = 0; k < 2; k++) {
        const maas_type *t = &maas_graph_at(p->g, n->in[k])->type;
        for (int i = 0; i < t->rank; i++) {
            int64_t *size = &p->size[p->e.label[k][i]];
            if (t->dims[i] < 1 || (*size && *size != t->dims[i]))
                return false;
            *size = t->dims[i];
        }
    }
    for (int kind = 0; kind < N_KINDS; kind++) {
        p->total[kind] = 1;
        for (int i = 0; i < p->n[kind]; i++)
            p->total[kind] *= p->size[p->label[kind][i]];
    }
    return true;
}

static maas_status add(const plan *p, const char *op, const maas_attr *a, const maas_vid *in,
                       uint32_t n_in, maas_vid *out)
{
    maas_nid nid;
    maas_vid made = MAAS_NO_VALUE; /* `out` may be `in` */
    MAAS_TRY(maas_graph_node(p->g, maas_op_find("", op, MAAS_OPSET), "", in, n_in, &made, 1, &nid,
                             p->err));
    *out = made;
    return a ? maas_node_set(p->g, nid, a, p->err) : MAAS_OK;
}

static maas_status reshape(const plan *p, maas_vid v, const int64_t *dims, int n, maas_vid *out)
{
    const int64_t rank = n;
    const maas_tensor t = maas_tensor_of(MAAS_I64, 1, &rank, (void *)(uintptr_t)dims);
    maas_vid in[2] = {v, MAAS_NO_VALUE};
    MAAS_TRY(maas_graph_const(p->g, NULL, &t, true, &in[1], p->err));
    return add(p, "Reshape", NULL, in, 2, out);
}

/* Operand k with its axes in the order of three kinds, each kind joined to one axis. */
static maas_status operand(const plan *p, int k, maas_vid v, const int kinds[3], maas_vid *out)
{
    int64_t perm[MAAS_MAX_RANK], dims[3];
    int n = 0;
    bool moved = false;
    for (int i = 0; i < 3; i++) {
        dims[i] = p->total[kinds[i]];
        for (int j = 0; j < p->n[kinds[i]]; j++, n++)
            for (int axis = 0; axis < p->e.rank[k]; axis++)
                if (p->e.label[k][axis] == p->label[kinds[i]][j]) {
                    perm[n] = axis;
                    moved |= axis != n;
                }
    }
    const maas_attr a = MAAS_A_INTS("perm", perm, n);
    if (moved)
        MAAS_TRY(add(p, "Transpose", &a, &v, 1, &v));
    return reshape(p, v, dims, 3, out);
}

/* The node turns the axes of the product, which has those of three kinds, to the result's. */
static maas_status become_result(const plan *p, maas_nid nid, maas_vid v)
{
    static const int kinds[3] = {BATCH, ROWS, COLUMNS};
    int64_t dims[MAAS_MAX_RANK], perm[MAAS_MAX_RANK];
    int n = 0;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < p->n[kinds[i]]; j++, n++) {
            dims[n] = p->size[p->label[kinds[i]][j]];
            for (int axis = 0; axis < p->e.rank[2]; axis++)
                if (p->e.label[2][axis] == p->label[kinds[i]][j])
                    perm[axis] = n;
        }
    MAAS_TRY(reshape(p, v, dims, n, &v));
    maas_vid *in = maas_arena_dup(&p->g->arena, &v, sizeof v);
    if (!in)
        return maas_fail(p->err, MAAS_E_NOMEM, "an Einsum as a product");
    maas_node *node = &p->g->nodes[nid];
    node->op = maas_op_find("", n ? "Transpose" : "Identity", MAAS_OPSET);
    node->in = in;
    node->n_in = 1;
    node->n_attr = 0;
    node->attr = NULL;
    const maas_attr a = MAAS_A_INTS("perm", perm, n);
    return n ? maas_node_set(p->g, nid, &a, p->err) : MAAS_OK;
}

static maas_status try_product(maas_graph *g, maas_nid nid, bool *done, maas_err *err)
{
    const maas_node *n = &g->nodes[nid];
    plan p = {.g = g, .err = err};
    int8_t ranks[2];
    for (int k = 0; k < 2; k++) {
        const maas_type *t = &maas_graph_at(g, n->in[k])->type;
        ranks[k] = t->rank;
        if (t->rank < 0 || (t->dtype != MAAS_F32 && t->dtype != MAAS_F64))
            return MAAS_OK;
    }
    if (maas_einsum_read(n, ranks, 2, &p.e, NULL) != MAAS_OK || !sort_labels(&p) ||
        !read_sizes(&p, n))
        return MAAS_OK;
    const maas_vid a = n->in[0], b = n->in[1];
    maas_vid in[2], y;
    MAAS_TRY(operand(&p, 0, a, (const int[3]){BATCH, ROWS, SUMMED}, &in[0]));
    MAAS_TRY(operand(&p, 1, b, (const int[3]){BATCH, SUMMED, COLUMNS}, &in[1]));
    MAAS_TRY(add(&p, "MatMul", NULL, in, 2, &y));
    *done = true;
    return become_result(&p, nid, y);
}

maas_status maas_pass_einsum(maas_graph *g, const maas_pass_opts *o, maas_err *err)
{
    const maas_op *einsum = maas_op_find("", "Einsum", MAAS_OPSET);
    const uint32_t n = g->n_nodes;
    bool any = false;
    for (uint32_t i = 0; i < n; i++)
        if (!g->nodes[i].dead && g->nodes[i].op == einsum && g->nodes[i].n_in == 2)
            MAAS_TRY(try_product(g, (maas_nid)i, &any, err));
    if (!any)
        return MAAS_OK;
    MAAS_TRY(maas_graph_compact(g, err));
    MAAS_TRY(maas_graph_infer(g, err));
    return maas_pass_drop_identity(g, o, err);
}
