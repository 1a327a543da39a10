#include "graph/graph_int.h"

#include <inttypes.h>

#include "graph/op.h"
#include "base/ban.h"

enum { MAX_SHOWN = 8 }; /* elements of a list or constant; the rest is "..." */

static void put_dim(const maas_graph *g, int64_t d, maas_buf *out)
{
    int64_t k = -2 - d;
    if (d >= 0)
        maas_buf_printf(out, "%" PRId64, d);
    else if (d == MAAS_DIM_UNKNOWN || !g || k >= (int64_t)g->n_symbols)
        maas_buf_char(out, '?');
    else if (g->symbols[k][0])
        maas_buf_str(out, g->symbols[k]);
    else
        maas_buf_printf(out, "?%" PRId64, k);
}

const char *const maas_type_words[] = {"?",        "tensor", "sequence",
                                       "optional", "map",    "row-sparse tensor"};

void maas_type_text(const maas_graph *g, const maas_type *t, maas_buf *out)
{
    if (t->tag != MAAS_TYPE_TENSOR) {
        maas_buf_str(out, t->tag < MAAS_COUNT(maas_type_words) ? maas_type_words[t->tag] : "?");
        if (t->tag == MAAS_TYPE_NONE)
            return;
        maas_buf_str(out, t->of == MAAS_TYPE_SEQUENCE ? " sequence " : " ");
    }
    maas_buf_str(out, t->dtype ? maas_dtype_describe((maas_dtype)t->dtype)->onnx : "?");
    maas_buf_char(out, '[');
    if (t->rank == MAAS_RANK_UNKNOWN)
        maas_buf_str(out, "...");
    for (int i = 0; i < t->rank; i++) {
        if (i)
            maas_buf_char(out, ',');
        put_dim(g, t->dims[i], out);
    }
    maas_buf_char(out, ']');
}

static void put_value(const maas_graph *g, maas_vid v, bool typed, maas_buf *out)
{
    if (v == MAAS_NO_VALUE) {
        maas_buf_char(out, '-');
        return;
    }
    maas_buf_str(out, g->values[v].name);
    if (typed) {
        maas_buf_str(out, ": ");
        maas_type_text(g, &g->values[v].type, out);
    }
}

static void put_values(const maas_graph *g, const maas_vid *v, uint32_t n, bool typed,
                       maas_buf *out)
{
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            maas_buf_str(out, ", ");
        put_value(g, v[i], typed, out);
    }
}

static void put_attr(const maas_attr *a, maas_buf *out)
{
    maas_buf_printf(out, "%s=", a->name);
    switch (a->type) {
    case MAAS_ATTR_FLOAT:
        maas_buf_printf(out, "%g", (double)a->u.f);
        return;
    case MAAS_ATTR_INT:
        maas_buf_printf(out, "%" PRId64, a->u.i);
        return;
    case MAAS_ATTR_STRING:
        maas_buf_json_str(out, a->u.s.p, a->u.s.n);
        return;
    case MAAS_ATTR_TENSOR: {
        maas_type t = maas_type_of(a->u.tensor);
        maas_type_text(NULL, &t, out);
        return;
    }
    case MAAS_ATTR_TYPE:
        maas_type_text(NULL, a->u.type, out);
        return;
    case MAAS_ATTR_GRAPH:
        maas_buf_printf(out, "graph '%s' of %u nodes", a->u.graph->name, a->u.graph->n_nodes);
        return;
    default:
        break;
    }
    maas_buf_char(out, '[');
    for (uint32_t i = 0; i < a->n && i < MAX_SHOWN; i++) {
        if (i)
            maas_buf_char(out, ',');
        if (a->type == MAAS_ATTR_FLOATS)
            maas_buf_printf(out, "%g", (double)a->u.floats[i]);
        else if (a->type == MAAS_ATTR_INTS)
            maas_buf_printf(out, "%" PRId64, a->u.ints[i]);
        else
            maas_buf_json_str(out, a->u.strings[i].p, a->u.strings[i].n);
    }
    maas_buf_str(out, a->n > MAX_SHOWN ? ",...]" : "]");
}

/* Short constants are shown: they are shapes, axes and scalars, which explain the graph. */
static void put_content(const maas_tensor *t, maas_buf *out)
{
    int64_t n = maas_n_elems(t);
    if (!t->data || n > MAX_SHOWN)
        return;
    maas_buf_str(out, " = {");
    for (int64_t i = 0; i < n; i++) {
        if (i)
            maas_buf_char(out, ',');
        if (t->dtype == MAAS_STRING)
            maas_buf_json_str(out, ((maas_str *)t->data)[i].p, ((maas_str *)t->data)[i].n);
        else
            maas_buf_printf(out, "%g", maas_tensor_get(t, i));
    }
    maas_buf_char(out, '}');
}

static void put_indent(int depth, maas_buf *out)
{
    for (int i = 0; i < depth; i++)
        maas_buf_str(out, "    ");
}

static void put_graph(const maas_graph *g, int depth, maas_buf *out);

static void put_node(const maas_graph *g, uint32_t i, int depth, maas_buf *out)
{
    const maas_node *n = &g->nodes[i];
    put_indent(depth, out);
    maas_buf_printf(out, "  n%u %s(", i, n->op->name);
    put_values(g, n->in, n->n_in, false, out);
    maas_buf_str(out, ") -> ");
    put_values(g, n->out, n->n_out, true, out);
    for (uint32_t k = 0; k < n->n_attr; k++) {
        maas_buf_str(out, k ? ", " : "  {");
        put_attr(&n->attr[k], out);
    }
    maas_buf_str(out, n->n_attr ? "}" : "");
    maas_buf_str(out, n->dead ? "  dead\n" : "\n");
    for (uint32_t k = 0; k < n->n_attr && depth < MAAS_MAX_GRAPH_DEPTH; k++)
        if (n->attr[k].type == MAAS_ATTR_GRAPH)
            put_graph(n->attr[k].u.graph, depth + 1, out);
}

static void put_graph(const maas_graph *g, int depth, maas_buf *out)
{
    put_indent(depth, out);
    maas_buf_printf(out, "graph \"%s\" (", g->name);
    put_values(g, g->inputs, g->n_inputs, true, out);
    maas_buf_str(out, ") -> (");
    put_values(g, g->outputs, g->n_outputs, true, out);
    maas_buf_str(out, ")");
    maas_buf_str(out, g->n_captured ? " captures " : "\n");
    put_values(g, g->captured, g->n_captured, false, out);
    maas_buf_str(out, g->n_captured ? "\n" : "");
    for (uint32_t i = 0; i < g->n_values; i++) {
        const maas_value *v = &g->values[i];
        if (!(v->flags & (MAAS_VALUE_CONST | MAAS_VALUE_VARIABLE)))
            continue;
        put_indent(depth, out);
        maas_buf_str(out, v->flags & MAAS_VALUE_CONST ? "  const " : "  variable ");
        put_value(g, (maas_vid)i, true, out);
        put_content(&v->init, out);
        maas_buf_char(out, '\n');
    }
    for (uint32_t i = 0; i < g->n_nodes; i++)
        put_node(g, i, depth, out);
    for (uint32_t i = 0; i < g->n_bindings; i++)
        maas_buf_printf(out, "  bind %s <- %s\n", g->values[g->bindings[i].variable].name,
                        g->values[g->bindings[i].value].name);
}

void maas_graph_dump(const maas_graph *g, maas_buf *out)
{
    put_graph(g, 0, out);
}
