#include "ops/ops_int.h"

#include "base/ban.h"

void maas_builder_init(maas_builder *b, maas_graph *g, maas_err *err)
{
    memset(b, 0, sizeof *b);
    b->g = g;
    b->err = err;
    b->last = MAAS_NO_NODE;
}

static bool ok(maas_builder *b, maas_status st)
{
    if (b->status == MAAS_OK)
        b->status = st;
    return st == MAAS_OK;
}

/* ---- contents of small integer tensors made lately ---- */

static void recent_get(void *user, maas_vid v, maas_known *out)
{
    const maas_builder *b = user;
    const maas_value *val = maas_graph_at(b->g, v);
    out->n = -1;
    if (val->flags & MAAS_VALUE_CONST) {
        maas_known_of(&val->init, out);
        return;
    }
    for (size_t i = 0; i < MAAS_COUNT(b->recent); i++)
        if (b->recent[i].filled && b->recent[i].v == v)
            *out = b->recent[i].known;
}

static void recent_put(maas_builder *b, maas_vid v, const maas_known *k)
{
    b->recent[b->n_recent].v = v;
    b->recent[b->n_recent].known = *k;
    b->recent[b->n_recent].filled = true;
    b->n_recent = (b->n_recent + 1) % MAAS_COUNT(b->recent);
}

/* ---- nodes ---- */

static const maas_op *find_op(const char *name)
{
    static const struct {
        const char *domain;
        int version;
    } order[] = {{"", MAAS_OPSET},    {MAAS_DOMAIN_ML, MAAS_OPSET_ML}, {MAAS_DOMAIN_OWN, 1},
                 {MAAS_DOMAIN_MS, 1}, {MAAS_DOMAIN_TRAINING, 1},       {MAAS_DOMAIN_PREVIEW, 1}};
    for (size_t i = 0; i < MAAS_COUNT(order); i++) {
        const maas_op *op = maas_op_find(order[i].domain, name, order[i].version);
        if (op)
            return op;
    }
    return NULL;
}

static maas_status add_node(maas_builder *b, const maas_op *op, const maas_attr *attr,
                            uint32_t n_attr, const maas_vid *in, uint32_t n_in, maas_vid *out,
                            uint32_t n_out)
{
    MAAS_TRY(maas_graph_node(b->g, op, "", in, n_in, out, n_out, &b->last, b->err));
    for (uint32_t i = 0; i < n_attr; i++)
        MAAS_TRY(maas_node_set(b->g, b->last, &attr[i], b->err));
    MAAS_TRY(maas_node_capture(b->g, b->last, b->err));
    b->g->nodes[b->last].checked = b->checked;
    b->checked = 0;
    AUTO_FREE maas_known *known = maas_calloc(n_out, sizeof *known);
    if (!known)
        return maas_fail(b->err, MAAS_E_NOMEM, "building %s", op->name);
    for (uint32_t k = 0; k < n_out; k++)
        known[k].n = -1;
    MAAS_TRY(maas_node_infer(b->g, b->last, recent_get, b, known, b->err));
    for (uint32_t k = 0; k < n_out; k++)
        if (known[k].n >= 0)
            recent_put(b, out[k], &known[k]);
    return MAAS_OK;
}

maas_vid maas_b_node(maas_builder *b, const char *name, const maas_attr *attr, uint32_t n_attr,
                     const maas_vid *in, uint32_t n_in, maas_vid *out, uint32_t n_out)
{
    maas_vid one = MAAS_NO_VALUE;
    if (!out) {
        out = &one;
        n_out = 1;
    }
    if (b->status != MAAS_OK)
        return MAAS_NO_VALUE;
    for (uint32_t k = 0; k < n_out; k++)
        out[k] = MAAS_NO_VALUE;
    const maas_op *op = find_op(name);
    if (!op) {
        ok(b, maas_fail(b->err, MAAS_E_UNSUPPORTED, "no operator called '%s'", name));
        return MAAS_NO_VALUE;
    }
    return ok(b, add_node(b, op, attr, n_attr, in, n_in, out, n_out)) ? out[0] : MAAS_NO_VALUE;
}

maas_vid maas_b_op(maas_builder *b, const char *op, maas_vid a, maas_vid c, maas_vid d, maas_vid e)
{
    const maas_vid in[4] = {a, c, d, e};
    uint32_t n = 4;
    while (n && in[n - 1] == MAAS_NO_VALUE)
        n--;
    return maas_b_node(b, op, NULL, 0, in, n, NULL, 1);
}

maas_vid maas_b_attr1(maas_builder *b, const char *op, maas_attr a, maas_vid x, maas_vid y)
{
    const maas_vid in[2] = {x, y};
    return maas_b_node(b, op, &a, 1, in, y == MAAS_NO_VALUE ? 1 : 2, NULL, 1);
}

/* ---- values ---- */

maas_vid maas_b_input(maas_builder *b, const char *name, maas_dtype t, int rank,
                      const int64_t *dims)
{
    maas_vid v = MAAS_NO_VALUE;
    if (b->status != MAAS_OK)
        return v;
    maas_type type = maas_type_tensor(t, rank, dims);
    return ok(b, maas_graph_input(b->g, name, &type, &v, b->err)) ? v : MAAS_NO_VALUE;
}

maas_vid maas_b_const(maas_builder *b, const char *name, const maas_tensor *t)
{
    maas_vid v = MAAS_NO_VALUE;
    if (b->status != MAAS_OK)
        return v;
    return ok(b, maas_graph_const(b->g, name, t, true, &v, b->err)) ? v : MAAS_NO_VALUE;
}

maas_vid maas_b_f32(maas_builder *b, float v)
{
    maas_tensor t = maas_tensor_of(MAAS_F32, 0, NULL, &v);
    return maas_b_const(b, NULL, &t);
}

maas_vid maas_b_i64(maas_builder *b, int64_t v)
{
    maas_tensor t = maas_tensor_of(MAAS_I64, 0, NULL, &v);
    return maas_b_const(b, NULL, &t);
}

maas_vid maas_b_i64s(maas_builder *b, const int64_t *v, int n)
{
    int64_t dims[1] = {n}, none = 0;
    /* graph constants carry data even when they are empty */
    maas_tensor t = maas_tensor_of(MAAS_I64, 1, dims, n ? (void *)(uintptr_t)v : &none);
    return maas_b_const(b, NULL, &t);
}

maas_vid maas_b_like(maas_builder *b, maas_vid like, double v)
{
    const maas_type *t = maas_b_type(b, like);
    return t ? maas_b_scalar(b, (maas_dtype)t->dtype, v) : MAAS_NO_VALUE;
}

void maas_b_output(maas_builder *b, const char *name, maas_vid v)
{
    if (b->status != MAAS_OK)
        return;
    if (name && *name && !ok(b, maas_graph_rename(b->g, v, name, b->err)))
        return;
    ok(b, maas_graph_output(b->g, v, b->err));
}

const maas_type *maas_b_type(const maas_builder *b, maas_vid v)
{
    if (b->status != MAAS_OK || v == MAAS_NO_VALUE)
        return NULL;
    return &maas_graph_at(b->g, v)->type;
}

/* Unequal symbols may still be equal sizes: only certain equality saves the node. */
static bool surely_same_shape(const maas_type *a, const maas_type *b)
{
    if (a->rank < 0 || a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i] || a->dims[i] == MAAS_DIM_UNKNOWN)
            return false;
    return true;
}

maas_vid maas_b_reduce_to(maas_builder *b, maas_vid dy, maas_vid x)
{
    const maas_type *have = maas_b_type(b, dy), *want = maas_b_type(b, x);
    if (!have || !want)
        return MAAS_NO_VALUE;
    return surely_same_shape(have, want) ? dy : maas_b_op2(b, "ReduceTo", dy, x);
}

maas_vid maas_b_shaped_like(maas_builder *b, maas_vid v, maas_vid like)
{
    /* allowzero: an empty tensor has zeros in its shape that mean what they say */
    return maas_b_attr1(b, "Reshape", MAAS_A_INT("allowzero", 1), v, maas_b_op1(b, "Shape", like));
}

void maas_grad_reshape(maas_grad *g)
{
    if (g->want[0])
        g->din[0] = maas_b_shaped_like(g->b, g->dout[0], g->node->in[0]);
}
