/* Types of a whole graph: each node is checked against the schema of its operator, then asked. */
#include "ops/ops_int.h"

#include <inttypes.h>

#include "base/ban.h"

/* ---- one node against its schema ---- */

static const maas_io_schema *schema_row(const maas_io_schema *rows, int n_rows, int i)
{
    if (i < n_rows)
        return &rows[i];
    return n_rows && rows[n_rows - 1].variadic ? &rows[n_rows - 1] : NULL;
}

static maas_status check_arity(const maas_node *n, maas_err *err)
{
    const maas_op *op = n->op;
    const int n_in = n->n_in - n->n_captured;
    if (n_in > op->n_in && !schema_row(op->in, op->n_in, n_in - 1))
        return maas_fail(err, MAAS_E_INVALID, "%d inputs, at most %d are allowed", n_in, op->n_in);
    if (n->n_out > op->n_out && !schema_row(op->out, op->n_out, n->n_out - 1))
        return maas_fail(err, MAAS_E_INVALID, "%d outputs, at most %d are allowed", n->n_out,
                         op->n_out);
    for (int i = 0; i < op->n_in; i++)
        if (!op->in[i].optional && (i >= n_in || n->in[i] == MAAS_NO_VALUE))
            return maas_fail(err, MAAS_E_INVALID, "input '%s' is missing", op->in[i].name);
    for (int i = op->n_in; i < n_in; i++)
        if (n->in[i] == MAAS_NO_VALUE)
            return maas_fail(err, MAAS_E_INVALID, "input %d is missing", i);
    return n->n_out ? MAAS_OK : maas_fail(err, MAAS_E_INVALID, "no outputs");
}

static maas_status check_attrs(const maas_node *n, maas_err *err)
{
    for (int i = 0; i < n->op->n_attr; i++) {
        const maas_attr_schema *row = &n->op->attr[i];
        const maas_attr *a = maas_node_attr(n, row->name);
        if (!a && row->required)
            return maas_fail(err, MAAS_E_INVALID, "attribute '%s' is missing", row->name);
        if (a && a->type != row->type)
            return maas_fail(err, MAAS_E_INVALID, "attribute '%s' has type %d, must be %d",
                             row->name, a->type, row->type);
    }
    return MAAS_OK;
}

static maas_status check_dtypes(const maas_infer *q, maas_err *err)
{
    const maas_node *n = q->node;
    for (int i = 0; i < n->n_in - n->n_captured; i++) {
        const maas_type *t = &q->in[i];
        const maas_io_schema *row = schema_row(n->op->in, n->op->n_in, i);
        if (n->in[i] == MAAS_NO_VALUE)
            continue;
        if (!(maas_tags_of(row) & MAAS_TAG(t->tag)))
            return maas_fail(err, MAAS_E_INVALID, "input '%s' may not be a %s", row->name,
                             maas_type_words[t->tag]);
        if (t->dtype >= 32 || !(row->dtypes & MAAS_DT_BIT(t->dtype)))
            return maas_fail(err, MAAS_E_INVALID, "input '%s' may not be %s", row->name,
                             maas_dtype_describe((maas_dtype)t->dtype)->onnx);
        for (int k = 0; row->type && k < i; k++) {
            const maas_io_schema *other = schema_row(n->op->in, n->op->n_in, k);
            if (n->in[k] == MAAS_NO_VALUE || !other->type || strcmp(other->type, row->type) != 0)
                continue;
            if (q->in[k].dtype != t->dtype)
                return maas_fail(err, MAAS_E_INVALID, "input '%s' is %s but '%s' is %s", row->name,
                                 maas_dtype_describe((maas_dtype)t->dtype)->onnx, other->name,
                                 maas_dtype_describe((maas_dtype)q->in[k].dtype)->onnx);
            break; /* it agreed with all before it */
        }
    }
    return MAAS_OK;
}

/* ---- what is told against what is found ---- */

static bool made_up(const maas_graph *g, int64_t dim)
{
    int64_t k = -2 - dim;
    return dim == MAAS_DIM_UNKNOWN ||
           (dim <= -2 && (k >= g->n_symbols || g->symbols[k][0] == '\0'));
}

static maas_status name_unknown(maas_graph *g, maas_type *t, maas_err *err)
{
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] == MAAS_DIM_UNKNOWN)
            MAAS_TRY(maas_graph_symbol(g, NULL, &t->dims[i], err));
    return MAAS_OK;
}

static maas_status merge_dim(const maas_graph *g, int axis, int64_t told, int64_t found,
                             int64_t *out, maas_err *err)
{
    if (told >= 0 && found >= 0 && told != found)
        return maas_fail(err, MAAS_E_INVALID,
                         "axis %d is declared as %" PRId64 " but computes to %" PRId64, axis, told,
                         found);
    if (found >= 0 || told == MAAS_DIM_UNKNOWN)
        *out = found;
    else
        *out = told >= 0 || made_up(g, found) ? told : found;
    return MAAS_OK;
}

static maas_status merge_type(maas_graph *g, maas_type *told, const maas_type *found, maas_err *err)
{
    if (found->tag == MAAS_TYPE_NONE)
        return MAAS_OK;
    if (told->tag == MAAS_TYPE_NONE || told->dtype == MAAS_DT_NONE) {
        *told = *found;
        return name_unknown(g, told, err);
    }
    if (told->tag != found->tag || told->dtype != found->dtype || told->of != found->of)
        return maas_fail(
            err, MAAS_E_INVALID, "declared as %s %s but computes to %s %s",
            maas_type_words[told->tag], maas_dtype_describe((maas_dtype)told->dtype)->onnx,
            maas_type_words[found->tag], maas_dtype_describe((maas_dtype)found->dtype)->onnx);
    if (found->rank < 0)
        return MAAS_OK;
    if (told->rank < 0) {
        *told = *found;
        return name_unknown(g, told, err);
    }
    if (told->rank != found->rank)
        return maas_fail(err, MAAS_E_INVALID, "declared with rank %d but computes to rank %d",
                         told->rank, found->rank);
    for (int i = 0; i < found->rank; i++)
        MAAS_TRY(merge_dim(g, i, told->dims[i], found->dims[i], &told->dims[i], err));
    return name_unknown(g, told, err);
}

/* Every concrete shape that inference accepts is one whose bytes fit in a size_t. */
static maas_status check_size(const maas_type *t, maas_err *err)
{
    int64_t dims[MAAS_MAX_RANK];
    size_t bytes;
    if (t->tag != MAAS_TYPE_TENSOR || t->rank < 0)
        return MAAS_OK;
    for (int i = 0; i < t->rank; i++)
        dims[i] = t->dims[i] < 0 ? 1 : t->dims[i];
    return maas_shape_bytes((maas_dtype)t->dtype, dims, t->rank, &bytes, err);
}

/* ---- asking one node ---- */

typedef struct query {
    maas_infer q;
    void *block;
} query;

static int at_least(int n, int rows)
{
    return n > rows ? n : rows;
}

/* Arrays are as long as the schema at least, so an operator may look at any row of it. */
static maas_status query_open(query *u, maas_graph *g, maas_nid nid, maas_known_fn known,
                              void *user, maas_err *err)
{
    const maas_node *n = &g->nodes[nid];
    size_t n_in = (size_t)at_least(n->n_in, n->op->n_in);
    size_t n_out = (size_t)at_least(n->n_out, n->op->n_out);
    size_t one_in = sizeof(maas_type) + sizeof(maas_tensor) + sizeof(maas_known);
    size_t one_out = sizeof(maas_type) + sizeof(maas_known);
    char *p = u->block = maas_calloc(n_in * one_in + n_out * one_out, 1);
    if (!p)
        return maas_fail(err, MAAS_E_NOMEM, "inferring types");
    maas_type *in = (maas_type *)p;
    maas_type *out = in + n_in;
    maas_tensor *data = (maas_tensor *)(out + n_out);
    maas_known *in_known = (maas_known *)(data + n_in);
    maas_known *out_known = in_known + n_in;
    for (size_t i = 0; i < n_in; i++) {
        in_known[i].n = -1;
        if (i >= n->n_in || n->in[i] == MAAS_NO_VALUE)
            continue;
        const maas_value *v = maas_graph_at(g, n->in[i]);
        in[i] = v->type;
        if (v->flags & MAAS_VALUE_CONST)
            data[i] = v->init;
        known(user, n->in[i], &in_known[i]);
    }
    for (size_t i = 0; i < n_out; i++)
        out_known[i].n = -1;
    u->q = (maas_infer){g, n, in, data, in_known, out, out_known};
    return MAAS_OK;
}

static maas_status ask(query *u, maas_err *err)
{
    MAAS_TRY(check_arity(u->q.node, err));
    MAAS_TRY(check_attrs(u->q.node, err));
    MAAS_TRY(check_dtypes(&u->q, err));
    return u->q.node->op->infer(&u->q, err);
}

static maas_status take_answers(query *u, maas_known *out_known, maas_err *err)
{
    const maas_node *n = u->q.node;
    maas_graph *g = u->q.graph;
    for (int k = 0; k < n->n_out; k++) {
        if (n->out[k] == MAAS_NO_VALUE)
            continue;
        maas_type t = maas_graph_at(g, n->out[k])->type;
        MAAS_TRY(check_size(&u->q.out[k], err));
        MAAS_TRY(merge_type(g, &t, &u->q.out[k], err));
        maas_graph_at(g, n->out[k])->type = t;
        if (out_known)
            out_known[k] = u->q.out_known[k];
    }
    return MAAS_OK;
}

maas_status maas_node_infer(maas_graph *g, maas_nid nid, maas_known_fn known, void *user,
                            maas_known *out_known, maas_err *err)
{
    query u = {0};
    maas_err why = {0};
    maas_status st = query_open(&u, g, nid, known, user, &why);
    if (st == MAAS_OK)
        st = ask(&u, &why);
    if (st == MAAS_OK)
        st = take_answers(&u, out_known, &why);
    maas_free(u.block);
    if (st == MAAS_OK)
        return MAAS_OK;
    const maas_node *n = &g->nodes[nid];
    return maas_fail(err, st, "node %d '%s' (%s): %s", (int)nid, n->name ? n->name : "",
                     n->op->name, why.msg);
}

/* ---- the whole graph ---- */

/* Contents by value: a slot number for the few values that have one, so memory follows those. */
typedef struct known_table {
    const maas_graph *g;
    int32_t *slot; /* [n_values]; 0: none, else index + 1 */
    maas_known *pool;
    size_t n, cap;
} known_table;

static void table_get(void *user, maas_vid v, maas_known *out)
{
    const known_table *t = user;
    const maas_value *val = maas_graph_at(t->g, v);
    out->n = -1;
    if (val->flags & MAAS_VALUE_CONST)
        maas_known_of(&val->init, out);
    else if (t->slot[v])
        *out = t->pool[t->slot[v] - 1];
}

static bool table_put(known_table *t, maas_vid v, const maas_known *k)
{
    if (!maas_grow(&t->pool, &t->cap, t->n + 1, sizeof *t->pool))
        return false;
    t->pool[t->n] = *k;
    t->slot[v] = (int32_t)++t->n;
    return true;
}

static maas_status infer_node(known_table *t, maas_graph *g, maas_nid nid, maas_known *found,
                              maas_err *err)
{
    const maas_node *n = &g->nodes[nid];
    MAAS_TRY(maas_node_infer(g, nid, table_get, t, found, err));
    n = &g->nodes[nid];
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] != MAAS_NO_VALUE && found[k].n >= 0 && !table_put(t, n->out[k], &found[k]))
            return maas_fail(err, MAAS_E_NOMEM, "inferring types");
    return MAAS_OK;
}

maas_status maas_graph_infer(maas_graph *g, maas_err *err)
{
    AUTO_FREE int32_t *slots = maas_calloc(g->n_values ? g->n_values : 1, sizeof *slots);
    AUTO_FREE maas_known *found = maas_calloc(MAAS_MAX_NODE_IO, sizeof *found);
    if (!slots || !found)
        return maas_fail(err, MAAS_E_NOMEM, "inferring types");
    known_table t = {.g = g, .slot = slots};
    maas_status st = MAAS_OK;
    for (uint32_t i = 0; i < g->n_values && st == MAAS_OK; i++)
        if (g->values[i].producer == MAAS_NO_NODE)
            st = name_unknown(g, &g->values[i].type, err);
    for (uint32_t i = 0; i < g->n_nodes && st == MAAS_OK; i++) {
        if (g->nodes[i].dead)
            continue;
        for (int k = 0; k < g->nodes[i].n_out && k < (int)MAAS_MAX_NODE_IO; k++)
            found[k].n = -1;
        st = infer_node(&t, g, (maas_nid)i, found, err);
    }
    maas_free(t.pool);
    return st;
}
