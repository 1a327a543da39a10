#include "graph/graph_int.h"

#include "base/mem.h"
#include "graph/op.h"
#include "base/ban.h"

/* Everything a loop over the graph may rely on without looking. Reports the first thing wrong. */

enum { PRODUCED = MAAS_VALUE_INPUT | MAAS_VALUE_CONST | MAAS_VALUE_VARIABLE | MAAS_VALUE_CAPTURED };
/* Bits of seen[value], beside MAAS_VALUE_INPUT and MAAS_VALUE_OUTPUT. */
enum { SEEN_PRODUCED = 16, SEEN_BOUND = 32, SEEN_CAPTURED = 64 };

static maas_status check_type(const maas_graph *g, const maas_value *v, maas_err *err)
{
    const maas_type *t = &v->type;
    if (t->tag > MAAS_TYPE_ROW_SPARSE)
        return maas_fail(err, MAAS_E_INVALID, "value '%.120s': type tag %d", v->name, t->tag);
    if (t->dtype && !maas_dtype_describe((maas_dtype)t->dtype)->bits)
        return maas_fail(err, MAAS_E_INVALID, "value '%.120s': element type %d", v->name, t->dtype);
    if (t->tag == MAAS_TYPE_NONE)
        return MAAS_OK;
    if (t->tag == MAAS_TYPE_OPTIONAL ? t->of != MAAS_TYPE_TENSOR && t->of != MAAS_TYPE_SEQUENCE
                                     : t->of != MAAS_TYPE_NONE)
        return maas_fail(err, MAAS_E_INVALID, "value '%.120s': holds a type %d", v->name, t->of);
    if (t->rank < MAAS_RANK_UNKNOWN || t->rank > MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_INVALID, "value '%.120s': rank %d", v->name, t->rank);
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] < MAAS_DIM_SYMBOL((int64_t)g->n_symbols - 1))
            return maas_fail(err, MAAS_E_INVALID, "value '%.120s': dimension %d is no symbol",
                             v->name, i);
    return MAAS_OK;
}

static maas_status check_content(const maas_value *v, maas_err *err)
{
    const maas_tensor *t = &v->init;
    if (!(v->flags & (MAAS_VALUE_CONST | MAAS_VALUE_VARIABLE)))
        return MAAS_OK;
    const bool zeros = !t->data && (v->flags & MAAS_VALUE_VARIABLE);
    if ((!t->data && !zeros) || v->type.tag != MAAS_TYPE_TENSOR || t->dtype != v->type.dtype ||
        t->rank != v->type.rank || memcmp(t->dims, v->type.dims, t->rank * sizeof *t->dims) != 0)
        return maas_fail(err, MAAS_E_INVALID, "value '%.120s': type and content disagree", v->name);
    size_t bytes;
    return maas_shape_bytes((maas_dtype)t->dtype, t->dims, t->rank, &bytes, err);
}

static maas_status check_values(const maas_graph *g, maas_err *err)
{
    for (uint32_t i = 0; i < g->n_values; i++) {
        const maas_value *v = &g->values[i];
        if (!v->name || maas_graph_find(g, v->name) != (maas_vid)i)
            return maas_fail(err, MAAS_E_INVALID, "value %u: name '%.120s' is not its own", i,
                             v->name ? v->name : "");
        uint32_t given = v->flags & PRODUCED;
        if ((given & (given - 1)) || (given && v->producer != MAAS_NO_NODE))
            return maas_fail(err, MAAS_E_INVALID, "value '%.120s' has two producers", v->name);
        if (v->producer < MAAS_NO_NODE || v->producer >= (int64_t)g->n_nodes)
            return maas_fail(err, MAAS_E_INVALID, "value '%.120s' has no such producer", v->name);
        MAAS_TRY(check_type(g, v, err));
        MAAS_TRY(check_content(v, err));
    }
    return MAAS_OK;
}

/* A list of graph inputs or outputs holds exactly the values that carry the flag, each once. */
static maas_status check_list(const maas_graph *g, const maas_vid *list, uint32_t n, uint32_t flag,
                              uint8_t *seen, maas_err *err)
{
    uint32_t n_flagged = 0;
    for (uint32_t i = 0; i < g->n_values; i++)
        n_flagged += (g->values[i].flags & flag) != 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!maas_vid_ok(g, list[i]) || !(g->values[list[i]].flags & flag) ||
            (seen[list[i]] & flag))
            return maas_fail(err, MAAS_E_INVALID, "graph %s %u is none",
                             flag == MAAS_VALUE_INPUT ? "input" : "output", i);
        seen[list[i]] |= (uint8_t)flag;
    }
    if (n != n_flagged)
        return maas_fail(err, MAAS_E_INVALID, "%u values are marked as graph %s, %u are listed",
                         n_flagged, flag == MAAS_VALUE_INPUT ? "input" : "output", n);
    return MAAS_OK;
}

/* Exactly the values with the flag stand for outer ones, each once. */
static maas_status check_captured(const maas_graph *g, uint8_t *seen, maas_err *err)
{
    uint32_t n_flagged = 0, n = 0;
    for (uint32_t i = 0; i < g->n_values; i++)
        n_flagged += (g->values[i].flags & MAAS_VALUE_CAPTURED) != 0;
    for (uint32_t i = 0; i < g->n_captured; i++) {
        const maas_vid v = g->captured[i];
        if (v == MAAS_NO_VALUE)
            continue;
        if (!maas_vid_ok(g, v) || !(g->values[v].flags & MAAS_VALUE_CAPTURED) ||
            (seen[v] & SEEN_CAPTURED))
            return maas_fail(err, MAAS_E_INVALID, "captured value %u is none", i);
        seen[v] |= SEEN_CAPTURED;
        n++;
    }
    return n == n_flagged
               ? MAAS_OK
               : maas_fail(err, MAAS_E_INVALID, "%u values are marked as captured, %u are listed",
                           n_flagged, n);
}

/* May v be read after the nodes before `n` have run? */
static maas_status check_use(const maas_graph *g, maas_vid v, uint32_t n, const char *who,
                             maas_err *err)
{
    if (!maas_vid_ok(g, v))
        return maas_fail(err, MAAS_E_INVALID, "%s reads value %d, which does not exist", who, v);
    const maas_value *val = &g->values[v];
    if (val->flags & PRODUCED)
        return MAAS_OK;
    if (val->producer == MAAS_NO_NODE || g->nodes[val->producer].dead)
        return maas_fail(err, MAAS_E_INVALID, "%s reads '%.120s', which nothing produces", who,
                         val->name);
    if ((uint32_t)val->producer >= n)
        return maas_fail(err, MAAS_E_INVALID, "%s reads '%.120s' before it is produced", who,
                         val->name);
    return MAAS_OK;
}

/* ---- nodes against the schemas of their operators ---- */

/* dtypes that type variables took in one node: by row, inputs first, then outputs. */
typedef struct type_vars {
    const maas_op *op;
    uint8_t dtype[2 * (UINT8_MAX + 1)];
} type_vars;

static const maas_io_schema *row_at(const maas_op *op, uint32_t row)
{
    return row < op->n_in ? &op->in[row] : &op->out[row - op->n_in];
}

/* The first row with the same type variable stands for all of them. */
static uint32_t first_row(const maas_op *op, uint32_t row)
{
    uint32_t first = 0;
    while (first < row && (!row_at(op, first)->type ||
                           strcmp(row_at(op, first)->type, row_at(op, row)->type) != 0))
        first++;
    return first;
}

static maas_status check_dtype(type_vars *vars, uint32_t row, const maas_value *v, maas_err *err)
{
    const maas_io_schema *s = row_at(vars->op, row);
    uint8_t dtype = v->type.dtype;
    if (v->type.tag == MAAS_TYPE_NONE || !dtype)
        return MAAS_OK;
    if (!(maas_tags_of(s) & MAAS_TAG(v->type.tag)))
        return maas_fail(err, MAAS_E_INVALID, "%s ('%.100s') may not be a %s", s->name, v->name,
                         maas_type_words[v->type.tag]);
    const char *word = maas_dtype_describe((maas_dtype)dtype)->onnx;
    if (!(s->dtypes & MAAS_DT_BIT(dtype)))
        return maas_fail(err, MAAS_E_INVALID, "%s ('%.100s') may not be of type %s", s->name,
                         v->name, word);
    if (!s->type)
        return MAAS_OK;
    uint8_t *bound = &vars->dtype[first_row(vars->op, row)];
    if (*bound && *bound != dtype)
        return maas_fail(err, MAAS_E_INVALID, "%s ('%.100s') is %s, but another %s is %s", s->name,
                         v->name, word, s->type, maas_dtype_describe(*bound)->onnx);
    *bound = dtype;
    return MAAS_OK;
}

/* Number of items against the rows of a schema: the last row may repeat, optional ones may miss. */
static maas_status check_arity(const maas_io_schema *rows, uint32_t n_rows, const maas_vid *v,
                               uint32_t n, const char *what, maas_err *err)
{
    bool open = n_rows && rows[n_rows - 1].variadic;
    if (n > n_rows && !open)
        return maas_fail(err, MAAS_E_INVALID, "%u %s, at most %u", n, what, n_rows);
    for (uint32_t i = 0; i < n_rows; i++)
        if (!rows[i].optional && (i >= n || v[i] == MAAS_NO_VALUE))
            return maas_fail(err, MAAS_E_INVALID, "%s '%s' is missing", what, rows[i].name);
    for (uint32_t i = n_rows; i < n; i++)
        if (v[i] == MAAS_NO_VALUE)
            return maas_fail(err, MAAS_E_INVALID, "%s %u is missing", what, i);
    return MAAS_OK;
}

static const maas_attr_schema *attr_row(const maas_op *op, const char *name)
{
    for (uint32_t i = 0; i < op->n_attr; i++)
        if (strcmp(op->attr[i].name, name) == 0)
            return &op->attr[i];
    return NULL;
}

static maas_status check_attrs(const maas_node *n, maas_err *err)
{
    for (uint32_t i = 0; i < n->n_attr; i++) {
        const maas_attr_schema *row = attr_row(n->op, n->attr[i].name);
        if (!row)
            return maas_fail(err, MAAS_E_UNSUPPORTED, "attribute '%.120s' is unknown",
                             n->attr[i].name);
        if (row->type != n->attr[i].type)
            return maas_fail(err, MAAS_E_INVALID, "attribute '%s' has type %d, expected %d",
                             row->name, (int)n->attr[i].type, (int)row->type);
    }
    for (uint32_t i = 0; i < n->op->n_attr; i++)
        if (n->op->attr[i].required && !maas_node_attr(n, n->op->attr[i].name))
            return maas_fail(err, MAAS_E_INVALID, "attribute '%s' is missing", n->op->attr[i].name);
    return MAAS_OK;
}

static maas_status check_schema(const maas_graph *g, const maas_node *n, maas_err *err)
{
    const maas_op *op = n->op;
    const uint32_t n_in = n->n_in - (uint32_t)n->n_captured;
    if (n->n_captured > n->n_in)
        return maas_fail(err, MAAS_E_INVALID, "more captured values than inputs");
    MAAS_TRY(check_arity(op->in, op->n_in, n->in, n_in, "input", err));
    MAAS_TRY(check_arity(op->out, op->n_out, n->out, n->n_out, "output", err));
    MAAS_TRY(check_attrs(n, err));
    type_vars vars = {.op = op};
    for (uint32_t i = 0; i < n_in; i++)
        if (n->in[i] != MAAS_NO_VALUE)
            MAAS_TRY(
                check_dtype(&vars, i < op->n_in ? i : op->n_in - 1u, &g->values[n->in[i]], err));
    for (uint32_t i = 0; i < n->n_out; i++)
        if (n->out[i] != MAAS_NO_VALUE)
            MAAS_TRY(check_dtype(&vars, op->n_in + (i < op->n_out ? i : op->n_out - 1u),
                                 &g->values[n->out[i]], err));
    return MAAS_OK;
}

static maas_status check_node(const maas_graph *g, uint32_t i, uint8_t *seen, maas_err *err)
{
    const maas_node *n = &g->nodes[i];
    if (!n->op)
        return maas_fail(err, MAAS_E_INVALID, "it has no operator");
    for (uint32_t k = 0; k < n->n_in; k++)
        if (n->in[k] != MAAS_NO_VALUE)
            MAAS_TRY(check_use(g, n->in[k], i, "it", err));
    for (uint32_t k = 0; k < n->n_out; k++) {
        if (n->out[k] == MAAS_NO_VALUE)
            continue;
        if (!maas_vid_ok(g, n->out[k]) || g->values[n->out[k]].producer != (maas_nid)i ||
            (seen[n->out[k]] & SEEN_PRODUCED))
            return maas_fail(err, MAAS_E_INVALID, "output %u has another producer", k);
        seen[n->out[k]] |= SEEN_PRODUCED;
    }
    return check_schema(g, n, err);
}

static maas_status check_nodes(const maas_graph *g, uint8_t *seen, maas_err *err)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i].dead)
            continue;
        maas_status st = check_node(g, i, seen, err);
        if (st != MAAS_OK) {
            maas_err_prefix(err, "node %u (%s '%.80s')", i, g->nodes[i].op->name, g->nodes[i].name);
            return st;
        }
    }
    for (uint32_t i = 0; i < g->n_values; i++) {
        maas_nid p = g->values[i].producer;
        if (p != MAAS_NO_NODE && !g->nodes[p].dead && !(seen[i] & SEEN_PRODUCED))
            return maas_fail(err, MAAS_E_INVALID, "node %d does not produce '%.120s'", p,
                             g->values[i].name);
    }
    return MAAS_OK;
}

static maas_status check_bindings(const maas_graph *g, uint8_t *seen, maas_err *err)
{
    for (uint32_t i = 0; i < g->n_bindings; i++) {
        maas_vid var = g->bindings[i].variable, v = g->bindings[i].value;
        if (!maas_vid_ok(g, var) || !(g->values[var].flags & MAAS_VALUE_VARIABLE) ||
            (seen[var] & SEEN_BOUND))
            return maas_fail(err, MAAS_E_INVALID, "binding %u: no variable, or bound twice", i);
        seen[var] |= SEEN_BOUND;
        MAAS_TRY(check_use(g, v, g->n_nodes, "a binding", err));
        if (g->values[v].type.tag == MAAS_TYPE_TENSOR && g->values[v].type.dtype &&
            g->values[v].type.dtype != g->values[var].type.dtype)
            return maas_fail(err, MAAS_E_INVALID, "variable '%.120s' is bound to another type",
                             g->values[var].name);
    }
    return MAAS_OK;
}

static maas_status verify_one(const maas_graph *g, maas_err *err)
{
    AUTO_FREE uint8_t *seen = maas_calloc(g->n_values + 1, 1);
    if (!seen)
        return maas_graph_no_memory(g, err);
    MAAS_TRY(check_values(g, err));
    MAAS_TRY(check_list(g, g->inputs, g->n_inputs, MAAS_VALUE_INPUT, seen, err));
    MAAS_TRY(check_list(g, g->outputs, g->n_outputs, MAAS_VALUE_OUTPUT, seen, err));
    MAAS_TRY(check_captured(g, seen, err));
    MAAS_TRY(check_nodes(g, seen, err));
    for (uint32_t i = 0; i < g->n_outputs; i++)
        MAAS_TRY(check_use(g, g->outputs[i], g->n_nodes, "the list of outputs", err));
    return check_bindings(g, seen, err);
}

/* Subgraphs wait in a list in an arena: as many levels as there are, no recursion. */
typedef struct todo {
    struct todo *next;
    const maas_graph *g;
    int depth;
} todo;

static maas_status add_children(const todo *job, maas_arena *a, todo **list, maas_err *err)
{
    for (uint32_t i = 0; i < job->g->n_nodes; i++)
        for (uint32_t k = 0; k < job->g->nodes[i].n_attr; k++) {
            const maas_attr *attr = &job->g->nodes[i].attr[k];
            if (attr->type != MAAS_ATTR_GRAPH)
                continue;
            if (job->depth >= MAAS_MAX_GRAPH_DEPTH)
                return maas_fail(err, MAAS_E_TOO_LARGE, "subgraphs are nested deeper than %d",
                                 MAAS_MAX_GRAPH_DEPTH);
            if (attr->u.graph->n_captured != job->g->nodes[i].n_captured)
                return maas_fail(err, MAAS_E_INVALID,
                                 "subgraph '%.120s' reads other values than its node",
                                 attr->u.graph->name);
            if (attr->u.graph->parent != job->g)
                return maas_fail(err, MAAS_E_INVALID, "subgraph '%.120s' belongs elsewhere",
                                 attr->u.graph->name);
            todo *t = maas_arena_alloc(a, sizeof *t);
            if (!t)
                return maas_graph_no_memory(job->g, err);
            *t = (todo){*list, attr->u.graph, job->depth + 1};
            *list = t;
        }
    return MAAS_OK;
}

maas_status maas_graph_verify(const maas_graph *g, maas_err *err)
{
    AUTO(maas_arena_reset) maas_arena scratch;
    maas_arena_init(&scratch, NULL);
    todo first = {NULL, g, 0}, *list = &first;
    while (list) {
        todo job = *list;
        list = list->next;
        MAAS_TRY(verify_one(job.g, err));
        MAAS_TRY(add_children(&job, &scratch, &list, err));
    }
    return MAAS_OK;
}
